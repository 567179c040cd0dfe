"""The masked objective: only hidden cells of music count, each as much as its weight, and what it refuses."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from mini_musessl import masking
from mini_musessl.batches import FrameBatch, random_frame_batches
from mini_musessl.masking import equal_weights, mask_cells, mask_notes, mask_orderless, mask_voices
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.objectives.masked import (
    MaskedBatch,
    cut_frame_windows,
    evaluate_masked,
    hidden_cross_entropy,
    mask_batch,
    masked_batches,
    masked_loss,
)
from mini_musessl.training.loop import TrainingConfig, train

SMALL = EncoderConfig(d_model=32, n_layers=2, n_heads=2, d_feedforward=64, d_voice=48, context_length=60, dropout=0.0)


class Table(nn.Module):
    """A model that knows how often each symbol comes; it notes what it is asked."""

    def __init__(self, n_symbols=47):
        super().__init__()
        self.scores = nn.Parameter(torch.linspace(-1, 1, n_symbols))
        self.config = replace(SMALL, vocabulary_size=n_symbols)
        self.asked = []

    def forward(self, frames, is_hidden, is_padding, first_step):
        self.asked.append((frames, is_hidden, is_padding, first_step))
        return self.scores.expand(*frames.shape, len(self.scores))


@pytest.fixture
def pieces():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 47, (n_steps, 4)) for n_steps in (14, 40, 25)]


@pytest.fixture
def frames(pieces) -> FrameBatch:
    batch = next(random_frame_batches(pieces, 6, 20, np.random.default_rng(2)))
    assert batch.is_padding.any()
    return batch


@pytest.fixture
def batch(frames) -> MaskedBatch:
    return mask_batch(frames, mask_cells, np.random.default_rng(1))


def nats_of(model: Table, ids: np.ndarray) -> np.ndarray:
    return -model.scores.detach().log_softmax(0).numpy()[ids]


def test_the_loss_is_the_mean_over_the_hidden_cells(batch):
    model = Table()
    loss, n_targets = masked_loss(model, batch)
    hidden = batch.frames[batch.is_hidden]
    assert n_targets == len(hidden) == batch.is_hidden.sum()
    assert loss.item() == pytest.approx(nats_of(model, hidden).mean(), rel=1e-5)
    loss.backward()
    assert model.scores.grad.abs().sum() > 0


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_vocabulary(batch):
    model = MaskedTransformer(SMALL)
    for layer in model.head.to_logits:
        nn.init.zeros_(layer.weight)
    assert masked_loss(model, batch)[0].item() == pytest.approx(math.log(47), rel=1e-6)
    assert masked_loss(MaskedTransformer(SMALL), batch)[0].item() == pytest.approx(math.log(47), abs=0.15)


def test_the_model_is_told_what_is_hidden_what_is_padding_and_where_the_window_begins(batch):
    model = Table()
    masked_loss(model, batch)
    frames, is_hidden, is_padding, first_step = model.asked[0]
    assert frames.tolist() == batch.frames.tolist() and is_hidden.tolist() == batch.is_hidden.tolist()
    assert is_padding.tolist() == batch.is_padding.tolist() and first_step.tolist() == batch.start_step.tolist()


def test_where_nothing_is_padding_the_model_is_told_of_none(pieces):
    batches = random_frame_batches(pieces, 2, 10, np.random.default_rng(0))
    model = Table()
    masked_loss(model, next(masked_batches(batches, mask_cells, np.random.default_rng(0))))
    assert model.asked[0][2] is None


def test_cells_that_can_be_seen_do_not_count(batch):
    model = Table()
    others = replace(batch, frames=np.where(batch.is_hidden, batch.frames, (batch.frames + 9) % 47))
    assert masked_loss(model, others)[0] == masked_loss(model, batch)[0]
    careless = replace(batch, weights=np.ones_like(batch.weights))  # weights everywhere
    assert masked_loss(model, careless)[0].item() == pytest.approx(masked_loss(model, batch)[0].item(), rel=1e-6)


def test_padding_does_not_count_even_where_it_is_called_hidden(batch):
    model, padding = Table(), batch.is_padding[..., None]
    others = replace(
        batch,
        frames=np.where(padding, 46, batch.frames),
        is_hidden=batch.is_hidden | padding,
        weights=np.where(padding, np.float32(1), batch.weights),
    )
    assert masked_loss(model, others)[1] == masked_loss(model, batch)[1]
    assert masked_loss(model, others)[0].item() == pytest.approx(masked_loss(model, batch)[0].item(), rel=1e-6)


def test_the_orderless_loss_counts_each_cell_of_music_once(frames):
    model, batch = Table(), mask_batch(frames, mask_orderless, np.random.default_rng(3))
    loss, n_targets = masked_loss(model, batch)
    n_music = (~frames.is_padding).sum(axis=1) * 4
    means = [nats_of(model, row[hidden]).mean() for row, hidden in zip(batch.frames, batch.is_hidden, strict=True)]
    assert n_targets == n_music.sum()
    assert loss.item() == pytest.approx(n_music @ means / n_music.sum(), rel=1e-5)
    unweighted = mask_batch(frames, mask_orderless, np.random.default_rng(3), weigh=equal_weights)
    assert masked_loss(model, unweighted)[1] == batch.is_hidden.sum()
    assert abs(masked_loss(model, unweighted)[0] - loss) > 1e-4


def test_the_pure_loss_says_the_same(batch):
    model = Table()
    logits = model(torch.from_numpy(batch.frames), None, None, None)
    loss = hidden_cross_entropy(logits, torch.from_numpy(batch.frames), torch.from_numpy(batch.weights))
    torch.testing.assert_close(loss, masked_loss(model, batch)[0])


def test_logits_of_cells_that_can_be_seen_move_nothing():
    logits = torch.zeros(1, 2, 4, 7, requires_grad=True)
    weights = torch.tensor([[[1.0, 0, 0, 3], [0, 0, 0, 0]]])
    hidden_cross_entropy(logits, torch.zeros(1, 2, 4).long(), weights).backward()
    np.testing.assert_array_equal(logits.grad.abs().sum(-1) > 0, weights > 0)
    assert logits.grad[0, 0, 3, 0].item() == pytest.approx(3 * logits.grad[0, 0, 0, 0].item())


def test_gradient_reaches_every_weight(batch):
    model = MaskedTransformer(SMALL)
    masked_loss(model, batch)[0].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_one_batch_is_memorised(pieces):
    frames = next(random_frame_batches(pieces, 2, 12, np.random.default_rng(2)))
    batch = mask_batch(frames, partial(mask_notes, share=0.4), np.random.default_rng(0))
    config = TrainingConfig(
        n_updates=80, learning_rate=1e-2, n_warmup_updates=5, weight_decay=0.0, report_every=10, device="cpu"
    )
    history = train(MaskedTransformer(SMALL), itertools.repeat(batch), config, objective=masked_loss, report=None)
    assert history.train_nats[0] > 3 and history.train_nats[-1] < 0.1


# --- batches


def test_batches_hide_anew_each_time_and_end_with_the_frames(frames):
    made = list(masked_batches([frames] * 3, mask_cells, np.random.default_rng(0)))
    assert len(made) == 3
    assert not np.array_equal(made[0].is_hidden, made[1].is_hidden)
    assert all(each.frames is frames.frames and each.start_step is frames.start_step for each in made)
    again = list(masked_batches([frames] * 3, mask_cells, np.random.default_rng(0)))
    np.testing.assert_array_equal(made[2].is_hidden, again[2].is_hidden)


def test_pieces_are_cut_into_windows_of_about_one_length(pieces):
    batches = cut_frame_windows([*pieces, *pieces, *pieces], 18)
    rows = [(batch, row) for batch in batches for row in range(len(batch.frames))]
    assert [len(batch.frames) for batch in batches] == [16, 2]
    lengths = [int((~batch.is_padding[row]).sum()) for batch, row in rows]
    assert lengths == sorted(lengths) and min(lengths) == 12 and max(lengths) == 14
    doubled = [*pieces, *pieces, *pieces]
    seen = [np.zeros(len(piece), int) for piece in doubled]
    for (batch, row), n_steps in zip(rows, lengths, strict=True):
        piece, start = batch.piece_index[row], batch.start_step[row]
        np.testing.assert_array_equal(batch.frames[row, :n_steps], doubled[piece][start : start + n_steps])
        seen[piece][start : start + n_steps] += 1
    assert all((each == 1).all() for each in seen)


# --- measures


def test_measures_of_a_table_are_those_of_its_symbols(pieces):
    model = Table()
    found = evaluate_masked(
        model, [np.repeat(piece, 2, axis=0) for piece in pieces], np.random.default_rng(0), n_steps=30
    )
    assert set(found) == {
        *(f"{kind}_{key}" for kind in masking.MASKERS for key in ("nats", "accuracy", "copying_accuracy")),
        "uniform_nats",
    }
    assert found["uniform_nats"] == math.log(47)
    whole = evaluate_masked(model, pieces, np.random.default_rng(0), {"three": partial(mask_voices, n_hidden=3)})
    assert whole["three_copying_accuracy"] == pytest.approx(0.02, abs=0.03)
    [windows] = cut_frame_windows(pieces, 96)
    drawn = mask_batch(windows, partial(mask_voices, n_hidden=3), np.random.default_rng(0))
    ids = drawn.frames[drawn.is_hidden]
    assert whole["three_nats"] == pytest.approx(nats_of(model, ids).mean(), rel=1e-6)
    assert whole["three_accuracy"] == pytest.approx((ids == 46).mean())


def test_copying_is_measured_beside_the_model(pieces):
    held = [np.repeat(piece, 8, axis=0) for piece in pieces]
    kinds = {"cells": mask_cells, "notes": mask_notes}
    found = evaluate_masked(Table(), held, np.random.default_rng(0), kinds)
    assert found["cells_copying_accuracy"] > 0.7 and found["notes_copying_accuracy"] < 0.05


@pytest.mark.parametrize("is_training", [True, False])
def test_measuring_leaves_every_part_of_a_model_in_its_mode(pieces, is_training):
    model = MaskedTransformer(replace(SMALL, dropout=0.5)).train(is_training)
    model.head.train(not is_training)
    modes = [part.training for part in model.modules()]
    kinds = {"cells": mask_cells}
    first, again = (evaluate_masked(model, pieces, np.random.default_rng(0), kinds) for _ in range(2))
    assert first == again  # no dropout while it is measured
    assert [part.training for part in model.modules()] == modes


def test_a_model_that_cannot_be_measured_keeps_its_mode_too(pieces):
    model = Table(n_symbols=11).train()
    with pytest.raises(ValueError, match="Targets must lie in"):
        evaluate_masked(model, pieces, np.random.default_rng(0), {"cells": mask_cells})
    assert model.training


# --- refusals


def test_a_hider_that_hides_nothing_or_all_is_refused(frames):
    generator = np.random.default_rng(0)

    def hide_none(frames, is_padding, generator):
        return np.zeros(frames.shape, bool)

    def hide_one_window(frames, is_padding, generator):
        return np.arange(len(frames))[:, None, None] + np.zeros(frames.shape, int) == 0

    def hide_all(frames, is_padding, generator):
        return np.ones(frames.shape, bool)

    with pytest.raises(ValueError, match="hidden in each window, .*; in window 0 nothing is"):
        mask_batch(frames, hide_none, generator)
    with pytest.raises(ValueError, match="in window 1 nothing is"):
        mask_batch(frames, hide_one_window, generator)
    with pytest.raises(ValueError, match="must stay visible in each window; in window 0 every cell is hidden"):
        next(masked_batches([frames], hide_all, generator))


def test_one_window_hidden_whole_is_refused_unless_the_loss_is_orderless(frames):
    def hide_third_window(frames, is_padding, generator):
        hidden = mask_cells(frames, is_padding, generator)
        hidden[2] = ~is_padding[2, :, None]
        return hidden

    def hide(hider, **weigh):
        return mask_batch(frames, hider, np.random.default_rng(0), **weigh).is_hidden[2]

    for weigh in ({}, {"weigh": equal_weights}):
        with pytest.raises(ValueError, match="in window 2 every cell is hidden. Hide less, or train an orderless"):
            hide(hide_third_window, **weigh)
    is_music = np.broadcast_to(~frames.is_padding[2, :, None], (20, 4))
    np.testing.assert_array_equal(hide(hide_third_window, weigh=masking.orderless_weights), is_music)


def test_kinds_that_hide_all_now_and_then_may_whatever_the_weights(pieces):
    short = next(random_frame_batches(pieces, 60, 1, np.random.default_rng(0)))  # four cells: a quarter hide all
    mixed = partial(masking.mask_mixed, kinds=(mask_cells, mask_orderless))
    for hide, weigh in ((mask_orderless, None), (partial(mask_orderless), equal_weights), (mixed, None)):
        batch = mask_batch(short, hide, np.random.default_rng(1), weigh)
        is_whole = batch.is_hidden.all(axis=(1, 2))
        assert 0 < is_whole.sum() < 60
        assert (batch.weights[is_whole] == 1).all()


def test_orderless_hiding_with_settings_keeps_its_weights(frames):
    one, other = (
        mask_batch(frames, hide, np.random.default_rng(3)) for hide in (mask_orderless, partial(mask_orderless))
    )
    np.testing.assert_array_equal(one.weights, other.weights)
    assert one.weights.max() > 1


def test_a_hider_that_returns_something_else_is_refused(frames):
    for hide, found in (
        (lambda frames, *_: frames > 9 * np.ones(5)[:, None, None, None], "bool"),
        (lambda frames, *_: frames, "int64"),
        (lambda *_: None, "NoneType"),
    ):
        with pytest.raises(TypeError, match=f"must return a bool array of the shape of the frames.*; found {found}"):
            mask_batch(frames, hide, np.random.default_rng(0))


def test_a_batch_of_another_kind_and_a_seed_are_refused(frames, pieces):
    with pytest.raises(TypeError, match="Cells are hidden in a FrameBatch, .*; found ndarray. For one piece"):
        mask_batch(frames.frames, mask_cells, np.random.default_rng(0))
    with pytest.raises(TypeError, match="masked needs a MaskedBatch, .*; found FrameBatch"):
        masked_loss(Table(), frames)
    with pytest.raises(TypeError, match="masked_batches draws from a numpy.random.Generator; found int"):
        masked_batches([frames], mask_cells, 0)
    with pytest.raises(TypeError, match="measure_masked draws from a numpy.random.Generator; found int"):
        evaluate_masked(Table(), pieces, 0)


def test_nothing_hidden_and_ids_of_another_vocabulary_are_refused(batch):
    with pytest.raises(ValueError, match="at least one hidden cell of music; found none"):
        masked_loss(Table(), replace(batch, is_hidden=np.zeros_like(batch.is_hidden)))
    with pytest.raises(ValueError, match=r"must lie in 0\.\.10; found 0\.\.46"):
        masked_loss(Table(n_symbols=11), batch)


def test_the_pure_loss_refuses_what_does_not_fit():
    logits, ids, weights = torch.zeros(1, 3, 4, 47), torch.ones(1, 3, 4, dtype=torch.long), torch.ones(1, 3, 4)
    with pytest.raises(ValueError, match=r"found \(1, 3, 4, 47\) and \(1, 4, 3\)"):
        hidden_cross_entropy(logits, ids.mT, weights)
    with pytest.raises(ValueError, match=r"one number a cell, \(1, 3, 4\), none below 0; found \(1, 3\)"):
        hidden_cross_entropy(logits, ids, weights[..., 0])
    with pytest.raises(ValueError, match="the lowest -1"):
        hidden_cross_entropy(logits, ids, -weights)
    with pytest.raises(ValueError, match="at least one hidden cell of music; found none"):
        hidden_cross_entropy(logits, ids, 0 * weights)
    with pytest.raises(ValueError, match=r"must lie in 0\.\.46; found 47\.\.47"):
        hidden_cross_entropy(logits, 47 * ids, weights)


def test_pieces_that_are_none_are_refused():
    for pieces in ([], [np.zeros((0, 4), int)], [np.zeros(5, int)]):
        with pytest.raises(ValueError, match="at least one step each; found others or none"):
            evaluate_masked(Table(), pieces, np.random.default_rng(0))
