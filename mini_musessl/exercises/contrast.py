"""Checkers of the exercises of notebook 4d; tasks, hints and solutions stand there. Chapter: 4d."""

import numpy as np

from mini_musessl.exercises.checking import checker
from mini_musessl.exercises.first_road import softmax

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def pick(cosines, temperature):
    return softmax(cosines / temperature)

checker("4d.1", pick,
    draw=lambda rng: (rng.uniform(-1, 1, rng.integers(1, 6)), float(rng.uniform(0.1, 2))),
    tolerance=1e-6,
    fact="a candidate at cosine 0.9 beside one at 0.5 gets e to the power 4 times as much at temperature 0.1.",
    cases=[(np.array([0.9, 0.5, -0.2]), 0.1), (np.array([0.3, 0.4, 0.1, 0.0]), 0.5), (np.array([-0.5, 0.5]), 2.0)],
    mistakes=[
    (lambda cosines, temperature: pick(cosines, 1 / temperature),
     "Your temperature is on the wrong side: you multiply by it. A low one should make the choice sharp; yours makes "
     "it flat."),
    (lambda cosines, temperature: pick(cosines, 1),
     "The temperature changes nothing in your answer. Is it missing, or do you divide the weights, after the "
     "exponential? Normalising takes that out again: divide the cosines."),
    (lambda cosines, temperature: pick(-cosines, temperature),
     "You prefer what is far away: a cosine of 1 is the nearest."),
    (lambda cosines, temperature: np.exp(cosines / temperature),
     "Your numbers do not sum to 1: divide the weights by their sum."),
    (lambda cosines, temperature: np.eye(len(cosines))[cosines.argmax()],
     "You give everything to the nearest. That is a temperature of 0, from which nothing could be learned: a small "
     "change of a cosine would change nothing.")])


def wrong_candidates(n_windows):
    window = np.arange(2 * n_windows) % n_windows
    return window[:, None] != window

def _itself(n):
    return np.eye(n, dtype=bool)

def _same(labels):
    return labels[:, None] == labels

checker("4d.2", wrong_candidates,
    draw=lambda rng: (int(rng.integers(1, 7)),),
    fact="each of the 2n views has 2n - 2 wrong answers, and with the right one 2n - 1 candidates.",
    cases=[(2,), (3,), (5,)], mistakes=[
    (lambda n: ~_itself(2 * n),
     "You have positives among the negatives: view 0 and view n show one window, and the loss would push them apart."),
    (lambda n: wrong_candidates(n) | _itself(2 * n),
     "A view is no wrong answer for itself: the diagonal must be False."),
    (lambda n: ~wrong_candidates(n), "Your answer is inverted: it is True where the window is the same."),
    (lambda n: ~_same(np.arange(2 * n) // 2),
     "You pair views 0 and 1, 2 and 3. Here all first views come before all second ones: 0 belongs to n."),
    (lambda n: wrong_candidates(n) & ~_same(np.arange(2 * n) // n),
     "You leave out half of the wrong answers: the first views of other windows are wrong for a first view too.")])


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

def cosines_of(first, second):
    return _unit(first) @ _unit(second).T

checker("4d.3", cosines_of,
    draw=lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(2, 4))),
    tolerance=1e-6, fact="no cosine is above 1, whatever the lengths.",
    cases=[(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[0.0, 2.0], [5.0, 0.0], [-6.0, 8.0]])),
           (np.array([[1.0, 2.0, 2.0]]), np.array([[2.0, 1.0, -2.0], [2.0, 4.0, 4.0]]))], mistakes=[
    (lambda first, second: first @ second.T,
     "You do not normalise: a network could lower its loss by making vectors longer, which says nothing about music. "
     "For {input} you give {found}."),
    (lambda first, second: _unit(first) @ second.T,
     "You divide by the lengths of the first alone; the second have lengths too."),
    (lambda first, second: first @ second.T / np.outer(np.square(first).sum(1), np.square(second).sum(1)),
     "You divide by squared lengths: take the root of the sum of squares."),
    (lambda first, second: _unit(first.T).T @ _unit(second.T),
     "You normalise the columns, each feature over all vectors. A length belongs to a row: axis=1."),
    (lambda first, second: np.linalg.norm(first[:, None] - second, axis=2),
     "These are distances: small is near. A cosine is 1 where directions agree."),
    (lambda first, second: cosines_of(second, first),
     "The rows belong to the first, the columns to the second; yours are turned.")])


def _weights(scores, diagonal=0):
    weights = np.exp(scores)
    np.fill_diagonal(weights, diagonal)
    return weights

