"""The solutions of notebook 00 agree with the library that they explain."""

import numpy as np
import pytest
import torch

from mini_musessl.batches import cut_windows
from mini_musessl.evaluation import counting
from mini_musessl.exercises import first_road


def test_the_uniform_mark_is_the_librarys():
    assert first_road.uniform_nats(47) == counting.uniform_nats(47)


def test_inputs_and_targets_are_those_of_a_window_that_holds_the_piece():
    piece = np.random.default_rng(0).integers(0, 47, 9)
    token_ids, targets = first_road.inputs_and_targets(piece, 47)
    batch = cut_windows([piece], 9, begin_id=47)
    np.testing.assert_array_equal(token_ids, batch.token_ids[0])
    np.testing.assert_array_equal(targets, batch.targets[0])


def test_the_unigram_mark_is_the_librarys_for_one_voice():
    train, test = np.random.default_rng(0).integers(0, 9, 50), np.random.default_rng(1).integers(0, 12, 20)
    expected = counting.unigram_nats([train], [test], vocabulary_size=12, n_voices=1)
    assert first_road.pooled_unigram_nats(train, test, 12) == pytest.approx(expected)


def test_temperature_divides_scores():
    logits = np.array([2.0, -1.0, 0.5])
    expected = (torch.tensor(logits) / 0.7).softmax(-1).numpy()
    np.testing.assert_allclose(first_road.with_temperature(logits, 0.7), expected)
