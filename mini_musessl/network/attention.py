"""Positions: how attention, which reads its input as a bag, learns what stands where.

Absolute positions (sinusoidal, learned) are added to the features. Relative ones speak of distances alone: learned
ones add a score for each distance, rotary ones turn queries and keys.

Chapter: 5b (positions).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.checks import whole_number

# --- Positions: how attention, which reads its input as a bag, learns what stands where

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


# --- What attention keeps of the positions that it has read: their keys and values, in room that grows


class KVCache:
    """Keys and values of what one block has read, kept in room that doubles when it is full.

    Joining the old and the new anew at each step would copy everything each time; this copies only what is new. It
    writes into its own room, so use it without gradients: a backward pass would find the room changed.

    Iterating gives the keys and the values of all positions so far.

    Example:
        >>> import torch
        >>> past = KVCache()
        >>> new = torch.ones(2, 3, 1, 4)  # batch, head, time, d_head
        >>> [tuple(past.extend(new, new)[0].shape) for _ in range(2)]
        [(2, 3, 1, 4), (2, 3, 2, 4)]

    Chapter: 5c, 9a (sampling).
    """

    def __init__(self) -> None:
        self.n_read = 0
        self._rooms: list[Tensor] = []  # keys, values: (batch, head, room, d_head)

    def __iter__(self) -> Iterator[Tensor]:
        """Return the keys and the values of all positions so far, each (batch, head, n_read, d_head)."""
        return (room[:, :, : self.n_read] for room in self._rooms)

    def extend(
        self, keys: Float[Tensor, "batch head n_new d_head"], values: Float[Tensor, "batch head n_new d_head"]
    ) -> tuple[Float[Tensor, "batch head n_all d_head"], Float[Tensor, "batch head n_all d_head"]]:
        """Add what is new and return all.

        Args:
            keys: of the new positions.
            values: of the same positions.

        Returns:
            Keys and values of all positions so far.
        """
        n_all = self.n_read + keys.shape[2]
        if not self._rooms or n_all > self._rooms[0].shape[2]:
            self._grow(keys, max(64, 2 * n_all))
        for room, new in zip(self._rooms, (keys, values), strict=True):
            room[:, :, self.n_read : n_all] = new
        self.n_read = n_all
        all_keys, all_values = self
        return all_keys, all_values

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i of the batch go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """
        for room in self._rooms:
            room[:, :, : self.n_read] = room[rows, :, : self.n_read]

    def _grow(self, like: Tensor, n_room: int) -> None:
        """Move to larger rooms."""
        rooms = [like.new_empty((*like.shape[:2], n_room, like.shape[3])) for _ in range(2)]
        for new, old in zip(rooms, self._rooms):  # noqa: B905 -- there are none yet at the start
            new[:, :, : self.n_read] = old[:, :, : self.n_read]
        self._rooms = rooms


def check_same_rows(n_kept: int, n_rows: int) -> None:
    """Refuse to go on with other rows than those that a cache holds.

    Args:
        n_kept: rows of the cache.
        n_rows: rows that shall be read.

    Raises:
        ValueError: the numbers differ.

    Chapter: 9a (sampling).
    """
    if n_rows != n_kept:
        raise ValueError(
            f"A cache goes on with the rows that it holds, {n_kept}; found {n_rows}. Begin with start_cache({n_rows})."
        )


# --- Attention: each position looks at the others and takes a weighted mean of what they hold

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


def causal_mask(n_queries: int, n_keys: int, device: torch.device | str = "cpu") -> Bool[Tensor, "n_queries n_keys"]:
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
        >>> causal_mask(2, 3).int().tolist()
        [[1, 1, 0], [1, 1, 1]]

    Chapter: 5a.
    """
    if n_keys < n_queries:
        raise ValueError(
            f"Each query needs a key that is not later than itself, so n_keys must be at least n_queries = "
            f"{n_queries}; found {n_keys}. Count the keys of the past and of the queries themselves."
        )
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril(n_keys - n_queries)


def padding_mask(is_padding: Bool[Tensor, "batch n_keys"]) -> Bool[Tensor, "batch 1 1 n_keys"]:
    """Say that nobody looks at padding.

    Join it with the causal rule by ``&``: a query looks where both allow it.

    Args:
        is_padding: True where a row of the batch holds filler and no music.

    Returns:
        True where a key may be looked at, with an axis for the heads and one for the queries.

    Raises:
        TypeError: not True and False.

    Example:
        >>> (causal_mask(3, 3) & padding_mask(torch.tensor([[False, False, True]]))).int().tolist()
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
        past: KVCache | None = None,
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

    def _split(self, features: Tensor, angles: Tensor | None, past: KVCache | None) -> tuple[Tensor, ...]:
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
