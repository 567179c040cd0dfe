"""Backing off: how counts of short and long contexts become one answer.

A context that occurred ``n`` times, and was followed ``c`` times by a symbol, gives that symbol the probability
``(c + s * p) / (n + s)``, where ``p`` is the answer of the next shorter context. Witten and Bell's ``s`` is the number
of different symbols that followed; it may be fixed too.

Chapter: 2a (counting).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


class BackoffCounts:
    """How often each symbol followed each context, and what to expect from that.

    Args:
        levels: contexts as whole numbers, int64 (n_tokens,) each, from the general to the specific.
        symbols: what followed, int (n_tokens,).
        n_symbols: how many symbols there are.
        strength: how many sightings the more general answer counts for; None for Witten and Bell's rule, the number of
            different symbols seen after the context.

    Example:
        >>> counts = BackoffCounts([np.zeros(3, int)], np.array([0, 0, 1]), n_symbols=3)
        >>> counts.probabilities([np.zeros(1, int)], np.full((1, 3), 1 / 3)).round(3).tolist()
        [[0.533, 0.333, 0.133]]

    Chapter: 2a.
    """

    def __init__(
        self, levels: Sequence[np.ndarray], symbols: np.ndarray, n_symbols: int, strength: float | None = None
    ) -> None:
        if strength is not None and not strength > 0:
            raise ValueError(f"strength must be above 0, or None for Witten and Bell's rule; found {strength}.")
        self.n_symbols, self.strength = n_symbols, strength
        self.levels = [self._count(contexts, symbols) for contexts in levels]

    def probabilities(
        self, levels: Sequence[np.ndarray], prior: Float[np.ndarray, "n_tokens n_symbols"]
    ) -> Float[np.ndarray, "n_tokens n_symbols"]:
        """Back off level by level.

        Args:
            levels: contexts of the tokens to predict, as for the counts; fewer levels stop at a more general answer.
            prior: what to expect before any counting.

        Returns:
            The answer of the most specific context, mixed with the others.
        """
        answer = prior.copy()
        for contexts, (known, first, total, symbols, counts) in zip(levels, self.levels, strict=False):
            place = np.searchsorted(known, contexts).clip(max=len(known) - 1)
            rows = np.flatnonzero(known[place] == contexts)  # a context never seen changes nothing
            start, n_kinds = first[place[rows]], first[place[rows] + 1] - first[place[rows]]
            strength = n_kinds if self.strength is None else np.full(len(rows), self.strength)
            n_seen = total[place[rows]]
            answer[rows] *= (strength / (n_seen + strength))[:, None]
            # One entry for each symbol that followed one of the contexts.
            entry = np.repeat(start - np.concatenate(([0], np.cumsum(n_kinds)[:-1])), n_kinds) + np.arange(
                n_kinds.sum()
            )
            share = counts[entry] / np.repeat(n_seen + strength, n_kinds)
            answer[np.repeat(rows, n_kinds), symbols[entry]] += share
        return answer

    def _count(self, contexts: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the contexts, where each one's entries begin, its total, and symbol and count of each entry."""
        pairs, counts = np.unique(contexts * self.n_symbols + symbols, return_counts=True)
        known, first = np.unique(pairs // self.n_symbols, return_index=True)
        total = np.add.reduceat(counts, first)
        return known, np.append(first, len(pairs)), total, pairs % self.n_symbols, counts
