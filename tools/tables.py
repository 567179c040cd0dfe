"""The tables that pages take from results: mini_musessl/results/NAME.json -> Markdown.

No number of a table is typed. write_tables.py puts each table into the block of the page that ``PAGES`` names.
"""

import functools
import operator
import re
import statistics
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import minutes
import repository

from mini_musessl.results import FOLDER, load_result, probe_accuracies, rows_by_encoder

Row = dict[str, Any]
#: A dash, where a column is narrow.
NOT_ASKED = "\u2013"


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table.

    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    header = list(header)
    titles, *lines = ("| " + " | ".join(line) + " |" for line in [header, *rows])
    return "\n".join([titles, "|" + "---|" * len(header), *lines])


def halves(header: list[str], rows: list[list[str]]) -> str:
    """Return two narrow tables in place of a wide one, each without the rows that say nothing there.

    >>> print(halves(["", "a", "b"], [["x", "1", "2"], ["y", "3", NOT_ASKED]]))
    |  | a |
    |---|---|
    | x | 1 |
    | y | 3 |
    <BLANKLINE>
    |  | b |
    |---|---|
    | x | 2 |
    """
    middle = 1 + len(header) // 2
    tables = []
    for part in (slice(1, middle), slice(middle, None)):
        kept = [[row[0], *row[part]] for row in rows if set(row[part]) != {NOT_ASKED}]
        tables.append(markdown([header[0], *header[part]], kept))
    return "\n\n".join(tables)


def mean_and_spread(values: list[float], n_decimals: int = 3) -> str:
    """Return the mean and, of several values, their standard deviation.

    >>> mean_and_spread([0.5]), mean_and_spread([0.4, 0.6])
    ('0.500', '0.500 ± 0.141')
    """
    mean = f"{statistics.fmean(values):.{n_decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{n_decimals}f}" if len(values) > 1 else mean


