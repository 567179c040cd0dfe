"""The floors of the library: the one table of who may import whom.

A module imports from floors below its own and, on its own floor, from what stands before it in the list. Side rooms may
import every floor and the side rooms before them; no floor imports a side room. tests/test_house_floors.py reads every
import statement and compares; README.md prints the table of what exists.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mini_musessl"

#: Floors that a musician can use without PyTorch.
FLOORS_WITHOUT_TORCH = 3
#: Packages that cost time to import: floors 1 to 3 import them inside the function that needs them, the package never.
HEAVY = ("torch", "matplotlib", "music21", "pretty_midi", "soundfile", "symusic", "verovio", "ipywidgets", "pooch")


SIDE = "side rooms"
#: Floors with their modules, from the lowest to the highest, and what each holds.
FLOORS: dict[str, dict[str, str]] = {
    "0 ground": {
        "checks": "what two modules refuse: what must hold, what was found, what to do",
        "files": "write aside and rename, the cache, downloads by sha256",
    },
    "1 music": {
        "music": "notes on an integer grid; meter, tempo; transpose, cut, join, check",
        "voices": "step-by-voice grids (chorales): pitch, onset, fermata; to and from notes",
        "harmony": "chroma, chord labels, key, cadences",
    },
    "2 in, out": {
        "midi": "read and write MIDI; bad files are refused with a reason",
        "musicxml": "read and write MusicXML",
        "chorale_files": "a fast reader of the chorales' MusicXML",
        "corpora": "Bach chorales, a folder of MIDI: read or download, check, cache, split",
        "tunes": "folk tunes in ABC notation",
    },
    "3 tokens": {
        "tokenizers.base": "the vocabulary, the contract, what is lost on the way there and back",
        "tokenizers.voice_grid": "one token a voice and step: the chorale benchmark's alphabet",
        "tokenizers.midi_like": "events in time order",
        "tokenizers.remi": "bars and positions",
        "tokenizers.compound": "one word of several fields per note",
        "tokenizers": "the four by name",
    },
    "4 batches": {
        "batches": "windows of tokens and of frames, padding, batches; augmentation by transposition",
        "masking": "what a network may not see: cells, spans, bars, voices, whole notes, any subset",
        "repeats": "where a piece has been the same before, and what came next there",
    },
    "5 network": {
        "network.attention": "positions, masks, attention and its heads, the KV cache",
        "network.transformer": "the block, first weights, MusicTransformer",
        "network.counterpoint": "scores of how two voices move together, in every key",
        "network.mixture": "a network's probabilities mixed with what came next where the piece was the same before",
        "network.frames": "FrameTransformer: one position per step, the voices of a step in turn",
        "network.encoder": "FrameEncoder describes every step of a window; MaskedTransformer names hidden cells",
        "network": "the networks by name",
    },
    "6 objectives": {
        "objectives.next_token": "the next token, the next frame",
        "objectives.masked": "hidden cells",
        "objectives.attributes": "pitch, rhythm and harmony of what comes",
        "objectives.contrastive": "which view belongs to which",
        "objectives.order": "which window comes first",
        "objectives": "what a network is asked",
    },
    "7 use": {
        "training.distributed": "several processes under torchrun",
        "training.checkpoints": "safetensors and JSON, anything else is refused; the shipped models",
        "training.resuming": "stopped at any moment, it goes on to the bit",
        "training.loop": "one loop, schedules, averages, history",
        "training": "train, and how",
        "generation.constraints": "what a voice must not sing: ranges, no parallels, a chord, a cadence",
        "generation.sampling": "temperature, top-k, top-p; tokens and frames, one after another",
        "generation.gibbs": "hidden cells of a score, block by block",
        "generation.pieces": "continue a piece, harmonise a melody, fill gaps",
        "generation": "all that draws music",
    },
    "8 judgement": {
        "evaluation.likelihood": "nats per token, paired bootstrap",
        "evaluation.infilling": "nats per hidden cell, any order",
        "evaluation.counting": "baselines that count: uniform to counts that know music",
        "evaluation.causality": "a black-box test that a model does not see the future",
        "evaluation.voice_leading": "parallels, crossings, ranges",
        "evaluation.copying": "windows that two pieces share in any key, membership, exposure",
        "evaluation.probe_tasks": "questions that music answers by itself",
        "evaluation.probing": "what frozen features hold",
        "evaluation.fine_tuning": "what a network finds that learns on from few labels",
        "evaluation.statistics": "what can be counted in a piece; how far apart two sets of pieces are",
        "evaluation": "all that judges",
    },
    SIDE: {
        "audio": "sound from notes, in NumPy; MP3",
        "plotting": "figures, each with its alternative text",
        "rolls": "piano rolls, with marks and hidden cells",
        "takes": "what of some music is shown: clips, several takes",
        "notation": "scores as SVG",
        "show": "player, picture and sentence as one object",
        "results": "what the long experiments found",
        "exercises": "the checkers of the book's exercises: they name the mistake",
    },
}


def order() -> dict[str, int]:
    """Return the rank of every module: it may import what has a lower one."""
    return {room: rank for rank, room in enumerate(room for rooms in FLOORS.values() for room in rooms)}


def room_of(module: str) -> str | None:
    """Return the listed module that a dotted name belongs to: itself, or a package around it; None where none is."""
    parts = module.split(".")
    around = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((name for name in around if name in order()), None)


def lies_low(room: str) -> bool:
    """Return whether a module lies on a floor that a musician can use without PyTorch."""
    return any(room in rooms for floor, rooms in FLOORS.items() if floor[0] <= str(FLOORS_WITHOUT_TORCH))


def module_name(path: Path, package_folder: Path) -> str:
    """Return the dotted name of a file inside the package, without the package's own name ("" for its ``__init__``)."""
    parts = path.relative_to(package_folder).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported_modules(source: str, importer: str, is_package: bool = False) -> list[tuple[int, str]]:
    """Return ``(line, dotted name)`` of everything a file imports, wherever in the file the statement stands.

    Args:
        importer: the file's dotted name, with the package's name in front.
        is_package: whether the file is an ``__init__``.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = importer.split(".")
            kept = parents[: len(parents) - node.level + is_package] if node.level else []
            base = [*kept, node.module] if node.module else kept
            found += [(node.lineno, ".".join([*base, alias.name])) for alias in node.names]
    return found


def file_problems(source: str, module: str, is_package: bool = False) -> list[str]:
    """Return a sentence for each import of one file that the table forbids.

    Args:
        module: dotted name inside the package, such as ``tokenizers.remi``; "" is the package's own ``__init__``.
        is_package: whether the file is an ``__init__``.
    """
    imports = imported_modules(source, f"{PACKAGE}.{module}" if module else PACKAGE, is_package)
    if not module:
        taken = [(line, name) for line, name in imports if name not in sys.builtin_module_names]
        return [f"line {line}: the package imports {name}; it must import nothing" for line, name in taken]
    room, ranks = room_of(module), order()
    if room is None:
        return [f"{module} stands on no floor: add it to FLOORS in tools/floors.py"]
    problems = []
    for line, name in imports:
        top, _, inside = name.partition(".")
        if top == "torch" and lies_low(room):
            problems.append(f"line {line}: {module} imports torch; floors 1 to {FLOORS_WITHOUT_TORCH} never do")
        if top == PACKAGE and inside not in ("", "__version__"):
            other = room_of(inside)
            if other is None or ranks[other] > ranks[room]:
                problems.append(f"line {line}: {module} imports {other or inside}, which does not lie below it")
    return problems


def library_problems(root: Path = ROOT) -> list[str]:
    """Return a sentence for each forbidden import of the whole library."""
    folder = root / PACKAGE
    problems = []
    for path in sorted(folder.rglob("*.py")):
        name, is_package = module_name(path, folder), path.name == "__init__.py"
        found = file_problems(path.read_text("utf-8"), name, is_package)
        problems += [f"{path.relative_to(root)}, {problem}" for problem in found]
    return problems


def existing_rooms(root: Path = ROOT) -> dict[str, str]:
    """Return the files and folders of the listed modules that exist, as seen from the library's folder."""
    found = {}
    for room in order():
        place = room.replace(".", "/")
        for shown, file in ((f"{place}.py", f"{place}.py"), (f"{place}/", f"{place}/__init__.py")):
            if (root / PACKAGE / file).is_file():
                found[room] = shown
    return found


def table(root: Path = ROOT) -> str:
    """Return the table of README.md: every module that exists, floor by floor."""
    existing = existing_rooms(root)
    lines = ["| floor | | module | holds |", "|---|---|---|---|"]
    for floor, rooms in FLOORS.items():
        shown = [(existing[room], holds) for room, holds in rooms.items() if room in existing]
        for index, (file, holds) in enumerate(shown):
            start = " | " if index else floor.replace(" ", " | ", 1)
            lines.append(f"| {start} | [`{file}`]({PACKAGE}/{file}) | {holds} |")
    return "\n".join(lines)
