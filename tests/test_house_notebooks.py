"""Notebooks equal their text twins, were run, and keep the promises that the book makes to readers."""

import base64
import re
from pathlib import Path

import build_notebooks
import chapters
import library_source
import nbformat
import notebook_rules as rules
import pytest
import repository
from ipykernel.ipkernel import IPythonKernel
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
ADDRESS = repository.read_address()


def plan_of(path: Path) -> nbformat.NotebookNode:
    twin = build_notebooks.read_twin(FOLDER / "src" / f"{path.stem}.md")
    return build_notebooks.planned(twin, path.stem, ADDRESS)


def problems_on_disk(path: Path) -> list[str]:
    notebook = nbformat.read(path, as_version=4)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return [
        *rules.twin_problems(notebook, plan_of(path)),
        *rules.execution_problems(notebook),
        *rules.media_problems(notebook),
        *rules.size_problems(path.stat().st_size),
        *rules.printed_problems(notebook),
        *rules.picture_problems(notebook),
        *rules.relation_problems(notebook),
        *(f"{problem}: {text[:60]!r}" for text in texts for problem in rules.number_problems(text)),
    ]


def test_every_notebook_keeps_every_rule():
    problems = [f"{path.name}: {problem}" for path in chapters.notebooks() for problem in problems_on_disk(path)]
    assert not problems, "\n".join(problems)


def test_every_notebook_has_a_twin_and_every_twin_a_notebook():
    executed = [path.stem for path in chapters.notebooks()]
    assert executed == build_notebooks.names_of_twins(FOLDER), "run `make notebooks`"


def test_every_notebook_installs_the_librarys_own_version_and_saving_it_unchanged_in_lab_changes_nothing():
    of_kernel = {**IPythonKernel.language_info, "version": "of the Python that executed it"}
    for path in chapters.notebooks():
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata.kernelspec == build_notebooks.KERNELSPEC, path.name
        assert {**notebook.metadata.language_info, "version": of_kernel["version"]} == of_kernel, path.name
        assert re.fullmatch(r"3\.\d+\.\d+", notebook.metadata.language_info.version), path.name
        text = nbformat.writes(notebook, version=4, indent=1, sort_keys=True) + "\n"
        assert text == path.read_text("utf-8"), f"{path.name} is not written as nbformat writes it"
        installs = [cell.source for cell in notebook.cells if "remove-cell" in build_notebooks.tags(cell)]
        assert [f"@v{build_notebooks.__version__}" in source for source in installs] == [True], path.name


def test_no_measured_number_is_typed_into_a_page():
    texts = {path.name: path.read_text("utf-8") for path in chapters.pages()}
    problems = [f"{name}: {problem}" for name, text in texts.items() for problem in rules.page_number_problems(text)]
    assert not problems, "\n".join(problems)


# What follows shows each rule a good example and a bad one.


def code(source: str, *outputs: nbformat.NotebookNode, count: int | None = 1, tags: tuple[str, ...] = ()):
    cell = new_code_cell(source, execution_count=count, outputs=list(outputs))
    cell.metadata["tags"] = list(tags)
    return cell


