"""Windows: pieces of any length become rectangular batches for a network.

A window of tokens holds ``context_length`` inputs and, beside each, its target: the token that follows. A window of
frames holds ``n_steps`` steps with all their voices; it is input and target in one. No window crosses from one piece
into the next.

Conventions:
    pieces: a sequence of integer arrays of token ids, one array a piece: (n_tokens,) or, for frames, (n_steps, 4).
    token_ids: (n_windows, context_length), what a network of tokens reads.
    targets: (n_windows, context_length); ``targets[w, i]`` follows ``token_ids[w, i]``.
    frames: (n_windows, n_steps, 4), the ids of all voices, soprano first.
    is_padding: True beyond the end of the piece: nothing is to be learned there.

NumPy only: tensors are made at the door of training.

Chapter: 00 (the road in five minutes), 5d (frames), 6a (the loop).
"""

from __future__ import annotations

from mini_musessl.windows.frame_windows import FrameBatch, random_frame_batches
from mini_musessl.windows.token_windows import Batch, cut_windows, random_batches
from mini_musessl.windows.transposition import allowed_intervals, transpose_ids

__all__ = [
    "Batch",
    "FrameBatch",
    "allowed_intervals",
    "cut_windows",
    "random_batches",
    "random_frame_batches",
    "transpose_ids",
]
