"""Schedules: the rates of PyTorch's own, within the rounding of a number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from mini_musessl.training.loop import TrainingConfig, learning_rate_at

N_UPDATES, N_WARMUP = 40, 8


def our_rates(**settings):
    config = TrainingConfig(n_updates=N_UPDATES, n_warmup_updates=N_WARMUP, learning_rate=0.3, **settings)
    return np.array([learning_rate_at(update, config) for update in range(N_UPDATES)])


def their_rates(make_scheduler, n_updates):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(n_updates):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "trapezoid"])
def test_the_warm_up_is_pytorchs_linear_one(schedule):
    theirs = their_rates(lambda o: lr_scheduler.LinearLR(o, 1 / N_WARMUP, 1.0, N_WARMUP - 1), N_WARMUP)
    np.testing.assert_allclose(our_rates(schedule=schedule)[:N_WARMUP], theirs)


def test_the_linear_fall_is_pytorchs():
    n_left = N_UPDATES - N_WARMUP
    theirs = their_rates(lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, n_left), n_left)
    np.testing.assert_allclose(our_rates()[N_WARMUP:], theirs)


def test_the_cosine_is_pytorchs():
    n_left = N_UPDATES - N_WARMUP
    theirs = their_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, n_left), n_left)
    np.testing.assert_allclose(our_rates(schedule="cosine")[N_WARMUP:], theirs)


@pytest.mark.parametrize("decay_share", [0.25, 0.5])
def test_the_trapezoid_is_level_and_then_pytorchs_linear_fall(decay_share):
    n_falling = int(decay_share * N_UPDATES)
    rates = our_rates(schedule="trapezoid", decay_share=decay_share)
    assert (rates[N_WARMUP - 1 : N_UPDATES - n_falling] == 0.3).all()
    theirs = their_rates(lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, n_falling), n_falling)
    np.testing.assert_allclose(rates[-n_falling:], theirs)


@given(
    schedule=st.sampled_from(["linear", "cosine", "trapezoid"]),
    n_updates=st.integers(1, 60),
    warmup_share=st.floats(0, 1),
    decay_share=st.floats(0.01, 1),
)
def test_a_rate_is_never_zero_never_too_large_and_climbs_only_before_it_falls(
    schedule, n_updates, warmup_share, decay_share
):
    n_warmup = int(warmup_share * (n_updates - 1))
    config = TrainingConfig(
        n_updates=n_updates, n_warmup_updates=n_warmup, schedule=schedule, decay_share=decay_share, learning_rate=0.3
    )
    rates = np.array([learning_rate_at(update, config) for update in range(n_updates)])
    assert (rates > 0).all() and (rates <= 0.3).all()
    signs = np.sign(np.diff(rates))
    assert (np.diff(signs[signs != 0]) <= 0).all()
