"""From a score in MusicXML to a piece on the grid, through music21.

Chapter: 3a.
"""

from __future__ import annotations

import math
import os
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mini_musessl.midi.files import check_file
from mini_musessl.midi.ticks import DRUM_CHANNEL
from mini_musessl.music import NOTE_DTYPE, Meter, Part, Piece, Tempo, check_grid, sort_notes, whole_number

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
