"""Calibration: is a network as sure as it may be?

A network that was trained for long on few pieces is right more often than before, and sure of itself far too often.
Dividing its logits by one number, the same for all, makes it less sure and leaves every ranking of its own
probabilities as it is.
"""

import math
from collections.abc import Callable, Sequence

from numpy.typing import ArrayLike

from mini_musessl.evaluation.likelihood import evaluate_likelihood
from mini_musessl.network.frames import FrameTransformer
from mini_musessl.voices import VoiceGrid


def find_temperature(
    model: FrameTransformer, pieces: Sequence[VoiceGrid | ArrayLike], highest: float = 2.0, tolerance: float = 0.01
) -> float:
    """Find the temperature at which a network gives pieces the most probability; the network keeps its own.

    Choose on the validation part: on the pieces that the network was trained on, the answer is about 1, and on the test
    part it would be a choice by test. Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4.2.

    Args:
        model: the network.
        pieces: as for ``likelihood.evaluate_likelihood``.
        highest: largest temperature to consider, above 1; its inverse is the smallest.
        tolerance: how exact the answer is, in the logarithm of the temperature.
    """
    before = model.config.temperature

    def nats(logarithm: float) -> float:
        model.set_temperature(math.exp(logarithm))
        return evaluate_likelihood(model, pieces).nats_per_token

    try:
        return math.exp(find_lowest(nats, -math.log(highest), math.log(highest), tolerance))
    finally:
        model.set_temperature(before)


def find_lowest(function: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Return where a function with one valley is lowest, by golden sections.

    The loss of a network has one: as a function of 1 / temperature it is convex. With copies mixed in, that is not
    proved; where it was tried, there was one.
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
