"""Tests of voice-grid tokens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_music import grids

from mini_musessl import voices
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

PLAIN, WITH_HOLD = VoiceGridTokens(), VoiceGridTokens(has_hold=True)


def test_the_alphabet_is_that_of_the_benchmark():
    assert PLAIN.vocabulary.size == 47
    assert PLAIN.vocabulary.token(0) == "rest"
    assert (PLAIN.vocabulary.token(1), PLAIN.vocabulary.token(46)) == ("pitch 36", "pitch 81")
    assert WITH_HOLD.vocabulary.tokens(range(47)) == PLAIN.vocabulary.tokens(range(47))
    assert WITH_HOLD.vocabulary.token(47) == "hold"


def test_three_steps_by_hand():
    pitch = [[72, 67, 64, 48], [72, 65, -1, 48], [72, 65, 64, 48]]
    is_onset = [[True] * 4, [True, True, False, False], [False, False, True, False]]
    grid = voices.from_pitches(pitch, is_onset=np.array(is_onset))
    assert PLAIN.encode(grid).tolist() == [37, 32, 29, 13, 37, 30, 0, 13, 37, 30, 29, 13]
    assert WITH_HOLD.encode(grid).tolist() == [37, 32, 29, 13, 37, 30, 0, 47, 47, 47, 29, 47]


@given(grids())
def test_a_grid_comes_back_whole_when_holds_have_a_token(grid):
    assert WITH_HOLD.decode(WITH_HOLD.encode(grid)) == grid
    assert WITH_HOLD.what_is_lost(grid).is_nothing


@given(grids(repeats=False))
def test_a_grid_without_repeated_notes_comes_back_whole(grid):
    assert PLAIN.decode(PLAIN.encode(grid)) == grid


@given(grids())
def test_pitches_always_come_back(grid):
    np.testing.assert_array_equal(PLAIN.decode(PLAIN.encode(grid)).pitch, grid.pitch)


@given(st.lists(st.integers(0, 47), max_size=60))
def test_any_ids_decode_and_encoding_again_settles(ids):
    for tokenizer in (WITH_HOLD, PLAIN):
        ids = [i for i in ids if i < tokenizer.vocabulary.size]
        once = tokenizer.encode(tokenizer.decode(ids))
        np.testing.assert_array_equal(tokenizer.encode(tokenizer.decode(once)), once)
        assert len(once) == len(ids) // 4 * 4


def test_a_hold_with_nothing_to_hold_is_a_rest():
    one_voice = VoiceGridTokens(has_hold=True, voice_names=("melody",))
    assert one_voice.decode([47, 25, 47, 0, 47]).pitch[:, 0].tolist() == [-1, 60, 60, -1, -1]


@given(grids(lowest=40, highest=70), st.integers(-4, 11))
def test_transposition_moves_pitch_tokens_alone(grid, semitones):
    before, after = WITH_HOLD.encode(grid), WITH_HOLD.encode(voices.transpose(grid, semitones))
    is_pitch = WITH_HOLD.vocabulary.family_of(before) == "pitch"
    np.testing.assert_array_equal(after, before + semitones * is_pitch)


@given(grids(), st.data())
def test_cutting_the_grid_cuts_the_tokens(grid, data):
    if grid.n_steps < 2:
        return
    start = data.draw(st.integers(0, grid.n_steps - 1))
    stop = data.draw(st.integers(start + 1, grid.n_steps))
    np.testing.assert_array_equal(PLAIN.encode(voices.cut(grid, start, stop)), PLAIN.encode(grid)[4 * start : 4 * stop])


def test_what_is_lost_counts_repeated_notes_and_names_facts():
    is_onset = np.array([[True], [True], [False]])
    grid = voices.from_pitches([[60], [60], [60]], is_onset=is_onset, voice_names=("melody",), fifths=2, name="bwv1")
    loss = VoiceGridTokens(voice_names=("melody",)).what_is_lost(grid)
    assert (loss.n_notes_in, loss.n_notes_out, loss.n_changed_durations) == (2, 1, 1)
    assert loss.facts == ("key", "title")
    assert str(loss) == "1 of 2 notes come back, 1 with another duration; lost: key, title."


def test_facts_that_tokens_cannot_say_can_be_given_to_decode():
    grid = voices.from_pitches([[60], [62]], voice_names=("melody",), meter=(3, 4), quarters_per_minute=100.0)
    tokenizer = VoiceGridTokens(voice_names=("melody",))
    assert tokenizer.decode(tokenizer.encode(grid), meter=(3, 4), quarters_per_minute=100.0) == grid


def test_ids_can_be_viewed_as_steps_and_decoded_from_them():
    ids = PLAIN.encode(voices.from_pitches([[72, 67, 64, 48], [72, 65, 64, 48]]))
    steps = PLAIN.as_steps(ids)
    assert steps[:, 1].tolist() == [32, 30]
    assert PLAIN.decode(steps) == PLAIN.decode(ids)


def test_an_empty_grid_has_no_tokens():
    empty = voices.from_pitches(np.zeros((0, 4), int))
    assert PLAIN.encode(empty).shape == (0,)
    assert PLAIN.decode([]).n_steps == 0
    assert WITH_HOLD.decode([]) == empty


def test_a_pitch_outside_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match=r"must lie in 36\.\.81; found 84 at step 1, voice 0\. Transpose"):
        PLAIN.encode(voices.from_pitches([[72, 67, 64, 48], [84, 67, 64, 48]]))


def test_other_music_is_refused():
    grid = voices.from_pitches([[60]], voice_names=("melody",))
    with pytest.raises(TypeError, match=r"encodes a voices\.VoiceGrid; found Piece\. Turn .* voices\.from_piece"):
        PLAIN.encode(voices.to_piece(grid))
    with pytest.raises(TypeError, match=r"encodes a voices\.VoiceGrid; found ndarray\.$"):
        PLAIN.encode(np.zeros((3, 4), int))
    with pytest.raises(ValueError, match="holds 4 voices; the grid has 1"):
        PLAIN.encode(grid)
    with pytest.raises(ValueError, match="at 4 steps a quarter; the grid has 8"):
        PLAIN.encode(replace(voices.from_pitches([[72, 67, 64, 48]]), steps_per_quarter=8))


def test_other_ids_are_refused():
    with pytest.raises(ValueError, match=r"must lie in 0\.\.46; found 47 at index 3"):
        PLAIN.decode([0, 1, 2, 47])
    with pytest.raises(TypeError, match="whole numbers; found an array of float32"):
        PLAIN.decode(np.zeros(8, np.float32))
    with pytest.raises(ValueError, match=r"shape \(n_tokens,\) or \(n_steps, 4\); found \(2, 3\)"):
        PLAIN.decode(np.zeros((2, 3), int))


def test_odd_ranges_are_refused():
    with pytest.raises(ValueError, match="found 81 and 36"):
        VoiceGridTokens(lowest_pitch=81, highest_pitch=36)
    with pytest.raises(ValueError, match="at least one voice"):
        VoiceGridTokens(voice_names=())
