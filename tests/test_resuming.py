"""A run that is interrupted goes on to the same end, to the bit; and only as the run that it was."""

import itertools
import json
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
from mini_musessl.training.checkpoints import read_tensors, write_tensors
from mini_musessl.training.resuming import FILE_NAME

N_CALLS = CONFIG.n_updates * CONFIG.n_batches


class Stopped(Exception):
    """What stops a run in the middle of an update."""


def interrupted_at(call: int, objective=next_token_loss):
    calls = itertools.count()

    def stopping(model, batch):
        if next(calls) == call:
            raise Stopped
        return objective(model, batch)

    return stopping


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def whole():
    model = make_model()
    return model, run(model)


def test_a_run_killed_at_a_random_update_ends_with_the_same_weights(whole, tmp_path):
    update = int(np.random.default_rng(int.from_bytes(os.urandom(4), "big")).integers(3, CONFIG.n_updates))
    program = [sys.executable, training_runs.__file__, "killed", str(tmp_path), str(update)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    killed = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lines, model = [], make_model()
    history = run(model, folder=tmp_path, save_every=2, report=lines.append)
    assert history.seconds == sorted(history.seconds)
    assert lines[0] == f"update {(update // 2) * 2:5d}   going on from {tmp_path / FILE_NAME}"
    assert same(model, whole[0]), f"killed at update {update}"
    assert history == whole[1]


@pytest.mark.parametrize("call", [1, 7, N_CALLS - 1])
@pytest.mark.parametrize("save_every", [1, 3, None])
def test_a_run_stopped_anywhere_and_once_more_ends_with_the_same_weights(whole, tmp_path, call, save_every):
    for stop in (call, 1):
        with pytest.raises(Stopped):
            run(make_model(), objective=interrupted_at(stop), folder=tmp_path, save_every=save_every)
    model = make_model()
    assert run(model, folder=tmp_path, save_every=save_every) == whole[1]
    assert same(model, whole[0])


def test_keeping_a_state_changes_nothing_and_a_finished_run_is_not_run_again(whole, tmp_path):
    for objective in (next_token_loss, interrupted_at(0)):
        model = make_model()
        assert run(model, folder=tmp_path / "new" / "folder", objective=objective) == whole[1]
        assert same(model, whole[0]) and model.trained_steps == 12
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("keep_best", [True, False])
def test_a_run_that_stopped_early_stays_stopped(tmp_path, keep_best):
    config = replace(CONFIG, patience=2, keep_best=keep_best, report_every=2)
    first, again = make_model(), make_model()
    for model in (first, again):
        history = training.train(model, make_batches(), config, lambda model: 1.0, report=None, folder=tmp_path)
        assert history.update == [0, 2, 4]
    assert same(first, again)


def test_without_averaging_and_best_the_file_holds_neither(tmp_path):
    config = replace(CONFIG, averaging=0.0, keep_best=False)
    whole, model = make_model(), make_model()
    run(whole, config)
    with pytest.raises(Stopped):
        run(make_model(), config, objective=interrupted_at(13), folder=tmp_path, save_every=1)
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


def test_a_model_in_16_bits_goes_on_too(tmp_path):
    config = replace(CONFIG, averaging=0.0)
    whole, model = make_model().bfloat16(), make_model().bfloat16()
    run(whole, config)
    with pytest.raises(Stopped):
        run(make_model().bfloat16(), config, objective=interrupted_at(13), folder=tmp_path, save_every=1)
    run(model, config, folder=tmp_path)
    assert same(model, whole)


@pytest.fixture
def begun(tmp_path):
    with pytest.raises(Stopped):
        run(make_model(), objective=interrupted_at(9), folder=tmp_path, save_every=2)
    return tmp_path


def with_another_weight():
    model = make_model()
    model.to_logits.weight.data[3, 4] += 1
    return model


@pytest.mark.parametrize(
    "sentence, change",
    [
        (
            "begun with learning_rate=0.01, and now it is learning_rate=0.5",
            {"config": replace(CONFIG, learning_rate=0.5)},
        ),
        (
            "begun with n_updates=12, seed=0, and now it is n_up.*, seed=1",
            {"config": replace(CONFIG, seed=1, n_updates=13)},
        ),
        (r"begun with dropout=0\.2, and now it is dropout=0\.3", {"model": make_model(dropout=0.3)}),
        (
            "begun with other first weights. Make the same model anew from the same seed",
            {"model": with_another_weight()},
        ),
        ("drew another batch for update 4. Draw from the same pieces with the same", {"batches": make_batches(seed=1)}),
    ],
)
def test_another_run_is_refused_naming_what_differs(begun, sentence, change):
    before = (begun / FILE_NAME).read_bytes()
    same_run = {"model": make_model(), "batches": make_batches(), "config": CONFIG}
    with pytest.raises(ValueError, match=sentence):
        training.train(**same_run | change, evaluate=training_runs.evaluate, report=None, folder=begun)
    assert (begun / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("n_bytes", [0, 3000])
def test_a_damaged_state_is_refused(begun, n_bytes):
    path = begun / FILE_NAME
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        run(make_model(), folder=begun)


def cut_short(about, tensors):
    return about, {name: tensor[:1] if name.startswith("moments/exp") else tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    "sentence, change",
    [
        (r"moments/exp_avg/.* has the shape \(1,", cut_short),
        ("update 1000000000 of 12", lambda about, tensors: (about | {"update": 10**9}, tensors)),
        ("'average/", lambda about, tensors: (about, {k: t for k, t in tensors.items() if not k.startswith("ave")})),
        ("unexpected keyword argument 'wings'", lambda about, tensors: (about | {"history": {"wings": []}}, tensors)),
    ],
)
def test_a_state_that_does_not_fit_is_refused(begun, sentence, change):
    about, tensors = change(*read_tensors(begun / FILE_NAME))
    del about["digest"]
    write_tensors(begun / FILE_NAME, tensors, about)
    with pytest.raises(ValueError, match=f"must fit its model and config; .*{sentence}"):
        run(make_model(), folder=begun)


def test_a_file_that_is_no_state_is_refused(tmp_path):
    for metadata, sentence in (
        (None, "must hold facts about its numbers that this library wrote"),
        ({"mini_musessl": "[" * 100_000}, "must hold facts about its numbers that this library wrote"),
        ({"mini_musessl": json.dumps({"format": "a model"})}, "'mini_musessl training 1'; .* says 'a model'"),
    ):
        save_file({"weight": torch.zeros(3)}, tmp_path / FILE_NAME, metadata=metadata)
        with pytest.raises(ValueError, match=sentence):
            run(make_model(), folder=tmp_path)


@pytest.mark.parametrize("broken", ["loss", "length of the gradient", "largest weight"])
def test_what_is_no_number_stops_the_run_and_the_last_good_state_is_kept(tmp_path, monkeypatch, broken):
    calls = itertools.count()

    def objective(model, batch):
        loss, n_targets = next_token_loss(model, batch)
        if next(calls) // CONFIG.n_batches != 6:
            return loss, n_targets
        if broken == "length of the gradient":
            loss.register_hook(lambda gradient: gradient * math.inf)
        return loss * (math.nan if broken == "loss" else 1.0), n_targets

    def make_breaking_optimizer(model, config):
        optimizer, steps = make_optimizer(model, config), itertools.count(1)
        optimizer.register_step_post_hook(
            lambda *_: model.norm.weight.data.fill_(math.nan) if next(steps) == 7 else None
        )
        return optimizer

    make_optimizer = loop.make_optimizer
    if broken == "largest weight":
        monkeypatch.setattr(loop, "make_optimizer", make_breaking_optimizer)
    sentence = f"The {broken} must stay a finite number; at update 7 it is nan.*The state after update 6 is kept in"
    with pytest.raises(FloatingPointError, match=sentence):
        run(make_model(), objective=objective, folder=tmp_path, save_every=1 if broken == "largest weight" else 3)
    monkeypatch.undo()
    whole, resumed = make_model(), make_model()
    run(whole)
    run(resumed, folder=tmp_path, save_every=3)
    assert same(whole, resumed)
