"""Baselines that count: from knowing nothing to knowing some music, without a network.

Models of chorales return probabilities (``CountingModel``) and are scored like networks, by ``evaluate_likelihood``;
``Uniform`` and ``NeighbourCounts`` also predict hidden cells, for ``evaluate_infilling``.

Conventions:
    ids: int (n_steps, 4), 0 for a rest, 1 to 46 for pitches; soprano, alto, tenor, bass. -1 stands for what cannot be
    known: before the first step, beside the outer voices, in a hidden cell.
    Viewpoints describe the place of a token to a musician, in whole numbers that are the same in every key. They stand
    in chains, from the general to the specific: counts of the first back up those of the first two, and so on.

References:
    Witten and Bell, "The zero-frequency problem" (1991), for the rule of backing off. Conklin and Witten, "Multiple
    Viewpoint Systems for Music Prediction" (1995), for viewpoints; they combine many models, here those of one model
    stand in a row.

Chapter: 00 (baselines), 2a (counting), 4b (hidden cells).
"""

import math
from collections.abc import Sequence
from copy import copy

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from mini_musessl.batches import allowed_intervals, transpose_ids
from mini_musessl.checks import check_hidden_cells, check_pieces, check_positive, whole_number
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS, encode_chorales
from mini_musessl.voices import SATB, VoiceGrid

Chorales = Sequence[VoiceGrid | ArrayLike]
Ids = Int[np.ndarray, "n_steps 4"]
IsHidden = Bool[np.ndarray, "n_steps 4"]
Probs = Float[np.ndarray, "n_steps 4 47"]
TokenProbs = Float[np.ndarray, "n_tokens n_symbols"]
Levels = Sequence[Int[np.ndarray, " n_tokens"]]


def uniform_nats(vocabulary_size: int) -> float:
    """Return the nats per token of a model that gives every symbol the same probability."""
    return math.log(vocabulary_size)


def unigram_probabilities(
    pieces: Sequence[ArrayLike], vocabulary_size: int, n_voices: int = 4
) -> Float[np.ndarray, "n_voices vocabulary_size"]:
    """Count how often each voice sings each symbol, and one more, so that none is impossible.

    Token i of a piece belongs to voice ``i % n_voices``; tokens without voices have 1.

    >>> unigram_probabilities([[0, 0, 1]], vocabulary_size=2, n_voices=1).tolist()
    [[0.6, 0.4]]
    """
    counts = np.ones((n_voices, vocabulary_size))
    for ids in pieces:
        np.add.at(counts, (np.arange(len(ids)) % n_voices, ids), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def unigram_nats(
    train_pieces: Sequence[ArrayLike], pieces: Sequence[ArrayLike], vocabulary_size: int, n_voices: int = 4
) -> float:
    """Return the nats per token of ``pieces`` for a model that counted the symbols of ``train_pieces``."""
    known, asked = check_pieces(train_pieces, vocabulary_size), check_pieces(pieces, vocabulary_size)
    log_probs = np.log(unigram_probabilities(known, vocabulary_size, n_voices))
    return float(np.concatenate([-log_probs[np.arange(len(ids)) % n_voices, ids] for ids in asked]).mean())


class CountingModel:
    """What models of chorales share: each has ``probabilities(ids)``, this returns their logarithms."""

    def symbol_log_probs(self, ids: Ids) -> Probs:
        """Return the logarithm of the probability of every symbol at every token, given the tokens before it."""
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities(ids))


class Uniform(CountingModel):
    """Every symbol alike, in hidden cells too."""

    def probabilities(self, ids: Ids) -> Probs:
        """Return 1 / 47 everywhere."""
        return np.full((*ids.shape, N_SYMBOLS), 1 / N_SYMBOLS)

    def cell_log_probs(self, ids: Ids, is_hidden: IsHidden) -> Probs:
        """Return the logarithm of 1 / 47 everywhere, whatever is hidden."""
        return self.symbol_log_probs(ids)


class Unigram(CountingModel):
    """How often each voice sings each symbol in some chorales, and nothing of what came before."""

    def __init__(self, chorales: Chorales) -> None:
        self.table = unigram_probabilities([ids.ravel() for ids in encode_chorales(chorales)], N_SYMBOLS)

    def probabilities(self, ids: Ids) -> Probs:
        """Return the same table at each step."""
        return np.repeat(self.table[None], len(ids), axis=0)


class SameAgain(Unigram):
    """The symbol of the step before with one probability, else as in ``Unigram``; at the first step that alone."""

    def __init__(self, chorales: Chorales) -> None:
        super().__init__(chorales)
        repeats = [(ids[1:] == ids[:-1]).ravel() for ids in encode_chorales(chorales)]
        self.repeat_share = float(np.concatenate(repeats).mean())

    def probabilities(self, ids: Ids) -> Probs:
        """Mix the table with a certainty."""
        answer = super().probabilities(ids)
        is_before = np.arange(N_SYMBOLS) == ids[:-1, :, None]
        answer[1:] = (1 - self.repeat_share) * answer[1:] + self.repeat_share * is_before
        return answer


class BackoffCounts:
    """How often each symbol followed each context, and what to expect from that: Witten-Bell smoothing, interpolated.

    A symbol that followed a context c times of n has the probability (c + s p) / (n + s), where p is the answer of the
    next more general context.

    Args:
        levels: contexts as whole numbers, from the general to the specific.
        symbols: what followed, (n_tokens,).
        strength: s, above 0; None for Witten and Bell's, the number of different symbols seen after the context.

    >>> counts = BackoffCounts([np.zeros(3, int)], np.array([0, 0, 1]), n_symbols=3)
    >>> counts.probabilities([np.zeros(1, int)], np.full((1, 3), 1 / 3)).round(3).tolist()
    [[0.533, 0.333, 0.133]]
    """

    def __init__(self, levels: Levels, symbols: np.ndarray, n_symbols: int, strength: float | None = None) -> None:
        self.n_symbols, self.strength = n_symbols, strength
        # One number for a context and what followed it: sorted, all that followed a context stands together.
        self.levels = [np.unique(contexts * n_symbols + symbols, return_counts=True) for contexts in levels]

    def probabilities(self, levels: Levels, prior: TokenProbs) -> TokenProbs:
        """Return the answer of the most specific context, mixed with the others.

        Args:
            levels: contexts of the tokens to predict, as for the counts; fewer levels stop at a more general answer.
            prior: what to expect before any counting.
        """
        answer = prior.copy()
        for contexts, (pairs, counts) in zip(levels, self.levels, strict=False):
            first = np.searchsorted(pairs, contexts * self.n_symbols)
            n_kinds = np.searchsorted(pairs, (contexts + 1) * self.n_symbols) - first
            # One row for each pair of a token and a symbol that followed its context.
            token = np.repeat(np.arange(len(contexts)), n_kinds)
            pair = np.arange(len(token)) + np.repeat(first - n_kinds.cumsum() + n_kinds, n_kinds)
            n_seen = np.bincount(token, counts[pair], len(contexts))
            # A context never seen leaves the answer as it is: the strength, whatever it be, over itself.
            strength = n_kinds.clip(min=1) if self.strength is None else self.strength
            answer *= (strength / (n_seen + strength))[:, None]
            answer[token, pairs[pair] % self.n_symbols] += counts[pair] / (n_seen + strength)[token]
        return answer


class NGram(CountingModel):
    """What followed the last ``order - 1`` tokens, whatever they mean, by Witten and Bell's rule.

    Args:
        order: tokens in a count, the predicted one among them, 1 to 11.
        semitones: transpositions to count in, as far as a piece stays within the vocabulary.
    """

    def __init__(self, chorales: Chorales, order: int = 6, semitones: range = range(-5, 7)) -> None:
        self.order = whole_number("order", order, 1, 11)  # contexts of more do not fit in 64 bits
        pitch_ids = range(1, N_SYMBOLS)
        moved = [
            transpose_ids(ids, interval, pitch_ids)
            for ids in encode_chorales(chorales)
            for interval in allowed_intervals(ids, pitch_ids, semitones).tolist()
        ]
        levels = [np.concatenate(level) for level in zip(*map(self.contexts, moved), strict=True)]
        self.counts = BackoffCounts(levels, np.concatenate([ids.ravel() for ids in moved]), N_SYMBOLS)

    def contexts(self, ids: Ids) -> list[Int[np.ndarray, " n_tokens"]]:
        """Return one number for the last 0, 1, ..., order - 1 tokens before each token."""
        begin_id = N_SYMBOLS  # stands for the time before the first step
        row = np.concatenate((np.full(self.order, begin_id), ids.ravel()))
        levels = [np.zeros(ids.size, np.int64)]
        for back in range(1, self.order):
            levels.append(levels[-1] * (N_SYMBOLS + 1) + row[self.order - back : len(row) - back])
        return levels

    def probabilities(self, ids: Ids) -> Probs:
        """Back off from the longest context to none, and from that to all symbols alike."""
        prior = np.full((ids.size, N_SYMBOLS), 1 / N_SYMBOLS)
        return self.counts.probabilities(self.contexts(ids), prior).reshape(*ids.shape, N_SYMBOLS)

    def shorten(self, order: int) -> "NGram":
        """Return the n-gram of a lower order, with the same counts."""
        shorter = copy(self)
        shorter.order = whole_number("order", order, 1, self.order)
        return shorter


