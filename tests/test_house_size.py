"""What `make size` counts: kinds of lines, refusals, modules beside aims, names that nothing uses."""

import ast
from pathlib import Path

import line_kinds
import pytest
import size

SOURCE = '''"""A file.

With a second paragraph.
"""
# why

TEXT = """no docstring

# no comment"""  # at the end of code


def double(number):
    """Return twice as much."""
    # why
    if number is None:
        message = "none"
        raise ValueError(message)
    for each in (number,):
        whole_number(each)
    checks.check_size(number)

    def _check_inside():
        return number

    if number:
        return 2 * number
    else:
        raise ValueError
'''


def test_every_line_has_one_kind():
    found = size.count(SOURCE)
    assert found == dict(docstring=5, comment=2, blank=5, code=16, lines=28, files=1, refusal=9)
    assert line_kinds.line_kinds(SOURCE)[5:9] == ["blank", "code", "code", "code"]
    assert line_kinds.line_kinds("") == [] and line_kinds.line_kinds("#") == ["comment"]


@pytest.mark.parametrize(
    "source, n_lines",
    [
        ("if a:\n    raise b", 2),
        ("if a:\n    c = 1\n    raise b", 3),
        ("if a:\n    raise b\nelse:\n    c", 1),
        ("def _check_it(a):\n    return a", 2),
        ("def look(a):\n    return a", 0),
        ("for a in b:\n    check(a)", 2),
        ("self._check(a)\nmusic.whole_number(b)", 2),
        ("a = check(b)", 0),
    ],
)
def test_lines_that_only_refuse_are_found(source: str, n_lines: int):
    assert len(line_kinds.refusal_lines(ast.parse(source))) == n_lines


@pytest.fixture(name="house")
def build_house(tmp_path: Path) -> Path:
    files = {
        "tools/size_aims.toml": "totals = {library = 10, core = 4, exercises = 4}\ncore.parts = ['music']\n"
        "cells.same-as = 3\nmodules = {music = 4, 'net/a' = 10, widgets = 7}",
        "mini_musessl/music.py": "def cut():\n    return 1\n\n\ndef join():\n    return 2\n",
        "mini_musessl/net/__init__.py": "from mini_musessl.net.a import lonely\n",
        "mini_musessl/net/a.py": "class Result: ...\n\n\nclass Forgotten: ...\n\n\ndef lonely() -> Result: ...\n\n\n"
        "def studied(): ...\n\n\ndef shared(): ...\n\n\ndef _hidden(): ...\n",
        "mini_musessl/net/b.py": "from mini_musessl.music import join  # lonely\n",
        "mini_musessl/exercises/x.py": "answer = 'studied'\n",
        "experiments/one.py": "studied, shared\n",
        "experiments/two.py": "shared\n",
        "tests/test_a.py": "lonely\n",
        "notebooks/src/00.md": "```{code-cell}\n:tags: [same-as:net.b, only-here]\ncut()\n```\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def words(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def test_parts_and_modules_are_counted_beside_their_aims(house: Path):
    lines = words(size.tree_lines(house))
    assert [line.split()[0] for line in lines[1:]] == ["library", "exercises", "tests", "experiments"]
    assert lines[1].startswith("library 4 24 12 0 0 12")
    assert words(size.total_lines(house)) == [
        "library 24 of 10 +140 %",
        "core 6 of 4 +50 %",
        "exercises 1 of 4 -75 %",
        "tests 1 of 24 -96 %",
    ]
    assert words(size.module_lines(house)) == [
        "music 6 of 4 +50 %",
        "net/a 16 of 10 +60 %",
        "net/__init__.py 1 without an aim",
        "net/b.py 1 without an aim",
        "Not there yet: widgets 7",
    ]


def test_cells_and_large_functions_are_listed(house: Path):
    assert words(size.cell_lines(house)) == ["same-as 1 of at least 3", "sketch-of 0", "only-here 1"]
    assert words(size.function_lines(house))[0] == "music.py:1 cut 2"


def test_a_name_is_used_by_a_notebook_another_module_or_two_experiments(house: Path):
    assert size.unused_names(house) == {"net/a.py": ["Forgotten", "lonely", "studied (one.py)"]}


def test_the_aims_of_this_library_can_be_read_and_its_size_printed(capsys):
    assert sum(size.aims()["modules"].values()) > 9000
    size.main()
    printed = capsys.readouterr().out
    assert all(title in printed for title in size.SECTIONS)
    assert len(printed.splitlines()) <= 130
