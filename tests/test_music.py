"""Notes on an integer grid: making, checking, moving, cutting, joining, re-gridding, timing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl import music
from mini_musessl.music import Meter, Part, Piece, Tempo, make_notes


@st.composite
def pieces(draw):
    """Random pieces of up to 20 notes in two parts."""
    n = draw(st.integers(0, 20))
    column = lambda low, high: draw(st.lists(st.integers(low, high), min_size=n, max_size=n))  # noqa: E731
    notes = make_notes(sorted(column(0, 200)), column(1, 50), column(20, 100), column(1, 127), column(0, 1))
    n_steps = int((notes["onset_step"] + notes["duration_step"]).max(initial=0)) + draw(st.integers(1, 9))
    upbeat = draw(st.integers(-95, 0))
    return Piece(notes, meters=(Meter(upbeat, 4, 4),), parts=(Part("a"), Part("b")), n_steps=n_steps)


@pytest.fixture
def waltz():
    """Three quarters of upbeat and melody in 3/4 at 24 steps a quarter."""
    return Piece(
        make_notes([0, 24, 48, 72], [24, 24, 24, 48], [67, 72, 74, 76]),
        meters=(Meter(-48, 3, 4),),
        tempos=(Tempo(0, 120.0), Tempo(72, 60.0)),
    )


@given(pieces(), st.integers(-20, 20))
def test_transposing_there_and_back_changes_nothing(piece, semitones):
    assert music.transpose(music.transpose(piece, semitones), -semitones) == piece


@given(pieces(), st.integers(-20, 20))
def test_transposing_moves_pitches_and_nothing_else(piece, semitones):
    moved = music.transpose(piece, semitones).notes
    rest = ["onset_step", "duration_step", "velocity", "part"]
    assert np.array_equal(np.sort(moved[rest]), np.sort(piece.notes[rest]))
    assert sorted(moved["pitch"]) == sorted(piece.notes["pitch"] + semitones)


def test_transposing_leaves_drums_alone():
    notes = make_notes([0, 0], 1, [60, 38], part=[0, 1])
    moved = music.transpose(Piece(notes, parts=(Part(), Part(is_drum=True))), 3)
    assert moved.notes["pitch"].tolist() == [63, 38]


@given(pieces(), st.integers(2, 5))
def test_a_finer_grid_and_back_changes_nothing(piece, factor):
    assert music.change_grid(music.change_grid(piece, 24 * factor), 24) == piece


@given(pieces(), st.data())
def test_cutting_in_two_keeps_every_sounding_step(piece, data):
    if piece.n_steps < 2:
        return
    middle = data.draw(st.integers(1, piece.n_steps - 1))
    halves = music.cut(piece, 0, middle), music.cut(piece, middle, piece.n_steps)
    sounding = lambda p: int(p.notes["duration_step"].sum())  # noqa: E731
    assert sum(map(sounding, halves)) == sounding(piece)
    assert sum(half.n_steps for half in halves) == piece.n_steps
    assert music.bar_position_step(halves[1], 0) == music.bar_position_step(piece, middle)


def test_joining_the_halves_gives_back_a_piece_cut_between_notes(waltz):
    halves = [music.cut(waltz, 0, 24), music.cut(waltz, 24, 120)]
    assert music.join(halves) == waltz


def test_joining_a_piece_to_itself_repeats_its_upbeat(waltz):
    twice = music.join([waltz, waltz])
    assert twice.n_steps == 240
    assert twice.notes["onset_step"].tolist() == [0, 24, 48, 72, 120, 144, 168, 192]
    assert [tempo.step for tempo in twice.tempos] == [0, 72, 120, 192]


def test_rounding_to_sixteenths_moves_triplets_and_keeps_every_note_audible():
    triplets = Piece(make_notes([0, 8, 16], 8, [60, 62, 64]))
    rounded = music.change_grid(triplets, 4, may_round=True)
    assert rounded.notes["onset_step"].tolist() == [0, 1, 3]
    assert (rounded.notes["duration_step"] >= 1).all()


def test_seconds_follow_the_tempo_change(waltz):
    # 72 steps at 120 quarters a minute are 1.5 s; from there a quarter lasts a whole second.
    assert music.steps_to_sec(waltz, [0, 24, 72, 96]).tolist() == [0.0, 0.5, 1.5, 2.5]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=10))
def test_seconds_and_back_give_the_same_steps(steps):
    piece = Piece(make_notes([0], [5000], [60]), tempos=(Tempo(0, 97.3), Tempo(100, 33.0), Tempo(900, 250.0)))
    assert music.sec_to_steps(piece, music.steps_to_sec(piece, steps)).tolist() == steps


def test_an_upbeat_begins_late_in_the_bar(waltz):
    assert music.bar_position_step(waltz, [0, 23, 24, 48]).tolist() == [48, 71, 0, 24]
    assert music.bar_lines_step(waltz).tolist() == [24, 96]


def test_bars_follow_a_change_of_meter():
    piece = Piece(make_notes([0], [40], [60]), steps_per_quarter=4, meters=(Meter(0, 4, 4), Meter(16, 3, 8)))
    assert music.bar_lines_step(piece).tolist() == [0, 16, 22, 28, 34]
    assert music.bar_position_step(piece, [15, 16, 21, 22]).tolist() == [15, 0, 5, 0]


def test_notes_with_one_onset_have_one_order():
    one = Piece(make_notes([0, 0], 4, [64, 60]))
    other = Piece(make_notes([0, 0], 4, [60, 64]))
    assert one == other and one.notes["pitch"].tolist() == [60, 64]


def test_a_piece_without_notes_is_a_piece():
    empty = Piece(make_notes([], [], []), n_steps=48)
    assert music.bar_lines_step(music.transpose(empty, 5)).tolist() == [0]


@pytest.mark.parametrize(
    ("columns", "error", "sentence"),
    [
        (dict(onset_step=[0.0, 0.5], duration_step=1, pitch=60), TypeError, "found 0.5 at note 1. Are these seconds"),
        (dict(onset_step=[0, np.nan], duration_step=1, pitch=60), TypeError, "found nan at note 1"),
        (dict(onset_step=["a"], duration_step=1, pitch=60), TypeError, "onset_step must be whole numbers; found <U1"),
        (dict(onset_step=[-1], duration_step=1, pitch=60), ValueError, r"must lie in 0..\d+; found -1 at note 0"),
        (
            dict(onset_step=[4, 0], duration_step=1, pitch=60),
            ValueError,
            "note 1 starts at step 0, before note 0 at step 4",
        ),
        (
            dict(onset_step=[0], duration_step=0, pitch=60),
            ValueError,
            "found 0 at note 0. A note lasts at least one step",
        ),
        (dict(onset_step=[0], duration_step=1, pitch=128), ValueError, "found 128 at note 0. 60 is middle C"),
        (dict(onset_step=[0], duration_step=1, pitch=60, velocity=0), ValueError, "velocity 0 for the end of a note"),
        (dict(onset_step=[0, 1], duration_step=[1, 1, 1], pitch=60), ValueError, "found lengths"),
        (dict(onset_step=[2**40], duration_step=1, pitch=60), ValueError, "must fit in 32 bits"),
    ],
)
def test_bad_notes_are_refused(columns, error, sentence):
    with pytest.raises(error, match=sentence):
        make_notes(**columns)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        (dict(steps_per_quarter=0), "at least 1 step a quarter; found 0"),
        (dict(n_steps=1), "n_steps is 1 and the last note ends at 4"),
        (dict(meters=()), "meters must begin at step 0 or before"),
        (dict(meters=(Meter(0, 4, 4), Meter(0, 3, 4))), "rising order; found steps"),
        (dict(tempos=(Tempo(3, 60.0),)), "tempos must begin at step 0 and"),
        (dict(parts=()), "Each part index needs an entry in Piece.parts"),
    ],
)
def test_a_piece_that_contradicts_itself_is_refused(facts, sentence):
    with pytest.raises(ValueError, match=sentence):
        Piece(make_notes([0], [4], [60]), **facts)


def test_a_plain_array_is_not_taken_for_notes():
    with pytest.raises(TypeError, match="Make one with music.make_notes"):
        Piece(np.zeros((3, 5)))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda p: music.transpose(p, 60), r"moved by 60 semitones they reach 127\.\.136"),
        (lambda p: music.cut(p, 10, 10), "needs 0 <= start_step < stop_step <= 120; found 10 and 10"),
        (lambda p: music.cut(p, 0, 121), "Are these seconds or bars"),
        (lambda p: music.join([]), "at least one piece; found none"),
        (lambda p: music.join([p, music.change_grid(p, 12)]), "piece 1 has 12 steps a quarter"),
        (lambda p: music.change_grid(Piece(make_notes([0, 8, 16], 8, 60)), 4), "3 of 3 notes do not"),
        (lambda p: Meter(0, 4, 3), "power of two below it; found 4/3"),
        (lambda p: Meter(0, 7, 16).bar_length_step(2), "7/16 at 2 steps a quarter is not"),
        (lambda p: Tempo(0, 0.0), "above 0 quarters a minute; found 0.0"),
    ],
)
def test_impossible_requests_are_refused(waltz, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(waltz)
