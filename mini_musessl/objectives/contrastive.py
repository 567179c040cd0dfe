"""The contrastive objective: two views of a window belong together, and apart from the views of all other windows.

Each view picks its other half among all views of the batch. Windows of the same piece or of the same hymn are no fair
wrong answers: they are left out of the choice.

Chapter: 4d (contrast).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from mini_musessl.batches import N_VOICES, FrameBatch, allowed_intervals, random_frame_batches
from mini_musessl.checks import check_generator, whole_number
from mini_musessl.network.encoder import EncoderConfig, FrameEncoder, pool
from mini_musessl.network.transformer import evaluation_mode, init_weights, to_device_of

# --- Views: the same stretch of music seen twice, each time with something taken away


@dataclass(frozen=True)
class Views:
    """Which views are taken of a window; at least one of the three is switched on.

    Attributes:
        transposes: each view is moved by an interval of its own. Otherwise both are moved by the same one, which is
            augmentation and no view.
        crops: each view is a stretch of ``n_crop_steps`` steps of the window, from a place of its own. Otherwise both
            are the whole window.
        drops_voices: each view hides ``n_dropped_voices`` voices; the two views hide different ones.
        semitones: intervals to draw from, as far as the pitches of the window allow; ``range(1)`` for none.
        n_crop_steps: length of a crop.
        n_dropped_voices: voices that a view hides, 1 or 2.

    Raises:
        ValueError: no view is switched on, transposition by one interval alone, or a number out of range.
        TypeError: a number that is not whole, or a switch that is not True or False.

    Example:
        >>> Views(crops=False).n_view_steps(64), Views().n_view_steps(64)
        (64, 32)

    Chapter: 4d.
    """

    transposes: bool = True
    crops: bool = True
    drops_voices: bool = True
    semitones: range = range(-5, 7)
    n_crop_steps: int = 32
    n_dropped_voices: int = 1

    def __post_init__(self) -> None:
        for name in ("transposes", "crops", "drops_voices"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False; found {getattr(self, name)!r}.")
        if not (self.transposes or self.crops or self.drops_voices):
            raise ValueError(
                "At least one view must be switched on; found transposes, crops and drops_voices all False. Two views "
                "that are the same teach nothing."
            )
        if self.transposes and len({0, *self.semitones}) < 2:
            raise ValueError(
                f"Views that transpose need two intervals to choose from; found semitones={self.semitones} beside 0. "
                "Give more, or set transposes=False."
            )
        whole_number("n_crop_steps", self.n_crop_steps, lowest=1)
        whole_number("n_dropped_voices", self.n_dropped_voices, 1, 2, "Two views hide different voices, of four.")

    def n_view_steps(self, n_steps: int) -> int:
        """Return how long a view of a window is, or refuse a window that is too short for it.

        Args:
            n_steps: length of the window.

        Returns:
            Steps of a view.

        Raises:
            ValueError: a crop of the window would be the whole of it, or more.
        """
        if not self.crops:
            return n_steps
        if n_steps <= self.n_crop_steps:
            raise ValueError(
                f"A window must be longer than a view that is cropped from it; found windows of {n_steps} steps and "
                f"views of {self.n_crop_steps}. Draw longer windows, or make n_crop_steps smaller."
            )
        return self.n_crop_steps


@dataclass(frozen=True)
class ViewPair:
    """Two views of each window of a batch.

    Attributes:
        frames: int64 (2, n_windows, n_steps, 4), the ids; 0 on padding.
        is_hidden: bool, as large: True in the voices that a view has dropped.
        is_padding: bool (2, n_windows, n_steps), True beyond the end of the piece.
        start_step: int64 (2, n_windows), index in the piece of each view's first step.
        semitones: int64 (2, n_windows), by how much each view was moved.
        piece_index: int64 (n_windows,), which piece each window was cut from.

    Chapter: 4d.
    """

    frames: Int[np.ndarray, "2 n_windows n_steps 4"]
    is_hidden: Bool[np.ndarray, "2 n_windows n_steps 4"]
    is_padding: Bool[np.ndarray, "2 n_windows n_steps"]
    start_step: Int[np.ndarray, "2 n_windows"]
    semitones: Int[np.ndarray, "2 n_windows"]
    piece_index: Int[np.ndarray, " n_windows"]


def make_views(
    batch: FrameBatch, views: Views, generator: np.random.Generator, pitch_ids: range = range(1, 47)
) -> ViewPair:
    """Look twice at each window of a batch.

    Args:
        batch: windows, not transposed yet, such as ``windows.random_frame_batches`` draws with ``semitones=range(1)``.
        views: what is taken away.
        generator: source of chance; the same state gives the same views.
        pitch_ids: ids that stand for consecutive pitches; other ids, such as the rest, do not move.

    Returns:
        The views; what is hidden is marked, and its ids are left.

    Raises:
        ValueError: the windows are too short for a crop.
        TypeError: the batch is no FrameBatch, or the generator is not a numpy.random.Generator.

    Example:
        >>> from mini_musessl.windows import random_frame_batches
        >>> batch = next(random_frame_batches([np.full((40, 4), 20)], 3, 24, np.random.default_rng(0)))
        >>> pair = make_views(batch, Views(n_crop_steps=16), np.random.default_rng(0))
        >>> pair.frames.shape, pair.is_hidden[:, :, 0].sum(axis=-1).tolist()
        ((2, 3, 16, 4), [[1, 1, 1], [1, 1, 1]])

    Chapter: 4d.
    """
    if not isinstance(batch, FrameBatch):
        raise TypeError(
            f"make_views needs a FrameBatch, such as windows.random_frame_batches draws; found {type(batch).__name__}."
        )
    check_generator(generator, "make_views")
    frames, is_padding, offset = _crop(batch, views.n_view_steps(batch.frames.shape[1]), generator)
    shift = _draw_intervals(batch, views, generator, pitch_ids)
    is_pitch = (frames >= pitch_ids.start) & (frames < pitch_ids.stop) & ~is_padding[..., None]
    return ViewPair(
        frames=frames + shift[:, :, None, None] * is_pitch,
        is_hidden=_drop_voices(is_padding, views, generator),
        is_padding=is_padding,
        start_step=batch.start_step + offset,
        semitones=shift,
        piece_index=batch.piece_index,
    )


def _crop(
    batch: FrameBatch, n_view_steps: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut both views from the music of each window; return frames, padding, and where each view begins.

    A view reaches into padding only where the music is shorter than a view.
    """
    n_windows, n_steps = batch.is_padding.shape
    n_there = (~batch.is_padding).sum(axis=1)
    last_offset = np.clip(n_there - n_view_steps, 0, n_steps - n_view_steps)
    offset = generator.integers(last_offset + 1, size=(2, n_windows))
    step = offset[..., None] + np.arange(n_view_steps)
    row = np.arange(n_windows)[:, None]
    return batch.frames[row, step], batch.is_padding[row, step], offset


