"""Tables of the book that are made from results: the scoreboard, and how to get every number again."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from mini_musessl.results import FOLDER, load_result


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table.

    Example:
        >>> print(markdown(["a", "b"], [["1", "2"]]))
        | a | b |
        |---|---|
        | 1 | 2 |
    """
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("|" + "|".join(f" {c} " if c != "---" else c for c in line) + "|" for line in lines)


def mean_and_spread(values: list[float]) -> str:
    """Return the mean with three decimals and, of several values, their standard deviation.

    Example:
        >>> mean_and_spread([0.5]), mean_and_spread([0.4, 0.6])
        ('0.500', '0.500 ± 0.141')
    """
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def scoreboard() -> str:
    """Return the table of models on the rebuilt chorales, one row a model, seeds taken together."""
    result = load_result("first_road")
    models = list(dict.fromkeys(row["model"] for row in result["rows"]))
    table = []
    for model in models:
        rows = [row for row in result["rows"] if row["model"] == model]
        n_seeds = str(len(rows)) if "seed" in rows[0] else "none needed"
        seconds = f"{statistics.fmean(row['train_sec'] for row in rows):.0f}" if "train_sec" in rows[0] else "0"
        table.append(
            [model, *(mean_and_spread([row[part] for row in rows]) for part in ("valid", "test")), n_seeds, seconds]
        )
    return markdown(["model", "valid", "test", "seeds", "seconds to train"], table)


def known_tunes() -> str:
    """Return the table of what a tune that occurs in training is worth to the small network."""
    table = [
        [
            row["part"],
            *(f"{row[kind]:.3f}" for kind in ("known", "new", "difference")),
            f"{row['low']:.3f} to {row['high']:.3f}",
        ]
        for row in load_result("first_road")["known_tunes"]
    ]
    return markdown(["part", "tune occurs in training", "new tune", "difference", "95 % range"], table)


def provenance() -> str:
    """Return the table of all experiments: command, commit, seeds, device, seconds."""
    table = []
    for name in sorted(path.stem for path in FOLDER.glob("*.json")):
        found = load_result(name)["provenance"]
        seeds = ", ".join(map(str, found["seeds"]))
        device = found.get("processor", found["device"])
        table.append(
            [
                f"`{name}`",
                f"`{found['command']}`",
                f"`{found['commit'][:10]}`",
                seeds,
                device,
                f"{found['seconds']:.0f}",
            ]
        )
    return markdown(["result", "command", "commit", "seeds", "device", "seconds"], table)
