"""Write what is made from the files that exist: _toc.yml, README.md's tables, and the tables of results in the book.

python tools/write_tables.py
"""

from __future__ import annotations

import re
from pathlib import Path

import benchmark_tables
import chapters
import floors
import objectives_tables
import result_tables

ROOT = Path(__file__).resolve().parent.parent


def fill(text: str, name: str, table: str) -> str:
    r"""Return a page with the block between ``<!-- name -->`` and ``<!-- end of name -->`` replaced.

    Raises:
        ValueError: the page has not exactly one such block.

    Example:
        >>> fill("<!-- map -->\nold\n<!-- end of map -->", "map", "new")
        '<!-- map -->\nnew\n<!-- end of map -->'
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", flags=re.DOTALL)
    if len(block.findall(text)) != 1:
        raise ValueError(f"The page must have one block from {begin} to {end}; found {len(block.findall(text))}.")
    return block.sub(lambda _: f"{begin}\n{table}\n{end}", text)


def readme(root: Path = ROOT) -> str:
    """Return README.md as it must be."""
    text = (root / "README.md").read_text("utf-8")
    text = fill(text, "chapters", chapters.table(root))
    return fill(text, "floors", floors.table(root))


#: Pages of the book with tables of results, and the function that makes each table.
RESULT_PAGES = {
    "chapter_04_study": {
        "objectives all": objectives_tables.probes_of_all,
        "objectives hopes": objectives_tables.hopes,
        "objectives ten": objectives_tables.probes_of_ten,
        "objectives tuned": objectives_tables.fine_tuned,
        "objectives filling": objectives_tables.filling,
        "objectives heads": objectives_tables.heads,
        "objectives views": objectives_tables.views,
        "objectives data": objectives_tables.data,
        "objectives new hymns": objectives_tables.probes_of_new_hymns,
    },
    "chapter_08": {
        "jsb_table": benchmark_tables.headline,
        "jsb details": benchmark_tables.details,
        "jsb together": benchmark_tables.together,
        "jsb ideas": benchmark_tables.ideas,
        "jsb splits": benchmark_tables.splits,
    },
    "scoreboard": {
        "scoreboard": result_tables.scoreboard,
        "objectives": objectives_tables.scoreboard,
        "known tunes": result_tables.known_tunes,
    },
    "reproducibility": {"provenance": result_tables.provenance},
}


def result_page(name: str, root: Path = ROOT) -> str:
    """Return a page of the book with its tables as the results are now."""
    text = (root / "book" / f"{name}.md").read_text("utf-8")
    for block, table in RESULT_PAGES[name].items():
        text = fill(text, block, "\n" + table() + "\n")
    return text


def main() -> None:
    """Write all of them and say which changed."""
    wanted = {ROOT / "README.md": readme(), ROOT / "_toc.yml": chapters.contents()}
    wanted |= {ROOT / "book" / f"{name}.md": result_page(name) for name in RESULT_PAGES}
    changed = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in changed:
        path.write_text(wanted[path], "utf-8")
    names = ", ".join(path.name for path in changed)
    print(
        f"Wrote {names}."
        if changed
        else "README.md, _toc.yml and the tables of results agree with the files that exist."
    )


if __name__ == "__main__":
    main()
