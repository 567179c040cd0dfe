"""Checkers of the exercises of notebook 8b; tasks, hints and solutions stand there. Chapter: 8b."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def _sum(pieces):
    return sum(nats.sum() for nats in pieces)

def nats_per_token(pieces):
    return float(_sum(pieces) / sum(nats.size for nats in pieces))

def _made_up_nats(lengths, seed):
    rng = np.random.default_rng(seed)  # short pieces are harder
    return [rng.exponential(1 + 4 / n_steps, size=(n_steps, 4)).round(3) for n_steps in lengths]

checker("8b.1", nats_per_token,
    draw=lambda rng: (_made_up_nats(rng.integers(1, 12, 3), rng),),
    tolerance=1e-9,
    fact="{outputs[0]} nats per token for the three pieces, whatever their lengths.",
    cases=[(_made_up_nats((2, 9, 5), seed=0),), (_made_up_nats((1, 12), seed=1),)],
    case_names=("three pieces of 2, 9 and 5 steps", "two pieces of 1 and 12 steps"), mistakes=[
    (lambda pieces: np.mean([nats.mean() for nats in pieces]),
     "You take the mean of each piece and then the mean of those: {found}. Then a short piece weighs as much as a long "
     "one. Take one mean over all tokens."),
    (lambda pieces: 4 * nats_per_token(pieces),
     "You divide by the number of steps: {found} is nats per frame, four tokens at once. Nats per token are a quarter "
     "of it. Both units are in print, so say which you mean."),
    (lambda pieces: _sum(pieces) / len(pieces),
     "You divide by the number of pieces. The score divides by the number of tokens."),
    (_sum, "You add up and do not divide: longer pieces would be worse models."),
    (lambda pieces: nats_per_token(pieces) / np.log(2),
     "You give bits per token. The benchmark counts in nats: leave ln 2 out."),
    (lambda pieces: _sum(pieces) / (len(pieces) * 4 * max(len(nats) for nats in pieces)),
     "You divide by the size of an array in which all pieces are as long as the longest: padding is counted, and the "
     "loss looks better than it is."),
    (lambda pieces: np.mean([nats[: min(len(nats) for nats in pieces)] for nats in pieces]),
     "You cut all pieces to the shortest. The score is that of whole pieces: no token is left out.")])


def scoring_windows(n_steps, context):
    found = [(0, 0, min(context, n_steps))]
    while found[-1][2] < n_steps:
        first = found[-1][2]
        found.append((first - context // 2, first, min(first + context // 2, n_steps)))
    return found

def _windows_drop_the_end(n_steps, context):
    starts = range(0, n_steps - context + 1, context // 2)
    return [(start, start + context // 2 if start else 0, start + context) for start in starts]

def _windows_pushed_back(n_steps, context):
    *before, last = scoring_windows(n_steps, context)
    return [*before, (n_steps - context, n_steps - context // 2, n_steps) if before else last]

def _windows_past_the_end(n_steps, context):
    found = scoring_windows(n_steps, context)
    return [(start, first, context if start == first else first + context // 2) for start, first, _ in found]

checker("8b.2", scoring_windows,
    draw=lambda rng: (int(rng.integers(1, 40)), 2 * int(rng.integers(1, 6))),
    fact="the windows of the first piece are {outputs[0]}; laid end to end, what they score is the piece.",
    cases=[(11, 4), (8, 4), (3, 4), (25, 10)], mistakes=[
    (lambda n, context: [(start, start, min(start + context, n)) for start in range(0, n, context)],
     "Your windows stand side by side. The first tokens of each are scored with an empty memory, as if a piece began "
     "there: the model is scored worse than it is."),
    (lambda n, context: [(start, start, stop) for start, _, stop in scoring_windows(n, context)],
     "Your windows score their history too: the tokens in the overlap count twice, and those at both ends once. Sum "
     "and number are both wrong, and the mean looks like a right one."),
    (_windows_drop_the_end,
     "You leave out what does not fill a window. Chorales end with held chords, which have a low loss; a piece shorter "
     "than the context is lost altogether."),
    (_windows_pushed_back,
     "You push the last window back until it is full. Then its steps count twice where it overlaps, and where it "
     "stands tells the model how long the piece is."),
    (lambda n, context: [(start, max(first, context // 2), stop) for start, first, stop in scoring_windows(n, context)],
     "You never score the beginning of the piece. It is hard, and it belongs to the piece: the first window scores "
     "from step 0."),
    (_windows_past_the_end, "Your last window runs past the end of the piece, so padding is scored. Stop at n_steps.")])


def joint_nats(note_nats, chord_nats):
    return float((note_nats.sum() + chord_nats.sum()) / note_nats.size)

checker("8b.3", joint_nats,
    draw=lambda rng: (rng.exponential(size=(n_steps := rng.integers(1, 5), 4)), rng.exponential(size=n_steps)),
    tolerance=1e-9,
    fact="{outputs[0]} nats per note. It is a bound: other chords could go with the same notes, so the notes alone "
         "have at most that loss.",
    cases=[(np.array([[0.1, 0.0, 0.2, 0.3], [0.4, 0.1, 0.0, 0.1]]), np.array([1.2, 0.4])),
           (np.full((3, 4), 0.25), np.array([2.0, 0.0, 0.7]))], mistakes=[
    (lambda notes, chords: notes.mean(),
     "You leave the chord out: {found} is the loss of the notes for someone who was told the chord, and the chord is "
     "made of the notes. Add the nats of the chords."),
    (lambda notes, chords: (notes.sum() + chords.sum()) / (notes.size + chords.size),
     "You divide by notes and chords together, five per step. A chord is not a note: divide all nats by the number of "
     "notes."),
    (lambda notes, chords: notes.mean() + chords.mean(),
     "You add a mean over steps to a mean over notes. A chord counts once for four notes: divide its nats by 4."),
    (lambda notes, chords: (notes.sum() + chords.sum()) / len(notes),
     "You divide by the number of steps: that is nats per frame. A step has four notes."),
    (lambda notes, chords: (notes.mean() + chords.mean()) / 2,
     "You take the mean of two means, as if there were as many chords as notes. Add.")])


def _mean(rows, name, part):
    return float(np.mean([row[part] for row in rows if row["model"] == name]))

def _chosen(rows, part="valid", choose=min):
    return choose((row["model"] for row in rows), key=lambda name: _mean(rows, name, part))

def report(rows):
    return _chosen(rows), _mean(rows, _chosen(rows), "test")

def _report_run(rows, part):
    best = min(rows, key=lambda row: row[part])
    return best["model"], best["test"]

def _runs(*values):
    return [{"model": name, "valid": valid, "test": test} for name, valid, test in values]

checker("8b.4", report,
    draw=lambda rng: (_runs(*((name, *rng.random(2).tolist()) for name in "aabbbc")),),
    tolerance=1e-9, fact="valid chose, and test, which chose nothing, is reported: {outputs[0]}.",
    cases=[(_runs(("a", 0.31, 0.37), ("a", 0.33, 0.35), ("b", 0.30, 0.41), ("b", 0.36, 0.36), ("c", 0.35, 0.34)),),
           (_runs(("x", 0.40, 0.42), ("x", 0.42, 0.44), ("y", 0.45, 0.41), ("y", 0.39, 0.40), ("z", 0.5, 0.45)),)],
    case_names=("three models with five runs", "three other models with five runs"), mistakes=[
    (lambda rows: (_chosen(rows, "test"), _mean(rows, _chosen(rows, "test"), "test")),
     "You choose on the test part. The best of several test scores is too good by luck, and nothing is left that could "
     "show it: choose on valid."),
    (lambda rows: _report_run(rows, "test"),
     "You report the single run that is best on test: chosen by what it is judged by, and without its other seeds."),
    (lambda rows: _report_run(rows, "valid"),
     "You choose the single best run. More seeds would then make any model look better. Take the mean over the seeds "
     "of each model first."),
    (lambda rows: (_chosen(rows), _mean(rows, _chosen(rows), "valid")),
     "You choose rightly, and report the number that chose it. It was picked for being low, so it flatters: report "
     "test beside it."),
    (lambda rows: (_chosen(rows), min(row["test"] for row in rows if row["model"] == _chosen(rows))),
     "You choose rightly, and then report its best seed on test. Report the mean of its seeds."),
    (lambda rows: (_chosen(rows, choose=max), _mean(rows, _chosen(rows, choose=max), "test")),
     "You choose the highest loss. These are nats: lower is better.")])


def _means(nats, n_tokens, drawn):
    return nats[drawn].sum(axis=1) / n_tokens[drawn].sum(axis=1)

def _ends(values, percentiles=(2.5, 97.5)):
    return np.percentile(values, percentiles)

def paired_range(first, second, n_tokens, drawn):
    return _ends(_means(first - second, n_tokens, drawn)).tolist()

def _range_not_paired(first, second, n_tokens, drawn):
    other = np.roll(drawn, 1, axis=0)
    return _ends(_means(first, n_tokens, drawn) - _means(second, n_tokens, other)).tolist()

def _range_of_ends(first, second, n_tokens, drawn):
    low, high = (_ends(_means(nats, n_tokens, drawn)) for nats in (first, second))
    return [low[0] - high[1], low[1] - high[0]]

def _range_of_differences(first, second, n_tokens, drawn):
    one, other = (_ends(_means(nats, n_tokens, drawn)) for nats in (first, second))
    return (one - other).tolist()

def _two_models(n_pieces, seed, n_draws=200):
    """Make up the sums of the nats of two models on the same pieces, the pieces' tokens, and some draws."""
    rng = np.random.default_rng(seed)
    n_tokens = 4 * rng.integers(40, 400, size=n_pieces)
    hardness = rng.uniform(0.2, 0.6, size=n_pieces) + 20 / n_tokens
    gap = rng.uniform(-0.05, 0.01, size=n_pieces)
    drawn = rng.integers(n_pieces, size=(n_draws, n_pieces))
    return (hardness + gap) * n_tokens, hardness * n_tokens, n_tokens, drawn

