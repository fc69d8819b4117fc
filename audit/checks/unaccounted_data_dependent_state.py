"""Does private data reach the release by a way that the accountant does not know?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audit.check import Need, check
from audit.evidence import caution, from_fact, observed_in, probed, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, Fact, Finding, Mechanism, Severity, Skip

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
    silent, written = list[str](), list[Mechanism]()
    for mechanism in subject.card.mechanism:
        channels = tuple(_channels(mechanism))
        if channels:
            yield _finding(subject, mechanism, channels)
        if _stated(mechanism.raw_statistics_written) and not _stated(mechanism.raw_statistics_released):
            written.append(mechanism)
        elif not channels and not _closed(mechanism):
            silent.append(mechanism.id)
    if written:
        yield _written(subject, written)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.HIGH, REMEDY)
    if silent:
        yield Skip(
            reason=f"Whether un-noised state is carried through the training is not known for {', '.join(silent)}.",
            needs="timestep_sampler and noise_schedule, or raw_statistics_released (`stated = false` where the "
            "code was read whole and releases none), of the [[mechanism]]",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def _stated(fact: Fact[Any] | None) -> bool:
    return value(fact) is not None


def _closed(mechanism: Mechanism) -> bool:
    """Did somebody look, and find nothing?"""
    released = mechanism.raw_statistics_released
    fixed = value(mechanism.timestep_sampler) == "uniform" and value(mechanism.noise_schedule) == "fixed"
    return fixed or (released is not None and released.absent)


def _channels(mechanism: Mechanism) -> Iterator[tuple[str, Fact[Any]]]:
    """What reaches the release unaccounted, in words, and the fact that says so."""
    sampler, schedule = mechanism.timestep_sampler, mechanism.noise_schedule
    raw = mechanism.raw_statistics_released
    if sampler is not None and value(sampler) == "loss-aware":
        yield "un-noised losses of earlier batches choose the timesteps and weights of later ones", sampler
    if schedule is not None and value(schedule) == "adaptive-private":
        yield "the noise schedule is fitted again and again to un-noised private losses", schedule
    if raw is not None and raw.usable:
        yield f"released without noise: {raw.value}", raw


def _finding(subject: Subject, mechanism: Mechanism, channels: tuple[tuple[str, Fact[Any]], ...]) -> Finding:
    measured = probed(subject, mechanism.id, "replay", "parameters")
    return Finding(
        severity=Severity.HIGH,
        basis=Basis.OBSERVED if measured else Basis.READ,
        summary=f"Private data reaches {mechanism.id} by a way that the accountant was not told of: "
        + "; ".join(what for what, _ in channels)
        + ". The stated ε does not cover it."
        + caution(*(fact for _, fact in channels)),
        evidence=(
            *(from_fact(fact, what) for what, fact in channels),
            *measured,
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


def _written(subject: Subject, mechanisms: list[Mechanism]) -> Finding:
    """One finding for all mechanisms that write and do not release; observations may be shared by several."""
    facts = [(m.id, m.raw_statistics_written) for m in mechanisms]
    seen = dict.fromkeys(evidence for m in mechanisms for evidence in observed_in(subject, IDENT, m.id))
    return Finding(
        severity=Severity.LOW,
        basis=Basis.READ,
        summary=f"The training of {', '.join(m.id for m in mechanisms)} writes un-noised statistics of private data to "
        "disk. The claim stands as long as these files are not released." + caution(*(fact for _, fact in facts)),
        evidence=(
            *(from_fact(fact, f"{name} writes {fact.value}") for name, fact in facts if fact is not None),
            *seen,
        ),
        remedy=REMEDY,
        claims=tuple(c for m in mechanisms for c in subject.claims_of(mechanism=m.id)),
    )
