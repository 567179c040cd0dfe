"""Music to learn from: the Bach chorales, folders of MIDI files, and splits by which a test means something.

Nothing here ships music. The chorales are read from the reader's own music21, the JSB file is downloaded on request,
and what is read is kept in ``files.cache_folder()``.

References:
    Cuthbert and Ariza (2010), music21: a toolkit for computer-aided musicology and symbolic music data. ISMIR.
    The encodings are by Margaret Greentree and others; see music21's corpus/license.txt.
    Boulanger-Lewandowski, Bengio and Vincent (2012), Modeling temporal dependencies in high-dimensional sequences.
    ICML (the pieces and the split of JSB); Huang et al. (2017), Counterpoint by convolution. ISMIR (the file).

Chapter: 3c (data sets, splits, leaks, augmentation, licences).
"""

import hashlib
import importlib.metadata
import importlib.resources
import importlib.util
import io
import json
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

import mini_musessl
from mini_musessl import chorale_files, files, midi, music, voices
from mini_musessl.checks import check_choice, check_grid, check_some, printable, shown, whole_number
from mini_musessl.chorale_files import CELLS, METADATA, WrittenChorale

# Raise one when its reader changes what it returns, so that old cache files are not used.
READER_VERSION_CHORALES = 4
READER_VERSION_MIDI_FOLDER = 3

# The Bach chorales of the reader's own music21.

#: music21's bwv62.6 holds the music of BWV 274, which is there under its own number as well; BWV 846 is a prelude.
LEFT_OUT = ("bwv62.6", "bwv846")


def load_chorales(
    cache: bool = True, *, expand_repeats: bool = True, only_clean: bool = False
) -> list[voices.VoiceGrid]:
    """Load every Bach chorale of the installed music21 that has a soprano, an alto, a tenor and a bass.

    The grid is the sixteenth note. A step holds the pitch that sounds as it begins, so the few faster notes (three
    files have thirty-seconds) are sampled, as in the JSB data set. Ties are merged. Left out are
    grace notes, instruments, the second soprano of the two five-part pieces (bwv227.3, bwv27.6), and ``LEFT_OUT``.

    Args:
        cache: keep the arrays in ``files.cache_folder()`` and read them from there the next time.
        expand_repeats: True plays repeats out, False gives each written measure once.
        only_clean: True gives only files of exactly four parts, without grace notes, with every note on the grid.

    Returns:
        Grids in the order of BWV numbers, named like "bwv269". ``title`` is the hymn where music21's list of
        chorales has it, else the BWV number.

    >>> chorale = next(grid for grid in load_chorales() if grid.name == "bwv269")
    >>> chorale.title, chorale.meter, chorale.fifths, chorale.mode, int(chorale.bar_position_step[0])
    ('Aus meines Herzens Grunde', (3, 4), 1, 'major', 8)
    """
    chosen = [chorale for chorale in _load_written(cache) if chorale.is_clean or not only_clean]
    return [chorale_files.expand(chorale) if expand_repeats else chorale.grid for chorale in chosen]


def chorale_metadata() -> dict[str, str | int]:
    """Count what the installed music21 holds; another version may hold other files."""
    written = _load_written(True)
    return {
        "music21_version": _music21_version(),
        "n_files": len(_chorale_files()),
        "n_pieces": len(written),
        "n_clean": sum(chorale.is_clean for chorale in written),
        "n_with_repeats": sum(len(chorale.played_step) > 1 for chorale in written),
    }


def music21_files(folder: str, *endings: str) -> list[Path]:
    """Return the files with these endings in a folder of music21's corpus, found without importing music21."""
    path = Path(importlib.util.find_spec("music21").submodule_search_locations[0]) / "corpus" / folder
    found = sorted(file for file in path.glob("*") if file.suffix in endings)
    if not found:
        raise FileNotFoundError(
            f"music21 must be installed with its corpus; {path} holds no scores. "
            "Run: pip install --force-reinstall music21"
        )
    return found


def _music21_version() -> str:
    try:
        return importlib.metadata.version("music21")
    except importlib.metadata.PackageNotFoundError:  # a copy that no installer knows
        return "unknown"


def state_of(paths: Sequence[Path]) -> str:
    """Return names, sizes and times of change: they tell a changed file at a hundredth of the cost of reading it."""
    states = [(path.name, path.stat() if path.exists() else None) for path in paths]
    return json.dumps([(name, state and (state.st_size, state.st_mtime_ns)) for name, state in states])


#: More than twice the largest file of the corpus.
LARGEST_SCORE = 3_000_000


def read_each(paths: Sequence[Path], read: Callable[[Path, bytes], Any]) -> tuple[list, bool]:
    """Read files of music21's corpus, and return what was read and whether that is all: a damaged one is named."""
    found, damaged = [], []
    for path in paths:
        try:
            found.append(read(path, files.read_file(path, "mini_musessl", LARGEST_SCORE)))
        except Exception as error:  # whatever one file raises, the others stay
            damaged.append(f"{shown(path.name)} ({shown(error)})")
    if damaged:
        warnings.warn(
            f"The files of music21's corpus must be as they were installed; without {len(damaged)} of {len(paths)}, "
            f"which cannot be read, the data are not the ones of this book: {shown('; '.join(damaged), 2000)} "
            "Run: pip install --force-reinstall music21",
            stacklevel=4,
        )
    return found, not damaged


def _chorale_files() -> list[Path]:
    """Return the files of the chorales in the order of BWV numbers: bwv9.7 stands before bwv10.7."""

    def number(path: Path) -> list[tuple[int, int, str]]:
        return [(0, int(run), "") if run.isdigit() else (1, 0, run) for run in re.findall(r"\d+|\D+", path.stem)]

    return sorted(music21_files("bach", ".mxl", ".xml"), key=number)


_SPANS = ("played_step", "is_tied_on")


def _load_written(cache: bool) -> list[WrittenChorale]:
    """Return all chorales as written, from the cache if it holds them."""
    paths = _chorale_files()
    if not cache:
        return _read_written(paths)[0]
    version = f"{_music21_version()} {READER_VERSION_CHORALES}"
    key = files.digest(version, str(paths[0].parent), state_of([*paths, _title_list(paths)]))
    return files.cached(
        f"chorales-{key}.npz",
        lambda: _read_written(paths),
        lambda written: files.pack([_to_arrays(each) for each in written]),
        lambda stored: [_from_arrays(*item) for item in files.unpack(stored)],
    )


def _title_list(paths: list[Path]) -> Path:
    """Return the file of music21 that lists the Riemenschneider edition."""
    return paths[0].parent.parent / "chorales.py"


def _read_written(paths: list[Path]) -> tuple[list[WrittenChorale], bool]:
    """Read the chorales from their files, and return whether all could be read."""
    listed = [path for path in [_title_list(paths)] if path.exists()]
    tables, has_titles = read_each(listed, lambda _, data: _titles(data.decode("utf-8")))
    titles = tables[0] if tables else {}

    def read(path: Path, data: bytes) -> WrittenChorale:
        number = path.stem.removeprefix("bwv")
        chorale = chorale_files.read_chorale(data, path.stem, titles.get(number, f"BWV {number}"))
        if chorale is None:
            raise ValueError("It has no soprano, alto, tenor and bass.")
        return chorale

    chorales, is_all = read_each([path for path in paths if path.stem not in LEFT_OUT], read)
    check_some(len(chorales), "At least one chorale of music21 must be as it was installed", "Install music21 again.")
    return chorales, is_all and has_titles


#: Slips in the list: of typing, and of a text that the edition prints otherwise.
_CORRECTED = {"2.6": "Ach Gott, vom Himmel sieh\u2019 darein", "355": "Jesu, der du selbsten wohl"}


def _titles(text: str) -> dict[str, str]:
    """Return the title of each BWV number."""
    rows = re.findall(r"\d+---\|\|---(.+?)---\|\|---(.+?)---\|\|---\d+", text)
    return {number.strip(): title.strip() for number, title in rows} | _CORRECTED


def _to_arrays(chorale: WrittenChorale) -> tuple[dict[str, np.ndarray], dict]:
    """Return the arrays of a chorale, and the rest."""
    arrays = {name: getattr(chorale.grid, name) for name in CELLS} | {name: getattr(chorale, name) for name in _SPANS}
    return arrays, {name: getattr(chorale.grid, name) for name in METADATA} | {"is_clean": chorale.is_clean}


def _from_arrays(arrays: dict[str, np.ndarray], metadata: dict) -> WrittenChorale:
    """Undo ``_to_arrays``."""
    is_clean, spans = metadata.pop("is_clean"), [arrays.pop(name) for name in _SPANS]
    return WrittenChorale(voices.VoiceGrid(**arrays, **metadata), *spans, is_clean)


