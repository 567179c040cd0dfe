"""Sampling: draw music, cell after cell, from a network that writes from left to right.

A cell is one voice at one step: a token of a MusicTransformer, a voice of a frame of a FrameTransformer. A *decoder*
wraps either network and scores one cell after another, with a cache. Some cells may be given. Then several drafts, or
*particles*, can be written side by side, each weighed by how likely it made what was given, and drafts that weigh
little are replaced: a particle filter.

References: Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation" (2018), for top-k; Holtzman et al., "The
Curious Case of Neural Text Degeneration" (2020), section 3.1, for top-p; Gordon, Salmond and Smith, "Novel Approach to
Nonlinear/Non-Gaussian Bayesian State Estimation" (1993), for the particle filter.

Chapter: 00 (used), 9a (sampling), 9b (given voices).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Generator, Tensor

from mini_musessl.batches import window_starts
from mini_musessl.checks import as_array, check_ids, check_scores, check_torch_generator, real_number, whole_number
from mini_musessl.generation.constraints import Constraint
from mini_musessl.network.frames import FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, Network

FREE = -1  # stands where nothing is given
MOST_STEPS = 1_000_000  # or tokens, that are drawn in one call

Ids = ArrayLike | Tensor
Writer = FrameTransformer | MusicTransformer


def keep_top_k(logits: Float[Tensor, "*batch vocabulary"], k: int) -> Float[Tensor, "*batch vocabulary"]:
    """Make all but the k likeliest symbols impossible; of equals the lower ids stay.

    >>> keep_top_k(torch.tensor([0.5, 0.3, 0.2]).log(), 2).isfinite().tolist()
    [True, True, False]
    """
    order = logits.sort(dim=-1, descending=True, stable=True).indices
    return logits.scatter(-1, order[..., k:], -math.inf)


def keep_top_p(logits: Float[Tensor, "*batch vocabulary"], p: float) -> Float[Tensor, "*batch vocabulary"]:
    """Make all but the smallest set of symbols that holds the probability p impossible; of equals the lower ids stay.

    The sum may miss p by a millionth of it: such is the rounding of logits in float32, where 0.5 + 0.25 may miss 0.75.

    >>> keep_top_p(torch.tensor([0.5, 0.3, 0.2]).log(), 0.7).isfinite().tolist()
    [True, True, False]
    """
    probabilities, order = logits.double().softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    # Dropped where the symbols before it already reach p: so the one that crosses the line stays.
    is_dropped = probabilities.cumsum(dim=-1) - probabilities >= (p * (1 - 1e-6) if p < 1 else math.inf)
    return logits.masked_fill(torch.zeros_like(is_dropped).scatter(-1, order, is_dropped), -math.inf)


@dataclass(frozen=True)
class Sampling:
    """How a symbol is drawn from scores: temperature first, then the k likeliest, then the share p of what is left."""

    temperature: float = 1.0  # from a millionth to a million; below 1 sharper, above 1 flatter
    top_k: int | None = None  # at least 1; None for all symbols
    top_p: float | None = None  # above 0 and at most 1; None for all of the probability

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", real_number("temperature", self.temperature))
        if self.top_p is not None:
            object.__setattr__(self, "top_p", real_number("top_p", self.top_p))
        if not 1e-6 <= self.temperature <= 1e6:
            raise ValueError(
                f"temperature must lie in 0.000001..1000000; found {self.temperature}. For the likeliest symbol each "
                "time, use 0.01."
            )
        if self.top_k is not None:
            whole_number("top_k", self.top_k, lowest=1, advice="For no limit, leave it out.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1; found {self.top_p}. In percent? Divide by 100.")

    def draw(self, logits: Float[Tensor, "n_rows vocabulary"], generator: Generator) -> Int[Tensor, " n_rows"]:
        """Draw one symbol per row of scores, which are on the CPU."""
        allowed = logits / self.temperature
        if self.top_k is not None:
            allowed = keep_top_k(allowed, self.top_k)
        if self.top_p is not None and self.top_p < 1:
            allowed = keep_top_p(allowed, self.top_p)
        probabilities = allowed.softmax(dim=-1)
        check_scores(probabilities)
        return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


class TokenDecoder:
    """A MusicTransformer that scores one token after another."""

    def __init__(self, model: MusicTransformer, prompt: Int[Tensor, "n_rows n_prompt"]) -> None:
        begin = prompt.new_full((len(prompt), 1), model.config.begin_id)
        self._model, self._ids, self._cache = model, torch.cat((begin, prompt), dim=1), None

    def next_logits(self) -> Float[Tensor, "n_rows vocabulary"]:
        """Return the scores of the next token of each row, on the CPU."""
        start, longest = self._ids.shape[1] - 1, longest_context(self._model)
        if self._cache is None or self._cache.token_ids.shape[1] >= longest:
            self._cache = self._model.start_cache(len(self._ids))
            start = window_start(self._ids.shape[1], longest, self._model.config.stride_token)
        tokens = self._ids[:, start:].to(self._model.to_logits.weight.device)
        return self._model(tokens, self._cache)[:, -1].float().cpu()

    def append(self, ids: Int[Tensor, " n_rows"]) -> None:
        """Write the next token of each row."""
        self._ids = torch.cat((self._ids, ids[:, None]), dim=1)

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Row i continues from what row ``rows[i]`` had written."""
        self._ids = self._ids[rows]
        self._cache.keep_rows(rows.to(self._cache.token_ids.device))


