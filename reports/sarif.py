"""One result as a SARIF 2.1.0 log (OASIS standard), with the fields that code scanning on GitHub requires."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.fingerprint import fingerprints
from reports.html import checked
from reports.wording import SEVERITIES

Json = Mapping[str, Any]
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"high": "error", "medium": "warning", "low": "note", "info": "note"}
PRECISIONS = {"high": "high", "medium": "medium", "low": "low"}  # confidence -> precision of a rule
_PLACE = re.compile(r"([\w./-]+\.(?:py|ipynb|sh|json|toml|ya?ml|cfg|txt)):(\d+)")


def render(result: Json, *, card: str = "card.toml", pages: Mapping[str, str] | None = None) -> str:
    """The log as text, sorted keys and a final newline: same result, same bytes.

    `card` is the place, relative to the repository, of a finding that stands in no line of code; `pages` are the
    checks' own pages (Markdown) by ident. Every check of the result is a rule, found or not. A skip is a
    notification, never a result: it says nothing against the claim.

    Raises:
        ReportError: another version of the format, or a part of it is missing.
    """
    return checked(result, lambda: json.dumps(_log(result, card, pages or {}), **_STYLE) + "\n")


_STYLE: dict[str, Any] = {"sort_keys": True, "indent": 2, "ensure_ascii": False, "allow_nan": False}


def _log(result: Json, card: str, pages: Mapping[str, str]) -> Json:
    outcomes = result["outcomes"]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(outcomes, result["provenance"], pages)},
                "automationDetails": {"id": f"privacy-claim/{result['paper']['id']}/"},
                "columnKind": "unicodeCodePoints",
                "invocations": [_invocation(outcomes)],
                "results": list(_results(result, card)),
            }
        ],
    }


def _driver(outcomes: Sequence[Json], provenance: Json, pages: Mapping[str, str]) -> Json:
    version = provenance["versions"].get("dp-claim-audit")
    driver = {"name": "dp-claim-audit", "rules": [_rule(o, pages.get(o["check"])) for o in outcomes]}
    return driver | ({"version": version} if version else {})


def _rule(outcome: Json, page: str | None) -> Json:
    question = outcome["question"]
    worst = min((f["severity"] for f in outcome["findings"]), key=list(SEVERITIES).index, default="medium")
    confidence = outcome["findings"][0]["confidence"] if outcome["findings"] else "medium"
    helped = {"text": page or question}
    return {
        "id": outcome["check"],
        "name": "".join(part.capitalize() for part in outcome["check"].split("-")),
        "shortDescription": {"text": question},
        "fullDescription": {"text": question},
        "help": helped | ({"markdown": page} if page else {}),
        "defaultConfiguration": {"level": LEVELS[worst]},
        "properties": {
            "precision": PRECISIONS[confidence],
            "problem.severity": {"error": "error", "warning": "warning", "note": "recommendation"}[LEVELS[worst]],
            "tags": ["differential-privacy", "privacy"],
        },
    }


def _invocation(outcomes: Sequence[Json]) -> Json:
    """Skips and failed checks: a reader of the log sees what was not judged."""
    notes = [_note(o, "note", f"{s['reason']} Needed to judge: {s['needs']}") for o in outcomes for s in o["skips"]]
    notes += [_note(o, "error", f"The check broke: {o['error']}") for o in outcomes if o["error"]]
    return {
        "executionSuccessful": not any(o["error"] for o in outcomes),
        "toolExecutionNotifications": notes,
    }


def _note(outcome: Json, level: str, text: str) -> Json:
    return {"level": level, "message": {"text": text}, "associatedRule": {"id": outcome["check"]}}


def _results(result: Json, card: str) -> Iterator[Json]:
    names = fingerprints(result["outcomes"], result["claims"])
    for index, outcome in enumerate(result["outcomes"]):
        for place, finding in enumerate(outcome["findings"]):
            name = names[outcome["check"], place]
            yield {
                "ruleId": outcome["check"],
                "ruleIndex": index,
                "kind": "fail",
                "level": LEVELS[finding["severity"]],
                "message": {"text": f"{finding['summary']}\n\nWhat to do: {finding['remedy']}"},
                "locations": [_location(finding, card)],
                "partialFingerprints": {"primaryLocationLineHash": f"{name}:1", "auditFinding/v1": name},
                "properties": _properties(finding),
                **_suppressed(outcome.get("waiver")),
            }


def _suppressed(waiver: Json | None) -> Json:
    """A waiver of the card that holds: code scanning then shows the result as dismissed, with the reason."""
    if waiver is None:
        return {}
    reason = f"{waiver['reason']} ({waiver['author']}, until {waiver['expires']})"
    return {"suppressions": [{"kind": "external", "status": "accepted", "justification": reason}]}


def _properties(finding: Json) -> Json:
    return {
        "severity": finding["severity"],
        "basis": finding["basis"],
        "confidence": finding["confidence"],
        "claims": finding["claims"],
        "evidence": [f"{e['source']} · {e['where']}: {e['what']}" for e in finding["evidence"]],
    }


def _location(finding: Json, card: str) -> Json:
    """The first line of code the evidence names, else the card."""
    places = (_PLACE.search(e["where"]) for e in finding["evidence"] if e["source"] == "code")
    found = next((p for p in places if p and ".." not in p[1].split("/")), None)
    uri, line = (found[1].lstrip("/"), max(int(found[2]), 1)) if found else (card, 1)
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}}
