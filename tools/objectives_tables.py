"""Tables of chapter 4, made from mini_musessl/results/objectives.json."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from result_tables import markdown, mean_and_spread

from mini_musessl.results import Row, probe_accuracies, rows_by_encoder

#: Tasks with classes, in the order of the columns.
TASKS = ("key", "mode", "chord", "cadence", "beat", "voice", "corrupted")
TITLES = ("signature", "mode", "chord", "phrase end", "beat", "voice", "wrong note")
KINDS = ("cells", "spans", "bars", "voices", "notes")


def _cell(values: list[float]) -> str:
    """Return mean and spread over seeds; no spread of what chance has no part in."""
    if not values:
        return "not asked"
    return mean_and_spread(values if len(set(values)) > 1 else values[:1], n_decimals=2)


def _probe_line(name: str, rows: list[Row], budget: int | None, key: str = "probes", tested: str = "all") -> list[str]:
    """Return a line of the table of probes."""
    found = [_cell(probe_accuracies(rows, task, budget, tested, key)) for task in TASKS]
    return [name, *(cell + _mark(name, task) for cell, task in zip(found, TASKS, strict=True))]


def _mark(name: str, task: str) -> str:
    """Return a mark where the rule that made the labels of a probe had a part in training too."""
    return (
        " †"
        if (task == "chord" and "harmony" in name) or (task == "hymn" and name.startswith(("contrast", "views")))
        else ""
    )


def _chance(tested: str = "all") -> list[str]:
    """Return the line of who does not look."""
    probes = rows_by_encoder("references")["no training"][0]["probes"]
    chance = {each["task"]: each["chance"] for each in probes if each["tested"] == tested and "chance" in each}
    return ["chance", *(f"{chance[task]:.2f}" for task in TASKS)]


def _ranks(rows: list[Row]) -> list[float]:
    """Return how well the same hymn is found, one mean reciprocal rank a seed."""
    return [each["mean_reciprocal_rank"] for row in rows for each in row["probes"] if each["task"] == "hymn"]


def _chance_rank() -> float:
    """Return the mean reciprocal rank of who does not look."""
    probes = rows_by_encoder("references")["no training"][0]["probes"]
    return next(each["chance_mean_reciprocal_rank"] for each in probes if each["task"] == "hymn")


def scoreboard() -> str:
    """Return a column an objective: what its encoder says, with all pieces labelled, and how it finds the same hymn."""
    found = rows_by_encoder("references", "objectives")
    columns = {
        "made by hand": "by hand",
        "no training": "no training",
        "chorale-frame, the shipped network": "next cell (chorale-frame)",
        "masked, orderless": "masked, orderless",
        "masked: spans": "masked: spans",
        "next pitch": "next pitch",
        "pitch, rhythm and harmony": "pitch, rhythm, harmony",
        "contrast: crop + voices": "contrast",
        "order": "order",
    }
    columns = {name: title for name, title in columns.items() if name in found}
    probed = [_probe_line(name, found[name], None)[1:] for name in columns]
    lines = [list(line) for line in zip(TITLES, _chance()[1:], *probed, strict=True)]
    ranked = (_cell(_ranks(found[name])) + _mark(name, "hymn") for name in columns)
    lines.append(["same hymn, MRR", f"{_chance_rank():.2f}", *ranked])
    return markdown(["asked for", "chance", *columns.values()], lines)


def hopes() -> str:
    """Return, with ten labelled pieces, the best objective of each question beside a fresh network and counts.

    All had the same labelled pieces: the first draw of each seed. What was trained on the labels' own rule does not
    compete, nor what has fewer seeds.
    """
    trained, references = rows_by_encoder("objectives", "heads", "views"), rows_by_encoder("references")
    scratch, by_hand = references["no training"], references["made by hand"]
    lines = []
    for task in TASKS:
        reached = {
            name: probe_accuracies(rows, task, 10, draw=0)
            for name, rows in trained.items()
            if len(rows) >= len(scratch) and not _mark(name, task)
        }
        best = max(reached, key=lambda name: statistics.fmean(reached[name]))
        marks = (
            probe_accuracies(scratch, task, 10, key="fine_tuned", draw=0),
            probe_accuracies(by_hand, task, 10, draw=0),
        )
        line = [TITLES[TASKS.index(task)], best, _cell(reached[best])]
        for mark in marks:
            line += [_cell(mark), _gain(reached[best], mark)]
        lines.append(line)
    gain = "gain, seed by seed"
    return markdown(["asked for", "best objective", "it reaches", "from scratch", gain, "made by hand", gain], lines)


def _gain(ours: list[float], theirs: list[float]) -> str:
    """Return mean and spread of the differences of each seed, in which the luck of the labelled pieces drops out."""
    differences = [our - their for our, their in zip(ours, theirs, strict=True)]
    mean = round(statistics.fmean(differences), 2) + 0.0  # no "-0.00"
    return f"{mean:+.2f} ± {statistics.stdev(differences):.2f}"


def _probes(groups: Iterable[str], budget: int | None, tested: str = "all") -> str:
    """Return a table of probes of some groups."""
    rows = rows_by_encoder(*groups).items()
    lines = [_chance(tested), *(_probe_line(name, each, budget, tested=tested) for name, each in rows)]
    return markdown(["encoder", *TITLES], lines)


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
    found = rows_by_encoder("references") | rows_by_encoder("objectives") | rows_by_encoder("heads")
    names = ["no training, causal", "next pitch", *rows_by_encoder("heads"), "pitch, rhythm and harmony"]
    lines = [_chance(), *(_probe_line(name, found[name], None) for name in names if name in found)]
    return markdown(["heads", *TITLES], lines)


def views() -> str:
    """Return what every set of views keeps, with all pieces labelled, and how well the same hymn is found."""
    found = rows_by_encoder("references") | rows_by_encoder("objectives") | rows_by_encoder("views")
    names = ["no training", "made by hand", "contrast: crop + voices", *rows_by_encoder("views")]
    lines = [["chance", "1", *_chance()[1:], f"{_chance_rank():.2f}"]]
    for name in names:
        if name in found:
            rows = found[name]
            left = [row["measured"]["nats"] / row["measured"]["chance_nats"] for row in rows if "measured" in row]
            ranks = _cell(_ranks(rows)) + _mark(name, "hymn")
            lines.append([name, _cell(left) if left else "none", *_probe_line(name, rows, None)[1:], ranks])
    return markdown(["views", "loss, share of a guess", *TITLES, "same hymn, MRR"], lines)


def fine_tuned() -> str:
    """Return what the same network reaches when it learns on from labels, trained before and from nothing."""
    lines = [_chance()]
    for budget, pieces in ((10, "10 pieces"), (None, "all pieces")):
        for name, rows in rows_by_encoder("references", "objectives").items():
            if "fine_tuned" in rows[0]:
                about = "from scratch" if name == "no training" else f"{name}, then labels"
                lines.append(_probe_line(f"{about}: {pieces}", rows, budget, "fine_tuned"))
    return markdown(["network", *TITLES], lines)


def filling() -> str:
    """Return nats a hidden cell of test pieces by how the network was trained and how cells are hidden."""
    found = {
        name: rows for name, rows in rows_by_encoder("counting", "objectives", "long").items() if "infilling" in rows[0]
    }
    lines = []
    for name, rows in found.items():
        numbers = (mean_and_spread([row["infilling"]["test"][kind] for row in rows]) for kind in KINDS)
        lines.append([name, *numbers, str(len(rows)) if "seed" in rows[0] else "none needed"])
    return markdown(["learned from", *(f"{kind} hidden" for kind in KINDS), "seeds"], lines)


def data() -> str:
    """Return what the number of pieces without labels is worth: filling, and probes with ten labelled pieces."""
    found = rows_by_encoder("objectives") | rows_by_encoder("data")
    lines = []
    for name in [*rows_by_encoder("data"), "masked, orderless"]:
        if name in found:
            notes = mean_and_spread([row["infilling"]["test"]["notes"] for row in found[name]])
            pieces = name.rpartition(", ")[2] if name.endswith("pieces") else "all pieces"
            lines.append([pieces, notes, *_probe_line(name, found[name], 10)[1:]])
    return markdown(["trained on", "nats a cell, notes hidden", *TITLES], lines)
