"""The loss of a batch: how surely do the two views of each window find each other?

Chapter: 4d (contrast).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mini_musessl.objectives.contrastive.info_nce import TEMPERATURE, check_temperature, info_nce
from mini_musessl.objectives.contrastive.model import project
from mini_musessl.objectives.contrastive.targets import ContrastiveBatch


@dataclass(frozen=True)
class Contrastive:
    """The contrastive objective, to be given to ``training.train``.

    Attributes:
        temperature: of ``info_nce``.
        has_false_negatives: whether windows of the same piece or hymn stay among the wrong candidates, as in SimCLR.

    Raises:
        ValueError: a temperature of 0 or below.

    Chapter: 4d.
    """

    temperature: float = TEMPERATURE
    has_false_negatives: bool = False

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def __call__(self, model: nn.Module, batch: ContrastiveBatch) -> tuple[Float[Tensor, ""], int]:
        """Run a model on both views of each window and measure how surely they find each other, in nats.

        Args:
            model: called with frames, what is hidden and what is padding, and the first step of each view; returns one
                vector a view.
            batch: from ``contrastive_batches``.

        Returns:
            The mean loss over the views that have a wrong candidate, with its gradient, and how many those are.

        Raises:
            ValueError: no view has a wrong candidate.
            TypeError: a batch of another kind.
        """
        if not isinstance(batch, ContrastiveBatch):
            raise TypeError(
                "Contrastive needs a ContrastiveBatch, such as contrastive_batches draws; found "
                f"{type(batch).__name__}."
            )
        first, second = project(model, batch)
        if self.has_false_negatives:
            return info_nce(first, second, self.temperature), 2 * len(first)
        left_out = batch.is_false_negative
        n_targets = 2 * int((left_out.sum(axis=1) < len(left_out) - 1).sum())
        return info_nce(first, second, self.temperature, torch.from_numpy(left_out).to(first.device)), n_targets
