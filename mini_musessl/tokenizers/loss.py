"""How music differs from what comes back after encoding and decoding it.

Chapter: 3b (tokens).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mini_musessl import music, voices


@dataclass(frozen=True)
class Loss:
    """How music differs from what comes back after encoding and decoding it.

    Notes are compared in quarters, so that a change of grid alone counts as no change. Which note came back as which is
    decided by pitch, onset, duration and part; for what then remains without the part; then by pitch, onset and part;
    by pitch and onset; by pitch, in the order of onsets.

    Attributes:
        n_notes_in: notes before.
        n_notes_out: notes after.
        n_changed_onsets: notes that came back at another time.
        n_changed_durations: notes that came back longer or shorter.
        n_changed_velocities: notes that came back louder or softer.
        n_changed_parts: notes that came back in another part.
        facts: what else did not come back, such as "tempo" or "meter".

    Chapter: 3b.
    """

    n_notes_in: int
    n_notes_out: int
    n_changed_onsets: int = 0
    n_changed_durations: int = 0
    n_changed_velocities: int = 0
    n_changed_parts: int = 0
    facts: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """True if the music came back as it was."""
        return self == Loss(self.n_notes_in, self.n_notes_in)

    def __str__(self) -> str:
        kinds = ("onset", "duration", "velocity", "part")
        counts = (self.n_changed_onsets, self.n_changed_durations, self.n_changed_velocities, self.n_changed_parts)
        changes = [f"{count} with another {kind}" for kind, count in zip(kinds, counts, strict=True) if count]
        notes = f"{self.n_notes_out} of {self.n_notes_in} notes come back"
        lost = f"lost: {', '.join(self.facts)}" if self.facts else "nothing else is lost"
        return f"{', '.join([notes, *changes])}; {lost}."


def compare_pieces(before: music.Piece, after: music.Piece) -> Loss:
    """Return what differs between a piece and what came back.

    Args:
        before: the piece that was encoded.
        after: the piece that was decoded, on the same grid or another one.

    Example:
        >>> notes = music.make_notes([0, 24], 24, [60, 62], velocity=[64, 70])
        >>> print(compare_pieces(music.Piece(notes), music.Piece(notes[:1])))
        1 of 2 notes come back; lost: length.

    Chapter: 3b.
    """
    for piece in (before, after):
        music.check_is_piece(piece)
    beats = [max(meter.denominator // 4, 1) for meter in (*before.meters, *after.meters)]
    finest = int(np.lcm.reduce([before.steps_per_quarter, after.steps_per_quarter, *beats]))
    first, second = music.change_grid(before, finest), music.change_grid(after, finest)
    facts = {
        "tempo": first.tempos != second.tempos,
        "meter": not _same_bars(first, second),
        "parts": first.parts != second.parts,
        "length": first.n_steps != second.n_steps,
        "title": first.title != second.title,
    }
    return compare_notes(first.notes, second.notes, tuple(fact for fact, is_lost in facts.items() if is_lost))


def compare_grids(before: voices.VoiceGrid, after: voices.VoiceGrid) -> Loss:
    """Return what differs between a voice grid and what came back.

    Args:
        before: the grid that was encoded.
        after: the grid that was decoded, at the same number of steps a quarter.

    Raises:
        TypeError: one of them is not a grid.
        ValueError: they have another number of steps a quarter.

    Chapter: 3b.
    """
    for grid in (before, after):
        voices.check_is_grid(grid)
    if before.steps_per_quarter != after.steps_per_quarter:
        raise ValueError(
            "Grids to be compared must have the same steps a quarter; found "
            f"{before.steps_per_quarter} and {after.steps_per_quarter}. Compare them as pieces: see voices.to_piece."
        )
    facts = {
        "tempo": before.quarters_per_minute != after.quarters_per_minute,
        "meter": before.meter != after.meter or not np.array_equal(before.bar_position_step, after.bar_position_step),
        "key": (before.fifths, before.mode) != (after.fifths, after.mode),
        "fermatas": not np.array_equal(before.is_fermata, after.is_fermata),
        "title": (before.name, before.title) != (after.name, after.title),
    }
    notes_before, notes_after = voices.to_piece(before).notes, voices.to_piece(after).notes
    return compare_notes(notes_before, notes_after, tuple(fact for fact, is_lost in facts.items() if is_lost))


def compare_notes(before: np.ndarray, after: np.ndarray, facts: tuple[str, ...] = ()) -> Loss:
    """Return which notes changed, given two arrays of notes on one grid.

    Args:
        before: notes that were encoded.
        after: notes that were decoded.
        facts: what else is known to be lost.

    Raises:
        TypeError, ValueError: the notes break a rule of ``music.check_notes``.

    Chapter: 3b.
    """
    for notes in (before, after):
        music.check_notes(notes)
    index_before, index_after = _match(before, after)
    first, second = before[index_before], after[index_after]
    return Loss(
        n_notes_in=len(before),
        n_notes_out=len(after),
        n_changed_onsets=int((first["onset_step"] != second["onset_step"]).sum()),
        n_changed_durations=int((first["duration_step"] != second["duration_step"]).sum()),
        n_changed_velocities=int((first["velocity"] != second["velocity"]).sum()),
        n_changed_parts=int((first["part"] != second["part"]).sum()),
        facts=facts,
    )


def _match(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two lists of indices: which note before is which note after."""
    rest_before, rest_after = np.arange(len(before)), np.arange(len(after))
    matched_before, matched_after = [], []
    at_onset = ("pitch", "onset_step")
    # Duration before part: when parts are merged, unisons of unequal length come back whole.
    passes = ((*at_onset, "duration_step", "part"), (*at_onset, "duration_step"), (*at_onset, "part"), at_onset)
    for names in (*passes, ("pitch",)):
        at_before, at_after = _match_by(before[rest_before], after[rest_after], names)
        matched_before.append(rest_before[at_before])
        matched_after.append(rest_after[at_after])
        rest_before, rest_after = np.delete(rest_before, at_before), np.delete(rest_after, at_after)
    return np.concatenate(matched_before), np.concatenate(matched_after)


