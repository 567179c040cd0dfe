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


def voice_logits(hidden, tables, above, to_logits):
    for note_table, note in zip(tables, above, strict=True):
        hidden = hidden + note_table[note]
    return to_logits @ np.maximum(hidden, 0)

def _add_above(hidden, tables, above):
    return hidden + sum(note_table[note] for note_table, note in zip(tables, above, strict=True))

def _draw_voice(rng, n_above=None):
    n_above = int(rng.integers(0, 4)) if n_above is None else n_above
    tables = [rng.normal(size=(6, 4)).round(1) for _ in range(n_above)]
    return rng.normal(size=4).round(1), tables, rng.integers(0, 6, n_above).tolist(), rng.normal(size=(5, 4)).round(1)

checker("5d.3", voice_logits, draw=_draw_voice,
    tolerance=1e-9,
    cases=[_draw_voice(np.random.default_rng(seed), n_above) for seed, n_above in ((0, 3), (1, 0), (2, 2))],
    case_names=["the bass, below three voices", "the soprano", "the tenor, below two voices"],
    fact="the soprano has no voice above it, and the same few lines serve all four.", mistakes=[
    (lambda hidden, tables, above, to_logits: to_logits @ np.maximum(hidden, 0),
     "You leave out the voices above: each voice would be predicted by itself."),
    (lambda hidden, tables, above, to_logits: to_logits @ _add_above(hidden, tables, above),
     "You leave out ReLU: without a nonlinearity the voices above could only be weighed one by one."),
    (lambda hidden, tables, above, to_logits: to_logits @ _add_above(np.maximum(hidden, 0), tables, above),
     "You apply ReLU before you add the voices above; add first."),
    (lambda hidden, tables, above, to_logits: np.maximum(to_logits @ _add_above(hidden, tables, above), 0),
     "You apply ReLU to the logits, which may be negative; apply it to the sum."),
    (lambda hidden, tables, above, to_logits: voice_logits(hidden, tables[-1:], above[-1:], to_logits),
     "You add only the voice next above; add all voices above."),
    (lambda hidden, tables, above, to_logits: voice_logits(hidden, tables[:1], above[:1], to_logits),
     "You add only the highest voice; add all voices above."),
    (lambda hidden, tables, above, to_logits: voice_logits(hidden, tables, above[::-1], to_logits),
     "You look up each voice in the table of another: both lists begin with the highest voice."),
    (lambda hidden, tables, above, to_logits:
     voice_logits(hidden, [t / len(tables) for t in tables], above, to_logits),
     "You take the mean over the voices above; add their rows."),
    (lambda hidden, tables, above, to_logits: np.maximum(_add_above(hidden, tables, above), 0),
     "You return the hidden features; multiply them by `to_logits`.")])


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
