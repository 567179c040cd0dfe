"""Checkpoints: a trained model in one file that anyone can open safely.

A checkpoint is a safetensors file: plain numbers and a text header. The header holds the model's configuration and a
card (what it was trained on, how, and with what result), both as JSON. Unlike a pickle, it cannot run code when opened.

Chapter: 6a (the loop).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mini_musessl.files import write_aside
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig

# --- Checkpoints: a trained model in one file that anyone can open safely

FORMAT = "mini_musessl checkpoint 1"
#: The models that a checkpoint can hold, each with its configuration.
MODELS: dict[str, tuple[type[nn.Module], type]] = {
    "MusicTransformer": (MusicTransformer, TransformerConfig),
    "FrameTransformer": (FrameTransformer, FrameConfig),
    "MaskedTransformer": (MaskedTransformer, EncoderConfig),
}
# One key for everything: safetensors writes several keys in an order that changes from run to run.
_KEY = "mini_musessl"
_RETRAIN = "Save the model again with checkpoints.save_checkpoint, or train it again."


class Checkpoint(NamedTuple):
    """What a checkpoint holds: a model in evaluation mode on the CPU, and its card.

    Chapter: 6a.
    """

    model: nn.Module
    card: dict[str, Any]


def save_checkpoint(
    model: nn.Module,
    path: str | os.PathLike[str],
    card: dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a model and its card to one file.

    The file is written under another name and then renamed, so that a crash never leaves half a checkpoint.

    Args:
        model: a MusicTransformer, FrameTransformer or MaskedTransformer; its configuration is saved with it.
        path: where to write, ending in ".safetensors". An older file of that name is replaced.
        card: facts about the model that JSON can hold, such as data, licence, seed, cost and scores. They come back as
            JSON keeps them: a tuple as a list, a key as text.
        dtype: torch.bfloat16 or torch.float16 halve the file; the weights are rounded. None keeps them as they are.

    Raises:
        ValueError: another ending, a folder that does not exist, another kind of model or of number, weights too large
            for it, or a card that is no dictionary or that JSON cannot hold.
        OSError: the file cannot be written, for example because the folder is read-only or the disk full.

    Chapter: 6a.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f'A checkpoint\'s name must end in ".safetensors"; found {path.name!r}. Rename it.')
    if not path.parent.is_dir():
        raise ValueError(f"The folder of a checkpoint must exist; {path.parent} does not. Make it first.")
    card = {} if card is None else card
    if not isinstance(card, dict):
        raise ValueError(f'A card must be a dictionary, such as {{"data": "chorales"}}; found {type(card).__name__}.')
    name = type(model).__name__
    if MODELS.get(name, (None,))[0] is not type(model):
        raise ValueError(f"A checkpoint holds a model of this library, one of {', '.join(MODELS)}; found {name}.")
    about = {"format": FORMAT, "class": name, "config": asdict(model.config), "card": card}
    write_tensors(path, _rounded(model.state_dict(), dtype), about)


def load_checkpoint(path: str | os.PathLike[str], expected: Any = None) -> Checkpoint:
    """Read a model and its card.

    Args:
        path: a file written by ``save_checkpoint``.
        expected: the configuration that the caller relies on, such as a FrameConfig; None takes any.

    Returns:
        The model, in float32, on the CPU and in evaluation mode, and the card.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a pickle, a damaged file, a file of another kind, or a model of another size.

    Chapter: 6a.
    """
    path = Path(path)
    _check_file(path)
    header, weights = _read(path)
    name, config, card = _read_header(path, header)
    _check_expected(path, config, expected)
    model = MODELS[name][0](config)
    _check_weights(path, model, weights)
    model.load_state_dict(weights)
    return Checkpoint(model.eval(), card)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and facts to one safetensors file, whole or not at all.

    Args:
        path: where to; an older file of that name is replaced.
        tensors: by name.
        about: facts that JSON can hold.

    Raises:
        ValueError: JSON cannot hold the facts.
        OSError: the file cannot be written; an older one is as it was.

    Chapter: 6a.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    _write(path, save(plain, metadata={_KEY: _to_json(about)}))


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what ``write_tensors`` wrote.

    Args:
        path: a safetensors file.

    Returns:
        The facts, and the tensors by name, on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a pickle, a damaged file, or one without facts that can be read.

    Chapter: 6a.
    """
    _check_file(path)
    header, tensors = _read(path)
    try:
        return dict(json.loads(header[_KEY])), tensors
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"The file must hold facts about its numbers that this library wrote; {path.name} does not. {_RETRAIN}"
        ) from None


