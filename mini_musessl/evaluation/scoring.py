"""How surprising each token of whole pieces is to a network, whatever its context.

Every token is scored once. Where a piece is longer than the context, windows overlap, so that at least half a window of
history stands before each token that is scored. Short windows are read together; padding never reaches a score, because
no token sees what comes after it.

Chapter: 8b (the chorale benchmark).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mini_musessl.evaluation.marks import check_rows
from mini_musessl.music import whole_number
from mini_musessl.transformer import MusicTransformer
from mini_musessl.windows import cut_windows


@dataclass(frozen=True)
class Scores:
    """What a model thought of each token of one piece.

    Attributes:
        nats: float64, minus the natural logarithm of the probability of each token.
        is_first_choice: bool, the same shape: no other symbol was more probable.

    Chapter: 8b.
    """

    nats: np.ndarray
    is_first_choice: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[Scores]) -> Scores:
        """Put the scores of following stretches one after the other."""
        return cls(
            np.concatenate([part.nats for part in parts]), np.concatenate([part.is_first_choice for part in parts])
        )

    def __getitem__(self, chosen: object) -> Scores:
        """Return the scores of some tokens."""
        return Scores(self.nats[chosen], self.is_first_choice[chosen])


def token_nats(model: MusicTransformer, pieces: Sequence[ArrayLike], n_windows: int = 32) -> list[np.ndarray]:
    """Measure how surprising each token of whole pieces is to a model.

    Each token is scored once. Where a piece is longer than the context, the windows overlap: about half a window of
    history, never scored again, stands before each new window.

    Args:
        model: the model; put into evaluation mode.
        pieces: token ids, one array a piece.
        n_windows: windows the network reads at once; changes nothing but speed.

    Returns:
        float64 (n_tokens,) for each piece, in nats.

    Raises:
        ValueError: no pieces, or ids outside the vocabulary.

    Chapter: 8b.
    """
    return [scores.nats for scores in score_tokens(model, pieces, n_windows)]


def nats_per_token(model: MusicTransformer, pieces: Sequence[ArrayLike], n_windows: int = 32) -> float:
    """Return the mean of ``token_nats`` over all tokens of all pieces.

    Args:
        model: the model; put into evaluation mode.
        pieces: token ids, one array a piece.
        n_windows: windows the network reads at once; changes nothing but speed.

    Returns:
        Mean nats a token, each piece counting by its length.

    Raises:
        ValueError: no pieces, or ids outside the vocabulary.

    Chapter: 00, 8b.
    """
    return float(np.concatenate(token_nats(model, pieces, n_windows)).mean())


def scoring_stride(context_length: int, stride_token: int) -> int:
    """Return the distance of scoring windows: half a context or a little less, in whole cycles of the model.

    Raises:
        ValueError: the context holds less than one cycle of history and one of new tokens.

    Example:
        >>> scoring_stride(context_length=256, stride_token=64)
        128

    Chapter: 8b.
    """
    stride = context_length // 2 // stride_token * stride_token
    if stride == 0:
        raise ValueError(
            "Whole pieces are scored in overlapping windows, so context_length must be at least twice the model's "
            f"cycle of {stride_token} tokens; found {context_length}. Use a longer context or shorter cycle_lengths."
        )
    return stride


def score_tokens(model: MusicTransformer, pieces: Sequence[ArrayLike], n_windows: int = 32) -> list[Scores]:
    """Score every token of whole pieces by a network that reads one token after another.

    Args:
        model: the network; put into evaluation mode.
        pieces: token ids, one row a piece.
        n_windows: windows the network reads at once; changes nothing but speed.

    Returns:
        Scores of the shape (n_tokens,) for each piece.

    Raises:
        ValueError: no pieces, ids outside the vocabulary, or a network that sees what comes after.
        FloatingPointError: the network's scores are not numbers.

    Chapter: 8b.
    """
    whole_number("n_windows", n_windows, lowest=1)
    if not model.config.is_causal:
        raise ValueError(
            "Likelihood is the product of what a network says of each token from those before it; found "
            "is_causal=False, a network that sees those after it too. Use a causal one."
        )
    arrays = check_rows(pieces, model.config.vocabulary_size)
    context_length = model.config.context_length
    stride = scoring_stride(context_length, model.config.stride_token)
    windows = cut_windows(arrays, context_length, model.config.begin_id, stride)
    n_read = (~windows.is_padding).sum(axis=1)
    n_history = np.where(windows.start_token > 0, context_length - stride, 0)
    scored: list[Scores] = [None] * len(n_read)
    for rows in _batches(n_read, n_windows):
        longest = n_read[rows].max()  # the others are padded no further than this one
        together = _score_batch(
            model, (windows.token_ids[rows, :longest],), torch.from_numpy(windows.targets[rows, :longest])
        )
        for place, row in enumerate(rows):
            scored[row] = together[place, n_history[row] : n_read[row]]
    return [Scores.join([scored[row] for row in np.flatnonzero(windows.piece_index == p)]) for p in range(len(arrays))]


def score_frames(model: torch.nn.Module, pieces: Sequence[np.ndarray], n_windows: int = 16) -> list[Scores]:
    """Score every token of whole pieces by a network that reads one step after another.

    Args:
        model: the network, a FrameTransformer or its like: ``forward(frames, first_step)`` gives logits (batch,
            n_steps, n_voices, n_symbols). Put into evaluation mode.
        pieces: token ids, one array (n_steps, n_voices) a piece, none empty.
        n_windows: windows the network reads at once; changes nothing but speed.

    Returns:
        Scores of the shape (n_steps, n_voices) for each piece.

    Raises:
        FloatingPointError: the network's scores are not numbers.

    Chapter: 5d, 8b.
    """
    whole_number("n_windows", n_windows, lowest=1)
    cuts = [(p, *cut) for p, ids in enumerate(pieces) for cut in frame_windows(len(ids), model.config.context_length)]
    n_read = np.array([stop - start for _, start, _, stop in cuts])
    scored: list[Scores] = [None] * len(cuts)
    for rows in _batches(n_read, n_windows):
        shape = (len(rows), n_read[rows].max(), pieces[0].shape[1])
        frames = np.zeros(shape, np.int64)
        for place, row in enumerate(rows):
            piece, start, _, stop = cuts[row]
            frames[place, : stop - start] = pieces[piece][start:stop]
        first_step = np.array([cuts[row][1] for row in rows])
        together = _score_batch(model, (frames, first_step), torch.from_numpy(frames))
        for place, row in enumerate(rows):
            _, start, first_scored, stop = cuts[row]
            scored[row] = together[place, first_scored - start : stop - start]
    return [
        Scores.join([scores for scores, cut in zip(scored, cuts, strict=True) if cut[0] == p])
        for p in range(len(pieces))
    ]


def frame_windows(n_steps: int, context_length: int) -> list[tuple[int, int, int]]:
    """Cut a piece into windows: each as ``(start, first step scored, stop)``, at least half a context of history.

    Args:
        n_steps: length of the piece.
        context_length: most steps that the network reads at once.

    Raises:
        ValueError: the context is too short for a step and its history.

    Example:
        >>> frame_windows(100, 128)
        [(0, 0, 100)]
        >>> frame_windows(20, 8)
        [(0, 0, 8), (4, 8, 12), (8, 12, 16), (12, 16, 20)]
        >>> frame_windows(9, 8)
        [(0, 0, 8), (4, 8, 9)]

    Chapter: 5d, 8b.
    """
    if n_steps <= context_length:
        return [(0, 0, n_steps)]
    if context_length < 2:
        raise ValueError(f"Windows with history need a context of at least 2 steps; found {context_length}.")
    # Where the windows stand must not depend on where the piece ends, or its length would show in the scores.
    firsts = range(context_length, n_steps, context_length // 2)
    n_history = context_length - context_length // 2
    later = [(first - n_history, first, min(first + context_length // 2, n_steps)) for first in firsts]
    return [(0, 0, context_length), *later]


def _batches(n_read: np.ndarray, n_windows: int) -> list[np.ndarray]:
    """Put windows of like length together, the longest first."""
    order = np.argsort(-n_read, kind="stable")
    return [order[i : i + n_windows] for i in range(0, len(order), n_windows)]


@torch.no_grad()
def _score_batch(model: torch.nn.Module, inputs: tuple[np.ndarray, ...], targets: Tensor) -> Scores:
    """Ask the network for all probabilities of a batch and keep what concerns the targets."""
    model.eval()
    device = next(model.parameters()).device
    logits = model(*(torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in inputs)).float()
    chosen = logits.log_softmax(dim=-1).gather(-1, targets.to(device)[..., None])[..., 0]
    is_first_choice = logits.argmax(dim=-1) == targets.to(device)
    nats = -chosen.cpu().double().numpy()
    if np.isnan(nats).any():
        raise FloatingPointError(
            "The scores of a network must be finite numbers; found some that are not. Did training diverge? Train "
            "again with a smaller learning_rate."
        )
    return Scores(nats, is_first_choice.cpu().numpy())
