"""How much of the code that a reader sees is the lesson, and how much prints, plots, imports or asserts.

python tools/visible_code.py [NAME ...]
"""

import ast
import re
import sys
from pathlib import Path

import build_notebooks
import library_source
from line_kinds import line_kinds, span
from nbformat import NotebookNode

#: At most this share of the code in view prints, plots, imports or asserts.
MOST = 0.25
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
PLUMBING = re.compile(r"^(?:print|display|figure|table|plot_\w+|axes\S*\.\w+|\S*\bassert_\w+|torch\.set_num_threads)$")


def counts(notebook: NotebookNode) -> tuple[int, int]:
    """Return the lines of visible code, exercises apart, and how many of them are not the lesson."""
    n_lines = n_plumbing = 0
    for cell in notebook.cells:
        tree = library_source.plain_python(cell.source) if cell.cell_type == "code" else None
        if tree is None or FOLDED & set(build_notebooks.tags(cell)) or _is_exercise(tree):
            continue
        kinds = line_kinds(cell.source)
        plumbing = set().union(*(span(node) for node in ast.walk(tree) if _is_plumbing(node)))
        n_lines += kinds.count("code")
        n_plumbing += sum(kinds[number - 1] == "code" for number in plumbing)
    return n_lines, n_plumbing


def _is_exercise(tree: ast.Module) -> bool:
    """Return whether a cell waits for the reader's answer, or checks it."""
    return any(isinstance(node, ast.Name) and node.id in ("check", "NotImplementedError") for node in ast.walk(tree))


def _is_plumbing(node: ast.AST) -> bool:
    """Return whether a statement only imports, asserts, prints or plots."""
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Assert():
            return True
        case ast.Expr(value=ast.Call(func=function)):
            return bool(PLUMBING.match(ast.unparse(function)))
        case ast.With(items=[ast.withitem(context_expr=ast.Call(func=function)), *_]):
            return bool(PLUMBING.match(ast.unparse(function)))
        case ast.For(body=body) | ast.If(body=body, orelse=[]):
            return all(_is_plumbing(inner) for inner in body)
    return False


def main(names: list[str]) -> None:
    """Print the shares of the named notebooks, or of all."""
    paths = sorted(Path(library_source.ROOT, "notebooks/src").glob("*.md"))
    for path in paths:
        if not names or path.stem in names:
            n_lines, n_plumbing = counts(build_notebooks.read_twin(path))
            print(f"{path.stem:36} {n_plumbing:4} of {n_lines:4} lines, {n_plumbing / max(n_lines, 1):4.0%}")


if __name__ == "__main__":
    main(sys.argv[1:])
