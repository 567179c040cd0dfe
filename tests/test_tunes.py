"""Tests of mini_musessl.tunes: ABC notation by hand and against music21, collections, refusals."""

import os
import re
from fractions import Fraction

import fuzzing
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_musessl import music, tunes
from mini_musessl.corpora import music21_files
from mini_musessl.tunes import read_abc, split_tunes


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MUSESSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def notes(body, key="C", meter="4/4"):
    piece = read_abc(f"X:1\nT:t\nM:{meter}\nL:1/8\nK:{key}\n{body}")
    rows = piece.notes[["onset_step", "duration_step", "pitch"]].tolist()
    return [(Fraction(onset, 12), Fraction(duration, 12), pitch) for onset, duration, pitch in rows]


def pitches(body, key="C"):
    return [pitch for *_, pitch in notes(body, key)]


def durations(body, meter="4/4"):
    return [float(duration) for _, duration, _ in notes(body, meter=meter)]


HEAD = "X:1\nT:t\nM:4/4\nL:1/8\nK:C\n"


def test_letters_are_pitches():
    assert pitches("C B, c b c' C,,") == [60, 59, 72, 83, 84, 36]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("C, none", [65, 71, 60]),
        ("G, Em, EMin, A Dorian, D Mixolydian", [66, 71, 60]),
        ("D, Hp", [66, 71, 61]),
        ("F, Dm, Bb", [65, 70, 60]),
        ("F#m", [66, 71, 61]),
        ("D =c, Dmix=c, G clef=bass, D middle=d =c", [66, 71, 60]),
        ("D Phr ^f", [66, 70, 60]),
    ],
)
def test_the_key_alters_the_letters(keys, expected):
    assert all(pitches("FBC", key) == expected for key in keys.split(", "))


def test_an_accidental_holds_for_its_octave_to_the_end_of_its_bar():
    assert pitches("^F F f | F") == [66, 66, 77, 65]
    assert pitches("=F F | F _B ^^C __D", "G") == [65, 65, 66, 70, 62, 60]


def test_durations_are_multiples_and_parts_of_the_unit():
    assert durations("A2 A A/2 A/ A// A3/2 z2 A") == [2, 1, 0.5, 0.5, 0.25, 1.5, 1]
    assert notes("A z2 B")[1][0] == 3


def test_a_broken_rhythm_moves_the_border_of_two_notes():
    assert durations("A>B A<B A>>B A2>B2") == [1.5, 0.5, 0.5, 1.5, 1.75, 0.25, 3, 1]
    # through brackets, across a rest
    assert durations("(A>)B (A>(B)c)") == [1.5, 0.5, 1.5, 0.5, 1]
    assert notes("z>B c") == [(1.5, 0.5, 71), (2, 1, 72)]


def test_tuplets_take_the_time_of_others():
    third = float(Fraction(2, 3))
    assert durations("(3ABc d") == pytest.approx([third] * 3 + [1])
    assert durations("(2AB c", meter="6/8") == [1.5, 1.5, 1]
    assert durations("(3:2:2AB c") == pytest.approx([third] * 2 + [1])


def test_ties_join_only_notes_of_one_pitch():
    assert notes("A2-A B") == [(0, 3, 69), (3, 1, 71)]
    assert notes("A-|A B-c") == [(0, 2, 69), (2, 1, 71), (3, 1, 72)]


def test_what_does_not_sound_is_passed_over():
    assert notes('"Am"A {gf}B !trill!TC .D ~E HF (vG) uA `B y2 c % dd') == notes("A B C D E F G A B c")


@pytest.mark.parametrize(
    "text",
    [
        "H:a story\nABC of it\nK:C\nCD|",  # goes on without a mark of its own
        "K:C\nCD|\n\nA good old tune, by Ed.",
        "K:C\nCD|\n% not the end\n\nABC",
        "K:C\n%%begintext\nABC\n%%endtext\nCD|",
        "K:C\nC!invertedfermata!D|\nw:ab\n+:CDE",
        "K:C\nC\x85\u2028D|",
        "K:C\rCD|\r",
        "\n\nK:C\n\nCD|",
    ],
)
def test_words_about_a_tune_are_no_notes(text):
    assert read_abc(f"X:1\nL:1/8\n{text}").notes["pitch"].tolist() == [60, 62]


def test_repeats_are_not_played():
    assert pitches("|:A B|1 c:|2 d||") == [69, 71, 72, 74]


def test_an_upbeat_begins_before_the_first_bar_line():
    piece = read_abc("X:1\nM:3/4\nL:1/4\nK:C\nA|B c d|")
    assert piece.meters == (music.Meter(-48, 3, 4),)
    assert music.bar_position_step(piece, [0, 24]).tolist() == [48, 0]


