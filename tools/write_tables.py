"""Write what is made from the files that exist: _toc.yml, README.md's tables and drawing, blocks of pages, minutes.

python tools/write_tables.py
"""

import re
from pathlib import Path

import chapters
import floors
import floors_drawing
import mentions
import minutes
import repository
import tables

ROOT = Path(__file__).resolve().parent.parent


def fill(text: str, name: str, table: str) -> str:
    r"""Return a page with the one block between ``<!-- name -->`` and ``<!-- end of name -->`` replaced.

    >>> fill("<!-- map -->\nold\n<!-- end of map -->", "map", "new")
    '<!-- map -->\nnew\n<!-- end of map -->'
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", flags=re.DOTALL)
    if (n_blocks := len(block.findall(text))) != 1:
        raise ValueError(f"The page must have one block from {begin} to {end}; found {n_blocks}.")
    return block.sub(lambda _: f"{begin}\n{table}\n{end}", text)


def readme(root: Path = ROOT) -> str:
    """Return README.md as it must be."""
    text = fill((root / "README.md").read_text("utf-8"), "chapters", chapters.table(root))
    text = fill(text, "address", f"\n{repository.notice(root)}\n")
    return fill(text, "floors", floors.table(root))


def result_page(name: str, root: Path = ROOT) -> str:
    """Return a page of the book with its tables as the results are now, and its **Time** line."""
    path = root / "book" / f"{name}.md"
    text = path.read_text("utf-8")
    for block, table in tables.PAGES[name].items():
        text = fill(text, block, f"\n{table()}\n")
    return framed(text, path, root)


def framed(text: str, place: Path, root: Path = ROOT) -> str:
    """Return a page or twin with its links to pages and terms and its **Time** line.

    Args:
        place: where the text is shown; a twin is shown as its notebook.
    """
    linked = mentions.linked(text, place, mentions.places(root))
    if chapters.label(place.stem):
        linked = mentions.with_terms(linked, place, root)
    return minutes.with_time(linked, place, root)


def framed_texts(root: Path = ROOT) -> dict[Path, str]:
    """Return every page and twin as it must be, the pages with tables apart."""
    shown = {path: place for path, place in mentions.pages_and_twins(root).items() if path.stem not in tables.PAGES}
    return {path: framed(path.read_text("utf-8"), place, root) for path, place in shown.items()}


def main() -> None:
    """Write all of them and say which changed."""
    wanted = {ROOT / "README.md": readme(), ROOT / "_toc.yml": chapters.contents()}
    wanted[ROOT / "assets" / "floors.svg"] = floors_drawing.svg()
    wanted |= framed_texts() | {ROOT / "book" / f"{name}.md": result_page(name) for name in tables.PAGES}
    changed = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in changed:
        path.write_text(wanted[path], "utf-8")
    nothing = "README.md, _toc.yml and the tables of results agree with the files that exist."
    print(f"Wrote {', '.join(path.name for path in changed)}." if changed else nothing)


if __name__ == "__main__":
    main()
