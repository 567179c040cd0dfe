"""The book's exercises: every solution is right, every known mistake is recognised, and no answer is an error."""

import math
import re
import sys
import time
import warnings

import numpy as np
import pytest
import torch

from mini_musessl import exercises
from mini_musessl.exercises import EXERCISES, judge
from mini_musessl.exercises.checking import NEXT, Exercise, Mistake

every_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
EVERY_MISTAKE = [
    pytest.param(exercise, mistake, id=f"{exercise.id}-{place}")
    for exercise in EXERCISES.values()
    for place, mistake in enumerate(exercise.mistakes, start=1)
]


def stub(*arguments):
    raise NotImplementedError("your turn")


def make_exercise(**changes) -> Exercise:
    facts = dict(
        id="0.1",
        solution=lambda numbers: 2 * numbers,
        make_cases=lambda: [(np.array([0.0, 2.0]),), (np.array([1.0, 3.0]),)],
        mistakes=(Mistake(lambda numbers: numbers**2, "You square: for {input} you give {found}."),),
        fact="doubled, the first is {outputs[0]}.",
        tolerance=1e-9,
    )
    return Exercise(**(facts | changes))


# --- every exercise of the book


@every_exercise
def test_the_solution_is_right(exercise):
    verdict = judge(exercise, exercise.solution)
    assert verdict.is_right and verdict.startswith("Right: ") and "{" not in verdict


@pytest.mark.parametrize("exercise, mistake", EVERY_MISTAKE)
def test_each_known_mistake_gets_its_own_sentence(exercise, mistake):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mistake may divide by 0, and who makes it is warned
        verdict = judge(exercise, mistake.answer)
    pattern = re.sub(r"\\\{(input|found)\\\}", ".+", re.escape(mistake.sentence))
    assert not verdict.is_right and re.fullmatch(pattern, verdict)


@every_exercise
def test_several_mistakes_are_known_and_no_two_say_the_same(exercise):
    assert len({mistake.sentence for mistake in exercise.mistakes}) == len(exercise.mistakes) >= 2
    assert len(exercise.case_names) in (0, len(exercise.make_cases()))


@every_exercise
def test_the_stub_is_still_open_and_a_missing_return_is_told(exercise):
    assert judge(exercise, stub).startswith(f"Exercise {exercise.id} is still open: ")
    assert "returns None" in judge(exercise, lambda *arguments: None)


def agree(*arguments, **named):
    return True


def leave(*arguments):
    sys.exit()


class Agrees:
    """Says that it equals everything, is any class, and has every attribute."""

    __class__ = property(lambda self: np.ndarray)
    __eq__ = agree
    __hash__ = None

    def __getattr__(self, name):
        return agree


class AgreeingFloat(float):
    __hash__ = float.__hash__
    __eq__ = agree
    __sub__ = __rsub__ = __abs__ = __float__ = lambda self, *other: 0.0


class AgreeingList(list):
    __eq__, __iter__ = agree, leave


class AgreeingArray(np.ndarray):
    __array_ufunc__ = __array_function__ = __eq__ = agree


class AgreeingTensor(torch.Tensor):
    __torch_function__ = classmethod(agree)


class Refuses:
    __eq__ = __repr__ = __getattr__ = __iter__ = __len__ = leave
    __hash__ = None


class Unspeakable(Exception):
    __str__ = leave


def raises(error):
    def answer(*arguments):
        raise error

    return answer


def descends(*arguments):
    return descends()


ENDLESS, DEEP = [], []
ENDLESS.append(ENDLESS)
for _ in range(320):
    DEEP = [DEEP]
OBJECTS = np.empty(2, object)
OBJECTS[0], OBJECTS[1] = Refuses(), AgreeingFloat(1)
RETURNED = {
    "a large number": 10**20,
    "a number that no float holds": -(10**400),
    "a number that Python does not write": 10**5000,
    "no number": math.nan,
    "infinity": -math.inf,
    "a complex number": 1j,
    "a long float": np.longdouble(1),
    "agrees": Agrees(),
    "agrees, a float": AgreeingFloat(1),
    "agrees, in a list": [AgreeingFloat(1)] * 2,
    "agrees, a list": AgreeingList([1, 2]),
    "agrees, an array": np.ones(3).view(AgreeingArray),
    "agrees, a tensor": torch.ones(3).as_subclass(AgreeingTensor),
    "agrees, a key": {AgreeingFloat(1): 1},
    "refuses": Refuses(),
    "refuses, in an array": OBJECTS,
    "a huge array": np.broadcast_to(1.0, (10**6, 10**6)),
    "a long list": [0] * 10**5,
    "large numbers in an array": np.array([10**30, 1], object),
    "dates": np.array(["2020"], "M8[D]"),
    "bfloat16": torch.ones(2, dtype=torch.bfloat16),
    "a generator": (n for n in range(3)),
    "no text": "\ud800\0",
    "itself": ENDLESS,
    "many brackets": DEEP,
}
HOSTILE = {name: lambda *arguments, value=value: value for name, value in RETURNED.items()} | {
    "exit()": lambda *arguments: sys.exit(3),
    "no end": descends,
    "stops a generator": raises(GeneratorExit()),
    "stops": raises(BaseException("\udcfc")),
    "stops without words": raises(Unspeakable()),
    "stops with many words": raises(ValueError("x" * 10**6)),
    "a call": Agrees,
}


