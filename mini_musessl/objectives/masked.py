"""The masked objective: hide some cells, read all that is left, on both sides, and name what was hidden.

Make the targets with ``masked_batches``, train with ``masked``, and report with ``measure_masked``.

Chapter: 4b (masking).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import FrameBatch
from mini_musessl.checks import check_generator, check_range, whole_number
from mini_musessl.masking import (
    MASKERS,
    Masker,
    Weigher,
    copy_next_door,
    draw_mask,
    orderless_weights,
    weigher_of,
)
from mini_musessl.network.transformer import evaluation_mode, to_device_of

# --- Batches whose windows are not shown whole


@dataclass(frozen=True)
class MaskedBatch:
    """Windows of frames, and what is hidden in them.

    Attributes:
        frames: int64 (n_windows, n_steps, 4), the ids that came, those of hidden cells too: they are the targets.
        is_hidden: bool, as frames: True where the network does not see the cell and must name it.
        is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
        start_step: int64 (n_windows,), index in the piece of each window's first step.
        weights: float32, as frames: how much each cell counts in the loss; above 0 on hidden cells of music alone.

    Chapter: 4b.
    """

    frames: Int[np.ndarray, "n_windows n_steps n_voices"]
    is_hidden: Bool[np.ndarray, "n_windows n_steps n_voices"]
    is_padding: Bool[np.ndarray, "n_windows n_steps"]
    start_step: Int[np.ndarray, " n_windows"]
    weights: Float[np.ndarray, "n_windows n_steps n_voices"]


def masked_batches(
    frame_batches: Iterable[FrameBatch],
    hide: Masker,
    generator: np.random.Generator,
    weigh: Weigher | None = None,
) -> Iterator[MaskedBatch]:
    """Hide cells of one batch after the other.

    Args:
        frame_batches: such as ``windows.random_frame_batches`` draws.
        hide: what to hide, such as ``corruption.hide_notes``; other settings by ``functools.partial``.
        generator: source of chance for what is hidden.
        weigh: how much each hidden cell counts; None for ``corruption.weigher_of(hide)``: orderless weights for
            ``hide_orderless``, and equal weights for all else, mixtures with it among them.

    Returns:
        An iterator, as long as ``frame_batches``.

    Raises:
        ValueError: ``hide`` hides nothing in a window; or all of one, which ``hide_orderless`` alone may, and any
            hider with ``weigh=orderless_weights``.
        TypeError: the generator is not a numpy.random.Generator, a batch no FrameBatch, or ``hide`` returns something
            else.

    Example:
        >>> from mini_musessl import corruption, windows
        >>> frames = windows.random_frame_batches([np.full((40, 4), 20)], 2, 16, np.random.default_rng(0))
        >>> batch = next(masked_batches(frames, corruption.hide_cells, np.random.default_rng(1)))
        >>> batch.is_hidden.sum(), batch.weights.sum()
        (np.int64(32), np.float32(32.0))

    Chapter: 4b.
    """
    check_generator(generator, "masked_batches")
    return (mask_batch(batch, hide, generator, weigh) for batch in frame_batches)


def mask_batch(
    batch: FrameBatch, hide: Masker, generator: np.random.Generator, weigh: Weigher | None = None
) -> MaskedBatch:
    """Hide cells of one batch.

    Args:
        batch: windows of frames.
        hide: as for ``masked_batches``.
        generator: as for ``masked_batches``.
        weigh: as for ``masked_batches``.

    Raises:
        ValueError: as for ``masked_batches``.
        TypeError: as for ``masked_batches``.

    Chapter: 4b.
    """
    if not isinstance(batch, FrameBatch):
        raise TypeError(
            f"Cells are hidden in a FrameBatch, such as windows.random_frame_batches draws; found "
            f"{type(batch).__name__}. For one piece: cut_frame_windows([ids], n_steps)."
        )
    weigh = weigher_of(hide) if weigh is None else weigh
    is_hidden = draw_mask(hide, batch.frames, batch.is_padding, generator, may_hide_all=weigh is orderless_weights)
    weights = weigh(is_hidden, batch.is_padding)
    return MaskedBatch(batch.frames, is_hidden, batch.is_padding, batch.start_step, weights)


# --- The surprise at what was hidden


def masked_loss(model: nn.Module, batch: MaskedBatch) -> tuple[Float[Tensor, ""], int]:
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


def hidden_cross_entropy(
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
        >>> round(hidden_cross_entropy(logits, frames, torch.ones(1, 2, 4)).item(), 4)
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
    _check_some_hidden(int(is_target.sum()))
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
    _check_some_hidden(len(place))
    return place, batch.weights.flat[place]


def score_targets(model: nn.Module, batch: MaskedBatch, place: np.ndarray) -> tuple[Tensor, Tensor]:
    """Ask a model for some cells of a batch.

    Args:
        model: as for ``masked_loss``.
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


