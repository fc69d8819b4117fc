"""One step's privacy loss on a lattice, rounded pessimistically by connecting the dots.

Connect-the-dots (Doroshenko et al., arXiv 2207.04380): the outcomes whose loss lies between two lattice
points move to those two points so that their mass under both distributions is kept. The result dominates
the step. It is computed here from the two masses of each cell, not from second differences of the
hockey-stick curve, which cancel at small intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from audit.accounting.pairs import DiscretePair, Floats, GaussianPair, LaplacePair, Mixture, Pair

_LEFT_TAIL = 1e-18
_LOSS_ERROR = 2e-13


class LatticeTooFineError(ArithmeticError):
    """More lattice points than the budget allows at this interval."""


@dataclass(frozen=True, eq=False)
class LossLattice:
    """Mass at losses (start + j) * interval under the upper distribution.

    `infinite`: mass charged as infinite loss. `slack`: how far a true loss may exceed its cell.
    """

    start: int
    interval: float
    mass: Floats
    infinite: float
    slack: float

    @cached_property
    def losses(self) -> Floats:
        """The lattice points, shape of `mass`."""
        return (self.start + np.arange(self.mass.size)) * self.interval

    @cached_property
    def log_mass(self) -> Floats:
        """log of `mass`, -inf where there is none."""
        with np.errstate(divide="ignore"):
            return np.log(self.mass)


def connect_the_dots(upper: Floats, lower: Floats, tops: Floats, interval: float) -> tuple[Floats, Floats]:
    """Mass each cell sends to its bottom and to its top point `tops`, keeping both of its masses.

    A cell whose lower mass underflows goes to its top point whole, which is pessimistic.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.log(lower) - np.log(upper) + tops
    gap = np.where(np.isfinite(gap), np.clip(gap, 0.0, interval), 0.0)
    share = np.expm1(gap) / math.expm1(interval) if interval < 700 else np.exp(gap - interval)
    below = np.minimum(upper * share, upper)
    return below, upper - below


def round_down(upper: Floats, lower: Floats, tops: Floats, interval: float) -> tuple[Floats, Floats]:
    """All upper mass of each cell to its bottom point: never more loss than there is."""
    del lower, tops, interval
    return upper, np.zeros_like(upper)


Split = Callable[[Floats, Floats, Floats, float], tuple[Floats, Floats]]


def loss_range(pair: Pair, tail: float) -> tuple[float, float]:
    """Smallest and largest privacy loss, but for outcomes of upper probability `tail` at the top."""
    if isinstance(pair, GaussianPair):
        low, high = _loss(pair, np.array(_support(pair, tail)))[0]
        return float(low), float(high)
    if isinstance(pair, LaplacePair):
        return _laplace_range(pair)
    finite = _discrete_losses(pair)[1]
    return float(finite.min()), float(finite.max())


def discretise(pair: Pair, interval: float, tail: float, most: int, split: Split = connect_the_dots) -> LossLattice:
    """`pair` on the lattice of `interval`, at most `most` points, each cell's mass placed by `split`.

    `split` is connect_the_dots for upper bounds (the top `tail` is charged as infinite loss) or
    round_down for lower bounds (the tails are left out).
    """
    low, high = loss_range(pair, tail)
    first, last = math.floor(low / interval), math.ceil(high / interval)
    last = max(last, first + 1)
    if last - first >= most:
        raise LatticeTooFineError(f"{last - first} lattice points")
    points = np.arange(first, last + 1) * interval
    if isinstance(pair, DiscretePair):
        return _from_atoms(pair, first, interval, points.size, split)
    if isinstance(pair, LaplacePair):
        return _from_laplace(pair, first, interval, points, split)
    return _from_gaussian(pair, first, interval, points, tail, split)


def _lattice_mass(upper: Floats, lower: Floats, points: Floats, interval: float, split: Split) -> Floats:
    below, above = split(upper, lower, points[1:], interval)
    mass = np.zeros(points.size)
    mass[:-1] += below
    mass[1:] += above
    return mass


def _gathered(cell: NDArray[np.int64], below: Floats, above: Floats, size: int) -> Floats:
    """Mass of each point when cell c sends `below` to point c and `above` to point c + 1."""
    mass = np.zeros(size)
    np.add.at(mass, cell, below)
    np.add.at(mass, cell + 1, above)
    return mass


def _mixture_terms(mixture: Mixture, noise: float, x: Floats) -> tuple[Floats, Floats]:
    """log of mixture(x) / normal(x; 0, noise), and the posterior mean of the shift given x."""
    shifts, probs = np.array(mixture.shifts), np.array(mixture.probs)
    exponents = (np.multiply.outer(x, shifts) - shifts**2 / 2) / noise**2 + np.log(probs)
    top = exponents.max(axis=-1, keepdims=True)
    weights = np.exp(exponents - top)
    total = weights.sum(axis=-1)
    return top[..., 0] + np.log(total), (weights @ shifts) / total


def _loss(pair: GaussianPair, x: Floats) -> tuple[Floats, Floats]:
    """Privacy loss at x and its derivative."""
    upper, upper_mean = _mixture_terms(pair.upper, pair.noise, x)
    lower, lower_mean = _mixture_terms(pair.lower, pair.noise, x)
    return upper - lower, (upper_mean - lower_mean) / pair.noise**2


