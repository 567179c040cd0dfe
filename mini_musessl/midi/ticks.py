"""The music of a MIDI file before it is put on the grid: times in ticks.

Chapter: 3a.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mini_musessl.music import Part

DRUM_CHANNEL = 9  # counted from 0; musicians call it channel 10
PITCHED_CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)


@dataclass(frozen=True)
class TickMusic:
    """The music of one MIDI file, its times in ticks.

    Attributes:
        ticks_per_quarter: ticks in a quarter note.
        notes: int64 of shape (n_notes, 5): onset_tick, end_tick, pitch, velocity, part.
        meters: (tick, numerator, denominator), in order of the tick.
        tempos: (tick, microseconds a quarter), in order of the tick.
        parts: one entry for each value of the last column of ``notes``.
    """

    ticks_per_quarter: int
    notes: np.ndarray
    meters: list[tuple[int, int, int]]
    tempos: list[tuple[int, int]]
    parts: list[Part]


def in_order(entries: list[tuple]) -> list[tuple]:
    """Order entries by tick; those of one tick stay in the order of their tracks."""
    return sorted(entries, key=lambda entry: entry[0])


def damaged_file(label: str, error: Exception) -> ValueError:
    """Return the refusal of a file that a parser cannot follow.

    Args:
        label: what to call the file in messages.
        error: what the parser stumbled over.
    """
    found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if "data byte" in found or "pitch=" in found:
        return ValueError(
            f"Pitches and velocities must lie in 0..127; {label} holds a larger data byte ({found}). "
            "The file is damaged; copy or export it again."
        )
    return ValueError(
        f"The events of a MIDI file must follow the standard; {label} breaks it ({found}). "
        "The file is damaged; copy or export it again."
    )


def channels_of(parts: tuple[Part, ...]) -> list[int]:
    """Give drum kits channel 10 and the other parts the rest in turn; after 15 they begin again, in other tracks."""
    n_pitched, channels = 0, []
    for part in parts:
        channels.append(DRUM_CHANNEL if part.is_drum else PITCHED_CHANNELS[n_pitched % len(PITCHED_CHANNELS)])
        n_pitched += not part.is_drum
    return channels
