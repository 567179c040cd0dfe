"""What a model of pitch, rhythm and harmony knows, beside chance and rules that need no learning.

Chapter: 4c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from mini_musessl import harmony, voices
from mini_musessl.harmony.chords import Sounding, label_spans
from mini_musessl.music import whole_number
from mini_musessl.objectives.attributes.batches import PiecesEndToEnd
from mini_musessl.objectives.attributes.model import AttributeModel
from mini_musessl.objectives.attributes.targets import (
    DURATION_STARTS,
    NO_TARGET,
    QUESTIONS,
    PieceAttributes,
    beat_starts,
    label_pieces,
)
from mini_musessl.objectives.devices import to_device_of
from mini_musessl.objectives.evaluation_mode import evaluation_mode


def measure_attributes(
    model: AttributeModel, pieces: Sequence[voices.VoiceGrid | PieceAttributes], n_windows: int = 16
) -> dict[str, float]:
    """Measure each head on whole pieces, every step once, beside what needs no learning.

    Pieces longer than the context are read in windows that overlap: at least half a context stands before each step
    that counts, the beginnings of pieces apart.

    Args:
        model: asked in evaluation mode, and left in the mode that it was in.
        pieces: at least one.
        n_windows: windows the network reads at once; changes nothing but speed.

    Returns:
        For each question QUESTION ("pitch", "onset", "duration", "chord") of the model's heads:

        * ``QUESTION_nats``: mean of minus the logarithm of the probability of the right answer;
        * ``QUESTION_accuracy``: share of the answers whose likeliest was right;
        * ``QUESTION_chance_nats``, ``QUESTION_chance_accuracy``: of all answers alike;
        * ``QUESTION_commonest_accuracy``: of always giving the commonest right answer of these pieces;
        * ``QUESTION_same_again_accuracy``: of the rule of ``same_again``;
        * ``QUESTION_same_again_nats``: of that rule, said with the probability that it deserves on these pieces, the
          other answers alike;

        and ``pitch_moves_accuracy``, the accuracy at cells where the next symbol is another, and ``n_steps``, how many
        steps were asked.

    Raises:
        ValueError: no pieces, another grid, or a context of one step for longer pieces.
        TypeError: pieces without onsets, such as ids.
        FloatingPointError: the scores of the network are not numbers.

    Chapter: 4c.
    """
    whole_number("n_windows", n_windows, lowest=1)
    labelled = label_pieces(pieces)
    scores = _score(model, labelled, n_windows)
    found: dict[str, float] = {"n_steps": float(sum(len(piece.frames) - 1 for piece in labelled))}
    rules = [same_again(piece) for piece in labelled]
    for question, (nats, is_right, target) in scores.items():
        if len(target) == 0:
            raise ValueError(f"These pieces ask nothing of {question}; found no target. Are they a beat or less long?")
        rule = np.concatenate(
            [answers[question][getattr(p, question) != NO_TARGET] for p, answers in zip(labelled, rules, strict=True)]
        )
        found[f"{question}_nats"], found[f"{question}_accuracy"] = float(nats.mean()), float(is_right.mean())
        found |= _marks(question, target, rule)
        if question == "pitch" and (rule != target).any():
            found["pitch_moves_accuracy"] = float(is_right[rule != target].mean())
    return found


def same_again(piece: PieceAttributes) -> dict[str, np.ndarray]:
    """Answer every question of a piece by the rule that things stay as they are.

    The voice sings on what it sings; it strikes nothing; its note will be as long as its note before, at first a
    quarter; the next beat has the chord that this beat has shown so far. No answer looks beyond its step.

    Args:
        piece: from ``label_attributes``.

    Returns:
        int64 of the shape of its targets, by question.

    Chapter: 4c.
    """
    n_more = np.stack([_as_long_as_before(piece.grid, voice) for voice in range(piece.frames.shape[1])], axis=1)
    return {
        "pitch": piece.frames,
        "onset": np.zeros_like(piece.onset),
        "duration": np.searchsorted(DURATION_STARTS, n_more, side="right") - 1,
        "chord": _chord_so_far(piece.grid),
    }


def _marks(question: str, target: np.ndarray, rule: np.ndarray) -> dict[str, float]:
    """Return what needs no learning."""
    n_answers, share = QUESTIONS[question], float((rule == target).mean())
    return {
        f"{question}_chance_nats": math.log(n_answers),
        f"{question}_chance_accuracy": 1 / n_answers,
        f"{question}_commonest_accuracy": float(np.bincount(target).max() / len(target)),
        f"{question}_same_again_accuracy": share,
        f"{question}_same_again_nats": _surprise(share) + _surprise(1 - share) + (1 - share) * math.log(n_answers - 1),
    }


def _surprise(share: float) -> float:
    """Return minus a share times its logarithm."""
    return -share * math.log(share) if share > 0 else 0.0


@torch.no_grad()
def _score(
    model: AttributeModel, pieces: list[PieceAttributes], n_windows: int
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the nats, whether the likeliest was right, and the target, of every answer in the order of the pieces."""
    together = PiecesEndToEnd(pieces)
    windows = [(p, *cut) for p, piece in enumerate(pieces) for cut in _cuts(len(piece.frames), model.config)]
    found: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for first in range(0, len(windows), n_windows):
        piece_index, start, first_counted, stop = np.array(windows[first : first + n_windows]).T
        batch = together.cut(piece_index, start, int((stop - start).max()))
        step = start[:, None] + np.arange(batch.frames.shape[1])
        is_counted = (step >= first_counted[:, None]) & (step < stop[:, None])
        with evaluation_mode(model):
            answers = model(*to_device_of(model, batch.frames, batch.is_padding, batch.start_step))
        for question, logits in answers.items():
            target = getattr(batch, question)
            is_asked = (target != NO_TARGET) & (is_counted if question == "chord" else is_counted[..., None])
            log_probs = logits.float().log_softmax(-1).cpu().numpy()[is_asked]
            right = target[is_asked]
            nats = -log_probs[np.arange(len(right)), right].astype(np.float64)
            found.setdefault(question, []).append((nats, log_probs.argmax(axis=-1) == right, right))
    scores = {question: tuple(map(np.concatenate, zip(*parts, strict=True))) for question, parts in found.items()}
    if not all(np.isfinite(nats).all() for nats, _, _ in scores.values()):
        raise FloatingPointError(
            "The scores of a network must be finite numbers; found some that are not. Did training diverge? Train "
            "again with a smaller learning_rate."
        )
    return scores


