"""Chorales as the benchmark counts them: four ids a step, 47 symbols.

Chapter: 2a (counting), 8b (the chorale benchmark).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import voices
from mini_musessl.tokenizers import VoiceGridTokens

#: The tokens of the benchmark: rest is 0, pitches 36 to 81 are 1 to 46; four a step, four steps a quarter.
TOKENS = VoiceGridTokens()
#: How many symbols there are.
N_SYMBOLS = TOKENS.vocabulary.size


def encode_chorales(pieces: Sequence[voices.VoiceGrid | ArrayLike]) -> list[np.ndarray]:
    """Turn chorales into ids.

    Args:
        pieces: at least one; each a VoiceGrid of four voices, or MIDI pitches (n_steps, 4) with -1 for a rest.

    Returns:
        int64 (n_steps, 4) for each piece.

    Raises:
        ValueError: no pieces or an empty one, pitches outside 36..81, another shape or grid.
        TypeError: a single grid in place of a list.

    Example:
        >>> encode_chorales([[[72, 67, 64, -1]]])[0].tolist()
        [[37, 32, 29, 0]]

    Chapter: 2a, 8b.
    """
    if isinstance(pieces, voices.VoiceGrid):
        raise TypeError("Chorales come in a list; found one VoiceGrid. Put it into a list.")
    grids = [piece if isinstance(piece, voices.VoiceGrid) else _as_grid(piece) for piece in pieces]
    if not grids or not all(grid.n_steps for grid in grids):
        raise ValueError("At least one chorale is needed, and a step in each; found none. Is the split empty?")
    return [TOKENS.encode(grid).astype(np.int64).reshape(-1, 4) for grid in grids]


def _as_grid(pitch: ArrayLike) -> voices.VoiceGrid:
    """Return MIDI pitches as a grid, or refuse another shape."""
    array = np.asarray(pitch)
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iu":
        raise ValueError(
            "A chorale must be a VoiceGrid or MIDI pitches of the shape (n_steps, 4), -1 for a rest; found an array of "
            f"shape {array.shape} and type {array.dtype}."
        )
    return voices.from_pitches(array)
