"""Tests of mini_musessl.musicxml."""

import copy
import importlib.util
import io
import itertools
import tempfile
import warnings
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import fuzzing
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_music import scores

from mini_musessl import harmony, music, musicxml, voices
from mini_musessl.music import Meter, Part, Piece, Tempo, make_notes

TRIPLET = Piece(make_notes(onset_step=[0, 8, 16], duration_step=8, pitch=[60, 62, 64]))
NAMES = ("", "soprano", "Clarinet in B♭", "Violin 2", "a & <b>")

CONTAINER = '<container><rootfiles><rootfile full-path="score.xml"/></rootfiles></container>'


def measure(number, *elements, implicit=""):
    return f'<measure number="{number}"{implicit}>' + "".join(elements) + "</measure>"


# of a duration in sixths of a quarter
def note(step, octave, duration, *extra, kind="quarter", first=""):
    pitch = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    length = f"<duration>{duration}</duration>" if duration else ""
    ties = "".join(f'<tie type="{tie}"/>' for tie in extra)
    return f"<note>{first}{pitch}{length}{ties}<type>{kind}</type></note>"


def archive(*others, kind=zipfile.ZIP_STORED, **files):
    buffer = io.BytesIO()
    names = {"container": "META-INF/container.xml", "score": "score.xml"}
    with zipfile.ZipFile(buffer, "w", kind) as packed:
        for name, text in (*others, *((names[name], text) for name, text in files.items())):
            packed.writestr(name, text)
    return buffer.getvalue()


ATTRIBUTES = "<attributes><divisions>6</divisions><time><beats>3</beats><beat-type>4</beat-type></time></attributes>"


def score_text(*measures):
    part = '<score-part id="P1"><part-name>alto</part-name></score-part>'
    return (
        '<?xml version="1.0"?><score-partwise version="4.0"><work><work-title>By hand</work-title></work>'
        f'<part-list>{part}</part-list><part id="P1">{"".join(measures)}</part></score-partwise>'
    )


BY_HAND = score_text(
    measure(0, ATTRIBUTES, note("G", 4, 6), implicit=' implicit="yes"'),
    measure(
        1,
        "<direction><direction-type><metronome><beat-unit>half</beat-unit><per-minute>48</per-minute></metronome>"
        "</direction-type></direction>",
        note("B", 4, 0, first="<grace/>"),
        note("C", 5, 12, kind="half"),
        note("E", 5, 12, kind="half", first="<chord/>"),
        note("C", 5, 6, "start"),
    ),
    measure(2, note("C", 5, 18, "stop", kind="half")),
)


