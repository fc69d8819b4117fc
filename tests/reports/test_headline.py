"""The first screen's numbers are those of the ladder, and nothing is shown twice or better than it is."""

from __future__ import annotations

import copy
from typing import Any

from reports.claims import read_claims, scale_of
from reports.headline import meanings, steps


def head_of(claim: dict[str, Any]) -> Any:
    _, head, _ = read_claims([claim], scale_of([claim]))
    return head


def without(claim: dict[str, Any], *idents: str) -> dict[str, Any]:
    changed = copy.deepcopy(claim)
    changed["ladder"] = [r for r in changed["ladder"] if r["id"] not in idents]
    return changed


def test_three_numbers_claimed_for_one_person_and_corrected(result_builder: Any) -> None:
    shown = steps(head_of(result_builder.claim("genie", "webmd", 8.0, "channel")))
    assert [step.value for step in shown] == ["8", "≥\u00a0292", "∞"]
    assert [step.warning for step in shown] == [
        None,
        "above 50, which guarantees nothing of use",
        "no finite ε limits what the release can reveal",
    ]


def test_the_person_stands_once_where_the_corrected_epsilon_is_the_persons(result_builder: Any) -> None:
    head = head_of(without(result_builder.claim("bart", "webmd", 1.0, "none"), "preprocessing", "channels"))
    claimed, corrected = steps(head)
    assert (claimed.value, corrected.value, corrected.name) == ("1", "≥\u00a036.5", "corrected ε, for one person")
    assert corrected.warning == "and no upper limit is proved"
    assert [column.name for column in meanings(head)] == ["As claimed", "Corrected"]


def test_two_records_that_nobody_counted_are_called_supposed(result_builder: Any) -> None:
    claim = without(result_builder.claim("bart", "webmd", 1.0, "none"), "person-max", "channels")
    _, person, _ = steps(head_of(claim))
    assert "supposed, not measured" in person.notes
    measured = steps(head_of(result_builder.claim("bart", "webmd", 1.0, "none")))[1]
    assert "supposed, not measured" not in measured.notes


def test_a_corrected_epsilon_of_a_supposed_person_is_called_supposed_too(result_builder: Any) -> None:
    claim = without(result_builder.claim("bart", "webmd", 1.0, "none"), "person-max", "channels")
    balanced, two = (next(r for r in claim["ladder"] if r["id"] == i) for i in ("preprocessing", "person-k2"))
    assert "supposed, not measured" not in steps(head_of(claim))[-1].notes  # it is of one record
    balanced["privacy_unit"] = two["privacy_unit"]
    assert "supposed, not measured" in steps(head_of(claim))[-1].notes


def test_a_person_nobody_could_price_is_not_known_and_says_why(result_builder: Any) -> None:
    claim = without(result_builder.claim("bart", "webmd", 1.0, "none"), "person-k2", "person-max")
    _, person, _ = steps(head_of(claim))
    assert person.value == "not known"
    assert "were not measured" in person.notes[0]
    bare = without(claim, "recomputed", "steps-as-run", "sampler-as-coded", "preprocessing", "channels")
    assert steps(head_of(bare))[-1].value == "not known"


def test_the_claims_own_limits_use_the_curve_only_where_the_training_bears_the_claim_out(result_builder: Any) -> None:
    claim = result_builder.claim("bart", "webmd", 8.0, "none")
    assert meanings(head_of(claim))[0].advantage == "at most 21.3\u00a0%"
    recomputed = next(r for r in claim["ladder"] if r["id"] == "recomputed")
    recomputed.update(epsilon_lower=9.0, epsilon_upper=9.5)
    worse = meanings(head_of(claim))[0]
    assert "ε and δ alone" in worse.source
    assert "no useful limit" in worse.advantage


def test_a_person_counted_in_a_sample_or_an_unknown_file_says_so_at_the_figure(result_builder: Any) -> None:
    head = head_of(result_builder.claim("bart", "webmd", 1.0, "none"))
    identity = {"verdict": "sample", "records": 10000, "published_records": 141368}
    sampled = {"identity": identity}
    assert "in a sample of 10,000 of 141,368 records; the whole can hold more" in steps(head, sampled)[1].notes
    assert [step.value for step in steps(head, sampled)] == [step.value for step in steps(head)]
    unknown = {"identity": identity | {"verdict": "unknown", "published_records": None}}
    assert "in a file of 10,000 records not known to be the data set" in steps(head, unknown)[1].notes
    whole = steps(head, {"identity": identity | {"verdict": "named dataset"}})
    assert whole == steps(head)
