"""The masked objective: only hidden cells of music count, each as much as its weight, and what it refuses."""

import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from mini_musessl import masking
from mini_musessl.batches import FrameBatch, cut_frame_windows, random_frame_batches
from mini_musessl.masking import equal_weights, mask_cells, mask_notes, mask_orderless, mask_voices
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.objectives.masked import (
    MaskedBatch,
    evaluate_masked,
    hidden_cross_entropy,
    masked_batches,
    masked_loss,
)
from mini_musessl.training.loop import TrainingConfig, train

SMALL = EncoderConfig(d_model=32, n_layers=2, n_heads=2, d_feedforward=64, d_voice=48, context_length=60, dropout=0.0)


class Table(nn.Module):
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
    return hide(frames, mask_cells)


def hide(frames: FrameBatch, mask, seed=1, weigh=None) -> MaskedBatch:
    return next(masked_batches([frames], mask, np.random.default_rng(seed), weigh))


def nats_of(model: Table, ids: np.ndarray) -> np.ndarray:
    return -model.scores.detach().log_softmax(0).numpy()[ids]


def test_the_loss_is_the_mean_over_the_hidden_cells(batch):
    model = Table()
    loss, n_targets = masked_loss(model, batch)
    hidden = batch.frames[batch.is_hidden]
    assert n_targets == len(hidden) == batch.is_hidden.sum() and loss.requires_grad
    assert loss.item() == pytest.approx(nats_of(model, hidden).mean(), rel=1e-5)
    logits = model(torch.from_numpy(batch.frames), None, None, None)
    by_hand = hidden_cross_entropy(logits, torch.from_numpy(batch.frames), torch.from_numpy(batch.weights))
    torch.testing.assert_close(by_hand, loss)


def test_the_model_is_told_what_is_hidden_what_is_padding_and_where_the_window_begins(batch, pieces):
    model = Table()
    masked_loss(model, batch)
    told = (batch.frames, batch.is_hidden, batch.is_padding, batch.start_step)
    assert all(each.tolist() == array.tolist() for each, array in zip(model.asked[0], told, strict=True))
    masked_loss(model, hide(next(random_frame_batches(pieces, 2, 10, np.random.default_rng(0))), mask_cells))
    assert model.asked[1][2] is None  # where nothing is padding


def test_neither_cells_that_can_be_seen_nor_padding_count(batch):
    model, padding = Table(), batch.is_padding[..., None]
    loss, n_targets = masked_loss(model, batch)
    is_asked = batch.is_hidden & ~padding
    careless = replace(
        batch,
        frames=np.where(is_asked, batch.frames, (batch.frames + 9) % 47),
        is_hidden=batch.is_hidden | padding,
        weights=np.where(is_asked, batch.weights, ~batch.is_hidden & ~padding | padding).astype(np.float32),
    )
    assert masked_loss(model, careless)[1] == n_targets
    assert masked_loss(model, careless)[0].item() == pytest.approx(loss.item(), rel=1e-6)


def test_the_orderless_loss_counts_each_cell_of_music_once(frames):
    model, batch = Table(), hide(frames, mask_orderless)
    loss, n_targets = masked_loss(model, batch)
    n_music = (~frames.is_padding).sum(axis=1) * 4
    means = [nats_of(model, row[hidden]).mean() for row, hidden in zip(batch.frames, batch.is_hidden, strict=True)]
    assert n_targets == n_music.sum()
    assert loss.item() == pytest.approx(n_music @ means / n_music.sum(), rel=1e-5)
    unweighted = hide(frames, mask_orderless, weigh=equal_weights)
    assert masked_loss(model, unweighted)[1] == batch.is_hidden.sum()
    assert abs(masked_loss(model, unweighted)[0] - loss) > 1e-4


def test_one_batch_is_memorised(pieces):
    batch = hide(next(random_frame_batches(pieces, 2, 12, np.random.default_rng(2))), partial(mask_notes, share=0.4))
    config = TrainingConfig(
        n_updates=80, learning_rate=1e-2, n_warmup_updates=5, weight_decay=0.0, report_every=10, device="cpu"
    )
    history = train(MaskedTransformer(SMALL), itertools.repeat(batch), config, objective=masked_loss, report=None)
    assert history.train_nats[0] > 3 and history.train_nats[-1] < 0.1


