"""Change the reference solution of an exercise in one place at a time, and see whether its checker notices.

    python tests/mutation.py            # every exercise: a table of what is refused, named, let through, equivalent
    python tests/mutation.py 5a.5 2a.6  # these exercises, and each mutant that is let through

A mutant that the checker calls right although it differs on some valid input is *let through*: the checker has a hole.
One that nothing tells from the reference is *equivalent*. *Named* counts those refused mutants that get the sentence of
a known mistake.
"""

import ast
import copy
import inspect
import itertools
import re
import resource
import signal
import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import numpy as np

from mini_musessl.exercises import EXERCISES, checking, judge
from mini_musessl.exercises.checking import Exercise

SOURCES = Path(__file__).resolve().parent.parent / "notebooks" / "src"
N_INPUTS = 300  # drawn to tell a mutant from the reference
SECONDS = 2.0  # that a mutant may take for all inputs

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
#: Each operator -> what may stand in its place.
OPERATORS = (
    {kind: [other for other in kinds if other is not kind] for kinds in (ARITHMETIC, COMPARISONS) for kind in kinds}
    | {ast.BitAnd: [ast.BitOr, ast.BitXor], ast.BitOr: [ast.BitAnd, ast.BitXor], ast.And: [ast.Or], ast.Or: [ast.And]}
    | {ast.Is: [ast.IsNot], ast.IsNot: [ast.Is], ast.In: [ast.NotIn], ast.NotIn: [ast.In]}
)
#: Names that are taken for one another.
ALIKE = [
    "min max mean sum", "argmin argmax", "any all", "minimum maximum", "sorted reversed list", "sin cos", "exp exp2",
    "floor ceil rint round trunc", "log log2 log10", "zeros ones", "zeros_like ones_like", "triu tril",
    "var std", "bool float int round", "hstack vstack", "comb perm", "left right", "valid test", "flatnonzero nonzero",
    "sum cumsum", "repeat tile", "sign abs", "cumsum cumprod",
]  # fmt: skip


class Mutant(NamedTuple):
    """A changed solution, and what was changed."""

    answer: FunctionType
    change: str


# What is changed


def alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node of a syntax tree."""
    kind = type(node)
    if kind in (ast.BinOp, ast.BoolOp, ast.Compare):
        yield from _other_operators(node)
    if kind is ast.BinOp:
        yield from (node.left, node.right, ast.BinOp(node.right, node.op, node.left))
    elif kind is ast.BoolOp:
        yield from node.values
    elif kind is ast.UnaryOp:
        yield node.operand
    elif kind is ast.Constant:
        yield from map(ast.Constant, _other_constants(node.value))
    elif kind in (ast.Name, ast.Attribute):
        yield from _other_names(node)
    elif kind is ast.Call:
        yield from _other_calls(node)
    elif kind is ast.Subscript and not isinstance(node.ctx, ast.Store):
        yield node.value
        yield from (_with(node, slice=index) for index in _other_indices(node.slice))
    elif kind is ast.IfExp:
        yield from (node.body, node.orelse)
    elif kind is ast.comprehension and node.ifs:
        yield _with(node, ifs=[])
    elif kind is ast.Tuple and len(node.elts) > 1 and isinstance(node.ctx, ast.Load):
        yield _with(node, elts=node.elts[::-1])
    elif kind in (ast.If, ast.While):
        yield from (_with(node, test=ast.Constant(value)) for value in ((True, False) if kind is ast.If else (False,)))


def _with(node: ast.AST, **fields) -> ast.AST:
    changed = copy.copy(node)
    vars(changed).update(fields)
    return changed


def _other_operators(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in OPERATORS.get(type(operator), ()):
                yield _with(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])
    else:
        yield from (_with(node, op=other()) for other in OPERATORS.get(type(node.op), ()))


def _other_constants(value: object) -> list:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, *([0] if abs(value) > 1 else [])]
    if isinstance(value, float):
        return [value * 10, value / 10, 0.0] if abs(value) < 1e-3 else [value + 1, value - 1, 2 * value, value / 2, 0.0]
    if isinstance(value, str):
        return _taken_for(value)
    return []


def _taken_for(name: str) -> list[str]:
    groups = [group.split() for group in ALIKE]
    return [other for group in groups if name in group for other in group if other != name]


def _other_names(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Name):
        yield from (ast.Name(other, node.ctx) for other in _taken_for(node.id))
    else:
        yield from (_with(node, attr=other) for other in _taken_for(node.attr))
        if node.attr == "T":
            yield node.value


def _other_calls(call: ast.Call) -> Iterator[ast.AST]:
    if call.args and not isinstance(call.args[0], ast.Starred):
        yield call.args[0]
    if isinstance(call.func, ast.Attribute) and not _is_module(call.func.value):
        yield call.func.value
        inner = call.func.value
        if isinstance(inner, ast.Call) and len(inner.args) == 1:  # np.abs(x).max(axis) -> np.abs(x.max(axis))
            method = _with(call, func=_with(call.func, value=inner.args[0]))
            yield _with(inner, args=[method])
    if len(call.args) > 1:
        yield _with(call, args=[call.args[1], call.args[0], *call.args[2:]])
    for place, given in enumerate(call.keywords):
        rest = call.keywords[:place] + call.keywords[place + 1 :]
        yield _with(call, keywords=rest)
        if given.arg == "axis":
            for axis in (0, 1, -1):
                yield _with(call, keywords=[*rest, ast.keyword("axis", ast.Constant(axis))])


def _is_module(node: ast.AST) -> bool:
    return (isinstance(node, ast.Name) and node.id in ("np", "math")) or ast.unparse(node) == "np.linalg"


def _other_indices(index: ast.AST) -> Iterator[ast.AST]:
    if isinstance(index, ast.Slice):
        for lower in _shifted(index.lower, 1):
            yield _with(index, lower=lower)
        for upper in _shifted(index.upper, -1):
            yield _with(index, upper=upper)
        if index.step is None:
            yield _with(index, step=ast.Constant(-1))
    elif isinstance(index, ast.Tuple):
        for place, one in enumerate(index.elts):
            for other in _other_indices(one):
                yield _with(index, elts=[*index.elts[:place], other, *index.elts[place + 1 :]])
    elif not isinstance(index, ast.Constant):
        yield from _shifted(index, 1)


def _shifted(bound: ast.AST | None, at_the_end: int) -> list[ast.AST | None]:
    """Return a bound of a slice, or an index, moved by one either way; an open bound is closed."""
    if bound is None:
        return [ast.Constant(at_the_end)]
    moved = [ast.BinOp(bound, operator(), ast.Constant(1)) for operator in (ast.Add, ast.Sub)]
    return moved


def changed_trees(tree: ast.Module, every: int = 1) -> Iterator[tuple[ast.Module, str]]:
    """Yield the syntax tree of some functions with one place changed, and a description of the change.

    Args:
        every: 1 for all of them, 2 for every second one, and so on.
    """
    number = itertools.count()
    for parent, field, place, node in list(_places(tree)):
        siblings = getattr(parent, field)
        others = list(alternatives(node))
        if isinstance(node, ast.stmt) and not isinstance(node, (ast.Return, ast.FunctionDef)):
            others.append(ast.Pass())
        for other in others:
            if next(number) % every == 0:
                _put(parent, field, place, other)
                changed = copy.deepcopy(tree)
                setattr(parent, field, siblings) if place is None else siblings.__setitem__(place, node)
                yield ast.fix_missing_locations(changed), f"{_text(node)}  ->  {_text(other)}"


def _put(parent: ast.AST, field: str, place: int | None, node: ast.AST) -> None:
    if place is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[place] = node


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Yield every node that may be changed with where it hangs; annotations, docstrings and decorators stay."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for place, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, ast.AST) and not is_docstring:
                yield tree, field, place, node
                yield from _places(node)


def _text(node: ast.AST) -> str:
    return textwrap.shorten(ast.unparse(node), 60, placeholder=" ...") or "nothing"


# What is run


def functions_of(solution: FunctionType) -> dict[str, FunctionType]:
    """Return a solution and the functions of the exercises that it calls, those that it calls included."""
    found, open_ones = {}, [solution]
    while open_ones:
        function = open_ones.pop()
        if function.__name__ not in found:
            found[function.__name__] = function
            called = map(inspect.unwrap(function).__globals__.get, _names(inspect.unwrap(function).__code__))
            open_ones += [
                each for each in called
                if isinstance(each, FunctionType) and each.__module__.startswith("mini_musessl.exercises.")
            ]  # fmt: skip
    return found


def _names(code) -> list[str]:
    nested = [inner for inner in code.co_consts if inspect.iscode(inner)]
    return [*code.co_names, *(name for inner in nested for name in _names(inner))]


def mutants(exercise: Exercise, every: int = 1) -> Iterator[Mutant]:
    """Yield the solution of an exercise, changed in one place, as often as there are places and changes."""
    functions = functions_of(exercise.solution)
    names = {name: value for each in functions.values() for name, value in inspect.unwrap(each).__globals__.items()}
    tree = ast.parse("\n\n".join(inspect.getsource(each) for each in functions.values()))
    yield from _mutants(tree, names, exercise.solution.__name__, every)
    yield from _mutants(*solution_in_notebook(exercise), every)


def _mutants(tree: ast.Module, names: dict, answer: str, every: int) -> Iterator[Mutant]:
    seen = {ast.unparse(tree)}
    for changed, change in changed_trees(tree, every):
        source = ast.unparse(changed)
        if source not in seen:
            seen.add(source)
            namespace = dict(names)
            try:
                exec(compile(source, "<mutant>", "exec"), namespace)
            except Exception:  # a change of a default value or a decorator may fail at once
                continue
            yield Mutant(namespace[answer], change)


def solution_in_notebook(exercise: Exercise) -> tuple[ast.Module, dict, str]:
    """Return the solution that a notebook shows: its syntax tree, the names that it may use, and its own name."""
    number, letter = re.match(r"(\d+)([a-z]?)\.", exercise.id).groups()
    (path,) = SOURCES.glob(f"{int(number):02}{letter}_*.md")
    text, names = path.read_text("utf-8"), {}
    heading = f"<details><summary>Solution of exercise {exercise.id}</summary>"
    solution = re.search(rf"^{heading}\n\n```python\n((?s:.*?))\n```", text, re.M)[1]
    for line in re.findall(r"^(?:import|from) [^(\n]+$", text, re.M):
        exec(line, names)
    return ast.parse(solution), names, re.search(rf'check\("{exercise.id}", (\w+)\)', text)[1]


class TookTooLong(KeyboardInterrupt):
    """A mutant loops; a reader would stop it in the same way."""


@contextmanager
def time_limit():
    """Stop what is run within after some seconds."""

    def stop(*_):
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# What is drawn


@lru_cache(maxsize=2)
def drawn_inputs(exercise: Exercise, n_inputs: int = N_INPUTS) -> list[tuple]:
    """Return valid inputs of an exercise: its own, and others drawn at random."""
    rng = np.random.default_rng(12345)
    drawn = [exercise.draw(rng) for _ in range(n_inputs if exercise.draw else 0)]
    return [*exercise.make_cases(), *(case for case in drawn if is_valid(exercise, case))]


def is_valid(exercise: Exercise, case: tuple) -> bool:
    """Return whether the reference answers an input without error or warning."""
    try:
        with np.errstate(divide="raise", invalid="raise"):
            exercise.solution(*copy.deepcopy(case))
    except Exception:
        return False
    return True


# What is said


def judged(exercise: Exercise, mutant: Mutant, n_inputs: int = N_INPUTS) -> str:
    """Return what becomes of a mutant: "refused", "named", "let through" or "equivalent"."""
    try:
        with time_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            verdict = judge(exercise, mutant.answer)
            if not verdict.is_right:
                return "named" if is_named(exercise, verdict) else "refused"
            found = differing_input(exercise, mutant.answer, n_inputs)
            return "equivalent" if found is None else "let through"
    except TookTooLong:
        return "refused"


def is_named(exercise: Exercise, verdict: str) -> bool:
    """Return whether a verdict is the sentence of a known mistake."""
    pattern = r"\\\{(input|found)\\\}"
    return any(re.fullmatch(re.sub(pattern, ".+", re.escape(each.sentence)), verdict) for each in exercise.mistakes)


def differing_input(exercise: Exercise, answer: FunctionType, n_inputs: int = N_INPUTS) -> tuple | None:
    """Return an input for which an answer differs from the reference, or None."""
    for case in drawn_inputs(exercise, n_inputs):
        expected = checking._plain(exercise.solution(*copy.deepcopy(case)))
        try:
            found = checking._plain(answer(*copy.deepcopy(case)))
        except Exception:
            return case
        if not checking._same(found, expected, exercise.tolerance):
            return case
    return None


def score(exercise: Exercise, every: int = 1, n_inputs: int = N_INPUTS) -> tuple[Counter, list[Mutant]]:
    """Count what becomes of the mutants of an exercise, or of a part of them, and list those let through."""
    counts, holes = Counter(), []
    for mutant in mutants(exercise, every):
        became = judged(exercise, mutant, n_inputs)
        counts[became] += 1
        if became == "let through":
            holes.append(mutant)
    return counts, holes


def table(scores: dict[str, Counter]) -> str:
    """Return the counts of some exercises as a table, with a last row for all."""
    kinds = ("refused", "named", "let through", "equivalent")
    total = sum(scores.values(), Counter())
    rows = [("exercise", *kinds)]
    for name, counts in [*scores.items(), ("all", total)]:
        refused = counts["refused"] + counts["named"]
        rows.append((name, refused, *(counts[kind] for kind in kinds[1:])))
    return "\n".join(f"{row[0]:<10}" + "".join(f"{cell:>13}" for cell in row[1:]) for row in rows)


def main(names: list[str]) -> int:
    """Print the table, below it what is let through; return how much that is."""
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30,) * 2)  # a mutant may ask for an endless array
    scores = {}
    for name in names or EXERCISES:
        exercise = EXERCISES[name]
        scores[name], holes = score(exercise)
        for hole in holes:
            case = differing_input(exercise, hole.answer)
            print(f"{name}: {hole.change}\n    {textwrap.shorten(str(case), 180)}")
    print(table(scores))
    return sum(counts["let through"] for counts in scores.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
