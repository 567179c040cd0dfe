"""FrameEncoder: a network that reads a window of frames and describes each step.

Every objective of chapter 4 trains this network, each with a head of its own on top; a probe then asks what the
descriptions hold.

Conventions:
    frames: (batch, n_steps, n_voices) symbol ids, voices from the highest to the lowest; id 0 is a rest, the other ids
        are consecutive pitches.
    is_hidden: True where a cell, one voice at one step, must not be seen. What its id is then changes nothing.

Chapter: 1a (learning without labels), 4b (masking).
"""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.checks import whole_number
from mini_musessl.network.attention import causal_mask, check_rule, padding_mask, rotary_angles
from mini_musessl.network.frames import TABLE_STD, by_voice, check_form
from mini_musessl.network.transformer import PooledDropout, TransformerBlock

# --- FrameEncoder: a network that reads a window of frames and describes each step


@dataclass(frozen=True)
class EncoderConfig:
    """Size and shape of a FrameEncoder.

    Attributes:
        vocabulary_size: symbols of a voice; one more id, ``hidden_id``, stands for a hidden cell.
        n_voices: voices of a frame.
        context_length: most frames the network reads at once. Best the length of the windows it is trained on: what
            steps further apart mean to each other it never learned.
        d_model: width of the description of a step.
        n_layers: blocks in the stack.
        n_heads: attention heads a block; ``2 * n_heads`` divides ``d_model``.
        d_feedforward: width inside the feed-forward layers.
        d_voice: width of the hidden layer of a head that predicts cells.
        dropout: share of features silenced while training, 0 up to but not 1.
        cycle_length: the network is told the index of each step modulo this; 1 tells nothing, so that a probe for the
            beat asks what was learned and not what was given.
        is_causal: whether a step is described from itself and the steps before alone; otherwise from the whole window.

    Raises:
        ValueError: a size that is not positive, or sizes that do not divide.
        TypeError: a size that is not a whole number.

    Chapter: 1a, 4b.
    """

    vocabulary_size: int = 47
    n_voices: int = 4
    context_length: int = 128
    d_model: int = 128
    n_layers: int = 3
    n_heads: int = 4
    d_feedforward: int = 384
    d_voice: int = 192
    dropout: float = 0.1
    cycle_length: int = 1
    is_causal: bool = False

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
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1; found {self.dropout}.")
        if not isinstance(self.is_causal, bool):
            raise TypeError(f"is_causal must be True or False; found {self.is_causal!r}.")

    @property
    def hidden_id(self) -> int:
        """The id that stands where a cell is hidden."""
        return self.vocabulary_size


