"""Meters and tempos: what holds from a step on.

Chapter: 3a.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mini_musessl.music.whole_numbers import LARGEST_STEP, whole_number


@dataclass(frozen=True)
class Meter:
    """A time signature and the place where its bars begin to be counted.

    ``step`` is the first bar line. For the first meter of a piece it may be negative: a piece in 4/4 that begins with
    an upbeat of one quarter, at 4 steps a quarter, has ``Meter(-12, 4, 4)``: step 0 is the last quarter of a bar.
    """

    step: int
    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        for name in ("step", "numerator", "denominator"):
            _store_whole(self, name, "Write 4/4 from the start as Meter(0, 4, 4).")
        is_power_of_two = self.denominator > 0 and self.denominator & (self.denominator - 1) == 0
        if self.numerator < 1 or not is_power_of_two:
            raise ValueError(
                "A meter needs a numerator of at least 1 and a power of two below it; "
                f"found {self.numerator}/{self.denominator}. Write 4/4 as Meter(0, 4, 4)."
            )

    def bar_length_step(self, steps_per_quarter: int) -> int:
        """Return how many steps one bar lasts.

        Args:
            steps_per_quarter: steps in a quarter note.

        Raises:
            ValueError: the bar is not a whole number of steps on this grid.
        """
        length, remainder = divmod(self.numerator * 4 * steps_per_quarter, self.denominator)
        if remainder:
            raise ValueError(
                f"A bar must be a whole number of steps; {self.numerator}/{self.denominator} at "
                f"{steps_per_quarter} steps a "
                "quarter is not. Use a finer grid, such as 24 steps a quarter."
            )
        return length


@dataclass(frozen=True)
class Tempo:
    """A speed in quarter notes a minute, from ``step`` on."""

    step: int
    quarters_per_minute: float

    def __post_init__(self) -> None:
        _store_whole(self, "step", "Are these seconds or bars?")
        if not isinstance(self.quarters_per_minute, (int, float, np.integer, np.floating)):
            raise TypeError(f"A tempo must be a number of quarters a minute; found {self.quarters_per_minute!r}.")
        if not 0 < self.quarters_per_minute < float("inf"):
            raise ValueError(
                f"A tempo must be above 0 quarters a minute; found {self.quarters_per_minute}. 120 is the MIDI default."
            )


def as_meter(meter: tuple[int, int]) -> Meter:
    """Return a numerator and a denominator as a ``Meter`` that begins at step 0.

    Args:
        meter: (numerator, denominator), such as (4, 4).

    Raises:
        TypeError: it is not a pair of whole numbers.
        ValueError: there is no such meter.

    Example:
        >>> as_meter((3, 8))
        Meter(step=0, numerator=3, denominator=8)

    Chapter: 3a.
    """
    if isinstance(meter, str) or not isinstance(meter, Sequence) or len(meter) != 2:
        raise TypeError(f"A meter must be a pair of whole numbers, (4, 4) for 4/4; found {meter!r}.")
    return Meter(0, *meter)


def check_timeline(name: str, entries: Sequence[Meter] | Sequence[Tempo], may_start_early: bool) -> None:
    """Check that meters or tempos begin at the start of the piece and are in order.

    Args:
        name: what to call them in the message.
        entries: the meters or the tempos.
        may_start_early: True lets the first one begin before step 0.

    Raises:
        ValueError: they are not in order, or the first one is not where it must be.
    """
    steps = [entry.step for entry in entries]
    starts_well = bool(steps) and (steps[0] <= 0 if may_start_early else steps[0] == 0)
    if not starts_well or any(later <= earlier for earlier, later in zip(steps[:-1], steps[1:], strict=True)):
        raise ValueError(
            f"{name} must begin at step 0{' or before' if may_start_early else ''} and go on in "
            f"rising order; found steps {steps}."
        )
    if may_start_early and any(step <= 0 for step in steps[1:]):
        raise ValueError(f"Only the first of {name} may begin at or before step 0; found steps {steps}.")


def _store_whole(entry: object, name: str, advice: str) -> None:
    """Check that a field of a frozen dataclass is a whole number, and store it as ``int``."""
    object.__setattr__(entry, name, whole_number(name, getattr(entry, name), -LARGEST_STEP, LARGEST_STEP, advice))
