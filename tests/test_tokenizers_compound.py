"""Tests of compound words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_music import FOUR_PARTS, METERS, pieces

from mini_musessl import music, voices
from mini_musessl.tokenizers.base import compare_pieces
from mini_musessl.tokenizers.compound import CompoundWords

PLAIN = CompoundWords(steps_per_quarter=4, n_velocities=127)
FULL = replace(PLAIN, parts=FOUR_PARTS, meters=METERS, max_bars=2)


def words(compound, piece):
    """Write a piece's words as one line each, without the fields' names."""
    return [" ".join(token.split()[1] for token in compound.vocabulary.tokens(word)) for word in compound.encode(piece)]


def test_three_notes_by_hand():
    piece = music.Piece(music.make_notes([0, 0, 20], [4, 8, 2], [60, 64, 62], 64), steps_per_quarter=4)
    assert PLAIN.fields == ("bar", "position", "pitch", "duration", "velocity")
    assert words(PLAIN, piece) == ["1 0 60 4 64", "0 0 64 8 64", "1 4 62 2 64"]


def test_an_upbeat_a_short_bar_and_a_late_end_by_hand():
    notes = music.make_notes([0, 4, 16], [4, 12, 4], [55, 60, 60])
    meters = (music.Meter(-12, 4, 4), music.Meter(16, 4, 4))
    piece = music.Piece(notes, steps_per_quarter=4, meters=meters, n_steps=24)
    compound = replace(PLAIN, n_velocities=0)
    assert words(compound, piece) == ["0 12 none 1", "0 12 55 4", "1 0 60 12", "0 12 none 1", "1 0 60 4", "0 8 none 1"]
    assert compound.decode(compound.encode(piece)) == piece


def test_a_long_rest_is_passed_by_words_without_a_note():
    piece = music.Piece(music.make_notes([5 * 16], [1], [60]), steps_per_quarter=4)
    compound = replace(PLAIN, n_velocities=0, max_bars=2)
    assert words(compound, piece) == ["2 0 none 1", "2 0 none 1", "2 0 60 1"]
    assert compound.decode(compound.encode(piece)) == piece


def test_a_new_meter_needs_a_word_of_its_own_only_where_no_note_says_it():
    meters = (music.Meter(0, 3, 4), music.Meter(12, 4, 4), music.Meter(28, 6, 8))
    piece = music.Piece(music.make_notes([0, 28], [4, 4], [60, 62]), steps_per_quarter=4, meters=meters)
    compound = replace(PLAIN, n_velocities=0, meters=METERS)
    assert words(compound, piece) == ["1 0 60 4 3/4", "1 0 none 1 4/4", "1 0 62 4 6/8"]


@given(pieces(n_parts=4, max_duration=32, meters=METERS))
def test_a_piece_comes_back_whole(piece):
    back = FULL.decode(FULL.encode(piece))
    assert compare_pieces(piece, back).is_nothing
    np.testing.assert_array_equal(back.notes, piece.notes)


@given(pieces(max_duration=20))
def test_there_is_one_word_a_note_where_bars_are_whole(piece):
    notes = music.sort_notes(np.append(piece.notes, music.make_notes([200], [40], [60])))
    whole = music.Piece(notes, steps_per_quarter=4)
    assert PLAIN.encode(whole).shape == (len(notes), 5)


@pytest.mark.parametrize("compound", [PLAIN, FULL], ids=["plain", "full"])
@given(data=st.data())
def test_any_words_decode_and_encoding_again_settles(compound, data):
    spans = [compound.vocabulary.slice_of(name) for name in compound.fields]
    word = st.tuples(*(st.integers(span.start, span.stop - 1) for span in spans))
    ids = np.array(data.draw(st.lists(word, max_size=20)), int).reshape(-1, len(spans))
    once = compound.encode(compound.decode(ids))
    np.testing.assert_array_equal(compound.encode(compound.decode(once)), once)


@given(pieces(n_parts=4, meters=METERS), st.integers(-5, 6))
def test_transposition_moves_the_pitch_of_notes_alone(piece, semitones):
    notes = piece.notes.copy()
    notes["pitch"] = notes["pitch"].clip(5, 121)
    piece = replace(piece, notes=notes)
    before, after = FULL.encode(piece), FULL.encode(music.transpose(piece, semitones))
    column = FULL.fields.index("pitch")
    is_note = before[:, column] != FULL.vocabulary.id_of("pitch", "none")
    before[is_note, column] += semitones
    np.testing.assert_array_equal(after, before)


@given(pieces(max_duration=16))
def test_joining_two_pieces_of_whole_bars_joins_their_words(piece):
    notes = piece.notes[piece.notes["onset_step"] < 160]
    notes = music.sort_notes(np.append(notes, music.make_notes([0, 176], [1, 16], [60, 60])))
    whole = music.Piece(notes, steps_per_quarter=4)
    np.testing.assert_array_equal(PLAIN.encode(music.join([whole, whole])), np.tile(PLAIN.encode(whole), (2, 1)))


def test_what_is_lost_names_the_tempo_and_counts_parts():
    piece = music.Piece(
        music.make_notes([0, 0], 4, [60, 64], part=[0, 1]), 4, tempos=(music.Tempo(0, 60.0),), parts=FOUR_PARTS[:2]
    )
    loss = PLAIN.what_is_lost(piece)
    assert str(loss) == "2 of 2 notes come back, 1 with another part; lost: tempo, parts."


def test_a_piece_of_no_notes_keeps_its_length_and_a_piece_of_no_steps_has_no_words():
    silence = music.Piece(music.make_notes([], [], []), steps_per_quarter=4, n_steps=20)
    assert PLAIN.decode(PLAIN.encode(silence)) == silence
    nothing = replace(silence, n_steps=0)
    assert PLAIN.encode(nothing).shape == (0, 5)
    assert PLAIN.decode(np.zeros((0, 5), int)) == nothing


def test_what_the_vocabulary_cannot_say_is_refused():
    with pytest.raises(ValueError, match=r"must lie in 21\.\.108; found 20 at note 0\. Transpose the music"):
        CompoundWords(lowest_pitch=21, highest_pitch=108).encode(music.Piece(music.make_notes([0], [24], [20])))
    with pytest.raises(TypeError, match=r"CompoundWords encodes a music\.Piece; found VoiceGrid"):
        PLAIN.encode(voices.from_pitches([[72, 67, 64, 48]]))


def test_other_ids_are_refused():
    good = PLAIN.encode(music.Piece(music.make_notes([0], [4], [60]), steps_per_quarter=4))
    with pytest.raises(ValueError, match=r"Words must have shape \(n_words, 5\), .* found \(5,\)"):
        PLAIN.decode(good[0])
    with pytest.raises(ValueError, match=r"must lie in 0\.\..*; found 9999 at index \(0, 4\)"):
        PLAIN.decode(np.where(np.arange(5) == 4, 9999, good))
    with pytest.raises(ValueError, match=r"Column 0 must hold ids of field 'bar', 0\.\.16; found .* at word 0"):
        PLAIN.decode(good[:, ::-1])
    with pytest.raises(TypeError, match="whole numbers; found an array of float64"):
        PLAIN.decode(good / 1)


@pytest.mark.parametrize("option", ["max_bars", "max_duration_quarter"])
def test_odd_options_are_refused(option):
    with pytest.raises(ValueError, match=f"{option} must be at least 1; found 0"):
        CompoundWords(**{option: 0})
