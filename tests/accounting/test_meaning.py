"""What epsilon means: attacks, canaries, tuning, histograms, skipped batches, calibration."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.accounting import canaries, empty_batches, gdp, histogram, pld, tradeoff, tuning
from audit.accounting import mechanisms as m
from audit.accounting.accountants import epsilon
from audit.accounting.calibration import epsilon_curve, noise_multiplier_for
from audit.accounting.inputs import AccountingInputError
from audit.accounting.rdp import OLD_ORDERS, to_epsilon
from audit.accounting.routes import Question
from audit.accounting.steps import ADD_OR_REMOVE_ONE, REPLACE_ONE

G1 = m.dp_sgd(0.803223, 32 / 13000, 20000)
G1_DELTA = 1 / 130000


def attack(event: object, delta: float, k: int = 1) -> tradeoff.Attack:
    return tradeoff.attack_from_curve(Question(event, delta, k, ADD_OR_REMOVE_ONE).directions)


@pytest.mark.parametrize("noise", [0.5, 1.0, 4.0])
def test_attacks_on_a_gaussian_meet_the_neyman_pearson_test(noise: float) -> None:
    found = attack(m.gaussian(noise), 1e-5)
    mu = 1 / noise
    assert found.advantage == pytest.approx(2 * stats.norm.cdf(mu / 2) - 1, rel=1e-3)
    for rate, tpr in found.tpr_at_fpr.items():
        exact = stats.norm.cdf(stats.norm.ppf(rate) + mu)
        assert exact - 1e-9 <= tpr <= exact * 1.005


def test_attacks_on_trained_models_read_as_measured_elsewhere() -> None:
    found = attack(G1, G1_DELTA)
    assert found.advantage == pytest.approx(0.259, abs=5e-4)
    assert found.tpr_at_fpr[0.001] == pytest.approx(0.0081, abs=1e-4)
    assert found.tpr_at_fpr[0.01] == pytest.approx(0.050, abs=5e-4)


def test_the_advantage_is_the_same_from_both_directions_even_near_one() -> None:
    for event, k in ((m.dp_sgd(0.635, 0.002147, 4650), 8), (m.dp_sgd(0.635, 0.002147, 4650), 16)):
        adding, removing = Question(event, 2.6e-7, k, ADD_OR_REMOVE_ONE).directions
        there, back = (1 - pld.deltas(parts, [0.0, 2.0])[0] for parts in (adding, removing))
        assert there == pytest.approx(back, rel=0.01)  # a total variation is symmetric


def test_the_curve_is_worth_more_than_its_point() -> None:
    point = tradeoff.attack_from_point(2.98042, G1_DELTA)
    curve = attack(G1, G1_DELTA)
    assert curve.advantage < point.advantage == pytest.approx(0.903, abs=1e-3)
    assert all(curve.tpr_at_fpr[rate] < point.tpr_at_fpr[rate] for rate in tradeoff.FALSE_POSITIVE_RATES)


def test_no_simulated_attack_beats_the_curve() -> None:
    random, draws, steps, q = np.random.default_rng(3), 100_000, 30, 0.1
    members = random.standard_normal((draws, steps)) + (random.random((draws, steps)) < q)
    others = random.standard_normal((draws, steps))
    scores = [np.log1p(q * np.expm1(x - 0.5)).sum(axis=1) for x in (members, others)]
    found = attack(m.dp_sgd(1.0, q, steps), 1e-5)
    for rate, tpr in found.tpr_at_fpr.items():
        simulated = float(np.mean(scores[0] > np.quantile(scores[1], 1 - rate)))
        assert simulated == pytest.approx(tpr, abs=6 * math.sqrt(tpr / draws) + 0.05 * tpr)


@settings(max_examples=50)
@given(e=st.floats(0, 50), delta=st.floats(0, 0.1), rate=st.floats(0, 1))
def test_the_point_bounds_stay_probabilities(e: float, delta: float, rate: float) -> None:
    assert rate - 1e-12 <= tradeoff.tpr_from_point(e, delta, rate) <= 1
    assert 0 <= tradeoff.advantage_from_point(e, delta) <= 1
    slack = tradeoff.tpr_from_point(e, delta, rate) - rate
    assert slack <= tradeoff.advantage_from_point(e, delta) + 1e-12


def brute_force_p_value(canary_count: int, guesses: int, correct: int, e: float, delta: float) -> float:
    rate = math.exp(e) / (1 + math.exp(e))
    pmf = [math.comb(guesses, i) * rate**i * (1 - rate) ** (guesses - i) for i in range(guesses + 1)]
    tail = math.fsum(pmf[correct:])
    shares = [math.fsum(pmf[correct - i : correct]) / i for i in range(1, correct + 1)]
    return min(1.0, tail + 2 * canary_count * delta * max(shares, default=0.0))


@settings(max_examples=60)
@given(guesses=st.integers(1, 60), share=st.floats(0, 1), e=st.floats(0, 4), delta=st.floats(0, 1e-3))
def test_the_p_value_is_the_papers_sum(guesses: int, share: float, e: float, delta: float) -> None:
    correct = round(share * guesses)
    exact = brute_force_p_value(100, guesses, correct, e, delta)
    assert canaries.p_value(100, guesses, correct, e, delta) == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_an_audit_of_randomised_response_is_rarely_wrong() -> None:
    """Each canary's bit is told truly with probability e^eps / (1 + e^eps): the worst pure mechanism."""
    random, true_epsilon, size = np.random.default_rng(17), 1.0, 200
    correct = random.binomial(size, math.exp(true_epsilon) / (1 + math.exp(true_epsilon)), 2000)
    bounds = [canaries.one_run_lower_bound(size, size, int(v), 0.0) for v in range(size + 1)]
    assert np.mean([bounds[v] > true_epsilon for v in correct]) <= 0.05 + 3 * math.sqrt(0.05 / 2000)
    assert np.median([bounds[v] for v in correct]) > 0.5


