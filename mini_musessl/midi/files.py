"""Files on the disk: is there one to read, and writing so that no half file is ever left.

Chapter: 3a.
"""

from __future__ import annotations

import os
from pathlib import Path


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
