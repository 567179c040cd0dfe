"""Corruption: True means hidden, as much as was asked, in the places that the name says, and never on padding."""

from __future__ import annotations

import itertools
import math
import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mini_musessl.masking import (
    MASKERS,
    copy_next_door,
    equal_weights,
    mask_bars,
    mask_cells,
    mask_mixed,
    mask_notes,
    mask_orderless,
    mask_spans,
    mask_voices,
    may_mask_all,
    number_notes,
    orderless_weights,
    weigher_of,
)

N_PITCHES = 12


def draw_music(n_windows=16, n_steps=96, seed=0) -> np.ndarray:
    """Draw notes of 1 to 8 steps, each pitch equally likely, never the same twice in a row."""
    generator = np.random.default_rng(seed)
    frames = np.zeros((n_windows, n_steps, 4), np.int64)
    for window, voice in np.ndindex(n_windows, 4):
        moves = generator.integers(1, N_PITCHES, n_steps)
        notes = np.repeat(np.cumsum(moves) % N_PITCHES, generator.integers(1, 9, n_steps))
        frames[window, :, voice] = 10 + notes[:n_steps]
    return frames


FRAMES = draw_music()
NO_PADDING = np.zeros(FRAMES.shape[:2], bool)
#: The first windows are whole, the others end after 40 and 77 steps.
SOME_PADDING = np.arange(96) >= np.repeat([96, 40, 77], [4, 6, 6])[:, None]
EVERY_HIDER = pytest.mark.parametrize("hide", [*MASKERS.values(), mask_mixed], ids=[*MASKERS, "mixed"])


