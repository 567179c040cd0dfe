"""Checkpoints: a trained model in one file that anyone can open safely, and the models that come with the library.

A checkpoint is a safetensors file: plain numbers and a text header. The header holds the model's configuration, the
longest window that it was trained on, a digest of the numbers, and a card (what it was trained on, how, and with what
result), as JSON. Unlike a pickle, it cannot run code when opened.

Chapter: 6a (the loop), 8b (the shipped models).
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mini_musessl.checks import check_choice
from mini_musessl.files import write_aside
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, Network, TransformerConfig

FORMAT = "mini_musessl checkpoint 1"
#: The models that a checkpoint can hold, each with its configuration.
MODELS: dict[str, tuple[type[nn.Module], type]] = {
    "MusicTransformer": (MusicTransformer, TransformerConfig),
    "FrameTransformer": (FrameTransformer, FrameConfig),
    "MaskedTransformer": (MaskedTransformer, EncoderConfig),
}
#: Where the models lie that come with the library.
FOLDER = Path(__file__).resolve().parent.parent / "pretrained_files"
#: The facts of a card that are shown first; of those that are required, "not stated" is said.
CARD_FIELDS = ("about", "data", "licence", "seed", "seeds", "command", "commit", "device", "cost", "seconds", "scores")
_REQUIRED = ("data", "licence", "seed", "command", "cost", "scores")
# One key for everything: safetensors writes several keys in an order that changes from run to run.
_KEY = "mini_musessl"
_RETRAIN = "Save the model again with save_checkpoint, or train it again."


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    model: nn.Module  # in float32, on the CPU, in evaluation mode
    card: dict[str, Any]


def save_checkpoint(
    model: nn.Module,
    path: str | os.PathLike[str],
    card: dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a model and its card to one file, whole or not at all.

    Args:
        card: facts about the model that JSON can hold, such as data, licence, seed, cost and scores; tuples come back
            as lists, and keys as text.
        dtype: torch.bfloat16 or torch.float16 halve the file; the weights are rounded. None keeps them as they are.
    """
    path, name = Path(path), type(model).__name__
    if path.suffix != ".safetensors":
        raise ValueError(f'A checkpoint\'s name must end in ".safetensors"; found {path.name!r}. Rename it.')
    if not path.parent.is_dir():
        raise ValueError(f"The folder of a checkpoint must exist; {path.parent} does not. Make it first.")
    if MODELS.get(name, (None,))[0] is not type(model):
        raise ValueError(f"A checkpoint holds a model of this library, one of {', '.join(MODELS)}; found {name}.")
    about = {"format": FORMAT, "class": name, "config": asdict(model.config), "card": dict(card or {})}
    if model.trained_steps is not None:
        about["trained_steps"] = model.trained_steps
    weights = model.state_dict() if dtype is None else _rounded(model.state_dict(), dtype)
    write_tensors(path, weights, about)


def load_checkpoint(path: str | os.PathLike[str], expected: Any = None) -> Checkpoint:
    """Read a model and its card.

    Args:
        expected: the configuration that the caller relies on, such as a FrameConfig; None takes any.
    """
    path = Path(path)
    about, weights = read_tensors(path)
    model = _make_model(path, about, weights, expected)
    model.load_state_dict(weights)
    note_trained_steps(model, about.get("trained_steps"))
    return Checkpoint(model.eval(), about["card"])


def note_trained_steps(model: nn.Module, n_steps: int | None) -> None:
    """Note on each network in a model the longest window of its training so far."""
    for part in model.modules() if n_steps else ():
        if isinstance(part, Network):
            part.trained_steps = max(n_steps, part.trained_steps or 0)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors, and facts that JSON can hold, to one safetensors file, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = {"digest": weights_digest(plain), **about}
    try:
        text = json.dumps(about, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A card must hold only what JSON can hold (texts, finite numbers, lists, dictionaries): {error}."
        ) from None
    try:
        write_aside(path, save(plain, metadata={_KEY: text}))
    except OSError as error:
        raise OSError(
            f"A checkpoint needs a folder that can be written and has room; {path} was not written "
            f"({error.strerror or error}), and an older file of that name is as it was. Choose another folder."
        ) from None


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the facts and the tensors that ``write_tensors`` wrote."""
    if not path.is_file():
        raise FileNotFoundError(f"A checkpoint must be an existing file; found none at {path}. Check the path.")
    with path.open("rb") as file:
        first = file.read(9)
    # torch.save writes a zip archive; pickle.dump begins with 0x80 and its protocol. A safetensors file begins with the
    # length of its header, which may look like that too, but its ninth byte is always a brace.
    if first[:4] == b"PK\x03\x04" or (first[:1] == b"\x80" and first[8:] != b"{"):
        raise ValueError(
            f"A checkpoint must be a safetensors file; {path.name} looks like a pickle (torch.save), which can run "
            f"code when it is opened, so it is not opened. {_RETRAIN}"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"A checkpoint must be a whole safetensors file; {path.name} with its {path.stat().st_size} bytes is "
            f"damaged, cut short or of another kind ({error}). Copy or download it again."
        ) from None
    try:
        about = dict(json.loads(header[_KEY]))
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ValueError(
            f"A checkpoint must hold facts about its numbers that this library wrote; {path.name} does not. {_RETRAIN}"
        ) from None
    if about.get("digest") not in (None, weights_digest(tensors)):
        raise ValueError(
            f"A checkpoint must hold the numbers that were written; those of {path.name} have changed since. Copy or "
            "download it again."
        )
    return about, tensors


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Return a short name for weights: other names, shapes or numbers, another name."""
    sha = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        plain = weight.detach().cpu().contiguous().flatten().view(torch.uint8)  # NumPy has no bfloat16
        sha.update(f"{name} {tuple(weight.shape)} ".encode() + plain.numpy().tobytes())
    return sha.hexdigest()[:20]


