"""Sampling: temperature, top-k and top-p by hand, the cache against no cache, particles against brute force."""

import itertools
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_runs import default_dtype

from mini_musessl import generation
from mini_musessl.generation import sampling
from mini_musessl.generation.sampling import Sampling
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig

# Tiny matrices: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)

CONFIG = TransformerConfig(
    vocabulary_size=11, context_length=16, d_model=12, n_layers=2, n_heads=3, d_feedforward=20, cycle_lengths=(4,)
)


def make_lively(model, seed=1, std=0.4):
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.data.normal_(std=std, generator=generator)
    return model.eval()


def make_frame_model(seed=1, std=0.4, **changes):
    sizes = {"d_model": 12, "n_layers": 2, "n_heads": 3, "d_feedforward": 20, "d_voice": 14, "context_length": 16}
    return make_lively(FrameTransformer(FrameConfig(**sizes | changes)), seed, std)


def make_token_model(**changes):
    sizes = {"vocabulary_size": 47, "d_model": 12, "n_heads": 2, "context_length": 64, "cycle_lengths": (4,)}
    return make_lively(MusicTransformer(TransformerConfig(**sizes | changes)))


@pytest.fixture
def model():
    return make_lively(MusicTransformer(CONFIG))


def from_seed(seed=0):
    return torch.Generator("cpu").manual_seed(seed)


def empty(batch=1, n_voices=4):
    return torch.zeros(batch, 0, n_voices, dtype=torch.long)


@pytest.mark.parametrize(
    "p, kept", [(0.3, [1]), (0.5, [1]), (0.51, [1, 3]), (0.75, [1, 3]), (0.76, [0, 1, 3]), (1.0, [0, 1, 2, 3])]
)
def test_top_p_keeps_the_smallest_set_that_reaches_p(p, kept):
    # Halves, quarters and eighths are exact, so p = 0.5 lies exactly on the line.
    logits = torch.tensor([0.125, 0.5, 0.125, 0.25], dtype=torch.float64).log2() * math.log(2)
    is_kept = generation.keep_top_p(logits, p).isfinite()
    assert torch.nonzero(is_kept).flatten().tolist() == kept


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_top_p_reaches_sums_that_rounding_misses(dtype):
    for eighths in itertools.product(range(9), repeat=5):
        if sum(eighths) == 8:
            probabilities = torch.tensor(eighths, dtype=dtype) / 8
            for p in range(1, 8):
                expected = smallest_set([n / 8 for n in eighths], p / 8)
                kept = generation.keep_top_p(probabilities.log(), p / 8).isfinite()
                assert torch.nonzero(kept).flatten().tolist() == expected


def smallest_set(probabilities, p):
    """Try every set: the smallest one that holds p, of these the likeliest, of equals the lower ids."""
    ids = range(len(probabilities))
    sets = [each for size in ids for each in itertools.combinations(ids, size + 1)]
    holds = [each for each in sets if sum(probabilities[i] for i in each) >= p]
    size = min(map(len, holds))
    return list(max((each for each in holds if len(each) == size), key=lambda s: sum(probabilities[i] for i in s)))


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=7), st.floats(1e-300, 0.999))
def test_top_p_keeps_what_trying_every_set_keeps(logits, p):
    logits = torch.tensor(logits, dtype=torch.float64)
    probabilities = logits.softmax(0)
    kept = generation.keep_top_p(logits, p).isfinite()
    assert kept.any() and probabilities[kept].sum() >= p * (1 - 2e-6)
    assert probabilities[kept].min() >= probabilities[~kept].max() if (~kept).any() else True
    # Without its least symbol the set would not hold p.
    assert kept.sum() == 1 or probabilities[kept].sum() - probabilities[kept].min() < p
    assert kept.sum() == len(smallest_set(probabilities.tolist(), p)) or abs(probabilities[kept].sum() - p) < 1e-5


def test_a_top_p_of_1_keeps_all_that_is_possible():
    logits = torch.tensor([0.0, -30.0, -60.0, -math.inf])
    assert torch.equal(generation.keep_top_p(logits, 1.0), logits)


def test_top_p_treats_each_row_alone_and_leaves_kept_logits_as_they_are():
    rows = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.3, 0.6]]).log()
    kept = generation.keep_top_p(rows, 0.8)
    assert kept.isfinite().tolist() == [[True, False, False], [False, True, True]]
    assert torch.equal(kept[kept.isfinite()], rows[kept.isfinite()])


