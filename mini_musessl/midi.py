"""Standard MIDI Files in and out: notes on the grid of ``music``, exact where the file's ticks fit the grid.

A MIDI file counts time in *ticks*; its header says how many make a quarter. Files are read from their ticks, never from
seconds, so a triplet comes out as exact thirds. Two readers give the same piece:

* ``reader="python"`` takes the events out of the bytes here.
* ``reader="symusic"``, written in C++, is made for large folders. It reads the files that hold only what symusic knows
  by the standard, which nearly all do; the rest goes the first way.

What becomes of untidy files:
    A note-off ends the earliest sounding note of its pitch and channel in its track ("first in, first out").
    A note that is never ended is dropped; so is a note-off that ends nothing. All Notes Off ends none: the standard
    wants a note-off for each note all the same.
    Times move to the nearest step (a half goes up); a note of no length, or one that rounds to none, lasts one step.
    Tempo and meter are read from every track; of several at one step the last counts.
    A part is one channel with one program in one track; channel 10 is drums. A change of program begins another part.
    A program belongs to its channel, whichever track sets it: the latest counts, the track's own first at one tick.
    A part has its track's last name, whatever channel a prefix gives it. A track ends at its end mark, if there is one.
    A piece ends where its last note ends.
    Running status goes on after system exclusive and meta events, as players let it, though the standard ends it there.
    What says nothing about notes, tempo, meter, names and programs is passed over, however it is made.

Reference: MIDI Manufacturers Association, The Complete MIDI 1.0 Detailed Specification (1996), Standard MIDI Files 1.0.

Chapter: 3a (pitch, rhythm and harmony as arrays), 3c (data sets).
"""

import copy
import io
import os
import re
import struct
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, cycle
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mini_musessl.checks import check_choice, check_grid, check_positive, shown, whole_number
from mini_musessl.files import empty_file, read_file, write_aside
from mini_musessl.music import LARGEST_STEP, Meter, Part, Piece, Tempo, check_is_piece, check_notes, make_notes

if TYPE_CHECKING:
    import pretty_midi

READERS = ("python", "symusic")
DRUM_CHANNEL = 9  # counted from 0; musicians call it channel 10
DEFAULT_MICROSEC_PER_QUARTER = 500_000  # 120 quarters per minute: what a file without a tempo means
#: A file larger than this many bytes for each permitted note is refused before it is parsed; a note takes 6 to 8.
BYTES_PER_NOTE_LIMIT = 100
#: A file may hold so many events that count for each permitted note, and 10,000 besides; a note takes two.
EVENTS_PER_NOTE_LIMIT = 4
#: 1000 quarters per minute. Hours alone are no limit: at a microsecond a quarter, a minute has a hundred million.
QUARTERS_PER_HOUR_LIMIT = 60_000
#: Written files have the lowest multiple of the grid that reaches this, so that other programs find room between steps.
LOWEST_TICKS_PER_QUARTER = 480

# The outside of a file: is there one, is it MIDI, is it whole?


def _load(source: str | os.PathLike[str] | bytes | BinaryIO, max_notes: int) -> tuple[str, bytes]:
    """Return what to call the source in messages, and its bytes."""
    limit, advice = BYTES_PER_NOTE_LIMIT * max_notes + 1_000_000, "If that is meant, raise max_notes."
    if isinstance(source, (str, os.PathLike)):
        data = read_file(source, "read_midi", limit, advice)
        return shown(Path(source).name), data
    try:
        name, data = getattr(source, "name", ""), bytearray()
        label = shown(name if isinstance(name, str) and name else "the data")
        file = io.BytesIO(source) if isinstance(source, (bytes, bytearray, memoryview)) else source
        while len(data) <= limit and (more := file.read(limit + 1 - len(data))):  # a pipe gives what it has by now
            data += more
    except Exception as error:  # no file, one that is closed, or open for text or writing
        raise TypeError(
            f"A MIDI file is a path, bytes, or a file open for bytes; found {type(source).__name__}, which gives "
            f'none ({shown(error)}). Open a file with mode "rb".'
        ) from None
    if len(data) == 0:
        raise empty_file(label)
    if len(data) > limit:
        raise ValueError(f"read_midi reads at most {limit} bytes; {label} has more. {advice}")
    return label, bytes(data)


