"""What is compared: a model built from a golden folder, our value for one of its arrays, how close it must be.

The functions beside this module take a Case and a file and yield Ours(name, value, tolerance). `value` is called
by the runner, so one failing computation costs one array. Sizes, seeds and options come from the folder alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reimpl.checkpoints import CheckpointError, model_module
from reimpl.parity.golden import Golden, GoldenError
from reimpl.schedules import Process

Tolerance = Callable[[NDArray[Any]], float]  # from the golden array to the largest difference allowed


class Ours(NamedTuple):
    name: str
    value: Callable[[], Any]
    tolerance: Tolerance


def absolute(bound: float) -> Tolerance:
    return lambda golden: bound


def relative(bound: float) -> Tolerance:
    """For every entry, so bound times the smallest."""
    return lambda golden: bound * float(np.abs(golden).min())


EXACT, SCHEDULE = absolute(0), absolute(1e-12)
HIDDEN, LOGITS, DOUBLE, TRAJECTORY = absolute(1e-5), absolute(5e-5), absolute(1e-9), absolute(1e-4)
LOSS = relative(1e-5)
GRADIENT = 1e-5  # of the largest entry of the whole gradient


NOISED = {"diffuseq": "input_ids", "genie": "tgt_input_ids", "seqdiffuseq": "decoder_input_ids"}
SOURCE = {
    "diffuseq": ("input_ids", "input_mask"),
    "genie": ("src_input_ids", "src_attention_mask"),
    "seqdiffuseq": ("input_ids", "attention_mask"),
}


@dataclass(frozen=True)
class Case:
    """A model built from a golden folder, in one attention implementation and precision."""

    name: str
    golden: Golden
    attention: str
    dtype: torch.dtype = torch.float32

    @property
    def module(self) -> ModuleType:
        return model_module(self.name)

    @cached_property
    def config(self) -> Any:
        return replace(self.module.Config.from_published(self.golden.settings), attention=self.attention)

    @cached_property
    def model(self) -> Any:
        """In eval mode. CheckpointError or GoldenError where settings and weights do not make a model."""
        weights, settings = self.golden.tensors("weights.npz"), self.golden.path / "config.json"
        try:
            return self.module.Model.from_published(weights, self.config).to(self.dtype)
        except CheckpointError as error:
            raise GoldenError(f"{self.golden.path / 'weights.npz'}: {error}") from None
        except (ValueError, TypeError, ZeroDivisionError, RuntimeError) as error:
            raise GoldenError(f"{settings}: no {self.name} can be built from it ({type(error).__name__})") from None

    @cached_property
    def double(self) -> Case:
        return replace(self, dtype=torch.float64)

    def given(self, name: str) -> Tensor:
        """One input. MissingArrayError where the folder lacks it."""
        return self.golden.tensor("inputs.npz", name, self.dtype)

    @property
    def ids(self) -> Tensor:
        """The ids that are noised."""
        return self.given(NOISED[self.name])

    @property
    def conditioning(self) -> dict[str, Tensor]:
        """What the sampler is given: the source."""
        return {name: self.given(name) for name in SOURCE[self.name]}

    @property
    def batch(self) -> dict[str, Tensor]:
        """What the loss is given."""
        return self.conditioning | {NOISED[self.name]: self.ids}

    def predict(self, x_t: Tensor, timesteps: Tensor, **more: Tensor) -> Tensor:
        return self.model(x_t, timesteps, **(self.conditioning | more)).detach()

    def self_conditioned(self) -> dict[str, Tensor]:
        """The self-conditioning input, for the model that has one."""
        return {"self_conditioning": self.given("self_conditions")} if self.name == "seqdiffuseq" else {}

    def process(self, num_timesteps: int, variant: str | None = None) -> Process:
        """The process over num_timesteps, or a variant: 'respacedN', 'adaptive' or 'loaded' (from its .npy)."""
        config = replace(self.config, num_timesteps=num_timesteps)
        if variant and variant.startswith("respaced"):
            return Process.named(config.noise_schedule, num_timesteps).respaced(int(variant.removeprefix("respaced")))
        if variant in ("adaptive", "loaded"):
            file = f"alpha_cumprod_T{num_timesteps}.npy"
            return config.process().with_alpha_bar(self.golden.array(file, file))
        return config.process()
