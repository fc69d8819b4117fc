"""Findings, skips and checks as the report shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.fingerprint import fingerprints
from reports.numbers import as_float, number
from reports.wording import SEVERITIES

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Affected:
    """The claims of one mechanism that something bears on."""

    mechanism: str
    whole: bool
    where: tuple[str, ...]  # "spam (ε = 3, 8)"


@dataclass(frozen=True)
class Shown:
    """A finding with a stable anchor and the claims it bears on (none: the paper as a whole)."""

    anchor: str
    body: Json
    affected: tuple[Affected, ...]
    count: int


@dataclass(frozen=True)
class Group:
    """What one check says at one severity; `remedy` where all of it shares one."""

    anchor: str
    check: str
    question: str
    items: tuple[Shown, ...]
    remedy: str | None
    waiver: Json | None  # that holds for it


@dataclass(frozen=True)
class Stopped:
    """A check that something open stops; its anchor stands at its first."""

    anchor: str
    check: str
    question: str


@dataclass(frozen=True)
class Open:
    """Why something could not be judged, and the checks it stops."""

    anchor: str
    body: Json
    checks: tuple[Stopped, ...]
    affected: tuple[Affected, ...]
    count: int


def findings(outcomes: Sequence[Json], claims: Sequence[Json]) -> list[tuple[str, list[Group]]]:
    """(severity, one group a check) from the most severe, without the severities that have none."""
    names = fingerprints(outcomes, claims)
    graded = [(level, [g for o in outcomes if (g := _group(o, level, names, claims))]) for level in SEVERITIES]
    return [(level, groups) for level, groups in graded if groups]


def _group(outcome: Json, level: str, names: Mapping[tuple[str, int], str], claims: Sequence[Json]) -> Group | None:
    check = outcome["check"]
    items = tuple(
        _shown(f"finding-{check}-{names[check, place][:8]}", body, claims)
        for place, body in enumerate(outcome["findings"])
        if body["severity"] == level
    )
    if not items:
        return None
    remedies = {item.body["remedy"] for item in items}
    shared = remedies.pop() if len(remedies) == 1 else None
    return Group(f"{level}-{check}", check, outcome["question"], items, shared, outcome.get("waiver"))


def skips(outcomes: Sequence[Json], claims: Sequence[Json]) -> list[Open]:
    """What could not be judged, each reason once with the checks it stops; in the order of the checks."""
    grouped: dict[tuple[str, ...], list[tuple[str, str, Json]]] = {}
    for outcome in outcomes:
        for body in outcome["skips"]:
            key = (body["reason"], body["needs"], *body["claims"])
            grouped.setdefault(key, []).append((outcome["check"], outcome["question"], body))
    made, named = [], set[str]()
    for n, group in enumerate(grouped.values(), start=1):
        stopped = tuple(Stopped("" if c in named else f"skip-{c}", c, q) for c, q, _ in group)
        named |= {check for check, _, _ in group}
        body = group[0][2]
        made.append(Open(f"open-{n}", body, stopped, _affected(body["claims"], claims), len(body["claims"])))
    return made


def counted(graded: Sequence[tuple[str, Sequence[Group]]]) -> dict[str, int]:
    """Severity -> number of findings."""
    return {level: sum(len(group.items) for group in groups) for level, groups in graded}


def _shown(anchor: str, body: Json, claims: Sequence[Json]) -> Shown:
    return Shown(anchor, body, _affected(body["claims"], claims), len(body["claims"]))


def _affected(idents: Sequence[str], claims: Sequence[Json]) -> tuple[Affected, ...]:
    named = set(idents)
    hit = [c for c in claims if c["id"] in named]
    known = tuple(_of_mechanism(m, hit, claims) for m in dict.fromkeys(c["mechanism"] for c in hit))
    strangers = tuple(sorted(named - {c["id"] for c in claims}))
    return known + ((Affected("other claims", False, strangers),) if strangers else ())


def _of_mechanism(mechanism: str, hit: Sequence[Json], claims: Sequence[Json]) -> Affected:
    mine = [c for c in hit if c["mechanism"] == mechanism]
    whole = len(mine) == sum(c["mechanism"] == mechanism for c in claims)
    where = []
    for dataset in dict.fromkeys(c["dataset"] for c in mine):
        epsilons = sorted({as_float(c["epsilon"]) for c in mine if c["dataset"] == dataset})
        where.append(f"{dataset} (ε = {', '.join(number(e) for e in epsilons)})")
    return Affected(mechanism, whole, tuple(where))
