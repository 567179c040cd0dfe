"""What every tokenizer promises.

A tokenizer has a ``vocabulary``, turns music into ids with ``encode``, ids into music with ``decode``, and says with
``what_is_lost`` how the music that comes back differs. ``decode`` accepts any ids of the vocabulary in any order, since
a model can emit any order; each tokenizer says what it makes of sequences that ``encode`` would not write.

Chapter: 3b (tokens).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import music, voices
from mini_musessl.tokenizers.loss import Loss
from mini_musessl.vocabulary import Vocabulary


class Tokenizer(Protocol):
    """The contract that all tokenizers keep.

    Chapter: 3b.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """Which tokens there are."""

    def encode(self, music: Any) -> np.ndarray:
        """Turn music into ids, int32: (n_tokens,), or (n_words, n_fields) for compound words."""

    def decode(self, ids: ArrayLike) -> Any:
        """Turn ids of the vocabulary, in any order, into music."""

    def what_is_lost(self, music: Any) -> Loss:
        """Compare music with what comes back after encoding and decoding."""


def check_is_piece(piece: music.Piece, tokenizer: str) -> None:
    """Refuse music that is not a ``Piece``.

    Args:
        piece: what the caller gave.
        tokenizer: name of the tokenizer, for the sentence.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(piece, music.Piece):
        advice = "Turn the grid into notes with voices.to_piece." if isinstance(piece, voices.VoiceGrid) else ""
        raise TypeError(f"{tokenizer} encodes a music.Piece; found {type(piece).__name__}. {advice}".rstrip())


def check_is_grid(grid: voices.VoiceGrid, tokenizer: str) -> None:
    """Refuse music that is not a ``VoiceGrid``.

    Args:
        grid: what the caller gave.
        tokenizer: name of the tokenizer, for the sentence.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(grid, voices.VoiceGrid):
        advice = "Turn the notes into voices with voices.from_piece." if isinstance(grid, music.Piece) else ""
        raise TypeError(f"{tokenizer} encodes a voices.VoiceGrid; found {type(grid).__name__}. {advice}".rstrip())


def check_row(ids: ArrayLike, vocabulary: Vocabulary) -> np.ndarray:
    """Return ids as one row, int64, or refuse them.

    Raises:
        TypeError: the ids are not whole numbers.
        ValueError: they are not one row, or an id is outside the vocabulary.
    """
    array = np.asarray(ids)
    if array.ndim != 1:
        raise ValueError(
            f"Token ids must be one row, shape (n_tokens,); found shape {array.shape}. "
            "Decode one piece of a batch at a time."
        )
    return vocabulary.check(array).astype(np.int64)