def test_batches_hide_anew_each_time_and_end_with_the_frames(frames):
    made = list(masked_batches([frames] * 3, mask_cells, np.random.default_rng(0)))
    assert len(made) == 3
    assert not np.array_equal(made[0].is_hidden, made[1].is_hidden)
    assert all(each.frames is frames.frames and each.start_step is frames.start_step for each in made)
    again = list(masked_batches([frames] * 3, mask_cells, np.random.default_rng(0)))
    np.testing.assert_array_equal(made[2].is_hidden, again[2].is_hidden)


def test_measures_of_a_table_are_those_of_its_symbols(pieces):
    model, three = Table(), partial(mask_voices, n_hidden=3)
    held = [np.repeat(piece, 2, axis=0) for piece in pieces]
    found = evaluate_masked(model, held, np.random.default_rng(0), n_steps=30)
    keys = [f"{kind}_{key}" for kind in masking.MASKERS for key in ("nats", "accuracy", "copying_accuracy")]
    assert set(found) == {*keys, "uniform_nats"} and found["uniform_nats"] == math.log(47)
    whole = evaluate_masked(model, pieces, np.random.default_rng(0), {"three": three})
    [windows] = cut_frame_windows(pieces, 96)
    drawn = hide(windows, three, seed=0)
    ids = drawn.frames[drawn.is_hidden]
    assert whole["three_nats"] == pytest.approx(nats_of(model, ids).mean(), rel=1e-6)
    assert whole["three_accuracy"] == pytest.approx((ids == 46).mean())
    assert whole["three_copying_accuracy"] == pytest.approx(0.02, abs=0.03)
    kinds = {"cells": mask_cells, "notes": mask_notes}
    found = evaluate_masked(model, [np.repeat(piece, 8, axis=0) for piece in pieces], np.random.default_rng(0), kinds)
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


def test_kinds_that_hide_all_now_and_then_may_whatever_the_weights(pieces):
    short = next(random_frame_batches(pieces, 60, 1, np.random.default_rng(0)))  # four cells: a quarter hide all
    mixed = partial(masking.mask_mixed, kinds=(mask_cells, mask_orderless))
    for mask, weigh in ((mask_orderless, None), (partial(mask_orderless), equal_weights), (mixed, None)):
        batch = hide(short, mask, weigh=weigh)
        is_whole = batch.is_hidden.all(axis=(1, 2))
        assert 0 < is_whole.sum() < 60
        assert (batch.weights[is_whole] == 1).all()


def mask_third_window(frames, is_padding, generator):
    is_hidden = mask_cells(frames, is_padding, generator)
    is_hidden[2] = ~is_padding[2, :, None]
    return is_hidden


def test_what_does_not_fit_is_refused(frames, batch, pieces):
    hide(frames, mask_third_window, weigh=masking.orderless_weights)
    nothing = replace(batch, is_hidden=np.zeros_like(batch.is_hidden))
    for error, call, sentence in (
        (ValueError, lambda: hide(frames, mask_third_window), "in window 2 every cell is hidden. Hide less, or"),
        (TypeError, lambda: masked_batches([frames], mask_cells, 0), "masked_batches draws from .*; found int"),
        (TypeError, lambda: evaluate_masked(Table(), pieces, 0), "evaluate_masked draws from .*; found int"),
        (
            ValueError,
            lambda: evaluate_masked(Table(), [], np.random.default_rng(0)),
            "At least one piece is needed; found none",
        ),
        (TypeError, lambda: masked_loss(Table(), frames), "masked_loss needs a MaskedBatch, .*; found FrameBatch"),
        (ValueError, lambda: masked_loss(Table(), nothing), "at least one hidden cell of music; found none"),
        (ValueError, lambda: masked_loss(Table(n_symbols=11), batch), r"must lie in 0\.\.10; found 0\.\.46"),
    ):
        with pytest.raises(error, match=sentence):
            call()
