"""Put the best runs of the experiments into the package, each in half precision and with its card.

python experiments/ship.py       # after jsb.py and objectives.py; writes mini_musessl/pretrained_files/*.safetensors

Of the seeds of a setting, the one with the lowest validation loss is shipped; the card says so and gives the spread of
all. The scores on the card are those of the shipped weights, measured after they were rounded.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsb
import jsb_settings
import objectives
import objectives_settings
import torch
from kept_runs import read_rows

from mini_musessl.evaluation import likelihood
from mini_musessl.training import checkpoints

LICENCE = "weights MIT; the music is in the public domain"


@dataclass(frozen=True)
class Shipped:
    """A model to ship."""

    name: str
    about: str  # first line of its card
    script: str  # the experiment that trains it, under experiments/
    setting: Any  # its setting there
    runs: Path  # where its runs are kept
    seeds: tuple[int, ...]  # those of the setting
    data: str  # what it was trained on
    licence: str  # of the weights and of what they were trained on
    loss: Callable[[dict[str, Any]], float]  # of the row of a run: the validation loss that chooses among seeds
    score: Callable[[torch.nn.Module], dict[str, float]]  # for the card


def score_frames(model: torch.nn.Module) -> dict[str, float]:
    """Return the likelihood of the benchmark."""
    split = jsb.load_data("JSB")
    return {
        f"{part}, nats per token": round(likelihood.evaluate_likelihood(model, split[part]).nats_per_token, 4)
        for part in ("valid", "test")
    }


def score_masked(model: torch.nn.Module) -> dict[str, float]:
    """Return nats per hidden cell by kind of hiding."""
    found = objectives.measure_infilling(model)
    return {
        f"{part}, nats per cell, {kind} hidden": nats
        for part in ("valid", "test")
        for kind, nats in found[part].items()
    }


def _find(settings: tuple, name: str) -> Any:
    """Return a setting by its name."""
    return next(setting for setting in settings if setting.name == name)


SHIPPED = (
    Shipped(
        "chorale-frame",
        "the best model of the chorale benchmark, one position per step; it learned from three others",
        "jsb.py",
        _find(jsb_settings.SETTINGS, "frames, taught"),
        jsb.RUNS,
        _find(jsb_settings.SETTINGS, "frames, taught").seeds,
        "JSB-16-SATB, the training part: 229 chorales of J. S. Bach, transposed by -5 to 6 semitones",
        f"{LICENCE}; the file of the data states no licence",
        lambda row: row["valid"]["nats"],
        score_frames,
    ),
    Shipped(
        "chorale-masked",
        "names hidden cells of a chorale, whichever and however many are hidden; fills gaps and harmonises",
        "objectives.py",
        _find(objectives_settings.SETTINGS, "masked, every kind, long"),
        objectives.RUNS,
        objectives_settings.SEEDS,
        "Bach-16 (rebuilt), the training part: chorales of J. S. Bach from music21's corpus, transposed",
        LICENCE,
        lambda row: statistics.fmean(row["infilling"]["valid"].values()),
        score_masked,
    ),
)


def ship(shipped: Shipped) -> None:
    """Write one shipped model, if one of its runs has ended."""
    rows = read_rows(shipped.setting, shipped.seeds, shipped.runs)
    if not rows:
        print(f"{shipped.name}: no run of {shipped.setting.name!r} has ended; run experiments/{shipped.script} first.")
        return
    best = min(rows, key=shipped.loss)
    path = checkpoints.FOLDER / f"{shipped.name}.safetensors"
    model, _ = checkpoints.load_checkpoint(shipped.runs / f"{shipped.setting.file_name}-{best['seed']}.safetensors")
    checkpoints.save_checkpoint(model, path, {}, dtype=torch.float16)
    model, _ = checkpoints.load_checkpoint(path)
    card = {
        "about": shipped.about,
        "data": shipped.data,
        "licence": shipped.licence,
        "seed": best["seed"],
        **_describe_temperature(best),
        "choice": _describe_choice([shipped.loss(row) for row in rows]),
        "command": f'python experiments/{shipped.script} --only "{shipped.setting.name}" --seeds {best["seed"]}',
        "commit": best["commit"][:10]
        + (f", filling scored at {best['infilling_commit'][:10]}" if "infilling_commit" in best else ""),
        "device": best["processor"],
        "cost": _describe_cost(best, shipped.runs),
        "scores": shipped.score(model),
        "copying": "not measured",
    }
    checkpoints.save_checkpoint(model, path, card, dtype=torch.float16)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {card['scores']}")


def _describe_temperature(row: dict[str, Any]) -> dict[str, str]:
    """Say by what the logits are divided, if they are."""
    if "temperature" not in row:
        return {}
    return {"temperature": f"{row['temperature']}, the one that suits the validation part"}


def _describe_choice(losses: list[float]) -> str:
    """Say how the seed was chosen."""
    if len(losses) == 1:
        return "the only seed that was trained"
    return (
        f"lowest validation loss of {len(losses)} seeds, whose mean is {statistics.fmean(losses):.4f} ± "
        f"{statistics.stdev(losses):.4f}"
    )


def _describe_cost(row: dict[str, Any], runs: Path) -> str:
    """Say how long training took, its teachers' included."""
    minutes = f"{row['seconds'] / 60:.0f} minutes on one core"
    if "taught_by" not in row:
        return minutes
    setting = _find(jsb_settings.SETTINGS, row["taught_by"])
    teachers = read_rows(setting, setting.seeds, runs)
    return f"{minutes}, after {sum(each['seconds'] for each in teachers) / 60:.0f} for its {len(teachers)} teachers"


if __name__ == "__main__":
    for each in SHIPPED:
        ship(each)
