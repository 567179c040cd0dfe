"""Scores: note values and spelling by hand, and a reader that is not ours."""

import os
import re
import subprocess
import sys
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl import harmony, notation, plotting, voices


@pytest.fixture
def excerpt():
    """Three bars of 3/4 after an upbeat: ties over bars, a syncopation, dots, rests, sixteenths, a fermata."""
    voice_1 = [67] * 4 + [71] * 6 + [72] * 2 + [74] * 8 + [73] * 1 + [74] * 3 + [-1] * 4 + [66] * 12
    voice_2 = [50] * 2 + [51] * 4 + [52] * 14 + [48] * 5 + [46] * 3 + [43] * 12
    pitch = np.stack([voice_1, voice_2], axis=1)
    is_onset = voices.from_pitches(pitch, voice_names=("high", "low")).is_onset
    is_onset[34, 0] = True  # 66 is struck twice
    return voices.from_pitches(
        pitch,
        voice_names=("high", "low"),
        is_onset=is_onset,
        meter=(3, 4),
        fifths=1,
        mode="major",
        bar_position_step=(np.arange(40) + 8) % 12,
        is_fermata=np.arange(40) >= 34,
    )


def columns(kern: str) -> list[list[str]]:
    """Return the tokens of each column, without comments."""
    rows = [line.split("\t") for line in kern.splitlines() if not line.startswith("!")]
    return [list(column) for column in zip(*rows, strict=True)]


def notes(kern: str, column: int) -> list[str]:
    """Return the notes and rests of a column."""
    return [token for token in columns(kern)[column] if token[0] not in "*=."]


def melody(*pitch_and_length: tuple[int, int], **facts) -> voices.VoiceGrid:
    """Return one voice from (pitch, length in steps) pairs."""
    pitch = [[p] for p, length in pitch_and_length for _ in range(length)]
    return voices.from_pitches(pitch, voice_names=("melody",), **facts)


def test_ties_dots_rests_and_fermatas_by_hand(excerpt):
    kern = notation.to_kern(excerpt)
    high = "4g | 4.b 8cc [4dd | 4dd] 16cc# 8.dd 4r | 4.f# [8f# 4f#];"
    low = "8D [8D# | 8D#] [8E 2E_ | 4E] [4C 16C] 8.AA# | 2.GG;"
    assert notes(kern, 1) == high.replace("| ", "").split()
    assert notes(kern, 0) == low.replace("| ", "").split()


def test_music21_reads_the_same_notes(excerpt):
    from music21 import converter

    score = converter.parse(notation.to_kern(excerpt), format="humdrum").stripTies()
    for part, voice in zip(score.parts, (0, 1), strict=True):
        read = [
            (Fraction(n.getOffsetInHierarchy(score)), Fraction(n.quarterLength), -1 if n.isRest else n.pitch.midi)
            for n in part.recurse().notesAndRests
        ]
        ours = voices.to_piece(excerpt).notes
        ours = [
            (Fraction(int(n["onset_step"]), 4), Fraction(int(n["duration_step"]), 4), int(n["pitch"]))
            for n in ours[ours["part"] == voice]
        ]
        assert [note for note in read if note[2] != -1] == ours
    assert score.recurse().getElementsByClass("KeySignature")[0].sharps == 1
    assert score.recurse().getElementsByClass("TimeSignature")[0].ratioString == "3/4"


def test_a_score_has_one_head_for_each_tied_piece(excerpt):
    kern = notation.to_kern(excerpt)
    n_pieces = sum("r" not in token for column in (0, 1) for token in notes(kern, column))
    svg = notation.to_svg(excerpt)
    assert re.findall(r'class="([^"]*)"', svg).count("note") == n_pieces
    assert re.findall(r'class="([^"]*)"', svg).count("tie") == sum(
        "[" in t or "_" in t for c in (0, 1) for t in notes(kern, c)
    )
    assert re.findall(r'class="([^"]*)"', svg).count("fermata") == 2


def test_the_same_music_gives_the_same_score(excerpt):
    assert notation.to_svg(excerpt) == notation.to_svg(notation.to_kern(excerpt)) == notation.to_svg(excerpt)


@pytest.mark.parametrize(
    ("pitch", "fifths", "name"),
    [
        (60, 0, "c"),
        (72, 0, "cc"),
        (48, 0, "C"),
        (36, 0, "CC"),
        (61, 2, "c#"),
        (61, -4, "d-"),
        (68, 0, "g#"),  # the leading note of A minor
        (63, 0, "d#"),  # in chorales oftener the leading note of E than a lowered third
        (63, -1, "e-"),
        (65, 3, "e#"),  # the leading note of F sharp minor
        (60, 7, "b#"),
        (71, -7, "cc-"),
        (59, -7, "c-"),
        (0, 0, "CCCCC"),
        (127, 0, "gggggg"),
    ],
)
def test_pitches_are_spelled_by_the_key(pitch, fifths, name):
    if name == "b#":
        name = "B#"  # the letter counts for the octave: B sharp below middle C sounds as middle C
    assert notes(notation.to_kern(melody((pitch, 4), fifths=fifths)), 0) == [f"4{name}"]


