"""Exercises of notebook 4c: what comes next, the chord of the next beat, moved chords, onsets, weights of heads.

Chapter: 4c (pitch, rhythm and harmony heads).
"""

from __future__ import annotations

import math

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def next_frames(frames: np.ndarray) -> np.ndarray:
    """Return for each step what the pitch head must answer there.

    Args:
        frames: int (n_steps, n_voices), symbol ids.

    Returns:
        int (n_steps, n_voices): the symbols of the next step; -1 at the last step, where nothing is asked.

    Chapter: 4c.
    """
    return np.concatenate((frames[1:], np.full_like(frames[:1], -1)))


def _next_is_itself(frames: np.ndarray) -> np.ndarray:
    """Mistake: ask for the frame in sight."""
    return frames.copy()


def _next_is_before(frames: np.ndarray) -> np.ndarray:
    """Mistake: shift the wrong way."""
    return np.concatenate((np.full_like(frames[:1], -1), frames[:-1]))


def _next_rolled(frames: np.ndarray) -> np.ndarray:
    """Mistake: let the first frame follow the last."""
    return np.roll(frames, -1, axis=0)


def _next_holds_the_end(frames: np.ndarray) -> np.ndarray:
    """Mistake: let the last frame go on for ever."""
    return np.concatenate((frames[1:], frames[-1:]))


def _next_rests_at_the_end(frames: np.ndarray) -> np.ndarray:
    """Mistake: let rests follow the last frame."""
    return np.concatenate((frames[1:], np.zeros_like(frames[:1])))


def _next_voice(frames: np.ndarray) -> np.ndarray:
    """Mistake: shift along the voices."""
    return np.concatenate((frames[:, 1:], np.full_like(frames[:, :1], -1)), axis=1)


def next_chords(chords: np.ndarray, start_step: np.ndarray, n_steps: int) -> np.ndarray:
    """Return for each step what the harmony head must answer there.

    Args:
        chords: int (n_beats,), the class of the chord of each beat.
        start_step: int (n_beats,), where each beat begins; the first is 0.
        n_steps: length of the piece.

    Returns:
        int (n_steps,): the chord of the first beat that begins after the step; -1 in the last beat.

    Chapter: 4c.
    """
    following = np.searchsorted(start_step, np.arange(n_steps), side="right")
    return np.append(chords, -1)[following]


def _chord_of_this_beat(chords: np.ndarray, start_step: np.ndarray, n_steps: int) -> np.ndarray:
    """Mistake: ask for the chord that sounds."""
    return chords[np.searchsorted(start_step, np.arange(n_steps), side="right") - 1]


def _chord_of_next_step(chords: np.ndarray, start_step: np.ndarray, n_steps: int) -> np.ndarray:
    """Mistake: ask for the chord of the beat in which the next step lies."""
    return np.append(_chord_of_this_beat(chords, start_step, n_steps)[1:], -1)


def _chord_of_next_beat_or_this(chords: np.ndarray, start_step: np.ndarray, n_steps: int) -> np.ndarray:
    """Mistake: call a beat that begins at the step itself the next one."""
    following = np.searchsorted(start_step, np.arange(n_steps), side="left")
    return np.append(chords, -1)[following]


def _chord_held_at_the_end(chords: np.ndarray, start_step: np.ndarray, n_steps: int) -> np.ndarray:
    """Mistake: let the last chord follow itself."""
    found = next_chords(chords, start_step, n_steps)
    return np.where(found == -1, chords[-1], found)


