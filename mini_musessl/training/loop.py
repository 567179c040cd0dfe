"""The loop: draw batches, measure, change the weights, report.

Chapter: 00 (used), 6a (built).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mini_musessl.objectives.next_token import next_token
from mini_musessl.training.devices import choose_device, choose_precision
from mini_musessl.training.history import History
from mini_musessl.training.optimization import WeightAverage, make_optimizer, step
from mini_musessl.training.processes import Processes, join_processes
from mini_musessl.training.requests import check_can_learn, check_loss, check_request
from mini_musessl.training.resuming import RunFolder, batch_digest
from mini_musessl.training.schedules import learning_rate_at
from mini_musessl.training.settings import TrainingConfig
from mini_musessl.training.state import TrainingState, diverged

Objective = Callable[[nn.Module, Any], tuple[Tensor, int]]


def train(
    model: nn.Module,
    batches: Iterable[Any],
    config: TrainingConfig,
    evaluate: Callable[[nn.Module], float] | None = None,
    objective: Objective = next_token,
    report: Callable[[str], None] | None = print,
    folder: str | os.PathLike[str] | None = None,
    save_every: int | None = None,
) -> History:
    """Change the weights of a model, batch by batch, until it predicts well.

    On one machine the same model, batches and config give the same history and the same weights, also when the run was
    killed and started again with the same ``folder``. The chance of dropout comes from ``config.seed`` and the number
    of the update; PyTorch's own random state is put back afterwards.

    Under torchrun the batches of an update are divided among the processes, and all end with the same weights.

    Args:
        model: what the objective runs; changed in place, left on the device and in evaluation mode.
        batches: such as ``windows.random_batches``; ``n_updates * n_batches`` batches are taken.
        config: how to train.
        evaluate: called with the model (in evaluation mode, no gradients) before the first update and at each
            report; returns the validation loss in nats.
        objective: ``(model, batch) -> (loss, n_targets)``, the mean loss over the targets of the batch and their
            number; ``next_token`` for batches of tokens, ``next_frame`` for frames.
        report: receives each line of progress; None for silence.
        folder: where the state of the run is kept; made if it is not there. If it holds the state of a run of the
            same model and config, that run goes on.
        save_every: updates from one saved state to the next; at every report by default.

    Returns:
        The history; its first entry, update 0, holds the losses before any learning.

    Raises:
        ValueError: the batches end too early or hold no target, "cuda" is asked for where there is none, the folder
            holds another run, something that needs ``evaluate`` or ``folder`` is asked for without it, or every weight
            is frozen.
        TypeError: the config is no TrainingConfig, or the objective returns no loss with a gradient.
        RuntimeError: called where PyTorch keeps no gradients, such as under ``torch.no_grad()``.
        FloatingPointError: the loss, the gradient or a weight is no longer a finite number.

    Chapter: 00, 6a.
    """
    check_request(config, evaluate, folder, save_every)
    check_can_learn(model)
    device = choose_device(config.device)
    processes = join_processes(config.n_batches, device)
    model.to(device)
    processes.copy_first(model)
    precision = choose_precision(config.precision, device)
    advice = "Nothing was kept; to keep the state, give train a folder." if folder is None else ""
    report = report if processes.is_first else None
    run = _Run(config, objective, evaluate, report, processes, device, precision, advice)
    kept = None if folder is None else RunFolder(folder, config, model)
    state = TrainingState(
        model, make_optimizer(model, config), WeightAverage(model, config.averaging) if config.averaging else None
    )
    batches = iter(batches)
    if kept is not None and kept.has_state():
        run.go_on(state, kept, batches)
    run.check_start(state.update)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while not run.is_over(state):
            drawn = [_next_batch(batches, state.update, index, config) for index in range(config.n_batches)]
            run.update(state, drawn)
            if kept is not None and (run.is_over(state) or state.update % (save_every or config.report_every) == 0):
                run.check(state)
                if processes.is_first:
                    kept.save(state, drawn[-1])
                    run.advice = f"The state after update {state.update} is kept in {kept.path}."
    state.finish(config.keep_best)
    model.eval()
    return state.history


@dataclass
class _Run:
    """What stays the same while a run goes on, and the steps of the loop."""

    config: TrainingConfig
    objective: Objective
    evaluate: Callable[[nn.Module], float] | None
    report: Callable[[str], None] | None
    processes: Processes
    device: torch.device
    precision: torch.dtype
    advice: str = ""

    def go_on(self, state: TrainingState, kept: RunFolder, batches: Iterator[Any]) -> None:
        """Take up the state of an interrupted run, and pass over the batches that it had drawn."""
        latest, batch = kept.load(state), None
        for update in range(state.update):
            for index in range(self.config.n_batches):
                batch = _next_batch(batches, update, index, self.config)
        if batch_digest(batch) != latest:
            raise ValueError(
                f"A run goes on only with the batches with which it began; the one of {kept.path} drew another batch "
                f"for update {state.update}. Draw from the same pieces with the same seed, or choose another folder."
            )
        self.advice = f"The state after update {state.update} is kept in {kept.path}."
        if self.report is not None:
            self.report(f"update {state.update:5d}   going on from {kept.path}")

    def check_start(self, update: int) -> None:
        """Refuse processes that would begin at different updates."""
        if self.processes.sum(update) != update * self.processes.count:
            raise ValueError(
                f"All processes must begin at the same update; number {self.processes.rank} would begin at {update}. "
                "Let them see the same folder."
            )

    def is_over(self, state: TrainingState) -> bool:
        """Return whether there is no more to do."""
        return state.update >= self.config.n_updates or state.has_stalled(self.config.patience)

    def check(self, state: TrainingState) -> None:
        """Stop when something is no finite number any more."""
        state.check(self.advice)

    def update(self, state: TrainingState, drawn: list[Any]) -> None:
        """Change the weights once; report where it is time."""
        loss, n_targets = self._set_gradients(state, drawn)
        if state.update == 0:
            self._record(state, loss.item(), 0.0)
        rate = learning_rate_at(state.update, self.config)
        norm = step(state.model, state.optimizer, rate, self.config.clip_norm)
        if state.average is not None:
            state.average.follow(state.model, state.update)
        state.update += 1
        state.n_targets += n_targets
        state.recent.append(torch.stack((loss.float(), norm.float())))
        if state.update % self.config.report_every == 0 or state.update == self.config.n_updates:
            self.check(state)
            losses = torch.stack(state.recent)[:, 0].tolist()
            self._record(state, sum(losses) / len(losses), rate)
            state.recent = []

    def _set_gradients(self, state: TrainingState, drawn: list[Any]) -> tuple[Tensor, int]:
        """Give every weight the gradient of the mean loss over all targets of an update; return that and their number.

        A batch's loss is a mean over its own targets, so batches are weighted by their number of targets.
        """
        if not state.model.training:
            state.model.train()
        state.optimizer.zero_grad(set_to_none=True)
        mean, counts = torch.zeros((), device=self.device), []
        for index in self.processes.share(len(drawn)):
            _seed(self.config.seed, state.update, index, self.device)
            loss, n_targets = self._loss_of(state.model, drawn[index])
            counts.append(n_targets)
            weighted = loss * (n_targets / counts[0])
            weighted.backward()
            mean = mean + weighted.detach()
        n_all = int(self.processes.sum(sum(counts)))
        gradients = [weight.grad for weight in state.model.parameters() if weight.grad is not None]
        share = counts[0] / n_all
        if share != 1:
            mean = mean * share
            torch._foreach_mul_(gradients, share)
        self.processes.sum_tensors([*gradients, mean])
        return mean, n_all

    def _loss_of(self, model: nn.Module, batch: Any) -> tuple[Tensor, int]:
        """Ask the objective, in the precision of the config."""
        is_full = self.precision == torch.float32
        with nullcontext() if is_full else torch.autocast(self.device.type, self.precision):
            loss, n_targets = self.objective(model, batch)
        check_loss(loss, n_targets)
        return loss, n_targets

    def _record(self, state: TrainingState, train_nats: float, rate: float) -> None:
        """Write one line of history, and keep the weights if it is the best."""
        history = state.history
        _check_finite("loss", train_nats, max(1, state.update), self.advice)
        history.update.append(state.update)
        history.train_nats.append(train_nats)
        history.learning_rate.append(rate)
        history.n_targets.append(state.n_targets)
        line = f"update {state.update:5d}   train {train_nats:.3f}"
        if self.evaluate is not None:
            valid = self.processes.ask_first(lambda: self._valid_nats(state))
            _check_finite("validation loss", valid, state.update, self.advice)
            history.valid_nats.append(valid)
            line += f"   valid {valid:.3f}"
            if self.config.keep_best and history.best_line() == len(history.valid_nats) - 1:
                state.keep_as_best()
        history.seconds.append(state.seconds())
        if self.report is not None:
            self.report(line + f"   rate {rate:.5f}")

    def _valid_nats(self, state: TrainingState) -> float:
        """Evaluate the model, with its averaged weights where there are any."""
        averaged = nullcontext() if state.average is None else state.average.in_place_of_weights(state.model)
        state.model.eval()
        with torch.no_grad(), averaged:
            return float(self.evaluate(state.model))


def _check_finite(name: str, value: float, update: int, advice: str) -> None:
    """Stop when a loss is no number."""
    if not math.isfinite(value):
        raise diverged(f"The {name} must stay a finite number; at update {update} it is {value}.", advice)


def _seed(seed: int, update: int, index: int, device: torch.device) -> None:
    """Set the random states that dropout draws from, and no other: torch.manual_seed would set those of all GPUs.

    Each batch of each update has a state of its own, so that it is the same after an interruption and in any process.
    """
    state = int(np.random.SeedSequence((seed, update, index)).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(state)
    if device.type == "cuda":
        torch.cuda.manual_seed(state)


def _next_batch(batches: Iterator[Any], update: int, index: int, config: TrainingConfig) -> Any:
    """Take a batch, or say that there are too few."""
    batch = next(batches, None)
    if batch is None:
        raise ValueError(
            f"Training needs n_updates * n_batches = {config.n_updates * config.n_batches} batches; found only "
            f"{update * config.n_batches + index}. Use an iterator that never ends, such as windows.random_batches."
        )
    return batch
