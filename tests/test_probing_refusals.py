"""What probing refuses at the door, before anything is trained or fitted."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_hymns import drawn, hymn, long_hymn

from mini_musessl import voices
from mini_musessl.evaluation import probing
from mini_musessl.evaluation.probing import Features
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder

TINY = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_feedforward": 24, "d_voice": 20}
HYMNS = [long_hymn(seed, n_beats=8) for seed in range(3)]
IN_THREE = hymn("G", "D", "G", meter=(3, 4))


def forbid(monkeypatch, module, name: str) -> None:
    """Let a test fail where it would train or fit: some of these refusals once came too late, or never."""

    def fail(*_, **__):
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(module, name, fail)


def fine_tune(grids, split: probing.PieceSplit, task: str = "beat", budget: int | None = None, **changes):
    """Fine-tune a fresh encoder."""
    encoder = FrameEncoder(EncoderConfig(**{**TINY, **changes}))
    return probing.fine_tune(encoder, task, grids, split, budget, np.random.default_rng(0))


def test_fine_tuning_without_a_labelled_example_is_refused_before_it_trains(monkeypatch):
    forbid(monkeypatch, probing, "train")
    with pytest.raises(ValueError, match="needs labelled pieces with labels for the task; none of the 2 of the split"):
        fine_tune([IN_THREE, IN_THREE, HYMNS[0]], probing.PieceSplit((0, 1), (2,)))


def test_fine_tuning_without_a_tested_example_is_refused_before_it_trains(monkeypatch):
    forbid(monkeypatch, probing, "train")
    with pytest.raises(ValueError, match="needs test pieces with labels for 'beat'; found none in the split"):
        fine_tune([HYMNS[0], HYMNS[1], IN_THREE], probing.PieceSplit((0, 1), (2,)))


def test_a_probe_without_a_labelled_or_a_tested_example_is_refused_before_it_fits(monkeypatch):
    forbid(monkeypatch, probing, "choose_l2")
    features, generator = probing.handmade_features([IN_THREE, *HYMNS], ["beat"]), np.random.default_rng(0)
    with pytest.raises(ValueError, match="needs labelled pieces with labels for the task; none of the 1 of the split"):
        probing.probe(features, "beat", probing.PieceSplit((0,), (1, 2)), None, generator)
    with pytest.raises(ValueError, match="needs test pieces with labels for 'beat'; found none in the split"):
        probing.probe(features, "beat", probing.PieceSplit((1, 2), (0,)), None, generator)


def test_a_network_that_is_told_the_beat_is_not_fine_tuned_to_say_it(monkeypatch):
    forbid(monkeypatch, probing, "train")
    with pytest.raises(ValueError, match="told the index of each step modulo 16"):
        fine_tune(HYMNS, probing.PieceSplit((0, 1), (2,)), cycle_length=16)


def test_a_piece_that_was_not_described_is_refused_and_one_without_labels_is_passed_over():
    features, generator = probing.handmade_features([IN_THREE, *HYMNS], ["beat"]), np.random.default_rng(0)
    assert features["beat"].n_pieces == 4
    found = probing.probe(features, "beat", probing.PieceSplit((0, 1, 2), (3,)), None, generator)
    assert set(found.labelled_pieces) == {1, 2}
    for split in (probing.PieceSplit((0, 1, 4), (2, 3)), probing.PieceSplit((0, 1), (2, 3, 4))):
        with pytest.raises(ValueError, match="must be one of the 4 given, 0 to 3; found piece 4"):
            probing.probe(features, "beat", split, None, generator)
        with pytest.raises(ValueError, match="must be one of the 4 given, 0 to 3; found piece 4"):
            fine_tune([IN_THREE, *HYMNS], split)


def test_every_check_of_a_split_wants_pieces_that_are_there():
    split = probing.PieceSplit((0, 1), (7,))
    for check in (probing.check_pieces_apart, probing.check_melodies_apart):
        with pytest.raises(ValueError, match="must be one of the 3 given, 0 to 2; found piece 7"):
            check(HYMNS, split)


@pytest.mark.parametrize("query", [2, -1])
def test_a_query_that_was_not_described_is_refused(query):
    values = np.eye(2, dtype=np.float32)
    features = Features("hymn", (), values, np.array([0, 0]), np.arange(2), n_pieces=2)
    assert probing.retrieve(features, [0]).n_queries == 1
    with pytest.raises(ValueError, match=f"must be one of the 2 given, 0 to 1; found piece {query}"):
        probing.retrieve(features, [0, query])


def test_every_maker_of_features_says_how_many_pieces_it_described():
    encoder = FrameEncoder(EncoderConfig(**TINY))
    made = [probing.encoder_features(encoder, HYMNS, ["key"])["key"], probing.register_features(HYMNS)["voice"]]
    assert [each.n_pieces for each in made] == [3, 3]
    assert drawn().n_pieces is None


def test_examples_of_pieces_that_were_not_described_are_refused():
    values, label = np.ones((2, 1), np.float32), np.zeros(2, int)
    with pytest.raises(ValueError, match="the 2 pieces that were described, 0 to 1; found pieces 1 to 2"):
        Features("key", ("a",), values, label, np.array([1, 2]), n_pieces=2)


@pytest.mark.parametrize("side", ["labelled", "test"])
def test_a_split_names_each_piece_once_by_an_index_from_0(side):
    other = {"labelled": "test", "test": "labelled"}[side]
    for pieces, error, sentence in [
        ((1, 2, 1), ValueError, f"must stand once in {side}; found piece 1 more than once"),
        ((0, -1), ValueError, f"A piece of {side} must be at least 0; found -1"),
        ((0, 2.5), TypeError, f"A piece of {side} must be a whole number; found 2.5"),
    ]:
        with pytest.raises(error, match=sentence):
            probing.PieceSplit(**{side: pieces, other: (9,)})
    assert probing.PieceSplit(**{side: np.array([1, 2]), other: [9]}) == probing.PieceSplit(
        **{side: (1, 2), other: (9,)}
    )


def every_door(grids) -> list:
    """Return a call of every public function that is given chorales."""
    split, generator = probing.PieceSplit((0,), (1,)), np.random.default_rng(0)
    encoder = FrameEncoder(EncoderConfig(**TINY))
    return [
        lambda: probing.handmade_features(grids, ["key"]),
        lambda: probing.encoder_features(encoder, grids, ["chord"]),
        lambda: probing.make_features(lambda frames, *_: frames, grids, ["hymn"]),
        lambda: probing.register_features(grids),
        lambda: probing.split_pieces(grids, 1, generator),
        lambda: probing.split_pieces(grids, 1, generator, by_melody=True),
        lambda: probing.fine_tune(encoder, "key", grids, split, 1, generator),
    ]


@pytest.mark.parametrize("door", range(7))
@pytest.mark.parametrize(
    "grids, error, sentence",
    [
        ([], ValueError, "needs at least one chorale; found none"),
        ([np.full((8, 4), 60)] * 2, TypeError, "needs a list of VoiceGrids.*; found one with a ndarray in it"),
        ({"train": HYMNS, "test": HYMNS}, TypeError, "found one with a str in it.*probing.join_parts"),
        (HYMNS[0], TypeError, "come in a list; found one VoiceGrid"),
    ],
)
def test_what_is_no_list_of_chorales_is_refused_at_every_door(door, grids, error, sentence):
    with pytest.raises(error, match=sentence):
        every_door(grids)[door]()


def test_one_task_as_a_text_is_not_split_into_letters():
    encoder = FrameEncoder(EncoderConfig(**TINY))
    for call in (
        lambda: probing.handmade_features(HYMNS, "key"),
        lambda: probing.encoder_features(encoder, HYMNS, "key"),
        lambda: probing.make_features(lambda frames, *_: frames, HYMNS, "key"),
    ):
        with pytest.raises(TypeError, match=r"come in a list of names; found the text 'key'. Write \['key'\]"):
            call()


def test_a_register_needs_a_voice_that_sings():
    rests = voices.from_pitches(np.full((8, 4), -1))
    with pytest.raises(ValueError, match="needs a voice that sings; found rests alone in 1 pieces"):
        probing.register_features([rests])