def _draw_intervals(batch: FrameBatch, views: Views, generator: np.random.Generator, pitch_ids: range) -> np.ndarray:
    """Draw intervals (2, n_windows): one a view, or one for both, of those that the whole window allows."""
    shift = np.zeros((2, len(batch.frames)), np.int64)
    for row, (frames, is_padding) in enumerate(zip(batch.frames, batch.is_padding, strict=True)):
        allowed = allowed_intervals(frames[~is_padding], pitch_ids, views.semitones)
        shift[:, row] = generator.choice(allowed, size=2) if views.transposes else generator.choice(allowed)
    return shift


def _drop_voices(is_padding: np.ndarray, views: Views, generator: np.random.Generator) -> np.ndarray:
    """Hide voices of each view: the first of a random order in the first view, the next ones in the second."""
    is_hidden = np.zeros((*is_padding.shape, N_VOICES), bool)
    if views.drops_voices:
        n_windows = is_padding.shape[1]
        place = generator.permuted(np.tile(np.arange(N_VOICES), (n_windows, 1)), axis=1)
        for view in range(2):
            is_dropped = place // views.n_dropped_voices == view
            is_hidden[view] = is_dropped[:, None] & ~is_padding[view, ..., None]
    return is_hidden


def hear(pair: ViewPair, view: int, window: int) -> Int[np.ndarray, "n_steps 4"]:
    """Return a view as ids that can be decoded and played: dropped voices rest, padding is cut off.

    Args:
        pair: from ``make_views``.
        view: 0 or 1.
        window: number of the window in the batch.

    Returns:
        int64 (n_steps, 4), without the steps that are padding.

    Raises:
        IndexError: there is no such view or window.

    Chapter: 4d.
    """
    for name, index, size in (("view", view, 2), ("window", window, pair.frames.shape[1])):
        if not 0 <= index < size:
            raise IndexError(f"{name} must lie in 0..{size - 1}; found {index}.")
    heard = np.where(pair.is_hidden[view, window], 0, pair.frames[view, window])
    return heard[~pair.is_padding[view, window]]


