"""The next-frame objective: four cells a step, padding left out, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mini_musessl.batches import cut_windows, random_frame_batches
from mini_musessl.objectives.next_token import (
    frame_cross_entropy,
    next_frame_loss,
    next_token_loss,
    token_cross_entropy,
)

N_SYMBOLS = 47


class Table(nn.Module):
    """A model of frames that knows how often each symbol comes; it notes what it is asked."""

    def __init__(self, n_symbols=N_SYMBOLS):
        super().__init__()
        self.scores = nn.Parameter(torch.linspace(-1, 1, n_symbols))
        self.asked = []

    def forward(self, frames, first_step):
        self.asked.append((frames.clone(), first_step.clone()))
        return self.scores.expand(*frames.shape, len(self.scores))


@pytest.fixture
def batch():
    pieces = [np.random.default_rng(0).integers(0, N_SYMBOLS, (n_steps, 4)) for n_steps in (5, 12)]
    return next(random_frame_batches(pieces, 6, 9, np.random.default_rng(1)))


def test_the_loss_is_the_mean_over_the_cells_that_are_no_padding(batch):
    model = Table()
    loss, n_targets = next_frame_loss(model, batch)
    cells = batch.frames[~batch.is_padding]
    assert batch.is_padding.any() and n_targets == cells.size
    assert loss.item() == pytest.approx(-model.scores.log_softmax(0)[torch.from_numpy(cells)].mean().item())
    loss.backward()
    assert model.scores.grad.abs().sum() > 0


def test_the_model_is_told_the_first_step_of_each_window(batch):
    model = Table()
    next_frame_loss(model, batch)
    frames, first_step = model.asked[0]
    assert frames.tolist() == batch.frames.tolist()
    assert first_step.tolist() == batch.start_step.tolist()


def test_it_is_the_loss_of_the_same_cells_as_tokens():
    logits = torch.randn(2, 3, 4, 7, generator=torch.Generator().manual_seed(0))
    frames = torch.arange(24).reshape(2, 3, 4) % 7
    is_padding = torch.tensor([[False, False, True], [False, False, False]])
    tokens = token_cross_entropy(logits.flatten(1, 2), frames.flatten(1, 2), is_padding.repeat_interleave(4, dim=1))
    torch.testing.assert_close(frame_cross_entropy(logits, frames, is_padding), tokens)


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_vocabulary():
    loss = frame_cross_entropy(torch.zeros(2, 3, 4, 47), torch.ones(2, 3, 4).long(), torch.zeros(2, 3).bool())
    assert loss.item() == pytest.approx(math.log(47))


def test_logits_at_padding_move_nothing():
    logits = torch.zeros(1, 2, 4, 7, requires_grad=True)
    frame_cross_entropy(logits, torch.zeros(1, 2, 4).long(), torch.tensor([[False, True]])).backward()
    assert (logits.grad[0, 1] == 0).all() and (logits.grad[0, 0] != 0).all()


def test_nothing_but_padding_is_refused(batch):
    nothing = replace(batch, is_padding=np.ones_like(batch.is_padding))
    with pytest.raises(ValueError, match="at least one target; found none"):
        next_frame_loss(Table(), nothing)


def test_ids_of_another_vocabulary_are_refused(batch):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.10; found 0\.\.46"):
        next_frame_loss(Table(n_symbols=11), batch)


def test_swapped_axes_are_refused():
    with pytest.raises(ValueError, match=r"found \(2, 4, 3, 7\), \(2, 3, 4\) and \(2, 3\)"):
        frame_cross_entropy(torch.zeros(2, 4, 3, 7), torch.ones(2, 3, 4).long(), torch.zeros(2, 3).bool())


def test_a_batch_of_tokens_is_refused(batch):
    tokens = cut_windows([[1, 2, 3]], 3, begin_id=47)
    with pytest.raises(TypeError, match="This objective needs a FrameBatch, .*; found Batch"):
        next_frame_loss(Table(), tokens)
    with pytest.raises(TypeError, match="next_token needs a Batch, .*; found FrameBatch"):
        next_token_loss(Table(), batch)


def test_the_loss_refuses_a_mean_over_nothing_and_ids_that_are_none():
    logits, ids = torch.zeros(1, 3, 4, 47), torch.ones(1, 3, 4, dtype=torch.long)
    is_padding = torch.zeros(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="at least one target; found none"):
        frame_cross_entropy(logits, ids, ~is_padding)
    with pytest.raises(ValueError, match=r"must lie in 0\.\.46; found -100\.\.-100"):
        frame_cross_entropy(logits, -100 * ids, is_padding)  # PyTorch would leave them out
    with pytest.raises(ValueError, match=r"must lie in 0\.\.46; found 47\.\.47"):
        frame_cross_entropy(logits, 47 * ids, is_padding)
    with pytest.raises(TypeError, match="whole numbers; found torch.float32"):
        frame_cross_entropy(logits, ids.float(), is_padding)
    with pytest.raises(TypeError, match="True or False at every position; found torch.float32"):
        frame_cross_entropy(logits, ids, is_padding.float())
