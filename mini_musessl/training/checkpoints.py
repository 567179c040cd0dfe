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
from dataclasses import asdict
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
FOLDER = Path(__file__).resolve().parent.parent / "pretrained_files"  # of the models that come with the library
#: The facts of a card that are shown first.
CARD_FIELDS = ("about", "data", "licence", "seed", "seeds", "command", "commit", "device", "cost", "seconds", "scores")
_KEY = "mini_musessl"  # one for everything: safetensors writes several in an order that changes from run to run
_RETRAIN = "Save the model again with save_checkpoint, or train it again."


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    model: nn.Module  # in float32, on the CPU, in evaluation mode
    card: dict[str, Any]


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
    write_aside(path, save(plain, metadata={_KEY: text}))


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the facts and the tensors that ``write_tensors`` wrote."""
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
        about = dict(json.loads(header[_KEY]))
    except SafetensorError as error:
        raise ValueError(
            f"A checkpoint must be a whole safetensors file; {path.name} with its {path.stat().st_size} bytes is "
            f"damaged, cut short or of another kind ({error}). Copy or download it again."
        ) from None
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


def note_trained_steps(model: nn.Module, n_steps: int | None) -> None:
    """Note on each network in a model the longest window of its training so far."""
    for part in model.modules() if n_steps else ():
        if isinstance(part, Network):
            part.trained_steps = max(n_steps, part.trained_steps or 0)


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
    if name not in MODELS:
        raise ValueError(f"A checkpoint holds a model of this library, one of {', '.join(MODELS)}; found {name}.")
    about = {"format": FORMAT, "class": name, "config": asdict(model.config), "card": dict(card or {})}
    if model.trained_steps is not None:
        about["trained_steps"] = model.trained_steps
    weights = {key: weight.to(dtype or weight.dtype) for key, weight in model.state_dict().items()}
    for key, weight in weights.items():
        if not weight.isfinite().all():
            raise ValueError(
                f"Weights must be finite numbers that fit into {weight.dtype}; {key} holds some that do not. "
                "Did training diverge? torch.bfloat16 holds larger numbers than torch.float16."
            )
    write_tensors(path, weights, about)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a model and its card."""
    path = Path(path)
    about, weights = read_tensors(path)
    if about.get("format") != FORMAT:
        raise ValueError(
            f"A checkpoint must say that its format is {FORMAT!r}; {path.name} says {about.get('format')!r}. {_RETRAIN}"
        )
    try:
        name = about.get("class", "MusicTransformer")  # the first checkpoints name none
        check_choice("Its model", name, MODELS)
        kind, config_kind = MODELS[name]
        sizes = {key: tuple(size) if isinstance(size, list) else size for key, size in about["config"].items()}
        card, config = dict(about["card"]), config_kind(**sizes)
        # A damaged or made-up header may ask for a network that takes all memory before load_state_dict can refuse it.
        # So look before it is made: a network has weights for products of its sizes, far more than for their sum;
        # context_length may need none, and positions is a name.
        asked = [np.sum(size) for key, size in sizes.items() if key not in ("context_length", "positions")]
        n_numbers = sum(weight.numel() for weight in weights.values())
        if sum(asked) > n_numbers:
            raise ValueError(f"it asks for a larger network than {n_numbers} numbers fill")
        model = kind(config)
        model.load_state_dict(weights)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"A checkpoint must hold a model that this library knows, its card and weights that fit; {path.name} does "
            f"not ({error}). {_RETRAIN}"
        ) from None
    note_trained_steps(model, about.get("trained_steps"))
    return Checkpoint(model.eval(), card)


def names() -> list[str]:
    """Return the names of the models that come with the library.

    >>> names()
    ['chorale-frame', 'chorale-masked']
    """
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load(name: str) -> Checkpoint:
    """Load a model that comes with the library."""
    if name not in names():
        raise ValueError(
            f"A pretrained model must be one of {', '.join(names())}; found {name!r}. For a file of your own, use "
            "checkpoints.load_checkpoint."
        )
    return load_checkpoint(FOLDER / f"{name}.safetensors")


def describe(name: str) -> str:
    """Return the card of a model that comes with the library as a table, one fact per line."""
    model, card = load(name)
    size_kb = (FOLDER / f"{name}.safetensors").stat().st_size / 1000
    n_weights = sum(weight.numel() for weight in model.parameters())
    rows = [("name", name), ("kind", type(model).__name__), ("size", f"{n_weights:,} weights, {size_kb:,.0f} kB")]
    unit = "tokens" if isinstance(model, MusicTransformer) else "steps"
    rows.append(("windows", f"up to {model.trained_steps} {unit} in training"))
    for field in sorted(card, key=(*CARD_FIELDS, *card).index):
        rows += _rows(field, card[field])
    width = max(len(field) for field, _ in rows) + 2
    return "\n".join(f"{field:{width}}{value}" for field, value in rows)


def _rows(field: str, value: Any) -> list[tuple[str, str]]:
    """Return one line per fact; a dictionary becomes a line for each of its entries."""
    if isinstance(value, dict):
        return [row for key, entry in value.items() for row in _rows(f"{field}, {key}", entry)]
    if isinstance(value, list):
        return [(field, ", ".join(map(str, value)))]
    return [(field, f"{value:.4g}" if isinstance(value, float) else str(value))]
