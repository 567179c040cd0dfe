"""Exercises of notebook 8a: shift, mask, padding, numbering, axes, positions.

Chapter: 8a (find the bugs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake

Encoder = Callable[[np.ndarray], np.ndarray]


def next_note_nats(log_probs: np.ndarray, ids: np.ndarray) -> float:
    """Return the mean loss of the notes from the second on, each predicted from the notes before it.

    Args:
        log_probs: float (n_notes, n_symbols); row t holds the logarithms of what the model expects after it has read
            notes 0 to t.
        ids: int (n_notes,), what came; at least two.

    Returns:
        nats a note.

    Chapter: 8a.
    """
    return float(-log_probs[np.arange(len(ids) - 1), ids[1:]].mean())


def _nats_of_the_same_note(log_probs: np.ndarray, ids: np.ndarray) -> float:
    """Mistake: no shift, so the model is asked for what it has just read."""
    return float(-log_probs[np.arange(len(ids)), ids].mean())


def _nats_of_the_note_before(log_probs: np.ndarray, ids: np.ndarray) -> float:
    """Mistake: the shift goes the wrong way."""
    return float(-log_probs[np.arange(1, len(ids)), ids[:-1]].mean())


def _nats_rolled(log_probs: np.ndarray, ids: np.ndarray) -> float:
    """Mistake: the last row is asked for the first note."""
    return float(-log_probs[np.arange(len(ids)), np.roll(ids, -1)].mean())


def _nats_summed(log_probs: np.ndarray, ids: np.ndarray) -> float:
    """Mistake: add up and do not divide."""
    return next_note_nats(log_probs, ids) * (len(ids) - 1)


def _nats_over_all_notes(log_probs: np.ndarray, ids: np.ndarray) -> float:
    """Mistake: divide by the number of notes, the first included, which nobody predicted."""
    return next_note_nats(log_probs, ids) * (len(ids) - 1) / len(ids)


def _nats_without_sign(log_probs: np.ndarray, ids: np.ndarray) -> float:
    """Mistake: forget the minus sign."""
    return -next_note_nats(log_probs, ids)


def is_hidden(n_notes: int) -> np.ndarray:
    """Return which notes PyTorch's encoder must not look at: True hides.

    Args:
        n_notes: length of the sequence.

    Returns:
        bool (n_notes, n_notes); row i belongs to the note that looks, column j to the note that is looked at.

    Chapter: 8a.
    """
    return np.triu(np.ones((n_notes, n_notes), bool), k=1)


def _hidden_upside_down(n_notes: int) -> np.ndarray:
    """Mistake: True where it may look."""
    return ~is_hidden(n_notes)


def _hidden_past(n_notes: int) -> np.ndarray:
    """Mistake: hide the past and show the future."""
    return is_hidden(n_notes).T


def _hidden_self(n_notes: int) -> np.ndarray:
    """Mistake: hide each note from itself too."""
    return np.triu(np.ones((n_notes, n_notes), bool))


def _hidden_one_late(n_notes: int) -> np.ndarray:
    """Mistake: leave the next note in sight."""
    return np.triu(np.ones((n_notes, n_notes), bool), k=2)


def _hidden_by_infinity(n_notes: int) -> np.ndarray:
    """Mistake: the mask that is added to scores, not the Boolean one."""
    return np.where(is_hidden(n_notes), -np.inf, 0.0)


def nats_without_padding(nats: np.ndarray, n_notes: np.ndarray) -> float:
    """Return the mean loss over the notes of a padded batch.

    Args:
        nats: float (n_melodies, longest), the loss at each place.
        n_notes: int (n_melodies,), how many places of each row are notes; the others are padding.

    Returns:
        nats a note.

    Chapter: 8a.
    """
    is_note = np.arange(nats.shape[1]) < n_notes[:, None]
    return float(nats[is_note].mean())


def _nats_of_all_places(nats: np.ndarray, n_notes: np.ndarray) -> float:
    """Mistake: count padding above and below the fraction line."""
    return float(nats.mean())


def _nats_over_all_places(nats: np.ndarray, n_notes: np.ndarray) -> float:
    """Mistake: leave padding out of the sum and count it in the number."""
    is_note = np.arange(nats.shape[1]) < n_notes[:, None]
    return float(nats[is_note].sum() / nats.size)


def _nats_mean_of_means(nats: np.ndarray, n_notes: np.ndarray) -> float:
    """Mistake: give each melody the same weight."""
    return float(np.mean([row[:n].mean() for row, n in zip(nats, n_notes, strict=True)]))


def _nats_of_padding(nats: np.ndarray, n_notes: np.ndarray) -> float:
    """Mistake: keep what should be left out."""
    return float(nats[np.arange(nats.shape[1]) >= n_notes[:, None]].mean())


def _nats_one_too_many(nats: np.ndarray, n_notes: np.ndarray) -> float:
    """Mistake: take one place of padding with each melody."""
    return float(nats[np.arange(nats.shape[1]) <= n_notes[:, None]].mean())


def encode_notes(train: Sequence[str], notes: Sequence[str]) -> list[int]:
    """Number the notes of a training set and write other notes in these numbers.

    Args:
        train: names of notes; the different ones are numbered from 1 in alphabetical order.
        notes: names to write; one that ``train`` does not hold becomes 0.

    Returns:
        one id a note.

    Chapter: 8a.
    """
    id_of = {name: index for index, name in enumerate(sorted(set(train)), start=1)}
    return [id_of.get(name, 0) for name in notes]


def _encode_by_set(train: Sequence[str], notes: Sequence[str]) -> list[int]:
    """Mistake: number in the order in which a set hands its elements out."""
    id_of = {name: index for index, name in enumerate(set(train), start=1)}
    return [id_of.get(name, 0) for name in notes]


def _encode_by_own(train: Sequence[str], notes: Sequence[str]) -> list[int]:
    """Mistake: number each part by itself."""
    return encode_notes(notes, notes)


def _encode_by_both(train: Sequence[str], notes: Sequence[str]) -> list[int]:
    """Mistake: look into the other part for the numbering."""
    return encode_notes([*train, *notes], notes)


def _encode_by_appearance(train: Sequence[str], notes: Sequence[str]) -> list[int]:
    """Mistake: number in the order of appearance."""
    id_of = {name: index for index, name in enumerate(dict.fromkeys(train), start=1)}
    return [id_of.get(name, 0) for name in notes]


def _encode_from_zero(train: Sequence[str], notes: Sequence[str]) -> list[int]:
    """Mistake: let the first note share its number with the unknown ones."""
    id_of = {name: index for index, name in enumerate(sorted(set(train)))}
    return [id_of.get(name, 0) for name in notes]


def _encode_dropping(train: Sequence[str], notes: Sequence[str]) -> list[int]:
    """Mistake: leave out what is unknown."""
    return [number for number in encode_notes(train, notes) if number]


def encode_batch(encoder: Encoder, features: np.ndarray) -> np.ndarray:
    """Run an encoder that wants (time, batch, width) on a batch that is (batch, time, width).

    Args:
        encoder: takes and returns an array (time, batch, width).
        features: float (batch, time, width).

    Returns:
        float (batch, time, width).

    Chapter: 8a.
    """
    return np.swapaxes(encoder(np.swapaxes(features, 0, 1)), 0, 1)


def _batch_as_time(encoder: Encoder, features: np.ndarray) -> np.ndarray:
    """Mistake: hand the batch over as it is."""
    return encoder(features)


def _batch_reshaped(encoder: Encoder, features: np.ndarray) -> np.ndarray:
    """Mistake: reshape, which moves no axis but deals the numbers out anew."""
    batch, time, width = features.shape
    return encoder(features.reshape(time, batch, width)).reshape(batch, time, width)


def _batch_not_back(encoder: Encoder, features: np.ndarray) -> np.ndarray:
    """Mistake: never turn the result back."""
    return encoder(np.swapaxes(features, 0, 1))


def _batch_reshaped_back(encoder: Encoder, features: np.ndarray) -> np.ndarray:
    """Mistake: swap the axes on the way in and reshape on the way out."""
    return encoder(np.swapaxes(features, 0, 1)).reshape(features.shape)


def _batch_width_first(encoder: Encoder, features: np.ndarray) -> np.ndarray:
    """Mistake: swap batch with width."""
    return np.swapaxes(encoder(np.swapaxes(features, 0, 2)), 0, 2)


def encode_in_order(encoder: Encoder, ids: np.ndarray, note_table: np.ndarray, place_table: np.ndarray) -> np.ndarray:
    """Tell an encoder which note stands where.

    Args:
        encoder: takes and returns an array (time, width).
        ids: int (time,), the notes.
        note_table: float (n_symbols, width), one row a symbol.
        place_table: float (n_places, width), one row a place, the first for place 0; n_places is at least time.

    Returns:
        float (time, width).

    Chapter: 8a.
    """
    return encoder(note_table[ids] + place_table[: len(ids)])


def _order_left_out(encoder: Encoder, ids: np.ndarray, note_table: np.ndarray, place_table: np.ndarray) -> np.ndarray:
    """Mistake: never use the places."""
    return encoder(note_table[ids])


def _order_after(encoder: Encoder, ids: np.ndarray, note_table: np.ndarray, place_table: np.ndarray) -> np.ndarray:
    """Mistake: add the places when the encoder has done its work."""
    return encoder(note_table[ids]) + place_table[: len(ids)]


def _order_by_id(encoder: Encoder, ids: np.ndarray, note_table: np.ndarray, place_table: np.ndarray) -> np.ndarray:
    """Mistake: look the place up by the note."""
    return encoder(note_table[ids] + place_table[ids])


def _order_all_first(encoder: Encoder, ids: np.ndarray, note_table: np.ndarray, place_table: np.ndarray) -> np.ndarray:
    """Mistake: give every note the same place."""
    return encoder(note_table[ids] + place_table[0])


def _order_from_one(encoder: Encoder, ids: np.ndarray, note_table: np.ndarray, place_table: np.ndarray) -> np.ndarray:
    """Mistake: begin with the second row."""
    return encoder(note_table[ids] + place_table[1 : len(ids) + 1])


def _mean_so_far(features: np.ndarray) -> np.ndarray:
    """Stand in for a causal encoder: mean of what was read so far, along the first axis."""
    n_read = np.arange(1, len(features) + 1).reshape(-1, *[1] * (features.ndim - 1))
    return np.cumsum(features, axis=0) / n_read


def _look_around(features: np.ndarray) -> np.ndarray:
    """Stand in for attention: each row takes a mean of all rows, weighted by how alike they are."""
    weights = np.exp(features @ features.T)
    return weights / weights.sum(axis=1, keepdims=True) @ features


def _log_probs(n_notes: int, n_symbols: int, seed: int) -> np.ndarray:
    """Return made-up predictions."""
    powers = np.exp(np.random.default_rng(seed).normal(size=(n_notes, n_symbols)))
    return np.log(powers / powers.sum(axis=1, keepdims=True))


def _tables(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a made-up table of notes and one of places."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(7, 3)), rng.normal(size=(8, 3))


EXERCISES = (
    Exercise(
        id="8a.1",
        title="Which way does the target shift?",
        minutes=5,
        task=(
            "Write `next_note_nats(log_probs, ids)`. Row `t` of `log_probs` holds the logarithms of what a model "
            "expects after it has read notes 0 to `t`; `ids` are the notes that came. Return the mean loss in nats "
            "of the notes from the second on."
        ),
        hint="Row 0 has read note 0. Which note does it speak about? What does the last row speak about?",
        cases=lambda: (
            (_log_probs(5, 4, seed=0), np.array([3, 0, 2, 2, 1])),
            (_log_probs(3, 6, seed=1), np.array([5, 1, 4])),
        ),
        case_names=("five notes", "three notes"),
        solution=next_note_nats,
        mistakes=(
            Mistake(
                _nats_of_the_same_note,
                "You ask each row for the note that it has just read. A model that copies would score best: shift.",
            ),
            Mistake(
                _nats_of_the_note_before,
                "You ask each row for the note before the one it has read: the target is shifted the wrong way.",
            ),
            Mistake(
                _nats_rolled,
                "You ask the last row for the first note: np.roll goes round the end. Leave the last row out.",
            ),
            Mistake(_nats_summed, "You add up; divide by the number of notes that were predicted."),
            Mistake(
                _nats_over_all_notes,
                "You divide by all notes. Nobody predicted the first one, so it does not count: the loss looks better.",
            ),
            Mistake(_nats_without_sign, "You give {found}: a loss is minus the logarithm, so it is 0 or more."),
        ),
        fact="the last row is not asked, and the first note is not scored.",
        tolerance=1e-6,
    ),
    Exercise(
        id="8a.2",
        title="Hide the future",
        minutes=5,
        task=(
            "Write `is_hidden(n_notes)`: the Boolean mask that `nn.TransformerEncoder` wants, an array of "
            "`n_notes` by `n_notes`. Row `i` is the note that looks, column `j` the note that is looked at. In this "
            "layer `True` means: do *not* look."
        ),
        hint="Write the four by four case on paper first. May a note look at itself? `np.triu` has an argument `k`.",
        cases=lambda: ((4,), (3,), (1,)),
        solution=is_hidden,
        mistakes=(
            Mistake(
                _hidden_upside_down,
                "Your mask is upside down: True where a note may look. In scaled_dot_product_attention that would be "
                "right; nn.TransformerEncoder and nn.MultiheadAttention mean the opposite.",
            ),
            Mistake(
                _hidden_past, "You hide the past and show the future: rows look, columns are looked at. Transpose it."
            ),
            Mistake(
                _hidden_self,
                "You hide each note from itself. Then the first note sees nothing at all, and softmax over nothing "
                "is not a number.",
            ),
            Mistake(_hidden_one_late, "You leave the next note in sight, and the next note is the answer."),
            Mistake(
                _hidden_by_infinity,
                "You give the mask that is added to the scores. PyTorch takes that one too; this exercise asks for "
                "True and False.",
            ),
        ),
        fact="for four notes {outputs[0]}.",
    ),
    Exercise(
        id="8a.3",
        title="Padding does not count",
        minutes=5,
        task=(
            "Write `nats_without_padding(nats, n_notes)`. `nats[m, i]` is the loss at place `i` of melody `m`; only "
            "the first `n_notes[m]` places of that row are notes, the others are padding. Return the mean loss in "
            "nats a note over the batch."
        ),
        hint="Make a Boolean array of the shape of `nats` that says which places are notes.",
        cases=lambda: (
            (np.array([[2.0, 1.0, 4.0, 3.0], [1.5, 0.25, 0.125, 0.0625]]), np.array([4, 1])),
            (np.array([[1.0, 0.5, 8.0], [3.0, 2.5, 0.75], [4.0, 7.0, 0.0]]), np.array([3, 2, 1])),
        ),
        solution=nats_without_padding,
        mistakes=(
            Mistake(
                _nats_of_all_places,
                "You count padding as if it were music: for {input} you give {found}, and the notes alone cost "
                "{expected}.",
            ),
            Mistake(
                _nats_over_all_places,
                "You leave padding out of the sum and still divide by all places. It must leave both.",
            ),
            Mistake(
                _nats_mean_of_means,
                "You take the mean of each melody and then the mean of those: notes of short melodies weigh more. "
                "Take one mean over all notes.",
            ),
            Mistake(_nats_of_padding, "You keep the padding and leave the notes out: the condition is upside down."),
            Mistake(
                _nats_one_too_many,
                "You take one place too many with each melody that is padded: places 0 to n - 1 are notes.",
            ),
        ),
        fact="{outputs[0]} nats a note in the first batch, however long the padding is.",
        tolerance=1e-9,
    ),
    Exercise(
        id="8a.4",
        title="One numbering for all",
        minutes=5,
        task=(
            "Write `encode_notes(train, notes)`. Both are lists of note names. Number the different names in `train` "
            "from 1, in alphabetical order, and return the list of ids of `notes`. A name that `train` does not hold "
            "gets 0."
        ),
        hint="`sorted` makes an order out of a set. `dict.get` has a second argument.",
        cases=lambda: (
            (
                ["G4", "A4", "F4", "E4", "A4", "D4", "C5", "B4", "G3", "F3"],
                ["C5", "D4", "E4", "C6", "G4", "B4", "A4", "F4", "D5"],
            ),
            (["E5", "D5", "C5", "B4", "A4", "G4", "F4", "E4"], ["A4", "G4", "F4", "E4", "E5", "D5", "C5", "B4"]),
        ),
        case_names=("the first melody", "the second melody"),
        solution=encode_notes,
        mistakes=(
            Mistake(
                _encode_by_set,
                "You number in the order in which a set hands its elements out. For texts that order changes each "
                "time Python starts, so a model saved today is another model tomorrow. Sort.",
            ),
            Mistake(
                _encode_by_own,
                "You number the notes that you are asked to write. Then one name has one id in train and another "
                "here: the numbering belongs to train.",
            ),
            Mistake(
                _encode_by_both,
                "You number the names of both lists: the model would have a row for notes that it never met, and "
                "every new piece would move the others.",
            ),
            Mistake(
                _encode_by_appearance,
                "You number in order of appearance. That is stable as long as nobody shuffles the files; the "
                "exercise asks for alphabetical order, which is stable anyway.",
            ),
            Mistake(_encode_from_zero, "You count from 0, so the first name and all unknown names share one id."),
            Mistake(_encode_dropping, "You leave out what is unknown: the melody gets shorter, and its rhythm shifts."),
        ),
        fact="the same name has the same id in every part, on every day.",
    ),
    Exercise(
        id="8a.5",
        title="Turn the batch round",
        minutes=5,
        task=(
            "Write `encode_batch(encoder, features)`. `features` is an array (batch, time, width). `encoder` is a "
            "function that takes and returns (time, batch, width). Return what it makes of the batch, as (batch, "
            "time, width)."
        ),
        hint="Swapping two axes and reshaping to the same sizes are different things. `np.swapaxes`.",
        cases=lambda: (
            (_mean_so_far, np.arange(24.0).reshape(2, 4, 3) ** 2),
            (_mean_so_far, np.sin(np.arange(27.0)).reshape(3, 3, 3)),
        ),
        case_names=("two melodies of four notes", "three melodies of three notes"),
        solution=encode_batch,
        mistakes=(
            Mistake(
                _batch_as_time,
                "You hand the batch over as it is: the encoder takes melodies for moments, so one melody hears "
                "another. No error says so.",
            ),
            Mistake(
                _batch_reshaped,
                "You reshape. The sizes are right and the numbers are dealt out anew: notes of different melodies "
                "stand side by side. Swap the axes.",
            ),
            Mistake(_batch_not_back, "You return (time, batch, width): turn the result back."),
            Mistake(
                _batch_reshaped_back,
                "You swap on the way in and reshape on the way out: swap both times.",
            ),
            Mistake(_batch_width_first, "You swap batch with width: axes 0 and 1 must change places."),
        ),
        fact="each melody is encoded by itself.",
        tolerance=1e-9,
    ),
    Exercise(
        id="8a.6",
        title="Say what stands where",
        minutes=10,
        task=(
            "Write `encode_in_order(encoder, ids, note_table, place_table)`. `encoder` takes and returns (time, "
            "width) and does not know the order of its rows. Row `s` of `note_table` describes symbol `s`; row `i` "
            "of `place_table` describes place `i`, from 0. Give the encoder, for each note, the sum of both, and "
            "return what it makes of it."
        ),
        hint="One table is looked up by what the note is, the other by where it stands. When must the sum be made?",
        cases=lambda: (
            (_look_around, np.array([2, 5, 2, 6, 0]), *_tables(seed=2)),
            (_look_around, np.array([1, 1, 1]), *_tables(seed=3)),
        ),
        case_names=("five notes", "three equal notes"),
        solution=encode_in_order,
        mistakes=(
            Mistake(_order_left_out, "You leave the places out: equal notes look the same wherever they stand."),
            Mistake(
                _order_after,
                "You add the places after the encoder. While it looks around it cannot tell early from late: add "
                "them before.",
            ),
            Mistake(
                _order_by_id,
                "You look the places up by the note: that is a second table of notes. Use 0, 1, 2, ...",
            ),
            Mistake(_order_all_first, "You give every note the same place."),
            Mistake(
                _order_from_one,
                "You begin with the second row. It would train, but the table has a row for place 0, and the longest "
                "piece will find no row at its end.",
            ),
        ),
        fact="equal notes differ by their places before the encoder looks around.",
        tolerance=1e-9,
    ),
)
