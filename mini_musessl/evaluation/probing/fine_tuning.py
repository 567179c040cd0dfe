"""Fine-tuning beside probing: a copy of the encoder learns on, with a linear output layer, from the labelled pieces.

With a fresh encoder the same function is the network trained from scratch under supervision.

Chapter: 1a.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl import voices
from mini_musessl.encoder import FrameEncoder, pool
from mini_musessl.evaluation.probing.features import Features, check_not_told
from mini_musessl.evaluation.probing.probes import choose_examples, score_answers
from mini_musessl.evaluation.probing.scores import ProbeResult
from mini_musessl.evaluation.probing.splits import PieceSplit, check_grids, check_pieces_exist
from mini_musessl.evaluation.probing.tasks import WHOLE_VIEW, Examples, ask, find_task
from mini_musessl.evaluation.probing.views import SHOWINGS, View
from mini_musessl.training import TrainingConfig, train

#: A short training; the labelled pieces are few.
FINE_TUNING = TrainingConfig(n_updates=100, learning_rate=1e-3, n_warmup_updates=10, precision="auto", report_every=100)
_N_VIEWS = 8


@dataclass(frozen=True)
class LabelledBatch:
    """Views with the examples in them.

    Attributes:
        frames: int64 (n_views, n_steps, 4), symbol ids.
        is_hidden: bool (n_views, n_steps, 4).
        is_padding: bool (n_views, n_steps).
        first_step: int64 (n_views,), where in its piece each view begins.
        view: int64 (n_examples,), the row in which each example is seen.
        step: int64 (n_examples,), its step, or ``WHOLE_VIEW``.
        label: int64 (n_examples,), its class.
        weight: float32 (n_examples,), what it counts.

    Chapter: 1a.
    """

    frames: Int[np.ndarray, "n_views n_steps 4"]
    is_hidden: Bool[np.ndarray, "n_views n_steps 4"]
    is_padding: Bool[np.ndarray, "n_views n_steps"]
    first_step: Int[np.ndarray, " n_views"]
    view: Int[np.ndarray, " n_examples"]
    step: Int[np.ndarray, " n_examples"]
    label: Int[np.ndarray, " n_examples"]
    weight: Float[np.ndarray, " n_examples"]


class Classifier(nn.Module):
    """An encoder and a linear output layer that begins at zero.

    Args:
        encoder: describes each step.
        n_classes: how many answers there are.

    Chapter: 1a.
    """

    def __init__(self, encoder: FrameEncoder, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        with torch.random.fork_rng(devices=[]):
            self.to_classes = nn.Linear(encoder.config.d_model, n_classes)
        nn.init.zeros_(self.to_classes.weight)
        nn.init.zeros_(self.to_classes.bias)

    def forward(self, batch: LabelledBatch) -> Float[Tensor, "n_examples n_classes"]:
        """Score the classes for each example.

        Args:
            batch: what is shown, and where the examples are.
        """
        device = self.to_classes.weight.device
        arrays = (batch.frames, batch.is_hidden, batch.is_padding, batch.first_step, batch.view, batch.step)
        frames, is_hidden, is_padding, first_step, view, step = (torch.from_numpy(each).to(device) for each in arrays)
        features = self.encoder(frames, is_hidden, is_padding if batch.is_padding.any() else None, first_step)
        whole = pool(features, is_padding)[view]
        read = torch.where((step == WHOLE_VIEW)[:, None], whole, features[view, step.clamp(min=0)])
        return self.to_classes(read)


def classification(model: Classifier, batch: LabelledBatch) -> tuple[Float[Tensor, ""], int]:
    """Return the weighted cross-entropy of a batch in nats, and how many examples it has.

    Args:
        model: scores the classes.
        batch: the examples.

    Chapter: 1a.
    """
    logits = model(batch).float()
    label, weight = (torch.from_numpy(each).to(logits.device) for each in (batch.label, batch.weight))
    nats = nn.functional.cross_entropy(logits, label, reduction="none")
    return (nats * weight).sum() / weight.sum(), len(batch.label)


def fine_tune(
    encoder: nn.Module,
    task: str,
    grids: Sequence[voices.VoiceGrid],
    split: PieceSplit,
    budget: int | None,
    generator: np.random.Generator,
    config: TrainingConfig = FINE_TUNING,
) -> ProbeResult:
    """Train a copy of an encoder, with a linear output layer, on labelled pieces, and test it.

    Every class that occurs in the labelled pieces weighs the same, as in a linear probe. There is no early stopping:
    the number of updates is part of the setting, so that no test piece can choose it.

    Args:
        encoder: a FrameEncoder or a network with one as ``.encoder``; it is not changed. A fresh one gives the network
            trained from scratch.
        task: name of a task with classes.
        grids: all pieces of the split.
        split: which pieces may be labelled and which are tested.
        budget: how many pieces are labelled; None for all.
        generator: draws the labelled pieces as ``probe`` does, then the range. The batches come from ``config.seed``.
        config: how to train.

    Raises:
        ValueError: as ``probe``, or the task "beat" for a network that is told it.
        TypeError: not an encoder, or grids that are none.

    Chapter: 1a.
    """
    network = getattr(encoder, "encoder", encoder)
    if not isinstance(network, FrameEncoder):
        raise TypeError(
            f"Fine-tuning needs a FrameEncoder or a network with one as .encoder; found {type(encoder).__name__}."
        )
    showing = find_task(task).showing
    check_not_told([task], network.config.cycle_length)
    check_grids(grids)
    check_pieces_exist((*split.labelled, *split.test), len(grids))
    views = SHOWINGS[showing](grids)
    examples = ask(task, grids, views)
    if not examples.classes:
        raise ValueError(f"The task {task!r} is retrieval and has no classes to learn. Use probing.retrieve.")
    labelled, is_labelled, is_test = choose_examples(examples, split, budget, generator)
    model = Classifier(copy.deepcopy(network), len(examples.classes))
    batches = labelled_batches(examples, views, is_labelled, np.random.default_rng(config.seed))
    train(model, batches, config, objective=classification, report=None)
    predicted = _predict(model, examples, views, is_test)
    asked = Features(
        task, examples.classes, np.zeros((len(examples.label), 1), np.float32), examples.label, examples.piece
    )
    return score_answers(asked, is_labelled, is_test, predicted, budget, labelled, None, generator)


def labelled_batches(
    examples: Examples, views: Sequence[View], is_labelled: np.ndarray, generator: np.random.Generator
) -> Iterator[LabelledBatch]:
    """Draw batches of labelled views without end.

    All views are seen once, in a drawn order, before any is seen again.

    Args:
        examples: the questions of a task.
        views: what is shown.
        is_labelled: bool (n_examples,), which may be used; some of them.
        generator: source of chance.

    Chapter: 1a.
    """
    share = np.bincount(examples.label[is_labelled], minlength=int(examples.label.max()) + 1)
    weight = (is_labelled.sum() / np.maximum(share, 1)).astype(np.float32)[examples.label]
    usable = np.unique(examples.view[is_labelled])
    rest = np.empty(0, np.int64)
    while True:
        while len(rest) < _N_VIEWS:
            rest = np.concatenate([rest, generator.permutation(usable)])
        chosen, rest = np.unique(rest[:_N_VIEWS]), rest[_N_VIEWS:]
        yield _batch(examples, views, chosen, is_labelled, weight)


def _batch(
    examples: Examples, views: Sequence[View], chosen: np.ndarray, is_used: np.ndarray, weight: np.ndarray
) -> LabelledBatch:
    """Put chosen views side by side, padded at their ends, with the examples in them."""
    n_steps = max(len(views[index].frames) for index in chosen)
    frames = np.zeros((len(chosen), n_steps, 4), np.int64)
    is_hidden, is_padding = np.zeros(frames.shape, bool), np.ones(frames.shape[:2], bool)
    for row, index in enumerate(chosen):
        shown = slice(len(views[index].frames))
        frames[row, shown], is_hidden[row, shown] = views[index].frames, views[index].is_hidden
        is_padding[row, shown] = False
    used = np.flatnonzero(is_used & np.isin(examples.view, chosen))
    return LabelledBatch(
        frames,
        is_hidden,
        is_padding,
        np.array([views[index].start_step for index in chosen]),
        np.searchsorted(chosen, examples.view[used]),
        examples.step[used],
        examples.label[used],
        weight[used],
    )


@torch.no_grad()
def _predict(model: Classifier, examples: Examples, views: Sequence[View], is_test: np.ndarray) -> np.ndarray:
    """Return the likeliest class of each test example, in order."""
    predicted = np.zeros(len(examples.label), np.int64)
    tested = np.unique(examples.view[is_test])
    for start in range(0, len(tested), _N_VIEWS):
        chosen = tested[start : start + _N_VIEWS]
        batch = _batch(examples, views, chosen, is_test, np.ones(len(examples.label), np.float32))
        used = np.flatnonzero(is_test & np.isin(examples.view, chosen))
        predicted[used] = model(batch).argmax(dim=1).cpu().numpy()
    return predicted[is_test]
