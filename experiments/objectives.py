"""What each objective teaches: one encoder, one budget, every objective, the same probes; three seeds.

python experiments/objectives.py                                   # every run that is not there yet; hours on one core
python experiments/objectives.py --only "masked, orderless" order --seeds 0       # some runs; no result is written
python experiments/objectives.py --collect                         # the result of all runs that are there
python experiments/objectives.py --key-finder      # this baseline alone, put into the result that is there; seconds
python experiments/objectives.py --updates 3 --folder try          # a quick look at everything

The training part of the rebuilt split gives the pieces to train on and those to label; the test part is asked. Each
run is kept in experiments/runs/objectives: its row, and the weights of a network that fills. The result,
mini_musessl/results/objectives.json, is made of all rows that are there.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kept_runs import keep, read_options, read_rows, shorten, with_published
from objectives_settings import ENCODER, SEEDS, SETTINGS, TRAINING, Setting
from provenance import COMMIT_AT_START, ROOT, add_rows, describe_command, find_processor, write_result
from torch import nn

from mini_musessl import corpora, masking, training, voices
from mini_musessl.evaluation import counting, fine_tuning, infilling, probe_tasks, probing
from mini_musessl.network.encoder import FrameEncoder, MaskedTransformer
from mini_musessl.training import checkpoints

RUNS = ROOT / "experiments" / "runs" / "objectives"
#: Labelled pieces of a probe, and of the networks that are fine-tuned, which cost far more.
PROBE_BUDGETS, FINE_TUNING_BUDGETS = (1, 5, 10, 50, None), (10, None)
#: Draws of the labelled pieces for each encoder, and for the networks that are fine-tuned: the first of them.
N_DRAWS, N_FINE_TUNING_DRAWS = 3, 1
#: Updates of fine-tuning: as many for an encoder that was trained before as for a fresh one, which needs more.
N_FINE_TUNING_UPDATES = 300
#: Names of tasks in runs that were kept before the tasks had those of now.
NAMES_BEFORE = {"key": "key signature", "cadence": "phrase end"}
#: What in a row has a task.
KINDS = ("probes", "fine_tuned")
SWITCHES = {
    "collect": "train nothing; write the result of what is there",
    "key-finder": "put the row of the key finder, which needs no label, into the result that is there",
}


@functools.cache
def load_split() -> dict[str, list[voices.VoiceGrid]]:
    """Return the chorales by part."""
    return corpora.rebuilt_split(corpora.load_chorales())


def choose_pieces(setting: Setting, seed: int) -> list[voices.VoiceGrid]:
    """Return the pieces to train on: those of few are among those of many."""
    pieces = load_split()["train"]
    if setting.n_pieces is None:
        return pieces
    return [pieces[index] for index in np.random.default_rng(seed).permutation(len(pieces))[: setting.n_pieces]]


def split_tests() -> tuple[list[voices.VoiceGrid], dict[str, probing.PieceSplit]]:
    """Return the chorales, and which are tested: all of the test part, and those of it whose hymn is new.

    About half of the test pieces set a hymn that is also set in a piece to train on and to label.
    """
    grids, split = probing.join_parts(load_split())
    hymns = corpora.melody_groups(grids)
    known = set(hymns[list(split.labelled)].tolist())
    new = tuple(piece for piece in split.test if hymns[piece] not in known)
    return grids, {"all": split} | ({"new hymns": probing.PieceSplit(split.labelled, new)} if new else {})


def ask_probes(features: dict[str, probing.Features], seed: int) -> list[dict[str, Any]]:
    """Return a row per set of test pieces, task, budget and draw, without what every row of the study repeats.

    Draw number d of every encoder labels the same pieces. With all pieces labelled there is one draw.
    """
    kept = ("task", "budget", "draw", "balanced_accuracy", "chance", "accuracy", "majority_accuracy")
    rows: list[dict[str, Any]] = []
    for tested, split in split_tests()[1].items():
        for task, asked in features.items():
            if not asked.classes and tested == "all":  # a hymn can be found only among pieces that share one
                rows.append({"tested": tested, "task": task} | dataclasses.asdict(probing.retrieve(asked, split.test)))
            for budget in PROBE_BUDGETS if asked.classes else ():
                for draw in range(1 if budget is None else N_DRAWS):
                    result = probing.probe(features, task, split, budget, np.random.default_rng([seed, draw]))
                    found = {"draw": draw} | dataclasses.asdict(result)
                    rows.append({"tested": tested} | {key: found[key] for key in kept})
    return [{key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()} for row in rows]


def find_networks(name: str) -> dict[int, Path]:
    """Return by seed where the networks of a setting that fills are kept, once their runs have ended."""
    setting = next(setting for setting in SETTINGS if setting.name == name)
    return {seed: RUNS / f"{setting.file_name}-{seed}.safetensors" for seed in SEEDS}


def choose_tasks(model: nn.Module) -> list[str]:
    """Return the tasks to ask of an encoder: not the beat of one that is told the step in the bar."""
    is_told = getattr(model, "encoder", model).config.cycle_length > 1
    return [task for task in probe_tasks.TASKS if not (is_told and task == "beat")]


def fine_tune_all(encoder: FrameEncoder, seed: int) -> list[dict[str, Any]]:
    """Return a row per task, budget and draw of copies that are trained on labels too, tested on all test pieces."""
    grids, splits = split_tests()
    config = dataclasses.replace(fine_tuning.FINE_TUNING, n_updates=N_FINE_TUNING_UPDATES, seed=seed)
    rows = []
    for task in (name for name, task in probe_tasks.TASKS.items() if task.classes):
        for budget in FINE_TUNING_BUDGETS:
            for draw in range(1 if budget is None else N_FINE_TUNING_DRAWS):
                generator = np.random.default_rng([seed, draw])  # the labelled pieces of that draw of the probes
                found = fine_tuning.fine_tune(encoder, task, grids, splits["all"], budget, generator, config)
                accuracy = round(found.balanced_accuracy, 4)
                rows.append(
                    {"tested": "all", "task": task, "budget": budget, "draw": draw, "balanced_accuracy": accuracy}
                )
    return rows


def measure_infilling(model: object) -> dict[str, dict[str, float]]:
    """Return nats per hidden cell by part and kind of hiding; every model is asked for the same cells."""
    found = {
        part: infilling.evaluate_kinds(model, load_split()[part], np.random.default_rng(0))
        for part in ("valid", "test")
    }
    return {
        part: {kind: round(result.nats_per_cell, 4) for kind, result in kinds.items()} for part, kinds in found.items()
    }


def count_neighbours() -> counting.NeighbourCounts:
    """Count what stood in hidden cells of the training pieces, hidden in every way."""
    pieces = load_split()["train"]
    drawn = [infilling.draw_hidden(pieces, hide, np.random.default_rng(0)) for hide in masking.MASKERS.values()]
    return counting.NeighbourCounts(pieces, [np.concatenate(draws) for draws in zip(*drawn, strict=True)])


#: What the result is made of: a row without it is made again.
NEEDED = ("model", "group", "all_seconds")


def run(setting: Setting, seed: int, folder: Path, n_updates: int | None = None) -> dict[str, Any]:
    """Train and probe one encoder, or read the row of the run that has ended.

    Args:
        folder: where runs are kept.
        n_updates: fewer updates than the setting says, for a quick look.
    """
    path = folder / f"{setting.file_name}-{seed}.json"
    return keep(path, functools.partial(train_and_probe, setting, seed, folder, n_updates), NEEDED)


def train_and_probe(setting: Setting, seed: int, folder: Path, n_updates: int | None) -> dict[str, Any]:
    """Train and probe one encoder, and return its row; ``seed`` sets the first weights, the order and dropout."""
    print(f"{setting.name}, seed {seed}", flush=True)
    began = time.perf_counter()
    row: dict[str, Any] = {"model": setting.name, "group": setting.group, "seed": seed}
    if setting.way is None:
        model = FrameEncoder(dataclasses.replace(ENCODER, is_causal=setting.is_causal), seed)
    else:
        model, trained = train_model(setting, seed, n_updates)
        row |= trained
        measured = setting.way.measure(model, load_split()["valid"])
        row["measured"] = {name: round(float(value), 4) for name, value in measured.items()}
    if isinstance(model, MaskedTransformer):
        row["infilling"] = measure_infilling(model)
        path = folder / f"{setting.file_name}-{seed}.safetensors"
        checkpoints.save_checkpoint(model, path, {"model": setting.name, "seed": seed})
    # Contrast and order learned from 32 steps and are asked on 96. The page of the study says so; here it is allowed.
    model.trained_steps = None
    row["probes"] = ask_probes(probing.encoder_features(model, split_tests()[0], choose_tasks(model)), seed)
    if setting.is_fine_tuned:
        row["fine_tuned"] = fine_tune_all(model, seed)
    row |= {"commit": COMMIT_AT_START, "command": describe_command(), "processor": find_processor()}
    row["all_seconds"] = round(time.perf_counter() - began, 1)
    print(f"{setting.name}, seed {seed}: {row['all_seconds']} seconds", flush=True)
    return row


def train_model(setting: Setting, seed: int, n_updates: int | None) -> tuple[nn.Module, dict[str, Any]]:
    """Return a network as a setting trains it, and what it cost."""
    batches = setting.way.make_batches(choose_pieces(setting, seed), np.random.default_rng(seed))
    model, row = setting.way.make_model(seed), {"updates": 0, "seconds": 0.0}
    for config in filter(None, (setting.training, setting.counterpoint)):
        if config is setting.counterpoint:
            model = add_counterpoint(model)
        config = shorten(dataclasses.replace(config, seed=seed), n_updates)
        history = training.train(
            model, batches, config, objective=setting.way.objective, report=lambda line: print(line, flush=True)
        )
        row["updates"] += config.n_updates
        row["seconds"] = round(row["seconds"] + history.seconds[-1], 1)
    return model.requires_grad_(True), row


def add_counterpoint(model: MaskedTransformer) -> MaskedTransformer:
    """Return a masked network with tables of counterpoint, which are all that it can still learn.

    In a trial they were learned with the rest from the start; then the rest named voices that are hidden whole, at
    which no motion is known, less well than without tables. There is no dropout: what they add to does not change.
    """
    told = MaskedTransformer(dataclasses.replace(model.config, uses_counterpoint=True, dropout=0.0))
    told.load_state_dict(model.state_dict(), strict=False)
    told.requires_grad_(False).counterpoint.requires_grad_(True)
    return told


def reference_rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows that train no encoder here: hand-made features, the states of the shipped network, counting."""

    def by_hand() -> list[dict[str, Any]]:
        features = probing.handmade_features(split_tests()[0])
        return [
            {"model": "made by hand", "group": "references", "seed": seed, "probes": ask_probes(features, seed)}
            for seed in SEEDS
        ]

    def by_voice() -> list[dict[str, Any]]:
        model = checkpoints.load("chorale-frame").model
        features = probing.encoder_features(model, split_tests()[0], choose_tasks(model))
        name = "chorale-frame, the shipped network"
        return [
            {"model": name, "group": "references", "seed": seed, "probes": ask_probes(features, seed)} for seed in SEEDS
        ]

    def by_counting() -> list[dict[str, Any]]:
        models = {"counts of neighbours": count_neighbours(), "uniform": counting.Uniform()}
        return [
            {"model": name, "group": "counting", "infilling": measure_infilling(model)}
            for name, model in models.items()
        ]

    makers = (find_keys, by_hand, by_voice, by_counting)
    return [
        row
        for make in makers
        for row in keep(folder / f"{make.__name__}.json", functools.partial(_timed, make), NEEDED)
    ]


