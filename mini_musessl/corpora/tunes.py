"""Folk tunes from the reader's own music21.

Chapter: 3c (data sets, licences).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mini_musessl import music
from mini_musessl.corpora import abc_notation
from mini_musessl.corpora import cache as cache_files
from mini_musessl.corpora.chorales import corpus_is_empty, music21_corpus_folder

#: The collections that ``load_tunes`` reads, and what their files say about rights.
TUNE_COLLECTIONS = {
    "airdsAirs": "Aird's Airs (Glasgow, 1778 and later). The music is in the public domain. Transcribed by Jack "
    "Campin, 2009; the files state no licence: use them from music21, do not redistribute them.",
    "oneills1850": "O'Neill's Music of Ireland (Chicago, 1903). The music is in the public domain. Transcribed by "
    "volunteers who are named in the files; no licence is stated: use them from music21, do not redistribute them.",
    "ryansMammoth": "Ryan's Mammoth Collection (Boston, 1883). The music is in the public domain. Contributed by Ray "
    "Davies; the files state no licence: use them from music21, do not redistribute them.",
}
#: Raise this when the reader changes what it returns, so that old cache files are not used.
READER_VERSION = 1


@dataclass(frozen=True)
class LeftOut:
    """A tune that was not read: the file, the number of the tune in it, and why."""

    file_name: str
    index: int
    reason: str


def load_tunes(collection: str = "airdsAirs", cache: bool = True) -> list[music.Piece]:
    """Load the tunes of one collection as melodies.

    They are read by ``abc_notation.read_abc``: repeats are not played. Tunes with chords, several voices or notes off
    the grid are left out; ``tunes_left_out`` names them. music21 also holds the Essen folk songs; they may be used
    for non-commercial ends only, so this book does not read them.

    Args:
        collection: a name in ``TUNE_COLLECTIONS``, whose value says what the files say about rights.
        cache: keep the notes in ``cache_folder()`` and read them from there the next time.

    Returns:
        Pieces of one part at 24 steps a quarter, with titles, in the order of the files.

    Raises:
        ValueError: the collection is unknown.
        ModuleNotFoundError: music21 is not installed.
        FileNotFoundError: it is installed without its corpus.

    Example:
        >>> load_tunes("airdsAirs")[0].title
        'The Ranting Highlandman.'

    Chapter: 3c.
    """
    folder, key = _find(collection)
    path = cache_files.cache_folder() / f"tunes-{collection}-{key}.npz"
    stored = cache_files.read_arrays(path, _ARRAYS) if cache else None
    if stored is not None:
        return _unpack(stored)
    tunes, _ = _read_collection(folder)
    if cache:
        cache_files.write_arrays(path, _pack(tunes))
    return tunes


def tunes_left_out(collection: str = "airdsAirs") -> list[LeftOut]:
    """Name the tunes of a collection that ``load_tunes`` leaves out, with the reason.

    Raises:
        ValueError: the collection is unknown.

    Chapter: 3c.
    """
    return _read_collection(_find(collection)[0])[1]


def _find(collection: str) -> tuple[Path, str]:
    """Return the folder of a collection and the digest of the state of its files."""
    if collection not in TUNE_COLLECTIONS:
        raise ValueError(
            f"A collection of tunes must be one of {', '.join(TUNE_COLLECTIONS)}; found {collection!r}. "
            "corpora.TUNE_COLLECTIONS says what each is."
        )
    folder = music21_corpus_folder() / collection
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(folder)]
    return folder, cache_files.digest(str(READER_VERSION), str(folder), json.dumps(states))


def _files(folder: Path) -> list[Path]:
    """Return the ABC files of a folder in the order of their names."""
    files = sorted(folder.glob("*.abc"))
    if not files:
        raise corpus_is_empty(folder)
    return files


def _read_collection(folder: Path) -> tuple[list[music.Piece], list[LeftOut]]:
    """Read all tunes of a folder."""
    tunes, left_out = [], []
    for path in _files(folder):
        text = path.read_bytes().decode("utf-8", errors="replace")
        for index, tune in enumerate(abc_notation.split_tunes(text)):
            try:
                tunes.append(abc_notation.read_abc(tune))
            except ValueError as error:
                left_out.append(LeftOut(path.name, index, str(error)))
    return tunes, left_out


_ARRAYS = ("notes", "n_notes", "facts")


def _pack(tunes: list[music.Piece]) -> dict[str, np.ndarray]:
    """Return tunes as a few arrays."""
    facts = [
        {
            "title": tune.title,
            "n_steps": tune.n_steps,
            "meters": [[m.step, m.numerator, m.denominator] for m in tune.meters],
            "quarters_per_minute": tune.tempos[0].quarters_per_minute,
        }
        for tune in tunes
    ]
    columns = [np.stack([tune.notes[name] for name in ("onset_step", "duration_step", "pitch")]) for tune in tunes]
    return {
        "notes": np.concatenate([np.zeros((3, 0), np.int32), *columns], axis=1),
        "n_notes": np.array([len(tune.notes) for tune in tunes], np.int32),
        "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
    }


def _unpack(arrays: dict[str, np.ndarray]) -> list[music.Piece]:
    """Undo ``_pack``."""
    columns = np.split(arrays["notes"], np.cumsum(arrays["n_notes"])[:-1], axis=1)
    return [
        music.Piece(
            notes=music.make_notes(*column),
            meters=tuple(music.Meter(*entry) for entry in fact["meters"]),
            tempos=(music.Tempo(0, fact["quarters_per_minute"]),),
            parts=(music.Part(name="melody"),),
            n_steps=fact["n_steps"],
            title=fact["title"],
        )
        for column, fact in zip(columns, json.loads(arrays["facts"].tobytes()), strict=True)
    ]
