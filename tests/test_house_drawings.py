"""Drawings are what their functions draw; each is used, says in words what it shows, and can be read."""

import re
from pathlib import Path
from xml.etree import ElementTree

import draw_figures
import pytest
from drawings import pen

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(draw_figures.FOLDER.glob("*.svg"))
TEXTS = [*sorted((ROOT / "book").glob("*.md")), *sorted((ROOT / "notebooks" / "src").glob("*.md"))]
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
SVG = "{http://www.w3.org/2000/svg}"


def images() -> list[tuple[str, str, Path]]:
    """Return the page, the alternative text and the target of every picture in Markdown."""
    found = []
    for path in TEXTS:
        folder = path.parent.parent if path.parent.name == "src" else path.parent  # a notebook lies above its twin
        found += [(path.name, words, (folder / to).resolve()) for words, to in IMAGE.findall(path.read_text("utf-8"))]
    return found


@pytest.mark.parametrize("name", draw_figures.DRAWINGS)
@pytest.mark.usefixtures("chorales_cache")  # or the first one would read all chorales, with the shapes of each checked
def test_drawing_again_changes_nothing(name: str):
    drawn = (draw_figures.FOLDER / f"{name}.svg").read_text("utf-8")
    assert draw_figures.DRAWINGS[name]().svg() == drawn, "run tools/draw_figures.py and look at the drawing"


def test_every_drawing_has_a_function_and_stands_on_a_page():
    assert {path.stem for path in FILES} == set(draw_figures.DRAWINGS)
    used = {target for _, _, target in images()}
    assert [path.name for path in FILES if path not in used] == []


def test_every_picture_exists_and_has_words_that_stand_for_it():
    found = images()
    assert len(found) >= len(FILES)
    assert [f"{page}: {to.name}" for page, words, to in found if len(words.split()) < 5] == []
    assert [f"{page}: {to.name}" for page, _, to in found if not to.is_file()] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_drawing_is_described_and_its_words_are_words_inside_it(path: Path):
    root = ElementTree.parse(path).getroot()
    assert len(root.findtext(f"{SVG}title").split()) >= 3
    assert len(root.findtext(f"{SVG}desc").split()) >= 20
    width, height = float(root.get("width")), float(root.get("height"))
    assert width <= 700
    for text in root.iter(f"{SVG}text"):
        words, size = "".join(text.itertext()), float(text.get("font-size"))
        assert size >= pen.SMALLEST, words
        if text.get("transform"):
            continue
        x, y, reach = float(text.get("x")), float(text.get("y")), 0.5 * size * len(words)  # about as wide as Arial
        left = x - {"start": 0, "middle": reach / 2, "end": reach}[text.get("text-anchor", "start")]
        assert left >= 0 and left + reach <= width and size <= y + 2 and y + 4 <= height, f"{words!r} leaves the card"


def test_words_that_are_too_small_are_refused_and_subscripts_are_set_lower():
    drawing = pen.Drawing("A title of words", "says", 40)
    with pytest.raises(ValueError, match="at least 12 pixels high; found 8"):
        drawing.text(0, 20, "small", 8)
    drawing.text(0, 20, "W_{Q} x^{T}")
    assert re.findall(r">([^<>]+)<", drawing.parts[0]) == ["W", "Q", " x", "T"]
    assert 'dy="3.9"' in drawing.parts[0] and drawing.parts[0].count("dy=") == 3
