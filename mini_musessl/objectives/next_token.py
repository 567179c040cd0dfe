"""The next-token objective: read the past, predict what comes.

Chapter: 4a (next token), 7a (the loss by hand).
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import Batch, FrameBatch
from mini_musessl.checks import check_range, check_some, check_types
from mini_musessl.network.transformer import to_device_of

# --- The next-token objective: read the past, predict what comes


def next_token_loss(model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], int]:
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
    return token_cross_entropy(model(token_ids), targets, is_padding if has_padding else None), n_targets


def token_cross_entropy(
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
        >>> round(token_cross_entropy(torch.zeros(1, 2, 47), torch.tensor([[3, 4]])).item(), 4)
        3.8501

    Chapter: 4a.
    """
    check_types(targets, is_padding)
    _check_shapes_next_token(logits, targets, is_padding)
    is_counted = None if is_padding is None else ~is_padding
    if is_counted is not None:
        check_some(int(is_counted.sum()))
        logits, targets = logits[is_counted], targets[is_counted]
    check_range(int(targets.min()), int(targets.max()), logits.shape[-1])
    return functional.cross_entropy(logits.flatten(0, -2).float(), targets.flatten().long())


def _check_shapes_next_token(logits: Tensor, targets: Tensor, is_padding: Tensor | None) -> None:
    """Refuse targets or padding whose shape is not that of the logits without their last axis."""
    for name, tensor in (("targets", targets), ("is_padding", is_padding)):
        if tensor is not None and tensor.shape != logits.shape[:-1]:
            raise ValueError(
                f"{name} must have the shape of logits without its last axis, {tuple(logits.shape[:-1])}; found "
                f"{tuple(tensor.shape)}. Logits go (batch, time, vocabulary)."
            )
    if targets.numel() == 0:
        raise ValueError("The loss needs at least one target; found none. Is the batch empty?")


# --- The next-frame objective: read the steps so far, predict the voices of the next one in turn

_NOT_COUNTED = -100


def next_frame_loss(model: nn.Module, batch: FrameBatch) -> tuple[Float[Tensor, ""], int]:
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
    _check_shapes_next_frame(logits, frames, is_padding)
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


def frame_cross_entropy(
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
        >>> round(frame_cross_entropy(logits, frames, torch.tensor([[False, True]])).item(), 4)
        3.8501

    Chapter: 5d, 7a.
    """
    check_types(frames, is_padding)
    _check_shapes_next_frame(logits, frames, is_padding)
    check_some(int((~is_padding).sum()))
    check_range(int(frames.min()), int(frames.max()), logits.shape[-1])
    return _mean_nats(logits, frames, is_padding)


def _mean_nats(logits: Tensor, frames: Tensor, is_padding: Tensor) -> Tensor:
    """Return the loss of what was checked."""
    targets = frames.masked_fill(is_padding[..., None], _NOT_COUNTED).flatten()
    return functional.cross_entropy(logits.flatten(0, -2).float(), targets.long(), ignore_index=_NOT_COUNTED)


def _check_shapes_next_frame(logits: Tensor, frames: Tensor, is_padding: Tensor) -> None:
    """Refuse tensors whose axes are not the same."""
    if frames.shape != logits.shape[:-1] or is_padding.shape != frames.shape[:-1]:
        raise ValueError(
            "The loss of frames needs logits (batch, n_steps, n_voices, vocabulary), frames without the last of these "
            f"axes and is_padding without the last two; found {tuple(logits.shape)}, {tuple(frames.shape)} and "
            f"{tuple(is_padding.shape)}."
        )
