"""How well hidden cells are named, for each kind of hiding.

Chapter: 4b (masking).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from mini_musessl.corruption import HIDERS, Hider, copy_next_door
from mini_musessl.music import whole_number
from mini_musessl.objectives.evaluation_mode import evaluation_mode
from mini_musessl.objectives.masked.batches import MaskedBatch, mask_batch
from mini_musessl.objectives.masked.loss import find_targets, score_targets
from mini_musessl.windows import FrameBatch
from mini_musessl.windows.token_windows import check_generator

_N_WINDOWS = 16


@torch.no_grad()
def measure_masked(
    model: nn.Module,
    pieces: Sequence[ArrayLike],
    generator: np.random.Generator,
    kinds: Mapping[str, Hider] | None = None,
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
    check_generator(generator, "measure_masked")
    batches = cut_frame_windows(pieces, n_steps)
    found = {}
    for name, hide in (HIDERS if kinds is None else kinds).items():
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
