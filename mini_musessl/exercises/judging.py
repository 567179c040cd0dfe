"""Checkers of the exercises of notebook 9c; tasks, hints and solutions stand there. Chapter: 9c."""

import math

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def groove(has_onset, bar_steps):
    n_bars = len(has_onset) // bar_steps
    bars = has_onset[: n_bars * bar_steps].reshape(n_bars, bar_steps)
    return float((bars[1:] == bars[:-1]).mean())

def _bars(has_onset, bar_steps, n_more=0):
    n_bars = len(has_onset) // bar_steps + n_more
    return np.append(has_onset, np.zeros(bar_steps, bool))[: n_bars * bar_steps].reshape(n_bars, bar_steps)

def _alike(bars):
    return bars[1:] == bars[:-1]

checker("9c.1", groove,
    draw=lambda rng: (rng.random(int(rng.integers(10, 20))) < 0.4, int(rng.integers(2, 6))),
    tolerance=1e-9, case_names=("two bars and a half", "three bars", "four bars that are nearly empty"),
    fact="{outputs[0]} for two bars and a half, {outputs[2]} for four bars with a single onset: sparse music scores "
         "high.",
    cases=[(np.array([1, 0, 1, 0, 1, 1, 1, 0, 1, 1], bool), 4), (np.array([1, 0, 0, 1, 1, 0, 0, 0, 1], bool), 3),
           (np.array([1] + 19 * [0], bool), 5)], mistakes=[
    (lambda has_onset, n: _alike(_bars(has_onset, n, 1)).mean(),
     "You compare with one bar more, filled up with silence: MusPy's bar that is not there. Leave out what is not a "
     "whole bar."),
    (lambda has_onset, n: 1 - _alike(_bars(has_onset, n)).mean(),
     "You give the share of places that differ. The consistency is the share of those that are alike."),
    (lambda has_onset, n: (_bars(has_onset, n)[1:] & _bars(has_onset, n)[:-1]).mean(),
     "You count only places at which both bars have an onset. Places at which neither has one are alike too; so sparse "
     "music scores high."),
    (lambda has_onset, n: (_bars(has_onset, n)[1:] == _bars(has_onset, n)[:1]).mean(),
     "You compare each bar with the first. Compare it with its neighbour."),
    (lambda has_onset, n: _alike(_bars(has_onset, n)).all(axis=1).mean(),
     "You ask whether whole bars are equal. The share of *places* is asked for."),
    (lambda has_onset, n: _alike(_bars(has_onset, n)).sum(),
     "You return a number of places; the *share* of places is asked for, between 0 and 1."),
    (lambda has_onset, n: (has_onset[1:] == has_onset[:-1]).mean(),
     "You compare each step with the next. Compare it with the same place of the next bar.")])


def overlapping_area(first, second, edges):
    shares = [np.histogram(values, edges)[0] / len(values) for values in (first, second)]
    return float(np.minimum(*shares).sum())

def _shares(first, second, edges):
    return [np.histogram(values, edges)[0] / len(values) for values in (first, second)]

checker("9c.2", overlapping_area,
    draw=lambda rng: (rng.random(int(rng.integers(3, 9))), rng.random(int(rng.integers(3, 9))) ** 2,
                      np.array([0, 0.25, 0.5, 1.0])),
    tolerance=1e-9, case_names=("sets of four and five", "the same set twice", "sets that are apart"),
    fact="{outputs[0]} for sets of four and five, {outputs[1]} for the same set twice, {outputs[2]} where nothing is "
         "shared.",
    cases=[(np.array([1.0, 2, 2, 3]), np.array([2.0, 2, 3, 4, 4]), np.array([0.5, 1.5, 2.5, 3.5, 4.5])),
           (np.array([1.0, 2, 4]), np.array([4.0, 1, 2]), np.array([0.0, 2, 3, 6])),
           (np.array([1.0, 1.5]), np.array([5.0, 5.5, 6]), np.array([0.0, 2, 4, 8]))], mistakes=[
    (lambda first, second, edges: np.minimum(*(np.histogram(v, edges)[0] for v in (first, second))).sum(),
     "You compare counts. Divide each by the size of its own set: the sets need not be of one size."),
    (lambda first, second, edges: np.minimum(*(np.histogram(v, edges)[0] for v in (first, second))).sum()
                                  / len(first),
     "You divide both counts by the size of the first set. Each set has its own size."),
    (lambda first, second, edges: np.minimum(*_shares(first, second, edges)).sum()
                                  / np.maximum(*_shares(first, second, edges)).sum(),
     "You divide what is shared by what either has. The area under the lower of the two is asked for, divided by "
     "nothing."),
    (lambda first, second, edges: np.maximum(*_shares(first, second, edges)).sum(),
     "You add up the higher of the two in each bin; the lower one is what they share."),
    (lambda first, second, edges: np.prod(_shares(first, second, edges), axis=0).sum(),
     "You multiply the shares: that is the chance that two drawn values fall into one bin, below 1 even for the same "
     "set twice."),
    (lambda first, second, edges: abs(np.subtract(*_shares(first, second, edges))).sum() / 2,
     "You give what is *not* shared: 0 for the same set twice."),
    (lambda first, second, edges: np.minimum(*(np.histogram(v, edges, density=True)[0]
                                               for v in (first, second))).sum(),
     "You add up densities. An area is a height times a width; shares have the width in them.")])


