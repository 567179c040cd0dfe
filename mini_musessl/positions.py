"""Positions: how attention, which reads its input as a bag, learns what stands where.

Absolute positions (sinusoidal, learned) are added to the features. Relative ones speak of distances alone: learned
ones add a score for each distance, rotary ones turn queries and keys.

Chapter: 5b (positions).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

#: The kinds that a network can be told of: see ``transformer.TransformerConfig``.
KINDS = ("none", "sinusoidal", "learned", "relative", "rotary")


def sinusoidal(
    first_position: int, n_positions: int, d_model: int, device: torch.device | str = "cpu"
) -> Float[Tensor, "time d_model"]:
    """Describe each position by sines and cosines: hands of clocks that turn at different speeds.

    Features 2i and 2i + 1 are the sine and the cosine of one clock; the first turns by one radian a position, the last
    by about 1/10,000. A step of any length turns every clock by a fixed angle, wherever it begins.

    Args:
        first_position: position of the first row; above 0 when a cache holds what came before.
        n_positions: how many positions, one after another.
        d_model: features a position, an even number.
        device: where to put the result.

    Returns:
        Numbers from -1 to 1.

    Raises:
        ValueError: d_model is odd.

    Example:
        >>> sinusoidal(0, 2, 4).round(decimals=2).tolist()
        [[0.0, 1.0, 0.0, 1.0], [0.8399999737739563, 0.5400000214576721, 0.009999999776482582, 1.0]]

    References:
        Vaswani et al., "Attention Is All You Need" (2017), section 3.5.

    Chapter: 5b.
    """
    angles = _angles("d_model", first_position, n_positions, d_model, device)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


def rotary_angles(
    first_position: int, n_positions: int, d_head: int, device: torch.device | str = "cpu"
) -> Float[Tensor, "time half"]:
    """Give each position an angle for each pair of features: from one radian a position down to 1/10,000.

    Args:
        first_position: position of the first angle; above 0 when a cache holds what came before.
        n_positions: how many positions, one after another.
        d_head: features a head, an even number; each pair gets its own speed.
        device: where to put the result.

    Returns:
        Angles in radians.

    Raises:
        ValueError: d_head is odd.

    References:
        Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding" (2021), section 3.2.2.

    Chapter: 5b.
    """
    return _angles("d_head", first_position, n_positions, d_head, device)


def _angles(name: str, first_position: int, n_positions: int, width: int, device: torch.device | str) -> Tensor:
    """Return position times speed for each pair of features."""
    if width % 2:
        raise ValueError(f"{name} must be even, because features turn in pairs; found {width}.")
    speeds = 10_000.0 ** (-torch.arange(0, width, 2, device=device) / width)
    positions = torch.arange(first_position, first_position + n_positions, device=device)
    return positions[:, None] * speeds


def rotate(
    features: Float[Tensor, "*heads time d_head"], angles: Float[Tensor, "time half"]
) -> Float[Tensor, "*heads time d_head"]:
    """Turn each pair of features by its angle.

    Feature i is paired with feature i + d_head / 2. The product of a turned query and a turned key depends on the
    distance of their positions alone, so attention learns "four tokens back" once, not once a position.

    Args:
        features: queries or keys.
        angles: from ``rotary_angles``.

    Returns:
        The features, turned; their lengths do not change.

    Raises:
        ValueError: the angles are not one a position and pair of features.

    References:
        Su et al. (2021), equation 34; the pairing by halves is that of most later code.

    Example:
        >>> quarter_turn = torch.tensor([[torch.pi / 2]])
        >>> rotate(torch.tensor([[1.0, 0.0]]), quarter_turn).round().tolist()
        [[-0.0, 1.0]]

    Chapter: 5b.
    """
    needed = (features.shape[-2], features.shape[-1] // 2)
    if angles.shape != needed:
        raise ValueError(
            f"Rotation needs one angle a position and pair of features, {needed}; found {tuple(angles.shape)}. "
            "Make the angles with rotary_angles for these positions and this d_head."
        )
    cos, sin = angles.cos().to(features.dtype), angles.sin().to(features.dtype)
    first, second = features.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def relative_scores_naive(
    queries: Float[Tensor, "*heads n_queries d_head"],
    distances: Float[Tensor, "*#heads n_distances d_head"],
    n_keys: int,
) -> Float[Tensor, "*heads n_queries n_keys"]:
    """Score each pair of a query and a key by their distance, in the obvious way.

    Writes out one vector for each pair, (n_queries, n_keys, d_head) numbers a head, before it multiplies: the memory
    grows with the square of the length times the width. ``relative_scores`` gives the same without.

    Args:
        queries: what each position looks for.
        distances: a vector for each distance "key minus query", from ``1 - n_keys`` up: ``n_keys`` of them where nobody
            looks ahead, ``n_queries - 1`` more where both ways are allowed.
        n_keys: positions that are looked at; the last query stands at the last key.

    Returns:
        One score a pair. Where the distances end at 0, the scores of later keys mean nothing: hide them.

    Raises:
        ValueError: the distances are not as many as queries and keys ask for.

    References:
        Shaw, Uszkoreit and Vaswani, "Self-Attention with Relative Position Representations" (2018), equation 5,
        without clipping.

    Chapter: 5b.
    """
    n_queries, n_distances = _check_distances(queries, distances, n_keys)
    row = torch.arange(n_queries, device=queries.device)[:, None]
    column = torch.arange(n_keys, device=queries.device)
    which = (column - row + n_queries - 1).clamp(max=n_distances - 1)
    vectors = distances[..., which, :]  # *heads, query, key, d_head
    return torch.einsum("...qd,...qkd->...qk", queries, vectors)


def relative_scores(
    queries: Float[Tensor, "*heads n_queries d_head"],
    distances: Float[Tensor, "*#heads n_distances d_head"],
    n_keys: int,
) -> Float[Tensor, "*heads n_queries n_keys"]:
    """Score each pair of a query and a key by their distance, by Music Transformer's skewing.

    Multiplies every query with every distance, which gives a table with one column a distance, and then moves row i of
    the table so that its columns become keys. No vector is copied: the memory is that of the distances, length times
    width, and of the scores, which attention has anyway.

    Args:
        queries: what each position looks for.
        distances: a vector for each distance "key minus query", from ``1 - n_keys`` up: ``n_keys`` of them where nobody
            looks ahead, ``n_queries - 1`` more where both ways are allowed.
        n_keys: positions that are looked at; the last query stands at the last key.

    Returns:
        One score a pair. Where the distances end at 0, the scores of later keys mean nothing: hide them.

    Raises:
        ValueError: the distances are not as many as queries and keys ask for.

    Example:
        >>> distances = torch.tensor([[2.0], [1.0], [0.0]])  # two back, one back, here
        >>> relative_scores(torch.ones(3, 1), distances, n_keys=3).tril()
        tensor([[0., 0., 0.],
                [1., 0., 0.],
                [2., 1., 0.]])

    References:
        Huang et al., "Music Transformer" (2019), section 3.4; generalised to fewer queries than keys and to looking
        ahead.

    Chapter: 5b.
    """
    _check_distances(queries, distances, n_keys)
    return skew(queries @ distances.transpose(-2, -1))[..., :n_keys]


def skew(table: Float[Tensor, "*heads n_queries width"]) -> Float[Tensor, "*heads n_queries width"]:
    """Move row i of n rows to the left by n - 1 - i places.

    What leaves a row on its left comes back as the end of the row above: these places must not be used. A column of
    zeros is put in front, and the numbers are read again, from the n-th on, in rows of the old width.

    Args:
        table: one row a query, one column a distance.

    Returns:
        One row a query, one column a key.

    Example:
        >>> skew(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]))
        tensor([[3., 0., 4.],
                [5., 6., 0.],
                [7., 8., 9.]])

    References:
        Huang et al. (2019), section 3.4 and figure 1.

    Chapter: 5b.
    """
    n_queries = table.shape[-2]
    padded = nn.functional.pad(table, (1, 0))
    return padded.flatten(-2)[..., n_queries:].view(table.shape)


def _check_distances(queries: Tensor, distances: Tensor, n_keys: int) -> tuple[int, int]:
    """Return how many queries and distances there are, or refuse a number of distances that does not fit."""
    n_queries, n_distances = queries.shape[-2], distances.shape[-2]
    if n_keys < n_queries or n_distances not in (n_keys, n_keys + n_queries - 1):
        raise ValueError(
            f"Relative scores of {n_queries} queries and {n_keys} keys need at least as many keys as queries, and "
            f"{n_keys} distances to look back or {n_keys + n_queries - 1} to look both ways; found {n_distances}. "
            "Is the sequence longer than the table of distances?"
        )
    return n_queries, n_distances
