"""The order objective: of two neighbouring windows of a piece, which comes first?

Chapter: 4d (contrast).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import random_frame_batches
from mini_musessl.checks import check_generator, whole_number
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, pool
from mini_musessl.network.transformer import evaluation_mode, init_weights, to_device_of


@dataclass(frozen=True)
class OrderBatch:
    """Pairs of neighbouring windows, in their order or turned round.

    Attributes:
        left: int64 (n_pairs, n_steps, 4), the ids of the window that is shown first.
        right: int64, as large: of the one that is shown second.
        is_in_order: bool (n_pairs,), True where left comes before right in the piece.
        piece_index: int64 (n_pairs,), which piece each pair was cut from.

    Chapter: 4d.
    """

    left: Int[np.ndarray, "n_pairs n_steps 4"]
    right: Int[np.ndarray, "n_pairs n_steps 4"]
    is_in_order: Bool[np.ndarray, " n_pairs"]
    piece_index: Int[np.ndarray, " n_pairs"]


def order_batches(
    pieces: Sequence[ArrayLike],
    n_pairs: int,
    n_steps: int,
    generator: np.random.Generator,
    semitones: range = range(-5, 7),
    n_gap_steps: int = 0,
) -> Iterator[OrderBatch]:
    """Draw pairs of neighbouring windows without end; a coin says which of the two is shown first.

    Pieces that are too short for two windows are left out.

    Args:
        pieces: ids, one array (n_steps, 4) a piece.
        n_pairs: pairs in a batch.
        n_steps: steps in a window.
        generator: source of chance; the same state gives the same batches.
        semitones: intervals by which a pair is moved, both windows alike.
        n_gap_steps: steps between the windows that are not shown. With 0 the seam can be compared: the end of one
            window with the beginning of the other.

    Returns:
        An iterator that never ends.

    Raises:
        ValueError: no piece is long enough for two windows, or what ``windows.random_frame_batches`` refuses.
        TypeError: the generator is not a numpy.random.Generator, or a number is not whole.

    Example:
        >>> piece = np.arange(160).reshape(40, 4) % 47
        >>> batch = next(order_batches([piece], 3, 16, np.random.default_rng(0)))
        >>> batch.left.shape, batch.is_in_order.shape
        ((3, 16, 4), (3,))

    Chapter: 4d.
    """
    n_both = 2 * whole_number("n_steps", n_steps, lowest=1) + whole_number("n_gap_steps", n_gap_steps, lowest=0)
    check_generator(generator, "order_batches")
    lengths = [len(np.atleast_1d(piece)) for piece in pieces]
    numbers = np.flatnonzero(np.array(lengths, int) >= n_both)
    if lengths and not len(numbers):
        raise ValueError(
            f"Order needs pieces that hold two windows, here {n_both} steps; the longest of {len(lengths)} has "
            f"{max(lengths)}. Make the windows shorter: one window a piece has no order."
        )
    stretches = random_frame_batches([pieces[i] for i in numbers], n_pairs, n_both, generator, semitones)
    return _draw(stretches, n_steps, generator, numbers)


def _draw(
    stretches: Iterator, n_steps: int, generator: np.random.Generator, numbers: np.ndarray
) -> Iterator[OrderBatch]:
    """Yield pairs without end; the arguments are already checked."""
    for stretch in stretches:
        earlier, later = stretch.frames[:, :n_steps], stretch.frames[:, -n_steps:]
        is_in_order = generator.integers(2, size=len(earlier)).astype(bool)
        keeps = is_in_order[:, None, None]
        left, right = np.where(keeps, earlier, later), np.where(keeps, later, earlier)
        yield OrderBatch(left, right, is_in_order, numbers[stretch.piece_index])


class OrderModel(nn.Module):
    """An encoder, and a score for "left comes before right" that changes its sign when the two change places.

    Whoever says how likely left comes first has said how likely right does: the two probabilities sum to 1. A score
    ``h(left, right) - h(right, left)`` keeps to that whatever ``h`` is, so it need not be learned, and the model cannot
    prefer a side.

    Args:
        config: of the encoder.
        seed: of the first weights.

    Example:
        >>> model = OrderModel(EncoderConfig(d_model=16, d_feedforward=32)).eval()
        >>> frames = torch.arange(56).reshape(2, 7, 4) % 47
        >>> bool((model(frames[:1], frames[1:]) == -model(frames[1:], frames[:1])).all())
        True

    Chapter: 4d.
    """

    def __init__(self, config: EncoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.encoder = FrameEncoder(config, seed)
        with torch.random.fork_rng(devices=[]):
            layers = nn.Linear(2 * config.d_model, config.d_model), nn.GELU(), nn.Linear(config.d_model, 1)
        self.head = nn.Sequential(*layers)
        # Not the seed of the encoder, which would give the head the same first numbers.
        init_weights(self.head, 1, -1 - seed)

    def forward(
        self, left: Int[Tensor, "batch n_steps n_voices"], right: Int[Tensor, "batch n_steps n_voices"]
    ) -> Float[Tensor, " batch"]:
        """Return the logit of "left comes before right".

        Args:
            left: symbol ids of one window.
            right: of the other, as large.

        Raises:
            ValueError: windows of different sizes, or as of ``FrameEncoder``.
            TypeError: as of ``FrameEncoder``.
        """
        if left.shape != right.shape:
            raise ValueError(
                f"Both windows of a pair must be of one size; found {tuple(left.shape)} and {tuple(right.shape)}."
            )
        described = pool(self.encoder(torch.cat((left, right))))
        a, b = described[: len(left)], described[len(left) :]
        forth, back = self.head(torch.cat((torch.cat((a, b), dim=1), torch.cat((b, a), dim=1)))).squeeze(1).chunk(2)
        return forth - back


def order_loss(model: nn.Module, batch: OrderBatch) -> tuple[Float[Tensor, ""], int]:
    """Run a model on pairs of windows and measure its surprise at their order, in nats a pair.

    Args:
        model: called with two tensors of windows; returns the logit of "the first comes before the second".
        batch: from ``order_batches``.

    Returns:
        The mean loss, with its gradient, and the number of pairs. One who guesses pays ln 2.

    Raises:
        ValueError: no pair.
        TypeError: a batch of another kind.

    Chapter: 4d.
    """
    if not isinstance(batch, OrderBatch):
        raise TypeError(f"order needs an OrderBatch, such as order_batches draws; found {type(batch).__name__}.")
    if not len(batch.is_in_order):
        raise ValueError("The loss of order needs at least one pair; found none. Is the batch empty?")
    left, right, is_in_order = to_device_of(model, batch.left, batch.right, batch.is_in_order)
    logits = model(left, right).float()
    return functional.binary_cross_entropy_with_logits(logits, is_in_order.float()), len(logits)


@torch.no_grad()
def evaluate_order(
    model: nn.Module,
    pieces: Sequence[ArrayLike],
    generator: np.random.Generator,
    n_steps: int = 32,
    n_pairs: int = 256,
    n_gap_steps: int = 0,
) -> dict[str, float]:
    """Ask a model for the order of pairs of windows, and two rules that know nothing of music beside it.

    Args:
        model: an OrderModel; asked in evaluation mode, and left in the mode that it was in.
        pieces: ids, one array (n_steps, 4) a piece.
        generator: where the pairs come from.
        n_steps: steps in a window.
        n_pairs: how many pairs are asked; several may come from one piece.
        n_gap_steps: steps between the windows that are not shown.

    Returns:
        ``nats`` a pair and ``chance_nats``, ln 2; ``accuracy`` and ``chance_accuracy``, a half;
        ``seam_accuracy`` and ``last_chord_accuracy`` of the rules ``seam_votes`` and ``last_chord_votes``; ``n_pairs``.

    Raises:
        ValueError: as of ``order_batches``.
        TypeError: as of ``order_batches``.

    Chapter: 4d.
    """
    whole_number("n_pairs", n_pairs, lowest=1)
    batch = next(order_batches(pieces, n_pairs, n_steps, generator, range(1), n_gap_steps))
    left, right, is_in_order = to_device_of(model, batch.left, batch.right, batch.is_in_order)
    with evaluation_mode(model):
        logits = torch.cat([model(*rows) for rows in zip(left.split(64), right.split(64), strict=True)]).float()
    return {
        "nats": functional.binary_cross_entropy_with_logits(logits, is_in_order.float()).item(),
        "chance_nats": float(np.log(2)),
        "accuracy": _accuracy(logits.cpu().numpy(), batch),
        "chance_accuracy": 0.5,
        "seam_accuracy": _accuracy(seam_votes(batch), batch),
        "last_chord_accuracy": _accuracy(last_chord_votes(batch), batch),
        "n_pairs": float(n_pairs),
    }


def seam_votes(batch: OrderBatch) -> Float[np.ndarray, " n_pairs"]:
    """Vote for the order in which the voices move less from the end of one window to the beginning of the other.

    Args:
        batch: pairs of windows.

    Returns:
        Above 0 for left before right, below 0 against it, 0 where the rule does not know. Ids count as pitches, and a
        step to or from a rest as long as that of the ids.

    Chapter: 4d.
    """
    kept = np.abs(batch.left[:, -1] - batch.right[:, 0]).sum(axis=1)
    turned = np.abs(batch.right[:, -1] - batch.left[:, 0]).sum(axis=1)
    return (turned - kept).astype(float)


def last_chord_votes(batch: OrderBatch) -> Float[np.ndarray, " n_pairs"]:
    """Vote that the window whose last chord is held longer comes last.

    Args:
        batch: pairs of windows.

    Returns:
        Above 0 for left before right, below 0 against it, 0 where both are held for as many steps.

    Chapter: 4d.
    """
    return (_held_at_end(batch.right) - _held_at_end(batch.left)).astype(float)


def _held_at_end(frames: np.ndarray) -> np.ndarray:
    """Return for how many steps the last frame of each window has stood."""
    is_last = (frames == frames[:, -1:]).all(axis=2)[:, ::-1]
    return np.where(is_last.all(axis=1), frames.shape[1], is_last.argmin(axis=1))


def _accuracy(votes: np.ndarray, batch: OrderBatch) -> float:
    """Return the share of right votes; one that does not know counts half."""
    return float(np.where(votes == 0, 0.5, (votes > 0) == batch.is_in_order).mean())
