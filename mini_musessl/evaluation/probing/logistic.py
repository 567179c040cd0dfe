"""Linear probes: multinomial logistic regression on standardised features.

Each class that occurs among the labelled examples weighs the same, however rare, since the measure is balanced
accuracy. A class that does not occur among them can never be answered.

Chapter: 1a.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

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
