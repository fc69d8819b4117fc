"""The certified bounds: above the truth, and barely."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from audit.accounting import contour, pld, pld_compose
from audit.accounting import mechanisms as m
from audit.accounting.gdp import gaussian_delta, gaussian_epsilon
from audit.accounting.pairs import DiscretePair, GaussianPair, LaplacePair, Mixture, Parts
from audit.accounting.pld_lattice import LossLattice, connect_the_dots, discretise, loss_range, round_down
from audit.accounting.routes import Question
from audit.accounting.steps import ADD_OR_REMOVE_ONE

SETTINGS = [(0.803223, 32 / 13000, 20000, 1), (0.6, 0.002, 500, 3), (2.0, 0.2, 50, 5), (5.0, 1.0, 40, 1)]


def directions(noise: float, q: float, steps: int, k: int = 1) -> tuple[Parts, ...]:
    return Question(m.dp_sgd(noise, q, steps), 1e-9, k, ADD_OR_REMOVE_ONE).directions


@pytest.mark.parametrize("removing", [True, False])
@pytest.mark.parametrize(
    ("noise", "q", "k", "epsilon"),
    [(1.0, 0.1, 4, 0.2), (0.7, 0.05, 2, 0.08), (1.3, 0.001, 1, 0.0005), (2.0, 0.05, 32, 0.5)],
)
def test_one_step_is_bounded_by_its_exact_value(
    noise: float, q: float, k: int, epsilon: float, removing: bool, exact_one_step: Callable[..., float]
) -> None:
    bound = pld.deltas(directions(noise, q, 1, k)[0 if removing else 1], [epsilon])[0]
    exact = exact_one_step(noise, q, k, epsilon, removing)
    assert exact <= bound <= exact * 1.01 + 1e-12


@pytest.mark.parametrize(("noise", "q", "steps", "k"), SETTINGS)
@pytest.mark.parametrize("delta", [1e-3, 1e-8, 1e-30])
def test_the_bound_lies_just_above_the_quadrature(noise: float, q: float, steps: int, k: int, delta: float) -> None:
    for parts in directions(noise, q, steps, k):
        value, bound = contour.epsilon(parts, delta), pld.epsilon(parts, delta)
        assert value - 1e-9 <= bound <= value * 1.002 + 1e-3


@pytest.mark.parametrize(("noise", "q", "steps"), [(0.803223, 32 / 13000, 5000), (1.1, 0.0043, 3000), (3.0, 0.08, 500)])
def test_the_bound_agrees_with_another_library(noise: float, q: float, steps: int) -> None:
    library = PLDAccountant()
    library.compose(m.dp_sgd(noise, q, steps))
    ours = max(pld.epsilon(parts, 1e-6, accuracy=1e-4) for parts in directions(noise, q, steps))
    assert ours == pytest.approx(library.get_epsilon(1e-6), rel=2e-4, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(noise=st.floats(0.4, 8), steps=st.integers(1, 5000), delta=st.floats(1e-12, 0.05))
def test_unsampled_gaussians_are_bounded_by_a_little_more_than_their_closed_form(
    noise: float, steps: int, delta: float
) -> None:
    exact = gaussian_epsilon(math.sqrt(steps) / noise, delta)
    parts = ((GaussianPair(noise, Mixture((1.0,))), steps),)
    assert exact - 1e-9 <= pld.epsilon(parts, delta) <= exact * 1.003 + 1e-3
    if steps <= 20:
        assert exact * 0.99 - 1e-2 <= pld.epsilon_lower(parts, delta) <= exact + 1e-9


@settings(max_examples=25, deadline=None)
@given(noise=st.floats(0.5, 5), epsilons=st.lists(st.floats(-3, 4), min_size=1, max_size=5))
def test_deltas_bound_the_gaussian_curve_on_both_sides_of_zero(noise: float, epsilons: list[float]) -> None:
    bounds = pld.deltas(((GaussianPair(noise, Mixture((1.0,))), 1),), epsilons)
    for epsilon, bound in zip(epsilons, bounds, strict=True):
        exact = gaussian_delta(1 / noise, epsilon)
        assert exact - 1e-12 <= bound <= exact + 2e-3


def exact_coin_epsilon(chance: float, flips: int, delta: float) -> float:
    """Randomised response `flips` times: the loss is an affine function of a binomial count."""
    heads = np.arange(flips + 1)
    losses, masses = (2 * heads - flips) * math.log(chance / (1 - chance)), stats.binom.pmf(heads, flips, chance)

    def excess(epsilon: float) -> float:
        return float(masses @ np.maximum(-np.expm1(np.minimum(epsilon - losses, 700)), 0)) - delta

    return 0.0 if excess(0.0) <= 0 else float(optimize.brentq(excess, 0.0, losses[-1]))


@settings(max_examples=25, deadline=None)
@example(chance=0.80078125, flips=1, delta=0.03125)
@given(chance=st.floats(0.52, 0.9), flips=st.integers(1, 60), delta=st.floats(1e-9, 0.05))
def test_coins_are_bracketed_by_the_two_roundings(chance: float, flips: int, delta: float) -> None:
    coin = DiscretePair(np.array([chance, 1 - chance]), np.array([1 - chance, chance]))
    exact = exact_coin_epsilon(chance, flips, delta)
    assert pld.epsilon_lower(((coin, flips),), delta) <= exact + 1e-9
    assert exact - 1e-9 <= pld.epsilon(((coin, flips),), delta) <= exact * 1.003 + 2e-3


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.3, 5), delta=st.floats(1e-9, 0.1))
def test_one_laplace_release_is_bracketed_by_the_two_roundings(scale: float, delta: float) -> None:
    exact = max(0.0, 1 / scale + 2 * math.log1p(-delta))
    pair = LaplacePair(scale)
    assert pld.epsilon_lower(((pair, 1),), delta) <= exact + 1e-9
    assert exact - 1e-9 <= pld.epsilon(((pair, 1),), delta) <= exact * 1.003 + 1e-4


@settings(max_examples=30, deadline=None)
@given(
    upper=st.lists(st.floats(1e-9, 1), min_size=3, max_size=3),
    gaps=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    interval=st.floats(1e-4, 5),
)
def test_connecting_the_dots_keeps_both_masses_of_a_cell(
    upper: list[float], gaps: list[float], interval: float
) -> None:
    tops = np.array([0.3, 1.0, -2.0])
    mass = np.array(upper)
    lower = mass * np.exp(-(tops - np.array(gaps) * interval))
    below, above = connect_the_dots(mass, lower, tops, interval)
    assert (below >= 0).all()
    assert below + above == pytest.approx(mass)
    assert below * np.exp(interval - tops) + above * np.exp(-tops) == pytest.approx(lower, rel=1e-6)


def test_a_cell_whose_lower_mass_underflows_moves_up_whole() -> None:
    below, above = connect_the_dots(np.array([0.25]), np.array([0.0]), np.array([800.0]), 0.5)
    assert below == 0
    assert above == 0.25


def test_a_cheaper_direction_does_not_lower_the_bound() -> None:
    both = directions(0.8, 0.02, 300, 2)
    single = [pld.epsilon(parts, 1e-6) for parts in both]
    assert pld.epsilon_of_all(both, 1e-6) == pytest.approx(max(single), rel=1e-9)
    assert pld.epsilon_of_all(both[::-1], 1e-6) == pytest.approx(max(single), rel=2e-3)


@pytest.mark.parametrize("pair", [GaussianPair(1.0, Mixture((0.0, 1.0), (0.9, 0.1))), LaplacePair(1.0, 0.3)])
def test_a_lattice_keeps_the_mass_of_both_distributions(pair: GaussianPair | LaplacePair) -> None:
    lattice = discretise(pair, 1e-3, 1e-12, 1 << 20)
    assert lattice.mass.sum() == pytest.approx(1, abs=1e-9)
    assert lattice.mass @ np.exp(-lattice.losses) == pytest.approx(1, abs=1e-6)


def test_rounding_down_never_raises_a_loss() -> None:
    pair = GaussianPair(1.0, Mixture((0.0, 1.0), (0.9, 0.1)))
    dots, down = (discretise(pair, 0.05, 1e-12, 1 << 20, split) for split in (connect_the_dots, round_down))
    above = np.cumsum(dots.mass[::-1])[::-1]
    assert (np.cumsum(down.mass[::-1])[::-1] <= above + 1e-9).all()
    assert loss_range(pair, 1e-12)[1] <= float(dots.losses[-1]) + 1e-9


def test_composition_equals_a_plain_convolution() -> None:
    random = np.random.default_rng(7)
    mass = random.random(40)
    mass /= mass.sum()
    lattice = LossLattice(-13, 0.1, mass, 0.0, 0.0)
    composed = pld_compose.compose(((lattice, 3),), tilt=0.7)
    plain = np.convolve(np.convolve(mass, mass), mass)
    losses = (3 * -13 + np.arange(plain.size)) * 0.1
    for epsilon in (0.3, 2.0, 5.0):
        exact = float(np.maximum(-np.expm1(np.minimum(epsilon - losses, 0)), 0) @ plain)
        assert composed.delta_lower(epsilon) <= exact <= composed.delta_upper(epsilon)
        assert composed.delta_upper(epsilon) == pytest.approx(exact, rel=1e-9)


def test_impossible_outcomes_are_charged_once_per_step() -> None:
    pair = DiscretePair(np.array([0.89, 0.1, 0.01]), np.array([0.5, 0.5, 0.0]))
    floor = 1 - 0.99**5
    assert pld.epsilon(((pair, 5),), floor * 0.999) == math.inf
    assert math.isfinite(pld.epsilon(((pair, 5),), floor * 1.2))
    assert pld.epsilon_lower(((pair, 5),), floor * 0.999) == math.inf


def test_what_is_left_out_of_a_mixture_is_charged_to_delta() -> None:
    pair = GaussianPair(1.0, Mixture((0.0, 1.0), (0.9, 0.0999)), dropped=1e-4)
    assert pld.epsilon(((pair, 20),), 1.9e-3) == math.inf
    assert pld.epsilon(((pair, 20),), 3e-3) > pld.epsilon(((GaussianPair(1.0, pair.upper), 20),), 3e-3)
