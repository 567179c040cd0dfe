"""Generation: the rules by hand, the cache against no cache, and the refusals."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from mini_musessl import generation, voices
from mini_musessl.generation import sampling
from mini_musessl.generation.sampling import Sampling
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

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
            start = sampling.window_start(sequence.shape[1], CONFIG.context_length, CONFIG.stride_token)
        probabilities = model(sequence[:, start:])[:, -1].softmax(-1)
        drawn = torch.multinomial(probabilities, 1, generator=generator)
        assert torch.equal(drawn[:, 0], tokens[:, step])
        sequence = torch.cat((sequence, drawn), dim=1)


@pytest.mark.parametrize("n_tokens", range(17, 60))
def test_a_new_window_keeps_the_phase_and_about_half_the_context(n_tokens):
    start = sampling.window_start(n_tokens, 16, 4)
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
    whole = generation.continue_piece(model, opening, 9, from_seed())
    assert whole.n_steps == 15
    assert voices.cut(whole, 0, 6) == replace(opening, fifths=None, name="")
    assert whole.bar_position_step.tolist() == [(8 + step) % 12 for step in range(15)]
    assert (whole.meter, whole.fifths, whole.name, whole.title) == ((3, 4), None, "", "")  # not those of the new music
    again = generation.continue_piece(model, opening, 9, from_seed())
    assert again == whole


def test_a_tokenizer_with_another_vocabulary_is_refused(model):
    opening = voices.from_pitches([[72, 67, 64, 48]])
    with pytest.raises(ValueError, match="the model has 11 symbols and the tokenizer 47"):
        generation.continue_piece(model, opening, 4, from_seed())


def test_no_steps_to_add_are_refused():
    model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=8, n_heads=2))
    with pytest.raises(ValueError, match="n_steps must be at least 1; found 0"):
        generation.continue_piece(model, voices.from_pitches([[72, 67, 64, 48]]), 0, from_seed())


def test_an_opening_without_steps_is_refused():
    model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=8, n_heads=2))
    opening = voices.from_pitches(np.zeros((0, 4), int))
    with pytest.raises(ValueError, match="opening must hold at least 1 step; found none"):
        generation.continue_piece(model, opening, 4, from_seed())


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


def make_frame_model(seed=1, std=0.4, **changes):
    """Return a small FrameTransformer with opinions."""
    sizes = {"d_model": 12, "n_layers": 2, "n_heads": 3, "d_feedforward": 20, "d_voice": 14, "context_length": 16}
    model, generator = FrameTransformer(FrameConfig(**{**sizes, **changes})).eval(), torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.data.normal_(std=std, generator=generator)
    return model


def make_token_model(**changes):
    """Return a small MusicTransformer over the 47 symbols with opinions."""
    sizes = {"d_model": 12, "n_heads": 2, "context_length": 64, "cycle_lengths": (4,)}
    return make_lively(TransformerConfig(vocabulary_size=47, **{**sizes, **changes}))


def empty(batch=1, n_voices=4):
    return torch.zeros(batch, 0, n_voices, dtype=torch.long)


@pytest.mark.parametrize("k, kept", [(1, [1]), (2, [1, 3]), (3, [0, 1, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])])
def test_top_k_keeps_the_likeliest_and_of_equals_the_lower_ids(k, kept):
    logits = torch.tensor([[0.1, 0.5, 0.1, 0.3]]).log()
    found = generation.keep_top_k(logits, k)
    assert torch.nonzero(found[0].isfinite()).flatten().tolist() == kept
    assert torch.equal(found[0, kept], logits[0, kept])


def test_top_k_never_draws_what_it_dropped_and_comes_before_top_p(model):
    likeliest = model(torch.tensor([[CONFIG.begin_id, 3]]))[0, -1].argsort(descending=True)
    drawn = generation.sample(model, [[3]] * 500, 1, from_seed(), top_k=3)
    assert set(drawn.flatten().tolist()) == set(likeliest[:3].tolist())
    logits = torch.tensor([[0.4, 0.35, 0.25]]).log()
    # Of the two likeliest, the first alone holds more than half.
    assert set(Sampling(top_k=2, top_p=0.5).draw(logits.expand(200, 3), from_seed()).tolist()) == {0}


@pytest.mark.parametrize("context_length", [7, 16, 64])
def test_frames_far_beyond_the_context_are_those_of_reading_anew(context_length):
    model, n_steps = make_frame_model(context_length=context_length), 40
    prompt = torch.randint(0, 47, (2, 5, 4), generator=from_seed(3))
    drawn = generation.sample_frames(model, prompt, n_steps, from_seed(2), first_step=3)
    frames, generator, start = prompt, from_seed(2), 0
    for step in range(n_steps):
        if frames.shape[1] - start + 1 > context_length:
            start = frames.shape[1] + 1 - context_length // 2
        frame = torch.zeros(2, 1, 4, dtype=torch.long)
        for voice in range(4):
            window = torch.cat((frames[:, start:], frame), dim=1)
            probabilities = model(window, torch.full((2,), 3 + start))[:, -1, voice].softmax(-1)
            frame[:, 0, voice] = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
        assert torch.equal(frame[:, 0], drawn[:, step])
        frames = torch.cat((frames, frame), dim=1)


def test_frames_from_a_token_model_are_its_tokens_four_by_four():
    model, prompt = make_token_model(), torch.randint(0, 47, (2, 3, 4), generator=from_seed(1))
    frames = generation.sample_frames(model, prompt, 20, from_seed(4), temperature=0.9, top_p=0.9, top_k=20)
    tokens = generation.sample(model, prompt.flatten(1), 80, from_seed(4), temperature=0.9, top_p=0.9, top_k=20)
    assert torch.equal(frames.flatten(1), tokens)


@pytest.mark.parametrize("make", [make_frame_model, make_token_model])
@pytest.mark.parametrize("n_candidates", [1, 5])
def test_what_is_given_stays_in_any_voices_at_any_steps(make, n_candidates):
    clamp = torch.randint(0, 47, (3, 30, 4), generator=from_seed(5))
    is_free = torch.rand(clamp.shape, generator=from_seed(6)) < 0.6
    clamp[is_free] = -1
    frames = generation.sample_frames(make(), empty(3), 30, from_seed(), clamp=clamp, n_candidates=n_candidates)
    assert frames.shape == (3, 30, 4)
    assert torch.equal(frames[~is_free], clamp[~is_free])
    assert frames.min() >= 0


@pytest.mark.parametrize("make", [make_frame_model, make_token_model])
def test_a_clamp_that_gives_nothing_changes_nothing(make):
    free = generation.sample_frames(make(), empty(), 12, from_seed())
    assert torch.equal(free, generation.sample_frames(make(), empty(), 12, from_seed(), clamp=torch.full((12, 4), -1)))


TINY = {"vocabulary_size": 3, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_feedforward": 12, "context_length": 12}


def exact_conditional(model, clamp, temperature):
    """Return the probability of each piece of 3 steps, 2 voices and 3 symbols that agrees with the clamp."""
    pieces = torch.tensor(list(itertools.product(range(3), repeat=6)))
    if isinstance(model, MusicTransformer):
        read = torch.cat((torch.full((len(pieces), 1), 3), pieces[:, :-1]), dim=1)
        logits = model(read)
    else:
        logits = model(pieces.view(-1, 3, 2)).flatten(1, 2)
    log_probs = (logits / temperature).log_softmax(-1).gather(-1, pieces[..., None]).sum(dim=(1, 2))
    agrees = ((clamp.flatten() < 0) | (pieces == clamp.flatten())).all(dim=1)
    return log_probs.masked_fill(~agrees, -math.inf).softmax(0).detach()


@pytest.mark.parametrize("kind", ["frame", "token"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@torch.no_grad()
def test_many_candidates_draw_from_the_exact_conditional_distribution_and_one_does_not(kind, temperature):
    if kind == "frame":
        model = make_frame_model(seed=2, std=0.8, **TINY, n_voices=2, d_voice=8, cycle_length=4)
    else:
        model = make_lively(TransformerConfig(**TINY, cycle_lengths=(2,)))
    clamp = torch.tensor([[0, -1], [2, -1], [1, 0]])
    expected, n_drawn = exact_conditional(model, clamp, temperature), 2500
    wide = torch.stack([clamp] * n_drawn)
    away = []
    for n_candidates in (40, 1):
        drawn = generation.sample_frames(
            model, empty(n_drawn, 2), 3, from_seed(7), temperature, clamp=wide, n_candidates=n_candidates
        )
        index = (drawn.flatten(1) * 3 ** torch.arange(5, -1, -1)).sum(1)
        away.append(float((torch.bincount(index, minlength=3**6) / n_drawn - expected).abs().sum() / 2))
    # 9 pieces agree with what is given: chance alone keeps 2,500 draws within a few hundredths of the distribution.
    assert away[0] < 0.05
    assert away[1] > 2 * away[0]


@torch.no_grad()
def test_candidates_make_given_notes_likelier():
    model, soprano = make_frame_model(context_length=64), torch.randint(1, 47, (40, 1), generator=from_seed(1))
    clamp = torch.cat((soprano, torch.full((40, 3), -1)), dim=1)
    means = []
    for n_candidates in (1, 30):
        drawn = generation.sample_frames(model, empty(8), 40, from_seed(), clamp=clamp, n_candidates=n_candidates)
        logits = model(drawn)[:, :, 0].log_softmax(-1)
        means.append(float(logits.gather(-1, drawn[:, :, :1]).mean()))
    assert means[1] > means[0]


def test_the_effective_number_and_resampling_by_hand():
    log_weights = torch.tensor([[0.5, 0.25, 0.25, 1e-30], [0.25, 0.25, 0.25, 0.25]]).log()
    torch.testing.assert_close(sampling.effective_number(log_weights), torch.tensor([1 / 0.375, 4.0]))
    assert sampling.resample(log_weights, from_seed()).tolist() == [[0, 0, 1, 2], [0, 1, 2, 3]]


def test_resampling_is_fair():
    weights = torch.tensor([[0.61, 0.07, 0.3, 0.02]]).expand(4000, 4)
    filled = torch.bincount(sampling.resample(weights.log(), from_seed()).flatten(), minlength=4) / 16000
    torch.testing.assert_close(filled, weights[0], atol=0.01, rtol=0)


@pytest.mark.parametrize("make", [make_frame_model, make_token_model])
def test_a_grid_is_harmonised_and_its_facts_stay(make):
    pitch = np.tile([72, 67, 64, 48], (6, 1))
    pitch[4] = [-1, -1, -1, -1]
    is_onset = np.zeros((6, 4), bool)
    is_onset[[0, 2, 5]] = True
    is_fermata = np.arange(6) == 5
    facts = {"is_onset": is_onset, "is_fermata": is_fermata, "bar_position_step": np.arange(6) + 4, "fifths": 1}
    given = voices.from_pitches(pitch, **facts, name="bwv1", title="Hymn")
    written = generation.harmonise(make(), given, from_seed(), n_candidates=3)
    assert written.pitch[:, 0].tolist() == [72, 72, 72, 72, -1, 72]
    assert written.is_onset[:, 0].tolist() == is_onset[:, 0].tolist()
    assert (written.fifths, written.name, written.title) == (1, "", "")
    assert written.bar_position_step.tolist() == list(range(4, 10)) and written.is_fermata.tolist() == [False] * 5 + [
        True
    ]
    alone = generation.harmonise(make(), given.pitch[:, 0], from_seed(), n_candidates=3)
    assert np.array_equal(alone.pitch, written.pitch)
    other = generation.harmonise(make(), given.pitch[:, 0], from_seed(1), n_candidates=3)
    assert not np.array_equal(alone.pitch[:, 1:], other.pitch[:, 1:])


def test_a_piece_is_continued_by_frames_too():
    opening = voices.from_pitches([[72, 67, 64, 48]] * 5)
    whole = generation.continue_piece(make_frame_model(), opening, 30, from_seed(), top_k=5)
    assert whole.n_steps == 35 and voices.cut(whole, 0, 5) == opening
    prompt = torch.from_numpy(VoiceGridTokens().as_steps(VoiceGridTokens().encode(opening)))[None]
    added = generation.sample_frames(make_frame_model(), prompt, 30, from_seed(), top_k=5)
    assert np.array_equal(whole.pitch[5:], VoiceGridTokens().decode(added[0].numpy()).pitch)


@pytest.mark.parametrize(
    "soprano, sentence",
    [
        ([72, 82], r"must lie in 36\.\.81, or be -1 for a rest; found 82"),
        ([35], r"must lie in 36\.\.81, or be -1 for a rest; found 35"),
        ([[72, 67, 64, 48]], r"found int64 of the shape \(1, 4\)\. For a grid of pitches, take its first column"),
        ([], "with at least one"),
        ([72.0, 74.0], "whole numbers, one MIDI pitch a step"),
        ([[72], [72, 73]], "A soprano must be a VoiceGrid or whole numbers"),
    ],
)
def test_a_soprano_that_cannot_be_set_is_refused(soprano, sentence):
    with pytest.raises(ValueError, match=sentence):
        generation.harmonise(make_frame_model(), soprano, from_seed())


@pytest.mark.parametrize(
    "changes, error, sentence",
    [
        ({"temperature": 0}, ValueError, "temperature must be a finite number above 0; found 0"),
        ({"temperature": -1.0}, ValueError, "temperature must be a finite number above 0; found"),
        ({"top_p": 0}, ValueError, "top_p must be above 0 and at most 1; found 0"),
        ({"top_p": 1.5}, ValueError, "top_p must be above 0 and at most 1; found 1.5"),
        ({"top_k": 0}, ValueError, "top_k must be at least 1; found 0. For no limit, leave it out"),
        ({"top_k": 2.5}, TypeError, "top_k must be a whole number; found 2.5"),
        ({"generator": 7}, TypeError, r"sample_frames draws from a torch\.Generator; found int"),
        ({"generator": None}, TypeError, r"sample_frames draws from a torch\.Generator; found NoneType"),
        ({"n_steps": 0}, ValueError, "n_steps must be at least 1; found 0"),
        ({"n_candidates": 0}, ValueError, "n_candidates must be at least 1; found 0"),
        ({"first_step": -1}, ValueError, "first_step must be at least 0; found -1"),
        ({"clamp": np.full((5, 4), -1)}, ValueError, r"\(6, 4\) or \(1, 6, 4\); found \(5, 4\)"),
        ({"clamp": np.full((6, 3), -1)}, ValueError, r"clamp must have one row a step .* found \(6, 3\)"),
        ({"clamp": np.full((6, 4), 47)}, ValueError, r"clamp must be whole numbers in -1\.\.46; found"),
        ({"clamp": np.full((6, 4), -1.0)}, ValueError, r"clamp must be whole numbers in -1\.\.46; found torch.float64"),
        ({"clamp": [[1], [1, 2]]}, ValueError, "clamp must be an array of whole numbers; this cannot be made one"),
        ({"prompt_frames": np.zeros((1, 17, 4), int)}, ValueError, "fit into context_length = 16 positions; found 17"),
        ({"prompt_frames": np.zeros((1, 2, 3), int)}, ValueError, "network holds 4 voices; found 3"),
        ({"prompt_frames": np.zeros((5, 4), int)}, ValueError, r"\(batch, n_prompt, n_voices\) with at least one row"),
        ({"prompt_frames": np.full((1, 2, 4), 47)}, ValueError, r"prompt_frames must be whole numbers in 0\.\.46"),
        ({"model": torch.nn.Linear(1, 1)}, TypeError, "from a FrameTransformer or MusicTransformer; found Linear"),
    ],
)
def test_a_request_for_frames_that_cannot_be_met_is_refused(changes, error, sentence):
    request = {"model": make_frame_model(), "prompt_frames": empty(), "n_steps": 6, "generator": from_seed()}
    with pytest.raises(error, match=sentence):
        generation.sample_frames(**{**request, **changes})


def test_a_token_model_refuses_another_first_step_and_a_long_prompt():
    with pytest.raises(ValueError, match="first_step must be 0; found 4"):
        generation.sample_frames(make_token_model(), empty(), 2, from_seed(), first_step=4)
    with pytest.raises(ValueError, match="context_length = 64 positions; found 17 frames, which take 68"):
        generation.sample_frames(make_token_model(), np.zeros((1, 17, 4), int), 2, from_seed())


def test_scores_of_frames_that_are_no_numbers_are_refused():
    model = make_frame_model()
    model.head.to_logits[0].bias.data.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="Did training diverge"):
        generation.sample_frames(model, empty(), 1, from_seed())


@pytest.mark.slow
def test_sixteen_bars_take_seconds_and_a_batch_many_times_less_a_piece():
    # In a fresh interpreter, since the tests' own checks every call for the shapes of its arrays.
    program = (
        "import time, torch; from mini_musessl import frames, generation\n"
        "torch.set_num_threads(1)\n"
        "model = frames.FrameTransformer(frames.FrameConfig())\n"
        "def sec(batch, n_steps=256):\n"
        "    start, prompt = time.process_time(), torch.zeros(batch, 0, 4, dtype=torch.long)\n"
        "    generation.sample_frames(model, prompt, n_steps, torch.Generator().manual_seed(0))\n"
        "    return time.process_time() - start\n"
        "sec(1, 8); print(min(sec(1) for _ in range(3)), sec(64))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one_sec, batch_sec = map(float, done.stdout.split())
    assert one_sec < 3
    assert 64 * one_sec / batch_sec > 8


def test_models_that_write_no_music_are_refused(model):
    opening = voices.from_pitches([[72, 67, 64, 48]])
    other = torch.nn.Linear(2, 2)
    for draw in (
        lambda: generation.sample(other, [[3]], 2, from_seed()),
        lambda: generation.harmonise(other, [72], from_seed()),
        lambda: generation.continue_piece(other, opening, 2, from_seed()),
    ):
        with pytest.raises(TypeError, match="drawn from a FrameTransformer or MusicTransformer; found Linear"):
            draw()
    with pytest.raises(TypeError, match="drawn from a MusicTransformer; found FrameTransformer. Use sample_frames"):
        generation.sample(make_frame_model(), [[3]], 2, from_seed())
    with pytest.raises(ValueError, match="sees what came before and nothing else; found is_causal=False"):
        generation.sample(MusicTransformer(replace(CONFIG, is_causal=False)), [[3]], 2, from_seed())


def test_an_opening_of_pitches_is_refused():
    with pytest.raises(TypeError, match=r"opening must be a VoiceGrid; found list. Make one with voices\.from_pitches"):
        generation.continue_piece(make_frame_model(), [[72, 67, 64, 48]], 2, from_seed())


def test_a_soprano_in_rows_of_different_lengths_is_refused():
    with pytest.raises(ValueError, match="one MIDI pitch a step; these have no common shape"):
        generation.harmonise(make_frame_model(), [[72, 67], [72]], from_seed())


@pytest.mark.parametrize("n_candidates", [1, 3])
def test_scores_that_are_no_numbers_are_refused_where_everything_is_given_too(n_candidates):
    model = make_frame_model()
    for weight in model.parameters():
        weight.data.fill_(math.nan)
    clamp = [[1, 1, 1, 1]] * 2
    with pytest.raises(FloatingPointError, match="must be finite numbers; .* Did training diverge"):
        generation.sample_frames(model, empty(), 2, from_seed(), clamp=clamp, n_candidates=n_candidates)
