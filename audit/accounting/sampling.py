"""Epsilon for the batches a training run really draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dp_accounting import dp_event
from dp_accounting.privacy_accountant import NeighboringRelation

from audit.accounting import shuffle
from audit.accounting.accountants import epsilon
from audit.accounting.bracket import Bracket, Route
from audit.accounting.inputs import (
    AccountingInputError,
    require_count,
    require_delta,
    require_positive,
    require_probability,
)
from audit.accounting.mechanisms import dp_sgd, fixed_size_dp_sgd, gaussian
from audit.accounting.steps import ADD_OR_REMOVE_ONE, REPLACE_ONE

SHUFFLES = ("shuffle-each-epoch", "shuffle-once")
SAMPLERS = ("poisson", "fixed-size", *SHUFFLES, "deterministic")
_CONVEXITY = "upper bound: any order of batches is a mixture of fixed orders, so the fixed order bounds it"


@dataclass(frozen=True)
class Schedule:
    """How batches are drawn: by probability and steps, or by batch size, records, and epochs or steps.

    Steps per epoch = records // batch_size. Refuses what does not fit its sampler, one line each.
    """

    sampler: str = "poisson"
    sampling_probability: float | None = None
    steps: int | None = None
    batch_size: int | None = None
    records: int | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise AccountingInputError(f"sampler = {self.sampler!r}: expected one of {', '.join(SAMPLERS)}")
        for name in ("steps", "batch_size", "records", "epochs"):
            if getattr(self, name) is not None:
                require_count(name, getattr(self, name))
        if self.batch_size is not None and self.records is not None and self.batch_size > self.records:
            raise AccountingInputError(f"batch_size = {self.batch_size}: expected at most records = {self.records}")
        if self.steps is not None and self.epochs is not None:
            raise AccountingInputError("steps and epochs: expected one of the two, got both")
        if self.steps is None and self.epochs is None:
            raise AccountingInputError("steps: expected steps, or epochs with batch_size and records")

    def required(self, name: str) -> int:
        """The value of a field this sampler cannot do without."""
        value = getattr(self, name)
        if value is None:
            raise AccountingInputError(f"{name}: expected a value for sampler {self.sampler}, got none")
        return int(value)

    @property
    def steps_per_epoch(self) -> int:
        """records // batch_size: a last, smaller batch is dropped."""
        return self.required("records") // self.required("batch_size")

    @property
    def total_steps(self) -> int:
        """Noisy updates composed."""
        return self.steps if self.steps is not None else self.required("epochs") * self.steps_per_epoch

    @property
    def epochs_passed(self) -> tuple[int, int]:
        """Whole epochs completed, and epochs begun."""
        if self.epochs is not None:
            return self.epochs, self.epochs
        return self.total_steps // self.steps_per_epoch, math.ceil(self.total_steps / self.steps_per_epoch)

    @property
    def probability(self) -> float:
        """A record's chance per step under Poisson sampling; batch_size / records where it is not given."""
        if self.sampling_probability is not None:
            require_probability("sampling_probability", self.sampling_probability)
            return self.sampling_probability
        return self.required("batch_size") / self.required("records")


def upper_event(schedule: Schedule, noise_multiplier: float, group_size: int = 1) -> tuple[dp_event.DpEvent, int]:
    """The event whose epsilon bounds the schedule from above, and the group size to price it with.

    For Poisson and fixed-size batches the mechanism itself; for every fixed or shuffled order the Gaussian
    of the fixed order, the unit's records packed into as few batches as their size allows.
    """
    if schedule.sampler == "poisson":
        return dp_sgd(noise_multiplier, schedule.probability, schedule.total_steps), group_size
    if schedule.sampler == "fixed-size":
        batch, records = schedule.required("batch_size"), schedule.required("records")
        return fixed_size_dp_sgd(noise_multiplier, batch, records, schedule.total_steps), group_size
    shift = shuffle.packed_shift(group_size, schedule.required("batch_size"))
    return gaussian(noise_multiplier / shift, schedule.epochs_passed[1]), 1


def epsilon_for_sampler(
    schedule: Schedule,
    noise_multiplier: float,
    delta: float,
    *,
    group_size: int = 1,
    neighboring_relation: NeighboringRelation = ADD_OR_REMOVE_ONE,
    accountant: str = "all",
) -> Bracket:
    """Bracket of epsilon for batches drawn as `schedule` says.

    Poisson and fixed-size are priced as events. A fixed order is a Gaussian, exact. For the shuffles the
    lower end is a certified lower bound in the worst case and the upper end that of the fixed order; there
    add-or-remove-one is read as zero-out. Raises AccountingInputError for inputs that make no sense.
    """
    require_positive("noise_multiplier", noise_multiplier)
    require_delta(delta)
    require_count("group_size", group_size, most=math.inf if schedule.records is None else schedule.records)
    event, size = upper_event(schedule, noise_multiplier, int(group_size))
    if schedule.sampler in ("poisson", "fixed-size"):
        return epsilon(event, delta, group_size=size, neighboring_relation=neighboring_relation, accountant=accountant)
    fixed = epsilon(event, delta, group_size=size, neighboring_relation=neighboring_relation)
    if schedule.sampler == "deterministic":
        return Bracket(fixed.lower, fixed.upper, fixed.method, shuffle.ASSUMPTIONS, fixed.routes, fixed.agree)
    return _shuffled(schedule, noise_multiplier, delta, fixed, neighboring_relation)


def _shuffled(schedule: Schedule, noise: float, delta: float, fixed: Bracket, relation: NeighboringRelation) -> Bracket:
    epochs, batches = schedule.epochs_passed[0], schedule.steps_per_epoch
    routes = [Route("deterministic order", 0.0, fixed.upper)]
    if epochs == 0:
        lower = 0.0
    elif schedule.sampler == "shuffle-once":
        lower = shuffle.persistent_shuffle_lower(noise, epochs, batches, delta)
    else:
        lower, quadrature = shuffle.dynamic_shuffle_lower(noise, epochs, batches, delta)
        routes.append(Route("max-event composed by contour (not certified)", min(quadrature, fixed.upper), fixed.upper))
    lower = min(lower, fixed.upper)
    routes.append(Route("max-event lower bound", lower, math.inf))
    notes: tuple[str, ...] = (*shuffle.ASSUMPTIONS, _CONVEXITY)
    if relation is REPLACE_ONE:
        notes = (*notes, "lower bound: zeroing a record out is one way to replace it")
    method = "deterministic order (upper), max-event bound (lower)"
    return Bracket(lower, fixed.upper, method, notes, tuple(routes))
