"""Marks that need no learning: what uniform guessing and bare counts of notes cost, in nats a token.

They hold for any tokens, of one voice or several. ``counting`` has the same as models, and better ones.

Chapter: 00 (the marks), 2a (counting).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from mini_musessl.batches import allowed_intervals, transpose_ids
from mini_musessl.checks import check_hidden_cells, check_rows, whole_number
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, encode_chorales
from mini_musessl.voices import VoiceGrid

# --- Marks that need no learning: what uniform guessing and bare counts of notes cost, in nats a token


def uniform_nats(vocabulary_size: int) -> float:
    """Return the mark of a model that gives every symbol the same probability.

    Example:
        >>> round(uniform_nats(47), 4)
        3.8501

    Chapter: 00.
    """
    return math.log(whole_number("vocabulary_size", vocabulary_size, lowest=1))


def unigram_probabilities(
    pieces: Sequence[ArrayLike], vocabulary_size: int, n_voices: int = 4, pseudocount: float = 1.0
) -> Float[np.ndarray, "n_voices vocabulary_size"]:
    """Count how often each voice sings each symbol.

    Args:
        pieces: token ids, one array a piece; token i belongs to voice ``i % n_voices``.
        vocabulary_size: number of symbols.
        n_voices: tables to keep apart; 1 for tokens without voices.
        pseudocount: added to every count, above 0, so that no symbol is impossible.

    Returns:
        One distribution a voice; each row sums to 1.

    Raises:
        ValueError: no tokens, ids outside the vocabulary, no voice, or a pseudocount that is not above 0.
        TypeError: a size that is not a whole number.

    Example:
        >>> unigram_probabilities([[0, 0, 1]], vocabulary_size=2, n_voices=1).tolist()
        [[0.6, 0.4]]

    Chapter: 00, 2a.
    """
    if not pseudocount > 0:
        raise ValueError(
            f"pseudocount must be above 0; found {pseudocount}. Without it a symbol never seen costs infinitely many "
            "nats."
        )
    whole_number("n_voices", n_voices, lowest=1)
    counts = np.full((n_voices, whole_number("vocabulary_size", vocabulary_size, lowest=1)), pseudocount, float)
    for ids in check_rows(pieces, vocabulary_size):
        np.add.at(counts, (np.arange(len(ids)) % n_voices, ids), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def unigram_nats(
    train_pieces: Sequence[ArrayLike],
    pieces: Sequence[ArrayLike],
    vocabulary_size: int,
    n_voices: int = 4,
    pseudocount: float = 1.0,
) -> float:
    """Return the mark of a model that only knows how often each voice sings each symbol.

    Args:
        train_pieces: where to count.
        pieces: where to measure.
        vocabulary_size: number of symbols.
        n_voices: token i belongs to voice ``i % n_voices``.
        pseudocount: see ``unigram_probabilities``.

    Returns:
        Mean nats a token of ``pieces``.

    Example:
        >>> round(unigram_nats([[0, 0, 1]], [[0]], vocabulary_size=2, n_voices=1), 3)
        0.511

    Chapter: 00, 2a.
    """
    log_probabilities = np.log(unigram_probabilities(train_pieces, vocabulary_size, n_voices, pseudocount))
    arrays = check_rows(pieces, vocabulary_size)
    nats = [-log_probabilities[np.arange(len(ids)) % n_voices, ids] for ids in arrays]
    return float(np.concatenate(nats).mean())


# --- Backing off: how counts of short and long contexts become one answer


class BackoffCounts:
    """How often each symbol followed each context, and what to expect from that.

    Args:
        levels: contexts as whole numbers, int64 (n_tokens,) each, from the general to the specific.
        symbols: what followed, int (n_tokens,).
        n_symbols: how many symbols there are.
        strength: how many sightings the more general answer counts for; None for Witten and Bell's rule, the number of
            different symbols seen after the context.

    Example:
        >>> counts = BackoffCounts([np.zeros(3, int)], np.array([0, 0, 1]), n_symbols=3)
        >>> counts.probabilities([np.zeros(1, int)], np.full((1, 3), 1 / 3)).round(3).tolist()
        [[0.533, 0.333, 0.133]]

    Chapter: 2a.
    """

    def __init__(
        self, levels: Sequence[np.ndarray], symbols: np.ndarray, n_symbols: int, strength: float | None = None
    ) -> None:
        if strength is not None and not strength > 0:
            raise ValueError(f"strength must be above 0, or None for Witten and Bell's rule; found {strength}.")
        self.n_symbols, self.strength = n_symbols, strength
        self.levels = [self._count(contexts, symbols) for contexts in levels]

    def probabilities(
        self, levels: Sequence[np.ndarray], prior: Float[np.ndarray, "n_tokens n_symbols"]
    ) -> Float[np.ndarray, "n_tokens n_symbols"]:
        """Back off level by level.

        Args:
            levels: contexts of the tokens to predict, as for the counts; fewer levels stop at a more general answer.
            prior: what to expect before any counting.

        Returns:
            The answer of the most specific context, mixed with the others.
        """
        answer = prior.copy()
        for contexts, (known, first, total, symbols, counts) in zip(levels, self.levels, strict=False):
            place = np.searchsorted(known, contexts).clip(max=len(known) - 1)
            rows = np.flatnonzero(known[place] == contexts)  # a context never seen changes nothing
            start, n_kinds = first[place[rows]], first[place[rows] + 1] - first[place[rows]]
            strength = n_kinds if self.strength is None else np.full(len(rows), self.strength)
            n_seen = total[place[rows]]
            answer[rows] *= (strength / (n_seen + strength))[:, None]
            # One entry for each symbol that followed one of the contexts.
            entry = np.repeat(start - np.concatenate(([0], np.cumsum(n_kinds)[:-1])), n_kinds) + np.arange(
                n_kinds.sum()
            )
            share = counts[entry] / np.repeat(n_seen + strength, n_kinds)
            answer[np.repeat(rows, n_kinds), symbols[entry]] += share
        return answer

    def _count(self, contexts: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the contexts, where each one's entries begin, its total, and symbol and count of each entry."""
        pairs, counts = np.unique(contexts * self.n_symbols + symbols, return_counts=True)
        known, first = np.unique(pairs // self.n_symbols, return_index=True)
        total = np.add.reduceat(counts, first)
        return known, np.append(first, len(pairs)), total, pairs % self.n_symbols, counts


# --- Facts about the place of a token that a musician would use to guess it, computed from the tokens before it alone

#: What a fact about a pitch says where there is none: the other voice rests, or one of the two is not there.
_RESTS, _NOBODY = 0, 1
_LONGEST = 16
_WIDEST_MUSICAL_FACTS = 46

#: How many values each fact has.
N_VIEWPOINT_VALUES = {
    "voice": 4,
    "beat": 4,  # step modulo 4
    "moves_above": 8,  # which voices above this one move at this step
    "hold": _LONGEST + 1,  # steps that the voice has held its note, 0 at the beginning
    "stillness": _LONGEST + 1,  # steps since any voice moved
    "scale": 32,  # which neighbours of the voice's note were heard last: see _scale
    "last_leap": 2 * _WIDEST_MUSICAL_FACTS + 3,  # interval from the voice's note to the different one before it
    # Intervals from the voice's note to other voices: above it as they sound now, below it as they did a step before.
    **{f"{side}_{distance}": 14 for side in ("above", "below") for distance in (1, 2, 3)},  # modulo the octave
    **{
        f"distance_{side}_{distance}": 2 * _WIDEST_MUSICAL_FACTS + 3
        for side in ("above", "below")
        for distance in (1, 2, 3)
    },
}


def musical_viewpoints(ids: Int[np.ndarray, "n_steps 4"]) -> dict[str, Int[np.ndarray, "n_steps 4"]]:
    """Compute all facts of a chorale.

    Args:
        ids: 0 for a rest, 1..46 for pitches; soprano, alto, tenor, bass.

    Returns:
        The facts by name, each a whole number 0 up to ``N_VALUES[name]`` for every token.

    Example:
        >>> facts = musical_viewpoints(np.array([[37, 32, 29, 13], [39, 32, 29, 13]]))
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
        "scale": _scale_musical_facts(ids, before),
        "last_leap": _distance(before, last),
    }
    for distance in (1, 2, 3):
        for side, other in (("above", _shift(ids, distance)), ("below", _shift(before, -distance))):
            facts[f"distance_{side}_{distance}"] = _distance(before, other)
            facts[f"{side}_{distance}"] = _modulo_octave_musical_facts(facts[f"distance_{side}_{distance}"])
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
    return np.where(is_interval, other - own + _WIDEST_MUSICAL_FACTS + 2, np.where(other == 0, _RESTS, _NOBODY))


def _modulo_octave_musical_facts(distance: np.ndarray) -> np.ndarray:
    """Return a distance as 0..11 semitones above the octave, from 2 up; or why there is none."""
    return np.where(distance >= 2, (distance - _WIDEST_MUSICAL_FACTS - 2) % 12 + 2, distance)


def _scale_musical_facts(ids: np.ndarray, before: np.ndarray) -> np.ndarray:
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


# --- Models that count: from knowing nothing to knowing some music, without a network

#: Stands for the time before the first step; never predicted.
BEGIN_ID = N_SYMBOLS
#: Ids that are pitches.
PITCH_IDS = range(1, N_SYMBOLS)

Chorales = Sequence[VoiceGrid | ArrayLike]


class CountingModel:
    """What all counting models share: a model says the probabilities, this says the logarithms.

    Chapter: 2a.
    """

    def probabilities(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4 47"]:
        """Return the probability of every symbol at every token, given the tokens before it."""
        raise NotImplementedError

    def symbol_log_probs(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4 47"]:
        """Return the natural logarithms of ``probabilities``."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities(ids))

    def token_log_probs(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4"]:
        """Return the natural logarithm of the probability of every token."""
        return np.take_along_axis(self.symbol_log_probs(ids), ids[..., None], axis=-1)[..., 0]


class Uniform(CountingModel):
    """Every symbol alike.

    Chapter: 2a.
    """

    def probabilities(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4 47"]:
        """Return 1 / 47 everywhere."""
        return np.full((*ids.shape, N_SYMBOLS), 1 / N_SYMBOLS)


class Unigram(CountingModel):
    """How often each voice sings each symbol, and nothing of what came before.

    Args:
        chorales: where to count.

    Chapter: 2a.
    """

    def __init__(self, chorales: Chorales) -> None:
        self.table = unigram_probabilities([ids.reshape(-1) for ids in encode_chorales(chorales)], N_SYMBOLS)

    def probabilities(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4 47"]:
        """Return the same table at each step."""
        return np.repeat(self.table[None], len(ids), axis=0)


class SameAgain(Unigram):
    """The symbol of the step before with one probability, and else as ``Unigram`` says; at the first step that alone.

    Args:
        chorales: where to count, at least one of two steps.

    Raises:
        ValueError: no chorale has two steps.

    Chapter: 00, 2a.
    """

    def __init__(self, chorales: Chorales) -> None:
        super().__init__(chorales)
        pieces = encode_chorales(chorales)
        _check_has_steps(pieces)
        repeats = [(ids[1:] == ids[:-1]).reshape(-1) for ids in pieces]
        self.repeat_share = float(np.concatenate(repeats).mean())

    def probabilities(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4 47"]:
        """Mix the table with a certainty."""
        answer = super().probabilities(ids)
        is_before = np.arange(N_SYMBOLS) == ids[:-1, :, None]
        answer[1:] = (1 - self.repeat_share) * answer[1:] + self.repeat_share * is_before
        return answer


class NGram(CountingModel):
    """What followed the last ``order - 1`` tokens, whatever they mean; Witten and Bell's rule; counted in twelve keys.

    Args:
        chorales: where to count.
        order: tokens in a count, the predicted one among them, 1 to 11.
        semitones: transpositions to count in, as far as a piece stays within the vocabulary.

    References:
        Witten and Bell, "The zero-frequency problem" (1991), for the rule.

    Chapter: 2a.
    """

    def __init__(self, chorales: Chorales, order: int = 8, semitones: range = range(-5, 7)) -> None:
        self.order = whole_number("order", order, lowest=1, highest=11)
        moved = [
            transpose_ids(ids, interval, PITCH_IDS)
            for ids in encode_chorales(chorales)
            for interval in allowed_intervals(ids, PITCH_IDS, semitones).tolist()
        ]
        levels = zip(*map(self._contexts, moved), strict=True)
        self.counts = BackoffCounts(
            [np.concatenate(level) for level in levels],
            np.concatenate([ids.reshape(-1) for ids in moved]),
            N_SYMBOLS,
        )

    def shorten(self, order: int) -> NGram:
        """Return the n-gram of a lower order, with the same counts."""
        shorter = copy(self)
        shorter.order = whole_number("order", order, lowest=1, highest=self.order)
        return shorter

    def probabilities(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4 47"]:
        """Back off from no token before to ``order - 1``."""
        prior = np.full((ids.size, N_SYMBOLS), 1 / N_SYMBOLS)
        return self.counts.probabilities(self._contexts(ids), prior).reshape(*ids.shape, N_SYMBOLS)

    def _contexts(self, ids: np.ndarray) -> list[np.ndarray]:
        """Return one number for the last 0, 1, ..., order - 1 tokens before each token."""
        row = np.concatenate((np.full(self.order, BEGIN_ID), ids.reshape(-1)))
        contexts = [np.zeros(ids.size, np.int64)]
        for back in range(1, self.order):
            contexts.append(contexts[-1] * (N_SYMBOLS + 1) + row[self.order - back : len(row) - back])
        return contexts


class MusicalCounts(CountingModel):
    """Two questions with musical contexts: does the voice move? If so, by which interval?

    Contexts are made of facts (``musical_facts``) that do not change when the music is transposed, so that all keys
    share their counts: the idea of Conklin and Witten's viewpoints. Each chain of facts goes from the general to the
    specific: the first answer knows the first fact, the next one two, and so on.

    Args:
        chorales: where to count, at least one of two steps.
        move_facts: what the first question knows, in order.
        pitch_facts: what the second one knows.
        strength: how many sightings the shorter context's answer counts for.

    Raises:
        ValueError: an unknown fact, more facts than a whole number of 64 bits can tell apart, a strength that is not
            above 0, or no chorale of two steps.

    References:
        Conklin and Witten, "Multiple Viewpoint Systems for Music Prediction" (1995). They combine many models; here the
        facts of one model stand in a row.

    Chapter: 2a.
    """

    #: Chosen on the validation part of the JSB chorales.
    MOVE_FACTS = (
        "voice", "beat", "moves_above", "hold", "stillness",
        "above_1", "above_2", "below_1", "below_2", "scale",
    )  # fmt: skip
    PITCH_FACTS = ("voice", "scale", "distance_above_1", "distance_above_2", "last_leap", "distance_below_1", "hold")

    def __init__(
        self,
        chorales: Chorales,
        move_facts: Sequence[str] = MOVE_FACTS,
        pitch_facts: Sequence[str] = PITCH_FACTS,
        strength: float = 20.0,
    ) -> None:
        self.move_facts, self.pitch_facts = tuple(move_facts), tuple(pitch_facts)
        _check_facts(self.move_facts, n_outcomes=2)
        _check_facts(self.pitch_facts, n_outcomes=N_INTERVALS)
        pieces = encode_chorales(chorales)
        _check_has_steps(pieces)
        facts = [musical_viewpoints(ids) for ids in pieces]
        joined = {name: np.concatenate([each[name].reshape(-1) for each in facts]) for name in N_VIEWPOINT_VALUES}
        ids = np.concatenate([each.reshape(-1) for each in pieces])
        before = np.concatenate([_before(each).reshape(-1) for each in pieces])
        moves = ids != before
        may_hold = before != BEGIN_ID
        self.move_counts = BackoffCounts(
            [level[may_hold] for level in _levels_counting(joined, self.move_facts)],
            moves[may_hold].astype(int),
            2,
            strength,
        )
        self.pitch_counts = BackoffCounts(
            [level[moves] for level in _levels_counting(joined, self.pitch_facts)],
            _as_intervals(ids, before)[moves],
            N_INTERVALS,
            strength,
        )

    def probabilities(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4 47"]:
        """Share the probability of moving among the notes to move to."""
        facts = {name: values.reshape(-1) for name, values in musical_viewpoints(ids).items()}
        before = _before(ids).reshape(-1)
        moves = self.move_counts.probabilities(_levels_counting(facts, self.move_facts), np.full((ids.size, 2), 0.5))[
            :, 1
        ]
        moves[before == BEGIN_ID] = 1.0
        symbols = np.arange(N_SYMBOLS)
        intervals = _as_intervals(symbols, before[:, None])
        prior = np.full((ids.size, N_INTERVALS), 1 / (N_SYMBOLS - 1))
        answer = self.pitch_counts.probabilities(_levels_counting(facts, self.pitch_facts), prior)
        answer = np.take_along_axis(answer, intervals, axis=1)
        is_hold = symbols == before[:, None]
        answer[is_hold] = 0  # it moves; and some intervals would leave the vocabulary: share theirs among the rest
        answer *= (moves / answer.sum(axis=1))[:, None]
        answer[is_hold] = 1 - moves[before != BEGIN_ID]
        return answer.reshape(*ids.shape, N_SYMBOLS)


#: Ways to move: intervals -46 to 46, to a rest, and from silence or the beginning to each id.
N_INTERVALS = 2 * N_SYMBOLS + N_SYMBOLS


def _as_intervals(ids: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Number the moves from one id to another so that transposed moves have one number."""
    is_interval = (ids > 0) & (before > 0) & (before != BEGIN_ID)
    return np.where(is_interval, ids - before + N_SYMBOLS, 2 * N_SYMBOLS + ids)


def _before(ids: np.ndarray) -> np.ndarray:
    """Return the ids a step before; at the first step, the begin symbol."""
    return np.vstack((np.full((1, 4), BEGIN_ID), ids[:-1]))


def _levels_counting(facts: dict[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    """Return one number for the first fact, the first two, and so on."""
    levels, number = [], np.zeros(len(facts["voice"]), np.int64)
    for name in names:
        number = number * N_VIEWPOINT_VALUES[name] + facts[name]
        levels.append(number)
    return levels


def _check_facts(names: Sequence[str], n_outcomes: int) -> None:
    """Refuse facts that nobody computes, and so many that the numbers of their contexts would overflow."""
    unknown = [name for name in names if name not in N_VIEWPOINT_VALUES]
    if unknown:
        raise ValueError(f"Facts must be among {', '.join(N_VIEWPOINT_VALUES)}; found {unknown[0]!r}.")
    n_contexts = math.prod(N_VIEWPOINT_VALUES[name] for name in names)
    if n_contexts * n_outcomes >= 2**63:
        raise ValueError(
            f"All values of the facts together must be numbered in 64 bits; found {len(names)} facts with "
            f"{n_contexts:.1e} combinations. Leave some out."
        )


def _check_has_steps(pieces: Sequence[np.ndarray]) -> None:
    """Refuse chorales in which nothing follows anything."""
    if max(len(ids) for ids in pieces) < 2:
        raise ValueError(
            "At least one chorale must have two steps, to count what follows what; found one step at most."
        )


# --- Facts about a hidden cell that a musician would use to guess it, computed from what can be seen around it

#: Stands for a symbol that is hidden or not there.
_UNSEEN = -1
_WIDEST_NEIGHBOUR_FACTS = N_SYMBOLS - 1
#: A distance in steps counts as 1, 2, up to 4, up to 8, up to 16, or more; 0 stands for no symbol on that side.
_DISTANCES = (1, 2, 4, 8, 16)
#: From the anchor: intervals, a rest, nothing there.
_RELATIONS = 2 * _WIDEST_NEIGHBOUR_FACTS + 3
_REST, _NOTHING = 2 * _WIDEST_NEIGHBOUR_FACTS + 1, 2 * _WIDEST_NEIGHBOUR_FACTS + 2
#: The same modulo the octave.
_CLASSES = 14
#: A third, roughly.
_SEMITONES = 4
#: How far around a cell the scale is listened for.
_AROUND_STEP = 32
#: Answers: intervals from the anchor and the rest; where there is no anchor, the symbol itself.
N_ANSWERS = 2 * _WIDEST_NEIGHBOUR_FACTS + 2 + N_SYMBOLS

#: How many values each fact has. The anchor is the pitch from which intervals are counted: what stands before the gap,
#: or if that is no pitch after it, or else in another voice.
N_NEIGHBOUR_VALUES = {
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


def neighbour_viewpoints(
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
        >>> facts, anchor = neighbour_viewpoints(ids, is_hidden)
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
        "scale": _scale_neighbour_facts(seen, anchor),
    }
    for voice, name in enumerate(("soprano", "alto", "tenor", "bass")):
        facts[name] = _modulo_octave_neighbour_facts(_relation(anchor, np.tile(seen[:, voice, None], (1, 4))))
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


def _scale_neighbour_facts(seen: np.ndarray, anchor: np.ndarray) -> np.ndarray:
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
    return np.where(is_interval, symbol - anchor + _WIDEST_NEIGHBOUR_FACTS, np.where(symbol == 0, _REST, _NOTHING))


def _modulo_octave_neighbour_facts(relation: np.ndarray) -> np.ndarray:
    """Return a relation as 0..11 semitones above the octave, 12 for a rest and 13 for nothing."""
    return np.where(relation >= _REST, relation - _REST + 12, (relation - _WIDEST_NEIGHBOUR_FACTS) % 12)


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
        facts: from ``neighbour_viewpoints``.
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


# --- NeighbourCounts: fill what is hidden by counting, from the nearest symbols that can be seen


@dataclass(frozen=True)
class Chain:
    """Facts from the general to the specific: the first answer knows the first fact, the next one two, and so on.

    Attributes:
        facts: names in ``N_VALUES``. With none, only how often each voice sings each symbol.
        strength: how many sightings the shorter list's answer counts for, above 0. Cells of one note are sightings of
            one thing, so it is larger where gaps are long.

    Raises:
        ValueError: an unknown fact, more facts than 64 bits can tell apart, or a strength that is not above 0.

    Chapter: 4b.
    """

    facts: tuple[str, ...]
    strength: float

    def __post_init__(self) -> None:
        unknown = [name for name in self.facts if name not in N_NEIGHBOUR_VALUES]
        if unknown:
            raise ValueError(f"Facts must be among {', '.join(N_NEIGHBOUR_VALUES)}; found {unknown[0]!r}.")
        n_contexts = math.prod(N_NEIGHBOUR_VALUES[name] for name in self.facts)
        if n_contexts * N_ANSWERS >= 2**63:
            raise ValueError(
                f"All values of the facts together must be numbered in 64 bits; found {len(self.facts)} facts with "
                f"{n_contexts:.1e} combinations. Leave some out."
            )
        if not self.strength > 0:
            raise ValueError(f"strength must be above 0; found {self.strength}.")


#: What counts in which situation: a symbol of the own voice is seen at most two steps away; farther away; not at all.
#: Facts and strengths were chosen on the validation part of the rebuilt split.
CHAINS = {
    "near": Chain(
        (
            "anchor", "after", "gap_before", "gap_after", "beat", "scale", "bass", "tenor", "alto", "soprano", "voice",
        ),
        20.0,
    ),
    "far": Chain(("anchor", "scale", "after", "bass", "voice", "gap_after"), 200.0),
    "alone": Chain(("anchor", "voice", "bass", "alto", "tenor", "height", "scale"), 80.0),
}  # fmt: skip


class NeighbourCounts:
    """What stood in hidden cells, given the nearest symbols that could be seen.

    Args:
        chorales: where to count; VoiceGrids or MIDI pitches.
        hidden: bool (n_draws, n_steps, 4) for each chorale, True where a cell was hidden, such as from
            ``infilling.draw_hidden``. Those cells are counted, so hide as it will be asked.
        chains: what is known in each of the three situations.

    Raises:
        ValueError: no chorales, hidden cells of another shape, or other situations.
        TypeError: what is hidden is not True and False.

    References:
        The rule is that of ``counting.MusicalCounts``, after Conklin and Witten, "Multiple Viewpoint Systems for Music
        Prediction" (1995).

    Chapter: 4b.
    """

    def __init__(
        self,
        chorales: Sequence[VoiceGrid | ArrayLike],
        hidden: Sequence[ArrayLike],
        chains: Mapping[str, Chain] = CHAINS,
    ) -> None:
        if set(chains) != set(CHAINS):
            raise ValueError(f"Each of the situations {', '.join(CHAINS)} needs a chain; found {', '.join(chains)}.")
        self.chains = {name: chains[name] for name in CHAINS}
        pieces = encode_chorales(chorales)
        self.table = Unigram(chorales).table
        seen = {name: [] for name in CHAINS}
        for ids, draws in zip(pieces, check_hidden_cells(pieces, hidden), strict=True):
            for is_hidden in draws:
                facts, anchor = neighbour_viewpoints(ids, is_hidden)
                answers = number_answers(ids, anchor)
                for name, chosen in find_situations(facts, is_hidden).items():
                    seen[name].append((*_levels_neighbours(facts, self.chains[name].facts, chosen), answers[chosen]))
        self.counts = {name: _count(parts, self.chains[name].strength) for name, parts in seen.items()}

    def cell_log_probs(
        self, ids: Int[np.ndarray, "n_steps 4"], is_hidden: Bool[np.ndarray, "n_steps 4"]
    ) -> Float[np.ndarray, "n_steps 4 47"]:
        """Return the logarithm of the probability of every symbol at every cell.

        Args:
            ids: 0 for a rest, 1..46 for pitches. Those of hidden cells are not looked at.
            is_hidden: True where a cell cannot be seen.

        Returns:
            Natural logarithms. For cells that can be seen, nothing but how often the voice sings each symbol.
        """
        facts, anchor = neighbour_viewpoints(ids, is_hidden)
        shares = np.broadcast_to(self.table, (*ids.shape, N_SYMBOLS)).copy()
        for name, chosen in find_situations(facts, is_hidden).items():
            if self.counts[name] is None or not chosen.any():
                continue
            numbers = number_answers(np.arange(N_SYMBOLS), anchor[chosen][:, None])
            prior = np.zeros((len(numbers), N_ANSWERS))
            np.put_along_axis(prior, numbers, shares[chosen], axis=1)
            answers = self.counts[name].probabilities(_levels_neighbours(facts, self.chains[name].facts, chosen), prior)
            found = np.take_along_axis(answers, numbers, axis=1)
            # Some intervals would leave the vocabulary: what was counted for them is shared among the rest.
            shares[chosen] = found / found.sum(axis=1, keepdims=True)
        return np.log(shares)


def _count(parts: Sequence[tuple[np.ndarray, ...]], strength: float) -> BackoffCounts | None:
    """Count what was seen in one situation; None if nothing was."""
    *levels, answers = (np.concatenate(column) for column in zip(*parts, strict=True))
    return BackoffCounts(levels, answers, N_ANSWERS, strength) if len(answers) else None


def _levels_neighbours(facts: dict[str, np.ndarray], names: Sequence[str], chosen: np.ndarray) -> list[np.ndarray]:
    """Return one number for the first fact, the first two, and so on, for the chosen cells."""
    levels, number = [], np.zeros(int(chosen.sum()), np.int64)
    for name in names:
        number = number * N_NEIGHBOUR_VALUES[name] + facts[name][chosen]
        levels.append(number)
    return levels
