"""Checkers of the exercises of notebook 9d; tasks, hints and solutions stand there. Chapter: 9d."""

import math

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def window_key(window):
    is_rest = window == -1
    return np.where(is_rest, -1, window - window[~is_rest].min())

def _some_rests(rng, n_steps, n_voices):
    window = rng.integers(40, 80, (n_steps, n_voices))
    window[1:][rng.random((n_steps - 1, n_voices)) < 0.2] = -1
    return window

checker("9d.1", window_key,
    draw=lambda rng: (_some_rests(rng, 5, int(rng.integers(1, 5))),),
    fact="the first two windows, a fourth apart, both have the key {outputs[0]}; a rest stays -1.",
    case_names=("two steps of two voices", "the same a fourth higher", "a window with a rest", "a melody"),
    cases=[(np.array([[67, 60], [69, 62]]),), (np.array([[72, 65], [74, 67]]),),
           (np.array([[67, -1], [69, 62], [67, 64]]),), (np.array([[64], [62], [65]]),)], mistakes=[
    (lambda window: window - window.min(),
     "Your lowest number is that of a rest, -1: with it nothing is moved, or each by one. Take the lowest pitch."),
    (lambda window: window - window[window != -1].min(),
     "You move the rests too, and in two keys they become two different numbers. A rest has no pitch: leave it -1."),
    (lambda window: np.where(window == -1, -1, window - window.ravel()[0]),
     "You count from the first pitch of the soprano. That is a key too, if it sounds; the task asks for the lowest."),
    (lambda window: np.where(window == -1, -1, window % 12),
     "You take pitch classes: they change with the key, and music an octave apart becomes the same."),
    (lambda window: np.where(window == -1, -1, window - np.where(window == -1, 999, window).min(axis=0)),
     "You move each voice by its own lowest pitch: the intervals between voices are lost, and with them the chords."),
    (lambda window: np.where(window == -1, -1, window - np.where(window == -1, 999, window).min(axis=1, keepdims=True)),
     "You move each step by its own lowest pitch: the bass is always 0, and how it moves is lost."),
    (lambda window: np.diff(window, axis=0),
     "You take differences from step to step: they are the same in every key, but do not tell how far apart the "
     "voices are, and a rest makes leaps of its own.")])


def shared_share(melody, others, n_steps):
    def keys(line):
        windows = [line[i : i + n_steps] for i in range(len(line) - n_steps + 1)]
        return [tuple(w - w[0]) for w in windows if (w != w[0]).any()]

    known = {key for other in others for key in keys(other)}
    return float(np.mean([key in known for key in keys(melody)]))

def _windows(line, n_steps):
    return [line[i : i + n_steps] for i in range(len(line) - n_steps + 1)]

def _share_of(melody, others, n_steps, key=lambda w: tuple(w - w[0]), counts=lambda w: (w != w[0]).any(), step=1):
    known = {key(w) for other in others for w in _windows(other, n_steps) if counts(w)}
    found = [key(w) in known for w in _windows(melody, n_steps)[::step] if counts(w)]
    return float(np.mean(found)) if found else 0.0

def _draw_melodies(rng):
    melody = np.append(rng.integers(60, 63, 9), [60, 61])  # moves at its end, whatever the length of a window
    return melody, [rng.integers(50, 53, int(rng.integers(1, 9))) for _ in range(2)], int(rng.integers(2, 5))

checker("9d.2", shared_share,
    draw=_draw_melodies, tolerance=1e-9,
    fact="{outputs[0]} of the windows of the first melody that move stand in the others, in some key.",
    case_names=("the first melody", "the second melody", "the third melody"),
    cases=[(np.array([60, 62, 64, 64, 64, 65, 64, 62]), [np.array([67, 69, 71, 71, 71]), np.array([55, 53])], 3),
           (np.array([60, 60, 62, 60, 62, 65]), [np.array([60, 60, 62, 60]), np.array([70, 72, 75, 75])], 2),
           (np.array([60, 62, 60, 62, 64]), [np.array([60, 62]), np.array([64, 66, 64])], 3)], mistakes=[
    (lambda melody, others, n: _share_of(melody, others, n, key=tuple),
     "You compare pitches: the same music in another key is missed. Count each window from its own first pitch."),
    (lambda melody, others, n: _share_of(melody, others, n, counts=lambda w: True),
     "You count held notes. A window in which nothing moves says nothing, and every piece shares it: leave it out, "
     "above and below the line."),
    (lambda melody, others, n: _share_of(melody, others, n, step=n),
     "You look only at windows that begin at multiples of `n_steps`: a passage that begins in between is missed."),
    (lambda melody, others, n: _share_of(melody, others, n + 1),
     "Your windows are one step too long: a slice from i to i + n_steps has the right length."),
    (lambda melody, others, n: _share_of(melody, [np.concatenate(others)], n),
     "You join the other melodies into one: windows across the seam stand in no piece."),
    (lambda melody, others, n: np.mean([_share_of(melody, [other], n) for other in others]),
     "You take the mean over the other melodies. A window is shared if any one of them has it."),
    (lambda melody, others, n: len({tuple(w - w[0]) for w in _windows(melody, n) if (w != w[0]).any()}
                                   & {tuple(w - w[0]) for other in others for w in _windows(other, n)})
                               / max(len(_windows(melody, n)), 1),
     "You count each figure once, however often the melody sings it. Every window of the melody counts."),
    (lambda melody, others, n: _share_of(np.concatenate(others), [melody], n),
     "You ask which share of the others stands in the melody. The sample stands above the line.")])


def membership_auc(trained, held_out):
    gap = held_out[None, :] - trained[:, None]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())

