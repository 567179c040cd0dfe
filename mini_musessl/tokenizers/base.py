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

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import checks, music, voices

# --- Vocabularies: which tokens there are, and which whole number stands for each


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


# --- How music differs from what comes back after encoding and decoding it


@dataclass(frozen=True)
class RoundTrip:
    """How music differs from what comes back after encoding and decoding it.

    Notes are compared in quarters, so that a change of grid alone counts as no change. Which note came back as which is
    decided by pitch, onset, duration and part; for what then remains without the part; then by pitch, onset and part;
    by pitch and onset; by pitch, in the order of onsets.

    Attributes:
        n_notes_in: notes before.
        n_notes_out: notes after.
        n_changed_onsets: notes that came back at another time.
        n_changed_durations: notes that came back longer or shorter.
        n_changed_velocities: notes that came back louder or softer.
        n_changed_parts: notes that came back in another part.
        facts: what else did not come back, such as "tempo" or "meter".

    Chapter: 3b.
    """

    n_notes_in: int
    n_notes_out: int
    n_changed_onsets: int = 0
    n_changed_durations: int = 0
    n_changed_velocities: int = 0
    n_changed_parts: int = 0
    facts: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """True if the music came back as it was."""
        return self == RoundTrip(self.n_notes_in, self.n_notes_in)

    def __str__(self) -> str:
        kinds = ("onset", "duration", "velocity", "part")
        counts = (self.n_changed_onsets, self.n_changed_durations, self.n_changed_velocities, self.n_changed_parts)
        changes = [f"{count} with another {kind}" for kind, count in zip(kinds, counts, strict=True) if count]
        notes = f"{self.n_notes_out} of {self.n_notes_in} notes come back"
        lost = f"lost: {', '.join(self.facts)}" if self.facts else "nothing else is lost"
        return f"{', '.join([notes, *changes])}; {lost}."