def _rounded(weights: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Return weights in another type of number; whole numbers stay."""
    if dtype is None:
        return dict(weights)
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise ValueError(f"dtype must be torch.bfloat16, torch.float16, torch.float32 or None; found {dtype}.")
    rounded = {name: w.to(dtype) if w.is_floating_point() else w for name, w in weights.items()}
    for name, weight in rounded.items():
        if not weight.isfinite().all():
            raise ValueError(
                f"Weights must be finite numbers that fit into {dtype}; {name} holds some that do not. "
                "Did training diverge? torch.bfloat16 holds larger numbers than torch.float16."
            )
    return rounded


def _tuples(value: Any) -> Any:
    """Return a value of JSON, which has no tuples, with lists made tuples again."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _to_json(about: dict[str, Any]) -> str:
    """Return what is known about the model as JSON, or say what is wrong with it."""
    try:
        return json.dumps(about, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A card must hold only what JSON can hold (texts, finite numbers, lists, dictionaries): {error}."
        ) from None


def _write(path: Path, content: bytes) -> None:
    """Write the whole file or nothing."""
    try:
        write_aside(path, content)
    except OSError as error:
        raise OSError(
            f"A checkpoint needs a folder that can be written and has room; {path} was not written "
            f"({error.strerror or error}), and an older file of that name is as it was. Choose another folder."
        ) from None


def _check_file(path: Path) -> None:
    """Refuse a missing file, an empty one, and a pickle."""
    if not path.is_file():
        raise FileNotFoundError(f"A checkpoint must be an existing file; found none at {path}. Check the path.")
    with path.open("rb") as file:
        first = file.read(9)
    # torch.save writes a zip archive; pickle.dump begins with 0x80 and its protocol. A safetensors file begins with the
    # length of its header, which may look like that too, but its ninth byte is always a brace.
    is_zip, is_plain_pickle = first[:4] == b"PK\x03\x04", first[:1] == b"\x80" and first[8:] != b"{"
    if is_zip or is_plain_pickle:
        raise ValueError(
            f"A checkpoint must be a safetensors file; {path.name} looks like a pickle (torch.save), which can run "
            f"code when it is opened, so it is not opened. {_RETRAIN}"
        )


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return the header and the weights of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"A checkpoint must be a whole safetensors file; {path.name} with its {path.stat().st_size} bytes is "
            f"damaged, cut short or of another kind ({error}). Copy or download it again."
        ) from None


