"""Music to learn from: the Bach chorales, folk tunes, and folders of MIDI files.

Nothing here ships music. The chorales and tunes are read from the reader's own music21, the JSB file is downloaded on
request, and what is read is kept in ``cache_folder()``.

Chapter: 3c (data sets, splits, leaks, augmentation, licences).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np

import mini_musessl
from mini_musessl import checks, chorale_files, midi, music, voices
from mini_musessl import files as cache_files
from mini_musessl.chorale_files import FACTS, WrittenChorale
from mini_musessl.files import download

# --- The Bach chorales of the reader's own music21

#: music21's bwv62.6 holds the music of BWV 274, which is there under its own number as well.
LEFT_OUT = ("bwv62.6",)
#: Raise this when the reader changes what it returns, so that old cache files are not used.
READER_VERSION_CHORALES = 2


@dataclass(frozen=True)
class ChoraleMetadata:
    """What the installed music21 holds.

    Attributes:
        music21_version: version of the installed music21.
        n_files: MusicXML files in its folder of Bach.
        n_pieces: pieces that ``load_chorales`` returns.
        n_clean: those that ``load_chorales(only_clean=True)`` returns.
        n_with_repeats: pieces in which a repeat is played out.
    """

    music21_version: str
    n_files: int
    n_pieces: int
    n_clean: int
    n_with_repeats: int


def load_chorales(
    cache: bool = True, *, expand_repeats: bool = True, only_clean: bool = False
) -> list[voices.VoiceGrid]:
    """Load every Bach chorale of the installed music21 that has a soprano, an alto, a tenor and a bass.

    The grid is the sixteenth note. A step holds the pitch that sounds as it begins, so the few faster notes (three
    files have thirty-seconds) are sampled, as in the JSB data set. Ties are merged, grace notes left out. Instruments
    besides the four voices are left out, and so is the second soprano of the two five-part pieces (bwv227.3, bwv27.6).
    One file is left out altogether: music21's ``bwv62.6`` holds the music of BWV 274.

    Args:
        cache: keep the arrays in ``cache_folder()`` and read them from there the next time.
        expand_repeats: True plays repeats out, False gives each written measure once.
        only_clean: True gives only files of exactly four parts, without grace notes, with every note on the grid.

    Returns:
        Grids in the order of BWV numbers, named like "bwv269". ``title`` is the hymn where music21's list of
        chorales has it, else the BWV number.

    Raises:
        ModuleNotFoundError: music21 is not installed.
        FileNotFoundError: it is installed without its corpus.

    Example:
        >>> chorale = next(grid for grid in load_chorales() if grid.name == "bwv269")
        >>> chorale.title, chorale.meter, chorale.fifths, chorale.mode, int(chorale.bar_position_step[0])
        ('Aus meines Herzens Grunde', (3, 4), 1, 'major', 8)

    References:
        Cuthbert and Ariza (2010), music21: a toolkit for computer-aided musicology and symbolic music data. ISMIR.
        The encodings are by Margaret Greentree and others; see music21's corpus/license.txt.

    Chapter: 3c.
    """
    scores = [score for score in _load_scores(cache) if score.is_clean or not only_clean]
    return [chorale_files.expand(score) if expand_repeats else score.grid for score in scores]


def chorale_metadata() -> ChoraleMetadata:
    """Count what the installed music21 holds; another version may hold other files.

    Raises:
        ModuleNotFoundError: music21 is not installed.
        FileNotFoundError: it is installed without its corpus.

    Chapter: 3c.
    """
    scores = _load_scores(True)
    return ChoraleMetadata(
        music21_version=_music21_version(),
        n_files=len(_chorale_files()),
        n_pieces=len(scores),
        n_clean=sum(score.is_clean for score in scores),
        n_with_repeats=sum(len(score.played_step) > 1 for score in scores),
    )


def music21_corpus_folder() -> Path:
    """Return the folder of music21's scores, found without importing music21.

    Raises:
        ModuleNotFoundError: music21 is not installed.
        FileNotFoundError: it is installed without its corpus.

    Chapter: 3c.
    """
    spec = importlib.util.find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "The chorales and tunes are read from an installed music21; none was found. Run: pip install music21"
        )
    folder = Path(spec.submodule_search_locations[0]) / "corpus"
    if not (folder / "bach").is_dir():
        raise corpus_is_empty(folder / "bach")
    return folder


def corpus_is_empty(folder: Path) -> FileNotFoundError:
    """Return the refusal of a folder of music21's corpus that holds no scores.

    Args:
        folder: the folder.

    Chapter: 3c.
    """
    return FileNotFoundError(
        f"music21 must be installed with its corpus; {folder} holds no scores. "
        "Run: pip install --force-reinstall music21"
    )


def _chorale_files() -> list[Path]:
    """Return the MusicXML files of the chorales in the order of BWV numbers."""
    folder = music21_corpus_folder() / "bach"
    files = [path for path in folder.iterdir() if path.suffix in (".mxl", ".xml")]
    if not files:
        raise corpus_is_empty(folder)
    return sorted(files, key=lambda path: _natural_order(path.stem))


def _natural_order(name: str) -> list[tuple[int, int, str]]:
    """Return a sorting key by which bwv9.7 stands before bwv10.7."""
    pieces = re.findall(r"\d+|\D+", name)
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces]


def _music21_version() -> str:
    """Return the version of the installed music21, or "unknown"."""
    try:
        return importlib.metadata.version("music21")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _load_scores(cache: bool) -> list[WrittenChorale]:
    """Return all scores, from the cache if it holds them."""
    files = _chorale_files()
    # Size and time of change tell a changed file at a hundredth of the cost of reading it.
    states = [(path.name, path.stat()) for path in files]
    listing = json.dumps([(name, state.st_size, state.st_mtime_ns) for name, state in states])
    key = cache_files.digest(_music21_version(), str(READER_VERSION_CHORALES), str(files[0].parent), listing)
    path = cache_files.cache_folder() / f"chorales-{key}.npz"
    scores = _unpack_chorales(cache_files.read_arrays(path, _ARRAYS_CHORALES)) if cache else None
    if scores is None:
        scores = _read_scores(files)
        if cache:
            cache_files.write_arrays(path, _pack_chorales(scores))
    return scores


def _read_scores(files: list[Path]) -> list[WrittenChorale]:
    """Read the scores from their files."""
    titles = _titles()
    scores = []
    for path in files:
        if path.stem not in LEFT_OUT:
            number = path.stem.removeprefix("bwv")
            title = titles.get(number, f"BWV {number}")
            scores.append(chorale_files.read_chorale(path.read_bytes(), path.stem, title))
    return [score for score in scores if score is not None]


def _titles() -> dict[str, str]:
    """Return the hymns by BWV number from music21's list of the Riemenschneider edition."""
    source = music21_corpus_folder() / "chorales.py"
    text = source.read_text(encoding="utf-8") if source.exists() else ""
    rows = re.findall(r"\d+---\|\|---(.+?)---\|\|---(.+?)---\|\|---\d+", text)
    return {number.strip(): title.strip() for number, title in rows}


