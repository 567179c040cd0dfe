"""Infilling: how well a model knows what is hidden in pieces that it has not seen.

``evaluate_infilling`` names the hidden cells of whole pieces side by side, each from the cells that are seen. Its nats
per hidden cell depend on what is hidden more than on the model, so each kind of hiding is measured apart, and models
are compared on the same cells.

``orderless_by_orders`` names all cells of a piece one after another, in a random order, each from those named before it
(Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator", 2014). It is ANOTHER quantity: the mean over
orders is no likelihood but a bound on one, and stands in no table with ``likelihood.evaluate_likelihood``, where the
order is fixed.

A model is a MaskedTransformer over the 47 symbols of the benchmark, or any object with a method
``cell_log_probs(ids, is_hidden)`` that turns ids (n_steps, 4) into the natural logarithms of the probabilities of all
symbols, (n_steps, 4, 47), such as ``counting.NeighbourCounts``. Pieces are VoiceGrids or MIDI pitches (n_steps, 4) with
-1 for a rest. A generator in the same state hides the same cells and draws the same orders: give one to each of the
models that are compared.

Chapter: 4b (masking).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from mini_musessl.checks import check_generator, check_hidden_cells, check_scores, check_some, whole_number
from mini_musessl.evaluation.likelihood import TokenNats, nats_of
from mini_musessl.generation.gibbs import score_cells
from mini_musessl.masking import MASKERS, Masker, copy_next_door, draw_mask, mask_orderless
from mini_musessl.network.encoder import MaskedTransformer
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, encode_chorales
from mini_musessl.voices import VoiceGrid

#: The kinds of hiding that are measured apart; each hides about a quarter.
KINDS: dict[str, Masker] = {name: MASKERS[name] for name in ("cells", "spans", "bars", "voices", "notes")}
#: Cells, of all draws together, that a network is asked about at once.
N_CELLS_AT_ONCE = 2**16

Chorales = Sequence[VoiceGrid | ArrayLike]
Draws = Bool[np.ndarray, "n_draws n_steps 4"]


# --- One piece


def score_hidden(model: object, ids: Int[np.ndarray, "n_steps 4"], is_hidden: Draws) -> TokenNats:
    """Score the hidden cells of one piece, each draw and each cell by itself; other cells get 0 and False."""
    if isinstance(model, MaskedTransformer):
        size, n_voices = model.config.vocabulary_size, model.config.n_voices
        if size != N_SYMBOLS or n_voices != 4:
            raise ValueError(
                f"The benchmark has {N_SYMBOLS} symbols, rest and pitches 36 to 81, in 4 voices; this network has "
                f"{size} in {n_voices}."
            )
        n_draws = max(1, N_CELLS_AT_ONCE // ids.size)
        parts = [is_hidden[first : first + n_draws] for first in range(0, len(is_hidden), n_draws)]
        return TokenNats.join([_ask_network(model, ids, part) for part in parts])
    if not hasattr(model, "cell_log_probs"):
        raise TypeError(
            "A model that fills must be a MaskedTransformer or have a method cell_log_probs(ids, is_hidden); found "
            f"{type(model).__name__}. For a class, make an object of it first."
        )
    return TokenNats.join([_ask(model, ids, each) for each in is_hidden])


def _ask_network(model: MaskedTransformer, ids: np.ndarray, is_hidden: np.ndarray) -> TokenNats:
    """Ask a network about some draws at once."""
    frames, hides = torch.from_numpy(ids).expand(is_hidden.shape), torch.from_numpy(is_hidden)
    found = nats_of(score_cells(model, frames, hides)[hides], frames[hides])
    check_scores(found.nats)
    return _spread(is_hidden, found.nats, found.is_first_choice)


def _ask(model: object, ids: np.ndarray, is_hidden: np.ndarray) -> TokenNats:
    """Ask a model about one draw through its own method, and check what it says."""
    answer = np.asarray(model.cell_log_probs(ids, is_hidden), np.float64)
    if answer.shape != (*ids.shape, N_SYMBOLS):
        raise ValueError(
            f"cell_log_probs must answer with one number per symbol, shape {(*ids.shape, N_SYMBOLS)}; found "
            f"{answer.shape}."
        )
    log_probs, targets = answer[is_hidden], ids[is_hidden]
    sums = np.exp(log_probs).sum(axis=1)
    if not (np.abs(sums - 1) < 1e-3).all():
        raise ValueError(
            "cell_log_probs must answer with logarithms of probabilities, which sum to 1 over the symbols of a cell; "
            f"found sums from {sums.min():.3g} to {sums.max():.3g}."
        )
    nats = -np.take_along_axis(log_probs, targets[:, None], axis=1)[:, 0]
    return _spread(is_hidden[None], nats, log_probs.argmax(axis=1) == targets)


def _spread(is_hidden: np.ndarray, nats: np.ndarray, is_first_choice: np.ndarray) -> TokenNats:
    """Put the scores of hidden cells where those cells are."""
    scores = TokenNats(np.zeros(is_hidden.shape), np.zeros(is_hidden.shape, bool))
    scores.nats[is_hidden], scores.is_first_choice[is_hidden] = nats, is_first_choice
    return scores


# --- Nats per hidden cell


@dataclass(frozen=True, eq=False)
class Infilling:
    """What a model thought of the hidden cells of some pieces; ``likelihood.compare`` takes two of them."""

    nats: tuple[Float[np.ndarray, " n_hidden"], ...]  # of the hidden cells of all draws, for each piece
    is_first_choice: tuple[Bool[np.ndarray, " n_hidden"], ...]  # no symbol was likelier to the model
    is_copy: tuple[Bool[np.ndarray, " n_hidden"], ...]  # the nearest symbol that is seen in the voice is the same

    @cached_property
    def piece_tokens(self) -> Int[np.ndarray, " n_pieces"]:
        """How many hidden cells each piece has."""
        return np.array([len(each) for each in self.nats])

    @cached_property
    def piece_nats(self) -> Float[np.ndarray, " n_pieces"]:
        """Nats per hidden cell of each piece."""
        return np.array([each.mean() for each in self.nats])

    @property
    def n_cells(self) -> int:
        """How many cells were asked for."""
        return int(self.piece_tokens.sum())

    @cached_property
    def nats_per_cell(self) -> float:
        """The headline: nats of all hidden cells over their number."""
        return float(np.concatenate(self.nats).mean())

    @property
    def accuracy(self) -> float:
        """Share of the hidden cells that were the model's likeliest."""
        return float(np.concatenate(self.is_first_choice).mean())

    @property
    def copy_share(self) -> float:
        """Share of the hidden cells that are named by copying the nearest symbol of the voice."""
        return float(np.concatenate(self.is_copy).mean())

    @property
    def nats_where_copied(self) -> float | None:
        """Nats per cell where copying would be right; None if it never is."""
        return self._mean(is_copy=True)

    @property
    def nats_elsewhere(self) -> float | None:
        """Nats per cell where copying would be wrong; None if it never is."""
        return self._mean(is_copy=False)

    def _mean(self, is_copy: bool) -> float | None:
        """Return the mean of one of the two sorts of cells."""
        chosen = np.concatenate(self.nats)[np.concatenate(self.is_copy) == is_copy]
        return float(chosen.mean()) if len(chosen) else None


