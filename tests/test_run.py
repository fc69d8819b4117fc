"""A whole audit: one result from a card, data and checks; one check's failure stays its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit import AuditResult, run_audit
from audit.check import Check, all_checks
from audit.result import ResultError, read, to_json, write
from audit.run import put
from audit.subject import Subject
from audit.target import TargetError, resolve
from audit.types import Finding, PaperCard, Skip, Status

CARD = """
version = 1
id = "small"
title = "A small paper"
citation = "Nobody, 2026"
about = "A test."
caveat = "Invented for a test."
[[sources]]
id = "draft"
kind = "paper"
citation = "Draft"
read = "full text"
[[dataset]]
name = "notes"
records = { value = 1000, where = "S1", known = "paper" }
several_records_per_person = { value = true, where = "S1", known = "paper" }
[[mechanism]]
id = "lm"
model = "LM"
accountant = { value = "pld", where = "S2", known = "paper" }
sampler_accounted = { value = "poisson", where = "S2", known = "paper" }
batch_size = { value = 50, where = "S2", known = "paper" }
epochs = { value = 5, where = "S2", known = "paper" }
[[claim]]
id = "main"
mechanism = "lm"
datasets = ["notes"]
epsilons = { value = [2.0], where = "Abstract", known = "paper" }
delta = { value = "1/(10N)", where = "S2", known = "paper" }
privacy_unit = { value = "one note", where = "S2", known = "paper" }
wording = "the paper claims"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    (folder / "data").mkdir(parents=True)
    (folder / "card.toml").write_text(CARD, encoding="utf-8")
    rows = [{"text": f"note number {i}", "who": f"p{i % 100 if i < 190 else 0}"} for i in range(200)]
    (folder / "data" / "notes.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return folder


def audit(folder: Path) -> AuditResult:
    data = {"notes": f"{folder / 'data' / 'notes.jsonl'},text=text,unit=who"}
    return run_audit(folder, data=data)


def test_a_folder_with_a_card_is_audited_with_the_data_beside_it(folder: Path) -> None:
    result = audit(folder)
    (measured,) = result.data
    assert measured.counts is not None
    # 100 people; persons 0..89 wrote twice, person 0 ten notes more at the end
    assert (measured.counts.records, measured.counts.units, measured.counts.max) == (200, 100, 12)
    assert {outcome.check for outcome in result.outcomes} == set(all_checks())


def test_the_ladder_climbs_from_the_claim_to_the_heaviest_person(folder: Path) -> None:
    (claim,) = audit(folder).claims
    rungs = {rung.id: rung for rung in claim.ladder}
    assert list(rungs)[:2] == ["claimed", "recomputed"]
    assert rungs["claimed"].epsilon_upper == 2.0
    recomputed, heaviest = rungs["recomputed"], rungs["person-max"]
    assert recomputed.epsilon_upper == pytest.approx(2.0, abs=0.01)
    assert heaviest.group_size == 12
    assert heaviest.epsilon_lower > 12 * 0.9 * recomputed.epsilon_lower  # more than a linear group bound's order
    assert claim.noise_multiplier_derived
    for rung in claim.ladder:
        assert rung.epsilon_lower <= rung.epsilon_upper


def test_two_runs_differ_in_nothing_but_provenance(folder: Path) -> None:
    bodies = [json.loads(to_json(audit(folder))) for _ in range(2)]
    for body in bodies:
        body.pop("provenance")
    assert json.dumps(bodies[0]) == json.dumps(bodies[1])


def test_no_text_and_no_id_of_the_data_reaches_the_result(folder: Path) -> None:
    text = to_json(audit(folder))
    assert "note number" not in text
    assert '"p0"' not in text


def test_a_result_survives_being_written_and_read(folder: Path, tmp_path: Path) -> None:
    result = audit(folder)
    write(result, tmp_path / "result.json")
    assert read(tmp_path / "result.json") == result


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"version": 99}', '{"version": 1, "claims": 3}'])
def test_a_file_that_is_no_result_is_refused_in_one_line(body: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(ResultError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_check_that_raises_fails_alone_and_its_message_is_dropped() -> None:
    def answer(subject: Subject) -> Iterator[Finding | Skip]:
        raise ValueError("the secret text of record 7")
        yield

    outcome = put(Check("broken", "Does it raise?", (), answer), Subject(_card()))
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert outcome.error.startswith("ValueError at test_run:")
    assert "secret" not in outcome.model_dump_json()


def test_a_check_without_what_it_needs_is_a_skip_that_says_how_to_supply_it() -> None:
    check = next(check for check in all_checks().values() if check.needs)
    outcome = put(check, Subject(_card()))
    assert outcome.status is Status.SKIPPED
    assert outcome.skips[0].needs


def _card() -> PaperCard:
    return PaperCard.model_validate(
        {
            "version": 1,
            "id": "x",
            "title": "x",
            "citation": "x",
            "about": "x",
            "caveat": "x",
            "sources": [{"id": "s", "kind": "paper", "citation": "x", "read": "x"}],
        }
    )


@pytest.mark.parametrize("target", ["prior-work/nope", "nope", "prior-work/../secrets", "prior-work/yue-2032"])
def test_an_unknown_target_is_one_line(target: str) -> None:
    with pytest.raises(TargetError) as caught:
        resolve(target)
    assert "\n" not in str(caught.value)
    assert target in str(caught.value)


def test_a_folder_wins_over_a_built_in_card(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prior-work").mkdir()
    folder.rename(tmp_path / "prior-work" / "yue-2023")
    monkeypatch.chdir(tmp_path)
    assert resolve("prior-work/yue-2023").card.id == "small"


def test_data_for_a_name_the_card_does_not_know_is_refused(folder: Path) -> None:
    with pytest.raises(TargetError, match="names no such dataset; it names: notes"):
        run_audit(folder, data={"other": "x.csv"})


def test_claims_are_the_same_whatever_the_number_of_processes(folder: Path) -> None:
    card = folder / "card.toml"
    card.write_text(CARD.replace("[2.0]", "[1.0, 2.0, 4.0]"), encoding="utf-8")
    data = {"notes": f"{folder / 'data' / 'notes.jsonl'},text=text,unit=who"}
    assert run_audit(folder, data=data, jobs=2).claims == run_audit(folder, data=data, jobs=1).claims
