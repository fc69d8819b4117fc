"""The quadrature against closed forms, arbitrary-precision integrals, another library and simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.accounting import contour
from audit.accounting import mechanisms as m
from audit.accounting.contour_nodes import UnsuitablePairError
from audit.accounting.gdp import gaussian_delta
from audit.accounting.pairs import DiscretePair, GaussianPair, LaplacePair, Mixture, Parts
from audit.accounting.routes import Question
from audit.accounting.steps import ADD_OR_REMOVE_ONE


def directions(noise: float, q: float, steps: int, k: int = 1) -> tuple[Parts, ...]:
    return Question(m.dp_sgd(noise, q, steps), 1e-9, k, ADD_OR_REMOVE_ONE).directions


@pytest.mark.parametrize("removing", [True, False])
@pytest.mark.parametrize(("noise", "q", "k", "epsilon"), [(1.0, 0.1, 4, 0.2), (2.0, 0.3, 3, 0.2), (0.7, 0.4, 2, 0.5)])
def test_one_step_equals_the_integral_of_its_definition(
    noise: float, q: float, k: int, epsilon: float, removing: bool, exact_one_step: Callable[..., float]
) -> None:
    parts = directions(noise, q, 1, k)[0 if removing else 1]
    exact = exact_one_step(noise, q, k, epsilon, removing)
    assert contour.delta(parts, epsilon) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("delta", [0.1, 1e-5, 1e-30, 1e-300])
@pytest.mark.parametrize("noise", [0.3, 1.0, 20.0])
def test_a_gaussian_meets_its_closed_form_down_to_tiny_deltas(noise: float, delta: float) -> None:
    parts = (((GaussianPair(noise, Mixture((1.0,)))), 1),)
    epsilon = contour.epsilon(parts, delta)
    with mpmath.workdps(60):
        mu = 1 / mpmath.mpf(noise)
        first = mpmath.ncdf(mu / 2 - epsilon / mu)
        exact = first - mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - epsilon / mu)
    if epsilon == 0:
        assert exact <= delta
    else:
        assert float(mpmath.log(exact)) == pytest.approx(math.log(delta), rel=1e-7, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(noise=st.floats(0.5, 5), counts=st.lists(st.integers(1, 2000), min_size=1, max_size=3), epsilon=st.floats(-2, 4))
def test_composed_gaussians_are_one_gaussian(noise: float, counts: list[int], epsilon: float) -> None:
    spread = noise * math.sqrt(sum(counts))
    parts = tuple((GaussianPair(spread, Mixture((1.0,))), count) for count in counts)
    assert contour.delta(parts, epsilon) == pytest.approx(gaussian_delta(1 / noise, epsilon), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("noise", "q", "steps", "k"),
    [(0.803223, 32 / 13000, 2000, 1), (0.6, 0.002, 2320, 2), (1.0, 0.01, 1000, 4), (2.0, 0.05, 200, 8)],
)
def test_groups_composed_agree_with_another_library(noise: float, q: float, steps: int, k: int) -> None:
    weights = [math.comb(k, i) * q**i * (1 - q) ** (k - i) for i in range(k + 1)]
    step = dp_event.MixtureOfGaussiansDpEvent(noise, list(range(k + 1)), weights)
    library = PLDAccountant(value_discretization_interval=1e-3)
    library.compose(step, steps)
    ours = max(contour.epsilon(parts, 1e-6) for parts in directions(noise, q, steps, k))
    assert ours <= library.get_epsilon(1e-6) + 1e-6
    assert ours == pytest.approx(library.get_epsilon(1e-6), rel=5e-3)


def test_twenty_steps_agree_with_simulation() -> None:
    random = np.random.default_rng(20260101)
    noise, q, k, steps, draws = 1.0, 0.1, 4, 20, 200_000
    weights = np.array([math.comb(k, i) * q**i * (1 - q) ** (k - i) for i in range(k + 1)])

    def loss(shifts: np.ndarray) -> np.ndarray:
        x = shifts + noise * random.standard_normal(shifts.shape)
        ratio = sum(w * np.exp((2 * i * x - i * i) / (2 * noise**2)) for i, w in enumerate(weights))
        return np.log(ratio).sum(axis=1)

    removed = loss(random.binomial(k, q, (draws, steps)).astype(float))
    added = -loss(np.zeros((draws, steps)))
    remove, add = directions(noise, q, steps, k)
    for parts, losses in ((remove, removed), (add, added)):
        for epsilon in (1.0, 3.0, 6.0):
            gains = -np.expm1(np.minimum(epsilon - losses, 0.0))
            error = 4 * gains.std() / math.sqrt(draws) + 10 / draws
            assert contour.delta(parts, epsilon) == pytest.approx(float(gains.mean()), abs=error)


def test_heavy_tails_do_not_alias_into_the_answer() -> None:
    """With a period of a few standard deviations this setting reads several percent of a nat too high."""
    parts = directions(0.6, 0.00216, 2320, 16)[0]
    library = PLDAccountant(value_discretization_interval=2e-3)
    weights = [math.comb(16, i) * 0.00216**i * (1 - 0.00216) ** (16 - i) for i in range(17)]
    kept = [i for i, w in enumerate(weights) if w > 1e-20]
    total = sum(weights[i] for i in kept)
    library.compose(dp_event.MixtureOfGaussiansDpEvent(0.6, kept, [weights[i] / total for i in kept]), 2320)
    assert contour.epsilon(parts, 3.64e-8) == pytest.approx(library.get_epsilon(3.64e-8), abs=5e-3)


@settings(max_examples=20, deadline=None)
@given(noise=st.floats(0.6, 3), q=st.floats(0.01, 0.3), steps=st.integers(300, 3000), delta=st.floats(-20, -3))
def test_epsilon_inverts_delta(noise: float, q: float, steps: int, delta: float) -> None:
    for parts in directions(noise, q, steps):
        epsilon = contour.epsilon(parts, math.exp(delta))
        if epsilon > 1e-6:
            assert contour.log_delta(parts, epsilon) == pytest.approx(delta, abs=1e-6)
        else:
            assert contour.log_delta(parts, 0.0) <= delta + 1e-6


@pytest.mark.parametrize("removing", [True, False])
def test_subsampled_laplace_agrees_with_another_library(removing: bool) -> None:
    from dp_accounting.pld import privacy_loss_distribution as library

    composed = library.from_laplace_mechanism(2.0, sampling_prob=0.1, value_discretization_interval=1e-4)
    composed = composed.self_compose(200)
    theirs = (composed._pmf_remove if removing else composed._pmf_add).get_epsilon_for_delta(1e-6)
    assert contour.epsilon(((LaplacePair(2.0, 0.1, removing), 200),), 1e-6) == pytest.approx(theirs, rel=1e-4)


def test_few_atoms_are_refused_rather_than_smoothed() -> None:
    coin = DiscretePair(np.array([0.7, 0.3]), np.array([0.3, 0.7]))
    with pytest.raises(UnsuitablePairError):
        contour.epsilon(((coin, 100),), 1e-5)


def test_impossible_outcomes_above_delta_cost_everything() -> None:
    upper = np.full(2000, 1 / 2000)
    lower = np.append(np.full(1999, 1 / 1999), 0.0)
    assert contour.epsilon(((DiscretePair(upper, lower), 1),), 1e-4) == math.inf


@settings(max_examples=15, deadline=None)
@given(noise=st.floats(0.5, 4), q=st.floats(0.02, 0.5), steps=st.integers(50, 2000), delta=st.floats(1e-12, 1e-2))
def test_the_chernoff_bound_is_above_the_quadrature(noise: float, q: float, steps: int, delta: float) -> None:
    parts = directions(noise, q, steps)[0]
    assert contour.chernoff_epsilon(parts, delta) >= contour.epsilon(parts, delta) - 1e-9


def test_the_rough_curve_is_near_the_exact_one() -> None:
    parts = directions(0.8, 0.01, 500)[0]
    grid = np.linspace(0, contour.epsilon(parts, 1e-5), 7)
    exact = [contour.delta(parts, float(e)) for e in grid]
    assert contour.rough_curve(parts, grid) == pytest.approx(exact, rel=0.05)
