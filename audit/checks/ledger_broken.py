"""Does a run's ledger hang together?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.subject import Subject
from audit.types import Basis, Evidence, Finding, Severity, Skip

MOST_SHOWN = 5


@check("ledger-broken", "Does the ledger of a training run hang together?", needs=(Need.LEDGER,))
def ledger_broken(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Entries of a ledger that are missing, out of order or changed, and totals that its entries do not add up
    to. Entries are numbered, each holds the digest of the one before it, and the ledger names the digest of
    the last.

    ## Why it matters

    The ε of a run is priced from its ledger. A ledger with a line lost or altered is not a record of that
    run, and no ε follows from it.

    ## What it cannot see

    A ledger is its authors' statement, not a proof. Whoever writes one anew, with other numbers and a chain
    that fits, passes: the check finds slips and lost lines, not lies. It cannot tell which line is the
    wrong one.
    """
    for run in subject.runs:
        if run.faults:
            shown = run.faults[:MOST_SHOWN]
            yield Finding(
                severity=Severity.HIGH,
                basis=Basis.COMPUTED,
                summary=f"The ledger of {run.label} does not hang together: {run.faults[0]}. No ε follows from it.",
                evidence=tuple(
                    Evidence(source="ledger", where=f"ledger {run.ledger_sha256[:12]}", what=fault) for fault in shown
                ),
                remedy="Give the ledger as the run wrote it. If lines were lost, run the training again with a ledger.",
            )
