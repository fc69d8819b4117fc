"""Shuffled and fixed-order batches: what is certain about them in the worst case.

Zero-out neighbours, every iterate released, all other gradients pointing the other way. With E epochs of n
steps each record is in one batch per epoch. No tight upper bound is known for shuffling; the fixed order is
one (by convexity over the orders). The lower bounds are those of Chua et al., arXiv 2403.17673 (one order
kept) and arXiv 2411.04205 (a new order each epoch).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from audit.accounting import contour, pld
from audit.accounting.contour_nodes import UnsuitablePairError
from audit.accounting.gdp import gaussian_epsilon
from audit.accounting.pairs import DiscretePair, Floats

ASSUMPTIONS = (
    "worst-case data set: all other gradients point the opposite way",
    "every iterate is released",
    "zero-out adjacency: the neighbour's record contributes nothing to the batch it is in",
)
_EVENTS = 4001


def packed_shift(group_size: int, batch_size: int) -> float:
    """How far a unit moves one epoch's batches, as a vector, when its records share as few as they can."""
    full, rest = divmod(group_size, batch_size)
    return math.sqrt(full * batch_size**2 + rest**2)


def deterministic_epsilon(noise_multiplier: float, epochs: int, delta: float) -> float:
    """Epsilon of a fixed order of batches: one Gaussian of noise s / sqrt(E), exact (closed form).

    For replace-one, where both records count, halve `noise_multiplier`.
    """
    return gaussian_epsilon(math.sqrt(epochs) / noise_multiplier, delta)


def persistent_shuffle_lower(noise_multiplier: float, epochs: int, steps_per_epoch: int, delta: float) -> float:
    """Certified lower bound when one secret order is kept: max over C of log((P(E) - delta) / Q(E)).

    E is the event that the largest of the batches' sums over all epochs reaches C. Any C gives a bound.
    """
    spread = noise_multiplier / math.sqrt(epochs)
    levels = np.linspace(0.0, 2 + 12 * spread, 20001)
    reached, lower = _maximum_tails(levels, spread, steps_per_epoch)
    usable = (reached > delta) & (lower > -math.inf)
    if not usable.any():
        return 0.0
    return max(0.0, float((np.log(reached[usable] - delta) - lower[usable]).max()))


def dynamic_shuffle_lower(
    noise_multiplier: float, epochs: int, steps_per_epoch: int, delta: float
) -> tuple[float, float]:
    """Certified lower bound, and the quadrature's value of it, when the order is drawn anew each epoch.

    The largest sum of an epoch, read off to one of 4001 levels, is post-processing of the release; its two
    laws are composed over the epochs. The first number rounds losses down; the second is the contour's.
    """
    pair = maximum_pair(noise_multiplier, steps_per_epoch)
    found = []
    for one in (pair, DiscretePair(pair.lower, pair.upper)):
        try:
            found.append((contour.epsilon(((one, epochs),), delta), one))
        except UnsuitablePairError:
            found.append((0.0, one))
    value, worse = max(found, key=lambda entry: entry[0])
    certified = pld.epsilon_lower(((worse, epochs),), delta)
    return certified, max(float(value), certified)


def maximum_pair(noise: float, batches: int, present: float = 2.0, absent: float = 1.0) -> DiscretePair:
    """Laws of the level of max over `batches` sums: the target's is at `present` or `absent`, others at 0."""
    low = noise * float(special.ndtri(1e-18 ** (1 / batches))) if batches > 1 else absent - 9 * noise
    levels = np.linspace(min(low, absent - 9 * noise), present + 9 * noise, _EVENTS - 1)
    laws = (_level_law(levels, target, noise, batches) for target in (present, absent))
    return DiscretePair(*laws)


def _log_below(levels: Floats, target: float, noise: float, batches: int) -> Floats:
    """log P[max <= level] when one batch is centred at `target` and the others at 0."""
    others = (batches - 1) * special.log_ndtr(levels / noise)
    below: Floats = special.log_ndtr((levels - target) / noise) + others
    return below


def _level_law(levels: Floats, target: float, noise: float, batches: int) -> Floats:
    """Probabilities of falling between consecutive levels, differences taken in the smaller tail."""
    log_below = np.concatenate([[-np.inf], _log_below(levels, target, noise, batches), [0.0]])
    below, above = np.exp(log_below), -np.expm1(log_below)
    law: Floats = np.where(below[:-1] > 0.5, above[:-1] - above[1:], below[1:] - below[:-1])
    return np.maximum(law, 0.0)


def _maximum_tails(levels: Floats, noise: float, batches: int) -> tuple[Floats, Floats]:
    """P[max > level] with the target present, and its log with the target zeroed out."""
    present = -np.expm1(_log_below(levels, 2.0, noise, batches))
    with np.errstate(divide="ignore"):
        absent = np.log(-np.expm1(_log_below(levels, 1.0, noise, batches)))
    return present, absent
