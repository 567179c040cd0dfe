"""Training: one loop, one schedule, one history.

Chapter: 00 (used), 6a (built).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mini_musessl.music import whole_number
from mini_musessl.objectives.next_token import next_token_loss
from mini_musessl.windows import Batch

Objective = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        n_updates: how often the weights are changed.
        learning_rate: largest step size, reached after the warm-up.
        n_warmup_updates: updates over which the rate climbs from 0; it then falls in a straight line to 0.
        weight_decay: pull of the matrices towards 0 (AdamW); vectors are left alone.
        clip_norm: longest gradient; a longer one is shortened to it.
        betas: memory of AdamW's two averages.
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
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    betas: tuple[float, float] = (0.9, 0.95)
    seed: int = 0
    report_every: int = 100
    device: str = "auto"
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name, lowest in (("n_updates", 1), ("n_warmup_updates", 0), ("report_every", 1), ("seed", 0)):
            whole_number(name, getattr(self, name), lowest)
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number above 0; found {getattr(self, name)}.")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be a finite number, 0 or more; found {self.weight_decay}.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers, each at least 0 and below 1; found {self.betas}.")
        if self.n_warmup_updates >= self.n_updates:
            raise ValueError(
                f"n_warmup_updates must be at least 0 and below n_updates = {self.n_updates}; found "
                f"{self.n_warmup_updates}. The rate must have time to fall again."
            )
        for name, choices in (("device", ("auto", "cpu", "cuda")), ("precision", ("auto", "float32", "bfloat16"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}; found {getattr(self, name)!r}.")


@dataclass
class History:
    """What happened while training, one entry a printed line.

    Attributes:
        update: how many updates had been made.
        train_nats: mean loss of the batches since the line before.
        valid_nats: what ``evaluate`` said; empty without it.
        learning_rate: step size of the latest update.

    Chapter: 6a.
    """

    update: list[int] = field(default_factory=list)
    train_nats: list[float] = field(default_factory=list)
    valid_nats: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)


def learning_rate_at(update: int, config: TrainingConfig) -> float:
    """Give the step size of an update: a straight climb, then a straight fall to 0.

    Args:
        update: 0..n_updates - 1.
        config: the schedule's numbers.

    Example:
        >>> config = TrainingConfig(n_updates=10, n_warmup_updates=2, learning_rate=8.0)
        >>> [learning_rate_at(update, config) for update in (0, 1, 2, 9)]
        [4.0, 8.0, 8.0, 1.0]

    References:
        Bergsma et al., "Straight to Zero: Why Linearly Decaying the Learning Rate to Zero Works Best for LLMs"
        (2025).

    Chapter: 6a.
    """
    climb = (update + 1) / max(1, config.n_warmup_updates)
    fall = (config.n_updates - update) / (config.n_updates - config.n_warmup_updates)
    return config.learning_rate * min(1.0, climb, fall)


def train(
    model: nn.Module,
    batches: Iterable[Batch],
    config: TrainingConfig,
    evaluate: Callable[[nn.Module], float] | None = None,
    objective: Objective = next_token_loss,
    report: Callable[[str], None] | None = print,
) -> History:
    """Change the weights of a model, batch by batch, until it predicts well.

    On one machine the same model, batches and config give the same history. The chance of dropout comes from
    ``config.seed``; PyTorch's own random state is put back afterwards.

    Args:
        model: maps token ids (batch, time) to logits; changed in place, left on the device and in evaluation mode.
        batches: such as ``windows.random_batches``; ``n_updates`` batches are taken.
        config: how to train.
        evaluate: called with the model (in evaluation mode, no gradients) before the first update and at each
            report; returns the validation loss in nats.
        objective: ``(logits, targets, is_padding) -> loss``.
        report: receives each line of progress; None for silence.

    Returns:
        The history; its first entry, update 0, holds the losses before any learning.

    Raises:
        ValueError: the batches end too early, or "cuda" is asked for where there is none.
        FloatingPointError: the loss is no longer a number.

    Chapter: 00, 6a.
    """
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    model.to(device)
    optimizer = make_optimizer(model, config)
    batches, history = iter(batches), History()
    losses: list[Tensor] = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        _seed(config.seed, device)
        for update in range(config.n_updates):
            rate = learning_rate_at(update, config)
            loss = _loss_of(model, _next_batch(batches, update, config), objective, device, precision)
            if update == 0:
                _record(history, 0, [loss], 0.0, model, evaluate, report)
            _update(model, optimizer, loss, rate, config.clip_norm)
            losses.append(loss.detach())
            if (update + 1) % config.report_every == 0 or update + 1 == config.n_updates:
                _record(history, update + 1, losses, rate, model, evaluate, report)
                losses = []
    model.eval()
    return history


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


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Make AdamW; matrices decay, vectors (norms, biases) do not.

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


def _seed(seed: int, device: torch.device) -> None:
    """Set the random states that dropout draws from, and no other: torch.manual_seed would set those of all GPUs."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _next_batch(batches: Iterator[Batch], update: int, config: TrainingConfig) -> Batch:
    """Take a batch, or say that there are too few."""
    batch = next(batches, None)
    if batch is None:
        raise ValueError(
            f"Training for {config.n_updates} updates needs as many batches; found only {update}. "
            "Use an iterator that never ends, such as windows.random_batches."
        )
    return batch


def _loss_of(
    model: nn.Module, batch: Batch, objective: Objective, device: torch.device, precision: torch.dtype
) -> Tensor:
    """Run the model on one batch; here the arrays become tensors."""
    model.train()
    arrays = (batch.token_ids, batch.targets, batch.is_padding)
    token_ids, targets, is_padding = (torch.from_numpy(array).to(device) for array in arrays)
    with nullcontext() if precision == torch.float32 else torch.autocast(device.type, precision):
        logits = model(token_ids)
    return objective(logits, targets, is_padding if batch.is_padding.any() else None)


def _update(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float, clip_norm: float) -> None:
    """Take one step downhill."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()


def _record(
    history: History,
    update: int,
    losses: list[Tensor],
    rate: float,
    model: nn.Module,
    evaluate: Callable[[nn.Module], float] | None,
    report: Callable[[str], None] | None,
) -> None:
    """Write one line of history, and stop when the loss is no number."""
    values = torch.stack([loss.detach() for loss in losses]).tolist()
    for back, value in enumerate(values):
        if not math.isfinite(value):
            broken = max(1, update - len(values) + 1 + back)
            raise FloatingPointError(
                f"The loss must stay a finite number; at update {broken} it is {value}. "
                "Make a new model and train it with a smaller learning_rate or a longer warm-up."
            )
    history.update.append(update)
    history.train_nats.append(sum(values) / len(values))
    history.learning_rate.append(rate)
    line = f"update {update:5d}   train {history.train_nats[-1]:.3f}"
    if evaluate is not None:
        model.eval()
        with torch.no_grad():
            history.valid_nats.append(float(evaluate(model)))
        line += f"   valid {history.valid_nats[-1]:.3f}"
    if report is not None:
        report(line + f"   rate {rate:.5f}")
