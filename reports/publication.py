"""What authors need before publication, as Markdown: a privacy statement for each claim, and two checklists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.checklist import STATES, Answer, answers
from reports.html import checked
from reports.md import inert
from reports.statement import statement
from reports.wording import waived

Json = Mapping[str, Any]


def render(result: Json) -> str:
    """The page for a result in its JSON form. Raises ReportError as `reports.html.render` does."""
    return checked(result, lambda: "\n".join(_lines(result)) + "\n")


def _lines(result: Json) -> Iterator[str]:
    yield f"# Before publication: {inert(result['paper']['title'])}"
    yield ""
    yield "## A privacy statement"
    yield ""
    yield "In the audit's figures, one paragraph a claim. It says no more than the audit could show."
    for claim in result["claims"]:
        yield ""
        yield inert(statement(claim, result["claims"], result["outcomes"]))
    yield ""
    yield "## Checklists"
    source = ""
    for answer in answers(result["outcomes"]):
        if answer.item.source != source:
            source = answer.item.source
            yield from ("", f"### {source}", "")
        yield _line(answer)


def _line(answer: Answer) -> str:
    box = "x" if answer.state == "clean" else " "
    named = answer.found or answer.open
    by = f" ({', '.join(_named(check, answer) for check in named)})" if named else ""
    return f"- [{box}] {answer.item.place}: {answer.item.asks}: **{STATES[answer.state]}**{by}"


def _named(check: str, answer: Answer) -> str:
    waiver = answer.waivers.get(check)
    return f"`{check}`" + (f", waived {inert(waived(waiver))}" if waiver else "")
