from hypothesis import given
from hypothesis import strategies as st

from audit.checks.training_had_no_effect import _moves
from audit.training import learning_rate_at
from audit.types import Basis, LearningRate, Severity

IDENT = "training-had-no-effect"


def rate(argument, warmup, constant=None):
    return {"base": 1e-4, "warmup_steps": warmup, "step_argument": argument, "constant_step": constant}


def test_a_schedule_called_with_step_zero_never_leaves_zero(ask):
    [finding] = ask(IDENT, mechanism={"learning_rate": rate("constant", 2_000, 0)})
    assert finding.basis is Basis.COMPUTED
    assert "0 at every step" in finding.summary
    assert finding.severity is Severity.LOW  # a model that did not move reveals nothing


def test_neither_it_nor_swapped_labels_speak_against_the_privacy_claim(ask):
    labels = {"labels_in_data": ("Poor", "Good"), "labels_in_generation": ("Good", "Poor")}
    for found in (
        *ask(IDENT, mechanism={"learning_rate": rate("constant", 2_000, 0)}),
        *ask("labels-shifted", dataset=labels),
    ):
        assert "not touched" in found.summary
        assert found.severity is Severity.LOW


@given(st.sampled_from(["step", "constant"]), st.integers(0, 50), st.integers(0, 50), st.integers(1, 120))
def test_clean_exactly_where_some_step_of_a_long_run_has_a_rate(argument, warmup, constant, extra):
    schedule = LearningRate.model_validate(rate(argument, warmup, constant))
    steps = range(warmup + 1 + extra)
    assert _moves(schedule) is any(learning_rate_at(schedule, step) > 0 for step in steps)


def test_an_endless_warm_up_does_not_keep_the_check_busy(ask):
    assert ask(IDENT, mechanism={"learning_rate": rate("step", 10**15)}) == []
    assert len(ask(IDENT, mechanism={"learning_rate": rate("constant", 10**15, 0)})) == 1
