"""How much noise a target epsilon needs, for one record or for a unit that owns k of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dp_accounting import dp_event
from scipy import optimize

from audit.accounting.accountants import epsilon
from audit.accounting.bracket import Bracket
from audit.accounting.inputs import (
    AccountingInputError,
    UnknownMechanismError,
    require_count,
    require_delta,
    require_positive,
    require_probability,
)
from audit.accounting.mechanisms import composed, dp_sgd
from audit.accounting.prv import EPS_ERROR

_LEAST, _MOST = 1e-2, 1e7
_CERTIFIED_STEPS = 8
CALIBRATORS = ("pld", "contour", "prv", "rdp", "rdp-old")


def noise_multiplier_for(
    target_epsilon: float,
    delta: float,
    sampling_probability: float,
    steps: int,
    group_size: int = 1,
    accountant: str = "pld",
    beside: Sequence[dp_event.DpEvent] = (),
) -> float:
    """Smallest noise multiplier whose epsilon, as `accountant` states it, is at most `target_epsilon`.

    `beside` are mechanisms released with the training on the same records, whose cost is within the target.

    `contour` is the tight value; `pld` raises it until the certified bound is within the target too; `prv`
    is what Opacus' default would take, whose printed value lies 0.01 above the tight one; `rdp` and
    `rdp-old` are looser and group_size must be 1 for `rdp-old`. DP-SGD with Poisson sampling,
    add-or-remove-one. Raises AccountingInputError where nothing up to 1e7 reaches the target.
    """
    require_positive("target_epsilon", target_epsilon)
    require_delta(delta)
    require_probability("sampling_probability", sampling_probability)
    require_count("steps", steps)
    require_count("group_size", group_size)
    if accountant not in CALIBRATORS:
        raise AccountingInputError(f"accountant = {accountant!r}: expected one of {', '.join(CALIBRATORS)}")

    def priced(noise: float, by: str) -> float:
        training = dp_sgd(noise, sampling_probability, steps)
        event = composed([training, *beside]) if beside else training
        return epsilon(event, delta, group_size=group_size, accountant=by).upper

    def tight(noise: float) -> float:
        try:
            return priced(noise, "contour")
        except UnknownMechanismError:  # no quadrature fits; the certified bound is as tight, and slower
            return priced(noise, "pld")

    if accountant in ("rdp", "rdp-old"):
        return _smallest(lambda noise: priced(noise, accountant), target_epsilon)
    goal = target_epsilon - (EPS_ERROR if accountant == "prv" else 0.0)
    require_positive("target_epsilon, less the 0.01 that prv adds", goal)
    found = _smallest(tight, goal)
    return found if accountant != "pld" else _certified(lambda n: priced(n, "pld"), found, target_epsilon)


def epsilon_curve(
    noise_multiplier: float,
    sampling_probability: float,
    steps: int,
    delta: float,
    group_sizes: Iterable[int],
) -> list[Bracket]:
    """The bracket of epsilon(k) for every k in `group_sizes`: DP-SGD, Poisson sampling, add-or-remove-one.

    Contour below, certified PLD above; RDP of the mixture pair where PLD finds no finite bound.
    """
    event = dp_sgd(noise_multiplier, sampling_probability, steps)
    return [epsilon(event, delta, group_size=size) for size in group_sizes]


def _smallest(price: Callable[[float], float], target: float) -> float:
    """Root of price(noise) = target; price falls as noise grows."""
    low = high = 1.0
    while price(high) > target:
        low, high = high, high * 2
        if high > _MOST:
            raise AccountingInputError(
                f"target_epsilon = {target}: expected one that a noise multiplier below {_MOST:.0e} reaches"
            )
    while low > _LEAST and price(low) <= target:
        low, high = low / 2, low
    if low <= _LEAST:
        return high
    root = optimize.brentq(lambda noise: price(noise) - target, low, high, xtol=1e-9, rtol=1e-9)
    return float(root)


def _certified(price: Callable[[float], float], noise: float, target: float) -> float:
    """`noise` raised until the certified bound is within `target`: a few parts in 1e5."""
    excess = 1e-5
    for _ in range(_CERTIFIED_STEPS):
        if price(noise) <= target:
            return noise
        noise, excess = noise * (1 + excess), excess * 2
    raise AccountingInputError(f"target_epsilon = {target}: no certified bound reaches it near {noise:.6g}")
