"""What training is asked for, and the sentences that refuse what cannot be.

Chapter: 6a.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mini_musessl.music import whole_number
from mini_musessl.training.settings import TrainingConfig


def check_request(
    config: TrainingConfig,
    evaluate: Callable[[nn.Module], float] | None,
    folder: str | os.PathLike[str] | None,
    save_every: int | None,
) -> None:
    """Refuse what is asked for without the thing that it needs.

    Args:
        config: how to train.
        evaluate: gives the validation loss; None without.
        folder: where the state is kept; None without.
        save_every: updates from one saved state to the next; None for every report.

    Raises:
        ValueError: something that needs ``evaluate`` or ``folder`` is asked for without it.
        TypeError: the config is no TrainingConfig, or save_every is not a whole number.
    """
    if not isinstance(config, TrainingConfig):
        raise TypeError(
            f"train needs a TrainingConfig; found {type(config).__name__}. Write "
            "training.TrainingConfig(n_updates=...)."
        )
    if evaluate is None and (config.keep_best or config.patience is not None):
        raise ValueError(
            "keep_best and patience need a validation loss to go by; found no `evaluate`. Give train a function that "
            "scores the model, or leave both out of the config."
        )
    if save_every is not None:
        whole_number("save_every", save_every, lowest=1)
        if folder is None:
            raise ValueError(f"save_every needs a folder to save to; found save_every={save_every} and no `folder`.")


def check_can_learn(model: nn.Module) -> None:
    """Refuse to train where no weight would change.

    Args:
        model: whose weights shall change.

    Raises:
        RuntimeError: PyTorch keeps no gradients here.
        ValueError: every weight is frozen.
    """
    if not torch.is_grad_enabled():
        raise RuntimeError(
            "Training needs gradients, and here PyTorch keeps none. Call train outside torch.no_grad() and "
            "torch.inference_mode()."
        )
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ValueError(
            "Training needs a weight that may change; found none in the model. Was it frozen? Call "
            "model.requires_grad_(True)."
        )


def check_loss(loss: object, n_targets: int) -> None:
    """Refuse an answer of an objective from which nothing can be learned.

    Args:
        loss: the mean loss.
        n_targets: how many targets it is a mean of.

    Raises:
        TypeError: the loss is no tensor with a gradient.
        ValueError: there is no target.
    """
    if not (isinstance(loss, Tensor) and loss.requires_grad):
        found = "a tensor without a gradient" if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(
            f"An objective must return its loss as a tensor that depends on the weights; found {found}. Return it "
            "before .item() or .detach()."
        )
    if n_targets < 1:
        raise ValueError(f"A batch must have at least one target; found {n_targets}. Is it empty or all padding?")
