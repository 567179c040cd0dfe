"""A tiny training run that several programs repeat: the tests, one that is killed, and those that torchrun starts.

python training_runs.py killed FOLDER UPDATE     trains, and is killed by SIGKILL in the middle of an update
python training_runs.py shared FILE [FOLDER]     trains (under torchrun); the first process writes the weights
"""

import functools
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np
import torch

from mini_musessl import training
from mini_musessl.batches import random_batches
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.objectives.next_token import next_token_loss
from mini_musessl.training.checkpoints import save_checkpoint

MODEL = TransformerConfig(
    vocabulary_size=11, context_length=12, d_model=24, n_layers=1, n_heads=3, d_feedforward=40, cycle_lengths=(4,)
)
CONFIG = training.TrainingConfig(
    n_updates=12, n_warmup_updates=3, learning_rate=1e-2, averaging=0.8, n_batches=2, keep_best=True, report_every=5,
    device="cpu",
)  # fmt: skip


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Let new tensors be of another type, as a caller may have asked for."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def make_model(dropout: float = 0.2) -> MusicTransformer:
    """Return the model as it begins."""
    return MusicTransformer(replace(MODEL, dropout=dropout))


def make_batches(seed: int = 0):
    """Return the batches, of unequal numbers of targets since one piece is short."""
    pieces = [np.random.default_rng(5).integers(0, 11, length) for length in (30, 7)]
    return random_batches(pieces, 3, MODEL.context_length, np.random.default_rng(seed), MODEL.begin_id)


def evaluate(model: torch.nn.Module) -> float:
    """Score the model on a batch of its own."""
    return next_token_loss(model, next(make_batches(9)))[0].item()


def run(model: torch.nn.Module, config: training.TrainingConfig = CONFIG, **settings) -> training.History:
    """Train the model as all programs do."""
    torch.set_num_threads(1)
    return training.train(model, make_batches(), config, evaluate, **({"report": None} | settings))


def main() -> None:
    """Do what the command line says."""
    task, path, *rest = sys.argv[1:]
    if task == "killed":
        calls = iter(range(CONFIG.n_updates * CONFIG.n_batches))

        @functools.wraps(next_token_loss)
        def objective(model, batch):
            if next(calls) == int(rest[0]) * CONFIG.n_batches + 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return next_token_loss(model, batch)

        run(make_model(), objective=objective, folder=path, save_every=2)
    else:
        model = make_model()
        history = run(model, folder=rest[0] if rest else None, report=print)
        if os.environ.get("RANK", "0") == "0":
            save_checkpoint(model, path, asdict(history))


if __name__ == "__main__":
    main()
