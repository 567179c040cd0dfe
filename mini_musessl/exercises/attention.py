"""Checkers of the exercises of notebook 5a; tasks, hints and solutions stand there. Chapter: 5a."""

import numpy as np

from mini_musessl.exercises.checking import checker
from mini_musessl.exercises.first_road import softmax

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


checker("5a.1", softmax,
    draw=lambda rng: (rng.normal(0, 10.0 ** rng.integers(0, 4), (3, 4)),),
    tolerance=1e-9,
    cases=[(np.array([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]]),), (np.array([[2000.0, 2001.0], [-2000.0, -2002.0]]),)],
    fact="equal scores share the weight, and a score of 2001 beside 2000 weighs as much as 1 beside 0.", mistakes=[
    (lambda s: softmax(s.T).T,
     "Your columns sum to 1: each query must share out its own weight, so sum over the last axis."),
    (lambda s: softmax(s.ravel()).reshape(s.shape), "Your whole table sums to 1: each row must, by itself."),
    (lambda s: np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True),
     "Right for small scores; for {input} a power is infinite or all are zero: subtract each row's largest score "
     "first."),
    (lambda s: np.exp(s - s.max()) / np.exp(s - s.max()).sum(axis=-1, keepdims=True),
     "You subtract the largest score of the whole table. In a row far below it all powers are 0, and 0 / 0 is nan: "
     "subtract each row's own largest score."),
    (lambda s: s / s.sum(axis=-1, keepdims=True),
     "You divide the scores by their sum: negative scores then give negative weights. Take powers of e first.")])


def may_attend(n_queries, n_keys):
    query_at = np.arange(n_keys - n_queries, n_keys)
    return np.arange(n_keys) <= query_at[:, None]

checker("5a.2", may_attend,
    draw=lambda rng: (n := int(rng.integers(1, 6)), n + int(rng.integers(0, 4))),
    cases=[(3, 3), (2, 5), (1, 4)],
    fact="the last row is all True: the newest position sees everything that was read.", mistakes=[
    (lambda n, m: np.arange(m) < np.arange(m - n, m)[:, None],
     "You hide each position from itself: its own token belongs to its past, the target is the next one."),
    (lambda n, m: np.arange(m) <= np.arange(m - n, m)[:, None] + 1,
     "Each position sees one token ahead. That token is its target: the loss will fall to nothing and the network will "
     "learn nothing."),
    (lambda n, m: np.arange(m) <= np.arange(n)[:, None],
     "Right for as many queries as keys. With a cache the queries are the last positions: for {input} the first query "
     "stands at key 3, not at key 0."),
    (lambda n, m: ~may_attend(n, m), "Your mask is inverted: your True says where a query may not look.")])


def attend(queries, keys, values, may_attend):
    scores = queries @ keys.T / np.sqrt(queries.shape[-1])
    return softmax(np.where(may_attend, scores, -np.inf)) @ values

RNG = np.random.default_rng(0)
CAUSAL, PADDED = np.tri(4, 4, dtype=bool), np.array([[True, True, True, False, False]] * 3)

def _draw(*shape):
    return RNG.normal(size=shape).round(1)

def _heads(rng):
    n_queries, n_keys, d, d_value = rng.integers(1, 6, 4)
    may_attend = rng.permuted(np.arange(n_keys) < rng.integers(1, n_keys + 1, (n_queries, 1)), axis=1)
    return *(rng.normal(size=shape) for shape in ((n_queries, d), (n_keys, d), (n_keys, d_value))), may_attend

