"""What a network that reads frames refuses.

Chapter: 5d.
"""

from __future__ import annotations

import torch
from torch import Tensor


def check_form(frames: Tensor, n_voices: int) -> None:
    """Refuse what is not rows of frames of whole numbers.

    Args:
        frames: what the caller gave.
        n_voices: voices of a frame.

    Raises:
        ValueError: another shape.
        TypeError: the ids are not whole numbers.

    Chapter: 5d.
    """
    if frames.dim() != 3 or frames.shape[2] != n_voices:
        raise ValueError(
            f"The network reads frames of the shape (batch, n_steps, {n_voices}); found {tuple(frames.shape)}. "
            "For one piece, put it into a batch: frames[None]."
        )
    if frames.is_floating_point() or frames.dtype == torch.bool:
        raise TypeError(f"Frames must be whole numbers; found {frames.dtype}. Encode the music with a tokenizer first.")


def check_size(n_rows: int, n_steps: int, longest: int) -> None:
    """Refuse more steps than the context holds, and nothing.

    Args:
        n_rows: sequences that are read side by side.
        n_steps: positions that they take.
        longest: the ``context_length`` of the network.

    Raises:
        ValueError: no row, no step, or too many.

    Chapter: 5d.
    """
    if not 0 < n_steps <= longest or n_rows == 0:
        raise ValueError(
            f"The network reads at least one row, and 1 to context_length = {longest} steps; found "
            f"{(n_rows, n_steps)}. Cut windows, or make a network with a longer context."
        )


def check_ids(frames: Tensor, vocabulary_size: int) -> None:
    """Refuse ids of another vocabulary.

    Args:
        frames: at least one id.
        vocabulary_size: symbols that the network knows, from 0.

    Raises:
        ValueError: an id lies outside.

    Chapter: 5d.
    """
    lowest, highest = int(frames.min()), int(frames.max())
    if lowest < 0 or highest >= vocabulary_size:
        raise ValueError(
            f"Ids of symbols must lie in 0..{vocabulary_size - 1}; found {lowest}..{highest}. "
            "Was the music encoded with another vocabulary?"
        )
