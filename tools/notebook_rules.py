"""The rules of notebooks and pages, each a function that returns a sentence for every breach.

tests/test_house_notebooks.py applies them to everything on disk, and shows each of them a bad example.
"""

import ast
import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import build_notebooks
import library_source
from build_notebooks import tags
from nbformat import NotebookNode

MAX_BYTES = 1_500_000
MAX_PRINTED = 85  # characters of a line: what a page shows at 1280 pixels
RELATIONS = ("same-as:", "sketch-of:", "only-here")
#: First bytes of compressed pictures and sounds that a browser shows.
COMPRESSED = {
    "image/png": b"\x89PNG",
    "image/jpeg": b"\xff\xd8",
    "image/webp": b"RIFF",
    "audio/mpeg": b"",
    "audio/mp3": b"",
    "audio/ogg": b"OggS",
}
MEDIA = re.compile(r"data:((?:audio|image)/[a-z0-9.+-]+);base64,([A-Za-z0-9+/=]+)")
NUMBER = re.compile(
    r"(?<![\w.])\d+\.\d{2,}(?![\w.]*\d)"  # a decimal with two or more digits after the point
    r"|(?<![\w.])\d+(?:\.\d+)?\s?(?:%|percent\b)"  # a percentage
)
#: What is removed before numbers are looked for: code, formulas, comments, tags, addresses and versions.
NOT_PROSE = re.compile(
    r"^(`{3,}|~{3,}).*?^\1"
    r"|``.+?``|`[^`\n]+`"
    r"|\$\$.+?\$\$|\$[^$\n]+\$"
    r"|<!--.*?-->"
    r"|<[a-zA-Z/][^>]*>"
    r"|https?://\S+"
    r"|(?:Python|version|older than|newer than) \d+\.\d+",
    flags=re.DOTALL | re.MULTILINE,
)
#: A paragraph with one of these quotes somebody else's number, and says whose.
CITATION = re.compile(r"\{cite|\]\(https?://|<https?://")
#: The level of an interval is chosen, not measured.
LEVEL = re.compile(r"9[059]\s?%")
LEVEL_WORDS = re.compile(r"\b(interval|bootstrap|confidence)", flags=re.IGNORECASE)
EXCUSE = re.compile(r"<!--\s*typed:(.*?)-->", flags=re.DOTALL)


def twin_problems(notebook: NotebookNode, plan: NotebookNode) -> list[str]:
    """A notebook has exactly the cells that its text twin describes."""
    found, wanted = build_notebooks.outline(notebook), build_notebooks.outline(plan)
    for number, (have, want) in enumerate(zip(found, wanted, strict=False), 1):
        if have != want:
            return [f"cell {number} differs from the text twin: run `make notebooks`"]
    if len(found) != len(wanted):
        return [f"has {len(found)} cells where its text twin describes {len(wanted)}: run `make notebooks`"]
    return []


def execution_problems(notebook: NotebookNode) -> list[str]:
    """A notebook was run from top to bottom, wrote nothing to stderr, and failed only where a tag expects it."""
    problems = [] if build_notebooks.is_executed(notebook) else ["was not executed once from top to bottom"]
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code":
            continue
        if not cell.source.strip():
            problems.append(f"cell {number} is an empty code cell")
        if any(output.get("name") == "stderr" for output in cell.outputs):
            problems.append(f"cell {number} wrote to stderr")
        has_error = any(output.output_type == "error" for output in cell.outputs)
        if has_error != ("raises-exception" in tags(cell)):
            problems.append(f"cell {number} must have an error exactly where it is tagged raises-exception")
    return problems


def _output_texts(notebook: NotebookNode) -> list[tuple[int, str, str]]:
    """Return ``(cell number, type, text)`` of every output, lists joined."""
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            for kind, data in output.get("data", {}).items():
                found.append((number, kind, data if isinstance(data, str) else str(data)))
    return found


def media_problems(notebook: NotebookNode) -> list[str]:
    """Pictures and sounds in a notebook are compressed."""
    problems = []
    for number, kind, text in _output_texts(notebook):
        inline = MEDIA.findall(text) if kind == "text/html" else []
        direct = [(kind, text)] if kind.startswith(("audio/", "image/")) and kind != "image/svg+xml" else []
        for media, encoded in [*inline, *direct]:
            if media == "image/svg+xml":
                continue
            start = base64.b64decode(encoded[:16])
            if media not in COMPRESSED or not start.startswith(COMPRESSED[media]):
                problems.append(f"cell {number} holds {media}: use MP3 for sound, PNG, JPEG, WebP or SVG for pictures")
    return problems


def size_problems(n_bytes: int) -> list[str]:
    """A notebook stays small enough to open on a phone."""
    return [f"has {n_bytes} bytes; at most {MAX_BYTES} are allowed"] if n_bytes > MAX_BYTES else []


def printed_problems(notebook: NotebookNode) -> list[str]:
    """No printed line is longer than a page shows."""
    problems = []
    for number, cell in enumerate(notebook.cells, 1):
        printed = [output.text for output in cell.get("outputs", []) if output.output_type == "stream"]
        longest = max(map(len, "".join(printed).splitlines()), default=0)
        if longest > MAX_PRINTED:
            problems.append(f"cell {number} prints a line of {longest} characters; at most {MAX_PRINTED} are shown")
    return problems


