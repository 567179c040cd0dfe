"""Whole numbers: passed on as integers, or refused in one sentence.

Chapter: 3a.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import ArrayLike
from torch import Tensor

# --- Whole numbers: passed on as integers, or refused in one sentence

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


# --- What every loss refuses: nothing to learn from, and targets that are no ids of the vocabulary


def check_types(targets: Tensor, is_padding: Tensor | None) -> None:
    """Refuse what PyTorch would take for indices or weights.

    Args:
        targets: ids.
        is_padding: True where there is no target; None where every position has one.

    Raises:
        TypeError: targets that are not whole numbers, or padding that is not True and False.
    """
    if targets.is_floating_point() or targets.dtype == torch.bool:
        raise TypeError(f"targets must be token ids, whole numbers; found {targets.dtype}. Are they probabilities?")
    if is_padding is not None and is_padding.dtype != torch.bool:
        raise TypeError(
            f"is_padding must be True or False at every position; found {is_padding.dtype}. Compare first, such as "
            "weights == 0."
        )


def check_some(n_targets: int) -> None:
    """Refuse a mean over nothing.

    Args:
        n_targets: how many targets there are that are no padding.

    Raises:
        ValueError: there is none.
    """
    if n_targets == 0:
        raise ValueError("The loss needs at least one target; found only padding. Is the batch empty?")


def check_range(lowest: int, highest: int, vocabulary_size: int) -> None:
    """Refuse targets that the model cannot predict.

    Args:
        lowest: smallest target.
        highest: largest target.
        vocabulary_size: symbols that are scored.

    Raises:
        ValueError: a target is none of them.
    """
    if lowest < 0 or highest >= vocabulary_size:
        raise ValueError(
            f"Targets must lie in 0..{vocabulary_size - 1}; found {lowest}..{highest}. "
            "Was the music encoded with another vocabulary, or is padding unmarked?"
        )


# --- Checks of windows.token_windows


def check_generator(generator: np.random.Generator, drawer: str) -> None:
    """Refuse a seed, or another library's generator, where a NumPy generator is needed.

    Args:
        generator: what the caller gave.
        drawer: name of the function that draws, for the message.

    Raises:
        TypeError: it is not a numpy.random.Generator.
    """
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"{drawer} draws from a numpy.random.Generator; found {type(generator).__name__}. "
            "Pass numpy.random.default_rng(seed)."
        )


# --- Checks of evaluation.marks


def check_rows(pieces: Sequence[ArrayLike], vocabulary_size: int) -> list[np.ndarray]:
    """Return the pieces as arrays, or refuse an empty corpus and ids outside the vocabulary.

    Args:
        pieces: token ids, one row a piece.
        vocabulary_size: ids lie below it.

    Raises:
        ValueError: no token at all, a piece that is no row of whole numbers, or an id outside the vocabulary.

    Chapter: 2a.
    """
    arrays = [np.asarray(piece) for piece in pieces]
    if sum(ids.size for ids in arrays) == 0:
        raise ValueError("Likelihood needs at least one token; found none. Is the split empty?")
    for index, ids in enumerate(arrays):
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise ValueError(
                f"A piece must be one row of whole token ids; piece {index} has shape {ids.shape} and type "
                f"{ids.dtype}. Encode the music with a tokenizer first, and put a single piece into a list."
            )
        if ids.size and (ids.min() < 0 or ids.max() >= vocabulary_size):
            raise ValueError(
                f"Token ids must lie in 0..{vocabulary_size - 1}; piece {index} has {ids.min()}..{ids.max()}. "
                "Was the music encoded with another vocabulary?"
            )
    return arrays


# --- Checks of evaluation.cell_scoring


def check_hidden_cells(
    pieces: Sequence[np.ndarray], hidden: Sequence[ArrayLike]
) -> list[Bool[np.ndarray, "n_draws n_steps 4"]]:
    """Return what is hidden in each piece, or refuse what does not fit the pieces.

    Args:
        pieces: ids, (n_steps, 4) each.
        hidden: should be bool (n_draws, n_steps, 4) for each piece, something hidden in each draw.

    Raises:
        ValueError: another number of pieces, another shape, no draws, or a draw that hides nothing.
        TypeError: not True and False.

    Chapter: 4b.
    """
    if len(hidden) != len(pieces):
        raise ValueError(f"What is hidden must be said of each piece, {len(pieces)}; found {len(hidden)}.")
    arrays = [np.asarray(each) for each in hidden]
    for index, (ids, is_hidden) in enumerate(zip(pieces, arrays, strict=True)):
        if is_hidden.dtype != np.bool_:
            raise TypeError(f"What is hidden must be True or False; piece {index} has {is_hidden.dtype}.")
        if is_hidden.ndim != 3 or is_hidden.shape[1:] != ids.shape or len(is_hidden) == 0:
            raise ValueError(
                f"What is hidden must have the shape (n_draws, {ids.shape[0]}, {ids.shape[1]}) for piece {index}; "
                f"found {is_hidden.shape}. Draw it for these pieces, with infilling.draw_hidden."
            )
        if not is_hidden.any(axis=(1, 2)).all():
            raise ValueError(f"Each draw must hide something, to be asked for; one of piece {index} hides nothing.")
    return arrays


# --- How much a network may read at once


def check_trained_length(model: object, n_steps: int) -> None:
    """Refuse to read more steps at once than training ever showed; ``train`` notes how many on the network."""
    longest = getattr(model, "trained_steps", None)
    if longest is not None and n_steps > longest:
        raise ValueError(
            f"The network should read at most {longest} steps at once, the longest window of its training; found "
            f"{n_steps}. What steps further apart mean to each other it never learned: read shorter excerpts, or allow "
            "it with model.trained_steps = None."
        )
