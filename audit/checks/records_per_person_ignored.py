"""Does the claim cover a person, or one of a person's records?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import from_fact, observed_in, readings_alone
from audit.records import Records
from audit.rungs import from_rung, rung_of
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, DatasetUse, Evidence, Finding, Severity, Skip, UnitCounts

IDENT = "records-per-person-ignored"
RUNGS = ("person-k2", "person-assumed", "person-p99", "person-max")
REMEDY = (
    "Keep at most one record (or a stated few) of each person before training and account for that number, or "
    "state ε for a person beside ε for a record."
)


@check(IDENT, "Can a person hold more records than the claim protects?", needs=(Need.CLAIMS,))
def records_per_person_ignored(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Data sets in which a person can hold several records while the claim is for one record and no bound per
    person is stated. With the data it counts: records per person, the maximum, the 99th percentile.

    ## Why it matters

    A record-level ε protects each of a person's k records as if the others were not there. For all k
    together the guarantee is weaker than ε and at times weaker than k·ε at the same δ (group privacy;
    the exact dominating pair for sampled batches is in arXiv 2401.10294). People come whole.

    ## What it cannot see

    Whether ids are people: one person may have two, a family one. Near-copies of one person's text under
    other ids. A bound that the code applies and the card does not name; a stated bound that the file given
    does not keep. A sample of the data shows fewer records per person than the whole.
    """
    silent = []
    for dataset in subject.card.dataset:
        if value(dataset.records_per_person_bounded) is True or not _per_record(subject, dataset):
            continue
        records = subject.data.get(dataset.name)
        counts = records.counts if records is not None else None
        if records is not None and counts is not None and counts.max > 1:
            yield _measured(subject, dataset, records, counts)
        elif value(dataset.several_records_per_person) is True:
            yield _read(subject, dataset)
        elif value(dataset.several_records_per_person) is None and not _whole(records):
            silent.append(dataset.name)
    judged = {m.id for m in subject.card.mechanism} if len(silent) < len(subject.card.dataset) else set()
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if silent:
        yield Skip(
            reason=f"Whether a person can hold several records is not known for {', '.join(silent)}.",
            needs="the whole data with a column that names people (--data NAME=PATH,unit=COL), or "
            "several_records_per_person of the [[dataset]]",
            claims=tuple(c for name in silent for c in subject.claims_of(dataset=name)),
        )


def _per_record(subject: Subject, dataset: DatasetUse) -> bool:
    """Does any claim on the data set stop short of a person?"""
    claims = [c for c in subject.card.claim if dataset.name in c.datasets]
    return any(value(claim.unit_is_person) is not True for claim in claims)


def _whole(records: Records | None) -> bool:
    """Were people counted in a file that is no mere sample? (One record each, where this is asked.)"""
    return records is not None and records.counts is not None and records.identity.verdict != "sample"


def _claims(subject: Subject, dataset: DatasetUse) -> tuple[str, ...]:
    """Ids, as <claim>/<data set>/<ε>, of the claims on the data set that are not for a person."""
    person = {c.id for c in subject.card.claim if value(c.unit_is_person) is True}
    return tuple(ident for ident in subject.claims_of(dataset=dataset.name) if ident.split("/")[0] not in person)


def _rungs(subject: Subject, dataset: DatasetUse) -> tuple[Evidence, ...]:
    claims = [c for c in subject.claims if c.id in _claims(subject, dataset)]
    return tuple(from_rung(c, rung) for c in claims for ident in RUNGS if (rung := rung_of(c, ident)) is not None)


def _caps(subject: Subject, dataset: DatasetUse) -> Iterator[Evidence]:
    """What a bound per person would do, for the first claim that was priced with the counts."""
    claim = next((c for c in subject.claims if c.id in _claims(subject, dataset) and c.caps), None)
    for cap in claim.caps if claim is not None else ():
        most, noise = cap.max_records, cap.noise_multiplier
        needed = f"noise multiplier {noise:.4g} gives ε = {claim.epsilon:g}" if claim and noise else "no noise suffices"
        yield Evidence(
            source="accounting",
            where=f"at most {most} record{'s' * (most > 1)} of each person, for {claim.label if claim else ''}"[:600],
            what=f"keeps {cap.records_kept:,} records and takes some from {cap.people_affected:,} people; a person's ε "
            f"is {cap.epsilon_lower:.4g} to {cap.epsilon_upper:.4g} at the same noise, steps and sampling probability; "
            f"{needed} for a person",
        )


def _read(subject: Subject, dataset: DatasetUse) -> Finding:
    several, bounded = dataset.several_records_per_person, dataset.records_per_person_bounded
    assert several is not None
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.READ,
        summary=f"A person can hold several records of {dataset.name} and no bound per person is stated, while ε is "
        "claimed for one record. It protects a person only if nobody holds more than one.",
        evidence=(
            from_fact(several, "a person can hold several records"),
            *((from_fact(bounded, "not bounded"),) if bounded and bounded.value is False else ()),
            *_rungs(subject, dataset),
            *observed_in(subject, IDENT),
        ),
        remedy=REMEDY,
        claims=_claims(subject, dataset),
    )


def _measured(subject: Subject, dataset: DatasetUse, records: Records, counts: UnitCounts) -> Finding:
    identity = records.identity
    sample = " The file is only a sample; the whole can hold more." if identity.verdict == "sample" else ""
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.OBSERVED,
        summary=f"In the file given for {dataset.name}, {counts.units:,} people hold {counts.records:,} records, "
        f"one of them {counts.max:,}, while ε is claimed for one record and no bound per person is stated.{sample}",
        evidence=(
            Evidence(
                source="data",
                where=f"the file given for {dataset.name}, column {records.unit_column}"[:600],
                what=f"{counts.units:,} people; {1 - counts.share_single:.1%} of them hold more than one record; 99th "
                f"percentile {counts.p99:g}, maximum {counts.max:,} records",
            ),
            Evidence(source="data", where="the file against its manifest", what=identity.why),
            *_rungs(subject, dataset),
            *_caps(subject, dataset),
            *observed_in(subject, IDENT),
        ),
        remedy=REMEDY,
        claims=_claims(subject, dataset),
    )
