"""Conformance: honest models of every kind pass, and each kind of cheat is caught by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from frame_reader import FrameReader

from mini_musessl.evaluation.causality import check_causality
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig

N_SYMBOLS = 47


def chance():
    return np.random.default_rng(7)


class Repeats:
    """A rule that gives the symbol of the step before half of the probability."""

    def symbol_log_probs(self, ids):
        probabilities = np.full((*ids.shape, N_SYMBOLS), 0.5 / N_SYMBOLS)
        probabilities[0] *= 2
        steps, voices = np.indices(ids[1:].shape)
        probabilities[1:][steps, voices, ids[:-1]] += 0.5
        return np.log(probabilities)

    def token_log_probs(self, ids):
        return np.take_along_axis(self.symbol_log_probs(ids), ids[..., None], axis=-1)[..., 0]


class FedTheChord(Repeats):
    """The same, but told which pitch classes sound in the present step."""

    def symbol_log_probs(self, ids):
        log_probs = super().symbol_log_probs(ids)
        for step, chord in enumerate(ids):
            log_probs[step][:, np.isin((np.arange(N_SYMBOLS) - 1) % 12, (chord - 1) % 12)] += 3
        return log_probs - np.log(np.exp(log_probs).sum(axis=-1, keepdims=True))


class SeesItsTarget:
    """The first rule, surer of whatever comes than it may be."""

    def token_log_probs(self, ids):
        return Repeats().token_log_probs(ids) / 2


class KnowsTheLength(Repeats):
    def symbol_log_probs(self, ids):
        log_probs = super().symbol_log_probs(ids) * (1 + 1 / len(ids))
        return log_probs - np.log(np.exp(log_probs).sum(axis=-1, keepdims=True))


def lively_transformer():
    config = TransformerConfig(N_SYMBOLS, context_length=64, d_model=12, n_layers=1, n_heads=2, cycle_lengths=(4, 16))
    model, generator = MusicTransformer(config), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.3, generator=generator)
    return model


def lively_frames(context_length):
    config = FrameConfig(context_length=context_length, d_model=12, n_layers=1, n_heads=2, d_feedforward=8, d_voice=8)
    model, generator = FrameTransformer(config, seed=0), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.3, generator=generator)
    return model


HONEST = {
    "rule": Repeats,
    "tokens": lively_transformer,
    "frames in windows": lambda: lively_frames(12),
    "frames": lambda: lively_frames(64),
    "another network over frames": lambda: FrameReader(12),
}


@pytest.mark.parametrize("make", HONEST.values(), ids=HONEST.keys())
def test_an_honest_model_passes(make):
    check_causality(make(), chance())


def test_a_model_fed_the_current_chord_is_caught():
    with pytest.raises(ValueError, match=r"changing the bass of step \d+ changes what this one says of the tenor"):
        check_causality(FedTheChord(), chance())


def test_a_network_whose_past_holds_the_present_is_caught():
    model = FrameReader()
    honest = model.forward
    model.forward = lambda frames, first_step: honest(torch.roll(frames, -1, dims=1), first_step)
    with pytest.raises(ValueError, match="must not see what comes later"):
        check_causality(model, chance())


def test_a_model_that_sees_its_target_is_caught():
    with pytest.raises(ValueError, match=r"must sum to 1; for the bass of step \d+ they sum to"):
        check_causality(SeesItsTarget(), chance())


def test_a_model_that_knows_the_length_is_caught():
    with pytest.raises(ValueError, match="must not know how long a piece is"):
        check_causality(KnowsTheLength(), chance())


def test_a_network_that_hears_its_padding_is_caught():
    model = FrameReader(64)
    honest = model.forward
    # Padding is a last step of nothing but rests; with some in the batch, this network grows bolder.
    model.forward = lambda frames, first_step: honest(frames, first_step) * (2 - frames[:, -1].any(-1).float().mean())
    with pytest.raises(ValueError, match="alike alone and beside others"):
        check_causality(model, chance())


@pytest.mark.parametrize("arguments", [{"n_steps": 7}, {"n_places": 0}])
def test_too_little_music_to_test_with_is_refused(arguments):
    with pytest.raises(ValueError, match="must be at least"):
        check_causality(Repeats(), chance(), **arguments)
