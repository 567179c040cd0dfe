"""Exercises of notebook 4a: cutting, held and moving cells, what was heard, unequal batches, hearing oneself.

Chapter: 4a (next token).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake

Beliefs = Callable[[list[int]], np.ndarray]
Windows = list[tuple[np.ndarray, np.ndarray]]


def cut_examples(ids: np.ndarray, length: int, begin_id: int) -> Windows:
    """Cut a piece into windows for next-token prediction.

    Args:
        ids: (n_tokens,), one piece.
        length: tokens of a window; the last window may be shorter.
        begin_id: what stands before the first token of the piece.

    Returns:
        Pairs of what the network reads and what it must predict; every token of the piece is a target once.

    Chapter: 4a.
    """
    read = np.concatenate(([begin_id], ids[:-1]))
    return [(read[i : i + length], ids[i : i + length]) for i in range(0, len(ids), length)]


def _cut_then_shift(ids: np.ndarray, length: int, begin_id: int) -> Windows:
    """Mistake: shift inside each window, so that its first token is nobody's target."""
    rows = [ids[i : i + length] for i in range(0, len(ids), length)]
    return [(row[:-1], row[1:]) for row in rows]


def _cut_begin_everywhere(ids: np.ndarray, length: int, begin_id: int) -> Windows:
    """Mistake: tell each window that a piece begins."""
    rows = [ids[i : i + length] for i in range(0, len(ids), length)]
    return [(np.concatenate(([begin_id], row[:-1])), row) for row in rows]


def _cut_unshifted(ids: np.ndarray, length: int, begin_id: int) -> Windows:
    """Mistake: let the network read what it must predict."""
    return [(row, row) for _, row in cut_examples(ids, length, begin_id)]


def _cut_backwards(ids: np.ndarray, length: int, begin_id: int) -> Windows:
    """Mistake: predict the token before."""
    return [(targets, read) for read, targets in cut_examples(ids, length, begin_id)]


def _cut_without_rest(ids: np.ndarray, length: int, begin_id: int) -> Windows:
    """Mistake: drop a short last window."""
    return [pair for pair in cut_examples(ids, length, begin_id) if len(pair[1]) == length]


def _cut_overlapping(ids: np.ndarray, length: int, begin_id: int) -> Windows:
    """Mistake: begin a window at every token."""
    read = np.concatenate(([begin_id], ids[:-1]))
    return [(read[i : i + length], ids[i : i + length]) for i in range(len(ids) - length + 1)]