def compare_pieces(before: music.Piece, after: music.Piece) -> RoundTrip:
    """Return what differs between a piece and what came back.

    Args:
        before: the piece that was encoded.
        after: the piece that was decoded, on the same grid or another one.

    Example:
        >>> notes = music.make_notes([0, 24], 24, [60, 62], velocity=[64, 70])
        >>> print(compare_pieces(music.Piece(notes), music.Piece(notes[:1])))
        1 of 2 notes come back; lost: length.

    Chapter: 3b.
    """
    for piece in (before, after):
        music.check_is_piece(piece)
    beats = [max(meter.denominator // 4, 1) for meter in (*before.meters, *after.meters)]
    finest = int(np.lcm.reduce([before.steps_per_quarter, after.steps_per_quarter, *beats]))
    first, second = music.change_grid(before, finest), music.change_grid(after, finest)
    facts = {
        "tempo": first.tempos != second.tempos,
        "meter": not _same_bars(first, second),
        "parts": first.parts != second.parts,
        "length": first.n_steps != second.n_steps,
        "title": first.title != second.title,
    }
    return compare_notes(first.notes, second.notes, tuple(fact for fact, is_lost in facts.items() if is_lost))


def compare_grids(before: voices.VoiceGrid, after: voices.VoiceGrid) -> RoundTrip:
    """Return what differs between a voice grid and what came back.

    Args:
        before: the grid that was encoded.
        after: the grid that was decoded, at the same number of steps a quarter.

    Raises:
        TypeError: one of them is not a grid.
        ValueError: they have another number of steps a quarter.

    Chapter: 3b.
    """
    for grid in (before, after):
        voices.check_is_grid(grid)
    if before.steps_per_quarter != after.steps_per_quarter:
        raise ValueError(
            "Grids to be compared must have the same steps a quarter; found "
            f"{before.steps_per_quarter} and {after.steps_per_quarter}. Compare them as pieces: see voices.to_piece."
        )
    facts = {
        "tempo": before.quarters_per_minute != after.quarters_per_minute,
        "meter": before.meter != after.meter or not np.array_equal(before.bar_position_step, after.bar_position_step),
        "key": (before.fifths, before.mode) != (after.fifths, after.mode),
        "fermatas": not np.array_equal(before.is_fermata, after.is_fermata),
        "title": (before.name, before.title) != (after.name, after.title),
    }
    notes_before, notes_after = voices.to_piece(before).notes, voices.to_piece(after).notes
    return compare_notes(notes_before, notes_after, tuple(fact for fact, is_lost in facts.items() if is_lost))


def compare_notes(before: np.ndarray, after: np.ndarray, facts: tuple[str, ...] = ()) -> RoundTrip:
    """Return which notes changed, given two arrays of notes on one grid.

    Args:
        before: notes that were encoded.
        after: notes that were decoded.
        facts: what else is known to be lost.

    Raises:
        TypeError, ValueError: the notes break a rule of ``music.check_notes``.

    Chapter: 3b.
    """
    for notes in (before, after):
        music.check_notes(notes)
    index_before, index_after = _match(before, after)
    first, second = before[index_before], after[index_after]
    return RoundTrip(
        n_notes_in=len(before),
        n_notes_out=len(after),
        n_changed_onsets=int((first["onset_step"] != second["onset_step"]).sum()),
        n_changed_durations=int((first["duration_step"] != second["duration_step"]).sum()),
        n_changed_velocities=int((first["velocity"] != second["velocity"]).sum()),
        n_changed_parts=int((first["part"] != second["part"]).sum()),
        facts=facts,
    )


def _match(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two lists of indices: which note before is which note after."""
    rest_before, rest_after = np.arange(len(before)), np.arange(len(after))
    matched_before, matched_after = [], []
    at_onset = ("pitch", "onset_step")
    # Duration before part: when parts are merged, unisons of unequal length come back whole.
    passes = ((*at_onset, "duration_step", "part"), (*at_onset, "duration_step"), (*at_onset, "part"), at_onset)
    for names in (*passes, ("pitch",)):
        at_before, at_after = _match_by(before[rest_before], after[rest_after], names)
        matched_before.append(rest_before[at_before])
        matched_after.append(rest_after[at_after])
        rest_before, rest_after = np.delete(rest_before, at_before), np.delete(rest_after, at_after)
    return np.concatenate(matched_before), np.concatenate(matched_after)


def _match_by(before: np.ndarray, after: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Match the k-th note that has certain values with the k-th note that has the same values."""
    keys_before, order_before = _ranked_keys(before, names)
    keys_after, order_after = _ranked_keys(after, names)
    _, in_before, in_after = np.intersect1d(keys_before, keys_after, assume_unique=True, return_indices=True)
    return order_before[in_before], order_after[in_after]


def _ranked_keys(notes: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return one key a note, made of some of its values and its rank among equals, and the order of the notes."""
    # The last name counts first: the named values, then time, length, loudness and part decide between equals.
    columns = ("part", "velocity", "duration_step", "onset_step", *reversed(names))
    order = np.lexsort([notes[name] for name in columns])
    keys = np.zeros(len(notes), [(name, np.int64) for name in (*names, "rank")])
    for name in names:
        keys[name] = notes[name][order]
    is_new = np.append(True, keys[1:] != keys[:-1])[: len(notes)]
    first_of_run = np.maximum.accumulate(np.where(is_new, np.arange(len(notes)), 0))
    keys["rank"] = np.arange(len(notes)) - first_of_run
    return keys, order


def _same_bars(first: music.Piece, second: music.Piece) -> bool:
    """Say whether two pieces on one grid have the same bars, as far as the first one lasts."""
    return first.n_steps == 0 or _bars(first, first.n_steps) == _bars(second, first.n_steps)


def _bars(piece: music.Piece, n_steps: int) -> list[tuple[int, int, int]]:
    """Return where each bar of the first ``n_steps`` begins, and its meter; an upbeat's bar begins below 0."""
    bars = []
    for meter, later in zip(piece.meters, (*piece.meters[1:], None), strict=True):
        length = meter.bar_length_step(piece.steps_per_quarter)
        start = meter.step if meter.step >= 0 else -(-meter.step % length)
        stop = n_steps if later is None else min(later.step, n_steps)
        bars += [(line, meter.numerator, meter.denominator) for line in range(start, stop, length)]
    return bars


# --- What every tokenizer promises


class Tokenizer(Protocol):
    """The contract that all tokenizers keep.

    Chapter: 3b.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """Which tokens there are."""

    def encode(self, music: Any) -> np.ndarray:
        """Turn music into ids, int32: (n_tokens,), or (n_words, n_fields) for compound words."""

    def decode(self, ids: ArrayLike) -> Any:
        """Turn ids of the vocabulary, in any order, into music."""

    def what_is_lost(self, music: Any) -> RoundTrip:
        """Compare music with what comes back after encoding and decoding."""


def check_kind(given: object, kind: type, tokenizer: str) -> None:
    """Refuse music in another form than the tokenizer encodes.

    Args:
        given: what the caller gave.
        kind: ``music.Piece`` or ``voices.VoiceGrid``.
        tokenizer: name of the tokenizer, for the sentence.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(given, kind):
        return
    advice = {
        voices.VoiceGrid: "Turn the grid into notes with voices.to_piece.",
        music.Piece: "Turn the notes into voices with voices.from_piece.",
    }
    room = kind.__module__.split(".")[1]  # mini_musessl.music.piece: what people write is music.Piece
    wanted = f"{room}.{kind.__name__}"
    found = f"{tokenizer} encodes a {wanted}; found {type(given).__name__}. {advice.get(type(given), '')}"
    raise TypeError(found.rstrip())


def check_pitch_range(lowest_pitch: int, highest_pitch: int) -> None:
    """Refuse a range of pitches that holds none, or reaches beyond those of MIDI.

    Args:
        lowest_pitch: lowest pitch of the vocabulary.
        highest_pitch: highest pitch of the vocabulary.

    Raises:
        TypeError: one of them is not a whole number.
        ValueError: not 0 <= lowest_pitch <= highest_pitch <= 127.
    """
    for name, pitch in (("lowest_pitch", lowest_pitch), ("highest_pitch", highest_pitch)):
        checks.whole_number(name, pitch, 0, 127)
    if lowest_pitch > highest_pitch:
        raise ValueError(
            "A range of pitches needs 0 <= lowest_pitch <= highest_pitch <= 127; found "
            f"{lowest_pitch} and {highest_pitch}."
        )


def check_row(ids: ArrayLike, vocabulary: Vocabulary) -> np.ndarray:
    """Return ids as one row, int64, or refuse them.

    Args:
        ids: what the caller gave.
        vocabulary: where they should come from.

    Raises:
        TypeError: the ids are not whole numbers.
        ValueError: they are not one row, or an id is outside the vocabulary.
    """
    array = vocabulary.check(ids)
    if array.ndim != 1:
        raise ValueError(
            f"Token ids must be one row, shape (n_tokens,); found shape {array.shape}. "
            "Decode one piece of a batch at a time."
        )
    return array.astype(np.int64)


# --- Bars as arrays: from a piece to tokens that count in bars, and back

Meters = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Bars:
    """The bars of a piece, in order.

    Attributes:
        line_step: int64 (n_bars,), where each bar begins; the first is below 0 if the music begins inside a bar.
        length_step: int64 (n_bars,), how long each bar lasts.
        full_length_step: int64 (n_bars,), how long its meter makes it.
        meter: int64 (n_bars,), index of its meter.
    """

    line_step: np.ndarray
    length_step: np.ndarray
    full_length_step: np.ndarray
    meter: np.ndarray

    @property
    def phase_step(self) -> int:
        """How many steps of the first bar have passed where the music begins."""
        return -int(self.line_step[0]) if len(self.line_step) else 0

    @property
    def is_short(self) -> np.ndarray:
        """True where a bar is shorter than its meter, bool (n_bars,)."""
        return self.length_step < self.full_length_step

    def locate(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bar of each step, and the position in that bar."""
        bar = np.searchsorted(self.line_step, step, side="right") - 1
        return bar, step - self.line_step[bar]

    def to_meters(self, meters: Meters) -> tuple[music.Meter, ...]:
        """Return a meter for the first bar, each change, and each bar after a short one."""
        if not len(self.line_step):
            return (music.Meter(0, *meters[0]),)
        is_new = np.append(True, (np.diff(self.meter) != 0) | self.is_short[:-1])
        return tuple(
            music.Meter(line, *meters[meter])
            for line, meter in zip(self.line_step[is_new].tolist(), self.meter[is_new].tolist(), strict=True)
        )


def full_lengths(meters: Meters, steps_per_quarter: int) -> np.ndarray:
    """Return how many steps a bar of each meter lasts.

    Args:
        meters: numerator and denominator of each.
        steps_per_quarter: grid on which to count.

    Returns:
        int64 (n_meters,).

    Raises:
        ValueError: a bar is not a whole number of steps.
    """
    return np.array([music.as_meter(meter).bar_length_step(steps_per_quarter) for meter in meters])


def bars_of_piece(piece: music.Piece, meters: Meters, last_step: int) -> Bars:
    """Return the bars from the one that holds step 0 to the one that holds ``last_step``.

    Args:
        piece: music whose bars to list.
        meters: those that there is a word for; any other one is replaced by the first of them.
        last_step: 0 or more.
    """
    full = full_lengths(meters, piece.steps_per_quarter)
    lines, indices = [], []
    for meter, later in zip(piece.meters, (*piece.meters[1:], None), strict=True):
        entry = (meter.numerator, meter.denominator)
        index = meters.index(entry) if entry in meters else 0
        start = meter.step if meter.step >= 0 else -(-meter.step % int(full[index]))
        stop = last_step + 1 if later is None else min(later.step, last_step + 1)
        lines.append(np.arange(start, stop, full[index]))
        indices.append(np.full(len(lines[-1]), index))
    line_step, index = np.concatenate(lines), np.concatenate(indices)
    # The last bar counts as full: what follows it is not written.
    length_step = np.append(np.diff(line_step), full[index[-1:]])
    return Bars(line_step, length_step, full[index], index)


def bars_from_marks(phase_step: int, meter: np.ndarray, end_position_step: np.ndarray, full: np.ndarray) -> Bars:
    """Return the bars that tokens describe.

    Args:
        phase_step: position in the first bar at which the music begins.
        meter: (n_bars,), index of each bar's meter.
        end_position_step: (n_bars,), position at which a bar is cut short; 0, or beyond the bar, for a full bar.
        full: length of a full bar of each meter, in steps.
    """
    full_length = full[meter]
    # A bar must hold at least the step at which the music begins.
    earliest_end = np.where(np.arange(len(meter)) == 0, phase_step + 1, 1)
    is_short = (earliest_end <= end_position_step) & (end_position_step < full_length)
    length = np.where(is_short, end_position_step, full_length)
    line = np.cumsum(length) - length - phase_step
    return Bars(line, length, full_length, meter)


def last_before(is_wanted: np.ndarray) -> np.ndarray:
    """Return for each index the greatest index up to it at which the condition holds, or -1."""
    return np.maximum.accumulate(np.where(is_wanted, np.arange(len(is_wanted)), -1))


# --- What the tokenizers of pieces share: a grid, a range of pitches, velocity bins and parts

#: Velocity of decoded notes where the tokens say none.
DEFAULT_VELOCITY = 64


@dataclass(frozen=True)
class PieceTokenizer(ABC):
    """Base of the tokenizers that encode a ``music.Piece``.

    A piece on another grid is moved to the nearest step of this one. With one part, the notes of all parts are merged
    into it; with several, each note keeps its part. Both are reported by ``what_is_lost``.

    Attributes:
        steps_per_quarter: grid of the tokens, and of the decoded piece.
        lowest_pitch: lowest MIDI pitch of the vocabulary.
        highest_pitch: highest MIDI pitch of the vocabulary.
        n_velocities: how many velocity tokens there are; 0 leaves velocity out, and decoded notes have velocity 64.
        parts: parts of the decoded piece, in order.

    Chapter: 3b.
    """

    steps_per_quarter: int = music.DEFAULT_STEPS_PER_QUARTER
    lowest_pitch: int = 0
    highest_pitch: int = 127
    n_velocities: int = 32
    parts: tuple[music.Part, ...] = (music.Part(),)

    def __post_init__(self) -> None:
        checks.check_grid(self.steps_per_quarter)
        check_pitch_range(self.lowest_pitch, self.highest_pitch)
        checks.whole_number("n_velocities", self.n_velocities, 0, 127, "0 leaves velocity out.")
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts:
            raise ValueError("A tokenizer of pieces needs at least one part; found none. The default is one part.")

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """Which tokens there are."""

    @abstractmethod
    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece into tokens."""

    @abstractmethod
    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn tokens into a piece."""

    @cached_property
    def velocities(self) -> np.ndarray:
        """Velocities that the tokens stand for: evenly spaced, the last is 127; an even number of them includes 64."""
        n = self.n_velocities
        return (127 * np.arange(1, n + 1) + n // 2) // max(n, 1)

    def what_is_lost(self, piece: music.Piece) -> RoundTrip:
        """Compare a piece with what comes back after encoding and decoding."""
        return compare_pieces(piece, self.decode(self.encode(piece)))

    def _velocity_index(self, velocity: np.ndarray) -> np.ndarray:
        """Return the index of the nearest velocity of the vocabulary; the softer of two that are equally near."""
        return self._nearest_velocity[velocity]

    @cached_property
    def _nearest_velocity(self) -> np.ndarray:
        """Index of the nearest velocity of the vocabulary for each MIDI velocity."""
        return np.abs(np.arange(128)[:, None] - self.velocities).argmin(axis=1)

    def _values(self) -> dict[str, tuple]:
        """Return the values of each family that tokenizers share, or none for a family without a choice."""
        return {
            "pitch": tuple(range(self.lowest_pitch, self.highest_pitch + 1)),
            "velocity": tuple(self.velocities.tolist()),
            "part": tuple(range(len(self.parts))) if len(self.parts) > 1 else (),
        }

    def _families(self, *wanted: str) -> tuple[tuple[str, tuple], ...]:
        """Return those of the shared families that this tokenizer needs, in the order asked for."""
        values = self._values()
        return tuple((name, values[name]) for name in wanted if values[name])

    def _prepare(self, piece: music.Piece) -> music.Piece:
        """Return the piece on this grid and with these parts, or refuse it."""
        check_kind(piece, music.Piece, type(self).__name__)
        if len(piece.parts) > 1 and len(self.parts) == 1:
            notes = piece.notes.copy()
            notes["part"] = 0
            piece = replace(piece, notes=notes)
        self._check_notes(piece.notes)
        if piece.steps_per_quarter != self.steps_per_quarter:
            piece = music.change_grid(piece, self.steps_per_quarter, may_round=True)
        return piece

    def _check_notes(self, notes: np.ndarray) -> None:
        """Refuse pitches and parts outside the vocabulary."""
        is_outside = (notes["pitch"] < self.lowest_pitch) | (notes["pitch"] > self.highest_pitch)
        if is_outside.any():
            index = int(is_outside.argmax())
            raise ValueError(
                f"Pitches must lie in {self.lowest_pitch}..{self.highest_pitch}; found {notes['pitch'][index]} at note "
                f"{index}. Transpose the music, or choose another lowest_pitch and highest_pitch."
            )
        highest_part = int(notes["part"].max(initial=0))
        if highest_part >= len(self.parts):
            raise ValueError(
                f"This tokenizer has {len(self.parts)} parts; the piece has a note in part {highest_part}. "
                "Pass parts=piece.parts to the tokenizer, or one part to merge them all."
            )


@dataclass(frozen=True)
class BarTokenizer(PieceTokenizer):
    """Base of the tokenizers that count in bars and give each note its duration.

    Attributes:
        meters: time signatures of the vocabulary; a bar of any other one counts as the first of them.
        max_duration_quarter: longest note; a longer one is shortened to it.

    Chapter: 3b.
    """

    meters: Meters = ((4, 4),)
    max_duration_quarter: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        meters = tuple((meter.numerator, meter.denominator) for meter in map(music.as_meter, self.meters))
        if not meters:
            raise ValueError("A tokenizer that counts bars needs at least one meter; found none. 4/4 is ((4, 4),).")
        if len(set(meters)) < len(meters):
            raise ValueError(f"Each meter of a tokenizer must stand once; found {meters}.")
        object.__setattr__(self, "meters", meters)
        full_lengths(meters, self.steps_per_quarter)
        checks.whole_number("max_duration_quarter", self.max_duration_quarter, 1, advice="8 is the default.")

    @property
    def _n_durations(self) -> int:
        """Longest note, in steps: as many as there are durations."""
        return self.max_duration_quarter * self.steps_per_quarter

    def _values(self) -> dict[str, tuple]:
        """Return the values of each family that tokenizers of bars share."""
        n_positions = int(full_lengths(self.meters, self.steps_per_quarter).max())
        meters = tuple(f"{numerator}/{denominator}" for numerator, denominator in self.meters)
        return super()._values() | {
            "position": tuple(range(n_positions)),
            "duration": tuple(range(1, self._n_durations + 1)),
            "meter": meters if len(meters) > 1 else (),
        }

    def _duration_index(self, duration_step: np.ndarray) -> np.ndarray:
        """Return the place of each duration within its family; a longer one than the longest counts as that."""
        return np.minimum(duration_step, self._n_durations) - 1
