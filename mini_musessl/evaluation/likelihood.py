"""Likelihood: how much probability a model gives to music that it has not seen.

Each token of whole pieces is scored once, from those before it; the loss is the mean of -ln p over all tokens of all
pieces. Where a piece is longer than a network's context, windows overlap, so that about half a context of history
stands before each token that is scored. Windows of like length are read together; padding stands after the music, so it
never reaches a score.

``nats_per_token`` scores any tokens by a network. ``evaluate_likelihood`` follows the protocol of the chorale
benchmark, whose data and whose count of four tokens per step are those of Huang et al., "Music Transformer" (2019),
section 4.1; it scores any model:

* a MusicTransformer or a FrameTransformer over the 47 symbols of the benchmark, or a module like it, whose
  ``forward(frames, first_step)`` gives logits (batch, n_steps, 4, 47);
* an object with a method ``symbol_log_probs(ids)``, which turns ids 0..46 of the shape (n_steps, 4) into the natural
  logarithms of the probabilities of all symbols, (n_steps, 4, 47);
* an object with a method ``token_log_probs(ids)``, which returns those of the symbols that came alone, (n_steps, 4).

Pieces of the benchmark are VoiceGrids, or MIDI pitches (n_steps, 4) with -1 for a rest.

Chapter: 00 (first use), 2a (counting), 8b (the chorale benchmark).
"""

import inspect
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn

from mini_musessl.batches import side_by_side, windows_with_history
from mini_musessl.checks import check_pieces, check_scores
from mini_musessl.network.transformer import MusicTransformer, evaluation_mode, to_device_of
from mini_musessl.repeats import Copies, copies_of_pieces, join_copies
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, TOKENS, encode_chorales
from mini_musessl.voices import VoiceGrid

Chorale = VoiceGrid | ArrayLike


