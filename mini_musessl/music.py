"""Notes on an integer grid: the form in which all music of the book is held.

A *step* is one unit of the grid. ``steps_per_quarter`` says how many steps a quarter note lasts: 24 holds triplets and
thirty-second notes exactly, 4 is the grid of sixteenth notes on which the Bach chorales live. All times are whole
numbers of steps; seconds appear only where sound or a MIDI file is made.

Conventions:
    notes: structured array with one row a note, ordered by onset (fields in ``NOTE_DTYPE``).
    pitch: MIDI number, 0..127; 60 is middle C, one more is a semitone higher.
    velocity: MIDI loudness of the attack, 1..127.
    part: index into ``Piece.parts``.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl.checks import check_grid, whole_number, whole_numbers

LARGEST_STEP = int(np.iinfo(np.int32).max)

# --- Meters and tempos: what holds from a step on


@dataclass(frozen=True)
class Meter:
    """A time signature and the place where its bars begin to be counted.

    ``step`` is the first bar line. For the first meter of a piece it may be negative: a piece in 4/4 that begins with
    an upbeat of one quarter, at 4 steps a quarter, has ``Meter(-12, 4, 4)``: step 0 is the last quarter of a bar.
    """

    step: int
    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        for name in ("step", "numerator", "denominator"):
            _store_whole(self, name, "Write 4/4 from the start as Meter(0, 4, 4).")
        is_power_of_two = self.denominator > 0 and self.denominator & (self.denominator - 1) == 0
        if self.numerator < 1 or not is_power_of_two:
            raise ValueError(
                "A meter needs a numerator of at least 1 and a power of two below it; "
                f"found {self.numerator}/{self.denominator}. Write 4/4 as Meter(0, 4, 4)."
            )

    def bar_length_step(self, steps_per_quarter: int) -> int:
        """Return how many steps one bar lasts.

        Args:
            steps_per_quarter: steps in a quarter note.

        Raises:
            ValueError: the bar is not a whole number of steps on this grid.
        """
        length, remainder = divmod(self.numerator * 4 * steps_per_quarter, self.denominator)
        if remainder:
            raise ValueError(
                f"A bar must be a whole number of steps; {self.numerator}/{self.denominator} at "
                f"{steps_per_quarter} steps a "
                "quarter is not. Use a finer grid, such as 24 steps a quarter."
            )
        return length


@dataclass(frozen=True)
class Tempo:
    """A speed in quarter notes a minute, from ``step`` on."""

    step: int
    quarters_per_minute: float

    def __post_init__(self) -> None:
        _store_whole(self, "step", "Are these seconds or bars?")
        if not isinstance(self.quarters_per_minute, (int, float, np.integer, np.floating)):
            raise TypeError(f"A tempo must be a number of quarters a minute; found {self.quarters_per_minute!r}.")
        if not 0 < self.quarters_per_minute < float("inf"):
            raise ValueError(
                f"A tempo must be above 0 quarters a minute; found {self.quarters_per_minute}. 120 is the MIDI default."
            )


def as_meter(meter: tuple[int, int]) -> Meter:
    """Return a numerator and a denominator as a ``Meter`` that begins at step 0.

    Args:
        meter: (numerator, denominator), such as (4, 4).

    Raises:
        TypeError: it is not a pair of whole numbers.
        ValueError: there is no such meter.

    Example:
        >>> as_meter((3, 8))
        Meter(step=0, numerator=3, denominator=8)

    Chapter: 3a.
    """
    if isinstance(meter, str) or not isinstance(meter, Sequence) or len(meter) != 2:
        raise TypeError(f"A meter must be a pair of whole numbers, (4, 4) for 4/4; found {meter!r}.")
    return Meter(0, *meter)


def check_timeline(name: str, entries: Sequence[Meter] | Sequence[Tempo], may_start_early: bool) -> None:
    """Check that meters or tempos begin at the start of the piece and are in order.

    Args:
        name: what to call them in the message.
        entries: the meters or the tempos.
        may_start_early: True lets the first one begin before step 0.

    Raises:
        ValueError: they are not in order, or the first one is not where it must be.
    """
    steps = [entry.step for entry in entries]
    starts_well = bool(steps) and (steps[0] <= 0 if may_start_early else steps[0] == 0)
    if not starts_well or any(later <= earlier for earlier, later in zip(steps[:-1], steps[1:], strict=True)):
        raise ValueError(
            f"{name} must begin at step 0{' or before' if may_start_early else ''} and go on in "
            f"rising order; found steps {steps}."
        )
    if may_start_early and any(step <= 0 for step in steps[1:]):
        raise ValueError(f"Only the first of {name} may begin at or before step 0; found steps {steps}.")


def _store_whole(entry: object, name: str, advice: str) -> None:
    """Check that a field of a frozen dataclass is a whole number, and store it as ``int``."""
    object.__setattr__(entry, name, whole_number(name, getattr(entry, name), -LARGEST_STEP, LARGEST_STEP, advice))


# --- Notes as rows of one array: made, checked, ordered

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


# --- One work: its notes, its parts, and what is needed to count its bars and to play it

#: 24 steps a quarter hold sixteenths (6), triplet eighths (8), thirty-seconds (3) and sextuplets (4) exactly.
DEFAULT_STEPS_PER_QUARTER = 24


@dataclass(frozen=True)
class Part:
    """One instrument or voice: its name, General MIDI program (0..127, 0 is piano), and whether it is a drum kit."""

    name: str = ""
    program: int = 0
    is_drum: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"The name of a part must be text; found {self.name!r}.")
        if any("\ud800" <= character <= "\udfff" for character in self.name):
            raise ValueError(f"The name of a part must be text that files can hold; found {self.name!r}.")
        whole_number("program", self.program, 0, 127, 'General MIDI counts from 0, "acoustic grand piano".')


@dataclass(frozen=True, eq=False)
class Piece:
    """One work: its notes and what is needed to count bars and to play it.

    Attributes:
        notes: structured array of ``NOTE_DTYPE``, ordered by ``onset_step``; notes with one onset are put in the order
            part, pitch, duration, velocity, so that equal music has equal arrays.
        steps_per_quarter: steps in a quarter note.
        meters: time signatures in order of their step; only the first may begin before step 0.
        tempos: speeds in order of their step; the first is at step 0.
        parts: one entry for each value that ``notes["part"]`` takes, at least one.
        n_steps: length of the piece in steps, below 2**31; by default the end of the last note.
        title: what to call the piece.

    Raises:
        TypeError, ValueError: the notes or the lists break a rule above.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> piece = Piece(make_notes(onset_step=[0, 24], duration_step=[24, 24], pitch=[60, 64]))
        >>> piece.n_steps, piece.notes["pitch"].tolist()
        (48, [60, 64])
    """

    notes: np.ndarray
    steps_per_quarter: int = DEFAULT_STEPS_PER_QUARTER
    meters: tuple[Meter, ...] = (Meter(0, 4, 4),)
    tempos: tuple[Tempo, ...] = (Tempo(0, 120.0),)
    parts: tuple[Part, ...] = (Part(),)
    n_steps: int | None = None
    title: str = field(default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps_per_quarter", check_grid(self.steps_per_quarter))
        for name, kind in (("meters", Meter), ("tempos", Tempo), ("parts", Part)):
            object.__setattr__(self, name, tuple_of(kind, name, getattr(self, name)))
        check_notes(self.notes, n_parts=len(self.parts))
        check_timeline("meters", self.meters, may_start_early=True)
        check_timeline("tempos", self.tempos, may_start_early=False)
        end_step = int(ends_step(self.notes).max(initial=0))
        n_steps = end_step if self.n_steps is None else whole_number("n_steps", self.n_steps, 0, LARGEST_STEP)
        if n_steps < end_step:
            raise ValueError(
                f"A piece must be at least as long as its notes; n_steps is {n_steps} and the last note ends at "
                f"{end_step}. Leave n_steps out, or cut the piece first."
            )
        object.__setattr__(self, "notes", sort_notes(self.notes))
        object.__setattr__(self, "n_steps", n_steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Piece):
            return NotImplemented
        rest = ("steps_per_quarter", "meters", "tempos", "parts", "n_steps", "title")
        same_rest = all(getattr(self, name) == getattr(other, name) for name in rest)
        return same_rest and np.array_equal(self.notes, other.notes)

    def __repr__(self) -> str:
        return (
            f"Piece({self.title!r}, {len(self.notes)} notes, {len(self.parts)} parts, {self.n_steps} steps, "
            f"{self.steps_per_quarter} steps a quarter)"
        )


def tuple_of(kind: type, name: str, entries: Iterable) -> tuple:
    """Return meters, tempos or parts as a tuple, or refuse what they are not.

    Args:
        kind: ``Meter``, ``Tempo`` or ``Part``.
        name: what to call the entries in the message.
        entries: a list or tuple of them.

    Raises:
        TypeError: it is one entry, not a list, or holds something else.

    Example:
        >>> tuple_of(Part, "parts", [Part("flute")])
        (Part(name='flute', program=0, is_drum=False),)

    Chapter: 3a.
    """
    if isinstance(entries, kind) or not isinstance(entries, Iterable):
        raise TypeError(f"{name} must be a list; found {entries!r}. Write {name}=({kind.__name__}(...),).")
    entries = tuple(entries)
    for entry in entries:
        if not isinstance(entry, kind):
            raise TypeError(f"{name} must hold music.{kind.__name__}; found {type(entry).__name__}.")
    return entries


def check_is_piece(piece: Piece) -> None:
    """Refuse what is not a ``Piece``.

    Args:
        piece: what the caller gave.

    Raises:
        TypeError: it is something else.

    Chapter: 3a.
    """
    if not isinstance(piece, Piece):
        raise TypeError(
            f"Music must be a music.Piece here; found {type(piece).__name__}. "
            "Put notes into one with music.Piece(notes), a voice grid with voices.to_piece(grid)."
        )


def is_drum_note(piece: Piece) -> np.ndarray:
    """Return for each note whether a drum kit plays it, bool (n_notes,); its pitch then names an instrument.

    Args:
        piece: the piece.

    Chapter: 3a.
    """
    return np.array([part.is_drum for part in piece.parts], bool)[piece.notes["part"]]


# --- Places in time: steps and seconds, bar lines and the way from them


def steps_to_sec(piece: Piece, step: ArrayLike) -> np.ndarray:
    """Return the time in seconds at which each step begins, by the piece's tempos.

    Args:
        piece: the piece; only its grid and its tempos matter.
        step: steps from the start, any shape; a fraction is a place between two steps.

    Returns:
        float64 seconds, of the shape of ``step``.

    Raises:
        TypeError: it is not a piece.
        ValueError: a step is not a finite number.

    Chapter: 3a.

    Example:
        >>> from mini_musessl.music import Tempo, make_notes
        >>> piece = Piece(make_notes([0], [24], [60]), tempos=(Tempo(0, 60.0),))
        >>> steps_to_sec(piece, [0, 24, 36]).tolist()
        [0.0, 1.0, 1.5]
    """
    tempo_step, tempo_sec, sec_per_step = _tempo_table(piece)
    step = _finite("Steps", step)
    index = (np.searchsorted(tempo_step, step, side="right") - 1).clip(min=0)
    return tempo_sec[index] + (step - tempo_step[index]) * sec_per_step[index]


def sec_to_steps(piece: Piece, sec: ArrayLike) -> np.ndarray:
    """Return the step nearest to each time in seconds, by the piece's tempos.

    Args:
        piece: the piece; only its grid and its tempos matter.
        sec: times in seconds from the start, any shape.

    Returns:
        int64 steps, of the shape of ``sec``.

    Raises:
        TypeError: it is not a piece.
        ValueError: a time is not a finite number.

    Example:
        >>> from mini_musessl.music import Tempo, make_notes
        >>> piece = Piece(make_notes([0], [24], [60]), tempos=(Tempo(0, 60.0),))
        >>> sec_to_steps(piece, [0.0, 1.0, 1.49]).tolist()
        [0, 24, 36]

    Chapter: 3a.
    """
    tempo_step, tempo_sec, sec_per_step = _tempo_table(piece)
    sec = _finite("Seconds", sec)
    index = (np.searchsorted(tempo_sec, sec, side="right") - 1).clip(min=0)
    return np.rint(tempo_step[index] + (sec - tempo_sec[index]) / sec_per_step[index]).astype(np.int64)


def bar_lines_step(piece: Piece) -> np.ndarray:
    """Return the steps from 0 up to the end of the piece at which a bar begins, in order.

    Args:
        piece: the piece; only its grid, length and meters matter.

    Returns:
        int64 (n_bar_lines,).

    Chapter: 3a.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> bar_lines_step(Piece(make_notes([0], [24 * 8], [60]))).tolist()
        [0, 96]
    """
    check_is_piece(piece)
    lines: list[int] = []
    for meter, next_meter in zip(piece.meters, (*piece.meters[1:], None), strict=True):
        stop = piece.n_steps if next_meter is None else min(next_meter.step, piece.n_steps)
        lines += range(meter.step, stop, meter.bar_length_step(piece.steps_per_quarter))
    return np.array([line for line in lines if line >= 0], dtype=np.int64)


def bar_position_step(piece: Piece, step: ArrayLike) -> np.ndarray:
    """Return how many steps after the latest bar line each step lies; 0 on the bar line.

    Args:
        piece: the piece; only its grid and its meters matter.
        step: steps from the start, any shape.

    Returns:
        int64, of the shape of ``step``.

    Raises:
        TypeError: it is not a piece, or a step is no whole number.

    Chapter: 3a.

    Example:
        >>> from mini_musessl.music import Meter, make_notes
        >>> upbeat = Piece(make_notes([0], [96], [60]), meters=(Meter(-72, 4, 4),))
        >>> bar_position_step(upbeat, [0, 23, 24]).tolist()
        [72, 95, 0]
    """
    check_is_piece(piece)
    starts = np.array([meter.step for meter in piece.meters])
    lengths = np.array([meter.bar_length_step(piece.steps_per_quarter) for meter in piece.meters])
    step = whole_numbers("Steps", step)
    index = (np.searchsorted(starts, step, side="right") - 1).clip(min=0)
    return (step - starts[index]) % lengths[index]


def _tempo_table(piece: Piece) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each tempo its step, its time in seconds, and its seconds a step."""
    check_is_piece(piece)
    step = np.array([tempo.step for tempo in piece.tempos], dtype=np.int64)
    sec_per_step = np.array([60 / tempo.quarters_per_minute / piece.steps_per_quarter for tempo in piece.tempos])
    sec = np.concatenate([[0.0], np.cumsum(np.diff(step) * sec_per_step[:-1])])
    return step, sec, sec_per_step


