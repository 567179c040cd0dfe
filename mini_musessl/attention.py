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
from mini_musessl.past_keys import PastKeys
from mini_musessl.positions import relative_scores, rotate

KeysAndValues = tuple[Tensor, Tensor]


def scaled_dot_product(
    queries: Float[Tensor, "*heads n_queries d_head"],
    keys: Float[Tensor, "*heads n_keys d_head"],
    values: Float[Tensor, "*heads n_keys d_value"],
    may_attend: Bool[Tensor, "*#heads #n_queries n_keys"] | None = None,
) -> Float[Tensor, "*heads n_queries d_value"]:
    r"""Mix the values, each weighted by how well its key fits the query.

    Computes :math:`\operatorname{softmax}(QK^\top/\sqrt{d})\,V`.

    Args:
        queries: what each position looks for.
        keys: what each position offers.
        values: what each position hands over.
        may_attend: True where a query may look at a key; None lets all look at all. Each query needs one key.

    Returns:
        One mixed value a query.

    Raises:
        ValueError: the rule hides every key from a query, or there is no key.
        TypeError: the rule is not of True and False.

    Example:
        >>> same = torch.ones(1, 3, 2)
        >>> scaled_dot_product(same, same, torch.tensor([[[0.0], [3.0], [6.0]]])).flatten().tolist()
        [3.0, 3.0, 3.0]

    References:
        Vaswani et al., "Attention Is All You Need" (2017), equation 1.

    Chapter: 5a.
    """
    if keys.shape[-2] == 0:
        raise ValueError("Each query needs at least one key that it may look at; found no keys at all.")
    if may_attend is not None:
        check_rule(may_attend)
    return attention_weights(queries, keys, may_attend) @ values


def attention_weights(
    queries: Float[Tensor, "*heads n_queries d_head"],
    keys: Float[Tensor, "*heads n_keys d_head"],
    may_attend: Bool[Tensor, "*#heads #n_queries n_keys"] | None = None,
    distances: Float[Tensor, "*#heads n_distances d_head"] | None = None,
) -> Float[Tensor, "*heads n_queries n_keys"]:
    """Say how much each query looks at each key.

    Written as matrix products: at a few hundred positions on a CPU they are faster forwards and backwards than
    PyTorch's fused kernel. The rule is not checked here, since every layer would check the same one again: a query that
    may look nowhere gets numbers that are none (NaN). ``check_rule`` checks it once.

    Args:
        queries: what each position looks for.
        keys: what each position offers.
        may_attend: True where a query may look at a key; None lets all look at all.
        distances: a vector for each distance, for relative positions; see ``positions.relative_scores``.

    Returns:
        Weights that sum to 1 over the keys.

    References:
        Vaswani et al. (2017), equation 1; with distances, Huang et al., "Music Transformer" (2019), equation 3.

    Chapter: 5a.
    """
    scaled = queries / math.sqrt(queries.shape[-1])
    scores = scaled @ keys.transpose(-2, -1)
    if distances is not None:
        scores = scores + relative_scores(scaled, distances, keys.shape[-2])
    if may_attend is not None:
        # Adding minus infinity costs half the time of masked_fill, whose backward pass fills once more.
        scores = scores + torch.zeros_like(may_attend, dtype=scores.dtype).masked_fill(~may_attend, -math.inf)
    return scores.softmax(dim=-1)


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


def padding_rule(is_padding: Bool[Tensor, "batch n_keys"]) -> Bool[Tensor, "batch 1 1 n_keys"]:
    """Say that nobody looks at padding.

    Join it with the causal rule by ``&``: a query looks where both allow it.

    Args:
        is_padding: True where a row of the batch holds filler and no music.

    Returns:
        True where a key may be looked at, with an axis for the heads and one for the queries.

    Raises:
        TypeError: not True and False.

    Example:
        >>> (causal_rule(3, 3) & padding_rule(torch.tensor([[False, False, True]]))).int().tolist()
        [[[[1, 0, 0], [1, 1, 0], [1, 1, 0]]]]

    Chapter: 5a.
    """
    _check_truth("is_padding", is_padding, "is filler")
    return ~is_padding[:, None, None, :]


def check_rule(may_attend: Bool[Tensor, "*heads n_queries n_keys"]) -> None:
    """Refuse a rule that hides every key from a query.

    Args:
        may_attend: True where a query may look at a key.

    Raises:
        ValueError: a query may look nowhere.
        TypeError: the rule is not of True and False.

    Example:
        >>> check_rule(torch.eye(3, dtype=torch.bool))

    Chapter: 5a.
    """
    _check_truth("may_attend", may_attend, "may be looked at")
    is_blind = ~may_attend.any(dim=-1)
    if is_blind.any():
        raise ValueError(
            f"Each query needs at least one key that it may look at; found {int(is_blind.sum())} of "
            f"{is_blind.numel()} queries with none, the first at {tuple(is_blind.nonzero()[0].tolist())}. Is "
            "may_attend upside down (True means look), or does a row begin with padding? Pad at the end."
        )