def test_a_perfect_audit_meets_its_closed_form() -> None:
    for size in (100, 1000):
        closed = -math.log(0.05 ** (-1 / size) - 1)
        assert canaries.ceiling(size, 0.0) == pytest.approx(closed, rel=1e-8)


@pytest.mark.parametrize("mu", [0.719, 1.67])
def test_the_expected_accuracy_of_an_ideal_attack_matches_simulation(mu: float) -> None:
    random, n, share = np.random.default_rng(23), 400_000, 0.1
    included = random.random(n) < 0.5
    scores = random.standard_normal(n) + mu * included
    clearest = np.argsort(-np.abs(scores - mu / 2))[: int(share * n)]
    simulated = np.mean((scores[clearest] > mu / 2) == included[clearest])
    assert canaries.expected_accuracy(share, mu) == pytest.approx(float(simulated), abs=0.01)


def test_few_canaries_cannot_contradict_a_claim_of_three() -> None:
    best = max(canaries.expected_lower_bound(1000, guesses, 0.719, 1e-5) for guesses in (50, 100, 200, 500))
    assert best == pytest.approx(1.07, abs=0.1)
    assert best < 3


def test_many_perfect_runs_read_as_measured_elsewhere() -> None:
    found = [canaries.many_runs_lower_bound(n, n, 0, n, 0.0) for n in (10, 100, 500, 1000)]
    assert found == pytest.approx([0.81, 3.28, 4.91, 5.60], abs=5e-3)
    assert canaries.many_runs_lower_bound(0, 10, 0, 10, 0.0) == 0


@pytest.mark.parametrize("arguments", [(0, 1, 1), (10, 11, 1), (10, 5, 6), (10, 5, -1)])
def test_impossible_audits_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(AccountingInputError):
        canaries.one_run_lower_bound(*arguments, 0.0)


def test_the_best_of_random_runs_costs_what_the_theorem_says() -> None:
    """Papernot & Steinke, Theorem 2 with eta = 1, from the RDP curve of one run."""
    from dp_accounting.rdp import RdpAccountant

    mean = 10.0
    accountant = RdpAccountant()
    accountant.compose(G1)
    orders, rdp = accountant.orders, accountant.rdp
    above = orders > 1
    orders, rdp = orders[above], rdp[above]
    penalty = np.min(2 * (1 - 1 / orders) * rdp + 2 * math.log(mean) / orders)
    chosen = rdp + penalty + math.log(mean) / (orders - 1)
    theorem = to_epsilon(orders, chosen, G1_DELTA)
    found = epsilon(tuning.best_of_random_runs(G1, mean), G1_DELTA)
    assert found.upper == pytest.approx(theorem, rel=1e-6)
    assert found.lower == 0


def test_releasing_every_run_is_training_longer() -> None:
    assert epsilon(tuning.all_runs_released(G1, 3), G1_DELTA).upper == pytest.approx(
        epsilon(m.dp_sgd(0.803223, 32 / 13000, 60000), G1_DELTA).upper
    )


@pytest.mark.parametrize(
    ("mean", "law"), [(0.5, "geometric"), (0.0, "poisson"), (3.0, "uniform"), (math.nan, "poisson")]
)
def test_impossible_tuning_is_refused(mean: float, law: str) -> None:
    with pytest.raises(AccountingInputError):
        tuning.best_of_random_runs(G1, mean, law)