def draw_hidden(
    pieces: Chorales, mask: Masker, generator: np.random.Generator, n_draws: int = 1
) -> list[Bool[np.ndarray, "n_draws _ 4"]]:
    """Hide cells of whole pieces, each piece several times, by a masker such as ``mask_bars``.

    Example:
        >>> from mini_musessl.masking import mask_voices
        >>> hidden = draw_hidden([np.full((20, 4), 60)], mask_voices, np.random.default_rng(0), n_draws=3)
        >>> hidden[0].shape, hidden[0].all(axis=1).sum(axis=1).tolist()
        ((3, 20, 4), [1, 1, 1])
    """
    check_generator(generator, "draw_hidden")
    whole_number("n_draws", n_draws, lowest=1)
    rows = [np.repeat(ids[None], n_draws, axis=0) for ids in encode_chorales(pieces)]
    return [draw_mask(mask, frames, np.zeros(frames.shape[:2], bool), generator) for frames in rows]


def evaluate_infilling(model: object, pieces: Chorales, hidden: Sequence[ArrayLike]) -> Infilling:
    """Measure how much probability a model gives to what is hidden in whole pieces.

    Args:
        model: as the module says, like all that follows.
        pieces: at least one.
        hidden: bool (n_draws, n_steps, 4) for each piece, such as from ``draw_hidden``.

    Example:
        >>> from mini_musessl.evaluation.counting import Uniform
        >>> pieces = [np.full((20, 4), 60)]
        >>> hidden = draw_hidden(pieces, KINDS["cells"], np.random.default_rng(0))
        >>> found = evaluate_infilling(Uniform(), pieces, hidden)
        >>> round(found.nats_per_cell, 4), found.n_cells, found.copy_share
        (3.8501, 20, 1.0)
    """
    arrays = encode_chorales(pieces)
    nats, choices, copies = [], [], []
    for ids, is_hidden in zip(arrays, check_hidden_cells(arrays, hidden), strict=True):
        scores = score_hidden(model, ids, is_hidden)
        frames = np.broadcast_to(ids, is_hidden.shape)
        copied = copy_next_door(frames, is_hidden, np.zeros(frames.shape[:2], bool))
        has_neighbour = ~is_hidden.all(axis=1, keepdims=True)
        nats.append(scores.nats[is_hidden])
        choices.append(scores.is_first_choice[is_hidden])
        copies.append(((copied == frames) & has_neighbour)[is_hidden])
    return Infilling(tuple(nats), tuple(choices), tuple(copies))