checker("5a.3", attend, draw=_heads,
    tolerance=1e-9,
    cases=[(_draw(4, 9), _draw(4, 9), _draw(4, 2), CAUSAL), (_draw(3, 2), _draw(5, 2), _draw(5, 3), PADDED)],
    case_names=["the causal example", "the example with padding"],
    fact="the same numbers as the library's and PyTorch's.", mistakes=[
    (lambda q, k, v, may: softmax(np.where(may, q @ k.T, -np.inf)) @ v, "The scores are not divided by the root of d."),
    (lambda q, k, v, may: softmax(np.where(may, q @ k.T / q.shape[-1], -np.inf)) @ v,
     "You divide by d; it is the root of d that keeps the scores' spread at 1."),
    (lambda q, k, v, may: softmax(np.where(may, q @ k.T / np.sqrt(q.shape[-1]), 0.0)) @ v,
     "Hidden keys get the score 0, which is an ordinary score with an ordinary weight. Give them minus infinity."),
    (lambda q, k, v, may: (softmax(q @ k.T / np.sqrt(q.shape[-1])) * may) @ v,
     "You hide after the softmax: the weights that are left do not sum to 1. Hide the scores, then take the softmax."),
    (lambda q, k, v, may: softmax(np.where(may, q @ k.T / np.sqrt(v.shape[-1]), -np.inf)) @ v,
     "You divide by the root of the values' width; scores are sums over the width of queries and keys."),
    (lambda q, k, v, may: softmax(np.where(may, q @ k.T / np.sqrt(len(k)), -np.inf)) @ v,
     "You divide by the root of the number of keys; divide by the root of d, the width of queries and keys."),
    (lambda q, k, v, may: softmax(np.where(may, q @ k.T / np.sqrt(q.shape[-1]), -np.inf), axis=0) @ v,
     "Your columns sum to 1: the softmax runs over the queries. Each query shares its weight among the keys, so take "
     "the last axis."),
    (lambda q, k, v, may: attend(q, k, v, True), "The mask is not used: every query looks at every key."),
    (lambda q, k, v, may: attend(q, k, v, ~may), "Your mask is inverted: True means that the query may look.")])


def split_heads(features, n_heads):
    return features.reshape(len(features), n_heads, -1).transpose(1, 0, 2)

checker("5a.4", split_heads,
    draw=lambda rng: (rng.normal(size=(rng.integers(1, 5), 12)), int(rng.choice([1, 2, 3, 4, 6, 12]))),
    cases=[(np.arange(24).reshape(4, 6), 2), (np.arange(6).reshape(1, 6), 3)],
    fact="no number was copied or lost; `transpose` and `reshape` back give the features again.", mistakes=[
    (lambda x, n: x.reshape(n, len(x), -1),
     "The shape is right and the content is not: your first head holds the first times, not the first features. Split "
     "the last axis, then swap axes."),
    (lambda x, n: x.reshape(len(x), -1, n).transpose(2, 0, 1),
     "Your heads take every n-th feature; the first head should get the first slice."),
    (lambda x, n: x.reshape(len(x), n, -1),
     "Time comes first in your result: the axis of heads must stand before it.")])


def _first(is_leak):
    return int(np.argmax(is_leak)) if is_leak.any() else -1

def first_leak(before, after, position):
    moved = np.abs(after - before).max(axis=-1) > 1e-6
    return _first(moved[:position])

BEFORE = np.arange(10.0).reshape(5, 2)

def _moved(step, change):
    return BEFORE + change * (np.arange(5) >= step)[:, None]

def _two_runs(rng):
    before = rng.normal(size=(5, 2))
    change = rng.choice([0, 0, 0, 8e-7, 1.5e-6, 1], (5, 1)) * rng.choice([[1, 1], [1, -1], [0, -1], [-1, 0]], 5)
    return before, before + change, int(rng.integers(0, 5))

