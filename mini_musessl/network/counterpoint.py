"""Counterpoint: how two voices move together, as a table of scores that knows neither keys nor pitches.

Chapter: 8b (the chorale benchmark).
"""

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
        symbols = torch.arange(self.vocabulary_size, device=latest.device)
        pair = torch.arange(voice, device=latest.device) + voice * (voice - 1) // 2
        row, moved = pair * self.N_CLASSES + self._class(had, own), self._move(had, new)
        meets, moves = self._class(new[..., None], symbols), self._move(own[..., None], symbols)
        scores = self.table(row * self.N_MOVES + moved).gather(-1, meets * self.N_MOVES + moves)
        goes, comes = (new - had).sign()[..., None], (symbols - own[..., None]).sign()
        is_parallel = (meets == self._class(had, own)[..., None]) & (goes == comes) & (goes != 0)
        return (scores + self.SCALE * self.parallel_table(row) * is_parallel).sum(dim=2)

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
