"""The temperature that makes a network as sure as it may be."""

import numpy as np
import pytest
import torch
from calibration import find_temperature

from mini_musessl.evaluation.likelihood import evaluate_likelihood
from mini_musessl.generation.sampling import Sampling, sample_frames
from mini_musessl.network.frames import FrameConfig, FrameTransformer


@pytest.fixture(name="model")
def make_model():
    """Return a small network that is sure of some things."""
    model = FrameTransformer(FrameConfig(d_model=12, n_layers=1, n_heads=2, d_feedforward=16, d_voice=12), seed=1)
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        weight.data.add_(0.4 * torch.randn(weight.shape, generator=generator))
    return model.eval()


def write(model, temperature: float) -> list[np.ndarray]:
    """Return pieces that the network writes at a temperature, as pitches."""
    start, generator = np.zeros((24, 0, 4), np.int64), torch.Generator().manual_seed(2)
    ids = sample_frames(model, start, 48, generator, Sampling(temperature))
    return [np.where(piece == 0, -1, piece + 35) for piece in np.asarray(ids)]


@pytest.mark.parametrize("temperature", [0.8, 1.0, 1.3])
def test_the_temperature_at_which_music_was_written_is_found(model, temperature):
    pieces = write(model, temperature)
    found = find_temperature(model, pieces)
    assert found == pytest.approx(temperature, rel=0.05)
    assert model.config.temperature == 1


def test_the_temperature_found_is_better_than_its_neighbours(model):
    pieces = write(model, 1.2)
    found = find_temperature(model, pieces)
    nats = []
    for temperature in (found / 1.1, found, found * 1.1):
        model.set_temperature(temperature)
        nats.append(evaluate_likelihood(model, pieces).nats_per_token)
    assert nats[1] < min(nats[0], nats[2])
