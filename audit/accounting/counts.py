"""Counts of records released with noise beside a training, and ε of both together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dp_accounting import dp_event
from dp_accounting.privacy_accountant import NeighboringRelation

from audit.accounting.accountants import epsilon
from audit.accounting.bracket import Bracket
from audit.accounting.inputs import AccountingInputError, require_positive
from audit.accounting.mechanisms import composed, gaussian, laplace
from audit.accounting.sampling import Schedule, upper_event
from audit.accounting.steps import ADD_OR_REMOVE_ONE

NOISES = ("gaussian", "laplace")
_UPPER_ONLY = "the counts add to the upper end; the lower end is that of the batches alone"


@dataclass(frozen=True)
class Counts:
    """Counts in which a record is once, each with `noise` of that `scale` (a standard deviation if gaussian)."""

    noise: str
    scale: float

    def event(self, group_size: int = 1) -> dp_event.DpEvent:
        """The release as one mechanism; a unit of `group_size` records may have them all in one count."""
        require_positive("scale", self.scale)
        if self.noise not in NOISES:
            raise AccountingInputError(f"noise = {self.noise!r}: expected one of {', '.join(NOISES)}")
        return (gaussian if self.noise == "gaussian" else laplace)(self.scale / group_size)


def event_with_counts(
    schedule: Schedule, noise_multiplier: float, counts: Sequence[Counts], group_size: int = 1
) -> tuple[dp_event.DpEvent, int]:
    """The event whose ε bounds batches and counts together from above, and the group size to price it with."""
    batches, size = upper_event(schedule, noise_multiplier, group_size)
    if not counts:
        return batches, size
    return composed([batches, *(one.event(group_size // size) for one in counts)]), size


def add_counts(
    batches: Bracket,
    schedule: Schedule,
    noise_multiplier: float,
    delta: float,
    counts: Sequence[Counts],
    *,
    group_size: int = 1,
    neighboring_relation: NeighboringRelation = ADD_OR_REMOVE_ONE,
) -> Bracket:
    """`batches`, the bracket of the batches alone, with the counts composed into it.

    Exact composition where the batches are an event of their own (Poisson, fixed-size, a fixed order); for
    shuffles, whose upper end is that of a fixed order, the counts can only add to that end.
    """
    if not counts:
        return batches
    event, size = event_with_counts(schedule, noise_multiplier, counts, group_size)
    whole = epsilon(event, delta, group_size=size, neighboring_relation=neighboring_relation)
    if schedule.sampler in ("poisson", "fixed-size", "deterministic"):
        return Bracket(
            max(whole.lower, batches.lower), whole.upper, whole.method, whole.assumptions, whole.routes, whole.agree
        )
    notes = (*batches.assumptions, _UPPER_ONLY)
    return Bracket(batches.lower, max(whole.upper, batches.lower), batches.method, notes, whole.routes)
