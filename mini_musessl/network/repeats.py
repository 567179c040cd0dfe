"""Repeats: where a piece has said before what it says now, what came next there, and a mixture that may say it again.

Bach's chorales repeat whole lines, note for note. A network that predicts the next frame can hardly learn to look up
what stands 64 steps back and copy it for 64 steps; a search finds it at once. Three *guides* each point to an earlier
place of the piece, and a FrameTransformer mixes what came next there into its own probabilities:

* ``longest``: the place whose frames end like the present for the longest stretch;
* ``opening``: the step of a repeat of the piece's opening that is under way; if none is, the first frame, with which
  one would begin;
* ``line``: as ``longest``, for each voice alone, whatever the others sing.

A guide that looked at the present or the future would be a leak: all of this is found from the frames before.

Conventions:
    copied: the symbol that each guide would sing in each voice, ``NOTHING`` where it points nowhere.
    kind: what is known of the match, as a row of a table: its length, whether it lies whole bars or beats back, and
        for ``opening`` for how long the music stood still before it.
    length: of the matches of the first two guides, which point to whole frames, in steps.

References: Vinyals, Fortunato and Jaitly, "Pointer Networks" (2015), and See, Liu and Manning, "Get To The Point"
(2017), for networks that may copy; the latter's section 2.2 for the mixture.

Chapter: 8b (the chorale benchmark).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mini_musessl.batches import side_by_side
from mini_musessl.network.counterpoint import first_rows

GUIDES = ("longest", "opening", "line")
N_WHOLE = 2  # the first guides point to whole frames
NOTHING = -1
BAR, BEAT = 16, 4  # steps
IN_TIME = np.array([(back % BEAT == 0) + (back % BAR == 0) for back in range(1, BAR + 1)])  # whole beats or bars back
REPEAT_STEPS = 16  # from here on a match is called a repeat
#: Matches, repeats of the opening and times of standing still are told apart by their length up to these steps.
LENGTHS, OPENING_LENGTHS, STILL = (
    np.array(edges) for edges in ((1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 64, 96), (2, 4, 8, 16, 32), (2, 4, 8))
)
N_PLACES = 14  # where in the piece a repeat of the opening would begin: bars 1 to 10 and later, beats, off the beat
N_FRESH = 2 * N_PLACES * (len(STILL) + 1)
N_KINDS = N_FRESH + 3 * 2 * (len(OPENING_LENGTHS) + 1)

Scores = Float[Tensor, "batch n_steps n_scored vocabulary"]


class Copies(NamedTuple):
    """What the guides say before each step of a piece; in arrays or tensors, with axes for several pieces or none."""

    copied: Int[np.ndarray | Tensor, "*rows n_steps n_guides n_voices"]
    kind: Int[np.ndarray | Tensor, "*rows n_steps n_guides n_voices"]
    length: Int[np.ndarray | Tensor, "*rows n_steps n_whole"]


# --- the search


class RepeatFinder:
    """Reads pieces side by side; ``read`` says what the guides would sing before and after each frame.

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
        self.copied = np.full((n_rows, len(GUIDES), n_voices), NOTHING)  # what guides say now
        self.kind = np.zeros_like(self.copied)
        self.length = np.zeros((n_rows, N_WHOLE), np.int64)

    def read(self, frames: Int[np.ndarray, "n_rows n_new n_voices"]) -> Copies:
        """Read frames; return what the guides say before the first and after each, so for one step more."""
        said = [(self.copied, self.kind, self.length)]
        for frame in frames.swapaxes(0, 1):
            self._append(frame)
            self.copied, self.kind, self.length = self._ask()
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

    def _ask(self) -> Copies:
        """Return what the guides would sing next in each row, the kinds of their matches and their lengths."""
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
    """Return what the guides say before each step of pieces side by side.

    >>> said = find_copies(np.array([[[30], [32], [33], [30], [32]]]))
    >>> said.copied[0, :, GUIDES.index("line"), 0].tolist()
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


def join_copies(parts: Sequence[Copies], n_steps: int | None = None) -> Copies:
    """Put what guides say in stretches of pieces side by side, as ``batches.side_by_side`` does."""
    return Copies(*(side_by_side(each, n_steps)[0] for each in zip(*parts, strict=True)))


def transpose_copied(copied: np.ndarray | Tensor, semitones: np.ndarray | Tensor | int, n_symbols: int) -> Tensor:
    """Move what guides would sing up; a pitch that leaves the vocabulary becomes ``NOTHING``.

    >>> transpose_copied(np.array([NOTHING, 0, 44, 45]), 2, n_symbols=47).tolist()
    [-1, 0, 46, -1]
    """
    moved = copied + semitones * (copied > 0)
    return moved + (NOTHING - moved) * ((copied > 0) & ((moved < 1) | (moved >= n_symbols)))


# --- the mixture


class CopyMixture(nn.Module):
    """Mixes what the guides would sing into the probabilities of a network.

    The guide ``line`` has a share of each voice's probabilities, ``sigmoid(prior)``; what comes of it are the network's
    own. The guides of whole frames then have shares of the frame: a softmax over the network, with 0, and each of them,
    with ``prior + (1 + trust) * nats``. The nats are those that the network itself has paid for the steps of the match:
    a guide that was right where the network was surprised is believed. Within the frame the nats of the voices above
    are added, by the rule of Bayes, and a guide that they contradict has no share. A prior is a number for each kind of
    match, -4 at first: a share of 0.02.
    """

    FIRST, SCALE = -4.0, 3.0  # most kinds are seldom met, so what is learned of them is read enlarged
    MOST_NATS, TINY = 20.0, 1e-30

    def __init__(self, n_voices: int) -> None:
        super().__init__()
        self.table = nn.Embedding((N_WHOLE + n_voices) * N_KINDS, 1)
        self.trust = nn.Parameter(torch.zeros(N_WHOLE))

    def _prior(self, kind: Tensor, first: int) -> Tensor:
        """Look up kinds of matches; along the last axis each has a table of its own, ``first`` and those after it."""
        rows = kind + first_rows(first + kind.shape[-1], N_KINDS, kind.device)[first:]
        return self.FIRST + self.SCALE * self.table.weight.take(rows).float()

    def weigh_lines(self, copies: Copies) -> tuple[Int[Tensor, "batch n_steps n_voices"], Tensor]:
        """Return what each voice's line would sing, and its share."""
        line = copies.copied[:, :, N_WHOLE]
        return line, self._prior(copies.kind[:, :, N_WHOLE], N_WHOLE).sigmoid() * (line != NOTHING)

    def weigh_frames(
        self, copies: Copies, paid: Float[Tensor, "batch n_paid"]
    ) -> tuple[Int[Tensor, "batch n_steps n_voices n_whole"], Float[Tensor, "batch n_steps n_whole"]]:
        """Return what the guides of whole frames would sing, and the logarithms of their odds against the network.

        Args:
            paid: nats of all frames before each step; the last entries belong to these steps.
        """
        copied = copies.copied[:, :, :N_WHOLE].transpose(2, 3)
        nats = paid_over_matches(paid, copies.length).clamp(max=self.MOST_NATS)
        log_odds = self._prior(copies.kind[:, :, :N_WHOLE, 0], 0) + (1 + self.trust) * nats
        return copied, log_odds.masked_fill((copied == NOTHING).any(dim=2), -torch.inf)

    def mix_lines(self, scores: Scores, line: Int[Tensor, "batch n_steps n_scored"], share: Tensor) -> Scores:
        """Return the network's own log-probabilities of some voices."""
        probs = (1 - share[..., None]) * scores.float().softmax(dim=-1)
        return probs.scatter_add(-1, line.clamp(min=0)[..., None], share[..., None]).clamp(min=self.TINY).log()

    def mix_frames(
        self,
        log_probs: Scores,
        copied: Int[Tensor, "batch n_steps n_voices n_whole"],
        log_odds: Float[Tensor, "batch n_steps n_whole"],
        frames: Int[Tensor, "batch n_steps n_known"],
    ) -> Scores:
        """Return the log-probabilities of the mixture, for the first voices.

        Args:
            log_probs: the network's own.
            frames: at least the voices above the last one.
        """
        n_above = log_probs.shape[2] - 1
        above = frames[:, :, :n_above, None]
        nats_above = -log_probs[:, :, :-1].gather(-1, above).cumsum(dim=2)
        nats_above = nats_above.masked_fill((copied[:, :, :n_above] != above).cummax(dim=2).values, -torch.inf)
        nats_above = nn.functional.pad(nats_above, (0, 0, 1, 0))
        shares = nn.functional.pad(log_odds[:, :, None] + nats_above, (0, 1)).softmax(dim=-1)
        probs = shares[..., -1:] * log_probs.exp()
        copied = copied[:, :, : n_above + 1].clamp(min=0)
        return probs.scatter_add(-1, copied, shares[..., :-1]).clamp(min=self.TINY).log()


def paid_over_matches(
    paid: Float[Tensor, "batch n_paid"], length: Int[Tensor, "batch n_steps n_guides"]
) -> Float[Tensor, "batch n_steps n_guides"]:
    """Sum the nats of the last ``length`` frames before each step, or of those that were read.

    Args:
        paid: nats of all frames before each step; the last entries belong to the steps of ``length``.

    >>> paid_over_matches(torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[[1], [5]]])).flatten().tolist()
    [1.0, 3.0]
    """
    paid = paid[..., None].expand(-1, -1, length.shape[2])
    step = torch.arange(paid.shape[1] - length.shape[1], paid.shape[1], device=paid.device)[:, None]
    return paid[:, -length.shape[1] :] - paid.gather(1, (step - length).clamp(min=0))
