"""Parallels, crossings and ranges, by hand and against music21."""

import numpy as np
import pytest

from mini_musessl import corpora, voices
from mini_musessl.evaluation import voice_leading
from mini_musessl.evaluation.voice_leading import FIFTH, OCTAVE


def duet(*steps):
    return voices.from_pitches(steps, voice_names=("high", "low"))


@pytest.mark.parametrize(
    ("steps", "interval", "n_found"),
    [
        ([(67, 60), (69, 62)], FIFTH, 1),
        ([(67, 60), (67, 60)], FIFTH, 0),  # held: nothing moves
        ([(67, 60), (62, 67)], FIFTH, 0),  # contrary motion
        ([(79, 60), (81, 62)], FIFTH, 1),  # twelfths count as fifths
        ([(67, 60), (68, 62)], FIFTH, 0),  # to a diminished fifth
        ([(72, 60), (74, 62)], OCTAVE, 1),
        ([(60, 60), (62, 62)], OCTAVE, 1),  # unisons
        ([(60, 67), (62, 69)], FIFTH, 1),  # crossed voices, a fifth apart
        ([(60, 65), (62, 67)], FIFTH, 0),  # crossed voices, a fourth apart
        ([(67, 60), (-1, 62), (69, 62)], FIFTH, 0),  # a rest between
        ([(61, 54), (-1, 42)], FIFTH, 0),  # a rest, whose -1 would make a fifth
    ],
)
def test_parallels_by_hand(steps, interval, n_found):
    assert len(voice_leading.parallels(duet(*steps), interval)) == n_found


def test_parallels_name_step_and_voices():
    pitch = [[79, 72, 64, 48], [79, 74, 64, 48], [79, 72, 65, 50], [81, 74, 65, 50]]
    grid = voices.from_pitches(pitch)
    assert voice_leading.parallels(grid, FIFTH).tolist() == [[3, 0, 1]]


C_G, D_A, F_A = (67, 60), (69, 62), (69, 65)


@pytest.mark.parametrize(
    ("chords", "fermatas", "n_found", "n_counted", "n_within_lines"),
    [
        ([C_G, D_A], [], 1, 1, 1),
        ([C_G, D_A], [0], 1, 1, 0),  # a new line begins at the second chord
        ([C_G, D_A], [1], 1, 1, 1),  # into the last chord of a line
        ([C_G, D_A], [0, 1], 1, 1, 1),  # both under one fermata
        ([F_A, C_G, D_A, F_A, C_G, D_A, F_A], [], 2, 1, 1),  # a repeat
        ([F_A, C_G, D_A, F_A, C_G, D_A, F_A], [1], 2, 1, 1),  # once across a fermata, once in a line
        ([F_A, C_G, D_A, C_G, D_A, F_A], [], 3, 3, 3),  # the second time between other chords
    ],
)
def test_counted_parallels_by_hand(chords, fermatas, n_found, n_counted, n_within_lines):
    is_fermata = np.repeat(np.isin(np.arange(len(chords)), fermatas), 4)
    grid = voices.from_pitches(np.repeat(chords, 4, axis=0), voice_names=("high", "low"), is_fermata=is_fermata)
    counted = (voice_leading.count_parallels(grid, within_lines) for within_lines in (False, True))
    assert (len(voice_leading.parallels(grid, FIFTH)), *counted) == (n_found, n_counted, n_within_lines)


def test_repeats_written_out_add_no_parallel_to_bach():
    written, expanded = (corpora.load_chorales(expand_repeats=is_expanded) for is_expanded in (False, True))
    counts = [
        sum(voice_leading.count_parallels(grid, within_lines=True) for grid in grids) for grids in (written, expanded)
    ]
    assert counts == [52, 52]
    with_line_ends = sum(map(voice_leading.count_parallels, written))
    assert with_line_ends > 52


def test_parallels_agree_with_music21_on_white_keys():
    from music21 import note, voiceLeading

    # White keys alone, so that music21 spells every fifth as a fifth.
    rng = np.random.default_rng(0)
    white = np.array([p for p in range(48, 84) if p % 12 in (0, 2, 4, 5, 7, 9, 11)])
    n_found = 0
    for _ in range(2000):
        low, high = white[rng.integers(0, 10, 2)], white[rng.integers(10, 21, 2)]
        quartet = voiceLeading.VoiceLeadingQuartet(*(note.Note(int(p)) for p in (*high, *low)))
        n_ours = len(voice_leading.parallels(duet((high[0], low[0]), (high[1], low[1])), FIFTH))
        is_contrary = (high[1] - high[0]) * (low[1] - low[0]) < 0  # music21 counts these too
        assert n_ours == (quartet.parallelFifth() and not is_contrary)
        n_found += n_ours
    assert n_found > 5


def test_transposing_moves_no_parallel():
    pitch = np.random.default_rng(1).integers(48, 72, (200, 4))
    grid = voices.from_pitches(pitch)
    for interval in (FIFTH, OCTAVE):
        moved = voice_leading.parallels(voices.transpose(grid, 5), interval)
        assert np.array_equal(moved, voice_leading.parallels(grid, interval)) and len(moved)


def test_a_crossing_is_found_and_a_rest_crosses_nothing():
    grid = voices.from_pitches([[72, 67, 60, 48], [72, 67, 69, 48], [-1, 67, 60, 48]])
    assert voice_leading.crossings(grid).tolist() == [False, True, False]


def test_cells_outside_the_range_of_their_voice_are_found():
    grid = voices.from_pitches([[82, 67, -1, 36], [60, 75, 46, 35]])
    assert np.argwhere(voice_leading.out_of_range(grid)).tolist() == [[0, 0], [1, 1], [1, 3]]


def test_refusals():
    with pytest.raises(ValueError, match="modulo the octave; found 12. A fifth is 7"):
        voice_leading.parallels(duet((60, 60)), 12)
    with pytest.raises(ValueError, match="this grid has 2 voices"):
        voice_leading.out_of_range(duet((60, 60)))
