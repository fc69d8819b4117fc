"""Randomness that belongs to records: the same record draws the same numbers whoever stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from audit.probes.step import Example


def tied(batch: Sequence[Example]) -> TorchDispatchMode:
    """A context in which row i of every random tensor is drawn from the seed of batch[i].

    Holds for torch's draws whose first dimension is len(batch) (dropout, `rand`, `randn_like`, `bernoulli`, ...)
    and that use the default generator, forward and backward. Open it around the gradients of one physical batch and
    close it before the noise. Draws of numpy or `random`, and of other shapes, are left alone: draw them from
    `Example.seed`.
    """
    return _Tied([example.seed for example in batch])


class _Tied(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seeds = list(seeds)
        self.draws = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        if not any(self._is_batched(value) for value in args):
            return func(*args, **kwargs)
        self.draws += 1
        state = torch.get_rng_state()
        rows = [self._row(func, place, args, kwargs) for place in range(len(self.seeds))]
        torch.set_rng_state(state)
        in_place = func._schema.name.endswith("_")
        return args[0] if in_place else torch.cat(rows)

    def _is_batched(self, value: Any) -> bool:
        first = value.shape[:1] if isinstance(value, torch.Tensor) else value[:1] if isinstance(value, list) else ()
        return len(first) == 1 and first[0] == len(self.seeds) > 0

    def _row(self, func: Any, place: int, args: Any, kwargs: Any) -> Any:
        """The draw of one record, made as in a batch of its own."""
        torch.manual_seed((self.seeds[place] * 1_000_003 + self.draws) % 2**63)
        return func(*(self._narrowed(value, place) for value in args), **kwargs)

    def _narrowed(self, value: Any, place: int) -> Any:
        if not self._is_batched(value):
            return value
        return value[place : place + 1] if isinstance(value, torch.Tensor) else [1, *value[1:]]
