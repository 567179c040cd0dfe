"""Step-by-voice grids: the form in which four-part chorales are held.

A grid has one row per step (a sixteenth note by default) and one column per voice. Each cell says which pitch sounds in
that voice; a second grid of the same shape says where notes begin, so that a held half note and four repeated eighths
differ.

Conventions:
    pitch: MIDI number, 0..127, or ``REST`` (-1) where the voice is silent.
    is_onset: True where a note begins; a sounding cell that is not an onset continues the note before it.
    voices: highest first: soprano, alto, tenor, bass.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl import checks, music

REST = -1

#: Of a grid that is made from a piece: more than ten hours of sixteenths in four voices, in some hundred megabytes.
MOST_CELLS = 10_000_000

SATB = ("soprano", "alto", "tenor", "bass")

_BREATH_QUARTERS = 1 / 3  # before the next line

_PITCH_ADVICE = f"{REST} is a rest; write it in place of NaN."


@dataclass(frozen=True, eq=False)
class VoiceGrid:
    """Music in a fixed number of voices, sampled at every step; the arrays are copied.

    >>> grid = from_pitches([[72, 67, 64, 48], [72, 67, 65, 48]])
    >>> grid.is_onset[1].tolist()
    [False, False, True, False]
    """

    pitch: np.ndarray  # int16 (n_steps, n_voices), MIDI pitch or REST
    is_onset: np.ndarray  # bool (n_steps, n_voices), True where a note begins
    is_fermata: np.ndarray  # bool (n_steps,), True while a note with a fermata sounds
    bar_position_step: np.ndarray  # int16 (n_steps,), steps since the latest bar line; an upbeat begins above 0
    steps_per_quarter: int = 4
    meter: tuple[int, int] = (4, 4)  # the first time signature, (numerator, denominator)
    quarters_per_minute: float = 80.0  # speed at which to play it
    fifths: int | None = None  # key signature, sharps positive, flats negative, -7..7, or None where unknown
    mode: str | None = None  # "major", "minor" or None where unknown
    name: str = ""  # short identifier, such as "bwv269"
    title: str = ""  # what people call it
    voice_names: tuple[str, ...] = SATB  # one per voice, highest first
    # Where in its work it stands, which equal music need not share; ``cut`` writes both.
    n_bars_before: int = field(default=0, compare=False)  # bars that began before step 0
    is_cut_off: bool = field(default=False, compare=False)  # True where the work goes on after the last step

    def __post_init__(self) -> None:
        for name, value in (_checked_arrays(self) | _checked_facts(self)).items():
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
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self) if f.compare)

    def __repr__(self) -> str:
        return f"VoiceGrid({self.name!r}, {self.n_steps} steps, {self.n_voices} voices)"


def from_pitches(pitch: ArrayLike, **others: Any) -> VoiceGrid:
    """Make a grid from pitches alone; a note begins wherever the pitch changes.

    Repeated notes of one pitch therefore melt into one long note: that is what the JSB data set keeps of a chorale.
    ``others`` are fields of VoiceGrid; without ``bar_position_step`` the bars are counted from step 0.

    >>> from_pitches([[60], [60], [-1], [60]], voice_names=("melody",)).is_onset[:, 0].tolist()
    [True, False, False, True]
    """
    pitch = checks.whole_numbers("Pitches", pitch, _PITCH_ADVICE)
    others.setdefault("is_onset", (pitch != _one_step_before(pitch)) & (pitch != REST))
    others.setdefault("is_fermata", np.zeros(pitch.shape[:1], bool))
    if "bar_position_step" not in others:
        meter = music.as_meter(others.get("meter", (4, 4)))
        bar = meter.bar_length_step(checks.check_grid(others.get("steps_per_quarter", 4)))
        others["bar_position_step"] = np.arange(len(pitch)) % bar
    return VoiceGrid(pitch=pitch, **others)


def _one_step_before(pitch: np.ndarray) -> np.ndarray:
    """Return for each cell the pitch one step before; before the first step is a rest."""
    before = np.full_like(pitch, REST)
    before[1:] = pitch[:-1]
    return before


# --- What a grid refuses


def _checked_arrays(grid: VoiceGrid) -> dict[str, np.ndarray]:
    """Return copies of the arrays of a grid, or refuse those that do not fit together."""
    pitch = checks.whole_numbers("Pitches", grid.pitch, _PITCH_ADVICE)
    if pitch.ndim != 2 or pitch.shape[1] != len(grid.voice_names):
        raise ValueError(
            f"pitch must have one row per step and one column for each of {len(grid.voice_names)} voices; found shape "
            f"{pitch.shape}. Pass voice_names if the music has another number of voices."
        )
    arrays = {name: np.asarray(getattr(grid, name)) for name in ("is_onset", "is_fermata", "bar_position_step")}
    for name, array in arrays.items():
        shape = pitch.shape if name == "is_onset" else pitch.shape[:1]
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape} like pitch; found {array.shape}.")
        arrays[name] = array.astype(bool if name.startswith("is_") else np.int16)
        if arrays[name].dtype != array.dtype and (arrays[name] != array).any():  # 0 and 1 stand for False and True
            must = "be True or False" if name.startswith("is_") else "count up to 32767 steps from the latest bar line"
            raise ValueError(f"{name} must {must}; found an array of {array.dtype} with other values.")
    _check_cells(pitch, arrays["is_onset"])
    if arrays["bar_position_step"].min(initial=0) < 0:
        raise ValueError("bar_position_step must be 0 or more; found a number below. An upbeat begins above 0.")
    return arrays | {"pitch": pitch.astype(np.int16)}


def _check_cells(pitch: np.ndarray, is_onset: np.ndarray) -> None:
    """Refuse numbers that are no pitches, and pitches that no onset began."""
    is_new = (pitch != REST) & (pitch != _one_step_before(pitch))
    wrong = {
        "a number that is no pitch 0..127": (pitch < REST) | (pitch > 127),
        "a new pitch without an onset": is_new & ~is_onset,
        "an onset on a rest": (pitch == REST) & is_onset,
    }
    for what, is_wrong in wrong.items():
        if is_wrong.any():
            step, voice = np.argwhere(is_wrong)[0]
            raise ValueError(
                f"Cells must hold pitches or {REST} for a rest, and onsets must agree with them; found {what}, "
                f"{pitch[step, voice]} at step {step}, voice {voice}. If the onsets are unknown, use "
                "voices.from_pitches."
            )


def _checked_facts(grid: VoiceGrid) -> dict[str, Any]:
    """Return the fields of a grid that are stored otherwise than given, or refuse what stands in the others."""
    if isinstance(grid.voice_names, str) or not grid.voice_names:
        raise TypeError(f'voice_names must be a list of names, such as ("melody",); found {grid.voice_names!r}.')
    if grid.fifths is not None:
        checks.whole_number("fifths", grid.fifths, -7, 7, "Sharps count up, flats down; None is unknown.")
    checks.check_choice("mode", grid.mode, ("major", "minor", None), "None stands for any other.")
    checks.check_positive("quarters_per_minute", grid.quarters_per_minute, "80 is the default.")
    checks.whole_number("n_bars_before", grid.n_bars_before, 0)
    meter, steps_per_quarter = music.as_meter(grid.meter), checks.check_grid(grid.steps_per_quarter)
    meter.bar_length_step(steps_per_quarter)  # refuses bars that do not fit the grid
    return {
        "steps_per_quarter": steps_per_quarter,
        "meter": (meter.numerator, meter.denominator),
        "voice_names": tuple(grid.voice_names),
    }


def check_is_grid(grid: VoiceGrid) -> None:
    """Refuse a piece or an array of pitches in place of a ``VoiceGrid``."""
    if not isinstance(grid, VoiceGrid):
        raise TypeError(
            f"Voices must be a voices.VoiceGrid; found {type(grid).__name__}. "
            "voices.from_pitches makes one from an array of pitches, voices.from_piece from a piece."
        )


# --- From grids to notes and back


def notes_of_voice(
    pitch: Int[np.ndarray, " n_steps"], is_onset: Bool[np.ndarray, " n_steps"], voice: int
) -> np.ndarray:
    """Return the notes of one column of a grid: each lasts until the next onset or rest."""
    onset = np.flatnonzero(is_onset)
    ends_here = np.append(np.flatnonzero(is_onset | (pitch == REST)), len(pitch))
    end = ends_here[np.searchsorted(ends_here, onset, side="right")]
    return music.make_notes(onset, end - onset, pitch[onset], part=voice)


def to_piece(grid: VoiceGrid) -> music.Piece:
    """Turn a grid into notes, one part per voice.

    Fermatas and the key are left behind. A grid knows its first meter only: where its bars get shorter or longer, that
    meter begins anew.

    >>> to_piece(from_pitches([[60], [60], [62]], voice_names=("melody",))).notes["duration_step"].tolist()
    [2, 1]
    """
    columns = [notes_of_voice(grid.pitch[:, voice], grid.is_onset[:, voice], voice) for voice in range(grid.n_voices)]
    return music.Piece(
        notes=music.sort_notes(np.concatenate(columns)),
        steps_per_quarter=grid.steps_per_quarter,
        meters=_meters(grid),
        tempos=(music.Tempo(0, grid.quarters_per_minute),),
        parts=tuple(music.Part(name=name) for name in grid.voice_names),
        n_steps=grid.n_steps,
        title=grid.title or grid.name,
    )


def _meters(grid: VoiceGrid) -> list[music.Meter]:
    """Return meters whose bar lines are those of the grid: a new one wherever the count restarts early or late."""
    meter = music.as_meter(grid.meter)
    if grid.n_steps == 0:
        return [meter]
    bar = meter.bar_length_step(grid.steps_per_quarter)
    meters = [replace(meter, step=-int(grid.bar_position_step[0]))]
    for line in np.flatnonzero(grid.bar_position_step == 0):
        if line > 0 and (line - meters[-1].step) % bar:
            meters.append(replace(meter, step=int(line)))
    return meters


def as_piece(music_or_grid: music.Piece | VoiceGrid) -> music.Piece:
    """Return music in either of the book's two forms as a Piece."""
    if isinstance(music_or_grid, VoiceGrid):
        return to_piece(music_or_grid)
    if not isinstance(music_or_grid, music.Piece):
        raise TypeError(
            f"Music must be a music.Piece or a voices.VoiceGrid; found {type(music_or_grid).__name__}. "
            "voices.from_pitches makes a grid from an array of pitches; midi.read_midi reads a file."
        )
    return music_or_grid


