"""Answers of the checks that read released code: lines that were found, as one finding, or why none can be given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audit.code.checkout import Checkout
from audit.code.source import Source, shown
from audit.types import Basis, Evidence, Finding, Severity, Skip

SHOWN = 20  # matches in one finding
NO_ENGINE = "training with a privacy engine (Opacus and libraries like it)"
UNREAD_SHOWN = 5
HEDGE = "By a pattern that may mean something else: "


@dataclass(frozen=True)
class Match:
    """A line that shows the flaw. `read`: by its structure; otherwise a pattern that may mean something else."""

    source: Source
    line: int
    what: str
    read: bool = True
    severity: Severity | None = None  # where it differs from the check's own


@dataclass(frozen=True)
class Flaw:
    """What a check says when it finds its flaw, whatever the lines are."""

    severity: Severity
    summary: str
    unseen: str  # what the reading cannot see, as a sentence
    remedy: str


def answers(flaw: Flaw, checkout: Checkout, matches: Iterable[Match], *, lacking: str = "") -> Iterator[Finding | Skip]:
    """One finding for all matches; without any, a skip where `lacking` says what the code does not show.

    Files that could not be read are named in a skip, for what they hold is not known.
    """
    ordered = sorted(dict.fromkeys(matches), key=lambda m: (not m.read, m.source.path, m.line))
    found = list({(m.source, m.line): m for m in reversed(ordered)}.values())[::-1]  # a line once
    if found:
        yield _finding(flaw, checkout, found)
    elif lacking:
        yield Skip(
            reason=f"In the {len(checkout.python):,} Python files read, no {lacking} was recognised.",
            needs="a checkout that holds it, in Python 3: --code PATH",
        )
    if checkout.notes:
        listed = "; ".join(f"{shown(n.path, 120)} ({n.why})" for n in checkout.notes[:UNREAD_SHOWN])
        more = f"; {len(checkout.notes) - UNREAD_SHOWN:,} more" if len(checkout.notes) > UNREAD_SHOWN else ""
        yield Skip(reason=f"Not read: {listed}{more}.", needs="these files in a form that can be read")


def _finding(flaw: Flaw, checkout: Checkout, found: list[Match]) -> Finding:
    read = any(match.read for match in found)
    counted = [match for match in found if match.read == read]  # a pattern beside a structure weighs nothing
    order = list(Severity)
    return Finding(
        severity=min((match.severity or flaw.severity for match in counted), key=order.index),
        basis=Basis.READ if read else Basis.PATTERN,
        summary=f"{'' if read else HEDGE}{flaw.summary} {flaw.unseen} Released code may differ from the code that ran.",
        evidence=(*(_evidence(checkout, match) for match in found[:SHOWN]), *_rest(found)),
        remedy=flaw.remedy,
    )


def _evidence(checkout: Checkout, match: Match) -> Evidence:
    at = f" at {checkout.commit}" if checkout.commit else ""
    sure = "" if match.read else " (by its pattern alone)"
    quoted = match.source.quoted(match.line)
    return Evidence(source="code", where=f"{match.source.place(match.line)}{at}", what=f"{match.what}{sure}: {quoted}")


def _rest(found: list[Match]) -> Iterator[Evidence]:
    if len(found) > SHOWN:
        more = f"{len(found) - SHOWN:,} more lines like these"
        yield Evidence(source="code", where=found[SHOWN].source.place(found[SHOWN].line), what=more)
