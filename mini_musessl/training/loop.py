"""Training: one loop, its schedules, its averages, its history; stopped at any moment, it goes on to the same end.

``train`` draws batches, hands each to an *objective* (what the network is asked to predict) and changes the weights.
Each idea has a module: ``settings`` (what can be chosen), ``schedules`` (the step size from update to update),
``optimization`` (AdamW, gradients, the average of the weights), ``history`` (what happened), ``resuming`` (the state
of a run in one file), ``processes`` (several processes under torchrun), ``devices``, ``requests`` (what is refused),
and ``loop``, where reading begins.

Chapter: 00 (used), 6a (built).
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mini_musessl.checks import whole_number
from mini_musessl.objectives.next_token import next_token_loss
from mini_musessl.training.distributed import Processes, join_processes

# --- Where to compute, and in which type of number


def choose_device(name: str = "auto") -> torch.device:
    """Find the device: a GPU where there is one and nothing else was asked for.

    Raises:
        ValueError: "cuda" on a machine without it.

    Chapter: 6a.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise ValueError('device="cuda" needs a GPU that PyTorch can see; found none. Use device="auto" or "cpu".')
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Find the type of number for matrix products: bfloat16 where it is built in and nothing else was asked for.

    A CPU without it imitates it, which is slower than float32.

    Args:
        name: "float32", "bfloat16" or "auto".
        device: where the model will run.

    Returns:
        The type of number.

    Chapter: 6a.
    """
    if name != "auto":
        return getattr(torch, name)
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        # PyTorch before 2.10 does not say what the CPU can do.
        abilities = getattr(torch.cpu, "get_capabilities", dict)()
        has_bfloat16 = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return torch.bfloat16 if has_bfloat16 else torch.float32


# --- What can be chosen about training

_CHOICES = {
    "schedule": ("linear", "cosine", "trapezoid"),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("auto", "float32", "bfloat16"),
}


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        n_updates: how often the weights are changed, at most.
        learning_rate: largest step size, reached after the warm-up.
        n_warmup_updates: updates over which the rate climbs from 0.
        schedule: how the rate goes on: "linear" falls in a straight line to 0; "cosine" falls in half a wave to 0;
            "trapezoid" stays level, then falls in a straight line to 0.
        decay_share: the part of all updates over which "trapezoid" falls, above 0 and at most 1.
        weight_decay: pull of the matrices and tables towards 0 (AdamW); vectors are left alone.
        clip_norm: longest gradient; a longer one is shortened to it.
        betas: memory of AdamW's two averages.
        averaging: memory of the running average of the weights, such as 0.999, which remembers about 1000 updates;
            0 for none. With it, ``evaluate`` sees the averaged weights, and the model ends with them.
        n_batches: batches an update; each counts as much as it has targets. Under torchrun they are divided among the
            processes.
        patience: reports in a row without a better validation loss after which training stops; None for never.
        keep_best: whether the model ends with the weights of the report with the best validation loss.
        seed: source of dropout. The order of the data is the iterator's affair, the first weights are the model's.
        report_every: updates from one printed line to the next.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        precision: "float32"; "bfloat16" for matrix products in 16 bits, about 1.8 times as fast on a processor that
            has them, and a little different in the third decimal of the loss; or "auto" for bfloat16 on such a
            processor and float32 elsewhere.

    Raises:
        ValueError: a value out of range.
        TypeError: a count that is not a whole number.

    Chapter: 6a.
    """

    n_updates: int = 1000
    learning_rate: float = 3e-3
    n_warmup_updates: int = 50
    schedule: str = "linear"
    decay_share: float = 0.5
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    betas: tuple[float, float] = (0.9, 0.95)
    averaging: float = 0.0
    n_batches: int = 1
    patience: int | None = None
    keep_best: bool = False
    seed: int = 0
    report_every: int = 100
    device: str = "auto"
    precision: str = "float32"

    def __post_init__(self) -> None:
        lowest = {"n_updates": 1, "n_warmup_updates": 0, "n_batches": 1, "report_every": 1, "seed": 0}
        for name, limit in lowest.items():
            whole_number(name, getattr(self, name), limit)
        if self.patience is not None:
            whole_number("patience", self.patience, 1, advice="None means never to stop early.")
        if self.n_warmup_updates >= self.n_updates:
            raise ValueError(
                f"n_warmup_updates must be at least 0 and below n_updates = {self.n_updates}; found "
                f"{self.n_warmup_updates}. The rate must have time to fall again."
            )
        self._check_sizes()
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}; found {getattr(self, name)!r}.")

    def _check_sizes(self) -> None:
        """Refuse numbers with a point that are out of range."""
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number above 0; found {getattr(self, name)}.")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be a finite number, 0 or more; found {self.weight_decay}.")
        if not 0 < self.decay_share <= 1:
            raise ValueError(f"decay_share must lie above 0 and be at most 1; found {self.decay_share}.")
        if not 0 <= self.averaging < 1:
            raise ValueError(
                f"averaging must be at least 0 and below 1; found {self.averaging}. With 1 nothing would be averaged."
            )
        object.__setattr__(self, "betas", tuple(self.betas))  # a list would make equal settings unequal
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers, each at least 0 and below 1; found {self.betas}.")


# --- The step size from update to update


def learning_rate_at(update: int, config: TrainingConfig) -> float:
    """Give the step size of an update: a straight climb, then the way down of the config's schedule.

    Args:
        update: 0..n_updates - 1.
        config: the schedule and its numbers.

    Returns:
        The rate, above 0 and at most ``config.learning_rate``.

    Example:
        >>> config = TrainingConfig(n_updates=10, n_warmup_updates=2, learning_rate=8.0)
        >>> [learning_rate_at(update, config) for update in (0, 1, 2, 9)]
        [4.0, 8.0, 8.0, 1.0]

    References:
        Bergsma et al., "Straight to Zero: Why Linearly Decaying the Learning Rate to Zero Works Best for LLMs"
        (2025); Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), for the cosine,
        here without restarts.

    Chapter: 6a.
    """
    climb = (update + 1) / max(1, config.n_warmup_updates)
    n_left, n_after_warmup = config.n_updates - update, config.n_updates - config.n_warmup_updates
    if config.schedule == "trapezoid":
        fall = n_left / max(1, round(config.decay_share * config.n_updates))
    else:
        fall = n_left / n_after_warmup
    if config.schedule == "cosine":
        fall = (1 - math.cos(math.pi * min(1.0, fall))) / 2
    return config.learning_rate * min(1.0, climb, fall)


# --- What happened while training


@dataclass
class History:
    """What happened while training, one entry a printed line.

    Attributes:
        update: how many updates had been made.
        train_nats: mean loss of the updates since the line before.
        valid_nats: what ``evaluate`` said; empty without it.
        learning_rate: step size of the latest update.
        n_targets: how many targets the model had learned from.
        seconds: time spent until then, evaluation included; two runs that differ in it alone are equal.

    Chapter: 6a.
    """

    update: list[int] = field(default_factory=list)
    train_nats: list[float] = field(default_factory=list)
    valid_nats: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    n_targets: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list, compare=False)

    def best_line(self) -> int:
        """Return the index of the entry with the lowest validation loss; the first of equals.

        Raises:
            ValueError: nothing was evaluated.
        """
        if not self.valid_nats:
            raise ValueError("The best entry is that of the lowest validation loss; found none. Train with `evaluate`.")
        return min(range(len(self.valid_nats)), key=self.valid_nats.__getitem__)

    def to_json(self) -> str:
        """Return the history as JSON, such as a file of results holds."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> History:
        """Read what ``to_json`` wrote.

        Args:
            text: JSON with a list for each attribute.

        Raises:
            ValueError: it is something else.

        Example:
            >>> History.from_json(History([0], [3.85]).to_json()).train_nats
            [3.85]
        """
        try:
            lists = json.loads(text)
        except ValueError:
            lists = None
        names = [item.name for item in fields(cls)]
        if not isinstance(lists, dict) or sorted(lists) != sorted(names):
            raise ValueError(f"A history in JSON must hold {', '.join(names)}; found {text[:60]!r}.")
        return cls(**lists)


# --- How weights change: AdamW, the gradient of one or several batches, and the running average of the weights


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Make AdamW; matrices and tables decay, vectors (norms, biases) do not.

    Args:
        model: whose weights to change.
        config: its learning rate, weight decay and betas are used.

    References:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019).

    Chapter: 6a.
    """
    matrices = [weight for weight in model.parameters() if weight.dim() >= 2]
    vectors = [weight for weight in model.parameters() if weight.dim() < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, rate: float, clip_norm: float) -> Tensor:
    """Take one step downhill along the gradients that the weights hold.

    Args:
        model: its weights have gradients.
        optimizer: changes them.
        rate: step size.
        clip_norm: longest gradient; a longer one is shortened to it.

    Returns:
        The length of the gradient before it was shortened.

    Chapter: 6a.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return norm


class WeightAverage:
    """A running average of a model's weights, which forgets slowly.

    After update n (from 0) it moves towards the weights by ``1 - min(decay, (1 + n) / (20 + n))``: at first by almost
    all of the way, so that the first, random weights are soon forgotten.

    Args:
        model: whose weights are averaged.
        decay: memory, at least 0 and below 1.

    References:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992); the exponential form with
        its correction at the start is the one of TensorFlow's ``ExponentialMovingAverage``, which has 10 for our 20.

    Chapter: 6a.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = [weight.detach().clone() for weight in model.parameters()]

    @torch.no_grad()
    def follow(self, model: nn.Module, update: int) -> None:
        """Move towards the model's weights.

        Args:
            model: the weights as they are after the update.
            update: its number, from 0.
        """
        memory = min(self.decay, (1 + update) / (20 + update))
        torch._foreach_lerp_(self.weights, [weight.detach() for weight in model.parameters()], 1 - memory)

    @contextmanager
    def in_place_of_weights(self, model: nn.Module) -> Iterator[None]:
        """Let the model have the averaged weights for a while; they change places, nothing is copied.

        Args:
            model: the one whose weights are averaged.
        """
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    def _exchange(self, model: nn.Module) -> None:
        """Let the average and the model change places."""
        for index, weight in enumerate(model.parameters()):
            weight.data, self.weights[index] = self.weights[index], weight.data