@pytest.mark.parametrize(
    ("fifths", "mode", "signature", "key"),
    [
        (2, "major", "*k[f#c#]", "*D:"),
        (-3, "minor", "*k[b-e-a-]", "*c:"),
        (0, "major", "*k[]", "*C:"),
        (-5, "minor", "*k[b-e-a-d-g-]", "*b-:"),
    ],
)
def test_key_signatures_by_hand(fifths, mode, signature, key):
    kern = notation.to_kern(melody((60, 4), fifths=fifths, mode=mode))
    assert columns(kern)[0][3:5] == [signature, key]


def test_an_unknown_key_is_that_which_fits_best():
    a_major = [(pitch, 4) for pitch in (69, 71, 73, 74, 76, 75, 76, 78, 80, 81)]
    kern = notation.to_kern(melody(*a_major))
    assert columns(kern)[0][3:5] == ["*k[f#c#g#]", "*M4/4"]  # a signature, and no key
    assert notes(kern, 0) == ["4a", "4b", "4cc#", "4dd", "4ee", "4dd#", "4ee", "4ff#", "4gg#", "4aa"]
    assert columns(notation.to_kern(melody((-1, 4))))[0][3] == "*k[]"  # no note says anything


@pytest.mark.parametrize("fifths", range(-7, 8))
def test_scores_and_chord_names_spell_alike(fifths):
    for pitch in range(60, 72):
        name = harmony.pitch_class_name(pitch % 12, fifths)
        (token,) = notes(notation.to_kern(melody((pitch, 4), fifths=fifths)), 0)
        assert token[1].upper() + token[1:].lstrip(token[1]).replace("-", "b") == name
        assert plotting.pitch_name(pitch, fifths).startswith(name)


@pytest.mark.parametrize(
    ("start", "stop", "meter", "lengths"),
    [
        (0, 16, (4, 4), [16]),
        (0, 14, (4, 4), [12, 2]),
        (0, 10, (4, 4), [8, 2]),
        (0, 5, (4, 4), [4, 1]),
        (0, 6, (4, 4), [6]),
        (2, 6, (4, 4), [4]),  # the common syncopation
        (2, 8, (4, 4), [2, 4]),
        (3, 5, (4, 4), [1, 1]),
        (1, 3, (4, 4), [2]),
        (4, 12, (3, 4), [8]),
        (0, 12, (6, 8), [12]),
        (0, 8, (6, 8), [6, 2]),
        (4, 8, (6, 8), [2, 2]),
        (0, 18, (9, 8), [12, 6]),
        (0, 8, (2, 2), [8]),
    ],
)
def test_note_values_by_hand(start, stop, meter, lengths):
    assert notation.note_values(start, stop, meter, 4) == lengths


@given(
    st.sampled_from([(4, 4), (3, 4), (6, 8), (9, 8), (12, 8), (2, 2), (5, 4), (3, 8)]),
    st.sampled_from([2, 4, 8, 12, 24]),
    st.data(),
)
def test_note_values_add_up_and_exist(meter, steps_per_quarter, data):
    bar = meter[0] * 4 * steps_per_quarter // meter[1]
    start = data.draw(st.integers(0, bar - 1))
    stop = data.draw(st.integers(start + 1, bar))
    lengths = notation.note_values(start, stop, meter, steps_per_quarter)
    assert sum(lengths) == stop - start
    simple = (
        {Fraction(dots, 2**k) for k in range(8) for dots in (1, 3)} | {Fraction(1, 3 * 2**k) for k in range(7)} | {2, 3}
    )
    assert {Fraction(length, 4 * steps_per_quarter) for length in lengths} <= simple


def test_triplets_have_their_values():
    kern = notation.to_kern(melody((60, 8), (62, 8), (64, 8), steps_per_quarter=24))
    assert notes(kern, 0) == ["12c", "12d", "12e"]


def test_a_named_voice_has_its_clef_however_low_it_lies():
    kern = notation.to_kern(voices.from_pitches([[62, 55, 50, 60]] * 4))
    assert [column[2] for column in columns(kern)] == ["*clefF4", "*clefGv2", "*clefG2", "*clefG2"]


def test_the_clef_of_another_voice_follows_its_range():
    kern = notation.to_kern(voices.from_pitches([[72, 57, 48]] * 4, voice_names=("a", "b", "c")))
    assert [column[2] for column in columns(kern)] == ["*clefF4", "*clefGv2", "*clefG2"]


def test_the_bass_comes_first_and_every_column_is_as_long(excerpt):
    kern = notation.to_kern(excerpt)
    assert [column[1] for column in columns(kern)] == ['*I"low', '*I"high']


