"""The solutions of chapter 4d put together are the loss of the library."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.exercises import contrast as chapter_4d
from mini_musessl.objectives.contrastive import ContrastiveBatch, info_nce


@given(st.integers(2, 6), st.floats(0.1, 2), st.integers(0, 1000))
def test_cosines_temperature_and_surprise_are_info_nce(n_windows, temperature, seed):
    first, second = np.random.default_rng(seed).normal(size=(2, n_windows, 4))
    points = np.concatenate((first, second))
    scores = chapter_4d.cosines_of(points, points) / temperature
    expected = info_nce(torch.from_numpy(first), torch.from_numpy(second), temperature).item()
    assert chapter_4d.mean_surprise(scores) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_one_choice_is_a_row_of_the_loss():
    first, second = np.random.default_rng(0).normal(size=(2, 3, 4))
    points = np.concatenate((first, second))
    cosines = chapter_4d.cosines_of(points, points)
    surprises = []
    for row, is_wrong in enumerate(chapter_4d.wrong_candidates(3)):
        candidates = [(row + 3) % 6, *np.flatnonzero(is_wrong)]
        surprises.append(-np.log(chapter_4d.pick(cosines[row, candidates], 0.2)[0]))
    expected = info_nce(torch.from_numpy(first), torch.from_numpy(second), 0.2).item()
    assert np.mean(surprises) == pytest.approx(expected, rel=1e-5)


def test_false_negatives_are_those_of_a_batch():
    piece, hymn = np.array([4, 4, 1, 2, 1, 9]), np.array([0, 0, 3, 3, 3, 5])
    empty = np.zeros((2, 6, 1, 4), np.int64)
    zeros = empty[..., 0, 0]
    batch = ContrastiveBatch(empty, empty > 0, empty[..., 0] > 0, zeros, zeros, piece_index=piece, hymn_index=hymn)
    np.testing.assert_array_equal(chapter_4d.false_negatives(piece, hymn), batch.is_false_negative)
