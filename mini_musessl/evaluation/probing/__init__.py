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

from mini_musessl.evaluation.probing.features import (
    Features,
    NetworkDescriber,
    encoder_features,
    handmade_features,
    make_features,
)
from mini_musessl.evaluation.probing.fine_tuning import FINE_TUNING, fine_tune
from mini_musessl.evaluation.probing.logistic import LinearProbe, choose_l2, fit_linear_probe
from mini_musessl.evaluation.probing.probes import probe, probe_all
from mini_musessl.evaluation.probing.register import register_features
from mini_musessl.evaluation.probing.retrieval import Retrieval, retrieve
from mini_musessl.evaluation.probing.scores import ProbeResult
from mini_musessl.evaluation.probing.splits import (
    BUDGETS,
    PieceSplit,
    check_melodies_apart,
    check_pieces_apart,
    join_parts,
    split_pieces,
)
from mini_musessl.evaluation.probing.tasks import TASKS, Task

__all__ = [
    "BUDGETS",
    "FINE_TUNING",
    "TASKS",
    "Features",
    "LinearProbe",
    "NetworkDescriber",
    "PieceSplit",
    "ProbeResult",
    "Retrieval",
    "Task",
    "check_melodies_apart",
    "check_pieces_apart",
    "choose_l2",
    "encoder_features",
    "fine_tune",
    "fit_linear_probe",
    "handmade_features",
    "join_parts",
    "make_features",
    "probe",
    "probe_all",
    "register_features",
    "retrieve",
    "split_pieces",
]