def _unwrapped(data: bytes) -> bytes:
    """Return the MIDI file inside a RIFF container (.rmi, RP-029) or behind the 128 bytes of an old Macintosh."""
    if data[:4] == b"RIFF" and (found := re.search(rb"data....(?=MThd)", data, re.DOTALL)):
        return data[found.end() :]
    return data[128:] if data[128:132] == b"MThd" else data


def _damaged_file(label: str, found: str) -> ValueError:
    return ValueError(
        f"A MIDI file must be whole and follow the standard; {label} holds {found}. It was cut short or damaged: copy "
        "or export it again."
    )


def _too_many(label: str, limit: int, what: str) -> ValueError:
    return ValueError(
        f"A MIDI file must hold fewer than {limit} {what}; {label} holds as many or more. If that is meant, raise "
        "max_notes."
    )


def _read_header(label: str, data: bytes) -> tuple[int, int, int]:
    """Return where the header ends, how many tracks it announces, and the ticks in a quarter."""
    if data[:4] != b"MThd":
        raise ValueError(
            f"A MIDI file must begin with the letters MThd; {label} begins with {data[:4]!r}. "
            "It is another kind of file, whatever its name ends with; export it as a Standard MIDI File."
        )
    if len(data) < 14:
        raise _damaged_file(label, f"{len(data)} bytes of a header of 14")
    length, file_type, n_tracks, division = struct.unpack(">LHHH", data[4:14])
    if file_type > 1:
        raise ValueError(
            f"A MIDI file must be of type 0 or 1; {label} is of type {file_type}. Type 2, of patterns that do not "
            "sound together, is not read, and there are no others; export it as type 1."
        )
    if not 0 < division < 0x8000:
        found = "film frames (SMPTE), which have no bars" if division else "none"
        raise ValueError(
            f"A MIDI file must count time in ticks of a quarter; {label} counts {found}. Export it with ticks per "
            "quarter (PPQ)."
        )
    return 8 + max(length, 6), n_tracks, division


def _split_tracks(label: str, data: bytes) -> tuple[list[bytes], int]:
    """Return the bytes of every track, and the ticks in a quarter."""
    position, n_tracks, division = _read_header(label, data)
    tracks = []
    # Tracks that the header forgot are read too; what is left behind the last whole chunk belongs to no track.
    while len(data) >= position + 8:
        name, length = struct.unpack(">4sL", data[position : position + 8])
        if name != b"MTrk" and tracks and b"\xff\x2f\0" not in tracks[-1]:
            raise _damaged_file(label, f"a track {len(tracks)} that goes on behind its {len(tracks[-1])} bytes")
        if name == b"MThd":
            break  # another file, with a quarter of its own
        start, position = position + 8, position + 8 + length
        if name == b"MTrk" and position <= len(data):
            tracks.append(data[start:position])
    if len(tracks) < n_tracks:
        raise _damaged_file(label, f"{len(tracks)} of {n_tracks} tracks in whole")
    return tracks, division


# The events of the tracks, taken out of their bytes.

TEXT, NAME, PORT, END, TEMPO, METER = 0x01, 0x03, 0x21, 0x2F, 0x51, 0x58  # types of meta events
LONGEST_TIME = 0x0FFFFFFF  # ticks between two events: four bytes of seven bits
#: How many bytes follow a system status that a track may hold in an escape only; 0xF4 and 0xF5 mean nothing to anyone.
SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1} | dict.fromkeys((0xF6, *range(0xF8, 0xFF)), 0)


@dataclass(frozen=True)
class _TickMusic:
    """The music of one file before it is put on the grid: times in ticks, timelines in order."""

    notes: np.ndarray  # int64 (5, n_notes): onset_tick, end_tick, pitch, velocity, part
    meters: list[tuple[int, int, int]]  # (tick, numerator, denominator)
    tempos: list[tuple[int, int]]  # (tick, microseconds per quarter)
    parts: list[Part]  # one for each value of the last row of notes


def _in_order(entries: list[tuple]) -> list[tuple]:
    """Order entries by tick or step alone; those of one tick stay in the order of their tracks."""
    return sorted(entries, key=itemgetter(0))