class FrameEncoder(nn.Module):
    """A Transformer over frames: each step is described from all steps of the window, or from those up to it.

    Positions are rotary: attention knows how far apart two steps are, and not where in the window they stand.

    Example:
        >>> encoder = FrameEncoder(EncoderConfig(d_model=16, d_feedforward=32))
        >>> encoder(torch.zeros(2, 7, 4, dtype=torch.long)).shape
        torch.Size([2, 7, 16])

    References:
        Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019), for a
        stack that looks both ways and a symbol for what is hidden.

    Chapter: 1a, 4b.
    """

    def __init__(self, config: EncoderConfig, seed: int = 0) -> None:
        """Make an encoder with fresh weights, drawn from ``seed`` alone."""
        super().__init__()
        self.config = config
        # PyTorch fills new layers from its global state, which is not ours to move.
        with torch.random.fork_rng(devices=[]):
            self.symbol_table = nn.Embedding(config.n_voices * (config.vocabulary_size + 1), config.d_model)
            self.cycle_table = nn.Embedding(config.cycle_length, config.d_model)
            self.dropout = PooledDropout(config.dropout)
            self.blocks = nn.ModuleList(
                TransformerBlock(config.d_model, config.n_heads, config.d_feedforward, config.dropout)
                for _ in range(config.n_layers)
            )
            self.norm = nn.LayerNorm(config.d_model, bias=False)
        for block in self.blocks:
            block.dropout = PooledDropout(config.dropout)
        init_encoder_weights(self, config.n_layers, torch.Generator().manual_seed(seed))

    def forward(
        self,
        frames: Int[Tensor, "batch n_steps n_voices"],
        is_hidden: Bool[Tensor, "batch n_steps n_voices"] | None = None,
        is_padding: Bool[Tensor, "batch n_steps"] | None = None,
        first_step: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch n_steps d_model"]:
        """Describe each step.

        Args:
            frames: symbol ids, 0..vocabulary_size - 1.
            is_hidden: True where a cell must not be seen; None hides nothing.
            is_padding: True at steps that are not there, at which nobody looks; None where all are.
            first_step: index in its piece of the first frame of each row; None for 0. It counts only with a
                ``cycle_length`` above 1.

        Returns:
            One vector a step. Those of padding mean nothing.

        Raises:
            ValueError: more frames than ``context_length``, none, another shape, ids outside the vocabulary, or a row
                of nothing but padding.
            TypeError: the ids or first steps are not whole numbers, or what is hidden or padding is not True and False.
        """
        self._check(frames, is_hidden)
        _check_rows(frames, is_padding, first_step)
        features = self.dropout(self._embed(frames, is_hidden, first_step))
        angles = rotary_angles(0, frames.shape[1], self.config.d_model // self.config.n_heads, frames.device)
        may_attend = self._rule(frames, is_padding)
        for block in self.blocks:
            features, _ = block(features, may_attend, angles)
        return self.norm(features)

    def _rule(self, frames: Tensor, is_padding: Tensor | None) -> Tensor | None:
        """Say who may look at whom; None where all may look at all."""
        rules = []
        if self.config.is_causal:
            rules.append(causal_mask(frames.shape[1], frames.shape[1], frames.device))
        if is_padding is not None:
            rules.append(padding_mask(is_padding))
            check_rule(rules[-1])
        return functools.reduce(operator.and_, rules) if rules else None

    def _embed(self, frames: Tensor, is_hidden: Tensor | None, first_step: Tensor | None) -> Tensor:
        """Add up what is seen of each voice and, if it is told, the place in the cycle."""
        config = self.config
        seen = frames if is_hidden is None else frames.masked_fill(is_hidden, config.hidden_id)
        cells = self.symbol_table(by_voice(seen, config.vocabulary_size + 1)).sum(dim=2)
        step = torch.arange(frames.shape[1], device=frames.device) + (0 if first_step is None else first_step[:, None])
        return cells + self.cycle_table(step % config.cycle_length)

    def _check(self, frames: Tensor, is_hidden: Tensor | None) -> None:
        """Refuse frames that the network cannot read."""
        longest = self.config.context_length
        check_form(frames, self.config.n_voices)
        if not 0 < frames.shape[1] <= longest or len(frames) == 0:
            raise ValueError(
                f"The encoder reads at least one row, and 1 to context_length = {longest} steps; found "
                f"{tuple(frames.shape[:2])}. Cut windows, or make an encoder with a longer context."
            )
        lowest, highest = int(frames.min()), int(frames.max())
        if lowest < 0 or highest >= self.config.vocabulary_size:
            raise ValueError(
                f"Ids of symbols must lie in 0..{self.config.vocabulary_size - 1}; found {lowest}..{highest}. To hide "
                "cells, leave their ids and give is_hidden."
            )
        if is_hidden is not None:
            check_hidden(frames, is_hidden)


def check_hidden(frames: Tensor, is_hidden: Tensor) -> None:
    """Refuse what does not say of each cell whether it is hidden.

    Args:
        frames: (batch, n_steps, n_voices) symbol ids.
        is_hidden: should be as large, True and False.

    Raises:
        ValueError: another shape.
        TypeError: not True and False.
    """
    if is_hidden.dtype != torch.bool:
        raise TypeError(
            f"is_hidden must be True where a cell is hidden and False elsewhere; found {is_hidden.dtype}. Compare "
            "first, such as weights == 0."
        )
    if is_hidden.shape != frames.shape:
        raise ValueError(
            f"is_hidden must say one thing of each cell, {tuple(frames.shape)}; found {tuple(is_hidden.shape)}."
        )


def _check_rows(frames: Tensor, is_padding: Tensor | None, first_step: Tensor | None) -> None:
    """Refuse padding or first steps that belong to other frames."""
    if is_padding is not None and is_padding.shape != frames.shape[:2]:
        raise ValueError(
            f"is_padding must say one thing of each step, {tuple(frames.shape[:2])}; found {tuple(is_padding.shape)}."
        )
    if first_step is None:
        return
    if not isinstance(first_step, Tensor) or first_step.is_floating_point():
        found = first_step.dtype if isinstance(first_step, Tensor) else type(first_step).__name__
        raise TypeError(f"first_step must be a tensor of whole numbers, one a row; found {found}.")
    if first_step.shape != (len(frames),):
        raise ValueError(f"first_step must be one index a row, ({len(frames)},); found {tuple(first_step.shape)}.")


def pool(
    features: Float[Tensor, "batch n_steps d_model"], is_padding: Bool[Tensor, "batch n_steps"] | None = None
) -> Float[Tensor, "batch d_model"]:
    """Describe a window by the mean of the descriptions of its steps.

    Args:
        features: one vector a step.
        is_padding: True at steps that are not there; they do not count. None where all are.

    Example:
        >>> pool(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[False, False, True]])).tolist()
        [[2.0]]

    Chapter: 1a, 4d.
    """
    if is_padding is None:
        return features.mean(dim=1)
    is_there = ~is_padding[..., None]
    return (features * is_there).sum(dim=1) / is_there.sum(dim=1).clamp(min=1)


def init_encoder_weights(network: nn.Module, n_layers: int, generator: torch.Generator) -> None:
    """Draw the first weights of an encoder or a head, in the order of its parameters.

    They keep the size of what passes through them; layers that write into the sum of features begin smaller.

    Args:
        network: what to fill. Norms begin at 1 and biases at 0.
        n_layers: its blocks.
        generator: where the numbers come from.

    Chapter: 4b.
    """
    for name, weight in network.named_parameters():
        if name.endswith("norm.weight"):
            nn.init.ones_(weight)
        elif weight.dim() < 2:
            nn.init.zeros_(weight)
        elif name.endswith("table.weight"):
            nn.init.normal_(weight, std=TABLE_STD, generator=generator)
        else:
            n_writers = 2 * n_layers if name.endswith(("to_output.weight", "narrow.weight")) else 1
            nn.init.normal_(weight, std=0.5 * (n_writers * weight.shape[1]) ** -0.5, generator=generator)


# --- MaskedTransformer: an encoder that reads both ways, and a head that names the cells hidden from it


class CellHead(nn.Module):
    """Scores for every cell from the description of its step: one hidden layer and one output layer a voice.

    Args:
        config: the sizes; ``d_voice`` is the width of the hidden layer.
        seed: of the first weights.

    Chapter: 4b.
    """

    def __init__(self, config: EncoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.n_voices = config.n_voices
        with torch.random.fork_rng(devices=[]):
            self.to_voices = nn.Linear(config.d_model, config.n_voices * config.d_voice)
            self.dropout = PooledDropout(config.dropout)
            self.to_logits = nn.ModuleList(
                nn.Linear(config.d_voice, config.vocabulary_size) for _ in range(config.n_voices)
            )
        # Not the encoder's own seed, which would give the head the encoder's first numbers again.
        init_encoder_weights(self, 1, torch.Generator().manual_seed(-1 - seed))

    def forward(
        self, features: Float[Tensor, "batch n_steps d_model"]
    ) -> Float[Tensor, "batch n_steps n_voices vocabulary"]:
        """Score every symbol for every cell."""
        hidden = self.dropout(nn.functional.gelu(self.to_voices(features))).unflatten(-1, (self.n_voices, -1))
        return torch.stack([layer(hidden[:, :, voice]) for voice, layer in enumerate(self.to_logits)], dim=2)


class MaskedTransformer(nn.Module):
    """An encoder with a head that names the symbol of each cell.

    All cells of a step are named side by side, none from another: what several hidden cells of one step are together,
    the network does not say. Filling them one after another does (``generation.fill``).

    Example:
        >>> model = MaskedTransformer(EncoderConfig(d_model=16, d_feedforward=32, d_voice=24))
        >>> frames = torch.zeros(2, 7, 4, dtype=torch.long)
        >>> model(frames, torch.ones_like(frames, dtype=torch.bool)).shape
        torch.Size([2, 7, 4, 47])

    Chapter: 4b.
    """

    def __init__(self, config: EncoderConfig, seed: int = 0) -> None:
        """Make an encoder and a head with fresh weights, drawn from ``seed`` alone."""
        super().__init__()
        self.config = config
        self.encoder = FrameEncoder(config, seed)
        self.head = CellHead(config, seed)

    def forward(
        self,
        frames: Int[Tensor, "batch n_steps n_voices"],
        is_hidden: Bool[Tensor, "batch n_steps n_voices"],
        is_padding: Bool[Tensor, "batch n_steps"] | None = None,
        first_step: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch n_steps n_voices vocabulary"]:
        """Score every symbol for every cell; only the answers for hidden cells are worth anything.

        Args:
            frames: symbol ids, 0..vocabulary_size - 1.
            is_hidden: True where a cell must not be seen.
            is_padding: True at steps that are not there; None where all are.
            first_step: index in its piece of the first frame of each row; None for 0.

        Returns:
            Logits. None depends on the ids of hidden cells.

        Raises:
            ValueError: as of ``FrameEncoder``.
            TypeError: as of ``FrameEncoder``.
        """
        return self.head(self.encoder(frames, is_hidden, is_padding, first_step))
