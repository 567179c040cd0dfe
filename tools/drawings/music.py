"""Music as the drawings show it: a lane for each voice, notes as bars, stripes where something is hidden."""

import functools

import numpy as np

from drawings.pen import VOICES, Drawing
from mini_musessl import corpora, voices

NAME = "bwv355"  # the chorale that notebook 00 opens with


@functools.cache
def split() -> dict[str, list[voices.VoiceGrid]]:
    """Return the pieces of the rebuilt split; loading them takes seconds."""
    return corpora.rebuilt_split()


@functools.cache
def chorale(n_steps: int = 32) -> voices.VoiceGrid:
    """Return the opening of BWV 355."""
    piece = next(piece for piece in split()["valid"] if piece.name == NAME)
    return voices.cut(piece, 0, n_steps)


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return where stretches of True begin and end.

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def system(
    pen: Drawing,
    x: float,
    y: float,
    music: voices.VoiceGrid,
    step: float = 6,
    lane: float = 22,
    is_hidden: np.ndarray | None = None,
    is_dropped: np.ndarray | None = None,
) -> None:
    """Draw music with a lane for each voice, a note as a bar whose height in its lane says how high it is.

    Args:
        is_hidden: (n_steps, n_voices), True where stripes stand in place of notes.
        is_dropped: voices that are not drawn at all.
    """
    gap, thick, pitch = 2, round(0.26 * lane, 1), music.pitch.astype(int)
    hidden = np.zeros(pitch.shape, bool) if is_hidden is None else is_hidden
    for voice, colour in enumerate(VOICES[: pitch.shape[1]]):
        top, line = y + voice * (lane + gap), pitch[:, voice]
        pen.box(x, top, step * len(line), lane, kind="panel", corner=2)
        if is_dropped is not None and is_dropped[voice]:
            pen.hatch(x, top, step * len(line), lane, corner=2)
            continue
        middle, room = (line.max() + line.min()) / 2, (lane - thick) / max(np.ptp(line) + 2, 10)
        onsets = [*np.flatnonzero(music.is_onset[:, voice]).tolist(), len(line)]
        for start, stop in zip(onsets, onsets[1:], strict=False):
            at = top + (lane - thick) / 2 - (line[start] - middle) * room
            for begin, end in runs(~hidden[start:stop, voice]):
                left = x + step * (start + begin) + 0.5
                pen.box(left, at, step * (end - begin) - 1, thick, colour=colour, strength=0.85, corner=1)
        for begin, end in runs(hidden[:, voice]):
            pen.hatch(x + step * begin, top, step * (end - begin), lane, corner=2)
    for bar in np.flatnonzero(music.bar_position_step == 0):
        if bar:
            pen.line((x + step * bar, y), (x + step * bar, y + 4 * (lane + gap) - gap), width=1, dashed=True)