def _check_some_hidden(n_targets: int) -> None:
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


# --- How well hidden cells are named, for each kind of hiding

_N_WINDOWS = 16


@torch.no_grad()
def evaluate_masked(
    model: nn.Module,
    pieces: Sequence[ArrayLike],
    generator: np.random.Generator,
    kinds: Mapping[str, Masker] | None = None,
    n_steps: int = 96,
) -> dict[str, float]:
    """Measure how well a model names hidden cells, for each kind of hiding.

    Every piece is cut into windows of about the same length, and cells are hidden once in each.

    Args:
        model: as for ``masked``; asked in evaluation mode, and left in the mode that it was in.
        pieces: ids, one array (n_steps, 4) a piece.
        generator: source of chance for what is hidden; the same state hides the same.
        kinds: hiders by name; None for ``corruption.HIDERS``.
        n_steps: most steps in a window.

    Returns:
        For each kind ``{name}_nats``, the mean surprise in nats a hidden cell; ``{name}_accuracy``, the share of hidden
        cells that the model finds likeliest; and ``{name}_copying_accuracy``, that of ``corruption.copy_next_door``.
        For "orderless" all are weighted, and the nats are those of writing the windows in a random order. Beside them
        ``uniform_nats``, the surprise of a model that knows nothing.

    Raises:
        ValueError: no pieces, empty ones, or windows too short for a kind of hiding.
        TypeError: the generator is not a numpy.random.Generator.

    Chapter: 4b.
    """
    check_generator(generator, "evaluate_masked")
    batches = cut_frame_windows(pieces, n_steps)
    found = {}
    for name, hide in (MASKERS if kinds is None else kinds).items():
        with evaluation_mode(model):
            totals = sum(_measure(model, mask_batch(batch, hide, generator)) for batch in batches)
        for key, total in zip(("nats", "accuracy", "copying_accuracy"), totals[1:], strict=True):
            found[f"{name}_{key}"] = float(total / totals[0])
    return found | {"uniform_nats": math.log(model.config.vocabulary_size)}


def cut_frame_windows(pieces: Sequence[ArrayLike], n_steps: int) -> list[FrameBatch]:
    """Cut every piece into windows of about the same length, each step in one window, and put them into batches.

    Args:
        pieces: ids, one array (n_steps, 4) a piece.
        n_steps: most steps in a window.

    Returns:
        Batches of at most 16 windows, the shortest first, so that little is padding.

    Raises:
        ValueError: no pieces, or an empty one.

    Example:
        >>> [batch] = cut_frame_windows([np.full((200, 4), 20)], 96)
        >>> batch.frames.shape, batch.start_step.tolist()
        ((3, 67, 4), [134, 0, 67])

    Chapter: 4b.
    """
    whole_number("n_steps", n_steps, lowest=1)
    arrays = [np.asarray(piece) for piece in pieces]
    if not arrays or not all(array.ndim == 2 and len(array) for array in arrays):
        raise ValueError(
            "Windows need pieces of the shape (n_steps, n_voices), at least one step each; found others or none."
        )
    cuts = [
        (index, step[0], len(step))
        for index, array in enumerate(arrays)
        for step in np.array_split(np.arange(len(array)), -(-len(array) // n_steps))
    ]
    cuts.sort(key=lambda cut: cut[2])
    return [_to_batch(arrays, np.array(cuts[first : first + _N_WINDOWS])) for first in range(0, len(cuts), _N_WINDOWS)]


def _to_batch(arrays: list[np.ndarray], cuts: np.ndarray) -> FrameBatch:
    """Put stretches, each a piece with its first step and its length, side by side."""
    piece_index, start, length = cuts.T
    frames = np.zeros((len(cuts), length.max(), arrays[0].shape[1]), np.int64)
    for row, (piece, first, n_music) in enumerate(cuts):
        frames[row, :n_music] = arrays[piece][first : first + n_music]
    return FrameBatch(frames, np.arange(length.max()) >= length[:, None], start, piece_index)


def _measure(model: nn.Module, batch: MaskedBatch) -> np.ndarray:
    """Return the sum of the weights of a batch, and the weighted sums of nats, right names and right copies."""
    place, weights = find_targets(batch)
    nats, is_right = (each.cpu().double().numpy() for each in score_targets(model, batch, place))
    copies = copy_next_door(batch.frames, batch.is_hidden, batch.is_padding).flat[place]
    return np.array([weights.sum(), weights @ nats, weights @ is_right, weights @ (copies == batch.frames.flat[place])])
