"""REMI: bars, positions in the bar, and notes of three tokens each.

References:
    Huang and Yang 2020 (Pop Music Transformer), table 1. Departures: the grid is a parameter (there: 16 positions per
    bar), chords are left out, one tempo token stands for two, and marks for incomplete bars are ours. Meter and part
    tokens as in von Rütte et al. 2022 (FIGARO, REMI+), which names programs where we name parts.

Chapter: 3b (tokens).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import music
from mini_musessl.tokenizers.base import DEFAULT_VELOCITY, BarTokenizer, Vocabulary, last_before

# What stands on one step is a row, whose tokens are written in this order.
_ROW = ("position", "bar", "meter", "tempo", "part", "pitch", "velocity", "duration")


@dataclass(frozen=True)
class Remi(BarTokenizer):
    """Bars, positions and notes: "bar, position 0, pitch 60, velocity 64, duration 24".

    Every bar begins with "bar", followed by its meter if there is more than one to choose from; bars that begin after
    the last note does are not written. "position k" says that what follows starts k steps into the bar; notes that
    start together share it. A note is its part (if there are several), pitch, velocity (if there are any) and duration
    in steps.

    A position at which nothing starts is a mark: as the first token it says how far into a bar the music begins (an
    upbeat), before a bar token where that bar is cut short, as the last token where the music ends, if that is later
    than the end of its last note.

    ``decode`` makes music of any ids. Music before the first bar token is in a bar of its own. A note takes the first
    velocity and the first duration between its pitch and the next pitch; without a velocity it has 64, without a
    duration it is left out. A position counts until the next bar; notes before any position are on the bar line; a
    position beyond the bar runs into the next. A note takes the latest part token, a bar its first meter token, or the
    meter of the bar before it.

    >>> piece = music.Piece(music.make_notes([0, 4], [4, 2], [60, 64], 127), steps_per_quarter=4)
    >>> remi = Remi(steps_per_quarter=4)
    >>> " ".join(remi.vocabulary.tokens(remi.encode(piece)))
    'bar position 0 pitch 60 velocity 127 duration 4 position 4 pitch 64 velocity 127 duration 2'
    """

    tempos: tuple[float, ...] = ()  # in quarters per minute; a token stands for the nearest of them

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "tempos", tuple(self.tempos))
        for tempo in self.tempos:
            music.Tempo(0, tempo)  # refuses a tempo that is not above 0

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Bar, position, meter, part, pitch, velocity, duration, tempo; without those that the options leave out."""
        names = ("bar", "position", "meter", "part", "pitch", "velocity", "duration", "tempo")
        return self._make_vocabulary(*names, bar=(None,), tempo=self.tempos)

    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece into tokens, int32 (n_tokens,); a piece of no steps has none."""
        piece = self._prepare(piece)
        if piece.n_steps == 0:
            return np.zeros(0, np.int32)
        tempo_step, tempo = self._tempo_events(piece)
        event_step, bars = self._events(piece, tempo_step)
        n_bars, step = len(bars.line_step), np.concatenate([bars.line_step, event_step])
        # A row for each bar, tempo and note, and for the end; -1 stands for no token.
        places = {name: np.full(len(step), -1) for name in _ROW}
        places["bar"][:n_bars], places["meter"][:n_bars] = 0, bars.meter
        places["position"][1:n_bars] = np.where(bars.is_short, bars.length_step, -1)[:-1]
        if bars.line_step[0] < 0:
            places["bar"][0], places["position"][0] = -1, -bars.line_step[0]
        places["position"][n_bars:] = bars.locate(event_step)[1]
        first_note = n_bars + len(tempo)
        places["tempo"][n_bars:first_note] = tempo
        for name, place in self._places(piece.notes).items():
            places[name][first_note : first_note + len(piece.notes)] = place

        order = np.argsort(step, kind="stable")
        # One position serves all notes that start together.
        is_bar, is_same_step = order < n_bars, np.diff(step[order]) == 0
        places["position"][order[1:][is_same_step & ~is_bar[1:] & ~is_bar[:-1]]] = -1
        in_use = [name for name in _ROW if name in self.vocabulary.names]
        rows = [np.where(places[name] < 0, -1, self._first(name) + places[name])[order] for name in in_use]
        ids = np.stack(rows, axis=1).astype(np.int32)
        return ids[ids >= 0]

    def _tempo_events(self, piece: music.Piece) -> tuple[np.ndarray, np.ndarray]:
        """Return the step and the place of each tempo within the piece."""
        inside = [tempo for tempo in piece.tempos if tempo.step < piece.n_steps] if self.tempos else []
        asked = np.array([tempo.quarters_per_minute for tempo in inside]).reshape(-1, 1)
        offered = np.array(self.tempos or [0.0])
        return np.array([tempo.step for tempo in inside], np.int64), np.abs(asked - offered).argmin(axis=1)

    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn ids (n_tokens,), in any order, into a piece."""
        ids = self.vocabulary.check(ids, is_row=True)
        family = self.vocabulary.family_of(ids)
        is_bar, is_position = family == "bar", family == "position"
        # Music before the first bar token lies in a bar of its own.
        bar = np.cumsum(is_bar) - is_bar[:1].sum()
        latest = last_before(is_position)
        position = np.where(latest > last_before(is_bar), ids[latest] - self._first("position"), 0)
        meter = np.where(family == "meter", ids - self._first("meter"), -1)
        # A position right before a bar token ends its bar there, unless it is the mark of the upbeat.
        is_cut = is_position & np.append(is_bar[1:], False)[: len(ids)]
        is_cut[:1] = False
        bars = self._bars_of_tokens(bar, position, meter, is_cut, begins_inside=is_position[:1].any())
        step = np.maximum(bars.line_step[bar] + position, 0)
        end_step = int(step[-1]) if is_position[-1:].any() else 0
        tempos = self._decode_tempos(ids, family, step)
        return self._to_piece(bars, end_step, self._decode_notes(ids, family, step), tempos=tempos)

    def _decode_notes(self, ids: np.ndarray, family: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return onset, place of the duration, place of the pitch, velocity and part of each note with a duration."""
        at = np.flatnonzero(family == "pitch")
        next_pitch = np.append(at[1:], len(ids))
        velocity = np.full(len(at), DEFAULT_VELOCITY)
        has_velocity, where = _next_within(np.flatnonzero(family == "velocity"), at, next_pitch)
        velocity[has_velocity] = self.velocities[ids[where] - self._first("velocity")]
        is_note, where = _next_within(np.flatnonzero(family == "duration"), at, next_pitch)
        part = self._latest(ids, family, "part", np.arange(len(self.parts)), 0)
        at = at[is_note]
        return (
            step[at],
            ids[where] - self._first("duration"),
            ids[at] - self._first("pitch"),
            velocity[is_note],
            part[at],
        )

    def _decode_tempos(self, ids: np.ndarray, family: np.ndarray, step: np.ndarray) -> tuple[music.Tempo, ...]:
        """Return the tempos; the last of those at one step counts, and 120 holds until the first."""
        by_step = {0: 120.0}
        for index in np.flatnonzero(family == "tempo"):
            by_step[int(step[index])] = float(self.tempos[ids[index] - self._first("tempo")])
        return tuple(music.Tempo(step, by_step[step]) for step in sorted(by_step))


def _next_within(wanted: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each span from ``start`` to ``stop``, say whether it holds a wanted index, and where it does, the first."""
    nearest = np.append(wanted, np.iinfo(np.int64).max)[np.searchsorted(wanted, start)]
    is_inside = nearest < stop
    return is_inside, nearest[is_inside]
