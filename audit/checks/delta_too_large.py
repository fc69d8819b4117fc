"""Is δ small enough for ε to mean something?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import delta_of, value
from audit.types import Basis, Claim, DeltaRule, Evidence, Finding, Severity, Skip

IDENT = "delta-too-large"
REMEDY = (
    "Choose δ well below one over the number of people in the data, 1/(10N) or smaller, and compute ε again at that δ."
)
TOO_LARGE, SMALL = 1 - 1e-9, 0.1 + 1e-9  # δ·N as a float: 1/N · N may come out just below 1
Size = tuple[str, int, tuple[Evidence, ...]]  # what is counted, how many, how that is known


@check(IDENT, "Is δ as large as one over the number of records?", needs=(Need.CLAIMS,))
def delta_too_large(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    δ times the number of training records and, where a file was given, times the number of people in it.
    At 1 or more the claim is found; between 0.1 and 1 it is noted.

    ## Why it matters

    (ε, δ) allows anything with probability δ. Publishing one record picked at random out of N satisfies
    (0, 1/N), so a δ of 1/N does not rule out that somebody is exposed in full (Dwork and Roth 2014, section
    2.3). δ·N is about how many people may be.

    ## What it cannot see

    Whether the mechanism fails in that way: Gaussian noise degrades smoothly, and its ε at a smaller δ is
    only moderately larger. Whether N itself is private.
    """
    silent: list[str] = []
    judged: set[str] = set()
    for claim in subject.card.claim:
        for dataset in claim.datasets:
            sizes = tuple(_sizes(subject, dataset))
            if not _computable(value(claim.delta), sizes):
                silent.append(f"{claim.id} on {dataset}")
            else:
                judged.add(claim.mechanism)
                yield from _findings(subject, claim, dataset, sizes)
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if silent:
        yield Skip(
            reason=f"δ and the number of records are not both known: {', '.join(silent)}"[:4000],
            needs="delta of the [[claim]] and records of the [[dataset]], or the data itself",
        )


def _computable(delta: float | DeltaRule | None, sizes: tuple[Size, ...]) -> bool:
    """A rule needs the N of the training, at least 2; a number can be held against any size."""
    if isinstance(delta, DeltaRule):
        return bool(sizes) and sizes[0][0] == "training records" and sizes[0][1] > 1
    return delta is not None and bool(sizes)


def _sizes(subject: Subject, dataset: str) -> Iterator[Size]:
    records = subject.dataset(dataset).records
    if records is not None and value(records) is not None:
        assert records.value is not None
        yield "training records", records.value, (from_fact(records, f"{records.value:,} training records"),)
    counts = subject.data[dataset].counts if dataset in subject.data else None
    if counts is not None:
        where = f"the file given for {dataset}"
        yield "people", counts.units, (Evidence(source="data", where=where, what=f"{counts.units:,} people"),)


def _findings(subject: Subject, claim: Claim, dataset: str, sizes: tuple[Size, ...]) -> Iterator[Finding]:
    rule = value(claim.delta)
    assert rule is not None
    assert claim.delta is not None
    delta = delta_of(rule, sizes[0][1])
    what, size, known = max(sizes, key=lambda entry: entry[1])
    if delta * size <= SMALL:
        return
    large = delta * size >= TOO_LARGE
    follows = "that much" if large else "a tenth of that or more"
    yield Finding(
        severity=Severity.HIGH if large else Severity.LOW,
        basis=Basis.COMPUTED,
        summary=f"The δ of {claim.id} on {dataset} is {delta:.3g}, which is {delta * size:.3g} divided by the number "
        f"of {what}. Publishing one record in full, picked at random, needs a δ of 1 over that number; this allows "
        f"{follows}.",
        evidence=(
            from_fact(claim.delta, f"δ = {rule}"),
            *known,
            Evidence(source="accounting", where="δ·N", what=f"{delta:.4g} · {size:,} = {delta * size:.4g}"),
            *observed_in(subject, IDENT, claim.mechanism),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(claim.mechanism, dataset),
    )
