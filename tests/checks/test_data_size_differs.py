"""The file that was measured against the number of records that the card has for the training."""

from __future__ import annotations

import pytest

from audit.records import open_records
from audit.types import Finding, Manifest, Severity, Skip

IDENT = "data-size-differs"
PUBLISHED = Manifest.model_validate(
    {
        "version": 1,
        "id": "reviews",
        "name": "reviews",
        "kind": "private",
        "source": "-",
        "how_to_get": "-",
        "obtainable": True,
        "unit_note": "-",
        "records": 9,
        "splits": {"train": 6, "test": 3},
    }
)


def given(tmp_path, number):
    path = tmp_path / "reviews.csv"
    path.write_text("text\n" + "some words\n" * number, encoding="utf-8")
    return {"reviews": open_records(str(path), "reviews", PUBLISHED)}


@pytest.mark.parametrize(
    ("number", "stated", "then"),
    [
        pytest.param(2, 6, "may hold more", id="a sample of the training set"),
        pytest.param(3, 6, "may hold more", id="another split of the published data"),
        pytest.param(9, 6, "may hold fewer", id="all of the published data"),
        pytest.param(10, 9, "may hold fewer", id="more than was published"),
    ],
)
def test_another_number_is_stated_beside_the_cards_and_what_was_published(
    ask, tmp_path, number, stated, then
):
    [finding] = ask(IDENT, dataset={"records": stated}, data=given(tmp_path, number))
    assert isinstance(finding, Finding)
    assert finding.severity is Severity.INFO
    assert f"holds {number} records; the card has {stated} for the training" in finding.summary
    assert finding.summary.endswith(f"among the records trained on a person {then}.")
    of_file, of_card = finding.evidence
    assert str(number) in of_file.what
    assert (of_card.where, of_card.what) == ("train.py:1", f"{stated} training records")


def test_a_file_as_large_as_the_training_set_is_nothing_to_find_though_more_was_published(ask, tmp_path):
    assert ask(IDENT, dataset={"records": 6}, data=given(tmp_path, 6)) == []


@pytest.mark.parametrize(
    "stated", [{}, {"records": {"value": 6, "where": "a talk", "known": "secondary"}}], ids=["silent", "hearsay"]
)
def test_without_a_number_that_was_read_nothing_is_said_of_the_file(ask, tmp_path, stated):
    [skip] = ask(IDENT, dataset=stated, data=given(tmp_path, 2))
    assert isinstance(skip, Skip)
    assert "reviews" in skip.reason
