"""Harmony from notes: pitch-class profiles, a chord name for every beat, the key, and the cadences at fermatas.

Everything here is counted from the notes alone, without training. A *pitch class* is a pitch without its octave:
0 is C, 1 is C sharp, 11 is B. A *label* is what a rule says about the notes; how often the rules agree with music21
and with human analysts stands in the docstring of each function.

Conventions:
    chroma: float (12,), how much of the sounding time each pitch class has; sums to 1, or to 0 where nothing sounds.
    chords: structured array of ``CHORD_DTYPE``, one row a beat; a beat is a quarter counted from the bar line.
    fifths: position of a key signature, sharps positive: G major and E minor have 1.

Chapter: 3a (pitch, rhythm and harmony as arrays).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import checks, music, voices

# --- Pitch classes: their names, and how much of the music each of them has


def pitch_class_name(pitch_class: int, fifths: int = 0) -> str:
    """Spell a pitch class as is usual under a key signature: 8 is G# without accidentals, Ab under three flats.

    The twelve names are the scale of the major key, the lowered seventh degree, and the sharpened ones that its
    relative minor and its secondary dominants use.

    Args:
        pitch_class: 0..11.
        fifths: key signature, -7..7; the names lie from 2 fifths below its place to 9 above.

    Raises:
        TypeError: a number is not whole.
        ValueError: a number is out of its range.

    Example:
        >>> pitch_class_name(8), pitch_class_name(8, fifths=-3)
        ('G#', 'Ab')

    Chapter: 3a.
    """
    pitch_class = checks.whole_number("A pitch class", pitch_class, 0, 11, "Take the pitch modulo 12.")
    lowest = checks.whole_number("fifths", fifths, -7, 7, "Sharps count up, flats down.") - 2
    place = lowest + (7 * pitch_class - lowest) % 12
    sharps, letter = divmod(place + 1, 7)
    return "FCGDAEB"[letter] + ("#" * sharps if sharps > 0 else "b" * -sharps)


def chroma(notes: np.ndarray | music.Piece | voices.VoiceGrid) -> np.ndarray:
    """Return the share of each pitch class in the sounding time.

    A note counts for as long as it lasts; two voices on one pitch class count twice; loudness does not count.

    Args:
        notes: an array of notes, a piece (its drum parts are left out), or a grid.

    Returns:
        float64 (12,), from C to B; sums to 1, or is all 0 where nothing sounds.

    Raises:
        TypeError, ValueError: the notes break a rule of ``music.check_notes``.

    Example:
        >>> notes = music.make_notes(onset_step=[0, 24], duration_step=[72, 24], pitch=[60, 67])
        >>> chroma(notes)[[0, 7]].tolist()
        [0.75, 0.25]

    Chapter: 3a.
    """
    if isinstance(notes, voices.VoiceGrid):
        return shares(step_counts(notes).sum(axis=0))
    if isinstance(notes, music.Piece):
        notes = notes.notes[~music.is_drum_note(notes)]
    music.check_notes(notes)
    return shares(np.bincount(notes["pitch"] % 12, weights=notes["duration_step"], minlength=12))


def grid_chroma(grid: voices.VoiceGrid, n_block_steps: int) -> np.ndarray:
    """Return one chroma for each block of so many steps; the last block may be shorter.

    Args:
        grid: step-by-voice grid.
        n_block_steps: length of a block in steps, 1 or more; blocks count from step 0, not from the bar line.

    Returns:
        float64 (n_blocks, 12); each row sums to 1, or is all 0 where nothing sounds.

    Raises:
        TypeError: it is not a grid, or the length is not a whole number.
        ValueError: a block of less than one step.

    Example:
        >>> grid = voices.from_pitches([[60], [62], [62]], voice_names=("melody",))
        >>> grid_chroma(grid, n_block_steps=2)[:, [0, 2]].tolist()
        [[0.5, 0.5], [0.0, 1.0]]

    Chapter: 3a.
    """
    voices.check_is_grid(grid)
    n_block_steps = checks.whole_number(
        "n_block_steps", n_block_steps, 1, advice="A quarter is grid.steps_per_quarter."
    )
    edges = np.append(np.arange(0, grid.n_steps, n_block_steps), grid.n_steps)
    return shares(np.diff(sums_before(step_counts(grid))[edges], axis=0))


def step_counts(grid: voices.VoiceGrid) -> np.ndarray:
    """Count the voices that sound each pitch class at each step, int64 (n_steps, 12)."""
    step, voice = np.nonzero(grid.pitch != voices.REST)
    cell = 12 * step + grid.pitch[step, voice] % 12
    return np.bincount(cell, minlength=12 * grid.n_steps).reshape(grid.n_steps, 12)


def sums_before(counts: np.ndarray) -> np.ndarray:
    """Return the sum of the rows before each row, and of all rows: int64 (n_steps + 1, 12).

    The sum of the rows from one step up to another is then the difference of two of these.
    """
    return np.concatenate([np.zeros((1, 12), np.int64), np.cumsum(counts, axis=0)])


def shares(amount: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; a row of zeros stays."""
    total = amount.sum(axis=-1, keepdims=True)
    return amount / np.where(total > 0, total, 1)


# --- Chords: a name for each beat, and a number for each name

NO_CHORD = -1

#: Semitones above the root, by quality. The place in this table is the number of the quality.
CHORD_TONES: dict[str, tuple[int, ...]] = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
    "dominant seventh": (0, 4, 7, 10),
    "minor seventh": (0, 3, 7, 10),
    "major seventh": (0, 4, 7, 11),
    "half-diminished": (0, 3, 6, 10),
    "diminished seventh": (0, 3, 6, 9),
}
QUALITIES = tuple(CHORD_TONES)
_SUFFIXES = ("", "m", "dim", "aug", "7", "m7", "maj7", "m7b5", "dim7")

#: A chord is one of 9 qualities on one of 12 roots, or none.
N_CHORD_CLASSES = 1 + 12 * len(QUALITIES)

CHORD_DTYPE = np.dtype([("step", np.int32), ("root", np.int8), ("quality", np.int8), ("bass", np.int8)])

# Costs of a chord template, in shares of the weight that sounds. Of the three only too low a cost for sevenths matters
# to the agreement with analysts (see chord_labels): at 0.05 passing sevenths count, and six points are lost. Twice that
# cost, half or twice the cost of a fifth, and a least share of 0.5 or 0.7 change less than half a point.
_SEVENTH_COST = 0.1
_NO_FIFTH_COST = 0.05
_LEAST_SHARE = 0.6


def chord_labels(grid: voices.VoiceGrid) -> np.ndarray:
    """Name the chord of every beat by the best of 108 templates.

    A beat is a quarter counted from the bar line; a shorter one stands where a piece or a bar begins or ends off it.
    Each pitch class is weighted by how long it sounds within the beat; a note that sounds at the beat's first step
    counts for one more whole beat, so that a passing note weighs less than the chord it joins. A template may win
    only if its root and third sound, and its seventh and an altered fifth if it has them; a plain fifth may be absent.
    The score is the share of the weight that is in the chord, less a small cost for a seventh and for an absent
    fifth. The best chord must hold 60 % of the weight, otherwise the beat has none. Augmented triads and diminished
    sevenths look the same from each of their notes: the one in the bass is taken as their root.

    On a sample of every eighth chorale of ``corpora.load_chorales(expand_repeats=False)``, 2118 beats begin with a
    triad for music21; there the rule gives its root on 99.6 % and its quality as well on 99.5 %. Against analysts, who
    hear through suspensions, the root is the same on 94.0 % of 1009 beats in 18 chorales (the Roman numerals by Jones
    and Tymoczko that music21 holds). The rule takes a suspension that makes another chord for that chord. Its costs
    were chosen on these 18 chorales, so expect a little less elsewhere.

    Args:
        grid: step-by-voice grid.

    Returns:
        structured array of ``CHORD_DTYPE``, one row a beat: ``step`` where it begins, ``root`` and ``bass`` as pitch
        classes 0..11 or -1, ``quality`` as an index into ``QUALITIES`` or -1. The bass is the lowest note at the
        beginning of the beat, chord tone or not.

    Raises:
        TypeError: it is not a grid.

    Example:
        >>> grid = voices.from_pitches([[79, 74, 71, 59]] * 4 + [[78, 74, 69, 60]] * 4)
        >>> chord_names(chord_labels(grid))
        ['G/B', 'D7/C']

    Chapter: 3a.
    """
    voices.check_is_grid(grid)
    start_step = _beat_starts(grid)
    return label_spans(Sounding.of(grid), start_step, np.append(start_step[1:], grid.n_steps)[: len(start_step)])


