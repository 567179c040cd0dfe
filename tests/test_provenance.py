"""Tests of how experiments write their results."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(name="provenance")
def load_provenance():
    """Load experiments/provenance.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("provenance", ROOT / "experiments" / "provenance.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_result_holds_its_rows_and_how_to_make_them_again(provenance, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(ROOT / "experiments" / "some.py"), "--seeds", "1 2"])
    rows = [{"model": "uniform", "nats": 3.85}]
    path = provenance.write_result("some", rows, seeds=[1, 2], seconds=1.26, folder=tmp_path / "new", n_pieces=3)
    result = json.loads(path.read_text("utf-8"))
    assert path == tmp_path / "new" / "some.json"
    assert (result["name"], result["rows"], result["n_pieces"]) == ("some", rows, 3)
    made_by = result["provenance"]
    assert made_by["command"] == "python experiments/some.py --seeds '1 2'"
    assert (made_by["seeds"], made_by["seconds"], made_by["device"]) == ([1, 2], 1.3, "cpu")
    assert {"python", "numpy"} <= set(made_by["versions"])
    assert made_by["processor"]


def test_the_commit_is_that_of_the_start_of_the_run(provenance, tmp_path, monkeypatch):
    at_start = provenance.find_commit()
    monkeypatch.setattr(provenance, "find_commit", lambda: "the commit after")
    path = provenance.write_result("some", [{"nats": 1.0}], seeds=[1], seconds=0, folder=tmp_path)
    assert json.loads(path.read_text("utf-8"))["provenance"]["commit"] == at_start


def test_a_failed_write_leaves_the_old_result_and_nothing_beside_it(provenance, tmp_path):
    path = provenance.write_result("some", [{"nats": 1.0}], seeds=[1], seconds=0, folder=tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="finite numbers, texts, lists and mappings; experiment 'some' gives"):
        provenance.write_result("some", [{"nats": float("nan")}], seeds=[1], seconds=0, folder=tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_values_that_json_does_not_know_and_empty_results_are_refused(provenance, tmp_path):
    with pytest.raises(ValueError, match=r"Convert arrays with \.tolist\(\)"):
        provenance.write_result("some", [{"nats": {1, 2}}], seeds=[1], seconds=0, folder=tmp_path)
    with pytest.raises(ValueError, match="at least one row; experiment 'some' has none"):
        provenance.write_result("some", [], seeds=[1], seconds=0, folder=tmp_path)


def test_a_package_that_is_missing_has_no_version(provenance):
    assert set(provenance.find_versions(["numpy", "no-such-package-at-all"])) == {"python", "numpy"}


def test_a_folder_without_git_has_an_unknown_commit(provenance, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.find_commit() == "unknown"
