"""What all tokenizers share: vocabularies, bars as arrays, and the report of what a round trip loses.

A model reads and writes ids, the whole numbers 0, 1, 2, ...; a reader wants to see "pitch 60". A ``Vocabulary`` lists
*families* of tokens in order (all pitches, all durations, ...) and gives each token the next free id, so that every
family owns one unbroken range. A tokenizer has a ``vocabulary``, ``encode`` (music to ids, int32), ``decode`` (ids of
the vocabulary in *any* order to music: a model may emit anything) and ``what_is_lost``.

Conventions:
    family: tokens of one kind; it has a name and a list of values.
    value: what a token says within its family, such as 60; None where the family has one token only, such as "rest".
    id: 0 .. ``size`` - 1.
    place: how many ids a token stands after the first of its family.

Chapter: 3b (tokens).
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl import checks, music, voices

# --- Vocabularies: which tokens there are, and which whole number stands for each


@dataclass(frozen=True)
class Vocabulary:
    """Token families in order, pairs of a name and its values, with consecutive ids.

    >>> vocabulary = Vocabulary((("rest", (None,)), ("pitch", range(60, 72))))
    >>> vocabulary.size, vocabulary.id_of("pitch", 62), vocabulary.token(3), vocabulary.slice_of("pitch")
    (13, 3, 'pitch 62', slice(1, 13, None))
    >>> vocabulary.tokens([0, 1]), vocabulary.family_of([0, 1]).tolist()
    (['rest', 'pitch 60'], ['rest', 'pitch'])
    """

    families: tuple[tuple[str, tuple[Hashable, ...]], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "families", tuple((name, tuple(values)) for name, values in self.families))
        for name, values in (("families", self.names), *self.families):
            if not values or len(set(values)) < len(values):
                raise ValueError(
                    f"A vocabulary needs families, and each of them values, none of them twice; {name!r} are {values}."
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the families, in order."""
        return tuple(name for name, _ in self.families)

    @cached_property
    def _bounds(self) -> np.ndarray:
        """First id of each family, and the size at the end."""
        return np.cumsum([0, *(len(values) for _, values in self.families)])

    @property
    def size(self) -> int:
        """Number of tokens; ids run from 0 to ``size`` - 1."""
        return int(self._bounds[-1])

    def slice_of(self, family: str) -> slice:
        """Return the range of ids that a family owns, as a slice for rows of logits."""
        checks.check_choice("A family", family, self.names)
        index = self.names.index(family)
        return slice(int(self._bounds[index]), int(self._bounds[index + 1]))

    def id_of(self, family: str, value: Hashable = None) -> int:
        """Return the id of one token; a family of one token needs no value."""
        first, values = self.slice_of(family).start, dict(self.families)[family]
        checks.check_choice(f"A value of the family {family!r}", value, values)
        return first + values.index(value)

    def family_of(self, ids: ArrayLike) -> np.ndarray:
        """Return the family's name of every id, as an array of strings of the same shape."""
        return np.array(self.names)[np.searchsorted(self._bounds, self.check(ids), side="right") - 1]

    @cached_property
    def _texts(self) -> list[str]:
        """Every token as text, in order of id."""
        return [name if value is None else f"{name} {value}" for name, values in self.families for value in values]

    def tokens(self, ids: ArrayLike) -> list[str]:
        """Return a row of ids as texts, such as "pitch 60"."""
        return [self._texts[token_id] for token_id in self.check(ids, is_row=True).tolist()]

    def token(self, token_id: int) -> str:
        """Return one id as text."""
        return self.tokens([token_id])[0]

    def table(self) -> str:
        """Return a printable table: family, first id, last id, count, example.

        >>> print(Vocabulary((("rest", (None,)), ("pitch", range(60, 72)))).table())
        family  first  last  count  example
        rest        0     0      1  rest
        pitch       1    12     12  pitch 60
        """
        width = max(map(len, ("family", *self.names)))
        lines = [f"{'family':<{width}}  first  last  count  example"]
        for name, first, stop in zip(self.names, self._bounds, self._bounds[1:], strict=False):
            lines.append(f"{name:<{width}}  {first:>5}  {stop - 1:>4}  {stop - first:>5}  {self._texts[first]}")
        return "\n".join(lines)

    def check(self, ids: ArrayLike, is_row: bool = False) -> Int[np.ndarray, "*shape"]:
        """Return ids as int64, of any shape or one row, or refuse what is not in the vocabulary."""
        array = checks.whole_numbers("Token ids", ids, "Are these logits or probabilities?")
        if array.size:
            checks.check_range(int(array.min()), int(array.max()), self.size, "Token ids")
        if is_row and array.ndim != 1:
            raise ValueError(
                f"Token ids must be one row, shape (n_tokens,); found shape {array.shape}. "
                "Decode one piece of a batch at a time."
            )
        return array


