"""Do the labels of the synthetic texts mean what the labels of the real texts mean?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.check import check
from audit.evidence import caution, from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, DatasetUse, Evidence, Finding, Severity, Skip

IDENT = "labels-shifted"
REMEDY = (
    "Prompt each label by its name, not by its position; generate and score again. Scores measured with the "
    "present labels say nothing about the texts."
)


def disagreements(data: Sequence[str], generation: Sequence[str]) -> list[int] | None:
    """Indices whose class differs between the two; None where the two lists do not share their names."""
    real, made = ([name.strip().casefold() for name in names] for names in (data, generation))
    if not made or not set(made) <= set(real):
        return None
    return [i for i, name in enumerate(made) if i >= len(real) or real[i] != name]


def _finding(subject: Subject, dataset: DatasetUse, real: Sequence[str], made: Sequence[str]) -> Finding:
    wrong = disagreements(real, made) or []
    assert dataset.labels_in_data is not None
    assert dataset.labels_in_generation is not None
    rows = [f"{i}: data {real[i] if i < len(real) else '(none)'}, generation {made[i]}" for i in wrong]
    return Finding(
        severity=Severity.LOW,
        basis=Basis.COMPUTED,
        summary=f"On {dataset.name}, {len(wrong)} of {len(made)} labels mean one class in the real data and another "
        "in the generation prompts, so a classifier trained on the synthetic texts learns the wrong names. "
        "Scores on this dataset are invalid; the privacy of the texts is not touched."
        + caution(dataset.labels_in_data, dataset.labels_in_generation),
        evidence=(
            from_fact(dataset.labels_in_data, f"labels in the data, from index 0: {', '.join(real)}"),
            from_fact(dataset.labels_in_generation, f"labels as prompted, from index 0: {', '.join(made)}"),
            Evidence(source="card", where="comparison by index", what="; ".join(rows)[:4000]),
            *observed_in(subject, IDENT),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=dataset.name),
    )


@check(IDENT, "Do the synthetic labels mean what the real labels mean?")
def labels_shifted(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    The class that each label index stands for in the real data, against the class that the same index is
    prompted as when texts are generated. The two lists are compared by index.

    ## Why it matters

    A shift by one turns every prompt into another class. The better the generator, the worse the score,
    so comparisons between models and between values of ε on that dataset mean nothing.

    ## What it cannot see

    Labels that agree on paper and are written wrongly by other code; a generator that ignores its prompt;
    lists that name the same classes with other words (those are skipped).
    """
    silent: list[str] = []
    judged: list[str] = []
    for dataset in subject.card.dataset:
        real, made = value(dataset.labels_in_data), value(dataset.labels_in_generation)
        wrong = disagreements(real, made) if real is not None and made is not None else None
        (silent if wrong is None else judged).append(dataset.name)
        if wrong and real is not None and made is not None:
            yield _finding(subject, dataset, real, made)
    if not judged:
        yield from readings_alone(subject, IDENT, (), Severity.LOW, REMEDY)
    if silent or not subject.card.dataset:
        yield Skip(
            reason="What each label index means in data and in generation is not known, or not in the same words, "
            f"for {', '.join(silent) or 'any dataset'}.",
            needs="labels_in_data and labels_in_generation of the [[dataset]], in the same words",
            claims=tuple(c for name in silent for c in subject.claims_of(dataset=name)),
        )
