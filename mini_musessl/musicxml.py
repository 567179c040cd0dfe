"""Scores in MusicXML in and out: bars, note values and ties there, notes on a grid of steps here.

Reading walks through each part once, as MusicXML counts: notes move a cursor on, ``<backup>`` moves it back for another
voice. A measure is as long as its longest part; tied notes become one; pitches are those that sound. Writing goes the
other way, through music21: each part is cut at its bar lines, what overlaps is shared among voices, and a length that
no note value has becomes several notes with ties.

music21 takes a second to load, so the functions that need it import it themselves.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

import functools
import io
import itertools
import math
import os
import re
import xml.etree.ElementTree as ET
import zipfile
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mini_musessl.checks import check_grid, shown, whole_number
from mini_musessl.files import as_path, read_file, write_aside
from mini_musessl.midi import DRUM_CHANNEL, channels_of
from mini_musessl.music import (
    LARGEST_STEP,
    NOTE_DTYPE,
    Meter,
    Part,
    Piece,
    Tempo,
    bar_lines_step,
    check_is_piece,
    sort_notes,
)

if TYPE_CHECKING:
    import music21

DEFAULT_VELOCITY = 64
MAX_BYTES = 50_000_000  # of a file, and of what it unpacks to
MAX_MARKS = 2_500_000  # "<" and "=", since each tag or attribute takes up to 330 bytes when it is parsed
TICKS = 2**10 * 3**3 * 5 * 7 * 11  # in a quarter: a multiple of the divisions that programs write
ROUNDING = TICKS // 24  # what a measure may miss its bar line by: less than any note value
MEASURES_AT_ONCE = 64  # of those that music21 writes
LONGEST_QUARTERS = Fraction(32)  # a maxima
UNBARRED = Meter(0, 1, 2**30)  # music without a meter: every measure is longer than this and has its own
FIRST_BAR_LINE = "quarters of the first bar before its first measure"  # for write_musicxml to tell read_musicxml

POWERS_OF_TWO = [2**power for power in range(13)]
SEMITONES = dict(C=0, D=2, E=4, F=5, G=7, A=9, B=11)
BEAT_UNITS = ("1024th", "512th", "256th", "128th", "64th", "32nd", "16th", "eighth", "quarter", "half", "whole")
QUARTERS = {unit: 2.0 ** (index - 8) for index, unit in enumerate((*BEAT_UNITS, "breve", "long", "maxima"))}

# From a score to a piece: the file and its XML.


def _parse(data: bytes) -> ET.Element:
    """Return the root of an XML document; its tags lose their name spaces."""
    n_marks = data.count(b"<") + data.count(b"=")
    if len(data) > MAX_BYTES or n_marks > MAX_MARKS:
        raise ValueError(f"{len(data)} bytes with {n_marks} tags and attributes: {MAX_BYTES}, {MAX_MARKS} are allowed")
    # No score declares entities, and a few of them grow to gigabytes. UTF-16 puts a NUL beside each letter.
    if re.search(rb"<!(ENTITY|ATTLIST)", data.replace(b"\0", b"")):
        raise ValueError("it declares entities or attributes")
    root = ET.fromstring(data)
    for element in root.iter() if "}" in root.tag else ():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _unpack(data: bytes) -> bytes:
    """Return the XML of a score: a plain file itself, or the file that an archive (.mxl) calls its score."""
    if not data.startswith(b"PK"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        inside = {entry.filename: entry for entry in archive.infolist()}

        def read(name: str) -> bytes:
            entry = inside.get(name)
            is_legal = entry is not None and entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if not is_legal or entry.file_size > MAX_BYTES:
                raise ValueError(f"it must hold {name}, stored or deflated, of at most {MAX_BYTES} bytes")
            return archive.read(entry)  # never more than file_size

        container = "META-INF/container.xml"
        named = list(_parse(read(container)).iter("rootfile")) if container in inside else []
        # Other root files are the same music as a picture or as sound.
        scores = [file.get("full-path", "") for file in named if "musicxml" in file.get("media-type", "musicxml")]
        folders = ("META-INF/", "__MACOSX/")
        unnamed = [name for name in inside if name.endswith((".musicxml", ".xml")) and not name.startswith(folders)]
        return read([*scores, *unnamed, "a score"][0].removeprefix("/"))


# From a score to a piece: one walk through each part.


class _Written(NamedTuple):
    """A note of the score."""

    index: int  # of its measure
    onset: int  # in ticks from the start of the measure
    duration: int
    pitch: int  # as written
    velocity: int
    staff: str
    voice: str
    ends_tie: bool
    begins_tie: bool


class _Transposition(NamedTuple):
    """How many semitones higher a staff, or all, sound from some tick on, and where they are doubled."""

    index: int
    onset: int
    staff: str | None
    semitones: tuple[int, ...]


@functools.lru_cache(10_000)
def _decimal(text: str) -> Fraction:
    """Return a number of the kind that MusicXML has: a few digits, perhaps a sign and a point."""
    if not re.fullmatch(r"\s*[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})\s*", text, re.ASCII):
        raise ValueError(f"{shown(text, 40)!r} is no number")
    return Fraction(text)


def _number(element: ET.Element, name: str, default: str = "", lowest: float = -math.inf) -> Fraction:
    """Return the number in a child of an element."""
    number = _decimal(element.findtext(name, default))
    if number < lowest:
        raise ValueError(f"<{name}> of a <{element.tag}> is {number}")
    return number


@functools.lru_cache(10_000)
def _to_ticks(text: str, divisions: Fraction) -> int:
    """Return a duration in ticks."""
    return round(_decimal(text) * TICKS / divisions)


class _PartReader:
    """The cursor of a part, what holds there, and what it has passed."""

    def __init__(self, part_id: str | None) -> None:
        self.part_id = part_id
        self.divisions = Fraction(1)
        self.meter: tuple[Meter, ...] = ()  # of this measure; none, or one
        self.next_meter: tuple[Meter, ...] = ()
        self.notes: list[_Written] = []
        self.transpositions: list[_Transposition] = []
        self.tempos: list[tuple[int, int, float]] = []  # index of the measure, ticks in it, quarters a minute
        self.instrument: str | None = None  # of the first note

    def read(self, index: int, elements: Iterable[ET.Element]) -> None:
        """Walk through a measure; ``end`` is then its length in ticks."""
        self.index, self.at, self.onset, self.end = index, 0, 0, 0
        self.is_silent, self.meter = True, self.next_meter
        for element in elements:
            match element.tag:
                case "note":
                    self._read_note(element)
                case "backup":
                    self.at = max(self.at - self._duration(element), 0)  # rounded durations may go back too far
                case "forward":
                    self.at += self._duration(element)
                case "attributes":
                    self._read_attributes(element)
                case "direction" | "sound":
                    self._read_tempo(element)
            self.end = max(self.end, self.at)

    def _duration(self, element: ET.Element) -> int:
        duration = _to_ticks(element.findtext("duration", ""), self.divisions)
        if duration < 0:
            raise ValueError(f"a <{element.tag}> lasts {shown(element.findtext('duration'), 40)}")
        return duration

    def _read_note(self, element: ET.Element) -> None:
        has = {child.tag: child for child in element}
        if "grace" in has:
            return
        duration = self._duration(element)
        if "chord" not in has:
            self.onset, self.at = self.at, self.at + duration
        self.end = max(self.end, self.onset + duration)
        self.is_silent &= "rest" in has
        if not has.keys() & {"pitch", "unpitched", "rest"}:
            raise ValueError("a <note> has no <pitch>, <unpitched> or <rest>")
        if "pitch" not in has or "cue" in has or duration == 0:
            return
        if not self.notes and "instrument" in has:
            self.instrument = has["instrument"].get("id")
        ties = {tie.get("type") for tie in element.iter("tie")} or {tie.get("type") for tie in element.iter("tied")}
        pitch, velocity = _pitch(has["pitch"]), _velocity(element)
        staff, voice = (element.findtext(name, "1").strip() for name in ("staff", "voice"))
        place = self.index, self.onset, duration
        ends_tie, begins_tie = (bool(ties & {kind, "continue"}) for kind in ("stop", "start"))
        self.notes.append(_Written(*place, pitch, velocity, staff, voice, ends_tie, begins_tie))

    def _read_attributes(self, element: ET.Element) -> None:
        if element.find("divisions") is not None:
            self.divisions = _number(element, "divisions")
            if self.divisions <= 0:
                raise ValueError(f"<divisions> are {self.divisions}")
        if (time := element.find("time")) is not None:
            self.next_meter = (_read_meter(time),)
            if self.at == 0:  # inside a measure, it is the meter of the next one
                self.meter = self.next_meter
        for transpose in element.findall("transpose"):
            semitones = int(_number(transpose, "chromatic", "0") + 12 * _number(transpose, "octave-change", "0"))
            double = transpose.find("double")
            octaves = () if double is None else (semitones + (12 if double.get("above") == "yes" else -12),)
            place = self.index, self.at, transpose.get("number")
            self.transpositions.append(_Transposition(*place, (semitones, *octaves)))

    def _read_tempo(self, element: ET.Element) -> None:
        sound = element if element.tag == "sound" else element.find("sound")
        speed = _metronome(element.find("direction-type/metronome"))
        if speed is None and sound is not None:
            speed = _speed(sound.get("tempo", ""))
        offset = element.find("offset")
        # By default, an offset says where the mark is printed.
        has_offset = offset is not None and (element.tag == "sound" or offset.get("sound") == "yes")
        if speed is not None:
            at = self.at + (_to_ticks(offset.text or "", self.divisions) if has_offset else 0)
            self.tempos.append((self.index, max(at, 0), speed))


def _pitch(element: ET.Element) -> int:
    """Return a written pitch as a MIDI number; a quarter tone goes up."""
    step = element.findtext("step", "").strip()
    if step not in SEMITONES:
        raise ValueError(f"a pitch has the step {shown(step, 40)!r}")
    alter = _decimal(element.findtext("alter", "0").strip() or "0")
    return math.floor(SEMITONES[step] + 12 * (_number(element, "octave") + 1) + alter + Fraction(1, 2))


def _velocity(note: ET.Element) -> int:
    """Return the velocity of a note: its dynamics are in percent of 90."""
    velocity = round(_decimal(note.get("dynamics", "0")) * 9 / 10)
    return min(velocity, 127) if velocity > 0 else DEFAULT_VELOCITY


def _read_meter(time: ET.Element) -> Meter:
    """Return a time signature; "3+2" and several fractions are added up."""
    if time.find("senza-misura") is not None:
        return UNBARRED
    pairs = list(zip(time.findall("beats"), time.findall("beat-type"), strict=False))
    tops = [sum(map(_decimal, (beats.text or "")[:100].split("+"))) for beats, _ in pairs]
    bottoms = [_decimal(beat_type.text or "") for _, beat_type in pairs]
    # Powers of two: the largest is a multiple of the others.
    if not pairs or not all(bottom in POWERS_OF_TWO for bottom in bottoms):
        raise ValueError("a <time> must have pairs of <beats> and <beat-type>, a power of two")
    top = sum(top * max(bottoms) / bottom for top, bottom in zip(tops, bottoms, strict=True))
    return Meter(0, int(top) if top.denominator == 1 else 0, int(max(bottoms)))


def _speed(text: str | None) -> float | None:
    """Return the first number in a text, such as 126 in "126-132", if it is a possible speed."""
    found = re.search(r"\d+(\.\d+)?(e-?\d+)?", text or "", re.ASCII)
    return float(found[0]) if found and 0 < float(found[0]) < math.inf else None


def _metronome(mark: ET.Element | None) -> float | None:
    """Return the quarters per minute of a metronome mark, if it has a number and is no equation of note values."""
    if mark is None or len(units := mark.findall("beat-unit")) != 1:
        return None
    dotted = 2 - 0.5 ** len(mark.findall("beat-unit-dot"))
    speed = _speed(mark.findtext("per-minute"))
    unit = QUARTERS.get((units[0].text or "").strip())
    return speed and unit and _speed(repr(speed * unit * dotted))


# From a score to a piece: bars, ties and sounding pitches.


def _walk(root: ET.Element) -> Iterator[tuple[object, str | None, int, ET.Element]]:
    """Yield a key and the id of a part, the index of a measure, and what the part has in it."""
    if root.tag == "score-partwise":
        for key, part in enumerate(root.iterfind("part")):
            for index, measure in enumerate(part.iterfind("measure")):
                yield key, part.get("id"), index, measure
    for index, measure in enumerate(root.iterfind("measure")):  # of <score-timewise>
        for part in measure.iterfind("part"):
            yield part.get("id"), part.get("id"), index, part


class _Measures:
    """How long each measure is in the parts that have notes and in those that rest, and the meters stated for it."""

    def __init__(self) -> None:
        self.sounding: list[int] = []
        self.silent: list[int] = []
        self.meters: list[tuple[Meter, ...]] = []

    def add(self, reader: _PartReader) -> None:
        """Count in the measure that a part has just passed."""
        while len(self.meters) <= reader.index:
            self.sounding.append(0)
            self.silent.append(0)
            self.meters.append(())
        lengths, stated = self.silent if reader.is_silent else self.sounding, self.meters[reader.index]
        lengths[reader.index] = max(lengths[reader.index], reader.end)
        if len(stated) < 4 and not set(reader.meter).issubset(stated):
            self.meters[reader.index] = stated + reader.meter

    def __iter__(self) -> Iterator[tuple[int, Meter]]:
        """Yield how many ticks each measure lasts, and its meter: of those stated, the first that is as long."""
        meter = Meter(0, 4, 4)
        for sounding, silent, stated in zip(self.sounding, self.silent, self.meters, strict=True):
            longest = max(sounding, silent)
            fitting = (each for each in stated if abs(_bar_ticks(each) - longest) < ROUNDING)
            meter = next(fitting, (*stated, meter)[0])
            bar = _bar_ticks(meter)
            # Rests alone make no bar longer: programs write a whole rest into a bar of 3/4.
            length = max(sounding, min(silent, bar) if bar else silent) or bar
            yield bar if abs(length - bar) < ROUNDING else length, meter


def _bar_ticks(meter: Meter) -> int:
    return meter.numerator * 4 * TICKS // meter.denominator


def _read_meters(
    measures: Iterable[tuple[int, Meter]],
    to_step: Callable[[int], int],
    steps_per_quarter: int,
    end_step: int,
    missing_tick: int | None,
) -> tuple[Meter, ...]:
    """Return the meters up to a step; a measure that begins off the bar lines of the one before restates its own.

    Args:
        missing_tick: how much of its bar a short first measure leaves out before it; by default, all that is missing.
    """
    meters: list[Meter] = []
    tick = step = 0
    for length, meter in measures:
        start_step, tick = step, tick + length
        step = to_step(tick)
        if length > _bar_ticks(meter):
            usual = (meters or [Meter(0, 4, 4)])[-1] if meter == UNBARRED else meter
            meter = _own_meter(step - start_step, steps_per_quarter, usual)
        elif not meters:  # an upbeat
            missing = _bar_ticks(meter) - length
            start_step -= to_step(missing if missing_tick is None else min(missing_tick, missing))
        if start_step >= end_step:
            break
        bar, meter = meter.bar_length_step(steps_per_quarter), replace(meter, step=start_step)
        if meters and replace(meters[-1], step=start_step) == meter and (start_step - meters[-1].step) % bar == 0:
            continue  # on a bar line of the same meter: nothing new
        while meters and max(meters[-1].step, 0) >= start_step:
            meters.pop()
        meters.append(meter)
    return tuple(meters)


def _missing_tick(root: ET.Element) -> int | None:
    """Return how much of its bar a first measure leaves out before it, where ``write_musicxml`` noted that."""
    for noted in root.iterfind("identification/miscellaneous/miscellaneous-field"):
        if noted.get("name") == FIRST_BAR_LINE and re.fullmatch(r"\d{1,9}(/[1-9]\d{0,8})?", noted.text or "", re.ASCII):
            return round(Fraction(noted.text) * TICKS)
    return None


def _own_meter(length_step: int, steps_per_quarter: int, usual: Meter) -> Meter:
    """Return a meter of one bar that is so long, or the usual one where no note value counts it."""
    length = Fraction(length_step, 4 * steps_per_quarter)
    if length == 0 or length.denominator & (length.denominator - 1):
        return usual
    scale = max(4 // length.denominator, 1)
    return Meter(0, length.numerator * scale, length.denominator * scale)


def _join_ties(reader: _PartReader, starts: list[int]) -> list[list[int]]:
    """Return a part's notes as onset, end, pitch and velocity: times in ticks, pitches as they sound, ties as one."""
    notes = sorted(reader.notes, key=lambda note: (starts[note.index] + note.onset, not note.ends_tie))
    moves = sorted(reader.transpositions, key=lambda move: starts[move.index] + move.onset, reverse=True)
    semitones: dict[str | None, tuple[int, ...]] = {None: (0,)}  # of each staff, and of all others
    rows: list[list[int]] = []
    waiting: dict[tuple[int, int], dict[tuple[str, str], list[list[int]]]] = defaultdict(dict)
    for note in notes:
        onset = starts[note.index] + note.onset
        while moves and starts[moves[-1].index] + moves[-1].onset <= onset:
            move = moves.pop()
            if move.staff is None:
                semitones.clear()
            semitones[move.staff] = move.semitones
        for shift in semitones.get(note.staff, semitones.get(None, (0,))):
            row = _continued(note, waiting[note.pitch + shift, _rounded(onset)])
            if row is None:
                rows.append(row := [onset, 0, note.pitch + shift, note.velocity])
            row[1] = onset + note.duration
            if note.begins_tie:
                waiting[row[2], _rounded(row[1])].setdefault((note.staff, note.voice), []).append(row)
    return rows


