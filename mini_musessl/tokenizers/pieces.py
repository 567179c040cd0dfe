"""What the tokenizers of pieces share: a grid, a range of pitches, velocity bins and parts.

Chapter: 3b (tokens).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import music
from mini_musessl.tokenizers import bars as barlines
from mini_musessl.tokenizers.contract import check_kind, check_pitch_range
from mini_musessl.tokenizers.loss import Loss, compare_pieces
from mini_musessl.vocabulary import Vocabulary

#: Velocity of decoded notes where the tokens say none.
DEFAULT_VELOCITY = 64


@dataclass(frozen=True)
class PieceTokenizer(ABC):
    """Base of the tokenizers that encode a ``music.Piece``.

    A piece on another grid is moved to the nearest step of this one. With one part, the notes of all parts are merged
    into it; with several, each note keeps its part. Both are reported by ``what_is_lost``.

    Attributes:
        steps_per_quarter: grid of the tokens, and of the decoded piece.
        lowest_pitch: lowest MIDI pitch of the vocabulary.
        highest_pitch: highest MIDI pitch of the vocabulary.
        n_velocities: how many velocity tokens there are; 0 leaves velocity out, and decoded notes have velocity 64.
        parts: parts of the decoded piece, in order.

    Chapter: 3b.
    """

    steps_per_quarter: int = music.DEFAULT_STEPS_PER_QUARTER
    lowest_pitch: int = 0
    highest_pitch: int = 127
    n_velocities: int = 32
    parts: tuple[music.Part, ...] = (music.Part(),)

    def __post_init__(self) -> None:
        music.check_grid(self.steps_per_quarter)
        check_pitch_range(self.lowest_pitch, self.highest_pitch)
        music.whole_number("n_velocities", self.n_velocities, 0, 127, "0 leaves velocity out.")
        object.__setattr__(self, "parts", music.tuple_of(music.Part, "parts", self.parts))
        if not self.parts:
            raise ValueError("A tokenizer of pieces needs at least one part; found none. The default is one part.")

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """Which tokens there are."""

    @abstractmethod
    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece into tokens."""

    @abstractmethod
    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn tokens into a piece."""

    @cached_property
    def velocities(self) -> np.ndarray:
        """Velocities that the tokens stand for: evenly spaced, the last is 127; an even number of them includes 64."""
        n = self.n_velocities
        return (127 * np.arange(1, n + 1) + n // 2) // max(n, 1)

    def what_is_lost(self, piece: music.Piece) -> Loss:
        """Compare a piece with what comes back after encoding and decoding."""
        return compare_pieces(piece, self.decode(self.encode(piece)))

    def _velocity_index(self, velocity: np.ndarray) -> np.ndarray:
        """Return the index of the nearest velocity of the vocabulary; the softer of two that are equally near."""
        return self._nearest_velocity[velocity]

    @cached_property
    def _nearest_velocity(self) -> np.ndarray:
        """Index of the nearest velocity of the vocabulary for each MIDI velocity."""
        return np.abs(np.arange(128)[:, None] - self.velocities).argmin(axis=1)

    def _values(self) -> dict[str, tuple]:
        """Return the values of each family that tokenizers share, or none for a family without a choice."""
        return {
            "pitch": tuple(range(self.lowest_pitch, self.highest_pitch + 1)),
            "velocity": tuple(self.velocities.tolist()),
            "part": tuple(range(len(self.parts))) if len(self.parts) > 1 else (),
        }

    def _families(self, *wanted: str) -> tuple[tuple[str, tuple], ...]:
        """Return those of the shared families that this tokenizer needs, in the order asked for."""
        values = self._values()
        return tuple((name, values[name]) for name in wanted if values[name])

    def _prepare(self, piece: music.Piece) -> music.Piece:
        """Return the piece on this grid and with these parts, or refuse it."""
        check_kind(piece, music.Piece, type(self).__name__)
        if len(piece.parts) > 1 and len(self.parts) == 1:
            notes = piece.notes.copy()
            notes["part"] = 0
            piece = replace(piece, notes=notes)
        self._check_notes(piece.notes)
        if piece.steps_per_quarter != self.steps_per_quarter:
            piece = music.change_grid(piece, self.steps_per_quarter, may_round=True)
        return piece

    def _check_notes(self, notes: np.ndarray) -> None:
        """Refuse pitches and parts outside the vocabulary."""
        is_outside = (notes["pitch"] < self.lowest_pitch) | (notes["pitch"] > self.highest_pitch)
        if is_outside.any():
            index = int(is_outside.argmax())
            raise ValueError(
                f"Pitches must lie in {self.lowest_pitch}..{self.highest_pitch}; found {notes['pitch'][index]} at note "
                f"{index}. Transpose the music, or choose another lowest_pitch and highest_pitch."
            )
        highest_part = int(notes["part"].max(initial=0))
        if highest_part >= len(self.parts):
            raise ValueError(
                f"This tokenizer has {len(self.parts)} parts; the piece has a note in part {highest_part}. "
                "Pass parts=piece.parts to the tokenizer, or one part to merge them all."
            )


@dataclass(frozen=True)
class BarTokenizer(PieceTokenizer):
    """Base of the tokenizers that count in bars and give each note its duration.

    Attributes:
        meters: time signatures of the vocabulary; a bar of any other one counts as the first of them.
        max_duration_quarter: longest note; a longer one is shortened to it.

    Chapter: 3b.
    """

    meters: barlines.Meters = ((4, 4),)
    max_duration_quarter: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        meters = tuple((meter.numerator, meter.denominator) for meter in map(music.as_meter, self.meters))
        if not meters:
            raise ValueError("A tokenizer that counts bars needs at least one meter; found none. 4/4 is ((4, 4),).")
        if len(set(meters)) < len(meters):
            raise ValueError(f"Each meter of a tokenizer must stand once; found {meters}.")
        object.__setattr__(self, "meters", meters)
        barlines.full_lengths(meters, self.steps_per_quarter)
        music.whole_number("max_duration_quarter", self.max_duration_quarter, 1, advice="8 is the default.")

    @property
    def _n_durations(self) -> int:
        """Longest note, in steps: as many as there are durations."""
        return self.max_duration_quarter * self.steps_per_quarter

    def _values(self) -> dict[str, tuple]:
        """Return the values of each family that tokenizers of bars share."""
        n_positions = int(barlines.full_lengths(self.meters, self.steps_per_quarter).max())
        meters = tuple(f"{numerator}/{denominator}" for numerator, denominator in self.meters)
        return super()._values() | {
            "position": tuple(range(n_positions)),
            "duration": tuple(range(1, self._n_durations + 1)),
            "meter": meters if len(meters) > 1 else (),
        }

    def _duration_index(self, duration_step: np.ndarray) -> np.ndarray:
        """Return the place of each duration within its family; a longer one than the longest counts as that."""
        return np.minimum(duration_step, self._n_durations) - 1
