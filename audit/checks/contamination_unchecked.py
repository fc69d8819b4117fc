"""Was it looked whether the private texts were in the pretraining data?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import check
from audit.evidence import from_fact, observed_in, readings_alone
from audit.subject import Subject
from audit.training import value
from audit.types import Basis, CorpusUse, Evidence, Finding, Mechanism, Severity, Skip

IDENT = "contamination-unchecked"
REMEDY = (
    "Search the pretraining corpus for the private texts (audit run with --data and --corpus does), report the "
    "share found, and say that ε covers fine-tuning alone; or start from a model whose corpus is known to lack them."
)


def _is_given(subject: Subject, mechanism: Mechanism, corpus: CorpusUse) -> bool:
    """Are corpus and data there, so that contamination-found decides instead?"""
    claimed = {name for c in subject.card.claim if c.mechanism == mechanism.id for name in c.datasets}
    return corpus.name in subject.corpora and bool(claimed) and claimed <= set(subject.data)


def _is_hearsay(corpus: CorpusUse) -> bool:
    """Does the card know of an answer only from somebody else's account?"""
    checked = corpus.overlap_checked
    return checked is not None and not checked.usable and not checked.absent


def _evidence(corpus: CorpusUse) -> Evidence:
    checked = corpus.overlap_checked
    if checked is None:
        return Evidence(source="card", where="sources read", what=f"{corpus.name}: nothing on overlap in what was read")
    said = "read whole and silent on overlap" if checked.absent else "overlap was not looked for"
    return from_fact(checked, f"{corpus.name}: {said}")


def _finding(subject: Subject, mechanism: Mechanism, corpora: list[CorpusUse]) -> Finding:
    known = [subject.manifests.get(corpus.manifest or "") for corpus in corpora]
    names = ", ".join(m.name if m else c.name for m, c in zip(known, corpora, strict=True))
    read = any(value(corpus.overlap_checked) is False for corpus in corpora)
    return Finding(
        severity=Severity.MEDIUM,
        basis=Basis.READ if read else Basis.SILENCE,
        summary=f"{mechanism.model} builds on public training data ({names}), and the sources read do not show that "
        "anybody looked for the private texts there. The stated ε covers fine-tuning, not what was learnt before it.",
        evidence=(*map(_evidence, corpora), *observed_in(subject, IDENT, mechanism.id)),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )


@check(IDENT, "Was overlap between private data and pretraining corpus looked for?")
def contamination_unchecked(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Every pretraining corpus or public starting point of a model, and whether anybody looked for the
    private records in it. Pairs whose corpus and data are given are left to `contamination-found`.

    ## Why it matters

    DP fine-tuning bounds what fine-tuning reveals. A record that the starting model had already seen
    without noise can come out whatever ε says, and good scores may come from memory, not from the private
    data (arXiv 2509.14594).

    ## What it cannot see

    Whether there is overlap. Silence is weak evidence: the search may have been made and not reported. It
    knows only the corpora that the card names.
    """
    judged, silent = set(), []
    for mechanism in subject.card.mechanism:
        pairs = [c for c in subject.card.corpus if not c.mechanisms or mechanism.id in c.mechanisms]
        left = [c for c in pairs if value(c.overlap_checked) is not True and not _is_given(subject, mechanism, c)]
        hearsay = [c for c in left if _is_hearsay(c)]
        unchecked = [c for c in left if c not in hearsay]
        if unchecked:
            yield _finding(subject, mechanism, unchecked)
        if hearsay or not pairs:
            silent.append(f"{mechanism.id} ({', '.join(c.name for c in hearsay) or 'no corpus named'})")
        else:
            judged.add(mechanism.id)
    yield from readings_alone(subject, IDENT, judged, Severity.MEDIUM, REMEDY)
    if silent or not subject.card.mechanism:
        yield Skip(
            reason="Whether overlap with the pretraining data was looked for is not known for "
            f"{'; '.join(silent) or 'any model'}.",
            needs="overlap_checked of each [[corpus]], read in paper or code; or the files themselves: "
            "--data NAME=PATH --corpus NAME=PATH",
        )