def find_keys() -> list[dict[str, Any]]:
    """Return the row of the key finder of notebook 3a, which needs no label: budget 0."""
    grids, splits = split_tests()
    rows = []
    for tested, split in splits.items():
        for task in ("key signature", "mode"):
            found = probing.probe_key_finder(task, grids, split, np.random.default_rng(0))
            accuracy = round(found.balanced_accuracy, 4)
            rows.append({"tested": tested, "task": task, "budget": 0, "balanced_accuracy": accuracy})
    return [{"model": "key finder, no labels", "group": "references", "probes": rows}]


def _timed(make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return rows with what each of them cost, and the commit."""
    began = time.perf_counter()
    rows = make()
    cost = {"all_seconds": round((time.perf_counter() - began) / len(rows), 1), "commit": COMMIT_AT_START}
    return [row | cost for row in rows]


def rename_tasks(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the names that tasks have now."""
    renamed = {
        kind: [each | {"task": NAMES_BEFORE.get(each["task"], each["task"])} for each in row[kind]]
        for kind in KINDS
        if kind in row
    }
    return row | renamed


def gather_draws(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return an entry per set of test pieces, task and budget, with the balanced accuracies of its draws in a list.

    What is not in the book is left out: the result comes with the package. Chance is kept once a task.
    """
    gathered: dict[tuple, dict[str, Any]] = {}
    for each in found:
        if "balanced_accuracy" not in each:
            gathered[each["tested"], each["task"], "retrieval"] = each
            continue
        key = each["tested"], each["task"], each["budget"]
        if key not in gathered:
            gathered[key] = dict(zip(("tested", "task", "budget"), key, strict=True)) | {"balanced_accuracy": []}
            if each["budget"] is None and "chance" in each:
                gathered[key]["chance"] = each["chance"]
        gathered[key]["balanced_accuracy"].append(each["balanced_accuracy"])
    return list(gathered.values())


def main() -> None:
    """Run what is asked for, and write the result of all runs that are there."""
    names = [setting.name for setting in SETTINGS]
    asked = read_options(__doc__, names, RUNS, **SWITCHES)
    if asked.key_finder:
        (row,) = _timed(find_keys)
        row["probes"] = gather_draws(row["probes"])
        cost = row["all_seconds"]
        path = add_rows(
            "objectives", [row], lambda old: old["model"] == row["model"], cost, asked.results, rename_tasks
        )
        print(f"Wrote {path}")
        return
    seeds = SEEDS if asked.seeds is None else asked.seeds
    torch.set_num_threads(1)
    chosen = [setting for setting in SETTINGS if setting.name in asked.only]
    for seed in () if asked.collect else seeds:
        for setting in chosen:
            run(setting, seed, asked.runs, asked.updates)
    is_part = len(chosen) < len(SETTINGS) or set(seeds) < set(SEEDS)
    if is_part and not asked.collect and asked.folder is None:
        print(f"The runs are kept in {asked.runs}. To write the result of all that are there: --collect.")
        return
    rows = reference_rows(asked.runs)
    for setting in SETTINGS:
        rows += read_rows(setting, SEEDS, asked.runs, NEEDED)
    rows = [row | {kind: gather_draws(row[kind]) for kind in KINDS if kind in row} for row in map(rename_tasks, rows)]
    rows = with_published("objectives", rows, names, asked.results)
    path = write_result(
        "objectives",
        rows,
        seeds=sorted({row["seed"] for row in rows if "seed" in row}),
        seconds=sum(row["all_seconds"] for row in rows),
        folder=asked.results,
        encoder=dataclasses.asdict(ENCODER),
        training=dataclasses.asdict(TRAINING),
    )
    print(f"Wrote {path}")


if __name__ == "__main__":
    main()
