"""Tests of REMI tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_music import FOUR_PARTS, METERS, any_ids, pieces

from mini_musessl import music, voices
from mini_musessl.tokenizers.base import compare_pieces
from mini_musessl.tokenizers.remi import Remi

PLAIN = Remi(steps_per_quarter=4, n_velocities=127)
FULL = Remi(steps_per_quarter=4, n_velocities=127, parts=FOUR_PARTS, meters=METERS, tempos=(60.0, 90.0, 120.0))


def words(remi, piece):
    """Write a piece's tokens as one line."""
    return " ".join(remi.vocabulary.tokens(remi.encode(piece)))


def test_three_notes_by_hand():
    piece = music.Piece(music.make_notes([0, 0, 20], [4, 8, 2], [60, 64, 62]), steps_per_quarter=4)
    remi = Remi(steps_per_quarter=4, n_velocities=0)
    assert words(remi, piece) == (
        "bar position 0 pitch 60 duration 4 pitch 64 duration 8 bar position 4 pitch 62 duration 2"
    )


def test_an_upbeat_a_short_bar_and_a_late_end_by_hand():
    notes = music.make_notes([0, 4, 16], [4, 12, 4], [55, 60, 60])
    meters = (music.Meter(-12, 4, 4), music.Meter(16, 4, 4))
    piece = music.Piece(notes, steps_per_quarter=4, meters=meters, n_steps=24)
    remi = Remi(steps_per_quarter=4, n_velocities=0)
    assert words(remi, piece) == (
        "position 12 position 12 pitch 55 duration 4 bar position 0 pitch 60 duration 12 "
        "position 12 bar position 0 pitch 60 duration 4 position 8"
    )
    assert remi.decode(remi.encode(piece)) == replace(piece, notes=notes)


def test_parts_meters_and_tempos_by_hand():
    notes = music.make_notes([0, 0], [4, 8], [72, 60], part=[0, 3])
    meters = (music.Meter(0, 3, 4),)
    tempos = (music.Tempo(0, 92.0), music.Tempo(4, 50.0))
    piece = music.Piece(notes, steps_per_quarter=4, meters=meters, tempos=tempos, parts=FOUR_PARTS)
    remi = replace(FULL, n_velocities=0)
    assert words(remi, piece) == (
        "bar meter 3/4 position 0 tempo 90.0 part 0 pitch 72 duration 4 part 3 pitch 60 duration 8 "
        "position 4 tempo 60.0"
    )


@given(pieces(n_parts=4, max_duration=32, meters=METERS))
def test_a_piece_comes_back_whole(piece):
    back = FULL.decode(FULL.encode(piece))
    assert compare_pieces(piece, back).is_nothing
    np.testing.assert_array_equal(back.notes, piece.notes)


@given(pieces(max_duration=60))
def test_notes_longer_than_the_limit_are_shortened_to_it_and_counted(piece):
    back = PLAIN.decode(PLAIN.encode(piece))
    expected = piece.notes.copy()
    expected["duration_step"] = np.minimum(expected["duration_step"], 32)
    np.testing.assert_array_equal(back.notes, music.sort_notes(expected))
    assert PLAIN.what_is_lost(piece).n_changed_durations == (piece.notes["duration_step"] > 32).sum()


@given(pieces(n_parts=4, meters=METERS))
def test_onsets_survive_meters_that_the_vocabulary_is_without(piece):
    back = PLAIN.decode(PLAIN.encode(piece))
    np.testing.assert_array_equal(np.sort(back.notes["onset_step"]), piece.notes["onset_step"])


@pytest.mark.parametrize("remi", [PLAIN, FULL], ids=["plain", "full"])
@given(data=st.data())
def test_any_ids_decode_and_encoding_again_settles(remi, data):
    once = remi.encode(remi.decode(data.draw(any_ids(remi.vocabulary))))
    np.testing.assert_array_equal(remi.encode(remi.decode(once)), once)


@pytest.mark.parametrize(
    ("tokens", "notes"),
    [
        ("bar position 4 pitch 60 velocity 64", []),  # no duration
        ("bar position 4 duration 3 velocity 64", []),  # no pitch
        ("pitch 60 duration 2", [(0, 2, 60, 64)]),  # no bar, no position, no velocity
        ("pitch 60 duration 2 pitch 62 velocity 9", [(0, 2, 60, 64)]),  # what follows the next pitch is another note's
        ("bar bar pitch 60 velocity 9 velocity 8 duration 2 duration 3", [(16, 2, 60, 9)]),  # the first of each
        ("position 4 pitch 60 duration 2 position 0 pitch 62 duration 1", [(0, 2, 60, 64), (0, 1, 62, 64)]),  # before 0
    ],
)
def test_ill_formed_sequences_decode_as_documented(tokens, notes):
    back = PLAIN.decode(ids_of(PLAIN, tokens))
    assert back.notes[["onset_step", "duration_step", "pitch", "velocity"]].tolist() == notes


def test_a_short_bar_must_hold_the_start_of_the_music():
    back = PLAIN.decode(ids_of(PLAIN, "position 12 position 8 bar position 0 pitch 60 duration 1"))
    assert back.notes["onset_step"].tolist() == [4]
    assert back.meters == (music.Meter(-12, 4, 4),)


@given(pieces(n_parts=4, meters=METERS), st.integers(-5, 6))
def test_transposition_moves_pitch_tokens_alone(piece, semitones):
    notes = piece.notes.copy()
    notes["pitch"] = notes["pitch"].clip(5, 121)
    piece = replace(piece, notes=notes)
    before, after = FULL.encode(piece), FULL.encode(music.transpose(piece, semitones))
    is_pitch = FULL.vocabulary.family_of(before) == "pitch"
    np.testing.assert_array_equal(after, before + semitones * is_pitch)


