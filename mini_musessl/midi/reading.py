"""From a MIDI file to a piece on the grid.

Chapter: 3a.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mini_musessl.midi.chunks import check_chunks, load_bytes
from mini_musessl.midi.parsing import parse_with_mido, parse_with_symusic
from mini_musessl.midi.ticks import TickMusic, damaged_file
from mini_musessl.music import NOTE_DTYPE, Meter, Piece, Tempo, check_grid, whole_number

if TYPE_CHECKING:
    import pretty_midi

READERS = ("pretty_midi", "symusic")
DEFAULT_MICROSEC_PER_QUARTER = 500_000  # 120 quarters a minute: what a file without a tempo means


def read_midi(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    steps_per_quarter: int = 24,
    reader: str = "pretty_midi",
    *,
    max_notes: int = 100_000,
    max_hours: float = 3.0,
) -> Piece:
    """Read a Standard MIDI File (type 0 or 1).

    A first bar that is shorter than the meter after it is an upbeat: one bar of 1/4 and then 4/4, at 24 steps a
    quarter, gives ``Meter(-72, 4, 4)``. Tempos are stored in whole microseconds a quarter; the shortest decimal number
    of quarters a minute that gives the same microseconds is returned (779,221 gives 77.0).

    Args:
        source: path of the file, its bytes, or a file open for reading bytes.
        steps_per_quarter: steps in a quarter note of the grid, 1 or more; 24 holds triplets and thirty-seconds.
        reader: "pretty_midi" or "symusic" (fast; must be installed).
        max_notes: refuse a file with so many notes or more; 1 or more.
        max_hours: refuse a file that plays so long or longer; above 0.

    Returns:
        The piece; its title is empty, since MIDI files have no reliable place for one.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no file at the path.
        ValueError: the file is no MIDI file, is damaged, has no notes or more than the limits allow; or an argument is
            wrong.
        TypeError: the source or a number is of another kind, such as an open file that gives text, not bytes.
        ImportError: the reader is not installed.

    Example:
        >>> from mini_musessl import midi, music
        >>> triplet = music.Piece(music.make_notes(onset_step=[0, 8, 16], duration_step=8, pitch=[60, 62, 64]))
        >>> midi.read_midi(midi.to_bytes(triplet)) == triplet
        True

    References:
        MIDI Manufacturers Association, The Complete MIDI 1.0 Detailed Specification (1996), Standard MIDI Files 1.0.

    Chapter: 3a, 3c.
    """
    check_grid(steps_per_quarter)
    _check_reader(reader)
    whole_number("max_notes", max_notes, 1)
    if not max_hours > 0:
        raise ValueError(f"max_hours must be above 0; found {max_hours}.")
    label, data = load_bytes(source, max_notes)
    data, ticks_per_quarter = check_chunks(label, data)
    parse = parse_with_symusic if reader == "symusic" else parse_with_mido
    ticks = parse(label, data, ticks_per_quarter)
    _check_limits(label, ticks, max_notes, max_hours)
    return _to_piece(ticks, steps_per_quarter)


def from_pretty_midi(midi: pretty_midi.PrettyMIDI, steps_per_quarter: int = 24) -> Piece:
    """Return a ``pretty_midi.PrettyMIDI`` as a piece; its seconds go back to the ticks of its ``resolution``.

    Args:
        midi: the object of pretty_midi.
        steps_per_quarter: steps in a quarter note of the grid, 1 or more.

    Raises:
        TypeError: it is no such object.
        ValueError: as ``read_midi``.

    Chapter: 3a.
    """
    if not hasattr(midi, "instruments"):
        raise TypeError(f"This needs a pretty_midi.PrettyMIDI; found {type(midi).__name__}. read_midi reads a file.")
    buffer = io.BytesIO()
    midi.write(buffer)
    return read_midi(buffer.getvalue(), steps_per_quarter)


def _check_reader(reader: str) -> None:
    """Refuse a reader that does not exist."""
    if reader not in READERS:
        raise ValueError(f'reader must be "pretty_midi" or "symusic"; found {reader!r}. "pretty_midi" is always there.')


def _check_limits(label: str, ticks: TickMusic, max_notes: int, max_hours: float) -> None:
    """Refuse what cannot be music: no notes, too many, too long, or events that no piece can have."""
    if len(ticks.notes) == 0:
        raise ValueError(
            f"A MIDI file must hold at least one note that starts and ends; {label} holds none. Choose another file."
        )
    if len(ticks.notes) >= max_notes:
        raise ValueError(
            f"A MIDI file must hold fewer than max_notes={max_notes} notes; {label} holds {len(ticks.notes)}. "
            "If that is meant, raise max_notes."
        )
    _check_values(label, ticks)
    hours = _length_sec(ticks) / 3600
    if hours >= max_hours:
        raise ValueError(
            f"A MIDI file must play for less than max_hours={max_hours:g} hours; {label} plays for {hours:.1f}. "
            "If that is meant, raise max_hours."
        )


def _check_values(label: str, ticks: TickMusic) -> None:
    """Refuse times, meters and tempos that only a damaged file has."""
    lowest = int(ticks.notes[:, :2].min())
    if lowest < 0:
        raise damaged_file(label, OverflowError(f"a note at tick {lowest}"))
    for tick, numerator, denominator in ticks.meters:
        if numerator < 1 or not 1 <= denominator <= 128:
            raise damaged_file(label, ValueError(f"time signature {numerator}/{denominator} at tick {tick}"))
    for tick, microsec in ticks.tempos:
        if microsec < 1:
            raise damaged_file(label, ValueError(f"tempo of {microsec} microseconds a quarter at tick {tick}"))


def _length_sec(ticks: TickMusic) -> float:
    """Return when the last note ends, in seconds."""
    end_tick = int(ticks.notes[:, 1].max())
    changes = [(0, DEFAULT_MICROSEC_PER_QUARTER), *(entry for entry in ticks.tempos if entry[0] < end_tick)]
    starts = np.array([tick for tick, _ in changes] + [end_tick], float)
    microsec = np.array([microsec for _, microsec in changes], float)
    return float((np.diff(starts) * microsec).sum() / 1e6 / ticks.ticks_per_quarter)


def _to_piece(ticks: TickMusic, steps_per_quarter: int) -> Piece:
    """Put the music on the grid."""

    def to_steps(tick: np.ndarray | int) -> np.ndarray | int:
        # Whole numbers only: twice the value plus one half, rounded down, is the nearest step, halves up.
        return (2 * tick * steps_per_quarter + ticks.ticks_per_quarter) // (2 * ticks.ticks_per_quarter)

    onset_step, end_step = to_steps(ticks.notes[:, 0]), to_steps(ticks.notes[:, 1])
    limit = np.iinfo(np.int32).max
    whole_number("The end of the last note, in steps,", end_step.max() + 1, 0, limit, "Choose a coarser grid.")
    notes = np.empty(len(onset_step), NOTE_DTYPE)
    notes["onset_step"] = onset_step
    notes["duration_step"] = np.maximum(end_step - onset_step, 1)
    for name, column in zip(("pitch", "velocity", "part"), ticks.notes.T[2:], strict=True):
        notes[name] = column
    # A dictionary keeps the last entry of those that fall on one step; the defaults come first.
    meters = {0: Meter(0, 4, 4)} | {to_steps(tick): Meter(to_steps(tick), *rest) for tick, *rest in ticks.meters}
    tempos = {0: DEFAULT_MICROSEC_PER_QUARTER} | {to_steps(tick): microsec for tick, microsec in ticks.tempos}
    return Piece(
        notes[np.argsort(onset_step, kind="stable")],  # the piece settles the order inside a step
        steps_per_quarter,
        meters=_with_upbeat(list(meters.values()), steps_per_quarter),
        tempos=tuple(Tempo(step, _quarters_per_minute(microsec)) for step, microsec in tempos.items()),
        parts=tuple(ticks.parts),
    )


def _with_upbeat(meters: list[Meter], steps_per_quarter: int) -> tuple[Meter, ...]:
    """Join a short first bar to the meter after it, whose first bar line then lies before step 0."""
    if len(meters) > 1:
        first, second = meters[:2]
        first_bar, full_bar = (Fraction(m.numerator * 4 * steps_per_quarter, m.denominator) for m in (first, second))
        is_short_bar = first_bar == second.step or replace(first, step=second.step) == second
        if is_short_bar and second.step < full_bar and full_bar.denominator == 1:
            return (replace(second, step=second.step - int(full_bar)), *meters[2:])
    return tuple(meters)


def _quarters_per_minute(microsec_per_quarter: int) -> float:
    """Return the shortest decimal number of quarters a minute that is written as these microseconds."""
    exact = 6e7 / microsec_per_quarter
    candidates = (round(exact, n_decimals) for n_decimals in range(10))
    return next((value for value in candidates if value and round(6e7 / value) == microsec_per_quarter), exact)
