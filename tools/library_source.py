"""Compare and copy definitions: taught code is library code.

A definition is named ``module.name`` or ``module.Class.method``, such as ``music.transpose`` or
``tokenizers.remi.Remi.encode``; the module is the file that defines it, or a package whose ``__init__`` imports it.
"""

import ast
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from line_kinds import Definition, docstring_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mini_musessl"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def definitions(tree: ast.Module | ast.ClassDef) -> dict[str, Definition]:
    """Return the functions and classes that stand directly in a module or class, by name."""
    return {node.name: node for node in tree.body if isinstance(node, Definition)}


def find_in_library(name: str, root: Path = ROOT) -> tuple[str, Definition]:
    """Return the text of the file that defines ``module.name``, and the definition in it."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        base = root.joinpath(PACKAGE, *parts[:cut])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                source = path.read_text("utf-8")
                tree = ast.parse(source)
                if path.name == "__init__.py" and (origin := _imported_from(tree, parts[cut])):
                    return find_in_library(".".join([origin, *parts[cut + 1 :]]), root)
                return source, _walk_down(tree, parts[cut:], name, path.relative_to(root))
    raise LookupError(f"{name} must name a definition of {PACKAGE} with its module; there is no module of that name.")


def _imported_from(tree: ast.Module, name: str) -> str | None:
    """Return ``module.name`` of what a file imports from the library under a name, or None."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return f"{node.module.removeprefix(f'{PACKAGE}.')}.{alias.name}"
    return None


def _walk_down(node: ast.Module, parts: list[str], name: str, path: Path) -> Definition:
    """Follow ``Class.method`` inside one file."""
    for part in parts:
        inside = definitions(node) if isinstance(node, ast.Module | ast.ClassDef) else {}
        if part not in inside:
            raise LookupError(f"{name} must name a definition of {PACKAGE}; {path} defines no {part} at that place.")
        node = inside[part]
    return node


class _Bare(ast.NodeTransformer):
    """Remove what a notebook may leave out: docstrings and annotations."""

    def _without_docstring(self, node: Definition) -> Definition:
        self.generic_visit(node)
        if docstring_of(node):
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: Function) -> Function:
        """Drop the type of the result, and the docstring."""
        node.returns = None
        return self._without_docstring(node)

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_ClassDef = _without_docstring

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Drop the type of a parameter."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        """Turn ``x: int = 3`` into ``x = 3`` and a bare ``x: int`` into ``x``."""
        self.generic_visit(node)
        return ast.Expr(node.target) if node.value is None else ast.Assign([node.target], node.value)


def bare_tree(node: Definition) -> str:
    """Return a definition's syntax tree without docstrings and annotations, as text that can be compared."""
    copy = ast.parse(ast.unparse(node)).body[0]
    return ast.dump(_Bare().visit(copy))


class _Places:
    """Where syntax stands in a file, in bytes: the tree counts columns in bytes of UTF-8."""

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines(keepends=True)
        self.starts = [0, *itertools.accumulate(len(line.encode()) for line in self.lines)]

    def begin(self, node: ast.AST) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.AST) -> int:
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def whole_lines(self, node: ast.AST) -> tuple[int, int]:
        """Return where the lines of a statement begin, and where they and the empty ones that follow end."""
        stop = node.end_lineno
        while not self.lines[stop].strip():
            stop += 1
        return self.starts[node.lineno - 1], self.starts[stop]


def bare_source(source: str, node: Definition) -> str:
    """Return a definition's text without docstrings and annotations of functions, comments kept, formatted.

    The fields of a dataclass keep their annotations, since they make them fields.
    """
    data, places = source.encode(), _Places(source)
    begin = places.begin(node.decorator_list[0]) - 1 if node.decorator_list else places.begin(node)
    bare = data[begin : places.starts[node.end_lineno]]  # with a comment that ends the last line
    for start, stop, filler in sorted(set(_cuts(node, data, places)), reverse=True):
        bare = bare[: start - begin] + filler + bare[stop - begin :]
    indent = node.col_offset
    lines = bare.decode().splitlines()
    return _format("\n".join(line[indent:] if line[:indent].isspace() else line for line in lines))


def _cuts(node: Definition, data: bytes, places: _Places) -> Iterator[tuple[int, int, bytes]]:
    """Yield where something is left out, and what stands there instead."""
    for part in ast.walk(node):
        if isinstance(part, ast.arg) and part.annotation:
            yield places.begin(part) + len(part.arg.encode()), places.end(part.annotation), b""
        if isinstance(part, Function):
            if part.returns:
                yield data.rindex(b"->", 0, places.begin(part.returns)), places.end(part.returns), b""
            for inner in ast.walk(part):
                if isinstance(inner, ast.AnnAssign) and inner.value:
                    yield places.end(inner.target), places.end(inner.annotation), b""
        if isinstance(part, Definition) and (text := docstring_of(part)):
            is_alone = len(part.body) == 1
            yield (places.begin(text), places.end(text), b"pass") if is_alone else (*places.whole_lines(text), b"")


def _format(text: str) -> str:
    """Return code in ruff's format, signatures on one line where they fit."""
    command = [sys.executable, "-m", "ruff", "format", "--config", "format.skip-magic-trailing-comma=true"]
    command += ["--line-length", "100", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.strip("\n")


def replace_definition(cell: str, name: str, text: str) -> str:
    """Return a cell with its definition of ``name`` replaced by ``text``, or with ``text`` alone where it has none."""
    tree = plain_python(cell)
    node = definitions(tree).get(name) if tree else None
    if node is None:
        return text
    lines = cell.splitlines()
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join([*lines[: first - 1], *text.splitlines(), *lines[node.end_lineno :]])


def plain_python(cell: str) -> ast.Module | None:
    """Return the syntax of a cell, or None where it is not plain Python, as with a magic."""
    try:
        return ast.parse(cell)
    except SyntaxError:
        return None