@dataclass(frozen=True)
class TokenNats:
    """The nats of some tokens."""

    nats: np.ndarray  # float64, minus the natural logarithm of the probability of each
    is_first_choice: np.ndarray | None  # no other symbol was more probable; None where unknown

    @classmethod
    def join(cls, parts: "Sequence[TokenNats]") -> "TokenNats":
        """Put stretches one after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("nats", "is_first_choice")))

    def __getitem__(self, chosen: object) -> "TokenNats":
        return TokenNats(self.nats[chosen], self.is_first_choice[chosen])


def nats_of(logits: Float[Tensor, "*places vocabulary"], targets: Int[Tensor, "*places"]) -> TokenNats:
    """Return the nats that logits give to the symbols that came."""
    log_probs = logits.float().log_softmax(dim=-1)
    nats = -log_probs.gather(-1, targets[..., None])[..., 0]
    is_first_choice = logits.argmax(dim=-1) == targets
    return TokenNats(nats.double().cpu().numpy(), is_first_choice.cpu().numpy())


@torch.no_grad()
def _score_pieces(
    model: nn.Module, pieces: Sequence[np.ndarray], n_windows: int = 16, stride: int | None = None
) -> list[TokenNats]:
    """Let a network of tokens, or of frames, read whole pieces in windows with history, ``n_windows`` at once."""
    device = next(model.parameters()).device
    length = model.config.context_length
    cuts = [(p, *cut) for p, ids in enumerate(pieces) for cut in windows_with_history(len(ids), length, stride)]
    cuts.sort(key=lambda cut: cut[1] - cut[3])  # the longest first; the windows of a piece keep their order
    scored = [[] for _ in pieces]
    said = copies_of_pieces(pieces) if getattr(model.config, "uses_copies", False) else None
    for some in (cuts[at : at + n_windows] for at in range(0, len(cuts), n_windows)):
        targets, _ = side_by_side([pieces[p][start:stop] for p, start, _, stop in some])
        if targets.ndim == 2:  # a network of tokens reads what stands before each target
            rows = [np.append(model.config.begin_id, pieces[p])[start:stop] for p, start, _, stop in some]
            inputs = side_by_side(rows, fill=model.config.begin_id)[:1]
        else:
            inputs = (targets, np.array([start for _, start, _, _ in some]))
        given = to_device_of(model, *inputs)
        if said is not None:  # guides know the piece from its beginning, whatever the window
            windows = [said[p].at(slice(start, stop)) for p, start, _, stop in some]
            given.append(Copies(*to_device_of(model, *join_copies(windows))))
        with evaluation_mode(model):
            logits = model(*given)
        found = nats_of(logits, torch.from_numpy(targets).to(device))
        check_scores(found.nats)
        for row, (p, start, first, stop) in enumerate(some):
            scored[p].append(found[row, first - start : stop - start])
    return [TokenNats.join(parts) for parts in scored]


def _score_tokens(model: MusicTransformer, pieces: Sequence[ArrayLike]) -> list[TokenNats]:
    """Let a network of tokens read whole pieces, (n_tokens,) each, in windows that begin where its cycles do."""
    if not model.config.is_causal:
        raise ValueError("A likelihood needs a causal network; found is_causal=False: it sees what it is asked for.")
    context_length, cycle = model.config.context_length, model.config.stride_token
    stride = context_length // 2 // cycle * cycle
    if stride == 0:
        raise ValueError(
            "Whole pieces are scored in windows that overlap by half, so context_length must be at least twice the "
            f"model's cycle of {cycle} tokens; found {context_length}."
        )
    return _score_pieces(model, check_pieces(pieces, model.config.vocabulary_size), n_windows=32, stride=stride)


def token_nats(model: MusicTransformer, pieces: Sequence[ArrayLike]) -> list[Float[np.ndarray, " n_tokens"]]:
    """Return how surprising each token of whole pieces is to a model, in nats; pieces are rows of token ids."""
    return [scores.nats for scores in _score_tokens(model, pieces)]


def nats_per_token(model: MusicTransformer, pieces: Sequence[ArrayLike]) -> float:
    """Return the mean of ``token_nats`` over all tokens of all pieces."""
    return float(np.concatenate(token_nats(model, pieces)).mean())


@dataclass(frozen=True, eq=False)
class PieceNats:
    """The nats of the tokens, or of the hidden cells, of some pieces; ``compare`` takes two of them."""

    nats: tuple[Float[np.ndarray, "..."], ...]  # of every token of each piece

    @cached_property
    def piece_tokens(self) -> Int[np.ndarray, " n_pieces"]:
        """How many tokens each piece has."""
        return np.array([each.size for each in self.nats])

    @cached_property
    def piece_nats(self) -> Float[np.ndarray, " n_pieces"]:
        """Nats per token of each piece."""
        return np.array([each.mean() for each in self.nats])

    @property
    def n_tokens(self) -> int:
        """How many tokens were scored."""
        return int(self.piece_tokens.sum())

    @cached_property
    def nats_per_token(self) -> float:
        """The headline: nats of all tokens over their number."""
        return float(np.concatenate(self.nats).mean())


@dataclass(frozen=True, eq=False)
class Likelihood(PieceNats):
    """How much probability a model gave to some chorales, (n_steps, 4) each; lower nats are better."""

    is_change: tuple[Bool[np.ndarray, "_ 4"], ...]  # the voice sang something else a step before; False at step 0
    is_first_choice: tuple[Bool[np.ndarray, "_ 4"], ...] | None = None  # None where unknown

    @property
    def nats_per_frame(self) -> float:
        """Nats per step, all four voices together."""
        return 4 * self.nats_per_token

    @property
    def bits_per_quarter(self) -> float:
        """Bits per quarter note, four steps: the length of the shortest code."""
        return TOKENS.steps_per_quarter * self.nats_per_frame / math.log(2)

    @property
    def voice_nats(self) -> Float[np.ndarray, " 4"]:
        """Nats per token of soprano, alto, tenor and bass."""
        return np.concatenate(self.nats).mean(axis=0)

    @property
    def mean_of_piece_means(self) -> float:
        """Nats per token where each piece counts alike, long or short."""
        return float(self.piece_nats.mean())

    @property
    def change_accuracy(self) -> float | None:
        """Share of the changing tokens that were the model's likeliest; None if that is unknown or nothing changes."""
        is_change = np.concatenate(self.is_change)
        if self.is_first_choice is None or not is_change.any():
            return None
        return float(np.concatenate(self.is_first_choice)[is_change].mean())

    @property
    def change_share(self) -> float:
        """Share of the loss that sits on tokens that change, 0 to 1."""
        nats = np.concatenate(self.nats)
        return float(nats[np.concatenate(self.is_change)].sum() / nats.sum())


def token_log_probs(model: object, piece: Chorale) -> Float[np.ndarray, "n_steps 4"]:
    """Return the natural logarithm of the probability that a model gives to each token of one whole piece."""
    return -_score(model, encode_chorales([piece]))[0].nats


def evaluate_likelihood(model: object, pieces: Sequence[Chorale]) -> Likelihood:
    """Measure how much probability a model gives to whole pieces, by the protocol of the chorale benchmark."""
    ids = encode_chorales(pieces)
    scored = _score(model, ids)
    is_change = tuple(np.vstack((np.zeros((1, 4), bool), each[1:] != each[:-1])) for each in ids)
    is_known = scored[0].is_first_choice is not None
    choices = tuple(scores.is_first_choice for scores in scored) if is_known else None
    return Likelihood(tuple(scores.nats for scores in scored), is_change, choices)


