"""Retrieval of the same hymn: which pieces lie near each other?

Chapter: 1a, 4d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int

from mini_musessl.evaluation.probing.features import Features
from mini_musessl.evaluation.probing.splits import check_pieces_exist


@dataclass(frozen=True)
class Retrieval:
    """How near the first other setting of the same hymn stands, over all pieces that have one.

    Attributes:
        n_queries: pieces that have another setting of their hymn, each asked once.
        n_candidates: pieces among which it is looked for.
        mean_reciprocal_rank: one over the rank of the nearest right one, averaged (MRR).
        recall_at_1: share of queries whose nearest piece is right.
        recall_at_10: share with a right one among the nearest ten.
        chance_mean_reciprocal_rank: what a random order gives on average.
        chance_recall_at_1: the same.
        chance_recall_at_10: the same.

    Chapter: 1a, 4d.
    """

    n_queries: int
    n_candidates: int
    mean_reciprocal_rank: float
    recall_at_1: float
    recall_at_10: float
    chance_mean_reciprocal_rank: float
    chance_recall_at_1: float
    chance_recall_at_10: float

    def row(self) -> dict[str, object]:
        """Return everything by name, for a table or a JSON file."""
        return {"task": "hymn", **asdict(self)}


def retrieve(features: Features, queries: Sequence[int] | None = None) -> Retrieval:
    """Look for other settings of the same hymn by the cosine of pooled features.

    A piece is the mean of its windows. No label is used: features are standardised over all pieces, since the mean that
    all share would make every cosine about 1.

    Args:
        features: of the task "hymn", of all pieces that may be found.
        queries: indices of the pieces that are asked for; None for all. Those without another setting are not asked.

    Raises:
        ValueError: the features belong to another task, a query was not described, or no query has another setting.

    Chapter: 1a, 4d.
    """
    if features.task != "hymn":
        raise ValueError(f"Retrieval needs the features of the task 'hymn'; found those of {features.task!r}.")
    if queries is not None and features.n_pieces is not None:
        check_pieces_exist(queries, features.n_pieces)
    vectors, hymn, pieces = _piece_vectors(features)
    is_relevant = hymn[:, None] == hymn[None]
    np.fill_diagonal(is_relevant, False)
    asked = is_relevant.any(axis=1) & (np.isin(pieces, queries) if queries is not None else True)
    if not asked.any():
        raise ValueError("Retrieval needs a piece with another setting of its hymn among the pieces; found none.")
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    rank = best_ranks(cosine[asked], is_relevant[asked])
    n_candidates = len(pieces) - 1
    chance = np.array([_chance(int(n), n_candidates) for n in is_relevant[asked].sum(axis=1)]).mean(axis=0)
    return Retrieval(
        n_queries=int(asked.sum()),
        n_candidates=n_candidates,
        mean_reciprocal_rank=float((1 / rank).mean()),
        recall_at_1=float((rank <= 1).mean()),
        recall_at_10=float((rank <= 10).mean()),
        chance_mean_reciprocal_rank=float(chance[0]),
        chance_recall_at_1=float(chance[1]),
        chance_recall_at_10=float(chance[2]),
    )


def best_ranks(
    likeness: Float[np.ndarray, "n_queries n_pieces"], is_relevant: np.ndarray
) -> Int[np.ndarray, " n_queries"]:
    """Return the rank, from 1, of the nearest relevant piece of each query.

    Args:
        likeness: larger is nearer; a tie counts against the relevant piece.
        is_relevant: bool of that shape, at least one in each row.

    Example:
        >>> best_ranks(np.array([[0.9, 0.5, 0.7]]), np.array([[False, True, True]])).tolist()
        [2]

    Chapter: 1a, 4d.
    """
    best = np.where(is_relevant, likeness, -np.inf).max(axis=1, keepdims=True)
    return ((likeness >= best) & ~is_relevant).sum(axis=1) + 1


def _piece_vectors(features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one standardised vector of length 1, the hymn, and the index of each piece."""
    pieces, first, row = np.unique(features.piece, return_index=True, return_inverse=True)
    sums = np.zeros((len(pieces), features.values.shape[1]))
    np.add.at(sums, row, features.values)
    means = sums / np.bincount(row)[:, None]
    spread = means.std(axis=0)
    vectors = (means - means.mean(axis=0)) / np.where(spread > 1e-8, spread, 1.0)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-12), features.label[first], pieces


def _chance(n_relevant: int, n_candidates: int) -> tuple[float, float, float]:
    """Return the expected reciprocal rank, recall at 1 and at 10 of a random order."""
    orders = math.comb(n_candidates, n_relevant)
    first_at = [
        math.comb(n_candidates - rank, n_relevant - 1) / orders for rank in range(1, n_candidates - n_relevant + 2)
    ]
    reciprocal = sum(share / rank for rank, share in enumerate(first_at, start=1))
    return reciprocal, first_at[0], sum(first_at[:10])
