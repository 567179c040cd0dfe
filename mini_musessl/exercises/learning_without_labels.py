"""Exercises of notebook 1a: whole pieces on one side, choices before the test, classes that weigh the same.

Chapter: 1a (learning without labels).
"""

from __future__ import annotations

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def may_fit(piece: np.ndarray, test_pieces: list[int]) -> np.ndarray:
    """Return which beats a probe may be fitted to.

    Args:
        piece: int (n_beats,), the number of the piece in which each beat stands.
        test_pieces: numbers of the pieces that are kept for the test.

    Returns:
        bool (n_beats,).

    Chapter: 1a.
    """
    return ~np.isin(piece, test_pieces)


def _fit_the_test(piece: np.ndarray, test_pieces: list[int]) -> np.ndarray:
    """Mistake: upside down."""
    return np.isin(piece, test_pieces)


def _fit_everything(piece: np.ndarray, test_pieces: list[int]) -> np.ndarray:
    """Mistake: keep nothing back."""
    return np.ones(len(piece), bool)


def _fit_by_row(piece: np.ndarray, test_pieces: list[int]) -> np.ndarray:
    """Mistake: take the numbers of the pieces for places in the array."""
    return ~np.isin(np.arange(len(piece)), test_pieces)


def _fit_some_beats(piece: np.ndarray, test_pieces: list[int]) -> np.ndarray:
    """Mistake: keep as many beats back as the test pieces have, but of any piece: the last ones."""
    n_fitted = len(piece) - int(np.isin(piece, test_pieces).sum())
    return np.arange(len(piece)) < n_fitted


def _fit_after_the_first_beat(piece: np.ndarray, test_pieces: list[int]) -> np.ndarray:
    """Mistake: keep one beat of each test piece back."""
    fits = np.ones(len(piece), bool)
    for number in test_pieces:
        fits[np.flatnonzero(piece == number)[:1]] = False
    return fits


def stop_and_report(valid_nats: list[float], test_nats: list[float]) -> tuple[int, float]:
    """Choose when to stop, and say how good the network is then.

    Args:
        valid_nats: loss after each report of a training, on pieces left out of it.
        test_nats: loss after the same reports, on the test pieces.

    Returns:
        The number of the report at which to stop, from 0, and the loss to publish.

    Chapter: 1a.
    """
    report = int(np.argmin(valid_nats))
    return report, test_nats[report]


def _stop_on_test(valid_nats: list[float], test_nats: list[float]) -> tuple[int, float]:
    """Mistake: let the test choose."""
    report = int(np.argmin(test_nats))
    return report, test_nats[report]


def _stop_and_report_valid(valid_nats: list[float], test_nats: list[float]) -> tuple[int, float]:
    """Mistake: publish the number that chose."""
    return int(np.argmin(valid_nats)), min(valid_nats)


def _stop_and_report_best(valid_nats: list[float], test_nats: list[float]) -> tuple[int, float]:
    """Mistake: choose well, and publish the best that was ever seen."""
    return int(np.argmin(valid_nats)), min(test_nats)


def _stop_at_the_end(valid_nats: list[float], test_nats: list[float]) -> tuple[int, float]:
    """Mistake: do not stop."""
    return len(test_nats) - 1, test_nats[-1]


def _stop_at_the_worst(valid_nats: list[float], test_nats: list[float]) -> tuple[int, float]:
    """Mistake: take the largest loss."""
    report = int(np.argmax(valid_nats))
    return report, test_nats[report]


def _stop_at_the_mean(valid_nats: list[float], test_nats: list[float]) -> tuple[int, float]:
    """Mistake: average what chooses and what tests."""
    report = int(np.argmin(np.add(valid_nats, test_nats)))
    return report, test_nats[report]


