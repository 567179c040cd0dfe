"""Pieces from pieces: transpose, cut, join.

Chapter: 3a.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from mini_musessl.music.meter import Meter, Tempo
from mini_musessl.music.notes import ends_step, sort_notes
from mini_musessl.music.piece import Piece, check_is_piece, is_drum_note
from mini_musessl.music.timeline import bar_position_step
from mini_musessl.music.whole_numbers import LARGEST_STEP, whole_number


def transpose(piece: Piece, semitones: int) -> Piece:
    """Move every pitch by a number of semitones; drums stay, since their numbers name instruments.

    Args:
        piece: the piece.
        semitones: how far up; negative is down.

    Raises:
        TypeError: it is not a piece, or not a whole number of semitones.
        ValueError: a pitch would leave 0..127.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> piece = Piece(make_notes([0], [24], [60]))
        >>> transpose(piece, -2).notes["pitch"].tolist()
        [58]

    Chapter: 3a.
    """
    check_is_piece(piece)
    moved = piece.notes.copy()
    moved["pitch"] = moved_pitches(moved["pitch"], semitones, is_fixed=is_drum_note(piece))
    return replace(piece, notes=moved)


def moved_pitches(pitch: np.ndarray, semitones: int, is_fixed: np.ndarray) -> np.ndarray:
    """Return pitches moved by a number of semitones, or refuse to leave the range of MIDI.

    Args:
        pitch: pitches of any shape.
        semitones: how far up; negative is down.
        is_fixed: bool, of the same shape: True where nothing moves, such as rests and drums.

    Returns:
        int64, of the same shape.

    Raises:
        TypeError: not a whole number of semitones.
        ValueError: a pitch would leave 0..127.

    Example:
        >>> moved_pitches(np.array([60, -1]), 2, is_fixed=np.array([False, True])).tolist()
        [62, -1]

    Chapter: 3a.
    """
    try:
        semitones = whole_number("semitones", semitones, -127, 127)
    except ValueError as error:
        raise ValueError(f"{error} Pitches must stay in 0..127; choose a smaller interval.") from None
    moved = pitch.astype(np.int64) + np.where(is_fixed, 0, semitones)
    changed = moved[~is_fixed]
    if changed.size and (changed.min() < 0 or changed.max() > 127):
        raise ValueError(
            f"Pitches must stay in 0..127; moved by {semitones} semitones they reach {changed.min()}..{changed.max()}. "
            "Choose a smaller interval."
        )
    return moved


def cut(piece: Piece, start_step: int, stop_step: int) -> Piece:
    """Cut out the music from ``start_step`` up to, not including, ``stop_step``.

    A note that crosses an edge keeps the part that sounds inside. Bars keep their phase, and the meter and the tempo
    in force at ``start_step`` go along.

    Args:
        piece: the piece.
        start_step: first step that is kept.
        stop_step: first step that is not.

    Raises:
        TypeError: it is not a piece, or the ends are not whole numbers.
        ValueError: not 0 <= start_step < stop_step <= piece.n_steps.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> piece = Piece(make_notes([0, 24], [24, 48], [60, 62]))
        >>> cut(piece, 24, 48).notes[["onset_step", "duration_step", "pitch"]].tolist()
        [(0, 24, 62)]

    Chapter: 3a.
    """
    check_is_piece(piece)
    check_cut(start_step, stop_step, piece.n_steps)
    onset_step = piece.notes["onset_step"].clip(min=start_step)
    end_step = ends_step(piece.notes).clip(max=stop_step)
    is_inside = end_step > onset_step
    notes = piece.notes[is_inside]
    notes["onset_step"] = onset_step[is_inside] - start_step
    notes["duration_step"] = (end_step - onset_step)[is_inside]
    return replace(
        piece,
        notes=sort_notes(notes),
        n_steps=stop_step - start_step,
        meters=_cut_meters(piece, start_step, stop_step),
        tempos=_cut_tempos(piece, start_step, stop_step),
    )


def check_cut(start_step: int, stop_step: int, n_steps: int) -> None:
    """Refuse the ends of a cut that holds no step, or that reaches outside the music.

    Args:
        start_step: first step that is kept.
        stop_step: first step that is not.
        n_steps: length of the music.

    Raises:
        TypeError: an end is not a whole number.
        ValueError: not 0 <= start_step < stop_step <= n_steps.

    Chapter: 3a.
    """
    for name, step in (("start_step", start_step), ("stop_step", stop_step)):
        whole_number(name, step, -LARGEST_STEP, advice="Are these seconds or bars? Both ends are steps.")
    if not 0 <= start_step < stop_step <= n_steps:
        raise ValueError(
            f"A cut needs 0 <= start_step < stop_step <= {n_steps}; found {start_step} and {stop_step}. "
            "Are these seconds or bars? Both ends are steps."
        )


def join(pieces: Iterable[Piece]) -> Piece:
    """Put pieces one after another.

    Each piece begins where the one before it ends (``n_steps``), and brings its meters and tempos along. The title and
    the parts are those of the first.

    Args:
        pieces: the pieces in order, at least one.

    Raises:
        TypeError: something else than pieces.
        ValueError: no piece, or pieces on different grids or with different parts.

    Example:
        >>> from mini_musessl.music import make_notes
        >>> piece = Piece(make_notes([0], [24], [60]))
        >>> join([piece, piece]).notes["onset_step"].tolist()
        [0, 24]

    Chapter: 3a.
    """
    if isinstance(pieces, Piece):
        raise TypeError("Joining needs a list of pieces; found one Piece. Write music.join([piece]).")
    pieces = list(pieces)
    if not pieces:
        raise ValueError("Joining needs at least one piece; found none.")
    first = pieces[0]
    for index, piece in enumerate(pieces):
        check_is_piece(piece)
        if piece.steps_per_quarter != first.steps_per_quarter or piece.parts != first.parts:
            raise ValueError(
                f"Pieces to be joined must share their grid and their parts; piece {index} has "
                f"{piece.steps_per_quarter} steps a quarter and {len(piece.parts)} parts, the first "
                f"{first.steps_per_quarter} and {len(first.parts)}. Use music.change_grid for the grid, and "
                "dataclasses.replace for the parts."
            )
    whole_number("The length of all pieces, in steps,", sum(piece.n_steps for piece in pieces), 0, LARGEST_STEP)
    notes, meters, tempos, start_step = [], [], [], 0
    for piece in pieces:
        shifted = piece.notes.copy()
        shifted["onset_step"] += start_step
        notes.append(shifted)
        meters += piece.meters if not meters else _meters_inside(piece, start_step)
        tempos += [replace(t, step=t.step + start_step) for t in piece.tempos if t.step < piece.n_steps]
        start_step += piece.n_steps
    return replace(
        first,
        notes=np.concatenate(notes),
        meters=_without_repeats(meters, first.steps_per_quarter),
        tempos=_without_repeats(tempos, first.steps_per_quarter),
        n_steps=start_step,
    )


def _meters_inside(piece: Piece, start_step: int) -> list[Meter]:
    """Return the meters of a piece that follows another, each from its first bar line inside the piece on.

    The bars before it run on through an upbeat: so an upbeat that fills up the bar before it makes no bar of its own.
    """
    first, *later = piece.meters
    first_line = first.step + -(first.step // (bar := first.bar_length_step(piece.steps_per_quarter))) * bar
    stops = [meter.step for meter in later[:1]] + [piece.n_steps]
    inside = [replace(first, step=first_line)] if first_line < min(stops) else []
    inside += [meter for meter in later if meter.step < piece.n_steps]
    return [replace(meter, step=meter.step + start_step) for meter in inside]


def _cut_meters(piece: Piece, start_step: int, stop_step: int) -> tuple[Meter, ...]:
    """Return the meters between two steps; the first keeps the bar phase of the cut."""
    in_force = [meter for meter in piece.meters if meter.step <= start_step][-1]
    first = replace(in_force, step=-int(bar_position_step(piece, start_step)))
    return (first, *(replace(m, step=m.step - start_step) for m in piece.meters if start_step < m.step < stop_step))


def _cut_tempos(piece: Piece, start_step: int, stop_step: int) -> tuple[Tempo, ...]:
    """Return the tempos between two steps, the first at 0."""
    in_force = [tempo for tempo in piece.tempos if tempo.step <= start_step][-1]
    later = (replace(t, step=t.step - start_step) for t in piece.tempos if start_step < t.step < stop_step)
    return (replace(in_force, step=0), *later)


def _without_repeats(entries: list, steps_per_quarter: int) -> tuple:
    """Drop each entry that says what the one before it already says."""
    kept = entries[:1]
    for entry in entries[1:]:
        is_same = replace(entry, step=kept[-1].step) == kept[-1]
        if is_same and isinstance(entry, Meter):
            is_same = (entry.step - kept[-1].step) % entry.bar_length_step(steps_per_quarter) == 0
        if not is_same:
            kept.append(entry)
    return tuple(kept)
