"""Tests of what all tokenizers share: the contract, and the report of what is lost."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from random_music import FOUR_PARTS, METERS, grids, make_random_piece, pieces

from mini_musessl import music, voices
from mini_musessl.tokenizers.base import RoundTrip, compare_grids, compare_notes, compare_pieces
from mini_musessl.tokenizers.compound import CompoundWords
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

TOKENIZERS = [MidiLike(), Remi(), CompoundWords(), VoiceGridTokens(), VoiceGridTokens(has_hold=True)]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_every_tokenizer_keeps_the_contract(tokenizer):
    grid = voices.from_pitches([[72, 67, 64, 48], [72, 65, 62, 43]], title="two chords")
    piece = voices.to_piece(grid)
    thing = grid if isinstance(tokenizer, VoiceGridTokens) else piece
    ids = tokenizer.encode(thing)
    assert ids.dtype == np.int32
    assert ids.min() >= 0
    assert ids.max() < tokenizer.vocabulary.size
    assert type(tokenizer.decode(ids)) is type(thing)
    assert isinstance(tokenizer.what_is_lost(thing), RoundTrip)
    assert str(tokenizer.what_is_lost(thing)).endswith(".")
    with pytest.raises(FrozenInstanceError):
        tokenizer.steps_per_quarter = 3


@given(pieces(n_parts=4, meters=METERS))
def test_a_piece_compared_with_itself_loses_nothing(piece):
    loss = compare_pieces(piece, piece)
    assert loss.is_nothing
    assert str(loss) == f"{len(piece.notes)} of {len(piece.notes)} notes come back; nothing else is lost."


@given(pieces())
def test_a_finer_grid_alone_is_no_loss(piece):
    assert compare_pieces(piece, music.change_grid(piece, 12)).is_nothing


@given(grids())
def test_a_grid_compared_with_itself_loses_nothing(grid):
    assert compare_grids(grid, grid).is_nothing


def test_the_report_counts_each_kind_of_change_by_hand():
    before = music.make_notes([0, 4, 8, 12], 4, [60, 62, 64, 65], part=[0, 0, 0, 1])
    after = music.make_notes([0, 5, 8], [4, 4, 2], [60, 62, 64], velocity=[65, 64, 64])
    loss = compare_notes(before, after, ("tempo",))
    assert loss == RoundTrip(4, 3, n_changed_onsets=1, n_changed_durations=1, n_changed_velocities=1, facts=("tempo",))
    assert str(loss) == (
        "3 of 4 notes come back, 1 with another onset, 1 with another duration, 1 with another velocity; lost: tempo."
    )


def test_a_note_that_is_gone_is_not_taken_for_the_unison_of_another_part():
    before = music.make_notes([0, 0], 4, [60, 60], part=[0, 1])
    assert compare_notes(before, before[1:]) == RoundTrip(2, 1)
    assert compare_notes(before, before[:1]) == RoundTrip(2, 1)


def test_unisons_of_unequal_length_come_back_whole_when_their_parts_are_merged():
    before = music.make_notes([0, 0], [4, 2], [60, 60], part=[0, 1])
    after = music.make_notes([0, 0], [2, 4], [60, 60])
    assert compare_notes(before, after) == RoundTrip(2, 2, n_changed_parts=1)


def test_every_lost_fact_is_named():
    piece = make_random_piece(seed=5, n_notes=20)
    changes = {
        "tempo": {"tempos": (music.Tempo(0, 60.0),)},
        "meter": {"meters": (music.Meter(0, 3, 4),)},
        "parts": {"parts": (music.Part("flute"),)},
        "length": {"n_steps": piece.n_steps + 1},
        "title": {"title": "another"},
    }
    for fact, change in changes.items():
        assert compare_pieces(piece, replace(piece, **change)).facts == (fact,)


def test_every_lost_fact_of_a_grid_is_named():
    grid = voices.from_pitches([[72, 67, 64, 48]] * 3, fifths=1, mode="major", name="bwv1")
    changes = {
        "tempo": {"quarters_per_minute": 60.0},
        "meter": {"bar_position_step": np.array([12, 13, 14])},
        "key": {"mode": "minor"},
        "fermatas": {"is_fermata": np.array([False, True, True])},
        "title": {"name": ""},
    }
    for fact, change in changes.items():
        assert compare_grids(grid, replace(grid, **change)).facts == (fact,)


def test_a_meter_written_otherwise_with_the_same_bars_is_no_loss():
    piece = make_random_piece(seed=6, n_notes=20)
    bar = 96
    again = replace(piece, meters=(music.Meter(-bar, 4, 4), music.Meter(bar, 4, 4)))
    assert compare_pieces(piece, again).is_nothing


def test_four_tokenizers_agree_on_what_they_all_hold():
    grid = voices.from_pitches(np.repeat([[72, 67, 64, 48], [71, 67, 62, 43], [72, 64, 60, 48]], 4, axis=0))
    piece = voices.to_piece(grid)
    for tokenizer in (MidiLike, Remi, CompoundWords):
        back = tokenizer(steps_per_quarter=4, parts=FOUR_PARTS).decode(
            tokenizer(steps_per_quarter=4, parts=FOUR_PARTS).encode(piece)
        )
        assert voices.from_piece(back).pitch.tolist() == grid.pitch.tolist()
    assert VoiceGridTokens().decode(VoiceGridTokens().encode(grid)) == grid


@pytest.mark.parametrize("kind", [Remi, MidiLike, CompoundWords])
@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        (dict(steps_per_quarter=4.0), TypeError, "steps_per_quarter must be a whole number; found 4.0"),
        (dict(n_velocities=4.5), TypeError, "n_velocities must be a whole number; found 4.5"),
        (dict(n_velocities=-1), ValueError, r"n_velocities must lie in 0\.\.127; found -1"),
        (dict(lowest_pitch=30.5), TypeError, "lowest_pitch must be a whole number; found 30.5"),
        (dict(highest_pitch=128), ValueError, r"highest_pitch must lie in 0\.\.127; found 128"),
        (dict(lowest_pitch=61, highest_pitch=60), ValueError, "found 61 and 60"),
    ],
)
def test_options_of_another_kind_are_refused(kind, options, error, sentence):
    with pytest.raises(error, match=sentence):
        kind(**options)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: MidiLike(max_shift_quarter=1.5), TypeError, "max_shift_quarter must be a whole number; found 1.5"),
        (lambda: MidiLike(max_shift_quarter=0), ValueError, "max_shift_quarter must be at least 1; found 0"),
        (lambda: CompoundWords(max_bars=1.5), TypeError, "max_bars must be a whole number; found 1.5"),
        (lambda: Remi(max_duration_quarter=2.5), TypeError, "max_duration_quarter must be a whole number"),
        (lambda: CompoundWords(max_duration_quarter=0), ValueError, "max_duration_quarter must be at least 1"),
        (lambda: Remi(meters=("4/4",)), TypeError, "pair of whole numbers.*found '4/4'"),
        (lambda: CompoundWords(meters=(4, 4)), TypeError, "pair of whole numbers.*found 4"),
        (lambda: Remi(meters=((4, 4), (4, 4))), ValueError, "Each meter of a tokenizer must stand once"),
        (lambda: Remi(tempos=(float("nan"),)), ValueError, "a finite number above 0; found nan"),
        (lambda: VoiceGridTokens(steps_per_quarter=0), ValueError, "steps_per_quarter must be at least 1"),
        (lambda: VoiceGridTokens(voice_names="satb"), TypeError, "must be a list of names.*found 'satb'"),
        (lambda: VoiceGridTokens(lowest_pitch=36.5), TypeError, "lowest_pitch must be a whole number; found 36.5"),
    ],
)
def test_options_of_one_tokenizer_are_checked(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


def test_options_may_be_lists():
    piece = music.Piece(music.make_notes([0], [72], [60]), meters=(music.Meter(0, 3, 4),))
    for kind in (Remi, CompoundWords):
        tokenizer = kind(meters=[[4, 4], [3, 4]], parts=[music.Part()])
        assert tokenizer == kind(meters=((4, 4), (3, 4))) and hash(tokenizer)
        assert not tokenizer.what_is_lost(piece).facts


def test_what_cannot_be_compared_is_refused():
    grid = voices.from_pitches([[60]], voice_names=("one",))
    finer = voices.from_pitches([[60]], voice_names=("one",), steps_per_quarter=8)
    with pytest.raises(ValueError, match="must have the same steps a quarter; found 4 and 8"):
        compare_grids(grid, finer)
    with pytest.raises(TypeError, match="must be a music.Piece here; found VoiceGrid"):
        compare_pieces(voices.to_piece(grid), grid)
    with pytest.raises(TypeError, match="array of music.NOTE_DTYPE, .*; found list"):
        compare_notes([60], [60])
