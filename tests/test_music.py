"""Notes on an integer grid: making, checking, moving, cutting, joining, re-gridding, timing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl import music
from mini_musessl.music import Meter, Part, Piece, Tempo, make_notes


@st.composite
def pieces(draw):
    n = draw(st.integers(0, 20))
    column = lambda low, high: draw(st.lists(st.integers(low, high), min_size=n, max_size=n))  # noqa: E731
    notes = make_notes(sorted(column(0, 200)), column(1, 50), column(20, 100), column(1, 127), column(0, 1))
    n_steps = int((notes["onset_step"] + notes["duration_step"]).max(initial=0)) + draw(st.integers(1, 9))
    upbeat = draw(st.integers(-95, 0))
    return Piece(notes, meters=(Meter(upbeat, 4, 4),), parts=(Part("a"), Part("b")), n_steps=n_steps)


@pytest.fixture
def waltz():
    return Piece(
        make_notes([0, 24, 48, 72], [24, 24, 24, 48], [67, 72, 74, 76]),
        meters=(Meter(-48, 3, 4),),
        tempos=(Tempo(0, 120.0), Tempo(72, 60.0)),
    )


@given(pieces(), st.integers(-20, 20))
def test_transposing_moves_pitches_and_back_and_nothing_else(piece, semitones):
    moved = music.transpose(piece, semitones)
    assert sorted(moved.notes["pitch"]) == sorted(piece.notes["pitch"] + semitones)
    assert music.transpose(moved, -semitones) == piece


def test_transposing_leaves_drums_alone():
    notes = make_notes([0, 0], 1, [60, 38], part=[0, 1])
    moved = music.transpose(Piece(notes, parts=(Part(), Part(is_drum=True))), 3)
    assert moved.notes["pitch"].tolist() == [63, 38]


@given(pieces(), st.data())
def test_joining_two_halves_keeps_bars_and_sounding_steps(piece, data):
    middle = data.draw(st.integers(1, piece.n_steps))
    halves = [music.cut(piece, 0, middle)]
    halves += [music.cut(piece, middle, piece.n_steps)] if middle < piece.n_steps else []
    joined = music.join(halves)
    assert joined.meters == piece.meters and joined.n_steps == piece.n_steps
    steps = np.arange(piece.n_steps)
    assert np.array_equal(music.bar_position_step(joined, steps), music.bar_position_step(piece, steps))


def test_an_upbeat_joined_after_a_full_bar_is_followed_by_its_bar_line():
    # Three bars of 4/4 at 24 steps a quarter, then an upbeat of two quarters.
    first = Piece(make_notes([0], [288], [60]))
    second = Piece(make_notes([0, 48], [48, 96], [62, 64]), meters=(Meter(-48, 4, 4), Meter(144, 3, 4)))
    joined = music.join([first, second])
    assert joined.meters == (Meter(0, 4, 4), Meter(288 + 48, 4, 4))
    assert music.bar_lines_step(joined).tolist() == [0, 96, 192, 288, 336]
    late = Piece(first.notes, tempos=(Tempo(0, 100.0), Tempo(300, 90.0)))  # the second tempo is after its end
    assert music.join([late, first]).tempos == (Tempo(0, 100.0), Tempo(288, 120.0))
    short = music.cut(second, 0, 24)
    assert music.join([first, short, first]).meters == (Meter(0, 4, 4), Meter(312, 4, 4))


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
    assert music.join([music.cut(waltz, 0, 24), music.cut(waltz, 24, 120)]) == waltz
    assert [tempo.step for tempo in music.join([waltz, waltz]).tempos] == [0, 72, 120, 192]


def test_rounding_to_sixteenths_moves_triplets_and_keeps_every_note_audible():
    triplets = Piece(make_notes([0, 8, 16], 8, [60, 62, 64]))
    rounded = music.change_grid(triplets, 4, may_round=True)
    assert rounded.notes["onset_step"].tolist() == [0, 1, 3]
    assert (rounded.notes["duration_step"] >= 1).all()


def test_a_coarser_grid_keeps_the_last_of_the_changes_that_meet():
    piece = Piece(
        make_notes([0], [240], [60]),
        meters=(Meter(-24, 3, 4), Meter(1, 2, 4), Meter(49, 4, 4)),
        tempos=(Tempo(0, 100.0), Tempo(1, 90.0), Tempo(2, 80.0), Tempo(50, 70.0)),
    )
    coarse = music.change_grid(piece, 4, may_round=True)
    assert coarse.meters == (Meter(0, 2, 4), Meter(8, 4, 4))
    assert coarse.tempos == (Tempo(0, 80.0), Tempo(8, 70.0))


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
        (dict(onset_step=[0, 0.5]), TypeError, "must be whole numbers; found 0.5 at place 1. Are these sec"),
        (dict(onset_step=["a"]), TypeError, "onset_step must be whole numbers; found <U1"),
        (dict(onset_step=[[0], [1, 2]]), ValueError, "onset_step must be whole numbers in rows of one length"),
        (dict(onset_step=[1e300]), TypeError, r"found 1e\+300 at place 0"),
        (dict(onset_step=np.array([2**64 - 1])), TypeError, "found 18446744073709551615 at place 0"),
        (dict(onset_step=[[0, 1]]), ValueError, r"one row, one entry per note; found the shapes .*\(1, 2\)"),
        (dict(onset_step=[0, 1], duration_step=[1, 1, 1]), ValueError, r"found the shapes .*\(2,\).*\(3,\)"),
        (dict(onset_step=[-1]), ValueError, r"onset_step must lie in 0\.\.2147483647; found -1 at note 0"),
        (dict(onset_step=[2**40]), ValueError, "found 1099511627776 at note 0"),
        (dict(onset_step=[4, 0]), ValueError, "note 1 starts at step 0, before note 0 at step 4. Use music.sort_notes"),
        (dict(onset_step=[2**31 - 2], duration_step=10), ValueError, "end by step 2147483647; found an end at"),
        (dict(duration_step=0), ValueError, "found 0 at note 0. A note lasts at least one step"),
        (dict(pitch=128), ValueError, "found 128 at note 0. 60 is middle C"),
        (dict(velocity=0), ValueError, "velocity 0 for the end of a note"),
        (dict(part=-1), ValueError, "part must lie in 0"),
    ],
)
def test_bad_notes_are_refused(columns, error, sentence):
    with pytest.raises(error, match=sentence):
        make_notes(**(dict(onset_step=[0], duration_step=1, pitch=60) | columns))


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (dict(notes=np.zeros((3, 5))), TypeError, r"music.NOTE_DTYPE, .*; found float64 \(3, 5\). Make one with"),
        (dict(steps_per_quarter=0), ValueError, "steps_per_quarter must lie in 1..32767; found 0"),
        (dict(n_steps=1), ValueError, "n_steps is 1 and the last note ends at 4"),
        (dict(n_steps=2**31), ValueError, r"n_steps must lie in 0\.\.2147483647; found 2147483648"),
        (dict(meters=()), ValueError, "meters must begin at step 0 or before"),
        (dict(meters=(Meter(0, 4, 4), Meter(0, 3, 4))), ValueError, r"in rising order; found steps \[0, 0\]"),
        (dict(meters=(Meter(0, 4, 4), Meter(4, 3, 4), Meter(2, 4, 4))), ValueError, "in rising order"),
        (dict(tempos=(Tempo(3, 60.0),)), ValueError, "tempos must begin at step 0 and"),
        (dict(parts=()), ValueError, "Each part index needs an entry in Piece.parts"),
        (dict(meters=(Meter(0, 3, 64),)), ValueError, "3/64 at 24 .* is not. Use a finer grid: 48 steps per quarter"),
        (dict(meters=(Meter(0, 4, 4), Meter(96, 1, 128))), ValueError, "1/128 at 24 .*: 96 steps per quarter"),
        (dict(steps_per_quarter=10**30), ValueError, r"steps_per_quarter must lie in 1\.\.32767; found 1000"),
        (dict(n_steps=True), TypeError, "n_steps must be a whole number; found True"),
    ],
)
def test_a_piece_that_contradicts_itself_is_refused(changes, error, sentence):
    with pytest.raises(error, match=sentence):
        Piece(**(dict(notes=make_notes([0], [4], [60])) | changes))


def test_a_piece_keeps_its_own_notes():
    notes = make_notes([0, 4], 4, [60, 62])
    piece = Piece(notes)
    notes["pitch"] = 1
    assert piece.notes["pitch"].tolist() == [60, 62]


@pytest.mark.parametrize("widest", [1, 2**31 - 1])
def test_notes_are_sorted_by_onset_part_pitch_duration_velocity(widest):
    rng = np.random.default_rng(5)
    notes = np.zeros(400, music.NOTE_DTYPE)
    for name in music.NOTE_DTYPE.names:
        notes[name] = widest * rng.integers(0, 2, 400)
    before = notes.copy()
    names = ["onset_step", "part", "pitch", "duration_step", "velocity"]
    assert music.sort_notes(notes)[names].tolist() == sorted(notes[names].tolist())
    assert np.array_equal(notes, before)


def test_ends_do_not_wrap_around_the_integers():
    late = make_notes([2**31 - 2], [1], [60])
    assert music.ends_step(late).tolist() == [2**31 - 1] and Piece(late).n_steps == 2**31 - 1


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda p: Meter(0, 4, 3), ValueError, "power of two below it; found 4/3"),
        (lambda p: Meter(0.5, 4, 4), TypeError, "step must be a whole number; found 0.5"),
        (lambda p: Meter(0, 7, 16).bar_length_step(2), ValueError, "7/16 at 2 steps per quarter is not"),
        (lambda p: music.as_meter("4/4"), TypeError, "pair of whole numbers, .*found '4/4'"),
        (lambda p: Tempo(0, 0.0), ValueError, "must be a finite number above 0; found 0.0. 120 is the MIDI default"),
        (lambda p: Part(None), TypeError, "The name of a part must be text; found NoneType"),
        (lambda p: Tempo(0, 1e-300), ValueError, r"must lie in 0\.001\.\.1e\+09 quarters per minute; found 1e-300"),
        (lambda p: Tempo(0, 1e300), ValueError, r"must lie in 0\.001\.\.1e\+09 quarters per minute; found 1e\+300"),
        (lambda p: Tempo(0, "120"), TypeError, "A tempo, .* must be a number; found '120'"),
        (lambda p: Tempo(0, 10**400), ValueError, "must be a number that a float can hold"),
        (lambda p: Part("\ud800"), ValueError, "text that files can hold"),
        (lambda p: Part(program=128), ValueError, r"program must lie in 0\.\.127; found 128"),
        (lambda p: music.transpose(p, 1.5), TypeError, "semitones must be a whole number; found 1.5"),
        (lambda p: music.transpose(p, 60), ValueError, r"moved by 60 semitones they reach 127\.\.136"),
        (lambda p: music.transpose(p, 2**40), ValueError, r"semitones must lie in -127\.\.127; found 1099511627776"),
        (lambda p: music.cut(p, 10, 10), ValueError, r"stop_step must lie in 11\.\.120; found 10. Are"),
        (lambda p: music.cut(p, -1, 121), ValueError, r"start_step must lie in 0\.\.119; found -1"),
        (lambda p: music.cut(p, 0, 12.5), TypeError, "stop_step must be a whole number; found 12.5. Are these seconds"),
        (lambda p: music.join([]), ValueError, "at least one piece; found none"),
        (lambda p: music.join([p, music.change_grid(p, 12)]), ValueError, "piece 1 has 12 steps per quarter"),
        (lambda p: music.change_grid(p, 0), ValueError, "steps_per_quarter must lie in 1..32767; found 0"),
        (lambda p: music.change_grid(Piece(make_notes([0, 8, 16], 8, 60)), 4), ValueError, "3 of 3 notes do not"),
        (
            lambda p: music.change_grid(Piece(p.notes, meters=(Meter(-13, 3, 4),)), 4),
            ValueError,
            "Meter.step=-13.* does not",
        ),
        (
            lambda p: music.change_grid(Piece(p.notes, meters=(Meter(0, 5, 16),)), 2),
            ValueError,
            "5/16 at 2 .*: 4 steps",
        ),
        (
            lambda p: music.change_grid(Piece(p.notes, meters=(Meter(0, 5, 16),)), 2, may_round=True),
            ValueError,
            "5/16 at 2 steps per quarter is not",
        ),
        (
            lambda p: music.change_grid(Piece(p.notes, n_steps=2**31 - 1), 48),
            ValueError,
            "new piece, .*found 4294967294",
        ),
        (lambda p: music.join([Piece(p.notes, n_steps=2**30)] * 2), ValueError, "new piece, .*found 2147483648"),
        (
            lambda p: music.bar_lines_step(Piece(p.notes, n_steps=2**31 - 1, meters=(Meter(-1, 1, 32),))),
            ValueError,
            "listed up to 1000000; this piece of 2147483647 steps has 715827882",
        ),
        (lambda p: music.bar_position_step(p, 1.5), TypeError, "Steps must be whole numbers; found 1.5"),
        (lambda p: music.check_is_piece(p.notes), TypeError, "must be a music.Piece here; found ndarray"),
    ],
)
def test_what_cannot_be_is_refused(waltz, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(waltz)
