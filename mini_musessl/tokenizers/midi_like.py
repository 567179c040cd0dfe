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

from mini_musessl import music
from mini_musessl.tokenizers.base import DEFAULT_VELOCITY, PieceTokenizer, Vocabulary


@dataclass(frozen=True)
class MidiLike(PieceTokenizer):
    """Events as in a MIDI file: "velocity 64, note_on 60, time_shift 24, note_off 60".

    Time passes only by shifts; a long wait is as many longest shifts as fit and one for the rest. A velocity counts for
    all notes after it, and is written when it changes; so is the part, if there are several. At one step, notes end
    before others begin. Shifts at the end say how long the piece is.

    ``decode`` makes music of any ids: a note ends at the next event of its pitch in its part, whether that ends the
    note or begins a new one, or else at the end of the music; a note that would last no time is left out, and a note
    off without a sounding note says nothing. Before any velocity token the velocity is 64, before any part token the
    part is 0. So notes of one pitch and part that overlap come back cut. Meter and tempo are 4/4 and 120.

    >>> piece = music.Piece(music.make_notes([0, 4], [4, 2], [60, 64]), steps_per_quarter=4)
    >>> midi_like = MidiLike(steps_per_quarter=4, n_velocities=0)
    >>> midi_like.vocabulary.tokens(midi_like.encode(piece))
    ['note_on 60', 'time_shift 4', 'note_off 60', 'note_on 64', 'time_shift 2', 'note_off 64']
    """

    max_shift_quarter: int = 4  # longest single shift of time

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Note on, note off, time shift, velocity, part; without those that the options leave out."""
        pitches, shifts = self._values["pitch"], range(1, self.max_shift_quarter * self.steps_per_quarter + 1)
        names = ("note_on", "note_off", "time_shift", "velocity", "part")
        return self._make_vocabulary(*names, note_on=pitches, note_off=pitches, time_shift=shifts)

    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece into tokens, int32 (n_tokens,)."""
        piece = self._prepare(piece)
        step, is_on, part, pitch, velocity = _events(piece.notes)
        part = self._changes("part", part, np.ones(len(part), bool))
        velocity = self._changes("velocity", self._nearest_velocity[velocity], is_on)
        event = np.where(is_on, self._first("note_on"), self._first("note_off")) + pitch - self.lowest_pitch
        rows = np.stack([part, velocity, event], axis=1)  # -1 stands for no token
        # The shifts before each event, and those at the end: as many longest ones as fit, and one for the rest.
        longest = self.max_shift_quarter * self.steps_per_quarter
        wait = np.diff(step, prepend=0, append=piece.n_steps)
        n_shifts = -(-wait // longest)
        shifts = np.full(int(n_shifts.sum()), longest)
        shifts[np.cumsum(n_shifts)[wait > 0] - 1] = ((wait - 1) % longest + 1)[wait > 0]
        place = np.append(0, np.cumsum((rows >= 0).sum(axis=1)))
        ids = np.insert(rows[rows >= 0], np.repeat(place, n_shifts), self._first("time_shift") - 1 + shifts)
        return ids.astype(np.int32)

    def _changes(self, name: str, value: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the token of each event that counts and whose value differs from the one before it; -1 elsewhere."""
        tokens = np.full(len(value), -1)
        if name in self.vocabulary.names:
            index = np.flatnonzero(counts)
            is_new = np.diff(value[index], prepend=-1) != 0
            tokens[index[is_new]] = self._first(name) + value[index[is_new]]
        return tokens

    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn ids (n_tokens,), in any order, into a piece."""
        ids = self.vocabulary.check(ids, is_row=True)
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


def _events(notes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return step, whether it begins, part, pitch and velocity of each beginning and end, in the order of writing."""
    is_on = np.repeat([False, True], len(notes))
    step = np.concatenate([music.ends_step(notes), notes["onset_step"]])
    part, pitch, velocity = (np.tile(notes[name].astype(np.int64), 2) for name in ("part", "pitch", "velocity"))
    n_parts = int(part.max(initial=0)) + 1
    order = np.argsort(((step * 2 + is_on) * n_parts + part) * 128 + pitch, kind="stable")  # faster than lexsort
    return tuple(column[order] for column in (step, is_on, part, pitch, velocity))


def _next_of_its_kind(kind: np.ndarray, step: np.ndarray, n_steps: int) -> np.ndarray:
    """Return for each event the step of the next event of the same kind, or the end of the music."""
    order = np.argsort(kind, kind="stable")
    following = np.full_like(step, n_steps)
    is_followed = kind[order][1:] == kind[order][:-1]
    following[order[:-1][is_followed]] = step[order[1:][is_followed]]
    return following