_ARRAYS_CHORALES = (
    "pitch",
    "is_onset",
    "is_fermata",
    "bar_position_step",
    "n_steps",
    "played_step",
    "is_tied_on",
    "n_played",
    "facts",
)


def _pack_chorales(scores: list[WrittenChorale]) -> dict[str, np.ndarray]:
    """Return all scores as a few arrays: one after the other, with their lengths."""
    grids = [score.grid for score in scores]
    facts = [{name: getattr(s.grid, name) for name in FACTS} | {"is_clean": s.is_clean} for s in scores]
    empty = np.zeros((0, len(voices.SATB)), np.int8)
    return {
        "pitch": np.concatenate([empty, *(grid.pitch for grid in grids)]).astype(np.int8),
        "is_onset": np.packbits(np.concatenate([empty.astype(bool), *(grid.is_onset for grid in grids)])),
        "is_fermata": np.packbits(np.concatenate([empty[:, 0].astype(bool), *(grid.is_fermata for grid in grids)])),
        "bar_position_step": np.concatenate([empty[:, 0].astype(np.int16), *(g.bar_position_step for g in grids)]),
        "n_steps": np.array([grid.n_steps for grid in grids], np.int32),
        "played_step": np.concatenate([np.zeros((0, 2), np.int32), *(score.played_step for score in scores)]),
        "is_tied_on": np.concatenate([np.zeros((0, 4), bool), *(score.is_tied_on for score in scores)]),
        "n_played": np.array([len(score.played_step) for score in scores], np.int32),
        "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
    }


