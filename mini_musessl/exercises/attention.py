"""Exercises of notebook 5a: weights, rules, scaled dot products, heads, and a test for looking ahead.

Chapter: 5a (attention from scratch).
"""

from __future__ import annotations

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return weights that are positive and sum to 1 over the last axis.

    Args:
        scores: float (n_queries, n_keys), of any size.

    Returns:
        float (n_queries, n_keys).

    Chapter: 5a.
    """
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _softmax_over_queries(scores: np.ndarray) -> np.ndarray:
    """Mistake: let each column sum to 1."""
    powers = np.exp(scores - scores.max(axis=0, keepdims=True))
    return powers / powers.sum(axis=0, keepdims=True)


def _softmax_over_all(scores: np.ndarray) -> np.ndarray:
    """Mistake: let the whole table sum to 1."""
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def _softmax_overflows(scores: np.ndarray) -> np.ndarray:
    """Mistake: take powers of large numbers."""
    with np.errstate(all="ignore"):
        powers = np.exp(scores)
        return powers / powers.sum(axis=-1, keepdims=True)


def _softmax_without_exp(scores: np.ndarray) -> np.ndarray:
    """Mistake: divide the scores themselves by their sum."""
    with np.errstate(all="ignore"):
        return scores / scores.sum(axis=-1, keepdims=True)


def may_attend(n_queries: int, n_keys: int) -> np.ndarray:
    """Return who may look at whom when nobody looks ahead and the last query stands at the last key.

    Args:
        n_queries: positions that look.
        n_keys: positions that are looked at, at least as many.

    Returns:
        bool (n_queries, n_keys), True where a query may look.

    Chapter: 5a.
    """
    query_at = np.arange(n_keys - n_queries, n_keys)
    return np.arange(n_keys) <= query_at[:, None]


def _may_attend_not_itself(n_queries: int, n_keys: int) -> np.ndarray:
    """Mistake: hide each position from itself."""
    return np.arange(n_keys) < np.arange(n_keys - n_queries, n_keys)[:, None]


def _may_attend_one_ahead(n_queries: int, n_keys: int) -> np.ndarray:
    """Mistake: let each position see its target."""
    return np.arange(n_keys) <= np.arange(n_keys - n_queries, n_keys)[:, None] + 1


def _may_attend_from_the_start(n_queries: int, n_keys: int) -> np.ndarray:
    """Mistake: count the queries from the first key."""
    return np.arange(n_keys) <= np.arange(n_queries)[:, None]


def _may_not_attend(n_queries: int, n_keys: int) -> np.ndarray:
    """Mistake: say where a query may not look."""
    return ~may_attend(n_queries, n_keys)


def attend(queries: np.ndarray, keys: np.ndarray, values: np.ndarray, may_attend: np.ndarray) -> np.ndarray:
    """Mix the values by how well their keys fit the queries, where the rule allows.

    Args:
        queries: float (n_queries, d).
        keys: float (n_keys, d).
        values: float (n_keys, d_value).
        may_attend: bool (n_queries, n_keys), True where a query may look; at least one a row.

    Returns:
        float (n_queries, d_value).

    Chapter: 5a.
    """
    scores = queries @ keys.T / np.sqrt(queries.shape[-1])
    scores = np.where(may_attend, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True) @ values


def _weights(scores: np.ndarray) -> np.ndarray:
    """Return the softmax over keys."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _attention_without_scale(q: np.ndarray, k: np.ndarray, v: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Mistake: forget the root of the width."""
    return _weights(np.where(may, q @ k.T, -np.inf)) @ v