def chord_names(chords: np.ndarray, fifths: int = 0) -> list[str]:
    """Write chords as musicians do: "G", "Am", "D7", "F#dim", "G/B"; "-" is none.

    Args:
        chords: structured array of ``CHORD_DTYPE``.
        fifths: key signature that decides how the names are spelled, -7..7.

    Raises:
        TypeError: they are not chords.
        ValueError: a root, quality or bass is out of its range.

    Example:
        >>> chord_names(np.array([(0, 8, 1, 8), (4, 10, 0, 2), (8, -1, -1, 0)], CHORD_DTYPE))
        ['G#m', 'Bb/D', '-']

    Chapter: 3a.
    """
    _check_chords(chords)
    return [chord_name(root, quality, bass, fifths) for _, root, quality, bass in chords.tolist()]


def chord_classes(chords: np.ndarray) -> np.ndarray:
    """Number chords for a classifier: 0 is none, then ``1 + 12 * quality + root``; the bass is left out.

    The qualities count in the order of ``QUALITIES``: 1..12 are the major triads from C to B, 13..24 the minor ones,
    and the last, 108, is the diminished seventh on B. The numbering is fixed.

    Args:
        chords: structured array of ``CHORD_DTYPE``.

    Returns:
        int64 (n_chords,), 0..``N_CHORD_CLASSES`` - 1.

    Raises:
        TypeError: they are not chords.
        ValueError: a root, quality or bass is out of its range.

    Example:
        >>> chord_classes(np.array([(0, 0, 0, 0), (4, 9, 1, 9), (8, -1, -1, 0)], CHORD_DTYPE)).tolist()
        [1, 22, 0]

    Chapter: 3a.
    """
    _check_chords(chords)
    quality, root = chords["quality"].astype(np.int64), chords["root"].astype(np.int64)
    return np.where(quality == NO_CHORD, 0, 1 + 12 * quality + root)


def chord_class_names(fifths: int = 0) -> tuple[str, ...]:
    """Return the name of each class of ``chord_classes``, in its order.

    Args:
        fifths: key signature that decides how the names are spelled, -7..7.

    Raises:
        TypeError, ValueError: as ``pitch_class_name``.

    Example:
        >>> chord_class_names()[:4], len(chord_class_names()) == N_CHORD_CLASSES
        (('-', 'C', 'C#', 'D'), True)

    Chapter: 3a.
    """
    named = (chord_name(root, quality, root, fifths) for quality in range(len(QUALITIES)) for root in range(12))
    return ("-", *named)


@dataclass(frozen=True)
class Sounding:
    """What chords are read from, counted once a grid.

    Attributes:
        counts: int64 (n_steps, 12), how many voices sound each pitch class.
        sums: int64 (n_steps + 1, 12), the same, summed over all steps before.
        bass: int64 (n_steps,), lowest pitch class at the first step from there on at which a voice sounds, or 0.
    """

    counts: np.ndarray
    sums: np.ndarray
    bass: np.ndarray

    @classmethod
    def of(cls, grid: voices.VoiceGrid) -> Sounding:
        """Count what sounds in a grid."""
        counts = step_counts(grid)
        return cls(counts, sums_before(counts), _first_bass(grid))


def label_spans(sounding: Sounding, start_step: np.ndarray, stop_step: np.ndarray) -> np.ndarray:
    """Name the chord of each span of steps, as ``chord_labels`` describes for beats.

    Args:
        sounding: what sounds in the music.
        start_step: (n_spans,), where each span begins.
        stop_step: (n_spans,), where it ends; that step is not in it.

    Returns:
        structured array of ``CHORD_DTYPE``, (n_spans,).
    """
    chords = np.full(len(start_step), NO_CHORD, CHORD_DTYPE)
    chords["step"] = start_step
    weight = sounding.sums[stop_step] - sounding.sums[start_step]
    is_heard = weight.any(axis=1)
    weight, start, stop = weight[is_heard], start_step[is_heard], stop_step[is_heard]
    share = shares(weight + (stop - start)[:, None] * sounding.counts[start])
    bass = sounding.bass[start]
    # Everything is measured from the bass, so that moved music gets moved labels, ties included.
    above_bass = np.take_along_axis(share, (bass[:, None] + np.arange(12)) % 12, axis=1)
    quality, root_above_bass = _best_template(above_bass)
    chords["bass"][is_heard] = bass
    chords["quality"][is_heard] = quality
    chords["root"][is_heard] = np.where(quality == NO_CHORD, NO_CHORD, (bass + root_above_bass) % 12)
    return chords


