"""How an answer to an exercise is judged: run it, compare it, and recognise the usual mistakes.

A checker is data, not code: inputs, the right function, and wrong ones that readers often write, each with the sentence
that explains it. The reader's function is run on the cases and on inputs drawn at random, and is right only if it is
right on all. If its outputs are those of a known wrong one on every case, the sentence of that mistake is the answer;
so each mistake needs a case that tells it from the others, and a test asks for that.

Chapter: every notebook; first in 3a.
"""

import copy
import itertools
import linecache
import operator
import sys
import textwrap
import traceback
import types
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from mini_musessl.checks import printable
from mini_musessl.exercises.nudges import nudge

Case = tuple  # the arguments of one call
N_DRAWN = 24  # inputs drawn at random for each check
NEXT = "Work it out by hand; the next check shows the right answer."


class Mistake(NamedTuple):
    """A wrong answer that readers often give, and what to say to it.

    The sentence may quote the first input on which the answer goes wrong, ``{input}``, and what is ``{found}`` there.
    It tells no right value: that is for the second try.
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
    draw: Callable[[np.random.Generator], Case] | None = None  # one more input, which may be any that the task allows

    def make_inputs(self) -> list[Case]:
        """Return the cases, and after them inputs drawn at random, the same every time."""
        rng = np.random.default_rng(0)
        return [*self.make_cases(), *(self.draw(rng) for _ in range(N_DRAWN if self.draw else 0))]


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
    draw: Callable[[np.random.Generator], Case] | None = None,
) -> None:
    """Add an exercise to the book's.

    Args:
        exercise_id, solution, fact, tolerance, case_names, draw: as in ``Exercise``.
        cases: the inputs, each a tuple of arguments; or what makes them, where they cannot be copied.
        mistakes: known wrong answers, each with its sentence.
    """
    make_cases = cases if callable(cases) else lambda: copy.deepcopy(cases)
    known = tuple(Mistake(answer, sentence) for answer, sentence in mistakes)
    names = tuple(case_names)
    EXERCISES[exercise_id] = Exercise(exercise_id, solution, make_cases, known, fact, tolerance, names, draw)


class Verdict(str):
    """The sentence of a checker; it knows whether the answer was right, or ran and was wrong."""

    is_right: bool
    is_wrong: bool

    def __new__(cls, sentence: str, is_right: bool = False, is_wrong: bool = False) -> "Verdict":
        """Make a sentence that knows what it says."""
        verdict = super().__new__(cls, printable(sentence))
        verdict.is_right, verdict.is_wrong = is_right, is_wrong
        return verdict

    def _ipython_display_(self) -> None:
        """Show nothing when it ends a notebook cell: ``check`` has printed the sentence already."""


def judge(exercise: Exercise, answer: object, *, is_first_try: bool = True) -> Verdict:
    """Return what ``check`` says about an answer to an exercise, without printing it; a first try is told no value."""
    if not callable(answer):
        return Verdict(
            f"Exercise {exercise.id} asks for a function; you pass {_kind(answer)}. "
            "Pass the function itself, without parentheses and arguments."
        )
    inputs, found = exercise.make_inputs(), []
    try:
        for case in inputs:
            found.append(_plain(answer(*case)))
        given = _plain(inputs)
    except NotImplementedError:
        return Verdict(f"Exercise {exercise.id} is still open: write the function, then run this cell again.")
    except KeyboardInterrupt:  # the reader's way to stop an endless answer
        raise
    except BaseException as error:  # exit() is no Exception
        return Verdict(_on_error(error, _input(exercise, min(len(found), len(inputs) - 1)), _line_of(answer)))
    changed = _first_difference(given, _plain(exercise.make_inputs()), 0.0)
    expected = _run(exercise.solution, exercise.make_inputs())
    wrong = _first_difference(found, expected, exercise.tolerance)
    if wrong is None and changed is None:
        return Verdict(f"Right: {exercise.fact.format(outputs=[_show(output) for output in found[:9]])}", is_right=True)
    return Verdict(_what_is_wrong(exercise, found, expected, changed, is_first_try), is_wrong=True)


def _what_is_wrong(exercise: Exercise, found: list, expected: list, changed: int | None, is_first_try: bool) -> str:
    """Return what to say to outputs that are not right; ``changed`` is the first input that was altered."""
    wrong = _first_difference(found, expected, exercise.tolerance)
    sentence = _mistake(exercise, found, wrong)
    if not sentence and changed is not None:
        return f"Your function changes what it is given, {_input(exercise, changed)}: work on a copy."
    name, pair = _input(exercise, wrong), (found[wrong], expected[wrong])
    problem = "" if sentence else _form_problem(pair[1], pair[0])
    if problem:
        return f"For {name} your function returns {problem}"
    if is_first_try:
        return sentence or f"For {name} {nudge(*pair, _differ_by_more(exercise.tolerance))}. {NEXT}"
    given, right = _show_apart(*pair)
    return f"{sentence} For {name} you give {given}; the right answer is {right}.".lstrip()


def _differ_by_more(tolerance: float) -> Callable[[Sequence, Sequence], list[int]]:
    """Return what finds the places where two sequences differ."""
    return lambda one, other: [*_differences(_plain_items([*one]), _plain_items([*other]), tolerance)]


def _mistake(exercise: Exercise, found: list, wrong: int | None) -> str:
    """Return the sentence of the known mistake that gives what was found for every case, or an empty string."""
    cases = exercise.make_cases()
    for mistake in exercise.mistakes if wrong is not None and wrong < len(cases) else ():
        outputs = _run(mistake.answer, exercise.make_cases())
        if _first_difference(found[: len(cases)], outputs, exercise.tolerance) is None:
            return mistake.sentence.format(input=_input(exercise, wrong), found=_show(found[wrong]))
    return ""


def _run(function: Callable, inputs: list[Case]) -> list:
    """Return the outputs of a function on some inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a known mistake may divide by 0; the reader has not
        return [_plain(function(*case)) for case in inputs]


