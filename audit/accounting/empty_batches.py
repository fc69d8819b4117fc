"""Poisson batches that came out empty and were skipped, without noise."""

from __future__ import annotations

import math

from audit.accounting.inputs import require_count, require_probability

ASSUMPTION = "empty Poisson batches are skipped without noise: the extra delta is an upper bound, not tight"


def extra_delta(sampling_probability: float, others: int, steps: int) -> float:
    """What skipping empty batches adds to delta: 1 - (1 - q (1 - q)^N)^T with N = `others` records.

    A step is given away when the unit's record is alone in its batch: without it the step would have been
    skipped, visibly. Revealing that all others stayed out only helps the observer.
    """
    require_probability("sampling_probability", sampling_probability)
    require_count("others", others, least=0)
    require_count("steps", steps)
    q = sampling_probability
    alone = q if others == 0 else q * math.exp(others * math.log1p(-q)) if q < 1 else 0.0
    return 1.0 if alone >= 1 else -math.expm1(steps * math.log1p(-alone))


def reverse_loss(sampling_probability: float) -> float:
    """Loss -log(1 - q) that each visibly empty step adds in the other direction."""
    require_probability("sampling_probability", sampling_probability)
    return math.inf if sampling_probability == 1 else -math.log1p(-sampling_probability)
