"""Probing: what do the features of a frozen network hold? A small classifier looks, and knows few labels.

The encoder does not learn from the probe's labels, the classifier is linear, and what is labelled are a few whole
pieces: 1, 5, 10, 50 or all. What is found counts only beside what the same classifier finds in features that nobody
learned. And only where the answers are new: an encoder that a harmony head trained, or that was told which pieces set
one hymn, has seen the very answers of "chord" or "hymn"; a table must mark such rows.

``tasks`` holds the questions by name, ``labels`` the answers that come with the music, ``views`` what is shown;
``features`` describes the examples by a network or by hand; ``logistic`` is the classifier, ``splits`` and ``scores``
keep it honest; ``probe`` and ``probe_all`` put it together. ``fine_tune`` lets the network learn on, or from nothing;
``retrieve`` looks for the same hymn without any label.

Example:
    >>> import numpy as np
    >>> from mini_musessl import voices
    >>> grids = [voices.from_pitches([[72, 67, 64, 48]] * 96, fifths=0), voices.from_pitches([[74] * 4] * 96, fifths=2)]
    >>> features = handmade_features(grids * 2, ["key"])
    >>> result = probe(features, "key", PieceSplit((0, 1), (2, 3)), None, np.random.default_rng(0))
    >>> result.balanced_accuracy, result.chance
    (1.0, 0.5)

Chapter: 1a (learning without labels).
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl import corpora, voices
from mini_musessl.checks import check_generator, whole_number
from mini_musessl.evaluation.probe_tasks import EXCERPTS, TASKS, WHOLE_VIEW, Examples, Excerpt, ask, find_task
from mini_musessl.network.encoder import FrameEncoder, pool
from mini_musessl.network.frames import FrameTransformer
from mini_musessl.training.loop import TrainingConfig, choose_precision, train

# --- Features that a musician might count: what a network that learns must beat

#: Steps of a beat.
BEAT_STEP = 4
#: Largest interval of each class of melodic steps, in semitones: second, third, fourth and fifth, sixth and more.
_INTERVAL_EDGES = np.array([1, 2, 4, 7, 127])
#: Rests until the next onset are counted up to this.
_LONGEST_STEP = 8


def count_features(
    frames: Int[np.ndarray, "batch n_steps 4"], is_hidden: Bool[np.ndarray, "batch n_steps 4"]
) -> Float[np.ndarray, "batch n_steps d_features"]:
    """Describe each step by what can be counted around it; nothing is learned.

    For the beat that begins at the step: its chroma, that of the beat before and of the beat after; the bass's pitch
    class; the intervals between the voices at the step, octaves aside; the melodic intervals, by size and direction;
    new pitches by voice, and all together in the three beats; how many voices move at the step; how long nobody has
    moved, and for how long nobody will.

    Args:
        frames: symbol ids; 0 is a rest, the others are consecutive pitches.
        is_hidden: True where a cell must not be seen; it counts as absent.

    Returns:
        float32, 93 numbers a step.

    Chapter: 1a.
    """
    sounds = (frames > 0) & ~is_hidden
    pitch = frames + 35
    n_steps = frames.shape[1]
    chroma = (_one_hot(pitch % 12, 12) * sounds[..., None]).sum(axis=2)
    beat_chroma = [_shares(_sum_ahead(chroma, first)) for first in (0, -BEAT_STEP, BEAT_STEP)]
    is_new, interval = _moves(pitch, sounds)
    by_size = _one_hot(np.searchsorted(_INTERVAL_EDGES, np.abs(interval)), 5)
    melodic = [(by_size * (is_new & (np.sign(interval) == way))[..., None]).sum(axis=2) for way in (1, -1)]
    n_new = is_new.sum(axis=2, keepdims=True).astype(np.float32)
    parts = [
        *beat_chroma,
        _bass(pitch, sounds),
        _between_voices(pitch, sounds),
        *(_sum_ahead(each, 0) for each in melodic),
        _sum_ahead(is_new.astype(np.float32), 0),
        *(_sum_ahead(n_new, first) for first in (0, -BEAT_STEP, BEAT_STEP)),
        n_new,
        n_new == sounds.sum(axis=2, keepdims=True),
        _since(n_new[..., 0] > 0)[..., None],
        _since(np.roll(n_new[:, ::-1, 0], 1, axis=1) > 0)[:, ::-1, None],
        _shares(chroma),
    ]
    features = np.concatenate([part.astype(np.float32) for part in parts], axis=2)
    return features.reshape(len(frames), n_steps, -1)


def _one_hot(values: np.ndarray, size: int) -> np.ndarray:
    """Return 1 at the place of each value."""
    return (values[..., None] == np.arange(size)).astype(np.float32)


def _sum_ahead(values: np.ndarray, first: int) -> np.ndarray:
    """Return for each step the sum over a beat of steps that begins ``first`` steps later; nothing is outside."""
    n_steps = values.shape[1]
    sums = np.concatenate([np.zeros_like(values[:, :1]), values.cumsum(axis=1)], axis=1)
    start = np.clip(np.arange(n_steps) + first, 0, n_steps)
    stop = np.clip(np.arange(n_steps) + first + BEAT_STEP, 0, n_steps)
    return sums[:, stop] - sums[:, start]


def _shares(counts: np.ndarray) -> np.ndarray:
    """Divide by the sum, or leave zeros where nothing is."""
    return counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)


def _moves(pitch: np.ndarray, sounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where a voice takes a new pitch, and by how many semitones it moves there."""
    interval = np.zeros(pitch.shape, np.int64)
    both = sounds[:, 1:] & sounds[:, :-1]
    interval[:, 1:] = np.where(both, pitch[:, 1:] - pitch[:, :-1], 0)
    begins = np.zeros(sounds.shape, bool)
    begins[:, 1:] = sounds[:, 1:] & ~sounds[:, :-1]
    return (interval != 0) | begins, interval


def _bass(pitch: np.ndarray, sounds: np.ndarray) -> np.ndarray:
    """Return the pitch class of the lowest sounding voice, one-hot."""
    lowest = np.where(sounds, pitch, 999).min(axis=2)
    return _one_hot(lowest % 12, 12) * (lowest < 999)[..., None]


def _between_voices(pitch: np.ndarray, sounds: np.ndarray) -> np.ndarray:
    """Count the intervals of all pairs of voices at each step, octaves aside."""
    counts = np.zeros((*pitch.shape[:2], 12), np.float32)
    for upper in range(pitch.shape[2]):
        for lower in range(upper + 1, pitch.shape[2]):
            apart = (pitch[..., upper] - pitch[..., lower]) % 12
            counts += _one_hot(apart, 12) * (sounds[..., upper] & sounds[..., lower])[..., None]
    return counts


def _since(is_event: np.ndarray) -> np.ndarray:
    """Return how many steps ago the latest event was, at most a few; the first step counts as one."""
    step = np.arange(is_event.shape[1])
    latest = np.maximum.accumulate(np.where(is_event, step, 0), axis=1)
    return np.minimum(step - latest, _LONGEST_STEP)


# --- Linear probes: multinomial logistic regression on standardised features

