"""How surprising hidden cells of whole pieces are to a model that sees the others.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from mini_musessl.checks import check_generator, check_hidden_cells, whole_number
from mini_musessl.evaluation.likelihood import TokenNats
from mini_musessl.generation.gibbs import score_cells
from mini_musessl.masking import MASKERS, Masker, copy_next_door, draw_mask, mask_orderless
from mini_musessl.network.encoder import MaskedTransformer
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, encode_chorales
from mini_musessl.voices import VoiceGrid

# --- How surprising hidden cells of whole pieces are to a model that sees the others

#: Cells, of all draws together, that a network is asked about at once.
N_CELLS_AT_ONCE = 2**16


def score_hidden(
    model: object, ids: Int[np.ndarray, "n_steps 4"], is_hidden: Bool[np.ndarray, "n_draws n_steps 4"]
) -> TokenNats:
    """Score the hidden cells of one piece, each by itself, from the cells that are not hidden.

    Args:
        model: a MaskedTransformer over the 47 symbols of the benchmark, or any object with a method
            ``cell_log_probs(ids, is_hidden)`` that answers with the natural logarithms of the probabilities of all
            symbols, (n_steps, 4, 47).
        ids: the whole piece.
        is_hidden: several draws of what is hidden in it, each asked by itself.

    Returns:
        Scores of the shape of ``is_hidden``; those of cells that are not hidden are 0 and False.

    Raises:
        ValueError: a network of another vocabulary, or answers that are no logarithms of probabilities.
        TypeError: a model of another kind.
        FloatingPointError: the scores of a network are not numbers.

    Chapter: 4b.
    """
    if isinstance(model, MaskedTransformer):
        _check_symbols(model)
        n_draws = max(1, N_CELLS_AT_ONCE // ids.size)
        parts = [is_hidden[row : row + n_draws] for row in range(0, len(is_hidden), n_draws)]
        return TokenNats.join([_ask_network(model, ids, part) for part in parts])
    if not hasattr(model, "cell_log_probs"):
        raise TypeError(
            "A model that fills must be a MaskedTransformer or have a method cell_log_probs(ids, is_hidden); found "
            f"{type(model).__name__}. For a class, make an object of it first."
        )
    answers = [_ask(model, ids, each) for each in is_hidden]
    return TokenNats(np.stack([each.nats for each in answers]), np.stack([each.is_first_choice for each in answers]))


def _check_symbols(model: MaskedTransformer) -> None:
    """Refuse a network over other symbols."""
    size, n_voices = model.config.vocabulary_size, model.config.n_voices
    if size != N_SYMBOLS or n_voices != 4:
        raise ValueError(
            f"The benchmark has {N_SYMBOLS} symbols, rest and pitches 36 to 81, in 4 voices; this network has {size} "
            f"in {n_voices}."
        )


def _ask_network(model: MaskedTransformer, ids: np.ndarray, is_hidden: np.ndarray) -> TokenNats:
    """Ask a network about some draws at once."""
    frames, hides = torch.from_numpy(ids).expand(is_hidden.shape), torch.from_numpy(is_hidden)
    logits = score_cells(model, frames, hides)[hides]
    targets = frames[hides]
    chosen = logits.log_softmax(dim=-1).gather(-1, targets[:, None])[:, 0].double().numpy()
    if np.isnan(chosen).any():
        raise FloatingPointError(
            "The scores of a network must be finite numbers; found some that are not. Did training diverge? Train "
            "again with a smaller learning_rate."
        )
    return _spread(is_hidden, -chosen, (logits.argmax(dim=-1) == targets).numpy())


def _ask(model: object, ids: np.ndarray, is_hidden: np.ndarray) -> TokenNats:
    """Ask a model through its own method, and check what it says."""
    answer = np.asarray(model.cell_log_probs(ids, is_hidden), np.float64)
    if answer.shape != (*ids.shape, N_SYMBOLS):
        raise ValueError(
            f"cell_log_probs must answer with one number a symbol, shape {(*ids.shape, N_SYMBOLS)}; found "
            f"{answer.shape}."
        )
    sums = np.exp(answer[is_hidden]).sum(axis=1)
    if not (np.abs(sums - 1) < 1e-3).all():
        raise ValueError(
            "cell_log_probs must answer with logarithms of probabilities, which sum to 1 over the symbols of a cell; "
            f"found sums from {sums.min():.3g} to {sums.max():.3g}."
        )
    targets = ids[is_hidden]
    chosen = np.take_along_axis(answer[is_hidden], targets[:, None], axis=1)[:, 0]
    return _spread(is_hidden, -chosen, answer[is_hidden].argmax(axis=1) == targets)


def _spread(is_hidden: np.ndarray, nats: np.ndarray, is_first_choice: np.ndarray) -> TokenNats:
    """Put the scores of hidden cells where those cells are."""
    scores = TokenNats(np.zeros(is_hidden.shape), np.zeros(is_hidden.shape, bool))
    scores.nats[is_hidden], scores.is_first_choice[is_hidden] = nats, is_first_choice
    return scores


# --- The orderless likelihood: what a piece costs when its cells are named one after another in a random order


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
        is_hidden = mask_orderless(
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


# --- Infilling: how well a model knows what is hidden in pieces that it has not seen

#: The kinds of hiding that are measured apart; each hides about a quarter.
KINDS: dict[str, Masker] = {name: MASKERS[name] for name in ("cells", "spans", "bars", "voices", "notes")}


@dataclass(frozen=True, eq=False)
class Infilling:
    """What a model thought of the hidden cells of some pieces; ``likelihood.compare`` takes two of them.

    Attributes:
        nats: float64, for each piece one number for each hidden cell of all its draws.
        is_first_choice: the same shapes: no symbol was likelier to the model.
        is_copy: the same shapes: the nearest symbol that could be seen in the voice was the same.

    Chapter: 4b.
    """

    nats: tuple[Float[np.ndarray, " n_hidden"], ...]
    is_first_choice: tuple[Bool[np.ndarray, " n_hidden"], ...]
    is_copy: tuple[Bool[np.ndarray, " n_hidden"], ...]

    @cached_property
    def piece_tokens(self) -> Int[np.ndarray, " n_pieces"]:
        """How many hidden cells each piece has."""
        return np.array([len(each) for each in self.nats])

    @cached_property
    def piece_nats(self) -> Float[np.ndarray, " n_pieces"]:
        """Nats a hidden cell of each piece."""
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
        """Nats a cell where copying would be right; None if it never is."""
        return self._mean(is_copy=True)

    @property
    def nats_elsewhere(self) -> float | None:
        """Nats a cell where copying would be wrong; None if it never is."""
        return self._mean(is_copy=False)

    def _mean(self, is_copy: bool) -> float | None:
        """Return the mean of one of the two sorts of cells."""
        chosen = np.concatenate(self.nats)[np.concatenate(self.is_copy) == is_copy]
        return float(chosen.mean()) if len(chosen) else None


class UniformCells:
    """Every symbol alike in each hidden cell: ln 47 nats.

    Chapter: 4b.
    """

    def cell_log_probs(
        self, ids: Int[np.ndarray, "n_steps 4"], is_hidden: Bool[np.ndarray, "n_steps 4"]
    ) -> Float[np.ndarray, "n_steps 4 47"]:
        """Return the logarithm of 1 / 47 everywhere.

        Args:
            ids: the piece; only its shape counts.
            is_hidden: which cells are asked for; changes nothing.
        """
        return np.full((*ids.shape, N_SYMBOLS), -np.log(N_SYMBOLS))


def draw_hidden(
    pieces: Sequence[VoiceGrid | ArrayLike], hide: Masker, generator: np.random.Generator, n_draws: int = 1
) -> list[Bool[np.ndarray, "n_draws _ 4"]]:
    """Hide cells of whole pieces, each piece several times.

    Args:
        pieces: at least one; VoiceGrids, or MIDI pitches (n_steps, 4) with -1 for a rest.
        hide: one of ``corruption``, such as ``hide_bars``.
        generator: source of chance; the same state hides the same cells.
        n_draws: how often each piece is hidden from.

    Returns:
        bool (n_draws, n_steps, 4) for each piece.

    Raises:
        ValueError: pieces that are no chorales, or too short to hide from.
        TypeError: the generator is not a numpy.random.Generator, or n_draws not a whole number.

    Example:
        >>> from mini_musessl.corruption import hide_voices
        >>> hidden = draw_hidden([np.full((20, 4), 60)], hide_voices, np.random.default_rng(0), n_draws=3)
        >>> hidden[0].shape, hidden[0].all(axis=1).sum(axis=1).tolist()
        ((3, 20, 4), [1, 1, 1])

    Chapter: 4b.
    """
    check_generator(generator, "draw_hidden")
    whole_number("n_draws", n_draws, lowest=1)
    rows = [np.repeat(ids[None], n_draws, axis=0) for ids in encode_chorales(pieces)]
    return [draw_mask(hide, frames, np.zeros(frames.shape[:2], bool), generator) for frames in rows]


def evaluate_infilling(
    model: object, pieces: Sequence[VoiceGrid | ArrayLike], hidden: Sequence[ArrayLike]
) -> Infilling:
    """Measure how much probability a model gives to what is hidden in whole pieces.

    Args:
        model: a MaskedTransformer over the 47 symbols of the benchmark, or any object with a method
            ``cell_log_probs(ids, is_hidden)``, such as ``NeighbourCounts``.
        pieces: at least one; VoiceGrids, or MIDI pitches (n_steps, 4) with -1 for a rest.
        hidden: bool (n_draws, n_steps, 4) for each piece, such as from ``draw_hidden``. Models that are compared get
            the same.

    Returns:
        Every hidden cell's nats and their means.

    Raises:
        ValueError: pieces that are no chorales, hidden cells that do not fit them, a network of another vocabulary, or
            answers of the model that are no logarithms of probabilities.
        TypeError: a model of another kind.
        FloatingPointError: the scores of a network are not numbers.

    Example:
        >>> pieces = [np.full((20, 4), 60)]
        >>> hidden = draw_hidden(pieces, KINDS["cells"], np.random.default_rng(0))
        >>> found = evaluate_infilling(UniformCells(), pieces, hidden)
        >>> round(found.nats_per_cell, 4), found.n_cells, found.copy_share
        (3.8501, 20, 1.0)

    Chapter: 4b.
    """
    arrays = encode_chorales(pieces)
    nats, choices, copies = [], [], []
    for ids, is_hidden in zip(arrays, check_hidden_cells(arrays, hidden), strict=True):
        scores = score_hidden(model, ids, is_hidden)
        frames = np.broadcast_to(ids, is_hidden.shape)
        guesses = copy_next_door(frames, is_hidden, np.zeros(frames.shape[:2], bool))
        has_neighbour = ~is_hidden.all(axis=1, keepdims=True)
        nats.append(scores.nats[is_hidden])
        choices.append(scores.is_first_choice[is_hidden])
        copies.append(((guesses == frames) & has_neighbour)[is_hidden])
    return Infilling(tuple(nats), tuple(choices), tuple(copies))


def evaluate_kinds(
    model: object,
    pieces: Sequence[VoiceGrid | ArrayLike],
    generator: np.random.Generator,
    n_draws: int = 1,
    kinds: Mapping[str, Masker] = KINDS,
) -> dict[str, Infilling]:
    """Measure a model by ``evaluate_infilling`` for each kind of hiding.

    Args:
        model: as for ``evaluate_infilling``.
        pieces: as for ``evaluate_infilling``.
        generator: source of chance. Models that are compared each get one in the same state: then the same cells are
            hidden.
        n_draws: how often each piece is hidden from, by each kind.
        kinds: hiders by name.

    Returns:
        The results by name.

    Raises:
        ValueError: as of ``evaluate_infilling``; no kinds.
        TypeError: as of ``evaluate_infilling``.

    Chapter: 4b.
    """
    if not kinds:
        raise ValueError("evaluate_kinds needs at least one kind of hiding; found none.")
    return {
        name: evaluate_infilling(model, pieces, draw_hidden(pieces, hide, generator, n_draws))
        for name, hide in kinds.items()
    }