# --- InfoNCE: the surprise of each view when it picks its other half among all views of a batch

#: What is taken where none is given.
TEMPERATURE = 0.1


def info_nce(
    first: Float[Tensor, "n_windows d_projection"],
    second: Float[Tensor, "n_windows d_projection"],
    temperature: float = TEMPERATURE,
    is_false_negative: Bool[Tensor, "n_windows n_windows"] | None = None,
) -> Float[Tensor, ""]:
    r"""Return the mean surprise, in nats, of each view when it picks its other half among all views of the batch.

    With $n$ windows there are $2n$ views. View $i$ gives each candidate $j \ne i$ the probability
    $\exp(\cos(z_i, z_j)/\tau) / \sum_{k \ne i} \exp(\cos(z_i, z_k)/\tau)$; its surprise is minus the logarithm of what
    it gives its other half. Someone who guesses pays $\ln(2n - 1)$.

    Args:
        first: one vector a window, of its first view. Their lengths do not matter.
        second: the vectors of the second views, in the same order.
        temperature: cosines are divided by it, above 0. The smaller, the more the nearest wrong candidates count.
        is_false_negative: True for two windows that may not be told apart; neither is a candidate of the other. False
            on the diagonal. None where there are none. A view that has no wrong candidate left does not count.

    Returns:
        One number in nats, 0 or more.

    Raises:
        ValueError: a temperature of 0 or below, vectors of different shapes, no negatives at all, or a window that is
            called a false negative of itself.

    Example:
        >>> apart = torch.eye(4)
        >>> round(info_nce(apart, apart, temperature=1.0).item(), 4)  # ln(1 + 6 / e)
        1.1654

    References:
        Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (2020), equation 1. There
        all other views are negatives; leaving out those of the same hymn is ours. van den Oord et al.,
        "Representation Learning with Contrastive Predictive Coding" (2018), for the name.

    Chapter: 4d.
    """
    check_temperature(temperature)
    _check_pairs(first, second, is_false_negative)
    may_pick = _candidates(len(first), is_false_negative, first.device)
    other_half = torch.arange(2 * len(first), device=first.device).roll(len(first))
    # Cosines in 16 bits would be coarser than what a small temperature makes of them.
    with torch.autocast(first.device.type, enabled=False):
        points = functional.normalize(torch.cat((first, second)).float(), dim=1)
        scores = (points @ points.T / temperature).masked_fill(~may_pick, -math.inf)
        has_negative = may_pick.sum(dim=1) > 1
        return functional.cross_entropy(scores[has_negative], other_half[has_negative])


def _candidates(n_windows: int, is_false_negative: Tensor | None, device: torch.device) -> Tensor:
    """Say of every two views whether the one may pick the other, or refuse if there is no wrong candidate."""
    may_pick = ~torch.eye(2 * n_windows, dtype=torch.bool, device=device)
    if is_false_negative is not None:
        may_pick &= ~is_false_negative.repeat(2, 2)
    if n_windows < 2 or not bool((may_pick.sum(dim=1) > 1).any()):
        raise ValueError(
            f"A batch needs negatives; found {n_windows} window(s), none with a window of another hymn beside it. "
            "Draw more windows, from more pieces."
        )
    return may_pick


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that turns the choice upside down, or makes it no choice.

    Args:
        temperature: should be above 0.

    Raises:
        ValueError: it is not.

    Chapter: 4d.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature must be a finite number above 0; found {temperature}. Below 0 the least alike would be "
            "chosen; 0.1 is a common choice."
        )


def _check_pairs(first: Tensor, second: Tensor, is_false_negative: Tensor | None) -> None:
    """Refuse vectors that are no pairs, and false negatives that speak of other windows or of a window and itself."""
    if first.dim() != 2 or first.shape != second.shape:
        raise ValueError(
            "Both views need vectors (n_windows, d_projection) in the same order; found "
            f"{tuple(first.shape)} and {tuple(second.shape)}."
        )
    if is_false_negative is None:
        return
    if is_false_negative.shape != (len(first), len(first)) or is_false_negative.dtype != torch.bool:
        raise ValueError(
            f"is_false_negative must be True or False for every two of {len(first)} windows; found "
            f"{tuple(is_false_negative.shape)} of {is_false_negative.dtype}."
        )
    if bool(is_false_negative.diagonal().any()):
        raise ValueError(
            "A window is no false negative of itself: its other view is what must be found; found True on the "
            "diagonal. Set it to False."
        )


