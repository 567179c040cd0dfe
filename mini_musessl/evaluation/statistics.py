"""Statistics of pieces, and distances between sets of pieces: what can be counted, and whether it differs.

A statistic says something only beside the same statistic of Bach, with the spread of his pieces; a distance between two
sets only beside that of two sets of Bach's own, of the same sizes.

References: Dong, Chen, McAuley and Berg-Kirkpatrick, "MusPy" (2020), for entropy, scale and groove; Yang and Lerch, "On
the Evaluation of Generative Models in Music" (2020), for distances inside and between sets; Heusel et al., "GANs
Trained by a Two Time-Scale Update Rule" (2017), for the Frechet distance, and Chong and Forsyth, "Effectively Unbiased
FID and Inception Score" (2020), for its bias; Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests" (2017);
Foote, "Visualizing Music and Audio Using Self-Similarity" (1999).

Chapter: 9c (judging).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mini_musessl.checks import check_generator, whole_number
from mini_musessl.evaluation import voice_leading
from mini_musessl.evaluation.probing import choose_l2, fit_linear_probe
from mini_musessl.harmony import grid_chroma
from mini_musessl.repeats import one_longer
from mini_musessl.voices import REST, VoiceGrid, check_is_grid

Values = Float[np.ndarray, "_ d_features"]  # sets may have other numbers of pieces
_MAJOR = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))
#: A row for each of the 24 major and natural minor scales: which pitch classes belong to it. Twelve are the same twice.
_SCALES = np.stack([np.roll(_MAJOR, root) for root in range(12)])

# --- one piece


def check_has_notes(grid: VoiceGrid) -> None:
    """Refuse anything but a grid, and a piece in which nothing sounds."""
    check_is_grid(grid)
    if (grid.pitch == REST).all():
        raise ValueError(f"Statistics need at least one note; found none in {grid.n_steps} steps. Is the piece empty?")


def pitch_class_entropy(grid: VoiceGrid) -> float:
    """Return the entropy of the pitch classes of a piece's notes, in bits: 0 for one, 3.58 for twelve alike."""
    check_has_notes(grid)
    share = np.bincount(grid.pitch[grid.is_onset] % 12, minlength=12) / grid.is_onset.sum()
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def in_scale_share(grid: VoiceGrid) -> float:
    """Return the share of a piece's notes in the major or natural minor scale that holds most of them."""
    check_has_notes(grid)
    counts = np.bincount(grid.pitch[grid.is_onset] % 12, minlength=12)
    return float((_SCALES @ counts).max() / counts.sum())


def polyphony(grid: VoiceGrid) -> float:
    """Return how many different pitches sound at a step, on average over the steps at which one does."""
    check_has_notes(grid)
    counts = np.array([len(set(frame) - {REST}) for frame in grid.pitch.tolist()])
    return float(counts[counts > 0].mean())


def groove_consistency(grid: VoiceGrid) -> float:
    """Return how alike the onsets of neighbouring whole bars are: the share of places where both or neither has one.

    Sparse music comes near 1 whatever its rhythm; compare with the same bars in random order.
    """
    bar_steps = grid.meter[0] * 4 * grid.steps_per_quarter // grid.meter[1]
    starts = np.flatnonzero(grid.bar_position_step == 0)
    starts = starts[starts + bar_steps <= grid.n_steps]
    bars = np.stack([grid.is_onset[start : start + bar_steps].any(axis=1) for start in starts]) if len(starts) else []
    return float((bars[1:] == bars[:-1]).mean()) if len(bars) > 1 else math.nan


def melodic_intervals(grid: VoiceGrid) -> Int[np.ndarray, " n_moves"]:
    """Return the intervals, in semitones, by which voices move from one step to the next; rests end a line."""
    before, after = grid.pitch[:-1].astype(int), grid.pitch[1:].astype(int)
    return (after - before)[(before != REST) & (after != REST) & (after != before)]


def repeat_lengths(grid: VoiceGrid) -> Int[np.ndarray, " n_steps"]:
    """Return for each step how many steps up to it have been heard before, note for note.

    >>> from mini_musessl import voices
    >>> repeat_lengths(voices.from_pitches([[60], [62], [60], [62], [64]], voice_names=("melody",))).tolist()
    [0, 0, 1, 2, 0]
    """
    frame = np.unique(grid.pitch, axis=0, return_inverse=True)[1].reshape(-1)
    longest, run = np.zeros(grid.n_steps, int), np.zeros(0, int)
    for step in range(grid.n_steps):
        run = one_longer(run, frame[:step][::-1] == frame[step])
        longest[step] = run.max()
    return longest


