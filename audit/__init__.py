"""Tells whether a paper's differential-privacy claim on synthetic text holds.

`run_audit(target, data=…, corpora=…, code=…)` returns an `AuditResult`; the command line is a thin layer over it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audit.run import run_audit
    from audit.types import AuditResult

__all__ = ["AuditResult", "run_audit"]


def __getattr__(name: str) -> Any:
    """Resolve the public names when they are asked for, so that `import audit` stays light."""
    if name == "run_audit":
        from audit.run import run_audit

        return run_audit
    if name == "AuditResult":
        from audit.types import AuditResult

        return AuditResult
    raise AttributeError(f"module 'audit' has no attribute {name!r}")
