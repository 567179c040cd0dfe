"""The book's exercises and their checkers: ``check`` says what is right, or which mistake it looks like.

Everything works offline, and the solutions are here too. One module a chapter; each lists its exercises in order.

Example:
    >>> from mini_musessl.exercises import check
    >>> verdict = check("3a.1", lambda pitch: 440 * 2 ** ((pitch - 60) / 12))
    Middle C is 60, but 440 Hz belongs to the A above it, which is 69: you give 440 Hz for f(60).

Chapter: every notebook; first in 3a.
"""

from __future__ import annotations

from mini_musessl.exercises import (
    attention,
    attributes,
    benchmark,
    contrast,
    counting,
    data_sets,
    first_road,
    frames,
    learning_without_labels,
    masking,
    mathematics,
    music_transformer,
    next_token,
    pitch_rhythm_harmony,
    positions,
    repair,
    tokens,
)
from mini_musessl.exercises.checking import Exercise, Mistake, Verdict, judge

#: Every exercise by its number. A chapter's module is added to the tuple when the chapter is written.
EXERCISES: dict[str, Exercise] = {
    exercise.id: exercise
    for chapter in (
        first_road,
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
    )
    for exercise in chapter.EXERCISES
}

__all__ = ["EXERCISES", "Exercise", "Mistake", "Verdict", "check", "judge"]


def check(exercise_id: str, answer: object) -> Verdict:
    """Print and return one sentence about an answer to an exercise of the book.

    Nothing that the answer does is an error here: the sentence says that it is right, which usual mistake it looks
    like, where it first differs from the right answer, or what stopped it.

    Args:
        exercise_id: number of the exercise, such as "3a.1".
        answer: the reader's function, without parentheses.

    Returns:
        the sentence, with ``is_right``.

    Example:
        >>> verdict = check("0.0", len)  # doctest: +ELLIPSIS
        There is no exercise 0.0; there are ...3a.1, 3a.2, 3a.3, ...

    Chapter: every notebook; first in 3a.
    """
    exercise = EXERCISES.get(exercise_id) if isinstance(exercise_id, str) else None
    if exercise is None:
        known = ", ".join(EXERCISES)
        verdict = Verdict(f"There is no exercise {exercise_id}; there are {known}.", is_right=False)
    else:
        verdict = judge(exercise, answer)
    print(verdict)
    return verdict
