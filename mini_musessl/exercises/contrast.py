"""Exercises of notebook 4d: temperature, wrong candidates, cosines, the surprise of a choice, false negatives.

Chapter: 4d (contrast).
"""

from __future__ import annotations

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def pick(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """Turn cosines into the probabilities of a choice.

    Args:
        cosines: float (n_candidates,), each from -1 to 1.
        temperature: above 0.

    Returns:
        float (n_candidates,), which sum to 1.

    Chapter: 4d.
    """
    weights = np.exp(cosines / temperature)
    return weights / weights.sum()


def _pick_upside_down(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: multiply by the temperature."""
    return pick(cosines, 1 / temperature)


def _pick_at_one(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: forget the temperature."""
    return pick(cosines, 1.0)


def _pick_farthest(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: prefer what is far away."""
    return pick(-cosines, temperature)


def _pick_unnormalised(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: leave the weights as they are."""
    return np.exp(cosines / temperature)


def _pick_the_nearest(cosines: np.ndarray, temperature: float) -> np.ndarray:
    """Mistake: give everything to the nearest."""
    return (np.arange(len(cosines)) == np.argmax(cosines)).astype(float)


def wrong_candidates(n_windows: int) -> np.ndarray:
    """Return which views are wrong answers for which.

    Args:
        n_windows: windows of the batch; the first views are numbered 0 to n_windows - 1, the second ones follow in the
            same order.

    Returns:
        bool (2 n_windows, 2 n_windows): True where the view of the column shows another window than that of the row.

    Chapter: 4d.
    """
    window = np.arange(2 * n_windows) % n_windows
    return window[:, None] != window


def _wrong_with_other_half(n_windows: int) -> np.ndarray:
    """Mistake: count the other half among the wrong answers."""
    return ~np.eye(2 * n_windows, dtype=bool)


def _wrong_with_itself(n_windows: int) -> np.ndarray:
    """Mistake: count a view among its own wrong answers."""
    return wrong_candidates(n_windows) | np.eye(2 * n_windows, dtype=bool)


def _wrong_right_ones(n_windows: int) -> np.ndarray:
    """Mistake: upside down."""
    return ~wrong_candidates(n_windows)


def _wrong_neighbours(n_windows: int) -> np.ndarray:
    """Mistake: think that the two views of a window stand side by side."""
    window = np.arange(2 * n_windows) // 2
    return window[:, None] != window


def _wrong_from_other_side(n_windows: int) -> np.ndarray:
    """Mistake: take wrong answers from the other views alone."""
    side = np.arange(2 * n_windows) // n_windows
    return wrong_candidates(n_windows) & (side[:, None] != side)


def cosines_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of every vector with every other.

    Args:
        first: float (n, d).
        second: float (m, d).

    Returns:
        float (n, m).

    Chapter: 4d.
    """
    unit = first / np.linalg.norm(first, axis=1, keepdims=True)
    other = second / np.linalg.norm(second, axis=1, keepdims=True)
    return unit @ other.T


def _cosines_not_normalised(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mistake: leave the lengths in."""
    return first @ second.T


def _cosines_half_normalised(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mistake: divide by the length of the first alone."""
    return first / np.linalg.norm(first, axis=1, keepdims=True) @ second.T


def _cosines_squared_lengths(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mistake: divide by the squares of the lengths."""
    return first @ second.T / np.outer(np.square(first).sum(1), np.square(second).sum(1))


def _cosines_over_vectors(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mistake: normalise each feature over the vectors."""
    return first / np.linalg.norm(first, axis=0) @ (second / np.linalg.norm(second, axis=0)).T


def _cosines_as_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mistake: measure distances."""
    return np.linalg.norm(first[:, None] - second, axis=2)


def _cosines_turned(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mistake: put the second in the rows."""
    return cosines_of(second, first)


def mean_surprise(scores: np.ndarray) -> float:
    """Return how surprised the views are, on the mean, by their other halves.

    Args:
        scores: float (2 n, 2 n), cosines divided by the temperature; the first views are numbered 0 to n - 1, the
            second ones follow in the same order.

    Returns:
        The mean, in nats, of minus the logarithm of the probability of each view's other half among all other views.

    Chapter: 4d.
    """
    weights = np.exp(scores)
    np.fill_diagonal(weights, 0)
    row = np.arange(len(scores))
    other_half = (row + len(scores) // 2) % len(scores)
    return float(-np.log(weights[row, other_half] / weights.sum(axis=1)).mean())


def _surprise_with_itself(scores: np.ndarray) -> float:
    """Mistake: leave the diagonal below the fraction line."""
    row = np.arange(len(scores))
    weights = np.exp(scores)
    return float(-np.log(weights[row, (row + len(row) // 2) % len(row)] / weights.sum(axis=1)).mean())


def _surprise_zero_diagonal(scores: np.ndarray) -> float:
    """Mistake: set the scores on the diagonal to 0, which is a weight of 1."""
    scores = scores.copy()
    np.fill_diagonal(scores, 0)
    return _surprise_with_itself(scores)


def _surprise_without_the_right_one(scores: np.ndarray) -> float:
    """Mistake: divide by the wrong candidates alone."""
    row = np.arange(len(scores))
    weights = np.exp(scores)
    right = weights[row, (row + len(row) // 2) % len(row)]
    np.fill_diagonal(weights, 0)
    return float(-np.log(right / (weights.sum(axis=1) - right)).mean())


def _surprise_neighbours(scores: np.ndarray) -> float:
    """Mistake: think that the other half is the neighbour."""
    weights = np.exp(scores)
    np.fill_diagonal(weights, 0)
    row = np.arange(len(scores))
    return float(-np.log(weights[row, row ^ 1] / weights.sum(axis=1)).mean())


def _surprise_of_mean(scores: np.ndarray) -> float:
    """Mistake: average the probabilities, then take the logarithm."""
    row = np.arange(len(scores))
    weights = np.exp(scores)
    np.fill_diagonal(weights, 0)
    return float(-np.log((weights[row, (row + len(row) // 2) % len(row)] / weights.sum(axis=1)).mean()))


def _surprise_first_views(scores: np.ndarray) -> float:
    """Mistake: ask the first views alone."""
    n_windows = len(scores) // 2
    weights = np.exp(scores)
    np.fill_diagonal(weights, 0)
    row = np.arange(n_windows)
    return float(-np.log(weights[row, row + n_windows] / weights[:n_windows].sum(axis=1)).mean())


def false_negatives(piece: np.ndarray, hymn: np.ndarray) -> np.ndarray:
    """Return which windows are no fair wrong answers for which.

    Args:
        piece: int (n_windows,), the piece that each window was cut from.
        hymn: int (n_windows,), the hymn that it sets, or -1 where nobody knows.

    Returns:
        bool (n_windows, n_windows): True for two different windows of one piece, or of one known hymn.

    Chapter: 4d.
    """
    is_same_hymn = (hymn[:, None] == hymn) & (hymn >= 0)
    is_same = (piece[:, None] == piece) | is_same_hymn
    return is_same & ~np.eye(len(piece), dtype=bool)


def _false_with_itself(piece: np.ndarray, hymn: np.ndarray) -> np.ndarray:
    """Mistake: call a window a false negative of itself."""
    return false_negatives(piece, hymn) | np.eye(len(piece), dtype=bool)


def _false_pieces_alone(piece: np.ndarray, hymn: np.ndarray) -> np.ndarray:
    """Mistake: forget the hymn."""
    return (piece[:, None] == piece) & ~np.eye(len(piece), dtype=bool)


def _false_hymns_alone(piece: np.ndarray, hymn: np.ndarray) -> np.ndarray:
    """Mistake: forget the piece where the hymn is not known."""
    return (hymn[:, None] == hymn) & (hymn >= 0) & ~np.eye(len(piece), dtype=bool)


def _false_unknown_alike(piece: np.ndarray, hymn: np.ndarray) -> np.ndarray:
    """Mistake: take all pieces of unknown hymns for one hymn."""
    return ((piece[:, None] == piece) | (hymn[:, None] == hymn)) & ~np.eye(len(piece), dtype=bool)


def _false_both(piece: np.ndarray, hymn: np.ndarray) -> np.ndarray:
    """Mistake: ask for the same piece and the same hymn."""
    return _false_pieces_alone(piece, hymn) & _false_hymns_alone(piece, hymn)


def _false_fair_ones(piece: np.ndarray, hymn: np.ndarray) -> np.ndarray:
    """Mistake: upside down."""
    return ~_false_with_itself(piece, hymn)


def _false_upper_half(piece: np.ndarray, hymn: np.ndarray) -> np.ndarray:
    """Mistake: say each pair once."""
    return np.triu(false_negatives(piece, hymn))


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="4d.1",
        title="How sharp is the choice?",
        minutes=5,
        task=(
            "Write `pick(cosines, temperature)`: the probability of each candidate when cosines are divided by the "
            "temperature and put through a softmax."
        ),
        hint="At a low temperature the nearest candidate gets nearly everything.",
        cases=lambda: (
            (np.array([0.9, 0.5, -0.2]), 0.1),
            (np.array([0.3, 0.4, 0.1, 0.0]), 0.5),
            (np.array([-0.5, 0.5]), 2.0),
        ),
        solution=pick,
        mistakes=(
            Mistake(
                _pick_upside_down,
                "Your temperature is on the wrong side: you multiply by it. A low one should make the choice sharp; "
                "yours makes it flat.",
            ),
            Mistake(
                _pick_at_one,
                "The temperature changes nothing in your answer. Is it missing, or do you divide the weights, after "
                "the exponential? Normalising takes that out again: divide the cosines.",
            ),
            Mistake(_pick_farthest, "You prefer what is far away: a cosine of 1 is the nearest."),
            Mistake(_pick_unnormalised, "Your numbers do not sum to 1: divide the weights by their sum."),
            Mistake(
                _pick_the_nearest,
                "You give everything to the nearest. That is a temperature of 0, from which nothing could be learned: "
                "a small change of a cosine would change nothing.",
            ),
        ),
        fact="a candidate at cosine 0.9 beside one at 0.5 gets e to the power 4 times as much at temperature 0.1.",
        tolerance=1e-6,
    ),
    Exercise(
        id="4d.2",
        title="Wrong answers",
        minutes=10,
        task=(
            "A batch has `n_windows` windows. Their first views are numbered 0 to `n_windows - 1`; "
            "their second views follow in the same order. Write `wrong_candidates(n_windows)`: a Boolean array "
            "`(2 * n_windows, 2 * n_windows)` that is True where the view of the column is a *wrong* answer for the "
            "view of the row."
        ),
        hint="Which window does view number 5 show when there are four windows? Compare windows.",
        cases=lambda: ((2,), (3,), (5,)),
        solution=wrong_candidates,
        mistakes=(
            Mistake(
                _wrong_with_other_half,
                "You have positives among the negatives: view 0 and view n show one window, and the loss would push "
                "them apart.",
            ),
            Mistake(_wrong_with_itself, "A view is no wrong answer for itself: the diagonal must be False."),
            Mistake(_wrong_right_ones, "Upside down: yours is True where the window is the same."),
            Mistake(
                _wrong_neighbours,
                "You pair views 0 and 1, 2 and 3. Here all first views come before all second ones: 0 belongs to n.",
            ),
            Mistake(
                _wrong_from_other_side,
                "You leave out half of the wrong answers: the first views of other windows are wrong for a first view "
                "too.",
            ),
        ),
        fact="each of the 2n views has 2n - 2 wrong answers, and with the right one 2n - 1 candidates.",
    ),
    Exercise(
        id="4d.3",
        title="Direction, not length",
        minutes=5,
        task=(
            "Write `cosines_of(first, second)` for two arrays of vectors, `(n, d)` and `(m, d)`: the cosine of every "
            "vector of the first with every vector of the second, `(n, m)`."
        ),
        hint="Divide each vector by its length, then multiply the two matrices.",
        cases=lambda: (
            (np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[0.0, 2.0], [5.0, 0.0], [-6.0, 8.0]])),
            (np.array([[1.0, 2.0, 2.0]]), np.array([[2.0, 1.0, -2.0], [2.0, 4.0, 4.0]])),
        ),
        solution=cosines_of,
        mistakes=(
            Mistake(
                _cosines_not_normalised,
                "You do not normalise: a network could lower its loss by making vectors longer, which says nothing "
                "about music. For {input} you give {found}.",
            ),
            Mistake(
                _cosines_half_normalised, "You divide by the lengths of the first alone; the second have lengths too."
            ),
            Mistake(_cosines_squared_lengths, "You divide by squared lengths: take the root of the sum of squares."),
            Mistake(
                _cosines_over_vectors,
                "You normalise the columns, each feature over all vectors. A length belongs to a row: axis=1.",
            ),
            Mistake(_cosines_as_distances, "These are distances: small is near. A cosine is 1 where directions agree."),
            Mistake(_cosines_turned, "The rows belong to the first, the columns to the second; yours are turned."),
        ),
        fact="no cosine is above 1, whatever the lengths.",
        tolerance=1e-6,
    ),
    Exercise(
        id="4d.4",
        title="The surprise of a choice",
        minutes=15,
        task=(
            "Write `mean_surprise(scores)`. For `n` windows `scores` is `(2n, 2n)`: cosines divided by the "
            "temperature, for views "
            "numbered as in 4d.2. Each view chooses among all *other* views by a softmax. Return the mean of minus the "
            "logarithm of the probability of its other half."
        ),
        hint="The diagonal holds the largest score of each row. What weight must it have?",
        cases=lambda: (
            (np.array([[5, 1, 3, 0], [1, 5, 2, 1], [3, 2, 5, -1], [0, 1, -1, 5.0]]),),
            (np.zeros((6, 6)),),
            (2 * np.cos(np.subtract.outer(np.arange(6.0), np.arange(6.0))),),
        ),
        solution=mean_surprise,
        mistakes=(
            Mistake(
                _surprise_with_itself,
                "You leave the diagonal below the fraction line: each view competes with itself, which is always the "
                "nearest, so the loss can never come near 0.",
            ),
            Mistake(
                _surprise_zero_diagonal,
                "You set the scores of the diagonal to 0, which gives them a weight of 1. Their weight must be 0, so "
                "their score minus infinity.",
            ),
            Mistake(
                _surprise_without_the_right_one,
                "The right candidate is missing below the fraction line: your probabilities may exceed 1. It is one of "
                "those that are chosen among.",
            ),
            Mistake(_surprise_neighbours, "You take the neighbour for the other half; view 0 belongs to view n."),
            Mistake(
                _surprise_of_mean,
                "You average probabilities and then take the logarithm; each view is surprised by itself: logarithm "
                "first, then the mean.",
            ),
            Mistake(_surprise_first_views, "You ask the first views alone; the second ones choose too."),
        ),
        fact="where all scores are equal it is ln(2n - 1), here {outputs[1]} for three windows.",
        tolerance=1e-6,
    ),
    Exercise(
        id="4d.5",
        title="No fair wrong answers",
        minutes=10,
        task=(
            "Write `false_negatives(piece, hymn)` for the windows of a batch: a Boolean array "
            "`(n_windows, n_windows)` that is True for two *different* windows of one piece, or of one hymn. Where "
            "nobody knows the hymn, it is -1."
        ),
        hint="Two unknown hymns are not the same hymn. And who must still be found?",
        cases=lambda: (
            (np.array([0, 1, 2, 0]), np.array([4, 4, 5, 4])),
            (np.array([3, 3, 1, 2, 7]), np.array([-1, -1, -1, 6, 6])),
        ),
        solution=false_negatives,
        mistakes=(
            Mistake(
                _false_with_itself,
                "You call a window a false negative of itself; then its other view is left out, and nothing is left to "
                "be found.",
            ),
            Mistake(_false_pieces_alone, "Other settings of the same hymn stay among the wrong answers."),
            Mistake(_false_hymns_alone, "Two windows of one piece whose hymn is unknown stay among the wrong answers."),
            Mistake(_false_unknown_alike, "You take all pieces of unknown hymns for settings of one hymn, called -1."),
            Mistake(_false_both, "You ask for the same piece and the same hymn; one of the two is enough."),
            Mistake(_false_fair_ones, "Upside down: yours is True for the fair wrong answers."),
            Mistake(_false_upper_half, "You say each pair once; each of the two windows must leave out the other."),
        ),
        fact="the array equals its own transpose, and its diagonal is False.",
    ),
)
