"""The chapters of the book: which notebooks each has, and the tables that are made from the files that exist.

Pages are named by chapter number (``book/03_preprocessing.md``), notebooks by chapter number, letter and a few words
(``notebooks/src/03b_tokens.md``). A page without a number, such as the glossary, is an appendix. What is not written
yet stands in no table of contents.
"""

import re
from pathlib import Path

import repository

ROOT = Path(__file__).resolve().parent.parent

#: Chapter number -> (title, letters of its notebooks; 00 has no letter).
CHAPTERS: dict[int, tuple[str, str]] = {
    0: ("Hear it first", "b"),
    1: ("Background", "a"),
    2: ("Core concepts", "a"),
    3: ("Preprocessing", "abcd"),
    4: ("Self-supervised objectives", "abcd"),
    5: ("The Transformer", "abcd"),
    6: ("Training and optimisation", "abc"),
    7: ("The mathematical model", "a"),
    8: ("Project practice", "ab"),
    9: ("Generation and judgement", "abcd"),
    10: ("Applications", "abcd"),
    11: ("Tools and resources", "abc"),
    12: ("Outlook", "abc"),
}
#: Appendices in the order of the book; others follow by name.
APPENDICES = (
    "scoreboard",
    "setting_up",
    "notation",
    "glossary",
    "for_teachers",
    "reproducibility",
    "references",
    "errata",
)
INDEX = "index"


def references() -> set[str]:
    """Return every name by which a docstring may point to a chapter or notebook: 00, 3, 3a, 3b, ..."""
    names = {"00"}
    for number, (_, letters) in CHAPTERS.items():
        names |= {str(number), f"{number:02}"} | {
            f"{n}{letter}" for n in (number, f"{number:02}") for letter in letters
        }
    return names


def number_of(stem: str) -> int | None:
    """Return the chapter number with which a file name begins, or None for an appendix.

    >>> number_of("03b_tokens"), number_of("chapter_01_background"), number_of("glossary")
    (3, 1, None)
    """
    match = re.match(r"(?:ch|chapter_?)?(\d{1,2})[a-z]?(?=_|-|$)", stem)
    return int(match.group(1)) if match else None


def label(stem: str) -> str | None:
    """Return what the title and every mention of a page or notebook begin with, or None for an appendix.

    >>> label("03b_tokens"), label("chapter_07"), label("00_first"), label("glossary")
    ('3b', '7', '00', None)
    """
    number = number_of(stem)
    if number is None:
        return None
    letter = re.match(r"\d{2}([a-z]?)_", stem)
    return f"{number}{letter[1]}" if letter and letter[1] else f"{number:02}" if letter else str(number)


def first_heading(text: str) -> str:
    """Return the first level-one heading of a Markdown page."""
    match = re.search(r"^# +(.+?)\s*$", text, flags=re.MULTILINE)
    return match.group(1) if match else ""


def pages(root: Path = ROOT) -> list[Path]:
    """Return the prose pages on disk."""
    return sorted((root / "book").glob("*.md"))


def notebooks(root: Path = ROOT) -> list[Path]:
    """Return the executed notebooks on disk."""
    return sorted((root / "notebooks").glob("*.ipynb"))


def written_chapters(root: Path = ROOT) -> dict[int, list[Path]]:
    """Return, for each chapter that has a page or a notebook, its pages and then its notebooks."""
    found: dict[int, list[Path]] = {}
    for path in [*pages(root), *notebooks(root)]:
        number = number_of(path.stem)
        if number is not None:
            found.setdefault(number, []).append(path)
    return dict(sorted(found.items()))


def appendices(root: Path = ROOT) -> list[Path]:
    """Return the pages without a chapter number, in the book's order."""
    ranks = {name: rank for rank, name in enumerate(APPENDICES)}
    found = [path for path in pages(root) if number_of(path.stem) is None and path.stem != INDEX]
    return sorted(found, key=lambda path: (ranks.get(path.stem, len(ranks)), path.stem))


def contents(root: Path = ROOT) -> str:
    """Return the text of _toc.yml: every page and notebook on disk, in the book's order."""
    lines = ["# Written by tools/write_tables.py from the files that exist.", "format: jb-book", f"root: book/{INDEX}"]
    parts = []
    chapters = written_chapters(root)
    if chapters:
        parts += ["  - caption: Chapters", "    chapters:"]
        for files in chapters.values():
            opener, *others = [path.relative_to(root).with_suffix("").as_posix() for path in files]
            parts.append(f"      - file: {opener}")
            if others:
                parts += ["        sections:", *(f"          - file: {other}" for other in others)]
    if appendices(root):
        parts += ["  - caption: Appendices", "    chapters:"]
        parts += [f"      - file: book/{path.stem}" for path in appendices(root)]
    if parts:
        lines += ["parts:", *parts]
    return "\n".join(lines) + "\n"


def notebook_link(path: Path, root: Path) -> str:
    """Return a link to a notebook, named by its title, and a link that opens it on Colab."""
    twin = path.parent / "src" / f"{path.stem}.md"
    title = first_heading(twin.read_text("utf-8")) if twin.is_file() else ""
    place = path.relative_to(root).as_posix()
    colab = repository.colab_address(repository.read_address(root), place)
    return f"[{title or path.stem}]({place}) ([Colab]({colab}))"


def table(root: Path = ROOT) -> str:
    """Return the chapter table of README.md: the chapters that exist, with links to read and to run."""
    lines = ["| read | run |", "|---|---|"]
    for files in written_chapters(root).values():
        prose = [path for path in files if path.suffix == ".md"]
        read = "<br>".join(f"[{first_heading(p.read_text('utf-8'))}]({p.relative_to(root).as_posix()})" for p in prose)
        run = "<br>".join(notebook_link(path, root) for path in files if path.suffix == ".ipynb")
        lines.append(f"| {read} | {run} |")
    return "\n".join(lines)
