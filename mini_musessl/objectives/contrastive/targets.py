"""What the contrastive objective learns from: two views of each window, and which windows show the same hymn.

Chapter: 4d (contrast).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl.music import whole_number
from mini_musessl.views import ViewPair, Views, make_views
from mini_musessl.windows import random_frame_batches


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
