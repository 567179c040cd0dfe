"""The cache: files that can be made again, kept so that they need not be.

Three rules hold for every file here. Its name holds a digest of what it was made from, so that new input never meets
old output. It is written beside its place and then renamed, so that a killed run leaves no half file. It is checked
when it is read, and a damaged file is made again.

Chapter: 3c (data sets: what a cache must check).
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mini_musessl.midi.files import write_aside


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
