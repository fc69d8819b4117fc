"""Rungs for what ε does not speak of: unpriced looks of a run, and records that the starting model had seen before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from audit.types import ClaimResult, Finding, Outcome, Rung, Severity

ACCESS = "access-not-covered"
CHECK = "contamination-found"
UNCOVERED = "Not covered: the released model had seen them without DP."


def with_uncovered_access(
    claims: Sequence[ClaimResult], outcomes: Iterable[Outcome], mechanisms: int
) -> tuple[ClaimResult, ...]:
    """The claims, each with a last rung without an upper end where a run looked at private data outside its price.

    A ledger bears on the paper's only mechanism; of several `mechanisms` it may be any, and no rung follows. A waiver
    changes no ε. A ladder that leaves out more by its card already has that rung.
    """
    found = [f for o in outcomes if o.check == ACCESS for f in o.findings if f.severity is Severity.HIGH]
    return tuple(claims) if mechanisms != 1 or not found else tuple(_unbounded(claim, found) for claim in claims)


def _unbounded(claim: ClaimResult, findings: Sequence[Finding]) -> ClaimResult:
    priced = [rung for rung in claim.ladder if rung.unavailable is None]
    if claim.delta is None or not priced or any(rung.id == "channels" for rung in priced):
        return claim
    last = priced[-1]
    rung = Rung(
        id="channels",
        label="With what the run did outside its price: no upper bound follows",
        epsilon_lower=0.0 if last.id == "claimed" else last.epsilon_lower,
        epsilon_upper=math.inf,
        delta=claim.delta,
        privacy_unit=last.privacy_unit,
        neighboring_relation=last.neighboring_relation,
        method="no bound follows",
        assumption=" ".join(finding.summary for finding in findings)[:3900],
        group_size=last.group_size,
    )
    return claim.model_copy(update={"ladder": (*claim.ladder, rung)})


def with_uncovered_records(claims: Sequence[ClaimResult], outcomes: Iterable[Outcome]) -> tuple[ClaimResult, ...]:
    """The claims, each with a rung for every severe finding of private records in a pretraining corpus.

    The rung has no ε: the fine-tuning keeps the one it has, and nothing bounds what was learnt before it.
    """
    found = [f for o in outcomes if o.check == CHECK for f in o.findings if f.severity is Severity.HIGH]
    return tuple(_extended(claim, [f for f in found if claim.id in f.claims]) for claim in claims)


def _extended(claim: ClaimResult, findings: Sequence[Finding]) -> ClaimResult:
    rungs = tuple(_rung(claim, number, finding) for number, finding in enumerate(findings, 1))
    return claim.model_copy(update={"ladder": (*claim.ladder, *rungs)}) if rungs else claim


def _rung(claim: ClaimResult, number: int, finding: Finding) -> Rung:
    return Rung(
        id="uncovered-records" if number == 1 else f"uncovered-records-{number}",
        label="Records that the starting model had seen",
        privacy_unit=f"one of the records found ({finding.evidence[0].where})",
        neighboring_relation=claim.ladder[0].neighboring_relation,
        method="not computed",
        assumption=finding.summary,
        unavailable=UNCOVERED,
    )
