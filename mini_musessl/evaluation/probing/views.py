"""What a probe shows to a network: windows of chorales, single voices, and windows with one wrong note.

Everything a network is shown for a task is fixed by the chorales alone, so that every network is shown the same.

Chapter: 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl import voices
from mini_musessl.evaluation.chorale_ids import N_SYMBOLS, encode_chorales

#: Windows for questions about a beat, a key or a hymn: their length, and how much two of them share at least.
WINDOW_STEP, OVERLAP_STEP = 96, 16
#: Windows for one voice alone: length, and how many a chorale. Where lines are moved to: the id of G4.
VOICE_STEP, VOICE_WINDOWS, LEVEL_ID = 48, 2, 67 - 35
#: Windows for one wrong note: length, how many a chorale, and by how many semitones the note is moved at most.
CORRUPTED_STEP, CORRUPTED_WINDOWS, LARGEST_SHIFT = 32, 4, 3


@dataclass(frozen=True, eq=False)
class View:
    """One window as a network is shown it.

    Attributes:
        frames: int64 (n_steps, 4), symbol ids.
        is_hidden: bool (n_steps, 4), True where a cell must not be seen.
        piece: which of the chorales it is cut from.
        start_step: where in the chorale it begins.
        answer: what is asked about it, where the view decides that; None where the music does.
    """

    frames: Int[np.ndarray, "n_steps 4"]
    is_hidden: Bool[np.ndarray, "n_steps 4"]
    piece: int
    start_step: int
    answer: int | None = None


def spread_starts(n_steps: int, length_step: int, overlap_step: int) -> list[int]:
    """Return where windows begin that cover a piece evenly.

    Args:
        n_steps: length of the piece.
        length_step: length of a window.
        overlap_step: how much neighbours share at least; below ``length_step``.

    Returns:
        First steps, from 0 to the last window that fits; 0 alone for a piece no longer than a window.

    Example:
        >>> spread_starts(200, 96, 16)
        [0, 52, 104]

    Chapter: 1a.
    """
    if n_steps <= length_step:
        return [0]
    n_windows = -(-(n_steps - overlap_step) // (length_step - overlap_step))
    return np.linspace(0, n_steps - length_step, n_windows).round().astype(int).tolist()


def show_windows(grids: Sequence[voices.VoiceGrid]) -> list[View]:
    """Cut every chorale into windows that together show all of it.

    Args:
        grids: chorales of four voices.

    Returns:
        Views in the order of the chorales, with nothing hidden.

    Chapter: 1a.
    """
    return [
        _view(frames[start : start + WINDOW_STEP], piece, start)
        for piece, frames in enumerate(encode_chorales(grids))
        for start in spread_starts(len(frames), WINDOW_STEP, OVERLAP_STEP)
    ]


def show_voices(grids: Sequence[voices.VoiceGrid]) -> list[View]:
    """Show one voice alone, in the soprano's place and at one height, so that neither place nor height tells which.

    The line is moved by the interval that brings its mean pitch nearest to G4; so its key says nothing either. What is
    left to tell a bass from an alto is how it moves.

    Args:
        grids: chorales of four voices.

    Returns:
        Four views a window, the other three voices hidden; the answer is the voice, 0 the soprano. A voice that rests
        for the whole window is left out.

    Chapter: 1a.
    """
    return [
        _one_voice(window, voice, piece, start)
        for piece, frames in enumerate(encode_chorales(grids))
        for start, window in _some_windows(frames, VOICE_STEP, VOICE_WINDOWS)
        for voice in range(4)
        if window[:, voice].any()
    ]


def show_corrupted(grids: Sequence[voices.VoiceGrid]) -> list[View]:
    """Show windows as they are, and each once more with one note moved by one to three semitones.

    The note is drawn among all notes of the window, each equally likely, with a generator of its own for each chorale.

    Args:
        grids: chorales of four voices.

    Returns:
        Two views a window: as it is (answer 0) and with one wrong note (answer 1). A window of rests is left out.

    Chapter: 1a.
    """
    views = []
    for piece, frames in enumerate(encode_chorales(grids)):
        generator = np.random.default_rng([piece, len(frames)])
        for start, window in _some_windows(frames, CORRUPTED_STEP, CORRUPTED_WINDOWS):
            if window.any():
                views.append(_view(window, piece, start, 0))
                views.append(_view(move_one_note(window, generator), piece, start, 1))
    return views


def move_one_note(frames: Int[np.ndarray, "n_steps 4"], generator: np.random.Generator) -> Int[np.ndarray, "n_steps 4"]:
    """Return a window in which one whole note is moved by one to three semitones.

    Args:
        frames: symbol ids with at least one note.
        generator: draws the note, then the interval among those that keep the pitch in the vocabulary and the note
            apart from the notes before and after it.

    Raises:
        ValueError: no voice sings.

    Chapter: 1a.
    """
    notes = [note for voice in range(frames.shape[1]) for note in _notes(frames[:, voice], voice)]
    if not notes:
        raise ValueError("A window needs a note to move; found rests alone. Leave such windows out.")
    voice, start, stop = notes[generator.integers(len(notes))]
    line = frames[:, voice]
    around = {int(line[step]) for step in (start - 1, stop) if 0 <= step < len(line)}
    moved = [int(line[start]) + shift for shift in range(-LARGEST_SHIFT, LARGEST_SHIFT + 1) if shift]
    allowed = [symbol for symbol in moved if 0 < symbol < N_SYMBOLS and symbol not in around]
    changed = frames.copy()
    changed[start:stop, voice] = allowed[generator.integers(len(allowed))]
    return changed


#: Every way to show chorales.
SHOWINGS: dict[str, Callable[[Sequence[voices.VoiceGrid]], list[View]]] = {
    "windows": show_windows,
    "voices": show_voices,
    "corrupted": show_corrupted,
}


def _view(frames: np.ndarray, piece: int, start: int, answer: int | None = None) -> View:
    """Return a view that hides nothing."""
    return View(frames, np.zeros(frames.shape, bool), piece, start, answer)


def _some_windows(frames: np.ndarray, length_step: int, n_windows: int) -> list[tuple[int, np.ndarray]]:
    """Return up to ``n_windows`` windows spread over a piece, with their first steps."""
    n_fitting = max(1, len(frames) // length_step)
    last = max(0, len(frames) - length_step)
    starts = np.linspace(0, last, min(n_windows, n_fitting) + 2)[1:-1].round().astype(int).tolist()
    return [(start, frames[start : start + length_step]) for start in starts]


def _one_voice(window: np.ndarray, voice: int, piece: int, start: int) -> View:
    """Return a view of one voice, levelled, in the soprano's place."""
    line = window[:, voice]
    sounds = line > 0
    pitches = line[sounds]
    shift = round(LEVEL_ID - float(pitches.mean()))
    shift = min(max(shift, 1 - int(pitches.min())), N_SYMBOLS - 1 - int(pitches.max()))
    frames = np.zeros_like(window)
    frames[:, 0] = np.where(sounds, line + shift, 0)
    is_hidden = np.ones(window.shape, bool)
    is_hidden[:, 0] = False
    return View(frames, is_hidden, piece, start, voice)


def _notes(line: np.ndarray, voice: int) -> list[tuple[int, int, int]]:
    """Return voice, first step and end of each run of one pitch."""
    edges = np.flatnonzero(np.diff(line, prepend=-1, append=-1))
    return [
        (voice, start, stop) for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True) if line[start]
    ]
