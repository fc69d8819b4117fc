"""Can records per person be counted at all?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import from_fact
from audit.records import Records
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, DatasetUse, Evidence, Finding, Manifest, Severity, Skip

IDENT = "person-column-missing"
REMEDY = (
    "Publish the number of records per person (the most, the 99th percentile, the mean) or a pseudonymous id with the "
    "data. Until then ε for a person can only be supposed: --assume-max-records K prices a person with K records."
)


@check(IDENT, "Can the records of a person be counted?", needs=(Need.CLAIMS,))
def person_column_missing(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Data sets in which no column names the person: in the file given, else by the manifest. Published numbers of
    records and of people are used for what they show: somebody holds at least their quotient.

    ## Why it matters

    A claim for one record says nothing of a person until it is known how many records a person holds. Without
    a column that names people nobody can count them, neither a reader nor an auditor.

    ## What it cannot see

    Whether the authors hold ids that they did not publish, and whether they bounded records per person before
    they dropped the ids. A column that is there and names something else is another check's matter.
    """
    silent = []
    for dataset in subject.card.dataset:
        if _holds_one(dataset) or _is_per_person(subject, dataset):
            continue
        records, manifest = subject.data.get(dataset.name), subject.manifests.get(dataset.manifest or "")
        if records is None and manifest is None:
            silent.append(dataset.name)
        elif (records.unit_column if records is not None else manifest and manifest.unit_column) is None:
            yield _finding(subject, dataset, records, manifest)
    if silent:
        yield Skip(
            reason=f"Whether a column names people is not known for {', '.join(silent)}.",
            needs="the data (--data NAME=PATH,unit=COL), or a manifest that says who the unit column names",
            claims=tuple(c for name in silent for c in subject.claims_of(dataset=name)),
        )


def _holds_one(dataset: DatasetUse) -> bool:
    """Is it known that nobody holds more than one record?"""
    bounded, several = dataset.records_per_person_bounded, dataset.several_records_per_person
    return value(bounded) is True or value(several) is False


def _is_per_person(subject: Subject, dataset: DatasetUse) -> bool:
    """Is every claim on the data set for a person, so that the number of records does not matter?"""
    claims = [claim for claim in subject.card.claim if dataset.name in claim.datasets]
    return bool(claims) and all(value(claim.unit_is_person) is True for claim in claims)


def _finding(subject: Subject, dataset: DatasetUse, records: Records | None, manifest: Manifest | None) -> Finding:
    return Finding(
        severity=Severity.LOW,
        basis=Basis.OBSERVED if records is not None else Basis.READ,
        summary=f"No column of {dataset.name} is known to name the person, so how many records a person "
        "holds cannot be counted, and what ε means for a person stays open.",
        evidence=tuple(_evidence(dataset, records, manifest)),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=dataset.name),
    )


def _evidence(dataset: DatasetUse, records: Records | None, manifest: Manifest | None) -> Iterator[Evidence]:
    if records is not None:
        what = f"{records.records:,} records; no column was named that tells whose they are"
        yield Evidence(source="data", where=f"the file given for {dataset.name}", what=what)
    if manifest is not None:
        if records is None or manifest.unit_column is None:
            yield Evidence(source="card", where=f"manifest {manifest.id}", what=manifest.unit_note)
        yield from _published(manifest)
    if dataset.several_records_per_person is not None and value(dataset.several_records_per_person) is not None:
        can = "can" if value(dataset.several_records_per_person) else "cannot"
        yield from_fact(dataset.several_records_per_person, f"a person {can} hold several records")


def _published(manifest: Manifest) -> Iterator[Evidence]:
    """Somebody holds at least records / people."""
    if manifest.records and manifest.persons:
        least = math.ceil(manifest.records / manifest.persons)
        yield Evidence(
            source="card",
            where=f"manifest {manifest.id}, published counts",
            what=f"{manifest.records:,} records of {manifest.persons:,} people: "
            f"{manifest.records / manifest.persons:.3g} each on average, so somebody holds at least {least}",
        )
