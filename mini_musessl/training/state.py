"""The state of a training run: all that decides how it goes on.

Chapter: 6a.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mini_musessl.training.history import History
from mini_musessl.training.optimization import WeightAverage, are_finite, set_weights


@dataclass
class TrainingState:
    """A run between two updates.

    Attributes:
        model: with the weights as they are now.
        optimizer: with its two averages of the gradients.
        average: the running average of the weights; None without averaging.
        history: the lines so far.
        best: the weights of the best line by validation; empty before there is one.
        update: updates made.
        n_targets: targets learned from.
        recent: (2,) for each update since the last line: loss, and length of the gradient.
        started_sec: when the run would have begun, had it never been interrupted, by ``time.perf_counter``.

    Chapter: 6a.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    history: History = field(default_factory=History)
    best: list[Tensor] = field(default_factory=list)
    update: int = 0
    n_targets: int = 0
    recent: list[Tensor] = field(default_factory=list)
    started_sec: float = field(default_factory=time.perf_counter)

    @property
    def judged_weights(self) -> list[Tensor]:
        """The weights that evaluation sees: averaged where there is an average."""
        return [weight.detach() for weight in self.model.parameters()] if self.average is None else self.average.weights

    def seconds(self) -> float:
        """Return the time spent on the run so far."""
        return time.perf_counter() - self.started_sec

    def keep_as_best(self) -> None:
        """Copy the judged weights: no line was better."""
        self.best = [weight.clone() for weight in self.judged_weights]

    def has_stalled(self, patience: int | None) -> bool:
        """Return whether the best line is too many lines ago.

        Args:
            patience: lines without improvement at which to stop; None for never.
        """
        valid = self.history.valid_nats
        return patience is not None and bool(valid) and len(valid) - 1 - self.history.best_line() >= patience

    def finish(self, keep_best: bool) -> None:
        """Give the model the weights with which it ends.

        Args:
            keep_best: whether those are the weights of the best line.
        """
        set_weights(self.model, self.best if keep_best else self.judged_weights)

    def check(self, advice: str = "") -> None:
        """Stop when a loss, a gradient or a weight is no finite number any more.

        Args:
            advice: a sentence for the end of the message.

        Raises:
            FloatingPointError: it names the update.
        """
        recent = torch.stack(self.recent).tolist() if self.recent else []
        for number, values in enumerate(recent, start=self.update - len(recent) + 1):
            for name, value in zip(("loss", "length of the gradient"), values, strict=True):
                if not math.isfinite(value):
                    raise diverged(f"The {name} must stay a finite number; at update {number} it is {value}.", advice)
        if not are_finite(list(self.model.parameters())):
            raise diverged(f"The weights must stay finite numbers; after update {self.update} some are not.", advice)


def diverged(sentence: str, advice: str) -> FloatingPointError:
    """Return the refusal to go on.

    Args:
        sentence: what must hold, and what was found at which update.
        advice: a sentence for the end of the message.
    """
    todo = "Make a new model and train it with a smaller learning_rate or a longer warm-up."
    return FloatingPointError(f"{sentence} {todo} {advice}".rstrip())
