"""Exercises of notebook 5c: norms, weights counted, a head's habits, a rule that forbids a distance, the cache's gain.

Chapter: 5c (MusicTransformer).
"""

from __future__ import annotations

import numpy as np

from mini_musessl.exercises.checking import Exercise, Mistake


def normalised(features: np.ndarray) -> np.ndarray:
    """Bring the features of each position to mean 0 and spread 1.

    Args:
        features: float (time, d_model).

    Returns:
        float (time, d_model): minus the mean, divided by the root of (variance + 1e-5), position by position.

    Chapter: 5c.
    """
    centred = features - features.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(centred.var(axis=-1, keepdims=True) + 1e-5)


def _normalised_over_time(features: np.ndarray) -> np.ndarray:
    """Mistake: take mean and variance of each feature over all positions."""
    centred = features - features.mean(axis=0, keepdims=True)
    return centred / np.sqrt(centred.var(axis=0, keepdims=True) + 1e-5)


def _normalised_over_all(features: np.ndarray) -> np.ndarray:
    """Mistake: one mean and one variance for everything."""
    centred = features - features.mean()
    return centred / np.sqrt(centred.var() + 1e-5)


def _normalised_without_root(features: np.ndarray) -> np.ndarray:
    """Mistake: divide by the variance."""
    centred = features - features.mean(axis=-1, keepdims=True)
    return centred / (centred.var(axis=-1, keepdims=True) + 1e-5)


def _normalised_from_a_sample(features: np.ndarray) -> np.ndarray:
    """Mistake: divide the squares by d - 1."""
    centred = features - features.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(centred.var(axis=-1, keepdims=True, ddof=1) + 1e-5)


def _normalised_not_centred(features: np.ndarray) -> np.ndarray:
    """Mistake: leave the mean in (a norm of its own, RMSNorm)."""
    return features / np.sqrt((features**2).mean(axis=-1, keepdims=True) + 1e-5)


def n_block_weights(d_model: int, n_heads: int, d_feedforward: int) -> int:
    """Count the weights of one block, without biases.

    Args:
        d_model: width of the features.
        n_heads: attention heads.
        d_feedforward: width inside the feed-forward network.

    Returns:
        How many numbers training can change: two norms of d_model, four maps of attention, two of the feed-forward net.

    Chapter: 5c.
    """
    return 2 * d_model + 4 * d_model**2 + 2 * d_model * d_feedforward


def _block_weights_without_output(d_model: int, n_heads: int, d_feedforward: int) -> int:
    """Mistake: forget the map from the joined heads back."""
    return 2 * d_model + 3 * d_model**2 + 2 * d_model * d_feedforward


def _block_weights_times_heads(d_model: int, n_heads: int, d_feedforward: int) -> int:
    """Mistake: give each head maps of full width."""
    return 2 * d_model + 4 * n_heads * d_model**2 + 2 * d_model * d_feedforward


def _block_weights_without_norms(d_model: int, n_heads: int, d_feedforward: int) -> int:
    """Mistake: forget the norms."""
    return 4 * d_model**2 + 2 * d_model * d_feedforward


def _block_weights_with_biases(d_model: int, n_heads: int, d_feedforward: int) -> int:
    """Mistake: count biases."""
    return n_block_weights(d_model, n_heads, d_feedforward) + 2 * d_model + 4 * d_model + d_feedforward + d_model


def mean_weight(weights: np.ndarray, distance: int) -> float:
    """Return how much a head looks a fixed distance back, on average.

    Args:
        weights: float (time, time), one row a position that looks.
        distance: how far back, 0 for the position itself.

    Returns:
        The mean over all positions that have a place so far behind them.

    Chapter: 5c.
    """
    return float(np.diagonal(weights, -distance).mean())


def _mean_weight_ahead(weights: np.ndarray, distance: int) -> float:
    """Mistake: look ahead."""
    return float(np.diagonal(weights, distance).mean())


def _mean_weight_of_all(weights: np.ndarray, distance: int) -> float:
    """Mistake: divide by all positions."""
    return float(np.diagonal(weights, -distance).sum() / len(weights))


def _sum_of_weights(weights: np.ndarray, distance: int) -> float:
    """Mistake: take the sum."""
    return float(np.diagonal(weights, -distance).sum())


