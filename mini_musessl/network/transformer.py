"""MusicTransformer: a stack of attention and feed-forward layers that scores every token of the vocabulary.

First come the parts that every network of the book shares: the block, its dropout, how weights begin, and what
training leaves on a network.

References: Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020): normalising before each part
trains without a long warm-up; Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section
2.3, for the first weights; Huang et al., "Music Transformer" (2019), for relative positions on chorales.

Chapter: 5c (the network), 6a (training).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.checks import check_choice, check_ids, check_share, check_sizes, check_truth, whole_number
from mini_musessl.network.attention import (
    POSITIONS,
    Angles,
    Features,
    KVCache,
    Mask,
    MultiHeadAttention,
    join_masks,
    position_angles,
    sinusoidal,
)

GPT_STD, TABLE_STD = 0.02, 0.05
LONGEST_CONTEXT = 100_000  # attention compares each position with each: a cache with room for more fits no memory

# --- what every network shares


class TransformerBlock(nn.Module):
    """A pre-norm block: attention, then a feed-forward network, each added to the residual stream.

    Equal to ``torch.nn.TransformerEncoderLayer(norm_first=True, activation="gelu", bias=False)`` without positions.
    ``dropout`` silences features while training, such as ``nn.Dropout(0.1)``; ``reach`` is that of attention.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_feedforward: int,
        dropout: nn.Module | None = None,
        reach: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model, bias=False)
        self.attention = MultiHeadAttention(d_model, n_heads, reach)
        self.feedforward_norm = nn.LayerNorm(d_model, bias=False)
        self.widen = nn.Linear(d_model, d_feedforward, bias=False)
        self.narrow = nn.Linear(d_feedforward, d_model, bias=False)
        self.dropout = nn.Identity() if dropout is None else dropout

    def forward(
        self,
        features: Features,
        may_attend: Mask | None = None,
        angles: Angles | None = None,
        cache: KVCache | None = None,
    ) -> Features:
        """Pass features through the block; the arguments are those of attention."""
        attended, _ = self.attention(self.attention_norm(features), may_attend, angles, cache)
        features = features + self.dropout(attended)
        widened = nn.functional.gelu(self.widen(self.feedforward_norm(features)))
        return features + self.dropout(self.narrow(widened))


#: Weights that begin at 0, by their full names: the output layers of other heads do not.
SILENT = ("to_logits.weight", "head.shortcut_table.weight")
SILENT_PARTS = ("head.copying.", "head.counterpoint.")


def init_weights(network: nn.Module, n_layers: int, seed: int, std: float | None = None) -> None:
    """Draw first weights in the order of a network's parameters, from ``seed`` alone; norms begin at 1, biases at 0.

    Layers that write into the residual stream, two per block, begin smaller by the root of their number, so that the
    stream keeps its size. Without ``std``, tables have 0.05 (with GPT-2's 0.02, networks over frames began to learn
    later) and the other weights half of what would keep the size of their input.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, weight in network.named_parameters():
        if name.endswith("norm.weight"):
            nn.init.ones_(weight)
        elif weight.dim() < 2 or name in SILENT or name.startswith(SILENT_PARTS):
            nn.init.zeros_(weight)
        else:
            size = std or (TABLE_STD if name.endswith("table.weight") else 0.5 / math.sqrt(weight.shape[1]))
            n_writers = 2 * n_layers if name.endswith(("to_output.weight", "narrow.weight")) else 1
            nn.init.normal_(weight, std=size / math.sqrt(n_writers), generator=generator)


def check_network(config: object, *sizes: str) -> None:
    """Refuse a configuration of no network: its sizes, those of every network and some more, and its dropout."""
    check_sizes(config, "vocabulary_size", "d_model", "n_layers", "n_heads", "d_feedforward", *sizes)
    whole_number("context_length", config.context_length, 1, LONGEST_CONTEXT)
    check_share("dropout", config.dropout)
    for field in fields(config):
        if field.type is bool and not isinstance(getattr(config, field.name), bool):
            raise TypeError(f"{field.name} must be True or False; found {getattr(config, field.name)!r}.")
    if config.d_model % (2 * config.n_heads):
        raise ValueError(
            f"d_model must be a multiple of 2 * n_heads, because heads split it and rotation pairs features; found "
            f"d_model={config.d_model} and n_heads={config.n_heads}."
        )


class Network(nn.Module):
    """A network of the book; ``train`` notes on it how many positions the longest window had, in ``trained_steps``.

    It has never learned how positions further apart relate. The number is no weight; None means unknown.
    """

    trained_steps: int | None = None


def to_device_of(model: nn.Module, *arrays: np.ndarray) -> list[Tensor]:
    """Return arrays as tensors on the device of a model's weights; a tensor on a CPU shares their memory."""
    device = next(model.parameters()).device
    return [torch.from_numpy(array).to(device) for array in arrays]


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and every part of it back into its own mode afterwards, whatever happens."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, was_training in modes:
            part.training = was_training


