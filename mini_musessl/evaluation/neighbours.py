"""NeighbourCounts: fill what is hidden by counting, from the nearest symbols that can be seen.

What a musician looks at first: what the voice sings before and after the gap, how far away that is, which notes the
other voices sing now, and in which scale. The facts and the answers are intervals, so that all keys share their counts;
short and long lists of facts are mixed by the rule of ``backoff``.

Chapter: 4b (masking).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from mini_musessl.evaluation.backoff import BackoffCounts
from mini_musessl.evaluation.cell_scoring import check_hidden_cells
from mini_musessl.evaluation.chorale_ids import N_SYMBOLS, encode_chorales
from mini_musessl.evaluation.counting import Unigram
from mini_musessl.evaluation.neighbour_facts import (
    N_ANSWERS,
    N_VALUES,
    find_situations,
    neighbour_facts,
    number_answers,
)
from mini_musessl.voices import VoiceGrid


@dataclass(frozen=True)
class Chain:
    """Facts from the general to the specific: the first answer knows the first fact, the next one two, and so on.

    Attributes:
        facts: names in ``N_VALUES``. With none, only how often each voice sings each symbol.
        strength: how many sightings the shorter list's answer counts for, above 0. Cells of one note are sightings of
            one thing, so it is larger where gaps are long.

    Raises:
        ValueError: an unknown fact, more facts than 64 bits can tell apart, or a strength that is not above 0.

    Chapter: 4b.
    """

    facts: tuple[str, ...]
    strength: float

    def __post_init__(self) -> None:
        unknown = [name for name in self.facts if name not in N_VALUES]
        if unknown:
            raise ValueError(f"Facts must be among {', '.join(N_VALUES)}; found {unknown[0]!r}.")
        n_contexts = math.prod(N_VALUES[name] for name in self.facts)
        if n_contexts * N_ANSWERS >= 2**63:
            raise ValueError(
                f"All values of the facts together must be numbered in 64 bits; found {len(self.facts)} facts with "
                f"{n_contexts:.1e} combinations. Leave some out."
            )
        if not self.strength > 0:
            raise ValueError(f"strength must be above 0; found {self.strength}.")


#: What counts in which situation: a symbol of the own voice is seen at most two steps away; farther away; not at all.
#: Facts and strengths were chosen on the validation part of the rebuilt split.
CHAINS = {
    "near": Chain(
        (
            "anchor", "after", "gap_before", "gap_after", "beat", "scale", "bass", "tenor", "alto", "soprano", "voice",
        ),
        20.0,
    ),
    "far": Chain(("anchor", "scale", "after", "bass", "voice", "gap_after"), 200.0),
    "alone": Chain(("anchor", "voice", "bass", "alto", "tenor", "height", "scale"), 80.0),
}  # fmt: skip


class NeighbourCounts:
    """What stood in hidden cells, given the nearest symbols that could be seen.

    Args:
        chorales: where to count; VoiceGrids or MIDI pitches.
        hidden: bool (n_draws, n_steps, 4) for each chorale, True where a cell was hidden, such as from
            ``infilling.draw_hidden``. Those cells are counted, so hide as it will be asked.
        chains: what is known in each of the three situations.

    Raises:
        ValueError: no chorales, hidden cells of another shape, or other situations.
        TypeError: what is hidden is not True and False.

    References:
        The rule is that of ``counting.MusicalCounts``, after Conklin and Witten, "Multiple Viewpoint Systems for Music
        Prediction" (1995).

    Chapter: 4b.
    """

    def __init__(
        self,
        chorales: Sequence[VoiceGrid | ArrayLike],
        hidden: Sequence[ArrayLike],
        chains: Mapping[str, Chain] = CHAINS,
    ) -> None:
        if set(chains) != set(CHAINS):
            raise ValueError(f"Each of the situations {', '.join(CHAINS)} needs a chain; found {', '.join(chains)}.")
        self.chains = {name: chains[name] for name in CHAINS}
        pieces = encode_chorales(chorales)
        self.table = Unigram(chorales).table
        seen = {name: [] for name in CHAINS}
        for ids, draws in zip(pieces, check_hidden_cells(pieces, hidden), strict=True):
            for is_hidden in draws:
                facts, anchor = neighbour_facts(ids, is_hidden)
                answers = number_answers(ids, anchor)
                for name, chosen in find_situations(facts, is_hidden).items():
                    seen[name].append((*_levels(facts, self.chains[name].facts, chosen), answers[chosen]))
        self.counts = {name: _count(parts, self.chains[name].strength) for name, parts in seen.items()}

    def cell_log_probs(
        self, ids: Int[np.ndarray, "n_steps 4"], is_hidden: Bool[np.ndarray, "n_steps 4"]
    ) -> Float[np.ndarray, "n_steps 4 47"]:
        """Return the logarithm of the probability of every symbol at every cell.

        Args:
            ids: 0 for a rest, 1..46 for pitches. Those of hidden cells are not looked at.
            is_hidden: True where a cell cannot be seen.

        Returns:
            Natural logarithms. For cells that can be seen, nothing but how often the voice sings each symbol.
        """
        facts, anchor = neighbour_facts(ids, is_hidden)
        shares = np.broadcast_to(self.table, (*ids.shape, N_SYMBOLS)).copy()
        for name, chosen in find_situations(facts, is_hidden).items():
            if self.counts[name] is None or not chosen.any():
                continue
            numbers = number_answers(np.arange(N_SYMBOLS), anchor[chosen][:, None])
            prior = np.zeros((len(numbers), N_ANSWERS))
            np.put_along_axis(prior, numbers, shares[chosen], axis=1)
            answers = self.counts[name].probabilities(_levels(facts, self.chains[name].facts, chosen), prior)
            found = np.take_along_axis(answers, numbers, axis=1)
            # Some intervals would leave the vocabulary: what was counted for them is shared among the rest.
            shares[chosen] = found / found.sum(axis=1, keepdims=True)
        return np.log(shares)


def _count(parts: Sequence[tuple[np.ndarray, ...]], strength: float) -> BackoffCounts | None:
    """Count what was seen in one situation; None if nothing was."""
    *levels, answers = (np.concatenate(column) for column in zip(*parts, strict=True))
    return BackoffCounts(levels, answers, N_ANSWERS, strength) if len(answers) else None


def _levels(facts: dict[str, np.ndarray], names: Sequence[str], chosen: np.ndarray) -> list[np.ndarray]:
    """Return one number for the first fact, the first two, and so on, for the chosen cells."""
    levels, number = [], np.zeros(int(chosen.sum()), np.int64)
    for name in names:
        number = number * N_VALUES[name] + facts[name][chosen]
        levels.append(number)
    return levels
