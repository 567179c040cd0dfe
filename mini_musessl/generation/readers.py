"""Readers: one way to ask either kind of network for the next cell of music, one cell after another.

A cell is one voice at one step. A reader holds rows of music side by side; it keeps what the network has read in a
cache, and when the context is full it lets the network begin again with the latest half.

Chapter: 9a (sampling).
"""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mini_musessl.frame_past import FrameCache, Past
from mini_musessl.frames import FrameTransformer
from mini_musessl.transformer import Cache, MusicTransformer


class Reader(Protocol):
    """What sampling asks of a network.

    Chapter: 9a.
    """

    def next_logits(self) -> Float[Tensor, "n_rows vocabulary"]:
        """Return the scores of the next cell of each row, on the CPU."""

    def append(self, ids: Int[Tensor, " n_rows"]) -> None:
        """Write the next cell of each row.

        Args:
            ids: one symbol a row.
        """

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """

    def cells(self) -> Int[Tensor, "n_rows n_cells"]:
        """Return all cells so far, the prompt among them, on the CPU."""


class TokenReader:
    """A MusicTransformer that reads one token a cell.

    Args:
        model: in evaluation mode.
        prompt: tokens from the beginning of a piece, on the CPU.

    Chapter: 9a.
    """

    def __init__(self, model: MusicTransformer, prompt: Int[Tensor, "n_rows n_prompt"]) -> None:
        begin = torch.full((len(prompt), 1), model.config.begin_id)
        self._model, self._sequence = model, torch.cat((begin, prompt), dim=1)
        self._cache: Cache | None = None

    def next_logits(self) -> Float[Tensor, "n_rows vocabulary"]:
        """Return the scores of the next token of each row."""
        config = self._model.config
        if self._cache is not None and self._cache.token_ids.shape[1] < config.context_length:
            start = self._sequence.shape[1] - 1
        else:
            self._cache = self._model.start_cache(len(self._sequence))
            start = window_start(self._sequence.shape[1], config.context_length, config.stride_token)
        tokens = self._sequence[:, start:].to(self._model.to_logits.weight.device)
        return self._model(tokens, self._cache)[:, -1].float().cpu()

    def append(self, ids: Int[Tensor, " n_rows"]) -> None:
        """Write the next token of each row.

        Args:
            ids: one symbol a row.
        """
        self._sequence = torch.cat((self._sequence, ids[:, None]), dim=1)

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """
        self._sequence = self._sequence[rows]
        if self._cache is not None:
            self._cache.keep_rows(rows.to(self._cache.token_ids.device))

    def cells(self) -> Int[Tensor, "n_rows n_cells"]:
        """Return all tokens so far but the begin symbol."""
        return self._sequence[:, 1:]


class FrameReader:
    """A FrameTransformer that reads one frame a step; the stack runs once a step, the head once a voice.

    Args:
        model: in evaluation mode.
        prompt: frames to begin with, on the CPU.
        first_step: index in its piece of the first frame of each row.

    Chapter: 9a.
    """

    def __init__(
        self,
        model: FrameTransformer,
        prompt: Int[Tensor, "n_rows n_prompt n_voices"],
        first_step: Int[Tensor, " n_rows"],
    ) -> None:
        self._model, self._device = model, model.norm.weight.device
        self._frames, self._first_step = prompt.to(self._device), first_step.to(self._device)
        self._known = self._frames.new_zeros(len(prompt), 1, 0)  # the frame that is being written
        self._cache: FrameCache | None = None
        self._read: tuple[Tensor, Past] | None = None

    def next_logits(self) -> Float[Tensor, "n_rows vocabulary"]:
        """Return the scores of the next voice of each row."""
        if self._read is None:
            self._read = self._read_frames()
        return self._model.head.score_next(*self._read, self._known)[:, 0].float().cpu()

    def append(self, ids: Int[Tensor, " n_rows"]) -> None:
        """Write the next voice of each row.

        Args:
            ids: one symbol a row.
        """
        self._known = torch.cat((self._known, ids.to(self._device)[:, None, None]), dim=2)
        if self._known.shape[2] == self._model.config.n_voices:
            self._frames = torch.cat((self._frames, self._known), dim=1)
            self._known, self._read = self._known[:, :, :0], None

    def keep_rows(self, rows: Int[Tensor, " n_rows"]) -> None:
        """Let row i go on as a copy of what row ``rows[i]`` was.

        Args:
            rows: indices, as many as there are rows.
        """
        rows = rows.to(self._device)
        self._frames, self._known, self._first_step = self._frames[rows], self._known[rows], self._first_step[rows]
        if self._cache is not None:
            self._cache.keep_rows(rows)
        if self._read is not None:
            features, past = self._read
            self._read = features[rows], Past(*(known[rows] for known in past))

    def cells(self) -> Int[Tensor, "n_rows n_cells"]:
        """Return all cells so far."""
        return torch.cat((self._frames.flatten(1), self._known[:, 0]), dim=1).cpu()

    def _read_frames(self) -> tuple[Tensor, Past]:
        """Let the stack read the latest frame, or anew the latest half of a full context."""
        if self._cache is not None and self._cache.n_read < self._model.config.context_length:
            return self._model.read_next(self._cache, self._frames[:, -1:])
        # The begin symbol, or the empty past of a window, takes one position.
        start = window_start(self._frames.shape[1] + 1, self._model.config.context_length, 1)
        self._cache = self._model.start_cache(len(self._frames), self._first_step + start)
        return self._model.read_next(self._cache, self._frames[:, start:])


def window_start(n_tokens: int, context_length: int, stride_token: int) -> int:
    """Return where to begin reading: 0 while all fits, then a multiple of the stride that leaves half the context.

    Args:
        n_tokens: positions in all.
        context_length: most that the network reads at once.
        stride_token: windows that begin at multiples of this are in the same phase of every cycle of the model.

    Returns:
        Index of the first position to read.

    Example:
        >>> window_start(16, context_length=16, stride_token=4), window_start(17, 16, 4)
        (0, 12)

    Chapter: 9a.
    """
    if n_tokens <= context_length:
        return 0
    start = -(-(n_tokens - max(1, context_length // 2)) // stride_token) * stride_token
    # With a context shorter than two strides nothing but the latest stride fits.
    return min(start, (n_tokens - 1) // stride_token * stride_token)
