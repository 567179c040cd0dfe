"""The next-token objective: read what came, predict what comes, one token at a time or one frame of all voices.

``batches.random_batches`` and ``batches.random_frame_batches`` draw the batches; ``evaluation.likelihood`` measures
what was learned.

Chapter: 4a (next token), 5d (frames), 7a (the loss by hand).
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import Batch, FrameBatch
from mini_musessl.checks import check_batch, check_logits, check_some
from mini_musessl.network.transformer import to_device_of


def token_cross_entropy(
    logits: Float[Tensor, "batch time vocabulary"],
    targets: Int[Tensor, "batch time"],
    is_padding: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy in nats per token; padding is ignored.

    Example:
        >>> import torch
        >>> round(token_cross_entropy(torch.zeros(1, 2, 47), torch.tensor([[3, 4]])).item(), 4)  # ln 47
        3.8501
    """
    if is_padding is not None:
        targets = targets.masked_fill(is_padding, -100)  # left out of the mean
    return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten().long())


def frame_cross_entropy(
    logits: Float[Tensor, "batch n_steps n_voices vocabulary"],
    frames: Int[Tensor, "batch n_steps n_voices"],
    is_padding: Bool[Tensor, "batch n_steps"],
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy in nats per cell; steps of padding are ignored, in all voices."""
    targets = frames.masked_fill(is_padding[..., None], -100)  # left out of the mean
    return functional.cross_entropy(logits.flatten(0, 2).float(), targets.flatten().long())


def next_token_loss(model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], int]:
    """Return the mean loss of a model of tokens, and the number of targets; padding is ignored.

    Args:
        model: maps token ids (n_windows, context_length) to logits (n_windows, context_length, vocabulary).
        batch: as ``batches.random_batches`` draws it.
    """
    check_batch(batch, Batch, "next_token_loss", "batches.random_batches")
    n_targets = int((~batch.is_padding).sum())
    check_some(n_targets)
    token_ids, targets, is_padding = to_device_of(model, batch.token_ids, batch.targets, batch.is_padding)
    logits = model(token_ids)
    check_logits(logits.shape, batch.targets)
    return token_cross_entropy(logits, targets, is_padding), n_targets


def next_frame_loss(model: nn.Module, batch: FrameBatch) -> tuple[Float[Tensor, ""], int]:
    """Return the mean loss of a model of frames, and the number of cells; padding is ignored.

    Args:
        model: called with frames (n_windows, n_steps, 4) and the index in the piece of each window's first step;
            returns logits (n_windows, n_steps, 4, vocabulary).
        batch: as ``batches.random_frame_batches`` draws it.
    """
    check_batch(batch, FrameBatch, "next_frame_loss", "batches.random_frame_batches")
    n_targets = int((~batch.is_padding).sum()) * batch.frames.shape[-1]
    check_some(n_targets)
    frames, first_step, is_padding = to_device_of(model, batch.frames, batch.start_step, batch.is_padding)
    logits = model(frames, first_step)
    check_logits(logits.shape, batch.frames)
    return frame_cross_entropy(logits, frames, is_padding), n_targets
