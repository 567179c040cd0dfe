"""The order objective: pairs of neighbouring windows, a score that turns with them, two rules, and refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mini_musessl import training
from mini_musessl.network.encoder import EncoderConfig
from mini_musessl.objectives.order import OrderBatch, OrderModel, evaluate_order, order_batches, order_loss, seam_votes

CONFIG = EncoderConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, dropout=0.0)


def numbered(n_steps: int, first: int = 1) -> np.ndarray:
    return np.stack([np.arange(first, first + n_steps)] + [np.full(n_steps, 20)] * 3, axis=1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def model():
    model = OrderModel(CONFIG).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.copy_(torch.randn(weight.shape, generator=generator) / 3)
    return model


@pytest.mark.parametrize("n_gap_steps", [0, 3])
def test_the_windows_are_neighbours_and_a_coin_turns_them_round(n_gap_steps):
    batch = next(order_batches([numbered(40)], 200, 8, rng(), range(1), n_gap_steps))
    apart = batch.right[:, 0, 0] - batch.left[:, 0, 0]
    np.testing.assert_array_equal(apart, np.where(batch.is_in_order, 8 + n_gap_steps, -8 - n_gap_steps))
    assert 70 < batch.is_in_order.sum() < 130
    assert (np.diff(batch.left[:, :, 0]) == 1).all() and (np.diff(batch.right[:, :, 0]) == 1).all()


def test_both_windows_are_transposed_alike():
    batch = next(order_batches([numbered(20, 14)], 60, 8, rng(), range(-5, 7)))
    np.testing.assert_array_equal(batch.left[:, 0, 1], batch.right[:, 0, 1])
    assert len(set(batch.left[:, 0, 1].tolist())) > 4


def test_pieces_that_hold_one_window_are_left_out_and_the_others_keep_their_number():
    batch = next(order_batches([numbered(15), numbered(40), numbered(12), numbered(16)], 50, 8, rng()))
    assert set(batch.piece_index.tolist()) == {1, 3}


def test_the_score_turns_with_the_windows(model):
    batch = next(order_batches([numbered(40), numbered(30, 9)], 12, 8, rng()))
    left, right = torch.from_numpy(batch.left), torch.from_numpy(batch.right)
    score = model(left, right)
    assert score.shape == (12,) and score.abs().min() > 1e-4
    torch.testing.assert_close(model(right, left), -score)
    torch.testing.assert_close(model(left, left), torch.zeros(12))


def test_the_loss_is_the_surprise_at_the_order_and_ln_2_for_one_who_guesses(model):
    batch = next(order_batches([numbered(40)], 12, 8, rng()))
    loss, n_targets = order_loss(model, batch)
    score = model(torch.from_numpy(batch.left), torch.from_numpy(batch.right)).detach().numpy()
    prob = 1 / (1 + np.exp(-score))
    expected = -np.log(np.where(batch.is_in_order, prob, 1 - prob)).mean()
    assert n_targets == 12 and loss.item() == pytest.approx(expected, rel=1e-4)
    turned = OrderBatch(batch.right, batch.left, ~batch.is_in_order, batch.piece_index)
    torch.testing.assert_close(order_loss(model, turned)[0], loss)
    nn.init.zeros_(model.head[2].weight)
    assert order_loss(model, batch)[0].item() == pytest.approx(math.log(2))


def test_it_learns_the_order_where_time_can_be_read_off():
    model = OrderModel(CONFIG)
    config = training.TrainingConfig(60, 1e-2, n_warmup_updates=5, report_every=60, device="cpu")
    batches = order_batches([numbered(44)], 16, 8, rng(), range(1))
    training.train(model, batches, config, objective=order_loss, report=None)
    found = evaluate_order(model, [numbered(44)], rng(1), 8, n_pairs=80)
    assert found["accuracy"] > 0.95 and found["nats"] < 0.3 < found["chance_nats"]
    assert found["chance_accuracy"] == 0.5 and found["n_pairs"] == 80


def test_the_seam_votes_for_the_smaller_step():
    held, moving = np.full((1, 4, 4), 20), np.full((1, 4, 4), 20)
    moving[0, :, 0], held[0, 0, 0] = [18, 19, 20, 21], 27
    batch = OrderBatch(moving, held, np.array([True]), np.array([0]))
    assert seam_votes(batch).tolist() == [2 - 6]  # kept: 21 to 27; turned: 20 to 18
    assert seam_votes(replace(batch, right=moving)).tolist() == [0]


def test_the_rules_are_measured_beside_the_model(model):
    slow = np.stack([np.repeat(np.arange(1, 11), 4)] * 4, axis=1)  # steps up: the seam is a step, turned round a leap
    found = evaluate_order(model, [slow], rng(), 8, n_pairs=64)
    assert found["seam_accuracy"] == 1
    still = evaluate_order(OrderModel(CONFIG), [np.full((40, 4), 20)], rng(), 8, n_pairs=10)
    assert still["seam_accuracy"] == still["last_chord_accuracy"] == still["accuracy"] == 0.5  # who does not know
    assert found["last_chord_accuracy"] == 0.5  # all last chords are equally long where windows are whole bars
    long_end = numbered(16)
    long_end[13:] = long_end[12]
    assert evaluate_order(model, [long_end], rng(), 8, n_pairs=9)["last_chord_accuracy"] == 1
    assert found == evaluate_order(model.train(), [slow], rng(), 8, n_pairs=64)
    assert model.training is True


def test_what_has_no_order_is_refused(model):
    for error, call, sentence in (
        (ValueError, lambda: order_batches([numbered(15), numbered(9)], 4, 8, rng()), "the longest of 2 has 15"),
        (ValueError, lambda: order_batches([], 4, 8, rng()), "At least one piece is needed; found none"),
        (ValueError, lambda: order_batches([numbered(40)], 4, 8, rng(), n_gap_steps=-1), "n_gap_steps must be at"),
        (TypeError, lambda: order_loss(model, {}), "order_loss needs an? OrderBatch, .*; found dict"),
    ):
        with pytest.raises(error, match=sentence):
            call()
