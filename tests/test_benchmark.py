"""The chorale benchmark: its settings, a run from end to end with two updates, and the models that are shipped."""

import json
import os
from dataclasses import replace

import jsb
import numpy as np
import pytest
import torch
from jsb_settings import SETTINGS
from token_gru import GruConfig, GruDecoder, TokenGru

from mini_musessl import corpora
from mini_musessl.evaluation import likelihood
from mini_musessl.evaluation.causality import check_causality
from mini_musessl.evaluation.counting import Uniform
from mini_musessl.network.encoder import MaskedTransformer
from mini_musessl.results import FOLDER, load_result
from mini_musessl.training import checkpoints
from mini_musessl.voices import from_pitches

BY_NAME = {setting.name: setting for setting in SETTINGS}
#: The models that write from left to right; the rules of the benchmark are for them.
NAMES = [name for name in checkpoints.names() if not isinstance(checkpoints.load(name).model, MaskedTransformer)]


def test_every_setting_has_a_name_of_its_own_and_says_what_it_chose():
    assert len(BY_NAME) == len({setting.file_name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert json.loads(json.dumps(setting.describe()))["n_steps"] == setting.n_steps
        assert not {"name", "seeds"} & set(setting.describe())


def test_settings_of_one_table_differ_in_one_thing():
    base = BY_NAME["frames, short"].describe()
    changed = {
        name: [key for key in base["model"] if setting.describe()["model"][key] != base["model"][key]]
        for name, setting in BY_NAME.items()
        if setting.group == "ideas" and name != "half the width"
    }
    assert max(map(len, changed.values())) == 1
    assert changed["no hidden cells"] == ["hidden_share"]


@pytest.fixture(name="recurrent")
def make_recurrent():
    return TokenGru(GruConfig(d_model=16, n_layers=1), seed=1).eval()


def test_the_recurrent_network_keeps_the_rules(recurrent):
    check_causality(recurrent, np.random.default_rng(0), n_steps=12, n_places=2)


@torch.no_grad()
def test_the_recurrent_network_scores_a_window_as_it_scores_a_piece(recurrent):
    ids = np.random.default_rng(0).integers(0, 47, (9, 4))
    inputs = torch.from_numpy(np.concatenate(([47], ids.ravel()[:-1])))
    log_probs = recurrent(inputs[None]).log_softmax(-1)[0].numpy().reshape(9, 4, 47)
    np.testing.assert_allclose(recurrent.symbol_log_probs(ids), log_probs, atol=1e-6)


@torch.no_grad()
def test_the_recurrent_network_writes_by_what_it_scores(recurrent):
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, 47, (2, 36)))
    decoder, scores = GruDecoder(recurrent, 2), []
    for token in ids.T:
        scores.append(decoder.next_logits())
        decoder.append(token)
    log_probs = torch.stack(scores, dim=1).log_softmax(-1).view(2, 9, 4, 47)
    for row, each in zip(log_probs, ids, strict=True):
        np.testing.assert_allclose(recurrent.symbol_log_probs(each.view(9, 4).numpy()), row, atol=1e-5)


def test_the_recurrent_network_is_kept(recurrent, tmp_path):
    checkpoints.save_checkpoint(recurrent, tmp_path / "gru.safetensors")
    again, ids = checkpoints.load_checkpoint(tmp_path / "gru.safetensors").model, np.ones((3, 4), int)
    np.testing.assert_array_equal(again.symbol_log_probs(ids), recurrent.symbol_log_probs(ids))


@pytest.fixture(name="few_pieces")
def make_few_pieces(monkeypatch):
    generator = np.random.default_rng(0)
    pieces = [generator.integers(50, 70, (20 + n, 4)) for n in range(6)]
    split = {part: [from_pitches(pitch) for pitch in pieces] for part in ("train", "valid", "test")}
    monkeypatch.setattr(jsb, "load_data", lambda name: split)
    return pieces


