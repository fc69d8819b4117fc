"""Is what was measured as large as what was trained on?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import from_fact
from audit.records import Records
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, Evidence, Fact, Finding, Severity, Skip

IDENT = "data-size-differs"
REMEDY = (
    "Give the training records themselves with --data, or correct `records` of the [[dataset]]; until then read "
    "records per person, and ε for a person, as those of the file given."
)


@check(IDENT, "Does the data given hold another number of records than was trained on?", needs=(Need.DATA,))
def data_size_differs(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    A file given with --data whose number of records is not N, the number of training records on the card. All
    files of a folder count together. What the manifest publishes stands beside both figures.

    ## Why it matters

    Records per person are measured in the file given, and the ladder's ε for a person is made of them. In a
    sample a person mostly holds fewer records than in the whole, in a larger file more than in the training part.
    It says nothing against the claim.

    ## What it cannot see

    Whether a file with the same number of records holds the same records. Which files of a folder were trained
    on. How exact the card's N is: some are rounded in the paper, or the end of an interval.
    """
    silent = []
    for name, records in subject.data.items():
        stated = subject.dataset(name).records
        if stated is None or value(stated) is None:
            silent.append(name)
        elif records.records != stated.value:
            yield _finding(subject, name, records, stated)
    if silent:
        yield Skip(
            reason=f"How many records were trained on is not known for {', '.join(silent)}, so whether the file given "
            "holds as many is not either.",
            needs="records of the [[dataset]]: the N of the accounting, from a source that was read",
            claims=tuple(c for name in silent for c in subject.claims_of(dataset=name)),
        )


def _finding(subject: Subject, name: str, records: Records, stated: Fact[int]) -> Finding:
    trained = stated.value or 0
    other = "more" if records.records < trained else "fewer"
    return Finding(
        severity=Severity.INFO,
        basis=Basis.OBSERVED,
        summary=f"The file given for {name} holds {records.records:,} records; the card has {trained:,} for the "
        "training. Records per person, and ε for a person, are those of the file given: among the records trained on "
        f"a person may hold {other}.",
        evidence=(
            Evidence(source="data", where=f"the file given for {name}", what=records.identity.why),
            from_fact(stated, f"{trained:,} training records"),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=name),
    )
