"""Whole numbers: passed on as integers, or refused in one sentence.

Chapter: 3a.
"""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike

LARGEST_STEP = int(np.iinfo(np.int32).max)


def whole_number(name: str, value: object, lowest: int, highest: int | None = None, advice: str = "") -> int:
    """Return a whole number as an ``int``, or refuse what is none or lies outside its range.

    Args:
        name: what to call it in the message.
        value: what the caller gave; integers of Python and NumPy pass, floats and bools do not.
        lowest: smallest number that is allowed.
        highest: largest one, or None for no limit.
        advice: what to do, a sentence for the end of the message.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is out of range.

    Example:
        >>> whole_number("n_bars", np.int16(8), lowest=1)
        8

    Chapter: 3a.
    """
    found = f"found {value!r}. {advice}".rstrip()
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number; {found}") from None
    if isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number; {found}")
    if number < lowest or (highest is not None and number > highest):
        limits = f"be at least {lowest}" if highest is None else f"lie in {lowest}..{highest}"
        raise ValueError(f"{name} must {limits}; found {number}. {advice}".rstrip())
    return number


def whole_numbers(name: str, numbers: ArrayLike) -> np.ndarray:
    """Return numbers as int64, or refuse fractions and what is no number.

    Args:
        name: what to call them in the message.
        numbers: a number, or an array or list of any shape.

    Raises:
        TypeError: they are not whole numbers.
        ValueError: they are far too large.
    """
    try:
        array = np.asarray(numbers)
    except ValueError:  # rows of unequal length
        raise TypeError(f"{name} must be whole numbers; found lists of unequal length.") from None
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be whole numbers; found {array.dtype}.")
    flat = array.reshape(-1)
    is_whole = np.isfinite(flat) & (flat == np.rint(flat)) if array.dtype.kind == "f" else np.ones(flat.shape, bool)
    if not is_whole.all():
        index = int(np.argmin(is_whole))
        raise TypeError(
            f"{name} must be whole numbers; found {flat[index]} at note {index}. "
            "Are these seconds or quarters? Multiply by the steps in each and round, or read a file "
            "with midi.read_midi."
        )
    if np.abs(flat.astype(np.float64)).max() >= 2.0**62:  # would not survive the conversion
        raise ValueError(f"{name} must fit in 32 bits; found {flat.min()} to {flat.max()}. Is the unit steps?")
    return array.astype(np.int64)


def check_grid(steps_per_quarter: int) -> int:
    """Return the steps a quarter of a grid, or refuse what is not a whole number of at least 1.

    Args:
        steps_per_quarter: steps in a quarter note.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is below 1.

    Chapter: 3a.
    """
    return whole_number("steps_per_quarter", steps_per_quarter, 1, advice="24 is the default and holds triplets.")
