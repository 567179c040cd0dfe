"""Fine-tuning learns from the labelled pieces, leaves the encoder alone and refuses before it trains."""

import numpy as np
import pytest
import torch
from tiny_hymns import CHORDS, hymn, long_hymn

from mini_musessl import voices
from mini_musessl.evaluation import fine_tuning, probing
from mini_musessl.evaluation.fine_tuning import fine_tune
from mini_musessl.evaluation.probing import PieceSplit
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder
from mini_musessl.training.loop import TrainingConfig

SIZES = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_feedforward": 24, "d_voice": 20, "dropout": 0.0}
TINY = EncoderConfig(**SIZES)
HYMNS = [long_hymn(seed, n_beats=8) for seed in range(3)]
IN_THREE = hymn("G", "D", "G", meter=(3, 4))


def pieces_in_two_keys() -> list[voices.VoiceGrid]:
    """Return twelve short pieces of drawn chords, every second moved up by a whole tone."""
    drawn_pieces = [long_hymn(seed, n_beats=8) for seed in range(12)]
    return [voices.transpose(piece, 2 * (index % 2)) for index, piece in enumerate(drawn_pieces)]


def test_fine_tuning_learns_what_a_piece_is_in_and_leaves_the_encoder_alone():
    encoder, grids = FrameEncoder(TINY, seed=0), pieces_in_two_keys()
    before = {name: weight.clone() for name, weight in encoder.state_dict().items()}
    split = PieceSplit(tuple(range(8)), tuple(range(8, 12)))
    config = TrainingConfig(n_updates=40, learning_rate=1e-2, n_warmup_updates=5, report_every=40)
    found = [fine_tune(encoder, "key signature", grids, split, 6, np.random.default_rng(0), config) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].balanced_accuracy == 1
    assert all(torch.equal(before[name], weight) for name, weight in encoder.state_dict().items())
    features = probing.encoder_features(encoder, grids, ["key signature"])
    probed = probing.probe(features, "key signature", split, 6, np.random.default_rng(0))
    assert probed.labelled_pieces == found[0].labelled_pieces
    assert probed.n_test_examples == found[0].n_test_examples


def test_fine_tuning_reads_beats_in_pieces_of_different_lengths():
    grids = [hymn(*np.random.default_rng(seed).choice(list(CHORDS), 6 + seed)) for seed in range(6)]
    split = PieceSplit((0, 1, 2), (3, 4, 5))
    config = TrainingConfig(n_updates=60, learning_rate=1e-2, n_warmup_updates=5, report_every=60)
    found = fine_tune(FrameEncoder(TINY), "chord", grids, split, None, np.random.default_rng(0), config)
    assert found.n_test_examples == 9 + 10 + 11
    assert found.balanced_accuracy > 0.9


TOLD = FrameEncoder(EncoderConfig(**SIZES, cycle_length=16))
SHORT = FrameEncoder(TINY)
SHORT.trained_steps = 31


@pytest.mark.parametrize(
    "model, task, grids, sentence",
    [
        (FrameEncoder(TINY), "beat", [IN_THREE, IN_THREE, HYMNS[0]], "Of the 2 pieces to label, 1 must have labels"),
        (FrameEncoder(TINY), "beat", [HYMNS[0], HYMNS[1], IN_THREE], "needs test pieces with labels for 'beat'"),
        (FrameEncoder(TINY), "beat", HYMNS[:2], "must be one of the 2 given, 0 to 1; found piece 2"),
        (FrameEncoder(TINY), "hymn", HYMNS, "is retrieval"),
        (TOLD, "beat", HYMNS, "told the index of each step modulo 16"),
        (SHORT, "key signature", HYMNS, "at most 31 steps at once"),
        (torch.nn.Linear(2, 2), "key signature", HYMNS, "A FrameEncoder is needed.*; found Linear"),
    ],
)
def test_what_cannot_be_learned_is_refused_before_anything_is_trained(monkeypatch, model, task, grids, sentence):
    monkeypatch.setattr(fine_tuning, "train", None)
    with pytest.raises((ValueError, TypeError), match=sentence):
        fine_tune(model, task, grids, PieceSplit((0, 1), (2,)), None, np.random.default_rng(0))
