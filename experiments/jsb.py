"""The chorale benchmark JSB-16-SATB: counting, a GRU, token Transformers, frame Transformers, and what each idea gave.

python experiments/jsb.py                                # every run that is not there yet; hours on one core
python experiments/jsb.py --only "frames" --seeds 0 1 2
python experiments/jsb.py --count             # the models that count alone, put into the result that is there; seconds
python experiments/jsb.py --matches           # how the kept networks do in repeats, put into it; a minute each
python experiments/jsb.py --updates 20 --folder try   # a quick look at everything; writes its result there

Each run is kept in experiments/runs: its state while it trains, so that it goes on when it was stopped, and then its
row and its weights. The result, mini_musessl/results/jsb.json, is made of all rows that are there. Settings were chosen
by the validation part; each run scores the test part once, when it has ended.

The data is downloaded on the first run, or read from the file that MUSESSL_JSB names.
"""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import calibration
import numpy as np
import torch
from distillation import distillation_loss
from ensemble import Ensemble
from jsb_settings import SETTINGS, Setting
from kept_runs import file_name, keep, read_options, read_rows, shorten, with_published
from provenance import COMMIT_AT_START, ROOT, add_rows, describe_command, find_processor, write_result

from mini_musessl import corpora, repeats, training
from mini_musessl.batches import random_batches, random_frame_batches
from mini_musessl.evaluation import counting, likelihood, voice_leading
from mini_musessl.generation.sampling import sample_frames
from mini_musessl.network.frames import FrameTransformer
from mini_musessl.objectives.next_token import copy_batches, next_frame_loss, next_token_loss
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens, encode_chorales
from mini_musessl.training import checkpoints

PARTS = ("train", "valid", "test")
RANGES = encode_chorales([np.transpose(list(voice_leading.RANGES.values()))])[0].T  # as ids, (4, 2)
RUNS = ROOT / "experiments" / "runs"
BASELINES = {
    "uniform": lambda chorales: counting.Uniform(),
    "unigram per voice": counting.Unigram,
    "same again": counting.SameAgain,
    "6-gram in twelve keys": partial(counting.NGram, order=6),  # the best on valid of the orders 1 to 8, notebook 2a
    "counts that know music": counting.MusicalCounts,
}


def load_data(name: str) -> dict[str, list]:
    """Return the chorales of a split by part.

    Args:
        name: "JSB", "rebuilt" or "melody-disjoint".
    """
    loaders = {
        "JSB": corpora.load_jsb,
        "rebuilt": corpora.rebuilt_split,
        "melody-disjoint": corpora.melody_disjoint_split,
    }
    return loaders[name]()


def make_batches(setting: Setting, ids: list[np.ndarray], seed: int | Sequence[int]) -> Iterator[Any]:
    """Draw batches for a setting without end, from the ids of pieces, each (n_steps, 4)."""
    generator, semitones = np.random.default_rng(seed), range(-5, 7) if setting.transposes else range(1)
    if setting.reads_frames:
        ranges = RANGES if setting.keeps_ranges else None
        batches = random_frame_batches(ids, setting.n_windows, setting.n_steps, generator, semitones, ranges=ranges)
        return copy_batches(batches, ids) if setting.model.uses_copies else batches
    return random_batches(
        [piece.ravel() for piece in ids],
        setting.n_windows,
        4 * setting.n_steps,
        generator,
        begin_id=47,
        stride_token=64,
        pitch_ids=range(1, 47),
        semitones=semitones,
    )


