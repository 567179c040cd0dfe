"""Fine-tuning: a copy of an encoder learns on from a few labelled pieces, with a linear output layer on top.

It stands beside ``probing``: the same questions, the same labelled and tested pieces, the same scores; but here the
encoder moves. From a fresh encoder it is the usual way to use labels, training from scratch.

Chapter: 1a (learning without labels).
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.batches import side_by_side
from mini_musessl.checks import check_trained_length
from mini_musessl.evaluation.probe_tasks import EXCERPTS, WHOLE_EXCERPT, Examples, Excerpt, ask, find_task
from mini_musessl.evaluation.probing import (
    PieceSplit,
    ProbeResult,
    check_not_told,
    choose_examples,
    network_of,
    score_answers,
)
from mini_musessl.network.encoder import FrameEncoder, pool
from mini_musessl.network.transformer import to_device_of
from mini_musessl.training.loop import TrainingConfig, train
from mini_musessl.voices import VoiceGrid

#: A short training; the labelled pieces are few.
FINE_TUNING = TrainingConfig(n_updates=100, learning_rate=1e-3, n_warmup_updates=10, precision="auto", report_every=100)
#: Excerpts in a batch.
_N_EXCERPTS = 8


@dataclass(frozen=True)
class LabelledBatch:
    """Excerpts with the examples in them."""

    frames: Int[np.ndarray, "n_excerpts n_steps 4"]
    is_hidden: Bool[np.ndarray, "n_excerpts n_steps 4"]
    is_padding: Bool[np.ndarray, "n_excerpts n_steps"]
    first_step: Int[np.ndarray, " n_excerpts"]  # where in its piece each excerpt begins
    row: Int[np.ndarray, " n_examples"]  # the excerpt in which each example is seen
    step: Int[np.ndarray, " n_examples"]  # its step, or WHOLE_EXCERPT
    label: Int[np.ndarray, " n_examples"]  # its class
    weight: Float[np.ndarray, " n_examples"]  # what it counts


class Classifier(nn.Module):
    """An encoder and a linear output layer that begins at zero."""

    def __init__(self, encoder: FrameEncoder, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        with torch.random.fork_rng(devices=[]):
            self.to_classes = nn.Linear(encoder.config.d_model, n_classes)
        nn.init.zeros_(self.to_classes.weight)
        nn.init.zeros_(self.to_classes.bias)

    def forward(self, batch: LabelledBatch) -> Float[Tensor, "n_examples n_classes"]:
        """Score the classes for each example of a batch."""
        names = ("frames", "is_hidden", "is_padding", "first_step", "row", "step")
        tensors = to_device_of(self, *(getattr(batch, name) for name in names))
        frames, is_hidden, is_padding, first_step, row, step = tensors
        features = self.encoder(frames, is_hidden, is_padding if batch.is_padding.any() else None, first_step)
        whole = pool(features, is_padding)[row]
        read = torch.where((step == WHOLE_EXCERPT)[:, None], whole, features[row, step.clamp(min=0)])
        return self.to_classes(read)


def classification_loss(model: Classifier, batch: LabelledBatch) -> tuple[Float[Tensor, ""], int]:
    """Return the weighted cross-entropy of a batch in nats, and how many examples it has."""
    logits = model(batch).float()
    label, weight = to_device_of(model, batch.label, batch.weight)
    nats = nn.functional.cross_entropy(logits, label, reduction="none")
    return (nats * weight).sum() / weight.sum(), len(label)


def labelled_batches(
    examples: Examples,
    excerpts: Sequence[Excerpt],
    is_labelled: Bool[np.ndarray, " n_examples"],
    generator: np.random.Generator,
) -> Iterator[LabelledBatch]:
    """Draw batches of labelled excerpts without end; all are seen once, in a drawn order, before any is seen again."""
    n_of_class = np.bincount(examples.label[is_labelled], minlength=int(examples.label.max()) + 1)
    weight = (is_labelled.sum() / np.maximum(n_of_class, 1)).astype(np.float32)[examples.label]
    usable, rest = np.unique(examples.excerpt[is_labelled]), np.empty(0, np.int64)
    while True:
        while len(rest) < _N_EXCERPTS:
            rest = np.concatenate([rest, generator.permutation(usable)])
        chosen, rest = np.unique(rest[:_N_EXCERPTS]), rest[_N_EXCERPTS:]
        yield _batch(examples, excerpts, chosen, is_labelled, weight)


def _batch(
    examples: Examples, excerpts: Sequence[Excerpt], chosen: np.ndarray, is_used: np.ndarray, weight: np.ndarray
) -> LabelledBatch:
    """Put chosen excerpts side by side, padded at their ends, with the examples in them."""
    shown = [excerpts[index] for index in chosen]
    frames, is_padding = side_by_side([each.frames for each in shown])
    is_hidden = side_by_side([each.is_hidden for each in shown])[0].astype(bool)
    first_step = np.array([each.start_step for each in shown])
    used = np.flatnonzero(is_used & np.isin(examples.excerpt, chosen))
    row, step = np.searchsorted(chosen, examples.excerpt[used]), examples.step[used]
    return LabelledBatch(frames, is_hidden, is_padding, first_step, row, step, examples.label[used], weight[used])


def fine_tune(
    model: nn.Module,
    task: str,
    grids: Sequence[VoiceGrid],
    split: PieceSplit,
    budget: int | None,
    generator: np.random.Generator,
    config: TrainingConfig = FINE_TUNING,
) -> ProbeResult:
    """Train a copy of an encoder, with a linear output layer, on labelled pieces, and test it.

    Every class that occurs in the labelled pieces weighs the same, as in a linear probe. There is no early stopping:
    the number of updates is part of the setting, so that no test piece can choose it.

    Args:
        model: a FrameEncoder or a network with one as ``.encoder``; not changed. A fresh one is trained from scratch.
        budget: how many pieces are labelled; None for all.
        generator: draws the labelled pieces as ``probe`` does, then the interval. Batches come from ``config.seed``.
    """
    encoder = network_of(model, FrameEncoder)
    check_not_told([task], encoder)
    excerpts = EXCERPTS[find_task(task).shows](grids)
    check_trained_length(model, max(len(each.frames) for each in excerpts))
    examples = ask(task, grids, excerpts)

    chosen = _, is_labelled, is_test = choose_examples(examples, split, budget, generator)
    classifier = Classifier(copy.deepcopy(encoder), len(examples.classes))
    batches = labelled_batches(examples, excerpts, is_labelled, np.random.default_rng(config.seed))
    train(classifier, batches, config, objective=classification_loss, report=None)
    predicted = _predict(classifier, examples, excerpts, is_test)
    return score_answers(examples, chosen, predicted, budget, None, generator)


@torch.no_grad()
def _predict(
    classifier: Classifier, examples: Examples, excerpts: Sequence[Excerpt], is_test: np.ndarray
) -> np.ndarray:
    """Return the likeliest class of each test example, in order."""
    predicted, weight = np.zeros(len(is_test), np.int64), np.ones(len(is_test), np.float32)
    tested = np.unique(examples.excerpt[is_test])
    for start in range(0, len(tested), _N_EXCERPTS):
        chosen = tested[start : start + _N_EXCERPTS]
        batch = _batch(examples, excerpts, chosen, is_test, weight)
        predicted[is_test & np.isin(examples.excerpt, chosen)] = classifier(batch).argmax(dim=1).cpu().numpy()
    return predicted[is_test]
