"""The next-frame objective: read the steps so far, predict the voices of the next one in turn.

It is the next-token objective with four tokens a position: the same chain rule, so the same nats a token.

Chapter: 5d (one position a step), 7a (the loss by hand).
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.objectives.devices import to_device_of
from mini_musessl.windows import FrameBatch

_NOT_COUNTED = -100


def next_frame(model: nn.Module, batch: FrameBatch) -> tuple[Float[Tensor, ""], int]:
    """Run a model of frames on a batch and measure its surprise, in nats a cell.

    Args:
        model: called with frames (n_windows, n_steps, 4) and the index in the piece of each window's first step;
            returns logits (n_windows, n_steps, 4, vocabulary).
        batch: from ``windows.random_frame_batches``.

    Returns:
        The mean loss over the cells that are no padding, with its gradient, and how many those are: four a step.

    Raises:
        ValueError: nothing but padding, or ids outside the vocabulary of the logits.

    Chapter: 5d.
    """
    frames, first_step, is_padding = to_device_of(model, batch.frames, batch.start_step, batch.is_padding)
    n_targets = int((~batch.is_padding).sum()) * batch.frames.shape[-1]
    if n_targets == 0:
        raise ValueError("The loss needs at least one target; found only padding. Is the batch empty?")
    logits = model(frames, first_step)
    # In NumPy: a look at numbers on a GPU would wait for all that it has still to do.
    lowest, highest = int(batch.frames.min()), int(batch.frames.max())
    if lowest < 0 or highest >= logits.shape[-1]:
        raise ValueError(
            f"Targets must lie in 0..{logits.shape[-1] - 1}; found {lowest}..{highest}. "
            "Was the music encoded with another vocabulary?"
        )
    return next_frame_loss(logits, frames, is_padding), n_targets


def next_frame_loss(
    logits: Float[Tensor, "batch n_steps n_voices vocabulary"],
    frames: Int[Tensor, "batch n_steps n_voices"],
    is_padding: Bool[Tensor, "batch n_steps"],
) -> Float[Tensor, ""]:
    """Return the mean of minus the logarithm of the probability given to each cell that came.

    Args:
        logits: scores of all symbols for each cell.
        frames: the ids that came, 0..vocabulary-1.
        is_padding: True at steps that are not there: all their voices count neither above nor below the fraction
            line.

    Returns:
        One number in nats, 0 or more; ln(vocabulary) for a model that knows nothing.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import torch
        >>> logits, frames = torch.zeros(1, 2, 4, 47), torch.ones(1, 2, 4, dtype=torch.long)
        >>> round(next_frame_loss(logits, frames, torch.tensor([[False, True]])).item(), 4)
        3.8501

    Chapter: 5d, 7a.
    """
    if frames.shape != logits.shape[:-1] or is_padding.shape != frames.shape[:-1]:
        raise ValueError(
            "The loss of frames needs logits (batch, n_steps, n_voices, vocabulary), frames without the last of these "
            f"axes and is_padding without the last two; found {tuple(logits.shape)}, {tuple(frames.shape)} and "
            f"{tuple(is_padding.shape)}."
        )
    targets = frames.masked_fill(is_padding[..., None], _NOT_COUNTED).flatten()
    return functional.cross_entropy(logits.flatten(0, -2).float(), targets, ignore_index=_NOT_COUNTED)
