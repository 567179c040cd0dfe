"""FrameEncoder describes each step of a window of frames; MaskedTransformer names the cells that are hidden from it.

Every objective of chapter 4 trains the encoder, each with a head of its own on top; a probe then asks what the
descriptions hold.

Conventions:
    frames: (batch, n_steps, n_voices) symbol ids, voices from the highest to the lowest; id 0 is a rest, the others are
        consecutive pitches.
    is_hidden: True where a cell, one voice at one step, must not be seen. What its id is then changes nothing.

References: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019),
for a stack that looks both ways and a symbol for what is hidden.

Chapter: 1a (learning without labels), 4b (masking).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mini_musessl.checks import check_truth
from mini_musessl.network.attention import join_masks, position_angles
from mini_musessl.network.counterpoint import Counterpoint
from mini_musessl.network.frames import FirstStep, Frames, Logits, PooledDropout, Steps, by_voice, check_frames
from mini_musessl.network.transformer import Network, TransformerBlock, check_network, init_weights

Hidden, Padding = Bool[Tensor, "batch n_steps n_voices"], Bool[Tensor, "batch n_steps"]


@dataclass(frozen=True)
class EncoderConfig:
    """Size and shape of a FrameEncoder."""

    vocabulary_size: int = 47  # symbols of a voice; one more id, hidden_id, stands for a hidden cell
    n_voices: int = 4  # voices of a frame
    context_length: int = 128  # most frames that are read at once; best the length of the windows of training
    d_model: int = 128  # width of the description of a step
    n_layers: int = 3  # blocks in the stack
    n_heads: int = 4  # attention heads per block
    d_feedforward: int = 384  # width inside the feed-forward networks
    d_voice: int = 192  # width of the hidden layer of a head that predicts cells
    dropout: float = 0.1  # share of features silenced while training
    cycle_length: int = 1  # the index of a step modulo this is told; 1 tells nothing that a probe could find again
    uses_counterpoint: bool = False  # the head scores how each voice would move with each other voice, in every key
    is_causal: bool = False  # a step is described from itself and the steps before, not from the whole window

    def __post_init__(self) -> None:
        check_network(self, "n_voices", "d_voice", "cycle_length")

    @property
    def hidden_id(self) -> int:
        """The id that stands where a cell is hidden: BERT's [MASK]."""
        return self.vocabulary_size


