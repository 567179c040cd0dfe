"""Notes as rows of one array: made, checked, ordered.

Chapter: 3a.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl.music.whole_numbers import LARGEST_STEP, whole_numbers

NOTE_DTYPE = np.dtype(
    [
        ("onset_step", np.int32),
        ("duration_step", np.int32),
        ("pitch", np.int32),
        ("velocity", np.int32),
        ("part", np.int32),
    ]
)

#: Fields of a note, the one that decides its place in the order first.
_ORDER = ("onset_step", "part", "pitch", "duration_step", "velocity")


def make_notes(
    onset_step: ArrayLike,
    duration_step: ArrayLike,
    pitch: ArrayLike,
    velocity: ArrayLike = 64,
    part: ArrayLike = 0,
) -> np.ndarray:
    """Make a note array from columns; a single number stands for a whole column.

    Args:
        onset_step: where each note starts, in steps, 0 or more, in order.
        duration_step: how long it lasts, in steps, 1 or more.
        pitch: MIDI number, 0..127.
        velocity: MIDI loudness, 1..127.
        part: index of the part that plays it.

    Returns:
        Structured array of ``NOTE_DTYPE``, one row a note.

    Raises:
        TypeError: a column holds fractions (seconds given as steps, perhaps).
        ValueError: columns of different length, or a value out of its range.

    Example:
        >>> make_notes([0, 4], [4, 4], [60, 67])["pitch"].tolist()
        [60, 67]

    Chapter: 3a.
    """
    columns = dict(onset_step=onset_step, duration_step=duration_step, pitch=pitch, velocity=velocity, part=part)
    arrays = {name: _column(name, column) for name, column in columns.items()}
    lengths = {name: array.size for name, array in arrays.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Every column of notes must have one entry a note; found lengths {lengths}.")
    notes = np.empty(max(lengths.values(), default=1), NOTE_DTYPE)
    for name, array in arrays.items():
        notes[name] = array
    check_notes(notes)
    return notes


def check_notes(notes: np.ndarray, n_parts: int | None = None) -> None:
    """Check that an array of notes keeps the rules of this module.

    Args:
        notes: structured array to check.
        n_parts: how many parts there are, or None to leave the part index unchecked above.

    Raises:
        TypeError: it is not an array of ``NOTE_DTYPE``.
        ValueError: it has not one row a note, a value is out of its range, or the onsets are not in order.

    Chapter: 3a.
    """
    if not isinstance(notes, np.ndarray) or notes.dtype != NOTE_DTYPE:
        raise TypeError(
            f"Notes must be a NumPy array of music.NOTE_DTYPE; found {getattr(notes, 'dtype', type(notes).__name__)}. "
            "Make one with music.make_notes."
        )
    if notes.ndim != 1:
        raise ValueError(f"Notes must be one row a note, shape (n_notes,); found shape {notes.shape}.")
    highest_part = 2**31 - 1 if n_parts is None else n_parts - 1
    ranges = {
        "onset_step": (0, 2**31 - 1, "Steps count from the start of the piece."),
        "duration_step": (1, 2**31 - 1, "A note lasts at least one step; use a finer grid or drop the note."),
        "pitch": (0, 127, "60 is middle C; MIDI has no pitch outside this range."),
        "velocity": (1, 127, "MIDI uses velocity 0 for the end of a note."),
        "part": (0, highest_part, "Each part index needs an entry in Piece.parts."),
    }
    for name, (lowest, highest, advice) in ranges.items():
        is_bad = (notes[name] < lowest) | (notes[name] > highest)
        if is_bad.any():
            index = int(is_bad.argmax())
            raise ValueError(
                f"{name} must lie in {lowest}..{highest}; found {notes[name][index]} at note {index}. {advice}"
            )
    falls = np.diff(notes["onset_step"]) < 0
    if falls.any():
        index = int(falls.argmax()) + 1
        raise ValueError(
            f"Notes must be in order of onset; note {index} starts at step {notes['onset_step'][index]}, before note "
            f"{index - 1} at step {notes['onset_step'][index - 1]}. Use music.sort_notes."
        )
    latest = int(ends_step(notes).max(initial=0))
    if latest > LARGEST_STEP:
        raise ValueError(f"Every note must end by step {LARGEST_STEP}; found an end at {latest}. Is the unit steps?")


def ends_step(notes: np.ndarray) -> np.ndarray:
    """Return the step at which each note has ended: the first one that it does not sound.

    Args:
        notes: structured array of ``NOTE_DTYPE``.

    Returns:
        int64 (n_notes,).

    Example:
        >>> ends_step(make_notes([0, 4], [4, 2], [60, 62])).tolist()
        [4, 6]

    Chapter: 3a.
    """
    return notes["onset_step"].astype(np.int64) + notes["duration_step"]


def sort_notes(notes: np.ndarray) -> np.ndarray:
    """Return the notes ordered by onset, then part, pitch, duration and velocity, as a new array.

    Args:
        notes: structured array of ``NOTE_DTYPE``; it stays as it is.

    Chapter: 3a.
    """
    if len(notes) == 0:
        return notes.copy()
    columns = [notes[name].astype(np.int64) for name in _ORDER]
    lowest = [int(column.min()) for column in columns]
    spans = [int(column.max()) - low + 1 for column, low in zip(columns, lowest, strict=True)]
    if math.prod(spans) > 2**63:  # too wide for the single number below
        return notes.take(np.lexsort(columns[::-1]))
    # One number a note, its digits the five values: one sort, and a quick one where the order is right already.
    key = np.zeros(len(notes), np.int64)
    for column, low, span in zip(columns, lowest, spans, strict=True):
        key *= span
        key += column - low
    return notes.take(np.argsort(key, kind="stable"))  # many times as fast on rows as notes[...]


def _column(name: str, column: ArrayLike) -> np.ndarray:
    """Return a column of notes as int64 (n_notes,), or () for a single number; or refuse it."""
    array = whole_numbers(name, column)
    if array.ndim > 1:
        raise ValueError(f"{name} must be one row of numbers, or one number; found shape {array.shape}.")
    limits = np.iinfo(np.int32)
    if array.size and not (limits.min <= array.min() and array.max() <= limits.max):
        raise ValueError(f"{name} must fit in 32 bits; found {array.min()} to {array.max()}. Is the unit steps?")
    return array
