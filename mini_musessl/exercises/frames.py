"""Checkers of the exercises of notebook 5d; tasks, hints and solutions stand there. Chapter: 5d."""

import numpy as np

from mini_musessl.exercises.checking import checker
from mini_musessl.exercises.counting import note_lengths, steps_into_note

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def latest_frames(frames, begin_id):
    begin = np.full_like(frames[:1], begin_id)
    return np.concatenate((begin, frames[:-1]))

checker("5d.1", latest_frames,
    draw=lambda rng: (rng.integers(0, 47, (rng.integers(1, 6), 3)), 47),
    cases=[(np.array([[30, 25], [30, 26], [32, 27]]), 47), (np.array([[5, 1, 9, 2]]), 47)],
    fact="the last frame is not read, since nothing follows it.", mistakes=[
    (lambda frames, begin_id: frames,
     "Each step reads the frame that it must predict: the loss would fall to 0 and the network could only copy."),
    (lambda frames, begin_id: latest_frames(frames[::-1], begin_id)[::-1],
     "You shift the wrong way: each step reads the frame after it, and the last one reads that the piece begins."),
    (lambda frames, begin_id: np.roll(frames, 1, axis=0),
     "The last frame comes round to the front: the first step knows how the piece ends."),
    (lambda frames, begin_id: latest_frames(frames.T, begin_id).T,
     "You shift along the voices; steps are the first axis."),
    (lambda frames, begin_id: latest_frames(frames.ravel(), begin_id).reshape(frames.shape),
     "You shift by one token, as a token Transformer does: the alto would read the soprano of its own step as a frame "
     "before. Shift by a whole frame.")])


def held_steps(melody):
    return np.append(0, steps_into_note(melody)[:-1])

def _held_whole_note(melody):
    return np.append(0, note_lengths(melody)[:-1] - 1)

checker("5d.2", held_steps,
    draw=lambda rng: (np.repeat(rng.integers(0, 4, 5), rng.integers(1, 4, 5)),),
    cases=[(np.array([20, 20, 22, 22, 22, 20]),), (np.array([0, 0, 0, 31, 30, 30]),),
           (np.array([7, 7, 8, 8, 8, 8, 8, 5]),)],
    fact="a rest is held like a note, and the count says nothing about the step itself.", mistakes=[
    (lambda melody: held_steps(np.append(melody, 0))[1:],
     "You look at the step itself: a count above 0 tells the network that the note goes on, which is what it must "
     "guess."),
    (lambda melody: held_steps(np.append(melody[::-1], 0))[:0:-1],
     "You count from the end: how long the note will last yet is the future. For {input} you give {found}."),
    (lambda melody: np.append(0, held_steps(melody)[1:] + 1),
     "You call a symbol that is new 1; it has been held for 0 steps."),
    (lambda melody: np.cumsum(held_steps(melody) > 0),
     "You count every repeat so far; with a new symbol the count begins again."),
    (_held_whole_note,
     "You give each step the full length of its note: at its second step it is not known yet how long it will be.")])


def interval_number(upper, lower):
    if not (1 <= upper <= 46 and 1 <= lower <= 46):
        return 93
    return upper - lower + 46

def _interval_within_octave(upper, lower):
    found = interval_number(upper, lower)
    return found if found == 93 else (upper - lower) % 12 + 46

checker("5d.3", interval_number,
    draw=lambda rng: tuple(rng.choice([0, 1, 2, 25, 45, 46, 47], 2).tolist()),
    cases=[(30, 26), (20, 30), (40, 28), (0, 20), (20, 0), (25, 47), (47, 47)],
    fact="a major third up is {outputs[0]} in every key.", mistakes=[
    (lambda upper, lower: upper - lower + 46,
     "A rest is no pitch: for {input} you give {found}, the number of an interval that is not there."),
    (lambda upper, lower: 93 if 0 in (upper, lower) else upper - lower + 46,
     "Rests are right; the begin symbol is no pitch either: {input} is 93."),
    (lambda upper, lower: interval_number(lower, upper),
     "You measure the other way round: an interval is `upper - lower`."),
    (lambda upper, lower: max(interval_number(upper, lower), interval_number(lower, upper)),
     "A third down is not a third up: keep the sign."),
    (_interval_within_octave, "You fold octaves; here an octave up, 58, and a unison, 46, are two numbers.")])


def sing_in_turn(score, n_voices, hear=list):
    frame = []
    for _ in range(n_voices):
        frame.append(int(np.argmax(score(hear(frame)))))
    return frame

def _score_by_chord(above):  # each of nine symbols: far below the upper neighbours is best
    wanted = 8 - sum(above) // 2 if above else 6
    return -np.abs(np.arange(9) - wanted - 0.1 * len(above))

