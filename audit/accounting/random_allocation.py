"""Each record in one step of each epoch, chosen at random and independently of the others (balls in bins).

With n steps the likelihood ratio is S = mean of n independent Y = exp(z / s - 1 / (2 s^2)), z standard normal
(Chua et al., arXiv 2412.16802; Feldman & Shenfeld, arXiv 2502.08202). S is put on a linear lattice by a
mean-preserving spread, which dominates it, and the epochs are composed. This is not how a shuffled data
loader works: there the others move too, so it is no upper bound for shuffling.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import fft, special

from audit.accounting import pld
from audit.accounting.bracket import Bracket, Route
from audit.accounting.inputs import require_count, require_delta, require_positive
from audit.accounting.pairs import DiscretePair, Floats
from audit.accounting.shuffle import maximum_pair

ASSUMPTION = (
    "each record is placed independently of the others; a shuffled data loader does not do that, and this is no "
    "upper bound for it"
)
_POINTS = 1 << 20


def epsilon(noise_multiplier: float, steps_per_epoch: int, epochs: int, delta: float) -> Bracket:
    """Bracket of epsilon, zero-out neighbours: certified upper bound, max-event lower bound."""
    require_positive("noise_multiplier", noise_multiplier)
    require_count("steps_per_epoch", steps_per_epoch)
    require_count("epochs", epochs)
    require_delta(delta)
    pair = ratio_pair(noise_multiplier, steps_per_epoch, delta / epochs * 1e-5)
    both = (pair, DiscretePair(pair.lower, pair.upper))
    upper = pld.epsilon_of_all([((one, epochs),) for one in both], delta)
    event = maximum_pair(noise_multiplier, steps_per_epoch, present=1.0, absent=0.0)
    lower = min(pld.epsilon_lower(((event, epochs),), delta), upper)
    routes = (Route("likelihood-ratio lattice", 0.0, upper), Route("max-event lower bound", lower, math.inf))
    return Bracket(lower, upper, "likelihood-ratio lattice (upper), max-event (lower)", (ASSUMPTION,), routes)


def ratio_pair(noise: float, steps: int, tail: float) -> DiscretePair:
    """Lattice laws of S with the record in and out; `tail` of the former may be charged as impossible."""
    rate = 1 / noise
    top = math.exp(rate * (rate / 2 - float(special.ndtri(tail))))
    spread = math.sqrt(steps * min(math.expm1(rate**2), top))
    room = steps + top + 12 * spread
    size = int(fft.next_fast_len(_POINTS, real=True))
    width = room / (size - 2)
    without, biased = _spread_law(rate, width, math.ceil(top / width))
    others = fft.rfft(without, size) ** (steps - 1)
    total = np.maximum(fft.irfft(others * fft.rfft(without, size), size), 0.0)
    total_biased = np.maximum(fft.irfft(others * fft.rfft(biased, size), size), 0.0)
    ratio = width * np.arange(size) / steps
    upper = np.where(ratio >= 1, total_biased, ratio * total)
    lower = np.where(ratio >= 1, total_biased / np.maximum(ratio, 1e-300), total)
    charged = tail + size * 1e-16 + _wrapped(without, biased, width, steps, size)
    return DiscretePair(np.append(upper, charged), np.append(lower, 0.0))


def _spread_law(rate: float, width: float, cells: int) -> tuple[Floats, Floats]:
    """Y on the lattice: its law keeping each cell's mass and mean, and the law weighted by Y itself."""
    edges = width * np.arange(cells + 1)
    with np.errstate(divide="ignore"):
        z = (np.log(edges) + rate**2 / 2) / rate
    mass = np.where(z[:-1] > 0, -np.diff(special.ndtr(-z)), np.diff(special.ndtr(z)))
    shifted = z - rate
    mean = np.where(shifted[:-1] > 0, -np.diff(special.ndtr(-shifted)), np.diff(special.ndtr(shifted)))
    above = np.clip((mean - mass * edges[:-1]) / width, 0.0, mass)
    law = np.zeros(cells + 1)
    law[:-1] += mass - above
    law[1:] += above
    return law, law * edges


def _wrapped(without: Floats, biased: Floats, width: float, steps: int, size: int) -> float:
    """Chernoff bound on the mass, with the record in, that the circular convolution wraps around."""
    points = width * np.arange(without.size)
    best = 1.0
    for exponent in np.geomspace(1.0, 1000.0, 40) / (width * size):
        growth = np.exp(np.minimum(exponent * points, 700.0))
        log_bound = (steps - 1) * math.log(float(without @ growth)) + math.log(float(biased @ growth))
        best = min(best, math.exp(min(log_bound - exponent * width * size, 0.0)))
    return best
