"""What attention keeps of the positions that it has read: their keys and values, in room that grows.

Chapter: 5c (a cache), 9a (sampling).
"""

from __future__ import annotations

from collections.abc import Iterator

from jaxtyping import Float, Int
from torch import Tensor


class PastKeys:
    """Keys and values of what one block has read, kept in room that doubles when it is full.

    Joining the old and the new anew at each step would copy everything each time; this copies only what is new. It
    writes into its own room, so use it without gradients: a backward pass would find the room changed.

    Iterating gives the keys and the values of all positions so far.

    Example:
        >>> import torch
        >>> past = PastKeys()
        >>> new = torch.ones(2, 3, 1, 4)  # batch, head, time, d_head
        >>> [tuple(past.extend(new, new)[0].shape) for _ in range(2)]
        [(2, 3, 1, 4), (2, 3, 2, 4)]

    Chapter: 5c, 9a (sampling).
    """

    def __init__(self) -> None:
        self.n_read = 0
        self._rooms: list[Tensor] = []  # keys, values: (batch, head, room, d_head)

    def __iter__(self) -> Iterator[Tensor]:
        """Return the keys and the values of all positions so far, each (batch, head, n_read, d_head)."""
        return (room[:, :, : self.n_read] for room in self._rooms)

    def extend(
        self, keys: Float[Tensor, "batch head n_new d_head"], values: Float[Tensor, "batch head n_new d_head"]
    ) -> tuple[Float[Tensor, "batch head n_all d_head"], Float[Tensor, "batch head n_all d_head"]]:
        """Add what is new and return all.

        Args:
            keys: of the new positions.
            values: of the same positions.

        Returns:
            Keys and values of all positions so far.
        """
        n_all = self.n_read + keys.shape[2]
        if not self._rooms or n_all > self._rooms[0].shape[2]:
            self._grow(keys, max(64, 2 * n_all))
        for room, new in zip(self._rooms, (keys, values), strict=True):
            room[:, :, self.n_read : n_all] = new
        self.n_read = n_all
        all_keys, all_values = self
        return all_keys, all_values

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i of the batch go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """
        for room in self._rooms:
            room[:, :, : self.n_read] = room[rows, :, : self.n_read]

    def _grow(self, like: Tensor, n_room: int) -> None:
        """Move to larger rooms."""
        rooms = [like.new_empty((*like.shape[:2], n_room, like.shape[3])) for _ in range(2)]
        for new, old in zip(rooms, self._rooms):  # noqa: B905 -- there are none yet at the start
            new[:, :, : self.n_read] = old[:, :, : self.n_read]
        self._rooms = rooms


def check_same_rows(n_kept: int, n_rows: int) -> None:
    """Refuse to go on with other rows than those that a cache holds.

    Args:
        n_kept: rows of the cache.
        n_rows: rows that shall be read.

    Raises:
        ValueError: the numbers differ.

    Chapter: 9a (sampling).
    """
    if n_rows != n_kept:
        raise ValueError(
            f"A cache goes on with the rows that it holds, {n_kept}; found {n_rows}. Begin with start_cache({n_rows})."
        )
