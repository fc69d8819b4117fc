"""Oracles in arbitrary precision."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import pytest


def _exact_one_step(noise: float, q: float, k: int, epsilon: float, removing: bool) -> float:
    """Hockey stick of Binomial(k, q) shifts against none: the loss rises with x, so it is one tail of each."""
    with mpmath.workdps(40):
        weights = [mpmath.binomial(k, i) * mpmath.mpf(q) ** i * (1 - mpmath.mpf(q)) ** (k - i) for i in range(k + 1)]

        def loss(x: mpmath.mpf) -> mpmath.mpf:
            return mpmath.log(sum(w * mpmath.exp((2 * i * x - i * i) / (2 * noise**2)) for i, w in enumerate(weights)))

        def beyond(x: mpmath.mpf, sign: int) -> tuple[mpmath.mpf, mpmath.mpf]:
            unit = sum(w * mpmath.ncdf(sign * (i - x) / noise) for i, w in enumerate(weights))
            return unit, mpmath.ncdf(-sign * x / noise)

        if removing:
            unit, nobody = beyond(mpmath.findroot(lambda x: loss(x) - epsilon, (-60, 60), solver="bisect"), 1)
            return float(unit - mpmath.exp(epsilon) * nobody)
        unit, nobody = beyond(mpmath.findroot(lambda x: -loss(x) - epsilon, (-60, 60), solver="bisect"), -1)
        return float(nobody - mpmath.exp(epsilon) * unit)


@pytest.fixture(scope="session")
def exact_one_step() -> Callable[..., float]:
    """delta of one step of Poisson sampling for a group: (noise, q, k, epsilon, removing)."""
    return _exact_one_step
