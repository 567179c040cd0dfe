"""Which chorales harmonise the same hymn, and which are the same music.

Bach set many hymns more than once, and music21 holds some settings twice, in two keys or with and without instruments.
A split that ignores this tests a model on melodies, or on music, that it was trained on. Two pieces are compared by the
share of short runs that occur in both; a run is written in intervals, so that the key does not matter.

Chapter: 3c (data sets, splits, leaks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mini_musessl import voices

#: How many melodic steps make a run, and which share of the shorter melody's runs makes a melody the same.
N_INTERVALS, SAME_MELODY = 5, 0.5
#: Which share of the shorter piece's runs (here: a beat and the next) makes the music the same.
SAME_MUSIC = 0.8


def melody_groups(chorales: Sequence[voices.VoiceGrid]) -> np.ndarray:
    """Number the chorales by the melody that their soprano sings; one hymn, one number.

    Of each soprano we keep the pitches on the quarter beats, melt repeated ones, and take all runs of five intervals
    in semitones. Two melodies are the same if half the runs of the shorter one occur in the other; what is the same
    as a third is the same. The rule joins nearly all settings of a hymn, misses those that Bach ornamented heavily or
    changed in meter, and joins some hymns that share long phrases.

    Args:
        chorales: grids whose first voice is the melody, at any transposition.

    Returns:
        int array (n_chorales,): groups are numbered from 0 in the order in which they first appear.

    Raises:
        ValueError: there are no chorales.

    Example:
        >>> quarters = [[pitch] for pitch in (60, 62, 64, 65, 67, 69, 71) for _ in range(4)]
        >>> melody = voices.from_pitches(quarters, voice_names=("melody",))
        >>> melody_groups([melody, voices.transpose(melody, 3)]).tolist()
        [0, 0]

    Chapter: 3c.
    """
    if not len(chorales):
        raise ValueError(
            "Grouping by melody needs at least one chorale; found none. Load some with corpora.load_chorales()."
        )
    share = _shared_runs([_melody_runs(grid) for grid in chorales])
    return _connected(share >= SAME_MELODY)


def duplicates(chorales: Sequence[voices.VoiceGrid]) -> list[tuple[str, str, float]]:
    """Find pairs of chorales that are the same music, in any key.

    A run is a beat and the next: the eight pitches as pitch classes, counted from the soprano's first. So a bass that
    is written an octave lower does not matter, nor does what happens between the beats.

    Args:
        chorales: grids.

    Returns:
        For each pair its two names, in the order given, and the share of the shorter piece's runs that occur in the
        other, at least ``SAME_MUSIC``; the most alike first.

    Chapter: 3c.
    """
    if not len(chorales):
        return []
    share = _shared_runs([_harmony_runs(grid) for grid in chorales])
    pairs = np.argwhere(np.triu(share >= SAME_MUSIC, 1))
    found = [(chorales[i].name, chorales[j].name, round(float(share[i, j]), 3)) for i, j in pairs]
    return sorted(found, key=lambda pair: -pair[2])


def shared_melodies(split: Mapping[str, Sequence[voices.VoiceGrid]]) -> dict[str, list[str]]:
    """Name the pieces outside the training set whose melody occurs in it.

    Args:
        split: pieces by part of the split; one part is called "train".

    Returns:
        For every other part the names of its pieces that share their melody with a training piece.

    Raises:
        ValueError: no part is called "train".

    Chapter: 3c.
    """
    if "train" not in split:
        raise ValueError(f'One part of the split must be called "train"; found {", ".join(map(str, split)) or "none"}.')
    parts = np.repeat(list(split), [len(pieces) for pieces in split.values()])
    pieces = [piece for part in split.values() for piece in part]
    groups = melody_groups(pieces)
    is_known = np.isin(groups, groups[parts == "train"])
    return {
        part: [pieces[index].name for index in np.flatnonzero((parts == part) & is_known)]
        for part in split
        if part != "train"
    }


def _beats(grid: voices.VoiceGrid) -> np.ndarray:
    """Return the pitches (n_beats, n_voices) at the quarter beats."""
    return grid.pitch[grid.bar_position_step % grid.steps_per_quarter == 0].astype(int)


def _melody_runs(grid: voices.VoiceGrid) -> set[tuple[int, ...]]:
    """Return the set of runs of intervals in the first voice."""
    melody = _beats(grid)[:, 0]
    melody = melody[melody != voices.REST]
    steps = np.diff(melody)
    steps = steps[steps != 0]
    if len(steps) < N_INTERVALS:
        return set()
    return set(map(tuple, np.lib.stride_tricks.sliding_window_view(steps, N_INTERVALS).tolist()))


def _harmony_runs(grid: voices.VoiceGrid) -> set[tuple[int, ...]]:
    """Return the set of pairs of successive beats, in pitch classes above the soprano's first."""
    beats = _beats(grid)
    pairs = np.concatenate([beats[:-1], beats[1:]], axis=1)
    pairs = pairs[pairs[:, 0] != voices.REST]
    above = np.where(pairs == voices.REST, voices.REST, (pairs - pairs[:, :1]) % 12)
    return set(map(tuple, above.tolist()))


def _shared_runs(runs: list[set[tuple[int, ...]]]) -> np.ndarray:
    """Return for each two sets how many members they share, divided by the size of the smaller."""
    number = {run: index for index, run in enumerate(sorted(set().union(*runs)))}
    has_run = np.zeros((len(runs), len(number)), np.float32)
    for row, members in enumerate(runs):
        has_run[row, [number[run] for run in members]] = 1
    n_runs = has_run.sum(axis=1)
    return has_run @ has_run.T / np.maximum(np.minimum.outer(n_runs, n_runs), 1)


def _connected(is_same: np.ndarray) -> np.ndarray:
    """Number the groups of rows that are linked directly or through others."""
    label = np.arange(len(is_same))
    for one, other in np.argwhere(np.triu(is_same, 1)):
        label[label == label[other]] = label[one]
    first_seen = list(dict.fromkeys(label.tolist()))
    return np.array([first_seen.index(value) for value in label.tolist()])
