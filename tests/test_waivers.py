"""Waivers and baselines: what they let pass, what they never hide, and that they end."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from audit.cards import CardError
from audit.cli import app
from audit.run import run_audit
from audit.types import Basis, Evidence, Finding, Outcome, Severity, Waiver
from audit.waivers import apply

CASE = Path(__file__).parent / "cases" / "noise-seed-published" / "bad" / "seed-in-config"
DAY = date(2026, 6, 1)
FOUND = Finding(
    severity=Severity.HIGH,
    basis=Basis.READ,
    summary="A seed.",
    evidence=(Evidence(source="code", where="a.py:1", what="a seed"),),
    remedy="None.",
)


def outcome(check: str, *findings: Finding) -> Outcome:
    return Outcome(check=check, question="Is it so?", findings=findings)


def waiver(check: str, expires: date) -> Waiver:
    return Waiver(check=check, reason="mended before release", author="the authors", expires=expires.isoformat())


@given(st.integers(-400, 400))
def test_a_waiver_holds_to_the_end_of_its_last_day_and_not_a_day_longer(days: int) -> None:
    (marked,), (use,) = apply([waiver("a", DAY + timedelta(days))], [outcome("a", FOUND)], DAY)
    assert (marked.waiver is not None) == (days >= 0)
    assert use.state == ("holds" if days >= 0 else "expired")


def test_a_waiver_hides_no_finding_and_touches_no_other_check() -> None:
    before = [outcome("a", FOUND), outcome("b", FOUND)]
    after, _ = apply([waiver("a", DAY)], before, DAY)
    assert [o.findings for o in after] == [o.findings for o in before]
    assert [o.waiver is not None for o in after] == [True, False]


def test_a_waiver_for_what_was_not_found_is_shown_as_unused() -> None:
    (marked,), (use,) = apply([waiver("a", DAY)], [outcome("a")], DAY)
    assert marked.waiver is None
    assert use.state == "unused"


def test_of_two_waivers_for_one_check_the_longer_one_counts() -> None:
    short, long = waiver("a", DAY), waiver("a", DAY + timedelta(30))
    (marked,), uses = apply([long, short], [outcome("a", FOUND)], DAY)
    assert marked.waiver == long
    assert [use.state for use in uses] == ["holds", "unused"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "paper"
    made.mkdir()
    (made / "card.toml").write_text((CASE / "card.toml").read_text(encoding="utf-8"), encoding="utf-8")
    return made


def run(folder: Path, *options: str) -> int:
    arguments = ["run", str(folder), "--out", str(folder / "out"), "-q", "--no-cache", "--jobs", "1", *options]
    return CliRunner().invoke(app, arguments).exit_code


def add_waiver(folder: Path, expires: str) -> None:
    with (folder / "card.toml").open("a", encoding="utf-8") as card:
        card.write('\n[[waiver]]\ncheck = "noise-seed-published"\nreason = "changed <soon>"\nauthor = "us"\n')
        card.write(f"expires = {expires}\n")


def test_a_waived_finding_does_not_fail_the_run_and_stands_in_the_report(folder: Path) -> None:
    assert run(folder) == 1
    add_waiver(folder, "9999-12-31")
    assert run(folder) == 0
    report = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "Waived until 9999-12-31" in report
    assert "changed &lt;soon&gt;" in report
    assert run(folder, "--no-waivers") == 1


def test_an_expired_waiver_fails_the_run_again_and_the_report_says_so(folder: Path) -> None:
    add_waiver(folder, "2001-01-01")
    assert run(folder) == 1
    assert "expired on 2001-01-01" in (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_a_day_that_is_none_is_refused(folder: Path) -> None:
    add_waiver(folder, '"soon"')
    with pytest.raises(CardError, match="expires"):
        run_audit(folder)


def test_only_findings_that_the_baseline_lacks_fail_the_run(folder: Path) -> None:
    assert run(folder) == 1
    baseline = folder / "earlier.json"
    (folder / "out" / "result.json").rename(baseline)
    assert run(folder, "--baseline", str(baseline), "--fail-on-new") == 0
    assert run(folder, "--baseline", str(baseline)) == 1
    card = (folder / "card.toml").read_text(encoding="utf-8").replace(
        "[[dataset]]", 'label_distribution = { value = "exact", where = "gen.py:1", known = "code" }\n\n[[dataset]]'
    )
    (folder / "card.toml").write_text(card, encoding="utf-8")
    assert run(folder, "--baseline", str(baseline), "--fail-on-new") == 1


def test_new_findings_without_a_baseline_are_a_wrong_usage(folder: Path) -> None:
    assert run(folder, "--fail-on-new") == 2
