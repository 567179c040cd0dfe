"""Checkpoints and states that were altered, by chance or on purpose, and the doors that get them.

What was altered by chance must be refused, or give what the whole file gives. Who alters a file on purpose can write a
digest that is right; then a door must refuse it in a sentence, or read other numbers.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import fuzzing
import numpy as np
import torch
from training_runs import make_model, run

from mini_musessl.objectives.next_token import next_token_loss
from mini_musessl.training.checkpoints import TensorFile, load_checkpoint, save_checkpoint, write_tensors
from mini_musessl.training.resuming import FILE_NAME

FACTS = (None, True, -1, 0, 3, 10**6, 10**30, 0.5, -1.0, 1e308, "", "x", "9" * 5000, [], {}, [4] * 10**4, {"a": [[[]]]})
CHANGES: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    torch.flatten,
    torch.neg,
    torch.zeros_like,
    torch.Tensor.double,
    torch.Tensor.half,
    torch.Tensor.int,
    torch.Tensor.bool,
    lambda tensor: tensor.to(torch.complex64),
    lambda tensor: tensor.to(torch.float8_e4m3fn),
    lambda tensor: tensor[None],
    lambda tensor: tensor.flatten()[:1],
    lambda tensor: tensor.flatten()[:0],
    lambda tensor: tensor * torch.nan,
    lambda tensor: tensor * torch.inf,
    lambda tensor: tensor + 1e30,
    lambda tensor: tensor.repeat(2, *[1] * (tensor.dim() - 1)) if tensor.dim() else tensor,
)


@cache
def whole_files() -> tuple[bytes, bytes]:
    """Return a checkpoint, and the state of a run that was stopped."""

    def stopping(model, batch):
        if list(Path(folder).glob(FILE_NAME)):
            raise KeyboardInterrupt
        return next_token_loss(model, batch)

    stopping.__wrapped__ = next_token_loss
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(make_model(), Path(folder) / "a.safetensors", {"seconds": 3.5, "seeds": [1, 2]})
        try:
            run(make_model(), objective=stopping, folder=folder, save_every=4)
        except KeyboardInterrupt:
            return (Path(folder) / "a.safetensors").read_bytes(), (Path(folder) / FILE_NAME).read_bytes()


def load(data: bytes) -> dict[str, torch.Tensor]:
    """Load a checkpoint and use its model: a door."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(data)
        model = load_checkpoint(path).model
    model(torch.zeros(1, 1, dtype=torch.long))
    return model.state_dict()


def go_on(data: bytes) -> dict[str, torch.Tensor]:
    """Go on from a state: another door."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE_NAME).write_bytes(data)
        model = make_model()
        run(model, folder=folder)
    return model.state_dict()


def load_the_same(data: bytes) -> None:
    """Load a checkpoint, which must be the whole one."""
    _check_same(load(data), make_model())


@cache
def _trained() -> torch.nn.Module:
    model = make_model()
    run(model)
    return model


def go_on_to_the_same(data: bytes) -> None:
    """Go on from a state, to the end of a run that was not stopped."""
    _check_same(go_on(data), _trained())


#: Of a checkpoint and of a state: the door for what was altered by chance, and the one for what was on purpose.
DOORS = ("load_the_same", "load"), ("go_on_to_the_same", "go_on")


def pass_on(given: tuple[str, bytes]) -> None:
    """Send a file through one of the doors."""
    globals()[given[0]](given[1])


def _check_same(found: dict[str, torch.Tensor], model: torch.nn.Module) -> None:
    wrong = [name for name, weight in model.state_dict().items() if not torch.equal(found[name], weight)]
    assert not wrong, f"other numbers without a word: {wrong}"


def altered_by_chance(data: bytes, generator: np.random.Generator) -> Iterator[bytes]:
    """Yield files without end: damaged anywhere, damaged in the header, or with another number there."""
    n_header = int.from_bytes(data[:8], "little")
    head, numbers = data[8 : 8 + n_header], data[8 + n_header :]
    other_numbers = fuzzing.altered_numbers(head.decode(), generator)
    while True:
        yield fuzzing.altered(data, generator)
        for header in (fuzzing.altered(head, generator), next(other_numbers).encode()):
            yield len(header).to_bytes(8, "little") + header + numbers


def altered_on_purpose(data: bytes, generator: np.random.Generator) -> Iterator[bytes]:
    """Yield files without end, in each of which a fact or a tensor is another one and the digest is right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        path.write_bytes(data)
        file = TensorFile(path)
        tensors = file.read()
        while True:
            about = {name: fact for name, fact in file.about.items() if name != "digest"}
            facts, changed = alter_fact(about, generator), alter_tensor(tensors, generator)
            for pair in ((facts, tensors), (about, changed)):
                try:
                    write_tensors(path, pair[1], pair[0])
                except ValueError:  # not even the library writes it
                    continue
                yield path.read_bytes()


def alter_fact(about: Any, generator: np.random.Generator) -> Any:
    """Return facts of which one, at any depth, is another or gone."""
    if not isinstance(about, dict) or not about or generator.random() < 0.1:
        return FACTS[generator.integers(len(FACTS))]
    name = list(about)[generator.integers(len(about))]
    if generator.random() < 0.1:
        return {each: fact for each, fact in about.items() if each != name}
    return about | {name: alter_fact(about[name], generator)}


def alter_tensor(tensors: dict[str, torch.Tensor], generator: np.random.Generator) -> dict[str, torch.Tensor]:
    """Return tensors of which one is another, gone, or there twice."""
    name = list(tensors)[generator.integers(len(tensors))]
    kind = generator.integers(8)
    if kind == 0:
        return {each: tensor for each, tensor in tensors.items() if each != name}
    if kind == 1:
        return tensors | {name + "_": tensors[name]}
    return tensors | {name: CHANGES[generator.integers(len(CHANGES))](tensors[name])}
