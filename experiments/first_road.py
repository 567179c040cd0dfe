"""Notebook 00 with three seeds: baselines, the small network, and what a known tune is worth to it.

python experiments/first_road.py       # about four minutes on one core; writes mini_musessl/results/first_road.json
python experiments/first_road.py --updates 20 --folder .       # a quick look

Chosen on the validation part; the test part is scored once, with the setting that the notebook uses.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from provenance import RESULTS, write_result

from mini_musessl import corpora, training
from mini_musessl.batches import random_batches
from mini_musessl.evaluation import counting, likelihood
from mini_musessl.network.transformer import MusicTransformer, TransformerConfig
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens

SEEDS = (0, 1, 2)


def train_network(tokens: dict[str, list[np.ndarray]], vocabulary_size: int, seed: int, n_updates: int):
    """Train the network of notebook 00 from one seed: first weights, order of the data and dropout.

    Args:
        tokens: token ids by part of the split.
    """
    model = MusicTransformer(TransformerConfig(vocabulary_size=vocabulary_size, d_model=128, n_layers=2), seed=seed)
    batches = random_batches(
        tokens["train"],
        n_windows=4,
        context_length=model.config.context_length,
        generator=np.random.default_rng(seed),
        begin_id=model.config.begin_id,
        stride_token=model.config.stride_token,
        pitch_ids=range(1, vocabulary_size),
    )
    config = training.TrainingConfig(
        n_updates=n_updates, n_warmup_updates=min(100, n_updates - 1), report_every=200, precision="auto", seed=seed
    )
    training.train(model, batches, config)
    return model


def compare_tunes(piece_nats: np.ndarray, names: list[str], known: list[str]) -> dict[str, float]:
    """Compare pieces whose tune occurs in training, the known ones, with the others.

    Args:
        piece_nats: (n_pieces,), mean nats per token of each piece.

    Returns:
        Means of both kinds, their difference, and its 95 % bootstrap range over pieces.
    """
    rng = np.random.default_rng(0)
    is_known = np.isin(names, known)
    old, new = piece_nats[is_known], piece_nats[~is_known]
    draws = [rng.choice(new, len(new)).mean() - rng.choice(old, len(old)).mean() for _ in range(2000)]
    low, high = np.percentile(draws, [2.5, 97.5])
    found = {"known": old.mean(), "new": new.mean(), "difference": new.mean() - old.mean(), "low": low, "high": high}
    return {name: round(float(value), 4) for name, value in found.items()}


def main() -> None:
    """Run the experiment and write its result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=1200)
    parser.add_argument("--folder", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    tokenizer, split = VoiceGridTokens(), corpora.rebuilt_split()
    size = tokenizer.vocabulary.size
    tokens = {part: [tokenizer.encode(piece) for piece in pieces] for part, pieces in split.items()}
    known = corpora.shared_melodies(split)
    parts = ("valid", "test")
    uniform = counting.uniform_nats(size)
    rule = counting.SameAgain(split["train"])
    rows = [
        {"model": "uniform"} | dict.fromkeys(parts, uniform),
        {"model": "unigram per voice"} | {p: counting.unigram_nats(tokens["train"], tokens[p], size) for p in parts},
        {"model": "same again"} | {p: likelihood.evaluate_likelihood(rule, split[p]).nats_per_token for p in parts},
    ]
    piece_nats = {part: [] for part in parts}
    for seed in SEEDS:
        began = time.perf_counter()
        model = train_network(tokens, size, seed, arguments.updates)
        row = {"model": "small Transformer (notebook 00)", "seed": seed}
        row["train_sec"] = round(time.perf_counter() - began, 1)
        for part in parts:
            nats = likelihood.token_nats(model, tokens[part])
            row[part] = float(np.concatenate(nats).mean())
            piece_nats[part].append([piece.mean() for piece in nats])
        rows.append(row)
    rows = [{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    path = write_result(
        "first_road",
        rows,
        seeds=SEEDS,
        seconds=time.perf_counter() - start,
        folder=arguments.folder,
        data=corpora.REBUILT_NAME,
        unit="nats per token",
        precision=str(training.choose_precision("auto", torch.device("cpu"))).removeprefix("torch."),
        updates=arguments.updates,
        known_tunes=[
            {"part": p} | compare_tunes(np.mean(piece_nats[p], axis=0), [g.name for g in split[p]], known[p])
            for p in parts
        ],
    )
    print(f"Wrote {path}")


if __name__ == "__main__":
    main()