def fermata_spans(grid: VoiceGrid) -> np.ndarray:
    """Return the steps at which each chord under a fermata begins and has ended, (n_fermatas, 2)."""
    return np.flatnonzero(np.diff(grid.is_fermata, prepend=False, append=False)).reshape(-1, 2)


def as_performed(music_or_grid: music.Piece | VoiceGrid) -> music.Piece:
    """Return music as it is played: a fermata holds its chord for one quarter more, and a line ends with a breath.

    So a quarter lasts twice as long, a half note half as long again, and the beat goes on. Where music follows, the
    last third of the added quarter is the breath: what ends with the fermata is silent then, and lasts a step less.
    Steps stay where they are; the tempo changes. A Piece has no fermatas and plays as it is.

    >>> grid = from_pitches([[60]] * 4 + [[62]] * 4, is_fermata=[True] * 4 + [False] * 4, voice_names=("melody",))
    >>> music.steps_to_sec(as_performed(grid), [3, 4, 8]).round(2).tolist()  # a quarter is 0.75 s
    [1.25, 1.5, 2.25]
    """
    piece = as_piece(music_or_grid)
    if not isinstance(music_or_grid, VoiceGrid) or not music_or_grid.is_fermata.any():
        return piece
    pace, step_quarters = music_or_grid.quarters_per_minute, 1 / piece.steps_per_quarter
    paces, notes = {0: pace}, piece.notes.copy()
    ends = music.ends_step(notes)
    for start, stop in fermata_spans(music_or_grid).tolist():
        n_breath = int(stop < piece.n_steps and stop - start > 1)
        written = (stop - start - n_breath) * step_quarters
        paces[start] = pace * written / (written + n_breath * step_quarters + 1 - n_breath * _BREATH_QUARTERS)
        if n_breath:
            paces[stop - 1] = pace * step_quarters / _BREATH_QUARTERS
            notes["duration_step"][(ends == stop) & (notes["onset_step"] < stop - 1)] -= 1
        if stop < piece.n_steps:
            paces[stop] = pace
    return replace(piece, notes=notes, tempos=tuple(music.Tempo(*each) for each in paces.items()))


