"""Tests of mini_musessl.musicxml."""

import io
import zipfile
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mini_musessl import music, musicxml
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


def archive(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, text in files.items():
            packed.writestr({"container": "META-INF/container.xml", "score": "score.xml"}[name], text)
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
        # a meter that changes inside a bar
        Piece(make_notes([0], [24 * 12], [60]), meters=(Meter(0, 4, 4), Meter(96 + 24, 3, 4))),
    ],
)
def test_what_music21_would_change_survives(tmp_path, piece):
    musicxml.write_musicxml(piece, tmp_path / "a.musicxml")
    assert musicxml.read_musicxml(tmp_path / "a.musicxml") == piece


def test_the_same_piece_gives_the_same_bytes_without_a_date_or_a_false_composer(tmp_path):
    for name in ("a", "b"):
        musicxml.write_musicxml(TRIPLET, tmp_path / name)
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes() and b"encoding-date" not in data and b">Music21<" not in data


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


def test_a_compressed_score_is_read(tmp_path):
    (tmp_path / "a.mxl").write_bytes(archive(container=CONTAINER, score=BY_HAND))
    (tmp_path / "a.xml").write_text(BY_HAND)
    assert musicxml.read_musicxml(tmp_path / "a.mxl") == musicxml.read_musicxml(tmp_path / "a.xml")


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


NO_XML = r"must be MusicXML, plain or compressed; bad\.xml cannot be parsed .*export it again"
ONE_REST = score_text(measure(1, ATTRIBUTES, "<note><rest/><duration>18</duration></note>"))


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", r"must hold something; bad\.xml is empty"),
        (b"C D E", NO_XML),
        (BY_HAND.encode()[:-40], NO_XML),
        (b"PK\x03\x04 no archive", NO_XML),
        (b'<?xml version="1.0" encoding="x-no"?><a/>', NO_XML),
        (archive(container="<container/>"), NO_XML),
        (archive(container=CONTAINER), NO_XML),
        (b"<svg/>", r"must begin with <score-partwise>; bad\.xml begins with <svg>"),
        (
            BY_HAND.replace("<octave>5<", "<octave>high<").encode(),
            r"must follow MusicXML; bad\.xml breaks it in part 1, measure 2 \(",
        ),
        (ONE_REST.encode(), r"must hold at least one pitched note; bad\.xml holds none"),
    ],
)
def test_what_is_no_score_is_refused(tmp_path, data, sentence):
    (tmp_path / "bad.xml").write_bytes(data)
    with pytest.raises(ValueError, match=sentence):
        musicxml.read_musicxml(tmp_path / "bad.xml")


def test_a_grid_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "hand.xml").write_text(BY_HAND)
    with pytest.raises(ValueError, match="steps_per_quarter must be at least 1; found 0"):
        musicxml.read_musicxml(tmp_path / "hand.xml", 0)
    with pytest.raises(ValueError, match="end of the last note, in steps, must lie in .*Choose a coarser grid"):
        musicxml.read_musicxml(tmp_path / "hand.xml", 2**31)


@pytest.mark.parametrize(
    "piece, sentence",
    [
        (Piece(make_notes([], [], [])), "A score needs at least one note; found a piece of 0 notes"),
        (Piece(make_notes([0], [1], [60]), 10_000), r"needs note values that can be written; .*Use music\.change_grid"),
    ],
)
def test_what_a_score_cannot_say_is_not_written(tmp_path, piece, sentence):
    with pytest.raises(ValueError, match=sentence):
        musicxml.write_musicxml(piece, tmp_path / "a.musicxml")
    assert not list(tmp_path.iterdir())
