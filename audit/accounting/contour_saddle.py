"""Saddle points of composed privacy losses: where the contour crosses the real axis, and its period."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from audit.accounting.contour_nodes import nodes_of
from audit.accounting.pairs import Parts

_NEGLIGIBLE = 36.0  # nats: exp(-36) = 2e-16
_WINDOW_TILTS = (0.25, 0.5, 0.75, 0.9, 0.97, 1.01, 1.03, 1.1, 1.25, 1.5, 2.0, 4.0)
_LOWER_TILTS = (0.97, 0.93, 0.87, 0.8, 0.7, 0.6)
_MANY_FREQUENCIES = 500


@dataclass(frozen=True)
class Saddle:
    """A tilt c, the epsilon it is the saddle point of, and log delta there to leading order."""

    tilt: float
    epsilon: float
    log_delta: float
    variance: float


def cumulants(parts: Parts, tilt: float) -> tuple[float, float, float]:
    """K, K' and K'' of the composed privacy loss at a real `tilt`."""
    total = np.zeros(3)
    for pair, count in parts:
        nodes = nodes_of(pair, tilt, 0.0)
        mean = float(nodes.tilted @ nodes.loss)
        total += count * np.array([nodes.log_moment, mean, float(nodes.tilted @ (nodes.loss - mean) ** 2)])
    return float(total[0]), float(total[1]), float(total[2])


def _saddle(parts: Parts, tilt: float) -> Saddle:
    """The saddle whose tilt is `tilt`: epsilon solves d/dz [K(z) - z eps - log z(z+1)] = 0."""
    moment, mean, variance = cumulants(parts, tilt)
    epsilon = mean - 1 / tilt - 1 / (tilt + 1)
    curvature = variance + 1 / tilt**2 + 1 / (tilt + 1) ** 2
    exponent = moment - tilt * epsilon - math.log(tilt * (tilt + 1))
    return Saddle(tilt, epsilon, exponent - 0.5 * math.log(2 * math.pi * curvature), curvature)


def _bisect_tilt(parts: Parts, too_small: Callable[[Saddle], bool], steps: int = 40) -> Saddle:
    """Saddle at the tilt where `too_small(saddle)` turns from True to False."""
    low = high = 1.0
    if too_small(_saddle(parts, 1.0)):
        while too_small(_saddle(parts, high)) and high < 1e9:
            low, high = high, high * 4
    else:
        while not too_small(_saddle(parts, low)) and low > 1e-9:
            low, high = low / 4, low
    for _ in range(steps):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if too_small(_saddle(parts, middle)) else (low, middle)
        if high / low < 1 + 1e-3:
            break
    return _saddle(parts, math.sqrt(low * high))


def saddle_for_delta(parts: Parts, log_delta: float) -> Saddle:
    return _bisect_tilt(parts, lambda saddle: saddle.log_delta > log_delta)


def saddle_for_epsilon(parts: Parts, epsilon: float) -> Saddle:
    found = _bisect_tilt(parts, lambda saddle: saddle.epsilon < epsilon)
    return Saddle(found.tilt, epsilon, found.log_delta, found.variance)


def window(parts: Parts, saddle: Saddle) -> float:
    """Period in epsilon that keeps every alias of the trapezoid sum below exp(-36) of the answer.

    The sum over spacing 2 pi / W returns delta(eps) + sum_m exp(c m W) delta(eps + m W): with heavy
    tails the terms m > 0 fall slowly, so W comes from Chernoff bounds on both tails, not from a variance.
    """
    here = saddle.log_delta
    best = {True: math.inf, False: (_NEGLIGIBLE - min(here, 0.0)) / saddle.tilt}
    for ratio in _WINDOW_TILTS:
        other = saddle.tilt * ratio
        exponent = cumulants(parts, other)[0] - other * saddle.epsilon - here + _NEGLIGIBLE
        needed = exponent / abs(other - saddle.tilt)
        best[ratio > 1] = min(best[ratio > 1], max(needed, 0.0))
    return max(best.values()) + 1.0 / saddle.tilt + 4.0 / math.sqrt(saddle.variance)


def cheaper(parts: Parts, saddle: Saddle) -> Saddle:
    """`saddle`, or a lower tilt that needs fewer frequencies.

    With heavy tails the tilted loss at the saddle has a second bump far out, which lengthens the period; a
    few percent less tilt removes it. Up to exp(-10) of the accuracy is traded for it.
    """
    best, cost = saddle, window(parts, saddle) / math.sqrt(saddle.variance)
    if cost < _MANY_FREQUENCIES:
        return saddle
    for ratio in _LOWER_TILTS:
        tilt = saddle.tilt * ratio
        moment, _, variance = cumulants(parts, tilt)
        lost = moment - tilt * saddle.epsilon - math.log(tilt * (tilt + 1)) - saddle.log_delta
        curvature = variance + 1 / tilt**2 + 1 / (tilt + 1) ** 2
        candidate = Saddle(tilt, saddle.epsilon, saddle.log_delta, curvature)
        its_cost = window(parts, candidate) / math.sqrt(curvature)
        if its_cost < cost and lost < 12:
            best, cost = candidate, its_cost
    return best