class FrameEncoder(Network):
    """A Transformer over frames: each step is described from all steps of the window, or from those up to it.

    Positions are rotary: attention knows how far apart two steps are, and not where in the window they stand.

    >>> encoder = FrameEncoder(EncoderConfig(d_model=16, d_feedforward=32))
    >>> encoder(torch.zeros(2, 7, 4, dtype=torch.long)).shape
    torch.Size([2, 7, 16])
    """

    def __init__(self, config: EncoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = c = config
        # PyTorch fills new layers from its global state, which is not ours to move.
        with torch.random.fork_rng(devices=[]):
            self.symbol_table = nn.Embedding(c.n_voices * (c.vocabulary_size + 1), c.d_model)
            self.cycle_table = nn.Embedding(c.cycle_length, c.d_model)
            self.dropout = PooledDropout(c.dropout)
            self.blocks = nn.ModuleList(
                TransformerBlock(c.d_model, c.n_heads, c.d_feedforward, self.dropout) for _ in range(c.n_layers)
            )
            self.norm = nn.LayerNorm(c.d_model, bias=False)
        init_weights(self, c.n_layers, seed)

    def forward(
        self,
        frames: Frames,
        is_hidden: Hidden | None = None,
        is_padding: Padding | None = None,
        first_step: FirstStep | None = None,
    ) -> Steps:
        """Describe each step.

        Args:
            is_hidden: None hides nothing.
            is_padding: True at steps that are not there, at which nobody looks; their descriptions mean nothing.
            first_step: index in its piece of the first frame of each row, None for 0; it counts only with a
                ``cycle_length`` above 1.
        """
        c = self.config
        check_frames(c, frames, first_step)
        if is_hidden is not None:
            check_truth("is_hidden", is_hidden, frames.shape)
        if is_padding is not None:
            check_truth("is_padding", is_padding, frames.shape[:2])
        features = self.dropout(self.embed(frames, is_hidden, first_step))
        n_steps = frames.shape[1]
        may_attend = join_masks(n_steps, n_steps, c.is_causal, is_padding, frames.device)
        angles = position_angles(0, n_steps, c.d_model // c.n_heads, frames.device)
        for block in self.blocks:
            features = block(features, may_attend, angles)
        return self.norm(features)

    def embed(self, frames: Frames, is_hidden: Hidden | None, first_step: FirstStep | None) -> Steps:
        """Sum what is seen of each voice and, if it is told, the place in the cycle."""
        seen = frames if is_hidden is None else frames.masked_fill(is_hidden, self.config.hidden_id)
        cells = self.symbol_table(by_voice(seen, self.config.vocabulary_size + 1)).sum(dim=2)
        step = torch.arange(frames.shape[1], device=frames.device) + (0 if first_step is None else first_step[:, None])
        return cells + self.cycle_table(step % self.config.cycle_length)


def pool(features: Steps, is_padding: Padding | None = None) -> Float[Tensor, "batch d_model"]:
    """Describe a window by the mean of the descriptions of its steps, without padding.

    >>> pool(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[False, False, True]])).tolist()
    [[2.0]]
    """
    if is_padding is None:
        return features.mean(dim=1)
    is_there = ~is_padding[..., None]
    return (features * is_there).sum(dim=1) / is_there.sum(dim=1).clamp(min=1)


class CellHead(nn.Module):
    """Scores for every cell from the description of its step: one hidden layer, and one output layer for each voice."""

    def __init__(self, config: EncoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.n_voices = config.n_voices
        with torch.random.fork_rng(devices=[]):
            self.to_voices = nn.Linear(config.d_model, config.n_voices * config.d_voice)
            self.dropout = PooledDropout(config.dropout)
            layers = [nn.Linear(config.d_voice, config.vocabulary_size) for _ in range(config.n_voices)]
            self.to_logits = nn.ModuleList(layers)
        init_weights(self, 1, -1 - seed)  # the encoder's own seed would give the head the encoder's first numbers again

    def forward(self, features: Steps) -> Logits:
        """Score every symbol for every cell."""
        hidden = self.dropout(nn.functional.gelu(self.to_voices(features))).unflatten(-1, (self.n_voices, -1))
        return torch.stack([layer(hidden[:, :, voice]) for voice, layer in enumerate(self.to_logits)], dim=2)


class MaskedTransformer(Network):
    """An encoder with a head that names the symbol of each cell.

    All cells of a step are named side by side, none from another: what several hidden cells of one step are together,
    the network does not say. Infilling one after another does (``generation.infill``).

    >>> model = MaskedTransformer(EncoderConfig(d_model=16, d_feedforward=32, d_voice=24))
    >>> frames = torch.zeros(2, 7, 4, dtype=torch.long)
    >>> model(frames, torch.ones_like(frames, dtype=torch.bool)).shape
    torch.Size([2, 7, 4, 47])
    """

    def __init__(self, config: EncoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.encoder = FrameEncoder(config, seed)
        self.head = CellHead(config, seed)
        # One kind of motion between neighbouring steps, and one over hidden steps.
        tables = Counterpoint(config.n_voices, config.vocabulary_size, n_kinds=2) if config.uses_counterpoint else None
        self.counterpoint = tables

    def forward(
        self,
        frames: Frames,
        is_hidden: Hidden,
        is_padding: Padding | None = None,
        first_step: FirstStep | None = None,
    ) -> Logits:
        """Score every symbol for every cell, as in ``FrameEncoder``; no logits depend on the ids of hidden cells."""
        scores = self.head(self.encoder(frames, is_hidden, is_padding, first_step))
        if self.counterpoint is None:
            return scores
        is_seen = ~is_hidden if is_padding is None else ~(is_hidden | is_padding[..., None])
        return scores + self.counterpoint.score_hidden(frames, is_seen)
