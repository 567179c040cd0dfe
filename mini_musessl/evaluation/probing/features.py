"""Features of the examples of every task: from a frozen encoder, from an autoregressive network, or counted by hand.

A *describer* turns frames into one vector a step. Everything else is the same for all: what is shown, which step is
read, which pieces are labelled.

Chapter: 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from mini_musessl import voices
from mini_musessl.encoder import FrameEncoder
from mini_musessl.evaluation.probing.handmade import count_features
from mini_musessl.evaluation.probing.splits import check_grids
from mini_musessl.evaluation.probing.tasks import TASKS, WHOLE_VIEW, Examples, ask, find_task
from mini_musessl.evaluation.probing.views import SHOWINGS, View
from mini_musessl.frames import FrameTransformer
from mini_musessl.training import choose_precision

#: ``(frames, is_hidden, first_step) -> features``: int (batch, n_steps, 4), bool of that shape, int (batch,), and
#: float (batch, n_steps, d_features).
Describer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
#: Views that are described at once; changes nothing but speed.
_N_VIEWS = 32


@dataclass(frozen=True, eq=False)
class Features:
    """What is known about each example of a task, and the right answers.

    Attributes:
        task: name of the task.
        classes: names of the answers.
        values: float32 (n_examples, d_features).
        label: int64 (n_examples,), the right answer.
        piece: int64 (n_examples,), index of the chorale.
        n_pieces: how many chorales were described, with those that do not say the answer and have no example; None
            where nobody knows. It lets a probe tell a piece that has no labels from one that was never described.

    Raises:
        ValueError: the arrays differ in length, a feature is not a finite number, or an example is of another piece.

    Chapter: 1a.
    """

    task: str
    classes: tuple[str, ...]
    values: Float[np.ndarray, "n_examples d_features"]
    label: Int[np.ndarray, " n_examples"]
    piece: Int[np.ndarray, " n_examples"]
    n_pieces: int | None = None

    def __post_init__(self) -> None:
        if not len(self.values) == len(self.label) == len(self.piece):
            raise ValueError(
                "Features, labels and pieces must be given for the same examples; found "
                f"{len(self.values)}, {len(self.label)} and {len(self.piece)}."
            )
        if not np.isfinite(self.values).all():
            raise ValueError("Features must be finite numbers; found others. Did the network diverge?")
        if (
            self.n_pieces is not None
            and len(self.piece)
            and not 0 <= self.piece.min() <= self.piece.max() < self.n_pieces
        ):
            raise ValueError(
                f"Examples must be of the {self.n_pieces} pieces that were described, 0 to {self.n_pieces - 1}; found "
                f"pieces {self.piece.min()} to {self.piece.max()}."
            )


def encoder_features(
    model: nn.Module, grids: Sequence[voices.VoiceGrid], tasks: Iterable[str] | None = None, precision: str = "auto"
) -> dict[str, Features]:
    """Describe the examples of tasks by a frozen network.

    Frozen does not mean that it never saw the answers. Where its training asked for them (a harmony head for "chord",
    pairs of settings of one hymn for "hymn"), mark the row.

    Args:
        model: a FrameEncoder, a network with one as ``.encoder``, or a FrameTransformer; put into evaluation mode and
            not changed.
        grids: chorales of four voices, with the labels that the tasks need.
        tasks: names; None for all.
        precision: "float32", "bfloat16", or "auto" as for ``training.TrainingConfig``.

    Returns:
        ``Features`` by the name of the task.

    Raises:
        ValueError: no grids, an unknown task, labels that are missing, the task "beat" for a network that is told it,
            or a network whose context is too short.
        TypeError: a model of another kind, grids that are none, or tasks that are not a list of names.

    Chapter: 1a.
    """
    names = _task_names(tasks)
    describe = NetworkDescriber(model, precision)
    check_not_told(names, describe.cycle_length)
    return make_features(describe, grids, names)


def check_not_told(tasks: Iterable[str], cycle_length: int) -> None:
    """Refuse to ask a network what it is told.

    Args:
        tasks: names.
        cycle_length: the network is told the index of each step modulo this; 1 tells nothing.

    Raises:
        ValueError: "beat" is among the tasks, and the network is told it.

    Chapter: 1a.
    """
    if "beat" in tasks and cycle_length > 1:
        raise ValueError(
            f"The task 'beat' needs a network that is not told where it is in the bar; this one is told the index of "
            f"each step modulo {cycle_length}. Train it with cycle_length=1, or leave the task out."
        )


def handmade_features(grids: Sequence[voices.VoiceGrid], tasks: Iterable[str] | None = None) -> dict[str, Features]:
    """Describe the examples of tasks by what a musician might count, see ``handmade.count_features``.

    Args:
        grids: chorales of four voices, with the labels that the tasks need.
        tasks: names; None for all.

    Returns:
        ``Features`` by the name of the task.

    Raises:
        ValueError: no grids, an unknown task, or labels that are missing.
        TypeError: grids that are none, or tasks that are not a list of names.

    Chapter: 1a.
    """
    return make_features(lambda frames, is_hidden, first_step: count_features(frames, is_hidden), grids, tasks)


def make_features(
    describe: Describer, grids: Sequence[voices.VoiceGrid], tasks: Iterable[str] | None = None
) -> dict[str, Features]:
    """Describe the examples of tasks by any describer; what several tasks show is described once.

    Args:
        describe: turns frames into one vector a step.
        grids: chorales of four voices, with the labels that the tasks need.
        tasks: names; None for all.

    Returns:
        ``Features`` by the name of the task.

    Raises:
        ValueError: no grids, an unknown task, or labels that are missing.
        TypeError: grids that are none, or tasks that are not a list of names.

    Chapter: 1a.
    """
    names = _task_names(tasks)
    check_grids(grids)
    found: dict[str, Features] = {}
    for showing in dict.fromkeys(find_task(name).showing for name in names):
        views = SHOWINGS[showing](grids)
        examples = [ask(name, grids, views) for name in names if TASKS[name].showing == showing]
        for example, values in zip(examples, describe_examples(describe, views, examples), strict=True):
            found[example.task] = Features(
                example.task, example.classes, values, example.label, example.piece, len(grids)
            )
    return {name: found[name] for name in names}


def describe_examples(
    describe: Describer, views: Sequence[View], examples: Sequence[Examples]
) -> list[Float[np.ndarray, "_ d_features"]]:
    """Return the features of the examples of each task.

    Args:
        describe: turns frames into one vector a step.
        views: what is shown.
        examples: for each task where in the views to look.

    Chapter: 1a.
    """
    pooled: list[np.ndarray | None] = [None] * len(views)
    steps: list[np.ndarray | None] = [None] * len(views)
    keeps_steps = any((each.step != WHOLE_VIEW).any() for each in examples)
    for chosen in _batches(views):
        frames, is_hidden = (np.stack([getattr(views[i], name) for i in chosen]) for name in ("frames", "is_hidden"))
        features = describe(frames, is_hidden, np.array([views[i].start_step for i in chosen]))
        for index, row, mean in zip(chosen, features, features.mean(axis=1), strict=True):
            pooled[index] = mean
            steps[index] = row if keeps_steps else None
    return [
        np.stack(
            [
                pooled[view] if step == WHOLE_VIEW else steps[view][step]
                for view, step in zip(each.view.tolist(), each.step.tolist(), strict=True)
            ]
        ).astype(np.float32)
        for each in examples
    ]


class NetworkDescriber:
    """A describer made of a network, which is put into evaluation mode.

    Args:
        model: a FrameEncoder, a network with one as ``.encoder``, or a FrameTransformer. A causal encoder describes a
            step from what came up to it. A FrameTransformer's description of a step is its state once it has read that
            step, before it predicts the next; hidden cells are shown to it as rests, since it knows no hidden ones. It
            reads one position more than a window has steps.
        precision: "float32", "bfloat16" or "auto".

    Raises:
        TypeError: a model of another kind.

    Chapter: 1a.
    """

    def __init__(self, model: nn.Module, precision: str = "float32") -> None:
        network = getattr(model, "encoder", model)
        if not isinstance(network, (FrameEncoder, FrameTransformer)):
            raise TypeError(
                "Features come from a FrameEncoder, a network with one as .encoder, or a FrameTransformer; found "
                f"{type(model).__name__}. For features of another kind use make_features with a function."
            )
        self.network = network.eval()
        self.cycle_length = network.config.cycle_length
        self.device = next(network.parameters()).device
        self.precision = choose_precision(precision, self.device)

    @torch.no_grad()
    def __call__(self, frames: np.ndarray, is_hidden: np.ndarray, first_step: np.ndarray) -> np.ndarray:
        """Describe each step of a batch of windows."""
        shown, hidden, first = (torch.from_numpy(each).to(self.device) for each in (frames, is_hidden, first_step))
        is_full = self.precision == torch.float32
        with nullcontext() if is_full else torch.autocast(self.device.type, self.precision):
            if isinstance(self.network, FrameEncoder):
                features = self.network(shown, hidden, first_step=first)
            else:
                features = self.network.describe(shown.masked_fill(hidden, 0), first)
        return features.float().cpu().numpy()


def _task_names(tasks: Iterable[str] | None) -> list[str]:
    """Return the names of tasks, all for None, or refuse a single name, which would be read letter by letter."""
    if isinstance(tasks, str):
        raise TypeError(f"Tasks come in a list of names; found the text {tasks!r}. Write [{tasks!r}].")
    return list(TASKS) if tasks is None else list(tasks)


def _batches(views: Sequence[View]) -> Iterable[list[int]]:
    """Yield the indices of views of one length, a few at a time."""
    lengths = np.array([len(view.frames) for view in views])
    for length in np.unique(lengths):
        chosen = np.flatnonzero(lengths == length).tolist()
        yield from (chosen[start : start + _N_VIEWS] for start in range(0, len(chosen), _N_VIEWS))
