"""What epsilon means to an attacker: advantage and true-positive rate at a false-positive rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.accounting import contour, pld
from audit.accounting.contour_nodes import UnsuitablePairError
from audit.accounting.inputs import require_probability
from audit.accounting.pairs import Parts

FALSE_POSITIVE_RATES = (0.001, 0.01)
SETTLED = 2e-2  # a step of refinement quarters the lattice: one that moves so little leaves about a thousandth


@dataclass(frozen=True)
class Attack:
    """Upper bounds for every attack: advantage, and TPR at each FPR. `source` says from what."""

    advantage: float
    tpr_at_fpr: Mapping[float, float]
    source: str


def attack_from_point(epsilon: float, delta: float, rates: Sequence[float] = FALSE_POSITIVE_RATES) -> Attack:
    """What one (epsilon, delta) alone allows: looser than the curve, often by far."""
    tpr = {rate: tpr_from_point(epsilon, delta, rate) for rate in rates}
    return Attack(advantage_from_point(epsilon, delta), tpr, "the point (epsilon, delta)")


def tpr_from_point(epsilon: float, delta: float, fpr: float) -> float:
    """min(e^eps fpr + delta, 1 - e^-eps (1 - delta - fpr)), at most 1."""
    require_probability("delta", delta)
    require_probability("fpr", fpr)
    steep = math.exp(min(epsilon, 700.0)) * fpr + delta
    flat = 1 - math.exp(-epsilon) * max(1 - delta - fpr, 0.0)
    return min(steep, flat, 1.0)


def advantage_from_point(epsilon: float, delta: float) -> float:
    """(e^eps - 1 + 2 delta) / (e^eps + 1): the largest TPR - FPR (Kairouz et al., arXiv 1311.0776)."""
    return math.tanh(epsilon / 2) + 2 * delta / (math.exp(min(epsilon, 700.0)) + 1)


def attack_from_curve(directions: Sequence[Parts], rates: Sequence[float] = FALSE_POSITIVE_RATES) -> Attack:
    """Certified bounds from the whole curve of both directions (one Parts where they are the same).

    TPR(a) = min over real e of exp(e) a + delta(e), delta(-e) = 1 - exp(-e) (1 - delta_reverse(e)); any e
    gives a bound, so the contour finds a good e and the certified delta prices it. Advantage = delta(0).
    """
    steep, forward = _priced_slopes(directions[0], rates, _steep_power)
    flat, reverse = _priced_slopes(directions[-1], rates, _flat_power)
    tpr = {
        rate: min(_steep_power(steep[i], forward[i], rate), _flat_power(flat[i], reverse[i], rate), 1.0)
        for i, rate in enumerate(rates)
    }
    return Attack(min(forward[-1], reverse[-1], 1.0), tpr, "the curve of delta in both directions")


def _steep_power(epsilon: float, delta: float, fpr: float) -> float:
    return math.exp(min(epsilon, 700.0)) * fpr + delta


def _flat_power(epsilon: float, delta: float, fpr: float) -> float:
    return 1 - math.exp(-epsilon) * max(1 - delta - fpr, 0.0)


def _priced_slopes(
    parts: Parts, rates: Sequence[float], power: Callable[[float, float, float], float]
) -> tuple[list[float], list[float]]:
    """For each rate the epsilon >= 0 whose line bounds the power best, and the certified deltas there and at 0."""
    try:
        grid = np.linspace(0.0, contour.epsilon(parts, min(rates) / 100), 400)
        curve = contour.rough_curve(parts, grid)
    except UnsuitablePairError:
        grid, curve = np.zeros(1), np.zeros(1)
    slopes = []
    for rate in rates:
        powers = [power(float(e), float(d), rate) for e, d in zip(grid, curve, strict=True)]
        slopes.append(float(grid[int(np.argmin(powers))]))
    return slopes, pld.deltas(parts, [*slopes, 0.0], SETTLED)
