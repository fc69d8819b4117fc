"""A privacy statement to paste into a paper: what the claim covers and what it does not, in the figures of an audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.numbers import as_float, bracket, delta, number

Json = Mapping[str, Any]
RELATIONS = {
    "add-or-remove-one": "adding or removing one",
    "replace-one": "replacing one",
    "replace-special": "replacing one by an empty one",
}
RECORD_RUNGS = ("recomputed", "steps-as-run", "sampler-as-coded")


def statement(claim: Json, claims: Sequence[Json], outcomes: Sequence[Json]) -> str:
    """One paragraph for one of the `claims`.

    It claims no more than the ladder proves, and names what was not computed and what was found against the claim.
    """
    return " ".join((*_sentences(claim), *_found(claim, len({c["mechanism"] for c in claims}) == 1, outcomes)))


def _sentences(claim: Json) -> Iterator[str]:
    rungs = {rung["id"]: rung for rung in claim["ladder"] if rung["unavailable"] is None}
    unit = claim["privacy_unit"] or "one record (the unit is not stated)"
    relation = RELATIONS[claim["ladder"][0]["neighboring_relation"]]
    at = f" at δ = {delta(claim['delta'])}" if claim["delta"] is not None else ", with a δ that is not stated"
    yield (
        f"For {claim['mechanism']} on {claim['dataset']}, differential privacy is claimed with "
        f"ε = {number(as_float(claim['epsilon']))}{at}; the privacy unit is {unit}, neighbours differ by {relation}."
    )
    if claim["verdict_level"] == "broken":
        yield f"By this audit the claim does not hold: {claim['verdict']}"
    elif claim.get("waived"):
        yield claim["verdict"]
    record = [rungs[name] for name in RECORD_RUNGS if name in rungs]
    of = "ε of the training alone" if "channels" in rungs else "ε"
    if record and claim["noise_multiplier_derived"]:
        yield (
            "The noise multiplier is not stated; with the smallest that would give the claim as accounted, "
            f"{of} for one such unit is {_value(record[-1])}."
        )
    elif record:
        yield f"Recomputed from the training as described, {of} for one such unit is {_value(record[-1])}."
    else:
        yield "It could not be recomputed from what is stated."
    yield from _person(claim, rungs)
    if "preprocessing" in rungs:
        person = any(name.startswith("person-") for name in rungs)
        whose = "that person" if person else rungs["preprocessing"]["privacy_unit"]
        yield f"With the preprocessing of the data, ε for {whose} is {_value(rungs['preprocessing'])}."
    for name in ("selection", "channels"):
        if name in rungs:
            yield f"Not covered: {rungs[name]['assumption'].rstrip('.')}."


def _person(claim: Json, rungs: Mapping[str, Json]) -> Iterator[str]:
    people = [rung for name, rung in rungs.items() if name.startswith("person-")]
    if not people:
        if "person" not in (claim["privacy_unit"] or ""):
            yield "ε for all records of one person was not computed."
        return
    last = people[-1]
    size = last["group_size"]
    if last["id"] == "person-k2":
        yield (
            "How many records one person holds was not measured; for a person with 2 records ε would be "
            f"{_value(last)}."
        )
    else:
        yield f"One person holds up to {size:,} records in the data measured; for that person ε is {_value(last)}."


def _found(claim: Json, alone: bool, outcomes: Sequence[Json]) -> Iterator[str]:
    """What stands against the claim and is not waived; a finding that names no claim bears on an only mechanism."""
    for severity in ("high", "medium"):
        checks = [
            outcome["check"]
            for outcome in outcomes
            if not outcome.get("waiver")
            and any(
                found["severity"] == severity and (claim["id"] in found["claims"] or (alone and not found["claims"]))
                for found in outcome["findings"]
            )
        ]
        if checks:
            yield f"Not covered: what the audit found of {severity} severity ({', '.join(checks)})."


def _value(rung: Json) -> str:
    lower, upper = as_float(rung["epsilon_lower"]), as_float(rung["epsilon_upper"])
    text = bracket(lower, upper).replace(" – ", " to ").replace("≥ ", "at least ")
    return {"∞": "not finite", "no bound": "not bounded"}.get(text, text)
