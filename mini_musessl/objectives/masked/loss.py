"""The surprise at what was hidden.

Chapter: 4b (masking).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.objectives.checks import check_range
from mini_musessl.objectives.devices import to_device_of
from mini_musessl.objectives.masked.batches import MaskedBatch


def masked(model: nn.Module, batch: MaskedBatch) -> tuple[Float[Tensor, ""], int]:
    """Run a model on a batch that does not show all and measure its surprise at what was hidden, in nats a cell.

    Args:
        model: called with frames (n_windows, n_steps, 4), what is hidden in them, what is padding (None for nothing)
            and the index in the piece of each window's first step; returns logits (n_windows, n_steps, 4, vocabulary).
        batch: from ``masked_batches``.

    Returns:
        The weighted mean loss over the hidden cells of music, with its gradient, and the sum of the weights: as many as
        cells are hidden, or, with ``orderless_weights``, as there are cells of music.

    Raises:
        ValueError: nothing is hidden, ids outside the vocabulary of the logits, or logits of another shape.
        TypeError: a batch of another kind.

    Chapter: 4b.
    """
    if not isinstance(batch, MaskedBatch):
        raise TypeError(
            f"masked needs a MaskedBatch, which masked_batches makes from windows of frames; found "
            f"{type(batch).__name__}."
        )
    place, weights = find_targets(batch)
    nats = score_targets(model, batch, place)[0]
    total = weights.sum(dtype=np.float64)
    # A product and a sum: as a matrix product it would be made in 16 bits where the network's are.
    return (nats * torch.from_numpy(weights / total).to(nats)).sum(), round(float(total))


def masked_loss(
    logits: Float[Tensor, "batch n_steps n_voices vocabulary"],
    frames: Int[Tensor, "batch n_steps n_voices"],
    weights: Float[Tensor, "batch n_steps n_voices"],
) -> Float[Tensor, ""]:
    """Return the weighted mean of minus the logarithm of the probability given to each hidden cell.

    Args:
        logits: scores of all symbols for each cell.
        frames: the ids that came, 0..vocabulary-1.
        weights: how much each cell counts: above 0 on hidden cells of music, 0 on what can be seen and on padding.

    Returns:
        One number in nats, 0 or more; ln(vocabulary) for a model that knows nothing.

    Raises:
        ValueError: shapes that do not fit, ids outside the vocabulary, negative weights, or none above 0.

    Example:
        >>> logits, frames = torch.zeros(1, 2, 4, 47), torch.ones(1, 2, 4, dtype=torch.long)
        >>> round(masked_loss(logits, frames, torch.ones(1, 2, 4)).item(), 4)
        3.8501

    Chapter: 4b, 7a.
    """
    _check_shape(logits, frames.shape)
    if weights.shape != frames.shape or not bool((weights >= 0).all()):
        raise ValueError(
            f"weights must be one number a cell, {tuple(frames.shape)}, none below 0; found {tuple(weights.shape)}, "
            f"the lowest {weights.min().item():.3g}."
        )
    is_target = weights > 0
    _check_some(int(is_target.sum()))
    check_range(int(frames.min()), int(frames.max()), logits.shape[-1])
    nats = functional.cross_entropy(logits[is_target].float(), frames[is_target].long(), reduction="none")
    return (nats * weights[is_target]).sum() / weights.sum()


def find_targets(batch: MaskedBatch) -> tuple[np.ndarray, np.ndarray]:
    """Find what is asked of a batch: the hidden cells of music that have a weight.

    Args:
        batch: windows and what is hidden in them.

    Returns:
        The places of the targets in the flat frames, and their weights.

    Raises:
        ValueError: there is none.
    """
    is_target = batch.is_hidden & ~batch.is_padding[..., None] & (batch.weights > 0)
    place = np.flatnonzero(is_target)
    _check_some(len(place))
    return place, batch.weights.flat[place]


def score_targets(model: nn.Module, batch: MaskedBatch, place: np.ndarray) -> tuple[Tensor, Tensor]:
    """Ask a model for some cells of a batch.

    Args:
        model: as for ``masked``.
        batch: what it reads.
        place: places of the targets in the flat frames.

    Returns:
        The nats of each target, and whether it is the likeliest symbol.

    Raises:
        ValueError: ids outside the vocabulary of the logits, or logits of another shape.
    """
    frames, is_hidden, first_step, at = to_device_of(model, batch.frames, batch.is_hidden, batch.start_step, place)
    is_padding = to_device_of(model, batch.is_padding)[0] if batch.is_padding.any() else None
    logits = model(frames, is_hidden, is_padding, first_step)
    _check_shape(logits, frames.shape)
    # In NumPy: a look at numbers on a GPU would wait for all that it has still to do.
    check_range(int(batch.frames.min()), int(batch.frames.max()), logits.shape[-1])
    scores, targets = logits.flatten(0, -2)[at].float(), frames.flatten()[at]
    return functional.cross_entropy(scores, targets, reduction="none"), scores.argmax(-1) == targets


def _check_some(n_targets: int) -> None:
    """Refuse a mean over nothing."""
    if n_targets == 0:
        raise ValueError(
            "The masked loss needs at least one hidden cell of music; found none. Is is_hidden upside down?"
        )


def _check_shape(logits: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse logits whose axes are not those of the frames."""
    if logits.shape[:-1] != shape:
        raise ValueError(
            "The masked loss needs logits (batch, n_steps, n_voices, vocabulary) and frames without the last of these "
            f"axes; found {tuple(logits.shape)} and {tuple(shape)}."
        )
