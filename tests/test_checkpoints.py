"""Checkpoints: what is saved comes back, and nothing else is opened; the shipped models are what their cards say."""

import json
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from training_runs import default_dtype

from mini_musessl import corpora
from mini_musessl.evaluation import infilling
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.results import load_result
from mini_musessl.training import checkpoints
from mini_musessl.training.checkpoints import load_checkpoint, save_checkpoint

TOKENS = TransformerConfig(
    vocabulary_size=11, context_length=16, d_model=12, n_layers=2, n_heads=3, d_feedforward=20, cycle_lengths=(4, 8)
)
FRAMES = FrameConfig(
    vocabulary_size=13, context_length=20, d_model=20, n_layers=2, n_heads=5, d_feedforward=30, d_voice=24
)
MASKED = EncoderConfig(vocabulary_size=13, context_length=20, d_model=16, n_layers=1, n_heads=2, d_voice=10)
CARD = {
    "data": "chorales",
    "licence": "CC BY 4.0",
    "seeds": [1, 2, 3],
    "command": "python experiments/jsb.py",
    "seconds": 600.0,
    "scores": {"valid": 0.34567, "test": 0.35},
    "rounded to": "bfloat16",
}
FRAME_IDS = torch.arange(56).reshape(2, 7, 4) % 13
KINDS = {
    MusicTransformer: (TOKENS, (torch.arange(10).reshape(2, 5),)),
    FrameTransformer: (FRAMES, (FRAME_IDS,)),
    MaskedTransformer: (MASKED, (FRAME_IDS, FRAME_IDS % 3 == 0)),
}


def make(kind=MusicTransformer):
    model = kind(KINDS[kind][0])
    for weight in model.parameters():
        weight.data.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    return model.eval()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "small.safetensors"
    save_checkpoint(make(), path, CARD)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_model_configuration_and_card_come_back(tmp_path, kind):
    (config, inputs), model = KINDS[kind], make(kind)
    save_checkpoint(model, tmp_path / "a.safetensors", CARD)
    loaded, card = load_checkpoint(tmp_path / "a.safetensors")
    assert type(loaded) is kind and loaded.config == config and card == CARD and not loaded.training
    assert torch.equal(loaded(*inputs), model(*inputs))


