"""Clipped sums of batches that differ in one record, each measured on a fresh run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from audit.probes.neighbours import batch_sizes, drawn, example, examples, hard_records
from audit.probes.plan import Plan
from audit.probes.step import Example, Loop
from audit.probes.watch import Session, StepError, clipped_sums, distance

PUBLIC_SEED, ENTROPY = 11, 12  # of every run started here: the same start, the same (unused) noise
OWN, REMOVED, OTHER = "", "removed", "another record of the pool"
START = "parameters as started"
MOST_SUMS = 64


@dataclass(frozen=True)
class Neighbours:
    """Two batches that differ at one place: a witness, which replays from these values alone.

    `one` and `other` say what stands at `place`: OWN, REMOVED, OTHER or the name of a hard record.
    """

    size: int
    place: int
    one: str = OWN
    other: str = REMOVED
    point: str = START  # the parameters' values

    @property
    def bound(self) -> float:
        """In units of C: one record more or less moves the sum by C at most, a replaced one by two."""
        return 1.0 if REMOVED in (self.one, self.other) else 2.0

    @property
    def is_ordinary(self) -> bool:
        return {self.one, self.other} <= {OWN, REMOVED, OTHER}

    def __str__(self) -> str:
        names = [name or "its own record" for name in (self.one, self.other)]
        return f"batch of {self.size}, place {self.place}: {names[0]} against {names[1]}, {self.point}"


@dataclass(frozen=True)
class Sum:
    """S of each mechanism, and the clip norm of the gradient."""

    by_mechanism: dict[str, dict[str, Tensor]]
    clip_norms: dict[str, float]

    def gap(self, other: Sum) -> float:
        """The largest L2 distance over mechanisms, in units of their clip norms."""
        names = {**self.by_mechanism, **other.by_mechanism}
        norms = {**self.clip_norms, **other.clip_norms}
        gaps = (distance(self.by_mechanism.get(n, {}), other.by_mechanism.get(n, {})) / norms[n] for n in names)
        return max(gaps, default=0.0)


class Bench:
    """A loop and what its sums are measured with. StepError where the loop raises."""

    def __init__(self, loop: Loop, plan: Plan) -> None:
        self.loop, self.plan = loop, plan
        self.trials = 0
        self._kept: list[Sequence[Example]] = []
        self._sums: OrderedDict[tuple[object, ...], Sum] = OrderedDict()  # the latest ones: probes share batches

    @cached_property
    def takes_empty(self) -> bool:
        """Does the step run on an empty batch? Where it does not, `steps` says so and the others leave it out."""
        try:
            self.sum_of([])
        except StepError:
            return False
        return True

    @cached_property
    def has_batches(self) -> bool:
        return Session(self.loop, seed=PUBLIC_SEED, entropy=ENTROPY).run.batches is not None

    @cached_property
    def hard(self) -> dict[str, Example]:
        return hard_records(self.loop, self.plan.seed)

    @cached_property
    def points(self) -> dict[str, dict[str, Tensor] | None]:
        """Values of the parameters to measure at: DP-SGD's bound must hold at any, and gradients differ in size."""
        session = Session(self.loop, seed=PUBLIC_SEED, entropy=ENTROPY)
        start = session.parameters()
        found: dict[str, dict[str, Tensor] | None] = {START: None}
        for factor in self.plan.factors:
            found[f"parameters ×{factor:g}"] = {name: tensor * factor for name, tensor in start.items()}
        fitted = self.batch(self.smallest)
        for _ in range(self.plan.noiseless_steps):
            session.step(fitted, noiseless=True)
        if self.plan.noiseless_steps:
            found[f"parameters after {self.plan.noiseless_steps} steps without noise"] = session.parameters()
        return {name: at for name, at in found.items() if at is None or all(t.isfinite().all() for t in at.values())}

    @property
    def smallest(self) -> int:
        """The size of batches measured at points other than the start; at one of them the very batch is fitted."""
        return batch_sizes(self.loop, self.plan.hard_sizes)[0]

    def batch(self, size: int) -> list[Example]:
        """`size` records with randomness of their own; the same for the same size."""
        seed = self.batch_seed(size)
        return examples(self.loop, drawn(self.loop, size, seed), seed)

    def batch_seed(self, size: int) -> int:
        return self.plan.seed * 1_000_003 + 1000 * size

    def sum_of(self, batch: Sequence[Example], *, point: str = START, draws: int = 1) -> Sum:
        """S of a batch at the start of a run, with the default generators seeded by `draws` before the step."""
        key = (*((id(e.record), e.seed) for e in batch), point, draws)
        if key not in self._sums:
            self.trials += 1
            at = self.points[point] if point != START else None
            calls = Session(self.loop, seed=PUBLIC_SEED, entropy=ENTROPY, point=at).step(batch, draws=draws)
            self._sums[key] = Sum(clipped_sums(calls), {call.mechanism: call.clip_norm for call in calls})
            self._kept.append(batch)  # so that no other record takes the id of one of these
            if len(self._sums) > MOST_SUMS:
                self._sums.popitem(last=False)
        return self._sums[key]

    def empty_sum(self) -> Sum:
        """S(∅), or zero where the step cannot take an empty batch."""
        return self.sum_of([]) if self.takes_empty else Sum({}, {})

    def ratio(self, neighbours: Neighbours) -> float:
        """‖S(D) − S(D')‖ / C."""
        key = neighbours.size, neighbours.point, neighbours.place
        return self._changed(*key, neighbours.one).gap(self._changed(*key, neighbours.other))

    def _changed(self, size: int, point: str, place: int, content: str) -> Sum:
        batch = self.batch(size)
        if content == REMOVED:
            del batch[place]
        elif content == OTHER:
            batch[place] = self._other(size)
        elif content != OWN:
            batch[place] = self.hard[content]
        return self.sum_of(batch, point=point)

    def _other(self, size: int) -> Example:
        """A record that the batch does not hold, or, where it holds all, one of them with other randomness."""
        seed = self.batch_seed(size)
        order = drawn(self.loop, len(self.loop.records), seed)
        return example(self.loop, order[size % len(order)], seed + 1)

    def untied(self) -> float:
        """How far the default generators' state alone moves S of one batch, in units of C; 0 where draws are tied."""
        batch = self.batch(min(16, len(self.loop.records)))
        return self.sum_of(batch, draws=1).gap(self.sum_of(batch, draws=2))
