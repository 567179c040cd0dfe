"""Constraints: what a voice must not sing, known before its note is drawn.

A constraint is a mask: it leaves some symbols, and the network draws among these. So every piece obeys. But a mask
looks at one cell alone, and leads into corners that a network which looked ahead would have kept away from. Particles
mend this: each is weighed by the probability that the masks left it, and with many of them pieces come as the network
would have written them if it had been asked again and again until all was obeyed.

Conventions:
    Ids are those of frames: 0 is a rest, the others are consecutive pitches from ``lowest_pitch`` on.

References: Lew, Zhi-Xuan, Grand and Mansinghka, "Sequential Monte Carlo Steering of Large Language Models using
Probabilistic Programs" (2023), for weighing masked draws.

Chapter: 9b (hard constraints).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mini_musessl.checks import check_choice, whole_number
from mini_musessl.harmony import Key
from mini_musessl.tokenizers.voice_grid import TOKENS
from mini_musessl.voices import SATB

Frames = Int[Tensor, "n_rows n_steps n_voices"]
Above = Int[Tensor, "n_rows n_above"]
Mask = Bool[Tensor, "rows n_ids"]  # a row for each of ``frames``, or one for all

#: Semitones, modulo 12, of unisons and octaves, and of fifths.
PERFECT = (0, 7)


class Constraint(Protocol):
    """What ``generation.sample_frames`` asks of a constraint, for each cell that is written."""

    def allows(self, frames: Frames, above: Above, n_ids: int) -> Mask:
        """Return which ids the next voice may take.

        Args:
            frames: all steps before, those of the prompt included.
            above: the voices of this step that stand already; the next one is the voice below them.
        """


@dataclass(frozen=True)
class Ranges:
    """Each voice stays in its range, or rests."""

    lowest_and_highest: Mapping[str, tuple[int, int]]  # MIDI pitches by name, such as ``voice_leading.RANGES``
    voice_names: tuple[str, ...] = field(default=SATB, repr=False)
    lowest_pitch: int = field(default=TOKENS.lowest_pitch, repr=False)

    def __post_init__(self) -> None:
        for name, (lowest, highest) in self.lowest_and_highest.items():
            check_choice("A voice with a range", name, self.voice_names)
            whole_number(f"The highest pitch of the {name}", highest, lowest)

    def allows(self, frames: Frames, above: Above, n_ids: int) -> Mask:
        """Allow a rest and what lies in the range of the next voice."""
        pitch = torch.arange(n_ids, device=above.device) - 1 + self.lowest_pitch
        lowest, highest = self.lowest_and_highest.get(self.voice_names[above.shape[1]], (0, 127))
        return (((pitch >= lowest) & (pitch <= highest)) | (pitch < self.lowest_pitch))[None]


@dataclass(frozen=True)
class NoParallels:
    """No two voices move the same way from a fifth to a fifth, or from an octave or unison to another."""

    def allows(self, frames: Frames, above: Above, n_ids: int) -> Mask:
        """Forbid what would make a parallel with a voice above; see ``voice_leading.parallels``."""
        ids = torch.arange(n_ids, device=above.device)
        allowed = torch.ones(len(above), n_ids, dtype=torch.bool, device=above.device)
        if frames.shape[1] == 0:
            return allowed
        own = frames[:, -1, above.shape[1], None]
        for before, now in zip(frames[:, -1].T, above.T, strict=False):
            before, now = before[:, None], now[:, None]
            interval = (own - before).abs() % 12
            keeps = torch.isin(interval, above.new_tensor(PERFECT)) & (interval == (ids - now).abs() % 12)
            moves_together = ((now - before).sign() == (ids - own).sign()) & (now != before)
            sounds = (own > 0) & (before > 0) & (now > 0) & (ids > 0)
            allowed &= ~(keeps & moves_together & sounds)
        return allowed


@dataclass(frozen=True)
class Chord:
    """From one step to another every voice sings a note of a chord, the lowest voice its bass; nobody rests."""

    start_step: int
    stop_step: int  # the first step that is free again
    pitch_classes: tuple[int, ...]  # the bass first
    lowest_voice: int = field(default=len(SATB) - 1, repr=False)
    lowest_pitch: int = field(default=TOKENS.lowest_pitch, repr=False)

    def __post_init__(self) -> None:
        whole_number("The last step of a chord", self.stop_step - 1, whole_number("Its first", self.start_step, 0))
        for pitch_class in self.pitch_classes:
            whole_number("A pitch class", pitch_class, 0, 11)

    def allows(self, frames: Frames, above: Above, n_ids: int) -> Mask:
        """Allow the notes of the chord while it lasts, everything before and after."""
        if not self.start_step <= frames.shape[1] < self.stop_step:
            return torch.ones(1, n_ids, dtype=torch.bool, device=above.device)
        notes = self.pitch_classes[:1] if above.shape[1] == self.lowest_voice else self.pitch_classes
        ids = torch.arange(n_ids, device=above.device)
        return (torch.isin((ids - 1 + self.lowest_pitch) % 12, above.new_tensor(notes)) & (ids > 0))[None]


def perfect_cadence(key: Key, stop_step: int, chord_steps: int = 4) -> tuple[Chord, Chord]:
    """Return the two chords of a perfect cadence, the dominant and the tonic in root position, that ends at a step.

    >>> [chord.pitch_classes for chord in perfect_cadence(Key(9, "minor"), 64)]
    [(4, 8, 11), (9, 0, 4)]
    """
    tonic, middle = key.tonic, stop_step - chord_steps
    third = 4 if key.mode == "major" else 3
    triads = ([(tonic + each) % 12 for each in chord] for chord in ((7, 11, 2), (0, third, 7)))
    places = ((middle - chord_steps, middle), (middle, stop_step))
    dominant, last = (Chord(*place, tuple(triad)) for place, triad in zip(places, triads, strict=True))
    return dominant, last
