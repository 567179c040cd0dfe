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

from mini_musessl import music
from mini_musessl.tokenizers.base import DEFAULT_VELOCITY, BarTokenizer, Vocabulary


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

    >>> piece = music.Piece(music.make_notes([0, 20], [4, 2], [60, 64]), steps_per_quarter=4)
    >>> compound = CompoundWords(steps_per_quarter=4, n_velocities=0)
    >>> for word in compound.encode(piece):
    ...     print(", ".join(compound.vocabulary.tokens(word)))
    bar 1, position 0, pitch 60, duration 4
    bar 1, position 4, pitch 64, duration 2
    """

    max_bars: int = 16  # how many bars one word can pass

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """One family per field, in the order of the columns."""
        names = ("bar", "position", "pitch", "duration", "velocity", "part", "meter")
        return self._make_vocabulary(*names, bar=range(self.max_bars + 1), pitch=("none", *self._values["pitch"]))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns of a word."""
        return self.vocabulary.names

    @cached_property
    def _first_ids(self) -> np.ndarray:
        """First id of each field."""
        return np.array([self._first(name) for name in self.fields])

    def encode(self, piece: music.Piece) -> np.ndarray:
        """Turn a piece into words, int32 (n_words, n_fields); a piece of no steps has none."""
        piece = self._prepare(piece)
        if piece.n_steps == 0:
            return np.zeros((0, len(self.fields)), np.int32)
        notes = piece.notes
        event_step, bars = self._events(piece)
        event_bar, event_position = bars.locate(event_step)
        # A bar needs a word before its notes if it is an upbeat's, or has a new meter that no note says.
        needs_word = np.diff(bars.meter, prepend=0) != 0
        needs_word[event_bar[: len(notes)]] = False
        needs_word[0] |= bars.line_step[0] < 0
        opening, cut = np.flatnonzero(needs_word), np.flatnonzero(bars.is_short)
        bar = np.concatenate([opening, event_bar, cut])
        position = np.concatenate(
            [np.where(opening == 0, -bars.line_step[0], 0), event_position, bars.length_step[cut]]
        )
        values = {name: np.zeros(len(bar), np.int64) for name in self.fields}
        for name, place in self._places(notes).items():
            values[name][len(opening) : len(opening) + len(notes)] = place + (name == "pitch")  # place 0 is "none"
        values |= {"bar": bar, "position": position, "meter": bars.meter[bar]}
        words = np.stack([values[name] for name in self.fields], axis=1)
        words = self._with_jumps(words[np.argsort(bar, kind="stable")], begins_inside=bars.line_step[0] < 0)
        return (words + self._first_ids).astype(np.int32)

    def _with_jumps(self, words: np.ndarray, begins_inside: bool) -> np.ndarray:
        """Turn bar numbers into bars passed, with words in between where one word can't pass them all."""
        jump = np.diff(words[:, 0], prepend=0 if begins_inside else -1)
        n_between = np.maximum(-(-jump // self.max_bars) - 1, 0)
        words[:, 0] = jump - n_between * self.max_bars
        # A word in between passes as many bars as it can, in the meter of the word before, and marks nothing else.
        between = np.zeros((int(n_between.sum()), words.shape[1]), words.dtype)
        between[:, 0] = self.max_bars
        if "meter" in self.fields:  # the last column
            between[:, -1] = np.repeat(np.append(0, words[:-1, -1]), n_between)
        return np.insert(words, np.repeat(np.arange(len(words)), n_between), between, axis=0)

    def decode(self, ids: ArrayLike) -> music.Piece:
        """Turn words (n_words, n_fields), each column of its field, into a piece."""
        places = self._check_words(ids) - self._first_ids
        none = np.zeros(len(places), np.int64)
        words = {"meter": none, "part": none} | dict(zip(self.fields, places.T, strict=True))
        position, is_note = words["position"], words["pitch"] > 0
        begins_inside = len(places) > 0 and words["bar"][0] == 0
        bar = np.cumsum(words["bar"]) - (not begins_inside)
        is_cut = ~is_note & (np.diff(bar, append=bar[-1:]) > 0)  # the last word of a bar, but not of all
        is_cut[:1] &= not begins_inside
        bars = self._bars_of_tokens(bar, position, words["meter"], is_cut, begins_inside)
        step = np.maximum(bars.line_step[bar] + position, 0)
        end_step = int(step[-1]) if len(step) and not is_note[-1] else 0
        velocity = self.velocities[words["velocity"]] if self.n_velocities else none + DEFAULT_VELOCITY
        columns = (step, words["duration"], words["pitch"] - 1, velocity, words["part"])
        return self._to_piece(bars, end_step, tuple(column[is_note] for column in columns))

    def _check_words(self, ids: ArrayLike) -> np.ndarray:
        """Return words as int64 (n_words, n_fields), or refuse them."""
        words = self.vocabulary.check(ids)
        if words.ndim != 2 or words.shape[1] != len(self.fields):
            raise ValueError(
                f"Words must have shape (n_words, {len(self.fields)}), one column for each of "
                f"{', '.join(self.fields)}; found {words.shape}. Decode one piece of a batch at a time."
            )
        is_elsewhere = self.vocabulary.family_of(words) != self.fields
        if is_elsewhere.any():
            word, column = np.argwhere(is_elsewhere)[0]
            raise ValueError(
                f"Column {column} must hold ids of the field {self.fields[column]!r}; found "
                f"{self.vocabulary.token(words[word, column])!r} at word {word}. Are the columns in the order of the "
                "fields?"
            )
        return words
