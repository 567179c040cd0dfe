"""Grids from grids: transpose, cut.

Chapter: 3a.
"""

from __future__ import annotations

from dataclasses import replace

from mini_musessl import music
from mini_musessl.voices.grid import REST, VoiceGrid, check_is_grid


def transpose(grid: VoiceGrid, semitones: int) -> VoiceGrid:
    """Move every sounding cell by a number of semitones; rests stay.

    The key signature moves along, to the spelling with the fewest accidentals.

    Args:
        grid: the music.
        semitones: how far up; negative is down.

    Raises:
        TypeError: it is not a grid, or not a whole number of semitones.
        ValueError: a pitch would leave 0..127.

    Example:
        >>> from mini_musessl.voices import from_pitches
        >>> transpose(from_pitches([[60], [-1]], voice_names=("melody",), fifths=0), 2).fifths
        2

    Chapter: 3a.
    """
    check_is_grid(grid)
    moved = music.moved_pitches(grid.pitch, semitones, is_fixed=grid.pitch == REST)
    # A semitone up is seven fifths up; signatures that name the same keys lie twelve fifths apart.
    is_same_key = grid.fifths is None or semitones % 12 == 0
    fifths = grid.fifths if is_same_key else (grid.fifths + 7 * semitones + 5) % 12 - 5
    return replace(grid, pitch=moved, fifths=fifths)


def cut(grid: VoiceGrid, start_step: int, stop_step: int) -> VoiceGrid:
    """Cut out the steps from ``start_step`` up to, not including, ``stop_step``.

    A note that was already sounding at ``start_step`` is struck there.

    Args:
        grid: the music.
        start_step: first step that is kept.
        stop_step: first step that is not.

    Raises:
        TypeError: it is not a grid, or the ends are not whole numbers.
        ValueError: not 0 <= start_step < stop_step <= n_steps.

    Example:
        >>> from mini_musessl.voices import from_pitches
        >>> grid = from_pitches([[60], [60], [62]], voice_names=("melody",))
        >>> cut(grid, 1, 3).is_onset[:, 0].tolist()
        [True, True]

    Chapter: 3a.
    """
    check_is_grid(grid)
    music.check_cut(start_step, stop_step, grid.n_steps)
    inside = slice(start_step, stop_step)
    is_onset = grid.is_onset[inside].copy()
    is_onset[0] = grid.pitch[start_step] != REST
    return replace(
        grid,
        pitch=grid.pitch[inside],
        is_onset=is_onset,
        is_fermata=grid.is_fermata[inside],
        bar_position_step=grid.bar_position_step[inside],
    )
