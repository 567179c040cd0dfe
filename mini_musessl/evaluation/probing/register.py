"""How far register alone tells the voices apart, where it is not taken away.

Chapter: 1a.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mini_musessl import voices
from mini_musessl.evaluation.probing.features import Features


def register_features(grids: Sequence[voices.VoiceGrid]) -> dict[str, Features]:
    """Describe each voice of each piece by its mean pitch, for the task "voice".

    The task itself levels all lines; this is what it would be worth without.

    Args:
        grids: chorales of four voices.

    Returns:
        ``Features`` of the task "voice" with one number, a MIDI pitch. Voices that never sing are left out.

    Chapter: 1a.
    """
    rows = [
        (float(line[line != voices.REST].mean()), voice, piece)
        for piece, grid in enumerate(grids)
        for voice, line in enumerate(grid.pitch.T)
        if (line != voices.REST).any()
    ]
    mean, voice, piece = np.array(rows).T
    return {
        "voice": Features("voice", voices.SATB, mean[:, None].astype(np.float32), voice.astype(int), piece.astype(int))
    }
