"""Repeats: where a piece has said before what it says now, what came next there, and a bonus for saying it again.

Bach's chorales repeat whole lines, note for note. A network that predicts the next frame can hardly learn to look up
what stands 64 steps back and copy it for 64 steps; a search finds it at once. Three *guides* each point to an earlier
place of the piece, and the head of a FrameTransformer learns how far to trust each of them:

* ``longest``: the place whose frames end like the present for the longest stretch;
* ``line``: the same for each voice alone, whatever the others sing;
* ``opening``: the step of a repeat of the piece's opening that is under way; if none is, the first frame, with which
  one would begin.

A guide that looked at the present or the future would be a leak: all of this is found from the frames before.

Conventions:
    copied: the symbol that each guide would sing in each voice, ``NOTHING`` where it points nowhere.
    kind: what is known of the match, as a row of a table: its length, whether it lies whole bars or beats back, and
        for ``opening`` for how long the music stood still before it.

References: Vinyals, Fortunato and Jaitly, "Pointer Networks" (2015), and See, Liu and Manning, "Get To The Point"
(2017), for networks that may copy.

Chapter: 8b (the chorale benchmark).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mini_musessl.batches import side_by_side

GUIDES = ("longest", "line", "opening")
NOTHING = -1
BAR, BEAT = 16, 4  # steps
REPEAT_STEPS = 16  # from here on a match is called a repeat
#: Matches, repeats of the opening and times of standing still are told apart by their length up to these steps.
LENGTHS, OPENING_LENGTHS, STILL = (
    np.array(edges) for edges in ((1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 96), (2, 4, 8, 16, 32), (2, 4, 8))
)
N_PLACES = 14  # where in the piece a repeat of the opening would begin: bars 1 to 10 and later, beats, off the beat
N_FRESH = 2 * N_PLACES * (len(STILL) + 1)
N_KINDS = N_FRESH + 3 * 2 * (len(OPENING_LENGTHS) + 1)

RowLengths = Int[np.ndarray, "n_rows n_places"]


class Copies(NamedTuple):
    """What the guides say before each step of a piece; in arrays or tensors, with axes for several pieces or none."""

    copied: Int[np.ndarray | Tensor, "*rows n_steps n_guides n_voices"]
    kind: Int[np.ndarray | Tensor, "*rows n_steps n_guides n_voices"]


# --- the search


class RepeatFinder:
    """Reads pieces side by side; ``read`` says what the guides would sing before and after each frame.

    Before each step the length of every match is one more than that of its neighbour before the step, where the frames
    agree, and 0 elsewhere: the table of the longest common substring, of which one row is kept.

    Args:
        first_step: index in its piece of each row's first frame. Where it is not 0, the opening is unknown.
    """

    def __init__(self, n_rows: int, n_voices: int, first_step: Int[np.ndarray, " n_rows"] | int = 0) -> None:
        self.has_opening = np.zeros(n_rows, np.int64) + first_step == 0
        self.frames = np.zeros((n_rows, 0, n_voices), np.int64)
        # For each earlier place: how many frames, or notes of a voice, before it are those before the present.
        self.same_frames = np.zeros((n_rows, 0), np.int64)
        self.same_notes = np.zeros((n_rows, 0, n_voices), np.int64)
        self.still = np.zeros((n_rows, 1), np.int64)  # for how many steps before each place no voice moved
        self.longest = np.zeros(n_rows, np.int64)  # match of frames so far

    def read(self, frames: Int[np.ndarray, "n_rows n_new n_voices"]) -> Copies:
        """Read frames; return what the guides say before the first and after each, so for one step more."""
        said = [self._ask()]
        for frame in frames.swapaxes(0, 1):
            self._append(frame)
            said.append(self._ask())
        return Copies(*(np.stack(steps, axis=1) for steps in zip(*said, strict=True)))

    def _append(self, frame: Int[np.ndarray, "n_rows n_voices"]) -> None:
        """Read the next frame of each row."""
        is_same = self.frames == frame[:, None]
        n_still = np.where(is_same[:, -1:].all(axis=2), self.still[:, -1:], 0) if is_same.shape[1] else self.still
        self.still = np.append(self.still, n_still + 1, axis=1)
        self.same_frames = _one_longer(self.same_frames, is_same.all(axis=2))
        self.same_notes = _one_longer(self.same_notes, is_same)
        self.longest = np.maximum(self.longest, self.same_frames.max(axis=1))
        self.frames = np.append(self.frames, frame[:, None], axis=1)

    def _ask(self) -> Copies:
        """Return what the guides would sing next in each row, (n_rows, n_guides, n_voices)."""
        n_rows, n_read, n_voices = self.frames.shape
        if n_read == 0:
            none = np.zeros((n_rows, len(GUIDES), n_voices), np.int64)
            return Copies(none + NOTHING, none)
        back = n_read - np.arange(n_read)
        in_time = (back % BEAT == 0) + (back % BAR == 0).astype(np.int64)
        guides = (self._longest(in_time), self._line(in_time), self._opening(in_time))
        return Copies(*(np.stack(said, axis=1) for said in zip(*guides, strict=True)))

    def _longest(self, in_time: Int[np.ndarray, " n_places"]) -> tuple[np.ndarray, np.ndarray]:
        """Point to the longest match of frames; of equals to one in time, then to the latest."""
        place, kind = _best_match(self.same_frames, in_time)
        copied = self.frames[np.arange(len(place)), place]
        return copied, np.broadcast_to(kind[:, None], copied.shape)

    def _line(self, in_time: Int[np.ndarray, " n_places"]) -> tuple[np.ndarray, np.ndarray]:
        """Point to the longest match of each voice alone."""
        place, kind = _best_match(self.same_notes, in_time)
        return np.take_along_axis(self.frames, place[:, None], axis=1)[:, 0], kind

    def _opening(self, in_time: Int[np.ndarray, " n_places"]) -> tuple[np.ndarray, np.ndarray]:
        """Point to the step of a repeat of the opening that is under way, or to the first frame."""
        rows, places = np.arange(len(self.frames)), np.arange(len(in_time))
        # The longest border, as in the search of Knuth, Morris and Pratt; one that is in time goes first.
        is_repeat = (self.same_frames == places) & (places > 0)
        length = np.where(is_repeat, places + 1_000_000 * in_time, 0).argmax(axis=1)
        n_still = np.digitize(self.still[rows, len(places) - length], STILL)  # before the repeat
        has_repeated = self.longest >= REPEAT_STEPS
        fresh = n_still + (len(STILL) + 1) * (_place_in_piece(len(places)) + N_PLACES * has_repeated)
        going_on = N_FRESH + 2 * (3 * np.digitize(length, OPENING_LENGTHS) + in_time[length]) + (n_still >= 2)
        kind = np.where(length == 0, fresh, going_on)
        is_known = self.has_opening & (len(places) >= REPEAT_STEPS)
        copied = np.where(is_known[:, None], self.frames[rows, length], NOTHING)
        return copied, np.broadcast_to(kind[:, None], copied.shape)

    def keep_rows(self, rows: Int[np.ndarray, " n_kept"]) -> None:
        """Let row i go on as a copy of what row ``rows[i]`` was."""
        for name, known in vars(self).items():
            setattr(self, name, known[rows])


def _one_longer(lengths: np.ndarray, is_same: np.ndarray) -> np.ndarray:
    """Return the lengths of matches after one more frame, which equals that at each place or not."""
    none = np.zeros((len(lengths), 1, *lengths.shape[2:]), np.int64)  # nothing stands before the first place
    return np.append(none, np.where(is_same, lengths + 1, 0), axis=1)


def _best_match(lengths: np.ndarray, in_time: Int[np.ndarray, " n_places"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of the longest match, of equals one in time, then the latest, and its kind; places in axis 1."""
    by_place = (slice(None), *(None,) * (lengths.ndim - 2))
    rank = (lengths * 3 + in_time[by_place]) * len(in_time) + np.arange(len(in_time))[by_place]
    place = rank.argmax(axis=1)
    length = np.take_along_axis(lengths, place[:, None], axis=1)[:, 0]
    return place, np.digitize(length, LENGTHS) * 3 + in_time[place]


