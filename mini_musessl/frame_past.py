"""What a network that reads frames knows before each step.

Chapter: 5d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from mini_musessl.past_keys import PastKeys, check_same_rows

#: Held notes are told apart up to this many steps, two bars of sixteenths; longer ones count as this.
LONGEST_HOLD_STEP = 31


class Past(NamedTuple):
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


def look_back(frames: Tensor, first_step: Tensor | None, begin_id: int) -> Past:
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
        >>> past = look_back(frames, None, begin_id=47)
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
    return Past(latest, earlier, held_step, (index + start).expand(n_rows, n_steps))


def look_on(past: Past, frames: Tensor) -> Past:
    """Return what is known before each of the steps that follow, once their earlier frames were read.

    Args:
        past: of the step where ``frames`` begins; of several steps, the last one counts.
        frames: (batch, n_new, n_voices) symbol ids.

    Returns:
        The past of the steps after each of the frames: as many as there are frames, equal to what ``look_back`` says.

    Raises:
        ValueError: other rows than those of the past.

    Example:
        >>> nothing = look_back(torch.tensor([[[20]]]), None, begin_id=47)
        >>> past = look_on(nothing, torch.tensor([[[20], [20], [22]]]))
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
    return Past(frames, earlier, held_step, past.step[:, -1:] + index)


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

    layers: list[PastKeys]
    past: Past
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
        self.past = Past(*(known[rows] for known in self.past))
