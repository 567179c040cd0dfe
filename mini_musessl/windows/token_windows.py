"""Windows of tokens: pieces of any length become rectangular batches for a network that reads one token a position.

A begin symbol stands before the first token of every piece, so that the first token too has an input from which to
predict it.

Chapter: 00 (the road in five minutes), 6a (the loop).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl.music import whole_number
from mini_musessl.windows.transposition import allowed_intervals, transpose_ids


@dataclass(frozen=True)
class Batch:
    """Windows side by side.

    Attributes:
        token_ids: int64 (n_windows, context_length), the inputs; padding repeats the begin symbol.
        targets: int64 (n_windows, context_length), the token after each input; 0 on padding.
        is_padding: bool (n_windows, context_length), True where there is no target.
        start_token: int64 (n_windows,), index in the piece of each window's first target.
        piece_index: int64 (n_windows,), which piece each window was cut from.

    Chapter: 00.
    """

    token_ids: Int[np.ndarray, "n_windows context_length"]
    targets: Int[np.ndarray, "n_windows context_length"]
    is_padding: Bool[np.ndarray, "n_windows context_length"]
    start_token: Int[np.ndarray, " n_windows"]
    piece_index: Int[np.ndarray, " n_windows"]


def cut_windows(
    pieces: Sequence[ArrayLike], context_length: int, begin_id: int, stride_token: int | None = None
) -> Batch:
    """Cut every piece into windows from its beginning to its end.

    Args:
        pieces: token ids, one array a piece.
        context_length: inputs in a window.
        begin_id: input id that stands before the first token of a piece.
        stride_token: distance from one window to the next; ``context_length`` (no overlap) by default.

    Returns:
        All windows, piece by piece; the last of each piece is padded.

    Raises:
        ValueError: no pieces, an empty piece, a length that is not positive, or a stride longer than the context.
        TypeError: a length is not a whole number.

    Example:
        >>> batch = cut_windows([[5, 6, 7, 8, 9]], context_length=3, begin_id=99)
        >>> batch.token_ids.tolist()
        [[99, 5, 6], [7, 8, 99]]
        >>> batch.targets.tolist()
        [[5, 6, 7], [8, 9, 0]]

    Chapter: 00.
    """
    arrays = _check_pieces(pieces)
    stride_token = context_length if stride_token is None else stride_token
    starts = _window_starts(arrays, context_length, stride_token)
    return _gather(arrays, starts, context_length, begin_id)


def random_batches(
    pieces: Sequence[ArrayLike],
    n_windows: int,
    context_length: int,
    generator: np.random.Generator,
    begin_id: int,
    stride_token: int = 1,
    pitch_ids: range | None = None,
    semitones: range = range(-5, 7),
) -> Iterator[Batch]:
    """Draw batches of windows without end.

    Each window is equally likely, so a piece is drawn in proportion to its length. Windows begin at multiples of
    ``stride_token``. A network that knows its position in the bar needs that: with four tokens a step and sixteen
    steps a bar, ``stride_token=64`` keeps every window in the same phase.

    Args:
        pieces: token ids, one array a piece.
        n_windows: windows in a batch.
        context_length: inputs in a window.
        generator: source of chance; the same state gives the same batches.
        begin_id: input id that stands before the first token of a piece.
        stride_token: windows begin at multiples of this many tokens.
        pitch_ids: ids that stand for consecutive pitches. Each window is then transposed by an interval drawn from
            those that keep the whole piece inside these ids. None: no transposition.
        semitones: intervals to draw from.

    Returns:
        An iterator that never ends.

    Raises:
        ValueError: no pieces, an empty piece, a length that is not positive, a stride longer than the context, or
            pitch ids that are not consecutive or hold the begin symbol.
        TypeError: the generator is not a numpy.random.Generator, or a length is not a whole number.

    Example:
        >>> batches = random_batches([[5, 6, 7]], 2, 4, np.random.default_rng(0), begin_id=99)
        >>> next(batches).token_ids.shape
        (2, 4)

    Chapter: 00, 3c (augmentation).
    """
    check_generator(generator, "random_batches")
    whole_number("n_windows", n_windows, lowest=1)
    arrays = _check_pieces(pieces)
    starts = _window_starts(arrays, context_length, stride_token)
    if pitch_ids is not None and begin_id in pitch_ids:
        raise ValueError(
            f"The begin symbol must not be a pitch, or it would be transposed; found begin_id={begin_id} among pitch "
            f"ids {pitch_ids.start}..{pitch_ids.stop - 1}. Use the model's config.begin_id."
        )
    intervals = None if pitch_ids is None else [allowed_intervals(ids, pitch_ids, semitones) for ids in arrays]
    return _draw(arrays, starts, n_windows, context_length, generator, begin_id, pitch_ids, intervals)


def check_generator(generator: np.random.Generator, drawer: str) -> None:
    """Refuse a seed, or another library's generator, where a NumPy generator is needed.

    Args:
        generator: what the caller gave.
        drawer: name of the function that draws, for the message.

    Raises:
        TypeError: it is not a numpy.random.Generator.
    """
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"{drawer} draws from a numpy.random.Generator; found {type(generator).__name__}. "
            "Pass numpy.random.default_rng(seed)."
        )


def _check_pieces(pieces: Sequence[ArrayLike]) -> list[np.ndarray]:
    """Return the pieces as int64 arrays, or refuse what is not token ids."""
    arrays = [np.asarray(piece) for piece in pieces]
    if not arrays:
        raise ValueError("Windows need at least one piece; found none. Is the corpus or the split empty?")
    for index, ids in enumerate(arrays):
        if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
            raise ValueError(
                f"A piece must be a one-dimensional, non-empty array of whole token ids; piece {index} has shape "
                f"{ids.shape} and type {ids.dtype}. Encode the music with a tokenizer first."
            )
        if ids.min() < 0:
            raise ValueError(
                f"Token ids must be 0 or more; piece {index} has {ids.min()}. Are these pitches with -1 for a rest? "
                "Encode the music with a tokenizer first."
            )
    return [ids.astype(np.int64) for ids in arrays]


def _window_starts(arrays: list[np.ndarray], context_length: int, stride_token: int) -> np.ndarray:
    """Return (n, 2) pairs (piece, start): multiples of the stride, until a window reaches the end of its piece."""
    whole_number("context_length", context_length, lowest=1)
    whole_number("stride_token", stride_token, lowest=1)
    if stride_token > context_length:
        raise ValueError(
            f"stride_token must not exceed context_length = {context_length}, or tokens between windows would be "
            f"skipped; found {stride_token}. Use longer windows."
        )
    pairs = []
    for piece, ids in enumerate(arrays):
        n_starts = 1 + max(0, -(-(len(ids) - context_length) // stride_token))
        pairs += [(piece, start * stride_token) for start in range(n_starts)]
    return np.array(pairs, np.int64)


def _gather(arrays: list[np.ndarray], starts: np.ndarray, context_length: int, begin_id: int) -> Batch:
    """Copy the windows at ``starts`` out of the pieces."""
    shape = (len(starts), context_length)
    token_ids, targets = np.full(shape, begin_id, np.int64), np.zeros(shape, np.int64)
    is_padding = np.ones(shape, bool)
    for row, (piece, start) in enumerate(starts.tolist()):
        window = arrays[piece][start : start + context_length]
        targets[row, : len(window)] = window
        is_padding[row, : len(window)] = False
        token_ids[row, 1 : len(window)] = window[:-1]
        token_ids[row, 0] = arrays[piece][start - 1] if start > 0 else begin_id
    return Batch(token_ids, targets, is_padding, starts[:, 1].copy(), starts[:, 0].copy())


def _draw(
    arrays: list[np.ndarray],
    starts: np.ndarray,
    n_windows: int,
    context_length: int,
    generator: np.random.Generator,
    begin_id: int,
    pitch_ids: range | None,
    intervals: list[np.ndarray] | None,
) -> Iterator[Batch]:
    """Yield random batches without end; the arguments are already checked."""
    while True:
        drawn = starts[generator.integers(len(starts), size=n_windows)]
        batch = _gather(arrays, drawn, context_length, begin_id)
        if pitch_ids is not None and intervals is not None:
            chosen = [generator.choice(intervals[piece]) for piece in batch.piece_index]
            for row, semitones in enumerate(chosen):
                batch.token_ids[row] = transpose_ids(batch.token_ids[row], semitones, pitch_ids)
                has_target = ~batch.is_padding[row]
                batch.targets[row, has_target] = transpose_ids(batch.targets[row, has_target], semitones, pitch_ids)
        yield batch
