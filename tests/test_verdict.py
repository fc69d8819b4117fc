"""What findings of high severity leave of a claim that its ladder bears out."""

from __future__ import annotations

import json
import math
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from audit.result import to_json
from audit.run import run_audit
from audit.summary import show
from audit.types import AuditResult, Basis, ClaimResult, Evidence, Finding, Outcome, Severity
from audit.verdict import with_findings
from reports.html import render

CASES = Path(__file__).parent / "cases"
CODE = CASES / "grad-sample-expanded" / "bad" / "kept" / "code"
LEDGER = CASES / "access-not-covered" / "bad" / "validation" / "ledgers" / "run.json"
MECHANISM = """
[[mechanism]]
id = "NAME"
model = "NAME"
sampler_accounted = { value = "poisson", where = "S2", known = "paper" }
batch_size = { value = 50, where = "S2", known = "paper" }
epochs = { value = 5, where = "S2", known = "paper" }
noise_multiplier = { value = 2.0, where = "S2", known = "paper" }
[[claim]]
id = "NAME"
mechanism = "NAME"
datasets = ["notes"]
epsilons = { value = [4.0], where = "Abstract", known = "paper" }
delta = { value = 1e-5, where = "S2", known = "paper" }
privacy_unit = { value = "all notes of a person", where = "S2", known = "paper" }
unit_is_person = { value = true, where = "S2", known = "paper" }
wording = "the paper claims"
"""
PAPER = """
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
"""
WAIVED = """
[[waiver]]
check = "grad-sample-expanded"
reason = "mended before release"
author = "us"
expires = "9999-12-31"
"""


def audited(tmp_path: Path, *names: str, more: str = "", **given: object) -> AuditResult:
    mechanisms = "".join(MECHANISM.replace("NAME", name) for name in names)
    (tmp_path / "card.toml").write_text(PAPER + mechanisms + more, encoding="utf-8")
    return run_audit(tmp_path, **given)  # type: ignore[arg-type]


def headline(result: AuditResult) -> str:
    return render(json.loads(to_json(result))).split("</header>")[0]


def test_without_code_the_claim_holds_and_the_page_says_so(tmp_path: Path) -> None:
    result = audited(tmp_path, "lm")
    assert [claim.verdict_level for claim in result.claims] == ["holds"]
    assert "Yes, as far as checked" in headline(result)


@pytest.mark.parametrize(
    ("given", "check"),
    [({"code": CODE}, "grad-sample-expanded"), ({"ledgers": [LEDGER]}, "access-not-covered")],
    ids=["code", "ledger"],
)
def test_code_and_ledgers_bear_on_the_claim_of_the_only_mechanism(
    tmp_path: Path, given: dict[str, object], check: str
) -> None:
    result = audited(tmp_path, "lm", **given)
    (claim,) = result.claims
    assert claim.verdict_level == "broken"
    assert claim.verdict.startswith("ε = 4 does not hold as worded")
    assert check in claim.verdict
    assert "<strong>No.</strong> The claim does not hold as worded" in headline(result)


def test_of_two_mechanisms_nobody_knows_which_the_code_is_of(tmp_path: Path) -> None:
    result = audited(tmp_path, "one", "two", code=CODE)
    assert [claim.verdict_level for claim in result.claims] == ["unknown", "unknown"]
    assert all("grad-sample-expanded" in claim.verdict for claim in result.claims)
    assert "It cannot be told" in headline(result)


def test_a_finding_that_is_waived_leaves_the_claim_as_it_was(tmp_path: Path) -> None:
    assert [c.verdict_level for c in audited(tmp_path, "lm", more=WAIVED, code=CODE).claims] == ["holds"]
    result = audited(tmp_path, "lm", more=WAIVED, code=CODE, waive=False)
    assert [c.verdict_level for c in result.claims] == ["broken"]
    assert not result.claims[0].waived


def test_a_claim_that_holds_but_for_what_is_waived_says_so_in_the_result_the_headline_and_the_terminal(
    tmp_path: Path,
) -> None:
    result = audited(tmp_path, "lm", more=WAIVED, code=CODE)
    (claim,) = result.claims
    assert claim.waived == ("grad-sample-expanded",)
    assert claim.verdict.startswith("But for 1 waived finding of high severity (grad-sample-expanded): ε = 4 holds")
    console = Console(width=100, record=True, file=StringIO())
    show(console, result, [])
    printed = " ".join(console.export_text().split())
    assert "holds but for 1 waived" in printed
    assert "waived until 9999-12-31 by us: mended before release" in printed


def test_an_access_that_was_not_priced_leaves_no_upper_limit_waived_or_not(tmp_path: Path) -> None:
    waived = WAIVED.replace("grad-sample-expanded", "access-not-covered")
    for more, level in (("", "broken"), (waived, "holds")):
        (claim,) = audited(tmp_path, "lm", more=more, ledgers=[LEDGER]).claims
        *_, before, last = claim.ladder
        assert (last.epsilon_lower, last.epsilon_upper) == (before.epsilon_lower, math.inf)
        assert last.attack is None
        assert "looked at private data outside what was priced" in last.assumption
        assert claim.verdict_level == level
        assert ("no upper bound" in claim.verdict) == (level == "broken")


def test_a_ledger_of_one_of_two_mechanisms_leaves_the_figures_of_both(tmp_path: Path) -> None:
    claims = audited(tmp_path, "one", "two", ledgers=[LEDGER]).claims
    assert all(rung.epsilon_upper != math.inf for claim in claims for rung in claim.ladder)


# ---------------------------------------------------------------- one claim, one finding


def claim(level: str) -> ClaimResult:
    return ClaimResult.model_validate(
        {"id": "c/notes/4", "label": "lm on notes", "wording": "-", "mechanism": "lm", "dataset": "notes", "epsilon": 4,
         "delta": 1e-5, "privacy_unit": None, "verdict": "As it was.", "verdict_level": level, "ladder": ()}
    )  # fmt: skip


def outcome(severity: Severity, *claims: str) -> Outcome:
    seen = (Evidence(source="code", where="a.py:1", what="-"),)
    found = Finding(severity=severity, basis=Basis.READ, summary="-", evidence=seen, remedy="-", claims=claims)
    return Outcome(check="some-flaw", question="Is it so?", findings=(found,))


@pytest.mark.parametrize(
    ("was", "severity", "named", "becomes"),
    [
        ("holds", Severity.HIGH, "c/notes/4", "broken"),
        ("weaker", Severity.HIGH, "c/notes/4", "broken"),
        ("unknown", Severity.HIGH, "c/notes/4", "unknown"),
        ("holds", Severity.MEDIUM, "c/notes/4", "holds"),
        ("holds", Severity.HIGH, "other/notes/4", "holds"),
    ],
)
@pytest.mark.parametrize("mechanisms", [1, 2])
def test_a_finding_that_names_claims_bears_on_these(
    was: str, severity: Severity, named: str, becomes: str, mechanisms: int
) -> None:
    (after,) = with_findings([claim(was)], [outcome(severity, named)], mechanisms)
    assert after.verdict_level == becomes
    assert (after.verdict == "As it was.") == (was == becomes)


def test_a_claim_that_protects_less_stays_so_where_the_finding_may_be_of_another_mechanism() -> None:
    (after,) = with_findings([claim("weaker")], [outcome(Severity.HIGH)], mechanisms=2)
    assert after == claim("weaker")
