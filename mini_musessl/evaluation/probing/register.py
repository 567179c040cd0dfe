"""How far register alone tells the voices apart, where it is not taken away.

Chapter: 1a.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mini_musessl import voices
from mini_musessl.evaluation.probing.features import Features
from mini_musessl.evaluation.probing.splits import check_grids


def register_features(grids: Sequence[voices.VoiceGrid]) -> dict[str, Features]:
    """Describe each voice of each piece by its mean pitch, for the task "voice".

    The task itself levels all lines; this is what it would be worth without.

    Args:
        grids: chorales of four voices.

    Returns:
        ``Features`` of the task "voice" with one number, a MIDI pitch. Voices that never sing are left out.

    Raises:
        ValueError: no grids, or none in which a voice sings.
        TypeError: grids that are none.

    Chapter: 1a.
    """
    check_grids(grids)
    rows = [
        (float(line[line != voices.REST].mean()), voice, piece)
        for piece, grid in enumerate(grids)
        for voice, line in enumerate(grid.pitch.T)
        if (line != voices.REST).any()
    ]
    if not rows:
        raise ValueError(f"A register needs a voice that sings; found rests alone in {len(grids)} pieces.")
    mean, voice, piece = np.array(rows).T
    values = mean[:, None].astype(np.float32)
    return {"voice": Features("voice", voices.SATB, values, voice.astype(int), piece.astype(int), len(grids))}
