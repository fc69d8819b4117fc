"""What choosing among runs costs."""

from __future__ import annotations

import math

from dp_accounting import dp_event

from audit.accounting.inputs import AccountingInputError, require_count, require_positive
from audit.accounting.mechanisms import repeated

SHAPES = {"logarithmic": 0.0, "geometric": 1.0, "poisson": math.inf}


def all_runs_released(run: dp_event.DpEvent, runs: int) -> dp_event.DpEvent:
    """`runs` trainings on the same records, all of them seen: plain composition.

    Also what a fixed grid costs when only the best is kept: keeping the best of a fixed number of runs by
    private validation data has no cheaper valid price than composition (or 3 epsilon, Liu & Talwar).
    Checkpoints of one run cost nothing more: the analysis already releases every iterate.
    """
    require_count("runs", runs)
    return repeated(run, runs)


def best_of_random_runs(run: dp_event.DpEvent, mean_runs: float, distribution: str = "geometric") -> dp_event.DpEvent:
    """The best of a random number of runs (Papernot & Steinke, arXiv 2110.03620); priced by RDP only.

    `distribution` of the number of runs: logarithmic, geometric (Theorem 2, eta = 1) or poisson.
    """
    require_positive("mean_runs", mean_runs)
    if distribution not in SHAPES:
        expected = ", ".join(SHAPES)
        raise AccountingInputError(f"distribution = {distribution!r}: expected one of {expected}")
    if distribution != "poisson" and mean_runs < 1:
        raise AccountingInputError(f"mean_runs = {mean_runs}: expected at least 1 for {distribution}")
    return dp_event.RepeatAndSelectDpEvent(run, mean_runs, SHAPES[distribution])
