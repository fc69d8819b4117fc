"""What one step shows of a unit that owns k records, under Poisson sampling."""

from __future__ import annotations

import math

import numpy as np

from audit.accounting.pairs import Floats, GaussianPair, Mixture, Step


def poisson_step(noise: float, sampling_probability: float, group_size: int, count: int, drop: float) -> Step:
    """Binomial mixture of Gaussians against one Gaussian, both directions (Ganesh, arXiv 2401.10294).

    Of the unit's k records Binomial(k, q) enter a step and move the sum by at most their number. Shifts
    whose probability is below `drop` are left out; what they carry is charged to delta. Tight.
    """
    return mixture_step(noise, _binomial_log_pmf(group_size, sampling_probability), 1.0, count, drop)


def mixture_step(noise: float, log_pmf: Floats, unit: float, count: int, drop: float) -> Step:
    """The step whose shift is `unit` times i with probability exp(log_pmf[i])."""
    log_drop = math.log(drop)
    last = int(np.flatnonzero(log_pmf > log_drop)[-1])
    kept = [i for i in range(last + 1) if log_pmf[i] > log_drop]
    upper = Mixture(tuple(unit * i for i in kept), tuple(float(np.exp(log_pmf[i])) for i in kept))
    possible = [i for i in range(last + 1) if log_pmf[i] > -700]
    lower = Mixture(tuple(-unit * i for i in possible), tuple(float(np.exp(log_pmf[i])) for i in possible))
    left_out = [float(np.exp(value)) for value in log_pmf if value <= log_drop]
    return Step(
        remove=GaussianPair(noise, upper, dropped=math.fsum(left_out)),
        add=GaussianPair(noise, Mixture(), lower),
        count=count,
    )


def _binomial_log_pmf(trials: int, probability: float) -> Floats:
    """log P[Binomial(trials, probability) = i] for i = 0..trials; exact products, no cancellation."""
    if probability in (0.0, 1.0):
        certain = np.full(trials + 1, -np.inf)
        certain[trials if probability == 1.0 else 0] = 0.0
        return certain
    i = np.arange(trials)
    ratios = np.log(trials - i) - np.log(i + 1) + math.log(probability) - math.log1p(-probability)
    return np.concatenate([[0.0], np.cumsum(ratios)]) + trials * math.log1p(-probability)
