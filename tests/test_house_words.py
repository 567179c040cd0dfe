"""The words that the book has given up do not come back."""

from pathlib import Path

import pytest
import words

ROOT = Path(__file__).resolve().parent.parent


def test_code_and_prose_use_the_fields_words():
    problems = words.problems(ROOT)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "sentence",
    [
        "Shapes are as of `fill`.",
        "As of ``FrameEncoder``: float.",
        "3.85 nats a token",
        "a bit a note",
        "one row a step",
        "a vector a position",
        "It knows them by heart.",
        "Refuse what is no generator.",
        "or refuse what is none",
        "hears_holds: bool = True",
        "the network hears the bass",
        "self._soften(scores)",
        "causal_rule(3)",
        "def look_on(self, past_keys): ...",
        "from x import TokenReader",
        "rules: Rules,",
        "The dearest cell",
        "who may look at whom",
        "a half close",
    ],
)
def test_a_phrase_is_found(sentence: str):
    assert {line for line, _, _ in words.phrases(f"good\n{sentence}")} == {2}


@pytest.mark.parametrize(
    "sentence",
    [
        "nats per token; as in `fill`; one row per step",
        "As of 2026, a piece a day",
        "what is no longer needed",
        "Rules of notebooks; readers; a soft voice that is heard",
        "the padding mask; the past; a rule of harmony",
    ],
)
def test_a_plain_sentence_passes(sentence: str):
    assert list(words.phrases(sentence)) == []


def test_only_what_stands_there_is_kept():
    for name, kept in words.KEPT.items():
        text = (ROOT / name).read_text("utf-8")
        assert [phrase for phrase in kept if phrase not in text] == [], name
