"""The masked objective: hide some cells, read all that is left, on both sides, and name what was hidden.

Make the targets with ``masked_batches``, train with ``masked``, and report with ``measure_masked``.

Chapter: 4b (masking).
"""

from __future__ import annotations

from mini_musessl.objectives.masked.batches import MaskedBatch, mask_batch, masked_batches
from mini_musessl.objectives.masked.loss import masked, masked_loss
from mini_musessl.objectives.masked.measures import cut_frame_windows, measure_masked

__all__ = [
    "MaskedBatch",
    "cut_frame_windows",
    "mask_batch",
    "masked",
    "masked_batches",
    "masked_loss",
    "measure_masked",
]
