"""Training: ``loop`` (reading begins there), ``resuming``, ``distributed`` and ``checkpoints``.

Chapter: 00 (used), 6a (built).
"""

from mini_musessl.training.loop import (
    History,
    Objective,
    TrainingConfig,
    choose_precision,
    learning_rate_at,
    make_optimizer,
    train,
)

__all__ = [
    "History",
    "Objective",
    "TrainingConfig",
    "choose_precision",
    "learning_rate_at",
    "make_optimizer",
    "train",
]
