"""Step-by-voice grids: the form in which four-part chorales are held.

A grid has one row a step (a sixteenth note by default) and one column a voice. Each cell says which pitch sounds in
that voice; a second grid of the same shape says where notes are struck, so that a held half note and four repeated
eighths differ.

Conventions:
    pitch: MIDI number, 0..127, or ``REST`` (-1) where the voice is silent.
    is_onset: True where a note is struck; a sounding cell that is not an onset continues the note before it.
    voices: highest first: soprano, alto, tenor, bass.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from __future__ import annotations

from mini_musessl.voices.conversion import as_piece, from_piece, to_piece
from mini_musessl.voices.grid import REST, SATB, VoiceGrid, check_is_grid, from_pitches
from mini_musessl.voices.moves import cut, transpose

__all__ = [
    "REST",
    "SATB",
    "VoiceGrid",
    "as_piece",
    "check_is_grid",
    "cut",
    "from_piece",
    "from_pitches",
    "to_piece",
    "transpose",
]
