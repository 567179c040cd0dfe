"""FrameTransformer: one position a step, the voices of the step predicted in turn.

A token Transformer reads a chorale as soprano, alto, tenor, bass, soprano, ...: four positions a step. This network
spends one position on the whole step, a *frame*. A stack of attention layers reads the frames before; a small head
then predicts the voices of the new frame one after another, each knowing those above it. The probability of a piece
is the product of the same conditional probabilities as before, so the two networks are measured on the same scale.

Conventions:
    frames: (batch, n_steps, n_voices) symbol ids, voices from the highest to the lowest; id 0 is a rest, the other ids
        are consecutive pitches.
    begin: the id ``vocabulary_size``, which stands before the first frame. It is read, never predicted.

Chapter: 5d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.attention import causal_rule
from mini_musessl.blocks import TransformerBlock
from mini_musessl.dropout import PooledDropout
from mini_musessl.frame_checks import check_form, check_ids, check_size
from mini_musessl.frame_head import VoicesInTurn, by_voice
from mini_musessl.frame_past import LONGEST_HOLD_STEP, FrameCache, Past, look_back, look_on
from mini_musessl.music import whole_number
from mini_musessl.past_keys import PastKeys
from mini_musessl.positions import rotary_angles

#: Standard deviation of the first entries of the tables. With 0.02, as in GPT-2, the network began to learn later.
TABLE_STD = 0.05


@dataclass(frozen=True)
class FrameConfig:
    """Size and shape of a FrameTransformer.

    Attributes:
        vocabulary_size: symbols that can be predicted; one more, the begin symbol, can only be read.
        n_voices: voices of a frame, predicted in turn.
        context_length: most frames the network reads at once.
        d_model: width of the features of the stack.
        n_layers: blocks in the stack.
        n_heads: attention heads a block; divides ``d_model``.
        d_feedforward: width inside the feed-forward layers.
        d_voice: width of the head that predicts a voice.
        dropout: share of features silenced while training, 0 up to but not 1.
        hidden_share: share of the cells (one voice at one step) of the past that the stack cannot see while training,
            0 up to but not 1. What is hidden is drawn anew for every window.
        hears_holds: the network is told for how many steps each voice has held its note.
        cycle_length: the network is told the index of the step it predicts modulo this; 1 tells nothing.
        hears_intervals: the head is told the intervals between the new notes and those before them, beside their
            pitches; then what it learns of an interval holds in every key.
        temperature: outside training, all logits are divided by this, above 0. A network that has learned its pieces
            by heart is too sure of itself on others; ``evaluation.calibration`` finds the number that mends it.

    Raises:
        ValueError: a size that is not positive, or sizes that do not divide.
        TypeError: a size that is not a whole number.

    Chapter: 5d.
    """

    vocabulary_size: int = 47
    n_voices: int = 4
    context_length: int = 640
    d_model: int = 160
    n_layers: int = 3
    n_heads: int = 5
    d_feedforward: int = 480
    d_voice: int = 320
    dropout: float = 0.1
    hidden_share: float = 0.15
    hears_holds: bool = True
    cycle_length: int = 16
    hears_intervals: bool = True
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "n_voices", "context_length", "d_model", "n_layers", "n_heads"):
            whole_number(name, getattr(self, name), lowest=1)
        for name in ("d_feedforward", "d_voice", "cycle_length"):
            whole_number(name, getattr(self, name), lowest=1)
        if self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model must be a multiple of 2 * n_heads, because heads split it and rotation pairs features; found "
                f"d_model={self.d_model} and n_heads={self.n_heads}."
            )
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be a finite number above 0; found {self.temperature}.")
        for name in ("dropout", "hidden_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1; found {getattr(self, name)}.")

    @property
    def begin_id(self) -> int:
        """The input id that stands before the first frame."""
        return self.vocabulary_size


class FrameTransformer(nn.Module):
    """A causal Transformer over frames: position t sees the frames before t and predicts the voices of frame t in turn.

    Example:
        >>> model = FrameTransformer(FrameConfig(d_model=20, d_feedforward=40, d_voice=30))
        >>> model(torch.zeros(2, 7, 4, dtype=torch.long)).shape
        torch.Size([2, 7, 4, 47])

    Chapter: 5d.
    """

    def __init__(self, config: FrameConfig, seed: int = 0) -> None:
        """Make a network with fresh weights, drawn from ``seed`` alone."""
        super().__init__()
        self.config = config
        # PyTorch fills new layers from its global state, which is not ours to move.
        with torch.random.fork_rng(devices=[]):
            self._make_layers(config)
        self._draw_first_weights(torch.Generator().manual_seed(seed))

    def _make_layers(self, config: FrameConfig) -> None:
        """Make all parts, in the order in which ``forward`` uses them."""
        n_voices, d_model = config.n_voices, config.d_model
        self.symbol_table = nn.Embedding(n_voices * (config.vocabulary_size + 1), d_model)
        self.hold_table = nn.Embedding(n_voices * (LONGEST_HOLD_STEP + 1), d_model) if config.hears_holds else None
        self.cycle_table = nn.Embedding(config.cycle_length, d_model)
        self.dropout = PooledDropout(config.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(d_model, config.n_heads, config.d_feedforward, config.dropout)
            for _ in range(config.n_layers)
        )
        for block in self.blocks:
            block.dropout = PooledDropout(config.dropout)
        self.norm = nn.LayerNorm(d_model, bias=False)
        self.head = VoicesInTurn(
            config.vocabulary_size,
            n_voices,
            d_model,
            config.d_voice,
            config.dropout,
            config.hears_holds,
            config.hears_intervals,
            config.temperature,
        )

    def _draw_first_weights(self, generator: torch.Generator) -> None:
        """Draw weights that keep the size of what passes through them.

        Beginning the output layers at 0, as MusicTransformer does, would make the first loss exact and cost a hundred
        updates: until they have grown, no gradient reaches the layers below.
        """
        for name, weight in self.named_parameters():
            if name.endswith("norm.weight"):
                nn.init.ones_(weight)
            elif weight.dim() < 2 or name == "head.shortcut_table.weight":
                nn.init.zeros_(weight)
            elif name.endswith("table.weight"):
                nn.init.normal_(weight, std=TABLE_STD, generator=generator)
            else:
                adds_to_sum = name.endswith(("to_output.weight", "narrow.weight"))
                n_writers = 2 * self.config.n_layers if adds_to_sum else 1
                nn.init.normal_(weight, std=0.5 * (n_writers * weight.shape[1]) ** -0.5, generator=generator)

    def set_temperature(self, temperature: float) -> None:
        """Divide all logits by this from now on, outside training; it is saved with the configuration.

        Args:
            temperature: a finite number above 0; 1 changes nothing.

        Raises:
            ValueError: the temperature is no such number.
        """
        self.config = replace(self.config, temperature=temperature)
        self.head.temperature = temperature

    def forward(
        self, frames: Int[Tensor, "batch n_steps n_voices"], first_step: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch n_steps n_voices vocabulary"]:
        """Score every symbol for every voice of every step.

        Args:
            frames: symbol ids, 0..vocabulary_size - 1.
            first_step: index in its piece of the first frame of each row; None for 0.

        Returns:
            Logits; those of voice v at step t depend on the frames before t and on the voices before v at t.

        Raises:
            ValueError: more frames than ``context_length``, none, another shape, or ids outside the vocabulary.
            TypeError: the ids are not whole numbers.
        """
        self._check(frames)
        past = look_back(frames, first_step, self.config.begin_id)
        return self.head(self._read(past), past, frames)

    def describe(
        self, frames: Int[Tensor, "batch n_steps n_voices"], first_step: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch n_steps d_model"]:
        """Describe each step by the state of the network once it has read that step, before it predicts the next.

        The state at a position has seen the frames before it alone; so a step is described at the position after it,
        and one position more than there are frames is read.

        Args:
            frames: symbol ids, 0..vocabulary_size - 1.
            first_step: index in its piece of the first frame of each row; None for 0.

        Returns:
            What the head is given for the next step; it depends on the frames up to this one and on none later.

        Raises:
            ValueError: ``context_length`` frames or more, none, another shape, or ids outside the vocabulary.
            TypeError: the ids are not whole numbers.

        Chapter: 1a.
        """
        self._check(frames, n_more=1)
        longer = torch.cat((frames, frames[:, -1:]), dim=1)  # any frame will do: no state sees the last
        return self._read(look_back(longer, first_step, self.config.begin_id))[:, 1:]

    def start_cache(self, n_rows: int, first_step: Int[Tensor, " batch"] | None = None) -> FrameCache:
        """Return the cache of a network that has read nothing.

        Args:
            n_rows: sequences that are read side by side.
            first_step: index in its piece of the first frame of each row; None for 0.
        """
        shape = (whole_number("n_rows", n_rows, lowest=1), 1, self.config.n_voices)
        frame = torch.zeros(shape, dtype=torch.long, device=self.norm.weight.device)
        past = look_back(frame, first_step, self.config.begin_id)
        return FrameCache([PastKeys() for _ in self.blocks], past)

    def read_next(
        self, cache: FrameCache, frames: Int[Tensor, "batch n_new n_voices"]
    ) -> tuple[Float[Tensor, "batch 1 d_model"], Past]:
        """Read frames that follow those in the cache; say what is then known about the step after them.

        The cache may be empty and there may be no new frame: then the step is the first of a piece.

        Args:
            cache: from ``start_cache``; it is extended.
            frames: symbol ids of the new frames, from the step where the cache ends.

        Returns:
            The features of the stack and the past for the next step, to give to ``head``.

        Raises:
            ValueError: the context would overflow, nothing is new, or ids outside the vocabulary.
        """
        check_form(frames, self.config.n_voices)
        n_read, n_new = cache.n_read, frames.shape[1] + cache.is_new
        check_size(len(frames), n_read + n_new if n_new else 0, self.config.context_length)
        past = look_on(cache.past, frames)
        if cache.is_new:
            past = Past(*(torch.cat(both, dim=1) for both in zip(cache.past, past, strict=True)))
        if frames.numel():
            check_ids(frames, self.config.vocabulary_size)
        features = self._read(past, cache.layers, n_read)
        cache.past, cache.is_new = Past(*(known[:, -1:] for known in past)), False
        return features[:, -1:], cache.past

    def _read(self, past: Past, layers: list[PastKeys] | None = None, n_read: int = 0) -> Tensor:
        """Return the features of the stack for each step, and let ``layers`` keep the keys and values."""
        config, n_new = self.config, past.latest.shape[1]
        features = self.dropout(self._embed(past))
        # One step alone may look at all that was read: it needs no rule.
        may_attend = None if n_new == 1 else causal_rule(n_new, n_read + n_new, features.device)
        angles = rotary_angles(n_read, n_new, config.d_model // config.n_heads, features.device)
        for block, before in zip(self.blocks, layers or [None] * config.n_layers, strict=True):
            features, _ = block(features, may_attend, angles, before)
        return self.norm(features)

    def _embed(self, past: Past) -> Tensor:
        """Add up what each voice sang last and for how long, and the place in the cycle."""
        cells = self.symbol_table(by_voice(past.latest, self.config.vocabulary_size + 1))
        if self.hold_table is not None:
            cells = cells + self.hold_table(by_voice(past.held_step, LONGEST_HOLD_STEP + 1))
        if self.training and self.config.hidden_share:
            is_seen = torch.rand(cells.shape[:-1], device=cells.device) >= self.config.hidden_share
            cells = cells * is_seen[..., None]
        return cells.sum(dim=2) + self.cycle_table(past.step % self.config.cycle_length)

    def _check(self, frames: Tensor, n_more: int = 0) -> None:
        """Refuse frames that the network cannot read, with so many more positions than steps."""
        check_form(frames, self.config.n_voices)
        n_rows, n_steps = frames.shape[:2]
        check_size(n_rows, n_steps + n_more if n_steps else 0, self.config.context_length)
        check_ids(frames, self.config.vocabulary_size)