def _support(pair: GaussianPair, tail: float) -> tuple[float, float]:
    """x below which and above which the upper mixture has at most _LEFT_TAIL and `tail`."""
    shifts, probs = np.array(pair.upper.shifts), np.array(pair.upper.probs)
    low = shifts.min() + pair.noise * special.ndtri(_LEFT_TAIL)
    beyond, high = shifts.max() - pair.noise * special.ndtri(tail), low
    while beyond - high > 1e-3 * pair.noise:
        middle = (high + beyond) / 2
        heavy = probs @ special.ndtr((shifts - middle) / pair.noise) > tail
        high, beyond = (middle, beyond) if heavy else (high, middle)
    return float(low), float(beyond)


def _invert_loss(pair: GaussianPair, targets: Floats, low: float, high: float) -> tuple[Floats, float]:
    """x with loss(x) = targets, and the largest error of the loss there: Newton inside a bracket."""
    table = np.linspace(low, high, 4097)
    losses = np.maximum.accumulate(_loss(pair, table)[0])
    right = np.clip(np.searchsorted(losses, targets), 1, table.size - 1)
    left_x, right_x = table[right - 1], table[right]
    x = np.clip(np.interp(targets, losses, table), left_x, right_x)
    for _ in range(12):
        value, slope = _loss(pair, x)
        error = float(np.abs(value - targets).max(initial=0.0))
        if error <= _LOSS_ERROR * max(1.0, abs(targets).max(initial=0.0)):
            break
        left_x, right_x = np.where(value <= targets, x, left_x), np.where(value >= targets, x, right_x)
        moved = x - (value - targets) / np.maximum(slope, 1e-300)
        x = np.where((moved >= left_x) & (moved <= right_x), moved, (left_x + right_x) / 2)
    return x, float(np.abs(_loss(pair, x)[0] - targets).max(initial=0.0))


def _mixture_mass(mixture: Mixture, noise: float, edges: Floats) -> Floats:
    """Mass of the mixture between consecutive edges, each difference taken in the smaller tail."""
    mass = np.zeros(edges.size - 1)
    for shift, prob in zip(mixture.shifts, mixture.probs, strict=True):
        z = (edges - shift) / noise
        below, above = special.ndtr(z), special.ndtr(-z)
        mass += prob * np.where(z[:-1] > 0, above[:-1] - above[1:], below[1:] - below[:-1])
    return np.maximum(mass, 0.0)


def _from_gaussian(
    pair: GaussianPair, first: int, interval: float, points: Floats, tail: float, split: Split
) -> LossLattice:
    low, high = _support(pair, tail)
    inner, error = _invert_loss(pair, points[1:-1], low, high)
    edges = np.maximum.accumulate(np.concatenate([[low], inner, [high]]))
    upper = _mixture_mass(pair.upper, pair.noise, edges)
    lower = _mixture_mass(pair.lower, pair.noise, edges)
    mass = _lattice_mass(upper, lower, points, interval, split)
    if split is round_down:
        return LossLattice(first, interval, mass, 0.0, error)
    mass[1] += _LEFT_TAIL
    return LossLattice(first, interval, mass, tail, error)


def _laplace_range(pair: LaplacePair) -> tuple[float, float]:
    ends = np.array([-1.0, 1.0]) / pair.scale
    q = pair.sampling_probability
    mixed = np.log1p(q * np.expm1(ends))
    low, high = mixed if pair.removing else -mixed[::-1]
    return float(low), float(high)


def _from_laplace(pair: LaplacePair, first: int, interval: float, points: Floats, split: Split) -> LossLattice:
    """Cells in the plain loss (2x - 1) / scale of Lap(1) against Lap(0); the flat ends are atoms."""
    scale, q = pair.scale, pair.sampling_probability
    sign = 1.0 if pair.removing else -1.0
    plain = np.log(np.maximum(np.expm1(sign * points) / q + 1, math.exp(-1 / scale)))
    x = np.clip((plain * scale + 1) / 2, 0.0, 1.0)
    near = np.abs(np.diff(np.exp(-x / scale))) / 2
    far = np.abs(np.diff(np.exp((x - 1) / scale))) / 2
    ends = np.array([0.5, math.exp(-1 / scale) / 2])
    near_ends, far_ends = (ends, ends[::-1]) if pair.removing else (ends[::-1], ends)
    tops, near, far = (
        np.concatenate([points[1:], points[[1, -1]]]),
        np.concatenate([near, near_ends]),
        np.concatenate([far, far_ends]),
    )
    mixed = (1 - q) * near + q * far
    upper, lower = (mixed, near) if pair.removing else (near, mixed)
    below, above = split(upper, lower, tops, interval)
    cell = np.concatenate([np.arange(points.size - 1), [0, points.size - 2]])
    return LossLattice(first, interval, _gathered(cell, below, above, points.size), 0.0, 0.0)


def _discrete_losses(pair: DiscretePair) -> tuple[NDArray[np.bool_], Floats]:
    finite = (pair.upper > 0) & (pair.lower > 0)
    return finite, np.log(pair.upper[finite]) - np.log(pair.lower[finite])


def _from_atoms(pair: DiscretePair, first: int, interval: float, size: int, split: Split) -> LossLattice:
    finite, losses = _discrete_losses(pair)
    cell = np.clip(np.floor(losses / interval).astype(np.int64) - first, 0, size - 2)
    tops = (first + cell + 1) * interval
    below, above = split(pair.upper[finite], pair.lower[finite], tops, interval)
    mass = _gathered(cell, below, above, size)
    return LossLattice(first, interval, mass, float(pair.upper[pair.lower <= 0].sum()), 0.0)