def repeat_share(grid: VoiceGrid, n_steps: int) -> float:
    """Return the share of a piece's steps that end a passage of so many steps which was heard before, note for note."""
    check_has_notes(grid)
    return float((repeat_lengths(grid) >= whole_number("n_steps", n_steps, lowest=1)).mean())


def self_similarity(grid: VoiceGrid, n_block_steps: int) -> Float[np.ndarray, "n_blocks n_blocks"]:
    """Return how alike the pitch classes of any two blocks of a piece are: the cosine between their chroma vectors."""
    chroma = grid_chroma(grid, n_block_steps)
    norm = np.linalg.norm(chroma, axis=1, keepdims=True)
    unit = chroma / np.where(norm > 0, norm, 1)
    return unit @ unit.T


def _per_quarter(grid: VoiceGrid, count: float) -> float:
    return count * grid.steps_per_quarter / grid.n_steps


#: Statistics of a piece in four voices by name, each a number.
STATISTICS: dict[str, Callable[[VoiceGrid], float]] = {
    "notes per quarter": lambda grid: _per_quarter(grid, grid.is_onset.sum()),
    "pitch classes": lambda grid: len(np.unique(grid.pitch[grid.pitch != REST] % 12)),
    "pitch range (semitones)": lambda grid: np.ptp(grid.pitch[grid.pitch != REST]),
    "pitch-class entropy (bits)": pitch_class_entropy,
    "notes in one scale": in_scale_share,
    "polyphony": polyphony,
    "groove consistency": groove_consistency,
    "moves by a second": lambda grid: (np.abs(melodic_intervals(grid)) <= 2).mean(),
    "leaps beyond a fifth": lambda grid: (np.abs(melodic_intervals(grid)) > voice_leading.FIFTH).mean(),
    "parallels in 100 quarters": lambda grid: 100 * _per_quarter(grid, voice_leading.count_parallels(grid)),
    "crossed steps": lambda grid: voice_leading.crossings(grid).mean(),
    "cells out of range": lambda grid: voice_leading.out_of_range(grid).mean(),
    "steps in repeats of 4 quarters": lambda grid: repeat_share(grid, 4 * grid.steps_per_quarter),
}


def describe(grid: VoiceGrid) -> dict[str, float]:
    """Return all ``STATISTICS`` of a piece in four voices, which must have at least two notes that differ."""
    check_has_notes(grid)
    if len(melodic_intervals(grid)) == 0:
        raise ValueError(
            f"Statistics need a voice that moves; found {grid.n_steps} steps in which none does. Is it one held chord?"
        )
    return {name: float(count(grid)) for name, count in STATISTICS.items()}


# --- two sets of pieces, each piece described by a row of numbers


class Overlap(NamedTuple):
    """How the distances between two sets are distributed, beside those inside the first."""

    area: float  # shared by the two densities: 1 where they are the same
    kl_nats: float  # Kullback-Leibler divergence of the distances inside from those between


def overlap(reference: Values, others: Values) -> Overlap:
    """Compare the Euclidean distances between two sets with those inside the reference set, by their densities.

    Densities are sums of Gaussians, as wide as Scott's rule says. So even two halves of one set overlap by less than 1.

    References: Yang and Lerch (2020), section 4.2; ``scipy.stats.gaussian_kde``.
    """
    check_sets(reference, others, least=3)
    rows, columns = np.triu_indices(len(reference), 1)
    inside = np.linalg.norm(reference[rows] - reference[columns], axis=1)
    between = np.linalg.norm(reference[:, None] - others[None], axis=2).ravel()
    if inside.std() == 0 or between.std() == 0:
        raise ValueError("Distances must differ to have a density; all of these are equal. Are the pieces the same?")
    width = 3 * max(_scott_width(inside), _scott_width(between))
    at = np.linspace(min(inside.min(), between.min()) - width, max(inside.max(), between.max()) + width, 1000)
    p, q = _density(inside, at), _density(between, at)
    gap = at[1] - at[0]
    tiny = np.finfo(float).tiny
    kl = (p * np.log(np.maximum(p, tiny) / np.maximum(q, tiny))).sum() * gap
    return Overlap(float(np.minimum(p, q).sum() * gap), float(kl))


def _scott_width(values: np.ndarray) -> float:
    return float(values.std(ddof=1) * len(values) ** -0.2)


