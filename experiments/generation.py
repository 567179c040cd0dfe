"""What each model writes, measured beside Bach: voice leading, repeats, how well it is told from him, what it copies.

python experiments/generation.py                          # all models whose weights are kept, after jsb.py
python experiments/generation.py --only Bach "frames that copy" --seeds 0 --folder try         # a part, written there

Each model writes pieces from nothing, at temperature 1 and unfiltered; the masked network sets sopranos of the test
part. Nothing is chosen or thrown away. The networks are those that jsb.py and objectives.py kept in experiments/runs,
or that come with the library; what is neither there nor here is left out, and named in the result. Rows are kept in
experiments/runs/generation, by the digest of the weights, so that an experiment that was stopped goes on.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jsb
import numpy as np
import objectives
import torch
from jsb_settings import SETTINGS
from kept_runs import Row, file_name, keep, read_kept, read_options
from provenance import COMMIT_AT_START, find_processor, write_result
from token_gru import GruDecoder, TokenGru

from mini_musessl import voices
from mini_musessl.evaluation import copying, likelihood, probing, statistics, voice_leading
from mini_musessl.evaluation.counting import CountingModel, MusicalCounts
from mini_musessl.generation import Sampling, harmonise, harmonise_by_infilling, sample_frames
from mini_musessl.generation.constraints import NoParallels, Ranges
from mini_musessl.generation.sampling import FREE, TokenDecoder, draw_cells
from mini_musessl.network.encoder import MaskedTransformer
from mini_musessl.tokenizers.voice_grid import TOKENS, encode_chorales
from mini_musessl.training import checkpoints
from mini_musessl.voices import VoiceGrid

RUNS = jsb.RUNS / "generation"
N_PIECES = 76  # as many as the validation part has
N_STEPS = 256  # of each; longer pieces of Bach are cut there, since repeats grow with the length
WINDOW = slice(32, 128)  # steps that two sets are compared by: every piece has them, and a network has left its opening
N_FEATURES = 16  # principal components of the encoder's descriptions, far fewer than pieces
REPEATS, SHARED = (16, 32, 64), (8, 16, 32)  # steps
N_SOPRANOS, N_PARTICLES = 16, 16
COUNTS, MASKED = "counts that know music", "masked, every kind, long"
NETWORKS = (*(setting.name for setting in SETTINGS if setting.is_kept), MASKED)
STATISTICS = statistics.STATISTICS | {
    f"steps in repeats of {n}": partial(statistics.repeat_share, n_steps=n) for n in REPEATS
}
NEEDED = ("model", "group", "statistics", "seconds")

Pieces = Sequence[VoiceGrid]


class CountsDecoder(TokenDecoder):
    """A model that counts, which scores one token after another."""

    def __init__(self, model: CountingModel, n_rows: int) -> None:
        self._model, self._ids = model, torch.zeros(n_rows, 0, dtype=torch.long)

    def next_logits(self) -> torch.Tensor:
        """Return the log probabilities of the next token of each row (n_rows, vocabulary)."""
        step, voice = divmod(self._ids.shape[1], 4)
        frames = torch.nn.functional.pad(self._ids, (0, 4 - voice)).unflatten(1, (step + 1, 4)).numpy()
        return torch.from_numpy(np.stack([self._model.symbol_log_probs(ids)[-1, voice] for ids in frames]))


@torch.no_grad()
def write(model: object, n_pieces: int, seed: int, sopranos: Pieces) -> list[VoiceGrid]:
    """Let a model of any kind write so many pieces; a masked network sets as many sopranos."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(model, MaskedTransformer):
        return [harmonise_by_infilling(model, each, generator) for each in sopranos[:n_pieces]]
    nothing = torch.zeros(n_pieces, 0, 4, dtype=torch.long)
    if isinstance(model, (CountingModel, TokenGru)):
        decoder = (GruDecoder if isinstance(model, TokenGru) else CountsDecoder)(model, n_pieces)
        free = torch.full((n_pieces, 4 * N_STEPS), FREE)
        frames = draw_cells(decoder, nothing, free, Sampling(), generator).unflatten(1, (N_STEPS, 4))
    else:
        frames = sample_frames(model, nothing, N_STEPS, generator)
    return [TOKENS.decode(each) for each in frames.numpy()]


def time_one(model: object, sopranos: Pieces) -> float:
    """Return the seconds of the processor that one piece of ``N_STEPS`` takes on one core."""
    whole, began = [each for each in sopranos if each.n_steps == N_STEPS], time.process_time()
    write(model, 1, 0, whole)
    return round(time.process_time() - began, 2)


