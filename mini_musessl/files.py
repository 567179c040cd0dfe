"""Files on disk: looked at before they are read, written so that no half file is left, cached, downloaded once.

What can be made or downloaded again lies in the cache folder, which may be deleted at any time.

Chapter: 3a, 3c.
"""

import contextlib
import functools
import hashlib
import io
import json
import os
import shutil
import stat
import threading
import uuid
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mini_musessl.checks import check_text, shown

try:
    import fcntl
except ImportError:  # Windows, where nobody removes a file that another holds open
    fcntl = None

LARGEST_CACHED = 200_000_000  # bytes; whatever is larger was not written here
LARGEST_DOWNLOAD, LONGEST_DOWNLOAD_SEC = 50_000_000, 120


def as_path(path: str | os.PathLike[str], has_home: bool = False) -> Path:
    """Return a path that was given from outside, with the home folder in place of ``~`` where it may have one."""
    try:
        found = Path(path).expanduser() if has_home else Path(path)
        if b"\0" in os.fsencode(found):
            raise ValueError("it holds the character NUL")
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"A path must be text that can name a file; {shown(repr(path))} is none ({shown(error)}). Write it out."
        ) from None
    return found


def check_file(path: str | os.PathLike[str], reader: str, max_bytes: int | None = None, advice: str = "") -> Path:
    """Return the path of a file that may be read by the function ``reader``: it is there, not empty, not too large."""
    path = as_path(path)
    try:
        state = path.stat()
    except OSError as error:
        found = "nothing" if isinstance(error, FileNotFoundError) else f"no way ({error.strerror})"
        raise FileNotFoundError(
            f"{reader} needs a file; found {found} at {shown(path)}. Check the name and the folder."
        ) from None
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(
            f"{reader} needs one file; {shown(path)} is a folder. Give the path of a file in it, or read a whole "
            "folder of MIDI with corpora.load_midi_folder."
        )
    if not stat.S_ISREG(state.st_mode):
        raise ValueError(f"{reader} needs a plain file; {shown(path)} is a device or a pipe. Save it as a file first.")
    if state.st_size == 0:
        raise empty_file(shown(path.name))
    if max_bytes is not None and state.st_size > max_bytes:
        raise ValueError(
            f"{reader} reads at most {max_bytes} bytes; {shown(path.name)} has {state.st_size}. {advice}".rstrip()
        )
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{reader} needs a file that you may read; {shown(path)} is not yours to read.")
    return path


def read_file(path: str | os.PathLike[str], reader: str, max_bytes: int | None = None, advice: str = "") -> bytes:
    """Return the bytes of a file that ``check_file`` lets pass."""
    path = check_file(path, reader, max_bytes, advice)
    try:
        return path.read_bytes()
    except OSError as error:
        raise OSError(f"{reader} needs a file that can be read; {shown(path)} cannot ({error.strerror}).") from None


def empty_file(label: str) -> ValueError:
    """Return the refusal of a file, or of bytes in memory, without a byte."""
    return ValueError(f"A file must hold something; {label} is empty (0 bytes). Copy or export it again.")


