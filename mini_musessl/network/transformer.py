"""Dropout whose masks are cut from one pool of random numbers.

Chapter: 5d, 6a.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.checks import whole_number
from mini_musessl.network import attention
from mini_musessl.network.attention import (
    KeysAndValues,
    KVCache,
    MultiHeadAttention,
    causal_mask,
    check_rule,
    check_same_rows,
    padding_mask,
)

# --- Dropout whose masks are cut from one pool of random numbers

_POOL_SEED = 20_000_003
_POOL_SIZE = 1 << 22


class PooledDropout(nn.Module):
    """Silence features while training, as ``torch.nn.Dropout`` does, in a third of its time on a CPU.

    Drawing a number for each feature took a sixth of the time of a training step. Here four million masks are drawn
    once; each call reads them from a place of its own, drawn from PyTorch's global state. Two calls may share some of
    their masks, at other features; neighbours within a call are as independent as ever.

    Args:
        share: of the features that are silenced, 0 up to but not 1; the others grow by 1 / (1 - share).

    Raises:
        ValueError: the share is out of range.

    Example:
        >>> PooledDropout(0.5).eval()(torch.ones(3)).tolist()
        [1.0, 1.0, 1.0]

    Chapter: 5d.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"The share that dropout silences must be at least 0 and below 1; found {share}.")
        self.share = share
        self._pool: Tensor | None = None  # made at the first use: a network that only writes music needs none

    def forward(self, features: Tensor) -> Tensor:
        """Silence features while training; otherwise change nothing."""
        if not self.training or self.share == 0:
            return features
        n_masks = features.numel()
        # From the features alone, not from what was asked before: a run that goes on draws what it would have drawn.
        size = max(_POOL_SIZE, 1 << (2 * n_masks - 1).bit_length())
        start = int(torch.randint(size - n_masks + 1, ()))
        return features * self._find_pool(size, features)[start : start + n_masks].view(features.shape)

    def _find_pool(self, size: int, features: Tensor) -> Tensor:
        """Return a pool of at least this size, on the device and in the type of the features."""
        pool = self._pool
        if pool is None or len(pool) < size or pool.device != features.device or pool.dtype != features.dtype:
            generator = torch.Generator().manual_seed(_POOL_SEED)
            is_kept = torch.rand(size, generator=generator) >= self.share
            self._pool = pool = (is_kept / (1 - self.share)).to(features)
        return pool


# --- The block that every network of the book stacks: attention, then a feed-forward network

