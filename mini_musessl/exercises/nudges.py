"""What is said of a first wrong answer: what kind of thing is wrong and where, but no right value.

Chapter: every notebook; first in 3a.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Equal = Callable[[Any, Any], bool]  # whether two outputs, or two parts of them, are the same


def nudge(found: Any, expected: Any, is_same: Equal) -> str:
    """Return how two outputs of one form differ, as the end of a sentence that begins "For this input"."""
    if isinstance(expected, list) and isinstance(found, list):
        return _nudge_on_list(found, expected, is_same)
    if isinstance(expected, np.ndarray):
        return _nudge_on_array(found, expected, is_same)
    if isinstance(expected, dict) and found.keys() != expected.keys():
        return "your dictionary has other keys than it should"
    if type(expected) not in (int, float) or found != found:
        return "your answer is wrong"
    if is_same(-found, expected):
        return "the sign of your answer is wrong"
    return f"your answer is too {'large' if found > expected else 'small'}"


def _nudge_on_list(found: list, expected: list, is_same: Equal) -> str:
    if len(found) != len(expected):
        return f"your answer has {len(found)} item{'s' * (len(found) != 1)}, and should have {len(expected)}"
    if is_same(found[::-1], expected):
        return "your items are right, but in reverse order"
    wrong = [place for place, pair in enumerate(zip(found, expected, strict=True)) if not is_same(*pair)]
    return _n_wrong(len(wrong), len(expected), "item", wrong[0])


def _nudge_on_array(found: np.ndarray, expected: np.ndarray, is_same: Equal) -> str:
    are_numbers = found.dtype.kind in "iuf" and expected.dtype.kind in "iuf"
    if are_numbers and np.isfinite(expected).all() and not np.isfinite(found).all():
        return "some of your values are nan or infinite"
    if are_numbers and is_same(-found, expected):
        return "every sign is wrong"
    if are_numbers and is_same(np.sort(found, axis=None), np.sort(expected, axis=None)):
        return "your values are right, but some stand in the wrong place"
    if expected.dtype == bool and is_same(found, ~expected):
        return "True and False are exchanged everywhere"
    wrong = [at for at in np.ndindex(expected.shape) if not is_same(found[at], expected[at])]
    return _n_wrong(len(wrong), expected.size, "value", wrong[0][0] if expected.ndim == 1 else wrong[0])


def _n_wrong(n_wrong: int, n_all: int, thing: str, first: object) -> str:
    if n_all == 1:
        return f"the only {thing} is wrong"
    return f"{n_wrong} of {n_all} {thing}s {'is' if n_wrong == 1 else 'are'} wrong; the first is at index {first}"