def _unpack_chorales(arrays: dict[str, np.ndarray] | None) -> list[WrittenChorale] | None:
    """Undo ``_pack_chorales``; None stays None."""
    if arrays is None:
        return None
    facts = json.loads(arrays["facts"].tobytes())
    n_steps = int(arrays["n_steps"].sum())
    stop = np.cumsum(arrays["n_steps"])[:-1]
    pitch = arrays["pitch"].astype(np.int16)
    is_onset = np.unpackbits(arrays["is_onset"], count=4 * n_steps).reshape(-1, 4).astype(bool)
    is_fermata = np.unpackbits(arrays["is_fermata"], count=n_steps).astype(bool)
    columns = [np.split(array, stop) for array in (pitch, is_onset, is_fermata, arrays["bar_position_step"])]
    last_span = np.cumsum(arrays["n_played"])[:-1]
    spans = [np.split(arrays[name], last_span) for name in ("played_step", "is_tied_on")]
    scores = []
    for fact, played_step, is_tied_on, *cells in zip(facts, *spans, *columns, strict=True):
        is_clean = fact.pop("is_clean")
        grid = voices.VoiceGrid(*cells, **fact | {"meter": tuple(fact["meter"])})
        scores.append(WrittenChorale(grid, played_step, is_tied_on, is_clean))
    return scores


# --- The JSB chorales: the data set on which likelihoods of Bach chorales are published

JSB_URL = "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/Jsb16thSeparated.json"
JSB_SHA256 = "79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7"


def load_jsb() -> dict[str, list[voices.VoiceGrid]]:
    """Load the JSB chorales on the grid of sixteenths, in the split of the literature.

    The file named by the environment variable ``MUSESSL_JSB`` is read; without it the file is downloaded once into
    ``cache_folder()``. Either way its sha256 is checked. The file carries no licence, so this book does not ship it.

    JSB knows pitches alone: a note begins where the pitch changes, so repeated notes are one; there are no bars,
    fermatas or keys, and ``bar_position_step`` counts from the first step as if it were a bar line.

    Returns:
        "train" (229 pieces), "valid" (76) and "test" (77), named like "jsb-valid-56".

    Raises:
        FileNotFoundError: ``MUSESSL_JSB`` names no file.
        ValueError: the file is not the one that the literature used.
        ConnectionError: it must be downloaded and cannot be.

    References:
        Boulanger-Lewandowski, Bengio and Vincent (2012), Modeling temporal dependencies in high-dimensional sequences.
        ICML (the pieces and the split); Huang et al. (2017), Counterpoint by convolution. ISMIR (this file).

    Chapter: 3c.
    """
    splits = json.loads(_read_checked())
    return {
        split: [voices.from_pitches(piece, name=f"jsb-{split}-{index}") for index, piece in enumerate(splits[split])]
        for split in ("train", "valid", "test")
    }


