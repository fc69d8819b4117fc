"""The batches a run really draws: fixed, shuffled, of fixed size, or allocated at random."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from audit.accounting import mechanisms as m
from audit.accounting import random_allocation, shuffle
from audit.accounting.accountants import epsilon
from audit.accounting.gdp import gaussian_delta
from audit.accounting.inputs import AccountingInputError
from audit.accounting.sampling import SAMPLERS, Schedule, epsilon_for_sampler, upper_event
from audit.accounting.steps import REPLACE_ONE


def schedule(sampler: str, epochs: int = 5) -> Schedule:
    return Schedule(sampler, batch_size=20, records=1009, epochs=epochs)


def test_steps_per_epoch_are_rounded_down() -> None:
    assert schedule("poisson").steps_per_epoch == 50
    assert schedule("poisson").total_steps == 250
    assert schedule("poisson").probability == 20 / 1009
    assert Schedule("poisson", batch_size=20, records=1009, steps=130).epochs_passed == (2, 3)


def test_poisson_given_by_batches_is_poisson_given_by_probability() -> None:
    by_probability = Schedule("poisson", sampling_probability=20 / 1009, steps=250)
    assert epsilon_for_sampler(schedule("poisson"), 1.0, 1e-5) == epsilon_for_sampler(by_probability, 1.0, 1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_costs_more_than_nothing_and_less_with_more_noise(sampler: str) -> None:
    loud, soft = (epsilon_for_sampler(schedule(sampler), noise, 1e-5) for noise in (4.0, 1.0))
    assert 0 < loud.upper < soft.upper < math.inf
    assert loud.lower <= loud.upper


def test_samplers_are_ordered_as_theory_says() -> None:
    found = {sampler: epsilon_for_sampler(schedule(sampler), 1.0, 1e-5) for sampler in SAMPLERS}
    fixed_order = found["deterministic"]
    assert fixed_order.lower == fixed_order.upper
    assert found["shuffle-each-epoch"].lower <= found["shuffle-once"].lower <= fixed_order.upper
    assert found["shuffle-each-epoch"].upper == found["shuffle-once"].upper == fixed_order.upper
    assert found["poisson"].upper < found["shuffle-each-epoch"].lower


def test_a_shuffle_names_what_its_bounds_assume() -> None:
    notes = " ".join(epsilon_for_sampler(schedule("shuffle-each-epoch"), 1.0, 1e-5).assumptions)
    for words in ("worst-case data set", "every iterate is released", "zero-out adjacency"):
        assert words in notes


@settings(max_examples=30)
@given(noise=st.floats(0.4, 6), epochs=st.integers(1, 60), delta=st.floats(1e-10, 0.01))
def test_a_fixed_order_is_one_gaussian(noise: float, epochs: int, delta: float) -> None:
    found = shuffle.deterministic_epsilon(noise, epochs, delta)
    assert gaussian_delta(math.sqrt(epochs) / noise, found) <= delta * (1 + 1e-9)
    if found > 0:
        assert gaussian_delta(math.sqrt(epochs) / noise, found) == pytest.approx(delta, rel=1e-6)


def test_a_units_records_are_packed_into_as_few_batches_as_fit() -> None:
    assert shuffle.packed_shift(3, 20) == 3
    assert shuffle.packed_shift(45, 20) == pytest.approx(math.sqrt(2 * 20**2 + 5**2))
    event, size = upper_event(schedule("deterministic", epochs=1), 2.0, group_size=4)
    assert size == 1
    assert epsilon(event, 1e-5).upper == pytest.approx(epsilon(m.gaussian(0.5), 1e-5).upper)


def test_replacing_doubles_the_sensitivity_of_a_fixed_order() -> None:
    single = epsilon_for_sampler(schedule("deterministic"), 1.0, 1e-5)
    replaced = epsilon_for_sampler(schedule("deterministic"), 2.0, 1e-5, neighboring_relation=REPLACE_ONE)
    assert replaced.upper == pytest.approx(single.upper)


def simulated_maximum(random: np.random.Generator, target: float, noise: float, batches: int, n: int) -> np.ndarray:
    sums = noise * random.standard_normal((n, batches))
    sums[:, 0] += target
    return sums.max(axis=1)


def test_the_laws_of_the_largest_sum_match_simulation() -> None:
    random, n = np.random.default_rng(11), 200_000
    pair = shuffle.maximum_pair(1.2, 30)
    levels = np.linspace(min(1.2 * special.ndtri(1e-18 ** (1 / 30)), 1 - 9 * 1.2), 2 + 9 * 1.2, pair.upper.size - 1)
    for law, target in ((pair.upper, 2.0), (pair.lower, 1.0)):
        assert law.sum() == pytest.approx(1, abs=1e-9)
        drawn = simulated_maximum(random, target, 1.2, 30, n)
        for level in (2.0, 3.0, 4.0):
            exact = float(law[np.searchsorted(levels, level) :].sum())
            assert np.mean(drawn > level) == pytest.approx(exact, abs=4 * math.sqrt(exact / n) + 0.01)


def test_with_one_batch_an_epoch_the_shuffle_bounds_meet_the_fixed_order() -> None:
    exact = shuffle.deterministic_epsilon(2.0, 3, 1e-5)
    certified, quadrature = shuffle.dynamic_shuffle_lower(2.0, 3, 1, 1e-5)
    assert certified <= exact
    assert certified == pytest.approx(exact, rel=2e-3)
    assert quadrature == pytest.approx(exact, rel=1e-3)
    assert 0.5 * exact < shuffle.persistent_shuffle_lower(2.0, 3, 1, 1e-5) <= exact


def test_the_persistent_bound_is_attained_by_its_event() -> None:
    """The bound claims delta(eps) >= P(E) - e^eps Q(E): simulate both probabilities at the best level."""
    noise, batches, delta = 1.0, 8, 0.05
    bound = shuffle.persistent_shuffle_lower(noise, 1, batches, delta)
    random, n = np.random.default_rng(5), 400_000
    present, absent = (simulated_maximum(random, target, noise, batches, n) for target in (2.0, 1.0))
    gains = [np.mean(present > c) - math.exp(bound) * np.mean(absent > c) for c in np.linspace(0, 6, 61)]
    assert max(gains) == pytest.approx(delta, abs=0.01)


def test_random_allocation_to_one_step_is_a_gaussian() -> None:
    bracket = random_allocation.epsilon(1.5, 1, 1, 1e-4)
    exact = epsilon(m.gaussian(1.5), 1e-4).upper
    assert bracket.lower <= exact + 1e-6
    assert bracket.upper == pytest.approx(exact, rel=5e-3)
    assert bracket.upper >= exact - 1e-6


@pytest.mark.parametrize("epsilon_at", [0.1, 0.4])
def test_random_allocation_to_two_steps_meets_its_double_integral(epsilon_at: float) -> None:
    noise = 1.0
    pair = random_allocation.ratio_pair(noise, 2, 1e-9)

    def gain(x: float, y: float) -> float:
        ratio = (math.exp(x / noise - 0.5 / noise**2) + math.exp(y / noise - 0.5 / noise**2)) / 2
        return max(ratio - math.exp(epsilon_at), 0.0) * math.exp(-(x * x + y * y) / 2) / (2 * math.pi)

    exact, _ = integrate.dblquad(gain, -7, 8, -7, 8, epsabs=1e-6)
    found = float(np.maximum(pair.upper - math.exp(epsilon_at) * pair.lower, 0).sum())
    assert exact - 1e-6 <= found <= exact * 1.002 + 1e-6


def test_random_allocation_costs_less_than_poisson_sampling_here() -> None:
    bracket = random_allocation.epsilon(1.0, 100, 2, 1e-5)
    assert bracket.lower <= bracket.upper < epsilon(m.dp_sgd(1.0, 0.01, 200), 1e-5).upper * 1.1
    assert any("independently" in note for note in bracket.assumptions)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"sampler": "roulette", "steps": 3}, "sampler = 'roulette'"),
        ({"sampling_probability": 0.1}, "steps"),
        ({"steps": 3, "epochs": 2}, "got both"),
        ({"batch_size": 30, "records": 20, "steps": 3}, "batch_size = 30"),
        ({"steps": 0}, "steps = 0"),
        ({"steps": 1.5}, "steps = 1.5"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_in_one_line(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(AccountingInputError) as caught:
        Schedule(**fields)  # type: ignore[arg-type]
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sampler_names_the_field_it_lacks() -> None:
    with pytest.raises(AccountingInputError, match="batch_size: expected a value for sampler shuffle-once"):
        epsilon_for_sampler(Schedule("shuffle-once", steps=4), 1.0, 1e-5)


def test_a_group_larger_than_the_records_is_refused() -> None:
    with pytest.raises(AccountingInputError, match="group_size = 1010"):
        epsilon_for_sampler(schedule("poisson"), 1.0, 1e-5, group_size=1010)
