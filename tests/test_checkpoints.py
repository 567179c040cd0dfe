"""Checkpoints: what is saved comes back, and nothing else is opened."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file

from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.training.checkpoints import load_checkpoint, save_checkpoint

CONFIG = TransformerConfig(
    vocabulary_size=11, context_length=16, d_model=12, n_layers=2, n_heads=3, d_feedforward=20, cycle_lengths=(4, 8)
)
CARD = {"data": "Bach-16 (rebuilt)", "seed": 3, "valid_nats": 0.5, "copies": ["none found"]}


@pytest.fixture
def model():
    model = MusicTransformer(CONFIG)
    for weight in model.parameters():
        weight.data.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    return model.eval()


@pytest.fixture
def path(model, tmp_path):
    path = tmp_path / "small.safetensors"
    save_checkpoint(model, path, CARD)
    return path


def test_model_configuration_and_card_come_back(model, path):
    loaded, card = load_checkpoint(path, expected=CONFIG)
    assert loaded.config == CONFIG
    assert card == CARD
    assert not loaded.training
    ids = torch.arange(10).reshape(2, 5)
    assert torch.equal(loaded(ids), model(ids))


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_beside(model, path):
    before = path.read_bytes()
    save_checkpoint(model, path, CARD)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


FRAME_CONFIG = FrameConfig(
    vocabulary_size=13, context_length=20, d_model=20, n_layers=2, n_heads=5, d_feedforward=30, d_voice=24
)


@pytest.fixture
def frame_model():
    model = FrameTransformer(FRAME_CONFIG)
    for weight in model.parameters():
        weight.data.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    return model.eval()


def test_a_model_of_frames_comes_back(frame_model, tmp_path):
    save_checkpoint(frame_model, tmp_path / "frames.safetensors", CARD)
    loaded, card = load_checkpoint(tmp_path / "frames.safetensors", expected=FRAME_CONFIG)
    assert type(loaded) is FrameTransformer and loaded.config == FRAME_CONFIG and card == CARD
    frames = torch.arange(56).reshape(2, 7, 4) % 13
    assert torch.equal(loaded(frames), frame_model(frames))


def test_a_masked_model_comes_back_and_is_no_model_of_frames(tmp_path):
    config = EncoderConfig(vocabulary_size=13, d_model=24, n_layers=2, n_heads=3, d_feedforward=30, d_voice=20)
    model, path = MaskedTransformer(config, seed=5).eval(), tmp_path / "masked.safetensors"
    save_checkpoint(model, path, CARD)
    loaded, card = load_checkpoint(path, expected=config)
    assert type(loaded) is MaskedTransformer and loaded.config == config and card == CARD
    frames = torch.arange(56).reshape(2, 7, 4) % 13
    is_hidden = frames % 3 == 0
    assert torch.equal(loaded(frames, is_hidden), model(frames, is_hidden))
    with pytest.raises(ValueError, match="a FrameConfig; masked.safetensors has a EncoderConfig"):
        load_checkpoint(path, expected=FRAME_CONFIG)


def test_a_model_of_frames_is_no_model_of_tokens(frame_model, path, tmp_path):
    save_checkpoint(frame_model, tmp_path / "frames.safetensors")
    with pytest.raises(ValueError, match=r"expected, a TransformerConfig; frames\.safetensors has a FrameConfig"):
        load_checkpoint(tmp_path / "frames.safetensors", expected=CONFIG)
    with pytest.raises(ValueError, match=r"expected, a FrameConfig; small\.safetensors has a TransformerConfig"):
        load_checkpoint(path, expected=FRAME_CONFIG)


def test_a_model_of_frames_of_another_vocabulary_is_refused(frame_model, tmp_path):
    save_checkpoint(frame_model, tmp_path / "frames.safetensors")
    with pytest.raises(ValueError, match=r"vocabulary_size=47; frames\.safetensors has vocabulary_size=13"):
        load_checkpoint(tmp_path / "frames.safetensors", expected=replace(FRAME_CONFIG, vocabulary_size=47))


def test_a_checkpoint_from_before_there_were_two_kinds_of_model_is_read(model, tmp_path):
    about = {"format": "mini_musessl checkpoint 1", "config": asdict(CONFIG), "card": CARD}
    save_file(dict(model.state_dict()), tmp_path / "old.safetensors", metadata={"mini_musessl": json.dumps(about)})
    loaded, card = load_checkpoint(tmp_path / "old.safetensors")
    assert type(loaded) is MusicTransformer and card == CARD
    assert torch.equal(loaded.to_logits.weight, model.to_logits.weight)


@pytest.mark.parametrize("dtype, n_bits", [(torch.bfloat16, 8), (torch.float16, 11)])
def test_half_of_the_digits_take_half_of_the_room_and_come_back_as_full_numbers(model, path, tmp_path, dtype, n_bits):
    save_checkpoint(model, tmp_path / "half.safetensors", CARD, dtype=dtype)
    loaded = load_checkpoint(tmp_path / "half.safetensors").model
    n_weights = sum(weight.numel() for weight in model.parameters())
    assert path.stat().st_size - (tmp_path / "half.safetensors").stat().st_size > 1.9 * n_weights
    for name, weight in model.state_dict().items():
        stored = loaded.state_dict()[name]
        assert stored.dtype == torch.float32
        torch.testing.assert_close(stored, weight, rtol=2.0**-n_bits, atol=1e-6)
        assert torch.equal(stored, weight.to(dtype).float())


def test_weights_that_half_precision_cannot_hold_are_refused(model, tmp_path):
    model.norm.weight.data[3] = 1e5
    with pytest.raises(ValueError, match=r"fit into torch\.float16; norm\.weight holds some that do not"):
        save_checkpoint(model, tmp_path / "half.safetensors", dtype=torch.float16)
    save_checkpoint(model, tmp_path / "half.safetensors", dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"dtype must be torch\.bfloat16, .* found torch\.int8"):
        save_checkpoint(model, tmp_path / "small.safetensors", dtype=torch.int8)


def test_a_model_that_the_library_does_not_know_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one of MusicTransformer, FrameTransformer, MaskedTransformer; found Linear"):
        save_checkpoint(torch.nn.Linear(2, 3), tmp_path / "linear.safetensors")


def test_a_file_that_names_an_unknown_model_is_refused(model, tmp_path):
    about = {"format": "mini_musessl checkpoint 1", "class": "Oracle", "config": asdict(CONFIG), "card": {}}
    save_file(dict(model.state_dict()), tmp_path / "odd.safetensors", metadata={"mini_musessl": json.dumps(about)})
    with pytest.raises(ValueError, match="its model is Oracle, and known are MusicTransformer, FrameTransformer"):
        load_checkpoint(tmp_path / "odd.safetensors")


def test_a_failed_write_leaves_the_older_file_and_no_half_written_one(model, path, monkeypatch):
    before = path.read_bytes()

    def fail(source, target):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match=r"and has room; .*small.safetensors was not written \(No space left on device\)"):
        save_checkpoint(model, path, {})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be an existing file; found none at .*no\.safetensors"):
        load_checkpoint(tmp_path / "no.safetensors")


@pytest.mark.parametrize("name", ["model.pt", "disguised.safetensors"])
def test_a_pickle_is_never_opened_whatever_its_name(model, tmp_path, name):
    torch.save(model.state_dict(), tmp_path / name)
    with pytest.raises(ValueError, match="looks like a pickle .* so it is not opened"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_plain_pickle_is_never_opened(tmp_path, protocol):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"weight": [1.0]}, protocol))
    with pytest.raises(ValueError, match="looks like a pickle"):
        load_checkpoint(tmp_path / "model.pkl")


def test_a_header_whose_length_begins_like_a_pickle_is_read(tmp_path, model):
    # A header of 128 + 256 n bytes begins with the byte 0x80, as a pickle does.
    for extra in range(256):
        path = tmp_path / "long.safetensors"
        save_checkpoint(model, path, {"note": "x" * extra})
        if path.read_bytes()[0] == 0x80:
            assert load_checkpoint(path).card == {"note": "x" * extra}
            return
    pytest.fail("no header began with 0x80")


@pytest.mark.parametrize("n_bytes", [0, 5, 200, 5000])
def test_a_truncated_file_is_refused(path, n_bytes):
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(
        ValueError, match=f"whole safetensors file; small.safetensors with its {n_bytes} bytes is damaged"
    ):
        load_checkpoint(path)


def test_a_text_file_is_refused(tmp_path):
    (tmp_path / "notes.safetensors").write_text("This is not a checkpoint, however long it may be.")
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        load_checkpoint(tmp_path / "notes.safetensors")


def test_a_checkpoint_of_another_size_is_refused_naming_what_differs(path):
    with pytest.raises(
        ValueError, match=r"vocabulary_size=47, d_model=24; small\.safetensors has vocabulary_size=11, d_model=12"
    ):
        load_checkpoint(path, expected=replace(CONFIG, vocabulary_size=47, d_model=24))


def test_safetensors_of_another_program_are_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"format is 'mini_musessl checkpoint 1'; other\.safetensors says None"):
        load_checkpoint(tmp_path / "other.safetensors")


@pytest.mark.parametrize("config", ["{", '{"n_wings": 2}', "[]", '{"vocabulary_size": 0}', '{"vocabulary_size": 4.0}'])
def test_an_unreadable_configuration_is_refused(tmp_path, config):
    about = f'{{"format": "mini_musessl checkpoint 1", "config": {config}, "card": {{}}}}'
    save_file({"weight": torch.zeros(3)}, tmp_path / "odd.safetensors", metadata={"mini_musessl": about})
    with pytest.raises(ValueError, match="must hold a readable configuration and card; odd.safetensors does not"):
        load_checkpoint(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("change", ["another shape", "one missing", "one too many"])
def test_weights_that_do_not_fit_their_configuration_are_refused(model, tmp_path, change):
    weights = dict(model.state_dict())
    name = {"another shape": "norm.weight", "one missing": "to_logits.weight", "one too many": "wings"}[change]
    if change == "one missing":
        del weights[name]
    else:
        weights[name] = torch.zeros(99)
    about = {"format": "mini_musessl checkpoint 1", "config": asdict(CONFIG), "card": {}}
    save_file(weights, tmp_path / "odd.safetensors", metadata={"mini_musessl": json.dumps(about)})
    with pytest.raises(ValueError, match=f"must fit the configuration in the file: {name} should be"):
        load_checkpoint(tmp_path / "odd.safetensors")


def test_another_ending_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match=r'must end in "\.safetensors"; found \'model\.pt\''):
        save_checkpoint(model, tmp_path / "model.pt")


def test_a_folder_that_does_not_exist_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="folder of a checkpoint must exist"):
        save_checkpoint(model, tmp_path / "nowhere" / "model.safetensors")


@pytest.mark.parametrize("card", [{"loss": float("nan")}, {"model": object()}])
def test_a_card_that_json_cannot_hold_is_refused(model, tmp_path, card):
    with pytest.raises(ValueError, match="A card must hold only what JSON can hold"):
        save_checkpoint(model, tmp_path / "model.safetensors", card)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_refused(model, tmp_path):
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(OSError, match=r"was not written \(.* is a folder"):
        save_checkpoint(model, tmp_path / "model.safetensors")
    assert list((tmp_path / "model.safetensors").iterdir()) == []


def test_a_card_that_is_no_dictionary_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="A card must be a dictionary.*; found list"):
        save_checkpoint(model, tmp_path / "model.safetensors", ["chorales"])
