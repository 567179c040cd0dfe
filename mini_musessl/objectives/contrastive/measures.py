"""Numbers for points on a sphere: are views near each other, do points spread, is the nearest one right?

Conventions:
    points: (n_points, d), one vector a window; only its direction counts.

Chapter: 4d (contrast).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def alignment(first: Float[Tensor, "n_points d"], second: Float[Tensor, "n_points d"]) -> float:
    """Return the mean squared distance of the two views of a window on the unit sphere.

    Args:
        first: vectors of the first views.
        second: of the second views, in the same order.

    Returns:
        0 where all views of a window coincide, 2 where they have nothing to do with each other, 4 at most.

    Example:
        >>> alignment(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
        2.0

    References:
        Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
        Hypersphere" (2020), equation for alpha = 2.

    Chapter: 4d.
    """
    return (functional.normalize(first) - functional.normalize(second)).square().sum(dim=1).mean().item()


def uniformity(points: Float[Tensor, "n_points d"]) -> float:
    """Return how evenly points lie on the unit sphere: the logarithm of the mean of exp(-2 squared distance).

    Args:
        points: at least 2.

    Returns:
        0 where all coincide, which is collapse; the lower, the more even; -4 at a mean squared distance of 2.

    Raises:
        ValueError: fewer than two points.

    Example:
        >>> abs(round(uniformity(torch.ones(3, 5)), 3))
        0.0

    References:
        Wang and Isola (2020), with t = 2.

    Chapter: 4d.
    """
    if len(points) < 2:
        raise ValueError(f"Uniformity compares points in pairs; found {len(points)}. Give at least 2.")
    unit = functional.normalize(points)
    squared = 2 - 2 * (unit @ unit.T)[~torch.eye(len(unit), dtype=torch.bool, device=unit.device)]
    return squared.clamp(min=0).mul(-2).exp().mean().log().item()


def effective_rank(points: Float[Tensor, "n_points d"]) -> float:
    """Return in how many directions points spread: the exponential of the entropy of the shares of the directions.

    The points are centred; a direction's share is its singular value divided by the sum of all. How far the points
    spread does not count: points that have nearly collapsed can still differ in many directions, which ``uniformity``
    sees through.

    Args:
        points: at least 2.

    Returns:
        1 where all lie on one line, at most min(n_points - 1, d); 0 where all coincide.

    Raises:
        ValueError: fewer than two points.

    Example:
        >>> round(effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 3)
        2.0

    References:
        Roy and Vetterli, "The Effective Rank: A Measure of Effective Dimensionality" (2007).

    Chapter: 4d.
    """
    if len(points) < 2:
        raise ValueError(f"A spread needs points to compare; found {len(points)}. Give at least 2.")
    centred = (points - points.mean(dim=0)).double()
    values = torch.linalg.svdvals(centred)
    if values[0] <= 1e-6 * points.double().norm() or values[0] == 0:  # what is left is rounding
        return 0.0
    share = values / values.sum()
    return torch.special.entr(share).sum().exp().item()


def recall_at_1(
    first: Float[Tensor, "n_windows d"],
    second: Float[Tensor, "n_windows d"],
    is_left_out: Bool[Tensor, "n_windows n_windows"] | None = None,
) -> tuple[float, float]:
    """Return how often a first view is nearest to its own second view, by cosine, and how often chance would be.

    Where several candidates are equally near, one of them is drawn; so a model that has collapsed scores chance.

    Args:
        first: vectors of the first views, which ask.
        second: of the second views, among which they choose.
        is_left_out: True for two windows of which neither is a candidate of the other; None where there are none.

    Returns:
        The share that is right, and the mean of 1 / number of candidates.

    Example:
        >>> recall_at_1(torch.eye(4), torch.eye(4)), recall_at_1(torch.ones(4, 2), torch.ones(4, 2))
        ((1.0, 0.25), (0.25, 0.25))

    Chapter: 4d.
    """
    is_candidate = torch.ones(len(first), len(first), dtype=torch.bool, device=first.device)
    if is_left_out is not None:
        is_candidate &= ~is_left_out
    near = functional.normalize(first) @ functional.normalize(second).T
    near = near.masked_fill(~is_candidate, -torch.inf)
    own = near.diagonal()[:, None]
    is_nearer, is_tied = near > own + 1e-6, (near - own).abs() <= 1e-6
    right = torch.where(is_nearer.any(dim=1), 0.0, 1 / is_tied.sum(dim=1))
    return right.mean().item(), (1 / is_candidate.sum(dim=1)).mean().item()
