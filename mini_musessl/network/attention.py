"""Attention, parts before the whole: positions, masks, the weighted mean, the KV cache, several heads side by side.

Conventions:
    may_attend: True where a query may look at a key, as in PyTorch's ``scaled_dot_product_attention``;
        ``nn.MultiheadAttention`` uses the opposite convention. The last query stands at the last key: with a cache
        there are more keys than queries.
    distances: an embedding vector for each distance "key minus query", from ``1 - n_keys`` up to 0 where no query looks
        ahead, up to ``n_queries - 1`` where both ways are allowed.

References: Vaswani et al., "Attention Is All You Need" (2017), equation 1 and sections 3.2 and 3.5; Shaw, Uszkoreit and
Vaswani, "Self-Attention with Relative Position Representations" (2018), equation 5, without clipping; Huang et al.,
"Music Transformer" (2019), section 3.4; Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding"
(2021), section 3.2.2 and equation 34.

Chapter: 5a (attention), 5b (positions), 5c (the cache).
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

#: What a network can be told of positions. Absolute ones (sinusoidal, learned) are added to the features; relative ones
#: add a learned score for each distance; rotary ones turn queries and keys.
POSITIONS = ("none", "sinusoidal", "learned", "relative", "rotary")

Features, Angles = Float[Tensor, "batch time d_model"], Float[Tensor, "time half"]
Queries, Keys = Float[Tensor, "*heads n_queries d_head"], Float[Tensor, "*heads n_keys d_head"]
Distances, Scores = Float[Tensor, "*#heads n_distances d_head"], Float[Tensor, "*heads n_queries n_keys"]
Mask = Bool[Tensor, "*mask"]
Device = torch.device | str

# --- positions: attention reads its input as a bag, and must be told what stands where


def position_angles(first: int, n: int, width: int, device: Device = "cpu") -> Angles:
    """Return an angle for each of n positions and each pair of features: from one radian per position to 1/10,000.

    The ``first`` position is above 0 when a cache holds what came before.
    """
    speeds = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float32, device=device) / width)
    return torch.arange(first, first + n, device=device)[:, None] * speeds


def sinusoidal(first: int, n: int, d_model: int, device: Device = "cpu") -> Float[Tensor, "time d_model"]:
    """Describe positions by the sines and cosines of their angles: hands of clocks that turn at different speeds.

    >>> sinusoidal(0, 2, 4).round(decimals=2).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.8399999737739563, 0.5400000214576721, 0.009999999776482582, 1.0]]
    """
    angles = position_angles(first, n, d_model, device)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)


def rotate(features: Float[Tensor, "*heads time d_head"], angles: Angles) -> Float[Tensor, "*heads time d_head"]:
    """Turn each pair of features, i and i + d_head / 2, by its angle.

    The product of a turned query and a turned key depends on their positions only through the distance, so attention
    learns "four tokens back" once, not once for each position.

    >>> rotate(torch.tensor([[1.0, 0.0]]), torch.tensor([[torch.pi / 2]])).round().tolist()
    [[-0.0, 1.0]]
    """
    cos, sin = angles.cos().to(features.dtype), angles.sin().to(features.dtype)
    first, second = features.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


def relative_scores_naive(queries: Queries, distances: Distances, n_keys: int) -> Scores:
    """Score each query and key by their distance, with a vector for each pair: n_queries * n_keys * d_head numbers."""
    n_queries, n_distances = queries.shape[-2], distances.shape[-2]
    which = torch.arange(n_keys) - torch.arange(n_queries)[:, None] + n_queries - 1
    vectors = distances[..., which.clamp(max=n_distances - 1), :]  # *heads, query, key, d_head
    return torch.einsum("...qd,...qkd->...qk", queries, vectors)


def relative_scores(queries: Queries, distances: Distances, n_keys: int) -> Scores:
    """Score each query and key by their distance: multiply queries with distances, then move each row to its keys.

    No vector is copied. Where the distances end at 0, the scores of later keys mean nothing: mask them.

    >>> distances = torch.tensor([[2.0], [1.0], [0.0]])  # two back, one back, here
    >>> relative_scores(torch.ones(3, 1), distances, n_keys=3).tril().tolist()
    [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 1.0, 0.0]]
    """
    return skew(queries @ distances.transpose(-2, -1))[..., :n_keys]


def skew(table: Float[Tensor, "*heads n_queries width"]) -> Float[Tensor, "*heads n_queries width"]:
    """Move row i of n rows to the left by n - 1 - i places; what leaves a row comes back in the one above, as garbage.

    >>> skew(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]))
    tensor([[3., 0., 4.],
            [5., 6., 0.],
            [7., 8., 9.]])
    """
    n_queries = table.shape[-2]
    padded = nn.functional.pad(table, (1, 0))
    return padded.flatten(-2)[..., n_queries:].view(table.shape)


# --- masks


def causal_mask(n_queries: int, n_keys: int, device: Device = "cpu") -> Bool[Tensor, "n_queries n_keys"]:
    """Return True where the key is not later than the query.

    >>> causal_mask(2, 3).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


def padding_mask(is_padding: Bool[Tensor, "batch n_keys"]) -> Bool[Tensor, "batch 1 1 n_keys"]:
    """Return True where a key is no padding, with an axis for the heads and one for the queries.

    >>> (causal_mask(3, 3) & padding_mask(torch.tensor([[False, False, True]]))).int().tolist()
    [[[[1, 0, 0], [1, 1, 0], [1, 1, 0]]]]
    """
    return ~is_padding[:, None, None, :]


