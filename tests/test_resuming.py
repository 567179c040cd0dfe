"""A run that is interrupted goes on to the same end, to the bit; and only as the run that it was."""

import functools
import itertools
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import altered_tensors
import fuzzing
import numpy as np
import pytest
import torch
import training_runs
from altered_tensors import altered_by_chance, altered_on_purpose
from safetensors.torch import save_file
from training_runs import CONFIG, default_dtype, make_batches, make_model, run

from mini_musessl import training
from mini_musessl.batches import random_frame_batches
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.objectives.next_token import next_frame_loss, next_token_loss
from mini_musessl.training import loop
from mini_musessl.training.checkpoints import TensorFile, write_tensors
from mini_musessl.training.resuming import FILE_NAME

N_CALLS = CONFIG.n_updates * CONFIG.n_batches


class Stopped(Exception):
    """What stops a run in the middle of an update."""


def interrupted_at(call: int, objective=next_token_loss):
    calls = itertools.count()

    @functools.wraps(objective)  # a run says so when it goes on with another objective
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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_model_of_other_numbers_goes_on_too(tmp_path, dtype):
    whole, model = make_model().to(dtype), make_model().to(dtype)
    run(whole)
    with pytest.raises(Stopped):
        run(make_model().to(dtype), objective=interrupted_at(13), folder=tmp_path, save_every=1)
    run(model, folder=tmp_path)
    assert same(model, whole) and model.norm.weight.dtype == dtype


def test_a_model_that_uses_weights_twice_goes_on_too(tmp_path):
    def make_tied():
        model = make_model()
        model.token_tables[1].weight = model.token_tables[0].weight
        return model

    whole, model = make_tied(), make_tied()
    run(whole)
    with pytest.raises(Stopped):
        run(make_tied(), objective=interrupted_at(13), folder=tmp_path, save_every=1)
    run(model, folder=tmp_path)
    assert same(model, whole)


@pytest.mark.parametrize(
    "surroundings",
    [
        lambda: default_dtype(torch.float64),
        lambda: default_dtype(torch.float16),
    ],
)
def test_a_run_is_the_same_whatever_a_caller_has_set_as_default(whole, begun, surroundings):
    begun_anew, resumed = make_model(), make_model()
    with surroundings():
        history = run(begun_anew)
        assert run(resumed, folder=begun) == history
    assert same(begun_anew, whole[0]) and same(resumed, whole[0]) and history.train_nats == whole[1].train_nats


@pytest.fixture
def begun(tmp_path):
    with pytest.raises(Stopped):
        run(make_model(), objective=interrupted_at(9), folder=tmp_path, save_every=2)
    return tmp_path


def with_another_weight():
    model = make_model()
    model.to_logits.weight.data[3, 4] += 1
    return model


def with_a_frozen_weight():
    model = make_model()
    model.norm.weight.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    "sentence, change",
    [
        (r"begun with frozen=None, and now it is frozen=\['norm\.weight'\]", {"model": with_a_frozen_weight()}),
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
        (r"begun with dtype=torch\.float32, and now it is dtype=torch\.float64", {"model": make_model().double()}),
        ("drew another batch for update 4. Draw from the same pieces with the same", {"batches": make_batches(seed=1)}),
    ],
)
def test_another_run_is_refused_naming_what_differs(begun, sentence, change):
    before = (begun / FILE_NAME).read_bytes()
    same_run = {"model": make_model(), "batches": make_batches(), "config": CONFIG}
    with pytest.raises(ValueError, match=sentence):
        training.train(**same_run | change, evaluate=training_runs.evaluate, report=None, folder=begun)
    assert (begun / FILE_NAME).read_bytes() == before


def test_other_first_weights_on_another_processor_are_explained(begun, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "NO VECTORS")
    sentence = r"from the same seed where it was begun \(processor=\w+, and now it is processor=NO VECTORS\), or choose"
    with pytest.raises(ValueError, match=sentence):
        run(with_another_weight(), folder=begun)


