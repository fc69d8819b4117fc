"""A result's JSON as the page needs it. The template shows what stands here and decides nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reports import wording
from reports.checklist import STATES, answers
from reports.claims import Ladder, badness, mechanism_sections, read_claims, scale_of
from reports.curve_svg import curve_for
from reports.findings import counted, findings, skips
from reports.headline import RATES, meanings, steps
from reports.numbers import as_float
from reports.overlap import searches
from reports.probes import probe_tables
from reports.quote import quotes
from reports.runs import run_tables
from reports.statement import statement

Json = Mapping[str, Any]


def view(result: Json) -> dict[str, Any]:
    """Everything the page shows, in the page's order."""
    claims = result["claims"]
    scale = scale_of(claims)
    shown, head, notes = read_claims(claims, scale)
    levels = {level: sum(item.level == level for item in shown) for level in wording.LEVELS}
    waived = {check for item in shown for check in item.waived}
    found, unjudged = findings(result["outcomes"], claims), skips(result["outcomes"], claims)
    anchors = {stop.check: stop.anchor for item in unjudged for stop in item.checks if stop.anchor}
    anchors |= {group.check: group.anchor for _, groups in reversed(found) for group in groups}
    return {
        "words": wording,
        "result": result,
        "paper": result["paper"],
        "arxiv_url": arxiv_url(result["paper"]["arxiv"]),
        "answer": wording.answer(
            levels,
            person=_person_known(head),
            scripts=_from_scripts(claims),
            waived=waived,
        ),
        "levels": levels,
        "waived": waived,
        "claims": shown,
        "head": head,
        "steps": steps(head, _measured(head.claim, result["data"])) if head else (),
        "meanings": meanings(head),
        "rates": [name for _, name in RATES],
        "spread": _spread(shown),
        "scale": scale,
        "sections": mechanism_sections(shown),
        "notes": notes.items(),
        "curves": _curves(shown, head, result["data"]),
        "findings": found,
        "counted": counted(found),
        "counted_waived": counted([(level, [g for g in groups if g.waiver]) for level, groups in found]),
        "skips": unjudged,
        "anchors": anchors,  # check -> its most severe findings, else what stops it
        "outcomes": result["outcomes"],
        "statuses": Counter(o["status"] for o in result["outcomes"]),
        "observations": _by_kind(result["paper"]["observations"]),
        "data": result["data"],
        "runs": run_tables(result) if result.get("runs") else [],
        "probes": probe_tables(result.get("probes", ())),
        "overlaps": searches(result),
        "waivers": result.get("waivers", []),
        "publication": answers(result["outcomes"]),
        "publication_states": STATES,
        "statement": statement(head.claim, claims, result["outcomes"]) if head else None,
        "provenance": result["provenance"],
        "version": result["version"],
        "quotes": quotes(result["paper"], result["provenance"], head),
    }


def _from_scripts(claims: Sequence[Json]) -> bool:
    """Is every claim known from released scripts alone, as their wording says?"""
    return bool(claims) and all(claim["wording"].startswith("the released script") for claim in claims)


def _person_known(head: Ladder | None) -> bool:
    """Does the ladder reach a person, or is the claim's unit all that one person holds?"""
    if head is None:
        return True
    rungs = [rung for rung in head.claim["ladder"] if rung["unavailable"] is None]
    return any(rung["id"].startswith("person-") for rung in rungs) or "person" in (head.claim["privacy_unit"] or "")


def safe_url(url: str | None) -> str | None:
    """The address if it is plain http(s), else None: nothing else becomes a link."""
    return url if url and re.fullmatch(r"https?://[^\s<>\"'`]+", url) else None


def arxiv_url(ident: str | None) -> str | None:
    return f"https://arxiv.org/abs/{ident}" if ident and re.fullmatch(r"\d{4}\.\d{4,5}(v\d+)?", ident) else None


def _spread(shown: Sequence[Ladder]) -> list[Ladder]:
    """The smallest and the largest corrected ε among the claims, when there are several."""
    known = [item for item in shown if item.corrected is not None]
    if len({item.corrected_value for item in known}) < 2:
        return []
    by_size = sorted(known, key=lambda item: as_float(item.corrected["epsilon_lower"] if item.corrected else 0))
    return [by_size[0], by_size[-1]]


def _curves(shown: Sequence[Ladder], head: Ladder | None, data: Sequence[Json]) -> list[dict[str, Any]]:
    """One picture a mechanism, over measured records per person where there are some; the page's own claim first."""
    private = {d["name"]: d for d in data if d["role"] == "private" and d["counts"] is not None}
    drawn: dict[str, dict[str, Any]] = {}
    for item in sorted(shown, key=lambda i: (i.claim["dataset"] not in private, i is not head, badness(i))):
        measured = private.get(item.claim["dataset"])
        counts = measured["counts"] if measured else None
        curve = curve_for(item.claim, counts)
        if curve is not None:
            drawn.setdefault(
                item.claim["mechanism"], {"ladder": item, "counts": counts, "sample": _doubt(measured), "curve": curve}
            )
    return list(drawn.values())


def _measured(claim: Json, data: Sequence[Json]) -> Json | None:
    """The claim's private data, if records per person were counted in them."""
    ours = (d for d in data if d["name"] == claim["dataset"] and d["role"] == "private" and d["counts"] is not None)
    return next(ours, None)


def _doubt(measured: Json | None) -> str | None:
    """Why the measured file may not be the paper's data, None where it is the named dataset."""
    if measured is None or measured["identity"]["verdict"] == "named dataset":
        return None
    return str(measured["identity"]["why"]).rstrip(".") + "."


def _by_kind(observations: Sequence[Json]) -> list[tuple[str, list[Json]]]:
    kinds = sorted({o["kind"] for o in observations}, key=lambda kind: (kind == "note", kind))
    return [(kind, [o for o in observations if o["kind"] == kind]) for kind in kinds]
