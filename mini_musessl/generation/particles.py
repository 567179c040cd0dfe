"""Particles: several drafts of one piece side by side; those that make the given notes likely go on.

A left-to-right network whose soprano is given writes each chord without knowing the melody that follows. Drafts mend
this: when the next given note comes, each draft counts as much as it made that note likely, and now and then drafts
that count little are replaced by copies of those that count much. This is sequential importance resampling, also called
a particle filter. With more drafts, what is drawn comes closer to the network's distribution given all the notes.

References:
    Gordon, Salmond and Smith, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation" (1993).

Chapter: 9b (harmonising).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def effective_number(log_weights: Float[Tensor, "batch n_candidates"]) -> Float[Tensor, " batch"]:
    """Say how many equal candidates would be worth as much as these unequal ones.

    Args:
        log_weights: natural logarithms of the weights, up to a constant a row.

    Returns:
        From 1 (one candidate has all the weight) to n_candidates (all have the same).

    Example:
        >>> effective_number(torch.tensor([[0.0, 0.0, -1e9, -1e9]])).tolist()
        [2.0]

    Chapter: 9b.
    """
    return 1 / log_weights.softmax(dim=1).square().sum(dim=1)


def resample(
    log_weights: Float[Tensor, "batch n_candidates"], generator: torch.Generator
) -> Int[Tensor, "batch n_candidates"]:
    """Say which candidate each place goes on from: candidates that weigh more fill more places.

    The places are drawn systematically, by one random number a row: a candidate of weight w fills n_candidates * w
    places, rounded up or down.

    Args:
        log_weights: natural logarithms of the weights, up to a constant a row.
        generator: source of chance.

    Returns:
        An index of a candidate for each place.

    Example:
        >>> resample(torch.tensor([[0.0, 0.0, -1e9, -1e9]]), torch.Generator().manual_seed(0)).tolist()
        [[0, 0, 1, 1]]

    Chapter: 9b.
    """
    batch, n_candidates = log_weights.shape
    shares = log_weights.double().softmax(dim=1).cumsum(dim=1)
    first = torch.rand(batch, 1, generator=generator, dtype=torch.float64)
    places = (first + torch.arange(n_candidates)) / n_candidates
    # Rounding may leave the last share below 1.
    return torch.searchsorted(shares, places).clamp(max=n_candidates - 1)


class Particles:
    """The weights of all candidates of all pieces.

    Args:
        batch: pieces that are written side by side.
        n_candidates: drafts of each piece.
        generator: source of chance.

    Chapter: 9b.
    """

    def __init__(self, batch: int, n_candidates: int, generator: torch.Generator) -> None:
        self._log_weights = torch.zeros(batch, n_candidates, dtype=torch.float64)
        self._generator = generator

    def weigh(
        self,
        logits: Float[Tensor, "n_rows vocabulary"],
        given: Int[Tensor, " n_rows"],
        is_given: Bool[Tensor, " n_rows"],
    ) -> Int[Tensor, " n_rows"] | None:
        """Let each candidate count as much as it made the given symbol likely.

        Args:
            logits: scores of the symbols; rows are the candidates of the first piece, then those of the second, ...
            given: the given symbols; any number where none is given.
            is_given: whether a symbol is given.

        Returns:
            Which row each row must go on from, or None if all stay.
        """
        gained = logits.double().log_softmax(dim=-1).gather(-1, given.clamp(min=0)[:, None])[:, 0]
        self._log_weights += torch.where(is_given, gained, 0.0).view_as(self._log_weights)
        batch, n_candidates = self._log_weights.shape
        is_poor = effective_number(self._log_weights) < n_candidates / 2
        if n_candidates == 1 or not is_poor.any():
            return None
        stay = torch.arange(n_candidates).expand(batch, -1)
        chosen = torch.where(is_poor[:, None], resample(self._log_weights, self._generator), stay)
        self._log_weights[is_poor] = 0.0
        return (chosen + n_candidates * torch.arange(batch)[:, None]).flatten()

    def choose(self) -> Int[Tensor, " batch"]:
        """Draw one candidate of each piece, by its weight; return its row."""
        batch, n_candidates = self._log_weights.shape
        if n_candidates == 1:
            return torch.arange(batch)
        drawn = torch.multinomial(self._log_weights.softmax(dim=1), 1, generator=self._generator)[:, 0]
        return drawn + n_candidates * torch.arange(batch)
