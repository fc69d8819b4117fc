"""Quadrature nodes of the privacy loss of one pair, tilted by exp(c L), for the contour route."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from audit.accounting.pairs import DiscretePair, Floats, GaussianPair, LaplacePair, Mixture, Pair

_MAX_NODES = 4_000_000
_FEWEST_ATOMS = 1000


class UnsuitablePairError(ArithmeticError):
    """No quadrature of reasonable size integrates this pair."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """Losses, their weights under the tilted upper distribution (sum 1), and log E[exp(c L)]."""

    loss: Floats
    tilted: Floats
    log_moment: float
    centre: float


def nodes_of(pair: Pair, tilt: float, frequency: float) -> Nodes:
    """Nodes that integrate exp((c + i t) L) for c = `tilt` and every |t| <= `frequency`."""
    if isinstance(pair, GaussianPair):
        log_weight, loss = _gaussian(pair, tilt, frequency)
    elif isinstance(pair, LaplacePair):
        log_weight, loss = _laplace(pair, frequency)
    else:
        log_weight, loss = _discrete(pair)
    exponent = log_weight + tilt * loss
    top = float(exponent.max())
    weight = np.exp(exponent - top)
    total = float(weight.sum())
    weight /= total
    return Nodes(loss, weight, top + math.log(total), float(weight @ loss))


def _log_ratio(mixture: Mixture, x: Floats, noise: float) -> Floats:
    """log of mixture(x) / normal(x; 0, noise)."""
    log_ratio = np.full_like(x, -np.inf)
    for shift, prob in zip(mixture.shifts, mixture.probs, strict=True):
        if prob > 0:
            term = (shift * x - shift * shift / 2) / noise**2 + math.log(prob)
            log_ratio = np.logaddexp(log_ratio, term)
    return log_ratio


def _log_upper_and_loss(pair: GaussianPair, x: Floats) -> tuple[Floats, Floats]:
    ratio = _log_ratio(pair.upper, x, pair.noise)
    log_upper = ratio - (x / pair.noise) ** 2 / 2 - math.log(pair.noise * math.sqrt(2 * math.pi))
    return log_upper, ratio - _log_ratio(pair.lower, x, pair.noise)


@lru_cache(maxsize=512)
def _support(pair: GaussianPair, tilt: float) -> tuple[float, float]:
    """Where the tilted density is within exp(-50) of its peak."""
    top, bottom = max(pair.upper.shifts), min(pair.upper.shifts)
    low = (1 + tilt) * bottom - tilt * max(pair.lower.shifts) - 11 * pair.noise
    high = (1 + tilt) * top - tilt * min(pair.lower.shifts) + 11 * pair.noise
    size = math.ceil((high - low) / (pair.noise / 2))
    if size > _MAX_NODES:
        raise UnsuitablePairError("tilted support too wide")
    x = np.linspace(low, high, size + 1)
    log_upper, loss = _log_upper_and_loss(pair, x)
    exponent = log_upper + tilt * loss
    kept = np.flatnonzero(exponent > exponent.max() - 50)
    return float(x[max(kept[0] - 1, 0)]), float(x[min(kept[-1] + 1, size)])


def _gaussian(pair: GaussianPair, tilt: float, frequency: float) -> tuple[Floats, Floats]:
    """Trapezoid in x: exponentially accurate, the nearest singularity of the loss being pi s^2/shift away."""
    low, high = _support(pair, tilt)
    shifts = pair.upper.shifts + pair.lower.shifts
    reach = max(max(shifts) - min(shifts), 1e-9)
    spacing = min(pair.noise / 2, 2 * math.pi * pair.noise**2 / (reach * (12.7 + frequency)))
    size = math.ceil((high - low) / spacing) + 1
    if size > _MAX_NODES:
        raise UnsuitablePairError("quadrature too fine")
    x = low + spacing * np.arange(size)
    log_upper, loss = _log_upper_and_loss(pair, x)
    return log_upper + math.log(spacing), loss


def _laplace(pair: LaplacePair, frequency: float) -> tuple[Floats, Floats]:
    """Gauss-Legendre panels where the loss varies (0 < x < 1), one node for each of the two flat ends."""
    scale, q = pair.scale, pair.sampling_probability
    panels = 2 + math.ceil((1 + frequency) / (8 * scale))
    unit, unit_weight = np.polynomial.legendre.leggauss(32)
    x = ((np.arange(panels)[:, None] + (unit + 1) / 2) / panels).ravel()
    weight = np.tile(unit_weight / (2 * panels), panels)
    log_half = -math.log(2 * scale)
    far, near = -(1 - x) / scale + log_half, -x / scale + log_half
    log_one = np.concatenate([far + np.log(weight), [-1 / scale - math.log(2), -math.log(2)]])
    log_zero = np.concatenate([near + np.log(weight), [-math.log(2), -1 / scale - math.log(2)]])
    with np.errstate(divide="ignore"):
        mixed = np.logaddexp(np.log1p(-q) + log_zero, np.log(q) + log_one)
    return (mixed, mixed - log_zero) if pair.removing else (log_zero, log_zero - mixed)


def _discrete(pair: DiscretePair) -> tuple[Floats, Floats]:
    """The atoms themselves. Few atoms form a lattice, whose kinks the contour's taper would smooth away."""
    if pair.upper.size < _FEWEST_ATOMS:
        raise UnsuitablePairError("too few atoms for a smooth curve")
    kept = (pair.upper > 0) & (pair.lower > 0)
    log_upper = np.log(pair.upper[kept])
    return log_upper, log_upper - np.log(pair.lower[kept])
