"""The shipped models: load one, read what it is, train it again.

Each is a checkpoint inside the package, below 10 MB, with a card: what it was trained on and under which licence, with
which seed and command, what that cost, and how it scored.

Chapter: 8b (the chorale benchmark), 9a (sampling).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mini_musessl.checkpoints import Checkpoint, load_checkpoint

FOLDER = Path(__file__).resolve().parent / "pretrained_files"
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