def balanced_accuracy(label: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean over the classes that occur of the share answered right.

    Args:
        label: int (n_examples,), the right answers.
        predicted: int (n_examples,), the answers given.

    Chapter: 1a.
    """
    return float(np.mean([np.mean(predicted[label == each] == each) for each in np.unique(label)]))


def _plain_accuracy(label: np.ndarray, predicted: np.ndarray) -> float:
    """Mistake: let each example weigh the same."""
    return float(np.mean(label == predicted))


def _balanced_precision(label: np.ndarray, predicted: np.ndarray) -> float:
    """Mistake: group by the answer given."""
    return float(np.mean([np.mean(label[predicted == each] == each) for each in np.unique(predicted)]))


def _balanced_over_all(label: np.ndarray, predicted: np.ndarray) -> float:
    """Mistake: divide by all classes up to the largest, those too that do not occur."""
    shares = [np.mean(predicted[label == each] == each) for each in np.unique(label)]
    return float(np.sum(shares) / (max(label.max(), predicted.max()) + 1))


def _balanced_sum(label: np.ndarray, predicted: np.ndarray) -> float:
    """Mistake: forget to divide."""
    return float(np.sum([np.mean(predicted[label == each] == each) for each in np.unique(label)]))


def _only_the_rare(label: np.ndarray, predicted: np.ndarray) -> float:
    """Mistake: count the class with the largest number alone."""
    return float(np.mean(predicted[label == label.max()] == label.max()))


def _above_majority(label: np.ndarray, predicted: np.ndarray) -> float:
    """Mistake: subtract what the commonest class reaches."""
    return float(np.mean(label == predicted) - np.bincount(label).max() / len(label))


def standardise(labelled: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring features to mean 0 and deviation 1, by the labelled examples alone.

    Args:
        labelled: float (n_labelled, n_features).
        test: float (n_test, n_features).

    Returns:
        Both, moved and divided in the same way.

    Chapter: 1a.
    """
    mean, deviation = labelled.mean(axis=0), labelled.std(axis=0)
    return (labelled - mean) / deviation, (test - mean) / deviation


def _standardise_together(labelled: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: measure both together."""
    both = np.concatenate([labelled, test])
    mean, deviation = both.mean(axis=0), both.std(axis=0)
    return (labelled - mean) / deviation, (test - mean) / deviation


def _standardise_each(labelled: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: measure each by itself."""
    return standardise(labelled, labelled)[0], standardise(test, test)[0]


def _standardise_by_test(labelled: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: measure the test."""
    moved_test, moved_labelled = standardise(test, labelled)
    return moved_labelled, moved_test


def _standardise_numbers(labelled: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: one mean and one deviation for all features."""
    return (labelled - labelled.mean()) / labelled.std(), (test - labelled.mean()) / labelled.std()


def _only_centre(labelled: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: move without dividing."""
    return labelled - labelled.mean(axis=0), test - labelled.mean(axis=0)


def _standardise_labelled_only(labelled: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mistake: leave the test as it is."""
    return standardise(labelled, test)[0], test


def labelled_beats(piece: np.ndarray, order: list[int], budget: int) -> np.ndarray:
    """Return which beats are labelled when a budget of pieces is spent.

    Args:
        piece: int (n_beats,), the number of the piece in which each beat stands.
        order: numbers of the pieces in the order in which they are labelled.
        budget: how many pieces are labelled.

    Returns:
        int (n_labelled,), the places of the labelled beats, rising.

    Chapter: 1a.
    """
    return np.flatnonzero(np.isin(piece, order[:budget]))


def _budget_of_beats(piece: np.ndarray, order: list[int], budget: int) -> np.ndarray:
    """Mistake: label as many beats, one after the other."""
    return np.arange(budget)


def _budget_spread(piece: np.ndarray, order: list[int], budget: int) -> np.ndarray:
    """Mistake: label as many beats, each of another piece."""
    return np.array(sorted(int(np.flatnonzero(piece == number)[0]) for number in order[:budget]))


def _budget_of_each_piece(piece: np.ndarray, order: list[int], budget: int) -> np.ndarray:
    """Mistake: label as many beats of every piece."""
    return np.sort(np.concatenate([np.flatnonzero(piece == number)[:budget] for number in order]))


def _budget_in_file_order(piece: np.ndarray, order: list[int], budget: int) -> np.ndarray:
    """Mistake: label the pieces with the smallest numbers."""
    return np.flatnonzero(np.isin(piece, np.unique(piece)[:budget]))


def _budget_one_more(piece: np.ndarray, order: list[int], budget: int) -> np.ndarray:
    """Mistake: one piece too many."""
    return np.flatnonzero(np.isin(piece, order[: budget + 1]))


def _budget_the_rest(piece: np.ndarray, order: list[int], budget: int) -> np.ndarray:
    """Mistake: the pieces that are not labelled."""
    return np.flatnonzero(np.isin(piece, order[budget:]))


_PIECE = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3])


def _features() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Make features of a few examples; the test lies elsewhere."""
    labelled = np.array([[1.0, 10.0], [3.0, 30.0], [5.0, 20.0]])
    return ((labelled, np.array([[9.0, 0.0], [7.0, 5.0]])), (labelled[:2], np.array([[2.0, 20.0], [4.0, 80.0]])))


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="1a.1",
        title="Which beats may be fitted?",
        minutes=5,
        task=(
            "Write `may_fit(piece, test_pieces)`. `piece` is an array with the number of the piece in which each beat "
            "stands; `test_pieces` is a list of numbers. Return a Boolean array: True for the beats to which a probe "
            "may be fitted."
        ),
        hint="Beats of one piece share key, hymn and habits of setting. `np.isin` compares with a list.",
        cases=lambda: ((_PIECE, [1, 3]), (np.array([5, 5, 7, 7, 7, 6]), [7])),
        solution=may_fit,
        mistakes=(
            Mistake(_fit_the_test, "Upside down: you fit to the test pieces and keep the others back."),
            Mistake(
                _fit_everything,
                "You fit to every beat. The probe sees the test pieces, and its score says how well it remembers.",
            ),
            Mistake(
                _fit_by_row,
                "You take the numbers of pieces for places in the array: compare `piece` with them, not the index.",
            ),
            Mistake(
                _fit_some_beats,
                "You keep the right number of beats back, but cut through pieces: the probe sees one half of a piece "
                "and is tested on the other, in the same key.",
            ),
            Mistake(
                _fit_after_the_first_beat,
                "You keep one beat of each test piece back and fit to the rest of it. A test piece is kept back whole.",
            ),
        ),
        fact="whole pieces are kept for the test; in the second case {outputs[1]}.",
    ),
    Exercise(
        id="1a.2",
        title="When to stop",
        minutes=5,
        task=(
            "A network is measured now and then while it trains, on pieces left out of training and on test pieces. "
            "Write `stop_and_report(valid_nats, test_nats)`: the number of the report at which to stop, from 0, and "
            "the loss to publish."
        ),
        hint="Who may choose? Which number has chosen nothing?",
        cases=lambda: (
            ([1.2, 0.8, 0.7, 0.9], [1.3, 1.0, 1.1, 0.95]),
            ([0.9, 0.8, 0.85, 0.87], [0.7, 0.99, 0.8, 0.9]),
        ),
        solution=stop_and_report,
        mistakes=(
            Mistake(
                _stop_on_test,
                "You stop where the test loss is lowest: then the test has chosen, and its loss is too good. Choose by "
                "the pieces left out.",
            ),
            Mistake(
                _stop_and_report_valid,
                "You publish the loss that chose the report. The lowest of several is too good; publish that of the "
                "test at this report.",
            ),
            Mistake(
                _stop_and_report_best,
                "You stop at the right report and publish the best test loss ever seen, which belongs to another one.",
            ),
            Mistake(_stop_at_the_end, "You do not stop: report {expected} is asked for, you give {found}."),
            Mistake(_stop_at_the_worst, "You take the largest loss; lower is better."),
            Mistake(_stop_at_the_mean, "You add both losses: half of the choice is then the test's. It may have none."),
        ),
        fact="report and loss are {outputs[0]} in the first case; the test is lower elsewhere, and has no say.",
        tolerance=1e-9,
    ),
    Exercise(
        id="1a.3",
        title="Skill, or the commonest class?",
        minutes=10,
        task=(
            "Write `balanced_accuracy(label, predicted)` for two arrays of classes: for each class that occurs in "
            "`label` the share of its examples that are answered right, and of these shares the mean."
        ),
        hint="`np.unique(label)` gives the classes that occur.",
        cases=lambda: (
            (np.array([0] * 9 + [1]), np.zeros(10, int)),
            (np.array([0, 0, 0, 0, 3, 3]), np.array([0, 0, 0, 3, 3, 1])),
        ),
        solution=balanced_accuracy,
        mistakes=(
            Mistake(
                _plain_accuracy,
                "This is plain accuracy: for {input}, where nearly every example is of one class, always answering "
                "that class gives {found}.",
            ),
            Mistake(
                _balanced_precision,
                "You group by the answer given, which says how often an answer can be trusted; group by the right one.",
            ),
            Mistake(_balanced_over_all, "You divide by classes that do not occur too; nobody could get them right."),
            Mistake(_balanced_sum, "You add the shares; take their mean."),
            Mistake(_only_the_rare, "You count one class alone; whoever always answered it would be perfect."),
            Mistake(
                _above_majority,
                "You subtract what the commonest class reaches from plain accuracy: a good idea, and another measure.",
            ),
        ),
        fact="always giving one of two answers is worth {outputs[0]}, however common it is.",
        tolerance=1e-9,
    ),
    Exercise(
        id="1a.4",
        title="Standardise",
        minutes=10,
        task=(
            "Write `standardise(labelled, test)` for two arrays `(n_examples, n_features)`: bring every feature to "
            "mean 0 and standard deviation 1 on the labelled examples, and treat the test examples in the same way. "
            "Return both."
        ),
        hint="Whatever is fitted, means included, is fitted to labelled examples. One mean a feature: `axis=0`.",
        cases=_features,
        solution=standardise,
        mistakes=(
            Mistake(
                _standardise_together,
                "You measure labelled and test examples together: the probe then knows where the test lies before it "
                "is asked.",
            ),
            Mistake(
                _standardise_each,
                "You measure each set by itself: then the same music has different features on the two sides, and the "
                "test is used besides.",
            ),
            Mistake(_standardise_by_test, "You measure the test examples; measure the labelled ones."),
            Mistake(_standardise_numbers, "You use one mean for all features; each feature has its own unit."),
            Mistake(_only_centre, "The means are right; divide by the standard deviations too."),
            Mistake(
                _standardise_labelled_only, "The test stays in other units than those that the probe was fitted to."
            ),
        ),
        fact="the test has no mean of 0, and need not have.",
        tolerance=1e-9,
        case_names=("three labelled and two test examples", "two labelled and two test examples"),
    ),
    Exercise(
        id="1a.5",
        title="What a budget buys",
        minutes=5,
        task=(
            "Write `labelled_beats(piece, order, budget)`. Somebody labels whole pieces, in the order of the list "
            "`order`, and stops after `budget` pieces. Return the places of the labelled beats in the array `piece`, "
            "rising."
        ),
        hint="A budget of 2 may be many beats.",
        cases=lambda: ((_PIECE, [2, 0, 3, 1], 2), (_PIECE, [3, 1, 2, 0], 1)),
        solution=labelled_beats,
        mistakes=(
            Mistake(_budget_of_beats, "You label {found}: beats, not pieces, and all from the start of the corpus."),
            Mistake(
                _budget_spread,
                "You label one beat of each piece. That many beats of different pieces tell far more than one piece, "
                "and nobody labels so.",
            ),
            Mistake(_budget_of_each_piece, "You label some beats of every piece; then every piece is seen."),
            Mistake(_budget_in_file_order, "You label the pieces with the smallest numbers: follow `order`."),
            Mistake(_budget_one_more, "You label one piece too many."),
            Mistake(_budget_the_rest, "Upside down: these beats are not labelled."),
        ),
        fact="two pieces are {outputs[0]}: as many beats as they have.",
    ),
)
