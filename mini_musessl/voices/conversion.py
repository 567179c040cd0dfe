"""From grids to notes and back.

Chapter: 3a.
"""

from __future__ import annotations

import numpy as np

from mini_musessl import music
from mini_musessl.voices.grid import REST, VoiceGrid, check_is_grid


def to_piece(grid: VoiceGrid) -> music.Piece:
    """Turn a grid into notes, one part a voice.

    Every onset begins a note; the note lasts until the next onset or rest of its voice. Fermatas and the key are not
    part of a ``Piece`` and are left behind. A grid knows its first meter only: where its bars get shorter or longer,
    that meter begins anew at each of their lines.

    Args:
        grid: the music.

    Raises:
        TypeError: it is not a grid.
        ValueError: a bar of its meter is not a whole number of steps.

    Example:
        >>> from mini_musessl.voices import from_pitches
        >>> to_piece(from_pitches([[60], [60], [62]], voice_names=("melody",))).notes["duration_step"].tolist()
        [2, 1]

    Chapter: 3a.
    """
    check_is_grid(grid)
    columns = [_notes_of_voice(grid.pitch[:, v], grid.is_onset[:, v], v) for v in range(grid.n_voices)]
    return music.Piece(
        notes=music.sort_notes(np.concatenate(columns)),
        steps_per_quarter=grid.steps_per_quarter,
        meters=_meters(grid),
        tempos=(music.Tempo(0, grid.quarters_per_minute),),
        parts=tuple(music.Part(name=name) for name in grid.voice_names),
        n_steps=grid.n_steps,
        title=grid.title or grid.name,
    )


def as_piece(music_or_grid: music.Piece | VoiceGrid) -> music.Piece:
    """Return music in either of the book's two forms as a Piece.

    Args:
        music_or_grid: a piece, which is returned as it is, or a grid.

    Raises:
        TypeError: it is neither.

    Example:
        >>> from mini_musessl.voices import from_pitches
        >>> as_piece(from_pitches([[60], [62]], voice_names=("melody",))).n_steps
        2

    Chapter: 3a.
    """
    if isinstance(music_or_grid, VoiceGrid):
        return to_piece(music_or_grid)
    if not isinstance(music_or_grid, music.Piece):
        raise TypeError(
            f"Music must be a music.Piece or a voices.VoiceGrid; found {type(music_or_grid).__name__}. "
            "voices.from_pitches makes a grid from an array of pitches; midi.read_midi reads a file."
        )
    return music_or_grid


def from_piece(piece: music.Piece, steps_per_quarter: int = 4, n_voices: int = 4) -> VoiceGrid:
    """Turn a piece whose parts are voices into a grid.

    Args:
        piece: one part a voice, highest voice first; each part plays one note at a time.
        steps_per_quarter: grid of the result; the notes must fit it exactly.
        n_voices: how many parts the piece must have.

    Raises:
        TypeError: it is not a piece, or a number is not whole.
        ValueError: another number of parts, two notes at once in one part, or notes off the grid.

    Chapter: 3a.
    """
    on_grid = music.change_grid(piece, steps_per_quarter)
    if len(piece.parts) != music.whole_number("n_voices", n_voices, 1):
        raise ValueError(
            f"A grid of {n_voices} voices needs a piece of {n_voices} parts; this one has {len(piece.parts)}. "
            "Pass n_voices, or choose the parts first."
        )
    pitch = np.full((on_grid.n_steps, n_voices), REST, np.int16)
    is_onset = np.zeros(pitch.shape, bool)
    for onset, duration, note_pitch, _, voice in on_grid.notes.tolist():
        if (pitch[onset : onset + duration, voice] != REST).any():
            raise ValueError(
                f"A voice sings one note at a time; part {voice} has two at step {onset}. "
                "Split the part into voices first, or use another representation."
            )
        pitch[onset : onset + duration, voice] = note_pitch
        is_onset[onset, voice] = True
    names = tuple(part.name or f"voice {index + 1}" for index, part in enumerate(piece.parts))
    return VoiceGrid(
        pitch=pitch,
        is_onset=is_onset,
        is_fermata=np.zeros(len(pitch), bool),
        bar_position_step=music.bar_position_step(on_grid, np.arange(on_grid.n_steps)),
        steps_per_quarter=steps_per_quarter,
        meter=(piece.meters[0].numerator, piece.meters[0].denominator),
        quarters_per_minute=piece.tempos[0].quarters_per_minute,
        title=piece.title,
        voice_names=names,
    )


def _notes_of_voice(pitch: np.ndarray, is_onset: np.ndarray, voice: int) -> np.ndarray:
    """Return the notes of one column: each lasts until the next onset or rest."""
    onset = np.flatnonzero(is_onset)
    ends_here = np.append(np.flatnonzero(is_onset | (pitch == REST)), len(pitch))
    end = ends_here[np.searchsorted(ends_here, onset, side="right")]
    return music.make_notes(onset, end - onset, pitch[onset], part=voice)


def _meters(grid: VoiceGrid) -> tuple[music.Meter, ...]:
    """Return meters whose bar lines are those of the grid, with a new one wherever the count restarts early or late."""
    numerator, denominator = grid.meter
    if grid.n_steps == 0:
        return (music.Meter(0, numerator, denominator),)
    bar = music.Meter(0, numerator, denominator).bar_length_step(grid.steps_per_quarter)
    meters = [music.Meter(-int(grid.bar_position_step[0]), numerator, denominator)]
    for line in np.flatnonzero(grid.bar_position_step == 0):
        if line > 0 and (line - meters[-1].step) % bar:
            meters.append(music.Meter(int(line), numerator, denominator))
    return tuple(meters)