def _match_by(before: np.ndarray, after: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Match the k-th note that has certain values with the k-th note that has the same values."""
    keys_before, order_before = _ranked_keys(before, names)
    keys_after, order_after = _ranked_keys(after, names)
    _, in_before, in_after = np.intersect1d(keys_before, keys_after, assume_unique=True, return_indices=True)
    return order_before[in_before], order_after[in_after]


def _ranked_keys(notes: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return one key a note, made of some of its values and its rank among equals, and the order of the notes."""
    # The last name counts first: the named values, then time, length, loudness and part decide between equals.
    columns = ("part", "velocity", "duration_step", "onset_step", *reversed(names))
    order = np.lexsort([notes[name] for name in columns])
    keys = np.zeros(len(notes), [(name, np.int64) for name in (*names, "rank")])
    for name in names:
        keys[name] = notes[name][order]
    is_new = np.append(True, keys[1:] != keys[:-1])[: len(notes)]
    first_of_run = np.maximum.accumulate(np.where(is_new, np.arange(len(notes)), 0))
    keys["rank"] = np.arange(len(notes)) - first_of_run
    return keys, order


def _same_bars(first: music.Piece, second: music.Piece) -> bool:
    """Say whether two pieces on one grid have the same bars, as far as the first one lasts."""
    return first.n_steps == 0 or _bars(first, first.n_steps) == _bars(second, first.n_steps)


def _bars(piece: music.Piece, n_steps: int) -> list[tuple[int, int, int]]:
    """Return where each bar of the first ``n_steps`` begins, and its meter; an upbeat's bar begins below 0."""
    bars = []
    for meter, later in zip(piece.meters, (*piece.meters[1:], None), strict=True):
        length = meter.bar_length_step(piece.steps_per_quarter)
        start = meter.step if meter.step >= 0 else -(-meter.step % length)
        stop = n_steps if later is None else min(later.step, n_steps)
        bars += [(line, meter.numerator, meter.denominator) for line in range(start, stop, length)]
    return bars