def test_meter_and_tempo_and_title_are_kept():
    piece = read_abc("X:1\nT:First name\nT:Second name\nM:C|\nL:1/8\nQ:3/8=120\nK:C\nABcdABcd|\nM:6/8\nABcdef|")
    assert piece.title == "First name"
    assert piece.meters == (music.Meter(0, 2, 2), music.Meter(96, 6, 8))
    assert piece.tempos == (music.Tempo(0, 180.0),)
    # a beat may be a sum, and the tempo may change
    found = read_abc('X:1\nQ:"fast" 1/4 3/8=40\nL:1/4\nK:C\nAB|[Q:1/4=60]c').tempos
    assert found == (music.Tempo(0, 100.0), music.Tempo(48, 60.0))
    # the unit without a line of its own follows the meter
    assert [read_abc(f"X:1\nM:{meter}\nK:C\nA").n_steps for meter in ("2/4", "6/8")] == [6, 12]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{HEAD}C[CEG]", r"one note at a time, in signs that are known here; t has '\[CEG\]'"),
        (f"{HEAD}CE & GA", "one note at a time, .* t has '& GA'"),
        (f"{HEAD}[ CEG]", "one note at a time"),
        (f"{HEAD}+CEG+ A", "one note at a time"),  # an old chord, or an old ornament
        (f"{HEAD}^/C", "one note at a time"),  # a quarter tone
        (f"{HEAD}^_C", "one note at a time"),
        (f'{HEAD}"Am C', "one note at a time"),
        (f"{HEAD}{{cd C", "one note at a time"),
        (f"{HEAD}C[K:G D", "one note at a time"),
        (f"{HEAD}(10ABc", "one note at a time"),
        (f"{HEAD}V:1\nABc\nV:2\nCDE", "must have one voice; t has several"),
        (f"{HEAD}A\nX:2\nK:G\nB", "A tune must be one; behind t begins another. Use split_tunes first"),
        ("X:1\nT:Odd\nK:Bn\nABc", r"a letter, a mode and accidentals, such as G, A Dorian or D \^g; Odd has 'Bn'"),
        ("X:1\nT:Odd\nK:D transpose=-2\nABc", "; Odd has 'D transpose=-2'"),
        ("X:1\nT:Odd\nK:Am transpose=-2\nABc", "; Odd has 'Am transpose=-2'"),
        ("X:1\nT:Odd\nK:C clef=treble-8\nABc", "; Odd has 'C clef=treble-8'"),
        ("X:1\nT:Odd\nK:F\N{MUSIC SHARP SIGN}\nABc", "; Odd has 'F\N{MUSIC SHARP SIGN}'"),
        ("X:1\nT:Odd\nK:G#\nABc", "A key must have at most 7 sharps or flats; Odd has 'G#'"),
        ("X:1\nT:None\nABc", "A tune needs its key, a line such as K:G; None has none"),
        ("X:1\nT:\x1b[2J\ud800\nABc", "; \ufffd.2J\ufffd has none"),
        (f"{HEAD}z4|", "A tune needs at least one note; t has none"),
        (f"{HEAD}(7ABcdefg", "must lie on the grid of 24 steps a quarter; t has one that does not"),
        (f"{HEAD}A{'/' * 90}B", "must lie on the grid of 24 steps a quarter"),
        (f"{HEAD}A{'>' * 90}B", "must lie on the grid of 24 steps a quarter"),
        (f"{HEAD}A{'1' * 5000}", r"A length must lie in 1\.\.99999; t has 1+\.\.\.1+\."),
        (f"{HEAD}A/0", r"A length must lie in 1\.\.99999; t has 0\."),
        (f"{HEAD}A0", r"A length must lie in 1\.\.99999; t has 0\."),
        (f"{HEAD}(3:0ABc", r"one note at a time, .* t has '\(3:0ABc'"),
        (f"{HEAD}c{chr(39) * 9}", r"pitch must lie in 0\.\.127"),
        (f"{HEAD}A99999z99999", "A tune must play for at most 3 hours; t plays for longer"),
        ("X:1\nL:1/0\nK:C\nA", "A unit of length must be a fraction of .* such as 3/4; this one has '1/0'"),
        (f"X:1\nL:1/{'8' * 5000}\nK:C\nA", "A unit of length must be a fraction"),
        ("X:1\nM:2+3/8\nK:C\nA", "A meter must be a fraction .*; this one has '2.3/8'"),
        ("X:1\nM:0/4\nK:C\nA", "A meter must be a fraction .*; this one has '0/4'"),
        ("X:1\nM:3/7\nK:C\nA", "A meter needs a numerator of at least 1 and a power of two"),
        ("X:1\nM:3/128\nK:C\nA", "A bar must be a whole number of steps; 3/128"),
        ("X:1\nQ:1/4=0\nK:C\nA", "A tempo must be a whole number of beats, up to 1000 quarters .* has '1/4=0'"),
        ("X:1\nQ:1/4=99999\nK:C\nA", "A tempo must be a whole number of beats, up to 1000 quarters a minute"),
        ("X:1\nQ:1/4=120.5\nK:C\nA", "A tempo must be a whole number of beats"),
        ("X:1\nQ:C=120\nK:C\nA", "The beat of a tempo must be a fraction .* has 'C'"),
        (f"X:1\nQ:{'1/9 ' * 9}=1\nK:C\nA", "The beat of a tempo must be a fraction"),
        ("X:1\nQ:1/99999=1\nK:C\nA", "A tune must play for at most 3 hours"),
        ("A" * 100_001, "A tune must have at most 100000 characters; found 100001. Use split_tunes first"),
    ],
)
def test_tunes_that_are_no_melody_are_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_abc(text)


