"""Random pieces, grids, MIDI files and token ids for property tests."""

import random
import struct
from typing import NamedTuple

import numpy as np
from fuzzing import altered
from hypothesis import strategies as st

from mini_musessl import music, voices

FOUR_PARTS = tuple(music.Part(name) for name in voices.SATB)
METERS = ((4, 4), (3, 4), (6, 8))


@st.composite
def pieces(draw, n_parts=1, max_duration=40, may_overlap=True, meters=((4, 4),), steps_per_quarter=4):
    """Draw a piece at 4 steps a quarter: upbeat, meter changes at any step, silence at the end."""
    cell = st.tuples(
        st.integers(0, 150),
        st.integers(1, max_duration),
        st.integers(0, 127),
        st.integers(1, 127),
        st.integers(0, n_parts - 1),
    )
    rows = draw(st.lists(cell, max_size=20))
    notes = music.sort_notes(np.array(rows, music.NOTE_DTYPE))
    if not may_overlap:
        notes = without_overlaps(notes)
    end = int((notes["onset_step"] + notes["duration_step"]).max(initial=0))
    return music.Piece(
        notes=notes,
        steps_per_quarter=steps_per_quarter,
        # Bars are written up to the last note's onset: a bar line after it, while it is held, is not.
        meters=draw(meter_lists(meters, int(notes["onset_step"].max(initial=0)), steps_per_quarter)),
        parts=FOUR_PARTS[:n_parts] if n_parts > 1 else (music.Part(),),
        n_steps=end + draw(st.integers(0, 40)),
    )


@st.composite
def meter_lists(draw, meters, last_step, steps_per_quarter):
    """Draw an upbeat and meter changes up to a step, some of which cut a bar short."""
    first = draw(st.sampled_from(meters))
    bar = music.Meter(0, *first).bar_length_step(steps_per_quarter)
    steps = sorted(draw(st.sets(st.integers(1, last_step), max_size=3))) if last_step else []
    later = [music.Meter(step, *draw(st.sampled_from(meters))) for step in steps]
    return (music.Meter(-draw(st.integers(0, bar - 1)), *first), *later)


@st.composite
def grids(draw, n_voices=4, lowest=36, highest=81, repeats=True):
    """Draw a grid whose voices hold, repeat, move and rest."""
    n_steps = draw(st.integers(0, 24))
    pitch = np.full((n_steps, n_voices), voices.REST, np.int16)
    is_onset = np.zeros(pitch.shape, bool)
    kind = st.sampled_from(["hold", "move", "rest", "again"])
    kinds = draw(st.lists(kind, min_size=pitch.size, max_size=pitch.size))
    moves = iter(draw(st.lists(st.integers(lowest, highest), min_size=pitch.size, max_size=pitch.size)))
    for (step, voice), kind in zip(np.ndindex(pitch.shape), kinds, strict=True):
        before = pitch[step - 1, voice] if step else voices.REST
        now = {"hold": before, "again": before, "rest": voices.REST, "move": next(moves)}[kind]
        pitch[step, voice] = now
        is_again = kind == "again" and repeats
        is_onset[step, voice] = now != voices.REST and (now != before or is_again)
    names = voices.SATB[:n_voices]
    return voices.from_pitches(pitch, is_onset=is_onset, voice_names=names)


def without_overlaps(notes):
    """Leave out each note that begins while its part still sounds its pitch."""
    kept, end = [], {}
    for note in notes:
        key = int(note["part"]), int(note["pitch"])
        if end.get(key, 0) <= note["onset_step"]:
            end[key] = int(note["onset_step"] + note["duration_step"])
            kept.append(note)
    return np.array(kept, music.NOTE_DTYPE)