@pytest.mark.parametrize(
    "what", ["objective", "evaluate", "processes", "threads", "device", "precision", "torch", "processor"]
)
def test_a_run_that_goes_on_otherwise_says_so(begun, what):
    alter(begun / FILE_NAME, lambda about, tensors: (about | {"around": about["around"] | {what: "x"}}, tensors))
    sentence = f"was begun with {what}=x, and now it is {what}=[^,]*. It goes on all the same, and may end with other"
    with pytest.warns(UserWarning, match=sentence):
        run(make_model(), folder=begun)
    run(make_model(), folder=begun)  # it has ended, and only gives its weights


def test_an_objective_is_known_by_its_name_and_numbers(begun):
    def smooth_loss(model, batch, smoothing, teachers):
        return next_token_loss(model, batch)

    objective = functools.partial(smooth_loss, smoothing=0.1, teachers=[1])
    with pytest.warns(UserWarning, match=r"=next_token_loss, and now .*smooth_loss {'smoothing': 0\.1}"):
        run(make_model(), objective=objective, folder=begun)


def test_what_a_killed_run_was_writing_goes_at_the_next_start(begun):
    (begun / ".musessl-0.part").write_bytes(bytes(1000))
    run(make_model(), folder=begun)
    assert [path.name for path in begun.iterdir()] == ["state.safetensors"]


def test_a_folder_belongs_to_one_run_at_a_time_and_is_free_when_it_stops(tmp_path):
    def evaluate(model):
        with pytest.raises(BlockingIOError, match="belongs to one run at a time; another one goes on in"):
            run(make_model(), folder=tmp_path)
        raise Stopped

    with pytest.raises(Stopped):
        training.train(make_model(), make_batches(), CONFIG, evaluate, report=None, folder=tmp_path)
    assert run(make_model(), folder=tmp_path).update[-1] == CONFIG.n_updates


@pytest.mark.parametrize("folder", ["a\0b", 3, "file", "file/below", "x" * 300, b"bytes"], ids=ascii)
def test_what_is_no_folder_is_refused(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no folder")
    with pytest.raises((OSError, ValueError), match=r"A run needs a folder that is there|A path must be text"):
        run(make_model(), folder=folder)


def test_a_folder_may_have_any_name(tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"caf\xe9\n\x1b[31m")
    for _ in range(2):
        run(make_model(), folder=folder, report=print)
    assert "going on from" in capsys.readouterr().out and (folder / FILE_NAME).is_file()


@pytest.mark.parametrize("n_bytes", [0, 6, 3000, -1])
def test_a_state_that_was_cut_is_refused(begun, n_bytes):
    path = begun / FILE_NAME
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="must be a whole safetensors file|is empty"):
        run(make_model(), folder=begun)


def test_a_bit_that_flips_anywhere_in_a_state_is_noticed(begun):
    path, generator = begun / FILE_NAME, np.random.default_rng(0)
    data = path.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    for place in (*generator.integers(8, n_header, 30), *generator.integers(n_header + 8, len(data), 30)):
        changed = bytearray(data)
        changed[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="must hold|must fit|must be a whole|is needed|goes on only with"):
            run(make_model(), folder=begun)


def alter(path, change):
    """Write a state as another one, with a digest that is right."""
    file = TensorFile(path)
    about, tensors = change({name: fact for name, fact in file.about.items() if name != "digest"}, file.read())
    write_tensors(path, tensors, about)


def of_facts(**facts):
    return lambda about, tensors: (about | facts, tensors)


def of_tensors(start, change):
    """Change the tensors whose names begin with a text; None leaves them out."""

    def changed(about, tensors):
        found = {name: change(tensor) if name.startswith(start) else tensor for name, tensor in tensors.items()}
        return about, {name: tensor for name, tensor in found.items() if tensor is not None}

    return changed


