"""Voice-grid tokens: one token per voice and step, as the JSB chorale benchmark counts them.

References:
    Hadjeres, Pachet and Nielsen 2017 (DeepBach), for the grid of voices and its hold symbol.

Chapter: 2a (counting), 3b (tokens), 8b (the chorale benchmark).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from mini_musessl import checks, voices
from mini_musessl.tokenizers.base import RoundTrip, Vocabulary, check_pitches, compare_grids, last_before


@dataclass(frozen=True)
class VoiceGridTokens:
    """One token for each voice at each step, in the order soprano, alto, tenor, bass.

    With the default there are 47 symbols: id 0 is the rest, ids 1..46 are the pitches 36..81. A held note and a
    re-articulated one look the same, as in the JSB data. With ``has_hold`` a sounding cell in which no new note begins
    gets the token "hold" (id 47) instead of its pitch, and repeated notes survive.

    ``decode`` makes music of any ids: a hold after a rest, or at the start, is a rest, since nothing sounds that could
    be held; an incomplete last step is left out.

    >>> grid = voices.from_pitches([[72, 67, 64, 48], [72, 67, 62, 48]])
    >>> VoiceGridTokens().encode(grid).tolist()
    [37, 32, 29, 13, 37, 32, 27, 13]
    >>> VoiceGridTokens(has_hold=True).encode(grid).tolist()
    [37, 32, 29, 13, 47, 47, 27, 47]
    """

    lowest_pitch: int = 36  # lowest MIDI pitch of the vocabulary
    highest_pitch: int = 81  # highest MIDI pitch of the vocabulary
    has_hold: bool = False  # whether held cells have a token of their own
    steps_per_quarter: int = 4  # grid of the music that is encoded and decoded
    voice_names: tuple[str, ...] = voices.SATB  # one name per voice, highest first

    def __post_init__(self) -> None:
        checks.whole_number("lowest_pitch", self.lowest_pitch, 0, 127)
        checks.whole_number("highest_pitch", self.highest_pitch, self.lowest_pitch, 127)
        checks.check_grid(self.steps_per_quarter)
        object.__setattr__(self, "voice_names", tuple(self.voice_names))
        checks.check_some(self.n_voices, "Voice-grid tokens need at least one voice", "Name it in voice_names.")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Rest, pitches in order, and hold if there is one."""
        families = [("rest", (None,)), ("pitch", range(self.lowest_pitch, self.highest_pitch + 1))]
        return Vocabulary((*families, ("hold", (None,))) if self.has_hold else tuple(families))

    @property
    def n_voices(self) -> int:
        """Tokens per step."""
        return len(self.voice_names)

    def encode(self, grid: voices.VoiceGrid) -> Int[np.ndarray, " n_tokens"]:
        """Turn a grid into tokens, int32: step 0 in all voices, then step 1, and so on."""
        voices.check_is_grid(grid)
        if (grid.n_voices, grid.steps_per_quarter) != (self.n_voices, self.steps_per_quarter):
            raise ValueError(
                f"This tokenizer holds {self.n_voices} voices at {self.steps_per_quarter} steps per quarter; the grid "
                f"has {grid.n_voices} at {grid.steps_per_quarter}. Pass its voice_names and steps_per_quarter to the "
                "tokenizer, or make the grid anew with voices.from_piece."
            )
        is_rest = grid.pitch == voices.REST
        check_pitches(grid.pitch[~is_rest], self.lowest_pitch, self.highest_pitch)
        ids = np.where(is_rest, 0, grid.pitch - self.lowest_pitch + 1).astype(np.int32)
        if self.has_hold:
            ids[~is_rest & ~grid.is_onset] = self.vocabulary.id_of("hold")
        return ids.reshape(-1)

    def decode(self, ids: ArrayLike, **fields: Any) -> voices.VoiceGrid:
        """Turn tokens into a grid with a note wherever the pitch changes, or, with ``has_hold``, at every pitch token.

        Args:
            ids: (n_tokens,), in the order in which ``encode`` writes them, or (n_steps, n_voices).
            **fields: fields of ``VoiceGrid`` that the tokens do not say, such as ``meter`` or ``name``.
        """
        steps = self.as_steps(ids)
        pitch = np.where(steps == 0, voices.REST, steps + self.lowest_pitch - 1)
        fields = {"steps_per_quarter": self.steps_per_quarter, "voice_names": self.voice_names, **fields}
        if self.has_hold:
            is_hold = steps == self.vocabulary.id_of("hold")
            latest = np.stack([last_before(~column) for column in is_hold.T], axis=1)
            pitch = np.where(latest < 0, voices.REST, np.take_along_axis(pitch, latest.clip(min=0), axis=0))
            fields["is_onset"] = ~is_hold & (pitch != voices.REST)
        return voices.from_pitches(pitch, **fields)

    def as_steps(self, ids: ArrayLike) -> Int[np.ndarray, "n_steps n_voices"]:
        """Return a row of ids as one row per step, int64; an incomplete last step is left out."""
        array = np.asarray(ids)
        if array.ndim != 1 and array.shape[1:] != (self.n_voices,):
            raise ValueError(
                f"Voice-grid tokens must have shape (n_tokens,) or (n_steps, {self.n_voices}); found {array.shape}. "
                "Decode one piece of a batch at a time."
            )
        row = self.vocabulary.check(array.reshape(-1))
        return row[: len(row) // self.n_voices * self.n_voices].reshape(-1, self.n_voices)

    def what_is_lost(self, grid: voices.VoiceGrid) -> RoundTrip:
        """Compare a grid with what comes back after encoding and decoding."""
        return compare_grids(grid, self.decode(self.encode(grid)))


# --- Chorales as the benchmark counts them: four ids per step, 47 symbols

#: The tokens of the benchmark: rest is 0, pitches 36 to 81 are 1 to 46; four per step, four steps per quarter.
TOKENS = VoiceGridTokens()
#: How many symbols there are.
N_SYMBOLS = TOKENS.vocabulary.size


def encode_chorales(pieces: Sequence[voices.VoiceGrid | ArrayLike]) -> list[Int[np.ndarray, "_ 4"]]:
    """Turn VoiceGrids of four voices, or MIDI pitches (n_steps, 4) with -1 for a rest, into int64 ids of that shape.

    >>> encode_chorales([[[72, 67, 64, -1]]])[0].tolist()
    [[37, 32, 29, 0]]
    """
    checks.check_list("Chorales", pieces, voices.VoiceGrid, "Is the split empty?")
    grids = [piece if isinstance(piece, voices.VoiceGrid) else voices.from_pitches(piece) for piece in pieces]
    checks.check_some(min(grid.n_steps for grid in grids), "Each chorale needs a step", "Is a piece cut to nothing?")
    return [TOKENS.encode(grid).astype(np.int64).reshape(-1, 4) for grid in grids]