def _chord_four_steps_a_beat(chords: np.ndarray, start_step: np.ndarray, n_steps: int) -> np.ndarray:
    """Mistake: count beats of four steps from step 0."""
    return np.append(chords, -1)[np.minimum(np.arange(n_steps) // 4 + 1, len(chords))]


def _chord_before(chords: np.ndarray, start_step: np.ndarray, n_steps: int) -> np.ndarray:
    """Mistake: ask for the beat before."""
    return np.append(-1, chords)[np.searchsorted(start_step, np.arange(n_steps), side="right") - 1]


def move_chord(chord: int, semitones: int) -> int:
    """Return the class of a chord after transposition.

    Args:
        chord: 0 is no chord, ``1 + 12 * quality + root`` a chord, -1 that none is asked.
        semitones: how far up.

    Returns:
        The class of the same quality on the moved root; 0 and -1 as they are.

    Chapter: 4c.
    """
    if chord <= 0:
        return chord
    quality, root = divmod(chord - 1, 12)
    return 1 + 12 * quality + (root + semitones) % 12


def _move_forgotten(chord: int, semitones: int) -> int:
    """Mistake: move the notes and not the chord."""
    return chord


def _move_the_number(chord: int, semitones: int) -> int:
    """Mistake: add to the class."""
    return chord + semitones if chord > 0 else chord


def _move_all_numbers(chord: int, semitones: int) -> int:
    """Mistake: add to the class, whatever it is."""
    return chord + semitones


def _move_around_all(chord: int, semitones: int) -> int:
    """Mistake: go round all chords in place of twelve roots."""
    return 1 + (chord - 1 + semitones) % 108 if chord > 0 else chord


def _move_no_chord(chord: int, semitones: int) -> int:
    """Mistake: move what is no chord."""
    quality, root = divmod(chord - 1, 12)
    return 1 + 12 * quality + (root + semitones) % 12


def _move_without_one(chord: int, semitones: int) -> int:
    """Mistake: forget that the classes begin at 1."""
    return 12 * (chord // 12) + (chord + semitones) % 12 if chord > 0 else chord


def _move_down(chord: int, semitones: int) -> int:
    """Mistake: move the other way."""
    return move_chord(chord, -semitones)


def _move_to_major(chord: int, semitones: int) -> int:
    """Mistake: keep the root alone."""
    return 1 + (chord - 1 + semitones) % 12 if chord > 0 else chord


def onset_gain(probability: np.ndarray, is_onset: np.ndarray) -> float:
    """Return by how much a head is right more often than the better of "always" and "never".

    Args:
        probability: float (n_cells,), what the head gives to an onset.
        is_onset: bool (n_cells,), whether one came.

    Returns:
        Accuracy of saying "onset" above one half, less the accuracy of the commoner answer given always.

    Chapter: 4c.
    """
    accuracy = ((probability > 0.5) == is_onset).mean()
    share = is_onset.mean()
    return float(accuracy - max(share, 1 - share))


def _gain_over_nothing(probability: np.ndarray, is_onset: np.ndarray) -> float:
    """Mistake: the accuracy alone."""
    return float(((probability > 0.5) == is_onset).mean())


def _gain_over_a_coin(probability: np.ndarray, is_onset: np.ndarray) -> float:
    """Mistake: compare with a coin."""
    return _gain_over_nothing(probability, is_onset) - 0.5


def _gain_over_always(probability: np.ndarray, is_onset: np.ndarray) -> float:
    """Mistake: compare with "always" only."""
    return _gain_over_nothing(probability, is_onset) - float(is_onset.mean())


def _gain_over_never(probability: np.ndarray, is_onset: np.ndarray) -> float:
    """Mistake: compare with "never" only."""
    return _gain_over_nothing(probability, is_onset) - float(1 - is_onset.mean())


def _gain_in_hits(probability: np.ndarray, is_onset: np.ndarray) -> float:
    """Mistake: count the onsets that were found and no false alarms."""
    return float((probability > 0.5)[is_onset].mean())


def _gain_of_the_mean(probability: np.ndarray, is_onset: np.ndarray) -> float:
    """Mistake: take the probability of the right answer for its accuracy."""
    right = np.where(is_onset, probability, 1 - probability).mean()
    return float(right - max(is_onset.mean(), 1 - is_onset.mean()))


def weighted_nats(nats: dict[str, float], weights: dict[str, float]) -> float:
    """Return the loss of several heads.

    Args:
        nats: the loss of each head; nan for a head that was not asked, which has the weight 0.
        weights: of the same heads, 0 or more, not all 0.

    Returns:
        The weighted mean over the heads whose weight is above 0.

    Chapter: 4c.
    """
    asked = [head for head in nats if weights[head] > 0]
    return sum(weights[head] * nats[head] for head in asked) / sum(weights[head] for head in asked)


def _weighted_with_zero(nats: dict[str, float], weights: dict[str, float]) -> float:
    """Mistake: multiply what was not asked by 0."""
    return sum(weights[head] * nats[head] for head in nats) / sum(weights.values())


def _weighted_sum(nats: dict[str, float], weights: dict[str, float]) -> float:
    """Mistake: a sum, whose size grows with the weights."""
    return sum(weights[head] * nats[head] for head in nats if weights[head] > 0)


def _weighted_by_all(nats: dict[str, float], weights: dict[str, float]) -> float:
    """Mistake: divide by the number of all heads."""
    return _weighted_sum(nats, weights) / len(nats)


def _weighted_by_asked(nats: dict[str, float], weights: dict[str, float]) -> float:
    """Mistake: divide by the number of heads that were asked."""
    return _weighted_sum(nats, weights) / sum(weight > 0 for weight in weights.values())


def _weighted_alike(nats: dict[str, float], weights: dict[str, float]) -> float:
    """Mistake: a plain mean over the heads that were asked."""
    asked = [nats[head] for head in nats if weights[head] > 0]
    return sum(asked) / len(asked)


def _weighted_inversely(nats: dict[str, float], weights: dict[str, float]) -> float:
    """Mistake: divide by the weights."""
    asked = [head for head in nats if weights[head] > 0]
    return sum(nats[head] / weights[head] for head in asked) / sum(1 / weights[head] for head in asked)


def _onset_cases() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Make heads that are useless, good, and asked where most cells strike."""
    never = np.array([False, False, True, False, False, True, False, False])
    return (
        (np.array([0.2, 0.3, 0.3, 0.1, 0.2, 0.4, 0.3, 0.2]), never),
        (np.array([0.1, 0.6, 0.9, 0.2, 0.1, 0.8, 0.4, 0.3]), never),
        (np.array([0.9, 0.7, 0.2, 0.6]), np.array([True, True, False, True])),
    )


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="4c.1",
        title="What comes next",
        minutes=5,
        task=(
            "Write `next_frames(frames)` for the ids of one piece, `(n_steps, n_voices)`: what the pitch head must "
            "answer at each step. At the last step nothing is asked: -1."
        ),
        hint="At step 0 the answer is `frames[1]`. Which frame is nobody's answer?",
        cases=lambda: ((np.array([[30, 25], [30, 26], [32, 27]]),), (np.array([[5, 1, 9, 2]]),)),
        solution=next_frames,
        mistakes=(
            Mistake(
                _next_is_itself,
                "You ask for the frame in sight: the loss would fall to 0, and the head would have learned to copy.",
            ),
            Mistake(
                _next_is_before,
                "You shift the wrong way: each step is asked for the frame before it, which it knows as well.",
            ),
            Mistake(
                _next_rolled,
                "The first frame follows the last: at the end of a piece the head is asked how the piece began.",
            ),
            Mistake(
                _next_holds_the_end,
                "The last frame follows itself: nothing follows the end, so nothing is asked there. Put -1.",
            ),
            Mistake(
                _next_rests_at_the_end,
                "0 is a rest, which is an answer like any other; where nothing is asked stands -1.",
            ),
            Mistake(_next_voice, "You shift along the voices; steps are the first axis."),
        ),
        fact="the first frame is nobody's answer, and the last step has none.",
    ),
    Exercise(
        id="4c.2",
        title="The chord of the next beat",
        minutes=10,
        task=(
            "A piece of `n_steps` steps has beats that begin at `start_step`, `(n_beats,)`, the first at 0, and "
            "`chords`, `(n_beats,)`. Write `next_chords(chords, start_step, n_steps)`: for each step the chord of the "
            "first beat that begins *after* it; -1 in the last beat. Beats need not be equally long: the music may "
            "begin off the beat."
        ),
        hint='For sorted numbers, `np.searchsorted(..., side="right")` counts how many are not above a value.',
        cases=lambda: (
            (np.array([1, 68, 22]), np.array([0, 4, 8]), 12),
            (np.array([8, 1, 8, 1]), np.array([0, 2, 6, 10]), 13),
            (np.array([5]), np.array([0]), 3),
        ),
        solution=next_chords,
        mistakes=(
            Mistake(
                _chord_of_this_beat,
                "You ask for the chord of the beat that sounds: at its last step all of it has been heard, and there "
                "is nothing left to foresee.",
            ),
            Mistake(
                _chord_of_next_step,
                "You ask for the chord of the beat in which the next step lies: at most steps that is the beat that "
                "sounds already.",
            ),
            Mistake(
                _chord_of_next_beat_or_this,
                "Where a beat begins you call it the next one; its first notes are in sight already. The next beat "
                "begins after the step.",
            ),
            Mistake(
                _chord_held_at_the_end, "In the last beat no beat is to come: nothing is asked there, so it holds -1."
            ),
            Mistake(
                _chord_four_steps_a_beat,
                "You count beats of four steps from step 0; `start_step` says where they begin, and the first may be "
                "short.",
            ),
            Mistake(_chord_before, "You ask for the beat before, which is past."),
        ),
        fact="all steps of a beat share one answer, and the last beat has none.",
    ),
    Exercise(
        id="4c.3",
        title="Move the chord with the window",
        minutes=10,
        task=(
            "A window is transposed by `semitones`. Write `move_chord(chord, semitones)` for one number of a chord: "
            "`1 + 12 * quality + root`, with roots 0 to 11. 0 is no chord, and -1 says that nothing is asked: both "
            "stay as they are."
        ),
        hint="Take the number apart with `divmod`, move the root around the twelve, and put it together again.",
        cases=lambda: ((1, 2), (24, 2), (12, 1), (108, 6), (1, -5), (0, 3), (-1, 3), (22, 0)),
        solution=move_chord,
        mistakes=(
            Mistake(
                _move_forgotten,
                "You move nothing: the window sounds in another key, and its chords are still named in the old one.",
            ),
            Mistake(
                _move_the_number,
                "You add to the number: from B major, two semitones up is D flat minor then. Only the root moves, "
                "around the twelve.",
            ),
            Mistake(
                _move_all_numbers,
                "You add to every number: roots run over into the next quality, and 0 and -1 become chords.",
            ),
            Mistake(
                _move_around_all,
                "You go round all 108 chords; a root goes round the twelve and keeps its quality.",
            ),
            Mistake(_move_no_chord, "Chords are right; no chord and not asked, 0 and -1, do not move."),
            Mistake(_move_without_one, "The chords begin at 1: take 1 away before you divide, and put it back."),
            Mistake(_move_down, "You move down: {input} should be {expected}."),
            Mistake(_move_to_major, "You keep the root and lose the quality: every chord becomes a major triad."),
        ),
        fact="a C major chord moved up by a tone is number {outputs[0]}, D major.",
    ),
    Exercise(
        id="4c.4",
        title="Better than never",
        minutes=10,
        task=(
            "`probability`, `(n_cells,)`, is what a head gives to an onset; `is_onset` says whether one came. Write "
            '`onset_gain(probability, is_onset)`: the accuracy of saying "onset" wherever the probability is above '
            'one half, less the accuracy of the better of two rules that hear nothing: always say "onset", or never.'
        ),
        hint='If a quarter of the cells strike a note, how often is "never" right? And if three quarters do?',
        cases=_onset_cases,
        solution=onset_gain,
        mistakes=(
            Mistake(
                _gain_over_nothing,
                'You give the accuracy: for the first head {found}, and it never says "onset" at all.',
            ),
            Mistake(_gain_over_a_coin, 'You compare with a coin; "never" is right far more often than one half.'),
            Mistake(
                _gain_over_always,
                'You compare with "always", the worse of the two rules where onsets are few.',
            ),
            Mistake(
                _gain_over_never,
                'You compare with "never", the worse of the two rules where most cells strike, as in the last case.',
            ),
            Mistake(
                _gain_in_hits,
                'You count the onsets that were found; a head that always says "onset" finds all of them.',
            ),
            Mistake(
                _gain_of_the_mean,
                "You average the probability of the right answer; accuracy counts the answers above one half.",
            ),
        ),
        fact="the first head is right in three cells of four, and its gain is {outputs[0]}.",
        case_names=("a head that never says onset", "a head that finds them", "a passage where most cells strike"),
        tolerance=1e-9,
    ),
    Exercise(
        id="4c.5",
        title="Weigh the heads",
        minutes=10,
        task=(
            "Write `weighted_nats(nats, weights)` for two dictionaries with the same heads: the weighted mean of the "
            "losses. A head of weight 0 is not asked, so its loss is unknown, `nan`: it must not spoil the mean."
        ),
        hint="What is `0 * math.nan`?",
        cases=lambda: (
            ({"pitch": 0.8, "rhythm": 0.5, "harmony": 2.0}, {"pitch": 1.0, "rhythm": 1.0, "harmony": 0.5}),
            ({"pitch": 0.9, "rhythm": math.nan, "harmony": 2.4}, {"pitch": 3.0, "rhythm": 0.0, "harmony": 1.0}),
            ({"pitch": math.nan, "rhythm": 0.4}, {"pitch": 0.0, "rhythm": 2.0}),
        ),
        solution=weighted_nats,
        mistakes=(
            Mistake(_weighted_with_zero, "0 times an unknown loss is unknown: leave out the heads that are not asked."),
            Mistake(
                _weighted_sum,
                "You add up: then a head that is switched on makes the loss larger, and longer gradients are clipped.",
            ),
            Mistake(_weighted_by_all, "You divide by the number of heads; divide by the sum of the weights."),
            Mistake(
                _weighted_by_asked, "You divide by the number of heads that were asked; divide by their weights' sum."
            ),
            Mistake(_weighted_alike, "You give the heads that are asked the same weight, whatever the weights say."),
            Mistake(_weighted_inversely, "Upside down: you divide by the weights, so a heavy head counts less."),
        ),
        fact="with one head alone the loss is its own, {outputs[2]} nats.",
        tolerance=1e-9,
    ),
)