def test_exact_label_counts_cost_everything_and_say_why() -> None:
    assert histogram.EXACT.upper == histogram.EXACT.lower == math.inf
    assert "without noise" in histogram.EXACT.assumptions[0]


@pytest.mark.parametrize(("histogram_epsilon", "extra"), [(0.01, 0.0003), (0.05, 0.0076), (0.1, 0.0291), (0.5, 0.388)])
def test_a_noised_histogram_adds_little(histogram_epsilon: float, extra: float) -> None:
    added = epsilon(histogram.with_laplace_histogram(G1, histogram_epsilon), G1_DELTA).lower - 2.980421
    assert added == pytest.approx(extra, abs=3e-4)


def test_replacing_a_record_moves_two_counts() -> None:
    one = epsilon(m.composed([m.laplace(10.0)]), 1e-9, neighboring_relation=REPLACE_ONE)
    assert one.upper == pytest.approx(0.2, rel=1e-3)
    noised = histogram.with_gaussian_histogram(m.nothing(), 10.0)
    assert epsilon(noised, 1e-5).upper == pytest.approx(epsilon(m.gaussian(10.0), 1e-5).upper)


def test_skipping_empty_batches_gives_the_lonely_record_away() -> None:
    q, others, steps, runs = 0.05, 60, 40, 40_000
    random = np.random.default_rng(29)
    in_batch = random.random((runs, steps)) < q
    rest_empty = random.random((runs, steps)) < (1 - q) ** others
    simulated = float(np.mean((in_batch & rest_empty).any(axis=1)))
    found = empty_batches.extra_delta(q, others, steps)
    assert found == pytest.approx(simulated, abs=5 * math.sqrt(simulated / runs))


def test_skipped_batches_void_small_batch_claims_only() -> None:
    assert empty_batches.extra_delta(8 / 13000, 13000, 13000) == pytest.approx(2.7e-3, rel=0.02)
    assert empty_batches.extra_delta(32 / 13000, 13000, 3250) < 1e-12
    assert empty_batches.extra_delta(1.0, 5, 3) == 0
    assert empty_batches.extra_delta(1.0, 0, 3) == 1
    assert empty_batches.reverse_loss(0.25) == pytest.approx(-math.log(0.75))


def test_the_central_limit_understates() -> None:
    yelp = gdp.epsilon_clt(0.635376, 4096 / 1.9e6, 2319, 3.640468437434577e-08)
    assert yelp == pytest.approx(1.725, abs=5e-3)
    assert yelp < epsilon(m.dp_sgd(0.635376, 4096 / 1.9e6, 2319), 3.640468437434577e-08).lower / 2


@pytest.mark.parametrize(("k", "noise"), [(1, 0.8032), (4, 2.104), (8, 4.022), (32, 15.81)])
def test_noise_for_a_claim_at_person_level(k: int, noise: float) -> None:
    found = noise_multiplier_for(2.98042, G1_DELTA, 32 / 13000, 20000, group_size=k)
    assert found == pytest.approx(noise, rel=1e-3)
    priced = epsilon(m.dp_sgd(found, 32 / 13000, 20000), G1_DELTA, group_size=k)
    assert priced.upper <= 2.98042
    assert priced.lower >= 2.98042 * 0.995


@pytest.mark.parametrize("accountant", ["contour", "prv", "rdp", "rdp-old"])
def test_calibration_inverts_the_accountant_it_names(accountant: str) -> None:
    noise = noise_multiplier_for(3.0, 1e-5, 0.01, 1000, accountant=accountant)
    assert epsilon(m.dp_sgd(noise, 0.01, 1000), 1e-5, accountant=accountant).upper == pytest.approx(3.0, abs=2e-3)


def test_an_unreachable_target_is_refused() -> None:
    with pytest.raises(AccountingInputError, match="target_epsilon"):
        noise_multiplier_for(1e-9, 1e-12, 1.0, 1000, accountant="rdp")
    with pytest.raises(AccountingInputError, match="accountant = 'gdp'"):
        noise_multiplier_for(3.0, 1e-5, 0.01, 100, accountant="gdp")


def test_the_curve_over_group_sizes_rises() -> None:
    curve = epsilon_curve(1.0, 0.01, 500, 1e-5, (1, 2, 3, 5, 8))
    assert all(a.upper < b.lower for a, b in pairwise(curve))


def test_the_old_conversion_prints_what_papers_of_its_time_print() -> None:
    assert max(OLD_ORDERS) == 512
    old, new = (epsilon(m.dp_sgd(1.1, 256 / 60000, 14062), 1e-5, accountant=a).upper for a in ("rdp-old", "rdp"))
    assert old == pytest.approx(3.01, abs=5e-3)
    assert new < old