# The JSB chorales: the data set on which likelihoods of Bach chorales are published.

JSB_URL = "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/Jsb16thSeparated.json"
JSB_SHA256 = "79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7"


def load_jsb() -> dict[str, list[voices.VoiceGrid]]:
    """Load the JSB chorales on the grid of sixteenths, in the split of the literature.

    The file named by the environment variable ``MUSESSL_JSB`` is read; without it the file is downloaded once into
    ``files.cache_folder()``. Either way its sha256 is checked. It carries no licence, so this book does not ship it.

    JSB knows pitches alone: a note begins where the pitch changes, so repeated notes are one; there are no bars,
    fermatas or keys, and ``bar_position_step`` counts from the first step as if it were a bar line.

    Returns:
        "train" (229 pieces), "valid" (76) and "test" (77), named like "jsb-valid-56".
    """
    named = os.environ.get("MUSESSL_JSB")
    try:
        path = files.as_path(named or "", has_home=True)
        data = files.read_file(path, "load_jsb", files.LARGEST_DOWNLOAD) if named else b""
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"MUSESSL_JSB must name the file Jsb16thSeparated.json; {shown(named)} cannot be read ({error}) "
            "Correct the path, or unset the variable and the file is downloaded."
        ) from None
    data = data or files.download(JSB_URL, JSB_SHA256, "Jsb16thSeparated.json")
    if (found := hashlib.sha256(data).hexdigest()) != JSB_SHA256:
        raise ValueError(
            f"The JSB file must have sha256 {JSB_SHA256[:12]}...; {shown(named)} has {found[:12]}... It was altered or "
            f"is another edition, and results on it would compare with nothing published. Fetch it from {JSB_URL}."
        )
    pieces = json.loads(data)
    return {
        part: [voices.from_pitches(pitch, name=f"jsb-{part}-{index}") for index, pitch in enumerate(pieces[part])]
        for part in ("train", "valid", "test")
    }


# Which chorales harmonise the same hymn, and which are the same music.

#: Which share of the shorter piece's runs makes two melodies the same, and two pieces the same music.
SAME_MELODY, SAME_MUSIC = 0.5, 0.8


def melody_runs(grid: voices.VoiceGrid, n_intervals: int = 5) -> set[tuple[int, ...]]:
    """Return the runs of ``n_intervals`` intervals in the first voice of a ``grid``, heard on the quarter beats."""
    is_beat = grid.bar_position_step % grid.steps_per_quarter == 0
    melody = grid.pitch[is_beat, 0].astype(int)
    intervals = np.diff(melody[melody != voices.REST])
    intervals = intervals[intervals != 0].tolist()  # a repeated note is one note
    n_runs = len(intervals) - n_intervals + 1
    return {tuple(intervals[i : i + n_intervals]) for i in range(n_runs)}


def harmony_runs(grid: voices.VoiceGrid) -> set[tuple[int, ...]]:
    """Return each beat with the next one, as pitch classes counted from the soprano's first."""
    is_beat = grid.bar_position_step % grid.steps_per_quarter == 0
    beats = grid.pitch[is_beat].astype(int)
    pairs = np.concatenate([beats[:-1], beats[1:]], axis=1)
    pairs = pairs[pairs[:, 0] != voices.REST]
    above = np.where(pairs == voices.REST, voices.REST, (pairs - pairs[:, :1]) % 12)
    return set(map(tuple, above.tolist()))


def shared_runs(runs: Sequence[set]) -> Float[np.ndarray, "n_pieces n_pieces"]:
    """Return for each two pieces how many runs they share, divided by the number of runs of the shorter one."""
    column = {run: number for number, run in enumerate(set().union(*runs))}
    has_run = np.zeros((len(runs), len(column)), np.float32)
    for piece, members in enumerate(runs):
        has_run[piece, [column[run] for run in members]] = 1
    n_runs = has_run.sum(axis=1)
    return has_run @ has_run.T / np.maximum(np.minimum.outer(n_runs, n_runs), 1)


def number_groups(is_same: Bool[np.ndarray, "n_pieces n_pieces"]) -> Int[np.ndarray, " n_pieces"]:
    """Number the groups of pieces that are the same directly or through others, in the order of first appearance."""
    label = np.arange(len(is_same))
    for one, other in np.argwhere(np.triu(is_same, 1)):
        label[label == label[other]] = label[one]
    first_seen = list(dict.fromkeys(label.tolist()))
    return np.array([first_seen.index(value) for value in label.tolist()])