#: The penalties to choose from, the strongest first.
PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)
#: The penalty where there is a single labelled piece to choose by.
LONE_PENALTY = 0.1
#: Up to so many pieces, the penalty is chosen by leaving out each of ``_N_FOLDS`` parts once, beyond by one part.
_FEW_PIECES, _N_FOLDS = 12, 4
_N_ITERATIONS = 300
#: To choose a penalty, the optimum need not be met as closely as for the answer.
_ROUGHLY = 1e-4


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A fitted classifier.

    Attributes:
        mean: float64 (d_features,), subtracted from the features.
        scale: float64 (d_features,), divides them then.
        weight: float64 (d_features, n_seen), for the standardised features.
        bias: float64 (n_seen,).
        seen: int64 (n_seen,), the classes that it can answer, in order.

    Chapter: 1a.
    """

    mean: Float[np.ndarray, " d_features"]
    scale: Float[np.ndarray, " d_features"]
    weight: Float[np.ndarray, "d_features n_seen"]
    bias: Float[np.ndarray, " n_seen"]
    seen: Int[np.ndarray, " n_seen"]

    def log_probs(self, values: Float[np.ndarray, "n_examples d_features"]) -> Float[np.ndarray, "n_examples n_seen"]:
        """Return the logarithm of the probability of each class that was seen.

        Args:
            values: features.
        """
        logits = (values - self.mean) / self.scale @ self.weight + self.bias
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def predict(self, values: Float[np.ndarray, "n_examples d_features"]) -> Int[np.ndarray, " n_examples"]:
        """Return the likeliest class of each example.

        Args:
            values: features.
        """
        return self.seen[self.log_probs(values).argmax(axis=1)]


def fit_linear_probe(
    values: Float[np.ndarray, "n_examples d_features"],
    label: Int[np.ndarray, " n_examples"],
    l2: float,
    start: LinearProbe | None = None,
    tolerance: float = 1e-6,
) -> LinearProbe:
    r"""Fit a multinomial logistic regression, to its optimum, in float64.

    With standardised features $x$, weights $W$ and bias $b$ it minimises

    $$\frac{1}{K} \sum_{k=1}^{K} \frac{1}{n_k} \sum_{i:\, y_i = k} -\log p(k \mid x_i) + \frac{\lambda}{2} \|W\|^2,$$

    where $K$ classes occur, the k-th $n_k$ times. The problem is convex, so the answer depends on no chance.

    Args:
        values: features; their means and deviations are taken from these examples.
        label: the class of each.
        l2: the penalty, above 0. A feature that is the same everywhere gets no weight.
        start: a probe fitted to the same examples, from which to begin; changes nothing but speed.
        tolerance: the largest slope at which to stop.

    Returns:
        The fitted probe. Where one class alone occurs, it always answers that.

    Raises:
        ValueError: no examples, or a penalty that is not above 0.

    Chapter: 1a.
    """
    if not len(values) or len(values) != len(label):
        raise ValueError(
            f"A probe is fitted to at least one example, with a label each; found {len(values)} examples and "
            f"{len(label)} labels. Has any labelled piece the labels of the task?"
        )
    if not 0 < l2 < math.inf:
        raise ValueError(f"The penalty l2 must be a finite number above 0; found {l2}.")
    values = values.astype(np.float64)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.where(spread > 1e-8, spread, 1.0)
    seen, target = np.unique(label, return_inverse=True)
    weight, bias = _optimum((values - mean) / scale, target, len(seen), l2, start, tolerance)
    return LinearProbe(mean, scale, weight, bias, seen)


def choose_l2(
    values: Float[np.ndarray, "n_examples d_features"],
    label: Int[np.ndarray, " n_examples"],
    piece: Int[np.ndarray, " n_examples"],
) -> float:
    """Choose the penalty by labelled pieces that are left out: all examples of a piece are on one side.

    Up to twelve pieces, each of four parts is left out once; with more, a quarter is left out once. The penalty with
    the fewest nats on what was left out wins, each class weighing the same; classes that the rest does not show do not
    count. With a single piece there is nothing to leave out, and the penalty is ``LONE_PENALTY``.

    Args:
        values: features of the labelled examples.
        label: the class of each.
        piece: the piece of each.

    Chapter: 1a.
    """
    pieces = np.unique(piece)
    if len(pieces) == 1 or len(np.unique(label)) == 1:
        return LONE_PENALTY
    n_parts = min(_N_FOLDS, len(pieces))
    part = np.searchsorted(pieces, piece) % n_parts
    left_out = range(n_parts) if len(pieces) <= _FEW_PIECES else range(1)
    nats = np.nansum([_path_nats(values, label, part == number) for number in left_out], axis=0)
    return PENALTIES[int(nats.argmin())] if nats.any() else LONE_PENALTY


def _path_nats(values: np.ndarray, label: np.ndarray, is_left_out: np.ndarray) -> np.ndarray:
    """Return the nats of each penalty on the examples left out; nan where none can be scored."""
    known = np.unique(label[~is_left_out])
    scored = is_left_out & np.isin(label, known)
    if len(known) < 2 or not scored.any():
        return np.full(len(PENALTIES), np.nan)
    nats, fitted = [], None
    target = np.searchsorted(known, label[scored])
    weight = 1 / np.bincount(target, minlength=len(known))[target]
    for l2 in PENALTIES:
        fitted = fit_linear_probe(values[~is_left_out], label[~is_left_out], l2, fitted, _ROUGHLY)
        chosen = fitted.log_probs(values[scored])[np.arange(scored.sum()), target]
        nats.append(-(weight * chosen).sum() / weight.sum())
        if nats[-1] > 1.1 * min(nats):  # weaker penalties overfit more
            break
    return np.array(nats + [nats[-1]] * (len(PENALTIES) - len(nats)))


def _optimum(
    x: np.ndarray, target: np.ndarray, n_seen: int, l2: float, start: LinearProbe | None, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the penalised loss with L-BFGS, its gradient written out by hand.

    The weights are written in the directions of the features' principal axes, each in the unit in which the loss bends
    about equally; the optimum stays where it is, and a few steps reach it.
    """
    share = 1 / (n_seen * np.bincount(target)[target])
    bend, axes = np.linalg.eigh(x.T @ (x * share[:, None]))
    unit = 1 / np.sqrt(np.maximum(bend, 0) / n_seen + l2)
    units = torch.from_numpy(np.append(unit, np.sqrt(n_seen)))[:, None]
    rows = torch.from_numpy(np.concatenate([x @ axes, np.ones((len(x), 1))], axis=1)) * units.T
    penalty = l2 * units.square()
    penalty[-1] = 0.0
    wanted = torch.nn.functional.one_hot(torch.from_numpy(target), n_seen).double()
    weight_of = torch.from_numpy(share)
    weights = torch.zeros(rows.shape[1], n_seen, dtype=torch.float64)
    if start is not None:
        weights += torch.from_numpy(np.concatenate([axes.T @ start.weight, start.bias[None]])) / units
    weights.requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=_N_ITERATIONS,
        tolerance_grad=tolerance,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        with torch.no_grad():
            log_probs = (rows @ weights).log_softmax(dim=1)
            weights.grad = rows.T @ ((log_probs.exp() - wanted) * weight_of[:, None]) + penalty * weights
            return -(weight_of * (log_probs * wanted).sum(1)).sum() + 0.5 * (penalty * weights.square()).sum()

    optimizer.step(loss)
    found = (weights.detach() * units).numpy()
    return axes @ found[:-1], found[-1].copy()


# --- Which pieces may be labelled and which are tested; how few of them are labelled

#: How many labelled pieces; None is all.
BUDGETS: tuple[int | None, ...] = (1, 5, 10, 50, None)


@dataclass(frozen=True)
class PieceSplit:
    """Pieces by what a probe may do with them.

    Attributes:
        labelled: indices of the pieces from which labelled ones are drawn, for fitting and for every choice.
        test: indices of the pieces that are looked at once, at the end.

    Raises:
        ValueError: one of the two is empty, a piece stands twice, an index is below 0, or they share pieces.
        TypeError: an index is not a whole number.

    Chapter: 1a.
    """

    labelled: tuple[int, ...]
    test: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("labelled", "test"):
            object.__setattr__(self, name, _piece_indices(name, getattr(self, name)))
        if not self.labelled or not self.test:
            raise ValueError(
                "A split for probing needs pieces to label and pieces to test; found "
                f"{len(self.labelled)} and {len(self.test)}."
            )
        shared = sorted(set(self.labelled) & set(self.test))
        if shared:
            raise ValueError(
                f"The pieces of a split must be labelled or tested, not both; {len(shared)} are on both sides, the "
                f"first is piece {shared[0]}. A probe that has seen a test piece proves nothing."
            )


def check_grids(grids: Sequence[voices.VoiceGrid]) -> None:
    """Refuse what is not a list of chorales.

    Args:
        grids: what the caller gave.

    Raises:
        ValueError: there are none.
        TypeError: a single grid, or something that is none.

    Chapter: 1a.
    """
    if isinstance(grids, voices.VoiceGrid):
        raise TypeError("Chorales come in a list; found one VoiceGrid. Put it into a list.")
    strangers = [each for each in grids if not isinstance(each, voices.VoiceGrid)]
    if strangers:
        raise TypeError(
            "A probe needs a list of VoiceGrids, which carry their labels; found one with a "
            f"{type(strangers[0]).__name__} in it. Load chorales with corpora.load_chorales, put parts of a split "
            "together with probing.join_parts, or make grids with voices.from_pitches."
        )
    if not len(grids):
        raise ValueError(
            "A probe needs at least one chorale; found none. Is a part of the split empty? Load some with "
            "corpora.load_chorales."
        )


def check_pieces_exist(pieces: Iterable[int], n_pieces: int) -> None:
    """Refuse to ask for a piece that is not there.

    Args:
        pieces: indices.
        n_pieces: how many pieces there are.

    Raises:
        ValueError: an index is too large, or below 0.

    Chapter: 1a.
    """
    missing = [int(piece) for piece in pieces if not 0 <= piece < n_pieces]
    if missing:
        raise ValueError(
            f"Every piece that is asked for must be one of the {n_pieces} given, 0 to {n_pieces - 1}; found piece "
            f"{missing[0]}. Give the very list of grids that the split was made for."
        )


def join_parts(
    parts: Mapping[str, Sequence[voices.VoiceGrid]],
    labelled: str = "train",
    test: str = "test",
    keeps_melodies_apart: bool = False,
) -> tuple[list[voices.VoiceGrid], PieceSplit]:
    """Put two parts of a split into one list, and say which is which.

    Args:
        parts: grids by part, such as ``corpora.rebuilt_split()`` or ``corpora.melody_disjoint_split()``.
        labelled: the part from which pieces are labelled.
        test: the part that is tested.
        keeps_melodies_apart: whether to refuse a split with the same hymn on both sides.

    Returns:
        The grids, the labelled ones first, and their split.

    Raises:
        ValueError: a part is missing or empty, both are the same, a piece is in both, or, if asked, a melody is.

    Chapter: 1a.
    """
    missing = [name for name in (labelled, test) if name not in parts]
    if missing:
        raise ValueError(f"The split has no part {missing[0]!r}; it has {', '.join(map(str, parts)) or 'none'}.")
    grids = [*parts[labelled], *parts[test]]
    n_labelled = 0 if labelled == test else len(parts[labelled])
    split = PieceSplit(tuple(range(len(parts[labelled]))), tuple(range(n_labelled, n_labelled + len(parts[test]))))
    check_pieces_apart(grids, split)
    if keeps_melodies_apart:
        check_melodies_apart(grids, split)
    return grids, split


def split_pieces(
    grids: Sequence[voices.VoiceGrid], n_test: int, generator: np.random.Generator, by_melody: bool = False
) -> PieceSplit:
    """Draw pieces to test.

    Args:
        grids: all pieces.
        n_test: how many pieces to test; by melody at least so many.
        generator: source of chance.
        by_melody: whether all settings of a hymn stay on one side.

    Returns:
        The split; the other pieces may be labelled.

    Raises:
        ValueError: there are no pieces, or none are left to label.
        TypeError: the generator is not a numpy.random.Generator, or the pieces are no list of grids.

    Chapter: 1a.
    """
    check_generator(generator, "split_pieces")
    whole_number("n_test", n_test, lowest=1)
    check_grids(grids)
    group = corpora.melody_groups(grids) if by_melody else np.arange(len(grids))
    is_test = np.zeros(len(grids), bool)
    for number in generator.permutation(group.max() + 1):
        if is_test.sum() >= n_test:
            break
        is_test |= group == number
    return PieceSplit(tuple(np.flatnonzero(~is_test)), tuple(np.flatnonzero(is_test)))


def check_pieces_apart(grids: Sequence[voices.VoiceGrid], split: PieceSplit) -> None:
    """Refuse a split in which the very same notes stand on both sides.

    Args:
        grids: all pieces.
        split: which are labelled and which tested.

    Raises:
        ValueError: a test piece is also a labelled one, or a piece is not there.

    Chapter: 1a.
    """
    check_pieces_exist((*split.labelled, *split.test), len(grids))
    known = {grids[index].pitch.tobytes(): index for index in split.labelled}
    for index in split.test:
        if grids[index].pitch.tobytes() in known:
            raise ValueError(
                f"No test piece may be a labelled piece too; {grids[index].name or f'piece {index}'} is. Was one part "
                "cut from the other?"
            )


def check_melodies_apart(grids: Sequence[voices.VoiceGrid], split: PieceSplit) -> None:
    """Refuse a split with the same hymn on both sides.

    Args:
        grids: all pieces.
        split: which are labelled and which tested.

    Raises:
        ValueError: a melody of the test pieces is sung in a labelled piece, or a piece is not there.

    Chapter: 1a.
    """
    check_pieces_exist((*split.labelled, *split.test), len(grids))
    group = corpora.melody_groups(grids)
    shared = np.isin(group[list(split.test)], group[list(split.labelled)])
    if shared.any():
        first = grids[split.test[int(shared.argmax())]]
        raise ValueError(
            f"Melodies must stay on one side of this split; {shared.sum()} of {len(shared)} test pieces share theirs "
            f"with a labelled piece, the first is {first.name or 'without a name'}. Use corpora.melody_disjoint_split."
        )


