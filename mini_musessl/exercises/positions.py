"""Exercises of notebook 5b: clocks, distances, skewing, rotation, and how far the memory reaches.

Chapter: 5b (positions).
"""

from __future__ import annotations

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def clocks(position: int, d_model: int) -> np.ndarray:
    """Return the sinusoidal features of one position.

    Args:
        position: from 0.
        d_model: an even number of features.

    Returns:
        float (d_model,): sine and cosine in turn; pair i turns by 10,000 to the power of -2i / d_model a position.

    Chapter: 5b.
    """
    angles = position * 10_000.0 ** (-np.arange(0, d_model, 2) / d_model)
    return np.stack((np.sin(angles), np.cos(angles)), axis=-1).ravel()


def _clocks_in_halves(position: int, d_model: int) -> np.ndarray:
    """Mistake: all sines first."""
    angles = position * 10_000.0 ** (-np.arange(0, d_model, 2) / d_model)
    return np.concatenate((np.sin(angles), np.cos(angles)))


def _clocks_cosine_first(position: int, d_model: int) -> np.ndarray:
    """Mistake: cosine before sine."""
    angles = position * 10_000.0 ** (-np.arange(0, d_model, 2) / d_model)
    return np.stack((np.cos(angles), np.sin(angles)), axis=-1).ravel()


