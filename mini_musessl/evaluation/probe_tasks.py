"""Labels that come with the music: key signature, mode, chord, cadence, beat.

A function that labels beats returns the steps at which they begin and a class for each; one that labels pieces returns
one class. None means that the piece does not say.

Chapter: 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl import corpora, harmony, voices
from mini_musessl.harmony import QUALITIES, pitch_class_name
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, encode_chorales

# --- Labels that come with the music: key signature, mode, chord, cadence, beat

BeatLabels = tuple[np.ndarray, np.ndarray]

#: Key signatures from 5 flats to 6 sharps, as classes.
SIGNATURES = tuple(range(-5, 7))
KEY_CLASSES = (
    "5 flats",
    "4 flats",
    "3 flats",
    "2 flats",
    "1 flat",
    "none",
    "1 sharp",
    "2 sharps",
    "3 sharps",
    "4 sharps",
)
KEY_CLASSES += ("5 sharps", "6 sharps or flats")
MODE_CLASSES = ("major", "minor")
#: Qualities that count as a triad with more on top; the others are joined.
_TRIADS = {"major": ("major", "dominant seventh", "major seventh"), "minor": ("minor", "minor seventh")}
CHORD_CLASSES = (
    *(pitch_class_name(root, 0) for root in range(12)),
    *(pitch_class_name(root, 0) + "m" for root in range(12)),
    "other",
)
CADENCE_CLASSES = ("goes on", "ends")
BEAT_CLASSES = ("1", "2", "3", "4")


def label_key(grid: voices.VoiceGrid) -> int | None:
    """Return the key signature, as an index into ``KEY_CLASSES``.

    The signature and not the tonic: it is printed in every score, and it asks for the scale alone. Which of the two
    keys of a signature it is, the task of the mode asks. Signatures that sound the same are one.

    Args:
        grid: a chorale.

    Chapter: 1a.
    """
    return None if grid.fifths is None else (grid.fifths - SIGNATURES[0]) % 12


def label_mode(grid: voices.VoiceGrid) -> int | None:
    """Return 0 for major and 1 for minor, as the score says.

    Args:
        grid: a chorale.

    Chapter: 1a.
    """
    return None if grid.mode is None else MODE_CLASSES.index(grid.mode)


def label_chords(grid: voices.VoiceGrid) -> BeatLabels:
    """Return the chord of every beat by the rule of ``harmony.chord_labels``, as an index into ``CHORD_CLASSES``.

    Sevenths count as their triads; diminished and augmented chords and beats without a chord are joined.

    Args:
        grid: a chorale.

    Chapter: 1a.
    """
    chords = harmony.chord_labels(grid)
    triad = np.array([_triad_of(quality) for quality in QUALITIES])[chords["quality"]]
    is_other = (chords["quality"] == harmony.NO_CHORD) | (triad < 0)
    return chords["step"].astype(np.int64), np.where(is_other, 24, 12 * triad + chords["root"]).astype(np.int64)


def label_cadences(grid: voices.VoiceGrid) -> BeatLabels | None:
    """Say of each beat whether a fermata begins in it: 1 where the phrase ends.

    Beats on which the same fermata goes on sounding are not asked about, nor is the last fermata of the piece: the end
    of the music would give it away.

    Args:
        grid: a chorale.

    Returns:
        Steps and classes; None for a piece without a fermata.

    Chapter: 1a.
    """
    if not grid.is_fermata.any():
        return None
    step = harmony.chord_labels(grid)["step"].astype(np.int64)
    begins = np.flatnonzero(grid.is_fermata & ~np.append(False, grid.is_fermata[:-1]))
    beat = np.searchsorted(step, begins, side="right") - 1
    label = np.zeros(len(step), np.int64)
    label[beat] = 1
    is_asked = ~grid.is_fermata[step] | (label == 1)
    is_asked[beat[-1] :] = False
    return step[is_asked], label[is_asked]


def label_beats(grid: voices.VoiceGrid) -> BeatLabels | None:
    """Say which beat of the bar each beat is, 0 to 3.

    Args:
        grid: a chorale.

    Returns:
        Steps and classes; None for a piece that is not in 4/4.

    Chapter: 1a.
    """
    if grid.meter != (4, 4):
        return None
    beat, rest = np.divmod(grid.bar_position_step.astype(np.int64), grid.steps_per_quarter)
    step = np.flatnonzero((rest == 0) & (beat < 4))
    return step, beat[step]


def _triad_of(quality: str) -> int:
    """Return 0 for qualities built on a major triad, 1 for those on a minor one, -1 for others."""
    return next((index for index, names in enumerate(_TRIADS.values()) if quality in names), -1)


# --- What a probe shows to a network: windows of chorales, single voices, and windows with one wrong note

#: Windows for questions about a beat, a key or a hymn: their length, and how much two of them share at least.
WINDOW_STEP, OVERLAP_STEP = 96, 16
#: Windows for one voice alone: length, and how many a chorale. Where lines are moved to: the id of G4.
VOICE_STEP, VOICE_WINDOWS, LEVEL_ID = 48, 2, 67 - 35
#: Windows for one wrong note: length, how many a chorale, and by how many semitones the note is moved at most.
CORRUPTED_STEP, CORRUPTED_WINDOWS, LARGEST_SHIFT = 32, 4, 3


@dataclass(frozen=True, eq=False)
class Excerpt:
    """One window as a network is shown it.

    Attributes:
        frames: int64 (n_steps, 4), symbol ids.
        is_hidden: bool (n_steps, 4), True where a cell must not be seen.
        piece: which of the chorales it is cut from.
        start_step: where in the chorale it begins.
        answer: what is asked about it, where the view decides that; None where the music does.
    """

    frames: Int[np.ndarray, "n_steps 4"]
    is_hidden: Bool[np.ndarray, "n_steps 4"]
    piece: int
    start_step: int
    answer: int | None = None


def spread_starts(n_steps: int, length_step: int, overlap_step: int) -> list[int]:
    """Return where windows begin that cover a piece evenly.

    Args:
        n_steps: length of the piece.
        length_step: length of a window.
        overlap_step: how much neighbours share at least; below ``length_step``.

    Returns:
        First steps, from 0 to the last window that fits; 0 alone for a piece no longer than a window.

    Example:
        >>> spread_starts(200, 96, 16)
        [0, 52, 104]

    Chapter: 1a.
    """
    if n_steps <= length_step:
        return [0]
    n_windows = -(-(n_steps - overlap_step) // (length_step - overlap_step))
    return np.linspace(0, n_steps - length_step, n_windows).round().astype(int).tolist()


def window_excerpts(grids: Sequence[voices.VoiceGrid]) -> list[Excerpt]:
    """Cut every chorale into windows that together show all of it.

    Args:
        grids: chorales of four voices.

    Returns:
        Views in the order of the chorales, with nothing hidden.

    Chapter: 1a.
    """
    return [
        _view(frames[start : start + WINDOW_STEP], piece, start)
        for piece, frames in enumerate(encode_chorales(grids))
        for start in spread_starts(len(frames), WINDOW_STEP, OVERLAP_STEP)
    ]


def voice_excerpts(grids: Sequence[voices.VoiceGrid]) -> list[Excerpt]:
    """Show one voice alone, in the soprano's place and at one height, so that neither place nor height tells which.

    The line is moved by the interval that brings its mean pitch nearest to G4; so its key says nothing either. What is
    left to tell a bass from an alto is how it moves.

    Args:
        grids: chorales of four voices.

    Returns:
        Four views a window, the other three voices hidden; the answer is the voice, 0 the soprano. A voice that rests
        for the whole window is left out.

    Chapter: 1a.
    """
    return [
        _one_voice(window, voice, piece, start)
        for piece, frames in enumerate(encode_chorales(grids))
        for start, window in _some_windows(frames, VOICE_STEP, VOICE_WINDOWS)
        for voice in range(4)
        if window[:, voice].any()
    ]


def corrupted_excerpts(grids: Sequence[voices.VoiceGrid]) -> list[Excerpt]:
    """Show windows as they are, and each once more with one note moved by one to three semitones.

    The note is drawn among all notes of the window, each equally likely, with a generator of its own for each chorale.

    Args:
        grids: chorales of four voices.

    Returns:
        Two views a window: as it is (answer 0) and with one wrong note (answer 1). A window of rests is left out.

    Chapter: 1a.
    """
    views = []
    for piece, frames in enumerate(encode_chorales(grids)):
        generator = np.random.default_rng([piece, len(frames)])
        for start, window in _some_windows(frames, CORRUPTED_STEP, CORRUPTED_WINDOWS):
            if window.any():
                views.append(_view(window, piece, start, 0))
                views.append(_view(move_one_note(window, generator), piece, start, 1))
    return views


def move_one_note(frames: Int[np.ndarray, "n_steps 4"], generator: np.random.Generator) -> Int[np.ndarray, "n_steps 4"]:
    """Return a window in which one whole note is moved by one to three semitones.

    Args:
        frames: symbol ids with at least one note.
        generator: draws the note, then the interval among those that keep the pitch in the vocabulary and the note
            apart from the notes before and after it.

    Raises:
        ValueError: no voice sings.

    Chapter: 1a.
    """
    notes = [note for voice in range(frames.shape[1]) for note in _notes(frames[:, voice], voice)]
    if not notes:
        raise ValueError("A window needs a note to move; found rests alone. Leave such windows out.")
    voice, start, stop = notes[generator.integers(len(notes))]
    line = frames[:, voice]
    around = {int(line[step]) for step in (start - 1, stop) if 0 <= step < len(line)}
    moved = [int(line[start]) + shift for shift in range(-LARGEST_SHIFT, LARGEST_SHIFT + 1) if shift]
    allowed = [symbol for symbol in moved if 0 < symbol < N_SYMBOLS and symbol not in around]
    changed = frames.copy()
    changed[start:stop, voice] = allowed[generator.integers(len(allowed))]
    return changed


#: Every way to show chorales.
EXCERPTS: dict[str, Callable[[Sequence[voices.VoiceGrid]], list[Excerpt]]] = {
    "windows": window_excerpts,
    "voices": voice_excerpts,
    "corrupted": corrupted_excerpts,
}


def _view(frames: np.ndarray, piece: int, start: int, answer: int | None = None) -> Excerpt:
    """Return a view that hides nothing."""
    return Excerpt(frames, np.zeros(frames.shape, bool), piece, start, answer)


def _some_windows(frames: np.ndarray, length_step: int, n_windows: int) -> list[tuple[int, np.ndarray]]:
    """Return up to ``n_windows`` windows spread over a piece, with their first steps."""
    n_fitting = max(1, len(frames) // length_step)
    last = max(0, len(frames) - length_step)
    starts = np.linspace(0, last, min(n_windows, n_fitting) + 2)[1:-1].round().astype(int).tolist()
    return [(start, frames[start : start + length_step]) for start in starts]


def _one_voice(window: np.ndarray, voice: int, piece: int, start: int) -> Excerpt:
    """Return a view of one voice, levelled, in the soprano's place."""
    line = window[:, voice]
    sounds = line > 0
    pitches = line[sounds]
    shift = round(LEVEL_ID - float(pitches.mean()))
    shift = min(max(shift, 1 - int(pitches.min())), N_SYMBOLS - 1 - int(pitches.max()))
    frames = np.zeros_like(window)
    frames[:, 0] = np.where(sounds, line + shift, 0)
    is_hidden = np.ones(window.shape, bool)
    is_hidden[:, 0] = False
    return Excerpt(frames, is_hidden, piece, start, voice)


