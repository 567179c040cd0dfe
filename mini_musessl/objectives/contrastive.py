"""The contrastive objective: two views of a window belong together, and apart from the views of all other windows.

The two views of a window are a positive pair; the views of other windows are negatives, except those of the same piece
or hymn: they are false negatives, and left out. Chen et al., "A Simple Framework for Contrastive Learning of Visual
Representations" (2020), for views, loss (there called NT-Xent) and head; there all other views are negatives. van den
Oord et al., "Representation Learning with Contrastive Predictive Coding" (2018), for the name InfoNCE.

Chapter: 4d (contrast).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import N_VOICES, FrameBatch, allowed_intervals, random_frame_batches
from mini_musessl.checks import check_batch, check_generator, check_positive, check_some, whole_number
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, pool
from mini_musessl.network.transformer import Network, evaluation_mode, init_weights, to_device_of
from mini_musessl.tokenizers.voice_grid import N_SYMBOLS


@dataclass(frozen=True)
class Views:
    """Which views are taken of a window; at least one of the three is switched on."""

    transposes: bool = True  # each view by an interval of its own; otherwise both alike: augmentation, no view
    crops: bool = True  # each view from a place of its own; otherwise both are the whole window
    drops_voices: bool = True  # each view hides voices, the two views different ones
    semitones: range = range(-5, 7)  # intervals, as far as the pitches of the window allow; range(1) for none
    n_crop_steps: int = 32  # length of a crop
    n_dropped_voices: int = 1  # voices that a view hides, 1 or 2

    def __post_init__(self) -> None:
        if not (self.transposes or self.crops or self.drops_voices):
            raise ValueError("At least one view must be switched on: two views that are the same teach nothing.")
        whole_number("n_dropped_voices", self.n_dropped_voices, 1, 2, "Two views hide different voices, of four.")

    def n_view_steps(self, n_steps: int) -> int:
        """Return how long a view of a window is; the window must be longer than a crop of it."""
        if self.crops and n_steps <= self.n_crop_steps:
            raise ValueError(
                f"A window must be longer than a view that is cropped from it; found windows of {n_steps} steps and "
                f"views of {self.n_crop_steps}. Draw longer windows, or make n_crop_steps smaller."
            )
        return self.n_crop_steps if self.crops else n_steps


ALL_VIEWS = Views()


@dataclass(frozen=True)
class ViewPair:
    """Two views of each window of a batch."""

    frames: Int[np.ndarray, "2 n_windows n_steps 4"]  # ids; 0 on padding
    is_hidden: Bool[np.ndarray, "2 n_windows n_steps 4"]  # True in the voices that a view has dropped
    is_padding: Bool[np.ndarray, "2 n_windows n_steps"]  # True beyond the end of the piece
    start_step: Int[np.ndarray, "2 n_windows"]  # index in the piece of each view's first step
    semitones: Int[np.ndarray, "2 n_windows"]  # by how much each view was moved
    piece_index: Int[np.ndarray, " n_windows"]  # which piece each window was cut from


def make_views(batch: FrameBatch, views: Views, generator: np.random.Generator) -> ViewPair:
    """Look twice at each window of a batch that is not transposed yet; what is hidden is marked, and its ids are left.

    >>> batch = next(random_frame_batches([np.full((40, 4), 20)], 3, 24, np.random.default_rng(0)))
    >>> pair = make_views(batch, Views(n_crop_steps=16), np.random.default_rng(0))
    >>> pair.frames.shape, pair.is_hidden[:, :, 0].sum(axis=-1).tolist()
    ((2, 3, 16, 4), [[1, 1, 1], [1, 1, 1]])
    """
    check_generator(generator, "make_views")
    frames, is_padding, offset = _crop(batch, views.n_view_steps(batch.frames.shape[1]), generator)
    shift = _draw_intervals(batch, views, generator)
    is_pitch = (frames > 0) & ~is_padding[..., None]
    return ViewPair(
        frames=frames + shift[:, :, None, None] * is_pitch,
        is_hidden=_drop_voices(is_padding, views, generator),
        is_padding=is_padding,
        start_step=batch.start_step + offset,
        semitones=shift,
        piece_index=batch.piece_index,
    )


def _crop(batch: FrameBatch, n_view_steps: int, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Cut two views of each window; return frames, padding, and where each view begins."""
    n_windows, n_steps = batch.is_padding.shape
    n_there = (~batch.is_padding).sum(axis=1)
    # A view reaches into padding only where the music is shorter than a view.
    last_offset = np.clip(n_there - n_view_steps, 0, n_steps - n_view_steps)
    offset = generator.integers(last_offset + 1, size=(2, n_windows))
    step, row = offset[..., None] + np.arange(n_view_steps), np.arange(n_windows)[:, None]
    return batch.frames[row, step], batch.is_padding[row, step], offset


