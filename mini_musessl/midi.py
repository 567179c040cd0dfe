"""Standard MIDI Files in and out: notes on the grid of ``music``, exact where the file's ticks fit the grid.

A MIDI file counts time in *ticks*; its header says how many make a quarter. Files are read from their ticks, never from
seconds, so a triplet comes out as exact thirds. Two readers give the same piece:

* ``reader="pretty_midi"`` takes the events that pretty_midi works from (those of its parser, mido) and pairs the notes
  here. pretty_midi's own note lists are in seconds and let one note-off end every sounding note of its pitch;
  ``to_pretty_midi`` and ``from_pretty_midi`` are the way to its objects and back.
* ``reader="symusic"`` is written in C++ and made for large folders.

What becomes of untidy files, by either reader:
    A note-off ends the earliest sounding note of its pitch and channel in its track ("first in, first out").
    A note that is never ended is dropped; so is a note-off that ends nothing. Running status, and note-on with
    velocity 0 as note-off, are read as the standard says.
    Times move to the nearest step (a half goes up); a note of no length, or one that rounds to none, lasts one step.
    Tempo and meter are read from every track; of several at one step the last counts.
    A part is one channel with one program in one track; channel 10 is drums. A change of program begins another part.
    A piece ends where its last note ends.

Reference: MIDI Manufacturers Association, The Complete MIDI 1.0 Detailed Specification (1996), Standard MIDI Files 1.0.

Chapter: 3a (pitch, rhythm and harmony as arrays), 3c (data sets).
"""

import io
import os
import struct
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import cycle
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from mido import Message, MetaMessage, MidiFile, MidiTrack

from mini_musessl.checks import check_choice, check_grid, shown, whole_number
from mini_musessl.files import check_file, empty_file, write_aside
from mini_musessl.music import NOTE_DTYPE, Meter, Part, Piece, Tempo, check_is_piece

if TYPE_CHECKING:
    import pretty_midi

READERS = ("pretty_midi", "symusic")
DRUM_CHANNEL = 9  # counted from 0; musicians call it channel 10
DEFAULT_MICROSEC_PER_QUARTER = 500_000  # 120 quarters per minute: what a file without a tempo means
#: A file larger than this many bytes for each permitted note is refused before it is parsed; a note takes 6 to 8.
BYTES_PER_NOTE_LIMIT = 100
#: Written files have the lowest multiple of the grid that reaches this, so that other programs find room between steps.
LOWEST_TICKS_PER_QUARTER = 480

# The outside of a file: is there one, is it MIDI, is it whole?


def _load(source: str | os.PathLike[str] | bytes | BinaryIO, max_notes: int) -> tuple[str, bytes]:
    """Return what to call the source in messages, and its bytes."""
    if is_path := isinstance(source, (str, os.PathLike)):
        path = check_file(source, "read_midi")
        label, n_bytes = path.name, path.stat().st_size
    else:
        data = source.read() if hasattr(source, "read") else bytes(source)
        label, n_bytes = shown(getattr(source, "name", "the data")), len(data)
        if isinstance(data, str):
            raise TypeError('A MIDI file is bytes; the open file gave str. Open it for bytes, with mode "rb".')
    if n_bytes == 0:
        raise empty_file(label)
    limit = BYTES_PER_NOTE_LIMIT * max_notes + 1_000_000
    if n_bytes > limit:  # its events alone would take minutes to parse
        raise ValueError(
            f"A file for max_notes={max_notes} must have at most {limit} bytes; {label} has {n_bytes}. "
            "If that is meant, raise max_notes."
        )
    return label, path.read_bytes() if is_path else data


