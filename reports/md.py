"""One result as Markdown, for a pull request, an issue or a note: the answer, the ladder, the findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reports import wording
from reports.claims import Ladder
from reports.findings import Group, Open, Shown
from reports.html import checked
from reports.numbers import plural
from reports.view import view
from reports.wording import waived

Json = Mapping[str, Any]
_MARKS = re.compile(r"([\\`*_\[\]{}#|~!$])")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def render(result: Json) -> str:
    """The document; same result, same bytes.

    Raises:
        ReportError: another version of the format, or a part of it is missing.
    """
    return checked(result, lambda: "\n\n".join(_blocks(view(result))) + "\n")


def inert(text: str) -> str:
    """`text` on one line with nothing in it that Markdown or HTML would act on."""
    flat = "".join(_MARKUP.get(letter, letter) for letter in " ".join(text.split()))
    return _MARKS.sub(r"\\\1", flat)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table of cells that are inert already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _blocks(v: Mapping[str, Any]) -> Iterator[str]:
    paper, head = v["paper"], v["head"]
    yield f"# Privacy audit: {inert(paper['title'])}"
    yield inert(paper["citation"]) + (f" <{v['arxiv_url']}>" if v["arxiv_url"] else "")
    yield "Does the claim protect a person, and what is ε really?"
    yield f"**{inert(v['answer'][0])}** {inert(v['answer'][1])}."
    if head is not None:
        yield table(["", "ε", "for"], [_step(step) for step in v["steps"]])
        yield from _ladder(head)
        yield from _claims(v["claims"])
    yield "## Findings"
    yield from (_graded(level, groups) for level, groups in v["findings"])
    if not v["findings"]:
        yield "No check found anything."
    yield "## Not judged"
    yield "\n".join(map(_open, v["skips"])) or "Every check had what it needed."
    if v["overlaps"]:
        yield "## Private texts in pretraining corpora"
        yield "\n".join(f"- {inert(s.answer)} {inert(s.recall)}" for s in v["overlaps"])
    yield f"## Limits\n\n{inert(paper['caveat'])}"
    yield f"## To quote and repeat this audit\n\n{inert(v['quotes']['sentence'])}"
    yield _code(v["provenance"]["command"])


def _step(step: Any) -> list[str]:
    value = f"**{inert(step.value)}**" + (f" {inert(step.warning)}" if step.warning else "")
    return [inert(step.name), value, inert("; ".join(step.notes))]


def _ladder(head: Ladder) -> Iterator[str]:
    yield f"## {inert(head.claim['label'])}: {_verdict(head).lower()}"
    yield inert(head.claim["verdict"])
    rows = [[inert(r.label), inert(r.unit), inert(r.value), inert(r.unavailable or r.delta)] for r in head.rows]
    yield table(["rung", "protects", "ε", "δ, or why not"], rows)


def _verdict(item: Ladder) -> str:
    but = f", but for {len(item.waived)} waived" if item.waived else ""
    return inert(wording.LEVELS[item.level].name + but)


def _claims(claims: Sequence[Ladder]) -> Iterator[str]:
    if len(claims) < 2:
        return
    yield f"<details><summary>All {len(claims)} claims</summary>"
    yield table(
        ["claim", "claimed ε", "corrected ε", "verdict"],
        [[inert(c.claim["label"]), c.claimed, c.corrected_value, _verdict(c)] for c in claims],
    )
    yield "</details>"


def _graded(level: str, groups: Sequence[Group]) -> str:
    term = wording.SEVERITIES[level]
    return f"### {term.name}: {term.meaning}\n\n" + "\n".join(_group(group) for group in groups)


def _group(group: Group) -> str:
    lines = [f"- **{group.check}** ({plural(len(group.items), 'finding')}). {inert(group.question)}"]
    if group.waiver:
        lines.append(f"  - **Waived** {inert(waived(group.waiver))}")
    lines += [f"  - {_finding(item, remedy=group.remedy is None)}" for item in group.items]
    return "\n".join(lines + ([f"  - What to do: {inert(group.remedy)}"] if group.remedy else []))


def _finding(item: Shown, *, remedy: bool) -> str:
    body = item.body
    places = "; ".join(dict.fromkeys(e["where"] for e in body["evidence"][:3]))
    more = len(body["evidence"]) - 3
    known = f"{wording.BASES[body['basis']].name}, {wording.CONFIDENCES[body['confidence']]}"
    text = f"{body['summary']} ({known}; {places}{f'; {more} more' if more > 0 else ''})"
    return inert(f"{text} What to do: {body['remedy']}" if remedy else text)


def _open(item: Open) -> str:
    checks = ", ".join(stop.check for stop in item.checks)
    return f"- {inert(item.body['reason'])} Needed to judge: {inert(item.body['needs'])} (**{inert(checks)}**)"


def _code(text: str) -> str:
    """A fenced block with a fence longer than any run of backticks in it."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or [""]))
    return f"{fence}sh\n{' '.join(text.split())}\n{fence}"
