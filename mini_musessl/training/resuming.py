"""A run that was killed goes on: its state in one file, written whole or not at all.

The file is safetensors: the weights, their average, the best ones, the optimizer's moments and the history as plain
numbers; settings and counters as JSON in its header. Nothing random needs to be kept: dropout is seeded by the number
of the update, and the batches are drawn again from the start and passed over.

What is called ``run`` here is a ``training.loop.Run``.

Chapter: 6a.
"""

import hashlib
import inspect
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mini_musessl.checks import check_positive, shown, whole_number
from mini_musessl.files import as_path, remove_parts
from mini_musessl.training.checkpoints import TYPES, TensorFile, check_table, weights_digest, write_tensors

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

FORMAT = "mini_musessl training 2"
FILE_NAME = "state.safetensors"
PLAIN = (bool, int, float, str, type(None))
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps of each weight


class RunFolder:
    """The folder of one run, which has not begun yet: another run is recognised by its settings and first weights."""

    def __init__(self, folder: str | os.PathLike[str], run: Any) -> None:
        self.path = _make_folder(folder) / FILE_NAME
        self.name = shown(self.path)
        run.advice = f"No state is kept in {shown(folder)} yet."
        about = {"settings": _settings(run), "around": _circumstances(run)}
        # JSON has no tuples and no numbers of NumPy: what is compared later comes from there.
        self.about = json.loads(json.dumps(about, default=lambda fact: getattr(fact, "item", fact.__str__)()))
        self.about["first_weights"] = weights_digest(run.model.state_dict())
        for weight in run.model.parameters():  # AdamW makes them at its first step; a state is read into its places
            state = (torch.zeros((), dtype=torch.float32), torch.zeros_like(weight), torch.zeros_like(weight))
            moments = zip(MOMENTS, state, strict=True)
            run.optimizer.state[weight] = {name: moment.to(weight.device) for name, moment in moments}

    @contextmanager
    def locked(self, is_writer: bool) -> Iterator[None]:
        """Keep other runs out; the system lets go of what a process held, however it ends."""
        if fcntl is None or not is_writer:
            yield
            return
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            _lock(descriptor, self.path.parent)
            remove_parts(self.path.parent)  # as large as a state each
            yield
        finally:
            os.close(descriptor)

    def save(self, run: Any, latest_batch: Any) -> None:
        """Write the state of a run between two updates; the file holds the old state or all of the new one."""
        counters = {"update": run.update, "n_targets": run.n_targets, "seconds": run.seconds()}
        about = {"format": FORMAT, "latest_batch": batch_digest(latest_batch)}
        if run.processes.rank == 0:
            write_tensors(self.path, _tensors_of(run), self.about | about | counters)
        run.advice = f"The state after update {run.update} is kept in {self.name}."

    def go_on(self, run: Any, batches: Iterator[Any]) -> None:
        """Take up the kept state, if there is one, and pass over the batches that it had drawn."""
        if not self.path.exists():
            return
        file = TensorFile(self.path)
        file.check_format(FORMAT, "Choose another folder.")
        around = self._check_same_run(file.about)
        n_updates, tensors = self._read(file, run)
        for update in range(n_updates):
            run.update = update  # named by the refusal of batches that end too soon
            drawn = run.draw(batches)
        if batch_digest(drawn[-1]) != file.about.get("latest_batch"):
            raise ValueError(
                f"A run goes on only with the batches with which it began; the one of {self.name} drew another batch "
                f"for update {n_updates}. Draw from the same pieces with the same seed, or choose another folder."
            )
        _set_tensors(run, tensors)
        run.update, run.n_targets = n_updates, file.about["n_targets"]
        run.began_sec -= file.about["seconds"]
        run.advice = f"The state after update {n_updates} is kept in {self.name}."
        run.report(f"update {n_updates:5d}   going on from {self.name}")
        if around and not run.is_over():
            warnings.warn(
                f"A run ends with the same weights to the bit only if nothing changes on its way; the one of "
                f"{self.name} was begun with {around}. It goes on all the same, and may end with other weights.",
                stacklevel=3,
            )

    def _check_same_run(self, about: dict[str, Any]) -> str:
        """Refuse to go on with other settings; return what else differs."""
        with self._refused():
            then = {name: dict(about[name]) for name in ("settings", "around")}
            is_same = about["first_weights"] == self.about["first_weights"]
        around = _differences(then["around"], self.about["around"])
        other = _differences(then["settings"], self.about["settings"])
        if other or not is_same:
            # The numbers that a seed draws depend on the processor too.
            where = f" where it was begun ({around})" if around and not other else ""
            raise ValueError(
                f"A run goes on only with the model and config with which it began; {self.name} was begun with "
                f"{other or 'other first weights'}. Make the same model anew from the same seed{where}, or choose "
                "another folder."
            )
        return around

    def _read(self, file: TensorFile, run: Any) -> tuple[int, dict[str, Tensor]]:
        """Return how many updates were made, and all tensors, once it is clear that they fit."""
        with self._refused():
            n_updates = whole_number("update", file.about["update"], 1, run.config.n_updates)
            whole_number("n_targets", file.about["n_targets"], n_updates, 1 << 62)
            check_positive("seconds", file.about["seconds"])
            _make_room(run, n_updates)
            wanted = _tensors_of(run)
            check_table(file.table, {name: (tuple(each.shape), (TYPES[each.dtype],)) for name, each in wanted.items()})
        tensors = file.read()
        with self._refused():
            _check_numbers(tensors, wanted, n_updates)
        return n_updates, tensors

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Say of which file an error speaks."""
        try:
            yield
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                f"The state of a run must fit its model and config; {self.name} does not ({shown(error)}). Remove it "
                "to begin anew, or choose another folder."
            ) from None


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(
            f"A folder of training belongs to one run at a time; another one goes on in {shown(folder)}. Wait for its "
            "end, or choose another folder."
        ) from None
    except OSError:
        return  # a file system without locks


def _make_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the folder of a run, made if it is not there."""
    path = as_path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.R_OK | os.X_OK):
            raise PermissionError(0, "you may not read it")
    except OSError as error:
        raise OSError(
            f"A run needs a folder that is there or can be made; {shown(path)} is none "
            f"({error.strerror}). Choose another."
        ) from None
    return path


