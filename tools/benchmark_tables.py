"""Tables of the chorale benchmark, made from mini_musessl/results/jsb.json."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from result_tables import markdown, mean_and_spread

from mini_musessl.results import load_result

#: What others published on the validation part, in nats a token, and where the number was seen.
PUBLISHED = (
    ("Music Transformer: baseline Transformer", "0.417", "{cite}`huang2019`, seen in a reading note"),
    ("Music Transformer: relative attention", "0.357", "{cite}`huang2019` (unverified)"),
    (
        "Music Transformer: relative attention, relative pitch and time",
        "0.335",
        "{cite}`huang2019`, seen in a reading note",
    ),
)


def _rows(groups: Iterable[str], data: str = "JSB") -> dict[str, list[dict[str, Any]]]:
    """Return the rows of some groups by model, in the order of the result."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in load_result("jsb")["rows"]:
        if row["group"] in groups and row["data"] == data:
            found.setdefault(row["model"], []).append(row)
    return found


def _nats(rows: list[dict[str, Any]], part: str) -> str:
    """Return mean and spread of one part: four decimals where the comparison turns on the third."""
    return mean_and_spread([row[part]["nats"] for row in rows], n_decimals=4 if len(rows) > 1 else 3)


def _seeds(rows: list[dict[str, Any]]) -> str:
    """Return how many seeds there are."""
    return str(len(rows)) if "seed" in rows[0] else "none needed"


def _minutes(rows: list[dict[str, Any]]) -> str:
    """Return the minutes that training took, and those of the networks that taught."""
    minutes = statistics.fmean(row["seconds"] for row in rows) / 60
    taught_by = rows[0].get("taught_by")
    if taught_by is None:
        return f"{minutes:.0f}" if minutes >= 1 else "under 1"
    teachers = [row["seconds"] for row in load_result("jsb")["rows"] if row["model"] == taught_by]
    return f"{minutes:.0f}, after {sum(teachers) / 60:.0f} of its {len(teachers)} teachers"


def _weights(rows: list[dict[str, Any]]) -> str:
    """Return the number of weights in millions."""
    return f"{rows[0]['n_weights'] / 1e6:.1f} million" if "n_weights" in rows[0] else "none"


def headline() -> str:
    """Return the table of all models on JSB-16-SATB, with the published numbers among them."""
    measured = _rows(("counting", "recurrent", "positions", "frames"))
    table = [
        (
            statistics.fmean(row["valid"]["nats"] for row in rows),
            [name, _nats(rows, "valid"), _nats(rows, "test"), _seeds(rows), _weights(rows), _minutes(rows), "here"],
        )
        for name, rows in measured.items()
    ]
    table += [(float(nats), [name, nats, "", "", "", "", source]) for name, nats, source in PUBLISHED]
    table.sort(key=lambda line: -line[0])
    header = ["model", "valid", "test", "seeds", "weights", "minutes on one core", "measured"]
    return markdown(header, [line for _, line in table])


def details() -> str:
    """Return what the protocol asks for beside the headline, for the frame models."""
    table = []
    for name, rows in _rows(("frames",)).items():
        for part in ("valid", "test"):
            scores = [row[part] for row in rows]
            voices = [f"{statistics.fmean(score['voices'][voice] for score in scores):.3f}" for voice in range(4)]
            means = [statistics.fmean(score[key] for score in scores) for key in ("nats_per_frame", "bits_per_quarter")]
            others = [statistics.fmean(score[key] for score in scores) for key in ("piece_mean", "change_accuracy")]
            table.append([name, part, f"{means[0]:.3f}", f"{means[1]:.2f}", *voices, *(f"{v:.3f}" for v in others)])
    header = ["model", "part", "nats a step", "bits a quarter", "soprano", "alto", "tenor", "bass"]
    return markdown([*header, "mean of piece means", "changes guessed right"], table)


def together() -> str:
    """Return what several networks, or one in several keys, say together, beside what one of them can learn of it."""
    table = [
        [name, _nats(rows, "valid"), _nats(rows, "test"), "one" if rows[0]["group"] == "frames" else "several answers"]
        for name, rows in _rows(("frames", "together")).items()
    ]
    table.sort(key=lambda line: -float(line[1].split()[0]))
    return markdown(["answers of", "valid", "test", "model"], table)


def ideas() -> str:
    """Return what each idea gave: the short setting without it, or with another value."""
    groups = _rows(("ideas",))
    base = statistics.fmean(row["valid"]["nats"] for row in groups["frames, short"])
    table = []
    for name, rows in groups.items():
        cost = statistics.fmean(row["valid"]["nats"] for row in rows) - base
        change = "" if name == "frames, short" else f"{cost:+.3f}"
        temperature = f"{statistics.fmean(row['temperature'] for row in rows):.2f}"
        raw = mean_and_spread([row["before_temperature"]["valid"] for row in rows])
        table.append([name, _nats(rows, "valid"), change, raw, temperature, _seeds(rows), _minutes(rows)])
    header = ["setting", "valid", "costs", "valid at temperature 1", "temperature", "seeds", "minutes on one core"]
    return markdown(header, table)


def splits() -> str:
    """Return the short setting on the three splits."""
    found = {
        "JSB file": _rows(("ideas",))["frames, short"],
        "rebuilt": _rows(("splits",), "rebuilt").get("frames, short, rebuilt"),
        "rebuilt, melody-disjoint": _rows(("splits",), "melody-disjoint").get("frames, short, melody-disjoint"),
    }
    table = [[name, _nats(rows, "valid"), _nats(rows, "test"), _seeds(rows)] for name, rows in found.items() if rows]
    return markdown(["split", "valid", "test", "seeds"], table)
