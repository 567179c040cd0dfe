"""Exercises of notebook 5d: what a step knows, intervals, voices in turn, who may notice a change, padding in a mean.

Chapter: 5d (one position a step).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake

Scorer = Callable[[list[int]], np.ndarray]


def latest_frames(frames: np.ndarray, begin_id: int) -> np.ndarray:
    """Return for each step the frame before it.

    Args:
        frames: int (n_steps, n_voices), symbol ids.
        begin_id: stands for the frame before the first.

    Returns:
        int (n_steps, n_voices).

    Chapter: 5d.
    """
    begin = np.full_like(frames[:1], begin_id)
    return np.concatenate((begin, frames[:-1]))


def _latest_itself(frames: np.ndarray, begin_id: int) -> np.ndarray:
    """Mistake: give each step the frame that it must predict."""
    return frames.copy()


def _latest_ahead(frames: np.ndarray, begin_id: int) -> np.ndarray:
    """Mistake: shift the wrong way."""
    return np.concatenate((frames[1:], np.full_like(frames[:1], begin_id)))


def _latest_rolled(frames: np.ndarray, begin_id: int) -> np.ndarray:
    """Mistake: let the last frame come round to the front."""
    return np.roll(frames, 1, axis=0)


def _latest_over_voices(frames: np.ndarray, begin_id: int) -> np.ndarray:
    """Mistake: shift along the voices."""
    return np.concatenate((np.full_like(frames[:, :1], begin_id), frames[:, :-1]), axis=1)


def _latest_token(frames: np.ndarray, begin_id: int) -> np.ndarray:
    """Mistake: shift by one token, as a token Transformer does."""
    return np.concatenate(([begin_id], frames.ravel()[:-1])).reshape(frames.shape)


def held_steps(melody: np.ndarray) -> np.ndarray:
    """Return for how many steps the latest symbol has been held, as it is known before each step.

    Args:
        melody: int (n_steps,), the ids of one voice.

    Returns:
        int (n_steps,): 0 at the first step and where the latest symbol is new; the step itself is not looked at.

    Chapter: 5d.
    """
    held, n_held = [0], 0
    for step in range(1, len(melody)):
        is_new = step == 1 or melody[step - 1] != melody[step - 2]
        n_held = 0 if is_new else n_held + 1
        held.append(n_held)
    return np.array(held)


def _held_with_itself(melody: np.ndarray) -> np.ndarray:
    """Mistake: look at the step that is to be predicted."""
    return held_steps(np.append(melody, 0))[1:]


def _held_from_the_end(melody: np.ndarray) -> np.ndarray:
    """Mistake: count how long it will last yet."""
    return held_steps(np.append(melody[::-1], 0))[:0:-1]


def _held_from_one(melody: np.ndarray) -> np.ndarray:
    """Mistake: call a new symbol 1."""
    return np.append(0, held_steps(melody)[1:] + 1)


def _held_never_new(melody: np.ndarray) -> np.ndarray:
    """Mistake: count all repeats so far, and never begin again."""
    return np.append(0, np.cumsum(held_steps(melody)[1:] > 0))


def _held_whole_note(melody: np.ndarray) -> np.ndarray:
    """Mistake: give every step the full length of its note."""
    began = np.append(True, melody[1:] != melody[:-1])
    lengths = np.diff(np.append(np.flatnonzero(began), len(melody)))
    return np.append(0, np.repeat(lengths - 1, lengths)[:-1])


def interval_number(upper: int, lower: int) -> int:
    """Number an interval between two symbols from 0, the same in every key.

    Args:
        upper: id of the symbol that is measured; 0 is a rest, 1 to 46 are pitches, 47 is the begin symbol.
        lower: id that it is measured from.

    Returns:
        46 for a unison, one more for each semitone up; 93 where one of the two is no pitch.

    Chapter: 5d.
    """
    if not (1 <= upper <= 46 and 1 <= lower <= 46):
        return 93
    return upper - lower + 46


def _interval_with_rests(upper: int, lower: int) -> int:
    """Mistake: subtract whatever comes."""
    return upper - lower + 46


def _interval_with_begin(upper: int, lower: int) -> int:
    """Mistake: know the rest and forget the begin symbol."""
    return 93 if 0 in (upper, lower) else upper - lower + 46


def _interval_downwards(upper: int, lower: int) -> int:
    """Mistake: subtract the other way round."""
    return interval_number(lower, upper)


def _interval_without_direction(upper: int, lower: int) -> int:
    """Mistake: a third down is a third up."""
    return max(interval_number(upper, lower), interval_number(lower, upper))


def _interval_within_octave(upper: int, lower: int) -> int:
    """Mistake: an octave is a unison."""
    found = interval_number(upper, lower)
    return found if found == 93 else (upper - lower) % 12 + 46


def sing_in_turn(score: Scorer, n_voices: int) -> list[int]:
    """Let each voice take its likeliest symbol, from the highest, knowing those above it.

    Args:
        score: takes the symbols of the voices above, from the highest; returns the scores of all symbols for the next.
        n_voices: voices of the frame.

    Returns:
        The frame, from the highest voice.

    Chapter: 5d.
    """
    frame: list[int] = []
    for _ in range(n_voices):
        frame.append(int(np.argmax(score(list(frame)))))
    return frame


def _sing_at_once(score: Scorer, n_voices: int) -> list[int]:
    """Mistake: no voice hears another."""
    return [int(np.argmax(score([]))) for _ in range(n_voices)]


def _sing_deaf(score: Scorer, n_voices: int) -> list[int]:
    """Mistake: the voices take turns and hear rests."""
    return [int(np.argmax(score([0] * voice))) for voice in range(n_voices)]


def _sing_hearing_the_nearest(score: Scorer, n_voices: int) -> list[int]:
    """Mistake: each hears only the voice next to it."""
    frame: list[int] = []
    for _ in range(n_voices):
        frame.append(int(np.argmax(score(frame[-1:]))))
    return frame


def _sing_hearing_upside_down(score: Scorer, n_voices: int) -> list[int]:
    """Mistake: hand over the voices from the lowest."""
    frame: list[int] = []
    for _ in range(n_voices):
        frame.append(int(np.argmax(score(frame[::-1]))))
    return frame


def _sing_bass_first(score: Scorer, n_voices: int) -> list[int]:
    """Mistake: return the frame from the lowest voice."""
    return sing_in_turn(score, n_voices)[::-1]


def _sing_least(score: Scorer, n_voices: int) -> list[int]:
    """Mistake: take the smallest score."""
    return sing_in_turn(lambda above: -score(above), n_voices)


def may_move(n_steps: int, step: int, voice: int) -> np.ndarray:
    """Return which predictions may move when one cell of the music is changed.

    Args:
        n_steps: length of the music.
        step: step of the changed cell.
        voice: voice of the changed cell, 0 the soprano.

    Returns:
        bool (n_steps, 4): True for the lower voices of the step and for all voices of later steps.

    Chapter: 5d.
    """
    place = np.arange(4 * n_steps).reshape(n_steps, 4)
    return place > 4 * step + voice


def _move_itself(n_steps: int, step: int, voice: int) -> np.ndarray:
    """Mistake: let a cell's own prediction see the cell."""
    return np.arange(4 * n_steps).reshape(n_steps, 4) >= 4 * step + voice


