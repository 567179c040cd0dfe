"""Windows of frames: stretches of steps, all voices at once, for a network with one position a step.

Chapter: 5d (one position a step), 6a (the loop).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl.music import whole_number
from mini_musessl.windows.token_windows import check_generator

N_VOICES = 4


@dataclass(frozen=True)
class FrameBatch:
    """Stretches of pieces side by side.

    Attributes:
        frames: int64 (n_windows, n_steps, 4), the ids of every step, soprano first; 0 on padding.
        is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
        start_step: int64 (n_windows,), index in the piece of each window's first step.
        piece_index: int64 (n_windows,), which piece each window was cut from.

    Chapter: 5d.
    """

    frames: Int[np.ndarray, "n_windows n_steps 4"]
    is_padding: Bool[np.ndarray, "n_windows n_steps"]
    start_step: Int[np.ndarray, " n_windows"]
    piece_index: Int[np.ndarray, " n_windows"]


def random_frame_batches(
    pieces: Sequence[ArrayLike],
    n_windows: int,
    n_steps: int,
    generator: np.random.Generator,
    semitones: range = range(-5, 7),
    pitch_ids: range = range(1, 47),
) -> Iterator[FrameBatch]:
    """Draw batches of stretches without end.

    A piece is drawn in proportion to its length, then a step of it, each equally likely: the window's middle, or as
    near to it as the ends of the piece allow. So every step of every piece is seen at least a third as often as any
    other. A piece shorter than a window is taken whole and padded at its end. Each window is transposed by an interval
    drawn from those that keep its own pitches inside the vocabulary, so that one high note does not bind the whole
    piece.

    Args:
        pieces: ids, one array (n_steps, 4) a piece.
        n_windows: windows in a batch.
        n_steps: steps in a window.
        generator: source of chance; the same state gives the same batches.
        semitones: intervals to draw from; ``range(1)`` for no transposition. 0 is always allowed.
        pitch_ids: ids that stand for consecutive pitches; other ids, such as the rest, do not move.

    Returns:
        An iterator that never ends.

    Raises:
        ValueError: no pieces, an empty piece or one of another shape, negative ids, a count that is not positive, or
            pitch ids that are not consecutive.
        TypeError: the generator is not a numpy.random.Generator, or a count is not a whole number.

    Example:
        >>> piece = np.full((40, 4), 20)
        >>> batch = next(random_frame_batches([piece], 2, 16, np.random.default_rng(0)))
        >>> batch.frames.shape, batch.is_padding.any()
        ((2, 16, 4), np.False_)

    Chapter: 5d.
    """
    check_generator(generator, "random_frame_batches")
    whole_number("n_windows", n_windows, lowest=1)
    whole_number("n_steps", n_steps, lowest=1)
    if pitch_ids.step != 1 or not pitch_ids:
        raise ValueError(
            f"pitch_ids must be consecutive ids, one a semitone, such as range(1, 47); found {pitch_ids}. "
            "Give the range that the tokenizer names."
        )
    arrays = _check_frames(pieces)
    return _draw(arrays, n_windows, n_steps, generator, np.array(sorted({0, *semitones})), pitch_ids)


def _check_frames(pieces: Sequence[ArrayLike]) -> list[np.ndarray]:
    """Return the pieces as int64 arrays, or refuse what is not frames of ids."""
    arrays = [np.asarray(piece) for piece in pieces]
    if not arrays:
        raise ValueError("Windows need at least one piece; found none. Is the corpus or the split empty?")
    for index, ids in enumerate(arrays):
        if ids.ndim != 2 or ids.shape[1] != N_VOICES or ids.size == 0 or ids.dtype.kind not in "iu":
            raise ValueError(
                f"A piece of frames must be an array (n_steps, {N_VOICES}) of whole token ids; piece {index} has shape "
                f"{ids.shape} and type {ids.dtype}. Reshape the ids of VoiceGridTokens: ids.reshape(-1, {N_VOICES})."
            )
        if ids.min() < 0:
            raise ValueError(
                f"Token ids must be 0 or more; piece {index} has {ids.min()}. Are these pitches with -1 for a rest? "
                "Encode the music with a tokenizer first."
            )
    return [ids.astype(np.int64) for ids in arrays]


def _draw(
    arrays: list[np.ndarray],
    n_windows: int,
    n_steps: int,
    generator: np.random.Generator,
    intervals: np.ndarray,
    pitch_ids: range,
) -> Iterator[FrameBatch]:
    """Yield random batches without end; the arguments are already checked."""
    lengths = np.array([len(ids) for ids in arrays])
    all_steps = np.concatenate([*arrays, np.zeros((n_steps, N_VOICES), np.int64)])
    first_steps = np.cumsum(lengths) - lengths
    while True:
        piece = generator.choice(len(arrays), size=n_windows, p=lengths / lengths.sum())
        # A window that would begin before the piece, or end after it, is pushed inside. Were each start that fits
        # equally likely, the first and last steps of a piece would hardly ever be seen: only one start reaches each.
        middle = generator.integers(lengths[piece])
        start = np.clip(middle - n_steps // 2, 0, np.maximum(lengths[piece] - n_steps, 0))
        step = start[:, None] + np.arange(n_steps)
        is_padding = step >= lengths[piece][:, None]
        frames = np.where(is_padding[..., None], 0, all_steps[first_steps[piece][:, None] + step])
        is_pitch = (frames >= pitch_ids.start) & (frames < pitch_ids.stop) & ~is_padding[..., None]
        shift = _draw_intervals(frames, is_pitch, generator, intervals, pitch_ids)
        yield FrameBatch(frames + shift[:, None, None] * is_pitch, is_padding, start, piece)


def _draw_intervals(
    frames: np.ndarray, is_pitch: np.ndarray, generator: np.random.Generator, intervals: np.ndarray, pitch_ids: range
) -> np.ndarray:
    """Draw an interval for each window, each of those that its pitches allow being equally likely."""
    lowest = np.where(is_pitch, frames, pitch_ids.stop - 1).min(axis=(1, 2))
    highest = np.where(is_pitch, frames, pitch_ids.start).max(axis=(1, 2))
    room_below, room_above = pitch_ids.start - lowest, pitch_ids.stop - 1 - highest
    is_allowed = (intervals >= room_below[:, None]) & (intervals <= room_above[:, None])
    rank = generator.integers(is_allowed.sum(axis=1))
    return intervals[(is_allowed.cumsum(axis=1) > rank[:, None]).argmax(axis=1)]