@st.composite
def pieces(draw):
    steps_per_quarter = draw(st.sampled_from([4, 12, 24]))
    n_parts = draw(st.integers(1, 3))
    cells = draw(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5 * steps_per_quarter)), max_size=8))
    part_of = st.integers(0, n_parts - 1)
    # Every note has a pitch of its own: of two notes of one pitch that are tied over a bar line, none knows its end.
    drawn = [
        (beat * steps_per_quarter // 2, duration, 7 * index, draw(st.sampled_from([1, 64, 100, 127])), draw(part_of))
        for index, (beat, duration) in enumerate(cells, start=1)
    ]
    drawn += [(0, 3, 127, 90, part) for part in range(n_parts)]
    notes = music.sort_notes(np.array(drawn, music.NOTE_DTYPE))
    numerator, denominator = draw(st.sampled_from([(4, 4), (3, 4), (6, 8), (7, 8)]))
    bar = numerator * 4 * steps_per_quarter // denominator
    upbeat_step = draw(st.integers(0, bar - 1))
    meters = [Meter(upbeat_step - bar if upbeat_step else 0, numerator, denominator)]
    end_step = int((notes["onset_step"] + notes["duration_step"]).max())
    if upbeat_step + bar < end_step and draw(st.booleans()):
        meters.append(Meter(upbeat_step + bar, 5, 4))
    part = st.builds(Part, st.sampled_from(NAMES), st.integers(0, 127), st.booleans())
    return Piece(
        notes,
        steps_per_quarter,
        meters=tuple(meters),
        tempos=(Tempo(0, 80.0), Tempo(1, draw(st.sampled_from([60.0, 93.5])))),
        parts=tuple(draw(part) for _ in range(n_parts)),
        title=draw(st.sampled_from(["", "Air"])),
    )


@given(piece=pieces())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reading_what_was_written_gives_the_same_piece(tmp_path, piece):
    musicxml.write_musicxml(piece, tmp_path / "a.musicxml")
    assert musicxml.read_musicxml(tmp_path / "a.musicxml", piece.steps_per_quarter) == piece


PARTS = (Part("soprano"), Part("Clarinet in A", 71), Part("drums", 0, True), Part("drums 2", 5, True))


@pytest.mark.parametrize(
    "piece",
    [
        # the lowest and the highest pitches
        Piece(make_notes(range(0, 144, 24), 24, [0, 1, 11, 12, 59, 127])),
        # parts that are called like other instruments
        Piece(make_notes([0] * 4, 24, 60, part=range(4)), parts=PARTS),
        # a meter that changes inside a bar, and inside the first bar, with and without an upbeat
        *(
            Piece(make_notes([0], [24 * 12], [60]), meters=tuple(Meter(*meter) for meter in meters))
            for meters in (
                [(0, 4, 4), (96 + 24, 3, 4)],
                [(0, 4, 4), (48, 3, 4)],
                [(0, 3, 4), (24, 3, 4)],
                [(-72, 4, 4), (12, 3, 4)],
                [(-1, 4, 4), (1, 4, 4)],
                [(-48, 4, 4), (48, 3, 4)],
            )
        ),
        # more parts than MIDI has channels
        Piece(
            make_notes([0] * 40, 24, 60, part=range(40)), parts=tuple(Part(f"p{n}", n, n % 5 == 0) for n in range(40))
        ),
        # the slowest and the fastest tempo; short meters; grids whose tuplets have no name
        Piece(TRIPLET.notes, tempos=(Tempo(0, 0.001), Tempo(1, 1e9), Tempo(2, 1 / 3))),
        Piece(make_notes([0, 30], 4, [60, 61]), 64, meters=(Meter(0, 3, 256),)),
        *(Piece(make_notes([0, 3, 9], [2, 6, 1], [60, 61, 62]), steps) for steps in (1, 5, 7, 9, 13)),
        Piece(make_notes([0, 1, 479], [1, 480, 333], [60, 61, 62]), 480),
        # a unison of two loudnesses, and chords in which one note is tied
        Piece(make_notes([0, 0, 96], [96, 120, 24], [60, 64, 67], velocity=[1, 127, 64])),
        Piece(make_notes([0, 0], [96, 96], 60, velocity=[1, 127])),
        # notes and rests longer than the longest note value
        Piece(make_notes([0, 24 * 200], 24 * 100, [60, 62]), meters=(Meter(0, 100, 4), Meter(24 * 250, 3, 4))),
    ],
)
def test_awkward_pieces_survive(tmp_path, piece):
    musicxml.write_musicxml(piece, tmp_path / "a.musicxml")
    assert musicxml.read_musicxml(tmp_path / "a.musicxml", piece.steps_per_quarter) == piece


def test_the_same_piece_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        musicxml.write_musicxml(TRIPLET, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Joiners in emoji and Persian, spaces without a break, letters right to left, what XML and regular expressions mark.
@pytest.mark.parametrize(
    "name",
    [
        "👨\u200d👩\u200d👧",
        "\u0645\u06cc\u200c\u062e\u0648\u0627",
        "a\u00a0b\u3000c",
        "שיר",
        "第九番",
        "e\u0301\u0323",
        "\U0010fffd",
        "a & <b> ]]> &#0; \\1",
    ],
)
def test_a_name_in_any_script_survives(tmp_path, name):
    piece = Piece(TRIPLET.notes, parts=(Part(name),), title=name)
    musicxml.write_musicxml(piece, tmp_path / "a.musicxml")
    assert musicxml.read_musicxml(tmp_path / "a.musicxml") == piece


def test_what_xml_forbids_in_names_is_replaced(tmp_path):
    piece = Piece(TRIPLET.notes, parts=(Part("a\0\x1bb\r\nc\uffff"),), title="\ud800")
    musicxml.write_musicxml(piece, tmp_path / "a.musicxml")
    read = musicxml.read_musicxml(tmp_path / "a.musicxml")
    assert (read.parts[0].name, read.title) == ("a\ufffdb c\ufffd", "\ufffd")


@pytest.mark.parametrize("fifths", [-7, -3, 0, 4, 7])
def test_music21_reads_notes_names_and_key_from_what_was_written(tmp_path, fifths):
    from music21 import converter

    pitch = [[48 + 7 * fifths % 12, 60 + step % 13] for step in range(26)]  # below, the tonic, tied over the bar line
    grid = voices.from_pitches(pitch, voice_names=("low", "high"), fifths=fifths)
    musicxml.write_musicxml(grid, tmp_path / "a.musicxml")
    score = converter.parse(tmp_path / "a.musicxml")
    assert notes_of_music21(score) == Counter(
        (6 * onset, 6 * duration, pitch) for onset, duration, pitch, *_ in voices.to_piece(grid).notes.tolist()
    )
    assert {key.sharps for key in score.recurse().getElementsByClass("KeySignature")} == {fifths}
    names = {(each.pitch.midi % 12, each.pitch.name.replace("-", "b")) for each in score.recurse().notes}
    assert names == {(number, harmony.pitch_class_name(number, fifths)) for number, _ in names}


def test_accidentals_stand_where_key_and_bar_do_not_say_them(tmp_path):
    pitch = [[pitch] for pitch in (66, 65, 65, 66, 70, 70, 66, 65)]
    grid = voices.from_pitches(pitch, voice_names=("a",), fifths=1, is_onset=[[True]] * 8, meter=(1, 4))
    musicxml.write_musicxml(grid, tmp_path / "a.musicxml")
    signs = [note.findtext("accidental") for note in ET.parse(tmp_path / "a.musicxml").iter("note")]
    # F sharp is in the signature of G major; B flat is tied to nothing and needs its own in each bar.
    assert signs == [None, "natural", None, "sharp", "sharp", None, None, "natural"]


def test_a_score_by_hand_is_read_note_by_note(tmp_path):
    path = tmp_path / "hand.xml"
    path.write_text(BY_HAND)
    piece = musicxml.read_musicxml(path)
    # An upbeat G; the grace note is gone; C and E for two quarters; a C tied over the bar line, four quarters in all.
    rows = piece.notes[["onset_step", "duration_step", "pitch"]].tolist()
    assert rows == [(0, 24, 67), (24, 48, 72), (24, 48, 76), (72, 96, 72)]
    assert piece.meters == (Meter(-48, 3, 4),)
    assert piece.tempos == (Tempo(0, 120.0), Tempo(24, 96.0))
    assert (piece.parts, piece.title) == ((Part("alto"),), "By hand")
    assert set(piece.notes["velocity"]) == {64}


# By hand: what stands in the bars of one part, and the notes that sound: onset, duration (in quarters) and pitch.


def quarters(step, octave, duration, *inside, first="", after=""):
    """Write a note of a length in quarters, for divisions of 1."""
    pitch = f"<pitch><step>{step}</step>{''.join(inside)}<octave>{octave}</octave></pitch>"
    return f"<note>{first}{pitch}<duration>{duration}</duration>{after}</note>"


START, STOP = '<tie type="start"/>', '<tie type="stop"/>'
TIED = '<notations><tied type="{}"/></notations>'
STAVES = "<staff>1</staff>", "<staff>2</staff>"
VOICES = "<voice>1</voice>", "<voice>2</voice>"
REST = "<note><rest/><duration>{}</duration></note>"
BACK, FORWARD = "<backup><duration>{}</duration></backup>", "<forward><duration>{}</duration></forward>"
CHROMATIC = "<attributes><transpose{}><chromatic>{}</chromatic>{}</transpose></attributes>"
C, D = quarters("C", 4, 1), quarters("D", 4, 1)
PER_BAR = "<attributes><time><beats>{}</beats><beat-type>{}</beat-type></time></attributes>"
OVER = [C, C, C, C]
BY_QUARTERS = {
    "both hands of a piano": ([[C, D, BACK.format(2), quarters("C", 3, 2, after=STAVES[1])]], "0 1 60, 0 2 48, 1 1 62"),
    "three voices": (
        [[C, BACK.format(1), FORWARD.format(1), D, BACK.format(2), quarters("E", 4, 4)]],
        "0 1 60, 0 4 64, 1 1 62",
    ),
    "a chord with a shorter note": (
        [[quarters("C", 4, 2), quarters("E", 4, 1, first="<chord/>"), D]],
        "0 1 64, 0 2 60, 2 1 62",
    ),
    "back into the middle of a bar": (
        [[C, D, BACK.format(1), quarters("E", 4, 1), BACK.format(1.5), quarters("F", 4, 1)]],
        "0 1 60, 0.5 1 65, 1 1 62, 1 1 64",
    ),
    "back too far": ([[C, BACK.format(9), D]], "0 1 60, 0 1 62"),
    "divisions that change": (
        [[C, "<attributes><divisions>2.5</divisions></attributes>", quarters("D", 4, "1.25"), D]],
        "0 1 60, 1 0.5 62, 1.5 0.4 62",
    ),
    "a cue, a grace note and percussion": (
        [
            [
                quarters("G", 4, 1, first="<cue/>"),
                "<note><grace/><pitch><step>G</step><octave>4</octave></pitch></note>",
                "<note><unpitched/><duration>1</duration></note>",
                C,
                quarters("D", 4, 0),
            ]
        ],
        "2 1 60",
    ),
    "a hidden note": ([[C.replace("<note", '<note print-object="no"'), D]], "0 1 60, 1 1 62"),
    "cue size alone": ([[quarters("C", 4, 1, after='<type size="cue">quarter</type>')]], "0 1 60"),
    "a quarter tone goes up": (
        [[quarters("C", 4, 1, "<alter>0.5</alter>"), quarters("C", 4, 1, "<alter>-0.5</alter>")]],
        "0 1 61, 1 1 60",
    ),
    "an accidental without alter": ([[quarters("C", 4, 1, after="<accidental>sharp</accidental>")]], "0 1 60"),
    "a tie": ([[quarters("C", 4, 4, after=START)], [quarters("C", 4, 1, after=STOP), D]], "0 5 60, 5 1 62"),
    "a tie without stop": ([[quarters("C", 4, 4, after=START)], [C, D]], "0 5 60, 5 1 62"),
    "a tie without stop to another pitch": ([[quarters("C", 4, 4, after=START)], [D, C]], "0 4 60, 4 1 62, 5 1 60"),
    "a stop without start": ([[quarters("C", 4, 4)], [quarters("C", 4, 1, after=STOP)]], "0 4 60, 4 1 60"),
    "a tie over three bars": (
        [
            [quarters("C", 4, 4, after=START)],
            [quarters("C", 4, 4, after=STOP + START)],
            [quarters("C", 4, 1, after=STOP)],
        ],
        "0 9 60",
    ),
    "a tie that is only notated": (
        [[quarters("C", 4, 4, after=TIED.format("start"))], [quarters("C", 4, 1, after=TIED.format("stop"))]],
        "0 5 60",
    ),
    "a tie to another spelling": (
        [
            [quarters("C", 4, 4, "<alter>1</alter>", after=START)],
            [quarters("D", 4, 1, "<alter>-1</alter>", after=STOP)],
        ],
        "0 5 61",
    ),
    "a tie into another voice": (
        [
            [quarters("C", 4, 4, after=START + VOICES[0])],
            [D, BACK.format(1), quarters("C", 4, 1, after=STOP + VOICES[1])],
        ],
        "0 5 60, 4 1 62",
    ),
    "two voices in unison, one tied": (
        [
            [quarters("C", 4, 4, after=START + VOICES[0]), BACK.format(4), quarters("C", 4, 4, after=VOICES[1])],
            [quarters("C", 4, 1, after=VOICES[1]), BACK.format(1), quarters("C", 4, 2, after=STOP + VOICES[0])],
        ],
        "0 4 60, 0 6 60, 4 1 60",
    ),
    "the other voice does not end a tie": (
        [
            [
                quarters("C", 4, 1, after=START + VOICES[0]),
                D,
                BACK.format(2),
                FORWARD.format(1),
                quarters("C", 4, 1, after=VOICES[1]),
            ]
        ],
        "0 1 60, 1 1 60, 1 1 62",
    ),
    "rounded durations that just miss": (
        [
            ["<attributes><divisions>480</divisions></attributes>", quarters("C", 4, 1919, after=START)],
            [quarters("C", 4, 481, after=STOP), quarters("D", 4, 480)],
        ],
        "0 5 60, 5 1 62",
    ),
    "a clarinet": ([[CHROMATIC.format("", -2, ""), C]], "0 1 58"),
    "a guitar without diatonic": ([[CHROMATIC.format("", 0, "<octave-change>-1</octave-change>"), C]], "0 1 48"),
    "a double bass that doubles": ([[CHROMATIC.format("", 0, "<double/>"), C]], "0 1 48, 0 1 60"),
    "a piccolo that doubles": ([[CHROMATIC.format("", 0, '<double above="yes"/>'), C]], "0 1 60, 0 1 72"),
    "one staff transposes": (
        [[CHROMATIC.format(' number="2"', 5, ""), C, BACK.format(1), quarters("C", 3, 1, after=STAVES[1])]],
        "0 1 53, 0 1 60",
    ),
    "one staff transposes, then all": (
        [
            [
                CHROMATIC.format(' number="2"', 5, ""),
                quarters("C", 4, 1, after=STAVES[1]),
                CHROMATIC.format("", 1, ""),
                quarters("C", 4, 1, after=STAVES[1]),
                C,
            ]
        ],
        "0 1 65, 1 1 61, 2 1 61",
    ),
    "an instrument changes in a bar": (
        [[C, CHROMATIC.format("", -3, ""), C, BACK.format(2), quarters("G", 4, 1, after=VOICES[1])]],
        "0 1 60, 0 1 67, 1 1 57",
    ),
    "a concert score names the player's transposition": (
        [
            [
                "<attributes><for-part><part-transpose><chromatic>-2</chromatic></part-transpose></for-part></attributes>",
                C,
            ]
        ],
        "0 1 60",
    ),
    "8va": (
        [['<direction><direction-type><octave-shift type="down" size="8"/></direction-type></direction>', C]],
        "0 1 60",
    ),
    "a clef an octave lower": (
        [["<attributes><clef><sign>G</sign><clef-octave-change>-1</clef-octave-change></clef></attributes>", C]],
        "0 1 60",
    ),
    "a chord without a first note": ([[quarters("E", 4, 1, first="<chord/>"), C]], "0 1 64, 1 1 60"),
    "a quarter tone that is transposed by another": (
        [[CHROMATIC.format("", 0.5, ""), quarters("C", 4, 1, "<alter>0.5</alter>"), C]],
        "0 1 61, 1 1 61",
    ),
    "a note too short for any grid": (
        [["<attributes><divisions>999999999999999</divisions></attributes>", C]],
        "0 0.05 60",
    ),
    "a note of another name space": ([[C + C.replace("<note>", '<note xmlns="urn:x">') + D]], "0 1 60, 1 1 62"),
    "a rest of four in a bar of three": ([[PER_BAR.format(3, 4), REST.format(4)], [C]], "3 1 60"),
    "an empty bar": ([[PER_BAR.format(3, 4)], [C]], "3 1 60"),
    "a bar without end": ([[FORWARD.format(2)], [C]], "2 1 60"),
    "a bar too long": ([[*OVER, C], [D]], "0 1 60, 1 1 60, 2 1 60, 3 1 60, 4 1 60, 5 1 62"),
    "repeats as written": ([[C, '<barline><repeat direction="backward" times="3"/></barline>'], [D]], "0 1 60, 1 1 62"),
}


def read_text(folder, text, name="s.musicxml", steps_per_quarter=24):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return musicxml.read_musicxml(path, steps_per_quarter)


@pytest.mark.parametrize("measures, expected", BY_QUARTERS.values(), ids=BY_QUARTERS)
def test_each_element_means_what_the_standard_says(tmp_path, measures, expected):
    piece = read_text(tmp_path, score_text(*(measure(1, *inside) for inside in measures)), steps_per_quarter=20)
    rows = [
        " ".join(f"{value:g}" for value in (onset / 20, duration / 20, pitch))
        for onset, duration, pitch, *_ in sorted(piece.notes.tolist())
    ]
    assert ", ".join(rows) == expected


@given(score=scores())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_random_score_is_read_as_it_was_meant(tmp_path, score):
    if not score.rows:
        return
    piece = read_text(tmp_path, score.text)
    numbers = sorted({row[-1] for row in score.rows})  # of the parts that hold a note
    assert sorted((*row[:-1], numbers[row[-1]]) for row in piece.notes.tolist()) == score.rows
    assert (piece.meters, piece.tempos) == (score.meters, score.tempos)


def several(*parts):
    """Write a score of several parts, each some measures of text."""
    texts = "".join(f"<part>{''.join(measure(1, inside) for inside in part)}</part>" for part in parts)
    return f"<score-partwise>{texts}</score-partwise>"


FULL = {n: C * n for n in range(1, 18)}
COMPOSITE = "<attributes><time><beats>{}</beats><beat-type>8</beat-type>{}</time></attributes>"
SENZA = "<attributes><time><senza-misura/></time></attributes>"


@pytest.mark.parametrize(
    "parts, meters",
    [
        # an upbeat; an upbeat in a part that rests too long
        ([[PER_BAR.format(3, 4) + C, FULL[3]]], [(-48, 3, 4)]),
        ([[PER_BAR.format(3, 4) + FULL[3], C, FULL[3]]], [(0, 3, 4), (96, 3, 4)]),
        # no meter is named; only in the second part; only there from the second bar on; after the first part's end
        ([[FULL[4], FULL[4]]], [(0, 4, 4)]),
        ([[FULL[3], FULL[3]], [PER_BAR.format(3, 4) + FULL[3], FULL[3]]], [(0, 3, 4)]),
        (
            [[PER_BAR.format(4, 4) + FULL[4], FULL[3]], [FULL[4], PER_BAR.format(3, 4) + FULL[3]]],
            [(0, 4, 4), (96, 3, 4)],
        ),
        ([[FULL[4]], [FULL[4], PER_BAR.format(3, 4) + FULL[3]]], [(0, 4, 4), (96, 3, 4)]),
        # 3/4 in one part, 6/8 in the other
        ([[PER_BAR.format(3, 4) + FULL[3]], [PER_BAR.format(6, 8) + FULL[3]]], [(0, 3, 4)]),
        # fifty numbers; 3 + 2 eighths; 3/8 + 1/4; 3/8, to be counted as 1/4 too
        ([[COMPOSITE.format("1+" * 49 + "101", "") + C]], [(12 * -148, 150, 8)]),
        ([[COMPOSITE.format("3+2", "") + C]], [(-36, 5, 8)]),
        ([[COMPOSITE.format("3", "<beats>1</beats><beat-type>4</beat-type>") + C]], [(-36, 5, 8)]),
        (
            [
                [
                    COMPOSITE.format("3", "<interchangeable><beats>1</beats><beat-type>4</beat-type></interchangeable>")
                    + C
                ]
            ],
            [(-12, 3, 8)],
        ),
        # a meter in the middle of a bar holds from the next one on; without a meter a bar has its own
        ([[FULL[2] + PER_BAR.format(3, 4) + FULL[2], FULL[3]]], [(0, 4, 4), (96, 3, 4)]),
        ([[SENZA + FULL[17], PER_BAR.format(2, 4) + FULL[2]]], [(0, 17, 4), (408, 2, 4)]),
        ([[FULL[4], FULL[5], FULL[4]]], [(0, 4, 4), (96, 5, 4), (216, 4, 4)]),
        # a million beats
        ([[PER_BAR.format(1_000_000, 4) + C, C]], [(24 - 24_000_000, 1_000_000, 4)]),
    ],
)
def test_meters_stand_where_the_bars_of_the_score_are(tmp_path, parts, meters):
    assert read_text(tmp_path, several(*parts)).meters == tuple(Meter(*meter) for meter in meters)


METRONOME = (
    "<direction>{}<direction-type><metronome>{}<per-minute>{}</per-minute></metronome></direction-type>{}</direction>"
)
QUARTER = "<beat-unit>quarter</beat-unit>"


@pytest.mark.parametrize(
    "mark, speed",
    [
        (METRONOME.format("", QUARTER, 90, ""), 90),
        (METRONOME.format("", QUARTER + "<beat-unit-dot/>", 60, ""), 90),
        (METRONOME.format("", "<beat-unit>32nd</beat-unit>", 800, ""), 100),
        (METRONOME.format("", QUARTER, "ca. 72-76", ""), 72),
        *((METRONOME.format("", QUARTER, text, ""), 120) for text in (0, "", "-", "nan", "9" * 400, "fast", -60, 1e-4)),
        (METRONOME.format("", QUARTER, "", '<sound tempo="50"/>'), 50),
        (METRONOME.format("<offset>1</offset>", QUARTER, 80, ""), 80),
        (METRONOME.format("<offset>-9</offset>", QUARTER, 80, ""), 80),
        (METRONOME.format('<offset sound="yes">3</offset>', QUARTER, 80, ""), 120),
        (METRONOME.format("", QUARTER + "<beat-unit>half</beat-unit>", 90, ""), 120),
        ('<sound tempo="66.5"/>', 66.5),
        *((f'<sound tempo="{text}"/>', 120) for text in ("0", "-60", "inf", "", "1e999", "1e10", "0.0001")),
    ],
)
def test_a_tempo_is_a_mark_with_a_number_above_zero(tmp_path, mark, speed):
    assert read_text(tmp_path, several([mark + FULL[4]])).tempos[0] == Tempo(0, speed)


INSTRUMENT = '<midi-instrument id="{}"><midi-channel>{}</midi-channel><midi-program>{}</midi-program></midi-instrument>'


@pytest.mark.parametrize(
    "instruments, instrument, part",
    [
        ("", "", Part("x")),
        (INSTRUMENT.format("I1", 3, 41), "", Part("x", 40)),
        (INSTRUMENT.format("I1", 3, 41) + INSTRUMENT.format("I2", 10, 1), '<instrument id="I2"/>', Part("x", 0, True)),
        (INSTRUMENT.format("I1", 3, 41) + INSTRUMENT.format("I2", 4, 5), '<instrument id="I3"/>', Part("x", 40)),
        *((INSTRUMENT.format("I1", "", program), "", Part("x")) for program in (0, 129, "", "x", "9" * 5000)),
    ],
)
def test_a_part_has_the_instrument_of_its_first_note(tmp_path, instruments, instrument, part):
    listed = f'<part-list><score-part id="P1"><part-name> x\n</part-name>{instruments}</score-part></part-list>'
    text = several([quarters("C", 4, 1, after=instrument)]).replace("<part>", f'{listed}<part id="P1">')
    assert read_text(tmp_path, text).parts == (part,)


MEDIA = 'media-type="application/vnd.recordare.musicxml+xml"'
ROOT_FILES = "<container><rootfiles>{}</rootfiles></container>"
PDF = '<rootfile full-path="a.pdf" media-type="application/pdf"/>'


@pytest.mark.parametrize(
    "data",
    [
        BY_HAND.replace("<score-partwise", '<score-partwise xmlns="urn:x"').encode(),
        # what another name space calls a note is none
        BY_HAND.replace("<score-partwise", '<score-partwise xmlns="urn:x"')
        .replace("</measure>", '<q:note xmlns:q="urn:q"><q:x/></q:note></measure>')
        .encode(),
        BY_HAND.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-16"?>').encode("utf-16"),
        b"\xef\xbb\xbf" + BY_HAND.encode(),
        archive(container=CONTAINER, score=BY_HAND),
        archive(
            ("mimetype", "application/vnd.recordare.musicxml"), ("META-INF/", ""), container=CONTAINER, score=BY_HAND
        ),
        archive(container=CONTAINER, score=BY_HAND, kind=zipfile.ZIP_DEFLATED),
        archive(
            container=CONTAINER.replace("<container", '<?xml version="1.0" encoding="UTF-16"?><container').encode(
                "utf-16"
            ),
            score=BY_HAND,
        ),
        archive(container=CONTAINER.replace("<container", '<container xmlns="urn:oasis"'), score=BY_HAND),
        archive(
            ("a.pdf", "%PDF" * 9999),
            container=ROOT_FILES.format(PDF + f'<rootfile full-path="score.xml" {MEDIA}/>'),
            score=BY_HAND,
        ),
        archive(
            ("b.xml", "<opus/>"),
            ("a b/Ä.musicxml", BY_HAND),
            container=ROOT_FILES.format('<rootfile full-path="a b/Ä.musicxml"/>' + PDF),
        ),
        archive(("cover.png", "x"), ("__MACOSX/._score.xml", "x"), score=BY_HAND),
        archive(("SCORE.XML", BY_HAND)),
        *(
            archive(("a b.xml", BY_HAND), container=ROOT_FILES.format(f'<rootfile full-path="{name}"/>'))
            for name in ("/a b.xml", "./a b.xml", "x/../a b.xml", "a%20b.xml", "gone.xml")
        ),
    ],
)
def test_a_score_is_read_in_every_wrapping(tmp_path, data):
    assert read_text(tmp_path, data, "a.mxl") == read_text(tmp_path, BY_HAND)


def test_a_document_type_and_an_entity_from_elsewhere_are_not_fetched(tmp_path):
    (tmp_path / "elsewhere.dtd").write_text("<!ENTITY x 'y'> no declaration")
    doctype = '<?xml version="1.0"?><!DOCTYPE score-partwise SYSTEM "{}/elsewhere.dtd">'
    text = BY_HAND.replace('<?xml version="1.0"?>', doctype.format(tmp_path.as_uri()))
    assert read_text(tmp_path, text) == read_text(tmp_path, BY_HAND)


@pytest.mark.parametrize("name", ["bach/bwv269", "bach/bwv10.7", "bach/bwv66.6"])
def test_chorales_agree_with_what_music21_reads_from_them(name):
    from music21 import corpus

    path = corpus.getWork(name)
    score = corpus.parse(name).stripTies()
    expected = Counter()
    for index, part in enumerate(score.parts):
        flat = part.flatten()
        for element in flat.notes:
            onset_step, duration_step = (Fraction(x) * 24 for x in (flat.elementOffset(element), element.quarterLength))
            expected.update((onset_step, duration_step, pitch.midi, index) for pitch in element.pitches)
    piece = musicxml.read_musicxml(path)
    assert Counter(piece.notes[["onset_step", "duration_step", "pitch", "part"]].tolist()) == expected
    assert [part.name for part in piece.parts] == [part.partName for part in score.parts]


def test_a_grid_too_coarse_moves_notes_to_the_nearest_step(tmp_path):
    musicxml.write_musicxml(TRIPLET, tmp_path / "a.musicxml")
    assert musicxml.read_musicxml(tmp_path / "a.musicxml", 1).notes["onset_step"].tolist() == [0, 0, 1]


def encrypted(data):
    """Set the flags of encryption in both headers of a zip archive's entries."""
    changed = bytearray(data)
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := changed.find(mark, at + 1)) >= 0:
            changed[at + place] |= 1
    return bytes(changed)


NO_XML = r"must be MusicXML, plain or compressed; bad\.xml cannot be parsed .*export it again"
ONE_REST = score_text(measure(1, ATTRIBUTES, "<note><rest/><duration>18</duration></note>"))
BOMB = archive(container=CONTAINER, score=b" " * (musicxml.MAX_BYTES + 1), kind=zipfile.ZIP_DEFLATED)
ENTITY = '<?xml version="1.0"{}?><!DOCTYPE s [<!ENTITY a "b">]>'
BROKEN = r"must follow MusicXML; bad\.xml breaks it in part 1, measure 2 \({}.*export it again"


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", r"must hold something; bad\.xml is empty"),
        (b"C D E", NO_XML),
        (BY_HAND.encode()[:-40], NO_XML),
        (b"PK\x03\x04 no archive", NO_XML),
        (archive(container=CONTAINER, score=BY_HAND)[:-30], NO_XML),
        (b'<?xml version="1.0" encoding="x-no"?><a/>', NO_XML),
        (archive(container="<container/>"), "it must hold a score, stored"),
        (archive(container=CONTAINER), "it must hold a score, stored"),
        (archive(("a.pdf", "%PDF")), "it must hold a score, stored"),
        (archive(container=CONTAINER, score=BY_HAND, kind=zipfile.ZIP_LZMA), "container.xml, stored or deflated"),
        (encrypted(archive(container=CONTAINER, score=BY_HAND)), "encrypted"),
        (BOMB, "score.xml, stored or deflated, of at most 50000000 bytes"),
        (b"<a>" + b"<b/>" * musicxml.MAX_MARKS + b"</a>", "10000007 bytes with 2500002 tags and attributes"),
        (BY_HAND.replace('<?xml version="1.0"?>', ENTITY.format("")).encode(), "it declares entities"),
        (BY_HAND.replace('<?xml version="1.0"?>', ENTITY.format(' encoding="UTF-16"')).encode("utf-16"), "it declares"),
        (b"<svg/>", r"must begin with <score-partwise>; bad\.xml begins with <svg>"),
        (
            BY_HAND.replace("<octave>5<", "<octave>high<").encode(),
            BROKEN.format("<octave> is 'high', no number"),
        ),
        (BY_HAND.replace("<octave>5<", "<octave>4.5<").encode(), BROKEN.format("<octave> is 4.5")),
        (BY_HAND.replace("<step>E<", "<step>H<").encode(), BROKEN.format("a pitch has the step 'H'")),
        (BY_HAND.replace("<duration>12<", "<duration>-1<").encode(), BROKEN.format("a <note> lasts -1")),
        *(
            (
                BY_HAND.replace("<duration>12<", f"<duration>{text}<").encode(),
                BROKEN.format("<duration> is .*no number"),
            )
            for text in ("", "nan", "1e9", "1/2", "9" * 5000)
        ),
        (
            BY_HAND.replace("<pitch>", "<pith>").replace("</pitch>", "</pith>").encode(),
            "has no <pitch>, <unpitched> or",
        ),
        *(
            (BY_HAND.replace("<divisions>6<", f"<divisions>{text}<").encode(), r"measure 1 \(")
            for text in ("0", "-1", "", "x")
        ),
        *(
            (BY_HAND.replace("<beats>3<", f"<beats>{text}<").encode(), r"measure 1 \(")
            for text in ("0", "-3", "", "3/4", "2.5", "9" * 15)
        ),
        (
            BY_HAND.replace("<beat-type>4<", "<beat-type>3<").encode(),
            "must have pairs of <beats>, a whole number, and <beat-type>, a",
        ),
        (BY_HAND.replace("<octave>4<", "<octave>10<").encode(), "A pitch that sounds must lie in 0..127; found"),
        (BY_HAND.replace("<octave>4<", "<octave>-9<").encode(), "A pitch that sounds must lie in 0..127; found -"),
        (BY_HAND.replace(">18<", ">1234567890<").encode(), "end of the last note, in steps, must lie in"),
        (ONE_REST.encode(), r"must hold at least one pitched note; bad\.xml holds none"),
    ],
)
def test_what_is_no_score_is_refused(tmp_path, data, sentence):
    (tmp_path / "bad.xml").write_bytes(data)
    with pytest.raises(ValueError, match=sentence):
        musicxml.read_musicxml(tmp_path / "bad.xml")


