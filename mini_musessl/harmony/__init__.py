"""Harmony from notes: pitch-class profiles, a chord name for every beat, the key, and the cadences at fermatas.

Everything here is counted from the notes alone, without training. A *pitch class* is a pitch without its octave:
0 is C, 1 is C sharp, 11 is B. A *label* is what a rule says about the notes; how often the rules agree with music21
and with human analysts stands in the docstring of each function.

Conventions:
    chroma: float (12,), how much of the sounding time each pitch class has; sums to 1, or to 0 where nothing sounds.
    chords: structured array of ``CHORD_DTYPE``, one row a beat; a beat is a quarter counted from the bar line.
    fifths: position of a key signature, sharps positive: G major and E minor have 1.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from __future__ import annotations

from mini_musessl.harmony.cadence import Cadence, cadences
from mini_musessl.harmony.chords import (
    CHORD_DTYPE,
    CHORD_TONES,
    N_CHORD_CLASSES,
    NO_CHORD,
    QUALITIES,
    chord_class_names,
    chord_classes,
    chord_labels,
    chord_names,
)
from mini_musessl.harmony.keys import MAJOR_PROFILE, MINOR_PROFILE, Key, find_key, key_from_signature
from mini_musessl.harmony.pitch_classes import chroma, grid_chroma, pitch_class_name

__all__ = [
    "CHORD_DTYPE",
    "CHORD_TONES",
    "MAJOR_PROFILE",
    "MINOR_PROFILE",
    "NO_CHORD",
    "N_CHORD_CLASSES",
    "QUALITIES",
    "Cadence",
    "Key",
    "cadences",
    "chord_class_names",
    "chord_classes",
    "chord_labels",
    "chord_names",
    "chroma",
    "find_key",
    "grid_chroma",
    "key_from_signature",
    "pitch_class_name",
]
