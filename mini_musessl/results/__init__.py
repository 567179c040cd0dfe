"""What the long experiments found: one JSON file per experiment, written by ``experiments/NAME.py``.

Pages and notebooks take their numbers from here, so that none is typed. Each file holds its rows and what is needed to
run it again: commit, command, seeds, device, seconds, versions.

Chapter: 00 and every chapter with a long experiment.
"""

import json
import statistics
from pathlib import Path
from typing import Any

from mini_musessl.checks import check_choice

FOLDER = Path(__file__).resolve().parent

Row = dict[str, Any]


def load_result(name: str) -> dict[str, Any]:
    """Load what an experiment found: "rows", a dictionary each, "provenance", and facts that the rows share.

    >>> load_result("tokenizer_speed")["provenance"]["command"]
    'python experiments/tokenizer_speed.py'
    """
    known = sorted(file.stem for file in FOLDER.glob("*.json"))
    check_choice("The name of an experiment that has run", name, known, "To run one: python experiments/NAME.py.")
    try:
        return json.loads((FOLDER / f"{name}.json").read_bytes())
    except (ValueError, RecursionError):
        raise ValueError(
            f"A result must be a whole JSON file; {name}.json is damaged. Install the package again, or run the "
            f"experiment: python experiments/{name}.py."
        ) from None


# --- What the study of objectives found (``experiments/objectives.py``), by encoder and by probe

#: The groups of its rows: references (not trained here, or not at all), counting (no encoder), objectives, heads and
#: views (the parts of two of them), data (fewer pieces), long. In each row "probes" is a list: "task", "budget"
#: (labelled pieces; None: all, 0: none needed), "tested" ("all" test pieces or those of "new hymns"),
#: "balanced_accuracy" of each draw of the labelled pieces and, where all are labelled, "chance".
GROUPS = ("references", "counting", "objectives", "heads", "views", "data", "long")


def rows_by_encoder(*groups: str) -> dict[str, list[Row]]:
    """Return the rows of the study by the name of their encoder, one row per seed; of all groups, if none is named.

    >>> len(rows_by_encoder("references")["no training"])
    3
    """
    for group in groups:
        check_choice("A group of rows", group, GROUPS)
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
    """Return the balanced accuracy of a probe, one number per seed: the mean over draws of the labelled pieces.

    Args:
        rows: those of one encoder.
        budget: labelled pieces; None for all, 0 for a rule that needs none.
        tested: "all" test pieces, or those of "new hymns".
        key: "probes" of the frozen encoder, or "fine_tuned": the encoder learned on from the labels.
        draw: number of one draw of the labelled pieces; None for the mean of all.
    """
    draws = [
        [
            accuracy
            for each in row.get(key, [])
            if (each["task"], each.get("budget"), each["tested"]) == (task, budget, tested)
            for number, accuracy in enumerate(each.get("balanced_accuracy", []))
            if draw in (None, number)
        ]
        for row in rows
    ]
    return [statistics.fmean(each) for each in draws if each]
