"""FrameTransformer: one position per step, the voices of the step predicted in turn.

A stack of blocks reads the steps so far; a small head then predicts the voices of the next step, each from those above.

Conventions:
    frames: (batch, n_steps, n_voices) symbol ids, voices from the highest to the lowest; id 0 is a rest, the others are
        consecutive pitches, and one more, the begin symbol, can only be read.

References: Boulanger-Lewandowski, Bengio and Vincent, "Modeling Temporal Dependencies in High-Dimensional Sequences"
(2012), whose RNN-NADE predicts the notes of a step in turn; here with one choice among symbols for each voice in place
of 88 switches.

Chapter: 5d (the network), 9a (the cache).
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.checks import check_ids, check_positive, check_share
from mini_musessl.network.attention import KVCache, join_masks, position_angles
from mini_musessl.network.counterpoint import Counterpoint, first_rows, rows_of_pairs
from mini_musessl.network.mixture import CopyMixture
from mini_musessl.network.transformer import Network, TransformerBlock, check_network, init_weights
from mini_musessl.repeats import GUIDES, N_WHOLE, Copies, RepeatFinder

#: Held notes are told apart up to this many steps, two bars of sixteenths; longer ones count as this.
LONGEST_HOLD_STEP = 31
POOL_SEED, POOL_SIZE = 20_000_003, 1 << 22

Frames, FirstStep = Int[Tensor, "batch n_steps n_voices"], Int[Tensor, " batch"]
Steps, Logits = Float[Tensor, "batch n_steps d_model"], Float[Tensor, "batch n_steps n_voices vocabulary"]

# --- what is known before each step


class FrameHistory(NamedTuple):
    """What is known before each step: nothing of the step itself."""

    latest: Frames  # the frame before; the begin symbol before the first
    held_step: Frames  # for how many steps its symbols have been held; 0 if new
    step: Int[Tensor, "batch n_steps"]  # index of the step in its piece
    copies: Copies | None = None  # what guides name; None in most networks

    def at(self, *index: Any) -> "FrameHistory":
        """Return some rows or steps, by an index to the first axes."""
        return FrameHistory(*(known[index] for known in self[:3]), self.copies and self.copies.at(*index))

    def then(self, other: "FrameHistory") -> "FrameHistory":
        """Return the history of these steps and of the other ones, which follow them."""
        mine, others = (each[:3] + (each.copies or ()) for each in (self, other))
        latest, held_step, step, *said = (torch.cat(both, dim=1) for both in zip(mine, others, strict=True))
        return FrameHistory(latest, held_step, step, Copies(*said) if said else None)


def advance(history: FrameHistory, frames: Frames, copies: Copies | None = None) -> FrameHistory:
    """Return what is known before each of the steps after ``frames``, which begin at the last step of a history.

    >>> start = history_of(torch.tensor([[[20]]]), None, begin_id=47)
    >>> history = advance(start, torch.tensor([[[20], [20], [22]]]))
    >>> history.latest.flatten().tolist(), history.held_step.flatten().tolist()
    ([20, 20, 22], [0, 1, 0])
    """
    earlier = torch.cat((history.latest[:, -1:], frames), dim=1)[:, :-1]
    index = torch.arange(1, frames.shape[1] + 1, device=frames.device)
    # When did what sounds now begin? At the latest step with another symbol before it, or before all of these frames.
    began = torch.where(frames != earlier, index[:, None], -history.held_step[:, -1:]).cummax(dim=1).values
    held_step = (index[:, None] - began).clamp(max=LONGEST_HOLD_STEP)
    return FrameHistory(frames, held_step, history.step[:, -1:] + index, copies)


def history_of(
    frames: Frames, first_step: FirstStep | None, begin_id: int, copies: Copies | None = None
) -> FrameHistory:
    """Return what is known before each step of a window, of which the first step knows its index and its guides alone.

    >>> history = history_of(torch.tensor([[[20], [20], [22]]]), None, begin_id=47)
    >>> history.latest.flatten().tolist(), history.held_step.flatten().tolist()
    ([47, 20, 20], [0, 0, 1])
    """
    begin = torch.full_like(frames[:, :1], begin_id)
    step = torch.zeros_like(begin[:, :, 0]) if first_step is None else first_step[:, None]
    first, later = (copies and copies.at(slice(None), steps) for steps in (slice(1), slice(1, None)))
    start = FrameHistory(begin, torch.zeros_like(begin), step, first)
    return start.then(advance(start, frames[:, :-1], later))


@dataclass
class FrameCache:
    """What a FrameTransformer keeps of the frames it has read, so that it need not read them again."""

    layers: list[KVCache]  # one for each block
    history: FrameHistory  # of the step that comes next alone
    features: Float[Tensor, "batch _ d_model"]  # of that step; of none before anything was read
    finder: RepeatFinder | None  # of what guides name
    nats_before: Float[Tensor, "batch n_read"]  # of all frames before each step, by the network's own probabilities
    above: Int[Tensor, "batch 1 n_known"]  # the voices of that step which are known
    log_probs: Float[Tensor, "batch 1 n_scored vocabulary"]  # the network's own, of those which were scored
    before: tuple[Tensor, ...] = ()  # what the head makes of that step
    odds: tuple[Tensor, ...] = ()  # what the guides to whole frames name for it, and their odds

    @property
    def n_read(self) -> int:
        """Positions that were read: one more than frames, since the begin symbol takes one."""
        return self.layers[0].n_read

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i of the batch go on as a copy of what row ``rows[i]`` was."""
        self.history = self.history.at(rows)
        for name in ("features", "nats_before", "above", "log_probs"):
            setattr(self, name, getattr(self, name)[rows])
        self.before, self.odds = (tuple(known[rows] for known in each) for each in (self.before, self.odds))
        for layer in self.layers:
            layer.keep_rows(rows)
        if self.finder is not None:
            self.finder.keep_rows(rows.cpu().numpy())