# --- What the contrastive objective learns from: two views of each window, and which windows show the same hymn


@dataclass(frozen=True)
class ContrastiveBatch(ViewPair):
    """Two views of each window, and which windows show the same hymn.

    Attributes:
        hymn_index: int64 (n_windows,), the melody that each window's piece sets; equal numbers from 0 on, one hymn.
            Below 0: nobody knows, and two such pieces are not taken for settings of one hymn.

    Chapter: 4d.
    """

    hymn_index: Int[np.ndarray, " n_windows"]

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
    views: Views | None = None,
    hymns: ArrayLike | None = None,
) -> Iterator[ContrastiveBatch]:
    """Draw batches of windows, each seen twice, without end.

    Args:
        pieces: ids, one array (n_steps, 4) a piece.
        n_windows: windows in a batch, at least 2: the others are what a window is told from.
        n_steps: steps in a window, before a view is cropped from it.
        generator: source of chance; the same state gives the same batches.
        views: what is taken away; None for ``Views()``.
        hymns: one number a piece, equal for settings of one hymn, such as ``corpora.melody_groups`` gives. Below 0,
            such as -1: nobody knows the hymn, and the piece counts as one of its own. None where all do.

    Returns:
        An iterator that never ends. A batch in which no window has a negative is not given; another is drawn.

    Raises:
        ValueError: fewer than two windows, pieces of one hymn alone, a window that is shorter than a view, hymns of
            another number than pieces, or what ``windows.random_frame_batches`` refuses.
        TypeError: the generator is not a numpy.random.Generator, or a number is not whole.

    Example:
        >>> pieces = [np.full((40, 4), 20), np.full((40, 4), 22)]
        >>> batch = next(contrastive_batches(pieces, 5, 36, np.random.default_rng(0)))
        >>> batch.frames.shape, batch.n_false_negatives
        ((2, 5, 32, 4), 4)

    Chapter: 4d.
    """
    views = Views() if views is None else views
    whole_number("n_windows", n_windows, 2, advice="A batch without negatives teaches nothing: draw more windows.")
    hymn_of_piece = check_hymns(hymns, len(pieces))
    windows = random_frame_batches(pieces, n_windows, n_steps, generator, semitones=range(1))
    views.n_view_steps(n_steps)
    if len(set(hymn_of_piece.tolist())) < 2:
        raise ValueError(
            "A batch needs negatives, windows of another hymn; found one piece or one hymn alone. Give more pieces."
        )
    return _draw(windows, views, generator, hymn_of_piece)


def _draw(
    windows: Iterator, views: Views, generator: np.random.Generator, hymn_of_piece: np.ndarray
) -> Iterator[ContrastiveBatch]:
    """Yield batches without end; the arguments are already checked."""
    for window in windows:
        hymns = hymn_of_piece[window.piece_index]
        if (hymns != hymns[0]).any():
            yield ContrastiveBatch(**vars(make_views(window, views, generator)), hymn_index=hymns)


def check_hymns(hymns: ArrayLike | None, n_pieces: int) -> Int[np.ndarray, " n_pieces"]:
    """Return the hymn of each piece, or refuse what is none.

    Args:
        hymns: one whole number a piece, below 0 where nobody knows the hymn; None where each piece is one of its own.
        n_pieces: how many pieces there are.

    Returns:
        The numbers; where the hymn is unknown, one below 0 that no other piece has.

    Raises:
        ValueError: another number of hymns.
        TypeError: they are not whole numbers.

    Example:
        >>> check_hymns([3, -1, 3, -1], 4).tolist()
        [3, -2, 3, -4]

    Chapter: 4d.
    """
    found = np.arange(n_pieces) if hymns is None else np.asarray(hymns)
    if found.shape != (n_pieces,):
        raise ValueError(
            f"Each piece needs the number of its hymn; found {n_pieces} pieces and hymns of the shape {found.shape}. "
            "Number them by corpora.melody_groups(the same pieces)."
        )
    if found.dtype.kind not in "iu" and n_pieces:
        raise TypeError(f"Hymns must be whole numbers; found {found.dtype}. Give corpora.melody_groups(pieces).")
    numbers = found.astype(np.int64)
    return np.where(numbers < 0, -1 - np.arange(n_pieces), numbers)