def from_piece(piece: music.Piece, steps_per_quarter: int = 4, n_voices: int = 4) -> VoiceGrid:
    """Turn a piece into a grid: one part per voice, highest first, each playing one note at a time."""
    on_grid = music.change_grid(piece, steps_per_quarter)
    if len(piece.parts) != checks.whole_number("n_voices", n_voices, 1):
        raise ValueError(
            f"A grid of {n_voices} voices needs a piece of {n_voices} parts; this one has {len(piece.parts)}. "
            "Pass n_voices, or choose the parts first."
        )
    n_cells = on_grid.n_steps * n_voices
    advice = "Cut the piece with music.cut, or use a coarser grid."
    checks.whole_number("The number of cells, steps times voices,", n_cells, 0, MOST_CELLS, advice)
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
    return VoiceGrid(
        pitch=pitch,
        is_onset=is_onset,
        is_fermata=np.zeros(len(pitch), bool),
        bar_position_step=music.bar_position_step(on_grid, np.arange(on_grid.n_steps)),
        steps_per_quarter=steps_per_quarter,
        meter=(piece.meters[0].numerator, piece.meters[0].denominator),
        quarters_per_minute=piece.tempos[0].quarters_per_minute,
        title=piece.title,
        voice_names=tuple(part.name or f"voice {index + 1}" for index, part in enumerate(piece.parts)),
    )


