"""How surprising each token of whole pieces is to a network, whatever its context.

Every token is scored once. Where a piece is longer than the context, windows overlap, so that at least half a window of
history stands before each token that is scored. Short windows are read together; padding never reaches a score, because
no token sees what comes after it.

Chapter: 8b (the chorale benchmark).
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
from torch import Tensor

from mini_musessl import voices
from mini_musessl.batches import cut_windows
from mini_musessl.checks import check_rows, whole_number
from mini_musessl.network.transformer import MusicTransformer
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, TOKENS, encode_chorales

# --- How surprising each token of whole pieces is to a network, whatever its context


@dataclass(frozen=True)
class TokenNats:
    """What a model thought of each token of one piece.

    Attributes:
        nats: float64, minus the natural logarithm of the probability of each token.
        is_first_choice: bool, the same shape: no other symbol was more probable.

    Chapter: 8b.
    """

    nats: np.ndarray
    is_first_choice: np.ndarray

    @classmethod
    def join(cls, parts: Sequence[TokenNats]) -> TokenNats:
        """Put the scores of following stretches one after the other."""
        return cls(
            np.concatenate([part.nats for part in parts]), np.concatenate([part.is_first_choice for part in parts])
        )

    def __getitem__(self, chosen: object) -> TokenNats:
        """Return the scores of some tokens."""
        return TokenNats(self.nats[chosen], self.is_first_choice[chosen])


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


def score_tokens(model: MusicTransformer, pieces: Sequence[ArrayLike], n_windows: int = 32) -> list[TokenNats]:
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
    scored: list[TokenNats] = [None] * len(n_read)
    for rows in _batches(n_read, n_windows):
        longest = n_read[rows].max()  # the others are padded no further than this one
        together = _score_batch(
            model, (windows.token_ids[rows, :longest],), torch.from_numpy(windows.targets[rows, :longest])
        )
        for place, row in enumerate(rows):
            scored[row] = together[place, n_history[row] : n_read[row]]
    return [
        TokenNats.join([scored[row] for row in np.flatnonzero(windows.piece_index == p)]) for p in range(len(arrays))
    ]


def score_frames(model: torch.nn.Module, pieces: Sequence[np.ndarray], n_windows: int = 16) -> list[TokenNats]:
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
    scored: list[TokenNats] = [None] * len(cuts)
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
        TokenNats.join([scores for scores, cut in zip(scored, cuts, strict=True) if cut[0] == p])
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
def _score_batch(model: torch.nn.Module, inputs: tuple[np.ndarray, ...], targets: Tensor) -> TokenNats:
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
    return TokenNats(nats, is_first_choice.cpu().numpy())


# --- Likelihood: how much probability a model gives to music that it has not seen


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


def _score(model: object, ids: list[np.ndarray]) -> list[TokenNats]:
    """Ask a model of any kind for the scores of all pieces."""
    size = getattr(getattr(model, "config", None), "vocabulary_size", N_SYMBOLS)
    if size != N_SYMBOLS:
        raise ValueError(
            f"The benchmark has {N_SYMBOLS} symbols, rest and pitches 36 to 81; this network has {size}. Measure a "
            "MusicTransformer over other tokens with nats_per_token."
        )
    if isinstance(model, MusicTransformer):
        scored = score_tokens(model, [each.reshape(-1) for each in ids])
        return [TokenNats(each.nats.reshape(-1, 4), each.is_first_choice.reshape(-1, 4)) for each in scored]
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
def _ask(model: object, ids: np.ndarray) -> TokenNats:
    """Ask a model through its own methods, and check what it says."""
    if isinstance(model, torch.nn.Module):
        model.eval()
    if not hasattr(model, "symbol_log_probs"):
        return TokenNats(-_check_answer(model.token_log_probs(ids), ids.shape, "token_log_probs"), None)
    answer = _check_answer(model.symbol_log_probs(ids), (*ids.shape, N_SYMBOLS), "symbol_log_probs")
    chosen = np.take_along_axis(answer, ids[..., None], axis=-1)[..., 0]
    return TokenNats(-chosen, answer.argmax(axis=-1) == ids)


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