def frechet(first, second):
    shift = first.mean(axis=0) - second.mean(axis=0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(one @ two).real.clip(min=0))
    return float(shift @ shift + np.trace(one) + np.trace(two) - 2 * roots.sum())

def _moments(first, second, ddof=1):
    covariances = [np.cov(values, rowvar=False, ddof=ddof) for values in (first, second)]
    return first.mean(axis=0) - second.mean(axis=0), *covariances

def _roots(one, two):
    return np.sqrt(np.linalg.eigvals(one @ two).real.clip(min=0)).sum()

def _frechet_with(first, second, shift_of=lambda shift: shift @ shift, factor=2.0, roots_of=_roots, ddof=1):
    shift, one, two = _moments(first, second, ddof)
    return shift_of(shift) + np.trace(one) + np.trace(two) - factor * roots_of(one, two)

_CLOUD = np.array([[0.0, 0], [1, 0], [0, 2], [3, 1], [1, 4], [2, 2]])
_OTHER = np.array([[1.0, 0], [0, 3], [-1, 2], [2, -2], [0, 0.5], [3, -1], [-2, 2.5]])

checker("9c.3", frechet,
    draw=lambda rng: (rng.normal(size=(6, 2)) @ rng.normal(size=(2, 2)), rng.normal(size=(8, 2)) + rng.normal(size=2)),
    tolerance=1e-6, case_names=("two sets of other shapes", "a set and the same moved by (3, -1)",
                                "a set and the same twice as wide"),
    fact="{outputs[0]} for two sets of other shapes; {outputs[1]} for a set that was moved by (3, -1), which is "
         "3 squared and 1 squared.",
    cases=[(_CLOUD, _OTHER), (_CLOUD, _CLOUD + np.array([3.0, -1])),
           (_CLOUD, 2 * (_CLOUD - _CLOUD.mean(axis=0)) + _CLOUD.mean(axis=0))], mistakes=[
    (lambda first, second: _frechet_with(first, second, np.linalg.norm),
     "You add the distance between the means; its *square* is asked for."),
    (lambda first, second: _frechet_with(first, second, lambda shift: 0.0),
     "You leave out the means: a set that was only moved is at distance 0 by yours."),
    (lambda first, second: (_moments(first, second)[0] ** 2).sum(),
     "You compare the means alone. Two sets with one mean can be quite different: look at the covariances."),
    (lambda first, second: _frechet_with(first, second, factor=1.0),
     "The factor 2 before the square root is missing: a set is not at distance 0 from itself."),
    (lambda first, second: _frechet_with(first, second, roots_of=lambda one, two: np.trace(
        np.sqrt(np.abs(one @ two)))),
     "You take the square root of each entry. The root of a *matrix* is meant: the roots of its eigenvalues add up to "
     "its trace."),
    (lambda first, second: _frechet_with(first, second, roots_of=lambda one, two: np.sqrt(
        np.diag(one) * np.diag(two)).sum()),
     "You use the variances and forget what features do together: use the whole covariance matrices."),
    (lambda first, second: _frechet_with(first, second, roots_of=lambda one, two: np.linalg.eigvals(
        one @ two).real.sum()),
     "You add up the eigenvalues; add up their square roots."),
    (lambda first, second: math.sqrt(max(_frechet_with(first, second), 0)),
     "You take the square root of everything. By custom the Frechet distance of two sets is left squared."),
    (lambda first, second: _frechet_with(first, second, ddof=0),
     "Your covariances divide by n. np.cov divides by n - 1, and so does the book.")])


def p_value(n_right, n):
    return sum(math.comb(n, k) for k in range(n_right, n + 1)) / 2**n

