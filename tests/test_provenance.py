"""How experiments write their results, and keep their runs."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import jsb_settings
import kept_runs
import objectives_settings
import provenance
import pytest

ROOT = Path(__file__).resolve().parent.parent
ROWS = [{"model": "uniform", "nats": 3.85}]


def test_a_result_holds_its_rows_and_how_to_make_them_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(ROOT / "experiments" / "some.py"), "--seeds", "1 2"])
    path = provenance.write_result("some", ROWS, seeds=[1, 2], seconds=1.26, folder=tmp_path / "new", n_pieces=3)
    result = json.loads(path.read_text("utf-8"))
    assert path == tmp_path / "new" / "some.json"
    assert (result["name"], result["rows"], result["n_pieces"]) == ("some", ROWS, 3)
    made_by = result["provenance"]
    assert made_by["command"] == "python experiments/some.py --seeds '1 2'"
    assert (made_by["seeds"], made_by["seconds"], made_by["device"]) == ([1, 2], 1.3, "cpu")
    assert {"python", "numpy"} <= set(made_by["versions"])
    assert made_by["processor"]


def test_the_commit_is_that_of_the_start_of_the_run(tmp_path, monkeypatch):
    at_start = provenance.find_commit()
    monkeypatch.setattr(provenance, "find_commit", lambda: "the commit after")
    path = provenance.write_result("some", ROWS, seeds=[1], seconds=0, folder=tmp_path)
    assert json.loads(path.read_text("utf-8"))["provenance"]["commit"] == at_start


@pytest.mark.parametrize(
    "rows, sentence",
    [
        ([{"nats": float("nan")}], "finite numbers, texts, lists and mappings; experiment 'some' gives"),
        ([{"nats": {1, 2}}], r"Convert arrays with \.tolist\(\)"),
        ([], "at least one row; experiment 'some' has none"),
    ],
)
def test_a_refused_result_leaves_the_old_one_and_nothing_beside_it(tmp_path, rows, sentence):
    path = provenance.write_result("some", ROWS, seeds=[1], seconds=0, folder=tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=sentence):
        provenance.write_result("some", rows, seeds=[1], seconds=0, folder=tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_package_that_is_missing_has_no_version():
    assert set(provenance.find_versions(["numpy", "no-such-package-at-all"])) == {"python", "numpy"}


def test_a_folder_without_git_has_an_unknown_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.find_commit() == "unknown"


def test_a_run_is_made_once_and_kept(tmp_path):
    made = []
    for _ in range(2):
        assert kept_runs.keep(tmp_path / "a.json", lambda: made.append(1) or {"seeds": (1, 2)}) == {"seeds": [1, 2]}
    assert made == [1]


def test_a_row_without_what_is_needed_is_named_and_made_again(tmp_path, capsys):
    place = tmp_path / "frames-0.json"
    for text in ('{"model": "frames"}', '[{"seed": 0}, {"model": "frames"}]', "[3]"):
        place.write_text(text)
        assert kept_runs.read_rows(SimpleNamespace(file_name="frames"), (0,), tmp_path, ["model", "seed"]) == []
        assert f"{place} is damaged (a row lacks " in capsys.readouterr().out
        assert kept_runs.keep(place, lambda: {"model": "a", "seed": 0}, ["model", "seed"]) == {"model": "a", "seed": 0}


@pytest.mark.parametrize("text", [b"", b'{"model": "frames", "gro', b"[" * 100_000, b"\xff\xfe", b"null", b"{}", b"3"])
def test_half_a_row_is_named_and_made_again(tmp_path, capsys, text):
    place = tmp_path / "frames-0.json"
    place.write_bytes(text)
    assert kept_runs.read_rows(SimpleNamespace(file_name="frames"), (0, 1), tmp_path) == []
    assert f"{place} is damaged" in capsys.readouterr().out
    assert kept_runs.keep(place, lambda: {"seed": 0}) == {"seed": 0}
    assert kept_runs.read_rows(SimpleNamespace(file_name="frames"), (0, 1), tmp_path) == [{"seed": 0}]


@pytest.mark.parametrize(
    "arguments, only, seeds, runs",
    [
        ([], ["a", "b: c"], None, "runs"),
        (["--only", "b: c", "--seeds", "0", "2"], ["b: c"], [0, 2], "runs"),
        (["--updates", "3", "--folder", "try"], ["a", "b: c"], None, "try/runs"),
    ],
)
def test_the_options_choose_runs_and_folders(tmp_path, monkeypatch, arguments, only, seeds, runs):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x.py", *arguments])
    asked = kept_runs.read_options("About.", ["a", "b: c"], Path("runs"), collect="train nothing")
    assert (asked.only, asked.seeds, asked.collect, asked.runs) == (only, seeds, False, Path(runs))
    assert asked.runs.is_dir()
    assert asked.results == (Path("try") if asked.updates else provenance.RESULTS)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--updates", "3"], "--updates is for a quick look, which needs a --folder of its own"),
        (["--only", "a", "d"], "--only takes names of settings; found d. Known: a; b: c."),
    ],
)
def test_options_that_name_no_run_are_refused(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.setattr(sys, "argv", ["x.py", *arguments])
    with pytest.raises(SystemExit):
        kept_runs.read_options("About.", ["a", "b: c"], tmp_path / "runs")
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "runs").exists()


def test_rows_join_a_result_in_the_place_of_old_ones_and_say_how(tmp_path):
    provenance.write_result("some", [{"model": "a"}, {"model": "b"}], seeds=[1], seconds=0, folder=tmp_path)
    for _ in range(2):  # the second time in the place of the first
        rows = [{"model": "new"}]
        path = provenance.add_rows("some", rows, lambda row: row["model"] in ("a", "new"), 2.06, tmp_path)
    found = json.loads(path.read_bytes())
    assert found["rows"] == [{"model": "new"}, {"model": "b"}]
    (added,) = found["provenance"]["added"]
    assert (added["models"], added["seconds"]) == (["new"], 2.1)
    assert {"commit", "command"} < set(added)


def test_a_result_keeps_rows_whose_runs_are_elsewhere(tmp_path):
    old = [
        {"model": name, "group": "g", "seed": seed, "nats": 1}
        for name in ("a", "a: 2 seeds", "gone")
        for seed in (0, 1)
    ]
    provenance.write_result("some", old, seeds=[0, 1], seconds=1, folder=tmp_path)
    made = [{"model": "a", "group": "g", "seed": 1, "nats": 2}]
    found = kept_runs.with_published("some", made, ["a"], tmp_path)
    assert [(row["model"], row["seed"], row["nats"]) for row in found] == [
        ("a", 1, 2),
        ("a", 0, 1),
        ("a: 2 seeds", 0, 1),
        ("a: 2 seeds", 1, 1),
    ]
    assert kept_runs.with_published("other", made, ["a"], tmp_path) == made


@pytest.mark.parametrize(
    "name, settings", [("jsb", jsb_settings.SETTINGS), ("objectives", objectives_settings.SETTINGS)]
)
def test_no_row_of_a_setting_is_lost_on_a_machine_without_runs(name, settings):
    names = [setting.name for setting in settings]
    published = json.loads((provenance.RESULTS / f"{name}.json").read_bytes())["rows"]
    kept = kept_runs.with_published(name, [], names)
    assert {setting for setting in names if any(row["model"] == setting for row in published)} == {
        row["model"] for row in kept if row["group"] not in ("together", "matches")
    }
    assert all(row["group"] in ("references", "counting") for row in published if row not in kept)
