"""Views: the same stretch of music seen twice, each time with something taken away.

A contrastive objective asks a network to tell that two views show one window. So whatever two views of a window do not
share, the network learns to forget; which views are switched on decides what that is.

Conventions:
    frames: (2, n_windows, n_steps, 4), symbol ids; the first axis is the view, first or second.
    is_hidden: True where a cell, one voice at one step, must not be seen.

NumPy only.

Chapter: 4d (contrast).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl.music import whole_number
from mini_musessl.windows import FrameBatch, allowed_intervals
from mini_musessl.windows.frame_windows import N_VOICES
from mini_musessl.windows.token_windows import check_generator


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
