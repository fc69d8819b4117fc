"""Every check of the package: its page, its cases, its findings. A new check is covered by its files alone."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

from audit.cards import built_in_cards, built_in_manifests, load_card, load_manifest
from audit.check import all_checks
from audit.ladder import claim_result
from audit.run import put, run_audit
from audit.setting import settings
from audit.subject import Subject
from audit.types import AuditResult, Basis, Outcome, Status

CASES = Path(__file__).parent / "cases"
CHECKS = all_checks()
EXPECTED = {"bad": Status.FOUND, "good": Status.CLEAN, "skip": Status.SKIPPED}
HEADINGS = ("What it looks for", "Why it matters", "What it cannot see")
FIRM = (Basis.COMPUTED, Basis.OBSERVED)
ALL_CASES = sorted(path.parent for path in CASES.glob("*/*/*/card.toml"))


def name_of(case: Path) -> str:
    return "/".join(case.parts[-3:])


@cache
def audited(case: Path) -> AuditResult:
    return run_audit(case)


def outcome_of(case: Path) -> Outcome:
    """What the check that a case is written for answers to it."""
    check = case.parts[-3]
    return next(outcome for outcome in audited(case).outcomes if outcome.check == check)


def as_expected(case: Path) -> bool:
    """Did the check answer as the folder promises (bad, good or skip)?"""
    return outcome_of(case).status is EXPECTED[case.parts[-2]]


# ---------------------------------------------------------------- the files


@pytest.mark.parametrize("ident", CHECKS)
def test_a_check_is_named_like_its_file_and_asks_a_question(ident: str) -> None:
    module = CHECKS[ident].answer.__module__
    assert module == f"audit.checks.{ident.replace('-', '_')}"
    assert CHECKS[ident].question.endswith("?")


def test_every_file_of_the_folder_holds_one_check() -> None:
    import audit.checks

    files = {path.stem for path in Path(audit.checks.__path__[0]).glob("[a-z]*.py")}
    assert files == {ident.replace("-", "_") for ident in CHECKS}


@pytest.mark.parametrize("ident", CHECKS)
def test_a_page_says_what_is_looked_for_why_and_what_stays_unseen(ident: str) -> None:
    page = CHECKS[ident].page
    places = [page.find(heading) for heading in HEADINGS]
    assert -1 not in places, f"{ident} lacks one of {HEADINGS}"
    assert places == sorted(places)
    parts = re.split("|".join(HEADINGS), page)[1:]
    assert all(len(part.split()) >= 8 for part in parts)


@pytest.mark.parametrize("ident", CHECKS)
def test_every_check_has_a_bad_and_a_good_case(ident: str) -> None:
    assert list((CASES / ident / "bad").glob("*/card.toml"))
    assert list((CASES / ident / "good").glob("*/card.toml"))


def test_every_case_belongs_to_a_check() -> None:
    assert {case.parts[-3] for case in ALL_CASES} == set(CHECKS)
    assert {case.parts[-2] for case in ALL_CASES} <= set(EXPECTED)


# ---------------------------------------------------------------- the answers


@pytest.mark.parametrize("case", ALL_CASES, ids=name_of)
def test_a_case_is_answered_as_its_folder_says(case: Path) -> None:
    outcome = outcome_of(case)
    assert outcome.error is None
    assert as_expected(case), outcome.model_dump_json(indent=1)


@pytest.mark.parametrize("case", ALL_CASES, ids=name_of)
def test_no_check_fails_on_another_checks_case(case: Path) -> None:
    assert not [(o.check, o.error) for o in audited(case).outcomes if o.status is Status.FAILED]


@pytest.mark.parametrize("case", ALL_CASES, ids=name_of)
def test_findings_show_evidence_and_no_text_no_id_and_no_person(case: Path) -> None:
    findings = [finding for outcome in audited(case).outcomes for finding in outcome.findings]
    for finding in findings:
        assert all(e.where.strip() and e.what.strip() for e in finding.evidence)
        assert finding.remedy.strip()
        assert not re.search(r"\b(authors?|he|she|his|her)\b", finding.summary, re.IGNORECASE)
    shown = json.dumps([f.model_dump(mode="json") for f in findings], ensure_ascii=False)
    assert not [cell for cell in cells_of(case) if cell in shown]


def cells_of(case: Path) -> set[str]:
    """Texts and ids in the case's data, as far as they are long enough to be told from ordinary words."""
    lines = [
        line
        for path in case.glob("data/**/*.jsonl")
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    return {str(cell) for line in lines for cell in json.loads(line).values() if len(str(cell)) >= 6}


def test_the_runner_can_fail() -> None:
    """A bad case under a good name, and the other way round, are not as expected."""
    for case in ALL_CASES:
        status = outcome_of(case).status
        assert [kind for kind, expected in EXPECTED.items() if expected is status] == [case.parts[-2]]


MUTATIONS = {
    "label-distribution-released/good/uniform": ('value = "uniform"', 'value = "exact"'),
    "preprocessing-not-stable/good/not-balanced": ('value = "none"', 'value = "minimum-class-count"'),
    "selection-unaccounted/good/paid-for": ("value = true", "value = false"),
    "contamination-unchecked/good/checked": ("value = true", "value = false"),
    "validation-inside-train/good/stated-apart": ("value = false", "value = true"),
    "labels-shifted/good/same-order": ('"Poor", "Neutral"', '"Neutral", "Poor"'),
    "metric-not-comparable/good/same-for-all": ("value = true", "value = false"),
    "run-not-recoverable/good/whole-release": ("value = 20000", "value = 20001"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_one_wrong_fact_turns_a_good_case_bad(name: str, tmp_path: Path) -> None:
    old, new = MUTATIONS[name]
    card = (CASES / name / "card.toml").read_text(encoding="utf-8")
    assert old in card
    (tmp_path / "card.toml").write_text(card.replace(old, new, 1), encoding="utf-8")
    subject = Subject(load_card(tmp_path / "card.toml"))
    assert put(CHECKS[name.split("/")[0]], subject).status is Status.FOUND


# ---------------------------------------------------------------- nothing firm rests on our own reading


def firm_findings(subject: Subject) -> list[tuple[str, Basis, str, tuple[str, ...]]]:
    found = [(check.ident, finding) for check in CHECKS.values() for finding in put(check, subject).findings]
    return [(ident, f.basis, f.summary, f.claims) for ident, f in found if f.basis in FIRM]


def without_observations(subject: Subject) -> Subject:
    card = subject.card.model_copy(update={"observation": ()})
    return Subject(card, subject.manifests, subject.data, subject.corpora, subject.code, subject.claims)


@pytest.mark.parametrize("paper", built_in_cards())
def test_computed_and_observed_findings_stand_without_the_cards_observations(paper: str) -> None:
    manifests = {ident: load_manifest(path) for ident, path in built_in_manifests().items()}
    subject = Subject(load_card(built_in_cards()[paper]), manifests)
    assert firm_findings(without_observations(subject)) == firm_findings(subject)


@pytest.mark.slow
@pytest.mark.parametrize("paper", built_in_cards())
def test_so_do_those_that_rest_on_the_ladder(paper: str) -> None:
    """One priced claim of each mechanism stands for its others."""
    card = load_card(built_in_cards()[paper])
    first = {setting.mechanism: setting for setting in settings(card, {})}
    subject = Subject(card, claims=tuple(claim_result(setting) for setting in first.values()))
    assert firm_findings(without_observations(subject)) == firm_findings(subject)


@pytest.mark.slow
@pytest.mark.parametrize("paper", ["ochs-2025", "yue-2023"])
def test_some_findings_do_rest_on_a_ladder(paper: str) -> None:
    card = load_card(built_in_cards()[paper])
    first = {setting.mechanism: setting for setting in settings(card, {})}
    subject = Subject(card, claims=tuple(claim_result(setting) for setting in first.values()))
    assert any(named for *_, named in firm_findings(subject))


def test_an_observation_never_makes_a_finding_firm() -> None:
    """A card of observations alone, each called computed, yields findings that are read at most."""
    card = load_card(ALL_CASES[0] / "card.toml")
    seen = [
        {"id": f"o{i}", "kind": ident, "where": "a.py:1", "commit": "0", "basis": "computed", "what": "seen"}
        for i, ident in enumerate(CHECKS)
    ]
    nothing = {"mechanism": (), "claim": (), "dataset": (), "evaluation": (), "corpus": ()}
    bare = Subject(type(card).model_validate(card.model_dump() | nothing | {"observation": seen}))
    findings = [f for check in CHECKS.values() for f in put(check, bare).findings]
    assert findings
    assert {f.basis for f in findings} <= {Basis.READ, Basis.SILENCE, Basis.PATTERN}
