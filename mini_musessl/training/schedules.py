"""The step size from update to update.

Chapter: 6a.
"""

from __future__ import annotations

import math

from mini_musessl.training.settings import TrainingConfig


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