def _input(exercise: Exercise, index: int) -> str:
    """Name one input, as it was before the answer had it, or write it as a call."""
    if index < len(exercise.case_names):
        return exercise.case_names[index]
    return f"f({', '.join(_show(argument) for argument in exercise.make_inputs()[index])})"


def _on_error(error: BaseException, name: str, line: str) -> str:
    """Return the sentence for an answer that stopped with an error."""
    try:
        message = _shorten(str(error)).rstrip(".") or "no message"
    except BaseException:
        message = "a message that cannot be written"
    place = f" The line is `{line}`." if line else ""
    return f"For {name} your function stops with {type(error).__name__}: {message}.{place}"


def _line_of(answer: Callable) -> str:
    """Return the line of an answer that raised the error at hand, or called what did; empty where it is not known."""
    code = answer.__code__ if type(answer) is types.FunctionType else None
    numbers = [number for frame, number in traceback.walk_tb(sys.exc_info()[2]) if frame.f_code is code]
    return _shorten(linecache.getline(code.co_filename, numbers[-1])) if numbers else ""


@dataclass(frozen=True, eq=False)
class _Stranger:
    """Stands for an object that no right answer holds; it equals nothing but itself."""

    name: str  # of its class

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _plain(value: Any) -> Any:
    """Return a value in one form for comparing: arrays for tensors, Python's numbers for NumPy's, lists for tuples.

    Each is read past the methods of its class: one built on ``float`` may call itself equal to everything.
    """
    kind, torch = type(value), sys.modules.get("torch")  # not isinstance, which believes what an object says of itself
    if id(kind) in _AS_THEY_ARE:
        return value
    if torch and (kind is torch.Tensor or kind is torch.nn.Parameter):
        return _plain_array(value.detach().cpu().numpy())
    if id(kind) in _NUMPY_NUMBERS:
        return value.item()
    read = next((read for known, read in _READ.items() if issubclass(kind, known)), None)
    return read(value) if read else _Stranger(kind.__name__)


