"""Cadences: what the two chords at the end of a phrase say.

Chapter: 3a.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mini_musessl import voices
from mini_musessl.harmony.chords import CHORD_DTYPE, NO_CHORD, QUALITIES, Sounding, chord_name, label_spans
from mini_musessl.harmony.keys import Key, check_chroma, correlations, key_at

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