def _finite(name: str, values: ArrayLike) -> np.ndarray:
    """Return numbers as float64, or refuse NaN and infinity."""
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite numbers; found {numbers[~np.isfinite(numbers)][0]}.")
    return numbers


# --- Pieces from pieces: transpose, cut, join


def transpose(piece: Piece, semitones: int) -> Piece:
    """Move every pitch by a number of semitones; drums stay, since their numbers name instruments.

    Args:
        piece: the piece.
        semitones: how far up; negative is down.

    Raises:
        TypeError: it is not a piece, or not a whole number of semitones.
        ValueError: a pitch would leave 0..127.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> piece = Piece(make_notes([0], [24], [60]))
        >>> transpose(piece, -2).notes["pitch"].tolist()
        [58]

    Chapter: 3a.
    """
    check_is_piece(piece)
    moved = piece.notes.copy()
    moved["pitch"] = moved_pitches(moved["pitch"], semitones, is_fixed=is_drum_note(piece))
    return replace(piece, notes=moved)


def moved_pitches(pitch: np.ndarray, semitones: int, is_fixed: np.ndarray) -> np.ndarray:
    """Return pitches moved by a number of semitones, or refuse to leave the range of MIDI.

    Args:
        pitch: pitches of any shape.
        semitones: how far up; negative is down.
        is_fixed: bool, of the same shape: True where nothing moves, such as rests and drums.

    Returns:
        int64, of the same shape.

    Raises:
        TypeError: not a whole number of semitones.
        ValueError: a pitch would leave 0..127.

    Example:
        >>> moved_pitches(np.array([60, -1]), 2, is_fixed=np.array([False, True])).tolist()
        [62, -1]

    Chapter: 3a.
    """
    try:
        semitones = whole_number("semitones", semitones, -127, 127)
    except ValueError as error:
        raise ValueError(f"{error} Pitches must stay in 0..127; choose a smaller interval.") from None
    moved = pitch.astype(np.int64) + np.where(is_fixed, 0, semitones)
    changed = moved[~is_fixed]
    if changed.size and (changed.min() < 0 or changed.max() > 127):
        raise ValueError(
            f"Pitches must stay in 0..127; moved by {semitones} semitones they reach {changed.min()}..{changed.max()}. "
            "Choose a smaller interval."
        )
    return moved