checker("5a.5", first_leak, draw=_two_runs,
    cases=[(BEFORE, _moved(3, 1), 3), (BEFORE, _moved(4, 1), 3), (BEFORE, _moved(1, 1), 3), (BEFORE, _moved(2, -1), 3),
           (BEFORE, _moved(4, 1) + np.array([1e-12, 0, 0, 0, 0])[:, None], 4),
           (BEFORE, _moved(1, np.array([1, -1])), 3), (BEFORE, _moved(2, np.array([0, 1])), 4)],
    case_names=["the honest network", "the slow network", "the network that leaks upwards",
                "the network that leaks downwards", "the network that rounds", "the network whose features move apart",
                "the network that moves one feature"],
    fact="this is the causality test that every model of this book must pass.", mistakes=[
    (lambda before, after, position: first_leak(before, after, position + 1),
     "The changed place itself may change, since it reads its own token: look before it only."),
    (lambda before, after, position: first_leak(before, after, len(after)),
     "You return the first output that changed. Those from `position` on may change: cut them off first."),
    (lambda before, after, position: _first((after - before).max(axis=-1)[:position] > 1e-6),
     "An output may fall as well as rise: compare absolute differences."),
    (lambda before, after, position: _first(np.abs((after - before).sum(axis=-1))[:position] > 1e-6),
     "You add the differences of the features: one that rises hides one that falls. Take absolute values first."),
    (lambda before, after, position: _first((np.abs(after - before) > 1e-6).all(axis=-1)[:position]),
     "You ask that all features move; a leak may show in one. Use any."),
    (lambda before, after, position: _first((after != before).any(axis=-1)[:position]),
     "You ask for equality to the last digit; sums in another order round differently. Allow 1e-6.")])


def self_attention(features, projections, n_heads, may_attend, attend=attend, split=split_heads):
    queries, keys, values = (split(features @ matrix, n_heads) for matrix in projections[:3])
    heads = [attend(*each, may_attend) for each in zip(queries, keys, values, strict=True)]
    return np.concatenate(heads, axis=-1) @ projections[3]

def _attend_undivided(queries, keys, values, may_attend, by=1.0):
    return attend(queries * np.sqrt(queries.shape[-1]) / by, keys, values, may_attend)

def _random_layer(rng):
    n_positions, n_heads, d_head = rng.integers(1, 5, 3)
    d_model = n_heads * d_head
    return (rng.normal(size=(n_positions, d_model)), rng.normal(size=(4, d_model, d_model)), int(n_heads),
            np.tri(n_positions, dtype=bool))

checker("5a.6", self_attention, draw=_random_layer, tolerance=1e-9,
    cases=[(_draw(4, 6), _draw(4, 6, 6), 2, CAUSAL), (_draw(4, 6), _draw(4, 6, 6), 3, CAUSAL)],
    case_names=["the layer with two heads", "the layer with three heads"],
    fact="with the same weights the library's layer returns the same numbers.", mistakes=[
    (lambda x, p, n, may: self_attention(x, p, 1, may), "You use one head: split queries, keys and values first."),
    (lambda x, p, n, may: self_attention(x, p, n, np.ones_like(may)), "The mask is not used."),
    (lambda x, p, n, may: self_attention(x, np.concatenate((p[:3], [np.eye(len(p[3]))])), n, may),
     "The output projection, the fourth matrix, is missing."),
    (lambda x, p, n, may: self_attention(x, np.concatenate((p[:2], [np.eye(len(p[2]))], p[3:])), n, may),
     "The values are the features themselves: project them by the third matrix."),
    (lambda x, p, n, may: self_attention(x, p[[0, 0, 2, 3]], n, may),
     "Your keys are the queries: project the features by the second matrix."),
    (lambda x, p, n, may: self_attention(x, p[[1, 0, 2, 3]], n, may), "Queries and keys are exchanged."),
    (lambda x, p, n, may: self_attention(x, p.transpose(0, 2, 1), n, may),
     "You multiply by the transposed matrices; here it is `features @ matrix`."),
    (lambda x, p, n, may: self_attention(x, p, n, may, _attend_undivided), "The scores are not divided by a root."),
    (lambda x, p, n, may: self_attention(
        x, p, n, may, lambda q, k, v, may: _attend_undivided(q, k, v, may, by=np.sqrt(x.shape[-1]))),
     "You divide by the root of d_model; scores of a head are sums over d_model / n_heads features."),
    (lambda x, p, n, may: self_attention(x, p, n, may, split=lambda y, n: y.reshape(n, len(y), -1)),
     "Your heads mix positions: split the last axis, then swap axes, as in 5a.4.")])
