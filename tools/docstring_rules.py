"""The rules of public names: what a docstring must hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import chapters
from library_source import definitions

#: A class with more fields than this names each of them in its docstring.
FEW_FIELDS = 3


def parameters(node: ast.FunctionDef) -> list[str]:
    """Return the names of a function's parameters, without self and cls."""
    arguments = node.args
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    found += [extra for extra in (arguments.vararg, arguments.kwarg) if extra]
    return [argument.arg for argument in found if argument.arg not in ("self", "cls")]


def fields(node: ast.ClassDef) -> list[str]:
    """Return what a class is made from: the fields of a dataclass, or the parameters of its ``__init__``."""
    initial = definitions(node).get("__init__")
    if isinstance(initial, ast.FunctionDef):
        return parameters(initial)
    named = [item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
    is_constant = re.compile(r"ClassVar|init=False")
    return [item.target.id for item in named if not is_constant.search(ast.unparse(item)) and item.target.id[0] != "_"]


def undocumented(names: list[str], docstring: str) -> list[str]:
    """Return the names that have no entry of their own (``name: ...``) and are no word of the text either."""
    return [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", docstring)]


def public_definitions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Return the public functions and classes of a module and the public methods of its public classes."""
    found = []
    for name, node in definitions(tree).items():
        if not name.startswith("_"):
            found.append((name, node))
            if isinstance(node, ast.ClassDef):
                found += [(f"{name}.{m}", method) for m, method in definitions(node).items() if not m.startswith("_")]
    return found


def definition_problems(name: str, node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    """Return a sentence for each fault of one public definition's docstring."""
    docstring = ast.get_docstring(node)
    if not docstring:
        return [f"{name} has no docstring"]
    if isinstance(node, ast.ClassDef):
        wanted = fields(node) if len(fields(node)) > FEW_FIELDS else []
    else:
        # The sentence of a function with one parameter speaks of nothing else.
        wanted = parameters(node) if len(parameters(node)) > 1 else []
    missing = undocumented(wanted, docstring)
    return [f"{name} does not document {', '.join(missing)}"] if missing else []


def chapter_problems(docstring: str) -> list[str]:
    """Return a sentence for each ``Chapter:`` line that names no notebook or chapter of the book."""
    problems = []
    for line in re.findall(r"^\s*Chapter:(.*)$", docstring, flags=re.MULTILINE):
        named = re.findall(r"\b\d{1,2}[a-z]?\b", re.sub(r"\([^)]*\)", "", line))
        wrong = [name for name in named if name not in chapters.references()]
        if wrong or not named:
            problems.append(f"'Chapter:{line}' must name notebooks or chapters of the book, such as 3a")
    return problems


def file_problems(source: str, package_heading: str = "") -> list[str]:
    """Return a sentence for each fault of the docstrings of one file.

    Args:
        source: text of the file.
        package_heading: docstring of the package that the file belongs to; its ``Chapter:`` line holds for the file.
    """
    tree = ast.parse(source)
    heading = ast.get_docstring(tree) or ""
    found = public_definitions(tree)
    problems = [] if heading else ["the file has no docstring"]
    problems += chapter_problems(heading)
    for name, node in found:
        problems += definition_problems(name, node)
        problems += [f"{name}: {problem}" for problem in chapter_problems(ast.get_docstring(node) or "")]
    names_a_chapter = "Chapter:" in heading + package_heading
    for name, node in found:
        if not names_a_chapter and "." not in name and "Chapter:" not in (ast.get_docstring(node) or ""):
            problems.append(f"{name}: neither it nor its file says Chapter:")
    return problems


def library_problems(folder: Path) -> list[str]:
    """Return a sentence for each fault of all files under a folder."""
    problems = []
    for path in sorted(folder.rglob("*.py")):
        package = ast.parse((path.parent / "__init__.py").read_text("utf-8"))
        found = file_problems(path.read_text("utf-8"), ast.get_docstring(package) or "")
        problems += [f"{path.relative_to(folder)}: {problem}" for problem in found]
    return problems
