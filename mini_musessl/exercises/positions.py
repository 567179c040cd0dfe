"""Checkers of the exercises of notebook 5b; tasks, hints and solutions stand there. Chapter: 5b."""

import numpy as np

from mini_musessl.exercises.checking import checker

# A mistake is one row of a table; the formatter would make four or five lines of it.
# fmt: off


def clocks(position, d_model):
    angles = position * 10_000.0 ** (-np.arange(0, d_model, 2) / d_model)
    return np.stack((np.sin(angles), np.cos(angles)), axis=-1).ravel()

def _clocks_all_different(position, d_model):
    angles = position * 10_000.0 ** (-np.arange(d_model) / d_model)
    return np.where(np.arange(d_model) % 2, np.cos(angles), np.sin(angles))

checker("5b.1", clocks,
    draw=lambda rng: (int(rng.integers(0, 50)), 2 * int(rng.integers(1, 6))),
    tolerance=1e-9, cases=[(0, 4), (1, 4), (7, 6)],
    fact="at position 0 every sine is 0 and every cosine 1.", mistakes=[
    (lambda s, d: clocks(s, d).reshape(-1, 2).T.ravel(),
     "Your sines all stand before your cosines; they should take turns."),
    (lambda s, d: clocks(s, d).reshape(-1, 2)[:, ::-1].ravel(), "You begin with the cosine; the sine comes first."),
    (lambda s, d: clocks(s, 2 * d)[:d],
     "Your exponent is i / d; it should be 2i / d, so that the last clock is about 10,000 times as slow as the first."),
    (_clocks_all_different,
     "Each feature has a speed of its own; a sine and its cosine belong to one clock and share it.")])


def distances(n_queries, n_keys):
    return np.arange(n_keys) - np.arange(n_keys - n_queries, n_keys)[:, None]

checker("5b.2", distances,
    draw=lambda rng: (n := int(rng.integers(1, 6)), n + int(rng.integers(0, 4))),
    cases=[(3, 3), (2, 5)],
    fact="each row is the one above it, moved by one: a table of distances is constant along its diagonals.", mistakes=[
    (lambda n, m: np.arange(m) - np.arange(n)[:, None],
     "Right for as many queries as keys. For {input} the first query stands at key 3: its last column is 1, not 4."),
    (lambda n, m: -distances(n, m), "The sign is turned: what lies behind should be negative."),
    (lambda n, m: np.abs(distances(n, m)),
     "One step ahead and one step back are both 1 in your table; relative positions tell them apart."),
    (lambda n, m: distances(n, m).T, "Your rows are keys; they should be queries.")])


def skewed(table):
    n = len(table)
    padded = np.pad(table, ((0, 0), (1, 0)))
    return padded.ravel()[n:].reshape(n, n)

checker("5b.3", skewed,
    draw=lambda rng: (rng.integers(1, 50, (n := rng.integers(1, 6), n)),),
    cases=[(np.arange(1, 10).reshape(3, 3),), (np.arange(1, 5).reshape(2, 2),)],
    fact="below the diagonal every number stands at its key; above it stands what was left over, and the causal mask "
         "hides it.", mistakes=[
    (lambda t: np.pad(t, ((0, 0), (0, 1))).ravel()[len(t):].reshape(t.shape),
     "Your zeros stand behind the table: then every row moves one place too far. Put them in front."),
    (lambda t: np.pad(t, ((0, 0), (1, 0))).ravel()[:-len(t)].reshape(t.shape),
     "You drop the last numbers; drop the first n, and the last row stays as it is."),
    (lambda t: t, "Your columns are still distances: row 0 should begin with its distance 0."),
    (lambda t: np.roll(t, 1, axis=1), "You move every row by one place; row i must move by n - 1 - i.")])


def turned(features, angles):
    first, second = np.split(features, 2, axis=-1)
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate((first * cos - second * sin, first * sin + second * cos), axis=-1)

def _turned_neighbours(features, angles):
    halves = turned(np.hstack((features[:, 0::2], features[:, 1::2])), angles)
    return np.stack(np.split(halves, 2, axis=-1), axis=-1).reshape(features.shape)

def _turned_one_sign(features, angles):
    half = features.shape[-1] // 2
    return np.hstack((turned(features, -angles)[:, :half], turned(features, angles)[:, half:]))

def _turned_in_place(features, angles):
    first, second = np.split(features, 2, axis=-1)
    first = first * np.cos(angles) - second * np.sin(angles)
    return np.hstack((first, first * np.sin(angles) + second * np.cos(angles)))

checker("5b.4", turned,
    draw=lambda rng: (rng.normal(size=(3, 2 * (n_pairs := rng.integers(1, 4)))), rng.normal(size=(3, n_pairs))),
    tolerance=1e-9,
    cases=[(np.array([[1.0, 0.0, 0.0, 2.0]]), np.array([[np.pi / 2, np.pi / 6]])),
           (np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]), np.array([[0.0, 0.5], [1.0, 1.5]]))],
    fact="lengths stay, so turning adds no strength to any query.", mistakes=[
    (lambda features, angles: turned(features, -angles),
     "You turn the other way: the minus belongs to the first half."),
    (_turned_neighbours,
     "You pair neighbours; here feature i goes with feature i + d/2. Both ways work, but a network must keep to one."),
    (_turned_one_sign, "One of the two products is subtracted: turning must not change a length."),
    (_turned_in_place, "You turn the first half and then use it, already turned, for the second: keep the old one.")])


def longest_naive(n_bytes, d_model):
    return int(np.sqrt(n_bytes / (4 * d_model)))

checker("5b.5", longest_naive,
    draw=lambda rng: (int(rng.integers(1, 10**6)), int(rng.integers(1, 64))),
    cases=[(8 * 2**30, 512), (2**30, 256), (1000, 2), (1100, 2)],
    fact="8 GiB hold {outputs[0]} positions at width 512, the example of Huang et al. (2019).", mistakes=[
    (lambda n_bytes, d: int(np.sqrt(n_bytes / d)), "You take a number for a byte: a float32 has four."),
    (lambda n_bytes, d: n_bytes // (4 * d),
     "That is one vector per position, which is what skewing needs. Naive holds one per pair: take the root."),
    (lambda n_bytes, d: int(np.sqrt(n_bytes / 4)),
     "You count one number per pair; naive holds a vector of d_model numbers."),
    (lambda n_bytes, d: round(np.sqrt(n_bytes / (4 * d))),
     "You round to the nearest: for {input} you give {found}, one position too many. Round down."),
    (lambda n_bytes, d: int(np.ceil(np.sqrt(n_bytes / (4 * d)))), "You round up: for {input} one position too many.")])