def test_a_grid_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "hand.xml").write_text(BY_HAND)
    with pytest.raises(ValueError, match="steps_per_quarter must lie in 1..32767; found 0"):
        musicxml.read_musicxml(tmp_path / "hand.xml", 0)
    with pytest.raises(ValueError, match="steps_per_quarter must lie in 1..32767; found 2147483648"):
        musicxml.read_musicxml(tmp_path / "hand.xml", 2**31)


@pytest.mark.parametrize(
    "piece, sentence",
    [
        (Piece(make_notes([], [], [])), "A score needs at least one note; found a piece of 0 notes"),
        (Piece(make_notes([0], [1], [60]), 10_000), r"needs note values that can be written; .*Use music\.change_grid"),
        (
            Piece(make_notes([0], [1], [60]), meters=(Meter(0, 1_000_000, 4),)),
            r"beats in a bar of a score must lie in 1\.\.128; found 1000000",
        ),
    ],
)
def test_what_a_score_cannot_say_is_not_written(tmp_path, piece, sentence):
    with pytest.raises(ValueError, match=sentence):
        musicxml.write_musicxml(piece, tmp_path / "a.musicxml")
    assert not list(tmp_path.iterdir())


CORPUS = Path(importlib.util.find_spec("music21").origin).parent / "corpus"

# Damaged scores, in a child process with limits.

VALUES = (
    "0",
    "-1",
    "1000000",
    "999999999999999",
    "9" * 5000,
    "1e400",
    "0.5",
    "3/4",
    "",
    "nan",
    "x",
    "\N{ARABIC-INDIC DIGIT FIVE}",
)


def altered_tree(text, generator):
    """Remove, repeat, move or rename elements of an XML text, and change their texts and attributes."""
    root = ET.fromstring(text)
    for _ in range(generator.integers(1, 5)):
        parents = [element for element in root.iter() if len(element)]
        parent = parents[generator.integers(len(parents))]
        place = int(generator.integers(len(parent)))
        child, value = parent[place], VALUES[generator.integers(len(VALUES))]
        match generator.integers(7):
            case 0:
                parent.remove(child)
            case 1:
                parent.insert(place, copy.deepcopy(child))
            case 2:
                parents[generator.integers(len(parents))].append(copy.deepcopy(child))  # itself, it might hold itself
            case 3:
                child.tag = parents[generator.integers(len(parents))].tag
            case 4:
                child.text = value
            case 5:
                ET.SubElement(parent, child.tag).text = value
            case 6:
                child.attrib |= dict.fromkeys((*child.attrib, "number", "type"), value)
    return ET.tostring(root, encoding="unicode")


