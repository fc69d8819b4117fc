"""Where a training run is not the mechanism that its ledger says was priced."""

from __future__ import annotations

import math
from collections.abc import Iterator

from audit.types import LedgerDeclaration, LedgerTotals, PricedEvent, Sampler

CLOSE = 1e-6  # relative: two numbers of one ledger that should be one
UNLIKELY = 8.0  # standard deviations of a Poisson sampler's total; below 1e-14



def departures(declared: LedgerDeclaration, totals: LedgerTotals) -> Iterator[str]:
    """Where the run is not the mechanism that was priced, one line each. Fewer steps than priced depart in no way."""
    if declared.priced is None:
        yield "nothing was priced"
    else:
        yield from _priced_differently(declared, declared.priced)
    if declared.clip_norm is None:
        yield "gradients were not clipped"
    if totals.steps_run > declared.steps_accounted:
        yield f"{totals.steps_run:,} noisy updates ran; {declared.steps_accounted:,} were accounted"
    skipped = totals.batches.batches - totals.steps_run
    if skipped > 0:
        yield f"{skipped:,} batches made no noisy update: that a batch was empty shows"
    if declared.sampler is Sampler.POISSON:
        yield from _not_poisson(declared, totals)


def _priced_differently(declared: LedgerDeclaration, priced: PricedEvent) -> Iterator[str]:
    count, sampled, noise = _parts(priced)
    if sampled and declared.sampler is not Sampler.POISSON:
        yield f"batches were {declared.sampler}; Poisson sampling was priced"
    if count is not None and count != declared.steps_accounted:
        yield f"{count:,} steps were priced; the ledger declares {declared.steps_accounted:,}"
    if noise is not None and not math.isclose(noise, declared.noise_multiplier, rel_tol=CLOSE):
        yield f"noise multiplier {noise:.6g} was priced; the run declares {declared.noise_multiplier:.6g}"
    chance, own = _chance(priced), declared.expected_batch_size / declared.records
    if chance is not None and not math.isclose(chance, own, rel_tol=CLOSE):
        yield f"sampling probability {chance:.6g} was priced; batch and records make it {own:.6g}"
    if _most_records(priced) < declared.group_size:
        yield f"a unit holds up to {declared.group_size:,} records; {_most_records(priced):,} were priced"


def _parts(priced: PricedEvent) -> tuple[int | None, bool, float | None]:
    """Steps composed, whether Poisson batches were priced, and the noise multiplier, as far as the event says."""
    if priced.kind == "self-composed" and priced.event is not None:
        _, sampled, noise = _parts(priced.event)
        return priced.count, sampled, noise
    if priced.kind == "poisson-sampled" and priced.event is not None:
        return None, True, _parts(priced.event)[2]
    return None, priced.kind == "mixture-of-gaussians", priced.noise_multiplier


def _chance(priced: PricedEvent) -> float | None:
    """A record's chance per step; None where the event does not name it."""
    if priced.kind == "poisson-sampled":
        return priced.sampling_probability
    return _chance(priced.event) if priced.event is not None else None


def _most_records(priced: PricedEvent) -> int:
    """The most records of one unit that the event allows for."""
    if priced.sensitivities:
        return round(max(priced.sensitivities))
    return _most_records(priced.event) if priced.event is not None else 1


def _not_poisson(declared: LedgerDeclaration, totals: LedgerTotals) -> Iterator[str]:
    """Batch sizes that Poisson sampling all but never draws."""
    sizes, chance = totals.batches, declared.expected_batch_size / declared.records
    expected = sizes.batches * declared.expected_batch_size
    spread = math.sqrt(expected * (1 - chance))
    if abs(sizes.records - expected) > UNLIKELY * spread + 1:
        yield f"{sizes.records:,} records were drawn where Poisson sampling draws about {expected:,.0f}"
    elif sizes.batches >= 50 and sizes.smallest == sizes.largest and declared.expected_batch_size * (1 - chance) >= 1:
        yield f"all {sizes.batches:,} batches hold {sizes.largest:,} records: Poisson batches vary"