def melody_groups(chorales: Sequence[voices.VoiceGrid]) -> Int[np.ndarray, " n_chorales"]:
    """Number the chorales by the melody that their first voice sings, in any key; one hymn, one number.

    Of each soprano we keep the pitches on the quarter beats, melt repeated ones, and take all runs of five intervals
    in semitones. Two melodies are the same if half the runs of the shorter one occur in the other; what is the same
    as a third is the same. The rule joins nearly all settings of a hymn, misses those that Bach ornamented heavily or
    changed in meter, and joins some hymns that share long phrases.

    >>> quarters = [[pitch] for pitch in (60, 62, 64, 65, 67, 69, 71) for _ in range(4)]
    >>> melody = voices.from_pitches(quarters, voice_names=("melody",))
    >>> melody_groups([melody, voices.transpose(melody, 3)]).tolist()
    [0, 0]
    """
    check_some(len(chorales), "Grouping by melody needs at least one chorale", "Use corpora.load_chorales().")
    for chorale in chorales:
        voices.check_is_grid(chorale)
    return number_groups(shared_runs([melody_runs(grid) for grid in chorales]) >= SAME_MELODY)


def duplicates(chorales: Sequence[voices.VoiceGrid]) -> list[tuple[str, str, float]]:
    """Find pairs of chorales that are the same music, in any key, with the bass in any octave.

    Returns:
        For each pair its two names, in the order given, and the share of the shorter piece's ``harmony_runs`` that
        occur in the other, at least ``SAME_MUSIC``; the most alike first.
    """
    for chorale in chorales:
        voices.check_is_grid(chorale)
    share = shared_runs([harmony_runs(grid) for grid in chorales])
    pairs = np.argwhere(np.triu(share >= SAME_MUSIC, 1))
    found = [(chorales[i].name, chorales[j].name, round(float(share[i, j]), 3)) for i, j in pairs]
    return sorted(found, key=lambda pair: -pair[2])


def shared_melodies(split: Mapping[str, Sequence[voices.VoiceGrid]]) -> dict[str, list[str]]:
    """Name the pieces outside the part called "train" whose melody occurs in it, part by part."""
    if "train" not in split:
        raise ValueError(f'One part of the split must be called "train"; found {", ".join(map(str, split)) or "none"}.')
    parts = np.repeat(list(split), [len(pieces) for pieces in split.values()])
    pieces = [piece for part in split.values() for piece in part]
    groups = melody_groups(pieces)
    is_known = np.isin(groups, groups[parts == "train"])
    return {
        part: [pieces[index].name for index in np.flatnonzero((parts == part) & is_known)]
        for part in split
        if part != "train"
    }


# Two ways to divide the chorales: the literature's, rebuilt, and one that keeps every hymn on one side.

#: What to call results on the rebuilt split; they are never compared with results on JSB itself.
REBUILT_NAME = "Bach-16 (rebuilt)"
#: The sizes of the standard split; other splits keep their proportion.
STANDARD_SIZES = {"train": 229, "valid": 76, "test": 77}


def _split_map() -> dict[str, list]:
    """Return the table of JSB pieces, part by part: index, chorale, has repeats, first step, semitones, steps."""
    return json.loads(importlib.resources.files(__package__).joinpath("split_map.json").read_text())


def rebuilt_split(
    chorales: Sequence[voices.VoiceGrid] | None = None, cache: bool = True
) -> dict[str, list[voices.VoiceGrid]]:
    """Rebuild the literature's split of the JSB chorales from music21.

    A table of this project's own says which chorale each JSB piece comes from, with or without its repeats, from which
    step, and how far transposed. It covers 377 of the 382 pieces: 225 for training, 75 for validation, 77 for testing.
    96.1 % of the cells of those JSB pieces come out the same; results are called "Bach-16 (rebuilt)" and not compared
    with published ones. Where JSB lets the last chord ring on to fill its bar, so does the rebuilt piece.

    Args:
        chorales: the pieces to choose from, by name; None stands for all. The notes are read from music21 again, since
            some pieces come with their repeats and some without.

    Returns:
        Grids by "train", "valid" and "test", in the order of JSB, with onsets, bars and fermatas as in music21.
    """
    if chorales is not None:
        check_some(len(chorales), "A split needs at least one chorale", "Pass None for all.")
    repeated = {grid.name: grid for grid in load_chorales(cache)}
    written = {grid.name: grid for grid in load_chorales(cache, expand_repeats=False)}
    wanted = None if chorales is None else {grid.name for grid in chorales}
    split, absent = {name: [] for name in STANDARD_SIZES}, []
    table = _split_map()
    for part in STANDARD_SIZES:
        for _, name, has_repeats, start_step, semitones, n_steps in table[part]:
            grid = (repeated if has_repeats else written).get(name)
            if grid is None or grid.n_steps <= start_step:
                absent.append(name)
            elif wanted is None or name in wanted:
                split[part].append(_as_in_jsb(grid, start_step, semitones, n_steps))
    if absent and wanted is None:
        warnings.warn(
            f"The rebuilt split must have all its chorales; your music21 lacks {shown(', '.join(absent), 1000)}, so "
            f'results are not those of "{REBUILT_NAME}". Run: pip install --force-reinstall music21',
            stacklevel=2,
        )
    return split


