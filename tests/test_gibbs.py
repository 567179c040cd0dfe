"""Infilling: what is given stays, the schedule by hand, chances against brute force, and the refusals."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_musessl.batches import best_window, window_starts
from mini_musessl.generation import gibbs
from mini_musessl.generation.gibbs import draw_units, draws_notes, infill, number_units, resampled_share, score_cells
from mini_musessl.generation.sampling import Sampling
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer

# Tiny matrices: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)

CONFIG = EncoderConfig(
    vocabulary_size=7, n_voices=3, context_length=12, d_model=16, n_layers=2, n_heads=2, d_feedforward=20, d_voice=10
)


def make_lively(config, scale=0.4):
    model, generator = MaskedTransformer(config).eval(), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=scale, generator=generator)
    return model


@pytest.fixture(scope="module")
def model():
    return make_lively(CONFIG)


def from_seed(seed=0):
    return torch.Generator().manual_seed(seed)


def random_frames(n_steps, seed=0, batch=(), n_voices=3, n_symbols=7):
    return np.random.default_rng(seed).integers(n_symbols, size=(*batch, n_steps, n_voices))


@settings(max_examples=15)
@given(
    n_steps=st.integers(1, 30),
    share=st.floats(0.05, 1),
    n_sweeps=st.integers(1, 5),
    is_batch=st.booleans(),
    seed=st.integers(0, 99),
)
def test_given_cells_are_never_touched(model, n_steps, share, n_sweeps, is_batch, seed):
    frames = random_frames(n_steps, seed, batch=(2,) if is_batch else ())
    is_hidden = np.random.default_rng(seed).random(frames.shape) < share
    is_hidden.flat[0] = True
    before = frames.copy()
    filled, again = (infill(model, frames, is_hidden, from_seed(seed), n_sweeps).numpy() for _ in range(2))
    assert (frames == before).all() and (filled == again).all()
    assert filled.shape == frames.shape
    assert (filled[~is_hidden] == frames[~is_hidden]).all()
    assert ((filled >= 0) & (filled < 7)).all()


def test_what_stands_in_hidden_cells_changes_nothing(model):
    frames, other = random_frames(20), random_frames(20, seed=1)
    is_hidden = np.random.default_rng(2).random(frames.shape) < 0.5
    answers = [
        infill(model, np.where(is_hidden, hidden, frames), is_hidden, from_seed(3), n_sweeps=4)
        for hidden in (frames, other, -1)
    ]
    answers.append(infill(model, np.where(is_hidden, -1, frames), None, from_seed(3), n_sweeps=4))
    for answer in answers[1:]:
        assert torch.equal(answer, answers[0])


def test_one_sweep_draws_all_hidden_cells_side_by_side(model):
    # Two hidden cells: how often each pair comes is the product of what the network says of each.
    frames = torch.from_numpy(random_frames(4))
    is_hidden = torch.zeros(4, 3, dtype=torch.bool)
    is_hidden[1, 0] = is_hidden[2, 2] = True
    n_drawn = 4_000
    drawn = infill(model, frames.expand(n_drawn, 4, 3), is_hidden.expand(n_drawn, 4, 3), from_seed(), n_sweeps=1)
    upper, lower = model(frames[None], is_hidden[None])[0, is_hidden].softmax(-1)
    found = torch.zeros(7, 7).index_put_((drawn[:, 1, 0], drawn[:, 2, 2]), torch.tensor(1 / n_drawn), accumulate=True)
    torch.testing.assert_close(found, torch.outer(upper, lower), atol=0.025, rtol=0)


def test_late_sweeps_draw_each_cell_in_turn_from_the_others():
    # One step, two voices, both hidden. In the late sweeps each cell is in the block with a chance of 0.1: the table of
    # what follows what can be written down, and so the pairs that the chain comes to.
    sizes = {"context_length": 2, "d_model": 4, "n_layers": 1, "n_heads": 1, "d_feedforward": 6, "d_voice": 6}
    model = make_lively(EncoderConfig(vocabulary_size=3, n_voices=2, **sizes), scale=1.0)
    pairs = torch.tensor(list(itertools.product(range(3), repeat=2)))
    is_kept = [(pairs[:, None, voice] == pairs[None, :, voice]).float() for voice in (0, 1)]
    move = 0.81 * torch.eye(9)
    for chance, redrawn in [(0.09, [0]), (0.09, [1]), (0.01, [0, 1])]:
        hides = torch.zeros(9, 1, 2, dtype=torch.bool)
        hides[:, :, redrawn] = True
        with torch.no_grad():
            shares = model(pairs[:, None], hides).softmax(-1)[:, 0]
        upper, lower = (
            shares[:, voice][:, pairs[:, voice]] if voice in redrawn else is_kept[voice] for voice in (0, 1)
        )
        move += chance * upper * lower
    torch.testing.assert_close(move.sum(1), torch.ones(9))
    share = torch.full((9,), 1 / 9)
    for _ in range(3_000):
        share = share @ move
    n_drawn = 3_000
    frames, is_hidden = torch.zeros(n_drawn, 1, 2, dtype=torch.long), torch.ones(n_drawn, 1, 2, dtype=torch.bool)
    at_once, drawn = (infill(model, frames, is_hidden, from_seed(), n)[:, 0] for n in (1, 150))
    counts = [torch.bincount(3 * rows[:, 0] + rows[:, 1], minlength=9) / n_drawn for rows in (at_once, drawn)]
    assert (counts[0] - share).abs().max() > 0.1  # so the sweeps have something to mend
    torch.testing.assert_close(counts[1], share, atol=0.03, rtol=0)


def test_the_share_falls_in_a_straight_line_and_stays():
    shares = [resampled_share(sweep, 20) for sweep in range(20)]
    assert shares[0] == 1
    np.testing.assert_allclose(shares[1:15], 0.9 - 0.8 * np.arange(1, 15) / 14)
    np.testing.assert_allclose(shares[14:], 0.1)
    assert resampled_share(0, 1) == 1


def test_the_cells_of_a_unit_take_one_symbol_as_likely_as_where_it_is_least_likely():
    logits, unit, n_drawn = torch.randn(3, 5, generator=from_seed(4)), torch.tensor([8, 2, 8]), 4_000
    several = unit + 10 * torch.arange(n_drawn)[:, None]
    drawn = draw_units(logits.repeat(n_drawn, 1), several.flatten(), Sampling(), from_seed()).view(n_drawn, 3)
    assert torch.equal(drawn[:, 0], drawn[:, 2]) and not torch.equal(drawn[:, 0], drawn[:, 1])
    alone = logits.softmax(-1)
    both = torch.minimum(alone[0], alone[2])
    for cell, wanted in ((0, both / both.sum()), (1, alone[1])):
        found = torch.bincount(drawn[:, cell], minlength=5) / n_drawn
        torch.testing.assert_close(found, wanted, atol=0.025, rtol=0)


def test_a_unit_is_a_cell_or_a_note_of_one_window():
    frames = torch.tensor([[[3, 1], [3, 2], [4, 2]], [[4, 2], [4, 2], [3, 2]]])
    assert number_units(frames, are_notes=False).flatten().tolist() == list(range(12))
    notes = [[[0, 2], [0, 3], [1, 3]], [[4, 6], [4, 6], [5, 6]]]
    assert number_units(frames, are_notes=True).tolist() == notes


@pytest.mark.parametrize(
    "n_sweeps, wanted", [(1, []), (3, []), (4, [2]), (10, [6, 8]), (11, [6, 8]), (100, range(50, 99, 2))]
)
def test_whole_notes_are_drawn_in_the_second_half_and_never_last(n_sweeps, wanted):
    assert [sweep for sweep in range(n_sweeps) if draws_notes(sweep, n_sweeps)] == list(wanted)


def test_a_sweep_whose_block_is_empty_asks_nothing(model, monkeypatch):
    asked = []

    def note(network, frames, is_hidden, first_step):
        asked.append(int(is_hidden.sum()))
        return score_cells(network, frames, is_hidden, first_step)

    monkeypatch.setattr(gibbs, "score_cells", note)
    is_hidden = np.zeros((6, 3), bool)
    is_hidden[2, 1] = True
    infill(model, random_frames(6), is_hidden, from_seed(), n_sweeps=40)
    assert set(asked) == {1} and 5 < len(asked) < 30
    asked.clear()
    infill(model, random_frames(20), np.ones((20, 3), bool), from_seed(), n_sweeps=10)
    assert len(asked) == 10 and asked[0] == 60


def test_cold_filling_takes_the_likeliest_symbol(model):
    frames, is_hidden = torch.from_numpy(random_frames(6)), torch.zeros(6, 3, dtype=torch.bool)
    is_hidden[2, 1] = True
    filled = infill(model, frames, is_hidden, from_seed(), n_sweeps=3, sampling=Sampling(1e-4))
    assert filled[2, 1] == model(frames[None], is_hidden[None])[0, 2, 1].argmax()
    again = infill(model, frames, is_hidden, from_seed(), n_sweeps=3, sampling=Sampling(top_k=1))
    assert torch.equal(filled, again)


def test_a_long_piece_is_scored_as_its_windows_are(model):
    frames = torch.from_numpy(random_frames(29, batch=(2,)))
    is_hidden = torch.from_numpy(np.random.default_rng(0).random(frames.shape) < 0.4)
    found = score_cells(model, frames, is_hidden)
    starts = window_starts(29, 12, 6, is_spread=True)
    window = best_window(starts, 12, 29)
    with torch.no_grad():
        for step in range(29):
            cut = slice(starts[window[step]], starts[window[step]] + 12)
            alone = model(frames[:, cut], is_hidden[:, cut])[:, step - cut.start]
            torch.testing.assert_close(found[:, step], alone, atol=1e-5, rtol=1e-5)


def test_a_model_with_a_cycle_is_told_where_windows_stand():
    model = make_lively(replace(CONFIG, cycle_length=5))
    frames = torch.from_numpy(random_frames(20)[None])
    is_hidden = torch.ones_like(frames, dtype=torch.bool)
    whole = score_cells(model, frames, is_hidden, first_step=3)
    with torch.no_grad():
        last = model(frames[:, 8:], is_hidden[:, 8:], None, torch.tensor([11]))
    torch.testing.assert_close(whole[:, -2:], last[:, -2:])
    assert not torch.allclose(whole, score_cells(model, frames, is_hidden))


@pytest.mark.parametrize("read", [score_cells, lambda *request: infill(*request, from_seed(), 3)])
def test_no_more_is_read_at_once_than_training_showed_unless_that_is_allowed(model, read):
    frames, is_hidden = torch.from_numpy(random_frames(20)[None]), torch.ones(1, 20, 3, dtype=torch.bool)
    trained, short = make_lively(CONFIG), make_lively(replace(CONFIG, context_length=8))
    trained.trained_steps = 8
    assert torch.equal(read(trained, frames, is_hidden), read(short, frames, is_hidden))
    trained.trained_steps = None
    assert torch.equal(read(trained, frames, is_hidden), read(model, frames, is_hidden))


FRAMES, HIDDEN = random_frames(6), np.ones((6, 3), bool)
TWO_FREE = np.where(np.arange(3) == 1, -1, FRAMES)
WRITER = FrameTransformer(FrameConfig(d_model=20, d_feedforward=40, d_voice=30))


@pytest.mark.parametrize(
    "frames, is_hidden, words, sentence",
    [
        (FRAMES, ~HIDDEN, {}, "At least one cell must be hidden, to be filled; found none"),
        (TWO_FREE, np.arange(3) == 0 * FRAMES, {}, "voice 1 at step 0 is neither"),
        (FRAMES, HIDDEN.astype(int), {}, "is_hidden must be True or False; found int64"),
        (FRAMES, HIDDEN[:5], {}, r"is_hidden must have the shape \(6, 3\); found \(5, 3\)"),
        (FRAMES + 5, HIDDEN, {}, r"frames must lie in -1\.\.6; found .*11"),
        (FRAMES[:, :2], HIDDEN[:, :2], {}, r"frames must have the shape \(n_steps, 3\)"),
        ([[[1, 2, 3]], [[1, 2, 3], [1, 2, 3]]], None, {}, "rows of one length; .* give them one by one"),
        (FRAMES, HIDDEN, {"n_sweeps": 0}, "n_sweeps must be at least 1; found 0"),
        (FRAMES, HIDDEN, {"generator": 5}, "infill draws from a torch.Generator on the CPU, .*; found int"),
        (FRAMES, HIDDEN, {"model": WRITER}, "filled by a MaskedTransformer, .* found FrameTransformer"),
    ],
)
def test_what_cannot_be_filled_is_refused(model, frames, is_hidden, words, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        infill(frames=frames, is_hidden=is_hidden, **{"model": model, "generator": from_seed(), **words})


def test_a_network_that_diverged_is_refused():
    model = make_lively(CONFIG)
    model.head.to_voices.bias.data[:] = float("nan")
    with pytest.raises(FloatingPointError, match="Did training diverge"):
        infill(model, FRAMES, HIDDEN, from_seed())
