"""Facts about a hidden cell that a musician would use to guess it, computed from what can be seen around it.

All are whole numbers, and all but the height stay the same when the music is transposed.

Chapter: 4b (masking).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl.evaluation.chorale_ids import N_SYMBOLS

#: Stands for a symbol that is hidden or not there.
_UNSEEN = -1
_WIDEST = N_SYMBOLS - 1
#: A distance in steps counts as 1, 2, up to 4, up to 8, up to 16, or more; 0 stands for no symbol on that side.
_DISTANCES = (1, 2, 4, 8, 16)
#: From the anchor: intervals, a rest, nothing there.
_RELATIONS = 2 * _WIDEST + 3
_REST, _NOTHING = 2 * _WIDEST + 1, 2 * _WIDEST + 2
#: The same modulo the octave.
_CLASSES = 14
#: A third, roughly.
_SEMITONES = 4
#: How far around a cell the scale is listened for.
_AROUND_STEP = 32
#: Answers: intervals from the anchor and the rest; where there is no anchor, the symbol itself.
N_ANSWERS = 2 * _WIDEST + 2 + N_SYMBOLS

#: How many values each fact has. The anchor is the pitch from which intervals are counted: what stands before the gap,
#: or if that is no pitch after it, or else in another voice.
N_VALUES = {
    "voice": 4,
    "anchor": 7,  # none, before, after, or the voice in which it stands
    "after": _RELATIONS,  # what comes after the gap
    "gap_before": len(_DISTANCES) + 2,  # steps back to the symbol before, in classes
    "gap_after": len(_DISTANCES) + 2,
    "beat": 4,  # step modulo 4
    "height": -(-N_SYMBOLS // _SEMITONES),  # how high the anchor is, in thirds
    "scale": 32,  # which neighbours of the anchor are heard more around here: see _scale
    # What the other voices sing at this step, from the anchor, modulo the octave.
    **dict.fromkeys(("soprano", "alto", "tenor", "bass"), _CLASSES),
}


def neighbour_facts(
    ids: Int[np.ndarray, "n_steps 4"], is_hidden: Bool[np.ndarray, "n_steps 4"]
) -> tuple[dict[str, Int[np.ndarray, "n_steps 4"]], Int[np.ndarray, "n_steps 4"]]:
    """Say of each hidden cell what can be seen around it.

    Args:
        ids: 0 for a rest, 1..46 for pitches; soprano, alto, tenor, bass. Those of hidden cells are not looked at.
        is_hidden: True where a cell cannot be seen.

    Returns:
        The facts by name, each a whole number 0 up to ``N_VALUES[name]`` for every cell; and the anchor, the id from
        which intervals are counted, -1 where there is none. They mean something for hidden cells only.

    Example:
        >>> ids = np.array([[37, 32, 29, 13], [37, 32, 29, 13], [39, 32, 27, 8]])
        >>> is_hidden = np.zeros((3, 4), bool)
        >>> is_hidden[1, 0] = True
        >>> facts, anchor = neighbour_facts(ids, is_hidden)
        >>> int(anchor[1, 0]), int(facts["after"][1, 0]) - 46
        (37, 2)
        >>> [int(facts[name][1, 0]) for name in ("gap_before", "gap_after", "alto", "bass")]
        [1, 1, 7, 0]

    Chapter: 4b.
    """
    seen = np.where(is_hidden, _UNSEEN, ids)
    before, gap_before = _nearest(seen, is_hidden)
    after, gap_after = (each[::-1] for each in _nearest(seen[::-1], is_hidden[::-1]))
    anchor, kind = _anchor(seen, before, after)
    facts = {
        "voice": np.tile(np.arange(4), (len(ids), 1)),
        "anchor": kind,
        "after": _relation(anchor, after),
        "gap_before": _distance_class(gap_before),
        "gap_after": _distance_class(gap_after),
        "beat": np.tile((np.arange(len(ids)) % 4)[:, None], (1, 4)),
        "height": anchor.clip(min=0) // _SEMITONES,
        "scale": _scale(seen, anchor),
    }
    for voice, name in enumerate(("soprano", "alto", "tenor", "bass")):
        facts[name] = _modulo_octave(_relation(anchor, np.tile(seen[:, voice, None], (1, 4))))
    return facts, anchor


def _nearest(seen: np.ndarray, is_hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the latest symbol of each voice that can be seen, and how many steps ago; -1 and 0 if there is none."""
    step = np.arange(len(seen))[:, None]
    latest = np.maximum.accumulate(np.where(is_hidden, -1, step), axis=0)
    symbol = np.take_along_axis(seen, latest.clip(min=0), axis=0)
    return np.where(latest < 0, _UNSEEN, symbol), np.where(latest < 0, 0, step - latest)


def _anchor(seen: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pitch from which intervals are counted, and where it stands."""
    anchor, kind = np.full(seen.shape, _UNSEEN), np.zeros(seen.shape, np.int64)
    candidates = [(before, 1), (after, 2)]
    candidates += [(np.tile(seen[:, voice, None], (1, 4)), 3 + voice) for voice in (0, 3, 1, 2)]
    for symbol, number in candidates:
        is_first = (anchor < 0) & (symbol > 0)
        anchor, kind = np.where(is_first, symbol, anchor), np.where(is_first, number, kind)
    return anchor, kind


def _scale(seen: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """Return what is heard around a cell, relative to its anchor, in any voice and octave: a stand-in for the key.

    Four comparisons ask which is heard more often: the semitone or the tone above, the same below, the minor or the
    major third above, the same below. The fifth bit asks whether the tritone is heard at all.
    """
    is_heard = (seen[..., None] > 0) & (seen[..., None] % 12 == np.arange(12))
    total = np.vstack((np.zeros((1, 12), np.int64), is_heard.sum(axis=1).cumsum(axis=0)))
    step = np.arange(len(seen))
    start, stop = (step - _AROUND_STEP).clip(min=0), (step + _AROUND_STEP + 1).clip(max=len(seen))
    count = total[stop] - total[start]
    at = lambda interval: count[step[:, None], (anchor + interval) % 12]  # noqa: E731
    bits = [at(1) > at(2), at(-1) > at(-2), at(3) > at(4), at(-4) > at(-3), at(6) > 0]
    return np.where(anchor > 0, sum(bit.astype(np.int64) << place for place, bit in enumerate(bits)), 0)


def _distance_class(gap: np.ndarray) -> np.ndarray:
    """Return distances in classes, 0 for none."""
    return np.where(gap > 0, np.searchsorted(_DISTANCES, gap) + 1, 0)


def _relation(anchor: np.ndarray, symbol: np.ndarray) -> np.ndarray:
    """Return the interval from the anchor to a symbol, as a number from 0; or that it is a rest, or not there."""
    is_interval = (anchor > 0) & (symbol > 0)
    return np.where(is_interval, symbol - anchor + _WIDEST, np.where(symbol == 0, _REST, _NOTHING))


def _modulo_octave(relation: np.ndarray) -> np.ndarray:
    """Return a relation as 0..11 semitones above the octave, 12 for a rest and 13 for nothing."""
    return np.where(relation >= _REST, relation - _REST + 12, (relation - _WIDEST) % 12)


def number_answers(ids: Int[np.ndarray, "*cells"], anchor: Int[np.ndarray, "*anchors"]) -> np.ndarray:
    """Number symbols as seen from their anchors, so that transposed answers have one number.

    Args:
        ids: symbols, of a shape that goes with that of the anchors.
        anchor: ids of the anchors, -1 where there is none.

    Returns:
        Whole numbers 0 up to ``N_ANSWERS``.

    Chapter: 4b.
    """
    relation = _relation(anchor, ids)
    return np.where((relation == _NOTHING) & (anchor < 0), _NOTHING + ids, relation)


def find_situations(
    facts: dict[str, Int[np.ndarray, "n_steps 4"]], is_hidden: Bool[np.ndarray, "n_steps 4"]
) -> dict[str, Bool[np.ndarray, "n_steps 4"]]:
    """Tell hidden cells apart by what can be seen of their own voice.

    Args:
        facts: from ``neighbour_facts``.
        is_hidden: True where a cell cannot be seen.

    Returns:
        True for the cells that are "near", a symbol of the voice at most two steps away; "far", one farther away;
        "alone", none.

    Chapter: 4b.
    """
    gaps = np.stack((facts["gap_before"], facts["gap_after"]))
    is_near = ((gaps > 0) & (gaps <= 2)).any(axis=0)
    is_seen = (gaps > 0).any(axis=0)
    return {"near": is_hidden & is_near, "far": is_hidden & is_seen & ~is_near, "alone": is_hidden & ~is_seen}
