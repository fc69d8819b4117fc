"""The first screen's numbers, claimed, for one person, corrected; and what each leaves an attack."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports import wording
from reports.claims import Ladder
from reports.numbers import as_float, bracket, delta

Json = Mapping[str, Any]
RATES = (("0.001", "0.1\u00a0%"), ("0.01", "1\u00a0%"))  # key in the result, as people write it


@dataclass(frozen=True)
class Step:
    """One of the numbers at the head of the page."""

    name: str
    value: str
    level: str  # colours it; "" leaves it in ink
    warning: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Meaning:
    """What one ε leaves an attack: limits in words, and where they come from."""

    name: str
    value: str
    unit: str
    odds: str
    advantage: str
    found: tuple[str, ...]  # at each of RATES
    source: str


def person_rung(ladder: Ladder) -> Json | None:
    """The rung for the person with most records that could be computed, None where there is none."""
    priced = [r for r in ladder.claim["ladder"] if r["id"].startswith("person-") and r["unavailable"] is None]
    return priced[-1] if priced else None


def steps(head: Ladder, measured: Json | None = None) -> tuple[Step, ...]:
    """Claimed, for one person, corrected; two of them where the corrected ε is the person's.

    `measured` is the file that records per person were counted in, None where none was given.
    """
    claim, person, last = head.claim, person_rung(head), head.corrected
    claimed = Step(
        "claimed ε", head.claimed, "", None, _notes(claim["privacy_unit"] or "privacy unit not stated", claim)
    )
    if last is not None and last is person:
        return claimed, _step("corrected ε, for one person", last, head.level, *_caveats(last, measured))
    for_person = _step("ε for one person", person, "", *_caveats(person, measured)) if person else _unmeasured(head)
    if last is None:
        return claimed, for_person, _unknown()
    counted = measured if last["epsilon_upper"] != "inf" else None  # more records cannot make ∞ worse
    more = _caveats(person, counted) if person and last["privacy_unit"] == person["privacy_unit"] else ()
    return claimed, for_person, _step("corrected ε", last, "" if head.waived else head.level, *more)


def _caveats(person: Json, measured: Json | None) -> tuple[str, ...]:
    """Two records are supposed where nobody measured; those counted in another file than the whole say in which."""
    if person["id"] == "person-k2":
        return ("supposed, not measured",)
    if person["id"] == "person-assumed" or measured is None or measured["identity"]["verdict"] == "named dataset":
        return ()
    identity = measured["identity"]
    if identity["verdict"] == "sample" and identity["published_records"] is not None:
        of = f"{identity['records']:,} of {identity['published_records']:,} records"
        return (f"in a sample of {of}; the whole can hold more",)
    return (f"in a file of {identity['records']:,} records not known to be the data set",)


def _step(name: str, rung: Json, level: str, *more: str) -> Step:
    lower, upper = as_float(rung["epsilon_lower"]), as_float(rung["epsilon_upper"])
    value = bracket(lower, upper)
    return Step(
        name=name,
        value="not known" if value == "no bound" else value,
        level=level,
        warning=wording.warning(lower, upper),
        notes=(rung["label"], *more, *_notes(rung["privacy_unit"], rung)),
    )


def _notes(unit: str, dated: Json) -> tuple[str, ...]:
    return (unit, f"δ = {delta(dated['delta'])}") if dated["delta"] else (unit,)


def _unmeasured(head: Ladder) -> Step:
    missing = [r["unavailable"] for r in head.claim["ladder"] if r["id"].startswith("person-")]
    return Step("ε for one person", "not known", "unknown", None, (missing[0] if missing else "not computed",))


def _unknown() -> Step:
    return Step("corrected ε", "not known", "unknown", None, ("no rung could be computed",))


def meanings(head: Ladder | None) -> list[Meaning]:
    """What the claimed, the person's and the corrected ε leave an attack; nothing without a claim."""
    if head is None:
        return []
    claim, person, last = head.claim, person_rung(head), head.corrected
    unit = claim["privacy_unit"] or "not stated"
    training = _claimed_training(claim)
    columns = [_meaning("As claimed", head.claimed, unit, as_float(claim["epsilon"]), claim["delta"], training)]
    for name, rung in (("For one person", person if person is not last else None), ("Corrected", last)):
        if rung is not None:
            upper = as_float(rung["epsilon_upper"])
            value = bracket(as_float(rung["epsilon_lower"]), upper)
            columns.append(_meaning(name, value, rung["privacy_unit"], upper, rung["delta"], rung))
    return columns


def _claimed_training(claim: Json) -> Json:
    """The rung of the stated training where it bears the claim out: its curve then says what the claim leaves."""
    limit = 1.01 * as_float(claim["epsilon"])
    rungs = (r for r in claim["ladder"] if r["id"] == "recomputed" and r["unavailable"] is None)
    return next((r for r in rungs if as_float(r["epsilon_upper"]) <= limit), {})


def _meaning(name: str, value: str, unit: str, epsilon: float, delta: float | None, rung: Json) -> Meaning:
    curve = rung.get("attack")
    if curve is None:
        advantage = wording.advantage_cap(epsilon, delta or 0.0)
        found = [wording.attack_cap(epsilon, delta or 0.0, float(rate)) for rate, _ in RATES]
    else:
        advantage = float(curve["advantage"])
        found = [float(curve["tpr_at_fpr"][rate]) for rate, _ in RATES]
    shares = tuple(wording.limit(share) for share in found)
    source = "whole curve" if curve and "curve" in curve["source"] else "point" if epsilon < math.inf else "nothing"
    return Meaning(
        name, value, unit, wording.odds(epsilon), wording.limit(advantage), shares, wording.LIMITS_FROM[source]
    )
