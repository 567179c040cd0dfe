"""Scores in MusicXML in and out: bars, note values and ties there, notes on a grid of steps here.

Reading walks through each part once, as MusicXML counts: notes move a cursor on, ``<backup>`` moves it back for another
voice. A measure is as long as its longest part; tied notes become one; pitches are those that sound. Writing goes the
other way: each part is cut at its bar lines, what overlaps is shared among voices, and a length that no note value has
becomes several notes with ties.

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
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from mini_musessl.checks import check_grid, printable, shown, whole_number
from mini_musessl.files import as_path, read_file, write_aside
from mini_musessl.harmony import pitch_class_name, signature_of
from mini_musessl.midi import DRUM_CHANNEL, channels_of
from mini_musessl.music import (
    FASTEST,
    LARGEST_STEP,
    NOTE_DTYPE,
    SLOWEST,
    Meter,
    Part,
    Piece,
    Tempo,
    bar_lines_step,
    sort_notes,
)
from mini_musessl.voices import VoiceGrid, as_piece

DEFAULT_VELOCITY = 64
MAX_BYTES = 50_000_000  # of a file, and of what it unpacks to
MAX_MARKS = 2_500_000  # "<" and "=", since each tag or attribute takes up to 330 bytes when it is parsed
TICKS = 2**10 * 3**3 * 5 * 7 * 11  # in a quarter: a multiple of the divisions that programs write
ROUNDING = TICKS // 24  # what a measure may miss its bar line by: less than any note value
MOST_TERMS = 100  # that are added up in the upper number of a meter
UNBARRED = Meter(0, 1, 2**30)  # music without a meter: every measure is longer than this and has its own
FIRST_BAR_LINE = "quarters of the first bar before its first measure"  # for write_musicxml to tell read_musicxml

POWERS_OF_TWO = {2**power for power in range(13)}
SEMITONES = dict(C=0, D=2, E=4, F=5, G=7, A=9, B=11)
BEAT_UNITS = ("1024th", "512th", "256th", "128th", "64th", "32nd", "16th", "eighth", "quarter", "half", "whole")
QUARTERS = {unit: 2.0 ** (index - 8) for index, unit in enumerate((*BEAT_UNITS, "breve", "long", "maxima"))}
NOTE_TYPES = {quarters: unit for unit, quarters in QUARTERS.items()}
IMPLICIT = ' implicit="yes"'
ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}

# From a score to a piece: the file and its XML.


def _parse(data: bytes) -> ET.Element:
    """Return the root of an XML document; its tags lose the root's name space, and others stay foreign."""
    n_marks = data.count(b"<") + data.count(b"=")
    if len(data) > MAX_BYTES or n_marks > MAX_MARKS:
        raise ValueError(f"{len(data)} bytes with {n_marks} tags and attributes: {MAX_BYTES}, {MAX_MARKS} are allowed")
    # No score declares entities, and a few of them grow to gigabytes. UTF-16 puts a NUL beside each letter.
    if re.search(rb"<!(ENTITY|ATTLIST)", data.replace(b"\0", b"")):
        raise ValueError("it declares entities or attributes")
    root = ET.fromstring(data)
    space = root.tag[: root.tag.rfind("}") + 1]
    for element in root.iter() if space else ():
        element.tag = element.tag.removeprefix(space)
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
        ends, folders = (".musicxml", ".xml"), ("META-INF/", "__MACOSX/")
        unnamed = (name for name in inside if name.lower().endswith(ends) and not name.startswith(folders))
        # Some containers write "/score.xml" or "my%20score.xml": then the archive says itself what it holds.
        return read(next((name for name in (*scores, *unnamed) if name in inside), "a score"))


# From a score to a piece: one walk through each part.


class _Written(NamedTuple):
    """A note of the score."""

    index: int  # of its measure
    onset: int  # in ticks from the start of the measure
    duration: int
    pitch: float  # as written
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
    semitones: tuple[float, ...]


