"""Checkers of the exercises of notebook 9b; tasks, hints and solutions stand there. Chapter: 9b."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def below_the_others(above, n_symbols):
    ids = np.arange(n_symbols)
    sounding = above[above > 0]
    return ids <= sounding.min() if len(sounding) else ids >= 0

def _ids(n_symbols):
    return np.arange(n_symbols)

checker("9b.1", below_the_others,
    draw=lambda rng: (rng.integers(0, 7, rng.integers(0, 4)), int(rng.integers(7, 9))),
    case_names=("a tenor below two voices", "a voice below a rest", "the highest voice", "a voice below two rests",
                "a tenor below a crossing"),
    fact="below symbols 6 and 4, a voice may rest or sing 1 to 4; a rest above forbids nothing.",
    cases=[(np.array([6, 4]), 8), (np.array([5, 0]), 7), (np.array([], int), 7), (np.array([0, 0]), 7),
           (np.array([3, 5]), 7)], mistakes=[
    (lambda above, n_symbols: _ids(n_symbols) <= min([*above, n_symbols]),
     "You treat a rest above as a very low note, and then nothing but a rest is left. Look at sounding voices alone."),
    (lambda above, n_symbols: _ids(n_symbols) < min([*above[above > 0], n_symbols]),
     "You forbid unisons. A voice that sings the same pitch as the one above does not cross it."),
    (lambda above, n_symbols: _ids(n_symbols) >= max([*above[above > 0], 0]),
     "Your mask is upside down: it allows what lies *above* the other voices."),
    (lambda above, n_symbols: _ids(n_symbols) <= ([*above[above > 0], n_symbols][-2] if (above > 0).any()
                                                   else n_symbols),
     "You look at the voice directly above alone. If that one has crossed, another may be lower: take the lowest."),
    (lambda above, n_symbols: (_ids(n_symbols) > 0) & below_the_others(above, n_symbols),
     "You forbid the rest, symbol 0. A voice that rests crosses nobody."),
    (lambda above, n_symbols: ~below_the_others(above, n_symbols),
     "True and False are exchanged: True stands for what may be sung."),
    (lambda above, n_symbols: _ids(n_symbols) <= max([*above[above > 0], 0] if (above > 0).any() else [n_symbols]),
     "You compare with the highest voice; it is the lowest of those above that must not be crossed."),
    (lambda above, n_symbols: _ids(n_symbols)[below_the_others(above, n_symbols)],
     "You return the symbols that are allowed; return one truth for each symbol.")])


def reject(first, then, is_allowed, draws):
    for n_tries, (one, other) in enumerate(draws.reshape(-1, 2), start=1):
        a = int(np.searchsorted(first.cumsum(), one, side="right"))
        b = int(np.searchsorted(then[a].cumsum(), other, side="right"))
        if is_allowed[a, b]:
            return a, b, n_tries
    return None

def _pick(probs, number, side="right"):
    return int(np.searchsorted(probs.cumsum(), number, side=side))

def _keep_the_first(first, then, is_allowed, draws):
    a = _pick(first, draws[0])
    for n_tries, number in enumerate(draws[1:], start=1):
        b = _pick(then[a], number)
        if is_allowed[a, b]:
            return a, b, n_tries
    return None

def _with_tries(change):
    def answer(first, then, is_allowed, draws):
        a, b, n_tries = reject(first, then, is_allowed, draws)
        return a, b, change(n_tries)
    return answer

def _one_row(first, then, is_allowed, draws):
    for n_tries, number in enumerate(draws, 1):
        a, b = _pick(first, number), _pick(then[_pick(first, number)], number)
        if is_allowed[a, b]:
            return a, b, n_tries
    return None

def _never_rejects(first, then, is_allowed, draws):
    a = _pick(first, draws[0])
    return a, _pick(then[a], draws[1]), 1

def _likeliest(first, then, is_allowed, draws):
    pairs = first[:, None] * then * is_allowed
    a, b = np.unravel_index(pairs.argmax(), pairs.shape)
    return int(a), int(b), 1

_FIRST, _THEN = np.array([0.75, 0.25]), np.array([[0.875, 0.125], [0.5, 0.5]])
_ALLOWED = np.array([[False, True], [True, True]])

def _table(rng, rows, columns):
    # Whole sixteenths are exact, however they are added up.
    return rng.multinomial(16, rng.dirichlet(np.ones(columns)), size=rows) / 16

def _two_notes(rng):
    # Something is allowed, and likely, after each first note.
    then = _table(rng, 3, 3)
    is_allowed = (rng.random((3, 3)) < 0.5) | (then == then.max(axis=1, keepdims=True))
    return _table(rng, 1, 3)[0], then, is_allowed

checker("9b.2", reject,
    draw=lambda rng: (*_two_notes(rng), rng.integers(0, 16, 400) / 16),
    case_names=("a pair that is allowed at once", "a pair that is refused twice", "draws on the edge of two notes",
                "three notes"),
    fact="the second case throws two pairs away, first notes too.",
    cases=[(_FIRST, _THEN, _ALLOWED, np.array([0.875, 0.25, 0.5, 0.5])),
           (_FIRST, _THEN, _ALLOWED, np.array([0.5, 0.5, 0.25, 0.125, 0.8125, 0.5625, 0.0, 0.9375])),
           (_FIRST, _THEN, _ALLOWED, np.array([0.0, 0.25, 0.75, 0.5, 0.0, 0.0])),
           (np.array([0.25, 0.0, 0.75]), np.array([[0.5, 0.5, 0], [0, 0, 1], [0.25, 0.25, 0.5]]),
            np.array([[True, False, True], [True, True, True], [False, False, True]]),
            np.array([0.0, 0.75, 0.25, 0.125, 0.25, 0.5, 0.5, 0.5]))], mistakes=[
    (_keep_the_first,
     "After a refused pair you keep its first note and draw the second again. That is what a mask does; rejection "
     "throws the whole pair away."),
    (_never_rejects, "You return the first pair, allowed or not."),
    (_one_row, "You use one number for both notes; each note takes the next."),
    (_with_tries(lambda n_tries: n_tries - 1), "The pair that is allowed is a try too: count it."),
    (_with_tries(lambda n_tries: 2 * n_tries), "You count notes or numbers; a try is a pair."),
    (_likeliest, "You take the likeliest pair that is allowed. Draw, with the numbers that are given."),
    (lambda first, then, is_allowed, draws: reject(first, then, is_allowed.T, draws),
     "You look up the pair the wrong way round: the first note is the row of `is_allowed`.")])


def two_ways(first, then, is_allowed):
    kept = then * is_allowed
    masked = first[:, None] * kept / kept.sum(axis=1, keepdims=True)
    pairs = first[:, None] * kept
    return masked, pairs / pairs.sum()

def _not_normalised(first, then, is_allowed):
    return first[:, None] * then * is_allowed, first[:, None] * then * is_allowed

def _rows_again(first, then, is_allowed):
    return two_ways(first, then, is_allowed)[0], two_ways(first, then, is_allowed)[0]

def _whole_again(first, then, is_allowed):
    return two_ways(first, then, is_allowed)[1], two_ways(first, then, is_allowed)[1]

def _without_first(first, then, is_allowed):
    kept = then * is_allowed
    return kept / kept.sum(axis=1, keepdims=True), kept / kept.sum()

def _alike(first, then, is_allowed):
    masked = first[:, None] * is_allowed / is_allowed.sum(axis=1, keepdims=True)
    return masked, is_allowed / is_allowed.sum()

def _by_column(first, then, is_allowed):
    kept = first[:, None] * then * is_allowed
    return kept / np.where(kept.sum(axis=0), kept.sum(axis=0), 1), kept / kept.sum()

checker("9b.4", two_ways,
    draw=_two_notes,
    tolerance=1e-9, case_names=("two notes", "everything allowed", "three notes"),
    fact="after note 0 little is allowed. Masks begin with it as often as before, whole pairs far less often.",
    cases=[(_FIRST, _THEN, _ALLOWED), (_FIRST, _THEN, np.ones((2, 2), bool)),
           (np.array([0.5, 0.25, 0.25]), np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.125, 0.75]]),
            np.array([[False, True, False], [True, True, False], [True, True, True]]))], mistakes=[
    (_not_normalised, "Neither table sums to 1: what is left must be normalised, once per row and once as a whole."),
    (_rows_again,
     "Your second table is the first one again. Whole pairs are normalised together, not row by row."),
    (_whole_again,
     "Your first table is that of whole pairs. A mask normalises after each first note: every row keeps its share."),
    (lambda *given: two_ways(*given)[::-1], "The two tables are exchanged: masks first."),
    (_without_first, "The first note is missing: multiply each row by its probability."),
    (_alike, "You make all that is allowed equally likely; it keeps its proportions."),
    (_by_column, "You normalise by columns; the second notes after one first note stand in a row: `axis=1`."),
    (lambda first, then, is_allowed: two_ways(first, then, ~is_allowed),
     "You keep what is forbidden: True in `is_allowed` stays.")])


def particle_step(log_weights, log_share, start):
    log_weights = log_weights + log_share
    weights = np.exp(log_weights - log_weights.max())
    weights = weights / weights.sum()
    n = len(weights)
    if 1 / (weights**2).sum() >= n / 2:
        return np.arange(n), log_weights
    places = (start + np.arange(n)) / n
    return np.searchsorted(weights.cumsum(), places, side="right"), np.zeros(n)

def _weights(log_weights):
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()

def _rows(weights, start):
    n = len(weights)
    return np.searchsorted(weights.cumsum(), (start + np.arange(n)) / n, side="right")

def _always(log_weights, log_share, start):
    return _rows(_weights(log_weights + log_share), start), np.zeros(len(log_weights))

def _never(log_weights, log_share, start):
    return np.arange(len(log_weights)), log_weights + log_share

def _keeps_weights(log_weights, log_share, start):
    rows, _ = particle_step(log_weights, log_share, start)
    return rows, (log_weights + log_share)[rows]

def _forgets_weights(log_weights, log_share, start):
    rows, new = particle_step(log_weights, log_share, start)
    return rows, np.zeros(len(new))

def _best_only(log_weights, log_share, start):
    rows, new = particle_step(log_weights, log_share, start)
    is_poor = not np.array_equal(rows, np.arange(len(rows)))
    return (np.full(len(rows), (log_weights + log_share).argmax()) if is_poor else rows), new

def _other_way(log_weights, log_share, start):
    weights = _weights(log_weights + log_share)
    is_poor = 1 / (weights**2).sum() < len(weights) / 2
    return _never(log_weights, log_share, start) if is_poor else _always(log_weights, log_share, start)

def _overflow(log_weights, log_share, start):
    weights = np.exp(log_weights + log_share)
    if weights.sum() == 0:
        return np.arange(len(weights)), log_weights + log_share
    return particle_step(log_weights, log_share, start)

checker("9b.5", particle_step,
    draw=lambda rng: (3 * rng.normal(size=5), np.log(rng.dirichlet(np.ones(5))), int(rng.integers(0, 64)) / 64),
    tolerance=1e-9, case_names=("four drafts of which two are worth much", "drafts that are worth about the same",
                                "a draft in a corner", "very small weights"),
    fact="in the first case two drafts are copied and two dropped; in the second nothing is replaced.",
    cases=[(np.log([0.5, 0.02, 0.03, 0.9]), np.log([0.9, 0.5, 0.4, 1.0]), 0.25),
           (np.log([0.2, 0.4, 0.5, 0.7]), np.log([0.5, 0.75, 0.5, 0.5]), 0.5),
           (np.array([0.0, 0.0, 0.0]), np.array([-np.inf, -6.0, -0.5]), 0.75),
           (np.array([-2000.0, -2004.0, -2010.0, -2001.0]), np.array([-3.0, -1.0, -0.5, -9.0]), 0.125)],
    mistakes=[
    (_always,
     "You resample at every step. Do so where the effective number has fallen below half: each time drafts are lost."),
    (_never, "You never resample: drafts that are worth nothing go on being written."),
    (_keeps_weights,
     "After resampling the drafts keep their old weights. Copies stand for weight now: all weights begin anew, with "
     "logarithm 0."),
    (_forgets_weights, "Where nothing is resampled you lose the weights: return the sums."),
    (_best_only, "You copy the best draft alone. Each draft gets copies in proportion to its weight."),
    (_other_way, "You resample where the effective number is high. It is needed where it is low."),
    (lambda log_weights, log_share, start: particle_step(log_share, np.zeros(len(log_share)), start),
     "You look at the last cell alone: add its `log_share` to the weights that the drafts have already."),
    (_overflow, "Very small weights vanish: the exponential of -2000 is 0. Subtract the largest logarithm first."),
    (lambda log_weights, log_share, start: particle_step(log_weights, log_share, 0.0),
     "You do not use `start`: the first place is `start / n`, and the others follow at distances of `1 / n`.")])


def no_parallels(before, above, n_symbols):
    ids, own = np.arange(n_symbols), before[len(above)]
    is_allowed = np.ones(n_symbols, bool)
    for was, now in zip(before, above, strict=False):
        interval = abs(own - was) % 12
        if interval in (0, 7) and min(own, was, now) > 0 and now != was:
            is_kept = abs(ids - now) % 12 == interval
            is_together = np.sign(ids - own) == np.sign(now - was)
            is_allowed &= ~(is_kept & is_together & (ids > 0))
    return is_allowed

def _variant(intervals=(0, 7), directed=True, same_kind=True, first_only=False, rests=True, oblique=False, octave=12):
    def answer(before, above, n_symbols):
        ids, own, allowed = np.arange(n_symbols), before[len(above)], np.ones(n_symbols, bool)
        for was, now in list(zip(before, above, strict=False))[:1 if first_only else None]:
            interval = abs(own - was) % octave
            if interval in intervals and (oblique or now != was) and (not rests or min(own, was, now) > 0):
                is_kept = abs(ids - now) % octave == interval if same_kind else np.isin(abs(ids - now) % 12, (0, 7))
                is_together = np.sign(ids - own) == np.sign(now - was) if directed else ids != own
                allowed &= ~(is_kept & is_together & ((ids > 0) | (not rests)))
        return allowed
    return answer

def _chord(rng):
    # Many fifths and octaves, so that something is forbidden.
    before = np.clip(rng.integers(13, 40) - np.array([0, *rng.choice([0, 7, 12, 19, 4, 9], 3)]), 0, 46)
    above = np.clip(before[: rng.integers(0, 4)] + rng.integers(-3, 4), 0, 46)
    return np.where(rng.random(4) < 0.1, 0, before), np.where(rng.random(len(above)) < 0.1, 0, above), 47

checker("9b.6", no_parallels,
    draw=_chord,
    case_names=("a bass an octave below the soprano", "an alto a fifth below", "a voice above that holds",
                "a voice that rests", "a twelfth", "two voices above", "a tenor a fourth below the alto",
                "an alto that may rest", "a very low tenor", "a tenor that may go very low"),
    fact="in the first case only 27, 39 and 41 are forbidden: an octave or a fifth from a voice that rises too.",
    cases=[(np.array([37, 32, 29, 25]), np.array([39, 34, 27]), 47), (np.array([32, 25, 20, 13]), np.array([30]), 47),
           (np.array([32, 25, 20, 13]), np.array([32]), 47), (np.array([32, 0, 20, 13]), np.array([34]), 47),
           (np.array([40, 33, 21, 10]), np.array([42, 35]), 47),
           (np.array([36, 29, 24, 17]), np.array([38, 0, 26]), 47),
           (np.array([33, 26, 21, 14]), np.array([31, 28]), 47), (np.array([21, 14, 2, 17]), np.array([19]), 47),
           (np.array([13, 9, 1, 13]), np.array([15, 11]), 47), (np.array([16, 9, 16, 7]), np.array([15, 8]), 47)],
    mistakes=[
    (_variant(directed=False),
     "You forbid contrary motion too: a parallel is made where both voices move the *same* way."),
    (_variant(same_kind=False),
     "From a fifth you forbid the step to an octave as well. A parallel keeps the interval that it had."),
    (_variant(intervals=(7,)), "You forbid fifths alone; octaves and unisons are parallels too."),
    (_variant(intervals=(0,)), "You forbid octaves alone; fifths are parallels too."),
    (_variant(intervals=(0, 5, 7)), "You forbid parallel fourths, which the style allows."),
    (_variant(first_only=True), "You compare with the soprano alone; compare with every voice that is written above."),
    (_variant(rests=False),
     "You count rests as notes: symbol 0 is silence, and where one of two voices is silent there is no parallel."),
    (_variant(oblique=True), "You forbid to stay where the other voice stays. Both must move for a parallel."),
    (_variant(octave=48), "You miss twelfths and double octaves: compare intervals modulo 12."),
    (lambda before, above, n_symbols: ~no_parallels(before, above, n_symbols),
     "True and False are exchanged: True stands for what may be sung."),
    (lambda before, above, n_symbols: np.ones(n_symbols, bool), "You allow everything.")])
