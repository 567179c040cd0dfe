"""The contrastive objective: views, its loss against other ways to compute it, false negatives, collapse."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from mini_musessl import training
from mini_musessl.batches import FrameBatch, random_frame_batches
from mini_musessl.network.encoder import EncoderConfig
from mini_musessl.objectives.contrastive import (
    ContrastiveModel,
    Views,
    alignment,
    contrastive_batches,
    contrastive_loss,
    effective_rank,
    evaluate_contrastive,
    hear,
    info_nce,
    make_views,
    project,
    recall_at_1,
    uniformity,
)
from mini_musessl.training.resuming import batch_digest

CONFIG = EncoderConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, dropout=0.0)
VIEWS = Views(n_crop_steps=8)


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def vectors(n_windows: int, d: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n_windows, d, generator=generator) * 3 for _ in range(2))


def by_brute_force(first, second, temperature, is_false_negative=None) -> float:
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


@given(st.integers(3, 7), st.floats(0.05, 3), st.integers(0, 1000))
def test_the_loss_is_that_of_a_loop_over_all_views(n_windows, temperature, seed):
    first, second = vectors(n_windows, seed=seed)
    hymn = np.random.default_rng(seed).integers(4, size=n_windows)
    hymn[:2] = 7, 8
    for same in (None, torch.from_numpy(np.equal.outer(hymn, hymn) & ~np.eye(n_windows, dtype=bool))):
        expected = by_brute_force(first, second, temperature, same)
        assert info_nce(first, second, temperature, same).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


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


def test_a_view_without_a_wrong_candidate_gets_no_gradient():
    first, second = (v.requires_grad_() for v in vectors(3))
    same = ~torch.eye(3, dtype=torch.bool)
    same[1, 2] = same[2, 1] = False  # window 0 has no wrong candidate; 1 and 2 have each other
    info_nce(first, second, is_false_negative=same).backward()
    assert (first.grad[0] == 0).all() and (second.grad[0] == 0).all() and first.grad[1].abs().sum() > 0


@pytest.fixture
def pieces():
    """Return pieces in their own registers, so that they can be told apart; the second sets the hymn of the first."""
    generator = rng(1)
    return [np.repeat(generator.integers(low, low + 9, (12, 4)), 2, axis=0) for low in (1, 10, 19, 28, 37)]


HYMNS = np.array([0, 0, 1, 2, 3])


def test_a_batch_says_which_windows_are_no_fair_wrong_answers(pieces):
    batch = next(contrastive_batches(pieces, 12, 12, rng(0), VIEWS, HYMNS))
    hymn = HYMNS[batch.piece_index]
    np.testing.assert_array_equal(batch.hymn_index, hymn)
    expected = [[i != j and hymn[i] == hymn[j] for j in range(12)] for i in range(12)]
    np.testing.assert_array_equal(batch.is_false_negative, expected)
    assert batch.n_false_negatives == np.sum(expected) // 2 > 0
    assert batch.frames.shape == (2, 12, 8, 4)


def test_pieces_of_unknown_hymns_are_hymns_of_their_own(pieces):
    known, unknown = [0, 0, 1, 2, 3], [4, 4, -1, -1, -1]
    one, other = (next(contrastive_batches(pieces, 12, 12, rng(0), VIEWS, hymns)) for hymns in (known, unknown))
    assert len(set(one.piece_index.tolist()) & {2, 3, 4}) > 1
    np.testing.assert_array_equal(one.is_false_negative, other.is_false_negative)
    found = [
        evaluate_contrastive(ContrastiveModel(CONFIG, 6), pieces, rng(2), VIEWS, 12, hymns)
        for hymns in (known, unknown, [-1] * 5)
    ]
    assert found[0] == found[1]
    assert found[2]["n_false_negatives"] == 0
    by_hand = replace(one, piece_index=np.array([0, 0, *range(1, 11)]), hymn_index=np.array([-1] * 11 + [5]))
    assert by_hand.n_false_negatives == 1  # the two windows of piece 0


def test_a_batch_has_always_a_negative_and_comes_again_from_the_same_seed(pieces):
    def begin():
        return contrastive_batches(pieces[:2], 2, 12, rng(5), VIEWS)

    drawn = [batch for batch, _ in zip(begin(), range(30), strict=False)]
    assert all(not batch.is_false_negative.all() and batch.n_false_negatives == 0 for batch in drawn)
    assert [batch_digest(batch) for batch in drawn[:3]] == [
        batch_digest(batch) for batch, _ in zip(begin(), range(3), strict=False)
    ]


def test_the_objective_is_the_loss_of_the_models_vectors(pieces):
    model = ContrastiveModel(CONFIG, 6).eval()
    batch = next(contrastive_batches(pieces, 9, 12, rng(0), VIEWS, HYMNS))
    loss, n_targets = contrastive_loss(model, batch, 0.2)
    first, second = project(model, batch)
    expected = by_brute_force(first.detach(), second.detach(), 0.2, batch.is_false_negative)
    assert first.shape == (9, 6) and n_targets == 18
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    kept, _ = contrastive_loss(model, batch, 0.2, has_false_negatives=True)
    assert kept.item() == pytest.approx(by_brute_force(first.detach(), second.detach(), 0.2), rel=1e-4)
    assert kept.item() > loss.item()
    with torch.autocast("cpu", torch.bfloat16):  # the vectors are coarser; what is made of them is not
        first, second = project(model, batch)
        loss, _ = contrastive_loss(model, batch, 0.05, has_false_negatives=True)
    torch.testing.assert_close(loss, info_nce(first.float(), second.float(), 0.05))


def test_a_view_without_a_wrong_candidate_is_no_target(pieces):
    batch = next(contrastive_batches(pieces, 3, 12, rng(0), VIEWS, HYMNS))
    lone = replace(batch, piece_index=np.array([0, 1, 2]), hymn_index=np.array([0, 0, 1]))
    assert contrastive_loss(ContrastiveModel(CONFIG), lone)[1] == 6


def test_it_learns_to_tell_pieces_apart(pieces):
    views = replace(VIEWS, transposes=False, semitones=range(1))
    model = ContrastiveModel(CONFIG, 8)
    config = training.TrainingConfig(60, 1e-2, n_warmup_updates=5, report_every=60, device="cpu")
    batches = contrastive_batches(pieces, 12, 16, rng(0), views)
    before = evaluate_contrastive(model, pieces, rng(1), views, 16)
    history = training.train(model, batches, config, objective=contrastive_loss, report=None)
    after = evaluate_contrastive(model, pieces, rng(1), views, 16)
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
    found = evaluate_contrastive(model, pieces, rng(2), VIEWS, 12, HYMNS)
    assert model.training
    assert found == evaluate_contrastive(again, pieces, rng(2), VIEWS, 12, HYMNS)
    assert found["n_windows"] == 5 and found["n_false_negatives"] == 1
    assert found["chance_recall_at_1"] == pytest.approx((2 / 4 + 3 / 5) / 5)
    assert found["chance_nats"] == pytest.approx((2 * math.log(7) + 3 * math.log(9)) / 5)


class Collapsed(ContrastiveModel):
    def forward(self, *views):
        return super().forward(*views) * 0 + 1


def test_a_collapsed_model_scores_chance_and_is_found(pieces):
    found = evaluate_contrastive(Collapsed(CONFIG, 6), pieces, rng(2), VIEWS, 12)
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


N_STEPS = 24
ALONE = dict(transposes=False, crops=False, drops_voices=False, semitones=range(1), n_crop_steps=16)


def only(name: str, **settings) -> Views:
    return Views(**{**ALONE, name: True, **settings})


def draw_windows(n_windows: int = 6, seed: int = 0) -> FrameBatch:
    """Return windows whose cells are all different in a step, some with padding, and with rests."""
    generator = np.random.default_rng(seed)
    pieces = [generator.integers(12, 34, (n_steps, 4)) for n_steps in (60, 20, 9, 31)]
    for ids in pieces:
        ids[3] = 0
    return next(random_frame_batches(pieces, n_windows, N_STEPS, generator, semitones=range(1)))


def test_a_crop_is_a_stretch_of_the_window_at_the_step_that_it_names():
    batch = draw_windows()
    pair = make_views(batch, only("crops"), rng())
    assert pair.frames.shape == (2, 6, 16, 4)
    for view, row in np.ndindex(2, 6):
        offset = pair.start_step[view, row] - batch.start_step[row]
        np.testing.assert_array_equal(pair.frames[view, row], batch.frames[row, offset : offset + 16])
        np.testing.assert_array_equal(pair.is_padding[view, row], batch.is_padding[row, offset : offset + 16])
    assert (pair.start_step[0] != pair.start_step[1]).any()


@given(st.integers(0, 10_000))
def test_a_crop_reaches_into_padding_only_where_the_music_is_too_short(seed):
    batch = draw_windows(seed=seed)
    n_there = (~batch.is_padding).sum(axis=1)
    shown = (~make_views(batch, only("crops"), rng(seed)).is_padding).sum(axis=2)
    np.testing.assert_array_equal(shown, np.tile(np.minimum(n_there, 16), (2, 1)))


def test_transposition_moves_the_pitches_of_each_view_by_its_own_interval():
    batch = draw_windows()
    pair = make_views(batch, only("transposes", semitones=range(-5, 7)), rng())
    is_pitch = (batch.frames > 0) & ~batch.is_padding[..., None]
    moved = pair.frames - batch.frames
    np.testing.assert_array_equal(moved, is_pitch * pair.semitones[:, :, None, None])
    assert (pair.semitones[0] != pair.semitones[1]).any()
    assert pair.frames.min() >= 0 and pair.frames.max() <= 46
    assert pair.frames.shape[2] == N_STEPS and not pair.is_hidden.any()


def test_without_that_view_both_views_are_moved_alike():
    pair = make_views(draw_windows(40), only("crops", semitones=range(-5, 7)), rng())
    np.testing.assert_array_equal(pair.semitones[0], pair.semitones[1])
    assert len(set(pair.semitones[0].tolist())) > 5


def test_an_interval_is_drawn_from_those_that_the_window_allows():
    batch = draw_windows(1)
    high = replace(batch, frames=np.where(batch.frames > 0, 45, 0), is_padding=np.zeros_like(batch.is_padding))
    views = only("transposes", semitones=range(-1, 7))
    found = {tuple(make_views(high, views, rng(seed)).semitones[:, 0].tolist()) for seed in range(60)}
    assert found == {(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)}


@pytest.mark.parametrize("n_dropped", [1, 2])
def test_the_two_views_hide_different_voices_whole(n_dropped):
    batch = draw_windows(60)
    pair = make_views(batch, only("drops_voices", n_dropped_voices=n_dropped), rng())
    is_there = ~pair.is_padding[..., None]
    is_voice_hidden = (pair.is_hidden | ~is_there).all(axis=2)
    assert (is_voice_hidden.sum(axis=2) == n_dropped).all()
    np.testing.assert_array_equal(pair.is_hidden, is_voice_hidden[:, :, None] & is_there)
    assert not (is_voice_hidden[0] & is_voice_hidden[1]).any()
    assert is_voice_hidden.any(axis=1).all(), "each voice is hidden now and then, in either view"
    np.testing.assert_array_equal(pair.frames, np.stack([batch.frames] * 2))


def test_the_same_seed_gives_the_same_views_and_leaves_the_window_alone():
    batch = draw_windows()
    before = batch.frames.copy()
    once, again = (make_views(batch, Views(n_crop_steps=16), rng()) for _ in range(2))
    for name, array in vars(once).items():
        np.testing.assert_array_equal(array, getattr(again, name))
    np.testing.assert_array_equal(batch.frames, before)
    assert not np.array_equal(once.frames, make_views(batch, Views(n_crop_steps=16), rng(4)).frames)


def test_a_view_is_heard_without_what_it_hides_and_without_padding():
    pair = make_views(draw_windows(40), Views(n_crop_steps=16), rng())
    row = int(np.argmax(pair.is_padding[0].any(axis=1)))
    heard = hear(pair, 0, row)
    n_there = int((~pair.is_padding[0, row]).sum())
    assert heard.shape == (n_there, 4) and n_there < 16
    is_hidden = pair.is_hidden[0, row, :n_there]
    assert (heard[is_hidden] == 0).all()
    np.testing.assert_array_equal(heard[~is_hidden], pair.frames[0, row, :n_there][~is_hidden])


def test_what_does_not_fit_is_refused(pieces):
    def batches(n_windows=4, n_steps=12, hymns=None, some=pieces):
        return contrastive_batches(some, n_windows, n_steps, rng(), VIEWS, hymns)

    model, batch = ContrastiveModel(CONFIG), next(batches())
    alone = replace(batch, piece_index=np.zeros(4, int))
    for error, call, sentence in (
        (ValueError, lambda: Views(**ALONE), "At least one view must be switched on: .* the same teach nothing"),
        (ValueError, lambda: Views(n_dropped_voices=3), "n_dropped_voices must lie in 1..2; found 3. Two views hide"),
        (TypeError, lambda: make_views(draw_windows(), only("crops"), 3), "make_views draws from .*; found int"),
        (ValueError, lambda: make_views(draw_windows(), Views(), rng()), "windows of 24 steps and views of 32"),
        (ValueError, lambda: batches(n_steps=8), "windows of 8 steps and views of 8"),
        (ValueError, lambda: batches(n_windows=1), "n_windows must be at least 2; found 1. A batch without negatives"),
        (ValueError, lambda: batches(hymns=[5] * 5), "found one piece or one hymn. Give more pieces"),
        (ValueError, lambda: batches(hymns=[0, 1, 2]), r"found 5 pieces and hymns of the shape \(3,\)"),
        (ValueError, lambda: batches(some=[]), "At least one piece is needed; found none"),
        (ValueError, lambda: evaluate_contrastive(model, pieces[:1], rng(), VIEWS), "found one piece or one hymn"),
        (TypeError, lambda: contrastive_loss(model, pieces), "needs a ContrastiveBatch, .*; found list"),
        (ValueError, lambda: contrastive_loss(model, batch, 0), "temperature must be a finite number above 0; found 0"),
        (ValueError, lambda: contrastive_loss(model, alone), "windows of two hymns; found none. Draw more windows"),
    ):
        with pytest.raises(error, match=sentence):
            call()