@pytest.mark.parametrize("k, kept", [(1, [1]), (2, [1, 3]), (3, [0, 1, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])])
def test_top_k_keeps_the_likeliest_and_of_equals_the_lower_ids(k, kept):
    logits = torch.tensor([[0.1, 0.5, 0.1, 0.3]]).log()
    found = generation.keep_top_k(logits, k)
    assert torch.nonzero(found[0].isfinite()).flatten().tolist() == kept
    assert torch.equal(found[0, kept], logits[0, kept])


def test_temperature_comes_first_then_top_k_then_top_p():
    logits = torch.tensor([[0.4, 0.35, 0.25]]).log().expand(300, 3)
    # Of the two likeliest, the first alone holds more than half; heated, it does not.
    assert set(Sampling(top_k=2, top_p=0.53).draw(logits, from_seed()).tolist()) == {0}
    assert set(Sampling(9.0, top_k=2, top_p=0.53).draw(logits, from_seed()).tolist()) == {0, 1}


def test_a_cold_sample_takes_the_likeliest_symbol_each_time(model):
    tokens = generation.sample(model, [[3, 4, 5]], 8, from_seed(), Sampling(1e-4))[0].tolist()
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


def test_a_new_window_keeps_the_phase_and_about_half_the_context():
    for n_tokens in range(17, 60):
        start = sampling.window_start(n_tokens, 16, 4)
        assert start % 4 == 0 and 8 - 4 < n_tokens - start <= 8


@pytest.mark.parametrize(
    "prompt",
    [
        np.zeros((1, 0), int),
        np.arange(40).reshape(1, 40) % 11,  # longer than the context
        np.arange(8, dtype=np.uint16)[None, ::-1],
        np.arange(8, dtype=">i2")[None, ::2],
        np.broadcast_to(np.uint64(3), (1, 4)),  # read-only
        torch.ones(1, 4, dtype=torch.uint16),
        torch.arange(4).view(4, 1).T,
        ((np.int64(1), np.uint8(2), 3),),
        [range(4)],
        [torch.tensor([1, 2])],
        [[torch.tensor(1), torch.tensor(2)]],
    ],
)
def test_prompts_of_any_length_and_kind_are_continued_and_stay_as_they_are(model, prompt):
    before = np.array([np.asarray(row) for row in prompt])
    tokens = generation.sample(model.train(), prompt, 7, from_seed())
    assert tokens.shape == (1, 7) and tokens.min() >= 0 and tokens.max() < 11 and not model.training
    assert (np.array([np.asarray(row) for row in prompt]) == before).all()


@pytest.mark.parametrize("context_length, n_prompt", [(7, 5), (16, 5), (64, 5), (16, 30)])
def test_frames_far_beyond_the_context_are_those_of_reading_anew(context_length, n_prompt):
    model, n_steps = make_frame_model(context_length=context_length), 40
    prompt = torch.randint(0, 47, (2, n_prompt, 4), generator=from_seed(3))
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
    frames = generation.sample_frames(model, prompt, 20, from_seed(4), Sampling(0.9, 20, 0.9))
    tokens = generation.sample(model, prompt.flatten(1), 80, from_seed(4), Sampling(0.9, 20, 0.9))
    assert torch.equal(frames.flatten(1), tokens)


@pytest.mark.parametrize("make", [make_frame_model, make_token_model])
@pytest.mark.parametrize("n_particles", [1, 5])
def test_what_is_given_stays_in_any_voices_at_any_steps(make, n_particles):
    clamp = torch.randint(0, 47, (3, 30, 4), generator=from_seed(5))
    is_free = torch.rand(clamp.shape, generator=from_seed(6)) < 0.6
    clamp[is_free] = -1
    frames = generation.sample_frames(make(), empty(3), 30, from_seed(), clamp=clamp, n_particles=n_particles)
    assert frames.shape == (3, 30, 4)
    assert torch.equal(frames[~is_free], clamp[~is_free])
    assert frames.min() >= 0


