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
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.accounting.contour_nodes import Nodes, UnsuitablePairError, nodes_of
from audit.accounting.pairs import DiscretePair, Floats, Parts

Complexes = NDArray[np.complexfloating[Any, Any]]

_NEGLIGIBLE = 36.0  # nats: exp(-36) = 2e-16
_MAX_FREQUENCIES = 1 << 20
_MAX_PRODUCT = 1e9  # nodes in x times frequencies: seconds of matrix products
_WINDOW_TILTS = (0.25, 0.5, 0.75, 0.9, 0.97, 1.01, 1.03, 1.1, 1.25, 1.5, 2.0, 4.0)
_LOWER_TILTS = (0.97, 0.93, 0.87, 0.8, 0.7, 0.6)
_MANY_FREQUENCIES = 500


class NotConvergedError(UnsuitablePairError):
    """The quadrature did not settle within its budget; this route gives no answer."""


class _TooCoarseError(ArithmeticError):
    """Too few frequencies: the truncated sum is no probability."""


@dataclass(frozen=True)
class _Saddle:
    """A tilt c, the epsilon it is the saddle point of, and log delta there to leading order."""

    tilt: float
    epsilon: float
    log_delta: float
    variance: float


@dataclass(frozen=True, eq=False)
class _Transform:
    """The integrand on the contour without exp(-z eps): delta(eps) is a short sum over `values`."""

    points: Complexes
    values: Complexes
    log_scale: float
    spacing: float

    def log_delta(self, epsilon: float) -> tuple[float, float]:
        """log delta(epsilon) and its derivative; raises where rounding has eaten the sum."""
        terms = self.values * np.exp(-1j * self.points.imag * epsilon)
        terms[0] /= 2
        total = float(terms.sum().real)
        slope = float((-self.points * terms).sum().real)
        if not total > 0 or not slope < 0:
            raise _TooCoarseError("the contour sum is not positive")
        log_sum = math.log(total * self.spacing / math.pi)
        return self.log_scale - self.points[0].real * epsilon + log_sum, slope / total


def epsilon(parts: Parts, delta: float) -> float:
    """Smallest epsilon >= 0 with delta(epsilon) <= `delta` for the composed pairs, one direction.

    Infinite where outcomes impossible under the lower distribution alone exceed `delta`.
    Raises NotConvergedError where the quadrature does not settle.
    """
    finite_delta = delta - infinite_mass(parts)
    if finite_delta <= 0:
        return math.inf
    saddle = _saddle_for_delta(parts, math.log(finite_delta))
    return max(0.0, _refine(parts, saddle, math.log(finite_delta)))


def delta(parts: Parts, epsilon: float) -> float:
    """delta(epsilon) for the composed pairs, one direction, epsilon of either sign."""
    return min(1.0, math.exp(log_delta(parts, epsilon)) + infinite_mass(parts))


def log_delta(parts: Parts, epsilon: float) -> float:
    """log of delta(epsilon), finite losses only; -inf where a Chernoff bound puts it below exp(-800)."""
    if any(cumulants(parts, tilt)[0] - tilt * epsilon < -800 for tilt in (1.0, 10.0, 100.0, 1000.0)):
        return -math.inf
    saddle = _cheaper(parts, _saddle_for_epsilon(parts, epsilon))

    def at(frequency: float) -> float:
        return _transform(parts, saddle, frequency).log_delta(epsilon)[0]

    return float(_settled(at, saddle))


def rough_curve(parts: Parts, epsilons: Floats) -> Floats:
    """delta at rising `epsilons` >= 0 from one transform: good to a few digits, to search on, not to report."""
    saddle = _saddle_for_epsilon(parts, float(epsilons[-1]) / 2)
    transform = _transform(parts, saddle, 64.0 / math.sqrt(saddle.variance), float(epsilons[-1]))
    log_deltas = np.zeros(epsilons.size)
    for i, epsilon in enumerate(epsilons):
        try:
            log_deltas[i] = transform.log_delta(float(epsilon))[0]
        except _TooCoarseError:
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


def cumulants(parts: Parts, tilt: float) -> tuple[float, float, float]:
    """K, K' and K'' of the composed privacy loss at a real `tilt`."""
    total = np.zeros(3)
    for pair, count in parts:
        nodes = nodes_of(pair, tilt, 0.0)
        mean = float(nodes.tilted @ nodes.loss)
        total += count * np.array([nodes.log_moment, mean, float(nodes.tilted @ (nodes.loss - mean) ** 2)])
    return float(total[0]), float(total[1]), float(total[2])


def _saddle(parts: Parts, tilt: float) -> _Saddle:
    """The saddle whose tilt is `tilt`: epsilon solves d/dz [K(z) - z eps - log z(z+1)] = 0."""
    moment, mean, variance = cumulants(parts, tilt)
    epsilon = mean - 1 / tilt - 1 / (tilt + 1)
    curvature = variance + 1 / tilt**2 + 1 / (tilt + 1) ** 2
    exponent = moment - tilt * epsilon - math.log(tilt * (tilt + 1))
    return _Saddle(tilt, epsilon, exponent - 0.5 * math.log(2 * math.pi * curvature), curvature)


def _bisect_tilt(parts: Parts, too_small: Callable[[_Saddle], bool], steps: int = 40) -> _Saddle:
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


def _saddle_for_delta(parts: Parts, log_delta: float) -> _Saddle:
    return _bisect_tilt(parts, lambda saddle: saddle.log_delta > log_delta)


def _saddle_for_epsilon(parts: Parts, epsilon: float) -> _Saddle:
    found = _bisect_tilt(parts, lambda saddle: saddle.epsilon < epsilon)
    return _Saddle(found.tilt, epsilon, found.log_delta, found.variance)