def evaluate_kinds(
    model: object,
    pieces: Chorales,
    generator: np.random.Generator,
    n_draws: int = 1,
    kinds: Mapping[str, Masker] = KINDS,
) -> dict[str, Infilling]:
    """Measure a model by ``evaluate_infilling`` for each kind of hiding, maskers by name."""
    check_some(len(kinds), "evaluate_kinds needs at least one kind of hiding")
    return {
        name: evaluate_infilling(model, pieces, draw_hidden(pieces, mask, generator, n_draws))
        for name, mask in kinds.items()
    }


# --- Any order


@dataclass(frozen=True, eq=False)
class Orderless:
    """What some pieces cost in random orders."""

    draw_nats: Float[np.ndarray, "n_pieces n_draws"]  # per cell, in each order or estimated from each subset
    piece_tokens: Int[np.ndarray, " n_pieces"]  # how many cells each piece has

    @property
    def piece_nats(self) -> Float[np.ndarray, " n_pieces"]:
        """Nats per cell of each piece, the mean over its draws."""
        return self.draw_nats.mean(axis=1)

    @property
    def nats_per_cell(self) -> float:
        """Nats per cell, each piece counting by its length."""
        return float(np.average(self.piece_nats, weights=self.piece_tokens))

    @property
    def standard_error(self) -> float | None:
        """How far ``nats_per_cell`` may be off because orders were drawn, one standard deviation; None for one draw."""
        n_draws = self.draw_nats.shape[1]
        if n_draws < 2:
            return None
        variance = self.draw_nats.var(axis=1, ddof=1) / n_draws
        share = self.piece_tokens / self.piece_tokens.sum()
        return float(np.sqrt((share**2 * variance).sum()))


def orderless_by_orders(
    model: object, pieces: Chorales, generator: np.random.Generator, n_orders: int = 1
) -> Orderless:
    """Name all cells of each piece one after another, in random orders, each from those named before it.

    Exact for an order; the mean over orders is an estimate. The model is asked once for each cell; for long pieces see
    ``orderless_by_subsets``.
    """
    check_generator(generator, "orderless_by_orders")
    whole_number("n_orders", n_orders, lowest=1)
    arrays = encode_chorales(pieces)
    nats = [[_nats_in_order(model, ids, generator.permutation(ids.size)) for _ in range(n_orders)] for ids in arrays]
    return Orderless(np.array(nats), np.array([ids.size for ids in arrays]))


def _nats_in_order(model: object, ids: np.ndarray, order: np.ndarray) -> float:
    """Return the nats per cell of one piece in one order."""
    rank = order.argsort().reshape(ids.shape)  # when each cell is named
    turns = np.arange(ids.size)[:, None, None]
    return float(score_hidden(model, ids, rank >= turns).nats[rank == turns].sum() / ids.size)


def orderless_by_subsets(
    model: object, pieces: Chorales, generator: np.random.Generator, n_draws: int = 16
) -> Orderless:
    """Estimate what ``orderless_by_orders`` finds, from random states on the way.

    A random order is stopped at a random place; all cells that are still hidden there are asked, and their mean is
    taken: each of them could have come next. The mean over draws is the same as that over orders, and a draw costs one
    question.
    """
    check_generator(generator, "orderless_by_subsets")
    whole_number("n_draws", n_draws, lowest=1)
    arrays, nats = encode_chorales(pieces), []
    for ids in arrays:
        frames, no_padding = np.repeat(ids[None], n_draws, axis=0), np.zeros((n_draws, len(ids)), bool)
        is_hidden = mask_orderless(frames, no_padding, generator)
        nats.append(score_hidden(model, ids, is_hidden).nats.sum(axis=(1, 2)) / is_hidden.sum(axis=(1, 2)))
    return Orderless(np.array(nats), np.array([ids.size for ids in arrays]))
