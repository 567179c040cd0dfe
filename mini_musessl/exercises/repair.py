"""Checkers of the exercises of notebook 8a; tasks, hints and solutions stand there. Chapter: 8a."""

import numpy as np

from mini_musessl.exercises.checking import checker
from mini_musessl.exercises.first_road import softmax

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def next_note_nats(log_probs, ids):
    return float(-log_probs[np.arange(len(ids) - 1), ids[1:]].mean())

def _log_probs(n_notes, n_symbols, seed):
    return np.log(softmax(np.random.default_rng(seed).normal(size=(n_notes, n_symbols))))

checker("8a.1", next_note_nats,
    draw=lambda rng: (_log_probs(6, 4, rng), rng.integers(0, 4, 6)),
    tolerance=1e-6,
    cases=[(_log_probs(5, 4, seed=0), np.array([3, 0, 2, 2, 1])), (_log_probs(3, 6, seed=1), np.array([5, 1, 4]))],
    case_names=["five notes", "three notes"], fact="the last row is not asked, and the first note is not scored.",
    mistakes=[
    (lambda log_probs, ids: float(-log_probs[np.arange(len(ids)), ids].mean()),
     "You ask each row for the note that it has just read. A model that copies would score best: shift."),
    (lambda log_probs, ids: float(-log_probs[np.arange(1, len(ids)), ids[:-1]].mean()),
     "You ask each row for the note before the one it has read: the target is shifted the wrong way."),
    (lambda log_probs, ids: float(-log_probs[np.arange(len(ids)), np.roll(ids, -1)].mean()),
     "You ask the last row for the first note: np.roll goes round the end. Leave the last row out."),
    (lambda log_probs, ids: next_note_nats(log_probs, ids) * (len(ids) - 1),
     "You add up; divide by the number of notes that were predicted."),
    (lambda log_probs, ids: next_note_nats(log_probs, ids) * (len(ids) - 1) / len(ids),
     "You divide by all notes. The first one is not predicted, so it does not count: the loss looks better."),
    (lambda log_probs, ids: -next_note_nats(log_probs, ids),
     "You give {found}: a loss is minus the logarithm, so it is 0 or more.")])


def is_hidden(n_notes, k=1):
    return np.triu(np.ones((n_notes, n_notes), bool), k)

checker("8a.2", is_hidden,
    draw=lambda rng: (int(rng.integers(1, 7)),),
    cases=[(4,), (3,), (1,)], fact="for four notes {outputs[0]}.", mistakes=[
    (lambda n_notes: ~is_hidden(n_notes),
     "Your mask is inverted: True where a note may look. In scaled_dot_product_attention that would be right; "
     "nn.TransformerEncoder and nn.MultiheadAttention mean the opposite."),
    (lambda n_notes: is_hidden(n_notes).T,
     "You hide the past and show the future: rows look, columns are looked at. Transpose it."),
    (lambda n_notes: is_hidden(n_notes, k=0),
     "You hide each note from itself. Then the first note sees nothing at all, and softmax over nothing is not a "
     "number."),
    (lambda n_notes: is_hidden(n_notes, k=2), "You leave the next note in sight, and the next note is the answer."),
    (lambda n_notes: np.where(is_hidden(n_notes), -np.inf, 0.0),
     "You give the mask that is added to the scores. PyTorch takes that one too; this exercise asks for True and "
     "False.")])


def nats_without_padding(nats, n_notes):
    is_note = np.arange(nats.shape[1]) < n_notes[:, None]
    return float(nats[is_note].mean())

checker("8a.3", nats_without_padding,
    draw=lambda rng: (rng.exponential(size=(3, 4)), rng.integers(1, 5, 3)),
    tolerance=1e-9,
    cases=[(np.array([[2.0, 1.0, 4.0, 3.0], [1.5, 0.25, 0.125, 0.0625]]), np.array([4, 1])),
           (np.array([[1.0, 0.5, 8.0], [3.0, 2.5, 0.75], [4.0, 7.0, 0.0]]), np.array([3, 2, 1]))],
    fact="{outputs[0]} nats per note in the first batch, however long the padding is.", mistakes=[
    (lambda nats, n_notes: float(nats.mean()),
     "You count padding as if it were music: take the mean over the notes alone."),
    (lambda nats, n_notes: nats_without_padding(nats, n_notes) * float(n_notes.sum() / nats.size),
     "You leave padding out of the sum and still divide by all places. It must leave both."),
    (lambda nats, n_notes: float(np.mean([row[:n].mean() for row, n in zip(nats, n_notes, strict=True)])),
     "You take the mean of each melody and then the mean of those: notes of short melodies weigh more. Take one mean "
     "over all notes."),
    (lambda nats, n_notes: float(nats[np.arange(nats.shape[1]) >= n_notes[:, None]].mean()),
     "You keep the padding and leave the notes out: the condition is inverted."),
    (lambda nats, n_notes: nats_without_padding(nats, n_notes + 1),
     "You take one place too many with each melody that is padded: places 0 to n - 1 are notes.")])


def _ids(names, notes, start=1):
    id_of = {name: index for index, name in enumerate(names, start)}
    return [id_of.get(name, 0) for name in notes]

def encode_notes(train, notes):
    return _ids(sorted(set(train)), notes)

