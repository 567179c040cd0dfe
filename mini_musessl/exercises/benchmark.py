"""Exercises of notebook 8b: means, windows, the price of a chord, choosing, paired ranges, time to a loss.

Chapter: 8b (the chorale benchmark).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def nats_per_token(pieces: Sequence[np.ndarray]) -> float:
    """Return the score of the benchmark: nats of all tokens over their number.

    Args:
        pieces: the nats of every token, one array (n_steps, 4) a piece.

    Returns:
        nats a token.

    Chapter: 8b.
    """
    return float(sum(nats.sum() for nats in pieces) / sum(nats.size for nats in pieces))


def _mean_of_piece_means(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: each piece counts alike, long or short."""
    return float(np.mean([nats.mean() for nats in pieces]))


def _nats_per_step(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: divide by the number of steps."""
    return 4 * nats_per_token(pieces)


def _nats_per_piece(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: divide by the number of pieces."""
    return float(sum(nats.sum() for nats in pieces) / len(pieces))


def _nats_in_all(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: do not divide."""
    return float(sum(nats.sum() for nats in pieces))


def _bits_per_token(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: turn nats into bits, which nobody asked for."""
    return nats_per_token(pieces) / float(np.log(2))


def _nats_padded(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: fill all pieces up to the longest, and count the filling."""
    longest = max(len(nats) for nats in pieces)
    return float(sum(nats.sum() for nats in pieces) / (len(pieces) * 4 * longest))


def _nats_cut(pieces: Sequence[np.ndarray]) -> float:
    """Mistake: cut all pieces to the shortest, so that they fit into one array."""
    shortest = min(len(nats) for nats in pieces)
    return float(np.mean([nats[:shortest] for nats in pieces]))


def scoring_windows(n_steps: int, context: int) -> list[tuple[int, int, int]]:
    """Cut a piece into windows that score each step once, later ones after half a window of history.

    Args:
        n_steps: length of the piece.
        context: most steps that the network reads at once; even.

    Returns:
        For each window its first step, the first step that it scores, and the step at which it stops.

    Chapter: 8b.
    """
    found = [(0, 0, min(context, n_steps))]
    while found[-1][2] < n_steps:
        first = found[-1][2]
        found.append((first - context // 2, first, min(first + context // 2, n_steps)))
    return found


def _windows_without_history(n_steps: int, context: int) -> list[tuple[int, int, int]]:
    """Mistake: windows side by side, each beginning with an empty memory."""
    return [(start, start, min(start + context, n_steps)) for start in range(0, n_steps, context)]


def _windows_score_twice(n_steps: int, context: int) -> list[tuple[int, int, int]]:
    """Mistake: score the history too."""
    return [(start, start, stop) for start, _, stop in scoring_windows(n_steps, context)]


def _windows_drop_the_end(n_steps: int, context: int) -> list[tuple[int, int, int]]:
    """Mistake: leave out what does not fill a window."""
    starts = range(0, n_steps - context + 1, context // 2)
    return [(start, start + context // 2 if start else 0, start + context) for start in starts]


def _windows_pushed_back(n_steps: int, context: int) -> list[tuple[int, int, int]]:
    """Mistake: push the last window back until it is full, and score its second half again."""
    found = scoring_windows(n_steps, context)
    if len(found) > 1:
        found[-1] = (n_steps - context, n_steps - context // 2, n_steps)
    return found


def _windows_skip_the_first_half(n_steps: int, context: int) -> list[tuple[int, int, int]]:
    """Mistake: never score what has less than half a window behind it, so the beginning is left out."""
    return [(start, max(first, context // 2), stop) for start, first, stop in scoring_windows(n_steps, context)]


def _windows_past_the_end(n_steps: int, context: int) -> list[tuple[int, int, int]]:
    """Mistake: let the last window run past the end, so that padding is scored."""
    return [
        (start, first, context if start == first else first + context // 2)
        for start, first, _ in scoring_windows(n_steps, context)
    ]


def joint_nats(note_nats: np.ndarray, chord_nats: np.ndarray) -> float:
    """Return what a note costs in a model that first predicts a chord, and then the notes given that chord.

    Args:
        note_nats: float (n_steps, 4), of each note, given the chord of its step.
        chord_nats: float (n_steps,), of each chord, given the past.

    Returns:
        nats a note, chords paid for.

    Chapter: 8b.
    """
    return float((note_nats.sum() + chord_nats.sum()) / note_nats.size)


def _joint_given_the_chord(note_nats: np.ndarray, chord_nats: np.ndarray) -> float:
    """Mistake: leave the chord out, as if it were known."""
    return float(note_nats.mean())


def _joint_per_symbol(note_nats: np.ndarray, chord_nats: np.ndarray) -> float:
    """Mistake: divide by notes and chords together."""
    return float((note_nats.sum() + chord_nats.sum()) / (note_nats.size + chord_nats.size))


def _joint_sum_of_means(note_nats: np.ndarray, chord_nats: np.ndarray) -> float:
    """Mistake: add a mean over steps to a mean over notes."""
    return float(note_nats.mean() + chord_nats.mean())


def _joint_per_step(note_nats: np.ndarray, chord_nats: np.ndarray) -> float:
    """Mistake: divide by the number of steps."""
    return float((note_nats.sum() + chord_nats.sum()) / len(note_nats))


def _joint_mean_of_means(note_nats: np.ndarray, chord_nats: np.ndarray) -> float:
    """Mistake: take the mean of both means."""
    return float((note_nats.mean() + chord_nats.mean()) / 2)


def report(rows: Sequence[dict]) -> tuple[str, float]:
    """Choose a model on the validation part and say how it did on the test part.

    Args:
        rows: one dictionary a run, with "model" (its name), "valid" and "test" (nats a token). Runs of one name are
            seeds of one model.

    Returns:
        Name of the model with the lowest mean on valid, and its mean on test.

    Chapter: 8b.
    """
    parts = {"valid": {}, "test": {}}
    for row in rows:
        for part, found in parts.items():
            found.setdefault(row["model"], []).append(row[part])
    chosen = min(parts["valid"], key=lambda name: np.mean(parts["valid"][name]))
    return chosen, float(np.mean(parts["test"][chosen]))


def _mean_of(rows: Sequence[dict], name: str, part: str) -> float:
    """Return the mean of a model's seeds on one part."""
    return float(np.mean([row[part] for row in rows if row["model"] == name]))


def _report_best_of_test(rows: Sequence[dict]) -> tuple[str, float]:
    """Mistake: choose on the test part."""
    chosen = min((row["model"] for row in rows), key=lambda name: _mean_of(rows, name, "test"))
    return chosen, _mean_of(rows, chosen, "test")


def _report_luckiest_run(rows: Sequence[dict]) -> tuple[str, float]:
    """Mistake: choose the single run that is best on the test part."""
    best = min(rows, key=lambda row: row["test"])
    return best["model"], float(best["test"])


def _report_best_run(rows: Sequence[dict]) -> tuple[str, float]:
    """Mistake: choose the single run that is best on valid."""
    best = min(rows, key=lambda row: row["valid"])
    return best["model"], float(best["test"])


def _report_valid(rows: Sequence[dict]) -> tuple[str, float]:
    """Mistake: choose rightly, and report the number by which it was chosen."""
    chosen, _ = report(rows)
    return chosen, _mean_of(rows, chosen, "valid")


def _report_best_seed(rows: Sequence[dict]) -> tuple[str, float]:
    """Mistake: choose rightly, and report the best seed on test."""
    chosen, _ = report(rows)
    return chosen, float(min(row["test"] for row in rows if row["model"] == chosen))


def _report_highest(rows: Sequence[dict]) -> tuple[str, float]:
    """Mistake: take a loss for a mark, of which more is better."""
    chosen = max((row["model"] for row in rows), key=lambda name: _mean_of(rows, name, "valid"))
    return chosen, _mean_of(rows, chosen, "test")


def paired_range(first: np.ndarray, second: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray) -> list[float]:
    """Return a 95 % bootstrap range of how much better one model is than another, in nats a token.

    Args:
        first: float (n_pieces,), the sum of the nats of each piece under one model.
        second: the same under the other.
        n_tokens: int (n_pieces,), tokens of each piece.
        drawn: int (n_draws, n_pieces), the pieces of each draw.

    Returns:
        The 2.5th and the 97.5th percentile, over the draws, of the nats a token of the first less those of the second.

    Chapter: 8b.
    """
    means = (first - second)[drawn].sum(axis=1) / n_tokens[drawn].sum(axis=1)
    return np.percentile(means, [2.5, 97.5]).tolist()


def _each_mean(nats: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return nats a token of each draw."""
    return nats[drawn].sum(axis=1) / n_tokens[drawn].sum(axis=1)


def _range_not_paired(first: np.ndarray, second: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray) -> list[float]:
    """Mistake: draw other pieces for the second model."""
    other = np.roll(drawn, 1, axis=0)
    means = _each_mean(first, n_tokens, drawn) - _each_mean(second, n_tokens, other)
    return np.percentile(means, [2.5, 97.5]).tolist()


def _range_of_ends(first: np.ndarray, second: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray) -> list[float]:
    """Mistake: a range for each model, and the lowest end of one less the highest of the other."""
    low, high = (np.percentile(_each_mean(nats, n_tokens, drawn), [2.5, 97.5]) for nats in (first, second))
    return [float(low[0] - high[1]), float(low[1] - high[0])]


def _range_of_differences(
    first: np.ndarray, second: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray
) -> list[float]:
    """Mistake: a range for each model, and the difference of their ends."""
    one, other = (np.percentile(_each_mean(nats, n_tokens, drawn), [2.5, 97.5]) for nats in (first, second))
    return (one - other).tolist()


def _range_of_pieces(first: np.ndarray, second: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray) -> list[float]:
    """Mistake: the range of the pieces, not of their mean."""
    return np.percentile((first - second) / n_tokens, [2.5, 97.5]).tolist()


def _range_of_piece_means(
    first: np.ndarray, second: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray
) -> list[float]:
    """Mistake: each piece counts alike."""
    return np.percentile(((first - second) / n_tokens)[drawn].mean(axis=1), [2.5, 97.5]).tolist()


def _range_turned(first: np.ndarray, second: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray) -> list[float]:
    """Mistake: second less first."""
    return paired_range(second, first, n_tokens, drawn)


def _range_of_90(first: np.ndarray, second: np.ndarray, n_tokens: np.ndarray, drawn: np.ndarray) -> list[float]:
    """Mistake: leave out a twentieth at each end."""
    return np.percentile(_each_mean(first - second, n_tokens, drawn), [5, 95]).tolist()


def seconds_to(seconds: np.ndarray, valid: np.ndarray, mark: float) -> float | None:
    """Return how long a run took until its validation loss was at or below a mark.

    Args:
        seconds: float (n_reports,), the time of each report, rising.
        valid: float (n_reports,), the validation loss at each report.
        mark: nats a token.

    Returns:
        The time of the first report that is low enough; None if there is none.

    Chapter: 8b.
    """
    reached = np.flatnonzero(valid <= mark)
    return float(seconds[reached[0]]) if len(reached) else None


def _seconds_by_argmax(seconds: np.ndarray, valid: np.ndarray, mark: float) -> float | None:
    """Mistake: argmax of a row without a True is 0."""
    return float(seconds[np.argmax(valid <= mark)])


def _seconds_in_all(seconds: np.ndarray, valid: np.ndarray, mark: float) -> float | None:
    """Mistake: a run that never gets there is said to get there at its end."""
    found = seconds_to(seconds, valid, mark)
    return float(seconds[-1]) if found is None else found


def _seconds_to_the_best(seconds: np.ndarray, valid: np.ndarray, mark: float) -> float | None:
    """Mistake: the time of the lowest loss."""
    return float(seconds[np.argmin(valid)]) if valid.min() <= mark else None


def _seconds_to_the_nearest(seconds: np.ndarray, valid: np.ndarray, mark: float) -> float | None:
    """Mistake: the report whose loss is nearest to the mark, from above too."""
    return float(seconds[np.argmin(np.abs(valid - mark))]) if valid.min() <= mark else None


def _seconds_until_it_stays(seconds: np.ndarray, valid: np.ndarray, mark: float) -> float | None:
    """Mistake: the last report that is low enough."""
    reached = np.flatnonzero(valid <= mark)
    return float(seconds[reached[-1]]) if len(reached) else None


def _seconds_as_report(seconds: np.ndarray, valid: np.ndarray, mark: float) -> float | None:
    """Mistake: the number of the report, not its time."""
    reached = np.flatnonzero(valid <= mark)
    return float(reached[0]) if len(reached) else None


def _nats_of_pieces(lengths: Sequence[int], seed: int) -> list[np.ndarray]:
    """Return made-up nats of pieces of some lengths; short ones are harder."""
    rng = np.random.default_rng(seed)
    return [rng.exponential(1 + 4 / n_steps, size=(n_steps, 4)).round(3) for n_steps in lengths]


def _two_models(n_pieces: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return made-up sums of nats of two models on the same pieces, their tokens, and 200 draws."""
    rng = np.random.default_rng(seed)
    n_tokens = 4 * rng.integers(40, 400, size=n_pieces)
    hardness = rng.uniform(0.2, 0.6, size=n_pieces) + 20 / n_tokens
    gap = rng.uniform(-0.05, 0.01, size=n_pieces)
    drawn = rng.integers(n_pieces, size=(200, n_pieces))
    return (hardness + gap) * n_tokens, hardness * n_tokens, n_tokens, drawn


def _runs(*values: tuple[str, float, float]) -> list[dict]:
    """Return rows of results."""
    return [{"model": name, "valid": valid, "test": test} for name, valid, test in values]


EXERCISES = (
    Exercise(
        id="8b.1",
        title="A mean of what?",
        minutes=5,
        task=(
            "Write `nats_per_token(pieces)`. `pieces` is a list of arrays, one for each piece, of the shape (steps, "
            "4): the nats of every token. Return the score of the benchmark."
        ),
        hint="Rule 3: the sum over all tokens of all pieces, divided by their number. The pieces differ in length.",
        cases=lambda: ((_nats_of_pieces((2, 9, 5), seed=0),), (_nats_of_pieces((1, 12), seed=1),)),
        case_names=("three pieces of 2, 9 and 5 steps", "two pieces of 1 and 12 steps"),
        solution=nats_per_token,
        mistakes=(
            Mistake(
                _mean_of_piece_means,
                "You take the mean of each piece and then the mean of those: {found}. Then a short piece weighs as "
                "much as a long one. All tokens in one mean give {expected}.",
            ),
            Mistake(
                _nats_per_step,
                "You divide by the number of steps: {found} is nats a frame, four tokens at once. Nats a token are a "
                "quarter of it. Both units are in print, so say which you mean.",
            ),
            Mistake(_nats_per_piece, "You divide by the number of pieces. The score divides by the number of tokens."),
            Mistake(_nats_in_all, "You add up and do not divide: longer pieces would be worse models."),
            Mistake(_bits_per_token, "You give bits a token. The benchmark counts in nats: leave ln 2 out."),
            Mistake(
                _nats_padded,
                "You divide by the size of an array in which all pieces are as long as the longest: padding is "
                "counted, and the loss looks better than it is.",
            ),
            Mistake(
                _nats_cut,
                "You cut all pieces to the shortest. The score is that of whole pieces: no token is left out.",
            ),
        ),
        fact="{outputs[0]} nats a token for the three pieces, whatever their lengths.",
        tolerance=1e-9,
    ),
    Exercise(
        id="8b.2",
        title="Every token once",
        minutes=10,
        task=(
            "A network reads at most `context` steps (an even number). Write `scoring_windows(n_steps, context)`: a "
            "list of `(start, first, stop)`, one for each window. The window reads steps `start` up to but not "
            "including `stop`, and scores those from `first` on. The first window begins at 0 and scores all that it "
            "reads. Each later one scores half a context of new steps, or what is left, after half a context of "
            "history."
        ),
        hint="Where must the next window begin to score? Where must it begin to read? Try 10 steps and a context of 4.",
        cases=lambda: ((11, 4), (8, 4), (3, 4), (25, 10)),
        solution=scoring_windows,
        mistakes=(
            Mistake(
                _windows_without_history,
                "Your windows stand side by side. The first tokens of each are scored with an empty memory, as if a "
                "piece began there: the model is scored worse than it is.",
            ),
            Mistake(
                _windows_score_twice,
                "Your windows score their history too: the tokens in the overlap count twice, and those at both ends "
                "once. Sum and number are both wrong, and the mean looks like a right one.",
            ),
            Mistake(
                _windows_drop_the_end,
                "You leave out what does not fill a window. Chorales end with held chords, which are cheap; a piece "
                "shorter than the context is lost altogether.",
            ),
            Mistake(
                _windows_pushed_back,
                "You push the last window back until it is full. Then its steps count twice where it overlaps, and "
                "where it stands tells the model how long the piece is.",
            ),
            Mistake(
                _windows_skip_the_first_half,
                "You never score the beginning of the piece. It is hard, and it belongs to the piece: the first "
                "window scores from step 0.",
            ),
            Mistake(
                _windows_past_the_end,
                "Your last window runs past the end of the piece, so padding is scored. Stop at n_steps.",
            ),
        ),
        fact="the windows of the first piece are {outputs[0]}; laid end to end, what they score is the piece.",
    ),
    Exercise(
        id="8b.3",
        title="The price of the chord",
        minutes=10,
        task=(
            "A model predicts a chord at each step, and then the four notes, knowing that chord. `note_nats` (steps, "
            "4) are the nats of the notes given the chord; `chord_nats` (steps,) are those of the chords. Write "
            "`joint_nats(note_nats, chord_nats)`: nats a note that may stand beside a model which was told nothing."
        ),
        hint="What would it cost to send the notes to someone who does not have the chords? How many notes are that?",
        cases=lambda: (
            (np.array([[0.1, 0.0, 0.2, 0.3], [0.4, 0.1, 0.0, 0.1]]), np.array([1.2, 0.4])),
            (np.full((3, 4), 0.25), np.array([2.0, 0.0, 0.7])),
        ),
        solution=joint_nats,
        mistakes=(
            Mistake(
                _joint_given_the_chord,
                "You leave the chord out: {found} is the price of the notes for someone who was told the chord, and "
                "the chord is made of the notes. With the chords paid for it is {expected}.",
            ),
            Mistake(
                _joint_per_symbol,
                "You divide by notes and chords together, five a step. The chord is no note: nobody asked for it. All "
                "that was paid is divided by the notes.",
            ),
            Mistake(
                _joint_sum_of_means,
                "You add a mean over steps to a mean over notes. A chord is paid once for four notes: divide its nats "
                "by 4.",
            ),
            Mistake(_joint_per_step, "You divide by the number of steps: that is nats a frame. A step has four notes."),
            Mistake(
                _joint_mean_of_means, "You take the mean of two means, as if there were as many chords as notes. Add."
            ),
        ),
        fact=(
            "{outputs[0]} nats a note. It is a bound: other chords could go with the same notes, so the notes alone "
            "cost at most that."
        ),
        tolerance=1e-9,
    ),
    Exercise(
        id="8b.4",
        title="Choose, then look",
        minutes=10,
        task=(
            "`rows` is a list of dictionaries, one a run: `model` (its name), `valid` and `test` (nats a token). Runs "
            "of the same name are seeds of one model. Write `report(rows)`: the name of the model that you choose, "
            "and the number by which you report it, as the protocol asks."
        ),
        hint="Rule 6. Which part may choose? Which number has chosen nothing? A lucky seed is no model.",
        cases=lambda: (
            (_runs(("a", 0.31, 0.37), ("a", 0.33, 0.35), ("b", 0.30, 0.41), ("b", 0.36, 0.36), ("c", 0.35, 0.34)),),
            (_runs(("x", 0.40, 0.42), ("x", 0.42, 0.44), ("y", 0.45, 0.41), ("y", 0.39, 0.40), ("z", 0.5, 0.45)),),
        ),
        case_names=("three models with five runs", "three other models with five runs"),
        solution=report,
        mistakes=(
            Mistake(
                _report_best_of_test,
                "You choose on the test part. The best of several test scores is too good by luck, and nothing is "
                "left that could show it: choose on valid.",
            ),
            Mistake(
                _report_luckiest_run,
                "You report the single run that is best on test: chosen by what it is judged by, and without its "
                "other seeds.",
            ),
            Mistake(
                _report_best_run,
                "You choose the single best run. More seeds would then make any model look better. Take the mean over "
                "the seeds of each model first.",
            ),
            Mistake(
                _report_valid,
                "You choose rightly, and report the number that chose it. It was picked for being low, so it "
                "flatters: report test beside it.",
            ),
            Mistake(
                _report_best_seed,
                "You choose rightly, and then report its best seed on test. Report the mean of its seeds.",
            ),
            Mistake(_report_highest, "You choose the highest loss. These are nats: lower is better."),
        ),
        fact="valid chose, and test, which chose nothing, is reported: {outputs[0]}.",
        tolerance=1e-9,
    ),
    Exercise(
        id="8b.5",
        title="The same pieces for both",
        minutes=15,
        task=(
            "Two models were scored on the same pieces. `first[i]` and `second[i]` are the sums of the nats of piece "
            "`i`, `n_tokens[i]` is its number of tokens. Each row of `drawn` is a draw: as many pieces as there are, "
            "with repetitions. Write `paired_range(first, second, n_tokens, drawn)`: the 2.5th and 97.5th percentile, "
            "over the draws, of the nats a token of the first model less those of the second, as a list."
        ),
        hint=(
            "`first[drawn]` has the shape of `drawn`. What is hard for both models should cancel before anything is "
            "sorted."
        ),
        cases=lambda: (_two_models(12, seed=0), _two_models(30, seed=1)),
        case_names=("twelve pieces", "thirty pieces"),
        solution=paired_range,
        mistakes=(
            Mistake(
                _range_not_paired,
                "You compare the first model on some pieces with the second on others. Then what makes a piece hard "
                "does not cancel, and the range is far too wide: use the same draw for both.",
            ),
            Mistake(
                _range_of_ends,
                "You make a range for each model and compare their ends. Two ranges that overlap say little about a "
                "difference that is measured piece by piece: subtract first.",
            ),
            Mistake(
                _range_of_differences,
                "You make a range for each model and subtract the ends. The range of a difference is not the "
                "difference of the ranges: subtract within each draw.",
            ),
            Mistake(
                _range_of_pieces,
                "You give the range in which single pieces lie, without drawing. Asked is how far their *mean* could "
                "be off.",
            ),
            Mistake(
                _range_of_piece_means,
                "In your draws a short piece weighs as much as a long one. Divide the sum of the nats by the sum of "
                "the tokens, in each draw.",
            ),
            Mistake(_range_turned, "You give the second less the first: the sign is turned round."),
            Mistake(_range_of_90, "You leave out 5 of 100 at each end; 95 in the middle leave 2.5 at each."),
        ),
        fact="the difference lies in {outputs[0]} nats a token for the twelve pieces; below 0 the first is better.",
        tolerance=1e-9,
    ),
    Exercise(
        id="8b.6",
        title="How long until?",
        minutes=5,
        task=(
            "A run reported its validation loss `valid[i]` after `seconds[i]`. Write `seconds_to(seconds, valid, "
            "mark)`: the time of the first report at or below `mark`, or `None` if the run never got there."
        ),
        hint="What does `np.argmax` say of a row in which nothing is true?",
        cases=lambda: (
            (np.array([0.0, 60.0, 120.0, 180.0, 240.0]), np.array([3.85, 0.5, 0.41, 0.38, 0.405]), 0.42),
            (np.array([0.0, 100.0, 200.0, 300.0]), np.array([3.9, 0.425, 0.37, 0.36]), 0.42),
            (np.array([0.0, 50.0, 90.0]), np.array([3.85, 0.7, 0.45]), 0.42),
        ),
        solution=seconds_to,
        mistakes=(
            Mistake(
                _seconds_by_argmax,
                "For a run that never gets there you give {found}: argmax of a row without a True is 0, so the worst "
                "run would be the fastest.",
            ),
            Mistake(
                _seconds_in_all,
                "For a run that never gets there you give its whole length. It did not get there: say None.",
            ),
            Mistake(_seconds_to_the_best, "You give the time of the lowest loss; asked is the first that is enough."),
            Mistake(
                _seconds_to_the_nearest,
                "You take the report nearest to the mark, also from above: it must be at the mark or below.",
            ),
            Mistake(_seconds_until_it_stays, "You give the last report below the mark; asked is the first."),
            Mistake(_seconds_as_report, "You give the number of the report; its time is `seconds` at that place."),
        ),
        fact="{outputs[0]} seconds for the first run, and the third never gets there.",
    ),
)