@every_exercise
def test_a_hostile_answer_to_any_exercise_is_told_and_the_next_honest_one_is_right(exercise):
    for name in ("a large number", "exit()", "agrees, a float", "agrees, an array"):
        assert not judge(exercise, HOSTILE[name]).is_right
    assert judge(exercise, exercise.solution).is_right


def test_exercises_stand_in_the_order_of_the_book():
    places = [re.fullmatch(r"(\d+)([a-z]?)\.(\d+)", exercise_id).groups() for exercise_id in EXERCISES]
    order = [(int(chapter), letter, int(number)) for chapter, letter, number in places]
    assert order == sorted(order)


# --- check


def test_check_prints_what_it_returns(capsys):
    verdict = exercises.check("3a.1", EXERCISES["3a.1"].solution)
    assert verdict.is_right and capsys.readouterr().out == f"{verdict}\n"


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
    assert not captured.outputs and not captured.stderr


# --- judge


def in_place(numbers):
    numbers *= 2
    return numbers


def invert(numbers):
    first = int(numbers[0])
    return 1 // first


def invert_elsewhere(numbers):
    return invert(numbers)


DIVISION = "For f([0, 2]) your function stops with ZeroDivisionError: integer division or modulo by zero. The line is "
SQUARED = "You square: for the b you give [1, 9]. For the b you give [1, 9]; the right answer is [2, 6]."
MASK = dict(solution=lambda numbers: numbers > 1, mistakes=())
TRUTH = dict(solution=lambda numbers: True, mistakes=())
PAIR = dict(solution=lambda numbers: (numbers, 2 * numbers), mistakes=())
NUMBER = dict(make_cases=lambda: [(3,)], solution=lambda n: 2 * n, mistakes=())
TENSOR = dict(make_cases=lambda: [(torch.arange(3.0),)], mistakes=())
ROW = "f(tensor([0., 1., 2.]))"
TABLE = dict(make_cases=lambda: [(3,)], solution=lambda n: {"all": np.arange(n)}, mistakes=())
RANDOM = dict(make_cases=lambda: [(np.random.default_rng(1), 3)], solution=lambda rng, n: rng.random(n), mistakes=())


@pytest.mark.parametrize(
    "changes, answer",
    [
        ({}, lambda numbers: numbers * (2 + 1e-12)),
        ({}, lambda numbers: 2 * torch.tensor(numbers)),
        (TENSOR, lambda numbers: 2 * numbers),
        (NUMBER, lambda n: np.float32(2 * n)),
        (TABLE, lambda n: {"all": np.arange(n)}),
        (RANDOM, lambda rng, n: rng.random(n)),
    ],
)
def test_rounding_tensors_numbers_of_another_kind_and_draws_are_right(changes, answer):
    assert judge(make_exercise(**changes), answer).is_right


@pytest.mark.parametrize(
    "changes, answer, sentence",
    [
        ({}, lambda numbers: numbers**2, SQUARED.replace("the b", "f([1, 3])")),
        (dict(case_names=("a", "the b")), lambda x: x**2, SQUARED),
        ({}, lambda numbers: numbers + 2, "For f([0, 2]) you give [2, 4]; the right answer is [0, 4]."),
        (TENSOR, lambda numbers: 3 * numbers, f"For {ROW} you give [0, 3, 6]; the right answer is [0, 2, 4]."),
        (PAIR, lambda x: (x, x), "For f([0, 2]) you give [[0, 2], [0, 2]]; the right answer is [[0, 2], [0, 4]]."),
        ({}, in_place, "Your function changes what it is given, f([0, 2]): work on a copy."),
        (TENSOR, lambda x: x.mul_(2), f"Your function changes what it is given, {ROW}: work on a copy."),
        ({}, invert, DIVISION + "`return 1 // first`."),
        ({}, invert_elsewhere, DIVISION + "`return invert(numbers)`."),
        (NUMBER, str, "For f(3) your function returns a str; expected an int."),
    ],
)
def test_a_second_wrong_answer_is_told_the_right_one(changes, answer, sentence):
    verdict = judge(make_exercise(**changes), answer, is_first_try=False)
    assert verdict == sentence and not verdict.is_right


@pytest.mark.parametrize(
    "expected, found, how",
    [
        (3, 4, "your answer is too large"),
        (0.5, 0.25, "your answer is too small"),
        (0.5, -0.5, "the sign of your answer is wrong"),
        (0.5, math.nan, "your answer is wrong"),
        ("so", "la", "your answer is wrong"),
        ({"a": 1}, {"b": 1}, "your dictionary has other keys than it should"),
        ([1, 2, 3], [1], "your answer has 1 item, and should have 3"),
        ([1, 2, 3], [3, 2, 1], "your items are right, but in reverse order"),
        ([1, 2, 3], [1, 2, 4], "1 of 3 items is wrong; the first is at index 2"),
        (np.arange(3), np.array([0, 2, 1]), "your values are right, but some stand in the wrong place"),
        (np.arange(3), -np.arange(3), "every sign is wrong"),
        (np.arange(3), np.array([0, 2, 2.5]), "2 of 3 values are wrong; the first is at index 1"),
        (np.eye(2), np.ones((2, 2)), "2 of 4 values are wrong; the first is at index (0, 1)"),
        (np.arange(3), np.array([0, 1, math.nan]), "some of your values are nan or infinite"),
        (np.array([2]), np.array([3]), "the only value is wrong"),
        (np.eye(2, dtype=bool), ~np.eye(2, dtype=bool), "True and False are exchanged everywhere"),
    ],
)
def test_a_first_wrong_answer_is_told_what_is_wrong_and_no_value(expected, found, how):
    exercise = make_exercise(make_cases=lambda: [(7,)], solution=lambda n: expected, mistakes=())
    assert judge(exercise, lambda n: found) == f"For f(7) {how}. {NEXT}"


def test_check_tells_the_value_at_the_second_wrong_answer_and_begins_again_after_a_right_one(monkeypatch):
    monkeypatch.setitem(EXERCISES, "0.1", make_exercise())
    answers = [stub, lambda x: x + 2, len, lambda x: x + 2, lambda x: 2 * x, lambda x: x + 2]
    told = ["the right answer is" in exercises.check("0.1", answer) for answer in answers]
    assert told == [False, False, False, True, False, False]


def test_two_values_that_differ_are_shown_with_as_many_digits_as_it_takes():
    exercise = make_exercise(make_cases=lambda: [(7,)], solution=lambda n: np.array([1 / 3]), mistakes=())
    verdict = judge(exercise, lambda n: np.array([1 / 3 + 1e-7]), is_first_try=False)
    assert verdict == "For f(7) you give [0.33333343]; the right answer is [0.33333333]."


def test_an_answer_that_is_right_on_the_cases_alone_is_wrong():
    exercise = make_exercise(make_cases=lambda: [(3,)], solution=abs, mistakes=(), draw=lambda rng: (-rng.random(),))
    assert judge(exercise, abs).is_right
    assert judge(exercise, lambda n: n).endswith(f"the sign of your answer is wrong. {NEXT}")


@pytest.mark.parametrize(
    "changes, answer, sentence",
    [
        ({}, lambda numbers: None, "None, not an array of shape (2,): is the return missing?"),
        ({}, lambda numbers: list(numbers), "a list or a tuple; expected an array of shape (2,). Use np.array."),
        ({}, lambda numbers: numbers[:1], "an array of shape (1,); expected an array of shape (2,)."),
        ({}, lambda numbers: 2.0, "a float; expected an array of shape (2,)."),
        ({}, lambda numbers: "4", "a str; expected an array of shape (2,)."),
        (PAIR, lambda x: np.stack((x, 2 * x)), "one array of shape (2, 2); expected a tuple or a list of 2."),
        (MASK, lambda x: 1 * (x > 1), "an array of int64; expected True and False (bool)."),
        (TRUTH, lambda x: 1, "an int; expected a bool."),
        (PAIR, lambda x: (x[:1], x), "at index 0 an array of shape (1,); expected an array of shape (2,)."),
        (PAIR, lambda x: (x, list(x)), "at index 1 a list or a tuple; expected an array of shape (2,). Use np.array."),
    ],
)
def test_another_type_or_shape_is_named(changes, answer, sentence):
    assert judge(make_exercise(**changes), answer) == f"For f([0, 2]) your function returns {sentence}"


def test_without_a_tolerance_every_digit_counts_and_entries_of_a_dictionary_are_compared():
    assert not judge(make_exercise(tolerance=0.0), lambda numbers: numbers * (2 + 1e-12)).is_right
    assert not judge(make_exercise(**TABLE), lambda n: {"all": np.arange(n) + 1}).is_right
    assert not judge(make_exercise(**TABLE), lambda n: {"every": np.arange(n)}).is_right


@pytest.mark.parametrize("changes", [{}, NUMBER, TENSOR, TABLE, PAIR, dict(tolerance=0.0)])
def test_no_answer_stops_the_checker_or_talks_it_round(changes):
    for name, answer in HOSTILE.items():
        verdict = judge(make_exercise(**changes), answer)
        assert not verdict.is_right and len(verdict.encode()) < 2000, name


@pytest.mark.parametrize("n", [10**20, 2**53 + 1, 10**400])
@pytest.mark.parametrize("tolerance", [0.0, 1e-9])
def test_whole_numbers_of_any_size_are_compared_exactly(n, tolerance):
    facts = dict(make_cases=lambda: [(n,)], mistakes=(), tolerance=tolerance, fact="yes.")
    assert judge(make_exercise(solution=lambda n: n, **facts), lambda n: n).is_right
    assert judge(make_exercise(solution=lambda n: [n], **facts), lambda n: [n + 1]).is_right == (tolerance > 0)
    assert not judge(make_exercise(solution=lambda n: n, **facts), lambda n: n + 10**395 + n // 2).is_right


@pytest.mark.parametrize("make", [lambda n, x: [x] * n, np.full])
def test_many_numbers_that_are_off_by_rounding_are_judged_at_once(make):
    n, began = 300_000, time.process_time()
    exercise = make_exercise(solution=lambda x: make(n, x), mistakes=(), fact="yes.", make_cases=lambda: [(0.1,)])
    assert judge(exercise, lambda x: make(n, x + 1e-12)).is_right
    assert "300000 of 300000" in judge(exercise, lambda x: make(n, x + 1e-3))
    assert time.process_time() - began < 6  # one by one, as fractions, half a minute


def test_a_class_that_calls_itself_a_known_one_is_none():
    class Lies(type):
        __eq__ = agree
        __hash__ = type.__hash__

    class Number(metaclass=Lies):
        __class__ = int
        __eq__ = agree
        __hash__ = None

    assert not judge(make_exercise(**NUMBER), lambda n: Number()).is_right


def test_whole_numbers_in_arrays_are_compared_exactly_too():
    facts = dict(make_cases=lambda: [(2**53,)], mistakes=(), tolerance=0.0, fact="yes.")
    exercise = make_exercise(solution=lambda n: np.array([n, 0]), **facts)
    assert judge(exercise, lambda n: np.array([float(n), 0])).is_right
    assert not judge(exercise, lambda n: np.array([n + 1, 0])).is_right
    floats = make_exercise(solution=lambda n: np.array([float(n), math.nan]), **facts)
    assert judge(floats, lambda n: np.array([float(n), math.nan])).is_right
    assert not judge(floats, lambda n: np.array([n + 1, 0])).is_right


def test_the_keyboard_still_stops_an_endless_answer():
    with pytest.raises(KeyboardInterrupt):
        judge(make_exercise(), raises(KeyboardInterrupt()))


def test_what_an_answer_puts_into_its_inputs_is_noticed():
    exercise = make_exercise(make_cases=lambda: [([1, 2],)], solution=sum, mistakes=(), tolerance=0.0)

    def spoil(numbers):
        total = sum(numbers)
        numbers[0] = Agrees()
        return total

    assert judge(exercise, spoil) == "Your function changes what it is given, f([1, 2]): work on a copy."


def test_a_large_number_is_told_by_its_digits():
    verdict = judge(make_exercise(**NUMBER), lambda n: 10**5000, is_first_try=False)
    assert verdict == "For f(3) you give a whole number of about 5000 digits; the right answer is 6."


def test_a_call_with_the_wrong_arguments_has_no_line_and_a_value_is_no_function():
    verdict = judge(make_exercise(), lambda: 0)
    assert "stops with TypeError" in verdict and "The line is" not in verdict
    verdict = judge(make_exercise(), np.zeros(2))
    assert verdict.startswith("Exercise 0.1 asks for a function; you pass an array of shape (2,).")


def test_a_long_input_is_cut_short():
    exercise = make_exercise(make_cases=lambda: [("so la ti " * 99,)], solution=len, mistakes=(), fact="")
    assert len(judge(exercise, lambda text: 0)) < 300


def test_known_mistakes_may_be_noisy_and_the_reader_hears_nothing():
    noisy = Mistake(lambda numbers: numbers / np.zeros(2), "You divide.")
    assert NEXT in judge(make_exercise(mistakes=(noisy,)), lambda numbers: numbers + 2)


def test_a_checker_of_cases_in_a_list_hands_out_copies(monkeypatch):
    monkeypatch.setattr(exercises.checking, "EXERCISES", {})
    exercises.checking.checker("0.1", lambda x: 2 * x, cases=[(np.ones(2),)], mistakes=[(in_place, "No.")], fact="yes.")
    exercise = exercises.checking.EXERCISES["0.1"]
    in_place(*exercise.make_cases()[0])
    assert judge(exercise, lambda x: x + x) == "Right: yes."
