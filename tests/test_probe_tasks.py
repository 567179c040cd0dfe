"""The labels of a probe are those that a musician reads, and its excerpts show what they should and no more."""

import itertools

import numpy as np
import pytest
from tiny_hymns import hymn, long_hymn

from mini_musessl import voices
from mini_musessl.evaluation import probe_tasks

SMALL = hymn("G", "D", "Em", "D", "G", "F#dim", "G", "G", fermatas=(3, 6, 7))


def test_labels_of_a_tiny_chorale_are_those_that_a_musician_reads():
    assert probe_tasks.KEY_SIGNATURE_CLASSES[probe_tasks.label_key_signature(SMALL)] == "1 sharp"
    assert probe_tasks.MODE_CLASSES[probe_tasks.label_mode(SMALL)] == "major"
    step, chord = probe_tasks.label_chords(SMALL)
    assert step.tolist() == list(range(0, 32, 4))
    assert [probe_tasks.CHORD_CLASSES[each] for each in chord] == ["G", "D", "Em", "D", "G", "other", "G", "G"]
    step, beat = probe_tasks.label_beats(SMALL)
    assert step.tolist() == list(range(0, 32, 4)) and beat.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_cadence_is_the_beat_where_a_fermata_begins_and_the_last_one_is_not_asked():
    step, ends = probe_tasks.label_phrase_ends(SMALL)
    assert step.tolist() == [0, 4, 8, 12, 16, 20]
    assert ends.tolist() == [0, 0, 0, 1, 0, 0]


def test_beats_on_which_a_fermata_sounds_on_are_not_asked():
    step, ends = probe_tasks.label_phrase_ends(hymn("G", "D", "D", "Em", "G", fermatas=(1, 2, 4)))
    assert step.tolist() == [0, 4, 12] and ends.tolist() == [0, 1, 0]


def test_signatures_that_sound_the_same_are_one_class():
    six_flats, six_sharps = (probe_tasks.label_key_signature(hymn("G", fifths=fifths)) for fifths in (-6, 6))
    assert six_flats == six_sharps


def test_sevenths_count_as_their_triads():
    pitch = np.repeat([(72, 66, 62, 50), (74, 67, 64, 52)], 4, axis=0)  # D7 and Em7
    _, chord = probe_tasks.label_chords(voices.from_pitches(pitch))
    assert [probe_tasks.CHORD_CLASSES[each] for each in chord] == ["D", "Em"]


def test_a_piece_in_three_has_no_beat_to_ask_and_one_without_fermata_no_cadence():
    assert probe_tasks.label_beats(hymn("G", "D", "G", meter=(3, 4))) is None
    assert probe_tasks.label_phrase_ends(hymn("G", "D", "G")) is None


@pytest.mark.parametrize("n_steps", [1, 95, 96, 97, 176, 177, 400])
def test_windows_cover_every_step_and_share_enough(n_steps):
    shown = probe_tasks.window_excerpts([voices.from_pitches(np.full((n_steps, 4), 60))])
    covered = {each.start_step + step for each in shown for step in range(len(each.frames))}
    assert covered == set(range(n_steps))
    assert all(second.start_step - first.start_step <= 80 for first, second in itertools.pairwise(shown))


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


def test_a_voice_that_rests_and_a_window_of_rests_are_left_out():
    bass_alone = voices.from_pitches([[-1, -1, -1, 48]] * 48)
    assert [each.answer for each in probe_tasks.voice_excerpts([bass_alone])] == [3]
    assert probe_tasks.corrupted_excerpts([voices.from_pitches(np.full((48, 4), -1))]) == []


@pytest.mark.parametrize(
    "task, grid, words",
    [
        ("key signature", hymn("G", fifths=None), r"a key signature \(fifths\)"),
        ("mode", hymn("G", mode=None), "a mode, major or minor"),
        ("phrase end", hymn("G", "D"), "fermatas"),
        ("beat", hymn("G", "D", "G", meter=(3, 4)), "the meter 4/4"),
    ],
)
def test_missing_labels_are_refused(task, grid, words):
    with pytest.raises(ValueError, match=f"needs pieces with {words}; none of the 1 pieces has that"):
        probe_tasks.ask(task, [grid], probe_tasks.window_excerpts([grid]))


def test_a_task_of_another_name_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="must be one of key signature, mode, chord, .*; found 'genre'"):
        probe_tasks.find_task("genre")