# --- the network over tokens


@dataclass(frozen=True)
class TransformerConfig:
    """Size and shape of a MusicTransformer."""

    vocabulary_size: int  # symbols that can be predicted; one more, the begin symbol, can only be read
    context_length: int = 256  # most tokens that are read at once
    d_model: int = 128  # width of the features
    n_layers: int = 4  # blocks in the stack
    n_heads: int = 4  # attention heads per block
    d_feedforward: int = 512  # width inside the feed-forward networks
    dropout: float = 0.0  # share of features silenced while training
    cycle_lengths: tuple[int, ...] = (4, 16, 64)  # the index modulo each is told: voice, place in beat, beat in four
    n_previous: int = 3  # tokens before the latest that are added to the input, each through a table of its own
    positions: str = "rotary"  # one of attention.POSITIONS
    is_causal: bool = True  # a position sees only itself and what came before

    def __post_init__(self) -> None:
        check_network(self)
        check_sizes(self, "n_previous", lowest=0)
        check_choice("positions", self.positions, POSITIONS)
        object.__setattr__(self, "cycle_lengths", tuple(self.cycle_lengths))  # a list would make equal sizes unequal
        for length in self.cycle_lengths:
            whole_number("Each of cycle_lengths", length, lowest=1)

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
    """What a MusicTransformer keeps of the tokens it has read, so that it need not read them again."""

    layers: list[KVCache]  # one for each block
    token_ids: Int[Tensor, "batch n_read"]

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i of the batch go on as a copy of what row ``rows[i]`` was."""
        self.token_ids = self.token_ids[rows]
        for layer in self.layers:
            layer.keep_rows(rows)


class MusicTransformer(Network):
    """A Transformer over token ids. At position i, a causal one sees tokens 0..i, and its logits are for token i + 1.

    The output layer begins at zero: the first prediction is uniform, and the first loss is ln(vocabulary_size).

    >>> model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=32, d_feedforward=64))
    >>> model(torch.tensor([[47, 20, 21]])).shape
    torch.Size([1, 3, 47])
    """

    def __init__(self, config: TransformerConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = c = config
        # PyTorch fills new layers from its global state, which is not ours to move.
        with torch.random.fork_rng(devices=[]):
            tables = [nn.Embedding(c.vocabulary_size + 1, c.d_model) for _ in range(c.n_previous + 1)]
            self.token_tables = nn.ModuleList(tables)
            self.cycle_tables = nn.ModuleList(nn.Embedding(length, c.d_model) for length in c.cycle_lengths)
            self.position_table = nn.Embedding(c.context_length, c.d_model) if c.positions == "learned" else None
            self.dropout = nn.Dropout(c.dropout)
            self.blocks = nn.ModuleList(
                TransformerBlock(c.d_model, c.n_heads, c.d_feedforward, self.dropout, c.reach)
                for _ in range(c.n_layers)
            )
            self.norm = nn.LayerNorm(c.d_model, bias=False)
            self.to_logits = nn.Linear(c.d_model, c.vocabulary_size, bias=False)
        init_weights(self, c.n_layers, seed, GPT_STD)

    def forward(
        self,
        token_ids: Int[Tensor, "batch time"],
        cache: TokenCache | None = None,
        is_padding: Bool[Tensor, "batch n_read"] | None = None,
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Score every symbol at every position.

        Args:
            cache: what was read before, from ``start_cache``; it is extended by these tokens.
            is_padding: True at padding, which no query may attend to; with a cache, for all that was read so far. A
                causal network whose rows are padded at the end can do without.
        """
        seen = token_ids if cache is None else torch.cat((cache.token_ids, token_ids), dim=1)
        self._check(seen, is_padding)
        first = seen.shape[1] - token_ids.shape[1]
        features, angles = self.dropout(self.embed(seen, first)), self.angles(seen, first)
        may_attend = join_masks(features.shape[1], seen.shape[1], self.config.is_causal, is_padding, seen.device)
        layers = [None] * len(self.blocks) if cache is None else cache.layers
        for block, layer in zip(self.blocks, layers, strict=True):
            features = block(features, may_attend, angles, layer)
        if cache is not None:
            cache.token_ids = seen
        return self.to_logits(self.norm(features))

    def embed(self, seen: Int[Tensor, "batch n_read"], first: int = 0) -> Features:
        """Sum the tables of the latest tokens, of the place in each cycle and of the position, from ``first`` on."""
        features = self.token_tables[0](seen[:, first:])
        for back, table in enumerate(self.token_tables[1:], start=1):
            earlier = table(seen[:, max(0, first - back) : max(0, seen.shape[1] - back)])
            features = features + nn.functional.pad(earlier, (0, 0, features.shape[1] - earlier.shape[1], 0))
        position = torch.arange(first, seen.shape[1], device=seen.device)
        for table in self.cycle_tables:
            features = features + table(position % table.num_embeddings)
        if self.position_table is not None:
            features = features + self.position_table(position)
        if self.config.positions == "sinusoidal":
            # As large as the other tables are at first; Vaswani et al. make their tables larger instead.
            features = features + GPT_STD * sinusoidal(first, len(position), self.config.d_model, seen.device)
        return features

    def angles(self, seen: Tensor, first: int = 0) -> Angles | None:
        """Return the angles of rotary positions, from ``first`` on; None for another kind."""
        if self.config.positions != "rotary":
            return None
        d_head = self.config.d_model // self.config.n_heads
        return position_angles(first, seen.shape[1] - first, d_head, seen.device)

    def attention_maps(self, token_ids: Int[Tensor, "batch time"]) -> list[Float[Tensor, "batch head time time"]]:
        """Return how much each position looks at each other, block by block; in training mode dropout moves them."""
        self._check(token_ids)
        n_tokens, maps = token_ids.shape[1], []
        features, angles = self.embed(token_ids), self.angles(token_ids)
        may_attend = join_masks(n_tokens, n_tokens, self.config.is_causal, None, token_ids.device)
        for block in self.blocks:
            maps.append(block.attention(block.attention_norm(features), may_attend, angles)[1])
            features = block(features, may_attend, angles)
        return maps

    def start_cache(self, batch: int) -> TokenCache:
        """Return an empty cache for ``batch`` sequences."""
        if not self.config.is_causal:
            raise ValueError(
                "A cache needs a causal network, in which later tokens change nothing before them; found "
                "is_causal=False. Read the whole sequence at once, without a cache."
            )
        nothing = torch.empty(batch, 0, dtype=torch.long, device=self.to_logits.weight.device)
        return TokenCache([KVCache(self.config.context_length) for _ in self.blocks], nothing)

    def _check(self, seen: Tensor, is_padding: Tensor | None = None) -> None:
        """Refuse what the network cannot read."""
        c = self.config
        check_ids("token_ids", seen, c.vocabulary_size + 1, ("batch", "time"), c.context_length)
        if is_padding is not None:
            check_truth("is_padding", is_padding, seen.shape)
