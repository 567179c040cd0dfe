"""Vocabularies: which tokens there are, and which whole number stands for each.

A model reads and writes ids, the whole numbers 0, 1, 2, ...; a reader wants to see "pitch 60". A ``Vocabulary`` lists
*families* of tokens in order (all pitches, all durations, ...) and gives each token the next free id, so that every
family owns one unbroken range.

Conventions:
    family: tokens of one kind; it has a name and a list of values.
    value: what a token says within its family, such as 60; None where the family has one token only, such as "rest".
    id: 0 .. ``size`` - 1.

Chapter: 3b (tokens).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Vocabulary:
    """Token families in order, with consecutive ids.

    Attributes:
        families: pairs of a name and the values of its tokens; ``(None,)`` for a family of one token without a value.

    Raises:
        TypeError: a family is not a pair of a name and a list of values that can be looked up.
        ValueError: no family, a family without values, or a name or a value given twice.

    Example:
        >>> vocabulary = Vocabulary((("rest", (None,)), ("pitch", range(60, 72))))
        >>> vocabulary.size, vocabulary.id_of("pitch", 62), vocabulary.token(3)
        (13, 3, 'pitch 62')

    Chapter: 3b.
    """

    families: tuple[tuple[str, tuple[Hashable, ...]], ...]

    def __post_init__(self) -> None:
        families = tuple(_family(family) for family in self.families)
        names = [name for name, _ in families]
        if not families or len(set(names)) < len(names):
            raise ValueError(f"A vocabulary needs at least one family, and each name once; found {names}.")
        for name, values in families:
            if not values or len(set(values)) < len(values):
                raise ValueError(
                    f"A family needs at least one value, and each value once; family {name!r} has {len(values)} "
                    f"values, {len(set(values))} of them different."
                )
        object.__setattr__(self, "families", families)

    @property
    def size(self) -> int:
        """Number of tokens; ids run from 0 to ``size`` - 1."""
        return int(self._first_ids[-1])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the families, in order."""
        return tuple(name for name, _ in self.families)

    def id_of(self, family: str, value: Hashable = None) -> int:
        """Return the id of one token.

        Args:
            family: name of its family.
            value: its value; leave it out for a family of one token.

        Raises:
            ValueError: there is no such family, or it has no such value.

        Example:
            >>> Vocabulary((("rest", (None,)), ("pitch", range(60, 72)))).id_of("rest")
            0
        """
        first = self.slice_of(family).start
        values = dict(self.families)[family]
        if value not in values:
            raise ValueError(
                f"Family {family!r} holds {_span(values)}; found {value!r}. Choose a value from the family, or make a "
                "vocabulary that holds it."
            )
        return first + values.index(value)

    def token(self, token_id: int) -> str:
        """Return a token as text, such as "pitch 60".

        Args:
            token_id: 0 .. ``size`` - 1.

        Raises:
            TypeError: the id is not a whole number.
            ValueError: the id is outside the vocabulary.
        """
        if np.ndim(token_id):
            raise ValueError(f"A token has one id; found shape {np.shape(token_id)}. Use tokens for a row of ids.")
        return self._texts[int(self.check(token_id))]

    def tokens(self, ids: ArrayLike) -> list[str]:
        """Return a one-dimensional row of ids as texts.

        Args:
            ids: (n_tokens,), whole numbers, 0 .. ``size`` - 1.

        Raises:
            TypeError: the ids are not whole numbers.
            ValueError: the ids are not one row, or one is outside the vocabulary.

        Example:
            >>> Vocabulary((("rest", (None,)), ("pitch", range(60, 72)))).tokens([0, 1])
            ['rest', 'pitch 60']
        """
        row = self.check(ids)
        if row.ndim != 1:
            raise ValueError(f"Ids to be written out must be one row; found shape {row.shape}.")
        return [self._texts[token_id] for token_id in row.tolist()]

    def family_of(self, ids: ArrayLike) -> np.ndarray:
        """Return the family's name of every id, as an array of strings of the same shape.

        Args:
            ids: whole numbers, 0 .. ``size`` - 1, of any shape.

        Raises:
            TypeError: the ids are not whole numbers.
            ValueError: an id is outside the vocabulary.

        Example:
            >>> Vocabulary((("rest", (None,)), ("pitch", range(60, 72)))).family_of([0, 1, 12]).tolist()
            ['rest', 'pitch', 'pitch']
        """
        ids = self.check(ids)
        return np.array(self.names)[np.searchsorted(self._first_ids, ids, side="right") - 1]

    def slice_of(self, family: str) -> slice:
        """Return the range of ids that a family owns, as a slice for rows of logits.

        Args:
            family: its name.

        Raises:
            ValueError: there is no such family.

        Example:
            >>> Vocabulary((("rest", (None,)), ("pitch", range(60, 72)))).slice_of("pitch")
            slice(1, 13, None)
        """
        if family not in self.names:
            raise ValueError(f"The families are {', '.join(self.names)}; found {family!r}.")
        index = self.names.index(family)
        return slice(int(self._first_ids[index]), int(self._first_ids[index + 1]))

    def values_of(self, family: str) -> np.ndarray:
        """Return the values of a family in order of id; values of several kinds as objects.

        Args:
            family: its name.

        Raises:
            ValueError: there is no such family.

        Example:
            >>> Vocabulary((("pitch", range(60, 63)),)).values_of("pitch").tolist()
            [60, 61, 62]
        """
        self.slice_of(family)
        values = dict(self.families)[family]
        return np.array(values, None if len({type(value) for value in values}) == 1 else object)

    def check(self, ids: ArrayLike) -> np.ndarray:
        """Return ids as an array, or refuse what is not in the vocabulary.

        Args:
            ids: whole numbers, 0 .. ``size`` - 1, of any shape.

        Raises:
            TypeError: the ids are not whole numbers.
            ValueError: an id is outside the vocabulary.

        Example:
            >>> Vocabulary((("pitch", range(60, 72)),)).check([12])
            Traceback (most recent call last):
            ...
            ValueError: Token ids must lie in 0..11; found 12 at index 0. Was another vocabulary used to make them?
        """
        try:
            array = np.asarray(ids)
        except ValueError:  # rows of unequal length
            raise TypeError("Token ids must be an array; found lists of unequal length. Pad them first.") from None
        if array.size == 0:
            return array.astype(np.int64)
        if array.dtype.kind not in "iu":
            raise TypeError(
                f"Token ids must be whole numbers; found an array of {array.dtype}. Are these logits or probabilities?"
            )
        is_outside = (array < 0) | (array >= self.size)
        if is_outside.any():
            index = np.argwhere(is_outside)[0].tolist()
            where = f" at index {index[0] if len(index) == 1 else tuple(index)}" if index else ""
            raise ValueError(
                f"Token ids must lie in 0..{self.size - 1}; found {array[tuple(index)]}{where}. "
                "Was another vocabulary used to make them?"
            )
        return array

    def table(self) -> str:
        """Return a printable table: family, first id, last id, count, example.

        Example:
            >>> print(Vocabulary((("rest", (None,)), ("pitch", range(60, 72)))).table())
            family  first  last  count  example
            rest        0     0      1  rest
            pitch       1    12     12  pitch 60
        """
        width = max(len("family"), *(len(name) for name in self.names))
        lines = [f"{'family':<{width}}  first  last  count  example"]
        for name, values in self.families:
            ids = self.slice_of(name)
            lines.append(
                f"{name:<{width}}  {ids.start:>5}  {ids.stop - 1:>4}  {len(values):>5}  {self.token(ids.start)}"
            )
        return "\n".join(lines)

    @cached_property
    def _texts(self) -> list[str]:
        """Every token as text, in order of id."""
        return [name if value is None else f"{name} {value}" for name, values in self.families for value in values]

    @cached_property
    def _first_ids(self) -> np.ndarray:
        """First id of each family, and the size at the end."""
        return np.concatenate([[0], np.cumsum([len(values) for _, values in self.families])])


def _family(family: tuple[str, Sequence[Hashable]]) -> tuple[str, tuple[Hashable, ...]]:
    """Return one family as a name and a tuple of values, or refuse it."""
    is_pair = isinstance(family, Sequence) and not isinstance(family, str) and len(family) == 2
    if not is_pair or not isinstance(family[0], str) or isinstance(family[1], str):
        raise TypeError(
            f'A family must be a name and a list of values, such as ("pitch", range(60, 72)); found {family!r}.'
        )
    values = tuple(family[1])
    if not all(isinstance(value, Hashable) for value in values):
        raise TypeError(f"The values of a family must be numbers or texts; family {family[0]!r} holds others.")
    return family[0], values


def _span(values: Sequence[Hashable]) -> str:
    """Say in a few words which values a family has."""
    if len(values) == 1:
        return f"the value {values[0]!r} alone"
    return f"{len(values)} values from {values[0]!r} to {values[-1]!r}"
