"""A small network over steps, for tests of whatever reads frames."""

from types import SimpleNamespace

import torch
from torch import nn


class FrameReader(nn.Module):
    """Guess each voice from the voices above it, from all steps before in the window, and from the step's index."""

    def __init__(self, context_length=12, n_symbols=47, seed=0):
        super().__init__()
        self.config = SimpleNamespace(context_length=context_length)
        generator = torch.Generator().manual_seed(seed)
        sizes = {"past": (4, n_symbols, 16), "above": (4, n_symbols, 16), "beat": (4, 16), "out": (4, 16, n_symbols)}
        for name, size in sizes.items():
            setattr(self, name, nn.Parameter(torch.randn(size, generator=generator)))

    def forward(self, frames, first_step):
        voices = torch.arange(4)
        summed = self.past[voices, frames].sum(dim=2).cumsum(dim=1)
        before = nn.functional.pad(summed, (0, 0, 1, 0))[:, :-1]  # of the steps before this one alone
        above = nn.functional.pad(self.above[voices, frames].cumsum(dim=2), (0, 0, 1, 0))[:, :, :-1]
        beat = self.beat[(first_step[:, None] + torch.arange(frames.shape[1])) % 4]
        features = torch.tanh(before[:, :, None] / 8 + above + beat[:, :, None])
        return torch.einsum("btvd,vdk->btvk", features, self.out)
