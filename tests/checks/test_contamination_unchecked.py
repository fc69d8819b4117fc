"""Which pairs of data and corpus are left unchecked, and how firmly that is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cards import load_card
from audit.check import all_checks
from audit.records import open_records
from audit.run import put
from audit.subject import Subject
from audit.types import Basis, Confidence, Known, Outcome, PaperCard, Status

CASES = Path(__file__).parent.parent / "cases/contamination-unchecked"
CHECK = all_checks()["contamination-unchecked"]


def card(case: str) -> PaperCard:
    return load_card(CASES / case / "card.toml")


def answer(subject: Subject) -> Outcome:
    return put(CHECK, subject)


def test_what_paper_or_code_says_was_not_done_is_read() -> None:
    (finding,) = answer(Subject(card("bad/said-not-checked"))).findings
    assert finding.basis is Basis.READ


@pytest.mark.parametrize("case", ["skip/silent-paper", "skip/not-mentioned", "skip/secondary-only"])
def test_silence_and_hearsay_are_never_held_against_a_paper(case: str) -> None:
    outcome = answer(Subject(card(case)))
    assert outcome.status is Status.SKIPPED
    (skip,) = outcome.skips
    assert "web" in skip.reason
    assert ("what was read whole is silent" in skip.reason) == (case == "skip/silent-paper")


def test_a_fact_and_a_silence_are_told_apart_for_one_model() -> None:
    one = card("bad/said-not-checked")
    books = one.corpus[0].model_copy(update={"name": "books", "overlap_checked": None})
    outcome = answer(Subject(one.model_copy(update={"corpus": (*one.corpus, books)})))
    (finding,), (skip,) = outcome.findings, outcome.skips
    assert "books" not in finding.model_dump_json()
    assert "(books)" in skip.reason


def test_one_dataset_of_two_leaves_the_corpus_unchecked() -> None:
    case = CASES / "good/corpus-at-hand"
    given = {
        "data": {"reviews": open_records(f"{case}/data/reviews.jsonl,text=text", "reviews")},
        "corpora": {"web": open_records(f"{case}/corpora/web.jsonl,text=text", "web")},
    }
    one = card("good/corpus-at-hand")
    two = one.model_copy(
        update={
            "dataset": (*one.dataset, one.dataset[0].model_copy(update={"name": "mails"})),
            "claim": (one.claim[0].model_copy(update={"datasets": ("reviews", "mails")}),),
        }
    )
    assert answer(Subject(one, **given)).status is Status.CLEAN
    assert answer(Subject(two, **given)).status is Status.FOUND


def test_a_corpus_without_mechanisms_stands_for_all_of_them() -> None:
    one = card("bad/said-not-checked")
    both = one.model_copy(
        update={
            "mechanism": (*one.mechanism, one.mechanism[0].model_copy(update={"id": "n"})),
            "corpus": (one.corpus[0].model_copy(update={"mechanisms": ()}),),
        }
    )
    assert len(answer(Subject(both)).findings) == 2


def test_code_without_a_search_is_a_finding_of_low_confidence_that_says_so() -> None:
    one = card("bad/said-not-checked")
    by_code = one.corpus[0].overlap_checked.model_copy(update={"known": Known.CODE})
    corpus = one.corpus[0].model_copy(update={"overlap_checked": by_code})
    (finding,) = answer(Subject(one.model_copy(update={"corpus": (corpus,)}))).findings
    assert finding.confidence is Confidence.LOW
    assert "released code holds no search" in finding.summary
    (said,) = answer(Subject(one)).findings
    assert said.confidence is not Confidence.LOW
