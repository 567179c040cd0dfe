"""The solutions of chapter 8b agree with the scorekeeper that they explain."""

import numpy as np
import pytest

from mini_musessl.batches import windows_with_history
from mini_musessl.evaluation.likelihood import Likelihood, compare
from mini_musessl.exercises import benchmark
from mini_musessl.exercises.checking import EXERCISES


def mistake(exercise_id: str, number: int):
    return EXERCISES[exercise_id].mistakes[number].answer


def likelihood_of(lengths: tuple[int, ...], seed: int = 0) -> Likelihood:
    rng = np.random.default_rng(seed)
    nats = tuple(rng.exponential(0.4, size=(n_steps, 4)) for n_steps in lengths)
    return Likelihood(nats, tuple(np.zeros(each.shape, bool) for each in nats))


def test_nats_per_token_are_the_headline_and_the_mistakes_are_the_numbers_beside_it():
    score = likelihood_of((3, 50, 17))
    assert benchmark.nats_per_token(score.nats) == pytest.approx(score.nats_per_token)
    assert mistake("8b.1", 0)(score.nats) == pytest.approx(score.mean_of_piece_means)
    assert mistake("8b.1", 1)(score.nats) == pytest.approx(score.nats_per_frame)


@pytest.mark.parametrize("context", [2, 4, 10, 128])
@pytest.mark.parametrize("n_steps", [1, 4, 5, 12, 13, 130, 641])
def test_scoring_windows_are_those_of_the_library(n_steps: int, context: int):
    assert benchmark.scoring_windows(n_steps, context) == windows_with_history(n_steps, context)


@pytest.mark.parametrize("n_steps", [1, 5, 12, 131])
def test_scoring_windows_score_each_step_once_with_half_a_context_of_history(n_steps: int):
    windows = benchmark.scoring_windows(n_steps, 8)
    scored = [step for _, first, stop in windows for step in range(first, stop)]
    assert scored == list(range(n_steps))
    assert all(stop - start <= 8 for start, _, stop in windows)
    assert all(first - start == 4 for start, first, _ in windows[1:])


def test_joint_nats_turn_a_mean_over_five_symbols_into_one_over_four_notes():
    rng = np.random.default_rng(0)
    notes, chords = rng.exponential(size=(9, 4)), rng.exponential(size=9)
    over_five = np.concatenate((notes, chords[:, None]), axis=1).mean()
    assert benchmark.joint_nats(notes, chords) == pytest.approx(over_five * 5 / 4)


def test_a_joint_price_bounds_the_price_of_the_notes():
    # Two chords may go with the same notes: the notes alone are cheaper than notes and one chord.
    p_chord, p_notes_given_chord = np.array([0.7, 0.3]), np.array([0.2, 0.5])
    alone = -np.log(p_chord @ p_notes_given_chord) / 4
    for chord in range(2):
        note_nats = np.array([[-np.log(p_notes_given_chord[chord]), 0.0, 0.0, 0.0]])
        assert benchmark.joint_nats(note_nats, -np.log(p_chord[[chord]])) > alone


def test_report_takes_means_over_seeds_and_leaves_test_alone_until_the_choice_is_made():
    rows = [
        {"model": "lucky", "valid": 0.30, "test": 0.39},
        {"model": "lucky", "valid": 0.40, "test": 0.37},
        {"model": "steady", "valid": 0.33, "test": 0.36},
        {"model": "steady", "valid": 0.35, "test": 0.34},
    ]
    assert benchmark.report(rows) == ("steady", pytest.approx(0.35))
    worse_on_test = [row | {"test": row["test"] + (row["model"] == "steady")} for row in rows]
    assert benchmark.report(worse_on_test)[0] == "steady"


def test_paired_range_is_that_of_the_library():
    lengths = (5, 40, 12, 30, 7)
    first, second = likelihood_of(lengths, seed=1), likelihood_of(lengths, seed=2)
    drawn = np.random.default_rng(3).integers(len(lengths), size=(500, len(lengths)))
    sums = [np.array([nats.sum() for nats in each.nats]) for each in (first, second)]
    found = compare(first, second, np.random.default_rng(3), n_draws=500)
    assert benchmark.paired_range(*sums, first.piece_tokens, drawn) == pytest.approx([found.low, found.high])


def test_other_pieces_for_the_second_model_widen_the_range_many_times():
    case = benchmark._two_models(30, seed=0)
    widths = [high - low for low, high in (f(*case) for f in (benchmark.paired_range, mistake("8b.5", 0)))]
    assert widths[1] > 3 * widths[0]


def test_seconds_to_a_mark_are_none_where_it_is_never_reached():
    seconds, valid = np.array([0.0, 10.0, 20.0]), np.array([3.9, 0.5, 0.42])
    assert benchmark.seconds_to(seconds, valid, 0.42) == 20.0
    assert benchmark.seconds_to(seconds, valid, 0.41) is None
    assert mistake("8b.6", 0)(seconds, valid, 0.41) == 0.0
