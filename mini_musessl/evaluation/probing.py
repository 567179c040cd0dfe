"""Probing: what do the features of a frozen network hold? A small classifier is fitted with few labels.

The encoder does not learn from the probe's labels, the classifier is linear, and what is labelled are a few whole
pieces: 1, 5, 10, 50 or all. What is found counts only beside what the same classifier finds in features that nobody
learned: ``count_features``, or a network with its first weights. And only where the answers are new: an encoder that a
harmony head trained, or that was given which pieces set one hymn, has seen the very answers of "chord" or "hymn"; a
table must mark such rows.

The questions are those of ``probe_tasks``. ``retrieve`` looks for the same hymn without any label; ``fine_tuning``
measures the network that may learn on.

>>> from mini_musessl import voices
>>> grids = [voices.from_pitches([[72, 67, 64, 48]] * 96, fifths=0), voices.from_pitches([[74] * 4] * 96, fifths=2)]
>>> features = handmade_features(grids * 2, ["key signature"])
>>> result = probe(features, "key signature", PieceSplit((0, 1), (2, 3)), None, np.random.default_rng(0))
>>> result.balanced_accuracy, result.chance
(1.0, 0.5)

Chapter: 1a (learning without labels).
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.random import Generator
from torch import Tensor, nn

from mini_musessl import corpora, harmony, voices
from mini_musessl.checks import (
    check_choice,
    check_generator,
    check_positive,
    check_some,
    check_trained_length,
    whole_number,
)
from mini_musessl.evaluation.probe_tasks import EXCERPTS, TASKS, WHOLE_EXCERPT, Examples, Excerpt, ask, find_task
from mini_musessl.network.encoder import FrameEncoder
from mini_musessl.network.frames import FrameTransformer
from mini_musessl.network.transformer import evaluation_mode, to_device_of
from mini_musessl.tokenizers.voice_grid import TOKENS
from mini_musessl.training.loop import choose_precision

Grids = Sequence[voices.VoiceGrid]
Tasks = Sequence[str] | None  # names of tasks; None for all
Values = Float[np.ndarray, "n_examples d_features"]
Labels = Int[np.ndarray, " n_examples"]
Counts = Int[np.ndarray, "*rows n_classes"]
Frames, Cells = Int[np.ndarray, "batch n_steps 4"], Bool[np.ndarray, "batch n_steps 4"]
Described = Float[np.ndarray, "batch n_steps d_features"]

# --- Features that a musician might count: what a network that learns must beat

BEAT_STEP = 4
#: The largest interval of each class of melodic steps, in semitones: second, third, fourth and fifth, sixth and more.
_INTERVAL_EDGES = (1, 2, 4, 7, 127)


def count_features(frames: Frames, is_hidden: Cells) -> Described:
    """Describe each step by 93 numbers that can be counted around it; nothing is learned.

    For the beat that begins at the step: its chroma, that of the beat before and of the beat after; the bass's pitch
    class; the intervals between the voices at the step, octaves aside; the melodic intervals, by size and direction;
    new pitches by voice, and all together in the three beats; how many voices move at the step, and whether all that
    sound do; how long no voice has moved, and for how long none will; the chroma of the step itself. A hidden cell
    counts as absent.
    """
    sounds, pitch = (frames > 0) & ~is_hidden, frames + TOKENS.lowest_pitch - 1
    chroma = (_one_hot(pitch % 12, 12) * sounds[..., None]).sum(axis=2)
    lowest = np.where(sounds, pitch, 999).min(axis=2)
    upper, lower = np.triu_indices(frames.shape[2], 1)
    apart = _one_hot((pitch[..., upper] - pitch[..., lower]) % 12, 12)
    interval, is_new = np.zeros(pitch.shape, np.int64), np.zeros(pitch.shape, bool)
    interval[:, 1:] = np.diff(pitch, axis=1) * (sounds[:, 1:] & sounds[:, :-1])
    is_new[:, 1:] = (interval[:, 1:] != 0) | (sounds[:, 1:] & ~sounds[:, :-1])
    by_size = _one_hot(np.searchsorted(_INTERVAL_EDGES, np.abs(interval)), 5)
    n_new = is_new.sum(axis=2, keepdims=True)
    moves = n_new[..., 0] > 0
    parts = [
        *(_shares(_sum_ahead(chroma, first)) for first in (0, -BEAT_STEP, BEAT_STEP)),
        _one_hot(lowest % 12, 12) * (lowest < 999)[..., None],
        (apart * (sounds[..., upper] & sounds[..., lower])[..., None]).sum(axis=2),
        *(_sum_ahead((by_size * (np.sign(interval) == way)[..., None]).sum(axis=2), 0) for way in (1, -1)),
        _sum_ahead(is_new, 0),
        *(_sum_ahead(n_new, first) for first in (0, -BEAT_STEP, BEAT_STEP)),
        n_new,
        n_new == sounds.sum(axis=2, keepdims=True),
        _since(moves)[..., None],
        _since(np.roll(moves[:, ::-1], 1, axis=1))[:, ::-1, None],
        _shares(chroma),
    ]
    return np.concatenate([part.astype(np.float32) for part in parts], axis=2)


def _one_hot(values: np.ndarray, size: int) -> np.ndarray:
    return (values[..., None] == np.arange(size)).astype(np.float32)


def _sum_ahead(values: np.ndarray, first: int) -> np.ndarray:
    """Return for each step the sum over a beat of steps that begins ``first`` steps later; nothing is outside."""
    n_steps = values.shape[1]
    sums = np.concatenate([np.zeros_like(values[:, :1], np.float32), values.cumsum(axis=1)], axis=1)
    start = np.arange(n_steps) + first
    return sums[:, np.clip(start + BEAT_STEP, 0, n_steps)] - sums[:, np.clip(start, 0, n_steps)]


def _shares(counts: np.ndarray) -> np.ndarray:
    """Divide by the sum, or leave zeros where nothing is."""
    return counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)


def _since(is_event: np.ndarray) -> np.ndarray:
    """Return how many steps ago the latest event was, at most eight; the first step counts as one."""
    step = np.arange(is_event.shape[1])
    return np.minimum(step - np.maximum.accumulate(np.where(is_event, step, 0), axis=1), 8)


# --- The linear probe: multinomial logistic regression on standardised features

#: The penalties to choose from, the strongest first; and the one where there is a single labelled piece to choose by.
PENALTIES, LONE_PENALTY = (10.0, 1.0, 0.1, 0.01, 0.001), 0.1


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A fitted classifier."""

    mean: Float[np.ndarray, " d_features"]  # subtracted from the features
    scale: Float[np.ndarray, " d_features"]  # divides them then
    weight: Float[np.ndarray, "d_features n_seen"]
    bias: Float[np.ndarray, " n_seen"]
    seen: Int[np.ndarray, " n_seen"]  # the classes that it can answer, in order

    def log_probs(self, values: Values) -> Float[np.ndarray, "n_examples n_seen"]:
        """Return the logarithm of the probability of each class that was seen."""
        logits = (values - self.mean) / self.scale @ self.weight + self.bias
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def predict(self, values: Values) -> Labels:
        """Return the likeliest class of each example."""
        return self.seen[self.log_probs(values).argmax(axis=1)]