class _Pictures(HTMLParser):
    """Collect the alternative text of every picture, None where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.alternatives: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one picture."""
        if tag == "img":
            self.alternatives.append(dict(attrs).get("alt"))


def picture_problems(notebook: NotebookNode) -> list[str]:
    """Every picture in an output says in words what it shows."""
    problems = []
    for number, kind, text in _output_texts(notebook):
        if kind == "text/html":
            parser = _Pictures()
            parser.feed(text)
            if any(not (alternative or "").strip() for alternative in parser.alternatives):
                problems.append(f"cell {number} shows a picture without alternative text")
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" not in data and any(kind.startswith("image/") for kind in data):
                problems.append(f"cell {number} shows a bare picture: use plotting.figure, which asks for words")
    return problems


def _checks(cell: NotebookNode) -> list[str]:
    """Return the text of the statements of a cell that assert something."""
    tree = library_source.plain_python(cell.source)
    return [ast.unparse(node) for node in ast.walk(tree) if _asserts(node)] if tree else []


def _asserts(node: ast.AST) -> bool:
    is_call = isinstance(node, ast.Call) and re.search(r"\bassert_\w+$", ast.unparse(node.func))
    return isinstance(node, ast.Assert) or bool(is_call)


def relation_problems(notebook: NotebookNode, root: Path = library_source.ROOT) -> list[str]:
    """A cell that defines something says how it stands to the library, and the claim is true."""
    codes = [(number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code"]
    problems = []
    for (number, cell), (_, following) in zip(codes, [*codes[1:], (0, None)], strict=False):
        problems += [f"cell {number} {problem}" for problem in _cell_problems(cell, following, root)]
    return problems


def _cell_problems(cell: NotebookNode, following: NotebookNode | None, root: Path) -> list[str]:
    """Return what is wrong with the relations of one code cell; the next one compares its sketches."""
    tree = library_source.plain_python(cell.source)
    defined = library_source.definitions(tree) if tree else {}
    relations = [tag for tag in tags(cell) if tag.startswith(RELATIONS)]
    if not relations:
        asked = "tag it same-as:module.name, sketch-of:module.name or only-here"
        return [f"defines {', '.join(defined)}: {asked}"] if defined else []
    problems = []
    for kind, _, name in (tag.partition(":") for tag in relations if ":" in tag):
        try:
            _, node = library_source.find_in_library(name, root)
        except LookupError as error:
            problems.append(f"is tagged {kind}:{name}. {error}")
            continue
        is_copy = kind == "same-as"
        problems += _copy_problems(node, name, defined) if is_copy else _sketch_problems(node, name, following)
    same = {tag.split(".")[-1] for tag in relations if tag.startswith("same-as:")}
    extra = sorted(set(defined) - same) if same and "only-here" not in relations else []
    return problems + [f"also defines {name}, which no same-as: tag names" for name in extra]


def _copy_problems(node: library_source.Definition, name: str, defined: dict) -> list[str]:
    """Compare one definition of a cell with the library's."""
    if node.name not in defined:
        return [f"is tagged same-as:{name} and does not define {node.name}"]
    if library_source.bare_tree(defined[node.name]) != library_source.bare_tree(node):
        return [f"has a {node.name} that differs from the library's; build_notebooks.py --write-library copies it"]
    return []


def _sketch_problems(node: library_source.Definition, name: str, following: NotebookNode | None) -> list[str]:
    """Look for an assertion, in the next code cell, that names what was sketched."""
    if following and any(re.search(rf"\b{node.name}\b", check) for check in _checks(following)):
        return []
    return [f"sketches {name}: the next code cell must assert that it agrees with {node.name}"]


def number_problems(text: str) -> list[str]:
    """A measured number is not typed into prose: it stands in an output or comes from results/.

    Decimals with two or more digits after the point, and percentages, count as measured. They may stand in code, in
    formulas, in a paragraph with a citation or a link to the source, or with the excuse ``<!-- typed: NUMBER why -->``
    in the same cell.
    """
    excuses = " ".join(EXCUSE.findall(text))
    problems = []
    for paragraph in re.split(r"\n\s*\n", _blank(NOT_PROSE, text, keep=CITATION)):
        if CITATION.search(paragraph):
            continue
        for match in NUMBER.finditer(paragraph):
            number = match.group().strip()
            if LEVEL.fullmatch(number) and LEVEL_WORDS.search(paragraph):
                continue
            if not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d])", excuses):
                problems.append(f"the number {number} is typed into prose")
    return problems


def _blank(pattern: re.Pattern, text: str, keep: re.Pattern) -> str:
    """Remove what a pattern finds; a paragraph that had a citation keeps a sign of it."""
    marked = keep.sub(lambda match: match.group() + " {cite ", text)
    return pattern.sub(" ", marked)


def page_number_problems(text: str) -> list[str]:
    """Apply ``number_problems`` to a prose page, without its front matter and the tables that are made from results."""
    text = re.sub(r"<!-- (?P<name>[\w ]+) -->.*?<!-- end of (?P=name) -->", "", text, flags=re.DOTALL)
    return number_problems(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL))
