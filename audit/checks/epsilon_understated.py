"""Does the training that is stated give the ε that is stated?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audit.check import Need, check
from audit.evidence import from_fact, observed_in, readings_alone
from audit.rungs import bracket_text, from_rung, rung_of
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, ClaimResult, Fact, Finding, Mechanism, Rung, Severity, Skip

IDENT = "epsilon-understated"
REMEDY = "State the ε that a tight accountant gives for the stated training, or add noise and train again."
GDP_REMEDY = "State the ε of an accountant that gives upper bounds: privacy loss distributions, PRV or Rényi."
RELATIVE, ABSOLUTE = 1e-3, 0.01  # rounding of the claim, and the tolerance to which PRV accountants calibrate


@check(IDENT, "Is ε larger than stated for the training that is stated?", needs=(Need.CLAIMS,))
def epsilon_understated(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Claims whose stated noise multiplier, sampling, steps and δ give a lower bound on ε above the ε that is
    claimed; and claims accounted with the central-limit approximation of Gaussian differential privacy.

    ## Why it matters

    An ε below what the mechanism gives is no guarantee. The central-limit approximation (arXiv 1911.10127)
    is not an upper bound: at small sampling rates and little noise it falls well below the true ε, as the
    numerical composition of arXiv 2106.02848 shows.

    ## What it cannot see

    Claims whose noise multiplier is not stated: the ladder then derives the smallest noise that gives the
    claim, which can contradict nothing. Whether the code trained as stated: see steps-mismatch and
    sampling-mismatch. An excess within 0.01 or 0.1 % is taken for rounding.
    """
    silent, judged = list[str](), set[str]()
    for mechanism in subject.card.mechanism:
        accountant, noise = mechanism.accountant, mechanism.noise_multiplier
        if accountant is not None and value(accountant) == "gdp":
            judged.add(mechanism.id)
            yield _approximated(subject, mechanism, accountant)
        claims = [c for c in subject.claims if c.mechanism == mechanism.id]
        priced = [(c, rung) for c in claims if (rung := rung_of(c, "recomputed")) is not None]
        if noise is None or value(noise) is None or not claims or len(priced) < len(claims):
            silent.append(mechanism.id)
        if noise is None or value(noise) is None or not priced:
            continue
        judged.add(mechanism.id)
        above = [(c, rung) for c, rung in priced if (rung.epsilon_lower or 0) > c.epsilon * (1 + RELATIVE) + ABSOLUTE]
        if above:
            yield _understated(subject, mechanism, noise, above)
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if silent:
        yield Skip(
            reason="The noise multiplier, or another number that the accounting needs, is not known for all claims of "
            f"{', '.join(silent)}.",
            needs="noise_multiplier of the [[mechanism]] as used, with its batch size, steps or epochs, δ and N",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def _approximated(subject: Subject, mechanism: Mechanism, accountant: Fact[Any]) -> Finding:
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.READ,
        summary=f"The ε of {mechanism.id} was computed with a central-limit approximation, which is not an upper "
        "bound; the true ε can be well above it.",
        evidence=(
            from_fact(accountant, "the accountant is the central-limit approximation (gdp)"),
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=GDP_REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


def _understated(
    subject: Subject, mechanism: Mechanism, noise: Fact[float], above: list[tuple[ClaimResult, Rung]]
) -> Finding:
    claim, rung = max(above, key=lambda pair: (pair[1].epsilon_lower or 0) - pair[0].epsilon)
    return Finding(
        severity=Severity.HIGH,
        basis=Basis.COMPUTED,
        summary=f"The stated training of {mechanism.id} does not give the stated ε: for {claim.label}, the noise, "
        f"sampling and steps as stated give an ε {bracket_text(rung)}.",
        evidence=(
            from_fact(noise, f"noise multiplier {noise.value:g}"),
            *(from_rung(c, r) for c, r in above),
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=tuple(c.id for c, _ in above),
    )
