"""Notebooks equal their text twins, were run, and keep the promises that the book makes to readers."""

from __future__ import annotations

import base64
from pathlib import Path

import build_notebooks
import chapters
import library_source
import nbformat
import notebook_rules as rules
import pytest
import repository
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
ADDRESS = repository.read_address()


def plan_of(path: Path) -> nbformat.NotebookNode:
    """Return what the text twin of a notebook describes."""
    twin = build_notebooks.read_twin(FOLDER / "src" / f"{path.stem}.md")
    return build_notebooks.planned(twin, path.stem, ADDRESS)


def problems_on_disk(path: Path) -> list[str]:
    """Return every problem of one executed notebook."""
    notebook = nbformat.read(path, as_version=4)
    return [
        *rules.twin_problems(notebook, plan_of(path)),
        *rules.execution_problems(notebook),
        *rules.media_problems(notebook),
        *rules.size_problems(path.stat().st_size),
        *rules.picture_problems(notebook),
        *rules.relation_problems(notebook),
        *[problem for cell in notebook.cells if cell.cell_type == "markdown" for problem in text_problems(cell)],
    ]


def text_problems(cell: nbformat.NotebookNode) -> list[str]:
    """Return the typed numbers of one text cell, with its beginning."""
    return [f"{problem}: {cell.source[:60]!r}" for problem in rules.number_problems(cell.source)]


def test_every_notebook_keeps_every_rule():
    problems = [f"{path.name}: {problem}" for path in chapters.notebooks() for problem in problems_on_disk(path)]
    assert not problems, "\n".join(problems)


def test_every_notebook_has_a_twin_and_every_twin_a_notebook():
    executed = [path.stem for path in chapters.notebooks()]
    assert executed == build_notebooks.names_of_twins(FOLDER), "run `make notebooks`"


def test_no_measured_number_is_typed_into_a_page():
    found = [(path.name, rules.page_number_problems(path.read_text("utf-8"))) for path in chapters.pages()]
    problems = [f"{name}: {problem}" for name, of_page in found for problem in of_page]
    assert not problems, "\n".join(problems)


# What follows shows each rule a good example and a bad one.


def test_a_table_made_from_results_may_hold_numbers_and_the_prose_beside_it_may_not():
    table = "<!-- marks -->\n\n| uniform | 3.850 |\n\n<!-- end of marks -->\n"
    assert rules.page_number_problems(table) == []
    assert rules.page_number_problems(table + "\nThe loss is 0.481 now.") == ["the number 0.481 is typed into prose"]


def code(source: str, *outputs: nbformat.NotebookNode, count: int | None = 1, tags: tuple[str, ...] = ()):
    """Return a code cell."""
    cell = new_code_cell(source, execution_count=count, outputs=list(outputs))
    cell.metadata["tags"] = list(tags)
    return cell


def html(text: str) -> nbformat.NotebookNode:
    """Return an output that shows HTML."""
    return new_output("display_data", data={"text/html": text})


