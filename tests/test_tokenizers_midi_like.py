"""Tests of MIDI-like tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_music import FOUR_PARTS, any_ids, pieces

from mini_musessl import music, voices
from mini_musessl.tokenizers.midi_like import MidiLike

PLAIN = MidiLike(steps_per_quarter=4, n_velocities=127, max_shift_quarter=2)
FULL = replace(PLAIN, parts=FOUR_PARTS)


def words(midi_like, piece):
    """Write a piece's tokens as one line."""
    return ", ".join(midi_like.vocabulary.tokens(midi_like.encode(piece)))


def test_three_notes_by_hand():
    piece = music.Piece(music.make_notes([0, 2, 4], [4, 4, 2], [60, 64, 60], [64, 64, 80]), steps_per_quarter=4)
    assert words(PLAIN, piece) == (
        "velocity 64, note_on 60, time_shift 2, note_on 64, time_shift 2, note_off 60, velocity 80, note_on 60, "
        "time_shift 2, note_off 60, note_off 64"
    )


def test_a_long_wait_is_longest_shifts_and_a_rest_by_hand():
    for wait, shifts in ((7, [7]), (8, [8]), (9, [8, 1]), (16, [8, 8])):
        piece = music.Piece(music.make_notes([wait], [1], [60]), steps_per_quarter=4)
        tokens = words(replace(PLAIN, n_velocities=0), piece).split(", ")
        assert tokens == [*(f"time_shift {s}" for s in shifts), "note_on 60", "time_shift 1", "note_off 60"]


def test_parts_are_named_when_they_change():
    piece = music.Piece(
        music.make_notes([0, 0, 2], [2, 2, 2], [72, 60, 60], part=[0, 3, 3]), steps_per_quarter=4, parts=FOUR_PARTS
    )
    assert words(replace(FULL, n_velocities=0), piece) == (
        "part 0, note_on 72, part 3, note_on 60, time_shift 2, part 0, note_off 72, part 3, note_off 60, note_on 60, "
        "time_shift 2, note_off 60"
    )


@given(pieces(n_parts=4, may_overlap=False))
def test_a_piece_without_overlaps_comes_back_whole(piece):
    piece = replace(piece, meters=(music.Meter(0, 4, 4),))
    assert FULL.decode(FULL.encode(piece)) == piece
    assert FULL.what_is_lost(piece).is_nothing


@given(pieces())
def test_overlapping_notes_of_one_pitch_come_back_cut_and_counted(piece):
    back = PLAIN.decode(PLAIN.encode(piece))
    assert back.n_steps == piece.n_steps
    struck = {(int(n["onset_step"]), int(n["pitch"])) for n in piece.notes}
    assert {(int(n["onset_step"]), int(n["pitch"])) for n in back.notes} == struck
    assert PLAIN.what_is_lost(piece).n_notes_out == len(struck)


def test_a_unison_of_two_merged_parts_is_one_note():
    piece = music.Piece(music.make_notes([0, 0], [4, 8], [60, 60], part=[0, 1]), 4, parts=FOUR_PARTS[:2])
    loss = PLAIN.what_is_lost(piece)
    assert str(loss) == "1 of 2 notes come back; lost: parts."


@pytest.mark.parametrize("midi_like", [PLAIN, FULL], ids=["plain", "full"])
@given(data=st.data())
def test_any_ids_decode_and_encoding_again_settles(midi_like, data):
    once = midi_like.encode(midi_like.decode(data.draw(any_ids(midi_like.vocabulary))))
    np.testing.assert_array_equal(midi_like.encode(midi_like.decode(once)), once)


def decode(*tokens):
    """Decode tokens given as pairs of family and value, and return the notes as tuples."""
    piece = PLAIN.decode([PLAIN.vocabulary.id_of(*token) for token in tokens])
    return piece.notes[["onset_step", "duration_step", "pitch", "velocity"]].tolist()


def test_ill_formed_sequences_decode_as_documented():
    on, off, wait = ("note_on", 60), ("note_off", 60), ("time_shift", 2)
    assert decode(off, wait, off) == []  # no note to end
    assert decode(on, wait, wait) == [(0, 4, 60, 64)]  # never ended: to the end of the music
    assert decode(on, off, wait) == []  # lasts no time
    assert decode(on, wait, on, wait, off) == [(0, 2, 60, 64), (2, 2, 60, 64)]  # struck again
    assert decode(on) == []  # the music has no time at all


@given(pieces(n_parts=4), st.integers(-5, 6))
def test_transposition_moves_pitch_tokens_alone(piece, semitones):
    notes = piece.notes.copy()
    notes["pitch"] = notes["pitch"].clip(5, 121)
    piece = replace(piece, notes=notes)
    before, after = FULL.encode(piece), FULL.encode(music.transpose(piece, semitones))
    is_pitch = np.isin(FULL.vocabulary.family_of(before), ["note_on", "note_off"])
    np.testing.assert_array_equal(after, before + semitones * is_pitch)


def test_a_later_start_adds_time_shifts_alone():
    piece = music.Piece(music.make_notes([0, 3], [2, 2], [60, 62]), steps_per_quarter=4)
    moved = replace(piece, notes=music.make_notes([8, 11], [2, 2], [60, 62]), n_steps=None)
    longest = PLAIN.vocabulary.id_of("time_shift", 8)
    assert PLAIN.encode(moved).tolist() == [longest, *PLAIN.encode(piece).tolist()]


def test_what_is_lost_names_tempo_and_meter():
    piece = music.Piece(
        music.make_notes([0], [4], [60]), 4, meters=(music.Meter(0, 3, 4),), tempos=(music.Tempo(0, 60.0),)
    )
    assert PLAIN.what_is_lost(piece).facts == ("tempo", "meter")


def test_a_piece_of_no_notes_keeps_its_length_and_a_piece_of_no_steps_has_no_tokens():
    silence = music.Piece(music.make_notes([], [], []), steps_per_quarter=4, n_steps=20)
    assert words(PLAIN, silence) == "time_shift 8, time_shift 8, time_shift 4"
    assert PLAIN.decode(PLAIN.encode(silence)) == silence
    assert PLAIN.encode(replace(silence, n_steps=0)).shape == (0,)
    assert PLAIN.decode([]) == replace(silence, n_steps=0)


def test_what_the_vocabulary_cannot_say_is_refused():
    with pytest.raises(ValueError, match=r"must lie in 21\.\.108; found 20 at note 0\. Transpose the music"):
        MidiLike(lowest_pitch=21, highest_pitch=108).encode(music.Piece(music.make_notes([0], [24], [20])))
    with pytest.raises(TypeError, match=r"MidiLike encodes a music\.Piece; found VoiceGrid"):
        PLAIN.encode(voices.from_pitches([[72, 67, 64, 48]]))
    with pytest.raises(ValueError, match="max_shift_quarter must be at least 1; found 0"):
        MidiLike(max_shift_quarter=0)


def test_other_ids_are_refused():
    with pytest.raises(ValueError, match=rf"must lie in 0\.\.{PLAIN.vocabulary.size - 1}; found -1 at index 1"):
        PLAIN.decode([0, -1])
    with pytest.raises(TypeError, match="whole numbers; found an array of bool"):
        PLAIN.decode([True, False])
    with pytest.raises(ValueError, match=r"one row, shape \(n_tokens,\); found shape \(1, 2\)"):
        PLAIN.decode([[0, 1]])
