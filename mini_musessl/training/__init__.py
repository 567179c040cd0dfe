"""Training: one loop, its schedules, its averages, its history; stopped at any moment, it goes on to the same end.

``train`` draws batches, hands each to an *objective* (what the network is asked to predict) and changes the weights.
Each idea has a module: ``settings`` (what can be chosen), ``schedules`` (the step size from update to update),
``optimization`` (AdamW, gradients, the average of the weights), ``history`` (what happened), ``resuming`` (the state
of a run in one file), ``processes`` (several processes under torchrun), ``devices``, ``requests`` (what is refused),
and ``loop``, where reading begins.

Chapter: 00 (used), 6a (built).
"""

from mini_musessl.training.loop import (
    History,
    Objective,
    TrainingConfig,
    choose_device,
    choose_precision,
    learning_rate_at,
    make_optimizer,
    train,
)

__all__ = [
    "History",
    "Objective",
    "TrainingConfig",
    "choose_device",
    "choose_precision",
    "learning_rate_at",
    "make_optimizer",
    "train",
]
