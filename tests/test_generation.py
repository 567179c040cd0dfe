"""Generation: the rules by hand, the cache against no cache, and the refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mini_musessl import generation, voices
from mini_musessl.tokenizers import VoiceGridTokens
from mini_musessl.transformer import MusicTransformer, TransformerConfig

# Tiny matrices: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)

CONFIG = TransformerConfig(
    vocabulary_size=11, context_length=16, d_model=12, n_layers=2, n_heads=3, d_feedforward=20, cycle_lengths=(4,)
)


@pytest.fixture
def model():
    return make_lively(CONFIG)


def make_lively(config):
    """Return a model with opinions: a fresh one gives every symbol the same probability."""
    model, generator = MusicTransformer(config).eval(), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.4, generator=generator)
    return model


def from_seed(seed=0):
    return torch.Generator().manual_seed(seed)


def test_temperature_divides_the_logits():
    logits = torch.tensor([[1.0, 3.0], [0.0, -2.0]])
    assert generation.apply_temperature(logits, 2.0).tolist() == [[0.5, 1.5], [0.0, -1.0]]


def test_temperature_raises_probabilities_to_its_inverse():
    logits = torch.randn(3, 5, generator=from_seed())
    powered = logits.softmax(-1) ** (1 / 0.7)
    torch.testing.assert_close(generation.apply_temperature(logits, 0.7).softmax(-1), powered / powered.sum(-1, True))


@pytest.mark.parametrize(
    "p, kept", [(0.3, [1]), (0.5, [1]), (0.51, [1, 3]), (0.75, [1, 3]), (0.76, [0, 1, 3]), (1.0, [0, 1, 2, 3])]
)
def test_top_p_keeps_the_smallest_set_that_reaches_p(p, kept):
    # Halves, quarters and eighths are exact, so p = 0.5 lies exactly on the line.
    logits = torch.tensor([0.125, 0.5, 0.125, 0.25], dtype=torch.float64).log2() * math.log(2)
    is_kept = generation.keep_top_p(logits, p).isfinite()
    assert torch.nonzero(is_kept).flatten().tolist() == kept


def test_top_p_treats_each_row_alone_and_leaves_kept_logits_as_they_are():
    rows = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.3, 0.6]]).log()
    kept = generation.keep_top_p(rows, 0.8)
    assert kept.isfinite().tolist() == [[True, False, False], [False, True, True]]
    assert torch.equal(kept[kept.isfinite()], rows[kept.isfinite()])


def test_a_cold_sample_takes_the_likeliest_symbol_each_time(model):
    tokens = generation.sample(model, [[3, 4, 5]], 8, from_seed(), temperature=1e-4)[0].tolist()
    sequence = [CONFIG.begin_id, 3, 4, 5]
    for token in tokens:
        assert token == int(model(torch.tensor([sequence]))[0, -1].argmax())
        sequence.append(token)


def test_samples_follow_the_distribution_of_the_model(model):
    drawn = generation.sample(model, [[3, 4, 5]] * 4000, 1, from_seed())[:, 0]
    expected = model(torch.tensor([[CONFIG.begin_id, 3, 4, 5]]))[0, -1].softmax(-1)
    frequencies = torch.bincount(drawn, minlength=11) / 4000
    # Five standard errors of the most uncertain symbol.
    assert (frequencies - expected).abs().max() < 5 * math.sqrt(0.25 / 4000)


def test_top_p_never_draws_what_it_dropped(model):
    kept = generation.keep_top_p(model(torch.tensor([[CONFIG.begin_id, 3]]))[0, -1], 0.5).isfinite()
    drawn = generation.sample(model, [[3]] * 500, 1, from_seed(), top_p=0.5)
    assert set(drawn.flatten().tolist()) == set(torch.nonzero(kept).flatten().tolist())


def test_the_same_seed_draws_the_same_tokens_and_another_does_not(model):
    first, second, other = (generation.sample(model, [[3]], 20, from_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_far_beyond_the_context_the_cache_gives_what_reading_anew_gives(model):
    prompt = torch.tensor([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]])
    tokens = generation.sample(model, prompt, 50, from_seed(2))
    sequence, generator, start = torch.cat((torch.full((2, 1), CONFIG.begin_id), prompt), 1), from_seed(2), 0
    for step in range(50):
        if sequence.shape[1] - start > CONFIG.context_length:
            start = generation._window_start(sequence.shape[1], CONFIG.context_length, CONFIG.stride_token)
        probabilities = model(sequence[:, start:])[:, -1].softmax(-1)
        drawn = torch.multinomial(probabilities, 1, generator=generator)
        assert torch.equal(drawn[:, 0], tokens[:, step])
        sequence = torch.cat((sequence, drawn), dim=1)


@pytest.mark.parametrize("n_tokens", range(17, 60))
def test_a_new_window_keeps_the_phase_and_about_half_the_context(n_tokens):
    start = generation._window_start(n_tokens, 16, 4)
    assert start % 4 == 0
    assert 8 - 4 < n_tokens - start <= 8


def test_a_prompt_longer_than_the_context_is_continued(model):
    prompt = np.arange(40).reshape(1, 40) % 11
    assert generation.sample(model, prompt, 5, from_seed()).shape == (1, 5)


def test_an_empty_prompt_begins_a_piece(model):
    tokens = generation.sample(model, np.zeros((3, 0), int), 7, from_seed())
    assert tokens.shape == (3, 7)
    assert tokens.max() < 11


def test_sampling_ends_dropout(model):
    model.train()
    generation.sample(model, [[3]], 1, from_seed())
    assert not model.training


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_not_above_0_is_refused(model, temperature):
    with pytest.raises(ValueError, match="temperature must be a finite number above 0; found"):
        generation.apply_temperature(torch.zeros(3), temperature)
    with pytest.raises(ValueError, match="temperature must be a finite number above 0; found"):
        generation.sample(model, [[3]], 1, from_seed(), temperature=temperature)


@pytest.mark.parametrize("p", [0, -0.1, 1.01, 90, math.nan])
def test_a_share_outside_0_to_1_is_refused(model, p):
    with pytest.raises(ValueError, match="top_p must be above 0 and at most 1; found"):
        generation.keep_top_p(torch.zeros(3), p)
    with pytest.raises(ValueError, match="top_p must be above 0 and at most 1; found"):
        generation.sample(model, [[3]], 1, from_seed(), top_p=p)


@pytest.mark.parametrize("prompt", [[[3, 11]], [[-1]], [[0.5]], [[True]]])
def test_prompts_outside_the_vocabulary_are_refused(model, prompt):
    with pytest.raises(ValueError, match=r"whole numbers in 0\.\.10; found"):
        generation.sample(model, prompt, 1, from_seed())


@pytest.mark.parametrize("prompt", [[3, 4], np.zeros((0, 4), int)])
def test_prompts_of_another_shape_are_refused(model, prompt):
    with pytest.raises(ValueError, match=r"shape \(batch, n_prompt\) with at least one row"):
        generation.sample(model, prompt, 1, from_seed())


def test_a_context_too_short_to_go_on_in_phase_is_refused_before_the_first_token():
    short = make_lively(replace(CONFIG, cycle_lengths=(32,)))
    assert generation.sample(short, [[3]], 15, from_seed()).shape == (1, 15)
    with pytest.raises(ValueError, match="context_length = 16, the context must hold a whole cycle of the model, 32"):
        generation.sample(short, [[3]], 16, from_seed())


def test_nothing_to_add_is_refused(model):
    with pytest.raises(ValueError, match="n_tokens must be at least 1; found 0"):
        generation.sample(model, [[3]], 0, from_seed())


def test_a_seed_in_place_of_a_generator_is_refused(model):
    with pytest.raises(TypeError, match=r"torch\.Generator; found int"):
        generation.sample(model, [[3]], 1, 0)


def test_a_grid_is_continued_in_its_meter_and_its_opening_stays():
    model = make_lively(
        TransformerConfig(vocabulary_size=47, context_length=32, d_model=12, n_heads=2, cycle_lengths=(4,))
    )
    pitch = np.tile([72, 67, 64, 48], (6, 1))
    is_onset = np.zeros((6, 4), bool)
    is_onset[[0, 2]] = True  # a repeated chord, which the tokens cannot say
    opening = voices.from_pitches(
        pitch, is_onset=is_onset, meter=(3, 4), bar_position_step=(np.arange(6) + 8) % 12, fifths=1, name="bwv1"
    )
    whole = generation.continue_grid(model, VoiceGridTokens(), opening, 9, from_seed())
    assert whole.n_steps == 15
    assert voices.cut(whole, 0, 6) == replace(opening, fifths=None, name="")
    assert whole.bar_position_step.tolist() == [(8 + step) % 12 for step in range(15)]
    assert (whole.meter, whole.fifths, whole.name, whole.title) == ((3, 4), None, "", "")  # not those of the new music
    again = generation.continue_grid(model, VoiceGridTokens(), opening, 9, from_seed())
    assert again == whole


def test_a_tokenizer_with_another_vocabulary_is_refused(model):
    opening = voices.from_pitches([[72, 67, 64, 48]])
    with pytest.raises(ValueError, match="the model has 11 symbols and the tokenizer 47"):
        generation.continue_grid(model, VoiceGridTokens(), opening, 4, from_seed())


def test_no_steps_to_add_are_refused():
    model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=8, n_heads=2))
    with pytest.raises(ValueError, match="n_steps must be at least 1; found 0"):
        generation.continue_grid(model, VoiceGridTokens(), voices.from_pitches([[72, 67, 64, 48]]), 0, from_seed())


def test_an_opening_without_steps_is_refused():
    model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=8, n_heads=2))
    opening = voices.from_pitches(np.zeros((0, 4), int))
    with pytest.raises(ValueError, match="opening must hold at least 1 step; found none"):
        generation.continue_grid(model, VoiceGridTokens(), opening, 4, from_seed())


def test_prompts_of_different_lengths_are_refused(model):
    with pytest.raises(ValueError, match=r"rows of one length, \(batch, n_prompt\); these cannot be made an array"):
        generation.sample(model, [[3], [3, 4]], 1, from_seed())


def test_a_part_of_a_token_is_refused(model):
    with pytest.raises(TypeError, match=r"n_tokens must be a whole number; found 2\.5"):
        generation.sample(model, [[3]], 2.5, from_seed())


def test_a_generator_of_another_device_is_refused(model):
    class OnAGpu(torch.Generator):
        device = torch.device("cuda")

    with pytest.raises(ValueError, match="whatever device the model is on; found a generator on cuda"):
        generation.sample(model, [[3]], 1, OnAGpu())


def test_scores_that_are_no_numbers_are_refused(model):
    with pytest.raises(FloatingPointError, match=r"must be finite numbers; .* or is the temperature next to 0"):
        generation.sample(model, [[3]], 1, from_seed(), temperature=1e-44)
    model.to_logits.weight.data.fill_(math.nan)
    with pytest.raises(FloatingPointError, match=r"must be finite numbers; .* Did training diverge"):
        generation.sample(model, [[3]], 1, from_seed())


def test_sampling_does_not_change_the_prompt(model):
    prompt = np.array([[3, 4, 5]])
    generation.sample(model, prompt, 20, from_seed())
    assert prompt.tolist() == [[3, 4, 5]]
