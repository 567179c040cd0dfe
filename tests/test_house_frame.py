"""The frame of the book: titles carry their numbers, mentions are links, minutes agree with one table."""

import re
from pathlib import Path

import chapters
import make_page_music
import mentions
import minutes
import pytest
import write_tables
from drawings import roads

ROOT = Path(__file__).resolve().parent.parent


def test_every_title_begins_with_its_number():
    wrong = [
        f"{path.name}: begin with '# {label} · '"
        for path in mentions.pages_and_twins()
        if (label := chapters.label(path.stem))
        and not chapters.first_heading(path.read_text("utf-8")).startswith(f"{label} · ")
    ]
    assert not wrong, "\n".join(wrong)


def test_every_page_plays_what_its_code_makes():
    pages = make_page_music.pages()
    assert pages and {page.stem for page in pages} == {path.stem for path in (ROOT / "book/music").glob("*.html")}
    made_by = {page.stem: make_page_music.music_of(page).read_text("utf-8").splitlines()[0] for page in pages}
    assert made_by == {page.stem: make_page_music.sign(make_page_music.code_of(page)) for page in pages}


def test_the_first_page_names_the_roads_that_the_map_draws():
    roads_section = (ROOT / "book" / "index.md").read_text("utf-8").split("## Three roads")[1].split("\nFigure:")[0]
    lines = [line for line in roads_section.splitlines() if line.startswith("* ")]
    named = [tuple(re.findall(r"\[(?:notebook )?(\d\w)\]", line)) for line in lines]
    assert named == [names for _, names in roads.ROADS.values()]


def test_links_and_times_are_as_the_tools_write_them():
    wrong = [path.name for path, text in write_tables.framed_texts().items() if path.read_text("utf-8") != text]
    assert not wrong, f"run `make tables`, then `make notebooks`: {', '.join(wrong)}"


def test_choices_hold_no_markdown_on_the_line_of_their_html():
    wrong = [
        f"{path.name}: put empty lines around the feedback of {line.strip()[:80]!r}"
        for path in mentions.pages_and_twins()
        for line in path.read_text("utf-8").splitlines()
        if re.match(r" *\* <details>", line) and re.search(r"\]\(|\*\*|`|\$|\{cite|(?<!\w)\*\w", line)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_page_and_notebook_of_a_chapter_says_how_long_it_takes():
    texts = {path.name: path.read_text("utf-8") for path in mentions.pages_and_twins() if chapters.label(path.stem)}
    lines = (minutes.NOTEBOOK_LINE, minutes.PAGE_LINE)
    assert [name for name, text in texts.items() if not any(line.search(text) for line in lines)] == []


def test_every_term_that_is_linked_stands_in_the_glossary():
    entries = (ROOT / mentions.GLOSSARY).read_text("utf-8").splitlines()
    assert [term for term in mentions.TERMS if term not in entries] == []


HERE = Path("notebooks/02a_counting.ipynb")
KNOWN = {
    "5": Path("book/chapter_05.md"),
    "5a": Path("notebooks/05a_x.ipynb"),
    "2a": HERE,
    "00": Path("notebooks/00_y.ipynb"),
}


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("As in 5a, and", "As in [5a](05a_x.ipynb), and"),
        ("Notebook 5a's head", "[Notebook 5a](05a_x.ipynb)'s head"),
        ("See chapter 5.", "See [chapter 5](../book/chapter_05.md)."),
        ("chapters 5 and 9", "chapters [5](../book/chapter_05.md) and 9"),
        ("notebooks 5a, 00", "notebooks [5a](05a_x.ipynb), [00](00_y.ipynb)"),
        ("a **causal mask** ($x_{<t}$, 5a)", "a **causal mask** ($x_{<t}$, [5a](05a_x.ipynb))"),
    ],
)
def test_a_mention_becomes_a_link_once(text: str, wanted: str):
    assert mentions.linked(text, HERE, KNOWN) == wanted == mentions.linked(wanted, HERE, KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "exercise 5a.3; 30 to 40 minutes; chapter 9; notebook 2a; v5a-1; 5 notes; BWV 5",
        "[read 5a](x.md) `5a` $5a$ ![drawing of 5a](a.svg) <!-- 5a -->",
        "# 5a · Title\n\n```python\n5a\n```\n",
        "<details><summary>After 5a</summary>\n\n</details>",
        "<!-- minutes -->\n| 5a | 30 |\n<!-- end of minutes -->",
    ],
)
def test_what_is_no_prose_or_is_not_there_stays(text: str):
    assert mentions.linked(text, HERE, KNOWN) == text


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("No `cadence`; a **cadence**, a cadence", "No `cadence`; a **[cadence]({}cadence)**, a cadence"),
        ("Half cadences, cadences", "[Half cadences]({}half-cadence), [cadences]({}cadence)"),
        ("cadence, [cadence]({}cadence)", "cadence, [cadence]({}cadence)"),
        ("A 3-gram of natural nats", "A [3-gram]({}n-gram-model) of natural [nats]({}nat)"),
        ("# Triads\n\ntonic.key, triad_of, sub-tonic", "# Triads\n\ntonic.key, triad_of, sub-tonic"),
    ],
)
def test_the_first_use_of_a_term_becomes_a_link_once(text: str, wanted: str):
    place = "../book/glossary.md#term-"
    text, wanted = text.replace("{}", place), wanted.replace("{}", place)
    assert mentions.with_terms(text, HERE, Path()) == wanted == mentions.with_terms(wanted, HERE, Path())


def cell(code: str, tags: str = "") -> str:
    return f"```{{code-cell}} ipython3\n{tags}{code}\n```\n"


EXERCISE = "**Exercise 9a.1: Name** (20 minutes). " + "word " * 2000


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("word " * 1790 + "x_{<t} · >", (10, 0)),
        (cell("\n".join(["x = 1"] * 200)), (10, 0)),
        (cell("\n".join(["x = 1"] * 200), ":tags: [hide-output]\n"), (10, 0)),
        (cell("\n".join(["x = 1"] * 200), ":tags: [hide-input]\n"), (5, 0)),
        (f"{EXERCISE}\n\n{cell('raise NotImplementedError' + 200 * chr(10) + 'x')}", (5, 20)),
        (f"{EXERCISE}\n\n**Exercise 9a.2: Name** (7 minutes). x", (5, 30)),
        (f"{EXERCISE}\n\n**With a pencil: name** (7 minutes, no code). x", (5, 30)),
    ],
)
def test_the_minutes_of_a_text(text: str, wanted: tuple[int, int]):
    assert minutes.minutes(text) == wanted
