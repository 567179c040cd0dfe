"""Tests of what all tokenizers share: the contract, and the report of what is lost."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from random_music import FOUR_PARTS, METERS, grids, make_random_piece, pieces

from mini_musessl import music, voices
from mini_musessl.tokenizers import (
    CompoundWords,
    Loss,
    MidiLike,
    Remi,
    VoiceGridTokens,
    compare_grids,
    compare_notes,
    compare_pieces,
)

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
    assert isinstance(tokenizer.what_is_lost(thing), Loss)
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
    assert loss == Loss(4, 3, n_changed_onsets=1, n_changed_durations=1, n_changed_velocities=1, facts=("tempo",))
    assert str(loss) == (
        "3 of 4 notes come back, 1 with another onset, 1 with another duration, 1 with another velocity; lost: tempo."
    )


def test_a_note_that_is_gone_is_not_taken_for_the_unison_of_another_part():
    before = music.make_notes([0, 0], 4, [60, 60], part=[0, 1])
    assert compare_notes(before, before[1:]) == Loss(2, 1)
    assert compare_notes(before, before[:1]) == Loss(2, 1)


def test_unisons_of_unequal_length_come_back_whole_when_their_parts_are_merged():
    before = music.make_notes([0, 0], [4, 2], [60, 60], part=[0, 1])
    after = music.make_notes([0, 0], [2, 4], [60, 60])
    assert compare_notes(before, after) == Loss(2, 2, n_changed_parts=1)


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
