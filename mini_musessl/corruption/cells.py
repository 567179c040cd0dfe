"""Single cells, each hidden without regard to its neighbours.

Chapter: 4b (masking).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl.corruption.checks import check_hider


def hide_cells(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    share: float = 0.25,
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide the same share of the cells of every window, each cell equally likely.

    Most cells can be named by copying the held note next door: see ``copy_next_door``.

    Args:
        frames: symbol ids; only their shape counts.
        is_padding: True beyond the end of the piece.
        generator: source of chance.
        share: part of a window's cells that is hidden, above 0 and below 1; rounded to whole cells, at least one, and
            at least one stays.

    Raises:
        ValueError: a share that hides nothing or all, windows of another shape, without music, or of a single cell.
        TypeError: frames or padding of another type, or no NumPy generator.

    Example:
        >>> frames, is_padding = np.zeros((2, 6, 4), int), np.zeros((2, 6), bool)
        >>> hide_cells(frames, is_padding, np.random.default_rng(0)).sum(axis=(1, 2)).tolist()
        [6, 6]

    References:
        Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019), who
        hide 15 % of the words.

    Chapter: 4b.
    """
    n_cells = check_hider(frames, is_padding, generator, "hide_cells", share) * frames.shape[2]
    if n_cells.min() < 2:
        raise ValueError(
            "A window needs two cells, one to hide and one to see; found a window of one. Cut longer windows."
        )
    return _hide_n(frames, is_padding, np.clip(np.rint(share * n_cells), 1, n_cells - 1), generator)


def hide_orderless(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide a random number of cells in every window: one, two and so on up to all, each number equally likely.

    These are the states of music that is written cell by cell in a random order: before the first, all are hidden,
    before the last, one. With ``orderless_weights`` the expected loss is the mean, over all orders, of the nats a cell
    of writing the window in that order.

    Args:
        frames: symbol ids; only their shape counts.
        is_padding: True beyond the end of the piece.
        generator: source of chance.

    Raises:
        ValueError: windows of another shape, or without music.
        TypeError: frames or padding of another type, or no NumPy generator.

    Example:
        >>> frames, is_padding = np.zeros((5, 6, 4), int), np.zeros((5, 6), bool)
        >>> hide_orderless(frames, is_padding, np.random.default_rng(0)).sum(axis=(1, 2)).tolist()
        [21, 16, 13, 7, 8]

    References:
        Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator" (2014); for chorales Huang et al.,
        "Counterpoint by Convolution" (2017).

    Chapter: 4b.
    """
    n_cells = check_hider(frames, is_padding, generator, "hide_orderless") * frames.shape[2]
    return _hide_n(frames, is_padding, generator.integers(1, n_cells + 1), generator)


def _hide_n(
    frames: np.ndarray, is_padding: np.ndarray, n_hidden: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Hide so many cells of each window, each subset of that size equally likely."""
    keys = generator.random(frames.shape)
    keys[is_padding] = np.inf
    keys = keys.reshape(len(frames), -1)
    last_hidden = np.sort(keys, axis=1)[np.arange(len(frames)), n_hidden.astype(np.int64) - 1]
    return (keys <= last_hidden[:, None]).reshape(frames.shape)
