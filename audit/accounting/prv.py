"""The privacy random variable accountant of Opacus: a certified bracket for Poisson-sampled Gaussians."""

from __future__ import annotations

from dp_accounting import dp_event

from audit.accounting.inputs import UnknownMechanismError
from audit.accounting.rdp import quiet
from audit.accounting.steps import leaves

EPS_ERROR = 0.01
"""Opacus' own default: half the width of its bracket."""


def epsilon(event: dp_event.DpEvent, delta: float) -> tuple[float, float, float]:
    """Lower bound, estimate and upper bound of epsilon (Gopi et al., arXiv 2106.02848), add-or-remove-one.

    Imports Opacus, and with it torch. Raises UnknownMechanismError for anything but Gaussian mechanisms,
    Poisson-sampled or not, and ArithmeticError where Opacus gives up (delta too small for its domain).
    """
    history = [_entry(leaf, count) for leaf, count in leaves(event)]
    with quiet():
        from opacus.accountants.prv import PRVAccountant

        accountant = PRVAccountant()
        accountant.history = history
        try:
            composed = accountant._get_dprv(eps_error=EPS_ERROR, delta_error=delta / 1000)
            lower, estimate, upper = composed.compute_epsilon(delta, delta / 1000, EPS_ERROR)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise ArithmeticError(f"Opacus gave no answer ({type(error).__name__})") from None
    return max(0.0, float(lower)), max(0.0, float(estimate)), max(0.0, float(upper))


def _entry(leaf: dp_event.DpEvent, count: int) -> tuple[float, float, int]:
    q, inner = 1.0, leaf
    if isinstance(leaf, dp_event.PoissonSampledDpEvent):
        q, inner = leaf.sampling_probability, leaf.event
    if not isinstance(inner, dp_event.GaussianDpEvent):
        raise UnknownMechanismError(f"prv cannot price {type(leaf).__name__}")
    return inner.noise_multiplier, q, count
