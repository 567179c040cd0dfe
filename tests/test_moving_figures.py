"""The figures that move: what they compute from, and what a browser shows when they are touched."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import draw_figures
import headless
import numpy as np
import pytest
from drawings import moving
from drawings.data import MESSAGE

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "book" / "assets"
FIGURES = ("moving_temperature", "moving_sharpness", "moving_rotary", "code_intervals", "moving_hiding")
SET = """([place, values]) => {
    const figure = document.querySelectorAll("figure.moving")[place];
    figure.querySelectorAll("input, select").forEach((control, i) => {
        control.value = values[i];
        control.dispatchEvent(new Event(control.tagName === "SELECT" ? "change" : "input"));
    });
    return figure.querySelector("p").textContent;
}"""


def states() -> Iterator[tuple[int, tuple, str]]:
    """Yield the place of a figure, values of its controls, and the sentence by the library."""
    for value in ((1, 1), (0.1, 0.9), (0.55, 0.5), (2, 0.95)):
        yield 0, value, moving.temperature_says(*value)
    for factor in (1, 0, 3.5, 10):
        yield 1, (factor,), moving.sharpness_says(factor)
    for value in ((70, 44), (128, 44), (64, 63), (100, 0)):
        yield 2, value, moving.rotary_says(*value)
    for kind, place in itertools.product(moving.CLUES, (0, 1, 2, 3)):
        yield 4, (kind, place), moving.hiding_says(kind, moving.RATES[place], 0)


def numbers(script: str) -> dict:
    """Return the data of a script, one name per line."""
    lines = [line.strip().rstrip(",").split(": ", 1) for line in script.splitlines() if line.startswith("  ")]
    return {name: json.loads(value) for name, value in lines}


def test_the_data_are_those_of_the_library_and_small():
    text = draw_figures.MOVING_DATA.read_text("utf-8")
    found, made = numbers(text), numbers(moving.script())
    for name in ("logits", "speeds"):  # the last digit may be another on another processor
        np.testing.assert_allclose(found.pop(name), made.pop(name), atol=2e-4)
    assert found == made, "run tools/draw_figures.py"
    assert len(text) < 30_000
    assert len((ASSETS / "moving.js").read_text("utf-8").splitlines()) < 400


def test_nothing_comes_from_another_host():
    for path in ASSETS.glob("moving*"):
        assert "http" not in path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if headless.PATH is None:
        pytest.skip("no Chromium is found")
    images = [f'<p><img src="{(ROOT / "book/figures" / name).as_uri()}.svg" alt="drawn"></p>' for name in FIGURES]
    scripts = [f'<script defer src="{(ASSETS / name).as_uri()}"></script>' for name in ("moving_data.js", "moving.js")]
    style = f'<link rel="stylesheet" href="{(ASSETS / "moving.css").as_uri()}">'
    view = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    path = tmp_path_factory.mktemp("moving") / "page.html"
    path.write_text("\n".join(("<!doctype html>", view, style, *images, *scripts)), "utf-8")
    browser = headless.Page()
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    browser.address = path.as_uri()
    yield browser
    browser.close()


def sentence(page: headless.Page, place: int) -> str:
    return page.run(f"document.querySelectorAll('figure.moving p')[{place}].textContent")


def test_every_sentence_is_the_librarys(page):
    page.open(page.address)
    assert page.run("document.querySelectorAll('figure.moving svg *').length") > 200
    for place, values, says in states():
        assert page.run(f"({SET})({json.dumps([place, values])})") == says
    press = "document.querySelectorAll('figure.moving')[4].querySelector('button').click()"
    page.run(f"({SET})([4, ['notes', 1]])")
    for seed in [*range(1, moving.N_SEEDS), 0]:
        page.run(press)
        assert sentence(page, 4) == moving.hiding_says("notes", 25, seed)


def test_a_message_is_picked_symbol_by_symbol(page):
    page.open(page.address)
    message = list(MESSAGE)
    assert sentence(page, 3) == moving.intervals_says(message, 70)
    buttons = "document.querySelectorAll('figure.moving')[3].querySelectorAll('button')"
    for place, symbol in ((1, "up"), (2, "down"), (0, "same"), (0, None)):  # the seventh finds no room
        page.run(f"{buttons}[{place}].click()")
        message += [symbol] if symbol else []
        assert sentence(page, 3) == moving.intervals_says(message, 70)
    for same in (5, 35, 95):
        assert page.run(f"({SET})([3, [{same}]])") == moving.intervals_says(message, same)
    while message:
        page.run(f"{buttons}[3].click()")
        message.pop()
        assert sentence(page, 3) == moving.intervals_says(message, 95)


def test_keys_and_a_drag_move_a_figure_that_fits_a_phone_and_complains_of_nothing(page):
    page.open(page.address)
    page.run("document.querySelector('figure.moving input').focus()")
    page.press("ArrowRight")
    assert sentence(page, 0) == moving.temperature_says(1.05, 1)
    page.press("Tab")
    page.press("ArrowLeft")
    assert sentence(page, 0) == moving.temperature_says(1.05, 0.95)
    x, y, width = page.run(
        "(() => { const place = document.querySelectorAll('figure.moving input')[2]; place.scrollIntoView();"
        "const {x, y, width, height} = place.getBoundingClientRect(); return [x, y + height / 2, width]; })()"
    )
    drawn = "document.querySelectorAll('figure.moving svg')[1].innerHTML"
    before = page.run(drawn)
    page.drag((x + width / 10, y), (x + width - 1, y))
    assert sentence(page, 1) == moving.sharpness_says(10) and page.run(drawn) != before
    assert page.run("document.documentElement.scrollWidth") == 390
    assert page.run("[...document.querySelectorAll('figure.moving svg')].every((it) => it.clientWidth > 250)")
    assert page.errors() == []


def test_without_scripts_and_on_paper_the_drawings_stand_still(page):
    shown = "[...document.querySelectorAll('img, figure')].filter((it) => it.checkVisibility()).map((it) => it.tagName)"
    page.open(page.address)
    assert page.run(shown) == ["FIGURE"] * 5
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.run(shown) == ["IMG"] * 5
    page.call("Emulation.setEmulatedMedia", media="")
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(page.address)
    assert page.run(shown) == ["IMG"] * 5
    page.call("Emulation.setScriptExecutionDisabled", value=False)


def test_a_figure_begins_as_the_drawing_that_it_replaces(page):
    page.open(page.address)
    for place, name in enumerate(FIGURES):
        if name == "code_intervals":  # says the same in its own words
            assert moving.intervals_says(MESSAGE, 70) == sentence(page, place)
        else:
            assert sentence(page, place) in draw_figures.DRAWINGS[name]().says
