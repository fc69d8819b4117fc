"""Are the figures that are compared measured alike?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import check
from audit.evidence import caution, from_fact, observed_at, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, Evaluation, Finding, Severity, Skip

IDENT = "metric-not-comparable"
REMEDY = (
    "Measure every arm alike: same truncation, same seeds with their spread, same training budget, and a scoring "
    "model that is none of the competitors. Until then, read the figures as measured in different units."
)


def _finding(subject: Subject, evaluation: Evaluation) -> Finding:
    assert evaluation.comparable is not None
    why = evaluation.why or "The arms that are compared were measured differently"
    return Finding(
        severity=Severity.LOW,
        basis=Basis.READ,
        summary=f"Not measured alike: {evaluation.metric}. {why.rstrip('.')}. The privacy claim is not touched; "
        "what privacy is said to cost in quality is." + caution(evaluation.comparable),
        evidence=(from_fact(evaluation.comparable, why), *observed_at(subject, IDENT, evaluation.comparable)),
        remedy=REMEDY,
    )


@check(IDENT, "Are the compared figures measured alike?")
def metric_not_comparable(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Metrics that the card says are measured differently for the things they compare: another truncation
    for real and synthetic text, a scoring model that is itself a competitor, single seeds, private and
    non-private arms that differ in more than privacy.

    ## Why it matters

    The value of a synthetic data set is stated as a comparison. If the two sides were measured in
    different ways, the price of privacy that is read off them is an artefact.

    ## What it cannot see

    It reads what the card says and measures nothing. How large the distortion is, and whether it favours
    one side, needs the texts and a second measurement.
    """
    silent = [e for e in subject.card.evaluation if value(e.comparable) is None]
    judged = [e for e in subject.card.evaluation if value(e.comparable) is not None]
    for evaluation in judged:
        if not value(evaluation.comparable):
            yield _finding(subject, evaluation)
    if not judged:
        yield from readings_alone(subject, IDENT, (), Severity.LOW, REMEDY)
    if silent or not judged:
        metrics = ", ".join(e.metric for e in silent) or "any metric"
        yield Skip(
            reason=f"Whether the compared figures are measured alike is not known for {metrics}.",
            needs="an [[evaluation]] with comparable, read in paper or code",
        )
