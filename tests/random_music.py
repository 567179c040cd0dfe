"""Random pieces, grids and token ids for property tests."""

from typing import NamedTuple

import numpy as np
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
    rng = draw(st.randoms(use_true_random=False))
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