def _read_checked() -> bytes:
    """Return the bytes of the file after checking them."""
    named = os.environ.get("MUSESSL_JSB")
    path = Path(named).expanduser() if named else download(JSB_URL, JSB_SHA256, "Jsb16thSeparated.json")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileNotFoundError(
            f"MUSESSL_JSB must name the file Jsb16thSeparated.json; {path} cannot be read ({error.strerror}). "
            "Correct the path, or unset the variable and the file is downloaded."
        ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != JSB_SHA256:
        raise ValueError(
            f"The JSB file must have sha256 {JSB_SHA256[:12]}...; {path} has {found[:12]}... It was altered or is "
            f"another edition, and results on it would compare with nothing published. Fetch it from {JSB_URL}."
        )
    return data


# --- Which chorales harmonise the same hymn, and which are the same music

#: How many melodic steps make a run, and which share of the shorter melody's runs makes a melody the same.
N_INTERVALS, SAME_MELODY = 5, 0.5
#: Which share of the shorter piece's runs (here: a beat and the next) makes the music the same.
SAME_MUSIC = 0.8


def melody_groups(chorales: Sequence[voices.VoiceGrid]) -> np.ndarray:
    """Number the chorales by the melody that their soprano sings; one hymn, one number.

    Of each soprano we keep the pitches on the quarter beats, melt repeated ones, and take all runs of five intervals
    in semitones. Two melodies are the same if half the runs of the shorter one occur in the other; what is the same
    as a third is the same. The rule joins nearly all settings of a hymn, misses those that Bach ornamented heavily or
    changed in meter, and joins some hymns that share long phrases.

    Args:
        chorales: grids whose first voice is the melody, at any transposition.

    Returns:
        int array (n_chorales,): groups are numbered from 0 in the order in which they first appear.

    Raises:
        ValueError: there are no chorales.

    Example:
        >>> quarters = [[pitch] for pitch in (60, 62, 64, 65, 67, 69, 71) for _ in range(4)]
        >>> melody = voices.from_pitches(quarters, voice_names=("melody",))
        >>> melody_groups([melody, voices.transpose(melody, 3)]).tolist()
        [0, 0]

    Chapter: 3c.
    """
    if not len(chorales):
        raise ValueError(
            "Grouping by melody needs at least one chorale; found none. Load some with corpora.load_chorales()."
        )
    share = _shared_runs([_melody_runs(grid) for grid in chorales])
    return _connected(share >= SAME_MELODY)


def duplicates(chorales: Sequence[voices.VoiceGrid]) -> list[tuple[str, str, float]]:
    """Find pairs of chorales that are the same music, in any key.

    A run is a beat and the next: the eight pitches as pitch classes, counted from the soprano's first. So a bass that
    is written an octave lower does not matter, nor does what happens between the beats.

    Args:
        chorales: grids.

    Returns:
        For each pair its two names, in the order given, and the share of the shorter piece's runs that occur in the
        other, at least ``SAME_MUSIC``; the most alike first.

    Chapter: 3c.
    """
    if not len(chorales):
        return []
    share = _shared_runs([_harmony_runs(grid) for grid in chorales])
    pairs = np.argwhere(np.triu(share >= SAME_MUSIC, 1))
    found = [(chorales[i].name, chorales[j].name, round(float(share[i, j]), 3)) for i, j in pairs]
    return sorted(found, key=lambda pair: -pair[2])


def shared_melodies(split: Mapping[str, Sequence[voices.VoiceGrid]]) -> dict[str, list[str]]:
    """Name the pieces outside the training set whose melody occurs in it.

    Args:
        split: pieces by part of the split; one part is called "train".

    Returns:
        For every other part the names of its pieces that share their melody with a training piece.

    Raises:
        ValueError: no part is called "train".

    Chapter: 3c.
    """
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


def _beats(grid: voices.VoiceGrid) -> np.ndarray:
    """Return the pitches (n_beats, n_voices) at the quarter beats."""
    return grid.pitch[grid.bar_position_step % grid.steps_per_quarter == 0].astype(int)


def _melody_runs(grid: voices.VoiceGrid) -> set[tuple[int, ...]]:
    """Return the set of runs of intervals in the first voice."""
    melody = _beats(grid)[:, 0]
    melody = melody[melody != voices.REST]
    steps = np.diff(melody)
    steps = steps[steps != 0]
    if len(steps) < N_INTERVALS:
        return set()
    return set(map(tuple, np.lib.stride_tricks.sliding_window_view(steps, N_INTERVALS).tolist()))


def _harmony_runs(grid: voices.VoiceGrid) -> set[tuple[int, ...]]:
    """Return the set of pairs of successive beats, in pitch classes above the soprano's first."""
    beats = _beats(grid)
    pairs = np.concatenate([beats[:-1], beats[1:]], axis=1)
    pairs = pairs[pairs[:, 0] != voices.REST]
    above = np.where(pairs == voices.REST, voices.REST, (pairs - pairs[:, :1]) % 12)
    return set(map(tuple, above.tolist()))


def _shared_runs(runs: list[set[tuple[int, ...]]]) -> np.ndarray:
    """Return for each two sets how many members they share, divided by the size of the smaller."""
    number = {run: index for index, run in enumerate(sorted(set().union(*runs)))}
    has_run = np.zeros((len(runs), len(number)), np.float32)
    for row, members in enumerate(runs):
        has_run[row, [number[run] for run in members]] = 1
    n_runs = has_run.sum(axis=1)
    return has_run @ has_run.T / np.maximum(np.minimum.outer(n_runs, n_runs), 1)


def _connected(is_same: np.ndarray) -> np.ndarray:
    """Number the groups of rows that are linked directly or through others."""
    label = np.arange(len(is_same))
    for one, other in np.argwhere(np.triu(is_same, 1)):
        label[label == label[other]] = label[one]
    first_seen = list(dict.fromkeys(label.tolist()))
    return np.array([first_seen.index(value) for value in label.tolist()])


# --- Two ways to divide the chorales: the literature's, rebuilt, and one that keeps every hymn on one side

#: What to call results on the rebuilt split; they are never compared with results on JSB itself.
REBUILT_NAME = "Bach-16 (rebuilt)"
#: The sizes of the standard split; other splits keep their proportion.
STANDARD_SIZES = {"train": 229, "valid": 76, "test": 77}


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
        cache: as for ``load_chorales``.

    Returns:
        Grids by "train", "valid" and "test", in the order of JSB, with onsets, bars and fermatas as in music21.

    Raises:
        ValueError: there are no chorales.
        ModuleNotFoundError: music21 is not installed.

    Chapter: 3c.
    """
    if chorales is not None and not len(chorales):
        raise ValueError(
            "A split needs at least one chorale; found none. Load some with corpora.load_chorales(), or pass None for "
            "all."
        )
    wanted = None if chorales is None else {grid.name for grid in chorales}
    repeated = {grid.name: grid for grid in load_chorales(cache)}
    written = {grid.name: grid for grid in load_chorales(cache, expand_repeats=False)}
    table = _split_map()
    return {
        split: [
            _as_in_jsb((repeated if has_repeats else written)[name], start_step, semitones, n_steps)
            for _, name, has_repeats, start_step, semitones, n_steps in table[split]
            if name in repeated and (wanted is None or name in wanted)
        ]
        for split in STANDARD_SIZES
    }


def melody_disjoint_split(chorales: Sequence[voices.VoiceGrid] | None = None) -> dict[str, list[voices.VoiceGrid]]:
    """Divide the chorales so that no tune that ``melody_groups`` recognises is on two sides.

    The groups of ``melody_groups`` are dealt out whole, the largest first, each to the part that still lacks the
    greatest share of its size; the sizes are in the proportion of the standard split, 229 to 76 to 77. The result
    depends on nothing but the chorales.

    Args:
        chorales: the pieces; None stands for all that ``load_chorales`` gives.

    Returns:
        Grids by "train", "valid" and "test", each in the order given.

    Raises:
        ValueError: there are no chorales.

    Chapter: 3c.
    """
    chorales = load_chorales() if chorales is None else chorales
    group = melody_groups(chorales)
    group_size = np.bincount(group)
    names = list(STANDARD_SIZES)
    wanted = np.array(list(STANDARD_SIZES.values())) / sum(STANDARD_SIZES.values()) * len(chorales)
    filled = np.zeros(len(names))
    part_of_group = np.empty(len(group_size), int)
    for number in np.argsort(-group_size, kind="stable"):
        part = int(np.argmax(1 - filled / wanted))
        part_of_group[number] = part
        filled[part] += group_size[number]
    return {
        name: [grid for grid, number in zip(chorales, group.tolist(), strict=True) if part_of_group[number] == index]
        for index, name in enumerate(names)
    }


def _split_map() -> dict[str, list]:
    """Return the table of JSB pieces: index, chorale, has repeats, first step, semitones, steps."""
    return json.loads(files(__package__).joinpath("split_map.json").read_text())


def _as_in_jsb(grid: voices.VoiceGrid, start_step: int, semitones: int, n_steps: int) -> voices.VoiceGrid:
    """Return the part of a chorale that JSB holds, its last chord ringing up to a bar longer if JSB's does."""
    n_steps, start_step = n_steps + min(start_step, 0), max(start_step, 0)  # JSB's additions in front are not made up
    piece = voices.cut(grid, start_step, min(start_step + n_steps, grid.n_steps))
    piece = voices.transpose(piece, semitones)
    numerator, denominator = grid.meter
    bar = numerator * 4 * grid.steps_per_quarter // denominator
    n_more = n_steps - piece.n_steps
    if not 0 < n_more <= max(bar, 16):  # more than a bar is not ringing: JSB has other music there
        return piece
    ring = np.arange(1, n_more + 1)
    return replace(
        piece,
        pitch=np.concatenate([piece.pitch, np.repeat(piece.pitch[-1:], n_more, axis=0)]),
        is_onset=np.concatenate([piece.is_onset, np.zeros((n_more, piece.n_voices), bool)]),
        is_fermata=np.concatenate([piece.is_fermata, np.repeat(piece.is_fermata[-1:], n_more)]),
        bar_position_step=np.concatenate([piece.bar_position_step, (piece.bar_position_step[-1] + ring) % bar]),
    )


# --- Read a folder of MIDI files: every file either becomes a piece or is named with the reason why not

#: Raise this when reading returns something else, so that old cache files are not used.
READER_VERSION_MIDI_FOLDER = 1


@dataclass(frozen=True)
class RefusedFile:
    """A file that was not read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FolderReport:
    """What became of the files of a folder.

    Attributes:
        n_files: MIDI files found.
        n_read: pieces returned.
        n_from_cache: those of them that were read before.
        refused: the other files, in order.
    """

    n_files: int
    n_read: int
    n_from_cache: int
    refused: tuple[RefusedFile, ...]

    def __str__(self) -> str:
        lines = [f"{self.n_read} of {self.n_files} files read, {self.n_from_cache} of them from the cache."]
        lines += [f"refused: {file.path}: {file.reason}" for file in self.refused]
        return "\n".join(lines)


def load_midi_folder(
    folder: str | os.PathLike[str],
    *,
    steps_per_quarter: int = music.DEFAULT_STEPS_PER_QUARTER,
    reader: str = "pretty_midi",
    cache: bool = True,
    print_every: int = 100,
) -> tuple[list[music.Piece], FolderReport]:
    """Read every .mid and .midi file in a folder and the folders below it.

    A file that cannot be read stops nothing: it is named in the report. Each piece is kept in the cache as soon as it
    is read, under the sha256 of its file's content, so a run that is killed goes on where it was, a file that was
    moved is known again, and a file that was changed is read anew.

    Args:
        folder: where the files are.
        steps_per_quarter: grid of the pieces, as for ``midi.read_midi``.
        reader: "pretty_midi" or "symusic", as for ``midi.read_midi``.
        cache: keep the pieces in ``cache_folder()`` and take them from there.
        print_every: say how far it is after so many files; 0 says nothing.

    Returns:
        The pieces in the order of their paths, each with its path inside the folder, less the ending, as its title;
        and the report.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: the folder holds no MIDI file, or an argument is wrong.
        TypeError: a number is not whole.
        ImportError: the reader is not installed.

    Chapter: 3c.
    """
    folder = Path(folder).expanduser()
    _check_arguments(folder, steps_per_quarter, reader)
    checks.whole_number("print_every", print_every, lowest=0)
    paths = _midi_files(folder)
    pieces: list[music.Piece] = []
    refused: list[RefusedFile] = []
    n_from_cache = 0
    for n_done, path in enumerate(paths, start=1):
        try:
            data = path.read_bytes()
            entry = _entry(data, steps_per_quarter, reader)
            piece = _unpack_midi_folder(cache_files.read_arrays(entry, _ARRAYS_MIDI_FOLDER)) if cache else None
            n_from_cache += piece is not None
            if piece is None:
                piece = midi.read_midi(path, steps_per_quarter, reader)
                cache = cache and cache_files.write_arrays(entry, _pack_midi_folder(piece))
            pieces.append(replace(piece, title=path.relative_to(folder).with_suffix("").as_posix()))
        except (ValueError, OSError) as error:
            refused.append(RefusedFile(path, str(error)))
        if print_every and (n_done % print_every == 0 or n_done == len(paths)):
            print(f"{n_done} of {len(paths)} files, {len(refused)} refused")
    return pieces, FolderReport(len(paths), len(pieces), n_from_cache, tuple(refused))


def _check_arguments(folder: Path, steps_per_quarter: int, reader: str) -> None:
    """Refuse at the door what would otherwise be refused once for every file."""
    if not folder.exists():
        raise FileNotFoundError(f"A folder of MIDI files must exist; there is none at {folder}. Is the path right?")
    if not folder.is_dir():
        raise NotADirectoryError(
            f"load_midi_folder reads a folder; {folder} is a file. Use midi.read_midi for a single file."
        )
    if reader not in midi.READERS:
        raise ValueError(f"reader must be one of {', '.join(midi.READERS)}; found {reader!r}.")
    checks.check_grid(steps_per_quarter)


def _midi_files(folder: Path) -> list[Path]:
    """Return the MIDI files below a folder in the order of their paths."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi") and path.is_file())
    if not paths:
        raise ValueError(
            f"A folder of MIDI files must hold at least one .mid or .midi file; {folder} and the folders below it hold "
            "none. Is the path right?"
        )
    return paths


def _entry(data: bytes, steps_per_quarter: int, reader: str) -> Path:
    """Return the cache file for the content of a MIDI file and the way of reading it."""
    version = f"{mini_musessl.__version__} {READER_VERSION_MIDI_FOLDER}"
    key = cache_files.digest(data, version, str(steps_per_quarter), reader)
    return cache_files.cache_folder() / "midi" / key[:2] / f"{key}.npz"


_ARRAYS_MIDI_FOLDER = ("notes", "facts")


def _pack_midi_folder(piece: music.Piece) -> dict[str, np.ndarray]:
    """Return a piece as two arrays: the columns of its notes, and all else as text."""
    facts = {
        "steps_per_quarter": piece.steps_per_quarter,
        "n_steps": piece.n_steps,
        "meters": [[meter.step, meter.numerator, meter.denominator] for meter in piece.meters],
        "tempos": [[tempo.step, tempo.quarters_per_minute] for tempo in piece.tempos],
        "parts": [[part.name, part.program, part.is_drum] for part in piece.parts],
    }
    return {
        "notes": np.stack([piece.notes[name] for name in music.NOTE_DTYPE.names]),
        "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
    }


def _unpack_midi_folder(arrays: dict[str, np.ndarray] | None) -> music.Piece | None:
    """Undo ``_pack_midi_folder``; None stays None."""
    if arrays is None:
        return None
    facts = json.loads(arrays["facts"].tobytes())
    return music.Piece(
        notes=music.make_notes(*arrays["notes"]),
        steps_per_quarter=facts["steps_per_quarter"],
        meters=tuple(music.Meter(*entry) for entry in facts["meters"]),
        tempos=tuple(music.Tempo(*entry) for entry in facts["tempos"]),
        parts=tuple(music.Part(*entry) for entry in facts["parts"]),
        n_steps=facts["n_steps"],
    )
