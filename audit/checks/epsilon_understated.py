"""Does the training that is stated give the ε that is stated?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from audit.check import Need, check
from audit.evidence import from_fact, observed_in, readings_alone
from audit.rungs import bracket_text, from_rung, rung_of
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, ClaimResult, Evidence, Fact, Finding, Mechanism, Rung, Severity, Skip

IDENT = "epsilon-understated"
REMEDY = "State the ε that a tight accountant gives for the stated training, or add noise and train again."
GDP_REMEDY = "State the ε of an accountant that gives upper bounds: privacy loss distributions, PRV or Rényi."
ROUNDING_REMEDY = "Round the stated ε up, or add that much noise."
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
    sampling-mismatch. An excess within 0.01 or 0.1 % is taken for rounding, and noted.
    """
    silent, judged = list[str](), set[str]()
    for mechanism in subject.card.mechanism:
        accountant, noise = mechanism.accountant, tuple(_noise(subject, mechanism))
        if accountant is not None and value(accountant) == "gdp":
            judged.add(mechanism.id)
            yield _approximated(subject, mechanism, accountant)
        claims = [c for c in subject.claims if c.mechanism == mechanism.id]
        stated = [c for c in claims if not c.noise_multiplier_derived]
        priced = [(c, rung) for c in stated if (rung := rung_of(c, "recomputed")) is not None]
        if not noise or not claims or len(priced) < len(claims):
            silent.append(mechanism.id)
        if not noise or not priced:
            continue
        judged.add(mechanism.id)
        for clearly, found in ((True, _understated), (False, _rounded)):
            above = [(c, rung) for c, rung in priced if _is_above(c, rung) and _is_clearly_above(c, rung) is clearly]
            if above:
                yield found(subject, mechanism, noise, above)
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


def _noise(subject: Subject, mechanism: Mechanism) -> Iterator[Evidence]:
    """The noise multipliers stated for the mechanism and for its claims, as evidence."""
    own = mechanism.noise_multiplier
    if own is not None and value(own) is not None:
        yield from_fact(own, f"noise multiplier {own.value:g}")
    for claim in subject.card.claim:
        each = claim.noise_multipliers
        if claim.mechanism == mechanism.id and each is not None and value(each) is not None:
            listed = ", ".join(f"{noise:g}" for noise in each.value or ())
            yield from_fact(each, f"noise multipliers of {claim.id}: {listed}")


def _is_above(claim: ClaimResult, rung: Rung) -> bool:
    return (rung.epsilon_lower or 0) > claim.epsilon


def _is_clearly_above(claim: ClaimResult, rung: Rung) -> bool:
    return (rung.epsilon_lower or 0) > claim.epsilon * (1 + RELATIVE) + ABSOLUTE


def _rounded(
    subject: Subject, mechanism: Mechanism, noise: Sequence[Evidence], above: list[tuple[ClaimResult, Rung]]
) -> Finding:
    claim, rung = max(above, key=lambda pair: (pair[1].epsilon_lower or 0) / pair[0].epsilon)
    return Finding(
        severity=Severity.INFO,
        basis=Basis.COMPUTED,
        summary=f"The noise stated for {mechanism.id} gives slightly more than the stated ε, as rounding would: for "
        f"{claim.label} it is {bracket_text(rung)}.",
        evidence=(*noise, *(from_rung(c, r) for c, r in above), *observed_in(subject, IDENT, mechanism.id)),
        remedy=ROUNDING_REMEDY,
        claims=tuple(c.id for c, _ in above),
    )


def _understated(
    subject: Subject, mechanism: Mechanism, noise: Sequence[Evidence], above: list[tuple[ClaimResult, Rung]]
) -> Finding:
    claim, rung = max(above, key=lambda pair: (pair[1].epsilon_lower or 0) - pair[0].epsilon)
    return Finding(
        severity=Severity.HIGH,
        basis=Basis.COMPUTED,
        summary=f"The stated training of {mechanism.id} does not give the stated ε: for {claim.label}, the noise, "
        f"sampling and steps as stated give an ε {bracket_text(rung)}.",
        evidence=(
            *noise,
            *(from_rung(c, r) for c, r in above),
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=tuple(c.id for c, _ in above),
    )
