"""Training: one loop, its schedules, the average of the weights, and what happened.

``train`` draws batches, hands each to an *objective* (what the network is to predict) and changes the weights.
The same model, batches, config, machine and number of threads give the same weights, also after a kill: dropout is
seeded by the number of the update, and ``resuming`` draws the batches again from the start and passes over them.

References: Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019), for AdamW, and "SGDR: Stochastic
Gradient Descent with Warm Restarts" (2017) for the cosine, here without restarts; Bergsma et al., "Straight to Zero:
Why Linearly Decaying the Learning Rate to Zero Works Best for LLMs" (2025); Polyak and Juditsky, "Acceleration of
Stochastic Approximation by Averaging" (1992), with TensorFlow's correction at the start (20 in place of its 10).

Chapter: 00 (used), 6a (built).
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mini_musessl.checks import check_choice, check_positive, check_share, check_sizes, whole_number
from mini_musessl.objectives.next_token import next_token_loss
from mini_musessl.training.checkpoints import FLOATS, note_trained_steps
from mini_musessl.training.distributed import join_processes
from mini_musessl.training.resuming import RunFolder

#: What a network is trained on: ``(model, batch) -> (mean loss over the targets, number of targets)``.
Objective = Callable[[nn.Module, Any], tuple[Tensor, int]]
#: What measures a network, ``model -> validation loss in nats``; None for nothing.
Evaluate = Callable[[nn.Module], float] | None
#: What receives each line of progress; None for silence.
Report = Callable[[str], None] | None


@dataclass(frozen=True)
class TrainingConfig:
    """How to train."""

    n_updates: int = 1000  # at most
    learning_rate: float = 3e-3  # peak learning rate, reached after the warm-up
    n_warmup_updates: int = 50  # updates over which the rate climbs from 0
    schedule: str = "linear"  # "linear" or "cosine" fall to 0; "trapezoid" stays level, then falls
    decay_share: float = 0.5  # part of all updates over which "trapezoid" falls
    weight_decay: float = 0.1  # of matrices and tables; vectors are left alone
    clip_norm: float = 1.0  # the gradient norm is clipped to this
    betas: tuple[float, float] = (0.9, 0.95)  # decay of AdamW's averages of the gradient and of its square
    averaging: float = 0.0  # decay of the exponential moving average (EMA) of the weights, such as 0.999; 0 for none
    n_batches: int = 1  # gradient accumulation: batches per update, weighted by their targets; torchrun divides them
    patience: int | None = None  # early stopping: after so many reports in a row without a better validation loss
    keep_best: bool = False  # whether to end with the weights of the best report
    seed: int = 0  # of dropout; the order of the data is the iterator's affair, the first weights are the model's
    report_every: int = 100  # updates
    device: str = "auto"  # "cpu", "cuda", or "auto" for a GPU where there is one
    precision: str = "float32"  # "bfloat16" is about 1.8 times as fast where it is built in; "auto": only there

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))  # a list would make equal settings unequal
        check_sizes(self, "n_updates", "n_batches", "report_every")
        check_sizes(self, "n_warmup_updates", "seed", lowest=0)
        if self.patience is not None:
            check_sizes(self, "patience")
        for name in ("learning_rate", "clip_norm", "decay_share"):
            check_positive(name, getattr(self, name))
        for name, share in (("averaging", self.averaging), *(("Each of betas", beta) for beta in self.betas)):
            check_share(name, share)
        check_choice("schedule", self.schedule, ("linear", "cosine", "trapezoid"))
        check_choice("device", self.device, ("auto", "cpu", "cuda"))
        check_choice("precision", self.precision, ("auto", "float32", "bfloat16"))
        if self.n_warmup_updates >= self.n_updates:
            raise ValueError(
                f"n_warmup_updates must be below n_updates = {self.n_updates}; found {self.n_warmup_updates}. The rate "
                "must have time to fall again."
            )
        if self.decay_share > 1 or not 0 <= self.weight_decay < math.inf:
            raise ValueError(
                f"decay_share must be at most 1 and weight_decay a finite number, 0 or more; found {self.decay_share} "
                f"and {self.weight_decay}."
            )


@dataclass
class History:
    """What happened, one entry per line of progress."""

    update: list[int] = field(default_factory=list)  # updates made
    train_nats: list[float] = field(default_factory=list)  # mean loss since the line before
    valid_nats: list[float] = field(default_factory=list)  # what ``evaluate`` returned; empty without it
    learning_rate: list[float] = field(default_factory=list)  # of the latest update
    n_targets: list[int] = field(default_factory=list)  # learned from so far
    seconds: list[float] = field(default_factory=list, compare=False)  # evaluation included

    def best_line(self) -> int:
        """Return the index of the lowest validation loss, the first of equals."""
        return min(range(len(self.valid_nats)), key=self.valid_nats.__getitem__)


def learning_rate_at(update: int, config: TrainingConfig) -> float:
    """Return the step size of an update, counted from 0: a straight climb, then the way down of the schedule.

    >>> config = TrainingConfig(n_updates=10, n_warmup_updates=2, learning_rate=8.0)
    >>> [learning_rate_at(update, config) for update in (0, 1, 2, 9)]
    [4.0, 8.0, 8.0, 1.0]
    """
    climb = (update + 1) / max(1, config.n_warmup_updates)
    n_left = config.n_updates - update
    if config.schedule == "trapezoid":
        fall = n_left / max(1, round(config.decay_share * config.n_updates))
    else:
        fall = n_left / (config.n_updates - config.n_warmup_updates)
    if config.schedule == "cosine":
        fall = (1 - math.cos(math.pi * min(1.0, fall))) / 2
    return config.learning_rate * min(1.0, climb, fall)


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Make AdamW; matrices and tables decay, vectors (norms, biases) do not."""
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    vectors = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


