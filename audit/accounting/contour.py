"""Privacy curves by inverting the moment generating function of the privacy loss on a contour.

    delta(eps) = 1/(2 pi i) * integral over Re z = c of exp(K(z) - z eps) / (z (z + 1)) dz,
    K(z) = sum over steps of log E_P[(P/Q)^z]

with c the saddle point (Zhu, Dong & Wang, arXiv 2106.08567; Alghamdi et al., arXiv 2208.09595). The cost
does not depend on the number of steps and delta may be as small as 1e-300. The result is a quadrature:
accurate to about 1e-7 but not certified. Numpy only; shares no code with the other routes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np

from audit.accounting.contour_nodes import UnsuitablePairError
from audit.accounting.contour_saddle import Saddle, cheaper, cumulants, saddle_for_delta, saddle_for_epsilon
from audit.accounting.contour_transform import NotConvergedError, TooCoarseError, transform_of
from audit.accounting.pairs import DiscretePair, Floats, Parts


def epsilon(parts: Parts, delta: float) -> float:
    """Smallest epsilon >= 0 with delta(epsilon) <= `delta` for the composed pairs, one direction.

    Infinite where outcomes impossible under the lower distribution alone exceed `delta`.
    Raises NotConvergedError where the quadrature does not settle.
    """
    finite_delta = delta - infinite_mass(parts)
    if finite_delta <= 0:
        return math.inf
    saddle = saddle_for_delta(parts, math.log(finite_delta))
    return max(0.0, _refine(parts, saddle, math.log(finite_delta)))


def chernoff_epsilon(parts: Parts, delta: float) -> float:
    """An epsilon that delta(epsilon) <= `delta` holds for: min over tilts c of (K(c) + log(1/delta)) / c."""
    tilts = np.geomspace(1e-6, 1e4, 41)
    bounds = []
    for tilt in tilts:
        with suppress(UnsuitablePairError):
            bounds.append((cumulants(parts, float(tilt))[0] - math.log(delta)) / float(tilt))
    return max(0.0, min(bounds, default=math.inf))


def delta(parts: Parts, epsilon: float) -> float:
    """delta(epsilon) for the composed pairs, one direction, epsilon of either sign."""
    return min(1.0, math.exp(log_delta(parts, epsilon)) + infinite_mass(parts))


def log_delta(parts: Parts, epsilon: float) -> float:
    """log of delta(epsilon), finite losses only; -inf where a Chernoff bound puts it below exp(-800)."""
    if any(cumulants(parts, tilt)[0] - tilt * epsilon < -800 for tilt in (1.0, 10.0, 100.0, 1000.0)):
        return -math.inf
    saddle = cheaper(parts, saddle_for_epsilon(parts, epsilon))

    def at(frequency: float) -> float:
        return transform_of(parts, saddle, frequency).log_delta(epsilon)[0]

    return float(_settled(at, saddle))


def rough_curve(parts: Parts, epsilons: Floats) -> Floats:
    """delta at rising `epsilons` >= 0 from one transform: good to a few digits, to search on, not to report."""
    saddle = saddle_for_epsilon(parts, float(epsilons[-1]) / 2)
    transform = transform_of(parts, saddle, 64.0 / math.sqrt(saddle.variance), float(epsilons[-1]))
    log_deltas = np.zeros(epsilons.size)
    for i, epsilon in enumerate(epsilons):
        try:
            log_deltas[i] = transform.log_delta(float(epsilon))[0]
        except TooCoarseError:
            log_deltas[i] = 0.0 if i == 0 else log_deltas[i - 1]
    return np.exp(np.minimum(np.minimum.accumulate(log_deltas), 0.0))


def infinite_mass(parts: Parts) -> float:
    """Probability, under the upper distribution, of an outcome impossible under the lower one."""
    log_rest = 0.0
    for pair, count in parts:
        if isinstance(pair, DiscretePair):
            impossible = float(pair.upper[pair.lower <= 0].sum())
            log_rest += count * (math.log1p(-impossible) if impossible < 1 else -math.inf)
    return -math.expm1(log_rest)


def _settled(answer: Callable[[float], float], saddle: Saddle) -> float:
    """`answer(frequency)` for a frequency past which doubling changes it by less than 1e-9."""
    frequency = 8.0 / math.sqrt(saddle.variance)
    last = math.nan
    for _ in range(17):
        try:
            current = answer(frequency)
        except TooCoarseError:
            current = math.nan
        if abs(current - last) < 1e-9 * max(1.0, abs(current)):
            return current
        last, frequency = current, 2 * frequency
    raise NotConvergedError("the contour sum did not settle")


def _refine(parts: Parts, saddle: Saddle, log_delta: float) -> float:
    """Epsilon with log delta(epsilon) = `log_delta`: solved at the saddle's tilt, then again from there.

    The second pass gives the period its exact epsilon and delta, where the first had estimates.
    """
    for _ in range(8):
        saddle = cheaper(parts, saddle)
        epsilon = _settled(partial(_newton, parts, saddle, log_delta), saddle)
        if abs(epsilon - saddle.epsilon) < 1e-9 * max(1.0, abs(epsilon)):
            return epsilon
        saddle = Saddle(saddle.tilt, epsilon, log_delta, saddle.variance)
    raise NotConvergedError("epsilon did not settle on the contour")


def _newton(parts: Parts, saddle: Saddle, log_delta: float, frequency: float) -> float:
    transform = transform_of(parts, saddle, frequency)
    epsilon, largest = saddle.epsilon, 5 / saddle.tilt
    for _ in range(200):
        value, slope = transform.log_delta(epsilon)
        move = min(max((value - log_delta) / slope, -largest), largest)
        epsilon -= move
        if abs(move) < 1e-12 * max(1.0, abs(epsilon)):
            return epsilon
    raise TooCoarseError("Newton's method did not settle at this frequency")
