"""Was anything chosen on private data outside the budget?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import check
from audit.evidence import caution, from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, Finding, Mechanism, Severity, Skip

IDENT = "selection-unaccounted"
REMEDY = (
    "Release the last checkpoint of settings fixed beforehand or chosen on public data; or choose with noise and "
    "pay for it, for instance by a random number of runs (arXiv 2110.03620); or name the records used to choose "
    "and say that the claim does not cover them."
)


def _finding(subject: Subject, mechanism: Mechanism) -> Finding:
    selection, accounted = mechanism.selection, mechanism.selection_accounted
    assert selection is not None
    said = accounted is not None and value(accounted) is False
    outside = "is not part of the accounting" if said else "is not said to be part of the accounting"
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.READ if said else Basis.SILENCE,
        summary=f"For {mechanism.id}, something is chosen by looking at private data ({selection.value}), and that "
        f"look {outside}. The stated ε holds for what was trained, not for the choice." + caution(selection),
        evidence=(
            from_fact(selection, f"chosen on private data: {selection.value}"),
            *((from_fact(accounted, f"the choice {outside}"),) if accounted is not None else ()),
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


@check(IDENT, "Were checkpoints or settings chosen on private data outside the budget?")
def selection_unaccounted(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    A choice of checkpoint or hyper-parameters by a score on private records, and whether the stated ε
    pays for it.

    ## Why it matters

    Every look at private data that shapes what is released is part of the release. Choosing the best of
    R runs on the training data costs up to the ε of all R together; a random number of runs can cost
    about two to three times one run (arXiv 2110.03620). Records of a development set that only serve the
    choice have no guarantee at all, although they are private too.

    ## What it cannot see

    Choices that nobody wrote down: runs tried and thrown away, prompts polished while looking at private
    scores. Whether the choice changed anything, so the true extra loss may be small.
    """
    silent = []
    for mechanism in subject.card.mechanism:
        accounted = value(mechanism.selection_accounted)
        if value(mechanism.selection) and accounted is not True:
            yield _finding(subject, mechanism)
        elif accounted is not True:
            silent.append(mechanism.id)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if silent or not subject.card.mechanism:
        yield Skip(
            reason=f"Whether anything was chosen on private data is not known for {', '.join(silent) or 'any model'}.",
            needs="selection (what is chosen, on which records) and selection_accounted of the [[mechanism]]",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )
