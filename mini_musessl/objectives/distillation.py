"""Distillation: learn what other networks say of the next frame, instead of the one symbol that came.

The symbol that came says "G". Several networks together say "G most likely, A now and then, hardly ever F sharp": more
about each cell than the score does, and nothing that depends on the chance of one training.

Chapter: 8b (the chorale benchmark).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mini_musessl.objectives.next_frame import open_batch
from mini_musessl.windows import FrameBatch


class Distillation:
    """The objective of a student: the cross-entropy between the mean of its teachers' probabilities and its own.

    It is an objective as ``next_frame`` is, so the same training loop takes it. The loss is not the student's
    likelihood: its lowest value is the entropy of the teachers. Afterwards the student alone is one network like any
    other, and is scored as such.

    Args:
        teachers: trained networks with the same symbols and voices as the student; they are put into evaluation mode.

    Raises:
        ValueError: there is no teacher.

    References:
        Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015).

    Chapter: 8b.
    """

    def __init__(self, teachers: Sequence[nn.Module]) -> None:
        if not teachers:
            raise ValueError("Distillation needs at least one trained network to learn from; found none.")
        self.teachers = [teacher.eval() for teacher in teachers]

    def __call__(self, model: nn.Module, batch: FrameBatch) -> tuple[Float[Tensor, ""], int]:
        """Compare the student with its teachers on a batch.

        Args:
            model: the student; called as ``next_frame`` calls it.
            batch: from ``windows.random_frame_batches``.

        Returns:
            The mean over the cells that are no padding, with its gradient, and how many those are.

        Raises:
            ValueError: nothing but padding, or teachers with other symbols than the student.
            TypeError: a batch of another kind.
        """
        frames, first_step, is_padding, n_targets = open_batch(model, batch)
        log_probs = model(frames, first_step).float().log_softmax(dim=-1)
        with torch.no_grad():
            answers = [teacher(frames, first_step).float().softmax(dim=-1) for teacher in self.teachers]
        for answer in answers:
            if answer.shape != log_probs.shape:
                raise ValueError(
                    f"Teachers must score the same symbols of the same cells as the student, {tuple(log_probs.shape)}; "
                    f"found {tuple(answer.shape)}. Were they trained with another vocabulary?"
                )
        nats = -(torch.stack(answers).mean(dim=0) * log_probs).sum(dim=-1)
        return nats.masked_fill(is_padding[..., None], 0).sum() / n_targets, n_targets
