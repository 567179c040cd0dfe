"""What can be asked of a network that writes, and the sentences that refuse the rest.

Chapter: 9a (sampling).
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from numpy.typing import ArrayLike
from torch import Tensor

from mini_musessl.frames import FrameTransformer
from mini_musessl.music import whole_number
from mini_musessl.transformer import MusicTransformer, TransformerConfig


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
