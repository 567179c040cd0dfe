"""From a score in MusicXML to a piece on the grid, through music21.

Chapter: 3a.
"""

from __future__ import annotations

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

# --- From a score in MusicXML to a piece on the grid, through music21

if TYPE_CHECKING:
    import music21

DEFAULT_VELOCITY = 64
ARCHIVE_BEGINNING = b"PK\x03\x04"  # .mxl is a zip archive


def read_musicxml(path: str | os.PathLike[str], steps_per_quarter: int = 24) -> Piece:
    """Read a score in MusicXML, plain (.musicxml, .xml) or compressed (.mxl).

    Tied notes become one note. Repeats are read as written, once. Times move to the nearest step, and no note gets
    shorter than one step. Grace notes have no length and unpitched percussion has no pitch: both are left out. A short
    first bar is an upbeat; a short bar later on restates its meter, so that bars stay where the score has them.
    Dynamics are not turned into velocities: a note without a velocity of its own has 64.

    Args:
        path: the file.
        steps_per_quarter: steps in a quarter note of the grid, 1 or more.

    Returns:
        The piece, with one part for each part of the score that holds a note. It ends where its last note ends.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no file at the path.
        ValueError: the file is not MusicXML, is damaged or holds no note; or the grid is wrong.

    Example:
        >>> import tempfile
        >>> from mini_musessl import midi, music
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     midi.write_musicxml(music.Piece(music.make_notes([0, 24], [24, 168], [60, 62])), f"{folder}/c.musicxml")
        ...     midi.read_musicxml(f"{folder}/c.musicxml").notes["duration_step"].tolist()
        [24, 168]

    Chapter: 3a.
    """
    check_grid(steps_per_quarter)
    path = check_file(path, "read_musicxml")
    score, root = _parse(path)
    rows, parts = [], []
    for part in score.parts:
        part_rows = _tied_rows(part)
        if part_rows:
            rows += [(*row, len(parts)) for row in part_rows]
            parts.append(_read_part(part, root))
    if not rows:
        raise ValueError(f"A score must hold at least one pitched note; {path.name} holds none. Choose another file.")
    return _to_piece(score, root, rows, tuple(parts), steps_per_quarter)


def _parse(path: Path) -> tuple[music21.stream.Score, ET.Element]:
    """Return music21's score of a file, and the XML that it was made from."""
    from music21.musicxml.xmlToM21 import MusicXMLImporter

    try:
        root = ET.fromstring(_load_xml(path))
    except (ET.ParseError, ValueError, LookupError, KeyError, zipfile.BadZipFile, zlib.error) as error:
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


def _load_xml(path: Path) -> bytes:
    """Return the XML of a plain or compressed file."""
    data = path.read_bytes()
    if not data.startswith(ARCHIVE_BEGINNING):
        return data
    with zipfile.ZipFile(path) as archive:
        # The container names the score; other files in it are pictures.
        container = ET.fromstring(archive.read("META-INF/container.xml"))
        return archive.read(next(container.iter("rootfile"), ET.Element("none")).get("full-path", "a score"))


def _tied_rows(part: music21.stream.Part) -> list[tuple[Fraction, Fraction, int, int]]:
    """Return a part's notes as (onset, end, pitch, velocity), times in quarters, tied notes as one."""
    rows, waiting = [], defaultdict(list)
    for onset_quarter, note in _single_notes(part):
        end_quarter = onset_quarter + Fraction(note.quarterLength)
        kind = note.tie.type if note.tie else None
        before = waiting[note.pitch.midi, onset_quarter]
        if kind in ("stop", "continue") and before:
            index = before.pop(0)
            rows[index] = (rows[index][0], end_quarter, *rows[index][2:])
        else:
            index = len(rows)
            velocity = note.volume.velocity or DEFAULT_VELOCITY
            rows.append((onset_quarter, end_quarter, note.pitch.midi, velocity))
        if kind in ("start", "continue"):
            waiting[note.pitch.midi, end_quarter].append(index)
    return rows


def _single_notes(part: music21.stream.Part) -> list[tuple[Fraction, music21.note.Note]]:
    """Return each pitched note that has a length, also of chords, with its onset in quarters, in order of onset."""
    import music21

    flat = part.flatten()
    return [
        (Fraction(flat.elementOffset(element)), note)
        for element in flat.notes
        for note in getattr(element, "notes", (element,))
        if isinstance(note, music21.note.Note) and element.quarterLength > 0
    ]


