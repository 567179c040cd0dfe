"""The page of the blind listening test: what is in it, and a listener who takes it with the keyboard alone."""

import base64
import csv
import io
import json
import re
from collections import Counter

import headless
import make_listening_test
import pytest

PAGE = make_listening_test.PAGE
NOTEBOOK = make_listening_test.ROOT / "notebooks" / "src" / "09c_judging.md"
HEADER = re.search(r'HEADER = "(.*)"', NOTEBOOK.read_text("utf-8"))[1]
#: Keeps the text of the file that the page offers, for a test cannot save it; and what plays, which the page keeps to
#: itself.
CATCH = """
    window.saved = [];
    const Sound = window.Audio;
    window.Audio = function () { return window.sound = new Sound(); };
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => { blob.text().then((text) => window.saved.push(text)); return make(blob); };
"""


@pytest.fixture(scope="module")
def data():
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', PAGE.read_text("utf-8"), re.DOTALL)[1])


def test_the_page_is_small_whole_and_made_by_the_shipped_networks(data):
    text = PAGE.read_text("utf-8")
    assert len(text) < 600_000
    assert "http" not in re.sub(r'"(?:bach|network)": "[^"]*"', "", text)
    is_current = data["id"] == make_listening_test.identity()
    assert is_current, "a shipped network was replaced: run tools/make_listening_test.py"
    assert text == make_listening_test.page(data["id"], data["pairs"]), "run tools/make_listening_test.py"


def test_there_are_ten_pairs_of_different_clips_of_equal_length(data):
    soundfile = pytest.importorskip("soundfile")
    assert Counter(pair["kind"] for pair in data["pairs"]) == {"setting": 5, "opening": 5}
    clips = []
    for pair in data["pairs"]:
        sounds = [soundfile.read(io.BytesIO(base64.b64decode(pair[who])))[0] for who in ("bach", "network")]
        assert abs(len(sounds[0]) - len(sounds[1])) < 0.5 * make_listening_test.SAMPLE_RATE
        assert all(5 < len(sound) / make_listening_test.SAMPLE_RATE < 12 for sound in sounds)
        clips += [pair["bach"], pair["network"]]
    assert len(set(clips)) == 20


@pytest.fixture(scope="module")
def browser():
    if headless.PATH is None:
        pytest.skip("no Chromium is found")
    browser = headless.Page()
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    browser.call("Page.addScriptToEvaluateOnNewDocument", source=CATCH)
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    browser.open(PAGE.as_uri())
    browser.run("localStorage.clear()")
    browser.open(PAGE.as_uri())
    return browser


def seen(page, selector):
    return page.run(f"document.querySelector('{selector}').textContent")


def tab_to(page, selector):
    for _ in range(12):
        page.press("Tab")
        if page.run(f"document.activeElement.matches('{selector}')"):
            return
    raise AssertionError(f"{selector} is not reached by Tab")


def answer(page, place):
    """Play A, say that it is Bach's, say of the first pair that it was known, go on, and return what was heard."""
    assert seen(page, "#pair h2") == f"Pair {place} of 10"
    assert page.run("document.getElementById('next').disabled")
    tab_to(page, "#A")
    page.press(" ")
    assert (seen(page, "#A"), seen(page, "#B")) == ("Stop A", "Play B")
    heard = [page.run("sound.src")]
    page.press("b")
    heard.append(page.run("sound.src"))
    assert (seen(page, "#A"), seen(page, "#B")) == ("Play A", "Stop B")
    tab_to(page, "[name=answer]")
    page.press(" ")
    if place == 1:
        tab_to(page, "#known")
        page.press(" ")
    tab_to(page, "#next")
    page.press("Enter")
    return [each.removeprefix("data:audio/mpeg;base64,") for each in heard]


def test_a_listener_needs_only_the_keyboard_and_gets_a_file_that_the_notebook_reads(page, data):
    tab_to(page, "#name")
    page.call("Input.insertText", text="Ada, 1")
    tab_to(page, "#begin")
    page.press("Enter")
    heard = []
    for place in range(1, 11):
        assert page.run("document.documentElement.scrollWidth") <= 390
        heard.append(answer(page, place))
        if place == 4:
            page.open(PAGE.as_uri())  # it goes on where it was left
    assert seen(page, "#result").startswith("Right: ") and " of 9, those apart" in seen(page, "#result")
    assert page.run("document.documentElement.scrollWidth") <= 390
    page.press("Tab")
    page.press("Enter")
    rows = list(csv.DictReader(io.StringIO(page.run("new Promise((f) => setTimeout(() => f(saved[0]), 100))"))))
    assert list(rows[0]) == HEADER.split(",") and len(rows) == 10
    assert sorted(int(row["pair"]) for row in rows) == list(range(10))
    assert {row["listener"] for row in rows} == {"Ada  1"} and {row["answer"] for row in rows} == {"A"}
    assert all(row["right"] == str(int(row["bach"] == row["answer"])) for row in rows)
    for row, clips in zip(rows, heard, strict=True):  # the letter that the file calls Bach's played Bach's clip
        pair = data["pairs"][int(row["pair"])]
        assert clips == [pair["bach"], pair["network"]][:: 1 if row["bach"] == "A" else -1]
        assert row["kind"] == pair["kind"]
    assert [row["known"] for row in rows] == ["1"] + 9 * ["0"]
    assert not page.errors()


def test_the_lot_is_drawn_anew_for_each_listener(page):
    drawn = set()
    for _ in range(6):
        page.run("document.getElementById('begin').click()")
        drawn.add(page.run(f"localStorage.getItem('listening-test-{make_listening_test.identity()}')"))
        page.run("document.getElementById('again').click()")
    lots = [json.loads(each) for each in drawn]
    assert len({(*lot["order"], *lot["bach"]) for lot in lots}) == 6
    assert {letter for lot in lots for letter in lot["bach"]} == {"A", "B"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_page_in_light_and_dark(page, scheme):
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    colours = "['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name])"
    ink, back = ([int(part) / 255 for part in re.findall(r"\d+", each)[:3]] for each in page.run(colours))
    bright, dim = sorted((sum(0.2126 * v**2.2 for v in each) for each in (ink, back)), reverse=True)
    assert (back[0] > ink[0]) == (scheme == "light") and (bright + 0.05) / (dim + 0.05) > 4