def cut(piece: Piece, start_step: int, stop_step: int) -> Piece:
    """Cut out the music from ``start_step`` up to, not including, ``stop_step``.

    A note that crosses an edge keeps the part that sounds inside. Bars keep their phase, and the meter and the tempo
    in force at ``start_step`` go along.

    Args:
        piece: the piece.
        start_step: first step that is kept.
        stop_step: first step that is not.

    Raises:
        TypeError: it is not a piece, or the ends are not whole numbers.
        ValueError: not 0 <= start_step < stop_step <= piece.n_steps.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> piece = Piece(make_notes([0, 24], [24, 48], [60, 62]))
        >>> cut(piece, 24, 48).notes[["onset_step", "duration_step", "pitch"]].tolist()
        [(0, 24, 62)]

    Chapter: 3a.
    """
    check_is_piece(piece)
    check_cut(start_step, stop_step, piece.n_steps)
    onset_step = piece.notes["onset_step"].clip(min=start_step)
    end_step = ends_step(piece.notes).clip(max=stop_step)
    is_inside = end_step > onset_step
    notes = piece.notes[is_inside]
    notes["onset_step"] = onset_step[is_inside] - start_step
    notes["duration_step"] = (end_step - onset_step)[is_inside]
    return replace(
        piece,
        notes=sort_notes(notes),
        n_steps=stop_step - start_step,
        meters=_cut_meters(piece, start_step, stop_step),
        tempos=_cut_tempos(piece, start_step, stop_step),
    )


