"""The mechanisms of differentially private training, as dp_accounting events.

Convention: noise has standard deviation noise_multiplier * C on the sum of per-record contributions
clipped to norm C, so one record moves the sum by at most 1 in units of C.
"""

from __future__ import annotations

from collections.abc import Sequence

from dp_accounting import dp_event

from audit.accounting.inputs import (
    require_count,
    require_positive,
    require_probability,
)


def gaussian(noise_multiplier: float, steps: int = 1) -> dp_event.DpEvent:
    """`steps` releases of a sum with Gaussian noise, every record in every release."""
    require_positive("noise_multiplier", noise_multiplier)
    return repeated(dp_event.GaussianDpEvent(noise_multiplier), steps)


def laplace(noise_multiplier: float, steps: int = 1) -> dp_event.DpEvent:
    """`steps` releases with Laplace noise of scale `noise_multiplier` per unit of L1 sensitivity."""
    require_positive("noise_multiplier", noise_multiplier)
    return repeated(dp_event.LaplaceDpEvent(noise_multiplier), steps)


def dp_sgd(noise_multiplier: float, sampling_probability: float, steps: int) -> dp_event.DpEvent:
    """DP-SGD with Poisson sampling: each record enters each step with `sampling_probability`."""
    require_positive("noise_multiplier", noise_multiplier)
    require_probability("sampling_probability", sampling_probability)
    step = dp_event.PoissonSampledDpEvent(sampling_probability, dp_event.GaussianDpEvent(noise_multiplier))
    return repeated(step, steps)


def fixed_size_dp_sgd(noise_multiplier: float, batch_size: int, records: int, steps: int) -> dp_event.DpEvent:
    """DP-SGD on batches of exactly `batch_size` records drawn without replacement at each step."""
    require_positive("noise_multiplier", noise_multiplier)
    require_count("records", records)
    require_count("batch_size", batch_size, most=records)
    step = dp_event.SampledWithoutReplacementDpEvent(records, batch_size, dp_event.GaussianDpEvent(noise_multiplier))
    return repeated(step, steps)


def truncated_dp_sgd(
    noise_multiplier: float, sampling_probability: float, truncated_batch_size: int, records: int, steps: int
) -> dp_event.DpEvent:
    """DP-SGD whose Poisson batches are cut to at most `truncated_batch_size` records."""
    require_positive("noise_multiplier", noise_multiplier)
    require_probability("sampling_probability", sampling_probability)
    require_count("records", records)
    require_count("truncated_batch_size", truncated_batch_size)
    step = dp_event.TruncatedSubsampledGaussianDpEvent(
        records, sampling_probability, truncated_batch_size, noise_multiplier
    )
    return repeated(step, steps)


def repeated(event: dp_event.DpEvent, count: int) -> dp_event.DpEvent:
    """`event`, `count` times."""
    require_count("steps", count)
    return event if count == 1 else dp_event.SelfComposedDpEvent(event, int(count))


def composed(events: Sequence[dp_event.DpEvent]) -> dp_event.DpEvent:
    """All of `events` on the same records, all released."""
    return dp_event.ComposedDpEvent(list(events))


def not_private() -> dp_event.DpEvent:
    """A release without noise: no finite epsilon."""
    return dp_event.NonPrivateDpEvent()


def nothing() -> dp_event.DpEvent:
    """A release that does not depend on the private records."""
    return dp_event.NoOpDpEvent()