def _as_in_jsb(grid: voices.VoiceGrid, start_step: int, semitones: int, n_steps: int) -> voices.VoiceGrid:
    """Return the part of a chorale that JSB holds, its last chord ringing up to a bar longer if JSB's does."""
    n_steps, start_step = n_steps + min(start_step, 0), max(start_step, 0)  # JSB's additions in front are not made up
    piece = voices.cut(grid, start_step, min(start_step + n_steps, grid.n_steps))
    piece = voices.transpose(piece, semitones)
    numerator, denominator = grid.meter
    bar = numerator * 4 * grid.steps_per_quarter // denominator
    if not 0 < n_steps - piece.n_steps <= max(bar, 16):  # more than a bar is not ringing: JSB has other music there
        return piece
    step = np.arange(n_steps)
    last = step.clip(max=piece.n_steps - 1)
    is_ringing = step > last
    position = piece.bar_position_step[last]
    return replace(
        piece,
        pitch=piece.pitch[last],
        is_onset=piece.is_onset[last] & ~is_ringing[:, None],
        is_fermata=piece.is_fermata[last],
        bar_position_step=np.where(is_ringing, (position + step - last) % bar, position),
    )


def melody_disjoint_split(chorales: Sequence[voices.VoiceGrid] | None = None) -> dict[str, list[voices.VoiceGrid]]:
    """Divide the chorales so that no tune that ``melody_groups`` recognises is on two sides.

    The groups of ``melody_groups`` are dealt out whole, the largest first, each to the part that still lacks the
    greatest share of its size; the sizes are in the proportion of the standard split. None stands for all chorales.
    """
    chorales = load_chorales() if chorales is None else chorales
    group = melody_groups(chorales)
    group_size = np.bincount(group)
    wanted = np.array(list(STANDARD_SIZES.values())) / sum(STANDARD_SIZES.values()) * len(chorales)
    filled = np.zeros(len(wanted))
    part_of_group = np.empty(len(group_size), int)
    for number in np.argsort(-group_size, kind="stable"):
        part_of_group[number] = np.argmax(1 - filled / wanted)
        filled[part_of_group[number]] += group_size[number]
    part = part_of_group[group]
    return {name: [chorales[i] for i in np.flatnonzero(part == index)] for index, name in enumerate(STANDARD_SIZES)}


# Pieces as a few arrays, for the cache.

_ENTRIES = {"meters": music.Meter, "tempos": music.Tempo, "parts": music.Part}


def pack_pieces(pieces: Sequence[music.Piece]) -> dict[str, np.ndarray]:
    """Return pieces as two arrays: their notes, one piece after the other, and all else as text."""
    items = []
    for piece in pieces:
        about = {name: getattr(piece, name) for name in ("steps_per_quarter", "n_steps", "title")}
        about |= {name: [astuple(entry) for entry in getattr(piece, name)] for name in _ENTRIES}
        items.append(({"notes": piece.notes}, about))
    return files.pack(items)


def unpack_pieces(stored: dict[str, np.ndarray]) -> list[music.Piece]:
    """Undo ``pack_pieces``."""
    pieces = []
    for arrays, about in files.unpack(stored):
        about |= {name: [kind(*entry) for entry in about[name]] for name, kind in _ENTRIES.items()}
        pieces.append(music.Piece(**arrays, **about))
    return pieces


#: A file that is larger is not read; ``read_midi`` has a narrower limit of its own.
LARGEST_MIDI = 20_000_000

