"""The events of a MIDI file, by two parsers that give the same music.

Chapter: 3a.
"""

from __future__ import annotations

import io
from collections import defaultdict, deque
from typing import TYPE_CHECKING

import numpy as np

from mini_musessl.midi.ticks import DRUM_CHANNEL, TickMusic, damaged_file, in_order
from mini_musessl.music import Part

if TYPE_CHECKING:
    import mido


def parse_with_mido(label: str, data: bytes, ticks_per_quarter: int) -> TickMusic:
    """Parse the file with pretty_midi's own parser and pair its notes.

    Args:
        label: what to call the file in messages.
        data: its bytes, checked by ``chunks.check_chunks``.
        ticks_per_quarter: what its header says.

    Raises:
        ValueError: an event breaks the standard.
    """
    import mido

    try:
        file = mido.MidiFile(file=io.BytesIO(data), charset="latin1")
    except Exception as error:  # mido lets whatever it stumbles over rise: OSError, EOFError, KeyError, its own classes
        raise damaged_file(label, error) from None
    rows, names, meters, tempos = [], [], [], []
    for index, track in enumerate(file.tracks):
        names.append(_parse_track(index, track, rows, meters, tempos))
    return _collect(ticks_per_quarter, rows, names, meters, tempos)


def _parse_track(index: int, track: mido.MidiTrack, rows: list, meters: list, tempos: list) -> str:
    """Add one track's notes, meters and tempos to the lists, and return its name."""
    tick, name, programs, sounding = 0, "", [0] * 16, defaultdict(deque)
    for event in track:
        tick += event.time
        kind = event.type
        if kind == "note_on" and event.velocity > 0:
            part = (index, event.channel, programs[event.channel])
            sounding[event.channel, event.note].append((tick, event.velocity, part))
        elif kind in ("note_on", "note_off"):
            if waiting := sounding[event.channel, event.note]:
                onset_tick, velocity, part = waiting.popleft()
                rows.append((onset_tick, tick, event.note, velocity, part))
        elif kind == "program_change":
            programs[event.channel] = event.program
        elif kind == "time_signature":
            meters.append((tick, event.numerator, event.denominator))
        elif kind == "set_tempo":
            tempos.append((tick, event.tempo))
        elif kind == "track_name":
            name = _decode_name(event.name.encode("latin1"))
    return name


def _decode_name(name: bytes) -> str:
    """Return a track name as text: UTF-8 if it is that, else Latin-1, in which every byte means something."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin1")


def _collect(ticks_per_quarter: int, rows: list, names: list[str], meters: list, tempos: list) -> TickMusic:
    """Number the parts in order of track, channel and program, and put the timelines in order."""
    keys = sorted({row[4] for row in rows})
    number = {key: index for index, key in enumerate(keys)}
    notes = np.array([(*row[:4], number[row[4]]) for row in rows], np.int64).reshape(-1, 5)
    parts = [Part(names[track], program, channel == DRUM_CHANNEL) for track, channel, program in keys]
    return TickMusic(ticks_per_quarter, notes, in_order(meters), in_order(tempos), parts)


def parse_with_symusic(label: str, data: bytes, ticks_per_quarter: int) -> TickMusic:
    """Parse the file with symusic.

    Args:
        label: what to call the file in messages.
        data: its bytes, checked by ``chunks.check_chunks``.
        ticks_per_quarter: what its header says.

    Raises:
        ValueError: an event breaks the standard.
        ImportError: symusic is not installed.
    """
    try:
        import symusic
    except ImportError:
        raise ImportError(
            'reader="symusic" needs the package symusic, which is not installed. '
            'Install it with "pip install symusic", or use reader="pretty_midi".'
        ) from None
    try:
        score = symusic.Score.from_midi(data)
    except Exception as error:  # the C++ side raises RuntimeError, nanobind its own classes
        raise damaged_file(label, error) from None
    tracks = [track for track in score.tracks if len(track.notes)]
    if any("\ufffd" in track.name for track in tracks):
        # symusic reads every name as UTF-8; a Latin-1 name has lost its accents by now.
        return parse_with_mido(label, data, ticks_per_quarter)
    notes = [_symusic_notes(track.notes.numpy(), index) for index, track in enumerate(tracks)]
    return TickMusic(
        ticks_per_quarter,
        np.concatenate([np.empty((0, 5), np.int64), *notes]),
        in_order([(meter.time, meter.numerator, meter.denominator) for meter in score.time_signatures]),
        in_order([(tempo.time, tempo.mspq) for tempo in score.tempos]),
        [Part(track.name, track.program, track.is_drum) for track in tracks],
    )


def _symusic_notes(columns: dict[str, np.ndarray], part: int) -> np.ndarray:
    """Return one symusic track as rows of onset, end, pitch, velocity, part."""
    onset_tick, duration_tick = columns["time"].astype(np.int64), columns["duration"].astype(np.int64)
    rest = (columns["pitch"], columns["velocity"], np.full(len(onset_tick), part))
    return np.stack([onset_tick, onset_tick + duration_tick, *rest], axis=1)
