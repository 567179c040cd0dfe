"""Batches: nothing lost, nothing crossed, every window in a key that its pitches allow, every step scored once."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl.batches import (
    FrameBatch,
    allowed_intervals,
    best_window,
    cut_frame_windows,
    cut_windows,
    random_batches,
    random_frame_batches,
    side_by_side,
    transpose_ids,
    window_starts,
    windows_with_history,
)

PITCH_IDS = range(1, 47)
BEGIN = 47
lists_of_lengths = st.lists(st.integers(1, 30), min_size=1, max_size=4)


def rows(*lengths):
    """Pieces in which every token says where it stands: piece 0 is 0, 1, 2, ..., piece 1 is 1000, 1001, ..."""
    return [np.arange(length) + 1000 * index for index, length in enumerate(lengths)]


def grids(*lengths):
    """Pieces in which every cell says where it stands: step s, voice v of piece p holds 10000 p + 10 s + v + 100."""
    return [10000 * p + 100 + 10 * np.arange(n)[:, None] + np.arange(4) for p, n in enumerate(lengths)]


def chance(seed=0):
    return np.random.default_rng(seed)


def draw_tokens(pieces, n_windows, context_length, seed=0, **settings):
    return next(random_batches(pieces, n_windows, context_length, chance(seed), BEGIN, **settings))


def draw_frames(pieces, n_windows, n_steps, seed=0, **settings) -> FrameBatch:
    return next(random_frame_batches(pieces, n_windows, n_steps, chance(seed), **settings))


# --- Where windows stand


@given(n_steps=st.integers(1, 60), length=st.integers(1, 20), data=st.data(), is_spread=st.booleans())
def test_windows_cover_a_piece_without_gaps_and_none_is_more_than_needed(n_steps, length, data, is_spread):
    stride = data.draw(st.integers(1, length))
    starts = window_starts(n_steps, length, stride, is_spread)
    assert starts[0] == 0
    assert (np.diff(starts) <= stride).all()
    assert starts[-1] + length >= n_steps
    assert len(starts) == 1 or (len(starts) - 2) * stride + length < n_steps
    if is_spread and n_steps >= length:
        assert starts[-1] + length == n_steps


@given(n_steps=st.integers(1, 60), length=st.integers(2, 20), data=st.data())
def test_windows_with_history_score_every_step_once_after_as_much_history_as_any_window_has(n_steps, length, data):
    stride = data.draw(st.none() | st.integers(1, length - 1))
    windows = windows_with_history(n_steps, length, stride)
    assert [step for _, first, stop in windows for step in range(first, stop)] == list(range(n_steps))
    for start, first, stop in windows:
        assert stop - start <= length
        assert first == 0 or first - start == length - (length // 2 if stride is None else stride)


@given(n_steps=st.integers(1, 40), length=st.integers(1, 16))
def test_the_best_window_holds_the_step_and_is_cut_nowhere_nearer_than_another(n_steps, length):
    starts = window_starts(n_steps, length, max(1, length // 2), is_spread=True)
    best = best_window(starts, length, n_steps)

    def to_a_cut(start, step):
        if not start <= step < start + length:
            return -1
        cuts = [start - 1] * (start > 0) + [start + length] * (start + length < n_steps)
        return min((abs(cut - step) for cut in cuts), default=n_steps)

    for step in range(n_steps):
        distances = [to_a_cut(start, step) for start in starts.tolist()]
        assert best[step] == distances.index(max(distances))


def test_stretches_side_by_side_are_padded_at_their_ends():
    together, is_padding = side_by_side([np.array([1, 2, 3]), np.array([4])], fill=9)
    assert together.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert is_padding.tolist() == [[False] * 3, [False, True, True]]


@given(lengths=lists_of_lengths, n_steps=st.integers(1, 12))
def test_frame_windows_of_about_one_length_hold_every_step_once(lengths, n_steps):
    pieces = grids(*lengths)
    batches = cut_frame_windows(pieces, n_steps, n_windows=3)
    cells = np.concatenate([batch.frames[~batch.is_padding] for batch in batches])
    assert sorted(cells[:, 0]) == sorted(np.concatenate(pieces)[:, 0])
    for batch in batches:
        assert len(batch.frames) <= 3
        first = [pieces[piece][start, 0] for piece, start in zip(batch.piece_index, batch.start_step, strict=True)]
        assert batch.frames[:, 0, 0].tolist() == first


# --- Transposition


def test_transposing_there_and_back_changes_nothing_and_what_is_no_pitch_stays():
    ids = np.array([0, 10, 20, 47])
    there = transpose_ids(ids, 5, PITCH_IDS)
    assert there.tolist() == [0, 15, 25, 47]
    np.testing.assert_array_equal(transpose_ids(there, -5, PITCH_IDS), ids)


def test_a_high_note_allows_no_interval_upwards_in_any_window_of_its_piece():
    assert draw_tokens([np.array([46, *[10] * 7])], 64, 2, pitch_ids=PITCH_IDS).targets.max() <= 46
    assert allowed_intervals([46, 10, 10], PITCH_IDS).tolist() == [-5, -4, -3, -2, -1, 0]
    assert allowed_intervals([0, 0, 0, 0], PITCH_IDS).tolist() == [0]


# --- Windows of tokens


@given(lengths=lists_of_lengths, context_length=st.integers(1, 12))
def test_windows_without_overlap_hold_every_token_once(lengths, context_length):
    pieces = rows(*lengths)
    batch = cut_windows(pieces, context_length, begin_id=-7)
    np.testing.assert_array_equal(batch.targets[~batch.is_padding], np.concatenate(pieces))
    assert (batch.token_ids[batch.is_padding] == -7).all() and (batch.targets[batch.is_padding] == 0).all()


@given(lengths=lists_of_lengths, context_length=st.integers(5, 12), stride_token=st.integers(1, 5))
def test_every_input_is_the_token_before_its_target(lengths, context_length, stride_token):
    batch = cut_windows(rows(*lengths), context_length, -7, stride_token)
    before = np.where(batch.targets % 1000 == 0, -7, batch.targets - 1)
    np.testing.assert_array_equal(batch.token_ids[~batch.is_padding], before[~batch.is_padding])
    assert (batch.targets // 1000 == batch.piece_index[:, None])[~batch.is_padding].all()
    np.testing.assert_array_equal(batch.targets[:, 0] % 1000, batch.start_token)
    assert (batch.start_token % stride_token == 0).all()


def test_random_windows_begin_at_multiples_of_the_stride_and_reach_both_ends():
    batch = draw_tokens(rows(23, 9), 50, 8, stride_token=4)
    seen = {(int(p), int(s)) for p, s in zip(batch.piece_index, batch.start_token, strict=True)}
    assert seen == {(0, 0), (0, 4), (0, 8), (0, 12), (0, 16), (1, 0), (1, 4)}


def test_transposition_moves_inputs_and_targets_alike_and_leaves_rests_and_the_begin_symbol():
    piece = np.array([0, 20, 25, 0, 30, 21])
    batch = draw_tokens([piece], 64, 8, pitch_ids=PITCH_IDS)
    shift = batch.targets[:, 1] - 20
    assert set(shift.tolist()) == set(range(-5, 7))
    assert (batch.token_ids[:, 0] == BEGIN).all()
    expected = np.where(piece > 0, piece + shift[:, None], 0)
    np.testing.assert_array_equal(batch.targets[:, :6], expected)
    np.testing.assert_array_equal(batch.token_ids[:, 1:6], expected[:, :5])
    assert (batch.targets[:, 6:] == 0).all()
    assert batch.is_padding[:, 6:].all()


# --- Windows of frames


@given(lengths=lists_of_lengths, n_steps=st.integers(1, 12))
def test_a_window_is_a_stretch_of_its_piece_padded_only_beyond_the_end(lengths, n_steps):
    pieces = grids(*lengths)
    batch = draw_frames(pieces, 7, n_steps)
    for row in range(7):
        piece, start = pieces[batch.piece_index[row]], batch.start_step[row]
        there = piece[start : start + n_steps]
        np.testing.assert_array_equal(batch.frames[row, : len(there)], there)
        assert batch.is_padding[row].tolist() == [False] * len(there) + [True] * (n_steps - len(there))
        assert (batch.frames[row, len(there) :] == 0).all()
        assert start == 0 or start + n_steps <= len(piece)


def test_every_step_is_seen_at_least_a_third_as_often_as_any_other():
    batch = draw_frames(grids(40), 8000, 8)
    assert batch.start_step.min() == 0
    assert batch.start_step.max() == 32
    seen = np.bincount((batch.start_step[:, None] + np.arange(8)).ravel())
    assert seen.min() > 0.3 * seen.max()


def test_voices_move_together_by_every_interval_and_rests_stay():
    piece = np.array([[20, 15, 10, 0], [0, 15, 11, 5]])
    batch = draw_frames([piece], 400, 3)
    shift = batch.frames[:, 0, 0] - 20
    assert set(shift.tolist()) == set(range(-4, 7))  # the bass stands four semitones above the lowest pitch
    np.testing.assert_array_equal(batch.frames[:, :2], np.where(piece > 0, piece + shift[:, None, None], 0))
    assert (draw_frames([piece], 50, 2, semitones=range(1)).frames == piece).all()


def test_each_allowed_interval_is_drawn_equally_often():
    batch = draw_frames([np.full((1, 4), 44)], 8000, 1)
    counts = np.bincount(batch.frames[:, 0, 0] - 39)
    assert len(counts) == 8  # down five to up two
    assert abs(counts - 1000).max() < 130


def test_a_window_of_frames_is_bound_by_its_own_pitches_alone():
    piece = np.full((60, 4), 20)
    piece[:30, 0] = 46
    batch = draw_frames([piece], 500, 5)
    is_high = batch.start_step < 30
    shift = batch.frames[:, 0, 3] - 20
    assert batch.frames.max() == 46
    assert shift[~is_high].max() == 6
    assert set(shift[is_high].tolist()) == set(allowed_intervals(piece[:5], PITCH_IDS).tolist())


def test_voices_may_be_kept_in_ranges_of_their_own_and_a_window_that_fits_none_stays():
    pieces = [np.tile([30, 20, 15, 10], (9, 1)), np.tile([33, 20, 15, 10], (9, 1))]
    ranges = [[28, 32], [10, 40], [14, 30], [1, 46]]
    batch = draw_frames(pieces, 500, 5, ranges=ranges)
    shift = batch.frames[:, 0, 3] - 10
    assert set(shift[batch.piece_index == 0].tolist()) == {-1, 0, 1, 2}
    assert set(shift[batch.piece_index == 1].tolist()) == {-1}
    batch = draw_frames([pieces[0]], 50, 5, ranges=[[40, 45]] * 4)
    assert (batch.frames == pieces[0][:5]).all()


def test_padding_is_no_pitch_even_where_0_is_one():
    batches = random_frame_batches([np.full((3, 4), 5)], 8, 6, chance(), range(-2, 3), range(12))
    drawn = [next(batches) for _ in range(20)]
    assert all((batch.frames[batch.is_padding] == 0).all() for batch in drawn)
    assert {int(batch.frames[row, 0, 0]) for batch in drawn for row in range(8)} == {3, 4, 5, 6, 7}


# --- Both


@pytest.mark.parametrize("draw, make", [(draw_tokens, rows), (draw_frames, grids)])
def test_pieces_are_drawn_in_proportion_to_their_length(draw, make):
    assert abs(draw(make(100, 300), 4000, 1).piece_index.mean() - 0.75) < 0.03


@pytest.mark.parametrize("make", [lambda c: random_batches(rows(40), 2, 5, c, BEGIN),
                                  lambda c: random_frame_batches(grids(40), 2, 5, c)])  # fmt: skip
def test_the_same_generator_gives_the_same_batches_and_another_does_not(make):
    def three(seed):
        return np.stack([next(iter(vars(batch).values())) for batch in itertools.islice(make(chance(seed)), 3)])

    np.testing.assert_array_equal(three(3), three(3))
    assert not np.array_equal(three(3), three(4))


def test_neither_windows_nor_transposition_change_what_they_are_given():
    piece = np.array([5, 9, 13, 2, 7])
    frames = np.full((9, 4), 20)
    draw_tokens([piece], 8, 3, pitch_ids=PITCH_IDS)
    transpose_ids(piece, 2, PITCH_IDS)
    cut_windows([piece], 3, BEGIN).targets[:] = 0
    draw_frames([frames], 8, 3).frames[:] = 1
    assert piece.tolist() == [5, 9, 13, 2, 7]
    assert (frames == 20).all()


FOUR = np.ones((4, 4), int)
REFUSED = [
    (lambda: cut_windows([], 8, BEGIN), "At least one piece is needed; found none"),
    (lambda: cut_windows([[1], []], 8, BEGIN), r"whole token ids of the shape \(n_tokens,\).* piece 1 has"),
    (lambda: cut_windows([[1], [60, -1]], 8, BEGIN), "piece 1 must lie in 0.*; found -1"),
    (lambda: cut_windows([[1, 2]], 0, BEGIN), "context_length must be at least 1; found 0"),
    (lambda: cut_windows([[1, 2]], 4, BEGIN, 5), r"stride_token must lie in 1\.\.4; found 5"),
    (lambda: random_batches([[1]], 0, 4, chance(), BEGIN), "n_windows must be at least 1; found 0"),
    (lambda: random_batches([[1]], 2, 4, 0, BEGIN), r"random_batches draws from a numpy\.random\.Generator; found int"),
    (lambda: random_batches([[1]], 2, 4, chance(), 3, pitch_ids=PITCH_IDS), r"begin_id=3 among pitch ids 1\.\.46"),
    (lambda: cut_frame_windows([FOUR[:, :3]], 2), r"of the shape \(n_steps, 4\), .* piece 0 has shape \(4, 3\)"),
    (lambda: draw_frames([FOUR], 4, 0), "n_steps must be at least 1; found 0"),
    (lambda: draw_frames([FOUR], 2, 4, ranges=[[1, 46]]), r"\(4, 2\), from 1 to 46; found \[\[1, 46\]\]"),
    (lambda: draw_frames([FOUR], 2, 4, ranges=[[1, 47]] * 4), r"from 1 to 46; found \[\[1, 47\]"),
    (lambda: draw_frames([FOUR], 2, 4, ranges=[[9, 8]] * 4), r"from 1 to 46; found \[\[9, 8\]"),
    (lambda: random_frame_batches([FOUR], 2, 4, 0), r"random_frame_batches draws from a numpy.*; found int"),
    (lambda: cut_frame_windows([FOUR], 0), "n_steps must be at least 1; found 0"),
    (lambda: windows_with_history(9, 1), "a context of at least 2 steps; found 1"),
    (lambda: transpose_ids([45], 5, PITCH_IDS), r"must stay among ids 1\.\.46; moved by 5 they reach 50\.\.50"),
]  # fmt: skip


@pytest.mark.parametrize("call, sentence", REFUSED)
def test_refusals(call, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        call()
