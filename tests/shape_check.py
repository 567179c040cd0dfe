"""Check array annotations while the tests run.

pyproject.toml hands ``after_the_call`` to jaxtyping's import hook, which puts it round every function of mini_musessl.
It differs from plain beartype in two ways, both so that the library's own words are heard:

* only annotations that speak of an array's shape are checked; the others are for readers;
* a call is checked after it returned. A function that refuses bad input with its own sentence is right; one that
  accepts what its annotation forbids, or returns another shape than it promises, fails the test.
"""

import inspect
from collections.abc import Callable
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray


def speaks_of_shape(annotation: Any) -> bool:
    """Return whether an annotation holds a jaxtyping array type, also inside ``| None`` or ``tuple[...]``."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return any(speaks_of_shape(part) for part in get_args(annotation))


def after_the_call(function: Callable) -> Callable:
    """Check a function's array annotations; given to jaxtyping as its type checker.

    jaxtyping makes two empty functions with the signature of the one that it wraps: the first has the parameters and is
    called before, the second also takes the result and is called after. Only the second is checked.
    """
    is_called_before = function.__annotations__.get("return") is Any
    if is_called_before and not any(name.startswith("ret") for name in _keyword_only(function)):
        return function
    function.__annotations__ = {
        name: annotation if speaks_of_shape(annotation) else Any
        for name, annotation in function.__annotations__.items()
    }
    return beartype(function)


def _keyword_only(function: Callable) -> list[str]:
    """Return the names of a function's keyword-only parameters."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
