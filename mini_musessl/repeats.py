"""Repeats: where a piece has been the same before, and what came next there.

Bach's chorales repeat whole lines, note for note. A network that predicts the next frame did not learn to look up what
stands 64 steps back and copy it for 64 steps; a search finds it at once. Three *guides* each point to an earlier place
of the piece:

* ``longest``: the place whose frames end like the present for the longest stretch;
* ``opening``: the step of a repeat of the piece's opening that is under way; if none is, the first frame, with which
  one would begin;
* ``line``: as ``longest``, for each voice alone, whatever the others sing.

A guide that looked at the present or the future would be a leak: all of this is found from the frames before.
``network.mixture`` mixes what guides name into the probabilities of a network.

Conventions:
    copied: the symbol that each guide names in each voice, ``NOTHING`` where it points nowhere.
    kind: what is known of the match, as a row of a table: its length, whether it lies whole bars or beats back, and
        for ``opening`` for how long the music stood still before it.
    length: of the matches of the first two guides, which point to whole frames, in steps.

Chapter: 8b (the chorale benchmark).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from torch import Tensor

from mini_musessl.batches import side_by_side

GUIDES = ("longest", "opening", "line")
N_WHOLE = 2  # the first guides point to whole frames
NOTHING = -1
BAR, BEAT = 16, 4  # steps
IN_TIME = np.array([(back % BEAT == 0) + (back % BAR == 0) for back in range(1, BAR + 1)])  # whole beats or bars back
REPEAT_STEPS = 16  # from here on a match is called a repeat
#: Matches, repeats of the opening and times of standing still are told apart by their length up to these steps.
LENGTHS = np.array((1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 96))
OPENING_LENGTHS = np.array((2, 4, 8, 16, 32))
STILL = np.array((2, 4, 8))
N_PLACES = 14  # where in the piece a repeat of the opening would begin: bars 1 to 10 and later, beats, off the beat
N_FRESH = 2 * N_PLACES * (len(STILL) + 1)
N_KINDS = N_FRESH + 3 * 2 * (len(OPENING_LENGTHS) + 1)


class Copies(NamedTuple):
    """What the guides name before each step of a piece; in arrays or tensors, with axes for several pieces or none."""

    copied: Int[np.ndarray | Tensor, "*rows n_steps n_guides n_voices"]
    kind: Int[np.ndarray | Tensor, "*rows n_steps n_guides n_voices"]
    length: Int[np.ndarray | Tensor, "*rows n_steps n_whole"]

    def at(self, *index: Any) -> "Copies":
        """Return some rows or steps, by an index to the first axes."""
        return Copies(*(each[index] for each in self))


# --- the search


class RepeatFinder:
    """Reads pieces side by side; ``read`` tells what the guides name before and after each frame.

    Places are told by their distance: entry k of what is kept belongs to the place k + 1 steps back. At each step the
    length of every match grows by one where the frames agree, and is 0 elsewhere: the table of the longest common
    substring, of which the latest row is kept.

    Args:
        first_step: index in its piece of each row's first frame. Where it is not 0, the opening is unknown.
    """

    def __init__(self, n_rows: int, n_voices: int, first_step: Int[np.ndarray, " n_rows"] | int = 0) -> None:
        self.has_opening = np.zeros(n_rows, np.int64) + first_step == 0
        self.frames = np.zeros((n_rows, n_voices, 0), np.int64)  # the latest first
        # How many frames, then how many notes of each voice, before each place are those before the present.
        self.same = np.zeros((n_rows, 1 + n_voices, 0), np.int64)
        self.still = np.zeros((n_rows, 1), np.int64)  # for how many steps no voice moved; places as they came
        self.longest = np.zeros(n_rows, np.int64)  # match of frames so far
        self.copied = np.full((n_rows, len(GUIDES), n_voices), NOTHING)  # what guides name now
        self.kind = np.zeros_like(self.copied)
        self.length = np.zeros((n_rows, N_WHOLE), np.int64)

    def read(self, frames: Int[np.ndarray, "n_rows n_new n_voices"]) -> Copies:
        """Read frames; return what the guides name before the first and after each, so for one step more."""
        said = [(self.copied, self.kind, self.length)]
        for frame in frames.swapaxes(0, 1):
            self._append(frame)
            self.copied, self.kind, self.length = self._look_up()
            said.append((self.copied, self.kind, self.length))
        return Copies(*(np.stack(steps, axis=1) for steps in zip(*said, strict=True)))

    def _append(self, frame: Int[np.ndarray, "n_rows n_voices"]) -> None:
        """Read the next frame of each row."""
        is_same = self.frames == frame[:, :, None]
        is_same = np.concatenate((is_same.all(axis=1, keepdims=True), is_same), axis=1)
        n_still = self.still[:, -1:] * is_same[:, 0, :1] if is_same.shape[2] else self.still
        self.still = np.concatenate((self.still, n_still + 1), axis=1)
        self.same = one_longer(self.same, is_same)
        self.longest = np.maximum(self.longest, self.same[:, 0].max(axis=1))
        self.frames = np.concatenate((frame[:, :, None], self.frames), axis=2)

    def _look_up(self) -> Copies:
        """Return what the guides name next in each row, the kinds of their matches and their lengths."""
        n_rows, n_voices, n_read = self.frames.shape
        in_time = IN_TIME[np.arange(n_read) % BAR]
        place, kind = (np.empty((n_rows, len(GUIDES), n_voices), np.int64) for _ in range(2))
        # The longest match, of equals one in time, then the latest, which comes first.
        rank = 3 * self.same + in_time
        best, level = rank.argmax(axis=2), rank.max(axis=2)
        longest, level = level[:, 0] // 3, LENGTHS.searchsorted(level // 3, "right") * 3 + level % 3
        opening, kind_of_opening, opening_length = self._opening(in_time)
        place[:, 0], place[:, 1], place[:, 2] = best[:, :1], opening[:, None], best[:, 1:]
        kind[:, 0], kind[:, 1], kind[:, 2] = level[:, :1], kind_of_opening[:, None], level[:, 1:]
        copied = self.frames[np.arange(n_rows)[:, None, None], np.arange(n_voices), place]
        is_known = self.has_opening & (n_read >= REPEAT_STEPS)
        copied[:, 1] = np.where(is_known[:, None], copied[:, 1], NOTHING)
        return Copies(copied, kind, np.stack((longest, opening_length), axis=1))

    def _opening(self, in_time: Int[np.ndarray, " n_places"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Point to the step of a repeat of the opening under way, or to the first frame; add kind and length."""
        n_read = len(in_time)
        # The longest border, as in the search of Knuth, Morris and Pratt; one that is in time goes first, none last.
        rank = (self.same[:, 0] == np.arange(n_read)[::-1]) * (in_time + 2)
        rank[:, -1] = 1
        place = rank.argmax(axis=1)
        length = n_read - 1 - place
        n_still = STILL.searchsorted(self.still[np.arange(len(place)), place + 1], "right")  # before the repeat
        has_repeated = self.longest >= REPEAT_STEPS
        fresh = n_still + (len(STILL) + 1) * (_place_in_piece(n_read) + N_PLACES * has_repeated)
        level = OPENING_LENGTHS.searchsorted(length, "right")
        going_on = N_FRESH + 2 * (3 * level + in_time[place]) + (n_still >= 2)
        return place, np.where(length == 0, fresh, going_on), length

    def keep_rows(self, rows: Int[np.ndarray, " n_kept"]) -> None:
        """Let row i go on as a copy of what row ``rows[i]`` was."""
        for name, known in vars(self).items():
            setattr(self, name, known[rows])


