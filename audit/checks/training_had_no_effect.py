"""Did training move the parameters at all?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import caution, from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import draws_batches, learning_rate_at, value
from audit.types import Basis, Finding, LearningRate, Mechanism, Severity, Skip

IDENT = "training-had-no-effect"
REMEDY = (
    "Pass the current step to the learning-rate schedule, assert after training that the parameters moved, and "
    "run the experiment again."
)


@check(IDENT, "Is the learning rate zero at every step?", needs=(Need.CLAIMS,))
def training_had_no_effect(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    The learning rate at every step of the run, computed from its base, its warm-up and the step number
    that the code passes: base · min(1, s / warm-up). The claim is found when that is 0 throughout.

    ## Why it matters

    With a learning rate of 0 neither gradients nor weight decay move a parameter, so the model after
    training is the checkpoint that it started from, for any ε. Results reported for it then describe that
    checkpoint and say nothing of private training. The privacy claim is not touched.

    ## What it cannot see

    Other ways to train nothing: frozen parameters, a step that is always skipped, weights saved before
    the update. A decay to 0 or below at the end of a run is not looked for.
    """
    silent = []
    for mechanism in filter(draws_batches, subject.card.mechanism):
        rate = value(mechanism.learning_rate)
        if rate is None:
            silent.append(mechanism.id)
        elif not _moves(rate):
            yield _finding(subject, mechanism, rate)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.LOW, REMEDY)
    if silent:
        yield Skip(
            reason=f"The learning-rate schedule is not known for {', '.join(silent)}.",
            needs="learning_rate of the [[mechanism]]: base, warm-up, and the step that the code passes",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def _moves(rate: LearningRate) -> bool:
    """Is the rate above 0 anywhere? It never falls from step to step, so its value after the warm-up decides."""
    return learning_rate_at(rate, rate.warmup_steps + 1) > 0


def _finding(subject: Subject, mechanism: Mechanism, rate: LearningRate) -> Finding:
    fact = mechanism.learning_rate
    assert fact is not None
    return Finding(
        severity=Severity.LOW,
        basis=Basis.COMPUTED,
        summary=f"The learning rate of {mechanism.id} is 0 at every step, so the model after training is the "
        "checkpoint it started from, whatever the ε. Results of this run say nothing of private training; the "
        "privacy claim is not touched by that."
        + caution(fact),
        evidence=(
            from_fact(
                fact,
                f"{rate.base:g} · min(1, s / {rate.warmup_steps:,}) is called with s = {rate.constant_step or 0} at "
                "every step: 0",
            ),
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )
