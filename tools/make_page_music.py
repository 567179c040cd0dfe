"""Run the lines of code that pages of the book show beside a player, and write the music that they make.

.venv/bin/python tools/make_page_music.py
"""

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"


def pages() -> list[Path]:
    """Return the pages that play what their code makes."""
    return [page for page in sorted(BOOK.glob("*.md")) if f":file: music/{page.stem}.html" in page.read_text("utf-8")]


def music_of(page: Path) -> Path:
    """Return the file with the player of a page."""
    return BOOK / "music" / f"{page.stem}.html"


def code_of(page: Path) -> str:
    """Return the first block of Python on a page."""
    return re.search(r"^`{3,}python\n(.*?)^`{3,}$", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)[1]


def sign(code: str) -> str:
    """Return the first line of the music's file: it says which code made it."""
    return f"<!-- made by code with sha256 {hashlib.sha256(code.encode()).hexdigest()} -->"


def write_music(page: Path) -> None:
    """Write what the last line of a page's code shows."""
    code, names, music = code_of(page), {}, music_of(page)
    *lines, last = re.split(r"\n(?=show\()", code.strip())
    exec("\n".join(lines), names)
    music.parent.mkdir(exist_ok=True)
    music.write_text(f"{sign(code)}\n{eval(last, names).html}\n", "utf-8")
    print(f"Wrote {music.relative_to(ROOT)}, {music.stat().st_size / 1000:.0f} kB.")


if __name__ == "__main__":
    for page in pages():
        write_music(page)
