"""The rules of drawing: which symbols may be drawn, and with what probability.

Chapter: 9a (sampling).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from mini_musessl.checks import whole_number
from mini_musessl.network.frames import FrameCache, FrameHistory, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TokenCache, TransformerConfig

# --- The rules of drawing: which symbols may be drawn, and with what probability


@dataclass(frozen=True)
class Sampling:
    """How the next symbol is drawn from a network's scores.

    Attributes:
        temperature: above 0; see ``apply_temperature``.
        top_k: at least 1, or None for all; see ``keep_top_k``.
        top_p: above 0 up to 1; see ``keep_top_p``.

    Raises:
        ValueError: a number out of its range.
        TypeError: top_k is not a whole number.

    Chapter: 9a.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        _check_temperature(self.temperature)
        if self.top_k is not None:
            _check_top_k(self.top_k)
        _check_top_p(self.top_p)

    def draw(self, logits: Float[Tensor, "n_rows vocabulary"], generator: torch.Generator) -> Int[Tensor, " n_rows"]:
        """Draw one symbol a row: temperature first, then the k likeliest, then the share p of what is left.

        Args:
            logits: scores before softmax, on the CPU.
            generator: source of chance.

        Returns:
            One id a row.

        Raises:
            FloatingPointError: the scores are not numbers.
        """
        allowed = apply_temperature(logits, self.temperature)
        if self.top_k is not None:
            allowed = keep_top_k(allowed, self.top_k)
        allowed = keep_top_p(allowed, self.top_p)
        return torch.multinomial(probabilities_of(allowed), 1, generator=generator)[:, 0]


def apply_temperature(
    logits: Float[Tensor, "*batch vocabulary"], temperature: float
) -> Float[Tensor, "*batch vocabulary"]:
    """Sharpen (below 1) or flatten (above 1) a distribution.

    Args:
        logits: scores before softmax.
        temperature: above 0; 1 changes nothing.

    Returns:
        The logits divided by the temperature.

    Raises:
        ValueError: the temperature is not a number above 0.

    Example:
        >>> apply_temperature(torch.tensor([0.0, 2.0]), 0.5).tolist()
        [0.0, 4.0]

    Chapter: 9a.
    """
    _check_temperature(temperature)
    return logits / temperature


def keep_top_k(logits: Float[Tensor, "*batch vocabulary"], k: int) -> Float[Tensor, "*batch vocabulary"]:
    """Keep the ``k`` likeliest symbols; the others become impossible.

    Of symbols that are equally likely, those with the lower ids are kept.

    Args:
        logits: scores before softmax.
        k: at least 1; as many as there are symbols, or more, changes nothing.

    Returns:
        The logits, minus infinity outside the set.

    Raises:
        ValueError: k is below 1.
        TypeError: k is not a whole number.

    Example:
        >>> keep_top_k(torch.tensor([0.5, 0.3, 0.2]).log(), 2).isfinite().tolist()
        [True, True, False]

    References:
        Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation" (2018).

    Chapter: 9a.
    """
    _check_top_k(k)
    if k >= logits.shape[-1]:
        return logits
    order = logits.sort(dim=-1, descending=True, stable=True).indices
    is_dropped = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order[..., k:], True)
    return logits.masked_fill(is_dropped, -math.inf)


def keep_top_p(logits: Float[Tensor, "*batch vocabulary"], p: float) -> Float[Tensor, "*batch vocabulary"]:
    """Keep the smallest set of symbols whose probabilities reach ``p``; the others become impossible.

    The symbol that crosses the line belongs to the set, so at least one symbol is always kept.

    Args:
        logits: scores before softmax.
        p: probability to keep, above 0 up to 1; 1 changes nothing.

    Returns:
        The logits, minus infinity outside the set.

    Raises:
        ValueError: p is not above 0 and at most 1.

    Example:
        >>> keep_top_p(torch.tensor([0.5, 0.3, 0.2]).log(), 0.7).isfinite().tolist()
        [True, True, False]

    References:
        Holtzman et al., "The Curious Case of Neural Text Degeneration" (2020), section 3.1.

    Chapter: 9a.
    """
    _check_top_p(p)
    if p == 1:
        return logits
    probabilities, order = logits.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    # Dropped where the symbols before it already reach p: so the one that crosses the line stays.
    is_dropped = probabilities.cumsum(dim=-1) - probabilities >= p
    is_dropped = torch.zeros_like(is_dropped).scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


