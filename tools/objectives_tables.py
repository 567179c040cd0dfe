"""Tables of chapter 4, made from mini_musessl/results/objectives.json."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

from result_tables import markdown, mean_and_spread

from mini_musessl.results import load_result

#: Tasks with classes, in the order of the columns.
TASKS = ("key", "mode", "chord", "cadence", "beat", "voice", "corrupted")
KINDS = ("cells", "spans", "bars", "voices", "notes")


def _rows(*groups: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of some groups by model, in the order of the result."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in load_result("objectives")["rows"]:
        if row["group"] in groups:
            found.setdefault(row["model"], []).append(row)
    return found


def _answers(row: dict[str, Any], task: str, budget: int | None, key: str = "probes", tested: str = "all") -> list:
    """Return what was found for one task and budget on one set of test pieces, one entry a draw."""
    asked = (task, budget, tested)
    return [each for each in row.get(key, []) if (each["task"], each.get("budget"), each["tested"]) == asked]


def _cell(rows: list[dict[str, Any]], found: Callable[[dict[str, Any]], list[float]]) -> str:
    """Return mean and spread over seeds of a number, each seed being the mean of its draws."""
    means = [statistics.fmean(values) for values in map(found, rows) if values]
    return mean_and_spread(means, n_decimals=2) if means else "not asked"


def _probe_line(
    name: str, rows: list[dict[str, Any]], budget: int | None, key: str = "probes", tested: str = "all"
) -> list[str]:
    """Return a line of the table of probes."""

    def asker(task: str) -> Callable[[dict[str, Any]], list[float]]:
        return lambda row: [each["balanced_accuracy"] for each in _answers(row, task, budget, key, tested)]

    return [name, *(_cell(rows, asker(task)) for task in TASKS)]


def _chance(tested: str = "all") -> list[str]:
    """Return the line of who does not look."""
    row = _rows("references")["no training"][0]
    return ["chance", *(f"{_answers(row, task, None, tested=tested)[0]['chance']:.2f}" for task in TASKS)]


def _probes(groups: Iterable[str], budget: int | None, tested: str = "all") -> str:
    """Return a table of probes of some groups."""
    rows = _rows(*groups).items()
    lines = [_chance(tested), *(_probe_line(name, each, budget, tested=tested) for name, each in rows)]
    return markdown(["encoder", *TASKS], lines)


def probes_of_ten() -> str:
    """Return the probes with ten labelled pieces."""
    return _probes(("references", "objectives"), 10)


def probes_of_all() -> str:
    """Return the probes with all pieces labelled."""
    return _probes(("references", "objectives"), None)


def probes_of_new_hymns() -> str:
    """Return the probes with all pieces labelled, asked on test pieces whose hymn was in no training piece."""
    return _probes(("references", "objectives"), None, "new hymns")


def heads() -> str:
    """Return the probes, with all pieces labelled, of every set of heads."""
    found = _rows("references") | _rows("objectives") | _rows("heads")
    names = ["no training, causal", "next pitch", *_rows("heads"), "pitch, rhythm and harmony"]
    lines = [_chance(), *(_probe_line(name, found[name], None) for name in names if name in found)]
    return markdown(["heads", *TASKS], lines)


def views() -> str:
    """Return what every set of views keeps, with all pieces labelled, and how well the same hymn is found."""

    def recall(row: dict[str, Any]) -> list[float]:
        return [each["mean_reciprocal_rank"] for each in row["probes"] if each["task"] == "hymn"]

    found = _rows("references") | _rows("objectives") | _rows("views")
    names = ["no training", "made by hand", "contrast: crop + voices", *_rows("views")]
    hymn = next(each for each in found["no training"][0]["probes"] if each["task"] == "hymn")
    lines = [[*_chance(), f"{hymn['chance_mean_reciprocal_rank']:.2f}"]]
    lines += [[*_probe_line(name, found[name], None), _cell(found[name], recall)] for name in names if name in found]
    return markdown(["views", *TASKS, "same hymn, MRR"], lines)


def fine_tuned() -> str:
    """Return what the same network reaches when it learns on from labels, trained before and from nothing."""
    lines = [_chance()]
    for budget, pieces in ((10, "10 pieces"), (None, "all pieces")):
        for name, rows in _rows("references", "objectives").items():
            if "fine_tuned" in rows[0]:
                about = "from scratch" if name == "no training" else f"{name}, then labels"
                lines.append(_probe_line(f"{about}: {pieces}", rows, budget, "fine_tuned"))
    return markdown(["network", *TASKS], lines)


def filling() -> str:
    """Return nats a hidden cell of test pieces by how the network was trained and how cells are hidden."""
    found = {name: rows for name, rows in _rows("counting", "objectives", "long").items() if "infilling" in rows[0]}
    lines = []
    for name, rows in found.items():
        numbers = (mean_and_spread([row["infilling"]["test"][kind] for row in rows]) for kind in KINDS)
        lines.append([name, *numbers, str(len(rows)) if "seed" in rows[0] else "none needed"])
    return markdown(["learned from", *(f"{kind} hidden" for kind in KINDS), "seeds"], lines)


def data() -> str:
    """Return what the number of pieces without labels is worth: filling, and probes with ten labelled pieces."""
    found = _rows("objectives") | _rows("data")
    lines = []
    for name in [*_rows("data"), "masked, orderless"]:
        if name in found:
            notes = mean_and_spread([row["infilling"]["test"]["notes"] for row in found[name]])
            pieces = name.rpartition(", ")[2] if name.endswith("pieces") else "all pieces"
            lines.append([pieces, notes, *_probe_line(name, found[name], 10)[1:]])
    return markdown(["trained on", "nats a cell, notes hidden", *TASKS], lines)
