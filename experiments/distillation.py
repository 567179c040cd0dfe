"""Distillation: learn what other networks say of the next frame, instead of the one symbol that came.

The symbol that came says "G". Several networks together say "G most likely, A now and then, hardly ever F sharp": more
about each cell than the score does, and nothing that depends on the chance of one training. Nor need they agree with
themselves: the same network, asked in another key, answers a little differently, and the mean of its answers in all
keys is better than any one of them.

Chapter: 8b (the chorale benchmark).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.batches import FrameBatch
from mini_musessl.objectives.next_token import open_batch


class Distillation:
    """The objective of a student: the cross-entropy between the probabilities of a teacher and its own.

    For each batch one teacher is drawn, and for each window a key in which the teacher hears it. Over many batches the
    student learns the mean of all teachers in all keys, at the price of asking one of them once.

    The loss is not the student's likelihood: its lowest value is the entropy of what it is taught. Afterwards the
    student alone is one network like any other, and is scored as such. Teachers and keys are drawn from PyTorch's
    global state, as dropout's masks are, so that a training that is resumed goes on as it would have.

    Args:
        teachers: trained networks with the same symbols and voices as the student. They are put into evaluation mode,
            and moved to the device of the student when they are asked.
        widest_shift: a window is moved by at most this many semitones, and never out of the vocabulary; 0 asks in the
            key of the window.

    Raises:
        ValueError: there is no teacher, or a shift below 0.

    References:
        Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015).

    Chapter: 8b.
    """

    def __init__(self, teachers: Sequence[nn.Module], widest_shift: int = 6) -> None:
        if not teachers:
            raise ValueError("Distillation needs at least one trained network to learn from; found none.")
        if widest_shift < 0:
            raise ValueError(f"widest_shift must be 0 semitones or more; found {widest_shift}.")
        self.teachers = [teacher.eval() for teacher in teachers]
        self.widest_shift = widest_shift

    def __call__(self, model: nn.Module, batch: FrameBatch) -> tuple[Float[Tensor, ""], int]:
        """Compare the student with a teacher on a batch.

        Args:
            model: the student; called as ``next_frame`` calls it.
            batch: from ``windows.random_frame_batches``.

        Returns:
            The mean over the cells that are no padding, with its gradient, and how many those are.

        Raises:
            ValueError: nothing but padding, or a teacher with other symbols than the student.
            TypeError: a batch of another kind.
        """
        frames, first_step, is_padding, n_targets = open_batch(model, batch)
        log_probs = model(frames, first_step).float().log_softmax(dim=-1)
        taught = self._ask(frames, first_step, log_probs.shape[-1])
        if taught.shape != log_probs.shape:
            raise ValueError(
                f"Teachers must score the same symbols of the same cells as the student, {tuple(log_probs.shape)}; "
                f"found {tuple(taught.shape)}. Were they trained with another vocabulary?"
            )
        nats = -(taught * log_probs).sum(dim=-1)
        return nats.masked_fill(is_padding[..., None], 0).sum() / n_targets, n_targets

    @torch.no_grad()
    def _ask(self, frames: Tensor, first_step: Tensor, vocabulary_size: int) -> Tensor:
        """Return what a teacher drawn by lot says of each cell, having heard each window in a key drawn by lot."""
        teacher = self.teachers[int(torch.randint(len(self.teachers), ()))].to(frames.device)
        semitones = _draw_shifts(frames, vocabulary_size, self.widest_shift)
        answers = teacher(shift_ids(frames, semitones), first_step).float().softmax(dim=-1)
        return shift_probabilities(answers, -semitones)


def shift_ids(
    frames: Int[Tensor, "batch n_steps n_voices"], semitones: Int[Tensor, " batch"]
) -> Int[Tensor, "batch n_steps n_voices"]:
    """Move each window to another key; rests, id 0, stay.

    Args:
        frames: symbol ids.
        semitones: one interval a window, upwards if positive, by which no pitch leaves the vocabulary.

    Example:
        >>> shift_ids(torch.tensor([[[0, 20]]]), torch.tensor([3])).tolist()
        [[[0, 23]]]

    Chapter: 8b.
    """
    return torch.where(frames > 0, frames + semitones[:, None, None], frames)


def shift_probabilities(
    probabilities: Float[Tensor, "batch n_steps n_voices vocabulary"], semitones: Int[Tensor, " batch"]
) -> Float[Tensor, "batch n_steps n_voices vocabulary"]:
    """Move what was said of each pitch to the pitch some semitones above; what is said of a rest stays.

    What would leave the vocabulary is shared out among what stays in it, in proportion.

    Args:
        probabilities: they sum to 1 over the last axis.
        semitones: one interval a window, upwards if positive.

    Returns:
        Probabilities that sum to 1.

    Example:
        >>> shift_probabilities(torch.tensor([[[[0.2, 0.5, 0.3, 0.0]]]]), torch.tensor([1]))
        tensor([[[[0.2000, 0.0000, 0.5000, 0.3000]]]])

    Chapter: 8b.
    """
    size = probabilities.shape[-1]
    source = torch.arange(size, device=probabilities.device) - semitones[:, None]
    source[:, 0] = 0
    is_there = (source >= 1) & (source < size)
    is_there[:, 0] = True
    source = source.clamp(0, size - 1)[:, None, None].expand(probabilities.shape)
    moved = probabilities.gather(-1, source) * is_there[:, None, None]
    return moved / moved.sum(dim=-1, keepdim=True)


def _draw_shifts(frames: Tensor, vocabulary_size: int, widest: int) -> Tensor:
    """Draw an interval for each window from those that keep its pitches inside the vocabulary."""
    largest = vocabulary_size - 1
    down = (1 - torch.where(frames > 0, frames, largest).amin(dim=(1, 2))).clamp(min=-widest)
    up = (largest - torch.where(frames > 0, frames, 1).amax(dim=(1, 2))).clamp(max=widest)
    return down + (torch.rand(len(frames), device=frames.device) * (up - down + 1)).long()