def one_longer(
    lengths: Int[np.ndarray, "*rows n_places"], is_same: Bool[np.ndarray, "*rows n_places"]
) -> Int[np.ndarray, "*rows n_longer"]:
    """Return how long the music before each place is that before the present, from the latest place to the first.

    One more step has been read, which was the same as the one at each place or not; nothing stands before the first.

    >>> one_longer(np.array([3, 0]), np.array([True, True])).tolist()
    [4, 1, 0]
    """
    return np.concatenate(((lengths + 1) * is_same, np.zeros_like(lengths, shape=(*lengths.shape[:-1], 1))), axis=-1)


def _place_in_piece(step: int) -> int:
    """Number the places where a repeat of the opening may begin: each of the first bars, later ones, beats, the rest.

    >>> [_place_in_piece(step) for step in (16, 160, 800, 20, 24, 21)]
    [0, 9, 9, 10, 11, 13]
    """
    if step % BAR == 0:
        return min(step // BAR - 1, 9)
    return 9 + step % BAR // BEAT if step % BEAT == 0 else N_PLACES - 1


def find_copies(frames: Int[np.ndarray, "n_rows n_steps n_voices"], first_step: np.ndarray | int = 0) -> Copies:
    """Return what the guides name before each step of pieces side by side.

    >>> said = find_copies(np.array([[[30], [32], [33], [30], [32]]]))
    >>> said.copied[0, :, GUIDES.index("line"), 0].tolist()
    [-1, 30, 32, 33, 32]
    """
    said = RepeatFinder(len(frames), frames.shape[2], first_step).read(frames)
    return said.at(slice(None), slice(-1))


def copies_of_pieces(pieces: Sequence[Int[np.ndarray, "_ n_voices"]], n_rows: int = 16) -> list[Copies]:
    """Return what the guides name before each step of whole pieces, some at once."""
    order, found = sorted(range(len(pieces)), key=lambda index: len(pieces[index])), {}
    for some in (order[at : at + n_rows] for at in range(0, len(order), n_rows)):
        together = find_copies(side_by_side([pieces[index] for index in some])[0])
        for row, index in enumerate(some):
            found[index] = together.at(row, slice(len(pieces[index])))
    return [found[index] for index in range(len(pieces))]


def join_copies(parts: Sequence[Copies], n_steps: int | None = None) -> Copies:
    """Put what guides name in stretches of pieces side by side, as ``batches.side_by_side`` does."""
    return Copies(*(side_by_side(each, n_steps)[0] for each in zip(*parts, strict=True)))


def transpose_copied(
    copied: np.ndarray | Tensor, semitones: np.ndarray | Tensor | int, n_symbols: int
) -> np.ndarray | Tensor:
    """Move what guides name up; a pitch that leaves the vocabulary becomes ``NOTHING``.

    >>> transpose_copied(np.array([NOTHING, 0, 44, 45]), 2, n_symbols=47).tolist()
    [-1, 0, 46, -1]
    """
    moved = copied + semitones * (copied > 0)
    return moved + (NOTHING - moved) * ((copied > 0) & ((moved < 1) | (moved >= n_symbols)))
