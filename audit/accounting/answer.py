"""The answer `audit epsilon` prints, as plain data."""

from __future__ import annotations

import math
from typing import Any

from dp_accounting import dp_event
from dp_accounting.privacy_accountant import NeighboringRelation

from audit.accounting.bracket import Bracket
from audit.accounting.inputs import AccountingInputError, UnknownMechanismError
from audit.accounting.routes import Question
from audit.accounting.sampling import Schedule, epsilon_for_sampler, upper_event
from audit.accounting.steps import is_not_private
from audit.accounting.tradeoff import Attack, attack_from_curve, attack_from_point

RELATIONS = {
    "add-or-remove-one": NeighboringRelation.ADD_OR_REMOVE_ONE,
    "replace-one": NeighboringRelation.REPLACE_ONE,
    "replace-special": NeighboringRelation.REPLACE_SPECIAL,
}
MEANINGLESS = 50.0
"""Epsilon above which the text says "no meaningful guarantee"."""


def answer(
    schedule: Schedule,
    noise_multiplier: float,
    delta: float,
    *,
    group_size: int = 1,
    neighboring_relation: str = "add-or-remove-one",
    accountant: str = "all",
) -> dict[str, Any]:
    """Bracket, routes and meaning of one setting; infinity is the string "inf"; numbers are not rounded.

    `tpr_at_fpr` maps "0.001" and "0.01" to the largest true-positive rate any attack can have, `advantage`
    is the largest TPR - FPR: certified bounds from the curve of delta where the mechanism has one, else
    from the point (epsilon_upper, delta). Raises AccountingInputError, one line, for impossible inputs.
    """
    if neighboring_relation not in RELATIONS:
        expected = ", ".join(RELATIONS)
        raise AccountingInputError(f"neighboring_relation = {neighboring_relation!r}: expected one of {expected}")
    relation = RELATIONS[neighboring_relation]
    bracket = epsilon_for_sampler(
        schedule,
        noise_multiplier,
        delta,
        group_size=group_size,
        neighboring_relation=relation,
        accountant=accountant,
    )
    event, size = upper_event(schedule, noise_multiplier, group_size)
    attack = attack_on(event, delta, size, relation, bracket)
    return {
        "epsilon_lower": number(bracket.lower),
        "epsilon_upper": number(bracket.upper),
        "delta": delta,
        "group_size": int(group_size),
        "neighboring_relation": neighboring_relation,
        "sampler": schedule.sampler,
        "method": bracket.method,
        "assumptions": list(bracket.assumptions),
        "routes": [
            {"method": route.method, "lower": number(route.lower), "upper": number(route.upper)}
            for route in bracket.routes
        ],
        "advantage": attack.advantage,
        "tpr_at_fpr": {str(rate): value for rate, value in attack.tpr_at_fpr.items()},
    }


def attack_on(
    event: dp_event.DpEvent, delta: float, group_size: int, relation: NeighboringRelation, bracket: Bracket
) -> Attack:
    """The bounds on attacks: from the curve where the event has pairs, else from the bracket's upper end."""
    if math.isinf(bracket.upper) or is_not_private(event):
        return attack_from_point(math.inf, delta)
    if bracket.method == "definition":
        return attack_from_point(0.0, 0.0)
    try:
        return attack_from_curve(Question(event, delta, group_size, relation).directions)
    except UnknownMechanismError:
        return attack_from_point(bracket.upper, delta)


def number(value: float) -> float | str:
    """`value` as JSON can hold it: infinity becomes "inf"."""
    return "inf" if math.isinf(value) else float(value)
