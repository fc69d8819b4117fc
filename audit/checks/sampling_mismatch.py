"""Are batches drawn as the accountant assumes?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import caution, from_fact, observed_in, probed, readings_alone
from audit.rungs import bracket_text, from_rung, noise_text, rung_of
from audit.subject import Subject
from audit.training import draws_batches, value
from audit.types import Basis, ClaimResult, Finding, Mechanism, Rung, Sampler, Severity, Skip

IDENT = "sampling-mismatch"
REMEDY = (
    "Draw batches as accounted (Poisson: each record enters each step by its own coin flip, batches vary in size), "
    "or account for the loader that is used."
)
COVERED = {Sampler.DETERMINISTIC: {Sampler.SHUFFLE_ONCE, Sampler.SHUFFLE_EACH_EPOCH}}  # by joint convexity
AS = {
    Sampler.POISSON: "Poisson sampling",
    Sampler.FIXED_SIZE: "fixed-size batches drawn anew at each step",
    Sampler.SHUFFLE_EACH_EPOCH: "batches of a list shuffled in each epoch",
    Sampler.SHUFFLE_ONCE: "batches of a list shuffled once",
    Sampler.DETERMINISTIC: "batches in a fixed order",
}


@check(IDENT, "Does the loader draw batches as the accountant assumes?", needs=(Need.CLAIMS,))
def sampling_mismatch(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    The sampler that the accountant was told of against the sampler that the code uses. Where they differ,
    the ladder gives ε under the sampler as coded.

    ## Why it matters

    Much of a small ε comes from the chance that a record is not in a batch. Shuffled batches of fixed size
    do not have the amplification of Poisson sampling: worst-case data can have a far larger ε at the same
    noise (arXiv 2403.17673, 2411.04205). A Poisson ε is then unproven, and where the lower bound lies above
    the claim it is false for the worst case.

    ## What it cannot see

    How much an attacker gains on ordinary data: the bounds are for the worst data set, with every step
    released. What the loader really did when it ran; a mismatch between the probability in the accounting
    and that in the loader.
    """
    silent = []
    for mechanism in filter(draws_batches, subject.card.mechanism):
        accounted, coded = value(mechanism.sampler_accounted), value(mechanism.sampler_coded)
        if accounted is None or coded is None:
            silent.append(mechanism.id)
        elif coded != accounted and coded not in COVERED.get(accounted, ()):
            yield _finding(subject, mechanism)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if silent:
        yield Skip(
            reason=f"The sampler is not known both as accounted and as coded for {', '.join(silent)}.",
            needs="sampler_accounted and sampler_coded of the [[mechanism]]",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def _finding(subject: Subject, mechanism: Mechanism) -> Finding:
    accounted, coded = mechanism.sampler_accounted, mechanism.sampler_coded
    assert accounted is not None
    assert coded is not None
    assert accounted.value is not None
    assert coded.value is not None
    claims = [c for c in subject.claims if c.mechanism == mechanism.id]
    priced = [(c, rung) for c in claims if (rung := rung_of(c, "sampler-as-coded")) is not None]
    false = [(c, rung) for c, rung in priced if (rung.epsilon_lower or 0) > c.epsilon]
    measured = probed(subject, mechanism.id, "sampling")
    return Finding(
        severity=Severity.HIGH if false else Severity.MEDIUM,
        basis=Basis.COMPUTED if false else Basis.OBSERVED if measured else Basis.READ,
        summary=f"The ε of {mechanism.id} was computed for {AS[accounted.value]}, but the code uses {AS[coded.value]}. "
        + _consequence(false)
        + caution(accounted, coded),
        evidence=(
            from_fact(accounted, f"accounted: {AS[accounted.value]}"),
            from_fact(coded, f"coded: {AS[coded.value]}"),
            *(from_rung(claim, rung) for claim, rung in priced),
            *measured,
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


def _consequence(false: list[tuple[ClaimResult, Rung]]) -> str:
    if not false:
        return "The claim is unproven for these batches."
    claim, rung = max(false, key=lambda pair: (pair[1].epsilon_lower or 0) / pair[0].epsilon if pair[0].epsilon else 0)
    return f"On worst-case data ε is then {bracket_text(rung)} ({claim.label}{noise_text(claim)})."
