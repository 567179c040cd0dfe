"""What every loss refuses: nothing to learn from, and targets that are no ids of the vocabulary.

Chapter: 4a (next token), 5d (next frame).
"""

from __future__ import annotations

import torch
from torch import Tensor


def check_types(targets: Tensor, is_padding: Tensor | None) -> None:
    """Refuse what PyTorch would take for indices or weights.

    Args:
        targets: ids.
        is_padding: True where there is no target; None where every position has one.

    Raises:
        TypeError: targets that are not whole numbers, or padding that is not True and False.
    """
    if targets.is_floating_point() or targets.dtype == torch.bool:
        raise TypeError(f"targets must be token ids, whole numbers; found {targets.dtype}. Are they probabilities?")
    if is_padding is not None and is_padding.dtype != torch.bool:
        raise TypeError(
            f"is_padding must be True or False at every position; found {is_padding.dtype}. Compare first, such as "
            "weights == 0."
        )


def check_some(n_targets: int) -> None:
    """Refuse a mean over nothing.

    Args:
        n_targets: how many targets there are that are no padding.

    Raises:
        ValueError: there is none.
    """
    if n_targets == 0:
        raise ValueError("The loss needs at least one target; found only padding. Is the batch empty?")


def check_range(lowest: int, highest: int, vocabulary_size: int) -> None:
    """Refuse targets that the model cannot predict.

    Args:
        lowest: smallest target.
        highest: largest target.
        vocabulary_size: symbols that are scored.

    Raises:
        ValueError: a target is none of them.
    """
    if lowest < 0 or highest >= vocabulary_size:
        raise ValueError(
            f"Targets must lie in 0..{vocabulary_size - 1}; found {lowest}..{highest}. "
            "Was the music encoded with another vocabulary, or is padding unmarked?"
        )