# --- ContrastiveModel: an encoder and a head whose vectors are compared


class ContrastiveModel(nn.Module):
    """An encoder, the mean over steps, and a small head whose vectors are compared.

    The head is thrown away after training: what comes before it keeps more of the music.

    Args:
        config: of the encoder.
        d_projection: width of the vectors that are compared.
        seed: of the first weights.

    Raises:
        ValueError: a width below 1.

    Example:
        >>> model = ContrastiveModel(EncoderConfig(d_model=16, d_feedforward=32), d_projection=8)
        >>> model(torch.zeros(5, 7, 4, dtype=torch.long)).shape
        torch.Size([5, 8])

    References:
        Chen et al. (2020), section 4.2: a head with one hidden layer; the layer before it describes better.

    Chapter: 4d.
    """

    def __init__(self, config: EncoderConfig, d_projection: int = 64, seed: int = 0) -> None:
        super().__init__()
        whole_number("d_projection", d_projection, lowest=1)
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
        """Return the vector of each view, of any length.

        Args:
            frames: symbol ids.
            is_hidden: True where a cell must not be seen; None hides nothing.
            is_padding: True at steps that are not there; None where all are.
            first_step: index in its piece of each row's first frame; None for 0.

        Raises:
            ValueError: as of ``FrameEncoder``.
            TypeError: as of ``FrameEncoder``.
        """
        return self.head(pool(self.encoder(frames, is_hidden, is_padding, first_step), is_padding))


def project(model: nn.Module, pair: ViewPair) -> tuple[Tensor, Tensor]:
    """Run a model on all views of a batch at once.

    Args:
        model: a ContrastiveModel, or what is called like one.
        pair: views of windows.

    Returns:
        Its vectors (n_windows, d_projection) of the first views, and of the second.

    Chapter: 4d.
    """
    views = (pair.frames, pair.is_hidden, pair.is_padding, pair.start_step)
    vectors = model(*to_device_of(model, *(array.reshape(-1, *array.shape[2:]) for array in views)))
    return vectors[: len(pair.piece_index)], vectors[len(pair.piece_index) :]


# --- The loss of a batch: how surely do the two views of each window find each other?


@dataclass(frozen=True)
class Contrastive:
    """The contrastive objective, to be given to ``training.train``.

    Attributes:
        temperature: of ``info_nce``.
        has_false_negatives: whether windows of the same piece or hymn stay among the wrong candidates, as in SimCLR.

    Raises:
        ValueError: a temperature of 0 or below.

    Chapter: 4d.
    """

    temperature: float = TEMPERATURE
    has_false_negatives: bool = False

    def __post_init__(self) -> None:
        check_temperature(self.temperature)

    def __call__(self, model: nn.Module, batch: ContrastiveBatch) -> tuple[Float[Tensor, ""], int]:
        """Run a model on both views of each window and measure how surely they find each other, in nats.

        Args:
            model: called with frames, what is hidden and what is padding, and the first step of each view; returns one
                vector a view.
            batch: from ``contrastive_batches``.

        Returns:
            The mean loss over the views that have a wrong candidate, with its gradient, and how many those are.

        Raises:
            ValueError: no view has a wrong candidate.
            TypeError: a batch of another kind.
        """
        if not isinstance(batch, ContrastiveBatch):
            raise TypeError(
                "Contrastive needs a ContrastiveBatch, such as contrastive_batches draws; found "
                f"{type(batch).__name__}."
            )
        first, second = project(model, batch)
        if self.has_false_negatives:
            return info_nce(first, second, self.temperature), 2 * len(first)
        left_out = batch.is_false_negative
        n_targets = 2 * int((left_out.sum(axis=1) < len(left_out) - 1).sum())
        return info_nce(first, second, self.temperature, torch.from_numpy(left_out).to(first.device)), n_targets


# --- Numbers for points on a sphere: are views near each other, do points spread, is the nearest one right?