def _number(label: str, data: bytes, position: int) -> tuple[int, int]:
    """Return a number in groups of seven bits, and the position behind it."""
    value = 0
    for place in range(position, position + 4):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    raise _damaged_file(label, "a number of more than four bytes")


def _events_of(label: str, index: int, track: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield what counts in a track: its index, the tick, the status or the type of meta event, and the data of each."""
    label = f"track {index + 1} of {label}"
    data = track + bytes(8)  # an event that is cut off reads zeros and ends behind the track
    position = tick = running = 0
    while position < len(track):
        delta, position = (data[position], position + 1) if data[position] < 0x80 else _number(label, data, position)
        tick += delta
        if data[position] >= 0x80:
            status, position = data[position], position + 1
        elif (status := running) == 0:
            raise _damaged_file(label, "a data byte in place of an event")
        if status < 0xF0:
            kind = running = status
            start, position = position, position + (1 if 0xC0 <= status < 0xE0 else 2)
            counts = status < 0xA0 or 0xC0 <= status < 0xD0
        else:
            kind, start, position = _long_event(label, data, position, status)
            counts = kind in (NAME, PORT, TEMPO, METER)
        if kind == END:
            return
        if counts:
            event = data[start:position]
            if not _is_possible(kind, event):
                raise _damaged_file(label, f"an event {kind:#x} with the data {[*event[:4]]} at tick {tick}")
            yield index, tick, kind, event
    if position > len(track):
        raise _damaged_file(label, "an event that goes on behind the end")


def _long_event(label: str, data: bytes, position: int, status: int) -> tuple[int | None, int, int]:
    """Return the type of a meta event, None for a message of the system, and where its data begin and end."""
    if status in SYSTEM_BYTES:
        return None, position, position + SYSTEM_BYTES[status]
    if status not in (0xF0, 0xF7, 0xFF):
        raise _damaged_file(label, f"the status {status:#x}")
    kind, position = (data[position], position + 1) if status == 0xFF else (None, position)
    length, start = _number(label, data, position)
    return kind, start, start + length


def _is_possible(kind: int, data: bytes) -> bool:
    """Return whether an event has a meaning; a meta event may be longer than it must, for standards to come."""
    if kind >= 0x80:
        return max(data) < 0x80
    if kind == METER:  # the denominator is a power of two, up to 128
        return len(data) >= 2 and data[0] > 0 and data[1] < 8
    return kind != TEMPO or (len(data) >= 3 and any(data[:3]))


def _read_tracks(label: str, tracks: list[bytes], most_events: int) -> _TickMusic:
    """Take the music out of the tracks."""
    notes, meters, tempos, names, ports = [], [], [], {}, {}
    programs, given, sounding = {}, {}, defaultdict(deque)
    events = chain.from_iterable(_events_of(label, index, track) for index, track in enumerate(tracks))
    for n_events, (track, tick, kind, data) in enumerate(events, start=1):
        if n_events >= most_events:
            raise _too_many(label, most_events, "starts and ends of notes, programs, tempos, meters and names")
        channel = kind & 0x0F
        if kind >= 0xC0:
            given[track, channel] = (tick, data[0])
            programs[channel, tick, track] = data[0]
        elif kind >= 0x90 and data[1] > 0:
            sounding[track, channel, data[0]].append((tick, data[1], given.get((track, channel), (-1, 0))))
        elif kind >= 0x80:
            if waiting := sounding.get((track, channel, data[0])):
                onset_tick, velocity, program = waiting.popleft()
                notes.append((onset_tick, tick, data[0], velocity, track, channel, program))
        elif kind == METER:
            meters.append((tick, data[0], 2 ** data[1]))
        elif kind == TEMPO:
            tempos.append((tick, int.from_bytes(data[:3], "big")))
        elif kind == PORT:  # a cable of 16 channels
            ports[track] = int.from_bytes(data[:1], "big")
        else:
            names[track] = _decode_name(data)
    rows, keys = _in_parts(notes, programs, ports)
    parts = [Part(names.get(track, ""), program, channel == DRUM_CHANNEL) for track, channel, program in keys]
    return _TickMusic(rows, _in_order(meters), _in_order(tempos), parts)


def _decode_name(name: bytes) -> str:
    """Return a track name as text: UTF-8 if it is that, else Latin-1, in which every byte means something."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin1")


