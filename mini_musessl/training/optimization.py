"""How weights change: AdamW, the gradient of one or several batches, and the running average of the weights.

Chapter: 6a.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mini_musessl.training.settings import TrainingConfig


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Make AdamW; matrices and tables decay, vectors (norms, biases) do not.

    Args:
        model: whose weights to change.
        config: its learning rate, weight decay and betas are used.

    References:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019).

    Chapter: 6a.
    """
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    vectors = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, rate: float, clip_norm: float) -> Tensor:
    """Take one step downhill along the gradients that the weights hold.

    Args:
        model: its weights have gradients.
        optimizer: changes them.
        rate: step size.
        clip_norm: longest gradient; a longer one is shortened to it.

    Returns:
        The length of the gradient before it was shortened.

    Chapter: 6a.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return norm


class WeightAverage:
    """A running average of a model's weights, which forgets slowly.

    After update n (from 0) it moves towards the weights by ``1 - min(decay, (1 + n) / (20 + n))``: at first by almost
    all of the way, so that the first, random weights are soon forgotten.

    Args:
        model: whose weights are averaged.
        decay: memory, at least 0 and below 1.

    References:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992); the exponential form with
        its correction at the start is the one of TensorFlow's ``ExponentialMovingAverage``, which has 10 for our 20.

    Chapter: 6a.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = [weight.detach().clone() for weight in model.parameters()]

    @torch.no_grad()
    def follow(self, model: nn.Module, update: int) -> None:
        """Move towards the model's weights.

        Args:
            model: the weights as they are after the update.
            update: its number, from 0.
        """
        memory = min(self.decay, (1 + update) / (20 + update))
        torch._foreach_lerp_(self.weights, [weight.detach() for weight in model.parameters()], 1 - memory)

    @contextmanager
    def in_place_of_weights(self, model: nn.Module) -> Iterator[None]:
        """Let the model have the averaged weights for a while; they change places, nothing is copied.

        Args:
            model: the one whose weights are averaged.
        """
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    def _exchange(self, model: nn.Module) -> None:
        """Let the average and the model change places."""
        for index, weight in enumerate(model.parameters()):
            weight.data, self.weights[index] = self.weights[index], weight.data


@torch.no_grad()
def set_weights(model: nn.Module, weights: list[Tensor]) -> None:
    """Copy weights into a model.

    Args:
        model: receives them.
        weights: in the order of ``model.parameters()``.

    Chapter: 6a.
    """
    torch._foreach_copy_(list(model.parameters()), weights)


def are_finite(weights: list[Tensor]) -> bool:
    """Return whether weights are all finite numbers.

    Args:
        weights: at least one tensor; all on one device.

    Chapter: 6a.
    """
    with torch.no_grad():
        return bool(
            torch.stack(torch._foreach_norm([weight.detach() for weight in weights], float("inf"))).isfinite().all()
        )
