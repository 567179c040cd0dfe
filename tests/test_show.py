"""Music as a page shows it: what the HTML holds, what the words say, and that both are the same on every run."""

import base64
import hashlib
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from mini_musessl import music, rolls, voices
from mini_musessl.show import describe, show, show_audio

CHORDS = [[67, 62, 59, 43], [66, 62, 57, 50], [67, 64, 60, 48], [67, 62, 59, 43]]
MAKE = """
from mini_musessl import voices
from mini_musessl.show import show
grid = voices.from_pitches([row for row in {chords} for _ in range({n})], fifths=1, mode="major", title="Four chords")
"""


def phrase(steps_per_chord: int = 4, **facts) -> voices.VoiceGrid:
    """Four chords in G major; a bar at four steps a chord."""
    pitch = np.repeat(CHORDS, steps_per_chord, axis=0)
    return voices.from_pitches(pitch, **{"fifths": 1, "mode": "major", "title": "Four chords", **facts})


class Elements(HTMLParser):
    """Collects the elements of a page in order, with their attributes, and its visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of each element with this tag."""
        return [attributes for name, attributes in self.found if name == tag]


def sound_of(html: str) -> tuple[np.ndarray, int]:
    """Return the sound inside the player."""
    (player,) = Elements(html).all("audio")
    kind, data = player["src"].split(",")
    assert kind == "data:audio/mpeg;base64"
    return soundfile.read(io.BytesIO(base64.b64decode(data)))


def test_a_page_holds_roll_player_and_caption():
    shown = show(phrase(), says="Listen to the bass")
    page = Elements(shown.html)
    assert [tag for tag, _ in page.found] == ["figure", "img", "audio", "figcaption"]
    (roll,) = page.all("img")
    assert roll["alt"] == f"Piano roll. {shown.says}"
    assert base64.b64decode(roll["src"].split(",")[1]).decode() == rolls.piano_roll_svg(phrase())
    assert "controls" in page.all("audio")[0]
    assert page.text == "Listen to the bass. “Four chords”."
    assert shown.says == "Listen to the bass. “Four chords”: four voices, 1 bar of 4/4 in G major, 3 seconds, G2 to G4."


def test_without_a_sentence_of_ones_own_the_description_is_the_caption():
    shown = show(phrase())
    assert Elements(shown.html).text == shown.says == describe(phrase())


def test_a_notebook_takes_html_and_words():
    shown = show(phrase())
    assert shown._repr_html_() == shown.html
    assert repr(shown) == shown.says
    formatters = pytest.importorskip("IPython.core.formatters")
    bundle, _ = formatters.DisplayFormatter().format(shown)
    assert bundle == {"text/html": shown.html, "text/plain": shown.says}


def test_nothing_is_fetched_and_no_script_runs():
    html = show(phrase(), score=True).html
    sources = [attributes["src"] for _, attributes in Elements(html).found if "src" in attributes]
    assert len(sources) == 3
    assert all(source.startswith("data:") for source in sources)
    assert "<script" not in html
    assert "<svg" not in html


def test_time_on_the_page_matches_roll_and_sound():
    shown = show(phrase())
    (figure,) = Elements(shown.html).all("figure")
    assert figure["class"] == "musessl-music"
    assert float(figure["data-seconds"]) == pytest.approx(3.0)
    assert float(figure["data-roll-left"]) == rolls.ROLL_LEFT < rolls.ROLL_RIGHT == float(figure["data-roll-right"])
    samples, rate = sound_of(shown.html)
    assert len(samples) / rate == pytest.approx(3.3, abs=0.1)
    assert np.sqrt(np.mean(samples**2)) > 0.05


