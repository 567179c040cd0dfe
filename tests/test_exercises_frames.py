"""The solutions of chapter 5d agree with FrameTransformer, its past and its loss."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mini_musessl.exercises import frames as chapter_5d
from mini_musessl.network.frames import FrameConfig, FrameTransformer, history_of, interval_ids
from mini_musessl.objectives.next_token import frame_cross_entropy

# Few symbols, so that many are held.
PIECES = arrays(np.int64, st.tuples(st.integers(1, 30), st.just(4)), elements=st.integers(0, 2))


@given(PIECES)
def test_what_is_known_is_the_history_of_the_library(frames):
    past = history_of(torch.from_numpy(frames)[None], None, begin_id=47)
    np.testing.assert_array_equal(chapter_5d.latest_frames(frames, 47), past.latest[0])
    held = np.stack([chapter_5d.held_steps(voice) for voice in frames.T], axis=1)
    np.testing.assert_array_equal(held, past.held_step[0])


def test_interval_numbers_are_those_of_the_head():
    upper, lower = (ids.ravel() for ids in torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij"))
    found = [chapter_5d.interval_number(*pair) for pair in zip(upper.tolist(), lower.tolist(), strict=True)]
    assert found == interval_ids(upper, lower, 47).tolist()


@pytest.fixture
def model() -> FrameTransformer:
    # Large weights, so that it depends on everything that it reads.
    model = FrameTransformer(FrameConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, d_voice=20)).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        weight.data.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


@torch.no_grad()
def test_voices_in_turn_take_what_the_network_finds_likeliest_given_them(model):
    features, past = model.read_next(model.start_cache(1), torch.full((1, 5, 4), 20))

    def score(above: list[int]) -> np.ndarray:
        return model.head.score_next(features, past, torch.tensor(above, dtype=torch.long).view(1, 1, -1))[0, 0].numpy()

    frame = torch.tensor(chapter_5d.sing_in_turn(score, 4)).view(1, 1, 4)
    together = model.head(features, past, frame)
    assert torch.equal(together.argmax(-1), frame)


@pytest.mark.parametrize("voice", range(4))
@torch.no_grad()
def test_what_moves_is_what_may_move(model, voice):
    frames = torch.randint(0, 47, (1, 9, 4), generator=torch.Generator().manual_seed(2))
    changed = frames.clone()
    changed[0, 4, voice] = (frames[0, 4, voice] + 3) % 47
    moved = (model(frames) - model(changed))[0].abs().amax(-1) > 1e-6
    np.testing.assert_array_equal(moved, chapter_5d.may_move(9, 4, voice))


def test_nats_per_token_are_the_loss_of_next_frame():
    generator = torch.Generator().manual_seed(0)
    logits, frames = torch.randn(3, 6, 4, 47, generator=generator), torch.randint(0, 47, (3, 6, 4), generator=generator)
    is_padding = torch.arange(6) >= torch.tensor([6, 2, 5])[:, None]
    log_probs = logits.log_softmax(-1).gather(-1, frames[..., None])[..., 0]
    expected = frame_cross_entropy(logits, frames, is_padding).item()
    assert chapter_5d.nats_per_token(log_probs.numpy(), is_padding.numpy()) == pytest.approx(expected, rel=1e-5)
