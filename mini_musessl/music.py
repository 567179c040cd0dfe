"""Notes on an integer grid: the form in which all music of the book is held.

A *step* is one unit of the grid. ``steps_per_quarter`` says how many steps a quarter note lasts: 24 holds triplets and
thirty-second notes exactly, 4 is the grid of sixteenth notes on which the Bach chorales live. All times are whole
numbers of steps; seconds appear only where sound or a MIDI file is made.

Conventions:
    notes: structured array with one row per note, ordered by onset (fields in ``NOTE_DTYPE``).
    pitch: MIDI number, 0..127; 60 is middle C, one more is a semitone higher.
    velocity: MIDI loudness of the attack, 1..127.
    part: index into ``Piece.parts``.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl.checks import check_grid, check_positive, check_some, check_text, shown, whole_number, whole_numbers

LARGEST_STEP = 2**31 - 1  # times are kept in 32 bits
SLOWEST, FASTEST = 1e-3, 1e9  # in quarters per minute; a MIDI file can say from 3.6 to 60 million
MOST_BARS = 1_000_000  # that are listed; three hours of 1/4 at 240 quarters a minute have 43,200

#: 24 steps per quarter hold sixteenths (6), triplet eighths (8), thirty-seconds (3) and sextuplets (4) exactly.
DEFAULT_STEPS_PER_QUARTER = 24

# --- Meters and tempos: what holds from a step on


@dataclass(frozen=True)
class Meter:
    """A time signature, and the step of a bar line from which its bars are counted.

    The step of the first meter may be negative: a piece in 4/4 at 4 steps per quarter that begins with an upbeat of
    one quarter has ``Meter(-12, 4, 4)``.
    """

    step: int
    numerator: int
    denominator: int  # a power of two

    def __post_init__(self) -> None:
        for name in ("step", "numerator", "denominator"):
            _store_whole_number(self, name, "Write 4/4 from the start as Meter(0, 4, 4).")
        if self.numerator < 1 or self.denominator < 1 or self.denominator & (self.denominator - 1):
            raise ValueError(
                "A meter needs a numerator of at least 1 and a power of two below it; "
                f"found {self.numerator}/{self.denominator}. Write 4/4 as Meter(0, 4, 4)."
            )

    def bar_length_step(self, steps_per_quarter: int) -> int:
        """Return how many steps one bar lasts."""
        length, remainder = divmod(self.numerator * 4 * steps_per_quarter, self.denominator)
        if remainder:
            finer = steps_per_quarter * self.denominator // math.gcd(remainder, self.denominator)
            raise ValueError(
                f"A bar must be a whole number of steps; {self.numerator}/{self.denominator} at {steps_per_quarter} "
                f"steps per quarter is not. Use a finer grid: {finer} steps per quarter hold it."
            )
        return length


@dataclass(frozen=True)
class Tempo:
    """A speed from ``step`` on."""

    step: int
    quarters_per_minute: float

    def __post_init__(self) -> None:
        _store_whole_number(self, "step", "Are these seconds or bars?")
        check_positive("A tempo, in quarters per minute,", self.quarters_per_minute, "120 is the MIDI default.")
        object.__setattr__(self, "quarters_per_minute", float(self.quarters_per_minute))
        if not SLOWEST <= self.quarters_per_minute <= FASTEST:
            raise ValueError(
                f"A tempo must lie in {SLOWEST:g}..{FASTEST:g} quarters per minute; found {self.quarters_per_minute:g}."
            )


def _store_whole_number(entry: Meter | Tempo, name: str, advice: str) -> None:
    """Keep a field as an ``int``, also where NumPy counted it."""
    object.__setattr__(entry, name, whole_number(name, getattr(entry, name), -LARGEST_STEP, LARGEST_STEP, advice))


def as_meter(meter: tuple[int, int]) -> Meter:
    """Return a numerator and a denominator as a ``Meter`` that begins at step 0."""
    if isinstance(meter, str) or not isinstance(meter, Sequence) or len(meter) != 2:
        raise TypeError(f"A meter must be a pair of whole numbers, (4, 4) for 4/4; found {meter!r}.")
    return Meter(0, *meter)


# --- Notes as rows of one array

NOTE_DTYPE = np.dtype([(name, np.int32) for name in ("onset_step", "duration_step", "pitch", "velocity", "part")])


def make_notes(
    onset_step: ArrayLike, duration_step: ArrayLike, pitch: ArrayLike, velocity: ArrayLike = 64, part: ArrayLike = 0
) -> np.ndarray:
    """Make a note array from columns, in order of onset; a single number stands for a whole column.

    >>> make_notes([0, 4], [4, 4], [60, 67])["pitch"].tolist()
    [60, 67]
    """
    given = zip(NOTE_DTYPE.names, (onset_step, duration_step, pitch, velocity, part), strict=True)
    columns = {name: np.atleast_1d(whole_numbers(name, column)) for name, column in given}
    lengths = {column.size for column in columns.values()} - {1}
    if len(lengths) > 1 or any(column.ndim > 1 for column in columns.values()):
        shapes = {name: column.shape for name, column in columns.items()}
        raise ValueError(f"Every column of notes must be one row, one entry per note; found the shapes {shapes}.")
    notes = np.empty(max(lengths, default=1), [(name, np.int64) for name in NOTE_DTYPE.names])
    for name, column in columns.items():
        notes[name] = column
    _check_values(notes)  # before they are put into 32 bits
    return notes.astype(NOTE_DTYPE)


def check_notes(notes: np.ndarray, n_parts: int = LARGEST_STEP) -> None:
    """Refuse an array of notes that breaks a convention of this module."""
    if not isinstance(notes, np.ndarray) or notes.dtype != NOTE_DTYPE or notes.ndim != 1:
        found = f"{notes.dtype} {notes.shape}" if isinstance(notes, np.ndarray) else type(notes).__name__
        raise TypeError(
            f"Notes must be a NumPy array of music.NOTE_DTYPE, shape (n_notes,); found {found}. Make one with "
            "music.make_notes."
        )
    _check_values(notes, n_parts)


def _check_values(notes: np.ndarray, n_parts: int = LARGEST_STEP) -> None:
    """Refuse values that no note can have, notes that are not in order, and ends that 32 bits cannot count."""
    ranges = {
        "onset_step": (0, LARGEST_STEP, "Steps count from the start of the piece."),
        "duration_step": (1, LARGEST_STEP, "A note lasts at least one step; use a finer grid or drop the note."),
        "pitch": (0, 127, "60 is middle C; MIDI has no pitch outside this range."),
        "velocity": (1, 127, "MIDI uses velocity 0 for the end of a note."),
        "part": (0, n_parts - 1, "Each part index needs an entry in Piece.parts."),
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
    """Return the step at which each note has ended: the first one that it does not sound."""
    return notes["onset_step"].astype(np.int64) + notes["duration_step"]


def sort_notes(notes: np.ndarray) -> np.ndarray:
    """Return the notes ordered by onset, then part, pitch, duration and velocity, as a new array."""
    columns = [notes[name] for name in ("onset_step", "part", "pitch", "duration_step", "velocity")]
    try:  # one number for each note: it sorts ten times as fast as five columns
        order = np.ravel_multi_index(columns, [int(column.max(initial=0)) + 1 for column in columns]).argsort(
            kind="stable"
        )
    except ValueError:  # it needs more than 64 bits
        order = np.lexsort(columns[::-1])
    return notes.take(order)


# --- One work: its notes, its parts, and what is needed to count its bars and to play it


@dataclass(frozen=True)
class Part:
    """One instrument or voice."""

    name: str = ""
    program: int = 0  # General MIDI, 0..127; 0 is piano
    is_drum: bool = False  # its pitches then name instruments

    def __post_init__(self) -> None:
        check_text("The name of a part", self.name)
        if re.search("[\ud800-\udfff]", self.name):
            raise ValueError(f"The name of a part must be text that files can hold; found {self.name!r}.")
        whole_number("program", self.program, 0, 127, 'General MIDI counts from 0, "acoustic grand piano".')


@dataclass(frozen=True, eq=False)
class Piece:
    """One work; notes with one onset are put in the order of ``sort_notes``, so that equal music has equal arrays.

    >>> piece = Piece(make_notes(onset_step=[0, 24], duration_step=[24, 24], pitch=[60, 64]))
    >>> piece.n_steps, piece.notes["pitch"].tolist()
    (48, [60, 64])
    """

    notes: np.ndarray  # structured, of NOTE_DTYPE, ordered by onset
    steps_per_quarter: int = DEFAULT_STEPS_PER_QUARTER
    meters: tuple[Meter, ...] = (
        Meter(0, 4, 4),
    )  # by step, bars of whole steps; only the first may begin before step 0
    tempos: tuple[Tempo, ...] = (Tempo(0, 120.0),)  # in order of their step; the first is at step 0
    parts: tuple[Part, ...] = (Part(),)  # one for each value that notes["part"] takes
    n_steps: int | None = None  # its length; by default the end of the last note
    title: str = ""

    def __post_init__(self) -> None:
        meters, tempos, parts = tuple(self.meters), tuple(self.tempos), tuple(self.parts)
        check_notes(self.notes, n_parts=len(parts))
        _check_order("meters", meters, may_start_early=True)
        _check_order("tempos", tempos, may_start_early=False)
        end_step = int(ends_step(self.notes).max(initial=0))
        n_steps = end_step if self.n_steps is None else whole_number("n_steps", self.n_steps, 0, LARGEST_STEP)
        if n_steps < end_step:
            raise ValueError(
                f"A piece must be at least as long as its notes; n_steps is {n_steps} and the last note ends at "
                f"{end_step}. Leave n_steps out, or cut the piece first."
            )
        grid = check_grid(self.steps_per_quarter)
        for meter in {(meter.numerator, meter.denominator): meter for meter in meters}.values():
            meter.bar_length_step(grid)  # refuses bars that do not fit the grid
        checked = dict(notes=sort_notes(self.notes), meters=meters, tempos=tempos, parts=parts, n_steps=n_steps)
        for name, value in (checked | {"steps_per_quarter": grid}).items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Piece):
            return NotImplemented
        rest = [field.name for field in fields(self) if field.name != "notes"]
        is_same_rest = all(getattr(self, name) == getattr(other, name) for name in rest)
        return is_same_rest and np.array_equal(self.notes, other.notes)

    def __repr__(self) -> str:
        return (
            f"Piece({self.title!r}, {len(self.notes)} notes, {len(self.parts)} parts, {self.n_steps} steps, "
            f"{self.steps_per_quarter} steps a quarter)"
        )


def _check_order(name: str, entries: tuple[Meter, ...] | tuple[Tempo, ...], may_start_early: bool) -> None:
    """Refuse meters or tempos that do not cover the piece from its start, each from a later step on."""
    steps = [entry.step for entry in entries]
    starts_well = bool(steps) and (steps[0] <= 0 if may_start_early else steps[0] == 0)
    if not starts_well or any(later <= max(earlier, 0) for earlier, later in zip(steps, steps[1:], strict=False)):
        raise ValueError(
            f"{name} must begin at step 0{' or before' if may_start_early else ''} and go on above it in rising order; "
            f"found steps {steps}."
        )


def check_is_piece(piece: Piece) -> None:
    """Refuse a voice grid or bare notes in place of a ``Piece``."""
    if not isinstance(piece, Piece):
        raise TypeError(
            f"Music must be a music.Piece here; found {type(piece).__name__}. "
            "Put notes into one with music.Piece(notes), a voice grid with voices.to_piece(grid)."
        )


def is_drum_note(piece: Piece) -> np.ndarray:
    """Return for each note whether a drum kit plays it."""
    return np.array([part.is_drum for part in piece.parts], bool)[piece.notes["part"]]


def is_repeated(notes: np.ndarray) -> np.ndarray:
    """Return for each note whether the next one of its part has its pitch and begins where it ends, (n_notes,)."""
    begins = set(notes[["part", "pitch", "onset_step"]].tolist())
    places = zip(notes["part"].tolist(), notes["pitch"].tolist(), ends_step(notes).tolist(), strict=True)
    return np.array([place in begins for place in places], bool)


def part_indices(piece: Piece, names: str | Iterable[str]) -> list[int]:
    """Return the indices of the parts with these names, or refuse a name that none has."""
    names, known = [names] if isinstance(names, str) else list(names), [part.name for part in piece.parts]
    for name in names:
        if name not in known:
            raise ValueError(
                f"A part must be called by its name, one of {shown(', '.join(known)) or 'none here'}; found {name!r}."
            )
    return [index for index, name in enumerate(known) if name in names]


# --- Places in time: steps and seconds, bar lines and the way from them


def steps_to_sec(piece: Piece, step: ArrayLike) -> np.ndarray:
    """Return the time in seconds at which each step begins; a fraction lies between two.

    >>> piece = Piece(make_notes([0], [24], [60]), tempos=(Tempo(0, 60.0),))
    >>> steps_to_sec(piece, [0, 24, 36]).tolist()
    [0.0, 1.0, 1.5]
    """
    tempo_step, tempo_sec, sec_per_step = _tempo_table(piece)
    step = np.asarray(step, np.float64)
    index = (np.searchsorted(tempo_step, step, side="right") - 1).clip(min=0)
    return tempo_sec[index] + (step - tempo_step[index]) * sec_per_step[index]


def sec_to_steps(piece: Piece, sec: ArrayLike) -> np.ndarray:
    """Return the step nearest to each time in seconds."""
    tempo_step, tempo_sec, sec_per_step = _tempo_table(piece)
    sec = np.asarray(sec, np.float64)
    index = (np.searchsorted(tempo_sec, sec, side="right") - 1).clip(min=0)
    return np.rint(tempo_step[index] + (sec - tempo_sec[index]) / sec_per_step[index]).astype(np.int64)


def _tempo_table(piece: Piece) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each tempo its step, its time in seconds, and its seconds per step."""
    step = np.array([tempo.step for tempo in piece.tempos], dtype=np.int64)
    sec_per_step = np.array([60 / tempo.quarters_per_minute / piece.steps_per_quarter for tempo in piece.tempos])
    sec = np.concatenate([[0.0], np.cumsum(np.diff(step) * sec_per_step[:-1])])
    return step, sec, sec_per_step


