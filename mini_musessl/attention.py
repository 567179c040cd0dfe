"""Attention: each position looks at the others and takes a weighted mean of what they hold.

Conventions:
    queries, keys, values: the last two axes are (time, width); any axes before them are carried along.
    may_attend: True where a query may look at a key. PyTorch's own layers differ among themselves here: True means
        "look" in ``scaled_dot_product_attention`` and "do not look" in ``MultiheadAttention``.

Chapter: 5a (attention from scratch), 5b (positions).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mini_musessl.music import whole_number

KeysAndValues = tuple[Tensor, Tensor]


def scaled_dot_product(
    queries: Float[Tensor, "*heads n_queries d_head"],
    keys: Float[Tensor, "*heads n_keys d_head"],
    values: Float[Tensor, "*heads n_keys d_value"],
    may_attend: Bool[Tensor, "*#heads n_queries n_keys"] | None = None,
) -> Float[Tensor, "*heads n_queries d_value"]:
    r"""Mix the values, each weighted by how well its key fits the query.

    Computes :math:`\operatorname{softmax}(QK^\top/\sqrt{d})\,V`. Written as matrix products: at a few hundred
    positions on a CPU they are faster forwards and backwards than PyTorch's fused kernel.

    Args:
        queries: what each position looks for.
        keys: what each position offers.
        values: what each position hands over.
        may_attend: True where a query may look at a key; None lets all look at all. Each query needs one key.

    Returns:
        One mixed value a query.

    Example:
        >>> same = torch.ones(1, 3, 2)
        >>> scaled_dot_product(same, same, torch.tensor([[[0.0], [3.0], [6.0]]])).flatten().tolist()
        [3.0, 3.0, 3.0]

    References:
        Vaswani et al., "Attention Is All You Need" (2017), equation 1.

    Chapter: 5a.
    """
    scores = (queries / math.sqrt(queries.shape[-1])) @ keys.transpose(-2, -1)
    if may_attend is not None:
        # Adding minus infinity costs half the time of masked_fill, whose backward pass fills once more.
        scores = scores + torch.zeros_like(may_attend, dtype=scores.dtype).masked_fill(~may_attend, -math.inf)
    return scores.softmax(dim=-1) @ values


def causal_rule(n_queries: int, n_keys: int, device: torch.device | str = "cpu") -> Bool[Tensor, "n_queries n_keys"]:
    """Say who may look at whom when nobody may look ahead.

    The last query stands at the last key; with a key-value cache there are fewer queries than keys.

    Args:
        n_queries: positions that look.
        n_keys: positions that are looked at, at least ``n_queries``.
        device: where to put the result.

    Returns:
        True where the key is not later than the query.

    Raises:
        ValueError: there are fewer keys than queries, so that the first queries could look nowhere.

    Example:
        >>> causal_rule(2, 3).int().tolist()
        [[1, 1, 0], [1, 1, 1]]

    Chapter: 5a.
    """
    if n_keys < n_queries:
        raise ValueError(
            f"Each query needs a key that is not later than itself, so n_keys must be at least n_queries = "
            f"{n_queries}; found {n_keys}. Count the keys of the past and of the queries themselves."
        )
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


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
    if d_head % 2:
        raise ValueError(f"d_head must be even, because features turn in pairs; found {d_head}.")
    speeds = 10_000.0 ** (-torch.arange(0, d_head, 2, device=device) / d_head)
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
        >>> quarter_turn = torch.tensor([[math.pi / 2]])
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


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own slice of the features.

    Args:
        d_model: width of inputs and outputs.
        n_heads: attentions side by side; must divide ``d_model``.

    Raises:
        ValueError: there is no head, or the heads do not divide the width.

    Chapter: 5a.
    """

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        if d_model % whole_number("n_heads", n_heads, lowest=1):
            raise ValueError(f"n_heads must divide d_model; found {n_heads} heads for a width of {d_model}.")
        self.n_heads = n_heads
        self.to_queries_keys_values = nn.Linear(d_model, 3 * d_model, bias=False)
        self.to_output = nn.Linear(d_model, d_model, bias=False)

    def forward(
        self,
        features: Float[Tensor, "batch time d_model"],
        may_attend: Bool[Tensor, "*rule"] | None = None,
        angles: Float[Tensor, "time half"] | None = None,
        past: KeysAndValues | None = None,
    ) -> tuple[Float[Tensor, "batch time d_model"], KeysAndValues]:
        """Let each position look at the positions that its rule allows.

        Args:
            features: one vector a position.
            may_attend: (time, n_keys) or (batch, 1, time, n_keys), True where a position may look.
            angles: rotary angles of these positions; None for no rotation.
            past: keys and values of earlier positions, from an earlier call.

        Returns:
            The new features, and the keys and values of all positions so far.
        """
        batch, time, d_model = features.shape
        split = self.to_queries_keys_values(features).view(batch, time, 3, self.n_heads, d_model // self.n_heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # each: batch, head, time, d_head
        if angles is not None:
            queries, keys = rotate(queries, angles), rotate(keys, angles)
        if past is not None:
            keys, values = torch.cat((past[0], keys), dim=2), torch.cat((past[1], values), dim=2)
        mixed = scaled_dot_product(queries, keys, values, may_attend)
        return self.to_output(mixed.transpose(1, 2).reshape(batch, time, d_model)), (keys, values)