def _plain_array(array: np.ndarray) -> Any:
    """Return an array, its objects made plain, or for an array without axes a number."""
    if array.dtype.kind == "O":
        return np.frompyfunc(_plain, 1, 1)(array)
    if array.ndim == 0:
        to_number = {"b": bool, "i": int, "u": int, "f": float}.get(array.dtype.kind)
        return to_number(array) if to_number else _Stranger(array.dtype.name)
    return array


def _plain_key(key: Any) -> Any:
    """Return the key of a dictionary in a form that can be one."""
    plain = _plain(key)
    return tuple(plain) if isinstance(plain, list) else plain


def _plain_items(items: list) -> list:
    """Return the items of a list or a tuple in plain form; where all are already, no look at each."""
    return items if _kinds(items) <= _AS_THEY_ARE else [_plain(item) for item in items]


def _kinds(items: Sequence) -> set[int]:
    """Return the types of some items, by what no class can give itself."""
    return set(map(id, map(type, items)))


_NUMBERS = _kinds([0, 0.0])
_AS_THEY_ARE = _NUMBERS | _kinds([True, "", None, _plain])
_NUMPY_NUMBERS = {id(np.dtype(code).type) for code in "?bhilqBHILQefd"}

_READ: dict[type, Callable] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    list: lambda value: _plain_items([*list.__iter__(value)]),
    tuple: lambda value: _plain_items([*tuple.__iter__(value)]),
    dict: lambda value: {_plain_key(key): _plain(item) for key, item in dict.items(value)},
    np.ndarray: lambda value: _plain_array(np.asarray(value)),
    np.generic: lambda value: _plain_array(np.asarray(value)),
    np.random.Generator: lambda value: None,  # drawing from it changes it, and is meant to
}


def _form_problem(expected: Any, found: Any) -> str:
    """Return what is wrong with the type or the shape of an output, or an empty string."""
    if found is None:
        return f"None, not {_kind(expected)}: is the return missing?"
    if isinstance(expected, np.ndarray) and isinstance(found, list):
        return f"a list or a tuple; expected {_kind(expected)}. Use np.array."
    if isinstance(expected, list) and isinstance(found, np.ndarray):
        return f"one array of shape {found.shape}; expected a tuple or a list of {len(expected)}."
    if isinstance(expected, np.ndarray) and isinstance(found, np.ndarray):
        if found.shape != expected.shape:
            return f"{_kind(found)}; expected {_kind(expected)}."
        return "" if _agree_in_truth(found, expected) else f"an array of {found.dtype}; expected True and False (bool)."
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return _form_problem_inside(expected, found)
    are_numbers = isinstance(expected, (int, float)) and isinstance(found, (int, float))
    if isinstance(found, type(expected)) or (are_numbers and _agree_in_truth(found, expected)):
        return ""
    return f"{_kind(found)}; expected {_kind(expected)}."


def _agree_in_truth(found: Any, expected: Any) -> bool:
    """Return whether True and False were returned where they are expected: `~` of a 1 is -2."""
    are_bool = [
        each.dtype == bool if isinstance(each, np.ndarray) else isinstance(each, bool) for each in (found, expected)
    ]
    return are_bool[0] or not are_bool[1]


def _form_problem_inside(expected: list, found: list) -> str:
    """Return what is wrong with the form of the first array of several, with its place, or an empty string."""
    for place, (wanted, given) in enumerate(zip(expected, found, strict=True)):
        problem = _form_problem(wanted, given) if isinstance(wanted, np.ndarray) and given is not None else ""
        if problem:
            return f"at index {place} {problem}"
    return ""


