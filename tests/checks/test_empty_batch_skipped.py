from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.checks.empty_batch_skipped import probability_alone
from audit.types import Basis, Severity, Skip

IDENT = "empty-batch-skipped"


def run(batch, handled="skip", epochs=8):
    return {"sampler_coded": "poisson", "batch_size": batch, "epochs": epochs, "empty_batch": handled}


def exact(probability: Fraction, others: int, steps: int) -> Fraction:
    return 1 - (1 - probability * (1 - probability) ** others) ** steps


@given(st.integers(1, 40), st.integers(0, 60), st.integers(1, 60))
def test_the_chance_agrees_with_exact_fractions(denominator, others, steps):
    probability = Fraction(1, denominator)
    wanted = float(exact(probability, others, steps))
    assert probability_alone(float(probability), others, steps) == pytest.approx(wanted, rel=1e-9, abs=1e-15)


def test_the_chance_is_tiny_but_not_zero_for_large_batches():
    assert 0 < probability_alone(256 / 10_000, 10_000, 1_000) < 1e-100
    assert probability_alone(1.0, 5, 10) == 0


def test_severity_follows_what_is_added_to_delta(ask):
    answers = {batch: ask(IDENT, mechanism=run(batch), dataset={"records": 13_000}) for batch in (8, 256)}
    severities = {batch: finding.severity for batch, [finding] in answers.items()}
    assert severities == {8: Severity.HIGH, 256: Severity.INFO}
    assert all(finding.basis is Basis.COMPUTED for [finding] in answers.values())
    [finding] = ask(IDENT, mechanism=run(16), dataset={"records": 13_000}, claim={"delta": 1e-5})
    assert finding.severity is Severity.MEDIUM  # 8.9e-7, a tenth of δ


def test_a_run_that_stops_expects_n_over_b_times_e_to_the_minus_b_empty_batches(ask):
    [finding] = ask(IDENT, mechanism=run(8, "crash"), dataset={"records": 42_176})
    assert finding.severity is Severity.LOW
    assert "14 empty batches expected" in finding.evidence[1].what  # 8 epochs · 5,272 steps · e⁻⁸
    assert "the chance that a run as described finishes is 7.2e-07" in finding.summary  # about e to the minus 14.14


def test_skipping_without_the_sizes_is_still_found(ask):
    [finding] = ask(IDENT, mechanism={"empty_batch": "skip"})
    assert (finding.severity, finding.basis) == (Severity.MEDIUM, Basis.READ)


def test_only_poisson_batches_can_be_empty(ask):
    assert ask(IDENT, mechanism={"sampler_coded": "fixed-size"}) == []
    [skip] = ask(IDENT, mechanism={"sampler_coded": "poisson"})
    assert isinstance(skip, Skip)


def test_a_batch_of_hundreds_is_never_empty_whatever_the_number_of_records(ask):
    """(1 - B/N)^N is at most e^-B: e^-256 needs no N to be nothing."""
    [noted] = ask(IDENT, mechanism={"empty_batch": "skip", "batch_size": 256})
    assert noted.severity is Severity.INFO
    assert ask(IDENT, mechanism={"empty_batch": "crash", "batch_size": 256}) == []
    [finding] = ask(IDENT, mechanism={"empty_batch": "skip", "batch_size": 8})
    assert finding.severity is Severity.MEDIUM
