"""Exercises of notebook 3b: vocabularies, time, velocity, holding, and what tokens cost.

Chapter: 3b (tokens).
"""

from __future__ import annotations

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def first_ids(sizes: np.ndarray) -> np.ndarray:
    """Return the first id of each family."""
    return np.cumsum(sizes) - sizes


def _first_ids_after(sizes: np.ndarray) -> np.ndarray:
    """Mistake: the first id behind each family."""
    return np.cumsum(sizes)


def _first_ids_overlapping(sizes: np.ndarray) -> np.ndarray:
    """Mistake: begin each family on the last id of the one before."""
    return np.cumsum(sizes - 1) - (sizes - 1)


def _first_ids_all_zero(sizes: np.ndarray) -> np.ndarray:
    """Mistake: begin every family at 0."""
    return np.zeros_like(sizes)


def _first_ids_from_one(sizes: np.ndarray) -> np.ndarray:
    """Mistake: count ids from 1."""
    return np.cumsum(sizes) - sizes + 1


def time_shifts(onset_step: np.ndarray) -> np.ndarray:
    """Return how many steps pass before each onset, from the onset before it or from the start."""
    return np.diff(onset_step, prepend=0)


def _shifts_absolute(onset_step: np.ndarray) -> np.ndarray:
    """Mistake: the onsets themselves."""
    return onset_step.copy()


def _shifts_without_first(onset_step: np.ndarray) -> np.ndarray:
    """Mistake: forget the wait before the first note."""
    return np.diff(onset_step)


def _shifts_from_first_note(onset_step: np.ndarray) -> np.ndarray:
    """Mistake: start the clock at the first note."""
    return np.diff(onset_step, prepend=onset_step[:1])


def _shifts_to_next(onset_step: np.ndarray) -> np.ndarray:
    """Mistake: the wait after each note."""
    return np.diff(onset_step, append=onset_step[-1:])


def position_in_bar(onset_step: np.ndarray, bar_step: int, upbeat_step: int) -> np.ndarray:
    """Return how many steps after the latest bar line each onset lies.

    Args:
        onset_step: where notes start, from the start of the music.
        bar_step: how long a bar lasts.
        upbeat_step: where the first bar line is.
    """
    return (onset_step - upbeat_step) % bar_step


def _position_without_upbeat(onset_step: np.ndarray, bar_step: int, upbeat_step: int) -> np.ndarray:
    """Mistake: count bars from step 0."""
    return onset_step % bar_step


def _position_is_bar(onset_step: np.ndarray, bar_step: int, upbeat_step: int) -> np.ndarray:
    """Mistake: the number of the bar."""
    return (onset_step - upbeat_step) // bar_step


def _position_shifted_the_other_way(onset_step: np.ndarray, bar_step: int, upbeat_step: int) -> np.ndarray:
    """Mistake: add the upbeat."""
    return (onset_step + upbeat_step) % bar_step


def _position_without_modulo(onset_step: np.ndarray, bar_step: int, upbeat_step: int) -> np.ndarray:
    """Mistake: steps since the first bar line."""
    return onset_step - upbeat_step