class WeightAverage:
    """A running average of a model's weights, which soon forgets the first, random ones."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = [weight.detach().clone() for weight in model.parameters()]

    @torch.no_grad()
    def follow(self, model: nn.Module, update: int) -> None:
        """Move towards the weights as they are after an update (from 0)."""
        memory = min(self.decay, (1 + update) / (20 + update))
        torch._foreach_lerp_(self.weights, [weight.detach() for weight in model.parameters()], 1 - memory)

    @contextmanager
    def in_place_of_weights(self, model: nn.Module) -> Iterator[None]:
        """Let the model have the averaged weights for a while; they change places, nothing is copied."""
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    def _exchange(self, model: nn.Module) -> None:
        for index, weight in enumerate(model.parameters()):
            weight.data, self.weights[index] = self.weights[index], weight.data


def train(
    model: nn.Module,
    batches: Iterable[Any],
    config: TrainingConfig,
    evaluate: Evaluate = None,
    objective: Objective = next_token_loss,
    report: Report = print,
    folder: str | os.PathLike[str] | None = None,
    save_every: int | None = None,
) -> History:
    """Change the weights of a model, batch by batch, until it predicts well.

    Args:
        model: changed in place; left on its device and in evaluation mode.
        batches: such as ``random_batches``; ``n_updates * n_batches`` are taken.
        evaluate: called before the first update and at each report, with the averaged weights where there are any.
        folder: where the state of the run is kept; a run of the same model, config and batches goes on from there,
            with the same number of threads and processes to the same end.
        save_every: updates from one saved state to the next; at every report by default.

    Returns:
        The history; its first entry, update 0, holds the losses before any learning.
    """
    if evaluate is None and (config.keep_best or config.patience is not None):
        raise ValueError(
            "keep_best and patience need a validation loss to go by; found no `evaluate`. Give train a function that "
            "scores the model, or leave both out of the config."
        )
    if save_every is not None and folder is None:
        raise ValueError(f"save_every needs a folder to save to; found save_every={save_every} and no `folder`.")
    save_every = config.report_every if save_every is None else whole_number("save_every", save_every, lowest=1)
    run, batches = Run(model, config, objective, evaluate, report), iter(batches)
    kept = None if folder is None else RunFolder(folder, run)
    devices = [run.device] if run.device.type == "cuda" else []
    with torch.random.fork_rng(devices), nullcontext() if kept is None else kept.locked(run.processes.rank == 0):
        if kept is not None:
            kept.go_on(run, batches)
        run.processes.check_same_update(run.update)
        while not run.is_over():
            drawn = run.draw(batches)
            run.step(drawn)
            if kept is not None and (run.is_over() or run.update % save_every == 0):
                run.check_finite()
                kept.save(run, drawn[-1])
    run.finish()
    return run.history


class Run:
    """The state of a run, which is all that decides how it goes on, and its one step."""

    def __init__(
        self, model: nn.Module, config: TrainingConfig, objective: Objective, evaluate: Evaluate, report: Report
    ) -> None:
        self.device = choose_device(config.device)
        check_weights(model)
        self.precision = choose_precision(config.precision, self.device)
        self.processes = join_processes(config.n_batches, self.device)
        self.processes.copy_first(model.to(self.device))
        self.model, self.config, self.objective, self.evaluate = model, config, objective, evaluate
        self.report = report if report and self.processes.rank == 0 else lambda line: None
        self.optimizer = make_optimizer(model, config)
        self.average = WeightAverage(model, config.averaging) if config.averaging else None
        self.history, self.update, self.n_targets = History(), 0, 0
        # Weights of the best line so far.
        self.best = [weight.clone() for weight in self._judged_weights()] if config.keep_best else []
        self.recent: list[Tensor] = []  # loss and gradient norm of each update since the last line
        self.began_sec = time.perf_counter()  # when the run would have begun, had it never been interrupted
        self.advice = "Nothing was kept; to keep the state, give train a folder."

    def draw(self, batches: Iterator[Any]) -> list[Any]:
        """Take the batches of one update."""
        drawn = list(islice(batches, self.config.n_batches))
        if len(drawn) < self.config.n_batches:
            n_needed, n_before = self.config.n_updates * self.config.n_batches, self.update * self.config.n_batches
            raise ValueError(
                f"Training needs n_updates * n_batches = {n_needed} batches; found only {n_before + len(drawn)}. Use "
                "an iterator that never ends, such as random_batches."
            )
        for batch in drawn:
            note_trained_steps(self.model, longest_window(batch))
        return drawn

    def step(self, batches: list[Any]) -> None:
        """Change the weights once; report where it is time."""
        loss, n_targets = self._set_gradients(batches)
        if self.update == 0:
            self._record(loss.item(), 0.0)
        rate = learning_rate_at(self.update, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.follow(self.model, self.update)
        self.update += 1
        self.n_targets += n_targets
        self.recent.append(torch.stack((loss.float(), norm.float())))
        if self.update % self.config.report_every == 0 or self.update == self.config.n_updates:
            self.check_finite()
            losses = torch.stack(self.recent)[:, 0].tolist()
            self._record(sum(losses) / len(losses), rate)
            self.recent = []

    def _set_gradients(self, batches: list[Any]) -> tuple[Tensor, int]:
        """Give every weight the gradient of the mean loss over all targets; return that and their number."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        mean, counts = torch.zeros((), dtype=torch.float32, device=self.device), []
        # The mean over all targets weighs a batch by n_targets / n_all, but n_all is known only after the last batch.
        # Until then the first batch weighs 1; the sum is rescaled below, and a single batch needs no rescaling at all.
        for index in self.processes.share(len(batches)):
            seed_dropout(self.config.seed, self.update, index, self.device)
            loss, n_targets = self._loss_of(batches[index])
            counts.append(n_targets)
            weighted = loss * (n_targets / counts[0])  # a batch's loss is a mean over its own targets
            weighted.backward()
            mean = mean + weighted.detach()
        n_all = int(self.processes.sum(sum(counts)))
        gradients = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
        share = counts[0] / n_all
        if share != 1:
            mean = mean * share
            torch._foreach_mul_(gradients, share)
        self.processes.sum_tensors([*gradients, mean])
        return mean, n_all

    def _loss_of(self, batch: Any) -> tuple[Tensor, int]:
        """Return the objective's loss and its number of targets, in the precision of the config."""
        is_full = self.precision == torch.float32
        with nullcontext() if is_full else torch.autocast(self.device.type, self.precision):
            loss, n_targets = self.objective(self.model, batch)
        if not (isinstance(loss, Tensor) and loss.requires_grad):
            found = "a tensor without a gradient" if isinstance(loss, Tensor) else type(loss).__name__
            raise TypeError(
                f"An objective must return its loss as a tensor that depends on weights that may change; found {found}."
                " Return it before .item() or .detach(), call train outside torch.no_grad(), and leave a weight free."
            )
        if n_targets < 1:
            raise ValueError(f"A batch must have at least one target; found {n_targets}. Is it empty or all padding?")
        return loss, n_targets

    def _record(self, train_nats: float, rate: float) -> None:
        """Write one line of history, and keep the weights if it is the best."""
        history, line = self.history, f"update {self.update:5d}   train {train_nats:.3f}"
        self._refuse_unless_finite("loss", train_nats, max(1, self.update))
        history.update.append(self.update)
        history.train_nats.append(train_nats)
        history.learning_rate.append(rate)
        history.n_targets.append(self.n_targets)
        if self.evaluate is not None:
            valid_nats = self.processes.sum(self._evaluate() if self.processes.rank == 0 else 0.0)
            self._refuse_unless_finite("validation loss", valid_nats, self.update)
            history.valid_nats.append(valid_nats)
            line += f"   valid {valid_nats:.3f}"
            if self.config.keep_best and history.best_line() == len(history.valid_nats) - 1:
                self.best = [weight.clone() for weight in self._judged_weights()]
        history.seconds.append(self.seconds())
        self.report(line + f"   rate {rate:.5f}")

    @torch.no_grad()
    def _evaluate(self) -> float:
        self.model.eval()
        with nullcontext() if self.average is None else self.average.in_place_of_weights(self.model):
            return float(self.evaluate(self.model))

    def _judged_weights(self) -> list[Tensor]:
        """Return the weights that evaluation sees."""
        return [w.detach() for w in self.model.parameters()] if self.average is None else self.average.weights

    def check_finite(self) -> None:
        """Stop when a loss, a gradient or a weight is no finite number any more, and name the update."""
        recent = torch.stack(self.recent).tolist() if self.recent else []
        for update, (loss, norm) in enumerate(recent, start=self.update - len(recent) + 1):
            self._refuse_unless_finite("loss", loss, update)
            self._refuse_unless_finite("length of the gradient", norm, update)
        sizes = torch._foreach_norm([weight.detach() for weight in self.model.parameters()], math.inf)
        self._refuse_unless_finite("largest weight", torch.stack(sizes).max().item(), self.update)

    def _refuse_unless_finite(self, name: str, value: float, update: int) -> None:
        if not math.isfinite(value):
            raise FloatingPointError(
                f"The {name} must stay a finite number; at update {update} it is {value}. Make a new model and train "
                f"it with a smaller learning_rate or a longer warm-up. {self.advice}"
            )

    def seconds(self) -> float:
        """Return the time spent on the run so far."""
        return time.perf_counter() - self.began_sec

    def is_over(self) -> bool:
        """Return whether all updates are made, or the best line is ``patience`` lines ago."""
        valid_nats, patience = self.history.valid_nats, self.config.patience
        has_stalled = patience and valid_nats and len(valid_nats) - 1 - self.history.best_line() >= patience
        return self.update >= self.config.n_updates or bool(has_stalled)

    @torch.no_grad()
    def finish(self) -> None:
        """Give the model the weights with which it ends."""
        weights = self.best if self.config.keep_best else self._judged_weights()
        torch._foreach_copy_(list(self.model.parameters()), weights)
        self.model.eval()