@pytest.mark.parametrize(
    ("start", "stop", "bars"),
    [
        (0, 52, ["=1", "=2", "=3", "=="]),  # an upbeat of a quarter, then bars of 4/4
        (0, 36, ["=1", "=2", "="]),
        (20, 52, ["=2-", "=3", "=="]),
        (24, 46, ["=2-", "=3", "=-"]),
    ],
)
def test_an_excerpt_keeps_its_bar_numbers_and_has_no_final_double_bar(start, stop, bars):
    whole = melody((60, 52), bar_position_step=(np.arange(52) + 12) % 16)
    kern = notation.to_kern(voices.cut(whole, start, stop))
    assert [token for token in columns(kern)[0] if token.startswith("=")] == bars


def test_chords_are_named_under_the_beat_where_they_begin():
    chords = [[67, 62, 59, 43]] * 8 + [[66, 62, 57, 50]] * 4 + [[67, 60, 64, 48]] * 4
    grid = voices.from_pitches(chords, fifths=1, mode="major")
    kern = notation.to_kern(grid, has_chords=True)
    named, bass = columns(kern)[1], columns(kern)[0]
    assert [(name, bass[i]) for i, name in enumerate(named) if name[0] not in "*=."] == [
        ("G", "2GG"),
        ("D", "4D"),
        ("C", "4C"),
    ]
    assert named[0] == "**cdata"
    assert {"G", "D", "C"} <= set(re.findall(r">([^<>]+)<", notation.to_svg(grid, has_chords=True)))


def test_the_number_of_an_excerpts_first_bar_can_be_read():
    svg = notation.to_svg(voices.cut(melody((60, 160), (62, 160)), 128, 320))
    assert re.findall(r">(\d+)<", svg)[0] == "9"


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: notation.to_kern(voices.to_piece(melody((60, 4)))),
            TypeError,
            "a voices.VoiceGrid; found Piece",
        ),
        (lambda: notation.to_kern(voices.from_pitches(np.zeros((0, 4), int))), ValueError, "one step; found none"),
        (lambda: notation.to_kern(melody((60, 5), steps_per_quarter=5)), ValueError, "three times one; found 5"),
        (
            lambda: notation.to_svg("**kern" + 59_995 * "\n"),
            ValueError,
            "one tall page, 60000 characters of .*kern; this one has 60001. Engrave a cut of it",
        ),
        (lambda: notation.to_svg("hello"), ValueError, "verovio reads .*kern text; it cannot read 'hello'"),
    ],
)
def test_what_cannot_be_written_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_a_name_stays_in_its_column():
    lines = notation.to_kern(voices.from_pitches([[60]] * 4, voice_names=("a\tb\nc",))).splitlines()
    assert lines[1] == '*I"a b c'


@pytest.mark.parametrize(
    "name", ["a\0", "\x1b[2J", "L\ufffdbeck", "\ufffe", "<b>&'\"", '*I"x', "*-", "!!!x", "x" * 100_000, ""]
)
def test_whatever_a_voice_is_called_the_score_is_a_picture(name):
    ElementTree.fromstring(notation.to_svg(voices.from_pitches([[60]] * 4, voice_names=(name,))))


def test_kern_with_halves_of_characters_and_other_line_ends_is_engraved():
    kern = notation.to_kern(voices.from_pitches([[60]] * 4, voice_names=("a",)))
    odd = notation.to_svg(kern.replace('"a', '"\udcfc\0').replace("\n", "\r\n"))
    assert ElementTree.fromstring(odd) is not None and odd.count('class="note"') == 1


@pytest.fixture(scope="module")
def languages(tmp_path_factory):
    """German and Turkish, which write 0,5: made here, since few machines have them."""
    folder = tmp_path_factory.mktemp("languages")
    for name in ("de_DE", "tr_TR"):
        try:
            subprocess.run(["localedef", "-i", name, "-f", "UTF-8", folder / f"{name}.UTF-8"], capture_output=True)
        except FileNotFoundError:
            pytest.skip("localedef is not installed")
        if not (folder / f"{name}.UTF-8").exists():
            pytest.skip("this machine has no descriptions of languages")
    return folder


@pytest.mark.parametrize("language", ["de_DE.UTF-8", "tr_TR.UTF-8"])
def test_a_score_is_the_same_in_every_language(languages, language):
    program = (
        "import locale; from mini_musessl import notation, voices; from mini_musessl.show import show\n"
        "grid = voices.from_pitches([[66, 62]] * 3 + [[67, 60]] * 5, fifths=1, voice_names=('a', 'b'))\n"
        "def make(): return notation.to_svg(grid), show(grid, score=True).html\n"
        f"before = make(); locale.setlocale(locale.LC_ALL, '{language}')\n"
        "assert locale.localeconv()['decimal_point'] == ',' and make() == before\n"
        "assert locale.localeconv()['decimal_point'] == ','"
    )
    environment = os.environ | {"LOCPATH": str(languages)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
