"""The measured speed of the tokenizers, as the book reports it, keeps its bars."""

from __future__ import annotations

import pytest

from mini_musessl.results import load_result

RESULT = load_result("tokenizer_speed")


@pytest.mark.parametrize("music", sorted({row["music"] for row in RESULT["rows"]}))
def test_remi_encodes_a_million_notes_a_second_and_five_times_as_many_as_miditok(music):
    speed = {row["tokenizer"]: row["notes_per_sec"] for row in RESULT["rows"] if row["music"] == music}
    assert RESULT["cores"] == 1
    assert speed["Remi"] >= 1_000_000
    assert speed["Remi"] >= 5 * max(speed["MidiTok REMI"], speed["MidiTok REMI, score prepared"])
