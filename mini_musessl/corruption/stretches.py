"""Stretches: spans of one voice, bars of all voices, whole voices.

Chapter: 4b (masking).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from mini_musessl.corruption.checks import check_hider, check_room
from mini_musessl.music import whole_number


def hide_spans(
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
        >>> hide_spans(frames, is_padding, np.random.default_rng(1), span_steps=3)[0].T.astype(int)
        array([[0, 1, 1, 1, 0, 0],
               [0, 0, 0, 0, 0, 0]])

    References:
        Joshi et al., "SpanBERT: Improving Pre-training by Representing and Predicting Spans" (2020), who draw the
        lengths as well.

    Chapter: 4b.
    """
    whole_number("span_steps", span_steps, lowest=1)
    n_music = check_hider(frames, is_padding, generator, "hide_spans", share)
    n_voices = frames.shape[2]
    # A single voice needs a step beside the stretch; otherwise the other voices stay.
    check_room(n_music, span_steps + (n_voices == 1), f"to hide {span_steps} in one voice")
    phase = generator.integers(np.minimum(span_steps, n_music - span_steps + 1)[:, None], size=(len(frames), n_voices))
    n_wanted = share * n_music * n_voices / span_steps
    is_hidden = _hide_blocks(frames.shape[1], n_music, phase, span_steps, n_wanted, generator)
    return is_hidden.swapaxes(1, 2)


def hide_bars(
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
        >>> hidden = hide_bars(frames, is_padding, np.random.default_rng(0), bar_steps=4, bar_line_step=np.array([3]))
        >>> np.flatnonzero(hidden[0, :, 2]).tolist()
        [7, 8, 9, 10]

    Chapter: 4b.
    """
    whole_number("bar_steps", bar_steps, lowest=1)
    n_music = check_hider(frames, is_padding, generator, "hide_bars", share)
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


def hide_voices(
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
        >>> hide_voices(frames, is_padding, np.random.default_rng(0), among=(1, 2))[:, 0].astype(int).tolist()
        [[0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0]]

    Chapter: 4b.
    """
    check_hider(frames, is_padding, generator, "hide_voices")
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