def _in_parts(
    notes: list[tuple], programs: dict[tuple[int, int, int], int], ports: dict[int, int]
) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Return the rows of ``_TickMusic.notes``, and track, channel and program of each part."""
    changes = defaultdict(list)
    for (channel, tick, track), program in sorted(programs.items()):
        changes[ports.get(track, 0), channel].append((tick, track, program))
    keys = [_part_of(note, changes[ports.get(note[4], 0), note[5]]) for note in notes]
    number = {key: index for index, key in enumerate(sorted(set(keys)))}
    rows = [(*note[:4], number[key]) for note, key in zip(notes, keys, strict=True)]
    return np.array(rows, np.int64).reshape(-1, 5).T, list(number)


def _part_of(note: tuple, changes: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    """Return track, channel and program of a note: the last that any track gave the channel, at one tick its own."""
    onset_tick, _, _, _, own_track, channel, (own_tick, own_program) = note
    stop = bisect_left(changes, (onset_tick + 1,))
    # Each track stands once at a tick, so of the two latest one is another's, or the note's own is the last word.
    for tick, track, program in reversed(changes[max(stop - 2, 0) : stop]):
        if tick <= own_tick:
            break
        if track != own_track:
            return own_track, channel, program
    return own_track, channel, own_program


# The same by symusic, where the tracks hold nothing that symusic reads otherwise.

_TIME, _LOW = rb"[\x80-\xff]{0,2}[\0-\x7f]", rb"[\0-\x7f]"
#: Meta events that symusic takes apart, with the length that it expects.
_LENGTHS = {TEMPO: 3, METER: 4, 0x59: 2}


def _run_of(channels: Iterable[int]) -> bytes:
    """Return the pattern of events of some channels, programs apart, with running status."""
    runs = []
    for kinds, data in ((0x80, 0x90, 0xA0, 0xB0, 0xE0), _LOW + _LOW), ((0xD0,), _LOW):
        status = bytes(kind | channel for kind in kinds for channel in channels)
        runs.append(b"%b[%b]%b(?:%b[%b]?%b)*" % (_TIME, status, data, _TIME, status, data))
    return b"((?:%b)+)" % b"|".join(runs)


def _plain(groups: list[Iterable[int]]) -> re.Pattern[bytes]:
    """Return the pattern of a run of one group of channels, of a program, or of the head of an event with a length."""
    program, head = rb"%b([\xc0-\xcf]%b)" % (_TIME, _LOW), rb"%b(?:\xff([\0-\x2e\x30-\x7f])|\xf0)(%b)" % (_TIME, _LOW)
    return re.compile(b"|".join([*map(_run_of, groups), program, head]))


_OF_ONE_CHANNEL, _OF_ALL_CHANNELS = _plain([[channel] for channel in range(16)]), _plain([range(16)])
_END = re.compile(rb"%b\xff\x2f\0" % _TIME)


def _plain_programs(track: bytes, pattern: re.Pattern[bytes]) -> dict[int, set] | None:
    """Return the programs that a track gives its channels (None: it plays without), or None if it is not plain."""
    found, program, position, n_groups = defaultdict(set), {}, 0, pattern.groups - 3
    while match := pattern.match(track, position):
        group, start, position = match.lastindex, position, match.end()
        if group <= n_groups:
            if track.find(0x8F + group, start, position) >= 0:
                found[group - 1].add(program.get(group - 1))
        elif group == n_groups + 1:
            channel = match[group][0] & 0x0F
            program[channel] = match[group][1]
            found[channel].add(program[channel])
        else:
            start, position = position, position + match[group][0]
            if not _is_plain_event(match[group - 1], track[start:position]):
                return None
    return found if _END.fullmatch(track, position) else None


def _is_plain_event(kind: bytes | None, data: bytes) -> bool:
    """Return whether symusic takes a meta event, or a message of the system (None), as it is meant."""
    if kind is None:
        return data.find(b"\xf7") == len(data) - 1 >= 0  # neither in packets nor an escape
    return len(data) == _LENGTHS.get(kind[0], len(data)) and _is_possible(kind[0], data)


def _are_plain(tracks: list[bytes], most_events: int) -> bool:
    """Return whether symusic reads the tracks as ``_read_tracks`` does."""
    # Three bytes an event: what is so small can't hold too many. symusic counts tracks in 15 bits.
    if sum(map(len, tracks)) > 3 * most_events or len(tracks) > 0x7FFF:
        return False
    uses = defaultdict(list)
    for index, track in enumerate(sorted(tracks, key=len), start=1):
        is_only_one = index == len(tracks) and not uses
        found = _plain_programs(track, _OF_ALL_CHANNELS if is_only_one else _OF_ONE_CHANNEL)
        # symusic counts ticks in 32 bits. Plain times have three bytes at most, of which two are high.
        is_high = np.frombuffer(track, np.uint8) >= 0x80
        most_ticks = len(track) // 3 * 2**14 + int(np.count_nonzero(is_high[1:] & is_high[:-1])) * 2**21
        if found is None or most_ticks >= 2**31:
            return False
        for channel, programs in found.items():
            uses[channel].append(programs)
    # A program that another track gives escapes symusic; where all have the same, that is no matter.
    return all(len(each) == 1 or len(set.union(*each)) == 1 for each in uses.values())


def _read_with_symusic(label: str, tracks: list[bytes], most_events: int) -> _TickMusic:
    """Read plain tracks with symusic, whose tracks are parts already and whose notes are paired."""
    import symusic

    if not _are_plain(tracks, most_events):
        return _read_tracks(label, tracks, most_events)
    # Ticks stay as they are, whatever a quarter has.
    score = symusic.Score.from_midi(_join_tracks(tracks, ticks_per_quarter=480))
    parts = [track for track in score.tracks if len(track.notes)]
    if not parts or any("\ufffd" in track.name for track in parts):
        # symusic reads every name as UTF-8; a Latin-1 name has lost its accents by now.
        return _read_tracks(label, tracks, most_events)
    rows = []
    for part, track in enumerate(parts):
        columns = track.notes.numpy()
        onset = columns["time"].astype(np.int64)
        rest = (columns["pitch"], columns["velocity"], np.full(len(onset), part))
        rows.append(np.stack([onset, onset + columns["duration"], *rest]))
    return _TickMusic(
        np.concatenate(rows, axis=1),
        _in_order([(meter.time, meter.numerator, meter.denominator) for meter in score.time_signatures]),
        _in_order([(tempo.time, tempo.mspq) for tempo in score.tempos]),
        [Part(track.name, track.program, track.is_drum) for track in parts],
    )


# From ticks to the grid.


def _check_limits(label: str, music: _TickMusic, ticks_per_quarter: int, max_notes: int, max_hours: float) -> None:
    """Refuse what cannot be music: no notes, too many, or too long."""
    if music.notes.shape[1] == 0:
        raise ValueError(
            f"A MIDI file must hold at least one note that starts and ends; {label} holds none. Choose another file."
        )
    for what, n in ("notes", music.notes.shape[1]), ("meters", len(music.meters)), ("tempos", len(music.tempos)):
        if n >= max_notes:
            raise _too_many(label, max_notes, what)
    end_tick = int(music.notes[1].max())
    tempos = [(0, DEFAULT_MICROSEC_PER_QUARTER), *(entry for entry in music.tempos if entry[0] < end_tick)]
    ticks, microsec = zip(*tempos, strict=True)
    n_quarters = np.diff([*ticks, end_tick]) / ticks_per_quarter
    hours = float(n_quarters @ np.array(microsec)) / 3.6e9
    if hours >= max_hours or n_quarters.sum() >= QUARTERS_PER_HOUR_LIMIT * max_hours:
        raise ValueError(
            f"A MIDI file must play for less than max_hours={max_hours:g} hours, and have fewer than "
            f"{QUARTERS_PER_HOUR_LIMIT} quarters for each of them; {label} plays for {hours:.1f} hours and has "
            f"{n_quarters.sum():.0f} quarters. If that is meant, raise max_hours."
        )


def _to_piece(music: _TickMusic, ticks_per_quarter: int, steps_per_quarter: int) -> Piece:
    """Put the music on the grid."""

    def to_steps(tick: np.ndarray | int) -> np.ndarray | int:
        # Whole numbers only: twice the value plus one half, rounded down, is the nearest step, halves up.
        return (2 * tick * steps_per_quarter + ticks_per_quarter) // (2 * ticks_per_quarter)

    last_step = to_steps(int(music.notes[1].max()))  # in Python's numbers, which do not overflow
    whole_number("The end of the last note, in steps,", last_step, 0, LARGEST_STEP, "Choose a coarser grid.")
    onset_tick, end_tick, *rest = music.notes[:, music.notes[0].argsort(kind="stable")]
    onset_step, end_step = to_steps(onset_tick), to_steps(end_tick)
    # A dictionary keeps the last entry of those that fall on one step; the defaults come first.
    meters = {0: (4, 4)} | {to_steps(tick): meter for tick, *meter in music.meters}
    tempos = {0: DEFAULT_MICROSEC_PER_QUARTER} | {to_steps(tick): microsec for tick, microsec in music.tempos}
    meters = [Meter(step, *meter) for step, meter in meters.items() if step <= LARGEST_STEP]
    tempos = [Tempo(step, _quarters_per_minute(each)) for step, each in tempos.items() if step <= LARGEST_STEP]
    return Piece(
        make_notes(onset_step, np.maximum(end_step - onset_step, 1), *rest),
        steps_per_quarter,
        _with_upbeat(meters, steps_per_quarter),
        tuple(tempos),
        tuple(music.parts),
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
    reader: str = "python",
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
        reader: "python" or "symusic" (fast; must be installed).
        max_notes: refuse a file with so many notes or more.
        max_hours: refuse a file that plays so long or longer.

    Returns:
        The piece; its title is empty, since MIDI files have no reliable place for one.

    >>> from mini_musessl import music
    >>> triplet = music.Piece(music.make_notes(onset_step=[0, 8, 16], duration_step=8, pitch=[60, 62, 64]))
    >>> read_midi(to_bytes(triplet)) == triplet
    True
    """
    check_grid(steps_per_quarter)
    check_choice("reader", reader, READERS)
    whole_number("max_notes", max_notes, 1)
    check_positive("max_hours", max_hours)
    label, data = _load(source, max_notes)
    tracks, ticks_per_quarter = _split_tracks(label, _unwrapped(data))
    read = _read_with_symusic if reader == "symusic" else _read_tracks
    music = read(label, tracks, EVENTS_PER_NOTE_LIMIT * max_notes + 10_000)
    _check_limits(label, music, ticks_per_quarter, max_notes, max_hours)
    return _to_piece(music, ticks_per_quarter, steps_per_quarter)


