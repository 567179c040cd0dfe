"""The solutions of chapter 3b agree with the tokenizers that they explain."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from random_music import grids, make_random_piece

from mini_musessl import music
from mini_musessl.exercises import tokens as chapter_3b
from mini_musessl.tokenizers.midi_like import MidiLike
from mini_musessl.tokenizers.remi import Remi
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens


def test_first_ids_are_those_of_a_vocabulary():
    vocabulary = Remi().vocabulary
    sizes = np.array([len(values) for _, values in vocabulary.families])
    assert chapter_3b.first_ids(sizes).tolist() == [vocabulary.slice_of(name).start for name in vocabulary.names]


def test_time_shifts_are_the_waits_of_midi_like_tokens():
    onset = np.array([3, 4, 9, 11])
    piece = music.Piece(music.make_notes(onset, 1, [60, 62, 64, 65]), steps_per_quarter=4)
    midi_like = MidiLike(steps_per_quarter=4)
    ids = midi_like.encode(piece)
    families = midi_like.vocabulary.family_of(ids)
    waits = np.where(families == "time_shift", ids - midi_like.vocabulary.slice_of("time_shift").start + 1, 0)
    passed = np.cumsum(waits)[families == "note_on"]
    np.testing.assert_array_equal(np.cumsum(chapter_3b.time_shifts(onset)), passed)


@given(st.integers(0, 15))
def test_positions_are_those_of_the_piece(upbeat):
    piece = music.Piece(music.make_notes([0], [64], [60]), 4, meters=(music.Meter(upbeat - 16, 4, 4),))
    steps = np.arange(64)
    found = chapter_3b.position_in_bar(steps, 16, upbeat)
    np.testing.assert_array_equal(found, music.bar_position_step(piece, steps))


def test_nearest_bins_are_the_velocity_tokens():
    remi = Remi()
    piece = music.Piece(music.make_notes(np.arange(127) * 24, 24, 60, velocity=np.arange(1, 128)))
    ids = remi.encode(piece)
    ids = ids[remi.vocabulary.family_of(ids) == "velocity"] - remi.vocabulary.slice_of("velocity").start
    np.testing.assert_array_equal(chapter_3b.nearest_bin(piece.notes["velocity"], remi.velocities), ids)


@given(grids(n_voices=1))
def test_holds_are_the_hold_tokens(grid):
    tokenizer = VoiceGridTokens(has_hold=True, voice_names=grid.voice_names)
    ids = tokenizer.encode(grid)
    expected = np.where(ids == 0, -1, ids + 35)
    expected[ids == tokenizer.vocabulary.id_of("hold")] = -2
    np.testing.assert_array_equal(chapter_3b.with_holds(grid.pitch[:, 0], grid.is_onset[:, 0]), expected)


def test_bits_per_quarter_are_at_most_those_of_the_uniform_code():
    ids = Remi().encode(make_random_piece(seed=2))
    counts = np.unique(ids, return_counts=True)[1]
    assert 0 < chapter_3b.bits_per_quarter(counts, 10.0) < len(ids) * np.log2(len(counts)) / 10
    assert chapter_3b.bits_per_quarter(np.array([8, 8]), 16.0) == 1.0  # one bit each, one token a quarter
