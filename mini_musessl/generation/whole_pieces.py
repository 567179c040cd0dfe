"""Whole pieces through a network that reads a window: each cell is scored where it stands best.

A piece longer than the context is covered by windows of one length that overlap by half or more. Each step is answered
for by the window in which it stands farthest from a cut; the ends of the piece are no cuts.

Chapter: 4b (masking).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mini_musessl.masked_transformer import MaskedTransformer

#: Steps, of all windows together, that are read at once; more cost memory and gain no time.
N_STEPS_AT_ONCE = 4096


@torch.no_grad()
def score_cells(
    model: MaskedTransformer,
    frames: Int[Tensor, "batch n_steps n_voices"],
    is_hidden: Bool[Tensor, "batch n_steps n_voices"],
    first_step: int = 0,
) -> Float[Tensor, "batch n_steps n_voices vocabulary"]:
    """Score every symbol for every cell of pieces of one length, longer than the context or not.

    Args:
        model: put into evaluation mode.
        frames: symbol ids.
        is_hidden: True where a cell must not be seen; only the answers there are worth anything.
        first_step: index in its piece of the first frame.

    Returns:
        Logits, on the CPU. None depends on the ids of hidden cells.

    Raises:
        ValueError: as of ``FrameEncoder``.
        TypeError: as of ``FrameEncoder``.

    Example:
        >>> from mini_musessl.encoder import EncoderConfig
        >>> model = MaskedTransformer(EncoderConfig(context_length=8, d_model=16, d_feedforward=32, d_voice=24))
        >>> frames = torch.zeros(1, 20, 4, dtype=torch.long)
        >>> score_cells(model, frames, torch.ones_like(frames, dtype=torch.bool)).shape
        torch.Size([1, 20, 4, 47])

    Chapter: 4b.
    """
    model.eval()
    batch, n_steps = frames.shape[:2]
    longest = min(n_steps, model.config.context_length)
    starts = window_starts(n_steps, longest)
    window = best_window(n_steps, longest)
    place = torch.from_numpy(starts[:, None] + np.arange(longest))
    device = next(model.parameters()).device
    read, hides = (each[:, place].flatten(0, 1).to(device) for each in (frames, is_hidden))
    begins = torch.from_numpy(starts).repeat(batch).to(device) + first_step
    n_rows = max(1, N_STEPS_AT_ONCE // longest)
    parts = (each.split(n_rows) for each in (read, hides, begins))
    rows = [model(cells, hidden, None, begin) for cells, hidden, begin in zip(*parts, strict=True)]
    logits = torch.cat(rows).unflatten(0, (batch, len(starts))).float().cpu()
    return logits[:, window, np.arange(n_steps) - starts[window]]


def window_starts(n_steps: int, context_length: int) -> Int[np.ndarray, " n_windows"]:
    """Say where windows begin that cover a piece, neighbours overlapping by half of the context or more.

    Args:
        n_steps: length of the piece.
        context_length: steps of a window.

    Example:
        >>> window_starts(200, 128).tolist(), window_starts(100, 128).tolist()
        ([0, 36, 72], [0])

    Chapter: 4b.
    """
    beyond = max(0, n_steps - context_length)
    n_windows = 1 + -(-beyond // max(1, context_length // 2))
    return np.linspace(0, beyond, n_windows).round().astype(np.int64)


def best_window(n_steps: int, context_length: int) -> Int[np.ndarray, " n_steps"]:
    """Say which window answers for each step: the one in which it is farthest from a cut, the first of equals.

    Args:
        n_steps: length of the piece.
        context_length: steps of a window.

    Example:
        >>> best_window(8, 4).tolist()
        [0, 0, 0, 1, 1, 2, 2, 2]

    Chapter: 4b.
    """
    starts = window_starts(n_steps, context_length)[:, None]
    steps = np.arange(n_steps)
    # Where a window ends with the piece nothing is cut off, however near the end a step may be.
    before = np.where(starts == 0, n_steps, steps - starts)
    after = np.where(starts + context_length >= n_steps, n_steps, starts + context_length - 1 - steps)
    is_inside = (steps >= starts) & (steps < starts + context_length)
    return np.where(is_inside, np.minimum(before, after), -1).argmax(axis=0)
