"""Counterpoint: how two voices move together, as a table of scores that knows neither keys nor pitches.

Chapter: 8b (the chorale benchmark).
"""

from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Frames, Above = Int[Tensor, "batch n_steps n_voices"], Int[Tensor, "batch n_steps n_known"]


class Counterpoint(nn.Module):
    """Scores the motion of two voices, whatever their pitches.

    A row of the table is a pair of voices, the interval class that the two had and how the upper one moved; it holds a
    number for each interval class that would come and each move of the lower one. Parallel motion, in which both move
    the same way and keep their interval class, has one more number for each pair and class. All begin at 0.
    """

    N_CLASSES, N_MOVES = 13, 6  # the last ones where one of the two is no note
    #: A parallel that Bach never writes moves its number seldom, so these are read enlarged. Not so the whole table:
    #: it would push down without end whatever motion the training pieces happen to lack.
    SCALE = 10.0

    def __init__(self, n_voices: int, vocabulary_size: int) -> None:
        super().__init__()
        n_pairs = n_voices * (n_voices - 1) // 2
        self.vocabulary_size = vocabulary_size
        self.table = nn.Embedding(n_pairs * self.N_CLASSES * self.N_MOVES, self.N_CLASSES * self.N_MOVES)
        self.parallel_table = nn.Embedding(n_pairs * self.N_CLASSES, 1)

    def forward(
        self, latest: Frames, frames: Above, voices: range
    ) -> Float[Tensor, "batch n_steps n_scored vocabulary"]:
        """Score the symbols of some voices, of which ``frames`` hold at least those above."""
        return torch.stack([self._score(latest, frames, voice) for voice in voices], dim=2)

    def _score(self, latest: Frames, frames: Above, voice: int) -> Float[Tensor, "batch n_steps vocabulary"]:
        """Score the symbols of one voice, summed over the voices above it."""
        own, had, new = latest[:, :, voice : voice + 1], latest[:, :, :voice], frames[:, :, :voice]
        class_of, move_of, way_of = _relations(self.vocabulary_size, latest.device)
        had_class, meets = class_of[had, own], class_of[new]
        row = rows_of_pairs(voice, self.N_CLASSES, latest.device) + had_class
        scores = self.table(row * self.N_MOVES + move_of[had, new]).gather(-1, meets * self.N_MOVES + move_of[own])
        is_parallel = (meets == had_class[..., None]) & ((new - had).sign()[..., None] == way_of[own])
        return (scores + self.SCALE * self.parallel_table(row) * is_parallel).sum(dim=2)[..., : self.vocabulary_size]


# What follows depends on no music: writing a piece, to find it anew for each voice would take longer than to use it.


@lru_cache
def rows_of_pairs(voice: int, n_rows: int, device: torch.device) -> Int[Tensor, " voice"]:
    """Return where the rows of each pair of a voice and one above begin, in a table of so many rows for each pair.

    >>> [rows_of_pairs(voice, 10, torch.device("cpu")).tolist() for voice in range(3)]
    [[], [0], [10, 20]]
    """
    return n_rows * (torch.arange(voice, device=device) + voice * (voice - 1) // 2)


@lru_cache
def _relations(vocabulary_size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return tables over two symbols: the interval class of upper and lower, the move of one to the other, its way.

    Moves are numbered: a leap or a step down, none, a step or a leap up; a step is at most a whole tone. The way is -1
    or 1; where nothing moves it is 2, so that no way is the same.
    """
    to = torch.arange(vocabulary_size + 1, device=device)
    since = to[:, None]
    semitones, is_note = to - since, (to > 0) & (to < vocabulary_size)  # neither a rest nor the begin symbol
    are_notes, way = is_note & is_note[:, None], semitones.sign()
    interval_class = torch.where(are_notes, -semitones % 12, Counterpoint.N_CLASSES - 1)
    move = torch.where(are_notes, way * (1 + (semitones.abs() > 2).long()) + 2, Counterpoint.N_MOVES - 1)
    return interval_class, move, way.where(way != 0, 2)
