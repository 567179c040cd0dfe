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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import music

REST = -1
SATB = ("soprano", "alto", "tenor", "bass")


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

    Raises:
        ValueError: shapes disagree, a pitch is out of range, or onsets and pitches contradict each other.

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
        n_voices = len(self.voice_names)
        dtypes = {"pitch": np.int16, "is_onset": np.bool_, "is_fermata": np.bool_, "bar_position_step": np.int16}
        for name, dtype in dtypes.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype))
        if self.pitch.ndim != 2 or self.pitch.shape[1] != n_voices:
            raise ValueError(
                f"pitch must have one row a step and one column for each of {n_voices} voices; found shape "
                f"{self.pitch.shape}. Pass voice_names if the music has another number of voices."
            )
        shapes = {
            "is_onset": self.pitch.shape,
            "is_fermata": self.pitch.shape[:1],
            "bar_position_step": self.pitch.shape[:1],
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape} like pitch; found {getattr(self, name).shape}.")
        _check_cells(self.pitch, self.is_onset)

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

    Example:
        >>> from_pitches([[60], [60], [-1], [60]], voice_names=("melody",)).is_onset[:, 0].tolist()
        [True, False, False, True]

    Chapter: 3a.
    """
    pitch = _whole_pitches(pitch)
    before = np.full_like(pitch, REST)
    before[1:] = pitch[:-1]
    numerator, denominator = facts.get("meter", (4, 4))
    bar = music.Meter(0, numerator, denominator).bar_length_step(facts.get("steps_per_quarter", 4))
    facts.setdefault("is_onset", (pitch != before) & (pitch != REST))
    facts.setdefault("is_fermata", np.zeros(len(pitch), bool))
    facts.setdefault("bar_position_step", np.arange(len(pitch)) % bar)
    return VoiceGrid(pitch=pitch, **facts)


def to_piece(grid: VoiceGrid) -> music.Piece:
    """Turn a grid into notes, one part a voice.

    Every onset begins a note; the note lasts until the next onset or rest of its voice. Fermatas and the key are not
    part of a ``Piece`` and are left behind.

    Example:
        >>> to_piece(from_pitches([[60], [60], [62]], voice_names=("melody",))).notes["duration_step"].tolist()
        [2, 1]

    Chapter: 3a.
    """
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


def from_piece(piece: music.Piece, steps_per_quarter: int = 4, n_voices: int = 4) -> VoiceGrid:
    """Turn a piece whose parts are voices into a grid.

    Args:
        piece: one part a voice, highest voice first; each part plays one note at a time.
        steps_per_quarter: grid of the result; the notes must fit it exactly.
        n_voices: how many parts the piece must have.

    Raises:
        ValueError: another number of parts, two notes at once in one part, or notes off the grid.

    Chapter: 3a.
    """
    if len(piece.parts) != n_voices:
        raise ValueError(
            f"A grid of {n_voices} voices needs a piece of {n_voices} parts; this one has {len(piece.parts)}. "
            "Pass n_voices, or choose the parts first."
        )
    on_grid = music.change_grid(piece, steps_per_quarter)
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


def transpose(grid: VoiceGrid, semitones: int) -> VoiceGrid:
    """Move every sounding cell by a number of semitones; rests stay.

    The key signature moves along, to the spelling with the fewest accidentals.

    Args:
        grid: the music.
        semitones: how far up; negative is down.

    Raises:
        ValueError: a pitch would leave 0..127.

    Example:
        >>> transpose(from_pitches([[60], [-1]], voice_names=("melody",), fifths=0), 2).fifths
        2

    Chapter: 3a.
    """
    moved = grid.pitch.copy()
    is_sounding = moved != REST
    moved[is_sounding] += semitones
    sounding = moved[is_sounding]
    if sounding.size and (sounding.min() < 0 or sounding.max() > 127):
        raise ValueError(
            f"Pitches must stay in 0..127; moved by {semitones} semitones they reach "
            f"{sounding.min()}..{sounding.max()}. "
            "Choose a smaller interval."
        )
    # A semitone up is seven fifths up; signatures that name the same keys lie twelve fifths apart.
    fifths = None if grid.fifths is None or semitones % 12 == 0 else (grid.fifths + 7 * semitones + 5) % 12 - 5
    return replace(grid, pitch=moved, fifths=grid.fifths if semitones % 12 == 0 else fifths)


def cut(grid: VoiceGrid, start_step: int, stop_step: int) -> VoiceGrid:
    """Cut out the steps from ``start_step`` up to, not including, ``stop_step``.

    A note that was already sounding at ``start_step`` is struck there.

    Args:
        grid: the music.
        start_step: first step that is kept.
        stop_step: first step that is not.

    Raises:
        ValueError: not 0 <= start_step < stop_step <= n_steps.

    Chapter: 3a.
    """
    if not 0 <= start_step < stop_step <= grid.n_steps:
        raise ValueError(
            f"A cut needs 0 <= start_step < stop_step <= {grid.n_steps}; found {start_step} and {stop_step}. "
            "Are these bars? Both ends are steps."
        )
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


def _whole_pitches(pitch: ArrayLike) -> np.ndarray:
    """Return pitches as int16, or refuse fractions."""
    array = np.asarray(pitch)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"Pitches must be whole MIDI numbers, with {REST} for a rest; found {array.dtype}. "
            "Replace NaN by -1 and convert to integers."
        )
    return array.astype(np.int16)


def _check_cells(pitch: np.ndarray, is_onset: np.ndarray) -> None:
    """Check the range of the pitches, and that each sounding cell was struck."""
    is_bad = (pitch < REST) | (pitch > 127)
    if is_bad.any():
        step, voice = np.argwhere(is_bad)[0]
        raise ValueError(
            f"A cell must hold a pitch 0..127 or {REST} for a rest; found {pitch[step, voice]} at "
            f"step {step}, voice {voice}."
        )
    before = np.full_like(pitch, REST)
    before[1:] = pitch[:-1]
    is_unstruck = (pitch != REST) & (pitch != before) & ~is_onset
    is_struck_rest = (pitch == REST) & is_onset
    for is_wrong, what in ((is_unstruck, "a new pitch without an onset"), (is_struck_rest, "an onset on a rest")):
        if is_wrong.any():
            step, voice = np.argwhere(is_wrong)[0]
            raise ValueError(
                f"Onsets and pitches must agree; found {what} at step {step}, voice {voice}. "
                "Use voices.from_pitches if the onsets are unknown."
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
