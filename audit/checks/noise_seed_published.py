"""Can anybody replay the noise?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import caution, from_fact, observed_in, probed, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, Finding, Mechanism, Severity, Skip

IDENT = "noise-seed-published"
REMEDY = (
    "Draw noise and batches from the operating system's entropy and keep that state secret; a public seed may "
    "still drive everything that is not private, such as initial weights."
)


@check(IDENT, "Are the noise and the batches drawn from a seed that anybody can read?", needs=(Need.CLAIMS,))
def noise_seed_published(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    A seed that is published with the code and drives the Gaussian noise and the choice of batches, with
    no secure generator in its place.

    ## Why it matters

    The guarantee is a statement about randomness that the adversary does not know. With the code and the
    seed the noise of every step can be generated again and subtracted, which leaves the clipped sums as
    they were. The ε computed for secret noise (arXiv 1607.00133) then bounds nothing.

    ## What it cannot see

    Whether the published seed is the one that was used, or whether the hardware repeats its stream bit
    for bit. Weak or reused randomness without a published seed, and what ordinary floating-point noise
    gives away (arXiv 2112.05307), are outside it.
    """
    silent = []
    for mechanism in subject.card.mechanism:
        seed = mechanism.noise_seed
        if value(mechanism.secure_noise) is True or (seed is not None and seed.absent):
            continue
        if seed is None or value(seed) is None:
            silent.append(mechanism.id)
        else:
            yield _finding(subject, mechanism)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.HIGH, REMEDY)
    if silent:
        yield Skip(
            reason=f"Whether a published seed drives the noise is not known for {', '.join(silent)}.",
            needs="noise_seed of the [[mechanism]] (`stated = false` where the code was read whole and sets "
            "none), or secure_noise",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def _finding(subject: Subject, mechanism: Mechanism) -> Finding:
    seed = mechanism.noise_seed
    assert seed is not None
    measured = probed(subject, mechanism.id, "randomness")
    return Finding(
        severity=Severity.HIGH,
        basis=Basis.OBSERVED if measured else Basis.READ,
        summary=f"As released, the noise and the batches of {mechanism.id} come from the published seed {seed.value}, "
        "so whoever runs the code again can subtract the noise. A run with that seed keeps its claim only against "
        "somebody without the code." + caution(seed),
        evidence=(
            from_fact(seed, f"seed {seed.value} also drives noise and sampling"),
            *measured,
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )
