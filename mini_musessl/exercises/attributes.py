"""Checkers of the exercises of notebook 4c; tasks, hints and solutions stand there. Chapter: 4c."""

import math

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def next_frames(frames):
    return np.concatenate((frames[1:], np.full_like(frames[:1], -1)))

checker("4c.1", next_frames,
    draw=lambda rng: (rng.integers(0, 47, (rng.integers(1, 6), 3)),),
    fact="the first frame is never an answer, and the last step has none.",
    cases=[(np.array([[30, 25], [30, 26], [32, 27]]),), (np.array([[5, 1, 9, 2]]),)], mistakes=[
    (lambda frames: frames,
     "You ask for the frame in sight: the loss would fall to 0, and the head would have learned to copy."),
    (lambda frames: next_frames(frames[::-1])[::-1],
     "You shift the wrong way: each step is asked for the frame before it, which it knows as well."),
    (lambda frames: np.roll(frames, -1, axis=0),
     "The first frame follows the last: at the end of a piece the head is asked how the piece began."),
    (lambda frames: np.concatenate((frames[1:], frames[-1:])),
     "The last frame follows itself: nothing follows the end, so nothing is asked there. Put -1."),
    (lambda frames: np.concatenate((frames[1:], np.zeros_like(frames[:1]))),
     "0 is a rest, which is an answer like any other; where nothing is asked stands -1."),
    (lambda frames: next_frames(frames.T).T, "You shift along the voices; steps are the first axis.")])


def _beats_begun(start_step, n_steps, side="right"):
    return np.searchsorted(start_step, np.arange(n_steps), side=side)

def next_chords(chords, start_step, n_steps):
    return np.append(chords, -1)[_beats_begun(start_step, n_steps)]

def _chord_held_at_the_end(chords, start_step, n_steps):
    found = next_chords(chords, start_step, n_steps)
    return np.where(found == -1, chords[-1], found)

