"""The solutions of notebook 4c agree with the attributes objective."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl import harmony, voices
from mini_musessl.exercises import attributes as chapter_4c
from mini_musessl.network.encoder import EncoderConfig
from mini_musessl.objectives.attributes import (
    HEADS,
    AttributeModel,
    attribute_batches,
    attribute_loss,
    evaluate_attributes,
    label_attributes,
    transpose_chords,
)

SMALL = EncoderConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, d_voice=16, is_causal=True)


def chorale(n_steps=50, upbeat_step=0) -> voices.VoiceGrid:
    generator = np.random.default_rng(3)
    pitch = np.repeat(generator.integers([60, 55, 50, 43], [75, 68, 62, 55], (n_steps, 4)), 3, axis=0)[:n_steps]
    return voices.from_pitches(pitch, bar_position_step=(np.arange(n_steps) + upbeat_step) % 16)


def test_what_comes_next_is_what_the_pitch_head_is_asked():
    piece = label_attributes(chorale())
    np.testing.assert_array_equal(chapter_4c.next_frames(piece.frames), piece.pitch)


@pytest.mark.parametrize("upbeat_step", [0, 12, 14])
def test_next_chords_are_what_the_harmony_head_is_asked(upbeat_step):
    grid = chorale(upbeat_step=upbeat_step)
    chords = harmony.chord_labels(grid)
    found = chapter_4c.next_chords(harmony.chord_classes(chords), chords["step"], grid.n_steps)
    np.testing.assert_array_equal(found, label_attributes(grid).chord)


@given(chord=st.integers(-1, 108), semitones=st.integers(-12, 12))
def test_a_moved_chord_is_that_of_the_library(chord, semitones):
    assert chapter_4c.move_chord(chord, semitones) == transpose_chords(chord, semitones)


def test_the_gain_of_a_head_that_never_says_onset_is_what_the_library_reports():
    grid, model = chorale(), AttributeModel(SMALL, ["rhythm"])
    for layer in model.heads["rhythm"].to_logits:
        layer.weight.data.zero_()
        layer.bias.data[:2] = -layer.bias.data.new_tensor([0.0, 2.0])
    found = evaluate_attributes(model, [grid])
    is_onset = label_attributes(grid).onset[:-1].ravel() == 1
    gain = chapter_4c.onset_gain(np.full(len(is_onset), 1 / (1 + math.exp(2))), is_onset)
    assert gain == pytest.approx(found["onset_accuracy"] - found["onset_commonest_accuracy"])


def test_weighted_nats_are_the_loss_of_the_objective():
    model = AttributeModel(SMALL).eval()
    batch = next(attribute_batches([chorale()], 3, 20, np.random.default_rng(0)))
    nats = {name: attribute_loss(model, batch, {name: 1})[0].item() for name in HEADS}
    weights = {"pitch": 1.0, "rhythm": 0.0, "harmony": 0.3}
    loss, _ = attribute_loss(model, batch, weights)
    assert chapter_4c.weighted_nats({**nats, "rhythm": math.nan}, weights) == pytest.approx(loss.item(), rel=1e-5)
