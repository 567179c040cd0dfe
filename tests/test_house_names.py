"""Every public name says what it does, what it takes, and where the book teaches it."""

from __future__ import annotations

from pathlib import Path

import chapters
import docstring_rules
import pytest

LIBRARY = Path(__file__).resolve().parent.parent / "mini_musessl"


def test_every_public_name_of_the_library_is_documented():
    problems = docstring_rules.library_problems(LIBRARY)
    assert not problems, "\n".join(problems)


GOOD = '''"""A file.

Chapter: 3a (arrays), 00.
"""


def double(number: int, *rest: int) -> int:
    """Return twice as much.

    Args:
        number: what to double.
        *rest: ignored.
    """
'''


def test_a_documented_file_passes():
    assert docstring_rules.file_problems(GOOD) == []


@pytest.mark.parametrize(
    "before, after, sentence",
    [
        ("        number: what to double.\n", "", "double does not document number"),
        ("        *rest: ignored.\n", "", "double does not document rest"),
        ("3a (arrays), 00", "13a (arrays)", "must name notebooks or chapters"),
        ("3a (arrays), 00", "tokens", "must name notebooks or chapters"),
        ("Chapter: 3a (arrays), 00.\n", "", "double: neither it nor its file says Chapter:"),
        ("def double", "def triple(): pass\n\n\ndef double", "triple has no docstring"),
        ("def double", "class Thing:\n    pass\n\n\ndef double", "Thing has no docstring"),
        (
            "def double",
            'class Thing:\n    """One."""\n\n    a: int\n    b: int\n    c: int\n    d: int\n\n\ndef double',
            "Thing does not document a, b, c, d",
        ),
        (
            "def double",
            'class Thing:\n    """One."""\n\n    def grow(self, a, b):\n        """Grow by b."""\n\n\ndef double',
            "Thing.grow does not document a",
        ),
        ('"""A file.\n\nChapter: 3a (arrays), 00.\n"""', "", "the file has no docstring"),
    ],
)
def test_a_missing_word_is_found(before: str, after: str, sentence: str):
    assert before in GOOD
    problems = docstring_rules.file_problems(GOOD.replace(before, after, 1))
    assert any(sentence in problem for problem in problems), problems


def test_the_books_notebooks_can_be_named():
    assert {"00", "3", "3a", "03a", "12c"} <= chapters.references()
    assert not {"0a", "13", "3e", "7b"} & chapters.references()
