"""Check the built pages: nothing is loaded from another host, and every local script, style and picture exists.

python tools/check_book.py _build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes through which a browser fetches something when it shows a page. A link that a reader clicks is no fetch.
FETCHES = {
    "script": ("src",),
    "img": ("src",),
    "audio": ("src",),
    "video": ("src", "poster"),
    "source": ("src",),
    "iframe": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "link": ("href",),
}
#: Relations of <link> that only describe the page.
DESCRIBES = {"canonical", "author", "next", "prev", "index", "search", "license"}


class Fetches(HTMLParser):
    """Collect the addresses that a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag fetches."""
        found = dict(attrs)
        if tag == "link" and set((found.get("rel") or "").split()) & DESCRIBES:
            return
        self.addresses += [found[name] for name in FETCHES.get(tag, ()) if found.get(name)]


def page_problems(html: str, folder: Path, root: Path) -> list[str]:
    """Return a sentence for each fetch of a page that leaves the book or leads nowhere.

    Args:
        folder: where the page lies: relative addresses begin there.
        root: the folder of the built book.
    """
    parser = Fetches()
    parser.feed(html)
    problems = []
    for address in parser.addresses:
        parts = urlsplit(address)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            problems.append(f"is loaded from another host: {address[:120]}")
            continue
        target = root / parts.path.lstrip("/") if parts.path.startswith("/") else folder / parts.path
        if not Path(unquote(str(target))).is_file():
            problems.append(f"is not in the book: {address[:120]}")
    return problems


def main() -> None:
    """Check the book named on the command line and say what was found."""
    root = Path(sys.argv[1])
    pages = [page for page in sorted(root.rglob("*.html")) if "_static" not in page.relative_to(root).parts]
    if not pages:
        sys.exit(f"There must be a built book in {root}; found no page. Run `make book`.")
    problems = [
        f"{page.relative_to(root)}: {problem}"
        for page in pages
        for problem in page_problems(page.read_text("utf-8"), page.parent, root)
    ]
    if problems:
        sys.exit("\n".join([*problems, f"{len(problems)} things would not load when the book is read offline."]))
    print(f"Built {len(pages)} pages, none of which loads anything from another host. Open {root / 'index.html'}")


if __name__ == "__main__":
    main()