def _attention_scaled_by_width(q: np.ndarray, k: np.ndarray, v: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Mistake: divide by the width, not by its root."""
    return _weights(np.where(may, q @ k.T / q.shape[-1], -np.inf)) @ v


def _attention_score_of_zero(q: np.ndarray, k: np.ndarray, v: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Mistake: give hidden keys the score 0."""
    return _weights(np.where(may, q @ k.T / np.sqrt(q.shape[-1]), 0.0)) @ v


def _attention_hidden_too_late(q: np.ndarray, k: np.ndarray, v: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Mistake: set weights to 0 after the softmax."""
    return (_weights(q @ k.T / np.sqrt(q.shape[-1])) * may) @ v


def _attention_without_rule(q: np.ndarray, k: np.ndarray, v: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Mistake: leave out the rule."""
    return _weights(q @ k.T / np.sqrt(q.shape[-1])) @ v


def _attention_upside_down(q: np.ndarray, k: np.ndarray, v: np.ndarray, may: np.ndarray) -> np.ndarray:
    """Mistake: take True for hidden."""
    with np.errstate(all="ignore"):
        return _weights(np.where(may, -np.inf, q @ k.T / np.sqrt(q.shape[-1]))) @ v


def split_heads(features: np.ndarray, n_heads: int) -> np.ndarray:
    """Give each head its own slice of the features, in their order.

    Args:
        features: float (time, d_model).
        n_heads: divides d_model.

    Returns:
        float (n_heads, time, d_model / n_heads).

    Chapter: 5a.
    """
    return features.reshape(len(features), n_heads, -1).transpose(1, 0, 2)


def _split_without_transpose(features: np.ndarray, n_heads: int) -> np.ndarray:
    """Mistake: read the numbers row by row into the new shape."""
    return features.reshape(n_heads, len(features), -1)


def _split_interleaved(features: np.ndarray, n_heads: int) -> np.ndarray:
    """Mistake: deal the features out in turn."""
    return features.reshape(len(features), -1, n_heads).transpose(2, 0, 1)


def _split_heads_second(features: np.ndarray, n_heads: int) -> np.ndarray:
    """Mistake: leave the axis of heads behind time."""
    return features.reshape(len(features), n_heads, -1)


def first_leak(before: np.ndarray, after: np.ndarray, position: int) -> int:
    """Return the first position whose output changed though its past did not, or -1.

    Args:
        before: float (time, width), what a network says to an input.
        after: what it says when the token at ``position`` was changed.
        position: the place of the change; a network may use it from there on.

    Returns:
        An index below ``position``, or -1 where no output before it moved by more than 1e-6.

    Chapter: 5a.
    """
    moved = np.abs(after - before).max(axis=-1) > 1e-6
    leaks = np.flatnonzero(moved[:position])
    return int(leaks[0]) if len(leaks) else -1


def _leak_counts_the_place_itself(before: np.ndarray, after: np.ndarray, position: int) -> int:
    """Mistake: call the changed place itself a leak."""
    leaks = np.flatnonzero(np.abs(after - before).max(axis=-1)[: position + 1] > 1e-6)
    return int(leaks[0]) if len(leaks) else -1


def _leak_anywhere(before: np.ndarray, after: np.ndarray, position: int) -> int:
    """Mistake: return the first output that changed."""
    leaks = np.flatnonzero(np.abs(after - before).max(axis=-1) > 1e-6)
    return int(leaks[0]) if len(leaks) else -1


def _leak_signed(before: np.ndarray, after: np.ndarray, position: int) -> int:
    """Mistake: forget that outputs may fall."""
    leaks = np.flatnonzero((after - before).max(axis=-1)[:position] > 1e-6)
    return int(leaks[0]) if len(leaks) else -1


def _leak_to_the_digit(before: np.ndarray, after: np.ndarray, position: int) -> int:
    """Mistake: take rounding for a leak."""
    leaks = np.flatnonzero((after != before).any(axis=-1)[:position])
    return int(leaks[0]) if len(leaks) else -1


def _attention_cases() -> tuple[tuple, ...]:
    """Make queries, keys, values and rules of different sizes."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).round(1)  # noqa: E731
    causal = np.tri(4, 4, dtype=bool)
    padding = np.array([[True, True, True, False, False]] * 3)
    return ((draw(4, 9), draw(4, 9), draw(4, 2), causal), (draw(3, 2), draw(5, 2), draw(5, 3), padding))


def _leak_cases() -> tuple[tuple, ...]:
    """Make pairs of outputs: honest ones, leaks up and down, rounding."""
    before = np.arange(10.0).reshape(5, 2)
    honest, late, up, down, rounded = (before.copy() for _ in range(5))
    honest[3:] += 1
    late[4:] += 1
    up[1:] += 1
    down[2:] -= 1
    rounded[0] += 1e-12
    rounded[4] += 1
    return ((before, honest, 3), (before, late, 3), (before, up, 3), (before, down, 3), (before, rounded, 4))


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="5a.1",
        title="From scores to weights",
        minutes=10,
        task=(
            "Write `softmax(scores)` for an array `(n_queries, n_keys)`: weights that are positive and sum to 1 "
            "for each query. Scores may be in the thousands."
        ),
        hint=(
            "Subtracting the same number from all scores of a row changes no weight. Which number makes "
            "every power safe?"
        ),
        cases=lambda: (
            (np.array([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]]),),
            (np.array([[2000.0, 2001.0], [-2000.0, -2002.0]]),),
        ),
        solution=softmax,
        mistakes=(
            Mistake(
                _softmax_over_queries,
                ("Your columns sum to 1: each query must share out its own weight, so sum over the last axis."),
            ),
            Mistake(_softmax_over_all, "Your whole table sums to 1: each row must, by itself."),
            Mistake(
                _softmax_overflows,
                (
                    "Right for small scores; for {input} a power is infinite or all are zero: subtract each "
                    "row's largest score first."
                ),
            ),
            Mistake(
                _softmax_without_exp,
                (
                    "You divide the scores by their sum: negative scores then give negative weights. Take powers "
                    "of e first."
                ),
            ),
        ),
        fact="equal scores share the weight, and a score of 2001 beside 2000 weighs as much as 1 beside 0.",
        tolerance=1e-9,
    ),
    Exercise(
        id="5a.2",
        title="Who may look at whom",
        minutes=5,
        task=(
            "Write `may_attend(n_queries, n_keys)`: a Boolean array, True where a query may look at a key. "
            "Nobody looks ahead, everybody may look at their own place, and the *last* query stands at the last key."
        ),
        hint="Query `i` stands at key `n_keys - n_queries + i`.",
        cases=lambda: ((3, 3), (2, 5), (1, 4)),
        solution=may_attend,
        mistakes=(
            Mistake(
                _may_attend_not_itself,
                ("You hide each position from itself: its own token belongs to its past, the target is the next one."),
            ),
            Mistake(
                _may_attend_one_ahead,
                (
                    "Each position sees one token ahead. That token is its target: the loss will fall to nothing "
                    "and the network will learn nothing."
                ),
            ),
            Mistake(
                _may_attend_from_the_start,
                (
                    "Right for as many queries as keys. With a cache the queries are the last positions: for "
                    "{input} the first query stands at key 3, not at key 0."
                ),
            ),
            Mistake(_may_not_attend, "Upside down: your True says where a query may not look."),
        ),
        fact="the last row is all True: the newest position sees everything that was read.",
    ),
    Exercise(
        id="5a.3",
        title="Attention",
        minutes=15,
        task=(
            "Write `attend(queries, keys, values, may_attend)` in NumPy, for arrays of two axes: "
            "$\\operatorname{softmax}(QK^\\top/\\sqrt{d})\\,V$, with no weight where the rule is False."
        ),
        hint="What score has the power 0?",
        cases=_attention_cases,
        solution=attend,
        mistakes=(
            Mistake(_attention_without_scale, "The scores are not divided by the root of d."),
            Mistake(
                _attention_scaled_by_width,
                ("You divide by d; it is the root of d that keeps the scores' spread at 1."),
            ),
            Mistake(
                _attention_score_of_zero,
                (
                    "Hidden keys get the score 0, which is an ordinary score with an ordinary weight. Give them "
                    "minus infinity."
                ),
            ),
            Mistake(
                _attention_hidden_too_late,
                (
                    "You hide after the softmax: the weights that are left do not sum to 1. Hide the scores, "
                    "then take the softmax."
                ),
            ),
            Mistake(_attention_without_rule, "The rule is not used: every query looks at every key."),
            Mistake(_attention_upside_down, "Your rule is upside down: True means that the query may look."),
        ),
        fact="the same numbers as the library's and PyTorch's.",
        tolerance=1e-9,
        case_names=("the causal example", "the example with padding"),
    ),
    Exercise(
        id="5a.4",
        title="Split the heads",
        minutes=10,
        task=(
            "Write `split_heads(features, n_heads)`: from `(time, d_model)` to `(n_heads, time, d_head)`. The first "
            "head gets the first `d_head` features of each position, the second the next ones, and so on."
        ),
        hint=(
            "Split the last axis in two first, then move axes. Reshaping straight to the result mixes times "
            "with features."
        ),
        cases=lambda: ((np.arange(24).reshape(4, 6), 2), (np.arange(6).reshape(1, 6), 3)),
        solution=split_heads,
        mistakes=(
            Mistake(
                _split_without_transpose,
                (
                    "The shape is right and the content is not: your first head holds the first times, not "
                    "the first features. Split the last axis, then swap axes."
                ),
            ),
            Mistake(
                _split_interleaved,
                ("Your heads take every n-th feature; the first head should get the first slice."),
            ),
            Mistake(_split_heads_second, "Time comes first in your result: the axis of heads must stand before it."),
        ),
        fact="no number was copied or lost; `transpose` and `reshape` back give the features again.",
    ),
    Exercise(
        id="5a.5",
        title="Catch a leak",
        minutes=10,
        task=(
            "A network read a sequence, then the same sequence with another token at `position`. Write "
            "`first_leak(before, after, position)`: from its outputs, two arrays `(time, width)`, return the first "
            "place *before* `position` whose output moved by more than 1e-6 in any feature, or -1."
        ),
        hint="A place may use its own token. Outputs can move up and down, and rounding is no leak.",
        cases=_leak_cases,
        solution=first_leak,
        mistakes=(
            Mistake(
                _leak_counts_the_place_itself,
                ("The changed place itself may change, since it reads its own token: look before it only."),
            ),
            Mistake(
                _leak_anywhere,
                ("You return the first output that changed. Those from `position` on may change: cut them off first."),
            ),
            Mistake(_leak_signed, "An output may fall as well as rise: compare absolute differences."),
            Mistake(
                _leak_to_the_digit,
                ("You ask for equality to the last digit; sums in another order round differently. Allow 1e-6."),
            ),
        ),
        fact="this is the causality test that every model of this book must pass.",
        case_names=(
            "the honest network",
            "the slow network",
            "the network that leaks upwards",
            "the network that leaks downwards",
            "the network that rounds",
        ),
    ),
)
