"""Checkers of the exercises of notebook 3b; tasks, hints and solutions stand there. Chapter: 3b."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def first_ids(sizes):
    return np.cumsum(sizes) - sizes

checker("3b.1", first_ids,
    draw=lambda rng: (rng.integers(1, 50, rng.integers(1, 6)),),
    cases=[(np.array([1, 46, 1]),), (np.array([3, 2, 4, 5]),)],
    fact="1 rest, 46 pitches and 1 hold begin at {outputs[0]}.", mistakes=[
    (np.cumsum, "You give the id behind the last of each family: that is where the next one begins."),
    (lambda sizes: first_ids(sizes - 1),
     "Your families overlap: each begins on the last id of the one before, so one id means two tokens."),
    (np.zeros_like, "Your families overlap: all begin at 0, so id 0 means a token of every family."),
    (lambda sizes: first_ids(sizes) + 1,
     "You count from 1: the first id is 0, and the last would be outside the table.")])


def time_shifts(onset_step):
    return np.diff(onset_step, prepend=0)

checker("3b.2", time_shifts,
    draw=lambda rng: (np.sort(rng.integers(0, 30, rng.integers(1, 7))),),
    cases=[(np.array([2, 4, 4, 7]),), (np.array([0, 6]),), (np.array([5]),)],
    fact="their running sum gives the onsets back.", mistakes=[
    (np.copy, "You give the onsets themselves; a shift is the time since the onset before."),
    (np.diff, "The first shift is missing: the music may begin with silence, and decoding would lose it."),
    (lambda onset: np.diff(onset, prepend=onset[:1]),
     "Your clock starts at the first note: the silence before it is lost. Start at step 0."),
    (lambda onset: np.diff(onset, append=onset[-1:]),
     "You give the time after each onset; the shift is written before its note.")])


def position_in_bar(onset_step, bar_step, upbeat_step):
    return (onset_step - upbeat_step) % bar_step

checker("3b.3", position_in_bar,
    draw=lambda rng: (rng.integers(0, 60, 5), int(rng.choice([8, 12, 16])), int(rng.integers(0, 8))),
    cases=[(np.array([0, 2, 4, 10, 20, 35]), 16, 4), (np.array([0, 5, 13]), 12, 0), (np.array([0, 3, 30]), 12, 3)],
    fact="an upbeat of four sixteenths begins at position 12 of a bar of sixteen.", mistakes=[
    (lambda onset, bar, upbeat: onset % bar,
     "You count bars from step 0 and forget the upbeat: step `upbeat_step` is the first bar line, position 0."),
    (lambda onset, bar, upbeat: (onset - upbeat) // bar,
     "You divide: that numbers the bars. The position is the remainder."),
    (lambda onset, bar, upbeat: (onset + upbeat) % bar,
     "You move the bar line the wrong way: it lies `upbeat_step` steps after the start, so take that off."),
    (lambda onset, bar, upbeat: onset - upbeat,
     "You count on from the first bar line; at every bar line the count starts again.")])


def nearest_bin(velocity, values):
    return np.abs(velocity[:, None] - values).argmin(axis=1)

checker("3b.4", nearest_bin,
    draw=lambda rng: (rng.integers(1, 128, 6), np.sort(rng.choice(range(1, 128), 4, replace=False))),
    cases=[(np.array([1, 17, 30, 32, 40, 41, 127]), np.array([16, 32, 48, 64, 127])),
           (np.array([64, 96, 120]), np.array([64, 127]))],
    fact="no velocity moves further than half the distance between two values, or than the edge of the list.",
    mistakes=[
    (lambda velocity, values: np.searchsorted(values, velocity, side="left").clip(max=len(values) - 1),
     "You round up: 17 is nearer to 16 than to 32."),
    (lambda velocity, values: (np.searchsorted(values, velocity, side="right") - 1).clip(min=0),
     "You round down: 30 is nearer to 32 than to 16."),
    (lambda velocity, values: nearest_bin(velocity, values) + 1, "You count bins from 1; an index counts from 0."),
    (lambda velocity, values: values[nearest_bin(velocity, values)],
     "You give the velocities; the token needs their index in the list.")])


def with_holds(pitch, is_onset):
    return np.where((pitch != -1) & ~is_onset, -2, pitch)

def _voice(rng):
    pitch = np.repeat(rng.choice([-1, 60, 62, 64], 4), rng.integers(1, 4, 4))
    is_new = (np.diff(pitch, prepend=-1) != 0) | (rng.random(len(pitch)) < 0.3)
    return pitch, is_new & (pitch != -1)

checker("3b.5", with_holds, draw=_voice,
    cases=[(np.array([60, 60, 60, -1, -1, 62]), np.array([True, False, True, False, False, True])),
           (np.array([-1, 67, 67, 65]), np.array([False, True, False, True]))],
    fact="a repeated note and a long one differ now: {outputs[0]}.", mistakes=[
    (lambda pitch, is_onset: np.where(is_onset, pitch, -2),
     "You hold in a rest: nothing sounds there that could be held. Keep -1."),
    (lambda pitch, is_onset: np.where((np.diff(pitch, prepend=-1) == 0) & (pitch != -1), -2, pitch),
     "A note that is struck again has become a hold: ask `is_onset`, not whether the pitch is the same."),
    (lambda pitch, is_onset: np.where(np.diff(pitch, prepend=-2) == 0, -2, pitch),
     "You hold whatever repeats: the second rest is still a rest, and a note struck again is no hold."),
    (lambda pitch, is_onset: np.where(is_onset, -2, pitch),
     "You hold where a note is struck and write the pitch where it is held: turn it round.")])


def bits_per_quarter(counts, n_quarters):
    return float(-(counts * np.log2(counts / counts.sum())).sum() / n_quarters)

checker("3b.6", bits_per_quarter,
    draw=lambda rng: (rng.integers(1, 9, 4), float(rng.integers(1, 17))),
    tolerance=1e-9,
    cases=[(np.array([2, 1, 1]), 2.0), (np.array([7, 3, 5, 1]), 4.0), (np.array([4, 4]), 16.0)],
    fact="four tokens with the counts 2, 1, 1 cost 6 bits, which is {outputs[0]} per quarter for two quarters.",
    mistakes=[
    (lambda counts, quarters: -(counts * np.log(counts / counts.sum())).sum() / quarters,
     "You use the natural logarithm: that gives nats, 0.693 of a bit each. Bits need `np.log2`."),
    (lambda counts, quarters: bits_per_quarter(counts, counts.sum()),
     "You give bits per token: a tokenizer that writes ten tokens where another writes one would look better than it "
     "is. Divide by the quarters."),
    (lambda counts, quarters: bits_per_quarter(counts, 1),
     "You give the bits of the whole piece; divide them by its quarters."),
    (lambda counts, quarters: counts.sum() * np.log2(len(counts)) / quarters,
     "You give every token the same probability; frequent ones need fewer bits."),
    (lambda counts, quarters: -np.log2(counts / counts.sum()).sum() / quarters,
     "You count each kind of token once; count it each time that it occurs."),
    (lambda counts, quarters: -bits_per_quarter(counts, quarters),
     "The sign is missing: the logarithm of a probability is negative, a number of bits is not.")])
