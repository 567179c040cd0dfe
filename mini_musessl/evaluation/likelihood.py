"""Likelihood: how much probability a model gives to music that it has not seen.

All numbers are nats a token: minus the natural logarithm of the probability of each token, averaged over all tokens of
all pieces. Lower is better. A model is read against marks that need no learning: uniform and unigram.

The two doors of the chorale benchmark, ``token_log_probs`` and ``evaluate_likelihood``, take grids of four voices and
any model: a MusicTransformer, a FrameTransformer, or an object with a method ``token_log_probs(ids)``. Whole pieces,
every token once, rests too; ``conformance`` tests that a model keeps to what it may see.

Chapter: 00 (the marks), 2a (counting), 8b (the chorale benchmark).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from mini_musessl import voices
from mini_musessl.evaluation.chorale_ids import N_SYMBOLS, TOKENS, encode_chorales
from mini_musessl.evaluation.marks import uniform_nats, unigram_nats, unigram_probabilities
from mini_musessl.evaluation.scoring import (
    Scores,
    nats_per_token,
    score_frames,
    score_tokens,
    scoring_stride,
    token_nats,
)
from mini_musessl.transformer import MusicTransformer

__all__ = [
    "Comparison",
    "Likelihood",
    "compare",
    "evaluate_likelihood",
    "nats_per_token",
    "scoring_stride",
    "token_log_probs",
    "token_nats",
    "uniform_nats",
    "unigram_nats",
    "unigram_probabilities",
]


@dataclass(frozen=True, eq=False)
class Likelihood:
    """How much probability a model gave to some pieces.

    Attributes:
        nats: float64 (n_steps, 4) for each piece, of every token.
        is_change: bool (n_steps, 4) for each piece: the voice sang something else a step before. False at step 0.
        is_first_choice: the same shapes: the token was the model's likeliest; None for a model that does not say.

    Chapter: 8b.
    """

    nats: tuple[Float[np.ndarray, "_ 4"], ...]
    is_change: tuple[Bool[np.ndarray, "_ 4"], ...]
    is_first_choice: tuple[Bool[np.ndarray, "_ 4"], ...] | None = None

    @cached_property
    def piece_tokens(self) -> Int[np.ndarray, " n_pieces"]:
        """How many tokens each piece has."""
        return np.array([each.size for each in self.nats])

    @cached_property
    def piece_nats(self) -> Float[np.ndarray, " n_pieces"]:
        """Nats a token of each piece."""
        return np.array([each.mean() for each in self.nats])

    @property
    def n_tokens(self) -> int:
        """How many tokens were scored."""
        return int(self.piece_tokens.sum())

    @cached_property
    def nats_per_token(self) -> float:
        """The headline: nats of all tokens over their number."""
        return float(np.concatenate(self.nats).mean())

    @property
    def nats_per_frame(self) -> float:
        """Nats a step, all four voices together."""
        return 4 * self.nats_per_token

    @property
    def bits_per_quarter(self) -> float:
        """Bits a quarter note of music, which is four steps: the length of the shortest code."""
        return TOKENS.steps_per_quarter * self.nats_per_frame / math.log(2)

    @property
    def voice_nats(self) -> Float[np.ndarray, " 4"]:
        """Nats a token of soprano, alto, tenor and bass."""
        return np.concatenate(self.nats).mean(axis=0)

    @property
    def mean_of_piece_means(self) -> float:
        """Nats a token where each piece counts alike, long or short."""
        return float(self.piece_nats.mean())

    @property
    def change_accuracy(self) -> float | None:
        """Share of the changing tokens that were the model's likeliest; None if it does not say or nothing changes."""
        is_change = np.concatenate(self.is_change)
        if self.is_first_choice is None or not is_change.any():
            return None
        return float(np.concatenate(self.is_first_choice)[is_change].mean())

    @property
    def change_share(self) -> float:
        """Share of the loss that sits on tokens that change, 0 to 1."""
        nats = np.concatenate(self.nats)
        return float(nats[np.concatenate(self.is_change)].sum() / nats.sum())


@dataclass(frozen=True)
class Comparison:
    """The difference of two models on the same pieces, in nats a token, with its range.

    Attributes:
        difference: first minus second; below 0 the first is better.
        low: lower end of the 95 % bootstrap range over pieces.
        high: upper end.

    Chapter: 8b.
    """

    difference: float
    low: float
    high: float


def token_log_probs(model: object, grid: voices.VoiceGrid | ArrayLike) -> Float[np.ndarray, "n_steps 4"]:
    """Return the natural logarithm of the probability that a model gives to each token of one piece.

    Args:
        model: a MusicTransformer or FrameTransformer over the 47 symbols of the benchmark, or any object with a method
            ``token_log_probs(ids)`` that turns ids 0..46 of the shape (n_steps, 4) into logarithms of that shape.
        grid: the whole piece; a VoiceGrid of four voices, or MIDI pitches (n_steps, 4) with -1 for a rest.

    Returns:
        float64, in the order soprano, alto, tenor, bass.

    Raises:
        ValueError: pitches outside 36..81, another shape or grid, a network of another vocabulary or one that sees
            what comes after, or answers of the model that are no logarithms of probabilities.
        TypeError: a model of another kind.
        FloatingPointError: the scores of a network are not numbers.

    Chapter: 2a, 8b.
    """
    (scores,) = _score(model, encode_chorales([grid]))
    return -scores.nats


