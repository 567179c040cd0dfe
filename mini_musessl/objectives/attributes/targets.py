"""What the heads must answer, computed from whole pieces.

Chapter: 4c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from mini_musessl import harmony, voices
from mini_musessl.tokenizers import VoiceGridTokens

TOKENS = VoiceGridTokens()

#: Stands where there is nothing to answer.
NO_TARGET = -1
#: Classes of how many steps a note lasts after the present one: each begins here and ends before the next.
DURATION_STARTS = (0, 1, 2, 4, 8)
DURATION_NAMES = ("ends with this step", "1 step more", "2 or 3 more", "4 to 7 more", "8 or more")
#: Every question, and how many answers it has.
QUESTIONS: dict[str, int] = {
    "pitch": TOKENS.vocabulary.size,
    "onset": 2,
    "duration": len(DURATION_STARTS),
    "chord": harmony.N_CHORD_CLASSES,
}
#: The heads, and which questions each answers.
HEADS: dict[str, tuple[str, ...]] = {"pitch": ("pitch",), "rhythm": ("onset", "duration"), "harmony": ("chord",)}


@dataclass(frozen=True, eq=False)
class PieceAttributes:
    """A piece, and the right answers at each of its steps.

    What is asked at a step lies after it; at the last step nothing is asked.

    Attributes:
        grid: the piece.
        frames: int64 (n_steps, 4), its symbol ids.
        pitch: int64 (n_steps, 4), the symbol of each voice at the next step.
        onset: int64 (n_steps, 4), 1 where the voice strikes a note at the next step; 0 where it holds on or rests.
        duration: int64 (n_steps, 4), class of how many steps the note of this step lasts after it, as in
            ``DURATION_NAMES``; ``NO_TARGET`` on a rest.
        chord: int64 (n_steps,), the chord of the next beat, numbered as by ``harmony.chord_classes``; ``NO_TARGET`` in
            the last beat.

    Chapter: 4c.
    """

    grid: voices.VoiceGrid
    frames: Int[np.ndarray, "n_steps 4"]
    pitch: Int[np.ndarray, "n_steps 4"]
    onset: Int[np.ndarray, "n_steps 4"]
    duration: Int[np.ndarray, "n_steps 4"]
    chord: Int[np.ndarray, " n_steps"]


def label_attributes(grid: voices.VoiceGrid) -> PieceAttributes:
    """Compute what the heads must answer at each step of a piece.

    Args:
        grid: the whole piece, four voices, sixteenths; its onsets and bars are needed.

    Raises:
        TypeError: no grid, such as ids, which do not say where a note is struck again.
        ValueError: another grid or number of voices, a pitch outside 36..81, or no step.

    Example:
        >>> grid = voices.from_pitches([[72, 67, 64, 48]] * 4 + [[74, 67, 65, 47]] * 4)
        >>> piece = label_attributes(grid)
        >>> piece.onset[3].tolist(), piece.duration[:, 0].tolist(), harmony.chord_class_names()[piece.chord[0]]
        ([1, 0, 1, 1], [2, 2, 1, 0, 2, 2, 1, -1], 'G7')

    Chapter: 4c.
    """
    if not isinstance(grid, voices.VoiceGrid):
        raise TypeError(
            "Rhythm and harmony are read from the onsets and bars of a voices.VoiceGrid; found "
            f"{type(grid).__name__}. Give the grids of the corpus, before they are encoded."
        )
    frames = TOKENS.encode(grid).astype(np.int64).reshape(-1, 4)
    if len(frames) == 0:
        raise ValueError("A piece needs at least one step; found none. Is it cut to nothing?")
    n_more = _note_stops(grid) - np.arange(len(frames))[:, None] - 1
    duration = np.searchsorted(DURATION_STARTS, n_more, side="right") - 1
    targets = {
        "pitch": _one_step_later(frames),
        "onset": _one_step_later(grid.is_onset.astype(np.int64)),
        "duration": np.where(frames == 0, NO_TARGET, duration),
        "chord": _next_chords(grid),
    }
    for answers in targets.values():
        answers[-1] = NO_TARGET
    return PieceAttributes(grid, frames, **targets)


def label_pieces(pieces: Sequence[voices.VoiceGrid | PieceAttributes]) -> list[PieceAttributes]:
    """Label those pieces that are not labelled yet.

    Args:
        pieces: grids, or what ``label_attributes`` made of them; at least one.

    Raises:
        ValueError: there are none, and as ``label_attributes``.
        TypeError: as ``label_attributes``.
    """
    if isinstance(pieces, (voices.VoiceGrid, PieceAttributes)):
        raise TypeError(f"Pieces come in a list; found one {type(pieces).__name__}. Put it into a list.")
    if not len(pieces):
        raise ValueError("At least one piece is needed; found none. Is the split empty?")
    return [piece if isinstance(piece, PieceAttributes) else label_attributes(piece) for piece in pieces]


def transpose_chords(chords: ArrayLike, semitones: ArrayLike) -> Int[np.ndarray, "*shape"]:
    """Move the roots of numbered chords; their qualities stay.

    Args:
        chords: classes as of ``harmony.chord_classes``. 0, which is no chord, and ``NO_TARGET`` do not move.
        semitones: how far up; one number, or as many as suit the shape of the chords.

    Returns:
        int64, the same shape.

    Example:
        >>> transpose_chords([1, 24, 0, -1], 2).tolist()  # C, Bm, none, not asked
        [3, 14, 0, -1]

    Chapter: 4c.
    """
    chords = np.asarray(chords, np.int64)
    quality, root = np.divmod(chords - 1, 12)
    return np.where(chords > 0, 1 + 12 * quality + (root + np.asarray(semitones)) % 12, chords)


def beat_starts(grid: voices.VoiceGrid) -> tuple[np.ndarray, np.ndarray]:
    """Return where the beats begin, and the class of the chord of each.

    Args:
        grid: the whole piece.

    Returns:
        Two int64 arrays (n_beats,).
    """
    chords = harmony.chord_labels(grid)
    return chords["step"].astype(np.int64), harmony.chord_classes(chords)


def _one_step_later(answers: np.ndarray) -> np.ndarray:
    """Give each step what stands at the next; the last one is overwritten."""
    return np.roll(answers, -1, axis=0)


def _note_stops(grid: voices.VoiceGrid) -> np.ndarray:
    """Return for each cell the first step after it at which its note sounds no more, (n_steps, n_voices)."""
    n_steps = grid.n_steps
    is_new = grid.is_onset | (grid.pitch == voices.REST)
    new_step = np.where(is_new, np.arange(n_steps)[:, None], n_steps)
    from_here_on = np.minimum.accumulate(new_step[::-1], axis=0)[::-1]
    return np.concatenate((from_here_on[1:], np.full((1, grid.n_voices), n_steps)))


def _next_chords(grid: voices.VoiceGrid) -> np.ndarray:
    """Return for each step the class of the chord of the first beat that begins after it."""
    start_step, chords = beat_starts(grid)
    following = np.searchsorted(start_step, np.arange(grid.n_steps), side="right")
    return np.append(chords, NO_TARGET)[following]
