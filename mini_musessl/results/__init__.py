"""What the long experiments found: one JSON file an experiment, written by ``experiments/NAME.py``.

Pages and notebooks take their numbers from here, so that none is typed. Each file holds its rows and what is needed to
run it again: commit, command, seeds, device, seconds, versions.

Chapter: 00 and every chapter with a long experiment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
