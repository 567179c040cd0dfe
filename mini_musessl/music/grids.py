"""The same piece on a finer or coarser grid.

Chapter: 3a.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl.music.notes import ends_step, sort_notes
from mini_musessl.music.piece import Piece, check_is_piece
from mini_musessl.music.whole_numbers import LARGEST_STEP, check_grid, whole_number


def change_grid(piece: Piece, steps_per_quarter: int, may_round: bool = False) -> Piece:
    """Put a piece on a finer or coarser grid.

    Args:
        piece: the piece.
        steps_per_quarter: steps in a quarter on the new grid.
        may_round: False refuses a piece whose notes or bar lines do not fit exactly; True moves onsets, ends and
            changes of meter to the nearest step (a half goes up) and lets no note get shorter than one step. Changes of
            tempo, and the end of the piece, move to the nearest step in either case.

    Raises:
        TypeError: it is not a piece, or the grid is no whole number.
        ValueError: a note or a meter does not fit the new grid and ``may_round`` is False.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> triplet = Piece(make_notes([0, 8, 16], 8, [60, 62, 64]))
        >>> change_grid(triplet, 12).notes["onset_step"].tolist()
        [0, 4, 8]
        >>> change_grid(triplet, 4, may_round=True).notes["onset_step"].tolist()
        [0, 1, 3]

    Chapter: 3a.
    """
    check_is_piece(piece)
    steps_per_quarter = check_grid(steps_per_quarter)

    def scaled(step: ArrayLike) -> np.ndarray:
        return (2 * np.asarray(step, np.int64) * steps_per_quarter + piece.steps_per_quarter) // (
            2 * piece.steps_per_quarter
        )

    if not may_round:
        _check_fits(piece, steps_per_quarter)
    onset_step, end_step = scaled(piece.notes["onset_step"]), scaled(ends_step(piece.notes))
    end_step = np.maximum(end_step, onset_step + 1)
    n_steps = max(int(scaled(piece.n_steps)), int(end_step.max(initial=0)))
    whole_number("The length of the piece on the new grid, in steps,", n_steps, 0, LARGEST_STEP)
    notes = piece.notes.copy()
    notes["onset_step"], notes["duration_step"] = onset_step, end_step - onset_step
    # Of entries that fall on one step the last counts: a dictionary keeps it.
    meters = {int(scaled(meter.step)): meter for meter in piece.meters}
    first = max((step for step in meters if step <= 0), default=0)
    tempos = {int(scaled(tempo.step)): tempo for tempo in piece.tempos}
    return replace(
        piece,
        notes=sort_notes(notes),
        steps_per_quarter=steps_per_quarter,
        meters=tuple(replace(meter, step=step) for step, meter in meters.items() if step >= first),
        tempos=tuple(replace(tempo, step=step) for step, tempo in tempos.items()),
        n_steps=n_steps,
    )


def _check_fits(piece: Piece, steps_per_quarter: int) -> None:
    """Refuse a grid on which a note or a meter would have to move."""
    times = np.stack([piece.notes["onset_step"], ends_step(piece.notes)])
    is_off = (times * steps_per_quarter % piece.steps_per_quarter).any(axis=0)
    if is_off.any():
        raise ValueError(
            f"Every note must start and end on the new grid of {steps_per_quarter} steps a quarter; "
            f"{int(is_off.sum())} of {len(is_off)} notes do not. "
            "Use a finer grid, or may_round=True to move them to the nearest step."
        )
    off = [meter for meter in piece.meters if meter.step * steps_per_quarter % piece.steps_per_quarter]
    if off:
        raise ValueError(
            f"Every meter must start on the new grid of {steps_per_quarter} steps a quarter; {off[0]} does not. "
            "Use a finer grid, or may_round=True to move it to the nearest step."
        )