# --- Grids from grids: transpose, cut


def transpose(grid: VoiceGrid, semitones: int) -> VoiceGrid:
    """Move every sounding cell up by a number of semitones; rests stay.

    The key signature moves along, to the spelling with the fewest accidentals.

    >>> transpose(from_pitches([[60], [-1]], voice_names=("melody",), fifths=0), 2).fifths
    2
    """
    moved = music.moved_pitches(grid.pitch, semitones, is_fixed=grid.pitch == REST)
    # A semitone up is seven fifths up; signatures that name the same keys lie twelve fifths apart.
    is_same_key = grid.fifths is None or semitones % 12 == 0
    fifths = grid.fifths if is_same_key else (grid.fifths + 7 * semitones + 5) % 12 - 5
    return replace(grid, pitch=moved, fifths=fifths)


def cut(grid: VoiceGrid, start_step: int, stop_step: int) -> VoiceGrid:
    """Cut out the steps from ``start_step`` up to, not including, ``stop_step``.

    A note that was already sounding at ``start_step`` begins there.

    >>> cut(from_pitches([[60], [60], [62]], voice_names=("melody",)), 1, 3).is_onset[:, 0].tolist()
    [True, True]
    """
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
        n_bars_before=grid.n_bars_before + int((grid.bar_position_step[:start_step] == 0).sum()),
        is_cut_off=grid.is_cut_off or stop_step < grid.n_steps,
    )
