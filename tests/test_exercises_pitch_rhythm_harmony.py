"""The solutions of notebook 3a agree with the library that they explain."""

import numpy as np

from mini_musessl import harmony, voices
from mini_musessl.evaluation import voice_leading
from mini_musessl.exercises import pitch_rhythm_harmony as chapter_3a


def test_transposition_parallels_and_chroma_are_the_librarys():
    rng = np.random.default_rng(3)
    grid = voices.from_pitches(rng.integers(55, 75, size=(400, 2)), voice_names=("high", "low"))
    found = chapter_3a.parallel_fifths(grid.pitch[:, 0], grid.pitch[:, 1])
    np.testing.assert_array_equal(found, voice_leading.parallels(grid, voice_leading.FIFTH)[:, 0])
    np.testing.assert_array_equal(chapter_3a.transposed(grid.pitch, 3), voices.transpose(grid, 3).pitch)
    notes = voices.to_piece(grid).notes
    np.testing.assert_allclose(chapter_3a.note_chroma(notes), harmony.chroma(notes))


def test_keys_are_the_librarys():
    major, minor = np.array(harmony.MAJOR_PROFILE), np.array(harmony.MINOR_PROFILE)
    for chroma in np.random.default_rng(3).random((50, 12)):
        key = harmony.find_key(chroma)
        assert chapter_3a.key_number(chroma, major, minor) == key.tonic + 12 * (key.mode == "minor")


def test_phrases_end_where_cadences_are():
    is_fermata = np.array([False, True, True, False, False, True, False])
    grid = voices.from_pitches(np.full((7, 1), 60), is_fermata=is_fermata, voice_names=("melody",))
    assert [cadence.step for cadence in harmony.cadences(grid)] == [1, 5]
    assert [stop for _, stop in chapter_3a.phrases(is_fermata)] == [3, 6, 7]
