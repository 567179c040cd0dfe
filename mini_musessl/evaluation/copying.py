"""Copying: what a piece shares with others, in whatever key, and how much of its training music a model gives back.

Two windows are the same music if one is the other transposed: all voices, step for step. What is found counts only
beside what Bach shares with himself: two chorales may set one hymn, and two cadences may be the same.

References: Yin, Reuben, Stepney and Collins, "Measuring When a Music Generation Algorithm Copies Too Much" (2022), for
originality beside what human music shares; Carlini, Liu, Erlingsson, Kos and Song, "The Secret Sharer" (2019), for
exposure.

Chapter: 9d (copying).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from mini_musessl.checks import as_array, check_list, check_some, whole_number
from mini_musessl.voices import REST, VoiceGrid, check_is_grid

Grids = Sequence[VoiceGrid]
#: Stands for a rest in music whose pitches are counted from another pitch.
_NO_PITCH = np.iinfo(np.int16).min


def moving_windows(grid: VoiceGrid, n_steps: int) -> dict[int, bytes]:
    """Return what is the same wherever the same music stands, in any key, for each window in which some voice moves.

    >>> from mini_musessl import voices
    >>> windows = moving_windows(voices.from_pitches([[60], [62], [64], [64]], voice_names=("melody",)), 2)
    >>> list(windows), windows[0] == windows[1]
    ([0, 1], True)
    """
    if grid.n_steps < n_steps:
        return {}
    windows = np.lib.stride_tricks.sliding_window_view(grid.pitch, n_steps, axis=0).transpose(0, 2, 1)
    is_rest = windows == REST
    lowest = np.where(is_rest, np.iinfo(np.int16).max, windows).min(axis=(1, 2), keepdims=True)
    keys = np.where(is_rest, _NO_PITCH, windows - lowest)
    moves = (windows != windows[:, :1]).any(axis=(1, 2))
    return {step: keys[step].tobytes() for step in np.flatnonzero(moves).tolist()}


def shared_share(pieces: Grids, corpus: Grids, n_steps: int) -> float:
    """Return which share of the windows of some pieces stands in the corpus, in any key; held chords do not count.

    >>> from mini_musessl import voices
    >>> up, down = (voices.from_pitches(pitch, voice_names=("melody",)) for pitch in ([[60], [62], [64]], [[64], [62]]))
    >>> round(shared_share([up, down], [voices.transpose(up, 3)], 2), 3)
    0.667
    """
    check_comparable(pieces, corpus, n_steps)
    known = {key for grid in corpus for key in moving_windows(grid, n_steps).values()}
    found = [key in known for grid in pieces for key in moving_windows(grid, n_steps).values()]
    check_some(len(found), f"Some piece must move and have {n_steps} steps", "Take shorter windows.")
    return float(np.mean(found))


class Passage(NamedTuple):
    """The longest music that a piece shares with a corpus."""

    n_steps: int
    step: int  # where it begins in the piece
    piece: int  # of the corpus
    piece_step: int  # where it begins there
    semitones: int  # by which the corpus's passage is moved to become the piece's


def longest_shared(grid: VoiceGrid, corpus: Grids, shortest: int = 2) -> Passage | None:
    """Find the longest passage that a piece shares with the corpus, in any key; the first of equals, None if none.

    >>> from mini_musessl import voices
    >>> a, b = (voices.from_pitches(each, voice_names=("melody",)) for each in ([[60], [62], [65]], [[9], [60], [63]]))
    >>> longest_shared(a, [b])
    Passage(n_steps=2, step=1, piece=0, piece_step=1, semitones=2)
    """
    check_comparable([grid], corpus, whole_number("shortest", shortest, lowest=2))
    # A passage that is shared has a shared passage one step shorter inside: so the longest length is found by halving,
    # in ever fewer pieces, and from short lengths on, which many pieces share but few steps.
    low, high, pieces = shortest - 1, grid.n_steps, range(len(corpus))
    while low < high:
        middle = min((low + high + 1) // 2, 2 * low)
        known = set(moving_windows(grid, middle).values())
        sharing = [piece for piece in pieces if not known.isdisjoint(moving_windows(corpus[piece], middle).values())]
        low, high, pieces = (middle, high, sharing) if sharing else (low, middle - 1, pieces)
    if low < shortest:
        return None
    first_step = {key: step for step, key in reversed(moving_windows(grid, low).items())}
    step, piece, piece_step = min(
        (first_step[key], piece, at)
        for piece in pieces
        for at, key in moving_windows(corpus[piece], low).items()
        if key in first_step
    )
    here, there = grid.pitch[step : step + low], corpus[piece].pitch[piece_step : piece_step + low]
    sounding = here != REST
    return Passage(low, step, piece, piece_step, int((here[sounding] - there[sounding])[0]))


def steps_until_departure(written: VoiceGrid, original: VoiceGrid, start_step: int) -> int:
    """Count the steps from ``start_step`` on, at which a continuation has the very pitches of the original.

    >>> from mini_musessl import voices
    >>> a, b = (voices.from_pitches(each, voice_names=("melody",)) for each in ([[60], [62], [65]], [[60], [62], [64]]))
    >>> steps_until_departure(a, b, 1)
    1
    """
    n_steps = min(written.n_steps, original.n_steps)
    start_step = whole_number("start_step", start_step, 0, n_steps)
    is_same = (written.pitch[start_step:n_steps] == original.pitch[start_step:n_steps]).all(axis=1)
    return int(np.cumprod(is_same).sum())


def membership_auc(trained_nats: ArrayLike, held_out_nats: ArrayLike) -> float:
    """Return how often a piece of the training set has the lower loss, of all pairs with one that was held out.

    Half of ties count: 0.5 is chance, 1 gives all members away. Area under the ROC curve of the loss as a classifier.

    >>> membership_auc([0.2, 0.3], [0.3, 0.5])
    0.875
    """
    trained, held_out = _nats("trained_nats", trained_nats), _nats("held_out_nats", held_out_nats)
    difference = held_out[None, :] - trained[:, None]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def exposure(canary_nats: float, other_nats: ArrayLike) -> float:
    """Return the exposure of a canary in bits: how far its loss puts it in front of music drawn as it was.

    >>> exposure(0.1, [0.2, 0.3, 0.4])
    2.0
    """
    others = _nats("other_nats", other_nats)
    return math.log2(len(others) + 1) - math.log2(1 + int((others < canary_nats).sum()))


def check_comparable(pieces: Grids, corpus: Grids, n_steps: int) -> None:
    """Refuse music that has nothing in common: other numbers of voices, another grid, windows without a step."""
    whole_number("n_steps", n_steps, lowest=1)
    for grids in (pieces, corpus):
        check_list("Pieces of music", grids, VoiceGrid, "Is the corpus or the split empty?")
        for grid in grids:
            check_is_grid(grid)
    kinds = {(grid.n_voices, grid.steps_per_quarter) for grid in (*pieces, *corpus)}
    if len(kinds) > 1:
        raise ValueError(
            f"Music is compared voice by voice and step by step; found (voices, steps per quarter) {sorted(kinds)}. "
            "Bring all of it to one grid."
        )


def _nats(name: str, values: ArrayLike) -> Float[np.ndarray, " n"]:
    nats = as_array(name, values).astype(float)
    if nats.ndim != 1 or len(nats) == 0 or not np.isfinite(nats).all():
        raise ValueError(f"{name} must be finite losses, at least one; found {nats}.")
    return nats