def _draw_intervals(batch: FrameBatch, views: Views, generator: np.random.Generator) -> np.ndarray:
    """Draw intervals (2, n_windows): one per view, or one for both, of those that the whole window allows."""
    shift = np.zeros((2, len(batch.frames)), np.int64)
    for row, (frames, is_padding) in enumerate(zip(batch.frames, batch.is_padding, strict=True)):
        allowed = allowed_intervals(frames[~is_padding], range(1, N_SYMBOLS), views.semitones)
        shift[:, row] = generator.choice(allowed, size=2) if views.transposes else generator.choice(allowed)
    return shift


def _drop_voices(is_padding: np.ndarray, views: Views, generator: np.random.Generator) -> np.ndarray:
    """Hide voices of each view: the first of a random order in the first view, the next ones in the second."""
    if not views.drops_voices:
        return np.zeros((*is_padding.shape, N_VOICES), bool)
    place = generator.permuted(np.tile(np.arange(N_VOICES), (is_padding.shape[1], 1)), axis=1)
    is_dropped = np.stack([place // views.n_dropped_voices == view for view in range(2)])
    return is_dropped[:, :, None] & ~is_padding[..., None]


def hear(pair: ViewPair, view: int, window: int) -> Int[np.ndarray, "n_steps 4"]:
    """Return a view of a window as ids that can be played: dropped voices rest, padding is cut off."""
    heard = np.where(pair.is_hidden[view, window], 0, pair.frames[view, window])
    return heard[~pair.is_padding[view, window]]


@dataclass(frozen=True)
class ContrastiveBatch(ViewPair):
    """Two views of each window, and which windows show the same hymn."""

    hymn_index: Int[np.ndarray, " n_windows"]  # equal numbers, one hymn; below 0, unknown

    @property
    def is_false_negative(self) -> Bool[np.ndarray, "n_windows n_windows"]:
        """True for two different windows of one piece or one hymn; False on the diagonal."""
        is_same_hymn = np.equal.outer(self.hymn_index, self.hymn_index) & (self.hymn_index >= 0)
        is_same = np.equal.outer(self.piece_index, self.piece_index) | is_same_hymn
        return is_same & ~np.eye(len(is_same), dtype=bool)

    @property
    def n_false_negatives(self) -> int:
        """How many pairs of windows are false negatives, each pair counted once."""
        return int(self.is_false_negative.sum()) // 2


def contrastive_batches(
    pieces: Sequence[ArrayLike],
    n_windows: int,
    n_steps: int,
    generator: np.random.Generator,
    views: Views = ALL_VIEWS,
    hymns: ArrayLike | None = None,
) -> Iterator[ContrastiveBatch]:
    """Draw windows of ``n_steps`` without end, each seen twice; in each batch some window has a negative.

    Args:
        hymns: one number per piece, equal for settings of one hymn, as from ``corpora.melody_groups``; below 0 where
            it is unknown, and the piece counts as a hymn of its own. None where all do.
    """
    whole_number("n_windows", n_windows, 2, advice="A batch without negatives teaches nothing: draw more windows.")
    hymn_of_piece = _number_hymns(hymns, len(pieces))
    views.n_view_steps(n_steps)
    windows = random_frame_batches(pieces, n_windows, n_steps, generator, semitones=range(1))
    return _draw(windows, views, generator, hymn_of_piece)


def _draw(
    windows: Iterator[FrameBatch], views: Views, generator: np.random.Generator, hymn_of_piece: np.ndarray
) -> Iterator[ContrastiveBatch]:
    """Yield batches without end; one whose windows all show one hymn is drawn again."""
    for window in windows:
        hymns = hymn_of_piece[window.piece_index]
        if (hymns != hymns[0]).any():
            yield ContrastiveBatch(**vars(make_views(window, views, generator)), hymn_index=hymns)


def _number_hymns(hymns: ArrayLike | None, n_pieces: int) -> Int[np.ndarray, " n_pieces"]:
    """Return the hymn of each piece, two at least; where it is unknown, a number below 0 that no other piece has."""
    found = np.arange(n_pieces) if hymns is None else np.asarray(hymns)
    if found.shape != (n_pieces,):
        raise ValueError(
            f"Each piece needs the number of its hymn; found {n_pieces} pieces and hymns of the shape {found.shape}. "
            "Number them by corpora.melody_groups(the same pieces)."
        )
    numbers = np.where(found < 0, -1 - np.arange(n_pieces), found.astype(np.int64))
    if len(set(numbers.tolist())) == 1:
        raise ValueError("Negatives are windows of another hymn; found one piece or one hymn. Give more pieces.")
    return numbers


def info_nce(
    first: Float[Tensor, "n_windows d_projection"],
    second: Float[Tensor, "n_windows d_projection"],
    temperature: float = 0.1,
    is_false_negative: Bool[Tensor, "n_windows n_windows"] | None = None,
) -> Float[Tensor, ""]:
    r"""Return the InfoNCE loss (NT-Xent) in nats: the mean cross-entropy of finding each view's positive in the batch.

    View $i$ gives $j \ne i$ the probability $\exp(\cos(z_i, z_j)/\tau) / \sum_{k \ne i} \exp(\cos(z_i, z_k)/\tau)$.

    Args:
        is_false_negative: True for two windows whose views are no negatives of each other; False on the diagonal. A
            view that has no negative left does not count.
    """
    points = functional.normalize(torch.cat((first, second)), dim=1)
    # No view is its own negative, nor are those of the same piece or hymn.
    is_out = torch.eye(len(points), dtype=torch.bool, device=points.device)
    if is_false_negative is not None:
        is_out = is_out | is_false_negative.repeat(2, 2)
    scores = (points @ points.T / temperature).masked_fill(is_out, -math.inf)
    positive = torch.arange(len(points), device=points.device).roll(len(first))
    has_negative = (~is_out).sum(dim=1) > 1
    return functional.cross_entropy(scores[has_negative], positive[has_negative])


class ContrastiveModel(Network):
    """An encoder, the mean over steps, and a small head whose vectors are compared.

    The head is thrown away after training: what comes before it keeps more of the music (Chen et al., section 4.2).

    >>> model = ContrastiveModel(EncoderConfig(d_model=16, d_feedforward=32), d_projection=8)
    >>> model(torch.zeros(5, 7, 4, dtype=torch.long)).shape
    torch.Size([5, 8])
    """

    def __init__(self, config: EncoderConfig, d_projection: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.encoder = FrameEncoder(config, seed)
        with torch.random.fork_rng(devices=[]):
            layers = nn.Linear(config.d_model, config.d_model), nn.GELU(), nn.Linear(config.d_model, d_projection)
        self.head = nn.Sequential(*layers)
        # Not the seed of the encoder, which would give the head the same first numbers.
        init_weights(self.head, 1, -1 - seed)

    def forward(
        self,
        frames: Int[Tensor, "batch n_steps n_voices"],
        is_hidden: Bool[Tensor, "batch n_steps n_voices"] | None = None,
        is_padding: Bool[Tensor, "batch n_steps"] | None = None,
        first_step: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch d_projection"]:
        """Return the vector of each view, of any length; arguments are those of ``FrameEncoder``."""
        return self.head(pool(self.encoder(frames, is_hidden, is_padding, first_step), is_padding))


def project(model: nn.Module, pair: ViewPair) -> tuple[Tensor, Tensor]:
    """Run a model on all views of a batch at once; return its vectors of the first views, and of the second."""
    views = (pair.frames, pair.is_hidden, pair.is_padding, pair.start_step)
    vectors = model(*to_device_of(model, *(array.reshape(-1, *array.shape[2:]) for array in views)))
    return vectors[: len(pair.piece_index)], vectors[len(pair.piece_index) :]


def contrastive_loss(
    model: nn.Module, batch: ContrastiveBatch, temperature: float = 0.1, has_false_negatives: bool = False
) -> tuple[Float[Tensor, ""], int]:
    """Return the ``info_nce`` of a model on a batch, and how many views have a negative.

    Args:
        has_false_negatives: whether windows of the same piece or hymn stay among the negatives, as in SimCLR.
    """
    check_batch(batch, ContrastiveBatch, "contrastive_loss", "contrastive_batches")
    check_positive("temperature", temperature, "Below 0 the least alike would be chosen; 0.1 is a common choice.")
    is_out = np.zeros_like(batch.is_false_negative) if has_false_negatives else batch.is_false_negative
    n_targets = 2 * int((is_out.sum(axis=1) < len(is_out) - 1).sum())
    check_some(n_targets, "A batch needs windows of two hymns", "Draw more windows, from more pieces.")
    first, second = project(model, batch)
    # Cosines in 16 bits would be coarser than what a small temperature makes of them.
    with torch.autocast(first.device.type, enabled=False):
        (is_out,) = to_device_of(model, is_out)
        return info_nce(first.float(), second.float(), temperature, is_out), n_targets


def alignment(first: Float[Tensor, "n_points d"], second: Float[Tensor, "n_points d"]) -> float:
    """Return the mean squared distance of the two views of a window on the unit sphere: Wang and Isola, alpha = 2.

    0 where all views of a window coincide, 2 where they have nothing to do with each other, 4 at most.

    >>> alignment(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    2.0
    """
    apart = functional.normalize(first) - functional.normalize(second)
    return apart.square().sum(dim=1).mean().item()


def uniformity(points: Float[Tensor, "n_points d"]) -> float:
    """Return how evenly points lie on the unit sphere: the logarithm of the mean of exp(-2 squared distance).

    0 where all coincide, which is collapse; the lower, the more even; -4 at a mean squared distance of 2. Wang and
    Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity" (2020), t = 2.
    """
    unit = functional.normalize(points)
    is_pair = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    squared = 2 - 2 * (unit @ unit.T)[is_pair]
    return squared.clamp(min=0).mul(-2).exp().mean().log().item()


def effective_rank(points: Float[Tensor, "n_points d"]) -> float:
    """Return in how many directions points spread: the exponential of the entropy of the shares of the directions.

    1 where all lie on one line, at most min(n_points - 1, d); 0 where all coincide. How far the points spread does not
    count: points that have nearly collapsed can still differ in many directions, which ``uniformity`` sees through. Roy
    and Vetterli, "The Effective Rank: A Measure of Effective Dimensionality" (2007).
    """
    centred = (points - points.mean(dim=0)).double()
    spread = torch.linalg.svdvals(centred)  # one number per direction
    if spread[0] <= 1e-6 * points.double().norm():  # what is left is rounding
        return 0.0
    share = spread / spread.sum()
    return torch.special.entr(share).sum().exp().item()


def recall_at_1(
    first: Float[Tensor, "n_windows d"],
    second: Float[Tensor, "n_windows d"],
    is_left_out: Bool[Tensor, "n_windows n_windows"] | None = None,
) -> tuple[float, float]:
    """Return how often a first view is nearest to its own second view, by cosine, and how often chance would be.

    Where several candidates are equally near, one of them is drawn; so a model that has collapsed scores chance.

    Args:
        is_left_out: True for two windows of which neither is a candidate of the other.
    """
    near = functional.normalize(first) @ functional.normalize(second).T
    if is_left_out is not None:
        near = near.masked_fill(is_left_out, -torch.inf)
    own = near.diagonal()[:, None]
    is_nearer, is_tied = near > own + 1e-6, (near - own).abs() <= 1e-6
    right = torch.where(is_nearer.any(dim=1), 0.0, 1 / is_tied.sum(dim=1))
    n_candidates = near.isfinite().sum(dim=1)
    return right.mean().item(), (1 / n_candidates).mean().item()


@torch.no_grad()
def evaluate_contrastive(
    model: ContrastiveModel,
    pieces: Sequence[ArrayLike],
    generator: np.random.Generator,
    views: Views = ALL_VIEWS,
    n_steps: int = 64,
    hymns: ArrayLike | None = None,
    temperature: float = 0.1,
) -> dict[str, float]:
    """Show a model two views of one window per piece, and see whether it finds them and whether it has collapsed.

    Arguments are those of ``contrastive_batches`` and ``contrastive_loss``.

    Returns:
        ``nats`` and ``chance_nats`` (of guessing) per view; ``recall_at_1`` and ``chance_recall_at_1``; ``alignment``
        and ``uniformity``; ``projection_rank`` and ``encoder_rank``, the ``effective_rank`` behind and before the head;
        ``n_windows`` and ``n_false_negatives``, pairs of windows that were left out.
    """
    batch = _view_each(pieces, generator, views, n_steps, _number_hymns(hymns, len(pieces)))
    arrays = (batch.frames, batch.is_hidden, batch.is_padding, batch.start_step)
    frames, is_hidden, is_padding, first_step = to_device_of(model, *(each[0] for each in arrays))
    with evaluation_mode(model):
        first, second = (vectors.float() for vectors in project(model, batch))
        described = pool(model.encoder(frames, is_hidden, is_padding, first_step), is_padding).float()
    (is_out,) = to_device_of(model, batch.is_false_negative)
    recall, chance = recall_at_1(first, second, is_out)
    n_candidates = 2 * (~is_out).sum(dim=1) - 1
    return {
        "nats": info_nce(first, second, temperature, is_out).item(),
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


def _view_each(
    pieces: Sequence[ArrayLike], generator: np.random.Generator, views: Views, n_steps: int, hymns: np.ndarray
) -> ContrastiveBatch:
    """Cut one window from each piece, and look at it twice."""
    drawn = [vars(next(random_frame_batches([piece], 1, n_steps, generator, range(1)))) for piece in pieces]
    joined = FrameBatch(**{name: np.concatenate([each[name] for each in drawn]) for name in drawn[0]})
    pair = make_views(replace(joined, piece_index=np.arange(len(pieces))), views, generator)
    return ContrastiveBatch(**vars(pair), hymn_index=hymns)