# A folder of MIDI files: every file either becomes a piece or is named with the reason why not.


@dataclass(frozen=True)
class FolderReport:
    """What became of the files of a folder."""

    n_files: int  # MIDI files found
    n_read: int  # pieces returned
    n_from_cache: int  # those of them that were read before
    refused: dict[Path, str]  # the other files, and folders that cannot be looked into, each with the reason why not

    def __str__(self) -> str:
        lines = [f"{self.n_read} of {self.n_files} files read, {self.n_from_cache} of them from the cache."]
        refused = [f"refused: {printable(path)}: {printable(reason)}" for path, reason in self.refused.items()]
        return "\n".join(lines + refused)


def load_midi_folder(
    folder: str | os.PathLike[str],
    *,
    steps_per_quarter: int = music.DEFAULT_STEPS_PER_QUARTER,
    reader: str = "python",
    cache: bool = True,
    print_every: int = 100,
) -> tuple[list[music.Piece], FolderReport]:
    """Read every .mid and .midi file in a folder and the folders below it.

    A file that cannot be read stops nothing: it is named in the report. Each piece is kept in the cache as soon as it
    is read, under the sha256 of its file's content, so a run that is killed goes on where it was, a file that was
    moved is known again, and a file that was changed is read anew.

    Args:
        print_every: print the progress after so many files; 0 for never.

    Returns:
        The pieces in the order of their paths, each with its path inside the folder, less the ending, as its title;
        and the report.
    """
    folder = files.as_path(folder, has_home=True)
    # Refused here once, and not for every file.
    check_grid(steps_per_quarter)
    check_choice("reader", reader, midi.READERS)
    whole_number("print_every", print_every, 0)
    paths, refused = _midi_files(folder)
    way = f"{mini_musessl.__version__} {READER_VERSION_MIDI_FOLDER} {steps_per_quarter} {reader}"
    home = files.usable_cache() if cache else None
    pieces, n_from_cache = [], 0
    for n_done, path in enumerate(paths, start=1):
        try:
            data = files.read_file(path, "load_midi_folder", LARGEST_MIDI)
            key = files.digest(way, data)
            kept = home and home / "midi" / key[:2] / f"{key}.npz"
            known = files.read_cache(kept, unpack_pieces) if kept else None
            n_from_cache += bool(known)
            if not known:
                known = [_read_bytes(data, path.name, steps_per_quarter, reader)]
                # A cache that cannot be written is off for the files to come: one warning in place of one per file.
                home = home if kept and files.write_arrays(kept, pack_pieces(known)) else None
            title = printable(path.relative_to(folder).with_suffix("").as_posix())
            pieces.append(replace(known[0], title=title))
        except (ValueError, OSError) as error:
            refused[path] = printable(error)
        except Exception as error:  # whatever one file raises, the others are read
            refused[path] = f"It cannot be read ({shown(repr(error))})."
        if print_every and (n_done % print_every == 0 or n_done == len(paths)):
            print(f"{n_done} of {len(paths)} files, {len(refused)} refused")
    return pieces, FolderReport(len(paths), len(pieces), n_from_cache, refused)


def _read_bytes(data: bytes, name: str, steps_per_quarter: int, reader: str) -> music.Piece:
    """Read the bytes of a file, which is called by its name in what is refused."""
    file = io.BytesIO(data)
    file.name = name
    return midi.read_midi(file, steps_per_quarter, reader)


def _midi_files(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """Return the MIDI files below a folder in the order of their paths, and the folders that cannot be looked into."""
    if not os.path.isdir(folder):
        raise NotADirectoryError(
            f"A folder of MIDI files must exist; there is none at {shown(folder)}. Is the path right? "
            "Use midi.read_midi for a single file."
        )
    paths, closed, folders = [], {}, [folder]
    while folders:  # a folder within a thousand others is no reason to recurse
        here = folders.pop()
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            closed[here] = f"The folder cannot be looked into ({error.strerror})"
            continue
        folders += [here / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        paths += [here / entry.name for entry in entries if Path(entry.name).suffix.lower() in (".mid", ".midi")]
    paths = sorted(path for path in paths if not os.path.isdir(path))
    need = f"A folder of MIDI files must hold at least one .mid or .midi file, there or in the folders below {folder}"
    check_some(len(paths), shown(need, 500), "; ".join(closed.values()) or "Is the path right?")
    return paths, closed
