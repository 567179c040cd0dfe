"""The grid itself: its cells and facts, checked, and the way to it from bare pitches.

Chapter: 3a.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import music

REST = -1

SATB = ("soprano", "alto", "tenor", "bass")

_PITCH_ADVICE = f"{REST} is a rest. Replace NaN by {REST} and convert to integers."


@dataclass(frozen=True, eq=False)
class VoiceGrid:
    """Music in a fixed number of voices, sampled at every step.

    Attributes:
        pitch: int16 (n_steps, n_voices), MIDI pitch or REST.
        is_onset: bool (n_steps, n_voices), True where a note is struck.
        is_fermata: bool (n_steps,), True while a note with a fermata sounds.
        bar_position_step: int16 (n_steps,), steps since the latest bar line; an upbeat begins above 0.
        steps_per_quarter: steps in a quarter note.
        meter: the first time signature, (numerator, denominator).
        quarters_per_minute: speed at which to play it.
        fifths: key signature, sharps positive, flats negative, -7..7, or None where unknown.
        mode: "major", "minor" or None where unknown.
        name: short identifier, such as "bwv269".
        title: what people call it.
        voice_names: one name a voice, highest first.

    The arrays are copied, so that a grid does not change with the array that it was made from.

    Raises:
        TypeError: pitches or positions are not whole numbers, a condition is not true or false, or a fact is of another
            kind.
        ValueError: shapes disagree, a pitch or a fact is out of range, or onsets and pitches contradict each other.

    Example:
        >>> grid = from_pitches([[72, 67, 64, 48], [72, 67, 65, 48]])
        >>> grid.is_onset[1].tolist()
        [False, False, True, False]
    """

    pitch: np.ndarray
    is_onset: np.ndarray
    is_fermata: np.ndarray
    bar_position_step: np.ndarray
    steps_per_quarter: int = 4
    meter: tuple[int, int] = (4, 4)
    quarters_per_minute: float = 80.0
    fifths: int | None = None
    mode: str | None = None
    name: str = ""
    title: str = ""
    voice_names: tuple[str, ...] = SATB

    def __post_init__(self) -> None:
        checked = _checked_facts(self)
        pitch = _whole_numbers("Pitches", self.pitch, _PITCH_ADVICE)
        n_voices = len(checked["voice_names"])
        if pitch.ndim != 2 or pitch.shape[1] != n_voices:
            raise ValueError(
                f"pitch must have one row a step and one column for each of {n_voices} voices; found shape "
                f"{pitch.shape}. Pass voice_names if the music has another number of voices."
            )
        position = _whole_numbers("Bar positions", self.bar_position_step, "They count steps since the bar line.")
        arrays = {"is_onset": _conditions("is_onset", self.is_onset), "bar_position_step": position}
        arrays["is_fermata"] = _conditions("is_fermata", self.is_fermata)
        for name, array in arrays.items():
            shape = pitch.shape if name == "is_onset" else pitch.shape[:1]
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape} like pitch; found {array.shape}.")
        _check_cells(pitch, arrays["is_onset"])
        if position.size and not (position.min() >= 0 and position.max() <= np.iinfo(np.int16).max):
            raise ValueError(
                f"bar_position_step must lie in 0..{np.iinfo(np.int16).max}; found {position.min()} to "
                f"{position.max()}. It counts the steps since the latest bar line; an upbeat begins above 0."
            )
        arrays |= {"pitch": pitch.astype(np.int16), "bar_position_step": position.astype(np.int16)}
        for name, value in (checked | arrays).items():
            object.__setattr__(self, name, value)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return self.pitch.shape[0]

    @property
    def n_voices(self) -> int:
        """Number of voices."""
        return self.pitch.shape[1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VoiceGrid):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __repr__(self) -> str:
        return f"VoiceGrid({self.name!r}, {self.n_steps} steps, {self.n_voices} voices)"


def from_pitches(pitch: ArrayLike, **facts: Any) -> VoiceGrid:
    """Make a grid from pitches alone; a note begins wherever the pitch changes.

    Repeated notes of one pitch therefore melt into one long note: that is what the JSB data set keeps of a chorale.

    Args:
        pitch: (n_steps, n_voices), MIDI pitches or REST.
        **facts: any other field of VoiceGrid; without ``bar_position_step`` the bars are counted from step 0.

    Raises:
        TypeError, ValueError: as ``VoiceGrid``.

    Example:
        >>> from_pitches([[60], [60], [-1], [60]], voice_names=("melody",)).is_onset[:, 0].tolist()
        [True, False, False, True]

    Chapter: 3a.
    """
    pitch = _whole_numbers("Pitches", pitch, _PITCH_ADVICE)
    before = _shifted(pitch)
    facts.setdefault("is_onset", (pitch != before) & (pitch != REST))
    facts.setdefault("is_fermata", np.zeros(pitch.shape[:1], bool))
    if "bar_position_step" not in facts:
        steps_per_quarter = music.check_grid(facts.get("steps_per_quarter", 4))
        bar = music.as_meter(facts.get("meter", (4, 4))).bar_length_step(steps_per_quarter)
        facts["bar_position_step"] = np.arange(len(pitch)) % bar
    return VoiceGrid(pitch=pitch, **facts)


def check_is_grid(grid: VoiceGrid) -> None:
    """Refuse what is not a ``VoiceGrid``.

    Args:
        grid: what the caller gave.

    Raises:
        TypeError: it is something else.

    Chapter: 3a.
    """
    if not isinstance(grid, VoiceGrid):
        raise TypeError(
            f"Voices must be a voices.VoiceGrid; found {type(grid).__name__}. "
            "voices.from_pitches makes one from an array of pitches, voices.from_piece from a piece."
        )


def _checked_facts(grid: VoiceGrid) -> dict[str, Any]:
    """Return the fields of a grid that are not arrays, or refuse them."""
    names = grid.voice_names
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f'voice_names must be a list of names, such as ("melody",); found {names!r}.')
    if not names:
        raise ValueError("A grid needs at least one voice; found no voice_names.")
    if grid.fifths is not None:
        music.whole_number("fifths", grid.fifths, -7, 7, "Sharps count up, flats down; None is unknown.")
    if grid.mode not in ("major", "minor", None):
        raise ValueError(f'mode must be "major", "minor" or None; found {grid.mode!r}. None stands for any other.')
    music.Tempo(0, grid.quarters_per_minute)
    is_pair = isinstance(grid.meter, tuple) and len(grid.meter) == 2
    meter = _known_meter(*grid.meter) if is_pair else music.as_meter(grid.meter)
    return {
        "steps_per_quarter": music.check_grid(grid.steps_per_quarter),
        "meter": (meter.numerator, meter.denominator),
        "voice_names": tuple(names),
    }


@lru_cache(maxsize=64, typed=True)
def _known_meter(numerator: int, denominator: int) -> music.Meter:
    """Return a meter from step 0 on; hundreds of chorales share four."""
    return music.Meter(0, numerator, denominator)


def _whole_numbers(name: str, numbers: ArrayLike, advice: str) -> np.ndarray:
    """Return whole numbers as int64, or refuse what they are not."""
    try:
        array = np.asarray(numbers)
    except ValueError:  # rows of unequal length
        raise TypeError(f"{name} must be rows of equal length; found lists of unequal length.") from None
    if array.size and (array.dtype.kind not in "iu" or array.dtype == np.uint64):
        raise TypeError(f"{name} must be whole numbers; found {array.dtype}. {advice}")
    return array.astype(np.int64, copy=False)


def _conditions(name: str, conditions: ArrayLike) -> np.ndarray:
    """Return true-or-false values as a new bool array; 0 and 1 stand for them too."""
    array = np.array(conditions)
    if array.size and array.dtype.kind != "b" and not (array.dtype.kind in "iu" and np.isin(array, (0, 1)).all()):
        raise TypeError(f"{name} must be true or false; found an array of {array.dtype} with other values.")
    return array.astype(bool, copy=False)


def _shifted(pitch: np.ndarray) -> np.ndarray:
    """Return for each cell the pitch one step before; before the first step is a rest."""
    before = np.full_like(pitch, REST)
    before[1:] = pitch[:-1]
    return before


def _check_cells(pitch: np.ndarray, is_onset: np.ndarray) -> None:
    """Check the range of the pitches, and that each sounding cell was struck."""
    is_bad = (pitch < REST) | (pitch > 127)
    if is_bad.any():
        step, voice = np.argwhere(is_bad)[0]
        raise ValueError(
            f"A cell must hold a pitch 0..127 or {REST} for a rest; found {pitch[step, voice]} at "
            f"step {step}, voice {voice}."
        )
    before = _shifted(pitch)
    is_unstruck = (pitch != REST) & (pitch != before) & ~is_onset
    is_struck_rest = (pitch == REST) & is_onset
    for is_wrong, what in ((is_unstruck, "a new pitch without an onset"), (is_struck_rest, "an onset on a rest")):
        if is_wrong.any():
            step, voice = np.argwhere(is_wrong)[0]
            raise ValueError(
                f"Onsets and pitches must agree; found {what} at step {step}, voice {voice}. "
                "Use voices.from_pitches if the onsets are unknown."
            )