def _check_chunks(label: str, data: bytes) -> tuple[bytes, int]:
    """Return the file without foreign chunks, and its ticks in a quarter; refuse one that is cut short."""
    # The parsers take some cut files in silence, so the lengths are checked here.
    if data[:4] != b"MThd":
        raise ValueError(
            f"A MIDI file must begin with the letters MThd; {label} begins with {data[:4]!r}. "
            "It is another kind of file, whatever its name ends with; export it as a Standard MIDI File."
        )
    if len(data) < 14:
        raise _cut_file(label, f"{len(data)} bytes of a header of 14")
    header_length, file_type, n_tracks, division = struct.unpack(">LHHH", data[4:14])
    _check_header(label, file_type, division)
    tracks, position = [], 8 + header_length
    while len(tracks) < n_tracks:
        if len(data) < position + 8:
            raise _cut_file(label, f"{len(tracks)} of {n_tracks} tracks")
        name, length = struct.unpack(">4sL", data[position : position + 8])
        stop = position + 8 + length
        if stop > len(data):
            n_found = len(data) - position - 8
            raise _cut_file(label, f"{n_found} of {length} bytes of track {len(tracks) + 1} of {n_tracks}")
        if name == b"MTrk":
            tracks.append(data[position:stop])
        position = stop
    return struct.pack(">4sLHHH", b"MThd", 6, file_type, n_tracks, division) + b"".join(tracks), division


def _cut_file(label: str, found: str) -> ValueError:
    return ValueError(
        f"A MIDI file must be as long as its header and tracks say; {label} is cut short: it holds {found}. "
        "Copy or download it again."
    )


def _check_header(label: str, file_type: int, division: int) -> None:
    """Refuse independent patterns (type 2), unknown types, and time that is not counted in quarters."""
    if file_type > 1:
        raise ValueError(
            f"A MIDI file must be of type 0 or 1; {label} is of type {file_type}. Type 2 holds patterns that do not "
            "sound together; export it as type 1."
        )
    if division & 0x8000:
        raise ValueError(
            f"A MIDI file must count time in ticks per quarter; {label} counts it in film frames (SMPTE), which is not "
            "supported, since frames have no bars. Export it with ticks per quarter (PPQ)."
        )
    if division == 0:
        raise ValueError(
            f"A MIDI file must have at least 1 tick per quarter; {label} says 0: its header is damaged. Export it "
            "again."
        )


# The events of a file, by two parsers that give the same music.


@dataclass(frozen=True)
class _TickMusic:
    """The music of one file before it is put on the grid: times in ticks, timelines in order."""

    ticks_per_quarter: int
    notes: np.ndarray  # int64 (n_notes, 5): onset_tick, end_tick, pitch, velocity, part
    meters: list[tuple[int, int, int]]  # (tick, numerator, denominator)
    tempos: list[tuple[int, int]]  # (tick, microseconds per quarter)
    parts: list[Part]  # one for each value of the last column of notes


def _damaged_file(label: str, found: object) -> ValueError:
    """Return the refusal of a file whose events make no sense: a parser's error, or what was found in words."""
    if isinstance(found, Exception):
        found = f"{type(found).__name__}: {found}" if str(found) else type(found).__name__
    if "data byte" in found or "pitch=" in found:
        must = f"Pitches and velocities must lie in 0..127; {label} holds a larger data byte"
    else:
        must = f"The events of a MIDI file must follow the standard; {label} breaks it"
    return ValueError(f"{must} ({found}). The file is damaged; copy or export it again.")


def _parse_with_mido(label: str, data: bytes, ticks_per_quarter: int) -> _TickMusic:
    """Parse the file with pretty_midi's own parser and pair its notes."""
    try:
        file = MidiFile(file=io.BytesIO(data), charset="latin1")
    except Exception as error:  # mido lets whatever it stumbles over rise: OSError, EOFError, KeyError, its own classes
        raise _damaged_file(label, error) from None
    rows, meters, tempos = [], [], []
    names = [_parse_track(index, track, rows, meters, tempos) for index, track in enumerate(file.tracks)]
    keys = sorted({key for *_, key in rows})
    number = {key: index for index, key in enumerate(keys)}
    notes = np.array([(*row, number[key]) for *row, key in rows], np.int64).reshape(-1, 5)
    parts = [Part(names[track], program, channel == DRUM_CHANNEL) for track, channel, program in keys]
    return _TickMusic(ticks_per_quarter, notes, _in_order(meters), _in_order(tempos), parts)