class FrameDecoder:
    """A FrameTransformer that scores one voice after another; the stack runs once per step, the head per voice."""

    def __init__(self, model: FrameTransformer, prompt: Int[Tensor, "n_rows n_prompt n_voices"], first_step: int):
        self._model, self._first_step = model, first_step
        self._frames = prompt.to(model.norm.weight.device)
        self._voices = self._frames.new_zeros(len(prompt), 1, 0)  # of the frame that is being written
        self._cache, self._is_read = None, False  # whether all frames are in the cache

    def next_logits(self) -> Float[Tensor, "n_rows vocabulary"]:
        """Return the scores of the next voice of each row, on the CPU."""
        if not self._is_read:
            new, longest = self._frames[:, -1:], longest_context(self._model)
            if self._cache is None or self._cache.n_read >= longest:
                start = window_start(self._frames.shape[1] + 1, longest, 1)  # the begin symbol takes a position
                first_steps = torch.full((len(new),), self._first_step + start, device=new.device)
                self._cache = self._model.start_cache(len(new), first_steps, self._frames[:, :start])
                new = self._frames[:, start:]
            self._model.read_next(self._cache, new)
            self._is_read = True
        return self._model.score_next(self._cache, self._voices).float().cpu()

    def append(self, ids: Int[Tensor, " n_rows"]) -> None:
        """Write the next voice of each row."""
        self._voices = torch.cat((self._voices, ids.to(self._voices.device)[:, None, None]), dim=2)
        if self._voices.shape[2] == self._model.config.n_voices:
            self._frames = torch.cat((self._frames, self._voices), dim=1)
            self._voices, self._is_read = self._voices[:, :, :0], False

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Row i continues from what row ``rows[i]`` had written."""
        rows = rows.to(self._frames.device)
        self._frames, self._voices = self._frames[rows], self._voices[rows]
        self._cache.keep_rows(rows)


def longest_context(model: Network) -> int:
    """Return how many positions are read at once: the context, or no more than the longest window of training."""
    return min(model.config.context_length, model.trained_steps or model.config.context_length)


def window_start(n_tokens: int, context_length: int, stride: int) -> int:
    """Return where to begin reading: 0 while all fits, then a multiple of the stride that leaves half the context.

    >>> window_start(16, context_length=16, stride=4), window_start(17, 16, 4)
    (0, 12)
    """
    if n_tokens <= context_length:
        return 0
    return int(window_starts(n_tokens, max(context_length // 2, stride), stride)[-1])


def effective_number(log_weights: Float[Tensor, "batch n_particles"]) -> Float[Tensor, " batch"]:
    """Return how many equal particles would be worth as much as these unequal ones.

    >>> effective_number(torch.tensor([[0.0, 0.0, -1e9, -1e9]])).tolist()
    [2.0]
    """
    return 1 / log_weights.softmax(dim=1).square().sum(dim=1)


def resample(log_weights: Float[Tensor, "batch n"], generator: Generator) -> Int[Tensor, "batch n"]:
    """Return the particle that each place continues from.

    Systematic resampling: a particle of weight w is copied n_particles * w times, rounded up or down.

    >>> resample(torch.tensor([[0.0, 0.0, -1e9, -1e9]]), Generator().manual_seed(0)).tolist()
    [[0, 0, 1, 1]]
    """
    batch, n_particles = log_weights.shape
    shares = log_weights.double().softmax(dim=1).cumsum(dim=1)
    first = torch.rand(batch, 1, generator=generator, dtype=torch.float64, device="cpu")
    places = (first + torch.arange(n_particles, device="cpu")) / n_particles
    return torch.searchsorted(shares, places).clamp(max=n_particles - 1)  # rounding may leave the last share below 1


@torch.inference_mode()  # takes less time than no_grad
def draw_cells(
    decoder: TokenDecoder | FrameDecoder,
    prompt: Int[Tensor, "n_rows n_prompt n_voices"],
    given: Int[Tensor, "batch n_cells"],
    sampling: Sampling,
    generator: Generator,
    constraints: Sequence[Constraint] = (),
) -> Int[Tensor, "batch n_cells"]:
    """Draw cell after cell, or take what is given; the prompt and the decoder have a row for each particle."""
    first_rows = torch.arange(0, len(prompt), len(prompt) // len(given), device=given.device)
    log_weights = given.new_zeros(len(given), len(prompt) // len(given), dtype=torch.float64)
    cells = given.repeat_interleave(log_weights.shape[1], dim=0)
    n_given = (given != FREE).sum(dim=0).tolist()
    for cell in range(cells.shape[1]):
        wanted, logits = cells[:, cell], decoder.next_logits()
        drawable, is_weighed = logits, bool(constraints) or n_given[cell] > 0
        if is_weighed:
            allowed = allowed_ids(constraints, prompt, cells[:, :cell], wanted, logits.shape[1])
        if constraints:  # a row from which nothing may be drawn draws anything, and weighs nothing
            drawable = logits.masked_fill(~allowed & allowed.any(dim=1, keepdim=True), -math.inf)
        ids = wanted if n_given[cell] == len(given) else sampling.draw(drawable, generator)
        if n_given[cell]:
            ids = torch.where(wanted == FREE, ids, wanted)
        if is_weighed:
            log_weights += log_share(logits / sampling.temperature, allowed).view_as(log_weights)
            _check_some_live(log_weights, constraints, prompt, cells[:, :cell], wanted, logits.shape[1])
            is_poor = effective_number(log_weights) < log_weights.shape[1] / 2
            if is_poor.any():
                places = torch.arange(log_weights.shape[1], device=given.device)
                chosen = torch.where(is_poor[:, None], resample(log_weights, generator), places)
                rows = (chosen + first_rows[:, None]).flatten()
                log_weights[is_poor] = 0.0
                cells, ids = cells[rows], ids[rows]
                decoder.keep_rows(rows)
        cells[:, cell] = ids
        decoder.append(ids)
    if log_weights.shape[1] == 1:
        return cells
    return cells[first_rows + torch.multinomial(log_weights.softmax(dim=1), 1, generator=generator)[:, 0]]


def allowed_ids(
    constraints: Sequence[Constraint],
    prompt: Int[Tensor, "n_rows n_prompt n_voices"],
    written: Int[Tensor, "n_rows n_cells"],
    wanted: Int[Tensor, " n_rows"],
    n_ids: int,
) -> Bool[Tensor, "n_rows n_ids"]:
    """Return which ids the cell after those that are written may take: the given one, or all, less those forbidden."""
    allowed = (wanted == FREE)[:, None] | (torch.arange(n_ids, device=wanted.device) == wanted[:, None])
    n_voices = prompt.shape[2]
    n_whole = written.shape[1] // n_voices * n_voices
    frames = torch.cat((prompt, written[:, :n_whole].unflatten(1, (-1, n_voices))), dim=1)
    for constraint in constraints:
        allowed &= constraint.allows(frames, written[:, n_whole:], n_ids)
    return allowed


def log_share(logits: Float[Tensor, "n_rows n_ids"], allowed: Bool[Tensor, "n_rows n_ids"]) -> Float[Tensor, " n_rows"]:
    """Return the logarithm of the probability of what is allowed, 0 where that is all.

    >>> log_share(torch.zeros(1, 4), torch.tensor([[True, True, False, False]])).exp()
    tensor([0.5000], dtype=torch.float64)
    """
    log_probs = logits.double().log_softmax(dim=-1).masked_fill(~allowed, -math.inf)
    return torch.where(allowed.all(dim=1), 0.0, log_probs.logsumexp(dim=1))


@torch.no_grad()
def sample_frames(
    model: Writer,
    prompt_frames: Ids,
    n_steps: int,
    generator: Generator,
    sampling: Sampling = Sampling(),
    first_step: int = 0,
    clamp: Ids | None = None,
    n_particles: int = 1,
    constraints: Sequence[Constraint] = (),
) -> Int[Tensor, "batch n_steps n_voices"]:
    """Continue frames, some of whose cells may be given; returns the new ones alone, on the CPU.

    With one particle a given symbol is taken as it comes, without having looked ahead to it. The more particles, the
    closer the result to the network's distribution given the clamped cells. When the context is full, the
    network goes on from its latest half or a little less, cut so that every cycle (voice, beat, bar) keeps its phase.

    Args:
        prompt_frames: (batch, n_prompt, n_voices) ids; ``n_prompt`` may be 0. For a MusicTransformer the voices of a
            step are consecutive tokens.
        generator: on the CPU; the same state gives the same frames on one machine.
        sampling: particles are weighed with its temperature alone: what is given may be unlikely.
        first_step: index in its piece of the first frame; other than 0 for a FrameTransformer alone.
        clamp: (n_steps, n_voices) or (batch, n_steps, n_voices) ids of what is given, -1 where the network is free.
        n_particles: drafts of each piece; the cost grows with them.
        constraints: what every cell must obey, the given ones too; see ``generation.constraints``.

    >>> from mini_musessl.network.frames import FrameConfig
    >>> model = FrameTransformer(FrameConfig(d_model=20, d_feedforward=40, d_voice=30))
    >>> soprano, empty = [[37, -1, -1, -1], [39, -1, -1, -1]], torch.zeros(1, 0, 4, dtype=torch.long)
    >>> sample_frames(model, empty, 2, Generator().manual_seed(0), clamp=soprano)[0, :, 0].tolist()
    [37, 39]
    """
    check_torch_generator(generator, "sample_frames")
    check_is_sampling(sampling)
    check_writes(model, Writer)
    whole_number("n_steps", n_steps, 1, MOST_STEPS)
    whole_number("first_step", first_step, lowest=0)
    whole_number("n_particles", n_particles, lowest=1)
    n_ids, is_by_frame = model.config.vocabulary_size, isinstance(model, FrameTransformer)
    width = model.config.n_voices if is_by_frame else "n_voices"
    prompt = as_ids("prompt_frames", prompt_frames, n_ids, ("batch", "n_prompt", width))
    shape = (len(prompt), n_steps, prompt.shape[2])
    given = prompt.new_full(shape, FREE)
    if clamp is not None:
        given = as_ids("clamp", clamp, n_ids, shape, lowest=FREE, is_batch_optional=True).expand(shape)
    n_frames, prompts = prompt.shape[1] + n_steps, prompt.repeat_interleave(n_particles, dim=0)
    _check_length(model, n_frames if is_by_frame else n_frames * shape[2], first_step)
    if is_by_frame:
        decoder = FrameDecoder(model.eval(), prompts, first_step)
    else:
        decoder = TokenDecoder(model.eval(), prompts.flatten(1))
    cells = draw_cells(decoder, prompts, given.flatten(1), sampling, generator, constraints)
    return cells.clone().view(shape)  # an ordinary tensor


def sample(
    model: MusicTransformer, prompt_ids: Ids, n_tokens: int, generator: Generator, sampling: Sampling = Sampling()
) -> Int[Tensor, "batch n_tokens"]:
    """Continue token sequences, which are frames of one voice; returns the new tokens alone.

    Args:
        prompt_ids: (batch, n_prompt) ids from the beginning of a piece, no begin symbol; ``n_prompt`` may be 0.

    >>> from mini_musessl.network.transformer import TransformerConfig
    >>> model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=32, d_feedforward=64))
    >>> sample(model, [[20, 21]], 6, Generator().manual_seed(0)).shape
    torch.Size([1, 6])
    """
    check_writes(model, MusicTransformer)
    prompt = as_ids("prompt_ids", prompt_ids, model.config.vocabulary_size, ("batch", "n_prompt"))
    return sample_frames(model, prompt[..., None], n_tokens, generator, sampling)[..., 0]


def check_writes(model: object, kinds: type = Writer) -> None:
    """Refuse a model of another kind than these."""
    if not isinstance(model, kinds):
        raise TypeError(
            f"Music is drawn from a FrameTransformer or MusicTransformer, tokens from a MusicTransformer alone; found "
            f"{type(model).__name__}. Frames are drawn by sample_frames; a MaskedTransformer fills by infill."
        )


def check_is_sampling(sampling: object) -> None:
    """Refuse a bare temperature, a dictionary or nothing in place of a ``Sampling``."""
    if not isinstance(sampling, Sampling):
        raise TypeError(f"How to draw is said by a Sampling(temperature, top_k, top_p); found {sampling!r}.")


def as_ids(
    name: str, values: Ids, n_ids: int, shape: Sequence[str | int], lowest: int = 0, is_batch_optional: bool = False
) -> Int[Tensor, "..."]:
    """Return ids below ``n_ids`` as a tensor on the CPU; ``shape`` is that of ``check_ids``."""
    ids = as_array(name, values)
    has_no_batch = is_batch_optional and ids.ndim == len(shape) - 1
    check_ids(name, ids, n_ids, shape[1:] if has_no_batch else shape, lowest=lowest)
    return torch.from_numpy(ids.astype(np.int64))


def _check_some_live(log_weights: Tensor, constraints: Sequence[Constraint], *place: Any) -> None:
    """Refuse music of which no particle obeys, and name what leaves nothing; ``place`` is that of ``allowed_ids``."""
    is_dead = log_weights.isinf().all(dim=1)
    if not is_dead.any():
        return
    row = int(is_dead.nonzero()[0]) * log_weights.shape[1]
    prompt, written, wanted, n_ids = (each[row : row + 1] if isinstance(each, Tensor) else each for each in place)
    before = allowed_ids((), prompt, written, wanted, n_ids)
    left = {str(each): allowed_ids([each], prompt, written, wanted, n_ids) for each in constraints}
    names = [name for name, allowed in left.items() if not torch.equal(allowed, before)]
    step, voice = divmod(written.shape[1], prompt.shape[2])
    step += prompt.shape[1]  # from the first step of the prompt, as constraints count
    given = "" if wanted == FREE else f" to the given symbol {int(wanted)}"
    raise ValueError(
        f"Constraints must leave a symbol for each cell; none is left{given} at step {step}, voice {voice}, by "
        f"{' and '.join(names)}. Change one of them, or take more particles."
    )


def _check_length(model: Writer, n_positions: int, first_step: int) -> None:
    """Refuse what a MusicTransformer cannot keep the phase of."""
    longest, cycle = longest_context(model), getattr(model.config, "stride_token", 1)
    if first_step and isinstance(model, MusicTransformer):
        raise ValueError(
            f"A MusicTransformer reads from a piece's beginning: first_step must be 0; found {first_step}."
        )
    if n_positions > longest and longest < cycle:
        raise ValueError(
            f"To go on beyond {longest} positions, what is read at once must hold a whole cycle of the model, {cycle} "
            f"tokens; found {n_positions} tokens in all. Ask for fewer, or train with a longer context and windows."
        )
