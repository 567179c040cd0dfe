"""The next-token loss: by hand, with padding, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mini_musessl.batches import cut_windows
from mini_musessl.objectives.next_token import next_token_loss, token_cross_entropy


def test_two_tokens_by_hand():
    logits = torch.tensor([[[0.0, math.log(3)], [math.log(9), 0.0]]])
    # The targets have probability 3/4 and 9/10.
    loss = token_cross_entropy(logits, torch.tensor([[1, 0]]))
    assert loss.item() == pytest.approx(-(math.log(0.75) + math.log(0.9)) / 2)


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_vocabulary():
    assert token_cross_entropy(torch.zeros(2, 3, 47), torch.ones(2, 3).long()).item() == pytest.approx(math.log(47))


def test_padding_counts_neither_above_nor_below_the_fraction_line():
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(10).reshape(2, 5) % 7
    is_padding = torch.tensor([[False] * 5, [False, False, True, True, True]])
    mean = torch.cat(
        (-logits[0].log_softmax(-1)[range(5), targets[0]], -logits[1].log_softmax(-1)[range(2), targets[1, :2]])
    )
    assert token_cross_entropy(logits, targets, is_padding).item() == pytest.approx(mean.mean().item())
    logits[1, 3] = math.nan
    targets[1, 3] = -100
    assert token_cross_entropy(logits, targets, is_padding).item() == pytest.approx(mean.mean().item())


def test_gradients_reach_the_counted_logits_only():
    logits = torch.zeros(1, 3, 4, requires_grad=True)
    token_cross_entropy(logits, torch.zeros(1, 3).long(), torch.tensor([[False, True, False]])).backward()
    assert (logits.grad[0, 1] == 0).all()
    torch.testing.assert_close(logits.grad[0, 0], torch.tensor([-0.375, 0.125, 0.125, 0.125]))


def test_swapped_axes_are_refused():
    with pytest.raises(
        ValueError, match=r"targets must have the shape of logits without its last axis, \(2, 7\); found \(2, 5\)"
    ):
        token_cross_entropy(torch.zeros(2, 7, 5), torch.zeros(2, 5).long())


def test_padding_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"is_padding must have the shape .* \(2, 5\); found \(5, 2\)"):
        token_cross_entropy(torch.zeros(2, 5, 7), torch.zeros(2, 5).long(), torch.zeros(5, 2).bool())


def test_nothing_but_padding_is_refused():
    with pytest.raises(ValueError, match="at least one target; found none"):
        token_cross_entropy(torch.zeros(2, 5, 7), torch.zeros(2, 5).long(), torch.ones(2, 5).bool())


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="at least one target; found none"):
        token_cross_entropy(torch.zeros(0, 5, 7), torch.zeros(0, 5).long())


@pytest.mark.parametrize("bad", [-1, 7])
def test_targets_outside_the_vocabulary_are_refused(bad):
    with pytest.raises(ValueError, match=r"Targets must lie in 0\.\.6; found"):
        token_cross_entropy(torch.zeros(1, 2, 7), torch.tensor([[3, bad]]))


@pytest.mark.parametrize("is_padding", [torch.tensor([[0, 0, 1]]), torch.tensor([[0.0, 0.0, 1.0]])])
def test_padding_in_numbers_is_refused(is_padding):
    with pytest.raises(TypeError, match="is_padding must be True or False at every position; found torch"):
        token_cross_entropy(torch.zeros(1, 3, 5), torch.tensor([[1, 2, 3]]), is_padding)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_targets_that_are_no_ids_are_refused(dtype):
    with pytest.raises(TypeError, match="targets must be token ids, whole numbers; found torch"):
        token_cross_entropy(torch.zeros(1, 3, 5), torch.ones(1, 3, dtype=dtype))


def test_targets_may_be_short_integers():
    assert token_cross_entropy(torch.zeros(1, 3, 5), torch.ones(1, 3, dtype=torch.int32)).item() == pytest.approx(
        math.log(5)
    )


class Uniform(torch.nn.Module):
    """A model of tokens that has learned one score a symbol."""

    def __init__(self):
        super().__init__()
        self.scores = torch.nn.Parameter(torch.linspace(0, 1, 7))

    def forward(self, token_ids):
        return self.scores.expand(*token_ids.shape, 7)


@pytest.mark.parametrize("length", [5, 12])
def test_the_objective_leaves_out_padding_and_counts_the_rest(length):
    piece = np.arange(length) % 7
    batch = cut_windows([piece], 8, begin_id=7)
    model = Uniform()
    loss, n_targets = next_token_loss(model, batch)
    assert n_targets == length
    assert loss.item() == pytest.approx(-model.scores.log_softmax(0)[torch.from_numpy(piece)].mean().item())
    assert loss.requires_grad
