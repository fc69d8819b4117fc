"""Group privacy that looks only at a mechanism's example-level guarantee: looser, or no bound at all.

For comparison with the mixture of `group`, which looks inside. f-DP groups: Dong, Roth & Su, arXiv
1905.02383, Theorem 2.14; Renyi groups: Mironov, arXiv 1702.07476, Proposition 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from dp_accounting import dp_event
from dp_accounting.privacy_accountant import NeighboringRelation
from dp_accounting.rdp import RdpAccountant
from scipy import optimize

from audit.accounting import contour
from audit.accounting.pairs import Floats
from audit.accounting.rdp import quiet, to_epsilon
from audit.accounting.routes import Question
from audit.accounting.steps import ADD_OR_REMOVE_ONE

NAIVE = "not a bound: k times epsilon at the same delta"
LOOSER = "looser bound: group privacy without looking inside the mechanism"
_LOG_SMALLEST = -650.0


def naive_epsilon(epsilon: float, group_size: int) -> float:
    """k * epsilon. Not a bound at the same delta: it may lie below or above the truth."""
    return group_size * epsilon


def group_delta(epsilon: float, delta: float, group_size: int) -> float:
    """delta at k * epsilon: delta (exp(k eps) - 1) / (exp(eps) - 1), a bound; above 1 it says nothing."""
    return math.exp(min(math.log(delta) + _log_growth(epsilon, group_size), 700.0))


def _log_growth(epsilon: float, group_size: int) -> float:
    """log of sum over i < k of exp(i eps)."""
    if epsilon == 0:
        return math.log(group_size)
    top = group_size * epsilon + math.log(-math.expm1(-group_size * epsilon))
    return top - epsilon - math.log(-math.expm1(-epsilon))


def curve_epsilon(event: dp_event.DpEvent, delta: float, group_size: int) -> float:
    """Smallest k * e with group_delta(e, delta(e), k) <= delta over the whole example-level curve.

    Infinite where the curve has to be followed below 1e-280 ("gives up").
    """
    log_curve = _log_curve(event)

    def excess(epsilon: float) -> float:
        return log_curve(epsilon) + _log_growth(epsilon, group_size) - math.log(delta)

    low = high = max(log_curve_start(event, delta), 1e-6)
    while excess(high) > 0:
        if log_curve(high) < _LOG_SMALLEST:
            return math.inf
        low, high = high, high * 1.25
    return group_size * (high if low == high else float(optimize.brentq(excess, low, high, xtol=1e-6)))


def log_curve_start(event: dp_event.DpEvent, delta: float) -> float:
    """Example-level epsilon at `delta`, where the search along the curve starts."""
    return max(contour.epsilon(parts, delta) for parts in Question(event, delta, 1, ADD_OR_REMOVE_ONE).directions)


def _log_curve(event: dp_event.DpEvent) -> Callable[[float], float]:
    """log delta(epsilon), both directions, by the contour route."""
    directions = Question(event, 1e-290, 1, ADD_OR_REMOVE_ONE).directions

    def at(epsilon: float) -> float:
        return max(contour.log_delta(parts, epsilon) for parts in directions)

    return at


def tradeoff_epsilon(event: dp_event.DpEvent, delta: float, group_size: int, points: int = 120) -> float:
    """f-DP group bound: the k-fold composition of the largest power at each level, back to epsilon.

    G(a) = min over e of delta(e) + exp(e) a on a grid of e (any grid gives a bound on the power), with the
    worse direction of delta at each e; then delta_k(E) = max over a of G applied k times to a, less exp(E) a.
    """
    log_curve, start = _log_curve(event), log_curve_start(event, delta)
    slopes = np.concatenate([[0.0], np.geomspace(start / 20 + 1e-3, 12 * start + 5, points)])
    log_deltas = np.maximum.accumulate(np.array([log_curve(e) for e in slopes])[::-1])[::-1]
    levels = np.linspace(-700.0, 0.0, 28001)
    power: Floats = levels
    for _ in range(group_size):
        power = _log_power(power, slopes, log_deltas)
    return _epsilon_of_power(levels, power, delta)


def _log_power(levels: Floats, slopes: Floats, log_deltas: Floats) -> Floats:
    """log G at log levels: both halves of the symmetrised curve, exp(e) a + d and 1 - exp(-e)(1 - d - a)."""
    steep = np.logaddexp(log_deltas, slopes + levels[:, None])
    rest = np.maximum(1 - np.exp(log_deltas) - np.exp(levels)[:, None], 0.0)
    flat = np.log1p(-np.minimum(np.exp(-slopes) * rest, 1 - 1e-16))
    power: Floats = np.minimum(np.minimum(steep, flat).min(axis=1), 0.0)
    return power


def _epsilon_of_power(levels: Floats, power: Floats, delta: float) -> float:
    """Smallest E with max over levels of power - exp(E) level <= delta; power is taken a cell up."""
    upper = np.exp(power[1:])
    above = upper > delta
    if not above.any():
        return 0.0
    return max(0.0, float((np.log(upper[above] - delta) - levels[:-1][above]).max()))


def mironov_epsilon(event: dp_event.DpEvent, delta: float, group_size: int) -> float:
    """Renyi group privacy: for k <= 2^c and order a >= 2^(c+1), rdp(a) becomes 3^c rdp(a) at order a / 2^c."""
    doublings = math.ceil(math.log2(group_size))
    orders = np.concatenate([np.linspace(1.1, 10.9, 99), np.arange(11, 65), [80, 96, 128, 192, 256, 512, 1024]])
    kept = orders[orders >= 2 ** (doublings + 1)] if doublings else orders
    with quiet():
        accountant = RdpAccountant(list(kept), NeighboringRelation.ADD_OR_REMOVE_ONE)
        accountant.compose(event)
    return to_epsilon(kept / 2**doublings, 3**doublings * accountant.rdp, delta)