def write_aside(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file under another name and rename it: the path holds the old bytes or all of the new ones.

    A symbolic link stays, and its target is written. A file that is replaced hands on its mode and its owner; its
    other names (hard links) keep the old bytes. A device or a pipe is written into.
    """
    path = as_path(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"A file needs a name of its own; {shown(path)} is a folder. Add a file name.")
    if not os.path.lexists(path.parent):
        raise FileNotFoundError(
            f"A file needs a folder to be written to; found no folder {shown(path.parent)}. Make it first."
        )
    try:
        _write(path, data)
    except OSError as error:
        raise OSError(
            f"A file needs a place that can be written and has room; {shown(path)} was not written ({error.strerror}). "
            "Make room there, or choose another place."
        ) from None


def _write(path: Path, data: bytes) -> None:
    """Do what ``write_aside`` says."""
    try:
        state = path.stat()
    except FileNotFoundError:
        state = None
    if state is None or stat.S_ISREG(state.st_mode):
        _replace(Path(os.path.realpath(path)), data, state)
    else:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # or a pipe that nobody reads would be waited for
        os.set_blocking(descriptor, True)
        with open(descriptor, "wb") as file:
            file.write(data)


def _replace(target: Path, data: bytes, old: os.stat_result | None) -> None:
    """Put a new file in the place of an old one, or of none."""
    _remove_parts_once(target.parent)
    aside = target.parent / f".musessl-{uuid.uuid4().hex}.part"  # short, however long the target's name is
    file = _open_locked(aside)
    try:
        with file:
            file.write(data)
            if old is not None:
                with contextlib.suppress(OSError, AttributeError):  # only root gives files away; Windows has no owners
                    os.chown(aside, old.st_uid, old.st_gid)
                shutil.copymode(target, aside)
            file.flush()
            if fcntl:
                os.replace(aside, target)  # while it is locked; Windows renames no file that is open
        if not fcntl:
            os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _open_locked(path: Path) -> BinaryIO:
    """Create a file that is locked as long as this process lives, or until it is closed."""
    file = path.open("xb")
    if fcntl:
        with contextlib.suppress(OSError):  # some network drives know no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink == 0:  # removed as a dead one before it was locked
            file.close()
            return _open_locked(path)
    return file


def remove_parts(folder: Path) -> None:
    """Remove the half files of ``write_aside`` in a folder whose writers were killed; who lives holds a lock."""
    for path in folder.glob(".musessl-*.part"):
        with contextlib.suppress(OSError), path.open("r+b") as file:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


_remove_parts_once = functools.cache(remove_parts)  # a folder of thousands of files takes long to look through


# The cache.


def cache_folder() -> Path:
    """Return the folder named by the environment variable ``MUSESSL_CACHE``, or else the user's cache folder."""
    named = os.environ.get("MUSESSL_CACHE")
    try:
        if not named:
            import pooch

            named = pooch.os_cache("mini_musessl")
        return as_path(named, has_home=True)
    except (ValueError, RuntimeError):
        raise OSError(
            f"The cache needs a folder; there is no home folder for {shown(named or 'you')}. Set MUSESSL_CACHE to the "
            "whole path of a folder."
        ) from None


def usable_cache() -> Path | None:
    """Return the cache folder, or None, with a warning, where there can be none."""
    try:
        return cache_folder()
    except OSError as error:
        warnings.warn(f"{error} Until then nothing is kept for the next time.", stacklevel=3)
        return None


def digest(*parts: str | bytes) -> str:
    """Return 20 hexadecimal digits that name some content; the borders between its parts count."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little"))
        sha.update(data)
    return sha.hexdigest()[:20]


def keep(path: Path, data: bytes) -> bool:
    """Write a file of the cache and return whether it is there now; if not, a warning says so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, data)
    except OSError as error:
        warnings.warn(
            f"The cache folder must be writable and have room, to keep work for the next time; {shown(path.parent)} "
            f"cannot be used ({error.strerror}). The data were read all the same. Set MUSESSL_CACHE to another folder.",
            stacklevel=3,
        )
        return False
    return True


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> bool:
    """Keep arrays in an .npz file of the cache whose comment, at its end, is the sha256 of all before it."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.comment = bytes(64)  # room for it
    data = packed.getvalue()[:-64]
    return keep(path, data + hashlib.sha256(data).hexdigest().encode())


def read_cache(path: Path, unpack: Callable[[dict], list]) -> list | None:
    """Return what a cache file holds, or None if it is absent, damaged, or of another kind: edited, or older."""
    try:
        data = read_file(path, "The cache", LARGEST_CACHED)
        if hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            if sum(member.file_size for member in stored.zip.infolist()) > LARGEST_CACHED:
                return None
            return unpack(dict(stored))
    except Exception:  # whatever it is, the music can be read again
        return None


def cached(
    name: str,
    make: Callable[[], tuple[list, bool]],
    pack: Callable[[list], dict[str, np.ndarray]],
    unpack: Callable[[dict], list],
) -> list:
    """Return what a file of the cache folder holds; or make it, and keep it if that is all.

    Args:
        make: returns what is wanted, and whether that is all of it.
        unpack: undoes ``pack``.
    """
    home = usable_cache()
    items = read_cache(home / name, unpack) if home else None
    if items is None:
        items, is_all = make()
        if home and is_all:
            write_arrays(home / name, pack(items))
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


# Downloads.


def download(url: str, sha256: str, file_name: str) -> bytes:
    """Return the bytes of a file in the cache folder, downloading it first if it is not there or was altered."""
    for name, text in {"url": url, "sha256": sha256, "file_name": file_name}.items():
        check_text(name, text)
    home = usable_cache()
    kept = home and as_path(home / file_name)
    with contextlib.suppress(OSError, ValueError):
        data = read_file(kept, "download", LARGEST_DOWNLOAD) if kept else b""
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    try:
        data = _fetch(url)
    except ConnectionError as error:
        raise ConnectionError(
            f"{shown(file_name)} must be downloaded once from {shown(url)}; that failed ({error}). Is there a network? "
            f"Or fetch the file elsewhere and put it at {shown(kept or Path('MUSESSL_CACHE') / file_name)}."
        ) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(
            f"{shown(url)} must give the file whose sha256 is {shown(sha256)}; it gave another, and nothing was kept. "
            "The file was changed at its source or on its way; try again, or report it."
        )
    if kept:
        keep(kept, data)
    return data


def _fetch(url: str) -> bytes:
    """Return what stands at an address, or say with a ``ConnectionError`` why it does not come."""
    import requests

    result: list[bytes | str] = []

    def read() -> None:
        data = bytearray()
        try:
            plain = {"Accept-Encoding": "identity"}  # what is not packed cannot unpack to gigabytes
            with requests.get(url, stream=True, timeout=10, headers=plain) as response:
                response.raise_for_status()
                for part in response.raw.stream(2**16, decode_content=False):
                    data += part
                    if len(data) > LARGEST_DOWNLOAD:
                        return result.append(f"it has more than {LARGEST_DOWNLOAD} bytes")
            result.append(bytes(data))
        except Exception as error:  # of requests, urllib3, or its parser of addresses
            result.append(f"{type(error).__name__}: {shown(error)}")

    # The timeout of requests is one of silence: a server that sends a byte now and then would be waited for for ever.
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(LONGEST_DOWNLOAD_SEC)
    if not result or isinstance(result[0], str):
        raise ConnectionError(result[0] if result else f"not all of it came within {LONGEST_DOWNLOAD_SEC} seconds")
    return result[0]