def _clocks_half_as_far(position: int, d_model: int) -> np.ndarray:
    """Mistake: the exponent -i / d_model."""
    angles = position * 10_000.0 ** (-np.arange(d_model // 2) / d_model)
    return np.stack((np.sin(angles), np.cos(angles)), axis=-1).ravel()


def _clocks_all_different(position: int, d_model: int) -> np.ndarray:
    """Mistake: a speed of its own for each feature."""
    angles = position * 10_000.0 ** (-np.arange(d_model) / d_model)
    return np.where(np.arange(d_model) % 2, np.cos(angles), np.sin(angles))


def distances(n_queries: int, n_keys: int) -> np.ndarray:
    """Return how far each key stands from each query, when the last query stands at the last key.

    Args:
        n_queries: positions that look.
        n_keys: positions that are looked at, at least as many.

    Returns:
        int (n_queries, n_keys), key minus query: negative behind, 0 here, positive ahead.

    Chapter: 5b.
    """
    return np.arange(n_keys) - np.arange(n_keys - n_queries, n_keys)[:, None]


def _distances_from_the_start(n_queries: int, n_keys: int) -> np.ndarray:
    """Mistake: let the first query stand at the first key."""
    return np.arange(n_keys) - np.arange(n_queries)[:, None]


def _distances_turned(n_queries: int, n_keys: int) -> np.ndarray:
    """Mistake: query minus key."""
    return -distances(n_queries, n_keys)


def _distances_absolute(n_queries: int, n_keys: int) -> np.ndarray:
    """Mistake: forget the direction."""
    return np.abs(distances(n_queries, n_keys))


def _distances_transposed(n_queries: int, n_keys: int) -> np.ndarray:
    """Mistake: one row a key."""
    return distances(n_queries, n_keys).T


def skewed(table: np.ndarray) -> np.ndarray:
    """Move columns from distances to keys, without a loop.

    Args:
        table: (n, n); column c of row i belongs to the distance c - (n - 1).

    Returns:
        (n, n); column j of row i belongs to key j, for j up to i; what stands to the right of it is left over.

    Chapter: 5b.
    """
    n = len(table)
    padded = np.pad(table, ((0, 0), (1, 0)))
    return padded.ravel()[n:].reshape(n, n)


def _skewed_padded_behind(table: np.ndarray) -> np.ndarray:
    """Mistake: put the column of zeros behind the table."""
    n = len(table)
    return np.pad(table, ((0, 0), (0, 1))).ravel()[n:].reshape(n, n)


def _skewed_cut_behind(table: np.ndarray) -> np.ndarray:
    """Mistake: drop the last numbers instead of the first."""
    n = len(table)
    return np.pad(table, ((0, 0), (1, 0))).ravel()[:-n].reshape(n, n)


def _skewed_not(table: np.ndarray) -> np.ndarray:
    """Mistake: take distances for keys."""
    return table.copy()


def _skewed_all_alike(table: np.ndarray) -> np.ndarray:
    """Mistake: move every row by the same number of places."""
    return np.roll(table, 1, axis=1)


def turned(features: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Turn each pair of features by its angle; feature i is paired with feature i + d / 2.

    Args:
        features: float (time, d), d even.
        angles: float (time, d / 2), in radians.

    Returns:
        float (time, d).

    Chapter: 5b.
    """
    first, second = np.split(features, 2, axis=-1)
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate((first * cos - second * sin, first * sin + second * cos), axis=-1)


def _turned_back(features: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Mistake: turn the other way."""
    return turned(features, -angles)


def _turned_neighbours(features: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Mistake: pair features 2i and 2i + 1."""
    first, second = features[:, 0::2], features[:, 1::2]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack((first * cos - second * sin, first * sin + second * cos), axis=-1).reshape(features.shape)


def _turned_one_sign(features: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Mistake: add in both halves."""
    first, second = np.split(features, 2, axis=-1)
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate((first * cos + second * sin, first * sin + second * cos), axis=-1)


def _turned_in_place(features: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Mistake: use the turned first half for the second."""
    first, second = np.split(features, 2, axis=-1)
    cos, sin = np.cos(angles), np.sin(angles)
    first = first * cos - second * sin
    return np.concatenate((first, first * sin + second * cos), axis=-1)


def longest_naive(n_bytes: int, d_model: int) -> int:
    """Return how many positions the naive way can hold: one vector a pair of positions, 4 bytes a number.

    Args:
        n_bytes: memory that is free.
        d_model: numbers in the vectors of all heads together.

    Returns:
        The largest T for which T * T * d_model numbers fit.

    Chapter: 5b.
    """
    return int(np.sqrt(n_bytes / (4 * d_model)))


def _longest_in_numbers(n_bytes: int, d_model: int) -> int:
    """Mistake: take a number for a byte."""
    return int(np.sqrt(n_bytes / d_model))


def _longest_skewed(n_bytes: int, d_model: int) -> int:
    """Mistake: count one vector a position."""
    return n_bytes // (4 * d_model)


def _longest_scores(n_bytes: int, d_model: int) -> int:
    """Mistake: count one number a pair."""
    return int(np.sqrt(n_bytes / 4))


def _longest_rounded(n_bytes: int, d_model: int) -> int:
    """Mistake: round up."""
    return int(np.ceil(np.sqrt(n_bytes / (4 * d_model))))


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="5b.1",
        title="Clocks",
        minutes=10,
        task=(
            "Write `clocks(position, d_model)`: the sinusoidal features of one position as an array of `d_model` "
            "numbers. Feature $2i$ is $\\sin(\\omega_i s)$ and feature $2i+1$ is $\\cos(\\omega_i s)$, at position "
            "$s$, with $\\omega_i = 10000^{-2i/d}$."
        ),
        hint="Make the angles of all pairs first. `np.stack(..., axis=-1).ravel()` puts two arrays in turn.",
        cases=lambda: ((0, 4), (1, 4), (7, 6)),
        solution=clocks,
        mistakes=(
            Mistake(_clocks_in_halves, "Your sines all stand before your cosines; they should take turns."),
            Mistake(_clocks_cosine_first, "You begin with the cosine; the sine comes first."),
            Mistake(
                _clocks_half_as_far,
                (
                    "Your exponent is i / d; it should be 2i / d, so that the last clock is about 10,000 times "
                    "as slow as the first."
                ),
            ),
            Mistake(
                _clocks_all_different,
                ("Each feature has a speed of its own; a sine and its cosine belong to one clock and share it."),
            ),
        ),
        fact="at position 0 every sine is 0 and every cosine 1.",
        tolerance=1e-9,
    ),
    Exercise(
        id="5b.2",
        title="How far is it?",
        minutes=5,
        task=(
            "Write `distances(n_queries, n_keys)`: a table of whole numbers, one row a query, that says how far "
            "each key stands from the query: key minus query. The last query stands at the last key."
        ),
        hint="With a cache there are more keys than queries. Where does the first query stand?",
        cases=lambda: ((3, 3), (2, 5)),
        solution=distances,
        mistakes=(
            Mistake(
                _distances_from_the_start,
                (
                    "Right for as many queries as keys. For {input} the first query stands at key 3: its last "
                    "column is 1, not 4."
                ),
            ),
            Mistake(_distances_turned, "The sign is turned: what lies behind should be negative."),
            Mistake(
                _distances_absolute,
                ("One step ahead and one step back are both 1 in your table; relative positions tell them apart."),
            ),
            Mistake(_distances_transposed, "You have one row a key; there should be one row a query."),
        ),
        fact="each row is the one above it, moved by one: a table of distances is constant along its diagonals.",
    ),
    Exercise(
        id="5b.3",
        title="Skew",
        minutes=15,
        task=(
            "Write `skewed(table)` in NumPy, without a loop. `table` is square; column `c` of row `i` belongs to "
            "the distance $c - (n-1)$. Put a column of zeros in front, read the numbers again from the `n`-th on, "
            "in rows of `n`."
        ),
        hint="`np.pad(table, ((0, 0), (1, 0)))`, then `ravel`.",
        cases=lambda: ((np.arange(1, 10).reshape(3, 3),), (np.arange(1, 5).reshape(2, 2),)),
        solution=skewed,
        mistakes=(
            Mistake(
                _skewed_padded_behind,
                ("Your zeros stand behind the table: then every row moves one place too far. Put them in front."),
            ),
            Mistake(
                _skewed_cut_behind,
                ("You drop the last numbers; drop the first n, and the last row stays as it is."),
            ),
            Mistake(_skewed_not, "Your columns are still distances: row 0 should begin with its distance 0."),
            Mistake(_skewed_all_alike, "You move every row by one place; row i must move by n - 1 - i."),
        ),
        fact=(
            "below the diagonal every number stands at its key; above it stands what was left over, and the "
            "causal rule hides it."
        ),
    ),
    Exercise(
        id="5b.4",
        title="Turn",
        minutes=10,
        task=(
            "Write `turned(features, angles)`: turn each pair of features by its angle. `features` is `(time, d)`, "
            "`angles` is `(time, d/2)`; feature `i` is paired with feature `i + d/2`."
        ),
        hint=(
            "$(x, y)$ turned by $\\varphi$ is $(x\\cos\\varphi - y\\sin\\varphi,\\; x\\sin\\varphi + y\\cos\\varphi)$."
        ),
        cases=lambda: (
            (np.array([[1.0, 0.0, 0.0, 2.0]]), np.array([[np.pi / 2, np.pi / 6]])),
            (np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]), np.array([[0.0, 0.5], [1.0, 1.5]])),
        ),
        solution=turned,
        mistakes=(
            Mistake(_turned_back, "You turn the other way: the minus belongs to the first half."),
            Mistake(
                _turned_neighbours,
                (
                    "You pair neighbours; here feature i goes with feature i + d/2. Both ways work, but a "
                    "network must keep to one."
                ),
            ),
            Mistake(_turned_one_sign, "One of the two products is subtracted: turning must not change a length."),
            Mistake(
                _turned_in_place,
                ("You turn the first half and then use it, already turned, for the second: keep the old one."),
            ),
        ),
        fact="lengths stay, so turning adds no strength to any query.",
        tolerance=1e-9,
    ),
    Exercise(
        id="5b.5",
        title="When does naive give up?",
        minutes=5,
        task=(
            "Write `longest_naive(n_bytes, d_model)`: the naive way holds one vector for each *pair* of positions; "
            "the vectors of all heads together have `d_model` numbers of 4 bytes. Return the largest whole number "
            "of positions whose vectors fit into `n_bytes`."
        ),
        hint="Solve $4\\,T^2 d \\le$ bytes for $T$.",
        cases=lambda: ((8 * 2**30, 512), (2**30, 256), (1000, 2)),
        solution=longest_naive,
        mistakes=(
            Mistake(_longest_in_numbers, "You take a number for a byte: a float32 has four."),
            Mistake(
                _longest_skewed,
                ("That is one vector a position, which is what skewing needs. Naive holds one a pair: take the root."),
            ),
            Mistake(_longest_scores, "You count one number a pair; naive holds a vector of d_model numbers."),
            Mistake(_longest_rounded, "You round up: for {input} one position too many."),
        ),
        fact="8 GiB hold {outputs[0]} positions at width 512, the example of Huang et al. (2019).",
    ),
)
