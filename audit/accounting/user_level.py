"""From a record's guarantee to a person's: caps, user-level sampling, and what delta is worth."""

from __future__ import annotations

from dp_accounting import dp_event

from audit.accounting.inputs import require_count, require_delta
from audit.accounting.mechanisms import dp_sgd


def capped_group_size(records_of_unit: int, cap: int | None) -> int:
    """The group size that example-level sampling with a contribution cap protects (ELS, arXiv 2407.07737).

    min(records, cap). Without a cap enforced before training the largest count is itself private data.
    """
    require_count("records_of_unit", records_of_unit)
    if cap is None:
        return records_of_unit
    require_count("cap", cap)
    return min(records_of_unit, cap)


def user_level_dp_sgd(noise_multiplier: float, user_sampling_probability: float, steps: int) -> dp_event.DpEvent:
    """User-level sampling (ULS): users drawn by Poisson sampling, each user's averaged gradient clipped.

    The privacy unit is the user, whatever number of records she owns: price it with group_size 1.
    """
    return dp_sgd(noise_multiplier, user_sampling_probability, steps)


def group_size_after_preprocessing(group_size: int, stability: int) -> int:
    """Group size after c-stable preprocessing: one input record changes at most c of the training records."""
    require_count("group_size", group_size)
    require_count("stability", stability)
    return group_size * stability


def delta_times_units(delta: float, units: int) -> float:
    """delta * N: the expected number of units whose data a mechanism may publish outright; should be << 1."""
    require_delta(delta)
    require_count("units", units)
    return delta * units