def _read_header(path: Path, header: dict[str, str]) -> tuple[str, Any, dict[str, Any]]:
    """Return the model's class, its configuration and the card, or say what is wrong with them."""
    try:
        about = json.loads(header.get(_KEY, "{}"))
        if about.get("format") == FORMAT:
            name = about.get("class", "MusicTransformer")  # the first checkpoints name none
            if name not in MODELS:
                raise ValueError(f"its model is {name}, and known are {', '.join(MODELS)}")
            values = {field: _tuples(value) for field, value in about["config"].items()}
            return name, MODELS[name][1](**values), dict(about["card"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"A checkpoint must hold a readable configuration and card; {path.name} does not ({error}). {_RETRAIN}"
        ) from None
    raise ValueError(
        f"A checkpoint must say that its format is {FORMAT!r}; {path.name} says {about.get('format')!r}. {_RETRAIN}"
    )


def _check_expected(path: Path, config: Any, expected: Any) -> None:
    """Refuse a model of another kind or size, naming what differs."""
    if expected is None or expected == config:
        return
    if type(expected) is not type(config):
        raise ValueError(
            f"The checkpoint must have the configuration that is expected, a {type(expected).__name__}; {path.name} "
            f"has a {type(config).__name__}. Load another checkpoint."
        )
    names = [f.name for f in fields(config) if getattr(config, f.name) != getattr(expected, f.name)]
    found = ", ".join(f"{name}={getattr(config, name)}" for name in names)
    wanted = ", ".join(f"{name}={getattr(expected, name)}" for name in names)
    raise ValueError(
        f"The checkpoint must have the size that is expected, {wanted}; {path.name} has {found}. "
        "Load another checkpoint, or leave out `expected` and use the model as it is."
    )


def _check_weights(path: Path, model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Refuse weights that do not fit the configuration beside them."""
    wanted = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"The weights must fit the configuration in the file: {name} should be {wanted.get(name, 'absent')}, "
                f"and is {found.get(name, 'absent')} in {path.name}. {_RETRAIN}"
            )


# --- The shipped models: load one, read what it is, train it again

FOLDER = Path(__file__).resolve().parent.parent / "pretrained_files"
_ENDING = ".safetensors"
#: The facts of a card that are shown first, in this order; of some that are required, "not stated" is said.
CARD_FIELDS = ("about", "data", "licence", "seed", "seeds", "command", "commit", "device", "cost", "seconds", "scores")
_REQUIRED = ("data", "licence", "seed", "command", "cost", "scores")


def names(folder: str | os.PathLike[str] | None = None) -> list[str]:
    """Return the names of the models that can be loaded.

    Args:
        folder: where to look; None for those that come with the library.

    Returns:
        Names in alphabetical order; none if the folder holds none.

    Example:
        >>> all(isinstance(name, str) for name in names())
        True

    Chapter: 8b.
    """
    return sorted(path.stem for path in _folder(folder).glob(f"*{_ENDING}"))


def load(name: str, folder: str | os.PathLike[str] | None = None) -> Checkpoint:
    """Load a shipped model.

    Args:
        name: one of ``names()``, such as "chorale-frame".
        folder: where to look; None for those that come with the library.

    Returns:
        The model, in float32, on the CPU and in evaluation mode, and its card.

    Raises:
        ValueError: there is no model of that name, or its file is damaged.

    Chapter: 8b.
    """
    known = names(folder)
    if name not in known:
        raise ValueError(
            f"A pretrained model must be one of {', '.join(known) or 'none, for the folder is empty'}; found {name!r}. "
            "For a file of your own, use checkpoints.load_checkpoint."
        )
    return load_checkpoint(_folder(folder) / f"{name}{_ENDING}")


def describe(name: str, folder: str | os.PathLike[str] | None = None) -> str:
    """Say what a shipped model is: its card as a table.

    Args:
        name: one of ``names()``.
        folder: where to look; None for those that come with the library.

    Returns:
        Lines of two columns, a fact and what the card says of it. The data, the licence, the seed, the command, what
        training cost and the scores come first; where the card says nothing of one, it reads "not stated".

    Raises:
        ValueError: as for ``load``.

    Chapter: 8b.
    """
    model, card = load(name, folder)
    size_kb = (_folder(folder) / f"{name}{_ENDING}").stat().st_size / 1000
    n_weights = sum(weight.numel() for weight in model.parameters())
    rows = [
        ("name", name),
        ("kind", type(model).__name__),
        ("size", f"{n_weights:,} weights, {size_kb:,.0f} kB"),
    ]
    rows += [row for field in _fields(card) for row in _rows(field, card.get(field, "not stated"))]
    width = max(len(field) for field, _ in rows) + 2
    return "\n".join(f"{field:{width}}{value}" for field, value in rows)


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    """Return where the models lie."""
    return FOLDER if folder is None else Path(folder)


def _fields(card: dict[str, Any]) -> list[str]:
    """Return the facts to show: the asked ones in their order, then what else the card holds."""
    asked = [field for field in CARD_FIELDS if field in card or (field in _REQUIRED and not _has_other(card, field))]
    return [*asked, *(field for field in card if field not in CARD_FIELDS)]


def _has_other(card: dict[str, Any], field: str) -> bool:
    """Return whether the card says the same under a second name."""
    return {"seed": "seeds", "cost": "seconds"}.get(field) in card


def _rows(field: str, value: Any) -> list[tuple[str, str]]:
    """Return one line a fact; a dictionary becomes a line for each of its entries."""
    if isinstance(value, dict):
        return [row for key, entry in value.items() for row in _rows(f"{field}, {key}", entry)]
    if isinstance(value, list):
        return [(field, ", ".join(map(str, value)))]
    return [(field, f"{value:.4g}" if isinstance(value, float) else str(value))]
