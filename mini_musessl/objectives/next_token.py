"""The next-token objective: read the past, predict what comes.

Chapter: 4a (next token), 7a (the loss by hand).
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.objectives.checks import check_range, check_some, check_types
from mini_musessl.objectives.devices import to_device_of
from mini_musessl.windows import Batch


def next_token(model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], int]:
    """Run a model of tokens on a batch and measure its surprise: the objective that ``training.train`` uses.

    Args:
        model: maps token ids (n_windows, context_length) to logits (n_windows, context_length, vocabulary).
        batch: from ``windows.random_batches``.

    Returns:
        The mean loss in nats over the targets that are no padding, with its gradient, and how many those are.

    Raises:
        ValueError: nothing but padding, or targets outside the vocabulary of the logits.
        TypeError: a batch of another kind.

    Chapter: 4a.
    """
    if not isinstance(batch, Batch):
        raise TypeError(
            f"next_token needs a Batch, such as windows.random_batches draws; found {type(batch).__name__}. For "
            "batches of frames, train with objective=next_frame."
        )
    token_ids, targets, is_padding = to_device_of(model, batch.token_ids, batch.targets, batch.is_padding)
    n_targets = int((~batch.is_padding).sum())
    check_some(n_targets)
    has_padding = n_targets < batch.is_padding.size
    return next_token_loss(model(token_ids), targets, is_padding if has_padding else None), n_targets


def next_token_loss(
    logits: Float[Tensor, "batch time vocabulary"],
    targets: Int[Tensor, "batch time"],
    is_padding: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, ""]:
    """Measure how surprised the model is by the tokens that came, in nats a token.

    The mean of minus the logarithm of the probability given to each target. Padding counts neither above nor below
    the fraction line.

    Args:
        logits: scores of all symbols.
        targets: the token that follows each position, 0..vocabulary-1.
        is_padding: True where there is no target; None where every position has one.

    Returns:
        One number, 0 or more; ln(vocabulary) for a model that knows nothing.

    Raises:
        ValueError: shapes that do not fit, targets outside the vocabulary, or nothing but padding.
        TypeError: targets that are not whole numbers, or padding that is not True and False.

    Example:
        >>> import torch
        >>> round(next_token_loss(torch.zeros(1, 2, 47), torch.tensor([[3, 4]])).item(), 4)
        3.8501

    Chapter: 4a.
    """
    check_types(targets, is_padding)
    _check_shapes(logits, targets, is_padding)
    is_counted = None if is_padding is None else ~is_padding
    if is_counted is not None:
        check_some(int(is_counted.sum()))
        logits, targets = logits[is_counted], targets[is_counted]
    check_range(int(targets.min()), int(targets.max()), logits.shape[-1])
    return functional.cross_entropy(logits.flatten(0, -2).float(), targets.flatten().long())


def _check_shapes(logits: Tensor, targets: Tensor, is_padding: Tensor | None) -> None:
    """Refuse targets or padding whose shape is not that of the logits without their last axis."""
    for name, tensor in (("targets", targets), ("is_padding", is_padding)):
        if tensor is not None and tensor.shape != logits.shape[:-1]:
            raise ValueError(
                f"{name} must have the shape of logits without its last axis, {tuple(logits.shape[:-1])}; found "
                f"{tuple(tensor.shape)}. Logits go (batch, time, vocabulary)."
            )
    if targets.numel() == 0:
        raise ValueError("The loss needs at least one target; found none. Is the batch empty?")
