"""Results are loaded by name, every one says how to get it again, and the tokenizers are as fast as the book says."""

from pathlib import Path

import pytest

from mini_musessl import results
from mini_musessl.results import FOLDER, load_result

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"


@pytest.mark.parametrize("name", NAMES)
def test_a_result_says_how_to_get_it_again(name):
    result = load_result(name)
    assert result["rows"]
    provenance = result["provenance"]
    assert provenance["command"].startswith(f"python experiments/{name}.py")
    assert (EXPERIMENTS / f"{name}.py").is_file()
    assert {"commit", "command", "seeds", "device", "seconds", "versions"} <= set(provenance)


def test_an_unknown_result_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match=f"must be one of {NAMES[0]}, .*; found 'nonsense'.*experiments/NAME.py"):
        load_result("nonsense")


@pytest.mark.parametrize("text", [b"", b'{"rows": [', b"[" * 100_000, b"\xff"])
def test_a_damaged_result_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    (tmp_path / "jsb.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"jsb\.json is damaged.* or run the experiment: python exp"):
        load_result("jsb")


def test_remi_encodes_a_million_notes_a_second_and_five_times_as_many_as_miditok():
    result = load_result("tokenizer_speed")
    assert result["cores"] == 1
    measured = {row["music"] for row in result["rows"]}
    assert measured
    for music in measured:
        speed = {row["tokenizer"]: row["notes_per_sec"] for row in result["rows"] if row["music"] == music}
        assert speed["Remi"] >= 1_000_000
        assert speed["Remi"] >= 5 * max(speed["MidiTok REMI"], speed["MidiTok REMI, score prepared"])
