"""Masking: True means hidden, as much as was asked, in the places that the name says, and never on padding."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mini_musessl.masking import (
    MASKERS,
    copy_next_door,
    draw_mask,
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
EVERY_MASKER = pytest.mark.parametrize("mask", [*MASKERS.values(), mask_mixed], ids=[*MASKERS, "mixed"])


def draw_often(mask, frames, is_padding, n_draws=200, seed=1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.stack([mask(frames, is_padding, generator) for _ in range(n_draws)])


def runs(row: np.ndarray) -> list[tuple[int, int]]:
    """Return (first step, length) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, row, False]))
    return [(int(first), int(last - first)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


# --- what holds for all


@EVERY_MASKER
def test_every_window_hides_something_and_padding_never(mask):
    hidden = draw_often(mask, FRAMES, SOME_PADDING, n_draws=50)
    assert hidden.dtype == np.bool_ and hidden.shape[1:] == FRAMES.shape
    assert not hidden[:, SOME_PADDING].any()
    assert hidden.any(axis=(2, 3)).all()
    if mask is not mask_orderless:
        assert not (hidden | SOME_PADDING[..., None]).all(axis=(2, 3)).any()


@EVERY_MASKER
def test_the_same_generator_hides_the_same_and_no_frame_is_changed(mask):
    before = FRAMES.copy()
    one, again, other = (mask(FRAMES, SOME_PADDING, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(FRAMES, before)


@EVERY_MASKER
def test_what_stands_on_padding_changes_nothing(mask):
    others = np.where(SOME_PADDING[..., None], 7, FRAMES)
    hidden = [mask(frames, SOME_PADDING, np.random.default_rng(0)) for frames in (FRAMES, others)]
    np.testing.assert_array_equal(*hidden)


@EVERY_MASKER
def test_windows_are_hidden_independently(mask):
    same = np.repeat(FRAMES[:1], 8, axis=0)
    hidden = mask(same, np.zeros(same.shape[:2], bool), np.random.default_rng(0))
    assert len({row.tobytes() for row in hidden}) > 1


@pytest.mark.parametrize("mask", [mask_cells, mask_spans, mask_bars, mask_notes])
@pytest.mark.parametrize("share", [0.2, 0.4])
def test_the_share_is_that_which_was_asked(mask, share):
    hidden = draw_often(partial(mask, share=share), FRAMES, NO_PADDING)
    assert hidden.mean() == pytest.approx(share, abs=0.012)


# --- cells, and any subset


def test_cells_are_hidden_by_number_and_each_as_often():
    hidden = draw_often(mask_cells, FRAMES, SOME_PADDING)
    n_cells = 4 * (~SOME_PADDING).sum(axis=1)
    assert (hidden.sum(axis=(2, 3)) == np.rint(0.25 * n_cells)).all()
    often = hidden.mean(axis=(0, 1))[:40]  # steps that every window has
    assert often.min() > 0.2 and often.max() < 0.3
    for share, n_hidden in ((0.001, 1), (0.999, 3)):  # one cell at least is hidden, and one stays
        assert mask_cells(FRAMES[:1, :1], NO_PADDING[:1, :1], np.random.default_rng(0), share).sum() == n_hidden


def test_every_number_of_hidden_cells_is_equally_likely_and_every_subset_of_that_size():
    frames, is_padding = np.zeros((1000, 2, 4), int), np.array([[False, True]] * 1000)
    hidden = draw_often(mask_orderless, frames, is_padding, n_draws=20)[:, :, 0].reshape(-1, 4)
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
    assert weigher_of(partial(mask_orderless)) is orderless_weights and weigher_of(mask_cells) is equal_weights


# --- stretches


def test_spans_are_whole_and_of_one_voice():
    hidden = draw_often(partial(mask_spans, share=0.2, span_steps=6), FRAMES, SOME_PADDING, n_draws=20)
    lengths = [length for row in hidden.swapaxes(2, 3).reshape(-1, 96) for _, length in runs(row)]
    assert set(np.mod(lengths, 6)) == {0}
    assert np.mean(np.array(lengths) == 6) > 0.5
    assert hidden.all(axis=3).mean() < 0.02  # the other voices stay
    hidden = draw_often(partial(mask_spans, share=0.05, span_steps=8), FRAMES[:, :20], NO_PADDING[:, :20])
    first = [start for row in hidden.swapaxes(2, 3).reshape(-1, 20) for start, length in runs(row) if length == 8]
    assert set(first) == set(range(13))  # wherever they have room


def test_bars_are_hidden_in_all_voices_for_their_whole_length():
    hidden = draw_often(mask_bars, FRAMES, SOME_PADDING, n_draws=20)
    assert (hidden.any(axis=3) == hidden.all(axis=3)).all()
    lengths = [length for row in hidden[..., 0].reshape(-1, 96) for _, length in runs(row)]
    assert set(np.mod(lengths, 16)) == {0}


def test_bars_begin_at_the_bar_lines_that_are_given():
    bar_line_step = np.arange(16) + 20
    hidden = mask_bars(FRAMES, NO_PADDING, np.random.default_rng(0), bar_line_step=bar_line_step)
    starts = [[start for start, _ in runs(row)] for row in hidden[..., 0]]
    assert all((start - line) % 16 == 0 for row, line in zip(starts, bar_line_step, strict=True) for start in row)


def test_voices_are_hidden_whole_and_each_as_often():
    hidden = draw_often(mask_voices, FRAMES, SOME_PADDING)
    music = hidden[:, ~SOME_PADDING]
    assert (hidden.any(axis=2).sum(axis=2) == 1).all()
    np.testing.assert_array_equal(hidden.any(axis=2)[:, :, None] & ~SOME_PADDING[..., None], hidden)
    assert abs(music.mean(axis=(0, 1)) - 0.25).max() < 0.03


def test_a_harmony_of_the_soprano_is_asked_for_by_hiding_the_three_others():
    hidden = mask_voices(FRAMES, NO_PADDING, np.random.default_rng(0), n_hidden=3, among=(1, 2, 3))
    assert (hidden == [False, True, True, True]).all()
    two = draw_often(partial(mask_voices, n_hidden=2, among=[0, 3]), FRAMES, NO_PADDING, n_draws=3)
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
    hidden = draw_often(mask_notes, FRAMES, NO_PADDING)
    number, _ = number_notes(FRAMES, NO_PADDING)
    length = np.stack([np.bincount(row.ravel(), minlength=number.max() + 1)[row] for row in number])
    often = [hidden[:, length == steps].mean() for steps in (1, 4, 8)]
    assert max(often) - min(often) < 0.05


def test_copying_solves_single_cells_and_not_whole_notes():
    right = {}
    for name, mask in MASKERS.items():
        hidden = draw_often(mask, FRAMES, NO_PADDING, n_draws=5)
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
    hidden = draw_often(partial(mask_mixed, kinds=(mask_bars, mask_voices)), FRAMES, NO_PADDING, n_draws=50)
    is_voice, is_bar = (hidden.all(axis=2).sum(axis=2) == 1), (hidden.any(axis=3) == hidden.all(axis=3)).all(axis=2)
    assert (is_voice ^ is_bar).all()
    assert is_voice.mean() == pytest.approx(0.5, abs=0.05)


# --- the door


def test_only_what_may_hide_all_or_is_allowed_to_hides_a_window_whole():
    with_orderless = partial(mask_mixed, kinds=(mask_cells, partial(mask_orderless)))
    assert may_mask_all(with_orderless) and may_mask_all(partial(mask_mixed, kinds=[with_orderless]))
    assert not any(may_mask_all(mask) for mask in (mask_cells, mask_mixed, partial(mask_mixed, kinds=[mask_bars])))
    short = FRAMES[:, :1], NO_PADDING[:, :1]
    assert draw_mask(mask_orderless, *short, np.random.default_rng(0)).all(axis=(1, 2)).any()
    everything = draw_mask(lambda frames, *_: frames > 0, *short, np.random.default_rng(0), may_hide_all=True)
    assert everything.all()


SHORT = FRAMES[:, :7], NO_PADDING[:, :7]
WHOLE = FRAMES, NO_PADDING
ONE_NOTE = np.array([[[5], [6]], [[5], [5]]]), NO_PADDING[:2, :2]
REFUSED = {
    "a seed": (mask_cells, WHOLE, 3, r"draw_mask draws from a numpy\.random\.Generator; found int"),
    "percent": (partial(mask_notes, share=25), WHOLE, None, "at least 0 and below 1; found 25"),
    "nothing of a window": (lambda f, *_: f < 0, WHOLE, None, "hidden in each window, .* nothing is. Cut"),
    "padding alone": (mask_cells, (FRAMES, NO_PADDING | (np.arange(16) == 2)[:, None]), None, "in window 2 nothing"),
    "all of a window": (lambda f, *_: f > 0, WHOLE, None, "visible in each window; in window 0 every cell is hidden"),
    "no room for a span": (mask_spans, SHORT, None, "in window 0 nothing is. Cut longer windows"),
    "no room behind the bar line": (
        partial(mask_bars, bar_steps=5, bar_line_step=np.full(16, 3)), SHORT, None, "in window 0 nothing is"),
    "one cell alone": (mask_cells, (FRAMES[:, :1, :1], NO_PADDING[:, :1]), None, "every cell is hidden"),
    "one note alone": (mask_notes, ONE_NOTE, None, "in window 1 nothing is"),
    "another shape": (lambda f, *_: f[0] > 0, WHOLE, None, r"shape \(16, 96, 4\); found \(96, 4\)"),
}  # fmt: skip


@pytest.mark.parametrize("mask, windows, chance, sentence", REFUSED.values(), ids=REFUSED)
def test_what_is_no_mask_is_refused_at_the_door(mask, windows, chance, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        draw_mask(mask, *windows, np.random.default_rng(0) if chance is None else chance)
