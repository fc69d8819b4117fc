"""Units that own several records: mixtures, couplings, and the cruder bounds beside them."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.accounting import black_box, pld, rdp_mixture, user_level
from audit.accounting import mechanisms as m
from audit.accounting.accountants import epsilon
from audit.accounting.fixed_size import hypergeometric_log_pmf
from audit.accounting.group import mixture_step, poisson_step
from audit.accounting.inputs import AccountingInputError, UnknownMechanismError
from audit.accounting.pairs import GaussianPair, LaplacePair
from audit.accounting.routes import Question
from audit.accounting.steps import ADD_OR_REMOVE_ONE, REPLACE_ONE, NoPairError

G1 = m.dp_sgd(0.803223, 32 / 13000, 20000)
G1_DELTA = 1 / 130000


@settings(max_examples=40)
@given(k=st.integers(1, 60), q=st.floats(1e-4, 0.999))
def test_a_step_shows_a_binomial_number_of_records(k: int, q: float) -> None:
    step = poisson_step(1.0, q, k, 1, drop=1e-300)
    assert isinstance(step.remove, GaussianPair)
    exact = [math.comb(k, i) * q**i * (1 - q) ** (k - i) for i in range(k + 1)]
    found = dict(zip(step.remove.upper.shifts, step.remove.upper.probs, strict=True))
    assert [found.get(float(i), 0.0) for i in range(k + 1)] == pytest.approx(exact, rel=1e-9, abs=1e-290)


@settings(max_examples=40)
@given(k=st.integers(1, 12), batch=st.integers(1, 30), spare=st.integers(0, 40))
def test_a_fixed_batch_holds_a_hypergeometric_number_of_records(k: int, batch: int, spare: int) -> None:
    records = k + batch + spare
    total = math.comb(records, batch)
    exact = [
        float(Fraction(math.comb(k, i) * math.comb(records - k, batch - i), total)) for i in range(min(k, batch) + 1)
    ]
    assert np.exp(hypergeometric_log_pmf(records, k, batch)) == pytest.approx(exact, rel=1e-11)


def test_the_hypergeometric_law_stays_exact_at_a_million_records() -> None:
    with mpmath.workdps(50):
        total = mpmath.binomial(1_900_000, 4096)
        exact = [float(mpmath.binomial(8, i) * mpmath.binomial(1_899_992, 4096 - i) / total) for i in range(9)]
    assert np.exp(hypergeometric_log_pmf(1_900_000, 8, 4096)) == pytest.approx(exact, rel=1e-12)


def test_dropped_shifts_are_counted() -> None:
    log_pmf = np.log(np.array([0.9, 0.09, 0.00999, 0.00001]))
    step = mixture_step(1.0, log_pmf, 2.0, 7, drop=1e-4)
    assert isinstance(step.remove, GaussianPair)
    assert step.remove.upper.shifts == (0.0, 2.0, 4.0)
    assert step.remove.dropped == pytest.approx(0.00001)
    assert sum(step.remove.upper.probs) + step.remove.dropped == pytest.approx(1)


def test_a_group_of_one_is_a_record() -> None:
    assert epsilon(G1, G1_DELTA, group_size=1) == epsilon(G1, G1_DELTA)


@pytest.mark.parametrize("k", [2, 4])
def test_the_mixture_beats_every_black_box_bound(k: int) -> None:
    tight = epsilon(G1, G1_DELTA, group_size=k)
    assert tight.upper < black_box.curve_epsilon(G1, G1_DELTA, k)
    assert tight.upper < black_box.tradeoff_epsilon(G1, G1_DELTA, k, points=40)
    assert tight.upper < black_box.mironov_epsilon(G1, G1_DELTA, k)
    assert tight.upper < epsilon(G1, G1_DELTA, group_size=k, accountant="rdp").upper


def test_black_box_bounds_read_as_measured_elsewhere() -> None:
    assert black_box.curve_epsilon(G1, G1_DELTA, 2) == pytest.approx(7.204, abs=0.01)
    assert black_box.curve_epsilon(G1, G1_DELTA, 4) == pytest.approx(23.93, abs=0.03)
    assert black_box.curve_epsilon(G1, G1_DELTA, 8) == math.inf
    assert black_box.tradeoff_epsilon(G1, G1_DELTA, 4) == pytest.approx(16.42, rel=0.01)
    assert black_box.mironov_epsilon(G1, G1_DELTA, 2) == pytest.approx(9.448, rel=0.01)


@settings(max_examples=40)
@given(e=st.floats(0.0, 20), k=st.integers(1, 30))
def test_group_delta_is_a_geometric_sum(e: float, k: int) -> None:
    exact = math.fsum(math.exp(i * e) for i in range(k)) * 1e-6
    assert black_box.group_delta(e, 1e-6, k) == pytest.approx(min(exact, math.exp(700)), rel=1e-9)


@pytest.mark.parametrize(("noise", "q", "k", "exponent"), [(1.0, 0.1, 3, 2.0), (0.6, 0.01, 2, 0.7), (3.0, 0.5, 8, 6.0)])
def test_renyi_moments_are_bounded_just_above_their_integral(noise: float, q: float, k: int, exponent: float) -> None:
    step = poisson_step(noise, q, k, 1, drop=1e-40)
    weights = [math.comb(k, i) * q**i * (1 - q) ** (k - i) for i in range(k + 1)]

    def ratio(x: mpmath.mpf) -> mpmath.mpf:
        return sum(w * mpmath.exp((2 * i * x - i * i) / (2 * noise**2)) for i, w in enumerate(weights))

    grid = list(range(-12 * 3, int((1 + exponent) * k) + 40, 2))
    removing = mpmath.quad(lambda x: mpmath.npdf(x, 0, noise) * ratio(x) ** (1 + exponent), grid)
    adding = mpmath.quad(lambda x: mpmath.npdf(x, 0, noise) * ratio(x) ** (-exponent), grid)
    for pair, exact in ((step.remove, removing), (step.add, adding)):
        assert isinstance(pair, GaussianPair)
        found = rdp_mixture.log_moment(pair, exponent)
        assert float(mpmath.log(exact)) - 1e-12 <= found <= float(mpmath.log(exact)) * 1.001 + 1e-9


@settings(max_examples=15, deadline=None)
@given(noise=st.floats(0.6, 4), q=st.floats(0.001, 0.3), steps=st.integers(10, 3000), k=st.integers(1, 6))
def test_renyi_bounds_lie_above_the_lattice_bounds(noise: float, q: float, steps: int, k: int) -> None:
    for parts in Question(m.dp_sgd(noise, q, steps), 1e-6, k, ADD_OR_REMOVE_ONE).directions:
        assert rdp_mixture.epsilon(parts, 1e-6) >= pld.epsilon(parts, 1e-6) * 0.998 - 2e-3


def test_noise_k_times_smaller_is_k_records_in_every_release() -> None:
    many = epsilon(m.gaussian(6.0, 10), 1e-6, group_size=3)
    assert many.upper == pytest.approx(epsilon(m.gaussian(2.0, 10), 1e-6).upper)
    pair = Question(m.laplace(6.0), 1e-6, 3, ADD_OR_REMOVE_ONE).directions[0][0][0]
    assert pair == LaplacePair(2.0)


def test_a_fixed_batch_must_leave_room_for_a_batch_without_the_unit() -> None:
    with pytest.raises(AccountingInputError, match="at most records - batch_size = 60"):
        epsilon(m.fixed_size_dp_sgd(1.0, 40, 100, 10), 1e-5, group_size=61)


def test_fixed_batches_cost_more_than_poisson_batches_of_the_same_size() -> None:
    fixed = epsilon(m.fixed_size_dp_sgd(1.0, 50, 1000, 200), 1e-5)
    assert fixed.lower > epsilon(m.dp_sgd(1.0, 0.05, 200), 1e-5).upper
    assert any("fixed-size" in note for note in fixed.assumptions)


def test_replacing_costs_at_least_removing_and_at_most_a_group_of_two() -> None:
    removing, replacing = (
        epsilon(G1, G1_DELTA, neighboring_relation=relation) for relation in (ADD_OR_REMOVE_ONE, REPLACE_ONE)
    )
    assert removing.upper < replacing.lower
    assert replacing.upper < epsilon(G1, G1_DELTA, group_size=2).lower


def test_replacing_in_a_gaussian_release_counts_twice_the_clip_norm_for_every_accountant() -> None:
    expected = epsilon(m.gaussian(1.0), 1e-5)
    doubled = epsilon(m.gaussian(2.0), 1e-5, neighboring_relation=REPLACE_ONE)
    assert doubled.upper == pytest.approx(expected.upper)
    rdp = epsilon(m.gaussian(2.0), 1e-5, neighboring_relation=REPLACE_ONE, accountant="rdp").upper
    assert rdp == pytest.approx(epsilon(m.gaussian(1.0), 1e-5, accountant="rdp").upper)


def test_replacing_a_group_under_poisson_sampling_is_refused() -> None:
    with pytest.raises(NoPairError, match="group_size 2 under REPLACE_ONE"):
        epsilon(G1, G1_DELTA, group_size=2, neighboring_relation=REPLACE_ONE)


def test_a_truncated_batch_is_priced_for_one_record_only() -> None:
    truncated = m.truncated_dp_sgd(1.1, 0.02, 30, 1000, 50)
    assert epsilon(truncated, 1e-5).upper > epsilon(m.dp_sgd(1.1, 0.02, 50), 1e-5).upper
    with pytest.raises(UnknownMechanismError):
        epsilon(truncated, 1e-5, group_size=2)


def test_a_cap_limits_the_group_and_user_sampling_needs_none() -> None:
    assert user_level.capped_group_size(50, 8) == 8
    assert user_level.capped_group_size(5, 8) == 5
    assert user_level.capped_group_size(50, None) == 50
    assert user_level.group_size_after_preprocessing(3, 4) == 12
    assert user_level.delta_times_units(1e-5, 13000) == pytest.approx(0.13)
    users = epsilon(user_level.user_level_dp_sgd(0.803223, 32 / 13000, 20000), G1_DELTA)
    assert users == epsilon(G1, G1_DELTA)
