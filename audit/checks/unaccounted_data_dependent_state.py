"""Does private data reach the release by a way that the accountant does not know?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, Evidence, Fact, Finding, Line, Mechanism, Severity, Skip

IDENT = "unaccounted-data-dependent-state"
REMEDY = (
    "Draw timesteps uniformly and fix the noise schedule beforehand, or make them from clipped and noised losses "
    "whose cost is in the budget. Keep un-noised losses and counts off the disk and out of the release."
)


@check(
    IDENT, "Does un-noised state made from private data steer the training or reach the release?", needs=(Need.CLAIMS,)
)
def unaccounted_data_dependent_state(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Timesteps chosen by remembered losses, a noise schedule fitted to un-noised losses, and raw losses,
    counts or gradient norms that are written beside the model or released with it.

    ## Why it matters

    Composition (arXiv 1607.00133) lets a step depend on the private data through the noisy sums already
    released and through nothing else. A memory of exact losses breaks this: a record changes the timesteps
    and weights of others, even in batches that it is not part of, without any noise. A statistic released
    as it is has no finite ε at all.

    ## What it cannot see

    State that the card does not name. How much such a channel gives away in practice; the finding says
    that no ε follows from the accounting, not that somebody can read the records.
    """
    silent = []
    for mechanism in subject.card.mechanism:
        open_channels = tuple(_channels(mechanism))
        if open_channels:
            yield _finding(subject, mechanism, open_channels)
        written, released = mechanism.raw_statistics_written, mechanism.raw_statistics_released
        if written is not None and written.usable and not _stated(released):
            yield _written(subject, mechanism, written)
        elif not open_channels and not _closed(mechanism):
            silent.append(mechanism.id)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.HIGH, REMEDY)
    if silent:
        yield Skip(
            reason=f"Whether un-noised state is carried through the training is not known for {', '.join(silent)}.",
            needs="timestep_sampler and noise_schedule, or raw_statistics_released (`stated = false` where the "
            "code was read whole and releases none), of the [[mechanism]]",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def _stated(fact: Fact[Line] | None) -> bool:
    return value(fact) is not None


def _closed(mechanism: Mechanism) -> bool:
    """Did somebody look, and find nothing?"""
    released = mechanism.raw_statistics_released
    fixed = value(mechanism.timestep_sampler) == "uniform" and value(mechanism.noise_schedule) == "fixed"
    return fixed or (released is not None and released.absent)


def _channels(mechanism: Mechanism) -> Iterator[Evidence]:
    sampler, schedule, raw = (
        mechanism.timestep_sampler,
        mechanism.noise_schedule,
        mechanism.raw_statistics_released,
    )
    if sampler is not None and value(sampler) == "loss-aware":
        yield from_fact(sampler, "un-noised losses of earlier batches choose the timesteps and weights of later ones")
    if schedule is not None and value(schedule) == "adaptive-private":
        yield from_fact(schedule, "the noise schedule is fitted again and again to un-noised private losses")
    if raw is not None and raw.usable:
        yield from_fact(raw, f"released without noise: {raw.value}")


def _finding(subject: Subject, mechanism: Mechanism, found: tuple[Evidence, ...]) -> Finding:
    return Finding(
        severity=Severity.HIGH,
        basis=Basis.READ,
        summary=f"Private data reaches {mechanism.id} by a way that the accountant was not told of: "
        + "; ".join(evidence.what for evidence in found)
        + ". The stated ε does not cover it; released code may differ from the code that ran.",
        evidence=(*found, *observed_in(subject, IDENT, mechanism.id)),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


def _written(subject: Subject, mechanism: Mechanism, written: Fact[Line]) -> Finding:
    return Finding(
        severity=Severity.LOW,
        basis=Basis.READ,
        summary=f"The training of {mechanism.id} writes un-noised statistics of private data to disk. The claim "
        "stands as long as these files are not released; released code may differ from the code that ran.",
        evidence=(from_fact(written, f"written: {written.value}"), *observed_in(subject, IDENT, mechanism.id)),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )
