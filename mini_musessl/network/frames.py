"""What a network that reads frames refuses.

Chapter: 5d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.checks import whole_number
from mini_musessl.network.attention import KVCache, causal_mask, check_same_rows, rotary_angles
from mini_musessl.network.transformer import PooledDropout, TransformerBlock

# --- What a network that reads frames refuses


def check_form(frames: Tensor, n_voices: int) -> None:
    """Refuse what is not rows of frames of whole numbers.

    Args:
        frames: what the caller gave.
        n_voices: voices of a frame.

    Raises:
        ValueError: another shape.
        TypeError: the ids are not whole numbers.

    Chapter: 5d.
    """
    if frames.dim() != 3 or frames.shape[2] != n_voices:
        raise ValueError(
            f"The network reads frames of the shape (batch, n_steps, {n_voices}); found {tuple(frames.shape)}. "
            "For one piece, put it into a batch: frames[None]."
        )
    if frames.is_floating_point() or frames.dtype == torch.bool:
        raise TypeError(f"Frames must be whole numbers; found {frames.dtype}. Encode the music with a tokenizer first.")


def check_size(n_rows: int, n_steps: int, longest: int) -> None:
    """Refuse more steps than the context holds, and nothing.

    Args:
        n_rows: sequences that are read side by side.
        n_steps: positions that they take.
        longest: the ``context_length`` of the network.

    Raises:
        ValueError: no row, no step, or too many.

    Chapter: 5d.
    """
    if not 0 < n_steps <= longest or n_rows == 0:
        raise ValueError(
            f"The network reads at least one row, and 1 to context_length = {longest} steps; found "
            f"{(n_rows, n_steps)}. Cut windows, or make a network with a longer context."
        )


def check_ids(frames: Tensor, vocabulary_size: int) -> None:
    """Refuse ids of another vocabulary.

    Args:
        frames: at least one id.
        vocabulary_size: symbols that the network knows, from 0.

    Raises:
        ValueError: an id lies outside.

    Chapter: 5d.
    """
    lowest, highest = int(frames.min()), int(frames.max())
    if lowest < 0 or highest >= vocabulary_size:
        raise ValueError(
            f"Ids of symbols must lie in 0..{vocabulary_size - 1}; found {lowest}..{highest}. "
            "Was the music encoded with another vocabulary?"
        )


# --- What a network that reads frames knows before each step

#: Held notes are told apart up to this many steps, two bars of sixteenths; longer ones count as this.
LONGEST_HOLD_STEP = 31


class FrameHistory(NamedTuple):
    """What is known before each step, each (batch, n_steps, n_voices) but the last.

    Attributes:
        latest: the frame before; the begin symbol before the first.
        earlier: the frame before that one.
        held_step: for how many steps each voice has held its latest symbol; 0 when it is new.
        step: index of the step to predict, (batch, n_steps).

    Chapter: 5d.
    """

    latest: Tensor
    earlier: Tensor
    held_step: Tensor
    step: Tensor


def history_of(frames: Tensor, first_step: Tensor | None, begin_id: int) -> FrameHistory:
    """Return what is known before each step: nothing of the step itself.

    Args:
        frames: (batch, n_steps, n_voices) symbol ids.
        first_step: (batch,) index in its piece of the first frame of each row; None for 0.
        begin_id: stands for the frames before the first.

    Returns:
        The past of every step; that of the first is empty, wherever in its piece the row begins.

    Raises:
        ValueError: not one index a row.
        TypeError: the indices are not whole numbers.

    Example:
        >>> frames = torch.tensor([[[20], [20], [22]]])
        >>> past = history_of(frames, None, begin_id=47)
        >>> past.latest.flatten().tolist(), past.held_step.flatten().tolist()
        ([47, 20, 20], [0, 0, 1])

    Chapter: 5d.
    """
    n_rows, n_steps, n_voices = frames.shape
    if first_step is not None:
        _check_first_step(first_step, n_rows)
    begin = frames.new_full((n_rows, 1, n_voices), begin_id)
    latest = torch.cat((begin, frames[:, :-1]), dim=1)
    earlier = torch.cat((begin, latest[:, :-1]), dim=1)
    index = torch.arange(n_steps, device=frames.device)
    # The step at which each latest symbol was new: the largest index so far at which it differed from the one before.
    began = torch.where(latest != earlier, index[:, None], 0).cummax(dim=1).values
    held_step = (index[:, None] - began).clamp(max=LONGEST_HOLD_STEP)
    start = 0 if first_step is None else first_step[:, None]
    return FrameHistory(latest, earlier, held_step, (index + start).expand(n_rows, n_steps))


def advance(past: FrameHistory, frames: Tensor) -> FrameHistory:
    """Return what is known before each of the steps that follow, once their earlier frames were read.

    Args:
        past: of the step where ``frames`` begins; of several steps, the last one counts.
        frames: (batch, n_new, n_voices) symbol ids.

    Returns:
        The past of the steps after each of the frames: as many as there are frames, equal to what ``history_of`` says.

    Raises:
        ValueError: other rows than those of the past.

    Example:
        >>> nothing = history_of(torch.tensor([[[20]]]), None, begin_id=47)
        >>> past = advance(nothing, torch.tensor([[[20], [20], [22]]]))
        >>> past.latest.flatten().tolist(), past.held_step.flatten().tolist()
        ([20, 20, 22], [0, 1, 0])

    Chapter: 9a (sampling).
    """
    check_same_rows(len(past.latest), len(frames))
    n_new = frames.shape[1]
    earlier = torch.cat((past.latest[:, -1:], frames[:, :-1]), dim=1)[:, :n_new]
    index = torch.arange(1, n_new + 1, device=frames.device)
    # What sounds now began before the first of these frames, by as much as it was held.
    began = torch.where(frames != earlier, index[:, None], -past.held_step[:, -1:]).cummax(dim=1).values
    held_step = (index[:, None] - began).clamp(max=LONGEST_HOLD_STEP)
    return FrameHistory(frames, earlier, held_step, past.step[:, -1:] + index)


def _check_first_step(first_step: Tensor, n_rows: int) -> None:
    """Refuse what is not one index a row."""
    if not isinstance(first_step, Tensor) or first_step.is_floating_point():
        found = first_step.dtype if isinstance(first_step, Tensor) else type(first_step).__name__
        raise TypeError(f"first_step must be a tensor of whole numbers, one a row; found {found}.")
    if first_step.shape != (n_rows,):
        raise ValueError(
            f"first_step must hold the index of the first frame of each row, ({n_rows},); found "
            f"{tuple(first_step.shape)}. For rows that begin alike, use torch.full(({n_rows},), index)."
        )


@dataclass
class FrameCache:
    """What the network keeps of the frames it has read, so that it need not read them again.

    Attributes:
        layers: keys and values of each block.
        past: what is known before the step that comes next, each (batch, 1, ...).
        is_new: nothing was read yet.

    Chapter: 5d, 9a.
    """

    layers: list[KVCache]
    past: FrameHistory
    is_new: bool = True

    @property
    def n_read(self) -> int:
        """Positions that were read: one more than frames, since the begin symbol takes one."""
        return self.layers[0].n_read

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i of the batch go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """
        for layer in self.layers:
            layer.keep_rows(rows)
        self.past = FrameHistory(*(known[rows] for known in self.past))


