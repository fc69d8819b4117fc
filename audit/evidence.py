"""Evidence for findings: from a card's facts, and from its observations of released code."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from audit.subject import Subject
from audit.types import Basis, Evidence, Fact, Finding, Known, Observation, Severity

_SOURCE = {Known.PAPER: "paper", Known.CODE: "code", Known.EXECUTED: "code", Known.DERIVED: "card"}


def from_fact(fact: Fact[Any], what: str) -> Evidence:
    """A fact of the card, with where it stands."""
    return Evidence(source=_SOURCE.get(fact.known, "card"), where=fact.where, what=what)


def from_observation(seen: Observation) -> Evidence:
    """An observation of released code at its commit, with its figures."""
    what = "; ".join((seen.what, *seen.figures))
    return Evidence(source="code", where=f"{seen.where} at {seen.commit}"[:600], what=what[:4000])


def observations(subject: Subject, check: str, mechanism: str | None = None) -> tuple[Observation, ...]:
    """Observations that bear on `check`; with a mechanism, those that name it or name none."""
    return tuple(
        seen
        for seen in subject.card.observation
        if seen.kind == check and (mechanism is None or not seen.mechanisms or mechanism in seen.mechanisms)
    )


def observed_in(subject: Subject, check: str, mechanism: str | None = None) -> tuple[Evidence, ...]:
    """Those observations as evidence, to stand beside a fact. They never raise a finding's basis."""
    return tuple(from_observation(seen) for seen in observations(subject, check, mechanism))


def readings_alone(
    subject: Subject, check: str, judged: Collection[str], severity: Severity, remedy: str
) -> Iterator[Finding]:
    """Findings that repeat an observation where the card's facts are silent.

    An observation is left to the facts where these judged one of its mechanisms (`judged`), or judged
    anything when it names none. The basis is never above "read": nothing was computed or measured here.
    """
    for seen in observations(subject, check):
        if judged if not seen.mechanisms else set(seen.mechanisms) & set(judged):
            continue
        basis = seen.basis if seen.basis in (Basis.SILENCE, Basis.PATTERN) else Basis.READ
        yield Finding(
            severity=severity,
            basis=basis,
            summary="This repeats a reading of released code, which may differ from the code that ran: "
            + seen.what[:3800],
            evidence=(from_observation(seen),),
            remedy=remedy,
            claims=tuple(c for name in seen.mechanisms for c in subject.claims_of(mechanism=name)),
        )
