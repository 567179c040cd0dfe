"""Checkers of the exercises of notebook 4a; tasks, hints and solutions stand there. Chapter: 4a."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def _rows(ids, length):
    return [ids[i : i + length] for i in range(0, len(ids), length)]

def _shifted(ids, begin_id):
    return np.concatenate(([begin_id], ids[:-1]))

def cut_examples(ids, length, begin_id):
    return list(zip(_rows(_shifted(ids, begin_id), length), _rows(ids, length), strict=True))

def _cut_overlapping(ids, length, begin_id):
    read = _shifted(ids, begin_id)
    return [(read[i : i + length], ids[i : i + length]) for i in range(len(ids) - length + 1)]

checker("4a.1", cut_examples,
    draw=lambda rng: (rng.integers(1, 47, rng.integers(1, 9)), int(rng.integers(1, 5)), 47),
    fact="the network reads the last token of a window as the first of the next, and every token is asked once.",
    cases=[(np.array([30, 30, 31, 33, 33, 35, 30]), 3, 47), (np.array([5, 6, 7, 8]), 2, 0)], mistakes=[
    (lambda ids, length, begin: [(row[:-1], row[1:]) for row in _rows(ids, length)],
     "You shift inside each window: its first token is never a target, so the network never learns to go on across a "
     "cut. Shift the piece, then cut."),
    (lambda ids, length, begin: [(_shifted(row, begin), row) for row in _rows(ids, length)],
     "Every window of yours begins with begin_id, so the network is told that a piece begins where you happened to "
     "cut. At a cut it reads the token before."),
    (lambda ids, length, begin: [(row, row) for row in _rows(ids, length)],
     "The network reads what it must predict: it would learn to copy, at a loss near 0, and write nothing."),
    (lambda ids, length, begin: [(row, read) for read, row in cut_examples(ids, length, begin)],
     "Your pairs are the wrong way round: the network reads a token and must say which one came before."),
    (lambda ids, length, begin: [pair for pair in cut_examples(ids, length, begin) if len(pair[1]) == length],
     "A last window that is short is dropped: the ends of the pieces, and their cadences, are never seen."),
    (_cut_overlapping,
     "Your windows overlap: most tokens are targets several times, those at the ends of the piece once.")])


def _moves(ids):
    return ids[1:] != ids[:-1]

def _means(nats, moves):
    return float(nats[~moves].mean()), float(nats[moves].mean())

def held_and_moved(nats, ids):
    return _means(nats[1:], _moves(ids))

def _held_with_first_step(nats, ids, first_moves):
    return _means(nats, np.vstack((np.full(ids[:1].shape, first_moves), _moves(ids))))

checker("4a.2", held_and_moved,
    draw=lambda rng: (rng.exponential(size=(6, 3)), rng.integers(8, 11, (6, 3))),
    tolerance=1e-9, case_names=("six steps", "three steps"),
    fact="held cells have a lower loss here, and in a chorale most cells hold.",
    cases=[
        # One voice moves to what another sings, and none moves in the last step.
        (np.array([[3.1, 2.5, 2.9], [0.1, 0.2, 1.5], [1.1, 0.4, 0.3],
                   [0.2, 2.2, 0.6], [0.3, 0.1, 0.9], [0.2, 0.1, 0.3]]),
         np.array([[20, 16, 8], [20, 16, 16], [22, 16, 16], [22, 15, 16], [22, 15, 10], [22, 15, 10]])),
        (np.array([[2.0, 1.5], [0.5, 0.25], [1.0, 3.0]]), np.array([[9, 4], [9, 4], [7, 7]])),
    ], mistakes=[
    (lambda nats, ids: _means(nats[:-1], _moves(ids)),
     "You ask whether the voice moves in the step *after*: compare with the step before, and drop the first row of "
     "nats, not the last."),
    (lambda nats, ids: held_and_moved(nats.ravel(), ids.ravel()),
     "You compare each token with the one before it in the row, which belongs to another voice."),
    (lambda nats, ids: _held_with_first_step(nats, ids, True),
     "You count the first step as moves. Nothing moved there, and it is the step with the highest loss."),
    (lambda nats, ids: _held_with_first_step(nats, ids, False),
     "You count the first step as held, and nothing had been sung."),
    (lambda nats, ids: _means(nats[1:], _moves(ids).any(axis=1)),
     "You call all cells of a step moves as soon as one voice moves: ask each voice by itself."),
    (lambda nats, ids: held_and_moved(nats, ids)[::-1],
     "You name them the other way round: first the cells that are held."),
    (lambda nats, ids: ((nats[1:] * ~_moves(ids)).mean(), (nats[1:] * _moves(ids)).mean()),
     "You divide by all cells: these are the two parts of the mean. Divide each by the cells of its kind.")])


def heard_before(ids):
    heard = np.zeros((len(ids), 12), bool)
    for step in range(1, len(ids)):
        heard[step] = heard[step - 1]
        heard[step, [(symbol - 1) % 12 for symbol in ids[step - 1] if symbol > 0]] = True
    return heard

def _heard_with_itself(ids):
    return heard_before(np.vstack((ids, ids[:1])))[1:]

checker("4a.3", heard_before,
    draw=lambda rng: (rng.integers(0, 20, (rng.integers(1, 6), 2)),),
    fact="the first step knows nothing, and changing the last step changes no row.",
    cases=[(np.array([[25, 17], [25, 0], [29, 20], [30, 24]]),), (np.array([[8], [13], [8], [0], [3]]),)], mistakes=[
    (_heard_with_itself,
     "Each row counts the step itself, which the model must predict: a pitch class that is new there is the answer."),
    (lambda ids: np.tile(_heard_with_itself(ids)[-1], (len(ids), 1)),
     "You tell every step the scale of the whole piece: the future leaks, above all where the key changes."),
    (lambda ids: heard_before(ids[::-1])[::-1], "You tell each step what is still to come; it may know what has been."),
    (lambda ids: np.array([heard_before(ids[max(step - 1, 0) : step + 1])[-1] for step in range(len(ids))]),
     "You remember the step before alone: in a row that is True, what has sounded must stay True."),
    (lambda ids: heard_before(np.where(ids == 0, 12, ids)),
     "You count a rest as a B: id 0 is no pitch, and (0 - 1) % 12 is 11."),
    (lambda ids: heard_before(np.where(ids == 0, 0, ids + 1)),
     "Your pitch classes are a semitone too high: id 1 is a C, so subtract 1 before you take the remainder.")])


def mean_gradient(gradients, n_targets):
    return n_targets @ gradients / n_targets.sum()

checker("4a.4", mean_gradient,
    draw=lambda rng: (rng.normal(size=(3, 2)), rng.integers(1, 40, 3)),
    tolerance=1e-9,
    fact="the weights are shares of the targets, so batches may have any size.",
    cases=[(np.array([[1.0, -2.0, 0.5], [4.0, 0.0, 0.5]]), np.array([30, 10])),
           (np.array([[0.2, 0.1], [-0.4, 0.3], [1.0, -0.7]]), np.array([5, 8, 2]))], mistakes=[
    (lambda gradients, n: gradients.mean(axis=0),
     "Every batch counts alike, so a target in a small batch weighs more than one in a large batch."),
    (lambda gradients, n: gradients.sum(axis=0),
     "You add the gradients of means, as backward() does when nothing divides them: the step grows with the number of "
     "batches."),
    (lambda gradients, n: n @ gradients, "You have the gradient of the *sum*; divide by the number of all targets."),
    (lambda gradients, n: n @ gradients / len(n),
     "You weigh by targets and divide by batches: the step grows with the size of the batches."),
    (lambda gradients, n: mean_gradient(gradients, 1 / n),
     "Your weights are inverted: a batch with more targets must count more."),
    (lambda gradients, n: gradients[-1],
     "You keep the last batch: the gradients before it were thrown away, as by zero_grad() between batches.")])


def pick(probabilities, draw):
    return int(np.searchsorted(np.cumsum(probabilities), draw, side="right"))

def pick_from_the_top(probabilities, draw):
    return len(probabilities) - 1 - pick(probabilities[::-1], draw)

def write_on(beliefs, music, n_given, draws, choose=pick):
    heard = list(music[:n_given])
    for draw in draws:
        heard.append(choose(beliefs(list(heard)), draw))
    return heard

def _write_forced(beliefs, music, n_given, draws):
    return music[:n_given] + [pick(beliefs(music[: n_given + i]), draw) for i, draw in enumerate(draws)]

def _beliefs_by_sum(heard):
    weights = (1.0 + (np.arange(4) + sum(heard)) % 4) ** 2
    return weights / weights.sum()

def _beliefs_by_ends(heard):
    weights = 1.0 + (heard[0] + 3 * heard[-1] + np.arange(5) * len(heard)) % 5
    return weights / weights.sum()

def _beliefs_in_halves(heard):
    return np.array([0.5, 0.25, 0.25])

checker("4a.5", write_on,
    draw=lambda rng: (_beliefs_by_sum, rng.integers(0, 4, 6).tolist(), int(rng.integers(7)), rng.random(3).tolist()),
    fact="after the opening the model reads its own symbols; in training it never did.",
    cases=[(_beliefs_by_sum, [1, 2, 0, 3, 3, 2, 1], 3, [0.05, 0.6, 0.93, 0.4]),
           (_beliefs_by_ends, [4, 0, 2, 1, 3], 2, [0.7, 0.2, 0.55]), (_beliefs_in_halves, [1, 1], 1, [0.5, 0.25, 0.5])],
    case_names=("a tune of seven", "a tune of five", "a draw that a sum of probabilities meets exactly"),
    mistakes=[
    (_write_forced,
     "Your model reads the rest of the tune, not what it has written: that is teacher forcing. A model is scored so; a "
     "tune that is not written yet has no rest to read."),
    (lambda beliefs, music, n, draws: music[:n] + [pick(beliefs(music[:n]), draw) for draw in draws],
     "Your model is asked at the end of the opening each time: it does not read what it writes."),
    (lambda beliefs, music, n, draws: write_on(lambda heard: beliefs(heard[-1:]), music, n, draws),
     "Your model reads its last symbol alone: hand it all symbols so far."),
    (lambda *arguments: write_on(*arguments, choose=lambda probabilities, draw: int(probabilities.argmax())),
     "You take the likeliest symbol each time and leave the draws unused: every continuation is the same."),
    (lambda beliefs, music, n, draws: write_on(beliefs, music, n, draws)[n:],
     "You return what is new; the opening belongs before it."),
    (lambda beliefs, music, n, draws: write_on(beliefs, music, len(music), draws),
     "Your model goes on after the whole tune: it is given the first n_given symbols only."),
    (lambda *arguments: write_on(*arguments, choose=pick_from_the_top),
     "You add the probabilities up from the last symbol: the same chances, other symbols for these draws.")])
