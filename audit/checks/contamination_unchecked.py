"""Was it looked whether the private texts were in the pretraining data?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import check
from audit.evidence import caution, from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, CorpusUse, Finding, Known, Mechanism, Severity, Skip

IDENT = "contamination-unchecked"
REMEDY = (
    "Search the pretraining corpus for the private texts (audit run with --data and --corpus does), report the "
    "share found, and say that ε covers fine-tuning alone; or start from a model whose corpus is known to lack them."
)


def _is_given(subject: Subject, mechanism: Mechanism, corpus: CorpusUse) -> bool:
    """Are corpus and data there, so that contamination-found decides instead?"""
    claimed = {name for c in subject.card.claim if c.mechanism == mechanism.id for name in c.datasets}
    return corpus.name in subject.corpora and bool(claimed) and claimed <= set(subject.data)


def _finding(subject: Subject, mechanism: Mechanism, corpora: list[CorpusUse]) -> Finding:
    known = [subject.manifests.get(corpus.manifest or "") for corpus in corpora]
    names = ", ".join(m.name if m else c.name for m, c in zip(known, corpora, strict=True))
    facts = [fact for corpus in corpora if (fact := corpus.overlap_checked) is not None]
    by_code = all(fact.known in (Known.CODE, Known.EXECUTED) for fact in facts)
    unsought = (
        "the released code holds no search for the private texts in it, and no source read tells of one"
        if by_code
        else "the private texts were not looked for in it"
    )
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.SILENCE if by_code else Basis.READ,
        summary=f"{mechanism.model} builds on public training data ({names}): {unsought}. The stated ε covers "
        "fine-tuning, not what was learnt before it." + caution(*facts),
        evidence=(
            *(from_fact(f, f"{c.name}: overlap was not looked for") for f, c in zip(facts, corpora, strict=True)),
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


def _why_unknown(corpora: list[CorpusUse]) -> str:
    """Why nothing is known of these corpora: never a finding, for a search may have been made and not reported."""
    if not corpora:
        return "no corpus named"
    silent = [corpus.name for corpus in corpora if corpus.overlap_checked is not None and corpus.overlap_checked.absent]
    others = [corpus.name for corpus in corpora if corpus.name not in silent]
    return "; ".join(
        [f"{', '.join(silent)}: what was read whole is silent"] * bool(silent) + [", ".join(others)] * bool(others)
    )


@check(IDENT, "Was overlap between private data and pretraining corpus looked for?")
def contamination_unchecked(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Every pretraining corpus or public starting point of a model of which a source says that the private records
    were not looked for in it, or whose released code, read whole, holds no such search. Pairs whose corpus and
    data are given are left to `contamination-found`.

    ## Why it matters

    DP fine-tuning bounds what fine-tuning reveals. A record that the starting model had already seen
    without noise can come out whatever ε says, and good scores may come from memory, not from the private
    data (arXiv 2509.14594).

    ## What it cannot see

    Whether there is overlap. Where the sources say nothing, the search may have been made and not reported: that
    is no finding, and the check says what it would need; released code without a search is a finding of low
    confidence, for the search may have been made elsewhere. It knows only the corpora that the card names.
    """
    judged, unknown = set(), []
    for mechanism in subject.card.mechanism:
        pairs = [c for c in subject.card.corpus if not c.mechanisms or mechanism.id in c.mechanisms]
        left = [c for c in pairs if value(c.overlap_checked) is not True and not _is_given(subject, mechanism, c)]
        unchecked = [c for c in left if value(c.overlap_checked) is False]
        if unchecked:
            yield _finding(subject, mechanism, unchecked)
        silent = [c for c in left if c not in unchecked]
        if silent or not pairs:
            unknown.append(f"{mechanism.id} ({_why_unknown(silent)})")
        else:
            judged.add(mechanism.id)
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if unknown or not subject.card.mechanism:
        yield Skip(
            reason="Whether overlap with the pretraining data was looked for is not known for "
            f"{'; '.join(unknown) or 'any model'}.",
            needs="overlap_checked of each [[corpus]], read in paper or code; or the files themselves: "
            "--data NAME=PATH --corpus NAME=PATH",
        )
