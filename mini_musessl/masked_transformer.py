"""MaskedTransformer: an encoder that reads both ways, and a head that names the cells hidden from it.

Chapter: 4b (masking).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.dropout import PooledDropout
from mini_musessl.encoder import EncoderConfig, FrameEncoder, draw_encoder_weights


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
        draw_encoder_weights(self, 1, torch.Generator().manual_seed(-1 - seed))

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