def _move_all_voices(n_steps: int, step: int, voice: int) -> np.ndarray:
    """Mistake: let all other voices of the step hear it, those above too."""
    moves = np.repeat(np.arange(n_steps)[:, None] >= step, 4, axis=1)
    moves[step, voice] = False
    return moves


def _move_later_steps(n_steps: int, step: int, voice: int) -> np.ndarray:
    """Mistake: let nobody hear it in its own step."""
    return np.repeat(np.arange(n_steps)[:, None] > step, 4, axis=1)


def _move_same_voice(n_steps: int, step: int, voice: int) -> np.ndarray:
    """Mistake: let the past of a voice reach that voice alone."""
    moves = may_move(n_steps, step, voice)
    moves[step + 1 :] &= np.arange(4) == voice
    return moves


def _move_before(n_steps: int, step: int, voice: int) -> np.ndarray:
    """Mistake: upside down."""
    return np.arange(4 * n_steps).reshape(n_steps, 4) < 4 * step + voice


def nats_a_token(log_probs: np.ndarray, is_padding: np.ndarray) -> float:
    """Return the loss of a padded batch of frames.

    Args:
        log_probs: float (batch, n_steps, 4), the logarithm of the probability of each cell.
        is_padding: bool (batch, n_steps), True beyond the end of a piece.

    Returns:
        The mean of minus the logarithm over all cells that are music.

    Chapter: 5d.
    """
    return float(-log_probs[~is_padding].mean())