checker("4c.2", next_chords,
    draw=lambda rng: (rng.integers(1, 109, 4), np.cumsum(length := rng.integers(1, 5, 4)) - length, int(length.sum())),
    fact="all steps of a beat share one answer, and the last beat has none.",
    cases=[(np.array([1, 68, 22]), np.array([0, 4, 8]), 12), (np.array([8, 1, 8, 1]), np.array([0, 2, 6, 10]), 13),
           (np.array([5]), np.array([0]), 3)], mistakes=[
    (lambda chords, starts, n: chords[_beats_begun(starts, n) - 1],
     "You ask for the chord of the beat that sounds: at its last step all of it has been heard, and there is nothing "
     "left to foresee."),
    (lambda chords, starts, n: np.append(chords[_beats_begun(starts, n) - 1][1:], -1),
     "You ask for the chord of the beat in which the next step lies: at most steps that is the beat that sounds "
     "already."),
    (lambda chords, starts, n: np.append(chords, -1)[_beats_begun(starts, n, side="left")],
     "Where a beat begins you call it the next one; its first notes are in sight already. The next beat begins after "
     "the step."),
    (_chord_held_at_the_end, "In the last beat no beat is to come: nothing is asked there, so it holds -1."),
    (lambda chords, starts, n: np.append(chords, -1)[np.minimum(np.arange(n) // 4 + 1, len(chords))],
     "You count beats of four steps from step 0; `start_step` says where they begin, and the first may be short."),
    (lambda chords, starts, n: np.append(-1, chords)[_beats_begun(starts, n) - 1],
     "You ask for the beat before, which is past.")])


def _move_root(chord, semitones):
    quality, root = divmod(chord - 1, 12)
    return 1 + 12 * quality + (root + semitones) % 12

def move_chord(chord, semitones):
    return _move_root(chord, semitones) if chord > 0 else chord

checker("4c.3", move_chord,
    draw=lambda rng: (int(rng.integers(-1, 109)), int(rng.integers(-11, 12))),
    fact="a C major chord moved up by a tone is number {outputs[0]}, D major.",
    cases=[(1, 2), (24, 2), (12, 1), (108, 6), (1, -5), (0, 3), (-1, 3), (22, 0)], mistakes=[
    (lambda chord, by: chord,
     "You move nothing: the window sounds in another key, and its chords are still named in the old one."),
    (lambda chord, by: chord + by if chord > 0 else chord,
     "You add to the number: from B major, two semitones up is D flat minor then. Only the root moves, around the "
     "twelve."),
    (lambda chord, by: chord + by,
     "You add to every number: roots run over into the next quality, and 0 and -1 become chords."),
    (lambda chord, by: 1 + (chord - 1 + by) % 108 if chord > 0 else chord,
     "You go round all 108 chords; a root goes round the twelve and keeps its quality."),
    (_move_root, "Chords are right; no chord and not asked, 0 and -1, do not move."),
    (lambda chord, by: 12 * (chord // 12) + (chord + by) % 12 if chord > 0 else chord,
     "The chords begin at 1: take 1 away before you divide, and put it back."),
    (lambda chord, by: move_chord(chord, -by), "You move down: positive semitones go up."),
    (lambda chord, by: 1 + (chord - 1 + by) % 12 if chord > 0 else chord,
     "You keep the root and lose the quality: every chord becomes a major triad.")])


def _accuracy(probability, is_onset):
    return ((probability > 0.5) == is_onset).mean()

def _commonest(is_onset):
    return max(is_onset.mean(), 1 - is_onset.mean())

def onset_gain(probability, is_onset):
    return float(_accuracy(probability, is_onset) - _commonest(is_onset))

FEW_ONSETS = np.array([0, 0, 1, 0, 0, 1, 0, 0], bool)

checker("4c.4", onset_gain,
    draw=lambda rng: (rng.random(8).round(1), rng.random(8) < rng.random()),
    tolerance=1e-9,
    fact="the first head is right in three cells of four, and its gain is {outputs[0]}.",
    cases=[(np.array([0.2, 0.3, 0.3, 0.1, 0.2, 0.4, 0.3, 0.2]), FEW_ONSETS),
           (np.array([0.1, 0.6, 0.9, 0.2, 0.1, 0.8, 0.4, 0.3]), FEW_ONSETS),
           (np.array([0.9, 0.7, 0.2, 0.6]), np.array([True, True, False, True]))],
    case_names=("a head that never says onset", "a head that finds them", "a passage where most cells strike"),
    mistakes=[
    (_accuracy, 'You give the accuracy: for the first head {found}, and it never says "onset" at all.'),
    (lambda probability, onset: _accuracy(probability, onset) - 0.5,
     'You compare with a coin; "never" is right far more often than one half.'),
    (lambda probability, onset: _accuracy(probability, onset) - onset.mean(),
     'You compare with "always", the worse of the two baselines where onsets are few.'),
    (lambda probability, onset: _accuracy(probability, onset) - (1 - onset.mean()),
     'You compare with "never", the worse of the two baselines where most cells strike, as in the last case.'),
    (lambda probability, onset: (probability > 0.5)[onset].mean(),
     'You count the onsets that were found; a head that always says "onset" finds all of them.'),
    (lambda probability, onset: np.where(onset, probability, 1 - probability).mean() - _commonest(onset),
     "You average the probability of the right answer; accuracy counts the answers above one half.")])


def _total(nats, weights):
    return sum(weights[head] * nats[head] for head in nats if weights[head] > 0)

def weighted_nats(nats, weights):
    return _total(nats, weights) / sum(weights.values())

def _weighted_alike(nats, weights):
    asked = [nats[head] for head in nats if weights[head] > 0]
    return sum(asked) / len(asked)

def _weighted_inversely(nats, weights):
    asked = [head for head in nats if weights[head] > 0]
    return sum(nats[head] / weights[head] for head in asked) / sum(1 / weights[head] for head in asked)

def _nats_and_weights(rng):
    heads, weights = ("pitch", "rhythm", "harmony"), rng.permutation([0.0, *rng.uniform(0.1, 3, 2)]).tolist()
    nats = [math.nan if weight == 0 else float(rng.exponential()) for weight in weights]
    return dict(zip(heads, nats, strict=True)), dict(zip(heads, weights, strict=True))

checker("4c.5", weighted_nats, draw=_nats_and_weights,
    tolerance=1e-9, fact="with one head alone the loss is its own, {outputs[2]} nats.",
    cases=[({"pitch": 0.8, "rhythm": 0.5, "harmony": 2.0}, {"pitch": 1.0, "rhythm": 1.0, "harmony": 0.5}),
           ({"pitch": 0.9, "rhythm": math.nan, "harmony": 2.4}, {"pitch": 3.0, "rhythm": 0.0, "harmony": 1.0}),
           ({"pitch": math.nan, "rhythm": 0.4}, {"pitch": 0.0, "rhythm": 2.0})], mistakes=[
    (lambda nats, weights: sum(weights[head] * nats[head] for head in nats) / sum(weights.values()),
     "0 times an unknown loss is unknown: leave out the heads that are not asked."),
    (_total, "You add up: then a head that is switched on makes the loss larger, and longer gradients are clipped."),
    (lambda nats, weights: _total(nats, weights) / len(nats),
     "You divide by the number of heads; divide by the sum of the weights."),
    (lambda nats, weights: _total(nats, weights) / sum(weight > 0 for weight in weights.values()),
     "You divide by the number of heads that were asked; divide by their weights' sum."),
    (_weighted_alike, "You give the heads that are asked the same weight, whatever the weights say."),
    (_weighted_inversely, "You divide by the weights, so a head with a large weight counts less. Multiply.")])