def _in_order(entries: list[tuple]) -> list[tuple]:
    """Order entries by tick or step alone; those of one tick stay in the order of their tracks."""
    return sorted(entries, key=itemgetter(0))


def _parse_track(index: int, track: MidiTrack, rows: list, meters: list, tempos: list) -> str:
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


def _parse_with_symusic(label: str, data: bytes, ticks_per_quarter: int) -> _TickMusic:
    """Parse the file with symusic, whose tracks are parts already and whose notes are paired."""
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
        raise _damaged_file(label, error) from None
    tracks = [track for track in score.tracks if len(track.notes)]
    if any("\ufffd" in track.name for track in tracks):
        # symusic reads every name as UTF-8; a Latin-1 name has lost its accents by now.
        return _parse_with_mido(label, data, ticks_per_quarter)
    rows = [np.empty((0, 5), np.int64)]
    for part, track in enumerate(tracks):
        columns = track.notes.numpy()
        onset = columns["time"].astype(np.int64)
        rest = (columns["pitch"], columns["velocity"], np.full(len(onset), part))
        rows.append(np.stack([onset, onset + columns["duration"], *rest], axis=1))
    meters = [(meter.time, meter.numerator, meter.denominator) for meter in score.time_signatures]
    tempos = [(tempo.time, tempo.mspq) for tempo in score.tempos]
    parts = [Part(track.name, track.program, track.is_drum) for track in tracks]
    return _TickMusic(ticks_per_quarter, np.concatenate(rows), _in_order(meters), _in_order(tempos), parts)


def _check_limits(label: str, ticks: _TickMusic, max_notes: int, max_hours: float) -> None:
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
    if found := next(_impossible_events(ticks), None):
        raise _damaged_file(label, found)
    hours = _length_sec(ticks) / 3600
    if hours >= max_hours:
        raise ValueError(
            f"A MIDI file must play for less than max_hours={max_hours:g} hours; {label} plays for {hours:.1f}. "
            "If that is meant, raise max_hours."
        )


def _impossible_events(ticks: _TickMusic) -> Iterator[str]:
    if (lowest := int(ticks.notes[:, :2].min())) < 0:
        yield f"a note at tick {lowest}"
    for tick, numerator, denominator in ticks.meters:
        if numerator < 1 or not 1 <= denominator <= 128:
            yield f"time signature {numerator}/{denominator} at tick {tick}"
    for tick, microsec in ticks.tempos:
        if microsec < 1:
            yield f"tempo of {microsec} microseconds per quarter at tick {tick}"


def _length_sec(ticks: _TickMusic) -> float:
    """Return when the last note ends."""
    end_tick = int(ticks.notes[:, 1].max())
    changes = [(0, DEFAULT_MICROSEC_PER_QUARTER), *(entry for entry in ticks.tempos if entry[0] < end_tick)]
    starts = np.array([tick for tick, _ in changes] + [end_tick], float)
    microsec = np.array([microsec for _, microsec in changes], float)
    return float((np.diff(starts) * microsec).sum() / 1e6 / ticks.ticks_per_quarter)


# From ticks to the grid.


