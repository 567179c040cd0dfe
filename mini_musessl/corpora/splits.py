"""Two ways to divide the chorales: the literature's, rebuilt, and one that keeps every hymn on one side.

Chapter: 3c (data sets, splits, leaks).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

import numpy as np

from mini_musessl import voices
from mini_musessl.corpora.chorales import load_chorales
from mini_musessl.corpora.melodies import melody_groups

#: What to call results on the rebuilt split; they are never compared with results on JSB itself.
REBUILT_NAME = "Bach-16 (rebuilt)"
#: The sizes of the standard split; other splits keep their proportion.
STANDARD_SIZES = {"train": 229, "valid": 76, "test": 77}


def rebuilt_split(
    chorales: Sequence[voices.VoiceGrid] | None = None, cache: bool = True
) -> dict[str, list[voices.VoiceGrid]]:
    """Rebuild the literature's split of the JSB chorales from music21.

    A table of this project's own says which chorale each JSB piece comes from, with or without its repeats, from which
    step, and how far transposed. It covers 377 of the 382 pieces: 225 for training, 75 for validation, 77 for testing.
    96.1 % of the cells of those JSB pieces come out the same; results are called "Bach-16 (rebuilt)" and not compared
    with published ones. Where JSB lets the last chord ring on to fill its bar, so does the rebuilt piece.

    Args:
        chorales: the pieces to choose from, by name; None stands for all. The notes are read from music21 again, since
            some pieces come with their repeats and some without.
        cache: as for ``load_chorales``.

    Returns:
        Grids by "train", "valid" and "test", in the order of JSB, with onsets, bars and fermatas as in music21.

    Raises:
        ValueError: there are no chorales.
        ModuleNotFoundError: music21 is not installed.

    Chapter: 3c.
    """
    if chorales is not None and not len(chorales):
        raise ValueError(
            "A split needs at least one chorale; found none. Load some with corpora.load_chorales(), or pass None for "
            "all."
        )
    wanted = None if chorales is None else {grid.name for grid in chorales}
    repeated = {grid.name: grid for grid in load_chorales(cache)}
    written = {grid.name: grid for grid in load_chorales(cache, expand_repeats=False)}
    table = _split_map()
    return {
        split: [
            _as_in_jsb((repeated if has_repeats else written)[name], start_step, semitones, n_steps)
            for _, name, has_repeats, start_step, semitones, n_steps in table[split]
            if name in repeated and (wanted is None or name in wanted)
        ]
        for split in STANDARD_SIZES
    }


def melody_disjoint_split(chorales: Sequence[voices.VoiceGrid] | None = None) -> dict[str, list[voices.VoiceGrid]]:
    """Divide the chorales so that no tune that ``melody_groups`` recognises is on two sides.

    The groups of ``melody_groups`` are dealt out whole, the largest first, each to the part that still lacks the
    greatest share of its size; the sizes are in the proportion of the standard split, 229 to 76 to 77. The result
    depends on nothing but the chorales.

    Args:
        chorales: the pieces; None stands for all that ``load_chorales`` gives.

    Returns:
        Grids by "train", "valid" and "test", each in the order given.

    Raises:
        ValueError: there are no chorales.

    Chapter: 3c.
    """
    chorales = load_chorales() if chorales is None else chorales
    group = melody_groups(chorales)
    group_size = np.bincount(group)
    names = list(STANDARD_SIZES)
    wanted = np.array(list(STANDARD_SIZES.values())) / sum(STANDARD_SIZES.values()) * len(chorales)
    filled = np.zeros(len(names))
    part_of_group = np.empty(len(group_size), int)
    for number in np.argsort(-group_size, kind="stable"):
        part = int(np.argmax(1 - filled / wanted))
        part_of_group[number] = part
        filled[part] += group_size[number]
    return {
        name: [grid for grid, number in zip(chorales, group.tolist(), strict=True) if part_of_group[number] == index]
        for index, name in enumerate(names)
    }


def _split_map() -> dict[str, list]:
    """Return the table of JSB pieces: index, chorale, has repeats, first step, semitones, steps."""
    return json.loads(files(__package__).joinpath("split_map.json").read_text())


def _as_in_jsb(grid: voices.VoiceGrid, start_step: int, semitones: int, n_steps: int) -> voices.VoiceGrid:
    """Return the part of a chorale that JSB holds, its last chord ringing up to a bar longer if JSB's does."""
    n_steps, start_step = n_steps + min(start_step, 0), max(start_step, 0)  # JSB's additions in front are not made up
    piece = voices.cut(grid, start_step, min(start_step + n_steps, grid.n_steps))
    piece = voices.transpose(piece, semitones)
    numerator, denominator = grid.meter
    bar = numerator * 4 * grid.steps_per_quarter // denominator
    n_more = n_steps - piece.n_steps
    if not 0 < n_more <= max(bar, 16):  # more than a bar is not ringing: JSB has other music there
        return piece
    ring = np.arange(1, n_more + 1)
    return replace(
        piece,
        pitch=np.concatenate([piece.pitch, np.repeat(piece.pitch[-1:], n_more, axis=0)]),
        is_onset=np.concatenate([piece.is_onset, np.zeros((n_more, piece.n_voices), bool)]),
        is_fermata=np.concatenate([piece.is_fermata, np.repeat(piece.is_fermata[-1:], n_more)]),
        bar_position_step=np.concatenate([piece.bar_position_step, (piece.bar_position_step[-1] + ring) % bar]),
    )
