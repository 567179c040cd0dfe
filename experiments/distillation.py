"""Distillation: learn what other networks say of the next frame, instead of the one symbol that came.

The symbol that came says "G". Several networks together say "G most likely, A now and then, hardly ever F sharp": more
about each cell than the score does, and nothing that depends on the chance of one training. Nor need they agree with
themselves: the same network, asked in another key, answers a little differently, and the mean of its answers in all
keys is better than any one of them. Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015).

Chapter: 8b (the chorale benchmark).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.batches import FrameBatch
from mini_musessl.checks import check_batch, check_some
from mini_musessl.network.transformer import to_device_of
from mini_musessl.objectives.next_token import read_frames
from mini_musessl.repeats import Copies, transpose_copied


def distillation_loss(
    model: nn.Module, batch: FrameBatch, teachers: Sequence[nn.Module], widest_shift: int = 6
) -> tuple[Float[Tensor, ""], int]:
    """Return the mean cross-entropy between a teacher's probabilities and a student's, and the number of cells.

    For each batch one teacher is drawn, and for each window a key in which the teacher hears it: over many batches the
    student learns the mean of all teachers in all keys. The lowest value is the entropy of what is taught, so this is
    not the student's likelihood; that is measured afterwards. Teachers and keys are drawn from PyTorch's global state,
    as dropout's masks are, so that a training that is resumed goes on as it would have.

    Args:
        model: the student, called as by ``next_frame_loss``.
        batch: as ``batches.random_frame_batches`` draws it.
        teachers: trained networks with the same symbols and voices as the student, put into evaluation mode
            and onto the device of the student when they are asked.
        widest_shift: a window is moved by at most this many semitones, and never out of the vocabulary.
    """
    check_batch(batch, FrameBatch, "distillation_loss", "batches.random_frame_batches")
    check_some(len(teachers), "Distillation needs at least one trained network to learn from", "")
    n_targets = int((~batch.is_padding).sum()) * batch.frames.shape[-1]
    check_some(n_targets)
    given, [is_padding] = read_frames(model, batch), to_device_of(model, batch.is_padding)
    log_probs = model(*given).float().log_softmax(dim=-1)
    teacher_probs = ask_teacher(teachers, given, log_probs.shape[-1], widest_shift)
    if teacher_probs.shape != log_probs.shape:
        raise ValueError(
            f"Teachers must score the same symbols of the same cells as the student, {tuple(log_probs.shape)}; "
            f"found {tuple(teacher_probs.shape)}. Were they trained with another vocabulary?"
        )
    nats = -(teacher_probs * log_probs).sum(dim=-1)
    return nats.masked_fill(is_padding[..., None], 0).sum() / n_targets, n_targets


@torch.no_grad()
def ask_teacher(
    teachers: Sequence[nn.Module], given: Sequence[Tensor | Copies], vocabulary_size: int, widest_shift: int
) -> Tensor:
    """Return the probabilities of one teacher drawn by lot, having heard each window in a key drawn by lot."""
    frames, first_step, *copies = given
    teacher = teachers[int(torch.randint(len(teachers), ()))].eval().to(frames.device)
    semitones = _draw_shifts(frames, vocabulary_size, widest_shift)
    by_window = semitones[:, None, None, None]
    moved = [said._replace(copied=transpose_copied(said.copied, by_window, vocabulary_size)) for said in copies]
    probs = teacher(shift_ids(frames, semitones), first_step, *moved).float().softmax(dim=-1)
    return shift_probabilities(probs, -semitones)


def shift_ids(
    frames: Int[Tensor, "batch n_steps n_voices"], semitones: Int[Tensor, " batch"]
) -> Int[Tensor, "batch n_steps n_voices"]:
    """Move each window up by an interval of its own; rests, id 0, stay.

    >>> shift_ids(torch.tensor([[[0, 20]]]), torch.tensor([3])).tolist()
    [[[0, 23]]]
    """
    return torch.where(frames > 0, frames + semitones[:, None, None], frames)


def shift_probabilities(
    probabilities: Float[Tensor, "batch n_steps n_voices vocabulary"], semitones: Int[Tensor, " batch"]
) -> Float[Tensor, "batch n_steps n_voices vocabulary"]:
    """Move the probability of each pitch to the pitch some semitones above; that of a rest stays.

    What would leave the vocabulary is shared out among what stays in it, in proportion.

    >>> shift_probabilities(torch.tensor([[[[0.2, 0.5, 0.3, 0.0]]]]), torch.tensor([1]))
    tensor([[[[0.2000, 0.0000, 0.5000, 0.3000]]]])
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
