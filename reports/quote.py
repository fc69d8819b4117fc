"""How to quote an audit: a sentence and a BibTeX entry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reports.claims import Ladder
from reports.numbers import delta

Json = Mapping[str, Any]
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "ε": r"$\varepsilon$"}
_SPECIAL |= {"δ": r"$\delta$", "≥": r"$\geq$", "∞": r"$\infty$"}
_SPECIAL |= {mark: "\\" + mark for mark in "&%$#_{}"}


def quotes(paper: Json, provenance: Json, head: Ladder | None) -> dict[str, str]:
    """`sentence` and `bibtex`; the date is the run's, so the same result is always quoted alike."""
    day = provenance["started"][:10]
    tool = f"dp-claim-audit {provenance['versions'].get('dp-claim-audit', '')}".strip()
    found = f": {_found(head)}" if head else ""
    return {
        "sentence": f"Privacy audit of “{paper['title']}” ({paper['citation'].rstrip('.')}){found}. {tool}, {day}.",
        "bibtex": _bibtex(paper, day, tool, _found(head) if head else ""),
    }


def _found(head: Ladder) -> str:
    text = f"{head.claim['label']}, corrected ε {head.corrected_value}"
    rung = head.corrected
    return f"{text} ({rung['privacy_unit']}; δ = {delta(rung['delta'])})" if rung else text


def _bibtex(paper: Json, day: str, tool: str, found: str) -> str:
    year = re.match(r"\d{4}", day)
    fields = {
        "title": f"Privacy audit of {{{_tex(paper['title'])}}}",
        "howpublished": _tex(tool),
        "year": year.group() if year else "",
        "note": _tex(found),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@misc{{audit-{paper['id']},\n" + ",\n".join(lines) + "\n}"


def _tex(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)
