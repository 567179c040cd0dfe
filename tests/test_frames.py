"""FrameTransformer: what it may see, that reading with a cache equals reading the whole, and what it refuses."""

import math

import pytest
import torch

from mini_musessl.network.frames import (
    LONGEST_HOLD_STEP,
    FrameConfig,
    FrameTransformer,
    PooledDropout,
    VoiceHead,
    advance,
    history_of,
    interval_ids,
)

SMALL = {"d_model": 24, "n_layers": 2, "n_heads": 3, "d_feedforward": 40, "d_voice": 28, "context_length": 60}


def make(**changes) -> FrameTransformer:
    model = FrameTransformer(FrameConfig(**{**SMALL, **changes}), seed=3).eval()
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


@pytest.fixture
def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 47, (2, 37, 4), generator=generator)
    frames[:, 5:25, 1] = frames[:, 5:6, 1]
    return frames


def test_the_first_loss_is_about_that_of_knowing_nothing(frames):
    logits = FrameTransformer(FrameConfig(**SMALL)).eval()(frames)
    assert logits.shape == (2, 37, 4, 47)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 2), frames.flatten())
    assert loss.item() == pytest.approx(math.log(47), abs=0.1)


@pytest.mark.parametrize("voice", range(4))
@torch.no_grad()
def test_a_cell_changes_nothing_before_it_nor_its_own_prediction(frames, voice):
    model, step = make(), 11
    changed = frames.clone()
    changed[:, step, voice] = (frames[:, step, voice] + 5) % 47
    difference = (model(changed) - model(frames)).abs().amax(-1)
    assert difference[:, :step].max() == 0
    assert difference[:, step, : voice + 1].max() == 0
    assert difference[:, step, voice + 1 :].gt(1e-4).all()
    assert difference[:, step + 1].gt(1e-4).all()


@torch.no_grad()
def test_reading_with_a_cache_equals_reading_the_whole(frames):
    model = make()
    whole = model(frames)
    cache = model.start_cache(2)
    model.read_next(cache, frames[:, :0])
    for step in range(frames.shape[1]):
        scores = model.head(cache.features, cache.history, frames[:, step : step + 1])
        torch.testing.assert_close(scores[:, 0], whole[:, step], rtol=1e-4, atol=1e-4)
        model.read_next(cache, frames[:, step : step + 1])


