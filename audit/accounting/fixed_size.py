"""What one step shows of a unit that owns k records, under batches of fixed size without replacement."""

from __future__ import annotations

import numpy as np

from audit.accounting.group import mixture_step
from audit.accounting.inputs import AccountingInputError
from audit.accounting.pairs import Floats, Step

ASSUMPTION = (
    "fixed-size batches: the unit's records take the places of others, so i of them move the sum by 2i "
    "(coupling through the batch without the unit; attained when all others point the opposite way)"
)


def fixed_size_step(noise: float, batch_size: int, records: int, group_size: int, count: int, drop: float) -> Step:
    """Hypergeometric mixture of Gaussians with shifts 2i against one Gaussian, both directions.

    Draw the batch without the unit, then let i ~ Hypergeometric(records, k, batch_size) of its members be
    replaced by the unit's records: the sums differ by at most 2i, and joint convexity does the rest.
    """
    if group_size > records - batch_size:
        raise AccountingInputError(
            f"group_size = {group_size}: expected at most records - batch_size = {records - batch_size}, "
            "so that a batch can be drawn without the unit"
        )
    return mixture_step(noise, hypergeometric_log_pmf(records, group_size, batch_size), 2.0, count, drop)


def hypergeometric_log_pmf(records: int, marked: int, batch_size: int) -> Floats:
    """log P[i of `marked` records are among `batch_size` drawn from `records`], i = 0..min(marked, batch).

    By products of exact ratios: relative error about `marked` roundings, where differences of
    log-gammas lose seven digits at a million records. Requires marked <= records - batch_size.
    """
    first = np.log1p(-batch_size / (records - np.arange(marked))).sum()
    i = np.arange(min(marked, batch_size))
    ratios = np.log(marked - i) + np.log(batch_size - i) - np.log(i + 1)
    ratios = ratios - np.log(records - marked - batch_size + i + 1)
    return np.concatenate([[first], first + np.cumsum(ratios)])
