"""Notes on an integer grid: the form in which all music of the book is held.

A *step* is one unit of the grid. ``steps_per_quarter`` says how many steps a quarter note lasts: 24 holds triplets and
thirty-second notes exactly, 4 is the grid of sixteenth notes on which the Bach chorales live. All times are whole
numbers of steps; seconds appear only where sound or a MIDI file is made.

Conventions:
    notes: structured array with one row a note, ordered by onset (fields in ``NOTE_DTYPE``).
    pitch: MIDI number, 0..127; 60 is middle C, one more is a semitone higher.
    velocity: MIDI loudness of the attack, 1..127.
    part: index into ``Piece.parts``.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from __future__ import annotations

from mini_musessl.music.grids import change_grid
from mini_musessl.music.meter import Meter, Tempo, as_meter
from mini_musessl.music.moves import check_cut, cut, join, moved_pitches, transpose
from mini_musessl.music.notes import NOTE_DTYPE, check_notes, ends_step, make_notes, sort_notes
from mini_musessl.music.piece import DEFAULT_STEPS_PER_QUARTER, Part, Piece, check_is_piece, is_drum_note, tuple_of
from mini_musessl.music.timeline import bar_lines_step, bar_position_step, sec_to_steps, steps_to_sec
from mini_musessl.music.whole_numbers import check_grid, whole_number

__all__ = [
    "DEFAULT_STEPS_PER_QUARTER",
    "NOTE_DTYPE",
    "Meter",
    "Part",
    "Piece",
    "Tempo",
    "as_meter",
    "bar_lines_step",
    "bar_position_step",
    "change_grid",
    "check_cut",
    "check_grid",
    "check_is_piece",
    "check_notes",
    "cut",
    "ends_step",
    "is_drum_note",
    "join",
    "make_notes",
    "moved_pitches",
    "sec_to_steps",
    "sort_notes",
    "steps_to_sec",
    "transpose",
    "tuple_of",
    "whole_number",
]
