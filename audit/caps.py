"""A claim's table of caps: what at most K records of each person would keep, and what it would make of ε."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audit.pricing import price
from audit.setting import Setting
from audit.types import CapResult, Sampler, round_outward
from audit.users.caps import kept

SIZES = (1, 2, 4, 8)


def cap_results(setting: Setting, noise: float | None, cache: Path | None) -> tuple[CapResult, ...]:
    """K = 1, 2, 4, 8 below the heaviest person measured, for a claim whose Poisson-sampled training can be priced.

    Empty for a claim that is a person's already. The sampling probability stays as stated: with fewer records and
    the same batch size it would be larger.
    """
    if noise is None or setting.counts is None or setting.unit_is_person:
        return ()
    if setting.sampler_accounted is not Sampler.POISSON or setting.steps_accounted is None:
        return ()
    if setting.counts_accounted:  # the same budget pays for noised counts, which a cap makes smaller too
        return ()
    sizes = [size for size in SIZES if size < setting.counts.max]
    return tuple(_cap(setting, noise, size, setting.steps_accounted, cache) for size in sizes)


def _cap(setting: Setting, noise: float, size: int, steps: int, cache: Path | None) -> CapResult:
    assert setting.counts is not None
    records, people = kept(setting.counts.histogram, size)
    found = price(setting, noise, steps, Sampler.POISSON, size, cache)
    needed = _noise_multiplier(setting, steps, size, cache)
    return CapResult(
        max_records=size,
        records_kept=records,
        people_affected=people,
        epsilon_lower=round_outward(found.lower, up=False),
        epsilon_upper=round_outward(found.upper, up=True),
        noise_multiplier=None if needed is None else round_outward(needed, up=True),
    )


def _noise_multiplier(setting: Setting, steps: int, size: int, cache: Path | None) -> float | None:
    """The smallest whose certified ε for `size` records is within the claim."""
    from audit.accounting.cache import cached
    from audit.accounting.calibration import noise_multiplier_for
    from audit.accounting.inputs import AccountingInputError

    wanted: dict[str, Any] = {
        "target_epsilon": setting.epsilon,
        "delta": setting.delta,
        "sampling_probability": setting.sampling_probability,
        "steps": steps,
        "group_size": size,
    }
    try:
        return float(cached(cache, "noise_multiplier_for", wanted, lambda: noise_multiplier_for(**wanted)))
    except AccountingInputError:
        return None
