"""How an answer to an exercise is judged: run it, compare it, and recognise the usual mistakes.

A checker is data, not code: inputs, the right function, and wrong ones that readers often write, each with the sentence
that explains it. The reader's function is run on all inputs. If its outputs are those of a known wrong one on every
input, the sentence of that mistake is the answer; so each mistake needs an input that tells it from the others, and a
test asks for that.

Chapter: every notebook; first in 3a.
"""

import copy
import linecache
import textwrap
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Case = tuple  # the arguments of one call


class Mistake(NamedTuple):
    """A wrong answer that readers often give, and what to say to it.

    The sentence may quote the first input on which the answer goes wrong: ``{input}``, ``{found}``, ``{expected}``.
    """

    answer: Callable
    sentence: str


@dataclass(frozen=True)
class Exercise:
    """What a checker knows of one exercise; its text stands in its notebook."""

    id: str  # chapter and place, such as "3a.1"
    solution: Callable
    make_cases: Callable[[], Sequence[Case]]  # called anew for every run: an answer may change its inputs
    mistakes: tuple[Mistake, ...]
    fact: str  # what to say after "Right: "; may quote the outputs, the first as ``{outputs[0]}``
    tolerance: float = 0.0  # how far a number may be off, absolutely and relatively
    case_names: tuple[str, ...] = ()  # what to call the inputs in sentences; none to write them out as a call


#: Every exercise by its number, in the order of the book.
EXERCISES: dict[str, Exercise] = {}


def checker(
    exercise_id: str,
    solution: Callable,
    *,
    cases: Sequence[Case] | Callable[[], Sequence[Case]],
    mistakes: Sequence[tuple[Callable, str]],
    fact: str,
    tolerance: float = 0.0,
    case_names: Sequence[str] = (),
) -> None:
    """Add an exercise to the book's.

    Args:
        exercise_id, solution, fact, tolerance, case_names: as in ``Exercise``.
        cases: the inputs, each a tuple of arguments; or what makes them, where they cannot be copied.
        mistakes: known wrong answers, each with its sentence.
    """
    make_cases = cases if callable(cases) else lambda: copy.deepcopy(cases)
    known = tuple(Mistake(answer, sentence) for answer, sentence in mistakes)
    EXERCISES[exercise_id] = Exercise(exercise_id, solution, make_cases, known, fact, tolerance, tuple(case_names))


class Verdict(str):
    """The sentence of a checker; ``is_right`` says whether the answer was right."""

    is_right: bool

    def __new__(cls, sentence: str, is_right: bool = False) -> "Verdict":
        """Make a sentence that knows whether it praises."""
        verdict = super().__new__(cls, sentence)
        verdict.is_right = is_right
        return verdict

    def _ipython_display_(self) -> None:
        """Show nothing when it ends a notebook cell: ``check`` has printed the sentence already."""


def judge(exercise: Exercise, answer: object) -> Verdict:
    """Return what ``check`` says about an answer to an exercise, without printing it."""
    if not callable(answer):
        return Verdict(
            f"Exercise {exercise.id} asks for a function; you pass {_kind(answer)}. "
            "Pass the function itself, without parentheses and arguments."
        )
    cases, found = exercise.make_cases(), []
    for index, case in enumerate(cases):
        try:
            found.append(_plain(answer(*case)))
        except NotImplementedError:
            return Verdict(f"Exercise {exercise.id} is still open: write the function, then run this cell again.")
        except Exception as error:
            return Verdict(_on_error(error, _input(exercise, index), _line_of(error, answer)))
    return _verdict_on(exercise, found, changed=_first_difference(_plain(cases), _plain(exercise.make_cases()), 0.0))


def _verdict_on(exercise: Exercise, found: list, changed: int | None) -> Verdict:
    """Compare outputs with the right ones and those of known mistakes; ``changed`` is the first input altered."""
    expected = _run(exercise, exercise.solution)
    wrong = _first_difference(found, expected, exercise.tolerance)
    if wrong is None and changed is None:
        return Verdict(f"Right: {exercise.fact.format(outputs=[_show(output) for output in found])}", is_right=True)
    for mistake in exercise.mistakes:
        if _first_difference(found, _run(exercise, mistake.answer), exercise.tolerance) is None:
            words = dict(input=_input(exercise, wrong), found=_show(found[wrong]), expected=_show(expected[wrong]))
            return Verdict(mistake.sentence.format(**words))
    if changed is not None:
        return Verdict(f"Your function changes what it is given, {_input(exercise, changed)}: work on a copy.")
    return Verdict(_on_difference(found[wrong], expected[wrong], _input(exercise, wrong)))


