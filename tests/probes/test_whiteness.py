"""Each test of the noise errs no more often than its p-value says, and finds what it is for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from audit.probes import whiteness

Array = NDArray[np.float64]
DRAWS = 400


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng([1, seed]).standard_normal(shape)


NULL: dict[str, Callable[[int], float]] = {
    "variance": lambda seed: whiteness.variance(normal(seed, 50)),
    "mean": lambda seed: whiteness.mean(normal(seed, 50)),
    "shape": lambda seed: whiteness.shape(normal(seed, 500)),
    "correlation of two short vectors": lambda seed: whiteness.correlation(*normal(seed, 2, 5)),
    "the most alike of eight rows": lambda seed: whiteness.most_alike(normal(seed, 8, 20))[1],
    "along a direction": lambda seed: whiteness.along(normal(seed, 40), np.arange(40.0)),
    "low rank": lambda seed: whiteness.low_rank(normal(seed, 12, 9)),
    "autocorrelation": lambda seed: whiteness.autocorrelation(normal(seed, 300)),
}


@pytest.mark.parametrize("name", NULL)
@pytest.mark.parametrize("level", [0.05, 0.3])
def test_sound_noise_is_flagged_no_more_often_than_the_level(name: str, level: float) -> None:
    flagged = sum(NULL[name](seed) < level for seed in range(DRAWS))
    allowed = level * DRAWS + 4 * (level * (1 - level) * DRAWS) ** 0.5
    assert flagged <= allowed


EXACT = [n for n in NULL if n not in ("low rank", "autocorrelation", "the most alike of eight rows")]


@pytest.mark.parametrize("name", EXACT)
def test_exact_tests_use_their_whole_level(name: str) -> None:
    """An exact p-value is uniform: it is not bought with power."""
    flagged = sum(NULL[name](seed) < 0.3 for seed in range(DRAWS))
    assert flagged >= 0.3 * DRAWS - 4 * (0.21 * DRAWS) ** 0.5


@pytest.mark.parametrize(("coordinates", "level"), [(100, 1e-2), (2000, 1e-6)])
def test_a_stated_shortfall_is_found_as_often_as_stated(coordinates: int, level: float) -> None:
    short = 1 - whiteness.found_with(coordinates, level, probability=0.9)
    found = sum(whiteness.variance(short * normal(seed, coordinates)) < level for seed in range(DRAWS))
    assert found == pytest.approx(0.9 * DRAWS, abs=4 * (0.09 * DRAWS) ** 0.5)


def test_a_repeated_half_is_found_at_whatever_lag() -> None:
    for lag in (700, 1000, 1300):
        noise = normal(lag, 4000)
        noise[lag : lag + 1200] = noise[:1200]
        assert whiteness.autocorrelation(noise) < 1e-9


def test_rank_one_noise_with_sound_marginals_is_found() -> None:
    rows, columns = normal(0, 30), normal(1, 40)
    signs = np.sign(rows)[:, None] * columns  # every coordinate N(0, 1), all rows alike
    assert whiteness.low_rank(signs) < 1e-9
    assert whiteness.low_rank(normal(2, 30, 40)) > 1e-3


def test_the_two_rows_that_are_alike_are_named() -> None:
    rows = normal(3, 6, 100)
    rows[4] = -rows[1]
    assert whiteness.most_alike(rows) == ((1, 4), 0.0)


def test_vectors_of_zeros_are_not_alike() -> None:
    assert whiteness.correlation(np.zeros(10), np.zeros(10)) == 1.0