def check_cut(start_step: int, stop_step: int, n_steps: int) -> None:
    """Refuse the ends of a cut that holds no step, or that reaches outside the music.

    Args:
        start_step: first step that is kept.
        stop_step: first step that is not.
        n_steps: length of the music.

    Raises:
        TypeError: an end is not a whole number.
        ValueError: not 0 <= start_step < stop_step <= n_steps.

    Chapter: 3a.
    """
    for name, step in (("start_step", start_step), ("stop_step", stop_step)):
        whole_number(name, step, -LARGEST_STEP, advice="Are these seconds or bars? Both ends are steps.")
    if not 0 <= start_step < stop_step <= n_steps:
        raise ValueError(
            f"A cut needs 0 <= start_step < stop_step <= {n_steps}; found {start_step} and {stop_step}. "
            "Are these seconds or bars? Both ends are steps."
        )


def join(pieces: Iterable[Piece]) -> Piece:
    """Put pieces one after another.

    Each piece begins where the one before it ends (``n_steps``), and brings its meters and tempos along. The title and
    the parts are those of the first.

    Args:
        pieces: the pieces in order, at least one.

    Raises:
        TypeError: something else than pieces.
        ValueError: no piece, or pieces on different grids or with different parts.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> piece = Piece(make_notes([0], [24], [60]))
        >>> join([piece, piece]).notes["onset_step"].tolist()
        [0, 24]

    Chapter: 3a.
    """
    if isinstance(pieces, Piece):
        raise TypeError("Joining needs a list of pieces; found one Piece. Write music.join([piece]).")
    pieces = list(pieces)
    if not pieces:
        raise ValueError("Joining needs at least one piece; found none.")
    first = pieces[0]
    for index, piece in enumerate(pieces):
        check_is_piece(piece)
        if piece.steps_per_quarter != first.steps_per_quarter or piece.parts != first.parts:
            raise ValueError(
                f"Pieces to be joined must share their grid and their parts; piece {index} has "
                f"{piece.steps_per_quarter} steps a quarter and {len(piece.parts)} parts, the first "
                f"{first.steps_per_quarter} and {len(first.parts)}. Use music.change_grid for the grid, and "
                "dataclasses.replace for the parts."
            )
    whole_number("The length of all pieces, in steps,", sum(piece.n_steps for piece in pieces), 0, LARGEST_STEP)
    notes, meters, tempos, start_step = [], [], [], 0
    for piece in pieces:
        shifted = piece.notes.copy()
        shifted["onset_step"] += start_step
        notes.append(shifted)
        meters += piece.meters if not meters else _meters_inside(piece, start_step)
        tempos += [replace(t, step=t.step + start_step) for t in piece.tempos if t.step < piece.n_steps]
        start_step += piece.n_steps
    return replace(
        first,
        notes=np.concatenate(notes),
        meters=_without_repeats(meters, first.steps_per_quarter),
        tempos=_without_repeats(tempos, first.steps_per_quarter),
        n_steps=start_step,
    )


