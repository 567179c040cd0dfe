"""Windows: nothing lost, nothing crossed, nothing moved that should stay."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.batches import allowed_intervals, cut_windows, random_batches, transpose_ids

PITCH_IDS = range(1, 47)
BEGIN = 47


def pieces_of(*lengths):
    """Pieces in which every token says where it stands: piece 0 is 0, 1, 2, ..., piece 1 is 1000, 1001, ..."""
    return [np.arange(length) + 1000 * index for index, length in enumerate(lengths)]


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), context_length=st.integers(1, 12))
def test_windows_without_overlap_hold_every_token_once(lengths, context_length):
    pieces = pieces_of(*lengths)
    batch = cut_windows(pieces, context_length, begin_id=-7)
    np.testing.assert_array_equal(batch.targets[~batch.is_padding], np.concatenate(pieces))


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    context_length=st.integers(5, 12),
    stride_token=st.integers(1, 5),
)
def test_every_input_is_the_token_before_its_target(lengths, context_length, stride_token):
    batch = cut_windows(pieces_of(*lengths), context_length, -7, stride_token)
    before = np.where(batch.targets % 1000 == 0, -7, batch.targets - 1)
    np.testing.assert_array_equal(batch.token_ids[~batch.is_padding], before[~batch.is_padding])
    assert (batch.targets // 1000 == batch.piece_index[:, None])[~batch.is_padding].all()
    np.testing.assert_array_equal(batch.targets[:, 0] % 1000, batch.start_token)
    assert (batch.start_token % stride_token == 0).all()


def test_a_piece_of_five_tokens_by_hand():
    batch = cut_windows([[5, 6, 7, 8, 9]], 3, begin_id=99)
    assert batch.token_ids.tolist() == [[99, 5, 6], [7, 8, 99]]
    assert batch.targets.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.is_padding.tolist() == [[False, False, False], [False, False, True]]


def test_a_piece_that_fills_its_windows_needs_no_padding():
    batch = cut_windows([[5, 6, 7, 8]], 2, begin_id=99)
    assert batch.targets.tolist() == [[5, 6], [7, 8]]
    assert not batch.is_padding.any()


def test_random_windows_begin_at_multiples_of_the_stride_and_reach_both_ends():
    batches = random_batches(pieces_of(23, 9), 50, 8, np.random.default_rng(0), BEGIN, stride_token=4)
    batch = next(batches)
    seen = {(int(p), int(s)) for p, s in zip(batch.piece_index, batch.start_token, strict=True)}
    assert seen == {(0, 0), (0, 4), (0, 8), (0, 12), (0, 16), (1, 0), (1, 4)}


def test_pieces_are_drawn_in_proportion_to_their_windows():
    batches = random_batches(pieces_of(100, 300), 4000, 1, np.random.default_rng(1), BEGIN)
    assert abs(next(batches).piece_index.mean() - 0.75) < 0.03


def test_the_same_generator_gives_the_same_batches_and_another_does_not():
    def three_batches(seed):
        batches = random_batches(pieces_of(40), 2, 5, np.random.default_rng(seed), BEGIN)
        return np.stack([batch.targets for batch in itertools.islice(batches, 3)])

    np.testing.assert_array_equal(three_batches(3), three_batches(3))
    assert not np.array_equal(three_batches(3), three_batches(4))


def test_transposition_moves_inputs_and_targets_alike_and_leaves_rests_and_the_begin_symbol():
    piece = np.array([0, 20, 25, 0, 30, 21])
    batches = random_batches([piece], 64, 8, np.random.default_rng(0), BEGIN, pitch_ids=PITCH_IDS)
    batch = next(batches)
    shift = batch.targets[:, 1] - 20
    assert set(shift.tolist()) == set(range(-5, 7))
    assert (batch.token_ids[:, 0] == BEGIN).all()
    expected = np.where(piece > 0, piece + shift[:, None], 0)
    np.testing.assert_array_equal(batch.targets[:, :6], expected)
    np.testing.assert_array_equal(batch.token_ids[:, 1:6], expected[:, :5])
    assert (batch.targets[:, 6:] == 0).all()
    assert batch.is_padding[:, 6:].all()


def test_no_window_leaves_the_vocabulary_even_when_the_high_note_lies_elsewhere_in_the_piece():
    piece = np.array([46, 10, 10, 10, 10, 10, 10, 10])
    batches = random_batches([piece], 64, 2, np.random.default_rng(0), BEGIN, pitch_ids=PITCH_IDS)
    assert next(batches).targets.max() <= 46
    assert allowed_intervals(piece, PITCH_IDS).tolist() == [-5, -4, -3, -2, -1, 0]


def test_without_pitches_there_is_nothing_to_transpose():
    assert allowed_intervals([0, 0, 0, 0], PITCH_IDS).tolist() == [0]


def test_transposing_there_and_back_changes_nothing():
    ids = np.array([0, 10, 20, 47])
    there = transpose_ids(ids, 5, PITCH_IDS)
    assert there.tolist() == [0, 15, 25, 47]
    np.testing.assert_array_equal(transpose_ids(there, -5, PITCH_IDS), ids)


def test_an_interval_that_leaves_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match=r"must stay among ids 1\.\.46; moved by 5 they reach 50\.\.50"):
        transpose_ids([45], 5, PITCH_IDS)


def test_an_empty_corpus_is_refused():
    with pytest.raises(ValueError, match="at least one piece; found none"):
        cut_windows([], 8, BEGIN)


@pytest.mark.parametrize("piece", [[], [[1, 2], [3, 4]], [0.5, 1.5]])
def test_what_is_not_a_row_of_ids_is_refused(piece):
    with pytest.raises(ValueError, match="one-dimensional, non-empty array of whole token ids; piece 1 has shape"):
        cut_windows([[1, 2], piece], 8, BEGIN)


@pytest.mark.parametrize("name, lengths", [("context_length", (0, 1)), ("stride_token", (4, 0))])
def test_lengths_that_are_not_positive_are_refused(name, lengths):
    with pytest.raises(ValueError, match=f"{name} must be at least 1; found 0"):
        cut_windows([[1, 2]], lengths[0], BEGIN, lengths[1])


def test_a_stride_that_skips_tokens_is_refused():
    with pytest.raises(ValueError, match="must not exceed context_length = 4, or tokens between .* found 5"):
        cut_windows([[1, 2]], 4, BEGIN, 5)


def test_a_seed_in_place_of_a_generator_is_refused_at_once():
    with pytest.raises(TypeError, match=r"numpy\.random\.Generator; found int"):
        random_batches([[1, 2]], 2, 4, 0, BEGIN)


def test_a_batch_without_windows_is_refused():
    with pytest.raises(ValueError, match="n_windows must be at least 1; found 0"):
        random_batches([[1, 2]], 0, 4, np.random.default_rng(0), BEGIN)


@pytest.mark.parametrize("name, lengths", [("context_length", (2.5, 1)), ("stride_token", (4, 1.0))])
def test_lengths_that_are_not_whole_are_refused(name, lengths):
    with pytest.raises(TypeError, match=f"{name} must be a whole number; found"):
        cut_windows([[1, 2]], lengths[0], BEGIN, lengths[1])


def test_grids_given_as_ids_are_refused():
    with pytest.raises(ValueError, match="must be 0 or more; piece 1 has -1. Are these pitches with -1 for a rest"):
        cut_windows([[1, 2], [60, -1]], 8, BEGIN)


def test_a_begin_symbol_that_would_be_transposed_is_refused():
    with pytest.raises(ValueError, match=r"found begin_id=3 among pitch ids 1\.\.46"):
        random_batches([[1, 2]], 2, 4, np.random.default_rng(0), begin_id=3, pitch_ids=PITCH_IDS)


@pytest.mark.parametrize("pitch_ids", [range(1, 47, 2), range(5, 5)])
def test_pitch_ids_that_are_not_consecutive_are_refused(pitch_ids):
    for call in (allowed_intervals, lambda ids, pitch_ids: transpose_ids(ids, 1, pitch_ids)):
        with pytest.raises(ValueError, match="pitch_ids must be consecutive ids, one a semitone"):
            call([5, 6], pitch_ids)


def test_transposition_does_not_cut_fractions():
    with pytest.raises(TypeError, match="Token ids must be whole numbers; found float64"):
        transpose_ids([1.5, 2], 1, PITCH_IDS)
    with pytest.raises(TypeError, match=r"semitones must be a whole number; found 0\.5"):
        transpose_ids([1, 2], 0.5, PITCH_IDS)


def test_neither_windows_nor_transposition_change_what_they_are_given():
    piece = np.array([5, 9, 13, 2, 7])
    next(random_batches([piece], 8, 3, np.random.default_rng(0), BEGIN, pitch_ids=PITCH_IDS))
    transpose_ids(piece, 2, PITCH_IDS)
    batch = cut_windows([piece], 3, BEGIN)
    batch.targets[:] = 0
    assert piece.tolist() == [5, 9, 13, 2, 7]
