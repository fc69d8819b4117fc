"""Do records repeat within the private data?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.cells import Columns
from audit.check import Need, check
from audit.evidence import from_fact
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, Evidence, Finding, Severity, Skip
from audit.users.alike import WHAT
from audit.users.duplicates import NEAR_LIMIT, Within, duplicates

IDENT = "records-repeated"
NOTABLE_SHARE = 0.01  # of the records; fewer are common and little to a record's guarantee
REMEDY = (
    "Keep one of each group of equal or nearly equal records before training, or account for the largest group; "
    "state how it was done."
)


@check(IDENT, "Do records repeat within the private data?", needs=(Need.DATA,))
def records_repeated(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Records of a file whose text another record of it has, byte for byte or nearly: 1 % of the records or more,
    or any where the card says that duplicates were removed.

    ## Why it matters

    A guarantee for one record hides one copy. What stands in the data k times is protected like a group of k:
    the model may learn it, and taking one copy out changes little. Repeated texts are what language models
    memorise first.

    ## What it cannot see

    Paraphrases. Near-duplicates in files of more than 50,000 records, where the same texts alone are counted.
    Whether a repeated text is anybody's secret: many are boilerplate.
    """
    textless = []
    for name, records in subject.data.items():
        if records.text_column is None:
            textless.append(name)
            continue
        (part,), _ = duplicates({name: records.shards}, Columns(text=records.text_column))
        fact = subject.dataset(name).deduplicated
        repeated = (part.exact or 0) + (part.near or 0)
        stated = fact is not None and value(fact) is True
        if repeated >= NOTABLE_SHARE * part.records or (stated and repeated):
            yield _finding(subject, name, part, repeated, contradicts=stated)
        elif part.near is None:
            yield Skip(
                reason=f"Near-duplicates were not looked for among the {part.records:,} records of {name}.",
                needs=f"a file of at most {NEAR_LIMIT:,} records, drawn from it",
                claims=subject.claims_of(dataset=name),
            )
    if textless:
        yield Skip(
            reason=f"No column of {', '.join(textless)} holds the text.",
            needs="--data NAME=PATH,text=COL",
        )


def _finding(subject: Subject, name: str, part: Within, repeated: int, *, contradicts: bool) -> Finding:
    fact = subject.dataset(name).deduplicated
    looked = f", {part.near:,} more nearly ({WHAT})" if part.near is not None else "; near ones were not looked for"
    counted = Evidence(
        source="data",
        where=f"the file given for {name}",
        what=f"{part.exact:,} of {part.records:,} records have byte for byte the text of another{looked}",
    )
    stated = (from_fact(fact, "duplicates were removed"),) if fact is not None and contradicts else ()
    return Finding(
        severity=Severity.LOW if contradicts else Severity.INFO,
        basis=Basis.OBSERVED,
        summary=f"{repeated:,} of {part.records:,} records in the file given for {name} have a text that another has"
        + (", though duplicates are said to be removed." if contradicts else "; a record's ε hides one copy of each."),
        evidence=(counted, *stated),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=name),
    )