@functools.lru_cache(10_000)
def _decimal(text: str, name: str) -> Fraction:
    """Return a number of the kind that MusicXML has: a few digits, perhaps a sign and a point."""
    if not re.fullmatch(r"\s*[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})\s*", text, re.ASCII):
        raise ValueError(f"<{name}> is {shown(text, 40)!r}, no number")
    return Fraction(text)


@functools.lru_cache(10_000)
def _to_ticks(text: str, name: str, divisions: Fraction) -> int:
    """Return a duration in ticks; none vanishes."""
    ticks = _decimal(text, name) * TICKS / divisions
    return round(ticks) or math.ceil(ticks)


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
        self.index, self.at, self.onset, self.end = index, 0, None, 0
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
        duration = _to_ticks(element.findtext("duration", ""), "duration", self.divisions)
        if duration < 0:
            raise ValueError(f"a <{element.tag}> lasts {shown(element.findtext('duration'), 40)}")
        return duration

    def _read_note(self, element: ET.Element) -> None:
        has = {child.tag: child for child in element}
        if "grace" in has:
            return
        duration = self._duration(element)
        if "chord" not in has or self.onset is None:
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
        pitch = _pitch(*(has["pitch"].findtext(name, "").strip() for name in ("step", "alter", "octave")))
        velocity = _velocity(element.get("dynamics", "0"))
        staff, voice = (element.findtext(name, "1").strip() for name in ("staff", "voice"))
        place = self.index, self.onset, duration
        ends_tie, begins_tie = (bool(ties & {kind, "continue"}) for kind in ("stop", "start"))
        self.notes.append(_Written(*place, pitch, velocity, staff, voice, ends_tie, begins_tie))

    def _read_attributes(self, element: ET.Element) -> None:
        if element.find("divisions") is not None:
            self.divisions = _decimal(element.findtext("divisions", ""), "divisions")
            if self.divisions <= 0:
                raise ValueError(f"<divisions> are {self.divisions}")
        if (time := element.find("time")) is not None:
            self.next_meter = (_read_meter(time),)
            if self.at == 0:  # inside a measure, it is the meter of the next one
                self.meter = self.next_meter
        for transpose in element.findall("transpose"):
            steps, octaves = (_decimal(transpose.findtext(name, "0"), name) for name in ("chromatic", "octave-change"))
            semitones = float(steps + 12 * octaves)
            double = transpose.find("double")
            doubled = () if double is None else (semitones + (12 if double.get("above") == "yes" else -12),)
            place = self.index, self.at, transpose.get("number")
            self.transpositions.append(_Transposition(*place, (semitones, *doubled)))

    def _read_tempo(self, element: ET.Element) -> None:
        sound = element if element.tag == "sound" else element.find("sound")
        speed = _metronome(element.find("direction-type/metronome"))
        if speed is None and sound is not None:
            speed = _speed(sound.get("tempo", ""))
        offset = element.find("offset")
        # By default, an offset says where the mark is printed.
        has_offset = offset is not None and (element.tag == "sound" or offset.get("sound") == "yes")
        if speed is not None:
            at = self.at + (_to_ticks(offset.text or "", "offset", self.divisions) if has_offset else 0)
            self.tempos.append((self.index, max(at, 0), speed))


@functools.lru_cache(10_000)
def _pitch(step: str, alter: str, octave: str) -> float:
    """Return a written pitch as a MIDI number."""
    if step not in SEMITONES:
        raise ValueError(f"a pitch has the step {shown(step, 40)!r}")
    octaves = _decimal(octave, "octave")
    if octaves.denominator != 1:
        raise ValueError(f"<octave> is {octave}")
    return float(SEMITONES[step] + 12 * (octaves + 1) + _decimal(alter or "0", "alter"))


@functools.lru_cache(1000)
def _velocity(dynamics: str) -> int:
    """Return the velocity of a note: its dynamics are in percent of 90."""
    velocity = round(_decimal(dynamics, "note dynamics") * 9 / 10)
    return min(velocity, 127) if velocity > 0 else DEFAULT_VELOCITY


