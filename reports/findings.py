"""Findings, skips and checks as the report shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    """A finding or a skip with its check, a stable anchor and the claims it bears on (empty: all)."""

    anchor: str
    check: str
    question: str
    body: Json
    affected: tuple[Affected, ...]
    count: int


def findings(outcomes: Sequence[Json], claims: Sequence[Json]) -> list[tuple[str, list[Shown]]]:
    """(severity, findings) from the most severe, without the severities that have none."""
    all_of_them = _shown(outcomes, claims, "findings", "finding")
    grouped = [(level, [f for f in all_of_them if f.body["severity"] == level]) for level in SEVERITIES]
    return [(level, group) for level, group in grouped if group]


def skips(outcomes: Sequence[Json], claims: Sequence[Json]) -> list[Shown]:
    return _shown(outcomes, claims, "skips", "skip")


def _shown(outcomes: Sequence[Json], claims: Sequence[Json], key: str, prefix: str) -> list[Shown]:
    return [
        Shown(
            anchor=f"{prefix}-{outcome['check']}-{n}",
            check=outcome["check"],
            question=outcome["question"],
            body=body,
            affected=_affected(body["claims"], claims),
            count=len(body["claims"]),
        )
        for outcome in outcomes
        for n, body in enumerate(outcome[key], start=1)
    ]


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