def test_long_music_is_cut_at_a_bar_line_fades_out_and_says_so():
    shown = show(phrase(32), says="Slow")
    (figure,) = Elements(shown.html).all("figure")
    assert float(figure["data-seconds"]) == pytest.approx(15.0)  # five bars of three seconds
    assert shown.says.endswith(
        "8 bars of 4/4 in G major, 24 seconds, G2 to G4. Shown and played: the first 15 seconds."
    )
    assert Elements(shown.html).text == "Slow. “Four chords”. Shown and played: the first 15 seconds."
    samples, rate = sound_of(shown.html)
    assert len(samples) / rate == pytest.approx(15, abs=0.1)
    assert np.abs(samples[-rate // 20 :]).max() < 0.05 < np.abs(samples[-3 * rate : -2 * rate]).max()


@pytest.mark.parametrize("max_sec", [0.5, 1.0, 4.4, 10.0, 14.99])
def test_a_clip_never_lasts_longer_than_asked(max_sec):
    (figure,) = Elements(show(phrase(32), max_sec=max_sec).html).all("figure")
    assert 0.5 * max_sec <= float(figure["data-seconds"]) <= max_sec


def test_pieces_are_cut_too():
    piece = voices.to_piece(phrase(32))
    assert show(piece).says.endswith("Shown and played: the first 15 seconds.")


def test_fifteen_seconds_stay_small():
    busy = voices.from_pitches([[72 - i % 5, 67 - i % 4, 60 - i % 3, 48 - i % 7] for i in range(80)])
    shown = show(busy)
    samples, rate = sound_of(shown.html)
    assert 14 < len(samples) / rate < 16
    (player,) = Elements(shown.html).all("audio")
    assert len(base64.b64decode(player["src"].split(",")[1])) < 60_000
    assert len(shown.html) < 130_000


def test_a_score_is_added_on_request():
    shown = show(phrase(), score=True, title="Four chords")
    roll, score = Elements(shown.html).all("img")
    assert score["alt"] == f"Score. {shown.says}"
    svg = base64.b64decode(score["src"].split(",")[1]).decode()
    assert re.findall(r'class="([^"]*)"', svg).count("note") == int(phrase().is_onset.sum())
    assert ">Four chords<" in base64.b64decode(roll["src"].split(",")[1]).decode()


def test_two_runs_and_two_processes_give_the_same_bytes():
    code = MAKE.format(chords=CHORDS, n=4) + (
        "import hashlib; print(hashlib.sha256(show(grid, score=True).html.encode()).hexdigest())"
    )
    here = show(phrase(), score=True).html
    assert here == show(phrase(), score=True).html
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


def test_words_with_quotes_and_brackets_stay_words():
    shown = show(phrase(), says='Is this "<b>" & more?')
    page = Elements(shown.html)
    assert page.text == 'Is this "<b>" & more? “Four chords”.'
    assert page.all("img")[0]["alt"].startswith('Piano roll. Is this "<b>" & more? “Four chords”')


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        (phrase(name="bwv355"), "“Four chords”, BWV 355: four voices, 1 bar of 4/4 in G major, 3 seconds, G2 to G4."),
        (phrase(title="BWV 1.6", name="bwv1.6"), "BWV 1.6: four voices, 1 bar of 4/4 in G major, 3 seconds, G2 to G4."),
        (phrase(title="", name="mine"), "mine: four voices, 1 bar of 4/4 in G major, 3 seconds, G2 to G4."),
        (phrase(title="", fifths=None), "Four voices, 1 bar of 4/4, 3 seconds, G2 to G4."),
        # G major with the signature of E minor: the key that it would name is not heard.
        (phrase(title="", mode="minor"), "Four voices, 1 bar of 4/4, 3 seconds, G2 to G4."),
        (
            phrase(8, title="", bar_position_step=(np.arange(32) + 12) % 16),
            "Four voices, 2 bars of 4/4 and an upbeat in G major, 6 seconds, G2 to G4.",
        ),
        (voices.from_pitches([[60]] * 4, voice_names=("a",)), "One voice, 1 bar of 4/4, 0.8 seconds, only C4."),
    ],
)
def test_descriptions_by_hand(grid, sentence):
    assert describe(grid) == sentence


def test_a_piece_is_described_by_its_parts():
    parts = (music.Part("flute"), music.Part("kit", is_drum=True))
    notes = music.make_notes([0, 0], 96, [72, 36], part=[0, 1])
    piece = music.Piece(notes, parts=parts, title="March", meters=(music.Meter(0, 2, 4), music.Meter(48, 3, 4)))
    assert describe(piece) == "“March”: two parts (flute, kit), 2 bars of changing meter, 2 seconds, only C5."


def test_drums_alone_can_be_shown():
    piece = music.Piece(music.make_notes([0, 24], 6, [36, 38]), parts=(music.Part("kit", is_drum=True),))
    assert show(piece).says == "One part (kit), 1 bar of 4/4, 0.6 seconds, no pitch."


