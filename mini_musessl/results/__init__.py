"""What the long experiments found: one JSON file an experiment, written by ``experiments/NAME.py``.

Pages and notebooks take their numbers from here, so that none is typed. Each file holds its rows and what is needed to
run it again: commit, command, seeds, device, seconds, versions.

Chapter: 00 and every chapter with a long experiment.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

# --- What the long experiments found: one JSON file an experiment, written by ``experiments/NAME.py``

FOLDER = Path(__file__).resolve().parent


def load_result(name: str) -> dict[str, Any]:
    """Load what an experiment found.

    Args:
        name: name of the experiment, that of its file in ``experiments`` without ".py".

    Returns:
        The result: "rows", a list with one dictionary a row, "provenance", and facts that the rows share.

    Raises:
        ValueError: there is no result of that name.

    Example:
        >>> load_result("tokenizer_speed")["provenance"]["command"]
        'python experiments/tokenizer_speed.py'

    Chapter: 00, 3b.
    """
    path = FOLDER / f"{name}.json"
    known = sorted(file.stem for file in FOLDER.glob("*.json"))
    if name not in known:
        raise ValueError(
            f"load_result needs the name of an experiment that has run; found {name!r}, known are {', '.join(known)}. "
            f"To run one: python experiments/NAME.py."
        )
    return json.loads(path.read_text("utf-8"))


# --- What the study of objectives found (``experiments/objectives.py``), by encoder and by probe

Row = dict[str, Any]
#: The groups of rows of the study.
GROUPS = ("references", "counting", "objectives", "heads", "views", "data", "long")


def rows_by_encoder(*groups: str) -> dict[str, list[Row]]:
    """Return the rows of the study by the name of their encoder, one row a seed, in the order of the result.

    Args:
        *groups: "references" (not trained here, or not at all), "counting" (no encoder), "objectives", "heads" and
            "views" (the parts of two of them), "data" (fewer pieces), "long"; none for all.

    Returns:
        Of each row, "probes" is a list of what was found: "task", "budget" (labelled pieces; None: all), "tested"
        ("all" test pieces or those of "new hymns"), "balanced_accuracy" of each draw of the labelled pieces and, where
        all are labelled, "chance".

    Raises:
        ValueError: the study has no group of that name.

    Example:
        >>> len(rows_by_encoder("references")["no training"])
        3

    Chapter: 1a, 4.
    """
    unknown = set(groups) - set(GROUPS)
    if unknown:
        raise ValueError(f"Groups of rows are {', '.join(GROUPS)}; found {', '.join(sorted(unknown))}.")
    found: dict[str, list[Row]] = {}
    for row in load_result("objectives")["rows"]:
        if not groups or row["group"] in groups:
            found.setdefault(row["model"], []).append(row)
    return found


def probe_accuracies(
    rows: list[Row],
    task: str,
    budget: int | None,
    tested: str = "all",
    key: str = "probes",
    draw: int | None = None,
) -> list[float]:
    """Return the balanced accuracy of a probe, one number a seed: the mean over draws of the labelled pieces.

    Args:
        rows: those of one encoder.
        task: name of a probe, such as "chord".
        budget: labelled pieces; None for all.
        tested: "all" test pieces, or those of "new hymns".
        key: "probes" of the frozen encoder, or "fine_tuned": the encoder learned on from the labels.
        draw: number of one draw of the labelled pieces; None for the mean of all.

    Returns:
        Shares of 0..1; none where it was not asked.

    Example:
        >>> rows = rows_by_encoder("references")["no training"]
        >>> all(0 < each < 1 for each in probe_accuracies(rows, "chord", 10))
        True

    Chapter: 1a, 4.
    """
    asked = (task, budget, tested)
    found = [
        [
            accuracy
            for each in row.get(key, [])
            if (each["task"], each.get("budget"), each["tested"]) == asked
            for number, accuracy in enumerate(each.get("balanced_accuracy", []))
            if draw in (None, number)
        ]
        for row in rows
    ]
    return [statistics.fmean(draws) for draws in found if draws]
