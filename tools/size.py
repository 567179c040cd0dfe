"""Print how large the house is beside the aims of its design (size_aims.toml). They are aims: nothing fails here.

python tools/size.py
"""

import ast
import functools
import io
import re
import textwrap
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from line_kinds import line_kinds, refusal_lines, span

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mini_musessl"
KINDS = ("code", "docstring", "comment", "blank")
LONGEST_FUNCTION = 25  # code lines: what a page shows
N_WITHOUT_AIM, N_LARGEST, N_NAMES = 8, 10, 40  # lines that are printed


def aims(root: Path = ROOT) -> dict[str, dict]:
    """Return what size_aims.toml says."""
    return tomllib.loads((root / "tools" / "size_aims.toml").read_text("utf-8"))


@functools.cache
def count(source: str) -> Counter:
    """Return how many lines of each kind a file has, of how many all are, and how many only refuse."""
    kinds = line_kinds(source)
    refusals = {number for number in refusal_lines(ast.parse(source)) if kinds[number - 1] == "code"}
    return Counter(kinds) + Counter(files=1, lines=len(kinds), refusal=len(refusals))


def count_all(paths: Iterable[Path]) -> Counter:
    """Return the sum over files."""
    return sum((count(path.read_text("utf-8")) for path in paths), Counter())


def trees(root: Path = ROOT) -> dict[str, list[Path]]:
    """Return the Python files of each part of the repository."""
    package = sorted((root / PACKAGE).rglob("*.py"))
    exercises = [path for path in package if path.parent == root / PACKAGE / "exercises"]
    folders = ("tests", "tools", "experiments", "apps", "teaching")
    others = {name: sorted((root / name).rglob("*.py")) for name in folders}
    found = {"library": [path for path in package if path not in exercises], "exercises": exercises, **others}
    return {name: paths for name, paths in found.items() if paths}


def part(paths: list[Path], name: str, root: Path = ROOT) -> list[Path]:
    """Return the files of a module: ``NAME.py``, or everything in the folder ``NAME``."""
    base = root / PACKAGE / name
    return [path for path in paths if path == base.with_suffix(".py") or base in path.parents]


def share(found: int, aim: int) -> str:
    """Return by which share something is over (+) or under (-) its aim.

    >>> share(150, 100), share(90, 100)
    ('+50 %', '-10 %')
    """
    return f"{100 * (found / aim - 1):+.0f} %"


def tree_lines(root: Path = ROOT) -> list[str]:
    """Return a line for each part of the repository: its files, and what their lines are."""
    columns = ("files", "lines", *KINDS)
    lines = [f"{'':<12}" + "".join(f"{name:>10}" for name in columns) + "   refusal  doc/100  comment/100"]
    for name, paths in trees(root).items():
        found = count_all(paths)
        code = found["code"] or 1
        cells = "".join(f"{found[column]:>10,}" for column in columns)
        docs, comments = 100 * found["docstring"] / code, 100 * found["comment"] / code
        lines.append(f"{name:<12}{cells}{100 * found['refusal'] / code:>8.0f} %{docs:>9.0f}{comments:>13.1f}")
    return lines


def total_lines(root: Path = ROOT) -> list[str]:
    """Return a line for each sum beside its aim."""
    said, paths = aims(root), trees(root)
    core = {path for name in said["core"]["parts"] for path in part(paths["library"], name, root)}
    found = {name: count_all(paths.get(name, []))["lines"] for name in ("library", "exercises", "tests")}
    found["core"] = count_all(core)["lines"]
    aimed = said["totals"] | {"tests": found["library"]}  # tests are no longer than what they test
    rows = [(name, found[name], aimed[name]) for name in ("library", "core", "exercises", "tests")]
    return [f"{name:<32}{lines:>7,} of {aim:>7,}{share(lines, aim):>9}" for name, lines, aim in rows]


