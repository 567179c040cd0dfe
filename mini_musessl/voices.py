"""Step-by-voice grids: the form in which four-part chorales are held.

A grid has one row a step (a sixteenth note by default) and one column a voice. Each cell says which pitch sounds in
that voice; a second grid of the same shape says where notes are struck, so that a held half note and four repeated
eighths differ.

Conventions:
    pitch: MIDI number, 0..127, or ``REST`` (-1) where the voice is silent.
    is_onset: True where a note is struck; a sounding cell that is not an onset continues the note before it.
    voices: highest first: soprano, alto, tenor, bass.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import checks, music

# --- The grid itself: its cells and facts, checked, and the way to it from bare pitches

REST = -1

SATB = ("soprano", "alto", "tenor", "bass")

_PITCH_ADVICE = f"{REST} is a rest. Replace NaN by {REST} and convert to integers."


@dataclass(frozen=True, eq=False)
class VoiceGrid:
    """Music in a fixed number of voices, sampled at every step.

    Attributes:
        pitch: int16 (n_steps, n_voices), MIDI pitch or REST.
        is_onset: bool (n_steps, n_voices), True where a note is struck.
        is_fermata: bool (n_steps,), True while a note with a fermata sounds.
        bar_position_step: int16 (n_steps,), steps since the latest bar line; an upbeat begins above 0.
        steps_per_quarter: steps in a quarter note.
        meter: the first time signature, (numerator, denominator).
        quarters_per_minute: speed at which to play it.
        fifths: key signature, sharps positive, flats negative, -7..7, or None where unknown.
        mode: "major", "minor" or None where unknown.
        name: short identifier, such as "bwv269".
        title: what people call it.
        voice_names: one name a voice, highest first.

    The arrays are copied, so that a grid does not change with the array that it was made from.

    Raises:
        TypeError: pitches or positions are not whole numbers, a condition is not true or false, or a fact is of another
            kind.
        ValueError: shapes disagree, a pitch or a fact is out of range, or onsets and pitches contradict each other.

    Example:
        >>> grid = from_pitches([[72, 67, 64, 48], [72, 67, 65, 48]])
        >>> grid.is_onset[1].tolist()
        [False, False, True, False]
    """

    pitch: np.ndarray
    is_onset: np.ndarray
    is_fermata: np.ndarray
    bar_position_step: np.ndarray
    steps_per_quarter: int = 4
    meter: tuple[int, int] = (4, 4)
    quarters_per_minute: float = 80.0
    fifths: int | None = None
    mode: str | None = None
    name: str = ""
    title: str = ""
    voice_names: tuple[str, ...] = SATB

    def __post_init__(self) -> None:
        checked = _checked_facts(self)
        pitch = _whole_numbers("Pitches", self.pitch, _PITCH_ADVICE)
        n_voices = len(checked["voice_names"])
        if pitch.ndim != 2 or pitch.shape[1] != n_voices:
            raise ValueError(
                f"pitch must have one row a step and one column for each of {n_voices} voices; found shape "
                f"{pitch.shape}. Pass voice_names if the music has another number of voices."
            )
        position = _whole_numbers("Bar positions", self.bar_position_step, "They count steps since the bar line.")
        arrays = {"is_onset": _conditions("is_onset", self.is_onset), "bar_position_step": position}
        arrays["is_fermata"] = _conditions("is_fermata", self.is_fermata)
        for name, array in arrays.items():
            shape = pitch.shape if name == "is_onset" else pitch.shape[:1]
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape} like pitch; found {array.shape}.")
        _check_cells(pitch, arrays["is_onset"])
        if position.size and not (position.min() >= 0 and position.max() <= np.iinfo(np.int16).max):
            raise ValueError(
                f"bar_position_step must lie in 0..{np.iinfo(np.int16).max}; found {position.min()} to "
                f"{position.max()}. It counts the steps since the latest bar line; an upbeat begins above 0."
            )
        arrays |= {"pitch": pitch.astype(np.int16), "bar_position_step": position.astype(np.int16)}
        for name, value in (checked | arrays).items():
            object.__setattr__(self, name, value)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return self.pitch.shape[0]

    @property
    def n_voices(self) -> int:
        """Number of voices."""
        return self.pitch.shape[1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VoiceGrid):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __repr__(self) -> str:
        return f"VoiceGrid({self.name!r}, {self.n_steps} steps, {self.n_voices} voices)"


def from_pitches(pitch: ArrayLike, **facts: Any) -> VoiceGrid:
    """Make a grid from pitches alone; a note begins wherever the pitch changes.

    Repeated notes of one pitch therefore melt into one long note: that is what the JSB data set keeps of a chorale.

    Args:
        pitch: (n_steps, n_voices), MIDI pitches or REST.
        **facts: any other field of VoiceGrid; without ``bar_position_step`` the bars are counted from step 0.

    Raises:
        TypeError, ValueError: as ``VoiceGrid``.

    Example:
        >>> from_pitches([[60], [60], [-1], [60]], voice_names=("melody",)).is_onset[:, 0].tolist()
        [True, False, False, True]

    Chapter: 3a.
    """
    pitch = _whole_numbers("Pitches", pitch, _PITCH_ADVICE)
    before = _shifted(pitch)
    facts.setdefault("is_onset", (pitch != before) & (pitch != REST))
    facts.setdefault("is_fermata", np.zeros(pitch.shape[:1], bool))
    if "bar_position_step" not in facts:
        steps_per_quarter = checks.check_grid(facts.get("steps_per_quarter", 4))
        bar = music.as_meter(facts.get("meter", (4, 4))).bar_length_step(steps_per_quarter)
        facts["bar_position_step"] = np.arange(len(pitch)) % bar
    return VoiceGrid(pitch=pitch, **facts)


def check_is_grid(grid: VoiceGrid) -> None:
    """Refuse what is not a ``VoiceGrid``.

    Args:
        grid: what the caller gave.

    Raises:
        TypeError: it is something else.

    Chapter: 3a.
    """
    if not isinstance(grid, VoiceGrid):
        raise TypeError(
            f"Voices must be a voices.VoiceGrid; found {type(grid).__name__}. "
            "voices.from_pitches makes one from an array of pitches, voices.from_piece from a piece."
        )


def _checked_facts(grid: VoiceGrid) -> dict[str, Any]:
    """Return the fields of a grid that are not arrays, or refuse them."""
    names = grid.voice_names
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f'voice_names must be a list of names, such as ("melody",); found {names!r}.')
    if not names:
        raise ValueError("A grid needs at least one voice; found no voice_names.")
    if grid.fifths is not None:
        checks.whole_number("fifths", grid.fifths, -7, 7, "Sharps count up, flats down; None is unknown.")
    if grid.mode not in ("major", "minor", None):
        raise ValueError(f'mode must be "major", "minor" or None; found {grid.mode!r}. None stands for any other.')
    music.Tempo(0, grid.quarters_per_minute)
    is_pair = isinstance(grid.meter, tuple) and len(grid.meter) == 2
    meter = _known_meter(*grid.meter) if is_pair else music.as_meter(grid.meter)
    return {
        "steps_per_quarter": checks.check_grid(grid.steps_per_quarter),
        "meter": (meter.numerator, meter.denominator),
        "voice_names": tuple(names),
    }


@lru_cache(maxsize=64, typed=True)
def _known_meter(numerator: int, denominator: int) -> music.Meter:
    """Return a meter from step 0 on; hundreds of chorales share four."""
    return music.Meter(0, numerator, denominator)


def _whole_numbers(name: str, numbers: ArrayLike, advice: str) -> np.ndarray:
    """Return whole numbers as int64, or refuse what they are not."""
    try:
        array = np.asarray(numbers)
    except ValueError:  # rows of unequal length
        raise TypeError(f"{name} must be rows of equal length; found lists of unequal length.") from None
    if array.size and (array.dtype.kind not in "iu" or array.dtype == np.uint64):
        raise TypeError(f"{name} must be whole numbers; found {array.dtype}. {advice}")
    return array.astype(np.int64, copy=False)


def _conditions(name: str, conditions: ArrayLike) -> np.ndarray:
    """Return true-or-false values as a new bool array; 0 and 1 stand for them too."""
    array = np.array(conditions)
    if array.size and array.dtype.kind != "b" and not (array.dtype.kind in "iu" and np.isin(array, (0, 1)).all()):
        raise TypeError(f"{name} must be true or false; found an array of {array.dtype} with other values.")
    return array.astype(bool, copy=False)


def _shifted(pitch: np.ndarray) -> np.ndarray:
    """Return for each cell the pitch one step before; before the first step is a rest."""
    before = np.full_like(pitch, REST)
    before[1:] = pitch[:-1]
    return before


def _check_cells(pitch: np.ndarray, is_onset: np.ndarray) -> None:
    """Check the range of the pitches, and that each sounding cell was struck."""
    is_bad = (pitch < REST) | (pitch > 127)
    if is_bad.any():
        step, voice = np.argwhere(is_bad)[0]
        raise ValueError(
            f"A cell must hold a pitch 0..127 or {REST} for a rest; found {pitch[step, voice]} at "
            f"step {step}, voice {voice}."
        )
    before = _shifted(pitch)
    is_unstruck = (pitch != REST) & (pitch != before) & ~is_onset
    is_struck_rest = (pitch == REST) & is_onset
    for is_wrong, what in ((is_unstruck, "a new pitch without an onset"), (is_struck_rest, "an onset on a rest")):
        if is_wrong.any():
            step, voice = np.argwhere(is_wrong)[0]
            raise ValueError(
                f"Onsets and pitches must agree; found {what} at step {step}, voice {voice}. "
                "Use voices.from_pitches if the onsets are unknown."
            )


# --- From grids to notes and back


def to_piece(grid: VoiceGrid) -> music.Piece:
    """Turn a grid into notes, one part a voice.

    Every onset begins a note; the note lasts until the next onset or rest of its voice. Fermatas and the key are not
    part of a ``Piece`` and are left behind. A grid knows its first meter only: where its bars get shorter or longer,
    that meter begins anew at each of their lines.

    Args:
        grid: the music.

    Raises:
        TypeError: it is not a grid.
        ValueError: a bar of its meter is not a whole number of steps.

    Example:
        >>> from mini_musessl.voices import from_pitches
        >>> to_piece(from_pitches([[60], [60], [62]], voice_names=("melody",))).notes["duration_step"].tolist()
        [2, 1]

    Chapter: 3a.
    """
    check_is_grid(grid)
    columns = [_notes_of_voice(grid.pitch[:, v], grid.is_onset[:, v], v) for v in range(grid.n_voices)]
    return music.Piece(
        notes=music.sort_notes(np.concatenate(columns)),
        steps_per_quarter=grid.steps_per_quarter,
        meters=_meters(grid),
        tempos=(music.Tempo(0, grid.quarters_per_minute),),
        parts=tuple(music.Part(name=name) for name in grid.voice_names),
        n_steps=grid.n_steps,
        title=grid.title or grid.name,
    )


def as_piece(music_or_grid: music.Piece | VoiceGrid) -> music.Piece:
    """Return music in either of the book's two forms as a Piece.

    Args:
        music_or_grid: a piece, which is returned as it is, or a grid.

    Raises:
        TypeError: it is neither.

    Example:
        >>> from mini_musessl.voices import from_pitches
        >>> as_piece(from_pitches([[60], [62]], voice_names=("melody",))).n_steps
        2

    Chapter: 3a.
    """
    if isinstance(music_or_grid, VoiceGrid):
        return to_piece(music_or_grid)
    if not isinstance(music_or_grid, music.Piece):
        raise TypeError(
            f"Music must be a music.Piece or a voices.VoiceGrid; found {type(music_or_grid).__name__}. "
            "voices.from_pitches makes a grid from an array of pitches; midi.read_midi reads a file."
        )
    return music_or_grid


def from_piece(piece: music.Piece, steps_per_quarter: int = 4, n_voices: int = 4) -> VoiceGrid:
    """Turn a piece whose parts are voices into a grid.

    Args:
        piece: one part a voice, highest voice first; each part plays one note at a time.
        steps_per_quarter: grid of the result; the notes must fit it exactly.
        n_voices: how many parts the piece must have.

    Raises:
        TypeError: it is not a piece, or a number is not whole.
        ValueError: another number of parts, two notes at once in one part, or notes off the grid.

    Chapter: 3a.
    """
    on_grid = music.change_grid(piece, steps_per_quarter)
    if len(piece.parts) != checks.whole_number("n_voices", n_voices, 1):
        raise ValueError(
            f"A grid of {n_voices} voices needs a piece of {n_voices} parts; this one has {len(piece.parts)}. "
            "Pass n_voices, or choose the parts first."
        )
    pitch = np.full((on_grid.n_steps, n_voices), REST, np.int16)
    is_onset = np.zeros(pitch.shape, bool)
    for onset, duration, note_pitch, _, voice in on_grid.notes.tolist():
        if (pitch[onset : onset + duration, voice] != REST).any():
            raise ValueError(
                f"A voice sings one note at a time; part {voice} has two at step {onset}. "
                "Split the part into voices first, or use another representation."
            )
        pitch[onset : onset + duration, voice] = note_pitch
        is_onset[onset, voice] = True
    names = tuple(part.name or f"voice {index + 1}" for index, part in enumerate(piece.parts))
    return VoiceGrid(
        pitch=pitch,
        is_onset=is_onset,
        is_fermata=np.zeros(len(pitch), bool),
        bar_position_step=music.bar_position_step(on_grid, np.arange(on_grid.n_steps)),
        steps_per_quarter=steps_per_quarter,
        meter=(piece.meters[0].numerator, piece.meters[0].denominator),
        quarters_per_minute=piece.tempos[0].quarters_per_minute,
        title=piece.title,
        voice_names=names,
    )


def _notes_of_voice(pitch: np.ndarray, is_onset: np.ndarray, voice: int) -> np.ndarray:
    """Return the notes of one column: each lasts until the next onset or rest."""
    onset = np.flatnonzero(is_onset)
    ends_here = np.append(np.flatnonzero(is_onset | (pitch == REST)), len(pitch))
    end = ends_here[np.searchsorted(ends_here, onset, side="right")]
    return music.make_notes(onset, end - onset, pitch[onset], part=voice)


def _meters(grid: VoiceGrid) -> tuple[music.Meter, ...]:
    """Return meters whose bar lines are those of the grid, with a new one wherever the count restarts early or late."""
    numerator, denominator = grid.meter
    if grid.n_steps == 0:
        return (music.Meter(0, numerator, denominator),)
    bar = music.Meter(0, numerator, denominator).bar_length_step(grid.steps_per_quarter)
    meters = [music.Meter(-int(grid.bar_position_step[0]), numerator, denominator)]
    for line in np.flatnonzero(grid.bar_position_step == 0):
        if line > 0 and (line - meters[-1].step) % bar:
            meters.append(music.Meter(int(line), numerator, denominator))
    return tuple(meters)


# --- Grids from grids: transpose, cut


def transpose(grid: VoiceGrid, semitones: int) -> VoiceGrid:
    """Move every sounding cell by a number of semitones; rests stay.

    The key signature moves along, to the spelling with the fewest accidentals.

    Args:
        grid: the music.
        semitones: how far up; negative is down.

    Raises:
        TypeError: it is not a grid, or not a whole number of semitones.
        ValueError: a pitch would leave 0..127.

    Example:
        >>> from mini_musessl.voices import from_pitches
        >>> transpose(from_pitches([[60], [-1]], voice_names=("melody",), fifths=0), 2).fifths
        2

    Chapter: 3a.
    """
    check_is_grid(grid)
    moved = music.moved_pitches(grid.pitch, semitones, is_fixed=grid.pitch == REST)
    # A semitone up is seven fifths up; signatures that name the same keys lie twelve fifths apart.
    is_same_key = grid.fifths is None or semitones % 12 == 0
    fifths = grid.fifths if is_same_key else (grid.fifths + 7 * semitones + 5) % 12 - 5
    return replace(grid, pitch=moved, fifths=fifths)


def cut(grid: VoiceGrid, start_step: int, stop_step: int) -> VoiceGrid:
    """Cut out the steps from ``start_step`` up to, not including, ``stop_step``.

    A note that was already sounding at ``start_step`` is struck there.

    Args:
        grid: the music.
        start_step: first step that is kept.
        stop_step: first step that is not.

    Raises:
        TypeError: it is not a grid, or the ends are not whole numbers.
        ValueError: not 0 <= start_step < stop_step <= n_steps.

    Example:
        >>> from mini_musessl.voices import from_pitches
        >>> grid = from_pitches([[60], [60], [62]], voice_names=("melody",))
        >>> cut(grid, 1, 3).is_onset[:, 0].tolist()
        [True, True]

    Chapter: 3a.
    """
    check_is_grid(grid)
    music.check_cut(start_step, stop_step, grid.n_steps)
    inside = slice(start_step, stop_step)
    is_onset = grid.is_onset[inside].copy()
    is_onset[0] = grid.pitch[start_step] != REST
    return replace(
        grid,
        pitch=grid.pitch[inside],
        is_onset=is_onset,
        is_fermata=grid.is_fermata[inside],
        bar_position_step=grid.bar_position_step[inside],
    )
