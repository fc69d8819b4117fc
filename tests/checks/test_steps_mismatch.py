from pathlib import Path

import pytest

from audit.cards import load_card
from audit.check import all_checks
from audit.subject import Subject
from audit.types import Basis, DatasetUse, Finding, Severity, Skip

IDENT = "steps-mismatch"


def counted(nominal, unit):
    return {"nominal_steps": nominal, "counted_in": unit}


def rules(accounted, run, batch=256, physical=64):
    return {
        "batch_size": batch,
        "physical_batch_size": physical,
        "steps_accounted": counted(*accounted),
        "steps_run": counted(*run),
    }


# Steps read off the checkpoint numbers of a released run: records, accounted, run.
@pytest.mark.parametrize(
    ("records", "accounted", "run"),
    [(42_176, 50_160, 12_540), (34_823, 50_005, 12_604), (154_688, 50_215, 12_705), (141_376, 50_323, 12_719)],
)
def test_physical_batches_taken_for_steps_are_a_quarter_of_those_accounted(ask, records, accounted, run):
    mechanism = rules((50_000, "logical"), (50_000, "physical"))
    [finding] = ask(IDENT, mechanism=mechanism, dataset={"records": records})
    assert (finding.severity, finding.basis) == (Severity.LOW, Basis.COMPUTED)
    assert f"{accounted:,} steps accounted, {run:,} run" in " ".join(e.what for e in finding.evidence)


def test_more_steps_than_accounted_break_the_claim(ask):
    mechanism = rules((10_000, "logical"), (20_000, "logical"))
    [finding] = ask(IDENT, mechanism=mechanism, dataset={"records": 25_600})
    assert finding.severity is Severity.HIGH
    assert "larger than claimed" in finding.summary


def test_the_rung_as_run_gives_the_figure(ask, priced):
    mechanism = rules((50_000, "logical"), (50_000, "physical"))
    claims = (priced(3.0, steps_as_run=(1.40, 1.41)),)
    [finding] = ask(IDENT, mechanism=mechanism, dataset={"records": 42_176}, claims=claims)
    assert "between 1.4 and 1.41" in finding.summary
    assert finding.claims == ("c/reviews/3",)


def test_a_rule_without_the_physical_batch_size_or_records_is_a_skip(ask):
    mechanism = rules((50_000, "logical"), (50_000, "physical"))
    [skip] = ask(IDENT, mechanism=mechanism)
    assert isinstance(skip, Skip)
    del mechanism["physical_batch_size"]
    [skip] = ask(IDENT, mechanism=mechanism, dataset={"records": 42_176})
    assert isinstance(skip, Skip)


def test_a_checkpoint_beyond_the_script_leaves_the_steps_unknown(ask):
    steps = {"steps_in_training_script": 20_000, "steps_of_released_checkpoint": 400_000}
    [finding] = ask(IDENT, mechanism=steps)
    assert isinstance(finding, Finding)
    assert (finding.severity, finding.basis) == (Severity.MEDIUM, Basis.READ)
    assert "400,000" in finding.summary


def test_a_second_dataset_of_unknown_size_is_skipped_beside_one_that_is_clean():
    card = load_card(Path(__file__).parents[1] / "cases" / IDENT / "good" / "same" / "card.toml")
    claim = card.claim[0].model_copy(update={"datasets": ("reviews", "letters")})
    steps = card.mechanism[0].steps_run.model_copy(update={"value": 50_000})  # a number says nothing of other data
    mechanism = card.mechanism[0].model_copy(update={"steps_run": steps})
    both = card.model_copy(
        update={
            "dataset": (*card.dataset, DatasetUse(name="letters")),
            "claim": (claim,),
            "mechanism": (mechanism,),
        }
    )
    [skip] = all_checks()[IDENT].run(Subject(both))
    assert isinstance(skip, Skip)
    assert "m on letters" in skip.reason


def test_epochs_run_as_accounted_are_clean_whatever_the_number_of_records(ask):
    mechanism = {"batch_size": 32, "epochs": 8, "epochs_run": 8}
    assert ask(IDENT, mechanism=mechanism) == []
    assert ask(IDENT, mechanism=mechanism, dataset={"records": 42_176}) == []


def test_epochs_accounted_alone_are_a_skip(ask):
    [skip] = ask(IDENT, mechanism={"batch_size": 32, "epochs": 8}, dataset={"records": 42_176})
    assert isinstance(skip, Skip)
    assert "epochs_run" in skip.needs


@pytest.mark.parametrize(("epochs_run", "severity"), [(16, Severity.HIGH), (4, Severity.LOW)])
def test_other_epochs_than_accounted_are_found(ask, epochs_run, severity):
    mechanism = {"batch_size": 32, "epochs": 8, "epochs_run": epochs_run}
    [finding] = ask(IDENT, mechanism=mechanism, dataset={"records": 32_000})
    assert finding.severity is severity
    assert f"8,000 steps accounted, {epochs_run * 1000:,} run" in " ".join(e.what for e in finding.evidence)


def test_a_step_more_in_several_hundred_is_noted_and_breaks_nothing(ask):
    mechanism = {"batch_size": 4096, "epochs": 10, "steps_run": 440}
    [finding] = ask(IDENT, mechanism=mechanism, dataset={"records": 180_000})
    assert (finding.severity, finding.basis) == (Severity.INFO, Basis.COMPUTED)
    assert "439 steps accounted, 440 run" in " ".join(e.what for e in finding.evidence)