def _cuts(n_steps: int, config: object) -> list[tuple[int, int, int]]:
    """Cut a piece into windows, each ``(start, first step that counts, stop)``, with half a context of history."""
    context_length = config.context_length
    if n_steps > context_length == 1:
        raise ValueError("Windows with history need a context of at least 2 steps; found 1.")
    n_new = max(1, context_length // 2)
    later = range(context_length, n_steps, n_new)
    first = (0, 0, min(n_steps, context_length))
    return [first, *((step - context_length + n_new, step, min(step + n_new, n_steps)) for step in later)]


def _as_long_as_before(grid: voices.VoiceGrid, voice: int) -> np.ndarray:
    """Return for each step how many more the note would last if it were as long as the voice's note before."""
    step = np.arange(grid.n_steps)
    is_new = grid.is_onset[:, voice] | (grid.pitch[:, voice] == voices.REST)
    struck = np.flatnonzero(grid.is_onset[:, voice])
    ends = np.append(np.flatnonzero(is_new), grid.n_steps)
    length = ends[np.searchsorted(ends, struck, side="right")] - struck
    note = np.searchsorted(struck, step, side="right") - 1  # -1 before the first note, where nothing is asked
    before = np.concatenate(([grid.steps_per_quarter] * 2, length))[note + 1]
    began = np.append(struck, 0)[note]
    return np.maximum(before - (step - began) - 1, 0)


def _chord_so_far(grid: voices.VoiceGrid) -> np.ndarray:
    """Return for each step the class of the chord of its beat, from the beat's first step up to this one."""
    start_step, _ = beat_starts(grid)
    step = np.arange(grid.n_steps)
    began = start_step[np.searchsorted(start_step, step, side="right") - 1]
    return harmony.chord_classes(label_spans(Sounding.of(grid), began, step + 1))