def _same(left: Any, right: Any, tolerance: float) -> bool:
    """Return whether two plain outputs are equal within a tolerance; an array never equals a list."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.shape == right.shape and _agree_in_truth(left, right) and _same_array(left, right, tolerance)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and _first_difference(left, right, tolerance) is None
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key], tolerance) for key in left)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return _agree_in_truth(left, right) and _same_number(left, right, tolerance)
    return type(left) is type(right) and bool(left == right)


def _same_array(left: np.ndarray, right: np.ndarray, tolerance: float) -> bool:
    """Return whether two arrays of one shape are equal within a tolerance, or, where it is 0, exactly."""
    if tolerance and left.dtype.kind in "biuf" and right.dtype.kind in "biuf":
        return bool(_close(left, right, tolerance).all())
    return _first_difference(_plain(left.ravel().tolist()), _plain(right.ravel().tolist()), tolerance) is None


def _same_number(left: float, right: float, tolerance: float) -> bool:
    """Return whether two numbers are equal within a tolerance, whole ones of any size exactly; NaN equals NaN."""
    if left == right:
        return True
    try:
        return abs(Fraction(left) - Fraction(right)) <= Fraction(tolerance) * (1 + abs(Fraction(right)))
    except (ValueError, OverflowError):  # NaN or infinity is no fraction
        return left != left and right != right


def _first_difference(left: Sequence, right: Sequence, tolerance: float) -> int | None:
    """Return the first place where two sequences of one length differ, or None."""
    return next(iter(_differences(left, right, tolerance)), None)


def _differences(left: Sequence, right: Sequence, tolerance: float) -> Iterable[int]:
    """Return the places where two sequences differ; of numbers, millions are compared at once."""
    if _kinds(left) | _kinds(right) <= _NUMBERS:
        arrays = np.array(left), np.array(right)
        if tolerance and all(array.dtype.kind in "iuf" for array in arrays):
            return np.flatnonzero(~_close(*arrays, tolerance)).tolist()
        if not tolerance:  # as Python's numbers: NumPy takes 2**53 + 1 for 2.0**53
            unequal = itertools.compress(range(len(left)), map(operator.ne, left, right))
            return (at for at in unequal if left[at] == left[at] or right[at] == right[at])  # NaN equals NaN
    pairs = enumerate(zip(left, right, strict=True))
    return (at for at, (a, b) in pairs if not _same(a, b, tolerance))


def _close(left: np.ndarray, right: np.ndarray, tolerance: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.isclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True)


def _show_apart(found: Any, expected: Any) -> tuple[str, str]:
    """Write two values that differ with as many digits as show it."""
    for n_digits in (4, 8, 12, 17):
        shown = _show(found, n_digits), _show(expected, n_digits)
        if shown[0] != shown[1]:
            break
    return shown


def _show(value: Any, n_digits: int = 4) -> str:
    """Write a value on one short line."""
    if isinstance(value, np.ndarray):
        forms = {"float_kind": lambda number: f"{number:.{n_digits}g}", "int_kind": str, "bool": str}
        value = np.array2string(value, threshold=16, edgeitems=6, separator=", ", formatter=forms)
    elif isinstance(value, (list, tuple)):
        value = f"[{', '.join(_show(item, n_digits) for item in value[:100])}]"
    elif isinstance(value, int) and value.bit_length() > 200:  # Python itself writes no more than 4,300 digits
        value = f"a whole number of about {value.bit_length() * 0.30103:.0f} digits"
    else:
        value = f"{value:.{max(n_digits, 6)}g}" if isinstance(value, float) else repr(value)
    return _shorten(value)


def _shorten(text: str) -> str:
    """Return a text on one line, cut after a word where it is long, or inside its first word."""
    short = textwrap.shorten(text[:2000], width=200, placeholder=" ...")
    return short if short != "..." else f"{text[:196]} ..."


def _kind(value: Any) -> str:
    """Name the type of a value, with its article and its shape."""
    kind = type(value)
    if issubclass(kind, np.ndarray):
        return f"an array of shape {np.asarray(value).shape}"
    name = value.name if kind is _Stranger else kind.__name__
    return "None" if value is None else f"{'an' if name[:1] in tuple('aeiou') else 'a'} {name}"
