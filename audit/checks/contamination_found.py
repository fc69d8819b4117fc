"""Are private texts in the pretraining corpus?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.check import Need, check
from audit.overlap.search import OverlapResult, near_overlap
from audit.records import Records
from audit.subject import Subject
from audit.types import Basis, CorpusUse, Evidence, Finding, Severity, Skip

IDENT = "contamination-found"
TELLING_WORDS = 5  # a match of fewer words can be a common phrase
REMEDY = (
    "Say that ε covers fine-tuning alone and that these records were seen before it without noise; leave them out "
    "of evaluation, or start from a model whose corpus lacks them. Pretraining on them is not undone by DP."
)


@dataclass(frozen=True)
class Matched:
    """What the matched rows are, in numbers only."""

    telling: int  # exact matches of at least TELLING_WORDS words
    people: int | None


def _look_at(private: Records, result: OverlapResult) -> Matched:
    exact, either = set(result.exact_rows), {*result.exact_rows, *result.near_rows}
    telling, units = 0, set()
    for row, (text, unit) in enumerate(private.rows()):
        telling += row in exact and len(text.split()) >= TELLING_WORDS
        if row in either and unit is not None:
            units.add(unit)
    return Matched(telling, len(units) if private.unit_column else None)


def _severity(result: OverlapResult, matched: Matched) -> Severity:
    if matched.telling:
        return Severity.HIGH
    return Severity.MEDIUM if result.matched_near else Severity.LOW


def _evidence(private: Records, corpus: Records, result: OverlapResult, matched: Matched) -> Evidence:
    parts = [
        f"{result.matched_exact:,} equal, {matched.telling:,} of them of {TELLING_WORDS} words or more",
        f"{result.matched_near:,} more at Jaccard ≥ {result.threshold} of {result.shingle_size}-word shingles",
    ]
    if matched.people is not None:
        parts.append(f"{matched.people:,} people hold them")
    parts += [f"data: {private.identity.verdict}", f"corpus: {corpus.identity.verdict}"]
    return Evidence(source="data", where=f"{private.name} against {corpus.name}", what="; ".join(parts))


def _finding(subject: Subject, use: CorpusUse, private: Records, result: OverlapResult) -> Finding:
    matched = _look_at(private, result)
    mechanisms = use.mechanisms or (None,)
    return Finding(
        severity=_severity(result, matched),
        basis=Basis.OBSERVED,
        summary=f"{result.matched:,} of {result.private_records:,} texts of {private.name} ({result.share:.2%}) are in "
        f"the corpus {use.name}. A model trained on that corpus had seen them without noise, so ε says nothing about "
        "what it reveals of them.",
        evidence=(_evidence(private, subject.corpora[use.name], result, matched),),
        remedy=REMEDY,
        claims=tuple(c for m in mechanisms for c in subject.claims_of(m, private.name)),
    )


def _not_searched(subject: Subject) -> Skip | None:
    """Files that were not given, and files that are samples: finding nothing there proves nothing."""
    named = [*(d.name for d in subject.card.dataset), *(c.name for c in subject.card.corpus)]
    given = {**subject.data, **subject.corpora}
    absent = [name for name in named if name not in given]
    samples = [name for name, records in given.items() if records.identity.verdict == "sample"]
    if not absent and not samples:
        return None
    said = [f"{what}: {', '.join(names)}" for what, names in (("not given", absent), ("samples", samples)) if names]
    return Skip(
        reason=f"Not every private text was searched for in every corpus ({'; '.join(said)}).",
        needs="the whole datasets and corpora: --data NAME=PATH and --corpus NAME=PATH",
    )


@check(IDENT, "Are private texts in a pretraining corpus?", needs=(Need.DATA, Need.CORPUS))
def contamination_found(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Private texts that equal a record of a given corpus after normalisation (entities, Unicode, case, white
    space), or whose word shingles overlap with one (MinHash-LSH, every candidate verified). Exact matches
    of five words or more are what makes it severe: "great place" proves nothing.

    ## Why it matters

    A record that the starting model was pretrained on has been seen without noise. DP fine-tuning bounds
    what the fine-tuning adds, not what was there before; and good scores may be memory (arXiv 2509.14594).

    ## What it cannot see

    A private text inside a longer document, a paraphrase, a translation. Corpora that are not given. Whether
    the model still remembers what it saw. No match in a sample is not absence.
    """
    for use in subject.card.corpus:
        for private in subject.data.values():
            if use.name in subject.corpora:
                result = near_overlap(private.texts(), subject.corpora[use.name].texts())
                if result.matched:
                    yield _finding(subject, use, private, result)
    skip = _not_searched(subject)
    if skip is not None:
        yield skip
