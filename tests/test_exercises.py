"""The book's exercises: every solution is right, every known mistake is recognised, and no answer is an error."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from mini_musessl import exercises, harmony, voices
from mini_musessl.evaluation import voice_leading
from mini_musessl.exercises import EXERCISES, Exercise, Mistake, judge
from mini_musessl.exercises import pitch_rhythm_harmony as chapter_3a

EVERY_EXERCISE = [pytest.param(exercise, id=exercise.id) for exercise in EXERCISES.values()]
EVERY_MISTAKE = [
    pytest.param(exercise, mistake, id=f"{exercise.id}-{mistake.answer.__name__}")
    for exercise in EXERCISES.values()
    for mistake in exercise.mistakes
]


def make_exercise(**changes) -> Exercise:
    """Make a small exercise: double every number of an array."""
    facts = dict(
        id="0.1",
        title="double",
        minutes=5,
        task="Write `double(numbers)`.",
        hint="Multiply by two. Or add.",
        cases=lambda: ((np.array([0.0, 2.0]),), (np.array([1.0, 3.0]),)),
        solution=lambda numbers: 2 * numbers,
        mistakes=(Mistake(lambda numbers: numbers**2, "You square: for {input} you give {found}, not {expected}."),),
        fact="doubled, the first is {outputs[0]}.",
        tolerance=1e-9,
    )
    return Exercise(**(facts | changes))


# --- every exercise of the book


@pytest.mark.parametrize("exercise", EVERY_EXERCISE)
def test_the_solution_is_right(exercise):
    verdict = judge(exercise, exercise.solution)
    assert verdict.is_right
    assert verdict.startswith("Right: ")
    assert "{" not in verdict


@pytest.mark.parametrize("exercise, mistake", EVERY_MISTAKE)
def test_each_known_mistake_gets_its_own_sentence(exercise, mistake):
    verdict = judge(exercise, mistake.answer)
    pattern = re.sub(r"\\\{(input|found|expected)\\\}", ".+", re.escape(mistake.sentence))
    assert not verdict.is_right
    assert re.fullmatch(pattern, verdict)


@pytest.mark.parametrize("exercise", EVERY_EXERCISE)
def test_no_two_mistakes_say_the_same(exercise):
    sentences = [mistake.sentence for mistake in exercise.mistakes]
    assert len(exercise.mistakes) >= 2
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("exercise", EVERY_EXERCISE)
def test_the_stub_is_still_open(exercise):
    def stub(*arguments):
        raise NotImplementedError("your turn")

    verdict = judge(exercise, stub)
    assert verdict.startswith(f"Exercise {exercise.id} is still open: ")
    assert not verdict.is_right


@pytest.mark.parametrize("exercise", EVERY_EXERCISE)
def test_a_function_without_return_is_told_so(exercise):
    assert "returns None" in judge(exercise, lambda *arguments: None)


@pytest.mark.parametrize("exercise", EVERY_EXERCISE)
def test_the_text_is_complete(exercise):
    assert 2 <= exercise.minutes <= 60
    assert f"**Exercise {exercise.id}: {exercise.title}** ({exercise.minutes} minutes). " in exercise.text
    assert exercise.hint in exercise.text
    assert re.search(r"`\w+\(", exercise.task), "the task names the function and its arguments"
    assert "\ndef " in exercise.solution_text
    assert '"""' not in exercise.solution_text
    assert len(exercise.case_names) in (0, len(exercise.cases()))


def test_exercises_are_numbered_in_order_within_each_chapter():
    by_chapter: dict[str, list[int]] = {}
    for exercise_id in EXERCISES:
        chapter, number = exercise_id.split(".")
        by_chapter.setdefault(chapter, []).append(int(number))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_chapter.values())


@pytest.mark.parametrize("exercise", EVERY_EXERCISE)
def test_a_printed_solution_is_right_and_needs_only_modules_that_a_notebook_can_import(exercise: Exercise):
    source = re.search(r"```python\n(.*)\n```", exercise.solution_text, re.DOTALL)[1]
    names = {
        name: value for name, value in vars(inspect.getmodule(exercise.solution)).items() if inspect.ismodule(value)
    }
    exec(source, names)
    assert judge(exercise, names[exercise.solution.__name__]).is_right


# --- check


def test_check_prints_what_it_returns(capsys):
    verdict = exercises.check("3a.1", chapter_3a.frequency)
    assert capsys.readouterr().out == f"{verdict}\n"
    assert verdict.is_right


def test_an_unknown_number_is_answered_with_the_known_ones():
    assert exercises.check("9z.9", len).startswith("There is no exercise 9z.9; there are ")
    assert "3a.1, 3a.2" in exercises.check(["3a.1"], len)


def test_a_verdict_at_the_end_of_a_cell_is_shown_once():
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    with capture_output() as captured:
        shell.run_cell('from mini_musessl.exercises import check\ncheck("9z.9", len)')
    InteractiveShell.clear_instance()
    assert captured.stdout.count("There is no exercise 9z.9") == 1
    assert not captured.outputs
    assert not captured.stderr


# --- judge


def test_a_mistake_may_quote_input_output_and_answer():
    assert (
        judge(make_exercise(), lambda numbers: numbers**2) == "You square: for f([1, 3]) you give [1, 9], not [2, 6]."
    )


def test_a_case_may_have_a_name():
    exercise = make_exercise(case_names=("the first row", "the second row"))
    assert judge(exercise, lambda numbers: numbers**2).startswith("You square: for the second row you give")


def test_an_unknown_mistake_is_shown_by_the_first_input_on_which_it_differs():
    verdict = judge(make_exercise(), lambda numbers: numbers + 2)
    assert verdict == "For f([0, 2]) you give [2, 4]; the right answer is [0, 4]."


def test_an_answer_within_the_tolerance_is_right():
    assert judge(make_exercise(), lambda numbers: numbers * (2 + 1e-12)).is_right
    assert not judge(make_exercise(tolerance=0.0), lambda numbers: numbers * (2 + 1e-12)).is_right


def test_a_tensor_is_as_good_as_an_array():
    import torch

    assert judge(make_exercise(), lambda numbers: 2 * torch.tensor(numbers)).is_right
    given = make_exercise(cases=lambda: ((torch.arange(3.0),),), mistakes=())
    assert judge(given, lambda numbers: 2 * numbers).is_right
    assert "the right answer is [0, 2, 4]" in judge(given, lambda numbers: 3 * numbers)
    assert judge(given, lambda numbers: numbers.mul_(2)) == (
        "Your function changes what it is given, f(tensor([0., 1., 2.])): work on a copy."
    )


def test_a_dictionary_is_compared_entry_by_entry():
    exercise = make_exercise(cases=lambda: ((3,),), solution=lambda n: {"all": np.arange(n)}, mistakes=())
    assert judge(exercise, lambda n: {"all": np.arange(n)}).is_right
    assert not judge(exercise, lambda n: {"all": np.arange(n) + 1}).is_right
    assert not judge(exercise, lambda n: {"every": np.arange(n)}).is_right


def test_an_error_is_named_with_the_input_that_caused_it_and_the_line():
    def invert(numbers):
        first = int(numbers[0])
        return 1 // first

    def invert_elsewhere(numbers):
        return invert(numbers)

    sentence = "For f([0, 2]) your function stops with ZeroDivisionError: integer division or modulo by zero. "
    assert judge(make_exercise(), invert) == sentence + "The line is `return 1 // first`."
    assert judge(make_exercise(), invert_elsewhere) == sentence + "The line is `return invert(numbers)`."
    verdict = judge(make_exercise(), lambda: 0)
    assert "stops with TypeError" in verdict and "The line is" not in verdict


def test_several_arrays_are_each_asked_for_their_form():
    exercise = make_exercise(solution=lambda numbers: (numbers, 2 * numbers), mistakes=())
    assert judge(exercise, lambda numbers: (numbers, list(2 * numbers))) == (
        "For f([0, 2]) your function returns in place 2 a list or a tuple; expected an array of shape (2,). "
        "Use np.array."
    )
    assert "in place 1 an array of shape (1,); expected an array of shape (2,)." in judge(
        exercise, lambda numbers: (numbers[:1], numbers)
    )
    assert "you give [[0, 2], [0, 2]]" in judge(exercise, lambda numbers: (numbers, numbers))


@pytest.mark.parametrize(
    "answer, sentence",
    [
        (lambda numbers: None, "None, not an array of shape (2,): is the return missing?"),
        (lambda numbers: list(2 * numbers), "a list or a tuple; expected an array of shape (2,). Use np.array."),
        (lambda numbers: numbers[:1], "an array of shape (1,); expected an array of shape (2,)."),
        (lambda numbers: 2.0, "a float; expected an array of shape (2,)."),
        (lambda numbers: "4", "a str; expected an array of shape (2,)."),
    ],
)
def test_another_type_or_shape_is_named(answer, sentence):
    assert judge(make_exercise(), answer) == f"For f([0, 2]) your function returns {sentence}"


def test_a_single_number_may_be_of_any_kind_of_number_but_no_text():
    exercise = make_exercise(cases=lambda: ((3,),), solution=lambda n: 2 * n, mistakes=())
    assert judge(exercise, lambda n: np.float32(2 * n)).is_right
    assert judge(exercise, str) == "For f(3) your function returns a str; expected an int."


def test_a_function_that_changes_its_input_is_told_so():
    def doubled_in_place(numbers):
        numbers *= 2
        return numbers

    verdict = judge(make_exercise(), doubled_in_place)
    assert verdict == "Your function changes what it is given, f([0, 2]): work on a copy."


def test_drawing_from_a_generator_is_no_change_of_input():
    exercise = make_exercise(
        cases=lambda: ((np.random.default_rng(1), 3),), solution=lambda rng, n: rng.random(n), mistakes=()
    )
    assert judge(exercise, lambda rng, n: rng.random(n)).is_right


def test_the_value_of_a_function_is_no_answer():
    verdict = judge(make_exercise(), np.zeros(2))
    assert verdict.startswith("Exercise 0.1 asks for a function; you pass an array of shape (2,).")


def test_a_long_input_is_cut_short():
    exercise = make_exercise(cases=lambda: (("so la ti " * 99,),), solution=len, mistakes=(), fact="")
    assert len(judge(exercise, lambda text: 0)) < 300


# --- the solutions of chapter 3a against the library


def test_solutions_of_3a_agree_with_the_library():
    rng = np.random.default_rng(3)
    grid = voices.from_pitches(rng.integers(55, 75, size=(400, 2)), voice_names=("high", "low"))
    found = chapter_3a.parallel_fifths(grid.pitch[:, 0], grid.pitch[:, 1])
    np.testing.assert_array_equal(found, voice_leading.parallels(grid, voice_leading.FIFTH)[:, 0])
    notes = voices.to_piece(grid).notes
    np.testing.assert_allclose(chapter_3a.note_chroma(notes), harmony.chroma(notes))
    np.testing.assert_array_equal(chapter_3a.transposed(grid.pitch, 3), voices.transpose(grid, 3).pitch)
    for _ in range(50):
        chroma = rng.random(12)
        key = harmony.find_key(chroma)
        number = chapter_3a.key_number(chroma, np.array(harmony.MAJOR_PROFILE), np.array(harmony.MINOR_PROFILE))
        assert number == key.tonic + 12 * (key.mode == "minor")


def test_phrases_of_3a_end_where_cadences_are():
    is_fermata = np.array([False, True, True, False, False, True, False])
    grid = voices.from_pitches(np.full((7, 1), 60), is_fermata=is_fermata, voice_names=("melody",))
    stops = [stop for _, stop in chapter_3a.phrases(is_fermata)]
    assert [cadence.step for cadence in harmony.cadences(grid)] == [1, 5]
    assert stops == [3, 6, 7]
