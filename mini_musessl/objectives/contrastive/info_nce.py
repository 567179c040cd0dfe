"""InfoNCE: the surprise of each view when it picks its other half among all views of a batch.

Chapter: 4d (contrast).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

#: What is taken where none is given.
TEMPERATURE = 0.1


def info_nce(
    first: Float[Tensor, "n_windows d_projection"],
    second: Float[Tensor, "n_windows d_projection"],
    temperature: float = TEMPERATURE,
    is_false_negative: Bool[Tensor, "n_windows n_windows"] | None = None,
) -> Float[Tensor, ""]:
    r"""Return the mean surprise, in nats, of each view when it picks its other half among all views of the batch.

    With $n$ windows there are $2n$ views. View $i$ gives each candidate $j \ne i$ the probability
    $\exp(\cos(z_i, z_j)/\tau) / \sum_{k \ne i} \exp(\cos(z_i, z_k)/\tau)$; its surprise is minus the logarithm of what
    it gives its other half. Someone who guesses pays $\ln(2n - 1)$.

    Args:
        first: one vector a window, of its first view. Their lengths do not matter.
        second: the vectors of the second views, in the same order.
        temperature: cosines are divided by it, above 0. The smaller, the more the nearest wrong candidates count.
        is_false_negative: True for two windows that may not be told apart; neither is a candidate of the other. False
            on the diagonal. None where there are none. A view that has no wrong candidate left does not count.

    Returns:
        One number in nats, 0 or more.

    Raises:
        ValueError: a temperature of 0 or below, vectors of different shapes, no negatives at all, or a window that is
            called a false negative of itself.

    Example:
        >>> apart = torch.eye(4)
        >>> round(info_nce(apart, apart, temperature=1.0).item(), 4)  # ln(1 + 6 / e)
        1.1654

    References:
        Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (2020), equation 1. There
        all other views are negatives; leaving out those of the same hymn is ours. van den Oord et al.,
        "Representation Learning with Contrastive Predictive Coding" (2018), for the name.

    Chapter: 4d.
    """
    check_temperature(temperature)
    _check_pairs(first, second, is_false_negative)
    may_pick = _candidates(len(first), is_false_negative, first.device)
    other_half = torch.arange(2 * len(first), device=first.device).roll(len(first))
    # Cosines in 16 bits would be coarser than what a small temperature makes of them.
    with torch.autocast(first.device.type, enabled=False):
        points = functional.normalize(torch.cat((first, second)).float(), dim=1)
        scores = (points @ points.T / temperature).masked_fill(~may_pick, -math.inf)
        has_negative = may_pick.sum(dim=1) > 1
        return functional.cross_entropy(scores[has_negative], other_half[has_negative])


def _candidates(n_windows: int, is_false_negative: Tensor | None, device: torch.device) -> Tensor:
    """Say of every two views whether the one may pick the other, or refuse if there is no wrong candidate."""
    may_pick = ~torch.eye(2 * n_windows, dtype=torch.bool, device=device)
    if is_false_negative is not None:
        may_pick &= ~is_false_negative.repeat(2, 2)
    if n_windows < 2 or not bool((may_pick.sum(dim=1) > 1).any()):
        raise ValueError(
            f"A batch needs negatives; found {n_windows} window(s), none with a window of another hymn beside it. "
            "Draw more windows, from more pieces."
        )
    return may_pick


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that turns the choice upside down, or makes it no choice.

    Args:
        temperature: should be above 0.

    Raises:
        ValueError: it is not.

    Chapter: 4d.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature must be a finite number above 0; found {temperature}. Below 0 the least alike would be "
            "chosen; 0.1 is a common choice."
        )


def _check_pairs(first: Tensor, second: Tensor, is_false_negative: Tensor | None) -> None:
    """Refuse vectors that are no pairs, and false negatives that speak of other windows or of a window and itself."""
    if first.dim() != 2 or first.shape != second.shape:
        raise ValueError(
            "Both views need vectors (n_windows, d_projection) in the same order; found "
            f"{tuple(first.shape)} and {tuple(second.shape)}."
        )
    if is_false_negative is None:
        return
    if is_false_negative.shape != (len(first), len(first)) or is_false_negative.dtype != torch.bool:
        raise ValueError(
            f"is_false_negative must be True or False for every two of {len(first)} windows; found "
            f"{tuple(is_false_negative.shape)} of {is_false_negative.dtype}."
        )
    if bool(is_false_negative.diagonal().any()):
        raise ValueError(
            "A window is no false negative of itself: its other view is what must be found; found True on the "
            "diagonal. Set it to False."
        )
