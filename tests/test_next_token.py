"""The next-token objective, of tokens and of frames: by hand, with padding, and what it refuses."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mini_musessl.batches import cut_windows, random_frame_batches
from mini_musessl.objectives.next_token import (
    frame_cross_entropy,
    next_frame_loss,
    next_token_loss,
    token_cross_entropy,
)


class Table(torch.nn.Module):
    """A model that knows how often each symbol comes; it notes what it is asked."""

    def __init__(self, n_symbols=7, turned=False):
        super().__init__()
        self.scores = torch.nn.Parameter(torch.linspace(0, 1, n_symbols))
        self.asked, self.turned = [], turned

    def forward(self, *asked):
        self.asked.append(asked)
        logits = self.scores.expand(*asked[0].shape, len(self.scores))
        return logits.transpose(1, 2) if self.turned else logits


@pytest.fixture
def frames():
    pieces = [np.random.default_rng(0).integers(0, 7, (n_steps, 4)) for n_steps in (5, 12)]
    batch = next(random_frame_batches(pieces, 6, 9, np.random.default_rng(1), range(1)))
    assert batch.is_padding.any() and not batch.is_padding.all(axis=1).any()
    return batch


def test_two_tokens_by_hand():
    logits = torch.tensor([[[0.0, math.log(3)], [math.log(9), 0.0]]])
    # The targets have probability 3/4 and 9/10.
    loss = token_cross_entropy(logits, torch.tensor([[1, 0]], dtype=torch.int32))
    assert loss.item() == pytest.approx(-(math.log(0.75) + math.log(0.9)) / 2)


def test_padding_counts_neither_above_nor_below_the_fraction_line():
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    targets, is_padding = torch.arange(10).reshape(2, 5) % 7, torch.arange(5) >= torch.tensor([[5], [2]])
    logits[1, 3], targets[1, 3] = math.nan, -1
    nats = -logits.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    torch.testing.assert_close(token_cross_entropy(logits, targets, is_padding), nats[~is_padding].mean())


def test_gradients_reach_the_counted_logits_only():
    logits = torch.zeros(1, 3, 4, requires_grad=True)
    token_cross_entropy(logits, torch.zeros(1, 3).long(), torch.tensor([[False, True, False]])).backward()
    assert (logits.grad[0, 1] == 0).all()
    torch.testing.assert_close(logits.grad[0, 0], torch.tensor([-0.375, 0.125, 0.125, 0.125]))


def test_frames_have_the_loss_of_the_same_cells_as_tokens():
    logits = torch.randn(2, 3, 4, 7, generator=torch.Generator().manual_seed(0))
    frames, is_padding = torch.arange(24).reshape(2, 3, 4) % 7, torch.arange(3) >= torch.tensor([[2], [3]])
    tokens = token_cross_entropy(logits.flatten(1, 2), frames.flatten(1, 2), is_padding.repeat_interleave(4, dim=1))
    torch.testing.assert_close(frame_cross_entropy(logits, frames, is_padding), tokens)


@pytest.mark.parametrize("length", [5, 12])
def test_the_loss_of_tokens_leaves_out_padding_and_counts_the_rest(length):
    piece, model = np.arange(length) % 7, Table()
    loss, n_targets = next_token_loss(model, cut_windows([piece], 8, begin_id=7))
    assert n_targets == length and loss.requires_grad
    assert loss.item() == pytest.approx(-model.scores.log_softmax(0)[torch.from_numpy(piece)].mean().item())


def test_the_loss_of_frames_counts_cells_and_tells_the_model_where_each_window_begins(frames):
    model = Table()
    loss, n_targets = next_frame_loss(model, frames)
    cells = frames.frames[~frames.is_padding]
    assert n_targets == cells.size and loss.requires_grad
    assert loss.item() == pytest.approx(-model.scores.log_softmax(0)[torch.from_numpy(cells)].mean().item())
    asked, first_step = model.asked[0]
    assert asked.tolist() == frames.frames.tolist() and first_step.tolist() == frames.start_step.tolist()


def test_what_does_not_fit_is_refused(frames):
    tokens = cut_windows([[1, 2, 6]], 5, begin_id=47)
    for loss, batch, other in ((next_token_loss, tokens, frames), (next_frame_loss, frames, tokens)):
        nothing = replace(batch, is_padding=np.ones_like(batch.is_padding))
        for error, model, given, sentence in (
            (TypeError, Table(), other, f"{loss.__name__} needs a .*Batch, .*; found .*Batch"),
            (ValueError, Table(), nothing, "at least one target; found none"),
            (ValueError, Table(turned=True), batch, "must score every target, .* found .* Are axes swapped"),
            (ValueError, Table(n_symbols=5), batch, r"Targets must lie in 0\.\.4; found 0\.\.6"),
        ):
            with pytest.raises(error, match=sentence):
                loss(model, given)
