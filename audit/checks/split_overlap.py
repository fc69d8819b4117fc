"""Do the splits of a dataset share texts?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from audit.check import Need, check
from audit.overlap.search import OverlapResult, near_overlap
from audit.splits import Split, splits
from audit.subject import Subject
from audit.types import Basis, Evidence, Finding, Severity, Skip

IDENT = "split-overlap"
REMEDY = "Remove exact and near-duplicates across splits, and keep all texts of a person in one split; score again."


def _finding(subject: Subject, dataset: str, small: Split, large: Split, result: OverlapResult) -> Finding:
    return Finding(
        severity=Severity.MEDIUM if result.matched_exact else Severity.LOW,
        basis=Basis.OBSERVED,
        summary=f"{result.matched:,} of {result.private_records:,} {small.name} texts of {dataset} "
        f"({result.share:.2%}) are also {large.name} texts. "
        f"Scores on the {small.name} split partly measure texts seen before.",
        evidence=(
            Evidence(
                source="data",
                where=f"{dataset}: {small.name} against {large.name}",
                what=f"{result.matched_exact:,} equal after normalisation, {result.matched_near:,} more at Jaccard ≥ "
                f"{result.threshold} of {result.shingle_size}-word shingles, each verified",
            ),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=dataset),
    )


@check(IDENT, "Do the splits of a dataset share texts?", needs=(Need.DATA,))
def split_overlap(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Texts that are in two splits of a dataset, equal after normalisation or with nearly the same word
    shingles. Splits are recognised by name: files of a folder, or datasets, called train, validation
    (val, dev) or test.

    ## Why it matters

    A test text that was trained on flatters every model, and most the one that remembers best. It also
    means that a record occurs more than once, so that removing one copy hides less than a person thinks.

    ## What it cannot see

    A person with different texts in two splits, paraphrases, and splits that are not given. It says nothing
    of the privacy of the training itself.
    """
    found = splits(subject.data)
    for dataset, parts in found.items():
        order = sorted(parts, key=lambda part: ("test", "validation", "train").index(part.name))
        for small, large in combinations(order, 2):
            result = near_overlap(small.texts(), large.texts())
            if result.matched:
                yield _finding(subject, dataset, small, large, result)
    alone = [name for name in subject.data if not any(name == d or name.startswith(f"{d}-") for d in found)]
    if alone:
        yield Skip(
            reason=f"One split alone is given of {', '.join(alone)}.",
            needs="a folder with one file for each split, named train, validation and test: --data NAME=FOLDER",
        )