def module_lines(root: Path = ROOT) -> list[str]:
    """Return a line for each module beside its aim, the largest modules without one, and the aims without a module."""
    package = sorted((root / PACKAGE).rglob("*.py"))
    lines, missing, rest = [], [], set(trees(root)["library"])
    for name, aim in aims(root)["modules"].items():
        if found := part(package, name, root):
            n_lines = count_all(found)["lines"]
            lines.append(f"{name:<32}{n_lines:>7,} of {aim:>7,}{share(n_lines, aim):>9}")
            rest -= set(found)
        else:
            missing.append(f"{name} {aim}")
    sizes = sorted(((count_all([path])["lines"], path) for path in rest), key=lambda each: (-each[0], each[1]))
    for n_lines, path in sizes[:N_WITHOUT_AIM]:
        lines.append(f"{path.relative_to(root / PACKAGE).as_posix():<32}{n_lines:>7,} without an aim")
    if others := sizes[N_WITHOUT_AIM:]:
        lines.append(f"{f'{len(others)} smaller files':<32}{sum(n for n, _ in others):>7,} without an aim")
    return [*lines, *(textwrap.wrap("Not there yet: " + ", ".join(missing), 110) if missing else [])]


def cell_lines(root: Path = ROOT) -> list[str]:
    """Return how many cells of the notebooks show library code, sketch it, or define what stands in no library."""
    tags = [
        line
        for path in sorted((root / "notebooks" / "src").glob("*.md"))
        for line in re.findall(r"^:tags: \[(.*)\]$", path.read_text("utf-8"), flags=re.MULTILINE)
    ]
    n = {kind: sum(kind in line for line in tags) for kind in ("same-as", "sketch-of", "only-here")}
    aim = aims(root)["cells"]["same-as"]
    return [
        f"{'same-as':<32}{n['same-as']:>7} of at least {max(aim, n['sketch-of'] + 1)}",
        *(f"{kind:<32}{n[kind]:>7}" for kind in ("sketch-of", "only-here")),
    ]


def function_lines(root: Path = ROOT) -> list[str]:
    """Return the largest functions of the library."""
    found = []
    for path in trees(root)["library"]:
        source = path.read_text("utf-8")
        kinds = line_kinds(source)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n_lines = sum(kinds[number - 1] == "code" for number in span(node))
                found.append((n_lines, f"{path.relative_to(root / PACKAGE).as_posix()}:{node.lineno} {node.name}"))
    found.sort(key=lambda each: (-each[0], each[1]))
    return [f"{name:<60}{n_lines:>4}" for n_lines, name in found[:N_LARGEST]]


def names_in(source: str) -> Counter:
    """Return how often code uses each name; what strings and comments say is no use."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return Counter(token.string for token in tokens if token.type == tokenize.NAME)


def unused_names(root: Path = ROOT) -> dict[str, list[str]]:
    """Return, by module, the public functions and classes that only their own module, tests or one experiment use.

    A name that a notebook uses is used, and so is one that another module uses. A class that its own module uses may be
    what a function returns.
    """
    names = {
        path: names_in(path.read_text("utf-8"))
        for kind, paths in trees(root).items()
        for path in paths
        if kind != "tests" and path.name != "__init__.py"
    }
    twins = [path.read_text("utf-8") for path in (root / "notebooks" / "src").glob("*.md")]
    taught = {word for text in twins for word in re.findall(r"\w+", text)}
    found: dict[str, list[str]] = {}
    for path in trees(root)["library"]:
        source = path.read_text("utf-8")
        for node in ast.parse(source).body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_") or node.name in taught:
                continue
            users = [other for other in names if other != path and node.name in names[other]]
            is_used = len(users) > 1 or any(root / PACKAGE in user.parents for user in users)
            is_returned = isinstance(node, ast.ClassDef) and names_in(source)[node.name] > 1
            if not is_used and not is_returned:
                by = f" ({users[0].name})" if users else ""
                found.setdefault(path.relative_to(root / PACKAGE).as_posix(), []).append(node.name + by)
    return found


def name_lines(root: Path = ROOT) -> list[str]:
    """Return a line for each module with public names that little uses."""
    lines = [f"{path:<40} {', '.join(names)}" for path, names in unused_names(root).items()]
    hidden = len(lines) - N_NAMES
    return lines[:N_NAMES] + ([f"and {hidden} modules more"] if hidden > 0 else [])


SECTIONS = {
    "Lines": tree_lines,
    "Totals beside their aims": total_lines,
    "Modules beside their aims": module_lines,
    "Cells of notebooks/src": cell_lines,
    f"The largest functions, in code lines; what a notebook shows has at most {LONGEST_FUNCTION}": function_lines,
    "Public names that nothing outside their module uses but tests, or one file": name_lines,
}


def main() -> None:
    """Print every section."""
    for title, lines in SECTIONS.items():
        print(title, *(f"  {line}".rstrip() for line in lines()), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
