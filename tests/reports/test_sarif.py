"""The SARIF log holds what the standard and code scanning ask for, names nothing it does not declare, and lasts."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audit import diff
from audit.types import AuditResult
from reports.fingerprint import fingerprints
from reports.html import ReportError
from reports.sarif import render

Json = dict[str, Any]


def run_of(result: Json, **options: Any) -> Json:
    log = json.loads(render(result, **options))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    return run


def test_every_check_is_a_rule_with_the_texts_that_code_scanning_requires(result: Json) -> None:
    rules = run_of(result)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [outcome["check"] for outcome in result["outcomes"]]
    for rule in rules:
        for text in ("shortDescription", "fullDescription", "help"):
            assert rule[text]["text"].strip()
        assert rule["name"].isidentifier()
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
        assert rule["properties"]["precision"] in ("very-high", "high", "medium", "low")
        assert rule["properties"]["problem.severity"] in ("error", "warning", "recommendation")
        assert rule["properties"]["tags"]


def test_every_finding_is_a_result_of_a_declared_rule_with_all_that_is_required(result: Json) -> None:
    run = run_of(result)
    rules = run["tool"]["driver"]["rules"]
    found = [f for outcome in result["outcomes"] for f in outcome["findings"]]
    assert len(run["results"]) == len(found)
    for shown, finding in zip(run["results"], found, strict=True):
        assert rules[shown["ruleIndex"]]["id"] == shown["ruleId"]
        assert finding["summary"] in shown["message"]["text"]
        place = shown["locations"][0]["physicalLocation"]
        uri = place["artifactLocation"]["uri"]
        assert uri
        assert not re.match(r"/|[a-z]+:|.*\.\.", uri)
        assert place["region"]["startLine"] >= 1
        assert shown["partialFingerprints"]["primaryLocationLineHash"]


@pytest.mark.parametrize(
    ("severity", "level"), [("high", "error"), ("medium", "warning"), ("low", "note"), ("info", "note")]
)
def test_severity_is_the_level(severity: str, level: str, result: Json) -> None:
    result["outcomes"][0]["findings"][0]["severity"] = severity
    assert run_of(result)["results"][0]["level"] == level


def test_what_was_not_judged_is_a_notification_and_never_a_result(result: Json) -> None:
    run = run_of(result)
    (invocation,) = run["invocations"]
    told = [(n["associatedRule"]["id"], n["message"]["text"]) for n in invocation["toolExecutionNotifications"]]
    for outcome in result["outcomes"]:
        for skip in outcome["skips"]:
            assert any(check == outcome["check"] and skip["reason"] in text for check, text in told)
    assert "split-overlap" not in {shown["ruleId"] for shown in run["results"]}
    assert invocation["executionSuccessful"] is False  # a check of this result broke
    for outcome in result["outcomes"]:
        outcome["error"] = None
    assert run_of(result)["invocations"][0]["executionSuccessful"] is True


def test_a_finding_in_code_points_to_its_line_and_any_other_to_the_card(result: Json) -> None:
    code, card = result["outcomes"][0]["findings"][:2]
    code["evidence"][0]["where"] = "GENIE/train_util.py:113-115 (b042515)"
    card["evidence"][0].update(source="card", where="notes.txt:5")
    first, second = (
        r["locations"][0]["physicalLocation"] for r in run_of(result, card="mine/card.toml")["results"][:2]
    )
    assert (first["artifactLocation"]["uri"], first["region"]["startLine"]) == ("GENIE/train_util.py", 113)
    assert (second["artifactLocation"]["uri"], second["region"]["startLine"]) == ("mine/card.toml", 1)


@pytest.mark.parametrize("where", ["/etc/passwd.txt:3", "../../secret.py:4", "https://example.org/x.py:9"])
def test_no_place_leaves_the_repository(where: str, result: Json) -> None:
    result["outcomes"][0]["findings"][0]["evidence"][0]["where"] = where
    uri = run_of(result)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert not uri.startswith("/")
    assert ".." not in uri
    assert ":" not in uri


def names(result: Json) -> list[str]:
    return [shown["partialFingerprints"]["auditFinding/v1"] for shown in run_of(result)["results"]]


def test_fingerprints_are_unique_and_stay_when_words_numbers_and_lines_move(result: Json) -> None:
    before = names(result)
    assert len(set(before)) == len(before)
    moved = copy.deepcopy(result)
    first = moved["outcomes"][0]["findings"][0]
    first.update(summary="Other words: 9,999.", severity="low", basis="read", confidence="medium")
    first["evidence"][0]["where"] = first["evidence"][0]["where"].replace("118", "2").replace("b042515", "0123abc")
    assert names(moved) == before
    del moved["outcomes"][0]["findings"][0]
    assert names(moved) == before[1:]
    first["evidence"][0]["where"] = "another_file.py:118"
    moved["outcomes"][0]["findings"].insert(0, first)
    assert names(moved)[0] not in before


def test_findings_alike_in_everything_that_lasts_have_names_of_their_own(result: Json) -> None:
    result["outcomes"][0]["findings"].append(copy.deepcopy(result["outcomes"][0]["findings"][0]))
    assert len(set(names(result))) == len(names(result))


def test_fingerprints_are_those_by_which_two_results_are_compared(result: Json) -> None:
    ours = set(fingerprints(result["outcomes"], result["claims"]).values())
    assert ours == set(diff.fingerprints(AuditResult.model_validate(result)))


def test_a_waiver_that_holds_suppresses_the_findings_of_its_check_alone(result: Json) -> None:
    waiver = {"check": "delta-too-large", "reason": "Known.", "author": "R. Reader", "expires": "2030-01-01"}
    result["outcomes"][1]["waiver"] = waiver
    for shown in run_of(result)["results"]:
        waived = shown["ruleId"] == result["outcomes"][1]["check"]
        assert ("suppressions" in shown) == waived
        if waived:
            assert shown["suppressions"][0]["justification"] == "Known. (R. Reader, until 2030-01-01)"


def test_pages_of_checks_are_the_rules_help(result: Json) -> None:
    rule = run_of(result, pages={"delta-too-large": "## What it looks for\nδ."})["tool"]["driver"]["rules"][2]
    assert rule["help"] == {"text": "## What it looks for\nδ.", "markdown": "## What it looks for\nδ."}


def test_same_result_gives_the_same_bytes(result: Json) -> None:
    assert render(result) == render(json.loads(json.dumps(result, sort_keys=True)))


def test_another_version_is_refused(result: Json) -> None:
    with pytest.raises(ReportError, match="expected version 1"):
        render({**result, "version": 2})


def test_the_official_validator_has_no_complaint(result: Json, tmp_path: Path) -> None:
    """`npm install @microsoft/sarif-multitool`, its bin folder on PATH; the rules of SARIF and of code scanning."""
    tool = shutil.which("sarif-multitool") or shutil.which("sarif-multitool-linux")
    if tool is None:
        pytest.skip("needs sarif-multitool (npm: @microsoft/sarif-multitool) on PATH")
    log = json.loads(render(result))
    broken = copy.deepcopy(log)
    del broken["runs"][0]["results"][0]["message"]
    for name, content, complaint in (("good", log, False), ("broken", broken, True)):
        path = tmp_path / f"{name}.sarif"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        for kind in ("Sarif", "Gh"):
            command = [tool, "validate", str(path), "--rule-kind", kind]
            said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
            assert "1 files scanned" in said
            assert (": error " in said) == complaint, said
