"""The DpEvent of a run, its ε by dp_accounting and by Opacus' PRV accountant, and the noise for a target ε."""

from __future__ import annotations

import math
from typing import Any

import dp_accounting
from dp_accounting import DpEvent
from dp_accounting.pld import PLDAccountant
from scipy import optimize

TOLERANCE = 1e-4  # relative, of the noise multiplier; rounded up, so that the ε reached stays below the target
COARSE, FINE, MANY_STEPS = 5e-3, 1e-4, 1000  # loss grid of the PLD: rounding up adds little where few are composed
LEAST, MOST = 0.1, 1e4  # noise multipliers that are tried


def event(noise_multiplier: float, sampling_probability: float, steps: int, group_size: int = 1) -> DpEvent:
    """`steps` noisy sums over Poisson batches, for a unit that owns up to group_size records.

    k records of a unit are drawn by k coins: the sum moves by up to Binomial(k, q) times the clip norm.
    """
    k, q = group_size, sampling_probability
    if k == 1:
        step: DpEvent = dp_accounting.PoissonSampledDpEvent(q, dp_accounting.GaussianDpEvent(noise_multiplier))
    else:
        chances = [math.comb(k, drawn) * q**drawn * (1 - q) ** (k - drawn) for drawn in range(k + 1)]
        kept = [drawn for drawn in range(k + 1) if chances[drawn] > 0]
        total = sum(chances)
        step = dp_accounting.dp_event.MixtureOfGaussiansDpEvent(
            noise_multiplier, [float(drawn) for drawn in kept], [chances[drawn] / total for drawn in kept]
        )
    return dp_accounting.SelfComposedDpEvent(step, steps)


def epsilon(priced: DpEvent, delta: float) -> float:
    """ε at δ by the PLD accountant, for adding or removing one unit: an upper bound on any loss grid."""
    few = getattr(priced, "count", MANY_STEPS) < MANY_STEPS
    accountant = PLDAccountant(value_discretization_interval=COARSE if few else FINE)
    return float(accountant.compose(priced).get_epsilon(delta))


def prv_epsilon(noise_multiplier: float, sampling_probability: float, steps: int, delta: float) -> float:
    """ε at δ by Opacus' PRV accountant, for a unit that owns one record."""
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sampling_probability, steps)]
    return float(accountant.get_epsilon(delta=delta))


def noise_multiplier_for(
    target_epsilon: float, delta: float, sampling_probability: float, steps: int, group_size: int = 1
) -> float:
    """The smallest noise multiplier, within TOLERANCE, whose run has ε <= target_epsilon at delta.

    ValueError where no noise multiplier up to MOST is enough.
    """

    def reached(noise_multiplier: float) -> float:
        return epsilon(event(noise_multiplier, sampling_probability, steps, group_size), delta)

    high = 1.0
    while reached(high) > target_epsilon:
        high *= 2
        if high > MOST:
            raise ValueError(
                f"epsilon = {target_epsilon}: no noise multiplier up to {MOST:g} is enough for {steps} steps"
            )
    while high > LEAST and reached(high / 2) <= target_epsilon:
        high /= 2
    logarithm = optimize.brentq(
        lambda x: math.log(reached(math.exp(x)) / target_epsilon),
        math.log(high / 2),
        math.log(high),
        xtol=TOLERANCE / 2,
    )
    return math.exp(logarithm + TOLERANCE)


def as_json(priced: DpEvent) -> dict[str, Any]:
    """The event as a ledger holds it. ValueError for a kind that a ledger does not know."""
    match priced:
        case dp_accounting.SelfComposedDpEvent():
            return {"kind": "self-composed", "count": priced.count, "event": as_json(priced.event)}
        case dp_accounting.PoissonSampledDpEvent():
            inner = as_json(priced.event)
            return {"kind": "poisson-sampled", "sampling_probability": priced.sampling_probability, "event": inner}
        case dp_accounting.GaussianDpEvent():
            return {"kind": "gaussian", "noise_multiplier": priced.noise_multiplier}
        case dp_accounting.dp_event.MixtureOfGaussiansDpEvent():
            return {
                "kind": "mixture-of-gaussians",
                "noise_multiplier": priced.standard_deviation,
                "sensitivities": [float(value) for value in priced.sensitivities],
                "probabilities": [float(value) for value in priced.sampling_probs],
            }
    raise ValueError(f"ledger: an event of kind {type(priced).__name__} has no place in it")
