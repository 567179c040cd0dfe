"""Generation: draw tokens from a trained model, one after another.

Chapter: 00 (used), 9a (sampling), 9b (continuing).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from mini_musessl.music import whole_number
from mini_musessl.transformer import Cache, MusicTransformer
from mini_musessl.voices import VoiceGrid


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


@torch.no_grad()
def sample(
    model: MusicTransformer,
    prompt_ids: ArrayLike | Tensor,
    n_tokens: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
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

    Returns:
        The new tokens, without the prompt, on the CPU.

    Raises:
        ValueError: ids outside the vocabulary, numbers out of range, or a generator on a GPU.
        TypeError: the generator is not a torch.Generator, or n_tokens is not a whole number.
        FloatingPointError: the model's scores are not numbers.

    Example:
        >>> from mini_musessl.transformer import TransformerConfig
        >>> model = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=32, d_feedforward=64))
        >>> sample(model, [[20, 21]], 6, torch.Generator().manual_seed(0)).shape
        torch.Size([1, 6])

    Chapter: 00, 9a.
    """
    prompt = _check_request(model, prompt_ids, n_tokens, generator)
    _check_temperature(temperature)
    _check_top_p(top_p)
    model.eval()
    device = model.to_logits.weight.device
    begin = torch.full((len(prompt), 1), model.config.begin_id)
    sequence, cache = torch.cat((begin, prompt), dim=1), None
    for _ in range(n_tokens):
        logits, cache = _read(model, sequence.to(device), cache)
        allowed = keep_top_p(apply_temperature(logits.float().cpu(), temperature), top_p)
        drawn = torch.multinomial(_probabilities(allowed), 1, generator=generator)
        sequence = torch.cat((sequence, drawn), dim=1)
    return sequence[:, sequence.shape[1] - n_tokens :]


