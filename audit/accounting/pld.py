"""Certified bounds by privacy loss distributions: steps on a lattice, composed by a tilted FFT.

Upper bounds round each step by connecting the dots (pld_lattice), lower bounds round it down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from scipy import optimize

from audit.accounting.pairs import DiscretePair, Floats, GaussianPair, Parts
from audit.accounting.pld_compose import (
    MAX_POINTS,
    Lattices,
    compose,
    infinite_mass,
    tilt_for_delta,
    tilt_for_epsilons,
)
from audit.accounting.pld_lattice import (
    LatticeTooFineError,
    Split,
    connect_the_dots,
    discretise,
    loss_range,
    round_down,
)

Answer = TypeVar("Answer")

_TAIL_SHARE = 1e-6
_SMALLEST_TAIL = 1e-290
_TINY = 1e-3  # below this epsilon the accuracy is absolute


def epsilon_of_all(directions: Sequence[Parts], delta: float) -> float:
    """Certified upper bound of epsilon(delta) over all directions, the first being the dearest as a rule.

    A later direction is refined only until it is known to cost no more than what is found already.
    """
    found = 0.0
    for parts in directions:
        found = max(found, epsilon(parts, delta, enough=found))
    return found


def epsilon(parts: Parts, delta: float, accuracy: float = 1.5e-3, enough: float = 0.0) -> float:
    """Certified upper bound of epsilon(delta) for the composed pairs, one direction.

    Refines the lattice until the answer moves by less than `accuracy` (relative), which leaves an error about
    a fifteenth of that, until it is at most `enough`, or until the lattice is full. Infinite where impossible
    outcomes alone reach `delta`, where delta is below about 1e-280, or where no lattice within the budget
    gives a finite bound.
    """
    tail, budget = _tail(parts, delta), delta - _dropped(parts)
    if tail < _SMALLEST_TAIL or budget <= 0 or impossible(parts) >= budget:
        return math.inf
    found = math.inf
    for current in _answers(parts, tail, connect_the_dots, lambda on: _epsilon_above(on, budget)):
        settled = found - current <= accuracy * max(current, _TINY) < math.inf
        found = min(found, current)
        if settled or found <= enough:
            break
    return found


def epsilon_lower(parts: Parts, delta: float, accuracy: float = 1e-3) -> float:
    """Certified lower bound of epsilon(delta), one direction: losses rounded down.

    Its error is about the number of steps times half the lattice interval, so it serves few steps.
    """
    if impossible(parts) >= delta:
        return math.inf
    found = 0.0
    for current in _answers(parts, _tail(parts, delta), round_down, lambda on: _epsilon_below(on, delta)):
        settled = 0 < current - found <= accuracy * max(current, _TINY)
        found = max(found, current)
        if settled:
            break
    return found


def deltas(parts: Parts, epsilons: Sequence[float], accuracy: float = 1e-3) -> list[float]:
    """Certified upper bounds of delta at each of `epsilons` (of either sign), one direction.

    One composition serves them all; `accuracy` is relative to the largest of them, above 1/2 to its distance from 1.
    """

    def answer(lattices: Lattices) -> Floats:
        at = [epsilon - _slack(lattices) for epsilon in epsilons]
        composed = compose(lattices, tilt_for_epsilons(lattices, min(at), max(at)), min(at))
        return np.array([composed.delta_upper(epsilon) for epsilon in at]) + _dropped(parts)

    found = np.full(len(epsilons), math.inf)  # a first, coarse answer near 1 must not pass for a settled one
    for current in _answers(parts, _tail(parts, 1e-10), connect_the_dots, answer):
        moved = float(np.max(found - current))
        found = np.minimum(found, current)
        top = float(found.max())
        scale = top if top < 0.5 else max(1 - top, accuracy)
        if moved <= accuracy * scale and top < 1:
            break
    found = np.minimum(found, 1.0)
    return [float(value) for value in found]


def impossible(parts: Parts) -> float:
    """Probability, under the upper distribution, of an outcome impossible under the lower one."""
    log_possible = 0.0
    for pair, count in parts:
        if isinstance(pair, DiscretePair):
            mass = min(float(pair.upper[pair.lower <= 0].sum()), 1 - 1e-16)
            log_possible += count * math.log1p(-mass)
    return -math.expm1(log_possible)


def _tail(parts: Parts, delta: float) -> float:
    return delta * _TAIL_SHARE / sum(count for _, count in parts)


def _dropped(parts: Parts) -> float:
    return sum(count * pair.dropped for pair, count in parts if isinstance(pair, GaussianPair))


def _slack(lattices: Lattices) -> float:
    return sum(count * lattice.slack for lattice, count in lattices)


def _answers(parts: Parts, tail: float, split: Split, answer: Callable[[Lattices], Answer]) -> Iterator[Answer]:
    """`answer` on lattices of falling interval until they are full; every one is a bound by itself."""
    ranges = [loss_range(pair, tail) for pair, _ in parts]
    interval = max(max(high - low for low, high in ranges) / 64, 1e-12)
    try:
        while True:
            lattices = ((discretise(pair, interval, tail, MAX_POINTS, split), n) for pair, n in parts)
            yield answer(tuple(lattices))
            interval /= 4
    except LatticeTooFineError:
        return


def _epsilon_above(lattices: Lattices, delta: float) -> float:
    """Smallest epsilon, but for rounding upwards, where the upper bound on delta is within `delta`."""
    remaining = delta - infinite_mass(lattices)
    if remaining <= 0:
        return math.inf
    composed = compose(lattices, tilt_for_delta(lattices, remaining))
    low, high = max(0.0, float(composed.losses[0])), float(composed.losses[-1])
    if high <= low or composed.delta_upper(low) <= delta:
        return low + _slack(lattices)
    if composed.delta_upper(high) > delta:
        return math.inf
    found, step = _crossing(composed.delta_upper, low, high, delta), 1e-9 * max(1.0, high)
    while found < high and composed.delta_upper(found) > delta:
        found, step = found + step, 2 * step
    return min(found, high) + _slack(lattices)


def _epsilon_below(lattices: Lattices, delta: float) -> float:
    """An epsilon >= 0 where even the lower bound on delta reaches `delta`; 0 where none is found.

    Far below the tilt's own epsilon the allowance for what wraps around swamps the bound, so the search
    comes down from above.
    """
    widest = max(float(np.abs(lattice.losses[[0, -1]]).max()) for lattice, _ in lattices)
    tilt = min(tilt_for_delta(lattices, delta), -4 * math.log(delta) / widest)
    composed = compose(lattices, tilt, 0.0)
    high = float(composed.losses[-1])
    step = max(4 / tilt, high / 200)
    for low in np.arange(high - step, -step, -step):
        if composed.delta_lower(max(float(low), 0.0)) > delta:
            break
    else:
        return 0.0
    found = _crossing(composed.delta_lower, max(float(low), 0.0), float(low) + step, delta)
    while found > 0 and composed.delta_lower(found) < delta:
        found -= 1e-9 * max(1.0, high)
    return max(found - _slack(lattices), 0.0)


def _crossing(price: Callable[[float], float], low: float, high: float, delta: float) -> float:
    """Where the falling `price` crosses `delta`, to about 1e-9."""

    def excess(epsilon: float) -> float:
        return math.log(max(price(epsilon), 1e-320) / delta)

    return float(optimize.brentq(excess, low, high, xtol=1e-9 * max(1.0, high)))