@torch.no_grad()
def test_a_step_is_described_by_what_the_head_is_given_for_the_next(frames):
    model, first_step = make(), torch.tensor([5, 18])
    described = model.describe(frames, first_step)
    cache = model.start_cache(2, first_step)
    for step in range(37):
        given = model.read_next(cache, frames[:, step : step + 1])
        torch.testing.assert_close(described[:, step : step + 1], given, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_step_index_is_known_modulo_the_cycle_alone(frames):
    model = make(cycle_length=16)
    at_0, at_16, at_3 = (model(frames, torch.tensor([start, start])) for start in (0, 16, 3))
    torch.testing.assert_close(at_0, at_16)
    assert (at_0 - at_3).abs().max() > 1e-3


@pytest.mark.parametrize("switch", ["uses_holds", "uses_intervals"])
@torch.no_grad()
def test_what_is_switched_off_is_not_in_the_network(frames, switch):
    with_it, without = make(), make(**{switch: False})
    assert sum(p.numel() for p in without.parameters()) < sum(p.numel() for p in with_it.parameters())
    assert without(frames).isfinite().all()


def test_the_hold_is_counted_from_the_step_at_which_the_symbol_was_new():
    frames = torch.tensor([20, 20, 22, 22, 22, 0, 0]).view(1, 7, 1)
    history = history_of(frames, torch.tensor([40]), begin_id=47)
    assert history.latest.flatten().tolist() == [47, 20, 20, 22, 22, 22, 0]
    assert history.held_step.flatten().tolist() == [0, 0, 1, 0, 1, 2, 0]
    assert history.step.flatten().tolist() == list(range(40, 47))
    assert history_of(torch.full((1, 60, 4), 20), None, begin_id=47).held_step.max() == LONGEST_HOLD_STEP


def test_intervals_are_the_same_in_every_key():
    upper, lower = torch.tensor([30, 25, 46]), torch.tensor([26, 27, 1])
    assert interval_ids(upper, lower, 47).tolist() == [50, 44, 91]
    assert interval_ids(upper[:2] + 7, lower[:2] + 7, 47).tolist() == [50, 44]


def test_hidden_cells_are_drawn_while_training_only(frames):
    model = make(hidden_share=0.5, dropout=0.0)
    assert torch.equal(model(frames), model(frames))
    model.train()
    assert not torch.equal(model(frames), model(frames))


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state_alone():
    state = torch.random.get_rng_state()
    first, second, other = (FrameTransformer(FrameConfig(**SMALL), seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["symbol_table.weight"], other["symbol_table.weight"])


REFUSED = {
    "no batch": (torch.zeros(5, 4).long(), ValueError, r"shape \(batch, n_steps, 4\), no axis empty; found \(5, 4\)"),
    "no steps": (torch.zeros(1, 0, 4).long(), ValueError, "no axis empty"),
    "too long": (torch.zeros(1, 61, 4).long(), ValueError, "at most context_length = 60 positions; found 61"),
    "above": (torch.full((1, 5, 4), 47), ValueError, r"must lie in 0..46; found 47..47. .* another vocabulary"),
    "fractions": (torch.zeros(1, 5, 4), TypeError, "frames must be whole numbers; found torch.float32"),
}


@pytest.mark.parametrize("frames, error, sentence", REFUSED.values(), ids=REFUSED)
def test_frames_that_cannot_be_read_are_refused(frames, error, sentence):
    with pytest.raises(error, match=sentence):
        make()(frames)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"d_model": 25}, ValueError, "multiple of 2 \\* n_heads"),
        ({"d_voice": 2.5}, TypeError, "d_voice"),
        ({"hidden_share": -0.1}, ValueError, "hidden_share must be at least 0"),
        *(({"temperature": t}, ValueError, "temperature must be a finite number") for t in (0, -1, math.inf, math.nan)),
    ],
)
def test_sizes_that_make_no_network_are_refused(changes, error, sentence):
    with pytest.raises(error, match=sentence):
        FrameConfig(**{**SMALL, **changes})


def test_a_head_may_serve_other_voices():
    head = VoiceHead(FrameConfig(vocabulary_size=9, n_voices=3, d_model=8, n_heads=1, d_voice=10), PooledDropout(0.1))
    frames = torch.randint(0, 9, (2, 5, 3))
    assert head(torch.randn(2, 5, 8), history_of(frames, None, 9), frames).shape == (2, 5, 3, 9)


def test_pooled_dropout_silences_its_share_and_keeps_the_mean():
    dropout, ones = PooledDropout(0.3), torch.ones(200, 500)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = dropout(ones), dropout(ones)
        torch.manual_seed(0)
        again = dropout(ones)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert first.eq(0).float().mean() == pytest.approx(0.3, abs=0.01)
    assert first.mean() == pytest.approx(1, abs=0.02)
    assert torch.equal(dropout.eval()(ones), ones)


def test_each_type_of_number_has_its_pool_and_none_is_drawn_twice():
    dropout = PooledDropout(0.5)
    for dtype in 2 * (torch.float32, torch.bfloat16):  # as autocast alternates
        assert dropout(torch.ones(10, dtype=dtype)).dtype == dtype
    pools = list(dropout._pools.values())
    assert len(pools) == 2 and torch.equal(pools[0], pools[1].float())


def test_a_longer_pool_begins_like_a_shorter_one():
    short, long = PooledDropout(0.5), PooledDropout(0.5)
    long(torch.ones(5_000_000))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = short(torch.ones(1000))
        torch.manual_seed(1)
        assert torch.equal(first, long(torch.ones(1000)))


