"""What a contrastive model has learned: does it find the other view, and has it collapsed?

Chapter: 4d (contrast).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from mini_musessl.encoder import pool
from mini_musessl.objectives.contrastive.info_nce import TEMPERATURE, info_nce
from mini_musessl.objectives.contrastive.measures import alignment, effective_rank, recall_at_1, uniformity
from mini_musessl.objectives.contrastive.model import project
from mini_musessl.objectives.contrastive.targets import ContrastiveBatch, check_hymns
from mini_musessl.objectives.devices import to_device_of
from mini_musessl.objectives.evaluation_mode import evaluation_mode
from mini_musessl.views import Views, make_views
from mini_musessl.windows import FrameBatch, random_frame_batches
from mini_musessl.windows.token_windows import check_generator


@torch.no_grad()
def measure_contrastive(
    model: nn.Module,
    pieces: Sequence[ArrayLike],
    generator: np.random.Generator,
    views: Views | None = None,
    n_steps: int = 64,
    hymns: ArrayLike | None = None,
    temperature: float = TEMPERATURE,
) -> dict[str, float]:
    """Show a model two views of one window a piece, and see what it makes of them.

    Args:
        model: a ContrastiveModel; asked in evaluation mode, and left in the mode that it was in.
        pieces: at least two, ids (n_steps, 4) each.
        generator: where windows and views come from.
        views: what is taken away; None for ``Views()``.
        n_steps: steps in a window, before a view is cropped from it.
        hymns: one number a piece, equal for settings of one hymn; those are no candidates. Below 0, such as -1: nobody
            knows the hymn, and the piece counts as one of its own. None where all do.
        temperature: of the loss.

    Returns:
        ``nats`` and ``chance_nats`` (of one who guesses) a view; ``recall_at_1`` and ``chance_recall_at_1``;
        ``alignment`` (0 to 4), ``uniformity`` (0 or below; 0 is collapse); ``projection_rank`` and ``encoder_rank``,
        in how many directions the vectors spread behind and before the head; ``n_windows`` and ``n_false_negatives``,
        pairs of windows that were left out.

    Raises:
        ValueError: fewer than two pieces or hymns, or a window shorter than a view.
        TypeError: the generator is not a numpy.random.Generator.

    Chapter: 4d.
    """
    check_generator(generator, "measure_contrastive")
    if len(pieces) < 2:
        raise ValueError(f"A contrastive model is measured on at least two pieces; found {len(pieces)}.")
    pair = make_views(_window_a_piece(pieces, n_steps, generator), Views() if views is None else views, generator)
    batch = ContrastiveBatch(**vars(pair), hymn_index=check_hymns(hymns, len(pieces)))
    with evaluation_mode(model):
        first, second = (vectors.float() for vectors in project(model, batch))
        described = _describe(model, batch).float()
    left_out = torch.from_numpy(batch.is_false_negative).to(first.device)
    recall, chance = recall_at_1(first, second, left_out)
    n_candidates = 2 * (~left_out).sum(dim=1) - 1
    return {
        "nats": info_nce(first, second, temperature, left_out).item(),
        "chance_nats": n_candidates[n_candidates > 1].double().log().mean().item(),
        "recall_at_1": recall,
        "chance_recall_at_1": chance,
        "alignment": alignment(first, second),
        "uniformity": uniformity(first),
        "projection_rank": effective_rank(first),
        "encoder_rank": effective_rank(described),
        "n_windows": float(len(first)),
        "n_false_negatives": float(batch.n_false_negatives),
    }


def _window_a_piece(pieces: Sequence[ArrayLike], n_steps: int, generator: np.random.Generator) -> FrameBatch:
    """Cut one window from each piece."""
    drawn = [next(random_frame_batches([piece], 1, n_steps, generator, semitones=range(1))) for piece in pieces]
    frames, is_padding, start = (
        np.concatenate([getattr(window, name) for window in drawn]) for name in ("frames", "is_padding", "start_step")
    )
    return FrameBatch(frames, is_padding, start, np.arange(len(pieces)))


def _describe(model: nn.Module, batch: ContrastiveBatch) -> Tensor:
    """Return what the encoder says of each first view, the mean over its steps."""
    arrays = to_device_of(model, *(a[0] for a in (batch.frames, batch.is_hidden, batch.is_padding, batch.start_step)))
    return pool(model.encoder(*arrays), arrays[2])
