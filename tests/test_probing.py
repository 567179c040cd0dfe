"""Probes read what is there, nothing that is not, and never a test piece."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tiny_hymns import drawn, hymn, long_hymn

from mini_musessl import voices
from mini_musessl.evaluation import probe_tasks, probing
from mini_musessl.evaluation.probing import Features

SMALL = hymn("G", "D", "Em", "D", "G", "F#dim", "G", "G", fermatas=(3, 6, 7))


def test_labels_of_a_tiny_chorale_are_those_that_a_musician_reads():
    assert probe_tasks.KEY_CLASSES[probe_tasks.label_key(SMALL)] == "1 sharp"
    assert probe_tasks.MODE_CLASSES[probe_tasks.label_mode(SMALL)] == "major"
    step, chord = probe_tasks.label_chords(SMALL)
    assert step.tolist() == list(range(0, 32, 4))
    assert [probe_tasks.CHORD_CLASSES[each] for each in chord] == ["G", "D", "Em", "D", "G", "other", "G", "G"]
    step, beat = probe_tasks.label_beats(SMALL)
    assert step.tolist() == list(range(0, 32, 4)) and beat.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_cadence_is_the_beat_where_a_fermata_begins_and_the_last_one_is_not_asked():
    step, ends = probe_tasks.label_cadences(SMALL)
    assert step.tolist() == [0, 4, 8, 12, 16, 20]
    assert ends.tolist() == [0, 0, 0, 1, 0, 0]


def test_beats_on_which_a_fermata_sounds_on_are_not_asked():
    step, ends = probe_tasks.label_cadences(hymn("G", "D", "D", "Em", "G", fermatas=(1, 2, 4)))
    assert step.tolist() == [0, 4, 12] and ends.tolist() == [0, 1, 0]


def test_signatures_that_sound_the_same_are_one_class():
    six_flats, six_sharps = (probe_tasks.label_key(hymn("G", fifths=fifths)) for fifths in (-6, 6))
    assert six_flats == six_sharps


def test_sevenths_count_as_their_triads():
    pitch = np.repeat([(72, 66, 62, 50), (74, 67, 64, 52)], 4, axis=0)  # D7 and Em7
    _, chord = probe_tasks.label_chords(voices.from_pitches(pitch))
    assert [probe_tasks.CHORD_CLASSES[each] for each in chord] == ["D", "Em"]


def test_a_piece_in_three_has_no_beat_to_ask_and_one_without_fermata_no_cadence():
    assert probe_tasks.label_beats(hymn("G", "D", "G", meter=(3, 4))) is None
    assert probe_tasks.label_cadences(hymn("G", "D", "G")) is None


@pytest.mark.parametrize("n_steps", [1, 95, 96, 97, 176, 177, 400])
def test_windows_cover_every_step_and_share_enough(n_steps):
    starts = probe_tasks.spread_starts(n_steps, 96, 16)
    covered = {step for start in starts for step in range(start, min(start + 96, n_steps))}
    assert covered == set(range(n_steps))
    assert all(second - first <= 80 for first, second in itertools.pairwise(starts))


def test_each_beat_is_read_at_its_own_step():
    grids = [long_hymn(0), SMALL, long_hymn(1)]

    def place(frames: np.ndarray, is_hidden: np.ndarray, first_step: np.ndarray) -> np.ndarray:
        """Describe each step by its index in the piece."""
        return (first_step[:, None] + np.arange(frames.shape[1]))[..., None].astype(np.float32)

    found = probing.make_features(place, grids, ["chord", "cadence", "key"])
    for piece, grid in enumerate(grids):
        for task, label in (("chord", probe_tasks.label_chords), ("cadence", probe_tasks.label_cadences)):
            rows = found[task].piece == piece
            step, wanted = label(grid)
            order = np.argsort(found[task].values[rows, 0])
            np.testing.assert_array_equal(found[task].values[rows, 0][order], step)
            np.testing.assert_array_equal(found[task].label[rows][order], wanted)
    np.testing.assert_allclose(found["key"].values[found["key"].piece == 1], [[15.5]])


def test_one_voice_alone_stands_in_the_sopranos_place_at_one_height():
    shown = probe_tasks.voice_excerpts([long_hymn(0)])
    assert [view.answer for view in shown] == [0, 1, 2, 3] * probe_tasks.VOICE_WINDOWS
    for view in shown:
        assert view.is_hidden[:, 1:].all() and not view.is_hidden[:, 0].any()
        assert not view.frames[:, 1:].any()
        assert abs(view.frames[:, 0].mean() - probe_tasks.LEVEL_ID) <= 0.5


def test_a_levelled_voice_keeps_its_intervals():
    grid = long_hymn(0)
    bass = probe_tasks.voice_excerpts([grid])[3]
    line = grid.pitch[bass.start_step : bass.start_step + probe_tasks.VOICE_STEP, 3]
    np.testing.assert_array_equal(np.diff(bass.frames[:, 0]), np.diff(line))


def test_a_corrupted_window_differs_from_its_twin_in_one_whole_note():
    shown = probe_tasks.corrupted_excerpts([long_hymn(0), long_hymn(1)])
    for real, wrong in zip(shown[::2], shown[1::2], strict=True):
        assert (real.answer, wrong.answer) == (0, 1)
        changed = real.frames != wrong.frames
        (voice,) = np.flatnonzero(changed.any(axis=0))
        steps = np.flatnonzero(changed[:, voice])
        assert (np.diff(steps) == 1).all()
        before, after = real.frames[steps, voice], wrong.frames[steps, voice]
        assert len(set(before)) == len(set(after)) == 1
        assert 1 <= abs(int(before[0]) - int(after[0])) <= probe_tasks.LARGEST_SHIFT


SPLIT = probing.PieceSplit(tuple(range(16)), tuple(range(16, 24)))


def probe(features: Features, budget: int | None = None, seed: int = 0, split: probing.PieceSplit = SPLIT):
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
    assert len(seen) == 2
    for values in seen:
        np.testing.assert_array_equal(values, labelled)


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
    result = probe(Features("cadence", ("a", "b"), np.zeros((len(label), 1), np.float32), label, asked.piece))
    assert result.majority_accuracy == pytest.approx(0.9)
    assert result.balanced_accuracy == 0.5


def test_scores_by_hand():
    label, predicted = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 0])
    right, total = probing.count_answers(label, predicted, np.array([4, 4, 9, 9, 9]), 4)
    assert right.tolist() == [[2, 0, 0, 0], [0, 1, 0, 0]] and total.tolist() == [[2, 0, 0, 0], [1, 1, 1, 0]]
    assert probing.balanced_accuracy(right.sum(axis=0), total.sum(axis=0)) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_the_range_holds_what_drawing_pieces_by_hand_gives():
    right, total = np.array([[8, 1], [2, 3], [5, 5]]), np.array([[10, 2], [6, 4], [5, 5]])
    means = []
    for chosen in itertools.product(range(3), repeat=3):
        part = right[list(chosen)].sum(axis=0) / total[list(chosen)].sum(axis=0)
        means.append(part.mean())
    low, high = probing.bootstrap_range(right, total, np.random.default_rng(0), 20_000)
    assert min(means) <= low < high <= max(means)
    assert low == pytest.approx(np.percentile(np.repeat(means, 1000), 2.5), abs=0.02)


def test_every_task_every_budget_and_every_draw_has_a_row():
    rows = probing.probe_all({"chord": drawn()}, SPLIT, budgets=(1, 5, None), n_draws=2)
    assert [(row["budget"], row["draw"]) for row in rows] == [(1, 0), (1, 1), (5, 0), (5, 1), (None, 0)]
    assert {row["n_labelled_pieces"] for row in rows} == {1, 5, 16}


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
    found = probing._chance(n_relevant, 6)
    assert found[0] == pytest.approx((1 / ranks).mean())
    assert found[1] == pytest.approx((ranks == 1).mean())


def test_features_that_are_all_alike_find_nothing():
    label = np.array([0, 0, 1, 2])
    found = probing.retrieve(Features("hymn", (), np.ones((4, 2), np.float32), label, np.arange(4)))
    assert found.recall_at_1 == 0


def test_parts_are_joined_with_the_labelled_ones_first():
    parts = {"train": [long_hymn(0), long_hymn(1)], "valid": [], "test": [long_hymn(2)]}
    grids, split = probing.join_parts(parts)
    assert split == probing.PieceSplit((0, 1), (2,))
    assert grids[2] == parts["test"][0]


def test_a_split_by_melody_keeps_every_melody_on_one_side():
    pitch = np.repeat([[60 + step] * 4 for step in (0, 2, 4, 5, 7, 9, 11)], 4, axis=0)
    other = np.repeat([[60 + step] * 4 for step in (0, 7, 0, 5, 0, 9, 2)], 4, axis=0)
    grids = [voices.from_pitches(line + shift) for shift in range(3) for line in (pitch, other)]
    for seed in range(5):
        split = probing.split_pieces(grids, 2, np.random.default_rng(seed), by_melody=True)
        assert split.test in ((0, 2, 4), (1, 3, 5))
        probing.check_melodies_apart(grids, split)


def test_unknown_tasks_are_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="must be one of key, mode, chord, .*; found 'genre'"):
        probing.handmade_features([SMALL], ["genre"])
    with pytest.raises(ValueError, match="There are no features of the task 'key'; there are those of chord"):
        probing.probe({"chord": drawn()}, "key", SPLIT, 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    "task, grid, words",
    [
        ("key", hymn("G", fifths=None), r"a key signature \(fifths\)"),
        ("mode", hymn("G", mode=None), "a mode, major or minor"),
        ("cadence", hymn("G", "D"), "fermatas"),
        ("beat", hymn("G", "D", "G", meter=(3, 4)), "the meter 4/4"),
    ],
)
def test_missing_labels_are_refused(task, grid, words):
    with pytest.raises(ValueError, match=f"needs pieces with {words}; none of the 1 pieces has that"):
        probing.handmade_features([grid], [task])


def test_a_split_that_shares_pieces_is_refused():
    with pytest.raises(ValueError, match="1 are on both sides, the first is piece 3"):
        probing.PieceSplit((1, 2, 3), (3, 4))
    with pytest.raises(ValueError, match="found 1 and 0"):
        probing.PieceSplit((1,), ())
    grid = long_hymn(0, name="bwv1")
    with pytest.raises(ValueError, match="may be a labelled piece too; bwv1 is"):
        probing.join_parts({"train": [SMALL, grid], "test": [grid]})
    with pytest.raises(ValueError, match="has no part 'test'; it has train"):
        probing.join_parts({"train": [SMALL]})


def test_a_split_that_shares_melodies_is_refused_where_asked():
    scale = np.repeat([[60 + step] * 4 for step in (0, 2, 4, 5, 7, 9, 11)], 4, axis=0)
    parts = {"train": [voices.from_pitches(scale)], "test": [voices.from_pitches(scale + 2, name="bwv2")]}
    probing.join_parts(parts)
    with pytest.raises(ValueError, match="1 of 1 test pieces share theirs with a labelled piece, the first is bwv2"):
        probing.join_parts(parts, keeps_melodies_apart=True)


def test_a_budget_that_the_split_cannot_pay_is_refused():
    with pytest.raises(ValueError, match="needs as many with labels for the task; the split has 16"):
        probe(drawn(), 17)
    with pytest.raises(TypeError, match="budget"):
        probe(drawn(), 2.5)
    with pytest.raises(TypeError, match=r"numpy\.random\.Generator"):
        probing.draw_labelled(SPLIT, np.arange(24), 1, 0)


def test_test_pieces_without_labels_and_other_features_are_refused():
    with pytest.raises(ValueError, match="needs test pieces with labels for 'chord'; found none"):
        probe(drawn(), 2, split=probing.PieceSplit((0, 1), (99,)))
    with pytest.raises(ValueError, match="is retrieval"):
        probe(Features("hymn", (), np.ones((2, 1), np.float32), np.zeros(2, int), np.arange(2)), 1)
    with pytest.raises(ValueError, match="the task 'hymn'; found those of 'chord'"):
        probing.retrieve(drawn())
    with pytest.raises(ValueError, match="another setting"):
        probing.retrieve(Features("hymn", (), np.ones((2, 1), np.float32), np.arange(2), np.arange(2)))
    with pytest.raises(ValueError, match="finite numbers"):
        Features("key", ("a",), np.full((2, 1), np.nan, np.float32), np.zeros(2, int), np.arange(2))


def test_a_window_of_rests_has_no_note_to_move():
    with pytest.raises(ValueError, match="needs a note to move"):
        probe_tasks.move_one_note(np.zeros((4, 4), np.int64), np.random.default_rng(0))


def test_nothing_here_moves_the_global_chance():
    state = torch.get_rng_state()
    probe(drawn(), 5)
    assert torch.equal(state, torch.get_rng_state())