@given(pieces(max_duration=16))
def test_joining_two_pieces_of_whole_bars_joins_their_tokens(piece):
    # A last note that sounds to the end leaves no marks; the bars are whole.
    notes = piece.notes[piece.notes["onset_step"] < 160]
    notes = music.sort_notes(np.append(notes, music.make_notes([176], [16], [60])))
    whole = music.Piece(notes, steps_per_quarter=4)
    joined = PLAIN.encode(music.join([whole, whole]))
    np.testing.assert_array_equal(joined, np.tile(PLAIN.encode(whole), 2))


def test_another_grid_is_rounded_and_the_loss_says_so():
    piece = music.Piece(music.make_notes([0, 8, 16], 8, [60, 62, 64]), steps_per_quarter=24)
    remi = Remi(steps_per_quarter=4)
    assert remi.decode(remi.encode(piece)).notes["onset_step"].tolist() == [0, 1, 3]
    loss = remi.what_is_lost(piece)
    assert (loss.n_notes_out, loss.n_changed_onsets) == (3, 2)
    assert Remi(steps_per_quarter=12).what_is_lost(piece).is_nothing


def test_velocities_are_nearest_and_their_loss_is_counted():
    piece = music.Piece(music.make_notes([0, 1, 2], 1, 60, velocity=[1, 64, 65]), steps_per_quarter=4)
    remi = Remi(steps_per_quarter=4)
    assert remi.velocities[[0, 15, 31]].tolist() == [4, 64, 127]
    assert remi.decode(remi.encode(piece)).notes["velocity"].tolist() == [4, 64, 64]
    assert remi.what_is_lost(piece).n_changed_velocities == 2
    assert str(Remi(steps_per_quarter=4, n_velocities=127).what_is_lost(piece)) == (
        "3 of 3 notes come back; nothing else is lost."
    )


def test_a_chorale_comes_back_but_for_what_has_no_token():
    grid = voices.from_pitches(np.repeat([[72, 67, 64, 48], [71, 67, 62, 43]], 8, axis=0))
    piece = voices.to_piece(grid)
    assert Remi(steps_per_quarter=4, parts=piece.parts, tempos=(80.0,)).what_is_lost(piece).is_nothing
    loss = Remi(steps_per_quarter=4).what_is_lost(piece)
    assert loss.facts == ("tempo", "parts")
    assert loss.n_changed_parts == 5


def test_a_piece_of_no_notes_keeps_its_length_and_a_piece_of_no_steps_has_no_tokens():
    silence = music.Piece(music.make_notes([], [], []), steps_per_quarter=4, n_steps=20)
    assert words(PLAIN, silence) == "bar bar position 4"
    assert PLAIN.decode(PLAIN.encode(silence)) == silence
    nothing = replace(silence, n_steps=0)
    assert PLAIN.encode(nothing).shape == (0,)
    assert PLAIN.decode([]) == nothing


def test_what_the_vocabulary_cannot_say_is_refused():
    high = music.Piece(music.make_notes([0, 24], 24, [60, 109]))
    with pytest.raises(ValueError, match=r"must lie in 21\.\.108; found 109 at note 1\. Transpose the music"):
        Remi(lowest_pitch=21, highest_pitch=108).encode(high)
    five_parts = music.Piece(music.make_notes([0], 24, 60, part=4), parts=(music.Part(),) * 5)
    with pytest.raises(ValueError, match=r"has 4 parts; the piece has a note in part 4\. Pass parts=piece\.parts"):
        FULL.encode(five_parts)


def test_other_music_is_refused():
    with pytest.raises(TypeError, match=r"Remi encodes a music\.Piece; found VoiceGrid\. .* voices\.to_piece"):
        PLAIN.encode(voices.from_pitches([[72, 67, 64, 48]]))
    with pytest.raises(TypeError, match=r"Remi encodes a music\.Piece; found ndarray\.$"):
        PLAIN.encode(np.zeros(3))


def test_other_ids_are_refused():
    with pytest.raises(ValueError, match=rf"must lie in 0\.\.{PLAIN.vocabulary.size - 1}; found 9999 at index 0"):
        PLAIN.decode([9999])
    with pytest.raises(TypeError, match="whole numbers; found an array of float64"):
        PLAIN.decode([0.5])
    with pytest.raises(ValueError, match=r"one row, shape \(n_tokens,\); found shape \(2, 3\)"):
        PLAIN.decode(np.zeros((2, 3), int))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"meters": ()}, "at least one meter"),
        ({"meters": ((3, 16),), "steps_per_quarter": 1}, "whole number of steps"),
        ({"meters": ((4, 3),)}, "power of two"),
        ({"max_duration_quarter": 0}, "max_duration_quarter must be at least 1; found 0"),
        ({"tempos": (0.0,)}, "a finite number above 0"),
        ({"n_velocities": 128}, r"n_velocities must lie in 0\.\.127; found 128"),
        ({"lowest_pitch": 80, "highest_pitch": 20}, "found 80 and 20"),
        ({"parts": ()}, "at least one part"),
        ({"steps_per_quarter": 0}, "steps_per_quarter must be at least 1; found 0"),
    ],
)
def test_odd_options_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Remi(**options)


def ids_of(remi, line):
    """Return the ids of tokens written as one line."""
    by_text = {remi.vocabulary.token(i): i for i in range(remi.vocabulary.size)}
    texts = " ".join(f"\n{part}" if not part.isdigit() else part for part in line.split()).split("\n")
    return [by_text[text.strip()] for text in texts if text.strip()]
