"""A run that was killed goes on: its state in one file, written whole or not at all.

The file is safetensors: the weights, their average, the best ones and the optimizer's moments as plain numbers; config,
history and counters as JSON in its header. Nothing random needs to be kept: dropout is seeded by the number of the
update, and the batches are drawn again from the start and passed over.

Chapter: 6a.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mini_musessl.training.checkpoints import read_tensors, write_tensors
from mini_musessl.training.loop import History, TrainingConfig, TrainingState

FORMAT = "mini_musessl training 1"
FILE_NAME = "state.safetensors"


class RunFolder:
    """The folder of one run.

    Args:
        folder: where the state is kept; made if it is not there.
        config: of the run.
        model: with its first weights, by which another start is recognised.

    Raises:
        OSError: the folder cannot be made.

    Chapter: 6a.
    """

    def __init__(self, folder: str | os.PathLike[str], config: TrainingConfig, model: nn.Module) -> None:
        self.path = Path(folder) / FILE_NAME
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"The state of a run needs a folder; {folder} cannot be made one ({error.strerror or error}). Choose "
                "another."
            ) from None
        model_config = getattr(model, "config", None)
        described = {"class": type(model).__name__} | (asdict(model_config) if is_dataclass(model_config) else {})
        # Through JSON, which has no tuples: what is compared later comes from there.
        self.run = json.loads(json.dumps({"config": asdict(config), "model": described}))
        self.first_weights = _digest(model.state_dict())

    def has_state(self) -> bool:
        """Return whether a run was begun here."""
        return self.path.is_file()

    def save(self, state: TrainingState, batch: Any) -> None:
        """Write the state; the file holds the old state or all of the new one.

        Args:
            state: between two updates.
            batch: the latest one, by which other data are recognised.

        Raises:
            OSError: the file cannot be written.
        """
        about = self.run | {
            "format": FORMAT,
            "first_weights": self.first_weights,
            "latest_batch": batch_digest(batch),
            "history": asdict(state.history),
            "update": state.update,
            "n_targets": state.n_targets,
            "seconds": state.seconds(),
        }
        write_tensors(self.path, _tensors_of(state), about)

    def load(self, state: TrainingState) -> str:
        """Read the state of the run into a fresh one.

        Args:
            state: of the same model and config, before any update.

        Returns:
            The digest of the latest batch, for ``batch_digest``.

        Raises:
            ValueError: the file is damaged, or of another model or config.
        """
        about, tensors = read_tensors(self.path)
        if about.get("format") != FORMAT:
            raise ValueError(
                f"A folder of training must hold a state of the format {FORMAT!r}; {self.path} says "
                f"{about.get('format')!r}. Choose another folder."
            )
        self._check_same_run(about)
        _set_tensors(state, tensors)
        state.history = History(**about["history"])
        state.update, state.n_targets = about["update"], about["n_targets"]
        state.started_sec -= about["seconds"]
        return about["latest_batch"]

    def _check_same_run(self, about: dict[str, Any]) -> None:
        """Refuse to go on with other settings, naming what differs."""
        for part in ("model", "config"):
            now, then = self.run[part], about[part]
            names = [name for name in sorted(now.keys() | then.keys()) if now.get(name) != then.get(name)]
            if names:
                there = ", ".join(f"{name}={then.get(name)}" for name in names)
                here = ", ".join(f"{name}={now.get(name)}" for name in names)
                raise ValueError(
                    f"A run goes on only with the model and config with which it began; {self.path} was begun with "
                    f"{there}, and now it is {here}. Give the same, or choose another folder."
                )
        if about["first_weights"] != self.first_weights:
            raise ValueError(
                f"A run goes on only with the model with which it began; the one of {self.path} began with other "
                "weights. Make the model anew from the same seed, or choose another folder."
            )


def batch_digest(batch: Any) -> str:
    """Return a short name for a batch: equal batches have equal names.

    Args:
        batch: a dataclass of arrays, such as ``windows.Batch``; the name of anything else is empty.

    Chapter: 6a.
    """
    if not is_dataclass(batch):
        return ""
    sha = hashlib.sha256()
    for item in fields(batch):
        sha.update(np.ascontiguousarray(getattr(batch, item.name)).tobytes())
    return sha.hexdigest()[:20]


def _digest(weights: dict[str, Tensor]) -> str:
    """Return a short name for weights."""
    sha = hashlib.sha256()
    for name, weight in weights.items():
        sha.update(f"{name} {tuple(weight.shape)} ".encode() + weight.detach().cpu().numpy().tobytes())
    return sha.hexdigest()[:20]


def _tensors_of(state: TrainingState) -> dict[str, Tensor]:
    """Return all numbers of a state under one name each."""
    names = [name for name, _ in state.model.named_parameters()]
    found = {f"weights/{name}": weight for name, weight in state.model.state_dict().items()}
    if state.average is not None:
        found |= {f"average/{name}": weight for name, weight in zip(names, state.average.weights, strict=True)}
    if state.best:
        found |= {f"best/{name}": weight for name, weight in zip(names, state.best, strict=True)}
    for name, weight in state.model.named_parameters():
        found |= {f"moments/{kind}/{name}": value for kind, value in state.optimizer.state.get(weight, {}).items()}
    if state.recent:
        found["recent"] = torch.stack(state.recent)
    return found


def _set_tensors(state: TrainingState, tensors: dict[str, Tensor]) -> None:
    """Put what ``_tensors_of`` returned back into its places."""
    device = next(state.model.parameters()).device
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    prefix = "weights/"
    state.model.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    names = [name for name, _ in state.model.named_parameters()]
    if state.average is not None:
        state.average.weights = [tensors[f"average/{name}"] for name in names]
    state.best = [tensors[f"best/{name}"] for name in names if f"best/{name}" in tensors]
    for name, weight in state.model.named_parameters():
        moments = {key.split("/")[1]: tensor for key, tensor in tensors.items() if _is_moment_of(key, name)}
        if moments:
            state.optimizer.state[weight] = moments
    state.recent = list(tensors["recent"]) if "recent" in tensors else []


def _is_moment_of(key: str, name: str) -> bool:
    """Return whether a tensor of the file is one of the optimizer's about a weight."""
    kind, _, rest = key.partition("/")
    return kind == "moments" and rest.partition("/")[2] == name
