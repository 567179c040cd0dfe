"""Facts about the place of a token that a musician would use to guess it, computed from the tokens before it alone.

All are whole numbers that stay the same when the music is transposed. Tokens come step by step, soprano, alto, tenor,
bass: at its turn a voice knows what the voices above it sing now, and what those below sang a step before.

Chapter: 2a (counting).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

#: What a fact about a pitch says where there is none: the other voice rests, or one of the two is not there.
_RESTS, _NOBODY = 0, 1
_LONGEST = 16
_WIDEST = 46

#: How many values each fact has.
N_VALUES = {
    "voice": 4,
    "beat": 4,  # step modulo 4
    "moves_above": 8,  # which voices above this one move at this step
    "hold": _LONGEST + 1,  # steps that the voice has held its note, 0 at the beginning
    "stillness": _LONGEST + 1,  # steps since any voice moved
    "scale": 32,  # which neighbours of the voice's note were heard last: see _scale
    "last_leap": 2 * _WIDEST + 3,  # interval from the voice's note to the different one before it
    # Intervals from the voice's note to other voices: above it as they sound now, below it as they did a step before.
    **{f"{side}_{distance}": 14 for side in ("above", "below") for distance in (1, 2, 3)},  # modulo the octave
    **{f"distance_{side}_{distance}": 2 * _WIDEST + 3 for side in ("above", "below") for distance in (1, 2, 3)},
}


def musical_facts(ids: Int[np.ndarray, "n_steps 4"]) -> dict[str, Int[np.ndarray, "n_steps 4"]]:
    """Compute all facts of a chorale.

    Args:
        ids: 0 for a rest, 1..46 for pitches; soprano, alto, tenor, bass.

    Returns:
        The facts by name, each a whole number 0 up to ``N_VALUES[name]`` for every token.

    Example:
        >>> facts = musical_facts(np.array([[37, 32, 29, 13], [39, 32, 29, 13]]))
        >>> facts["moves_above"].tolist()
        [[0, 1, 3, 7], [0, 1, 2, 4]]
        >>> facts["hold"][1].tolist()
        [1, 1, 1, 1]

    Chapter: 2a.
    """
    n_steps = len(ids)
    before = np.vstack((np.full((1, 4), -1), ids[:-1]))
    hold, last = _holds(ids, before)
    facts = {
        "voice": np.tile(np.arange(4), (n_steps, 1)),
        "beat": np.tile((np.arange(n_steps) % 4)[:, None], (1, 4)),
        "moves_above": _moves_above(ids != before),
        "hold": hold.clip(max=_LONGEST),
        "stillness": np.tile(hold.min(axis=1, keepdims=True).clip(max=_LONGEST), (1, 4)),
        "scale": _scale(ids, before),
        "last_leap": _distance(before, last),
    }
    for distance in (1, 2, 3):
        for side, other in (("above", _shift(ids, distance)), ("below", _shift(before, -distance))):
            facts[f"distance_{side}_{distance}"] = _distance(before, other)
            facts[f"{side}_{distance}"] = _modulo_octave(facts[f"distance_{side}_{distance}"])
    return facts


def _moves_above(moves: np.ndarray) -> np.ndarray:
    """Return which voices above move, as one number: soprano counts 1, 2 or 4, seen from alto, tenor or bass."""
    bits = np.zeros(moves.shape, np.int64)
    for voice in range(1, 4):
        bits[:, voice] = 2 * bits[:, voice - 1] + moves[:, voice - 1]
    return bits


def _holds(ids: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each token how long its voice has held the note before, and which note it sang before that one."""
    steps = np.arange(len(ids))[:, None]
    began = np.maximum.accumulate(np.where(ids != before, steps, 0), axis=0)  # when the present note began
    began_before = np.vstack((np.zeros((1, 4), np.int64), began[:-1]))
    last = np.take_along_axis(ids, (began_before - 1).clip(min=0), axis=0)
    return steps - began_before, np.where(began_before > 0, last, -1)


def _shift(ids: np.ndarray, distance: int) -> np.ndarray:
    """Return what the voice so many above (below, if negative) sings; -1 where there is none."""
    shifted = np.full(ids.shape, -1)
    if distance > 0:
        shifted[:, distance:] = ids[:, :-distance]
    else:
        shifted[:, :distance] = ids[:, -distance:]
    return shifted


def _distance(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the interval from one pitch to another, from 2 up; or why there is none."""
    is_interval = (own > 0) & (other > 0)
    return np.where(is_interval, other - own + _WIDEST + 2, np.where(other == 0, _RESTS, _NOBODY))


def _modulo_octave(distance: np.ndarray) -> np.ndarray:
    """Return a distance as 0..11 semitones above the octave, from 2 up; or why there is none."""
    return np.where(distance >= 2, (distance - _WIDEST - 2) % 12 + 2, distance)


def _scale(ids: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return what was heard around a voice's note, in any voice and octave: a stand-in for the key.

    Four comparisons ask which was heard last: the semitone or the tone above, the same below, the minor or the major
    third above, the same below. The fifth bit asks whether the tritone was heard in the last four quarters.
    """
    n_steps = len(ids)
    steps = np.arange(n_steps)[:, None]
    heard = np.full((n_steps + 1, 12), -(10**6))  # row t: when each pitch class was heard last before step t
    for voice in range(4):
        sounding = np.flatnonzero(ids[:, voice] > 0)
        heard[sounding + 1, ids[sounding, voice] % 12] = sounding
    heard = np.maximum.accumulate(heard, axis=0)[:-1]
    at = lambda interval: heard[steps, (before + interval) % 12]  # noqa: E731
    bits = [at(1) > at(2), at(-1) > at(-2), at(3) > at(4), at(-4) > at(-3), at(6) > steps - 16]
    return np.where(before > 0, sum(bit.astype(np.int64) << place for place, bit in enumerate(bits)), 0)
