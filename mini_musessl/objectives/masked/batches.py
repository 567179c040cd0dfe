"""Batches whose windows are not shown whole.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mini_musessl.corruption import Hider, Weigher, may_hide_all, orderless_weights, weigher_of
from mini_musessl.windows import FrameBatch
from mini_musessl.windows.token_windows import check_generator


@dataclass(frozen=True)
class MaskedBatch:
    """Windows of frames, and what is hidden in them.

    Attributes:
        frames: int64 (n_windows, n_steps, 4), the ids that came, those of hidden cells too: they are the targets.
        is_hidden: bool, as frames: True where the network does not see the cell and must name it.
        is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
        start_step: int64 (n_windows,), index in the piece of each window's first step.
        weights: float32, as frames: how much each cell counts in the loss; above 0 on hidden cells of music alone.

    Chapter: 4b.
    """

    frames: Int[np.ndarray, "n_windows n_steps n_voices"]
    is_hidden: Bool[np.ndarray, "n_windows n_steps n_voices"]
    is_padding: Bool[np.ndarray, "n_windows n_steps"]
    start_step: Int[np.ndarray, " n_windows"]
    weights: Float[np.ndarray, "n_windows n_steps n_voices"]


def masked_batches(
    frame_batches: Iterable[FrameBatch],
    hide: Hider,
    generator: np.random.Generator,
    weigh: Weigher | None = None,
) -> Iterator[MaskedBatch]:
    """Hide cells of one batch after the other.

    Args:
        frame_batches: such as ``windows.random_frame_batches`` draws.
        hide: what to hide, such as ``corruption.hide_notes``; other settings by ``functools.partial``.
        generator: source of chance for what is hidden.
        weigh: how much each hidden cell counts; None for ``corruption.weigher_of(hide)``: orderless weights for
            ``hide_orderless``, and equal weights for all else, mixtures with it among them.

    Returns:
        An iterator, as long as ``frame_batches``.

    Raises:
        ValueError: ``hide`` hides nothing in a window; or all of one, which ``hide_orderless`` alone may, and any
            hider with ``weigh=orderless_weights``.
        TypeError: the generator is not a numpy.random.Generator, a batch no FrameBatch, or ``hide`` returns something
            else.

    Example:
        >>> from mini_musessl import corruption, windows
        >>> frames = windows.random_frame_batches([np.full((40, 4), 20)], 2, 16, np.random.default_rng(0))
        >>> batch = next(masked_batches(frames, corruption.hide_cells, np.random.default_rng(1)))
        >>> batch.is_hidden.sum(), batch.weights.sum()
        (np.int64(32), np.float32(32.0))

    Chapter: 4b.
    """
    check_generator(generator, "masked_batches")
    return (mask_batch(batch, hide, generator, weigh) for batch in frame_batches)


def mask_batch(
    batch: FrameBatch, hide: Hider, generator: np.random.Generator, weigh: Weigher | None = None
) -> MaskedBatch:
    """Hide cells of one batch.

    Args:
        batch: windows of frames.
        hide: as for ``masked_batches``.
        generator: as for ``masked_batches``.
        weigh: as for ``masked_batches``.

    Raises:
        ValueError: as for ``masked_batches``.
        TypeError: as for ``masked_batches``.

    Chapter: 4b.
    """
    if not isinstance(batch, FrameBatch):
        raise TypeError(
            f"Cells are hidden in a FrameBatch, such as windows.random_frame_batches draws; found "
            f"{type(batch).__name__}. For one piece: cut_frame_windows([ids], n_steps)."
        )
    weigh = weigher_of(hide) if weigh is None else weigh
    is_hidden = hide(batch.frames, batch.is_padding, generator)
    _check_hiding(is_hidden, batch, must_show=weigh is not orderless_weights and not may_hide_all(hide))
    weights = weigh(is_hidden, batch.is_padding)
    return MaskedBatch(batch.frames, is_hidden, batch.is_padding, batch.start_step, weights)


def _check_hiding(is_hidden: object, batch: FrameBatch, must_show: bool) -> None:
    """Refuse a hider that answers with something else, hides nothing in a window, or all of one that must show some."""
    if not isinstance(is_hidden, np.ndarray) or is_hidden.dtype != np.bool_ or is_hidden.shape != batch.frames.shape:
        raise TypeError(
            f"A hider must return a bool array of the shape of the frames, {batch.frames.shape}, True where a cell is "
            f"hidden; found {getattr(is_hidden, 'dtype', type(is_hidden).__name__)} {np.shape(is_hidden)}."
        )
    is_music = np.broadcast_to(~batch.is_padding[..., None], is_hidden.shape)
    hides_some = (is_hidden & is_music).any(axis=(1, 2))
    if not hides_some.all():
        raise ValueError(
            f"Something must be hidden in each window, or nothing is asked of it; in window {int(hides_some.argmin())} "
            "nothing is. Hide a larger share, or is the array upside down (True is hidden)?"
        )
    shows_some = (~is_hidden & is_music).any(axis=(1, 2))
    if must_show and not shows_some.all():
        raise ValueError(
            f"Something must stay visible in each window; in window {int(shows_some.argmin())} every cell is hidden. "
            "Hide less, or train an orderless likelihood: hide_orderless, or weigh=orderless_weights."
        )
