"""The study of objectives: its settings, a run from end to end with two updates, and the tables made of its result."""

import json
from dataclasses import replace

import numpy as np
import objectives
import objectives_settings as settings
import pytest
import torch

from mini_musessl import corpora, voices
from mini_musessl.evaluation import probe_tasks
from mini_musessl.objectives.attributes import attribute_loss

BY_NAME = {setting.name: setting for setting in settings.SETTINGS}


@pytest.fixture(name="study")
def make_study(monkeypatch):
    grids = corpora.load_chorales()[:60]
    hymns = corpora.melody_groups(grids)
    pair = np.flatnonzero(hymns == np.argmax(np.bincount(hymns)))[:2]  # two settings of one hymn, to be retrieved
    others = [place for place in range(12) if hymns[place] != hymns[pair[0]]]
    chosen = [voices.cut(grids[place], 0, min(grids[place].n_steps, 130)) for place in [*pair, *others][:12]]
    split = {"test": chosen[:4], "valid": chosen[4:6], "train": chosen[6:]}
    monkeypatch.setattr(objectives, "load_split", lambda: split)
    monkeypatch.setattr(objectives, "PROBE_BUDGETS", (1, None))
    monkeypatch.setattr(objectives, "N_DRAWS", 1)
    monkeypatch.setattr(objectives, "FINE_TUNING_BUDGETS", ())
    return objectives


def test_every_setting_has_a_name_of_its_own_and_every_batch_as_many_steps():
    assert len(BY_NAME) == len({setting.file_name for setting in settings.SETTINGS}) == len(settings.SETTINGS)
    assert settings.N_WINDOWS * settings.N_STEPS == 2 * settings.N_PAIRS * settings.N_PAIR_STEPS
    # A probe shows windows that the encoder can read, and no longer ones than it was trained on.
    assert settings.N_STEPS == settings.ENCODER.context_length == probe_tasks.WINDOW_STEP


def test_the_seven_sets_of_heads_are_there_once():
    asked = [
        frozenset(setting.way.make_model(0).heads)
        for setting in settings.SETTINGS
        if setting.way is not None and setting.way.objective is attribute_loss
    ]
    assert len(asked) == len(set(asked)) == 7


def test_every_way_gives_a_batch_that_its_own_objective_takes(study):
    for setting in settings.SETTINGS:
        if setting.way is not None and setting.group != "data":
            batch = next(setting.way.make_batches(study.load_split()["train"], np.random.default_rng(0)))
            loss, n_targets = setting.way.objective(setting.way.make_model(0), batch)
            assert loss.item() > 0 and n_targets > 0, setting.name


def test_a_run_is_trained_measured_probed_and_kept(study, tmp_path, monkeypatch):
    setting = BY_NAME["masked, orderless"]
    row = study.run(setting, 0, tmp_path, n_updates=2)
    assert {row["group"], row["updates"]} == {"objectives", 2}
    assert set(row["infilling"]) == {"valid", "test"}
    assert set(row["infilling"]["test"]) == {"cells", "spans", "bars", "voices", "notes"}
    assert row["infilling"]["test"]["notes"] == pytest.approx(np.log(47), abs=0.5)
    assert {each["tested"] for each in row["probes"]} == {"all", "new hymns"}
    assert {each["task"] for each in row["probes"]} >= {"key signature", "chord", "phrase end", "hymn"}
    assert [(each["budget"], each["draw"]) for each in row["probes"] if each["task"] == "key signature"] == 2 * [
        (1, 0),
        (None, 0),
    ]
    assert (tmp_path / "masked-orderless-0.safetensors").is_file()
    monkeypatch.setattr(study.training, "train", None)  # a second call must not train
    assert study.run(setting, 0, tmp_path, n_updates=2) == json.loads(json.dumps(row))


def test_counterpoint_is_learned_last_and_alone(study):
    told = BY_NAME["masked, every kind, long, then counterpoint"]
    plain, _ = study.train_model(replace(told, counterpoint=None), 0, 2)
    model, row = study.train_model(told, 0, 2)
    assert row["updates"] == 4 and model.trained_steps == settings.N_STEPS
    assert all(weight.requires_grad for weight in model.parameters())
    before, after = plain.state_dict(), model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert after.keys() - before.keys() == {"counterpoint.table.weight", "counterpoint.parallel_table.weight"}
    assert all(after[name].abs().max() > 0 for name in after.keys() - before.keys())


def test_few_pieces_are_among_many(study):
    few = [grid.name for grid in study.choose_pieces(BY_NAME["masked, orderless, 10 pieces"], 3)]
    many = [grid.name for grid in study.choose_pieces(BY_NAME["masked, orderless, 100 pieces"], 3)]
    assert few == many[: len(few)]
    assert len(study.choose_pieces(BY_NAME["masked, orderless"], 3)) == 6


def test_the_key_finder_joins_a_result_and_tasks_get_the_names_of_now(study, tmp_path, monkeypatch):
    before = {"task": "key", "budget": None, "tested": "all", "balanced_accuracy": [0.5]}
    kept = {"rows": [{"model": "order", "probes": [before], "fine_tuned": [before]}], "provenance": {"commit": "abc"}}
    (tmp_path / "objectives.json").write_text(json.dumps(kept))
    for _ in range(2):  # the second time in the place of the first
        monkeypatch.setattr("sys.argv", ["objectives.py", "--key-finder", "--folder", str(tmp_path)])
        study.main()
    found = json.loads((tmp_path / "objectives.json").read_bytes())
    row, order = found["rows"]
    assert order == {"model": "order"} | {kind: [before | {"task": "key signature"}] for kind in study.KINDS}
    assert [(each["tested"], each["task"], each["budget"]) for each in row["probes"]] == [
        (tested, task, 0) for tested in ("all", "new hymns") for task in ("key signature", "mode")
    ]
    assert all(len(each["balanced_accuracy"]) == 1 for each in row["probes"])
    (added,) = found["provenance"]["added"]
    assert found["provenance"]["commit"] == "abc" and added["models"] == ["key finder, no labels"]


def test_draws_are_gathered_and_chance_is_kept_once():
    asked = {"tested": "all", "task": "key signature"}
    found = [
        asked | {"budget": 10, "draw": draw, "balanced_accuracy": 0.25 * draw, "chance": 0.1, "accuracy": 0.5}
        for draw in range(2)
    ]
    found.append(asked | {"budget": None, "draw": 0, "balanced_accuracy": 0.75, "chance": 0.1})
    found.append({"tested": "all", "task": "hymn", "mean_reciprocal_rank": 0.5})
    assert objectives.gather_draws(found) == [
        asked | {"budget": 10, "balanced_accuracy": [0.0, 0.25]},
        asked | {"budget": None, "balanced_accuracy": [0.75], "chance": 0.1},
        {"tested": "all", "task": "hymn", "mean_reciprocal_rank": 0.5},
    ]