def _read_meter(time: ET.Element) -> Meter:
    """Return a time signature; "3+2" and several fractions are added up."""
    if time.find("senza-misura") is not None:
        return UNBARRED
    tops = [(beats.text or "").split("+", MOST_TERMS) for beats in time.iterfind("beats")]
    bottoms = [_decimal(beat_type.text or "", "beat-type") for beat_type in time.iterfind("beat-type")]
    top, bottom = Fraction(0), max(bottoms, default=Fraction(0))
    if len(tops) == len(bottoms) and POWERS_OF_TWO.issuperset(bottoms):
        # Powers of two: the largest is a multiple of the others.
        pairs = zip(tops, bottoms, strict=True)
        top = sum(_decimal(term, "beats") * bottom / each for terms, each in pairs for term in terms)
    if top.denominator != 1 or not 0 < top <= LARGEST_STEP:
        raise ValueError("a <time> must have pairs of <beats>, a whole number, and <beat-type>, a power of two")
    return Meter(0, int(top), int(bottom))


def _speed(text: str | None, factor: float = 1.0) -> float | None:
    """Return the first number in a text, such as 126 in "126-132", times a factor, if it is a possible speed."""
    found = re.search(r"(?<![-\d])\d+(\.\d+)?(e[+-]?\d+)?", text or "", re.ASCII)
    speed = float(found[0]) * factor if found else 0.0
    return speed if SLOWEST <= speed <= FASTEST else None


def _metronome(mark: ET.Element | None) -> float | None:
    """Return the quarters per minute of a metronome mark, if it has a number and is no equation of note values."""
    if mark is None or len(units := mark.findall("beat-unit")) != 1:
        return None
    dotted = 2 - 0.5 ** len(mark.findall("beat-unit-dot"))
    return _speed(mark.findtext("per-minute"), dotted * QUARTERS.get((units[0].text or "").strip(), 0.0))


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
        is_same = meters and (meter.numerator, meter.denominator) == (meters[-1].numerator, meters[-1].denominator)
        if is_same and (start_step - meters[-1].step) % meter.bar_length_step(steps_per_quarter) == 0:
            continue  # on a bar line: nothing new
        while meters and max(meters[-1].step, 0) >= start_step:
            meters.pop()
        meters.append(replace(meter, step=start_step))
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
    semitones: dict[str | None, tuple[float, ...]] = {None: (0,)}  # of each staff, and of all others
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
            pitch = math.floor(note.pitch + shift + 0.5)  # a quarter tone goes up
            row = _continued(note, waiting[pitch, _rounded(onset)])
            if row is None:
                rows.append(row := [onset, 0, pitch, note.velocity])
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


def _listed_parts(root: ET.Element) -> dict[tuple[str | None, str | None], Part]:
    """Return name, program and channel by the ids of a part and its instrument; None stands for the first one."""
    found = {}
    for entry in root.iterfind("part-list/score-part"):
        name = entry.findtext("part-name", "").strip()
        for instrument in reversed(entry.findall("midi-instrument") or [entry]):
            channel, program = (instrument.findtext(tag, "1").strip() for tag in ("midi-channel", "midi-program"))
            is_program = re.fullmatch(r"\d{1,3}", program, re.ASCII) is not None and 1 <= int(program) <= 128
            part = Part(name, int(program) - 1 if is_program else 0, channel == str(DRUM_CHANNEL + 1))
            found[entry.get("id"), instrument.get("id")] = found[entry.get("id"), None] = part
    return found


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
    readers, all_measures, root = _read_parts(path)
    measures = list(all_measures)
    starts = [0, *itertools.accumulate(length for length, _ in measures)]

    def to_step(tick: int) -> int:
        return (2 * tick * steps_per_quarter + TICKS) // (2 * TICKS)

    notes, parts, listed = [], [], _listed_parts(root)
    for reader in readers:
        if rows := _join_ties(reader, starts):
            for onset, end, *rest in rows:
                notes.append((to_step(onset), max(to_step(end) - to_step(onset), 1), *rest, len(parts)))
            first = listed.get((reader.part_id, None), Part())
            parts.append(listed.get((reader.part_id, reader.instrument), first))
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
        first, last = bisect_right(lines, onset_step) - 1, bisect_left(lines, end_step) - 1
        for number in range(first, last + 1):
            inside = (max(onset_step, lines[number]), min(end_step, lines[number + 1]))
            measures[number].append(_Stretch(*inside, pitch, velocity, number > first, number < last))
    return measures


