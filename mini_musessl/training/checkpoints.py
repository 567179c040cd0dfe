"""Checkpoints: a trained model in one file that anyone can open safely, and the models that come with the library.

A checkpoint is a safetensors file: plain numbers and a text header. The header holds the model's configuration, the
longest window that it was trained on, a digest of the numbers, and a card (what it was trained on, how, and with what
result), as JSON. Unlike a pickle, it cannot run code when opened.

Chapter: 6a (the loop), 8b (the shipped models).
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mini_musessl.checks import check_choice, shown, whole_number
from mini_musessl.files import as_path, check_file, write_aside
from mini_musessl.network.encoder import EncoderConfig, MaskedTransformer
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.network.transformer import MusicTransformer, Network, TransformerConfig

FORMAT = "mini_musessl checkpoint 2"
#: The models that a checkpoint can hold, each with its configuration.
MODELS: dict[str, tuple[type[nn.Module], type]] = {
    "MusicTransformer": (MusicTransformer, TransformerConfig),
    "FrameTransformer": (FrameTransformer, FrameConfig),
    "MaskedTransformer": (MaskedTransformer, EncoderConfig),
}
FOLDER = Path(__file__).resolve().parent.parent / "pretrained_files"  # of the models that come with the library
#: The facts of a card that are shown first.
CARD_FIELDS = ("about", "data", "licence", "seed", "seeds", "command", "commit", "device", "cost", "seconds", "scores")
#: The fields of configurations that say how many tables there are.
PARTS = ("n_previous", "cycle_lengths", "n_voices")
#: Shape of each tensor of a file, by its name, and the types that it may have, as safetensors writes them.
Table = dict[str, tuple[tuple[int, ...], tuple[str, ...]]]
FLOATS = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
TYPES = FLOATS | {torch.bool: "BOOL", torch.uint8: "U8"}
TYPES |= {torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8"}
LARGEST = 400_000_000  # bytes of weights in a checkpoint: read and made float32, they take up to three times as much
HEADER_BYTES = 1 << 20  # most of a file's names and facts: a longer text may take long to read, and much memory
_KEY = "mini_musessl"  # one for everything: safetensors writes several in an order that changes from run to run
_RETRAIN = "Save the model again with save_checkpoint, or train it again."


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    model: nn.Module  # in float32, on the CPU, in evaluation mode
    card: dict[str, Any]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors, and facts that JSON can hold, to one safetensors file, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}  # none shares memory
    try:
        text = _dump(about)
        text = _dump(json.loads(text) | {"digest": weights_digest(plain, text)})
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            "A card must hold only what JSON can hold (texts, finite numbers, lists, dictionaries): "
            f"{shown(error)}. Convert or leave out the rest."
        ) from None
    data = save_bytes(plain, metadata={_KEY: text})
    if (n_bytes := int.from_bytes(data[:8], "little")) > HEADER_BYTES:
        raise ValueError(f"Names and card must take at most {HEADER_BYTES} bytes; found {n_bytes}. Shorten the card.")
    write_aside(path, data)


def _dump(about: dict[str, Any]) -> str:
    return json.dumps(about, sort_keys=True, allow_nan=False, default=plain_fact)


def plain_fact(value: object) -> object:
    """Return a number of NumPy as one of Python, which JSON can hold."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"found {type(value).__name__}")


