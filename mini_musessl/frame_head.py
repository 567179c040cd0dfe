"""The head of a FrameTransformer: the voices of one step, predicted in turn.

Chapter: 5d.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.dropout import PooledDropout
from mini_musessl.frame_past import LONGEST_HOLD_STEP, Past


def by_voice(ids: Tensor, n_rows: int) -> Tensor:
    """Point to each voice's own part of a table that holds one part a voice.

    Args:
        ids: (..., n_voices) rows counted within a part.
        n_rows: rows a voice.

    Returns:
        Rows of the whole table.

    Example:
        >>> by_voice(torch.tensor([3, 3]), n_rows=10).tolist()
        [3, 13]

    Chapter: 5d.
    """
    return ids + n_rows * torch.arange(ids.shape[-1], device=ids.device)


def interval_ids(upper: Tensor, lower: Tensor, vocabulary_size: int) -> Tensor:
    """Number the intervals between notes from 0; the largest number stands where one of the two is no note.

    Args:
        upper: symbol ids; 0 is a rest, 1 to ``vocabulary_size - 1`` are pitches.
        lower: symbol ids that ``upper`` is measured from.
        vocabulary_size: number of symbols; the begin symbol is the next.

    Returns:
        0 to ``2 * vocabulary_size - 1``; a unison is ``vocabulary_size - 1``.

    Example:
        >>> interval_ids(torch.tensor([22, 22, 0]), torch.tensor([20, 47, 20]), 47).tolist()
        [48, 93, 93]

    Chapter: 5d.
    """
    largest = vocabulary_size - 1
    is_note = (upper > 0) & (lower > 0) & (upper <= largest) & (lower <= largest)
    return torch.where(is_note, upper - lower + largest, 2 * largest + 1)


class VoicesInTurn(nn.Module):
    """Scores for each voice of a step, from what the stack says, the voice's own past, and the voices above it.

    For each voice a sum is made of what the stack says, the voice's latest symbol, how long it was held, and the
    new symbols of the voices above; one hidden layer turns the sum into scores. A table from the latest symbol
    straight to the scores makes "the same again" and "a step up" cheap to learn.

    Args:
        vocabulary_size: symbols that can be predicted; the begin symbol is the next.
        n_voices: voices of a frame.
        d_model: width of what the stack says.
        d_voice: width of the hidden layer.
        dropout: share of the hidden layer silenced while training.
        hears_holds: whether a voice is told how long it has held its note.
        hears_intervals: whether it is told intervals beside pitches.
        temperature: outside training, all logits are divided by this.

    References:
        The voices in turn are those of RNN-NADE: Boulanger-Lewandowski, Bengio and Vincent, "Modeling Temporal
        Dependencies in High-Dimensional Sequences" (2012), with one choice among symbols a voice in place of 88
        switches.

    Chapter: 5d.
    """

    def __init__(
        self,
        vocabulary_size: int,
        n_voices: int,
        d_model: int,
        d_voice: int,
        dropout: float = 0.0,
        hears_holds: bool = True,
        hears_intervals: bool = True,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.n_voices, self.vocabulary_size, self.temperature = n_voices, vocabulary_size, temperature
        n_symbols, n_intervals = vocabulary_size + 1, 2 * vocabulary_size
        n_pairs = n_voices * (n_voices - 1) // 2  # a voice and one of those above it
        self.to_voices = nn.Linear(d_model, n_voices * d_voice)
        self.own_table = nn.Embedding(n_voices * n_symbols, d_voice)
        self.hold_table = nn.Embedding(n_voices * (LONGEST_HOLD_STEP + 1), d_voice) if hears_holds else None
        self.above_table = nn.Embedding(n_pairs * n_symbols, d_voice)
        self.motion_table = nn.Embedding(n_pairs * n_intervals, d_voice) if hears_intervals else None
        self.meeting_table = nn.Embedding(n_pairs * n_intervals, d_voice) if hears_intervals else None
        self.dropout = PooledDropout(dropout)
        self.to_logits = nn.ModuleList(nn.Linear(d_voice, vocabulary_size) for _ in range(n_voices))
        self.shortcut_table = nn.Embedding(n_voices * n_symbols, vocabulary_size)

    def forward(
        self,
        features: Float[Tensor, "batch n_steps d_model"],
        past: Past,
        frames: Int[Tensor, "batch n_steps n_known"],
    ) -> Float[Tensor, "batch n_steps n_scored vocabulary"]:
        """Score the voices of each step in turn, each from those above it.

        Args:
            features: what the stack says about each step.
            past: what is known before each step.
            frames: the voices of each step that are known, from the highest. With all voices given, all are
                scored; with fewer, the next voice is scored too.

        Returns:
            Logits of voices 0 to n_known, or of all voices.

        Raises:
            ValueError: more voices are given than the network has.
        """
        n_known = frames.shape[-1]
        if n_known > self.n_voices:
            raise ValueError(f"A frame of this network holds {self.n_voices} voices; found {n_known}.")
        n_scored = min(n_known + 1, self.n_voices)
        latest = by_voice(past.latest, self.vocabulary_size + 1)[:, :, :n_scored]
        hidden = self.to_voices(features).unflatten(-1, (self.n_voices, -1))[:, :, :n_scored] + self.own_table(latest)
        if self.hold_table is not None:
            hidden = hidden + self.hold_table(by_voice(past.held_step, LONGEST_HOLD_STEP + 1)[:, :, :n_scored])
        above = [torch.zeros_like(hidden[:, :, 0]), *(self._hear_above(past, frames, v) for v in range(1, n_scored))]
        hidden = self.dropout(nn.functional.gelu(hidden + torch.stack(above, dim=2)))
        scores = torch.stack([self.to_logits[v](hidden[:, :, v]) for v in range(n_scored)], dim=2)
        return self._soften(scores + self.shortcut_table(latest))

    def score_next(
        self,
        features: Float[Tensor, "batch n_steps d_model"],
        past: Past,
        above: Int[Tensor, "batch n_steps n_known"],
    ) -> Float[Tensor, "batch n_steps vocabulary"]:
        """Score the next voice alone: what ``forward`` says of it, without scoring those above again.

        Args:
            features: what the stack says about each step.
            past: what is known before each step.
            above: the voices of each step that are known, from the highest; fewer than all.

        Returns:
            Logits of voice n_known.

        Raises:
            ValueError: all voices are known.
        """
        voice = above.shape[-1]
        if voice >= self.n_voices:
            raise ValueError(f"A frame of this network holds {self.n_voices} voices; {voice} are known already.")
        weight, bias = (part.unflatten(0, (self.n_voices, -1))[voice] for part in self.to_voices.parameters())
        latest = by_voice(past.latest, self.vocabulary_size + 1)[:, :, voice]
        hidden = nn.functional.linear(features, weight, bias) + self.own_table(latest)
        if self.hold_table is not None:
            hidden = hidden + self.hold_table(by_voice(past.held_step, LONGEST_HOLD_STEP + 1)[:, :, voice])
        if voice:
            hidden = hidden + self._hear_above(past, above, voice)
        hidden = self.dropout(nn.functional.gelu(hidden))
        return self._soften(self.to_logits[voice](hidden) + self.shortcut_table(latest))

    def _soften(self, scores: Tensor) -> Tensor:
        """Divide by the temperature, outside training."""
        return scores if self.training or self.temperature == 1 else scores / self.temperature

    def _hear_above(self, past: Past, frames: Tensor, voice: int) -> Tensor:
        """Tell a voice the new symbols of the voices above it, how they moved, and how they meet its latest note."""
        above, size = frames[:, :, :voice], self.vocabulary_size
        pair = torch.arange(voice, device=frames.device) + voice * (voice - 1) // 2
        heard = self.above_table(above + (size + 1) * pair)
        if self.motion_table is not None:
            motion = interval_ids(above, past.latest[:, :, :voice], size)
            meeting = interval_ids(above, past.latest[:, :, voice : voice + 1], size)
            heard = heard + self.motion_table(motion + 2 * size * pair)
            heard = heard + self.meeting_table(meeting + 2 * size * pair)
        return heard.sum(dim=2)