def draw_labelled(
    split: PieceSplit, has_labels: Int[np.ndarray, " n"], budget: int | None, generator: np.random.Generator
) -> list[int]:
    """Draw which pieces are labelled.

    All pieces are put into one drawn order, and the first of them that have labels are taken: generators in the same
    state give nested draws for all budgets, and the same draws for every encoder.

    Args:
        split: which pieces may be labelled.
        has_labels: indices of the pieces with labels for the task.
        budget: how many; None for all.
        generator: source of chance.

    Returns:
        Indices of pieces, in the order drawn.

    Raises:
        ValueError: there are fewer pieces with labels than the budget, or none.
        TypeError: the generator is not a numpy.random.Generator, or the budget is not a whole number.

    Chapter: 1a.
    """
    check_generator(generator, "probe")
    order = np.array(split.labelled)[generator.permutation(len(split.labelled))]
    order = order[np.isin(order, has_labels)]
    if budget is None:
        if not len(order):
            raise ValueError(
                f"A probe needs labelled pieces with labels for the task; none of the {len(split.labelled)} of the "
                "split has any. Take more pieces, or another task."
            )
        return order.tolist()
    whole_number("budget", budget, lowest=1)
    if budget > len(order):
        raise ValueError(
            f"A budget of {budget} labelled pieces needs as many with labels for the task; the split has {len(order)}. "
            "Ask for fewer, or for all with budget=None."
        )
    return order[:budget].tolist()


def _piece_indices(side: str, pieces: Sequence[int]) -> tuple[int, ...]:
    """Return the pieces of one side of a split, or refuse what does not name each of them once."""
    indices = tuple(whole_number(f"A piece of {side}", piece, lowest=0) for piece in pieces)
    repeated = [piece for piece, n_times in Counter(indices).items() if n_times > 1]
    if repeated:
        raise ValueError(
            f"Each piece of a split must stand once in {side}; found piece {repeated[0]} more than once. In a "
            "budget it would count twice; np.unique leaves it once."
        )
    return indices


# --- Features of the examples of every task: from a frozen encoder, from an autoregressive network, or counted by hand

#: ``(frames, is_hidden, first_step) -> features``: int (batch, n_steps, 4), bool of that shape, int (batch,), and
#: float (batch, n_steps, d_features).
Describer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
#: Views that are described at once; changes nothing but speed.
_N_VIEWS_FEATURES = 32


@dataclass(frozen=True, eq=False)
class Features:
    """What is known about each example of a task, and the right answers.

    Attributes:
        task: name of the task.
        classes: names of the answers.
        values: float32 (n_examples, d_features).
        label: int64 (n_examples,), the right answer.
        piece: int64 (n_examples,), index of the chorale.
        n_pieces: how many chorales were described, with those that do not say the answer and have no example; None
            where nobody knows. It lets a probe tell a piece that has no labels from one that was never described.

    Raises:
        ValueError: the arrays differ in length, a feature is not a finite number, or an example is of another piece.

    Chapter: 1a.
    """

    task: str
    classes: tuple[str, ...]
    values: Float[np.ndarray, "n_examples d_features"]
    label: Int[np.ndarray, " n_examples"]
    piece: Int[np.ndarray, " n_examples"]
    n_pieces: int | None = None

    def __post_init__(self) -> None:
        if not len(self.values) == len(self.label) == len(self.piece):
            raise ValueError(
                "Features, labels and pieces must be given for the same examples; found "
                f"{len(self.values)}, {len(self.label)} and {len(self.piece)}."
            )
        if not np.isfinite(self.values).all():
            raise ValueError("Features must be finite numbers; found others. Did the network diverge?")
        if (
            self.n_pieces is not None
            and len(self.piece)
            and not 0 <= self.piece.min() <= self.piece.max() < self.n_pieces
        ):
            raise ValueError(
                f"Examples must be of the {self.n_pieces} pieces that were described, 0 to {self.n_pieces - 1}; found "
                f"pieces {self.piece.min()} to {self.piece.max()}."
            )


def encoder_features(
    model: nn.Module, grids: Sequence[voices.VoiceGrid], tasks: Iterable[str] | None = None, precision: str = "auto"
) -> dict[str, Features]:
    """Describe the examples of tasks by a frozen network.

    Frozen does not mean that it never saw the answers. Where its training asked for them (a harmony head for "chord",
    pairs of settings of one hymn for "hymn"), mark the row.

    Args:
        model: a FrameEncoder, a network with one as ``.encoder``, or a FrameTransformer; put into evaluation mode and
            not changed.
        grids: chorales of four voices, with the labels that the tasks need.
        tasks: names; None for all.
        precision: "float32", "bfloat16", or "auto" as for ``training.TrainingConfig``.

    Returns:
        ``Features`` by the name of the task.

    Raises:
        ValueError: no grids, an unknown task, labels that are missing, the task "beat" for a network that is told it,
            or a network whose context is too short.
        TypeError: a model of another kind, grids that are none, or tasks that are not a list of names.

    Chapter: 1a.
    """
    names = _task_names(tasks)
    describe = NetworkDescriber(model, precision)
    check_not_told(names, describe.cycle_length)
    return make_features(describe, grids, names)


def check_not_told(tasks: Iterable[str], cycle_length: int) -> None:
    """Refuse to ask a network what it is told.

    Args:
        tasks: names.
        cycle_length: the network is told the index of each step modulo this; 1 tells nothing.

    Raises:
        ValueError: "beat" is among the tasks, and the network is told it.

    Chapter: 1a.
    """
    if "beat" in tasks and cycle_length > 1:
        raise ValueError(
            f"The task 'beat' needs a network that is not told where it is in the bar; this one is told the index of "
            f"each step modulo {cycle_length}. Train it with cycle_length=1, or leave the task out."
        )


def handmade_features(grids: Sequence[voices.VoiceGrid], tasks: Iterable[str] | None = None) -> dict[str, Features]:
    """Describe the examples of tasks by what a musician might count, see ``handmade.count_features``.

    Args:
        grids: chorales of four voices, with the labels that the tasks need.
        tasks: names; None for all.

    Returns:
        ``Features`` by the name of the task.

    Raises:
        ValueError: no grids, an unknown task, or labels that are missing.
        TypeError: grids that are none, or tasks that are not a list of names.

    Chapter: 1a.
    """
    return make_features(lambda frames, is_hidden, first_step: count_features(frames, is_hidden), grids, tasks)


def make_features(
    describe: Describer, grids: Sequence[voices.VoiceGrid], tasks: Iterable[str] | None = None
) -> dict[str, Features]:
    """Describe the examples of tasks by any describer; what several tasks show is described once.

    Args:
        describe: turns frames into one vector a step.
        grids: chorales of four voices, with the labels that the tasks need.
        tasks: names; None for all.

    Returns:
        ``Features`` by the name of the task.

    Raises:
        ValueError: no grids, an unknown task, or labels that are missing.
        TypeError: grids that are none, or tasks that are not a list of names.

    Chapter: 1a.
    """
    names = _task_names(tasks)
    check_grids(grids)
    found: dict[str, Features] = {}
    for showing in dict.fromkeys(find_task(name).showing for name in names):
        views = EXCERPTS[showing](grids)
        examples = [ask(name, grids, views) for name in names if TASKS[name].showing == showing]
        for example, values in zip(examples, describe_examples(describe, views, examples), strict=True):
            found[example.task] = Features(
                example.task, example.classes, values, example.label, example.piece, len(grids)
            )
    return {name: found[name] for name in names}


