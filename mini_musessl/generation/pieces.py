"""Grids: continue a piece, set a melody for four voices, or fill what is missing.

Chapter: 00 (used), 4b (filling), 9b (continuing and harmonising).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from mini_musessl import voices
from mini_musessl.checks import whole_number
from mini_musessl.generation.gibbs import N_SWEEPS, check_is_masked, infill, rest_where_hidden
from mini_musessl.generation.sampling import check_model, sample_frames
from mini_musessl.network.encoder import MaskedTransformer
from mini_musessl.network.frames import FrameTransformer
from mini_musessl.network.transformer import MusicTransformer
from mini_musessl.tokenizers.voice_grid import VoiceGridTokens
from mini_musessl.voices import VoiceGrid


def continue_piece(
    model: FrameTransformer | MusicTransformer,
    opening: VoiceGrid,
    n_steps: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    tokenizer: VoiceGridTokens | None = None,
) -> VoiceGrid:
    """Let a model go on where an opening ends.

    Args:
        model: trained on the tokens of ``tokenizer``.
        opening: the first steps of a piece.
        n_steps: how many steps to add.
        generator: source of chance.
        temperature: see ``apply_temperature``.
        top_p: see ``keep_top_p``.
        top_k: see ``keep_top_k``.
        tokenizer: between grids and ids; None for ``VoiceGridTokens()``, the 47 symbols of the chorale benchmark.

    Returns:
        The opening and its continuation, in the meter and speed of the opening. Title, name and key are left out:
        they are not those of the new music.

    Raises:
        ValueError: the model was made for another vocabulary, n_steps is not positive, or the opening is empty or
            longer than the context.
        TypeError: the opening is no VoiceGrid, or the model is of another kind.

    Chapter: 00, 9b.
    """
    check_model(model)
    tokenizer = _check_tokenizer(model, tokenizer)
    whole_number("n_steps", n_steps, lowest=1)
    if not isinstance(opening, VoiceGrid):
        raise TypeError(
            f"An opening must be a VoiceGrid; found {type(opening).__name__}. Make one with voices.from_pitches."
        )
    if opening.n_steps == 0:
        raise ValueError("An opening must hold at least 1 step; found none. To begin from nothing, use sample_frames.")
    prompt = tokenizer.as_steps(tokenizer.encode(opening))
    added = sample_frames(model, prompt[None], n_steps, generator, temperature, top_p, top_k)
    grid = tokenizer.decode(np.concatenate((prompt, added[0].numpy())))
    is_onset = grid.is_onset.copy()
    is_onset[: opening.n_steps] = opening.is_onset
    later = (int(opening.bar_position_step[-1]) + 1 + np.arange(n_steps)) % _bar_step(opening)
    return replace(
        opening,
        title="",
        name="",
        fifths=None,
        mode=None,
        pitch=grid.pitch,
        is_onset=is_onset,
        is_fermata=np.concatenate((opening.is_fermata, np.zeros(n_steps, bool))),
        bar_position_step=np.concatenate((opening.bar_position_step, later)),
    )


def harmonise(
    model: FrameTransformer | MusicTransformer,
    soprano: VoiceGrid | ArrayLike,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    n_candidates: int = 1,
    tokenizer: VoiceGridTokens | None = None,
) -> VoiceGrid:
    """Write alto, tenor and bass under a given soprano.

    The soprano of each step is given and the other voices are drawn, step after step. A network that writes from left
    to right does not look ahead while it does so: with one candidate, each chord is chosen without knowing the notes of
    the melody that follow, and a cadence that the melody prepares may be missed. With more candidates, drafts in which
    the melody comes as expected are preferred; see ``sample_frames``.

    Args:
        model: trained on the tokens of ``tokenizer``.
        soprano: a VoiceGrid, whose first voice is taken and whose other voices are not looked at; or MIDI pitches
            (n_steps,), -1 for a rest.
        generator: source of chance.
        temperature: see ``apply_temperature``.
        top_p: see ``keep_top_p``.
        top_k: see ``keep_top_k``.
        n_candidates: drafts that are written side by side, at least 1.
        tokenizer: between grids and ids; None for ``VoiceGridTokens()``.

    Returns:
        Four voices, the first of which is the soprano as it was given. Meter, key, fermatas and bar lines are those of
        a given grid; its title and name are left out.

    Raises:
        ValueError: a soprano of another shape, without steps, or with pitches outside the vocabulary; a model of
            another vocabulary; numbers out of range.
        TypeError: the model is of another kind.

    Example:
        >>> from mini_musessl.frames import FrameConfig
        >>> model = FrameTransformer(FrameConfig(d_model=20, d_feedforward=40, d_voice=30))
        >>> grid = harmonise(model, [72, 72, 74, 76], torch.Generator().manual_seed(0))
        >>> grid.pitch.shape, grid.pitch[:, 0].tolist()
        ((4, 4), [72, 72, 74, 76])

    Chapter: 9b.
    """
    check_model(model)
    tokenizer = _check_tokenizer(model, tokenizer)
    melody = _melody(soprano, tokenizer)
    clamp = np.full((melody.n_steps, tokenizer.n_voices), -1)
    clamp[:, 0] = tokenizer.as_steps(tokenizer.encode(melody))[:, 0]
    empty = np.zeros((1, 0, tokenizer.n_voices), int)
    drawn = sample_frames(
        model,
        empty,
        melody.n_steps,
        generator,
        temperature,
        top_p,
        top_k,
        clamp=clamp,
        n_candidates=n_candidates,
    )
    grid = tokenizer.decode(drawn[0].numpy())
    is_onset = grid.is_onset.copy()
    is_onset[:, 0] = melody.is_onset[:, 0]
    return replace(melody, pitch=grid.pitch, is_onset=is_onset)


def infill_piece(
    model: MaskedTransformer,
    piece: VoiceGrid,
    is_hidden: ArrayLike,
    generator: torch.Generator,
    n_sweeps: int = N_SWEEPS,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    tokenizer: VoiceGridTokens | None = None,
) -> VoiceGrid:
    """Let a masked model write the hidden cells of a piece; see ``fill``.

    Args:
        model: trained on the tokens of ``tokenizer``.
        piece: four voices. What stands in hidden cells is not looked at.
        is_hidden: bool (n_steps, n_voices), True where the model writes.
        generator: source of chance.
        n_sweeps: how many sweeps; see ``fill``.
        temperature: see ``apply_temperature``.
        top_p: see ``keep_top_p``.
        top_k: see ``keep_top_k``.
        tokenizer: between grids and ids; None for ``VoiceGridTokens()``.

    Returns:
        The piece with the hidden cells filled; its title and name are left out. Given notes are struck where they were,
        and where a filled cell makes them begin anew.

    Raises:
        ValueError: as of ``fill``; a model of another vocabulary.
        TypeError: as of ``fill``; the piece is no VoiceGrid.

    Example:
        >>> from mini_musessl.encoder import EncoderConfig
        >>> model = MaskedTransformer(EncoderConfig(d_model=16, d_feedforward=32, d_voice=24))
        >>> piece = voices.from_pitches([[72, 67, 64, 48], [72, 67, 62, 48]])
        >>> is_alto = np.zeros((2, 4), bool)
        >>> is_alto[:, 1] = True
        >>> filled = infill_piece(model, piece, is_alto, torch.Generator().manual_seed(0), n_sweeps=2)
        >>> filled.pitch[:, [0, 2, 3]].tolist()
        [[72, 64, 48], [72, 62, 48]]

    Chapter: 4b.
    """
    check_is_masked(model)
    tokenizer = _check_tokenizer(model, tokenizer)
    if not isinstance(piece, VoiceGrid):
        raise TypeError(
            f"A piece must be a VoiceGrid; found {type(piece).__name__}. Use voices.from_pitches, or fill ids by fill."
        )
    given = tokenizer.as_steps(tokenizer.encode(rest_where_hidden(piece, is_hidden)))
    drawn = infill(model, given, is_hidden, generator, n_sweeps, temperature, top_p, top_k)
    grid = tokenizer.decode(drawn.numpy())
    is_given_onset = piece.is_onset & ~np.asarray(is_hidden)
    return replace(piece, pitch=grid.pitch, is_onset=grid.is_onset | is_given_onset, title="", name="")


def harmonise_by_infilling(
    model: MaskedTransformer,
    soprano: VoiceGrid | ArrayLike,
    generator: torch.Generator,
    n_sweeps: int = N_SWEEPS,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int | None = None,
    tokenizer: VoiceGridTokens | None = None,
) -> VoiceGrid:
    """Write alto, tenor and bass under a given soprano by a model that sees the whole melody.

    Unlike ``harmonise``, which writes from left to right, each chord is chosen with the notes that follow in view.

    Args:
        model: trained on the tokens of ``tokenizer``.
        soprano: as for ``harmonise``.
        generator: source of chance.
        n_sweeps: how many sweeps; see ``fill``, also for what follows.
        temperature: as for ``fill``.
        top_p: as for ``fill``.
        top_k: as for ``fill``.
        tokenizer: between grids and ids; None for ``VoiceGridTokens()``.

    Returns:
        As of ``harmonise``.

    Raises:
        ValueError: as of ``harmonise``.
        TypeError: the model is of another kind.

    Chapter: 4b, 9b.
    """
    check_is_masked(model)
    tokenizer = _check_tokenizer(model, tokenizer)
    melody = _melody(soprano, tokenizer)
    is_below = np.ones((melody.n_steps, tokenizer.n_voices), bool)
    is_below[:, 0] = False
    return infill_piece(model, melody, is_below, generator, n_sweeps, temperature, top_p, top_k, tokenizer)


def _check_tokenizer(model: Any, tokenizer: VoiceGridTokens | None) -> VoiceGridTokens:
    """Return the tokenizer, or refuse one that the model was not trained with."""
    tokenizer = VoiceGridTokens() if tokenizer is None else tokenizer
    if model.config.vocabulary_size != tokenizer.vocabulary.size:
        raise ValueError(
            f"Model and tokenizer must share a vocabulary; the model has {model.config.vocabulary_size} symbols and "
            f"the tokenizer {tokenizer.vocabulary.size}. Use the tokenizer the model was trained with."
        )
    return tokenizer


def _bar_step(grid: VoiceGrid) -> int:
    """Return the steps of a bar."""
    return grid.meter[0] * 4 * grid.steps_per_quarter // grid.meter[1]


def _melody(soprano: VoiceGrid | ArrayLike, tokenizer: VoiceGridTokens) -> VoiceGrid:
    """Return the soprano as a grid whose other voices rest, or refuse it."""
    is_grid = isinstance(soprano, VoiceGrid)
    try:
        pitch = soprano.pitch[:, 0] if is_grid else np.asarray(soprano)
    except ValueError:
        raise ValueError(
            "A soprano must be a VoiceGrid or whole numbers, one MIDI pitch a step; these have no common shape. For a "
            "grid of pitches, take its first column."
        ) from None
    if pitch.ndim != 1 or len(pitch) == 0 or pitch.dtype.kind not in "iu":
        raise ValueError(
            "A soprano must be a VoiceGrid or whole numbers, one MIDI pitch a step, (n_steps,) with at least one; "
            f"found {pitch.dtype} of the shape {pitch.shape}. For a grid of pitches, take its first column."
        )
    lowest, highest = tokenizer.lowest_pitch, tokenizer.highest_pitch
    outside = pitch[(pitch != voices.REST) & ((pitch < lowest) | (pitch > highest))]
    if len(outside):
        raise ValueError(
            f"The pitches of a soprano must lie in {lowest}..{highest}, or be {voices.REST} for a rest; found "
            f"{outside[0]}. Transpose the melody."
        )
    cells = np.full((len(pitch), tokenizer.n_voices), voices.REST)
    cells[:, 0] = pitch
    names = {"voice_names": tokenizer.voice_names}
    if not is_grid:
        return voices.from_pitches(cells, steps_per_quarter=tokenizer.steps_per_quarter, **names)
    is_onset = np.zeros(cells.shape, bool)
    is_onset[:, 0] = soprano.is_onset[:, 0]
    return replace(soprano, pitch=cells, is_onset=is_onset, title="", name="", **names)
