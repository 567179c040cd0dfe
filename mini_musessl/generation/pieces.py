"""Whole pieces: continue an opening, set a melody for four voices, or fill what is missing.

Title and name are left out of what is returned: they are not those of the new music.

Chapter: 00 (used), 4b (filling), 9b (continuing and harmonising).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from torch import Generator

from mini_musessl import voices
from mini_musessl.checks import as_array, check_truth, whole_number
from mini_musessl.generation.constraints import Constraint
from mini_musessl.generation.gibbs import N_SWEEPS, infill
from mini_musessl.generation.sampling import FREE, Sampling, Writer, check_writes, sample_frames
from mini_musessl.network.encoder import MaskedTransformer
from mini_musessl.tokenizers.voice_grid import TOKENS, VoiceGridTokens
from mini_musessl.voices import REST, VoiceGrid


def continue_piece(
    model: Writer,
    opening: VoiceGrid,
    n_steps: int,
    generator: Generator,
    sampling: Sampling = Sampling(),
    tokenizer: VoiceGridTokens = TOKENS,
    constraints: Sequence[Constraint] = (),
) -> VoiceGrid:
    """Let a model go on where an opening ends, for so many steps, in its meter and speed; the key is left out.

    Args:
        tokenizer: between grids and ids; by default that of the chorale benchmark, with 47 symbols.
        constraints: what the new steps must obey; see ``generation.constraints``.

    Returns:
        The opening and its continuation.
    """
    check_writes(model)
    whole_number("n_steps", n_steps, lowest=1)
    if opening.n_steps == 0:
        raise ValueError("An opening must hold at least 1 step; found none. To begin from nothing, use sample_frames.")
    prompt = _encode(model, tokenizer, opening)
    added = sample_frames(model, prompt[None], n_steps, generator, sampling, constraints=constraints)
    grid = tokenizer.decode(np.concatenate((prompt, added[0].numpy())))
    is_onset = np.concatenate((opening.is_onset, grid.is_onset[opening.n_steps :]))
    bar_steps = opening.meter[0] * 4 * opening.steps_per_quarter // opening.meter[1]
    later = (int(opening.bar_position_step[-1]) + 1 + np.arange(n_steps)) % bar_steps
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
    model: Writer,
    soprano: VoiceGrid | ArrayLike,
    generator: Generator,
    sampling: Sampling = Sampling(),
    n_particles: int = 1,
    tokenizer: VoiceGridTokens = TOKENS,
    constraints: Sequence[Constraint] = (),
) -> VoiceGrid:
    """Write alto, tenor and bass under a given soprano, step after step.

    With one particle, each chord is chosen without knowing the notes of the melody that follow, and a cadence that the
    melody prepares may be missed. With more, drafts in which the melody comes as expected are preferred; see
    ``sample_frames``.

    Args:
        soprano: a VoiceGrid, of which the first voice alone is looked at; or MIDI pitches (n_steps,), -1 for a rest.

    Returns:
        The soprano as it was given and three more voices; meter, key, fermatas and bar lines are those of a given grid.

    >>> from mini_musessl.network.frames import FrameConfig, FrameTransformer
    >>> model = FrameTransformer(FrameConfig(d_model=20, d_feedforward=40, d_voice=30))
    >>> grid = harmonise(model, [72, 72, 74, 76], Generator().manual_seed(0))
    >>> grid.pitch.shape, grid.pitch[:, 0].tolist()
    ((4, 4), [72, 72, 74, 76])
    """
    check_writes(model)
    melody = _melody(soprano, tokenizer)
    clamp = _encode(model, tokenizer, melody).copy()
    clamp[:, 1:] = FREE
    empty = np.zeros((1, 0, tokenizer.n_voices), int)
    drawn = sample_frames(
        model, empty, melody.n_steps, generator, sampling, 0, clamp, n_particles=n_particles, constraints=constraints
    )
    grid = tokenizer.decode(drawn[0].numpy())
    is_onset = np.concatenate((melody.is_onset[:, :1], grid.is_onset[:, 1:]), axis=1)
    return replace(melody, pitch=grid.pitch, is_onset=is_onset)


def infill_piece(
    model: MaskedTransformer,
    piece: VoiceGrid,
    is_hidden: ArrayLike,
    generator: Generator,
    n_sweeps: int = N_SWEEPS,
    sampling: Sampling = Sampling(),
    tokenizer: VoiceGridTokens = TOKENS,
) -> VoiceGrid:
    """Let a masked model write the hidden cells of a piece; see ``infill``.

    Args:
        is_hidden: bool (n_steps, n_voices), True where the model writes. What stands there is not looked at.

    Returns:
        The piece with the hidden cells filled. Given notes begin where they did, and anew after a filled cell of
        another pitch.

    >>> from mini_musessl.network.encoder import EncoderConfig
    >>> model = MaskedTransformer(EncoderConfig(d_model=16, d_feedforward=32, d_voice=24))
    >>> piece, is_alto = voices.from_pitches([[72, 67, 64, 48], [72, 67, 62, 48]]), np.zeros((2, 4), bool)
    >>> is_alto[:, 1] = True
    >>> infill_piece(model, piece, is_alto, Generator().manual_seed(0), n_sweeps=2).pitch[:, [0, 2, 3]].tolist()
    [[72, 64, 48], [72, 62, 48]]
    """
    is_hidden = as_array("is_hidden", is_hidden)
    check_truth("is_hidden", is_hidden, piece.pitch.shape)
    given = _encode(model, tokenizer, rest_where_hidden(piece, is_hidden))
    grid = tokenizer.decode(infill(model, given, is_hidden, generator, n_sweeps, sampling).numpy())
    is_onset = grid.is_onset | (piece.is_onset & ~is_hidden)
    return replace(piece, pitch=grid.pitch, is_onset=is_onset, title="", name="")


def harmonise_by_infilling(
    model: MaskedTransformer,
    soprano: VoiceGrid | ArrayLike,
    generator: Generator,
    n_sweeps: int = N_SWEEPS,
    sampling: Sampling = Sampling(),
    tokenizer: VoiceGridTokens = TOKENS,
) -> VoiceGrid:
    """Write alto, tenor and bass under a given soprano by a model that sees all of it; otherwise as ``harmonise``."""
    melody = _melody(soprano, tokenizer)
    is_below = np.tile(np.arange(tokenizer.n_voices) > 0, (melody.n_steps, 1))
    return infill_piece(model, melody, is_below, generator, n_sweeps, sampling, tokenizer)


def rest_where_hidden(piece: VoiceGrid, is_hidden: np.ndarray) -> VoiceGrid:
    """Put rests into the hidden cells of a piece; a given note that sounds on after them begins anew there.

    >>> piece = voices.from_pitches([[60], [60], [60]], voice_names=("melody",))
    >>> given = rest_where_hidden(piece, np.array([[False], [True], [False]]))
    >>> given.pitch[:, 0].tolist(), given.is_onset[:, 0].tolist()
    ([60, -1, 60], [True, False, True])
    """
    pitch, is_onset = np.where(is_hidden, REST, piece.pitch), piece.is_onset.copy()
    is_onset[1:] |= is_hidden[:-1]
    return replace(piece, pitch=pitch, is_onset=is_onset & (pitch != REST))


def _encode(model: Writer | MaskedTransformer, tokenizer: VoiceGridTokens, piece: VoiceGrid) -> np.ndarray:
    """Return the ids of a piece, (n_steps, n_voices), in the vocabulary that the model was trained with."""
    if model.config.vocabulary_size != tokenizer.vocabulary.size:
        raise ValueError(
            f"Model and tokenizer must share a vocabulary; the model has {model.config.vocabulary_size} symbols and "
            f"the tokenizer {tokenizer.vocabulary.size}. Use the tokenizer the model was trained with."
        )
    return tokenizer.as_steps(tokenizer.encode(piece))


def _melody(soprano: VoiceGrid | ArrayLike, tokenizer: VoiceGridTokens) -> VoiceGrid:
    """Return the soprano as a grid whose other voices rest."""
    is_grid = isinstance(soprano, VoiceGrid)
    pitch = soprano.pitch[:, 0] if is_grid else as_array("A soprano", soprano)
    if pitch.ndim != 1 or len(pitch) == 0 or pitch.dtype.kind not in "iu":
        raise ValueError(
            f"A soprano must be a VoiceGrid, or whole MIDI pitches (n_steps,), at least one; found the shape "
            f"{pitch.shape} and type {pitch.dtype}. For a grid of pitches, take its first column."
        )
    cells = np.full((len(pitch), tokenizer.n_voices), REST)
    cells[:, 0] = pitch
    names = {"voice_names": tokenizer.voice_names}
    if not is_grid:
        return voices.from_pitches(cells, steps_per_quarter=tokenizer.steps_per_quarter, **names)
    is_onset = soprano.is_onset[:, :1] & (np.arange(tokenizer.n_voices) == 0)
    return replace(soprano, pitch=cells, is_onset=is_onset, title="", name="", **names)