def nearest_bin(velocity: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the index of the value nearest to each velocity.

    Args:
        velocity: MIDI velocities.
        values: those that have a token, in rising order.
    """
    return np.abs(velocity[:, None] - values).argmin(axis=1)


def _bin_above(velocity: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mistake: round up."""
    return np.searchsorted(values, velocity, side="left").clip(max=len(values) - 1)


def _bin_below(velocity: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mistake: round down."""
    return (np.searchsorted(values, velocity, side="right") - 1).clip(min=0)


def _bin_from_one(velocity: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mistake: count bins from 1."""
    return nearest_bin(velocity, values) + 1


def _bin_value(velocity: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mistake: return the values, not their places."""
    return values[nearest_bin(velocity, values)]


def with_holds(pitch: np.ndarray, is_onset: np.ndarray) -> np.ndarray:
    """Return the tokens of one voice: a pitch where a note is struck, -1 for a rest, -2 for a hold.

    Args:
        pitch: one cell a step, -1 for a rest.
        is_onset: where a note is struck.
    """
    is_held = (pitch != -1) & ~is_onset
    return np.where(is_held, -2, pitch)


def _holds_in_rests(pitch: np.ndarray, is_onset: np.ndarray) -> np.ndarray:
    """Mistake: hold wherever nothing is struck."""
    return np.where(is_onset, pitch, -2)


def _holds_same_pitch(pitch: np.ndarray, is_onset: np.ndarray) -> np.ndarray:
    """Mistake: hold wherever the pitch stays."""
    is_same = np.diff(pitch, prepend=-1) == 0
    return np.where(is_same & (pitch != -1), -2, pitch)


def _holds_same_cell(pitch: np.ndarray, is_onset: np.ndarray) -> np.ndarray:
    """Mistake: hold wherever the cell repeats the one before, rests too."""
    is_same = np.diff(pitch, prepend=-2) == 0
    return np.where(is_same, -2, pitch)


def _holds_upside_down(pitch: np.ndarray, is_onset: np.ndarray) -> np.ndarray:
    """Mistake: hold where a note is struck."""
    return np.where(is_onset, -2, pitch)


def bits_per_quarter(counts: np.ndarray, n_quarters: float) -> float:
    """Return the bits that a model of token frequencies needs for a quarter of music.

    Args:
        counts: how often each token occurs, all above 0.
        n_quarters: how long the piece lasts.
    """
    share = counts / counts.sum()
    return float(-(counts * np.log2(share)).sum() / n_quarters)


def _bits_as_nats(counts: np.ndarray, n_quarters: float) -> float:
    """Mistake: the natural logarithm."""
    return float(-(counts * np.log(counts / counts.sum())).sum() / n_quarters)


def _bits_per_token(counts: np.ndarray, n_quarters: float) -> float:
    """Mistake: divide by the number of tokens."""
    return bits_per_quarter(counts, float(counts.sum()))


def _bits_in_all(counts: np.ndarray, n_quarters: float) -> float:
    """Mistake: do not divide at all."""
    return bits_per_quarter(counts, 1.0)


def _bits_uniform(counts: np.ndarray, n_quarters: float) -> float:
    """Mistake: as if all tokens were equally frequent."""
    return float(counts.sum() * np.log2(len(counts)) / n_quarters)


def _bits_of_kinds(counts: np.ndarray, n_quarters: float) -> float:
    """Mistake: each kind of token counted once."""
    return float(-np.log2(counts / counts.sum()).sum() / n_quarters)


def _bits_negative(counts: np.ndarray, n_quarters: float) -> float:
    """Mistake: forget the minus."""
    return -bits_per_quarter(counts, n_quarters)


EXERCISES = (
    Exercise(
        id="3b.1",
        title="Where each family begins",
        minutes=5,
        task=(
            "Write `first_ids(sizes)`. A vocabulary has families of `sizes[0]`, `sizes[1]`, ... tokens, and ids count "
            "from 0 without gaps. Return the first id of each family, as an array."
        ),
        hint="A family begins where all families before it end. How many tokens do these have together?",
        cases=lambda: ((np.array([1, 46, 1]),), (np.array([3, 2, 4, 5]),)),
        solution=first_ids,
        mistakes=(
            Mistake(
                _first_ids_after, "You give the id behind the last of each family: that is where the next one begins."
            ),
            Mistake(
                _first_ids_overlapping,
                "Your families overlap: each begins on the last id of the one before, so one id means two tokens.",
            ),
            Mistake(
                _first_ids_all_zero, "Your families overlap: all begin at 0, so id 0 means a token of every family."
            ),
            Mistake(
                _first_ids_from_one, "You count from 1: the first id is 0, and the last would be outside the table."
            ),
        ),
        fact="1 rest, 46 pitches and 1 hold begin at {outputs[0]}.",
    ),
    Exercise(
        id="3b.2",
        title="From onsets to time shifts",
        minutes=5,
        task=(
            "Write `time_shifts(onset_step)`. For notes one after another, return an array: how many steps pass "
            "before each onset, counted from the onset before it; before the first, from step 0."
        ),
        hint="There are as many shifts as notes. `np.diff` can be given a first value.",
        cases=lambda: ((np.array([2, 4, 4, 7]),), (np.array([0, 6]),), (np.array([5]),)),
        solution=time_shifts,
        mistakes=(
            Mistake(_shifts_absolute, "You give the onsets themselves; a shift is the time since the onset before."),
            Mistake(
                _shifts_without_first,
                "The first shift is missing: the music may begin with silence, and decoding would lose it.",
            ),
            Mistake(
                _shifts_from_first_note,
                "Your clock starts at the first note: the silence before it is lost. Start at step 0.",
            ),
            Mistake(_shifts_to_next, "You give the time after each onset; the shift is written before its note."),
        ),
        fact="their running sum gives the onsets back.",
    ),
    Exercise(
        id="3b.3",
        title="Position in the bar",
        minutes=10,
        task=(
            "Write `position_in_bar(onset_step, bar_step, upbeat_step)`. The music begins with an upbeat: the first "
            "bar line is at step `upbeat_step`, and each bar lasts `bar_step` steps. Return an array: how many steps"
            " after the latest bar line each onset lies. The upbeat belongs to a bar whose line would be before step"
            " 0."
        ),
        hint="Which step must get position 0? In Python, the remainder of a negative number is not negative.",
        cases=lambda: (
            (np.array([0, 2, 4, 10, 20, 35]), 16, 4),
            (np.array([0, 5, 13]), 12, 0),
            (np.array([0, 3, 30]), 12, 3),
        ),
        solution=position_in_bar,
        mistakes=(
            Mistake(
                _position_without_upbeat,
                "You count bars from step 0 and forget the upbeat: step `upbeat_step` is the first bar line, "
                "position 0.",
            ),
            Mistake(_position_is_bar, "You divide: that numbers the bars. The position is the remainder."),
            Mistake(
                _position_shifted_the_other_way,
                "You move the bar line the wrong way: it lies `upbeat_step` steps after the start, so take that off.",
            ),
            Mistake(
                _position_without_modulo,
                "You count on from the first bar line; at every bar line the count starts again.",
            ),
        ),
        fact="an upbeat of four sixteenths begins at position 12 of a bar of sixteen.",
    ),
    Exercise(
        id="3b.4",
        title="The nearest velocity",
        minutes=10,
        task=(
            "Write `nearest_bin(velocity, values)`. `values` are the velocities that have a token, in rising order. "
            "For each entry of the array `velocity`, return the index of the nearest value; of two that are equally "
            "near, the softer."
        ),
        hint=(
            "Compare every velocity with every value: an array of shape (n, 1) and one of shape (m,) give one of "
            "shape (n, m)."
        ),
        cases=lambda: (
            (np.array([1, 17, 30, 32, 40, 41, 127]), np.array([16, 32, 48, 64, 127])),
            (np.array([64, 96, 120]), np.array([64, 127])),
        ),
        solution=nearest_bin,
        mistakes=(
            Mistake(_bin_above, "You round up: 17 is nearer to 16 than to 32."),
            Mistake(_bin_below, "You round down: 30 is nearer to 32 than to 16."),
            Mistake(_bin_from_one, "You count bins from 1; an index counts from 0."),
            Mistake(_bin_value, "You give the velocities; the token needs their index in the list."),
        ),
        fact="no velocity moves further than half the distance between two values, or than the edge of the list.",
    ),
    Exercise(
        id="3b.5",
        title="Hold, strike, rest",
        minutes=10,
        task=(
            "Write `with_holds(pitch, is_onset)` for one voice. `pitch` holds MIDI numbers, -1 for a rest; "
            "`is_onset` is True where a note is struck. Return an array of tokens: the pitch where a note is struck,"
            " -1 at a rest, -2 where a note is held."
        ),
        hint="Two things must be true of a held cell: something sounds, and it was not struck here.",
        cases=lambda: (
            (np.array([60, 60, 60, -1, -1, 62]), np.array([True, False, True, False, False, True])),
            (np.array([-1, 67, 67, 65]), np.array([False, True, False, True])),
        ),
        solution=with_holds,
        mistakes=(
            Mistake(_holds_in_rests, "You hold in a rest: nothing sounds there that could be held. Keep -1."),
            Mistake(
                _holds_same_pitch,
                "A note that is struck again has become a hold: ask `is_onset`, not whether the pitch is the same.",
            ),
            Mistake(
                _holds_same_cell,
                "You hold whatever repeats: the second rest is still a rest, and a note struck again is no hold.",
            ),
            Mistake(
                _holds_upside_down,
                "You hold where a note is struck and write the pitch where it is held: turn it round.",
            ),
        ),
        fact="a repeated note and a long one differ now: {outputs[0]}.",
    ),
    Exercise(
        id="3b.6",
        title="What a quarter costs",
        minutes=15,
        task=(
            "Write `bits_per_quarter(counts, n_quarters)`. In a piece of `n_quarters` quarters, token `i` occurs "
            "`counts[i]` times (all above 0). A model that knows these frequencies and nothing else gives token `i` "
            "the probability `counts[i] / counts.sum()`, and a token of probability p costs $-\\log_2 p$ bits. "
            "Return the cost of the whole piece for each quarter. *Project:* compare the four tokenizers on a "
            "chorale by it."
        ),
        hint=(
            "Add up the bits of every token of the piece, then divide by the quarters: so a tokenizer pays for its "
            "long sequences."
        ),
        cases=lambda: ((np.array([2, 1, 1]), 2.0), (np.array([7, 3, 5, 1]), 4.0), (np.array([4, 4]), 16.0)),
        solution=bits_per_quarter,
        mistakes=(
            Mistake(
                _bits_as_nats,
                "You use the natural logarithm: that gives nats, 0.693 of a bit each. Bits need `np.log2`.",
            ),
            Mistake(
                _bits_per_token,
                "You give bits per token: a tokenizer that writes ten tokens where another writes one would look "
                "cheap. Divide by the quarters.",
            ),
            Mistake(_bits_in_all, "You give the bits of the whole piece; divide them by its quarters."),
            Mistake(_bits_uniform, "You give every token the same probability; the frequent ones are cheaper."),
            Mistake(_bits_of_kinds, "You pay for each kind of token once; it is paid for each time that it occurs."),
            Mistake(_bits_negative, "The sign is missing: the logarithm of a probability is negative, a cost is not."),
        ),
        fact="four tokens with the counts 2, 1, 1 cost 6 bits, which is {outputs[0]} a quarter for two quarters.",
        tolerance=1e-9,
    ),
)
