"""Is the run that a ledger records the one that was priced?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from audit.check import Need, check
from audit.rungs import bracket_text
from audit.subject import Subject
from audit.types import Basis, Evidence, Finding, RunResult, Severity, Skip

CLOSE = 0.01  # relative: cards round


@check("run-not-as-accounted", "Is the run that a ledger records the one that was priced?", needs=(Need.LEDGER,))
def run_not_as_accounted(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Ledgers whose run is not the mechanism they say was priced: more noisy updates than accounted, another
    sampler, noise multiplier, sampling probability or group size, batches skipped without noise, gradients
    that were not clipped, batch sizes that Poisson sampling all but never draws, noise from a fixed seed. And,
    less severe, ledgers of another run than the card tells of: another ε, noise multiplier or number of records.

    ## Why it matters

    An ε belongs to the mechanism that was priced. If another one ran, the ε of the run is another, and a
    fixed seed lets whoever learns it take the noise away. A ledger of another run says nothing of the claim.

    ## What it cannot see

    Anything that the ledger does not record: a loop that records what it should have done. Batch sizes are
    judged by their sum and their ends only, so a sampler that imitates the sizes of Poisson batches passes.
    """
    for run in subject.runs:
        if run.faults:
            yield Skip(
                reason=f"The ledger of {run.label} does not hang together, so nothing is judged by it.",
                needs="the ledger as the run wrote it",
            )
            continue
        wrong = list(run.departures)
        if run.randomness == "fixed-seed":
            wrong.append("noise and batches come from a fixed seed")
        if wrong:
            yield _finding(run, wrong)
        if other := list(_beside_card(subject, run)):
            yield _of_another_run(run, other)


def _beside_card(subject: Subject, run: RunResult) -> Iterator[str]:
    """Where no claim that the ledger could stand for has its ε, its stated noise or its records."""
    claims = [c for c in subject.claims if run.mechanism in (None, c.mechanism)]
    claims = [c for c in claims if c.dataset == run.dataset] or claims  # that of its dataset, where the card has it
    stated = [c.noise_multiplier for c in claims if not c.noise_multiplier_derived]
    asked = [rung.epsilon_lower for rung in run.ladder if rung.id == "claimed" and rung.epsilon_lower is not None]
    for what, ran, said in (
        ("ε asked for", asked[0] if asked else None, [c.epsilon for c in claims]),
        ("noise multiplier", run.noise_multiplier, stated),
        ("number of records", run.records, [c.records for c in claims]),
    ):
        known = sorted({value for value in said if value is not None})
        if ran is not None and known and not any(math.isclose(ran, value, rel_tol=CLOSE) for value in known):
            yield f"its {what} is {_figure(ran)}, on the card {', '.join(map(_figure, known))}"


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _finding(run: RunResult, wrong: list[str]) -> Finding:
    priced = [
        Evidence(source="accounting", where=f"rung as-run ({rung.method})"[:600], what=f"ε {bracket_text(rung)}")
        for rung in run.ladder
        if rung.id == "as-run" and rung.unavailable is None
    ]
    return Finding(
        severity=Severity.HIGH,
        basis=Basis.COMPUTED,
        summary=f"The run {run.label} is not the one that was priced: {'; '.join(wrong)}.",
        evidence=(
            *_in_ledger(run, wrong),
            *priced,
        ),
        remedy="Price what ran, or run what was priced: the same sampler, noise, steps and unit, every batch noised, "
        "noise from OS entropy.",
    )


def _of_another_run(run: RunResult, other: list[str]) -> Finding:
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.COMPUTED,
        summary=f"The ledger of {run.label} is of another run than the card tells of: {'; '.join(other)}. It bears "
        "neither for nor against the claims.",
        evidence=tuple(_in_ledger(run, other)),
        remedy="Give the ledger of the run behind the claim, or put the run's figures on the card.",
    )


def _in_ledger(run: RunResult, lines: list[str]) -> Iterator[Evidence]:
    return (Evidence(source="ledger", where=f"ledger {run.ledger_sha256[:12]}", what=line) for line in lines)