def probabilities_of(logits: Float[Tensor, "*batch vocabulary"]) -> Float[Tensor, "*batch vocabulary"]:
    """Return the softmax, or say that there is none.

    Args:
        logits: scores, divided by the temperature; minus infinity where a symbol is impossible.

    Returns:
        Probabilities of the symbols.

    Raises:
        FloatingPointError: some of them are not numbers.

    Chapter: 9a.
    """
    shares = logits.softmax(dim=-1)
    if shares.isnan().any():
        raise FloatingPointError(
            "The scores of the next token must be finite numbers; found some that are not. Did training diverge, or is "
            "the temperature next to 0? Train again with a smaller learning_rate, or use a temperature such as 0.01."
        )
    return shares


def _check_temperature(temperature: float) -> None:
    """Refuse a temperature that is not a number above 0."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(
            f"The temperature must be a finite number above 0; found {temperature}. "
            "For the likeliest symbol each time, use a small one such as 0.01."
        )


def _check_top_p(p: float) -> None:
    """Refuse a share of probability that is not above 0 and at most 1."""
    if not 0 < p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1; found {p}. Is it in percent? Divide by 100.")


def _check_top_k(k: int) -> None:
    """Refuse a number of symbols that is below 1."""
    whole_number("top_k", k, lowest=1, advice="For no limit, leave it out.")


# --- What can be asked of a network that writes, and the sentences that refuse the rest


def check_generator(who: str, generator: object) -> None:
    """Refuse what is no generator on the CPU.

    Args:
        who: name of the function that draws.
        generator: what the caller gave.

    Raises:
        TypeError: it is not a torch.Generator.
        ValueError: it draws on a GPU.
    """
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"{who} draws from a torch.Generator; found {type(generator).__name__}. "
            "Pass torch.Generator().manual_seed(seed)."
        )
    if generator.device.type != "cpu":
        raise ValueError(
            f"{who} draws on the CPU, whatever device the model is on; found a generator on {generator.device}. "
            "Pass torch.Generator().manual_seed(seed)."
        )


def as_ids(
    name: str, values: ArrayLike | Tensor, vocabulary_size: int, axes: str, n_axes: int = 2
) -> Int[Tensor, "batch n_prompt *voices"]:
    """Return ids as a tensor on the CPU, or refuse them.

    Args:
        name: what to call them in the message.
        values: what the caller gave.
        vocabulary_size: ids lie below this.
        axes: names of the axes after the batch, for the message.
        n_axes: how many axes there must be.

    Returns:
        int64 ids.

    Raises:
        ValueError: rows of different lengths, another shape, or no ids of the vocabulary.
    """
    try:
        ids = torch.as_tensor(values).cpu()
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be whole numbers in rows of one length, (batch, {axes}); these cannot be made an array. "
            "Cut the prompts to the shortest, or sample one by one."
        ) from None
    if ids.dim() != n_axes or len(ids) == 0:
        raise ValueError(
            f"{name} must have the shape (batch, {axes}) with at least one row; found {tuple(ids.shape)}. "
            "Put one sequence into a list: [ids]."
        )
    check_ids(name, ids, 0, vocabulary_size - 1)
    return ids.long()


def check_ids(name: str, ids: Tensor, lowest: int, highest: int) -> None:
    """Refuse what are not whole numbers in a range.

    Args:
        name: what to call them in the message.
        ids: of any shape.
        lowest: smallest id.
        highest: largest id.

    Raises:
        ValueError: other numbers.
    """
    is_whole = not ids.is_floating_point() and ids.dtype != torch.bool
    if ids.numel() and (not is_whole or int(ids.min()) < lowest or int(ids.max()) > highest):
        raise ValueError(
            f"{name} must be whole numbers in {lowest}..{highest}; found {ids.dtype} from {ids.min().item()} to "
            f"{ids.max().item()}. Was the music encoded with another vocabulary?"
        )


def check_can_go_on(config: TransformerConfig, n_tokens: int) -> None:
    """Refuse to outgrow a context that is too short to begin a new window in phase.

    Args:
        config: of the network that writes.
        n_tokens: tokens in all, the prompt among them.

    Raises:
        ValueError: they outgrow a context that is shorter than a cycle of the model.
    """
    longest, cycle = config.context_length, config.stride_token
    if n_tokens > longest and longest < cycle:
        raise ValueError(
            f"To go on beyond context_length = {longest}, the context must hold a whole cycle of the "
            f"model, {cycle} tokens; "
            f"found {n_tokens} tokens in all. Ask for fewer, or make a model with a longer context."
        )


def check_model(model: object) -> None:
    """Refuse what does not write music cell by cell.

    Args:
        model: what the caller gave.

    Raises:
        TypeError: the model is of another kind.
        ValueError: it sees what comes after.
    """
    if not isinstance(model, FrameTransformer | MusicTransformer):
        raise TypeError(f"Music is drawn from a FrameTransformer or MusicTransformer; found {type(model).__name__}.")
    if isinstance(model, MusicTransformer) and not model.config.is_causal:
        raise ValueError(
            "Music is drawn from a network that sees what came before and nothing else; found is_causal=False. Use a "
            "causal MusicTransformer."
        )


def check_prompt_frames(model: object, frames: ArrayLike | Tensor) -> Int[Tensor, "batch n_prompt n_voices"]:
    """Return a prompt of frames, or refuse a model or a prompt that does not serve.

    Args:
        model: what the caller gave.
        frames: what the caller gave.

    Returns:
        int64 ids on the CPU.

    Raises:
        TypeError: the model is of another kind.
        ValueError: the model sees what comes after, another shape, more frames than the context holds, or no ids of the
            vocabulary.
    """
    check_model(model)
    prompt = as_ids("prompt_frames", frames, model.config.vocabulary_size, "n_prompt, n_voices", n_axes=3)
    n_steps, n_voices = prompt.shape[1:]
    if isinstance(model, FrameTransformer) and n_voices != model.config.n_voices:
        raise ValueError(f"A frame of this network holds {model.config.n_voices} voices; found {n_voices}.")
    n_positions = n_steps if isinstance(model, FrameTransformer) else n_steps * n_voices
    if n_positions > model.config.context_length:
        raise ValueError(
            f"The prompt must fit into context_length = {model.config.context_length} positions; found {n_steps} "
            f"frames, which take {n_positions}. Give the latest of them alone, with first_step if the network reads "
            "frames."
        )
    return prompt


def check_first_step(model: FrameTransformer | MusicTransformer, first_step: int) -> None:
    """Refuse an index that is none, or that the network could not be told.

    Args:
        model: the network that writes.
        first_step: index in its piece of the first frame.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is negative, or not 0 for a MusicTransformer.
    """
    whole_number("first_step", first_step, lowest=0)
    if first_step and isinstance(model, MusicTransformer):
        raise ValueError(
            f"A MusicTransformer reads from the beginning of a piece, so first_step must be 0; found {first_step}. "
            "Give the music from its beginning."
        )


def check_clamp(
    clamp: ArrayLike | Tensor | None, shape: tuple[int, int, int], vocabulary_size: int
) -> Int[Tensor, "batch n_cells"] | None:
    """Return what is given, cell by cell, or refuse it.

    Args:
        clamp: what the caller gave.
        shape: batch, steps and voices that are written.
        vocabulary_size: ids lie below this.

    Returns:
        Ids, -1 where the network is free; None if nothing is given.

    Raises:
        ValueError: another shape, or no ids of the vocabulary.
    """
    if clamp is None:
        return None
    try:
        given = torch.as_tensor(clamp).cpu()
    except (TypeError, ValueError):
        raise ValueError("clamp must be an array of whole numbers; this cannot be made one.") from None
    if tuple(given.shape) not in (shape, shape[1:]):
        raise ValueError(
            f"clamp must have one row a step that is written and one column a voice, {shape[1:]} or {shape}; found "
            f"{tuple(given.shape)}. Where the network is free, write -1."
        )
    check_ids("clamp", given, -1, vocabulary_size - 1)
    return given.long().expand(shape).flatten(1)


# --- Readers: one way to ask either kind of network for the next cell of music, one cell after another


class Decoder(Protocol):
    """What sampling asks of a network.

    Chapter: 9a.
    """

    def next_logits(self) -> Float[Tensor, "n_rows vocabulary"]:
        """Return the scores of the next cell of each row, on the CPU."""

    def append(self, ids: Int[Tensor, " n_rows"]) -> None:
        """Write the next cell of each row.

        Args:
            ids: one symbol a row.
        """

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """

    def cells(self) -> Int[Tensor, "n_rows n_cells"]:
        """Return all cells so far, the prompt among them, on the CPU."""