def chord_name(root: int, quality: int, bass: int, fifths: int) -> str:
    """Return the printed name of one chord.

    Args:
        root: pitch class of the root, or ``NO_CHORD``.
        quality: index into ``QUALITIES``, or ``NO_CHORD``.
        bass: pitch class of the lowest note.
        fifths: key signature that decides how the name is spelled.
    """
    if quality == NO_CHORD:
        return "-"
    slash = "" if bass == root else "/" + pitch_class_name(bass, fifths)
    return pitch_class_name(root, fifths) + _SUFFIXES[quality] + slash


def _check_chords(chords: np.ndarray) -> None:
    """Refuse an array that does not hold chords."""
    if not isinstance(chords, np.ndarray) or chords.dtype != CHORD_DTYPE:
        raise TypeError(
            "Chords must be a NumPy array of harmony.CHORD_DTYPE; found "
            f"{getattr(chords, 'dtype', type(chords).__name__)}. Make one with harmony.chord_labels."
        )
    is_none = chords["quality"] == NO_CHORD
    highest = {"root": 11, "quality": len(QUALITIES) - 1, "bass": 11}
    is_bad = is_none != (chords["root"] == NO_CHORD)
    for name, limit in highest.items():
        is_bad |= (chords[name] < NO_CHORD) | (chords[name] > limit)
    is_bad |= ~is_none & (chords["bass"] == NO_CHORD)
    if is_bad.any():
        raise ValueError(
            f"A chord needs a root and a bass in 0..11 and a quality in 0..{highest['quality']}, or -1 for none; "
            f"found {chords[is_bad][0]}. Make one with harmony.chord_labels."
        )


def _beat_starts(grid: voices.VoiceGrid) -> np.ndarray:
    """Return the steps at which a quarter of the bar begins, and the first step."""
    is_start = grid.bar_position_step % grid.steps_per_quarter == 0
    is_start[:1] = True
    return np.flatnonzero(is_start)


def _first_bass(grid: voices.VoiceGrid) -> np.ndarray:
    """Return for each step the lowest pitch class at the first step from there on at which a voice sounds, or 0."""
    lowest = np.where(grid.pitch == voices.REST, 128, grid.pitch).min(axis=1, initial=128)
    step = np.where(lowest < 128, np.arange(grid.n_steps), grid.n_steps)
    next_sounding = np.minimum.accumulate(step[::-1])[::-1]
    return np.append(lowest, 0)[next_sounding] % 12


