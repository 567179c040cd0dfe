"""Checkers of the exercises of notebook 4b; tasks, hints and solutions stand there. Chapter: 4b."""

import math

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def hidden_loss(log_probs, is_hidden, is_padding):
    return float(-log_probs[is_hidden & ~is_padding[..., None]].mean())

def _loss_by_window(log_probs, is_hidden, is_padding):
    is_target = is_hidden & ~is_padding[..., None]
    return np.mean([-row[wanted].mean() for row, wanted in zip(log_probs, is_target, strict=True)])

checker("4b.1", hidden_loss,
    draw=lambda rng: (-rng.random((2, 3, 4)), rng.random((2, 3, 4)) < 0.6, np.arange(3) >= rng.integers(1, 4, (2, 1))),
    tolerance=1e-9, case_names=("the padded batch", "the batch of one window"),
    fact="{outputs[0]} nats per hidden cell in the first batch, and visible cells do not count.",
    cases=[
        # The second window has one step of music; whoever drew what is hidden did not look at the padding.
        (np.log([[[0.9, 0.2, 0.8, 0.5], [0.4, 0.9, 0.95, 0.6]], [[0.1, 0.3, 0.9, 0.7], [0.05, 0.6, 0.5, 0.8]]]),
         np.array([[[0, 1, 0, 1], [1, 0, 0, 0]], [[1, 0, 0, 0], [1, 1, 0, 0]]], bool),
         np.array([[False, False], [False, True]])),
        (np.log([[[0.5, 0.25, 1.0, 0.5], [0.9, 0.8, 0.7, 0.6]]]), np.array([[[1, 1, 0, 0], [0] * 4]], bool),
         np.array([[False, False]])),
    ], mistakes=[
    (lambda log_probs, hidden, padding: -log_probs[~padding].mean(),
     "You count the cells that the network can see: naming those is copying, and a loss that is mostly copying falls "
     "to almost nothing while the hidden cells are as hard as ever."),
    (lambda log_probs, hidden, padding: hidden_loss(log_probs, ~hidden, padding),
     "Your mask is inverted: you score the cells that the network can see. True means hidden."),
    (lambda log_probs, hidden, padding: -log_probs[hidden].mean(),
     "You count hidden cells of padding, where there is no music to name."),
    (lambda log_probs, hidden, padding: -log_probs[hidden & ~padding[..., None]].sum() / (~padding).sum() / 4,
     "You add up the hidden cells and divide by all cells: with less hidden the loss looks better."),
    (_loss_by_window,
     "You give each window the same weight; here each hidden cell has the same weight, wherever it stands."),
    (lambda log_probs, hidden, padding: -log_probs[hidden.any(axis=-1) & ~padding].mean(),
     "You count whole steps: where the alto is hidden, the soprano that can be seen counts too.")])


def copy_left(melody, is_hidden):
    guess, latest = melody.copy(), 0
    for step in range(len(melody)):
        if not is_hidden[step]:
            latest = melody[step]
        guess[step] = latest
    return guess

def _copy_from_before(seen, melody, is_hidden):
    return np.where(is_hidden, np.append(0, seen[:-1]), melody)

checker("4b.2", copy_left,
    draw=lambda rng: (rng.integers(1, 47, 7), rng.random(7) < 0.5),
    fact="for the first voice {outputs[0]}: wherever a note is held, copying is enough.",
    cases=[(np.array([20, 20, 22, 22, 22, 25]), np.array([False, True, True, False, True, True])),
           (np.array([31, 30, 30, 33]), np.array([True, True, False, True]))], mistakes=[
    (lambda melody, hidden: melody,
     "You hand back what is hidden: always right, and a leak. A guess may not look at the id it guesses."),
    (lambda melody, hidden: _copy_from_before(melody, melody, hidden),
     "You copy the cell before even where it is hidden itself; go back to the last one that can be seen."),
    (lambda melody, hidden: copy_left(melody[::-1], hidden[::-1])[::-1],
     "You copy what comes after; a note that is held is known from before."),
    (lambda melody, hidden: np.where(hidden, 0, melody),
     "You guess a rest for every hidden cell; copy the last visible one."),
    (lambda melody, hidden: copy_left(melody, ~hidden),
     "Your mask is inverted: you overwrite what can be seen. True means hidden."),
    (lambda melody, hidden: _copy_from_before(np.where(hidden, 0, melody), melody, hidden),
     "You fill only the first step of a hidden stretch; for {input} you give {found}.")])


def hide_whole_notes(melody, is_chosen):
    note = np.cumsum(np.append(True, melody[1:] != melody[:-1]))
    return np.isin(note, note[is_chosen])

def _hide_to_the_end(melody, is_chosen):
    is_hidden = is_chosen.copy()
    for step in range(1, len(melody)):
        is_hidden[step] |= is_hidden[step - 1] and melody[step] == melody[step - 1]
    return is_hidden

checker("4b.3", hide_whole_notes,
    draw=lambda rng: (melody := np.repeat(rng.integers(0, 4, 4), rng.integers(1, 4, 4)), rng.random(len(melody)) < 0.3),
    fact="a visible cell beside a hidden one now always holds another note.",
    cases=[(np.array([20, 20, 20, 22, 22, 20, 20, 25]), np.array([0, 1, 0, 0, 0, 0, 0, 1], bool)),
           (np.array([30, 30, 31, 31, 31]), np.array([0, 0, 0, 1, 0], bool))], mistakes=[
    (lambda melody, chosen: chosen,
     "You hide the chosen steps alone: the rest of the note stands beside them, and copying it is enough."),
    (_hide_to_the_end, "You hide the note from the chosen step on; its beginning gives it away."),
    (lambda melody, chosen: _hide_to_the_end(melody[::-1], chosen[::-1])[::-1],
     "You hide the note up to the chosen step; its end gives it away."),
    (lambda melody, chosen: np.isin(melody, melody[chosen]),
     "You hide every note of the pitch; the same pitch later is another note, and may be seen."),
    (lambda melody, chosen: np.convolve(chosen, [1, 1, 1], "same") > 0,
     "You hide one step on each side; a note is as long as it is: follow it to both ends."),
    (lambda melody, chosen: ~hide_whole_notes(melody, chosen),
     "Your mask is inverted: you mark what can be seen. True means hidden.")])


