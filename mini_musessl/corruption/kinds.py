"""The kinds of hiding by name, and several of them in one batch.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl.corruption.cells import hide_cells, hide_orderless
from mini_musessl.corruption.checks import check_hider
from mini_musessl.corruption.notes import hide_notes
from mini_musessl.corruption.stretches import hide_bars, hide_spans, hide_voices
from mini_musessl.corruption.weights import equal_weights, orderless_weights

Hider = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
Weigher = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Every kind of hiding by its name. All but "orderless" hide about a quarter.
HIDERS: dict[str, Hider] = {
    "cells": hide_cells,
    "spans": hide_spans,
    "bars": hide_bars,
    "voices": hide_voices,
    "notes": hide_notes,
    "orderless": hide_orderless,
}


def weigher_of(hide: Hider) -> Weigher:
    """Return the weights that belong to a kind of hiding: those of ``hide_orderless``, and equal ones for all else.

    Example:
        >>> weigher_of(hide_orderless).__name__, weigher_of(hide_notes).__name__
        ('orderless_weights', 'equal_weights')

    Chapter: 4b.
    """
    return orderless_weights if hide is hide_orderless else equal_weights


def hide_mixed(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    kinds: Sequence[Hider] = (hide_cells, hide_spans, hide_bars, hide_voices, hide_notes),
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide in each window by one of several kinds, each equally likely.

    Args:
        frames: symbol ids.
        is_padding: True beyond the end of the piece.
        generator: source of chance.
        kinds: hiders to draw from.

    Raises:
        ValueError: no kinds, or as of the hiders.
        TypeError: as of the hiders.

    Example:
        >>> frames, is_padding = np.zeros((2, 32, 4), int), np.zeros((2, 32), bool)
        >>> is_hidden = hide_mixed(frames, is_padding, np.random.default_rng(2), [hide_bars, hide_voices])
        >>> is_hidden.sum(axis=(1, 2)).tolist()
        [32, 64]

    Chapter: 4b.
    """
    check_hider(frames, is_padding, generator, "hide_mixed")
    if not len(kinds):
        raise ValueError("hide_mixed needs at least one kind of hiding; found none.")
    drawn = generator.integers(len(kinds), size=len(frames))
    is_hidden = np.zeros(frames.shape, bool)
    for kind in np.unique(drawn):
        rows = drawn == kind
        is_hidden[rows] = kinds[kind](frames[rows], is_padding[rows], generator)
    return is_hidden
