"""Likelihood: how much probability a model gives to music that it has not seen.

All numbers are nats a token: minus the natural logarithm of the probability of each token, averaged over all tokens of
all pieces. Lower is better. A model is read against marks that need no learning: uniform and unigram.

Chapter: 00 (the marks), 2a (counting), 8b (the chorale benchmark).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike

from mini_musessl.music import whole_number
from mini_musessl.transformer import MusicTransformer
from mini_musessl.windows import Batch, cut_windows


def uniform_nats(vocabulary_size: int) -> float:
    """Return the mark of a model that gives every symbol the same probability.

    Example:
        >>> round(uniform_nats(47), 4)
        3.8501

    Chapter: 00.
    """
    return math.log(whole_number("vocabulary_size", vocabulary_size, lowest=1))


def unigram_probabilities(
    pieces: Sequence[ArrayLike], vocabulary_size: int, n_voices: int = 4, pseudocount: float = 1.0
) -> Float[np.ndarray, "n_voices vocabulary_size"]:
    """Count how often each voice sings each symbol.

    Args:
        pieces: token ids, one array a piece; token i belongs to voice ``i % n_voices``.
        vocabulary_size: number of symbols.
        n_voices: tables to keep apart; 1 for tokens without voices.
        pseudocount: added to every count, above 0, so that no symbol is impossible.

    Returns:
        One distribution a voice; each row sums to 1.

    Raises:
        ValueError: no tokens, ids outside the vocabulary, no voice, or a pseudocount that is not above 0.
        TypeError: a size that is not a whole number.

    Example:
        >>> unigram_probabilities([[0, 0, 1]], vocabulary_size=2, n_voices=1).tolist()
        [[0.6, 0.4]]

    Chapter: 00, 2a.
    """
    if not pseudocount > 0:
        raise ValueError(
            f"pseudocount must be above 0; found {pseudocount}. Without it a symbol never seen costs infinitely many "
            "nats."
        )
    whole_number("n_voices", n_voices, lowest=1)
    counts = np.full((n_voices, whole_number("vocabulary_size", vocabulary_size, lowest=1)), pseudocount, float)
    for ids in _check_ids(pieces, vocabulary_size):
        np.add.at(counts, (np.arange(len(ids)) % n_voices, ids), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def unigram_nats(
    train_pieces: Sequence[ArrayLike],
    pieces: Sequence[ArrayLike],
    vocabulary_size: int,
    n_voices: int = 4,
    pseudocount: float = 1.0,
) -> float:
    """Return the mark of a model that only knows how often each voice sings each symbol.

    Args:
        train_pieces: where to count.
        pieces: where to measure.
        vocabulary_size: number of symbols.
        n_voices: token i belongs to voice ``i % n_voices``.
        pseudocount: see ``unigram_probabilities``.

    Returns:
        Mean nats a token of ``pieces``.

    Example:
        >>> round(unigram_nats([[0, 0, 1]], [[0]], vocabulary_size=2, n_voices=1), 3)
        0.511

    Chapter: 00, 2a.
    """
    log_probabilities = np.log(unigram_probabilities(train_pieces, vocabulary_size, n_voices, pseudocount))
    arrays = _check_ids(pieces, vocabulary_size)
    nats = [-log_probabilities[np.arange(len(ids)) % n_voices, ids] for ids in arrays]
    return float(np.concatenate(nats).mean())


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
    whole_number("n_windows", n_windows, lowest=1)
    arrays = _check_ids(pieces, model.config.vocabulary_size)
    context_length = model.config.context_length
    stride = scoring_stride(context_length, model.config.stride_token)
    windows = cut_windows(arrays, context_length, model.config.begin_id, stride)
    nats = np.concatenate(
        [_window_nats(model, windows, slice(i, i + n_windows)) for i in range(0, len(windows.targets), n_windows)]
    )
    is_history = (windows.start_token[:, None] > 0) & (np.arange(context_length) < context_length - stride)
    is_scored = ~windows.is_padding & ~is_history
    return [nats[rows][is_scored[rows]] for rows in (windows.piece_index == p for p in range(len(arrays)))]


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


@torch.no_grad()
def _window_nats(model: MusicTransformer, windows: Batch, rows: slice) -> np.ndarray:
    """Return nats (n_windows, context_length) of some windows."""
    model.eval()
    device = model.to_logits.weight.device
    log_probabilities = model(torch.from_numpy(windows.token_ids[rows]).to(device)).float().log_softmax(dim=-1)
    targets = torch.from_numpy(windows.targets[rows]).to(device)
    return -log_probabilities.gather(-1, targets[..., None])[..., 0].cpu().double().numpy()


def _check_ids(pieces: Sequence[ArrayLike], vocabulary_size: int) -> list[np.ndarray]:
    """Return the pieces as arrays, or refuse an empty corpus and ids outside the vocabulary."""
    arrays = [np.asarray(piece) for piece in pieces]
    if sum(ids.size for ids in arrays) == 0:
        raise ValueError("Likelihood needs at least one token; found none. Is the split empty?")
    for index, ids in enumerate(arrays):
        if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
            raise ValueError(
                f"A piece must be one row of whole token ids; piece {index} has shape {ids.shape} and type "
                f"{ids.dtype}. Encode the music with a tokenizer first, and put a single piece into a list."
            )
        if ids.size and (ids.min() < 0 or ids.max() >= vocabulary_size):
            raise ValueError(
                f"Token ids must lie in 0..{vocabulary_size - 1}; piece {index} has {ids.min()}..{ids.max()}. "
                "Was the music encoded with another vocabulary?"
            )
    return arrays
