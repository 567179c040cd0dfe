"""Files on disk: looked at before they are read, written so that no half file is left, cached, downloaded once.

What can be made or downloaded again lies in the cache folder, which may be deleted at any time.

Chapter: 3a, 3c.
"""

import contextlib
import hashlib
import io
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np


def check_file(path: str | os.PathLike[str], reader: str, max_bytes: int | None = None) -> Path:
    """Return the path of a file that may be read by the function ``reader``: it is there, not empty, not too large."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{reader} needs one file; {path} is a folder. Give the path of a file in it, or read a whole folder of "
            "MIDI with corpora.load_midi_folder."
        )
    if not path.exists():
        raise FileNotFoundError(f"{reader} needs a file; found nothing at {path}. Check the name and the folder.")
    n_bytes = path.stat().st_size
    if n_bytes == 0:
        raise empty_file(path.name)
    if max_bytes is not None and n_bytes > max_bytes:
        raise ValueError(f"{reader} reads at most {max_bytes} bytes; {path.name} has {n_bytes}.")
    return path


def empty_file(label: str) -> ValueError:
    """Return the refusal of a file, or of bytes in memory, without a byte."""
    return ValueError(f"A file of music must hold something; {label} is empty (0 bytes). Copy or export it again.")


def write_aside(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it: the path holds the old bytes or all of the new ones."""
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"A file needs a folder to be written to; found no folder {path.parent}. Make it first."
        )
    if path.is_dir():
        raise IsADirectoryError(f"A file needs a name of its own; {path} is a folder. Add a file name.")
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.write_bytes(data)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Return the folder named by the environment variable ``MUSESSL_CACHE``, or else the user's cache folder."""
    if named := os.environ.get("MUSESSL_CACHE"):
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("mini_musessl"))


def digest(*parts: str | bytes) -> str:
    """Return 20 hexadecimal digits that name some content; the borders between its parts count."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()[:20]


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> bool:
    """Write arrays to a cache file and return whether it is there now; if not, a warning says so."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, packed.getvalue())
    except OSError as error:
        warnings.warn(
            f"The cache folder must be writable and have room, to keep work for the next time; {path.parent} cannot be "
            f"used ({error.strerror or error}). The data were read all the same. Set MUSESSL_CACHE to another folder.",
            stacklevel=3,
        )
        return False
    return True


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Read the arrays of a cache file, or return None if it is absent or damaged."""
    try:
        packed = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(packed) as archive:
            if archive.testzip() is not None:  # every byte is checked before any array is made of them
                return None
        packed.seek(0)
        with np.load(packed, allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None


def read_cache(path: Path, unpack: Callable[[dict], list]) -> list | None:
    """Return what a cache file holds, or None if it is absent, damaged, or of another kind: edited, or older."""
    if (arrays := read_arrays(path)) is not None:
        with contextlib.suppress(KeyError, ValueError, TypeError, IndexError):
            return unpack(arrays)
    return None


def cached(
    path: Path, make: Callable[[], list], pack: Callable[[list], dict[str, np.ndarray]], unpack: Callable
) -> list:
    """Return what a cache file holds, or make it and keep it there; ``unpack`` undoes ``pack``."""
    items = read_cache(path, unpack)
    if items is None:
        write_arrays(path, pack(items := make()))
    return items


def pack(items: Sequence[tuple[dict[str, np.ndarray], dict]]) -> dict[str, np.ndarray]:
    """Return many items, each some arrays and some metadata, as few arrays: one item after the other, and a text."""
    about = [[*map(len, arrays.values()), metadata] for arrays, metadata in items]
    columns = {name: np.concatenate([arrays[name] for arrays, _ in items]) for name in items[0][0]}
    return columns | {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}


def unpack(stored: dict[str, np.ndarray]) -> Iterator[tuple[dict[str, np.ndarray], dict]]:
    """Undo ``pack``."""
    *lengths, metadata = zip(*json.loads(stored["about"].tobytes()), strict=True)
    names = [name for name in stored if name != "about"]
    if any(sum(n) != len(stored[name]) for name, n in zip(names, lengths, strict=True)):
        raise ValueError("Columns must be as long as their items together; found another length.")
    columns = [np.split(stored[name], np.cumsum(n)[:-1]) for name, n in zip(names, lengths, strict=True)]
    for *arrays, about in zip(*columns, metadata, strict=True):
        yield dict(zip(names, arrays, strict=True)), about


def download(url: str, sha256: str, file_name: str) -> Path:
    """Return the path of a file in the cache folder, downloading it first if it is not there or was altered."""
    import pooch
    import requests

    path = cache_folder() / file_name
    pooch.get_logger().setLevel("WARNING")  # its notes would stand in red in a notebook
    try:
        pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=file_name, path=path.parent)
    except requests.RequestException as error:
        raise ConnectionError(
            f"{file_name} must be downloaded once from {url}; that failed ({type(error).__name__}). "
            f"Is there a network? Or fetch the file elsewhere and put it at {path}."
        ) from None
    except ValueError:
        raise ValueError(
            f"{url} must give the file whose sha256 is {sha256}; it gave another, and nothing was kept. "
            "The file was changed at its source or on its way; try again, or report it."
        ) from None
    except OSError as error:
        raise OSError(
            f"A download needs a cache folder that can be written and has room; {path.parent} cannot be used "
            f"({error.strerror or error}). Set MUSESSL_CACHE to another folder."
        ) from None
    return path
