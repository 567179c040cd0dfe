"""Lower floors never import upper ones, and importing little costs little."""

import subprocess
import sys
from pathlib import Path

import floors
import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_every_import_of_the_library_obeys_the_floors():
    problems = floors.library_problems()
    assert not problems, "\n".join(problems)


HOUSE = {
    "1 music": {"music": "notes", "voices": "grids", "harmony": "chords"},
    "2 in, out": {"midi": "files"},
    "3 tokens": {"tokenizers": "ids"},
    "4 network": {"network.attention": "heads", "network.frames": "steps", "network": "its face"},
    floors.SIDE: {"plotting": "figures", "show": "all at once"},
}
NOT_BELOW = "which does not lie below it"


@pytest.mark.parametrize(
    "module, source, sentence",
    [
        ("music", "from mini_musessl import voices", f"imports voices, {NOT_BELOW}"),
        ("music", "def f():\n    from mini_musessl.voices import cut", f"imports voices, {NOT_BELOW}"),
        ("voices", "import mini_musessl.harmony", f"imports harmony, {NOT_BELOW}"),
        ("tokenizers.remi", "from ..network import attend", f"imports network, {NOT_BELOW}"),
        ("network.attention", "from . import frames", f"imports network.frames, {NOT_BELOW}"),
        ("network.attention", "from mini_musessl.network import face", f"imports network, {NOT_BELOW}"),
        ("midi", "import torch", "imports torch; floors 1 to 3 never do"),
        ("tokenizers.remi", "def f():\n    from torch import nn", "imports torch; floors 1 to 3 never do"),
        ("network.frames", "from mini_musessl import plotting", f"imports plotting, {NOT_BELOW}"),
        ("plotting", "from mini_musessl import show", f"imports show, {NOT_BELOW}"),
        ("helpers", "import numpy", "helpers stands on no floor"),
        ("music", "from mini_musessl import no_such_room", f"imports no_such_room, {NOT_BELOW}"),
        ("", "from mini_musessl import music", "it must import nothing"),
        ("", "import numpy", "it must import nothing"),
        ("", "import sys", ""),
        ("voices", "from mini_musessl import music", ""),
        (
            "tokenizers.remi",
            "from mini_musessl.tokenizers.base import x\nfrom . import base\nfrom ..music import cut",
            "",
        ),
        ("network.frames", "import torch\nfrom mini_musessl import __version__\nfrom .attention import attend", ""),
        ("network", "from mini_musessl.network.frames import FrameTransformer", ""),
        ("show", "from mini_musessl import midi, plotting, network", ""),
    ],
)
def test_a_forbidden_import_is_found_and_an_allowed_one_passes(monkeypatch, module: str, source: str, sentence: str):
    monkeypatch.setattr(floors, "FLOORS", HOUSE)
    problems = floors.file_problems(source, module, is_package=module in ("", "midi", "network"))
    assert len(problems) == bool(sentence) and all(sentence in problem for problem in problems), problems


def test_the_table_names_the_files_and_folders_that_exist(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(floors, "FLOORS", HOUSE)
    folder = tmp_path / floors.PACKAGE
    for name in ("music.py", "voices/__init__.py", "network/attention.py", "midi/left_over.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("", "utf-8")
    assert floors.existing_rooms(tmp_path) == {
        "music": "music.py",
        "voices": "voices/",
        "network.attention": "network/attention.py",
    }
    assert floors.table(tmp_path).splitlines()[2:] == [
        "| 1 | music | [`music.py`](mini_musessl/music.py) | notes |",
        "|  |  | [`voices/`](mini_musessl/voices/) | grids |",
        "| 4 | network | [`network/attention.py`](mini_musessl/network/attention.py) | heads |",
    ]


def loaded_after(statement: str) -> set[str]:
    command = [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_else():
    loaded = loaded_after("import mini_musessl")
    assert "mini_musessl" in loaded
    assert not loaded & {"numpy", *floors.HEAVY}
    assert not [name for name in loaded if name.startswith("mini_musessl.")]


def test_floors_one_to_three_load_no_heavy_package():
    low = [room for room in floors.existing_rooms() if floors.lies_low(room)]
    loaded = loaded_after("\n".join(f"import mini_musessl.{room}" for room in low))
    assert "mini_musessl.music" in loaded
    assert not loaded & set(floors.HEAVY)


#: Hides a package as if it were not installed, then does something and prints what it says.
WITHOUT = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == {package!r} else super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
try:
    {statement}
except ImportError as error:
    print(type(error).__name__, error)
"""


def said_without(package: str, statement: str) -> str:
    program = WITHOUT.format(package=package, statement=statement.replace("\n", "\n    "))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


MUSIC = "from mini_musessl import audio, corpora, files, midi, musicxml, notation, plotting, voices\n"
GRID = MUSIC + "grid = voices.from_pitches([[60, 57, 53, 48]] * 4)\n"
#: For each package, something that needs it, and the module that says so.
NEEDS = [
    ("numpy", "import mini_musessl.music", "music"),
    ("jaxtyping", "import mini_musessl.music", "checks"),
    ("torch", "from mini_musessl.network import MusicTransformer", "network.encoder"),
    ("torch", "from mini_musessl import training", "training.loop"),
    ("torch", "from mini_musessl.evaluation import likelihood", "evaluation.likelihood"),
    ("safetensors", "from mini_musessl.training import checkpoints", "training.checkpoints"),
    ("pretty_midi", GRID + "midi.to_pretty_midi(voices.to_piece(grid))", "midi"),
    ("symusic", GRID + "midi.read_midi(midi.to_bytes(voices.to_piece(grid)), reader='symusic')", "midi"),
    ("music21", MUSIC + "corpora.load_chorales()", "corpora"),
    ("verovio", GRID + "notation.to_svg(grid)", "notation"),
    ("soundfile", MUSIC + "import numpy\naudio.to_mp3(numpy.zeros(100))", "audio"),
    ("matplotlib", MUSIC + "with plotting.figure('A line that rises', 't', 'x', 'y'): pass", "plotting"),
    ("pooch", MUSIC + "files.cache_folder()", "files"),
]


@pytest.mark.parametrize("package, statement, module", NEEDS)
def test_a_missing_package_is_named_with_the_command_that_installs_it(package: str, statement: str, module: str):
    said = f"mini_musessl.{module} needs the package {package}, which is not installed. Run: pip install {package}"
    assert said_without(package, statement) == f"ModuleNotFoundError {said}"


@pytest.mark.parametrize(
    "statement, answer",
    [
        ("import importlib.util, mini_musessl\nprint(importlib.util.find_spec('torch'))", "None"),
        ("import mini_musessl.music\nimport torch", "ModuleNotFoundError No module named 'torch'"),
        ("import mini_musessl.musik", "ModuleNotFoundError No module named 'mini_musessl.musik'"),
    ],
)
def test_what_others_look_for_is_left_to_python(statement: str, answer: str):
    assert said_without("torch", statement) == answer


def test_the_heavy_packages_would_be_seen():
    assert "matplotlib" in loaded_after("import matplotlib")


def test_no_file_has_a_name_that_says_nothing():
    empty_names = {"utils", "util", "common", "helpers", "helper", "misc", "stuff"}
    files = [path for folder in ("mini_musessl", "tests", "tools") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 10
    assert [path for path in files if empty_names & set(path.stem.split("_"))] == []
