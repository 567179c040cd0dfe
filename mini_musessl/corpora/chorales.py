"""The Bach chorales of the reader's own music21.

music21 ships some 400 of them as MusicXML, with the permission of their encoder, which does not reach further: so this
book ships none, and builds its arrays on the reader's machine. music21's own parser takes about 40 seconds for them;
``musicxml_chorales`` reads the same files in about two.

Chapter: 3c (data sets, splits, leaks).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mini_musessl import voices
from mini_musessl.corpora import cache as cache_files
from mini_musessl.corpora import musicxml_chorales
from mini_musessl.corpora.musicxml_chorales import FACTS, Score

#: music21's bwv62.6 holds the music of BWV 274, which is there under its own number as well.
LEFT_OUT = ("bwv62.6",)
#: Raise this when the reader changes what it returns, so that old cache files are not used.
READER_VERSION = 2


@dataclass(frozen=True)
class ChoraleFacts:
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
    return [musicxml_chorales.expand(score) if expand_repeats else score.grid for score in scores]


def chorale_facts() -> ChoraleFacts:
    """Count what the installed music21 holds; another version may hold other files.

    Raises:
        ModuleNotFoundError: music21 is not installed.
        FileNotFoundError: it is installed without its corpus.

    Chapter: 3c.
    """
    scores = _load_scores(True)
    return ChoraleFacts(
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


def _load_scores(cache: bool) -> list[Score]:
    """Return all scores, from the cache if it holds them."""
    files = _chorale_files()
    # Size and time of change tell a changed file at a hundredth of the cost of reading it.
    states = [(path.name, path.stat()) for path in files]
    listing = json.dumps([(name, state.st_size, state.st_mtime_ns) for name, state in states])
    key = cache_files.digest(_music21_version(), str(READER_VERSION), str(files[0].parent), listing)
    path = cache_files.cache_folder() / f"chorales-{key}.npz"
    scores = _unpack(cache_files.read_arrays(path, _ARRAYS)) if cache else None
    if scores is None:
        scores = _read_scores(files)
        if cache:
            cache_files.write_arrays(path, _pack(scores))
    return scores


def _read_scores(files: list[Path]) -> list[Score]:
    """Read the scores from their files."""
    titles = _titles()
    scores = []
    for path in files:
        if path.stem not in LEFT_OUT:
            number = path.stem.removeprefix("bwv")
            title = titles.get(number, f"BWV {number}")
            scores.append(musicxml_chorales.read_score(path.read_bytes(), path.stem, title))
    return [score for score in scores if score is not None]


def _titles() -> dict[str, str]:
    """Return the hymns by BWV number from music21's list of the Riemenschneider edition."""
    source = music21_corpus_folder() / "chorales.py"
    text = source.read_text(encoding="utf-8") if source.exists() else ""
    rows = re.findall(r"\d+---\|\|---(.+?)---\|\|---(.+?)---\|\|---\d+", text)
    return {number.strip(): title.strip() for number, title in rows}


_ARRAYS = (
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


def _pack(scores: list[Score]) -> dict[str, np.ndarray]:
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


def _unpack(arrays: dict[str, np.ndarray] | None) -> list[Score] | None:
    """Undo ``_pack``; None stays None."""
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
        scores.append(Score(grid, played_step, is_tied_on, is_clean))
    return scores
