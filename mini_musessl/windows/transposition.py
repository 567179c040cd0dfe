"""Transposition of token ids: the same music in another key, inside the vocabulary.

Chapter: 3c (augmentation).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from mini_musessl.music import whole_number


def allowed_intervals(
    token_ids: ArrayLike, pitch_ids: range, semitones: range = range(-5, 7)
) -> Int[np.ndarray, " n_intervals"]:
    """List the transpositions that keep every pitch of a piece inside the vocabulary.

    Args:
        token_ids: token ids of one piece.
        pitch_ids: ids that stand for consecutive pitches; other ids are not pitches and do not move.
        semitones: intervals to consider.

    Returns:
        The allowed intervals in semitones, ascending; 0 is always among them.

    Raises:
        ValueError: the pitch ids are not consecutive.
        TypeError: the token ids are not whole numbers.

    Example:
        >>> allowed_intervals([0, 1, 46], pitch_ids=range(1, 47)).tolist()
        [0]
        >>> allowed_intervals([0, 3, 44], pitch_ids=range(1, 47)).tolist()
        [-2, -1, 0, 1, 2]

    Chapter: 3c.
    """
    ids = _check_whole(token_ids)
    pitches = ids[_is_pitch(ids, pitch_ids)]
    if pitches.size == 0:
        return np.zeros(1, np.int64)
    room_below, room_above = pitch_ids.start - int(pitches.min()), pitch_ids.stop - 1 - int(pitches.max())
    return np.array([s for s in sorted({0, *semitones}) if room_below <= s <= room_above], np.int64)


def transpose_ids(token_ids: ArrayLike, semitones: int, pitch_ids: range) -> Int[np.ndarray, "*shape"]:
    """Move the pitches among token ids; rests and other symbols stay.

    Args:
        token_ids: ids of any shape.
        semitones: interval, upwards if positive.
        pitch_ids: ids that stand for consecutive pitches.

    Returns:
        int64, the same shape.

    Raises:
        ValueError: a pitch would leave the vocabulary, or the pitch ids are not consecutive.
        TypeError: the token ids or the interval are not whole numbers.

    Example:
        >>> transpose_ids([0, 10, 20], 2, pitch_ids=range(1, 47)).tolist()
        [0, 12, 22]

    Chapter: 3c.
    """
    ids = _check_whole(token_ids)
    is_pitch = _is_pitch(ids, pitch_ids)
    moved = np.where(is_pitch, ids + whole_number("semitones", semitones, lowest=-127), ids)
    if not _is_pitch(moved[is_pitch], pitch_ids).all():
        raise ValueError(
            f"Transposed pitches must stay among ids {pitch_ids.start}..{pitch_ids.stop - 1}; moved by {semitones} "
            f"they reach {moved[is_pitch].min()}..{moved[is_pitch].max()}. Choose from allowed_intervals."
        )
    return moved


def _check_whole(token_ids: ArrayLike) -> np.ndarray:
    """Return token ids as int64, or refuse what would be cut to whole numbers."""
    ids = np.asarray(token_ids)
    if ids.size and ids.dtype.kind not in "iu":
        raise TypeError(f"Token ids must be whole numbers; found {ids.dtype}. Encode the music with a tokenizer first.")
    return ids.astype(np.int64)


def _is_pitch(ids: np.ndarray, pitch_ids: range) -> np.ndarray:
    """Tell which ids stand for pitches."""
    if pitch_ids.step != 1 or not pitch_ids:
        raise ValueError(
            f"pitch_ids must be consecutive ids, one a semitone, such as range(1, 47); found {pitch_ids}. "
            "Give the range that the tokenizer names."
        )
    return (ids >= pitch_ids.start) & (ids < pitch_ids.stop)