def _run(exercise: Exercise, function: Callable) -> list:
    """Return the outputs of a function on fresh inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a known mistake may divide by 0; the reader has not
        return [_plain(function(*case)) for case in exercise.make_cases()]


def _input(exercise: Exercise, index: int) -> str:
    """Name one input, as it was before the answer had it, or write it as a call."""
    if exercise.case_names:
        return exercise.case_names[index]
    return f"f({', '.join(_show(argument) for argument in exercise.make_cases()[index])})"


def _on_error(error: Exception, name: str, line: str) -> str:
    """Return the sentence for an answer that stopped with an error."""
    message = str(error).rstrip(".") or "no message"
    place = f" The line is `{line}`." if line else ""
    return f"For {name} your function stops with {type(error).__name__}: {message}.{place}"


def _line_of(error: Exception, answer: Callable) -> str:
    """Return the line of an answer that raised an error, or called what did; empty where its source is not known."""
    code = getattr(answer, "__code__", None)
    numbers = [number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code is code]
    return linecache.getline(code.co_filename, numbers[-1]).strip() if numbers else ""


def _on_difference(found: Any, expected: Any, name: str) -> str:
    """Return the sentence for an output that is wrong in no way that the checker knows."""
    problem = _form_problem(expected, found)
    if problem:
        return f"For {name} your function returns {problem}"
    return f"For {name} you give {_show(found)}; the right answer is {_show(expected)}."


def _plain(value: Any) -> Any:
    """Return a value in one form for comparing: arrays for tensors, Python's numbers for NumPy's, lists for tuples."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _form_problem(expected: Any, found: Any) -> str:
    """Return what is wrong with the type or the shape of an output, or an empty string."""
    if found is None:
        return f"None, not {_kind(expected)}: is the return missing?"
    if isinstance(expected, np.ndarray) and isinstance(found, list):
        return f"a list or a tuple; expected {_kind(expected)}. Use np.array."
    if isinstance(expected, np.ndarray) and isinstance(found, np.ndarray):
        return "" if found.shape == expected.shape else f"{_kind(found)}; expected {_kind(expected)}."
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return _form_problem_inside(expected, found)
    are_numbers = isinstance(expected, (int, float)) and isinstance(found, (int, float))
    if are_numbers or isinstance(found, type(expected)):
        return ""
    return f"{_kind(found)}; expected {_kind(expected)}."


def _form_problem_inside(expected: list, found: list) -> str:
    """Return what is wrong with the form of the first array of several, with its place, or an empty string."""
    for place, (wanted, given) in enumerate(zip(expected, found, strict=True), start=1):
        problem = _form_problem(wanted, given) if isinstance(wanted, np.ndarray) and given is not None else ""
        if problem:
            return f"in place {place} {problem}"
    return ""


def _same(left: Any, right: Any, tolerance: float) -> bool:
    """Return whether two outputs are equal within a tolerance; an array never equals a list."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        if left.shape == right.shape and left.dtype.kind in "biufc" and right.dtype.kind in "biufc":
            return bool(np.allclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True))
        return bool(np.array_equal(left, right))
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and _first_difference(left, right, tolerance) is None
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key], tolerance) for key in left)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return bool(np.isclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True))
    if isinstance(left, np.random.Generator):
        return True  # drawing from it changes it, and is meant to
    return type(left) is type(right) and bool(left == right)


def _first_difference(left: Sequence, right: Sequence, tolerance: float) -> int | None:
    """Return the first place where two sequences of one length differ, or None."""
    pairs = zip(left, right, strict=True)
    return next((index for index, (a, b) in enumerate(pairs) if not _same(a, b, tolerance)), None)


def _show(value: Any) -> str:
    """Write a value on one short line, numbers with at most four digits."""
    if isinstance(value, np.ndarray):
        forms = {"float_kind": "{:.4g}".format, "int_kind": str, "bool": str}
        value = np.array2string(value, threshold=16, edgeitems=6, separator=", ", formatter=forms)
    elif isinstance(value, (list, tuple)):
        value = f"[{', '.join(_show(item) for item in value)}]"
    else:
        value = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return textwrap.shorten(value, width=200, placeholder=" ...")


def _kind(value: Any) -> str:
    """Name the type of a value, with its article and its shape."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
