"""Whole notes, so that no part of a hidden one can be copied.

Chapter: 4b (masking).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl.corruption.checks import check_hider


def hide_notes(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    share: float = 0.25,
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide whole sounding notes: all steps of a window at which a voice holds one symbol, or none of them.

    A note is a longest stretch of one symbol in one voice; a pitch that is struck again at once counts as held, since
    the ids do not tell, and a rest is hidden like a note. Notes are drawn in a random order, each equally likely to
    come next, until the share is reached as nearly as whole notes allow.

    What it promises: a visible cell next to a hidden one in its voice never holds the same symbol, so the note next
    door is always wrong there. What it does not promise: two neighbouring notes may both be hidden, and the note beyond
    may be the same again; another voice may sing the same pitch; and where a hidden stretch is one note, its edges tell
    when it begins and ends. Rhythm is less hidden than pitch.

    Args:
        frames: symbol ids.
        is_padding: True beyond the end of the piece.
        generator: source of chance.
        share: part of a window's cells that is hidden, about; above 0 and below 1. At least one note is hidden and at
            least one stays.

    Raises:
        ValueError: a share that hides nothing or all, windows of another shape, without music, or with one note alone.
        TypeError: frames or padding of another type, or no NumPy generator.

    Example:
        >>> frames = np.array([[[30], [30], [32], [32], [32]]])
        >>> hide_notes(frames, np.zeros((1, 5), bool), np.random.default_rng(0))[..., 0].tolist()
        [[False, False, True, True, True]]

    Chapter: 4b.
    """
    n_music = check_hider(frames, is_padding, generator, "hide_notes", share)
    note, n_notes = number_notes(frames, is_padding)
    if n_notes.min() < 2:
        raise ValueError(
            f"A window needs two notes, one to hide and one to see; window {int(n_notes.argmin())} holds one note "
            "alone. Cut longer windows."
        )
    is_drawn = _draw_notes(
        _count_steps(note, int(n_notes.max())), n_notes, share * n_music * frames.shape[2], generator
    )
    is_hidden = np.take_along_axis(is_drawn, note.reshape(len(frames), -1), axis=1).reshape(frames.shape)
    return is_hidden & ~is_padding[..., None]


def number_notes(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"], is_padding: Bool[np.ndarray, "n_windows n_steps"]
) -> tuple[Int[np.ndarray, "n_windows n_steps n_voices"], Int[np.ndarray, " n_windows"]]:
    """Number the notes of each window from 0, voice after voice; a note is a longest stretch of one symbol.

    Args:
        frames: symbol ids.
        is_padding: True beyond the end of the piece.

    Returns:
        The number of the note that each cell belongs to, and how many each window has. All padding has that number.

    Example:
        >>> number_notes(np.array([[[30, 9], [30, 9], [32, 9]]]), np.zeros((1, 3), bool))[0].tolist()
        [[[0, 2], [0, 2], [1, 2]]]

    Chapter: 4b.
    """
    is_new = np.ones(frames.shape, bool)
    is_new[:, 1:] = frames[:, 1:] != frames[:, :-1]
    is_new &= ~is_padding[..., None]
    # Counted down each voice, and on from one voice to the next.
    n_begun = is_new.cumsum(axis=1)
    n_above = n_begun[:, -1].cumsum(axis=1) - n_begun[:, -1]
    n_notes = n_begun[:, -1].sum(axis=1)
    note = n_begun - 1 + n_above[:, None]
    return np.where(is_padding[..., None], n_notes[:, None, None], note), n_notes


def _count_steps(note: np.ndarray, most: int) -> np.ndarray:
    """Return how many cells each note has: (n_windows, most + 1); the last column holds padding."""
    n_windows = len(note)
    place = note.reshape(n_windows, -1) + (most + 1) * np.arange(n_windows)[:, None]
    return np.bincount(place.ravel(), minlength=n_windows * (most + 1)).reshape(n_windows, most + 1)


def _draw_notes(
    n_cells: np.ndarray, n_notes: np.ndarray, n_wanted: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw notes until about so many cells are taken: bool, as ``n_cells``."""
    keys = generator.random(n_cells.shape)
    keys[np.arange(n_cells.shape[1]) >= n_notes[:, None]] = np.inf
    order = keys.argsort(axis=1)
    drawn = np.take_along_axis(n_cells, order, axis=1)
    # A note that would go beyond the share is taken if more than half of it lies within.
    is_taken = drawn.cumsum(axis=1) - drawn / 2 <= n_wanted[:, None]
    place = np.arange(n_cells.shape[1])
    is_taken = (is_taken | (place == 0)) & (place < n_notes[:, None] - 1)
    is_drawn = np.zeros(n_cells.shape, bool)
    np.put_along_axis(is_drawn, order, is_taken, axis=1)
    return is_drawn