def test_the_longest_window_of_training_comes_back_and_old_files_know_none(path, tmp_path):
    assert load_checkpoint(path).model.trained_steps is None
    model = make(MaskedTransformer)
    model.trained_steps = 18
    save_checkpoint(model, tmp_path / "trained.safetensors")
    loaded = load_checkpoint(tmp_path / "trained.safetensors").model
    assert loaded.trained_steps == loaded.encoder.trained_steps == 18


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_beside(path):
    before = path.read_bytes()
    save_checkpoint(make(), path, CARD)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "surroundings",
    [
        lambda: torch.device("meta"),
        lambda: default_dtype(torch.float64),
        lambda: default_dtype(torch.float16),
        torch.no_grad,
        torch.inference_mode,
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_the_same_whatever_a_caller_has_set_as_default(tmp_path, kind, surroundings):
    save_checkpoint(make(kind), tmp_path / "a.safetensors", CARD)
    with surroundings():
        model = load_checkpoint(tmp_path / "a.safetensors").model
        said = model(*KINDS[kind][1]).float()
    assert torch.equal(said, make(kind)(*KINDS[kind][1]))
    model(*KINDS[kind][1]).sum().backward()  # it can be trained
    for name, weight in make(kind).named_parameters():
        found = model.get_parameter(name)
        assert torch.equal(found, weight) and found.dtype == torch.float32 and found.requires_grad


def test_sizes_and_facts_may_be_numbers_of_numpy(tmp_path):
    config = replace(TOKENS, n_layers=np.int64(1), d_model=np.int32(12), dropout=np.float32(0.5))
    save_checkpoint(MusicTransformer(config), tmp_path / "a.safetensors", {"loss": np.float32(0.5)})
    model, card = load_checkpoint(tmp_path / "a.safetensors")
    assert model.config == config and card == {"loss": 0.5}


@pytest.mark.parametrize("dtype, n_bits", [(torch.bfloat16, 8), (torch.float16, 11)])
def test_half_of_the_digits_take_half_of_the_room_and_come_back_as_full_numbers(path, tmp_path, dtype, n_bits):
    model = make()
    save_checkpoint(model, tmp_path / "half.safetensors", CARD, dtype=dtype)
    loaded = load_checkpoint(tmp_path / "half.safetensors").model
    n_weights = sum(weight.numel() for weight in model.parameters())
    assert path.stat().st_size - (tmp_path / "half.safetensors").stat().st_size > 1.9 * n_weights
    for name, weight in model.state_dict().items():
        stored = loaded.state_dict()[name]
        assert stored.dtype == torch.float32
        torch.testing.assert_close(stored, weight, rtol=2.0**-n_bits, atol=1e-6)
        assert torch.equal(stored, weight.to(dtype).float())


def test_a_header_whose_length_begins_like_a_pickle_is_read(tmp_path):
    # A header of 128 + 256 n bytes begins with the byte 0x80, as a pickle does.
    path, model = tmp_path / "long.safetensors", make()
    for extra in range(256):
        save_checkpoint(model, path, {"note": "x" * extra})
        if path.read_bytes()[0] == 0x80:
            assert load_checkpoint(path).card == {"note": "x" * extra}
            return
    pytest.fail("no header began with 0x80")


def with_another_part():
    model = make()
    model.wings = torch.nn.Linear(2, 2)
    return model


def too_large():
    model = make()
    model.norm.weight.data[3] = 1e5
    return model


@pytest.mark.parametrize(
    "sentence, name, model, words",
    [
        (r'must end in "\.safetensors"; found \'model\.pt\'', "model.pt", make(), {}),
        ("found no folder .*nowhere", "nowhere/a.safetensors", make(), {}),
        ("FrameTransformer, MaskedTransformer.*; found Linear", "a.safetensors", torch.nn.Linear(2, 3), {}),
        ("A card must hold only what JSON can hold", "a.safetensors", make(), {"card": {"loss": float("nan")}}),
        (
            "A card must hold only what JSON can hold .*: found object",
            "a.safetensors",
            make(),
            {"card": {"model": object()}},
        ),
        ("Names and card must take at most 1048576 bytes", "a.safetensors", make(), {"card": {"log": "x" * (1 << 20)}}),
        ("asks for, no others; here wings.bias is one tensor too many", "a.safetensors", with_another_part(), {}),
        (r"here .* is torch\.float8_e4m3fn of", "a.safetensors", make().to(torch.float8_e4m3fn), {}),
        (r"fit into torch\.float32; .* holds some", "a.safetensors", make().to("meta"), {}),
        (r"fit into torch\.float16; norm\.weight holds", "a.safetensors", too_large(), {"dtype": torch.float16}),
    ],
)
def test_what_no_checkpoint_can_hold_is_refused(tmp_path, sentence, name, model, words):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        save_checkpoint(model, tmp_path / name, **words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", [None, 2, 5])
def test_a_pickle_is_never_opened_whatever_its_name(tmp_path, protocol):
    path = tmp_path / "disguised.safetensors"
    if protocol is None:
        torch.save(make().state_dict(), path)
    else:
        path.write_bytes(pickle.dumps({"weight": [1.0]}, protocol))
    with pytest.raises(ValueError, match="looks like a pickle .* so it is not opened"):
        load_checkpoint(path)


@pytest.mark.parametrize("n_bytes", [6, 200, 5000])
def test_a_truncated_file_is_refused(path, n_bytes):
    path.write_bytes(path.read_bytes()[:n_bytes])
    sentence = f"whole safetensors file; small.safetensors with its {n_bytes} bytes is damaged"
    with pytest.raises(ValueError, match=sentence):
        load_checkpoint(path)


def test_a_bit_that_flips_anywhere_in_a_checkpoint_is_noticed(path):
    data, generator = path.read_bytes(), np.random.default_rng(0)
    n_header = int.from_bytes(data[:8], "little")
    for place in (*range(8), *generator.integers(8, n_header, 60), *generator.integers(n_header + 8, len(data), 30)):
        changed = bytearray(data)
        changed[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"must hold|must be a whole|is needed; small\.safetensors says"):
            load_checkpoint(path)


@pytest.mark.parametrize("name", checkpoints.names())
def test_a_shipped_file_with_another_bit_is_refused(name, tmp_path):
    data = bytearray((checkpoints.FOLDER / f"{name}.safetensors").read_bytes())
    data[-1001] ^= 0x40
    (tmp_path / "odd.safetensors").write_bytes(data)
    with pytest.raises(ValueError, match="those of odd.safetensors have changed since. Copy or download it again"):
        load_checkpoint(tmp_path / "odd.safetensors")


def test_what_is_too_large_is_neither_written_nor_read(path, monkeypatch):
    monkeypatch.setattr(checkpoints, "LARGEST", 4000)
    with pytest.raises(
        ValueError, match=r"at most 4000 bytes of weights; found \d+\. dtype=torch\.bfloat16 takes half"
    ):
        save_checkpoint(make(), path)
    monkeypatch.setattr(checkpoints, "HEADER_BYTES", 100)
    with pytest.raises(ValueError, match="reads at most 4108 bytes; small.safetensors has"):
        load_checkpoint(path)


def write_altered(path, about, weights):
    """Write a checkpoint with other facts and weights, None for none, and a digest that is right."""
    facts = {"format": checkpoints.FORMAT, "class": "MusicTransformer", "config": asdict(TOKENS), "card": {}} | about
    weights = dict(make().state_dict()) | weights
    checkpoints.write_tensors(path, {name: each for name, each in weights.items() if each is not None}, facts)


@pytest.mark.parametrize(
    "about, weights, sentence",
    [
        ({"format": None}, {}, "of the format 'mini_musessl checkpoint 2' is needed; odd.safetensors says None"),
        ({"class": "Oracle"}, {}, "Its model must be one of MusicTransformer, FrameTransformer, .* found 'Oracle'"),
        ({"class": ["MusicTransformer"]}, {}, "must hold a model that this library knows"),
        ({"config": []}, {}, "must hold a model that this library knows"),
        ({"config": {"n_wings": 2}}, {}, "must hold a model that this library knows"),
        ({"config": {"vocabulary_size": 0}}, {}, "vocabulary_size must be at least 1; found 0"),
        ({"config": asdict(TOKENS) | {"is_causal": "yes"}}, {}, "is_causal must be True or False; found 'yes'"),
        ({"config": asdict(replace(TOKENS, n_layers=10**6))}, {}, "a larger network than its 20 tensors fill"),
        ({"config": asdict(TOKENS) | {"cycle_lengths": [4] * 100}}, {}, "a larger network than its 20 tensors fill"),
        ({"config": asdict(replace(TOKENS, n_previous=10**6))}, {}, "a larger network than its 20 tensors fill"),
        ({"config": asdict(replace(TOKENS, d_feedforward=10**9))}, {}, r"widen\.weight is F32 of the shape \(20, 12\)"),
        ({"config": asdict(replace(TOKENS, vocabulary_size=10**30))}, {}, "must hold a model that this library knows"),
        ({"config": asdict(TOKENS) | {"context_length": 10**9}}, {}, r"context_length must lie in 1\.\.100000"),
        ({"card": None}, {}, "must hold a model that this library knows, its card"),
        ({"trained_steps": "many"}, {}, "trained_steps must be a whole number; found 'many'"),
        (
            {},
            {"norm.weight": torch.zeros(99)},
            r"norm\.weight is F32 of the shape \(99,\), and .* of \(12,\) is needed",
        ),
        ({}, {"norm.weight": torch.tensor(1.0)}, r"norm\.weight is F32 of the shape \(\)"),
        ({}, {"norm.weight": torch.ones(12, dtype=torch.int32)}, r"norm\.weight is I32"),
        ({}, {"norm.weight": torch.ones(12).to(torch.float8_e4m3fn)}, r"norm\.weight is F8_E4M3"),
        ({}, {"norm.weight": torch.ones(12, dtype=torch.complex64)}, r"norm\.weight is C64"),
        ({}, {"norm.weight": None}, r"norm\.weight is missing"),
        ({}, {"wings": torch.ones(9)}, "wings is one tensor too many"),
        ({}, {"norm.weight": torch.full((12,), torch.nan)}, "must hold finite numbers; norm.weight of odd"),
        ({}, {"norm.weight": torch.full((12,), 1e300, dtype=torch.float64)}, "must hold finite numbers; norm.weight"),
    ],
)
def test_a_file_of_no_model_is_refused(tmp_path, about, weights, sentence):
    write_altered(tmp_path / "odd.safetensors", about, weights)
    with pytest.raises(ValueError, match=f"(?s){sentence}"):
        load_checkpoint(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000, '{"config": NaN}', "9" * 5000, "\ud800"])
def test_a_file_without_facts_is_refused(tmp_path, text):
    save_file(
        dict(make().state_dict()), tmp_path / "odd.safetensors", metadata={"mini_musessl": json.dumps(text)[1:-1]}
    )
    with pytest.raises(ValueError, match="must hold facts about its numbers that this library wrote; odd.safetensors"):
        load_checkpoint(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("n_bytes", [1 << 21, 1 << 62])
def test_a_file_that_announces_a_huge_header_is_refused(tmp_path, n_bytes):
    (tmp_path / "odd.safetensors").write_bytes(n_bytes.to_bytes(8, "little") + b"{" + b" " * 999)
    with pytest.raises(ValueError, match="whole safetensors file; odd.safetensors with its 1008 bytes is damaged"):
        load_checkpoint(tmp_path / "odd.safetensors")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path)
    model = make(FrameTransformer)
    model.trained_steps = 18
    save_checkpoint(model, tmp_path / "tiny-frame.safetensors", CARD, dtype=torch.bfloat16)
    save_checkpoint(make(), tmp_path / "tiny-token.safetensors", {"data": "tunes"})
    (tmp_path / "notes.txt").write_text("no model")
    return tmp_path


def test_models_are_loaded_by_the_names_in_the_folder(folder):
    assert checkpoints.names() == ["tiny-frame", "tiny-token"]
    assert checkpoints.load("tiny-frame").card == CARD
    assert isinstance(checkpoints.load("tiny-token").model, MusicTransformer)
    for name in ("chorale", "../tiny-frame"):
        with pytest.raises(ValueError, match=f"must be one of tiny-frame, tiny-token; found '{name}'"):
            checkpoints.describe(name)


def test_the_card_is_shown_line_by_line(folder):
    lines = dict(line.split("  ", 1) for line in checkpoints.describe("tiny-frame").splitlines())
    said = {field: value.strip() for field, value in lines.items()}
    n_weights = sum(weight.numel() for weight in make(FrameTransformer).parameters())
    assert said.pop("size").startswith(f"{n_weights:,} weights, ")
    assert said == {
        "name": "tiny-frame", "kind": "FrameTransformer", "windows": "up to 18 steps in training", "data": "chorales",
        "licence": "CC BY 4.0", "seeds": "1, 2, 3", "command": "python experiments/jsb.py", "seconds": "600",
        "scores, valid": "0.3457", "scores, test": "0.35", "rounded to": "bfloat16",
    }  # fmt: skip


@pytest.mark.parametrize("name, trained_steps", [("chorale-frame", 192), ("chorale-masked", 96)])
def test_a_shipped_model_is_small_and_says_what_it_is(name, trained_steps):
    assert (checkpoints.FOLDER / f"{name}.safetensors").stat().st_size < 10_000_000
    model, card = checkpoints.load(name)
    assert {"data", "licence", "command", "scores"} < card.keys() and card.keys() & {"seed", "seeds"}
    assert model.trained_steps == model.config.context_length == trained_steps


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
    scores = {(name.split(", ")[0], name.split(", ")[-1]): nats for name, nats in card["scores"].items()}
    split = corpora.rebuilt_split()
    found = infilling.evaluate_kinds(model, split["valid"], np.random.default_rng(0))
    for kind, result in found.items():
        assert result.nats_per_cell == pytest.approx(scores["valid", f"{kind} hidden"], abs=2e-3)
    counting = next(row for row in load_result("objectives")["rows"] if row["model"] == "counts of neighbours")
    for kind, nats in counting["infilling"]["test"].items():
        assert scores["test", f"{kind} hidden"] < nats - 0.05
