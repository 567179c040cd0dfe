"""The outside of a MIDI file: is it there, is it one, is it whole? Decided from its first bytes and chunk lengths.

Chapter: 3a.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from mini_musessl.midi.files import check_file, empty_file

#: A file larger than this many bytes for each permitted note is refused before it is parsed; a note takes 6 to 8.
BYTES_PER_NOTE_LIMIT = 100


def load_bytes(source: str | os.PathLike[str] | bytes | BinaryIO, max_notes: int) -> tuple[str, bytes]:
    """Return what to call the source in messages, and its bytes, unless they are far too many.

    Args:
        source: path of the file, its bytes, or a file open for reading bytes.
        max_notes: how many notes the caller permits; decides how many bytes are too many.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no file at the path.
        ValueError: no bytes, or too many.
        TypeError: it is none of these, or an open file gives text.
    """
    if isinstance(source, (str, os.PathLike)):
        path = check_file(source, "read_midi")
        _check_size(path.name, path.stat().st_size, max_notes)
        return path.name, path.read_bytes()
    if not isinstance(source, (bytes, bytearray, memoryview)) and not hasattr(source, "read"):
        raise TypeError(f"read_midi needs a path, bytes or a file open for bytes; found {type(source).__name__}.")
    data = bytes(source) if isinstance(source, (bytes, bytearray, memoryview)) else source.read()
    if not isinstance(data, bytes):
        raise TypeError(
            f'A MIDI file is bytes; the open file gave {type(data).__name__}. Open it for bytes, with mode "rb".'
        )
    _check_size("the data", len(data), max_notes)
    return "the data", data


def _check_size(label: str, n_bytes: int, max_notes: int) -> None:
    """Refuse an empty file, and one so large that its events alone would take minutes to parse."""
    if n_bytes == 0:
        raise empty_file(label)
    limit = BYTES_PER_NOTE_LIMIT * max_notes + 1_000_000
    if n_bytes > limit:
        raise ValueError(
            f"A file for max_notes={max_notes} must have at most {limit} bytes; {label} has {n_bytes}. "
            "If that is meant, raise max_notes."
        )


def check_chunks(label: str, data: bytes) -> tuple[bytes, int]:
    """Check header and chunk lengths; return the file without foreign chunks, and its ticks a quarter.

    The parsers accept some cut files in silence, so the lengths are checked here.

    Args:
        label: what to call the file in messages.
        data: its bytes.

    Raises:
        ValueError: no MIDI file, one that ends early, or of a kind that is not supported.
    """
    if data[:4] != b"MThd":
        raise ValueError(
            f"A MIDI file must begin with the letters MThd; {label} begins with {data[:4]!r}. "
            "It is another kind of file, whatever its name ends with; export it as a Standard MIDI File."
        )
    if len(data) < 14:
        raise _cut_file(label, f"{len(data)} bytes of a header of 14")
    header_length, file_type, n_tracks, division = struct.unpack(">LHHH", data[4:14])
    _check_header(label, file_type, division)
    tracks, position = [], 8 + header_length
    while len(tracks) < n_tracks:
        if len(data) < position + 8:
            raise _cut_file(label, f"{len(tracks)} of {n_tracks} tracks")
        name, length = struct.unpack(">4sL", data[position : position + 8])
        stop = position + 8 + length
        if stop > len(data):
            n_found = len(data) - position - 8
            raise _cut_file(label, f"{n_found} of {length} bytes of track {len(tracks) + 1} of {n_tracks}")
        if name == b"MTrk":
            tracks.append(data[position:stop])
        position = stop
    return struct.pack(">4sLHHH", b"MThd", 6, file_type, n_tracks, division) + b"".join(tracks), division


def _cut_file(label: str, found: str) -> ValueError:
    """Return the refusal of a file that ends early."""
    return ValueError(
        f"A MIDI file must be as long as its header and tracks say; {label} is cut short: it holds {found}. "
        "Copy or download it again."
    )


def _check_header(label: str, file_type: int, division: int) -> None:
    """Refuse independent patterns (type 2), unknown types, and time that is not counted in quarters."""
    if file_type > 1:
        raise ValueError(
            f"A MIDI file must be of type 0 or 1; {label} is of type {file_type}. Type 2 holds patterns that do not "
            "sound together; export it as type 1."
        )
    if division & 0x8000:
        raise ValueError(
            f"A MIDI file must count time in ticks a quarter; {label} counts it in film frames (SMPTE), which is not "
            "supported, since frames have no bars. Export it with ticks a quarter (PPQ)."
        )
    if division == 0:
        raise ValueError(
            f"A MIDI file must have at least 1 tick a quarter; {label} says 0: its header is damaged. Export it again."
        )