@torch.no_grad()
def set_weights(model: nn.Module, weights: list[Tensor]) -> None:
    """Copy weights into a model.

    Args:
        model: receives them.
        weights: in the order of ``model.parameters()``.

    Chapter: 6a.
    """
    torch._foreach_copy_(list(model.parameters()), weights)


def are_finite(weights: list[Tensor]) -> bool:
    """Return whether weights are all finite numbers.

    Args:
        weights: at least one tensor; all on one device.

    Chapter: 6a.
    """
    with torch.no_grad():
        return bool(
            torch.stack(torch._foreach_norm([weight.detach() for weight in weights], float("inf"))).isfinite().all()
        )


# --- The state of a training run: all that decides how it goes on


@dataclass
class TrainingState:
    """A run between two updates.

    Attributes:
        model: with the weights as they are now.
        optimizer: with its two averages of the gradients.
        average: the running average of the weights; None without averaging.
        history: the lines so far.
        best: the weights of the best line by validation; empty before there is one.
        update: updates made.
        n_targets: targets learned from.
        recent: (2,) for each update since the last line: loss, and length of the gradient.
        started_sec: when the run would have begun, had it never been interrupted, by ``time.perf_counter``.

    Chapter: 6a.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    history: History = field(default_factory=History)
    best: list[Tensor] = field(default_factory=list)
    update: int = 0
    n_targets: int = 0
    recent: list[Tensor] = field(default_factory=list)
    started_sec: float = field(default_factory=time.perf_counter)

    @property
    def judged_weights(self) -> list[Tensor]:
        """The weights that evaluation sees: averaged where there is an average."""
        return [weight.detach() for weight in self.model.parameters()] if self.average is None else self.average.weights

    def seconds(self) -> float:
        """Return the time spent on the run so far."""
        return time.perf_counter() - self.started_sec

    def keep_as_best(self) -> None:
        """Copy the judged weights: no line was better."""
        self.best = [weight.clone() for weight in self.judged_weights]

    def has_stalled(self, patience: int | None) -> bool:
        """Return whether the best line is too many lines ago.

        Args:
            patience: lines without improvement at which to stop; None for never.
        """
        valid = self.history.valid_nats
        return patience is not None and bool(valid) and len(valid) - 1 - self.history.best_line() >= patience

    def finish(self, keep_best: bool) -> None:
        """Give the model the weights with which it ends.

        Args:
            keep_best: whether those are the weights of the best line.
        """
        set_weights(self.model, self.best if keep_best else self.judged_weights)

    def check(self, advice: str = "") -> None:
        """Stop when a loss, a gradient or a weight is no finite number any more.

        Args:
            advice: a sentence for the end of the message.

        Raises:
            FloatingPointError: it names the update.
        """
        recent = torch.stack(self.recent).tolist() if self.recent else []
        for number, values in enumerate(recent, start=self.update - len(recent) + 1):
            for name, value in zip(("loss", "length of the gradient"), values, strict=True):
                if not math.isfinite(value):
                    raise diverged(f"The {name} must stay a finite number; at update {number} it is {value}.", advice)
        if not are_finite(list(self.model.parameters())):
            raise diverged(f"The weights must stay finite numbers; after update {self.update} some are not.", advice)


def diverged(sentence: str, advice: str) -> FloatingPointError:
    """Return the refusal to go on.

    Args:
        sentence: what must hold, and what was found at which update.
        advice: a sentence for the end of the message.
    """
    todo = "Make a new model and train it with a smaller learning_rate or a longer warm-up."
    return FloatingPointError(f"{sentence} {todo} {advice}".rstrip())


# --- What training is asked for, and the sentences that refuse what cannot be


def check_request(
    config: TrainingConfig,
    evaluate: Callable[[nn.Module], float] | None,
    folder: str | os.PathLike[str] | None,
    save_every: int | None,
) -> None:
    """Refuse what is asked for without the thing that it needs.

    Args:
        config: how to train.
        evaluate: gives the validation loss; None without.
        folder: where the state is kept; None without.
        save_every: updates from one saved state to the next; None for every report.

    Raises:
        ValueError: something that needs ``evaluate`` or ``folder`` is asked for without it.
        TypeError: the config is no TrainingConfig, or save_every is not a whole number.
    """
    if not isinstance(config, TrainingConfig):
        raise TypeError(
            f"train needs a TrainingConfig; found {type(config).__name__}. Write "
            "training.TrainingConfig(n_updates=...)."
        )
    if evaluate is None and (config.keep_best or config.patience is not None):
        raise ValueError(
            "keep_best and patience need a validation loss to go by; found no `evaluate`. Give train a function that "
            "scores the model, or leave both out of the config."
        )
    if save_every is not None:
        whole_number("save_every", save_every, lowest=1)
        if folder is None:
            raise ValueError(f"save_every needs a folder to save to; found save_every={save_every} and no `folder`.")


def check_can_learn(model: nn.Module) -> None:
    """Refuse to train where no weight would change.

    Args:
        model: whose weights shall change.

    Raises:
        RuntimeError: PyTorch keeps no gradients here.
        ValueError: every weight is frozen.
    """
    if not torch.is_grad_enabled():
        raise RuntimeError(
            "Training needs gradients, and here PyTorch keeps none. Call train outside torch.no_grad() and "
            "torch.inference_mode()."
        )
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ValueError(
            "Training needs a weight that may change; found none in the model. Was it frozen? Call "
            "model.requires_grad_(True)."
        )


def check_loss(loss: object, n_targets: int) -> None:
    """Refuse an answer of an objective from which nothing can be learned.

    Args:
        loss: the mean loss.
        n_targets: how many targets it is a mean of.

    Raises:
        TypeError: the loss is no tensor with a gradient.
        ValueError: there is no target.
    """
    if not (isinstance(loss, Tensor) and loss.requires_grad):
        found = "a tensor without a gradient" if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(
            f"An objective must return its loss as a tensor that depends on the weights; found {found}. Return it "
            "before .item() or .detach()."
        )
    if n_targets < 1:
        raise ValueError(f"A batch must have at least one target; found {n_targets}. Is it empty or all padding?")


# --- The loop: draw batches, measure, change the weights, report

Objective = Callable[[nn.Module, Any], tuple[Tensor, int]]


def train(
    model: nn.Module,
    batches: Iterable[Any],
    config: TrainingConfig,
    evaluate: Callable[[nn.Module], float] | None = None,
    objective: Objective = next_token_loss,
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
    from mini_musessl.training.resuming import RunFolder

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

    def go_on(self, state: TrainingState, kept: Any, batches: Iterator[Any]) -> None:
        """Take up the state of an interrupted run, and pass over the batches that it had drawn."""
        latest, batch = kept.load(state), None
        for update in range(state.update):
            for index in range(self.config.n_batches):
                batch = _next_batch(batches, update, index, self.config)
        from mini_musessl.training.resuming import batch_digest

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
