"""Compound words: one word of several fields for each note.

References:
    Hsiao et al. 2021 (Compound Word Transformer), for words; Zeng et al. 2021 (MusicBERT, OctupleMIDI), for one word
    per note. Departures: bars are counted from the word before (there: from the start), tempo is left out.

Chapter: 3b (tokens).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import checks, music
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

# Words of one bar are written in this order: what opens it, its notes, where it is cut short, where the music ends.
_OPENING, _NOTE, _CUT, _END = range(4)


@dataclass(frozen=True)
class CompoundWords(BarTokenizer):
    """One word per note: how many bars after the word before, position, pitch, duration, velocity, part, meter.

    A word is a row of ids, one per field; velocity, part and meter are fields only if there is a choice. "bar 0" stays
    in the bar, "bar 1" begins the next; the bars skipped over have the meter of the word before.

    A word with "pitch none" is a mark, not a note: with "bar 0" as the first word its position says how far into a bar
    the music begins (an upbeat); as the last word of a bar, where that bar is cut short; as the last word of all, where
    the music ends, if that is later than the end of its last note; at position 0 it only passes bars.

    ``decode`` makes music of any words whose fields are in their columns: a word with "bar 0" at the very start begins
    inside a bar; a position beyond the bar runs into the next; a bar takes the meter of its first word.

    Example:
        >>> piece = music.Piece(music.make_notes([0, 20], [4, 2], [60, 64]), steps_per_quarter=4)
        >>> compound = CompoundWords(steps_per_quarter=4, n_velocities=0)
        >>> for word in compound.encode(piece):
        ...     print(", ".join(compound.vocabulary.tokens(word)))
        bar 1, position 0, pitch 60, duration 4
        bar 1, position 4, pitch 64, duration 2
    """

    max_bars: int = 16  # how many bars one word can pass

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.whole_number("max_bars", self.max_bars, 1, advice="16 is the default.")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """One family per field, in the order of the columns."""
        bar = ("bar", range(self.max_bars + 1))
        pitch = ("pitch", ("none", *range(self.lowest_pitch, self.highest_pitch + 1)))
        rest = self._families("duration", "velocity", "part", "meter")
        return Vocabulary((bar, *self._families("position"), pitch, *rest))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns of a word."""
        return self.vocabulary.names

    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece into words, int32 (n_words, n_fields); a piece of no steps has none."""
        piece = self._prepare(piece)
        if piece.n_steps == 0:
            return np.zeros((0, len(self.fields)), np.int32)
        notes = piece.notes
        end_step = np.array([piece.n_steps] if piece.n_steps > last_end(notes) else [], np.int64)
        last_step = int(np.concatenate([notes["onset_step"], end_step]).max())
        bars = bars_of_piece(piece, self.meters, last_step)
        note_bar, note_position = bars.locate(notes["onset_step"])
        end_bar, end_position = bars.locate(end_step)
        opening = self._openings(bars, note_bar)
        cut = np.flatnonzero(bars.is_short)

        kinds = [_OPENING, _NOTE, _CUT, _END]
        kind = np.repeat(kinds, [len(opening), len(notes), len(cut), len(end_bar)])
        bar = np.concatenate([opening, note_bar, cut, end_bar])
        opening_position = np.where(opening == 0, bars.phase_step, 0)
        position = np.concatenate([opening_position, note_position, bars.length_step[cut], end_position])
        values = {"bar": bar, "position": position, "meter": bars.meter[bar]}
        is_note = kind == _NOTE
        for name, column in self._note_values(notes).items():
            values[name] = np.zeros(len(bar), np.int64)
            values[name][is_note] = column
        order = np.argsort(bar * len(kinds) + kind, kind="stable")
        words = np.stack([values[name][order] for name in self.fields], axis=1)
        words = self._with_jumps(words, begins_inside=bars.phase_step > 0)
        return (words + self._first_ids).astype(np.int32)

    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn words (n_words, n_fields), each column of its field, into a piece."""
        words = dict(zip(self.fields, self._check_words(ids).T, strict=True))
        if not len(words["bar"]):
            plain = (music.Meter(0, *self.meters[0]),)
            return music.Piece(music.make_notes([], [], []), self.steps_per_quarter, plain, parts=self.parts)
        is_note = words["pitch"] > 0
        bar, bars = self._decode_bars(words, is_note)
        step = np.maximum(bars.line_step[bar] + words["position"], 0)
        notes = np.zeros(int(is_note.sum()), music.NOTE_DTYPE)
        notes["onset_step"] = step[is_note]
        notes["duration_step"] = words["duration"][is_note] + 1
        notes["pitch"] = words["pitch"][is_note] - 1 + self.lowest_pitch
        notes["velocity"] = self.velocities[words["velocity"][is_note]] if self.n_velocities else DEFAULT_VELOCITY
        notes["part"] = words["part"][is_note] if len(self.parts) > 1 else 0
        return music.Piece(
            notes=music.sort_notes(notes),
            steps_per_quarter=self.steps_per_quarter,
            meters=bars.to_meters(self.meters),
            parts=self.parts,
            n_steps=max(last_end(notes), 0 if is_note[-1] else int(step[-1])),
        )

    @cached_property
    def _first_ids(self) -> np.ndarray:
        """First id of each field."""
        return np.array([self.vocabulary.slice_of(name).start for name in self.fields])

    def _openings(self, bars: Bars, note_bar: np.ndarray) -> np.ndarray:
        """Return the bars that need a word of their own: an upbeat's, and those with a new meter and no note."""
        is_new_meter = np.diff(bars.meter, prepend=0) != 0
        is_new_meter[note_bar] = False
        is_new_meter[0] |= bars.phase_step > 0
        return np.flatnonzero(is_new_meter)

    def _note_values(self, notes: np.ndarray) -> dict[str, np.ndarray]:
        """Return for each field that describes a note the place of each value within the field."""
        values = {
            "pitch": notes["pitch"] - self.lowest_pitch + 1,
            "duration": self._duration_index(notes["duration_step"]),
            "part": notes["part"],
        }
        if self.n_velocities:
            values["velocity"] = self.nearest_velocity[notes["velocity"]]
        return values

    def _with_jumps(self, words: np.ndarray, begins_inside: bool) -> np.ndarray:
        """Turn bar numbers into bars passed, with words in between where one word can't pass them all."""
        jump = np.diff(words[:, 0], prepend=0 if begins_inside else -1)
        n_between = np.maximum(-(-jump // self.max_bars) - 1, 0)
        words[:, 0] = jump - n_between * self.max_bars
        # A word in between passes as many bars as it can, in the meter of the word before, and marks nothing else.
        between = np.zeros((int(n_between.sum()), words.shape[1]), words.dtype)
        between[:, 0] = self.max_bars
        if "meter" in self.fields:
            meter_before = np.append(0, words[:-1, self.fields.index("meter")])
            between[:, self.fields.index("meter")] = np.repeat(meter_before, n_between)
        return np.insert(words, np.repeat(np.arange(len(words)), n_between), between, axis=0)

    def _check_words(self, ids: ArrayLike) -> np.ndarray:
        """Return words as places within their fields, int64 (n_words, n_fields), or refuse them."""
        array = np.asarray(ids)
        if array.ndim != 2 or array.shape[1] != len(self.fields):
            raise ValueError(
                f"Words must have shape (n_words, {len(self.fields)}), one column for each of "
                f"{', '.join(self.fields)}; found {array.shape}. Decode one piece of a batch at a time."
            )
        values = self.vocabulary.check(array) - self._first_ids
        sizes = [len(of_field) for _, of_field in self.vocabulary.families]
        is_elsewhere = (values < 0) | (values >= sizes)
        if is_elsewhere.any():
            word, column = np.argwhere(is_elsewhere)[0]
            raise ValueError(
                f"Column {column} must hold ids of the field {self.fields[column]!r}; found "
                f"{self.vocabulary.token(array[word, column])!r} at word {word}. Are the columns in the order of the "
                "fields?"
            )
        return values

    def _decode_bars(self, words: dict[str, np.ndarray], is_note: np.ndarray) -> tuple[np.ndarray, Bars]:
        """Return the bar of each word, and all bars, those skipped over too."""
        full = full_lengths(self.meters, self.steps_per_quarter)
        begins_inside = words["bar"][0] == 0
        bar = np.cumsum(words["bar"]) - (0 if begins_inside else 1)
        opens = np.flatnonzero(np.diff(bar, prepend=-1))
        last = np.append(opens[1:], len(bar)) - 1
        # Bars skipped over take the meter of the bar before them; before the first word, the first meter.
        named = np.zeros(int(bar[-1]) + 1, bool)
        named[bar[opens]] = True
        meter = np.zeros(len(named), np.int64)
        if "meter" in words:
            meter[bar[opens]] = words["meter"][opens]
            latest = last_before(named)
            meter = np.where(latest >= 0, meter[latest], 0)
        ends = last[:-1][~is_note[last[:-1]]]
        ends = ends[ends > 0] if begins_inside else ends
        end_position = np.zeros(len(named), np.int64)
        end_position[bar[ends]] = words["position"][ends]
        phase = int(words["position"][0]) % int(full[meter[0]]) if begins_inside else 0
        return bar, bars_from_marks(phase, meter, end_position, full)