@pytest.mark.parametrize(
    "sentence, change",
    [
        # The fused AdamW looks at no shape and would write beyond the end of its moments.
        (r"exp_avg/.* is F32 of the shape \(1,", of_tensors("moments/exp_avg/", lambda tensor: tensor[:1])),
        (r"exp_avg_sq/.* is F64 of", of_tensors("moments/exp_avg_sq/", lambda tensor: tensor.double())),
        ("step/.* is missing", of_tensors("moments/step/", lambda tensor: None)),
        (r"step/.* is F32 of the shape \(1,\)", of_tensors("moments/step/", lambda tensor: tensor[None])),
        (
            r"step/.* must lie in 0\.\.4, the updates made; found 5",
            of_tensors("moments/step/", lambda tensor: tensor + 1),
        ),
        (r"step/.* must lie in 0\.\.4, the updates made; found -4", of_tensors("moments/step/", torch.neg)),
        ("exp_avg_sq/.* must not be negative", of_tensors("moments/exp_avg_sq/", torch.neg)),
        ("average/.* is missing", of_tensors("average/", lambda tensor: None)),
        ("wings is one tensor too many", lambda about, tensors: (about, tensors | {"wings": torch.ones(2)})),
        ("recent is F32 of the shape", of_tensors("recent", lambda tensor: tensor[:0])),
        ("history/valid_nats is F64 of the shape", of_tensors("history/valid", lambda tensor: tensor[:0])),
        ("its history has lines of other updates", of_tensors("history/update", lambda tensor: tensor + 1)),
        (r"update must lie in 1\.\.12; found 1000000000", of_facts(update=10**9)),
        (r"update must lie in 1\.\.12; found -1", of_facts(update=-1)),
        ("update must be a whole number; found 4.5", of_facts(update=4.5)),
        ("recent is F32 of the shape", of_facts(update=3)),
        ("n_targets must be a whole number; found None", of_facts(n_targets=None)),
        ("seconds must be a finite number above 0", of_facts(seconds=-1.0)),
        ("'settings'", lambda about, tensors: ({k: v for k, v in about.items() if k != "settings"}, tensors)),
    ],
)
def test_a_state_that_does_not_fit_is_refused(begun, sentence, change):
    alter(begun / FILE_NAME, change)
    with pytest.raises(ValueError, match=f"must fit its model and config; .*{sentence}"):
        run(make_model(), folder=begun)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_state_with_numbers_that_are_none_is_refused(begun, value):
    alter(begun / FILE_NAME, of_tensors("average/", lambda tensor: tensor * value))
    with pytest.raises(ValueError, match="must hold finite numbers; average/"):
        run(make_model(), folder=begun)


def test_a_file_that_is_no_state_is_refused(tmp_path):
    for metadata, sentence in (
        (None, "must hold facts about its numbers that this library wrote"),
        ({"mini_musessl": "[" * 100_000}, "must hold facts about its numbers that this library wrote"),
        ({"mini_musessl": "[" * (1 << 20)}, "must be a whole safetensors file"),
        ({"mini_musessl": json.dumps({"format": "a model"})}, "'mini_musessl training 2' is needed; .* says a model"),
    ):
        save_file({"weight": torch.zeros(3)}, tmp_path / FILE_NAME, metadata=metadata)
        with pytest.raises(ValueError, match=sentence):
            run(make_model(), folder=tmp_path)


@pytest.mark.parametrize("broken", ["loss", "length of the gradient", "largest weight"])
def test_what_is_no_number_stops_the_run_and_the_last_good_state_is_kept(tmp_path, monkeypatch, broken):
    calls = itertools.count()

    @functools.wraps(next_token_loss)
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


@pytest.mark.parametrize(
    "n_files, send", [(8, fuzzing.run_here), pytest.param(150, fuzzing.run, marks=pytest.mark.slow)]
)
def test_no_altered_checkpoint_or_state_does_harm(n_files, send):
    inputs = []
    for doors, data in zip(altered_tensors.DOORS, altered_tensors.whole_files(), strict=True):
        for door, alter in zip(doors, (altered_by_chance, altered_on_purpose), strict=True):
            files = itertools.islice(alter(data, np.random.default_rng(n_files)), n_files)
            inputs += [(door, file) for file in files]
    outcomes = send(altered_tensors.pass_on, inputs)
    assert not fuzzing.failures(outcomes), fuzzing.report(outcomes)
