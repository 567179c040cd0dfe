"""Every exercise stands in its notebook with task, hint, stub and a solution that its checker calls right."""

import ast
import re
from functools import lru_cache
from pathlib import Path

import nbformat
import pytest

from mini_musessl.exercises import EXERCISES, judge

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def notebook_of(exercise_id: str) -> Path:
    number, letter = re.match(r"(\d+)([a-z]?)\.", exercise_id).groups()
    (path,) = NOTEBOOKS.glob(f"{int(number):02}{letter}_*.ipynb")
    return path


@lru_cache
def cells(path: Path, kind: str) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def imported_names(path: Path) -> dict:
    source = next(cell.source for cell in cells(path, "code") if "import check\n" in cell.source)
    imports = [node for node in ast.parse(source).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {}
    exec(ast.unparse(ast.Module(imports, [])), names)
    return names


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_an_exercise_stands_in_its_notebook_with_task_hint_stub_and_a_right_solution(exercise):
    path = notebook_of(exercise.id)
    text = "\n\n".join(cell.source for cell in cells(path, "markdown"))
    task = re.search(rf"^\*\*Exercise {exercise.id}: [^*]+\*\* \((\d+) minutes\)\. ((?s:.+?))\n\n<details>", text, re.M)
    assert task and 2 <= int(task[1]) <= 60 and re.search(r"`\w+\(", task[2]), "it names the function and its arguments"
    assert text[task.end() :].startswith("<summary>Hint</summary>\n\n")

    stubs = [cell for cell in cells(path, "code") if f'check("{exercise.id}", ' in cell.source]
    assert len(stubs) == 1 and 'raise NotImplementedError("your turn")' in stubs[0].source
    assert stubs[0].outputs[0].text.startswith(f"Exercise {exercise.id} is still open: ")

    heading = f"<details><summary>Solution of exercise {exercise.id}</summary>"
    (solution,) = re.findall(rf"^{heading}\n\n```python\n((?s:.*?))\n```\n\n</details>$", text, re.M)
    names = imported_names(path)
    exec(solution, names)
    answer = re.search(rf'check\("{exercise.id}", (\w+)\)', stubs[0].source)[1]
    assert judge(exercise, names[answer]).is_right


def test_every_check_in_a_notebook_has_a_checker():
    sources = [cell.source for path in NOTEBOOKS.glob("*.ipynb") for cell in cells(path, "code")]
    asked = re.findall(r'\bcheck\("([^"]+)"', "\n".join(sources))
    assert sorted(asked) == sorted(EXERCISES)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_exercises_with_and_without_code_are_numbered_in_order(path):
    text = "\n\n".join(cell.source for cell in cells(path, "markdown"))
    found = re.findall(r"^\*\*Exercise (\d+[a-z]?)\.(\d+): ", text, re.M)
    assert [int(number) for _, number in found] == list(range(1, len(found) + 1))
    assert {place for place, _ in found} <= {re.sub("^0(?=.)", "", path.stem.split("_")[0])}