def mark_spans(starts, n_steps, span_steps):
    is_hidden = np.zeros((n_steps, 4), bool)
    for voice, first_step in starts:
        is_hidden[first_step : first_step + span_steps, voice] = True
    return is_hidden

def _spans_to_a_step(starts, n_steps, span_steps):
    is_hidden = np.zeros((n_steps, 4), bool)
    for voice, first_step in starts:
        is_hidden[first_step:span_steps, voice] = True
    return is_hidden

checker("4b.4", mark_spans,
    draw=lambda rng: ([tuple(rng.integers(0, (4, 8)).tolist()) for _ in range(3)], 8, int(rng.integers(1, 5))),
    fact="two spans of three steps hide six cells of 28.",
    cases=[([(1, 2), (3, 0)], 7, 3), ([(0, 5), (2, 1)], 8, 4)], mistakes=[
    (lambda starts, n_steps, length: mark_spans(starts, n_steps, length + 1),
     "Your spans are one step too long: a slice from `first` to `first + span_steps` has the right length."),
    (_spans_to_a_step,
     "You stop at step `span_steps` of the window; a span stops `span_steps` after its own first step."),
    (lambda starts, n_steps, length: np.tile(mark_spans(starts, n_steps, length).any(axis=1)[:, None], 4),
     "You hide the steps in all voices: those are bars. A span is of one voice."),
    (lambda starts, n_steps, length: ~mark_spans(starts, n_steps, length),
     "Your mask is inverted: you mark what can be seen. True means hidden."),
    (lambda starts, n_steps, length: mark_spans(starts, n_steps, 1),
     "You hide one step of each span: single cells, which the note next door gives away."),
    (lambda starts, n_steps, length: mark_spans(starts[-1:], n_steps, length),
     "Only the last span is left: make the array once, before the first span.")])


def orderless_loss(nats, is_hidden):
    return float(((nats * is_hidden).sum(axis=1) / is_hidden.sum(axis=1)).mean())

checker("4b.5", orderless_loss,
    draw=lambda rng: (rng.exponential(size=(3, 4)), rng.permuted(np.arange(4) < rng.integers(1, 5, (3, 1)), axis=1)),
    tolerance=1e-9, case_names=("two windows", "one window"),
    fact="{outputs[0]} nats for the first windows; without weights it would be the window with all hidden that "
         "decides.",
    cases=[(np.array([[0.4, 2.0, 1.0, 3.0], [3.0, 2.5, 2.0, 3.5]]), np.array([[1, 0, 0, 0], [1, 1, 1, 1]], bool)),
           (np.array([[1.0, 5.0, 0.5]]), np.array([[False, True, True]]))], mistakes=[
    (lambda nats, hidden: nats[hidden].mean(),
     "The weights are missing: a window with all its cells hidden counts four times as much as a window with one. Take "
     "the mean of each window first."),
    (lambda nats, hidden: (nats * hidden).sum(axis=1).mean() / nats.shape[1],
     "You divide by all cells of a window: where few are hidden, the loss is small however bad the guess."),
    (lambda nats, hidden: (nats * hidden).sum(axis=1).mean(),
     "You add up and do not divide: a window with much hidden outweighs all others."),
    (lambda nats, hidden: ((nats * hidden).sum(axis=1) * hidden.sum(axis=1) / nats.shape[1] ** 2).mean(),
     "Your weights are inverted: the more is hidden, the *less* each cell counts."),
    (lambda nats, hidden: ((nats * ~hidden).sum(axis=1) / np.maximum((~hidden).sum(axis=1), 1)).mean(),
     "You average over what can be seen. True means hidden.")])


def subset_probability(n_cells, n_hidden):
    return 1 / n_cells / math.comb(n_cells, n_hidden)

checker("4b.6", subset_probability,
    draw=lambda rng: (n := int(rng.integers(1, 12)), int(rng.integers(1, n + 1))),
    tolerance=1e-12,
    fact="all four hidden of four has {outputs[2]}, one given pair {outputs[1]}.",
    cases=[(4, 1), (4, 2), (4, 4), (10, 3)], mistakes=[
    (lambda n, k: 0.5**n,
     "You throw a coin for each cell: then nearly always about half is hidden, and the model never learns to begin on "
     "an empty page."),
    (lambda n, k: 1 / (2**n - 1),
     "You draw among all sets that are not empty: most of them hide about half. The size is drawn first."),
    (lambda n, k: 1 / math.comb(n, k), "You forget the first draw: the size itself has one chance in `n_cells`."),
    (lambda n, k: 1 / n, "That is the chance of the size; many sets have it."),
    (lambda n, k: 1 / (n + 1) / math.comb(n, k),
     "You let 0 be drawn: with nothing hidden nothing is asked. There are `n_cells` sizes, from 1."),
    (lambda n, k: 1 / n / math.perm(n, k),
     "You count the same cells in another order as another set: use `math.comb`.")])
