"""How much each hidden cell counts in the loss.

Chapter: 4b (masking).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def equal_weights(
    is_hidden: Bool[np.ndarray, "n_windows n_steps n_voices"], is_padding: Bool[np.ndarray, "n_windows n_steps"]
) -> Float[np.ndarray, "n_windows n_steps n_voices"]:
    """Let each hidden cell count once.

    Args:
        is_hidden: True where a cell was hidden.
        is_padding: True beyond the end of the piece, where nothing is asked.

    Returns:
        float32: 1 on hidden cells of music, 0 elsewhere.

    Example:
        >>> equal_weights(np.array([[[True, False]]]), np.array([[False]])).tolist()
        [[[1.0, 0.0]]]

    Chapter: 4b.
    """
    return (is_hidden & ~is_padding[..., None]).astype(np.float32)


def orderless_weights(
    is_hidden: Bool[np.ndarray, "n_windows n_steps n_voices"], is_padding: Bool[np.ndarray, "n_windows n_steps"]
) -> Float[np.ndarray, "n_windows n_steps n_voices"]:
    r"""Let the hidden cells of a window count together as much as all its cells, however many are hidden.

    A hidden cell of a window with :math:`D` cells of music, :math:`h` of them hidden, weighs :math:`D/h`. Without it
    the states with nearly all hidden, in which little can be known, would count most.

    Args:
        is_hidden: True where a cell was hidden, such as by ``hide_orderless``.
        is_padding: True beyond the end of the piece.

    Returns:
        float32; in each window with something hidden the weights sum to its cells of music.

    Example:
        >>> is_hidden = np.array([[[True, False, False, False]], [[True, True, False, False]]])
        >>> orderless_weights(is_hidden, np.zeros((2, 1), bool)).tolist()
        [[[4.0, 0.0, 0.0, 0.0]], [[2.0, 2.0, 0.0, 0.0]]]

    References:
        Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator" (2014); for chorales Huang et al.,
        "Counterpoint by Convolution" (2017).

    Chapter: 4b.
    """
    once = equal_weights(is_hidden, is_padding)
    n_cells = (~is_padding).sum(axis=1) * is_hidden.shape[2]
    n_hidden = np.maximum(once.sum(axis=(1, 2)), 1)
    return once * (n_cells / n_hidden).astype(np.float32)[:, None, None]
