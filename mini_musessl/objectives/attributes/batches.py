"""Windows of frames with the answers that belong to their steps.

Chapter: 4c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl import voices
from mini_musessl.music import whole_number
from mini_musessl.objectives.attributes.targets import (
    NO_TARGET,
    QUESTIONS,
    PieceAttributes,
    label_pieces,
    transpose_chords,
)
from mini_musessl.windows import random_frame_batches


@dataclass(frozen=True)
class AttributeBatch:
    """Stretches of pieces side by side, and what is asked at each of their steps.

    Answers are numbered as in ``PieceAttributes``; ``NO_TARGET`` stands where nothing is asked. Those of the last step
    of a window are of the music that follows it.

    Attributes:
        frames: int64 (n_windows, n_steps, 4), the ids of every step, soprano first; 0 on padding.
        is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
        start_step: int64 (n_windows,), index in the piece of each window's first step.
        piece_index: int64 (n_windows,), which piece each window was cut from.
        pitch: int64 (n_windows, n_steps, 4), the symbol of the next step, transposed like the window.
        onset: int64 (n_windows, n_steps, 4), whether the voice strikes a note at the next step.
        duration: int64 (n_windows, n_steps, 4), class of how much longer the present note lasts.
        chord: int64 (n_windows, n_steps), the chord of the next beat, transposed like the window.

    Chapter: 4c.
    """

    frames: Int[np.ndarray, "n_windows n_steps 4"]
    is_padding: Bool[np.ndarray, "n_windows n_steps"]
    start_step: Int[np.ndarray, " n_windows"]
    piece_index: Int[np.ndarray, " n_windows"]
    pitch: Int[np.ndarray, "n_windows n_steps 4"]
    onset: Int[np.ndarray, "n_windows n_steps 4"]
    duration: Int[np.ndarray, "n_windows n_steps 4"]
    chord: Int[np.ndarray, "n_windows n_steps"]


def attribute_batches(
    pieces: Sequence[voices.VoiceGrid | PieceAttributes],
    n_windows: int,
    n_steps: int,
    generator: np.random.Generator,
    semitones: range = range(-5, 7),
) -> Iterator[AttributeBatch]:
    """Draw batches of stretches with their answers, without end.

    Windows are drawn and transposed as by ``windows.random_frame_batches``, one step longer than asked; the step too
    many is not shown, only asked for. Answers are computed once a piece; those that name pitches or roots are moved
    with their window.

    Args:
        pieces: whole pieces, at least one.
        n_windows: windows in a batch.
        n_steps: steps in a window.
        generator: source of chance; the same state gives the same batches.
        semitones: intervals to draw from; ``range(1)`` for no transposition.

    Returns:
        An iterator that never ends.

    Raises:
        ValueError: no pieces, another grid, or a count that is not positive.
        TypeError: pieces without onsets, such as ids; no generator; or a count that is not a whole number.

    Example:
        >>> grid = voices.from_pitches([[72, 67, 64, 48]] * 4 + [[74, 67, 65, 47]] * 16)
        >>> batch = next(attribute_batches([grid], 2, 16, np.random.default_rng(0)))
        >>> batch.frames.shape, batch.pitch.shape, batch.chord.shape
        ((2, 16, 4), (2, 16, 4), (2, 16))

    Chapter: 4c.
    """
    labelled = label_pieces(pieces)
    whole_number("n_steps", n_steps, lowest=1)
    drawn = random_frame_batches([piece.frames for piece in labelled], n_windows, n_steps + 1, generator, semitones)
    return _with_answers(drawn, PiecesEndToEnd(labelled), n_steps)


def _with_answers(drawn: Iterator, pieces: PiecesEndToEnd, n_steps: int) -> Iterator[AttributeBatch]:
    """Cut again what was drawn, with its answers."""
    for windows in drawn:
        as_written = pieces.cut(windows.piece_index, windows.start_step, n_steps + 1).frames
        moved = (windows.frames - as_written).reshape(len(as_written), -1)  # rests and padding do not move
        semitones = np.where(moved.max(axis=1) > 0, moved.max(axis=1), moved.min(axis=1))
        yield pieces.cut(windows.piece_index, windows.start_step, n_steps, semitones)


class PiecesEndToEnd:
    """Labelled pieces in one row, from which windows are cut.

    Args:
        pieces: at least one.
    """

    def __init__(self, pieces: Sequence[PieceAttributes]) -> None:
        self.n_steps = np.array([len(piece.frames) for piece in pieces])
        self._first_step = np.cumsum(self.n_steps) - self.n_steps
        self._rows = {
            name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("frames", *QUESTIONS)
        }

    def cut(
        self,
        piece_index: Int[np.ndarray, " n_windows"],
        start_step: Int[np.ndarray, " n_windows"],
        n_steps: int,
        semitones: Int[np.ndarray, " n_windows"] | int = 0,
    ) -> AttributeBatch:
        """Cut windows, each from its piece, and transpose them.

        Args:
            piece_index: which piece.
            start_step: where in the piece.
            n_steps: length of all windows; beyond the end of a piece is padding.
            semitones: how far up, one for all or one a window.
        """
        step = start_step[:, None] + np.arange(n_steps)
        is_padding = step >= self.n_steps[piece_index][:, None]
        place = np.minimum(self._first_step[piece_index][:, None] + step, self.n_steps.sum() - 1)
        cut = {name: rows[place] for name, rows in self._rows.items()}
        for name, cells in cut.items():
            cells[is_padding] = 0 if name == "frames" else NO_TARGET
        shift = np.broadcast_to(semitones, start_step.shape)[:, None]
        for name in ("frames", "pitch"):
            cut[name] += shift[..., None] * (cut[name] > 0)
        cut["chord"] = transpose_chords(cut["chord"], shift)
        return AttributeBatch(is_padding=is_padding, start_step=start_step, piece_index=piece_index, **cut)
