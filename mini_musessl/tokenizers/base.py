"""What all tokenizers share: vocabularies, bars as arrays, and the report of what a round trip loses.

A model reads and writes ids, the whole numbers 0, 1, 2, ...; a reader wants to see "pitch 60". A ``Vocabulary`` lists
*families* of tokens in order (all pitches, all durations, ...) and gives each token the next free id, so that every
family owns one unbroken range. A tokenizer has a ``vocabulary``, ``encode`` (music to ids, int32), ``decode`` (ids of
the vocabulary in *any* order to music: a model may emit anything) and ``what_is_lost``.

Conventions:
    family: tokens of one kind; it has a name and a list of values.
    value: what a token says within its family, such as 60; None where the family has one token only, such as "rest".
    id: 0 .. ``size`` - 1.

Chapter: 3b (tokens).
"""

from abc import ABC, abstractmethod
from collections import defaultdict, namedtuple
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl import checks, music, voices

# --- Vocabularies: which tokens there are, and which whole number stands for each


@dataclass(frozen=True)
class Vocabulary:
    """Token families in order, pairs of a name and its values, with consecutive ids.

    Example:
        >>> vocabulary = Vocabulary((("rest", (None,)), ("pitch", range(60, 72))))
        >>> vocabulary.size, vocabulary.id_of("pitch", 62), vocabulary.token(3), vocabulary.slice_of("pitch")
        (13, 3, 'pitch 62', slice(1, 13, None))
        >>> vocabulary.tokens([0, 1]), vocabulary.family_of([0, 1]).tolist()
        (['rest', 'pitch 60'], ['rest', 'pitch'])
    """

    families: tuple[tuple[str, tuple[Hashable, ...]], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "families", tuple((name, tuple(values)) for name, values in self.families))
        if not self.families or len(set(self.names)) < len(self.names):
            raise ValueError(f"A vocabulary needs at least one family, and each name once; found {self.names}.")
        for name, values in self.families:
            if not values or len(set(values)) < len(values):
                raise ValueError(
                    f"A family needs at least one value, and each value once; family {name!r} has {len(values)} "
                    f"values, {len(set(values))} of them different."
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
        if value not in values:
            raise ValueError(
                f"Family {family!r} holds {len(values)} values from {values[0]!r} to {values[-1]!r}; found {value!r}. "
                "Choose a value from the family, or make a vocabulary that holds it."
            )
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
        return [self._texts[token_id] for token_id in self.check_row(ids).tolist()]

    def token(self, token_id: int) -> str:
        """Return one id as text."""
        return self.tokens([token_id])[0]

    def table(self) -> str:
        """Return a printable table: family, first id, last id, count, example.

        Example:
            >>> print(Vocabulary((("rest", (None,)), ("pitch", range(60, 72)))).table())
            family  first  last  count  example
            rest        0     0      1  rest
            pitch       1    12     12  pitch 60
        """
        width = max(map(len, ("family", *self.names)))
        lines = [f"{'family':<{width}}  first  last  count  example"]
        for name, values in self.families:
            first = self.slice_of(name).start
            last = first + len(values) - 1
            lines.append(f"{name:<{width}}  {first:>5}  {last:>4}  {len(values):>5}  {self.token(first)}")
        return "\n".join(lines)

    def check(self, ids: ArrayLike) -> Int[np.ndarray, "*shape"]:
        """Return ids of any shape as int64, or refuse what is not in the vocabulary."""
        array = np.asarray(ids)
        if array.size and array.dtype.kind not in "iu":
            raise TypeError(
                f"Token ids must be whole numbers; found an array of {array.dtype}. Are these logits or probabilities?"
            )
        if array.size:
            checks.check_range(int(array.min()), int(array.max()), self.size, "Token ids")
        return array.astype(np.int64)

    def check_row(self, ids: ArrayLike) -> Int[np.ndarray, " n_tokens"]:
        """Return one row of ids as int64, or refuse it."""
        row = self.check(ids)
        if row.ndim != 1:
            raise ValueError(
                f"Token ids must be one row, shape (n_tokens,); found shape {row.shape}. "
                "Decode one piece of a batch at a time."
            )
        return row


# --- Bars as arrays: from a piece to tokens that count in bars, and back

Meters = tuple[tuple[int, int], ...]


def last_before(is_wanted: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return for each index the greatest index up to it at which the condition holds, or -1."""
    return np.maximum.accumulate(np.where(is_wanted, np.arange(len(is_wanted)), -1))


def last_end(notes: np.ndarray) -> int:
    """Return the step at which the last note ends; 0 without notes."""
    return int((notes["onset_step"] + notes["duration_step"]).max(initial=0))


@dataclass(frozen=True)
class Bars:
    """The bars of a piece, in order."""

    line_step: Int[np.ndarray, " n_bars"]  # where each bar begins; the first below 0 if the music begins inside a bar
    length_step: Int[np.ndarray, " n_bars"]  # how long each bar lasts
    full_length_step: Int[np.ndarray, " n_bars"]  # how long its meter makes it
    meter: Int[np.ndarray, " n_bars"]  # index of its meter

    @property
    def phase_step(self) -> int:
        """How many steps of the first bar have passed where the music begins."""
        return -int(self.line_step[0]) if len(self.line_step) else 0

    @property
    def is_short(self) -> Bool[np.ndarray, " n_bars"]:
        """True where a bar is shorter than its meter."""
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
        begins = zip(self.line_step[is_new].tolist(), self.meter[is_new].tolist(), strict=True)
        return tuple(music.Meter(line, *meters[meter]) for line, meter in begins)


def full_lengths(meters: Meters, steps_per_quarter: int) -> Int[np.ndarray, " n_meters"]:
    """Return how many steps a bar of each meter lasts."""
    return np.array([music.as_meter(meter).bar_length_step(steps_per_quarter) for meter in meters])


def bars_of_piece(piece: music.Piece, meters: Meters, last_step: int) -> Bars:
    """Return the bars from the one that holds step 0 to the one that holds ``last_step``.

    Args:
        meters: those that there is a word for; any other one is replaced by the first of them.
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
    return Bars(np.cumsum(length) - length - phase_step, length, full_length, meter)


# --- How music differs from what comes back after encoding and decoding it


@dataclass(frozen=True)
class RoundTrip:
    """How music differs from what comes back after encoding and decoding it.

    Notes are compared in quarters, so that a change of grid alone counts as no change.
    """

    n_notes_in: int  # notes before
    n_notes_out: int  # notes after
    n_changed_onsets: int = 0
    n_changed_durations: int = 0
    n_changed_velocities: int = 0
    n_changed_parts: int = 0
    lost: tuple[str, ...] = ()  # what else did not come back, such as "tempo" or "meter"

    @property
    def is_nothing(self) -> bool:
        """True if the music came back as it was."""
        return self == RoundTrip(self.n_notes_in, self.n_notes_in)

    def __str__(self) -> str:
        kinds = ("onset", "duration", "velocity", "part")
        counts = (self.n_changed_onsets, self.n_changed_durations, self.n_changed_velocities, self.n_changed_parts)
        changes = [f"{count} with another {kind}" for kind, count in zip(kinds, counts, strict=True) if count]
        notes = f"{self.n_notes_out} of {self.n_notes_in} notes come back"
        lost = f"lost: {', '.join(self.lost)}" if self.lost else "nothing else is lost"
        return f"{', '.join([notes, *changes])}; {lost}."


_Note = namedtuple("_Note", music.NOTE_DTYPE.names)
_AT_ONSET = ("pitch", "onset_step")
# Duration before part: when parts are merged, unisons of unequal length come back whole.
_PASSES = (
    (*_AT_ONSET, "duration_step", "part"),
    (*_AT_ONSET, "duration_step"),
    (*_AT_ONSET, "part"),
    _AT_ONSET,
    ("pitch",),
)
_by_time = attrgetter("onset_step", "duration_step", "velocity", "part")


def match_notes(before: np.ndarray, after: np.ndarray) -> list[tuple[_Note, _Note]]:
    """Pair notes with those that they came back as.

    They are matched by pitch, onset, duration and part; what then remains without the part; then by pitch, onset and
    part; by pitch and onset; by pitch. Among notes that agree in these, the k-th is matched with the k-th.
    """
    left, right = ([_Note(*row) for row in notes.tolist()] for notes in (before, after))
    pairs = []
    for names in _PASSES:
        key_of, waiting = attrgetter(*names), defaultdict(list)
        for note in sorted(right, key=_by_time, reverse=True):
            waiting[key_of(note)].append(note)
        unmatched = []
        for note in sorted(left, key=_by_time):
            if same := waiting.get(key_of(note)):
                pairs.append((note, same.pop()))
            else:
                unmatched.append(note)
        left, right = unmatched, [note for notes in waiting.values() for note in notes]
    return pairs


def compare_notes(before: np.ndarray, after: np.ndarray, lost: tuple[str, ...] = ()) -> RoundTrip:
    """Return which notes changed, given two arrays of notes on one grid, and what else is known to be lost."""
    pairs = match_notes(before, after)
    changed = {name: sum(getattr(a, name) != getattr(b, name) for a, b in pairs) for name in _Note._fields}
    return RoundTrip(
        n_notes_in=len(before),
        n_notes_out=len(after),
        n_changed_onsets=changed["onset_step"],
        n_changed_durations=changed["duration_step"],
        n_changed_velocities=changed["velocity"],
        n_changed_parts=changed["part"],
        lost=lost,
    )


def compare_pieces(before: music.Piece, after: music.Piece) -> RoundTrip:
    """Return what differs between a piece and what came back, on the same grid or another one.

    Example:
        >>> notes = music.make_notes([0, 24], 24, [60, 62], velocity=[64, 70])
        >>> print(compare_pieces(music.Piece(notes), music.Piece(notes[:1])))
        1 of 2 notes come back; lost: length.
    """
    beats = [max(meter.denominator // 4, 1) for meter in (*before.meters, *after.meters)]
    finest = int(np.lcm.reduce([before.steps_per_quarter, after.steps_per_quarter, *beats]))
    first, second = music.change_grid(before, finest), music.change_grid(after, finest)
    is_lost = {
        "tempo": first.tempos != second.tempos,
        "meter": not _have_same_bars(first, second),
        "parts": first.parts != second.parts,
        "length": first.n_steps != second.n_steps,
        "title": first.title != second.title,
    }
    return compare_notes(first.notes, second.notes, tuple(name for name in is_lost if is_lost[name]))


def _have_same_bars(first: music.Piece, second: music.Piece) -> bool:
    """Say whether two pieces on one grid have the same bars, as far as the first one lasts."""
    if first.n_steps == 0:
        return True
    meters = tuple({(each.numerator, each.denominator): 0 for each in (*first.meters, *second.meters)})
    one, other = (bars_of_piece(piece, meters, first.n_steps - 1) for piece in (first, second))
    return np.array_equal(one.line_step, other.line_step) and np.array_equal(one.meter, other.meter)


def compare_grids(before: voices.VoiceGrid, after: voices.VoiceGrid) -> RoundTrip:
    """Return what differs between a voice grid and what came back, at the same number of steps per quarter."""
    is_lost = {
        "tempo": before.quarters_per_minute != after.quarters_per_minute,
        "meter": before.meter != after.meter or not np.array_equal(before.bar_position_step, after.bar_position_step),
        "key": (before.fifths, before.mode) != (after.fifths, after.mode),
        "fermatas": not np.array_equal(before.is_fermata, after.is_fermata),
        "title": (before.name, before.title) != (after.name, after.title),
    }
    notes_before, notes_after = voices.to_piece(before).notes, voices.to_piece(after).notes
    return compare_notes(notes_before, notes_after, tuple(name for name in is_lost if is_lost[name]))


# --- What the tokenizers of pieces share: a grid, a range of pitches, velocity bins and parts

#: Velocity of decoded notes where the tokens say none.
DEFAULT_VELOCITY = 64


def check_kind(given: object, kind: type, tokenizer: str) -> None:
    """Refuse music in another form, ``music.Piece`` or ``voices.VoiceGrid``, than the tokenizer encodes."""
    if not isinstance(given, kind):
        advice = {
            voices.VoiceGrid: "Turn the grid into notes with voices.to_piece.",
            music.Piece: "Turn the notes into voices with voices.from_piece.",
        }.get(type(given), "")
        wanted = f"{kind.__module__.split('.')[-1]}.{kind.__name__}"
        raise TypeError(f"{tokenizer} encodes a {wanted}; found {type(given).__name__}. {advice}".rstrip())


def check_pitches(pitch: np.ndarray, lowest: int, highest: int) -> None:
    """Refuse sounding pitches, of notes or of cells, outside a vocabulary."""
    if pitch.size and not (lowest <= pitch.min() and pitch.max() <= highest):
        raise ValueError(
            f"Pitches must lie in {lowest}..{highest}; found {pitch.min()}..{pitch.max()}. Transpose the music, or "
            "choose another lowest_pitch and highest_pitch."
        )


def check_pitch_range(lowest_pitch: int, highest_pitch: int) -> None:
    """Refuse a range of pitches that holds none, or reaches beyond those of MIDI."""
    checks.whole_number("lowest_pitch", lowest_pitch, 0, 127)
    checks.whole_number("highest_pitch", highest_pitch, lowest_pitch, 127)


@dataclass(frozen=True)
class PieceTokenizer(ABC):
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
        check_pitch_range(self.lowest_pitch, self.highest_pitch)
        checks.whole_number("n_velocities", self.n_velocities, 0, 127, "0 leaves velocity out.")
        object.__setattr__(self, "parts", tuple(self.parts))
        checks.check_some(len(self.parts), "A tokenizer of pieces needs at least one part", "The default is one part.")

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """Which tokens there are."""

    @abstractmethod
    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece on any grid into tokens, int32; every pitch and part must be in the vocabulary."""

    @abstractmethod
    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn ids of the vocabulary, in any order, into a piece on the grid and with the parts of this tokenizer."""

    def what_is_lost(self, piece: music.Piece) -> RoundTrip:
        """Compare a piece with what comes back after encoding and decoding."""
        return compare_pieces(piece, self.decode(self.encode(piece)))

    @cached_property
    def velocities(self) -> np.ndarray:
        """Velocities that the tokens stand for: evenly spaced, the last is 127; an even number of them includes 64."""
        n = self.n_velocities
        return (127 * np.arange(1, n + 1) + n // 2) // max(n, 1)

    @cached_property
    def nearest_velocity(self) -> np.ndarray:
        """Index of the nearest of them for each MIDI velocity; the softer of two that are equally near."""
        if self.n_velocities == 0:
            return np.zeros(128, np.int64)
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

    def _first(self, name: str) -> int:
        """Return the first id of a family, or 0 if the vocabulary is without it."""
        return self.vocabulary.slice_of(name).start if name in self.vocabulary.names else 0

    def _prepare(self, piece: music.Piece) -> music.Piece:
        """Return the piece on this grid and with these parts, or refuse it."""
        check_kind(piece, music.Piece, type(self).__name__)
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
        full_lengths(meters, self.steps_per_quarter)  # refuses bars that are not whole steps
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
