"""Questions that music answers by itself: what a probe is shown of it, what it is asked, and the right answers.

A *task* asks for the key signature, the mode, the chords, the ends of phrases or the beats; or which voice a line is,
whether a note is wrong, which other pieces set the same hymn. An *excerpt* is what a network is shown for it: a window
of a chorale, a voice alone, a window with one wrong note.

A function that labels beats returns the steps at which they begin and a class for each; one that labels pieces returns
one class. None means that the piece has no label.

Chapter: 1a (learning without labels).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl import corpora, harmony, voices
from mini_musessl.batches import window_starts
from mini_musessl.checks import check_choice
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, TOKENS, encode_chorales

# --- The labels: key signature, mode, chord, phrase end, beat

BeatLabels = tuple[Int[np.ndarray, " n_beats"], Int[np.ndarray, " n_beats"]]

KEY_SIGNATURE_CLASSES = (*(f"{n} flats" for n in range(5, 1, -1)), "1 flat", "none", "1 sharp")
KEY_SIGNATURE_CLASSES += (*(f"{n} sharps" for n in range(2, 6)), "6 sharps or flats")
MODE_CLASSES = ("major", "minor")
_ROOTS = tuple(harmony.pitch_class_name(root, 0) for root in range(12))
CHORD_CLASSES = (*_ROOTS, *(f"{root}m" for root in _ROOTS), "other")
#: Qualities that are a major or a minor triad, perhaps with more on top; the others are joined.
_TRIADS = (("major", "dominant seventh", "major seventh"), ("minor", "minor seventh"))
PHRASE_END_CLASSES = ("goes on", "ends")
BEAT_CLASSES = ("1", "2", "3", "4")


def label_key_signature(grid: voices.VoiceGrid) -> int | None:
    """Return the key signature, as an index into ``KEY_SIGNATURE_CLASSES``.

    The signature and not the tonic: it is printed in every score, and it depends on the scale alone. Which of its two
    keys it is, is the task of the mode. Signatures that sound the same are one.
    """
    return None if grid.fifths is None else (grid.fifths + 5) % 12


def label_mode(grid: voices.VoiceGrid) -> int | None:
    """Return 0 for major and 1 for minor, as written in the score."""
    return None if grid.mode is None else MODE_CLASSES.index(grid.mode)


def label_chords(grid: voices.VoiceGrid) -> BeatLabels:
    """Return the chord of every beat by ``harmony.chord_labels``, as an index into ``CHORD_CLASSES``."""
    chords = harmony.chord_labels(grid)
    of_triad = [[harmony.QUALITIES.index(name) for name in names] for names in _TRIADS]
    triad = np.select([np.isin(chords["quality"], each) for each in of_triad], [0, 1], default=-1)
    return chords["step"].astype(np.int64), np.where(triad < 0, 24, 12 * triad + chords["root"]).astype(np.int64)


def label_phrase_ends(grid: voices.VoiceGrid) -> BeatLabels | None:
    """Return for each beat whether a fermata begins in it: 1 where the phrase ends.

    Beats on which the same fermata goes on sounding are not asked about, nor is the last fermata of the piece: the end
    of the music would give it away.
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
    """Return which beat of the bar each beat is, 0 to 3, in a piece in 4/4."""
    if grid.meter != (4, 4):
        return None
    beat, rest = np.divmod(grid.bar_position_step.astype(np.int64), grid.steps_per_quarter)
    step = np.flatnonzero((rest == 0) & (beat < 4))
    return step, beat[step]


# --- The excerpts: windows of chorales, single voices, and windows with one wrong note

#: Windows for questions about a beat, a key or a hymn: their length, and how much two of them share at least.
WINDOW_STEP, OVERLAP_STEP = 96, 16
#: Windows for one voice alone: their length, and how many a chorale. The lines are moved to about the id of G4.
VOICE_STEP, VOICE_WINDOWS, LEVEL_ID = 48, 2, 68 - TOKENS.lowest_pitch
#: Windows for one wrong note: their length, how many a chorale, and by how many semitones the note is moved at most.
CORRUPTED_STEP, CORRUPTED_WINDOWS, LARGEST_SHIFT = 32, 4, 3


@dataclass(frozen=True, eq=False)
class Excerpt:
    """One window as a network is shown it."""

    frames: Int[np.ndarray, "n_steps 4"]  # symbol ids
    is_hidden: Bool[np.ndarray, "n_steps 4"]  # True where a cell must not be seen
    piece: int  # which of the chorales it is cut from
    start_step: int  # where in the chorale it begins
    answer: int | None = None  # the answer, where the excerpt decides it and not the piece


