"""Counterpoint: how two voices move together, as a table of scores that knows neither keys nor pitches.

Chapter: 8b (the chorale benchmark).
"""

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Frames, Above = Int[Tensor, "batch n_steps n_voices"], Int[Tensor, "batch n_steps n_known"]
Seen, Motion = Bool[Tensor, "batch n_steps n_voices"], tuple[Tensor, Tensor]  # a symbol and the one that follows it
Scores = Float[Tensor, "batch n_steps n_voices vocabulary"]


def nearest_seen(is_seen: Seen, is_before: bool) -> Frames:
    """Find the nearest step before each cell, or after it, at which its voice is seen; -1, or n_steps, where none is.

    >>> is_seen = torch.tensor([True, False, True, False])[None, :, None]
    >>> nearest_seen(is_seen, True).flatten().tolist(), nearest_seen(is_seen, False).flatten().tolist()
    ([-1, 0, 0, 2], [2, 2, 4, 4])
    """
    if not is_before:
        return is_seen.shape[1] - 1 - nearest_seen(is_seen.flip(1), True).flip(1)
    seen = torch.where(is_seen, torch.arange(is_seen.shape[1], device=is_seen.device)[:, None], -1)
    return nn.functional.pad(seen, (0, 0, 1, 0), value=-1)[:, :-1].cummax(dim=1).values


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

    def __init__(self, n_voices: int, vocabulary_size: int, n_kinds: int = 1) -> None:
        super().__init__()
        self.vocabulary_size, self.n_pairs = vocabulary_size, n_voices * (n_voices - 1) // 2
        n_rows = n_kinds * self.n_pairs * self.N_CLASSES
        self.table, self.parallel_table = (
            nn.Embedding.from_pretrained(torch.zeros(shape), freeze=False)
            for shape in ((n_rows * self.N_MOVES, self.N_CLASSES * self.N_MOVES), (n_rows, 1))
        )

    def forward(
        self, latest: Frames, frames: Above, voices: range
    ) -> Float[Tensor, "batch n_steps n_scored vocabulary"]:
        """Score the symbols of some voices, of which ``frames`` hold at least those above."""
        return torch.stack([self._score(latest, frames, voice) for voice in voices], dim=2)

    def _score(self, latest: Frames, frames: Above, voice: int) -> Float[Tensor, "batch n_steps vocabulary"]:
        """Score the symbols of one voice, summed over the voices above it."""
        above = (latest[:, :, :voice, None], frames[:, :, :voice, None])
        own = (latest[:, :, voice, None, None], torch.arange(self.vocabulary_size, device=latest.device))
        return self._look_up(rows_of_pairs(voice, 1, latest.device)[:, None], above, own).sum(dim=2)

    def score_hidden(self, frames: Frames, is_seen: Seen) -> Scores:
        """Score every symbol for each hidden cell by the motions that would lead into it and out of it.

        A motion comes from the nearest step before at which the voice is seen, or goes to the nearest one after; the
        other voice must be seen at both ends. Those over hidden steps have rows of their own, the second kind.
        """
        return self._score_motions(frames, is_seen, True) + self._score_motions(frames, is_seen, False)

    def _score_motions(self, frames: Frames, is_seen: Seen, is_into: bool) -> Scores:
        """Score hidden cells by the motions into them, or out of them, summed over the other voices."""
        window = torch.arange(len(frames), device=frames.device)[:, None, None]
        found = nearest_seen(is_seen, is_into)
        end = found.clamp(0, frames.shape[1] - 1)
        is_known = is_seen[window, end] & is_seen[:, :, None] & (~is_seen & (found == end))[..., None]
        window, step, voice, other = is_known.nonzero(as_tuple=True)
        end = end[window, step, voice]
        first, second = torch.minimum(voice, other), torch.maximum(voice, other)
        pair = first + second * (second - 1) // 2 + self.n_pairs * ((end - step).abs() > 1)
        symbols = torch.arange(self.vocabulary_size, device=frames.device)
        own = (frames[window, end, voice, None], symbols)
        others = (frames[window, end, other, None], frames[window, step, other, None])
        own, others = (each if is_into else each[::-1] for each in (own, others))
        is_upper = (voice < other)[:, None]
        upper = tuple(torch.where(is_upper, mine, yours) for mine, yours in zip(own, others, strict=True))
        lower = tuple(torch.where(is_upper, yours, mine) for mine, yours in zip(own, others, strict=True))
        place = (window * frames.shape[1] + step) * frames.shape[2] + voice
        scores = torch.zeros(frames.numel(), self.vocabulary_size, device=frames.device)
        return scores.index_add(0, place, self._look_up(pair[:, None], upper, lower)).view(*frames.shape, -1)

    def _look_up(self, pair: Tensor, upper: Motion, lower: Motion) -> Tensor:
        """Look up motions of two voices, each from a symbol to a symbol; all shapes broadcast."""
        ends = (*zip(upper, lower, strict=True), upper, lower)
        had, meets, rises, falls = (first * (self.vocabulary_size + 1) + second for first, second in ends)
        interval_class, move, way = _relations(self.vocabulary_size, pair.device)
        had, meets = interval_class.take(had), interval_class.take(meets)
        row, n_columns = pair * self.N_CLASSES + had, self.table.embedding_dim
        place = (row * self.N_MOVES + move.take(rises)) * n_columns + meets * self.N_MOVES + move.take(falls)
        scores = self.table.weight.take(place)  # its gradient takes a tenth of the time of an embedding's
        is_parallel = (meets == had) & ((upper[1] - upper[0]).sign() == way.take(falls))
        return scores + self.SCALE * self.parallel_table.weight.take(row) * is_parallel


# What follows depends on no music: writing a piece, to find it anew for each voice would take longer than to use it.


@lru_cache
def first_rows(n: int, n_rows: int, device: torch.device) -> Int[Tensor, " n"]:
    """Return where the parts of a table begin that hold so many rows each."""
    return n_rows * torch.arange(n, device=device)


def rows_of_pairs(voice: int, n_rows: int, device: torch.device) -> Int[Tensor, " voice"]:
    """Return where the rows of each pair of a voice and one above begin, in a table of so many rows for each pair.

    >>> [rows_of_pairs(voice, 10, torch.device("cpu")).tolist() for voice in range(3)]
    [[], [0], [10, 20]]
    """
    first = voice * (voice - 1) // 2
    return first_rows(first + voice, n_rows, device)[first:]


@lru_cache
def _relations(vocabulary_size: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the interval class of two symbols, the move from one to the other and its way, in flat tables.

    Moves are numbered: a leap or a step down, none, a step or a leap up; a step is at most a whole tone. The way is -1
    or 1; where nothing moves it is 2, so that no way is the same.
    """
    second = torch.arange(vocabulary_size + 1, device=device)
    semitones, is_note = second - second[:, None], (second > 0) & (second < vocabulary_size)  # no rest, no begin symbol
    are_notes, way = is_note & is_note[:, None], semitones.sign()
    interval_class = torch.where(are_notes, -semitones % 12, Counterpoint.N_CLASSES - 1)
    move = torch.where(are_notes, way * (1 + (semitones.abs() > 2).long()) + 2, Counterpoint.N_MOVES - 1)
    return interval_class.flatten(), move.flatten(), way.where(way != 0, 2).flatten()
