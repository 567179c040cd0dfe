"""How often the answers of a probe are right, with the range that other test pieces would have given.

Chapter: 1a.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int

#: How often pieces are drawn for a range.
N_BOOTSTRAP = 1000


@dataclass(frozen=True)
class ProbeResult:
    """How well a probe answers on the test pieces.

    Attributes:
        task: name of the task.
        budget: how many labelled pieces were asked for; None for all.
        labelled_pieces: which pieces were labelled.
        n_labelled_examples: how many examples they hold.
        n_classes_seen: how many classes these show; the others can never be answered.
        n_test_examples: how many examples were tested.
        l2: the penalty that was chosen; None where there is none.
        balanced_accuracy: mean over the classes that occur in the test of the share answered right.
        low: lower end of its 95 % bootstrap range over test pieces.
        high: upper end.
        chance: balanced accuracy of any answer that does not look: one over the number of classes that occur.
        accuracy: share of all test examples answered right.
        majority_accuracy: that share for the commonest class of the labelled examples, always answered.

    Chapter: 1a.
    """

    task: str
    budget: int | None
    labelled_pieces: tuple[int, ...]
    n_labelled_examples: int
    n_classes_seen: int
    n_test_examples: int
    l2: float | None
    balanced_accuracy: float
    low: float
    high: float
    chance: float
    accuracy: float
    majority_accuracy: float

    def row(self) -> dict[str, object]:
        """Return everything but the list of pieces, for a table or a JSON file."""
        row = asdict(self)
        row["n_labelled_pieces"] = len(row.pop("labelled_pieces"))
        return row


def count_answers(
    label: Int[np.ndarray, " n_examples"],
    predicted: Int[np.ndarray, " n_examples"],
    piece: Int[np.ndarray, " n_examples"],
    n_classes: int,
) -> tuple[Int[np.ndarray, "n_pieces n_classes"], Int[np.ndarray, "n_pieces n_classes"]]:
    """Count for each piece and class how many examples there are, and how many were answered right.

    Args:
        label: the right answers.
        predicted: the answers.
        piece: the piece of each example; pieces are counted in the order of their indices.
        n_classes: how many classes there are.

    Returns:
        How many right, and how many in all.

    Chapter: 1a.
    """
    pieces, row = np.unique(piece, return_inverse=True)
    right = np.zeros((len(pieces), n_classes), np.int64)
    total = np.zeros_like(right)
    np.add.at(total, (row, label), 1)
    np.add.at(right, (row, label), label == predicted)
    return right, total


def balanced_accuracy(
    right: Float[np.ndarray, "*rows n_classes"] | Int[np.ndarray, "*rows n_classes"],
    total: Float[np.ndarray, "*rows n_classes"] | Int[np.ndarray, "*rows n_classes"],
) -> Float[np.ndarray, "*rows"] | float:
    """Return the mean over classes of the share answered right; classes that do not occur do not count.

    Args:
        right: how many of each class were answered right.
        total: how many there are, some above 0.

    Example:
        >>> float(balanced_accuracy(np.array([9, 0, 0]), np.array([9, 3, 0])))
        0.5

    Chapter: 1a.
    """
    occurs = total > 0
    return (right / np.maximum(total, 1)).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)


def bootstrap_range(
    right: Int[np.ndarray, "n_pieces n_classes"],
    total: Int[np.ndarray, "n_pieces n_classes"],
    generator: np.random.Generator,
    n_draws: int = N_BOOTSTRAP,
) -> tuple[float, float]:
    """Return the range of the balanced accuracy that drawing test pieces anew gives.

    Whole pieces are drawn with replacement, as many as there are: beats of one piece are not independent.

    Args:
        right: from ``count_answers``.
        total: from ``count_answers``.
        generator: source of chance.
        n_draws: how often to draw.

    Returns:
        The ends of the middle 95 %.

    References:
        Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), the percentile interval.

    Chapter: 1a.
    """
    n_pieces = len(total)
    times = generator.multinomial(n_pieces, np.full(n_pieces, 1 / n_pieces), size=n_draws)
    low, high = np.percentile(balanced_accuracy(times @ right, times @ total), [2.5, 97.5])
    return float(low), float(high)
