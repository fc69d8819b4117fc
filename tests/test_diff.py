"""Two results compared: nothing else differs than what was changed, and the order of the two matters as it reads."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.diff import compare, fingerprints
from audit.diff_text import NOTHING, lines
from audit.result import to_json
from audit.types import AuditResult

Body = dict[str, Any]


def evidence(where: str) -> Body:
    return {"source": "code", "where": where, "what": "It is so."}


def finding(summary: str, where: str = "train.py:12 at b042515", **more: Any) -> Body:
    return {
        "severity": "medium",
        "basis": "read",
        "summary": summary,
        "evidence": [evidence(where)],
        "remedy": "Mend it.",
        "claims": ["lm/notes/2"],
        **more,
    }


def rung(ident: str, lower: float | str, upper: float | str) -> Body:
    return {
        "id": ident,
        "label": ident.capitalize(),
        "epsilon_lower": lower,
        "epsilon_upper": upper,
        "delta": 1e-6,
        "privacy_unit": "one record",
        "neighboring_relation": "add-or-remove-one",
        "method": "stated",
        "assumption": "None.",
    }


def body() -> Body:
    return {
        "version": 1,
        "paper": {
            "id": "small",
            "title": "A small paper",
            "citation": "Nobody, 2026",
            "arxiv": None,
            "about": "A test.",
            "caveat": "Invented for a test.",
            "sources": [{"id": "draft", "kind": "paper", "citation": "Draft", "read": "full text"}],
            "observations": [],
            "reported": [],
            "not_in_sources": [],
            "response": None,
            "corrections": [],
        },
        "claims": [
            {
                "id": f"lm/notes/{epsilon}",
                "label": f"LM on notes, ε = {epsilon}",
                "wording": "the paper claims",
                "mechanism": "lm",
                "dataset": "notes",
                "epsilon": float(epsilon),
                "delta": 1e-6,
                "privacy_unit": "one record",
                "verdict": "It protects less than it reads.",
                "verdict_level": "weaker",
                "ladder": [rung("claimed", epsilon, epsilon), rung("recomputed", epsilon * 1.5, epsilon * 1.6)],
            }
            for epsilon in (2, 4)
        ],
        "data": [],
        "outcomes": [
            {
                "check": "steps-mismatch",
                "question": "Does the loop run as many steps as were accounted?",
                "findings": [finding("It runs 10 steps.")],
            },
            {
                "check": "split-overlap",
                "question": "Do splits share texts?",
                "skips": [{"reason": "No data.", "needs": "--data"}],
            },
            {"check": "delta-too-large", "question": "Is δ too large?"},
        ],
        "provenance": {
            "command": "audit run small",
            "versions": {"python": "3.11"},
            "commit": None,
            "started": "2026-01-01",
            "seconds": 1.0,
            "inputs": {},
        },
    }


def changed(change: Callable[[Body], Any]) -> tuple[AuditResult, AuditResult]:
    new = copy.deepcopy(body())
    change(new)
    return AuditResult.model_validate(body()), AuditResult.model_validate(new)


def test_a_result_does_not_differ_from_itself_nor_from_a_later_run_of_the_same() -> None:
    assert compare(*changed(lambda new: None)).same
    later = {"started": "2026-02-02", "seconds": 9.0, "versions": {"python": "3.12"}, "inputs": {"card": "x"}}
    assert compare(*changed(lambda new: new["provenance"].update(later))).same


def test_a_finding_that_is_mended_is_gone_and_its_check_is_clean() -> None:
    diff = compare(*changed(lambda new: new["outcomes"][0].update(findings=[])))
    assert [(f.check, f.old is not None, f.new) for f in diff.findings] == [("steps-mismatch", True, None)]
    assert [(s.check, s.old, s.new) for s in diff.statuses] == [("steps-mismatch", "found", "clean")]
    assert [*diff.claims, *diff.skips, *diff.data, *diff.new_findings] == []
    assert not diff.same


def test_a_new_finding_is_new_and_in_the_other_order_gone() -> None:
    extra = finding("Another.", "loader.py:3")
    old, new = changed(lambda new: new["outcomes"][2].update(findings=[extra]))
    assert [f.check for f in compare(old, new).new_findings] == ["delta-too-large"]
    backwards = compare(new, old)
    assert not backwards.new_findings
    assert [f.old.summary for f in backwards.findings if f.old] == ["Another."]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"summary": "It runs 12 steps."}, {"summary"}),
        ({"severity": "high"}, {"severity"}),
        ({"evidence": [evidence("train.py:99 at 0123abc")]}, {"evidence"}),
        ({"summary": "Other.", "remedy": "Other."}, {"summary", "remedy"}),
    ],
)
def test_a_finding_that_moves_or_is_reworded_is_the_same_finding_changed(fields: Body, named: set[str]) -> None:
    diff = compare(*changed(lambda new: new["outcomes"][0]["findings"][0].update(fields)))
    (only,) = diff.findings
    assert only.old is not None
    assert only.new is not None
    assert set(only.changed) == named


def test_a_finding_in_another_file_is_another_finding() -> None:
    diff = compare(
        *changed(lambda new: new["outcomes"][0].update(findings=[finding("It runs 10 steps.", "loop.py:12")]))
    )
    assert sorted((f.old is None, f.new is None) for f in diff.findings) == [(False, True), (True, False)]


def test_findings_alike_in_everything_that_lasts_are_told_apart_by_their_order() -> None:
    twice = [finding("First."), finding("Second.")]
    old, _ = changed(lambda new: None)
    _, new = changed(lambda new: new["outcomes"][0].update(findings=twice))
    assert len(fingerprints(new)) == 2
    assert set(fingerprints(old)) < set(fingerprints(new))


def test_a_corrected_rung_shows_both_brackets_and_only_its_claim() -> None:
    def lower(new: Body) -> None:
        new["claims"][1]["ladder"][1].update(epsilon_lower=4.0, epsilon_upper="inf")
        new["claims"][1].update(verdict_level="unknown")

    diff = compare(*changed(lower))
    (claim,) = diff.claims
    (one,) = claim.rungs
    assert (claim.id, one.id) == ("lm/notes/4", "recomputed")
    text = "\n".join(lines(diff))
    assert "Recomputed: 6 to 6.4 -> 4 or more" in text
    assert "weaker -> not known" in text
    assert "ε = 2" not in text


def test_a_verdict_is_called_what_an_audit_calls_it_and_one_that_stays_is_no_change() -> None:
    old, new = body(), body()
    old["claims"][1].update(verdict_level="broken")
    new["claims"][1].update(verdict_level="broken", verdict="It fails for another reason.")
    text = "\n".join(lines(compare(*(AuditResult.model_validate(side) for side in (old, new)))))
    assert "~ LM on notes, ε = 4: does not hold, as before\n      It fails for another reason." in text
    assert "broken" not in text


def test_a_claim_that_comes_or_goes_is_named() -> None:
    old, new = changed(lambda new: new["claims"].pop())
    assert [(c.id, c.new) for c in compare(old, new).claims] == [("lm/notes/4", None)]
    assert [(c.id, c.old) for c in compare(new, old).claims] == [("lm/notes/4", None)]


def test_a_question_that_was_answered_is_open_no_longer() -> None:
    diff = compare(*changed(lambda new: new["outcomes"][1].update(skips=[])))
    assert [(s.check, s.side, s.reason) for s in diff.skips] == [("split-overlap", "old", "No data.")]


def measured(records: int) -> Body:
    identity = {"verdict": "unknown", "why": "None.", "sha256": "0" * 64, "records": records, "published_records": None}
    columns = {"text_column": "text", "unit_column": None}
    return {"name": "notes", "role": "private", "format": "csv", "identity": identity, **columns}


def test_data_that_was_given_or_changed_is_a_change() -> None:
    old, ten = changed(lambda new: new.update(data=[measured(10)]))
    _, twelve = changed(lambda new: new.update(data=[measured(12)]))
    assert compare(ten, ten).same
    (given,) = compare(old, ten).data
    assert given.old is None
    (grown,) = compare(ten, twelve).data
    assert (grown.name, (grown.old or "")[:10], (grown.new or "")[:10]) == ("notes", "10 records", "12 records")


def probed(status: str) -> Body:
    answer = {
        "probe": "sensitivity",
        "question": "Does one record move the sum by more than C?",
        "status": status,
        "statistic": "largest change / C",
        "trials": 8,
        "confidence": "eight pairs",
        "summary": "It was tried.",
    }
    return {"step": "own:step", "variant": "corrected", "seed": 1, "answers": [answer]}


def test_a_probe_that_answers_otherwise_is_a_change() -> None:
    old, held = changed(lambda new: new.update(probes=[probed("holds")]))
    _, violated = changed(lambda new: new.update(probes=[probed("violated")]))
    assert compare(held, held).same
    (change,) = compare(held, violated).probes
    assert (change.step, change.probe, change.old, change.new) == ("own:step", "sensitivity", "holds", "violated")
    assert [c.old for c in compare(old, held).probes] == [None]
    assert "~ sensitivity on own:step (corrected): holds -> violated" in "\n".join(lines(compare(held, violated)))


def test_the_text_says_so_when_nothing_changed_or_the_papers_differ() -> None:
    assert NOTHING in list(lines(compare(*changed(lambda new: None))))
    two = list(lines(compare(*changed(lambda new: new["paper"].update(id="other")))))
    assert "These are audits of two papers." in two


def test_every_part_of_the_json_form_survives_a_round_trip() -> None:
    diff = compare(*changed(lambda new: new["outcomes"][0].update(findings=[])))
    again = type(diff).model_validate({k: v for k, v in json.loads(diff.model_dump_json()).items() if k != "same"})
    assert again == diff


# ---------------------------------------------------------------- the command


def cli(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audit.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
        check=False,
        timeout=120,
    )


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    old, new = changed(lambda new: new["outcomes"][0].update(findings=[]))
    for name, result in (("old", old), ("new", new)):
        (tmp_path / f"{name}.json").write_text(to_json(result), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_the_exit_code_says_whether_something_changed_in_every_format(form: str, pair: Path) -> None:
    assert cli("diff", "old.json", "new.json", "--format", form, cwd=pair).returncode == 1
    assert cli("diff", "old.json", "old.json", "--format", form, cwd=pair).returncode == 0


def test_formats_say_the_same(pair: Path) -> None:
    found = json.loads(cli("diff", "old.json", "new.json", "--format", "json", cwd=pair).stdout)
    assert found["same"] is False
    assert [f["check"] for f in found["findings"]] == ["steps-mismatch"]
    text = cli("diff", "old.json", "new.json", cwd=pair).stdout
    assert "- medium steps-mismatch: It runs 10 steps." in text
    cli("diff", "old.json", "new.json", "--format", "html", "--out", "made/diff.html", cwd=pair)
    page = (pair / "made" / "diff.html").read_text(encoding="utf-8")
    assert "It runs 10 steps." in page
    assert f'id="finding-{found["findings"][0]["fingerprint"]}"' in page


def test_a_file_that_is_no_result_is_refused_in_one_line(pair: Path) -> None:
    (pair / "bad.json").write_text("{}", encoding="utf-8")
    for name in ("bad.json", "nowhere.json"):
        answer = cli("diff", "old.json", name, cwd=pair)
        assert answer.returncode == 2
        assert name in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1


def test_an_index_names_every_result_below_the_folders_and_links_to_their_reports(pair: Path) -> None:
    for place in ("out/a", "out/b c"):
        (pair / place).mkdir(parents=True)
        (pair / place / "result.json").write_bytes((pair / "old.json").read_bytes())
    (pair / "out" / "b c" / "report.html").write_text("here", encoding="utf-8")
    answer = cli("index", "out", "out/a", cwd=pair)
    assert answer.returncode == 0, answer.stderr
    page = (pair / "out" / "index.html").read_text(encoding="utf-8")
    assert 'href="b%20c/report.html' in page
    assert 'href="a/' not in page
    assert "2 audits" in page
    assert "in <b>a</b>" in page
    assert "in <b>b c</b>" in page
    cli("index", "out/a", cwd=pair)
    assert "in <b>a</b>" in (pair / "out" / "a" / "index.html").read_text(encoding="utf-8")
    empty = cli("index", "nowhere", cwd=pair)
    assert (empty.returncode, len(empty.stderr.strip().splitlines())) == (2, 1)