def _meters_inside(piece: Piece, start_step: int) -> list[Meter]:
    """Return the meters of a piece that follows another, each from its first bar line inside the piece on.

    The bars before it run on through an upbeat: so an upbeat that fills up the bar before it makes no bar of its own.
    """
    first, *later = piece.meters
    first_line = first.step + -(first.step // (bar := first.bar_length_step(piece.steps_per_quarter))) * bar
    stops = [meter.step for meter in later[:1]] + [piece.n_steps]
    inside = [replace(first, step=first_line)] if first_line < min(stops) else []
    inside += [meter for meter in later if meter.step < piece.n_steps]
    return [replace(meter, step=meter.step + start_step) for meter in inside]


def _cut_meters(piece: Piece, start_step: int, stop_step: int) -> tuple[Meter, ...]:
    """Return the meters between two steps; the first keeps the bar phase of the cut."""
    in_force = [meter for meter in piece.meters if meter.step <= start_step][-1]
    first = replace(in_force, step=-int(bar_position_step(piece, start_step)))
    return (first, *(replace(m, step=m.step - start_step) for m in piece.meters if start_step < m.step < stop_step))


def _cut_tempos(piece: Piece, start_step: int, stop_step: int) -> tuple[Tempo, ...]:
    """Return the tempos between two steps, the first at 0."""
    in_force = [tempo for tempo in piece.tempos if tempo.step <= start_step][-1]
    later = (replace(t, step=t.step - start_step) for t in piece.tempos if start_step < t.step < stop_step)
    return (replace(in_force, step=0), *later)


def _without_repeats(entries: list, steps_per_quarter: int) -> tuple:
    """Drop each entry that says what the one before it already says."""
    kept = entries[:1]
    for entry in entries[1:]:
        is_same = replace(entry, step=kept[-1].step) == kept[-1]
        if is_same and isinstance(entry, Meter):
            is_same = (entry.step - kept[-1].step) % entry.bar_length_step(steps_per_quarter) == 0
        if not is_same:
            kept.append(entry)
    return tuple(kept)


# --- The same piece on a finer or coarser grid


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