def _share_among_voices(stretches: list[_Stretch]) -> list[list[list[_Stretch]]]:
    """Put notes that begin and end together into chords, and chords into the first voice that is free."""
    chords: dict[tuple[int, int], list[_Stretch]] = defaultdict(list)
    for stretch in stretches:
        chords[stretch.onset_step, stretch.end_step].append(stretch)
    voices: list[list[list[_Stretch]]] = [[]]
    for (onset_step, _), chord in sorted(chords.items()):
        voice = next((voice for voice in voices if not voice or voice[-1][0].end_step <= onset_step), None)
        if voice is None:
            voices.append(voice := [])
        voice.append(chord)
    return voices


def _note_type(quarters: Fraction) -> tuple[str, str] | None:
    """Return the elements that name a length, type and dots, then tuplet; or None if no single note value has it."""
    tuplet = quarters.denominator // (quarters.denominator & -quarters.denominator)  # its odd part
    normal = 1 << tuplet.bit_length() - 1  # three in the time of two, five to seven in that of four
    plain = quarters * tuplet / normal
    ones = plain.numerator // (plain.numerator & -plain.numerator)  # binary 1, 11, 111: no dot, one, two
    unit = NOTE_TYPES.get(plain / ones * (ones + 1) / 2)
    if unit is None or ones not in (1, 3, 7):
        return None
    sizes = f"<actual-notes>{tuplet}</actual-notes><normal-notes>{normal}</normal-notes>"
    ratio = f"<time-modification>{sizes}</time-modification>" if tuplet > 1 else ""
    return f"<type>{unit}</type>" + "<dot/>" * (ones.bit_length() - 1), ratio


def _note_values(quarters: Fraction) -> tuple[Fraction, ...]:
    """Split a length into those of note values: maximas, whole quarters, and what remains."""
    if _note_type(quarters):
        return (quarters,)
    first = min(Fraction(math.floor(quarters)), Fraction(32))
    if first in (0, quarters):
        first = Fraction(1 << quarters.numerator.bit_length() - 1, quarters.denominator)
    if first == quarters:
        raise ValueError(
            f"A score needs note values that can be written; there is none for {quarters} of a quarter. Use "
            "music.change_grid with a grid of 24 steps a quarter and may_round=True."
        )
    return _note_values(first) + _note_values(quarters - first)


@functools.lru_cache(10_000)
def _lengths(n_steps: int, steps_per_quarter: int) -> list[tuple[str, str, str]]:
    """Return the elements that say how long each of the tied notes is that last some steps together."""
    values = _note_values(Fraction(n_steps, steps_per_quarter)) if n_steps else ()
    return [(f"<duration>{value * steps_per_quarter}</duration>", *_note_type(value)) for value in values]


@functools.lru_cache(10_000)
def _spell(pitch: int, fifths: int) -> tuple[str, int, str]:
    """Return the place on the staff that a pitch has under a key signature, such as C4, its alteration, and its XML."""
    name = pitch_class_name(pitch % 12, fifths)
    alter = name.count("#") - name.count("b")
    octave, altered = (pitch - alter) // 12 - 1, f"<alter>{alter}</alter>" if alter else ""
    xml = f"<pitch><step>{name[0]}</step>{altered}<octave>{octave}</octave></pitch>"
    return f"{name[0]}{octave}", alter, xml


def _accidentals(stretches: list[_Stretch], fifths: int) -> dict[_Stretch, str]:
    """Return the accidentals of a measure: where neither the key signature nor a note before says the alteration."""
    signs = {step: (place < fifths) - (place >= 7 + fifths) for place, step in enumerate("FCGDAEB")}
    held: dict[str, int] = {}
    found = {}
    for stretch in sorted(stretches):
        place, alter, _ = _spell(stretch.pitch, fifths)
        if not stretch.is_tied_back and held.get(place, signs[place[0]]) != alter:
            held[place] = alter
            found[stretch] = f"<accidental>{ACCIDENTALS[alter]}</accidental>"
    return found


