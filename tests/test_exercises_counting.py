"""The solutions of chapter 2a agree with the library that they explain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.evaluation import counting, likelihood
from mini_musessl.evaluation.counting import BackoffCounts, musical_viewpoints
from mini_musessl.exercises import counting as chapter_2a

VOICE = st.lists(st.integers(40, 42), min_size=1, max_size=30).map(np.array)


def test_bits_per_quarter_are_those_of_a_likelihood():
    found = likelihood.evaluate_likelihood(counting.Uniform(), [[[60, 55, 52, 48]] * 3])
    assert chapter_2a.bits_per_quarter(found.nats_per_token) == pytest.approx(found.bits_per_quarter)


@given(st.lists(st.integers(0, 4), max_size=9), st.lists(st.floats(0.1, 1), min_size=5, max_size=5))
def test_witten_bell_is_one_level_of_backing_off(symbols, weights):
    prior = np.array(weights) / sum(weights)
    # A context that is another one when nothing was seen.
    seen, asked = np.array([*symbols, 0]), np.array([7] * len(symbols) + [8])
    found = BackoffCounts([asked], seen, n_symbols=5).probabilities([np.array([7])], prior[None])[0]
    np.testing.assert_allclose(chapter_2a.witten_bell(np.bincount(symbols, minlength=5), prior), found)


@given(VOICE)
def test_steps_held_are_the_viewpoint_of_the_library(voice):
    held = chapter_2a.steps_held(voice)
    found = musical_viewpoints(np.repeat((voice - 35)[:, None], 4, axis=1))
    np.testing.assert_array_equal(held.clip(max=16), found["hold"][:, 2])


def test_an_n_gram_of_the_library_looks_at_the_context_of_the_exercise():
    ids = np.random.default_rng(0).integers(0, 3, size=(40, 4))
    model = counting.NGram([np.where(ids == 0, -1, ids + 35)], order=3, semitones=range(1))
    row, log_probs = ids.reshape(-1).tolist(), model.symbol_log_probs(ids).reshape(-1, 47)
    contexts = [chapter_2a.context(row, i, 3) for i in range(len(row))]
    for one in range(len(row)):
        for other in range(one):
            if contexts[one] == contexts[other]:
                np.testing.assert_array_equal(log_probs[one], log_probs[other])
    assert len(np.unique(log_probs, axis=0)) == len(set(contexts))


def test_same_again_is_a_mixture():
    chorales = [np.random.default_rng(1).integers(60, 63, size=(30, 4))]
    ids = chorales[0] - 35
    model = counting.SameAgain(chorales)
    certain = (ids[1:] == ids[:-1]).reshape(-1).astype(float)
    counted = np.exp(likelihood.token_log_probs(counting.Unigram(chorales), chorales[0]))[1:].reshape(-1)
    expected = -likelihood.token_log_probs(model, chorales[0])[1:].mean()
    assert chapter_2a.mixture_nats(certain, counted, model.repeat_share) == pytest.approx(expected)


def test_the_leak_of_a_model_that_is_told_the_bass_is_found():
    def log_probs(ids):
        return -np.repeat(ids[:, 3:] / 50, 4, axis=1).reshape(-1)

    ids = np.random.default_rng(2).integers(1, 47, size=(6, 4))
    changed = ids.copy()
    changed[4, 3] = 0
    assert chapter_2a.first_leak(log_probs(ids), log_probs(changed), 4 * 4 + 3) == 16
    assert chapter_2a.first_leak(log_probs(ids), log_probs(ids), 23) == -1
