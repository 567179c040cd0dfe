"""One work: its notes, its parts, and what is needed to count its bars and to play it.

Chapter: 3a.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from mini_musessl.music.meter import Meter, Tempo, check_timeline
from mini_musessl.music.notes import check_notes, ends_step, sort_notes
from mini_musessl.music.whole_numbers import LARGEST_STEP, check_grid, whole_number

#: 24 steps a quarter hold sixteenths (6), triplet eighths (8), thirty-seconds (3) and sextuplets (4) exactly.
DEFAULT_STEPS_PER_QUARTER = 24


@dataclass(frozen=True)
class Part:
    """One instrument or voice: its name, General MIDI program (0..127, 0 is piano), and whether it is a drum kit."""

    name: str = ""
    program: int = 0
    is_drum: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"The name of a part must be text; found {self.name!r}.")
        if any("\ud800" <= character <= "\udfff" for character in self.name):
            raise ValueError(f"The name of a part must be text that files can hold; found {self.name!r}.")
        whole_number("program", self.program, 0, 127, 'General MIDI counts from 0, "acoustic grand piano".')


@dataclass(frozen=True, eq=False)
class Piece:
    """One work: its notes and what is needed to count bars and to play it.

    Attributes:
        notes: structured array of ``NOTE_DTYPE``, ordered by ``onset_step``; notes with one onset are put in the order
            part, pitch, duration, velocity, so that equal music has equal arrays.
        steps_per_quarter: steps in a quarter note.
        meters: time signatures in order of their step; only the first may begin before step 0.
        tempos: speeds in order of their step; the first is at step 0.
        parts: one entry for each value that ``notes["part"]`` takes, at least one.
        n_steps: length of the piece in steps, below 2**31; by default the end of the last note.
        title: what to call the piece.

    Raises:
        TypeError, ValueError: the notes or the lists break a rule above.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> piece = Piece(make_notes(onset_step=[0, 24], duration_step=[24, 24], pitch=[60, 64]))
        >>> piece.n_steps, piece.notes["pitch"].tolist()
        (48, [60, 64])
    """

    notes: np.ndarray
    steps_per_quarter: int = DEFAULT_STEPS_PER_QUARTER
    meters: tuple[Meter, ...] = (Meter(0, 4, 4),)
    tempos: tuple[Tempo, ...] = (Tempo(0, 120.0),)
    parts: tuple[Part, ...] = (Part(),)
    n_steps: int | None = None
    title: str = field(default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps_per_quarter", check_grid(self.steps_per_quarter))
        for name, kind in (("meters", Meter), ("tempos", Tempo), ("parts", Part)):
            object.__setattr__(self, name, tuple_of(kind, name, getattr(self, name)))
        check_notes(self.notes, n_parts=len(self.parts))
        check_timeline("meters", self.meters, may_start_early=True)
        check_timeline("tempos", self.tempos, may_start_early=False)
        end_step = int(ends_step(self.notes).max(initial=0))
        n_steps = end_step if self.n_steps is None else whole_number("n_steps", self.n_steps, 0, LARGEST_STEP)
        if n_steps < end_step:
            raise ValueError(
                f"A piece must be at least as long as its notes; n_steps is {n_steps} and the last note ends at "
                f"{end_step}. Leave n_steps out, or cut the piece first."
            )
        object.__setattr__(self, "notes", sort_notes(self.notes))
        object.__setattr__(self, "n_steps", n_steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Piece):
            return NotImplemented
        rest = ("steps_per_quarter", "meters", "tempos", "parts", "n_steps", "title")
        same_rest = all(getattr(self, name) == getattr(other, name) for name in rest)
        return same_rest and np.array_equal(self.notes, other.notes)

    def __repr__(self) -> str:
        return (
            f"Piece({self.title!r}, {len(self.notes)} notes, {len(self.parts)} parts, {self.n_steps} steps, "
            f"{self.steps_per_quarter} steps a quarter)"
        )


def tuple_of(kind: type, name: str, entries: Iterable) -> tuple:
    """Return meters, tempos or parts as a tuple, or refuse what they are not.

    Args:
        kind: ``Meter``, ``Tempo`` or ``Part``.
        name: what to call the entries in the message.
        entries: a list or tuple of them.

    Raises:
        TypeError: it is one entry, not a list, or holds something else.

    Example:
        >>> tuple_of(Part, "parts", [Part("flute")])
        (Part(name='flute', program=0, is_drum=False),)

    Chapter: 3a.
    """
    if isinstance(entries, kind) or not isinstance(entries, Iterable):
        raise TypeError(f"{name} must be a list; found {entries!r}. Write {name}=({kind.__name__}(...),).")
    entries = tuple(entries)
    for entry in entries:
        if not isinstance(entry, kind):
            raise TypeError(f"{name} must hold music.{kind.__name__}; found {type(entry).__name__}.")
    return entries


def check_is_piece(piece: Piece) -> None:
    """Refuse what is not a ``Piece``.

    Args:
        piece: what the caller gave.

    Raises:
        TypeError: it is something else.

    Chapter: 3a.
    """
    if not isinstance(piece, Piece):
        raise TypeError(
            f"Music must be a music.Piece here; found {type(piece).__name__}. "
            "Put notes into one with music.Piece(notes), a voice grid with voices.to_piece(grid)."
        )


def is_drum_note(piece: Piece) -> np.ndarray:
    """Return for each note whether a drum kit plays it, bool (n_notes,); its pitch then names an instrument.

    Args:
        piece: the piece.

    Chapter: 3a.
    """
    return np.array([part.is_drum for part in piece.parts], bool)[piece.notes["part"]]
