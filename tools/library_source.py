"""Compare and copy definitions: taught code is library code.

A definition is named ``module.name`` or ``module.Class.method``, such as ``music.transpose`` or
``tokenizers.remi.Remi.encode``; the module is the file that defines it, or a package whose ``__init__`` imports it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mini_musessl"

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(tree: ast.Module | ast.ClassDef) -> dict[str, Definition]:
    """Return the functions and classes that stand directly in a module or class, by name."""
    return {node.name: node for node in tree.body if isinstance(node, Definition)}


def find_in_library(name: str, root: Path = ROOT) -> tuple[str, Definition]:
    """Return the text of the file that defines ``module.name``, and the definition in it.

    A name that the ``__init__`` of a package imports from one of its files is looked up there.

    Raises:
        LookupError: the library has no such module or definition.
    """
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


def _walk_down(tree: ast.Module, parts: list[str], name: str, path: Path) -> Definition:
    """Follow ``Class.method`` inside one file."""
    node: ast.Module | Definition = tree
    for part in parts:
        inside = definitions(node) if isinstance(node, ast.Module | ast.ClassDef) else {}
        if part not in inside:
            raise LookupError(f"{name} must name a definition of {PACKAGE}; {path} defines no {part} at that place.")
        node = inside[part]
    assert isinstance(node, Definition)  # parts is never empty
    return node


class _Bare(ast.NodeTransformer):
    """Remove what a notebook may leave out: docstrings and annotations."""

    def _without_docstring(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if _docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the type of the result, and the docstring."""
        node.returns = None
        return self._without_docstring(node)

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_ClassDef = _without_docstring

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """Drop the type of a parameter."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Turn ``x: int = 3`` into ``x = 3`` and a bare ``x: int`` into ``x``."""
        self.generic_visit(node)
        if node.value is None:
            return ast.Expr(node.target)
        return ast.Assign([node.target], node.value)


def _docstring(node: ast.AST) -> ast.Expr | None:
    """Return the statement that is a definition's docstring."""
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return first if is_text else None


def bare_tree(node: Definition) -> str:
    """Return a definition's syntax tree without docstrings and annotations, as text that can be compared."""
    copy = ast.parse(ast.unparse(node)).body[0]
    return ast.dump(_Bare().visit(copy))


def bare_source(source: str, node: Definition) -> str:
    """Return a definition's text without docstrings and annotations of functions, comments kept, formatted.

    The fields of a dataclass keep their annotations, since they make them fields.
    """
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    data = source.encode()

    def place(line: int, column: int) -> int:
        return starts[line - 1] + column

    def end(part: ast.AST) -> int:
        return place(part.end_lineno, part.end_col_offset)

    first = node.decorator_list[0] if node.decorator_list else node
    begin = place(first.lineno, first.col_offset) - (1 if node.decorator_list else 0)
    cuts: list[tuple[int, int, bytes]] = []
    for part in ast.walk(node):
        if isinstance(part, ast.arg) and part.annotation is not None:
            cuts.append((place(part.lineno, part.col_offset) + len(part.arg.encode()), end(part.annotation), b""))
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            if part.returns is not None:
                arrow = data.rindex(b"->", 0, place(part.returns.lineno, part.returns.col_offset))
                cuts.append((arrow, end(part.returns), b""))
            for inner in ast.walk(part):
                if isinstance(inner, ast.AnnAssign) and inner.value is not None:
                    cuts.append((end(inner.target), end(inner.annotation), b""))
        if isinstance(part, Definition) and (text := _docstring(part)) is not None:
            if len(part.body) == 1:
                cuts.append((place(text.lineno, text.col_offset), end(text), b"pass"))
            else:  # whole lines, with the empty ones that follow
                stop = text.end_lineno
                while not lines[stop].strip():
                    stop += 1
                cuts.append((place(text.lineno, 0), place(stop + 1, 0), b""))
    result = data[begin : place(node.end_lineno + 1, 0)]  # with a comment that ends the last line
    for start, stop, filler in sorted(set(cuts), reverse=True):
        result = result[: start - begin] + filler + result[stop - begin :]
    indent = node.col_offset
    text = "\n".join(line[indent:] if line[:indent].isspace() else line for line in result.decode().splitlines())
    return _format(text)


def _format(text: str) -> str:
    """Return code in ruff's format, signatures on one line where they fit."""
    command = [sys.executable, "-m", "ruff", "format", "--config", "format.skip-magic-trailing-comma=true"]
    command += ["--line-length", "100", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.strip("\n")


def replace_definition(cell: str, name: str, text: str) -> str:
    """Return a cell with its definition of ``name`` replaced by ``text``, or with ``text`` alone where it has none."""
    node = definitions(ast.parse(cell)).get(name) if _parses(cell) else None
    if node is None:
        return text
    lines = cell.splitlines()
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join([*lines[: first - 1], *text.splitlines(), *lines[node.end_lineno :]])


def _parses(cell: str) -> bool:
    """Return whether a cell is plain Python (a cell with a magic is not)."""
    try:
        ast.parse(cell)
    except SyntaxError:
        return False
    return True