def test_raw_sound_is_shown_with_its_words():
    sine = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    shown = show_audio(sine, says="A sine of 440 Hz.")
    assert [tag for tag, _ in Elements(shown.html).found] == ["figure", "audio", "figcaption"]
    assert repr(shown) == Elements(shown.html).text == "A sine of 440 Hz."
    assert Elements(shown.html).all("audio")[0]["aria-label"] == "Player: A sine of 440 Hz."
    samples, rate = sound_of(shown.html)
    assert np.argmax(np.abs(np.fft.rfft(samples[:rate]))) == pytest.approx(440, abs=1)
    assert np.abs(samples).max() < 0.3


@pytest.mark.parametrize(
    "asked, name",
    [
        ({"title": 'As "written"', "says": "Bach."}, 'As "written"'),
        ({"says": " Bach & sons "}, "Bach & sons."),
        ({}, "“Four chords”: four voices, 1 bar of 4/4 in G major, 3 seconds, G2 to G4."),
    ],
)
def test_a_player_is_named_by_title_sentence_or_description(asked: dict, name: str):
    assert Elements(show(phrase(), **asked).html).all("audio")[0]["aria-label"] == f"Player: {name}"


def test_raw_sound_can_keep_its_level():
    sine = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    samples, _ = sound_of(show_audio(0.5 * sine, says="Half of full scale.", is_normalized=False).html)
    assert np.sqrt(2 * np.mean(samples[5000:15000] ** 2)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("nothing", ["", "  ", None])
def test_raw_sound_without_words_is_refused(nothing):
    with pytest.raises(ValueError, match="Sound needs words that stand for it"):
        show_audio(np.ones(100), says=nothing)


def test_raw_sound_of_more_than_a_minute_is_refused():
    with pytest.raises(ValueError, match="at most 60 s; this lasts 61 s"):
        show_audio(np.ones(61 * 8000), 8000, says="A long tone.")


@pytest.mark.parametrize("thing", [[60, 62], np.zeros((4, 4)), None, "bwv269"])
def test_other_things_than_music_are_refused(thing):
    with pytest.raises(TypeError, match=rf"must be a music.Piece or a voices.VoiceGrid; found {type(thing).__name__}"):
        show(thing)


@pytest.mark.parametrize("silent", [voices.from_pitches([[-1] * 4] * 8), voices.from_pitches(np.zeros((0, 4), int))])
def test_music_without_notes_is_refused(silent):
    with pytest.raises(ValueError, match="must have at least one note to be shown; found none"):
        show(silent)


@pytest.mark.parametrize("max_sec", [0, -1, 61, float("nan")])
def test_clips_of_impossible_length_are_refused(max_sec):
    with pytest.raises(ValueError, match=f"above 0 and at most 60 seconds; found {max_sec}"):
        show(phrase(), max_sec=max_sec)


def test_a_score_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="score must be one of False, True, chords; found 'notes'"):
        show(phrase(), score="notes")


def test_a_score_of_a_piece_is_refused():
    with pytest.raises(TypeError, match=r"A score needs a voices.VoiceGrid; found Piece. voices.from_piece"):
        show(voices.to_piece(phrase()), score=True)


def test_words_and_rates_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="says must be a sentence; found 3"):
        show(voices.from_pitches([[60]], voice_names=("one",)), says=3)
    with pytest.raises(ValueError, match="sample_rate must be at least 1; found 0"):
        show_audio(np.full(100, 0.5), 0, says="A tone.")


# --- whatever text, whatever length

HOSTILE = (
    "Piano\0",
    "\x1b[31mred",
    "a\x08b",
    "L\udcfcbeck",
    "\ud83d",
    "\ufffe\uffff",
    "\x7f\x9b\x85",
    "two\nlines\r\nor\tthree",
    "\u2028x\u2029",
    "\u202eback",
    "<script>alert(1)</script>",
    '" onerror="x',
    "'",
    "&amp;&bogus;&#0;&#xD800;",
    "]]>",
    "<!--",
    "$x^2$ $\\frac$",
    "%s{0}",
    "x" * 5000,
    "e\u0301" * 50,
    "\uff76 \u6f22 \u0639 \U0001f3b5\U0001fffe",
    "\\u0000",
)


