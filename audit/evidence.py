"""Evidence for findings: from a card's facts, and from its observations of released code."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from audit.subject import Subject
from audit.types import Basis, Evidence, Fact, Finding, Known, Observation, ProbeAnswer, ProbeStatus, Severity

_PLACE = re.compile(r"[\w./-]+\.\w+:\d+")  # file:first line
_SOURCE = {Known.PAPER: "paper", Known.CODE: "code", Known.EXECUTED: "code", Known.DERIVED: "card"}


def from_fact(fact: Fact[Any], what: str) -> Evidence:
    """A fact of the card, with where it stands and the card's note on it."""
    noted = f"{what} ({fact.note})" if fact.note else what
    return Evidence(source=_SOURCE.get(fact.known, "card"), where=fact.where, what=noted[:4000])


def caution(*facts: Fact[Any] | None) -> str:
    """The sentence that a summary owes its reader where it rests on released code, else nothing."""
    on_code = any(f is not None and f.known in (Known.CODE, Known.EXECUTED) for f in facts)
    return " Released code may differ from the code that ran." if on_code else ""


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


def observed_at(subject: Subject, check: str, fact: Fact[Any]) -> tuple[Evidence, ...]:
    """Observations of the very lines that `fact` names, where a check judges several things of one kind."""
    places = set(_PLACE.findall(fact.where))
    return tuple(
        from_observation(seen) for seen in observations(subject, check) if places & set(_PLACE.findall(seen.where))
    )


def readings_alone(
    subject: Subject, check: str, judged: Collection[str], severity: Severity, remedy: str
) -> Iterator[Finding]:
    """Findings that repeat an observation where the card's facts are silent.

    An observation is left to the facts for the mechanisms that these judged (`judged`), and altogether if it
    names no mechanism and they judged any. The basis is never above "read": nothing was computed here.
    """
    for seen in observations(subject, check):
        silent = [name for name in seen.mechanisms if name not in judged]
        if not silent and (seen.mechanisms or judged):
            continue
        basis = seen.basis if seen.basis in (Basis.SILENCE, Basis.PATTERN) else Basis.READ
        yield Finding(
            severity=severity,
            basis=basis,
            summary="This repeats a reading of released code, which may differ from the code that ran: "
            + seen.what[:3800],
            evidence=(from_observation(seen),),
            remedy=remedy,
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def probed(
    subject: Subject,
    mechanism: str,
    *probes: str,
    only: Callable[[ProbeAnswer], bool] = lambda answer: True,
    figures: tuple[str, ...] = (),
) -> tuple[Evidence, ...]:
    """What `probes` found on our reimplementation's step with the released behaviour, beside the corrected step.

    Nothing where they found nothing. With something a finding says "observed": on that step, not on the authors' run.
    With `figures` those alone are told: of a probe that answers several questions, the one that the finding is about.
    """
    answers = {(s.variant, a.probe): (s.step, a) for s in subject.probes if s.mechanism == mechanism for a in s.answers}
    found = [answers[key] for key in (("as-published", name) for name in probes) if key in answers]
    return tuple(
        Evidence(
            source="probe",
            where=f"{step}, our reimplementation with the released behaviour, tiny and random",
            what=f"{answer.probe}: " + _told(answer, answers.get(("corrected", answer.probe)), figures),
        )
        for step, answer in found
        if answer.status is ProbeStatus.VIOLATED and only(answer)
    )


def moved(subject: Subject, mechanism: str) -> str:
    """The sentence with the figures of the sensitivity probe on the released behaviour; nothing without one."""
    for step in subject.probes:
        for answer in step.answers if (step.mechanism, step.variant) == (mechanism, "as-published") else ():
            if answer.probe == "sensitivity" and answer.value is not None:
                usual = answer.figures.get("ordinary record removed")
                ordinary = f" ({usual:.4g} C for ordinary records)" if usual is not None else ""
                return (
                    f" On our tiny reimplementation of that behaviour one record moved the sum by up to "
                    f"{answer.value:.4g} C{ordinary}."
                )
    return ""


def _told(answer: ProbeAnswer, corrected: tuple[str, ProbeAnswer] | None, figures: tuple[str, ...]) -> str:
    if not figures:
        return _measured(answer) + _beside(corrected)
    beside = "" if corrected is None else _named(corrected[1], figures)
    return f"{_named(answer, figures)}." + (f" The corrected step: {beside}." if beside else "")


def _named(answer: ProbeAnswer, figures: tuple[str, ...]) -> str:
    return "; ".join(f"{name}: {answer.figures[name]:.5g}" for name in figures if name in answer.figures)


def _measured(answer: ProbeAnswer) -> str:
    figures = "; ".join(f"{name}: {value:.5g}" for name, value in answer.figures.items())
    value = "" if answer.value is None else f" {answer.statistic}: {answer.value:.5g}."
    return f"{answer.summary}{value}" + (f" {figures}." if figures else "")


def _beside(corrected: tuple[str, ProbeAnswer] | None) -> str:
    if corrected is None or corrected[1].value is None:
        return ""
    return f" The corrected step: {corrected[1].value:.5g} ({corrected[1].status.value})."
