"""The book's exercises and their checkers: ``check`` says what is right, or which mistake it looks like.

Everything works offline. One module a chapter; task, hint and solution of an exercise stand in its notebook.

>>> from mini_musessl.exercises import check
>>> verdict = check("3a.1", lambda pitch: 440 * 2 ** ((pitch - 60) / 12))  # doctest: +ELLIPSIS
Middle C is 60, but 440 Hz belongs to the A above it, which is 69: you give 440 Hz for f(60)...

Chapter: every notebook; first in 3a.
"""

# In the order of the book, since each chapter adds its exercises to EXERCISES when it is imported.
# isort: off
from mini_musessl.exercises import (  # noqa: F401
    first_road,
    python_for_musicians,
    learning_without_labels,
    counting,
    pitch_rhythm_harmony,
    tokens,
    data_sets,
    next_token,
    masking,
    attributes,
    contrast,
    attention,
    positions,
    music_transformer,
    frames,
    mathematics,
    repair,
    benchmark,
    sampling,
    continue_fill_harmonise,
    judging,
    copying,
)

# isort: on
from mini_musessl.exercises.checking import EXERCISES, Verdict, judge

__all__ = ["EXERCISES", "check", "judge"]

_TRIED: set[str] = set()  # the exercises whose last answer was wrong


def check(exercise_id: str, answer: object) -> Verdict:
    """Print and return one sentence about an answer to an exercise of the book; it knows whether it ``is_right``.

    Nothing that the answer does is an error here. A first wrong answer is told what is wrong with it; the next one also
    sees the right value. ``answer`` is the reader's function, without parentheses.

    >>> verdict = check("0.0", len)  # doctest: +ELLIPSIS
    There is no exercise 0.0; there are ...3a.1, 3a.2, 3a.3, ...
    """
    exercise = EXERCISES.get(exercise_id) if isinstance(exercise_id, str) else None
    if exercise is None:
        asked = exercise_id if isinstance(exercise_id, str) else f"of type {type(exercise_id).__name__}"
        verdict = Verdict(f"There is no exercise {asked}; there are {', '.join(EXERCISES)}.")
    else:
        verdict = judge(exercise, answer, is_first_try=exercise_id not in _TRIED)
        if verdict.is_wrong:
            _TRIED.add(exercise_id)
        elif verdict.is_right:
            _TRIED.discard(exercise_id)
    print(verdict)
    return verdict
