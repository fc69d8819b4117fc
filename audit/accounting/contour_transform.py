"""The integrand of the contour as a vector of frequencies, from which delta(eps) is a short sum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.accounting.contour_nodes import Nodes, UnsuitablePairError, nodes_of
from audit.accounting.contour_saddle import Saddle, window
from audit.accounting.pairs import Floats, Parts

Complexes = NDArray[np.complexfloating[Any, Any]]

_MAX_FREQUENCIES = 1 << 20
_MAX_PRODUCT = 1e9  # nodes in x times frequencies: seconds of matrix products


class NotConvergedError(UnsuitablePairError):
    """The quadrature did not settle within its budget; this route gives no answer."""


class TooCoarseError(ArithmeticError):
    """Too few frequencies: the truncated sum is no probability."""


@dataclass(frozen=True, eq=False)
class Transform:
    """The integrand on the contour without exp(-z eps): delta(eps) is a short sum over `values`."""

    points: Complexes
    values: Complexes
    log_scale: float
    spacing: float

    def log_delta(self, epsilon: float) -> tuple[float, float]:
        """log delta(epsilon) and its derivative; raises where rounding has eaten the sum."""
        terms = self.values * np.exp(-1j * self.points.imag * epsilon)
        terms[0] /= 2
        total = float(terms.sum().real)
        slope = float((-self.points * terms).sum().real)
        if not total > 0 or not slope < 0:
            raise TooCoarseError("the contour sum is not positive")
        log_sum = math.log(total * self.spacing / math.pi)
        return self.log_scale - self.points[0].real * epsilon + log_sum, slope / total


def transform_of(parts: Parts, saddle: Saddle, frequency: float, margin: float = 0.0) -> Transform:
    """The contour integrand up to `frequency`, its upper half under a flat-topped taper.

    The taper convolves delta with a kernel whose moments vanish, so slowly falling integrands (few
    steps, tiny sampling probability) converge as fast as the others.
    """
    spacing = 2 * math.pi / (window(parts, saddle) + margin)
    size = max(32, math.ceil(frequency / spacing))
    if size > _MAX_FREQUENCIES:
        raise NotConvergedError("too many frequencies")
    log_size, phase, log_scale = np.zeros(size), np.zeros(size), 0.0
    for pair, count in parts:
        nodes = nodes_of(pair, saddle.tilt, size * spacing)
        values = _characteristic(nodes, spacing, size)
        with np.errstate(divide="ignore"):
            log_size += count * np.log(np.abs(values))
        phase += count * np.angle(values)
        log_scale += count * nodes.log_moment
    points = saddle.tilt + 1j * spacing * np.arange(size)
    integrand = np.exp(np.maximum(log_size, -700.0) + 1j * phase) / (points * (points + 1))
    return Transform(points, integrand * _taper(size), log_scale, spacing)


def _taper(size: int) -> Floats:
    """1 on the lower half, then a smooth fall to 0: exp(-1/u) steps, all derivatives continuous."""
    position = np.clip(2 * np.arange(size) / size - 1, 1e-9, 1 - 1e-9)
    fall = np.exp(-1 / (1 - position))
    weights: Floats = fall / (fall + np.exp(-1 / position))
    return weights


def _characteristic(nodes: Nodes, spacing: float, size: int) -> Complexes:
    """E[exp(i t L)] under the tilted loss at t = 0, spacing, ..., as one matrix product.

    exp(i (a + b) L) factors, so `size` frequencies need about 2 sqrt(size) exponentials per node.
    """
    block = math.ceil(math.sqrt(size))
    if nodes.loss.size * float(size) > _MAX_PRODUCT:
        raise NotConvergedError("too many nodes times frequencies")
    total = np.zeros((math.ceil(size / block), block), dtype=np.complex128)
    coarse = block * spacing * np.arange(total.shape[0])
    fine = spacing * np.arange(block)
    chunk = max(1, (1 << 20) // block)
    for start in range(0, nodes.loss.size, chunk):
        loss = nodes.loss[start : start + chunk] - nodes.centre
        left = np.exp(1j * np.outer(coarse, loss)) * nodes.tilted[start : start + chunk]
        total += left @ np.exp(1j * np.outer(loss, fine))
    values: Complexes = total.ravel()[:size] * np.exp(1j * spacing * np.arange(size) * nodes.centre)
    return values