def altered_scores(texts, n, seed=0):
    """Yield damaged scores, plain and compressed."""
    generator = np.random.default_rng(seed)
    for index in range(n):
        text = texts[index % len(texts)]
        kind = generator.integers(5)
        if kind < 2:
            text = altered_tree(text, generator)
        elif kind == 2:
            text = next(fuzzing.altered_numbers(text, generator))
        data = text.encode(["utf-8", "utf-16", "utf-8", "latin-1"][generator.integers(4)], errors="replace")
        if generator.random() < 0.4:
            data = archive(container=CONTAINER, score=data, kind=[0, 8][generator.integers(2)])
        yield fuzzing.altered(data, generator) if kind > 2 else data


def read_bytes(data):
    with tempfile.TemporaryDirectory() as folder:
        return read_text(Path(folder), data)


def read_and_write(data):
    """Read a score; write what is short and read that again, which gives the same notes."""
    piece = read_bytes(data)
    if len(music.bar_lines_step(piece)) < 40 and len(piece.notes) < 500:
        with tempfile.TemporaryDirectory() as folder:
            musicxml.write_musicxml(piece, f"{folder}/a.musicxml")
            again = musicxml.read_musicxml(f"{folder}/a.musicxml")
        pieces = [sorted(each.notes[["onset_step", "pitch"]].tolist()) for each in (piece, again)]
        assert pieces[0] == pieces[1]


def hard_scores():
    """Yield scores for which a second loop inside a loop, or a copy of a long text, would take minutes."""
    yield several([f"<attributes><time>{'<beats>1</beats><beat-type>4</beat-type>' * 10_000}</time></attributes>{C}"])
    part = several([C.replace("<note>", '<note><instrument id="x"/>')])[
        len("<score-partwise>") : -len("</score-partwise>")
    ]
    part = part.replace("<part>", '<part id="P1">')
    for name, instruments in (("a", '<midi-instrument id="y"/>' * 100_000), ("a" * 5_000_000 + " ", "")):
        entry = f'<score-part id="P1"><part-name>{name}</part-name>{instruments}</score-part>'
        yield f"<score-partwise><part-list>{entry}</part-list>{part * 3000}</score-partwise>"
    yield f"<score-partwise><part>{'<measure/>' * 100_000}<measure>{C}</measure></part></score-partwise>"


def test_no_score_takes_time_with_the_square_of_its_length():
    outcomes = fuzzing.run(read_bytes, hard_scores(), seconds_each=5, megabytes=500)
    assert {outcome.kind for outcome in outcomes} == {"read"}, fuzzing.report(outcomes)


def test_no_damaged_score_ends_in_a_foreign_error():
    outcomes = fuzzing.run(read_bytes, altered_scores([BY_HAND], 60))
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)
    assert len({outcome.kind for outcome in outcomes}) == 2


