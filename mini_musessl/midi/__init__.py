"""Standard MIDI Files in and out: notes on the grid of ``music``, exact where the file's ticks fit the grid.

A MIDI file counts time in *ticks*; its header says how many make a quarter. Files are read from their ticks, never from
seconds, so a triplet comes out as exact thirds. Two readers give the same piece:

* ``reader="pretty_midi"`` takes the events that pretty_midi works from (those of its parser, mido) and pairs the notes
  here. pretty_midi's own note lists are in seconds and let one note-off end every sounding note of its pitch;
  ``to_pretty_midi`` and ``from_pretty_midi`` are the way to its objects and back.
* ``reader="symusic"`` is written in C++ and made for large folders.

What becomes of untidy files, by either reader:
    A note-off ends the earliest sounding note of its pitch and channel in its track ("first in, first out").
    A note that is never ended is dropped; so is a note-off that ends nothing. Running status, and note-on with
    velocity 0 as note-off, are read as the standard says.
    Times move to the nearest step (a half goes up); a note of no length, or one that rounds to none, lasts one step.
    Tempo and meter are read from every track; of several at one step the last counts.
    A part is one channel with one program in one track; channel 10 is drums. A change of program begins another part.
    A piece ends where its last note ends.

Scores in MusicXML are read and written through music21 by ``read_musicxml`` and ``write_musicxml``.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from __future__ import annotations

from mini_musessl.midi.reading import READERS, from_pretty_midi, read_midi
from mini_musessl.midi.score_reading import read_musicxml
from mini_musessl.midi.score_writing import write_musicxml
from mini_musessl.midi.writing import to_bytes, to_pretty_midi, write_midi

__all__ = [
    "READERS",
    "from_pretty_midi",
    "read_midi",
    "read_musicxml",
    "to_bytes",
    "to_pretty_midi",
    "write_midi",
    "write_musicxml",
]
