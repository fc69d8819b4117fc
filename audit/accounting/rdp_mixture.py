"""Certified Renyi bounds of Gaussian mixtures: what group privacy falls back to, since it always answers.

Each cell of a grid in x keeps its mass under both distributions and moves to the losses at its ends.
exp(z L) is convex in exp(-L), so no distribution with those masses inside the cell has a larger moment.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from audit.accounting.inputs import UnknownMechanismError
from audit.accounting.pairs import Floats, GaussianPair, Mixture, Parts
from audit.accounting.rdp import to_epsilon

_EXPONENTS = np.concatenate([np.geomspace(1e-7, 0.5, 40), np.geomspace(0.6, 400, 50)])
_KEPT_NATS = 60.0
_CELLS_PER_NOISE = 60


def epsilon(parts: Parts, delta: float) -> float:
    """Upper bound of epsilon(delta) for composed Gaussian mixture pairs, one direction."""
    charged = sum(count * pair.dropped for pair, count in parts if isinstance(pair, GaussianPair))
    if charged >= delta:
        return math.inf
    rdp = np.array([_composed(parts, float(exponent)) for exponent in _EXPONENTS]) / _EXPONENTS
    finite = np.isfinite(rdp)
    if not finite.any():
        return math.inf
    return to_epsilon(1 + _EXPONENTS[finite], rdp[finite], delta - charged)


def _composed(parts: Parts, exponent: float) -> float:
    total = 0.0
    for pair, count in parts:
        if not isinstance(pair, GaussianPair):
            raise UnknownMechanismError(f"rdp of mixtures: expected Gaussian pairs, got {type(pair).__name__}")
        total += count * log_moment(pair, exponent)
    return total


def log_moment(pair: GaussianPair, exponent: float) -> float:
    """Upper bound of log E_upper[exp(exponent * L)]; infinite where the grid would be too large."""
    edges = _edges(pair, exponent)
    if edges is None:
        return math.inf
    loss = _log_density(pair.upper, edges, pair.noise) - _log_density(pair.lower, edges, pair.noise)
    upper = _log_mass(pair.upper, edges, pair.noise)
    lower = _log_mass(pair.lower, edges, pair.noise)
    terms = upper + _log_cell_moment(upper, lower, loss[:-1], np.maximum(loss[1:], loss[:-1]), exponent)
    return float(special.logsumexp(terms)) + math.exp(10 - _KEPT_NATS)


def _log_cell_moment(upper: Floats, lower: Floats, bottom: Floats, top: Floats, exponent: float) -> Floats:
    """log of the mean of exp(exponent * L) when the cell's mass sits at its two ends, both masses kept."""
    width = top - bottom
    gap = np.clip(lower - upper + top, 0.0, width)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(width > 0, np.expm1(gap) / np.expm1(width), 0.0)
    moment: Floats = exponent * top + np.log1p(share * np.expm1(-exponent * width))
    return moment


def _edges(pair: GaussianPair, exponent: float) -> Floats | None:
    """Grid over where the tilted density is within exp(-60) of its peak, plus one cell to infinity's side."""
    low = (1 + exponent) * min(pair.upper.shifts) - exponent * max(pair.lower.shifts) - 12 * pair.noise
    high = (1 + exponent) * max(pair.upper.shifts) - exponent * min(pair.lower.shifts) + 12 * pair.noise
    coarse = np.linspace(low, high, max(64, math.ceil(2 * (high - low) / pair.noise)))
    if coarse.size * len(pair.upper.shifts + pair.lower.shifts) > 20_000_000:
        return None
    density = _log_density(pair.upper, coarse, pair.noise)
    tilted = density + exponent * (density - _log_density(pair.lower, coarse, pair.noise))
    kept = np.flatnonzero(tilted > tilted.max() - _KEPT_NATS)
    start, stop = coarse[max(kept[0] - 1, 0)], coarse[min(kept[-1] + 1, coarse.size - 1)]
    size = math.ceil((stop - start) / pair.noise * _CELLS_PER_NOISE) + 1
    if size * len(pair.upper.shifts + pair.lower.shifts) > 20_000_000:
        return None
    grid: Floats = np.linspace(start, stop, size)
    return grid


def _log_density(mixture: Mixture, x: Floats, noise: float) -> Floats:
    """log of the mixture's density, but for the constant both sides share."""
    shifts, probs = np.array(mixture.shifts), np.array(mixture.probs)
    found: Floats = special.logsumexp(-((x[:, None] - shifts) ** 2) / (2 * noise**2) + np.log(probs), axis=1)
    return found


def _log_mass(mixture: Mixture, edges: Floats, noise: float) -> Floats:
    """log of the mixture's mass in each cell, accurate far in the tails."""
    z = (edges[:, None] - np.array(mixture.shifts)) / noise
    right = z[:-1] > 0
    near = special.log_ndtr(np.where(right, -z[:-1], z[1:]))
    far = special.log_ndtr(np.where(right, -z[1:], z[:-1]))
    cells = near + np.log(-np.expm1(np.minimum(far - near, -1e-300))) + np.log(np.array(mixture.probs))
    found: Floats = special.logsumexp(cells, axis=1)
    return found
