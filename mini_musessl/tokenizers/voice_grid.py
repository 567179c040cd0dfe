"""Voice-grid tokens: one token a voice a step, as the JSB chorale benchmark counts them.

Chapter: 3b (tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mini_musessl import checks, voices
from mini_musessl.tokenizers.base import RoundTrip, Vocabulary, check_kind, check_pitch_range, check_row, compare_grids

# --- Voice-grid tokens: one token a voice a step, as the JSB chorale benchmark counts them


@dataclass(frozen=True)
class VoiceGridTokens:
    """One token for each voice at each step, in the order soprano, alto, tenor, bass.

    With the default there are 47 symbols: id 0 is the rest, ids 1..46 are the pitches 36..81. A held note and a note
    struck again look the same, as in the JSB data. With ``has_hold`` a sounding cell that is not struck holds the
    token "hold" (id 47) instead of its pitch, and repeated notes survive.

    ``decode`` makes music of any ids: a hold after a rest, or at the start, is a rest, since nothing sounds that could
    be held; an incomplete last step is left out.

    Attributes:
        lowest_pitch: lowest MIDI pitch of the vocabulary.
        highest_pitch: highest MIDI pitch of the vocabulary.
        has_hold: whether held cells have a token of their own.
        steps_per_quarter: grid of the music that is encoded and decoded.
        voice_names: one name a voice, highest first.

    Example:
        >>> grid = voices.from_pitches([[72, 67, 64, 48], [72, 67, 62, 48]])
        >>> VoiceGridTokens().encode(grid).tolist()
        [37, 32, 29, 13, 37, 32, 27, 13]
        >>> VoiceGridTokens(has_hold=True).encode(grid).tolist()
        [37, 32, 29, 13, 47, 47, 27, 47]

    References:
        Hadjeres, Pachet and Nielsen 2017 (DeepBach), for the grid of voices and its hold symbol.

    Chapter: 3b.
    """

    lowest_pitch: int = 36
    highest_pitch: int = 81
    has_hold: bool = False
    steps_per_quarter: int = 4
    voice_names: tuple[str, ...] = voices.SATB

    def __post_init__(self) -> None:
        check_pitch_range(self.lowest_pitch, self.highest_pitch)
        checks.check_grid(self.steps_per_quarter)
        if isinstance(self.voice_names, str):
            raise TypeError(f'voice_names must be a list of names, such as ("melody",); found {self.voice_names!r}.')
        object.__setattr__(self, "voice_names", tuple(self.voice_names))
        if not self.voice_names:
            raise ValueError("Voice-grid tokens need at least one voice; found no voice_names.")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Rest, pitches in order, and hold if there is one."""
        families = [("rest", (None,)), ("pitch", range(self.lowest_pitch, self.highest_pitch + 1))]
        return Vocabulary((*families, ("hold", (None,))) if self.has_hold else tuple(families))

    @property
    def n_voices(self) -> int:
        """Tokens a step."""
        return len(self.voice_names)

    def encode(self, grid: voices.VoiceGrid) -> np.ndarray:
        """Turn a grid into tokens.

        Args:
            grid: voices on the grid of this tokenizer, every pitch in its range.

        Returns:
            int32 (n_steps * n_voices,); step 0 in all voices, then step 1, and so on.

        Raises:
            TypeError: the music is not a ``VoiceGrid``.
            ValueError: another grid or number of voices, or a pitch outside the vocabulary.
        """
        self._check_grid(grid)
        is_rest = grid.pitch == voices.REST
        ids = np.where(is_rest, 0, grid.pitch - self.lowest_pitch + 1).astype(np.int32)
        if self.has_hold:
            ids[~is_rest & ~grid.is_onset] = self.vocabulary.id_of("hold")
        return ids.reshape(-1)

    def decode(self, ids: ArrayLike, **facts: Any) -> voices.VoiceGrid:
        """Turn tokens into a grid.

        Args:
            ids: (n_tokens,), in the order in which ``encode`` writes them, or (n_steps, n_voices).
            **facts: fields of ``VoiceGrid`` that the tokens do not say, such as ``meter`` or ``name``.

        Returns:
            Grid with a note wherever the pitch changes, or, with ``has_hold``, at every pitch token.

        Raises:
            TypeError: the ids are not whole numbers.
            ValueError: an id is outside the vocabulary, or the shape is another.
        """
        steps = self.as_steps(ids)
        pitch = steps + (self.lowest_pitch - 1)
        pitch[steps == 0] = voices.REST
        facts = {"steps_per_quarter": self.steps_per_quarter, "voice_names": self.voice_names, **facts}
        if self.has_hold:
            is_hold = steps == self.vocabulary.id_of("hold")
            pitch = _hold(pitch, is_hold)
            facts["is_onset"] = ~is_hold & (pitch != voices.REST)
        return voices.from_pitches(pitch, **facts)

    def as_steps(self, ids: ArrayLike) -> np.ndarray:
        """Return a row of ids as one row a step, int64 (n_steps, n_voices); an incomplete last step is left out.

        Raises:
            TypeError: the ids are not whole numbers.
            ValueError: an id is outside the vocabulary, or the shape is another.

        Example:
            >>> VoiceGridTokens().as_steps([37, 32, 29, 13, 37, 32, 27, 13]).shape
            (2, 4)
        """
        array = np.asarray(ids)
        if array.ndim == 2 and array.shape[1] == self.n_voices:
            array = array.reshape(-1)
        elif array.ndim != 1:
            raise ValueError(
                f"Voice-grid tokens must have shape (n_tokens,) or (n_steps, {self.n_voices}); found {array.shape}. "
                "Decode one piece of a batch at a time."
            )
        row = check_row(array, self.vocabulary)
        n_steps = len(row) // self.n_voices
        return row[: n_steps * self.n_voices].reshape(n_steps, self.n_voices)

    def what_is_lost(self, grid: voices.VoiceGrid) -> RoundTrip:
        """Compare a grid with what comes back after encoding and decoding."""
        return compare_grids(grid, self.decode(self.encode(grid)))

    def _check_grid(self, grid: voices.VoiceGrid) -> None:
        """Refuse music that these tokens cannot say."""
        check_kind(grid, voices.VoiceGrid, "VoiceGridTokens")
        if grid.n_voices != self.n_voices:
            raise ValueError(
                f"This tokenizer holds {self.n_voices} voices; the grid has {grid.n_voices}. "
                "Pass voice_names=grid.voice_names to the tokenizer."
            )
        if grid.steps_per_quarter != self.steps_per_quarter:
            raise ValueError(
                f"This tokenizer works at {self.steps_per_quarter} steps a quarter; the grid has "
                f"{grid.steps_per_quarter}. Pass steps_per_quarter to the tokenizer, or make the grid anew with "
                "voices.from_piece."
            )
        is_outside = (grid.pitch != voices.REST) & (
            (grid.pitch < self.lowest_pitch) | (grid.pitch > self.highest_pitch)
        )
        if is_outside.any():
            step, voice = np.argwhere(is_outside)[0]
            raise ValueError(
                f"Pitches must lie in {self.lowest_pitch}..{self.highest_pitch}; found {grid.pitch[step, voice]} at "
                f"step {step}, voice {voice}. Transpose the music, or choose another lowest_pitch and highest_pitch."
            )


