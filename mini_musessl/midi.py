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

Scores in MusicXML are read and written through music21 by ``read_musicxml`` and ``write_musicxml``.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from __future__ import annotations

import io
import os
import struct
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mini_musessl.checks import check_grid, whole_number
from mini_musessl.files import check_file, empty_file, write_aside
from mini_musessl.music import NOTE_DTYPE, Meter, Part, Piece, Tempo, check_is_piece

# --- The outside of a MIDI file: is it there, is it one, is it whole? Decided from its first bytes and chunk lengths

#: A file larger than this many bytes for each permitted note is refused before it is parsed; a note takes 6 to 8.
BYTES_PER_NOTE_LIMIT = 100


def load_bytes(source: str | os.PathLike[str] | bytes | BinaryIO, max_notes: int) -> tuple[str, bytes]:
    """Return what to call the source in messages, and its bytes, unless they are far too many.

    Args:
        source: path of the file, its bytes, or a file open for reading bytes.
        max_notes: how many notes the caller permits; decides how many bytes are too many.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no file at the path.
        ValueError: no bytes, or too many.
        TypeError: it is none of these, or an open file gives text.
    """
    if isinstance(source, (str, os.PathLike)):
        path = check_file(source, "read_midi")
        _check_size(path.name, path.stat().st_size, max_notes)
        return path.name, path.read_bytes()
    if not isinstance(source, (bytes, bytearray, memoryview)) and not hasattr(source, "read"):
        raise TypeError(f"read_midi needs a path, bytes or a file open for bytes; found {type(source).__name__}.")
    data = bytes(source) if isinstance(source, (bytes, bytearray, memoryview)) else source.read()
    if not isinstance(data, bytes):
        raise TypeError(
            f'A MIDI file is bytes; the open file gave {type(data).__name__}. Open it for bytes, with mode "rb".'
        )
    _check_size("the data", len(data), max_notes)
    return "the data", data


def _check_size(label: str, n_bytes: int, max_notes: int) -> None:
    """Refuse an empty file, and one so large that its events alone would take minutes to parse."""
    if n_bytes == 0:
        raise empty_file(label)
    limit = BYTES_PER_NOTE_LIMIT * max_notes + 1_000_000
    if n_bytes > limit:
        raise ValueError(
            f"A file for max_notes={max_notes} must have at most {limit} bytes; {label} has {n_bytes}. "
            "If that is meant, raise max_notes."
        )


def check_chunks(label: str, data: bytes) -> tuple[bytes, int]:
    """Check header and chunk lengths; return the file without foreign chunks, and its ticks a quarter.

    The parsers accept some cut files in silence, so the lengths are checked here.

    Args:
        label: what to call the file in messages.
        data: its bytes.

    Raises:
        ValueError: no MIDI file, one that ends early, or of a kind that is not supported.
    """
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
    """Return the refusal of a file that ends early."""
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
            f"A MIDI file must count time in ticks a quarter; {label} counts it in film frames (SMPTE), which is not "
            "supported, since frames have no bars. Export it with ticks a quarter (PPQ)."
        )
    if division == 0:
        raise ValueError(
            f"A MIDI file must have at least 1 tick a quarter; {label} says 0: its header is damaged. Export it again."
        )


# --- The music of a MIDI file before it is put on the grid: times in ticks

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


# --- The events of a MIDI file, by two parsers that give the same music

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


# --- From a MIDI file to a piece on the grid

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


# --- From a piece on the grid to a MIDI file

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
