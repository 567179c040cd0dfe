"""The notebooks quote their exercises from the library, word for word."""

from pathlib import Path

import nbformat
import pytest

from mini_musessl.exercises import EXERCISES

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def notebook_of(exercise_id: str) -> Path:
    """Return the notebook of an exercise: those of "3a.1" stand in 03a_..., those of "0.1" in 00_...."""
    chapter = exercise_id.split(".")[0]
    prefix = f"{int(chapter):02}" if chapter.isdigit() else f"{int(chapter[:-1]):02}{chapter[-1]}"
    (path,) = NOTEBOOKS.glob(f"{prefix}_*.ipynb")
    return path


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())
def test_an_exercise_stands_in_its_notebook_with_stub_checker_and_solution(exercise):
    cells = nbformat.read(notebook_of(exercise.id), as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert exercise.text in text
    assert exercise.solution_text in text
    stubs = [cell for cell in cells if cell.cell_type == "code" and f'check("{exercise.id}", ' in cell.source]
    assert len(stubs) == 1 and 'raise NotImplementedError("your turn")' in stubs[0].source
    assert stubs[0].outputs[0].text.startswith(f"Exercise {exercise.id} is still open: ")