def penalised_nats(weights: Tensor, x: Tensor, wanted: Tensor, share: Tensor, l2: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a probe minimises, and its gradient, which has the shape of the weights (d_features, n_classes).

    ``wanted`` is 1 at the right class, ``share`` (n_examples, 1) is what an example counts, ``l2`` (d_features, 1) the
    penalty of a feature. A feature that is always 1 has the bias as its weights.
    """
    log_probs = (x @ weights).log_softmax(dim=1)
    nats = -(log_probs * wanted).sum(dim=1, keepdim=True)
    gradient = x.T @ ((log_probs.exp() - wanted) * share) + l2 * weights
    return (share * nats).sum() + (l2 * weights.square()).sum() / 2, gradient


def fit_linear_probe(
    values: Values, label: Labels, l2: float, start: LinearProbe | None = None, tolerance: float = 1e-6
) -> LinearProbe:
    r"""Fit a multinomial logistic regression, to its optimum, in float64.

    With standardised features $x$, weights $W$ and bias $b$ it minimises

    $$\frac{1}{K} \sum_{k=1}^{K} \frac{1}{n_k} \sum_{i:\, y_i = k} -\log p(k \mid x_i) + \frac{\lambda}{2} \|W\|^2,$$

    where $K$ classes occur, the k-th $n_k$ times, and $\lambda$ is ``l2``. The problem is convex: the answer depends on
    no chance, and to ``start`` at a probe of the same examples changes nothing but speed. ``tolerance`` is the largest
    entry of the gradient at which to stop. A feature that is the same everywhere gets no weight.
    """
    check_some(len(values), "A probe is fitted to at least one labelled example", "Do the pieces have labels?")
    check_positive("The penalty l2", l2)
    values = values.astype(np.float64)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.where(spread > 1e-8, spread, 1.0)
    seen, target = np.unique(label, return_inverse=True)
    weight, bias = _optimum((values - mean) / scale, target, l2, start, tolerance)
    return LinearProbe(mean, scale, weight, bias, seen)


def _optimum(
    x: np.ndarray, target: np.ndarray, l2: float, start: LinearProbe | None, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise the penalised nats with L-BFGS.

    The weights are written along the features' principal axes and rescaled so that the curvature is about equal in all
    directions (preconditioning): same optimum, reached in two thirds of the time.
    """
    n_seen = int(target.max()) + 1
    share = 1 / (n_seen * np.bincount(target)[target])
    curvature, axes = np.linalg.eigh(x.T @ (x * share[:, None]))
    unit = 1 / np.sqrt(np.maximum(curvature, 0) / n_seen + l2)
    units = torch.from_numpy(np.append(unit, np.sqrt(n_seen)))[:, None]
    penalty = l2 * units.square()
    penalty[-1] = 0.0  # of the bias
    wanted, weight_of = torch.from_numpy(np.eye(n_seen)[target]), torch.from_numpy(share)[:, None]
    rows = torch.from_numpy(np.concatenate([x @ axes, np.ones((len(x), 1))], axis=1)) * units.T
    weights = torch.zeros(rows.shape[1], n_seen, dtype=torch.float64)
    if start is not None:
        weights += torch.from_numpy(np.concatenate([axes.T @ start.weight, start.bias[None]])) / units
    limits = {"max_iter": 300, "tolerance_grad": tolerance, "tolerance_change": 1e-9}
    optimizer = torch.optim.LBFGS([weights], **limits, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        nats, weights.grad = penalised_nats(weights, rows, wanted, weight_of, penalty)
        return nats

    optimizer.step(loss)
    found = (weights * units).numpy()
    return axes @ found[:-1], found[-1].copy()


def choose_l2(values: Values, label: Labels, piece: Labels) -> float:
    """Choose the penalty with the fewest nats on labelled pieces that are left out, each class weighing the same.

    All examples of a piece are on one side. Up to twelve pieces, each of four parts is left out once; with more, a
    quarter is left out once. Classes that the rest does not show do not count.
    """
    pieces = np.unique(piece)
    if len(pieces) == 1 or len(np.unique(label)) == 1:
        return LONE_PENALTY
    part = np.searchsorted(pieces, piece) % min(4, len(pieces))
    left_out = range(part.max() + 1) if len(pieces) <= 12 else range(1)
    nats = np.nansum([_nats_by_penalty(values, label, part == number) for number in left_out], axis=0)
    return PENALTIES[int(nats.argmin())] if nats.any() else LONE_PENALTY


def _nats_by_penalty(values: np.ndarray, label: np.ndarray, is_left_out: np.ndarray) -> np.ndarray:
    """Return the nats of each penalty on the examples left out; nan where none can be scored."""
    known = np.unique(label[~is_left_out])
    is_scored = is_left_out & np.isin(label, known)
    if len(known) < 2 or not is_scored.any():
        return np.full(len(PENALTIES), np.nan)
    target = np.searchsorted(known, label[is_scored])
    weight = 1 / np.bincount(target, minlength=len(known))[target]
    nats, fitted = [], None
    for l2 in PENALTIES:
        fitted = fit_linear_probe(values[~is_left_out], label[~is_left_out], l2, fitted, 1e-4)  # near enough to choose
        chosen = fitted.log_probs(values[is_scored])[np.arange(len(target)), target]
        nats.append(-(weight * chosen).sum() / weight.sum())
        if nats[-1] > 1.1 * min(nats):  # weaker penalties overfit more
            break
    return np.array(nats + [nats[-1]] * (len(PENALTIES) - len(nats)))


# --- Which pieces may be labelled and which are tested; how few of them are labelled


@dataclass(frozen=True)
class PieceSplit:
    """Pieces by what a probe may do with them; indices."""

    labelled: tuple[int, ...]  # from which labelled ones are drawn, for fitting and for every choice
    test: tuple[int, ...]  # looked at once, at the end

    def __post_init__(self) -> None:
        for name in ("labelled", "test"):
            pieces = tuple(whole_number(f"A piece of {name}", piece, lowest=0) for piece in getattr(self, name))
            check_some(len(pieces), f"A split for probing needs pieces in {name}")
            object.__setattr__(self, name, pieces)
        piece, n_times = Counter(self.labelled + self.test).most_common(1)[0]
        if n_times > 1:
            raise ValueError(
                f"Each piece of a split must stand in it once, labelled or tested; found piece {piece} more than once. "
                "A probe that has seen a test piece proves nothing."
            )


def join_parts(
    parts: Mapping[str, Grids], labelled: str = "train", test: str = "test", keeps_melodies_apart: bool = False
) -> tuple[list[voices.VoiceGrid], PieceSplit]:
    """Put two parts of a split into one list, the labelled one first, and return the list and the split.

    The parts are those of ``corpora.rebuilt_split()`` or ``corpora.melody_disjoint_split()``. No piece may be in both,
    nor, with ``keeps_melodies_apart``, a hymn.
    """
    for name in (labelled, test):
        check_choice("A part of the split", name, parts)
    grids, n_labelled = [*parts[labelled], *parts[test]], len(parts[labelled])
    split = PieceSplit(tuple(range(n_labelled)), tuple(range(n_labelled, len(grids))))
    keys = {"notes": [grid.pitch.tobytes() for grid in grids]}
    if keeps_melodies_apart:
        keys["melody"] = corpora.melody_groups(grids).tolist()
    for what, key in keys.items():
        known = set(key[:n_labelled])
        if shared := [grids[i] for i in split.test if key[i] in known]:
            raise ValueError(
                f"No test piece may have the {what} of a labelled piece; {len(shared)} of {len(split.test)} do, first "
                f"{shared[0].name or 'one without a name'}. Was one part cut from the other? "
                "corpora.melody_disjoint_split keeps melodies apart."
            )
    return grids, split


def draw_labelled(split: PieceSplit, has_labels: Labels, budget: int | None, generator: Generator) -> list[int]:
    """Draw ``budget`` pieces to label, or all, out of those that have labels for the task.

    All pieces are put into one drawn order, and the first that have labels are taken: generators in the same state give
    nested draws for all budgets, and the same draws for every encoder.
    """
    check_generator(generator, "probe")
    order = np.array(split.labelled)[generator.permutation(len(split.labelled))]
    order = order[np.isin(order, has_labels)]
    n_labelled = max(len(order), 1) if budget is None else whole_number("budget", budget, lowest=1)
    if n_labelled > len(order):
        raise ValueError(
            f"Of the {len(split.labelled)} pieces to label, {n_labelled} must have labels for the task; found "
            f"{len(order)}. Ask for fewer, for all with budget=None, or for another task."
        )
    return order[:n_labelled].tolist()


# --- Features of the examples of every task: from a frozen encoder, from an autoregressive network, or counted by hand

#: From frames, what is hidden, and where in its piece each excerpt begins (batch,), to a description of each step.
Describer = Callable[[Frames, Cells, np.ndarray], Described]


@dataclass(frozen=True, eq=False)
class Features:
    """What is known about each example of a task, and the right answers."""

    task: str
    classes: tuple[str, ...]  # names of the answers
    values: Values
    label: Labels  # the right answer
    piece: Labels  # index of the chorale
    n_pieces: int | None = None  # chorales described, with those that have no label; None where unknown

    def __post_init__(self) -> None:
        if not np.isfinite(self.values).all():
            raise ValueError("Features must be finite numbers; found others. Did the network diverge?")


def encoder_features(
    model: nn.Module, grids: Grids, tasks: Tasks = None, precision: str = "auto"
) -> dict[str, Features]:
    """Describe the examples of tasks by a network that is not changed: what ``describe_by`` takes.

    Where its training asked for the answers (a harmony head for "chord", settings of a hymn for "hymn"), mark the row.
    """
    check_not_told(TASKS if tasks is None else tasks, network_of(model, FrameEncoder, FrameTransformer))
    return make_features(describe_by(model, precision), grids, tasks)


def handmade_features(grids: Grids, tasks: Tasks = None) -> dict[str, Features]:
    """Describe the examples of tasks by what a musician might count, see ``count_features``."""
    return make_features(lambda frames, is_hidden, first_step: count_features(frames, is_hidden), grids, tasks)


def make_features(describe: Describer, grids: Grids, tasks: Tasks = None) -> dict[str, Features]:
    """Describe the examples of tasks by any describer; what several tasks show is described once."""
    if isinstance(tasks, str):
        raise TypeError(f"Tasks come in a list of names; found the text {tasks!r}. Write [{tasks!r}].")
    names, found = list(TASKS if tasks is None else tasks), {}
    for shown in dict.fromkeys(find_task(name).shows for name in names):
        excerpts = EXCERPTS[shown](grids)
        examples = [ask(name, grids, excerpts) for name in names if TASKS[name].shows == shown]
        described = _describe_excerpts(describe, excerpts)
        for each in examples:
            places = zip(each.excerpt.tolist(), each.step.tolist(), strict=True)
            values = [described[i].mean(axis=0) if step == WHOLE_EXCERPT else described[i][step] for i, step in places]
            values = np.stack(values).astype(np.float32)
            found[each.task] = Features(each.task, each.classes, values, each.label, each.piece, each.n_pieces)
    return {name: found[name] for name in names}


def _describe_excerpts(describe: Describer, excerpts: Sequence[Excerpt], n_at_once: int = 32) -> list[np.ndarray]:
    """Describe every step of each excerpt; those of one length are read together, the longest first."""
    described = [np.empty((0, 0))] * len(excerpts)
    length = np.array([len(each.frames) for each in excerpts])
    for n_steps in np.unique(length)[::-1]:
        places = np.flatnonzero(length == n_steps)
        for chosen in np.split(places, range(n_at_once, len(places), n_at_once)):
            rows = [(excerpts[i].frames, excerpts[i].is_hidden, excerpts[i].start_step) for i in chosen]
            for index, row in zip(chosen, describe(*map(np.stack, zip(*rows, strict=True))), strict=True):
                described[index] = row
    return described


def describe_by(model: nn.Module, precision: str = "float32") -> Describer:
    """Make a describer of a FrameEncoder, a network with one as ``.encoder``, or a FrameTransformer.

    A causal encoder describes a step from what came up to it. A FrameTransformer's description of a step is its state
    once it has read that step, before it predicts the next; hidden cells are shown to it as rests, since it has no
    symbol for hidden ones. It reads one position more than a window has steps.
    """
    network = network_of(model, FrameEncoder, FrameTransformer)
    device = next(network.parameters()).device
    number_type = choose_precision(precision, device)

    @torch.no_grad()
    def describe(frames: np.ndarray, is_hidden: np.ndarray, first_step: np.ndarray) -> np.ndarray:
        check_trained_length(model, frames.shape[1])
        shown, hidden, first = to_device_of(network, frames, is_hidden, first_step)
        is_exact = number_type == torch.float32
        with evaluation_mode(network), nullcontext() if is_exact else torch.autocast(device.type, number_type):
            if isinstance(network, FrameEncoder):
                features = network(shown, hidden, first_step=first)
            else:
                features = network.describe(shown.masked_fill(hidden, 0), first)
        return features.float().cpu().numpy()

    return describe


def network_of(model: nn.Module, *kinds: type[nn.Module]) -> nn.Module:
    """Return the network of one of some kinds that describes steps in a model."""
    network = getattr(model, "encoder", model)
    if not isinstance(network, kinds):
        raise TypeError(
            f"A {' or '.join(kind.__name__ for kind in kinds)} is needed, or a network with one as .encoder; found "
            f"{type(model).__name__}. For features of another kind give make_features a function."
        )
    return network


def check_not_told(tasks: Collection[str], network: nn.Module) -> None:
    """Refuse to probe a network for its own input."""
    if "beat" in tasks and network.config.cycle_length > 1:
        raise ValueError(
            f"The task 'beat' needs a network that is not told where it is in the bar; this one is told the index of "
            f"each step modulo {network.config.cycle_length}. Train it with cycle_length=1, or leave the task out."
        )


# --- How often the answers are right, with a confidence interval over test pieces

Asked = Features | Examples
#: The labelled pieces in the order drawn, whether each example is of one of them, and whether it is tested.
Chosen = tuple[list[int], np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ProbeResult:
    """How well a probe answers on the test pieces."""

    task: str
    budget: int | None  # how many labelled pieces were asked for; None for all, 0 for a rule that needs none
    labelled_pieces: tuple[int, ...]
    n_labelled_examples: int
    n_classes_seen: int  # of the labelled examples; the others can never be answered
    n_test_examples: int
    l2: float | None  # the penalty that was chosen; None where there is none
    balanced_accuracy: float  # mean over the classes that occur in the test of the share answered right
    low: float  # lower end of its 95 % bootstrap confidence interval over test pieces
    high: float  # upper end
    chance: float  # balanced accuracy of guessing: one over the number of classes that occur
    accuracy: float  # share of all test examples answered right
    majority_accuracy: float  # that share for the commonest class of the labelled examples, always answered


def count_answers(label: Labels, predicted: Labels, piece: Labels, n_classes: int) -> tuple[Counts, Counts]:
    """Count for each piece and class how many examples were answered right, and how many there are."""
    pieces, row = np.unique(piece, return_inverse=True)
    right, total = np.zeros((2, len(pieces), n_classes), np.int64)
    np.add.at(total, (row, label), 1)
    np.add.at(right, (row, label), label == predicted)
    return right, total


def balanced_accuracy(right: Counts, total: Counts) -> Float[np.ndarray, "*rows"] | float:
    """Return the mean over the classes that occur of the share answered right: 0.5 for one answer to all, of two."""
    n_occurring = (total > 0).sum(axis=-1)
    return (right / np.maximum(total, 1)).sum(axis=-1) / np.maximum(n_occurring, 1)


def bootstrap_interval(right: Counts, total: Counts, generator: Generator, n_draws: int = 1000) -> tuple[float, float]:
    """Return the 95 % bootstrap confidence interval of the balanced accuracy over test pieces.

    Whole pieces are drawn with replacement, as many as there are: beats of one piece are not independent. This is the
    percentile interval of Efron and Tibshirani, "An Introduction to the Bootstrap" (1993).
    """
    n_pieces = len(total)
    times = generator.multinomial(n_pieces, np.full(n_pieces, 1 / n_pieces), size=n_draws)
    low, high = np.percentile(balanced_accuracy(times @ right, times @ total), [2.5, 97.5])
    return float(low), float(high)


def choose_examples(asked: Asked, split: PieceSplit, budget: int | None, generator: Generator) -> Chosen:
    """Draw the labelled pieces of a task, and find the examples to learn from and those to be tested."""
    if not asked.classes:
        raise ValueError(f"The task {asked.task!r} is retrieval and has no classes to learn. Use probing.retrieve.")
    _check_described((*split.labelled, *split.test), asked.n_pieces)
    labelled = draw_labelled(split, np.unique(asked.piece), budget, generator)
    is_test = np.isin(asked.piece, split.test)
    check_some(is_test.sum(), f"A probe needs test pieces with labels for {asked.task!r}", "Test other pieces.")
    return labelled, np.isin(asked.piece, labelled), is_test


def score_answers(
    asked: Asked, chosen: Chosen, predicted: Labels, budget: int | None, l2: float | None, generator: Generator
) -> ProbeResult:
    """Compare the answers to the tested examples with the right ones."""
    labelled, is_labelled, is_test = chosen
    label, fitted_to = asked.label[is_test], asked.label[is_labelled]
    n_seen, n_occurring = len(np.unique(fitted_to)), len(np.unique(label))
    right, total = count_answers(label, predicted, asked.piece[is_test], len(asked.classes))
    balanced = float(balanced_accuracy(right.sum(axis=0), total.sum(axis=0)))
    low, high = bootstrap_interval(right, total, generator)
    accuracy, majority = (
        float(np.mean(label == each)) for each in (predicted, np.bincount(fitted_to, minlength=1).argmax())
    )
    scores = (balanced, low, high, 1 / n_occurring, accuracy, majority)
    return ProbeResult(asked.task, budget, tuple(labelled), len(fitted_to), n_seen, len(label), l2, *scores)


def _check_described(pieces: Sequence[int], n_pieces: int | None) -> None:
    """Refuse to ask for a piece that was not described, where it is known how many were."""
    missing = [int(piece) for piece in pieces if n_pieces is not None and not 0 <= piece < n_pieces]
    if missing:
        raise ValueError(
            f"Every piece that is asked for must be one of the {n_pieces} given, 0 to {n_pieces - 1}; found piece "
            f"{missing[0]}. Give the very list of grids that the split was made for."
        )


def probe(
    features: Mapping[str, Features], task: str, split: PieceSplit, budget: int | None, generator: Generator
) -> ProbeResult:
    """Measure how well a linear classifier solves a task from frozen features.

    Everything is decided on the labelled pieces: means and deviations, the penalty, the weights. The test pieces are
    looked at once. A class that the labelled pieces do not show is never answered, and counts as wrong in the test.

    As in ``draw_labelled``, ``budget`` pieces are labelled, None for all, and drawn by ``generator``: the same ones for
    every encoder. Then it draws the interval.
    """
    check_choice("The task", task, features, "Ask for it when the features are made.")
    asked = features[task]
    chosen = labelled, is_labelled, is_test = choose_examples(asked, split, budget, generator)
    values, label = asked.values[is_labelled], asked.label[is_labelled]
    # Pieces are left out in a drawn order, so that the parts do not depend on how the corpus is sorted.
    place = np.argsort(np.argsort(labelled))[np.searchsorted(np.sort(labelled), asked.piece[is_labelled])]
    l2 = choose_l2(values, label, place)
    predicted = fit_linear_probe(values, label, l2).predict(asked.values[is_test])
    return score_answers(asked, chosen, predicted, budget, l2, generator)


def probe_key_finder(task: str, grids: Grids, split: PieceSplit, generator: Generator) -> ProbeResult:
    """Answer "key signature" or "mode" by ``harmony.find_key``: the baseline that needs no label.

    Its profiles are ratings by listeners, so it knows music, as counts made by hand do, and nothing of these pieces.
    """
    check_choice("A task of the key finder", task, ("key signature", "mode"))
    excerpts, label_piece = EXCERPTS[find_task(task).shows](grids), find_task(task).label_piece
    asked = ask(task, grids, excerpts)
    is_test = np.isin(asked.piece, split.test)
    predicted = []
    for index in asked.excerpt[is_test]:
        window = TOKENS.decode(excerpts[index].frames)
        key = harmony.find_key(harmony.chroma(window))
        predicted.append(label_piece(replace(window, fifths=key.fifths, mode=key.mode)))
    chosen = [], np.zeros(len(is_test), bool), is_test
    return score_answers(asked, chosen, np.array(predicted), 0, None, generator)


# --- Retrieval of the same hymn: which pieces lie near each other?


@dataclass(frozen=True)
class Retrieval:
    """How near the first other setting of the same hymn stands, and where a random order puts it on average."""

    n_queries: int  # pieces that have another setting of their hymn, each asked once
    n_candidates: int  # pieces among which it is looked for
    mean_reciprocal_rank: float  # one over the rank of the nearest right one, averaged (MRR)
    recall_at_1: float  # share of queries whose nearest piece is right
    recall_at_10: float  # share with a right one among the nearest ten
    chance_mean_reciprocal_rank: float
    chance_recall_at_1: float
    chance_recall_at_10: float


def retrieve(features: Features, queries: Sequence[int] | None = None) -> Retrieval:
    """Look for other settings of the same hymn by the cosine of pooled features: those of the task "hymn".

    A piece is the mean of its windows. No label is used: features are standardised over all pieces, since the mean that
    all share would make every cosine about 1. ``queries`` are the pieces asked for, or all; those without another
    setting are not asked.
    """
    if features.task != "hymn":
        raise ValueError(f"Retrieval needs the features of the task 'hymn'; found those of {features.task!r}.")
    _check_described(() if queries is None else queries, features.n_pieces)
    pieces, first, row = np.unique(features.piece, return_index=True, return_inverse=True)
    sums = np.zeros((len(pieces), features.values.shape[1]))
    np.add.at(sums, row, features.values)
    means, hymn = sums / np.bincount(row)[:, None], features.label[first]
    spread = means.std(axis=0)
    vectors = (means - means.mean(axis=0)) / np.where(spread > 1e-8, spread, 1.0)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    is_right = (hymn[:, None] == hymn) & ~np.eye(len(hymn), dtype=bool)
    is_asked = is_right.any(axis=1) & (True if queries is None else np.isin(pieces, queries))
    check_some(is_asked.sum(), "Retrieval needs a piece with another setting of its hymn among the pieces")
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    cosine, is_right = cosine[is_asked], is_right[is_asked]
    nearest = np.where(is_right, cosine, -np.inf).max(axis=1, keepdims=True)
    rank = ((cosine >= nearest) & ~is_right).sum(axis=1) + 1  # a tie counts against it
    n_candidates = len(pieces) - 1
    by_chance = [chance_of_retrieval(int(n), n_candidates) for n in is_right.sum(axis=1)]
    found = ((1 / rank).mean(), (rank <= 1).mean(), (rank <= 10).mean(), *np.mean(by_chance, axis=0))
    return Retrieval(len(rank), n_candidates, *map(float, found))


def chance_of_retrieval(n_relevant: int, n_candidates: int) -> tuple[float, float, float]:
    """Return the expected reciprocal rank, recall at 1 and at 10 of a random order."""
    orders = math.comb(n_candidates, n_relevant)
    ranks = range(1, n_candidates - n_relevant + 2)
    first_at = [math.comb(n_candidates - rank, n_relevant - 1) / orders for rank in ranks]
    return sum(share / rank for share, rank in zip(first_at, ranks, strict=True)), first_at[0], sum(first_at[:10])
