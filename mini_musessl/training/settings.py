"""What can be chosen about training.

Chapter: 00 (used), 6a (built).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mini_musessl.music import whole_number

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
