"""The linear probe at its optimum; features of networks and by hand; fine-tuning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_hymns import CHORDS, drawn, hymn, long_hymn

from mini_musessl import voices
from mini_musessl.evaluation import probing
from mini_musessl.evaluation.probing import LONE_PENALTY, PENALTIES, count_features
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.tokenizers.voice_grid import encode_chorales
from mini_musessl.training.loop import TrainingConfig

TINY = EncoderConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, d_voice=20, dropout=0.0)


@pytest.mark.parametrize("l2", [1.0, 0.01])
def test_a_probe_of_one_feature_is_the_root_of_its_equation(l2):
    values, label = np.array([[3.0], [5.0]] * 4, np.float32), np.array([0, 1] * 4)
    fitted = probing.fit_linear_probe(values, label, l2)
    assert (fitted.mean, fitted.scale) == (4, 1)
    low, high = 0.0, 100.0  # the logit of class 1 is w x, of class 0 -w x, with l2 w = sigmoid(-2 w)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if l2 * middle < 1 / (1 + np.exp(2 * middle)) else (low, middle)
    np.testing.assert_allclose(fitted.weight, [[-low, low]], rtol=1e-4)
    np.testing.assert_allclose(fitted.bias, 0, atol=1e-5)


def penalised_nats(values: np.ndarray, label: np.ndarray, l2: float, weight: np.ndarray, bias: np.ndarray) -> float:
    """Return what a probe minimises, written another way."""
    x = (values - values.mean(axis=0)) / values.std(axis=0)
    probability = np.exp(x @ weight + bias)
    probability /= probability.sum(axis=1, keepdims=True)
    nats = -np.log(probability[np.arange(len(label)), label])
    return np.mean([nats[label == each].mean() for each in np.unique(label)]) + l2 / 2 * (weight**2).sum()


def test_no_other_weights_are_better():
    asked = drawn(n_pieces=4)
    values, generator = asked.values.astype(np.float64), np.random.default_rng(1)
    fitted = probing.fit_linear_probe(asked.values, asked.label, 0.05)
    best = penalised_nats(values, asked.label, 0.05, fitted.weight, fitted.bias)
    for size in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(40):
            weight = fitted.weight + size * generator.standard_normal(fitted.weight.shape)
            bias = fitted.bias + size * generator.standard_normal(fitted.bias.shape)
            assert penalised_nats(values, asked.label, 0.05, weight, bias) > best
    for step in (1e-4, -1e-4):  # the slope is zero
        for index in np.ndindex(fitted.weight.shape):
            weight = fitted.weight.copy()
            weight[index] += step
            assert penalised_nats(values, asked.label, 0.05, weight, fitted.bias) - best < 1e-6


def test_a_start_elsewhere_ends_at_the_same_optimum():
    asked = drawn(n_pieces=6)
    far = probing.fit_linear_probe(asked.values, asked.label, 1e-4)
    near = probing.fit_linear_probe(asked.values, asked.label, 0.1)
    again = probing.fit_linear_probe(asked.values, asked.label, 0.1, far)
    np.testing.assert_allclose(again.weight, near.weight, atol=1e-4)


def test_units_of_the_features_and_a_constant_one_change_nothing():
    asked = drawn(n_pieces=6)
    plain = probing.fit_linear_probe(asked.values, asked.label, 0.1)
    moved = 50 * asked.values.astype(np.float64) - 3
    moved = np.concatenate([moved, np.full((len(moved), 1), 7.0)], axis=1)
    fitted = probing.fit_linear_probe(moved, asked.label, 0.1)
    np.testing.assert_allclose(fitted.weight[:-1], plain.weight, atol=1e-5)
    np.testing.assert_array_equal(fitted.weight[-1], 0)


def test_a_rare_class_weighs_as_much_as_a_common_one():
    values = np.zeros((100, 1), np.float32)
    label = (np.arange(100) < 3).astype(int)
    fitted = probing.fit_linear_probe(values, label, 0.1)
    np.testing.assert_allclose(np.exp(fitted.log_probs(values[:1])), 0.5, atol=1e-6)


def test_the_penalty_is_weak_for_clear_features_and_strong_for_noise():
    asked = drawn(n_pieces=16)
    clear = np.eye(3, dtype=np.float32)[asked.label]
    assert probing.choose_l2(clear, asked.label, asked.piece) == PENALTIES[-1]
    assert probing.choose_l2(asked.values, asked.label, asked.piece) == PENALTIES[0]
    assert probing.choose_l2(clear, asked.label, np.zeros(len(asked.label), int)) == LONE_PENALTY


def test_an_empty_fit_and_a_penalty_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one example, with a label each; found 0 examples"):
        probing.fit_linear_probe(np.zeros((0, 2), np.float32), np.zeros(0, int), 0.1)
    with pytest.raises(ValueError, match="above 0; found 0"):
        probing.fit_linear_probe(np.ones((2, 2), np.float32), np.arange(2), 0)


def test_counts_of_one_held_chord_by_hand():
    (frames,) = encode_chorales([hymn("G", "G", "D", "D")])
    found = count_features(frames[None], np.zeros((1, *frames.shape), bool))[0]
    assert found.shape == (16, 93)
    now, before, after, bass = (found[4, 12 * place : 12 * place + 12] for place in range(4))
    np.testing.assert_allclose(now, np.bincount([2, 7, 11, 7], minlength=12) / 4)
    np.testing.assert_allclose(before, now)
    np.testing.assert_allclose(after, np.bincount([2, 6, 9, 2], minlength=12) / 4)
    assert bass.argmax() == 7
    n_new = 36 + 12 + 12 + 10
    np.testing.assert_array_equal(found[8, n_new : n_new + 4], [0, 1, 1, 1])  # the soprano keeps its D
    assert found[5, n_new + 9 : n_new + 11].tolist() == [5, 2]  # five steps since the last change, two until the next


def test_hidden_voices_are_absent_from_the_counts():
    (frames,) = encode_chorales([long_hymn(0)])
    is_hidden = np.zeros((1, *frames.shape), bool)
    is_hidden[..., 1:] = True
    others = frames.copy()
    others[:, 1:] = 5
    one, two = (count_features(each[None], is_hidden) for each in (frames, others))
    np.testing.assert_array_equal(one, two)
    assert one[0, :, :12].max() == 1  # a melody has one pitch class at a time


def test_an_encoders_features_are_what_it_says_of_the_step():
    encoder, grid = FrameEncoder(TINY, seed=1), hymn(*"GDGDGDGD")
    found = probing.encoder_features(encoder, [grid], ["chord", "key"], precision="float32")
    with torch.no_grad():
        said = encoder(torch.from_numpy(encode_chorales([grid])[0])[None])[0].numpy()
    np.testing.assert_allclose(found["chord"].values, said[::4], atol=1e-5)
    np.testing.assert_allclose(found["key"].values, said.mean(axis=0)[None], atol=1e-5)


def test_a_network_with_an_encoder_is_probed_by_its_encoder_and_not_changed():
    model, grid = MaskedTransformer(TINY, seed=1).train(), long_hymn(0)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    found, bare = (probing.encoder_features(each, [grid], ["chord"])["chord"] for each in (model, model.encoder))
    np.testing.assert_array_equal(found.values, bare.values)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_an_autoregressive_state_has_read_its_own_step_and_nothing_later():
    config = FrameConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, d_voice=20, cycle_length=1)
    model = FrameTransformer(config, seed=2)
    describe = probing.NetworkDescriber(model)
    frames = np.random.default_rng(0).integers(1, 47, (1, 9, 4))
    nothing, first = np.zeros(frames.shape, bool), np.zeros(1, np.int64)
    changed = frames.copy()
    changed[0, 4, 2] += -1 if changed[0, 4, 2] > 1 else 1
    one, two = (describe(each, nothing, first)[0] for each in (frames, changed))
    moves = np.abs(one - two).max(axis=1) > 1e-6
    np.testing.assert_array_equal(moves, np.arange(9) >= 4)


def test_a_network_that_is_told_the_beat_is_not_asked_for_it():
    told = FrameEncoder(EncoderConfig(d_model=16, n_heads=2, d_feedforward=24, cycle_length=16))
    with pytest.raises(ValueError, match="told the index of each step modulo 16"):
        probing.encoder_features(told, [long_hymn(0)], ["beat"])
    assert "key" in probing.encoder_features(told, [long_hymn(0)], ["key"])


def test_models_of_other_kinds_are_refused():
    with pytest.raises(TypeError, match="come from a FrameEncoder.*; found Linear"):
        probing.encoder_features(torch.nn.Linear(2, 2), [long_hymn(0)], ["key"])
    split = probing.PieceSplit((0,), (1,))
    with pytest.raises(TypeError, match="needs a FrameEncoder.*; found Linear"):
        probing.fine_tune(torch.nn.Linear(2, 2), "key", [long_hymn(0)] * 2, split, 1, np.random.default_rng(0))


def pieces_in_two_keys() -> list[voices.VoiceGrid]:
    """Return twelve short pieces of drawn chords, every second moved up by a whole tone."""
    drawn_pieces = [long_hymn(seed, n_beats=8) for seed in range(12)]
    return [voices.transpose(piece, 2 * (index % 2)) for index, piece in enumerate(drawn_pieces)]


def test_fine_tuning_learns_what_a_piece_is_in_and_leaves_the_encoder_alone():
    encoder, grids = FrameEncoder(TINY, seed=0), pieces_in_two_keys()
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    split = probing.PieceSplit(tuple(range(8)), tuple(range(8, 12)))
    config = TrainingConfig(n_updates=40, learning_rate=1e-2, n_warmup_updates=5, report_every=40)
    found = [probing.fine_tune(encoder, "key", grids, split, 6, np.random.default_rng(0), config) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].balanced_accuracy == 1
    assert all(torch.equal(before[name], weight) for name, weight in encoder.state_dict().items())
    features = probing.encoder_features(encoder, grids, ["key"])
    probed = probing.probe(features, "key", split, 6, np.random.default_rng(0))
    assert probed.labelled_pieces == found[0].labelled_pieces
    assert probed.n_test_examples == found[0].n_test_examples


def test_fine_tuning_reads_beats_in_pieces_of_different_lengths():
    grids = [hymn(*np.random.default_rng(seed).choice(list(CHORDS), 6 + seed)) for seed in range(6)]
    split = probing.PieceSplit((0, 1, 2), (3, 4, 5))
    config = TrainingConfig(n_updates=60, learning_rate=1e-2, n_warmup_updates=5, report_every=60)
    found = probing.fine_tune(FrameEncoder(TINY), "chord", grids, split, None, np.random.default_rng(0), config)
    assert found.n_test_examples == 9 + 10 + 11
    assert found.balanced_accuracy > 0.9


def test_the_register_of_a_voice_is_its_mean_pitch():
    found = probing.register_features([hymn("G", "G")])["voice"]
    assert found.values[:, 0].tolist() == list(CHORDS["G"]) and found.label.tolist() == [0, 1, 2, 3]
