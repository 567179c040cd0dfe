"""Places in time: steps and seconds, bar lines and the way from them.

Chapter: 3a.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl.music.piece import Piece, check_is_piece
from mini_musessl.music.whole_numbers import whole_numbers


def steps_to_sec(piece: Piece, step: ArrayLike) -> np.ndarray:
    """Return the time in seconds at which each step begins, by the piece's tempos.

    Args:
        piece: the piece; only its grid and its tempos matter.
        step: steps from the start, any shape; a fraction is a place between two steps.

    Returns:
        float64 seconds, of the shape of ``step``.

    Raises:
        TypeError: it is not a piece.
        ValueError: a step is not a finite number.

    Chapter: 3a.

    Example:
        >>> from mini_musessl.music import Tempo, make_notes
        >>> piece = Piece(make_notes([0], [24], [60]), tempos=(Tempo(0, 60.0),))
        >>> steps_to_sec(piece, [0, 24, 36]).tolist()
        [0.0, 1.0, 1.5]
    """
    tempo_step, tempo_sec, sec_per_step = _tempo_table(piece)
    step = _finite("Steps", step)
    index = (np.searchsorted(tempo_step, step, side="right") - 1).clip(min=0)
    return tempo_sec[index] + (step - tempo_step[index]) * sec_per_step[index]


def sec_to_steps(piece: Piece, sec: ArrayLike) -> np.ndarray:
    """Return the step nearest to each time in seconds, by the piece's tempos.

    Args:
        piece: the piece; only its grid and its tempos matter.
        sec: times in seconds from the start, any shape.

    Returns:
        int64 steps, of the shape of ``sec``.

    Raises:
        TypeError: it is not a piece.
        ValueError: a time is not a finite number.

    Example:
        >>> from mini_musessl.music import Tempo, make_notes
        >>> piece = Piece(make_notes([0], [24], [60]), tempos=(Tempo(0, 60.0),))
        >>> sec_to_steps(piece, [0.0, 1.0, 1.49]).tolist()
        [0, 24, 36]

    Chapter: 3a.
    """
    tempo_step, tempo_sec, sec_per_step = _tempo_table(piece)
    sec = _finite("Seconds", sec)
    index = (np.searchsorted(tempo_sec, sec, side="right") - 1).clip(min=0)
    return np.rint(tempo_step[index] + (sec - tempo_sec[index]) / sec_per_step[index]).astype(np.int64)


def bar_lines_step(piece: Piece) -> np.ndarray:
    """Return the steps from 0 up to the end of the piece at which a bar begins, in order.

    Args:
        piece: the piece; only its grid, length and meters matter.

    Returns:
        int64 (n_bar_lines,).

    Chapter: 3a.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> bar_lines_step(Piece(make_notes([0], [24 * 8], [60]))).tolist()
        [0, 96]
    """
    check_is_piece(piece)
    lines: list[int] = []
    for meter, next_meter in zip(piece.meters, (*piece.meters[1:], None), strict=True):
        stop = piece.n_steps if next_meter is None else min(next_meter.step, piece.n_steps)
        lines += range(meter.step, stop, meter.bar_length_step(piece.steps_per_quarter))
    return np.array([line for line in lines if line >= 0], dtype=np.int64)


def bar_position_step(piece: Piece, step: ArrayLike) -> np.ndarray:
    """Return how many steps after the latest bar line each step lies; 0 on the bar line.

    Args:
        piece: the piece; only its grid and its meters matter.
        step: steps from the start, any shape.

    Returns:
        int64, of the shape of ``step``.

    Raises:
        TypeError: it is not a piece, or a step is no whole number.

    Chapter: 3a.

    Example:
        >>> from mini_musessl.music import Meter, make_notes
        >>> upbeat = Piece(make_notes([0], [96], [60]), meters=(Meter(-72, 4, 4),))
        >>> bar_position_step(upbeat, [0, 23, 24]).tolist()
        [72, 95, 0]
    """
    check_is_piece(piece)
    starts = np.array([meter.step for meter in piece.meters])
    lengths = np.array([meter.bar_length_step(piece.steps_per_quarter) for meter in piece.meters])
    step = whole_numbers("Steps", step)
    index = (np.searchsorted(starts, step, side="right") - 1).clip(min=0)
    return (step - starts[index]) % lengths[index]


def _tempo_table(piece: Piece) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each tempo its step, its time in seconds, and its seconds a step."""
    check_is_piece(piece)
    step = np.array([tempo.step for tempo in piece.tempos], dtype=np.int64)
    sec_per_step = np.array([60 / tempo.quarters_per_minute / piece.steps_per_quarter for tempo in piece.tempos])
    sec = np.concatenate([[0.0], np.cumsum(np.diff(step) * sec_per_step[:-1])])
    return step, sec, sec_per_step


def _finite(name: str, values: ArrayLike) -> np.ndarray:
    """Return numbers as float64, or refuse NaN and infinity."""
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite numbers; found {numbers[~np.isfinite(numbers)][0]}.")
    return numbers
