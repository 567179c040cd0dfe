"""What a network that reads frames knows before each step.

Chapter: 5d.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

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

    Example:
        >>> frames = torch.tensor([[[20], [20], [22]]])
        >>> past = look_back(frames, None, begin_id=47)
        >>> past.latest.flatten().tolist(), past.held_step.flatten().tolist()
        ([47, 20, 20], [0, 0, 1])

    Chapter: 5d.
    """
    n_rows, n_steps, n_voices = frames.shape
    begin = frames.new_full((n_rows, 1, n_voices), begin_id)
    latest = torch.cat((begin, frames[:, :-1]), dim=1)
    earlier = torch.cat((begin, latest[:, :-1]), dim=1)
    index = torch.arange(n_steps, device=frames.device)
    # The step at which each latest symbol was new: the largest index so far at which it differed from the one before.
    began = torch.where(latest != earlier, index[:, None], 0).cummax(dim=1).values
    held_step = (index[:, None] - began).clamp(max=LONGEST_HOLD_STEP)
    start = 0 if first_step is None else first_step[:, None]
    return Past(latest, earlier, held_step, (index + start).expand(n_rows, n_steps))
