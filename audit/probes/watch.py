"""Start a run and watch its steps: what passes the tap, and what the step leaves behind."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audit.probes.step import Example, Loop, Run, Tensors


@dataclass(frozen=True)
class Call:
    """One mechanism call: the sum before noise and with it, and what both were scaled to."""

    mechanism: str
    clipped: Mapping[str, Tensor]
    noisy: Mapping[str, Tensor]
    clip_norm: float
    noise_multiplier: float

    @property
    def kind(self) -> tuple[str, float, float, tuple[str, ...]]:
        """What must not depend on data: name, clip norm, noise multiplier, tensors."""
        return self.mechanism, self.clip_norm, self.noise_multiplier, tuple(sorted(self.noisy))


class StepError(Exception):
    """The loop raised. Its message may hold data, so only the exception's type is kept."""


def seed_all(seed: int) -> None:
    """Seed the default generators of torch, numpy and Python."""
    torch.manual_seed(seed % 2**63)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Leave the default generators as they were found."""
    kept = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(kept[0])
        np.random.set_state(kept[1])
        random.setstate(kept[2])


class Session:
    """One fresh run, watched.

    Args:
        records: those of `loop` unless given.
        seed, entropy: the public and the secret one; the default generators start from `entropy`.
        point: values that the parameters are set to after the start, to look at gradients of another size.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        seed: int,
        entropy: int,
        records: Sequence[Any] | None = None,
        point: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.loop = loop
        seed_all(entropy)
        try:
            self.run: Run = loop.start(loop.records if records is None else records, seed, entropy)
        except Exception as error:
            raise StepError(f"start: {type(error).__name__}") from error
        with torch.no_grad():
            for name, parameter in self.run.model.named_parameters():
                if point is not None and name in point:
                    parameter.copy_(point[name])

    def step(
        self,
        batch: Sequence[Example],
        *,
        draws: int | None = None,
        frozen: Sequence[Call] = (),
        noiseless: bool = False,
    ) -> tuple[Call, ...]:
        """One logical step. `draws` seeds the default generators first; the loop goes on with the noisy sums of
        `frozen`, or with the clipped sums where `noiseless`, else with its own."""
        if draws is not None:
            seed_all(draws)
        tap = _Recorder(self.loop, frozen, noiseless=noiseless)
        try:
            self.run.step(batch, tap)
        except Exception as error:
            raise StepError(f"step: {type(error).__name__}") from error
        return tuple(tap.calls)

    def parameters(self) -> dict[str, Tensor]:
        """A copy of every parameter."""
        return {name: parameter.detach().clone() for name, parameter in self.run.model.named_parameters()}

    def state(self) -> dict[str, Tensor]:
        """A copy of every parameter and buffer."""
        model = self.run.model
        named = [*model.named_parameters(), *model.named_buffers()]
        return {name: tensor.detach().clone() for name, tensor in named}


class _Recorder:
    def __init__(self, loop: Loop, frozen: Sequence[Call], *, noiseless: bool) -> None:
        self.loop, self.frozen, self.noiseless, self.calls = loop, frozen, noiseless, list[Call]()

    def __call__(
        self,
        clipped: Tensors,
        noisy: Tensors,
        *,
        clip_norm: float | None = None,
        noise_multiplier: float | None = None,
        mechanism: str = "gradient",
    ) -> Tensors:
        norm = self.loop.clip_norm if clip_norm is None else float(clip_norm)
        multiplier = self.loop.noise_multiplier if noise_multiplier is None else float(noise_multiplier)
        place = len(self.calls)
        self.calls.append(Call(mechanism, _copy(clipped), _copy(noisy), norm, multiplier))
        if self.noiseless:
            return _copy({name: clipped.get(name, tensor) for name, tensor in noisy.items()})
        if place >= len(self.frozen) or set(self.frozen[place].noisy) != set(noisy):
            return noisy
        return _copy(self.frozen[place].noisy)


def _copy(tensors: Tensors) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def clipped_sums(calls: Sequence[Call]) -> dict[str, dict[str, Tensor]]:
    """S of each mechanism (float64), over all its calls in the step."""
    sums: dict[str, dict[str, Tensor]] = {}
    for call in calls:
        total = sums.setdefault(call.mechanism, {})
        for name, tensor in call.clipped.items():
            total[name] = total[name] + tensor.double() if name in total else tensor.double()
    return sums


def distance(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """L2 distance over all tensors; a tensor that is not there is zero; infinite where anything is not finite."""
    squares = 0.0
    for name in {**one, **other}:
        gap = one[name] - other[name] if name in one and name in other else one.get(name, other.get(name))
        assert gap is not None
        squares += float((gap.double() ** 2).sum())
    return squares**0.5 if np.isfinite(squares) else float("inf")
