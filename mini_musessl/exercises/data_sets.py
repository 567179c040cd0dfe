"""Checkers of the exercises of notebook 3c; tasks, hints and solutions stand there. Chapter: 3c."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def split_by_group(group, is_held_out):
    return is_held_out[group]

def _split_one_of_each(group, is_held_out):
    is_first = np.zeros(len(group), bool)
    is_first[np.unique(group, return_index=True)[1]] = True
    return is_held_out[group] & is_first

checker("3c.1", split_by_group,
    draw=lambda rng: (rng.integers(0, 4, 7), rng.random(4) < 0.5),
    cases=[(np.array([0, 1, 0, 2, 2, 1]), np.array([True, False, False])),
           (np.array([1, 2, 2, 0]), np.array([False, False, True]))], fact="no tune stands on both sides.", mistakes=[
    (lambda group, is_held_out: np.arange(len(group)) < is_held_out.sum(),
     "You hold out the first pieces of the list. Which piece goes where must depend on its tune alone."),
    (_split_one_of_each,
     "You hold out one piece of each held-out tune; its sisters stay in training, and that is the leak."),
    (lambda group, is_held_out: ~is_held_out[group],
     "You return which pieces are trained on: the answer is inverted.")])


def _same_intervals(one, other, what_counts=np.copy):
    same = np.array_equal(what_counts(np.diff(one)), what_counts(np.diff(other)))
    return len(one) == len(other) and same

def same_music(one, other):
    return _same_intervals(one, other)

def _two_tunes(rng):
    one = rng.integers(55, 75, rng.integers(3, 7))
    other = one + rng.integers(-7, 8)
    other[rng.integers(len(one))] += rng.choice([0, 0, 12, 1])
    return one, other[: len(one) - rng.integers(0, 2)]

checker("3c.2", same_music, draw=_two_tunes,
    cases=[(np.array([60, 62, 64]), np.array([65, 67, 69])), (np.array([60, 62, 64]), np.array([60, 62, 64])),
           (np.array([60, 62, 64]), np.array([60, 61, 64])), (np.array([60, 67, 64]), np.array([60, 55, 64])),
           (np.array([60, 62, 64]), np.array([60, 62, 64, 65])), (np.array([60, 64, 62]), np.array([70, 82, 80]))],
    fact="intervals and lengths decide, the key does not.", mistakes=[
    (np.array_equal, "You compare pitches: a tune a tone higher counts as another tune. Compare intervals."),
    (lambda one, other: _same_intervals(one, other, lambda interval: interval % 12),
     "You compare intervals modulo the octave: a fifth up and a fourth down count as the same."),
    (lambda one, other: _same_intervals(one, other, np.sign),
     "You compare directions only: every rising scale would be the same tune."),
    (lambda one, other: same_music(one[: len(other)], other[: len(one)]),
     "You compare only the notes that both have: a tune and its own beginning are not the same.")])


def leaked_share(train_tunes, test_tunes):
    return float(np.mean([tune in set(train_tunes) for tune in test_tunes]))

checker("3c.3", leaked_share,
    draw=lambda rng: tuple(rng.integers(0, 6, (2, 4)).tolist()),
    tolerance=1e-9,
    cases=[([1, 1, 2, 5], [1, 1, 1, 3]), ([1, 2, 3], [4, 5]), ([1, 2], [2, 3, 2, 1])],
    fact="for the first example three of four test pieces are on a known tune.", mistakes=[
    (lambda train, test: len({*train} & {*test}) / len({*test}),
     "You count tunes: three test pieces on one known tune are three known pieces. For {input} you give {found}."),
    (lambda train, test: leaked_share(test, train),
     "You give the share of training pieces that occur in the test; the question is the other way round."),
    (lambda train, test: len({*train} & {*test}) / len({*train, *test}),
     "You divide the shared tunes by all tunes; divide the known test pieces by the test pieces.")])


def _shifts(low, high, lowest, highest):
    return [shift for shift in range(-6, 7) if low + shift >= lowest and high + shift <= highest]

def allowed_shifts(pitch, lowest, highest):
    sounding = pitch[pitch != -1]
    return _shifts(sounding.min(), sounding.max(), lowest, highest)

checker("3c.4", allowed_shifts,
    draw=lambda rng: (rng.integers(55, 70, (4, 2)) * (loud := rng.random((4, 2)) < 0.7) - ~loud,
                      int(rng.integers(48, 58)), int(rng.integers(66, 78))),
    cases=[(np.array([[72, 67], [74, -1]]), 60, 77), (np.array([[60, 48]]), 48, 60),
           (np.array([[65, 55], [-1, 55]]), 36, 81)], fact="a grid that already fills the range may move by 0 alone.",
    mistakes=[
    (lambda pitch, *ends: _shifts(pitch.min(), pitch.max(), *ends),
     "You take the rest, -1, for a pitch: then nothing fits. Leave rests out before you look for the lowest."),
    (lambda pitch, *ends: _shifts(pitch.max(), pitch[pitch != -1].min(), *ends),
     "You ask that some cell stays in range; every cell must. For {input} you give {found}."),
    (lambda pitch, lowest, highest: allowed_shifts(pitch, lowest, highest - 1),
     "You shut out the highest pitch itself: both ends belong to the range.")])


def may_reuse(kept, now):
    return kept[1:] == now[1:]

checker("3c.5", may_reuse,
    draw=lambda rng: tuple((f"{a}.mid", f"f00{b}", f"{c}") for a, b, c in rng.integers(0, 2, (2, 3))),
    cases=[(("a.mid", "f00d", "1"), ("a.mid", "f00d", "1")), (("a.mid", "f00d", "1"), ("copy of a.mid", "f00d", "1")),
           (("a.mid", "f00d", "1"), ("a.mid", "beef", "1")), (("a.mid", "f00d", "1"), ("a.mid", "f00d", "2")),
           (("a.mid", "f00d", "1"), ("b.mid", "beef", "2"))],
    fact="content and reader version decide, the name does not.", mistakes=[
    (lambda kept, now: kept[0] == now[0], "You go by the name: an edited file answers with its past."),
    (lambda kept, now: kept[1] == now[1],
     "You go by the content alone: when the reader is mended, the old results stay."),
    (lambda kept, now: kept == now, "A renamed copy is read again: that is safe, and wasted. Leave the name out."),
    (lambda kept, now: kept[1] == now[1] or kept[2] == now[2],
     "Content and reader must both agree; you are content with one of them.")])


def pairwise(one, other):
    difference = np.subtract(one, other)
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))

def _pairwise_unpaired(one, other):
    variance = np.var(one, ddof=1) / len(one) + np.var(other, ddof=1) / len(other)
    return np.mean(one) - np.mean(other), np.sqrt(variance)

checker("3c.6", pairwise,
    draw=lambda rng: tuple(rng.random((2, rng.integers(2, 7))).tolist()),
    tolerance=1e-9,
    cases=[([0.5, 0.7, 0.9, 0.4], [0.4, 0.65, 0.8, 0.35]), ([1.0, 2.0, 4.0], [1.5, 2.0, 3.0])],
    fact="paired differences are far less noisy than the scores themselves.", mistakes=[
    (_pairwise_unpaired,
     "You treat the lists as independent: the hardness of the pieces swamps the difference. Subtract piece by piece "
     "first."),
    (lambda one, other: (pairwise(one, other)[0], np.subtract(one, other).std(ddof=1)),
     "You give the spread of single pieces, not of their mean: divide by the square root of their number."),
    (lambda one, other: (pairwise(one, other)[0], np.subtract(one, other).std() / len(one) ** 0.5),
     "You divide the squares by n; from a sample divide by n - 1 (`ddof=1`).")])
