"""Checkers of the exercises of notebook 9a; tasks, hints and solutions stand there. Chapter: 9a."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def _keep(probs, chosen):
    kept = np.zeros_like(probs)
    kept[chosen] = probs[chosen]
    return kept

def _normalised(probs):
    return probs / probs.sum()

def _falling(probs):
    return np.argsort(-probs, kind="stable")

def keep_k(probs, k):
    return _normalised(_keep(probs, _falling(probs)[:k]))

def _sixteenths(rng, n):
    # Whole sixteenths are exact, however they are added up.
    return rng.multinomial(16, rng.dirichlet(np.ones(n))) / 16

checker("9a.1", keep_k,
    draw=lambda rng: (_sixteenths(rng, 6), int(rng.integers(1, 7))),
    tolerance=1e-9,
    fact="two of four symbols are kept as {outputs[0]}.",
    cases=[(np.array([0.125, 0.5, 0.125, 0.25]), 2), (np.array([0.125, 0.5, 0.125, 0.25]), 3),
           (np.array([0.25, 0.0, 0.75]), 1), (np.array([0.25, 0.125, 0.0, 0.5, 0.125]), 4),
           # So many equals that a sort which does not promise their order loses it.
           (np.tile([0.0625, 0.03125, 0.0625, 0.09375], 4), 7), (np.tile([0.0125, 0.0375], 20), 29)], mistakes=[
    (lambda probs, k: _keep(probs, _falling(probs)[:k]),
     "You do not normalise: what is kept must have the sum 1 again, or nothing can be drawn from it."),
    (lambda probs, k: _normalised(_keep(probs, np.argsort(probs, kind="stable")[:k])),
     "You keep the least likely symbols: `np.argsort` puts the smallest first."),
    (lambda probs, k: _normalised(_keep(probs, probs >= np.sort(probs)[-k])),
     "You keep every symbol that ties with the last one. Keep `k`: of equals the lower index stays."),
    (lambda probs, k: _normalised(_keep(probs, np.argsort(probs, kind="stable")[::-1][:k])),
     "Of equals you keep the higher index; the lower one stays. Sort `-probs`, with `kind=\"stable\"`."),
    (lambda probs, k: _normalised(probs[_falling(probs)[:k]]),
     "You return the probabilities that are kept and lose whose they are: one number for each symbol, 0 for the rest."),
    (lambda probs, k: _keep(np.ones_like(probs), _falling(probs)[:k]) / k,
     "You make all that is kept equally likely. What is kept stays as likely as before, in proportion."),
    (lambda probs, k: _normalised(_keep(probs, np.arange(k))),
     "You keep the first `k` symbols of the array; keep the `k` likeliest."),
    (lambda probs, k: keep_k(probs, k + 1), "You keep one symbol too many: a slice `[:k]` has `k` items.")])


def keep_p(probs, p):
    order = _falling(probs)
    before = probs[order].cumsum() - probs[order]
    return _normalised(_keep(probs, order[before < p]))

def _without_the_crossing_one(probs, p):
    order = _falling(probs)
    return _normalised(_keep(probs, order[probs[order].cumsum() <= p]))

def _one_too_many(probs, p):
    order = _falling(probs)
    return _normalised(_keep(probs, order[probs[order].cumsum() - probs[order] <= p]))

def _upwards(probs, p):
    order = np.argsort(probs, kind="stable")
    return _normalised(_keep(probs, order[probs[order].cumsum() - probs[order] < p]))

def _in_the_order_of_ids(probs, p):
    return _normalised(_keep(probs, probs.cumsum() - probs < p))

checker("9a.2", keep_p,
    draw=lambda rng: (_sixteenths(rng, 6), int(rng.integers(1, 17)) / 16),
    tolerance=1e-9,
    fact="at 0.75 two of four symbols stay, {outputs[0]}; at 0.875 it takes three.",
    cases=[(np.array([0.125, 0.5, 0.125, 0.25]), 0.75), (np.array([0.125, 0.5, 0.125, 0.25]), 0.875),
           (np.array([0.0625, 0.9375]), 0.25), (np.array([0.25, 0.25, 0.25, 0.25]), 0.375)], mistakes=[
    (_without_the_crossing_one,
     "The symbol that crosses the line is missing: without it the set does not reach `p`, and where the likeliest "
     "symbol alone exceeds `p`, nothing is left."),
    (_one_too_many,
     "Where the set reaches `p` exactly you keep one more: the smallest set that reaches it is asked for."),
    (lambda probs, p: keep_p(probs, p) * probs[keep_p(probs, p) > 0].sum(),
     "You do not normalise: what is kept must have the sum 1 again, or nothing can be drawn from it."),
    (_upwards, "You begin with the least likely symbols: `np.argsort` puts the smallest first."),
    (_in_the_order_of_ids, "You add up in the order of the symbols; add up from the likeliest down."),
    (lambda probs, p: _normalised(_keep(probs, probs >= 1 - p)),
     "You compare each probability with `1 - p`. Not a single symbol must reach a level, but the set its sum."),
    (lambda probs, p: keep_k(probs, max(1, int(p * len(probs)))),
     "You keep a share of the *symbols*; `p` is a share of the probability.")])


def beam_step(log_p, log_probs, width):
    through = log_p[:, None] + log_probs
    best = np.argsort(-through, axis=None, kind="stable")[:width]
    return best // log_probs.shape[1], best % log_probs.shape[1], through.ravel()[best]

def _each_beam_by_itself(log_p, log_probs, width):
    rows, symbols = np.arange(len(log_p))[:width], log_probs.argmax(axis=1)[:width]
    return rows, symbols, log_p[rows] + log_probs[rows, symbols]

def _least_likely(log_p, log_probs, width):
    rows, symbols, new = beam_step(-log_p, -log_probs, width)
    return rows, symbols, -new

def _with(change):
    return lambda log_p, log_probs, width: change(*beam_step(log_p, log_probs, width), log_p, log_probs)

checker("9a.3", beam_step,
    draw=lambda rng: (np.log(rng.dirichlet(np.ones(3))), np.log(rng.dirichlet(np.ones(4), size=3)),
                      int(rng.integers(1, 6))),
    tolerance=1e-9, case_names=("two beams of three symbols", "a width of 3", "the first step"),
    fact="both of the new beams go on from beam 1, although beam 0 was the likelier.",
    cases=[(np.log([0.5, 0.45]), np.log([[0.4, 0.35, 0.25], [0.02, 0.5, 0.48]]), 2),
           (np.log([0.25, 0.125]), np.log([[0.125, 0.75, 0.125], [0.5, 0.25, 0.25]]), 3),
           (np.log([1.0]), np.log([[0.25, 0.25, 0.5]]), 2)], mistakes=[
    (lambda log_p, log_probs, width: beam_step(np.zeros_like(log_p), log_probs, width),
     "You forget how likely each beam is so far: add `log_p` of its row to every symbol."),
    (_each_beam_by_itself,
     "You lengthen each beam by its own likeliest symbol. All beams compete: both places may go to one of them."),
    (_least_likely,
     "You keep the least likely symbols: logarithms of probabilities are below 0, and nearer to 0 is likelier."),
    (_with(lambda rows, symbols, new, log_p, log_probs: (symbols, rows, new)),
     "Rows and symbols are exchanged: first which beams go on, then with which symbols."),
    (_with(lambda rows, symbols, new, log_p, log_probs: (rows, symbols, log_probs[rows, symbols])),
     "You return the logarithm for the last symbol alone; a beam carries the sum from its beginning."),
    (_with(lambda rows, symbols, new, log_p, log_probs: (rows[::-1], symbols[::-1], new[::-1])),
     "Your beams come with the likeliest last; put it first."),
    (_with(lambda rows, symbols, new, log_p, log_probs: (rows, rows * log_probs.shape[1] + symbols, new)),
     "Your symbols are places in the flattened table: take the remainder by the number of symbols."),
    (_with(lambda rows, symbols, new, log_p, log_probs: (rows, symbols, np.exp(new))),
     "You return probabilities; go on with logarithms, since a product of hundreds of them is 0 to a computer.")])


def calibration_error(confidence, is_right, n_bins):
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    error = 0.0
    for one in range(n_bins):
        inside = place == one
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - is_right[inside].mean())
    return float(error)

def _bins(confidence, is_right, n_bins, highest=1):
    place = np.minimum((confidence * n_bins).astype(int), n_bins - highest)
    chosen = [place == one for one in range(n_bins) if (place == one).any()]
    return [(each.mean(), confidence[each].mean(), is_right[each].mean()) for each in chosen]

def _with_middles(confidence, is_right, n_bins):
    middles = (np.minimum((confidence * n_bins).astype(int), n_bins - 1) + 0.5) / n_bins
    return calibration_error(middles, is_right, n_bins)

checker("9a.4", calibration_error,
    draw=lambda rng: (rng.integers(1, 33, 12) / 32, rng.random(12) < 0.6, int(rng.choice([1, 2, 4, 8]))),
    tolerance=1e-9, case_names=("six predictions in four bins", "the same in two", "a prediction that was certain"),
    fact="six predictions in four bins are off by {outputs[0]}, and in two bins by {outputs[1]}: the number depends on "
         "the bins.",
    cases=[(np.array([0.875, 0.75, 0.875, 0.5, 0.375, 0.9375]), np.array([1, 1, 0, 1, 1, 1], bool), 4),
           (np.array([0.875, 0.75, 0.875, 0.5, 0.375, 0.9375]), np.array([1, 1, 0, 1, 1, 1], bool), 2),
           (np.array([1.0, 1.0, 0.8125, 0.25]), np.array([True, False, True, False]), 4)], mistakes=[
    (lambda confidence, is_right, n_bins: abs(confidence.mean() - is_right.mean()),
     "You compare the two means over everything: too sure here and not sure enough there cancel. Bin by bin."),
    (lambda confidence, is_right, n_bins: sum(n * (c - r) for n, c, r in _bins(confidence, is_right, n_bins)),
     "Your differences keep their signs and cancel: take `abs` of each."),
    (lambda confidence, is_right, n_bins: np.mean([abs(c - r) for _, c, r in _bins(confidence, is_right, n_bins)]),
     "Every bin counts alike in your mean; weigh it by the share of the predictions that fall into it."),
    (lambda confidence, is_right, n_bins: sum(n * (c - r) ** 2 for n, c, r in _bins(confidence, is_right, n_bins)),
     "You square the differences; their absolute values are asked for."),
    (_with_middles,
     "You take the middle of each bin; take the mean of the confidences that fall into it."),
    (lambda confidence, is_right, n_bins: sum(n * abs(c - r) for n, c, r in _bins(confidence, is_right, n_bins, 0)
                                              if c < 1),
     "A confidence of exactly 1 falls out of your bins; it belongs to the last one."),
    (lambda confidence, is_right, n_bins: abs(confidence - is_right).mean(),
     "You compare each confidence with 0 or 1. A forecast of 0.7 that comes true seven times in ten is perfect, and "
     "has an error of 0.42 by yours."),
    (lambda confidence, is_right, n_bins: max(abs(c - r) for _, c, r in _bins(confidence, is_right, n_bins)),
     "You return the worst bin; the mean is asked for.")])


def _log_softmax(scores):
    highest = scores.max(axis=1, keepdims=True)
    return scores - highest - np.log(np.exp(scores - highest).sum(axis=1, keepdims=True))

def _losses(logits, targets, temperatures):
    return [-_log_softmax(logits / each)[np.arange(len(targets)), targets].mean() for each in temperatures]

def fit_temperature(logits, targets, temperatures):
    losses = _losses(logits, targets, temperatures)
    best = int(np.argmin(losses))
    return float(temperatures[best]), float(losses[best])

def _choose(measure, goal=np.argmin):
    def answer(logits, targets, temperatures):
        values = measure(logits, targets, temperatures)
        return temperatures[goal(values)], values[goal(values)]
    return answer

def _entropies(logits, targets, temperatures):
    rows = [_log_softmax(logits / each) for each in temperatures]
    return [-(np.exp(row) * row).sum(axis=1).mean() for row in rows]

def _mean_probs(logits, targets, temperatures):
    rows = [np.exp(_log_softmax(logits / each)) for each in temperatures]
    return [row[np.arange(len(targets)), targets].mean() for row in rows]

checker("9a.5", fit_temperature,
    draw=lambda rng: (3 * rng.normal(size=(5, 4)), rng.integers(0, 4, 5), np.array([0.5, 1.0, 2.0, 4.0])),
    tolerance=1e-9, case_names=("a network that is too sure", "one that is not sure enough", "very large logits"),
    fact="the first network is too sure and wants temperature and loss {outputs[0]}, the second {outputs[1]}.",
    cases=[(np.array([[4.0, 0, 0], [0, 4, 0], [0, 0, 4], [4, 0, 0]]), np.array([0, 1, 1, 0]),
            np.array([0.5, 1.0, 2.0, 4.0])),
           (np.array([[0.5, 0, 0], [0, 0.5, 0], [0.25, 0, 0.5]]), np.array([0, 1, 2]), np.array([0.25, 1.0, 3.0])),
           (np.array([[4000.0, 0, 0], [0, 4000, 0], [0, 0, 0]]), np.array([0, 2, 1]),
            np.array([1.0, 500.0, 2000.0, 8000.0]))], mistakes=[
    (_choose(lambda logits, targets, temperatures: _losses(logits, targets, 1 / temperatures)),
     "You multiply by the temperature: divide the logits by it."),
    (_choose(_losses, np.argmax), "You choose the highest loss; the lowest is asked for."),
    (_choose(_entropies),
     "You look at the entropy alone. The targets are missing: the most certain network has the least entropy, right or "
     "wrong."),
    (_choose(_mean_probs, np.argmax),
     "You average the probabilities; average their logarithms. Else a target with nearly no probability costs next to "
     "nothing."),
    (lambda logits, targets, temperatures: (temperatures[(losses := _losses(logits, targets, temperatures)).index(
        min(losses))], -min(losses)),
     "The sign of your loss is wrong: the loss is *minus* the logarithm."),
    (lambda logits, targets, temperatures: (temperatures[0], _losses(logits, targets, temperatures)[0]),
     "You return the first temperature. Is it compared with the others?"),
    (lambda logits, targets, temperatures: (fit_temperature(logits, targets, temperatures)[0],
                                            fit_temperature(logits, targets, temperatures)[1] * len(targets)),
     "You add up the losses; their mean is asked for.")])
