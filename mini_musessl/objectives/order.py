"""The order objective: of two neighbouring windows of a piece, which comes first?

Chapter: 4d (contrast).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import FrameBatch, random_frame_batches
from mini_musessl.checks import check_batch, whole_number
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, pool
from mini_musessl.network.transformer import Network, evaluation_mode, init_weights, to_device_of


@dataclass(frozen=True)
class OrderBatch:
    """Pairs of neighbouring windows, in their order or turned round."""

    left: Int[np.ndarray, "n_pairs n_steps 4"]  # the ids of the window that is shown first
    right: Int[np.ndarray, "n_pairs n_steps 4"]  # of the one that is shown second
    is_in_order: Bool[np.ndarray, " n_pairs"]  # True where left comes before right in the piece
    piece_index: Int[np.ndarray, " n_pairs"]  # which piece each pair was cut from


def order_batches(
    pieces: Sequence[ArrayLike],
    n_pairs: int,
    n_steps: int,
    generator: np.random.Generator,
    semitones: range = range(-5, 7),
    n_gap_steps: int = 0,
) -> Iterator[OrderBatch]:
    """Draw pairs of neighbouring windows without end, from pieces that hold two; a coin says which is shown first.

    Args:
        n_gap_steps: steps between the windows that are not shown. With 0 the seam can be compared: the end of one
            window with the beginning of the other.
    """
    n_both = 2 * whole_number("n_steps", n_steps, lowest=1) + whole_number("n_gap_steps", n_gap_steps, lowest=0)
    long_enough = np.flatnonzero([len(piece) >= n_both for piece in pieces])
    if len(pieces) and not len(long_enough):
        raise ValueError(
            f"Order needs pieces that hold two windows, here {n_both} steps; the longest of {len(pieces)} has "
            f"{max(map(len, pieces))}. Make the windows shorter."
        )
    stretches = random_frame_batches([pieces[i] for i in long_enough], n_pairs, n_both, generator, semitones)
    return (_flip_coins(stretch, n_steps, generator, long_enough) for stretch in stretches)


def _flip_coins(stretch: FrameBatch, n_steps: int, generator: np.random.Generator, numbers: np.ndarray) -> OrderBatch:
    """Cut both windows from the ends of each stretch, and show them in an order drawn by lot."""
    earlier, later = stretch.frames[:, :n_steps], stretch.frames[:, -n_steps:]
    is_in_order = generator.integers(2, size=len(earlier)).astype(bool)
    keeps = is_in_order[:, None, None]
    left, right = np.where(keeps, earlier, later), np.where(keeps, later, earlier)
    return OrderBatch(left, right, is_in_order, numbers[stretch.piece_index])


class OrderModel(Network):
    """An encoder, and a score for "left comes before right" that changes its sign when the two change places.

    The score ``h(left, right) - h(right, left)`` cannot prefer a side, whatever ``h`` is.

    >>> model = OrderModel(EncoderConfig(d_model=16, d_feedforward=32)).eval()
    >>> frames = torch.arange(56).reshape(2, 7, 4) % 47
    >>> bool((model(frames[:1], frames[1:]) == -model(frames[1:], frames[:1])).all())
    True
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
        """Return the logit of "left comes before right" for two windows of one size."""
        described = pool(self.encoder(torch.cat((left, right))))
        a, b = described[: len(left)], described[len(left) :]
        forth, back = self.head(torch.cat((torch.cat((a, b), dim=1), torch.cat((b, a), dim=1)))).squeeze(1).chunk(2)
        return forth - back


def order_loss(model: nn.Module, batch: OrderBatch) -> tuple[Float[Tensor, ""], int]:
    """Return the mean cross-entropy of the order of pairs of windows, in nats, and their number; chance is ln 2."""
    check_batch(batch, OrderBatch, "order_loss", "order_batches")
    left, right, is_in_order = to_device_of(model, batch.left, batch.right, batch.is_in_order)
    logits = model(left, right).float()
    return functional.binary_cross_entropy_with_logits(logits, is_in_order.float()), len(logits)


@torch.no_grad()
def evaluate_order(
    model: OrderModel,
    pieces: Sequence[ArrayLike],
    generator: np.random.Generator,
    n_steps: int = 32,
    n_pairs: int = 256,
    n_gap_steps: int = 0,
) -> dict[str, float]:
    """Measure how often a model finds the order of pairs of windows, and two rules that use no musical knowledge.

    Returns:
        ``nats`` per pair and ``chance_nats``, ln 2; ``accuracy`` and ``chance_accuracy``, a half; ``n_pairs``;
        ``seam_accuracy`` of ``seam_votes``, and ``last_chord_accuracy`` of the rule that the window whose last chord is
        held longer comes last.
    """
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
        "last_chord_accuracy": _accuracy(_held_at_end(batch.right) - _held_at_end(batch.left), batch),
        "n_pairs": float(n_pairs),
    }


def seam_votes(batch: OrderBatch) -> Float[np.ndarray, " n_pairs"]:
    """Vote for the order in which the voices move less from the end of one window to the beginning of the other.

    Above 0 for left before right, 0 where the rule is undecided. Ids count as pitches, rests too.
    """
    kept = np.abs(batch.left[:, -1] - batch.right[:, 0]).sum(axis=1)
    turned = np.abs(batch.right[:, -1] - batch.left[:, 0]).sum(axis=1)
    return (turned - kept).astype(float)


def _held_at_end(frames: np.ndarray) -> np.ndarray:
    """Return for how many steps the last frame of each window has stood."""
    is_last = (frames == frames[:, -1:]).all(axis=2)[:, ::-1]
    return np.where(is_last.all(axis=1), frames.shape[1], is_last.argmin(axis=1))


def _accuracy(votes: np.ndarray, batch: OrderBatch) -> float:
    """Return the share of right votes; an undecided one counts half."""
    return float(np.where(votes == 0, 0.5, (votes > 0) == batch.is_in_order).mean())
