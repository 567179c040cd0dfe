"""Run the lines of code that the first page of the book shows, and write the music that they make beside it.

.venv/bin/python tools/make_page_music.py
"""

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "book" / "index.md"
MUSIC = ROOT / "book" / "music" / "index.html"


def code_of(page: Path = PAGE) -> str:
    """Return the first block of Python on a page."""
    return re.search(r"^`{3,}python\n(.*?)^`{3,}$", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)[1]


def sign(code: str) -> str:
    """Return the first line of the music's file: it says which code made it."""
    return f"<!-- made by code with sha256 {hashlib.sha256(code.encode()).hexdigest()} -->"


def main() -> None:
    """Write what the last line of the code shows."""
    code, names = code_of(), {}
    *lines, last = re.split(r"\n(?=show\()", code.strip())
    exec("\n".join(lines), names)
    MUSIC.parent.mkdir(exist_ok=True)
    MUSIC.write_text(f"{sign(code)}\n{eval(last, names).html}\n", "utf-8")
    print(f"Wrote {MUSIC.relative_to(ROOT)}, {MUSIC.stat().st_size / 1000:.0f} kB.")


if __name__ == "__main__":
    main()
