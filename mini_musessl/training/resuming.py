"""A run that was killed goes on: its state in one file, written whole or not at all.

The file is safetensors: the weights, their average, the best ones and the optimizer's moments as plain numbers; config,
history and counters as JSON in its header. Nothing random needs to be kept: dropout is seeded by the number of the
update, and the batches are drawn again from the start and passed over.

What is called ``run`` here is a ``training.loop.Run``.

Chapter: 6a.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mini_musessl.training.checkpoints import read_tensors, weights_digest, write_tensors

FORMAT = "mini_musessl training 1"
FILE_NAME = "state.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps of each weight


class RunFolder:
    """The folder of one run, which has not begun yet: another run is recognised by its settings and first weights."""

    def __init__(self, folder: str | os.PathLike[str], run: Any) -> None:
        self.path = Path(folder) / FILE_NAME
        self.path.parent.mkdir(parents=True, exist_ok=True)
        run.advice = f"No state is kept in {folder} yet."
        config = getattr(run.model, "config", None)
        model = {"class": type(run.model).__name__} | (asdict(config) if is_dataclass(config) else {})
        about = {"config": asdict(run.config), "model": model, "first_weights": weights_digest(run.model.state_dict())}
        self.about = json.loads(json.dumps(about))  # JSON has no tuples: what is compared later comes from there

    def save(self, run: Any, latest_batch: Any) -> None:
        """Write the state of a run between two updates; the file holds the old state or all of the new one."""
        counters = {"update": run.update, "n_targets": run.n_targets, "seconds": run.seconds()}
        about = {"format": FORMAT, "latest_batch": batch_digest(latest_batch), "history": asdict(run.history)}
        if run.processes.rank == 0:
            write_tensors(self.path, _tensors_of(run), self.about | about | counters)
        run.advice = f"The state after update {run.update} is kept in {self.path}."

    def go_on(self, run: Any, batches: Iterator[Any]) -> None:
        """Take up the kept state, if there is one, and pass over the batches that it had drawn."""
        if not self.path.is_file():
            return
        about, tensors = read_tensors(self.path)
        self._check_same_run(about)
        try:
            n_updates, drawn = about["update"], [None]
            if not 0 <= n_updates <= run.config.n_updates:
                raise ValueError(f"update {n_updates} of {run.config.n_updates}")
            _set_tensors(run, tensors)
            run.history = type(run.history)(**about["history"])
            run.n_targets, run.began_sec = about["n_targets"], run.began_sec - about["seconds"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"The state of a run must fit its model and config; {self.path} does not ({error}). Remove it to begin "
                "anew, or choose another folder."
            ) from None
        for update in range(n_updates):
            run.update = update  # named by the refusal of batches that end too soon
            drawn = run.draw(batches)
        run.update = n_updates
        if batch_digest(drawn[-1]) != about["latest_batch"]:
            raise ValueError(
                f"A run goes on only with the batches with which it began; the one of {self.path} drew another batch "
                f"for update {n_updates}. Draw from the same pieces with the same seed, or choose another folder."
            )
        run.advice = f"The state after update {n_updates} is kept in {self.path}."
        run.report(f"update {n_updates:5d}   going on from {self.path}")

    def _check_same_run(self, about: dict[str, Any]) -> None:
        """Refuse to go on with other settings, naming what differs."""
        if about.get("format") != FORMAT:
            raise ValueError(
                f"A folder of training must hold a state of the format {FORMAT!r}; {self.path} says "
                f"{about.get('format')!r}. Choose another folder."
            )
        now, then = (each["model"] | each["config"] for each in (self.about, about))
        names = [name for name in sorted(now.keys() | then.keys()) if now.get(name) != then.get(name)]
        if names or about["first_weights"] != self.about["first_weights"]:
            there, here = (", ".join(f"{name}={each.get(name)}" for name in names) for each in (then, now))
            what = f"{there}, and now it is {here}" if names else "other first weights"
            raise ValueError(
                f"A run goes on only with the model and config with which it began; {self.path} was begun with {what}. "
                "Make the same model anew from the same seed, or choose another folder."
            )


def batch_digest(batch: Any) -> str:
    """Return a short name for a batch, a dataclass of arrays: equal batches have equal names; "" for anything else."""
    if not is_dataclass(batch):
        return ""
    sha = hashlib.sha256()
    for item in fields(batch):
        sha.update(np.ascontiguousarray(getattr(batch, item.name)).tobytes())
    return sha.hexdigest()[:20]


def _tensors_of(run: Any) -> dict[str, Tensor]:
    """Return all numbers of a run under one name each."""
    names = [name for name, _ in run.model.named_parameters()]
    found = {f"weights/{name}": weight for name, weight in run.model.state_dict().items()}
    if run.average is not None:
        found |= {f"average/{name}": weight for name, weight in zip(names, run.average.weights, strict=True)}
    if run.best:
        found |= {f"best/{name}": weight for name, weight in zip(names, run.best, strict=True)}
    for name, weight in run.model.named_parameters():
        found |= {f"moments/{kind}/{name}": value for kind, value in run.optimizer.state.get(weight, {}).items()}
    if run.recent:
        found["recent"] = torch.stack(run.recent)
    return found


def _set_tensors(run: Any, tensors: dict[str, Tensor]) -> None:
    """Put what ``_tensors_of`` returned back into its places."""
    tensors, weights = {name: tensor.to(run.device) for name, tensor in tensors.items()}, run.model.state_dict()
    for key, tensor in tensors.items():
        kind, _, name = key.rpartition("/")
        wanted = torch.Size() if kind == "moments/step" else weights[name].shape if kind else tensor.shape
        if tensor.shape != wanted:  # AdamW does not look, and would write beyond the end of its moments
            raise ValueError(f"{key} has the shape {tuple(tensor.shape)}, and {tuple(wanted)} is needed")
    run.model.load_state_dict({name: tensors[f"weights/{name}"] for name in weights})
    names = [name for name, _ in run.model.named_parameters()]
    if run.average is not None:
        run.average.weights = [tensors[f"average/{name}"] for name in names]
    if f"best/{names[0]}" in tensors:
        run.best = [tensors[f"best/{name}"] for name in names]
    for name, weight in run.model.named_parameters():
        if f"moments/step/{name}" in tensors:
            run.optimizer.state[weight] = {kind: tensors[f"moments/{kind}/{name}"] for kind in MOMENTS}
    run.recent = list(tensors.get("recent", ()))
