"""Batches: pieces of any length become rectangular windows for a network.

A window of tokens holds ``context_length`` inputs and, beside each, its target: the token that follows. A window of
frames holds ``n_steps`` steps with all their voices; it is input and target in one. No window crosses from one piece
into the next.

Wherever the library cuts a piece, it asks here where the windows stand: ``window_starts`` to train, and to write on
beyond a context; ``windows_with_history`` to score by a causal network; ``best_window`` to fill or score by a network
that looks both ways; ``cut_frame_windows`` to measure on windows that do not overlap.

Conventions:
    pieces: a sequence of integer arrays of token ids, one array per piece: (n_tokens,) or, for frames, (n_steps, 4).
    is_padding: True beyond the end of the piece: nothing is to be learned there.

NumPy only: tensors are made at the door of training.

Chapter: 00 (the road in five minutes), 3c (augmentation), 5d (frames), 6a (the loop).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from mini_musessl.checks import check_generator, check_pieces, whole_number

N_VOICES = 4


# --- Where windows stand


def window_starts(n_steps: int, length: int, stride: int, is_spread: bool = False) -> Int[np.ndarray, " n_windows"]:
    """Return where windows of one length begin that cover a piece of ``n_steps`` steps or tokens.

    They begin at multiples of the stride, so that no start depends on where the piece ends; or, spread, evenly and at
    most a stride apart, so that the last ends with the piece.

    >>> window_starts(200, 128, 64).tolist(), window_starts(200, 128, 64, is_spread=True).tolist()
    ([0, 64, 128], [0, 36, 72])
    """
    beyond = max(0, n_steps - length)
    n_windows = 1 + -(-beyond // stride)
    if is_spread:
        return np.linspace(0, beyond, n_windows).round().astype(np.int64)
    return stride * np.arange(n_windows)


def windows_with_history(n_steps: int, length: int, stride: int | None = None) -> list[tuple[int, int, int]]:
    """Cut a piece for a causal network: each window as ``(start, first step scored, stop)``, every step scored once.

    A window scores the ``stride`` steps that are new in it, half a context by default: the rest is their history.

    >>> windows_with_history(9, 8)
    [(0, 0, 8), (4, 8, 9)]
    """
    stride = length // 2 if stride is None else stride
    if n_steps <= length:
        return [(0, 0, n_steps)]
    if not 1 <= stride < length:
        raise ValueError(f"Windows with history need a context of at least 2 steps; found {length}.")
    # Where the windows stand must not depend on where the piece ends, or its length would show in the scores.
    starts = window_starts(n_steps, length, stride).tolist()
    return [(start, start + length - stride if start else 0, min(start + length, n_steps)) for start in starts]


def best_window(starts: Int[np.ndarray, " n_windows"], length: int, n_steps: int) -> Int[np.ndarray, " n_steps"]:
    """Return the window to take each step from when a network looks both ways: the first of those farthest from a cut.

    >>> best_window(np.array([0, 2, 4]), 4, 8).tolist()
    [0, 0, 0, 1, 1, 2, 2, 2]
    """
    starts, steps = starts[:, None], np.arange(n_steps)
    # Where a window begins or ends with the piece nothing is cut off, however near a step may be.
    before = np.where(starts == 0, n_steps, steps - starts)
    after = np.where(starts + length >= n_steps, n_steps, starts + length - 1 - steps)
    is_inside = (steps >= starts) & (steps < starts + length)
    return np.where(is_inside, np.minimum(before, after), -1).argmax(axis=0)


def side_by_side(
    stretches: Sequence[np.ndarray], n_steps: int | None = None, fill: int = 0
) -> tuple[Int[np.ndarray, "n_windows n_steps *voices"], Bool[np.ndarray, "n_windows n_steps"]]:
    """Put stretches of different lengths, (n_steps,) or (n_steps, n_voices), into one array; say what is padding.

    Args:
        n_steps: width of the result; the longest stretch by default.
        fill: what stands on padding.
    """
    n_steps = max(map(len, stretches)) if n_steps is None else n_steps
    together = np.full((len(stretches), n_steps, *stretches[0].shape[1:]), fill, np.int64)
    is_padding = np.ones(together.shape[:2], bool)
    for row, stretch in enumerate(stretches):
        together[row, : len(stretch)] = stretch
        is_padding[row, : len(stretch)] = False
    return together, is_padding


# --- Transposition: the same music in another key, inside the vocabulary


def allowed_intervals(
    token_ids: ArrayLike, pitch_ids: range, semitones: range = range(-5, 7)
) -> Int[np.ndarray, " n_intervals"]:
    """List the transpositions, in semitones and 0 among them, that keep every pitch of a piece inside the vocabulary.

    Ids outside ``pitch_ids``, a range of consecutive pitches, do not move.

    >>> allowed_intervals([0, 3, 44], pitch_ids=range(1, 47)).tolist()
    [-2, -1, 0, 1, 2]
    """
    ids = np.asarray(token_ids)
    pitches = ids[(ids >= pitch_ids.start) & (ids < pitch_ids.stop)]
    if pitches.size == 0:
        return np.zeros(1, np.int64)
    intervals = np.array(sorted({0, *semitones}))
    return intervals[(pitches.min() + intervals >= pitch_ids.start) & (pitches.max() + intervals < pitch_ids.stop)]


def transpose_ids(token_ids: ArrayLike, semitones: int, pitch_ids: range) -> Int[np.ndarray, "*shape"]:
    """Move the pitches among token ids up; rests and other symbols stay.

    >>> transpose_ids([0, 10, 20], 2, pitch_ids=range(1, 47)).tolist()
    [0, 12, 22]
    """
    ids = np.asarray(token_ids, np.int64)
    is_pitch = (ids >= pitch_ids.start) & (ids < pitch_ids.stop)
    moved = ids[is_pitch] + semitones
    if moved.size and not (pitch_ids.start <= moved.min() and moved.max() < pitch_ids.stop):
        raise ValueError(
            f"Transposed pitches must stay among ids {pitch_ids.start}..{pitch_ids.stop - 1}; moved by {semitones} "
            f"they reach {moved.min()}..{moved.max()}. Choose from allowed_intervals."
        )
    return np.where(is_pitch, ids + semitones, ids)


# --- Windows of tokens, for a network that reads one token per position


@dataclass(frozen=True)
class Batch:
    """Windows of tokens side by side."""

    token_ids: Int[np.ndarray, "n_windows context_length"]  # the inputs; padding repeats the begin symbol
    targets: Int[np.ndarray, "n_windows context_length"]  # the token after each input; 0 on padding
    is_padding: Bool[np.ndarray, "n_windows context_length"]  # True where there is no target
    start_token: Int[np.ndarray, " n_windows"]  # index in the piece of each window's first target
    piece_index: Int[np.ndarray, " n_windows"]  # which piece each window was cut from


def cut_windows(
    pieces: Sequence[ArrayLike], context_length: int, begin_id: int, stride_token: int | None = None
) -> Batch:
    """Cut every piece into windows from its beginning to its end; the last of each piece is padded.

    Args:
        begin_id: input id that stands before the first token of a piece.
        stride_token: distance from one window to the next; ``context_length`` (no overlap) by default.

    >>> batch = cut_windows([[5, 6, 7, 8, 9]], context_length=3, begin_id=99)
    >>> batch.token_ids.tolist(), batch.targets.tolist()
    ([[99, 5, 6], [7, 8, 99]], [[5, 6, 7], [8, 9, 0]])
    """
    wholes, cuts = _cut_tokens(pieces, context_length, begin_id, stride_token or context_length)
    return _token_batch(_stretches(wholes, cuts, context_length + 1), cuts, context_length, begin_id)


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
    """Draw batches of windows without end, each window equally likely, so that a long piece is drawn more often.

    Args:
        generator: the same state gives the same batches.
        begin_id: input id that stands before the first token of a piece.
        stride_token: windows begin at multiples of this. A network that knows its position in the bar needs it: with
            four tokens per step and sixteen steps per bar, 64 keeps every window in the same phase.
        pitch_ids: ids that stand for consecutive pitches. Each window is then transposed by one of those ``semitones``
            that keep the whole piece inside these ids. None: no transposition.
    """
    check_generator(generator, "random_batches")
    whole_number("n_windows", n_windows, lowest=1)
    wholes, cuts = _cut_tokens(pieces, context_length, begin_id, stride_token)
    if pitch_ids is not None and begin_id in pitch_ids:
        raise ValueError(
            f"The begin symbol must not be a pitch, or it would be transposed; found begin_id={begin_id} among pitch "
            f"ids {pitch_ids.start}..{pitch_ids.stop - 1}. Use the model's config.begin_id."
        )
    intervals = None if pitch_ids is None else [allowed_intervals(ids, pitch_ids, semitones) for ids in wholes]

    # In a function of its own: a body with yield runs at the first next() only, and the checks above must run at the
    # call.
    def draw() -> Iterator[Batch]:
        while True:
            drawn = cuts[generator.integers(len(cuts), size=n_windows)]
            stretches = _stretches(wholes, drawn, context_length + 1)
            if intervals is not None:
                for row, piece in enumerate(drawn[:, 0]):
                    stretches[row] = transpose_ids(stretches[row], generator.choice(intervals[piece]), pitch_ids)
            yield _token_batch(stretches, drawn, context_length, begin_id)

    return draw()


def _cut_tokens(
    pieces: Sequence[ArrayLike], context_length: int, begin_id: int, stride_token: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the pieces, each after the begin symbol, and their windows as rows (piece, start)."""
    whole_number("context_length", context_length, lowest=1)
    whole_number("stride_token", stride_token, 1, context_length, "A longer one would skip tokens between windows.")
    arrays = check_pieces(pieces)
    starts = [window_starts(len(ids), context_length, stride_token) for ids in arrays]
    cuts = [(piece, start) for piece, of_piece in enumerate(starts) for start in of_piece]
    return [np.append(begin_id, ids) for ids in arrays], np.array(cuts)


