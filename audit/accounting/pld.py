"""Certified upper bounds: privacy loss distributions on a lattice, composed by a tilted FFT.

Each step is rounded pessimistically (pld_lattice). The composition is a circular convolution of the
distribution tilted by exp(c L): every term is positive, so what wraps around only adds, the tail above
the window is charged by a Chernoff bound, and the rounding of the transform is bounded and charged too.
Tilting keeps delta(eps) accurate relative to itself, so delta = 1e-30 costs no more than 1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize

from audit.accounting.pairs import GaussianPair, Parts
from audit.accounting.pld_lattice import LatticeTooFineError, LossLattice, discretise, loss_range

Floats = NDArray[np.float64]
Lattices = tuple[tuple[LossLattice, int], ...]

MAX_POINTS = 1 << 21
_SMALL = 32.0  # nats left outside the window of the tilted distribution
_OFFSETS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_ROUNDING = 64 * float(np.finfo(float).eps)
_TAIL_SHARE = 1e-6


@dataclass(frozen=True, eq=False)
class _Composed:
    """The tilted composed distribution on a window: mass[j] at loss (base + j) * interval."""

    losses: Floats
    mass: Floats
    tilt: float
    log_scale: float
    charged: float

    @cached_property
    def weights(self) -> Floats:
        """Untilted mass. The cap matters only where rounding alone makes delta exceed 1."""
        return self.mass * np.exp(np.minimum(self.log_scale - self.tilt * self.losses, 700.0))

    @cached_property
    def outside(self) -> float:
        """What is charged whatever epsilon is: impossible outcomes and the mass above the window."""
        log_beyond = self.log_scale - self.tilt * float(self.losses[-1]) - _SMALL
        return self.charged + math.exp(min(log_beyond, 700.0))

    def delta(self, epsilon: float) -> float:
        """Upper bound of delta(epsilon) for epsilon inside the window."""
        first = int(np.searchsorted(self.losses, epsilon))
        gaps = epsilon - self.losses[first:]
        return self.outside + float(-np.expm1(gaps) @ self.weights[first:])


def epsilon(parts: Parts, delta: float, accuracy: float = 3e-3) -> float:
    """Certified upper bound of epsilon(delta) for the composed pairs, one direction.

    Refines the lattice until the answer moves by less than `accuracy` (relative) or the lattice is full.
    Infinite where impossible outcomes alone exceed `delta` or where delta is below about 1e-280.
    """
    tail = delta * _TAIL_SHARE / sum(count for _, count in parts)
    if tail < 1e-290:
        return math.inf
    dropped = _dropped(parts)

    def answer(lattices: Lattices) -> float:
        return _epsilon_on(lattices, dropped, delta)

    return _refined(parts, tail, answer, accuracy)


def delta(parts: Parts, epsilon: float, accuracy: float = 3e-3) -> float:
    """Certified upper bound of delta(epsilon), epsilon of either sign, one direction."""
    tail = 1e-16 / sum(count for _, count in parts)

    def answer(lattices: Lattices) -> float:
        tilt = _best_tilt(lattices, lambda c: _log_moment(lattices, c) - c * epsilon)
        shifted = epsilon - sum(count * lattice.slack for lattice, count in lattices)
        return min(1.0, _compose(lattices, tilt, shifted, _dropped(parts)).delta(shifted))

    return _refined(parts, tail, answer, accuracy)


def _dropped(parts: Parts) -> float:
    return sum(count * pair.dropped for pair, count in parts if isinstance(pair, GaussianPair))


def _refined(parts: Parts, tail: float, answer: Callable[[Lattices], float], accuracy: float) -> float:
    """Smallest answer over lattices of falling interval; each one is a bound, so any may stop."""
    ranges = [loss_range(pair, tail) for pair, _ in parts]
    interval = max(max(high - low for low, high in ranges) / 64, 1e-12)
    best, previous = math.inf, math.inf
    while True:
        try:
            lattices = tuple((discretise(pair, interval, tail, MAX_POINTS), count) for pair, count in parts)
            current = answer(lattices)
        except LatticeTooFineError:
            return best
        best = min(best, current)
        if previous - current <= accuracy * current < math.inf:
            return best
        previous, interval = current, interval / 4


def _log_moment(lattices: Lattices, tilt: float) -> float:
    return sum(count * _tilted(lattice, tilt)[1] for lattice, count in lattices)


def _tilted(lattice: LossLattice, tilt: float) -> tuple[Floats, float]:
    """Tilted mass (sum 1) and log of the tilted total."""
    exponent = lattice.log_mass + tilt * lattice.losses
    top = float(exponent.max())
    weight = np.exp(exponent - top)
    total = float(weight.sum())
    weight /= total
    return weight, top + math.log(total)


def _best_tilt(lattices: Lattices, objective: Callable[[float], float]) -> float:
    """Tilt that minimises `objective`; any tilt is valid, a good one keeps the window short."""
    scale = max(abs(lattice.losses[[0, -1]]).max() for lattice, _ in lattices)
    found = optimize.minimize_scalar(
        lambda u: objective(math.exp(u)),
        bounds=(-math.log(scale) - 7, -math.log(scale) + 14),
        method="bounded",
        options={"xatol": 0.05},
    )
    return math.exp(float(found.x))


def _epsilon_on(lattices: Lattices, dropped: float, delta: float) -> float:
    charged = dropped + sum(count * lattice.infinite for lattice, count in lattices)
    if charged >= delta:
        return math.inf
    log_delta = math.log(delta - charged)
    tilt = _best_tilt(lattices, lambda c: (_log_moment(lattices, c) - log_delta) / c)
    composed = _compose(lattices, tilt, None, dropped)
    low, high = max(0.0, float(composed.losses[0])), float(composed.losses[-1])
    slack = sum(count * lattice.slack for lattice, count in lattices)
    if high <= low or composed.delta(low) <= delta:
        return low + slack
    if composed.delta(high) > delta:
        return math.inf
    return _crossing(composed, low, high, delta) + slack


def _crossing(composed: _Composed, low: float, high: float, delta: float) -> float:
    """Epsilon in (low, high] just above where the bound on delta crosses `delta`."""

    def excess(epsilon: float) -> float:
        return math.log(max(composed.delta(epsilon), 1e-320) / delta)

    step = 1e-9 * max(1.0, high)
    found = float(optimize.brentq(excess, low, high, xtol=step))
    while found < high and excess(found) > 0:
        found, step = found + step, 2 * step
    return min(found, high)


def _window(lattices: Lattices, tilt: float, spread: float) -> tuple[float, float]:
    """Losses outside which the tilted composed distribution has at most exp(-32), by Chernoff bounds."""
    here = _log_moment(lattices, tilt)
    low, high = -math.inf, math.inf
    for offset in _OFFSETS:
        step = offset / spread
        high = min(high, (_log_moment(lattices, tilt + step) - here + _SMALL) / step)
        low = max(low, -(_log_moment(lattices, tilt - step) - here + _SMALL) / step)
    return low, high


def _spread(lattices: Lattices, tilt: float) -> float:
    variance = 0.0
    for lattice, count in lattices:
        weight, losses = _tilted(lattice, tilt)[0], lattice.losses
        variance += count * float(weight @ (losses - weight @ losses) ** 2)
    return max(math.sqrt(variance), lattices[0][0].interval)


def _compose(lattices: Lattices, tilt: float, reach: float | None, dropped: float) -> _Composed:
    """The composition on a window that holds the tilted bulk, and `reach` where given."""
    interval = lattices[0][0].interval
    low, high = _window(lattices, tilt, _spread(lattices, tilt))
    if reach is not None:
        low, high = min(low, reach), max(high, reach)
    base = math.floor(low / interval)
    size = fft.next_fast_len(math.ceil(high / interval) - base + 2, real=True)
    if size > 2 * MAX_POINTS:
        raise LatticeTooFineError(f"{size} points in the composed window")
    spectrum, log_scale, origin = np.ones(size // 2 + 1, dtype=np.complex128), 0.0, 0
    for lattice, count in lattices:
        weight, log_total = _tilted(lattice, tilt)
        spectrum = spectrum * _power(fft.rfft(_folded(weight, size)), count)
        log_scale += count * log_total
        origin += count * lattice.start
    mass = np.roll(fft.irfft(spectrum, size), (origin - base) % size)
    steps = sum(count for _, count in lattices)
    rounding = _ROUNDING * steps * float(np.abs(spectrum).mean())
    infinite = sum(count * lattice.infinite for lattice, count in lattices)
    losses = (base + np.arange(size)) * interval
    return _Composed(losses, np.maximum(mass, 0.0) + rounding, tilt, log_scale, infinite + dropped)


def _folded(weight: Floats, size: int) -> Floats:
    padded = np.zeros(math.ceil(weight.size / size) * size)
    padded[: weight.size] = weight
    folded: Floats = padded.reshape(-1, size).sum(axis=0)
    return folded


def _power(spectrum: NDArray[np.complex128], count: int) -> NDArray[np.complex128]:
    """spectrum ** count in polar form, safe at zeros and for counts in the millions."""
    with np.errstate(divide="ignore"):
        log_size = count * np.log(np.abs(spectrum))
    powered: NDArray[np.complex128] = np.exp(log_size) * np.exp(1j * count * np.angle(spectrum))
    return powered