def window_excerpts(grids: Sequence[voices.VoiceGrid]) -> list[Excerpt]:
    """Cut every chorale into windows that together show all of it."""
    return [
        _show(frames[start : start + WINDOW_STEP], piece, start)
        for piece, frames in enumerate(encode_chorales(grids))
        for start in window_starts(len(frames), WINDOW_STEP, WINDOW_STEP - OVERLAP_STEP, is_spread=True).tolist()
    ]


def voice_excerpts(grids: Sequence[voices.VoiceGrid]) -> list[Excerpt]:
    """Show one voice alone, in the soprano's place and at one height, so that neither place nor height shows which.

    The line is moved by the interval that brings its mean pitch nearest to G4; so its key shows nothing either. A bass
    differs from an alto only by how it moves. A voice that rests for the whole window is left out.
    """
    return [
        _show_voice(window, voice, piece, start)
        for piece, frames in enumerate(encode_chorales(grids))
        for start, window in _some_windows(frames, VOICE_STEP, VOICE_WINDOWS)
        for voice in range(4)
        if window[:, voice].any()
    ]


def corrupted_excerpts(grids: Sequence[voices.VoiceGrid]) -> list[Excerpt]:
    """Show windows as they are (answer 0), and each once more with one note moved by one to three semitones (1)."""
    excerpts = []
    for piece, frames in enumerate(encode_chorales(grids)):
        generator = np.random.default_rng([piece, len(frames)])
        for start, window in _some_windows(frames, CORRUPTED_STEP, CORRUPTED_WINDOWS):
            if window.any():
                excerpts.append(_show(window, piece, start, 0))
                excerpts.append(_show(_move_one_note(window, generator), piece, start, 1))
    return excerpts


EXCERPTS: dict[str, Callable[[Sequence[voices.VoiceGrid]], list[Excerpt]]] = {
    "windows": window_excerpts,
    "voices": voice_excerpts,
    "corrupted": corrupted_excerpts,
}


def _show(frames: np.ndarray, piece: int, start: int, answer: int | None = None) -> Excerpt:
    """Hide nothing."""
    return Excerpt(frames, np.zeros(frames.shape, bool), piece, start, answer)


