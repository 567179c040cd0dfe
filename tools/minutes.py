"""How long pages and notebooks take: one rule, one table, and the **Time** line of every first screen.

Reading: 180 words of prose and 20 lines of visible code a minute. Exercises: the sum of the minutes that each states.
Both are rounded up to five minutes. Computing: every notebook runs in under three minutes on two processor cores.
"""

import math
import re
from pathlib import Path
from typing import NamedTuple

import chapters

ROOT = Path(__file__).resolve().parent.parent
WORDS_A_MINUTE, CODE_LINES_A_MINUTE = 180, 20
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
TAGS = re.compile(r"\A:tags: \[(.*)\]\n")
#: What a reader of the page does not read: front matter, code, HTML, comments; and exercises, whose time is stated.
NOT_READ = re.compile(
    r"\A---\n.*?\n---\n|^(`{3,}).*?^\1|<!--.*?-->|^\*\*[^\n*]+\*\* \(\d+ minutes[^\n]*"
    r"|</?[a-z]+(?:\s[^<>]*)?>|\]\([^)]*\)|^:::.*?$",
    flags=re.DOTALL | re.MULTILINE,
)
IS_HIDDEN = re.compile(r"\b(?:hide|remove)-(?:input|cell)\b")
IS_EXERCISE = re.compile(r'raise NotImplementedError|^check\("', flags=re.MULTILINE)
#: An exercise, with code or without: a title in bold that opens a paragraph, and its minutes.
EXERCISE = re.compile(r"^\*\*[^\n*]+\*\* \((\d+) minutes", flags=re.MULTILINE)
NOTEBOOK_LINE = re.compile(r"^(\*\*Time\*\*) .*? minutes of computing[^.;]*(?=[.;])", flags=re.MULTILINE)
PAGE_LINE = re.compile(
    r"^(\*\*Time:\*\*) this page \d+ minutes\.(?: To read and for the exercises: [^\n]*? minutes\.)?",
    flags=re.MULTILINE,
)


class Minutes(NamedTuple):
    """How long a page or notebook takes."""

    reading: int
    exercises: int


def rounded_up(minutes: float) -> int:
    """Return the next multiple of five, at least one of them.

    >>> rounded_up(0.5), rounded_up(31)
    (5, 35)
    """
    return max(5, 5 * math.ceil(minutes / 5))


def visible_code_lines(text: str) -> int:
    """Return the lines of code that a page shows, those of exercises apart."""
    n_lines = 0
    for cell in CELL.findall(text):
        tags = TAGS.match(cell)
        is_shown = not (tags and IS_HIDDEN.search(tags[1])) and not IS_EXERCISE.search(cell)
        n_lines += sum(bool(line.strip()) for line in cell.splitlines()[1 if tags else 0 :]) if is_shown else 0
    return n_lines


def minutes(text: str) -> Minutes:
    """Return how long a page or the twin of a notebook takes."""
    n_words = sum(any(map(str.isalnum, word)) for word in NOT_READ.sub(" ", text).split())
    reading = n_words / WORDS_A_MINUTE + visible_code_lines(text) / CODE_LINES_A_MINUTE
    stated = sum(map(int, EXERCISE.findall(text)))
    return Minutes(rounded_up(reading), rounded_up(stated) if stated else 0)


def source_of(path: Path) -> Path:
    """Return the text that people edit: the twin of a notebook, a page itself."""
    return path.parent / "src" / f"{path.stem}.md" if path.suffix == ".ipynb" else path


def of_file(path: Path) -> Minutes:
    """Return how long a page or notebook on disk takes."""
    return minutes(source_of(path).read_text("utf-8"))


def line_of(path: Path, root: Path = ROOT) -> str:
    """Return what the **Time** line of a page or notebook says, after its first word."""
    own = of_file(path)
    if path.suffix == ".ipynb":
        exercises = f", {own.exercises} for the exercises" if own.exercises else ""
        return f"{own.reading} minutes to read{exercises}, under three minutes of computing on two processor cores"
    number, alone = chapters.number_of(path.stem), f"this page {own.reading} minutes."
    notebooks = [each for each in chapters.notebooks(root) if chapters.number_of(each.stem) == number]
    if path.stem.endswith("_study") or not notebooks:
        return alone
    return f"{alone} To read and for the exercises: {', '.join(map(_with_link, notebooks))} minutes."


def _with_link(path: Path) -> str:
    own = of_file(path)
    return f"[{chapters.label(path.stem)}](../notebooks/{path.name}) {own.reading} + {own.exercises}"


def with_time(text: str, path: Path, root: Path = ROOT) -> str:
    """Return a page or twin whose **Time** line says what the table says."""
    pattern = NOTEBOOK_LINE if path.suffix == ".ipynb" else PAGE_LINE
    return pattern.sub(lambda match: f"{match[1]} {line_of(path, root)}", text, count=1)


def table(root: Path = ROOT) -> str:
    """Return the table of minutes of all chapters and notebooks."""
    lines = ["| | to read | exercises |", "|---|---|---|"]
    for files in chapters.written_chapters(root).values():
        for path in files:
            title = chapters.first_heading(source_of(path).read_text("utf-8"))
            folder = "../notebooks/" if path.suffix == ".ipynb" else ""
            own = of_file(path)
            lines.append(f"| [{title}]({folder}{path.name}) | {own.reading} | {own.exercises or ''} |")
    return "\n".join(lines)
