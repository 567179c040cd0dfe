"""Infilling: how well a model predicts what is hidden in pieces that it has not seen.

``evaluate_infilling`` predicts the hidden cells of whole pieces side by side, each from the cells that are seen. Its
nats per hidden cell depend on what is hidden more than on the model, so each kind of hiding is measured apart, and
models are compared on the same cells.

``orderless_by_orders`` predicts all cells of a piece one after another, in a random order, each from those before it
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

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from mini_musessl.checks import check_generator, check_hidden_cells, check_scores
from mini_musessl.evaluation.likelihood import Chorale, PieceNats, TokenNats, nats_of
from mini_musessl.generation.gibbs import score_cells
from mini_musessl.masking import MASKERS, Masker, draw_mask, mask_orderless
from mini_musessl.network.encoder import MaskedTransformer
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, encode_chorales

#: The kinds of hiding that are measured apart; each hides about a quarter.
KINDS: dict[str, Masker] = {name: MASKERS[name] for name in ("cells", "spans", "bars", "voices", "notes")}
#: Cells, of all draws together, that a network is asked about at once.
N_CELLS_AT_ONCE = 2**16

Ids = Int[np.ndarray, "n_steps 4"]
Draws = Bool[np.ndarray, "n_draws n_steps 4"]


def score_hidden(model: object, ids: Ids, is_hidden: Draws) -> TokenNats:
    """Score the hidden cells of one piece, those of each draw by themselves, one draw after the other."""
    if isinstance(model, MaskedTransformer):
        n_draws = max(1, N_CELLS_AT_ONCE // ids.size)
        parts = [is_hidden[first : first + n_draws] for first in range(0, len(is_hidden), n_draws)]
        return TokenNats.join([_ask_network(model, ids, part) for part in parts])
    if hasattr(model, "cell_log_probs"):
        return TokenNats.join([_ask(model, ids, each) for each in is_hidden])
    raise TypeError(
        "A model that fills must be a MaskedTransformer or have a method cell_log_probs(ids, is_hidden); found "
        f"{type(model).__name__}. For a class, make an object of it first."
    )


def _ask_network(model: MaskedTransformer, ids: Ids, is_hidden: Draws) -> TokenNats:
    """Score some draws at once by a network."""
    size, n_voices = model.config.vocabulary_size, model.config.n_voices
    if (size, n_voices) != (N_SYMBOLS, 4):
        raise ValueError(f"The benchmark has {N_SYMBOLS} symbols in 4 voices; this network has {size} in {n_voices}.")
    frames, hides = torch.from_numpy(ids).expand(is_hidden.shape), torch.from_numpy(is_hidden)
    found = nats_of(score_cells(model, frames, hides)[hides], frames[hides])
    check_scores(found.nats)
    return found


def _ask(model: object, ids: Ids, is_hidden: Bool[np.ndarray, "n_steps 4"]) -> TokenNats:
    """Score one draw by the model's own method, and check what it returns."""
    log_probs, targets = np.asarray(model.cell_log_probs(ids, is_hidden), np.float64)[is_hidden], ids[is_hidden]
    sums = np.exp(log_probs).sum(axis=-1)
    if log_probs.shape != (len(targets), N_SYMBOLS) or not (np.abs(sums - 1) < 1e-3).all():
        raise ValueError(
            f"cell_log_probs must answer with logarithms of probabilities, {N_SYMBOLS} for each cell that sum to 1; "
            f"found {log_probs.shape[1:]} that sum to {sums.min():.3g} to {sums.max():.3g}."
        )
    nats = -np.take_along_axis(log_probs, targets[:, None], axis=1)[:, 0]
    return TokenNats(nats, log_probs.argmax(axis=1) == targets)


@dataclass(frozen=True, eq=False)
class Infilling(PieceNats):
    """The nats of the hidden cells of all draws of some pieces; the tokens are those cells."""

    is_first_choice: tuple[Bool[np.ndarray, " n_hidden"], ...]  # whether no symbol was likelier

    @property
    def nats_per_cell(self) -> float:
        """The headline: nats of all hidden cells over their number."""
        return self.nats_per_token

    @property
    def accuracy(self) -> float:
        """Share of the hidden cells that were the model's likeliest."""
        return float(np.concatenate(self.is_first_choice).mean())


def draw_hidden(
    pieces: Sequence[Chorale], mask: Masker, generator: np.random.Generator, n_draws: int = 1
) -> list[Bool[np.ndarray, "n_draws _ 4"]]:
    """Hide cells of whole pieces, each piece several times, by a masker such as ``mask_bars``.

    >>> from mini_musessl.masking import mask_voices
    >>> hidden = draw_hidden([np.full((20, 4), 60)], mask_voices, np.random.default_rng(0), n_draws=3)
    >>> hidden[0].shape, hidden[0].all(axis=1).sum(axis=1).tolist()
    ((3, 20, 4), [1, 1, 1])
    """
    check_generator(generator, "draw_hidden")
    rows = [np.repeat(ids[None], n_draws, axis=0) for ids in encode_chorales(pieces)]
    return [draw_mask(mask, frames, np.zeros(frames.shape[:2], bool), generator) for frames in rows]


