"""Infilling: draw the hidden cells of a score from the others, by annealed blocked Gibbs sampling.

The first sweep draws all hidden cells side by side, from what is given alone. Each later one draws a block of them anew
with the others in view; the blocks shrink. A small block seldom holds all cells of a held note, and those left out keep
the others as they are: so some sweeps draw whole notes, one symbol for all cells of each. A piece longer than the
network's windows is covered by windows that overlap by half or more; each step is taken from the window in which it
stands farthest from a cut.

References: Huang, Cooijmans, Roberts, Courville and Eck, "Counterpoint by Convolution" (2017), for blocked Gibbs
sampling from a network that fills partial scores; the numbers of the schedule are those of its code (``YaoSchedule`` in
``lib_sampling.py``, repository magenta/magenta), whose first sweep draws nine tenths of the cells and finds the rest
empty. Yao, Ozair, Cho and Bengio, "On the Equivalence between Deep NADE and Generative Stochastic Networks" (2014), for
annealing the share.

Chapter: 4b (masking).
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from mini_musessl.batches import best_window, window_starts
from mini_musessl.checks import as_array, check_torch_generator, check_truth, whole_number
from mini_musessl.generation.sampling import FREE, Ids, Sampling, as_ids, check_is_sampling, longest_context
from mini_musessl.masking import number_notes
from mini_musessl.network.encoder import MaskedTransformer

N_SWEEPS = 100
#: Shares of the hidden cells: where the line begins from which the sweeps after the first take theirs, and its end.
HIGHEST_SHARE, LOWEST_SHARE = 0.9, 0.1
FALLS_UNTIL = 0.7  # the share of the sweeps after which the lowest share is reached
NOTES_FROM = 0.5  # the share of the sweeps after which every other one draws whole notes
N_STEPS_AT_ONCE = 4096  # steps, of all windows together, that are read at once; more cost memory and gain no time

Frames = Int[Tensor, "batch n_steps n_voices"]
Hidden = Bool[Tensor, "batch n_steps n_voices"]


def resampled_share(sweep: int, n_sweeps: int) -> float:
    """Return the share of the hidden cells that a sweep (from 0) draws anew.

    >>> [round(resampled_share(sweep, 10), 2) for sweep in (0, 1, 4, 7, 9)]
    [1.0, 0.79, 0.44, 0.1, 0.1]
    """
    fallen = (HIGHEST_SHARE - LOWEST_SHARE) * sweep / (FALLS_UNTIL * n_sweeps)
    return max(LOWEST_SHARE, HIGHEST_SHARE - fallen) if sweep else 1.0


def draws_notes(sweep: int, n_sweeps: int) -> bool:
    """Return whether a sweep (from 0) draws whole notes: every other one of the second half, and never the last.

    >>> [sweep for sweep in range(20) if draws_notes(sweep, 20)]
    [10, 12, 14, 16, 18]
    """
    return sweep % 2 == 0 and NOTES_FROM * n_sweeps <= sweep < n_sweeps - 1


def number_units(frames: Frames, are_notes: bool) -> Frames:
    """Number what is drawn as one: each cell, or each note, a longest stretch of one symbol.

    >>> number_units(torch.tensor([[[30, 9], [30, 9], [32, 9]]]), are_notes=True).tolist()
    [[[0, 2], [0, 2], [1, 2]]]
    """
    if not are_notes:
        return torch.arange(frames.numel(), device=frames.device).view(frames.shape)
    note, n_notes = number_notes(frames.numpy(), np.zeros(frames.shape[:2], bool))
    return torch.from_numpy(note + (n_notes.cumsum() - n_notes)[:, None, None])


def draw_units(
    logits: Float[Tensor, "n_cells vocabulary"],
    unit: Int[Tensor, " n_cells"],
    sampling: Sampling,
    generator: Generator,
) -> Int[Tensor, " n_cells"]:
    """Draw one symbol for all cells of a unit, as likely as at the cell at which it is least likely.

    For a note this is no exact draw: together, its cells are at most as likely to be a symbol as any one of them.
    """
    number, place = unit.unique(return_inverse=True)
    log_probs, least = logits.log_softmax(dim=-1), logits.new_zeros(len(number), logits.shape[-1])
    least.scatter_reduce_(0, place[:, None].expand_as(log_probs), log_probs, "amin", include_self=False)
    return sampling.draw(least, generator)[place]


@torch.no_grad()
def score_cells(
    model: MaskedTransformer, frames: Frames, is_hidden: Hidden, first_step: int = 0
) -> Float[Tensor, "batch n_steps n_voices vocabulary"]:
    """Return logits for every cell of pieces of one length, on the CPU; only those of hidden cells are worth anything.

    A piece is covered by windows no longer than the context, nor than those of the model's training (its
    ``trained_steps``). The model is put into evaluation mode.

    >>> from mini_musessl.network.encoder import EncoderConfig
    >>> model = MaskedTransformer(EncoderConfig(context_length=8, d_model=16, d_feedforward=32, d_voice=24))
    >>> frames = torch.zeros(1, 20, 4, dtype=torch.long)
    >>> score_cells(model, frames, torch.ones_like(frames, dtype=torch.bool)).shape
    torch.Size([1, 20, 4, 47])
    """
    model.eval()
    batch, n_steps = frames.shape[:2]
    longest = min(n_steps, longest_context(model))
    starts = window_starts(n_steps, longest, max(1, longest // 2), is_spread=True)
    window = best_window(starts, longest, n_steps)
    place = torch.from_numpy(starts[:, None] + np.arange(longest))
    device = next(model.parameters()).device
    read, hides = (each[:, place].flatten(0, 1).to(device) for each in (frames, is_hidden))
    begins = torch.from_numpy(starts).repeat(batch).to(device) + first_step
    parts = (each.split(max(1, N_STEPS_AT_ONCE // longest)) for each in (read, hides, begins))
    rows = [model(cells, hidden, None, begin) for cells, hidden, begin in zip(*parts, strict=True)]
    logits = torch.cat(rows).unflatten(0, (batch, len(starts))).float().cpu()
    return logits[:, window, np.arange(n_steps) - starts[window]]


def draw_blocks(
    model: MaskedTransformer,
    frames: Frames,
    is_free: Hidden,
    generator: Generator,
    n_sweeps: int,
    sampling: Sampling,
    first_step: int = 0,
) -> Frames:
    """Draw the free cells of frames, all in the first sweep, and ever smaller blocks of them in those that follow.

    A block is made of cells, or of whole notes.
    """
    drawn = frames.masked_fill(is_free, 0)
    for sweep in range(n_sweeps):
        unit = number_units(drawn, draws_notes(sweep, n_sweeps))
        chance = torch.rand(int(unit.max()) + 1, generator=generator, dtype=torch.float32, device="cpu")
        is_block = is_free & (chance[unit] < resampled_share(sweep, n_sweeps))
        if is_block.any():
            logits = score_cells(model, drawn, is_block, first_step)
            drawn[is_block] = draw_units(logits[is_block], unit[is_block], sampling, generator)
    return drawn


@torch.no_grad()
def infill(
    model: MaskedTransformer,
    frames: Ids,
    is_hidden: Ids | None,
    generator: Generator,
    n_sweeps: int = N_SWEEPS,
    sampling: Sampling = Sampling(),
    first_step: int = 0,
) -> Int[Tensor, "*batch n_steps n_voices"]:
    """Draw the hidden cells of frames from those that are given, which are never touched; the result is on the CPU.

    Args:
        frames: (n_steps, n_voices) or (batch, n_steps, n_voices) ids. What stands in hidden cells changes nothing; -1
            may stand there.
        is_hidden: the same shape, True where a cell is to be drawn. None: where frames have -1.
        generator: on the CPU; the same state gives the same frames on one machine.
        n_sweeps: at least 1; with 1 all cells are drawn side by side. A sweep asks the network once.
        first_step: index in its piece of the first frame; it counts only for a model with a ``cycle_length``.

    >>> from mini_musessl.network.encoder import EncoderConfig
    >>> model = MaskedTransformer(EncoderConfig(d_model=16, d_feedforward=32, d_voice=24))
    >>> soprano = [[37, -1, -1, -1], [39, -1, -1, -1]]
    >>> filled = infill(model, soprano, None, Generator().manual_seed(0), n_sweeps=4)
    >>> filled[:, 0].tolist(), bool((filled >= 0).all())
    ([37, 39], True)
    """
    check_torch_generator(generator, "infill")
    check_is_sampling(sampling)
    if not isinstance(model, MaskedTransformer):
        raise TypeError(
            f"Hidden cells are filled by a MaskedTransformer, which sees what comes before and after; found "
            f"{type(model).__name__}. A FrameTransformer harmonises with generation.harmonise."
        )
    whole_number("n_sweeps", n_sweeps, lowest=1)
    whole_number("first_step", first_step, lowest=0)
    shape = ("batch", "n_steps", model.config.n_voices)
    given = as_ids("frames", frames, model.config.vocabulary_size, shape, lowest=FREE, is_batch_optional=True)
    is_free = (given == FREE).numpy() if is_hidden is None else as_array("is_hidden", is_hidden)
    check_truth("is_hidden", is_free, given.shape)
    is_free = torch.from_numpy(is_free.copy())
    if not is_free.any():
        raise ValueError("At least one cell must be hidden, to be filled; found none. Is is_hidden upside down?")
    is_missing = (given == FREE) & ~is_free
    if is_missing.any():
        step, voice = is_missing.nonzero()[0, -2:].tolist()
        raise ValueError(
            f"Each cell must be given or hidden; voice {voice} at step {step} is neither: frames have {FREE} there and "
            "is_hidden is False. Give its symbol, or hide it."
        )
    batched = (each.view(-1, *given.shape[-2:]) for each in (given, is_free))
    return draw_blocks(model, *batched, generator, n_sweeps, sampling, first_step).view(given.shape)
