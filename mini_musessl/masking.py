"""Masking: what a network may not see, so that it can be asked for it.

Every masker is a function ``mask(frames, is_padding, generator, **settings)`` that returns ``is_hidden``. They differ
in what stays visible beside a hidden cell, and so in what must be known to name it. Settings are fixed with
``functools.partial``. ``draw_mask`` is the door: it calls a masker and checks what it hides.

Conventions:
    frames: int (n_windows, n_steps, n_voices), the ids of every step, highest voice first.
    is_padding: bool (n_windows, n_steps), True beyond the end of the piece.
    is_hidden: bool, as frames: True where a cell, one voice at one step, must not be seen. Never True on padding.
    weights: float32, as frames: how much a cell counts in the loss; 0 where it is not asked for.
    share: part of a window's cells that is hidden, above 0 and below 1.

References:
    Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019), who hide
    15 % of the words; Joshi et al., "SpanBERT" (2020), who hide spans and draw their lengths as well. Uria, Murray and
    Larochelle, "A Deep and Tractable Density Estimator" (2014), for the orderless likelihood; for chorales Huang et
    al., "Counterpoint by Convolution" (2017).

Chapter: 4b (masking).
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from mini_musessl.checks import check_generator, check_share, check_truth

Frames = Int[np.ndarray, "n_windows n_steps n_voices"]
IsPadding = Bool[np.ndarray, "n_windows n_steps"]
IsHidden = Bool[np.ndarray, "n_windows n_steps n_voices"]
Weights = Float[np.ndarray, "n_windows n_steps n_voices"]

Masker = Callable[[Frames, IsPadding, np.random.Generator], IsHidden]
Weigher = Callable[[IsHidden, IsPadding], Weights]


# --- Single cells, each hidden without regard to its neighbours


def smallest(keys: Float[np.ndarray, "n_windows n_keys"], n: Int[np.ndarray, " n_windows"]) -> np.ndarray:
    """Mark the ``n`` smallest keys of each row; with random keys, every subset of that size is as likely."""
    last = np.sort(keys, axis=1)[np.arange(len(keys)), n - 1]
    return keys <= last[:, None]


def hide_cells(
    frames: Frames, is_padding: IsPadding, generator: np.random.Generator, n_hidden: Int[np.ndarray, " n_windows"]
) -> IsHidden:
    """Hide so many cells of each window, each subset of that size equally likely."""
    keys = generator.random(frames.shape)
    keys[is_padding] = np.inf
    return smallest(keys.reshape(len(frames), -1), n_hidden).reshape(frames.shape)


def mask_cells(frames: Frames, is_padding: IsPadding, generator: np.random.Generator, share: float = 0.25) -> IsHidden:
    """Hide the same share of the cells of every window, rounded to whole cells, each cell equally likely.

    Most cells can be named by copying the held note next door: see ``copy_next_door``.
    """
    n_cells = (~is_padding).sum(axis=1) * frames.shape[2]
    n_hidden = np.clip(np.rint(share * n_cells), 1, n_cells - 1).astype(int)
    return hide_cells(frames, is_padding, generator, n_hidden)


def mask_orderless(frames: Frames, is_padding: IsPadding, generator: np.random.Generator) -> IsHidden:
    """Hide a random number of cells in every window: one, two and so on up to all, each number equally likely.

    These are the states of music that is written cell by cell in a random order. With ``orderless_weights`` the
    expected loss is the mean, over all orders, of the nats per cell of writing the window in that order.
    """
    n_cells = (~is_padding).sum(axis=1) * frames.shape[2]
    return hide_cells(frames, is_padding, generator, generator.integers(1, n_cells + 1))


# --- Stretches: spans of one voice, bars of all voices, whole voices


def mask_spans(
    frames: Frames, is_padding: IsPadding, generator: np.random.Generator, share: float = 0.25, span_steps: int = 8
) -> IsHidden:
    """Hide stretches of single voices, all of the same length, while the other voices may be seen.

    No two overlap; two may touch. Their number is rounded up or down at random, so that the mean share is right.
    """
    n_music, n_voices = (~is_padding).sum(axis=1), frames.shape[2]
    n_starts = np.clip(n_music - span_steps + 1, 1, span_steps)
    phase = generator.integers(n_starts[:, None], size=(len(frames), n_voices))
    n_wanted = share * n_music * n_voices / span_steps
    return hide_blocks(frames.shape[1], n_music, phase, span_steps, n_wanted, generator).swapaxes(1, 2)


def mask_bars(
    frames: Frames,
    is_padding: IsPadding,
    generator: np.random.Generator,
    share: float = 0.25,
    bar_steps: int = 16,
    bar_line_step: Int[np.ndarray, " n_windows"] | None = None,
) -> IsHidden:
    """Hide whole bars in all voices at once: only what comes before and after may be seen.

    Args:
        bar_line_step: a step of each window at which a bar begins. None where the music does not say: then stretches as
            long as a bar are hidden, from a place drawn for each window.
    """
    n_music = (~is_padding).sum(axis=1)
    if bar_line_step is None:
        phase = generator.integers(np.clip(n_music - bar_steps + 1, 1, bar_steps))
    else:
        phase = bar_line_step % bar_steps
    n_wanted = share * n_music / bar_steps
    is_hidden = hide_blocks(frames.shape[1], n_music, phase[:, None], bar_steps, n_wanted, generator)
    return np.repeat(is_hidden.swapaxes(1, 2), frames.shape[2], axis=2)


def mask_voices(
    frames: Frames,
    is_padding: IsPadding,
    generator: np.random.Generator,
    n_hidden: int = 1,
    among: Sequence[int] | None = None,
) -> IsHidden:
    """Hide whole voices of each window, drawn among all or among some, 0 the highest.

    To ask for a harmony of the soprano: ``n_hidden=3, among=(1, 2, 3)``.
    """
    named = list(range(frames.shape[2]) if among is None else among)
    keys = np.full((len(frames), frames.shape[2]), np.inf)
    keys[:, named] = generator.random((len(frames), len(named)))
    is_hidden = smallest(keys, np.full(len(frames), n_hidden)) & np.isfinite(keys)
    return is_hidden[:, None, :] & ~is_padding[..., None]


def hide_blocks(
    n_steps: int,
    n_music: Int[np.ndarray, " n_windows"],
    phase: Int[np.ndarray, "n_windows n_rows"],
    length: int,
    n_wanted: Float[np.ndarray, " n_windows"],
    generator: np.random.Generator,
) -> Bool[np.ndarray, "n_windows n_rows n_steps"]:
    """Draw blocks of one length from the rows of each window, and mark their steps.

    Args:
        n_music: steps of music in each window; ``n_steps`` counts padding too.
        phase: where the first block of each row begins; the others follow without gaps, as long as they end within the
            music.
        n_wanted: about how many blocks are drawn of each window, at least one, and never all music.
    """
    n_blocks = np.maximum(n_music[:, None] - phase, 0) // length
    total = n_blocks.sum(axis=1)
    most = np.where(total * length == n_music * phase.shape[1], total - 1, total)
    n_drawn = np.clip(np.floor(n_wanted + generator.random(len(phase))), 1, most).astype(int)
    is_there = np.arange(max(1, n_blocks.max())) < n_blocks[..., None]
    keys = np.where(is_there, generator.random(is_there.shape), np.inf)
    is_drawn = smallest(keys.reshape(len(phase), -1), n_drawn).reshape(is_there.shape)
    block = (np.arange(n_steps) - phase[..., None]) // length
    is_within = (block >= 0) & (block < n_blocks[..., None])
    return np.take_along_axis(is_drawn, np.where(is_within, block, 0), axis=2) & is_within


# --- Whole notes, so that no part of a hidden one can be copied


def number_notes(frames: Frames, is_padding: IsPadding) -> tuple[Frames, Int[np.ndarray, " n_windows"]]:
    """Number the notes of each window, longest stretches of one symbol, voice after voice; say how many there are.

    All padding has the number after the last.

    >>> number_notes(np.array([[[30, 9], [30, 9], [32, 9]]]), np.zeros((1, 3), bool))[0].tolist()
    [[[0, 2], [0, 2], [1, 2]]]
    """
    is_new = np.ones(frames.shape, bool)
    is_new[:, 1:] = frames[:, 1:] != frames[:, :-1]
    is_new &= ~is_padding[..., None]
    # Counted down each voice, and on from one voice to the next.
    n_begun = is_new.cumsum(axis=1)
    n_above = n_begun[:, -1].cumsum(axis=1) - n_begun[:, -1]
    n_notes = n_begun[:, -1].sum(axis=1)
    return np.where(is_padding[..., None], n_notes[:, None, None], n_begun - 1 + n_above[:, None]), n_notes


def mask_notes(frames: Frames, is_padding: IsPadding, generator: np.random.Generator, share: float = 0.25) -> IsHidden:
    """Hide whole sounding notes: all steps of a window at which a voice holds one symbol, or none of them.

    A pitch re-articulated at once counts as held, since the ids do not tell; a rest is hidden like a note. Notes are
    drawn in a random order until the share is reached as nearly as whole notes allow; at least one is hidden and at
    least one stays.

    What it promises: a visible cell next to a hidden one in its voice never holds the same symbol, so the note next
    door is always wrong there. What it does not promise: two neighbouring notes may both be hidden, and the note beyond
    may be the same again; another voice may sing the same pitch; and where a hidden stretch is one note, its edges tell
    when it begins and ends. Rhythm is less hidden than pitch.

    >>> frames = np.array([[[30], [30], [32], [32], [32]]])
    >>> mask_notes(frames, np.zeros((1, 5), bool), np.random.default_rng(0))[..., 0].tolist()
    [[False, False, True, True, True]]
    """
    note, n_notes = number_notes(frames, is_padding)
    note, number = note.reshape(len(frames), -1), np.arange(n_notes.max() + 1)
    keys = generator.random((len(frames), len(number)))
    keys[number >= n_notes[:, None]] = np.inf  # no note of this window, or padding
    order = keys.argsort(axis=1)
    n_cells = np.stack([np.bincount(row, minlength=len(number)) for row in note])
    n_cells = np.take_along_axis(n_cells, order, axis=1)
    # A note that would go beyond the share is taken if more than half of it lies within.
    n_wanted = share * (~is_padding).sum(axis=1, keepdims=True) * frames.shape[2]
    is_taken = (n_cells.cumsum(axis=1) - n_cells / 2 <= n_wanted) | (number == 0)
    is_taken &= number < n_notes[:, None] - 1
    is_drawn = np.zeros(keys.shape, bool)
    np.put_along_axis(is_drawn, order, is_taken, axis=1)
    return np.take_along_axis(is_drawn, note, axis=1).reshape(frames.shape) & ~is_padding[..., None]


# --- The baseline that needs no music: a hidden cell is what its nearest visible neighbour in the same voice is


def copy_next_door(frames: Frames, is_hidden: IsHidden, is_padding: IsPadding) -> Frames:
    """Guess each hidden cell from the nearest cell of its voice that can be seen, the earlier of two as near.

    How often the guess is right tells how much of a kind of masking can be solved by knowing that notes are held. Where
    a whole voice is hidden the guess is 0.
    """
    guess = np.where(is_hidden, 0, frames)
    for window, step, voice in np.argwhere(is_hidden):
        seen = np.flatnonzero(~is_hidden[window, :, voice] & ~is_padding[window])
        if len(seen):
            nearest = seen[np.abs(seen - step).argmin()]
            guess[window, step, voice] = frames[window, nearest, voice]
    return guess


# --- How much each hidden cell counts in the loss


def equal_weights(is_hidden: IsHidden, is_padding: IsPadding) -> Weights:
    """Let each hidden cell of music count once."""
    return (is_hidden & ~is_padding[..., None]).astype(np.float32)


def orderless_weights(is_hidden: IsHidden, is_padding: IsPadding) -> Weights:
    """Let the hidden cells of a window count together as much as all its cells of music, however many are hidden.

    Else the states with nearly all hidden, in which little can be known, would count most.
    """
    once = equal_weights(is_hidden, is_padding)
    n_cells = (~is_padding).sum(axis=1) * is_hidden.shape[2]
    n_hidden = np.maximum(once.sum(axis=(1, 2)), 1)
    return once * (n_cells / n_hidden).astype(np.float32)[:, None, None]


# --- The kinds of masking by name, several of them in one batch, and the door

#: Every kind of masking by its name. All but "orderless" hide about a quarter.
MASKERS: dict[str, Masker] = {
    "cells": mask_cells,
    "spans": mask_spans,
    "bars": mask_bars,
    "voices": mask_voices,
    "notes": mask_notes,
    "orderless": mask_orderless,
}


def mask_mixed(
    frames: Frames,
    is_padding: IsPadding,
    generator: np.random.Generator,
    kinds: Sequence[Masker] = (mask_cells, mask_spans, mask_bars, mask_voices, mask_notes),
) -> IsHidden:
    """Hide in each window by one of several kinds, each equally likely.

    All hidden cells weigh the same, in the windows of ``mask_orderless`` too: the loss is then no orderless likelihood.
    """
    drawn = generator.integers(len(kinds), size=len(frames))
    is_hidden = np.zeros(frames.shape, bool)
    for kind in np.unique(drawn):
        rows = drawn == kind
        is_hidden[rows] = kinds[kind](frames[rows], is_padding[rows], generator)
    return is_hidden


def weigher_of(mask: Masker) -> Weigher:
    """Return the weights of a masker: its own for ``mask_orderless``, equal ones for all else, mixtures too."""
    # partial(mask_orderless, ...) is a masker too: a partial keeps its function in .func, its settings in .keywords.
    return orderless_weights if getattr(mask, "func", mask) is mask_orderless else equal_weights


def may_mask_all(mask: Masker) -> bool:
    """Return whether a masker hides a whole window now and then: ``mask_orderless``, and mixtures with it."""
    kinds = getattr(mask, "keywords", {}).get("kinds", ())  # of partial(mask_mixed, kinds=...); none otherwise
    return weigher_of(mask) is orderless_weights or any(map(may_mask_all, kinds))


def draw_mask(
    mask: Masker, frames: Frames, is_padding: IsPadding, generator: np.random.Generator, may_hide_all: bool = False
) -> IsHidden:
    """Draw what is hidden: the door in front of all maskers.

    Args:
        may_hide_all: a window may be hidden whole, as it may where ``may_mask_all(mask)``.
    """
    check_generator(generator, "draw_mask")
    share = getattr(mask, "keywords", {}).get("share", 0.5)
    check_share("share, the part of the cells that is hidden,", share, "0.25 is a quarter.")
    is_hidden = mask(frames, is_padding, generator)
    check_truth("What a masker hides", is_hidden, frames.shape)
    is_music = ~is_padding[..., None]
    asks, shows = (is_hidden & is_music).any(axis=(1, 2)), (~is_hidden & is_music).any(axis=(1, 2))
    if not asks.all():
        raise ValueError(
            f"Something must be hidden in each window, or nothing is asked of it; in window {int(asks.argmin())} "
            "nothing is. Cut longer windows, hide a larger share, or is the array upside down (True is hidden)?"
        )
    if not (shows.all() or may_hide_all or may_mask_all(mask)):
        raise ValueError(
            f"Something must stay visible in each window; in window {int(shows.argmin())} every cell is hidden. Hide "
            "less, or train an orderless likelihood: mask_orderless, or weigh=orderless_weights."
        )
    return is_hidden
