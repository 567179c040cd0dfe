"""From a piece on the grid to a MIDI file.

Chapter: 3a.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mini_musessl.midi.files import write_aside
from mini_musessl.midi.ticks import channels_of, in_order
from mini_musessl.music import Meter, Part, Piece, check_is_piece

if TYPE_CHECKING:
    import mido
    import pretty_midi

#: Written files have the lowest multiple of the grid that reaches this, so that other programs find room between steps.
LOWEST_TICKS_PER_QUARTER = 480


def write_midi(piece: Piece, path: str | os.PathLike[str]) -> None:
    """Write a piece as a Standard MIDI File of type 1, one track a part after a track of tempos and meters.

    The same piece gives the same bytes. The file is written aside and then renamed: if that fails, an older file stays
    as it was. ``read_midi`` gives the same notes, meters, tempos and parts back, with these exceptions:

    * Where a note begins and ends inside a longer one of its pitch and part, the two exchange their ends: MIDI cannot
      say which of them a note-off means.
    * A part without notes, the title, and rest after the last note are lost.
    * Tempos are rounded to whole microseconds a quarter.
    * A first bar that is complete, but shorter than the meter after it, comes back as an upbeat, and so does a meter
      that begins again before its first bar is full.

    Args:
        piece: what to write; at least one note.
        path: where to; its folder must exist.

    Raises:
        TypeError: it is not a piece.
        ValueError: the piece has no note, or a meter, tempo or grid that MIDI cannot hold.
        FileNotFoundError: the folder does not exist.

    Example:
        >>> import tempfile
        >>> from mini_musessl import midi, music
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     midi.write_midi(music.Piece(music.make_notes([0], [24], [60])), f"{folder}/c.mid")
        ...     midi.read_midi(f"{folder}/c.mid").notes["pitch"].tolist()
        [60]

    Chapter: 3a.
    """
    write_aside(Path(path), to_bytes(piece))


def to_bytes(piece: Piece) -> bytes:
    """Return the bytes of the MIDI file that ``write_midi`` writes.

    Raises:
        ValueError: the piece has no note, or a meter, tempo or grid that MIDI cannot hold.

    Chapter: 3a.
    """
    import mido

    check_is_piece(piece)
    _check_can_be_written(piece)
    ticks_per_step = -(-LOWEST_TICKS_PER_QUARTER // piece.steps_per_quarter)
    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_step * piece.steps_per_quarter, charset="utf-8")
    file.tracks.append(_make_track(_timing_events(piece), ticks_per_step, piece.n_steps))
    channels = channels_of(piece.parts)
    for index, (part, channel) in enumerate(zip(piece.parts, channels, strict=True)):
        notes = piece.notes[piece.notes["part"] == index]
        file.tracks.append(_make_track(_part_events(part, channel, notes), ticks_per_step, piece.n_steps))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def to_pretty_midi(piece: Piece) -> pretty_midi.PrettyMIDI:
    """Return the piece as a ``pretty_midi.PrettyMIDI``, whose times are seconds.

    Where notes of one pitch overlap in a part, pretty_midi ends them all at the first note-off.

    Raises:
        ValueError: as ``write_midi``.

    Chapter: 3a.
    """
    import pretty_midi

    return pretty_midi.PrettyMIDI(io.BytesIO(to_bytes(piece)))


def _check_can_be_written(piece: Piece) -> None:
    """Refuse what a MIDI file has no room for."""
    if len(piece.notes) == 0:
        raise ValueError(
            "A MIDI file needs at least one note, or no reader takes it; found a piece of 0 notes. Write another."
        )
    if piece.steps_per_quarter > 32_767:
        raise ValueError(
            f"MIDI has at most 32767 ticks a quarter; found {piece.steps_per_quarter} steps. Use music.change_grid."
        )
    for meter in piece.meters:
        if meter.numerator > 255 or meter.denominator > 128:
            raise ValueError(
                f"A MIDI meter goes up to 255/128; found {meter.numerator}/{meter.denominator}. Count in other units."
            )
    for tempo in piece.tempos:
        if not 1 <= round(6e7 / tempo.quarters_per_minute) <= 0xFFFFFF:
            raise ValueError(
                "A MIDI tempo must lie between 3.58 and 60 million quarters a minute; "
                f"found {tempo.quarters_per_minute}. Write the notes shorter or longer and change the tempo to match."
            )


def _make_track(events: list[tuple[int, mido.Message]], ticks_per_step: int, n_steps: int) -> mido.MidiTrack:
    """Turn messages at steps, in order, into a track of ticks between messages that lasts as long as the piece."""
    import mido

    track, last_step = mido.MidiTrack(), 0
    end = (max([n_steps, *(step for step, _ in events)]), mido.MetaMessage("end_of_track"))
    for step, message in [*events, end]:
        message.time = (step - last_step) * ticks_per_step
        track.append(message)
        last_step = step
    return track


def _timing_events(piece: Piece) -> list[tuple[int, mido.MetaMessage]]:
    """Return meters and tempos as messages at steps, in order."""
    import mido

    events = [
        (meter.step, mido.MetaMessage("time_signature", numerator=meter.numerator, denominator=meter.denominator))
        for meter in _with_short_bar(piece)
    ]
    for tempo in piece.tempos:
        events.append((tempo.step, mido.MetaMessage("set_tempo", tempo=round(6e7 / tempo.quarters_per_minute))))
    return in_order(events)


def _with_short_bar(piece: Piece) -> list[Meter]:
    """Write an upbeat as a short first bar; the inverse of ``_with_upbeat``."""
    first, *later = piece.meters
    if first.step == 0:
        return list(piece.meters)
    bar = first.bar_length_step(piece.steps_per_quarter)
    upbeat_step = first.step % bar
    if upbeat_step == 0:
        return [replace(first, step=0), *later]
    short = Fraction(upbeat_step, 4 * piece.steps_per_quarter)
    is_meter = short.denominator & (short.denominator - 1) == 0 and short.denominator <= 64 and short.numerator <= 255
    if not is_meter:  # a triplet eighth is no meter: let the meter begin again at its first bar line
        short_bar = replace(first, step=0)
    else:
        denominator = max(short.denominator, 4)
        short_bar = Meter(0, short.numerator * denominator // short.denominator, denominator)
    if later and later[0].step <= upbeat_step:
        return [short_bar, *later]
    return [short_bar, replace(first, step=upbeat_step), *later]


def _part_events(part: Part, channel: int, notes: np.ndarray) -> list[tuple[int, mido.Message]]:
    """Return one part's messages at steps; at one step notes end before others begin: a repeated note is two."""
    import mido

    def note(pitch: int, velocity: int) -> mido.Message:
        return mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)

    ends, onsets = [], []
    for onset_step, duration_step, pitch, velocity, _ in notes.tolist():
        onsets.append((onset_step, note(pitch, velocity)))
        ends.append((onset_step + duration_step, note(pitch, 0)))
    name = [(0, mido.MetaMessage("track_name", name=part.name))] if part.name else []
    return [*name, (0, mido.Message("program_change", channel=channel, program=part.program)), *in_order(ends + onsets)]
