"""What a run did, step by step, and where two runs on neighbouring data part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audit.probes.bench import ENTROPY, PUBLIC_SEED, Bench
from audit.probes.neighbours import examples
from audit.probes.step import Example
from audit.probes.watch import Call, Session, clipped_sums, distance

SAME = 1e-6  # in units of C: sums of the same batch in the same state are equal to the last bits


@dataclass(frozen=True)
class Change:
    """How the second run's data differ: record `index` of the pool replaced, or left out of every batch."""

    index: int
    name: str
    example: Example | None = None  # None: left out

    def records(self, pool: Sequence[Any]) -> Sequence[Any]:
        if self.example is None:
            return pool
        return [self.example.record if i == self.index else record for i, record in enumerate(pool)]

    def batch(self, batch: Sequence[Example], indices: Sequence[int]) -> list[Example]:
        changed = [self.example if i == self.index else e for i, e in zip(indices, batch, strict=True)]
        return [e for e in changed if e is not None]


@dataclass
class Trace:
    batches: list[list[int]] = field(default_factory=list)
    calls: list[tuple[Call, ...]] = field(default_factory=list)
    states: list[dict[str, Tensor]] = field(default_factory=list)  # before the first step and after each
    released: Mapping[str, Any] = field(default_factory=dict)


def trace(
    bench: Bench, script: Sequence[Sequence[int]] | None, change: Change | None = None, frozen: Trace | None = None
) -> Trace:
    """A run over the batches of `script`, or over its own (None), on data changed by `change`.

    With `frozen` each step goes on with that trace's noisy sums. Random draws of a step are the same in every trace.
    """
    loop, made = bench.loop, Trace()
    records = change.records(loop.records) if change else None
    session = Session(loop, seed=PUBLIC_SEED, entropy=ENTROPY, records=records)
    made.states.append(session.state())
    for number, indices in enumerate(_batches(bench, session, script)):
        batch = examples(loop, indices, bench.plan.seed + number)
        noisy = frozen.calls[number] if frozen and number < len(frozen.calls) else ()
        changed = change.batch(batch, indices) if change else batch
        made.calls.append(session.step(changed, draws=bench.plan.seed + 7 * number, frozen=noisy))
        made.batches.append(list(indices))
        made.states.append(session.state())
        bench.trials += 1
    made.released = dict(session.run.released())
    return made


def _batches(bench: Bench, session: Session, script: Sequence[Sequence[int]] | None) -> Iterator[Sequence[int]]:
    if script is not None:
        return iter(script)
    assert session.run.batches is not None
    return islice(session.run.batches(), bench.plan.run_steps)


@dataclass(frozen=True)
class Difference:
    """Where two traces part: what differs, from which step on (counted from 1; 0: before the first), by how much."""

    what: str
    step: int
    size: float
    names: tuple[str, ...] = ()


def differences(one: Trace, other: Trace, change: Change) -> list[Difference]:
    """The first difference of each kind. Sums of batches that hold the changed record may differ, and are left out."""
    found = [*_control_flow(one, other), *_calls(one, other), *_sums(one, other, change), *_states(one, other)]
    unequal = [name for name in {**one.released, **other.released} if not _equal(one.released, other.released, name)]
    if unequal:
        found.append(Difference("what is written or released beside the model", len(one.calls), 1.0, tuple(unequal)))
    return found


def _control_flow(one: Trace, other: Trace) -> Iterator[Difference]:
    if len(one.batches) != len(other.batches):
        steps = min(len(one.batches), len(other.batches))
        yield Difference("the number of steps", steps, abs(len(one.batches) - len(other.batches)))
    for number, (left, right) in enumerate(zip(one.batches, other.batches, strict=False), 1):
        if left != right:
            yield Difference("which records are in a batch", number, len(set(left) ^ set(right)))
            return


def _calls(one: Trace, other: Trace) -> Iterator[Difference]:
    for number, (left, right) in enumerate(zip(one.calls, other.calls, strict=False), 1):
        if len(left) != len(right):
            yield Difference("the number of mechanism calls", number, abs(len(left) - len(right)))
            return
        if [call.kind for call in left] != [call.kind for call in right]:
            yield Difference("the clip norm, noise multiplier or tensors of a mechanism call", number, 1.0)
            return


def _sums(one: Trace, other: Trace, change: Change) -> Iterator[Difference]:
    for number, indices in enumerate(one.batches, 1):
        if change.index in indices or number > len(other.calls):
            continue
        left, right = clipped_sums(one.calls[number - 1]), clipped_sums(other.calls[number - 1])
        gaps = [distance(left.get(n, {}), right.get(n, {})) for n in {**left, **right}]
        norm = max((call.clip_norm for call in one.calls[number - 1]), default=1.0)
        if max(gaps, default=0.0) > SAME * norm:
            yield Difference("the clipped sum of a batch that the record is not in", number, max(gaps) / norm)
            return


def _states(one: Trace, other: Trace) -> Iterator[Difference]:
    for number, (left, right) in enumerate(zip(one.states, other.states, strict=False)):
        names = tuple(name for name in left if name not in right or not _same(left[name], right[name]))
        if names:
            gap = max(_largest_gap(left[name], right.get(name)) for name in names)
            yield Difference("parameters or buffers", number, gap, names)
            return


def _largest_gap(left: Tensor, right: Tensor | None) -> float:
    if right is None or left.shape != right.shape:
        return float("inf")
    gap = float((left.double() - right.double()).abs().max())
    return gap if np.isfinite(gap) else float("inf")


def _same(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and bool(torch.equal(left.nan_to_num(), right.nan_to_num()))


def _equal(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    return name in one and name in other and _alike(one[name], other[name])


def _alike(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return _same(left, right)
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return bool(np.array_equal(left, right, equal_nan=np.asarray(left).dtype.kind == "f"))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_alike(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_alike, left, right))
    return bool(left == right) or (left != left and right != right)
