"""Download a file once, check it, keep it.

Chapter: 3c (data sets: what a cache must check).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from mini_musessl.corpora.cache import cache_folder


def download(url: str, sha256: str, file_name: str) -> Path:
    """Return the path of a file in the cache folder, downloading it first if it is not there.

    A file that is there but altered is downloaded again. The new file gets its place only after it was checked.

    Args:
        url: where the file is.
        sha256: its 64 hexadecimal digits.
        file_name: its name in the cache folder.

    Returns:
        Path of the checked file.

    Raises:
        ConnectionError: no network, or the address does not answer with the file.
        ValueError: what came is another file.
        OSError: the cache folder cannot be written.

    Chapter: 3c.
    """
    import pooch
    import requests

    path = cache_folder() / file_name
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
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
            f"A download needs a cache folder that can be written; {cache_folder()} cannot be "
            f"({error.strerror or error}). Set MUSESSL_CACHE to another folder."
        ) from None
    return path