def _rounded(tick: int) -> int:
    """Return a time to the nearest 24th of a quarter, since durations that were rounded need not meet exactly."""
    return (tick + ROUNDING // 2) // ROUNDING


def _continued(note: _Written, waiting: dict[tuple[str, str], list[list[int]]]) -> list[int] | None:
    """Return the row that a note goes on with, of those whose tie waits at its onset, if it does."""
    voice = note.staff, note.voice
    if voice not in waiting:
        # Ties may cross voices, but only to a note that says so; a voice may leave out where its tie stops.
        if not waiting or not note.ends_tie:
            return None
        voice = next(iter(waiting))
    row = waiting[voice].pop()
    if not waiting[voice]:
        del waiting[voice]
    return row


def _read_tempos(
    readers: list[_PartReader], starts: list[int], to_step: Callable[[int], int], end_step: int
) -> tuple[Tempo, ...]:
    """Return the tempos of all parts up to a step."""
    marks = [(to_step(starts[index] + at), speed) for reader in readers for index, at, speed in reader.tempos]
    # A dictionary keeps the last mark of those at one step; the default comes first.
    tempos = {0: 120.0} | {step: speed for step, speed in marks if step < end_step}
    return tuple(Tempo(step, speed) for step, speed in sorted(tempos.items()))


def _read_part(listed: ET.Element, instrument: str | None) -> Part:
    """Return a part's name, and program and channel of the instrument that plays its first note."""
    instruments = listed.findall("midi-instrument") or [ET.Element("none")]
    first = next((each for each in instruments if each.get("id") == instrument), instruments[0])
    channel, program = (first.findtext(name, "1").strip() for name in ("midi-channel", "midi-program"))
    is_program = re.fullmatch(r"\d{1,3}", program, re.ASCII) is not None and 1 <= int(program) <= 128
    name = listed.findtext("part-name", "").strip()
    return Part(name, int(program) - 1 if is_program else 0, channel == str(DRUM_CHANNEL + 1))


def _read_parts(path: Path) -> tuple[list[_PartReader], _Measures, ET.Element]:
    """Return what is written in each part of a file, its measures, and its XML."""
    data, label = read_file(path, "read_musicxml", MAX_BYTES), shown(path.name)
    try:
        root = _parse(_unpack(data))
    except Exception as error:  # zipfile, zlib and expat let a dozen classes rise from bad bytes
        raise ValueError(
            f"A score must be MusicXML, plain or compressed; {label} cannot be parsed ({shown(error)}). "
            "It is another kind of file, damaged or too large; export it again."
        ) from None
    if root.tag not in ("score-partwise", "score-timewise"):
        raise ValueError(
            f"A MusicXML score must begin with <score-partwise>; {label} begins with <{shown(root.tag, 40)}>. "
            "Export it as MusicXML, part by part."
        )
    readers: dict[object, _PartReader] = {}
    measures = _Measures()
    try:
        for key, part_id, index, elements in _walk(root):
            if key not in readers:
                readers[key] = _PartReader(part_id)
            readers[key].read(index, elements)
            measures.add(readers[key])
    except ValueError as error:
        raise ValueError(
            f"The elements of a score must follow MusicXML; {label} breaks it in part {len(readers)}, measure "
            f"{index + 1} ({error}). The file is damaged; export it again."
        ) from None
    return list(readers.values()), measures, root


def _check_notes(notes: list[tuple[int, ...]], path: Path) -> int:
    """Return the step at which the last note ends; refuse notes that no piece can hold."""
    if not notes:
        raise ValueError(
            f"A score must hold at least one pitched note; {shown(path.name)} holds none. Choose another file."
        )
    end_step = max(onset + duration for onset, duration, *_ in notes)
    whole_number("The end of the last note, in steps,", end_step, 0, LARGEST_STEP - 1, "Choose a coarser grid.")
    for pitch in sorted(note[2] for note in notes)[:: max(len(notes) - 1, 1)]:  # the lowest and the highest
        whole_number("A pitch that sounds", pitch, 0, 127, "60 is middle C; MIDI has none outside this range.")
    return end_step


def read_musicxml(path: str | os.PathLike[str], steps_per_quarter: int = 24) -> Piece:
    """Read a score in MusicXML, plain (.musicxml, .xml) or compressed (.mxl), on a grid of ``steps_per_quarter``.

    Pitches are those that sound, also of transposing instruments; quarter tones go up. Tied notes become one note.
    Repeats are read as written, once. Times move to the nearest step, and no note gets shorter than one step. Grace
    notes have no length, cue notes are played by others, unpitched percussion has no pitch: they are left out. All
    staves of an instrument are one part. A short first bar is an upbeat; a short bar later on restates its meter, so
    that bars stay where the score has them. Dynamics are not turned into velocities: a note without a velocity of its
    own has 64. The piece has the parts that hold a note, and ends where its last note ends. A score may have 50 MB
    and 2.5 million tags and attributes when it is unpacked.
    """
    check_grid(steps_per_quarter)
    path = as_path(path)
    readers, measures, root = _read_parts(path)
    starts = [0, *itertools.accumulate(length for length, _ in measures)]

    def to_step(tick: int) -> int:
        return (2 * tick * steps_per_quarter + TICKS) // (2 * TICKS)

    listed = {entry.get("id"): entry for entry in root.iterfind("part-list/score-part")}
    notes, parts = [], []
    for reader in readers:
        if rows := _join_ties(reader, starts):
            for onset, end, *rest in rows:
                notes.append((to_step(onset), max(to_step(end) - to_step(onset), 1), *rest, len(parts)))
            parts.append(_read_part(listed.get(reader.part_id, ET.Element("none")), reader.instrument))
    end_step = _check_notes(notes, path)
    return Piece(
        sort_notes(np.array(notes, NOTE_DTYPE)),
        steps_per_quarter,
        meters=_read_meters(measures, to_step, steps_per_quarter, end_step, _missing_tick(root)),
        tempos=_read_tempos(readers, starts, to_step, end_step),
        parts=tuple(parts),
        title=(root.findtext("work/work-title") or root.findtext("movement-title") or "").strip(),
    )


# From a piece to a score.


class _Stretch(NamedTuple):
    """A note, or the part of one that sounds inside a measure."""

    onset_step: int  # from the start of the piece
    end_step: int
    pitch: int
    velocity: int
    is_tied_back: bool  # the note began in an earlier measure
    is_tied_on: bool  # it goes on in the next one


def _split_at_bar_lines(notes: np.ndarray, lines: list[int]) -> list[list[_Stretch]]:
    """Return for each measure the stretches of notes that sound in it."""
    measures: list[list[_Stretch]] = [[] for _ in lines[:-1]]
    for onset_step, duration_step, pitch, velocity, _ in notes.tolist():
        end_step = onset_step + duration_step
        first = int(np.searchsorted(lines, onset_step, side="right")) - 1
        last = int(np.searchsorted(lines, end_step, side="left")) - 1
        for number in range(first, last + 1):
            inside = (max(onset_step, lines[number]), min(end_step, lines[number + 1]))
            measures[number].append(_Stretch(*inside, pitch, velocity, number > first, number < last))
    return measures


def _share_among_voices(stretches: list[_Stretch]) -> list[list[list[_Stretch]]]:
    """Put notes that begin and end together into chords, and chords into the first voice that is free."""
    # music21 writes one velocity for all notes of a chord, so that only notes of one velocity may share a chord.
    chords: dict[tuple[int, int, int], list[_Stretch]] = defaultdict(list)
    for stretch in stretches:
        chords[stretch.onset_step, stretch.end_step, stretch.velocity].append(stretch)
    voices: list[list[list[_Stretch]]] = [[]]
    for (onset_step, _, _), chord in sorted(chords.items()):
        voice = next((voice for voice in voices if not voice or voice[-1][0].end_step <= onset_step), None)
        if voice is None:
            voices.append(voice := [])
        voice.append(chord)
    return voices


def _note_values(length_quarter: Fraction) -> list[Fraction]:
    """Return the lengths of the note values that make up a length: one, or whole quarters and then the rest."""
    from music21.duration import Duration

    if length_quarter > LONGEST_QUARTERS:
        return [LONGEST_QUARTERS, *_note_values(length_quarter - LONGEST_QUARTERS)]
    components = Duration(length_quarter).components
    if len(components) == 1:
        return [length_quarter]
    whole = Fraction(math.floor(length_quarter))
    if 0 < whole < length_quarter:
        return _note_values(whole) + _note_values(length_quarter - whole)
    return [Fraction(value.quarterLength) for value in components]  # exact below a quarter; above, tuplets are not


def _make_chords(chord: list[_Stretch], steps_per_quarter: int) -> "list[music21.note.GeneralNote]":
    """Return a note or chord, or several with ties where no note value says the length."""
    # music21 would split them too, but lose velocities.
    import music21

    values = _note_values(Fraction(chord[0].end_step - chord[0].onset_step, steps_per_quarter))
    chords = []
    for index, value in enumerate(values):
        notes = [music21.note.Note(midi=stretch.pitch, quarterLength=value) for stretch in chord]
        for note, stretch in zip(notes, chord, strict=True):
            is_stop, is_start = stretch.is_tied_back or index > 0, stretch.is_tied_on or index < len(values) - 1
            if is_stop or is_start:
                note.tie = music21.tie.Tie("continue" if is_stop and is_start else "start" if is_start else "stop")
        chords.append(notes[0] if len(notes) == 1 else music21.chord.Chord(notes, quarterLength=value))
        chords[-1].volume = music21.volume.Volume(velocity=chord[0].velocity)
    return chords


def _make_voice(
    name: str, chords: list[list[_Stretch]], start_step: int, stop_step: int, steps_per_quarter: int
) -> "music21.stream.Voice":
    """Build one voice of a measure, gaps filled with rests."""
    import music21

    def rest(n_steps: int) -> list[music21.note.Rest]:
        n_longest, rest_quarter = divmod(Fraction(n_steps, steps_per_quarter), LONGEST_QUARTERS)
        lengths = [LONGEST_QUARTERS] * n_longest + [rest_quarter] * (rest_quarter > 0)
        return [music21.note.Rest(quarterLength=length) for length in lengths]

    voice, at_step = music21.stream.Voice(id=name), start_step
    for chord in chords:
        if chord[0].onset_step > at_step:
            voice.append(rest(chord[0].onset_step - at_step))
        voice.append(_make_chords(chord, steps_per_quarter))
        at_step = chord[0].end_step
    if stop_step > at_step:
        voice.append(rest(stop_step - at_step))
    return voice


def _make_measure(piece: Piece, number: int, start_step: int, stop_step: int) -> "music21.stream.Measure":
    """Build a measure without notes: its meter, and how short it is."""
    import music21

    is_upbeat = piece.meters[0].step % piece.meters[0].bar_length_step(piece.steps_per_quarter) != 0
    measure = music21.stream.Measure(number=number + (not is_upbeat))
    meter = piece.meters[bisect_right(piece.meters, start_step, key=lambda meter: meter.step) - 1]
    if start_step == 0 or meter.step == start_step or number % MEASURES_AT_ONCE == 0:
        measure.timeSignature = music21.meter.TimeSignature(f"{meter.numerator}/{meter.denominator}")
    missing_step = meter.bar_length_step(piece.steps_per_quarter) - (stop_step - start_step)
    # music21 fills a short measure with rests unless it is told that it is short.
    padding = "paddingLeft" if number == 0 and is_upbeat else "paddingRight"
    setattr(measure, padding, Fraction(missing_step, piece.steps_per_quarter))
    return measure


def _make_part(
    index: int, piece: Piece, lines: list[int], stretches: list[list[_Stretch]], numbers: range
) -> "music21.stream.Part":
    """Build some measures of one part, and its instrument; the first part has the tempos."""
    import music21

    part = music21.stream.Part(id=f"P{index + 1}")
    part.partName = _printable(piece.parts[index].name)
    instrument = music21.instrument.Instrument()
    instrument.partId, instrument.instrumentId = f"P{index + 1}", f"P{index + 1}-I1"
    instrument.instrumentName = part.partName or f"Part {index + 1}"
    instrument.midiProgram, instrument.midiChannel = piece.parts[index].program, index % 16
    part.insert(0, instrument)
    for number in numbers:
        start_step, stop_step = lines[number], lines[number + 1]
        measure = _make_measure(piece, number, start_step, stop_step)
        first, stop = (
            bisect_left(piece.tempos, step, key=lambda tempo: tempo.step) for step in (start_step, stop_step)
        )
        for tempo in piece.tempos[first:stop] if index == 0 else ():
            mark = music21.tempo.MetronomeMark(number=tempo.quarters_per_minute)
            measure.insert(Fraction(tempo.step - start_step, piece.steps_per_quarter), mark)
        for voice, chords in enumerate(_share_among_voices(stretches[number]), start=1):
            measure.insert(0, _make_voice(str(voice), chords, start_step, stop_step, piece.steps_per_quarter))
        part.insert(Fraction(start_step - lines[numbers[0]], piece.steps_per_quarter), measure)
    return part


def _export(piece: Piece, lines: list[int]) -> bytes:
    """Return music21's MusicXML of a piece, put together from pages: its time grows with the square of the measures."""
    n_parts, meter_steps = len(piece.parts), {meter.step for meter in piece.meters}
    stretches = [_split_at_bar_lines(piece.notes[piece.notes["part"] == index], lines) for index in range(n_parts)]
    first_page, later = b"", [b""] * n_parts  # of each part, its measures on all pages but the first
    for first in range(0, len(lines) - 1, MEASURES_AT_ONCE):
        page = _export_page(piece, lines, stretches, range(first, min(first + MEASURES_AT_ONCE, len(lines) - 1)))
        if first == 0:
            first_page = page
            continue
        measures = re.findall(rb"<part id=[^>]*>(.*?)\s*</part>", page, re.DOTALL)
        if lines[first] not in meter_steps:  # music21 needs the meter on each page, the score only where it changes
            measures = [re.sub(rb"\s*<time>.*?</time>", b"", each, count=1, flags=re.DOTALL) for each in measures]
        later = [before + each for before, each in zip(later, measures, strict=True)]
    following = iter(later)
    return re.sub(rb"\s*</part>", lambda end: next(following) + end[0], first_page)


def _export_page(piece: Piece, lines: list[int], stretches: list[list[list[_Stretch]]], numbers: range) -> bytes:
    """Return music21's MusicXML of some measures."""
    import music21
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    score = music21.stream.Score()
    score.metadata = music21.metadata.Metadata(title=_printable(piece.title) or " ")
    for index in range(len(piece.parts)):
        score.insert(0, _make_part(index, piece, lines, stretches[index], numbers))
    return GeneralObjectExporter(score).parse()


def _measure_lines(piece: Piece) -> list[int]:
    """Return the steps where measures begin, and where the last one ends; the last measure is full."""
    lines = sorted({0, *bar_lines_step(piece).tolist()})
    meter = [meter for meter in piece.meters if meter.step <= lines[-1]][-1]
    bar = meter.bar_length_step(piece.steps_per_quarter)
    return [*lines, lines[-1] + bar - (lines[-1] - meter.step) % bar]


def _first_bar_left_out(piece: Piece, stop_step: int) -> bytes:
    """Return what MusicXML cannot say of a first bar that a new meter cuts short: how much of it lies before."""
    meter = piece.meters[0]
    if (stop_step - meter.step) % meter.bar_length_step(piece.steps_per_quarter) == 0:
        return b""
    before = Fraction(-meter.step % meter.bar_length_step(piece.steps_per_quarter), piece.steps_per_quarter)
    field = f'<miscellaneous-field name="{FIRST_BAR_LINE}">{before}</miscellaneous-field>'
    return f"  <miscellaneous>{field}</miscellaneous>\n  ".encode()


def _printable(text: str) -> str:
    """Return a text on one line without the control characters that XML forbids."""
    return "".join(character if character.isprintable() else " " for character in text)


def write_musicxml(piece: Piece, path: str | os.PathLike[str]) -> None:
    """Write a piece as a score in MusicXML, with bars, ties and one staff a part.

    The same piece gives the same bytes. ``read_musicxml`` gives the same notes, parts, meters, tempos and title back,
    except for a part without notes, rest and changes of meter or tempo after the last note, a meter that repeats the
    one before on its bar line, and control characters in names. Where two notes of one pitch and part are tied over the
    same bar line, they may exchange their ends.

    Example:
        >>> import tempfile
        >>> from mini_musessl import music
        >>> piece = music.Piece(music.make_notes(onset_step=[0, 24], duration_step=[24, 168], pitch=[60, 62]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_musicxml(piece, f"{folder}/c.musicxml")
        ...     read_musicxml(f"{folder}/c.musicxml") == piece
        True
    """
    check_is_piece(piece)
    if len(piece.notes) == 0:
        raise ValueError("A score needs at least one note; found a piece of 0 notes. Write another.")
    for meter in piece.meters:
        whole_number("The beats in a bar of a score", meter.numerator, 1, 128, "Longer bars can be written as MIDI.")
    lines = _measure_lines(piece)
    import music21

    try:
        data = _export(piece, lines)
    except (music21.exceptions21.Music21Exception, ZeroDivisionError) as error:
        raise ValueError(
            f"A score needs note values that can be written; music21 finds none for some note ({error}). "
            "Use music.change_grid with a grid of 24 steps a quarter and may_round=True."
        ) from error
    # Without the date, so that equal pieces give equal bytes, and without the composer "Music21".
    data = re.sub(rb"\s*(<encoding-date>.*?</encoding-date>|<creator type=.composer.>Music21</creator>)", b"", data)
    # music21 hands out channels itself, and keeps channel 10 for one part at most.
    channels = iter(channels_of(piece.parts))
    data = re.sub(rb"(?<=<midi-channel>)\d+", lambda _: str(next(channels) + 1).encode(), data)
    if missing := _first_bar_left_out(piece, lines[1]):
        data = data.replace(b"</identification>", missing + b"</identification>", 1)
    write_aside(Path(path), data)