def _score_by_highest(above):  # far from the highest voice is best, a step a voice
    highest = above[0] if above else 7
    return np.cos((np.arange(9) - highest - 2 * len(above)) * 2 * np.pi / 9)

checker("5d.4", sing_in_turn,
    draw=lambda rng: ((_score_by_chord, _score_by_highest)[rng.integers(2)], int(rng.integers(1, 7))),
    cases=[(_score_by_chord, 4), (_score_by_highest, 4), (_score_by_chord, 3)],
    case_names=["a singer of four voices", "another singer of four voices", "a singer of three voices"],
    fact="for the first singer {outputs[0]}, and each voice depends on those above.", mistakes=[
    (lambda score, n: sing_in_turn(score, n, hear=lambda above: []),
     "You choose each voice as if no voice stood above it: all four sing the soprano's choice."),
    (lambda score, n: sing_in_turn(score, n, hear=lambda above: [0] * len(above)),
     "You hand over the right number of voices, all rests: hand over what they sing."),
    (lambda score, n: sing_in_turn(score, n, hear=lambda above: above[-1:]),
     "You hand over only the voice next above; hand over all voices above."),
    (lambda score, n: sing_in_turn(score, n, hear=lambda above: above[::-1]),
     "You hand over the voices from the lowest; `above` begins with the highest."),
    (lambda score, n: sing_in_turn(score, n)[::-1],
     "Your frame is in reverse order: the highest voice comes first."),
    (lambda score, n: sing_in_turn(lambda above: -score(above), n),
     "You take the smallest score; the likeliest symbol has the highest.")])


def _place(n_steps):
    return np.arange(4 * n_steps).reshape(n_steps, 4)

def may_move(n_steps, step, voice):
    return _place(n_steps) > 4 * step + voice

checker("5d.5", may_move,
    draw=lambda rng: (n := int(rng.integers(1, 5)), int(rng.integers(0, n)), int(rng.integers(0, 4))),
    cases=[(3, 1, 2), (4, 2, 0), (2, 0, 3)],
    fact="it is the causal mask of four tokens per step, folded into rows of four.", mistakes=[
    (lambda n, step, voice: _place(n) >= 4 * step + voice,
     "You let the changed cell move its own prediction: then the network sees what it must guess."),
    (lambda n, step, voice: (_place(n) >= 4 * step) & (_place(n) != 4 * step + voice),
     "You let the voices above it notice; in its own step only those below may."),
    (lambda n, step, voice: _place(n) >= 4 * (step + 1),
     "In your answer no cell of the same step may move: that tests a network that predicts all voices at once."),
    (lambda n, step, voice: may_move(n, step, voice) & ((_place(n) < 4 * (step + 1)) | (_place(n) % 4 == voice)),
     "After its step all voices may notice, not only its own."),
    (lambda n, step, voice: _place(n) < 4 * step + voice,
     "Your answer is inverted: you mark what comes before the cell, which must not move.")])


def nats_per_token(log_probs, is_padding):
    return float(-log_probs[~is_padding].mean())

LOG_PROBS = np.log([[[0.5, 0.9, 0.8, 0.4]] * 3, [[0.1, 0.2, 0.9, 0.5], [0.7] * 4, [0.9] * 4]])

checker("5d.6", nats_per_token,
    draw=lambda rng: (np.log(rng.random((2, 3, 4))), np.arange(3) >= rng.integers(1, 4, (2, 1))),
    tolerance=1e-9,
    cases=[(LOG_PROBS, np.array([[False, False, False], [False, True, True]])),
           (np.log([[[0.25, 0.5, 1.0, 0.5]]]), np.array([[False]]))], case_names=("two windows", "one step"),
    fact="{outputs[0]} nats for the first batch, the same scale as with four tokens per step.", mistakes=[
    (lambda log_probs, is_padding: float(-log_probs.mean()),
     "You average over padding too, which is not predicted."),
    (lambda log_probs, is_padding: float(-log_probs[~is_padding].sum() / log_probs.size),
     "You leave padding out of the sum and count it in the number: a batch with much padding looks good."),
    (lambda log_probs, is_padding: 4 * nats_per_token(log_probs, is_padding),
     "You give nats per frame, four times as much: divide by cells, not by steps."),
    (lambda log_probs, is_padding: float(np.mean(list(map(nats_per_token, log_probs, is_padding)))),
     "You give each window the same weight; each cell has the same weight."),
    (lambda log_probs, is_padding: float(-np.log(np.exp(log_probs[~is_padding]).mean())),
     "You average probabilities and take the logarithm after: a cell that was thought impossible would hardly count.")])
