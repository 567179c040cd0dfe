"""Check the built pages: nothing comes from another host, what they load and link to exists, players have names.

python tools/check_book.py _build/html
"""

import sys
from collections.abc import Iterator
from functools import cache
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

Elements = list[tuple[str, dict[str, str]]]


class Reader(HTMLParser):
    """Collect the elements of a page, each with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Elements = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        self.found.append((tag, {name: value or "" for name, value in attrs}))


@cache
def elements(page: Path) -> Elements:
    """Return the elements of a page."""
    reader = Reader()
    reader.feed(page.read_text("utf-8"))
    return reader.found


@cache
def anchors(page: Path) -> set[str]:
    """Return the places of a page that a link can lead to."""
    return {found[key] for _, found in elements(page) for key in ("id", "name") if key in found}


def fetched(page: Path) -> list[str]:
    """Return the addresses that a page makes a browser fetch, those inside the page itself apart."""
    addresses = [
        found.get(name, "")
        for tag, found in elements(page)
        if not (tag == "link" and DESCRIBES & set(found.get("rel", "").split()))
        for name in FETCHES.get(tag, ())
    ]
    return [address for address in addresses if address and urlsplit(address).scheme != "data"]


def target(address: str, page: Path, root: Path) -> Path:
    """Return the file that an address inside the book means."""
    path = unquote(urlsplit(address).path)
    if not path:
        return page
    return root / path.lstrip("/") if path.startswith("/") else page.parent / path


def is_elsewhere(address: str) -> bool:
    """Say whether an address names another host, or another way than the web, such as mail."""
    return bool(urlsplit(address).scheme or urlsplit(address).netloc)


def page_problems(page: Path, root: Path) -> Iterator[str]:
    """Return a sentence for each thing that is wrong with a page.

    Args:
        root: the folder of the built book.
    """
    for address in fetched(page):
        if is_elsewhere(address):
            yield f"is loaded from another host: {address[:120]}"
        elif not target(address, page, root).is_file():
            yield f"is not in the book: {address[:120]}"
    for address in [found["href"] for tag, found in elements(page) if tag == "a" and "href" in found]:
        file, place = target(address, page, root).resolve(), unquote(urlsplit(address).fragment)
        if not is_elsewhere(address) and not (file.is_file() and (not place or place in anchors(file))):
            yield f"a link leads nowhere: {address[:120]}"
    if any(tag == "audio" and not found.get("aria-label") for tag, found in elements(page)):
        yield "a player has no name: give it an aria-label"
    if any(tag == "body" for tag, _ in elements(page)):  # the page that only leads on has none
        yield from head_problems(page)


def head_problems(page: Path) -> Iterator[str]:
    """Return a sentence where the head of a page loads too little or too much."""
    if not any("icon" in found.get("rel", "").split() for tag, found in elements(page) if tag == "link"):
        yield "no icon is named: browsers would ask for /favicon.ico, which is not there"
    has_formula = any("math" in found.get("class", "").split() for _, found in elements(page))
    loads_mathjax = any("mathjax" in address for address in fetched(page))
    if has_formula != loads_mathjax:
        yield "a formula and no MathJax" if has_formula else "MathJax, 1.2 MB, and no formula"


def main() -> None:
    """Check the book named on the command line and say what was found."""
    root = Path(sys.argv[1]).resolve()
    pages = [page for page in sorted(root.rglob("*.html")) if "_static" not in page.relative_to(root).parts]
    if not pages:
        sys.exit(f"There must be a built book in {root}; found no page. Run `make book`.")
    problems = [f"{page.relative_to(root)}: {problem}" for page in pages for problem in page_problems(page, root)]
    if problems:
        sys.exit("\n".join([*problems, f"{len(problems)} things are wrong with the built book."]))
    print(f"Built {len(pages)} pages, none of which loads anything from another host. Open {root / 'index.html'}")


if __name__ == "__main__":
    main()