def make_random_piece(seed, n_notes=200, steps_per_quarter=24, n_velocities=32):
    """Make a piece of random notes with MidiTok's velocities, none of which overlaps another of its pitch."""
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.integers(0, n_notes * 6, n_notes)) * (steps_per_quarter // 12)
    notes = music.make_notes(
        onset_step=onset,
        duration_step=rng.integers(1, 8 * steps_per_quarter + 1, n_notes),
        pitch=rng.integers(0, 128, n_notes),
        velocity=127 * rng.integers(1, n_velocities + 1, n_notes) // n_velocities,
    )
    return music.Piece(without_overlaps(music.sort_notes(notes)), steps_per_quarter)


def any_ids(vocabulary, max_size=60):
    """Draw ids of a vocabulary in any order, every family about equally often."""
    spans = [vocabulary.slice_of(name) for name in vocabulary.names]
    token = st.sampled_from(spans).flatmap(lambda span: st.integers(span.start, span.stop - 1))
    return st.lists(token, max_size=max_size)


# MIDI files with every event that the standards name.


def midi_number(number, n_bytes=1):
    """Return a number in groups of seven bits, in so many bytes or more."""
    found = [number & 0x7F]
    while (number := number >> 7) or len(found) < n_bytes:
        found.append(0x80 | number & 0x7F)
    return bytes(reversed(found))


def midi_meta(kind, data=b""):
    return bytes([0xFF, kind]) + midi_number(len(data)) + data


def midi_chunk(track, name=b"MTrk"):
    return struct.pack(">4sL", name, len(track)) + track


def midi_file(*tracks, division=24, file_type=1, n_tracks=None):
    header = struct.pack(">4sLHHH", b"MThd", 6, file_type, len(tracks) if n_tracks is None else n_tracks, division)
    return header + b"".join(map(midi_chunk, tracks))


def in_riff(data, before=b""):
    form = b"RMID" + before + b"data" + struct.pack("<L", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<L", len(form)) + form


_CHANNEL = st.sampled_from([0, 0, 3, 9])
_BYTE = st.integers(0, 127)
_TEXT = st.sampled_from([b"", b"a", "ピアノ".encode(), b"caf\xe9", b"Piano\0", b"\xef\xbf\xbd", b"x" * 200])


def _channel_event(status, *data):
    return st.builds(lambda channel, *values: bytes([status | channel, *values]), _CHANNEL, *data)


# What says something of notes, programs, tempo, meter or names; meta events may be longer than the standard says.
TELLING = st.one_of(
    _channel_event(0x90, st.integers(60, 62), st.sampled_from([0, 1, 64, 127])),
    _channel_event(0x90, st.integers(60, 62), st.sampled_from([0, 0, 64])),
    _channel_event(0x80, st.integers(60, 62), _BYTE),
    _channel_event(0xC0, st.integers(0, 3)),
    st.builds(lambda tempo, rest: midi_meta(0x51, tempo.to_bytes(3, "big") + rest), st.integers(3 * 10**5, 9 * 10**5),
              st.sampled_from([b"", b"", b"\0"])),
    st.builds(lambda n, exponent, rest: midi_meta(0x58, bytes([n, exponent]) + rest), st.integers(1, 12),
              st.integers(0, 3), st.sampled_from([b"\x18\x08", b"\x18\x08", b"", b"\x18\x08\0"])),
    st.builds(lambda text: midi_meta(0x03, text), _TEXT),
)  # fmt: skip
_MESSAGE = st.binary(max_size=5).map(lambda data: bytes(byte & 0x7F for byte in data))
# What does not, whole or damaged.
SILENT = st.one_of(
    _channel_event(0xA0, _BYTE, _BYTE),
    _channel_event(0xB0, _BYTE, _BYTE),  # controllers, banks, and from 120 on modes: all notes off
    _channel_event(0xB0, _BYTE, st.integers(128, 255)),
    _channel_event(0xD0, _BYTE),
    _channel_event(0xE0, _BYTE, _BYTE),
    st.builds(midi_meta, st.integers(0, 127).filter(lambda kind: kind not in (0x03, 0x21, 0x2F, 0x51, 0x58)),
              st.binary(max_size=6)),
    st.builds(lambda data: b"\xf0" + midi_number(len(data) + 1) + data + b"\xf7", _MESSAGE),
    st.builds(lambda data: b"\xf0" + midi_number(len(data)) + data, _MESSAGE),  # goes on in packets
    st.builds(lambda data: b"\xf7" + midi_number(len(data)) + data, st.binary(max_size=5)),
    st.sampled_from([b"\xf1\x05", b"\xf2\x01\x02", b"\xf3\x01", b"\xf6", b"\xf8", b"\xfa", b"\xfe"]),
)  # fmt: skip


@st.composite
def midi_tracks(draw, silent=SILENT):
    """Draw a track as it may be found, and the same music as a list of (tick, telling event)."""
    found, told, tick, running = b"", [], 0, None
    for event in draw(st.lists(TELLING | TELLING | silent, max_size=15)):
        tick += (delta := draw(st.sampled_from([0, 0, 1, 7, 20, 150, 20_000])))
        found += midi_number(delta, draw(st.sampled_from([1, 1, 1, 2, 4])))
        may_run = event[0] == running and draw(st.booleans())
        found += event[1:] if may_run else event
        # Beyond what the standard allows, running status goes on after system and meta events.
        running = event[0] if event[0] < 0xF0 else running
        if event[0] & 0xF0 in (0x80, 0x90, 0xC0) or event[:2] in (b"\xff\x03", b"\xff\x51", b"\xff\x58"):
            told.append((tick, event))
    end = draw(st.sampled_from([midi_meta(0x2F)] * 3 + [midi_meta(0x2F) + b"\0\x90\x3c\x40\x05\x3c\0", None]))
    return found + (b"" if end is None else midi_number(0) + end), told


@st.composite
def midi_files(draw, silent=SILENT):
    """Draw a file as it may be found, what its tracks tell, and the ticks of a quarter."""
    tracks, told = zip(*draw(st.lists(midi_tracks(silent), min_size=1, max_size=3)), strict=True)
    # One note, so that there is music, on a channel of its own.
    tracks, told = (*tracks, b"\0\x9f\x46\x40\x09\x8f\x46\0\0\xff\x2f\0"), (*told, [(0, b"\x9fF@"), (9, b"\x8fF\0")])
    division = draw(st.sampled_from([24, 10, 480]))
    file_type = draw(st.sampled_from([1, 1, 0]))
    between = draw(st.sampled_from([b"", b"", midi_chunk(b"any\xff", b"XFIH")]))
    longer = draw(st.sampled_from([b"", b"", b"\0\0"]))
    header = struct.pack(">4sLHHH", b"MThd", 6 + len(longer), file_type, len(tracks), division) + longer
    # A foreign chunk behind a track without an end mark can't be told from a track with a wrong length.
    data = header + between + b"".join(map(midi_chunk, tracks)) + between
    wrapped = draw(st.sampled_from([data, data, in_riff(data), in_riff(data, b"LIST\4\0\0\0INFO"), bytes(128) + data]))
    return wrapped, told, division


def altered_midi(n_files, seed):
    """Yield files of random notes, programs, tempos and meta events, of which a few bytes are altered."""
    generator = np.random.default_rng(seed)
    for _ in range(n_files):
        tracks = [_random_track(generator) for _ in range(generator.integers(1, 4))]
        place = generator.integers(len(tracks))
        if generator.random() < 0.8:  # the lengths still fit: what is altered is an event
            tracks[place] = altered(tracks[place], generator)
            yield midi_file(*tracks, division=480)
        else:
            yield altered(midi_file(*tracks, division=480), generator)


def _random_track(generator):
    track = b""
    for _ in range(generator.integers(1, 40)):
        channel, pitch, value = (int(generator.integers(n)) for n in (3, 128, 128))
        track += midi_number(int(generator.choice([0, 120, 480, 40_000], p=[0.4, 0.3, 0.28, 0.02])))
        track += [
            bytes([0x90 | channel, pitch, value, 60, pitch, 0]),
            bytes([0x90 | channel, pitch, 64]) + midi_number(240) + bytes([0x80 | channel, pitch, 64]),
            bytes([0xB0 | channel, pitch, value]),
            bytes([0xC0 | channel, value]),
            midi_meta(0x51, generator.bytes(3)),
            midi_meta(0x58, bytes([value % 12 + 1, value % 5, 24, 8])),
            midi_meta(int(generator.integers(128)), generator.bytes(pitch % 9)),
            b"\xf0\x05\x7e\x7f\x09\x01\xf7",
        ][generator.choice(8, p=[0.3, 0.3, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])]
    return track + b"\0\xff\x2f\0"


# Scores in MusicXML, together with what is to be read from them at 24 steps a quarter.


class Score(NamedTuple):
    """The text of a score, and the notes (onset, duration, pitch, velocity, part), meters and tempos that it means."""

    text: str
    rows: list[tuple[int, ...]]
    meters: tuple[music.Meter, ...]
    tempos: tuple[music.Tempo, ...]


def xml(tag, *inside, **attributes):
    """Write an element; a hyphen in the name of an attribute is an underscore here."""
    written = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(map(str, inside))}</{tag}>"


STEPS = (("C", 0), ("D", 2), ("E", 4), ("F", 5), ("G", 7), ("A", 9), ("B", 11))
SIGNATURES = {
    (4, 4): xml("time", xml("beats", 4), xml("beat-type", 4), symbol="common"),
    (3, 4): xml("time", xml("beats", 3), xml("beat-type", 4)),
    (5, 8): xml("time", xml("beats", "3+2"), xml("beat-type", 8)),
    (7, 8): xml("time", xml("beats", 2), xml("beat-type", 4), xml("beats", 3), xml("beat-type", 8)),
    (6, 8): xml(
        "time",
        xml("beats", 6) + xml("beat-type", 8),
        xml("interchangeable", xml("beats", 3) + xml("beat-type", 4)),
    ),
}
NOISE = (
    xml("print", new_system="yes"),
    xml("direction", xml("direction-type", xml("octave-shift", type="down", size=8))),
    xml("direction", xml("direction-type", xml("metronome", xml("beat-unit", "half"), xml("beat-unit", "quarter")))),
    xml("harmony", xml("root", xml("root-step", "C")), xml("kind", "major")),
    xml("sound", dynamics=80),
    xml("barline", xml("repeat", direction="forward")),
)
TRANSPOSITIONS = (
    (-2, xml("diatonic", -1) + xml("chromatic", -2)),
    (-12, xml("chromatic", 0) + xml("octave-change", -1)),
    (3, xml("chromatic", 3)),
    (0, xml("diatonic", 0) + xml("chromatic", 0)),
)


@st.composite
def scores(draw):
    """Draw a score of full bars behind an upbeat, with every element that moves the cursor or changes what sounds."""
    rng = random.Random(draw(st.integers(0, 2**32)))  # thirty times as fast as hypothesis' own, which would also shrink
    signatures = [rng.choice(list(SIGNATURES)) for _ in range(rng.randint(1, 4))]
    lengths = [96 * top // bottom for top, bottom in signatures]
    upbeat = rng.choice([0, 0, 12, 24])
    meters = [music.Meter(upbeat - lengths[0] if upbeat else 0, *signatures[0])]
    starts = [0]
    for index, length in enumerate(lengths):
        if index and signatures[index] != signatures[index - 1]:
            meters.append(music.Meter(starts[-1], *signatures[index]))
        starts.append(starts[-1] + (upbeat if upbeat and not index else length))
    parts = [_Writer(rng, index, starts, signatures) for index in range(rng.randint(1, 3))]
    rows = sorted(tuple(row) for part in parts for row in part.rows)
    end = max((row[0] + row[1] for row in rows), default=0)
    tempos = {0: 120.0} | {step: speed for part in parts for step, speed in part.tempos if step < end}
    return Score(
        _assemble(rng, parts),
        rows,
        tuple(meter for meter in meters if meter.step < end),
        tuple(music.Tempo(*each) for each in sorted(tempos.items())),
    )


def _assemble(rng, parts):
    """Put parts into a score, part by part or measure by measure, with a name space or without."""
    listed = xml("part-list", *(xml("score-part", xml("part-name", "x"), id=part.name) for part in parts))
    space = rng.choice([{}, {"xmlns": "http://www.musicxml.org/ns"}])
    if rng.random() < 0.3:
        measures = zip(*(part.measures for part in parts), strict=True)
        whole = [
            xml("measure", *(xml("part", text, id=part.name) for part, text in zip(parts, row, strict=True)), number=1)
            for row in measures
        ]
        return xml("score-timewise", listed, *whole, **space)
    whole = [xml("part", *(xml("measure", each, number=1) for each in part.measures), id=part.name) for part in parts]
    return xml("score-partwise", listed, *whole, **space)


class _Writer:
    """Writes the measures of a part, and keeps what they mean."""

    def __init__(self, rng, index, starts, signatures):
        self.rng, self.index, self.name = rng, index, f"P{index}"
        self.divisions, self.rows, self.tempos, self.measures = 24, [], [], []
        self.voices = [(str(1 + voice // 2), str(1 + voice)) for voice in range(rng.randint(1, 4))]  # staff and voice
        self.tied = {voice: [] for voice in self.voices}  # pitch as written, alteration, row
        self.shift = {"1": 0, "2": 0}
        for number, start in enumerate(starts[:-1]):
            is_named = number == 0 or signatures[number] != signatures[number - 1] or rng.random() < 0.2
            written = SIGNATURES[signatures[number]] if is_named and (index == 0 or rng.random() < 0.5) else ""
            self.measures.append(self.measure(start, starts[number + 1] - start, written))

    def measure(self, start, length, signature):
        inside = self.new_divisions() + xml("attributes", signature + self.transposition())
        for voice in self.rng.sample(self.voices, len(self.voices)):
            if inside.endswith(("</note>", "</forward>")):
                inside += xml("backup", self.duration(length))
            inside += self.fill(voice, start, length)
        return inside

    def transposition(self):
        """Transpose one staff or all, unless a tie is under way."""
        if any(self.tied.values()) or self.rng.random() < 0.7:
            return ""
        staff = self.rng.choice(["1", "2", None])
        semitones, inside = self.rng.choice(TRANSPOSITIONS)
        self.shift |= {each: semitones for each in ("1", "2") if staff in (each, None)}
        return xml("transpose", inside, **({"number": staff} if staff else {}))

    def new_divisions(self):
        self.divisions = self.rng.choice([12, 24, 480, 768, 10080])
        return xml("attributes", xml("divisions", self.divisions))

    def duration(self, length):
        return xml("duration", f"{length * self.divisions / 24:g}")

    def fill(self, voice, start, length):
        """Write one voice of a measure, as long as the measure."""
        inside, at = "", 0
        while at < length:
            step = min(self.rng.choice([3, 4, 6, 8, 12, 18, 24, 48, 96]), length - at)
            inside += self.new_divisions() if self.rng.random() < 0.1 else ""
            inside += self.rng.choice(NOISE) if self.rng.random() < 0.1 else ""
            inside += self.tempo(start + at) if self.index == 0 and self.rng.random() < 0.1 else ""
            inside += self.event(voice, start + at, step)
            at += step
        return inside

    def tempo(self, step):
        unit, quarters, dots = self.rng.choice(
            [("quarter", 1, 0), ("half", 2, 0), ("quarter", 1.5, 1), ("eighth", 0.5, 0)]
        )
        speed = self.rng.choice([0, 60, 96.5])
        dotted = "<beat-unit-dot/>" * dots
        mark = xml("metronome", xml("beat-unit", unit), dotted, xml("per-minute", self.rng.choice(["", "c. "]), speed))
        sound, direction = xml("sound", tempo=speed), xml("direction", xml("offset", 1), xml("direction-type", mark))
        is_sound = self.rng.random() < 0.5
        if speed:
            self.tempos.append((step, speed * (1 if is_sound else quarters)))
        return sound if is_sound else direction

    def event(self, voice, onset, length):
        """Write a note, a chord or something that is not heard; what is tied goes on."""
        rest = xml("voice", voice[1]) + xml("staff", voice[0])
        kinds = ("chord", "chord", "chord", "rest", "cue", "unpitched", "forward", "grace")
        kind = "chord" if self.tied[voice] else self.rng.choice(kinds)
        any_pitch = xml("pitch", xml("step", "C"), xml("octave", 5))
        match kind:
            case "rest":
                return xml("note", "<rest/>", self.duration(length), rest)
            case "cue":
                return xml("note", "<cue/>", any_pitch, self.duration(length), rest)
            case "unpitched":
                return xml("note", "<unpitched/>", self.duration(length), rest)
            case "forward":
                return xml("forward", self.duration(length), rest)
            case "grace":
                tie = '<tie type="start"/>'
                return xml("note", "<grace/>", any_pitch, tie, rest) + self.chord(voice, onset, length, rest)
        return self.chord(voice, onset, length, rest)

    def chord(self, voice, onset, length, rest):
        """Write a note or a chord of notes, each with a pitch of its own."""
        before, self.tied[voice] = dict(self.tied[voice]), []
        fresh = [(self.rng.choice(STEPS), self.rng.choice([-1, 0, 0, 1]), self.rng.randint(2, 6)) for _ in range(3)]
        inside = ""
        # A number may be spelt in two ways: as C sharp and as D flat.
        chosen = {number(pitch): pitch for pitch in (*fresh[: self.rng.randint(1, 3)], *before)}.values()
        for place, pitch in enumerate(chosen):
            (step, _), alter, octave = pitch
            written = xml("pitch", xml("step", step), xml("alter", alter) if alter else "", xml("octave", octave))
            may_say_stop = pitch in before and self.rng.random() < 0.8
            begins = self.rng.random() < 0.2
            ties = '<tie type="stop"/>' * may_say_stop + '<tie type="start"/>' * begins
            loud = self.rng.choice([None, 70, 100])
            inside += xml(
                "note",
                "<chord/>" * (place > 0),
                written,
                self.duration(length),
                ties,
                rest,
                **({"dynamics": loud} if loud else {}),
            )
            row = before.get(pitch)
            if row:
                row[1] = onset + length - row[0]
            else:
                velocity = {None: 64, 70: 63, 100: 90}[loud]
                row = [onset, length, number(pitch) + self.shift[voice[0]], velocity, self.index]
                self.rows.append(row)
            if begins:
                self.tied[voice].append((pitch, row))
        return inside


def number(pitch):
    """Return the MIDI number of a step, an alteration and an octave."""
    (_, semitones), alter, octave = pitch
    return semitones + alter + 12 * (octave + 1)
