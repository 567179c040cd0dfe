"""Tests of melodies, duplicates and splits."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl import corpora, voices

needs_jsb = pytest.mark.skipif(
    not os.environ.get("MUSESSL_JSB"), reason="the JSB file may not be shipped; MUSESSL_JSB names no copy of it"
)


@pytest.fixture(scope="module")
def chorales(chorales_cache):
    return corpora.load_chorales()


@pytest.fixture(scope="module")
def rebuilt(chorales_cache):
    return corpora.rebuilt_split()


def melody(pitches, name=""):
    """Return a grid of one voice in quarters."""
    return voices.from_pitches(np.repeat(pitches, 4)[:, None], name=name, voice_names=("melody",))


SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
ARCH = [60, 67, 65, 64, 62, 71, 72, 60]


def test_a_melody_is_known_in_another_key_and_with_its_notes_repeated():
    repeated = np.repeat(SCALE, 2)
    grids = [melody(SCALE), melody(ARCH), voices.transpose(melody(SCALE), -4), melody(repeated), melody(ARCH)]
    assert corpora.melody_groups(grids).tolist() == [0, 1, 0, 0, 1]


def test_half_of_the_shorter_melodys_runs_make_it_the_same():
    # eight runs of five intervals in 13 notes; the second melody shares the runs inside its first nine notes: four
    shared, tail, other = [60, 62, 65, 64, 67, 62, 69, 71, 60], [61, 68, 63, 70], [72, 60, 73, 61]
    assert corpora.melody_groups([melody(shared + tail), melody(shared + other)]).tolist() == [0, 0]
    assert corpora.melody_groups([melody(shared[:-1] + tail), melody(shared[:-1] + other)]).tolist() == [0, 1]


def test_two_melodies_that_are_like_a_third_are_one_group():
    first, second = SCALE, ARCH
    assert corpora.melody_groups([melody(first), melody(second), melody(first + second)]).tolist() == [0, 0, 0]


def test_melodies_too_short_for_a_run_stand_alone():
    assert corpora.melody_groups([melody([60, 62]), melody([60, 62])]).tolist() == [0, 1]


@given(st.lists(st.integers(-5, 6), min_size=3, max_size=3), st.permutations(range(3)))
def test_neither_the_key_nor_the_order_changes_the_groups(semitones, order):
    grids = [melody(SCALE), melody(ARCH), melody([*SCALE, 60])]
    moved = [voices.transpose(grids[i], semitones[i]) for i in order]
    groups = corpora.melody_groups(moved)
    together = {frozenset(order[i] for i in np.flatnonzero(groups == g)) for g in groups}
    assert together == {frozenset({0, 2}), frozenset({1})}


def test_no_chorales_are_refused():
    with pytest.raises(ValueError, match="needs at least one chorale; found none"):
        corpora.melody_groups([])
    with pytest.raises(ValueError, match="needs at least one chorale; found none"):
        corpora.melody_disjoint_split([])
    with pytest.raises(ValueError, match="A split needs at least one chorale; found none"):
        corpora.rebuilt_split([])
    assert corpora.duplicates([]) == []


def test_a_split_without_a_training_part_is_refused():
    with pytest.raises(ValueError, match='must be called "train"; found a, b'):
        corpora.shared_melodies({"a": [], "b": []})


def test_shared_melodies_are_named():
    split = {"train": [melody(SCALE, "x")], "test": [melody(ARCH, "y"), voices.transpose(melody(SCALE, "z"), 2)]}
    assert corpora.shared_melodies(split) == {"test": ["z"]}


def test_settings_of_one_hymn_are_one_group(chorales):
    group = dict(zip([grid.name for grid in chorales], corpora.melody_groups(chorales).tolist(), strict=True))
    # the Passion chorale, in E, F, Eb, D minor and a minor, under four different titles
    passion = ["bwv244.15", "bwv244.44", "bwv244.54", "bwv244.62", "bwv248.5", "bwv153.5", "bwv161.6", "bwv270"]
    assert len({group[name] for name in passion}) == 1
    assert group["bwv269"] not in {group[name] for name in passion}


def test_hymns_with_one_title_mostly_share_their_group(chorales):
    group = corpora.melody_groups(chorales)
    title = np.array([grid.title for grid in chorales])
    is_pair = np.triu(title[:, None] == title, 1) & ~np.char.startswith(title, "BWV")
    is_joined = group[:, None] == group
    assert is_pair.sum() > 150
    assert is_joined[is_pair].mean() > 0.85
    # and groups stay hymns: none swallows the book
    assert np.bincount(group).max() <= 13
    assert 200 <= group.max() + 1 <= 225


def test_known_duplicates_are_found_and_little_else(chorales):
    pairs = {(first, second) for first, second, _ in corpora.duplicates(chorales)}
    known = {
        ("bwv253", "bwv414"),  # a tone apart
        ("bwv158.4", "bwv279"),
        ("bwv117.4", "bwv177.4"),
        ("bwv190.7", "bwv190.7-inst"),
        ("bwv18.5-lz", "bwv18.5-w"),
        ("bwv197.7-a", "bwv398"),
        ("bwv59.3", "bwv175.7"),
    }
    assert known <= pairs
    assert len(pairs) <= 25


def test_duplicates_are_found_in_any_key_and_octave(chorales):
    grid = chorales[0]
    moved = replace(voices.transpose(grid, 2), name="moved")
    low = grid.pitch.copy()
    low[:, 3] -= np.where(low[:, 3] == voices.REST, 0, 12).astype(low.dtype)
    assert corpora.duplicates([grid, moved, replace(grid, pitch=low, name="low")]) == [
        (grid.name, "moved", 1.0),
        (grid.name, "low", 1.0),
        ("moved", "low", 1.0),
    ]


def test_the_melody_disjoint_split_keeps_hymns_duplicates_and_proportions(chorales):
    split = corpora.melody_disjoint_split(chorales)
    part = {grid.name: name for name, grids in split.items() for grid in grids}
    assert len(part) == sum(map(len, split.values())) == len(chorales)
    assert corpora.shared_melodies(split) == {"valid": [], "test": []}
    assert all(part[first] == part[second] for first, second, _ in corpora.duplicates(chorales))
    for name, n_standard in corpora.STANDARD_SIZES.items():
        assert abs(len(split[name]) / len(chorales) - n_standard / 382) < 0.01


def test_the_melody_disjoint_split_is_always_the_same(chorales):
    first, again = corpora.melody_disjoint_split(chorales), corpora.melody_disjoint_split()
    assert first == again


def test_the_rebuilt_split_has_377_different_pieces(rebuilt):
    assert {part: len(grids) for part, grids in rebuilt.items()} == {"train": 225, "valid": 75, "test": 77}
    names = [grid.name for grids in rebuilt.values() for grid in grids]
    assert len(set(names)) == 377


def test_the_rebuilt_split_leaks_melodies_as_the_literatures_does(rebuilt):
    shared = corpora.shared_melodies(rebuilt)
    assert {part: len(names) for part, names in shared.items()} == {"valid": 35, "test": 45}


def test_a_rebuilt_last_chord_rings_to_the_end_of_jsbs_bar(rebuilt, chorales):
    ringing = next(grid for grid in rebuilt["train"] if grid.name == "bwv385")
    whole = next(grid for grid in corpora.load_chorales(expand_repeats=False) if grid.name == "bwv385")
    assert (whole.n_steps, ringing.n_steps) == (224, 228)
    np.testing.assert_array_equal(ringing.pitch[224:], np.repeat(whole.pitch[-1:], 4, axis=0))
    assert not ringing.is_onset[224:].any()
    assert ringing.bar_position_step[223:].tolist() == [11, 12, 13, 14, 15]


def test_only_the_chorales_given_are_in_the_rebuilt_split(chorales):
    few = [grid for grid in chorales if grid.name in ("bwv360", "bwv19.7", "bwv846", "bwv269")]
    split = corpora.rebuilt_split(few)
    assert [grid.name for grid in split["train"]][:2] == ["bwv360", "bwv19.7"]
    assert sum(map(len, split.values())) <= len(few)


@needs_jsb
def test_961_in_a_thousand_cells_of_the_rebuilt_pieces_equal_jsb(rebuilt):
    jsb = corpora.load_jsb()
    table = corpora._split_map()
    n_equal = n_cells = 0
    for part, grids in rebuilt.items():
        for grid, (index, name, _, start_step, *_) in zip(grids, table[part], strict=True):
            original, start = jsb[part][index].pitch, max(-start_step, 0)
            assert grid.name == name
            n_equal += (original[start : start + grid.n_steps] == grid.pitch).sum()
            n_cells += original.size
    assert n_cells == 365_056
    assert n_equal / n_cells == pytest.approx(0.961, abs=0.001)


@needs_jsb
def test_jsb_itself_has_duplicates_and_shared_melodies_across_its_parts():
    jsb = corpora.load_jsb()
    assert {part: len(names) for part, names in corpora.shared_melodies(jsb).items()} == {"valid": 36, "test": 47}
    pairs = {pair[:2] for pair in corpora.duplicates([grid for grids in jsb.values() for grid in grids])}
    assert ("jsb-train-224", "jsb-valid-74") in pairs
