"""Did a run look at private data outside what was priced?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.subject import Subject
from audit.types import Basis, Evidence, Finding, Severity, Skip


@check("access-not-covered", "Did a run look at private data outside what was priced?", needs=(Need.LEDGER,))
def access_not_covered(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Entries of a run's ledger that name an access to private data - validation, a choice of checkpoint, label
    counts, logged losses - and say that the priced event does not cover it.

    ## Why it matters

    The ε of a release covers every use of the private data that can show in it. A use outside the price has
    no bound of its own, and the ε of the training says nothing about it.

    ## What it cannot see

    Accesses that the ledger does not list, and whether one that is listed as covered really is. Whether an
    access changed anything in the release: only that nothing bounds what it could have changed.
    """
    for run in subject.runs:
        outside = [access for access in run.accesses if not access.covered]
        if outside:
            yield Finding(
                severity=Severity.HIGH,
                basis=Basis.READ,
                summary=f"The run {run.label} looked at private data outside what was priced: "
                + "; ".join(access.what for access in outside)[:3000]
                + ".",
                evidence=tuple(
                    Evidence(
                        source="ledger",
                        where=f"ledger {run.ledger_sha256[:12]}",
                        what=f"{access.what} ({access.why})" if access.why else access.what,
                    )
                    for access in outside[:20]
                ),
                remedy="Leave the access out, take it with noise and price it with the training, or use public data.",
            )
