"""Pitch classes: their names, and how much of the music each of them has.

Chapter: 3a.
"""

from __future__ import annotations

import numpy as np

from mini_musessl import music, voices


def pitch_class_name(pitch_class: int, fifths: int = 0) -> str:
    """Spell a pitch class as is usual under a key signature: 8 is G# without accidentals, Ab under three flats.

    The twelve names are the scale of the major key, the lowered seventh degree, and the sharpened ones that its
    relative minor and its secondary dominants use.

    Args:
        pitch_class: 0..11.
        fifths: key signature, -7..7; the names lie from 2 fifths below its place to 9 above.

    Raises:
        TypeError: a number is not whole.
        ValueError: a number is out of its range.

    Example:
        >>> pitch_class_name(8), pitch_class_name(8, fifths=-3)
        ('G#', 'Ab')

    Chapter: 3a.
    """
    pitch_class = music.whole_number("A pitch class", pitch_class, 0, 11, "Take the pitch modulo 12.")
    lowest = music.whole_number("fifths", fifths, -7, 7, "Sharps count up, flats down.") - 2
    place = lowest + (7 * pitch_class - lowest) % 12
    sharps, letter = divmod(place + 1, 7)
    return "FCGDAEB"[letter] + ("#" * sharps if sharps > 0 else "b" * -sharps)


def chroma(notes: np.ndarray | music.Piece | voices.VoiceGrid) -> np.ndarray:
    """Return the share of each pitch class in the sounding time.

    A note counts for as long as it lasts; two voices on one pitch class count twice; loudness does not count.

    Args:
        notes: an array of notes, a piece (its drum parts are left out), or a grid.

    Returns:
        float64 (12,), from C to B; sums to 1, or is all 0 where nothing sounds.

    Raises:
        TypeError, ValueError: the notes break a rule of ``music.check_notes``.

    Example:
        >>> notes = music.make_notes(onset_step=[0, 24], duration_step=[72, 24], pitch=[60, 67])
        >>> chroma(notes)[[0, 7]].tolist()
        [0.75, 0.25]

    Chapter: 3a.
    """
    if isinstance(notes, voices.VoiceGrid):
        return shares(step_counts(notes).sum(axis=0))
    if isinstance(notes, music.Piece):
        notes = notes.notes[~music.is_drum_note(notes)]
    music.check_notes(notes)
    return shares(np.bincount(notes["pitch"] % 12, weights=notes["duration_step"], minlength=12))


def grid_chroma(grid: voices.VoiceGrid, n_block_steps: int) -> np.ndarray:
    """Return one chroma for each block of so many steps; the last block may be shorter.

    Args:
        grid: step-by-voice grid.
        n_block_steps: length of a block in steps, 1 or more; blocks count from step 0, not from the bar line.

    Returns:
        float64 (n_blocks, 12); each row sums to 1, or is all 0 where nothing sounds.

    Raises:
        TypeError: it is not a grid, or the length is not a whole number.
        ValueError: a block of less than one step.

    Example:
        >>> grid = voices.from_pitches([[60], [62], [62]], voice_names=("melody",))
        >>> grid_chroma(grid, n_block_steps=2)[:, [0, 2]].tolist()
        [[0.5, 0.5], [0.0, 1.0]]

    Chapter: 3a.
    """
    voices.check_is_grid(grid)
    n_block_steps = music.whole_number("n_block_steps", n_block_steps, 1, advice="A quarter is grid.steps_per_quarter.")
    edges = np.append(np.arange(0, grid.n_steps, n_block_steps), grid.n_steps)
    return shares(np.diff(sums_before(step_counts(grid))[edges], axis=0))


def step_counts(grid: voices.VoiceGrid) -> np.ndarray:
    """Count the voices that sound each pitch class at each step, int64 (n_steps, 12)."""
    step, voice = np.nonzero(grid.pitch != voices.REST)
    cell = 12 * step + grid.pitch[step, voice] % 12
    return np.bincount(cell, minlength=12 * grid.n_steps).reshape(grid.n_steps, 12)


def sums_before(counts: np.ndarray) -> np.ndarray:
    """Return the sum of the rows before each row, and of all rows: int64 (n_steps + 1, 12).

    The sum of the rows from one step up to another is then the difference of two of these.
    """
    return np.concatenate([np.zeros((1, 12), np.int64), np.cumsum(counts, axis=0)])


def shares(amount: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; a row of zeros stays."""
    total = amount.sum(axis=-1, keepdims=True)
    return amount / np.where(total > 0, total, 1)
