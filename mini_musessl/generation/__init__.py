"""Generation: draw music from a trained model, one cell after another or block by block.

Each idea has a module: ``rules`` (temperature, top-k, top-p), ``readers`` (either kind of network, asked for one cell
after another, with a cache), ``particles`` (several drafts, of which the likelier go on), ``drawing`` (tokens and
frames, some of them given), ``whole_pieces`` and ``filling`` (what is hidden in a score, drawn by a masked network) and
``grids`` (continue a piece, harmonise a melody, fill what is missing). ``requests`` refuses what cannot be done.

Chapter: 00 (used), 4b (filling), 9a (sampling), 9b (continuing, harmonising).
"""

from __future__ import annotations

from mini_musessl.generation.drawing import sample, sample_frames
from mini_musessl.generation.filling import fill, resampled_share
from mini_musessl.generation.grids import continue_piece, fill_piece, harmonise, harmonise_by_filling
from mini_musessl.generation.rules import apply_temperature, keep_top_k, keep_top_p

__all__ = [
    "apply_temperature",
    "continue_piece",
    "fill",
    "fill_piece",
    "harmonise",
    "harmonise_by_filling",
    "keep_top_k",
    "keep_top_p",
    "resampled_share",
    "sample",
    "sample_frames",
]
