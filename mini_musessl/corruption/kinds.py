"""The kinds of hiding by name, and several of them in one batch.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

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

    Args:
        hide: a hider, or ``functools.partial`` of one.

    Example:
        >>> weigher_of(hide_orderless).__name__, weigher_of(partial(hide_notes, share=0.5)).__name__
        ('orderless_weights', 'equal_weights')

    Chapter: 4b.
    """
    return orderless_weights if _without_settings(hide) is hide_orderless else equal_weights


def may_hide_all(hide: Hider) -> bool:
    """Say whether a kind of hiding leaves nothing of a window now and then: ``hide_orderless``, and mixtures with it.

    Args:
        hide: a hider, or ``functools.partial`` of one.

    Example:
        >>> may_hide_all(hide_orderless), may_hide_all(hide_mixed)
        (True, False)
        >>> may_hide_all(partial(hide_mixed, kinds=[hide_bars, hide_orderless]))
        True

    Chapter: 4b.
    """
    if _without_settings(hide) is hide_mixed and isinstance(hide, partial):
        return any(may_hide_all(kind) for kind in hide.keywords.get("kinds", ()))
    return _without_settings(hide) is hide_orderless


def _without_settings(hide: Hider) -> Hider:
    """Return the function inside ``functools.partial``."""
    while isinstance(hide, partial):
        hide = hide.func
    return hide


def hide_mixed(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    kinds: Sequence[Hider] = (hide_cells, hide_spans, hide_bars, hide_voices, hide_notes),
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide in each window by one of several kinds, each equally likely.

    All hidden cells weigh the same (``weigher_of``), in the windows of ``hide_orderless`` too where it is among the
    kinds: windows with more hidden count more, and the loss is no orderless likelihood.

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
