"""Download a file once, check it, keep it.

Chapter: 3c (data sets: what a cache must check).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mini_musessl.corpora.cache import cache_folder


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
