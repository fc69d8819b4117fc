"""Records to move a sum with, and the batches they are put into. Everything follows from one public seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import mul
from typing import Any

import numpy as np
import torch

from audit.probes.step import Example, Loop

FACTORS = (10.0, 100.0, 1000.0)
FAINT = 0.01
HUGE = 1e30  # far from overflow in float32 as a number, not as a square
EXTREME = {"NaN": math.nan, "infinite": math.inf, "huge": HUGE}


def example(loop: Loop, index: int, seed: int) -> Example:
    """Record `index` of the pool with randomness of its own."""
    return Example(loop.records[index], _mixed(seed, index))


def examples(loop: Loop, indices: Sequence[int], seed: int) -> list[Example]:
    return [example(loop, index, seed) for index in indices]


def drawn(loop: Loop, size: int, seed: int) -> list[int]:
    """`size` different indices into the pool."""
    return [int(i) for i in np.random.default_rng(seed).permutation(len(loop.records))[:size]]


def batch_sizes(loop: Loop, sizes: Sequence[int]) -> list[int]:
    """Those of `sizes` that the pool can fill, its own size where it can fill none."""
    return [size for size in sizes if size <= len(loop.records)] or [len(loop.records)]


def hard_records(loop: Loop, seed: int) -> dict[str, Example]:
    """Records that pull hard, by what they are: those the loop names, and made ones where its records allow it."""
    found: dict[str, Any] = {}
    for name, records in loop.outliers.items():
        found |= {name if len(records) == 1 else f"{name} ({n + 1})": r for n, r in enumerate(records)}
    if not loop.records_checked:
        found |= dict(_made(loop.records))
    return {name: Example(record, _mixed(seed, 10**6 + n)) for n, (name, record) in enumerate(found.items())}


def faint(batch: Sequence[Example]) -> list[Example]:
    """The batch with all numbers of its records ×0.01, so that clipping may leave gradients alone; [] without any."""
    if not all(_holds(e.record, _is_float) for e in batch):
        return []
    return [replace(e, record=_mapped(e.record, _is_float, partial(mul, FAINT))) for e in batch]


def is_extreme(name: str) -> bool:
    """Is this hard record one that holds NaN, infinite or huge numbers?"""
    return name in EXTREME


def _made(records: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    first = records[0]
    if _holds(first, _is_float):
        for factor in FACTORS:
            yield f"numbers ×{factor:g}", _mapped(first, _is_float, partial(mul, factor))
        for name, number in EXTREME.items():
            yield name, _mapped(first, _is_float, partial(_filled, number))
    if _holds(first, _is_ids):
        largest = max(int(torch.as_tensor(x).max()) for r in records for x in _leaves(r) if _is_ids(x))
        yield "one token repeated", _mapped(first, _is_ids, lambda x: _repeated(x, largest))
    if _holds(first, _is_text):
        longest = max((x for r in records for x in _leaves(r) if _is_text(x)), key=len)
        yield "long text", _mapped(first, _is_text, lambda x: " ".join([longest] * 8))


def _is_float(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point()
    return isinstance(value, float) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")


def _is_ids(value: Any) -> bool:
    """A sequence of token ids: a whole-number tensor or array with more than one entry."""
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() and value.dtype != torch.bool and value.numel() > 1
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.size > 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _filled(number: float, value: Any) -> Any:
    if isinstance(value, float):
        return number
    return torch.full_like(value, number) if isinstance(value, torch.Tensor) else np.full_like(value, number)


def _repeated(ids: Any, largest: int) -> Any:
    """The largest id in the pool at every place that the record's own ids fill (0 stays: it pads, or masks)."""
    return torch.where(ids == 0, 0, min(largest, int(ids.max()))) if isinstance(ids, torch.Tensor) else np.where(
        ids == 0, 0, min(largest, int(ids.max()))
    )


def _leaves(record: Any) -> Iterator[Any]:
    if isinstance(record, Mapping):
        record = list(record.values())
    if isinstance(record, list | tuple):
        for part in record:
            yield from _leaves(part)
    else:
        yield record


def _holds(record: Any, wanted: Callable[[Any], bool]) -> bool:
    return any(wanted(leaf) for leaf in _leaves(record))


def _mapped(record: Any, wanted: Callable[[Any], bool], change: Callable[[Any], Any]) -> Any:
    """The record with every wanted leaf changed; its structure is kept where it is of plain containers."""
    if isinstance(record, Mapping):
        return {key: _mapped(value, wanted, change) for key, value in record.items()}
    if isinstance(record, tuple) and hasattr(record, "_fields"):
        return type(record)(*(_mapped(part, wanted, change) for part in record))
    if isinstance(record, list | tuple):
        return type(record)(_mapped(part, wanted, change) for part in record)
    return change(record) if wanted(record) else record


def _mixed(seed: int, number: int) -> int:
    """A seed of its own for each number, far apart in the generator's space."""
    return int(np.random.SeedSequence([seed % 2**63, number]).generate_state(1, np.uint64)[0] >> 1)
