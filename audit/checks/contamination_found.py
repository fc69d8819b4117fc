"""Are private texts in the pretraining corpus?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from audit.check import Need, check
from audit.subject import Subject
from audit.types import Basis, CorpusOverlap, Evidence, Finding, Severity, Skip

IDENT = "contamination-found"
TELLING_SCORE = 0.8  # share of a record's words from which a match is no matter of chance
REMEDY = (
    "Say that ε covers fine-tuning alone and that these records were seen before it without noise; leave them out "
    "of evaluation, or start from a model whose corpus lacks them. Pretraining on them is not undone by DP."
)
NOT_INFINITE = (
    "That is not ε = ∞ for the fine-tuning, which may keep its bound: what these records lack is a bound on what the "
    "starting model had learnt of them."
)


def _telling(found: CorpusOverlap) -> int:
    """Long records with a score of at least TELLING_SCORE."""
    return next(level.long_records for level in found.at_least if level.score >= TELLING_SCORE)


def _severity(found: CorpusOverlap) -> Severity:
    if _telling(found):
        return Severity.HIGH
    return Severity.MEDIUM if found.at_least[0].long_records else Severity.LOW


def _evidence(subject: Subject, found: CorpusOverlap) -> Iterator[Evidence]:
    where, matched, telling = f"{found.private} against {found.corpus}", found.at_least[0], _telling(found)
    exact = next(kind.records for kind in found.kinds if kind.kind == "exact")
    parts = [
        f"{telling:,} records of {found.long_words} words or more with at least {TELLING_SCORE:.0%} of their "
        f"words in order in one place, {matched.long_records - telling:,} more with at least {found.threshold:.0%}, "
        f"{matched.records.count - matched.long_records:,} shorter ones; {exact:,} are a whole text of the corpus",
        f"{found.pairs:,} verified pairs over {found.corpus_texts:,} texts",
    ]
    if matched.people is not None:
        parts.append(f"{matched.people.count:,} people hold them")
    parts.append(f"data: {subject.data[found.private].identity.verdict}")
    parts.append(f"corpus: {subject.corpora[found.corpus].identity.verdict}")
    yield Evidence(source="data", where=where, what="; ".join(parts))
    yield Evidence(source="data", where=f"{where}: best score of each matched record", what=_histogram(found))
    yield Evidence(
        source="data",
        where=f"{where}: MinHash of whole texts, {found.minhash.permutations} permutations",
        what=f"would report {found.minhash.at_half:,} of these {matched.records.count:,} records at an estimated "
        f"Jaccard similarity of 0.5 and {found.minhash.at_four_fifths:,} at 0.8: a long page hides a short text in it",
    )


def _histogram(found: CorpusOverlap) -> str:
    """Matched records by tenths of the score: "0.9 to 1: 12, 0.8 to 0.9: 3"."""
    tenths: Counter[int] = Counter()
    for percent, records in found.histogram.items():
        tenths[min(percent // 10, 9)] += records
    return ", ".join(f"{t / 10:g} to {(t + 1) / 10:g}: {tenths[t]:,}" for t in sorted(tenths, reverse=True))


def _finding(subject: Subject, found: CorpusOverlap) -> Finding:
    mechanisms = next(use for use in subject.card.corpus if use.name == found.corpus).mechanisms or (None,)
    matched = found.at_least[0].records
    return Finding(
        severity=_severity(found),
        basis=Basis.OBSERVED,
        summary=f"{matched.count:,} of {matched.of:,} texts of {found.private} ({matched.count / matched.of:.2%}) are "
        f"in the corpus {found.corpus}, whole or in large part. For them the guarantee reads: not covered, a model "
        f"trained on that corpus had seen them without DP. {NOT_INFINITE}",
        evidence=tuple(_evidence(subject, found)),
        remedy=REMEDY,
        claims=tuple(c for m in mechanisms for c in subject.claims_of(m, found.private)),
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

    Private texts inside the texts of a given corpus, whatever their case, white space, punctuation and HTML
    references: a window of the text that shares 5-word runs with the record and holds at least 45 % of its words in
    order, verified by alignment. Severe is a record of twelve words or more with at least 80 % of its words in one
    place; a shorter one can be a common phrase. What MinHash over whole texts would have said stands beside it.

    ## Why it matters

    A record that the starting model was pretrained on has been seen without noise. DP fine-tuning bounds what the
    fine-tuning adds, not what was there before; and good scores may be memory (arXiv 2509.14594). For such a record
    the claim's ε is not infinite, it is about something else: it still bounds the fine-tuning, and nothing bounds
    what the starting model had learnt.

    ## What it cannot see

    A paraphrase, a translation, a record of fewer than six words inside a longer text, and a few of those that were
    edited: about one in a hundred with a fifth of the words changed, more of them where records are short
    (`audit overlap` measures it on your own texts). Corpora that are not given. Whether the model still remembers what
    it saw. No match in a sample is not absence.
    """
    for found in subject.overlaps:
        if found.at_least[0].records.count:
            yield _finding(subject, found)
    skip = _not_searched(subject)
    if skip is not None:
        yield skip
