"""Scores in MusicXML in and out, through music21: bars, note values and ties there, notes on a grid of steps here.

Reading joins tied notes and counts their onsets in steps. Writing goes the other way: each part is cut at its bar
lines, what overlaps is shared among voices, and a length that no note value has becomes several notes with ties.

music21 takes a second to load, so the functions that need it import it themselves.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

import math
import os
import re
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mini_musessl.checks import check_grid, whole_number
from mini_musessl.files import check_file, write_aside
from mini_musessl.midi import DRUM_CHANNEL, channels_of
from mini_musessl.music import NOTE_DTYPE, Meter, Part, Piece, Tempo, bar_lines_step, check_is_piece, sort_notes

if TYPE_CHECKING:
    import music21

DEFAULT_VELOCITY = 64
ARCHIVE_BEGINNING = b"PK\x03\x04"  # .mxl is a zip archive

# From a score to a piece.


def _load_xml(path: Path) -> bytes:
    """Return the XML of a plain or compressed file."""
    data = path.read_bytes()
    if not data.startswith(ARCHIVE_BEGINNING):
        return data
    with zipfile.ZipFile(path) as archive:
        # The container names the score; other files in it are pictures.
        container = ET.fromstring(archive.read("META-INF/container.xml"))
        return archive.read(next(container.iter("rootfile"), ET.Element("none")).get("full-path", "a score"))


def _parse(path: Path) -> "tuple[music21.stream.Score, ET.Element]":
    """Return music21's score of a file, and the XML that it was made from."""
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    try:
        root = ET.fromstring(_load_xml(path))
    except (ET.ParseError, ValueError, LookupError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"A score must be MusicXML, plain or compressed; {path.name} cannot be parsed ({error}). "
            "It is another kind of file or damaged; export it again."
        ) from None
    if root.tag != "score-partwise":
        raise ValueError(
            f"A MusicXML score must begin with <score-partwise>; {path.name} begins with <{root.tag}>. "
            "Export it as MusicXML, part by part."
        )
    try:
        return MusicXMLImporter().xmlRootToScore(root), root
    except Exception as error:  # music21 lets ValueError, AttributeError and classes of its own rise from bad elements
        raise ValueError(
            f"The elements of a score must follow MusicXML; {path.name} breaks it ({type(error).__name__}: {error}). "
            "The file is damaged; export it again."
        ) from None


def _tied_rows(part: "music21.stream.Part") -> list[tuple[Fraction, Fraction, int, int]]:
    """Return a part's notes as (onset, end, pitch, velocity), times in quarters, tied notes as one."""
    flat = part.flatten()
    single = [
        (Fraction(flat.elementOffset(element)), note)
        for element in flat.notes
        for note in getattr(element, "notes", (element,))  # those of a chord
        if note.isNote and element.quarterLength > 0
    ]
    rows, waiting = [], defaultdict(list)
    for onset_quarter, note in single:
        end_quarter = onset_quarter + Fraction(note.quarterLength)
        kind = note.tie.type if note.tie else None
        before = waiting[note.pitch.midi, onset_quarter]
        if kind in ("stop", "continue") and before:
            index = before.pop(0)
            rows[index] = (rows[index][0], end_quarter, *rows[index][2:])
        else:
            index = len(rows)
            rows.append((onset_quarter, end_quarter, note.pitch.midi, note.volume.velocity or DEFAULT_VELOCITY))
        if kind in ("start", "continue"):
            waiting[note.pitch.midi, end_quarter].append(index)
    return rows


def _read_part(part: "music21.stream.Part", root: ET.Element) -> Part:
    """Return a part's name, program and channel as the XML has them."""
    # music21 would guess: a part called "soprano" gets the program of a choir, one without a name is called "None".
    part_id = part.getInstrument().partId
    listed = next((element for element in root.iter("score-part") if element.get("id") == part_id), ET.Element("none"))
    channel = listed.findtext("midi-instrument/midi-channel", "1").strip()
    program = listed.findtext("midi-instrument/midi-program", "1").strip()
    is_program = program.isdecimal() and 1 <= int(program) <= 128
    name = listed.findtext("part-name", "").strip()
    return Part(name, int(program) - 1 if is_program else 0, channel == str(DRUM_CHANNEL + 1))


def _read_meters(part: "music21.stream.Part", to_step: Callable, steps_per_quarter: int) -> tuple[Meter, ...]:
    """Return the meters of a part; a measure that does not begin on a bar line restates its meter."""
    meters: list[Meter] = []
    signature = (4, 4)
    for measure in part.getElementsByClass("Measure"):
        if measure.timeSignature is not None:
            signature = (measure.timeSignature.numerator, measure.timeSignature.denominator)
        step = to_step(measure.offset) if meters else -to_step(measure.paddingLeft)
        meter = Meter(step, *signature)
        is_same = bool(meters) and replace(meters[-1], step=step) == meter
        if is_same and (step - meters[-1].step) % meter.bar_length_step(steps_per_quarter) == 0:
            continue  # on a bar line of the same meter: nothing new
        meters = [*(earlier for earlier in meters if earlier.step < step), meter]
    return tuple(meters) or (Meter(0, 4, 4),)


def _read_tempos(score: "music21.stream.Score", to_step: Callable) -> tuple[Tempo, ...]:
    """Return the metronome marks of all parts that hold a number."""
    flat = score.flatten()
    marks = [(to_step(flat.elementOffset(mark)), mark.getQuarterBPM()) for mark in flat["MetronomeMark"]]
    # A dictionary keeps the last mark of those at one step; the default comes first.
    tempos = {0: 120.0} | {step: float(speed) for step, speed in marks if speed}
    return tuple(Tempo(step, speed) for step, speed in sorted(tempos.items()))


def read_musicxml(path: str | os.PathLike[str], steps_per_quarter: int = 24) -> Piece:
    """Read a score in MusicXML, plain (.musicxml, .xml) or compressed (.mxl), on a grid of ``steps_per_quarter``.

    Tied notes become one note. Repeats are read as written, once. Times move to the nearest step, and no note gets
    shorter than one step. Grace notes have no length and unpitched percussion has no pitch: both are left out. A short
    first bar is an upbeat; a short bar later on restates its meter, so that bars stay where the score has them.
    Dynamics are not turned into velocities: a note without a velocity of its own has 64.
    The piece has the parts that hold a note, and ends where its last note ends.
    """
    check_grid(steps_per_quarter)
    path = check_file(path, "read_musicxml", max_bytes=50_000_000)  # twice as many take a minute to parse
    score, root = _parse(path)
    rows, parts = [], []
    for part in score.parts:
        if part_rows := _tied_rows(part):
            rows += [(*row, len(parts)) for row in part_rows]
            parts.append(_read_part(part, root))
    if not rows:
        raise ValueError(f"A score must hold at least one pitched note; {path.name} holds none. Choose another file.")

    def to_step(quarter: float | Fraction) -> int:
        return math.floor(Fraction(quarter) * steps_per_quarter + Fraction(1, 2))

    latest = max(to_step(end) for _, end, *_ in rows) + 1
    whole_number("The end of the last note, in steps,", latest, 0, np.iinfo(np.int32).max, "Choose a coarser grid.")
    notes = [(to_step(onset), max(to_step(end) - to_step(onset), 1), *rest) for onset, end, *rest in rows]
    return Piece(
        sort_notes(np.array(notes, NOTE_DTYPE)),
        steps_per_quarter,
        meters=_read_meters(score.parts[0], to_step, steps_per_quarter),
        tempos=_read_tempos(score, to_step),
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

    def rest(n_steps: int) -> music21.note.Rest:
        return music21.note.Rest(quarterLength=Fraction(n_steps, steps_per_quarter))

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
    """Build a measure without notes: its meter where that changes, and how short it is."""
    import music21

    is_upbeat = piece.meters[0].step % piece.meters[0].bar_length_step(piece.steps_per_quarter) != 0
    measure = music21.stream.Measure(number=number + (not is_upbeat))
    meter = [meter for meter in piece.meters if meter.step <= start_step][-1]
    if start_step == 0 or meter.step == start_step:
        measure.timeSignature = music21.meter.TimeSignature(f"{meter.numerator}/{meter.denominator}")
    missing_step = meter.bar_length_step(piece.steps_per_quarter) - (stop_step - start_step)
    # music21 fills a short measure with rests unless it is told that it is short.
    padding = "paddingLeft" if number == 0 and is_upbeat else "paddingRight"
    setattr(measure, padding, Fraction(missing_step, piece.steps_per_quarter))
    return measure


def _make_part(index: int, piece: Piece, lines: list[int]) -> "music21.stream.Part":
    """Build one part: its instrument, and its measures with voices; the first part has the tempos."""
    import music21

    part = music21.stream.Part(id=f"P{index + 1}")
    part.partName = _printable(piece.parts[index].name)
    instrument = music21.instrument.Instrument()
    instrument.partId, instrument.instrumentId = f"P{index + 1}", f"P{index + 1}-I1"
    instrument.instrumentName = part.partName or f"Part {index + 1}"
    instrument.midiProgram, instrument.midiChannel = piece.parts[index].program, index % 16
    part.insert(0, instrument)
    stretches = _split_at_bar_lines(piece.notes[piece.notes["part"] == index], lines)
    for number, (start_step, stop_step) in enumerate(zip(lines[:-1], lines[1:], strict=True)):
        measure = _make_measure(piece, number, start_step, stop_step)
        for tempo in piece.tempos if index == 0 else ():
            if start_step <= tempo.step < stop_step:
                mark = music21.tempo.MetronomeMark(number=tempo.quarters_per_minute)
                measure.insert(Fraction(tempo.step - start_step, piece.steps_per_quarter), mark)
        for voice, chords in enumerate(_share_among_voices(stretches[number]), start=1):
            measure.insert(0, _make_voice(str(voice), chords, start_step, stop_step, piece.steps_per_quarter))
        part.insert(Fraction(start_step, piece.steps_per_quarter), measure)
    return part


def _measure_lines(piece: Piece) -> list[int]:
    """Return the steps where measures begin, and where the last one ends; the last measure is full."""
    lines = sorted({0, *bar_lines_step(piece).tolist()})
    meter = [meter for meter in piece.meters if meter.step <= lines[-1]][-1]
    bar = meter.bar_length_step(piece.steps_per_quarter)
    return [*lines, lines[-1] + bar - (lines[-1] - meter.step) % bar]


def _printable(text: str) -> str:
    """Return a text on one line without the control characters that XML forbids."""
    return "".join(character if character.isprintable() else " " for character in text)


def write_musicxml(piece: Piece, path: str | os.PathLike[str]) -> None:
    """Write a piece as a score in MusicXML, with bars, ties and one staff a part.

    The same piece gives the same bytes. ``read_musicxml`` gives the same notes, parts, meters, tempos and title back,
    except for a part without notes, rest and changes of meter or tempo after the last note, and control characters in
    names. Where two notes of one pitch and part are tied over the same bar line, they may exchange their ends.

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
    import music21
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    score = music21.stream.Score()
    score.metadata = music21.metadata.Metadata(title=_printable(piece.title) or " ")
    try:
        for index in range(len(piece.parts)):
            score.insert(0, _make_part(index, piece, _measure_lines(piece)))
        data = GeneralObjectExporter(score).parse()
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
    write_aside(Path(path), data)
