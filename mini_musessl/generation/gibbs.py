"""Whole pieces through a network that reads a window: each cell is scored where it stands best.

A piece longer than the context is covered by windows of one length that overlap by half or more. Each step is answered
for by the window in which it stands farthest from a cut; the ends of the piece are no cuts.

Chapter: 4b (masking).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from mini_musessl.checks import check_truth, whole_number
from mini_musessl.generation.sampling import Sampling, check_generator, check_ids
from mini_musessl.network.encoder import MaskedTransformer
from mini_musessl.voices import REST, VoiceGrid

# --- Whole pieces through a network that reads a window: each cell is scored where it stands best

#: Steps, of all windows together, that are read at once; more cost memory and gain no time.
N_STEPS_AT_ONCE = 4096


@torch.no_grad()
def score_cells(
    model: MaskedTransformer,
    frames: Int[Tensor, "batch n_steps n_voices"],
    is_hidden: Bool[Tensor, "batch n_steps n_voices"],
    first_step: int = 0,
) -> Float[Tensor, "batch n_steps n_voices vocabulary"]:
    """Score every symbol for every cell of pieces of one length, longer than the context or not.

    Args:
        model: put into evaluation mode.
        frames: symbol ids.
        is_hidden: True where a cell must not be seen; only the answers there are worth anything.
        first_step: index in its piece of the first frame.

    Returns:
        Logits, on the CPU. None depends on the ids of hidden cells.

    Raises:
        ValueError: as of ``FrameEncoder``.
        TypeError: as of ``FrameEncoder``.

    Example:
        >>> from mini_musessl.encoder import EncoderConfig
        >>> model = MaskedTransformer(EncoderConfig(context_length=8, d_model=16, d_feedforward=32, d_voice=24))
        >>> frames = torch.zeros(1, 20, 4, dtype=torch.long)
        >>> score_cells(model, frames, torch.ones_like(frames, dtype=torch.bool)).shape
        torch.Size([1, 20, 4, 47])

    Chapter: 4b.
    """
    model.eval()
    batch, n_steps = frames.shape[:2]
    longest = min(n_steps, model.config.context_length)
    starts = window_starts(n_steps, longest)
    window = best_window(n_steps, longest)
    place = torch.from_numpy(starts[:, None] + np.arange(longest))
    device = next(model.parameters()).device
    read, hides = (each[:, place].flatten(0, 1).to(device) for each in (frames, is_hidden))
    begins = torch.from_numpy(starts).repeat(batch).to(device) + first_step
    n_rows = max(1, N_STEPS_AT_ONCE // longest)
    parts = (each.split(n_rows) for each in (read, hides, begins))
    rows = [model(cells, hidden, None, begin) for cells, hidden, begin in zip(*parts, strict=True)]
    logits = torch.cat(rows).unflatten(0, (batch, len(starts))).float().cpu()
    return logits[:, window, np.arange(n_steps) - starts[window]]


def window_starts(n_steps: int, context_length: int) -> Int[np.ndarray, " n_windows"]:
    """Say where windows begin that cover a piece, neighbours overlapping by half of the context or more.

    Args:
        n_steps: length of the piece.
        context_length: steps of a window.

    Example:
        >>> window_starts(200, 128).tolist(), window_starts(100, 128).tolist()
        ([0, 36, 72], [0])

    Chapter: 4b.
    """
    beyond = max(0, n_steps - context_length)
    n_windows = 1 + -(-beyond // max(1, context_length // 2))
    return np.linspace(0, beyond, n_windows).round().astype(np.int64)


def best_window(n_steps: int, context_length: int) -> Int[np.ndarray, " n_steps"]:
    """Say which window answers for each step: the one in which it is farthest from a cut, the first of equals.

    Args:
        n_steps: length of the piece.
        context_length: steps of a window.

    Example:
        >>> best_window(8, 4).tolist()
        [0, 0, 0, 1, 1, 2, 2, 2]

    Chapter: 4b.
    """
    starts = window_starts(n_steps, context_length)[:, None]
    steps = np.arange(n_steps)
    # Where a window ends with the piece nothing is cut off, however near the end a step may be.
    before = np.where(starts == 0, n_steps, steps - starts)
    after = np.where(starts + context_length >= n_steps, n_steps, starts + context_length - 1 - steps)
    is_inside = (steps >= starts) & (steps < starts + context_length)
    return np.where(is_inside, np.minimum(before, after), -1).argmax(axis=0)


# --- Filling: draw what is hidden in a score from what is left of it, by annealed blocked Gibbs sampling

#: How many sweeps.
N_SWEEPS = 100
#: Shares of the hidden cells: where the line begins from which later sweeps take theirs, and what the last ones take.
#: Sweep 0 stands at the line's beginning, but draws all cells; sweep 1 lies a little below it.
HIGHEST_SHARE, LOWEST_SHARE = 0.9, 0.1
#: The share of the sweeps after which the lowest share is reached.
FALLS_UNTIL = 0.7
#: Stands in frames where nothing is given.
FREE = -1


@torch.no_grad()
def infill(
    model: MaskedTransformer,
    frames: ArrayLike | Tensor,
    is_hidden: ArrayLike | Tensor | None,
    generator: torch.Generator,
    n_sweeps: int = N_SWEEPS,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    first_step: int = 0,
) -> Int[Tensor, "*batch n_steps n_voices"]:
    """Draw the hidden cells of frames from those that are given, which are never touched.

    The first sweep draws all hidden cells side by side, from what is given alone. Each later one draws a block of them
    anew, in which each cell is with the probability ``resampled_share``; the others are seen. A sweep asks the network
    once, however many cells it draws; where chance leaves its block empty, it asks nothing and changes nothing. A piece
    longer than the context is read in windows that overlap.

    Args:
        model: a trained model; it is put into evaluation mode.
        frames: (n_steps, n_voices) or (batch, n_steps, n_voices) symbol ids. What stands in hidden cells changes
            nothing; -1 may stand there.
        is_hidden: the same shape, True where a cell is to be drawn. None: where frames have -1.
        generator: source of chance, on the CPU; the same state gives the same frames on one machine.
        n_sweeps: how many sweeps, at least 1; with 1 all cells are drawn side by side.
        temperature: above 0; see ``apply_temperature``.
        top_p: above 0 up to 1; see ``keep_top_p``.
        top_k: at least 1, or None for all; see ``keep_top_k``.
        first_step: index in its piece of the first frame; it counts only for a model with a ``cycle_length``.

    Returns:
        The frames with the hidden cells drawn, on the CPU, of the shape of ``frames``.

    Raises:
        ValueError: nothing is hidden; a cell is neither given nor hidden, or both; ids outside the vocabulary, another
            shape, numbers out of range, or a generator on a GPU.
        TypeError: the generator is not a torch.Generator, the model no MaskedTransformer, ``is_hidden`` not True and
            False, or a number is not whole.
        FloatingPointError: the model's scores are not numbers.

    Example:
        >>> from mini_musessl.encoder import EncoderConfig
        >>> model = MaskedTransformer(EncoderConfig(d_model=16, d_feedforward=32, d_voice=24))
        >>> soprano = [[37, -1, -1, -1], [39, -1, -1, -1]]
        >>> filled = infill(model, soprano, None, torch.Generator().manual_seed(0), n_sweeps=4)
        >>> filled[:, 0].tolist(), bool((filled >= 0).all())
        ([37, 39], True)

    References:
        Huang, Cooijmans, Roberts, Courville and Eck, "Counterpoint by Convolution" (2017), for blocked Gibbs sampling
        from a network that fills partial scores; the numbers of the schedule are those of its code
        (``YaoSchedule`` in ``lib_sampling.py``, repository magenta/magenta). There the first sweep draws nine tenths
        of the cells and finds the rest empty; here it draws them all.
        Yao, Ozair, Cho and Bengio, "On the Equivalence between Deep NADE and Generative Stochastic Networks" (2014),
        for annealing the share.

    Chapter: 4b.
    """
    check_generator("fill", generator)
    check_is_masked(model)
    whole_number("n_sweeps", n_sweeps, lowest=1)
    whole_number("first_step", first_step, lowest=0)
    rules = Sampling(temperature, top_k, top_p)
    given, is_free = _read_request(model, frames, is_hidden)
    drawn = given.masked_fill(is_free, 0)
    for sweep in range(n_sweeps):
        share = resampled_share(sweep, n_sweeps)
        is_block = is_free & (torch.rand(drawn.shape, generator=generator) < share)
        if is_block.any():
            logits = score_cells(model, drawn, is_block, first_step)
            drawn[is_block] = rules.draw(logits[is_block], generator)
    return drawn if torch.as_tensor(frames).dim() == 3 else drawn[0]


def resampled_share(sweep: int, n_sweeps: int) -> float:
    """Return the share of the hidden cells that a sweep draws anew.

    All in sweep 0; after it the share falls in a straight line from ``HIGHEST_SHARE`` towards ``LOWEST_SHARE``, reaches
    it when ``FALLS_UNTIL`` of the sweeps are done, and stays there.

    Args:
        sweep: 0 for the first.
        n_sweeps: how many there are.

    Raises:
        ValueError: no sweep, or one beyond the last.
        TypeError: a number is not whole.

    Example:
        >>> [round(resampled_share(sweep, 10), 2) for sweep in (0, 1, 4, 7, 9)]
        [1.0, 0.79, 0.44, 0.1, 0.1]

    References:
        As of ``infill``.

    Chapter: 4b.
    """
    whole_number("n_sweeps", n_sweeps, lowest=1)
    whole_number("sweep", sweep, lowest=0, highest=n_sweeps - 1)
    fallen = (HIGHEST_SHARE - LOWEST_SHARE) * sweep / (FALLS_UNTIL * n_sweeps)
    return max(LOWEST_SHARE, HIGHEST_SHARE - fallen) if sweep else 1.0


def check_is_masked(model: object) -> None:
    """Refuse what cannot say what a hidden cell may be.

    Args:
        model: what the caller gave.

    Raises:
        TypeError: it is no MaskedTransformer.
    """
    if not isinstance(model, MaskedTransformer):
        raise TypeError(
            f"Hidden cells are filled by a MaskedTransformer, which sees what comes before and after; found "
            f"{type(model).__name__}. A FrameTransformer harmonises with generation.harmonise."
        )


def rest_where_hidden(piece: VoiceGrid, is_hidden: ArrayLike | Tensor) -> VoiceGrid:
    """Put rests into the hidden cells of a piece, so that nothing depends on what stands there.

    Args:
        piece: voices.
        is_hidden: (n_steps, n_voices), True where a cell is to be drawn.

    Returns:
        The piece, in which a given note that sounds on after hidden cells is struck there.

    Raises:
        ValueError: ``is_hidden`` of another shape.
        TypeError: ``is_hidden`` is not True and False.

    Example:
        >>> from mini_musessl import voices
        >>> piece = voices.from_pitches([[60], [60], [60]], voice_names=("melody",))
        >>> given = rest_where_hidden(piece, [[False], [True], [False]])
        >>> given.pitch[:, 0].tolist(), given.is_onset[:, 0].tolist()
        ([60, -1, 60], [True, False, True])

    Chapter: 4b.
    """
    hidden = _as_hidden(is_hidden, torch.zeros(piece.pitch.shape, dtype=torch.long)).numpy()
    pitch = np.where(hidden, REST, piece.pitch)
    is_onset = piece.is_onset.copy()
    is_onset[1:] |= hidden[:-1]
    return replace(piece, pitch=pitch, is_onset=is_onset & (pitch != REST))


def _read_request(
    model: MaskedTransformer, frames: ArrayLike | Tensor, is_hidden: ArrayLike | Tensor | None
) -> tuple[Int[Tensor, "batch n_steps n_voices"], Bool[Tensor, "batch n_steps n_voices"]]:
    """Return what is given and which cells are free, or refuse a request that cannot be met."""
    given = _as_frames(model, frames)
    is_free = given == FREE
    if is_hidden is not None:
        is_free = _as_hidden(is_hidden, torch.as_tensor(frames)).reshape(given.shape)
    if not is_free.any():
        raise ValueError("At least one cell must be hidden, to be filled; found none. Is is_hidden upside down?")
    is_written_free = given == FREE
    if (is_written_free & ~is_free).any():
        voice, step = _first(is_written_free & ~is_free)
        raise ValueError(
            f"Each cell must be given or hidden; voice {voice} at step {step} is neither: frames have {FREE} there and "
            "is_hidden is False. Give its symbol, or hide it."
        )
    if is_written_free.any() and (is_free & ~is_written_free).any():
        voice, step = _first(is_free & ~is_written_free)
        raise ValueError(
            f"A cell must not be both given and hidden; voice {voice} at step {step} is: frames have {FREE} in other "
            f"hidden cells and an id in this one. Write {FREE} there too, or do not hide it."
        )
    return given, is_free


def _as_frames(model: MaskedTransformer, frames: ArrayLike | Tensor) -> Int[Tensor, "batch n_steps n_voices"]:
    """Return frames as a batch of ids, -1 where nothing is given; or refuse them."""
    config = model.config
    try:
        ids = torch.as_tensor(frames).cpu()
    except (TypeError, ValueError):
        raise ValueError(
            "frames must be whole numbers, (n_steps, n_voices) or (batch, n_steps, n_voices); these cannot be made an "
            "array. Fill pieces of different lengths one by one."
        ) from None
    if ids.dim() not in (2, 3) or ids.shape[-1] != config.n_voices or 0 in ids.shape:
        raise ValueError(
            f"frames must have the shape (n_steps, {config.n_voices}) or (batch, n_steps, {config.n_voices}), with at "
            f"least one step; found {tuple(ids.shape)}."
        )
    check_ids("frames", ids, FREE, config.vocabulary_size - 1)
    return (ids if ids.dim() == 3 else ids[None]).long()


def _as_hidden(
    is_hidden: ArrayLike | Tensor, frames: Int[Tensor, "*batch n_steps n_voices"]
) -> Bool[Tensor, "*batch n_steps n_voices"]:
    """Return what is hidden as a tensor of the shape of the frames, or refuse it."""
    try:
        hidden = torch.as_tensor(is_hidden).cpu()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError("is_hidden must be an array of True and False; this cannot be made one.") from None
    check_truth("is_hidden", hidden, frames.shape)
    return hidden


def _first(is_wrong: Bool[Tensor, "batch n_steps n_voices"]) -> tuple[int, int]:
    """Return voice and step of the first cell for which something is true."""
    _, step, voice = is_wrong.nonzero()[0].tolist()
    return voice, step