def _nats_over_padding(log_probs: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: count the padding above and below the fraction line."""
    return float(-log_probs.mean())


def _nats_below_the_line(log_probs: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: leave padding out of the sum and count it in the number."""
    return float(-log_probs[~is_padding].sum() / log_probs.size)


def _nats_a_frame(log_probs: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: nats a frame."""
    return float(-log_probs[~is_padding].sum(axis=-1).mean())


def _nats_of_row_means(log_probs: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: give each window the same weight."""
    return float(np.mean([-row[~hidden].mean() for row, hidden in zip(log_probs, is_padding, strict=True)]))


def _nats_of_mean_probability(log_probs: np.ndarray, is_padding: np.ndarray) -> float:
    """Mistake: average the probabilities, then take the logarithm."""
    return float(-np.log(np.exp(log_probs[~is_padding]).mean()))


def _score_by_chord(above: list[int]) -> np.ndarray:
    """Score the symbols 0 to 8: each voice wants to stand as far below its upper neighbours as they say."""
    wanted = 8 - sum(above) // 2 if above else 6
    return -np.abs(np.arange(9) - wanted - 0.1 * len(above))


def _score_by_highest(above: list[int]) -> np.ndarray:
    """Score the symbols 0 to 8: far from the highest voice, a step a voice."""
    highest = above[0] if above else 7
    return np.cos((np.arange(9) - highest - 2 * len(above)) * 2 * np.pi / 9)


def _padded_batch() -> tuple[np.ndarray, np.ndarray]:
    """Make two windows, the second with one step of music in three."""
    log_probs = np.log([[[0.5, 0.9, 0.8, 0.4]] * 3, [[0.1, 0.2, 0.9, 0.5], [0.7] * 4, [0.9] * 4]])
    return log_probs, np.array([[False, False, False], [False, True, True]])


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="5d.1",
        title="The frame before",
        minutes=5,
        task=(
            "Write `latest_frames(frames, begin_id)` for one piece, an array `(n_steps, n_voices)`: the frame that "
            "each step may read as the latest. Before the first step every voice reads `begin_id`."
        ),
        hint="The result has as many rows as `frames`. Which frame does nobody read?",
        cases=lambda: ((np.array([[30, 25], [30, 26], [32, 27]]), 47), (np.array([[5, 1, 9, 2]]), 47)),
        solution=latest_frames,
        mistakes=(
            Mistake(
                _latest_itself,
                "Each step reads the frame that it must predict: the loss would fall to 0 and the network could only "
                "copy.",
            ),
            Mistake(
                _latest_ahead,
                "You shift the wrong way: each step reads the frame after it, and the last one reads that the piece "
                "begins.",
            ),
            Mistake(
                _latest_rolled, "The last frame comes round to the front: the first step knows how the piece ends."
            ),
            Mistake(_latest_over_voices, "You shift along the voices; steps are the first axis."),
            Mistake(
                _latest_token,
                "You shift by one token, as a token Transformer does: the alto would read the soprano of its own step "
                "as a frame before. Shift by a whole frame.",
            ),
        ),
        fact="the last frame is read by nobody, since nothing follows it.",
    ),
    Exercise(
        id="5d.2",
        title="Held for how long?",
        minutes=15,
        task=(
            "Write `held_steps(melody)` for the ids of one voice: for how many steps has the latest symbol been held, "
            "as it is known *before* each step? 0 at the first step and where the latest symbol is new. For 20 20 22 "
            "22 22 20 the answer is 0 0 1 0 1 2."
        ),
        hint="Before step 5 you know steps 0 to 4. Compare the latest symbol with the one before it.",
        cases=lambda: (
            (np.array([20, 20, 22, 22, 22, 20]),),
            (np.array([0, 0, 0, 31, 30, 30]),),
            (np.array([7, 7, 8, 8, 8, 8, 8, 5]),),
        ),
        solution=held_steps,
        mistakes=(
            Mistake(
                _held_with_itself,
                "You look at the step itself: a count above 0 tells the network that the note goes on, which is what "
                "it must guess.",
            ),
            Mistake(
                _held_from_the_end,
                "You count from the end: how long the note will last yet is the future. For {input} you give {found}.",
            ),
            Mistake(_held_from_one, "You call a symbol that is new 1; it has been held for 0 steps."),
            Mistake(_held_never_new, "You count every repeat so far; with a new symbol the count begins again."),
            Mistake(
                _held_whole_note,
                "You give each step the full length of its note: at its second step nobody knows yet how long it will "
                "be.",
            ),
        ),
        fact="a rest is held like a note, and the count says nothing about the step itself.",
    ),
    Exercise(
        id="5d.3",
        title="Number an interval",
        minutes=5,
        task=(
            "Write `interval_number(upper, lower)` for two ids: 46 for a unison, one more for each semitone that "
            "`upper` is higher, one less for each that it is lower. 0 is a rest and 47 is the begin symbol: where one "
            "of the two is no pitch, return 93."
        ),
        hint="Pitches are the ids 1 to 46. Look at both ids before you subtract.",
        cases=lambda: ((30, 26), (20, 30), (40, 28), (0, 20), (20, 0), (25, 47), (47, 47)),
        solution=interval_number,
        mistakes=(
            Mistake(
                _interval_with_rests,
                "A rest is no pitch: for {input} you give {found}, the number of an interval that nobody sings.",
            ),
            Mistake(_interval_with_begin, "Rests are right; the begin symbol is no pitch either: {input} is 93."),
            Mistake(_interval_downwards, "You measure the other way round: {input} should be {expected}."),
            Mistake(_interval_without_direction, "A third down is not a third up: keep the sign."),
            Mistake(
                _interval_within_octave, "You fold octaves; here an octave up, 58, and a unison, 46, are two numbers."
            ),
        ),
        fact="a major third up is {outputs[0]} in every key.",
    ),
    Exercise(
        id="5d.4",
        title="Sing in turn",
        minutes=10,
        task=(
            "Write `sing_in_turn(score, n_voices)`. `score(above)` takes a list of the symbols of the voices above, "
            "from the highest, and returns the scores of all symbols for the next voice. Each voice takes the symbol "
            "with the highest score. Return the frame, a list from the highest voice."
        ),
        hint="The soprano has nobody above it: `score([])`.",
        cases=lambda: ((_score_by_chord, 4), (_score_by_highest, 4), (_score_by_chord, 3)),
        solution=sing_in_turn,
        mistakes=(
            Mistake(_sing_at_once, "You ask for each voice with nobody above it: all four sing the soprano's choice."),
            Mistake(_sing_deaf, "You hand over the right number of voices, all rests: hand over what they sing."),
            Mistake(
                _sing_hearing_the_nearest, "Each voice hears only the one next above it; it must hear all above it."
            ),
            Mistake(
                _sing_hearing_upside_down, "You hand over the voices from the lowest; `above` begins with the highest."
            ),
            Mistake(_sing_bass_first, "The frame is right and upside down: the highest voice comes first."),
            Mistake(_sing_least, "You take the smallest score; the likeliest symbol has the highest."),
        ),
        fact="for the first singer {outputs[0]}, and each voice depends on those above.",
        case_names=("a singer of four voices", "another singer of four voices", "a singer of three voices"),
    ),
    Exercise(
        id="5d.5",
        title="Who may notice?",
        minutes=10,
        task=(
            "Somebody changes one cell of the music, voice `voice` at step `step`. Write `may_move(n_steps, step, "
            "voice)`: a Boolean array `(n_steps, 4)` that is True for every cell whose *prediction* may move. This is "
            "what the leak test compares with."
        ),
        hint="Which cells come after this one in the order soprano, alto, tenor, bass, step by step?",
        cases=lambda: ((3, 1, 2), (4, 2, 0), (2, 0, 3)),
        solution=may_move,
        mistakes=(
            Mistake(
                _move_itself,
                "You let the changed cell move its own prediction: then the network sees what it must guess.",
            ),
            Mistake(_move_all_voices, "You let the voices above it notice; in its own step only those below may."),
            Mistake(
                _move_later_steps,
                "You let nobody notice in its own step: that is the test of a network that sings all voices at once.",
            ),
            Mistake(_move_same_voice, "After its step all voices may notice, not only its own."),
            Mistake(_move_before, "Upside down: you mark what comes before the cell, which must not move."),
        ),
        fact="it is the causal rule of four tokens a step, folded into rows of four.",
    ),
    Exercise(
        id="5d.6",
        title="Nats a token, with padding",
        minutes=5,
        task=(
            "Write `nats_a_token(log_probs, is_padding)`: `log_probs` is `(batch, n_steps, 4)`, the logarithm of the "
            "probability that each cell was given; `is_padding` is `(batch, n_steps)`. Return the mean loss of the "
            "cells that are music."
        ),
        hint="A Boolean array of the first two axes chooses whole frames.",
        cases=lambda: (_padded_batch(), (np.log([[[0.25, 0.5, 1.0, 0.5]]]), np.array([[False]]))),
        solution=nats_a_token,
        mistakes=(
            Mistake(_nats_over_padding, "You average over padding too, which nobody has to predict."),
            Mistake(
                _nats_below_the_line,
                "You leave padding out of the sum and count it in the number: a batch with much padding looks good.",
            ),
            Mistake(_nats_a_frame, "You give nats a frame, four times as much: divide by cells, not by steps."),
            Mistake(_nats_of_row_means, "You give each window the same weight; each cell has the same weight."),
            Mistake(
                _nats_of_mean_probability,
                "You average probabilities and take the logarithm after: a cell that was thought impossible would "
                "hardly count.",
            ),
        ),
        fact="{outputs[0]} nats for the first batch, the same scale as four tokens a step.",
        tolerance=1e-9,
    ),
)
