"""Marks that need no learning: what uniform guessing and bare counts of notes cost, in nats a token.

They hold for any tokens, of one voice or several. ``counting`` has the same as models, and better ones.

Chapter: 00 (the marks), 2a (counting).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from mini_musessl.music import whole_number


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
    for ids in check_rows(pieces, vocabulary_size):
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
    arrays = check_rows(pieces, vocabulary_size)
    nats = [-log_probabilities[np.arange(len(ids)) % n_voices, ids] for ids in arrays]
    return float(np.concatenate(nats).mean())


def check_rows(pieces: Sequence[ArrayLike], vocabulary_size: int) -> list[np.ndarray]:
    """Return the pieces as arrays, or refuse an empty corpus and ids outside the vocabulary.

    Args:
        pieces: token ids, one row a piece.
        vocabulary_size: ids lie below it.

    Raises:
        ValueError: no token at all, a piece that is no row of whole numbers, or an id outside the vocabulary.

    Chapter: 2a.
    """
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