def note(**facts) -> music.Piece:
    return music.Piece(music.make_notes([0], [24], [60]), **facts)


def voice(**facts) -> voices.VoiceGrid:
    return voices.from_pitches([[67]] * 4, **{"voice_names": ("a",), **facts})


PLACES = {
    "title of a piece": lambda text: show(note(title=text)),
    "part": lambda text: show(note(parts=(music.Part(text),))),
    "title of a grid": lambda text: show(voice(title=text), score=True),
    "name of a grid": lambda text: show(voice(name=text), score=True),
    "voice": lambda text: show(voice(voice_names=(text,)), score=True),
    "says": lambda text: show(voice(), says=text),
    "title": lambda text: show(voice(), title=text),
    "sound": lambda text: show_audio(np.sin(np.arange(400)), says=text),
}


@pytest.mark.parametrize("place", PLACES)
def test_no_text_breaks_a_page_a_picture_or_a_print(place):
    for text in HOSTILE:
        if place in ("part", "voice") and any("\ud800" <= character <= "\udfff" for character in text):
            with pytest.raises(ValueError, match="name of a part must be text that files can hold"):
                PLACES[place](text)
            continue
        shown = PLACES[place](text)
        assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", shown.html + repr(shown)), text
        assert {tag for tag, _ in Elements(shown.html).found} <= {"figure", "img", "audio", "figcaption"}
        for picture in re.findall(r'svg\+xml;base64,([^"]+)', shown.html):
            ElementTree.fromstring(base64.b64decode(picture))


@pytest.mark.parametrize("onset_sec, start_sec", [(7, 0), (8, 8), (9.5, 8), (20, 20), (21, 20), (600, 600)])
def test_music_that_begins_late_is_shown_from_its_first_bar(onset_sec, start_sec):
    late = music.Piece(music.make_notes([int(48 * onset_sec), 48 * 700], 24, [60, 64]))
    shown = show(late)
    told = f"15 seconds from second {start_sec} on" if start_sec else "the first 14 seconds"
    assert shown.says.endswith(f"Shown and played: {told}.") or shown.says.endswith(f"from second {start_sec} on.")
    samples, rate = sound_of(shown.html)
    sounding = np.flatnonzero(np.abs(samples) > 0.05)[0] / rate
    assert sounding == pytest.approx(onset_sec - start_sec, abs=0.1)


def test_a_late_note_in_a_bar_of_minutes_begins_its_own_clip():
    late = music.Piece(music.make_notes([48 * 50], 24, 60), meters=(music.Meter(0, 400, 4),))
    assert show(late).says.endswith("Shown and played: 0.5 seconds from second 50 on.")
    before = music.Piece(music.make_notes([48 * 50], 24, 60), meters=(music.Meter(-48 * 40, 400, 4),))
    assert show(before).says.endswith("Shown and played: 0.5 seconds from second 50 on.")
    grid = voices.from_pitches([[-1]] * 200 + [[60]] * 4, voice_names=("a",))
    assert show(grid).says.endswith("from second 36 on.")


@pytest.mark.parametrize(
    "piece, sentence",
    [
        (note(n_steps=10**9, meters=(music.Meter(0, 1, 32),)), "Bars are listed up to 1000000; .* has 333333334"),
        (music.Piece(music.make_notes(np.arange(60_000) // 100, 1, 60)), "holds at most 50000 notes; found 60000"),
        (
            music.Piece(music.make_notes([0] * 2000, 24 * 20, 60)),
            "may last 10000 s in all, .*; these 2000 last 20000 s",
        ),
        (note(n_steps=2**31 - 1, tempos=(music.Tempo(0, 1e9),)), "Bars are listed up to 1000000"),
    ],
)
def test_music_that_would_fill_the_memory_is_refused(piece, sentence):
    with pytest.raises(ValueError, match=sentence):
        show(piece)


def test_hours_of_rest_are_described_and_not_shown():
    silence = music.Piece(music.make_notes([], [], []), n_steps=48 * 600)
    assert describe(silence) == "One part, 300 bars of 4/4, 600 seconds, no pitch."
    assert describe(music.Piece(music.make_notes([], [], []))) == "One part, 0 bars of 4/4, 0.0 seconds, no pitch."
    with pytest.raises(ValueError, match="at least one note to be shown"):
        show(silence)
