"""The loss: each head's nats, weighted.

Chapter: 4c.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mini_musessl.objectives.attributes.batches import AttributeBatch
from mini_musessl.objectives.attributes.model import AttributeModel, check_heads
from mini_musessl.objectives.attributes.targets import HEADS, NO_TARGET
from mini_musessl.objectives.checks import check_some
from mini_musessl.objectives.devices import to_device_of


@dataclass(frozen=True)
class Attributes:
    """The objective of pitch, rhythm and harmony, with a weight for each: ``train(..., objective=Attributes())``.

    The loss is the weighted mean of the losses of the heads; that of a head is the mean over its questions; that of a
    question is the mean of minus the logarithm of the probability of its answers. With one head alone the loss is its
    own nats. A head of weight 0 is not asked at all and gets no gradient.

    Attributes:
        weights: by head, 0 or more; a head that is not named has 0.

    Raises:
        ValueError: an unknown head, a weight below 0 or not finite, or none above 0.

    Example:
        >>> Attributes({"pitch": 1, "harmony": 0.5}).weights
        {'pitch': 1.0, 'harmony': 0.5}

    Chapter: 4c.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(HEADS, 1.0))

    def __post_init__(self) -> None:
        weights = {name: float(self.weights[name]) for name in check_heads(self.weights)}
        for name, weight in weights.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"The weight of a head must be a finite number, 0 or more; {name} has {weight}.")
        if not any(weights.values()):
            raise ValueError(f"At least one head must have a weight above 0; found {weights}.")
        object.__setattr__(self, "weights", weights)

    def __call__(self, model: AttributeModel, batch: AttributeBatch) -> tuple[Float[Tensor, ""], int]:
        """Run a model on a batch and measure the surprise of its heads.

        A head for which the batch holds no target at all is left out of the mean.

        Args:
            model: has at least the heads whose weight is above 0.
            batch: from ``attribute_batches``.

        Returns:
            The loss in nats, with its gradient, and the number of steps at which something is asked.

        Raises:
            ValueError: a head that the model lacks, or a batch in which nothing is asked.
            TypeError: a batch of another kind.
        """
        if not isinstance(batch, AttributeBatch):
            raise TypeError(
                "Attributes needs an AttributeBatch, such as objectives.attributes.attribute_batches draws; found "
                f"{type(batch).__name__}."
            )
        n_steps = int((batch.pitch != NO_TARGET).any(axis=-1).sum())
        check_some(n_steps)
        asked = {name: weight for name, weight in self.weights.items() if weight and _targets(batch, name)}
        check_some(len(asked))
        nats = head_nats(model, batch, asked)
        total = sum(asked.values())
        return sum(weight / total * nats[name] for name, weight in asked.items()), n_steps


def head_nats(model: AttributeModel, batch: AttributeBatch, heads: Mapping[str, float]) -> dict[str, Tensor]:
    """Return the loss of each head that is asked, in nats, with its gradient.

    Args:
        model: has these heads.
        batch: holds at least one target for each.
        heads: their names.
    """
    frames, is_padding, first_step = to_device_of(model, batch.frames, batch.is_padding, batch.start_step)
    features = model.encoder(frames, None, is_padding if batch.is_padding.any() else None, first_step)
    answers = model.answer(features, heads)
    nats = {}
    for name in heads:
        targets = _targets(batch, name)
        losses = [
            functional.cross_entropy(
                answers[question].flatten(0, -2).float(), *to_device_of(model, answer.ravel()), ignore_index=NO_TARGET
            )
            for question, answer in targets.items()
        ]
        nats[name] = sum(losses) / len(losses)
    return nats


def _targets(batch: AttributeBatch, head: str) -> dict[str, np.ndarray]:
    """Return the targets of those questions of a head that the batch asks at all."""
    found = {question: getattr(batch, question) for question in HEADS[head]}
    return {question: answer for question, answer in found.items() if (answer != NO_TARGET).any()}
