"""Likelihood: the marks by hand, and every token of a piece scored once with its history."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mini_musessl.evaluation import likelihood
from mini_musessl.transformer import MusicTransformer, TransformerConfig

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
    assert likelihood.uniform_nats(47) == pytest.approx(3.8501, abs=1e-4)


def test_unigrams_of_two_voices_by_hand():
    # Voice 0 sings 0, 0, 1; voice 1 sings 2, 2, 2. One is added to each of 3 counts.
    probabilities = likelihood.unigram_probabilities([[0, 2, 0, 2, 1, 2]], vocabulary_size=3, n_voices=2)
    np.testing.assert_allclose(probabilities, [[3 / 6, 2 / 6, 1 / 6], [1 / 6, 1 / 6, 4 / 6]])
    nats = likelihood.unigram_nats([[0, 2, 0, 2, 1, 2]], [[0, 2], [2, 1]], vocabulary_size=3, n_voices=2)
    assert nats == pytest.approx(-np.log([3 / 6, 4 / 6, 1 / 6, 1 / 6]).mean())


def test_unigrams_that_saw_one_voice_only_are_the_plain_frequencies():
    train = [np.array([0, 1, 1, 1])]
    nats = likelihood.unigram_nats(train, train, vocabulary_size=2, n_voices=1, pseudocount=1e-9)
    assert nats == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


def test_a_symbol_never_seen_costs_a_finite_number_of_nats():
    assert math.isfinite(likelihood.unigram_nats([[0, 0]], [[1]], vocabulary_size=2, n_voices=1))


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
        likelihood.unigram_nats([[0]], pieces, vocabulary_size=2)


def test_ids_outside_the_vocabulary_are_refused(model):
    with pytest.raises(ValueError, match=r"must lie in 0\.\.10; piece 1 has 3\.\.11"):
        likelihood.token_nats(model, [[1, 2], [3, 11]])


def test_a_pseudocount_of_zero_is_refused():
    with pytest.raises(ValueError, match="pseudocount must be above 0; found 0"):
        likelihood.unigram_probabilities([[0]], vocabulary_size=2, pseudocount=0)


def test_a_vocabulary_without_symbols_is_refused():
    with pytest.raises(ValueError, match="vocabulary_size must be at least 1; found 0"):
        likelihood.uniform_nats(0)


@pytest.mark.parametrize("pieces", [[[1.5, 2.0]], [[[1, 2], [3, 4]]], [1, 2], [[True]]])
def test_what_is_not_a_row_of_ids_is_refused(model, pieces):
    with pytest.raises(ValueError, match="must be one row of whole token ids; piece 0 has shape"):
        likelihood.token_nats(model, pieces)
    with pytest.raises(ValueError, match="must be one row of whole token ids; piece 0 has shape"):
        likelihood.unigram_nats([[1]], pieces, vocabulary_size=11)


def test_no_voices_and_no_windows_are_refused(model):
    with pytest.raises(ValueError, match="n_voices must be at least 1; found 0"):
        likelihood.unigram_probabilities([[1]], vocabulary_size=2, n_voices=0)
    with pytest.raises(ValueError, match="n_windows must be at least 1; found 0"):
        likelihood.token_nats(model, [[1]], n_windows=0)


def test_a_model_that_was_training_is_scored_without_dropout():
    model = make_lively(replace(CONFIG, dropout=0.5)).train()
    first, second = (likelihood.nats_per_token(model, pieces_of(20)) for _ in range(2))
    assert first == second
