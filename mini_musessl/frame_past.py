"""What a network that reads frames knows before each step.

Chapter: 5d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int
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


def look_on(past: Past, frames: Tensor) -> Past:
    """Return what is known before each of the steps that follow, once their earlier frames were read.

    Args:
        past: of the step where ``frames`` begins; of several steps, the last one counts.
        frames: (batch, n_new, n_voices) symbol ids.

    Returns:
        The past of the steps after each of the frames: as many as there are frames, equal to what ``look_back`` says.

    Example:
        >>> nothing = look_back(torch.tensor([[[20]]]), None, begin_id=47)
        >>> past = look_on(nothing, torch.tensor([[[20], [20], [22]]]))
        >>> past.latest.flatten().tolist(), past.held_step.flatten().tolist()
        ([20, 20, 22], [0, 1, 0])

    Chapter: 9a (sampling).
    """
    n_new = frames.shape[1]
    earlier = torch.cat((past.latest[:, -1:], frames[:, :-1]), dim=1)[:, :n_new]
    index = torch.arange(1, n_new + 1, device=frames.device)
    # What sounds now began before the first of these frames, by as much as it was held.
    began = torch.where(frames != earlier, index[:, None], -past.held_step[:, -1:]).cummax(dim=1).values
    held_step = (index[:, None] - began).clamp(max=LONGEST_HOLD_STEP)
    return Past(frames, earlier, held_step, past.step[:, -1:] + index)


class PastKeys:
    """Keys and values of what one block has read, kept in room that doubles when it is full.

    Joining the old and the new anew at each step would copy everything each time; this copies only what is new.

    Example:
        >>> past = PastKeys()
        >>> new = torch.ones(2, 3, 1, 4)  # batch, head, time, d_head
        >>> [tuple(past.extend(new, new)[0].shape) for _ in range(2)]
        [(2, 3, 1, 4), (2, 3, 2, 4)]

    Chapter: 9a (sampling).
    """

    def __init__(self) -> None:
        self.n_read = 0
        self._rooms: list[Tensor] = []  # keys, values: (batch, head, room, d_head)

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add what is new and return all.

        Args:
            keys: (batch, head, n_new, d_head).
            values: of the same shape.

        Returns:
            Keys and values of all positions so far.
        """
        n_all = self.n_read + keys.shape[2]
        if not self._rooms or n_all > self._rooms[0].shape[2]:
            self._grow(keys, max(64, 2 * n_all))
        for room, new in zip(self._rooms, (keys, values), strict=True):
            room[:, :, self.n_read : n_all] = new
        self.n_read = n_all
        return self._rooms[0][:, :, :n_all], self._rooms[1][:, :, :n_all]

    def keep_rows(self, rows: Tensor) -> None:
        """Let row i of the batch go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: (n_rows,) indices.
        """
        for room in self._rooms:
            room[:, :, : self.n_read] = room[rows, :, : self.n_read]

    def _grow(self, like: Tensor, n_room: int) -> None:
        """Move to larger rooms."""
        rooms = [like.new_empty((*like.shape[:2], n_room, like.shape[3])) for _ in range(2)]
        for new, old in zip(rooms, self._rooms):  # noqa: B905 -- there are none yet at the start
            new[:, :, : self.n_read] = old[:, :, : self.n_read]
        self._rooms = rooms


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
