"""A recurrent network over tokens: the network that the Transformer is measured against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class GruConfig:
    """Size and shape of a TokenGru.

    Attributes:
        vocabulary_size: symbols that can be predicted; one more, the begin symbol, can only be read.
        d_model: width of the state.
        n_layers: recurrent layers.
        dropout: share of features silenced while training.
        cycle_lengths: the index of the token to predict is told modulo each of these.
        n_previous: tokens before the latest that are added to the input, each through its own table.
    """

    vocabulary_size: int = 47
    d_model: int = 256
    n_layers: int = 2
    dropout: float = 0.1
    cycle_lengths: tuple[int, ...] = (4, 16, 64)
    n_previous: int = 3


class TokenGru(nn.Module):
    """Gated recurrent layers (Cho et al., 2014, PyTorch's own) over the same inputs as those of MusicTransformer.

    Args:
        config: sizes.
        seed: source of the first weights.
    """

    def __init__(self, config: GruConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            n_inputs, width = config.vocabulary_size + 1, config.d_model
            self.token_tables = nn.ModuleList(nn.Embedding(n_inputs, width) for _ in range(config.n_previous + 1))
            self.cycle_tables = nn.ModuleList(nn.Embedding(length, width) for length in config.cycle_lengths)
            self.dropout = nn.Dropout(config.dropout)
            between = config.dropout if config.n_layers > 1 else 0.0  # PyTorch warns where there is no between
            self.layers = nn.GRU(width, width, config.n_layers, batch_first=True, dropout=between)
            self.to_logits = nn.Linear(width, config.vocabulary_size)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Score every symbol as the successor of every position.

        Args:
            token_ids: (batch, time), the begin symbol first.

        Returns:
            Logits (batch, time, vocabulary).
        """
        features = self.token_tables[0](token_ids)
        for distance, table in enumerate(self.token_tables[1:], start=1):
            features[:, distance:] += table(token_ids[:, :-distance])
        position = torch.arange(token_ids.shape[1])
        for length, table in zip(self.config.cycle_lengths, self.cycle_tables, strict=True):
            features = features + table(position % length)
        return self.to_logits(self.dropout(self.layers(self.dropout(features))[0]))

    @torch.no_grad()
    def symbol_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """Return the natural logarithms of the probabilities of every symbol, for a piece read from its first step.

        Args:
            ids: (n_steps, 4).

        Returns:
            float64 (n_steps, 4, vocabulary).
        """
        self.eval()
        tokens = torch.from_numpy(np.ascontiguousarray(ids)).long().flatten()
        inputs = torch.cat((torch.tensor([self.config.vocabulary_size]), tokens[:-1]))
        return self(inputs[None])[0].double().log_softmax(dim=-1).numpy().reshape(*ids.shape, -1)

    def token_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """Return the natural logarithm of the probability of every token of a piece.

        Args:
            ids: (n_steps, 4).

        Returns:
            float64, the same shape.
        """
        return np.take_along_axis(self.symbol_log_probs(ids), ids[..., None], axis=-1)[..., 0]
