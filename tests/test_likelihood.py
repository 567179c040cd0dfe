"""Likelihood: every token of a piece scored once with its history, means by hand, and the refusals."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from frame_reader import FrameReader

from mini_musessl import voices
from mini_musessl.evaluation import likelihood
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig

CONFIG = TransformerConfig(
    vocabulary_size=11, context_length=16, d_model=12, n_layers=2, n_heads=3, d_feedforward=20, cycle_lengths=(4,)
)
COPYING = FrameConfig(
    context_length=16, d_model=12, n_layers=1, n_heads=2, d_feedforward=8, d_voice=8, uses_copies=True
)
CHORALE_CONFIG = replace(CONFIG, vocabulary_size=47, context_length=64, cycle_lengths=(4, 16))


@pytest.fixture
def model():
    return make_lively(CONFIG)


def make_lively(config, network=MusicTransformer):
    model, generator = network(config), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.3, generator=generator)
    return model


def pieces_of(*lengths):
    return [np.random.default_rng(length).integers(0, 11, length) for length in lengths]


def chorales_of(*lengths):
    return [np.random.default_rng(n).integers(35, 82, (n, 4)).clip(36) for n in lengths]


@pytest.mark.parametrize("context_length", [16, 18])
def test_every_token_is_scored_once_in_its_place(context_length):
    pieces = pieces_of(1, 15, 16, 17, 24, 25, 61)
    model = MusicTransformer(replace(CONFIG, context_length=context_length))
    assert [len(nats) for nats in likelihood.token_nats(model, pieces)] == [1, 15, 16, 17, 24, 25, 61]


@pytest.mark.parametrize("context_length", [16, 18])
def test_scores_are_those_of_reading_each_window_alone(context_length):
    piece = pieces_of(45)[0]
    model = make_lively(replace(CONFIG, context_length=context_length))
    nats = likelihood.token_nats(model, [piece])[0]
    sequence = np.concatenate(([CONFIG.begin_id], piece))
    for token in range(45):
        # The window that scores this token is the first to reach it: at least half a context lies before it.
        start = max(0, -(-(token + 1 - context_length) // 8) * 8)
        logits = model(torch.from_numpy(sequence[None, start : token + 1]))[0, -1]
        assert nats[token] == pytest.approx(-logits.log_softmax(-1)[piece[token]].item(), abs=1e-4)


def test_order_and_company_of_pieces_change_nothing(model):
    pieces = pieces_of(20, 33, 5)
    together = likelihood.token_nats(model, pieces)
    backwards = likelihood.token_nats(model, pieces[::-1])[::-1]
    alone = [likelihood.token_nats(model, [piece])[0] for piece in pieces]
    for a, b, c in zip(together, backwards, alone, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)


def test_a_model_that_was_training_is_scored_without_dropout():
    model = make_lively(replace(CONFIG, dropout=0.5)).train()
    first, second = (likelihood.nats_per_token(model, pieces_of(20)) for _ in range(2))
    assert first == second and model.training


@pytest.mark.parametrize(
    ("changes", "pieces", "sentence"),
    [
        ({}, [], "At least one piece is needed; found none"),
        ({}, [[1, 2], [3, 11]], r"piece 1 must lie in 0\.\.10; found 3\.\.11"),
        ({}, [1, 2], "Put a single piece into a list"),
        ({"context_length": 100, "cycle_lengths": (64,)}, [[1]], "twice the model's cycle of 64 tokens; found 100"),
        ({"is_causal": False}, [[1]], "needs a causal network; found is_causal=False"),
    ],
)
def test_what_cannot_be_scored_is_refused(changes, pieces, sentence):
    with pytest.raises(ValueError, match=sentence):
        likelihood.nats_per_token(MusicTransformer(replace(CONFIG, **changes)), pieces)


class Uniform:
    def token_log_probs(self, ids):
        return np.full(ids.shape, -math.log(47))


class Repeats:
    def symbol_log_probs(self, ids):
        probabilities = np.full((*ids.shape, 47), 0.5 / 47)
        probabilities[0] *= 2
        np.put_along_axis(probabilities[1:], ids[:-1, :, None], 0.5 + 0.5 / 47, axis=-1)
        return np.log(probabilities)


def test_a_uniform_model_scores_ln_47_in_every_unit():
    found = likelihood.evaluate_likelihood(Uniform(), chorales_of(5, 9))
    assert found.nats_per_token == pytest.approx(3.8501, abs=5e-5)
    assert found.nats_per_frame == pytest.approx(4 * math.log(47))
    assert found.bits_per_quarter == pytest.approx(16 * math.log2(47))
    assert found.n_tokens == 56
    assert found.change_accuracy is None


def test_means_by_hand():
    # Two pieces of 2 and 1 steps; the first repeats two of its four voices.
    pieces = [np.array([[72, 67, 60, 48], [74, 67, 60, 50]]), np.array([[72, -1, 60, 48]])]
    found = likelihood.evaluate_likelihood(Repeats(), pieces)
    first, hit, miss = math.log(47), -math.log(0.5 + 0.5 / 47), math.log(94)
    assert found.nats_per_token == pytest.approx((8 * first + 2 * hit + 2 * miss) / 12)
    np.testing.assert_allclose(found.piece_nats, [(4 * first + 2 * hit + 2 * miss) / 8, first])
    assert found.piece_tokens.tolist() == [8, 4]
    assert found.mean_of_piece_means == pytest.approx(found.piece_nats.mean())
    np.testing.assert_allclose(found.voice_nats, np.array([2 * first + x for x in (miss, hit, hit, miss)]) / 3)
    assert found.change_share == pytest.approx(2 * miss / (found.nats_per_token * 12))


def test_accuracy_counts_tokens_that_change_and_no_others():
    # At the second step soprano and bass change. A model that always says 72 and 50 is right about one of them.
    log_probs = np.full((2, 4, 47), -9.0)
    log_probs[:, [0, 3], [72 - 35, 50 - 35]] = -0.01
    model = SimpleNamespace(symbol_log_probs=lambda ids: log_probs[: len(ids)])
    found = likelihood.evaluate_likelihood(model, [np.array([[72, 67, 60, 48], [74, 67, 60, 50]])])
    assert found.change_accuracy == 0.5
    assert likelihood.evaluate_likelihood(model, [[[72, 67, 64, 48]] * 2]).change_accuracy is None  # nothing changes


def test_grids_and_pitches_score_alike():
    pitch = chorales_of(9)[0]
    found = [likelihood.token_log_probs(Repeats(), each) for each in (voices.from_pitches(pitch), pitch.tolist())]
    np.testing.assert_array_equal(*found)


def test_a_token_transformer_scores_as_token_nats_says():
    model, (pitch,) = make_lively(CHORALE_CONFIG), chorales_of(30)
    found = likelihood.token_log_probs(model, pitch)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.ravel(), -likelihood.token_nats(model, [(pitch - 35).ravel()])[0])


@pytest.mark.parametrize("context_length", [2, 7, 12, 40])
def test_frames_are_scored_as_if_each_window_were_read_alone(context_length):
    model, (pitch,) = FrameReader(context_length), chorales_of(31)
    found = likelihood.token_log_probs(model, pitch)
    n_new, ids = context_length // 2, torch.from_numpy(pitch - 35)[None]
    for step in range(31):
        # The first window of the fixed row of windows that reaches this step.
        start = 0 if step < context_length else (step - context_length) // n_new * n_new + n_new
        assert step - start >= min(step, context_length - n_new)
        window = ids[:, start : step + 1]
        log_probs = model(window, torch.tensor([start]))[0, -1].log_softmax(-1)
        np.testing.assert_allclose(found[step], log_probs[torch.arange(4), window[0, -1]].detach(), atol=1e-4)


def test_accuracy_of_a_network_is_that_of_its_likeliest_symbols():
    model, pieces = FrameReader(64), chorales_of(20, 33, 5)
    found = likelihood.evaluate_likelihood(model, pieces)
    right = []
    for pitch in pieces:
        ids = torch.from_numpy(pitch - 35)
        best = model(ids[None], torch.tensor([0]))[0].argmax(-1)
        right.append((best == ids)[1:][ids[1:] != ids[:-1]])
    assert found.change_accuracy == pytest.approx(torch.cat(right).float().mean().item())


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_lively(CHORALE_CONFIG),
        lambda: make_lively(COPYING, FrameTransformer),
        lambda: FrameReader(16),
        Repeats,
    ],
)
def test_company_and_order_of_chorales_change_nothing(make):
    model, pieces = make(), chorales_of(40, 3, 17, 16, 25)
    together = likelihood.evaluate_likelihood(model, pieces)
    backwards = likelihood.evaluate_likelihood(model, pieces[::-1])
    for piece, a, b in zip(pieces, together.nats, backwards.nats[::-1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, -likelihood.token_log_probs(model, piece), atol=1e-5)


def diverged(model):
    for weight in model.parameters():
        weight.data.fill_(np.nan)
    return model


def says(answer):
    return SimpleNamespace(token_log_probs=answer)


CHORD = [[60] * 4]


@pytest.mark.parametrize(
    ("model", "pitch", "error", "sentence"),
    [
        (Uniform(), [60, 62], ValueError, r"one column for each of 4 voices; found shape \(2,\)"),
        (Uniform(), [[37, 37, 37, 13]], ValueError, r"Pitches must lie in 36\.\.81; found 13"),
        (Uniform(), np.zeros((0, 4), int), ValueError, "Each chorale needs a step; found none"),
        ({}, CHORD, TypeError, r"have a method token_log_probs\(ids\); found dict"),
        (MusicTransformer(CONFIG), CHORD, ValueError, "The benchmark has 47 symbols.*this network has 11"),
        (FrameTransformer(FrameConfig(11)), CHORD, ValueError, "this network has 11"),
        (diverged(MusicTransformer(CHORALE_CONFIG)), CHORD, FloatingPointError, "some that are not. Did training div"),
        (diverged(FrameTransformer(FrameConfig())), CHORD, FloatingPointError, "some that are not. Did training div"),
        (says(lambda ids: np.zeros(3)), CHORD, ValueError, "one number per token, shape .1, 4.; found .3,."),
        (says(lambda ids: np.full(ids.shape, 3.85)), CHORD, ValueError, "0 or below; found 3.85"),
        (says(lambda ids: np.full(ids.shape, np.nan)), CHORD, ValueError, "0 or below; found nan"),
    ],
)
def test_what_the_benchmark_does_not_score_is_refused(model, pitch, error, sentence):
    with pytest.raises(error, match=sentence):
        likelihood.token_log_probs(model, pitch)


def result_of(*levels, n_steps=(4, 8, 12)):
    nats = tuple(np.full((n, 4), level) for n, level in zip(n_steps, levels, strict=True))
    return likelihood.Likelihood(nats, tuple(np.zeros_like(each, bool) for each in nats))


def test_the_bootstrap_weighs_pieces_by_their_tokens_and_holds_the_difference():
    found = likelihood.compare(result_of(0.5, 0.5, 0.5), result_of(0.4, 0.5, 0.7), np.random.default_rng(0))
    assert found.difference == pytest.approx((4 * 0.1 + 12 * -0.2) / 24)
    assert found.low == pytest.approx(-0.2) and found.high == pytest.approx(0.1)


def test_results_on_other_pieces_are_not_compared():
    one, other = result_of(1.0, 1.0, 1.0), result_of(1.0, 1.0, 1.0, n_steps=(4, 8, 11))
    with pytest.raises(ValueError, match="on the same pieces; these results have 3 and 3 pieces of different lengths"):
        likelihood.compare(one, other, np.random.default_rng(0))
    with pytest.raises(TypeError, match="two results of one kind; found Likelihood and PieceNats"):
        likelihood.compare(one, likelihood.PieceNats(one.nats), np.random.default_rng(0))