checker("9d.3", membership_auc,
    draw=lambda rng: tuple(rng.integers(0, most, int(rng.integers(1, 6))) / 10 for most in (5, 6)),
    tolerance=1e-9,
    fact="{outputs[0]} for the first losses: 0.5 is chance, 1 gives every member away.",
    cases=[(np.array([0.2, 0.3, 0.3]), np.array([0.3, 0.5])), (np.array([0.4, 0.5]), np.array([0.1, 0.2, 0.5, 0.7])),
           (np.array([0.1]), np.array([0.2, 0.1, 0.1, 0.4, 0.0]))], mistakes=[
    (lambda trained, held_out: (trained[:, None] > held_out).mean() + 0.5 * (trained[:, None] == held_out).mean(),
     "Yours is the share of pairs in which the piece that was held out has the lower loss. A member is given away by a "
     "*low* loss."),
    (lambda trained, held_out: (trained[:, None] < held_out).mean(),
     "You count a tie as a loss. Where both losses are equal, a coin decides: half a point."),
    (lambda trained, held_out: (trained[:, None] <= held_out).mean(),
     "You count a tie as won. Where both losses are equal, a coin decides: half a point."),
    (lambda trained, held_out: float(trained.mean() < held_out.mean()),
     "You compare the two means: that is one comparison. Compare every piece with every other."),
    (lambda trained, held_out: held_out.mean() - trained.mean(),
     "You give the gap between the means, in nats. The area has no unit: a share of pairs."),
    (lambda trained, held_out: (trained < np.median(np.append(trained, held_out))).mean(),
     "You set one threshold, at the median. The area needs none: it compares every pair.")])


def exposure(canary_nats, other_nats):
    rank = 1 + int((other_nats < canary_nats).sum())
    return math.log2(len(other_nats) + 1) - math.log2(rank)

checker("9d.4", exposure,
    draw=lambda rng: (float(rng.integers(0, 12)), rng.permutation(12)[: int(rng.integers(1, 12))] + 0.5),
    tolerance=1e-9,
    fact="{outputs[0]} bits for the first canary, which is ahead of all others; the last of a row has 0.",
    cases=[(3.0, np.array([9.5, 4.5, 7.5])), (8.0, np.array([9.5, 4.5, 7.5])),
           (20.0, np.array([9.5, 4.5, 7.5, 6.5, 1.5])), (5.0, np.array([4.5, 6.5, 8.5, 9.5, 7.5, 5.5]))], mistakes=[
    (lambda canary, others: math.log2(len(others)) - math.log2(1 + (others < canary).sum()),
     "You leave the canary out of the row it stands in: there are `len(other_nats) + 1` melodies, and the last of them "
     "has 0 bits, not less."),
    (lambda canary, others: math.log2(len(others) + 1) - math.log2(max((others < canary).sum(), 1)),
     "You count ranks from 0. The first has rank 1."),
    (lambda canary, others: math.log2(len(others) + 1) - math.log2(1 + (others > canary).sum()),
     "You rank from the highest loss. The canary is exposed where its loss is among the *lowest*."),
    (lambda canary, others: math.log(len(others) + 1) - math.log(1 + (others < canary).sum()),
     "You give nats. Exposure counts halvings: take the logarithm to base 2."),
    (lambda canary, others: (others.mean() - canary) / math.log(2),
     "You compare the loss with the mean of the others. Exposure looks at the rank alone, so that it means the same "
     "for every model."),
    (lambda canary, others: 1 + (others < canary).sum(), "That is the rank. How many times must the row be halved to "
     "reach it?")])


def steps_until_departure(written, original, start):
    n_steps = min(len(written), len(original))
    is_same = (written[start:n_steps] == original[start:n_steps]).all(axis=1)
    return int(np.cumprod(is_same).sum())

def _draw_continuation(rng):
    original = rng.integers(60, 63, (int(rng.integers(5, 9)), 2))
    written = original[: int(rng.integers(4, 9))].copy()
    written[rng.random(len(written)) < 0.3, int(rng.integers(2))] += 1
    return written, original, int(rng.integers(0, 4))

_ORIGINAL = np.array([[67, 60], [67, 62], [69, 62], [71, 55], [72, 60], [72, 64]])

def _changed(step, voice):
    written = _ORIGINAL.copy()
    written[step, voice] += 1
    return written

checker("9d.5", steps_until_departure,
    draw=_draw_continuation,
    fact="{outputs[0]} steps for the first continuation, and {outputs[2]} for the one that never departs.",
    case_names=("the first continuation", "the second", "the one that never departs", "the one that stops early",
                "the one that departs in the opening", "the one that departs at once"),
    cases=[(_changed(4, 1), _ORIGINAL, 2), (_changed(2, 0), _ORIGINAL, 1), (_ORIGINAL.copy(), _ORIGINAL, 2),
           (_ORIGINAL[:4].copy(), _ORIGINAL, 1), (_changed(0, 0), _ORIGINAL, 1),
           (_changed(3, 1), _ORIGINAL, 3)], mistakes=[
    (lambda written, original, start: steps_until_departure(written, original, 0),
     "You count the opening, which was given. Count from `start` on."),
    (lambda written, original, start: (written[start:len(original)] == original[start:len(written)]).all(axis=1).sum(),
     "You count all steps that agree. After the first that differs, agreement is another matter: stop there."),
    (lambda written, original, start: steps_until_departure(written[:, :1], original[:, :1], start),
     "You compare the upper voice alone. A step agrees if every voice does."),
    (lambda written, original, start: start + steps_until_departure(written, original, start),
     "You give the index of the step. Count the steps from `start` to it."),
    (lambda written, original, start: np.cumprod((written[start:len(original)] == original[start:len(written)])
                                                 .any(axis=1)).sum(),
     "You let a step agree if one voice does. All of them must.")])
