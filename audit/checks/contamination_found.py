"""Are private texts in the pretraining corpus?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from audit.check import Need, check
from audit.overlap.search import Containment, contained
from audit.records import Records
from audit.subject import Subject
from audit.types import Basis, CorpusUse, Evidence, Finding, Severity, Skip

IDENT = "contamination-found"
TELLING_WORDS = 12  # a match of fewer words can be a common phrase
TELLING_SCORE = 0.8  # share of a record's words from which a match is no matter of chance
REMEDY = (
    "Say that ε covers fine-tuning alone and that these records were seen before it without noise; leave them out "
    "of evaluation, or start from a model whose corpus lacks them. Pretraining on them is not undone by DP."
)
NOT_INFINITE = (
    "That is not ε = ∞ for the fine-tuning, which may keep its bound: what these records lack is a bound on what the "
    "starting model had learnt of them."
)


@dataclass(frozen=True)
class Matched:
    """What the matched records are, in numbers only."""

    telling: int  # of at least TELLING_WORDS words, with a score of at least TELLING_SCORE
    long: int  # of at least TELLING_WORDS words
    short: int
    exact: int  # some text of the corpus is the record and nothing else
    people: int | None


def _look_at(private: Records, result: Containment) -> Matched:
    rows = [row for row, score in enumerate(result.scores) if score]
    long = [row for row in rows if result.words[row] >= TELLING_WORDS]
    units = {unit for row, (_, unit) in enumerate(private.rows()) if result.scores[row] and unit is not None}
    return Matched(
        telling=sum(result.scores[row] >= TELLING_SCORE for row in long),
        long=len(long),
        short=len(rows) - len(long),
        exact=sum(result.exact[row] for row in rows),
        people=len(units) if private.unit_column else None,
    )


def _severity(matched: Matched) -> Severity:
    if matched.telling:
        return Severity.HIGH
    return Severity.MEDIUM if matched.long else Severity.LOW


def _evidence(private: Records, corpus: Records, result: Containment, matched: Matched) -> Iterator[Evidence]:
    where = f"{private.name} against {corpus.name}"
    parts = [
        f"{matched.telling:,} records of {TELLING_WORDS} words or more with at least {TELLING_SCORE:.0%} of their "
        f"words in order in one place, {matched.long - matched.telling:,} more with at least {result.coverage:.0%}, "
        f"{matched.short:,} shorter ones; {matched.exact:,} are a whole text of the corpus",
        f"{result.pairs:,} verified pairs over {result.corpus_records:,} texts",
    ]
    if matched.people is not None:
        parts.append(f"{matched.people:,} people hold them")
    parts += [f"data: {private.identity.verdict}", f"corpus: {corpus.identity.verdict}"]
    yield Evidence(source="data", where=where, what="; ".join(parts))
    yield Evidence(source="data", where=f"{where}: best score of each matched record", what=_histogram(result))
    found = [estimate for score, estimate in zip(result.scores, result.minhash, strict=True) if score]
    yield Evidence(
        source="data",
        where=f"{where}: MinHash of whole texts, 128 permutations",
        what=f"would report {sum(e >= 0.5 for e in found):,} of these {len(found):,} records at an estimated Jaccard "
        f"similarity of 0.5 and {sum(e >= 0.8 for e in found):,} at 0.8: a long page hides a short text in it",
    )


def _histogram(result: Containment) -> str:
    """Matched records by tenths of the score: "0.9 to 1: 12, 0.8 to 0.9: 3"."""
    tenths = Counter(min(int(score * 10 + 1e-9), 9) for score in result.scores if score)
    return ", ".join(f"{t / 10:g} to {(t + 1) / 10:g}: {tenths[t]:,}" for t in sorted(tenths, reverse=True))


def _finding(subject: Subject, use: CorpusUse, private: Records, result: Containment) -> Finding:
    matched = _look_at(private, result)
    mechanisms = use.mechanisms or (None,)
    share = result.matched / result.private_records
    return Finding(
        severity=_severity(matched),
        basis=Basis.OBSERVED,
        summary=f"{result.matched:,} of {result.private_records:,} texts of {private.name} ({share:.2%}) are in "
        f"the corpus {use.name}, whole or in large part. For them the guarantee reads: not covered, a model trained on "
        f"that corpus had seen them without DP. {NOT_INFINITE}",
        evidence=tuple(_evidence(private, subject.corpora[use.name], result, matched)),
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
    for use in subject.card.corpus:
        for private in subject.data.values():
            if use.name in subject.corpora:
                result = contained(private.texts(), subject.corpora[use.name].texts())
                if result.matched:
                    yield _finding(subject, use, private, result)
    skip = _not_searched(subject)
    if skip is not None:
        yield skip
