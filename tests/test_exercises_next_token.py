"""The solutions of chapter 4a agree with the windows, the scores and the training that they explain."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mini_musessl import harmony, voices
from mini_musessl.batches import cut_windows
from mini_musessl.evaluation import counting, likelihood
from mini_musessl.exercises import next_token as chapter_4a
from mini_musessl.objectives.next_token import token_cross_entropy
from mini_musessl.tokenizers.voice_grid import TOKENS

PIECES = arrays(np.int64, st.tuples(st.integers(1, 20), st.just(4)), elements=st.integers(0, 46))


@given(st.lists(st.integers(0, 46), min_size=1, max_size=30).map(np.array), st.integers(1, 9))
def test_every_token_is_a_target_once_and_follows_what_is_read(ids, length):
    read, targets = (np.concatenate(side) for side in zip(*chapter_4a.cut_examples(ids, length, 47), strict=True))
    np.testing.assert_array_equal(targets, ids)
    np.testing.assert_array_equal(read, [47, *ids[:-1]])


def test_the_windows_are_those_of_the_library():
    ids = np.arange(10)
    batch = cut_windows([ids], 4, stride_token=4, begin_id=47)
    for row, (read, targets) in enumerate(chapter_4a.cut_examples(ids, 4, 47)):
        is_token = ~batch.is_padding[row]
        np.testing.assert_array_equal(batch.token_ids[row][is_token], read)
        np.testing.assert_array_equal(batch.targets[row][is_token], targets)


def test_cells_that_hold_and_move_are_those_of_a_likelihood():
    pitch = np.random.default_rng(0).integers(60, 63, size=(30, 4))
    score = likelihood.evaluate_likelihood(counting.SameAgain([voices.from_pitches(pitch)]), [pitch])
    nats, is_change = score.nats[0][1:], score.is_change[0][1:]
    found = chapter_4a.held_and_moved(score.nats[0], pitch)
    assert found == pytest.approx((nats[~is_change].mean(), nats[is_change].mean()))
    assert found[0] < found[1]


@given(PIECES, st.data())
def test_what_was_heard_before_a_step_does_not_depend_on_it(ids, data):
    step = data.draw(st.integers(0, len(ids) - 1))
    changed = ids.copy()
    changed[step:] = (changed[step:] + 5) % 47
    before, after = chapter_4a.heard_before(ids), chapter_4a.heard_before(changed)
    np.testing.assert_array_equal(before[: step + 1], after[: step + 1])
    assert (before[1:] >= before[:-1]).all()


def test_what_was_heard_is_the_chroma_of_the_past():
    ids = np.random.default_rng(1).integers(0, 47, size=(9, 4))
    grid = TOKENS.decode(ids.ravel())
    for step in range(1, 9):
        sounding = harmony.chroma(voices.to_piece(voices.cut(grid, 0, step)).notes) > 0
        np.testing.assert_array_equal(chapter_4a.heard_before(ids)[step], sounding)


def test_joined_gradients_are_those_of_one_large_batch():
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(5, 7, generator=generator, requires_grad=True)
    targets = torch.randint(0, 7, (3, 6), generator=generator)
    read = torch.randint(0, 5, (3, 6), generator=generator)
    is_padding = torch.arange(6) >= torch.tensor([6, 2, 4])[:, None]

    def gradient(rows: slice) -> np.ndarray:
        loss = token_cross_entropy(table[read[rows]], targets[rows], is_padding[rows])
        return torch.autograd.grad(loss, table)[0].numpy().ravel()

    parts = np.stack([gradient(slice(row, row + 1)) for row in range(3)])
    n_targets = (~is_padding).sum(1).numpy()
    np.testing.assert_allclose(chapter_4a.mean_gradient(parts, n_targets), gradient(slice(None)), atol=1e-6)


def test_a_model_that_writes_on_draws_by_what_it_believes_of_its_own_text():
    table = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
    draws = np.random.default_rng(0).random(20_000)
    written = chapter_4a.write_on(lambda heard: table[heard[-1]], [2, 0], 1, draws)
    assert written[0] == 2 and len(written) == 1 + len(draws)
    pairs = np.zeros((3, 3))
    np.add.at(pairs, (written[:-1], written[1:]), 1)
    np.testing.assert_allclose(pairs / pairs.sum(axis=1, keepdims=True), table, atol=0.02)
