"""The frame of the book: titles carry their numbers, mentions are links, minutes agree with one table."""

from pathlib import Path

import chapters
import mentions
import minutes
import pytest
import write_tables

ROOT = Path(__file__).resolve().parent.parent


def test_every_title_begins_with_its_number():
    wrong = [
        f"{path.name}: begin with '# {label} · '"
        for path in mentions.pages_and_twins()
        if (label := chapters.label(path.stem))
        and not chapters.first_heading(path.read_text("utf-8")).startswith(f"{label} · ")
    ]
    assert not wrong, "\n".join(wrong)


def test_every_mention_of_a_page_or_notebook_is_a_link():
    known = mentions.places()
    wrong = [
        path.name
        for path, place in mentions.pages_and_twins().items()
        if mentions.linked(text := path.read_text("utf-8"), place, known) != text
    ]
    assert not wrong, f"run `python tools/mentions.py`: {', '.join(wrong)}"


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


def test_every_time_line_says_what_the_table_says():
    wrong = [path.name for path, text in write_tables.timed_texts().items() if path.read_text("utf-8") != text]
    assert not wrong, f"run `make tables`, then `make notebooks`: {', '.join(wrong)}"
    starts = {
        path: text
        for path in mentions.pages_and_twins()
        if chapters.label(path.stem)
        for text in [path.read_text("utf-8")]
    }
    without = [
        path.name
        for path, text in starts.items()
        if not (minutes.NOTEBOOK_LINE.search(text) or minutes.PAGE_LINE.search(text))
    ]
    assert not without, f"must have a **Time** line: {', '.join(without)}"


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
    ],
)
def test_the_minutes_of_a_text(text: str, wanted: tuple[int, int]):
    assert minutes.minutes(text) == wanted