# --- Bars as arrays: from a piece to tokens that count in bars, and back

Meters = tuple[tuple[int, int], ...]


def last_before(is_wanted: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return for each index the greatest index up to it at which the condition holds, or -1."""
    return np.maximum.accumulate(np.where(is_wanted, np.arange(len(is_wanted)), -1))


@dataclass(frozen=True)
class Bars:
    """The bars of a piece, in order."""

    line_step: Int[np.ndarray, " n_bars"]  # where each bar begins; the first below 0 if the music begins inside a bar
    length_step: Int[np.ndarray, " n_bars"]  # how long each bar lasts
    is_short: Bool[np.ndarray, " n_bars"]  # whether that is less than its meter asks for
    meter: Int[np.ndarray, " n_bars"]  # index of its meter

    def locate(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bar of each step, and the position in that bar."""
        bar = np.searchsorted(self.line_step, step, side="right") - 1
        return bar, step - self.line_step[bar]

    def to_meters(self, meters: Meters) -> tuple[music.Meter, ...]:
        """Return a meter for the first bar, each change, and each bar after a short one."""
        if not len(self.line_step):
            return (music.Meter(0, *meters[0]),)
        is_new = np.append(True, (np.diff(self.meter) != 0) | self.is_short[:-1])
        begins = zip(self.line_step[is_new].tolist(), self.meter[is_new].tolist(), strict=True)
        return tuple(music.Meter(line, *meters[meter]) for line, meter in begins)


def bar_lengths(meters: Meters, steps_per_quarter: int) -> Int[np.ndarray, " n_meters"]:
    """Return how many steps a bar of each meter lasts."""
    return np.array([music.as_meter(meter).bar_length_step(steps_per_quarter) for meter in meters])


def bars_of_piece(piece: music.Piece, meters: Meters, last_step: int) -> Bars:
    """Return the bars from the one that holds step 0 to the one that holds ``last_step``.

    Args:
        meters: those that there is a word for; any other one is replaced by the first of them.
    """
    full_step = bar_lengths(meters, piece.steps_per_quarter)
    lines, indices = [], []
    for meter, later in zip(piece.meters, (*piece.meters[1:], None), strict=True):
        entry = (meter.numerator, meter.denominator)
        index = meters.index(entry) if entry in meters else 0
        start = meter.step if meter.step >= 0 else -(-meter.step % int(full_step[index]))
        stop = last_step + 1 if later is None else min(later.step, last_step + 1)
        lines.append(np.arange(start, stop, full_step[index]))
        indices.append(np.full(len(lines[-1]), index))
    line_step, index = np.concatenate(lines), np.concatenate(indices)
    # The last bar counts as full: what follows it is not written.
    length_step = np.append(np.diff(line_step), full_step[index[-1:]])
    return Bars(line_step, length_step, length_step < full_step[index], index)


# --- How music differs from what comes back after encoding and decoding it


@dataclass(frozen=True)
class RoundTrip:
    """How music differs from what comes back after encoding and decoding it.

    Notes are compared in quarters, so that a change of grid alone counts as no change.
    """

    n_notes_in: int  # notes before
    n_notes_out: int  # notes after
    n_changed: dict[str, int]  # how many came back with another "onset", "duration", "velocity" or "part"
    lost: tuple[str, ...]  # what else did not come back, such as "tempo" or "meter"

    def __str__(self) -> str:
        notes = f"{self.n_notes_out} of {self.n_notes_in} notes come back"
        changes = [f"{count} with another {kind}" for kind, count in self.n_changed.items() if count]
        lost = f"lost: {', '.join(self.lost)}" if self.lost else "nothing else is lost"
        return f"{', '.join([notes, *changes])}; {lost}."


# Duration before part: when parts are merged, unisons of unequal length come back whole.
_PASSES = (
    ["pitch", "onset_step", "duration_step", "part"],
    ["pitch", "onset_step", "duration_step"],
    ["pitch", "onset_step", "part"],
    ["pitch", "onset_step"],
    ["pitch"],
)


def match_notes(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair notes with those that they came back as; return the notes of all pairs, before and after.

    What agrees in most is paired first, then what agrees in less; among notes that agree in as much, in order of time.
    """
    names = ["onset_step", "duration_step", "velocity", "part"]
    before, after = np.sort(before, order=names), np.sort(after, order=names)
    match = np.full(len(before), -1)
    for same in _PASSES:
        keys, keys_after = before[same].tolist(), after[same].tolist()
        waiting = defaultdict(list)
        for index in np.setdiff1d(np.arange(len(after)), match)[::-1].tolist():
            waiting[keys_after[index]].append(index)
        for index in np.flatnonzero(match < 0).tolist():
            if alike := waiting.get(keys[index]):
                match[index] = alike.pop()
    return before[match >= 0], after[match[match >= 0]]


def compare_notes(before: np.ndarray, after: np.ndarray, **is_lost: bool) -> RoundTrip:
    """Return how notes on one grid changed, and the names of what else is known to be lost."""
    same_before, same_after = match_notes(before, after)
    names = {"onset": "onset_step", "duration": "duration_step", "velocity": "velocity", "part": "part"}
    n_changed = {kind: int((same_before[name] != same_after[name]).sum()) for kind, name in names.items()}
    return RoundTrip(len(before), len(after), n_changed, tuple(name for name in is_lost if is_lost[name]))


def compare_pieces(before: music.Piece, after: music.Piece) -> RoundTrip:
    """Return what differs between a piece and what came back, on the same grid or another one.

    >>> notes = music.make_notes([0, 24], 24, [60, 62], velocity=[64, 70])
    >>> print(compare_pieces(music.Piece(notes), music.Piece(notes[:1])))
    1 of 2 notes come back; lost: length.
    """
    beats = [max(meter.denominator // 4, 1) for meter in (*before.meters, *after.meters)]
    finest = int(np.lcm.reduce([before.steps_per_quarter, after.steps_per_quarter, *beats]))
    before, after = music.change_grid(before, finest), music.change_grid(after, finest)
    # A meter written otherwise is no loss while the bars are the same, as far as the first piece lasts.
    meters = tuple(dict.fromkeys((each.numerator, each.denominator) for each in (*before.meters, *after.meters)))
    bars = [bars_of_piece(piece, meters, before.n_steps - 1) for piece in (before, after)]
    return compare_notes(
        before.notes,
        after.notes,
        tempo=before.tempos != after.tempos,
        meter=before.n_steps > 0 and not np.array_equal(*((each.line_step, each.meter) for each in bars)),
        parts=before.parts != after.parts,
        length=before.n_steps != after.n_steps,
        title=before.title != after.title,
    )


def compare_grids(before: voices.VoiceGrid, after: voices.VoiceGrid) -> RoundTrip:
    """Return what differs between a voice grid and what came back, at the same number of steps per quarter."""
    return compare_notes(
        voices.to_piece(before).notes,
        voices.to_piece(after).notes,
        tempo=before.quarters_per_minute != after.quarters_per_minute,
        meter=before.meter != after.meter or not np.array_equal(before.bar_position_step, after.bar_position_step),
        key=(before.fifths, before.mode) != (after.fifths, after.mode),
        fermatas=not np.array_equal(before.is_fermata, after.is_fermata),
        title=(before.name, before.title) != (after.name, after.title),
    )


# --- What the tokenizers of pieces share: a grid, a range of pitches, velocity bins and parts

#: Velocity of decoded notes where the tokens say none.
DEFAULT_VELOCITY = 64


def check_pitches(pitch: np.ndarray, lowest: int, highest: int) -> None:
    """Refuse sounding pitches, of notes or of cells, outside a vocabulary."""
    if pitch.size and not (lowest <= pitch.min() and pitch.max() <= highest):
        raise ValueError(
            f"Pitches must lie in {lowest}..{highest}; found {pitch.min()}..{pitch.max()}. Transpose the music, or "
            "choose another lowest_pitch and highest_pitch."
        )


def last_end(notes: np.ndarray) -> int:
    """Return the step at which the last note ends; 0 without notes."""
    return int(music.ends_step(notes).max(initial=0))


@dataclass(frozen=True)
class PieceTokenizer:
    """Base of the tokenizers that encode a ``music.Piece``.

    A piece on another grid is moved to the nearest step of this one. With one part, the notes of all parts are merged
    into it; with several, each note keeps its part. Both are reported by ``what_is_lost``.
    """

    steps_per_quarter: int = music.DEFAULT_STEPS_PER_QUARTER  # grid of the tokens, and of the decoded piece
    lowest_pitch: int = 0  # lowest MIDI pitch of the vocabulary
    highest_pitch: int = 127  # highest MIDI pitch of the vocabulary
    n_velocities: int = 32  # how many velocity tokens there are; 0 leaves velocity out, decoded notes have 64
    parts: tuple[music.Part, ...] = (music.Part(),)  # parts of the decoded piece, in order

    def __post_init__(self) -> None:
        checks.check_grid(self.steps_per_quarter)
        checks.check_sizes(self, *(field.name for field in fields(self) if field.name.startswith("max_")))
        checks.whole_number("lowest_pitch", self.lowest_pitch, 0, 127)
        checks.whole_number("highest_pitch", self.highest_pitch, self.lowest_pitch, 127)
        checks.whole_number("n_velocities", self.n_velocities, 0, 127, "0 leaves velocity out.")
        object.__setattr__(self, "parts", tuple(self.parts))
        checks.check_some(len(self.parts), "A tokenizer of pieces needs at least one part", "The default is one part.")

    def what_is_lost(self, piece: music.Piece) -> RoundTrip:
        """Compare a piece with what comes back after encoding and decoding."""
        return compare_pieces(piece, self.decode(self.encode(piece)))

    @cached_property
    def velocities(self) -> np.ndarray:
        """Velocities that the tokens stand for: evenly spaced, the last is 127; an even number of them includes 64."""
        n = self.n_velocities
        return (127 * np.arange(1, n + 1) + n // 2) // max(n, 1)

    @cached_property
    def _nearest_velocity(self) -> np.ndarray:
        """Place of the nearest of them for each MIDI velocity; the softer of two that are equally near."""
        offered = self.velocities if self.n_velocities else np.array([DEFAULT_VELOCITY])
        return np.abs(np.arange(128)[:, None] - offered).argmin(axis=1)

    @property
    def _values(self) -> dict[str, Sequence[Hashable]]:
        """Values of the families that tokenizers share; none where there is no choice."""
        return {
            "pitch": range(self.lowest_pitch, self.highest_pitch + 1),
            "velocity": self.velocities.tolist(),
            "part": range(len(self.parts) if len(self.parts) > 1 else 0),
        }

    def _make_vocabulary(self, *names: str, **others: Sequence[Hashable]) -> Vocabulary:
        """Return the families of these names that have values, shared ones and others."""
        values = self._values | others
        return Vocabulary(tuple((name, tuple(values[name])) for name in names if len(values[name])))

    def _first(self, name: str) -> int:
        """Return the first id of a family, or 0 if the vocabulary is without it."""
        return self.vocabulary.slice_of(name).start if name in self.vocabulary.names else 0

    def _latest(self, ids: np.ndarray, family: np.ndarray, name: str, values: np.ndarray, default: int) -> np.ndarray:
        """Return for each token the value of the latest token of a family, or the default before the first."""
        last = last_before(family == name)
        latest = np.full(len(ids), default)
        latest[last >= 0] = values[ids[last[last >= 0]] - self._first(name)]
        return latest

    def _prepare(self, piece: music.Piece) -> music.Piece:
        """Return the piece on this grid and with these parts, or refuse it."""
        music.check_is_piece(piece)
        if len(piece.parts) > 1 and len(self.parts) == 1:
            notes = piece.notes.copy()
            notes["part"] = 0
            piece = replace(piece, notes=notes)
        check_pitches(piece.notes["pitch"], self.lowest_pitch, self.highest_pitch)
        highest_part = int(piece.notes["part"].max(initial=0))
        if highest_part >= len(self.parts):
            raise ValueError(
                f"This tokenizer has {len(self.parts)} parts; the piece has a note in part {highest_part}. "
                "Pass parts=piece.parts to the tokenizer, or one part to merge them all."
            )
        if piece.steps_per_quarter == self.steps_per_quarter:
            return piece
        return music.change_grid(piece, self.steps_per_quarter, may_round=True)


@dataclass(frozen=True)
class BarTokenizer(PieceTokenizer):
    """Base of the tokenizers that count in bars and give each note its duration."""

    meters: Meters = ((4, 4),)  # meters of the vocabulary; a bar of any other one counts as the first of them
    max_duration_quarter: int = 8  # longest note; a longer one is shortened to it

    def __post_init__(self) -> None:
        super().__post_init__()
        meters = tuple((meter.numerator, meter.denominator) for meter in map(music.as_meter, self.meters))
        if not meters or len(set(meters)) < len(meters):
            raise ValueError(f"A tokenizer needs at least one meter, as in ((4, 4),), and each once; found {meters}.")
        object.__setattr__(self, "meters", meters)
        self._bar_steps  # noqa: B018 refuses bars that are not whole steps

    @cached_property
    def _bar_steps(self) -> np.ndarray:
        """How many steps a bar of each meter lasts."""
        return bar_lengths(self.meters, self.steps_per_quarter)

    @property
    def _values(self) -> dict[str, Sequence[Hashable]]:
        """Values of the families that tokenizers of bars share."""
        meters = [f"{numerator}/{denominator}" for numerator, denominator in self.meters]
        return super()._values | {
            "position": range(self._bar_steps.max()),
            "duration": range(1, self.max_duration_quarter * self.steps_per_quarter + 1),
            "meter": meters if len(meters) > 1 else (),
        }

    def _events(self, piece: music.Piece, *others: np.ndarray) -> tuple[np.ndarray, Bars]:
        """Return the steps of other events, of all notes and of an end later than theirs; and the bars."""
        late_end = [piece.n_steps] if piece.n_steps > last_end(piece.notes) else []
        event_step = np.concatenate([*others, piece.notes["onset_step"], np.array(late_end, np.int64)])
        return event_step, bars_of_piece(piece, self.meters, int(event_step.max()))

    def _places(self, notes: np.ndarray) -> dict[str, np.ndarray]:
        """Return for each family that describes a note the place of each note's value."""
        longest_step = self.max_duration_quarter * self.steps_per_quarter
        places = {
            "pitch": notes["pitch"] - self.lowest_pitch,
            "velocity": self._nearest_velocity[notes["velocity"]],
            "duration": np.minimum(notes["duration_step"], longest_step) - 1,
            "part": notes["part"],
        }
        return {name: place for name, place in places.items() if name in self.vocabulary.names}

    def _bars_of_tokens(
        self, bar: np.ndarray, position: np.ndarray, meter: np.ndarray, is_cut: np.ndarray, begins_inside: bool
    ) -> Bars:
        """Return the bars that tokens, or words, describe.

        Args:
            bar: number of the bar in which each token stands.
            position: how far into that bar.
            meter: place of the meter that each token names, -1 for none; a bar has the first that it names, or that of
                the bar before.
            is_cut: True for a token at whose position its bar is cut short, if it can be.
            begins_inside: whether the position of the first token says how far into a bar the music begins.
        """
        n_bars = int(bar[-1]) + 1 if len(bar) else 0
        named = np.flatnonzero(meter >= 0)[::-1]  # backwards: the first that a bar names is written last
        meter_of, end_of = np.full(n_bars, -1), np.zeros(n_bars, np.int64)
        meter_of[bar[named]] = meter[named]
        end_of[bar[is_cut]] = position[is_cut]
        latest = last_before(meter_of >= 0)
        meter_of = np.where(latest >= 0, meter_of[latest], 0)
        full_step = self._bar_steps[meter_of]
        upbeat = int(position[0] % full_step[0]) if begins_inside else 0
        # A bar must hold at least the step at which the music begins.
        is_short = (end_of > np.where(np.arange(n_bars) == 0, upbeat, 0)) & (end_of < full_step)
        length_step = np.where(is_short, end_of, full_step)
        return Bars(np.cumsum(length_step) - length_step - upbeat, length_step, is_short, meter_of)

    def _to_piece(self, bars: Bars, end_step: int, columns: tuple[ArrayLike, ...], **fields: Any) -> music.Piece:
        """Return a piece of decoded notes, which lasts up to a step at least.

        Args:
            columns: onset, place of the duration, place of the pitch, velocity and part of each note.
        """
        notes = np.empty(len(columns[0]), music.NOTE_DTYPE)
        for name, column, first in zip(music.NOTE_DTYPE.names, columns, (0, 1, self.lowest_pitch, 0, 0), strict=True):
            notes[name] = column + first
        notes, n_steps = music.sort_notes(notes), max(last_end(notes), end_step)
        meters = bars.to_meters(self.meters)
        return music.Piece(notes, self.steps_per_quarter, meters, parts=self.parts, n_steps=n_steps, **fields)