# From the grid to a file.


def channels_of(parts: tuple[Part, ...]) -> list[int]:
    """Give drum kits channel 10 and the other parts the rest in turn; after 15 they begin again, in other tracks."""
    pitched = cycle(channel for channel in range(16) if channel != DRUM_CHANNEL)
    return [DRUM_CHANNEL if part.is_drum else next(pitched) for part in parts]


def _check_can_be_written(piece: Piece) -> None:
    """Refuse what a MIDI file has no room for."""
    whole_number("The number of notes of a MIDI file", len(piece.notes), 1, advice="No reader takes an empty one.")
    whole_number("The number of parts of a MIDI file", len(piece.parts), 0, 0xFFFE, "Write several files.")
    for meter in piece.meters:
        whole_number("The numerator of a MIDI meter", meter.numerator, 1, 255, "Divide its bars.")
        whole_number("The denominator of a MIDI meter", meter.denominator, 1, 128, "Write longer notes.")
    for tempo in piece.tempos:
        what = f"A MIDI tempo (here {tempo.quarters_per_minute:g} quarters per minute), in microseconds per quarter,"
        advice = "Write the notes shorter or longer and change the tempo to match."
        whole_number(what, round(6e7 / tempo.quarters_per_minute), 1, 0xFFFFFF, advice)


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


