"""Does the column that names people name them one to one?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.records import Records
from audit.subject import Subject
from audit.types import Basis, Confidence, Evidence, Finding, Severity, Skip, UnitCounts
from audit.users.signs import Sign

IDENT = "person-column-unreliable"
REMEDY = (
    "Leave out placeholder ids, merge ids of one person, and split ids of several before counting and capping; state "
    "how it was done. Where it cannot be decided, account for the larger number."
)


@check(IDENT, "Does the person column name people one to one?", needs=(Need.DATA,))
def person_column_unreliable(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Placeholder ids, records without an id, ids that differ by case or white space, ids that hold another id's
    texts byte for byte or nearly, ids whose own texts are nearly all alike, ids cut off at a cell's limit; each
    with what mending it would make of the most records and the 99th percentile.

    ## Why it matters

    Records per person decide what ε means for a person. One person under three ids looks like three light
    people; a placeholder looks like one heavy person who does not exist.

    ## What it cannot see

    One person with two accounts and different texts, a family with one account. Names and e-mail addresses are
    compared by `audit users --name --email` alone. Near-duplicates are looked for among at most 20,000 ids.
    """
    unnamed = []
    for name, records in subject.data.items():
        if records.unit_column is None or records.counts is None:
            unnamed.append(name)
            continue
        signs, notes = records.signs
        if signs:
            yield _finding(subject, name, records, records.counts, signs)
        elif records.text_column is None:
            yield Skip(reason=f"Of {name} the ids alone were judged: {notes[0]}.", needs=f"--data {name}=PATH,text=COL")
    if unnamed:
        yield Skip(
            reason=f"No column names the person in {', '.join(unnamed)}.",
            needs="a column that names people: --data NAME=PATH,unit=COL",
            claims=tuple(c for name in unnamed for c in subject.claims_of(dataset=name)),
        )


def _finding(
    subject: Subject, name: str, records: Records, counts: UnitCounts, signs: tuple[Sign, ...]
) -> Finding:
    changes = any(_differs(counts, sign) for sign in signs)
    firm = any(sign.confidence is Confidence.HIGH for sign in signs)
    named = ", ".join(sign.ident for sign in signs)
    return Finding(
        severity=Severity.LOW if changes else Severity.INFO,
        basis=Basis.OBSERVED if firm else Basis.PATTERN,
        summary=f"In the file given for {name}, {records.unit_column} does not name people one to one: {named}. "
        + (
            "Mended, the figures of records per person would be others."
            if changes
            else "Mended, the most records and the 99th percentile would be the same."
        ),
        evidence=tuple(_evidence(name, counts, sign) for sign in signs),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=name),
    )


def _differs(counts: UnitCounts, sign: Sign) -> bool:
    return any((effect.max, effect.p99) != (counts.max, counts.p99) for effect in sign.effects)


def _evidence(name: str, counts: UnitCounts, sign: Sign) -> Evidence:
    mended = "; ".join(f"{e.how}: max {e.max:,}, mean {e.mean:.4g}, p99 {e.p99:.6g}" for e in sign.effects)
    as_is = f"as it is: max {counts.max:,}, mean {counts.mean:.4g}, p99 {counts.p99:.6g}"
    return Evidence(
        source="data",
        where=f"the file given for {name}: {sign.ident}, {sign.confidence.value} confidence",
        what=f"{sign.what}; {as_is}; {mended}" if mended else f"{sign.what}; {as_is}",
    )