def _notes(line: np.ndarray, voice: int) -> list[tuple[int, int, int]]:
    """Return voice, first step and end of each run of one pitch."""
    edges = np.flatnonzero(np.diff(line, prepend=-1, append=-1))
    return [
        (voice, start, stop) for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True) if line[start]
    ]


# --- The tasks of a probe, by name: what is shown, what is asked, and where in the features the answer is looked for

#: In the place of a step: the mean over all steps of the view.
WHOLE_VIEW = -1


@dataclass(frozen=True)
class Task:
    """One question about music.

    Attributes:
        question: the question in words.
        classes: names of the answers; empty for retrieval, where each hymn is its own class.
        showing: how the music is shown, a key of ``views.SHOWINGS``.
        label_beats: labels the beats of a piece, for a question about beats.
        label_piece: labels a piece, for a question about windows whose answer is the piece's.
        needs: what a grid must have to be asked, in words.
    """

    question: str
    classes: tuple[str, ...]
    showing: str = "windows"
    label_beats: Callable[[voices.VoiceGrid], BeatLabels | None] | None = None
    label_piece: Callable[[voices.VoiceGrid], int | None] | None = None
    needs: str = ""


#: Every task by its name. "hymn" is retrieval; the others are classifications.
TASKS: dict[str, Task] = {
    "key": Task(
        "Which key signature has the piece?",
        KEY_CLASSES,
        label_piece=label_key,
        needs="a key signature (fifths)",
    ),
    "mode": Task(
        "Is the piece in major or minor?",
        MODE_CLASSES,
        label_piece=label_mode,
        needs="a mode, major or minor",
    ),
    "chord": Task("Which triad does the beat hold?", CHORD_CLASSES, label_beats=label_chords, needs="beats"),
    "cadence": Task("Does the phrase end on this beat?", CADENCE_CLASSES, label_beats=label_cadences, needs="fermatas"),
    "beat": Task("Which beat of the bar is it?", BEAT_CLASSES, label_beats=label_beats, needs="the meter 4/4"),
    "voice": Task("Which voice is this line?", voices.SATB, showing="voices", needs="notes"),
    "corrupted": Task(
        "Is there a wrong note in the window?", ("as Bach wrote it", "one note moved"), showing="corrupted"
    ),
    "hymn": Task("Which other pieces set the same hymn?", ()),
}