def wilson_interval(share: float, n: int, z: float = 1.96) -> list[float]:
    """Return Wilson's 95 % interval of a share of n.

    >>> wilson_interval(0.5, 100)
    [0.404, 0.596]
    """
    middle, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return [round((middle + sign * half) / (1 + z**2 / n), 3) for sign in (-1, 1)]


def count_each(pieces: Pieces) -> dict[str, list[float]]:
    """Return each statistic of each piece."""
    return {name: [count(piece) for piece in pieces] for name, count in STATISTICS.items()}


def count_all(pieces: Pieces) -> dict[str, list[float]]:
    """Return the mean of each statistic over pieces, and its standard deviation."""
    found = count_each(pieces)
    return {name: [round(float(x), 5) for x in (np.mean(v), np.std(v, ddof=1))] for name, v in found.items()}


class Judge:
    """Measures pieces beside held-out Bach."""

    def __init__(self, split: dict[str, list[VoiceGrid]], encoder: torch.nn.Module) -> None:
        self.split, self._describe = split, probing.describe_by(encoder)
        self.bach = {
            part: [voices.cut(piece, 0, min(N_STEPS, piece.n_steps)) for piece in split[part][:N_PIECES]]
            for part in ("valid", "test")
        }
        known = self.encode([piece for piece in split["train"] if piece.n_steps >= WINDOW.stop])
        self._mean, axes = known.mean(axis=0), np.linalg.svd(known - known.mean(axis=0), full_matrices=False)[2]
        self._axes = axes[:N_FEATURES].T

    def encode(self, pieces: Pieces) -> np.ndarray:
        """Return the mean of the encoder's states in the window, (n_pieces, d_model)."""
        ids = np.stack([each[WINDOW] for each in encode_chorales(pieces)])
        return self._describe(ids, np.zeros(ids.shape, bool), np.full(len(ids), WINDOW.start)).mean(axis=1)

    def measure(self, pieces: Pieces, part: str = "test") -> Row:
        """Return everything about some pieces; a classifier tells them from a part of Bach by all that is described."""
        described, counted = [], []
        for each in (pieces, self.bach[part][: len(pieces)]):
            described.append((self.encode(each) - self._mean) @ self._axes)
            cut = [voices.cut(piece, WINDOW.start, WINDOW.stop) for piece in each]
            counted.append([list(statistics.describe(piece).values()) for piece in cut])
        both = map(np.hstack, zip(described, counted, strict=True))
        test = statistics.two_sample_test(*both, np.random.default_rng(0))
        return {
            "n_pieces": len(pieces),
            "statistics": count_all(pieces),
            "two_sample": {"accuracy": round(test.accuracy, 3), "interval": wilson_interval(test.accuracy, test.n)},
            "frechet": round(statistics.frechet_distance(*described), 3),
            "shared": {str(n): round(copying.shared_share(pieces, self.split["train"], n), 5) for n in SHARED},
        }

    def middle(self) -> dict[str, list[float]]:
        """Return between which values the middle 90 % of Bach's pieces lie."""
        found = count_each([piece for part in self.bach.values() for piece in part])
        return {name: np.percentile(each, (5, 95)).round(5).tolist() for name, each in found.items()}


def judge_bach(judge: Judge) -> list[Row]:
    """Return a row for each held-out part, compared with the other."""
    pairs = (("valid", "test"), ("test", "valid"))
    return [{"model": f"Bach, {a}", "group": "Bach", **judge.measure(judge.bach[a], b)} for a, b in pairs]


def judge_model(name: str, seed: int, load: Callable[[], object], judge: Judge) -> list[Row]:
    """Return the row of a model: what it writes and, where it reads from left to right, its loss."""
    model, sopranos = load(), judge.bach["test"]
    row = {"model": name, "group": "written", "seed": seed}
    row |= judge.measure(write(model, N_PIECES, seed, sopranos))
    for part in () if isinstance(model, MaskedTransformer) else judge.bach:
        row[part] = round(likelihood.evaluate_likelihood(model, judge.split[part]).nats_per_token, 5)
    return [row | {"seconds_of_one": time_one(model, sopranos)}]


