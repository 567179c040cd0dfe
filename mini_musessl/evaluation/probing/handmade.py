"""Features that a musician might count: what a network that learns must beat.

Chapter: 1a.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

#: Steps of a beat.
BEAT_STEP = 4
#: Largest interval of each class of melodic steps, in semitones: second, third, fourth and fifth, sixth and more.
_INTERVAL_EDGES = np.array([1, 2, 4, 7, 127])
#: Rests until the next onset are counted up to this.
_LONGEST_STEP = 8


def count_features(
    frames: Int[np.ndarray, "batch n_steps 4"], is_hidden: Bool[np.ndarray, "batch n_steps 4"]
) -> Float[np.ndarray, "batch n_steps d_features"]:
    """Describe each step by what can be counted around it; nothing is learned.

    For the beat that begins at the step: its chroma, that of the beat before and of the beat after; the bass's pitch
    class; the intervals between the voices at the step, octaves aside; the melodic intervals, by size and direction;
    new pitches by voice, and all together in the three beats; how many voices move at the step; how long nobody has
    moved, and for how long nobody will.

    Args:
        frames: symbol ids; 0 is a rest, the others are consecutive pitches.
        is_hidden: True where a cell must not be seen; it counts as absent.

    Returns:
        float32, 93 numbers a step.

    Chapter: 1a.
    """
    sounds = (frames > 0) & ~is_hidden
    pitch = frames + 35
    n_steps = frames.shape[1]
    chroma = (_one_hot(pitch % 12, 12) * sounds[..., None]).sum(axis=2)
    beat_chroma = [_shares(_sum_ahead(chroma, first)) for first in (0, -BEAT_STEP, BEAT_STEP)]
    is_new, interval = _moves(pitch, sounds)
    by_size = _one_hot(np.searchsorted(_INTERVAL_EDGES, np.abs(interval)), 5)
    melodic = [(by_size * (is_new & (np.sign(interval) == way))[..., None]).sum(axis=2) for way in (1, -1)]
    n_new = is_new.sum(axis=2, keepdims=True).astype(np.float32)
    parts = [
        *beat_chroma,
        _bass(pitch, sounds),
        _between_voices(pitch, sounds),
        *(_sum_ahead(each, 0) for each in melodic),
        _sum_ahead(is_new.astype(np.float32), 0),
        *(_sum_ahead(n_new, first) for first in (0, -BEAT_STEP, BEAT_STEP)),
        n_new,
        n_new == sounds.sum(axis=2, keepdims=True),
        _since(n_new[..., 0] > 0)[..., None],
        _since(np.roll(n_new[:, ::-1, 0], 1, axis=1) > 0)[:, ::-1, None],
        _shares(chroma),
    ]
    features = np.concatenate([part.astype(np.float32) for part in parts], axis=2)
    return features.reshape(len(frames), n_steps, -1)


def _one_hot(values: np.ndarray, size: int) -> np.ndarray:
    """Return 1 at the place of each value."""
    return (values[..., None] == np.arange(size)).astype(np.float32)


def _sum_ahead(values: np.ndarray, first: int) -> np.ndarray:
    """Return for each step the sum over a beat of steps that begins ``first`` steps later; nothing is outside."""
    n_steps = values.shape[1]
    sums = np.concatenate([np.zeros_like(values[:, :1]), values.cumsum(axis=1)], axis=1)
    start = np.clip(np.arange(n_steps) + first, 0, n_steps)
    stop = np.clip(np.arange(n_steps) + first + BEAT_STEP, 0, n_steps)
    return sums[:, stop] - sums[:, start]


def _shares(counts: np.ndarray) -> np.ndarray:
    """Divide by the sum, or leave zeros where nothing is."""
    return counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)


def _moves(pitch: np.ndarray, sounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where a voice takes a new pitch, and by how many semitones it moves there."""
    interval = np.zeros(pitch.shape, np.int64)
    both = sounds[:, 1:] & sounds[:, :-1]
    interval[:, 1:] = np.where(both, pitch[:, 1:] - pitch[:, :-1], 0)
    begins = np.zeros(sounds.shape, bool)
    begins[:, 1:] = sounds[:, 1:] & ~sounds[:, :-1]
    return (interval != 0) | begins, interval


def _bass(pitch: np.ndarray, sounds: np.ndarray) -> np.ndarray:
    """Return the pitch class of the lowest sounding voice, one-hot."""
    lowest = np.where(sounds, pitch, 999).min(axis=2)
    return _one_hot(lowest % 12, 12) * (lowest < 999)[..., None]


def _between_voices(pitch: np.ndarray, sounds: np.ndarray) -> np.ndarray:
    """Count the intervals of all pairs of voices at each step, octaves aside."""
    counts = np.zeros((*pitch.shape[:2], 12), np.float32)
    for upper in range(pitch.shape[2]):
        for lower in range(upper + 1, pitch.shape[2]):
            apart = (pitch[..., upper] - pitch[..., lower]) % 12
            counts += _one_hot(apart, 12) * (sounds[..., upper] & sounds[..., lower])[..., None]
    return counts


def _since(is_event: np.ndarray) -> np.ndarray:
    """Return how many steps ago the latest event was, at most a few; the first step counts as one."""
    step = np.arange(is_event.shape[1])
    latest = np.maximum.accumulate(np.where(is_event, step, 0), axis=1)
    return np.minimum(step - latest, _LONGEST_STEP)
