"""Write what an experiment found, and everything that is needed to run it again.

Every experiment ends with ``write_result``. The file mini_musessl/results/NAME.json holds the rows of the
result and beside them the commit, the command, the seeds, the device, the seconds and the versions. Pages and notebooks
read their numbers from there, through ``mini_musessl.results.load_result``.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from mini_musessl.files import write_aside

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "mini_musessl" / "results"
#: Packages whose version is written down where they are installed; experiments name the others they use.
PACKAGES = ("numpy", "torch", "music21")


def write_result(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    seeds: Sequence[int],
    seconds: float,
    device: str = "cpu",
    packages: Sequence[str] = (),
    folder: Path = RESULTS,
    **facts: Any,
) -> Path:
    """Write NAME.json, and return its path.

    Args:
        name: that of the experiment's file without ".py".
        rows: the result, of finite numbers, texts, and lists and mappings of them.
        device: "cpu", or the name of an accelerator.
        packages: those whose versions matter here, beside numpy, torch and music21.
        **facts: settings that the rows share, such as sizes.
    """
    if not rows:
        raise ValueError(f"A result needs at least one row; experiment {name!r} has none. Did its loop run?")
    result = {
        "name": name,
        "rows": list(rows),
        **facts,
        "provenance": {
            "commit": COMMIT_AT_START,
            "command": describe_command(),
            "seeds": list(seeds),
            "device": device,
            "processor": find_processor(),
            "seconds": round(seconds, 1),
            "versions": find_versions((*PACKAGES, *packages)),
        },
    }
    try:
        text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"A result must be of finite numbers, texts, lists and mappings; experiment {name!r} gives {error}. "
            "Convert arrays with .tolist() and numbers of NumPy with float() or int()."
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    write_aside(path, text.encode("utf-8"))
    return path


def add_rows(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    is_old: Callable[[dict[str, Any]], bool],
    seconds: float,
    folder: Path = RESULTS,
    rename: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> Path:
    """Put rows into the kept NAME.json, before the others and in the place of old ones; say there how.

    For baselines that cost seconds, where the runs beside them cost hours. ``rename`` gives each row that is there the
    names of now.
    """
    path = folder / f"{name}.json"
    result = json.loads(path.read_bytes())
    models = list(dict.fromkeys(row["model"] for row in rows))
    result["rows"] = [*rows, *(rename(row) for row in result["rows"] if not is_old(row))]
    added = [each for each in result["provenance"].get("added", []) if each["models"] != models]
    new = {"models": models, "commit": COMMIT_AT_START, "command": describe_command(), "seconds": round(seconds, 1)}
    result["provenance"]["added"] = [*added, new]
    write_aside(path, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode("utf-8"))
    return path


def find_commit() -> str:
    """Return the commit of the code, with "+ changes" where tracked files differ from it, or "unknown"."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "mini_musessl", "experiments")
    return (commit + (" + changes" if changed else "")) if commit else "unknown"


def describe_command() -> str:
    """Return the command that was run, with the program's path as seen from the project."""
    program = Path(sys.argv[0]).resolve()
    where = program.relative_to(ROOT).as_posix() if program.is_relative_to(ROOT) else program.name
    return shlex.join(["python", where, *sys.argv[1:]])


def find_processor() -> str:
    """Return the model of the processor and how many cores this process may use, without the machine's name."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor_model()}, {n_cores} core{'' if n_cores == 1 else 's'}"


def find_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the version of Python and of each package that is installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _processor_model() -> str:
    """Return the processor's model from the operating system, or its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    """Return what git says about this project, or nothing where there is no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


#: Read when the experiment starts: a long run may end after the next commit.
COMMIT_AT_START = find_commit()
