"""Probes in an audit: only built-in cards name code, a violation makes a finding observed, and reports show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audit import run_audit
from audit.cards import built_in_cards, load_card
from audit.check import all_checks
from audit.probing import Step, collected, remember, remembered, started, steps_of
from audit.result import to_json
from audit.run import put
from audit.subject import Subject
from audit.types import Basis, ClaimResult, Finding, ProbeAnswer, ProbedStep, ProbeStatus, Severity
from reports.html import render
from reports.probes import probe_tables

OCHS = load_card(built_in_cards()["ochs-2025"])


def answer(probe: str, status: ProbeStatus = ProbeStatus.VIOLATED, **more: Any) -> ProbeAnswer:
    told = {
        "question": "Is it?",
        "statistic": "largest ‖S(D) − S(D′)‖ / C found",
        "value": 27.5,
        "bound": 1.0,
        "trials": 7,
        "confidence": "a measurement",
        "summary": f"What {probe} found.",
        "witness": "batch of 32, place 9",
        "severity": Severity.HIGH if status is ProbeStatus.VIOLATED else None,
    }
    return ProbeAnswer(probe=probe, status=status, **{**told, **more})


def probed(mechanism: str, *answers: ProbeAnswer, variant: str = "as-published") -> ProbedStep:
    return ProbedStep(step="reimpl.x:y", mechanism=mechanism, variant=variant, seed=0, answers=answers)


def findings(check: str, *steps: ProbedStep) -> list[Finding]:
    return list(put(all_checks()[check], Subject(OCHS, probes=steps)).findings)


RAISED = {
    "per-record-gradient-coupled": "sensitivity",
    "unaccounted-data-dependent-state": "replay",
    "noise-seed-published": "randomness",
}


@pytest.mark.parametrize(("check", "probe"), RAISED.items())
def test_a_violation_on_the_released_behaviour_raises_a_reading_to_observed(check: str, probe: str) -> None:
    corrected = answer(probe, ProbeStatus.HOLDS, value=1.0)
    steps = probed("genie", answer(probe)), probed("genie", corrected, variant="corrected")
    read, seen = findings(check), findings(check, *steps)
    assert {f.basis for f in read} == {Basis.READ}
    (genie,) = [f for f in seen if " genie" in f.summary and f.basis is Basis.OBSERVED]
    assert [f.basis for f in seen].count(Basis.OBSERVED) == 1  # not of the mechanisms that were not probed
    (evidence,) = [e for e in genie.evidence if e.source == "probe"]
    assert "27.5" in evidence.what
    assert "The corrected step: 1 (holds)" in evidence.what
    assert "our reimplementation" in evidence.where


@pytest.mark.parametrize(("check", "probe"), RAISED.items())
def test_a_probe_that_holds_or_could_not_judge_raises_nothing(check: str, probe: str) -> None:
    quiet = [answer(probe, s) for s in (ProbeStatus.HOLDS, ProbeStatus.NOT_JUDGED, ProbeStatus.FAILED)]
    steps = [*(probed("genie", one) for one in quiet), probed("genie", answer(probe), variant="corrected")]
    for step in steps:
        assert {f.basis for f in findings(check, step)} == {Basis.READ}


def test_ordinary_and_worst_case_stand_in_the_summary() -> None:
    step = probed("genie", answer("sensitivity", figures={"ordinary record removed": 1.0008}))
    (genie,) = [f for f in findings("per-record-gradient-coupled", step) if f.basis is Basis.OBSERVED]
    assert "one record moved the sum by up to 27.5 C (1.001 C for ordinary records)" in genie.summary


def test_the_steps_probe_bears_on_what_it_counted() -> None:
    skipped = probed("genie", answer("steps", figures={"noisy sums on an empty batch": 0.0}))
    counted = probed("genie", answer("steps", figures={"steps run": 12.0, "steps accounted": 24.0}))
    for step, check, other in (
        (skipped, "empty-batch-skipped", "steps-mismatch"),
        (counted, "steps-mismatch", "empty-batch-skipped"),
    ):
        assert [e for f in findings(check, step) for e in f.evidence if e.source == "probe"]
        assert not [e for f in findings(other, step) for e in f.evidence if e.source == "probe"]


def test_of_a_probe_that_counts_two_things_a_finding_tells_the_one_that_it_is_about() -> None:
    counts = {"noisy sums on an empty batch": 0.0, "steps run": 12.0, "steps accounted": 24.0}
    mended = {"noisy sums on an empty batch": 1.0, "steps run": 24.0, "steps accounted": 24.0}
    corrected = probed("genie", answer("steps", ProbeStatus.HOLDS, figures=mended), variant="corrected")
    published = probed("genie", answer("steps", figures=counts, value=0.5, summary="Empty; 12 run, 24 accounted."))
    told = {
        check: [e.what for f in findings(check, published, corrected) for e in f.evidence if e.source == "probe"]
        for check in ("empty-batch-skipped", "steps-mismatch")
    }
    assert told["empty-batch-skipped"] == [
        "steps: noisy sums on an empty batch: 0. The corrected step: noisy sums on an empty batch: 1."
    ]
    (steps,) = told["steps-mismatch"]
    assert steps.startswith(
        "steps: steps run: 12; steps accounted: 24. The corrected step: steps run: 24; steps accounted: 24."
    )
    assert "mpty" not in steps


# ---------------------------------------------------------------- what is run


def test_the_built_in_card_names_steps_that_come_with_the_package() -> None:
    steps = steps_of(OCHS)
    assert {(s.mechanism, s.variant) for s in steps} == {
        (m, v) for m in ("genie", "diffuseq", "seqdiffuseq") for v in ("as-published", "corrected")
    }
    assert all(s.name.startswith("reimpl.") for s in steps)


def test_a_card_that_names_other_code_has_no_steps() -> None:
    genie = next(m for m in OCHS.mechanism if m.id == "genie")
    for name in ("os:getcwd", "evil:factory", "reimpl_evil:factory"):
        card = OCHS.model_copy(update={"mechanism": (genie.model_copy(update={"probe": {"as-published": name}}),)})
        assert steps_of(card) == ()


def test_somebodys_own_card_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where its folder holds a package of that name."""
    text = built_in_cards()["ochs-2025"].read_text(encoding="utf-8")
    start = text.index("[[claim]]")
    (tmp_path / "card.toml").write_text(text[:start] + text[text.index("# ----", start) :], encoding="utf-8")
    (tmp_path / "reimpl").mkdir()
    (tmp_path / "reimpl" / "__init__.py").write_text("open('was_run', 'w')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = run_audit(tmp_path, probes=True)
    assert len(result.probes) == 6
    assert all(step.error and not step.answers for step in result.probes)
    assert not (tmp_path / "was_run").exists()


def test_a_program_that_fails_leaves_an_error_and_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    steps = (Step("genie", "as-published", "reimpl.no_such_module:factory"),)
    with started(steps, 2) as programs:
        (found,) = collected(programs, steps)
    assert programs[0].process.returncode == 2
    assert found.error is not None
    assert found.answers == ()


def test_a_program_is_ended_when_the_audit_is(tmp_path: Path) -> None:
    steps = (Step("genie", "as-published", "reimpl.probe_steps:genie_published"),)
    with pytest.raises(KeyboardInterrupt), started(steps, 1) as programs:
        raise KeyboardInterrupt
    assert programs[0].process.poll() is not None


@pytest.mark.slow
def test_our_steps_are_measured_as_published_and_corrected() -> None:
    steps = tuple(step for step in steps_of(OCHS) if step.mechanism == "diffuseq")
    with started(steps, 2) as programs:
        published, corrected = collected(programs, steps)
    verdicts = {a.probe: a for a in published.answers}
    assert all(a.status is ProbeStatus.HOLDS for a in corrected.answers), corrected
    for probe in ("sensitivity", "additivity", "replay", "randomness"):
        assert verdicts[probe].status is ProbeStatus.VIOLATED, probe
    assert (verdicts["sensitivity"].value or 0) > 5  # with the weight that the loss-aware sampler allows
    assert verdicts["sensitivity"].figures["ordinary record removed"] == pytest.approx(1, abs=0.01)


# ---------------------------------------------------------------- the report


def claimless(steps: tuple[ProbedStep, ...]) -> dict[str, Any]:
    card = OCHS.model_copy(update={"claim": ()})
    from audit.run import _paper
    from audit.types import AuditResult, Provenance

    provenance = Provenance(command="x", versions={}, commit=None, started="now", seconds=0, inputs={})
    claims: tuple[ClaimResult, ...] = ()
    made = AuditResult(
        paper=_paper(card), claims=claims, data=(), outcomes=(), probes=steps, provenance=provenance
    )
    return json.loads(to_json(made))


def test_the_report_shows_both_variants_in_one_table_with_the_witness_escaped() -> None:
    hostile = answer("sensitivity", witness="<script>alert(1)</script>", value=float("inf"))
    steps = (
        probed("genie", hostile, answer("noise", ProbeStatus.HOLDS)),
        probed("genie", answer("sensitivity", ProbeStatus.HOLDS, value=1.0), variant="corrected"),
    )
    (table,) = probe_tables(claimless(steps)["probes"])
    assert [name for name, _, _ in table.columns] == ["behaviour as published", "corrected"]
    assert [(probe, [cell and cell.status for cell in cells]) for probe, _, cells in table.rows] == [
        ("sensitivity", ["violated", "holds"]),
        ("noise", ["holds", None]),
    ]
    page = render(claimless(steps))
    assert "Training steps measured" in page
    assert "∞ (bound 1)" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_report_without_probes_has_no_such_section() -> None:
    assert "Training steps measured" not in render(claimless(()))


STEP = Step("genie", "corrected", "reimpl.probe_steps:genie_corrected")


def test_an_answer_is_kept_for_the_next_audit_and_a_failure_is_not(tmp_path: Path) -> None:
    kept = probed("genie", answer("sensitivity"), variant="corrected")
    broken = ProbedStep(step=STEP.name, seed=0, error="it did not run")
    remember({STEP: broken}, tmp_path)
    assert remembered([STEP], tmp_path) == {}
    remember({STEP: kept}, tmp_path)
    assert remembered([STEP], tmp_path) == {STEP: kept}
    assert remembered([STEP], None) == {}


def test_an_answer_is_of_its_step_and_of_the_code_that_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember({STEP: probed("genie", answer("sensitivity"), variant="corrected")}, tmp_path)
    assert remembered([Step("genie", "as-published", "reimpl.probe_steps:genie_published")], tmp_path) == {}
    monkeypatch.setattr("audit.probing._sources", lambda: "other sources")
    assert remembered([STEP], tmp_path) == {}


@pytest.mark.parametrize("rubbish", ["", "{}", "[1]", '{"step": 3}'])
def test_a_kept_answer_that_is_damaged_is_measured_anew(tmp_path: Path, rubbish: str) -> None:
    remember({STEP: probed("genie", answer("sensitivity"), variant="corrected")}, tmp_path)
    (file,) = (tmp_path / "probes").iterdir()
    file.write_text(rubbish, encoding="utf-8")
    assert remembered([STEP], tmp_path) == {}