def held_and_moved(nats: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Split the surprise at cells that hold from that at cells that move.

    Args:
        nats: float (n_steps, n_voices), the surprise at each cell.
        ids: int (n_steps, n_voices), the symbols that came.

    Returns:
        The mean surprise where a voice sings what it sang a step before, and where it sings something else. The first
        step, which has no step before it, counts in neither.

    Chapter: 4a.
    """
    moves = ids[1:] != ids[:-1]
    return float(nats[1:][~moves].mean()), float(nats[1:][moves].mean())


def _held_until_next(nats: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Mistake: ask whether the voice moves in the step after."""
    moves = ids[1:] != ids[:-1]
    return float(nats[:-1][~moves].mean()), float(nats[:-1][moves].mean())


def _held_across_voices(nats: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Mistake: compare each token with the one before it in the row, which is another voice."""
    row = ids.ravel()
    moves = row[1:] != row[:-1]
    return float(nats.ravel()[1:][~moves].mean()), float(nats.ravel()[1:][moves].mean())


def _held_first_moves(nats: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Mistake: count the first step as a move."""
    moves = np.vstack((np.ones_like(ids[:1], bool), ids[1:] != ids[:-1]))
    return float(nats[~moves].mean()), float(nats[moves].mean())


def _held_first_holds(nats: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Mistake: count the first step as held."""
    moves = np.vstack((np.zeros_like(ids[:1], bool), ids[1:] != ids[:-1]))
    return float(nats[~moves].mean()), float(nats[moves].mean())


def _held_by_step(nats: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Mistake: call all cells of a step moves when one voice moves."""
    moves = (ids[1:] != ids[:-1]).any(axis=1)
    return float(nats[1:][~moves].mean()), float(nats[1:][moves].mean())


def _held_swapped(nats: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Mistake: name them the other way round."""
    return held_and_moved(nats, ids)[::-1]


def _held_as_parts(nats: np.ndarray, ids: np.ndarray) -> tuple[float, float]:
    """Mistake: divide both by the number of all cells."""
    moves = ids[1:] != ids[:-1]
    return float((nats[1:] * ~moves).mean()), float((nats[1:] * moves).mean())


def heard_before(ids: np.ndarray) -> np.ndarray:
    """Return which pitch classes have sounded before each step.

    Args:
        ids: int (n_steps, n_voices): 0 is a rest, 1 is MIDI pitch 36, a C, and each id is a semitone above the last.

    Returns:
        bool (n_steps, 12), column 0 for C: what a model that predicts the step may know.

    Chapter: 4a.
    """
    heard = np.zeros((len(ids), 12), bool)
    for step in range(1, len(ids)):
        heard[step] = heard[step - 1]
        heard[step, [(symbol - 1) % 12 for symbol in ids[step - 1] if symbol > 0]] = True
    return heard


def _heard_with_itself(ids: np.ndarray) -> np.ndarray:
    """Mistake: count the step itself, which is to be predicted."""
    return heard_before(np.vstack((ids, ids[:1])))[1:]


def _heard_anywhere(ids: np.ndarray) -> np.ndarray:
    """Mistake: the scale of the whole piece."""
    return np.repeat(heard_before(np.vstack((ids, ids[:1])))[-1:], len(ids), axis=0)


def _heard_later(ids: np.ndarray) -> np.ndarray:
    """Mistake: what is still to come."""
    return heard_before(ids[::-1])[::-1]


def _heard_last_step(ids: np.ndarray) -> np.ndarray:
    """Mistake: remember the step before alone."""
    heard = np.zeros((len(ids), 12), bool)
    for step in range(1, len(ids)):
        heard[step] = heard_before(ids[step - 1 : step + 1])[1]
    return heard


def _heard_rests(ids: np.ndarray) -> np.ndarray:
    """Mistake: hear a rest as a B."""
    return heard_before(np.where(ids == 0, 12, ids))


def _heard_one_too_high(ids: np.ndarray) -> np.ndarray:
    """Mistake: take the id for the pitch."""
    return heard_before(np.where(ids == 0, 0, ids + 1))


def mean_gradient(gradients: np.ndarray, n_targets: np.ndarray) -> np.ndarray:
    """Join the gradients of several batches into that of all of them together.

    Args:
        gradients: float (n_batches, n_weights): of each batch, the gradient of its *mean* loss.
        n_targets: int (n_batches,): how many targets each mean was over.

    Returns:
        float (n_weights,): the gradient of the mean loss over all targets.

    Chapter: 4a.
    """
    return n_targets @ gradients / n_targets.sum()


def _gradient_of_means(gradients: np.ndarray, n_targets: np.ndarray) -> np.ndarray:
    """Mistake: every batch counts alike."""
    return gradients.mean(axis=0)


def _gradient_summed(gradients: np.ndarray, n_targets: np.ndarray) -> np.ndarray:
    """Mistake: add up, as backward() does by itself."""
    return gradients.sum(axis=0)


def _gradient_of_sums(gradients: np.ndarray, n_targets: np.ndarray) -> np.ndarray:
    """Mistake: weigh, and do not divide."""
    return n_targets @ gradients


def _gradient_by_batches(gradients: np.ndarray, n_targets: np.ndarray) -> np.ndarray:
    """Mistake: weigh, and divide by the number of batches."""
    return n_targets @ gradients / len(n_targets)


def _gradient_upside_down(gradients: np.ndarray, n_targets: np.ndarray) -> np.ndarray:
    """Mistake: weigh small batches more."""
    return (1 / n_targets) @ gradients / (1 / n_targets).sum()


def _gradient_last(gradients: np.ndarray, n_targets: np.ndarray) -> np.ndarray:
    """Mistake: keep the last batch, as zeroing between batches does."""
    return gradients[-1].copy()


def write_on(beliefs: Beliefs, music: Sequence[int], n_given: int, draws: Sequence[float]) -> list[int]:
    """Continue the opening of a tune with a model that hears itself.

    Args:
        beliefs: takes a list of symbols; returns the probabilities of all symbols that may follow it.
        music: a tune; its first ``n_given`` symbols are the opening.
        n_given: how many symbols the model is given.
        draws: a number in 0 up to but not 1 for each new symbol, which is the first symbol whose cumulative
            probability exceeds it.

    Returns:
        The opening, and as many new symbols as there are draws.

    Chapter: 4a.
    """
    heard = list(music[:n_given])
    for draw in draws:
        cumulative = np.cumsum(beliefs(list(heard)))
        heard.append(int(np.searchsorted(cumulative, draw, side="right")))
    return heard


def _draw(probabilities: np.ndarray, draw: float) -> int:
    """Return the first symbol whose cumulative probability exceeds a number."""
    return int(np.searchsorted(np.cumsum(probabilities), draw, side="right"))


def _write_forced(beliefs: Beliefs, music: Sequence[int], n_given: int, draws: Sequence[float]) -> list[int]:
    """Mistake: let the model hear the rest of the tune."""
    new = [_draw(beliefs(list(music[: n_given + i])), draw) for i, draw in enumerate(draws)]
    return [*music[:n_given], *new]


def _write_deaf(beliefs: Beliefs, music: Sequence[int], n_given: int, draws: Sequence[float]) -> list[int]:
    """Mistake: ask at the end of the opening each time."""
    return [*music[:n_given], *(_draw(beliefs(list(music[:n_given])), draw) for draw in draws)]


def _write_forgetful(beliefs: Beliefs, music: Sequence[int], n_given: int, draws: Sequence[float]) -> list[int]:
    """Mistake: let it hear its last symbol alone."""
    return write_on(lambda heard: beliefs(heard[-1:]), music, n_given, draws)


def _write_likeliest(beliefs: Beliefs, music: Sequence[int], n_given: int, draws: Sequence[float]) -> list[int]:
    """Mistake: take the likeliest symbol and leave chance out."""
    heard = list(music[:n_given])
    for _ in draws:
        heard.append(int(np.argmax(beliefs(list(heard)))))
    return heard


def _write_new_only(beliefs: Beliefs, music: Sequence[int], n_given: int, draws: Sequence[float]) -> list[int]:
    """Mistake: return what is new."""
    return write_on(beliefs, music, n_given, draws)[n_given:]


def _write_after_all(beliefs: Beliefs, music: Sequence[int], n_given: int, draws: Sequence[float]) -> list[int]:
    """Mistake: take the whole tune for the opening."""
    return write_on(beliefs, music, len(music), draws)


def _write_from_the_top(beliefs: Beliefs, music: Sequence[int], n_given: int, draws: Sequence[float]) -> list[int]:
    """Mistake: add the probabilities up from the last symbol."""
    n_symbols = len(beliefs([0]))
    heard = list(music[:n_given])
    for draw in draws:
        heard.append(n_symbols - 1 - _draw(beliefs(list(heard))[::-1], draw))
    return heard


def _beliefs_by_sum(heard: list[int]) -> np.ndarray:
    """Believe in four symbols by the sum of all that was heard."""
    weights = (1.0 + (np.arange(4) + sum(heard)) % 4) ** 2
    return weights / weights.sum()


def _beliefs_by_first(heard: list[int]) -> np.ndarray:
    """Believe in five symbols by the first one heard, the last one and how many there were."""
    weights = 1.0 + (heard[0] + 3 * heard[-1] + np.arange(5) * len(heard)) % 5
    return weights / weights.sum()


def _surprise() -> tuple[np.ndarray, np.ndarray]:
    """Make six steps of three voices, of which one moves to what another sings, and none moves in the last."""
    ids = np.array([[20, 16, 8], [20, 16, 16], [22, 16, 16], [22, 15, 16], [22, 15, 10], [22, 15, 10]])
    nats = [[3.1, 2.5, 2.9], [0.1, 0.2, 1.5], [1.1, 0.4, 0.3], [0.2, 2.2, 0.6], [0.3, 0.1, 0.9], [0.2, 0.1, 0.3]]
    return np.array(nats), ids


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="4a.1",
        title="Cut, then shift?",
        minutes=10,
        task=(
            "A piece is too long for the network. Write `cut_examples(ids, length, begin_id)`: a list of pairs `(what "
            "the network reads, what it must predict)`, one for each window of `length` tokens, side by side; the last "
            "window may be shorter. Every token of the piece must be a target exactly once. `begin_id` stands before "
            "the first token of the *piece*."
        ),
        hint="Shift the piece first. What does the second window read at its first place?",
        cases=lambda: (
            (np.array([30, 30, 31, 33, 33, 35, 30]), 3, 47),
            (np.array([5, 6, 7, 8]), 2, 0),
        ),
        solution=cut_examples,
        mistakes=(
            Mistake(
                _cut_then_shift,
                "You shift inside each window: its first token is nobody's target, so the network never learns to go "
                "on across a cut. Shift the piece, then cut.",
            ),
            Mistake(
                _cut_begin_everywhere,
                "Every window of yours begins with begin_id, so the network is told that a piece begins where you "
                "happened to cut. At a cut it reads the token before.",
            ),
            Mistake(
                _cut_unshifted,
                "The network reads what it must predict: it would learn to copy, at a loss near 0, and write nothing.",
            ),
            Mistake(
                _cut_backwards,
                "Your pairs are the wrong way round: the network reads a token and must say which one came before.",
            ),
            Mistake(
                _cut_without_rest,
                "A last window that is short is dropped: the ends of the pieces, and their cadences, are never seen.",
            ),
            Mistake(
                _cut_overlapping,
                "Your windows overlap: most tokens are targets several times, those at the ends of the piece once.",
            ),
        ),
        fact="the network reads the last token of a window as the first of the next, and every token is asked once.",
    ),
    Exercise(
        id="4a.2",
        title="Held and moved",
        minutes=10,
        task=(
            "`nats[t, v]` is a model's surprise at voice `v` of step `t`, `ids[t, v]` the symbol that came. Write "
            "`held_and_moved(nats, ids)`: the mean surprise at cells that sing what the same voice sang a step before, "
            "and at cells that sing something else, in this order. The first step counts in neither."
        ),
        hint="One comparison of two slices of `ids` gives an array of Booleans. Which slice of `nats` does it fit?",
        cases=lambda: (
            _surprise(),
            (np.array([[2.0, 1.5], [0.5, 0.25], [1.0, 3.0]]), np.array([[9, 4], [9, 4], [7, 7]])),
        ),
        case_names=("six steps", "three steps"),
        solution=held_and_moved,
        mistakes=(
            Mistake(
                _held_until_next,
                "You ask whether the voice moves in the step *after*: compare with the step before, and drop the first "
                "row of nats, not the last.",
            ),
            Mistake(
                _held_across_voices,
                "You compare each token with the one before it in the row, which belongs to another voice.",
            ),
            Mistake(
                _held_first_moves,
                "You count the first step as moves. Nothing moved there, and it is the dearest step of the piece.",
            ),
            Mistake(_held_first_holds, "You count the first step as held, and nothing had been sung."),
            Mistake(
                _held_by_step,
                "You call all cells of a step moves as soon as one voice moves: ask each voice by itself.",
            ),
            Mistake(_held_swapped, "You name them the other way round: first the cells that are held."),
            Mistake(
                _held_as_parts,
                "You divide by all cells: these are the two parts of the mean. Divide each by the cells of its kind.",
            ),
        ),
        fact="cells that hold cost this model less, and in a chorale most cells hold.",
        tolerance=1e-9,
    ),
    Exercise(
        id="4a.3",
        title="What has been heard",
        minutes=15,
        task=(
            "You want to tell a model which scale it is in. Write `heard_before(ids)`: a Boolean array `(n_steps, 12)` "
            "that says which pitch classes, C first, have sounded before each step. `ids` is `(n_steps, n_voices)`: 0 "
            "is a rest, 1 is the C of MIDI pitch 36, 2 the C sharp above it, and so on."
        ),
        hint="The first row is all False. What does row 1 know? Test yourself: change the last step, and see whether "
        "anything moves.",
        cases=lambda: (
            (np.array([[25, 17], [25, 0], [29, 20], [30, 24]]),),
            (np.array([[8], [13], [8], [0], [3]]),),
        ),
        solution=heard_before,
        mistakes=(
            Mistake(
                _heard_with_itself,
                "Each row counts the step itself, which the model must predict: a pitch class that is new there is the "
                "answer.",
            ),
            Mistake(
                _heard_anywhere,
                "You tell every step the scale of the whole piece: the future leaks, above all where the key changes.",
            ),
            Mistake(_heard_later, "You tell each step what is still to come; it may know what has been."),
            Mistake(
                _heard_last_step,
                "You remember the step before alone: in a row that is True, what was heard must stay True.",
            ),
            Mistake(_heard_rests, "You hear a rest as a B: id 0 is no pitch, and (0 - 1) % 12 is 11."),
            Mistake(
                _heard_one_too_high,
                "Your pitch classes are a semitone too high: id 1 is a C, so subtract 1 before you take the remainder.",
            ),
        ),
        fact="the first step knows nothing, and changing the last step changes no row.",
    ),
    Exercise(
        id="4a.4",
        title="Batches of unequal size",
        minutes=10,
        task=(
            "Several small batches stand for one large one. `gradients[i]` is the gradient of the *mean* loss of batch "
            "`i`, which has `n_targets[i]` targets: less filling, more targets. Write `mean_gradient(gradients, "
            "n_targets)`: the gradient of the mean loss over all targets together. `gradients` is `(n_batches, "
            "n_weights)`."
        ),
        hint="Turn each mean back into a sum. What is the sum of all divided by?",
        cases=lambda: (
            (np.array([[1.0, -2.0, 0.5], [4.0, 0.0, 0.5]]), np.array([30, 10])),
            (np.array([[0.2, 0.1], [-0.4, 0.3], [1.0, -0.7]]), np.array([5, 8, 2])),
        ),
        solution=mean_gradient,
        mistakes=(
            Mistake(
                _gradient_of_means,
                "Every batch counts alike, so a target in a small batch weighs more than one in a large batch.",
            ),
            Mistake(
                _gradient_summed,
                "You add the gradients of means, as backward() does when nobody divides: the step grows with the "
                "number of batches.",
            ),
            Mistake(_gradient_of_sums, "You have the gradient of the *sum*; divide by the number of all targets."),
            Mistake(
                _gradient_by_batches,
                "You weigh by targets and divide by batches: the step grows with the size of the batches.",
            ),
            Mistake(_gradient_upside_down, "Your weights are upside down: a batch with more targets must count more."),
            Mistake(
                _gradient_last,
                "You keep the last batch: the gradients before it were thrown away, as by zero_grad() between batches.",
            ),
        ),
        fact="the weights are shares of the targets, so batches may have any size.",
        tolerance=1e-9,
    ),
    Exercise(
        id="4a.5",
        title="Write on",
        minutes=15,
        task=(
            "Write `write_on(beliefs, music, n_given, draws)`. `beliefs(heard)` takes a list of symbols and returns "
            "the probabilities of all symbols that may follow. The model is given the first `n_given` symbols of "
            "`music` and writes as many new ones as there are `draws`: each is the first symbol whose cumulative "
            "probability exceeds its draw. Return the opening with what was written, as a list."
        ),
        hint="What does the model hear when it writes its second symbol? `np.cumsum` and `np.searchsorted(..., "
        'side="right")` find the symbol.',
        cases=lambda: (
            (_beliefs_by_sum, [1, 2, 0, 3, 3, 2, 1], 3, [0.05, 0.6, 0.93, 0.4]),
            (_beliefs_by_first, [4, 0, 2, 1, 3], 2, [0.7, 0.2, 0.55]),
        ),
        case_names=("a tune of seven", "a tune of five"),
        solution=write_on,
        mistakes=(
            Mistake(
                _write_forced,
                "Your model hears the rest of the tune, not what it has written: that is teacher forcing. It is how a "
                "model is scored, and nobody has the rest of a tune that is not written yet.",
            ),
            Mistake(
                _write_deaf,
                "Your model is asked at the end of the opening each time: it does not hear what it writes.",
            ),
            Mistake(_write_forgetful, "Your model hears its last symbol alone: hand it all that was heard."),
            Mistake(
                _write_likeliest,
                "You take the likeliest symbol each time and leave the draws unused: every continuation is the same.",
            ),
            Mistake(_write_new_only, "You return what is new; the opening belongs before it."),
            Mistake(
                _write_after_all, "Your model goes on after the whole tune: it is given the first n_given symbols only."
            ),
            Mistake(
                _write_from_the_top,
                "You add the probabilities up from the last symbol: the same chances, other symbols for these draws.",
            ),
        ),
        fact="after the opening the model reads its own symbols; in training it never did.",
    ),
)
