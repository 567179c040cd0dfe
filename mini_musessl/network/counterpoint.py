"""Counterpoint: how two voices move together, as a table of scores that knows neither keys nor pitches.

Chapter: 8b (the chorale benchmark).
"""

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
        pair = torch.arange(voice, device=latest.device)[:, None] + voice * (voice - 1) // 2
        return self._look_up(pair, above, own).sum(dim=2)

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
        had, meets = (self._class(*ends) for ends in zip(upper, lower, strict=True))
        row, n_columns = pair * self.N_CLASSES + had, self.table.embedding_dim
        place = (row * self.N_MOVES + self._move(*upper)) * n_columns + meets * self.N_MOVES + self._move(*lower)
        scores = self.table.weight.take(place)  # its gradient takes a tenth of the time of an embedding's
        goes, comes = (torch.sign(after - before) for before, after in (upper, lower))
        is_parallel = (meets == had) & (goes == comes) & (goes != 0)
        return scores + self.SCALE * self.parallel_table(row)[..., 0] * is_parallel

    def _is_note(self, symbols: Tensor) -> Tensor:
        """Return where a symbol is a note, neither a rest nor the begin symbol."""
        return (symbols > 0) & (symbols < self.vocabulary_size)

    def _class(self, upper: Tensor, lower: Tensor) -> Tensor:
        """Number the interval class of two symbols."""
        return torch.where(self._is_note(upper) & self._is_note(lower), (upper - lower) % 12, self.N_CLASSES - 1)

    def _move(self, before: Tensor, after: Tensor) -> Tensor:
        """Number moves: a leap or a step down, none, a step or a leap up; a step is at most a whole tone."""
        semitones = after - before
        move = semitones.sign() * (1 + (semitones.abs() > 2).long()) + 2
        return torch.where(self._is_note(before) & self._is_note(after), move, self.N_MOVES - 1)
