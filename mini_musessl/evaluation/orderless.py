"""The orderless likelihood: what a piece costs when its cells are named one after another in a random order.

A masked network can name any cell from any others, so it gives a piece a probability in every order: the first cell
from nothing, the next from the first, and so on until the last from all others. In one order that is a likelihood as
good as any, by the chain rule. The mean of its logarithm over all orders is what is measured here.

It is ANOTHER quantity than the nats a token of ``likelihood``, where the order is fixed, step after step and soprano to
bass, and the network was trained for that order alone. Both are nats a cell of the same music over the same 47 symbols;
neither bounds the other. An ensemble that takes the mean of the probabilities over orders would do better than the mean
of the logarithms. And what ``generation.fill`` draws side by side has no such probability at all.

References:
    Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator" (2014).
    Huang, Cooijmans, Roberts, Courville and Eck, "Counterpoint by Convolution" (2017), for chorales; there frames are
    named in random order, and the voices of a frame from the network's own guesses.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from mini_musessl.corruption import hide_orderless
from mini_musessl.evaluation.cell_scoring import N_CELLS_AT_ONCE, score_hidden
from mini_musessl.evaluation.chorale_ids import encode_chorales
from mini_musessl.music import whole_number
from mini_musessl.voices import VoiceGrid
from mini_musessl.windows.token_windows import check_generator


@dataclass(frozen=True, eq=False)
class Orderless:
    """What some pieces cost in random orders.

    Attributes:
        draw_nats: (n_pieces, n_draws), nats a cell of each piece in each order, or estimated from each subset.
        piece_tokens: how many cells each piece has.

    Chapter: 4b.
    """

    draw_nats: Float[np.ndarray, "n_pieces n_draws"]
    piece_tokens: Int[np.ndarray, " n_pieces"]

    @property
    def piece_nats(self) -> Float[np.ndarray, " n_pieces"]:
        """Nats a cell of each piece, the mean over its draws."""
        return self.draw_nats.mean(axis=1)

    @property
    def nats_per_cell(self) -> float:
        """Nats a cell, each piece counting by its length."""
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
    model: object, pieces: Sequence[VoiceGrid | ArrayLike], generator: np.random.Generator, n_orders: int = 1
) -> Orderless:
    """Name all cells of each piece one after another, in random orders, each from those named before it.

    The model is asked once for each cell, so a long piece costs much: see ``orderless_by_subsets``.

    Args:
        model: as for ``infilling.evaluate_infilling``.
        pieces: at least one; VoiceGrids, or MIDI pitches (n_steps, 4) with -1 for a rest.
        generator: source of chance.
        n_orders: orders that are drawn for each piece.

    Returns:
        Nats a cell, of each piece and each order. Exact for an order; the mean over orders is an estimate.

    Raises:
        ValueError: as of ``infilling.evaluate_infilling``.
        TypeError: as of ``infilling.evaluate_infilling``; the generator is not a numpy.random.Generator.

    References:
        Uria, Murray and Larochelle (2014); see the module.

    Chapter: 4b.
    """
    check_generator(generator, "orderless_by_orders")
    whole_number("n_orders", n_orders, lowest=1)
    return _measure(
        pieces, lambda ids: [_nats_in_order(model, ids, generator.permutation(ids.size)) for _ in range(n_orders)]
    )


def orderless_by_subsets(
    model: object, pieces: Sequence[VoiceGrid | ArrayLike], generator: np.random.Generator, n_draws: int = 16
) -> Orderless:
    """Estimate what ``orderless_by_orders`` finds, from random states on the way.

    A random order is stopped at a random place; all cells that are still hidden there are asked, and their mean is
    taken: each of them could have come next. The mean over draws is the same as that over orders, at the price of one
    question a draw.

    Args:
        model: as for ``infilling.evaluate_infilling``.
        pieces: at least one; VoiceGrids, or MIDI pitches (n_steps, 4) with -1 for a rest.
        generator: source of chance.
        n_draws: states that are drawn for each piece.

    Returns:
        Estimates of the nats a cell, of each piece from each draw.

    Raises:
        ValueError: as of ``infilling.evaluate_infilling``.
        TypeError: as of ``infilling.evaluate_infilling``; the generator is not a numpy.random.Generator.

    References:
        Uria, Murray and Larochelle (2014); see the module.

    Chapter: 4b.
    """
    check_generator(generator, "orderless_by_subsets")

    whole_number("n_draws", n_draws, lowest=1)

    def nats_in_draws(ids: np.ndarray) -> np.ndarray:
        is_hidden = hide_orderless(
            np.repeat(ids[None], n_draws, axis=0), np.zeros((n_draws, len(ids)), bool), generator
        )
        return score_hidden(model, ids, is_hidden).nats.sum(axis=(1, 2)) / is_hidden.sum(axis=(1, 2))

    return _measure(pieces, nats_in_draws)


def _measure(pieces: Sequence[VoiceGrid | ArrayLike], measure_piece: Callable[[np.ndarray], ArrayLike]) -> Orderless:
    """Measure each piece; the function returns one number a draw."""
    arrays = encode_chorales(pieces)
    draws = [measure_piece(ids) for ids in arrays]
    return Orderless(np.array(draws), np.array([ids.size for ids in arrays]))


def _nats_in_order(model: object, ids: np.ndarray, order: np.ndarray) -> float:
    """Return the nats a cell of one piece in one order."""
    rank = np.empty(ids.size, np.int64)
    rank[order] = np.arange(ids.size)
    rank = rank.reshape(ids.shape)
    n_at_once = max(1, N_CELLS_AT_ONCE // ids.size)
    total = 0.0
    for first in range(0, ids.size, n_at_once):
        turns = np.arange(first, min(first + n_at_once, ids.size))[:, None, None]
        scores = score_hidden(model, ids, rank >= turns)
        total += float(scores.nats[rank == turns].sum())
    return total / ids.size
