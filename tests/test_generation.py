"""experiments/generation.py: from end to end with tiny untrained models, and not twice."""

import json
from functools import partial

import generation
import numpy as np
import pytest
from token_gru import GruConfig, TokenGru

from mini_musessl.evaluation import statistics
from mini_musessl.evaluation.counting import CountingModel, Uniform
from mini_musessl.generation import harmonise_by_infilling
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.training import checkpoints
from mini_musessl.voices import from_pitches

SMALL = {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_feedforward": 24}
KEPT = {
    "frames": FrameTransformer(FrameConfig(**SMALL, d_voice=16)),
    "token GRU": TokenGru(GruConfig(d_model=8, n_layers=1)),
    generation.MASKED: MaskedTransformer(EncoderConfig(**SMALL, d_voice=16)),
}
SHIPPED = {
    "chorale-frame": ("frames, taught", KEPT["frames"]),
    "chorale-masked": (generation.MASKED, KEPT[generation.MASKED]),
}


@pytest.fixture(name="folder")
def make_small(monkeypatch, tmp_path):
    random = np.random.default_rng(0)
    lines = [random.integers(-1, 2, (36 + n, 4)).cumsum(axis=0) + np.array([70, 64, 57, 48]) for n in range(36)]
    pieces = [from_pitches(each.clip((60, 52, 46, 36), (81, 74, 69, 66))) for each in lines]
    split = {part: pieces[n::3] for n, part in enumerate(("train", "valid", "test"))}
    monkeypatch.setattr(generation.jsb, "load_data", lambda name: split)
    sizes = {"N_PIECES": 12, "N_STEPS": 32, "WINDOW": slice(0, 32), "N_FEATURES": 3, "N_SOPRANOS": 2, "N_PARTICLES": 2}
    for name, size in sizes.items():
        monkeypatch.setattr(generation, name, size)
    for place, name in ((generation, "RUNS"), (generation.jsb, "RUNS"), (generation.objectives, "RUNS")):
        monkeypatch.setattr(place, name, tmp_path)
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path / "shipped")
    monkeypatch.setattr(generation, "harmonise_by_infilling", partial(harmonise_by_infilling, n_sweeps=2))
    monkeypatch.setattr(generation, "MusicalCounts", lambda chorales: Uniform())
    monkeypatch.setattr(statistics, "choose_l2", lambda *sets: 1.0)
    monkeypatch.setattr("sys.argv", ["generation.py", "--folder", str(tmp_path)])
    (tmp_path / "shipped").mkdir()
    for name, model in KEPT.items():
        checkpoints.save_checkpoint(model, tmp_path / f"{generation.file_name(name)}-1.safetensors")
    for name, (setting, model) in SHIPPED.items():
        card = {"command": f'python experiments/jsb.py --only "{setting}" --seeds 2', "seed": 2}
        checkpoints.save_checkpoint(model, tmp_path / "shipped" / f"{name}.safetensors", card)
    return tmp_path


def test_everything_is_written_measured_and_kept(folder, monkeypatch):
    generation.main()
    result = json.loads((folder / "generation.json").read_bytes())
    rows = {(row["model"], row.get("seed")): row for row in result["rows"] if row["group"] != "settings"}
    shipped = {(setting, 2) for setting, _ in SHIPPED.values()}  # they stand in for what was not kept
    kept = {(name, 1) for name in KEPT}
    assert set(rows) == {("Bach, valid", None), ("Bach, test", None), (generation.COUNTS, 0)} | kept | shipped
    assert "frames, seed 0" in result["missing"] and "frames, seed 1" not in result["missing"]
    for row in rows.values():
        assert row["n_pieces"] == 12
        assert set(row["statistics"]) == set(generation.STATISTICS) == set(result["bach_middle"])
        low, high = row["two_sample"]["interval"]
        assert 0 <= low <= row["two_sample"]["accuracy"] <= high <= 1 and row["frechet"] > -1e-6
    assert rows["frames", 1]["test"] == pytest.approx(np.log(47), abs=1) and "test" not in rows[generation.MASKED, 1]
    ways = {row["model"]: row for row in result["rows"] if row["group"] == "settings"}
    assert len(ways) == 6 and all(row["n_pieces"] + row["n_refused"] == 2 for row in ways.values())
    ruled = ways["chorale-frame, 2 particles, constrained"]["statistics"]
    assert ruled["parallels in 100 quarters"] == ruled["cells out of range"] == [0, 0]
    monkeypatch.setattr(generation, "write", None)  # a second run must not write
    generation.main()
    assert json.loads((folder / "generation.json").read_bytes())["rows"] == result["rows"]


def test_a_model_that_counts_is_shown_what_it_wrote(monkeypatch):
    class Rising(CountingModel):
        """The soprano climbs from step to step, and each lower voice sings a semitone above the voice before it."""

        def probabilities(self, ids):
            origin = np.column_stack((np.append(0, ids[:-1, 0]), ids[:, :3]))
            return np.eye(47)[(origin + 1) % 47]

    monkeypatch.setattr(generation, "N_STEPS", 8)
    for piece in generation.write(Rising(), 2, 0, []):
        np.testing.assert_array_equal(piece.pitch, 36 + np.arange(8)[:, None] + np.arange(4))
