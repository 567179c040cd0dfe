"""The rules of drawing: which symbols may be drawn, and with what probability.

Chapter: 9a (sampling).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mini_musessl.music import whole_number


@dataclass(frozen=True)
class Rules:
    """How the next symbol is drawn from a network's scores.

    Attributes:
        temperature: above 0; see ``apply_temperature``.
        top_k: at least 1, or None for all; see ``keep_top_k``.
        top_p: above 0 up to 1; see ``keep_top_p``.

    Raises:
        ValueError: a number out of its range.
        TypeError: top_k is not a whole number.

    Chapter: 9a.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        _check_temperature(self.temperature)
        if self.top_k is not None:
            _check_top_k(self.top_k)
        _check_top_p(self.top_p)

    def draw(self, logits: Float[Tensor, "n_rows vocabulary"], generator: torch.Generator) -> Int[Tensor, " n_rows"]:
        """Draw one symbol a row: temperature first, then the k likeliest, then the share p of what is left.

        Args:
            logits: scores before softmax, on the CPU.
            generator: source of chance.

        Returns:
            One id a row.

        Raises:
            FloatingPointError: the scores are not numbers.
        """
        allowed = apply_temperature(logits, self.temperature)
        if self.top_k is not None:
            allowed = keep_top_k(allowed, self.top_k)
        allowed = keep_top_p(allowed, self.top_p)
        return torch.multinomial(probabilities_of(allowed), 1, generator=generator)[:, 0]


def apply_temperature(
    logits: Float[Tensor, "*batch vocabulary"], temperature: float
) -> Float[Tensor, "*batch vocabulary"]:
    """Sharpen (below 1) or flatten (above 1) a distribution.

    Args:
        logits: scores before softmax.
        temperature: above 0; 1 changes nothing.

    Returns:
        The logits divided by the temperature.

    Raises:
        ValueError: the temperature is not a number above 0.

    Example:
        >>> apply_temperature(torch.tensor([0.0, 2.0]), 0.5).tolist()
        [0.0, 4.0]

    Chapter: 9a.
    """
    _check_temperature(temperature)
    return logits / temperature


def keep_top_k(logits: Float[Tensor, "*batch vocabulary"], k: int) -> Float[Tensor, "*batch vocabulary"]:
    """Keep the ``k`` likeliest symbols; the others become impossible.

    Of symbols that are equally likely, those with the lower ids are kept.

    Args:
        logits: scores before softmax.
        k: at least 1; as many as there are symbols, or more, changes nothing.

    Returns:
        The logits, minus infinity outside the set.

    Raises:
        ValueError: k is below 1.
        TypeError: k is not a whole number.

    Example:
        >>> keep_top_k(torch.tensor([0.5, 0.3, 0.2]).log(), 2).isfinite().tolist()
        [True, True, False]

    References:
        Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation" (2018).

    Chapter: 9a.
    """
    _check_top_k(k)
    if k >= logits.shape[-1]:
        return logits
    order = logits.sort(dim=-1, descending=True, stable=True).indices
    is_dropped = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order[..., k:], True)
    return logits.masked_fill(is_dropped, -math.inf)


def keep_top_p(logits: Float[Tensor, "*batch vocabulary"], p: float) -> Float[Tensor, "*batch vocabulary"]:
    """Keep the smallest set of symbols whose probabilities reach ``p``; the others become impossible.

    The symbol that crosses the line belongs to the set, so at least one symbol is always kept.

    Args:
        logits: scores before softmax.
        p: probability to keep, above 0 up to 1; 1 changes nothing.

    Returns:
        The logits, minus infinity outside the set.

    Raises:
        ValueError: p is not above 0 and at most 1.

    Example:
        >>> keep_top_p(torch.tensor([0.5, 0.3, 0.2]).log(), 0.7).isfinite().tolist()
        [True, True, False]

    References:
        Holtzman et al., "The Curious Case of Neural Text Degeneration" (2020), section 3.1.

    Chapter: 9a.
    """
    _check_top_p(p)
    if p == 1:
        return logits
    probabilities, order = logits.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    # Dropped where the symbols before it already reach p: so the one that crosses the line stays.
    is_dropped = probabilities.cumsum(dim=-1) - probabilities >= p
    is_dropped = torch.zeros_like(is_dropped).scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


def probabilities_of(logits: Float[Tensor, "*batch vocabulary"]) -> Float[Tensor, "*batch vocabulary"]:
    """Return the softmax, or say that there is none.

    Args:
        logits: scores, divided by the temperature; minus infinity where a symbol is impossible.

    Returns:
        Probabilities of the symbols.

    Raises:
        FloatingPointError: some of them are not numbers.

    Chapter: 9a.
    """
    shares = logits.softmax(dim=-1)
    if shares.isnan().any():
        raise FloatingPointError(
            "The scores of the next token must be finite numbers; found some that are not. Did training diverge, or is "
            "the temperature next to 0? Train again with a smaller learning_rate, or use a temperature such as 0.01."
        )
    return shares


def _check_temperature(temperature: float) -> None:
    """Refuse a temperature that is not a number above 0."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(
            f"The temperature must be a finite number above 0; found {temperature}. "
            "For the likeliest symbol each time, use a small one such as 0.01."
        )


def _check_top_p(p: float) -> None:
    """Refuse a share of probability that is not above 0 and at most 1."""
    if not 0 < p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1; found {p}. Is it in percent? Divide by 100.")


def _check_top_k(k: int) -> None:
    """Refuse a number of symbols that is below 1."""
    whole_number("top_k", k, lowest=1, advice="For no limit, leave it out.")
