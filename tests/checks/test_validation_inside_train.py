"""Card and data on the same question: what was counted comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cards import load_card
from audit.check import all_checks
from audit.records import open_records
from audit.run import put
from audit.subject import Subject
from audit.types import Basis, Outcome, Status

CASES = Path(__file__).parent.parent / "cases/validation-inside-train"
TEXTS = [f"text number {i} of the file" for i in range(10)]


def answer(case: str, folder: Path, train: list[str], validation: list[str]) -> Outcome:
    for name, texts in (("train", train), ("validation", validation)):
        lines = (f'{{"text": "{text}"}}\n' for text in texts)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    data = {"reviews": open_records(f"{folder},text=text", "reviews")}
    return put(all_checks()["validation-inside-train"], Subject(load_card(CASES / case / "card.toml"), data=data))


@pytest.mark.parametrize(("inside", "status"), [(6, Status.FOUND), (5, Status.CLEAN), (0, Status.CLEAN)])
def test_more_than_half_of_the_validation_texts_must_be_training_texts(
    inside: int, status: Status, tmp_path: Path
) -> None:
    train = [*TEXTS[:inside], "something else", "and more"]
    assert answer("bad/seen-in-data", tmp_path, train, TEXTS).status is status


def test_counted_in_the_data_it_is_observed_even_against_the_card(tmp_path: Path) -> None:
    (finding,) = answer("good/stated-apart", tmp_path, TEXTS, TEXTS[:4]).findings
    assert finding.basis is Basis.OBSERVED
    assert "4 of 4 validation texts are training texts" in finding.evidence[0].what
    assert "kept apart" in finding.evidence[1].what


def test_what_the_card_states_stays_read_where_the_data_does_not_show_it(tmp_path: Path) -> None:
    (finding,) = answer("bad/stated", tmp_path, ["nothing shared"], TEXTS[:4]).findings
    assert finding.basis is Basis.READ
    assert "0 of 4 validation texts are training texts" in finding.evidence[0].what


def validated(note: str | None) -> str:
    card = load_card(CASES / "bad/stated" / "card.toml")
    (dataset,) = card.dataset
    stated = dataset.validation_inside_train
    assert stated is not None
    changed = dataset.model_copy(update={"validation_inside_train": stated.model_copy(update={"note": note})})
    card = card.model_copy(update={"dataset": (changed,)})
    (finding,) = put(all_checks()["validation-inside-train"], Subject(card)).findings
    return finding.summary


def test_what_the_card_says_of_the_use_of_the_score_takes_the_place_of_what_a_use_would_mean() -> None:
    assert "If anything is chosen by it" in validated(None)
    used = validated("The checkpoint it selects is never reloaded.")
    assert "memory. The checkpoint it selects is never reloaded." in used
    assert "chosen" not in used
