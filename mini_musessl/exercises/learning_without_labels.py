"""Checkers of the exercises of notebook 1a; tasks, hints and solutions stand there. Chapter: 1a."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def may_fit(piece, test_pieces):
    return ~np.isin(piece, test_pieces)

def _fit_after_the_first_beat(piece, test_pieces):
    fits = np.ones(len(piece), bool)
    for number in test_pieces:
        fits[np.flatnonzero(piece == number)[:1]] = False
    return fits

PIECE = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3])

checker("1a.1", may_fit,
    draw=lambda rng: (np.sort(rng.integers(0, 5, 9)), rng.choice(5, 2, replace=False).tolist()),
    cases=[(PIECE, [1, 3]), (np.array([5, 5, 7, 7, 7, 6]), [7])],
    fact="whole pieces are kept for the test; in the second case {outputs[1]}.", mistakes=[
    (lambda piece, test: ~may_fit(piece, test),
     "Your answer is inverted: you fit to the test pieces and keep the others back."),
    (lambda piece, test: np.ones(len(piece), bool),
     "You fit to every beat. The probe sees the test pieces, and its score says how well it remembers."),
    (lambda piece, test: may_fit(np.arange(len(piece)), test),
     "You take the numbers of pieces for places in the array: compare `piece` with them, not the index."),
    (lambda piece, test: np.arange(len(piece)) < may_fit(piece, test).sum(),
     "You keep the right number of beats back, but cut through pieces: the probe sees one half of a piece and is "
     "tested on the other, in the same key."),
    (_fit_after_the_first_beat,
     "You keep one beat of each test piece back and fit to the rest of it. A test piece is kept back whole.")])


def stop_and_report(valid_nats, test_nats):
    report = int(np.argmin(valid_nats))
    return report, test_nats[report]

checker("1a.2", stop_and_report,
    draw=lambda rng: tuple(rng.random((2, rng.integers(1, 7))).tolist()),
    tolerance=1e-9,
    cases=[([1.2, 0.8, 0.7, 0.9], [1.3, 1.0, 1.1, 0.95]), ([0.9, 0.8, 0.85, 0.87], [0.7, 0.99, 0.8, 0.9])],
    fact="report and loss are {outputs[0]} in the first case; the test is lower elsewhere, and has no say.", mistakes=[
    (lambda valid, test: stop_and_report(test, test),
     "You stop where the test loss is lowest: then the test has chosen, and its loss is too good. Choose by the pieces "
     "left out."),
    (lambda valid, test: stop_and_report(valid, valid),
     "You publish the loss that chose the report. The lowest of several is too good; publish that of the test at this "
     "report."),
    (lambda valid, test: (int(np.argmin(valid)), min(test)),
     "You stop at the right report and publish the best test loss ever seen, which belongs to another one."),
    (lambda valid, test: (len(test) - 1, test[-1]),
     "You do not stop: you give the last report. Choose the one with the lowest loss on the pieces left out."),
    (lambda valid, test: stop_and_report(np.negative(valid), test), "You take the largest loss; lower is better."),
    (lambda valid, test: stop_and_report(np.add(valid, test), test),
     "You add both losses: half of the choice is then the test's. It may have none.")])


def _shares(label, predicted):
    return [np.mean(predicted[label == each] == each) for each in np.unique(label)]

def balanced_accuracy(label, predicted):
    return float(np.mean(_shares(label, predicted)))

checker("1a.3", balanced_accuracy,
    draw=lambda rng: tuple(rng.integers(0, 4, (2, rng.integers(1, 9)))),
    tolerance=1e-9,
    cases=[(np.array([0] * 9 + [1]), np.zeros(10, int)), (np.array([0, 0, 0, 0, 3, 3]), np.array([0, 0, 0, 3, 3, 1]))],
    fact="always giving one of two answers is worth {outputs[0]}, however common it is.", mistakes=[
    (lambda label, predicted: float(np.mean(label == predicted)),
     "This is plain accuracy: for {input}, where nearly every example is of one class, always answering that class "
     "gives {found}."),
    (lambda label, predicted: balanced_accuracy(predicted, label),
     "You group by the answer given, which says how often an answer can be trusted; group by the right one."),
    (lambda label, predicted: float(sum(_shares(label, predicted)) / (max(label.max(), predicted.max()) + 1)),
     "You divide by classes that do not occur too; they cannot be answered right."),
    (lambda label, predicted: float(sum(_shares(label, predicted))), "You add the shares; take their mean."),
    (lambda label, predicted: float(_shares(label, predicted)[-1]),
     "You count one class alone; whoever always answered it would be perfect."),
    (lambda label, predicted: float(np.mean(label == predicted) - np.bincount(label).max() / len(label)),
     "You subtract what the commonest class reaches from plain accuracy: a good idea, and another measure.")])


def standardise(labelled, test):
    mean, deviation = labelled.mean(axis=0), labelled.std(axis=0)
    return (labelled - mean) / deviation, (test - mean) / deviation

LABELLED = np.array([[1.0, 10.0], [3.0, 30.0], [5.0, 20.0]])

checker("1a.4", standardise,
    draw=lambda rng: (rng.normal(5, 3, (4, 3)), rng.normal(5, 3, (2, 3))),
    tolerance=1e-9,
    cases=[(LABELLED, np.array([[9.0, 0.0], [7.0, 5.0]])), (LABELLED[:2], np.array([[2.0, 20.0], [4.0, 80.0]]))],
    case_names=["three labelled and two test examples", "two labelled and two test examples"],
    fact="the test has no mean of 0, and need not have.", mistakes=[
    (lambda labelled, test: [standardise(np.vstack([labelled, test]), each)[1] for each in (labelled, test)],
     "You measure labelled and test examples together: the probe then knows where the test lies before it is asked."),
    (lambda labelled, test: [standardise(each, each)[1] for each in (labelled, test)],
     "You measure each set by itself: then the same music has different features on the two sides, and the test is "
     "used besides."),
    (lambda labelled, test: standardise(test, labelled)[::-1],
     "You measure the test examples; measure the labelled ones."),
    (lambda labelled, test: [(each - labelled.mean()) / labelled.std() for each in (labelled, test)],
     "You use one mean for all features; each feature has its own unit."),
    (lambda labelled, test: [each - labelled.mean(axis=0) for each in (labelled, test)],
     "The means are right; divide by the standard deviations too."),
    (lambda labelled, test: (standardise(labelled, test)[0], test),
     "The test stays in other units than those that the probe was fitted to.")])


def labelled_beats(piece, order, budget):
    return np.flatnonzero(np.isin(piece, order[:budget]))

checker("1a.5", labelled_beats,
    draw=lambda rng: (np.repeat(range(4), rng.integers(1, 4, 4)), rng.permutation(4).tolist(), int(rng.integers(1, 5))),
    cases=[(PIECE, [2, 0, 3, 1], 2), (PIECE, [3, 1, 2, 0], 1)],
    fact="two pieces are {outputs[0]}: as many beats as they have.", mistakes=[
    (lambda piece, order, budget: np.arange(budget),
     "You label {found}: beats, not pieces, and all from the start of the corpus."),
    (lambda piece, order, budget: np.sort([np.flatnonzero(piece == number)[0] for number in order[:budget]]),
     "You label one beat of each piece. That many beats of different pieces tell far more than one piece, and "
     "labels are not collected so."),
    (lambda piece, order, budget: np.sort(np.hstack([np.flatnonzero(piece == n)[:budget] for n in order])),
     "You label some beats of every piece; then every piece is seen."),
    (lambda piece, order, budget: labelled_beats(piece, np.unique(piece), budget),
     "You label the pieces with the smallest numbers: follow `order`."),
    (lambda piece, order, budget: labelled_beats(piece, order, budget + 1), "You label one piece too many."),
    (lambda piece, order, budget: np.flatnonzero(np.isin(piece, order[budget:])),
     "Your answer is inverted: these beats are not labelled.")])