@dataclass(frozen=True, eq=False)
class Examples:
    """The questions of one task on some chorales.

    Attributes:
        task: name of the task.
        classes: names of the answers.
        view: int64 (n_examples,), index of the view in which each example is seen.
        step: int64 (n_examples,), the step of the view that is read, or ``WHOLE_VIEW``.
        label: int64 (n_examples,), the right answer.
        piece: int64 (n_examples,), index of the chorale.
    """

    task: str
    classes: tuple[str, ...]
    view: Int[np.ndarray, " n_examples"]
    step: Int[np.ndarray, " n_examples"]
    label: Int[np.ndarray, " n_examples"]
    piece: Int[np.ndarray, " n_examples"]


def find_task(name: str) -> Task:
    """Return a task by its name.

    Args:
        name: a key of ``TASKS``.

    Raises:
        ValueError: there is no such task.

    Example:
        >>> find_task("mode").question
        'Is the piece in major or minor?'

    Chapter: 1a.
    """
    if name not in TASKS:
        raise ValueError(f"A probe task must be one of {', '.join(TASKS)}; found {name!r}.")
    return TASKS[name]


def ask(name: str, grids: Sequence[voices.VoiceGrid], views: Sequence[Excerpt]) -> Examples:
    """Put the question of a task to chorales.

    Pieces that do not say the answer are not asked.

    Args:
        name: the task.
        grids: the chorales.
        views: what the task shows of them: ``SHOWINGS[find_task(name).showing](grids)``.

    Raises:
        ValueError: there is no such task, or no piece has its labels.

    Chapter: 1a.
    """
    task = find_task(name)
    if task.label_beats is not None:
        rows = _ask_beats(task.label_beats, grids, views)
    else:
        answers = _piece_answers(name, task, grids)
        found = [view.answer if view.answer is not None else answers[view.piece] for view in views]
        rows = [(index, WHOLE_VIEW, label) for index, label in enumerate(found) if label is not None]
    if not rows:
        raise ValueError(
            f"The task {name!r} needs pieces with {task.needs}; none of the {len(grids)} pieces has that. The chorales "
            "of corpora.load_chorales and corpora.rebuilt_split do; those of corpora.load_jsb hold pitches alone."
        )
    view, step, label = np.array(rows, np.int64).T
    return Examples(name, task.classes, view, step, label, np.array([each.piece for each in views])[view])


def _piece_answers(name: str, task: Task, grids: Sequence[voices.VoiceGrid]) -> list[int | None]:
    """Return the label of each piece, or None for all where the views carry the answers."""
    if name == "hymn":
        return corpora.melody_groups(grids).tolist()
    return [None if task.label_piece is None else task.label_piece(grid) for grid in grids]


def _ask_beats(label_beats: Callable, grids: Sequence[voices.VoiceGrid], views: Sequence[Excerpt]) -> list[tuple]:
    """Return view, step in the view and label of every beat; each is read where it stands nearest to the middle."""
    views_of: dict[int, list[int]] = {}
    for index, view in enumerate(views):
        views_of.setdefault(view.piece, []).append(index)
    rows = []
    for piece, grid in enumerate(grids):
        found = label_beats(grid)
        if found is None:
            continue
        chosen = np.array(views_of[piece])
        start = np.array([views[index].start_step for index in chosen])
        middle = start + np.array([len(views[index].frames) for index in chosen]) / 2
        nearest = np.abs(found[0][:, None] - middle).argmin(axis=1)
        rows += zip(chosen[nearest].tolist(), (found[0] - start[nearest]).tolist(), found[1].tolist(), strict=True)
    return rows