def _window(parts: Parts, saddle: _Saddle) -> float:
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


def _cheaper(parts: Parts, saddle: _Saddle) -> _Saddle:
    """`saddle`, or a lower tilt that needs fewer frequencies.

    With heavy tails the tilted loss at the saddle has a second bump far out, which lengthens the period; a
    few percent less tilt removes it. Up to exp(-10) of the accuracy is traded for it.
    """
    best, cost = saddle, _window(parts, saddle) / math.sqrt(saddle.variance)
    if cost < _MANY_FREQUENCIES:
        return saddle
    for ratio in _LOWER_TILTS:
        tilt = saddle.tilt * ratio
        moment, _, variance = cumulants(parts, tilt)
        lost = moment - tilt * saddle.epsilon - math.log(tilt * (tilt + 1)) - saddle.log_delta
        curvature = variance + 1 / tilt**2 + 1 / (tilt + 1) ** 2
        candidate = _Saddle(tilt, saddle.epsilon, saddle.log_delta, curvature)
        its_cost = _window(parts, candidate) / math.sqrt(curvature)
        if its_cost < cost and lost < 12:
            best, cost = candidate, its_cost
    return best


def _transform(parts: Parts, saddle: _Saddle, frequency: float, margin: float = 0.0) -> _Transform:
    """The contour integrand up to `frequency`, its upper half under a flat-topped taper.

    The taper convolves delta with a kernel whose moments vanish, so slowly falling integrands (few
    steps, tiny sampling probability) converge as fast as the others.
    """
    window = _window(parts, saddle) + margin
    spacing = 2 * math.pi / window
    size = max(32, math.ceil(frequency / spacing))
    if size > _MAX_FREQUENCIES:
        raise NotConvergedError("too many frequencies")
    log_size, phase, log_scale = np.zeros(size), np.zeros(size), 0.0
    for pair, count in parts:
        nodes = nodes_of(pair, saddle.tilt, size * spacing)
        values = _characteristic(nodes, spacing, size)
        with np.errstate(divide="ignore"):
            log_size += count * np.log(np.abs(values))
        phase += count * np.angle(values)
        log_scale += count * nodes.log_moment
    points = saddle.tilt + 1j * spacing * np.arange(size)
    integrand = np.exp(np.maximum(log_size, -700.0) + 1j * phase) / (points * (points + 1))
    return _Transform(points, integrand * _taper(size), log_scale, spacing)


def _taper(size: int) -> Floats:
    """1 on the lower half, then a smooth fall to 0: exp(-1/u) steps, all derivatives continuous."""
    position = np.clip(2 * np.arange(size) / size - 1, 1e-9, 1 - 1e-9)
    fall = np.exp(-1 / (1 - position))
    weights: Floats = fall / (fall + np.exp(-1 / position))
    return weights


def _characteristic(nodes: Nodes, spacing: float, size: int) -> Complexes:
    """E[exp(i t L)] under the tilted loss at t = 0, spacing, ..., as one matrix product.

    exp(i (a + b) L) factors, so `size` frequencies need about 2 sqrt(size) exponentials per node.
    """
    block = math.ceil(math.sqrt(size))
    if nodes.loss.size * float(size) > _MAX_PRODUCT:
        raise NotConvergedError("too many nodes times frequencies")
    total = np.zeros((math.ceil(size / block), block), dtype=np.complex128)
    coarse = block * spacing * np.arange(total.shape[0])
    fine = spacing * np.arange(block)
    chunk = max(1, (1 << 20) // block)
    for start in range(0, nodes.loss.size, chunk):
        loss = nodes.loss[start : start + chunk] - nodes.centre
        left = np.exp(1j * np.outer(coarse, loss)) * nodes.tilted[start : start + chunk]
        total += left @ np.exp(1j * np.outer(loss, fine))
    values: Complexes = total.ravel()[:size] * np.exp(1j * spacing * np.arange(size) * nodes.centre)
    return values


def _settled(answer: Callable[[float], float], saddle: _Saddle) -> float:
    """`answer(frequency)` for a frequency past which doubling changes it by less than 1e-9."""
    frequency = 8.0 / math.sqrt(saddle.variance)
    last = math.nan
    for _ in range(17):
        try:
            current = answer(frequency)
        except _TooCoarseError:
            current = math.nan
        if abs(current - last) < 1e-9 * max(1.0, abs(current)):
            return current
        last, frequency = current, 2 * frequency
    raise NotConvergedError("the contour sum did not settle")


def _refine(parts: Parts, saddle: _Saddle, log_delta: float) -> float:
    """Epsilon with log delta(epsilon) = `log_delta`: solved at the saddle's tilt, then again from there.

    The second pass gives the period its exact epsilon and delta, where the first had estimates.
    """
    for _ in range(8):
        saddle = _cheaper(parts, saddle)
        epsilon = _settled(lambda frequency: _newton(parts, saddle, log_delta, frequency), saddle)
        if abs(epsilon - saddle.epsilon) < 1e-9 * max(1.0, abs(epsilon)):
            return epsilon
        saddle = _Saddle(saddle.tilt, epsilon, log_delta, saddle.variance)
    raise NotConvergedError("epsilon did not settle on the contour")


def _newton(parts: Parts, saddle: _Saddle, log_delta: float, frequency: float) -> float:
    transform = _transform(parts, saddle, frequency)
    epsilon, largest = saddle.epsilon, 5 / saddle.tilt
    for _ in range(200):
        value, slope = transform.log_delta(epsilon)
        move = min(max((value - log_delta) / slope, -largest), largest)
        epsilon -= move
        if abs(move) < 1e-12 * max(1.0, abs(epsilon)):
            return epsilon
    raise _TooCoarseError("Newton's method did not settle at this frequency")
