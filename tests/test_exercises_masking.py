"""The solutions of chapter 4b agree with corruption and the masked objective."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mini_musessl.exercises import masking as chapter_4b
from mini_musessl.masking import copy_next_door, equal_weights, mask_notes, mask_spans, orderless_weights
from mini_musessl.objectives.masked import hidden_cross_entropy

VOICES = st.integers(1, 30).flatmap(
    lambda n_steps: st.tuples(
        arrays(np.int64, n_steps, elements=st.integers(1, 3)), arrays(np.bool_, n_steps), st.integers(0, n_steps)
    )
)


@pytest.fixture
def scored():
    generator = torch.Generator().manual_seed(0)
    logits, frames = torch.randn(3, 6, 4, 47, generator=generator), torch.randint(0, 47, (3, 6, 4), generator=generator)
    is_hidden = (torch.rand(3, 6, 4, generator=generator) < 0.4).numpy()
    return logits, frames, is_hidden, np.arange(6) >= np.array([6, 2, 5])[:, None]


def test_the_hidden_loss_is_that_of_the_objective(scored):
    logits, frames, is_hidden, is_padding = scored
    log_probs = logits.log_softmax(-1).gather(-1, frames[..., None])[..., 0].numpy()
    expected = hidden_cross_entropy(logits, frames, torch.from_numpy(equal_weights(is_hidden, is_padding))).item()
    assert chapter_4b.hidden_loss(log_probs, is_hidden, is_padding) == pytest.approx(expected, rel=1e-5)


def test_the_orderless_loss_is_that_of_the_objective_where_windows_are_whole(scored):
    logits, frames, is_hidden, _ = scored
    nats = -logits.log_softmax(-1).gather(-1, frames[..., None])[..., 0].numpy()
    weights = orderless_weights(is_hidden, np.zeros((3, 6), bool))
    expected = hidden_cross_entropy(logits, frames, torch.from_numpy(weights)).item()
    found = chapter_4b.orderless_loss(nats.reshape(3, -1), is_hidden.reshape(3, -1))
    assert found == pytest.approx(expected, rel=1e-5)


@given(VOICES)
def test_copying_from_the_left_is_the_rule_next_door_where_nothing_stands_to_the_right(drawn):
    melody, is_hidden, n_seen = drawn
    is_hidden = is_hidden | (np.arange(len(melody)) >= n_seen)
    found = chapter_4b.copy_left(melody, is_hidden)
    for step in np.flatnonzero(is_hidden):
        before = melody[None, : step + 1, None], is_hidden[None, : step + 1, None], np.zeros((1, step + 1), bool)
        assert found[step] == copy_next_door(*before)[0, step, 0]


@given(VOICES, st.integers(0, 9))
def test_whole_notes_are_what_hide_notes_hides(drawn, seed):
    melody, is_chosen, _ = drawn
    whole = chapter_4b.hide_whole_notes(melody, is_chosen)
    assert (whole >= is_chosen).all()
    np.testing.assert_array_equal(chapter_4b.hide_whole_notes(melody, whole), whole)
    frames, is_padding = melody[None, :, None], np.zeros((1, len(melody)), bool)
    if (melody != melody[0]).any():
        hidden = mask_notes(frames, is_padding, np.random.default_rng(seed))[0, :, 0]
        np.testing.assert_array_equal(chapter_4b.hide_whole_notes(melody, hidden), hidden)


@pytest.mark.parametrize("seed", range(5))
def test_spans_are_such_as_hide_spans_draws(seed):
    draw = partial(mask_spans, share=0.1, span_steps=5)
    hidden = draw(np.zeros((1, 40, 4), int), np.zeros((1, 40), bool), np.random.default_rng(seed))[0]
    rises = np.argwhere(hidden & ~np.vstack([np.zeros((1, 4), bool), hidden[:-1]]))
    starts = [(voice, first + more) for first, voice in rises for more in (0, 5) if hidden[first + more, voice]]
    np.testing.assert_array_equal(chapter_4b.mark_spans(starts, 40, 5), hidden)


@pytest.mark.parametrize("n_cells", [1, 4, 7])
def test_the_probabilities_of_all_subsets_sum_to_one_and_each_size_has_its_share(n_cells):
    sizes = [sum(chosen) for chosen in itertools.product((0, 1), repeat=n_cells) if any(chosen)]
    chances = np.array([chapter_4b.subset_probability(n_cells, size) for size in sizes])
    np.testing.assert_allclose(np.bincount(sizes, chances)[1:], 1 / n_cells)
