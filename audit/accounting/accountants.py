"""The one question of this package: how much epsilon does an event cost?"""

from __future__ import annotations

import math
from collections.abc import Iterable

from dp_accounting import dp_event
from dp_accounting.privacy_accountant import NeighboringRelation

from audit.accounting.bracket import Bracket, Route
from audit.accounting.fixed_size import ASSUMPTION as FIXED_SIZE
from audit.accounting.inputs import (
    AccountingInputError,
    UnknownMechanismError,
    require_count,
    require_delta,
)
from audit.accounting.routes import NOT_CERTIFIED, ROUTES, Question
from audit.accounting.steps import ADD_OR_REMOVE_ONE, is_not_private, leaves

ACCOUNTANTS = ("all", "pld", "rdp", "prv", "contour", "rdp-old")
_ALL = ("gaussian", "contour", "pld", "rdp", "unsampled", "rounded-down")
_TIGHT = ("pld", "prv")
_NEXT_TO_NOTHING = 1e-6
TOLERANCE = 1e-4
"""How far the lower route may pass an upper bound, relative to epsilon (1e-6 absolute), before they disagree."""
GAP = 0.01
"""How far a tight upper bound may lie above the lower route, relative to epsilon (0.01 absolute)."""


def epsilon(
    event: dp_event.DpEvent,
    delta: float,
    *,
    group_size: int = 1,
    neighboring_relation: NeighboringRelation = ADD_OR_REMOVE_ONE,
    accountant: str = "all",
) -> Bracket:
    """Bracket of the epsilon that `event` costs a unit owning `group_size` records, at `delta`.

    `all` takes the certified upper bounds (PLD by connect-the-dots, RDP) and the contour quadrature as the
    independent lower route; the single names are `pld`, `rdp`, `rdp-old` (upper bounds: lower is 0), `prv`
    (Opacus, a bracket; imports torch) and `contour` (an estimate on both sides). Noise multipliers are
    relative to the clip norm under every relation. Raises AccountingInputError for impossible inputs and
    its subclass UnknownMechanismError for an event that no chosen route can price.
    """
    require_delta(delta)
    require_count("group_size", group_size)
    if accountant not in ACCOUNTANTS:
        raise AccountingInputError(f"accountant = {accountant!r}: expected one of {', '.join(ACCOUNTANTS)}")
    if is_not_private(event):
        return Bracket(math.inf, math.inf, "definition", ("a release without noise: no finite epsilon",))
    if not any(True for _ in leaves(event)):
        return Bracket(0.0, 0.0, "definition", ("nothing is released that depends on the unit",))
    question = Question(event, delta, int(group_size), neighboring_relation)
    names = _ALL if accountant == "all" else (accountant,)
    return combine(_answers(question, names), _assumptions(question))


def _answers(question: Question, names: tuple[str, ...]) -> list[Route]:
    """The routes that answer; where none bounds epsilon from above, the first reason is raised."""
    routes: list[Route] = []
    reasons: list[Exception] = []
    for name in names:
        if not _is_needed(name, question, routes):
            continue
        try:
            routes.append(ROUTES[name](question))
        except (UnknownMechanismError, ArithmeticError) as error:
            reasons.append(error)
    if not routes or (len(names) > 1 and not any(map(_is_certified_above, routes))):
        raise _refusal(reasons[0]) from None
    return routes


def _refusal(reason: Exception) -> UnknownMechanismError:
    return reason if isinstance(reason, UnknownMechanismError) else UnknownMechanismError(str(reason))


def _is_needed(name: str, question: Question, routes: list[Route]) -> bool:
    """Whether a fall-back still has something to add to what `routes` say."""
    finite = any(route.upper < math.inf for route in routes if _is_certified_above(route))
    if name == "unsampled" or (name == "rdp" and question.group_size > 1):
        return not finite
    if name == "rounded-down":
        return (
            finite
            and all(route.lower == 0 for route in routes)
            and all(route.upper > _NEXT_TO_NOTHING for route in routes)
        )
    return True


def _is_certified_above(route: Route) -> bool:
    return route.method != NOT_CERTIFIED


def _assumptions(question: Question) -> tuple[str, ...]:
    sampled = (isinstance(leaf, dp_event.SampledWithoutReplacementDpEvent) for leaf, _ in leaves(question.event))
    return (FIXED_SIZE,) if any(sampled) and question.relation is ADD_OR_REMOVE_ONE else ()


def combine(routes: list[Route], assumptions: tuple[str, ...] = ()) -> Bracket:
    """One bracket from several routes; where they contradict each other it spans them and says so.

    The certified bounds come first; the contour gives the lower end where no certified route has one.
    """
    certified = [route for route in routes if _is_certified_above(route)] or routes
    best = min(certified, key=lambda route: route.upper)
    proven = max(certified, key=lambda route: route.lower)
    lowest = proven if proven.lower > 0 else max(routes, key=lambda route: route.lower)
    highest = max(routes, key=lambda route: route.lower)
    if not _agree(highest.lower, best.upper, best.method in _TIGHT and highest.lower > 0):
        return _disagreement(routes, highest, best, assumptions)
    notes = tuple(_notes(routes, lowest, best))
    method = best.method if lowest.lower == 0 or lowest is best else f"{best.method} (upper), {lowest.method} (lower)"
    return Bracket(min(lowest.lower, best.upper), best.upper, method, (*assumptions, *notes), tuple(routes))


def _disagreement(routes: list[Route], lowest: Route, best: Route, assumptions: tuple[str, ...]) -> Bracket:
    """The bracket that spans every bound the routes gave, and the note that says it does."""
    values = [value for route in routes for value in (route.lower, route.upper) if value > 0]
    note = (
        f"the routes disagree beyond the tolerance: {lowest.method} finds at least {lowest.lower:.6g}, "
        f"{best.method} at most {best.upper:.6g}"
    )
    return Bracket(min(values), max(values), "routes disagree", (*assumptions, note), tuple(routes), agree=False)


def _agree(lower: float, upper: float, tight: bool) -> bool:
    if lower > upper * (1 + TOLERANCE) + 1e-6:
        return False
    return not tight or math.isinf(upper) or upper <= lower * (1 + GAP) + GAP


def _notes(routes: list[Route], lowest: Route, best: Route) -> Iterable[str]:
    if NOT_CERTIFIED in (lowest.method, best.method):
        yield "the contour value is a quadrature: accurate, not certified"
    elif lowest.lower == 0 and best.upper > 0:
        yield "upper bound only: no independent route bounds it from below"
    if math.isinf(best.upper):
        yield "no finite upper bound was found by " + ", ".join(route.method for route in routes)