def alignment(first: Float[Tensor, "n_points d"], second: Float[Tensor, "n_points d"]) -> float:
    """Return the mean squared distance of the two views of a window on the unit sphere.

    Args:
        first: vectors of the first views.
        second: of the second views, in the same order.

    Returns:
        0 where all views of a window coincide, 2 where they have nothing to do with each other, 4 at most.

    Example:
        >>> alignment(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
        2.0

    References:
        Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
        Hypersphere" (2020), equation for alpha = 2.

    Chapter: 4d.
    """
    return (functional.normalize(first) - functional.normalize(second)).square().sum(dim=1).mean().item()


def uniformity(points: Float[Tensor, "n_points d"]) -> float:
    """Return how evenly points lie on the unit sphere: the logarithm of the mean of exp(-2 squared distance).

    Args:
        points: at least 2.

    Returns:
        0 where all coincide, which is collapse; the lower, the more even; -4 at a mean squared distance of 2.

    Raises:
        ValueError: fewer than two points.

    Example:
        >>> abs(round(uniformity(torch.ones(3, 5)), 3))
        0.0

    References:
        Wang and Isola (2020), with t = 2.

    Chapter: 4d.
    """
    if len(points) < 2:
        raise ValueError(f"Uniformity compares points in pairs; found {len(points)}. Give at least 2.")
    unit = functional.normalize(points)
    squared = 2 - 2 * (unit @ unit.T)[~torch.eye(len(unit), dtype=torch.bool, device=unit.device)]
    return squared.clamp(min=0).mul(-2).exp().mean().log().item()


def effective_rank(points: Float[Tensor, "n_points d"]) -> float:
    """Return in how many directions points spread: the exponential of the entropy of the shares of the directions.

    The points are centred; a direction's share is its singular value divided by the sum of all. How far the points
    spread does not count: points that have nearly collapsed can still differ in many directions, which ``uniformity``
    sees through.

    Args:
        points: at least 2.

    Returns:
        1 where all lie on one line, at most min(n_points - 1, d); 0 where all coincide.

    Raises:
        ValueError: fewer than two points.

    Example:
        >>> round(effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 3)
        2.0

    References:
        Roy and Vetterli, "The Effective Rank: A Measure of Effective Dimensionality" (2007).

    Chapter: 4d.
    """
    if len(points) < 2:
        raise ValueError(f"A spread needs points to compare; found {len(points)}. Give at least 2.")
    centred = (points - points.mean(dim=0)).double()
    values = torch.linalg.svdvals(centred)
    if values[0] <= 1e-6 * points.double().norm() or values[0] == 0:  # what is left is rounding
        return 0.0
    share = values / values.sum()
    return torch.special.entr(share).sum().exp().item()


def recall_at_1(
    first: Float[Tensor, "n_windows d"],
    second: Float[Tensor, "n_windows d"],
    is_left_out: Bool[Tensor, "n_windows n_windows"] | None = None,
) -> tuple[float, float]:
    """Return how often a first view is nearest to its own second view, by cosine, and how often chance would be.

    Where several candidates are equally near, one of them is drawn; so a model that has collapsed scores chance.

    Args:
        first: vectors of the first views, which ask.
        second: of the second views, among which they choose.
        is_left_out: True for two windows of which neither is a candidate of the other; None where there are none.

    Returns:
        The share that is right, and the mean of 1 / number of candidates.

    Example:
        >>> recall_at_1(torch.eye(4), torch.eye(4)), recall_at_1(torch.ones(4, 2), torch.ones(4, 2))
        ((1.0, 0.25), (0.25, 0.25))

    Chapter: 4d.
    """
    is_candidate = torch.ones(len(first), len(first), dtype=torch.bool, device=first.device)
    if is_left_out is not None:
        is_candidate &= ~is_left_out
    near = functional.normalize(first) @ functional.normalize(second).T
    near = near.masked_fill(~is_candidate, -torch.inf)
    own = near.diagonal()[:, None]
    is_nearer, is_tied = near > own + 1e-6, (near - own).abs() <= 1e-6
    right = torch.where(is_nearer.any(dim=1), 0.0, 1 / is_tied.sum(dim=1))
    return right.mean().item(), (1 / is_candidate.sum(dim=1)).mean().item()


# --- What a contrastive model has learned: does it find the other view, and has it collapsed?


@torch.no_grad()
def evaluate_contrastive(
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
    check_generator(generator, "evaluate_contrastive")
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