TINY = {"vocabulary_size": 3, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_feedforward": 12, "context_length": 12}


def exact_conditional(model, clamp, temperature):
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
def test_many_particles_draw_from_the_exact_conditional_distribution_and_one_does_not(kind, temperature):
    if kind == "frame":
        model = make_frame_model(seed=2, std=0.8, **TINY, n_voices=2, d_voice=8, cycle_length=4)
    else:
        model = make_token_model(**TINY, cycle_lengths=(2,), n_previous=3)
    clamp = torch.tensor([[0, -1], [2, -1], [1, 0]])
    expected, n_drawn, away = exact_conditional(model, clamp, temperature), 2500, []
    request = model, empty(n_drawn, 2), 3
    for n_particles in (40, 1):
        drawn = generation.sample_frames(
            *request, from_seed(7), Sampling(temperature), clamp=clamp, n_particles=n_particles
        )
        index = (drawn.flatten(1) * 3 ** torch.arange(5, -1, -1)).sum(1)
        away.append(float((torch.bincount(index, minlength=3**6) / n_drawn - expected).abs().sum() / 2))
    # 9 pieces agree with what is given: chance alone keeps 2,500 draws within a few hundredths of the distribution.
    assert away[0] < 0.05
    assert away[1] > 2 * away[0]


def test_resampling_is_fair_and_by_hand_what_it_should_be():
    log_weights = torch.tensor([[0.5, 0.25, 0.25, 1e-30], [0.25, 0.25, 0.25, 0.25]]).log()
    torch.testing.assert_close(sampling.effective_number(log_weights), torch.tensor([1 / 0.375, 4.0]))
    assert sampling.resample(log_weights, from_seed()).tolist() == [[0, 0, 1, 2], [0, 1, 2, 3]]
    weights = torch.tensor([[0.61, 0.07, 0.3, 0.02]]).expand(4000, 4)
    filled = torch.bincount(sampling.resample(weights.log(), from_seed()).flatten(), minlength=4) / 16000
    torch.testing.assert_close(filled, weights[0], atol=0.01, rtol=0)


@pytest.mark.slow
def test_sixteen_bars_take_seconds_and_a_batch_many_times_less_a_piece():
    # In a fresh interpreter, since the tests' own checks every call for the shapes of its arrays.
    program = (
        "import time, torch; from mini_musessl import generation\n"
        "from mini_musessl.network.frames import FrameConfig, FrameTransformer\n"
        "torch.set_num_threads(1)\n"
        "model = FrameTransformer(FrameConfig())\n"
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


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"temperature": 0}, "temperature must lie in 0.000001..1000000; found 0"),
        ({"temperature": math.nan}, "temperature must lie in 0.000001..1000000; found nan"),
        ({"temperature": -1}, "temperature must lie in 0.000001..1000000; found -1"),
        ({"temperature": math.inf}, "temperature must lie in 0.000001..1000000; found inf"),
        ({"temperature": 1e-44}, "temperature must lie in 0.000001..1000000; found 1e-44"),
        ({"temperature": None}, "temperature must be a number; found None"),
        ({"temperature": True}, "temperature must be a number; found True"),
        ({"temperature": "1"}, "temperature must be a number; found '1'"),
        ({"temperature": np.ones(2)}, r"temperature must be a number; found array\(\[1\., 1\.\]\)"),
        ({"top_p": math.nan}, "top_p must be above 0 and at most 1; found nan"),
        ({"top_p": True}, "top_p must be a number; found True"),
        ({"top_k": True}, "top_k must be a whole number; found True"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1; found 0"),
        ({"top_p": 90}, "top_p must be above 0 and at most 1; found 90.0. In percent"),
        ({"top_k": 0}, "top_k must be at least 1; found 0. For no limit, leave it out"),
        ({"top_k": 2.5}, "top_k must be a whole number; found 2.5"),
    ],
)
def test_ways_to_sample_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        Sampling(**settings)


def test_settings_may_be_numbers_of_any_library():
    logits = torch.tensor([[0.0, 1.0, 2.0, -math.inf]]).expand(50, 4)
    for number in (np.float64, np.float32, torch.tensor):
        how = Sampling(number(0.5), np.int8(3), number(0.75))
        assert how == Sampling(0.5, 3, 0.75)
        assert torch.equal(how.draw(logits, from_seed()), Sampling(0.5, 3, 0.75).draw(logits, from_seed()))


@pytest.mark.parametrize(
    "surroundings",
    # Whatever is made on the device meta by mistake has no values.
    [lambda: default_dtype(torch.float64), lambda: torch.device("meta")],
    ids=["dtype", "device"],
)
def test_another_default_type_or_device_draws_the_same(surroundings):
    sizes = dict(d_model=12, n_heads=2, d_feedforward=16, d_voice=12, context_length=8)
    filler, how = make_lively(MaskedTransformer(EncoderConfig(**sizes))), Sampling(0.9, 20, 0.9)
    writers, melody = [make_frame_model(context_length=8), make_token_model()], np.arange(60, 72)

    def draw():
        filled = generation.harmonise_by_infilling(filler, melody, from_seed(), 4, how).pitch
        return [filled, *(generation.harmonise(each, melody, from_seed(), how, 3).pitch for each in writers)]

    before = draw()
    with surroundings():
        assert np.array_equal(before, draw())