class TensorFile:
    """A file that ``write_tensors`` wrote. Its header is read at once, its numbers only when asked for."""

    def __init__(self, path: str | os.PathLike[str], max_bytes: int | None = None) -> None:
        self.path = check_file(path, "A reader of checkpoints", max_bytes)
        self.name = shown(self.path.name)
        text = self._read_header()
        try:
            header = json.loads(text)
            facts = header.pop("__metadata__", {})
            self.table = {name: (tuple(entry["shape"]), entry["dtype"]) for name, entry in header.items()}
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise self._damaged() from None
        try:
            self.about = json.loads(facts[_KEY])
            self._text = _dump({key: fact for key, fact in self.about.items() if key != "digest"})
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise ValueError(
                f"A checkpoint must hold facts about its numbers that this library wrote; {self.name} does not. "
                f"{_RETRAIN}"
            ) from None

    def _read_header(self) -> bytes:
        """Return the text that names the tensors, unless the file is a pickle or the text is too long."""
        with self.path.open("rb") as file:
            first = file.read(9)
            n_bytes = int.from_bytes(first[:8], "little")
            header = first[8:] + file.read(max(0, min(n_bytes, HEADER_BYTES) - 1))
        # torch.save writes a zip archive; pickle.dump begins with 0x80 and its protocol. A safetensors file begins with
        # the length of its header, which may look like that too, but its ninth byte is always a brace.
        if first[:4] == b"PK\x03\x04" or (first[:1] == b"\x80" and first[8:] != b"{"):
            raise ValueError(
                f"A checkpoint must be a safetensors file; {self.name} looks like a pickle (torch.save), which can run "
                f"code when it is opened, so it is not opened. {_RETRAIN}"
            )
        self._n_header = 8 + n_bytes
        return header[:n_bytes]

    def _damaged(self, why: str = "") -> ValueError:
        return ValueError(
            f"A checkpoint must be a whole safetensors file; {self.name} with its {self.path.stat().st_size} bytes is "
            f"damaged, cut short or of another kind{why}. Copy or download it again."
        )

    def check_format(self, wanted: str, advice: str) -> None:
        """Refuse a file of another kind or version."""
        if self.about.get("format") != wanted:
            found = shown(self.about.get("format"))
            raise ValueError(f"A file of the format {wanted!r} is needed; {self.name} says {found}. {advice}")

    def read(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Return the tensors, which are those that were written, in another type if one is asked for."""
        sizes = {kind: each.itemsize for each, kind in TYPES.items()}
        n_bytes = self._n_header + sum(sizes[kind] * math.prod(shape) for shape, kind in self.table.values())
        try:
            if n_bytes != self.path.stat().st_size:
                raise SafetensorError(f"{n_bytes} bytes are needed")
            with torch.device("cpu"):  # whatever a caller has set as default
                tensors = load_bytes(self.path.read_bytes())
        except SafetensorError as error:
            raise self._damaged(f" ({shown(error)})") from None
        if self.about.get("digest") != weights_digest(tensors, self._text):
            raise ValueError(
                f"A checkpoint must hold the numbers that were written; those of {self.name} have changed since. Copy "
                "or download it again."
            )
        tensors = {name: tensor.to(dtype or tensor.dtype) for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            if not is_finite(tensor):
                raise ValueError(f"A checkpoint must hold finite numbers; {name} of {self.name} has others. {_RETRAIN}")
        return tensors


def check_table(found: Mapping[str, tuple[tuple[int, ...], str]], wanted: Table) -> None:
    """Refuse tensors of other names, shapes or types than those that are needed, before any is read."""
    for name in sorted(wanted.keys() ^ found.keys()):
        raise ValueError(f"{shown(name)} is {'missing' if name in wanted else 'one tensor too many'}")
    for name, (shape, kinds) in wanted.items():
        found_shape, found_kind = found[name]
        if found_shape != shape or found_kind not in kinds:
            raise ValueError(
                f"{name} is {found_kind} of the shape {found_shape}, and {' or '.join(kinds)} of {shape} is needed"
            )


def weights_digest(weights: Mapping[str, Tensor], about: str = "") -> str:
    """Return a short name for weights and a text: other names, shapes, types, numbers or words, another name."""
    sha = hashlib.sha256(about.encode())
    for name, weight in sorted(weights.items()):
        plain = weight.detach().cpu().contiguous().flatten().view(torch.uint8)  # NumPy has no bfloat16
        sha.update(f"{name} {tuple(weight.shape)} {weight.dtype} ".encode())
        sha.update(plain.numpy())
    return sha.hexdigest()[:20]


def is_finite(weight: Tensor) -> bool:
    """Return whether all numbers are finite; one is not if their sum is not, which takes a tenth of the time."""
    return not weight.is_meta and math.isfinite(weight.sum(dtype=torch.float64))


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
    path, name = as_path(path), type(model).__name__
    if path.suffix != ".safetensors":
        raise ValueError(f'A checkpoint\'s name must end in ".safetensors"; found {shown(path.name)!r}. Rename it.')
    if type(model) not in [kind for kind, _ in MODELS.values()]:
        raise ValueError(f"A checkpoint holds a model of this library, one of {', '.join(MODELS)}; found {name}.")
    check_choice("dtype", dtype, (None, *FLOATS))
    if not isinstance(card or {}, dict):
        raise TypeError(f"A card must be a dictionary of facts; found {type(card).__name__}.")
    about = {"format": FORMAT, "class": name, "config": asdict(model.config), "card": card or {}}
    if model.trained_steps is not None:
        about["trained_steps"] = whole_number("trained_steps", model.trained_steps, lowest=1)
    weights = {key: weight.to(dtype or weight.dtype) for key, weight in model.state_dict().items()}
    table = {key: (tuple(weight.shape), FLOATS.get(weight.dtype, str(weight.dtype))) for key, weight in weights.items()}
    try:
        check_table(table, _table_of(_without_weights(name, model.config)))
    except ValueError as error:
        raise ValueError(f"A checkpoint holds the weights that its config asks for, no others; here {error}.") from None
    n_bytes = sum(weight.nbytes for weight in weights.values())
    if n_bytes > LARGEST:
        raise ValueError(
            f"A checkpoint holds at most {LARGEST} bytes of weights; found {n_bytes}. dtype=torch.bfloat16 takes half."
        )
    for key, weight in weights.items():
        if not is_finite(weight):
            raise ValueError(
                f"Weights must be finite numbers that fit into {weight.dtype}; {key} holds some that do not. "
                "Did training diverge? torch.bfloat16 holds larger numbers than torch.float16."
            )
    write_tensors(path, weights, about)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a model and its card."""
    file = TensorFile(path, LARGEST + HEADER_BYTES + 8)
    file.check_format(FORMAT, _RETRAIN)
    # Whatever a caller has set as defaults: tensors that are made in inference mode could never be trained.
    with torch.inference_mode(False):
        try:
            model, card = _prepare(file)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ValueError(
                f"A checkpoint must hold a model that this library knows, its card and weights that fit; {file.name} "
                f"does not ({shown(error)}). {_RETRAIN}"
            ) from None
        model.load_state_dict(file.read(torch.float32), assign=True)
    return Checkpoint(model.eval(), card)


class _Undrawn(TorchFunctionMode):
    """Draw no first weights: on the meta device, the first draw loads a compiler, which takes seconds."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        is_drawn = getattr(function, "__module__", "") == "torch.nn.init"
        return (kwargs or {})["tensor"] if is_drawn else function(*args, **(kwargs or {}))


def _without_weights(name: str, config: Any) -> nn.Module:
    with torch.device("meta"), _Undrawn():
        return MODELS[name][0](config)


def _table_of(model: nn.Module) -> Table:
    return {name: (tuple(weight.shape), tuple(FLOATS.values())) for name, weight in model.state_dict().items()}


def _prepare(file: TensorFile) -> tuple[nn.Module, dict[str, Any]]:
    """Return a model without memory for weights, once it is clear that the file holds them, and the card."""
    check_choice("Its model", file.about["class"], MODELS)
    config_kind = MODELS[file.about["class"]][1]
    sizes = {key: tuple(size) if isinstance(size, list) else size for key, size in file.about["config"].items()}
    config = config_kind(**sizes)
    # Even without memory, a million layers take long to make. Each has four tensors or more, and each table is one.
    tables = (len(size) if isinstance(size, tuple) else size for size in map(sizes.get, PARTS) if size is not None)
    if 4 * config.n_layers + sum(tables) > len(file.table):
        raise ValueError(f"it asks for a larger network than its {len(file.table)} tensors fill")
    model = _without_weights(file.about["class"], config)
    check_table(file.table, _table_of(model))
    if (n_steps := file.about.get("trained_steps")) is not None:
        note_trained_steps(model, whole_number("trained_steps", n_steps, lowest=1))
    return model, dict(file.about["card"])


def names() -> list[str]:
    """Return the names of the models that come with the library.

    >>> names()
    ['chorale-frame', 'chorale-masked']
    """
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def load(name: str) -> Checkpoint:
    """Load a model that comes with the library."""
    check_choice("A pretrained model", name, names(), "For a file of your own, use checkpoints.load_checkpoint.")
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
