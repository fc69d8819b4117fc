"""Is the private label histogram released without noise?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import check
from audit.evidence import caution, from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, Finding, Severity, Skip

IDENT = "label-distribution-released"
REMEDY = (
    "Generate with labels drawn uniformly, or add noise to the counts and pay for it: Laplace noise of scale 10 "
    "on each count costs at most 0.1 more ε per record by basic composition (scale 10·k for a person with k "
    "records). Or say that the labels are public and that the claim covers the texts alone."
)


@check(IDENT, "Is the private label distribution released exactly?")
def label_distribution_released(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    How the labels, prompts or control codes of the synthetic texts are drawn: uniformly, from noised
    counts, or in the exact proportions of the private data.

    ## Why it matters

    A count without noise is a deterministic function of the private data. Whoever knows all records but
    one reads the missing record's label off it, so no finite ε covers the synthetic data set, whatever
    the training cost. Counts with noise are cheap, since a record is in one class only: Laplace noise of
    scale 1/ε' adds at most ε' (arXiv 2503.12347 pays for such a histogram).

    ## What it cannot see

    Whether the labels were public to begin with: then replacing a text and keeping its label is the
    neighbouring relation, and exact counts cost nothing. Proportions that leak otherwise, such as prompts
    copied from training rows.
    """
    silent = []
    for mechanism in subject.card.mechanism:
        labels = mechanism.label_distribution
        if labels is None or value(labels) is None:
            silent.append(mechanism.id)
        elif labels.value == "exact":
            yield Finding(
                severity=Severity.HIGH,
                basis=Basis.READ,
                summary=f"The labels of the synthetic texts of {mechanism.id} come in the exact proportions of the "
                "private data's label counts. A count without noise has no finite ε, so the claim does not cover the "
                "labels." + (f" {labels.note}" if labels.note else "") + caution(labels),
                evidence=(
                    from_fact(labels, "labels are drawn in the exact proportions of the private data"),
                    *observed_in(subject, IDENT, mechanism.id),
                ),
                remedy=REMEDY,
                claims=subject.claims_of(mechanism=mechanism.id),
            )
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.HIGH, REMEDY)
    if silent or not subject.card.mechanism:
        yield Skip(
            reason="How the labels of the synthetic texts are drawn is not known for "
            f"{', '.join(silent) or 'any model'}.",
            needs="label_distribution (uniform, exact or noised) of the [[mechanism]], read in paper or code",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )
