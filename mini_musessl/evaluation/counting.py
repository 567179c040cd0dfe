"""Models that count: from knowing nothing to knowing some music, without a network.

Each model answers, for every token of a chorale, with the probabilities of all 47 symbols given the tokens before it.
``likelihood`` scores it as it scores a network.

The n-gram and the musical counts mix short and long contexts by the rule of ``backoff``.

Chapter: 2a (counting).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from mini_musessl.evaluation.backoff import BackoffCounts
from mini_musessl.evaluation.chorale_ids import N_SYMBOLS, encode_chorales
from mini_musessl.evaluation.marks import unigram_probabilities
from mini_musessl.evaluation.musical_facts import N_VALUES, musical_facts
from mini_musessl.music import whole_number
from mini_musessl.voices import VoiceGrid
from mini_musessl.windows import allowed_intervals, transpose_ids

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
        facts = [musical_facts(ids) for ids in pieces]
        joined = {name: np.concatenate([each[name].reshape(-1) for each in facts]) for name in N_VALUES}
        ids = np.concatenate([each.reshape(-1) for each in pieces])
        before = np.concatenate([_before(each).reshape(-1) for each in pieces])
        moves = ids != before
        may_hold = before != BEGIN_ID
        self.move_counts = BackoffCounts(
            [level[may_hold] for level in _levels(joined, self.move_facts)], moves[may_hold].astype(int), 2, strength
        )
        self.pitch_counts = BackoffCounts(
            [level[moves] for level in _levels(joined, self.pitch_facts)],
            _as_intervals(ids, before)[moves],
            N_INTERVALS,
            strength,
        )

    def probabilities(self, ids: Int[np.ndarray, "n_steps 4"]) -> Float[np.ndarray, "n_steps 4 47"]:
        """Share the probability of moving among the notes to move to."""
        facts = {name: values.reshape(-1) for name, values in musical_facts(ids).items()}
        before = _before(ids).reshape(-1)
        moves = self.move_counts.probabilities(_levels(facts, self.move_facts), np.full((ids.size, 2), 0.5))[:, 1]
        moves[before == BEGIN_ID] = 1.0
        symbols = np.arange(N_SYMBOLS)
        intervals = _as_intervals(symbols, before[:, None])
        prior = np.full((ids.size, N_INTERVALS), 1 / (N_SYMBOLS - 1))
        answer = self.pitch_counts.probabilities(_levels(facts, self.pitch_facts), prior)
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


def _levels(facts: dict[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    """Return one number for the first fact, the first two, and so on."""
    levels, number = [], np.zeros(len(facts["voice"]), np.int64)
    for name in names:
        number = number * N_VALUES[name] + facts[name]
        levels.append(number)
    return levels


def _check_facts(names: Sequence[str], n_outcomes: int) -> None:
    """Refuse facts that nobody computes, and so many that the numbers of their contexts would overflow."""
    unknown = [name for name in names if name not in N_VALUES]
    if unknown:
        raise ValueError(f"Facts must be among {', '.join(N_VALUES)}; found {unknown[0]!r}.")
    n_contexts = math.prod(N_VALUES[name] for name in names)
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
