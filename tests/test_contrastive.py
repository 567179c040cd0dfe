"""The contrastive objective: its loss against other ways to compute it, false negatives, collapse, and refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from mini_musessl import training
from mini_musessl.network.encoder import EncoderConfig
from mini_musessl.objectives.contrastive import (
    Contrastive,
    ContrastiveModel,
    Views,
    alignment,
    contrastive_batches,
    effective_rank,
    evaluate_contrastive,
    info_nce,
    project,
    recall_at_1,
    uniformity,
)
from mini_musessl.training.resuming import batch_digest

CONFIG = EncoderConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, dropout=0.0)
VIEWS = Views(n_crop_steps=8)


def vectors(n_windows: int, d: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random vectors of all lengths for two views."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n_windows, d, generator=generator) * 3 for _ in range(2))


def by_brute_force(first, second, temperature, is_false_negative=None) -> float:
    """Return the mean surprise, one view and one candidate at a time."""
    n_windows, views = len(first), [*first.tolist(), *second.tolist()]
    surprises = []
    for i, query in enumerate(views):
        weights = {}
        for j, candidate in enumerate(views):
            left_out = is_false_negative is not None and bool(is_false_negative[i % n_windows, j % n_windows])
            if i != j and not left_out:
                dot = sum(a * b for a, b in zip(query, candidate, strict=True))
                weights[j] = math.exp(dot / math.hypot(*query) / math.hypot(*candidate) / temperature)
        if len(weights) > 1:
            surprises.append(-math.log(weights[(i + n_windows) % len(views)] / sum(weights.values())))
    return sum(surprises) / len(surprises)


@given(st.integers(2, 7), st.floats(0.05, 3), st.integers(0, 1000))
def test_the_loss_is_that_of_a_loop_over_all_views(n_windows, temperature, seed):
    first, second = vectors(n_windows, seed=seed)
    expected = by_brute_force(first, second, temperature)
    assert info_nce(first, second, temperature).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@given(st.integers(0, 1000))
def test_the_loss_with_false_negatives_is_that_of_a_loop(seed):
    first, second = vectors(6, seed=seed)
    hymn = np.random.default_rng(seed).integers(4, size=6)
    hymn[0], hymn[1] = 7, 8
    same = torch.from_numpy(np.equal.outer(hymn, hymn) & ~np.eye(6, dtype=bool))
    expected = by_brute_force(first, second, 0.3, same)
    assert info_nce(first, second, 0.3, same).item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_is_the_cross_entropy_of_a_matrix_made_by_hand():
    # Unit vectors at these angles: cosines can be read off. Rows: a1, b1, a2, b2; candidates: all but oneself.
    angles = torch.tensor([0.0, 90.0, 60.0, 180.0]).deg2rad()
    points = torch.stack((angles.cos(), angles.sin()), dim=1)
    cos30 = math.sqrt(3) / 2
    logits = 2 * torch.tensor([[0, 0.5, -1], [0, cos30, 0], [0.5, cos30, -0.5], [-1, 0, -0.5]])
    targets = torch.tensor([1, 2, 0, 1])  # a2 among b1 a2 b2; b2 among a1 a2 b2; a1 among a1 b1 b2; b1 among a1 b1 a2
    expected = functional.cross_entropy(logits, targets).item()
    assert info_nce(points[:2], points[2:], 0.5).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_windows", [2, 8, 33])
def test_one_who_guesses_pays_the_logarithm_of_the_number_of_candidates(n_windows):
    same = torch.ones(n_windows, 4)
    assert info_nce(same, same, 0.1).item() == pytest.approx(math.log(2 * n_windows - 1), abs=1e-5)


def test_the_length_of_vectors_and_the_order_of_windows_do_not_matter():
    first, second = vectors(6)
    loss = info_nce(first, second)
    torch.testing.assert_close(info_nce(first * torch.arange(1, 7)[:, None], second * 9), loss)
    torch.testing.assert_close(info_nce(second, first), loss)
    shuffled = torch.tensor([3, 0, 5, 1, 2, 4])
    torch.testing.assert_close(info_nce(first[shuffled], second[shuffled]), loss)
    assert not torch.isclose(info_nce(first, second[shuffled]), loss)


def test_a_loss_of_nothing_needs_a_small_temperature():
    apart = torch.eye(6)
    assert info_nce(apart, apart, 0.02).item() < 1e-9
    assert info_nce(apart, apart, 1.0).item() == pytest.approx(math.log(1 + 10 / math.e))


def test_what_is_left_out_gets_no_gradient_and_does_not_count():
    first, second = (v.requires_grad_() for v in vectors(3))
    same = torch.zeros(3, 3, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    scores_without = info_nce(first[[0, 2]], second[[0, 2]])
    loss = info_nce(first, second, is_false_negative=same)
    both_ways = by_brute_force(first.detach(), second.detach(), 0.1, same)
    assert loss.item() == pytest.approx(both_ways, rel=1e-4) and scores_without.item() != pytest.approx(loss.item())
    alone = torch.ones(3, 3, dtype=torch.bool) & ~torch.eye(3, dtype=torch.bool)
    alone[1, 2] = alone[2, 1] = False  # window 0 has no wrong candidate; 1 and 2 have each other
    info_nce(first, second, is_false_negative=alone).backward()
    assert (first.grad[0] == 0).all() and (second.grad[0] == 0).all() and first.grad[1].abs().sum() > 0


def test_sixteen_bits_outside_change_nothing_inside():
    first, second = vectors(16, 32)
    with torch.autocast("cpu", torch.bfloat16):
        found = info_nce(first, second, 0.05)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, info_nce(first, second, 0.05))


@pytest.fixture
def pieces():
    """Return pieces in their own registers, so that they can be told apart; the second sets the hymn of the first."""
    generator = np.random.default_rng(1)
    return [np.repeat(generator.integers(low, low + 9, (12, 4)), 2, axis=0) for low in (1, 10, 19, 28, 37)]


HYMNS = np.array([0, 0, 1, 2, 3])


def test_a_batch_says_which_windows_are_no_fair_wrong_answers(pieces):
    batch = next(contrastive_batches(pieces, 12, 12, np.random.default_rng(0), VIEWS, HYMNS))
    hymn = HYMNS[batch.piece_index]
    np.testing.assert_array_equal(batch.hymn_index, hymn)
    expected = [[i != j and hymn[i] == hymn[j] for j in range(12)] for i in range(12)]
    np.testing.assert_array_equal(batch.is_false_negative, expected)
    assert batch.n_false_negatives == np.sum(expected) // 2 > 0
    assert batch.frames.shape == (2, 12, 8, 4)


def test_pieces_of_unknown_hymns_are_hymns_of_their_own(pieces):
    known, unknown = [0, 0, 1, 2, 3], [4, 4, -1, -1, -1]
    one, other = (
        next(contrastive_batches(pieces, 12, 12, np.random.default_rng(0), VIEWS, hymns)) for hymns in (known, unknown)
    )
    assert len(set(one.piece_index.tolist()) & {2, 3, 4}) > 1
    np.testing.assert_array_equal(one.is_false_negative, other.is_false_negative)
    found = [
        evaluate_contrastive(ContrastiveModel(CONFIG, 6), pieces, np.random.default_rng(2), VIEWS, 12, hymns)
        for hymns in (known, unknown, [-1] * 5)
    ]
    assert found[0] == found[1]
    assert found[2]["n_false_negatives"] == 0
    assert next(contrastive_batches(pieces, 4, 12, np.random.default_rng(0), VIEWS, [-1] * 5)).frames.shape[1] == 4


def test_a_batch_made_by_hand_knows_that_two_unknown_hymns_are_not_one(pieces):
    batch = next(contrastive_batches(pieces, 4, 12, np.random.default_rng(0), VIEWS))
    lone = replace(batch, piece_index=np.array([0, 0, 1, 2]), hymn_index=np.array([-1, -1, -1, 5]))
    assert lone.n_false_negatives == 1  # the two windows of piece 0


def test_a_batch_has_always_a_negative_and_comes_again_from_the_same_seed(pieces):
    def begin():
        return contrastive_batches(pieces[:2], 2, 12, np.random.default_rng(5), VIEWS)

    drawn = [batch for batch, _ in zip(begin(), range(30), strict=False)]
    assert all(not batch.is_false_negative.all() and batch.n_false_negatives == 0 for batch in drawn)
    assert [batch_digest(batch) for batch in drawn[:3]] == [
        batch_digest(batch) for batch, _ in zip(begin(), range(3), strict=False)
    ]


def test_the_objective_is_the_loss_of_the_models_vectors(pieces):
    model = ContrastiveModel(CONFIG, 6).eval()
    batch = next(contrastive_batches(pieces, 9, 12, np.random.default_rng(0), VIEWS, HYMNS))
    loss, n_targets = Contrastive(0.2)(model, batch)
    first, second = project(model, batch)
    expected = by_brute_force(first.detach(), second.detach(), 0.2, batch.is_false_negative)
    assert first.shape == (9, 6) and n_targets == 18
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    kept, _ = Contrastive(0.2, has_false_negatives=True)(model, batch)
    assert kept.item() == pytest.approx(by_brute_force(first.detach(), second.detach(), 0.2), rel=1e-4)
    assert kept.item() > loss.item()


def test_a_view_without_a_wrong_candidate_is_no_target(pieces):
    batch = next(contrastive_batches(pieces, 3, 12, np.random.default_rng(0), VIEWS, HYMNS))
    lone = replace(batch, piece_index=np.array([0, 1, 2]), hymn_index=np.array([0, 0, 1]))
    assert Contrastive()(ContrastiveModel(CONFIG), lone)[1] == 6
    nobody = replace(lone, hymn_index=np.array([0, 0, 0]))
    with pytest.raises(ValueError, match="A batch needs negatives; found 3 window"):
        Contrastive()(ContrastiveModel(CONFIG), nobody)


def test_what_is_hidden_and_what_is_padding_moves_no_vector(pieces):
    model = ContrastiveModel(CONFIG, 6).eval()
    short = [piece[:6] for piece in pieces]
    batch = next(contrastive_batches(short, 8, 12, np.random.default_rng(0), VIEWS))
    assert batch.is_padding.any() and batch.is_hidden.any()
    is_unseen = batch.is_hidden | batch.is_padding[..., None]
    changed = replace(batch, frames=np.where(is_unseen, (batch.frames + 7) % 47, batch.frames))
    for before, after in zip(project(model, batch), project(model, changed), strict=True):
        torch.testing.assert_close(before, after)


def test_it_learns_to_tell_pieces_apart(pieces):
    views = replace(VIEWS, transposes=False, semitones=range(1))
    model = ContrastiveModel(CONFIG, 8)
    config = training.TrainingConfig(60, 1e-2, n_warmup_updates=5, report_every=60, device="cpu")
    batches = contrastive_batches(pieces, 12, 16, np.random.default_rng(0), views)
    before = evaluate_contrastive(model, pieces, np.random.default_rng(1), views, 16)
    history = training.train(model, batches, config, objective=Contrastive(), report=None)
    after = evaluate_contrastive(model, pieces, np.random.default_rng(1), views, 16)
    assert history.train_nats[0] > 1.5 and after["nats"] < 0.5 * before["nats"]
    assert after["recall_at_1"] == 1 and after["chance_recall_at_1"] == pytest.approx(0.2)
    assert after["uniformity"] < before["uniformity"]
    assert after["chance_nats"] == pytest.approx(math.log(9))


def test_the_model_is_made_from_its_seed_and_measured_from_the_generators(pieces):
    state = torch.get_rng_state()
    model = ContrastiveModel(CONFIG, 6, seed=4).train()
    assert torch.equal(torch.get_rng_state(), state)
    again = ContrastiveModel(CONFIG, 6, seed=4)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    found = evaluate_contrastive(model, pieces, np.random.default_rng(2), VIEWS, 12, HYMNS)
    assert model.training
    assert found == evaluate_contrastive(again, pieces, np.random.default_rng(2), VIEWS, 12, HYMNS)
    assert found["n_windows"] == 5 and found["n_false_negatives"] == 1
    assert found["chance_recall_at_1"] == pytest.approx((2 / 4 + 3 / 5) / 5)
    assert found["chance_nats"] == pytest.approx((2 * math.log(7) + 3 * math.log(9)) / 5)


class Collapsed(ContrastiveModel):
    """Says the same of everything."""

    def forward(self, *views):
        return super().forward(*views) * 0 + 1


def test_a_collapsed_model_scores_chance_and_is_found(pieces):
    found = evaluate_contrastive(Collapsed(CONFIG, 6), pieces, np.random.default_rng(2), VIEWS, 12)
    assert found["recall_at_1"] == pytest.approx(found["chance_recall_at_1"])
    assert found["nats"] == pytest.approx(found["chance_nats"], abs=1e-5)
    assert found["alignment"] == pytest.approx(0, abs=1e-9) and found["uniformity"] == pytest.approx(0, abs=1e-6)
    assert found["projection_rank"] == 0 and found["encoder_rank"] > 1


def test_alignment_and_uniformity_are_those_of_the_paper():
    first, second = vectors(7)
    unit, other = functional.normalize(first), functional.normalize(second)
    assert alignment(first, second) == pytest.approx((unit - other).norm(dim=1).pow(2).mean().item(), rel=1e-5)
    assert uniformity(first) == pytest.approx(torch.pdist(unit).pow(2).mul(-2).exp().mean().log().item(), rel=1e-5)
    assert alignment(first, -2 * first) == pytest.approx(4)


def test_effective_rank_counts_directions():
    generator = torch.Generator().manual_seed(0)
    line = torch.randn(50, 1, generator=generator) * torch.randn(1, 8, generator=generator)
    assert effective_rank(line) == pytest.approx(1, abs=1e-4)
    assert 7.5 < effective_rank(torch.randn(2000, 8, generator=generator)) <= 8
    assert effective_rank(torch.ones(9, 3)) == 0
    assert effective_rank(torch.eye(4)) == pytest.approx(3)  # centred, four corners span three directions


def test_recall_leaves_out_what_it_is_told_to():
    first = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    second = torch.tensor([[0.9, 0.1], [1.0, 0.0], [0.0, 1.0]])  # 0 and 1 find each other
    assert recall_at_1(first, second) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    left_out = torch.zeros(3, 3, dtype=torch.bool)
    left_out[0, 1] = left_out[1, 0] = True
    assert recall_at_1(first, second, left_out) == (1.0, pytest.approx((0.5 + 0.5 + 1 / 3) / 3))


def test_a_spread_of_one_point_is_refused():
    with pytest.raises(ValueError, match="compares points in pairs; found 1"):
        uniformity(torch.ones(1, 3))
    with pytest.raises(ValueError, match="needs points to compare; found 1"):
        effective_rank(torch.ones(1, 3))


@pytest.mark.parametrize("temperature", [0, -0.1, math.inf, math.nan])
def test_a_temperature_of_0_or_below_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature must be a finite number above 0; found {temperature}"):
        info_nce(*vectors(3), temperature)
    with pytest.raises(ValueError, match="temperature must be a finite number above 0"):
        Contrastive(temperature)


def test_a_batch_without_negatives_is_refused(pieces):
    with pytest.raises(ValueError, match=r"A batch needs negatives; found 1 window\(s\)"):
        info_nce(*vectors(1))
    with pytest.raises(ValueError, match="n_windows must be at least 2; found 1. A batch without negatives"):
        contrastive_batches(pieces, 1, 12, np.random.default_rng(0), VIEWS)
    with pytest.raises(ValueError, match="found one piece or one hymn alone. Give more pieces"):
        contrastive_batches(pieces[:2], 4, 12, np.random.default_rng(0), VIEWS, hymns=[5, 5])
    with pytest.raises(ValueError, match="at least two pieces; found 1"):
        evaluate_contrastive(ContrastiveModel(CONFIG), pieces[:1], np.random.default_rng(0), VIEWS)


def test_windows_shorter_than_a_view_and_hymns_of_other_pieces_are_refused(pieces):
    with pytest.raises(ValueError, match="windows of 8 steps and views of 8"):
        contrastive_batches(pieces, 4, 8, np.random.default_rng(0), VIEWS)
    with pytest.raises(ValueError, match=r"found 5 pieces and hymns of the shape \(3,\)"):
        contrastive_batches(pieces, 4, 12, np.random.default_rng(0), VIEWS, hymns=[0, 1, 2])
    with pytest.raises(TypeError, match="Hymns must be whole numbers; found float64"):
        contrastive_batches(pieces, 4, 12, np.random.default_rng(0), VIEWS, hymns=np.ones(5))
    with pytest.raises(ValueError, match="at least one piece; found none"):
        contrastive_batches([], 4, 12, np.random.default_rng(0), VIEWS)


def test_vectors_that_are_no_pairs_are_refused():
    first, second = vectors(4)
    with pytest.raises(ValueError, match=r"in the same order; found \(4, 5\) and \(3, 5\)"):
        info_nce(first, second[:3])
    with pytest.raises(ValueError, match=r"every two of 4 windows; found \(3, 3\) of torch.bool"):
        info_nce(first, second, 0.1, torch.zeros(3, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="no false negative of itself"):
        info_nce(first, second, 0.1, torch.eye(4, dtype=torch.bool))


def test_a_batch_of_another_kind_is_refused(pieces):
    with pytest.raises(TypeError, match="Contrastive needs a ContrastiveBatch, .*; found list"):
        Contrastive()(ContrastiveModel(CONFIG), pieces)
    with pytest.raises(ValueError, match="d_projection must be at least 1; found 0"):
        ContrastiveModel(CONFIG, 0)
