"""Many results as one page: the ε claimed beside the ε for one person, and check × audit; sortable in the browser."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

from markupsafe import Markup

from reports import wording
from reports.claims import Ladder, read_claims, scale_of
from reports.findings import findings
from reports.headline import person_rung
from reports.html import checked, environment
from reports.ladder_svg import Mark, mark_for
from reports.numbers import as_float, bracket, plural
from reports.scale import LogScale

Json = Mapping[str, Any]
GIVEN = {"private": "data of ", "corpus": "corpus ", "code": "code"}
SCRIPT = (files("reports") / "templates" / "sort.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Epsilon:
    """An ε as shown, what it sorts by, and its mark on the axis."""

    text: str
    key: float
    mark: Mark | None


@dataclass(frozen=True)
class Line:
    """One claim, in numbers."""

    label: str
    level: str
    claimed: Epsilon
    person: Epsilon
    corrected: Epsilon
    supposed: bool  # nobody measured how many records a person holds
    anchor: str
    waived: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """What one check answered about one paper."""

    status: str
    severity: str | None  # the worst, where something was found
    anchor: str
    waived: bool


class Audit(NamedTuple):
    """A result to show, its folder, and the link to its report (None: there is none), both as seen from the page."""

    result: Json
    folder: str
    link: str | None = None


@dataclass(frozen=True)
class Paper:
    """One result: the claim that stands for it, every claim, every check; `link` leads to its report."""

    id: str
    name: str  # the id, with the folder where several audits share the id
    folder: str
    given: str
    title: str
    link: str | None
    answer: str
    head: Line | None
    lines: tuple[Line, ...]
    statuses: Mapping[str, Status]
    counts: Mapping[str, int]


def render(audits: Sequence[Audit]) -> str:
    """The page; same input, same bytes.

    Raises:
        ReportError: another version of the format, or a part of it is missing.
    """
    for audit in audits:
        checked(audit.result, str)
    scale = scale_of([claim for audit in audits for claim in audit.result["claims"]])
    idents = Counter(audit.result["paper"]["id"] for audit in audits)
    papers = [_paper(audit, scale, alone=idents[audit.result["paper"]["id"]] == 1) for audit in audits]
    names = sorted({check for paper in papers for check in paper.statuses})
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    levels = {level: sum(paper.counts.get(level, 0) for paper in papers) for level in wording.LEVELS}
    waived = {check for paper in papers for line in paper.lines for check in line.waived}
    shown = {
        "papers": papers,
        "levels": levels,
        "waived": waived,
        "any_waived": any(status.waived for paper in papers for status in paper.statuses.values()),
        "answer": wording.answer(levels, waived=waived)[1],
        "checks": names,
        "scale": scale,
        "words": wording,
        "ranks": {level: rank for rank, level in enumerate((*wording.SEVERITIES, "failed", "skipped", "clean", None))},
        "script": Markup(SCRIPT),  # noqa: S704 (our own file)
        "policy": Markup(f"script-src 'sha256-{digest}'; "),  # noqa: S704
    }
    return environment().get_template("index.html.j2").render(shown)


def _paper(audit: Audit, scale: LogScale, *, alone: bool) -> Paper:
    result, ident = audit.result, audit.result["paper"]["id"]
    shown, head, _ = read_claims(result["claims"], scale)
    levels = {level: sum(item.level == level for item in shown) for level in wording.LEVELS}
    return Paper(
        id=ident,
        name=ident if alone or audit.folder == ident else f"{ident} ({audit.folder})",
        folder=audit.folder,
        given=given(result["provenance"]["inputs"]),
        title=result["paper"]["title"],
        link=audit.link,
        answer=" ".join(wording.answer(levels)),
        head=_line(head, scale) if head else None,
        lines=tuple(_line(item, scale) for item in shown),
        statuses=_statuses(result),
        counts={level: count for level, count in levels.items() if count},
    )


def given(inputs: Iterable[str]) -> str:
    """What an audit was given beside the card, from the names of its inputs, as "data of yelp, 2 ledgers"."""
    kinds = [name.partition(" ")[::2] for name in inputs]
    ledgers = sum(kind == "ledger" for kind, _ in kinds)
    told = [f"{GIVEN[kind]}{name}" for kind, name in kinds if kind in GIVEN]
    return ", ".join([*told, *([plural(ledgers, "ledger")] if ledgers else [])]) or "the card alone"


def _line(item: Ladder, scale: LogScale) -> Line:
    claimed, person = as_float(item.claim["epsilon"]), person_rung(item)
    return Line(
        label=item.claim["label"],
        level=item.level,
        claimed=Epsilon(item.claimed, claimed, Mark("ring", scale.at(claimed), scale.at(claimed))),
        person=_epsilon(person, scale, claimed),
        corrected=_epsilon(item.corrected, scale, claimed),
        supposed=person is not None and person["id"] == "person-k2",
        anchor=item.anchor,
        waived=item.waived,
    )


def _epsilon(rung: Json | None, scale: LogScale, claimed: float) -> Epsilon:
    """An unknown ε sorts before every known one; brackets sort by their upper end, then their lower."""
    if rung is None:
        return Epsilon("not known", -1.0, None)
    lower, upper = as_float(rung["epsilon_lower"]), as_float(rung["epsilon_upper"])
    key = min(upper, 1e9) + min(lower, 1e9) / 1e12
    return Epsilon(bracket(lower, upper), key, mark_for(rung, scale, claimed))


def _statuses(result: Json) -> dict[str, Status]:
    found = findings(result["outcomes"], result["claims"])
    worst: dict[str, tuple[str | None, str]] = {}
    for severity, groups in reversed(found):
        worst |= {group.check: (severity, group.anchor) for group in groups}
    made = {}
    for outcome in result["outcomes"]:
        level, anchor = worst.get(
            outcome["check"], (None, f"skip-{outcome['check']}" if outcome["skips"] else "checks")
        )
        made[outcome["check"]] = Status(outcome["status"], level, anchor, outcome.get("waiver") is not None)
    return made