# --- the head


def by_voice(ids: Int[Tensor, "*axes n_voices"], n_rows: int) -> Int[Tensor, "*axes n_voices"]:
    """Point to each voice's own part of a table that holds ``n_rows`` rows for each voice.

    >>> by_voice(torch.tensor([3, 3]), n_rows=10).tolist()
    [3, 13]
    """
    return ids + first_rows(ids.shape[-1], n_rows, ids.device)


def interval_ids(upper: Tensor, lower: Tensor, vocabulary_size: int) -> Tensor:
    """Number the intervals between symbols from 0; the largest number stands where one of the two is no note.

    >>> interval_ids(torch.tensor([22, 22, 0]), torch.tensor([20, 47, 20]), 47).tolist()
    [48, 93, 93]
    """
    largest = vocabulary_size - 1
    is_note = (torch.minimum(upper, lower) > 0) & (torch.maximum(upper, lower) <= largest)
    return torch.where(is_note, upper - lower + largest, 2 * largest + 1)


@lru_cache
def _all_intervals(vocabulary_size: int, device: torch.device) -> Int[Tensor, "upper lower"]:
    symbols = torch.arange(vocabulary_size + 1, device=device)
    return interval_ids(symbols[:, None], symbols, vocabulary_size)


class PooledDropout(nn.Module):
    """Silence a share of the features while training, as ``nn.Dropout`` does, in less time on a CPU.

    Drawing a number for each feature took a sixth of the time of training (2.6 of 16.4 seconds for 100 updates of the
    chorale benchmark, on one core). Here four million masks are drawn once, and each call reads them from a place of
    its own. Two calls may share some masks, at other features.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        # Made at the first use. One for each type of number: with autocast, the features of one network have two.
        self._pools: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def forward(self, features: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """Silence features while training; otherwise change nothing."""
        if not self.training or self.share == 0:
            return features
        n_masks = features.numel()
        # Found from the features alone: a run that is resumed draws what it would have drawn.
        n_pool = max(POOL_SIZE, 1 << (2 * n_masks - 1).bit_length())
        start = int(torch.randint(n_pool - n_masks + 1, ()))
        return features * self._pool_of(n_pool, features)[start : start + n_masks].view(features.shape)

    def _pool_of(self, n_pool: int, like: Tensor) -> Tensor:
        """Return at least so many masks, the first ones always the same, on the device and in the type of a tensor."""
        kind = (like.dtype, like.device)
        if kind not in self._pools or len(self._pools[kind]) < n_pool:
            is_kept = torch.rand(n_pool, generator=torch.Generator().manual_seed(POOL_SEED)) >= self.share
            self._pools[kind] = (is_kept / (1 - self.share)).to(like)
        return self._pools[kind]


@dataclass(frozen=True)
class FrameConfig:
    """Size and shape of a FrameTransformer."""

    vocabulary_size: int = 47  # symbols that can be predicted; one more, the begin symbol, can only be read
    n_voices: int = 4  # voices of a frame, predicted in turn
    context_length: int = 640  # most frames that are read at once
    d_model: int = 160  # width of the features of the stack
    n_layers: int = 3  # blocks in the stack
    n_heads: int = 5  # attention heads per block
    d_feedforward: int = 480  # width inside the feed-forward networks
    d_voice: int = 320  # width of the head's hidden layer
    dropout: float = 0.1  # share of features silenced while training
    hidden_share: float = 0.15  # share of the cells of the past that the stack cannot see while training, drawn anew
    uses_holds: bool = True  # the network is told for how many steps each voice has held its note
    cycle_length: int = 16  # the index of the step modulo this is told; 1 tells nothing
    uses_intervals: bool = True  # the head is told intervals beside pitches; what it learns of one holds in every key
    uses_counterpoint: bool = False  # the head scores how each voice would move with each voice above it, in every key
    uses_copies: bool = False  # what came next where the piece was the same before has a share of the probabilities
    temperature: float = 1.0  # outside training, logits are divided by this: above 1 where a network is too sure

    def __post_init__(self) -> None:
        check_network(self, "n_voices", "d_voice", "cycle_length")
        check_share("hidden_share", self.hidden_share)
        check_positive("temperature", self.temperature)

    @property
    def begin_id(self) -> int:
        """The input id that stands before the first frame."""
        return self.vocabulary_size


class VoiceHead(nn.Module):
    """Scores for each voice of a step, one voice after another, as in NADE.

    ``logits = to_logits(gelu(stack + own latest + hold + voices above)) + shortcut(own latest)``: the table from a
    voice's latest symbol straight to the logits makes "the same again" and "a second up" easy to learn.
    """

    def __init__(self, config: FrameConfig, dropout: nn.Module) -> None:
        super().__init__()
        c = config
        self.n_voices, self.vocabulary_size, self.temperature = c.n_voices, c.vocabulary_size, c.temperature
        n_symbols, n_intervals = c.vocabulary_size + 1, 2 * c.vocabulary_size
        n_pairs = c.n_voices * (c.n_voices - 1) // 2  # a voice and one of those above it
        self.to_voices = nn.Linear(c.d_model, c.n_voices * c.d_voice)
        self.own_table = nn.Embedding(c.n_voices * n_symbols, c.d_voice)
        self.hold_table = nn.Embedding(c.n_voices * (LONGEST_HOLD_STEP + 1), c.d_voice) if c.uses_holds else None
        self.above_table = nn.Embedding(n_pairs * n_symbols, c.d_voice)
        self.motion_table = nn.Embedding(n_pairs * n_intervals, c.d_voice) if c.uses_intervals else None
        self.meeting_table = nn.Embedding(n_pairs * n_intervals, c.d_voice) if c.uses_intervals else None
        self.dropout = dropout
        self.to_logits = nn.ModuleList(nn.Linear(c.d_voice, c.vocabulary_size) for _ in range(c.n_voices))
        self.shortcut_table = nn.Embedding(c.n_voices * n_symbols, c.vocabulary_size)
        self.counterpoint = Counterpoint(c.n_voices, c.vocabulary_size) if c.uses_counterpoint else None
        self.copying = CopyMixture(c.n_voices) if c.uses_copies else None

    def forward(self, features: Steps, history: FrameHistory, frames: Frames) -> Logits:
        """Score all voices of each step of a window, each from those of ``frames`` that stand above it."""
        scores = self.score(self.prepare(features, history), frames, range(self.n_voices))
        if self.copying is None:
            return scores
        nats_before = nn.functional.pad(nats_of_frames(scores, frames).cumsum(dim=1), (1, -1))
        return self.copying.mix_frames(scores, *self.copying.weigh_frames(history.copies, nats_before), frames)

    def prepare(self, features: Steps, history: FrameHistory) -> tuple[Tensor, ...]:
        """Return what ``score`` needs of a step before any of its voices is known: to write, it is computed once.

        That is the hidden layer, the scores so far, the latest frame and, with copies, each voice's line.
        """
        latest = by_voice(history.latest, self.vocabulary_size + 1)
        hidden = self.to_voices(features).unflatten(-1, (self.n_voices, -1)) + self.own_table(latest)
        if self.hold_table is not None:
            hidden = hidden + self.hold_table(by_voice(history.held_step, LONGEST_HOLD_STEP + 1))
        lines = () if self.copying is None else self.copying.weigh_lines(history.copies)
        return hidden, self.shortcut_table(latest), history.latest, *lines

    def score(self, before: tuple[Tensor, ...], frames: Int[Tensor, "batch n_steps n_known"], voices: range) -> Logits:
        """Score some voices, without guides to whole frames.

        Args:
            before: from ``prepare``.
            frames: at least the voices above them.
        """
        hidden, scores, latest, *lines = before
        hidden, scores, *lines = (each[:, :, voices.start : voices.stop] for each in (hidden, scores, *lines))
        # The first voice has none above it. To look up nothing in a table would cost time all the same.
        above = [
            self._from_voices_above(latest, frames[:, :, :voice]) if voice else torch.zeros_like(hidden[:, :, 0])
            for voice in voices
        ]
        hidden = self.dropout(nn.functional.gelu(hidden + torch.stack(above, dim=2)))
        own = zip(list(self.to_logits)[voices.start : voices.stop], hidden.unbind(2), strict=True)
        scores = torch.stack([to_logits(each) for to_logits, each in own], dim=2) + scores
        if self.counterpoint is not None and voices.stop > 1:
            scores = scores + self.counterpoint(latest, frames, voices)
        scores = scores if self.training or self.temperature == 1 else scores / self.temperature
        return scores if self.copying is None else self.copying.mix_lines(scores, *lines)

    def _from_voices_above(self, latest: Frames, above: Tensor) -> Tensor:
        """Tell a voice the new symbols of the voices above it, how they moved, and how they meet its latest note."""
        voice, size = above.shape[2], self.vocabulary_size
        told = self.above_table(above + rows_of_pairs(voice, size + 1, above.device))
        if self.motion_table is not None:
            intervals, rows = _all_intervals(size, above.device), rows_of_pairs(voice, 2 * size, above.device)
            told = told + self.motion_table(intervals[above, latest[:, :, :voice]] + rows)
            told = told + self.meeting_table(intervals[above, latest[:, :, voice : voice + 1]] + rows)
        return told.sum(dim=2)


def nats_of_frames(log_probs: Logits, frames: Frames) -> Float[Tensor, "batch n_steps"]:
    """Sum the nats of the voices of each step, as numbers that no gradient flows through."""
    return -log_probs.detach().gather(-1, frames[..., None])[..., 0].sum(dim=2)


# --- the network


def check_frames(config: object, frames: Tensor, first_step: Tensor | None) -> None:
    """Refuse frames, or indices of first frames, that a network of this configuration cannot read."""
    check_ids("frames", frames, config.vocabulary_size, ("batch", "n_steps", config.n_voices), config.context_length)
    if first_step is not None:  # a single index would serve for all rows, unnoticed
        check_ids("first_step", first_step, 1 << 31, (len(frames),))


def check_next(config: FrameConfig, cache: FrameCache, frames: Frames) -> None:
    """Refuse frames that do not fit a cache: nothing new, other rows, or more than the context has room for."""
    n_new = "n_new" if cache.n_read else "n_prompt"
    check_ids("frames", frames, config.vocabulary_size, (len(cache.features), n_new, config.n_voices))
    n_all, n_room = (cache.n_read or 1) + frames.shape[1], config.context_length
    if n_all > n_room:
        raise ValueError(
            f"A cache has room for context_length = {n_room} positions, one of them the begin symbol's; found {n_all}. "
            "Start a new cache with the latest frames."
        )


def check_copies(copies: Copies | None, frames: Frames) -> None:
    """Refuse what guides name before other steps than those of some frames."""
    found = None if copies is None else [tuple(each.shape) for each in copies]
    of_cells = (*frames.shape[:2], len(GUIDES), frames.shape[2])
    expected = [of_cells, of_cells, (*frames.shape[:2], N_WHOLE)]
    if found not in (None, expected):
        raise ValueError(f"copies must have the shapes {expected}, for each step of the frames; found {found}.")


def _start_finder(frames: Frames, first_step: FirstStep | None, n_past: int = 0) -> RepeatFinder:
    """Return a finder of repeats that has read nothing of these rows, nor of ``n_past`` frames before them."""
    return RepeatFinder(len(frames), frames.shape[2], 0 if first_step is None else first_step.cpu().numpy() - n_past)


def _look(finder: RepeatFinder, frames: Frames, steps: slice) -> Copies:
    """Let a finder read frames; return what guides name at some of the steps, those before the first and after each."""
    said = finder.read(frames.cpu().numpy())
    return Copies(*(torch.from_numpy(each).to(frames.device) for each in said.at(slice(None), steps)))


class FrameTransformer(Network):
    """A causal Transformer over frames: position t sees the frames before t and predicts the voices of frame t in turn.

    >>> model = FrameTransformer(FrameConfig(d_model=20, d_feedforward=40, d_voice=30))
    >>> model(torch.zeros(2, 7, 4, dtype=torch.long)).shape
    torch.Size([2, 7, 4, 47])
    """

    def __init__(self, config: FrameConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = c = config
        # PyTorch fills new layers from its global state, which is not ours to move.
        with torch.random.fork_rng(devices=[]):
            self.symbol_table = nn.Embedding(c.n_voices * (c.vocabulary_size + 1), c.d_model)
            self.hold_table = nn.Embedding(c.n_voices * (LONGEST_HOLD_STEP + 1), c.d_model) if c.uses_holds else None
            self.cycle_table = nn.Embedding(c.cycle_length, c.d_model)
            # Each layer has a pool of its own: with one for all, training spent more time on getting memory anew.
            self.dropout = PooledDropout(c.dropout)
            self.blocks = nn.ModuleList(
                TransformerBlock(c.d_model, c.n_heads, c.d_feedforward, PooledDropout(c.dropout))
                for _ in range(c.n_layers)
            )
            self.norm = nn.LayerNorm(c.d_model, bias=False)
            self.head = VoiceHead(c, PooledDropout(c.dropout))
        # Output layers that begin at 0, as in MusicTransformer, would cost a hundred updates here: until they have
        # grown, no gradient reaches the layers below.
        init_weights(self, c.n_layers, seed)

    def set_temperature(self, temperature: float) -> None:
        """Divide all logits by this from now on, outside training; it is saved with the configuration."""
        self.config = replace(self.config, temperature=temperature)
        self.head.temperature = temperature

    def forward(self, frames: Frames, first_step: FirstStep | None = None, copies: Copies | None = None) -> Logits:
        """Score every symbol for every voice of every step, from the frames before and the voices above.

        Args:
            first_step: index in its piece of the first frame of each row; None for 0.
            copies: what the guides name before each step, if they know the piece from before these frames; None to look
                for repeats among the frames alone.
        """
        check_frames(self.config, frames, first_step)
        check_copies(copies, frames)
        if self.config.uses_copies and copies is None:
            copies = _look(_start_finder(frames, first_step), frames, slice(0, -1))
        history = history_of(frames, first_step, self.config.begin_id, copies)
        return self.head(self.read(history), history, frames)

    def describe(self, frames: Frames, first_step: FirstStep | None = None) -> Steps:
        """Describe each step by the state of the network at the position after it, which has seen it.

        So one position more than there are frames is read.
        """
        longer = torch.cat((frames, frames[:, -1:]), dim=1)  # any frame will do: no state sees the last
        check_frames(self.config, longer, first_step)
        return self.read(history_of(longer, first_step, self.config.begin_id))[:, 1:]

    def start_cache(self, n_rows: int, first_step: FirstStep | None = None, past: Frames | None = None) -> FrameCache:
        """Return the cache of a network that has read nothing.

        Args:
            past: frames that stand before the first, which the stack does not read and guides may point to;
                ``first_step`` says how many there are, or more.
        """
        frames = torch.zeros(n_rows, 1, self.config.n_voices, dtype=torch.long, device=self.norm.weight.device)
        check_frames(self.config, frames, first_step)
        finder = copies = None
        if self.config.uses_copies:
            past = frames[:, :0] if past is None else past
            check_ids("past", past, self.config.vocabulary_size, (n_rows, "n_prompt", self.config.n_voices))
            if past.shape[1] > (0 if first_step is None else int(first_step.min())):
                raise ValueError(f"first_step must be at least {past.shape[1]}: so many frames are in the past.")
            finder = _start_finder(frames, first_step, past.shape[1])
            copies = _look(finder, past, slice(-1, None))
        history = history_of(frames, first_step, self.config.begin_id, copies)
        weight = self.norm.weight
        features = weight.new_zeros(n_rows, 0, self.config.d_model)
        log_probs = weight.new_zeros(n_rows, 1, 0, self.config.vocabulary_size)
        layers = [KVCache(self.config.context_length) for _ in self.blocks]
        return FrameCache(layers, history, features, finder, weight.new_zeros(n_rows, 1), frames[:, :, :0], log_probs)

    def read_next(self, cache: FrameCache, frames: Frames) -> Float[Tensor, "batch 1 d_model"]:
        """Read frames that follow those in the cache and extend it; return the features of the step that comes next.

        While the cache is empty there may be no frame: then that step is the first of a piece.
        """
        check_next(self.config, cache, frames)
        copies = None if cache.finder is None else _look(cache.finder, frames, slice(1, None))
        history = cache.history.then(advance(cache.history, frames, copies))
        unread = history.at(slice(None), slice(1 if cache.n_read else 0, None))
        features = torch.cat((cache.features, self.read(unread, cache.layers)), dim=1)
        if self.head.copying is not None and frames.shape[1]:
            log_probs = cache.log_probs
            if log_probs.shape[2] < self.config.n_voices or not torch.equal(frames[:, :, :-1], cache.above):
                before = self.head.prepare(features[:, :-1], history.at(slice(None), slice(-1)))
                log_probs = self.head.score(before, frames, range(self.config.n_voices))
            total = cache.nats_before[:, -1:] + nats_of_frames(log_probs, frames).cumsum(dim=1)
            cache.nats_before = torch.cat((cache.nats_before, total), dim=1)
        cache.history, cache.features, cache.before = history.at(slice(None), slice(-1, None)), features[:, -1:], ()
        cache.above, cache.log_probs = cache.above[:, :, :0], cache.log_probs[:, :, :0]
        return cache.features

    def score_next(self, cache: FrameCache, above: Int[Tensor, "batch 1 n_known"]) -> Float[Tensor, "batch vocabulary"]:
        """Score the next voice of the step that comes next, given those above it."""
        head, voice = self.head, above.shape[2]
        if not cache.before:
            cache.before = head.prepare(cache.features, cache.history)
            if head.copying is not None:
                cache.odds = head.copying.weigh_frames(cache.history.copies, cache.nats_before)
        if head.copying is None:
            return head.score(cache.before, above, range(voice, voice + 1))[:, 0, 0]
        n_same = min(voice, cache.above.shape[2])
        is_same = torch.equal(above[:, :, :n_same], cache.above[:, :, :n_same])
        known = cache.log_probs[:, :, : voice if is_same else 0]
        new = head.score(cache.before, above, range(known.shape[2], voice + 1))
        cache.above, cache.log_probs = above, torch.cat((known, new), dim=2)
        return head.copying.mix_frames(cache.log_probs, *cache.odds, above)[:, 0, -1]

    def read(self, history: FrameHistory, layers: list[KVCache] | None = None) -> Steps:
        """Return what the stack makes of each step's history; ``layers`` hold the keys and values of earlier steps."""
        n_new, n_read = history.step.shape[1], 0 if layers is None else layers[0].n_read
        features = self.dropout(self.embed(history))
        may_attend = join_masks(n_new, n_read + n_new, True, None, features.device)
        angles = position_angles(n_read, n_new, self.config.d_model // self.config.n_heads, features.device)
        for block, layer in zip(self.blocks, layers or [None] * len(self.blocks), strict=True):
            features = block(features, may_attend, angles, layer)
        return self.norm(features)

    def embed(self, history: FrameHistory) -> Steps:
        """Sum what each voice sang last and for how long, and the place in the cycle."""
        cells = self.symbol_table(by_voice(history.latest, self.config.vocabulary_size + 1))
        if self.hold_table is not None:
            cells = cells + self.hold_table(by_voice(history.held_step, LONGEST_HOLD_STEP + 1))
        if self.training and self.config.hidden_share:
            is_seen = torch.rand(cells.shape[:-1], device=cells.device) >= self.config.hidden_share
            cells = cells * is_seen[..., None]
        return cells.sum(dim=2) + self.cycle_table(history.step % self.config.cycle_length)
