"""Drawing: continue tokens or frames, some of which may be given.

Chapter: 00 (used), 9a (sampling), 9b (given voices).
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from numpy.typing import ArrayLike
from torch import Tensor

from mini_musessl.frames import FrameTransformer
from mini_musessl.generation.particles import Particles
from mini_musessl.generation.readers import FrameReader, Reader, TokenReader
from mini_musessl.generation.requests import (
    as_ids,
    check_can_go_on,
    check_clamp,
    check_first_step,
    check_generator,
    check_model,
    check_prompt_frames,
)
from mini_musessl.generation.rules import Rules, apply_temperature, probabilities_of
from mini_musessl.music import whole_number
from mini_musessl.transformer import MusicTransformer


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
    rules = Rules(temperature, top_k, top_p)
    return _draw_cells(TokenReader(model.eval(), prompt), n_tokens, rules, generator)


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
    rules = Rules(temperature, top_k, top_p)
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


def _make_reader(model: FrameTransformer | MusicTransformer, prompt: Tensor, first_step: int) -> Reader:
    """Return the reader that fits the model."""
    if isinstance(model, MusicTransformer):
        return TokenReader(model, prompt.flatten(1))
    return FrameReader(model, prompt, torch.full((len(prompt),), first_step))


def _draw_cells(
    reader: Reader,
    n_cells: int,
    rules: Rules,
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
    reader: Reader,
    logits: Tensor,
    given: Tensor,
    rules: Rules,
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