def judge_settings(judge: Judge) -> list[Row]:
    """Return a row for each way to set the same sopranos, by the networks that come with the library, and Bach's."""
    frame, masked = (checkpoints.load(f"chorale-{name}").model for name in ("frame", "masked"))
    ways: dict[str, Callable[..., VoiceGrid]] = {"Bach": lambda soprano, generator: soprano}
    for n in (1, N_PARTICLES):
        rules = (Ranges(voice_leading.RANGES), NoParallels())
        title = f"chorale-frame, {n} particle{'s' * (n > 1)}"
        ways[title] = partial(harmonise, frame, n_particles=n)
        ways[f"{title}, constrained"] = partial(harmonise, frame, n_particles=n, constraints=rules)
    ways["chorale-masked"] = partial(harmonise_by_infilling, masked)
    return [set_sopranos(name, way, judge.bach["test"][:N_SOPRANOS]) for name, way in ways.items()]


def set_sopranos(name: str, way: Callable[..., VoiceGrid], sopranos: Pieces) -> Row:
    """Return the row of one way; a soprano under which no draft obeyed is counted, and left out."""
    began, pieces = time.process_time(), []
    for seed, soprano in enumerate(sopranos):
        try:
            pieces.append(way(soprano, generator=torch.Generator().manual_seed(seed)))
        except ValueError as error:
            print(f"{name}, soprano {seed}: {error}", flush=True)
    seconds = round((time.process_time() - began) / len(sopranos), 2)
    row = {"model": name, "group": "settings", "n_pieces": len(pieces), "n_refused": len(sopranos) - len(pieces)}
    return row | {"statistics": count_all(pieces) if len(pieces) > 1 else {}, "seconds_of_one": seconds}


def find_networks(name: str, cards: dict[str, dict[str, Any]]) -> dict[int, Path]:
    """Return by seed the weights of a setting: those that its run kept, or those that come with the library.

    Args:
        cards: of the networks that come with the library, by their names.
    """
    kept = objectives.find_networks(name) if name == MASKED else jsb.find_networks(name, jsb.RUNS)
    for shipped, card in cards.items():
        if f'"{name}"' in card["command"] and not kept[card["seed"]].exists():
            kept[card["seed"]] = checkpoints.FOLDER / f"{shipped}.safetensors"
    return kept


def list_tasks() -> Iterator[tuple[str, int, list[Path], Callable[[Judge], list[Row]]]]:
    """Yield name, seed, the files of weights, and what makes the rows, of everything that is measured."""
    yield "Bach", 0, [], judge_bach
    yield COUNTS, 0, [], lambda judge: judge_model(COUNTS, 0, lambda: MusicalCounts(judge.split["train"]), judge)
    cards = {name: checkpoints.load(name).card for name in checkpoints.names()}
    for name in NETWORKS:
        for seed, path in find_networks(name, cards).items():
            load = partial(lambda path: checkpoints.load_checkpoint(path).model, path)
            yield name, seed, [path], partial(judge_model, name, seed, load)
    yield "settings", 0, sorted(checkpoints.FOLDER.glob("*.safetensors")), judge_settings


def run(make: Callable[[Judge], list[Row]], judge: Judge) -> list[Row]:
    """Return the rows of a task, each with what it cost."""
    began, rows = time.process_time(), make(judge)
    seconds = round((time.process_time() - began) / len(rows), 1)
    return [row | {"seconds": seconds, "commit": COMMIT_AT_START, "processor": find_processor()} for row in rows]


def main() -> None:
    """Measure what is asked for, and write the result of all rows that are there."""
    asked = read_options(__doc__, ("Bach", COUNTS, *NETWORKS, "settings"), RUNS)
    torch.set_num_threads(1)
    judge = Judge(jsb.load_data("JSB"), checkpoints.load("chorale-masked").model)
    rows, missing = [], []
    for name, seed, weights, make in list_tasks():
        about = f"{name}, seed {seed}"
        if not all(path.exists() for path in weights):
            missing.append(about)
            continue
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:8]
        path = asked.runs / f"{file_name(about)}-{digest}.json"
        is_asked = name in asked.only and (asked.seeds is None or seed in asked.seeds)
        print(about, flush=True)
        rows += keep(path, partial(run, make, judge), NEEDED) if is_asked else read_kept(path, NEEDED) or []
    print(f"Left out, since no weights are kept: {'; '.join(missing) or 'none'}.")
    seeds = sorted({row["seed"] for row in rows if "seed" in row})
    facts = {"bach_middle": judge.middle(), "missing": missing, "n_steps": N_STEPS}
    seconds = sum(row["seconds"] for row in rows)
    print(f"Wrote {write_result('generation', rows, seeds=seeds, seconds=seconds, folder=asked.results, **facts)}")


if __name__ == "__main__":
    main()