def _check_truth(name: str, values: Tensor, meaning: str) -> None:
    """Refuse weights, or numbers to add, where True and False are needed."""
    if values.dtype != torch.bool:
        raise TypeError(
            f"{name} must be True where a position {meaning}, and False elsewhere; found {values.dtype}. Compare "
            "first: a mask of zeros and minus infinities says `== 0`."
        )


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own slice of the features.

    Args:
        d_model: width of inputs and outputs.
        n_heads: attentions side by side; must divide ``d_model``.
        reach: how many positions back and how many ahead have a distance of their own, for learned relative positions;
            None for no such table. Nobody looks ahead where the second number is 0: use the causal rule.

    Raises:
        ValueError: there is no head, the heads do not divide the width, or a reach is negative.

    References:
        Vaswani et al. (2017), section 3.2.2; Huang et al. (2019), section 3.4, for a table of distances for each head.

    Chapter: 5a, 5b (reach).
    """

    def __init__(self, d_model: int, n_heads: int, reach: tuple[int, int] | None = None) -> None:
        super().__init__()
        if d_model % whole_number("n_heads", n_heads, lowest=1):
            raise ValueError(f"n_heads must divide d_model; found {n_heads} heads for a width of {d_model}.")
        self.n_heads, self.reach = n_heads, reach
        self.to_queries_keys_values = nn.Linear(d_model, 3 * d_model, bias=False)
        self.to_output = nn.Linear(d_model, d_model, bias=False)
        if reach is not None:
            n_back, n_ahead = (whole_number("Each number of reach", n, lowest=0) for n in reach)
            self.distance_table = nn.Embedding(n_back + 1 + n_ahead, d_model)

    def forward(
        self,
        features: Float[Tensor, "batch time d_model"],
        may_attend: Bool[Tensor, "*rule"] | None = None,
        angles: Float[Tensor, "time half"] | None = None,
        past: PastKeys | None = None,
    ) -> tuple[Float[Tensor, "batch time d_model"], KeysAndValues]:
        """Let each position look at the positions that its rule allows.

        Args:
            features: one vector a position.
            may_attend: (time, n_keys) or (batch, 1, time, n_keys), True where a position may look. It is not checked;
                ``check_rule`` does that.
            angles: rotary angles of these positions; None for no rotation.
            past: keys and values of earlier positions; it is extended by those of these positions.

        Returns:
            The new features, and the keys and values of all positions so far.
        """
        queries, keys, values = self._split(features, angles, past)
        mixed = self._weights(queries, keys, may_attend) @ values
        return self.to_output(mixed.transpose(1, 2).reshape(features.shape)), (keys, values)

    def weights(
        self,
        features: Float[Tensor, "batch time d_model"],
        may_attend: Bool[Tensor, "*rule"] | None = None,
        angles: Float[Tensor, "time half"] | None = None,
    ) -> Float[Tensor, "batch n_heads time n_keys"]:
        """Return how much each position looks at each other, head by head; the arguments are those of ``forward``.

        Args:
            features: one vector a position.
            may_attend: True where a position may look.
            angles: rotary angles of these positions; None for no rotation.

        Returns:
            Weights that sum to 1 over the last axis.
        """
        queries, keys, _ = self._split(features, angles, None)
        return self._weights(queries, keys, may_attend)

    def _split(self, features: Tensor, angles: Tensor | None, past: PastKeys | None) -> tuple[Tensor, ...]:
        """Return queries, keys and values, each (batch, head, time, d_head), the past's keys and values in front."""
        batch, time, d_model = features.shape
        split = self.to_queries_keys_values(features).view(batch, time, 3, self.n_heads, d_model // self.n_heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        if angles is not None:
            queries, keys = rotate(queries, angles), rotate(keys, angles)
        if past is not None:
            keys, values = past.extend(keys, values)
        return queries, keys, values

    def _weights(self, queries: Tensor, keys: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights of split queries and keys."""
        distances = None if self.reach is None else self._distances(queries.shape[2], keys.shape[2])
        return attention_weights(queries, keys, may_attend, distances)

    def _distances(self, n_queries: int, n_keys: int) -> Tensor:
        """Return the rows of the table that these queries and keys need, (head, distance, d_head)."""
        n_back, n_ahead = self.reach
        first, last = n_back + 1 - n_keys, n_back + min(n_ahead, n_queries - 1)
        rows = self.distance_table.weight[max(first, 0) : last + 1]  # too few for too long a sequence: refused later
        return rows.unflatten(1, (self.n_heads, -1)).transpose(0, 1)
