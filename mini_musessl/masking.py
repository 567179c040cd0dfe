"""Corruption: what a network may not see, so that it can be asked for it.

Every hider is a function ``hide(frames, is_padding, generator, **settings)`` that returns ``is_hidden``. They differ in
what stays visible beside a hidden cell, and so in what must be known to name it. Settings are fixed with
``functools.partial``.

Conventions:
    frames: int (n_windows, n_steps, n_voices), the ids of every step, highest voice first.
    is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
    is_hidden: bool, as frames: True where a cell, one voice at one step, must not be seen. Never True on padding.
    weights: float32, as frames: how much a cell counts in the loss; 0 where it is not asked for.

NumPy only.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real

import numpy as np
from jaxtyping import Bool, Float, Int

from mini_musessl.checks import check_generator, whole_number

# --- What every hider refuses: no frames, padding before music or nothing else, and hiding nothing or all


def check_frames(frames: np.ndarray, is_padding: np.ndarray) -> np.ndarray:
    """Return how many steps of music each window holds, or refuse what is no batch of windows.

    Args:
        frames: should be whole numbers (n_windows, n_steps, n_voices).
        is_padding: should be True and False, (n_windows, n_steps), True only at the end of a window.

    Returns:
        int64 (n_windows,), each at least 1.

    Raises:
        ValueError: another shape, padding before music, or a window of nothing but padding.
        TypeError: something other than arrays, frames that are no whole numbers, or padding that is not True and False.
    """
    _check_arrays(frames, is_padding)
    if frames.ndim != 3 or frames.size == 0:
        raise ValueError(
            f"Cells are hidden in windows of the shape (n_windows, n_steps, n_voices), none of them 0; found "
            f"{frames.shape}. For one piece, put it into a batch: frames[None]."
        )
    if frames.dtype.kind not in "iu":
        raise TypeError(f"Frames must be whole symbol ids; found {frames.dtype}. Encode the music first.")
    if is_padding.dtype != np.bool_:
        raise TypeError(
            f"is_padding must be True beyond the end of the music and False in it; found {is_padding.dtype}. Compare "
            "first."
        )
    if is_padding.shape != frames.shape[:2]:
        raise ValueError(
            f"is_padding must say one thing of each step, {frames.shape[:2]}; found {is_padding.shape}. For no "
            "padding: np.zeros(frames.shape[:2], bool)."
        )
    n_music = (~is_padding).sum(axis=1)
    if n_music.min() == 0:
        raise ValueError(
            f"Each window needs music; window {int(n_music.argmin())} is nothing but padding. Leave it out."
        )
    if (is_padding[:, :-1] & ~is_padding[:, 1:]).any():
        raise ValueError("Padding stands at the end of a window; found music after padding. Pad at the end.")
    return n_music


def _check_arrays(frames: object, is_padding: object) -> None:
    """Refuse lists, tensors and whatever else is no NumPy array."""
    for name, given in (("frames", frames), ("is_padding", is_padding)):
        if not isinstance(given, np.ndarray):
            raise TypeError(
                f"{name} must be a NumPy array; found {type(given).__name__}. Hide in the arrays of a "
                "windows.FrameBatch, or make one by np.asarray."
            )


def check_hider(
    frames: np.ndarray, is_padding: np.ndarray, generator: np.random.Generator, hider: str, share: float = 0.5
) -> np.ndarray:
    """Return how many steps of music each window holds, or refuse what a hider cannot work with.

    Args:
        frames: see ``check_frames``.
        is_padding: see ``check_frames``.
        generator: should be a NumPy generator.
        hider: name of the function that hides, for the message.
        share: should lie between 0 and 1.

    Raises:
        ValueError: as of ``check_frames``, or a share that hides nothing or all.
        TypeError: as of ``check_frames``, another generator, or a share that is no number.
    """
    check_generator(generator, hider)
    if not isinstance(share, Real) or isinstance(share, bool):
        raise TypeError(f"share must be a number, the part of the cells that is hidden; found {share!r}.")
    if not 0 < share < 1:
        raise ValueError(
            f"share, the part of the cells that is hidden, must lie above 0 and below 1; found {share}. With nothing "
            "hidden nothing is asked, and with all hidden there is nothing to answer from."
        )
    return check_frames(frames, is_padding)


def check_room(n_music: np.ndarray, n_needed: int, reason: str) -> None:
    """Refuse windows that are too short.

    Args:
        n_music: steps of music in each window.
        n_needed: steps that each must have.
        reason: what needs them; the middle of a sentence.

    Raises:
        ValueError: a window has fewer.
    """
    if n_music.min() < n_needed:
        raise ValueError(
            f"A window needs at least {n_needed} steps of music {reason}; window {int(n_music.argmin())} has "
            f"{n_music.min()}. Cut longer windows, or hide less at once."
        )


# --- Single cells, each hidden without regard to its neighbours


def mask_cells(
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
        >>> mask_cells(frames, is_padding, np.random.default_rng(0)).sum(axis=(1, 2)).tolist()
        [6, 6]

    References:
        Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019), who
        hide 15 % of the words.

    Chapter: 4b.
    """
    n_cells = check_hider(frames, is_padding, generator, "mask_cells", share) * frames.shape[2]
    if n_cells.min() < 2:
        raise ValueError(
            "A window needs two cells, one to hide and one to see; found a window of one. Cut longer windows."
        )
    return _hide_n(frames, is_padding, np.clip(np.rint(share * n_cells), 1, n_cells - 1), generator)


