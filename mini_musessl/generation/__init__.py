"""Generation: draw music from a trained model, one cell after another.

Each idea has a module: ``rules`` (temperature, top-k, top-p), ``readers`` (either kind of network, asked for one cell
after another, with a cache), ``particles`` (several drafts, of which the likelier go on), ``drawing`` (tokens and
frames, some of them given) and ``grids`` (continue a piece, harmonise a melody). ``requests`` refuses what cannot be
done.

Chapter: 00 (used), 9a (sampling), 9b (continuing, harmonising).
"""

from __future__ import annotations

from mini_musessl.generation.drawing import sample, sample_frames
from mini_musessl.generation.grids import continue_piece, harmonise
from mini_musessl.generation.rules import apply_temperature, keep_top_k, keep_top_p

__all__ = [
    "apply_temperature",
    "continue_piece",
    "harmonise",
    "keep_top_k",
    "keep_top_p",
    "sample",
    "sample_frames",
]
