"""Step-by-voice grids: onsets, conversion to and from notes, transposing, cutting, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mini_musessl import music, voices
from mini_musessl.voices import REST, VoiceGrid


@st.composite
def grids(draw):
    n_steps, n_voices = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    pitch = draw(hnp.arrays(np.int16, (n_steps, n_voices), elements=st.sampled_from([REST, 50, 60, 61, 70])))
    restruck = draw(hnp.arrays(bool, (n_steps, n_voices)))
    names = tuple(f"voice {v + 1}" for v in range(n_voices))
    melted = voices.from_pitches(pitch, voice_names=names)
    start = draw(st.integers(0, 15))
    return voices.from_pitches(
        pitch,
        is_onset=melted.is_onset | (restruck & (pitch != REST)),
        bar_position_step=(np.arange(n_steps) + start) % 16,
        voice_names=names,
        quarters_per_minute=100.0,
    )


@pytest.fixture
def phrase():
    return voices.from_pitches(
        [[72, REST], [72, REST], [72, 60], [74, 60], [74, 60], [74, REST]],
        is_onset=[[1, 0], [0, 0], [1, 1], [1, 0], [0, 0], [0, 0]],
        voice_names=("high", "low"),
        fifths=0,
    )


@given(grids())
def test_notes_and_back_give_the_same_grid(grid):
    assert voices.from_piece(voices.to_piece(grid), n_voices=grid.n_voices) == grid


@given(grids(), st.integers(-12, 12))
def test_transposing_there_and_back_changes_nothing(grid, semitones):
    assert voices.transpose(voices.transpose(grid, semitones), -semitones) == grid


@given(grids())
def test_onsets_alone_say_how_many_notes_there_are(grid):
    assert len(voices.to_piece(grid).notes) == grid.is_onset.sum()


def test_repeated_notes_stay_apart(phrase):
    notes = voices.to_piece(phrase).notes
    assert notes[["onset_step", "duration_step", "pitch", "part"]].tolist() == [
        (0, 2, 72, 0),
        (2, 1, 72, 0),
        (2, 3, 60, 1),
        (3, 3, 74, 0),
    ]


@pytest.mark.parametrize(
    ("fifths", "semitones", "moved"), [(0, 1, -5), (0, 2, 2), (0, -1, 5), (1, 12, 1), (4, 2, 6), (0, 6, 6), (-7, 0, -7)]
)
def test_the_key_signature_moves_along(phrase, fifths, semitones, moved):
    grid = voices.from_pitches(phrase.pitch, voice_names=phrase.voice_names, fifths=fifths)
    assert voices.transpose(grid, semitones).fifths == moved


def test_a_cut_begins_the_notes_that_were_sounding(phrase):
    part = voices.cut(phrase, 1, 5)
    assert part.is_onset[0].tolist() == [True, False]
    assert part.bar_position_step.tolist() == [1, 2, 3, 4]


def test_bars_that_restart_early_keep_their_place():
    positions = [12, 13, 14, 15, *range(16), *range(12), *range(12, 16)]
    grid = voices.from_pitches(np.full((len(positions), 1), 60), bar_position_step=positions, voice_names=("one",))
    piece = voices.to_piece(grid)
    assert music.bar_position_step(piece, np.arange(grid.n_steps)).tolist() == positions
    short = voices.from_pitches(np.full((20, 1), 60), bar_position_step=[*range(8), *range(12)], voice_names=("one",))
    assert music.bar_position_step(voices.to_piece(short), np.arange(20)).tolist() == [*range(8), *range(12)]


def test_a_grid_without_steps_becomes_a_piece_without_notes():
    empty = voices.from_pitches(np.empty((0, 4), int))
    assert voices.to_piece(empty).n_steps == 0


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda g: voices.from_pitches([[60, np.nan] * 2]), TypeError, "found nan at place 1. -1 is a rest; write it"),
        (lambda g: voices.from_pitches(np.full((3, 3), 60)), ValueError, r"each of 4 voices; found shape \(3, 3\)"),
        (lambda g: voices.from_pitches([[128] * 4]), ValueError, "no pitch 0..127, 128 at step 0, voice 0"),
        (lambda g: voices.from_pitches([[65536 + 60] * 4]), ValueError, "65596 at step 0, voice 0"),
        (lambda g: replace(g, is_onset=[[True] * 3]), ValueError, r"is_onset must have shape \(6, 2\)"),
        (lambda g: replace(g, is_onset=g.is_onset & False), ValueError, "a new pitch without an onset, 72 at step 0"),
        (lambda g: replace(g, is_onset=g.is_onset | True), ValueError, "an onset on a rest, -1 at step 0, voice 1"),
        (lambda g: replace(g, is_onset=g.is_onset * 0.5), ValueError, "is_onset must be True or False; found an array"),
        (lambda g: replace(g, is_fermata=np.full(6, 2)), ValueError, "is_fermata must be True or False"),
        (lambda g: replace(g, is_fermata=[True]), ValueError, r"is_fermata must have shape \(6,\).*found \(1,\)"),
        (lambda g: replace(g, bar_position_step=np.arange(6) - 1), ValueError, "0 or more; found a number below"),
        (lambda g: replace(g, bar_position_step=np.arange(6) + 40_000), ValueError, "int64 with other values"),
        (
            lambda g: replace(g, bar_position_step=np.arange(6) / 2),
            ValueError,
            "must count up to 32767 steps from the latest",
        ),
        (lambda g: voices.from_pitches(g.pitch, meter="4/4"), TypeError, "pair of whole numbers, .*found '4/4'"),
        (lambda g: replace(g, steps_per_quarter=0), ValueError, "steps_per_quarter must lie in 1..32767; found 0"),
        (lambda g: replace(g, meter=(4, 3)), ValueError, "found 4/3"),
        (lambda g: replace(g, meter=(3, 32)), ValueError, "3/32 at 4 steps per quarter is not. .*: 8 steps"),
        (
            lambda g: voices.from_piece(replace(voices.to_piece(g), n_steps=10**9), n_voices=2),
            ValueError,
            r"steps times voices, must lie in 0\.\.10000000; found 2000000000",
        ),
        (lambda g: replace(g, quarters_per_minute=0), ValueError, "must be a finite number above 0; found 0. 80 is"),
        (lambda g: replace(g, fifths=8), ValueError, r"fifths must lie in -7\.\.7; found 8"),
        (lambda g: replace(g, mode="dorian"), ValueError, "mode must be one of major, minor, None; found 'dorian'"),
        (lambda g: replace(g, voice_names="ab"), TypeError, "must be a list of names.*found 'ab'"),
        (lambda g: voices.from_pitches(np.zeros((3, 0), int), voice_names=()), TypeError, r"list of names.*found \(\)"),
        (lambda g: voices.transpose(g, -61), ValueError, "moved by -61 semitones they reach -1"),
        (
            lambda g: voices.cut(g, 0, 7),
            ValueError,
            r"stop_step must lie in 1\.\.6; found 7. Are these seconds or bars",
        ),
        (lambda g: voices.from_piece(voices.to_piece(g), n_voices=0), ValueError, "n_voices must be at least 1"),
        (lambda g: voices.from_piece(voices.to_piece(g)), ValueError, "piece of 4 parts; this one has 2"),
        (lambda g: voices.check_is_grid(g.pitch), TypeError, "must be a voices.VoiceGrid; found ndarray"),
        (lambda g: voices.as_piece(g.pitch), TypeError, "must be a music.Piece or a voices.VoiceGrid; found ndarray"),
    ],
)
def test_what_is_not_a_grid_is_refused(phrase, call, error, sentence):
    with pytest.raises(error, match=sentence):
        call(phrase)


def test_two_notes_at_once_in_one_voice_are_refused():
    chord = music.Piece(music.make_notes([0, 0], 24, [60, 64]))
    with pytest.raises(ValueError, match="part 0 has two at step 0"):
        voices.from_piece(chord, n_voices=1)


def test_a_grid_keeps_its_own_arrays(phrase):
    pitch = phrase.pitch.copy()
    grid, part = replace(phrase, pitch=pitch), voices.cut(phrase, 0, 6)
    pitch[:] = 1
    part.pitch[:], part.is_onset[:], part.is_fermata[:], part.bar_position_step[:] = 50, True, True, 9
    assert grid == phrase and phrase.pitch[0, 0] == 72 and not phrase.is_fermata.any()


def test_music_in_either_form_becomes_a_piece(phrase):
    piece = voices.to_piece(phrase)
    assert voices.as_piece(phrase) == piece and voices.as_piece(piece) is piece


def test_equality_sees_every_field(phrase):
    assert phrase == VoiceGrid(**{name: getattr(phrase, name) for name in VoiceGrid.__dataclass_fields__})
    assert phrase != voices.transpose(phrase, 1)


def two_lines(**facts) -> VoiceGrid:
    """Two lines of a bar at 60 quarters a minute; the first ends with a half note under a fermata, the second too."""
    pitch = [[67, 48]] * 8 + [[69, 50]] * 8 + [[71, 50]] * 8 + [[67, 48]] * 8
    facts = {"is_fermata": np.arange(32) % 16 >= 8, "quarters_per_minute": 60, "voice_names": ("high", "low"), **facts}
    return voices.from_pitches(pitch, **facts)


def test_a_fermata_lasts_a_quarter_longer_and_a_breath_comes_before_the_next_line():
    played = voices.as_performed(two_lines())
    seconds = music.steps_to_sec(played, [8, 15, 16, 24, 32])
    np.testing.assert_allclose(seconds, [2, 5 - 1 / 3, 5, 7, 10])  # no breath at the end
    high, low = ([note[:3] for note in played.notes.tolist() if note[4] == part] for part in (0, 1))
    assert high == [(0, 8, 67), (8, 7, 69), (16, 8, 71), (24, 8, 67)]
    assert low == [(0, 8, 48), (8, 16, 50), (24, 8, 48)]  # what goes on is held
    assert played.n_steps == 32 and played.parts == voices.to_piece(two_lines()).parts


def test_a_quarter_under_a_fermata_lasts_twice_as_long_and_a_half_note_half_as_long_again():
    for is_fermata, seconds in ((np.arange(32) >= 28, 9), (np.arange(32) >= 24, 9), (np.arange(32) < 4, 9)):
        played = voices.as_performed(two_lines(is_fermata=is_fermata))
        assert music.steps_to_sec(played, 32) == pytest.approx(seconds)


def test_music_without_fermatas_and_pieces_are_performed_as_they_are():
    plain = two_lines(is_fermata=np.zeros(32, bool))
    assert voices.as_performed(plain) == voices.to_piece(plain)
    piece = voices.to_piece(two_lines())
    assert voices.as_performed(piece) is piece
    one_step = two_lines(is_fermata=np.arange(32) == 15)  # too short for a breath
    assert len(voices.as_performed(one_step).notes) == len(piece.notes)


def test_what_is_cut_out_knows_its_bars_and_whether_its_work_goes_on():
    whole = two_lines(bar_position_step=(np.arange(32) + 12) % 16)
    for start, stop, n_bars_before, is_cut_off in ((0, 32, 0, False), (4, 20, 0, True), (5, 32, 1, False)):
        part = voices.cut(whole, start, stop)
        assert (part.n_bars_before, part.is_cut_off) == (n_bars_before, is_cut_off)
    again = voices.cut(voices.cut(whole, 5, 32), 20, 24)
    assert (again.n_bars_before, again.is_cut_off) == (2, True)
    assert again == replace(again, n_bars_before=0)
