"""No solution can be changed in one place, so that its answers change, and still be called right."""

import mutation
import pytest

from mini_musessl.exercises import EXERCISES, checking
from mini_musessl.exercises.checking import Exercise, Mistake

every_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


def double(numbers):
    """Return twice the sum of the first ten of some numbers."""
    return 2 * sum(numbers[:10])


def loop(numbers):
    while True:
        pass


EASY = Exercise(
    id="0.1",
    solution=double,
    make_cases=lambda: [([0, 0],)],
    mistakes=(Mistake(lambda numbers: 1, "You give 1."),),
    fact="yes.",
    draw=lambda rng: (rng.integers(0, 9, 20).tolist(),),
)


def holes(exercise, **options) -> list[str]:
    return [hole.change for hole in mutation.score(exercise, **options)[1]]


@every_exercise
def test_a_few_mutants_of_each_solution_are_refused_where_they_differ(exercise):
    assert not holes(exercise, every=61, n_inputs=10)


@pytest.mark.slow
@every_exercise
def test_every_mutant_of_each_solution_is_refused_where_it_differs(exercise):
    assert not holes(exercise)


def test_what_a_single_case_lets_through_drawn_inputs_stop(monkeypatch):
    monkeypatch.setattr(mutation, "solution_in_notebook", lambda exercise: (mutation.ast.parse(""), {}, ""))
    counts, _ = mutation.score(EASY)
    assert counts["refused"] and counts["equivalent"] and not counts["let through"]
    monkeypatch.setattr(checking, "N_DRAWN", 0)
    assert {"2 * sum(numbers[:10])  ->  sum(numbers[:10])", "2  ->  3"} <= set(holes(EASY))


def test_a_mutant_that_loops_is_stopped_and_counts_as_refused(monkeypatch):
    monkeypatch.setattr(mutation, "SECONDS", 0.1)
    assert mutation.judged(EASY, mutation.Mutant(loop, "forever")) == "refused"


def test_the_table_counts_the_named_among_the_refused():
    counts = mutation.Counter({"refused": 3, "named": 2, "equivalent": 1})
    assert [line.split() for line in mutation.table({"5a.1": counts}).splitlines()] == [
        ["exercise", "refused", "named", "let", "through", "equivalent"],
        ["5a.1", "5", "2", "0", "1"],
        ["all", "5", "2", "0", "1"],
    ]
