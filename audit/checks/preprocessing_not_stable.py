"""Does one record of the raw data move several records of the training data?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from audit.check import check
from audit.evidence import caution, from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import delta_of, value
from audit.types import Basis, DatasetUse, Evidence, Finding, Severity, Skip

IDENT = "preprocessing-not-stable"
REMEDY = (
    "Balance to a number of records per class that is fixed beforehand, or leave the classes as they are; "
    "otherwise state the guarantee on the raw data, with group size = number of classes."
)


def _targets(subject: Subject, dataset: DatasetUse) -> dict[tuple[float, float], list[str]]:
    """The (ε, δ) claimed on the dataset, with the claims that name them."""
    targets: dict[tuple[float, float], list[str]] = {}
    for claim in subject.card.claim:
        records, delta = value(dataset.records), value(claim.delta)
        if dataset.name in claim.datasets and records is not None and records > 1 and delta is not None:
            epsilons = value(claim.epsilons) or ()
            for epsilon in (e for e in epsilons if math.isfinite(e)):
                targets.setdefault((epsilon, delta_of(delta, records)), []).append(claim.id)
    return targets


def _bounds(subject: Subject, dataset: DatasetUse, classes: int) -> Iterator[Evidence]:
    from audit.accounting.black_box import group_delta

    for (epsilon, delta), claims in sorted(_targets(subject, dataset).items()):
        got = group_delta(epsilon, delta, classes)
        meaning = "no guarantee is left" if got >= 1 else f"at worst ({classes * epsilon:.4g}, {got:.3g})"
        yield Evidence(
            source="accounting",
            where="group bound (cε, δ(e^{cε} − 1)/(e^ε − 1))",
            what=f"ε = {epsilon:g}, δ = {delta:.3g} on the balanced data ({', '.join(claims)}): with c = {classes}, "
            f"{meaning} on the raw data by this bound",
        )


def _finding(subject: Subject, dataset: DatasetUse) -> Finding:
    classes, bounds = value(dataset.classes), []
    if classes is not None:
        bounds = list(_bounds(subject, dataset, classes))
    assert dataset.class_balance is not None
    moved = "as many training records as there are classes" if classes is None else f"{classes} training records"
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.COMPUTED if classes is not None else Basis.READ,
        summary=f"{dataset.name} is cut to its smallest class before training, so one record of the raw data can "
        f"move {moved}. The claim holds for the balanced data, not for the raw data that people are in."
        + caution(dataset.class_balance),
        evidence=(
            from_fact(dataset.class_balance, "every class is cut to the count of the smallest one"),
            *bounds,
            Evidence(
                source="card",
                where="arithmetic",
                what="N after balancing is classes × smallest count, an exact private count; "
                "it enters the sampling probability, and δ and the steps where they follow from N",
            ),
            *observed_in(subject, IDENT),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=dataset.name),
    )


@check(IDENT, "Does one raw record move several training records?")
def preprocessing_not_stable(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Class balancing down to the smallest class. Adding one record to that class adds one record to every
    class: with c classes the map is c-stable, and ε for the raw data is bounded by that of a group of c
    records, (cε, δ(e^{cε} − 1)/(e^ε − 1)). The bound is computed for every claim on the dataset.

    ## Why it matters

    Accounting starts at the balanced data. People are in the raw data, and there the same noise protects
    less: at ε = 8 and five classes the bound says nothing any more.

    ## What it cannot see

    The bound is not tight, so a loss of that size is possible and not shown. Other steps before training
    (filters by global statistics, vocabularies, clustering) are not on a card and not looked at. Classes
    so unlike in size that one record cannot change which is the smallest would do better in practice.
    """
    silent = [d.name for d in subject.card.dataset if value(d.class_balance) is None]
    for dataset in subject.card.dataset:
        if value(dataset.class_balance) == "minimum-class-count":
            yield _finding(subject, dataset)
    if len(silent) == len(subject.card.dataset):
        yield from readings_alone(subject, IDENT, (), Severity.MEDIUM, REMEDY)
    if silent or not subject.card.dataset:
        yield Skip(
            reason="Whether classes are balanced before training is not known for "
            f"{', '.join(silent) or 'any dataset'}.",
            needs="class_balance (minimum-class-count, fixed-n or none) of the [[dataset]]",
            claims=tuple(c for name in silent for c in subject.claims_of(dataset=name)),
        )
