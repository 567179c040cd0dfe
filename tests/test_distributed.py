"""Two processes under torchrun learn what one learns."""

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import training_runs
from training_runs import CONFIG, make_model, run

from mini_musessl.training.checkpoints import load_checkpoint
from mini_musessl.training.distributed import Processes


def torchrun(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, training_runs.__file__, *arguments], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done


def test_two_processes_end_with_the_weights_of_one(tmp_path):
    done = torchrun("shared", str(tmp_path / "two.safetensors"), str(tmp_path / "folder"))
    alone = make_model()
    history = run(alone)
    two, shared = load_checkpoint(tmp_path / "two.safetensors")
    for name, weight in alone.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], weight, atol=1e-6, rtol=0)
    assert two.trained_steps == alone.trained_steps == 12
    for name, values in asdict(history).items():
        if name != "seconds":
            assert shared[name] == pytest.approx(values, abs=1e-5)
    assert len(done.stdout.splitlines()) == len(history.update), "only the first process reports"
    # The state that the two left is one that a single process can go on from.
    assert run(make_model(), folder=tmp_path / "folder").update == history.update


def test_batches_are_shared_without_one_being_left_out():
    shares = [Processes(rank, 3).share(12) for rank in range(3)]
    assert sorted(index for share in shares for index in share) == list(range(12))
    assert [len(share) for share in shares] == [4, 4, 4]


def test_batches_that_cannot_be_shared_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match="n_batches must be a multiple of the number of processes, 4, .*; found 2"):
        run(make_model(), CONFIG)


def test_an_environment_that_torchrun_has_not_made_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ValueError, match="which would have set MASTER_ADDR, MASTER_PORT too. Start it with torchrun"):
        run(make_model(), CONFIG)