def describe_examples(
    describe: Describer, views: Sequence[Excerpt], examples: Sequence[Examples]
) -> list[Float[np.ndarray, "_ d_features"]]:
    """Return the features of the examples of each task.

    Args:
        describe: turns frames into one vector a step.
        views: what is shown.
        examples: for each task where in the views to look.

    Chapter: 1a.
    """
    pooled: list[np.ndarray | None] = [None] * len(views)
    steps: list[np.ndarray | None] = [None] * len(views)
    keeps_steps = any((each.step != WHOLE_VIEW).any() for each in examples)
    for chosen in _batches(views):
        frames, is_hidden = (np.stack([getattr(views[i], name) for i in chosen]) for name in ("frames", "is_hidden"))
        features = describe(frames, is_hidden, np.array([views[i].start_step for i in chosen]))
        for index, row, mean in zip(chosen, features, features.mean(axis=1), strict=True):
            pooled[index] = mean
            steps[index] = row if keeps_steps else None
    return [
        np.stack(
            [
                pooled[view] if step == WHOLE_VIEW else steps[view][step]
                for view, step in zip(each.view.tolist(), each.step.tolist(), strict=True)
            ]
        ).astype(np.float32)
        for each in examples
    ]


class NetworkDescriber:
    """A describer made of a network, which is put into evaluation mode.

    Args:
        model: a FrameEncoder, a network with one as ``.encoder``, or a FrameTransformer. A causal encoder describes a
            step from what came up to it. A FrameTransformer's description of a step is its state once it has read that
            step, before it predicts the next; hidden cells are shown to it as rests, since it knows no hidden ones. It
            reads one position more than a window has steps.
        precision: "float32", "bfloat16" or "auto".

    Raises:
        TypeError: a model of another kind.

    Chapter: 1a.
    """

    def __init__(self, model: nn.Module, precision: str = "float32") -> None:
        network = getattr(model, "encoder", model)
        if not isinstance(network, (FrameEncoder, FrameTransformer)):
            raise TypeError(
                "Features come from a FrameEncoder, a network with one as .encoder, or a FrameTransformer; found "
                f"{type(model).__name__}. For features of another kind use make_features with a function."
            )
        self.network = network.eval()
        self.cycle_length = network.config.cycle_length
        self.device = next(network.parameters()).device
        self.precision = choose_precision(precision, self.device)

    @torch.no_grad()
    def __call__(self, frames: np.ndarray, is_hidden: np.ndarray, first_step: np.ndarray) -> np.ndarray:
        """Describe each step of a batch of windows."""
        shown, hidden, first = (torch.from_numpy(each).to(self.device) for each in (frames, is_hidden, first_step))
        is_full = self.precision == torch.float32
        with nullcontext() if is_full else torch.autocast(self.device.type, self.precision):
            if isinstance(self.network, FrameEncoder):
                features = self.network(shown, hidden, first_step=first)
            else:
                features = self.network.describe(shown.masked_fill(hidden, 0), first)
        return features.float().cpu().numpy()


def _task_names(tasks: Iterable[str] | None) -> list[str]:
    """Return the names of tasks, all for None, or refuse a single name, which would be read letter by letter."""
    if isinstance(tasks, str):
        raise TypeError(f"Tasks come in a list of names; found the text {tasks!r}. Write [{tasks!r}].")
    return list(TASKS) if tasks is None else list(tasks)


def _batches(views: Sequence[Excerpt]) -> Iterable[list[int]]:
    """Yield the indices of views of one length, a few at a time."""
    lengths = np.array([len(view.frames) for view in views])
    for length in np.unique(lengths):
        chosen = np.flatnonzero(lengths == length).tolist()
        yield from (chosen[start : start + _N_VIEWS_FEATURES] for start in range(0, len(chosen), _N_VIEWS_FEATURES))


# --- How often the answers of a probe are right, with the range that other test pieces would have given

#: How often pieces are drawn for a range.
N_BOOTSTRAP = 1000


@dataclass(frozen=True)
class ProbeResult:
    """How well a probe answers on the test pieces.

    Attributes:
        task: name of the task.
        budget: how many labelled pieces were asked for; None for all.
        labelled_pieces: which pieces were labelled.
        n_labelled_examples: how many examples they hold.
        n_classes_seen: how many classes these show; the others can never be answered.
        n_test_examples: how many examples were tested.
        l2: the penalty that was chosen; None where there is none.
        balanced_accuracy: mean over the classes that occur in the test of the share answered right.
        low: lower end of its 95 % bootstrap range over test pieces.
        high: upper end.
        chance: balanced accuracy of any answer that does not look: one over the number of classes that occur.
        accuracy: share of all test examples answered right.
        majority_accuracy: that share for the commonest class of the labelled examples, always answered.

    Chapter: 1a.
    """

    task: str
    budget: int | None
    labelled_pieces: tuple[int, ...]
    n_labelled_examples: int
    n_classes_seen: int
    n_test_examples: int
    l2: float | None
    balanced_accuracy: float
    low: float
    high: float
    chance: float
    accuracy: float
    majority_accuracy: float

    def row(self) -> dict[str, object]:
        """Return everything but the list of pieces, for a table or a JSON file."""
        row = asdict(self)
        row["n_labelled_pieces"] = len(row.pop("labelled_pieces"))
        return row


def count_answers(
    label: Int[np.ndarray, " n_examples"],
    predicted: Int[np.ndarray, " n_examples"],
    piece: Int[np.ndarray, " n_examples"],
    n_classes: int,
) -> tuple[Int[np.ndarray, "n_pieces n_classes"], Int[np.ndarray, "n_pieces n_classes"]]:
    """Count for each piece and class how many examples there are, and how many were answered right.

    Args:
        label: the right answers.
        predicted: the answers.
        piece: the piece of each example; pieces are counted in the order of their indices.
        n_classes: how many classes there are.

    Returns:
        How many right, and how many in all.

    Chapter: 1a.
    """
    pieces, row = np.unique(piece, return_inverse=True)
    right = np.zeros((len(pieces), n_classes), np.int64)
    total = np.zeros_like(right)
    np.add.at(total, (row, label), 1)
    np.add.at(right, (row, label), label == predicted)
    return right, total


def balanced_accuracy(
    right: Float[np.ndarray, "*rows n_classes"] | Int[np.ndarray, "*rows n_classes"],
    total: Float[np.ndarray, "*rows n_classes"] | Int[np.ndarray, "*rows n_classes"],
) -> Float[np.ndarray, "*rows"] | float:
    """Return the mean over classes of the share answered right; classes that do not occur do not count.

    Args:
        right: how many of each class were answered right.
        total: how many there are, some above 0.

    Example:
        >>> float(balanced_accuracy(np.array([9, 0, 0]), np.array([9, 3, 0])))
        0.5

    Chapter: 1a.
    """
    occurs = total > 0
    return (right / np.maximum(total, 1)).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)


