"""Probes read what is there, nothing that is not, and never a test piece."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_hymns import drawn, hymn, long_hymn

from mini_musessl import voices
from mini_musessl.evaluation import probe_tasks, probing
from mini_musessl.evaluation.probing import LONE_PENALTY, PENALTIES, Features, PieceSplit, count_features
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.tokenizers.voice_grid import encode_chorales

TINY = EncoderConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, d_voice=20, dropout=0.0)
SMALL = hymn("G", "D", "Em", "D", "G", "F#dim", "G", "G", fermatas=(3, 6, 7))
IN_THREE = hymn("G", "D", "G", meter=(3, 4))
HYMNS = [long_hymn(seed, n_beats=8) for seed in range(3)]


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


def test_each_beat_is_read_at_its_own_step():
    grids = [long_hymn(0), SMALL, long_hymn(1)]

    def place(frames: np.ndarray, is_hidden: np.ndarray, first_step: np.ndarray) -> np.ndarray:
        """Describe each step by its index in the piece."""
        return (first_step[:, None] + np.arange(frames.shape[1]))[..., None].astype(np.float32)

    found = probing.make_features(place, grids, ["chord", "phrase end", "key signature"])
    for piece, grid in enumerate(grids):
        for task, label in (("chord", probe_tasks.label_chords), ("phrase end", probe_tasks.label_phrase_ends)):
            rows = found[task].piece == piece
            step, wanted = label(grid)
            order = np.argsort(found[task].values[rows, 0])
            np.testing.assert_array_equal(found[task].values[rows, 0][order], step)
            np.testing.assert_array_equal(found[task].label[rows][order], wanted)
    np.testing.assert_allclose(found["key signature"].values[found["key signature"].piece == 1], [[15.5]])


def test_an_encoders_features_are_what_it_says_of_the_step():
    encoder, grid = FrameEncoder(TINY, seed=1), hymn(*"GDGDGDGD")
    found = probing.encoder_features(encoder, [grid], ["chord", "key signature"], precision="float32")
    with torch.no_grad():
        said = encoder(torch.from_numpy(encode_chorales([grid])[0])[None])[0].numpy()
    np.testing.assert_allclose(found["chord"].values, said[::4], atol=1e-5)
    np.testing.assert_allclose(found["key signature"].values, said.mean(axis=0)[None], atol=1e-5)


def test_a_network_with_an_encoder_is_probed_by_its_encoder_and_not_changed():
    model, grid = MaskedTransformer(TINY, seed=1).train(), long_hymn(0)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    found, bare = (probing.encoder_features(each, [grid], ["chord"])["chord"] for each in (model, model.encoder))
    np.testing.assert_array_equal(found.values, bare.values)
    assert model.training and all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_an_autoregressive_state_has_read_its_own_step_and_nothing_later():
    config = FrameConfig(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, d_voice=20, cycle_length=1)
    model = FrameTransformer(config, seed=2)
    describe = probing.describe_by(model)
    frames = np.random.default_rng(0).integers(1, 47, (1, 9, 4))
    nothing, first = np.zeros(frames.shape, bool), np.zeros(1, np.int64)
    changed = frames.copy()
    changed[0, 4, 2] += -1 if changed[0, 4, 2] > 1 else 1
    one, two = (describe(each, nothing, first)[0] for each in (frames, changed))
    moves = np.abs(one - two).max(axis=1) > 1e-6
    np.testing.assert_array_equal(moves, np.arange(9) >= 4)


SPLIT = PieceSplit(tuple(range(16)), tuple(range(16, 24)))


def probe(features: Features, budget: int | None = None, seed: int = 0, split: PieceSplit = SPLIT):
    """Probe the features of one task."""
    return probing.probe({features.task: features}, features.task, split, budget, np.random.default_rng(seed))


@pytest.mark.parametrize("budget", [1, 5, 10, None])
def test_a_feature_that_holds_the_answer_is_read_perfectly(budget):
    asked = drawn()
    held = np.eye(3, dtype=np.float32)[asked.label]
    result = probe(Features("chord", asked.classes, held, asked.label, asked.piece), budget)
    assert result.balanced_accuracy == result.accuracy == result.low == result.high == 1


def test_random_features_stay_at_chance():
    results = [probe(drawn(n_beats=60, seed=seed)) for seed in range(4)]
    assert np.mean([each.balanced_accuracy for each in results]) == pytest.approx(1 / 3, abs=0.03)
    assert results[0].chance == pytest.approx(1 / 3)
    assert results[0].low < results[0].balanced_accuracy < results[0].high


def test_an_answer_that_stands_in_the_test_pieces_alone_is_not_found():
    asked = drawn(n_beats=60)
    values = asked.values.copy()
    is_test = np.isin(asked.piece, SPLIT.test)
    values[is_test, :3] = 5 * np.eye(3)[asked.label[is_test]]
    result = probe(Features("chord", asked.classes, values, asked.label, asked.piece))
    assert result.balanced_accuracy < 0.6  # a probe that saw them would answer all of them


def test_test_pieces_never_touch_the_fit(monkeypatch):
    asked, seen = drawn(), []

    def remember(function):
        """Note the features that a step of the probe is given."""
        return lambda values, *rest: seen.append(values) or function(values, *rest)

    for name in ("choose_l2", "fit_linear_probe"):
        monkeypatch.setattr(probing, name, remember(getattr(probing, name)))
    result = probe(asked, 5)
    labelled = asked.values[np.isin(asked.piece, result.labelled_pieces)]
    np.testing.assert_array_equal(seen[0], labelled)  # to choose the penalty
    np.testing.assert_array_equal(seen[-1], labelled)  # to fit
    known = {values.tobytes() for values in labelled}
    assert all(values.tobytes() in known for given in seen for values in given)


def test_test_pieces_change_neither_the_penalty_nor_the_labelled_pieces():
    asked = drawn()
    values = np.where(np.isin(asked.piece, SPLIT.test)[:, None], 100, asked.values)
    first, second = probe(asked, 8), probe(Features("chord", asked.classes, values, asked.label, asked.piece), 8)
    assert (first.l2, first.labelled_pieces) == (second.l2, second.labelled_pieces)


def test_budgets_are_nested_and_the_same_for_every_encoder():
    asked = [drawn(seed=seed) for seed in (0, 1)]
    drawn_pieces = {budget: [probe(each, budget, seed=7).labelled_pieces for each in asked] for budget in (1, 5, 10)}
    for first, second in drawn_pieces.values():
        assert first == second
    assert set(drawn_pieces[1][0]) < set(drawn_pieces[5][0]) < set(drawn_pieces[10][0]) < set(SPLIT.labelled)
    assert probe(asked[0], 5, seed=8).labelled_pieces != drawn_pieces[5][0]


def test_the_same_generator_gives_the_same_result():
    assert probe(drawn(), 5, seed=3) == probe(drawn(), 5, seed=3)


def test_a_class_that_no_labelled_piece_shows_is_never_answered():
    asked = drawn(n_classes=2)
    label = asked.piece % 2
    result = probe(Features("chord", ("a", "b"), np.eye(2, dtype=np.float32)[label], label, asked.piece), 1)
    assert result.n_classes_seen == 1
    assert result.balanced_accuracy == result.chance == 0.5


def test_the_majority_class_stands_beside_the_accuracy():
    asked = drawn(n_classes=2)
    label = (np.arange(len(asked.label)) % 10 == 0).astype(int)
    result = probe(Features("phrase end", ("a", "b"), np.zeros((len(label), 1), np.float32), label, asked.piece))
    assert result.majority_accuracy == pytest.approx(0.9)
    assert result.balanced_accuracy == 0.5


def test_scores_by_hand():
    label, predicted = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 0])
    right, total = probing.count_answers(label, predicted, np.array([4, 4, 9, 9, 9]), 4)
    assert right.tolist() == [[2, 0, 0, 0], [0, 1, 0, 0]] and total.tolist() == [[2, 0, 0, 0], [1, 1, 1, 0]]
    assert probing.balanced_accuracy(right.sum(axis=0), total.sum(axis=0)) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_the_key_finder_answers_without_labels():
    in_g = hymn("G", "Em", "G", "D", "G", "G")
    grids = [in_g, in_g, voices.transpose(in_g, -5), replace(in_g, fifths=-3)]
    split = PieceSplit((0,), (1, 2, 3))
    found = probing.probe_key_finder("key signature", grids, split, np.random.default_rng(0))
    assert (found.budget, found.labelled_pieces, found.n_labelled_examples, found.n_test_examples) == (0, (), 0, 3)
    assert found.balanced_accuracy == pytest.approx(2 / 3)  # the last piece is in G, whatever its signature says
    assert found.chance == pytest.approx(1 / 3)
    assert probing.probe_key_finder("mode", grids, split, np.random.default_rng(0)).balanced_accuracy == 1
    with pytest.raises(ValueError, match="task of the key finder must be one of key signature, mode; found 'chord'"):
        probing.probe_key_finder("chord", grids, split, np.random.default_rng(0))


def test_the_range_holds_what_drawing_pieces_by_hand_gives():
    right, total = np.array([[8, 1], [2, 3], [5, 5]]), np.array([[10, 2], [6, 4], [5, 5]])
    means = []
    for chosen in itertools.product(range(3), repeat=3):
        part = right[list(chosen)].sum(axis=0) / total[list(chosen)].sum(axis=0)
        means.append(part.mean())
    low, high = probing.bootstrap_interval(right, total, np.random.default_rng(0), 20_000)
    assert min(means) <= low < high <= max(means)
    assert low == pytest.approx(np.percentile(np.repeat(means, 1000), 2.5), abs=0.02)


def test_the_same_hymn_is_found_by_hand():
    values = np.array([[1, 0], [0.9, 0.1], [-1, 0.2], [0, -1.0]], np.float32)
    features = Features("hymn", (), values, np.array([0, 0, 1, 2]), np.arange(4))
    found = probing.retrieve(features)
    assert (found.n_queries, found.n_candidates) == (2, 3)
    assert found.mean_reciprocal_rank == found.recall_at_1 == 1
    assert found.chance_recall_at_1 == pytest.approx(1 / 3)
    assert found.chance_mean_reciprocal_rank == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found.chance_recall_at_10 == pytest.approx(1)


@pytest.mark.parametrize("n_relevant", [1, 2, 4])
def test_chance_of_retrieval_is_the_mean_over_all_orders(n_relevant):
    orders = list(itertools.permutations([True] * n_relevant + [False] * (6 - n_relevant)))
    ranks = np.array([order.index(True) + 1 for order in orders])
    found = probing.chance_of_retrieval(n_relevant, 6)
    assert found[0] == pytest.approx((1 / ranks).mean())
    assert found[1] == pytest.approx((ranks == 1).mean())


def test_features_that_are_all_alike_find_nothing():
    label = np.array([0, 0, 1, 2])
    found = probing.retrieve(Features("hymn", (), np.ones((4, 2), np.float32), label, np.arange(4)))
    assert found.recall_at_1 == 0


def test_parts_are_joined_with_the_labelled_ones_first():
    parts = {"train": [long_hymn(0), long_hymn(1)], "valid": [], "test": [long_hymn(2)]}
    grids, split = probing.join_parts(parts)
    assert split == PieceSplit((0, 1), (2,))
    assert grids[2] == parts["test"][0]


def test_nothing_here_moves_the_global_chance():
    state = torch.get_rng_state()
    probe(drawn(), 5)
    assert torch.equal(state, torch.get_rng_state())


REFUSED_SPLITS = [
    (((1, 2, 3), (3, 4)), "must stand in it once, labelled or tested; found piece 3 more than once"),
    (((1, 2, 1), (4,)), "found piece 1 more than once"),
    (((1,), ()), "A split for probing needs pieces in test; found none"),
    (((0, -1), (9,)), "A piece of labelled must be at least 0; found -1"),
]


@pytest.mark.parametrize("pieces, sentence", REFUSED_SPLITS)
def test_a_split_names_each_piece_once_on_one_side(pieces, sentence):
    with pytest.raises(ValueError, match=sentence):
        PieceSplit(*pieces)


SCALE, OTHER = (
    np.repeat([[60 + step] * 4 for step in line], 4, axis=0) for line in ((0, 2, 4, 5, 7, 9, 11), (0, 7, 0))
)


def test_parts_that_share_pieces_or_where_asked_melodies_are_refused():
    first, moved, other = (voices.from_pitches(each, name="bwv2") for each in (SCALE, SCALE + 2, OTHER))
    for parts, sentence in [
        ({"train": [other, first], "test": [first]}, "have the notes of a labelled piece; 1 of 1 do, first bwv2"),
        ({"train": [first], "test": [other, moved]}, "have the melody of a labelled piece; 1 of 2 do, first bwv2"),
        ({"train": [first]}, "A part of the split must be one of train; found 'test'"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            probing.join_parts(parts, keeps_melodies_apart=True)
    probing.join_parts({"train": [first], "test": [moved]})


ONE_HYMN = Features("hymn", (), np.eye(2, dtype=np.float32), np.zeros(2, int), np.arange(2), n_pieces=2)
REFUSED = {
    "an unknown task": (
        lambda: probing.handmade_features([SMALL], ["genre"]),
        "one of key signature, mode, chord.*'genre'",
    ),
    "a text for a list": (
        lambda: probing.handmade_features([SMALL], "key signature"),
        r"found the text 'key signature'. Write \['key signature'\]",
    ),
    "no chorale": (lambda: probing.handmade_features([], ["key signature"]), "Chorales are needed, at least one"),
    "one chorale": (lambda: probing.handmade_features(SMALL, ["key signature"]), "come in a list; found one VoiceGrid"),
    "another model": (lambda: probing.describe_by(torch.nn.Linear(2, 2)), "FrameTransformer is needed.*found Linear"),
    "NaN": (
        lambda: Features("key signature", ("a",), np.full((1, 1), np.nan), np.zeros(1, int), np.zeros(1, int)),
        "diverge",
    ),
    "a task not described": (
        lambda: probing.probe({}, "key signature", SPLIT, 1, np.random.default_rng(0)),
        "'key signature'. Ask for it",
    ),
    "too large a budget": (lambda: probe(drawn(), 17), "Of the 16 pieces to label, 17 must have labels.*found 16"),
    "a broken budget": (lambda: probe(drawn(), 2.5), "budget must be a whole number"),
    "a seed": (lambda: probing.draw_labelled(SPLIT, np.arange(24), 1, 0), r"numpy\.random\.Generator"),
    "no labelled piece": (lambda: probe(drawn(), None, split=PieceSplit((99,), (1,))), "1 must have labels.*found 0"),
    "no test piece": (
        lambda: probe(drawn(), 2, split=PieceSplit((0, 1), (99,))),
        "test pieces with labels for 'chord'",
    ),
    "retrieval as a probe": (lambda: probe(ONE_HYMN, 1, split=PieceSplit((0,), (1,))), "is retrieval"),
    "a probe as retrieval": (lambda: probing.retrieve(drawn()), "the task 'hymn'; found those of 'chord'"),
    "one setting": (lambda: probing.retrieve(ONE_HYMN, []), "another setting of its hymn among the pieces; found none"),
    "a query not there": (lambda: probing.retrieve(ONE_HYMN, [0, 2]), "one of the 2 given, 0 to 1; found piece 2"),
    "no example": (lambda: probing.fit_linear_probe(np.ones((0, 2)), np.zeros(0, int), 0.1), "at least one labelled"),
    "no penalty": (
        lambda: probing.fit_linear_probe(np.ones((2, 2)), np.arange(2), 0),
        "l2 must be .* above 0; found 0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_asked_is_refused(name):
    call, sentence = REFUSED[name]
    with pytest.raises((ValueError, TypeError), match=sentence):
        call()


def test_a_piece_that_was_not_described_is_refused_and_one_without_labels_is_passed_over():
    features, generator = probing.handmade_features([IN_THREE, *HYMNS], ["beat"]), np.random.default_rng(0)
    found = probing.probe(features, "beat", PieceSplit((0, 1, 2), (3,)), None, generator)
    assert set(found.labelled_pieces) == {1, 2}
    for split in (PieceSplit((0, 1, 4), (2, 3)), PieceSplit((0, 1), (2, 3, 4))):
        with pytest.raises(ValueError, match="must be one of the 4 given, 0 to 3; found piece 4"):
            probing.probe(features, "beat", split, None, generator)


def test_a_network_that_is_told_the_beat_is_not_asked_for_it():
    told = FrameEncoder(EncoderConfig(d_model=16, n_heads=2, d_feedforward=24, cycle_length=16))
    with pytest.raises(ValueError, match="told the index of each step modulo 16"):
        probing.encoder_features(told, HYMNS, ["beat"])
    assert "key signature" in probing.encoder_features(told, HYMNS, ["key signature"])


def test_windows_longer_than_those_of_the_training_are_refused_unless_allowed():
    model = MaskedTransformer(TINY)
    model.trained_steps = 31
    with pytest.raises(ValueError, match="at most 31 steps at once.*found 32.*trained_steps = None"):
        probing.encoder_features(model, HYMNS, ["key signature"])
    model.trained_steps = None
    assert np.isfinite(probing.encoder_features(model, HYMNS, ["key signature"])["key signature"].values).all()