def bar_lines_step(piece: Piece) -> np.ndarray:
    """Return the steps inside the piece at which a bar begins.

    >>> bar_lines_step(Piece(make_notes([0], [24 * 8], [60]))).tolist()
    [0, 96]
    """
    stops = [min(meter.step, piece.n_steps) for meter in piece.meters[1:]] + [piece.n_steps]
    bars = []  # ranges: they take no memory, however long they are
    for meter, stop in zip(piece.meters, stops, strict=True):
        length = meter.bar_length_step(piece.steps_per_quarter)
        bars.append(range(meter.step if meter.step >= 0 else meter.step % length, stop, length))
    n_bars = sum(map(len, bars))
    if n_bars > MOST_BARS:
        raise ValueError(
            f"Bars are listed up to {MOST_BARS}; this piece of {piece.n_steps} steps has {n_bars}. Is a tempo or a "
            "meter damaged? If not, look at a part of it: music.cut."
        )
    return np.concatenate([np.arange(each.start, each.stop, each.step, np.int64) for each in bars])


def bar_position_step(piece: Piece, step: ArrayLike) -> np.ndarray:
    """Return how many steps after the latest bar line each step lies.

    >>> upbeat = Piece(make_notes([0], [96], [60]), meters=(Meter(-72, 4, 4),))
    >>> bar_position_step(upbeat, [0, 23, 24]).tolist()
    [72, 95, 0]
    """
    step = whole_numbers("Steps", step)
    starts = np.array([meter.step for meter in piece.meters])
    lengths = np.array([meter.bar_length_step(piece.steps_per_quarter) for meter in piece.meters])
    index = (np.searchsorted(starts, step, side="right") - 1).clip(min=0)
    return (step - starts[index]) % lengths[index]


