"""The next-frame objective: read the steps so far, predict the voices of the next one in turn.

It is the next-token objective with four tokens a position: the same chain rule, so the same nats a token.

Chapter: 5d (one position a step), 7a (the loss by hand).
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.objectives.checks import check_range, check_some, check_types
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
        ValueError: nothing but padding, ids outside the vocabulary of the logits, or logits of another shape.
        TypeError: a batch of another kind.

    Chapter: 5d.
    """
    frames, first_step, is_padding, n_targets = open_batch(model, batch)
    logits = model(frames, first_step)
    # In NumPy: a look at numbers on a GPU would wait for all that it has still to do.
    check_range(int(batch.frames.min()), int(batch.frames.max()), logits.shape[-1])
    _check_shapes(logits, frames, is_padding)
    return _mean_nats(logits, frames, is_padding), n_targets


def open_batch(model: nn.Module, batch: FrameBatch) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return what a batch of frames holds as tensors on the device of a model.

    Args:
        model: has at least one weight.
        batch: from ``windows.random_frame_batches``.

    Returns:
        frames (n_windows, n_steps, 4), the index of each window's first step (n_windows,), is_padding (n_windows,
        n_steps), and the number of cells that are no padding.

    Raises:
        ValueError: nothing but padding.
        TypeError: a batch of another kind.

    Chapter: 5d.
    """
    if not isinstance(batch, FrameBatch):
        raise TypeError(
            f"This objective needs a FrameBatch, such as windows.random_frame_batches draws; found "
            f"{type(batch).__name__}. For batches of tokens, train with objective=next_token."
        )
    frames, first_step, is_padding = to_device_of(model, batch.frames, batch.start_step, batch.is_padding)
    n_targets = int((~batch.is_padding).sum()) * batch.frames.shape[-1]
    check_some(n_targets)
    return frames, first_step, is_padding, n_targets


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
        ValueError: shapes that do not fit, ids outside the vocabulary, or nothing but padding.
        TypeError: ids that are not whole numbers, or padding that is not True and False.

    Example:
        >>> import torch
        >>> logits, frames = torch.zeros(1, 2, 4, 47), torch.ones(1, 2, 4, dtype=torch.long)
        >>> round(next_frame_loss(logits, frames, torch.tensor([[False, True]])).item(), 4)
        3.8501

    Chapter: 5d, 7a.
    """
    check_types(frames, is_padding)
    _check_shapes(logits, frames, is_padding)
    check_some(int((~is_padding).sum()))
    check_range(int(frames.min()), int(frames.max()), logits.shape[-1])
    return _mean_nats(logits, frames, is_padding)


def _mean_nats(logits: Tensor, frames: Tensor, is_padding: Tensor) -> Tensor:
    """Return the loss of what was checked."""
    targets = frames.masked_fill(is_padding[..., None], _NOT_COUNTED).flatten()
    return functional.cross_entropy(logits.flatten(0, -2).float(), targets.long(), ignore_index=_NOT_COUNTED)


def _check_shapes(logits: Tensor, frames: Tensor, is_padding: Tensor) -> None:
    """Refuse tensors whose axes are not the same."""
    if frames.shape != logits.shape[:-1] or is_padding.shape != frames.shape[:-1]:
        raise ValueError(
            "The loss of frames needs logits (batch, n_steps, n_voices, vocabulary), frames without the last of these "
            f"axes and is_padding without the last two; found {tuple(logits.shape)}, {tuple(frames.shape)} and "
            f"{tuple(is_padding.shape)}."
        )