def mask_orderless(
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
        >>> mask_orderless(frames, is_padding, np.random.default_rng(0)).sum(axis=(1, 2)).tolist()
        [21, 16, 13, 7, 8]

    References:
        Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator" (2014); for chorales Huang et al.,
        "Counterpoint by Convolution" (2017).

    Chapter: 4b.
    """
    n_cells = check_hider(frames, is_padding, generator, "mask_orderless") * frames.shape[2]
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


# --- Stretches: spans of one voice, bars of all voices, whole voices


def mask_spans(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    share: float = 0.25,
    span_steps: int = 8,
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide stretches of single voices, all of the same length, while the other voices may be seen.

    No two stretches overlap; two may touch and make a longer one.

    Args:
        frames: symbol ids; only their shape counts.
        is_padding: True beyond the end of the piece.
        generator: source of chance.
        share: part of a window's cells that is hidden, above 0 and below 1. The number of stretches is rounded up or
            down at random, so that the mean is right wherever so many fit; at least one is hidden, and something stays.
        span_steps: length of each stretch, in steps.

    Raises:
        ValueError: a share that hides nothing or all, a window shorter than a stretch, or of another shape.
        TypeError: frames or padding of another type, no NumPy generator, or a length that is no whole number.

    Example:
        >>> frames, is_padding = np.zeros((1, 6, 2), int), np.zeros((1, 6), bool)
        >>> mask_spans(frames, is_padding, np.random.default_rng(1), span_steps=3)[0].T.astype(int)
        array([[0, 1, 1, 1, 0, 0],
               [0, 0, 0, 0, 0, 0]])

    References:
        Joshi et al., "SpanBERT: Improving Pre-training by Representing and Predicting Spans" (2020), who draw the
        lengths as well.

    Chapter: 4b.
    """
    whole_number("span_steps", span_steps, lowest=1)
    n_music = check_hider(frames, is_padding, generator, "mask_spans", share)
    n_voices = frames.shape[2]
    # A single voice needs a step beside the stretch; otherwise the other voices stay.
    check_room(n_music, span_steps + (n_voices == 1), f"to hide {span_steps} in one voice")
    phase = generator.integers(np.minimum(span_steps, n_music - span_steps + 1)[:, None], size=(len(frames), n_voices))
    n_wanted = share * n_music * n_voices / span_steps
    is_hidden = _hide_blocks(frames.shape[1], n_music, phase, span_steps, n_wanted, generator)
    return is_hidden.swapaxes(1, 2)


def mask_bars(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    share: float = 0.25,
    bar_steps: int = 16,
    bar_line_step: Int[np.ndarray, " n_windows"] | None = None,
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide whole bars in all voices at once: only what comes before and after may be seen.

    Args:
        frames: symbol ids; only their shape counts.
        is_padding: True beyond the end of the piece.
        generator: source of chance.
        share: part of a window's steps that is hidden, above 0 and below 1. The number of bars is rounded up or down
            at random; at least one is hidden, and at least one step stays.
        bar_steps: length of a bar, in steps; 16 is four quarters of four steps.
        bar_line_step: a step of each window at which a bar begins. None where the music does not say: then stretches as
            long as a bar are hidden, from a place drawn for each window.

    Raises:
        ValueError: a share that hides nothing or all, a window without a whole bar and a step beside it, or windows of
            another shape.
        TypeError: frames or padding of another type, no NumPy generator, or a length that is no whole number.

    Example:
        >>> frames, is_padding = np.zeros((1, 12, 4), int), np.zeros((1, 12), bool)
        >>> hidden = mask_bars(frames, is_padding, np.random.default_rng(0), bar_steps=4, bar_line_step=np.array([3]))
        >>> np.flatnonzero(hidden[0, :, 2]).tolist()
        [7, 8, 9, 10]

    Chapter: 4b.
    """
    whole_number("bar_steps", bar_steps, lowest=1)
    n_music = check_hider(frames, is_padding, generator, "mask_bars", share)
    check_room(n_music, bar_steps + 1, f"to hide a bar of {bar_steps} and see something")
    if bar_line_step is None:
        phase = generator.integers(np.minimum(bar_steps, n_music - bar_steps + 1))
    else:
        phase = _check_bar_lines(bar_line_step, len(frames)) % bar_steps
        check_room(n_music - phase, bar_steps, f"from the first bar line on, to hide a bar of {bar_steps}")
    is_hidden = _hide_blocks(
        frames.shape[1], n_music, phase[:, None], bar_steps, share * n_music / bar_steps, generator
    )
    return np.repeat(is_hidden.swapaxes(1, 2), frames.shape[2], axis=2)


def mask_voices(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    n_hidden: int = 1,
    among: Sequence[int] | None = None,
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide whole voices of each window.

    To ask for a harmony of the soprano: ``n_hidden=3, among=(1, 2, 3)``.

    Args:
        frames: symbol ids; only their shape counts.
        is_padding: True beyond the end of the piece.
        generator: source of chance.
        n_hidden: how many voices to hide in each window, fewer than there are.
        among: voices to draw from, 0 the highest; None for all.

    Raises:
        ValueError: voices that do not exist or are named twice, more hidden than are named, all hidden, or windows of
            another shape.
        TypeError: frames or padding of another type, no NumPy generator, or a number that is no whole number.

    Example:
        >>> frames, is_padding = np.zeros((3, 2, 4), int), np.zeros((3, 2), bool)
        >>> mask_voices(frames, is_padding, np.random.default_rng(0), among=(1, 2))[:, 0].astype(int).tolist()
        [[0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0]]

    Chapter: 4b.
    """
    check_hider(frames, is_padding, generator, "mask_voices")
    n_voices = frames.shape[2]
    named = list(range(n_voices)) if among is None else [whole_number("A voice", v, 0, n_voices - 1) for v in among]
    if len(set(named)) != len(named):
        raise ValueError(f"Each voice is named once in among; found {tuple(among)}.")
    whole_number("n_hidden", n_hidden, lowest=1, advice="With nothing hidden nothing is asked.")
    if n_hidden > len(named) or n_hidden >= n_voices:
        raise ValueError(
            f"n_hidden must be at most the voices named, {len(named)}, and leave one of the {n_voices} to see; found "
            f"{n_hidden}."
        )
    keys = np.full((len(frames), n_voices), np.inf)
    keys[:, named] = generator.random((len(frames), len(named)))
    is_hidden = keys.argsort(axis=1).argsort(axis=1) < n_hidden
    return is_hidden[:, None, :] & ~is_padding[..., None]


def _check_bar_lines(bar_line_step: np.ndarray, n_windows: int) -> np.ndarray:
    """Return the bar lines, or refuse what is not one a window."""
    if np.shape(bar_line_step) != (n_windows,) or np.asarray(bar_line_step).dtype.kind not in "iu":
        raise ValueError(
            f"bar_line_step must be one whole number a window, ({n_windows},); found {np.asarray(bar_line_step).dtype} "
            f"{np.shape(bar_line_step)}."
        )
    return np.asarray(bar_line_step)


def _hide_blocks(
    n_steps: int,
    n_music: np.ndarray,
    phase: np.ndarray,
    length: int,
    n_wanted: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw blocks of one length from each window, and mark their steps: bool (n_windows, n_rows, n_steps).

    ``phase`` is the step at which the first block of each row begins, (n_windows, n_rows); the others follow without
    gaps, as long as they end within the music. About ``n_wanted`` blocks are drawn, at least one, and never all music.
    """
    n_blocks = (n_music[:, None] - phase) // length
    is_there = np.arange(max(1, n_blocks.max())) < n_blocks[..., None]
    total = n_blocks.sum(axis=1)
    most = np.where(total * length == n_music * phase.shape[1], total - 1, total)
    n_drawn = np.clip(np.floor(n_wanted + generator.random(len(phase))), 1, most).astype(np.int64)
    keys = np.where(is_there, generator.random(is_there.shape), np.inf).reshape(len(phase), -1)
    is_drawn = (keys <= np.sort(keys, axis=1)[np.arange(len(phase)), n_drawn - 1][:, None]).reshape(is_there.shape)
    block = (np.arange(n_steps) - phase[..., None]) // length
    is_within = (block >= 0) & (block < n_blocks[..., None])
    return np.take_along_axis(is_drawn, np.where(is_within, block, 0), axis=2) & is_within


# --- Whole notes, so that no part of a hidden one can be copied


def mask_notes(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    share: float = 0.25,
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide whole sounding notes: all steps of a window at which a voice holds one symbol, or none of them.

    A note is a longest stretch of one symbol in one voice; a pitch that is struck again at once counts as held, since
    the ids do not tell, and a rest is hidden like a note. Notes are drawn in a random order, each equally likely to
    come next, until the share is reached as nearly as whole notes allow.

    What it promises: a visible cell next to a hidden one in its voice never holds the same symbol, so the note next
    door is always wrong there. What it does not promise: two neighbouring notes may both be hidden, and the note beyond
    may be the same again; another voice may sing the same pitch; and where a hidden stretch is one note, its edges tell
    when it begins and ends. Rhythm is less hidden than pitch.

    Args:
        frames: symbol ids.
        is_padding: True beyond the end of the piece.
        generator: source of chance.
        share: part of a window's cells that is hidden, about; above 0 and below 1. At least one note is hidden and at
            least one stays.

    Raises:
        ValueError: a share that hides nothing or all, windows of another shape, without music, or with one note alone.
        TypeError: frames or padding of another type, or no NumPy generator.

    Example:
        >>> frames = np.array([[[30], [30], [32], [32], [32]]])
        >>> mask_notes(frames, np.zeros((1, 5), bool), np.random.default_rng(0))[..., 0].tolist()
        [[False, False, True, True, True]]

    Chapter: 4b.
    """
    n_music = check_hider(frames, is_padding, generator, "mask_notes", share)
    note, n_notes = number_notes(frames, is_padding)
    if n_notes.min() < 2:
        raise ValueError(
            f"A window needs two notes, one to hide and one to see; window {int(n_notes.argmin())} holds one note "
            "alone. Cut longer windows."
        )
    is_drawn = _draw_notes(
        _count_steps(note, int(n_notes.max())), n_notes, share * n_music * frames.shape[2], generator
    )
    is_hidden = np.take_along_axis(is_drawn, note.reshape(len(frames), -1), axis=1).reshape(frames.shape)
    return is_hidden & ~is_padding[..., None]


def number_notes(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"], is_padding: Bool[np.ndarray, "n_windows n_steps"]
) -> tuple[Int[np.ndarray, "n_windows n_steps n_voices"], Int[np.ndarray, " n_windows"]]:
    """Number the notes of each window from 0, voice after voice; a note is a longest stretch of one symbol.

    Args:
        frames: symbol ids.
        is_padding: True beyond the end of the piece.

    Returns:
        The number of the note that each cell belongs to, and how many each window has. All padding has that number.

    Example:
        >>> number_notes(np.array([[[30, 9], [30, 9], [32, 9]]]), np.zeros((1, 3), bool))[0].tolist()
        [[[0, 2], [0, 2], [1, 2]]]

    Chapter: 4b.
    """
    is_new = np.ones(frames.shape, bool)
    is_new[:, 1:] = frames[:, 1:] != frames[:, :-1]
    is_new &= ~is_padding[..., None]
    # Counted down each voice, and on from one voice to the next.
    n_begun = is_new.cumsum(axis=1)
    n_above = n_begun[:, -1].cumsum(axis=1) - n_begun[:, -1]
    n_notes = n_begun[:, -1].sum(axis=1)
    note = n_begun - 1 + n_above[:, None]
    return np.where(is_padding[..., None], n_notes[:, None, None], note), n_notes


def _count_steps(note: np.ndarray, most: int) -> np.ndarray:
    """Return how many cells each note has: (n_windows, most + 1); the last column holds padding."""
    n_windows = len(note)
    place = note.reshape(n_windows, -1) + (most + 1) * np.arange(n_windows)[:, None]
    return np.bincount(place.ravel(), minlength=n_windows * (most + 1)).reshape(n_windows, most + 1)


def _draw_notes(
    n_cells: np.ndarray, n_notes: np.ndarray, n_wanted: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw notes until about so many cells are taken: bool, as ``n_cells``."""
    keys = generator.random(n_cells.shape)
    keys[np.arange(n_cells.shape[1]) >= n_notes[:, None]] = np.inf
    order = keys.argsort(axis=1)
    drawn = np.take_along_axis(n_cells, order, axis=1)
    # A note that would go beyond the share is taken if more than half of it lies within.
    is_taken = drawn.cumsum(axis=1) - drawn / 2 <= n_wanted[:, None]
    place = np.arange(n_cells.shape[1])
    is_taken = (is_taken | (place == 0)) & (place < n_notes[:, None] - 1)
    is_drawn = np.zeros(n_cells.shape, bool)
    np.put_along_axis(is_drawn, order, is_taken, axis=1)
    return is_drawn


# --- How much each hidden cell counts in the loss


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


# --- The rule that needs no music: a hidden cell is what its nearest visible neighbour in the same voice is


def copy_next_door(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_hidden: Bool[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
) -> Int[np.ndarray, "n_windows n_steps n_voices"]:
    """Guess each hidden cell from the nearest cell of its voice that can be seen, the earlier of two as near.

    How often the guess is right says how much of a kind of hiding can be solved by knowing that notes are held.

    Args:
        frames: symbol ids. Those of hidden cells are not looked at.
        is_hidden: True where a cell cannot be seen.
        is_padding: True beyond the end of the piece.

    Returns:
        The frames with guesses in place of what is hidden; 0 where the whole voice is.

    Raises:
        ValueError: shapes that do not fit, or a window without music.
        TypeError: frames, padding or ``is_hidden`` of another type.

    Example:
        >>> frames = np.array([[[30], [30], [30], [32], [32]]])
        >>> is_hidden = np.array([[[False], [True], [True], [True], [False]]])
        >>> copy_next_door(frames, is_hidden, np.zeros((1, 5), bool))[..., 0].tolist()
        [[30, 30, 30, 32, 32]]

    Chapter: 4b.
    """
    check_frames(frames, is_padding)
    if not isinstance(is_hidden, np.ndarray):
        raise TypeError(f"is_hidden must be a NumPy array, as a hider returns; found {type(is_hidden).__name__}.")
    if is_hidden.shape != frames.shape or is_hidden.dtype != np.bool_:
        raise ValueError(
            f"is_hidden must be True or False for each cell, {frames.shape}; found {is_hidden.dtype} {is_hidden.shape}."
        )
    n_steps = frames.shape[1]
    step = np.arange(n_steps)[:, None]
    is_seen = ~is_hidden & ~is_padding[..., None]
    before = np.maximum.accumulate(np.where(is_seen, step, -2 * n_steps), axis=1)
    after = np.minimum.accumulate(np.where(is_seen, step, 3 * n_steps)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(step - before <= after - step, before, after)
    guess = np.take_along_axis(frames, np.clip(nearest, 0, n_steps - 1), axis=1)
    guess[(nearest < 0) | (nearest >= n_steps)] = 0
    return np.where(is_hidden, guess, frames)


# --- The kinds of hiding by name, and several of them in one batch

Masker = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
Weigher = Callable[[np.ndarray, np.ndarray], np.ndarray]

#: Every kind of hiding by its name. All but "orderless" hide about a quarter.
MASKERS: dict[str, Masker] = {
    "cells": mask_cells,
    "spans": mask_spans,
    "bars": mask_bars,
    "voices": mask_voices,
    "notes": mask_notes,
    "orderless": mask_orderless,
}


def weigher_of(hide: Masker) -> Weigher:
    """Return the weights that belong to a kind of hiding: those of ``hide_orderless``, and equal ones for all else.

    Args:
        hide: a hider, or ``functools.partial`` of one.

    Example:
        >>> weigher_of(hide_orderless).__name__, weigher_of(partial(hide_notes, share=0.5)).__name__
        ('orderless_weights', 'equal_weights')

    Chapter: 4b.
    """
    return orderless_weights if _without_settings(hide) is mask_orderless else equal_weights


def may_mask_all(hide: Masker) -> bool:
    """Say whether a kind of hiding leaves nothing of a window now and then: ``hide_orderless``, and mixtures with it.

    Args:
        hide: a hider, or ``functools.partial`` of one.

    Example:
        >>> may_mask_all(hide_orderless), may_mask_all(hide_mixed)
        (True, False)
        >>> may_mask_all(partial(hide_mixed, kinds=[hide_bars, hide_orderless]))
        True

    Chapter: 4b.
    """
    if _without_settings(hide) is mask_mixed and isinstance(hide, partial):
        return any(may_mask_all(kind) for kind in hide.keywords.get("kinds", ()))
    return _without_settings(hide) is mask_orderless


def _without_settings(hide: Masker) -> Masker:
    """Return the function inside ``functools.partial``."""
    while isinstance(hide, partial):
        hide = hide.func
    return hide


def mask_mixed(
    frames: Int[np.ndarray, "n_windows n_steps n_voices"],
    is_padding: Bool[np.ndarray, "n_windows n_steps"],
    generator: np.random.Generator,
    kinds: Sequence[Masker] = (mask_cells, mask_spans, mask_bars, mask_voices, mask_notes),
) -> Bool[np.ndarray, "n_windows n_steps n_voices"]:
    """Hide in each window by one of several kinds, each equally likely.

    All hidden cells weigh the same (``weigher_of``), in the windows of ``hide_orderless`` too where it is among the
    kinds: windows with more hidden count more, and the loss is no orderless likelihood.

    Args:
        frames: symbol ids.
        is_padding: True beyond the end of the piece.
        generator: source of chance.
        kinds: hiders to draw from.

    Raises:
        ValueError: no kinds, or as of the hiders.
        TypeError: as of the hiders.

    Example:
        >>> frames, is_padding = np.zeros((2, 32, 4), int), np.zeros((2, 32), bool)
        >>> is_hidden = mask_mixed(frames, is_padding, np.random.default_rng(2), [hide_bars, hide_voices])
        >>> is_hidden.sum(axis=(1, 2)).tolist()
        [32, 64]

    Chapter: 4b.
    """
    check_hider(frames, is_padding, generator, "mask_mixed")
    if not len(kinds):
        raise ValueError("hide_mixed needs at least one kind of hiding; found none.")
    drawn = generator.integers(len(kinds), size=len(frames))
    is_hidden = np.zeros(frames.shape, bool)
    for kind in np.unique(drawn):
        rows = drawn == kind
        is_hidden[rows] = kinds[kind](frames[rows], is_padding[rows], generator)
    return is_hidden