def _place_in_piece(step: int) -> int:
    """Number the places where a repeat of the opening may begin: each of the first bars, later ones, beats, the rest.

    >>> [_place_in_piece(step) for step in (16, 160, 800, 20, 24, 21)]
    [0, 9, 9, 10, 11, 13]
    """
    if step % BAR == 0:
        return min(step // BAR - 1, 9)
    return 9 + step % BAR // BEAT if step % BEAT == 0 else N_PLACES - 1


def find_copies(frames: Int[np.ndarray, "n_rows n_steps n_voices"], first_step: np.ndarray | int = 0) -> Copies:
    """Return what the guides say before each step of pieces side by side.

    >>> copied, _ = find_copies(np.array([[[30], [32], [33], [30], [32]]]))
    >>> copied[0, :, GUIDES.index("line"), 0].tolist()
    [-1, 30, 32, 33, 32]
    """
    said = RepeatFinder(len(frames), frames.shape[2], first_step).read(frames)
    return Copies(*(each[:, :-1] for each in said))


def copies_of_pieces(pieces: Sequence[Int[np.ndarray, "_ n_voices"]], n_rows: int = 16) -> list[Copies]:
    """Return what the guides say before each step of whole pieces, some at once."""
    order, found = sorted(range(len(pieces)), key=lambda index: len(pieces[index])), {}
    for some in (order[at : at + n_rows] for at in range(0, len(order), n_rows)):
        together = find_copies(side_by_side([pieces[index] for index in some])[0])
        for row, index in enumerate(some):
            found[index] = Copies(*(each[row, : len(pieces[index])] for each in together))
    return [found[index] for index in range(len(pieces))]


def join_copies(parts: Sequence[Copies]) -> Copies:
    """Put what guides say in stretches of pieces side by side."""
    return Copies(*(side_by_side(each)[0] for each in zip(*parts, strict=True)))


def transpose_copied(copied: np.ndarray | Tensor, semitones: np.ndarray | Tensor | int, n_symbols: int) -> Tensor:
    """Move what guides would sing up; a pitch that leaves the vocabulary becomes ``NOTHING``.

    >>> transpose_copied(np.array([NOTHING, 0, 44, 45]), 2, n_symbols=47).tolist()
    [-1, 0, 46, -1]
    """
    moved = copied + semitones * (copied > 0)
    return moved + (NOTHING - moved) * ((copied > 0) & ((moved < 1) | (moved >= n_symbols)))


# --- the bonus


class CopyBonus(nn.Module):
    """Raises, or lowers, the score of what each guide would sing.

    The bonus is a number from a table, by voice, guide, kind of match and whether the voices above have followed the
    guide in this step, plus a linear function of the head's hidden layer. All begin at 0.
    """

    def __init__(self, n_voices: int, d_voice: int) -> None:
        super().__init__()
        self.table = nn.Embedding(n_voices * len(GUIDES) * N_KINDS * 2, 1)
        self.gates = nn.ModuleList(nn.Linear(d_voice, len(GUIDES)) for _ in range(n_voices))

    def forward(
        self,
        scores: Float[Tensor, "batch n_steps n_scored vocabulary"],
        hidden: Float[Tensor, "batch n_steps n_scored d_voice"],
        copies: Copies,
        frames: Int[Tensor, "batch n_steps n_known"],
        voices: range,
    ) -> Float[Tensor, "batch n_steps n_scored vocabulary"]:
        """Return the scores of some voices with the bonus; ``frames`` hold at least the voices above them."""
        copied, now = copies.copied, slice(voices.start, voices.stop)
        has_followed = torch.ones_like(copied)
        n_above = voices.stop - 1
        has_sung = (copied[..., :n_above] == frames[:, :, None, :n_above]).long()
        has_followed[..., 1 : n_above + 1] = has_sung.cumprod(dim=-1)
        of_guide = torch.arange(copied.shape[3], device=copied.device) * len(GUIDES)
        of_guide = of_guide + torch.arange(len(GUIDES), device=copied.device)[:, None]
        rows = (of_guide * N_KINDS + copies.kind) * 2 + has_followed
        copied, rows = (each[..., now].transpose(2, 3) for each in (copied, rows))  # guides last
        gates = [self.gates[voice](hidden[:, :, place]) for place, voice in enumerate(voices)]
        bonus = (self.table(rows)[..., 0] + torch.stack(gates, dim=2)) * (copied != NOTHING)
        return scores.scatter_add(-1, copied.clamp(min=0), bonus.to(scores.dtype))
