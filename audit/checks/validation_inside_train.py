"""Are validation records also training records?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import check
from audit.evidence import caution, from_fact, observed_in, readings_alone
from audit.overlap.search import OverlapResult, exact_overlap
from audit.splits import splits
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, DatasetUse, Evidence, Finding, Severity, Skip

IDENT = "validation-inside-train"
WHOLESALE = 0.5  # share of validation records in train above which it is no matter of stray duplicates
REMEDY = "Draw the validation records first and take them out of the training file, then score them again."


def _measured(subject: Subject) -> dict[str, OverlapResult]:
    """Validation against training texts, for the datasets of which both are given."""
    results = {}
    for name, parts in splits(subject.data).items():
        named = {part.name: part for part in parts}
        if {"train", "validation"} <= set(named):
            results[name] = exact_overlap(named["validation"].texts(), named["train"].texts())
    return results


def _evidence(subject: Subject, dataset: DatasetUse, result: OverlapResult | None) -> Iterator[Evidence]:
    if result is not None:
        counted = f"{result.matched_exact:,} of {result.private_records:,} validation texts are training texts"
        yield Evidence(source="data", where=f"{dataset.name}: validation against train", what=counted)
    fact = dataset.validation_inside_train
    if fact is not None and fact.usable:
        place = "drawn from the training data and left there" if fact.value else "kept apart from the training data"
        yield from_fact(fact, f"validation records are {place}")
    yield from observed_in(subject, IDENT)


def _follows(dataset: DatasetUse) -> str:
    """What the card says of the use of that score; where it says nothing, what a use would mean."""
    fact = dataset.validation_inside_train
    if fact is not None and fact.value and fact.note:
        return fact.note
    return "If anything is chosen by it, that is another look at private training data that ε does not pay for."


def _finding(subject: Subject, dataset: DatasetUse, result: OverlapResult | None, seen: bool) -> Finding:
    return Finding(
        severity=Severity.LOW,
        basis=Basis.OBSERVED if seen else Basis.READ,
        summary=f"Validation records of {dataset.name} are training records too, so a validation score measures "
        f"memory. {_follows(dataset)}" + ("" if seen else caution(dataset.validation_inside_train)),
        evidence=tuple(_evidence(subject, dataset, result)),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=dataset.name),
    )


@check(IDENT, "Are validation records also training records?")
def validation_inside_train(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Validation sets that are drawn from the training file and left in it: as the card says, and as counted
    where both files are given (more than half of the validation texts equal a training text).

    ## Why it matters

    Such a set does not see overfitting, so early stopping and model choice go by memory. Reading private
    records to choose is also an access outside the noisy training.

    ## What it cannot see

    Whether anything was chosen by the validation score: where the last epoch is used regardless, no harm
    follows. Texts changed on the way into the validation file.
    """
    measured = _measured(subject)
    silent: list[str] = []
    judged: list[str] = []
    for dataset in subject.card.dataset:
        result, stated = measured.get(dataset.name), value(dataset.validation_inside_train)
        seen = result is not None and result.share > WHOLESALE
        if seen or stated:
            yield _finding(subject, dataset, result, seen)
        (silent if result is None and stated is None else judged).append(dataset.name)
    if not judged:
        yield from readings_alone(subject, IDENT, (), Severity.LOW, REMEDY)
    if silent or not subject.card.dataset:
        yield Skip(
            reason="Whether validation records are kept out of training is not known for "
            f"{', '.join(silent) or 'any dataset'}.",
            needs="validation_inside_train of the [[dataset]], or a folder with both files: --data NAME=FOLDER",
            claims=tuple(c for name in silent for c in subject.claims_of(dataset=name)),
        )
