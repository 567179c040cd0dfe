"""What a reader sees of a notebook's code is its lesson: printing, plotting, imports and asserts are folded away."""

from pathlib import Path

import build_notebooks
import jupytext
import pytest
import visible_code

TWINS = sorted((Path(__file__).resolve().parent.parent / "notebooks" / "src").glob("*.md"))
#: There the reader learns to print and to plot.
TEACHES_PLUMBING = "00b_python_for_this_book"
TWINS = [path for path in TWINS if path.stem != TEACHES_PLUMBING]


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_at_most_a_quarter_of_the_code_in_view_is_plumbing(path: Path):
    n_lines, n_plumbing = visible_code.counts(build_notebooks.read_twin(path))
    assert n_plumbing <= visible_code.MOST * n_lines, f"{n_plumbing} of {n_lines} lines"


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("import math\n\nsize = 3  # why\n", (2, 1)),
        ("for name in names:\n    print(\n        name\n    )\n", (4, 4)),
        ("for name in names:\n    total += 1\n    print(total)\n", (3, 1)),
        ("with figure('a', 'b', 'c', 'd') as axes:\n    axes.plot(x)\n", (2, 2)),
        ("torch.testing.assert_close(a, b)\nassert a\nplot_bars(a)\nshow(a)\n", (4, 3)),
        ("def exercise():\n    raise NotImplementedError\n", (0, 0)),
    ],
)
def test_lines_are_counted(cell: str, found: tuple[int, int]):
    twin = jupytext.reads(f"# A title\n\n```{{code-cell}}\n{cell}```\n", fmt="md:myst")
    assert visible_code.counts(twin) == found


def test_folded_cells_are_not_in_view():
    twin = jupytext.reads("```{code-cell}\n:tags: [hide-input]\n\nprint(1)\n```\n", fmt="md:myst")
    assert visible_code.counts(twin) == (0, 0)
