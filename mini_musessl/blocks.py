"""The block that every network of the book stacks: attention, then a feed-forward network.

Chapter: 5c (MusicTransformer).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mini_musessl.attention import KeysAndValues, MultiHeadAttention
from mini_musessl.past_keys import PastKeys

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
        past: PastKeys | None = None,
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


def draw_first_weights(network: nn.Module, n_layers: int, generator: torch.Generator) -> None:
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