def _hold(pitch: np.ndarray, is_hold: np.ndarray) -> np.ndarray:
    """Return pitches where each held cell repeats the cell before it; a hold at the start is a rest."""
    rows = np.arange(len(pitch))[:, None]
    struck = np.maximum.accumulate(np.where(is_hold, -1, rows), axis=0)
    held = np.take_along_axis(pitch, struck.clip(min=0), axis=0)
    return np.where(struck < 0, voices.REST, held)


# --- Chorales as the benchmark counts them: four ids a step, 47 symbols

#: The tokens of the benchmark: rest is 0, pitches 36 to 81 are 1 to 46; four a step, four steps a quarter.
TOKENS = VoiceGridTokens()
#: How many symbols there are.
N_SYMBOLS = TOKENS.vocabulary.size


def encode_chorales(pieces: Sequence[voices.VoiceGrid | ArrayLike]) -> list[np.ndarray]:
    """Turn chorales into ids.

    Args:
        pieces: at least one; each a VoiceGrid of four voices, or MIDI pitches (n_steps, 4) with -1 for a rest.

    Returns:
        int64 (n_steps, 4) for each piece.

    Raises:
        ValueError: no pieces or an empty one, pitches outside 36..81, another shape or grid.
        TypeError: a single grid in place of a list.

    Example:
        >>> encode_chorales([[[72, 67, 64, -1]]])[0].tolist()
        [[37, 32, 29, 0]]

    Chapter: 2a, 8b.
    """
    if isinstance(pieces, voices.VoiceGrid):
        raise TypeError("Chorales come in a list; found one VoiceGrid. Put it into a list.")
    grids = [piece if isinstance(piece, voices.VoiceGrid) else _as_grid(piece) for piece in pieces]
    if not grids or not all(grid.n_steps for grid in grids):
        raise ValueError("At least one chorale is needed, and a step in each; found none. Is the split empty?")
    return [TOKENS.encode(grid).astype(np.int64).reshape(-1, 4) for grid in grids]


def _as_grid(pitch: ArrayLike) -> voices.VoiceGrid:
    """Return MIDI pitches as a grid, or refuse another shape."""
    array = np.asarray(pitch)
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iu":
        raise ValueError(
            "A chorale must be a VoiceGrid or MIDI pitches of the shape (n_steps, 4), -1 for a rest; found an array of "
            f"shape {array.shape} and type {array.dtype}."
        )
    return voices.from_pitches(array)
