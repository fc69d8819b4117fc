"""Can the run behind the claim be repeated from what was published?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import check
from audit.evidence import from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.types import Basis, Evidence, Finding, Mechanism, Severity, Skip

IDENT = "run-not-recoverable"
REMEDY = (
    "Publish what is missing: the patch or a pinned fork, the source, the seed of every data step, and the script "
    "and log of the run whose checkpoint was used, with its number of steps and noise multiplier."
)


def _obstacles(mechanism: Mechanism) -> Iterator[tuple[Severity, Evidence]]:
    """What stands in the way: MEDIUM where the accounted mechanism itself cannot be known, else LOW."""
    patched, missing = mechanism.dependency_patched, mechanism.code_missing
    script, checkpoint = mechanism.steps_in_training_script, mechanism.steps_of_released_checkpoint
    if patched is not None and patched.usable:
        yield Severity.MEDIUM, from_fact(patched, f"a dependency was changed, unpublished: {patched.value}")
    if missing is not None and missing.usable:
        yield Severity.LOW, from_fact(missing, f"not published: {missing.value}")
    if script is None or checkpoint is None or not (script.usable and checkpoint.usable):
        return
    if script.value != checkpoint.value:
        yield Severity.MEDIUM, from_fact(script, f"the training script makes {script.value:,} steps")
        yield Severity.MEDIUM, from_fact(checkpoint, f"the checkpoint used has {checkpoint.value:,} steps")


def _is_silent(mechanism: Mechanism) -> bool:
    """Does the card say nothing on any of it? A source read whole and found silent counts as said."""
    facts = (mechanism.dependency_patched, mechanism.code_missing, mechanism.steps_of_released_checkpoint)
    return not any(fact is not None and (fact.usable or fact.absent) for fact in facts)


def _finding(subject: Subject, mechanism: Mechanism, obstacles: list[tuple[Severity, Evidence]]) -> Finding:
    unknown = any(severity is Severity.MEDIUM for severity, _ in obstacles)
    follows = "so what was accounted for cannot be verified" if unknown else "so a repetition needs guesses"
    return Finding(
        severity=Severity.MEDIUM if unknown else Severity.LOW,
        basis=Basis.READ,
        summary=f"The run behind the claim for {mechanism.id} cannot be rebuilt from the released code, {follows}. "
        "The code that ran may have been another.",
        evidence=(*(evidence for _, evidence in obstacles), *observed_in(subject, IDENT, mechanism.id)),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


@check(IDENT, "Can the run behind the claim be rebuilt from what was published?")
def run_not_recoverable(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Dependencies changed by hand without the change being published, source that is missing from the
    release, a checkpoint whose number of steps is not the training script's, and data steps without seed.

    ## Why it matters

    ε follows from the noise, the sampling and the number of steps. Where one of them cannot be known from
    what was published, nobody can check the figure; a changed gradient library can undo every guarantee.

    ## What it cannot see

    Whether the unpublished part is sound. Nothing is installed or run; a release that looks whole may
    still fail to run or give other numbers.
    """
    silent = []
    for mechanism in subject.card.mechanism:
        if obstacles := list(_obstacles(mechanism)):
            yield _finding(subject, mechanism, obstacles)
        elif _is_silent(mechanism):
            silent.append(mechanism.id)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.LOW, REMEDY)
    if silent or not subject.card.mechanism:
        yield Skip(
            reason="Whether the release suffices to rebuild the run is not known for "
            f"{', '.join(silent) or 'any model'}.",
            needs="code_missing, dependency_patched or steps_of_released_checkpoint of the [[mechanism]]; where the "
            "code was read whole and nothing is amiss, the fact with stated = false",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )
