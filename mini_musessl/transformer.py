"""MusicTransformer: a stack of attention and feed-forward layers that scores every token of the vocabulary.

Chapter: 00 (used), 5c (built).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl import positions
from mini_musessl.attention import causal_rule, check_rule, padding_rule
from mini_musessl.blocks import FIRST_STD, TransformerBlock, draw_first_weights
from mini_musessl.music import whole_number
from mini_musessl.past_keys import PastKeys, check_same_rows


@dataclass(frozen=True)
class TransformerConfig:
    """Size and shape of a MusicTransformer.

    Attributes:
        vocabulary_size: symbols that can be predicted; one more, the begin symbol, can only be read.
        context_length: most tokens the network reads at once.
        d_model: width of the features.
        n_layers: blocks in the stack.
        n_heads: attention heads a block; divides ``d_model``.
        d_feedforward: width inside the feed-forward layers.
        dropout: share of features silenced while training, 0 up to but not 1.
        cycle_lengths: the network is told the index of the token it predicts modulo each of these. With four voices a
            step and sixteen steps a bar, 4 tells the voice, 16 the place in the beat and 64 the place in the bar.
        n_previous: how many tokens before the latest are added to the input, each through its own table. With 3, the
            input already holds what the voice that comes next sang a step ago; attention need not learn to find it.
        positions: how attention is told what stands where. "none"; "sinusoidal" or "learned" (added to the input);
            "relative" (a learned score for each distance, head and block); "rotary" (queries and keys turn).
        is_causal: True if a position sees itself and what came before; False if it sees everything.

    Raises:
        ValueError: a size that is not positive, sizes that do not divide, or an unknown kind of positions.
        TypeError: a size that is not a whole number.

    Chapter: 5c.
    """

    vocabulary_size: int
    context_length: int = 256
    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    d_feedforward: int = 512
    dropout: float = 0.0
    cycle_lengths: tuple[int, ...] = (4, 16, 64)
    n_previous: int = 3
    positions: str = "rotary"
    is_causal: bool = True

    def __post_init__(self) -> None:
        names = ("vocabulary_size", "context_length", "d_model", "n_layers", "n_heads", "d_feedforward")
        for name in names:
            whole_number(name, getattr(self, name), lowest=1)
        whole_number("n_previous", self.n_previous, lowest=0)
        object.__setattr__(self, "cycle_lengths", tuple(self.cycle_lengths))  # a list would make equal sizes unequal
        for length in self.cycle_lengths:
            whole_number("Each of cycle_lengths", length, lowest=1)
        if self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model must be a multiple of 2 * n_heads, because heads split it and rotation pairs features; found "
                f"d_model={self.d_model} and n_heads={self.n_heads}."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1; found {self.dropout}.")
        if self.positions not in positions.KINDS:
            kinds = ", ".join(f'"{kind}"' for kind in positions.KINDS)
            raise ValueError(f"positions must be one of {kinds}; found {self.positions!r}.")
        if not isinstance(self.is_causal, bool):
            raise TypeError(f"is_causal must be True or False; found {self.is_causal!r}.")

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @property
    def reach(self) -> tuple[int, int] | None:
        """How many positions back and ahead have a learned distance; None without relative positions."""
        n_back = self.context_length - 1
        return (n_back, 0 if self.is_causal else n_back) if self.positions == "relative" else None

    @property
    def begin_id(self) -> int:
        """The input id that stands before the first token of a piece."""
        return self.vocabulary_size

    @property
    def stride_token(self) -> int:
        """Windows that begin at multiples of this many tokens are all in the same phase of every cycle."""
        return math.lcm(*self.cycle_lengths)


@dataclass
class Cache:
    """What the network keeps of the tokens it has read, so that it need not read them again.

    Attributes:
        layers: keys and values of each block.
        token_ids: (batch, n_seen), all tokens read so far.

    Chapter: 5c, 9a (sampling).
    """

    layers: list[PastKeys]
    token_ids: Int[Tensor, "batch n_seen"]

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i of the batch go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """
        self.token_ids = self.token_ids[rows]
        for layer in self.layers:
            layer.keep_rows(rows)


