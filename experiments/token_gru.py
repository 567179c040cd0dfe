"""A recurrent network over tokens: the network that the Transformer is measured against."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mini_musessl.generation.sampling import TokenDecoder
from mini_musessl.network.transformer import Network
from mini_musessl.training import checkpoints


@dataclass(frozen=True)
class GruConfig:
    """Size and shape of a TokenGru."""

    vocabulary_size: int = 47  # symbols that can be predicted; one more, the begin symbol, can only be read
    d_model: int = 256  # width of the state
    n_layers: int = 2  # recurrent layers
    dropout: float = 0.1  # share of features silenced while training
    cycle_lengths: tuple[int, ...] = (4, 16, 64)  # the index of the token to predict is told modulo each of these
    n_previous: int = 3  # tokens before the latest that are added to the input, each through its own table


class TokenGru(Network):
    """Gated recurrent layers (Cho et al., 2014, PyTorch's own) over the same inputs as those of MusicTransformer."""

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
        """Return logits (batch, time, vocabulary) of the successor of every position of (batch, time).

        The begin symbol is the first of each row.
        """
        return self.to_logits(self.dropout(self.layers(self.dropout(self.embed(token_ids)))[0]))

    def embed(self, token_ids: Tensor, first: int = 0) -> Tensor:
        """Return the inputs of the layers, for tokens of which the first is number ``first`` of its row."""
        features = self.token_tables[0](token_ids)
        for distance, table in enumerate(self.token_tables[1:], start=1):
            features[:, distance:] += table(token_ids[:, :-distance])
        position = first + torch.arange(token_ids.shape[1])
        for length, table in zip(self.config.cycle_lengths, self.cycle_tables, strict=True):
            features = features + table(position % length)
        return features

    @torch.no_grad()
    def symbol_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """Return log probabilities (n_steps, 4, vocabulary) of every symbol, for a piece (n_steps, 4)."""
        self.eval()
        tokens = torch.from_numpy(np.ascontiguousarray(ids)).long().flatten()
        inputs = torch.cat((torch.tensor([self.config.vocabulary_size]), tokens[:-1]))
        return self(inputs[None])[0].double().log_softmax(dim=-1).numpy().reshape(*ids.shape, -1)


class GruDecoder(TokenDecoder):
    """A TokenGru that scores one token after another, from its state and the latest tokens."""

    def __init__(self, model: TokenGru, n_rows: int) -> None:
        self._model, self._state = model.eval(), None
        self._ids = torch.full((n_rows, 1), model.config.vocabulary_size)

    def next_logits(self) -> Tensor:
        """Return the scores of the next token of each row (n_rows, vocabulary)."""
        latest = self._ids[:, -1 - self._model.config.n_previous :]
        features = self._model.embed(latest, self._ids.shape[1] - latest.shape[1])[:, -1:]
        features, self._state = self._model.layers(features, self._state)
        return self._model.to_logits(features[:, -1])


# So that a checkpoint can hold one.
checkpoints.MODELS["TokenGru"] = (TokenGru, GruConfig)