def bootstrap_range(
    right: Int[np.ndarray, "n_pieces n_classes"],
    total: Int[np.ndarray, "n_pieces n_classes"],
    generator: np.random.Generator,
    n_draws: int = N_BOOTSTRAP,
) -> tuple[float, float]:
    """Return the range of the balanced accuracy that drawing test pieces anew gives.

    Whole pieces are drawn with replacement, as many as there are: beats of one piece are not independent.

    Args:
        right: from ``count_answers``.
        total: from ``count_answers``.
        generator: source of chance.
        n_draws: how often to draw.

    Returns:
        The ends of the middle 95 %.

    References:
        Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), the percentile interval.

    Chapter: 1a.
    """
    n_pieces = len(total)
    times = generator.multinomial(n_pieces, np.full(n_pieces, 1 / n_pieces), size=n_draws)
    low, high = np.percentile(balanced_accuracy(times @ right, times @ total), [2.5, 97.5])
    return float(low), float(high)


# --- How far register alone tells the voices apart, where it is not taken away


def register_features(grids: Sequence[voices.VoiceGrid]) -> dict[str, Features]:
    """Describe each voice of each piece by its mean pitch, for the task "voice".

    The task itself levels all lines; this is what it would be worth without.

    Args:
        grids: chorales of four voices.

    Returns:
        ``Features`` of the task "voice" with one number, a MIDI pitch. Voices that never sing are left out.

    Raises:
        ValueError: no grids, or none in which a voice sings.
        TypeError: grids that are none.

    Chapter: 1a.
    """
    check_grids(grids)
    rows = [
        (float(line[line != voices.REST].mean()), voice, piece)
        for piece, grid in enumerate(grids)
        for voice, line in enumerate(grid.pitch.T)
        if (line != voices.REST).any()
    ]
    if not rows:
        raise ValueError(f"A register needs a voice that sings; found rests alone in {len(grids)} pieces.")
    mean, voice, piece = np.array(rows).T
    values = mean[:, None].astype(np.float32)
    return {"voice": Features("voice", voices.SATB, values, voice.astype(int), piece.astype(int), len(grids))}


# --- Retrieval of the same hymn: which pieces lie near each other?


@dataclass(frozen=True)
class Retrieval:
    """How near the first other setting of the same hymn stands, over all pieces that have one.

    Attributes:
        n_queries: pieces that have another setting of their hymn, each asked once.
        n_candidates: pieces among which it is looked for.
        mean_reciprocal_rank: one over the rank of the nearest right one, averaged (MRR).
        recall_at_1: share of queries whose nearest piece is right.
        recall_at_10: share with a right one among the nearest ten.
        chance_mean_reciprocal_rank: what a random order gives on average.
        chance_recall_at_1: the same.
        chance_recall_at_10: the same.

    Chapter: 1a, 4d.
    """

    n_queries: int
    n_candidates: int
    mean_reciprocal_rank: float
    recall_at_1: float
    recall_at_10: float
    chance_mean_reciprocal_rank: float
    chance_recall_at_1: float
    chance_recall_at_10: float

    def row(self) -> dict[str, object]:
        """Return everything by name, for a table or a JSON file."""
        return {"task": "hymn", **asdict(self)}


def retrieve(features: Features, queries: Sequence[int] | None = None) -> Retrieval:
    """Look for other settings of the same hymn by the cosine of pooled features.

    A piece is the mean of its windows. No label is used: features are standardised over all pieces, since the mean that
    all share would make every cosine about 1.

    Args:
        features: of the task "hymn", of all pieces that may be found.
        queries: indices of the pieces that are asked for; None for all. Those without another setting are not asked.

    Raises:
        ValueError: the features belong to another task, a query was not described, or no query has another setting.

    Chapter: 1a, 4d.
    """
    if features.task != "hymn":
        raise ValueError(f"Retrieval needs the features of the task 'hymn'; found those of {features.task!r}.")
    if queries is not None and features.n_pieces is not None:
        check_pieces_exist(queries, features.n_pieces)
    vectors, hymn, pieces = _piece_vectors(features)
    is_relevant = hymn[:, None] == hymn[None]
    np.fill_diagonal(is_relevant, False)
    asked = is_relevant.any(axis=1) & (np.isin(pieces, queries) if queries is not None else True)
    if not asked.any():
        raise ValueError("Retrieval needs a piece with another setting of its hymn among the pieces; found none.")
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    rank = best_ranks(cosine[asked], is_relevant[asked])
    n_candidates = len(pieces) - 1
    chance = np.array([_chance(int(n), n_candidates) for n in is_relevant[asked].sum(axis=1)]).mean(axis=0)
    return Retrieval(
        n_queries=int(asked.sum()),
        n_candidates=n_candidates,
        mean_reciprocal_rank=float((1 / rank).mean()),
        recall_at_1=float((rank <= 1).mean()),
        recall_at_10=float((rank <= 10).mean()),
        chance_mean_reciprocal_rank=float(chance[0]),
        chance_recall_at_1=float(chance[1]),
        chance_recall_at_10=float(chance[2]),
    )


def best_ranks(
    likeness: Float[np.ndarray, "n_queries n_pieces"], is_relevant: np.ndarray
) -> Int[np.ndarray, " n_queries"]:
    """Return the rank, from 1, of the nearest relevant piece of each query.

    Args:
        likeness: larger is nearer; a tie counts against the relevant piece.
        is_relevant: bool of that shape, at least one in each row.

    Example:
        >>> best_ranks(np.array([[0.9, 0.5, 0.7]]), np.array([[False, True, True]])).tolist()
        [2]

    Chapter: 1a, 4d.
    """
    best = np.where(is_relevant, likeness, -np.inf).max(axis=1, keepdims=True)
    return ((likeness >= best) & ~is_relevant).sum(axis=1) + 1