def _stretches(pieces: list[np.ndarray], cuts: np.ndarray, length: int) -> list[np.ndarray]:
    """Cut stretches of one length, or up to the end of the piece, out of the pieces; ``cuts`` are (piece, start)."""
    return [pieces[piece][start : start + length] for piece, start in cuts.tolist()]


def _token_batch(stretches: list[np.ndarray], cuts: np.ndarray, context_length: int, begin_id: int) -> Batch:
    """Make inputs of all tokens of each stretch but the last, and targets of all but the first."""
    together, is_beyond = side_by_side(stretches, context_length + 1)
    is_padding = is_beyond[:, 1:]
    token_ids = np.where(is_padding, begin_id, together[:, :-1])
    return Batch(token_ids, together[:, 1:], is_padding, cuts[:, 1].copy(), cuts[:, 0].copy())


# --- Windows of frames, all voices at once, for a network with one position per step


@dataclass(frozen=True)
class FrameBatch:
    """Stretches of pieces side by side. Objectives that need more of each window extend it by their own fields."""

    frames: Int[np.ndarray, "n_windows n_steps n_voices"]  # the ids of every step, soprano first; 0 on padding
    is_padding: Bool[np.ndarray, "n_windows n_steps"]  # True beyond the end of the piece
    start_step: Int[np.ndarray, " n_windows"]  # index in the piece of each window's first step
    piece_index: Int[np.ndarray, " n_windows"]  # which piece each window was cut from


