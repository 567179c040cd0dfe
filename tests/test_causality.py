"""Causality: honest models of every kind pass, and each kind of cheat is caught by name."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from frame_reader import FrameReader

from mini_musessl.evaluation.causality import check_causality
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.repeats import Copies

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
        return np.take_along_axis(Repeats().symbol_log_probs(ids), ids[..., None], axis=-1)[..., 0] / 2


class KnowsTheLength(Repeats):
    def symbol_log_probs(self, ids):
        log_probs = super().symbol_log_probs(ids) * (1 + 1 / len(ids))
        return log_probs - np.log(np.exp(log_probs).sum(axis=-1, keepdims=True))


def lively(network, config):
    model, generator = network(config), torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.data.normal_(std=0.3, generator=generator)
    return model


SIZES = {"d_model": 12, "n_layers": 1, "n_heads": 2}
TOKENS = TransformerConfig(N_SYMBOLS, context_length=64, cycle_lengths=(4, 16), **SIZES)
FRAMES = FrameConfig(context_length=64, d_feedforward=8, d_voice=8, **SIZES)
COPYING = replace(FRAMES, uses_copies=True, uses_counterpoint=True)
HONEST = {
    "rule": Repeats,
    "tokens": lambda: lively(MusicTransformer, TOKENS),
    "frames in windows": lambda: lively(FrameTransformer, replace(FRAMES, context_length=12)),
    "frames": lambda: lively(FrameTransformer, FRAMES),
    "frames that copy": lambda: lively(FrameTransformer, replace(COPYING, context_length=12)),
    "another network over frames": lambda: FrameReader(12),
}


@pytest.mark.parametrize("make", HONEST.values(), ids=HONEST.keys())
def test_an_honest_model_passes(make):
    check_causality(make(), chance())


def frame_reader_with(change, context_length=12):
    """Return a network over steps whose ``forward`` is changed."""
    model = FrameReader(context_length)
    honest = model.forward
    model.forward = lambda frames, first_step: change(honest, frames, first_step)
    return model


def shifted(honest, frames, first_step):
    return honest(torch.roll(frames, -1, dims=1), first_step)  # its past holds the present


def bolder_beside_padding(honest, frames, first_step):
    return honest(frames, first_step) * (2 - frames[:, -1].any(-1).float().mean())  # padding ends with rests alone


def copier_that_looks_one_step_ahead():
    """Return a network whose guides have read the present step."""
    model = lively(FrameTransformer, COPYING)
    honest = model.forward

    def forward(frames, first_step, copies):
        return honest(frames, first_step, Copies(*(said.roll(-1, dims=1) for said in copies)))

    model.forward = forward
    return model


def copier_that_looks_ahead_in_repeats():
    """Return a network whose guides name the present frame wherever eight steps before it were the same before."""
    model = lively(FrameTransformer, COPYING)
    honest = model.forward

    def forward(frames, first_step, copies):
        is_repeat = (copies.length[:, :, :1] >= 8)[..., None]
        return honest(
            frames, first_step, copies._replace(copied=torch.where(is_repeat, frames[:, :, None], copies.copied))
        )

    model.forward = forward
    return model


CHEATS = [
    (copier_that_looks_one_step_ahead, "must not see what comes later|must sum to 1"),
    (copier_that_looks_ahead_in_repeats, "must not see what comes later|must sum to 1"),
    (FedTheChord, r"changing the bass of step \d+ changes what this one says of the tenor"),
    (lambda: frame_reader_with(shifted), "must not see what comes later"),
    (SeesItsTarget, r"must sum to 1; for the bass of step \d+ they sum to"),
    (KnowsTheLength, "must not know how long a piece is"),
    (lambda: frame_reader_with(bolder_beside_padding, 64), "alike alone and beside others"),
]


@pytest.mark.parametrize(("make", "sentence"), CHEATS)
def test_each_kind_of_cheat_is_caught_by_name(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_causality(make(), chance())