@pytest.mark.parametrize("given", [b"X:1\nK:C\nA", 5, None])
def test_what_is_no_text_is_refused(given):
    with pytest.raises(TypeError, match=r"A tune must be text; found .*Decode bytes with data\.decode"):
        read_abc(given)
    with pytest.raises(TypeError, match="A file of tunes must be text; found"):
        split_tunes(given)


def test_a_book_is_split_however_its_lines_end_and_one_without_end_is_refused():
    for end in ("\n", "\r\n", "\r"):
        book = f"\ufeffX:1{end}K:C{end}C|{end}{end}X:2{end}K:C{end}D|"
        assert [read_abc(tune).notes["pitch"].tolist() for tune in split_tunes(book)] == [[60], [62]]
    with pytest.raises(ValueError, match="A file of tunes must have at most 10000000 characters; found 10000001"):
        split_tunes("X" * 10_000_001)


#: Each is easily read in the square of its length, or in numbers of so many digits.
LONG = (
    *("{" * 60_000, '"' * 60_001, "[K:" * 20_000, "[M:3/4]A" * 7_000, "/" * 60_000, "c" + "'" * 60_000),
    *("^" * 60_000 + "A", ">" * 60_000, "".join(f"z/{number}" for number in range(3, 12_000))),
)


def test_long_tunes_are_read_or_refused_in_time():
    outcomes = fuzzing.run(read_abc, [*(HEAD + text for text in LONG), f"X:1\nQ:{'1' * 60_000}\nK:C\nA"])
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)


