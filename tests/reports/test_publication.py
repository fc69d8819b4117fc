"""The privacy statement and the checklists: they claim nothing that the result does not hold."""

from __future__ import annotations

from typing import Any

import pytest

from audit.check import all_checks
from reports.checklist import ITEMS, answers
from reports.publication import render
from reports.statement import statement

Json = dict[str, Any]


def rung(ident: str, lower: Any, upper: Any, **further: Any) -> Json:
    return {
        "id": ident,
        "epsilon_lower": lower,
        "epsilon_upper": upper,
        "neighboring_relation": "add-or-remove-one",
        "group_size": None,
        "unavailable": None,
        "assumption": "the label counts are released exactly (gen.py:3).",
    } | further


def claim(*rungs: Json) -> Json:
    return {
        "mechanism": "gpt2",
        "dataset": "reviews",
        "epsilon": 8.0,
        "delta": 1e-6,
        "privacy_unit": None,
        "noise_multiplier_derived": False,
        "ladder": [rung("claimed", 8.0, 8.0), *rungs],
    }


def test_an_unstated_unit_and_what_was_not_measured_are_said() -> None:
    text = statement(claim(rung("recomputed", 7.9, 8.0), rung("person-k2", 15.0, 15.2, group_size=2)))
    assert "the unit is not stated" in text
    assert "was not measured" in text
    assert "15 to 15.2" in text


def test_noise_that_was_derived_from_the_claim_is_no_confirmation_of_it() -> None:
    derived = claim(rung("recomputed", 7.9, 8.0)) | {"noise_multiplier_derived": True}
    assert "noise multiplier is not stated" in statement(derived)
    assert "Recomputed" not in statement(derived)


def test_a_measured_person_is_named_with_the_records_held() -> None:
    text = statement(claim(rung("recomputed", 7.9, 8.0), rung("person-max", 101.0, 102.0, group_size=1234)))
    assert "up to 1,234 records" in text
    assert "not measured" not in text


def test_preprocessing_is_told_for_the_person_named_before_it_or_for_its_own_unit() -> None:
    balanced = rung("preprocessing", 15.0, 31.0, privacy_unit="one record of the data before balancing")
    of_person = statement(claim(rung("recomputed", 7.9, 8.0), rung("person-max", 15.0, 15.2, group_size=2), balanced))
    assert "for that person is 15 to 31." in of_person
    of_record = statement(claim(rung("recomputed", 7.9, 8.0), balanced))
    assert "for one record of the data before balancing is 15 to 31." in of_record


def test_what_the_accounting_leaves_out_is_in_the_statement() -> None:
    text = statement(claim(rung("recomputed", 7.9, 8.0), rung("channels", "inf", "inf")))
    assert "Not covered: the label counts are released exactly (gen.py:3)." in text


def test_a_claim_that_could_not_be_recomputed_gets_no_number() -> None:
    gone = rung("recomputed", None, None, unavailable="Not in the sources read.")
    text = statement(claim(gone))
    assert "could not be recomputed" in text
    assert "None" not in text


def test_every_check_that_a_checklist_names_exists() -> None:
    named = {check for item in ITEMS for check in item.checks}
    assert named <= set(all_checks())


@pytest.mark.parametrize(
    ("statuses", "state"),
    [({}, "open"), ({"delta-too-large": "clean"}, "clean"), ({"delta-too-large": "found"}, "found"),
     ({"delta-too-large": "skipped"}, "open"), ({"delta-too-large": "failed"}, "open")],
)  # fmt: skip
def test_an_item_is_clean_only_where_every_check_of_it_is(statuses: dict[str, str], state: str) -> None:
    outcomes = [{"check": check, "status": status} for check, status in statuses.items()]
    (answer,) = [a for a in answers(outcomes) if a.item.checks == ("delta-too-large",)]
    assert answer.state == state


def test_what_no_check_looks_at_is_left_to_the_authors() -> None:
    assert {a.state for a in answers([]) if not a.item.checks} == {"beyond"}


def test_the_page_keeps_hostile_text_inert() -> None:
    result = {"version": 1, "paper": {"title": "<script>*x*"}, "claims": [], "outcomes": []}
    page = render(result)
    assert "<script>" not in page
    assert "\\*x\\*" in page