def _chances(weights, other_half=None):
    row = np.arange(len(weights))
    if other_half is None:
        other_half = (row + len(row) // 2) % len(row)
    return weights[row, other_half] / weights.sum(axis=1)

def mean_surprise(scores):
    return float(-np.log(_chances(_weights(scores))).mean())

def _surprise_without_the_right_one(scores):
    chances = _chances(_weights(scores))
    return -np.log(chances / (1 - chances)).mean()

checker("4d.4", mean_surprise,
    draw=lambda rng: (rng.normal(size=(n := 2 * rng.integers(1, 4), n)),),
    tolerance=1e-6,
    fact="where all scores are equal it is ln(2n - 1), here {outputs[1]} for three windows.",
    cases=[(np.array([[5, 1, 3, 0], [1, 5, 2, 1], [3, 2, 5, -1], [0, 1, -1, 5.0]]),), (np.zeros((6, 6)),),
           (2 * np.cos(np.subtract.outer(np.arange(6.0), np.arange(6.0))),)], mistakes=[
    (lambda scores: -np.log(_chances(np.exp(scores))).mean(),
     "You leave the diagonal below the fraction line: each view competes with itself, which is always the nearest, so "
     "the loss can never come near 0."),
    (lambda scores: -np.log(_chances(_weights(scores, diagonal=1))).mean(),
     "You set the scores of the diagonal to 0, which gives them a weight of 1. Their weight must be 0, so their score "
     "minus infinity."),
    (_surprise_without_the_right_one,
     "The right candidate is missing below the fraction line: your probabilities may exceed 1. It is one of those that "
     "are chosen among."),
    (lambda scores: -np.log(_chances(_weights(scores), np.arange(len(scores)) ^ 1)).mean(),
     "You take the neighbour for the other half; view 0 belongs to view n."),
    (lambda scores: -np.log(_chances(_weights(scores)).mean()),
     "You average probabilities and then take the logarithm; each view is surprised by itself: logarithm first, then "
     "the mean."),
    (lambda scores: -np.log(_chances(_weights(scores))[: len(scores) // 2]).mean(),
     "You ask the first views alone; the second ones choose too.")])


def false_negatives(piece, hymn):
    return (_same(piece) | (_same(hymn) & (hymn >= 0))) & ~_itself(len(piece))

checker("4d.5", false_negatives,
    draw=lambda rng: (piece := rng.integers(0, 5, 6), rng.integers(-1, 2, 5)[piece]),
    fact="the array equals its own transpose, and its diagonal is False.",
    cases=[(np.array([0, 1, 2, 0]), np.array([4, 4, 5, 4])), (np.array([3, 3, 1, 2, 7]), np.array([-1, -1, -1, 6, 6]))],
    mistakes=[
    (lambda piece, hymn: false_negatives(piece, hymn) | _itself(len(piece)),
     "You call a window a false negative of itself; then its other view is left out, and nothing is left to be found."),
    (lambda piece, hymn: _same(piece) & ~_itself(len(piece)),
     "Other settings of the same hymn stay among the wrong answers."),
    (lambda piece, hymn: _same(hymn) & (hymn >= 0) & ~_itself(len(piece)),
     "Two windows of one piece whose hymn is unknown stay among the wrong answers."),
    (lambda piece, hymn: (_same(piece) | _same(hymn)) & ~_itself(len(piece)),
     "You take all pieces of unknown hymns for settings of one hymn, called -1."),
    (lambda piece, hymn: _same(piece) & _same(hymn) & (hymn >= 0) & ~_itself(len(piece)),
     "You ask for the same piece and the same hymn; one of the two is enough."),
    (lambda piece, hymn: ~false_negatives(piece, hymn) & ~_itself(len(piece)),
     "Your answer is inverted: it is True for the fair wrong answers."),
    (lambda piece, hymn: np.triu(false_negatives(piece, hymn)),
     "You say each pair once; each of the two windows must leave out the other.")])


def _scores(first, second, temperature, unit=_unit):
    points = unit(np.concatenate((first, second)))
    return points @ points.T / temperature

def info_nce(first, second, temperature):
    return mean_surprise(_scores(first, second, temperature))

checker("4d.6", info_nce, tolerance=1e-6,
    draw=lambda rng: (*rng.normal(size=(2, rng.integers(1, 5), 3)), float(rng.uniform(0.1, 2))),
    cases=[(np.array([[3.0, 4.0], [1.0, 0.0], [-1.0, 2.0]]), np.array([[2.0, 5.0], [1.0, -1.0], [0.0, 3.0]]), 0.5),
           (np.array([[1.0, 1.0], [-2.0, 1.0]]), np.array([[1.0, 0.0], [0.5, 0.5]]), 1.0)],
    case_names=("three windows", "two windows"),
    fact="{outputs[0]} nats for the three windows, as the library's info_nce says.", mistakes=[
    (lambda one, other, t: mean_surprise(_scores(one, other, t, unit=np.copy)),
     "You do not normalise: divide each vector by its length."),
    (lambda one, other, t: -np.log(_chances(np.exp(_scores(one, other, t)))).mean(),
     "Each view competes with itself: give the diagonal no weight."),
    (lambda one, other, t: mean_surprise(_scores(one, other, 1 / t)), "You multiply by the temperature: divide by it."),
    (lambda one, other, t: mean_surprise(_scores(one, other, 1)), "The temperature is not used."),
    (lambda one, other, t: -np.log(np.diag(softmax(cosines_of(one, other) / t))).mean(),
     "You compare first views with second views alone. Here all 2n views choose, each among all others."),
    (lambda one, other, t: len(one) * 2 * info_nce(one, other, t), "You add up: take the mean over the views."),
    (lambda one, other, t: -info_nce(one, other, t), "The sign is missing: the loss is minus the logarithm.")])
