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
from mini_musessl.tokenizers.base import (
    DEFAULT_VELOCITY,
    Bars,
    BarTokenizer,
    Vocabulary,
    bars_from_marks,
    bars_of_piece,
    full_lengths,
    last_before,
    last_end,
)

# Rows of tokens that fall on the same step are written in this order.
_BAR, _TEMPO, _NOTE, _END = range(4)


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

    Example:
        >>> piece = music.Piece(music.make_notes([0, 4], [4, 2], [60, 64], 127), steps_per_quarter=4)
        >>> remi = Remi(steps_per_quarter=4)
        >>> " ".join(remi.vocabulary.tokens(remi.encode(piece)))
        'bar position 0 pitch 60 velocity 127 duration 4 position 4 pitch 64 velocity 127 duration 2'
    """

    tempos: tuple[float, ...] = ()  # in quarters a minute; a token stands for the nearest of them

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "tempos", tuple(self.tempos))
        for tempo in self.tempos:
            music.Tempo(0, tempo)  # refuses a tempo that is not above 0

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Bar, position, meter, part, pitch, velocity, duration, tempo; without those that the options leave out."""
        families = self._families("position", "meter", "part", "pitch", "velocity", "duration")
        tempo = (("tempo", self.tempos),) if self.tempos else ()
        return Vocabulary((("bar", (None,)), *families, *tempo))

    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece into tokens, int32 (n_tokens,); a piece of no steps has none."""
        piece = self._prepare(piece)
        if piece.n_steps == 0:
            return np.zeros(0, np.int32)
        tempo_step, tempo_index = self._tempo_events(piece)
        end_step = np.array([piece.n_steps] if piece.n_steps > last_end(piece.notes) else [], np.int64)
        event_step = np.concatenate([tempo_step, piece.notes["onset_step"], end_step])
        bars = bars_of_piece(piece, self.meters, int(event_step.max()))

        n_bars, n_notes = len(bars.line_step), len(piece.notes)
        step = np.concatenate([bars.line_step, event_step])
        kind = np.repeat([_BAR, _TEMPO, _NOTE, _END], [n_bars, len(tempo_step), n_notes, len(end_step)])
        order = np.argsort(step * 4 + kind, kind="stable")
        rows = np.full((len(step), 5), -1, np.int32)
        rows[:n_bars, :3] = self._bar_rows(bars)
        rows[n_bars:, 0] = self._first("position") + bars.locate(event_step)[1]
        notes_start = n_bars + len(tempo_step)
        rows[n_bars:notes_start, 1] = self._first("tempo") + tempo_index
        rows[notes_start : notes_start + n_notes, 1:] = self._note_rows(piece.notes)

        rows, step, kind = rows[order], step[order], kind[order]
        # One position serves all notes that start together.
        has_same_position = (kind[1:] != _BAR) & (kind[:-1] != _BAR) & (step[1:] == step[:-1])
        rows[1:][has_same_position, 0] = -1
        return rows[rows >= 0]

    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn ids (n_tokens,), in any order, into a piece."""
        ids = self.vocabulary.check_row(ids)
        family = self.vocabulary.family_of(ids)
        is_bar = family == "bar"
        is_position = family == "position"
        # Music before the first bar token lies in a bar of its own.
        bar = np.cumsum(is_bar) - bool(len(ids) and is_bar[0])
        bars = self._decode_bars(ids, family, bar)
        last_position = last_before(is_position)
        has_position = last_position > last_before(is_bar)
        position = np.where(has_position, ids[last_position] - self._first("position"), 0)
        step = np.maximum(bars.line_step[bar] + position, 0) if len(ids) else position
        notes = self._decode_notes(ids, family, step)
        end_step = int(step[-1]) if len(ids) and is_position[-1] else 0
        return music.Piece(
            notes=notes,
            steps_per_quarter=self.steps_per_quarter,
            meters=bars.to_meters(self.meters),
            tempos=self._decode_tempos(ids, family, step),
            parts=self.parts,
            n_steps=max(last_end(notes), end_step),
        )

    def _tempo_events(self, piece: music.Piece) -> tuple[np.ndarray, np.ndarray]:
        """Return the step and the token's index of each tempo within the piece."""
        inside = [tempo for tempo in piece.tempos if tempo.step < piece.n_steps] if self.tempos else []
        asked = np.array([tempo.quarters_per_minute for tempo in inside]).reshape(-1, 1)
        offered = np.array(self.tempos or [0.0])
        return np.array([tempo.step for tempo in inside], np.int64), np.abs(asked - offered).argmin(axis=1)

    def _bar_rows(self, bars: Bars) -> np.ndarray:
        """Return a row per bar: where the bar before it was cut short, "bar", its meter."""
        rows = np.full((len(bars.line_step), 3), -1, np.int32)
        is_after_short = np.flatnonzero(bars.is_short[:-1]) + 1
        rows[is_after_short, 0] = self._first("position") + bars.length_step[is_after_short - 1]
        rows[:, 1] = self._first("bar")
        if bars.phase_step:
            rows[0, :2] = self._first("position") + bars.phase_step, -1
        if len(self.meters) > 1:
            rows[:, 2] = self._first("meter") + bars.meter
        return rows

    def _note_rows(self, notes: np.ndarray) -> np.ndarray:
        """Return a row per note: part, pitch, velocity, duration; -1 for what the vocabulary is without."""
        rows = np.full((len(notes), 4), -1, np.int32)
        if len(self.parts) > 1:
            rows[:, 0] = self._first("part") + notes["part"]
        rows[:, 1] = self._first("pitch") + notes["pitch"] - self.lowest_pitch
        if self.n_velocities:
            rows[:, 2] = self._first("velocity") + self.nearest_velocity[notes["velocity"]]
        rows[:, 3] = self._first("duration") + self._duration_index(notes["duration_step"])
        return rows

    def _decode_bars(self, ids: np.ndarray, family: np.ndarray, bar: np.ndarray) -> Bars:
        """Return the bars that the tokens describe."""
        full = full_lengths(self.meters, self.steps_per_quarter)
        n_bars = int(bar[-1]) + 1 if len(ids) else 0
        meter = np.full(n_bars, -1)
        at = np.flatnonzero(family == "meter")
        with_meter, first_in_bar = np.unique(bar[at], return_index=True)
        meter[with_meter] = ids[at[first_in_bar]] - self._first("meter")
        latest = last_before(meter >= 0)
        meter = np.where(latest >= 0, meter[latest], 0)
        # A position right before a bar token ends its bar there, unless it is the mark of the upbeat.
        ends = np.flatnonzero((family[1:-1] == "position") & (family[2:] == "bar")) + 1
        end_position = np.zeros(n_bars, np.int64)
        end_position[bar[ends]] = ids[ends] - self._first("position")
        begins_inside = n_bars > 0 and family[0] == "position"
        phase = int(ids[0] - self._first("position")) % int(full[meter[0]]) if begins_inside else 0
        return bars_from_marks(phase, meter, end_position, full)

    def _decode_notes(self, ids: np.ndarray, family: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return the notes that have a pitch and a duration."""
        at = np.flatnonzero(family == "pitch")
        next_pitch = np.append(at[1:], len(ids))
        velocity = np.full(len(at), DEFAULT_VELOCITY)
        has_velocity, where = _next_within(np.flatnonzero(family == "velocity"), at, next_pitch)
        velocity[has_velocity] = self.velocities[ids[where] - self._first("velocity")]
        has_duration, where = _next_within(np.flatnonzero(family == "duration"), at, next_pitch)
        last_part = last_before(family == "part")[at]
        part = np.where(last_part >= 0, ids[last_part] - self._first("part"), 0)
        notes = np.zeros(int(has_duration.sum()), music.NOTE_DTYPE)
        notes["onset_step"] = step[at[has_duration]]
        notes["duration_step"] = ids[where] - self._first("duration") + 1
        notes["pitch"] = ids[at[has_duration]] - self._first("pitch") + self.lowest_pitch
        notes["velocity"] = velocity[has_duration]
        notes["part"] = part[has_duration]
        return music.sort_notes(notes)

    def _decode_tempos(self, ids: np.ndarray, family: np.ndarray, step: np.ndarray) -> tuple[music.Tempo, ...]:
        """Return the tempos; the last of those at one step counts, and 120 holds until the first."""
        at = np.flatnonzero(family == "tempo")
        by_step = {0: 120.0}
        by_step |= {int(step[i]): float(self.tempos[ids[i] - self._first("tempo")]) for i in at}
        return tuple(music.Tempo(step, by_step[step]) for step in sorted(by_step))


def _next_within(wanted: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each span from ``start`` to ``stop``, say whether it holds a wanted index, and where it does, the first."""
    nearest = np.append(wanted, np.iinfo(np.int64).max)[np.searchsorted(wanted, start)]
    is_inside = nearest < stop
    return is_inside, nearest[is_inside]
