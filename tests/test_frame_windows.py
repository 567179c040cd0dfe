"""Windows of frames: nothing lost, nothing crossed, every window in a key that its own pitches allow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.batches import FrameBatch, allowed_intervals, random_frame_batches

NO_TRANSPOSITION = range(1)


def numbered(*lengths):
    """Pieces in which every cell says where it stands: step s, voice v of piece p holds 10000 p + 10 s + v + 100."""
    return [10000 * p + 100 + 10 * np.arange(n)[:, None] + np.arange(4) for p, n in enumerate(lengths)]


def draw(pieces, n_windows, n_steps, seed=0, **settings) -> FrameBatch:
    return next(random_frame_batches(pieces, n_windows, n_steps, np.random.default_rng(seed), **settings))


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), n_steps=st.integers(1, 12))
def test_a_window_is_a_stretch_of_its_piece_padded_only_beyond_the_end(lengths, n_steps):
    pieces = numbered(*lengths)
    batch = draw(pieces, 7, n_steps, pitch_ids=range(1, 47))
    for row in range(7):
        piece, start = pieces[batch.piece_index[row]], batch.start_step[row]
        there = piece[start : start + n_steps]
        np.testing.assert_array_equal(batch.frames[row, : len(there)], there)
        assert batch.is_padding[row].tolist() == [False] * len(there) + [True] * (n_steps - len(there))
        assert (batch.frames[row, len(there) :] == 0).all()
        assert start == 0 or start + n_steps <= len(piece)


def test_every_step_is_seen_at_least_a_third_as_often_as_any_other():
    batch = draw(numbered(40), 8000, 8)
    assert batch.start_step.min() == 0
    assert batch.start_step.max() == 32
    seen = np.bincount((batch.start_step[:, None] + np.arange(8)).ravel())
    assert seen.min() > 0.3 * seen.max()


def test_pieces_are_drawn_in_proportion_to_their_length():
    batch = draw(numbered(100, 300), 4000, 1)
    assert abs(batch.piece_index.mean() - 0.75) < 0.03


def test_a_short_piece_is_taken_whole():
    batch = draw(numbered(3), 5, 8)
    assert (batch.start_step == 0).all()
    assert ((~batch.is_padding).sum(axis=1) == 3).all()


def test_voices_move_together_by_every_interval_and_rests_stay():
    piece = np.array([[20, 15, 10, 0], [0, 15, 11, 5]])
    batch = draw([piece], 400, 3)
    shift = batch.frames[:, 0, 0] - 20
    assert set(shift.tolist()) == set(range(-4, 7))  # the bass stands four semitones above the lowest pitch
    np.testing.assert_array_equal(batch.frames[:, :2], np.where(piece > 0, piece + shift[:, None, None], 0))


def test_each_allowed_interval_is_drawn_equally_often():
    batch = draw([np.full((1, 4), 44)], 8000, 1)
    counts = np.bincount(batch.frames[:, 0, 0] - 39)
    assert len(counts) == 8  # down five to up two
    assert abs(counts - 1000).max() < 130


def test_a_window_is_bound_by_its_own_pitches_alone():
    piece = np.full((60, 4), 20)
    piece[:30, 0] = 46
    batch = draw([piece], 500, 5)
    is_high = (batch.start_step < 30) & (batch.start_step >= 0)
    shift = batch.frames[:, 0, 3] - 20
    assert batch.frames.max() == 46
    assert shift[is_high].max() == 0
    assert shift[~is_high].max() == 6
    assert set(shift[is_high].tolist()) == set(allowed_intervals(piece[:5], range(1, 47)).tolist())


def test_without_transposition_and_with_nothing_but_rests_nothing_moves():
    piece = np.array([[20, 15, 10, 5]])
    assert (draw([piece], 50, 1, semitones=NO_TRANSPOSITION).frames == piece).all()
    assert (draw([np.zeros((4, 4), int)], 50, 2).frames == 0).all()


def test_the_same_generator_gives_the_same_batches_and_another_does_not():
    def three(seed):
        batches = random_frame_batches(numbered(40), 2, 5, np.random.default_rng(seed))
        return np.stack([batch.frames for batch in itertools.islice(batches, 3)])

    np.testing.assert_array_equal(three(3), three(3))
    assert not np.array_equal(three(3), three(4))


def test_drawing_changes_no_piece():
    piece = np.full((9, 4), 20)
    batch = draw([piece], 8, 3)
    batch.frames[:] = 1
    assert (piece == 20).all()


@pytest.mark.parametrize("piece", [np.zeros((0, 4), int), np.zeros(8, int), np.zeros((4, 3), int), np.zeros((4, 4))])
def test_what_is_not_frames_of_ids_is_refused(piece):
    with pytest.raises(ValueError, match=r"must be an array \(n_steps, 4\) of whole token ids; piece 1 has shape"):
        draw([np.ones((4, 4), int), piece], 1, 2)


def test_pitches_given_as_ids_are_refused():
    with pytest.raises(ValueError, match="must be 0 or more; piece 0 has -1"):
        draw([np.full((4, 4), -1)], 1, 2)


def test_an_empty_corpus_is_refused():
    with pytest.raises(ValueError, match="at least one piece; found none"):
        draw([], 1, 2)


@pytest.mark.parametrize("counts, name", [((0, 4), "n_windows"), ((4, 0), "n_steps")])
def test_counts_that_are_not_positive_are_refused(counts, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1; found 0"):
        draw(numbered(5), *counts)


def test_a_seed_in_place_of_a_generator_is_refused_at_once():
    with pytest.raises(TypeError, match=r"random_frame_batches draws from a numpy\.random\.Generator; found int"):
        random_frame_batches(numbered(5), 2, 4, 0)


def test_pitch_ids_that_are_not_consecutive_are_refused():
    with pytest.raises(ValueError, match="pitch_ids must be consecutive ids, one a semitone"):
        draw(numbered(5), 1, 2, pitch_ids=range(1, 47, 2))


def test_padding_is_no_pitch_even_where_0_is_one():
    batches = random_frame_batches([np.full((3, 4), 5)], 8, 6, np.random.default_rng(0), range(-2, 3), range(12))
    drawn = [next(batches) for _ in range(20)]
    assert all((batch.frames[batch.is_padding] == 0).all() for batch in drawn)
    assert {int(batch.frames[row, 0, 0]) for batch in drawn for row in range(8)} == {3, 4, 5, 6, 7}