def _piece_vectors(features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one standardised vector of length 1, the hymn, and the index of each piece."""
    pieces, first, row = np.unique(features.piece, return_index=True, return_inverse=True)
    sums = np.zeros((len(pieces), features.values.shape[1]))
    np.add.at(sums, row, features.values)
    means = sums / np.bincount(row)[:, None]
    spread = means.std(axis=0)
    vectors = (means - means.mean(axis=0)) / np.where(spread > 1e-8, spread, 1.0)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-12), features.label[first], pieces


def _chance(n_relevant: int, n_candidates: int) -> tuple[float, float, float]:
    """Return the expected reciprocal rank, recall at 1 and at 10 of a random order."""
    orders = math.comb(n_candidates, n_relevant)
    first_at = [
        math.comb(n_candidates - rank, n_relevant - 1) / orders for rank in range(1, n_candidates - n_relevant + 2)
    ]
    reciprocal = sum(share / rank for rank, share in enumerate(first_at, start=1))
    return reciprocal, first_at[0], sum(first_at[:10])


# --- The probe itself: draw labelled pieces, fit, answer on the test pieces; and all probes of one encoder


def probe(
    features: Mapping[str, Features],
    task: str,
    split: PieceSplit,
    budget: int | None,
    generator: np.random.Generator,
) -> ProbeResult:
    """Ask how well a linear classifier answers a task from frozen features.

    Everything is decided on the labelled pieces: means and deviations, the penalty (some of them are left out for
    that), the weights. The test pieces are looked at once. Where the labelled pieces do not show a class, it is never
    answered, and its examples in the test count as wrong; where they show a single one, that is always answered.

    Args:
        features: by task, from ``encoder_features``, ``handmade_features`` or ``make_features``.
        task: which of them.
        split: which pieces may be labelled and which are tested.
        budget: how many pieces are labelled; None for all.
        generator: draws the labelled pieces, then the range. The same state gives the same for every encoder, and
            nested draws for all budgets.

    Raises:
        ValueError: an unknown task, one without features, or "hymn"; fewer pieces with labels than the budget, or
            none; no test piece with labels; a piece of the split that was not described (where the features say how
            many were). A piece that does not say the answer is passed over.

    Chapter: 1a.
    """
    chosen = _features_of(features, task)
    if not chosen.classes:
        raise ValueError(f"The task {task!r} is retrieval and has no classes to probe. Use probing.retrieve.")
    if chosen.n_pieces is not None:
        check_pieces_exist((*split.labelled, *split.test), chosen.n_pieces)
    labelled, is_labelled, is_test = choose_examples(chosen, split, budget, generator)
    values, label = chosen.values[is_labelled], chosen.label[is_labelled]
    # Pieces are left out in the order drawn, so that the parts do not depend on how the corpus is sorted.
    place = np.argsort(np.argsort(labelled))[np.searchsorted(np.sort(labelled), chosen.piece[is_labelled])]
    l2 = choose_l2(values, label, place)
    predicted = fit_linear_probe(values, label, l2).predict(chosen.values[is_test])
    return score_answers(chosen, is_labelled, is_test, predicted, budget, labelled, l2, generator)


def choose_examples(
    asked: Features | Examples, split: PieceSplit, budget: int | None, generator: np.random.Generator
) -> tuple[list[int], Bool[np.ndarray, " n_examples"], Bool[np.ndarray, " n_examples"]]:
    """Draw the labelled pieces, and say which examples are theirs and which are tested: some of each.

    Args:
        asked: the examples of a task, with their pieces.
        split: which pieces may be labelled and which are tested.
        budget: how many pieces are labelled; None for all.
        generator: draws them.

    Returns:
        The labelled pieces in the order drawn; where an example is of one of them; where it is of a test piece.

    Raises:
        ValueError: fewer pieces with labels than the budget, or none; no test piece with labels.

    Chapter: 1a.
    """
    labelled = draw_labelled(split, np.unique(asked.piece), budget, generator)
    is_test = np.isin(asked.piece, split.test)
    if not is_test.any():
        raise ValueError(f"A probe needs test pieces with labels for {asked.task!r}; found none in the split.")
    return labelled, np.isin(asked.piece, labelled), is_test


def score_answers(
    asked: Features,
    is_labelled: np.ndarray,
    is_test: np.ndarray,
    predicted: Int[np.ndarray, " n_test"],
    budget: int | None,
    labelled: Sequence[int],
    l2: float | None,
    generator: np.random.Generator,
) -> ProbeResult:
    """Compare answers with the right ones.

    Args:
        asked: labels and pieces of all examples.
        is_labelled: bool (n_examples,), which were used for fitting.
        is_test: bool (n_examples,), which are tested; some, see ``choose_examples``.
        predicted: the answers to those.
        budget: how many labelled pieces were asked for.
        labelled: which they are.
        l2: the penalty that was chosen, if there is one.
        generator: source of chance for the range.

    Chapter: 1a.
    """
    label, fitted_to = asked.label[is_test], asked.label[is_labelled]
    right, total = count_answers(label, predicted, asked.piece[is_test], len(asked.classes))
    low, high = bootstrap_range(right, total, generator)
    return ProbeResult(
        task=asked.task,
        budget=budget,
        labelled_pieces=tuple(labelled),
        n_labelled_examples=len(fitted_to),
        n_classes_seen=len(np.unique(fitted_to)),
        n_test_examples=len(label),
        l2=l2,
        balanced_accuracy=float(balanced_accuracy(right.sum(axis=0), total.sum(axis=0))),
        low=low,
        high=high,
        chance=1 / len(np.unique(label)),
        accuracy=float(np.mean(label == predicted)),
        majority_accuracy=float(np.mean(label == np.bincount(fitted_to).argmax())),
    )


def probe_all(
    features: Mapping[str, Features],
    split: PieceSplit,
    budgets: Iterable[int | None] = BUDGETS,
    n_draws: int = 5,
    seed: int = 0,
) -> list[dict[str, object]]:
    """Ask every task that has features, with every budget and several draws of the labelled pieces.

    Draw number d of every encoder labels the same pieces. With all pieces labelled there is one draw.

    Args:
        features: by task, of all pieces of the split.
        split: which pieces may be labelled and which are tested.
        budgets: how many labelled pieces; None for all.
        n_draws: how often labelled pieces are drawn for each budget.
        seed: source of chance.

    Returns:
        One row a task, budget and draw, as ``ProbeResult.row`` with "draw"; and for "hymn" one row as
        ``Retrieval.row``.

    Raises:
        ValueError: as ``probe``.

    Chapter: 1a.
    """
    budgets = list(budgets)
    rows: list[dict[str, object]] = []
    for task in features:
        if not _features_of(features, task).classes:
            rows.append(retrieve(features[task], split.test).row())
            continue
        for budget in budgets:
            for draw in range(1 if budget is None else n_draws):
                found = probe(features, task, split, budget, np.random.default_rng([seed, draw]))
                rows.append({"draw": draw, **found.row()})
    return rows


def _features_of(features: Mapping[str, Features], task: str) -> Features:
    """Return the features of a task, or say which there are."""
    find_task(task)
    if task not in features:
        raise ValueError(
            f"There are no features of the task {task!r}; there are those of {', '.join(features) or 'none'}. Ask for "
            "them when the features are made."
        )
    return features[task]


# --- Fine-tuning beside probing: a copy of the encoder learns on, with a linear output layer, from the labelled pieces

#: A short training; the labelled pieces are few.
FINE_TUNING = TrainingConfig(n_updates=100, learning_rate=1e-3, n_warmup_updates=10, precision="auto", report_every=100)
_N_VIEWS_FINE_TUNING = 8


@dataclass(frozen=True)
class LabelledBatch:
    """Views with the examples in them.

    Attributes:
        frames: int64 (n_views, n_steps, 4), symbol ids.
        is_hidden: bool (n_views, n_steps, 4).
        is_padding: bool (n_views, n_steps).
        first_step: int64 (n_views,), where in its piece each view begins.
        view: int64 (n_examples,), the row in which each example is seen.
        step: int64 (n_examples,), its step, or ``WHOLE_VIEW``.
        label: int64 (n_examples,), its class.
        weight: float32 (n_examples,), what it counts.

    Chapter: 1a.
    """

    frames: Int[np.ndarray, "n_views n_steps 4"]
    is_hidden: Bool[np.ndarray, "n_views n_steps 4"]
    is_padding: Bool[np.ndarray, "n_views n_steps"]
    first_step: Int[np.ndarray, " n_views"]
    view: Int[np.ndarray, " n_examples"]
    step: Int[np.ndarray, " n_examples"]
    label: Int[np.ndarray, " n_examples"]
    weight: Float[np.ndarray, " n_examples"]


class Classifier(nn.Module):
    """An encoder and a linear output layer that begins at zero.

    Args:
        encoder: describes each step.
        n_classes: how many answers there are.

    Chapter: 1a.
    """

    def __init__(self, encoder: FrameEncoder, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        with torch.random.fork_rng(devices=[]):
            self.to_classes = nn.Linear(encoder.config.d_model, n_classes)
        nn.init.zeros_(self.to_classes.weight)
        nn.init.zeros_(self.to_classes.bias)

    def forward(self, batch: LabelledBatch) -> Float[Tensor, "n_examples n_classes"]:
        """Score the classes for each example.

        Args:
            batch: what is shown, and where the examples are.
        """
        device = self.to_classes.weight.device
        arrays = (batch.frames, batch.is_hidden, batch.is_padding, batch.first_step, batch.view, batch.step)
        frames, is_hidden, is_padding, first_step, view, step = (torch.from_numpy(each).to(device) for each in arrays)
        features = self.encoder(frames, is_hidden, is_padding if batch.is_padding.any() else None, first_step)
        whole = pool(features, is_padding)[view]
        read = torch.where((step == WHOLE_VIEW)[:, None], whole, features[view, step.clamp(min=0)])
        return self.to_classes(read)


def classification(model: Classifier, batch: LabelledBatch) -> tuple[Float[Tensor, ""], int]:
    """Return the weighted cross-entropy of a batch in nats, and how many examples it has.

    Args:
        model: scores the classes.
        batch: the examples.

    Chapter: 1a.
    """
    logits = model(batch).float()
    label, weight = (torch.from_numpy(each).to(logits.device) for each in (batch.label, batch.weight))
    nats = nn.functional.cross_entropy(logits, label, reduction="none")
    return (nats * weight).sum() / weight.sum(), len(batch.label)


def fine_tune(
    encoder: nn.Module,
    task: str,
    grids: Sequence[voices.VoiceGrid],
    split: PieceSplit,
    budget: int | None,
    generator: np.random.Generator,
    config: TrainingConfig = FINE_TUNING,
) -> ProbeResult:
    """Train a copy of an encoder, with a linear output layer, on labelled pieces, and test it.

    Every class that occurs in the labelled pieces weighs the same, as in a linear probe. There is no early stopping:
    the number of updates is part of the setting, so that no test piece can choose it.

    Args:
        encoder: a FrameEncoder or a network with one as ``.encoder``; it is not changed. A fresh one gives the network
            trained from scratch.
        task: name of a task with classes.
        grids: all pieces of the split.
        split: which pieces may be labelled and which are tested.
        budget: how many pieces are labelled; None for all.
        generator: draws the labelled pieces as ``probe`` does, then the range. The batches come from ``config.seed``.
        config: how to train.

    Raises:
        ValueError: as ``probe``, or the task "beat" for a network that is told it.
        TypeError: not an encoder, or grids that are none.

    Chapter: 1a.
    """
    network = getattr(encoder, "encoder", encoder)
    if not isinstance(network, FrameEncoder):
        raise TypeError(
            f"Fine-tuning needs a FrameEncoder or a network with one as .encoder; found {type(encoder).__name__}."
        )
    showing = find_task(task).showing
    check_not_told([task], network.config.cycle_length)
    check_grids(grids)
    check_pieces_exist((*split.labelled, *split.test), len(grids))
    views = EXCERPTS[showing](grids)
    examples = ask(task, grids, views)
    if not examples.classes:
        raise ValueError(f"The task {task!r} is retrieval and has no classes to learn. Use probing.retrieve.")
    labelled, is_labelled, is_test = choose_examples(examples, split, budget, generator)
    model = Classifier(copy.deepcopy(network), len(examples.classes))
    batches = labelled_batches(examples, views, is_labelled, np.random.default_rng(config.seed))
    train(model, batches, config, objective=classification, report=None)
    predicted = _predict(model, examples, views, is_test)
    asked = Features(
        task, examples.classes, np.zeros((len(examples.label), 1), np.float32), examples.label, examples.piece
    )
    return score_answers(asked, is_labelled, is_test, predicted, budget, labelled, None, generator)


def labelled_batches(
    examples: Examples, views: Sequence[Excerpt], is_labelled: np.ndarray, generator: np.random.Generator
) -> Iterator[LabelledBatch]:
    """Draw batches of labelled views without end.

    All views are seen once, in a drawn order, before any is seen again.

    Args:
        examples: the questions of a task.
        views: what is shown.
        is_labelled: bool (n_examples,), which may be used; some of them.
        generator: source of chance.

    Chapter: 1a.
    """
    share = np.bincount(examples.label[is_labelled], minlength=int(examples.label.max()) + 1)
    weight = (is_labelled.sum() / np.maximum(share, 1)).astype(np.float32)[examples.label]
    usable = np.unique(examples.view[is_labelled])
    rest = np.empty(0, np.int64)
    while True:
        while len(rest) < _N_VIEWS_FINE_TUNING:
            rest = np.concatenate([rest, generator.permutation(usable)])
        chosen, rest = np.unique(rest[:_N_VIEWS_FINE_TUNING]), rest[_N_VIEWS_FINE_TUNING:]
        yield _batch(examples, views, chosen, is_labelled, weight)


def _batch(
    examples: Examples, views: Sequence[Excerpt], chosen: np.ndarray, is_used: np.ndarray, weight: np.ndarray
) -> LabelledBatch:
    """Put chosen views side by side, padded at their ends, with the examples in them."""
    n_steps = max(len(views[index].frames) for index in chosen)
    frames = np.zeros((len(chosen), n_steps, 4), np.int64)
    is_hidden, is_padding = np.zeros(frames.shape, bool), np.ones(frames.shape[:2], bool)
    for row, index in enumerate(chosen):
        shown = slice(len(views[index].frames))
        frames[row, shown], is_hidden[row, shown] = views[index].frames, views[index].is_hidden
        is_padding[row, shown] = False
    used = np.flatnonzero(is_used & np.isin(examples.view, chosen))
    return LabelledBatch(
        frames,
        is_hidden,
        is_padding,
        np.array([views[index].start_step for index in chosen]),
        np.searchsorted(chosen, examples.view[used]),
        examples.step[used],
        examples.label[used],
        weight[used],
    )


@torch.no_grad()
def _predict(model: Classifier, examples: Examples, views: Sequence[Excerpt], is_test: np.ndarray) -> np.ndarray:
    """Return the likeliest class of each test example, in order."""
    predicted = np.zeros(len(examples.label), np.int64)
    tested = np.unique(examples.view[is_test])
    for start in range(0, len(tested), _N_VIEWS_FINE_TUNING):
        chosen = tested[start : start + _N_VIEWS_FINE_TUNING]
        batch = _batch(examples, views, chosen, is_test, np.ones(len(examples.label), np.float32))
        used = np.flatnonzero(is_test & np.isin(examples.view, chosen))
        predicted[used] = model(batch).argmax(dim=1).cpu().numpy()
    return predicted[is_test]
