"""Files on the disk: is there one to read, and writing so that no half file is ever left.

Chapter: 3a.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# --- Files on the disk: is there one to read, and writing so that no half file is ever left


def check_file(path: str | os.PathLike[str], reader_name: str) -> Path:
    """Return the path, or refuse a missing file, a folder and an empty file.

    Args:
        path: where the file should be.
        reader_name: the function that reads it, for messages.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no file at the path.
        ValueError: the file is empty.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{reader_name} needs one file; {path} is a folder. Give the path of a file in it, "
            "or read a whole folder of MIDI with corpora.load_midi_folder."
        )
    if not path.exists():
        raise FileNotFoundError(f"{reader_name} needs a file; found nothing at {path}. Check the name and the folder.")
    if path.stat().st_size == 0:
        raise empty_file(path.name)
    return path


def empty_file(label: str) -> ValueError:
    """Return the refusal of a file without a byte, named by its label."""
    return ValueError(f"A file of music must hold something; {label} is empty (0 bytes). Copy or export it again.")


def write_aside(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it: the path holds the old bytes or all of the new ones.

    Args:
        path: where to; its folder must exist.
        data: the new bytes.

    Raises:
        FileNotFoundError, IsADirectoryError: the folder does not exist, or the path is one.
    """
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


# --- The cache: files that can be made again, kept so that they need not be


def cache_folder() -> Path:
    """Return the folder that holds what the library can make or download again.

    It is the folder named by the environment variable ``MUSESSL_CACHE`` or else the user's cache folder. It need not
    exist, and may be deleted at any time.

    Returns:
        The path, with ``~`` expanded.

    Chapter: 3c.
    """
    named = os.environ.get("MUSESSL_CACHE")
    if named:
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("mini_musessl"))


def digest(*parts: str | bytes) -> str:
    """Return a short name for some content: equal content has equal names, other content another name.

    Args:
        *parts: texts or bytes; their borders count, so ("a", "b") differs from ("ab",).

    Returns:
        20 hexadecimal digits of a sha256.

    Example:
        >>> digest("a", "b") == digest("ab")
        False

    Chapter: 3c.
    """
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()[:20]


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> bool:
    """Write arrays to a cache file: beside its place first, then renamed.

    A cache that cannot be written is no error: the caller has its arrays. It is said once, as a warning.

    Args:
        path: the file; its folder is made.
        arrays: arrays by name, none of Python objects.

    Returns:
        True if the file is there now.

    Chapter: 3c.
    """
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


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """Read arrays from a cache file, or return None if it is absent, damaged or not what was asked for.

    Every stored byte is checked against its CRC before any array is made, and no pickle is ever loaded.

    Args:
        path: the file.
        names: the arrays that must be in it.

    Returns:
        The arrays by name, or None.

    Chapter: 3c.
    """
    try:
        packed = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(packed) as archive:
            if archive.testzip() is not None:
                return None
        packed.seek(0)
        with np.load(packed, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None


# --- Download a file once, check it, keep it


def download(url: str, sha256: str, file_name: str) -> Path:
    """Return the path of a file in the cache folder, downloading it first if it is not there.

    A file that is there but altered is downloaded again. The new file gets its place only after it was checked.

    Args:
        url: where the file is, https:// or http://.
        sha256: its 64 hexadecimal digits.
        file_name: its name in the cache folder, without folders.

    Returns:
        Path of the checked file.

    Raises:
        ConnectionError: no network, or the address does not answer with the file.
        ValueError: what came is another file, or an argument is no address, digest or plain name.
        OSError: the cache folder cannot be written.

    Chapter: 3c.
    """
    import pooch
    import requests

    _check_arguments(url, sha256, file_name)
    path = cache_folder() / file_name
    if _holds(path, sha256):
        return path
    pooch.get_logger().setLevel("WARNING")  # its notes would stand in red in a notebook
    try:
        pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=file_name, path=cache_folder())
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
            f"A download needs a cache folder that can be written and has room; {cache_folder()} cannot be used "
            f"({error.strerror or error}). Set MUSESSL_CACHE to another folder."
        ) from None
    return path


def _check_arguments(url: str, sha256: str, file_name: str) -> None:
    """Refuse what would be taken for a fault of the network, or would write outside the cache folder."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"A download needs an address that begins with https:// or http://; found {url!r}.")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(f"sha256 must be 64 hexadecimal digits in small letters; found {sha256!r}.")
    if not re.fullmatch(r"[\w-][\w.-]*", file_name):
        raise ValueError(
            f"file_name must be a plain name of letters, digits, points and hyphens, without a folder; found "
            f"{file_name!r}. The file goes into corpora.cache_folder()."
        )


def _holds(path: Path, sha256: str) -> bool:
    """Return whether the file is there, can be read and has the digest."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False