#: Standard deviation of the first weights.
FIRST_STD = 0.02


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network; each reads a normalised copy and adds its answer.

    Equal to ``torch.nn.TransformerEncoderLayer(norm_first=True, activation="gelu", bias=False)`` without rotation.

    Args:
        d_model: width of inputs and outputs.
        n_heads: attention heads; divides ``d_model``.
        d_feedforward: width inside the feed-forward network.
        dropout: share of features silenced while training.
        reach: how many positions back and ahead have a learned distance; None for no relative positions.

    References:
        Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020): normalising first trains
        without a long warm-up.

    Chapter: 5c.
    """

    def __init__(
        self, d_model: int, n_heads: int, d_feedforward: int, dropout: float = 0.0, reach: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model, bias=False)
        self.attention = MultiHeadAttention(d_model, n_heads, reach)
        self.feedforward_norm = nn.LayerNorm(d_model, bias=False)
        self.widen = nn.Linear(d_model, d_feedforward, bias=False)
        self.narrow = nn.Linear(d_feedforward, d_model, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        features: Float[Tensor, "batch time d_model"],
        may_attend: Tensor | None = None,
        angles: Tensor | None = None,
        past: KVCache | None = None,
    ) -> tuple[Float[Tensor, "batch time d_model"], KeysAndValues]:
        """Pass features through the block.

        Args:
            features: one vector a position.
            may_attend: True where a position may look; None lets all look at all.
            angles: rotary angles of these positions; None for no rotation.
            past: keys and values of earlier positions; it is extended by those of these positions.

        Returns:
            The new features, and the keys and values of all positions so far.
        """
        attended, present = self.attention(self.attention_norm(features), may_attend, angles, past)
        features = features + self.dropout(attended)
        widened = nn.functional.gelu(self.widen(self.feedforward_norm(features)))
        return features + self.dropout(self.narrow(widened)), present


def init_weights(network: nn.Module, n_layers: int, generator: torch.Generator) -> None:
    """Draw the first weights of a network of blocks, in the order of its parameters.

    Normal numbers of standard deviation 0.02. The layers that write into the sum of features begin smaller by the root
    of their number (2 * n_layers), so that the sum keeps its size. Norms begin at 1, a layer named ``to_logits`` at 0.

    Args:
        network: what to fill.
        n_layers: its blocks.
        generator: where the numbers come from.

    References:
        Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 2.3.

    Chapter: 5c.
    """
    for name, weight in network.named_parameters():
        if name.endswith("norm.weight"):
            nn.init.ones_(weight)
        elif name == "to_logits.weight":
            nn.init.zeros_(weight)
        else:
            adds_to_sum = name.endswith(("to_output.weight", "narrow.weight"))
            std = FIRST_STD / math.sqrt(2 * n_layers) if adds_to_sum else FIRST_STD
            nn.init.normal_(weight, std=std, generator=generator)


# --- MusicTransformer: a stack of attention and feed-forward layers that scores every token of the vocabulary


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
        if self.positions not in attention.KINDS:
            kinds = ", ".join(f'"{kind}"' for kind in attention.KINDS)
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
class TokenCache:
    """What the network keeps of the tokens it has read, so that it need not read them again.

    Attributes:
        layers: keys and values of each block.
        token_ids: (batch, n_seen), all tokens read so far.

    Chapter: 5c, 9a (sampling).
    """

    layers: list[KVCache]
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
        init_weights(self, config.n_layers, torch.Generator().manual_seed(seed))

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
        cache: TokenCache | None = None,
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

    def start_cache(self, batch: int) -> TokenCache:
        """Return an empty cache for ``batch`` sequences; a bidirectional network refuses."""
        self._check_cache_serves()
        none = torch.empty(whole_number("batch", batch, lowest=1), 0, dtype=torch.long)
        return TokenCache([KVCache() for _ in self.blocks], none.to(self.to_logits.weight.device))

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
        causal = causal_mask(time, first + time, token_ids.device) if is_ruled else None
        if is_padding is None:
            return causal
        if is_padding.shape != (batch, first + time) or is_padding.dtype != torch.bool:
            raise ValueError(
                f"is_padding must be True or False for each token that was read, {(batch, first + time)}; found "
                f"{tuple(is_padding.shape)} of {is_padding.dtype}. Make it together with the token ids."
            )
        not_padding = padding_mask(is_padding)
        may_attend = not_padding if causal is None else causal & not_padding
        check_rule(may_attend)
        return may_attend

    def _angles(self, first: int, token_ids: Tensor) -> Tensor | None:
        """Return the angles of rotary positions, or None for another kind."""
        if self.config.positions != "rotary":
            return None
        return attention.rotary_angles(first, token_ids.shape[1], self.config.d_head, token_ids.device)

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
            clocks = attention.sinusoidal(first, len(position), self.config.d_model, seen.device)
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


# --- The door between arrays and tensors: what a batch holds becomes tensors where the model lies


def to_device_of(model: nn.Module, *arrays: np.ndarray) -> list[Tensor]:
    """Return arrays as tensors on the device of a model's weights.

    Args:
        model: has at least one weight.
        *arrays: numbers or truth values of any shape; a tensor on a CPU shares their memory.
    """
    device = next(model.parameters()).device
    return [torch.from_numpy(array).to(device) for array in arrays]


# --- Measuring leaves no trace: a model is asked in evaluation mode, and goes on in the mode that it was in


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and every part of it back into its own mode afterwards, whatever happens.

    Args:
        model: in any mode; parts of it may be in different ones.

    Example:
        >>> model = nn.Dropout()
        >>> with evaluation_mode(model):
        ...     print(model.training)
        False
        >>> model.training
        True

    Chapter: 6a.
    """
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, was_training in modes:
            part.training = was_training
