"""Bars as arrays: from a piece to tokens that count in bars, and back.

Bars are complete, with three exceptions that real music has: the music begins inside a bar (an upbeat), a bar is cut
short (before a repeat), the music ends inside a bar. Tokens mark each of them with a position at which no note starts.

Chapter: 3b (tokens).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mini_musessl import music

Meters = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Bars:
    """The bars of a piece, in order.

    Attributes:
        line_step: int64 (n_bars,), where each bar begins; the first is below 0 if the music begins inside a bar.
        length_step: int64 (n_bars,), how long each bar lasts.
        full_length_step: int64 (n_bars,), how long its meter makes it.
        meter: int64 (n_bars,), index of its meter.
    """

    line_step: np.ndarray
    length_step: np.ndarray
    full_length_step: np.ndarray
    meter: np.ndarray

    @property
    def phase_step(self) -> int:
        """How many steps of the first bar have passed where the music begins."""
        return -int(self.line_step[0]) if len(self.line_step) else 0

    @property
    def is_short(self) -> np.ndarray:
        """True where a bar is shorter than its meter, bool (n_bars,)."""
        return self.length_step < self.full_length_step

    def locate(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bar of each step, and the position in that bar."""
        bar = np.searchsorted(self.line_step, step, side="right") - 1
        return bar, step - self.line_step[bar]

    def to_meters(self, meters: Meters) -> tuple[music.Meter, ...]:
        """Return a meter for the first bar, each change, and each bar after a short one."""
        if not len(self.line_step):
            return (music.Meter(0, *meters[0]),)
        is_new = np.append(True, (np.diff(self.meter) != 0) | self.is_short[:-1])
        return tuple(
            music.Meter(line, *meters[meter])
            for line, meter in zip(self.line_step[is_new].tolist(), self.meter[is_new].tolist(), strict=True)
        )


def full_lengths(meters: Meters, steps_per_quarter: int) -> np.ndarray:
    """Return how many steps a bar of each meter lasts.

    Args:
        meters: numerator and denominator of each.
        steps_per_quarter: grid on which to count.

    Returns:
        int64 (n_meters,).

    Raises:
        ValueError: a bar is not a whole number of steps.
    """
    return np.array([music.as_meter(meter).bar_length_step(steps_per_quarter) for meter in meters])


def bars_of_piece(piece: music.Piece, meters: Meters, last_step: int) -> Bars:
    """Return the bars from the one that holds step 0 to the one that holds ``last_step``.

    Args:
        piece: music whose bars to list.
        meters: those that there is a word for; any other one is replaced by the first of them.
        last_step: 0 or more.
    """
    full = full_lengths(meters, piece.steps_per_quarter)
    lines, indices = [], []
    for meter, later in zip(piece.meters, (*piece.meters[1:], None), strict=True):
        entry = (meter.numerator, meter.denominator)
        index = meters.index(entry) if entry in meters else 0
        start = meter.step if meter.step >= 0 else -(-meter.step % int(full[index]))
        stop = last_step + 1 if later is None else min(later.step, last_step + 1)
        lines.append(np.arange(start, stop, full[index]))
        indices.append(np.full(len(lines[-1]), index))
    line_step, index = np.concatenate(lines), np.concatenate(indices)
    # The last bar counts as full: what follows it is not written.
    length_step = np.append(np.diff(line_step), full[index[-1:]])
    return Bars(line_step, length_step, full[index], index)


def bars_from_marks(phase_step: int, meter: np.ndarray, end_position_step: np.ndarray, full: np.ndarray) -> Bars:
    """Return the bars that tokens describe.

    Args:
        phase_step: position in the first bar at which the music begins.
        meter: (n_bars,), index of each bar's meter.
        end_position_step: (n_bars,), position at which a bar is cut short; 0, or beyond the bar, for a full bar.
        full: length of a full bar of each meter, in steps.
    """
    full_length = full[meter]
    # A bar must hold at least the step at which the music begins.
    earliest_end = np.where(np.arange(len(meter)) == 0, phase_step + 1, 1)
    is_short = (earliest_end <= end_position_step) & (end_position_step < full_length)
    length = np.where(is_short, end_position_step, full_length)
    line = np.cumsum(length) - length - phase_step
    return Bars(line, length, full_length, meter)


def last_before(is_wanted: np.ndarray) -> np.ndarray:
    """Return for each index the greatest index up to it at which the condition holds, or -1."""
    return np.maximum.accumulate(np.where(is_wanted, np.arange(len(is_wanted)), -1))