def _settings(run: Any) -> dict[str, Any]:
    """Return what must be the same for a run to go on, beside its weights."""
    config, kinds = getattr(run.model, "config", None), {str(weight.dtype) for weight in run.model.parameters()}
    model = {"class": type(run.model).__name__, "dtype": " ".join(sorted(kinds))}
    if frozen := [name for name, weight in run.model.named_parameters() if not weight.requires_grad]:
        model["frozen"] = frozen
    return model | (asdict(config) if is_dataclass(config) else {}) | asdict(run.config)


def _circumstances(run: Any) -> dict[str, Any]:
    """Return what else moves the last digits of weights, or more: it may change, but not without a word."""
    return {
        "objective": name_of(run.objective),
        "evaluate": run.evaluate and name_of(run.evaluate),
        "processes": run.processes.count,
        "threads": torch.get_num_threads(),
        "device": run.device.type,
        "precision": str(run.precision),
        "torch": torch.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def name_of(function: Callable) -> str:
    """Return by what a function is recognised; for ``functools.partial``, with the numbers and texts that it adds.

    >>> from functools import partial
    >>> name_of(partial(print, end=""))
    "print {'end': ''}"
    """
    words = {key: each for key, each in getattr(function, "keywords", {}).items() if isinstance(each, PLAIN)}
    function = inspect.unwrap(getattr(function, "func", function))
    return getattr(function, "__qualname__", type(function).__name__) + (f" {words}" if words else "")


def _differences(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Say what differs; nothing where nothing does."""
    names = [name for name in sorted(now.keys() | then.keys()) if now.get(name) != then.get(name)]
    there, here = (shown(", ".join(f"{name}={each.get(name)}" for name in names)) for each in (then, now))
    return f"{there}, and now it is {here}" if names else ""


def batch_digest(batch: Any) -> str:
    """Return a short name for a batch, arrays or tensors in dataclasses, lists or dictionaries; equal ones share it."""
    sha = hashlib.sha256()
    for array in _arrays(batch):
        sha.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:20]


def _arrays(batch: Any) -> Iterator[np.ndarray]:
    if isinstance(batch, Tensor):
        batch = batch.detach().cpu()
        yield (batch.float() if batch.dtype == torch.bfloat16 else batch).numpy()
    elif is_dataclass(batch) or isinstance(batch, (Mapping, list, tuple)):
        batch = {item.name: getattr(batch, item.name) for item in fields(batch)} if is_dataclass(batch) else batch
        parts = batch.values() if isinstance(batch, Mapping) else batch
        for part in parts:
            yield from _arrays(part)
    elif (array := np.asarray(batch)).dtype != object:
        yield array


def _tensors_of(run: Any) -> dict[str, Tensor]:
    """Return all numbers of a run under one name each."""
    found = _places(run) | {"recent": torch.stack(run.recent) if run.recent else torch.empty(0, 2, dtype=torch.float32)}
    for column in fields(run.history):
        dtype = torch.int64 if column.type == list[int] else torch.float64
        found[f"history/{column.name}"] = torch.tensor(getattr(run.history, column.name), dtype=dtype)
    return found


def _places(run: Any) -> dict[str, Tensor]:
    """Return those of a run's numbers that have their places from the beginning."""
    weights = dict(run.model.named_parameters())
    groups = {f"moments/{kind}": [run.optimizer.state[each][kind] for each in weights.values()] for kind in MOMENTS}
    groups |= {"best": run.best, "average": [] if run.average is None else run.average.weights}
    found = {f"weights/{name}": weight for name, weight in run.model.state_dict().items()}
    for kind, places in groups.items():
        found |= {f"{kind}/{name}": place for name, place in zip(weights, places, strict=False)}
    return found


def _make_room(run: Any, n_updates: int) -> None:
    """Give a run as many lines of history and recent updates as it has after so many updates."""
    every = run.config.report_every
    lines = [update for update in range(n_updates + 1) if update % every == 0 or update == run.config.n_updates]
    nothing = [0] * len(lines)
    run.history = type(run.history)(lines, nothing, nothing if run.evaluate else [], nothing, nothing, nothing)
    run.recent = [torch.zeros(2, dtype=torch.float32)] * (n_updates - lines[-1])


def _check_numbers(tensors: dict[str, Tensor], wanted: dict[str, Tensor], n_updates: int) -> None:
    """Refuse numbers that no run can have."""
    if not torch.equal(tensors["history/update"], wanted["history/update"]):
        raise ValueError("its history has lines of other updates")
    for name, tensor in tensors.items():
        if name.startswith("moments/exp_avg_sq/") and (tensor < 0).any():
            raise ValueError(f"{name} must not be negative")
        # A weight that never had a gradient has made no step.
        if name.startswith("moments/step/") and not 0 <= tensor.item() <= n_updates:
            raise ValueError(f"{name} must lie in 0..{n_updates}, the updates made; found {tensor.item():g}")


@torch.no_grad()
def _set_tensors(run: Any, tensors: dict[str, Tensor]) -> None:
    """Put what ``_tensors_of`` returned back into its places."""
    for name, place in _places(run).items():
        place.copy_(tensors[name])
    run.history = type(run.history)(*(tensors[f"history/{column.name}"].tolist() for column in fields(run.history)))
    run.recent = list(tensors["recent"].to(run.device))
