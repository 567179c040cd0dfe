"""Tiny chorales of one chord a beat, and random features with random answers, for the tests of probes."""

import numpy as np

from mini_musessl import voices
from mini_musessl.evaluation.probing import Features

CHORDS = {"G": (74, 67, 59, 43), "D": (74, 66, 57, 50), "Em": (76, 67, 59, 52), "F#dim": (72, 69, 66, 57)}


def hymn(*names: str, fifths: int | None = 1, mode: str | None = "major", fermatas: tuple[int, ...] = (), **facts):
    """Return a tiny chorale, one chord a beat, with fermatas on some of the beats."""
    pitch = np.repeat([CHORDS[name] for name in names], 4, axis=0)
    is_fermata = np.isin(np.arange(len(names)), fermatas).repeat(4)
    return voices.from_pitches(pitch, fifths=fifths, mode=mode, is_fermata=is_fermata, **facts)


def long_hymn(seed: int = 0, n_beats: int = 60, **facts) -> voices.VoiceGrid:
    """Return a longer chorale of drawn chords."""
    names = np.random.default_rng(seed).choice(list(CHORDS), n_beats)
    facts = {"fermatas": tuple(range(7, n_beats, 8))} | facts
    return hymn(*names, **facts)


def drawn(n_pieces: int = 24, n_classes: int = 3, n_beats: int = 20, seed: int = 0) -> Features:
    """Return random features of random answers."""
    generator = np.random.default_rng(seed)
    n_examples = n_pieces * n_beats
    values = generator.standard_normal((n_examples, 6)).astype(np.float32)
    label = generator.integers(n_classes, size=n_examples)
    names = tuple(map(str, range(n_classes)))
    return Features("chord", names, values, label, np.repeat(np.arange(n_pieces), n_beats))
