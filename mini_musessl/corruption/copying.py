"""The rule that needs no music: a hidden cell is what its nearest visible neighbour in the same voice is.

Chapter: 4b (masking).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl.corruption.checks import check_frames


def copy_next_door(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_hidden: Bool[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
) -> Int[np.ndarray, "n_windows n_steps n_voices"]:
    """Guess each hidden cell from the nearest cell of its voice that can be seen, the earlier of two as near.

    How often the guess is right says how much of a kind of hiding can be solved by knowing that notes are held.

    Args:
        frames: symbol ids. Those of hidden cells are not looked at.
        is_hidden: True where a cell cannot be seen.
        is_padding: True beyond the end of the piece.

    Returns:
        The frames with guesses in place of what is hidden; 0 where the whole voice is.

    Raises:
        ValueError: shapes that do not fit, or a window without music.
        TypeError: frames, padding or ``is_hidden`` of another type.

    Example:
        >>> frames = np.array([[[30], [30], [30], [32], [32]]])
        >>> is_hidden = np.array([[[False], [True], [True], [True], [False]]])
        >>> copy_next_door(frames, is_hidden, np.zeros((1, 5), bool))[..., 0].tolist()
        [[30, 30, 30, 32, 32]]

    Chapter: 4b.
    """
    check_frames(frames, is_padding)
    if not isinstance(is_hidden, np.ndarray):
        raise TypeError(f"is_hidden must be a NumPy array, as a hider returns; found {type(is_hidden).__name__}.")
    if is_hidden.shape != frames.shape or is_hidden.dtype != np.bool_:
        raise ValueError(
            f"is_hidden must be True or False for each cell, {frames.shape}; found {is_hidden.dtype} {is_hidden.shape}."
        )
    n_steps = frames.shape[1]
    step = np.arange(n_steps)[:, None]
    is_seen = ~is_hidden & ~is_padding[..., None]
    before = np.maximum.accumulate(np.where(is_seen, step, -2 * n_steps), axis=1)
    after = np.minimum.accumulate(np.where(is_seen, step, 3 * n_steps)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(step - before <= after - step, before, after)
    guess = np.take_along_axis(frames, np.clip(nearest, 0, n_steps - 1), axis=1)
    guess[(nearest < 0) | (nearest >= n_steps)] = 0
    return np.where(is_hidden, guess, frames)
