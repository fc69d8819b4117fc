"""Dominating pairs of distributions: what one step looks like to the worst-case observer.

Parameters only, no numerics, so that the routes can compute from them without sharing code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Mixture:
    """A Gaussian of the pair's standard deviation, shifted by `shifts[i]` with probability `probs[i]`."""

    shifts: tuple[float, ...] = (0.0,)
    probs: tuple[float, ...] = (1.0,)

    def mirrored(self) -> Mixture:
        """The same mixture reflected about 0."""
        return Mixture(tuple(-shift for shift in self.shifts), self.probs)


@dataclass(frozen=True)
class GaussianPair:
    """`upper` against `lower`, both blurred by `noise`; the privacy loss log(upper/lower) increases in x.

    `dropped` is the probability left out of `upper` or `lower`: an upper bound charges it to delta.
    """

    noise: float
    upper: Mixture
    lower: Mixture = Mixture()
    dropped: float = 0.0


@dataclass(frozen=True)
class LaplacePair:
    """Laplace noise of scale `scale` on a sum that the unit moves by 1, with `sampling_probability`.

    `removing` says which side holds the unit: True, upper = (1-q) Lap(0) + q Lap(1), lower = Lap(0);
    False, the reverse.
    """

    scale: float
    sampling_probability: float = 1.0
    removing: bool = True


@dataclass(frozen=True, eq=False)
class DiscretePair:
    """Probabilities of the same outcomes under both distributions, shape (n,) each."""

    upper: Floats
    lower: Floats


Pair = GaussianPair | LaplacePair | DiscretePair


@dataclass(frozen=True, eq=False)
class Step:
    """One mechanism performed `count` times: the pair for each direction of the neighbouring relation."""

    remove: Pair
    add: Pair
    count: int


Parts = tuple[tuple[Pair, int], ...]


def directions(steps: tuple[Step, ...]) -> tuple[Parts, ...]:
    """The composed pairs for removing and for adding the unit; one of them where both are the same."""
    remove = tuple((step.remove, step.count) for step in steps)
    if all(step.add is step.remove for step in steps):
        return (remove,)
    return remove, tuple((step.add, step.count) for step in steps)
