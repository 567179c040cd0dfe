"""The tasks of a probe, by name: what is shown, what is asked, and where in the features the answer is looked for.

Chapter: 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from mini_musessl import corpora, voices
from mini_musessl.evaluation.probing import labels
from mini_musessl.evaluation.probing.views import View

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
    label_beats: Callable[[voices.VoiceGrid], labels.BeatLabels | None] | None = None
    label_piece: Callable[[voices.VoiceGrid], int | None] | None = None
    needs: str = ""


#: Every task by its name. "hymn" is retrieval; the others are classifications.
TASKS: dict[str, Task] = {
    "key": Task(
        "Which key signature has the piece?",
        labels.KEY_CLASSES,
        label_piece=labels.label_key,
        needs="a key signature (fifths)",
    ),
    "mode": Task(
        "Is the piece in major or minor?",
        labels.MODE_CLASSES,
        label_piece=labels.label_mode,
        needs="a mode, major or minor",
    ),
    "chord": Task(
        "Which triad does the beat hold?", labels.CHORD_CLASSES, label_beats=labels.label_chords, needs="beats"
    ),
    "cadence": Task(
        "Does the phrase end on this beat?", labels.CADENCE_CLASSES, label_beats=labels.label_cadences, needs="fermatas"
    ),
    "beat": Task(
        "Which beat of the bar is it?", labels.BEAT_CLASSES, label_beats=labels.label_beats, needs="the meter 4/4"
    ),
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


def ask(name: str, grids: Sequence[voices.VoiceGrid], views: Sequence[View]) -> Examples:
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


def _ask_beats(label_beats: Callable, grids: Sequence[voices.VoiceGrid], views: Sequence[View]) -> list[tuple]:
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