@torch.no_grad()
def _score(model: object, ids: list[Int[np.ndarray, "_ 4"]]) -> list[TokenNats]:
    """Score every token by a model of any kind."""
    size = getattr(getattr(model, "config", None), "vocabulary_size", N_SYMBOLS)
    if size != N_SYMBOLS:
        raise ValueError(
            f"The benchmark has {N_SYMBOLS} symbols, rest and pitches 36 to 81; this network has {size}. Measure other "
            "tokens with nats_per_token."
        )
    if isinstance(model, MusicTransformer):
        scored = _score_tokens(model, [each.ravel() for each in ids])
        return [TokenNats(each.nats.reshape(-1, 4), each.is_first_choice.reshape(-1, 4)) for each in scored]
    if isinstance(model, nn.Module) and "first_step" in inspect.signature(model.forward).parameters:
        return _score_pieces(model, ids)
    if hasattr(model, "symbol_log_probs"):
        return [_ask_symbols(model, each) for each in ids]
    if hasattr(model, "token_log_probs"):
        return [TokenNats(-_log_probs(model, "token_log_probs", each, each.shape), None) for each in ids]
    raise TypeError(
        "A model must be a MusicTransformer, a FrameTransformer, or have a method token_log_probs(ids); found "
        f"{type(model).__name__}. For a class, make an object of it first."
    )


def _ask_symbols(model: object, ids: np.ndarray) -> TokenNats:
    """Score tokens by the probabilities of all symbols."""
    answer = _log_probs(model, "symbol_log_probs", ids, (*ids.shape, N_SYMBOLS))
    nats = -np.take_along_axis(answer, ids[..., None], axis=-1)[..., 0]
    return TokenNats(nats, answer.argmax(axis=-1) == ids)


def _log_probs(model: object, method: str, ids: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Call the model's own method, and refuse a result that cannot be logarithms of probabilities."""
    with evaluation_mode(model) if isinstance(model, nn.Module) else nullcontext():
        log_probs = np.asarray(getattr(model, method)(ids), np.float64)
    if log_probs.shape != shape:
        raise ValueError(f"{method} must answer with one number per token, shape {shape}; found {log_probs.shape}.")
    if not (log_probs <= 1e-6).all():
        raise ValueError(
            f"{method} must answer with logarithms of probabilities, 0 or below; found {log_probs.max()}. Are these "
            "probabilities, nats with the sign turned, or did the model diverge?"
        )
    return log_probs


@dataclass(frozen=True)
class Comparison:
    """The difference of two models on the same pieces, in nats per token."""

    difference: float  # first minus second; below 0 the first is better
    low: float  # lower end of the 95 % bootstrap confidence interval over pieces
    high: float


def compare(first: PieceNats, second: PieceNats, generator: np.random.Generator, n_draws: int = 10_000) -> Comparison:
    """Compare two models on the same pieces, in the same order, by a paired bootstrap.

    Pieces are drawn with replacement, as many as there are, and each draw gives the difference of both models on those
    same pieces: what makes a piece hard for both cancels. Efron and Tibshirani, "An Introduction to the Bootstrap"
    (1993), the percentile interval.

    >>> nats = [np.full((8, 4), level) for level in (0.5, 0.7)]
    >>> one = Likelihood(tuple(nats), tuple(each > 9 for each in nats))
    >>> two = Likelihood(tuple(each - 0.1 for each in nats), one.is_change)
    >>> found = compare(one, two, np.random.default_rng(0))
    >>> round(found.low, 3), round(found.difference, 3), round(found.high, 3)
    (0.1, 0.1, 0.1)
    """
    if type(first) is not type(second):
        raise TypeError(f"Compare two results of one kind; found {type(first).__name__} and {type(second).__name__}.")
    n_tokens = first.piece_tokens
    if not np.array_equal(n_tokens, second.piece_tokens):
        raise ValueError(
            f"Two models are compared on the same pieces; these results have {len(n_tokens)} and "
            f"{len(second.piece_tokens)} pieces of different lengths."
        )
    differences = (first.piece_nats - second.piece_nats) * n_tokens
    drawn = generator.integers(len(n_tokens), size=(n_draws, len(n_tokens)))
    means = differences[drawn].sum(axis=1) / n_tokens[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Comparison(float(differences.sum() / n_tokens.sum()), float(low), float(high))
