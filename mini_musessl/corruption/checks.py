"""What every hider refuses: no frames, padding before music or nothing else, and hiding nothing or all.

Chapter: 4b.
"""

from __future__ import annotations

from numbers import Real

import numpy as np

from mini_musessl.windows.token_windows import check_generator


def check_frames(frames: np.ndarray, is_padding: np.ndarray) -> np.ndarray:
    """Return how many steps of music each window holds, or refuse what is no batch of windows.

    Args:
        frames: should be whole numbers (n_windows, n_steps, n_voices).
        is_padding: should be True and False, (n_windows, n_steps), True only at the end of a window.

    Returns:
        int64 (n_windows,), each at least 1.

    Raises:
        ValueError: another shape, padding before music, or a window of nothing but padding.
        TypeError: something other than arrays, frames that are no whole numbers, or padding that is not True and False.
    """
    _check_arrays(frames, is_padding)
    if frames.ndim != 3 or frames.size == 0:
        raise ValueError(
            f"Cells are hidden in windows of the shape (n_windows, n_steps, n_voices), none of them 0; found "
            f"{frames.shape}. For one piece, put it into a batch: frames[None]."
        )
    if frames.dtype.kind not in "iu":
        raise TypeError(f"Frames must be whole symbol ids; found {frames.dtype}. Encode the music first.")
    if is_padding.dtype != np.bool_:
        raise TypeError(
            f"is_padding must be True beyond the end of the music and False in it; found {is_padding.dtype}. Compare "
            "first."
        )
    if is_padding.shape != frames.shape[:2]:
        raise ValueError(
            f"is_padding must say one thing of each step, {frames.shape[:2]}; found {is_padding.shape}. For no "
            "padding: np.zeros(frames.shape[:2], bool)."
        )
    n_music = (~is_padding).sum(axis=1)
    if n_music.min() == 0:
        raise ValueError(
            f"Each window needs music; window {int(n_music.argmin())} is nothing but padding. Leave it out."
        )
    if (is_padding[:, :-1] & ~is_padding[:, 1:]).any():
        raise ValueError("Padding stands at the end of a window; found music after padding. Pad at the end.")
    return n_music


def _check_arrays(frames: object, is_padding: object) -> None:
    """Refuse lists, tensors and whatever else is no NumPy array."""
    for name, given in (("frames", frames), ("is_padding", is_padding)):
        if not isinstance(given, np.ndarray):
            raise TypeError(
                f"{name} must be a NumPy array; found {type(given).__name__}. Hide in the arrays of a "
                "windows.FrameBatch, or make one by np.asarray."
            )


def check_hider(
    frames: np.ndarray, is_padding: np.ndarray, generator: np.random.Generator, hider: str, share: float = 0.5
) -> np.ndarray:
    """Return how many steps of music each window holds, or refuse what a hider cannot work with.

    Args:
        frames: see ``check_frames``.
        is_padding: see ``check_frames``.
        generator: should be a NumPy generator.
        hider: name of the function that hides, for the message.
        share: should lie between 0 and 1.

    Raises:
        ValueError: as of ``check_frames``, or a share that hides nothing or all.
        TypeError: as of ``check_frames``, another generator, or a share that is no number.
    """
    check_generator(generator, hider)
    if not isinstance(share, Real) or isinstance(share, bool):
        raise TypeError(f"share must be a number, the part of the cells that is hidden; found {share!r}.")
    if not 0 < share < 1:
        raise ValueError(
            f"share, the part of the cells that is hidden, must lie above 0 and below 1; found {share}. With nothing "
            "hidden nothing is asked, and with all hidden there is nothing to answer from."
        )
    return check_frames(frames, is_padding)


def check_room(n_music: np.ndarray, n_needed: int, reason: str) -> None:
    """Refuse windows that are too short.

    Args:
        n_music: steps of music in each window.
        n_needed: steps that each must have.
        reason: what needs them; the middle of a sentence.

    Raises:
        ValueError: a window has fewer.
    """
    if n_music.min() < n_needed:
        raise ValueError(
            f"A window needs at least {n_needed} steps of music {reason}; window {int(n_music.argmin())} has "
            f"{n_music.min()}. Cut longer windows, or hide less at once."
        )