def sample_from(teachers: list[torch.nn.Module], n_pieces: int, n_steps: int = 256) -> list[np.ndarray]:
    """Let each teacher write its part of so many pieces, the same at every call; return their ids, (n_steps, 4)."""
    pieces: list[np.ndarray] = []
    for seed, teacher in enumerate(teachers):
        nothing = torch.zeros(n_pieces // len(teachers), 0, 4, dtype=torch.long)
        pieces.extend(sample_frames(teacher, nothing, n_steps, torch.Generator().manual_seed(seed)).numpy())
    return pieces


def find_networks(name: str, folder: Path) -> dict[int, Path]:
    """Return by seed where the networks of a setting are kept, once their runs have ended."""
    setting = next(setting for setting in SETTINGS if setting.name == name)
    return {seed: folder / f"{setting.file_name}-{seed}.safetensors" for seed in setting.seeds}


def load_teachers(name: str, folder: Path) -> list[torch.nn.Module]:
    """Return the kept networks of a setting, one per seed."""
    paths = find_networks(name, folder).values()
    missing = [path.stem for path in paths if not path.exists()]
    if missing:
        raise SystemExit(f"Teachers must be trained before their students; {', '.join(missing)} did not end yet.")
    return [checkpoints.load_checkpoint(path).model for path in paths]


def describe_score(score: likelihood.Likelihood) -> dict[str, Any]:
    """Return the numbers that the protocol asks for, and the nats of each piece.

    Models that answer for the symbols that came alone have no first choice; then there is no "change_accuracy".
    """
    guessed = score.change_accuracy
    return {
        "nats": round(score.nats_per_token, 5),
        "nats_per_frame": round(score.nats_per_frame, 4),
        "bits_per_quarter": round(score.bits_per_quarter, 3),
        "voices": [round(float(nats), 4) for nats in score.voice_nats],
        "piece_mean": round(score.mean_of_piece_means, 4),
        **({} if guessed is None else {"change_accuracy": round(float(guessed), 4)}),
        "pieces": [round(float(nats), 4) for nats in score.piece_nats],
    }


def score_parts(model: object, split: dict[str, list]) -> dict[str, Any]:
    """Score validation and test; a network over frames first gets the temperature that suits validation."""
    scores = {}
    if isinstance(model, FrameTransformer):
        before = {part: likelihood.evaluate_likelihood(model, split[part]).nats_per_token for part in PARTS[1:]}
        model.set_temperature(round(calibration.find_temperature(model, split["valid"]), 3))
        scores = {"temperature": model.config.temperature}
        scores["before_temperature"] = {part: round(nats, 5) for part, nats in before.items()}
    return scores | {part: describe_score(likelihood.evaluate_likelihood(model, split[part])) for part in PARTS[1:]}


def count(data: str) -> list[dict[str, Any]]:
    """Return the rows of the models that count."""
    split, rows = load_data(data), []
    for name, make in BASELINES.items():
        began = time.process_time()
        model = make(split["train"])
        seconds = time.process_time() - began
        rows.append(
            {"model": name, "group": "counting", "data": data, "seconds": round(seconds, 1)} | score_parts(model, split)
        )
    return rows


def score_together(name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the networks of a setting together, and of its first one in twelve keys; none without them.

    They are not single models: they say how much of a loss is chance, and what a student could learn.
    """
    paths = find_networks(name, folder)

    def score() -> list[dict[str, Any]]:
        networks, split = load_teachers(name, folder), load_data("JSB")
        ensembles = {
            f"{name}: {len(networks)} seeds together": Ensemble(networks),
            f"{name}: seed {min(paths)} in twelve keys": Ensemble(networks[:1], range(-5, 7)),
        }
        return [
            {"model": about, "group": "together", "data": "JSB", "seconds": 0.0, **score_parts(model, split)}
            for about, model in ensembles.items()
        ]

    path = folder / f"{file_name(name)}-together.json"
    return keep(path, score) if path.exists() or all(path.exists() for path in paths.values()) else []


#: Steps are told apart by how many steps before them have been sung before: none, 1 to 3, 4 to 7, and so on.
MATCHES = (0, 1, 4, 8, 16, 32)


def describe_matches(score: likelihood.Likelihood, pieces: list) -> list[dict[str, float]]:
    """Return by the length of the longest match: share of the steps, how often copying is right, and nats per step."""
    ids = encode_chorales(pieces)
    longest = [(found.copied[:, 0], found.length[:, 0]) for found in repeats.copies_of_pieces(ids)]
    copied, length = map(np.concatenate, zip(*longest, strict=True))
    is_right = (copied == np.concatenate(ids)).all(axis=1)
    nats = np.concatenate(score.nats).sum(axis=1)
    group = np.digitize(length, MATCHES[1:])
    return [
        {"from": steps, "share": is_here.mean(), "right": is_right[is_here].mean(), "nats": nats[is_here].mean()}
        for steps, is_here in ((steps, group == place) for place, steps in enumerate(MATCHES))
    ]


def score_matches(folder: Path) -> list[dict[str, Any]]:
    """Return a row for every kept network: how it does by the length of the longest match."""

    def score(name: str, seed: int, path: Path) -> dict[str, Any]:
        network, split = checkpoints.load_checkpoint(path).model, load_data("JSB")
        row = {"model": name, "group": "matches", "data": "JSB", "seed": seed, "seconds": 0.0}
        for part in PARTS[1:]:
            found = describe_matches(likelihood.evaluate_likelihood(network, split[part]), split[part])
            row[part] = [{key: round(float(value), 4) for key, value in each.items()} for each in found]
        return row

    rows = []
    for name in (setting.name for setting in SETTINGS if setting.is_kept):
        for seed, path in find_networks(name, folder).items():
            place = path.with_name(f"{path.stem}-matches.json")
            if place.exists() or path.exists():
                rows.append(keep(place, partial(score, name, seed, path)))
    return rows


#: What the result is made of: a row without it is made again.
NEEDED = ("model", "group", "seed", "seconds", "valid", "test")


def run(setting: Setting, seed: int, folder: Path, n_updates: int | None = None) -> dict[str, Any]:
    """Train and score one model, or read the row of the run that has ended.

    Args:
        folder: where runs are kept.
        n_updates: fewer updates than the setting says, for a quick look.
    """
    path = folder / f"{setting.file_name}-{seed}.json"
    return keep(path, partial(train_and_score, setting, seed, folder, n_updates), NEEDED)


def train_and_score(setting: Setting, seed: int, folder: Path, n_updates: int | None) -> dict[str, Any]:
    """Train and score one model, and return its row; ``seed`` sets the first weights, the order and dropout."""
    place = folder / f"{setting.file_name}-{seed}"
    split, tokenizer = load_data(setting.data), VoiceGridTokens()
    ids = [tokenizer.encode(piece).reshape(-1, 4) for piece in split["train"]]
    objective = next_frame_loss if setting.reads_frames else next_token_loss
    batches = make_batches(setting, ids, seed)
    if setting.teachers:
        teachers = load_teachers(setting.teachers, folder)
        objective = partial(distillation_loss, teachers=teachers)
        if setting.n_sampled:
            written = make_batches(setting, sample_from(teachers, setting.n_sampled), (seed, 1))
            batches = (batch for both in zip(batches, written, strict=True) for batch in both)
    model = setting.make_model(seed)
    config = shorten(dataclasses.replace(setting.training, seed=seed), n_updates)

    def evaluate(network: torch.nn.Module) -> float:
        with torch.autocast("cpu", training.choose_precision("auto", torch.device("cpu"))):
            return likelihood.evaluate_likelihood(network, split["valid"]).nats_per_token

    print(f"{setting.name}, seed {seed}", flush=True)
    history = training.train(
        model,
        batches,
        config,
        evaluate,
        objective,
        report=lambda line: print(line, flush=True),
        folder=place,
    )
    row = {
        "model": setting.name,
        "group": setting.group,
        "data": setting.data,
        "seed": seed,
        "n_weights": sum(weight.numel() for weight in model.parameters()),
        "updates": config.n_updates,
        "seconds": round(history.seconds[-1], 1),
        **({"taught_by": setting.teachers} if setting.teachers else {}),
        **score_parts(model, split),
        "history": {"seconds": [round(s, 1) for s in history.seconds], "targets": history.n_targets}
        | {name: [round(nats, 4) for nats in getattr(history, f"{name}_nats")] for name in ("train", "valid")},
        "commit": COMMIT_AT_START,
        "command": describe_command(),
        "processor": find_processor(),
    }
    if setting.is_kept:
        card = {"data": setting.data, "seed": seed, **{name: row[name] for name in ("seconds", "commit", "command")}}
        checkpoints.save_checkpoint(model, place.with_suffix(".safetensors"), card)
    print(f"{setting.name}, seed {seed}: valid {row['valid']['nats']}, test {row['test']['nats']}", flush=True)
    return row


def main() -> None:
    """Run what is asked for, and write the result of all runs that are there."""
    names = [setting.name for setting in SETTINGS]
    count_help = "put the models that count into the result that is there"
    matches_help = "put into it how the kept networks do where the music has been sung before"
    asked = read_options(__doc__, names, RUNS, count=count_help, matches=matches_help)
    torch.set_num_threads(1)
    start = time.perf_counter()
    if asked.count or asked.matches:
        rows = [*count("JSB"), *count("rebuilt")] if asked.count else score_matches(asked.runs)
        cost = time.perf_counter() - start
        print(f"Wrote {add_rows('jsb', rows, lambda row: row['group'] == rows[0]['group'], cost, asked.results)}")
        return
    for setting in SETTINGS:
        for seed in setting.seeds if setting.name in asked.only else ():
            if asked.seeds is None or seed in asked.seeds:
                run(setting, seed, asked.runs, asked.updates)
    rows = [*count("JSB"), *count("rebuilt")]
    for name in ("frames", "frames that copy"):
        rows += score_together(name, asked.runs)
    rows += score_matches(asked.runs)
    for setting in SETTINGS:
        rows += read_rows(setting, setting.seeds, asked.runs, NEEDED)
    rows = with_published("jsb", rows, names, asked.results)
    trained = sum(row["seconds"] for row in rows)
    path = write_result(
        "jsb",
        rows,
        seeds=sorted({row["seed"] for row in rows if "seed" in row}),
        seconds=max(trained, time.perf_counter() - start),
        folder=asked.results,
        unit="nats per token",
        settings={setting.name: setting.describe() for setting in SETTINGS},
    )
    print(f"Wrote {path}")


if __name__ == "__main__":
    main()