def altered_tunes(n_tunes, seed):
    generator = np.random.default_rng(seed)
    collections = [music21_files(name, ".abc")[0].read_bytes() for name in tunes.TUNE_COLLECTIONS]
    texts = [text for data in collections for text in split_tunes(data.decode("utf-8", "replace"))]
    for _ in range(n_tunes // 2):
        text = texts[generator.integers(len(texts))]
        yield fuzzing.altered(text.encode(), generator).decode("utf-8", "replace")
        yield next(fuzzing.altered_numbers(text, generator))


@pytest.mark.parametrize("n_tunes", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_altered_tunes_are_read_or_refused(n_tunes):
    outcomes = fuzzing.run(read_abc, altered_tunes(n_tunes, seed=n_tunes))
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)


@given(st.text(alphabet="ABCGabcgz^=_,'/0123456789()[]|:<>-{}\"!~TH \nMLKVQ", max_size=40))
def test_any_text_is_a_tune_or_refused(body):
    text = f"X:1\nM:6/8\nK:D\n{body}"
    try:
        piece = read_abc(text)
    except ValueError:
        with pytest.raises(ValueError, match=" must | needs "):
            read_abc(text)
    else:
        assert len(piece.notes) > 0 and piece.n_steps > piece.notes["onset_step"].max()


#: What music21 reads otherwise than the standard says: accidentals, ornaments, dots and bow marks, texts over notes,
#: ties, ``>`` beside a bracket or mark, and grace notes in a triplet.
NOT_PLAIN = re.compile(r"[\^_=H-Wh-w~.!\"-]|[<>]\s*[^A-Ga-g\s]|[^A-Ga-g0-9,'/\s]\s*[<>]|&|\(3[^|]{0,6}\{")
#: Two plain tunes of which music21 loses a written note.
LOST_NOTE = ("Wattie Lang.", "Irish Pelt.")


def read_with_music21(text):
    import music21

    score = music21.converter.parseData(text, format="abc")
    found = [note for note in score.parts[0].stripTies().flatten().notes if not note.duration.isGrace]
    return [(Fraction(note.offset) * 24, Fraction(note.quarterLength) * 24, note.pitch.midi) for note in found]


def check_plain_tunes_against_music21(collection, every):
    n_compared = 0
    files = [path.read_bytes().decode("utf-8", "replace") for path in music21_files(collection, ".abc")]
    for text in [text for file in files for text in split_tunes(file)][::every]:
        if NOT_PLAIN.search(re.sub(r"^[A-Za-z]:.*$", "", text, flags=re.MULTILINE)):
            continue
        try:
            piece = read_abc(text)
        except ValueError:
            continue
        if piece.title not in LOST_NOTE:
            found = piece.notes[["onset_step", "duration_step", "pitch"]].tolist()
            assert found == read_with_music21(text), piece.title
            n_compared += 1
    return n_compared


@pytest.mark.parametrize("collection", tunes.TUNE_COLLECTIONS)
def test_plain_tunes_equal_music21s_parse(collection):
    assert check_plain_tunes_against_music21(collection, every={"ryansMammoth": 2}.get(collection, 100)) >= 3


@pytest.mark.slow
def test_all_plain_tunes_equal_music21s_parse():
    n_compared = [check_plain_tunes_against_music21(collection, every=1) for collection in tunes.TUNE_COLLECTIONS]
    assert sum(n_compared) > 1000


@pytest.fixture
def book(tmp_path, monkeypatch):
    path = tmp_path / "book.abc"
    path.write_text("X:1\nT:Scale\nK:C\nCDEF|\nX:2\nT:Chords\nK:C\n[CEG]|\nX:3\nT:Air\nM:3/4\nQ:1/4=90\nK:G\nG|ABc|")
    monkeypatch.setattr(tunes, "music21_files", lambda folder, ending: [path])
    return path


def test_the_default_collection_is_melodies_with_titles(monkeypatch):
    # Only its first file: enough to see what comes.
    first = music21_files("airdsAirs", ".abc")[:1]
    monkeypatch.setattr(tunes, "music21_files", lambda folder, ending: first)
    loaded = tunes.load_tunes()
    assert len(loaded) > 150
    assert loaded[0].title == "The Ranting Highlandman."
    # upbeat of a quarter in C|, then b4 b8 b8: "AG|B2B2 B2AG"
    assert loaded[0].meters[0] == music.Meter(-72, 2, 2)
    notes = loaded[0].notes[["pitch", "duration_step"]][:6].tolist()
    assert notes == [(69, 12), (67, 12), (71, 24), (71, 24), (71, 24), (69, 12)]
    for piece in loaded:
        assert piece.title and (piece.notes["onset_step"][1:] >= music.ends_step(piece.notes)[:-1]).all()


def test_the_cache_returns_the_same_tunes_until_the_file_or_its_reader_changes(book, own_cache, monkeypatch):
    first = tunes.load_tunes()
    assert [tune.title for tune in first] == ["Scale", "Air"]
    with monkeypatch.context() as patch:
        patch.setattr(tunes, "read_abc", lambda text: pytest.fail("the cache was not read"))
        assert tunes.load_tunes() == first
    os.utime(book, ns=(0, book.stat().st_mtime_ns + 1_000_000))
    tunes.load_tunes()
    monkeypatch.setattr(tunes, "READER_VERSION", tunes.READER_VERSION + 1)
    tunes.load_tunes()
    assert len(list(own_cache.iterdir())) == 3


def test_an_altered_file_is_left_out_and_named_each_time(book, own_cache, monkeypatch):
    other = book.with_name("other.abc")
    other.write_text("X:1\nT:Other\nK:C\nCDEF|")
    monkeypatch.setattr(tunes, "music21_files", lambda folder, ending: [other, book])
    other.unlink()
    os.mkfifo(other)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"without 1 of 2, .*other\.abc \(.*is a device or a pipe.*Run: pip"):
            assert [tune.title for tune in tunes.load_tunes()] == ["Scale", "Air"]
    assert not own_cache.exists()
    book.write_bytes(b"\xff" * 100)
    other.unlink()
    with (
        pytest.warns(UserWarning, match="found nothing at"),
        pytest.raises(ValueError, match="At least one tune of music21 must be as it was installed; found none"),
    ):
        tunes.load_tunes()


def test_an_unknown_collection_is_refused_and_the_known_ones_named():
    with pytest.raises(ValueError, match="must be one of airdsAirs, oneills1850, ryansMammoth; found 'essenFolksong'"):
        tunes.load_tunes("essenFolksong")


def test_every_collection_says_what_its_files_say_about_rights():
    for note in tunes.TUNE_COLLECTIONS.values():
        assert "public domain" in note and "do not redistribute" in note
