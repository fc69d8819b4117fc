"""Tests of noise against independent N(0, 1), each with a p-value that holds for any size (or bounds it)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

MOST_FOR_SHAPE = 20_000  # coordinates for the test of the distribution's shape


def variance(noise: Array) -> float:
    """Two-sided χ² p-value for Σ z² over n coordinates."""
    return _two_sided(stats.chi2(noise.size), float((noise**2).sum()))


def found_with(coordinates: int, level: float, probability: float = 0.99) -> float:
    """The smallest shortfall of the standard deviation that `variance` finds with `probability`, as a fraction."""
    low = stats.chi2(coordinates).ppf(level / 2)
    return float(max(0.0, 1 - math.sqrt(low / stats.chi2(coordinates).ppf(probability))))


def mean(noise: Array) -> float:
    """Two-sided p-value for the mean, √n · mean ~ N(0, 1)."""
    return _normal(float(noise.sum()) / math.sqrt(noise.size))


def shape(noise: Array) -> float:
    """Kolmogorov-Smirnov against N(0, 1), over at most MOST_FOR_SHAPE coordinates spread evenly."""
    return float(stats.kstest(noise[:: max(1, noise.size // MOST_FOR_SHAPE)][:MOST_FOR_SHAPE], "norm").pvalue)


def correlation(one: Array, other: Array) -> float:
    """Two-sided p-value of Σxy / √(Σx² Σy²) for two independent vectors of normals."""
    return most_alike(np.stack([one, other]))[1]


def most_alike(rows: Array) -> tuple[tuple[int, int], float]:
    """The two rows (of several independent ones) with the largest correlation, and its p-value over all pairs."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(lengths == 0, 1, lengths)
    gram = np.triu(np.abs(unit @ unit.T), 1)
    first, second = (int(i) for i in np.unravel_index(int(gram.argmax()), gram.shape))
    pairs = len(rows) * (len(rows) - 1) // 2
    return (first, second), min(1.0, pairs * of_correlation(float(gram[first, second]), rows.shape[1]))


def of_correlation(r: float, n: int) -> float:
    """p-value of an uncentred sample correlation r of n pairs: r √(n−1) / √(1−r²) has Student's t, n−1 degrees."""
    if n < 2 or abs(r) >= 1 - 1e-12:
        return float(n < 2)
    return float(2 * stats.t(n - 1).sf(abs(r) * math.sqrt((n - 1) / (1 - r * r))))


def along(noise: Array, direction: Array) -> float:
    """p-value of the noise's part along a direction chosen without it, ~ N(0, 1)."""
    length = math.sqrt(float((direction**2).sum()))
    return _normal(float((noise * direction).sum()) / length) if length else 1.0


def low_rank(matrix: Array) -> float:
    """p-value bound of the largest singular value: P(σ_max ≥ √r + √c + t) ≤ exp(−t²/2) (Davidson and Szarek)."""
    rows, columns = matrix.shape
    excess = float(np.linalg.norm(matrix, 2)) - math.sqrt(rows) - math.sqrt(columns)
    return math.exp(-max(0.0, excess) ** 2 / 2)


def autocorrelation(noise: Array) -> float:
    """p-value bound of the largest autocorrelation over the lags that leave half of the coordinates overlapping.

    s = Σ z_i z_(i+k) over m products is a quadratic form with eigenvalues in [−1, 1] and squares summing to m / 2,
    so P(|s| ≥ x) ≤ 2 exp(−x² / (2 (m + 2x))), which also holds where the products are not independent.
    """
    n = noise.size
    spectrum = np.abs(np.fft.rfft(noise, 2 * n)) ** 2
    lagged = np.abs(np.fft.irfft(spectrum, 2 * n)[1 : n // 2 + 1])
    if not lagged.size:
        return 1.0
    products = n - np.arange(1.0, lagged.size + 1)
    exponent = float((lagged**2 / (2 * (products + 2 * lagged))).max())
    return min(1.0, 2 * lagged.size * math.exp(-exponent))


def _normal(z: float) -> float:
    return float(2 * stats.norm.sf(abs(z)))


def _two_sided(law: Any, value: float) -> float:
    return float(min(1.0, 2 * min(law.cdf(value), law.sf(value))))
