"""Figures that papers quote, or that mending would cost, shown beside a rung of the ladder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from audit.pricing import event_of, price
from audit.setting import Setting
from audit.types import Comparison, NeighboringRelation, Sampler, round_outward

if TYPE_CHECKING:
    from dp_accounting.dp_event import DpEvent

HISTOGRAM_EPSILON = 0.1  # spent on label counts: Laplace noise of scale 10 a count, invisible beside thousands
MEAN_RUNS = 10  # a usual number of settings tried


def beside_group(setting: Setting, noise: float, steps: int, size: int, cache: Path | None) -> Iterator[Comparison]:
    """What is usually written for `size` records under Poisson sampling: size·ε, and black-box group privacy.

    size·ε at the same δ bounds nothing; it may lie below or above the truth. The black box follows the
    whole curve δ(ε) of one record and looks at nothing else (`audit.accounting.black_box`).
    """
    if size < 2 or setting.relation is not NeighboringRelation.ADD_OR_REMOVE_ONE:
        return
    record = price(setting, noise, steps, Sampler.POISSON, 1, cache)
    how = ", Poisson sampling" if setting.trained else ""
    yield Comparison(
        label=f"{size:,} × the ε of one record at the same δ{how}",
        epsilon=round_outward(size * record.upper, up=True),
        standing="no bound",
    )
    outside = _black_box(setting, noise, steps, size, cache)
    if outside is not None:
        yield Comparison(
            label=f"group privacy that does not look inside the mechanism{how}",
            epsilon=round_outward(outside, up=True),
            standing="looser bound",
        )


def beside_exact_labels(setting: Setting, noise: float, cache: Path | None) -> Iterator[Comparison]:
    """The ε of one record if label counts were released with Laplace noise beside the training as accounted."""
    total = _composed(setting, noise, cache)
    yield Comparison(
        label=f"one record, label counts with Laplace noise of scale {1 / HISTOGRAM_EPSILON:g} (ε = "
        f"{HISTOGRAM_EPSILON:g}) beside the {'training' if setting.trained else 'votes'} as accounted",
        epsilon=round_outward(total, up=True),
        standing="price of mending",
    )


def beside_selection(setting: Setting, noise: float, cache: Path | None) -> Iterator[Comparison]:
    """What the best of a random number of runs costs, each run and its score within the recomputed ε."""
    yield Comparison(
        label=f"one record, the best of a random number of runs (geometric, {MEAN_RUNS} on average; arXiv 2110.03620), "
        "the score of each covered by its run",
        epsilon=round_outward(_best_of_runs(setting, noise, cache), up=True),
        standing="price of mending",
    )


def _black_box(setting: Setting, noise: float, steps: int, size: int, cache: Path | None) -> float | None:
    """None where the curve cannot be followed by quadrature."""
    from audit.accounting.black_box import curve_epsilon
    from audit.accounting.contour_nodes import UnsuitablePairError

    event, delta = event_of(setting, noise, steps, Sampler.POISSON, 1)[0], _delta(setting)
    with suppress(UnsuitablePairError):
        return _cached("curve_epsilon", event, delta, cache, lambda: curve_epsilon(event, delta, size), size=size)
    return None


def _composed(setting: Setting, noise: float, cache: Path | None) -> float:
    from audit.accounting.accountants import epsilon
    from audit.accounting.histogram import with_laplace_histogram

    event, delta = with_laplace_histogram(_accounted(setting, noise), HISTOGRAM_EPSILON), _delta(setting)
    return _cached("epsilon", event, delta, cache, lambda: epsilon(event, delta).upper)


def _best_of_runs(setting: Setting, noise: float, cache: Path | None) -> float:
    from audit.accounting.accountants import epsilon
    from audit.accounting.tuning import best_of_random_runs

    event, delta = best_of_random_runs(_accounted(setting, noise), MEAN_RUNS), _delta(setting)
    return _cached("epsilon", event, delta, cache, lambda: epsilon(event, delta).upper)


def _accounted(setting: Setting, noise: float) -> DpEvent:
    assert setting.steps_accounted is not None  # a noise multiplier is known only where these are
    assert setting.sampler_accounted is not None
    return event_of(setting, noise, setting.steps_accounted, setting.sampler_accounted, 1)[0]


def _delta(setting: Setting) -> float:
    assert setting.delta is not None  # nor is anything priced without it
    return setting.delta


def _cached(
    function: str, event: DpEvent, delta: float, cache: Path | None, compute: Callable[[], float], **more: int
) -> float:
    from audit.accounting.cache import cached

    return float(cached(cache, function, {"event": repr(event), "delta": delta, **more}, compute))
