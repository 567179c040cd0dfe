"""MusicTransformer: a stack of attention and feed-forward layers that predicts the next token.

Chapter: 00 (used), 5c (built).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.attention import KeysAndValues, MultiHeadAttention, causal_rule, rotary_angles
from mini_musessl.music import whole_number


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

    Raises:
        ValueError: a size that is not positive, or sizes that do not divide.
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

    Chapter: 9a (sampling).
    """

    layers: list[KeysAndValues]
    token_ids: Int[Tensor, "batch n_seen"]


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network; each reads a normalised copy and adds its answer.

    Equal to ``torch.nn.TransformerEncoderLayer(norm_first=True, activation="gelu", bias=False)`` without rotation.

    Args:
        d_model: width of inputs and outputs.
        n_heads: attention heads; divides ``d_model``.
        d_feedforward: width inside the feed-forward network.
        dropout: share of features silenced while training.

    References:
        Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020): normalising first trains
        without a long warm-up.

    Chapter: 5c.
    """

    def __init__(self, d_model: int, n_heads: int, d_feedforward: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model, bias=False)
        self.attention = MultiHeadAttention(d_model, n_heads)
        self.feedforward_norm = nn.LayerNorm(d_model, bias=False)
        self.widen = nn.Linear(d_model, d_feedforward, bias=False)
        self.narrow = nn.Linear(d_feedforward, d_model, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        features: Float[Tensor, "batch time d_model"],
        may_attend: Tensor | None = None,
        angles: Tensor | None = None,
        past: KeysAndValues | None = None,
    ) -> tuple[Float[Tensor, "batch time d_model"], KeysAndValues]:
        """Pass features through the block.

        Args:
            features: one vector a position.
            may_attend: True where a position may look; None lets all look at all.
            angles: rotary angles of these positions; None for no rotation.
            past: keys and values of earlier positions, from an earlier call.

        Returns:
            The new features, and the keys and values of all positions so far.
        """
        attended, present = self.attention(self.attention_norm(features), may_attend, angles, past)
        features = features + self.dropout(attended)
        widened = nn.functional.gelu(self.widen(self.feedforward_norm(features)))
        return features + self.dropout(self.narrow(widened)), present


class MusicTransformer(nn.Module):
    """A causal Transformer over token ids: position i sees tokens 0..i and predicts token i + 1.

    Weights begin as normal numbers of standard deviation 0.02; the layers that write into the sum of features begin
    smaller by the root of their number (2 * n_layers), so that the sum keeps its size. The output layer begins
    at zero: the first prediction is uniform, and the first loss is ln(vocabulary_size) to the digit.

    Example:
        >>> model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=32, d_feedforward=64))
        >>> model(torch.tensor([[47, 20, 21]])).shape
        torch.Size([1, 3, 47])

    References:
        Radford et al., "Language Models are Unsupervised Multitask Learners" (2019), section 2.3, for the
        initialisation; Su et al. (2021) for rotary positions.

    Chapter: 5c.
    """

    def __init__(self, config: TransformerConfig, seed: int = 0) -> None:
        """Make a network with fresh weights, drawn from ``seed`` alone."""
        super().__init__()
        self.config = config
        # PyTorch fills new layers from its global state, which is not ours to move.
        with torch.random.fork_rng(devices=[]):
            self._make_layers(config)
        self._set_weights(torch.Generator().manual_seed(seed))

    def _make_layers(self, config: TransformerConfig) -> None:
        """Make all parts, in the order in which ``forward`` uses them."""
        n_inputs = config.vocabulary_size + 1
        self.token_tables = nn.ModuleList(nn.Embedding(n_inputs, config.d_model) for _ in range(config.n_previous + 1))
        self.cycle_tables = nn.ModuleList(nn.Embedding(length, config.d_model) for length in config.cycle_lengths)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.d_model, config.n_heads, config.d_feedforward, config.dropout)
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(config.d_model, bias=False)
        self.to_logits = nn.Linear(config.d_model, config.vocabulary_size, bias=False)

    def forward(
        self, token_ids: Int[Tensor, "batch time"], cache: Cache | None = None
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Score every symbol as the successor of every position.

        Args:
            token_ids: 0..vocabulary_size; the largest is the begin symbol.
            cache: what was read before, from ``start_cache``; it is extended by these tokens.

        Returns:
            Logits: ``softmax`` over the last axis gives the probabilities of the next token.

        Raises:
            ValueError: more tokens than ``context_length``, no tokens, another shape, or ids outside the vocabulary.
            TypeError: the ids are not whole numbers.
        """
        self._check_form(token_ids)
        first = 0 if cache is None else cache.token_ids.shape[1]
        self._check_ids(token_ids, first)
        time, device = token_ids.shape[1], token_ids.device
        seen = token_ids if cache is None else torch.cat((cache.token_ids, token_ids), dim=1)
        features = self.dropout(self._embed(seen, first))
        may_attend = causal_rule(time, first + time, device)
        angles = rotary_angles(first, time, self.config.d_model // self.config.n_heads, device)
        for index, block in enumerate(self.blocks):
            past = cache.layers[index] if cache is not None and first else None
            features, present = block(features, may_attend, angles, past)
            if cache is not None:
                cache.layers[index : index + 1] = [present]
        if cache is not None:
            cache.token_ids = seen
        return self.to_logits(self.norm(features))

    def start_cache(self, batch: int) -> Cache:
        """Return an empty cache for ``batch`` sequences."""
        return Cache([], torch.empty(batch, 0, dtype=torch.long, device=self.to_logits.weight.device))

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
        return features

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
        if token_ids.shape[1] == 0:
            raise ValueError("The network must read at least one token; found none. Begin with config.begin_id.")
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

    def _set_weights(self, generator: torch.Generator) -> None:
        """Draw the first weights."""
        for name, weight in self.named_parameters():
            if name.endswith("norm.weight"):
                nn.init.ones_(weight)
            elif name == "to_logits.weight":
                nn.init.zeros_(weight)
            else:
                adds_to_sum = name.endswith(("to_output.weight", "narrow.weight"))
                std = 0.02 / math.sqrt(2 * self.config.n_layers) if adds_to_sum else 0.02
                nn.init.normal_(weight, std=std, generator=generator)