checker("8b.5", paired_range,
    draw=lambda rng: _two_models(int(rng.integers(3, 9)), rng, n_draws=9),
    tolerance=1e-9, case_names=("twelve pieces", "thirty pieces"),
    fact="the difference lies in {outputs[0]} nats per token for the twelve pieces; below 0 the first is better.",
    cases=[_two_models(12, seed=0), _two_models(30, seed=1)], mistakes=[
    (_range_not_paired,
     "You compare the first model on some pieces with the second on others. Then what makes a piece hard does not "
     "cancel, and the range is far too wide: use the same draw for both."),
    (_range_of_ends,
     "You make a range for each model and compare their ends. Two ranges that overlap say little about a difference "
     "that is measured piece by piece: subtract first."),
    (_range_of_differences,
     "You make a range for each model and subtract the ends. The range of a difference is not the difference of the "
     "ranges: subtract within each draw."),
    (lambda first, second, n_tokens, drawn: _ends((first - second) / n_tokens).tolist(),
     "You give the range in which single pieces lie, without drawing. Asked is how far their *mean* could be off."),
    (lambda first, second, n_tokens, drawn: _ends(((first - second) / n_tokens)[drawn].mean(axis=1)).tolist(),
     "In your draws a short piece weighs as much as a long one. Divide the sum of the nats by the sum of the tokens, "
     "in each draw."),
    (lambda first, second, n_tokens, drawn: paired_range(second, first, n_tokens, drawn),
     "You give the second less the first: the sign is turned round."),
    (lambda first, second, n_tokens, drawn: _ends(_means(first - second, n_tokens, drawn), (5, 95)).tolist(),
     "You leave out 5 of 100 at each end; 95 in the middle leave 2.5 at each.")])


