"""A run that is interrupted goes on to the same end, to the bit; and only as the run that it was."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import training_runs
from safetensors.torch import save_file
from training_runs import CONFIG, make_batches, make_model, run

from mini_musessl import training
from mini_musessl.batches import random_frame_batches
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.objectives.next_token import next_frame_loss, next_token_loss
from mini_musessl.training import loop
from mini_musessl.training.loop import step
from mini_musessl.training.resuming import FILE_NAME

N_CALLS = CONFIG.n_updates * CONFIG.n_batches


class Stopped(Exception):
    """What stops a run in the middle of an update."""


def interrupted_at(call: int, objective=next_token_loss):
    """Return an objective that stops the run at one of its calls."""
    calls = itertools.count()

    def stopping(model, batch):
        if next(calls) == call:
            raise Stopped
        return objective(model, batch)

    return stopping


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    """Return whether two models have the same weights, to the bit."""
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def whole():
    """Return a model and the history of a run that nothing interrupts."""
    model = make_model()
    return model, run(model)


def test_a_run_killed_at_a_random_update_ends_with_the_same_weights(whole, tmp_path):
    update = int(np.random.default_rng(int.from_bytes(os.urandom(4), "big")).integers(3, CONFIG.n_updates))
    program = [sys.executable, training_runs.__file__, "killed", str(tmp_path), str(update)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    killed = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lines = []
    model = make_model()
    history = run(model, folder=tmp_path, save_every=2, report=lines.append)
    kept = (update // 2) * 2
    assert lines[0] == f"update {kept:5d}   going on from {tmp_path / FILE_NAME}"
    assert same(model, whole[0]), f"killed at update {update}"
    assert history == whole[1]


@pytest.mark.parametrize("call", [1, 2, 7, N_CALLS // 2, N_CALLS - 1])
@pytest.mark.parametrize("save_every", [1, 3, None])
def test_a_run_stopped_anywhere_ends_with_the_same_weights(whole, tmp_path, call, save_every):
    with pytest.raises(Stopped):
        run(make_model(), objective=interrupted_at(call), folder=tmp_path, save_every=save_every)
    model = make_model()
    assert run(model, folder=tmp_path, save_every=save_every) == whole[1]
    assert same(model, whole[0])


def test_a_run_stopped_again_and_again_ends_with_the_same_weights(whole, tmp_path):
    for call in range(1, 8):
        with pytest.raises(Stopped):
            run(make_model(), objective=interrupted_at(min(call, 4)), folder=tmp_path, save_every=1)
    model = make_model()
    assert run(model, folder=tmp_path) == whole[1]
    assert same(model, whole[0])


def test_keeping_a_state_changes_nothing_and_a_finished_run_is_not_run_again(whole, tmp_path):
    for objective in (next_token_loss, interrupted_at(0)):
        model = make_model()
        assert run(model, folder=tmp_path / "new" / "folder", objective=objective) == whole[1]
        assert same(model, whole[0])
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [FILE_NAME]


def test_time_goes_on_where_it_stopped(tmp_path):
    with pytest.raises(Stopped):
        run(make_model(), objective=interrupted_at(20), folder=tmp_path)
    seconds = run(make_model(), folder=tmp_path).seconds
    assert seconds == sorted(seconds) and len(seconds) == 4


@pytest.mark.parametrize("config", [replace(CONFIG, patience=2), replace(CONFIG, patience=2, keep_best=False)])
def test_a_run_that_stopped_early_stays_stopped(tmp_path, config):
    def worse(model):
        return 1.0

    config = replace(config, report_every=2)
    first = make_model()
    history = training.train(first, make_batches(), config, worse, report=None, folder=tmp_path)
    assert history.update == [0, 2, 4]
    again = make_model()
    assert training.train(again, make_batches(), config, worse, report=None, folder=tmp_path) == history
    assert same(first, again)


def test_without_averaging_and_best_the_file_holds_neither(tmp_path):
    config = replace(CONFIG, averaging=0.0, keep_best=False)
    whole = make_model()
    run(whole, config)
    with pytest.raises(Stopped):
        run(make_model(), config, objective=interrupted_at(13), folder=tmp_path, save_every=1)
    model = make_model()
    run(model, config, folder=tmp_path)
    assert same(model, whole)


def test_a_model_of_frames_goes_on_too_with_all_that_it_hides_and_drops(tmp_path):
    def train(objective=next_frame_loss, **settings):
        pieces = [np.random.default_rng(5).integers(0, 11, (20, 4))]
        batches = random_frame_batches(pieces, 2, 6, np.random.default_rng(0), pitch_ids=range(1, 11))
        model = FrameTransformer(
            FrameConfig(vocabulary_size=11, context_length=12, d_model=20, n_layers=1, n_heads=2, d_voice=24)
        )
        assert model.config.dropout > 0 and model.config.hidden_share > 0
        config = replace(CONFIG, n_updates=5, keep_best=False)
        history = training.train(model, batches, config, objective=objective, report=None, **settings)
        return model, history

    with pytest.raises(Stopped):
        train(interrupted_at(7, next_frame_loss), folder=tmp_path, save_every=1)
    (whole, history), (resumed, again) = train(), train(folder=tmp_path)
    assert same(whole, resumed) and history == again


@pytest.fixture
def begun(tmp_path):
    """Return the folder of a run that has begun."""
    with pytest.raises(Stopped):
        run(make_model(), objective=interrupted_at(9), folder=tmp_path, save_every=2)
    return tmp_path


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"learning_rate": 0.5}, "was begun with learning_rate=0.01, and now it is learning_rate=0.5"),
        ({"seed": 1, "n_updates": 13}, "begun with n_updates=12, seed=0, and now it is n_updates=13, seed=1"),
    ],
)
def test_another_config_is_refused_naming_what_differs(begun, change, sentence):
    before = (begun / FILE_NAME).read_bytes()
    with pytest.raises(ValueError, match=sentence):
        run(make_model(), replace(CONFIG, **change), folder=begun)
    assert (begun / FILE_NAME).read_bytes() == before


def test_another_model_is_refused_naming_what_differs(begun):
    with pytest.raises(ValueError, match=r"was begun with dropout=0\.2, and now it is dropout=0\.3"):
        run(make_model(dropout=0.3), folder=begun)


def test_a_model_with_other_first_weights_is_refused(begun):
    model = make_model()
    with torch.no_grad():
        model.to_logits.weight[3, 4] += 1
    with pytest.raises(ValueError, match="began with other weights. Make the model anew from the same seed"):
        run(model, folder=begun)


def test_other_batches_are_refused(begun):
    with pytest.raises(ValueError, match="drew another batch for update 4. Draw from the same pieces with the same"):
        training.train(make_model(), make_batches(seed=1), CONFIG, training_runs.evaluate, report=None, folder=begun)


@pytest.mark.parametrize("n_bytes", [0, 100, 3000])
def test_a_damaged_state_is_refused(begun, n_bytes):
    path = begun / FILE_NAME
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        run(make_model(), folder=begun)


def test_a_file_that_is_no_state_is_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / FILE_NAME)
    with pytest.raises(ValueError, match="must hold facts about its numbers that this library wrote"):
        run(make_model(), folder=tmp_path)
    save_file({"weight": torch.zeros(3)}, tmp_path / FILE_NAME, metadata={"mini_musessl": '{"format": "a model"}'})
    with pytest.raises(ValueError, match="a state of the format 'mini_musessl training 1'; .* says 'a model'"):
        run(make_model(), folder=tmp_path)


def test_saving_needs_a_folder():
    with pytest.raises(ValueError, match="save_every needs a folder to save to; found save_every=5 and no `folder`"):
        run(make_model(), save_every=5)
    with pytest.raises(ValueError, match="save_every must be at least 1; found 0"):
        run(make_model(), save_every=0)


@pytest.mark.parametrize("broken", ["loss", "gradient", "weights"])
def test_what_is_no_number_stops_the_run_and_the_last_good_state_is_kept(tmp_path, monkeypatch, broken):
    calls, steps = itertools.count(), itertools.count(1)

    def objective(model, batch):
        loss, n_targets = next_token_loss(model, batch)
        if next(calls) // CONFIG.n_batches != 6:
            return loss, n_targets
        if broken == "gradient":
            loss.register_hook(lambda gradient: gradient * math.inf)
        return loss * (math.nan if broken == "loss" else 1.0), n_targets

    def step_too_far(model, optimizer, rate, clip_norm):
        norm = step(model, optimizer, rate, clip_norm)
        if next(steps) == 7:
            model.norm.weight.data[0] = math.nan
        return norm

    if broken == "weights":
        monkeypatch.setattr(loop, "step", step_too_far)
    sentence = {
        "loss": "The loss must stay a finite number; at update 7 it is nan",
        "gradient": "The length of the gradient must stay a finite number; at update 7 it is nan",
        "weights": "after update 7 some are not",
    }[broken]
    with pytest.raises(FloatingPointError, match=rf"{sentence}.*The state after update 6 is kept in .*{FILE_NAME}"):
        run(make_model(), objective=objective, folder=tmp_path, save_every=1 if broken == "weights" else 3)
    monkeypatch.undo()
    kept = (tmp_path / FILE_NAME).read_bytes()
    whole, resumed = make_model(), make_model()
    run(whole)
    run(resumed, folder=tmp_path, save_every=3)
    assert same(whole, resumed) and kept != (tmp_path / FILE_NAME).read_bytes()


def test_a_validation_loss_that_is_no_number_stops_the_run():
    answers = iter((2.0, math.nan))
    with pytest.raises(
        FloatingPointError, match="The validation loss must stay a finite number; at update 5 it is nan"
    ):
        training.train(make_model(), make_batches(), CONFIG, lambda model: next(answers), report=None)