def _rounded(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return weights in another type of number; whole numbers stay."""
    check_choice("dtype", dtype, (torch.float32, torch.bfloat16, torch.float16))
    rounded = {name: weight.to(dtype) if weight.is_floating_point() else weight for name, weight in weights.items()}
    for name, weight in rounded.items():
        if not weight.isfinite().all():
            raise ValueError(
                f"Weights must be finite numbers that fit into {dtype}; {name} holds some that do not. "
                "Did training diverge? torch.bfloat16 holds larger numbers than torch.float16."
            )
    return rounded


def _make_model(path: Path, about: dict[str, Any], weights: dict[str, Tensor], expected: Any) -> nn.Module:
    """Make the model that a header describes, or say what does not fit: header, the caller's wish or weights."""
    if about.get("format") != FORMAT:
        raise ValueError(
            f"A checkpoint must say that its format is {FORMAT!r}; {path.name} says {about.get('format')!r}. {_RETRAIN}"
        )
    try:
        name = about.get("class", "MusicTransformer")  # the first checkpoints name none
        if name not in MODELS:
            raise ValueError(f"its model is {name}, and known are {', '.join(MODELS)}")
        sizes = {key: tuple(size) if isinstance(size, list) else size for key, size in about["config"].items()}
        config = MODELS[name][1](**sizes)
        about["card"] = dict(about["card"])
        n_numbers = sum(weight.numel() for weight in weights.values())
        # Far below what any network needs; but without a look before it is made, it could take all memory.
        asked = [np.sum(size) for key, size in sizes.items() if key not in ("context_length", "positions")]
        if sum(asked) > n_numbers:
            raise ValueError(f"it asks for a larger network than {n_numbers} numbers fill")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"A checkpoint must hold a readable configuration and card; {path.name} does not ({error}). {_RETRAIN}"
        ) from None
    if expected not in (None, config):
        raise ValueError(
            f"The checkpoint must have the configuration that is expected, {_differing(expected, config)}; {path.name} "
            f"has {_differing(config, expected)}. Load another, or leave out `expected` and use the model as it is."
        )
    model = MODELS[name][0](config)
    wanted = {key: tuple(weight.shape) for key, weight in model.state_dict().items()}
    found = {key: tuple(weight.shape) for key, weight in weights.items()}
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise ValueError(
                f"The weights must fit the configuration in the file: {key} should be {wanted.get(key, 'absent')}, "
                f"and is {found.get(key, 'absent')} in {path.name}. {_RETRAIN}"
            )
    return model


def _differing(config: Any, other: Any) -> str:
    """Say in what a configuration differs from another: its kind, or its sizes."""
    if type(config) is not type(other):
        return f"a {type(config).__name__}"
    names = [each.name for each in fields(config) if getattr(config, each.name) != getattr(other, each.name)]
    return ", ".join(f"{name}={getattr(config, name)}" for name in names)


def _differing(config: Any, other: Any) -> str:
    """Say in what a configuration differs from another: its kind, or its sizes."""
    if type(config) is not type(other):
        return f"a {type(config).__name__}"
    names = [each.name for each in fields(config) if getattr(config, each.name) != getattr(other, each.name)]
    return ", ".join(f"{name}={getattr(config, name)}" for name in names)


def names(folder: str | os.PathLike[str] = FOLDER) -> list[str]:
    """Return the names of the models in a folder; without one, of those that come with the library.

    >>> names()
    ['chorale-frame', 'chorale-masked']
    """
    return sorted(path.stem for path in Path(folder).glob("*.safetensors"))


def load(name: str, folder: str | os.PathLike[str] = FOLDER) -> Checkpoint:
    """Load a model that comes with the library, or one of another folder."""
    known = names(folder)
    if name not in known:
        raise ValueError(
            f"A pretrained model must be one of {', '.join(known) or 'none, for the folder is empty'}; found {name!r}. "
            "For a file of your own, use checkpoints.load_checkpoint."
        )
    return load_checkpoint(Path(folder) / f"{name}.safetensors")


def describe(name: str, folder: str | os.PathLike[str] = FOLDER) -> str:
    """Say what a model is: its card as a table, one fact per line."""
    model, card = load(name, folder)
    size_kb = (Path(folder) / f"{name}.safetensors").stat().st_size / 1000
    n_weights = sum(weight.numel() for weight in model.parameters())
    rows = [("name", name), ("kind", type(model).__name__), ("size", f"{n_weights:,} weights, {size_kb:,.0f} kB")]
    if model.trained_steps is not None:
        unit = "tokens" if isinstance(model, MusicTransformer) else "steps"
        rows.append(("windows", f"up to {model.trained_steps} {unit} in training"))
    stated_otherwise = {"seed": "seeds", "cost": "seconds"}
    for field in (*CARD_FIELDS, *(field for field in card if field not in CARD_FIELDS)):
        if field in card or (field in _REQUIRED and stated_otherwise.get(field) not in card):
            rows += _rows(field, card.get(field, "not stated"))
    width = max(len(field) for field, _ in rows) + 2
    return "\n".join(f"{field:{width}}{value}" for field, value in rows)


def _rows(field: str, value: Any) -> list[tuple[str, str]]:
    """Return one line per fact; a dictionary becomes a line for each of its entries."""
    if isinstance(value, dict):
        return [row for key, entry in value.items() for row in _rows(f"{field}, {key}", entry)]
    if isinstance(value, list):
        return [(field, ", ".join(map(str, value)))]
    return [(field, f"{value:.4g}" if isinstance(value, float) else str(value))]
