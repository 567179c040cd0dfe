"""Runs that are kept: which are asked for, where they lie, and that none is made twice.

An experiment of many runs writes the row of each when it has ended. A run whose row is there is read, so that an
experiment that was stopped goes on; the result is made of all rows that are there, and of those that it had before and
whose runs are not there, as on another machine.
"""

import argparse
import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from provenance import RESULTS

from mini_musessl.files import write_aside
from mini_musessl.training.loop import TrainingConfig

Row = dict[str, Any]


def file_name(name: str) -> str:
    """Return the name of a setting as a name of files.

    >>> file_name("masked: cells + notes")
    'masked-cells-notes'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def keep(path: Path, make: Callable[[], Any], needed: Collection[str] = ()) -> Any:
    """Return what a JSON file holds; make it if there is none, or half of one, or a row without what is needed."""
    if (kept := read_kept(path, needed)) is None:
        text = json.dumps(make())
        write_aside(path, text.encode("utf-8"))
        kept = json.loads(text)
    return kept


def read_kept(path: Path, needed: Collection[str] = ()) -> Any:
    """Return what a JSON file holds, or None if it is not there, or damaged: then it is named."""
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_bytes())
        if not (isinstance(kept, (dict, list)) and kept):
            raise ValueError("it holds no row")
        for row in kept if isinstance(kept, list) else [kept]:
            if missing := set(needed) - set(row if isinstance(row, dict) else ()):
                raise ValueError(f"a row lacks {', '.join(sorted(missing))}")
    except (ValueError, RecursionError) as error:
        print(f"{path} is damaged ({error}), and counts as not there.", flush=True)
        return None
    return kept


def read_rows(setting: Any, seeds: Iterable[int], runs: Path, needed: Collection[str] = ()) -> list[Row]:
    """Return the rows of those runs of a setting that have ended."""
    kept = [read_kept(runs / f"{setting.file_name}-{seed}.json", needed) for seed in seeds]
    return [row for row in kept if row is not None]


def with_published(name: str, rows: list[Row], settings: Collection[str], folder: Path = RESULTS) -> list[Row]:
    """Return rows, and after them those of the kept NAME.json whose runs are not here, of settings that still exist.

    A model's name may go on behind its setting's, after a colon.
    """
    path = folder / f"{name}.json"
    published = json.loads(path.read_bytes())["rows"] if path.exists() else []
    made = {_about(row) for row in rows}
    known = [row for row in published if {row["model"], row["model"].rsplit(": ", 1)[0]} & set(settings)]
    return rows + [row for row in known if _about(row) not in made]


def _about(row: Row) -> tuple[Any, ...]:
    """Return what tells a row of a result from the others."""
    return tuple(row.get(key) for key in ("group", "model", "data", "seed"))


def shorten(config: TrainingConfig, n_updates: int | None) -> TrainingConfig:
    """Return a training of fewer updates, for a quick look, or as it is where no number is given."""
    if n_updates is None:
        return config
    return replace(config, n_updates=n_updates, n_warmup_updates=1, report_every=n_updates)


def read_options(about: str | None, names: Collection[str], runs: Path, **switches: str) -> argparse.Namespace:
    """Read the command line of an experiment of many runs.

    Args:
        about: docstring of the experiment; its first line is shown.
        names: of its settings.
        runs: where its runs are kept; a quick look keeps them in its own folder.
        **switches: further options that are there or not, each with its explanation.

    Returns:
        What was asked for: ``only``, ``seeds``, ``updates``, the switches, and the folders ``runs`` and ``results``.
    """
    parser = argparse.ArgumentParser(description=about and about.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(names), metavar="NAME", help="names of settings")
    parser.add_argument("--seeds", nargs="*", type=int, help="of those that a setting has")
    parser.add_argument("--updates", type=int, help="for a quick look")
    parser.add_argument("--folder", type=Path, help="where a quick look writes")
    for name, meaning in switches.items():
        parser.add_argument(f"--{name}", action="store_true", help=meaning)
    asked = parser.parse_args()
    if asked.updates is not None and asked.folder is None:
        parser.error("--updates is for a quick look, which needs a --folder of its own: its rows are no results.")
    if unknown := set(asked.only) - set(names):
        found = ", ".join(sorted(unknown))
        parser.error(f"--only takes names of settings; found {found}. Known: {'; '.join(names)}.")
    asked.runs, asked.results = (asked.folder / "runs", asked.folder) if asked.folder else (runs, RESULTS)
    asked.runs.mkdir(parents=True, exist_ok=True)
    return asked