def evaluate_infilling(model: object, pieces: Sequence[Chorale], hidden: Sequence[ArrayLike]) -> Infilling:
    """Measure how much probability a model gives to what is hidden in whole pieces.

    Args:
        hidden: bool (n_draws, n_steps, 4) for each piece, such as from ``draw_hidden``.

    >>> from mini_musessl.evaluation.counting import Uniform
    >>> pieces = [np.full((20, 4), 60)]
    >>> hidden = draw_hidden(pieces, KINDS["cells"], np.random.default_rng(0))
    >>> found = evaluate_infilling(Uniform(), pieces, hidden)
    >>> round(found.nats_per_cell, 4), found.n_tokens
    (3.8501, 20)
    """
    arrays = encode_chorales(pieces)
    draws = check_hidden_cells(arrays, hidden)
    scores = [score_hidden(model, ids, is_hidden) for ids, is_hidden in zip(arrays, draws, strict=True)]
    return Infilling(tuple(each.nats for each in scores), tuple(each.is_first_choice for each in scores))


def evaluate_kinds(
    model: object,
    pieces: Sequence[Chorale],
    generator: np.random.Generator,
    n_draws: int = 1,
    kinds: Mapping[str, Masker] = KINDS,
) -> dict[str, Infilling]:
    """Measure a model by ``evaluate_infilling`` for each kind of hiding, maskers by name."""
    return {
        name: evaluate_infilling(model, pieces, draw_hidden(pieces, mask, generator, n_draws))
        for name, mask in kinds.items()
    }


@dataclass(frozen=True, eq=False)
class Orderless:
    """The loss of some pieces in random orders."""

    draw_nats: Float[np.ndarray, "n_pieces n_draws"]  # per cell, in each order or estimated from each subset
    piece_tokens: Int[np.ndarray, " n_pieces"]  # how many cells each piece has

    @property
    def nats_per_cell(self) -> float:
        """Nats per cell, the mean over draws; each piece counts by its length."""
        return float(np.average(self.draw_nats.mean(axis=1), weights=self.piece_tokens))

    @property
    def standard_error(self) -> float:
        """One standard deviation of ``nats_per_cell`` for the drawing of orders; it needs two draws."""
        variance = self.draw_nats.var(axis=1, ddof=1) / self.draw_nats.shape[1]
        share = self.piece_tokens / self.piece_tokens.sum()
        return float(np.sqrt((share**2 * variance).sum()))


def orderless_by_orders(
    model: object, pieces: Sequence[Chorale], generator: np.random.Generator, n_orders: int = 1
) -> Orderless:
    """Predict all cells of each piece one after another, in random orders, each from those before it.

    Exact for an order; the mean over orders is an estimate. The model runs once for each cell; for long pieces see
    ``orderless_by_subsets``.
    """
    check_generator(generator, "orderless_by_orders")
    arrays = encode_chorales(pieces)
    nats = [[_nats_in_order(model, ids, generator.permutation(ids.size)) for _ in range(n_orders)] for ids in arrays]
    return Orderless(np.array(nats), np.array([ids.size for ids in arrays]))


def _nats_in_order(model: object, ids: Ids, order: np.ndarray) -> float:
    """Return the nats per cell of one piece in one order."""
    rank = order.argsort().reshape(ids.shape)  # when each cell is predicted
    turns = np.arange(ids.size)[:, None, None]
    is_hidden = rank >= turns
    return float(score_hidden(model, ids, is_hidden).nats[(rank == turns)[is_hidden]].sum() / ids.size)


def orderless_by_subsets(
    model: object, pieces: Sequence[Chorale], generator: np.random.Generator, n_draws: int = 16
) -> Orderless:
    """Estimate what ``orderless_by_orders`` finds, from random states on the way.

    A random order is stopped at a random place; all cells that are still hidden there are scored, and their mean is
    taken: each of them could have come next. The expected mean is the same as over orders, at one run of the model per
    draw.
    """
    check_generator(generator, "orderless_by_subsets")
    arrays, nats = encode_chorales(pieces), []
    for ids in arrays:
        frames, no_padding = np.repeat(ids[None], n_draws, axis=0), np.zeros((n_draws, len(ids)), bool)
        is_hidden = mask_orderless(frames, no_padding, generator)
        draw, *_ = np.nonzero(is_hidden)
        nats.append(np.bincount(draw, score_hidden(model, ids, is_hidden).nats) / is_hidden.sum(axis=(1, 2)))
    return Orderless(np.array(nats), np.array([ids.size for ids in arrays]))