class TokenDecoder:
    """A MusicTransformer that reads one token a cell.

    Args:
        model: in evaluation mode.
        prompt: tokens from the beginning of a piece, on the CPU.

    Chapter: 9a.
    """

    def __init__(self, model: MusicTransformer, prompt: Int[Tensor, "n_rows n_prompt"]) -> None:
        begin = torch.full((len(prompt), 1), model.config.begin_id)
        self._model, self._sequence = model, torch.cat((begin, prompt), dim=1)
        self._cache: TokenCache | None = None

    def next_logits(self) -> Float[Tensor, "n_rows vocabulary"]:
        """Return the scores of the next token of each row."""
        config = self._model.config
        if self._cache is not None and self._cache.token_ids.shape[1] < config.context_length:
            start = self._sequence.shape[1] - 1
        else:
            self._cache = self._model.start_cache(len(self._sequence))
            start = window_start(self._sequence.shape[1], config.context_length, config.stride_token)
        tokens = self._sequence[:, start:].to(self._model.to_logits.weight.device)
        return self._model(tokens, self._cache)[:, -1].float().cpu()

    def append(self, ids: Int[Tensor, " n_rows"]) -> None:
        """Write the next token of each row.

        Args:
            ids: one symbol a row.
        """
        self._sequence = torch.cat((self._sequence, ids[:, None]), dim=1)

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """
        self._sequence = self._sequence[rows]
        if self._cache is not None:
            self._cache.keep_rows(rows.to(self._cache.token_ids.device))

    def cells(self) -> Int[Tensor, "n_rows n_cells"]:
        """Return all tokens so far but the begin symbol."""
        return self._sequence[:, 1:]


class FrameDecoder:
    """A FrameTransformer that reads one frame a step; the stack runs once a step, the head once a voice.

    Args:
        model: in evaluation mode.
        prompt: frames to begin with, on the CPU.
        first_step: index in its piece of the first frame of each row.

    Chapter: 9a.
    """

    def __init__(
        self,
        model: FrameTransformer,
        prompt: Int[Tensor, "n_rows n_prompt n_voices"],
        first_step: Int[Tensor, " n_rows"],
    ) -> None:
        self._model, self._device = model, model.norm.weight.device
        self._frames, self._first_step = prompt.to(self._device), first_step.to(self._device)
        self._known = self._frames.new_zeros(len(prompt), 1, 0)  # the frame that is being written
        self._cache: FrameCache | None = None
        self._read: tuple[Tensor, FrameHistory] | None = None

    def next_logits(self) -> Float[Tensor, "n_rows vocabulary"]:
        """Return the scores of the next voice of each row."""
        if self._read is None:
            self._read = self._read_frames()
        return self._model.head.score_next(*self._read, self._known)[:, 0].float().cpu()

    def append(self, ids: Int[Tensor, " n_rows"]) -> None:
        """Write the next voice of each row.

        Args:
            ids: one symbol a row.
        """
        self._known = torch.cat((self._known, ids.to(self._device)[:, None, None]), dim=2)
        if self._known.shape[2] == self._model.config.n_voices:
            self._frames = torch.cat((self._frames, self._known), dim=1)
            self._known, self._read = self._known[:, :, :0], None

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """
        rows = rows.to(self._device)
        self._frames, self._known, self._first_step = self._frames[rows], self._known[rows], self._first_step[rows]
        if self._cache is not None:
            self._cache.keep_rows(rows)
        if self._read is not None:
            features, past = self._read
            self._read = features[rows], FrameHistory(*(known[rows] for known in past))

    def cells(self) -> Int[Tensor, "n_rows n_cells"]:
        """Return all cells so far."""
        return torch.cat((self._frames.flatten(1), self._known[:, 0]), dim=1).cpu()

    def _read_frames(self) -> tuple[Tensor, FrameHistory]:
        """Let the stack read the latest frame, or anew the latest half of a full context."""
        if self._cache is not None and self._cache.n_read < self._model.config.context_length:
            return self._model.read_next(self._cache, self._frames[:, -1:])
        # The begin symbol, or the empty past of a window, takes one position.
        start = window_start(self._frames.shape[1] + 1, self._model.config.context_length, 1)
        self._cache = self._model.start_cache(len(self._frames), self._first_step + start)
        return self._model.read_next(self._cache, self._frames[:, start:])