def _some_windows(frames: np.ndarray, length: int, n_windows: int) -> list[tuple[int, np.ndarray]]:
    """Return up to ``n_windows`` windows from inside a piece, at even distances, with their first steps."""
    n_windows = min(n_windows, max(1, len(frames) // length))
    starts = np.linspace(0, max(0, len(frames) - length), n_windows + 2)[1:-1].round().astype(int).tolist()
    return [(start, frames[start : start + length]) for start in starts]


def _show_voice(window: np.ndarray, voice: int, piece: int, start: int) -> Excerpt:
    """Level one voice, put it in the soprano's place and hide the others."""
    line = window[:, voice]
    sounding = line[line > 0]
    shift = round(LEVEL_ID - float(sounding.mean()))
    shift = min(max(shift, 1 - int(sounding.min())), N_SYMBOLS - 1 - int(sounding.max()))
    frames, is_hidden = np.zeros_like(window), np.ones(window.shape, bool)
    frames[:, 0] = np.where(line > 0, line + shift, 0)
    is_hidden[:, 0] = False
    return Excerpt(frames, is_hidden, piece, start, voice)


def _move_one_note(frames: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw a note of a window, each equally likely, and move it: in the vocabulary, and apart from its neighbours."""
    notes = [(voice, *edges) for voice, line in enumerate(frames.T) for edges in _notes(line)]
    voice, start, stop = notes[generator.integers(len(notes))]
    line = frames[:, voice]
    around = {int(line[step]) for step in (start - 1, stop) if 0 <= step < len(line)}
    moved = [int(line[start]) + shift for shift in range(-LARGEST_SHIFT, LARGEST_SHIFT + 1) if shift]
    allowed = [symbol for symbol in moved if 0 < symbol < N_SYMBOLS and symbol not in around]
    changed = frames.copy()
    changed[start:stop, voice] = allowed[generator.integers(len(allowed))]
    return changed


def _notes(line: np.ndarray) -> list[tuple[int, int]]:
    """Return the first step and the end of each run of one pitch."""
    edges = np.flatnonzero(np.diff(line, prepend=-1, append=-1)).tolist()
    return [(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True) if line[start]]


# --- The tasks: what is shown, what is asked, and where in the excerpts the answer is looked for

#: In the place of a step: the mean over all steps of the excerpt.
WHOLE_EXCERPT = -1


@dataclass(frozen=True)
class Task:
    """One question about music."""

    question: str
    classes: tuple[str, ...]  # names of the answers; none for retrieval, where each hymn is its own class
    shows: str = "windows"  # how the music is shown, a key of EXCERPTS
    label_beats: Callable[[voices.VoiceGrid], BeatLabels | None] | None = None
    label_piece: Callable[[voices.VoiceGrid], int | None] | None = None
    needs: str = "notes"  # what a piece must have to be asked, in words


#: Every task by its name.
TASKS: dict[str, Task] = {
    "key signature": Task(
        "What is the piece's key signature?",
        KEY_SIGNATURE_CLASSES,
        label_piece=label_key_signature,
        needs="a key signature (fifths)",
    ),
    "mode": Task(
        "Is the piece in major or minor?", MODE_CLASSES, label_piece=label_mode, needs="a mode, major or minor"
    ),
    "chord": Task("Which triad does the beat hold?", CHORD_CLASSES, label_beats=label_chords, needs="beats"),
    "phrase end": Task(
        "Does the phrase end on this beat?", PHRASE_END_CLASSES, label_beats=label_phrase_ends, needs="fermatas"
    ),
    "beat": Task("Which beat of the bar is it?", BEAT_CLASSES, label_beats=label_beats, needs="the meter 4/4"),
    "voice": Task("Which voice is this line?", voices.SATB, shows="voices"),
    "corrupted": Task("Is there a wrong note in the window?", ("as Bach wrote it", "one note moved"), "corrupted"),
    "hymn": Task("Which other pieces set the same hymn?", ()),
}


@dataclass(frozen=True, eq=False)
class Examples:
    """The questions of one task on some chorales, with the right answers."""

    task: str
    classes: tuple[str, ...]
    excerpt: Int[np.ndarray, " n_examples"]  # index of the excerpt in which each example is seen
    step: Int[np.ndarray, " n_examples"]  # the step of the excerpt that is read, or WHOLE_EXCERPT
    label: Int[np.ndarray, " n_examples"]  # the right answer
    piece: Int[np.ndarray, " n_examples"]  # index of the chorale
    n_pieces: int  # chorales, with those that have no label


def find_task(name: str) -> Task:
    """Return a task by its name."""
    check_choice("A probe task", name, TASKS)
    return TASKS[name]


def ask(name: str, grids: Sequence[voices.VoiceGrid], excerpts: Sequence[Excerpt]) -> Examples:
    """Put the question of a task to chorales; pieces without a label are left out.

    Args:
        excerpts: ``EXCERPTS[find_task(name).shows](grids)``.
    """
    task = find_task(name)
    if task.label_beats is not None:
        rows = _ask_beats(task.label_beats, grids, excerpts)
    else:
        of_piece = _label_pieces(name, task, grids)
        found = [each.answer if each.answer is not None else of_piece[each.piece] for each in excerpts]
        rows = [(index, WHOLE_EXCERPT, label) for index, label in enumerate(found) if label is not None]
    if not rows:
        raise ValueError(
            f"The task {name!r} needs pieces with {task.needs}; none of the {len(grids)} pieces has that. The chorales "
            "of corpora.load_chorales and corpora.rebuilt_split do; those of corpora.load_jsb hold pitches alone."
        )
    excerpt, step, label = np.array(rows, np.int64).T
    piece = np.array([each.piece for each in excerpts])[excerpt]
    return Examples(name, task.classes, excerpt, step, label, piece, len(grids))


def _label_pieces(name: str, task: Task, grids: Sequence[voices.VoiceGrid]) -> list[int | None]:
    """Return the label of each piece, or None for all where the excerpts carry the answers."""
    if name == "hymn":
        return corpora.melody_groups(grids).tolist()
    return [None if task.label_piece is None else task.label_piece(grid) for grid in grids]


def _ask_beats(label_beats: Callable, grids: Sequence[voices.VoiceGrid], excerpts: Sequence[Excerpt]) -> list[tuple]:
    """Return excerpt, step in it and label of every beat; each is read where it stands nearest to the middle."""
    of_piece, start = (np.array([getattr(each, name) for each in excerpts]) for name in ("piece", "start_step"))
    middle = start + np.array([len(each.frames) for each in excerpts]) / 2
    rows = []
    for piece, grid in enumerate(grids):
        found = label_beats(grid)
        if found is not None:
            step, label = found
            choices = np.flatnonzero(of_piece == piece)
            chosen = choices[np.abs(step[:, None] - middle[choices]).argmin(axis=1)]
            rows += zip(chosen.tolist(), (step - start[chosen]).tolist(), label.tolist(), strict=True)
    return rows