@cache
def _templates() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the tones, the needed tones, the fifth, each bool (108, 12), and the cost (108,) of every chord."""
    tones, needed, fifth = (np.zeros((len(QUALITIES), 12, 12), bool) for _ in range(3))
    for quality, intervals in enumerate(CHORD_TONES.values()):
        for root in range(12):
            tones[quality, root, (root + np.array(intervals)) % 12] = True
            fifth[quality, root, (root + 7) % 12] = 7 in intervals
    needed = tones & ~fifth
    cost = _SEVENTH_COST * (tones.sum(axis=2) == 4)
    return tones.reshape(-1, 12), needed.reshape(-1, 12), fifth.reshape(-1, 12), cost.reshape(-1)


def _best_template(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the quality and the root of the best chord for each row of pitch-class shares, or -1."""
    tones, needed, fifth, cost = _templates()
    is_absent = (share == 0).astype(float)
    held = share @ tones.T.astype(float)
    score = held - cost - _NO_FIFTH_COST * (is_absent @ fifth.T)
    score[(is_absent @ needed.T > 0) | (held < _LEAST_SHARE - 1e-9)] = -np.inf
    best = score.argmax(axis=1)
    is_chord = np.isfinite(np.take_along_axis(score, best[:, None], axis=1)[:, 0])
    return np.where(is_chord, best // 12, NO_CHORD), np.where(is_chord, best % 12, NO_CHORD)


# --- Keys: their names and signatures, how well a chroma fits each of them, and which fits best

#: How well each pitch class fits a key on C, from C to B: mean ratings by listeners (Krumhansl and Kessler 1982).
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True)
class Key:
    """A key, and how well the notes fit it.

    Attributes:
        tonic: pitch class of its first degree, 0..11.
        mode: "major" or "minor".
        correlation: how well the chroma fits its profile, -1..1, or None where the key was read from a signature.
        runner_up: the key that fits second best, or None.

    Example:
        >>> str(Key(tonic=6, mode="minor")), Key(tonic=6, mode="minor").fifths
        ('F# minor', 3)
    """

    tonic: int
    mode: str
    correlation: float | None = None
    runner_up: Key | None = None

    def __post_init__(self) -> None:
        advice = "Use harmony.find_key where the key is unknown."
        checks.whole_number("The tonic of a key", self.tonic, 0, 11, advice)
        if self.mode not in ("major", "minor"):
            raise ValueError(f'A key needs the mode "major" or "minor"; found {self.mode!r}. {advice}')

    @property
    def fifths(self) -> int:
        """Its key signature, from 5 flats (-5) to 6 sharps (6)."""
        relative_major = self.tonic if self.mode == "major" else self.tonic + 3
        return (7 * relative_major + 5) % 12 - 5

    def __str__(self) -> str:
        return f"{pitch_class_name(self.tonic, self.fifths)} {self.mode}"


def key_from_signature(fifths: int, mode: str) -> Key:
    """Return the key that a signature and a mode name.

    Args:
        fifths: -7..7, sharps positive.
        mode: "major" or "minor".

    Raises:
        TypeError: the signature is not a whole number; None is not.
        ValueError: another number of accidentals or another mode.

    Example:
        >>> str(key_from_signature(-3, "minor"))
        'C minor'

    Chapter: 3a.
    """
    checks.whole_number("The fifths of a key signature", fifths, -7, 7, "Use harmony.find_key where it is unknown.")
    return Key(tonic=(7 * fifths + (9 if mode == "minor" else 0)) % 12, mode=mode)


def find_key(chroma: ArrayLike) -> Key:
    """Find the key whose profile correlates best with a chroma (Krumhansl-Schmuckler).

    The profile of each mode is turned to each of 12 tonics; the key is the one of 24 whose Pearson correlation with
    the chroma is highest. Equal correlations go to major, then to the lower tonic.

    On a sample of every eighth chorale of ``corpora.load_chorales(expand_repeats=False)`` the key is music21's on all
    51 of 51. It is the key of the file's signature and mode on 29 of 51, and the runner-up on 16 more; on all
    chorales, 281 of 404. Of the 123 misses 89 are a fifth away and 21 are the relative key: notes that are shared by
    two keys decide little, and the rule does not know where a piece ends.

    Args:
        chroma: (12,), amount of each pitch class from C to B, 0 or more, on any scale.

    Returns:
        the best key, with its correlation and the second best as ``runner_up``.

    Raises:
        TypeError: not numbers.
        ValueError: not 12 amounts, a negative or undefined one, or all 12 equal (an empty chroma is).

    Example:
        >>> from mini_musessl import harmony, music
        >>> scale = music.make_notes(range(8), 1, [60, 62, 64, 65, 67, 69, 71, 72])
        >>> key = harmony.find_key(harmony.chroma(scale))
        >>> str(key), str(key.runner_up)
        ('C major', 'A minor')

    References:
        Krumhansl and Kessler (1982), Tracing the dynamic changes in perceived tonal organization in a spatial
        representation of musical keys, Psychological Review 89(4): the ratings. Krumhansl (1990), Cognitive
        Foundations of Musical Pitch, chapters 2 (the 24 numbers) and 4 (the algorithm).

    Chapter: 3a.
    """
    correlation = correlations(check_chroma(chroma))
    best, second = np.argsort(-correlation, kind="stable")[:2].tolist()
    return key_at(best, correlation, runner_up=key_at(second, correlation))


def correlations(amount: np.ndarray) -> np.ndarray:
    """Correlate a chroma with the 24 profiles, (24,): 12 major keys from C to B, then 12 minor."""
    centred = _centred_profiles()
    deviation = amount - amount.mean()
    correlation = centred @ deviation / np.sqrt((centred**2).sum(axis=1) * (deviation**2).sum())
    # Rounded, so that the order of summation does not decide between equal keys.
    return correlation.round(12)


def check_chroma(chroma: ArrayLike) -> np.ndarray:
    """Return a chroma as float64 (12,), its largest amount 1, or refuse it."""
    try:
        amount = np.asarray(chroma, np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"A chroma must hold 12 numbers, one a pitch class; found {type(chroma).__name__}. "
            "Make one with harmony.chroma."
        ) from None
    if amount.shape != (12,):
        raise ValueError(
            f"A chroma must hold 12 amounts, one a pitch class; found shape {amount.shape}. "
            "Make one with harmony.chroma."
        )
    if not np.isfinite(amount).all() or (amount < 0).any():
        raise ValueError(f"The amounts of a chroma must be finite and 0 or more; found {amount.tolist()}.")
    if np.ptp(amount) <= 1e-9 * amount.max():  # what rounding leaves is no difference
        raise ValueError(
            f"A key can be found only where pitch classes differ in weight; all 12 are {amount[0]:g}. "
            "Is the music empty?"
        )
    return amount / amount.max()


@cache
def _centred_profiles() -> np.ndarray:
    """Return the 24 turned profiles less their means, (24, 12): the major keys from C to B, then the minor."""
    modes = (MAJOR_PROFILE, MINOR_PROFILE)
    profiles = np.array([np.roll(profile, tonic) for profile in modes for tonic in range(12)])
    return profiles - profiles.mean(axis=1, keepdims=True)


def key_at(index: int, correlation: np.ndarray, runner_up: Key | None = None) -> Key:
    """Return the key at one place of ``correlations``.

    Args:
        index: 0..11 for the major keys from C to B, 12..23 for the minor ones.
        correlation: (24,), what ``correlations`` gave.
        runner_up: the key that fits second best, if that is asked for.
    """
    return Key(index % 12, ("major", "minor")[index // 12], float(correlation[index]), runner_up)


# --- Cadences: what the two chords at the end of a phrase say

# The degrees that make cadences, by semitones above the tonic and quality; VI depends on the mode.
_DEGREES = {
    **{(0, quality): "I" for quality in ("major", "minor")},
    **{(5, quality): "IV" for quality in ("major", "minor", "major seventh", "minor seventh")},
    **{(7, quality): "V" for quality in ("major", "dominant seventh", "augmented")},
    **{(11, quality): "vii" for quality in ("diminished", "half-diminished")},
}
_CADENCES = {("V", "I"): "authentic", ("vii", "I"): "authentic", ("IV", "I"): "plagal", ("V", "vi"): "deceptive"}


@dataclass(frozen=True)
class Cadence:
    """The end of a phrase: the chord under a fermata and the one before.

    Attributes:
        step: where the fermata begins.
        kind: "authentic", "half", "plagal", "deceptive" or "other".
        chord: name of the chord under the fermata.
        chord_before: name of the chord that leads to it.
        key: the key in which ``kind`` is meant.
    """

    step: int
    kind: str
    chord: str
    chord_before: str
    key: Key


def cadences(grid: voices.VoiceGrid, key: Key | None = None) -> list[Cadence]:
    """Name the cadence at every fermata.

    The last chord is the one that the notes under the fermata make. The chord before is found by going back from there
    in eighths, as far as the fermata before, to the first chord with another root. A cadence is

    * *authentic* if V or vii leads to I,
    * *half* if it ends on V,
    * *plagal* if IV leads to I,
    * *deceptive* if V leads to vi (in minor to VI),
    * *other* if it is none of these, or a chord has no name.

    V is a major triad, a dominant seventh or an augmented triad, vii is diminished; I and IV may be major or minor.

    At the 112 fermatas of 18 chorales that analysts have labelled (see ``chord_labels``), without a key given, the kind
    on 94 and the key on 89 are theirs; the key of the file's signature is theirs on 49. The rule for the local key was
    chosen on these.

    Args:
        grid: step-by-voice grid with ``is_fermata``.
        key: the key in which to read every cadence, such as ``key_from_signature(grid.fifths, grid.mode)``. Without it
            each is read in the local key of its phrase: among the keys in which the last chord is I or V, or to which
            the two chords make a deceptive cadence, the one that correlates best with the phrase up to the fermata.

    Returns:
        one ``Cadence`` a fermata, in order; fermatas on touching notes are one.

    Raises:
        TypeError: it is not a grid, or the key is not a ``Key``.
        ValueError: there is a fermata, but no note in the whole grid from which to tell the key.

    Example:
        >>> chords = np.repeat([[76, 67, 60, 48], [77, 69, 60, 53], [74, 67, 59, 43], [72, 64, 60, 48]], 4, axis=0)
        >>> grid = voices.from_pitches(chords, is_fermata=np.arange(16) >= 12)
        >>> [(c.step, c.chord_before, c.chord, c.kind, str(c.key)) for c in cadences(grid)]
        [(12, 'G', 'C', 'authentic', 'C major')]

    Chapter: 3a.
    """
    voices.check_is_grid(grid)
    if key is not None and not isinstance(key, Key):
        raise TypeError(f"key must be a harmony.Key; found {type(key).__name__}. See harmony.key_from_signature.")
    sounding = Sounding.of(grid)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], grid.is_fermata, [False]]).astype(np.int8)))
    start_step, stop_step = edges[0::2], edges[1::2]
    phrase_step = np.concatenate([[0], stop_step[:-1]])[: len(start_step)]
    last_chords = label_spans(sounding, start_step, stop_step)
    eighth = max(1, grid.steps_per_quarter // 2)
    found = []
    for phrase, start, stop, last in zip(phrase_step, start_step, stop_step, last_chords, strict=True):
        before = _chord_before(sounding, eighth, phrase, start, last)
        here = key or _phrase_key(sounding, phrase, start, stop, before, last)
        names = [chord_name(*chord.tolist()[1:], here.fifths) for chord in (last, before)]
        found.append(Cadence(int(start), _cadence_kind(before, last, here), *names, here))
    return found


def _chord_before(sounding: Sounding, eighth: int, phrase_step: int, start_step: int, last: np.void) -> np.void:
    """Return the first chord, going back from the fermata in eighths, whose root is not that of the last chord."""
    stop = np.arange(start_step, phrase_step, -eighth)
    chords = label_spans(sounding, np.maximum(stop - eighth, phrase_step), stop)
    is_other = (chords["root"] != last["root"]) & (chords["root"] != NO_CHORD)
    return chords[is_other.argmax()] if is_other.any() else np.array((0, NO_CHORD, NO_CHORD, NO_CHORD), CHORD_DTYPE)[()]


def _phrase_key(
    sounding: Sounding, phrase_step: int, start_step: int, stop_step: int, before: np.void, last: np.void
) -> Key:
    """Return the local key of the phrase that ends with a fermata, as ``cadences`` describes."""
    # Where the phrase says nothing, its last chord may, or else the whole piece.
    sums = sounding.sums
    amounts = (sums[start_step] - sums[phrase_step], sums[stop_step] - sums[phrase_step], sums[-1])
    amount = next((amount for amount in amounts if np.ptp(amount) > 0), sums[-1])
    correlation = correlations(check_chroma(amount))
    keys = [key_at(index, correlation) for index in range(24)]
    likely = [
        key for key in keys if _degree(last, key) in ("I", "V") or _cadence_kind(before, last, key) == "deceptive"
    ]
    return max(likely or keys, key=lambda key: key.correlation)


def _degree(chord: np.void, key: Key) -> str:
    """Return the Roman numeral that a chord has in a key, if it is one that makes cadences, or an empty string."""
    if chord["root"] == NO_CHORD:
        return ""
    interval, quality = (int(chord["root"]) - key.tonic) % 12, QUALITIES[chord["quality"]]
    if quality == "diminished seventh":  # its four notes share its name: any of them may be the leading tone
        return "vii" if interval % 3 == 11 % 3 else ""
    sixth = (9, "minor") if key.mode == "major" else (8, "major")
    return "vi" if (interval, quality) == sixth else _DEGREES.get((interval, quality), "")


def _cadence_kind(before: np.void, last: np.void, key: Key) -> str:
    """Return the kind of cadence that two chords make in a key."""
    degrees = _degree(before, key), _degree(last, key)
    return "half" if degrees[1] == "V" else _CADENCES.get(degrees, "other")