def _number_bytes(number: int) -> bytes:
    """Return a number in groups of seven bits, one in each byte."""
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(0x80 | number & 0x7F)
    return bytes(reversed(found))


def _meta_event(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + _number_bytes(len(data)) + data


def _timing_events(piece: Piece) -> list[tuple[int, bytes]]:
    """Return meters and tempos as events at steps, in order."""
    events = []
    for meter in _with_short_bar(piece):
        # 24 clocks a click and eight 32nds a quarter, as everybody writes.
        data = bytes([meter.numerator, meter.denominator.bit_length() - 1, 24, 8])
        events.append((meter.step, _meta_event(METER, data)))
    for tempo in piece.tempos:
        data = round(6e7 / tempo.quarters_per_minute).to_bytes(3, "big")
        events.append((tempo.step, _meta_event(TEMPO, data)))
    return _in_order(events)


def _part_events(part: Part, channel: int, notes: np.ndarray) -> list[tuple[int, bytes]]:
    """Return one part's events at steps; at one step notes end before others begin: a repeated note is two."""
    ends, onsets = [], []
    for onset_step, duration_step, pitch, velocity, _ in notes.tolist():
        onsets.append((onset_step, bytes([0x90 | channel, pitch, velocity])))
        ends.append((onset_step + duration_step, bytes([0x90 | channel, pitch, 0])))  # a velocity of 0 ends the note
    head = [(0, _meta_event(NAME, part.name.encode()))] if part.name else []
    head.append((0, bytes([0xC0 | channel, part.program])))
    return head + _in_order(ends + onsets)


def _make_track(events: list[tuple[int, bytes]], ticks_per_step: int, n_steps: int) -> bytes:
    """Return events at steps, in order, as a track that lasts as long as the piece."""
    track, last_step, status = bytearray(), 0, None
    end = (max([n_steps, *(step for step, _ in events)]), _meta_event(END, b""))
    for step, event in [*events, end]:
        n_ticks, last_step = (step - last_step) * ticks_per_step, step
        while n_ticks > LONGEST_TIME:  # an empty text in between says nothing
            track += _number_bytes(LONGEST_TIME) + _meta_event(TEXT, b"")
            n_ticks, status = n_ticks - LONGEST_TIME, None
        track += _number_bytes(n_ticks) + (event[1:] if event[0] == status else event)
        status = event[0] if event[0] < 0xF0 else None  # a status that runs on is not written again
    return bytes(track)


def _join_tracks(tracks: list[bytes], ticks_per_quarter: int) -> bytes:
    """Return a file of some tracks; the inverse of ``_split_tracks``."""
    header = struct.pack(">4sLHHH", b"MThd", 6, 1, len(tracks), ticks_per_quarter)
    return header + b"".join(struct.pack(">4sL", b"MTrk", len(track)) + track for track in tracks)


def to_bytes(piece: Piece) -> bytes:
    """Return the bytes of the MIDI file that ``write_midi`` writes."""
    check_is_piece(piece)
    check_notes(piece.notes, len(piece.parts))  # they may have been changed since the piece was made
    _check_can_be_written(piece)
    ticks_per_step = -(-LOWEST_TICKS_PER_QUARTER // piece.steps_per_quarter)
    tracks = [_timing_events(piece)]
    for index, (part, channel) in enumerate(zip(piece.parts, channels_of(piece.parts), strict=True)):
        tracks.append(_part_events(part, channel, piece.notes[piece.notes["part"] == index]))
    tracks = [_make_track(events, ticks_per_step, piece.n_steps) for events in tracks]
    return _join_tracks(tracks, ticks_per_step * piece.steps_per_quarter)


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
    write_aside(path, to_bytes(piece))


# The bridge to pretty_midi, whose times are seconds.


def to_pretty_midi(piece: Piece) -> "pretty_midi.PrettyMIDI":
    """Return the piece as pretty_midi reads it: overlapping notes of one pitch and part end at the first note-off."""
    import pretty_midi

    return pretty_midi.PrettyMIDI(io.BytesIO(to_bytes(piece)), charset="utf-8")


def from_pretty_midi(midi: "pretty_midi.PrettyMIDI", steps_per_quarter: int = 24) -> Piece:
    """Return an object ``midi`` of pretty_midi on a grid of ``steps_per_quarter``; seconds go back to its own ticks."""
    buffer, midi = io.BytesIO(), copy.copy(midi)
    try:
        midi._charset = "utf-8"  # its own default, Latin-1, lacks most of the world's names
        midi.write(buffer)
    except Exception as error:  # whatever mido says to a pitch of 200 or a time below 0
        raise ValueError(
            f"pretty_midi must be able to write its own object; it says {type(error).__name__}: {shown(error)}. Mend "
            "the object first."
        ) from None
    return read_midi(buffer.getvalue(), steps_per_quarter)