@pytest.mark.slow
def test_no_damaged_real_score_ends_in_a_foreign_error():
    names = (
        "bach/bwv66.6.mxl",
        "schoenberg/opus19/movement6.mxl",
        "demos/drum_sample.xml",
        "demos/multiple-verses.xml",
    )
    texts = [musicxml._unpack((CORPUS / name).read_bytes()).decode() for name in names]
    outcomes = fuzzing.run(read_and_write, altered_scores([BY_HAND, *texts], 300), seconds_each=60)
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)


# Notes as music21 reads them, and why some of its scores differ.

TIES = (
    "music21 leaves ties into or out of chords and between voices apart, or joins whole chords where one note is tied"
)
TIED_ONLY = "ties that are only notated are joined here, and cue notes left out"
EXCEPTIONS = {
    "bach/bwv248.23-2.mxl": TIES,
    "bach/bwv248.9-1.mxl": TIES,
    "bach/bwv846.mxl": TIES,
    "beethoven/opus18no1/movement3.mxl": "bars of a part that are too short: a tie over such a bar line has a gap",
    "haydn/opus1no1/movement3.mxl": "a bar of a part that is too short: a tie over its bar line has a gap",
    "haydn/opus74no1/movement2.mxl": TIES,
    "haydn/opus74no1/movement3.mxl": TIES,
    "monteverdi/madrigal.3.5.mxl": TIES,
    "monteverdi/madrigal.4.2.mxl": "ties that have no stop in the file are joined here",
    "schoenberg/opus19/movement6.mxl": TIES,
    "schumann_clara/polonaise_op1n3.mxl": TIES,
    "schumann_clara/polonaise_op1n4.mxl": TIES,
    "schumann_robert/dichterliebe_no2.xml": TIED_ONLY,
    "schumann_robert/opus41no1/movement2.mxl": TIES,
    "schumann_robert/opus48no2.mxl": TIED_ONLY,
}