def check_weights(model: nn.Module) -> None:
    """Refuse a model, or a default device, that holds no numbers; types of number, and casts, that learn nothing."""
    # Cast weights are kept until the outermost autocast ends, so that no update would ever be seen.
    if any(map(torch.is_autocast_enabled, ("cpu", "cuda"))):
        raise ValueError("The config names the precision of a training; found a torch.autocast around it. Remove that.")
    default = torch.get_default_device().type
    for name, weight in model.named_parameters():
        if weight.is_meta or default == "meta" or weight.dtype not in FLOATS:
            raise ValueError(
                f"Training needs weights that hold floating-point numbers, and a default device that is not 'meta'; "
                f"{name} holds {weight.dtype} on {weight.device.type}, and the default device is {default}. Make the "
                "model on the CPU, and call train outside torch.device('meta')."
            )


def longest_window(batch: Any) -> int:
    """Return how many steps or tokens the windows of a batch hold: the second axis of its arrays.

    Two views of each window have an axis more; what is padding always ends with the steps.
    """
    if hasattr(batch, "is_padding"):
        return batch.is_padding.shape[-1]
    return max((array.shape[1] for array in getattr(batch, "__dict__", {}).values() if np.ndim(array) > 1), default=0)


def seed_dropout(seed: int, update: int, index: int, device: torch.device) -> None:
    """Seed each batch of each update by its number: the same after an interruption, and in any process."""
    state = int(np.random.SeedSequence((seed, update, index)).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(state)  # torch.manual_seed would set the states of all GPUs too
    if device.type == "cuda":
        torch.cuda.manual_seed(state)


def choose_device(name: str) -> torch.device:
    """Find the device; for "auto", a GPU where there is one."""
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise ValueError('device="cuda" needs a GPU that PyTorch can see; found none. Use device="auto" or "cpu".')
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Find the type of number for matrix products: for "auto", bfloat16 where it is no slow imitation."""
    if name != "auto":
        return getattr(torch, name)
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        abilities = getattr(torch.cpu, "get_capabilities", dict)()  # PyTorch before 2.10 does not say
        has_bfloat16 = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return torch.bfloat16 if has_bfloat16 else torch.float32