def hide_often(hide, frames, is_padding, n_draws=200, seed=1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.stack([hide(frames, is_padding, generator) for _ in range(n_draws)])


def runs(row: np.ndarray) -> list[tuple[int, int]]:
    """Return (first step, length) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, row, False]))
    return [(int(first), int(last - first)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


# --- what holds for all


@EVERY_HIDER
def test_every_window_hides_something_and_padding_never(hide):
    hidden = hide_often(hide, FRAMES, SOME_PADDING, n_draws=50)
    assert hidden.dtype == np.bool_ and hidden.shape[1:] == FRAMES.shape
    assert not hidden[:, SOME_PADDING].any()
    assert hidden.any(axis=(2, 3)).all()
    if hide is not mask_orderless:
        assert not (hidden | SOME_PADDING[..., None]).all(axis=(2, 3)).any()


@EVERY_HIDER
def test_the_same_generator_hides_the_same_and_no_frame_is_changed(hide):
    before = FRAMES.copy()
    one, again, other = (hide(FRAMES, SOME_PADDING, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(FRAMES, before)


@EVERY_HIDER
def test_what_stands_on_padding_changes_nothing(hide):
    others = np.where(SOME_PADDING[..., None], 7, FRAMES)
    hidden = [hide(frames, SOME_PADDING, np.random.default_rng(0)) for frames in (FRAMES, others)]
    np.testing.assert_array_equal(*hidden)


@EVERY_HIDER
def test_windows_are_hidden_independently(hide):
    same = np.repeat(FRAMES[:1], 8, axis=0)
    hidden = hide(same, np.zeros(same.shape[:2], bool), np.random.default_rng(0))
    assert len({row.tobytes() for row in hidden}) > 1


@pytest.mark.parametrize("hide", [mask_cells, mask_spans, mask_bars, mask_notes])
@pytest.mark.parametrize("share", [0.2, 0.4])
def test_the_share_is_that_which_was_asked(hide, share):
    hidden = hide_often(partial(hide, share=share), FRAMES, NO_PADDING)
    assert hidden.mean() == pytest.approx(share, abs=0.012)


@pytest.mark.slow  # not slow itself: a clock on the wall says nothing on a machine that does other work beside
@EVERY_HIDER
def test_a_batch_takes_less_than_5_ms(hide):
    generator, seconds = np.random.default_rng(0), []
    for _ in range(20):
        start = time.perf_counter()
        hide(FRAMES, SOME_PADDING, generator)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 5e-3


# --- cells, and any subset


def test_cells_are_hidden_by_number_and_each_as_often():
    hidden = hide_often(mask_cells, FRAMES, SOME_PADDING)
    n_cells = 4 * (~SOME_PADDING).sum(axis=1)
    assert (hidden.sum(axis=(2, 3)) == np.rint(0.25 * n_cells)).all()
    often = hidden.mean(axis=(0, 1))[:40]  # steps that every window has
    assert often.min() > 0.2 and often.max() < 0.3


def test_at_least_one_cell_is_hidden_and_one_stays_whatever_the_share():
    frames, is_padding = np.full((1, 1, 4), 9), np.zeros((1, 1), bool)
    for share, n_hidden in ((0.001, 1), (0.999, 3)):
        assert mask_cells(frames, is_padding, np.random.default_rng(0), share).sum() == n_hidden


def test_every_number_of_hidden_cells_is_equally_likely_and_every_subset_of_that_size():
    frames, is_padding = np.zeros((1000, 2, 4), int), np.array([[False, True]] * 1000)
    hidden = hide_often(mask_orderless, frames, is_padding, n_draws=20)[:, :, 0].reshape(-1, 4)
    subsets = hidden @ (1 << np.arange(4))
    counts = np.bincount(subsets, minlength=16) / len(subsets)
    sizes = np.array([subset.bit_count() for subset in range(16)])
    expected = np.array([0 if size == 0 else 1 / (4 * math.comb(4, size)) for size in sizes])
    np.testing.assert_allclose(counts, expected, atol=0.01)


def test_orderless_weights_make_the_loss_the_mean_over_all_orders_of_writing():
    # A model of four cells: how surprised it is by a cell depends on which cells it cannot see.
    nats = np.random.default_rng(0).random((16, 4)) * 3
    orders = list(itertools.permutations(range(4)))
    written = [
        nats[sum(1 << later for later in order[place:]), cell] for order in orders for place, cell in enumerate(order)
    ]
    by_orders = sum(written) / (len(orders) * 4)
    expected_loss = 0.0
    for subset in range(1, 16):
        is_hidden = np.array([bool(subset >> cell & 1) for cell in range(4)])[None, None]
        weights = orderless_weights(is_hidden, np.zeros((1, 1), bool))[0, 0]
        probability = 1 / (4 * math.comb(4, subset.bit_count()))
        expected_loss += probability * (weights @ nats[subset]) / 4
    assert expected_loss == pytest.approx(by_orders, rel=1e-6)


def test_weights_are_those_of_the_music_in_each_window():
    is_hidden = mask_orderless(FRAMES, SOME_PADDING, np.random.default_rng(0))
    orderless = orderless_weights(is_hidden, SOME_PADDING)
    np.testing.assert_allclose(orderless.sum(axis=(1, 2)), 4 * (~SOME_PADDING).sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(orderless > 0, is_hidden)
    everything = np.ones_like(is_hidden)
    np.testing.assert_array_equal(equal_weights(everything, SOME_PADDING)[..., 0], (~SOME_PADDING).astype(np.float32))
    assert (orderless_weights(~everything, SOME_PADDING) == 0).all()
    assert weigher_of(mask_orderless) is orderless_weights and weigher_of(mask_cells) is equal_weights


# --- stretches


def test_spans_are_whole_and_of_one_voice():
    hidden = hide_often(partial(mask_spans, share=0.2, span_steps=6), FRAMES, SOME_PADDING, n_draws=20)
    lengths = [length for row in hidden.swapaxes(2, 3).reshape(-1, 96) for _, length in runs(row)]
    assert set(np.mod(lengths, 6)) == {0}
    assert np.mean(np.array(lengths) == 6) > 0.5
    assert hidden.all(axis=3).mean() < 0.02  # the other voices stay


def test_spans_begin_at_every_step_that_leaves_them_room():
    hidden = hide_often(partial(mask_spans, share=0.05, span_steps=8), FRAMES[:, :20], NO_PADDING[:, :20])
    first = [start for row in hidden.swapaxes(2, 3).reshape(-1, 20) for start, length in runs(row) if length == 8]
    assert set(first) == set(range(13))


def test_bars_are_hidden_in_all_voices_for_their_whole_length():
    hidden = hide_often(mask_bars, FRAMES, SOME_PADDING, n_draws=20)
    assert (hidden.any(axis=3) == hidden.all(axis=3)).all()
    lengths = [length for row in hidden[..., 0].reshape(-1, 96) for _, length in runs(row)]
    assert set(np.mod(lengths, 16)) == {0}


def test_bars_begin_at_the_bar_lines_that_are_given():
    bar_line_step = np.arange(16) + 20
    hidden = mask_bars(FRAMES, NO_PADDING, np.random.default_rng(0), bar_line_step=bar_line_step)
    starts = [[start for start, _ in runs(row)] for row in hidden[..., 0]]
    assert all((start - line) % 16 == 0 for row, line in zip(starts, bar_line_step, strict=True) for start in row)


def test_voices_are_hidden_whole_and_each_as_often():
    hidden = hide_often(mask_voices, FRAMES, SOME_PADDING)
    music = hidden[:, ~SOME_PADDING]
    assert (hidden.any(axis=2).sum(axis=2) == 1).all()
    np.testing.assert_array_equal(hidden.any(axis=2)[:, :, None] & ~SOME_PADDING[..., None], hidden)
    assert abs(music.mean(axis=(0, 1)) - 0.25).max() < 0.03


def test_a_harmony_of_the_soprano_is_asked_for_by_hiding_the_three_others():
    hidden = mask_voices(FRAMES, NO_PADDING, np.random.default_rng(0), n_hidden=3, among=(1, 2, 3))
    assert (hidden == [False, True, True, True]).all()
    two = hide_often(partial(mask_voices, n_hidden=2, among=[0, 3]), FRAMES, NO_PADDING, n_draws=3)
    assert (two == [True, False, False, True]).all()


# --- whole notes


@given(
    frames=arrays(np.int64, st.tuples(st.integers(1, 3), st.integers(2, 12), st.just(4)), elements=st.integers(0, 2)),
    share=st.floats(0.01, 0.99),
    n_padding=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_no_visible_cell_beside_a_hidden_one_holds_the_same_note(frames, share, n_padding, seed):
    is_padding = np.zeros(frames.shape[:2], bool)
    is_padding[0, max(1, frames.shape[1] - n_padding) :] = True
    hidden = mask_notes(frames, is_padding, np.random.default_rng(seed), share)
    is_edge = (hidden[:, 1:] != hidden[:, :-1]) & ~is_padding[:, 1:, None]
    assert (frames[:, 1:][is_edge] != frames[:, :-1][is_edge]).all()
    is_music = ~is_padding[..., None]
    assert (hidden & is_music).any(axis=(1, 2)).all() and (~hidden & is_music).any(axis=(1, 2)).all()


def test_notes_are_numbered_voice_by_voice():
    frames = np.array([[[5, 8], [5, 9], [6, 9], [5, 9]]])
    number, n_notes = number_notes(frames, np.array([[False, False, False, True]]))
    assert number[0].T.tolist() == [[0, 0, 1, 4], [2, 3, 3, 4]]
    assert n_notes.tolist() == [4]


def test_long_and_short_notes_are_hidden_alike():
    hidden = hide_often(mask_notes, FRAMES, NO_PADDING)
    number, _ = number_notes(FRAMES, NO_PADDING)
    length = np.stack([np.bincount(row.ravel(), minlength=number.max() + 1)[row] for row in number])
    often = [hidden[:, length == steps].mean() for steps in (1, 4, 8)]
    assert max(often) - min(often) < 0.05


def test_copying_solves_single_cells_and_not_whole_notes():
    right = {}
    for name, hide in MASKERS.items():
        hidden = hide_often(hide, FRAMES, NO_PADDING, n_draws=20)
        copies = [copy_next_door(FRAMES, each, NO_PADDING) == FRAMES for each in hidden]
        right[name] = np.stack(copies)[hidden].mean()
    chance = 1 / N_PITCHES
    assert right["cells"] > 0.6
    assert right["notes"] < chance
    assert right["notes"] < right["bars"] < right["spans"] < right["cells"]
    assert right["voices"] == 0  # nothing to copy


@given(
    frames=arrays(np.int64, (2, 9, 2), elements=st.integers(1, 9)),
    is_hidden=arrays(np.bool_, (2, 9, 2)),
    n_music=st.integers(1, 9),
)
def test_the_copying_rule_takes_the_nearest_visible_cell_of_the_voice(frames, is_hidden, n_music):
    is_padding = np.stack([np.arange(9) >= n_music, np.zeros(9, bool)])
    found = copy_next_door(frames, is_hidden, is_padding)
    for window, step, voice in np.ndindex(frames.shape):
        seen = [s for s in range(9) if not is_hidden[window, s, voice] and not is_padding[window, s]]
        nearest = min(seen, key=lambda s: (abs(s - step), s), default=None)
        expected = 0 if nearest is None else frames[window, nearest, voice]
        assert found[window, step, voice] == (
            expected if is_hidden[window, step, voice] else frames[window, step, voice]
        )


# --- several kinds


def test_a_mixture_hides_each_window_by_one_of_its_kinds():
    hidden = hide_often(partial(mask_mixed, kinds=(mask_bars, mask_voices)), FRAMES, NO_PADDING, n_draws=50)
    is_voice, is_bar = (hidden.all(axis=2).sum(axis=2) == 1), (hidden.any(axis=3) == hidden.all(axis=3)).all(axis=2)
    assert (is_voice ^ is_bar).all()
    assert is_voice.mean() == pytest.approx(0.5, abs=0.05)


def test_settings_change_neither_the_weights_of_a_kind_nor_whether_it_may_hide_all():
    assert weigher_of(partial(mask_orderless)) is orderless_weights
    assert weigher_of(partial(partial(mask_cells, share=0.5))) is equal_weights
    with_orderless = partial(mask_mixed, kinds=(mask_cells, partial(mask_orderless)))
    assert weigher_of(with_orderless) is equal_weights
    assert may_mask_all(partial(mask_orderless)) and may_mask_all(with_orderless)
    assert may_mask_all(partial(mask_mixed, kinds=[with_orderless]))
    assert not any(may_mask_all(hide) for hide in (mask_cells, mask_mixed, partial(mask_mixed, kinds=[mask_bars])))


# --- refusals


@EVERY_HIDER
def test_what_is_no_array_is_refused(hide):
    generator = np.random.default_rng(0)
    with pytest.raises(TypeError, match="frames must be a NumPy array; found list. Hide in the arrays of a windows"):
        hide(FRAMES.tolist(), NO_PADDING, generator)
    with pytest.raises(TypeError, match="is_padding must be a NumPy array; found NoneType"):
        hide(FRAMES, None, generator)


@EVERY_HIDER
def test_what_is_no_batch_of_windows_is_refused(hide):
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"shape \(n_windows, n_steps, n_voices\), none of them 0; found \(96, 4\)"):
        hide(FRAMES[0], NO_PADDING, generator)
    with pytest.raises(ValueError, match=r"found \(0, 96, 4\)"):
        hide(FRAMES[:0], NO_PADDING[:0], generator)
    with pytest.raises(TypeError, match="whole symbol ids; found float64"):
        hide(FRAMES * 1.0, NO_PADDING, generator)
    with pytest.raises(TypeError, match="is_padding must be True beyond the end of the music.*; found int64"):
        hide(FRAMES, NO_PADDING.astype(int), generator)
    with pytest.raises(ValueError, match=r"one thing of each step, \(16, 96\); found \(96,\)"):
        hide(FRAMES, NO_PADDING[0], generator)
    with pytest.raises(TypeError, match=rf"{hide.__name__} draws from a numpy.random.Generator; found int"):
        hide(FRAMES, NO_PADDING, 3)


@EVERY_HIDER
def test_padding_that_leaves_no_music_or_stands_before_it_is_refused(hide):
    nothing, before = NO_PADDING.copy(), NO_PADDING.copy()
    nothing[2], before[2, :4] = True, True
    with pytest.raises(ValueError, match="window 2 is nothing but padding"):
        hide(FRAMES, nothing, np.random.default_rng(0))
    with pytest.raises(ValueError, match="found music after padding. Pad at the end"):
        hide(FRAMES, before, np.random.default_rng(0))


@pytest.mark.parametrize("hide", [mask_cells, mask_spans, mask_bars, mask_notes])
def test_a_share_that_hides_nothing_or_all_is_refused(hide):
    for share in (0, 1, -0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match="must lie above 0 and below 1; found .* nothing is asked"):
            hide(FRAMES, NO_PADDING, np.random.default_rng(0), share=share)
    with pytest.raises(TypeError, match="share must be a number"):
        hide(FRAMES, NO_PADDING, np.random.default_rng(0), share="half")


def test_windows_that_are_too_short_are_refused():
    generator = np.random.default_rng(0)
    short = FRAMES[:2, :7], NO_PADDING[:2, :7]
    with pytest.raises(ValueError, match="at least 8 steps of music to hide 8 in one voice; window 0 has 7"):
        mask_spans(*short, generator)
    with pytest.raises(ValueError, match="at least 17 steps of music to hide a bar of 16 and see something"):
        mask_bars(*short, generator)
    with pytest.raises(ValueError, match="at least 5 steps of music from the first bar line on"):
        mask_bars(*short, generator, bar_steps=5, bar_line_step=np.array([0, 3]))
    with pytest.raises(ValueError, match="at least 9 steps of music to hide 8 in one voice"):
        mask_spans(FRAMES[:2, :8, :1], NO_PADDING[:2, :8], generator)
    with pytest.raises(ValueError, match="two cells, one to hide and one to see"):
        mask_cells(FRAMES[:, :1, :1], NO_PADDING[:, :1], generator)
    with pytest.raises(ValueError, match="two notes, one to hide and one to see; window 1 holds one note alone"):
        mask_notes(np.array([[[5], [6]], [[5], [5]]]), NO_PADDING[:2, :2], generator)


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"n_hidden": 0}, ValueError, "n_hidden must be at least 1; found 0. With nothing hidden nothing is asked"),
        ({"n_hidden": 4}, ValueError, "leave one of the 4 to see; found 4"),
        ({"n_hidden": 3, "among": (1, 2)}, ValueError, "at most the voices named, 2"),
        ({"among": (1, 1)}, ValueError, r"named once in among; found \(1, 1\)"),
        ({"among": (4,)}, ValueError, "A voice must lie in 0..3; found 4"),
        ({"among": ("alto",)}, TypeError, "A voice must be a whole number; found 'alto'"),
    ],
)
def test_voices_that_cannot_be_hidden_are_refused(settings, error, sentence):
    with pytest.raises(error, match=sentence):
        mask_voices(FRAMES, NO_PADDING, np.random.default_rng(0), **settings)


def test_lengths_bar_lines_and_kinds_that_are_none_are_refused():
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="span_steps must be at least 1; found 0"):
        mask_spans(FRAMES, NO_PADDING, generator, span_steps=0)
    with pytest.raises(TypeError, match="bar_steps must be a whole number; found 4.5"):
        mask_bars(FRAMES, NO_PADDING, generator, bar_steps=4.5)
    with pytest.raises(ValueError, match=r"one whole number a window, \(16,\); found int64 \(3,\)"):
        mask_bars(FRAMES, NO_PADDING, generator, bar_line_step=np.arange(3))
    with pytest.raises(ValueError, match="at least one kind of hiding; found none"):
        mask_mixed(FRAMES, NO_PADDING, generator, kinds=())
    with pytest.raises(ValueError, match=r"True or False for each cell, \(16, 96, 4\); found bool \(16, 96\)"):
        copy_next_door(FRAMES, NO_PADDING, NO_PADDING)
    with pytest.raises(TypeError, match="is_hidden must be a NumPy array, as a hider returns; found list"):
        copy_next_door(FRAMES, (FRAMES > 0).tolist(), NO_PADDING)