def continue_grid(
    model: MusicTransformer,
    tokenizer: Any,
    opening: VoiceGrid,
    n_steps: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> VoiceGrid:
    """Let a model go on where an opening ends.

    Args:
        model: trained on the tokens of ``tokenizer``.
        tokenizer: a ``tokenizers.VoiceGridTokens``.
        opening: the first steps of a piece.
        n_steps: how many steps to add.
        generator: source of chance.
        temperature: see ``apply_temperature``.
        top_p: see ``keep_top_p``.

    Returns:
        The opening and its continuation, in the meter and speed of the opening. Title, name and key are left out:
        they are not those of the new music.

    Raises:
        ValueError: the model was made for another vocabulary, n_steps is not positive, or the opening is empty.

    Chapter: 00, 9b.
    """
    if model.config.vocabulary_size != tokenizer.vocabulary.size:
        raise ValueError(
            f"Model and tokenizer must share a vocabulary; the model has {model.config.vocabulary_size} symbols and "
            f"the tokenizer {tokenizer.vocabulary.size}. Use the tokenizer the model was trained with."
        )
    whole_number("n_steps", n_steps, lowest=1)
    if opening.n_steps == 0:
        raise ValueError("An opening must hold at least 1 step; found none. To begin from nothing, use sample.")
    prompt = np.asarray(tokenizer.encode(opening))
    added = sample(model, prompt[None], n_steps * opening.n_voices, generator, temperature, top_p)
    grid = tokenizer.decode(np.concatenate((prompt, added[0].numpy())))
    is_onset = grid.is_onset.copy()
    is_onset[: opening.n_steps] = opening.is_onset
    bar = opening.meter[0] * 4 * opening.steps_per_quarter // opening.meter[1]
    later = (int(opening.bar_position_step[-1]) + 1 + np.arange(n_steps)) % bar
    return replace(
        opening,
        title="",
        name="",
        fifths=None,
        mode=None,
        pitch=grid.pitch,
        is_onset=is_onset,
        is_fermata=np.concatenate((opening.is_fermata, np.zeros(n_steps, bool))),
        bar_position_step=np.concatenate((opening.bar_position_step, later)),
    )


def _probabilities(logits: Tensor) -> Tensor:
    """Return the softmax, or say that there is none."""
    probabilities = logits.softmax(dim=-1)
    if probabilities.isnan().any():
        raise FloatingPointError(
            "The scores of the next token must be finite numbers; found some that are not. Did training diverge, or is "
            "the temperature next to 0? Train again with a smaller learning_rate, or use a temperature such as 0.01."
        )
    return probabilities


def _read(model: MusicTransformer, sequence: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
    """Return the logits of the next token and the cache; start anew when the context is full."""
    if cache is not None and cache.token_ids.shape[1] < model.config.context_length:
        return model(sequence[:, -1:], cache)[:, -1], cache
    cache = model.start_cache(len(sequence))
    start = _window_start(sequence.shape[1], model.config.context_length, model.config.stride_token)
    return model(sequence[:, start:], cache)[:, -1], cache


def _window_start(n_tokens: int, context_length: int, stride_token: int) -> int:
    """Return where to begin reading: 0 while all fits, then a multiple of the stride that leaves half the context."""
    if n_tokens <= context_length:
        return 0
    start = -(-(n_tokens - max(1, context_length // 2)) // stride_token) * stride_token
    # With a context shorter than two strides nothing but the latest stride fits.
    return min(start, (n_tokens - 1) // stride_token * stride_token)


def _check_request(model: MusicTransformer, prompt_ids: ArrayLike | Tensor, n_tokens: int, generator: object) -> Tensor:
    """Return the prompt as a tensor, or refuse what cannot be continued."""
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"sample draws from a torch.Generator; found {type(generator).__name__}. "
            "Pass torch.Generator().manual_seed(seed)."
        )
    if generator.device.type != "cpu":
        raise ValueError(
            f"sample draws on the CPU, whatever device the model is on; found a generator on {generator.device}. "
            "Pass torch.Generator().manual_seed(seed)."
        )
    whole_number("n_tokens", n_tokens, lowest=1)
    prompt = _as_tensor(prompt_ids).cpu()
    if prompt.dim() != 2 or len(prompt) == 0:
        raise ValueError(
            f"prompt_ids must have the shape (batch, n_prompt) with at least one row; found {tuple(prompt.shape)}. "
            "Put one sequence into a list: [ids]."
        )
    size = model.config.vocabulary_size
    is_whole = not prompt.is_floating_point() and prompt.dtype != torch.bool
    if prompt.numel() and (not is_whole or int(prompt.min()) < 0 or int(prompt.max()) >= size):
        raise ValueError(
            f"prompt_ids must be whole numbers in 0..{size - 1}; found {prompt.dtype} from {prompt.min().item()} to "
            f"{prompt.max().item()}. Was the prompt encoded with another vocabulary?"
        )
    _check_can_go_on(model, prompt.shape[1] + n_tokens)
    return prompt.long()


def _as_tensor(prompt_ids: ArrayLike | Tensor) -> Tensor:
    """Return the prompt as a tensor, or refuse rows of different lengths."""
    try:
        return torch.as_tensor(prompt_ids)
    except (TypeError, ValueError):
        raise ValueError(
            "prompt_ids must be whole numbers in rows of one length, (batch, n_prompt); these cannot be made an array. "
            "Cut the prompts to the shortest, or sample one by one."
        ) from None


def _check_can_go_on(model: MusicTransformer, n_tokens: int) -> None:
    """Refuse to outgrow a context that is too short to begin a new window in phase."""
    longest, cycle = model.config.context_length, model.config.stride_token
    if n_tokens > longest and longest < cycle:
        raise ValueError(
            f"To go on beyond context_length = {longest}, the context must hold a whole cycle of the "
            f"model, {cycle} tokens; "
            f"found {n_tokens} tokens in all. Ask for fewer, or make a model with a longer context."
        )


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
