"""Windows: pieces of any length become rectangular batches for a network.

A window of tokens holds ``context_length`` inputs and, beside each, its target: the token that follows. A window of
frames holds ``n_steps`` steps with all their voices; it is input and target in one. No window crosses from one piece
into the next.

Conventions:
    pieces: a sequence of integer arrays of token ids, one array a piece: (n_tokens,) or, for frames, (n_steps, 4).
    token_ids: (n_windows, context_length), what a network of tokens reads.
    targets: (n_windows, context_length); ``targets[w, i]`` follows ``token_ids[w, i]``.
    frames: (n_windows, n_steps, 4), the ids of all voices, soprano first.
    is_padding: True beyond the end of the piece: nothing is to be learned there.

NumPy only: tensors are made at the door of training.

Chapter: 00 (the road in five minutes), 5d (frames), 6a (the loop).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl.checks import check_generator, whole_number

# --- Transposition of token ids: the same music in another key, inside the vocabulary


def allowed_intervals(
    token_ids: ArrayLike, pitch_ids: range, semitones: range = range(-5, 7)
) -> Int[np.ndarray, " n_intervals"]:
    """List the transpositions that keep every pitch of a piece inside the vocabulary.

    Args:
        token_ids: token ids of one piece.
        pitch_ids: ids that stand for consecutive pitches; other ids are not pitches and do not move.
        semitones: intervals to consider.

    Returns:
        The allowed intervals in semitones, ascending; 0 is always among them.

    Raises:
        ValueError: the pitch ids are not consecutive.
        TypeError: the token ids are not whole numbers.

    Example:
        >>> allowed_intervals([0, 1, 46], pitch_ids=range(1, 47)).tolist()
        [0]
        >>> allowed_intervals([0, 3, 44], pitch_ids=range(1, 47)).tolist()
        [-2, -1, 0, 1, 2]

    Chapter: 3c.
    """
    ids = _check_whole(token_ids)
    pitches = ids[_is_pitch(ids, pitch_ids)]
    if pitches.size == 0:
        return np.zeros(1, np.int64)
    room_below, room_above = pitch_ids.start - int(pitches.min()), pitch_ids.stop - 1 - int(pitches.max())
    return np.array([s for s in sorted({0, *semitones}) if room_below <= s <= room_above], np.int64)


def transpose_ids(token_ids: ArrayLike, semitones: int, pitch_ids: range) -> Int[np.ndarray, "*shape"]:
    """Move the pitches among token ids; rests and other symbols stay.

    Args:
        token_ids: ids of any shape.
        semitones: interval, upwards if positive.
        pitch_ids: ids that stand for consecutive pitches.

    Returns:
        int64, the same shape.

    Raises:
        ValueError: a pitch would leave the vocabulary, or the pitch ids are not consecutive.
        TypeError: the token ids or the interval are not whole numbers.

    Example:
        >>> transpose_ids([0, 10, 20], 2, pitch_ids=range(1, 47)).tolist()
        [0, 12, 22]

    Chapter: 3c.
    """
    ids = _check_whole(token_ids)
    is_pitch = _is_pitch(ids, pitch_ids)
    moved = np.where(is_pitch, ids + whole_number("semitones", semitones, lowest=-127), ids)
    if not _is_pitch(moved[is_pitch], pitch_ids).all():
        raise ValueError(
            f"Transposed pitches must stay among ids {pitch_ids.start}..{pitch_ids.stop - 1}; moved by {semitones} "
            f"they reach {moved[is_pitch].min()}..{moved[is_pitch].max()}. Choose from allowed_intervals."
        )
    return moved


def _check_whole(token_ids: ArrayLike) -> np.ndarray:
    """Return token ids as int64, or refuse what would be cut to whole numbers."""
    ids = np.asarray(token_ids)
    if ids.size and ids.dtype.kind not in "iu":
        raise TypeError(f"Token ids must be whole numbers; found {ids.dtype}. Encode the music with a tokenizer first.")
    return ids.astype(np.int64)


def _is_pitch(ids: np.ndarray, pitch_ids: range) -> np.ndarray:
    """Tell which ids stand for pitches."""
    if pitch_ids.step != 1 or not pitch_ids:
        raise ValueError(
            f"pitch_ids must be consecutive ids, one a semitone, such as range(1, 47); found {pitch_ids}. "
            "Give the range that the tokenizer names."
        )
    return (ids >= pitch_ids.start) & (ids < pitch_ids.stop)


# --- Windows of tokens: pieces of any length become rectangular batches for a network that reads one token a position


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
    return _draw_token_windows(arrays, starts, n_windows, context_length, generator, begin_id, pitch_ids, intervals)


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


def _draw_token_windows(
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


# --- Windows of frames: stretches of steps, all voices at once, for a network with one position a step

N_VOICES = 4


@dataclass(frozen=True)
class FrameBatch:
    """Stretches of pieces side by side.

    Attributes:
        frames: int64 (n_windows, n_steps, 4), the ids of every step, soprano first; 0 on padding.
        is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
        start_step: int64 (n_windows,), index in the piece of each window's first step.
        piece_index: int64 (n_windows,), which piece each window was cut from.

    Chapter: 5d.
    """

    frames: Int[np.ndarray, "n_windows n_steps 4"]
    is_padding: Bool[np.ndarray, "n_windows n_steps"]
    start_step: Int[np.ndarray, " n_windows"]
    piece_index: Int[np.ndarray, " n_windows"]


def random_frame_batches(
    pieces: Sequence[ArrayLike],
    n_windows: int,
    n_steps: int,
    generator: np.random.Generator,
    semitones: range = range(-5, 7),
    pitch_ids: range = range(1, 47),
) -> Iterator[FrameBatch]:
    """Draw batches of stretches without end.

    A piece is drawn in proportion to its length, then a step of it, each equally likely: the window's middle, or as
    near to it as the ends of the piece allow. So every step of every piece is seen at least a third as often as any
    other. A piece shorter than a window is taken whole and padded at its end. Each window is transposed by an interval
    drawn from those that keep its own pitches inside the vocabulary, so that one high note does not bind the whole
    piece.

    Args:
        pieces: ids, one array (n_steps, 4) a piece.
        n_windows: windows in a batch.
        n_steps: steps in a window.
        generator: source of chance; the same state gives the same batches.
        semitones: intervals to draw from; ``range(1)`` for no transposition. 0 is always allowed.
        pitch_ids: ids that stand for consecutive pitches; other ids, such as the rest, do not move.

    Returns:
        An iterator that never ends.

    Raises:
        ValueError: no pieces, an empty piece or one of another shape, negative ids, a count that is not positive, or
            pitch ids that are not consecutive.
        TypeError: the generator is not a numpy.random.Generator, or a count is not a whole number.

    Example:
        >>> piece = np.full((40, 4), 20)
        >>> batch = next(random_frame_batches([piece], 2, 16, np.random.default_rng(0)))
        >>> batch.frames.shape, batch.is_padding.any()
        ((2, 16, 4), np.False_)

    Chapter: 5d.
    """
    check_generator(generator, "random_frame_batches")
    whole_number("n_windows", n_windows, lowest=1)
    whole_number("n_steps", n_steps, lowest=1)
    if pitch_ids.step != 1 or not pitch_ids:
        raise ValueError(
            f"pitch_ids must be consecutive ids, one a semitone, such as range(1, 47); found {pitch_ids}. "
            "Give the range that the tokenizer names."
        )
    arrays = _check_frames(pieces)
    return _draw_frame_windows(arrays, n_windows, n_steps, generator, np.array(sorted({0, *semitones})), pitch_ids)


def _check_frames(pieces: Sequence[ArrayLike]) -> list[np.ndarray]:
    """Return the pieces as int64 arrays, or refuse what is not frames of ids."""
    arrays = [np.asarray(piece) for piece in pieces]
    if not arrays:
        raise ValueError("Windows need at least one piece; found none. Is the corpus or the split empty?")
    for index, ids in enumerate(arrays):
        if ids.ndim != 2 or ids.shape[1] != N_VOICES or ids.size == 0 or ids.dtype.kind not in "iu":
            raise ValueError(
                f"A piece of frames must be an array (n_steps, {N_VOICES}) of whole token ids; piece {index} has shape "
                f"{ids.shape} and type {ids.dtype}. Reshape the ids of VoiceGridTokens: ids.reshape(-1, {N_VOICES})."
            )
        if ids.min() < 0:
            raise ValueError(
                f"Token ids must be 0 or more; piece {index} has {ids.min()}. Are these pitches with -1 for a rest? "
                "Encode the music with a tokenizer first."
            )
    return [ids.astype(np.int64) for ids in arrays]


def _draw_frame_windows(
    arrays: list[np.ndarray],
    n_windows: int,
    n_steps: int,
    generator: np.random.Generator,
    intervals: np.ndarray,
    pitch_ids: range,
) -> Iterator[FrameBatch]:
    """Yield random batches without end; the arguments are already checked."""
    lengths = np.array([len(ids) for ids in arrays])
    all_steps = np.concatenate([*arrays, np.zeros((n_steps, N_VOICES), np.int64)])
    first_steps = np.cumsum(lengths) - lengths
    while True:
        piece = generator.choice(len(arrays), size=n_windows, p=lengths / lengths.sum())
        # A window that would begin before the piece, or end after it, is pushed inside. Were each start that fits
        # equally likely, the first and last steps of a piece would hardly ever be seen: only one start reaches each.
        middle = generator.integers(lengths[piece])
        start = np.clip(middle - n_steps // 2, 0, np.maximum(lengths[piece] - n_steps, 0))
        step = start[:, None] + np.arange(n_steps)
        is_padding = step >= lengths[piece][:, None]
        frames = np.where(is_padding[..., None], 0, all_steps[first_steps[piece][:, None] + step])
        is_pitch = (frames >= pitch_ids.start) & (frames < pitch_ids.stop) & ~is_padding[..., None]
        shift = _draw_intervals(frames, is_pitch, generator, intervals, pitch_ids)
        yield FrameBatch(frames + shift[:, None, None] * is_pitch, is_padding, start, piece)


def _draw_intervals(
    frames: np.ndarray, is_pitch: np.ndarray, generator: np.random.Generator, intervals: np.ndarray, pitch_ids: range
) -> np.ndarray:
    """Draw an interval for each window, each of those that its pitches allow being equally likely."""
    lowest = np.where(is_pitch, frames, pitch_ids.stop - 1).min(axis=(1, 2))
    highest = np.where(is_pitch, frames, pitch_ids.start).max(axis=(1, 2))
    room_below, room_above = pitch_ids.start - lowest, pitch_ids.stop - 1 - highest
    is_allowed = (intervals >= room_below[:, None]) & (intervals <= room_above[:, None])
    rank = generator.integers(is_allowed.sum(axis=1))
    return intervals[(is_allowed.cumsum(axis=1) > rank[:, None]).argmax(axis=1)]
