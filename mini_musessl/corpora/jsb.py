"""The JSB chorales: the data set on which likelihoods of Bach chorales are published.

Chapter: 3c (data sets, splits, leaks).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mini_musessl import voices
from mini_musessl.corpora.downloads import download

JSB_URL = "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/master/Jsb16thSeparated.json"
JSB_SHA256 = "79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7"


def load_jsb() -> dict[str, list[voices.VoiceGrid]]:
    """Load the JSB chorales on the grid of sixteenths, in the split of the literature.

    The file named by the environment variable ``MUSESSL_JSB`` is read; without it the file is downloaded once into
    ``cache_folder()``. Either way its sha256 is checked. The file carries no licence, so this book does not ship it.

    JSB knows pitches alone: a note begins where the pitch changes, so repeated notes are one; there are no bars,
    fermatas or keys, and ``bar_position_step`` counts from the first step as if it were a bar line.

    Returns:
        "train" (229 pieces), "valid" (76) and "test" (77), named like "jsb-valid-56".

    Raises:
        FileNotFoundError: ``MUSESSL_JSB`` names no file.
        ValueError: the file is not the one that the literature used.
        ConnectionError: it must be downloaded and cannot be.

    References:
        Boulanger-Lewandowski, Bengio and Vincent (2012), Modeling temporal dependencies in high-dimensional sequences.
        ICML (the pieces and the split); Huang et al. (2017), Counterpoint by convolution. ISMIR (this file).

    Chapter: 3c.
    """
    splits = json.loads(_read_checked())
    return {
        split: [voices.from_pitches(piece, name=f"jsb-{split}-{index}") for index, piece in enumerate(splits[split])]
        for split in ("train", "valid", "test")
    }


def _read_checked() -> bytes:
    """Return the bytes of the file after checking them."""
    named = os.environ.get("MUSESSL_JSB")
    path = Path(named).expanduser() if named else download(JSB_URL, JSB_SHA256, "Jsb16thSeparated.json")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileNotFoundError(
            f"MUSESSL_JSB must name the file Jsb16thSeparated.json; {path} cannot be read ({error.strerror}). "
            "Correct the path, or unset the variable and the file is downloaded."
        ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != JSB_SHA256:
        raise ValueError(
            f"The JSB file must have sha256 {JSB_SHA256[:12]}...; {path} has {found[:12]}... It was altered or is "
            f"another edition, and results on it would compare with nothing published. Fetch it from {JSB_URL}."
        )
    return data
