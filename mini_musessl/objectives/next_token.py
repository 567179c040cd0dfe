"""The next-token objective: read what came, predict what comes, one token at a time or one frame of all voices.

``batches.random_batches`` and ``batches.random_frame_batches`` draw the batches; ``evaluation.likelihood`` measures
what was learned.

Chapter: 4a (next token), 5d (frames), 7a (the loss by hand).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import N_VOICES, Batch, FrameBatch
from mini_musessl.checks import check_batch, check_logits, check_pieces, check_some
from mini_musessl.network.transformer import to_device_of
from mini_musessl.repeats import Copies, copies_of_pieces, join_copies, transpose_copied


@dataclass(frozen=True)
class CopyBatch(FrameBatch):
    """Windows of frames, and what guides that know the whole piece say before each of their steps."""

    copied: Int[np.ndarray, "n_windows n_steps n_guides n_voices"]
    kind: Int[np.ndarray, "n_windows n_steps n_guides n_voices"]
    length: Int[np.ndarray, "n_windows n_steps n_whole"]


def copy_batches(
    frame_batches: Iterable[FrameBatch], pieces: Sequence[ArrayLike], n_symbols: int = 47
) -> Iterator[CopyBatch]:
    """Add to each batch what guides say, who know the piece from its beginning, in the key of the window.

    Args:
        frame_batches: windows of the pieces, as ``batches.random_frame_batches`` draws them.
        pieces: ids of the pieces in their own keys.
        n_symbols: of the vocabulary.
    """
    arrays = check_pieces(pieces, n_voices=N_VOICES)
    said = copies_of_pieces(arrays)
    return (_with_copies(batch, arrays, said, n_symbols) for batch in frame_batches)


def _with_copies(batch: FrameBatch, pieces: list[np.ndarray], said: list[Copies], n_symbols: int) -> CopyBatch:
    """Cut what guides say to the windows of a batch, and move it to their keys."""
    windows = []
    for frames, start, piece in zip(batch.frames, batch.start_step, batch.piece_index, strict=True):
        steps = slice(start, start + len(frames))
        own, here = pieces[piece][steps], said[piece].at(steps)
        moved = (frames[: len(own)] - own)[own > 0]  # by the same interval everywhere
        semitones = moved[0] if moved.size else 0
        windows.append(here._replace(copied=transpose_copied(here.copied, semitones, n_symbols)))
    return CopyBatch(**vars(batch), **join_copies(windows, batch.frames.shape[1])._asdict())


def read_frames(model: nn.Module, batch: FrameBatch) -> list[Tensor | Copies]:
    """Return what a model of frames is called with, on its device: frames, first steps and, if there are, copies."""
    given = to_device_of(model, batch.frames, batch.start_step)
    if isinstance(batch, CopyBatch):
        given.append(Copies(*to_device_of(model, batch.copied, batch.kind, batch.length)))
    return given


def token_cross_entropy(
    logits: Float[Tensor, "batch time vocabulary"],
    targets: Int[Tensor, "batch time"],
    is_padding: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy in nats per token; padding is ignored.

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
        model: called with frames (n_windows, n_steps, 4), the index in the piece of each window's first step and, for a
            batch with copies, those; returns logits (n_windows, n_steps, 4, vocabulary).
        batch: as ``batches.random_frame_batches`` draws it, or ``copy_batches`` extends it.
    """
    check_batch(batch, FrameBatch, "next_frame_loss", "batches.random_frame_batches")
    n_targets = int((~batch.is_padding).sum()) * batch.frames.shape[-1]
    check_some(n_targets)
    given, [is_padding] = read_frames(model, batch), to_device_of(model, batch.is_padding)
    logits = model(*given)
    check_logits(logits.shape, batch.frames)
    return frame_cross_entropy(logits, given[0], is_padding), n_targets
