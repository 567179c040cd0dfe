"""How an answer to an exercise is judged: run it, compare it, and recognise the usual mistakes.

A checker is data, not code: inputs, the right function, and wrong ones that readers often write, each with the sentence
that explains it. The reader's function is run on all inputs. If its outputs are those of a known wrong one on every
input, the sentence of that mistake is the answer; so each mistake needs an input that tells it from the others, and a
test asks for that.

Chapter: every notebook; first in 3a.
"""

import copy
import linecache
import sys
import textwrap
import traceback
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from mini_musessl.checks import printable

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
        verdict = super().__new__(cls, printable(sentence))
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
    try:
        for case in cases:
            found.append(_plain(answer(*case)))
        given = _plain(cases)
    except NotImplementedError:
        return Verdict(f"Exercise {exercise.id} is still open: write the function, then run this cell again.")
    except KeyboardInterrupt:  # the reader's way to stop an endless answer
        raise
    except BaseException as error:  # exit() is no Exception
        return Verdict(_on_error(error, _input(exercise, min(len(found), len(cases) - 1)), _line_of(answer)))
    return _verdict_on(exercise, found, changed=_first_difference(given, _plain(exercise.make_cases()), 0.0))


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


def _on_difference(found: Any, expected: Any, name: str) -> str:
    """Return the sentence for an output that is wrong in no way that the checker knows."""
    problem = _form_problem(expected, found)
    if problem:
        return f"For {name} your function returns {problem}"
    return f"For {name} you give {_show(found)}; the right answer is {_show(expected)}."


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
    if kind in _AS_THEY_ARE:
        return value
    if torch and kind in (torch.Tensor, torch.nn.Parameter):
        return _plain_array(value.detach().cpu().numpy())
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


_AS_THEY_ARE = (int, float, bool, str, type(None), types.FunctionType)

_READ: dict[type, Callable] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    list: lambda value: [_plain(item) for item in list.__iter__(value)],
    tuple: lambda value: [_plain(item) for item in tuple.__iter__(value)],
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
    """Return whether two plain outputs are equal within a tolerance; an array never equals a list."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.shape == right.shape and _same_array(left, right, tolerance)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and _first_difference(left, right, tolerance) is None
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key], tolerance) for key in left)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return _same_number(left, right, tolerance)
    return type(left) is type(right) and bool(left == right)


def _same_array(left: np.ndarray, right: np.ndarray, tolerance: float) -> bool:
    """Return whether two arrays of one shape are equal within a tolerance, or, where it is 0, exactly."""
    if tolerance and left.dtype.kind in "biuf" and right.dtype.kind in "biuf":
        with np.errstate(all="ignore"):
            return bool(np.allclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=True))
    # As Python's numbers: NumPy takes 2**53 + 1 for 2.0**53.
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
    pairs = zip(left, right, strict=True)
    return next((index for index, (a, b) in enumerate(pairs) if not _same(a, b, tolerance)), None)


def _show(value: Any) -> str:
    """Write a value on one short line, numbers with at most four digits."""
    if isinstance(value, np.ndarray):
        forms = {"float_kind": "{:.4g}".format, "int_kind": str, "bool": str}
        value = np.array2string(value, threshold=16, edgeitems=6, separator=", ", formatter=forms)
    elif isinstance(value, (list, tuple)):
        value = f"[{', '.join(_show(item) for item in value[:100])}]"
    elif isinstance(value, int) and value.bit_length() > 200:  # Python itself writes no more than 4,300 digits
        value = f"a whole number of about {value.bit_length() * 0.30103:.0f} digits"
    else:
        value = f"{value:.6g}" if isinstance(value, float) else repr(value)
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