# --- The head of a FrameTransformer: the voices of one step, predicted in turn


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


class VoiceHead(nn.Module):
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
        past: FrameHistory,
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
        past: FrameHistory,
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

    def _hear_above(self, past: FrameHistory, frames: Tensor, voice: int) -> Tensor:
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


# --- FrameTransformer: one position a step, the voices of the step predicted in turn

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
        self.head = VoiceHead(
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
        past = history_of(frames, first_step, self.config.begin_id)
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
        return self._read(history_of(longer, first_step, self.config.begin_id))[:, 1:]

    def start_cache(self, n_rows: int, first_step: Int[Tensor, " batch"] | None = None) -> FrameCache:
        """Return the cache of a network that has read nothing.

        Args:
            n_rows: sequences that are read side by side.
            first_step: index in its piece of the first frame of each row; None for 0.
        """
        shape = (whole_number("n_rows", n_rows, lowest=1), 1, self.config.n_voices)
        frame = torch.zeros(shape, dtype=torch.long, device=self.norm.weight.device)
        past = history_of(frame, first_step, self.config.begin_id)
        return FrameCache([KVCache() for _ in self.blocks], past)

    def read_next(
        self, cache: FrameCache, frames: Int[Tensor, "batch n_new n_voices"]
    ) -> tuple[Float[Tensor, "batch 1 d_model"], FrameHistory]:
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
        past = advance(cache.past, frames)
        if cache.is_new:
            past = FrameHistory(*(torch.cat(both, dim=1) for both in zip(cache.past, past, strict=True)))
        if frames.numel():
            check_ids(frames, self.config.vocabulary_size)
        features = self._read(past, cache.layers, n_read)
        cache.past, cache.is_new = FrameHistory(*(known[:, -1:] for known in past)), False
        return features[:, -1:], cache.past

    def _read(self, past: FrameHistory, layers: list[KVCache] | None = None, n_read: int = 0) -> Tensor:
        """Return the features of the stack for each step, and let ``layers`` keep the keys and values."""
        config, n_new = self.config, past.latest.shape[1]
        features = self.dropout(self._embed(past))
        # One step alone may look at all that was read: it needs no rule.
        may_attend = None if n_new == 1 else causal_mask(n_new, n_read + n_new, features.device)
        angles = rotary_angles(n_read, n_new, config.d_model // config.n_heads, features.device)
        for block, before in zip(self.blocks, layers or [None] * config.n_layers, strict=True):
            features, _ = block(features, may_attend, angles, before)
        return self.norm(features)

    def _embed(self, past: FrameHistory) -> Tensor:
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
