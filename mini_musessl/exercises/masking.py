"""Exercises of notebook 4b: whose loss counts, what copying knows, whole notes, spans, and any subset.

Chapter: 4b (masking).
"""

from __future__ import annotations

import math

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def hidden_loss(log_probs: np.ndarray, is_hidden: np.ndarray, is_padding: np.ndarray) -> float:
    """Return the loss of a batch of windows that were not shown whole.

    Args:
        log_probs: float (n_windows, n_steps, 4), the logarithm of the probability given to each cell that came.
        is_hidden: bool (n_windows, n_steps, 4), True where the network did not see the cell.
        is_padding: bool (n_windows, n_steps), True beyond the end of a piece, where ``is_hidden`` means nothing.

    Returns:
        The mean of minus the logarithm over the hidden cells of music.

    Chapter: 4b.
    """
    is_target = is_hidden & ~is_padding[..., None]
    return float(-log_probs[is_target].mean())


def _loss_over_all_cells(log_probs: np.ndarray, is_hidden: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: average over every cell of music, the visible ones too."""
    return float(-log_probs[~is_padding].mean())


def _loss_upside_down(log_probs: np.ndarray, is_hidden: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: ask for what can be seen."""
    return hidden_loss(log_probs, ~is_hidden, is_padding)


def _loss_over_padding(log_probs: np.ndarray, is_hidden: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: count hidden cells of padding."""
    return float(-log_probs[is_hidden].mean())


def _loss_over_all_below_the_line(log_probs: np.ndarray, is_hidden: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: add up the hidden cells, and divide by all cells of music."""
    is_target = is_hidden & ~is_padding[..., None]
    return float(-log_probs[is_target].sum() / (~is_padding).sum() / log_probs.shape[-1])


def _loss_by_window(log_probs: np.ndarray, is_hidden: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: average each window, then the windows."""
    is_target = is_hidden & ~is_padding[..., None]
    return float(np.mean([-row[wanted].mean() for row, wanted in zip(log_probs, is_target, strict=True)]))


def _loss_by_hidden_steps(log_probs: np.ndarray, is_hidden: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: count all voices of a step in which one is hidden."""
    return float(-log_probs[is_hidden.any(axis=-1) & ~is_padding].mean())


def copy_left(melody: np.ndarray, is_hidden: np.ndarray) -> np.ndarray:
    """Guess each hidden cell of one voice by copying.

    Args:
        melody: int (n_steps,), the ids of one voice.
        is_hidden: bool (n_steps,), True where the id must not be looked at.

    Returns:
        int (n_steps,): visible cells as they are, hidden ones as the last visible cell before them; 0, a rest, where
        there is none.

    Chapter: 4b.
    """
    guess, latest = melody.copy(), 0
    for step in range(len(melody)):
        if not is_hidden[step]:
            latest = melody[step]
        guess[step] = latest
    return guess


def _copy_itself(melody: np.ndarray, is_hidden: np.ndarray) -> np.ndarray:
    """Mistake: look at what is hidden."""
    return melody.copy()


def _copy_next_door(melody: np.ndarray, is_hidden: np.ndarray) -> np.ndarray:
    """Mistake: copy the cell before, even if it is hidden itself."""
    return np.where(is_hidden, np.append(0, melody[:-1]), melody)


def _copy_right(melody: np.ndarray, is_hidden: np.ndarray) -> np.ndarray:
    """Mistake: copy what comes after."""
    return copy_left(melody[::-1], is_hidden[::-1])[::-1]


def _copy_rests(melody: np.ndarray, is_hidden: np.ndarray) -> np.ndarray:
    """Mistake: guess a rest everywhere."""
    return np.where(is_hidden, 0, melody)


def _copy_visible(melody: np.ndarray, is_hidden: np.ndarray) -> np.ndarray:
    """Mistake: upside down: copy over what can be seen."""
    return copy_left(melody, ~is_hidden)


def _copy_once(melody: np.ndarray, is_hidden: np.ndarray) -> np.ndarray:
    """Mistake: fill the first step of a hidden stretch and no more."""
    return np.where(is_hidden, np.append(0, _copy_rests(melody, is_hidden)[:-1]), melody)


def hide_whole_notes(melody: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
    """Hide the whole of each note of which a step was chosen.

    Args:
        melody: int (n_steps,), the ids of one voice. A note is a longest stretch of one id.
        is_chosen: bool (n_steps,), steps that were drawn.

    Returns:
        bool (n_steps,): True at every step of a chosen note.

    Chapter: 4b.
    """
    begins = np.append(True, melody[1:] != melody[:-1])
    note = np.cumsum(begins)
    return np.isin(note, note[is_chosen])


def _whole_as_chosen(melody: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
    """Mistake: hide the steps that were drawn, and leave the rest of the note beside them."""
    return is_chosen.copy()


def _whole_to_the_end(melody: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
    """Mistake: hide the note from the chosen step on."""
    is_hidden = is_chosen.copy()
    for step in range(1, len(melody)):
        is_hidden[step] |= is_hidden[step - 1] and melody[step] == melody[step - 1]
    return is_hidden


def _whole_from_the_beginning(melody: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
    """Mistake: hide the note up to the chosen step."""
    return _whole_to_the_end(melody[::-1], is_chosen[::-1])[::-1]


def _whole_pitch(melody: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
    """Mistake: hide every note of that pitch."""
    return np.isin(melody, melody[is_chosen])


def _whole_and_neighbours(melody: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
    """Mistake: hide one step more on each side of the choice."""
    padded = np.pad(is_chosen, 1)
    return padded[:-2] | padded[1:-1] | padded[2:]


def _whole_upside_down(melody: np.ndarray, is_chosen: np.ndarray) -> np.ndarray:
    """Mistake: return what can be seen."""
    return ~hide_whole_notes(melody, is_chosen)


def mark_spans(starts: list[tuple[int, int]], n_steps: int, span_steps: int) -> np.ndarray:
    """Hide spans, each of one voice.

    Args:
        starts: (voice, first step) of each span.
        n_steps: length of the window.
        span_steps: length of each span; one that would go beyond the window ends with it.

    Returns:
        bool (n_steps, 4): True where a cell is hidden.

    Chapter: 4b.
    """
    is_hidden = np.zeros((n_steps, 4), bool)
    for voice, first_step in starts:
        is_hidden[first_step : first_step + span_steps, voice] = True
    return is_hidden


def _spans_one_longer(starts: list[tuple[int, int]], n_steps: int, span_steps: int) -> np.ndarray:
    """Mistake: hide the step after the last as well."""
    return mark_spans(starts, n_steps, span_steps + 1)


def _spans_to_a_step(starts: list[tuple[int, int]], n_steps: int, span_steps: int) -> np.ndarray:
    """Mistake: take the length for the last step."""
    is_hidden = np.zeros((n_steps, 4), bool)
    for voice, first_step in starts:
        is_hidden[first_step:span_steps, voice] = True
    return is_hidden


def _spans_in_all_voices(starts: list[tuple[int, int]], n_steps: int, span_steps: int) -> np.ndarray:
    """Mistake: hide the steps in all voices."""
    return np.repeat(mark_spans(starts, n_steps, span_steps).any(axis=1)[:, None], 4, axis=1)


def _spans_upside_down(starts: list[tuple[int, int]], n_steps: int, span_steps: int) -> np.ndarray:
    """Mistake: True where a cell can be seen."""
    return ~mark_spans(starts, n_steps, span_steps)


def _spans_first_steps(starts: list[tuple[int, int]], n_steps: int, span_steps: int) -> np.ndarray:
    """Mistake: hide the first step of each span alone."""
    return mark_spans(starts, n_steps, 1)


def _spans_last_only(starts: list[tuple[int, int]], n_steps: int, span_steps: int) -> np.ndarray:
    """Mistake: begin with a fresh array for each span."""
    return mark_spans(starts[-1:], n_steps, span_steps)


def orderless_loss(nats: np.ndarray, is_hidden: np.ndarray) -> float:
    """Return the loss of windows of one length in which different numbers of cells are hidden.

    Args:
        nats: float (n_windows, n_cells), how surprised the model is by each cell.
        is_hidden: bool (n_windows, n_cells), at least one True in each window.

    Returns:
        Each window's mean over its hidden cells, averaged over the windows.

    Chapter: 4b.
    """
    n_hidden = is_hidden.sum(axis=1)
    return float(((nats * is_hidden).sum(axis=1) / n_hidden).mean())


def _orderless_without_weights(nats: np.ndarray, is_hidden: np.ndarray) -> float:
    """Mistake: average over all hidden cells at once."""
    return float(nats[is_hidden].mean())


def _orderless_over_all_cells(nats: np.ndarray, is_hidden: np.ndarray) -> float:
    """Mistake: divide by the cells of the window."""
    return float((nats * is_hidden).sum(axis=1).mean() / nats.shape[1])


def _orderless_sums(nats: np.ndarray, is_hidden: np.ndarray) -> float:
    """Mistake: do not divide within a window."""
    return float((nats * is_hidden).sum(axis=1).mean())


def _orderless_weights_upside_down(nats: np.ndarray, is_hidden: np.ndarray) -> float:
    """Mistake: give a window with much hidden more weight."""
    n_hidden = is_hidden.sum(axis=1)
    return float(((nats * is_hidden).sum(axis=1) * n_hidden / nats.shape[1] ** 2).mean())


def _orderless_visible(nats: np.ndarray, is_hidden: np.ndarray) -> float:
    """Mistake: average over what can be seen."""
    n_visible = np.maximum((~is_hidden).sum(axis=1), 1)
    return float(((nats * ~is_hidden).sum(axis=1) / n_visible).mean())


def subset_probability(n_cells: int, n_hidden: int) -> float:
    """Return how likely orderless hiding hides exactly one given set of cells.

    Args:
        n_cells: cells of the window.
        n_hidden: cells of the set, 1 to ``n_cells``.

    Returns:
        The chance of its size, times its chance among all sets of that size.

    Chapter: 4b.
    """
    return 1 / n_cells / math.comb(n_cells, n_hidden)


def _subset_by_coins(n_cells: int, n_hidden: int) -> float:
    """Mistake: throw a coin for each cell."""
    return 0.5**n_cells


def _subset_among_all(n_cells: int, n_hidden: int) -> float:
    """Mistake: draw among all sets that are not empty."""
    return 1 / (2**n_cells - 1)


def _subset_without_size(n_cells: int, n_hidden: int) -> float:
    """Mistake: forget that the size was drawn."""
    return 1 / math.comb(n_cells, n_hidden)


def _subset_size_alone(n_cells: int, n_hidden: int) -> float:
    """Mistake: give the chance of the size."""
    return 1 / n_cells


def _subset_with_nothing(n_cells: int, n_hidden: int) -> float:
    """Mistake: let nothing be hidden as often as one cell."""
    return 1 / (n_cells + 1) / math.comb(n_cells, n_hidden)


def _subset_in_order(n_cells: int, n_hidden: int) -> float:
    """Mistake: count orders of drawing as different sets."""
    return 1 / n_cells / math.perm(n_cells, n_hidden)


def _windows_half_shown() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make two windows, the second with one step of music in three; padding is called hidden too."""
    probs = [[[0.9, 0.2, 0.8, 0.5], [0.4, 0.9, 0.95, 0.6]], [[0.1, 0.3, 0.9, 0.7], [0.05, 0.6, 0.5, 0.8]]]
    is_hidden = [[[0, 1, 0, 1], [1, 0, 0, 0]], [[1, 0, 0, 0], [1, 1, 0, 0]]]
    return np.log(probs), np.array(is_hidden, bool), np.array([[False, False], [False, True]])


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="4b.1",
        title="Whose loss?",
        minutes=10,
        task=(
            "Write `hidden_loss(log_probs, is_hidden, is_padding)`. `log_probs` is `(n_windows, n_steps, 4)`, the "
            "logarithm of the probability that each cell was given; `is_hidden` has the same shape; `is_padding` is "
            "`(n_windows, n_steps)`. Return the mean loss of the hidden cells of music. Whoever drew `is_hidden` did "
            "not look at the padding."
        ),
        hint="Make one Boolean array that is True exactly for the targets: `is_padding[..., None]` fits `is_hidden`.",
        cases=lambda: (
            _windows_half_shown(),
            (
                np.log([[[0.5, 0.25, 1.0, 0.5], [0.9, 0.8, 0.7, 0.6]]]),
                np.array([[[True, True, False, False], [False] * 4]]),
                np.array([[False, False]]),
            ),
        ),
        solution=hidden_loss,
        mistakes=(
            Mistake(
                _loss_over_all_cells,
                "You count the cells that the network can see: naming those is copying, and a loss that is mostly "
                "copying falls to almost nothing while the hidden cells are as hard as ever.",
            ),
            Mistake(
                _loss_upside_down,
                "Upside down: you ask for the cells that the network can see. True means hidden.",
            ),
            Mistake(_loss_over_padding, "You count hidden cells of padding, where there is no music to name."),
            Mistake(
                _loss_over_all_below_the_line,
                "You add up the hidden cells and divide by all cells: with less hidden the loss looks better.",
            ),
            Mistake(
                _loss_by_window,
                "You give each window the same weight; here each hidden cell has the same weight, wherever it stands.",
            ),
            Mistake(
                _loss_by_hidden_steps,
                "You count whole steps: where the alto is hidden, the soprano that can be seen counts too.",
            ),
        ),
        fact="{outputs[0]} nats a hidden cell in the first batch, and what can be seen costs nothing.",
        case_names=("the padded batch", "the batch of one window"),
        tolerance=1e-9,
    ),
    Exercise(
        id="4b.2",
        title="What copying knows",
        minutes=10,
        task=(
            "Write `copy_left(melody, is_hidden)` for the ids of one voice: leave the visible cells, and guess each "
            "hidden one as the last visible cell before it. Where there is none, guess 0, a rest. Do not look at the "
            "ids of hidden cells."
        ),
        hint="Walk through the steps and remember the latest id that you were allowed to see.",
        cases=lambda: (
            (np.array([20, 20, 22, 22, 22, 25]), np.array([False, True, True, False, True, True])),
            (np.array([31, 30, 30, 33]), np.array([True, True, False, True])),
        ),
        solution=copy_left,
        mistakes=(
            Mistake(
                _copy_itself,
                "You hand back what is hidden: always right, and a leak. A guess may not look at the id it guesses.",
            ),
            Mistake(
                _copy_next_door,
                "You copy the cell before even where it is hidden itself; go back to the last one that can be seen.",
            ),
            Mistake(_copy_right, "You copy what comes after; a note that is held is known from before."),
            Mistake(_copy_rests, "You guess a rest for every hidden cell; copy the last visible one."),
            Mistake(_copy_visible, "Upside down: you overwrite what can be seen. True means hidden."),
            Mistake(
                _copy_once,
                "You fill only the first step of a hidden stretch; for {input} the answer is {expected}.",
            ),
        ),
        fact="for the first voice {outputs[0]}: wherever a note is held, copying is enough.",
    ),
    Exercise(
        id="4b.3",
        title="No part of a note may stay",
        minutes=15,
        task=(
            "Somebody drew the steps `is_chosen` of one voice. Hidden one by one, most could be copied from the same "
            "note next door. Write `hide_whole_notes(melody, is_chosen)`: a Boolean array that hides all steps of "
            "every note with a chosen step. A note is a longest stretch of one id; the same pitch later is another "
            "note."
        ),
        hint="Number the notes: `np.cumsum` over the places where the id is not that of the step before.",
        cases=lambda: (
            (
                np.array([20, 20, 20, 22, 22, 20, 20, 25]),
                np.array([False, True, False, False, False, False, False, True]),
            ),
            (np.array([30, 30, 31, 31, 31]), np.array([False, False, False, True, False])),
        ),
        solution=hide_whole_notes,
        mistakes=(
            Mistake(
                _whole_as_chosen,
                "You hide the chosen steps alone: the rest of the note stands beside them, and copying it is enough.",
            ),
            Mistake(_whole_to_the_end, "You hide the note from the chosen step on; its beginning gives it away."),
            Mistake(_whole_from_the_beginning, "You hide the note up to the chosen step; its end gives it away."),
            Mistake(
                _whole_pitch,
                "You hide every note of the pitch; the same pitch later is another note, and may be seen.",
            ),
            Mistake(
                _whole_and_neighbours,
                "You hide one step on each side; a note is as long as it is: follow it to both ends.",
            ),
            Mistake(_whole_upside_down, "Upside down: you mark what can be seen. True means hidden."),
        ),
        fact="a visible cell beside a hidden one now always holds another note.",
    ),
    Exercise(
        id="4b.4",
        title="Spans",
        minutes=5,
        task=(
            "Write `mark_spans(starts, n_steps, span_steps)`. `starts` is a list of pairs, voice and first step. "
            "Return a Boolean array `(n_steps, 4)`, True at the `span_steps` steps of each span, in its voice alone. A "
            "span that would go beyond the window ends with it."
        ),
        hint="One array for all spans, and one slice for each: where does a slice of that length stop?",
        cases=lambda: (([(1, 2), (3, 0)], 7, 3), ([(0, 5), (2, 1)], 8, 4)),
        solution=mark_spans,
        mistakes=(
            Mistake(
                _spans_one_longer,
                "Your spans are one step too long: a slice from `first` to `first + span_steps` has the right length.",
            ),
            Mistake(
                _spans_to_a_step,
                "You stop at step `span_steps` of the window; a span stops `span_steps` after its own first step.",
            ),
            Mistake(_spans_in_all_voices, "You hide the steps in all voices: those are bars. A span is of one voice."),
            Mistake(_spans_upside_down, "Upside down: you mark what can be seen. True means hidden."),
            Mistake(
                _spans_first_steps,
                "You hide one step of each span: single cells, which the note next door gives away.",
            ),
            Mistake(_spans_last_only, "Only the last span is left: make the array once, before the first span."),
        ),
        fact="two spans of three steps hide six cells of 28.",
    ),
    Exercise(
        id="4b.5",
        title="The weights of an orderless loss",
        minutes=10,
        task=(
            "Of windows of equal length some have one cell hidden, some all. Write `orderless_loss(nats, is_hidden)` "
            "for two arrays `(n_windows, n_cells)`: the mean over its hidden cells for each window, and then the mean "
            "over the windows. So every stage of writing counts alike, the first cell as much as the last."
        ),
        hint="A hidden cell weighs one over the number of hidden cells of *its* window.",
        cases=lambda: (
            (
                np.array([[0.4, 2.0, 1.0, 3.0], [3.0, 2.5, 2.0, 3.5]]),
                np.array([[True, False, False, False], [True, True, True, True]]),
            ),
            (np.array([[1.0, 5.0, 0.5]]), np.array([[False, True, True]])),
        ),
        solution=orderless_loss,
        mistakes=(
            Mistake(
                _orderless_without_weights,
                "The weights are missing: a window with all cells hidden counts four times as much as one with a "
                "single one. For the first windows you give {found}, not {expected}.",
            ),
            Mistake(
                _orderless_over_all_cells,
                "You divide by all cells of a window: where few are hidden, the loss is small however bad the guess.",
            ),
            Mistake(
                _orderless_sums,
                "You add up and do not divide: a window with much hidden outweighs all others.",
            ),
            Mistake(
                _orderless_weights_upside_down,
                "Your weights are upside down: the more is hidden, the *less* each cell counts.",
            ),
            Mistake(_orderless_visible, "You average over what can be seen. True means hidden."),
        ),
        fact="{outputs[0]} nats for the first windows; without weights it would be the window with all hidden that "
        "decides.",
        case_names=("two windows", "one window"),
        tolerance=1e-9,
    ),
    Exercise(
        id="4b.6",
        title="Any subset",
        minutes=10,
        task=(
            "Orderless hiding draws a number from 1 to `n_cells`, each equally likely, and then hides that many cells, "
            "each set of that size equally likely. Write `subset_probability(n_cells, n_hidden)`: how likely is one "
            "given set of `n_hidden` cells?"
        ),
        hint="Two draws, one after the other. `math.comb(n, k)` counts the sets of k among n.",
        cases=lambda: ((4, 1), (4, 2), (4, 4), (10, 3)),
        solution=subset_probability,
        mistakes=(
            Mistake(
                _subset_by_coins,
                "You throw a coin for each cell: then nearly always about half is hidden, and the model never learns "
                "to begin on an empty page.",
            ),
            Mistake(
                _subset_among_all,
                "You draw among all sets that are not empty: most of them hide about half. The size is drawn first.",
            ),
            Mistake(_subset_without_size, "You forget the first draw: the size itself has one chance in `n_cells`."),
            Mistake(_subset_size_alone, "That is the chance of the size; many sets have it."),
            Mistake(
                _subset_with_nothing,
                "You let 0 be drawn: with nothing hidden nothing is asked. For {input} the answer is {expected}.",
            ),
            Mistake(
                _subset_in_order,
                "You count the same cells in another order as another set; for {input} the answer is {expected}.",
            ),
        ),
        fact="all four hidden of four has {outputs[2]}, one given pair {outputs[1]}.",
        tolerance=1e-12,
    ),
)
