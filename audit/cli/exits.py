"""What `audit run` and `audit probe` exit with."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from audit.diff import fingerprints
from audit.types import AuditResult, Severity, Status


class FailOn(StrEnum):
    """The least severity that makes `audit run` exit 1."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"
    NEVER = "never"


def exit_code(result: AuditResult, fail_on: FailOn, *, inconclusive: bool, known: Collection[str] = ()) -> int:
    """1: a finding at or above `fail_on`, neither waived nor `known` by its fingerprint; else 3: a check failed,
    or was skipped where that counts; else 0.
    """
    waived = {outcome.check for outcome in result.outcomes if outcome.waiver is not None}
    if any(
        found.severity in counted(fail_on) and check not in waived and name not in known
        for name, (check, found) in fingerprints(result).items()
    ):
        return 1
    failed = any(outcome.status is Status.FAILED for outcome in result.outcomes)
    skipped = any(outcome.skips for outcome in result.outcomes)
    return 3 if failed or (inconclusive and skipped) else 0


def counted(fail_on: FailOn) -> list[Severity]:
    """The severities at or above `fail_on`."""
    order = list(Severity)
    return [] if fail_on is FailOn.NEVER else order[: order.index(Severity(fail_on.value)) + 1]