def _encode_by_set(train, notes):
    return _ids(set(train), notes)

checker("8a.4", encode_notes,
    draw=lambda rng: tuple(rng.choice(["A4", "B4", "C4", "D4", "E4", "F4", "G4"], (2, 5)).tolist()),
    cases=[(["G4", "A4", "F4", "E4", "A4", "D4", "C5", "B4", "G3", "F3"],
            ["C5", "D4", "E4", "C6", "G4", "B4", "A4", "F4", "D5"]),
           (["E5", "D5", "C5", "B4", "A4", "G4", "F4", "E4"], ["A4", "G4", "F4", "E4", "E5", "D5", "C5", "B4"])],
    case_names=["the first melody", "the second melody"],
    fact="the same name has the same id in every part, on every day.", mistakes=[
    (_encode_by_set,
     "You number in the order in which a set hands its elements out. For texts that order changes each time Python "
     "starts, so a model saved today is another model tomorrow. Sort."),
    (lambda train, notes: encode_notes(notes, notes),
     "You number the notes that you are asked to write. Then one name has one id in train and another here: the "
     "numbering belongs to train."),
    (lambda train, notes: encode_notes([*train, *notes], notes),
     "You number the names of both lists: the model would have a row for notes that it never met, and every new piece "
     "would move the others."),
    (lambda train, notes: _ids(dict.fromkeys(train), notes),
     "You number in order of appearance. That is stable as long as the files keep their order; the exercise asks for "
     "alphabetical order, which is stable anyway."),
    (lambda train, notes: _ids(sorted(set(train)), notes, start=0),
     "You count from 0, so the first name and all unknown names share one id."),
    (lambda train, notes: [number for number in encode_notes(train, notes) if number],
     "You leave out what is unknown: the melody gets shorter, and its rhythm shifts.")])


def encode_batch(encoder, features):
    return np.swapaxes(encoder(np.swapaxes(features, 0, 1)), 0, 1)

def _batch_reshaped(encoder, features):
    batch, time, width = features.shape
    return encoder(features.reshape(time, batch, width)).reshape(batch, time, width)

def _mean_so_far(features):  # stands in for a causal encoder
    n_read = np.arange(1, len(features) + 1).reshape(-1, *[1] * (features.ndim - 1))
    return np.cumsum(features, axis=0) / n_read

checker("8a.5", encode_batch,
    draw=lambda rng: (_mean_so_far, rng.normal(size=(2, 3, 4))),
    tolerance=1e-9,
    cases=[(_mean_so_far, np.arange(24.0).reshape(2, 4, 3) ** 2),
           (_mean_so_far, np.sin(np.arange(27.0)).reshape(3, 3, 3))],
    case_names=["two melodies of four notes", "three melodies of three notes"],
    fact="each melody is encoded by itself.", mistakes=[
    (lambda encoder, features: encoder(features),
     "You hand the batch over as it is: the encoder takes melodies for moments, so one melody attends to another. No "
     "error says so."),
    (_batch_reshaped,
     "You reshape. The sizes are right and the numbers are dealt out anew: notes of different melodies stand side by "
     "side. Swap the axes."),
    (lambda encoder, features: encoder(np.swapaxes(features, 0, 1)),
     "You return (time, batch, width): turn the result back."),
    (lambda encoder, features: encoder(np.swapaxes(features, 0, 1)).reshape(features.shape),
     "You swap on the way in and reshape on the way out: swap both times."),
    (lambda encoder, features: np.swapaxes(encoder(np.swapaxes(features, 0, 2)), 0, 2),
     "You swap batch with width: axes 0 and 1 must change places.")])


def encode_in_order(encoder, ids, note_table, place_table):
    return encoder(note_table[ids] + place_table[: len(ids)])

def _look_around(features):  # stands in for attention: each row takes a mean of all, weighted by how alike they are
    return softmax(features @ features.T) @ features

def _tables(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(7, 3)), rng.normal(size=(8, 3))

checker("8a.6", encode_in_order,
    draw=lambda rng: (_look_around, rng.integers(0, 7, rng.integers(1, 8)), *_tables(rng)),
    tolerance=1e-9,
    cases=[(_look_around, np.array([2, 5, 2, 6, 0]), *_tables(2)), (_look_around, np.array([1, 1, 1]), *_tables(3))],
    case_names=["five notes", "three equal notes"],
    fact="equal notes differ by their places before the encoder looks around.", mistakes=[
    (lambda encoder, ids, notes, places: encoder(notes[ids]),
     "You leave the places out: equal notes look the same wherever they stand."),
    (lambda encoder, ids, notes, places: encoder(notes[ids]) + places[: len(ids)],
     "You add the places after the encoder. While it looks around it cannot tell early from late: add them before."),
    (lambda encoder, ids, notes, places: encoder(notes[ids] + places[ids]),
     "You look the places up by the note: that is a second table of notes. Use 0, 1, 2, ..."),
    (lambda encoder, ids, notes, places: encoder(notes[ids] + places[0]), "You give every note the same place."),
    (lambda encoder, ids, notes, places: encode_in_order(encoder, ids, notes, places[1:]),
     "You begin with the second row. It would train, but the table has a row for place 0, and the longest piece will "
     "find no row at its end.")])