def window_start(n_tokens: int, context_length: int, stride_token: int) -> int:
    """Return where to begin reading: 0 while all fits, then a multiple of the stride that leaves half the context.

    Args:
        n_tokens: positions in all.
        context_length: most that the network reads at once.
        stride_token: windows that begin at multiples of this are in the same phase of every cycle of the model.

    Returns:
        Index of the first position to read.

    Example:
        >>> window_start(16, context_length=16, stride_token=4), window_start(17, 16, 4)
        (0, 12)

    Chapter: 9a.
    """
    if n_tokens <= context_length:
        return 0
    start = -(-(n_tokens - max(1, context_length // 2)) // stride_token) * stride_token
    # With a context shorter than two strides nothing but the latest stride fits.
    return min(start, (n_tokens - 1) // stride_token * stride_token)


# --- Particles: several drafts of one piece side by side; those that make the given notes likely go on


def effective_number(log_weights: Float[Tensor, "batch n_candidates"]) -> Float[Tensor, " batch"]:
    """Say how many equal candidates would be worth as much as these unequal ones.

    Args:
        log_weights: natural logarithms of the weights, up to a constant a row.

    Returns:
        From 1 (one candidate has all the weight) to n_candidates (all have the same).

    Example:
        >>> effective_number(torch.tensor([[0.0, 0.0, -1e9, -1e9]])).tolist()
        [2.0]

    Chapter: 9b.
    """
    return 1 / log_weights.softmax(dim=1).square().sum(dim=1)


def resample(
    log_weights: Float[Tensor, "batch n_candidates"], generator: torch.Generator
) -> Int[Tensor, "batch n_candidates"]:
    """Say which candidate each place goes on from: candidates that weigh more fill more places.

    The places are drawn systematically, by one random number a row: a candidate of weight w fills n_candidates * w
    places, rounded up or down.

    Args:
        log_weights: natural logarithms of the weights, up to a constant a row.
        generator: source of chance.

    Returns:
        An index of a candidate for each place.

    Example:
        >>> resample(torch.tensor([[0.0, 0.0, -1e9, -1e9]]), torch.Generator().manual_seed(0)).tolist()
        [[0, 0, 1, 1]]

    Chapter: 9b.
    """
    batch, n_candidates = log_weights.shape
    shares = log_weights.double().softmax(dim=1).cumsum(dim=1)
    first = torch.rand(batch, 1, generator=generator, dtype=torch.float64)
    places = (first + torch.arange(n_candidates)) / n_candidates
    # Rounding may leave the last share below 1.
    return torch.searchsorted(shares, places).clamp(max=n_candidates - 1)


class Particles:
    """The weights of all candidates of all pieces.

    Args:
        batch: pieces that are written side by side.
        n_candidates: drafts of each piece.
        generator: source of chance.

    Chapter: 9b.
    """

    def __init__(self, batch: int, n_candidates: int, generator: torch.Generator) -> None:
        self._log_weights = torch.zeros(batch, n_candidates, dtype=torch.float64)
        self._generator = generator

    def weigh(
        self,
        logits: Float[Tensor, "n_rows vocabulary"],
        given: Int[Tensor, " n_rows"],
        is_given: Bool[Tensor, " n_rows"],
    ) -> Int[Tensor, " n_rows"] | None:
        """Let each candidate count as much as it made the given symbol likely.

        Args:
            logits: scores of the symbols; rows are the candidates of the first piece, then those of the second, ...
            given: the given symbols; any number where none is given.
            is_given: whether a symbol is given.

        Returns:
            Which row each row must go on from, or None if all stay.
        """
        gained = logits.double().log_softmax(dim=-1).gather(-1, given.clamp(min=0)[:, None])[:, 0]
        self._log_weights += torch.where(is_given, gained, 0.0).view_as(self._log_weights)
        batch, n_candidates = self._log_weights.shape
        is_poor = effective_number(self._log_weights) < n_candidates / 2
        if n_candidates == 1 or not is_poor.any():
            return None
        stay = torch.arange(n_candidates).expand(batch, -1)
        chosen = torch.where(is_poor[:, None], resample(self._log_weights, self._generator), stay)
        self._log_weights[is_poor] = 0.0
        return (chosen + n_candidates * torch.arange(batch)[:, None]).flatten()

    def choose(self) -> Int[Tensor, " batch"]:
        """Draw one candidate of each piece, by its weight; return its row."""
        batch, n_candidates = self._log_weights.shape
        if n_candidates == 1:
            return torch.arange(batch)
        drawn = torch.multinomial(self._log_weights.softmax(dim=1), 1, generator=self._generator)[:, 0]
        return drawn + n_candidates * torch.arange(batch)


# --- Drawing: continue tokens or frames, some of which may be given


@torch.no_grad()
def sample(
    model: MusicTransformer,
    prompt_ids: ArrayLike | Tensor,
    n_tokens: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
) -> Int[Tensor, "batch n_tokens"]:
    """Continue token sequences.

    When the context is full, the network goes on from its latest half or a little less, cut so that every cycle of
    the model (voice, beat, bar) keeps its phase.

    Args:
        model: a trained model; it is put into evaluation mode.
        prompt_ids: (batch, n_prompt) ids to continue, from the beginning of a piece; no begin symbol. ``n_prompt``
            may be 0.
        n_tokens: how many tokens to add.
        generator: source of chance, on the CPU; the same state gives the same tokens on one machine.
        temperature: above 0; see ``apply_temperature``.
        top_p: above 0 up to 1; see ``keep_top_p``.
        top_k: at least 1, or None for all; see ``keep_top_k``.

    Returns:
        The new tokens, without the prompt, on the CPU.

    Raises:
        ValueError: ids outside the vocabulary, numbers out of range, or a generator on a GPU.
        TypeError: the generator is not a torch.Generator, n_tokens or top_k is not a whole number, or the model is no
            MusicTransformer.
        FloatingPointError: the model's scores are not numbers.

    Example:
        >>> from mini_musessl.transformer import TransformerConfig
        >>> model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=32, d_feedforward=64))
        >>> sample(model, [[20, 21]], 6, torch.Generator().manual_seed(0)).shape
        torch.Size([1, 6])

    Chapter: 00, 9a.
    """
    check_generator("sample", generator)
    whole_number("n_tokens", n_tokens, lowest=1)
    check_model(model)
    if not isinstance(model, MusicTransformer):
        raise TypeError(f"Tokens are drawn from a MusicTransformer; found {type(model).__name__}. Use sample_frames.")
    prompt = as_ids("prompt_ids", prompt_ids, model.config.vocabulary_size, "n_prompt")
    check_can_go_on(model.config, prompt.shape[1] + n_tokens)
    rules = Sampling(temperature, top_k, top_p)
    return _draw_cells(TokenDecoder(model.eval(), prompt), n_tokens, rules, generator)


@torch.no_grad()
def sample_frames(
    model: FrameTransformer | MusicTransformer,
    prompt_frames: ArrayLike | Tensor,
    n_steps: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    first_step: int = 0,
    clamp: ArrayLike | Tensor | None = None,
    n_candidates: int = 1,
) -> Int[Tensor, "batch n_steps n_voices"]:
    """Continue frames; some voices at some steps may be given.

    When the context is full, the network goes on from its latest half (a MusicTransformer: as ``sample``).

    The network writes from left to right. With one candidate it takes a given symbol as it comes, without having looked
    ahead to it. With more, several drafts of each piece are written side by side, each counts as much as it made the
    given symbols likely, and drafts that count little are replaced (``generation.particles``). The draft that is
    returned then comes, the closer the more there are, from the network's distribution given all that is given.

    Args:
        model: a trained model; it is put into evaluation mode. For a MusicTransformer the voices of a step are
            consecutive tokens.
        prompt_frames: (batch, n_prompt, n_voices) ids to continue; ``n_prompt`` may be 0 and at most the context.
        n_steps: how many steps to add.
        generator: source of chance, on the CPU; the same state gives the same frames on one machine.
        temperature: above 0; see ``apply_temperature``. It also holds where candidates are weighed.
        top_p: above 0 up to 1; see ``keep_top_p``. Candidates are weighed without it: what is given may be unlikely.
        top_k: at least 1, or None for all; see ``keep_top_k``. Candidates are weighed without it.
        first_step: index in its piece of the first frame; other than 0 for a FrameTransformer alone.
        clamp: (n_steps, n_voices) or (batch, n_steps, n_voices) ids of what is given, -1 where the network is free;
            None if nothing is given.
        n_candidates: drafts a piece, at least 1; the cost grows with it.

    Returns:
        The new frames, without the prompt, on the CPU.

    Raises:
        ValueError: ids outside the vocabulary, another shape, a prompt longer than the context, a clamp of another
            length, numbers out of range, or a generator on a GPU.
        TypeError: the generator is not a torch.Generator, a number is not whole, or the model is of another kind.
        FloatingPointError: the model's scores are not numbers.

    Example:
        >>> from mini_musessl.frames import FrameConfig
        >>> model = FrameTransformer(FrameConfig(d_model=20, d_feedforward=40, d_voice=30))
        >>> soprano = [[37, -1, -1, -1], [39, -1, -1, -1]]
        >>> empty = torch.zeros(1, 0, 4, dtype=torch.long)
        >>> sample_frames(model, empty, 2, torch.Generator().manual_seed(0), clamp=soprano)[0, :, 0].tolist()
        [37, 39]

    Chapter: 9a, 9b.
    """
    check_generator("sample_frames", generator)
    whole_number("n_steps", n_steps, lowest=1)
    whole_number("n_candidates", n_candidates, lowest=1)
    rules = Sampling(temperature, top_k, top_p)
    prompt = check_prompt_frames(model, prompt_frames)
    batch, _, n_voices = prompt.shape
    check_first_step(model, first_step)
    given = check_clamp(clamp, (batch, n_steps, n_voices), model.config.vocabulary_size)
    if isinstance(model, MusicTransformer):
        check_can_go_on(model.config, (prompt.shape[1] + n_steps) * n_voices)
    reader = _make_reader(model.eval(), prompt.repeat_interleave(n_candidates, dim=0), first_step)
    particles = Particles(batch, n_candidates, generator)
    cells = _draw_cells(reader, n_steps * n_voices, rules, generator, given, particles)
    return cells.unflatten(1, (n_steps, n_voices))


def _make_reader(model: FrameTransformer | MusicTransformer, prompt: Tensor, first_step: int) -> Decoder:
    """Return the reader that fits the model."""
    if isinstance(model, MusicTransformer):
        return TokenDecoder(model, prompt.flatten(1))
    return FrameDecoder(model, prompt, torch.full((len(prompt),), first_step))


def _draw_cells(
    reader: Decoder,
    n_cells: int,
    rules: Sampling,
    generator: torch.Generator,
    given: Tensor | None = None,
    particles: Particles | None = None,
) -> Tensor:
    """Draw cell after cell, or take what is given, (batch, n_cells) with -1 where free; return the new cells."""
    for index in range(n_cells):
        logits = reader.next_logits()
        if given is None or (given[:, index] < 0).all():
            reader.append(rules.draw(logits, generator))
        else:
            reader.append(_take_given(reader, logits, given[:, index], rules, generator, particles))
    cells = reader.cells()
    new = cells[:, cells.shape[1] - n_cells :]
    return new if particles is None else new[particles.choose()]


def _take_given(
    reader: Decoder,
    logits: Tensor,
    given: Tensor,
    rules: Sampling,
    generator: torch.Generator,
    particles: Particles,
) -> Tensor:
    """Return the next cells where some pieces have one that is given, and let the likelier drafts go on."""
    wanted = given.repeat_interleave(len(logits) // len(given))
    is_given = wanted >= 0
    ids = wanted if is_given.all() else torch.where(is_given, wanted, rules.draw(logits, generator))
    scores = apply_temperature(logits, rules.temperature)
    probabilities_of(scores)  # refuses what are no numbers, also where nothing is drawn
    rows = particles.weigh(scores, wanted, is_given)
    if rows is not None:
        reader.keep_rows(rows)
    return ids