def by_model(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows of each model, one per seed, in the order of the result."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["model"], []).append(row)
    return found


def values(rows: list[Row], *keys: str | int) -> list[float]:
    """Return one number of each row, found by following the keys."""
    return [functools.reduce(operator.getitem, keys, row) for row in rows]


def seeds_of(rows: list[Row]) -> str:
    """Return how many seeds there are."""
    return str(len(rows)) if "seed" in rows[0] else "none needed"


# Every result


def scoreboard() -> str:
    """Return the models on the rebuilt chorales, seeds taken together, the best one last."""
    rows = [{**row, "sec": row.get("train_sec", 0)} for row in load_result("first_road")["rows"]]
    known = by_model(rows)
    for row in load_result("jsb")["rows"]:
        if row["data"] == "rebuilt" and row["model"] not in known:
            rows.append({**row, "valid": row["valid"]["nats"], "test": row["test"]["nats"], "sec": row["seconds"]})
    best_last = sorted(by_model(rows).items(), key=lambda each: -statistics.fmean(values(each[1], "valid")))
    lines = []
    for model, same in best_last:
        nats = [mean_and_spread(values(same, part)) for part in ("valid", "test")]
        lines.append([model, *nats, seeds_of(same), f"{statistics.fmean(values(same, 'sec')):.0f}"])
    return markdown(["model", "valid", "test", "seeds", "seconds to train"], lines)


def known_tunes() -> str:
    """Return what a tune that occurs in training is worth to the small network."""
    lines = []
    for row in load_result("first_road")["known_tunes"]:
        means = [f"{row[kind]:.3f}" for kind in ("known", "new", "difference")]
        lines.append([row["part"], *means, f"{row['low']:.3f} to {row['high']:.3f}"])
    return markdown(["part", "tune occurs in training", "new tune", "difference", "95 % range"], lines)


def provenance() -> str:
    """Return how to get every result again: command, commit, seeds, device, seconds."""
    lines = []
    for name in sorted(path.stem for path in FOLDER.glob("*.json")):
        found = load_result(name)["provenance"]
        device = found.get("processor", found["device"])
        lines.append([f"`{name}`", _origin(found), ", ".join(map(str, found["seeds"])), _time(device, found)])
        for row in found.get("added", []):
            lines.append([f"in it: {', '.join(row['models'])}", _origin(row), "none needed", _time(device, row)])
    return markdown(["result", "command and commit", "seeds", "device and time"], lines)


def _origin(found: dict[str, Any]) -> str:
    return f"`{found['command']}` at `{found['commit'][:10]}`"


def _time(device: str, found: dict[str, Any]) -> str:
    return f"{device}: {found['seconds']:.0f} s"


# Chapter 8: the chorale benchmark

#: What others published on the validation part, in nats per token, and where the number was seen.
PUBLISHED = (
    ("baseline Transformer", "0.417", "{cite}`huang2019`, seen in a reading note"),
    ("relative attention", "0.357", "{cite}`huang2019` (unverified)"),
    ("relative attention, relative pitch and time", "0.335", "{cite}`huang2019`, seen in a reading note"),
)


def _runs(*groups: str, data: str = "JSB") -> dict[str, list[Row]]:
    return by_model(row for row in load_result("jsb")["rows"] if row["group"] in groups and row["data"] == data)


def _parts(rows: list[Row]) -> list[str]:
    """Return validation and test: four decimals where a comparison of several seeds turns on the third."""
    n_decimals = 4 if len(rows) > 1 else 3
    return [mean_and_spread(values(rows, part, "nats"), n_decimals) for part in ("valid", "test")]


def _minutes(rows: list[Row]) -> str:
    """Return how long training took, and that of the networks that taught."""
    minutes = statistics.fmean(values(rows, "seconds")) / 60
    if "taught_by" not in rows[0]:
        return f"{minutes:.0f}" if minutes >= 1 else "under 1"
    teachers = values(_runs(rows[0]["group"])[rows[0]["taught_by"]], "seconds")
    return f"{minutes:.0f}, after {sum(teachers) / 60:.0f} of its {len(teachers)} teachers"


def benchmark() -> str:
    """Return all models on JSB-16-SATB, the published ones among them, the best one last."""
    table = [
        (float(nats), [f"Music Transformer: {name}", nats, "", "", "", "", source]) for name, nats, source in PUBLISHED
    ]
    for name, rows in _runs("counting", "recurrent", "positions", "frames").items():
        weights = f"{rows[0]['n_weights'] / 1e6:.1f} million" if "n_weights" in rows[0] else "none"
        line = [name, *_parts(rows), seeds_of(rows), weights, _minutes(rows), "here"]
        table.append((statistics.fmean(values(rows, "valid", "nats")), line))
    header = ["model", "valid", "test", "seeds", "weights", "minutes on one core", "measured"]
    return markdown(header, [line for _, line in sorted(table, key=lambda each: -each[0])])


def benchmark_details() -> str:
    """Return what the protocol asks for beside the headline, for the frame models."""
    n_decimals = {("nats_per_frame",): 3, ("bits_per_quarter",): 2, **{("voices", voice): 3 for voice in range(4)}}
    n_decimals |= {("piece_mean",): 3, ("change_accuracy",): 3}
    lines = []
    for name, rows in _runs("frames").items():
        for part in ("valid", "test"):
            means = [f"{statistics.fmean(values(rows, part, *keys)):.{n}f}" for keys, n in n_decimals.items()]
            lines.append([name, part, *means])
    voices = ["soprano", "alto", "tenor", "bass"]
    header = [
        "model",
        "part",
        "nats per step",
        "bits per quarter",
        *voices,
        "mean of piece means",
        "changes guessed right",
    ]
    return markdown(header, lines)


def together() -> str:
    """Return what several networks, or one in several keys, say together, beside what one of them can learn of it."""
    kinds = {"frames": "one network", "together": "mean of several"}
    lines = [[name, *_parts(rows), kinds[rows[0]["group"]]] for name, rows in _runs(*kinds).items()]
    lines.sort(key=lambda line: -float(line[1].split()[0]))
    return markdown(["probabilities of", "valid", "test", "scored"], lines)


def matches() -> str:
    """Return nats per step of validation by the length of the longest match, a row for each network."""
    runs = _runs("matches")
    first = next(rows[0]["valid"] for rows in runs.values())
    starts = [int(found["from"]) for found in first]
    spans = [f"{start} to {stop - 1}" for start, stop in zip(starts[1:], starts[2:], strict=False)]
    lines = [
        ["*share of all steps*", *(f"{found['share']:.3f}" for found in first)],
        ["*copying is right*", NOT_ASKED, *(f"{found['right']:.2f}" for found in first[1:])],
    ]
    for name, rows in runs.items():
        nats = [mean_and_spread(values(rows, "valid", place, "nats"), 2) for place in range(len(first))]
        lines.append([name, *nats])
    return markdown(["length of the longest match, steps", "none", *spans, f"{starts[-1]} and more"], lines)


def ideas() -> str:
    """Return what each idea gave: the short setting without it, or with another value."""
    runs = _runs("ideas")
    base = statistics.fmean(values(runs["frames, short"], "valid", "nats"))
    lines = []
    for name, rows in runs.items():
        change = f"{statistics.fmean(values(rows, 'valid', 'nats')) - base:+.3f}" if name != "frames, short" else ""
        raw = mean_and_spread(values(rows, "before_temperature", "valid"))
        temperature = f"{statistics.fmean(values(rows, 'temperature')):.2f}"
        lines.append([name, _parts(rows)[0], change, raw, temperature, seeds_of(rows), _minutes(rows)])
    header = ["setting", "valid", "costs", "valid at temperature 1", "temperature", "seeds", "minutes on one core"]
    return markdown(header, lines)


def splits() -> str:
    """Return the short setting on the three splits."""
    found = {"JSB file": _runs("ideas")["frames, short"]}
    for title, name in {"rebuilt": "rebuilt", "rebuilt, melody-disjoint": "melody-disjoint"}.items():
        found[title] = _runs("splits", data=name).get(f"frames, short, {name}", [])
    lines = [[title, *_parts(rows), seeds_of(rows)] for title, rows in found.items() if rows]
    return markdown(["split", "valid", "test", "seeds"], lines)


# Chapter 4: the study of objectives

#: Tasks with classes and the titles of their columns, in order.
TASKS = {
    "key signature": "key signature",
    "mode": "mode",
    "chord": "chord",
    "phrase end": "phrase end",
    "beat": "beat",
    "voice": "voice",
    "corrupted": "wrong note",
}
KINDS = ("cells", "spans", "bars", "voices", "notes")


def _cell(found: list[float]) -> str:
    """Return mean and spread over seeds; no spread where chance has no part."""
    return mean_and_spread(found if len(set(found)) > 1 else found[:1], n_decimals=2) if found else "not asked"


def _dagger(name: str, task: str) -> str:
    """Return a sign where the rule that made the labels of a probe had a part in training too."""
    is_trained_on = {"chord": "harmony" in name, "hymn": name.startswith(("contrast", "views"))}
    return " †" if is_trained_on.get(task) else ""


def _probe_line(name: str, rows: list[Row], budget: int | None, tested: str = "all", key: str = "probes") -> list[str]:
    # What needs no label is as good whatever the others are given: budget 0.
    found = {
        task: probe_accuracies(rows, task, budget, tested, key) or probe_accuracies(rows, task, 0, tested, key)
        for task in TASKS
    }
    return [name, *(_cell(accuracies) + _dagger(name, task) for task, accuracies in found.items())]


def _chance(tested: str = "all") -> list[str]:
    """Return the line of a guess."""
    probes = rows_by_encoder("references")["no training"][0]["probes"]
    chance = {each["task"]: each["chance"] for each in probes if each["tested"] == tested and "chance" in each}
    return ["chance", *(f"{chance[task]:.2f}" for task in TASKS)]


def _ranks(name: str, rows: list[Row]) -> str:
    """Return how well the same hymn is found: the mean reciprocal rank."""
    ranks = [each["mean_reciprocal_rank"] for row in rows for each in row["probes"] if each["task"] == "hymn"]
    return _cell(ranks) + _dagger(name, "hymn")


def _chance_rank() -> str:
    probes = rows_by_encoder("references")["no training"][0]["probes"]
    return next(f"{each['chance_mean_reciprocal_rank']:.2f}" for each in probes if each["task"] == "hymn")


def study_scoreboard() -> str:
    """Return two tables, four questions each: what an encoder says with all pieces labelled, and how it finds one hymn.

    The spread is left out: the page of the study has it, and a phone has no room for it.
    """
    found = rows_by_encoder("references", "objectives")
    titles = {
        "key finder, no labels": "key finder, no labels",
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
    lines = [[*_chance(), _chance_rank()]]
    for name, title in titles.items():
        if name in found:
            cells = [*_probe_line(name, found[name], None)[1:], _ranks(name, found[name])]
            lines.append([title, *(re.sub(" ± [0-9.]+", "", cell).replace("not asked", NOT_ASKED) for cell in cells)])
    header = [*TASKS.values(), "same hymn, MRR"]
    return halves(["trained on", *header], lines)


def probes(budget: int | None, tested: str = "all") -> str:
    """Return the probes of every objective with some labelled pieces, or all, on all test pieces or new hymns."""
    found = rows_by_encoder("references", "objectives")
    lines = [_chance(tested), *(_probe_line(name, rows, budget, tested) for name, rows in found.items())]
    return markdown(["encoder", *TASKS.values()], lines)


def hopes() -> str:
    """Return, with ten labelled pieces, the best objective of each question beside two baselines.

    All had the same labelled pieces: the first draw of each seed. What was trained on the labels' own rule does not
    compete, nor what has fewer seeds.
    """
    trained, references = rows_by_encoder("objectives", "heads", "views"), rows_by_encoder("references")
    scratch, by_hand = references["no training"], references["made by hand"]
    lines = []
    for task, title in TASKS.items():
        reached = {
            name: probe_accuracies(rows, task, 10, draw=0)
            for name, rows in trained.items()
            if len(rows) >= len(scratch) and not _dagger(name, task)
        }
        best = max(reached, key=lambda name: statistics.fmean(reached[name]))
        line = [title, best, _cell(reached[best])]
        for baseline in (
            probe_accuracies(scratch, task, 10, key="fine_tuned", draw=0),
            probe_accuracies(by_hand, task, 10, draw=0),
        ):
            line += [_cell(baseline), _gain(reached[best], baseline)]
        lines.append(line)
    gain = "gain, seed by seed"
    return markdown(["asked for", "best objective", "it reaches", "from scratch", gain, "made by hand", gain], lines)


def _gain(ours: list[float], theirs: list[float]) -> str:
    """Return mean and spread of the differences of each seed, in which the luck of the labelled pieces drops out."""
    differences = [our - their for our, their in zip(ours, theirs, strict=True)]
    mean = round(statistics.fmean(differences), 2) + 0.0  # no "-0.00"
    return f"{mean:+.2f} ± {statistics.stdev(differences):.2f}"


def heads() -> str:
    """Return the probes, with all pieces labelled, of every set of heads."""
    found = rows_by_encoder("references") | rows_by_encoder("objectives") | rows_by_encoder("heads")
    names = ["no training, causal", "next pitch", *rows_by_encoder("heads"), "pitch, rhythm and harmony"]
    lines = [_chance(), *(_probe_line(name, found[name], None) for name in names if name in found)]
    return markdown(["heads", *TASKS.values()], lines)


def views() -> str:
    """Return what every set of views keeps, with all pieces labelled, and how well the same hymn is found."""
    found = rows_by_encoder("references") | rows_by_encoder("objectives") | rows_by_encoder("views")
    lines = [["chance", "1", *_chance()[1:], _chance_rank()]]
    for name in ["no training", "made by hand", "contrast: crop + voices", *rows_by_encoder("views")]:
        if rows := found.get(name):
            left = [row["measured"]["nats"] / row["measured"]["chance_nats"] for row in rows if "measured" in row]
            probed = _probe_line(name, rows, None)[1:]
            lines.append([name, _cell(left) if left else "none", *probed, _ranks(name, rows)])
    return halves(["views", "loss, share of a guess", *TASKS.values(), "same hymn, MRR"], lines)


def fine_tuned() -> str:
    """Return what the same network reaches when it learns from labels, trained before and from nothing."""
    lines = [_chance()]
    for budget, pieces in ((10, "10 pieces"), (None, "all pieces")):
        for name, rows in rows_by_encoder("references", "objectives").items():
            if "fine_tuned" in rows[0]:
                about = "from scratch" if name == "no training" else f"{name}, then labels"
                lines.append(_probe_line(f"{about}: {pieces}", rows, budget, key="fine_tuned"))
    return markdown(["network", *TASKS.values()], lines)


def filling() -> str:
    """Return nats per hidden cell of test pieces by how the network was trained and how cells are hidden."""
    lines = [
        [name, *(mean_and_spread(values(rows, "infilling", "test", kind)) for kind in KINDS), seeds_of(rows)]
        for name, rows in rows_by_encoder("counting", "objectives", "long").items()
        if "infilling" in rows[0]
    ]
    return markdown(["learned from", *(f"{kind} hidden" for kind in KINDS), "seeds"], lines)


def data() -> str:
    """Return what the number of pieces without labels is worth: filling, and probes with ten labelled pieces."""
    found = rows_by_encoder("objectives") | rows_by_encoder("data")
    lines = []
    for name in [*rows_by_encoder("data"), "masked, orderless"]:
        if rows := found.get(name):
            notes = mean_and_spread(values(rows, "infilling", "test", "notes"))
            pieces = name.rpartition(", ")[2] if name.endswith("pieces") else "all pieces"
            lines.append([pieces, notes, *_probe_line(name, rows, 10)[1:]])
    return halves(["trained on", "nats per cell, notes hidden", *TASKS.values()], lines)


# Chapter 9: what each model writes

#: Statistics of a piece, each with the title of its column, a factor and decimals.
WRITTEN = {
    "parallels in 100 quarters": ("parallels in 100 quarters", 1, 1),
    "cells out of range": ("out of range, %", 100, 2),
    "crossed steps": ("crossed, %", 100, 1),
    "leaps beyond a fifth": ("leaps beyond a fifth, %", 100, 1),
    "notes per quarter": ("notes per quarter", 1, 2),
    "steps in repeats of 16": ("in repeats of a bar, %", 100, 1),
    "steps in repeats of 64": ("in repeats of four bars, %", 100, 1),
}


def _counted(rows: list[Row], middle: dict[str, list[float]], names: Iterable[str] = WRITTEN) -> list[str]:
    """Return mean and spread over seeds of some statistics, marked where the mean is outside the middle of Bach's."""
    cells = []
    for name in names:
        _, factor, n_decimals = WRITTEN[name]
        means = values(rows, "statistics", name, 0)
        low, high = middle[name]
        mark = "" if low <= statistics.fmean(means) <= high else " *"
        cells.append(mean_and_spread([factor * mean for mean in means], n_decimals) + mark)
    return cells


def written() -> str:
    """Return what each model writes beside Bach, in two narrow tables; of those with a loss, the lowest comes last."""
    result = load_result("generation")
    middle, found = result["bach_middle"], by_model(row for row in result["rows"] if row["group"] != "settings")
    edges = [" to ".join(f"{factor * edge:.{n}f}" for edge in middle[name]) for name, (_, factor, n) in WRITTEN.items()]
    lines = [["middle 90 % of Bach's pieces", NOT_ASKED, NOT_ASKED, *edges, *4 * [NOT_ASKED]]]
    loss = {name: -statistics.fmean([row.get("valid", 0) for row in rows]) for name, rows in found.items()}
    for name, rows in sorted(found.items(), key=lambda each: (not each[0].startswith("Bach"), loss[each[0]])):
        nats = mean_and_spread(values(rows, "valid")) if "valid" in rows[0] else NOT_ASKED
        seconds = f"{statistics.fmean(values(rows, 'seconds_of_one')):.1f}" if "seed" in rows[0] else NOT_ASKED
        far = [mean_and_spread(values(rows, "two_sample", "accuracy"), 2), mean_and_spread(values(rows, "frechet"), 1)]
        shared = mean_and_spread([100 * share for share in values(rows, "shared", "16")], 1)
        n_seeds = str(len(rows)) if "seed" in rows[0] else NOT_ASKED
        lines.append([name, n_seeds, nats, *_counted(rows, middle), *far, shared, seconds])
    counted = [title for title, _, _ in WRITTEN.values()]
    header = ["seeds", "valid", *counted, "told from Bach", "Frechet distance", "windows of a bar shared, %", "seconds"]
    return halves(["model", *header], lines)


def settings() -> str:
    """Return what several ways to set the same sopranos give and cost."""
    result = load_result("generation")
    names = ("parallels in 100 quarters", "cells out of range", "crossed steps")
    lines = [
        [
            row["model"],
            *_counted([row], result["bach_middle"], names),
            str(row["n_refused"]),
            f"{row['seconds_of_one']:.1f}",
        ]
        for row in result["rows"]
        if row["group"] == "settings" and row["n_pieces"] > 1
    ]
    return markdown(["set by", *(WRITTEN[name][0] for name in names), "not set", "seconds each"], lines)


#: Pages of the book -> names of their blocks -> what makes each.
PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "chapter_04_study": {
        "objectives all": partial(probes, None),
        "objectives hopes": hopes,
        "objectives ten": partial(probes, 10),
        "objectives tuned": fine_tuned,
        "objectives filling": filling,
        "objectives heads": heads,
        "objectives views": views,
        "objectives data": data,
        "objectives new hymns": partial(probes, None, "new hymns"),
    },
    "chapter_08": {
        "jsb_table": benchmark,
        "jsb details": benchmark_details,
        "jsb together": together,
        "jsb matches": matches,
        "jsb ideas": ideas,
        "jsb splits": splits,
    },
    "scoreboard": {
        "scoreboard": scoreboard,
        "written": written,
        "settings": settings,
        "objectives": study_scoreboard,
        "known tunes": known_tunes,
    },
    "reproducibility": {"provenance": provenance},
    "index": {"address": repository.notice, "minutes": minutes.table},
    "setting_up": {"address": repository.notice},
}
