"""Rungs for records that the starting model had seen before the private training: what ε does not speak of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from audit.types import ClaimResult, Finding, Outcome, Rung, Severity

CHECK = "contamination-found"
UNCOVERED = "Not covered: the released model had seen them without DP."


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