def _read_part(part: music21.stream.Part, root: ET.Element) -> Part:
    """Return a part's name, program and channel as the XML has them.

    music21 would guess: a part called "soprano" gets the program of a choir, and one without a name is called "None".
    """
    part_id = part.getInstrument().partId
    facts = next((element for element in root.iter("score-part") if element.get("id") == part_id), ET.Element("none"))
    channel = facts.findtext("midi-instrument/midi-channel", "1").strip()
    program = facts.findtext("midi-instrument/midi-program", "1").strip()
    is_program = program.isdecimal() and 1 <= int(program) <= 128
    name = facts.findtext("part-name", "").strip()
    return Part(name, int(program) - 1 if is_program else 0, channel == str(DRUM_CHANNEL + 1))


def _to_piece(
    score: music21.stream.Score, root: ET.Element, rows: list, parts: tuple[Part, ...], steps_per_quarter: int
) -> Piece:
    """Put the notes of a score on the grid."""

    def to_step(quarter: float | Fraction) -> int:
        return math.floor(Fraction(quarter) * steps_per_quarter + Fraction(1, 2))

    limit = np.iinfo(np.int32).max
    latest = max(to_step(end) for _, end, *_ in rows) + 1
    whole_number("The end of the last note, in steps,", latest, 0, limit, "Choose a coarser grid.")
    notes = np.array([(to_step(on), max(to_step(end) - to_step(on), 1), *rest) for on, end, *rest in rows], NOTE_DTYPE)
    return Piece(
        sort_notes(notes),
        steps_per_quarter,
        meters=_read_meters(score.parts[0], to_step, steps_per_quarter),
        tempos=_read_tempos(score, to_step),
        parts=parts,
        title=(root.findtext("work/work-title") or root.findtext("movement-title") or "").strip(),
    )


def _read_meters(part: music21.stream.Part, to_step: Callable, steps_per_quarter: int) -> tuple[Meter, ...]:
    """Return the meters of a part; a measure that does not begin on a bar line restates its meter."""
    meters: list[Meter] = []
    signature = (4, 4)
    for measure in part.getElementsByClass("Measure"):
        if measure.timeSignature is not None:
            signature = (measure.timeSignature.numerator, measure.timeSignature.denominator)
        step = to_step(measure.offset) if meters else -to_step(measure.paddingLeft)
        meter = Meter(step, *signature)
        if not meters or not _is_foreseen(meters[-1], meter, steps_per_quarter):
            meters = [*(earlier for earlier in meters if earlier.step < step), meter]
    return tuple(meters) or (Meter(0, 4, 4),)


def _is_foreseen(before: Meter, meter: Meter, steps_per_quarter: int) -> bool:
    """Return whether a meter only says again what the one before it says."""
    is_same = replace(before, step=meter.step) == meter
    return is_same and (meter.step - before.step) % before.bar_length_step(steps_per_quarter) == 0


def _read_tempos(score: music21.stream.Score, to_step: Callable) -> tuple[Tempo, ...]:
    """Return the metronome marks of all parts that hold a number."""
    flat = score.flatten()
    marks = [(to_step(flat.elementOffset(mark)), mark.getQuarterBPM()) for mark in flat["MetronomeMark"]]
    # A dictionary keeps the last mark of those at one step; the default comes first.
    tempos = {0: 120.0} | {step: float(speed) for step, speed in marks if speed}
    return tuple(Tempo(step, speed) for step, speed in sorted(tempos.items()))


# --- From a piece on the grid to a score in MusicXML, through music21

if TYPE_CHECKING:
    import music21


class Stretch(NamedTuple):
    """A note, or the part of one that sounds inside a measure.

    Attributes:
        onset_step: where it starts, in steps of the piece.
        end_step: where it ends.
        pitch: MIDI number.
        velocity: MIDI loudness, 1..127.
        is_tied_back: whether the note began in an earlier measure.
        is_tied_on: whether it goes on in the next one.
    """

    onset_step: int
    end_step: int
    pitch: int
    velocity: int
    is_tied_back: bool
    is_tied_on: bool


def write_musicxml(piece: Piece, path: str | os.PathLike[str]) -> None:
    """Write a piece as a score in MusicXML, with bars, ties and one staff a part.

    The same piece gives the same bytes; the file is written aside and then renamed. ``read_musicxml`` gives the same
    notes, parts, meters, tempos and title back, except for a part without notes, rest and changes of meter or tempo
    after the last note, and control characters in names. Where two notes of one pitch and part are tied over the same
    bar line, they may exchange their ends.

    Args:
        piece: what to write; at least one note.
        path: where to, usually with the ending ``.musicxml``; the folder must exist.

    Raises:
        TypeError: it is not a piece.
        ValueError: the piece has no note, or a bar that is not a whole number of steps.
        FileNotFoundError: the folder does not exist.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from mini_musessl import midi, music
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     midi.write_musicxml(music.Piece(music.make_notes([0], [24], [60])), f"{folder}/c.musicxml")
        ...     "score-partwise" in Path(f"{folder}/c.musicxml").read_text()
        True

    Chapter: 3a.
    """
    check_is_piece(piece)
    if len(piece.notes) == 0:
        raise ValueError("A score needs at least one note; found a piece of 0 notes. Write another.")
    import music21
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    try:
        data = GeneralObjectExporter(_make_score(piece)).parse()
    except (music21.exceptions21.Music21Exception, ZeroDivisionError) as error:
        raise ValueError(
            f"A score needs note values that can be written; music21 finds none for some note ({error}). "
            "Use music.change_grid with a grid of 24 steps a quarter and may_round=True."
        ) from error
    write_aside(Path(path), _with_our_facts(data, piece.parts))


def _make_score(piece: Piece) -> music21.stream.Score:
    """Build music21's score of a piece, measure by measure."""
    import music21

    score = music21.stream.Score()
    score.metadata = music21.metadata.Metadata(title=_printable(piece.title) or " ")
    lines = _measure_lines(piece)
    for index, part in enumerate(piece.parts):
        notes = piece.notes[piece.notes["part"] == index]
        score.insert(0, _make_part(index, part, notes, piece, lines))
    return score


def _measure_lines(piece: Piece) -> list[int]:
    """Return the steps where measures begin, and where the last one ends; the last measure is full."""
    lines = sorted({0, *bar_lines_step(piece).tolist()})
    meter = [meter for meter in piece.meters if meter.step <= lines[-1]][-1]
    bar = meter.bar_length_step(piece.steps_per_quarter)
    position = (lines[-1] - meter.step) % bar
    return [*lines, lines[-1] + bar - position]


def _make_part(index: int, part: Part, notes: np.ndarray, piece: Piece, lines: list[int]) -> music21.stream.Part:
    """Build one part: its instrument, and its measures with meters, tempos and voices."""
    import music21

    stream = music21.stream.Part(id=f"P{index + 1}")
    stream.partName = _printable(part.name)
    instrument = music21.instrument.Instrument()
    instrument.partId, instrument.instrumentId = f"P{index + 1}", f"P{index + 1}-I1"
    instrument.instrumentName = stream.partName or f"Part {index + 1}"
    instrument.midiProgram, instrument.midiChannel = part.program, index % 16
    stream.insert(0, instrument)
    pieces_of_notes = _split_at_bar_lines(notes, lines)
    for number, (start_step, stop_step) in enumerate(zip(lines[:-1], lines[1:], strict=True)):
        measure = _make_measure(piece, number, start_step, stop_step, has_tempo=index == 0)
        for voice in _make_voices(pieces_of_notes[number], start_step, stop_step, piece.steps_per_quarter):
            measure.insert(0, voice)
        stream.insert(Fraction(start_step, piece.steps_per_quarter), measure)
    return stream


def _make_measure(
    piece: Piece, number: int, start_step: int, stop_step: int, has_tempo: bool
) -> music21.stream.Measure:
    """Build a measure without notes: its meter where that changes, its tempos, and how short it is."""
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
    for tempo in piece.tempos if has_tempo else ():
        if start_step <= tempo.step < stop_step:
            mark = music21.tempo.MetronomeMark(number=tempo.quarters_per_minute)
            measure.insert(Fraction(tempo.step - start_step, piece.steps_per_quarter), mark)
    return measure


def _split_at_bar_lines(notes: np.ndarray, lines: list[int]) -> list[list[Stretch]]:
    """Return for each measure the stretches of notes that sound in it."""
    measures: list[list[Stretch]] = [[] for _ in lines[:-1]]
    for onset_step, duration_step, pitch, velocity, _ in notes.tolist():
        end_step = onset_step + duration_step
        first = int(np.searchsorted(lines, onset_step, side="right")) - 1
        last = int(np.searchsorted(lines, end_step, side="left")) - 1
        for number in range(first, last + 1):
            inside = (max(onset_step, lines[number]), min(end_step, lines[number + 1]))
            measures[number].append(Stretch(*inside, pitch, velocity, number > first, number < last))
    return measures


def _make_voices(
    stretches: list[Stretch], start_step: int, stop_step: int, steps_per_quarter: int
) -> list[music21.stream.Voice]:
    """Build the voices of a measure, gaps filled with rests."""
    import music21

    streams = []
    for number, voice in enumerate(_share_among_voices(stretches)):
        stream, at_step = music21.stream.Voice(id=str(number + 1)), start_step
        for chord in voice:
            if chord[0].onset_step > at_step:
                rest_quarter = Fraction(chord[0].onset_step - at_step, steps_per_quarter)
                stream.append(music21.note.Rest(quarterLength=rest_quarter))
            stream.append(_make_chords(chord, steps_per_quarter))
            at_step = chord[0].end_step
        if stop_step > at_step:
            stream.append(music21.note.Rest(quarterLength=Fraction(stop_step - at_step, steps_per_quarter)))
        streams.append(stream)
    return streams


def _share_among_voices(stretches: list[Stretch]) -> list[list[list[Stretch]]]:
    """Put notes that begin and end together into chords, and chords into the first voice that is free.

    music21 writes one velocity for all notes of a chord, so that only notes of one velocity may share a chord.
    """
    chords: dict[tuple[int, int, int], list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        chords[stretch.onset_step, stretch.end_step, stretch.velocity].append(stretch)
    voices: list[list[list[Stretch]]] = [[]]
    for (onset_step, _, _), chord in sorted(chords.items()):
        free = (voice for voice in voices if not voice or voice[-1][0].end_step <= onset_step)
        voice = next(free, None)
        if voice is None:
            voices.append(voice := [])
        voice.append(chord)
    return voices


def _make_chords(chord: list[Stretch], steps_per_quarter: int) -> list[music21.note.GeneralNote]:
    """Return a note or chord, or several that are tied where one note value cannot say the length.

    music21 would split them too, but lose velocities.
    """
    import music21

    values = _note_values(Fraction(chord[0].end_step - chord[0].onset_step, steps_per_quarter))
    chords = []
    for index, value in enumerate(values):
        notes = [_make_note(stretch, value, index > 0, index < len(values) - 1) for stretch in chord]
        chords.append(notes[0] if len(notes) == 1 else music21.chord.Chord(notes, quarterLength=value))
        chords[-1].volume = music21.volume.Volume(velocity=chord[0].velocity)
    return chords


def _note_values(length_quarter: Fraction) -> list[Fraction]:
    """Return the lengths of the note values that make up a length: one, or whole quarters and then the rest."""
    import music21

    whole = Fraction(math.floor(length_quarter))
    values = []
    for length in [length_quarter] if _is_one_value(length_quarter) else [whole, length_quarter - whole]:
        if length and _is_one_value(length):
            values.append(length)
        elif length:
            # Below a quarter music21's components are exact; above, those of tuplets are not.
            values += [Fraction(value.quarterLength) for value in music21.duration.Duration(length).components]
    return values


def _is_one_value(length_quarter: Fraction) -> bool:
    """Return whether one note value, with dots or in a tuplet, lasts this long."""
    import music21

    return len(music21.duration.Duration(length_quarter).components) == 1


def _make_note(
    stretch: Stretch, length_quarter: Fraction, is_after_own: bool, is_before_own: bool
) -> music21.note.Note:
    """Return one note, tied to what belongs to it before and after."""
    import music21

    note = music21.note.Note(midi=stretch.pitch, quarterLength=length_quarter)
    is_stop, is_start = stretch.is_tied_back or is_after_own, stretch.is_tied_on or is_before_own
    if is_stop or is_start:
        note.tie = music21.tie.Tie("continue" if is_stop and is_start else "start" if is_start else "stop")
    return note


def _printable(text: str) -> str:
    """Return a text on one line without the control characters that XML forbids."""
    return "".join(character if character.isprintable() else " " for character in text)


def _with_our_facts(data: bytes, parts: tuple[Part, ...]) -> bytes:
    """Take out the date, so that equal pieces give equal bytes, and the composer "Music21"; set the channels of drums.

    music21 hands out channels itself, and keeps channel 10 for one part at most.
    """
    data = re.sub(rb"\s*(<encoding-date>.*?</encoding-date>|<creator type=.composer.>Music21</creator>)", b"", data)
    channels = iter(channels_of(parts))
    return re.sub(rb"(?<=<midi-channel>)\d+", lambda _: str(next(channels) + 1).encode(), data)