def seconds_to(seconds, valid, mark):
    reached = np.flatnonzero(valid <= mark)
    return float(seconds[reached[0]]) if len(reached) else None

checker("8b.6", seconds_to,
    draw=lambda rng: (np.cumsum(rng.uniform(10, 60, 5)), rng.uniform(0.3, 1, 5).round(1), rng.integers(3, 10) / 10),
    fact="{outputs[0]} seconds for the first run, and the third never gets there.",
    cases=[(np.array([0.0, 60.0, 120.0, 180.0, 240.0]), np.array([3.85, 0.5, 0.41, 0.38, 0.405]), 0.42),
           (np.array([0.0, 100.0, 200.0, 300.0]), np.array([3.9, 0.425, 0.37, 0.36]), 0.42),
           (np.array([0.0, 50.0, 90.0]), np.array([3.85, 0.7, 0.45]), 0.42)], mistakes=[
    (lambda seconds, valid, mark: seconds[np.argmax(valid <= mark)],
     "For a run that never gets there you give {found}: argmax of a row without a True is 0, so the worst run would be "
     "the fastest."),
    (lambda seconds, valid, mark: seconds_to(seconds, valid, mark) if valid.min() <= mark else seconds[-1],
     "For a run that never gets there you give its whole length. It did not get there: say None."),
    (lambda seconds, valid, mark: seconds[valid.argmin()] if valid.min() <= mark else None,
     "You give the time of the lowest loss; give that of the first loss that is low enough."),
    (lambda seconds, valid, mark: seconds[np.abs(valid - mark).argmin()] if valid.min() <= mark else None,
     "You take the report nearest to `mark`, also from above: the loss must be `mark` or lower."),
    (lambda seconds, valid, mark: seconds_to(seconds[::-1], valid[::-1], mark),
     "You give the last report below `mark`; give the first."),
    (lambda seconds, valid, mark: seconds_to(np.arange(len(seconds)), valid, mark),
     "You give the number of the report; its time is `seconds` at that place.")])
