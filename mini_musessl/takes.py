"""What of some music is shown: where a clip begins and ends, with its marks and its hidden cells; several takes.

Chapter: 00 (the road in five minutes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mini_musessl import music as notes_on_a_grid
from mini_musessl import voices
from mini_musessl.checks import printable
from mini_musessl.music import Piece, bar_position_step, sec_to_steps, steps_to_sec
from mini_musessl.rolls import Mark, as_hidden, as_marks
from mini_musessl.voices import VoiceGrid, as_performed, fermata_spans

MOST_TAKES = 4


@dataclass(frozen=True)
class Take:
    """Music as it is shown: a clip of it, or all."""

    name: str  # "" where there is one take only
    music: Piece | VoiceGrid  # all of it
    clip: Piece | VoiceGrid  # what is shown and played
    start_sec: float  # at which time of the music the clip begins
    is_faded: bool  # True where the clip ends in the middle of a line
    marks: tuple[Mark, ...] = ()  # those inside the clip
    hidden: np.ndarray | None = None  # bool (n_steps, n_voices) of the clip

    @property
    def is_cut(self) -> bool:
        """Whether the clip is less than the music."""
        return self.clip is not self.music

    @property
    def seconds(self) -> float:
        """How long the clip lasts."""
        return seconds(self.clip)


def seconds(music: Piece | VoiceGrid) -> float:
    """Return the length in seconds, fermatas held."""
    piece = as_performed(music)
    return float(steps_to_sec(piece, piece.n_steps))


def make_takes(
    music: Piece | VoiceGrid | Mapping[str, Piece | VoiceGrid], max_sec: float, marks: Any = (), hidden: Any = None
) -> list[Take]:
    """Cut music, or each of two to four takes by name; marks and hidden cells are for all takes, or a dict by name."""
    if not isinstance(music, Mapping):
        return [_take("", music, max_sec, marks, hidden)]
    if not 2 <= len(music) <= MOST_TAKES or not all(isinstance(name, str) and name.strip() for name in music):
        raise ValueError(
            f"Takes must be 2 to {MOST_TAKES}, each with a name; found {list(music)}. Show more of them one by one."
        )
    for each in (marks, hidden):
        if isinstance(each, Mapping) and not each.keys() <= music.keys():
            raise ValueError(f"A dict of marks or hidden cells must name takes, {list(music)}; found {list(each)}.")
    return [_take(name, take, max_sec, _of(marks, name, ()), _of(hidden, name, None)) for name, take in music.items()]


def _of(each: Any, name: str, nothing: Any) -> Any:
    """Return what belongs to one take: its own, or that of all."""
    return each.get(name, nothing) if isinstance(each, Mapping) else each


def _take(
    name: str, music: Piece | VoiceGrid, max_sec: float, marks: Sequence[tuple], hidden: np.ndarray | None
) -> Take:
    """Return the clip of some music with what belongs to it."""
    piece = as_performed(music)
    if len(piece.notes) == 0:
        raise ValueError("Music must have at least one note to be shown; found none. Is the cut all rests?")
    marks, hidden = as_marks(music, marks), None if hidden is None else as_hidden(music, hidden)
    start, stop, is_faded = 0, piece.n_steps, False
    if steps_to_sec(piece, piece.n_steps) > max_sec:
        start = _start(piece, max_sec)
        stop, is_faded = _stop(music, piece, start, max_sec)
    cut = voices.cut if isinstance(music, VoiceGrid) else notes_on_a_grid.cut
    clip = cut(music, start, stop) if (start, stop) != (0, piece.n_steps) else music
    marks = tuple(mark._replace(step=mark.step - start) for mark in marks if start <= mark.step < stop)
    start_sec = float(steps_to_sec(piece, start))
    return Take(
        printable(name), music, clip, start_sec, is_faded, marks, None if hidden is None else hidden[start:stop]
    )


def _start(piece: Piece, max_sec: float) -> int:
    """Return the step at which a clip begins: 0, or after a long rest the bar of the first note, or that note."""
    onset = int(piece.notes["onset_step"][0])
    line = max(0, onset - int(bar_position_step(piece, onset)))
    if steps_to_sec(piece, onset) <= max_sec / 2:
        return 0
    return line if steps_to_sec(piece, onset) - steps_to_sec(piece, line) <= max_sec / 2 else onset


def _stop(music: Piece | VoiceGrid, piece: Piece, start: int, max_sec: float) -> tuple[int, bool]:
    """Return where a clip ends: after a fermata in the second half of its time, else at a bar line there, else late.

    True stands beside an end that is no fermata.
    """
    start_sec = float(steps_to_sec(piece, start))
    spans = fermata_spans(music) if isinstance(music, VoiceGrid) else np.zeros((0, 2), int)
    lasting = steps_to_sec(piece, spans[:, 1]) - start_sec
    ends = spans[(max_sec / 2 <= lasting) & (lasting <= max_sec), 1]
    if len(ends):
        return int(ends[-1]), False
    stop = min(int(sec_to_steps(piece, start_sec + max_sec)), piece.n_steps)
    stop = max(start + 1, stop - int(steps_to_sec(piece, stop) > start_sec + max_sec))
    for begin, end in spans.tolist():  # half a fermata would be held as long as a whole one
        stop = begin if start < begin < stop < end else stop
    line = stop - int(bar_position_step(piece, stop))
    is_late = start < line and start + stop <= 2 * line and stop < piece.n_steps
    return line if is_late else stop, True