def cut_frame_windows(pieces: Sequence[ArrayLike], n_steps: int, n_windows: int = 16) -> list[FrameBatch]:
    """Cut every piece into windows of about the same length, each step in one window, and put them into batches.

    Args:
        n_steps: most steps in a window.
        n_windows: most windows in a batch; the shortest come first, so that little is padding.

    >>> [batch] = cut_frame_windows([np.full((200, 4), 20)], 96)
    >>> batch.frames.shape, batch.start_step.tolist()
    ((3, 67, 4), [134, 0, 67])
    """
    whole_number("n_steps", n_steps, lowest=1)
    arrays = check_pieces(pieces, n_voices=N_VOICES)
    cuts = [
        (piece, part[0], len(part))
        for piece, ids in enumerate(arrays)
        for part in np.array_split(np.arange(len(ids)), -(-len(ids) // n_steps))
    ]
    cuts.sort(key=lambda cut: cut[2])
    batches = []
    for first in range(0, len(cuts), n_windows):
        piece_index, start, _ = np.array(cuts[first : first + n_windows]).T
        stretches = [arrays[piece][step : step + n] for piece, step, n in cuts[first : first + n_windows]]
        batches.append(FrameBatch(*side_by_side(stretches), start, piece_index))
    return batches


def random_frame_batches(
    pieces: Sequence[ArrayLike],
    n_windows: int,
    n_steps: int,
    generator: np.random.Generator,
    semitones: range = range(-5, 7),
    pitch_ids: range = range(1, 47),
    ranges: ArrayLike | None = None,
) -> Iterator[FrameBatch]:
    """Draw batches of stretches without end.

    A piece is drawn in proportion to its length, then a step of it, each equally likely: the window's middle, or as
    near to it as the ends of the piece allow. A piece shorter than a window is taken whole and padded. Each window is
    transposed by an interval drawn from those that keep its own pitches inside the vocabulary.

    Args:
        generator: the same state gives the same batches.
        semitones: intervals to draw from; ``range(1)`` for no transposition.
        pitch_ids: ids that stand for consecutive pitches; other ids, such as the rest, do not move.
        ranges: (4, 2) lowest and highest id of each voice, among ``pitch_ids``. Then intervals must keep each voice in
            its own; a window that no interval keeps there stays as it is.
    """
    check_generator(generator, "random_frame_batches")
    bounds = np.array([[pitch_ids.start, pitch_ids.stop - 1]] * N_VOICES if ranges is None else ranges)
    if bounds.shape != (N_VOICES, 2) or (bounds[:, 0] > bounds[:, 1]).any() or not set(bounds.flat) <= set(pitch_ids):
        raise ValueError(
            f"ranges must hold the lowest and the highest id of each voice, (4, 2), from {pitch_ids.start} to "
            f"{pitch_ids.stop - 1}; found {bounds.tolist()}."
        )
    whole_number("n_windows", n_windows, lowest=1)
    whole_number("n_steps", n_steps, lowest=1)
    arrays = check_pieces(pieces, n_voices=N_VOICES)
    lengths, intervals = np.array([len(ids) for ids in arrays]), np.array(sorted({0, *semitones}))

    def draw() -> Iterator[FrameBatch]:  # apart, so that the checks above run at the call, as in random_batches
        while True:
            piece = generator.choice(len(arrays), size=n_windows, p=lengths / lengths.sum())
            # A window that would begin before the piece, or end after it, is pushed inside. Were each start that fits
            # equally likely, the first and last steps of a piece would hardly ever be seen: one start alone has them.
            middle = generator.integers(lengths[piece])
            start = np.clip(middle - n_steps // 2, 0, np.maximum(lengths[piece] - n_steps, 0))
            stretches = _stretches(arrays, np.stack([piece, start], axis=1), n_steps)
            frames, is_padding = side_by_side(stretches, n_steps)
            is_pitch = (frames >= pitch_ids.start) & (frames < pitch_ids.stop) & ~is_padding[..., None]
            shift = _draw_intervals(frames, is_pitch, generator, intervals, bounds)
            yield FrameBatch(frames + shift[:, None, None] * is_pitch, is_padding, start, piece)

    return draw()


def _draw_intervals(
    frames: np.ndarray, is_pitch: np.ndarray, generator: np.random.Generator, intervals: np.ndarray, bounds: np.ndarray
) -> np.ndarray:
    """Draw an interval for each window, each that keeps all voices in bounds being equally likely; 0 if none does."""
    room_below = (bounds[:, 0] - np.where(is_pitch, frames, bounds[:, 1]).min(axis=1)).max(axis=1)
    room_above = (bounds[:, 1] - np.where(is_pitch, frames, bounds[:, 0]).max(axis=1)).min(axis=1)
    is_allowed = (intervals >= room_below[:, None]) & (intervals <= room_above[:, None])
    is_allowed |= ~is_allowed.any(axis=1, keepdims=True) & (intervals == 0)
    rank = generator.integers(is_allowed.sum(axis=1))
    return intervals[(is_allowed.cumsum(axis=1) > rank[:, None]).argmax(axis=1)]
