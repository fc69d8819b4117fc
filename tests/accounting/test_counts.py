"""Noised counts beside a training, against dp_accounting's own composition and the closed form of Gaussians."""

from __future__ import annotations

import math

import dp_accounting
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from audit.accounting.calibration import noise_multiplier_for
from audit.accounting.counts import Counts, add_counts, event_with_counts
from audit.accounting.inputs import AccountingInputError
from audit.accounting.sampling import Schedule, epsilon_for_sampler

DELTA = 5e-7
TRAINING = Schedule("poisson", 4096 / 180_000, 439)


def together(schedule: Schedule, noise: float, counts: list[Counts], **more: int):  # type: ignore[no-untyped-def]
    alone = epsilon_for_sampler(schedule, noise, DELTA, **more)
    return alone, add_counts(alone, schedule, noise, DELTA, counts, **more)


def gaussian_epsilon(mu: float) -> float:
    """Smallest ε with Φ(μ/2 - ε/μ) - e^ε Φ(-μ/2 - ε/μ) <= δ (Balle and Wang 2018), written out here."""

    def excess(e: float) -> float:
        return stats.norm.cdf(mu / 2 - e / mu) - math.exp(e) * stats.norm.cdf(-mu / 2 - e / mu) - DELTA

    return float(optimize.brentq(excess, 0, 300))


@pytest.mark.parametrize(
    ("counts", "event"),
    [
        (Counts("gaussian", 10.0), dp_event.GaussianDpEvent(10.0)),
        (Counts("laplace", 10.0), dp_event.LaplaceDpEvent(10.0)),
    ],
)
def test_training_and_counts_cost_what_the_library_composes(counts, event):
    training = dp_event.SelfComposedDpEvent(
        dp_event.PoissonSampledDpEvent(4096 / 180_000, dp_event.GaussianDpEvent(1.124)), 439
    )
    theirs = PLDAccountant().compose(dp_accounting.ComposedDpEvent([event, training])).get_epsilon(DELTA)
    alone, whole = together(TRAINING, 1.124, [counts])
    assert whole.upper == pytest.approx(theirs, rel=2e-3)
    assert whole.lower == pytest.approx(theirs, rel=2e-3)
    assert alone.upper < whole.lower


@pytest.mark.parametrize("size", [1, 3])
def test_votes_and_counts_are_one_gaussian(size):
    """T rounds of votes at σ and counts at s shift a unit of k records by k·sqrt(T/σ² + 1/s²)."""
    votes = Schedule("poisson", 1.0, 10)
    _, whole = together(votes, 11.6, [Counts("gaussian", 10.0)], group_size=size)
    exact = gaussian_epsilon(size * math.sqrt(10 / 11.6**2 + 1 / 10**2))
    assert whole.lower == pytest.approx(exact, rel=1e-3)
    assert whole.upper == pytest.approx(exact, rel=1e-3)


def test_a_fixed_order_and_counts_are_one_gaussian_also_for_a_group():
    order = Schedule("deterministic", batch_size=100, records=10_000, epochs=4)
    _, whole = together(order, 6.0, [Counts("gaussian", 5.0)], group_size=2)
    exact = gaussian_epsilon(math.sqrt((2 * math.sqrt(4) / 6.0) ** 2 + (2 / 5.0) ** 2))
    assert whole.upper == pytest.approx(exact, rel=1e-3)


def test_beside_a_shuffle_the_counts_add_to_the_upper_end_alone():
    shuffled = Schedule("shuffle-each-epoch", batch_size=100, records=10_000, epochs=4)
    alone, whole = together(shuffled, 6.0, [Counts("gaussian", 2.0)])
    assert whole.lower == alone.lower
    assert whole.upper == pytest.approx(gaussian_epsilon(math.sqrt(4 / 36 + 1 / 4)), rel=1e-3)
    assert any("upper end" in note for note in whole.assumptions)


def test_without_counts_nothing_changes():
    alone, whole = together(TRAINING, 1.124, [])
    assert whole == alone
    assert event_with_counts(TRAINING, 1.124, [])[1] == 1


@settings(max_examples=4, deadline=None)
@given(st.floats(0.8, 4.0), st.floats(1.0, 50.0))
def test_more_releases_never_cost_less(noise, scale):
    alone, whole = together(Schedule("poisson", 0.01, 50), noise, [Counts("gaussian", scale)])
    _, both = together(Schedule("poisson", 0.01, 50), noise, [Counts("gaussian", scale), Counts("laplace", scale)])
    assert alone.upper <= whole.upper * 1.001
    assert whole.upper <= both.upper * 1.001


def test_noise_is_found_that_leaves_room_for_the_counts():
    wanted = {"target_epsilon": 4.0, "delta": 1e-6, "sampling_probability": 128 / 70_000, "steps": 1094}
    room = noise_multiplier_for(**wanted, beside=[Counts("gaussian", 10.0).event()])
    assert room > noise_multiplier_for(**wanted)
    event = dp_accounting.ComposedDpEvent(
        [
            dp_event.GaussianDpEvent(10.0),
            dp_event.SelfComposedDpEvent(
                dp_event.PoissonSampledDpEvent(128 / 70_000, dp_event.GaussianDpEvent(room)), 1094
            ),
        ]
    )
    assert PLDAccountant().compose(event).get_epsilon(1e-6) == pytest.approx(4.0, rel=2e-3)


@pytest.mark.parametrize(("noise", "scale"), [("uniform", 1.0), ("gaussian", 0.0), ("laplace", -1.0)])
def test_impossible_noise_is_refused_in_one_line(noise, scale):
    with pytest.raises(AccountingInputError, match="expected") as caught:
        Counts(noise, scale).event()
    assert "\n" not in str(caught.value)