# --- Pieces from pieces: transpose, cut, join, change the grid


def transpose(piece: Piece, semitones: int) -> Piece:
    """Move every pitch up by a number of semitones; drums stay, since their numbers name instruments.

    >>> transpose(Piece(make_notes([0], [24], [60])), -2).notes["pitch"].tolist()
    [58]
    """
    moved = piece.notes.copy()
    moved["pitch"] = moved_pitches(moved["pitch"], semitones, is_fixed=is_drum_note(piece))
    return replace(piece, notes=moved)


def moved_pitches(pitch: np.ndarray, semitones: int, is_fixed: np.ndarray) -> np.ndarray:
    """Return pitches moved up by a number of semitones, except where nothing moves, such as at rests and drums."""
    semitones = whole_number("semitones", semitones, -127, 127, "Pitches must stay in 0..127.")
    moved = np.where(is_fixed, pitch, pitch.astype(np.int64) + semitones)
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

    >>> piece = Piece(make_notes([0, 24], [24, 48], [60, 62]))
    >>> cut(piece, 24, 48).notes[["onset_step", "duration_step", "pitch"]].tolist()
    [(0, 24, 62)]
    """
    check_cut(start_step, stop_step, piece.n_steps)
    onset_step = piece.notes["onset_step"].clip(min=start_step)
    end_step = ends_step(piece.notes).clip(max=stop_step)
    is_inside = end_step > onset_step
    notes = piece.notes[is_inside]
    notes["onset_step"] = onset_step[is_inside] - start_step
    notes["duration_step"] = (end_step - onset_step)[is_inside]
    meter, *later_meters = _in_force(piece.meters, start_step, stop_step)
    tempo, *later_tempos = _in_force(piece.tempos, start_step, stop_step)
    return replace(
        piece,
        notes=sort_notes(notes),
        n_steps=stop_step - start_step,
        meters=(replace(meter, step=-int(bar_position_step(piece, start_step))), *later_meters),
        tempos=(replace(tempo, step=0), *later_tempos),
    )


def check_cut(start_step: int, stop_step: int, n_steps: int) -> None:
    """Refuse a cut that holds no step, or that reaches outside the music."""
    advice = "Are these seconds or bars? Both ends are steps."
    whole_number("start_step", start_step, 0, n_steps - 1, advice)
    whole_number("stop_step", stop_step, start_step + 1, n_steps, advice)


def _in_force(entries: tuple, start_step: int, stop_step: int) -> list:
    """Return the meters or tempos that hold between two steps, counted from the first of these."""
    first = sum(entry.step <= start_step for entry in entries) - 1
    inside = [entry for entry in entries[first:] if entry.step < stop_step]
    return [replace(entry, step=entry.step - start_step) for entry in inside]


def join(pieces: Iterable[Piece]) -> Piece:
    """Concatenate pieces that share grid and parts, under the title of the first.

    >>> piece = Piece(make_notes([0], [24], [60]))
    >>> join([piece, piece]).notes["onset_step"].tolist()
    [0, 24]
    """
    pieces = list(pieces)
    check_some(len(pieces), "Joining needs at least one piece", "")
    first = pieces[0]
    for index, piece in enumerate(pieces):
        if piece.steps_per_quarter != first.steps_per_quarter or piece.parts != first.parts:
            raise ValueError(
                f"Pieces to be joined must share their grid and their parts; piece {index} has "
                f"{piece.steps_per_quarter} steps per quarter and {len(piece.parts)} parts, the first "
                f"{first.steps_per_quarter} and {len(first.parts)}. Use music.change_grid for the grid, and "
                "dataclasses.replace for the parts."
            )
    _check_length(sum(piece.n_steps for piece in pieces))
    notes, meters, tempos, start_step = [], [], [], 0
    for piece in pieces:
        shifted = piece.notes.copy()
        shifted["onset_step"] += start_step
        notes.append(shifted)
        meters += piece.meters if not meters else _meters_inside(piece, start_step)
        tempos += [replace(t, step=t.step + start_step) for t in piece.tempos if t.step < piece.n_steps]
        start_step += piece.n_steps
    meters, tempos = (_without_repeats(each, first.steps_per_quarter) for each in (meters, tempos))
    return replace(first, notes=np.concatenate(notes), meters=meters, tempos=tempos, n_steps=start_step)


def _check_length(n_steps: int) -> None:
    """Refuse music that becomes too long for its steps to be counted in 32 bits."""
    whole_number(
        "The length of the new piece, in steps,", n_steps, 0, LARGEST_STEP, "Use a coarser grid or a part of it."
    )


def _meters_inside(piece: Piece, start_step: int) -> list[Meter]:
    """Return the meters of a piece that follows another, each from its first bar line inside the piece on.

    The bars before run on through an upbeat: one that fills up the last of them makes no bar of its own.
    """
    first, *later = piece.meters
    first_line = first.step % first.bar_length_step(piece.steps_per_quarter)
    stop = min([piece.n_steps, *(meter.step for meter in later[:1])])
    inside = [replace(first, step=first_line)] if first_line < stop else []
    inside += [meter for meter in later if meter.step < piece.n_steps]
    return [replace(meter, step=meter.step + start_step) for meter in inside]


def _without_repeats(entries: list, steps_per_quarter: int) -> tuple:
    """Drop each meter or tempo that says what the one before it already says."""
    kept = entries[:1]
    for entry in entries[1:]:
        is_same = replace(entry, step=kept[-1].step) == kept[-1]
        if is_same and isinstance(entry, Meter):
            is_same = (entry.step - kept[-1].step) % entry.bar_length_step(steps_per_quarter) == 0
        if not is_same:
            kept.append(entry)
    return tuple(kept)


def change_grid(piece: Piece, steps_per_quarter: int, may_round: bool = False) -> Piece:
    """Put a piece on a finer or coarser grid.

    Args:
        may_round: True moves onsets, ends and changes of meter to the nearest step (a half goes up), and no note gets
            shorter than one step; False refuses. Tempos and the end of the piece move in either case; bars must fit.

    >>> triplet = Piece(make_notes([0, 8, 16], 8, [60, 62, 64]))
    >>> change_grid(triplet, 12).notes["onset_step"].tolist()
    [0, 4, 8]
    >>> change_grid(triplet, 4, may_round=True).notes["onset_step"].tolist()
    [0, 1, 3]
    """
    old, new = piece.steps_per_quarter, check_grid(steps_per_quarter)
    if not may_round:
        _check_fits(piece, new)

    def scaled(step: ArrayLike) -> np.ndarray:  # whole numbers only: twice the value plus a half, rounded down
        return (2 * np.asarray(step, np.int64) * new + old) // (2 * old)

    _check_length(int(scaled(piece.n_steps)))
    notes, onset_step = piece.notes.copy(), scaled(piece.notes["onset_step"])
    end_step = np.maximum(scaled(ends_step(piece.notes)), onset_step + 1)
    notes["onset_step"], notes["duration_step"] = onset_step, end_step - onset_step
    # Of entries that fall on one step the last counts: a dictionary keeps it.
    meters = {int(scaled(meter.step)): meter for meter in piece.meters}
    tempos = {int(scaled(tempo.step)): tempo for tempo in piece.tempos}
    first = max((step for step in meters if step <= 0), default=0)
    return replace(
        piece,
        notes=sort_notes(notes),
        steps_per_quarter=new,
        meters=tuple(replace(meter, step=step) for step, meter in meters.items() if step >= first),
        tempos=tuple(replace(tempo, step=step) for step, tempo in tempos.items()),
        n_steps=max(int(scaled(piece.n_steps)), int(end_step.max(initial=0))),
    )


def _check_fits(piece: Piece, steps_per_quarter: int) -> None:
    """Refuse a grid on which a note or a meter would have to move."""
    times = np.stack([piece.notes["onset_step"], ends_step(piece.notes)])
    is_off = (times * steps_per_quarter % piece.steps_per_quarter).any(axis=0)
    off = [meter for meter in piece.meters if meter.step * steps_per_quarter % piece.steps_per_quarter]
    if is_off.any() or off:
        found = f"{is_off.sum()} of {len(is_off)} notes do not" if is_off.any() else f"{off[0]} does not"
        raise ValueError(
            f"Notes and meters must fit the new grid of {steps_per_quarter} steps per quarter; {found}. "
            "Use a finer grid, or may_round=True to move them to the nearest step."
        )