WIDEST = N_SYMBOLS - 1  # semitones
REST, NOTHING = 2 * WIDEST + 1, 2 * WIDEST + 2
N_OUTCOMES = NOTHING + N_SYMBOLS
LONGEST = 16  # steps
GAPS = (1, 2, 4, 8, 16)  # a gap in steps counts as 1, 2, up to 4, up to 8, up to 16, or more; 0 for nothing beyond it

#: How many values each viewpoint has.
N_VALUES = {
    "voice": 4,
    "beat": 4,  # step modulo 4
    "scale": 32,  # which neighbours of the voice's note, or of the anchor, are heard
    # Of a token, from what stands before it. The voices below are those of the step before.
    "moves_above": 8,  # which voices above this one move at this step
    "hold": LONGEST + 1,  # steps that the voice has held its note, 0 at the beginning
    "all_hold": LONGEST + 1,  # steps that all voices have held theirs
    "last_leap": NOTHING + 1,  # from the voice's note to the different one before it
    **dict.fromkeys(("distance_above_1", "distance_above_2", "distance_below_1", "distance_below_2"), NOTHING + 1),
    **dict.fromkeys(("above_1", "above_2", "below_1", "below_2"), 14),  # the same distances modulo the octave
    # Of a hidden cell, from what is seen around it. The anchor is the pitch from which intervals are counted: what
    # stands before the gap, or if that is no pitch after it, or else in another voice.
    "anchor": 7,  # none, before, after, or the voice in which it stands
    "height": -(-N_SYMBOLS // 4),  # how high the anchor is, in major thirds
    "after": NOTHING + 1,  # what comes after the gap, from the anchor
    **dict.fromkeys(("gap_before", "gap_after"), len(GAPS) + 2),
    **dict.fromkeys(SATB, 14),  # what the voices sing at this step, from the anchor modulo the octave
}


def _relation(origin: np.ndarray, symbol: np.ndarray) -> np.ndarray:
    """Number the interval from one pitch to another, the same in every key; or REST, or NOTHING to measure."""
    is_interval = (origin > 0) & (symbol > 0)
    return np.where(is_interval, symbol - origin + WIDEST, np.where(symbol == 0, REST, NOTHING))


def _modulo_octave(related: np.ndarray) -> np.ndarray:
    """Return a relation as 0 to 11 semitones above the octave, 12 for a rest, 13 for nothing."""
    return np.where(related < REST, (related - WIDEST) % 12, related - REST + 12)


def _outcome(origin: np.ndarray, symbol: np.ndarray) -> np.ndarray:
    """Number symbols by their intervals from a pitch, so that keys share their counts; else by themselves."""
    related = _relation(origin, symbol)
    return np.where(related == NOTHING, NOTHING + symbol, related)


def _pitch_classes(ids: Ids) -> Int[np.ndarray, "n_steps 12"]:
    """Count how many voices sing each pitch class at each step."""
    return ((ids[..., None] > 0) & (ids[..., None] % 12 == np.arange(12))).sum(axis=1)


def _scale(heard: Int[np.ndarray, "n_steps 12"], pitch: Ids, least: np.ndarray | int) -> Ids:
    """Return which neighbours of a pitch are heard, in any voice and octave: a stand-in for the key, in five bits.

    Args:
        heard: for each pitch class a number, the larger the more it is heard around a step.
        pitch: ids; where they are none, the answer is 0.
        least: a number above this lets a tritone be heard.
    """
    at = lambda interval: np.take_along_axis(heard, (pitch + interval) % 12, axis=1)  # noqa: E731
    # The semitone or the tone above; the same below; the minor or the major third above; the same below; the tritone.
    bits = [at(1) > at(2), at(-1) > at(-2), at(3) > at(4), at(-4) > at(-3), at(6) > least]
    return np.where(pitch > 0, sum(bit * 2**place for place, bit in enumerate(bits)), 0)


def _chain_levels(viewpoints: dict[str, Ids], chain: Sequence[str], is_chosen: IsHidden) -> Levels:
    """Return one number for the first viewpoint of the chosen cells, one for the first two, and so on."""
    levels, number = [], np.zeros(is_chosen.sum(), np.int64)
    for name in chain:
        number = number * N_VALUES[name] + viewpoints[name][is_chosen]
        levels.append(number)
    return levels


def musical_viewpoints(ids: Ids) -> dict[str, Ids]:
    """Describe every token by what stands before it: the voices above at this step, and all steps before.

    >>> found = musical_viewpoints(np.array([[37, 32, 29, 13], [39, 32, 29, 13]]))
    >>> found["moves_above"].tolist(), found["hold"].tolist()
    ([[0, 1, 3, 7], [0, 1, 2, 4]], [[0, 0, 0, 0], [1, 1, 1, 1]])
    """
    steps, before = np.arange(len(ids))[:, None], _step_before(ids)
    moves = ids != before
    began = np.maximum.accumulate(np.where(moves, steps, 0), axis=0)
    began = np.vstack((np.zeros((1, 4), np.int64), began[:-1]))  # the note of the step before: this one must not show
    note_before = np.where(began > 0, np.take_along_axis(ids, (began - 1).clip(min=0), axis=0), -1)
    hold = (steps - began).clip(max=LONGEST)
    heard_last = np.maximum.accumulate(np.where(_pitch_classes(before) > 0, steps, -(10**6)), axis=0)
    found = {
        "voice": np.tile(np.arange(4), (len(ids), 1)),
        "beat": np.tile(steps % 4, 4),
        "scale": _scale(heard_last, before, steps - 15),  # a tritone of the last four quarters
        "moves_above": np.stack([moves[:, :voice] @ 2 ** np.arange(voice)[::-1] for voice in range(4)], axis=1),
        "hold": hold,
        "all_hold": np.tile(hold.min(axis=1, keepdims=True), 4),
        "last_leap": _relation(before, note_before),
    }
    above, below = (np.pad(each, ((0, 0), (2, 2)), constant_values=-1) for each in (ids, before))
    for far in (1, 2):
        for side, other in (("above", above[:, 2 - far : 6 - far]), ("below", below[:, 2 + far : 6 + far])):
            found[f"distance_{side}_{far}"] = _relation(before, other)
            found[f"{side}_{far}"] = _modulo_octave(found[f"distance_{side}_{far}"])
    return found


def _step_before(ids: Ids) -> Ids:
    """Return what each voice sang a step before; -1 at the first step."""
    return np.vstack((np.full((1, 4), -1), ids[:-1]))


class MusicalCounts(CountingModel):
    """Two questions with musical contexts: does the voice move? If so, by which interval?

    Args:
        move_viewpoints: the chain of the first question.
        pitch_viewpoints: the chain of the second.
        strength: how many sightings the more general answer counts for: one number, since with two possible answers
            Witten and Bell's is never above 2.
    """

    #: Chosen on the validation part of the JSB chorales.
    MOVE_VIEWPOINTS = (
        "voice", "beat", "moves_above", "hold", "all_hold", "above_1", "above_2", "below_1", "below_2", "scale",
    )  # fmt: skip
    PITCH_VIEWPOINTS = (
        "voice", "scale", "distance_above_1", "distance_above_2", "last_leap", "distance_below_1", "hold",
    )  # fmt: skip

    def __init__(
        self,
        chorales: Chorales,
        move_viewpoints: Sequence[str] = MOVE_VIEWPOINTS,
        pitch_viewpoints: Sequence[str] = PITCH_VIEWPOINTS,
        strength: float = 20.0,
    ) -> None:
        self.move_viewpoints, self.pitch_viewpoints = move_viewpoints, pitch_viewpoints
        check_positive("strength", strength)
        for chain in (move_viewpoints, pitch_viewpoints):
            if math.prod(N_VALUES[name] for name in chain) * N_OUTCOMES >= 2**63:
                raise ValueError(f"Contexts must be numbered in 64 bits; {len(chain)} viewpoints are too many.")
        pieces = encode_chorales(chorales)
        ids, before = np.concatenate(pieces), np.concatenate([_step_before(each) for each in pieces])
        of_pieces = [musical_viewpoints(each) for each in pieces]
        found = {name: np.concatenate([each[name] for each in of_pieces]) for name in of_pieces[0]}
        moves, may_hold = ids != before, before >= 0
        levels = _chain_levels(found, self.move_viewpoints, may_hold)
        self.move_counts = BackoffCounts(levels, moves[may_hold], 2, strength)
        levels = _chain_levels(found, self.pitch_viewpoints, moves)
        self.pitch_counts = BackoffCounts(levels, _outcome(before, ids)[moves], N_OUTCOMES, strength)

    def probabilities(self, ids: Ids) -> Probs:
        """Share the probability of moving among the notes to move to."""
        found, before, is_asked = musical_viewpoints(ids), _step_before(ids).reshape(-1, 1), np.ones(ids.shape, bool)
        levels = _chain_levels(found, self.move_viewpoints, is_asked)
        moves = self.move_counts.probabilities(levels, np.full((ids.size, 2), 0.5))[:, 1]
        moves[before[:, 0] < 0] = 1.0
        levels = _chain_levels(found, self.pitch_viewpoints, is_asked)
        outcomes = self.pitch_counts.probabilities(levels, np.full((ids.size, N_OUTCOMES), 1 / WIDEST))
        answer = np.take_along_axis(outcomes, _outcome(before, np.arange(N_SYMBOLS)), axis=1)
        is_hold = np.arange(N_SYMBOLS) == before
        answer[is_hold] = 0  # it moves; and some intervals would leave the vocabulary: share theirs among the rest
        answer *= (moves / answer.sum(axis=1))[:, None]
        answer[is_hold] = 1 - moves[before[:, 0] >= 0]
        return answer.reshape(*ids.shape, N_SYMBOLS)


#: A chain for each situation, and its strength: a symbol of the own voice is seen at most two steps away; farther away;
#: not at all. Cells of one note are sightings of one thing, so the strength is larger where gaps are long. Chosen on
#: the validation part of the rebuilt split.
CHAINS = {
    "near": (("anchor", "after", "gap_before", "gap_after", "beat", "scale", *SATB[::-1], "voice"), 20.0),
    "far": (("anchor", "scale", "after", "bass", "voice", "gap_after"), 200.0),
    "alone": (("anchor", "voice", "bass", "alto", "tenor", "height", "scale"), 80.0),
}


def neighbour_viewpoints(ids: Ids, is_hidden: IsHidden) -> tuple[dict[str, Ids], Ids]:
    """Describe every hidden cell by what is seen around it; return that and its anchor, -1 where there is none.

    >>> ids = np.array([[37, 32, 29, 13], [37, 32, 29, 13], [39, 32, 27, 8]])
    >>> is_hidden = np.zeros((3, 4), bool)
    >>> is_hidden[1, 0] = True
    >>> found, anchor = neighbour_viewpoints(ids, is_hidden)
    >>> int(anchor[1, 0]), [int(found[name][1, 0]) for name in ("gap_before", "gap_after", "alto", "bass")]
    (37, [1, 1, 7, 0])
    """
    seen, steps = np.where(is_hidden, -1, ids), np.arange(len(ids))
    before, gap_before = _nearest(seen)
    after, gap_after = (each[::-1] for each in _nearest(seen[::-1]))
    beside = [np.tile(seen[:, voice, None], 4) for voice in range(4)]
    anchor, kind = np.full(ids.shape, -1), np.zeros(ids.shape, np.int64)
    for number, symbol in ((1, before), (2, after), (3, beside[0]), (6, beside[3]), (4, beside[1]), (5, beside[2])):
        is_first = (anchor < 0) & (symbol > 0)
        anchor, kind = np.where(is_first, symbol, anchor), np.where(is_first, number, kind)
    total = np.vstack((np.zeros((1, 12), np.int64), _pitch_classes(seen).cumsum(axis=0)))
    heard = total[(steps + 33).clip(max=len(ids))] - total[(steps - 32).clip(min=0)]  # up to two bars away
    found = {
        "voice": np.tile(np.arange(4), (len(ids), 1)),
        "beat": np.tile((steps % 4)[:, None], 4),
        "scale": _scale(heard, anchor, 0),
        "anchor": kind,
        "height": anchor.clip(min=0) // 4,
        "after": _relation(anchor, after),
        "gap_before": np.where(gap_before > 0, np.searchsorted(GAPS, gap_before) + 1, 0),
        "gap_after": np.where(gap_after > 0, np.searchsorted(GAPS, gap_after) + 1, 0),
    }
    return found | {name: _modulo_octave(_relation(anchor, beside[voice])) for voice, name in enumerate(SATB)}, anchor


def _nearest(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the latest symbol of each voice that is seen, and how many steps ago; -1 and 0 if there is none."""
    step = np.arange(len(seen))[:, None]
    latest = np.maximum.accumulate(np.where(seen < 0, -1, step), axis=0)
    symbol = np.take_along_axis(seen, latest.clip(min=0), axis=0)
    return np.where(latest < 0, -1, symbol), np.where(latest < 0, 0, step - latest)


def _find_situations(viewpoints: dict[str, Ids], is_hidden: IsHidden) -> dict[str, IsHidden]:
    """Sort hidden cells by what is seen of their own voice, into the situations of ``CHAINS``."""
    gaps = np.stack((viewpoints["gap_before"], viewpoints["gap_after"]))
    is_near, is_seen = ((gaps > 0) & (gaps <= 2)).any(axis=0), (gaps > 0).any(axis=0)
    return {"near": is_hidden & is_near, "far": is_hidden & is_seen & ~is_near, "alone": is_hidden & ~is_seen}


class NeighbourCounts:
    """What stood in hidden cells, given the nearest symbols that could be seen.

    Args:
        hidden: bool (n_draws, n_steps, 4) for each chorale, True where a cell was hidden, such as from
            ``infilling.draw_hidden``. Those cells are counted, so hide as it will be asked.
    """

    def __init__(self, chorales: Chorales, hidden: Sequence[ArrayLike]) -> None:
        pieces = encode_chorales(chorales)
        self.table, seen = Unigram(chorales).table, {name: [] for name in CHAINS}
        for ids, draws in zip(pieces, check_hidden_cells(pieces, hidden), strict=True):
            for is_hidden in draws:
                found, anchor = neighbour_viewpoints(ids, is_hidden)
                for name, is_in in _find_situations(found, is_hidden).items():
                    seen[name].append((*_chain_levels(found, CHAINS[name][0], is_in), _outcome(anchor, ids)[is_in]))
        self.counts = {}
        for name, parts in seen.items():
            *levels, outcomes = map(np.concatenate, zip(*parts, strict=True))
            self.counts[name] = BackoffCounts(levels, outcomes, N_OUTCOMES, strength=CHAINS[name][1])

    def cell_log_probs(self, ids: Ids, is_hidden: IsHidden) -> Probs:
        """Return the logarithm of the probability of every symbol at every hidden cell; their ids are not looked at.

        Where a cell is seen, the row holds only how often the voice sings each symbol.
        """
        found, anchor = neighbour_viewpoints(ids, is_hidden)
        shares = np.broadcast_to(self.table, (*ids.shape, N_SYMBOLS)).copy()
        for name, is_in in _find_situations(found, is_hidden).items():
            numbers = _outcome(anchor[is_in][:, None], np.arange(N_SYMBOLS))
            prior = np.zeros((len(numbers), N_OUTCOMES))
            np.put_along_axis(prior, numbers, shares[is_in], axis=1)
            answer = self.counts[name].probabilities(_chain_levels(found, CHAINS[name][0], is_in), prior)
            answer = np.take_along_axis(answer, numbers, axis=1)
            # Some intervals would leave the vocabulary: what was counted for them is shared among the rest.
            shares[is_in] = answer / answer.sum(axis=1, keepdims=True)
        return np.log(shares)
