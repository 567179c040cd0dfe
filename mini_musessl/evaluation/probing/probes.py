"""The probe itself: draw labelled pieces, fit, answer on the test pieces; and all probes of one encoder.

Chapter: 1a.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl.evaluation.probing.features import Features
from mini_musessl.evaluation.probing.logistic import choose_l2, fit_linear_probe
from mini_musessl.evaluation.probing.retrieval import retrieve
from mini_musessl.evaluation.probing.scores import ProbeResult, balanced_accuracy, bootstrap_range, count_answers
from mini_musessl.evaluation.probing.splits import BUDGETS, PieceSplit, check_pieces_exist, draw_labelled
from mini_musessl.evaluation.probing.tasks import Examples, find_task


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