def some_of_the_corpus():
    """Return a few hundred paths: chorales, the shorter half of the other MusicXML, and some Humdrum and ABC."""
    scores = sorted(path for path in CORPUS.rglob("*") if path.suffix in (".mxl", ".xml", ".musicxml"))
    chorales = [path for path in scores if path.parent.name == "bach"]
    others = sorted(
        set(scores) - set(chorales), key=lambda path: path.stat().st_size * (12 if path.suffix == ".mxl" else 1)
    )
    foreign = [path for suffix in ("krn", "abc") for path in sorted(CORPUS.rglob(f"*.{suffix}"))]
    return [*chorales[::3], *others[:150], *foreign[::50]]


def notes_of_music21(score, starts=None):
    """Count onset, duration and pitch in steps; ``starts`` puts the measures of all parts in their places."""
    for part in score.parts if starts else ():
        for start, each in zip(starts, part.getElementsByClass("Measure"), strict=False):
            part.setElementOffset(each, start)
        part.coreElementsChanged()
    found = Counter()
    for part in score.toSoundingPitch().stripTies().parts:
        flat = part.flatten()
        for element in flat.notes:
            onset = Fraction(flat.elementOffset(element))
            onset, end = (int(time * 24 + Fraction(1, 2)) for time in (onset, onset + Fraction(element.quarterLength)))
            if element.quarterLength > 0 and not {"Unpitched", "PercussionChord"} & set(element.classes):
                found.update((onset, max(end - onset, 1), pitch.midi) for pitch in element.pitches)
    return found


def differs_from_music21(path, folder):
    """Return whether our notes differ from music21's; where its parts lose each other, we say where measures begin."""
    from music21 import converter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = converter.parse(path, forceSource=True)
        if path.suffix in (".krn", ".abc"):
            score = score.scores[0] if "Opus" in score.classes else score
            path = Path(score.write("musicxml", fp=folder / "foreign.musicxml"))
            score = converter.parse(path, forceSource=True)
        ours = Counter(musicxml.read_musicxml(path).notes[["onset_step", "duration_step", "pitch"]].tolist())
        if ours == notes_of_music21(score):
            return False
        begins = [tuple(each.offset for each in part.getElementsByClass("Measure")) for part in score.parts]
        if len(set(begins)) == 1:
            return True
        starts = [0, *itertools.accumulate(length for length, _ in musicxml._read_parts(path)[1])]
        return ours != notes_of_music21(score, [Fraction(start, musicxml.TICKS) for start in starts])


@pytest.mark.slow
def test_scores_of_every_format_have_the_notes_that_music21_reads(tmp_path):
    paths = {path.relative_to(CORPUS).as_posix(): path for path in some_of_the_corpus()}
    assert len(paths) > 300
    silent = {"demos/drum_sample.xml"}  # percussion alone
    differing = {name for name, path in paths.items() if name not in silent and differs_from_music21(path, tmp_path)}
    assert differing == EXCEPTIONS.keys() & paths.keys()