def _mean_column(weights: np.ndarray, distance: int) -> float:
    """Mistake: take the distance for a place."""
    return float(weights[:, distance].mean())


def forbid(n: int, distance: int) -> np.ndarray:
    """Return a causal rule in which nobody may look exactly a given distance back.

    Args:
        n: positions.
        distance: the forbidden distance, at least 1.

    Returns:
        bool (n, n), True where a position may look.

    Chapter: 5c.
    """
    back = np.arange(n)[:, None] - np.arange(n)
    return (back >= 0) & (back != distance)


def _forbid_ahead(n: int, distance: int) -> np.ndarray:
    """Mistake: forbid the distance without the causal rule."""
    return np.arange(n)[:, None] - np.arange(n) != distance


def _forbid_all_beyond(n: int, distance: int) -> np.ndarray:
    """Mistake: forbid that distance and all that lies further back."""
    back = np.arange(n)[:, None] - np.arange(n)
    return (back >= 0) & (back < distance)


def _forbid_the_others(n: int, distance: int) -> np.ndarray:
    """Mistake: allow that distance alone."""
    return np.arange(n)[:, None] - np.arange(n) == distance


def _forbid_a_column(n: int, distance: int) -> np.ndarray:
    """Mistake: forbid a place instead of a distance."""
    back = np.arange(n)[:, None] - np.arange(n)
    return (back >= 0) & (np.arange(n) != distance)


def n_positions_read(n_prompt: int, n_new: int, has_cache: bool) -> int:
    """Count how many positions a network works on to write some tokens.

    Args:
        n_prompt: tokens given, at least 1, all read in the first call.
        n_new: tokens to write, at least 1; the last one is not read again.
        has_cache: whether keys and values of what was read are kept.

    Returns:
        Positions, summed over all calls.

    Chapter: 5c.
    """
    if has_cache:
        return n_prompt + n_new - 1
    return sum(range(n_prompt, n_prompt + n_new))


def _read_one_too_many(n_prompt: int, n_new: int, has_cache: bool) -> int:
    """Mistake: read the last written token too."""
    return n_positions_read(n_prompt, n_new + 1, has_cache)


def _read_only_new(n_prompt: int, n_new: int, has_cache: bool) -> int:
    """Mistake: forget the prompt."""
    return n_new if has_cache else sum(range(n_prompt, n_prompt + n_new))


def _read_as_if_cached(n_prompt: int, n_new: int, has_cache: bool) -> int:
    """Mistake: count each position once in both cases."""
    return n_prompt + n_new - 1


