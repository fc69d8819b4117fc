"""The privacy statement and the checklists: they claim nothing that the result does not hold."""

from __future__ import annotations

from typing import Any

import pytest

from audit.check import all_checks
from reports.checklist import ITEMS, answers
from reports.publication import render
from reports.statement import statement as of_claims

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
        "id": "gpt2/reviews/8",
        "verdict": "As it is.",
        "verdict_level": "unknown",
        "mechanism": "gpt2",
        "dataset": "reviews",
        "epsilon": 8.0,
        "delta": 1e-6,
        "privacy_unit": None,
        "noise_multiplier_derived": False,
        "ladder": [rung("claimed", 8.0, 8.0), *rungs],
    }


def statement(claim: Json, *outcomes: Json, claims: tuple[Json, ...] = ()) -> str:
    return of_claims(claim, claims or (claim,), outcomes)


def found(check: str, severity: str, *claims: str, **further: Any) -> Json:
    return {"check": check, "status": "found", "findings": [{"severity": severity, "claims": list(claims)}]} | further


WAIVER = {"check": "a", "reason": "mended <soon>", "author": "us", "expires": "2027-01-31"}


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


def test_what_was_found_against_the_claim_is_not_covered_unless_it_is_low_waived_or_of_another_claim() -> None:
    text = statement(
        claim(rung("recomputed", 7.9, 8.0)),
        found("a-flaw", "high", "gpt2/reviews/8"),
        found("of-the-paper", "medium"),
        found("small", "low"),
        found("waived-flaw", "high", waiver=WAIVER),
        found("of-another", "high", "other/reviews/8"),
    )
    assert "Not covered: what the audit found of high severity (a-flaw)." in text
    assert "Not covered: what the audit found of medium severity (of-the-paper)." in text
    assert not any(name in text for name in ("small", "waived-flaw", "of-another"))


def test_beside_other_mechanisms_a_finding_that_names_no_claim_may_be_of_any() -> None:
    mine = claim(rung("recomputed", 7.9, 8.0))
    text = statement(mine, found("of-code", "high"), claims=(mine, mine | {"mechanism": "bart"}))
    assert "of-code" not in text


def test_a_claim_that_does_not_hold_or_holds_but_for_a_waiver_says_so_before_any_figure() -> None:
    broken = claim(rung("recomputed", 7.9, 8.0), rung("channels", 7.9, "inf")) | {"verdict_level": "broken"}
    before, after = statement(broken).split("does not hold: As it is.")
    assert "7.9" not in before
    assert "ε of the training alone for one such unit is 7.9 to 8." in after
    waived = claim(rung("recomputed", 7.9, 8.0)) | {"verdict_level": "holds", "waived": ["a"]}
    assert " As it is. Recomputed" in statement(waived)


def test_a_person_that_no_rung_reaches_is_said_to_be_open_where_the_unit_is_no_person() -> None:
    mine = claim(rung("recomputed", 7.9, 8.0))
    assert "ε for all records of one person was not computed." in statement(mine)
    assert "not computed" not in statement(mine | {"privacy_unit": "all reviews of a person"})


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
    outcomes: list[Json] = [{"check": check, "status": status} for check, status in statuses.items()]
    (answer,) = [a for a in answers(outcomes) if a.item.checks == ("delta-too-large",)]
    assert answer.state == state


def test_what_is_waived_stays_found_and_says_until_when_by_whom_and_why() -> None:
    outcomes = [found("delta-too-large", "high", waiver=WAIVER)]
    page = render({"version": 1, "paper": {"title": "x"}, "claims": [], "outcomes": outcomes})
    (line,) = (line for line in page.splitlines() if "delta-too-large" in line)
    assert line.startswith("- [ ] ")
    assert "something was found" in line
    assert "waived until 2027-01-31 by us: mended &lt;soon&gt;" in line


def test_what_no_check_looks_at_is_left_to_the_authors() -> None:
    assert {a.state for a in answers([]) if not a.item.checks} == {"beyond"}


def test_the_page_keeps_hostile_text_inert() -> None:
    result = {"version": 1, "paper": {"title": "<script>*x*"}, "claims": [], "outcomes": []}
    page = render(result)
    assert "<script>" not in page
    assert "\\*x\\*" in page