def join_masks(
    n_queries: int, n_keys: int, is_causal: bool, is_padding: Bool[Tensor, "batch n_keys"] | None, device: Device
) -> Mask | None:
    """Return where a network may attend; None where all may look at all."""
    # One query alone, the last, may look at all that was read.
    may_attend = causal_mask(n_queries, n_keys, device) if is_causal and n_queries > 1 else None
    if is_padding is None:
        return may_attend
    may_attend = padding_mask(is_padding) if may_attend is None else may_attend & padding_mask(is_padding)
    check_mask(may_attend)
    return may_attend


def check_mask(may_attend: Bool[Tensor, "*heads n_queries n_keys"]) -> None:
    """Refuse a mask that hides every key from a query: its weights would be NaN."""
    is_blind = ~may_attend.any(dim=-1)
    if is_blind.any():
        raise ValueError(
            f"Each query needs at least one key that it may look at; found {int(is_blind.sum())} of "
            f"{is_blind.numel()} queries with none, the first at {tuple(is_blind.nonzero()[0].tolist())}. Is "
            "may_attend upside down (True means look), or does a row begin with padding? Pad at the end."
        )


# --- attention


def attention_weights(
    queries: Queries, keys: Keys, may_attend: Mask | None = None, distances: Distances | None = None
) -> Scores:
    r"""Return how much each query looks at each key: :math:`\operatorname{softmax}(QK^\top/\sqrt{d})`; rows sum to 1.

    At a few hundred positions on a CPU, matrix products are faster than PyTorch's fused kernel, backwards too.
    """
    scaled = queries / math.sqrt(queries.shape[-1])
    scores = scaled @ keys.transpose(-2, -1)
    if distances is not None:
        scores = scores + relative_scores(scaled, distances, keys.shape[-2])
    if may_attend is not None:
        # Adding minus infinity costs half the time of masked_fill, whose backward pass fills once more.
        scores = scores + torch.zeros_like(may_attend, dtype=scores.dtype).masked_fill(~may_attend, -math.inf)
    return scores.softmax(dim=-1)


class KVCache:
    """Keys and values of all positions that one block has read, with room for a whole context.

    Joining old and new at each step would copy everything each time; this copies only what is new. It writes into its
    own room, so use it without gradients: a backward pass would find the room changed.
    """

    def __init__(self, context_length: int) -> None:
        self.n_read, self.context_length = 0, context_length
        self.room: Float[Tensor, "2 batch head context d_head"] | None = None  # made when the first keys come

    def extend(self, keys: Keys, values: Keys) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new positions; return those of all positions so far."""
        new = torch.stack((keys, values))
        if self.room is None:
            self.room = new.new_empty(*new.shape[:3], self.context_length, new.shape[4])
        start, self.n_read = self.n_read, self.n_read + new.shape[3]
        self.room[:, :, :, start : self.n_read] = new
        all_keys, all_values = self.room[:, :, :, : self.n_read]
        return all_keys, all_values

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i of the batch go on as a copy of what row ``rows[i]`` was."""
        if self.room is not None:
            self.room = self.room[:, rows]


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own slice of the features.

    ``reach`` is how many positions back and how many ahead have a learned vector of distance, one for each head; None
    for no relative positions.
    """

    def __init__(self, d_model: int, n_heads: int, reach: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.n_heads, self.reach = n_heads, reach
        self.to_queries_keys_values = nn.Linear(d_model, 3 * d_model, bias=False)
        self.to_output = nn.Linear(d_model, d_model, bias=False)
        if reach is not None:
            self.distance_table = nn.Embedding(reach[0] + 1 + reach[1], d_model)

    def forward(
        self,
        features: Features,
        may_attend: Mask | None = None,
        angles: Angles | None = None,
        cache: KVCache | None = None,
    ) -> tuple[Features, Float[Tensor, "batch head time n_keys"]]:
        """Return the new features, and the weights with which each position looked at each other.

        Args:
            may_attend: (time, n_keys) or (batch, 1, time, n_keys).
            angles: of these positions, if they are rotary.
            cache: of earlier positions; it is extended by these.
        """
        batch, time, _ = features.shape
        heads = self.to_queries_keys_values(features).view(batch, time, 3, self.n_heads, -1)
        heads = heads.permute(2, 0, 3, 1, 4)
        queries, keys, values = heads  # each (batch, head, time, d_head)
        if angles is not None:
            queries, keys = rotate(heads[:2], angles)  # both at once
        if cache is not None:
            keys, values = cache.extend(keys, values)
        weights = attention_weights(queries, keys, may_attend, self.distances(time, keys.shape[2]))
        return self.to_output((weights @ values).transpose(1, 2).reshape(features.shape)), weights

    def distances(self, n_queries: int, n_keys: int) -> Float[Tensor, "head n_distances d_head"] | None:
        """Return the rows of the table that so many queries and keys need; None without relative positions."""
        if self.reach is None:
            return None
        n_back, n_ahead = self.reach
        rows = self.distance_table.weight[max(n_back + 1 - n_keys, 0) : n_back + 1 + min(n_ahead, n_queries - 1)]
        return rows.unflatten(1, (self.n_heads, -1)).transpose(0, 1)