def _read_at_full_length(n_prompt: int, n_new: int, has_cache: bool) -> int:
    """Mistake: take each call for one of the final length."""
    return n_prompt + n_new - 1 if has_cache else n_new * (n_prompt + n_new - 1)


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        id="5c.1",
        title="Normalise",
        minutes=10,
        task=(
            "Write `normalised(features)` for an array `(time, d_model)`: each position gets mean 0 and spread 1 "
            "over its features. Divide by the root of (variance + 1e-5), so that a position of equal features "
            "becomes 0."
        ),
        hint="`keepdims=True` lets a mean be subtracted from its own row.",
        cases=lambda: ((np.array([[1.0, 2.0, 6.0], [10.0, 20.0, 60.0]]),), (np.array([[4.0, 4.0], [1.0, 3.0]]),)),
        solution=normalised,
        mistakes=(
            Mistake(
                _normalised_over_time,
                (
                    "You normalise each feature over all positions: then each position knows about the others, "
                    "those of the future too. Take the last axis."
                ),
            ),
            Mistake(
                _normalised_over_all,
                ("You take one mean and one spread for everything; each position has its own."),
            ),
            Mistake(_normalised_without_root, "You divide by the variance; the spread is its root."),
            Mistake(_normalised_from_a_sample, "You divide the squares by d - 1; a norm divides by d."),
            Mistake(
                _normalised_not_centred,
                ("The mean is still in. (Without centring this is RMSNorm, a good norm, but another one.)"),
            ),
        ),
        fact="the second row, ten times the first, became the same.",
        tolerance=1e-6,
    ),
    Exercise(
        id="5c.2",
        title="Count the weights",
        minutes=10,
        task=(
            "Write `n_block_weights(d_model, n_heads, d_feedforward)`: how many weights has one block of this "
            "notebook? No layer has a bias; each of the two norms has one factor a feature."
        ),
        hint="Attention has maps to queries, keys and values, and one back. Heads are slices.",
        cases=lambda: ((96, 4, 256), (12, 3, 20)),
        solution=n_block_weights,
        mistakes=(
            Mistake(
                _block_weights_without_output,
                ("One map is missing: the joined heads pass through a last one, back into the features."),
            ),
            Mistake(_block_weights_times_heads, "Heads are slices of the same maps: their number changes no weight."),
            Mistake(_block_weights_without_norms, "Almost: the two norms have d_model factors each."),
            Mistake(_block_weights_with_biases, "You count biases; these layers have none."),
        ),
        fact="a block of this notebook has {outputs[0]}, and the number of heads does not matter.",
    ),
    Exercise(
        id="5c.3",
        title="A head's habit",
        minutes=5,
        task=(
            "Write `mean_weight(weights, distance)`: `weights` is one head's table `(time, time)`, one row a "
            "position that looks. Return the mean weight on the place `distance` back, over the positions that have "
            "such a place."
        ),
        hint="The places a fixed distance back form a diagonal.",
        cases=lambda: (
            (np.array([[1.0, 0.0, 0.0], [0.3, 0.7, 0.0], [0.5, 0.1, 0.4]]), 1),
            (np.array([[1.0, 0.0, 0.0], [0.3, 0.7, 0.0], [0.5, 0.1, 0.4]]), 2),
            (np.eye(3), 0),
        ),
        solution=mean_weight,
        mistakes=(
            Mistake(
                _mean_weight_ahead,
                ("You read the diagonal above the middle, where a causal head has only zeros: the past is below."),
            ),
            Mistake(_mean_weight_of_all, "You divide by all positions; the first ones have no place so far back."),
            Mistake(_sum_of_weights, "You give the sum: divide by the number of positions that have such a place."),
            Mistake(_mean_column, "You take a column, which is a place; a distance is a diagonal."),
        ),
        fact="a head that looks evenly would give less and less to each distance.",
        tolerance=1e-9,
    ),
    Exercise(
        id="5c.4",
        title="Forbid a distance",
        minutes=5,
        task=(
            "Write `forbid(n, distance)`: a Boolean rule `(n, n)`, True where a position may look. Nobody looks "
            "ahead, and nobody looks exactly `distance` places back."
        ),
        hint="Make the table of how far back each place is, then say what must hold.",
        cases=lambda: ((4, 1), (5, 3)),
        solution=forbid,
        mistakes=(
            Mistake(_forbid_ahead, "The distance is forbidden and the future is open: keep the causal rule."),
            Mistake(_forbid_all_beyond, "You forbid all that lies further back as well; only one distance is meant."),
            Mistake(
                _forbid_the_others,
                ("Upside down: that distance alone is allowed, and the first position may look nowhere."),
            ),
            Mistake(_forbid_a_column, "You forbid one place to all; a distance is another place for each."),
        ),
        fact="every position may still look at itself, so no row is blind.",
    ),
    Exercise(
        id="5c.5",
        title="What a cache saves",
        minutes=10,
        task=(
            "A network reads a prompt and writes tokens, one a call; the last token written is not read again. Write "
            "`n_positions_read(n_prompt, n_new, has_cache)`: on how many positions does it work, all calls together?"
        ),
        hint=(
            "Without a cache each call reads everything so far. Write down the calls for a prompt of 3 and 2 "
            "new tokens."
        ),
        cases=lambda: ((3, 2, False), (3, 2, True), (1, 1024, False), (1, 1024, True)),
        solution=n_positions_read,
        mistakes=(
            Mistake(_read_one_too_many, "You read the last token too; nothing is asked after it."),
            Mistake(_read_only_new, "With a cache the prompt must still be read once."),
            Mistake(
                _read_as_if_cached,
                ("Without a cache every call reads everything again: the calls grow by one each."),
            ),
            Mistake(
                _read_at_full_length,
                ("Without a cache the first call reads the prompt alone; only the last is that long."),
            ),
        ),
        fact="for 1,024 tokens it is {outputs[2]} against {outputs[3]}.",
    ),
)