checker("9c.5", p_value,
    draw=lambda rng: (lambda n: (int(rng.integers(0, n + 1)), n))(int(rng.integers(1, 31))),
    tolerance=1e-9, case_names=("9 of 10", "8 of 10", "0 of 3", "30 of 40"),
    fact="9 of 10 has {outputs[0]} and 8 of 10 has {outputs[1]}: one pair decides whether it is below 0.05.",
    cases=[(9, 10), (8, 10), (0, 3), (30, 40)], mistakes=[
    (lambda n_right, n: math.comb(n, n_right) / 2**n,
     "You give the probability of exactly so many. Whoever has more would convince you too: add those up."),
    (lambda n_right, n: sum(math.comb(n, k) for k in range(n_right + 1, n + 1)) / 2**n,
     "You begin one too high: the number that was reached counts."),
    (lambda n_right, n: sum(math.comb(n, k) for k in range(n_right, n)) / 2**n,
     "You stop one too early: all right is a result too. A range ends before its last number."),
    (lambda n_right, n: sum(math.comb(n, k) for k in range(n_right + 1)) / 2**n,
     "You add up the lower end: so many or fewer. Who guesses would have to do as well, or *better*."),
    (lambda n_right, n: min(1.0, 2 * p_value(n_right, n)),
     "You count both ends. Here only those who do better speak for a listener: one end."),
    (lambda n_right, n: 0.5**n_right,
     "You give the probability that certain pairs are all right. Which ones were right is left open: count the ways."),
    (lambda n_right, n: math.erfc((n_right - n / 2) / math.sqrt(n / 2)) / 2,
     "You use a normal curve. With so few pairs it is off; the counts are exact and no harder."),
    (lambda n_right, n: n_right / n, "That is the share that was right. How often does a coin do as well?")])


def interval(n_right, n, skills):
    def tail(ks, skill):
        return sum(math.comb(n, k) * skill**k * (1 - skill) ** (n - k) for k in ks)

    kept = [
        skill
        for skill in skills
        if tail(range(n_right, n + 1), skill) >= 0.025 and tail(range(n_right + 1), skill) >= 0.025
    ]
    return min(kept), max(kept)

def _tail(ks, n, skill):
    return sum(math.comb(n, k) * skill**k * (1 - skill) ** (n - k) for k in ks)

def _kept(n_right, n, skills, level=0.025, upper=0, lower=1, joined=all):
    kept = [s for s in skills if joined((_tail(range(n_right + upper, n + 1), n, s) >= level,
                                         _tail(range(n_right + lower), n, s) >= level))]
    return (min(kept), max(kept)) if kept else (math.nan, math.nan)

_SKILLS = [step / 100 for step in range(101)]

checker("9c.6", interval,
    draw=lambda rng: (lambda n: (int(rng.integers(0, n + 1)), n, _SKILLS))(int(rng.integers(3, 21))),
    tolerance=1e-9, case_names=("9 of 10", "14 of 20", "3 of 3", "0 of 8"),
    fact="9 of 10 fit skills of {outputs[0]}, 3 of 3 of {outputs[2]}.",
    cases=[(9, 10, _SKILLS), (14, 20, _SKILLS), (3, 3, _SKILLS), (0, 8, _SKILLS)], mistakes=[
    (lambda n_right, n, skills: _kept(n_right, n, skills, level=0.05),
     "You leave 5 % at either end: together 10 %, an interval of 90 %. Leave 2.5 % at each."),
    (lambda n_right, n, skills: _kept(n_right, n, skills, upper=1, lower=0),
     "Your tails begin one beyond what was found. The number that was reached belongs to both."),
    (lambda n_right, n, skills: _kept(n_right, n, skills, joined=lambda both: both[0]),
     "You look at one end only: no skill is too high for you. A skill of 1 would have got all right."),
    (lambda n_right, n, skills: _kept(n_right, n, skills, joined=lambda both: both[1]),
     "You look at one end only: no skill is too low for you."),
    (lambda n_right, n, skills: _kept(n_right, n, skills, joined=any),
     "You keep a skill that passes at one of the two ends; it must pass at both."),
    (lambda n_right, n, skills: (n_right / n - 1.96 * math.sqrt(n_right / n * (1 - n_right / n) / n),
                                 n_right / n + 1.96 * math.sqrt(n_right / n * (1 - n_right / n) / n)),
     "You use a normal curve: for 3 of 3 its interval is a single point, as if three pairs could prove perfection."),
    (lambda n_right, n, skills: (n_right / n, n_right / n),
     "That is the share that was right. Which other skills could have led to it?")])