def test_a_run_is_trained_once_scored_and_kept(few_pieces, tmp_path, monkeypatch):
    pieces, setting = few_pieces, BY_NAME["frames"]
    row = jsb.run(setting, 0, tmp_path, n_updates=2)
    assert row["valid"]["nats"] == pytest.approx(np.log(47), abs=1)
    assert len(row["valid"]["pieces"]) == 6
    batches = jsb.make_batches(setting, [pitch - 35 for pitch in pieces], 0)
    drawn = np.concatenate([next(batches).piece_index for _ in range(2)])
    assert row["history"]["targets"][-1] == sum(pieces[index].size for index in drawn)
    assert (tmp_path / "frames-0.safetensors").is_file()
    monkeypatch.setattr(jsb.training, "train", None)  # a second call must not train
    assert jsb.run(setting, 0, tmp_path, n_updates=2) == row


def test_a_student_learns_from_the_kept_networks_of_another_setting_and_not_without(few_pieces, tmp_path):
    setting = BY_NAME["frames, taught"]
    with pytest.raises(SystemExit, match="frames-0, frames-1, frames-2 did not end yet"):
        jsb.run(setting, 0, tmp_path, n_updates=2)
    assert jsb.score_together("frames", tmp_path) == []
    for seed in range(3):
        jsb.run(BY_NAME["frames"], seed, tmp_path, n_updates=2)
    row = jsb.run(setting, 0, tmp_path, n_updates=2)
    assert row["taught_by"] == "frames"
    some_written = replace(setting, name="frames, taught by what they wrote", n_sampled=3)
    first = next(jsb.make_batches(setting, [pitch - 35 for pitch in few_pieces], 0))
    n_targets = [(~first.is_padding).sum() * 4, 7 * 192 * 4]  # of the second batch, whose windows are written ones
    assert jsb.run(some_written, 0, tmp_path, n_updates=2)["history"]["targets"][-1] == sum(n_targets)
    together, in_twelve_keys = jsb.score_together("frames", tmp_path)
    alone = [json.loads((tmp_path / f"frames-{seed}.json").read_text("utf-8")) for seed in range(3)]
    assert together["valid"]["nats"] <= np.mean([row["valid"]["nats"] for row in alone])
    assert in_twelve_keys["valid"]["nats"] == pytest.approx(alone[0]["valid"]["nats"], abs=0.1)


def test_steps_are_told_apart_by_what_was_sung_before():
    line = np.random.default_rng(0).integers(50, 70, (40, 4))
    piece = from_pitches(np.concatenate((line, line)))
    rows = jsb.describe_matches(likelihood.evaluate_likelihood(Uniform(), [piece]), [piece])
    assert [row["share"] * 80 for row in rows] == pytest.approx([41, 3, 4, 8, 16, 8])
    assert [row["right"] for row in rows[1:]] == [1] * 5
    assert [row["nats"] for row in rows] == pytest.approx([4 * np.log(47)] * 6)


@pytest.mark.skipif("jsb" not in {path.stem for path in FOLDER.glob("*.json")}, reason="the benchmark was not run")
def test_rows_agree_with_the_histories_of_their_runs():
    for row in load_result("jsb")["rows"]:
        if "history" in row:
            before = row.get("before_temperature", {"valid": row["valid"]["nats"]})["valid"]
            # The history is measured in 16 bits, the row in 32.
            assert before == pytest.approx(row["history"]["valid"][-1], abs=0.005)
            assert row["valid"]["nats"] <= before


def test_models_are_shipped():
    assert "chorale-frame" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_keeps_the_rules(name):
    check_causality(checkpoints.load(name).model, np.random.default_rng(0), n_steps=24)


@pytest.mark.skipif("MUSESSL_JSB" not in os.environ, reason="the JSB file is not here; it is not ours to give")
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_scores_what_its_card_says(name):
    model, card = checkpoints.load(name)
    score = likelihood.evaluate_likelihood(model, corpora.load_jsb()["valid"])
    assert score.n_tokens == 73_632
    (said,) = (nats for part, nats in card["scores"].items() if part.startswith("valid"))
    assert score.nats_per_token == pytest.approx(said, abs=2e-4)


@pytest.mark.skipif("MUSESSL_JSB" not in os.environ, reason="the JSB file is not here; it is not ours to give")
def test_the_best_shipped_model_is_below_the_published_number():
    score = likelihood.evaluate_likelihood(checkpoints.load("chorale-frame").model, corpora.load_jsb()["valid"])
    assert score.nats_per_token < 0.335
