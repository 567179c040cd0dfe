"""Checkers of the exercises of notebook 2a; tasks, hints and solutions stand there. Chapter: 2a."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def bits_per_quarter(nats_per_token):
    return float(16 * nats_per_token / np.log(2))

checker("2a.1", bits_per_quarter,
    draw=lambda rng: (float(rng.uniform(0, 5)),),
    tolerance=1e-9, cases=[(1.0,), (0.5,), (float(np.log(47)),)],
    fact="one nat per token is {outputs[0]} bits per quarter.", mistakes=[
    (lambda nats: nats / np.log(2), "You give the bits of one token; a quarter holds four steps of four tokens."),
    (lambda nats: 4 * nats / np.log(2), "You give the bits of one sixteenth; a quarter has four of them."),
    (lambda nats: 16 * nats, "These are nats. Divide by ln 2 to get bits."),
    (lambda nats: 16 * nats * np.log(2), "A bit is smaller than a nat, so there are more bits: divide by ln 2.")])


def context(token_ids, i, order):
    return tuple(token_ids[max(0, i - order + 1) : i])

checker("2a.2", context,
    draw=lambda rng: (rng.integers(0, 9, 6).tolist(), int(rng.integers(0, 6)), int(rng.integers(1, 6))),
    cases=[([5, 6, 7, 8, 9], 3, 3), ([5, 6, 7, 8, 9], 1, 4), ([5, 6, 7, 8, 9], 0, 3), ([5, 6, 7, 8, 9], 4, 1)],
    fact="before the fourth token of the first example stand {outputs[0]}.", mistakes=[
    (lambda ids, i, order: tuple(ids[max(0, i - order + 1) : i + 1]),
     "Your context holds the token that is to be predicted: for {input} you give {found}. That model would look "
     "perfect, and know nothing."),
    (lambda ids, i, order: tuple(ids[max(0, i - order) : i]),
     "You look at `order` tokens; one of an n-gram's tokens is the one it predicts."),
    (lambda ids, i, order: tuple(ids[i - order + 1 : i]),
     "Near the beginning your slice starts at a negative index, which counts from the end: for {input} you give "
     "{found}. Start at `max(0, ...)`."),
    (lambda ids, i, order: context(ids, i, order)[::-1],
     "The tokens are right and in the wrong order: keep the order of the piece.")])


def witten_bell(counts, shorter):
    n_kinds = np.count_nonzero(counts)
    return (counts + n_kinds * shorter) / (counts.sum() + n_kinds) if n_kinds else shorter

def _weight_by_total(counts, shorter):
    total = counts.sum()
    return (counts + total * shorter) / (2 * total) if total else shorter

def _with_fixed_share(share):
    return lambda counts, shorter: (1 - share) * counts / counts.sum() + share * shorter if counts.any() else shorter

@np.errstate(invalid="ignore")
def _unseen_is_empty(counts, shorter):
    n_kinds = np.count_nonzero(counts)
    return (counts + n_kinds * shorter) / (counts.sum() + n_kinds)

checker("2a.3", witten_bell,
    draw=lambda rng: (rng.integers(0, 4, 5) * rng.integers(0, 2, 5), rng.dirichlet(np.ones(5))),
    tolerance=1e-9,
    cases=[(np.array([3, 1, 0, 0]), np.array([0.1, 0.2, 0.3, 0.4])),
           (np.array([0, 0, 9]), np.array([0.5, 0.25, 0.25])), (np.array([0, 0]), np.array([0.7, 0.3]))],
    fact="after the first context they are {outputs[0]}.", mistakes=[
    (lambda counts, shorter: (counts + 1) / (counts.sum() + len(counts)),
     "You add one to every count. Then a symbol that was never seen is as likely after any context; the shorter "
     "context knows better."),
    (_weight_by_total,
     "You give both contexts the same weight: then none is ever trusted more than half. The weight of the shorter one "
     "is the number of different symbols, beside the number of all symbols seen."),
    (lambda counts, shorter: counts / counts.sum() if counts.any() else shorter,
     "You forget the shorter context as soon as the longer was seen once: for {input} some symbols become impossible, "
     "and the first of them to come has an infinite loss."),
    (lambda counts, shorter: (counts + np.count_nonzero(counts) * shorter) / max(counts.sum(), 1),
     "Your probabilities sum to more than 1: the weight of the shorter context is missing below."),
    *((_with_fixed_share(share),
       f"You give the shorter context a fixed share, {share:.0%}. A context seen a thousand times deserves more trust "
       "than one seen once: the share is s / (n + s).") for share in (0.1, 0.2, 0.25, 0.3, 0.4)),
    (_unseen_is_empty, "A context that was never seen divides 0 by 0. Return `shorter` as it is."),
    (lambda counts, shorter: (counts + shorter) / (counts.sum() + 1),
     "You give the shorter context the weight 1, whatever was counted. Its weight is the number of different symbols."),
    (lambda counts, shorter: counts / counts.sum(),
     "You never use the shorter context: a symbol that was not seen is impossible, and a context that was never seen "
     "divides 0 by 0.")])


def mixture_nats(p, q, share):
    return float(-np.log(share * p + (1 - share) * q).mean())

checker("2a.4", mixture_nats,
    draw=lambda rng: (*rng.uniform(0.01, 1, (2, 6)), float(rng.random())),
    tolerance=1e-9,
    cases=[(np.array([0.5, 0.1, 0.9]), np.array([0.5, 0.4, 0.1]), 0.5),
           (np.array([0.5, 0.1, 0.9]), np.array([0.25, 0.8, 0.6]), 0.75)],
    fact="for the first example {outputs[0]} nats.", mistakes=[
    (lambda p, q, share: -(share * np.log(p) + (1 - share) * np.log(q)).mean(),
     "You mix the losses: that multiplies probabilities, and the products of two models sum to less than 1. Mix first, "
     "then take the logarithm."),
    (lambda p, q, share: -np.log((share * p + (1 - share) * q).mean()),
     "You take the mean over tokens before the logarithm. Each token has its own loss: logarithm first, then the "
     "mean."),
    (lambda p, q, share: -np.log(np.maximum(p, q)).mean(),
     "You take the model that turned out right. Before the token comes it is not known which that is."),
    (lambda p, q, share: -np.log(share * p + (1 - share) * q).sum(),
     "You add the losses of all tokens up. A loss in nats per token is their mean."),
    (lambda p, q, share: -np.log(share * p + (1 - share) * q), "You give one loss for each token: return their mean."),
    (lambda p, q, share: mixture_nats(q, p, share), "`share` belongs to the first model; you give it to the second.")])


def steps_into_note(pitch):
    held = np.zeros(len(pitch), int)
    for step in range(1, len(pitch)):
        held[step] = held[step - 1] + 1 if pitch[step] == pitch[step - 1] else 0
    return held

def steps_held(pitch):
    return np.append(0, steps_into_note(pitch)[:-1] + 1)

def note_lengths(pitch):
    starts = np.flatnonzero(np.append(True, pitch[1:] != pitch[:-1]))
    lengths = np.diff(starts, append=len(pitch))
    return np.repeat(lengths, lengths)

checker("2a.5", steps_held,
    draw=lambda rng: (np.repeat(rng.integers(60, 64, 5), rng.integers(1, 4, 5)),),
    cases=[(np.array([60, 60, 60, 62, 62, 64]),), (np.array([60, 62, 62, 62, 62, 60, 60]),), (np.array([67]),)],
    fact="in the first example it reads {outputs[0]}.", mistakes=[
    (steps_into_note,
     "You look at the present note: a 0 says that the voice moves now, which is what the model is to guess. A leak."),
    (lambda pitch: np.append(0, note_lengths(pitch)[:-1]),
     "You give the length of the whole note while it still sounds: its end lies in the future. A leak."),
    (lambda pitch: (steps_held(pitch) - 1).clip(min=0),
     "A note that sounded for one step has been held for 1, not 0. You are one short."),
    (lambda pitch: np.arange(len(pitch)), "You count from the beginning of the piece; count from that of the note.")])


def first_leak(before, after, changed):
    return int(min(np.flatnonzero(~np.isclose(before, after)[:changed]), default=-1))

def _two_runs(rng):
    before, is_moved = -rng.exponential(2, size=6), rng.random(6) < 0.3
    after = before + is_moved * rng.choice([-1, 1], 6) * rng.uniform(0.1, 1, 6) + rng.normal(size=6) * 1e-12
    return before, after, int(rng.integers(0, 6))

checker("2a.6", first_leak, draw=_two_runs,
    # A leak, none, none, a difference of the size of rounding, and a leak that makes a token likelier.
    cases=[(np.array([-1.0, -2.0, -3.0, -4.0, -5.0]), np.array([-1.0, -2.5, -3.5, -1.0, -9.0]), 3),
           (np.array([-1.0, -2.0, -3.0, -4.0]), np.array([-1.0, -2.0, -0.5, -0.1]), 2),
           (np.array([-1.0, -2.0, -3.0, -4.0]), np.array([-1.0, -2.0, -3.0, -0.1]), 2),
           (np.array([-1.0, -2.0, -3.0]), np.array([-1.0 + 1e-12, -2.0, -0.5]), 2),
           (np.array([-1.0, -2.0, -3.0, -4.0]), np.array([-1.0, -1.5, -3.5, -4.0]), 3)],
    fact="in the first example token {outputs[0]} has seen the future.", mistakes=[
    (lambda before, after, changed: first_leak(before, after, changed + 1),
     "The number of the changed token itself may move: another token came, and it has another probability."),
    (lambda before, after, changed: first_leak(before, after, len(before)),
     "What comes after the change may move: the model has seen the change by then."),
    (lambda before, after, changed: min(np.flatnonzero((before != after)[:changed]), default=-1),
     "You ask for equality to the last bit; a network that adds in another order differs there without seeing "
     "anything. Use `np.isclose`."),
    (lambda before, after, changed: min(np.flatnonzero((before - after)[:changed] > 1e-6), default=-1),
     "You look for numbers that fall. A token that has seen the future may also become likelier: compare absolute "
     "differences."),
    (lambda before, after, changed: min(np.flatnonzero((after - before)[:changed] > 1e-6), default=-1),
     "You look for numbers that rise. A token that has seen the future may also become less likely: compare absolute "
     "differences."),
    (lambda before, after, changed: max(np.flatnonzero(~np.isclose(before, after)[:changed]), default=-1),
     "You give the last token that moved; the first was asked for.")])


def _ends(context):
    return [context[len(context) - length :] for length in range(len(context) + 1)]

def back_off(counts, context, n_symbols, shorter_of=_ends, start=1):
    probabilities = np.full(n_symbols, start / n_symbols)
    for each in shorter_of(context):
        probabilities = witten_bell(counts.get(each, np.zeros(n_symbols)), probabilities)
    return probabilities

def _tables(melody, order):
    counts = {}
    for place, symbol in enumerate(melody):
        for context in _ends(tuple(melody[max(0, place - order + 1) : place])):
            counts.setdefault(context, np.zeros(4, int))[symbol] += 1
    return counts

MELODY = [0, 1, 2, 0, 1, 3, 0, 1, 2, 2]

checker("2a.7", back_off, tolerance=1e-9,
    draw=lambda rng: (_tables(rng.integers(0, 4, 12).tolist(), 3), tuple(rng.integers(0, 4, rng.integers(4))), 4),
    cases=[(_tables(MELODY, 3), (0, 1), 4), (_tables(MELODY, 3), (3, 2), 4), (_tables(MELODY, 3), (), 4)],
    case_names=("a known context", "a context never seen whole", "an empty context"),
    fact="after the known context they are {outputs[0]}; a context never seen takes the answer of its end.", mistakes=[
    (lambda counts, context, n: back_off(counts, context, n, lambda c: [c[:k] for k in range(len(c) + 1)]),
     "You shorten the context at its end. The latest symbol says most: drop the oldest."),
    (lambda counts, context, n: back_off(counts, context, n, lambda c: _ends(c)[::-1]),
     "You begin with the longest context: the empty one then has the last word. Begin with the empty context."),
    (lambda counts, context, n: back_off(counts, context, n, lambda c: _ends(c)[-1:]),
     "You go from the longest context straight to equal probabilities; every shorter context has its say."),
    (lambda counts, context, n: back_off(counts, context, n, lambda c: _ends(c)[1:]),
     "The empty context is missing: how often each symbol occurs at all."),
    (lambda counts, context, n: back_off(counts, context, n, lambda c: _ends(c)[:-1] or [()]),
     "The whole context is missing: your longest is one symbol too short."),
    (lambda counts, context, n: back_off(counts, context, n, _ends, start=0),
     "You begin with zeros, so that a symbol never seen is impossible and your probabilities sum to less than 1. Begin "
     "with equal probabilities.")])
