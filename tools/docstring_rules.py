"""The rules of docstrings: a sentence for every public name, and none longer than its function.

A name and its annotation say most of what a reader needs; ``Args:`` adds a shape, a unit or a range where they do not.
What is refused stands in the sentence of the refusal, which the tests match: there is no ``Raises:``.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import chapters
from floors import module_name
from line_kinds import Definition, docstring_of, line_kinds, span

#: A docstring of so many lines is short, however short its function is.
SHORT = 8
#: Doors whose docstring may be longer than their body, as ``module.name``: where readers enter, or an example teaches.
DOORS: tuple[str, ...] = (
    "audio.synthesize",
    "batches.cut_windows",
    "corpora.load_chorales",
    "corpora.melody_groups",
    "evaluation.causality.check_causality",
    "evaluation.infilling.evaluate_infilling",
    "evaluation.probing.fit_linear_probe",
    "evaluation.voice_leading.count_parallels",
    "evaluation.voice_leading.parallels",
    "generation.pieces.harmonise",
    "generation.pieces.infill_piece",
    "generation.sampling.sample",
    "generation.sampling.sample_frames",
    "harmony.cadences",
    "harmony.chord_labels",
    "harmony.find_key",
    "masking.mask_notes",
    "midi.read_midi",
    "midi.write_midi",
    "musicxml.write_musicxml",
    "notation.to_kern",
    "show.show",
    "tunes.load_tunes",
)
MAX_DOORS = 42
CHAPTER = r"(?m)^Chapter:(.*)$"


def all_definitions(node: ast.Module | Definition, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield every function and class of a file with its name, those inside others too: ``Class.method``."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, Definition):
            yield prefix + inner.name, inner
            yield from all_definitions(inner, f"{prefix}{inner.name}.")


def is_public(name: str, tree: ast.Module) -> bool:
    """Return whether a definition can be reached from outside: not private, and in no function."""
    outer, _, _ = name.partition(".")
    is_in_class = "." not in name or outer in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return is_in_class and name.count(".") < 2 and not any(part.startswith("_") for part in name.split("."))


def parameters(node: Definition) -> dict[str, ast.expr | None]:
    """Return the annotations of a function's parameters, or of a class's fields or ``__init__``, by name."""
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                return parameters(inner)
        fields = [inner for inner in node.body if isinstance(inner, ast.AnnAssign)]
        return {field.target.id: field.annotation for field in fields if isinstance(field.target, ast.Name)}
    given = node.args
    found = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {each.arg: each.annotation for each in found if each is not None and each.arg not in ("self", "cls")}


def entries(docstring: str) -> list[str]:
    r"""Return the names that have an entry under ``Args:`` or ``Attributes:``.

    >>> entries("Cut.\n\nArgs:\n    start, stop: steps\n        of the grid: a range.\n    *rest: ignored.")
    ['start', 'stop', 'rest']
    """
    found = []
    for section in re.findall(r"^(?:Args|Attributes):\n((?:(?: {4}.*)?(?:\n|$))+)", docstring, flags=re.MULTILINE):
        for names in re.findall(r"^ {4}((?:\*{0,2}\w+(?:, )?)+):", section, flags=re.MULTILINE):
            found += [name.strip("*") for name in names.split(", ")]
    return found


def wording_problems(node: Definition) -> list[str]:
    """Return what is wrong with what the docstring of a public definition says."""
    docstring, known = ast.get_docstring(node), parameters(node)
    if not docstring:
        return ["has no docstring"]
    problems = []
    summary = docstring.split("\n\n")[0]
    if not re.fullmatch(r"[^a-z].*[.?!:]", summary, flags=re.DOTALL):
        problems.append("must begin with a sentence, from a capital to a full stop")
    silent = [name for name, annotation in known.items() if annotation is None and not _is_named(name, docstring)]
    if silent:
        problems.append(f"must annotate or document {', '.join(silent)}")
    # What a class sets or binds itself may be described like what it is given.
    own = set(re.findall(r"self\.(\w+)", ast.unparse(node))) if isinstance(node, ast.ClassDef) else set()
    if unknown := [name for name in entries(docstring) if name not in {*known, *own}]:
        problems.append(f"describes {', '.join(unknown)}, which it does not take")
    return problems


def _is_named(name: str, docstring: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", docstring) is not None


def is_too_long(node: Definition, kinds: list[str]) -> bool:
    """Return whether a docstring has more lines than the body under it has of code, and more than a few."""
    text = docstring_of(node)
    if text is None:
        return False
    body = range(text.end_lineno + 1, node.end_lineno + 1)
    return len(span(text)) > max(SHORT, sum(kinds[number - 1] == "code" for number in body))


def chapter_problems(heading: str) -> list[str]:
    """Return a sentence for each ``Chapter:`` line of a file that names no chapter or notebook, or is a second."""
    lines = re.findall(CHAPTER, heading)
    problems = ["the file says Chapter: more than once"] if len(lines) > 1 else []
    for line in lines:
        named = re.findall(r"\b\d{1,2}[a-z]?\b", re.sub(r"\([^)]*\)", "", line))
        if not named or set(named) - chapters.references():
            problems.append(f"'Chapter:{line}' must name notebooks or chapters of the book, such as 3a")
    return problems


def file_problems(source: str, package_heading: str = "") -> tuple[list[str], list[str]]:
    """Return a sentence for each fault of the docstrings of one file, and the names whose docstring is too long.

    Args:
        package_heading: docstring of the package that the file belongs to; its ``Chapter:`` line holds for the file.
    """
    tree, kinds = ast.parse(source), line_kinds(source)
    heading = ast.get_docstring(tree) or ""
    problems = [] if heading else ["the file has no docstring"]
    problems += chapter_problems(heading)
    found = list(all_definitions(tree))
    if not re.search(CHAPTER, f"{heading}\n{package_heading}") and any(is_public(name, tree) for name, _ in found):
        problems.append("the file does not say Chapter:")
    for name, node in found:
        # What a reference of an exercise does is its task, which stands in the notebook.
        if is_public(name, tree) and "import checker\n" not in source:
            problems += [f"{name} {problem}" for problem in wording_problems(node)]
        if re.search(CHAPTER, ast.get_docstring(node) or ""):
            problems.append(f"{name} says Chapter:, which belongs into the docstring of the file")
    texts = [("the file", heading), *((name, ast.get_docstring(node) or "") for name, node in found)]
    problems += [f"{name} lists Raises:" for name, text in texts if re.search(r"^Raises:", text, flags=re.MULTILINE)]
    return problems, [name for name, node in found if is_too_long(node, kinds)]


def library_problems(folder: Path, doors: tuple[str, ...] = DOORS) -> list[str]:
    """Return a sentence for each fault of all files under a folder, and for each door that needs no leave."""
    problems, too_long = [], []
    for path in sorted(folder.rglob("*.py")):
        package = ast.parse((path.parent / "__init__.py").read_text("utf-8"))
        found, names = file_problems(path.read_text("utf-8"), ast.get_docstring(package) or "")
        problems += [f"{path.relative_to(folder)}: {problem}" for problem in found]
        too_long += [f"{module_name(path, folder)}.{name}".lstrip(".") for name in names]
    problems += [f"{name}: its docstring is longer than its body" for name in too_long if name not in doors]
    return problems + [f"{name} needs no place among DOORS" for name in doors if name not in too_long]