class _PartWriter:
    """Writes the measures of one part."""

    def __init__(self, piece: Piece, index: int, fifths: int) -> None:
        self.piece, self.index, self.fifths = piece, index, fifths
        self.notes = piece.notes[piece.notes["part"] == index]

    def write(self, lines: list[int]) -> Iterator[str]:
        """Yield the part line by line, with a measure between each two bar lines."""
        is_upbeat = self.piece.meters[0].step % self.piece.meters[0].bar_length_step(self.piece.steps_per_quarter) != 0
        yield f'<part id="P{self.index + 1}">'
        for number, stretches in enumerate(_split_at_bar_lines(self.notes, lines)):
            start_step, stop_step = lines[number : number + 2]
            yield f'<measure number="{number + (not is_upbeat)}"{IMPLICIT if number < is_upbeat else ""}>'
            yield from self._attributes(start_step)
            yield from self._tempos(start_step, stop_step)
            accidentals, at_step = _accidentals(stretches, self.fifths), start_step
            for voice, chords in enumerate(_share_among_voices(stretches), start=1):
                if voice > 1:
                    yield f"<backup><duration>{at_step - start_step}</duration></backup>"
                    at_step = start_step
                for chord in chords:
                    yield from self._chord([], at_step, chord[0].onset_step, voice, {})
                    at_step = chord[0].end_step
                    yield from self._chord(chord, chord[0].onset_step, at_step, voice, accidentals)
                yield from self._chord([], at_step, stop_step, voice, {})
                at_step = stop_step
            yield "</measure>"
        yield "</part>"

    def _attributes(self, step: int) -> Iterator[str]:
        """Yield what begins to hold at a bar line."""
        meters = self.piece.meters
        meter = meters[bisect_right(meters, step, key=lambda meter: meter.step) - 1]
        time = f"<time><beats>{meter.numerator}</beats><beat-type>{meter.denominator}</beat-type></time>"
        if step == 0:
            grid = f"<divisions>{self.piece.steps_per_quarter}</divisions><key><fifths>{self.fifths}</fifths></key>"
            sign, line = ("F", 4) if len(self.notes) and self.notes["pitch"].mean() < 57 else ("G", 2)
            yield f"<attributes>{grid}{time}<clef><sign>{sign}</sign><line>{line}</line></clef></attributes>"
        elif step == meter.step:
            yield f"<attributes>{time}</attributes>"

    def _tempos(self, start_step: int, stop_step: int) -> Iterator[str]:
        """Yield the tempos of a measure, in the first part alone."""
        tempos = self.piece.tempos if self.index == 0 else ()
        first, stop = (bisect_left(tempos, step, key=lambda tempo: tempo.step) for step in (start_step, stop_step))
        for tempo in tempos[first:stop]:
            speed = str(float(tempo.quarters_per_minute)).removesuffix(".0")
            mark = f"<metronome><beat-unit>quarter</beat-unit><per-minute>{speed}</per-minute></metronome>"
            place = f'<offset sound="yes">{tempo.step - start_step}</offset><sound tempo="{speed}"/>'
            yield f'<direction placement="above"><direction-type>{mark}</direction-type>{place}</direction>'

    def _chord(
        self, chord: list[_Stretch], onset_step: int, end_step: int, voice: int, accidentals: dict[_Stretch, str]
    ) -> Iterator[str]:
        """Yield the notes of a chord, or one rest: several times, with ties, where no note value says the length."""
        values = _lengths(end_step - onset_step, self.piece.steps_per_quarter)
        for index, (length, kind, ratio) in enumerate(values):
            if not chord:
                yield f"<note><rest/>{length}<voice>{voice}</voice>{kind}{ratio}</note>"
            for place, stretch in enumerate(chord):
                is_stop, is_start = stretch.is_tied_back or index > 0, stretch.is_tied_on or index < len(values) - 1
                ends = ["stop"] * is_stop + ["start"] * is_start
                ties, tied = ("".join(f'<{tag} type="{end}"/>' for end in ends) for tag in ("tie", "tied"))
                yield (
                    f'<note dynamics="{stretch.velocity / 0.9:.2f}">{"<chord/>" * (place > 0)}'
                    f"{_spell(stretch.pitch, self.fifths)[2]}{length}{ties}<voice>{voice}</voice>{kind}"
                    f"{accidentals.get(stretch, '') * (index == 0)}{ratio}<notations>{tied}</notations></note>"
                )


