"""experiments/distillation.py: a student learns what its teachers say."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from distillation import distillation_loss, shift_ids, shift_probabilities
from torch import nn

from mini_musessl.batches import FrameBatch, cut_windows
from mini_musessl.network.frames import FrameConfig, FrameTransformer
from mini_musessl.objectives.next_token import CopyBatch, next_frame_loss
from mini_musessl.repeats import Copies

SMALL = FrameConfig(
    vocabulary_size=5, d_model=12, n_layers=1, n_heads=2, d_feedforward=20, d_voice=14, context_length=9
)


class Always(nn.Module):
    """Gives the same probabilities to every cell."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        self.log_probs = nn.Parameter(torch.tensor(probabilities).log())

    def forward(self, frames: torch.Tensor, first_step: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities, which are logits."""
        return self.log_probs.expand(*frames.shape, -1)


class Knows(nn.Module):
    """Gives all probability to what came."""

    def forward(self, frames: torch.Tensor, first_step: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return 100.0 * nn.functional.one_hot(frames, 5)


def make_batch(n_padding: int = 0) -> FrameBatch:
    """Two windows of six steps; the second ends with padding."""
    frames = np.random.default_rng(0).integers(0, 5, (2, 6, 4))
    is_padding = np.zeros((2, 6), bool)
    is_padding[1, 6 - n_padding :] = n_padding > 0
    return FrameBatch(frames, is_padding, np.zeros(2, np.int64), np.zeros(2, np.int64))


def test_a_teacher_that_is_sure_of_what_came_teaches_the_next_frame() -> None:
    student, batch = FrameTransformer(SMALL).eval(), make_batch(n_padding=2)
    loss, n_targets = distillation_loss(student, batch, [Knows()])
    expected, n_expected = next_frame_loss(student, batch)
    assert n_targets == n_expected == 4 * 10
    torch.testing.assert_close(loss, expected)


def test_over_many_batches_the_loss_is_the_cross_entropy_with_the_mean_of_the_teachers() -> None:
    student = Always([0.1, 0.2, 0.3, 0.2, 0.2])
    teachers = [Always([0.5, 0.1, 0.1, 0.1, 0.2]), Always([0.1, 0.1, 0.5, 0.1, 0.2])]
    learn = partial(distillation_loss, teachers=teachers, widest_shift=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        losses = torch.stack([learn(student, make_batch())[0] for _ in range(400)])
    mean = np.array([0.3, 0.1, 0.3, 0.1, 0.2])
    assert losses.mean().item() == pytest.approx(-(mean * np.log([0.1, 0.2, 0.3, 0.2, 0.2])).sum(), abs=0.02)
    assert len(losses.unique()) == 2  # one teacher a batch


def test_a_shift_there_and_back_changes_nothing_that_stays_inside() -> None:
    frames = torch.tensor([[[0, 2, 3, 1]], [[3, 3, 2, 0]]])
    semitones = torch.tensor([1, -1])
    assert shift_ids(frames, semitones).tolist() == [[[0, 3, 4, 2]], [[2, 2, 1, 0]]]
    assert torch.equal(shift_ids(shift_ids(frames, semitones), -semitones), frames)
    said = nn.functional.one_hot(frames, 5).float()
    assert torch.equal(shift_probabilities(said, semitones), nn.functional.one_hot(shift_ids(frames, semitones), 5))
    assert torch.equal(shift_probabilities(shift_probabilities(said, semitones), -semitones), said)


def test_what_leaves_the_vocabulary_is_shared_out() -> None:
    said = torch.tensor([[[[0.2, 0.4, 0.1, 0.0, 0.3]]]])
    torch.testing.assert_close(
        shift_probabilities(said, torch.tensor([1])), torch.tensor([[[[0.2, 0.0, 0.4, 0.1, 0.0]]]]) / 0.7
    )


def test_windows_are_heard_in_other_keys_and_answered_in_their_own() -> None:
    """A teacher that says what it hears must say what came, whatever key it heard; and it hears several."""
    heard = []

    class Listens(Knows):
        def forward(self, frames: torch.Tensor, first_step: torch.Tensor) -> torch.Tensor:
            heard.append(frames.clone())
            return super().forward(frames, first_step)

    batch = make_batch()
    batch.frames[:] = np.clip(batch.frames, 2, 3)
    student = FrameTransformer(SMALL).eval()
    expected, _ = next_frame_loss(student, batch)
    learn = partial(distillation_loss, teachers=[Listens()])
    for _ in range(20):
        torch.testing.assert_close(learn(student, batch)[0], expected)
    keys = {int((frames - torch.from_numpy(batch.frames)).flatten()[0]) for frames in heard}
    assert keys == {-1, 0, 1}
    assert all(int(frames.min()) >= 1 and int(frames.max()) <= 4 for frames in heard)


def test_what_guides_would_sing_is_moved_to_the_key_that_a_teacher_hears() -> None:
    class Compares(Knows):
        def forward(self, frames: torch.Tensor, first_step: torch.Tensor, copies: Copies) -> torch.Tensor:
            assert torch.equal(copies.copied[:, :, 1], frames)
            return super().forward(frames, first_step)

    batch = make_batch()
    copied = batch.frames[:, :, None].repeat(3, axis=2)
    batch = CopyBatch(**vars(batch), copied=copied, kind=np.zeros_like(copied), length=copied[..., :2, 0])
    student = FrameTransformer(replace(SMALL, uses_copies=True)).eval()
    expected, _ = next_frame_loss(student, batch)
    for _ in range(5):
        torch.testing.assert_close(distillation_loss(student, batch, [Compares()])[0], expected)


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn_and_teachers_never_learn() -> None:
    student, teacher = Always([0.1, 0.2, 0.3, 0.2, 0.2]), Always([0.1, 0.2, 0.3, 0.2, 0.2])
    distillation_loss(student, make_batch(), [teacher], widest_shift=0)[0].backward()
    assert student.log_probs.grad.abs().max() < 1e-6
    assert teacher.log_probs.grad is None


def test_padding_does_not_count() -> None:
    student, batch = FrameTransformer(SMALL).eval(), make_batch(n_padding=3)
    teacher = FrameTransformer(SMALL, seed=1)
    learn = partial(distillation_loss, teachers=[teacher], widest_shift=0)
    before, _ = learn(student, batch)
    batch.frames[1, 3:] = 4
    after, _ = learn(student, batch)
    torch.testing.assert_close(before, after)


def test_teachers_are_asked_without_dropout_even_if_they_came_in_training() -> None:
    teacher = FrameTransformer(SMALL, seed=1).train()
    student, batch = FrameTransformer(SMALL).eval(), make_batch()
    learn = partial(distillation_loss, teachers=[teacher], widest_shift=0)
    assert learn(student, batch)[0] == learn(student, batch)[0]


def test_a_teacher_is_asked_on_the_device_of_the_student() -> None:
    # "meta" holds shapes and no numbers; every machine has it.
    student, teacher = Always([0.1, 0.2, 0.3, 0.2, 0.2]).to("meta"), Always([0.2] * 5)
    loss, n_targets = distillation_loss(student, make_batch(n_padding=2), [teacher])
    assert loss.device.type == teacher.log_probs.device.type == "meta"
    assert n_targets == 4 * 10


def test_no_teacher_another_vocabulary_and_another_batch_are_refused() -> None:
    student, tokens, empty = FrameTransformer(SMALL), cut_windows([[1, 2, 3]], 3, begin_id=47), make_batch()
    empty.is_padding[:] = True
    for error, batch, teachers, sentence in (
        (ValueError, make_batch(), [], "at least one trained network to learn from; found none"),
        (ValueError, make_batch(), [Always([0.5, 0.5])], "Teachers must score the same symbols"),
        (TypeError, tokens, [Knows()], "needs a FrameBatch"),
        (ValueError, empty, [Knows()], "at least one target"),
    ):
        with pytest.raises(error, match=sentence):
            distillation_loss(student, batch, teachers)
