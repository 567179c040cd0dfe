"""Infilling: how well a model knows what is hidden in pieces that it has not seen.

All numbers are nats a hidden cell: minus the natural logarithm of the probability that a model gives to what stood
there, each hidden cell by itself, from all that is not hidden. They depend on what was hidden: a cell whose note sounds
on next door costs next to nothing. So models are compared on the same hidden cells, and kinds of hiding are kept apart.

This is not the likelihood of the chorale benchmark (``likelihood``), and no number here stands beside one there: hidden
cells are not asked one after another, so their probabilities do not multiply to that of the piece. Those of
``orderless`` do.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from mini_musessl.corruption import HIDERS, Hider, copy_next_door
from mini_musessl.evaluation.cell_scoring import check_hidden_cells, score_hidden
from mini_musessl.evaluation.chorale_ids import N_SYMBOLS, encode_chorales
from mini_musessl.evaluation.neighbours import NeighbourCounts
from mini_musessl.evaluation.orderless import Orderless, orderless_by_orders, orderless_by_subsets
from mini_musessl.music import whole_number
from mini_musessl.voices import VoiceGrid
from mini_musessl.windows.token_windows import check_generator

__all__ = [
    "KINDS",
    "Infilling",
    "NeighbourCounts",
    "Orderless",
    "UniformCells",
    "draw_hidden",
    "evaluate_infilling",
    "evaluate_kinds",
    "orderless_by_orders",
    "orderless_by_subsets",
]

#: The kinds of hiding that are measured apart; each hides about a quarter.
KINDS: dict[str, Hider] = {name: HIDERS[name] for name in ("cells", "spans", "bars", "voices", "notes")}


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
    pieces: Sequence[VoiceGrid | ArrayLike], hide: Hider, generator: np.random.Generator, n_draws: int = 1
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
    return [hide(frames, np.zeros(frames.shape[:2], bool), generator) for frames in rows]


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
    kinds: Mapping[str, Hider] = KINDS,
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
