"""What happens when Poisson sampling draws nobody?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import caution, from_fact, observed_in, probed, readings_alone
from audit.subject import Subject
from audit.training import delta_of, draws_batches, sampling_probability, steps_accounted, value
from audit.types import Basis, Evidence, Finding, Mechanism, Sampler, Severity, Skip

IDENT = "empty-batch-skipped"
REMEDY = "Add noise and take the step for every batch, also for an empty one, as the accountant assumes."
NEVER = 50  # records in a batch from which an empty one is out of the question: (1-B/N)^N is at most e^-B
NOTICEABLE = 0.01  # share of δ, or of a run, below which an empty batch is not worth a warning
ON_EMPTY = "noisy sums on an empty batch"  # figure of the probe of steps
Run = tuple[str, int, float, int, float]  # data set, N, q, T, δ


def probability_alone(probability: float, others: int, steps: int) -> float:
    """Chance that a record is once in `steps` the only one drawn: 1 − (1 − q(1−q)^N)^T."""
    if probability >= 1:
        return 0.0 if others else 1.0
    once = probability * math.exp(others * math.log1p(-probability))
    return -math.expm1(steps * math.log1p(-once)) if once < 1 else 1.0


@check(IDENT, "Are empty batches skipped instead of noised?", needs=(Need.CLAIMS,))
def empty_batch_skipped(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    What the training loop does with a batch that Poisson sampling left empty, and how much that adds to δ:
    1 − (1 − q(1−q)^N)^T for T steps over N other records.

    ## Why it matters

    A step without noise can be told from a noised one. Whoever knows all records but one, and knows that no
    other was drawn, learns from the presence of a step that the last one was there. The accounting of
    arXiv 1607.00133 has noise in every step. With batches of hundreds this never happens; with small ones
    it can cost more than δ allows. A loop that stops at an empty batch cannot have run as described when
    empty batches were to be expected.

    ## What it cannot see

    Whether skipped steps can be seen in what is released: the addition to δ is an upper bound for a reader
    of every step. Batches below a size limit that are skipped without being empty.
    """
    silent = []
    for mechanism in subject.card.mechanism:
        sampler = value(mechanism.sampler_coded)
        if sampler not in (None, Sampler.POISSON) or not draws_batches(mechanism):
            continue  # batches of these loaders are never empty, and votes have none
        handled = value(mechanism.empty_batch)
        if handled is None:
            silent.append(mechanism.id)
        elif handled == "skip" or (handled == "crash" and _may_stop(subject, mechanism)):
            yield _finding(subject, mechanism, handled)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.LOW, REMEDY)
    if silent:
        yield Skip(
            reason=f"What happens at an empty batch is not known for {', '.join(silent)}.",
            needs="empty_batch of the [[mechanism]] (noise, skip or crash), read in the code",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def _finding(subject: Subject, mechanism: Mechanism, handled: str) -> Finding:
    assert mechanism.empty_batch is not None
    what = "are skipped without noise" if handled == "skip" else "stop the run"
    known = tuple(_runs(subject, mechanism))
    severity, follows, sums = (_skipped if handled == "skip" else _stopped)(known)
    batch = value(mechanism.batch_size) or 0
    if not known and batch >= NEVER:
        severity = Severity.INFO
        follows = f"At {batch:,} records a batch this is too rare to matter: below e^-{batch} a step."
    measured = probed(
        subject, mechanism.id, "steps", only=lambda answer: answer.figures.get(ON_EMPTY) == 0, figures=(ON_EMPTY,)
    )
    return Finding(
        severity=severity,
        basis=Basis.COMPUTED if known else Basis.OBSERVED if measured else Basis.READ,
        summary=f"Empty batches {what} in the training of {mechanism.id}, where the accounting has a noised step. "
        f"{follows}" + caution(mechanism.empty_batch),
        evidence=(
            from_fact(mechanism.empty_batch, f"empty batches {what}"),
            *sums,
            *measured,
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


def _runs(subject: Subject, mechanism: Mechanism) -> Iterator[Run]:
    """Every run of the mechanism's claims whose N, q, T and δ are known."""
    for claim in subject.card.claim:
        for name in claim.datasets if claim.mechanism == mechanism.id else ():
            records, delta = value(subject.dataset(name).records), value(claim.delta)
            if records is None or records < 2 or delta is None:
                continue
            probability, steps = sampling_probability(mechanism, records), steps_accounted(mechanism, records)
            if probability is not None and steps is not None:
                yield name, records, probability, steps, delta_of(delta, records)


def _skipped(known: tuple[Run, ...]) -> tuple[Severity, str, tuple[Evidence, ...]]:
    if not known:
        return Severity.MEDIUM, "How much that adds to δ cannot be computed from the sources read.", ()
    added = [(probability_alone(q, records, steps), delta, name) for name, records, q, steps, delta in known]
    share = max(more / delta for more, delta, _ in added)
    sums = tuple(
        Evidence(source="accounting", where="1 − (1 − q(1−q)^N)^T", what=f"{name}: adds {more:.2g} to δ = {delta:.2g}")
        for more, delta, name in added
    )
    if share < NOTICEABLE:
        return Severity.INFO, "On the stated data this is too rare to matter.", sums
    return Severity.HIGH if share >= 1 else Severity.MEDIUM, f"This adds up to {share:.2g} times the stated δ.", sums


def _expected(run: Run) -> float:
    """Empty batches to be expected in a run: T(1−q)^N."""
    _, records, probability, steps, _ = run
    return steps * math.exp(records * math.log1p(-probability)) if probability < 1 else 0.0


def _finishes(run: Run) -> float:
    """Chance that no batch of a run is empty: (1 − (1−q)^N)^T."""
    steps = run[3]
    empty = _expected(run) / steps
    return math.exp(steps * math.log1p(-empty)) if empty < 1 else 0.0


def _may_stop(subject: Subject, mechanism: Mechanism) -> bool:
    known = tuple(_runs(subject, mechanism))
    if not known:
        return (value(mechanism.batch_size) or 0) < NEVER
    return max(_expected(run) for run in known) >= NOTICEABLE


def _stopped(known: tuple[Run, ...]) -> tuple[Severity, str, tuple[Evidence, ...]]:
    if not known:
        return Severity.LOW, "How likely that is cannot be computed from the sources read.", ()
    sums = tuple(
        Evidence(source="accounting", where="T(1−q)^N", what=f"{run[0]}: {_expected(run):.2g} empty batches expected")
        for run in known
    )
    most = max(known, key=_expected)
    return (
        Severity.LOW,
        f"On {most[0]} {_expected(most):.2g} are expected in a run, so the chance that a run as described finishes is "
        f"{_finishes(most):.2g}.",
        sums,
    )
