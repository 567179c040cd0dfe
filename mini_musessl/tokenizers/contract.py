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


def check_kind(given: object, kind: type, tokenizer: str) -> None:
    """Refuse music in another form than the tokenizer encodes.

    Args:
        given: what the caller gave.
        kind: ``music.Piece`` or ``voices.VoiceGrid``.
        tokenizer: name of the tokenizer, for the sentence.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(given, kind):
        return
    advice = {
        voices.VoiceGrid: "Turn the grid into notes with voices.to_piece.",
        music.Piece: "Turn the notes into voices with voices.from_piece.",
    }
    room = kind.__module__.split(".")[1]  # mini_musessl.music.piece: what people write is music.Piece
    wanted = f"{room}.{kind.__name__}"
    found = f"{tokenizer} encodes a {wanted}; found {type(given).__name__}. {advice.get(type(given), '')}"
    raise TypeError(found.rstrip())


def check_pitch_range(lowest_pitch: int, highest_pitch: int) -> None:
    """Refuse a range of pitches that holds none, or reaches beyond those of MIDI.

    Args:
        lowest_pitch: lowest pitch of the vocabulary.
        highest_pitch: highest pitch of the vocabulary.

    Raises:
        TypeError: one of them is not a whole number.
        ValueError: not 0 <= lowest_pitch <= highest_pitch <= 127.
    """
    for name, pitch in (("lowest_pitch", lowest_pitch), ("highest_pitch", highest_pitch)):
        music.whole_number(name, pitch, 0, 127)
    if lowest_pitch > highest_pitch:
        raise ValueError(
            "A range of pitches needs 0 <= lowest_pitch <= highest_pitch <= 127; found "
            f"{lowest_pitch} and {highest_pitch}."
        )


def check_row(ids: ArrayLike, vocabulary: Vocabulary) -> np.ndarray:
    """Return ids as one row, int64, or refuse them.

    Args:
        ids: what the caller gave.
        vocabulary: where they should come from.

    Raises:
        TypeError: the ids are not whole numbers.
        ValueError: they are not one row, or an id is outside the vocabulary.
    """
    array = vocabulary.check(ids)
    if array.ndim != 1:
        raise ValueError(
            f"Token ids must be one row, shape (n_tokens,); found shape {array.shape}. "
            "Decode one piece of a batch at a time."
        )
    return array.astype(np.int64)
