"""Which pairs of data and corpus are left unchecked, and how firmly that is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cards import load_card
from audit.check import all_checks
from audit.records import open_records
from audit.run import put
from audit.subject import Subject
from audit.types import Basis, Outcome, PaperCard, Status

CASES = Path(__file__).parent.parent / "cases/contamination-unchecked"
CHECK = all_checks()["contamination-unchecked"]


def card(case: str) -> PaperCard:
    return load_card(CASES / case / "card.toml")


def answer(subject: Subject) -> Outcome:
    return put(CHECK, subject)


@pytest.mark.parametrize(
    ("case", "basis"),
    [
        ("bad/said-not-checked", Basis.READ),
        ("bad/silent-paper", Basis.SILENCE),
        ("bad/not-mentioned", Basis.SILENCE),
    ],
)
def test_silence_is_not_called_read(case: str, basis: Basis) -> None:
    (finding,) = answer(Subject(card(case))).findings
    assert finding.basis is basis


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
    one = card("bad/silent-paper")
    both = one.model_copy(
        update={
            "mechanism": (*one.mechanism, one.mechanism[0].model_copy(update={"id": "n"})),
            "corpus": (one.corpus[0].model_copy(update={"mechanisms": ()}),),
        }
    )
    assert len(answer(Subject(both)).findings) == 2