def _to_piece(ticks: _TickMusic, steps_per_quarter: int) -> Piece:
    """Put the music on the grid."""

    def to_steps(tick: np.ndarray | int) -> np.ndarray | int:
        # Whole numbers only: twice the value plus one half, rounded down, is the nearest step, halves up.
        return (2 * tick * steps_per_quarter + ticks.ticks_per_quarter) // (2 * ticks.ticks_per_quarter)

    onset_step, end_step = to_steps(ticks.notes[:, 0]), to_steps(ticks.notes[:, 1])
    limit = np.iinfo(np.int32).max
    whole_number("The end of the last note, in steps,", end_step.max() + 1, 0, limit, "Choose a coarser grid.")
    notes = np.empty(len(onset_step), NOTE_DTYPE)
    columns = (onset_step, np.maximum(end_step - onset_step, 1), *ticks.notes.T[2:])
    for name, column in zip(NOTE_DTYPE.names, columns, strict=True):
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
    """Return the shortest decimal number of quarters per minute that is written as these microseconds."""
    exact = 6e7 / microsec_per_quarter
    candidates = (round(exact, n_decimals) for n_decimals in range(10))
    return next((value for value in candidates if value and round(6e7 / value) == microsec_per_quarter), exact)


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
    quarter, gives ``Meter(-72, 4, 4)``. Tempos are stored in whole microseconds per quarter; the shortest decimal
    number of quarters per minute that gives the same microseconds is returned (779,221 gives 77.0).

    Args:
        source: path of the file, its bytes, or a file open for reading bytes.
        reader: "pretty_midi" or "symusic" (fast; must be installed).
        max_notes: refuse a file with so many notes or more.
        max_hours: refuse a file that plays so long or longer.

    Returns:
        The piece; its title is empty, since MIDI files have no reliable place for one.

    Example:
        >>> from mini_musessl import music
        >>> triplet = music.Piece(music.make_notes(onset_step=[0, 8, 16], duration_step=8, pitch=[60, 62, 64]))
        >>> read_midi(to_bytes(triplet)) == triplet
        True
    """
    check_grid(steps_per_quarter)
    check_choice("reader", reader, READERS)
    whole_number("max_notes", max_notes, 1)
    label, data = _load(source, max_notes)
    parse = _parse_with_symusic if reader == "symusic" else _parse_with_mido
    ticks = parse(label, *_check_chunks(label, data))
    _check_limits(label, ticks, max_notes, max_hours)
    return _to_piece(ticks, steps_per_quarter)


# From the grid to a file.


def channels_of(parts: tuple[Part, ...]) -> list[int]:
    """Give drum kits channel 10 and the other parts the rest in turn; after 15 they begin again, in other tracks."""
    pitched = cycle(channel for channel in range(16) if channel != DRUM_CHANNEL)
    return [DRUM_CHANNEL if part.is_drum else next(pitched) for part in parts]


def _check_can_be_written(piece: Piece) -> None:
    """Refuse what a MIDI file has no room for."""
    if len(piece.notes) == 0:
        raise ValueError(
            "A MIDI file needs at least one note, or no reader takes it; found a piece of 0 notes. Write another."
        )
    for tempo in piece.tempos:
        if not 1 <= round(6e7 / tempo.quarters_per_minute) <= 0xFFFFFF:
            raise ValueError(
                "A MIDI tempo must lie between 3.58 and 60 million quarters per minute; "
                f"found {tempo.quarters_per_minute}. Write the notes shorter or longer and change the tempo to match."
            )


def _with_short_bar(piece: Piece) -> list[Meter]:
    """Write an upbeat as a short first bar; the inverse of ``_with_upbeat``."""
    first, *later = piece.meters
    upbeat_step = first.step and first.step % first.bar_length_step(piece.steps_per_quarter)
    if upbeat_step == 0:
        return [replace(first, step=0), *later]
    short = Fraction(upbeat_step, 4 * piece.steps_per_quarter)
    denominator = max(short.denominator, 4)
    numerator = short.numerator * denominator // short.denominator
    is_meter = denominator in (4, 8, 16, 32, 64) and denominator % short.denominator == 0 and numerator <= 255
    # A triplet eighth is no meter: let the meter begin again at its first bar line.
    short_bar = Meter(0, numerator, denominator) if is_meter else replace(first, step=0)
    if later and later[0].step <= upbeat_step:
        return [short_bar, *later]
    return [short_bar, replace(first, step=upbeat_step), *later]


def _timing_events(piece: Piece) -> list[tuple[int, MetaMessage]]:
    """Return meters and tempos as messages at steps, in order."""
    events = [
        (meter.step, MetaMessage("time_signature", numerator=meter.numerator, denominator=meter.denominator))
        for meter in _with_short_bar(piece)
    ]
    for tempo in piece.tempos:
        events.append((tempo.step, MetaMessage("set_tempo", tempo=round(6e7 / tempo.quarters_per_minute))))
    return _in_order(events)


def _part_events(part: Part, channel: int, notes: np.ndarray) -> list[tuple[int, Message]]:
    """Return one part's messages at steps; at one step notes end before others begin: a repeated note is two."""
    note_on = partial(Message, "note_on", channel=channel)
    ends, onsets = [], []
    for onset_step, duration_step, pitch, velocity, _ in notes.tolist():
        onsets.append((onset_step, note_on(note=pitch, velocity=velocity)))
        ends.append((onset_step + duration_step, note_on(note=pitch, velocity=0)))  # a velocity of 0 ends the note
    head = [(0, MetaMessage("track_name", name=part.name))] if part.name else []
    head.append((0, Message("program_change", channel=channel, program=part.program)))
    return head + _in_order(ends + onsets)


def _make_track(events: list[tuple[int, Message]], ticks_per_step: int, n_steps: int) -> MidiTrack:
    """Turn messages at steps, in order, into a track of ticks between messages that lasts as long as the piece."""
    track, last_step = MidiTrack(), 0
    end = (max([n_steps, *(step for step, _ in events)]), MetaMessage("end_of_track"))
    for step, message in [*events, end]:
        message.time = (step - last_step) * ticks_per_step
        track.append(message)
        last_step = step
    return track


def to_bytes(piece: Piece) -> bytes:
    """Return the bytes of the MIDI file that ``write_midi`` writes."""
    check_is_piece(piece)
    _check_can_be_written(piece)
    ticks_per_step = -(-LOWEST_TICKS_PER_QUARTER // piece.steps_per_quarter)
    file = MidiFile(type=1, ticks_per_beat=ticks_per_step * piece.steps_per_quarter, charset="utf-8")
    tracks = [_timing_events(piece)]
    for index, (part, channel) in enumerate(zip(piece.parts, channels_of(piece.parts), strict=True)):
        tracks.append(_part_events(part, channel, piece.notes[piece.notes["part"] == index]))
    file.tracks += [_make_track(events, ticks_per_step, piece.n_steps) for events in tracks]
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def write_midi(piece: Piece, path: str | os.PathLike[str]) -> None:
    """Write a piece as a Standard MIDI File of type 1, one track a part after a track of tempos and meters.

    The same piece gives the same bytes. ``read_midi`` gives the same notes, meters, tempos and parts back, except:

    * Where a note begins and ends inside a longer one of its pitch and part, the two exchange their ends: MIDI cannot
      say which of them a note-off means.
    * A part without notes, the title, and rest after the last note are lost.
    * Tempos are rounded to whole microseconds per quarter.
    * A first bar that is complete, but shorter than the meter after it, comes back as an upbeat, and so does a meter
      that begins again before its first bar is full.
    """
    write_aside(Path(path), to_bytes(piece))


# The bridge to pretty_midi, whose times are seconds.


def to_pretty_midi(piece: Piece) -> "pretty_midi.PrettyMIDI":
    """Return the piece as pretty_midi reads it: overlapping notes of one pitch and part end at the first note-off."""
    import pretty_midi

    return pretty_midi.PrettyMIDI(io.BytesIO(to_bytes(piece)))


def from_pretty_midi(midi: "pretty_midi.PrettyMIDI", steps_per_quarter: int = 24) -> Piece:
    """Return an object ``midi`` of pretty_midi on a grid of ``steps_per_quarter``; seconds go back to its own ticks."""
    buffer = io.BytesIO()
    midi.write(buffer)
    return read_midi(buffer.getvalue(), steps_per_quarter)
