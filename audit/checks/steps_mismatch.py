"""Were as many steps run as were accounted?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.check import Need, check
from audit.evidence import caution, from_fact, observed_in, probed, readings_alone
from audit.rungs import bracket_text, from_rung, noise_text, rung_of
from audit.subject import Subject
from audit.training import steps_accounted, steps_run, value
from audit.types import Basis, Evidence, Finding, Mechanism, ProbeAnswer, Severity, Skip

IDENT = "steps-mismatch"
REMEDY = (
    "Count noisy updates in the optimizer and give that number to the accountant; assert that both agree. Physical "
    "batches are not steps."
)
SLIGHT = 0.01  # share of the steps below which a difference hardly moves ε
LOST_REMEDY = "Publish the number of noisy updates behind the released model, with the noise multiplier."


@dataclass(frozen=True)
class _Steps:
    dataset: str
    records: int
    accounted: int
    run: int


@check(IDENT, "Does the training loop run as many steps as were accounted?", needs=(Need.CLAIMS,))
def steps_mismatch(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    For each mechanism and data set, the noisy updates that the accountant was told of against those that
    the loop performs, both computed from the number of records, batch sizes and how the code counts. Also
    the steps of the training script against the step number of the checkpoint that the scripts sample from.

    ## Why it matters

    ε grows with every noisy update (composition, arXiv 1607.00133). More steps than accounted: the claim
    is too small. Fewer: the claim is safe but overstated, and the model was trained with more noise than it
    needed, which makes comparisons unfair. Two numbers that contradict each other: ε is anybody's guess. A difference
    of less than 1 % is noted.

    ## What it cannot see

    Runs that were stopped, resumed or skipped steps; which of two contradicting numbers is right.
    """
    silent, partly = list[str](), list[tuple[str, str]]()
    for mechanism in subject.card.mechanism:
        known = tuple(_known(subject, mechanism))
        script, saved = value(mechanism.steps_in_training_script), value(mechanism.steps_of_released_checkpoint)
        if script is not None and saved is not None and script != saved:
            yield _lost(subject, mechanism, script, saved)
        elif not known and (script is None or saved is None) and not _same_by_rule(mechanism):
            silent.append(mechanism.id)
        elif known and not _same_by_rule(mechanism):
            seen = {steps.dataset for steps in known}
            partly += [(mechanism.id, name) for name in _datasets(subject, mechanism) if name not in seen]
        for more in (True, False):
            off = [s for s in known if (s.run > s.accounted if more else s.run < s.accounted)]
            if off:
                yield _finding(subject, mechanism, off, more)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if silent or partly:
        unknown = (*silent, *(f"{mechanism} on {dataset}" for mechanism, dataset in partly))
        yield Skip(
            reason=f"The steps accounted and the steps run are not both known for {', '.join(unknown)}."[:4000],
            needs="steps_run or epochs_run beside steps, epochs or steps_accounted of the [[mechanism]], and N of the "
            "[[dataset]]",
            claims=(
                *(c for name in silent for c in subject.claims_of(mechanism=name)),
                *(c for mechanism, dataset in partly for c in subject.claims_of(mechanism, dataset)),
            ),
        )


def _same_by_rule(mechanism: Mechanism) -> bool:
    """Are the steps run those accounted whatever the number of records: the same rule, or the same epochs?"""
    rule, run = value(mechanism.steps_accounted), value(mechanism.steps_run)
    if rule is not None or run is not None:
        return rule is not None and rule == run
    epochs = value(mechanism.epochs)
    return epochs is not None and value(mechanism.steps) is None and epochs == value(mechanism.epochs_run)


def _probed(subject: Subject, mechanism: str) -> Iterator[Evidence]:
    for seen in probed(subject, mechanism, "steps", only=_counts_differ, figures=("steps run", "steps accounted")):
        scale = " Its batches are tiny, so only that the counts differ carries over, not by how much."
        yield seen.model_copy(update={"what": seen.what + scale})


def _counts_differ(answer: ProbeAnswer) -> bool:
    return answer.figures.get("steps run") != answer.figures.get("steps accounted")


def _datasets(subject: Subject, mechanism: Mechanism) -> tuple[str, ...]:
    """The data sets of the mechanism's claims, each once."""
    return tuple(dict.fromkeys(n for c in subject.card.claim if c.mechanism == mechanism.id for n in c.datasets))


def _known(subject: Subject, mechanism: Mechanism) -> Iterator[_Steps]:
    for name in _datasets(subject, mechanism):
        records = value(subject.dataset(name).records)
        if records:
            accounted, run = steps_accounted(mechanism, records), steps_run(mechanism, records)
            if accounted is not None and run is not None:
                yield _Steps(name, records, accounted, run)


def _finding(subject: Subject, mechanism: Mechanism, off: list[_Steps], more: bool) -> Finding:
    ids = tuple(c for steps in off for c in subject.claims_of(mechanism.id, steps.dataset))
    priced = [(c, r) for c in subject.claims if c.id in ids and (r := rung_of(c, "steps-as-run")) is not None]
    first = f" ({priced[0][0].label}: {bracket_text(priced[0][1])} as run{noise_text(priced[0][0])})" if priced else ""
    worst = max(off, key=lambda s: s.run / s.accounted if more else s.accounted / s.run)
    slight = abs(worst.run - worst.accounted) < SLIGHT * worst.accounted
    follows = "so ε is larger than claimed" if more else "so ε is overstated and the noise larger than needed"
    follows = "which hardly changes ε" if slight else follows
    how = mechanism.steps_run or mechanism.epochs_run
    assert how is not None  # one of them gave the steps run
    return Finding(
        severity=Severity.INFO if slight else Severity.HIGH if more else Severity.LOW,
        basis=Basis.COMPUTED,
        summary=f"{mechanism.id} was accounted for {worst.accounted:,} steps on {worst.dataset} and the loop "
        f"runs {worst.run:,}, {follows}{first}." + caution(how),
        evidence=(
            from_fact(how, "how the loop counts its steps"),
            *(
                Evidence(
                    source="accounting",
                    where=f"whole epochs of the card's N = {s.records:,} records",
                    what=f"{s.dataset}: {s.accounted:,} steps accounted, {s.run:,} run",
                )
                for s in off
            ),
            *(from_rung(claim, rung) for claim, rung in priced),
            *_probed(subject, mechanism.id),
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=ids,
    )


def _lost(subject: Subject, mechanism: Mechanism, script: int, saved: int) -> Finding:
    trained, sampled = mechanism.steps_in_training_script, mechanism.steps_of_released_checkpoint
    assert trained is not None
    assert sampled is not None
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.READ,
        summary=f"The training script of {mechanism.id} runs {script:,} steps, but texts are sampled from a checkpoint "
        f"of step {saved:,}. The number of steps behind the claim, and so its ε, cannot be known from the release."
        + caution(trained, sampled),
        evidence=(
            from_fact(trained, f"training script: {script:,} steps"),
            from_fact(sampled, f"checkpoint sampled from: step {saved:,}"),
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=LOST_REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )
