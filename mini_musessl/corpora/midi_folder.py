"""Read a folder of MIDI files: every file either becomes a piece or is named with the reason why not.

Chapter: 3c (data sets: what a cache must check).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import mini_musessl
from mini_musessl import midi, music
from mini_musessl.corpora import cache as cache_files

#: Raise this when reading returns something else, so that old cache files are not used.
READER_VERSION = 1


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
    music.whole_number("print_every", print_every, lowest=0)
    paths = _midi_files(folder)
    pieces: list[music.Piece] = []
    refused: list[RefusedFile] = []
    n_from_cache = 0
    for n_done, path in enumerate(paths, start=1):
        try:
            data = path.read_bytes()
            entry = _entry(data, steps_per_quarter, reader)
            piece = _unpack(cache_files.read_arrays(entry, _ARRAYS)) if cache else None
            n_from_cache += piece is not None
            if piece is None:
                piece = midi.read_midi(path, steps_per_quarter, reader)
                cache = cache and cache_files.write_arrays(entry, _pack(piece))
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
    music.check_grid(steps_per_quarter)


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
    version = f"{mini_musessl.__version__} {READER_VERSION}"
    key = cache_files.digest(data, version, str(steps_per_quarter), reader)
    return cache_files.cache_folder() / "midi" / key[:2] / f"{key}.npz"


_ARRAYS = ("notes", "facts")


def _pack(piece: music.Piece) -> dict[str, np.ndarray]:
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


def _unpack(arrays: dict[str, np.ndarray] | None) -> music.Piece | None:
    """Undo ``_pack``; None stays None."""
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