def book_of(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return new_notebook(cells=list(cells))


def shown(text: str) -> nbformat.NotebookNode:
    return book_of(code("1", new_output("display_data", data={"text/html": text})))


def check(problems: list[str], sentence: str) -> None:
    assert len(problems) == bool(sentence) and all(sentence in problem for problem in problems), problems


TITLE = new_markdown_cell("# Title")


@pytest.mark.parametrize(
    "cells, sentence",
    [
        ([TITLE, new_code_cell("1 + 1")], ""),
        ([TITLE, new_code_cell("1 + 2")], "cell 4 differs"),
        ([TITLE, code("1 + 1", tags=("only-here",))], "cell 4 differs"),
        ([TITLE], "has 3 cells where"),
    ],
)
def test_a_notebook_that_differs_from_its_twin_is_found(cells, sentence):
    plan = build_notebooks.planned(book_of(TITLE, new_code_cell("1 + 1")), "00_x", ADDRESS)
    check(rules.twin_problems(build_notebooks.planned(book_of(*cells), "00_x", ADDRESS), plan), sentence)


NOISE = new_output("stream", name="stderr", text="Warning")
ERROR = new_output("error", ename="ValueError", evalue="", traceback=[])
IS_EXPECTED = ("raises-exception",)
NOT_RUN = "was not executed once from top to bottom"


@pytest.mark.parametrize(
    "cells, sentence",
    [
        ([code("1"), code("2", count=2)], ""),
        *(([code("1", count=n) for n in counts], NOT_RUN) for counts in ([None], [2], [1, 3], [2, 1])),
        ([code("1", NOISE)], "cell 1 wrote to stderr"),
        ([code("1", ERROR)], "exactly where"),
        ([code("1", ERROR, tags=IS_EXPECTED)], ""),
        ([code("1", tags=IS_EXPECTED)], "exactly where"),
        ([code("  ")], "cell 1 is an empty code cell"),
    ],
)
def test_a_notebook_that_was_not_run_from_top_to_bottom_without_a_noise_is_found(cells, sentence):
    check(rules.execution_problems(book_of(*cells)), sentence)


@pytest.mark.parametrize(
    "kind, data, sentence",
    [
        ("audio/wav", b"RIFF....WAVEfmt ", "MP3 for sound"),
        ("image/bmp", b"BMBMBMBM", "PNG"),
        ("image/png", b"BMBMBMBM", "PNG"),
        ("image/png", b"\x89PNG\r\n\x1a\n" + bytes(20), ""),
        ("image/svg+xml", b"<svg/>", ""),
    ],
)
def test_sound_and_pictures_that_are_not_compressed_are_found(kind, data, sentence):
    check(rules.media_problems(shown(f'<img src="data:{kind};base64,{base64.b64encode(data).decode()}">')), sentence)


def test_a_notebook_that_is_too_large_is_found():
    assert rules.size_problems(1_499_999) == []
    assert "at most" in rules.size_problems(1_500_001)[0]


def test_a_printed_line_that_runs_off_the_page_is_found():
    wide, narrow = (book_of(code("1", new_output("stream", text=f"a\n{'x' * n}\n"))) for n in (86, 85))
    assert rules.printed_problems(wide) == ["cell 1 prints a line of 86 characters; at most 85 are shown"]
    assert rules.printed_problems(narrow) == []


@pytest.mark.parametrize("tag", ['<img src="a">', '<img alt="" src="a">', "<img alt src=a>", '<p><IMG ALT=" "></p>'])
def test_a_picture_without_words_is_found(tag: str):
    assert rules.picture_problems(shown(tag)) == ["cell 1 shows a picture without alternative text"]


def test_a_picture_with_words_passes_and_a_bare_one_is_found():
    assert rules.picture_problems(shown('<img alt="Four voices" src="a">')) == []
    bare = new_output("display_data", data={"image/png": "", "text/plain": "<Figure>"})
    assert "bare picture" in rules.picture_problems(book_of(code("1", bare)))[0]


CUT = library_source.bare_source(*library_source.find_in_library("voices.cut"))  # as a notebook shows it
SAME = ("same-as:voices.cut",)
WANTED = "the next code cell must assert"


@pytest.mark.parametrize(
    "source, tags, sentence",
    [
        ("def f(x):\n    return x", (), "tag it same-as"),
        ("def f(x):\n    return x", ("only-here",), ""),
        ("x = [n for n in range(3)]", (), ""),
        ("%pip install x", (), ""),
        (CUT + "\n\ncut", SAME, ""),
        (CUT + "\n    # more\n    x = 1", SAME, "differs from the library's"),
        ("x = 1", SAME, "does not define cut"),
        (CUT + "\n\ndef g(): pass", SAME, "also defines g"),
        (CUT + "\n\ndef g(): pass", (*SAME, "only-here"), ""),
        ("def nothing(): pass", ("same-as:voices.nothing",), "defines no nothing"),
        (CUT, ("same-as:no.cut",), "no module of that name"),
        (CUT, ("sketch-of:no.cut",), "no module of that name"),
    ],
)
def test_a_definition_says_how_it_stands_to_the_library_and_the_claim_is_true(source, tags, sentence):
    assert '"""' not in CUT and "->" not in CUT
    check(rules.relation_problems(book_of(code(source, tags=tags))), sentence)


AGREE = code("assert my_cut(g) == voices.cut(g)")


@pytest.mark.parametrize(
    "following, sentence",
    [
        ([], WANTED),
        ([code("print(voices.cut)")], WANTED),
        ([code("assert my_cut(1) == 1")], WANTED),
        ([code("1"), AGREE], WANTED),
        ([new_markdown_cell("They agree:"), AGREE], ""),
        ([code("torch.testing.assert_close(my_cut(g), voices.cut(g))")], ""),
    ],
)
def test_a_sketch_is_followed_by_a_cell_that_compares_it(following, sentence):
    sketch = code("def my_cut(x): return x", tags=("sketch-of:voices.cut",))
    check(rules.relation_problems(book_of(sketch, *following)), sentence)


def test_a_table_made_from_results_may_hold_numbers_and_the_prose_beside_it_may_not():
    table = "<!-- baselines -->\n\n| uniform | 3.850 |\n\n<!-- end of baselines -->\n"
    assert rules.page_number_problems(table) == []
    assert rules.page_number_problems(table + "\nThe loss is 0.481 now.") == ["the number 0.481 is typed into prose"]


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
