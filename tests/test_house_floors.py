"""Lower floors never import upper ones, and importing little costs little."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import floors
import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_every_import_of_the_library_obeys_the_floors():
    problems = floors.library_problems()
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    "module, source, sentence",
    [
        ("music", "from mini_musessl import voices", "imports voices, which does not lie below it"),
        ("music", "def f():\n    from mini_musessl.voices import cut", "imports voices, which does not lie below it"),
        ("voices", "import mini_musessl.harmony", "imports harmony, which does not lie below it"),
        ("tokenizers.remi", "from ..windows import cut", "imports windows, which does not lie below it"),
        ("corpora", "import torch", "imports torch; floors 1 to 3 never do"),
        ("training", "from mini_musessl import plotting", "imports plotting, which does not lie below it"),
        ("helpers", "import numpy", "helpers stands on no floor"),
        ("music", "from mini_musessl import no_such_room", "imports no_such_room, which does not lie below it"),
        ("", "from mini_musessl import music", "it must import nothing"),
    ],
)
def test_a_forbidden_import_is_found(module: str, source: str, sentence: str):
    problems = floors.file_problems(source, module, is_package=module in ("", "corpora"))
    assert len(problems) == 1 and sentence in problems[0]


@pytest.mark.parametrize(
    "module, source",
    [
        ("voices", "from mini_musessl import music"),
        (
            "tokenizers.remi",
            "from mini_musessl.tokenizers.bars import x\nfrom . import loss\nfrom ..music import cut",
        ),
        ("training", "import torch\nfrom mini_musessl import __version__, checkpoints"),
        ("show", "from mini_musessl import audio, plotting, corpora"),
    ],
)
def test_an_allowed_import_passes(module: str, source: str):
    assert floors.file_problems(source, module) == []


def loaded_after(statement: str) -> set[str]:
    """Return the names of the modules that a new Python has loaded after a statement."""
    command = [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_else():
    loaded = loaded_after("import mini_musessl")
    assert "mini_musessl" in loaded
    assert not loaded & {"numpy", *floors.HEAVY}
    assert not [name for name in loaded if name.startswith("mini_musessl.")]


def test_floors_one_to_three_load_no_heavy_package():
    low = [room for room in floors.existing_rooms() if floors.floor_of(room) in ("1", "2", "3")]
    loaded = loaded_after("\n".join(f"import mini_musessl.{room}" for room in low))
    assert "mini_musessl.music" in loaded
    assert not loaded & set(floors.HEAVY)


def test_the_heavy_packages_would_be_seen():
    assert "matplotlib" in loaded_after("import matplotlib")


def test_readme_prints_the_table_of_floors():
    assert floors.table() in (ROOT / "README.md").read_text("utf-8"), "run `make tables`"
    assert "| [`music/`](mini_musessl/music/) |" in floors.table()
    assert "| [`show.py`](mini_musessl/show.py) |" in floors.table()


def test_no_file_has_a_name_that_says_nothing():
    empty_names = {"utils", "util", "common", "helpers", "helper", "misc", "stuff"}
    files = [path for folder in ("mini_musessl", "tests", "tools") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 10
    assert [path for path in files if empty_names & set(path.stem.split("_"))] == []
