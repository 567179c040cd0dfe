"""Generation: ``sampling`` (from left to right), ``gibbs`` (what is hidden in a score) and ``pieces`` (whole ones).

Chapter: 00 (used), 4b (filling), 9a (sampling), 9b (continuing, harmonising).
"""

from mini_musessl.generation.gibbs import infill, resampled_share
from mini_musessl.generation.pieces import continue_piece, harmonise, harmonise_by_infilling, infill_piece
from mini_musessl.generation.sampling import Sampling, keep_top_k, keep_top_p, sample, sample_frames

__all__ = [
    "Sampling",
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