def _density(values: Float[np.ndarray, " n"], at: Float[np.ndarray, " places"]) -> Float[np.ndarray, " places"]:
    width = _scott_width(values)
    return np.exp(-(((at[:, None] - values) / width) ** 2) / 2).mean(axis=1) / (width * math.sqrt(2 * math.pi))


def frechet_distance(first: Values, second: Values) -> float:
    r"""Return the Frechet distance between the Gaussians that fit two sets.

    $$\|\mu_1 - \mu_2\|^2 + \operatorname{tr}\left(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2}\right)$$

    It is too large for small sets, even of one kind: see ``frechet_distance_at_infinity``. With fewer pieces than
    features the covariances are singular, and the distance says little.
    """
    check_sets(first, second, least=2)
    covariance = [np.cov(each, rowvar=False).reshape(each.shape[1], -1) for each in (first, second)]
    root = _square_root(covariance[0])
    mixed = _square_root(root @ covariance[1] @ root)  # has the trace of the root of the product, and is symmetric
    shift = first.mean(axis=0) - second.mean(axis=0)
    return float(shift @ shift + np.trace(covariance[0] + covariance[1] - 2 * mixed))


def _square_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def frechet_distance_at_infinity(
    first: Values, second: Values, generator: np.random.Generator, n_sizes: int = 10
) -> float:
    """Return the Frechet distance that sets without end would have: the line through those of smaller sets, at 1/n = 0.

    Sizes go from half of the smaller set to all of it, the pieces drawn anew for each. The result may be negative.
    """
    check_sets(first, second, least=20)
    check_generator(generator, "frechet_distance_at_infinity")
    largest = min(len(first), len(second))
    sizes = np.linspace(largest // 2, largest, whole_number("n_sizes", n_sizes, lowest=2)).astype(int)
    distances = [
        frechet_distance(*(each[generator.permutation(len(each))[:size]] for each in (first, second))) for size in sizes
    ]
    return float(np.polyfit(1 / sizes, distances, 1)[1])


class TwoSampleTest(NamedTuple):
    """What a classifier found between two sets."""

    accuracy: float  # on pieces that it was not fitted to; 0.5 where it found nothing
    p_value: float  # how often a coin would do as well, or better: rough, since the folds share their pieces
    n: int  # pieces that were told apart or not


def two_sample_test(first: Values, second: Values, generator: np.random.Generator, n_folds: int = 5) -> TwoSampleTest:
    """Test whether a linear classifier tells two sets apart: each piece is named by one fitted to the other folds.

    The larger set is cut to the size of the smaller one. Where nothing is found, a better description of the pieces may
    still find something.
    """
    check_sets(first, second, least=2 * whole_number("n_folds", n_folds, lowest=2))
    check_generator(generator, "two_sample_test")
    size = min(len(first), len(second))
    values = np.concatenate([each[generator.permutation(len(each))[:size]] for each in (first, second)])
    label, fold = np.repeat([0, 1], size), np.tile(np.arange(size) % n_folds, 2)
    is_right = np.zeros(2 * size, bool)
    for left_out in range(n_folds):
        is_fitted = fold != left_out
        l2 = choose_l2(values[is_fitted], label[is_fitted], np.flatnonzero(is_fitted) % size)
        probe = fit_linear_probe(values[is_fitted], label[is_fitted], l2)
        is_right[~is_fitted] = probe.predict(values[~is_fitted]) == label[~is_fitted]
    n, n_right = 2 * size, int(is_right.sum())
    p_value = sum(math.comb(n, k) for k in range(n_right, n + 1)) / 2**n
    return TwoSampleTest(n_right / n, p_value, n)


def check_sets(first: Values, second: Values, least: int) -> None:
    """Refuse sets that cannot be compared: too few pieces, other features, the very same numbers."""
    for values in (first, second):
        if values.ndim != 2 or values.shape[1] != first.shape[1] or not np.isfinite(values).all():
            raise ValueError(
                f"Two sets of pieces must be finite numbers (n_pieces, d_features) with the same features; found the "
                f"shapes {first.shape} and {second.shape}. Leave out pieces without a number."
            )
        if len(values) < least:
            raise ValueError(f"Each set needs at least {least} pieces for this comparison; found {len(values)}.")
    if first.shape == second.shape and np.array_equal(first, second):
        raise ValueError("Two sets must differ; these are the same numbers. Halve one set to see what chance makes.")
