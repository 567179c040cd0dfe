"""Corruption: what a network may not see, so that it can be asked for it.

Every hider is a function ``hide(frames, is_padding, generator, **settings)`` that returns ``is_hidden``. They differ in
what stays visible beside a hidden cell, and so in what must be known to name it. Settings are fixed with
``functools.partial``.

Conventions:
    frames: int (n_windows, n_steps, n_voices), the ids of every step, highest voice first.
    is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
    is_hidden: bool, as frames: True where a cell, one voice at one step, must not be seen. Never True on padding.
    weights: float32, as frames: how much a cell counts in the loss; 0 where it is not asked for.

NumPy only.

Chapter: 4b (masking).
"""

from __future__ import annotations

from mini_musessl.corruption.cells import hide_cells, hide_orderless
from mini_musessl.corruption.copying import copy_next_door
from mini_musessl.corruption.kinds import HIDERS, Hider, Weigher, hide_mixed, may_hide_all, weigher_of
from mini_musessl.corruption.notes import hide_notes
from mini_musessl.corruption.stretches import hide_bars, hide_spans, hide_voices
from mini_musessl.corruption.weights import equal_weights, orderless_weights

__all__ = [
    "HIDERS",
    "Hider",
    "Weigher",
    "copy_next_door",
    "equal_weights",
    "hide_bars",
    "hide_cells",
    "hide_mixed",
    "hide_notes",
    "hide_orderless",
    "hide_spans",
    "hide_voices",
    "may_hide_all",
    "orderless_weights",
    "weigher_of",
]
