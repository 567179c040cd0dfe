"""The masked objective: hide some cells, read all that is left, on both sides, and predict what was hidden.

``masking`` says which cells are hidden; here they become batches, a loss and a measure. ``evaluation.infilling`` judges
whole pieces, for comparisons between models; ``evaluate_masked`` measures windows as short as those of training, of
any vocabulary, each kind of masking by its own weights.

Chapter: 4b (masking).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import FrameBatch, cut_frame_windows
from mini_musessl.checks import check_batch, check_generator, check_logits, check_some
from mini_musessl.masking import MASKERS, Masker, Weigher, copy_next_door, draw_mask, orderless_weights, weigher_of
from mini_musessl.network.transformer import evaluation_mode, to_device_of


@dataclass(frozen=True)
class MaskedBatch(FrameBatch):
    """Windows of frames and what is hidden in them; ``frames`` keeps the ids of hidden cells: they are the targets."""

    is_hidden: Bool[np.ndarray, "n_windows n_steps n_voices"]  # True on what the network does not see and predicts
    weights: Float[np.ndarray, "n_windows n_steps n_voices"]  # in the loss; above 0 on hidden cells of music alone


def masked_batches(
    frame_batches: Iterable[FrameBatch], mask: Masker, generator: np.random.Generator, weigh: Weigher | None = None
) -> Iterator[MaskedBatch]:
    """Hide cells of one batch after the other, drawn by ``mask``, such as ``masking.mask_notes``.

    Args:
        weigh: how much each hidden cell counts; None for ``masking.weigher_of(mask)``: orderless weights for
            ``mask_orderless``, and equal weights for all else, mixtures with it among them.
    """
    check_generator(generator, "masked_batches")
    weigh = weigher_of(mask) if weigh is None else weigh
    return (_mask(batch, mask, generator, weigh) for batch in frame_batches)


def _mask(batch: FrameBatch, mask: Masker, generator: np.random.Generator, weigh: Weigher) -> MaskedBatch:
    """Hide cells of one batch."""
    is_hidden = draw_mask(mask, batch.frames, batch.is_padding, generator, weigh is orderless_weights)
    return MaskedBatch(**vars(batch), is_hidden=is_hidden, weights=weigh(is_hidden, batch.is_padding))


def hidden_cross_entropy(
    logits: Float[Tensor, "batch n_steps n_voices vocabulary"],
    frames: Int[Tensor, "batch n_steps n_voices"],
    weights: Float[Tensor, "batch n_steps n_voices"],
) -> Float[Tensor, ""]:
    """Return the weighted mean cross-entropy of the hidden cells, in nats.

    Args:
        weights: above 0 on hidden cells of music, 0 on what can be seen and on padding.
    """
    is_target = weights > 0
    nats = functional.cross_entropy(logits[is_target].float(), frames[is_target], reduction="none")
    return (nats * weights[is_target]).sum() / weights.sum()


def masked_loss(model: nn.Module, batch: MaskedBatch) -> tuple[Float[Tensor, ""], int]:
    """Return the ``hidden_cross_entropy`` of a batch, and the sum of the weights: hidden cells, or all cells of music.

    Args:
        model: called with frames (n_windows, n_steps, 4), what is hidden in them, what is padding (None: nothing) and
            each window's first step in its piece; returns logits (n_windows, n_steps, 4, vocabulary).
    """
    check_batch(batch, MaskedBatch, "masked_loss", "masked_batches")
    place = _find_targets(batch)
    weights = batch.weights.flat[place]
    total = weights.sum(dtype=np.float64)
    nats = functional.cross_entropy(*_ask(model, batch, place), reduction="none")
    # As hidden_cross_entropy, apart from rounding; but by places, since on a GPU a Boolean index would wait.
    # A product and a sum: as a matrix product it would be made in 16 bits where the network's are.
    return (nats * torch.from_numpy(weights / total).to(nats)).sum(), round(float(total))


def _find_targets(batch: MaskedBatch) -> np.ndarray:
    """Return the places, in the flat frames, of the hidden cells of music that have a weight."""
    # In NumPy: to count on a GPU what is hidden would wait for all that it has still to do.
    place = np.flatnonzero(batch.is_hidden & ~batch.is_padding[..., None] & (batch.weights > 0))
    check_some(len(place), "The masked loss needs at least one hidden cell of music", "Is is_hidden upside down?")
    return place


def _ask(model: nn.Module, batch: MaskedBatch, place: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return a model's scores (n_targets, vocabulary) for the cells at these places, and the ids that stood there."""
    frames, is_hidden, first_step, at = to_device_of(model, batch.frames, batch.is_hidden, batch.start_step, place)
    is_padding = to_device_of(model, batch.is_padding)[0] if batch.is_padding.any() else None
    logits = model(frames, is_hidden, is_padding, first_step)
    check_logits(logits.shape, batch.frames)
    return logits.flatten(0, -2)[at].float(), frames.flatten()[at]


@torch.no_grad()
def evaluate_masked(
    model: nn.Module,
    pieces: Sequence[ArrayLike],
    generator: np.random.Generator,
    kinds: Mapping[str, Masker] = MASKERS,
    n_steps: int = 96,
) -> dict[str, float]:
    """Measure how well a model predicts hidden cells of windows of at most ``n_steps``, for each kind of masking.

    Returns:
        ``{kind}_nats``, the mean surprise at a hidden cell; ``{kind}_accuracy``, the share that the model finds
        likeliest; ``{kind}_copying_accuracy``, that of ``masking.copy_next_door``. For "orderless" all are weighted,
        and the nats are those of writing the windows in a random order. ``uniform_nats``: of a uniform distribution.
    """
    check_generator(generator, "evaluate_masked")
    batches = cut_frame_windows(pieces, n_steps)
    found = {"uniform_nats": math.log(model.config.vocabulary_size)}
    for name, mask in kinds.items():
        with evaluation_mode(model):
            total, *sums = sum(_measure(model, batch) for batch in masked_batches(batches, mask, generator))
        for key, each in zip(("nats", "accuracy", "copying_accuracy"), sums, strict=True):
            found[f"{name}_{key}"] = float(each / total)
    return found


def _measure(model: nn.Module, batch: MaskedBatch) -> np.ndarray:
    """Return the sum of the weights of a batch, and the weighted sums of nats, right names and right copies."""
    place = _find_targets(batch)
    weights, truth = batch.weights.flat[place], batch.frames.flat[place]
    scores, targets = _ask(model, batch, place)
    nats = functional.cross_entropy(scores, targets, reduction="none").cpu().double().numpy()
    is_right = (scores.argmax(-1).cpu().numpy() == truth).astype(float)
    is_copy = copy_next_door(batch.frames, batch.is_hidden, batch.is_padding).flat[place] == truth
    return np.array([weights.sum(), weights @ nats, weights @ is_right, weights @ is_copy])
