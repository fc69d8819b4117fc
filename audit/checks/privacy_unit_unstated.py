"""Does the claim say what it protects?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.types import Basis, Claim, Finding, Known, Severity, Skip

IDENT = "privacy-unit-unstated"
REMEDY = (
    "Say beside every ε what one neighbour has and the other lacks: one record, all texts of a person, or "
    "something else, and whether it is removed or replaced."
)


@check(IDENT, "Does the claim say what it protects?", needs=(Need.CLAIMS,))
def privacy_unit_unstated(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    For every claim, the privacy unit: the thing that one of two neighbouring data sets has and the
    other lacks. A claim is found when its source was read whole and names no unit.

    ## Why it matters

    ε bounds what changes in the output when one unit of the data changes (arXiv 1607.00133 takes one
    training example). Readers tend to take it for one person. Where a person holds k records the two
    differ by a factor of k at the least, so the same number can mean strong protection or none.

    ## What it cannot see

    Whether the unit that is stated is the one that the training protects, or the one that people need:
    see records-per-person-ignored. A unit that is named in a text that was not read is not missed but
    skipped, and so is a unit that only the released code shows: that is what was protected, not what was said.
    """
    silent: list[Claim] = []
    for claim in subject.card.claim:
        unit = claim.privacy_unit
        if unit is not None and unit.absent:
            yield Finding(
                severity=Severity.MEDIUM,
                basis=Basis.SILENCE,
                summary=f"The claim {claim.id} gives an ε without saying what it protects, one record or all "
                "texts of a person. Read in its favour it covers one training record.",
                evidence=(
                    from_fact(unit, "read whole, and no privacy unit is stated there"),
                    *observed_in(subject, IDENT, claim.mechanism),
                ),
                remedy=REMEDY,
                claims=_results(subject, claim),
            )
        elif unit is None or unit.value is None or unit.known is not Known.PAPER:
            silent.append(claim)
    judged = {c.mechanism for c in subject.card.claim} - {c.mechanism for c in silent}
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if silent:
        yield Skip(
            reason="No text read states the privacy unit of the claim, though code may show one: "
            f"{', '.join(c.id for c in silent)}.",
            needs="privacy_unit of the [[claim]], read in the paper; `stated = false` where the paper was "
            "read whole and names none",
            claims=tuple(dict.fromkeys(ident for claim in silent for ident in _results(subject, claim))),
        )


def _results(subject: Subject, claim: Claim) -> tuple[str, ...]:
    return tuple(i for name in claim.datasets for i in subject.claims_of(claim.mechanism, name))
