"""Calibration: is a network as sure as it may be?

A network that was trained for long on few pieces is right more often than before, and sure of itself far too often.
Its logits divided by one number, the same for all, take back the sureness and leave every ranking as it is.

Chapter: 8b (the chorale benchmark).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from numpy.typing import ArrayLike

from mini_musessl.evaluation.likelihood import evaluate_likelihood
from mini_musessl.network.frames import FrameTransformer
from mini_musessl.voices import VoiceGrid


def find_temperature(
    model: FrameTransformer, pieces: Sequence[VoiceGrid | ArrayLike], highest: float = 2.0, tolerance: float = 0.01
) -> float:
    """Find the temperature at which a network gives pieces the most probability.

    Choose on the validation part: on the pieces that the network was trained on, the answer is about 1, and on the test
    part it would be a choice by test.

    Args:
        model: its temperature is tried out and put back as it was.
        pieces: as for ``likelihood.evaluate_likelihood``.
        highest: largest temperature to consider; its inverse is the smallest.
        tolerance: how exact the answer is, in the logarithm of the temperature.

    Returns:
        The temperature, to be given to ``model.set_temperature``.

    Raises:
        ValueError: ``highest`` is not above 1, or the tolerance is not above 0.

    References:
        Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4.2.

    Chapter: 8b.
    """
    if not (1 < highest < math.inf and tolerance > 0):
        raise ValueError(
            f"The search needs a highest temperature above 1 and a tolerance above 0; found {highest} and {tolerance}."
        )
    before = model.config.temperature

    def nats(logarithm: float) -> float:
        model.set_temperature(math.exp(logarithm))
        return evaluate_likelihood(model, pieces).nats_per_token

    try:
        return math.exp(_find_lowest(nats, -math.log(highest), math.log(highest), tolerance))
    finally:
        model.set_temperature(before)


def _find_lowest(function: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Return where a function with one valley is lowest, by golden sections.

    The loss has one valley: as a function of 1 / temperature it is convex.
    """
    golden = (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > tolerance:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = function(right)
    return (low + high) / 2