def evaluate_likelihood(model: object, pieces: Sequence[voices.VoiceGrid | ArrayLike]) -> Likelihood:
    """Measure how much probability a model gives to whole pieces, by the protocol of the chorale benchmark.

    Args:
        model: as for ``token_log_probs``. An object whose method ``symbol_log_probs(ids)`` gives the logarithms of all
            symbols, (n_steps, 4, 47), is asked through that, and its accuracy is known too.
        pieces: as for ``token_log_probs``, at least one.

    Returns:
        Every token's nats and their means.

    Raises:
        ValueError: no pieces, and as for ``token_log_probs``.
        TypeError: a model of another kind.
        FloatingPointError: as for ``token_log_probs``.

    References:
        The data and the count of four tokens a step are those of Huang et al., "Music Transformer" (2019), section 4.1.

    Chapter: 2a, 8b.
    """
    ids = encode_chorales(pieces)
    scored = _score(model, ids)
    is_change = tuple(np.vstack((np.zeros((1, 4), bool), each[1:] != each[:-1])) for each in ids)
    choices = tuple(scores.is_first_choice for scores in scored)
    is_known = all(choice is not None for choice in choices)
    return Likelihood(tuple(scores.nats for scores in scored), is_change, choices if is_known else None)


def compare(first: Likelihood, second: Likelihood, generator: np.random.Generator, n_draws: int = 10_000) -> Comparison:
    """Compare two models on the same pieces by a paired bootstrap.

    Pieces are drawn with replacement, as many as there are, and each draw gives the difference of both models on those
    same pieces: what makes a piece hard for both cancels.

    Args:
        first: result of one model.
        second: result of the other, on the same pieces in the same order.
        generator: source of chance.
        n_draws: how often to draw.

    Returns:
        The difference, and the range that holds the middle 95 % of the draws.

    Raises:
        ValueError: the pieces differ.

    Example:
        >>> nats = [np.full((8, 4), level) for level in (0.5, 0.7)]
        >>> one = Likelihood(tuple(nats), tuple(each > 9 for each in nats))
        >>> two = Likelihood(tuple(each - 0.1 for each in nats), one.is_change)
        >>> found = compare(one, two, np.random.default_rng(0))
        >>> round(found.low, 3), round(found.difference, 3), round(found.high, 3)
        (0.1, 0.1, 0.1)

    References:
        Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), the percentile interval.

    Chapter: 3c, 8b.
    """
    n_tokens = first.piece_tokens
    if not np.array_equal(n_tokens, second.piece_tokens):
        raise ValueError(
            f"Two models are compared on the same pieces; these results have {len(n_tokens)} and "
            f"{len(second.piece_tokens)} pieces of different lengths. Score both models on one list."
        )
    differences = (first.piece_nats - second.piece_nats) * n_tokens
    drawn = generator.integers(len(n_tokens), size=(n_draws, len(n_tokens)))
    means = differences[drawn].sum(axis=1) / n_tokens[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Comparison(float(differences.sum() / n_tokens.sum()), float(low), float(high))


def _score(model: object, ids: list[np.ndarray]) -> list[Scores]:
    """Ask a model of any kind for the scores of all pieces."""
    size = getattr(getattr(model, "config", None), "vocabulary_size", N_SYMBOLS)
    if size != N_SYMBOLS:
        raise ValueError(
            f"The benchmark has {N_SYMBOLS} symbols, rest and pitches 36 to 81; this network has {size}. Measure a "
            "MusicTransformer over other tokens with nats_per_token."
        )
    if isinstance(model, MusicTransformer):
        scored = score_tokens(model, [each.reshape(-1) for each in ids])
        return [Scores(each.nats.reshape(-1, 4), each.is_first_choice.reshape(-1, 4)) for each in scored]
    if _reads_frames(model):
        return score_frames(model, ids)
    if not hasattr(model, "token_log_probs"):
        raise TypeError(
            "A model must be a MusicTransformer, a FrameTransformer, or have a method token_log_probs(ids); found "
            f"{type(model).__name__}. For a class, make an object of it first."
        )
    return [_ask(model, each) for each in ids]


def _reads_frames(model: object) -> bool:
    """Return whether a model is a network over steps: its ``forward`` takes frames and the index of the first."""
    return isinstance(model, torch.nn.Module) and "first_step" in inspect.signature(model.forward).parameters


@torch.no_grad()
def _ask(model: object, ids: np.ndarray) -> Scores:
    """Ask a model through its own methods, and check what it says."""
    if isinstance(model, torch.nn.Module):
        model.eval()
    if not hasattr(model, "symbol_log_probs"):
        return Scores(-_check_answer(model.token_log_probs(ids), ids.shape, "token_log_probs"), None)
    answer = _check_answer(model.symbol_log_probs(ids), (*ids.shape, N_SYMBOLS), "symbol_log_probs")
    chosen = np.take_along_axis(answer, ids[..., None], axis=-1)[..., 0]
    return Scores(-chosen, answer.argmax(axis=-1) == ids)


def _check_answer(answer: ArrayLike, shape: tuple[int, ...], method: str) -> np.ndarray:
    """Return a model's answer as float64, or refuse one that cannot be logarithms of probabilities."""
    log_probs = np.asarray(answer, np.float64)
    if log_probs.shape != shape:
        raise ValueError(f"{method} must answer with one number a token, shape {shape}; found {log_probs.shape}.")
    if not (log_probs <= 1e-6).all():
        raise ValueError(
            f"{method} must answer with logarithms of probabilities, 0 or below; found {log_probs.max()}. Are these "
            "probabilities, nats with the sign turned, or results of a model that diverged?"
        )
    return log_probs
