"""Composition of lattice losses by a tilted FFT whose every error has a known sign or a bound.

The distribution tilted by exp(c L) is convolved circularly: all terms are positive, so what wraps around
only adds; the mass outside the window is bounded by Chernoff, the rounding of the transform by its size.
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

from audit.accounting.pairs import Floats
from audit.accounting.pld_lattice import LatticeTooFineError, LossLattice

Lattices = tuple[tuple[LossLattice, int], ...]

MAX_POINTS = 1 << 21
_OUTSIDE_NATS = 32.0
_LOST_NATS = 14.0
_OUTSIDE = math.exp(-_OUTSIDE_NATS)
_OFFSETS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_ROUNDING = 64 * float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Composed:
    """Tilted mass of the composed loss on a window; log_scale and tilt undo the tilt.

    `rounding`: bound on the error of each entry of `mass`. `infinite`: mass at infinite loss.
    """

    losses: Floats
    mass: Floats
    rounding: float
    tilt: float
    log_scale: float
    infinite: float

    @cached_property
    def _untilted(self) -> Floats:
        # The cap matters only where rounding alone already makes delta exceed 1.
        untilted: Floats = np.exp(np.minimum(self.log_scale - self.tilt * self.losses, 700.0))
        return untilted

    @cached_property
    def _most(self) -> Floats:
        return (self.mass + self.rounding) * self._untilted

    @cached_property
    def _least(self) -> Floats:
        least: Floats = np.maximum(self.mass - self.rounding, 0.0) * self._untilted
        return least

    def _outside_at(self, loss: float) -> float:
        return _OUTSIDE * math.exp(min(self.log_scale - self.tilt * loss, 700.0))

    def delta_upper(self, epsilon: float) -> float:
        """Upper bound of delta(epsilon), epsilon at or above the window's lower end."""
        beyond = self._outside_at(float(self.losses[-1]))
        return self.infinite + beyond + self._hockey_stick(self._most, epsilon)

    def delta_lower(self, epsilon: float) -> float:
        """Lower bound of delta(epsilon): less what may have wrapped around from outside the window."""
        found = self._hockey_stick(self._least, epsilon) - 2 * self._outside_at(epsilon)
        return self.infinite + max(found, 0.0)

    def _hockey_stick(self, weights: Floats, epsilon: float) -> float:
        first = int(np.searchsorted(self.losses, epsilon))
        return float(-np.expm1(epsilon - self.losses[first:]) @ weights[first:])


def log_moment(lattices: Lattices, tilt: float) -> float:
    """log E[exp(tilt * L)] of the composed finite losses."""
    return sum(count * _tilted(lattice, tilt)[1] for lattice, count in lattices)


def infinite_mass(lattices: Lattices) -> float:
    """Probability that some step has infinite loss."""
    return -math.expm1(sum(count * math.log1p(-min(lattice.infinite, 0.5)) for lattice, count in lattices))


def _tilted(lattice: LossLattice, tilt: float) -> tuple[Floats, float]:
    """Tilted mass (sum 1) and log of the tilted total."""
    exponent = lattice.log_mass + tilt * lattice.losses
    top = float(exponent.max())
    weight = np.exp(exponent - top)
    total = float(weight.sum())
    weight /= total
    return weight, top + math.log(total)


def tilt_for_delta(lattices: Lattices, delta: float) -> float:
    """Tilt c whose Chernoff bound of epsilon(delta) is smallest.

    delta(e) <= exp(K(c) - c e) c^c / (1 + c)^(1 + c); without that last factor an atom at the largest loss
    would draw c to infinity.
    """

    def bound(c: float) -> float:
        factor = c * math.log(c) - (1 + c) * math.log1p(c)
        return (log_moment(lattices, c) + factor - math.log(delta)) / c

    return _best_tilt(lattices, bound)


def tilt_for_epsilons(lattices: Lattices, least: float, most: float) -> float:
    """Tilt that serves every epsilon in [least, most]: best for `most`, unless rounding would drown `least`."""
    tilt = _best_tilt(lattices, lambda c: log_moment(lattices, c) - c * most)
    while log_moment(lattices, tilt) - tilt * least > _LOST_NATS:
        tilt /= 1.5
    return tilt


def _best_tilt(lattices: Lattices, objective: Callable[[float], float]) -> float:
    """Tilt that minimises `objective`; any tilt is valid, a good one keeps the window short."""
    scale = max(float(np.abs(lattice.losses[[0, -1]]).max()) for lattice, _ in lattices)
    found = optimize.minimize_scalar(
        lambda u: objective(math.exp(u)),
        bounds=(-math.log(scale) - 7, -math.log(scale) + 14),
        method="bounded",
        options={"xatol": 0.05},
    )
    return math.exp(float(found.x))


def _spread(lattices: Lattices, tilt: float) -> float:
    """Standard deviation of the tilted composed loss, at least one interval."""
    variance = 0.0
    for lattice, count in lattices:
        weight, losses = _tilted(lattice, tilt)[0], lattice.losses
        variance += count * float(weight @ (losses - weight @ losses) ** 2)
    return max(math.sqrt(variance), lattices[0][0].interval)


def _window(lattices: Lattices, tilt: float) -> tuple[float, float]:
    """Losses below and above which the tilted composed distribution has at most exp(-32) each."""
    here, spread = log_moment(lattices, tilt), _spread(lattices, tilt)
    low = sum(count * float(lattice.losses[0]) for lattice, count in lattices)  # nothing lies outside the support
    high = sum(count * float(lattice.losses[-1]) for lattice, count in lattices)
    for offset in _OFFSETS:
        step = offset / spread
        high = min(high, (log_moment(lattices, tilt + step) - here + _OUTSIDE_NATS) / step)
        low = max(low, -(log_moment(lattices, tilt - step) - here + _OUTSIDE_NATS) / step)
    return low, high


def compose(lattices: Lattices, tilt: float, reach: float | None = None) -> Composed:
    """The composition on a window that holds the tilted bulk, and `reach` where given.

    Raises LatticeTooFineError where the window needs more than twice MAX_POINTS points.
    """
    interval = lattices[0][0].interval
    low, high = _window(lattices, tilt)
    if reach is not None:
        low, high = min(low, reach), max(high, reach)
    base = math.floor(low / interval)
    needed = math.ceil(high / interval) - base + 2
    if needed > 2 * MAX_POINTS:
        raise LatticeTooFineError(f"{needed} points in the composed window")
    size = int(fft.next_fast_len(needed, real=True))
    spectrum, log_scale, origin = np.ones(size // 2 + 1, dtype=np.complex128), 0.0, 0
    for lattice, count in lattices:
        weight, log_total = _tilted(lattice, tilt)
        spectrum = spectrum * _power(fft.rfft(_folded(weight, size)), count)
        log_scale += count * log_total
        origin += count * lattice.start
    mass = np.maximum(np.roll(fft.irfft(spectrum, size), (origin - base) % size), 0.0)
    rounding = _ROUNDING * sum(count for _, count in lattices) * float(np.abs(spectrum).mean())
    losses = (base + np.arange(size)) * interval
    return Composed(losses, mass, rounding, tilt, log_scale, infinite_mass(lattices))


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