def book_of(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a notebook of some cells."""
    return new_notebook(cells=list(cells))


def test_a_notebook_that_differs_from_its_twin_is_found():
    twin = book_of(new_markdown_cell("# Title"), new_code_cell("1 + 1"))
    plan = build_notebooks.planned(twin, "00_x", ADDRESS)
    assert rules.twin_problems(plan, plan) == []
    changed = build_notebooks.planned(book_of(twin.cells[0], new_code_cell("1 + 2")), "00_x", ADDRESS)
    assert "cell 4 differs" in rules.twin_problems(changed, plan)[0]
    tagged = build_notebooks.planned(book_of(twin.cells[0], code("1 + 1", tags=("only-here",))), "00_x", ADDRESS)
    assert "cell 4 differs" in rules.twin_problems(tagged, plan)[0]
    shorter = build_notebooks.planned(book_of(twin.cells[0]), "00_x", ADDRESS)
    assert "has 3 cells where" in rules.twin_problems(shorter, plan)[0]


def test_a_notebook_that_was_not_run_from_top_to_bottom_is_found():
    assert rules.execution_problems(book_of(code("1"), code("2", count=2))) == []
    for counts in ([None], [2], [1, 3], [2, 1]):
        cells = [code("1", count=count) for count in counts]
        assert "was not executed once from top to bottom" in rules.execution_problems(book_of(*cells))


def test_stderr_and_unexpected_errors_are_found():
    noise = new_output("stream", name="stderr", text="Warning")
    error = new_output("error", ename="ValueError", evalue="", traceback=[])
    assert rules.execution_problems(book_of(code("1", noise))) == ["cell 1 wrote to stderr"]
    assert "exactly where" in rules.execution_problems(book_of(code("1", error)))[0]
    assert rules.execution_problems(book_of(code("1", error, tags=("raises-exception",)))) == []
    assert "exactly where" in rules.execution_problems(book_of(code("1", tags=("raises-exception",))))[0]
    assert rules.execution_problems(book_of(code("  "))) == ["cell 1 is an empty code cell"]


def test_sound_and_pictures_that_are_not_compressed_are_found():
    wave = base64.b64encode(b"RIFF....WAVEfmt ").decode()
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
    assert (
        "MP3 for sound"
        in rules.media_problems(book_of(code("1", html(f'<audio src="data:audio/wav;base64,{wave}">'))))[0]
    )
    assert "PNG" in rules.media_problems(book_of(code("1", html('<img src="data:image/bmp;base64,Qk1CTUJNQk0=">'))))[0]
    assert "PNG" in rules.media_problems(book_of(code("1", html('<img src="data:image/png;base64,Qk1CTUJNQk0=">'))))[0]
    assert rules.media_problems(book_of(code("1", html(f'<img alt="a" src="data:image/png;base64,{picture}">')))) == []
    assert (
        rules.media_problems(book_of(code("1", html('<img alt="a" src="data:image/svg+xml;base64,PHN2Zy8+">')))) == []
    )


def test_a_notebook_that_is_too_large_is_found():
    assert rules.size_problems(1_499_999) == []
    assert "at most" in rules.size_problems(1_500_001)[0]


@pytest.mark.parametrize("tag", ['<img src="a">', '<img alt="" src="a">', "<img alt src=a>", '<p><IMG ALT=" "></p>'])
def test_a_picture_without_words_is_found(tag: str):
    assert rules.picture_problems(book_of(code("1", html(tag)))) == ["cell 1 shows a picture without alternative text"]


def test_a_picture_with_words_passes_and_a_bare_one_is_found():
    assert rules.picture_problems(book_of(code("1", html('<img alt="Four voices" src="a">')))) == []
    bare = new_output("display_data", data={"image/png": "", "text/plain": "<Figure>"})
    assert "bare picture" in rules.picture_problems(book_of(code("1", bare)))[0]


LIBRARY_CUT = "voices.cut"


def same_as(name: str) -> str:
    """Return the library's definition as a notebook shows it."""
    return library_source.bare_source(*library_source.find_in_library(name))


def test_a_definition_that_does_not_say_how_it_stands_to_the_library_is_found():
    cell = code("def f(x):\n    return x")
    assert "tag it same-as" in rules.relation_problems(book_of(cell))[0]
    cell.metadata["tags"] = ["only-here"]
    assert rules.relation_problems(book_of(cell)) == []
    assert rules.relation_problems(book_of(code("x = [n for n in range(3)]"))) == []


def test_a_definition_that_claims_to_be_the_librarys_is_compared_with_it():
    tag = (f"same-as:{LIBRARY_CUT}",)
    text = same_as(LIBRARY_CUT)
    assert '"""' not in text and "->" not in text
    assert rules.relation_problems(book_of(code(text + "\n\ncut", tags=tag))) == []
    assert (
        "differs from the library's"
        in rules.relation_problems(book_of(code(text + "\n    # more\n    x = 1", tags=tag)))[0]
    )
    assert "does not define cut" in rules.relation_problems(book_of(code("x = 1", tags=tag)))[0]
    assert "also defines g" in rules.relation_problems(book_of(code(text + "\n\ndef g(): pass", tags=tag)))[0]
    assert "defines no nothing" in rules.relation_problems(book_of(code(text, tags=("same-as:voices.nothing",))))[0]
    assert "no module of that name" in rules.relation_problems(book_of(code(text, tags=("same-as:no.cut",))))[0]


def test_a_sketch_is_followed_by_a_cell_that_compares_it():
    sketch = code("def my_cut(x): return x", tags=(f"sketch-of:{LIBRARY_CUT}",))
    wanted = "the next code cell must assert"
    assert wanted in rules.relation_problems(book_of(sketch))[0]
    assert wanted in rules.relation_problems(book_of(sketch, code("print(voices.cut)")))[0]
    assert wanted in rules.relation_problems(book_of(sketch, code("assert my_cut(1) == 1")))[0]
    assert wanted in rules.relation_problems(book_of(sketch, code("1"), code("assert my_cut(g) == voices.cut(g)")))[0]
    text = new_markdown_cell("They agree:")
    assert rules.relation_problems(book_of(sketch, text, code("assert my_cut(g) == voices.cut(g)"))) == []
    compare = "torch.testing.assert_close(my_cut(g), voices.cut(g))"
    assert rules.relation_problems(book_of(sketch, code(compare))) == []


@pytest.mark.parametrize(
    "text",
    [
        "The loss is 0.335 nats.",
        "It repeats in 83 % of the steps.",
        "It repeats in 83% of the steps.",
        "About 12.5 percent.",
        "It is right in 95 % of the steps.",
        "Below $0.3$ it fell to 1.25.",
        "`0.5` is set, 3.14 is typed.",
        "<!-- typed: 0.25 a quarter --> It was 0.26.",
        "One [link](https://example.org) here.\n\nAnd 0.11 there.",
    ],
)
def test_a_number_typed_into_prose_is_found(text: str):
    assert len(rules.number_problems(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "A quarter has 24 steps; chapter 3; at 0.5 of it; BWV 26.6; music21 10.5.1; Python 3.11.",
        "Set `p = 0.95`, or $p = 0.95$, or\n\n```python\np = 0.95\n```\n",
        "$$\np = 0.95\n$$",
        "Published: 0.335 {cite:p}`huang2019`.",
        "Published: 0.335 ([the paper](https://example.org/paper)).",
        "What about a note that had 0.001? <!-- typed: 0.001 is the question's own assumption -->",
        '<img width="12.345%">',
        "The interval is a 95 % bootstrap over pieces.",
    ],
)
def test_a_number_that_is_no_result_passes(text: str):
    assert rules.number_problems(text) == []