def _head(piece: Piece, first_bar_left_out: str) -> Iterator[str]:
    """Yield what stands before the music: title, and the names and instruments of the parts."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<score-partwise version="4.0">'
    if piece.title:
        yield f"<work><work-title>{escape(printable(piece.title))}</work-title></work>"
    yield f"<identification><encoding><software>mini_musessl</software></encoding>{first_bar_left_out}</identification>"
    yield "<part-list>"
    for number, (part, channel) in enumerate(zip(piece.parts, channels_of(piece.parts), strict=True), start=1):
        name, instrument = escape(printable(part.name)), f"P{number}-I1"
        yield f'<score-part id="P{number}"><part-name>{name}</part-name>'
        yield f'<score-instrument id="{instrument}"><instrument-name>{name}</instrument-name></score-instrument>'
        sound = f"<midi-channel>{channel + 1}</midi-channel><midi-program>{part.program + 1}</midi-program>"
        yield f'<midi-instrument id="{instrument}">{sound}</midi-instrument></score-part>'
    yield "</part-list>"


def _measure_lines(piece: Piece) -> list[int]:
    """Return the steps where measures begin, and where the last one ends; the last measure is full."""
    lines = sorted({0, *bar_lines_step(piece).tolist()})
    meter = [meter for meter in piece.meters if meter.step <= lines[-1]][-1]
    bar = meter.bar_length_step(piece.steps_per_quarter)
    return [*lines, lines[-1] + bar - (lines[-1] - meter.step) % bar]


def _first_bar_left_out(piece: Piece, stop_step: int) -> str:
    """Return what MusicXML cannot say of a first bar that a new meter cuts short: how much of it lies before."""
    meter = piece.meters[0]
    if (stop_step - meter.step) % meter.bar_length_step(piece.steps_per_quarter) == 0:
        return ""
    before = Fraction(-meter.step % meter.bar_length_step(piece.steps_per_quarter), piece.steps_per_quarter)
    field = f'<miscellaneous-field name="{FIRST_BAR_LINE}">{before}</miscellaneous-field>'
    return f"<miscellaneous>{field}</miscellaneous>"


def write_musicxml(music: Piece | VoiceGrid, path: str | os.PathLike[str]) -> None:
    """Write music as a score in MusicXML, with bars, ties and one staff a part.

    The key signature is that of the grid; where it is unknown, and for a piece, that of the key that fits the notes
    best (``harmony.signature_of``). The same music gives the same bytes. ``read_musicxml`` gives the same notes, parts,
    meters, tempos and title back, except for a part without notes, rest and changes of meter or tempo after the last
    note, a meter that repeats the one before on its bar line, and in names spaces around them and control characters.
    Where two notes of one pitch and part are tied over the same bar line, they may exchange their ends.

    >>> import tempfile
    >>> from mini_musessl import music
    >>> piece = music.Piece(music.make_notes(onset_step=[0, 24], duration_step=[24, 168], pitch=[60, 62]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_musicxml(piece, f"{folder}/c.musicxml")
    ...     read_musicxml(f"{folder}/c.musicxml") == piece
    True
    """
    piece = as_piece(music)
    if len(piece.notes) == 0:
        raise ValueError("A score needs at least one note; found a piece of 0 notes. Write another.")
    for meter in piece.meters:
        whole_number("The beats in a bar of a score", meter.numerator, 1, 128, "Longer bars can be written as MIDI.")
    lines, fifths = _measure_lines(piece), signature_of(music)
    text = [*_head(piece, _first_bar_left_out(piece, lines[1]))]
    for index in range(len(piece.parts)):
        text += _PartWriter(piece, index, fifths).write(lines)
    write_aside(Path(path), "\n".join([*text, "</score-partwise>", ""]).encode())