SHORT = MusicTransformer(replace(CONFIG, cycle_lengths=(32,)))


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"prompt_ids": [[3, 11]]}, r"prompt_ids must lie in 0\.\.10; found 3\.\.11"),
        ({"prompt_ids": [[0.5]]}, "prompt_ids must be whole numbers; found float64"),
        ({"prompt_ids": [3, 4]}, r"prompt_ids must have the shape \(batch, n_prompt\), .* found \(2,\)"),
        ({"prompt_ids": [[3], [3, 4]]}, "whole numbers in rows of one length; these cannot be made an array"),
        ({"prompt_ids": [[True]]}, "prompt_ids must be whole numbers; found bool"),
        ({"prompt_ids": np.zeros((0, 3), int)}, r"prompt_ids must have the shape .* found \(0, 3\)"),
        ({"prompt_ids": torch.ones(1, 2, requires_grad=True)}, "prompt_ids must be whole numbers; found float32"),
        ({"prompt_ids": torch.ones(1, 2, dtype=torch.bfloat16)}, "these cannot be made an array"),
        ({"prompt_ids": [[10**30]]}, "prompt_ids must be whole numbers; found object"),
        (
            {"prompt_ids": np.array([[2**64 - 1]], np.uint64)},
            r"prompt_ids must lie in 0\.\.10; found 18446744073709551615",
        ),
        ({"n_tokens": 10**5000}, "n_steps must lie in 1..1000000; found one of 16610 bits"),
        ({"n_tokens": torch.tensor(True)}, r"n_steps must be a whole number; found tensor\(True\)"),
        ({"sampling": 0.9}, r"said by a Sampling\(temperature, top_k, top_p\); found 0\.9"),
        ({"generator": 0}, r"draws from a torch\.Generator on the CPU, .*; found int"),
        (
            {"model": SHORT, "n_tokens": 16},
            "beyond 16 positions, what is read at once must hold a whole cycle of the model, 32",
        ),
        ({"model": torch.nn.Linear(2, 2)}, "from a FrameTransformer or MusicTransformer, .* found Linear"),
        ({"model": make_frame_model()}, "found FrameTransformer. Frames are drawn by sample_frames"),
        ({"model": MusicTransformer(replace(CONFIG, is_causal=False))}, "needs a causal network"),
    ],
)
def test_a_request_for_tokens_that_cannot_be_met_is_refused(model, changes, sentence):
    request = {"model": model, "prompt_ids": [[3]], "n_tokens": 4, "generator": from_seed()}
    with pytest.raises((ValueError, TypeError), match=sentence):
        generation.sample(**request | changes)
    assert generation.sample(SHORT, [[3]], 15, from_seed()).shape == (1, 15)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"n_steps": 0}, "n_steps must lie in 1..1000000; found 0"),
        ({"n_particles": 0}, "n_particles must be at least 1; found 0"),
        ({"first_step": -1}, "first_step must be at least 0; found -1"),
        ({"first_step": 4, "model": make_token_model()}, "first_step must be 0; found 4"),
        ({"clamp": np.full((5, 4), -1)}, r"clamp must have the shape \(6, 4\), .* found \(5, 4\)"),
        ({"clamp": np.full((2, 6, 4), -1)}, r"clamp must have the shape \(1, 6, 4\), .* found \(2, 6, 4\)"),
        ({"clamp": np.full((6, 4), 47)}, r"clamp must lie in -1\.\.46; found 47\.\.47"),
        ({"prompt_frames": np.zeros((1, 0, 3))}, r"\(batch, n_prompt, 4\), .* found \(1, 0, 3\)"),
        ({"prompt_frames": np.zeros((1, 2, 3), int)}, r"\(batch, n_prompt, 4\), .* found \(1, 2, 3\)"),
        ({"model": torch.nn.Linear(1, 1)}, "from a FrameTransformer or MusicTransformer, .* found Linear"),
    ],
)
def test_a_request_for_frames_that_cannot_be_met_is_refused(changes, sentence):
    request = {"model": make_frame_model(), "prompt_frames": empty(), "n_steps": 6, "generator": from_seed()}
    with pytest.raises((ValueError, TypeError), match=sentence):
        generation.sample_frames(**request | changes)


@pytest.mark.parametrize("make, n_positions", [(make_frame_model, 10), (make_token_model, 32)])
def test_no_more_is_read_at_once_than_training_showed(make, n_positions):
    whole, short = make(context_length=48), make(context_length=n_positions)
    whole.trained_steps = n_positions
    found = generation.sample_frames(whole, empty(), 20, from_seed())
    assert torch.equal(found, generation.sample_frames(short, empty(), 20, from_seed()))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("how", [Sampling(), Sampling(1e-6), Sampling(top_k=2), Sampling(top_p=0.5)])
def test_scores_that_are_no_numbers_are_refused(score, how):
    with pytest.raises(FloatingPointError, match=r"must be finite numbers; .* Did training diverge"):
        how.draw(torch.full((2, 5), score), from_seed())
