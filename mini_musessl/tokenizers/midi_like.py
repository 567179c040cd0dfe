"""MIDI-like tokens: note on, note off, and shifts of time between them.

References:
    Oore et al. 2018 (This Time with Feeling: Learning Expressive Musical Performance). Departures: time is in steps of
    the musical grid (there: multiples of 10 ms), and part tokens are ours.

Chapter: 3b (tokens).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import checks, music
from mini_musessl.tokenizers.base import DEFAULT_VELOCITY, PieceTokenizer, Vocabulary, last_before


@dataclass(frozen=True)
class MidiLike(PieceTokenizer):
    """Events as in a MIDI file: "velocity 64, note_on 60, time_shift 24, note_off 60".

    Time passes only by shifts; a long wait is as many longest shifts as fit and one for the rest. A velocity counts for
    all notes after it, and is written when it changes; so is the part, if there are several. At one step, notes end
    before others begin. Shifts at the end say how long the piece is.

    ``decode`` makes music of any ids: a note ends at the next event of its pitch in its part, whether that ends the
    note or strikes it again, or else at the end of the music; a note that would last no time is left out, and a note
    off without a sounding note says nothing. Before any velocity token the velocity is 64, before any part token the
    part is 0. So notes of one pitch and part that overlap come back cut. Meter and tempo are 4/4 and 120.

    Example:
        >>> piece = music.Piece(music.make_notes([0, 4], [4, 2], [60, 64]), steps_per_quarter=4)
        >>> midi_like = MidiLike(steps_per_quarter=4, n_velocities=0)
        >>> midi_like.vocabulary.tokens(midi_like.encode(piece))
        ['note_on 60', 'time_shift 4', 'note_off 60', 'note_on 64', 'time_shift 2', 'note_off 64']
    """

    max_shift_quarter: int = 4  # longest single shift of time

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.whole_number("max_shift_quarter", self.max_shift_quarter, 1, advice="4 is the default.")

    @property
    def _max_shift_step(self) -> int:
        """Longest single shift, in steps."""
        return self.max_shift_quarter * self.steps_per_quarter

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Note on, note off, time shift, velocity, part; without those that the options leave out."""
        pitches = range(self.lowest_pitch, self.highest_pitch + 1)
        shifts = range(1, self._max_shift_step + 1)
        families = (("note_on", pitches), ("note_off", pitches), ("time_shift", shifts))
        return Vocabulary((*families, *self._families("velocity", "part")))

    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece into tokens, int32 (n_tokens,)."""
        piece = self._prepare(piece)
        step, is_on, part, pitch, velocity = _events(piece.notes)
        before = np.stack(
            [
                self._changes("part", part, np.ones(len(part), bool)),
                self._changes("velocity", self.nearest_velocity[velocity], is_on),
            ]
        )
        n_before = (before >= 0).sum(axis=0)
        wait = np.diff(step, prepend=0, append=piece.n_steps)
        n_shifts = -(-wait // self._max_shift_step)
        # Each event owns a run of tokens: its shifts, then what changes, then the event. The last run is shifts alone.
        end = np.cumsum(n_shifts + np.append(n_before + 1, 0))
        start = np.append(0, end[:-1])
        shift = self._first("time_shift") - 1  # and the length of the shift
        ids = np.full(int(end[-1]), shift + self._max_shift_step, np.int32)
        last_shift = (start + n_shifts - 1)[n_shifts > 0]
        ids[last_shift] = (shift + wait - (n_shifts - 1) * self._max_shift_step)[n_shifts > 0]
        event = end[:-1] - 1
        for tokens, place in zip(before, (event - n_before, event - 1), strict=True):
            ids[place[tokens >= 0]] = tokens[tokens >= 0]
        ids[event] = np.where(is_on, self._first("note_on"), self._first("note_off")) + pitch - self.lowest_pitch
        return ids

    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn ids (n_tokens,), in any order, into a piece."""
        ids = self.vocabulary.check_row(ids)
        family = self.vocabulary.family_of(ids)
        step = np.cumsum(np.where(family == "time_shift", ids - self._first("time_shift") + 1, 0))
        n_steps = int(step[-1]) if len(ids) else 0
        part = self._latest(ids, family, "part", np.arange(len(self.parts)), 0)
        velocity = self._latest(ids, family, "velocity", self.velocities, DEFAULT_VELOCITY)
        at = np.flatnonzero((family == "note_on") | (family == "note_off"))
        is_on = family[at] == "note_on"
        pitch = ids[at] - np.where(is_on, self._first("note_on"), self._first("note_off")) + self.lowest_pitch
        end = _next_of_its_kind(part[at] * 128 + pitch, step[at], n_steps)
        is_note = is_on & (end > step[at])
        at, pitch, end = at[is_note], pitch[is_note], end[is_note]
        notes = music.make_notes(step[at], end - step[at], pitch, velocity[at], part[at])
        return music.Piece(notes, self.steps_per_quarter, parts=self.parts, n_steps=n_steps)

    def _changes(self, name: str, value: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the token of each event that counts and whose value differs from the one before it; -1 elsewhere."""
        tokens = np.full(len(value), -1)
        if name in self.vocabulary.names:
            index = np.flatnonzero(counts)
            is_new = np.append(True, np.diff(value[index]) != 0)[: len(index)]
            tokens[index[is_new]] = self._first(name) + value[index[is_new]]
        return tokens

    def _latest(self, ids: np.ndarray, family: np.ndarray, name: str, values: np.ndarray, default: int) -> np.ndarray:
        """Return for each token the value of the latest token of a family, or the default before the first."""
        last = last_before(family == name)
        known = values[ids[last[last >= 0]] - self._first(name)]
        latest = np.full(len(ids), default)
        latest[last >= 0] = known
        return latest


def _events(notes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return step, whether it begins, part, pitch and velocity of each beginning and end, in the order of writing."""
    is_on = np.repeat([False, True], len(notes))
    end = notes["onset_step"].astype(np.int64) + notes["duration_step"]
    step = np.concatenate([end, notes["onset_step"]])
    part, pitch, velocity = (np.tile(notes[name].astype(np.int64), 2) for name in ("part", "pitch", "velocity"))
    n_parts = int(part.max(initial=0)) + 1
    order = np.argsort(((step * 2 + is_on) * n_parts + part) * 128 + pitch, kind="stable")  # faster than lexsort
    return step[order], is_on[order], part[order], pitch[order], velocity[order]


def _next_of_its_kind(kind: np.ndarray, step: np.ndarray, n_steps: int) -> np.ndarray:
    """Return for each event the step of the next event of the same kind, or the end of the music."""
    order = np.argsort(kind, kind="stable")
    following = np.full_like(step, n_steps)
    is_followed = kind[order][1:] == kind[order][:-1]
    following[order[:-1][is_followed]] = step[order[1:][is_followed]]
    return following