class MusicTransformer(nn.Module):
    """A Transformer over token ids, causal unless its configuration says otherwise.

    A causal one sees tokens 0..i at position i, and its logits there are for token i + 1. A bidirectional one sees all
    tokens at every position; what its logits are for, the objective says.

    Weights begin as ``blocks.draw_first_weights`` says. The output layer begins at zero: the first prediction is
    uniform, and the first loss is ln(vocabulary_size) to the digit.

    Example:
        >>> model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=32, d_feedforward=64))
        >>> model(torch.tensor([[47, 20, 21]])).shape
        torch.Size([1, 3, 47])

    References:
        Huang et al., "Music Transformer" (2019), for relative positions on chorales; Su et al. (2021) for rotary ones.

    Chapter: 5c.
    """

    def __init__(self, config: TransformerConfig, seed: int = 0) -> None:
        """Make a network with fresh weights, drawn from ``seed`` alone."""
        super().__init__()
        self.config = config
        # PyTorch fills new layers from its global state, which is not ours to move.
        with torch.random.fork_rng(devices=[]):
            self._make_layers(config)
        draw_first_weights(self, config.n_layers, torch.Generator().manual_seed(seed))

    def _make_layers(self, config: TransformerConfig) -> None:
        """Make all parts, in the order in which ``forward`` uses them."""
        n_inputs, d_model = config.vocabulary_size + 1, config.d_model
        self.token_tables = nn.ModuleList(nn.Embedding(n_inputs, d_model) for _ in range(config.n_previous + 1))
        self.cycle_tables = nn.ModuleList(nn.Embedding(length, d_model) for length in config.cycle_lengths)
        self.position_table = nn.Embedding(config.context_length, d_model) if config.positions == "learned" else None
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(d_model, config.n_heads, config.d_feedforward, config.dropout, config.reach)
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(d_model, bias=False)
        self.to_logits = nn.Linear(d_model, config.vocabulary_size, bias=False)

    def forward(
        self,
        token_ids: Int[Tensor, "batch time"],
        cache: Cache | None = None,
        is_padding: Bool[Tensor, "batch n_seen"] | None = None,
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Score every symbol at every position; in a causal network, as the successor of that position.

        Args:
            token_ids: 0..vocabulary_size; the largest is the begin symbol.
            cache: what was read before, from ``start_cache``; it is extended by these tokens. For use without
                gradients.
            is_padding: True where a row holds filler, at which nobody shall look; with a cache, for all that was read
                so far. A causal network whose rows are padded at the end can do without.

        Returns:
            Logits: ``softmax`` over the last axis gives the probabilities of the symbols.

        Raises:
            ValueError: more tokens than ``context_length``, no tokens, no rows, another shape, ids outside the
                vocabulary, padding of another shape or that leaves a token nothing to look at, a cache for a
                bidirectional network or of another number of rows.
            TypeError: the ids are not whole numbers.
        """
        self._check_form(token_ids)
        if cache is not None:
            self._check_cache_serves()
            check_same_rows(len(cache.token_ids), len(token_ids))
        first = 0 if cache is None else cache.token_ids.shape[1]
        self._check_ids(token_ids, first)
        may_attend = self._rule(token_ids, first, is_padding)
        seen = token_ids if cache is None else torch.cat((cache.token_ids, token_ids), dim=1)
        features = self.dropout(self._embed(seen, first))
        angles = self._angles(first, token_ids)
        for index, block in enumerate(self.blocks):
            features, _ = block(features, may_attend, angles, None if cache is None else cache.layers[index])
        if cache is not None:
            cache.token_ids = seen
        return self.to_logits(self.norm(features))

    def start_cache(self, batch: int) -> Cache:
        """Return an empty cache for ``batch`` sequences; a bidirectional network refuses."""
        self._check_cache_serves()
        none = torch.empty(whole_number("batch", batch, lowest=1), 0, dtype=torch.long)
        return Cache([PastKeys() for _ in self.blocks], none.to(self.to_logits.weight.device))

    def attention_maps(self, token_ids: Int[Tensor, "batch time"]) -> list[Float[Tensor, "batch n_heads time time"]]:
        """Return how much each position looks at each other, block by block: what a figure of attention shows.

        Args:
            token_ids: as for ``forward``, in evaluation mode.

        Returns:
            One tensor a block; the weights of a row (what one position looks at) sum to 1.
        """
        self._check_form(token_ids)
        self._check_ids(token_ids, 0)
        may_attend, angles = self._rule(token_ids, 0), self._angles(0, token_ids)
        features, maps = self._embed(token_ids, 0), []
        for block in self.blocks:
            maps.append(block.attention.weights(block.attention_norm(features), may_attend, angles))
            features, _ = block(features, may_attend, angles)
        return maps

    def _rule(self, token_ids: Tensor, first: int, is_padding: Tensor | None = None) -> Tensor | None:
        """Return who may look at whom; None lets all look at all."""
        batch, time = token_ids.shape
        # One token alone may look at all that was read: it needs no rule.
        is_ruled = self.config.is_causal and time > 1
        causal = causal_rule(time, first + time, token_ids.device) if is_ruled else None
        if is_padding is None:
            return causal
        if is_padding.shape != (batch, first + time) or is_padding.dtype != torch.bool:
            raise ValueError(
                f"is_padding must be True or False for each token that was read, {(batch, first + time)}; found "
                f"{tuple(is_padding.shape)} of {is_padding.dtype}. Make it together with the token ids."
            )
        not_padding = padding_rule(is_padding)
        may_attend = not_padding if causal is None else causal & not_padding
        check_rule(may_attend)
        return may_attend

    def _angles(self, first: int, token_ids: Tensor) -> Tensor | None:
        """Return the angles of rotary positions, or None for another kind."""
        if self.config.positions != "rotary":
            return None
        return positions.rotary_angles(first, token_ids.shape[1], self.config.d_head, token_ids.device)

    def _embed(self, seen: Tensor, first: int) -> Tensor:
        """Sum the tables of the latest tokens and of the place in each cycle, for positions from ``first`` on."""
        features = self.token_tables[0](seen[:, first:])
        for distance, table in enumerate(self.token_tables[1:], start=1):
            reach = seen[:, max(0, first - distance) : max(0, seen.shape[1] - distance)]
            n_missing = features.shape[1] - reach.shape[1]
            features = features + nn.functional.pad(table(reach), (0, 0, n_missing, 0))
        position = torch.arange(first, seen.shape[1], device=seen.device)
        for length, table in zip(self.config.cycle_lengths, self.cycle_tables, strict=True):
            features = features + table(position % length)
        if self.position_table is not None:
            features = features + self.position_table(position)
        if self.config.positions == "sinusoidal":
            # As large as the other tables are at first; Vaswani et al. make their tables larger instead.
            clocks = positions.sinusoidal(first, len(position), self.config.d_model, seen.device)
            features = features + FIRST_STD * clocks
        return features

    def _check_cache_serves(self) -> None:
        """Refuse a cache where what was read before depends on what comes after."""
        if not self.config.is_causal:
            raise ValueError(
                "A cache needs a causal network, in which later tokens change nothing before them; found "
                "is_causal=False. Read the whole sequence at once, without a cache."
            )

    def _check_form(self, token_ids: Tensor) -> None:
        """Refuse what is not rows of whole numbers."""
        if token_ids.dim() != 2:
            raise ValueError(
                f"The network reads token_ids of the shape (batch, time); found {tuple(token_ids.shape)}. "
                "For one sequence, put it into a batch: token_ids[None]."
            )
        if token_ids.is_floating_point() or token_ids.dtype == torch.bool:
            raise TypeError(
                f"token_ids must be whole numbers; found {token_ids.dtype}. Encode the music with a tokenizer first."
            )

    def _check_ids(self, token_ids: Tensor, first: int) -> None:
        """Refuse ids and lengths that the network cannot read."""
        longest, n_read = self.config.context_length, first + token_ids.shape[1]
        if token_ids.numel() == 0:
            raise ValueError(
                "The network must read at least one token; found none, in "
                f"{len(token_ids)} rows. Is the batch empty? A piece begins with config.begin_id."
            )
        if n_read > longest:
            raise ValueError(
                f"The network reads at most context_length = {longest} tokens; found {n_read}. "
                "Cut windows (windows.cut_windows), or make a network with a longer context."
            )
        lowest, highest = int(token_ids.min()), int(token_ids.max())
        if lowest < 0 or highest > self.config.begin_id:
            raise ValueError(
                f"Token ids must lie in 0..{self.config.begin_id}, the last being the begin symbol; found "
                f"{lowest}..{highest}. Was the music encoded with another vocabulary?"
            )
