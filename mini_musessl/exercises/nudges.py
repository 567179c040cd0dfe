"""What is said of a first wrong answer: what kind of thing is wrong and where, but no right value.

Chapter: every notebook; first in 3a.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Differ = Callable[[Any, Any], list[int]]  # the places where two sequences of one length differ


def nudge(found: Any, expected: Any, differ: Differ) -> str:
    """Return how two outputs of one form differ, as the end of a sentence that begins "For this input"."""
    if isinstance(expected, list) and isinstance(found, list):
        return _nudge_on_list(found, expected, differ)
    if isinstance(expected, np.ndarray):
        return _nudge_on_array(found, expected, differ)
    if isinstance(expected, dict) and found.keys() != expected.keys():
        return "your dictionary has other keys than it should"
    if type(expected) not in (int, float) or found != found:
        return "your answer is wrong"
    if not differ([-found], [expected]):
        return "the sign of your answer is wrong"
    return f"your answer is too {'large' if found > expected else 'small'}"


def _nudge_on_list(found: list, expected: list, differ: Differ) -> str:
    if len(found) != len(expected):
        return f"your answer has {len(found)} item{'s' * (len(found) != 1)}, and should have {len(expected)}"
    if not differ(found[::-1], expected):
        return "your items are right, but in reverse order"
    wrong = differ(found, expected)
    return _n_wrong(len(wrong), len(expected), "item", wrong[0])


def _nudge_on_array(found: np.ndarray, expected: np.ndarray, differ: Differ) -> str:
    are_numbers = found.dtype.kind in "iuf" and expected.dtype.kind in "iuf"
    if are_numbers and np.isfinite(expected).all() and not np.isfinite(found).all():
        return "some of your values are nan or infinite"
    if are_numbers and not differ((-found).ravel().tolist(), expected.ravel().tolist()):
        return "every sign is wrong"
    if are_numbers and not differ(np.sort(found, axis=None).tolist(), np.sort(expected, axis=None).tolist()):
        return "your values are right, but some stand in the wrong place"
    if expected.dtype == bool and np.array_equal(found, ~expected):
        return "True and False are exchanged everywhere"
    wrong = differ(found.ravel().tolist(), expected.ravel().tolist())
    first = wrong[0] if expected.ndim == 1 else tuple(map(int, np.unravel_index(wrong[0], expected.shape)))
    return _n_wrong(len(wrong), expected.size, "value", first)


def _n_wrong(n_wrong: int, n_all: int, thing: str, first: object) -> str:
    if n_all == 1:
        return f"the only {thing} is wrong"
    return f"{n_wrong} of {n_all} {thing}s {'is' if n_wrong == 1 else 'are'} wrong; the first is at index {first}"
