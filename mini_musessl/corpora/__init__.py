"""Music to learn from: the Bach chorales, folk tunes, and folders of MIDI files.

Nothing here ships music. The chorales and tunes are read from the reader's own music21, the JSB file is downloaded on
request, and what is read is kept in ``cache_folder()``.

Chapter: 3c (data sets, splits, leaks, augmentation, licences).
"""

from __future__ import annotations

from mini_musessl.corpora.cache import cache_folder
from mini_musessl.corpora.chorales import ChoraleFacts, chorale_facts, load_chorales

__all__ = ["ChoraleFacts", "cache_folder", "chorale_facts", "load_chorales"]
