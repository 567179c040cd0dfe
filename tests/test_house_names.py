"""Every public name says in a sentence what it does, and no docstring is longer than its function."""

from pathlib import Path

import chapters
import docstring_rules as rules
import pytest

LIBRARY = Path(__file__).resolve().parent.parent / "mini_musessl"


def test_the_docstrings_of_the_library_keep_the_rules():
    problems = rules.library_problems(LIBRARY)
    assert not problems, "\n".join(problems)


def test_few_doors_have_long_docstrings():
    assert len(rules.DOORS) <= rules.MAX_DOORS


GOOD = '''"""A file.

Chapter: 3a (arrays), 00.
"""


class Scale:
    """One scale from a start."""

    start: int = 60  # MIDI pitch

    def __init__(self, start):
        """Begin."""

    def up(self, n_steps: int, by, *rest: int) -> int:
        """Return a pitch `by` steps up.

        Args:
            n_steps: of 0..7,
                a range: whole numbers.
            *rest: ignored.

        Returns:
            MIDI: 0..127.
        """

        def helper(number):
            return number


def _hidden(number):
    return number
'''


def test_a_documented_file_passes():
    assert rules.file_problems(GOOD)[0] == []


@pytest.mark.parametrize(
    "before, after, sentence",
    [
        ("        n_steps: of", "        steps: of", "Scale.up describes steps, which it does not take"),
        ("        *rest: ign", "        more, rest: ign", "Scale.up describes more, which it does not take"),
        ("`by` steps", "many steps", "Scale.up must annotate or document by"),
        ("One scale from a start.", "One scale.", "Scale must annotate or document start"),
        ("Return a pitch", "return a pitch", "Scale.up must begin with a sentence"),
        ("steps up.", "steps up", "Scale.up must begin with a sentence"),
        ("        Returns:", "        Raises:\n            X: never.\n\n        Returns:", "Scale.up lists Raises:"),
        ("    return number\n", '    """No.\n\n    Raises:\n        X: no.\n    """\n', "_hidden lists Raises:"),
        ("A file.\n", "A file.\n\nRaises:\n    X: never.\n", "the file lists Raises:"),
        ("        Returns:", "        Chapter: 3a.\n\n        Returns:", "Scale.up says Chapter:, which belongs into"),
        ("Chapter: 3a (arrays), 00.", "Chapter: 3a.\nChapter: 3b.", "the file says Chapter: more than once"),
        ("3a (arrays), 00", "13a (arrays)", "must name notebooks or chapters"),
        ("3a (arrays), 00", "tokens", "must name notebooks or chapters"),
        ("\nChapter: 3a (arrays), 00.\n", "", "the file does not say Chapter:"),
        ("def _hidden", "def triple(): pass\n\n\ndef _hidden", "triple has no docstring"),
        ("def _hidden", "class Thing:\n    pass\n\n\ndef _hidden", "Thing has no docstring"),
        ('"""A file.\n\nChapter: 3a (arrays), 00.\n"""', "", "the file has no docstring"),
    ],
)
def test_a_fault_is_found(before: str, after: str, sentence: str):
    assert before in GOOD
    problems, _ = rules.file_problems(GOOD.replace(before, after))
    assert any(sentence in problem for problem in problems), problems


def test_the_package_may_name_the_chapter_for_its_files():
    assert rules.file_problems('"""A file."""\n\n\ndef f():\n    """F."""\n', "A package.\n\nChapter: 3a.") == ([], [])
    assert rules.file_problems('"""A face without names of its own."""\n') == ([], [])


@pytest.mark.parametrize("n_docstring, n_code, is_long", [(8, 1, False), (9, 8, True), (9, 9, False), (30, 29, True)])
def test_a_docstring_longer_than_its_body_is_found_unless_it_is_short(n_docstring: int, n_code: int, is_long: bool):
    text = '    """F.\n' + "\n" * (n_docstring - 2) + '    """\n'
    code = "    # why\n\n    x = 1\n" + "    x = 2  # so\n" * (n_code - 1)
    for source, name in ((f"def f(\n):\n{text}{code}", "f"), (f"class C:\n{text}{code}", "C")):
        assert rules.file_problems(source)[1] == [name] * is_long


def test_doors_may_be_long_and_only_those_that_need_it_are_doors(tmp_path: Path):
    (tmp_path / "__init__.py").write_text('"""A package."""\n', "utf-8")
    source = '"""A file.\n\nChapter: 3a.\n"""\n\n\ndef f():\n    """F."""\n    return 1\n'
    (tmp_path / "a.py").write_text(source.replace("F.", "F." + 9 * "\n"), "utf-8")
    assert rules.library_problems(tmp_path, ()) == ["a.f: its docstring is longer than its body"]
    assert rules.library_problems(tmp_path, ("a.f",)) == []
    assert rules.library_problems(tmp_path, ("a.f", "a.g")) == ["a.g needs no place among DOORS"]


def test_the_books_notebooks_can_be_named():
    assert {"00", "3", "3a", "03a", "12c"} <= chapters.references()
    assert not {"0a", "13", "3e", "7b"} & chapters.references()
