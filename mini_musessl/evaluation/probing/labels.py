"""Labels that come with the music: key signature, mode, chord, cadence, beat.

A function that labels beats returns the steps at which they begin and a class for each; one that labels pieces returns
one class. None means that the piece does not say.

Chapter: 1a.
"""

from __future__ import annotations

import numpy as np

from mini_musessl import harmony, voices
from mini_musessl.harmony import QUALITIES, pitch_class_name

BeatLabels = tuple[np.ndarray, np.ndarray]

#: Key signatures from 5 flats to 6 sharps, as classes.
SIGNATURES = tuple(range(-5, 7))
KEY_CLASSES = (
    "5 flats",
    "4 flats",
    "3 flats",
    "2 flats",
    "1 flat",
    "none",
    "1 sharp",
    "2 sharps",
    "3 sharps",
    "4 sharps",
)
KEY_CLASSES += ("5 sharps", "6 sharps or flats")
MODE_CLASSES = ("major", "minor")
#: Qualities that count as a triad with more on top; the others are joined.
_TRIADS = {"major": ("major", "dominant seventh", "major seventh"), "minor": ("minor", "minor seventh")}
CHORD_CLASSES = (
    *(pitch_class_name(root, 0) for root in range(12)),
    *(pitch_class_name(root, 0) + "m" for root in range(12)),
    "other",
)
CADENCE_CLASSES = ("goes on", "ends")
BEAT_CLASSES = ("1", "2", "3", "4")


def label_key(grid: voices.VoiceGrid) -> int | None:
    """Return the key signature, as an index into ``KEY_CLASSES``.

    The signature and not the tonic: it is printed in every score, and it asks for the scale alone. Which of the two
    keys of a signature it is, the task of the mode asks. Signatures that sound the same are one.

    Args:
        grid: a chorale.

    Chapter: 1a.
    """
    return None if grid.fifths is None else (grid.fifths - SIGNATURES[0]) % 12


def label_mode(grid: voices.VoiceGrid) -> int | None:
    """Return 0 for major and 1 for minor, as the score says.

    Args:
        grid: a chorale.

    Chapter: 1a.
    """
    return None if grid.mode is None else MODE_CLASSES.index(grid.mode)


def label_chords(grid: voices.VoiceGrid) -> BeatLabels:
    """Return the chord of every beat by the rule of ``harmony.chord_labels``, as an index into ``CHORD_CLASSES``.

    Sevenths count as their triads; diminished and augmented chords and beats without a chord are joined.

    Args:
        grid: a chorale.

    Chapter: 1a.
    """
    chords = harmony.chord_labels(grid)
    triad = np.array([_triad_of(quality) for quality in QUALITIES])[chords["quality"]]
    is_other = (chords["quality"] == harmony.NO_CHORD) | (triad < 0)
    return chords["step"].astype(np.int64), np.where(is_other, 24, 12 * triad + chords["root"]).astype(np.int64)


def label_cadences(grid: voices.VoiceGrid) -> BeatLabels | None:
    """Say of each beat whether a fermata begins in it: 1 where the phrase ends.

    Beats on which the same fermata goes on sounding are not asked about, nor is the last fermata of the piece: the end
    of the music would give it away.

    Args:
        grid: a chorale.

    Returns:
        Steps and classes; None for a piece without a fermata.

    Chapter: 1a.
    """
    if not grid.is_fermata.any():
        return None
    step = harmony.chord_labels(grid)["step"].astype(np.int64)
    begins = np.flatnonzero(grid.is_fermata & ~np.append(False, grid.is_fermata[:-1]))
    beat = np.searchsorted(step, begins, side="right") - 1
    label = np.zeros(len(step), np.int64)
    label[beat] = 1
    is_asked = ~grid.is_fermata[step] | (label == 1)
    is_asked[beat[-1] :] = False
    return step[is_asked], label[is_asked]


def label_beats(grid: voices.VoiceGrid) -> BeatLabels | None:
    """Say which beat of the bar each beat is, 0 to 3.

    Args:
        grid: a chorale.

    Returns:
        Steps and classes; None for a piece that is not in 4/4.

    Chapter: 1a.
    """
    if grid.meter != (4, 4):
        return None
    beat, rest = np.divmod(grid.bar_position_step.astype(np.int64), grid.steps_per_quarter)
    step = np.flatnonzero((rest == 0) & (beat < 4))
    return step, beat[step]


def _triad_of(quality: str) -> int:
    """Return 0 for qualities built on a major triad, 1 for those on a minor one, -1 for others."""
    return next((index for index, names in enumerate(_TRIADS.values()) if quality in names), -1)
