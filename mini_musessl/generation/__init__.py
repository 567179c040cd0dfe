"""Generation: draw music from a trained model, one cell after another or block by block.

Each idea has a module: ``rules`` (temperature, top-k, top-p), ``readers`` (either kind of network, asked for one cell
after another, with a cache), ``particles`` (several drafts, of which the likelier go on), ``drawing`` (tokens and
frames, some of them given), ``whole_pieces`` and ``filling`` (what is hidden in a score, drawn by a masked network) and
``grids`` (continue a piece, harmonise a melody, fill what is missing). ``requests`` refuses what cannot be done.

Chapter: 00 (used), 4b (filling), 9a (sampling), 9b (continuing, harmonising).
"""

from mini_musessl.generation.gibbs import infill, resampled_share
from mini_musessl.generation.pieces import continue_piece, harmonise, harmonise_by_infilling, infill_piece
from mini_musessl.generation.sampling import apply_temperature, keep_top_k, keep_top_p, sample, sample_frames

__all__ = [
    "apply_temperature",
    "continue_piece",
    "harmonise",
    "harmonise_by_infilling",
    "infill",
    "infill_piece",
    "keep_top_k",
    "keep_top_p",
    "resampled_share",
    "sample",
    "sample_frames",
]
