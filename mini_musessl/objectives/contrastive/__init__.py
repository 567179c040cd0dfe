"""The contrastive objective: two views of a window belong together, and apart from the views of all other windows.

Each view picks its other half among all views of the batch. Windows of the same piece or of the same hymn are no fair
wrong answers: they are left out of the choice.

Chapter: 4d (contrast).
"""

from __future__ import annotations

from mini_musessl.objectives.contrastive.info_nce import TEMPERATURE, info_nce
from mini_musessl.objectives.contrastive.measures import alignment, effective_rank, recall_at_1, uniformity
from mini_musessl.objectives.contrastive.measuring import measure_contrastive
from mini_musessl.objectives.contrastive.model import ContrastiveModel, project
from mini_musessl.objectives.contrastive.objective import Contrastive
from mini_musessl.objectives.contrastive.targets import ContrastiveBatch, contrastive_batches

__all__ = [
    "TEMPERATURE",
    "Contrastive",
    "ContrastiveBatch",
    "ContrastiveModel",
    "alignment",
    "contrastive_batches",
    "effective_rank",
    "info_nce",
    "measure_contrastive",
    "project",
    "recall_at_1",
    "uniformity",
]
