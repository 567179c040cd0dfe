"""The solutions of chapter 1a agree with the probes of the library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.evaluation import probing
from mini_musessl.evaluation.probing import draw_labelled
from mini_musessl.exercises import EXERCISES
from mini_musessl.exercises import learning_without_labels as chapter_1a

ANSWERS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


@given(ANSWERS)
def test_balanced_accuracy_is_that_of_a_probe(pairs):
    label, predicted = np.array(pairs).T
    right, total = probing.count_answers(label, predicted, np.zeros(len(label), int), 5)
    expected = probing.balanced_accuracy(right[0], total[0])
    assert chapter_1a.balanced_accuracy(label, predicted) == pytest.approx(expected)


def test_features_are_standardised_as_in_a_probe():
    generator = np.random.default_rng(0)
    labelled, test = generator.normal(3, 2, (12, 4)), generator.normal(5, 1, (6, 4))
    fitted = probing.fit_linear_probe(labelled, np.arange(12) % 2, 0.1)
    _, found = chapter_1a.standardise(labelled, test)
    np.testing.assert_allclose(found, (test - fitted.mean) / fitted.scale)


@pytest.mark.parametrize("budget", [1, 3])
def test_a_budget_buys_the_beats_that_a_probe_is_fitted_to(budget):
    piece = np.repeat(np.arange(8), [3, 1, 4, 1, 5, 9, 2, 6])
    split = probing.PieceSplit(tuple(range(6)), (6, 7))
    order = draw_labelled(split, np.arange(8), None, np.random.default_rng(2))
    drawn = draw_labelled(split, np.arange(8), budget, np.random.default_rng(2))
    found = chapter_1a.labelled_beats(piece, order, budget)
    np.testing.assert_array_equal(found, np.flatnonzero(np.isin(piece, drawn)))
    assert chapter_1a.may_fit(piece, list(split.test))[found].all()


def test_what_is_published_has_chosen_nothing():
    # Losses of pure chance: the lowest of many is too good, and the one chosen by others is not.
    generator = np.random.default_rng(0)
    losses = generator.normal(1, 0.1, (400, 2, 20))
    stop_on_test = EXERCISES["1a.2"].mistakes[0].answer
    published = [chapter_1a.stop_and_report(list(valid), list(test))[1] for valid, test in losses]
    too_good = [stop_on_test(list(valid), list(test))[1] for valid, test in losses]
    assert np.mean(published) == pytest.approx(1, abs=0.02)
    assert np.mean(too_good) < 0.85
