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


def mean_and_spread(values: list[float], n_decimals: int = 3) -> str:
    """Return the mean and, of several values, their standard deviation.

    Example:
        >>> mean_and_spread([0.5]), mean_and_spread([0.4, 0.6])
        ('0.500', '0.500 ± 0.141')
    """
    mean = f"{statistics.fmean(values):.{n_decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{n_decimals}f}" if len(values) > 1 else mean


def scoreboard() -> str:
    """Return the table of models on the rebuilt chorales, one row a model, seeds taken together."""
    rows = [{**row, "sec": row.get("train_sec")} for row in load_result("first_road")["rows"]]
    known = {row["model"] for row in rows}
    for row in load_result("jsb")["rows"]:
        if row["data"] == "rebuilt" and row["model"] not in known:
            nats = {part: row[part]["nats"] for part in ("valid", "test")}
            rows.append(
                {**nats, "model": row["model"], "sec": row["seconds"]} | {k: row[k] for k in ("seed",) if k in row}
            )
    found: dict[str, list[dict]] = {}
    for row in rows:
        found.setdefault(row["model"], []).append(row)
    table = []
    for model, same in sorted(found.items(), key=lambda item: -statistics.fmean(row["valid"] for row in item[1])):
        n_seeds = str(len(same)) if "seed" in same[0] else "none needed"
        seconds = f"{statistics.fmean(row['sec'] or 0 for row in same):.0f}"
        means = (mean_and_spread([row[part] for row in same]) for part in ("valid", "test"))
        table.append([model, *means, n_seeds, seconds])
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