@torch.no_grad()
def test_the_next_voice_alone_is_scored_as_among_all(frames):
    model = make()
    cache = model.start_cache(2)
    model.read_next(cache, frames[:, :7])
    together = model.head(cache.features, cache.history, frames[:, 7:8])
    for voice in range(4):
        alone = model.score_next(cache, frames[:, 7:8, :voice])
        torch.testing.assert_close(alone, together[:, 0, voice], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_cache_may_begin_later_in_the_piece_and_be_read_in_pieces(frames):
    model, first_step = make(), torch.tensor([5, 18])
    cache, whole = model.start_cache(2, first_step), model(frames, first_step)
    model.read_next(cache, frames[:, :10])
    model.read_next(cache, frames[:, 10:30])
    torch.testing.assert_close(model.score_next(cache, frames[:, 30:31, :2]), whole[:, 30, 2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_seen", [1, 2, 6, 20])
def test_looking_on_equals_looking_back(frames, n_seen):
    whole = history_of(frames, torch.tensor([3, 9]), begin_id=47)
    on = advance(whole.at(slice(None), slice(n_seen + 1)), frames[:, n_seen:-1])
    for found, expected in zip(on[:3], whole[:3], strict=True):
        assert torch.equal(found, expected[:, n_seen + 1 :])


@torch.no_grad()
def test_rows_of_a_cache_may_change_places(frames):
    model, rows = make(), torch.tensor([1, 1])
    cache, other = model.start_cache(2), model.start_cache(2)
    model.read_next(cache, frames[:, :20])
    cache.keep_rows(rows)
    model.read_next(other, frames[rows, :20])
    found, expected = (model.read_next(each, frames[:, 20:25]) for each in (cache, other))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_description_takes_one_position_more():
    assert make().describe(torch.zeros(1, 59, 4).long()).shape == (1, 59, 24)
    with pytest.raises(ValueError, match="found 61"):
        make().describe(torch.zeros(1, 60, 4).long())


@pytest.mark.parametrize(
    "more, sentence",
    [
        (torch.zeros(2, 0, 4).long(), "no axis empty"),
        (torch.zeros(2, 23, 4).long(), "room for context_length = 60 positions, .*; found 61"),
        (torch.full((2, 1, 4), 47), r"must lie in 0\.\.46; found 47"),
        (torch.zeros(1, 1, 4).long(), r"the shape \(2, n_new, 4\)"),
    ],
)
def test_a_cache_refuses_nothing_new_more_than_the_context_and_other_ids(frames, more, sentence):
    model = make()
    cache = model.start_cache(2)
    model.read_next(cache, frames)
    with pytest.raises(ValueError, match=sentence):
        model.read_next(cache, more)


@pytest.mark.parametrize(
    "first_step, error, sentence",
    [
        (torch.tensor([0, 4, 8]), ValueError, r"shape \(2\).*; found \(3,\)"),
        (torch.tensor([4]), ValueError, r"shape \(2\).*; found \(1,\)"),  # it would serve for both rows
        (torch.tensor([0.0, 4.0]), TypeError, "first_step must be whole numbers; found torch.float32"),
    ],
)
def test_first_steps_that_are_not_one_for_each_row_are_refused(frames, first_step, error, sentence):
    model = make()
    for read in (model, model.describe, lambda _, first_step: model.start_cache(2, first_step)):
        with pytest.raises(error, match=sentence):
            read(frames, first_step)


@torch.no_grad()
def test_a_temperature_divides_the_logits_outside_training(frames):
    model = make(dropout=0.0, hidden_share=0.0)
    logits, in_training = model(frames), model.train()(frames)
    model.eval().set_temperature(1.25)
    assert model.config.temperature == 1.25
    torch.testing.assert_close(model(frames), logits / 1.25)
    torch.testing.assert_close(model.train()(frames), in_training)
    cache = model.eval().start_cache(2)
    model.read_next(cache, frames[:, :3])
    scores = model.score_next(cache, frames[:, 3:4, :2])
    torch.testing.assert_close(scores, logits[:, 3, 2] / 1.25, rtol=1e-4, atol=1e-4)
