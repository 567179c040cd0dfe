"""The shipped models: what is in the folder can be loaded and says what it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mini_musessl import corpora
from mini_musessl.evaluation import infilling
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.results import load_result
from mini_musessl.training import checkpoints
from mini_musessl.training.checkpoints import save_checkpoint

CARD = {
    "data": "chorales",
    "licence": "CC BY 4.0",
    "seeds": [1, 2, 3],
    "command": "python experiments/jsb.py",
    "seconds": 600.0,
    "scores": {"valid": 0.34567, "test": 0.35},
    "rounded to": "bfloat16",
}


@pytest.fixture
def folder(tmp_path):
    frame = FrameTransformer(FrameConfig(d_model=12, n_layers=1, n_heads=2, d_feedforward=20, d_voice=10), seed=3)
    token = MusicTransformer(TransformerConfig(vocabulary_size=47, d_model=12, n_layers=1, n_heads=2))
    save_checkpoint(frame, tmp_path / "tiny-frame.safetensors", CARD, dtype=torch.bfloat16)
    save_checkpoint(token, tmp_path / "tiny-token.safetensors", {"data": "tunes"})
    (tmp_path / "notes.txt").write_text("no model")
    return tmp_path


def test_names_are_what_is_in_the_folder(folder, tmp_path_factory):
    assert checkpoints.names(folder) == ["tiny-frame", "tiny-token"]
    assert checkpoints.names(tmp_path_factory.mktemp("empty")) == []


def test_a_model_is_loaded_with_its_card(folder):
    model, card = checkpoints.load("tiny-frame", folder)
    assert isinstance(model, FrameTransformer) and not model.training
    assert card == CARD
    frames = torch.randint(0, 47, (1, 5, 4), generator=torch.Generator().manual_seed(0))
    again, _ = checkpoints.load("tiny-frame", folder)
    assert torch.equal(model(frames), again(frames))
    assert isinstance(checkpoints.load("tiny-token", folder).model, MusicTransformer)


def test_an_unknown_name_is_refused_with_those_that_are_known(folder, tmp_path_factory):
    with pytest.raises(ValueError, match="must be one of tiny-frame, tiny-token; found 'chorale'"):
        checkpoints.load("chorale", folder)
    with pytest.raises(ValueError, match="must be one of tiny-frame, tiny-token; found '../tiny-frame'"):
        checkpoints.describe("../tiny-frame", folder)
    with pytest.raises(ValueError, match="none, for the folder is empty; found 'chorale'"):
        checkpoints.load("chorale", tmp_path_factory.mktemp("empty"))


def test_the_card_is_shown_line_by_line(folder):
    lines = dict(line.split("  ", 1) for line in checkpoints.describe("tiny-frame", folder).splitlines())
    said = {field: value.strip() for field, value in lines.items()}
    assert said["kind"] == "FrameTransformer"
    assert (said["data"], said["licence"], said["seeds"]) == ("chorales", "CC BY 4.0", "1, 2, 3")
    assert (said["seconds"], said["command"]) == ("600", "python experiments/jsb.py")
    assert (said["scores, valid"], said["scores, test"]) == ("0.3457", "0.35")
    assert said["rounded to"] == "bfloat16"
    assert "seed" not in said and "cost" not in said
    n_weights = sum(weight.numel() for weight in checkpoints.load("tiny-frame", folder).model.parameters())
    assert said["size"].startswith(f"{n_weights:,} weights, ")


def test_what_a_card_leaves_out_is_said(folder):
    text = checkpoints.describe("tiny-token", folder)
    for field in ("licence", "seed", "command", "cost", "scores"):
        assert any(line.split("  ")[0] == field and line.endswith("not stated") for line in text.splitlines())


# Without a shipped model these would pass for nothing: then they are skipped, in sight.
each_shipped_model = pytest.mark.parametrize("name", checkpoints.names())


@each_shipped_model
def test_a_shipped_model_is_small_and_says_what_it_is(name):
    assert (checkpoints.FOLDER / f"{name}.safetensors").stat().st_size < 10_000_000
    assert "not stated" not in checkpoints.describe(name)


def test_the_masked_model_does_not_see_what_is_hidden():
    model, generator = checkpoints.load("chorale-masked").model, np.random.default_rng(7)
    frames = torch.from_numpy(generator.integers(0, 47, (2, 40, 4)))
    others = torch.from_numpy(generator.integers(0, 47, (2, 40, 4)))
    is_hidden = torch.from_numpy(generator.random((2, 40, 4)) < 0.5)
    with torch.inference_mode():
        said = model(frames, is_hidden)
        assert torch.equal(model(torch.where(is_hidden, others, frames), is_hidden), said)
        assert not torch.allclose(model(torch.where(is_hidden, frames, others), is_hidden), said)


def test_the_masked_model_fills_as_well_as_its_card_says_and_better_than_counting():
    model, card = checkpoints.load("chorale-masked")
    split = corpora.rebuilt_split()
    found = infilling.evaluate_kinds(model, split["valid"], np.random.default_rng(0))
    for kind, result in found.items():
        assert result.nats_per_cell == pytest.approx(card["scores"][f"valid, nats a cell, {kind} hidden"], abs=2e-3)
    counting = next(row for row in load_result("objectives")["rows"] if row["model"] == "counts of neighbours")
    for kind, nats in counting["infilling"]["test"].items():
        assert card["scores"][f"test, nats a cell, {kind} hidden"] < nats - 0.05
