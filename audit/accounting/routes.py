"""Each accountant as a route: what it says about one question, or why it cannot answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from dp_accounting import dp_event
from dp_accounting.privacy_accountant import NeighboringRelation

from audit.accounting import contour, pld, pld_library, prv, rdp, rdp_mixture
from audit.accounting.bracket import Route
from audit.accounting.contour_nodes import UnsuitablePairError
from audit.accounting.gdp import gaussian_epsilon
from audit.accounting.inputs import UnknownMechanismError
from audit.accounting.pairs import GaussianPair, Parts, directions
from audit.accounting.steps import ADD_OR_REMOVE_ONE, REPLACE_ONE, NoPairError, leaves, steps_of

NOT_CERTIFIED = "contour"
_DROP_SHARE = 1e-7
_FEW_STEPS = 1000
_MANY_SHIFTS = 600


@dataclass(frozen=True, eq=False)
class Question:
    """How much `event` costs a unit of `group_size` records at `delta` under `relation`."""

    event: dp_event.DpEvent
    delta: float
    group_size: int
    relation: NeighboringRelation

    @property
    def modest_directions(self) -> tuple[Parts, ...]:
        """`directions`, for routes whose cost grows with the number of shifts; refuses thousands of them."""
        mixtures = [pair for parts in self.directions for pair, _ in parts if isinstance(pair, GaussianPair)]
        shifts = max((len(pair.upper.shifts + pair.lower.shifts) for pair in mixtures), default=0)
        if shifts > _MANY_SHIFTS:
            raise UnsuitablePairError(f"a mixture of {shifts} shifts is beyond the budget of {_MANY_SHIFTS}")
        return self.directions

    @cached_property
    def directions(self) -> tuple[Parts, ...]:
        """The composed dominating pairs; NoPairError where a step has none."""
        count = sum(count for _, count in leaves(self.event))
        drop = max(self.delta * _DROP_SHARE / max(count, 1), 1e-300)
        return directions(steps_of(self.event, self.group_size, self.relation, drop))


def contour_route(question: Question) -> Route:
    """The saddle-point quadrature: a number on both sides, not certified.

    A direction it cannot integrate counts from above only, by its Chernoff bound.
    """
    lower = upper = 0.0
    reason: UnsuitablePairError | None = None
    for parts in question.modest_directions:
        try:
            value = float(contour.epsilon(parts, question.delta))
            lower, upper = max(lower, value), max(upper, value)
        except UnsuitablePairError as error:
            reason, upper = error, max(upper, contour.chernoff_epsilon(parts, question.delta))
    if lower == 0 and reason is not None:
        raise reason
    return Route(NOT_CERTIFIED, lower, upper)


def pld_route(question: Question) -> Route:
    """Connect-the-dots on our lattice, or in dp_accounting where a mechanism has no pair here."""
    try:
        upper = pld.epsilon_of_all(question.modest_directions, question.delta)
        return Route("pld", 0.0, upper)
    except NoPairError:
        _require_single(question)
        upper = pld_library.epsilon(question.event, question.delta, question.relation)
        return Route("pld (dp_accounting)", 0.0, upper)


def rounded_down_route(question: Question) -> Route:
    """Certified lower bound by losses rounded down: for few steps, where the contour has no answer."""
    if sum(count for _, count in question.directions[0]) > _FEW_STEPS:
        raise UnsuitablePairError("rounding losses down says little about so many steps")
    lower = max(pld.epsilon_lower(parts, question.delta, accuracy=3e-3) for parts in question.directions)
    return Route("pld rounded down", lower, math.inf)


def unsampled_route(question: Question) -> Route:
    """All of the unit's records in every step: an upper bound that needs no sampling, so never fails.

    A step is a mixture of shifts up to the unit's largest, and no mixture shows more than that shift.
    """
    means, dropped = [0.0], 0.0
    for parts in question.directions:
        squares = 0.0
        for pair, count in parts:
            if not isinstance(pair, GaussianPair):
                raise NoPairError("without sampling: expected Gaussian pairs")
            farthest = max(map(abs, pair.upper.shifts)) + max(map(abs, pair.lower.shifts))
            squares += count * (farthest / pair.noise) ** 2
            dropped += count * pair.dropped
        means.append(squares)
    if dropped >= question.delta:
        return Route("every record in every step", 0.0, math.inf)
    upper = gaussian_epsilon(math.sqrt(max(means)), question.delta - dropped)
    return Route("every record in every step", 0.0, upper)


def rdp_route(question: Question) -> Route:
    """dp_accounting's RDP for one record; RDP of the mixture pair for groups and fixed-size batches."""
    try:
        _require_single(question)
        return Route("rdp", 0.0, rdp.epsilon(question.event, question.delta, question.relation))
    except UnknownMechanismError:
        upper = max(rdp_mixture.epsilon(parts, question.delta) for parts in question.modest_directions)
        return Route("rdp of the mixture pair", 0.0, upper)


def gaussian_route(question: Question) -> Route:
    """The closed form, where every step is one Gaussian against another."""
    mean = 0.0
    for pair, count in question.directions[0]:
        if not isinstance(pair, GaussianPair) or len(pair.upper.shifts) != 1 or len(pair.lower.shifts) != 1:
            raise NoPairError("closed form: expected Gaussian mechanisms without sampling")
        mean += count * ((pair.upper.shifts[0] - pair.lower.shifts[0]) / pair.noise) ** 2
    value = gaussian_epsilon(math.sqrt(mean), question.delta)
    return Route("gaussian (closed form)", value, value)


def rdp_old_route(question: Question) -> Route:
    """RDP with the conversion of 2016-2021."""
    _require_single(question)
    return Route("rdp-old", 0.0, rdp.epsilon_old(question.event, question.delta, question.relation))


def prv_route(question: Question) -> Route:
    """Opacus' PRV accountant: a bracket of its own."""
    _require_single(question)
    if question.relation is REPLACE_ONE:
        raise UnknownMechanismError(f"prv: expected {ADD_OR_REMOVE_ONE.name}, got {question.relation.name}")
    lower, _, upper = prv.epsilon(question.event, question.delta)
    return Route("prv", lower, upper)


def _require_single(question: Question) -> None:
    if question.group_size != 1:
        raise NoPairError(f"group_size = {question.group_size}: this accountant prices one record only")


ROUTES: dict[str, Callable[[Question], Route]] = {
    "gaussian": gaussian_route,
    "rounded-down": rounded_down_route,
    "unsampled": unsampled_route,
    "pld": pld_route,
    "rdp": rdp_route,
    "prv": prv_route,
    "contour": contour_route,
    "rdp-old": rdp_old_route,
}
