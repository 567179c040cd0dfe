"""Music to learn from: the Bach chorales, folk tunes, and folders of MIDI files.

Nothing here ships music. The chorales and tunes are read from the reader's own music21, the JSB file is downloaded on
request, and what is read is kept in ``cache_folder()``.

Chapter: 3c (data sets, splits, leaks, augmentation, licences).
"""

from __future__ import annotations

from mini_musessl.corpora.cache import cache_folder
from mini_musessl.corpora.chorales import ChoraleFacts, chorale_facts, load_chorales
from mini_musessl.corpora.downloads import download
from mini_musessl.corpora.jsb import load_jsb
from mini_musessl.corpora.melodies import duplicates, melody_groups, shared_melodies
from mini_musessl.corpora.midi_folder import FolderReport, RefusedFile, load_midi_folder
from mini_musessl.corpora.splits import REBUILT_NAME, melody_disjoint_split, rebuilt_split
from mini_musessl.corpora.tunes import TUNE_COLLECTIONS, LeftOut, load_tunes, tunes_left_out

__all__ = [
    "REBUILT_NAME",
    "TUNE_COLLECTIONS",
    "ChoraleFacts",
    "FolderReport",
    "LeftOut",
    "RefusedFile",
    "cache_folder",
    "chorale_facts",
    "download",
    "duplicates",
    "load_chorales",
    "load_jsb",
    "load_midi_folder",
    "load_tunes",
    "melody_disjoint_split",
    "melody_groups",
    "rebuilt_split",
    "shared_melodies",
    "tunes_left_out",
]
