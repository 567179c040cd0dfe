"""Likelihood: the marks by hand, and every token of a piece scored once with its history."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from frame_reader import FrameReader

from mini_musessl import voices
from mini_musessl.evaluation import counting, likelihood
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig

CONFIG = TransformerConfig(
    vocabulary_size=11, context_length=16, d_model=12, n_layers=2, n_heads=3, d_feedforward=20, cycle_lengths=(4,)
)


@pytest.fixture
def model():
    return make_lively(CONFIG)


def make_lively(config):
    """Return a model with opinions: a fresh one gives every symbol the same probability."""
    model, generator = MusicTransformer(config), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.3, generator=generator)
    return model


def pieces_of(*lengths):
    return [np.random.default_rng(length).integers(0, 11, length) for length in lengths]


def test_the_uniform_mark_is_the_logarithm_of_the_vocabulary():
    assert counting.uniform_nats(47) == pytest.approx(3.8501, abs=1e-4)


def test_unigrams_of_two_voices_by_hand():
    # Voice 0 sings 0, 0, 1; voice 1 sings 2, 2, 2. One is added to each of 3 counts.
    probabilities = counting.unigram_probabilities([[0, 2, 0, 2, 1, 2]], vocabulary_size=3, n_voices=2)
    np.testing.assert_allclose(probabilities, [[3 / 6, 2 / 6, 1 / 6], [1 / 6, 1 / 6, 4 / 6]])
    nats = counting.unigram_nats([[0, 2, 0, 2, 1, 2]], [[0, 2], [2, 1]], vocabulary_size=3, n_voices=2)
    assert nats == pytest.approx(-np.log([3 / 6, 4 / 6, 1 / 6, 1 / 6]).mean())


def test_unigrams_that_saw_one_voice_only_are_the_plain_frequencies():
    train = [np.array([0, 1, 1, 1])]
    nats = counting.unigram_nats(train, train, vocabulary_size=2, n_voices=1, pseudocount=1e-9)
    assert nats == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


def test_a_symbol_never_seen_costs_a_finite_number_of_nats():
    assert math.isfinite(counting.unigram_nats([[0, 0]], [[1]], vocabulary_size=2, n_voices=1))


def test_a_fresh_model_scores_the_uniform_mark():
    assert likelihood.nats_per_token(MusicTransformer(CONFIG), pieces_of(40, 3)) == pytest.approx(
        math.log(11), abs=1e-6
    )


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
    backwards = likelihood.token_nats(model, pieces[::-1], n_windows=2)[::-1]
    alone = [likelihood.token_nats(model, [piece])[0] for piece in pieces]
    for a, b, c in zip(together, backwards, alone, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)


def test_the_mean_is_over_tokens_not_over_pieces(model):
    pieces = pieces_of(20, 3)
    nats = np.concatenate(likelihood.token_nats(model, pieces))
    assert likelihood.nats_per_token(model, pieces) == pytest.approx(nats.sum() / 23)


def test_probabilities_of_all_next_symbols_sum_to_one(model):
    prefix = pieces_of(9)[0]
    total = sum(math.exp(-likelihood.token_nats(model, [[*prefix, symbol]])[0][-1]) for symbol in range(11))
    assert total == pytest.approx(1, abs=1e-5)


def test_a_context_too_short_for_history_is_refused():
    with pytest.raises(ValueError, match="at least twice the model's cycle of 64 tokens; found 100"):
        likelihood.scoring_stride(100, 64)


@pytest.mark.parametrize("pieces", [[], [[]]])
def test_an_empty_split_is_refused(model, pieces):
    with pytest.raises(ValueError, match="at least one token; found none"):
        likelihood.nats_per_token(model, pieces)
    with pytest.raises(ValueError, match="at least one token; found none"):
        counting.unigram_nats([[0]], pieces, vocabulary_size=2)


def test_ids_outside_the_vocabulary_are_refused(model):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.10; piece 1 has 3\.\.11"):
        likelihood.token_nats(model, [[1, 2], [3, 11]])


def test_a_pseudocount_of_zero_is_refused():
    with pytest.raises(ValueError, match="pseudocount must be above 0; found 0"):
        counting.unigram_probabilities([[0]], vocabulary_size=2, pseudocount=0)


def test_a_vocabulary_without_symbols_is_refused():
    with pytest.raises(ValueError, match="vocabulary_size must be at least 1; found 0"):
        counting.uniform_nats(0)


@pytest.mark.parametrize("pieces", [[[1.5, 2.0]], [[[1, 2], [3, 4]]], [1, 2], [[True]]])
def test_what_is_not_a_row_of_ids_is_refused(model, pieces):
    with pytest.raises(ValueError, match="must be one row of whole token ids; piece 0 has shape"):
        likelihood.token_nats(model, pieces)
    with pytest.raises(ValueError, match="must be one row of whole token ids; piece 0 has shape"):
        counting.unigram_nats([[1]], pieces, vocabulary_size=11)


def test_no_voices_and_no_windows_are_refused(model):
    with pytest.raises(ValueError, match="n_voices must be at least 1; found 0"):
        counting.unigram_probabilities([[1]], vocabulary_size=2, n_voices=0)
    with pytest.raises(ValueError, match="n_windows must be at least 1; found 0"):
        likelihood.token_nats(model, [[1]], n_windows=0)


def test_a_model_that_was_training_is_scored_without_dropout():
    model = make_lively(replace(CONFIG, dropout=0.5)).train()
    first, second = (likelihood.nats_per_token(model, pieces_of(20)) for _ in range(2))
    assert first == second


# The two doors of the chorale benchmark.

CHORALE_CONFIG = replace(CONFIG, vocabulary_size=47, context_length=64, cycle_lengths=(4, 16))


class Uniform:
    """Every symbol alike."""

    def token_log_probs(self, ids):
        return np.full(ids.shape, -math.log(47))


class Repeats:
    """The symbol of the step before has half of the probability."""

    def symbol_log_probs(self, ids):
        probabilities = np.full((*ids.shape, 47), 0.5 / 47)
        probabilities[0] *= 2
        np.put_along_axis(probabilities[1:], ids[:-1, :, None], 0.5 + 0.5 / 47, axis=-1)
        return np.log(probabilities)

    def token_log_probs(self, ids):
        return np.take_along_axis(self.symbol_log_probs(ids), ids[..., None], axis=-1)[..., 0]


def chorales_of(*lengths):
    return [np.random.default_rng(n).integers(35, 82, (n, 4)).clip(36) for n in lengths]


def test_a_uniform_model_scores_the_uniform_mark_in_every_unit():
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
    class Says(Repeats):
        def symbol_log_probs(self, ids):
            log_probs = np.full((*ids.shape, 47), -9.0)
            log_probs[..., [0, 3], [72 - 35, 50 - 35]] = -0.01
            return log_probs

    found = likelihood.evaluate_likelihood(Says(), [np.array([[72, 67, 60, 48], [74, 67, 60, 50]])])
    assert found.change_accuracy == 0.5


def test_grids_and_pitches_score_alike():
    pitch = chorales_of(9)[0]
    grid = voices.from_pitches(pitch)
    np.testing.assert_array_equal(
        likelihood.token_log_probs(Repeats(), grid), likelihood.token_log_probs(Repeats(), pitch.tolist())
    )


def test_a_token_transformer_scores_as_token_nats_says():
    model, (pitch,) = make_lively(CHORALE_CONFIG), chorales_of(30)
    found = likelihood.token_log_probs(model, pitch)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.reshape(-1), -likelihood.token_nats(model, [(pitch - 35).reshape(-1)])[0])


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


@pytest.mark.parametrize("make", [lambda: make_lively(CHORALE_CONFIG), lambda: FrameReader(16), Repeats])
def test_company_and_order_of_chorales_change_nothing(make):
    model, pieces = make(), chorales_of(40, 3, 17, 16, 25)
    together = likelihood.evaluate_likelihood(model, pieces)
    backwards = likelihood.evaluate_likelihood(model, pieces[::-1])
    for piece, a, b in zip(pieces, together.nats, backwards.nats[::-1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, -likelihood.token_log_probs(model, piece), atol=1e-5)


def result_of(*levels, n_steps=(4, 8, 12)):
    nats = tuple(np.full((n, 4), level) for n, level in zip(n_steps, levels, strict=True))
    return likelihood.Likelihood(nats, tuple(np.zeros_like(each, bool) for each in nats))


def test_the_bootstrap_of_a_constant_gain_has_no_width():
    found = likelihood.compare(result_of(0.5, 2.0, 1.0), result_of(0.4, 1.9, 0.9), np.random.default_rng(0))
    assert (found.low, found.difference, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_the_bootstrap_weighs_pieces_by_their_tokens_and_holds_the_difference():
    found = likelihood.compare(result_of(0.5, 0.5, 0.5), result_of(0.4, 0.5, 0.7), np.random.default_rng(0))
    assert found.difference == pytest.approx((4 * 0.1 + 12 * -0.2) / 24)
    assert found.low == pytest.approx(-0.2) and found.high == pytest.approx(0.1)


def test_results_on_other_pieces_are_not_compared():
    one, other = result_of(1.0, 1.0, 1.0), result_of(1.0, 1.0, 1.0, n_steps=(4, 8, 11))
    with pytest.raises(ValueError, match="on the same pieces; these results have 3 and 3 pieces of different lengths"):
        likelihood.compare(one, other, np.random.default_rng(0))


@pytest.mark.parametrize("pieces", [[], [np.zeros((0, 4), int)]])
def test_no_chorale_is_refused(pieces):
    with pytest.raises(ValueError, match="least one chorale is needed, and a step in each; found none"):
        likelihood.evaluate_likelihood(Uniform(), pieces)


def test_one_grid_in_place_of_a_list_is_refused():
    with pytest.raises(TypeError, match="in a list; found one VoiceGrid"):
        likelihood.evaluate_likelihood(Uniform(), voices.from_pitches(chorales_of(3)[0]))


@pytest.mark.parametrize("pitch", [[60, 62], [[60, 62, 64]], [[60.0, 1, 2, 3]]])
def test_what_is_no_chorale_is_refused(pitch):
    with pytest.raises(ValueError, match=r"VoiceGrid or MIDI pitches of the shape \(n_steps, 4\)"):
        likelihood.token_log_probs(Uniform(), pitch)


def test_ids_in_place_of_pitches_are_refused():
    with pytest.raises(ValueError, match=r"Pitches must lie in 36\.\.81; found 13"):
        likelihood.token_log_probs(Uniform(), [[37, 37, 37, 13]])


@pytest.mark.parametrize("make", [lambda: MusicTransformer(CONFIG), lambda: FrameTransformer(FrameConfig(11))])
def test_a_network_of_another_vocabulary_is_refused(make):
    with pytest.raises(ValueError, match="The benchmark has 47 symbols.*this network has 11"):
        likelihood.token_log_probs(make(), chorales_of(3)[0])


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"have a method token_log_probs\(ids\); found dict"):
        likelihood.token_log_probs({}, chorales_of(3)[0])


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda ids: np.zeros(3), "one number a token, shape .3, 4.; found .3,."),
        (lambda ids: np.full(ids.shape, 3.85), "0 or below; found 3.85"),
        (lambda ids: np.full(ids.shape, np.nan), "0 or below; found nan"),
    ],
)
def test_answers_that_are_no_logarithms_of_probabilities_are_refused(answer, sentence):
    model = SimpleNamespace(token_log_probs=answer)
    with pytest.raises(ValueError, match=sentence):
        likelihood.token_log_probs(model, chorales_of(3)[0])


def test_a_network_that_sees_what_comes_after_is_refused():
    config = TransformerConfig(vocabulary_size=47, context_length=16, d_model=8, n_heads=2, cycle_lengths=(4,))
    model = MusicTransformer(replace(config, is_causal=False))
    with pytest.raises(ValueError, match="found is_causal=False, a network that sees those after it too"):
        likelihood.evaluate_likelihood(model, [[[72, 67, 64, 48]]])
    with pytest.raises(ValueError, match="found is_causal=False"):
        likelihood.nats_per_token(model, [[1, 2, 3]])


@pytest.mark.parametrize("network", [MusicTransformer, FrameTransformer])
def test_a_network_that_diverged_is_refused(network):
    config = FrameConfig if network is FrameTransformer else partial(TransformerConfig, 47)
    model = network(config(d_model=20, n_layers=1, n_heads=2, d_feedforward=8))
    for weight in model.parameters():
        weight.data.fill_(np.nan)
    with pytest.raises(FloatingPointError, match="must be finite numbers; found some that are not. Did training div"):
        likelihood.evaluate_likelihood(model, [[[72, 67, 64, 48]]])


def test_where_nothing_changes_there_is_no_accuracy():
    model = FrameTransformer(FrameConfig(d_model=20, n_layers=1, n_heads=2, d_feedforward=8, d_voice=9))
    assert likelihood.evaluate_likelihood(model, [[[72, 67, 64, 48]] * 3]).change_accuracy is None
