"""What train.py asks of a model: the examples it is given, and the protocol an adapter offers.

`reimpl.diffusion` adapts the three diffusion models, `reimpl.baselines` what comes from `transformers`. An adapter
module has two functions:

    build(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> Trainable    a model to train, started as recipe says
    load(folder: Path) -> Trainable                                           the model that `save` left in a folder
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

Batch = Mapping[str, Tensor]  # every tensor has the records as its first dimension


class Example(NamedTuple):
    """What a model trains on: a record (`reimpl.data`) with the prompt of its label before it.

    `unit` names whose it is (None: a unit of its own); it reaches no file.
    """

    source: str  # the prompt
    target: str  # the private text
    label: int = 0
    unit: str | None = None


class Trainable(Protocol):
    """A model with what training and sampling need. Its loss is separable: no record sees another.

    module           its parameters with requires_grad are trained; in train mode while training. Every call of a
                     submodule has the records as its first dimension (position ids too), or hooks see another batch
    """

    module: nn.Module

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Token ids and masks of examples, padded to the model's length. No example changes another's row."""
        ...

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """The randomness of that many records (timesteps, noises), one row a record; {} where there is none."""
        ...

    def per_record_loss(self, module: nn.Module, batch: Batch, drawn: Batch) -> Tensor:
        """(B,) losses. `module` is self.module, maybe wrapped for per-record gradients: call that one.

        Each is a mean or sum over its own record with a denominator that no other record influences.
        """
        ...

    def save(self, folder: Path, state: Mapping[str, Tensor]) -> None:
        """Write model.safetensors (of `state`, a state_dict), config.json and the tokenizer's files to folder."""
        ...

    def generate(
        self, prompts: Sequence[str], generator: torch.Generator, options: Mapping[str, Any]
    ) -> Iterator[list[str]]:
        """Texts for prompts, batch by batch, in order. options: the recipe's [generation] table."""
        ...


MODULES = {
    "diffuseq": "reimpl.diffusion",
    "seqdiffuseq": "reimpl.diffusion",
    "genie": "reimpl.diffusion",
    "causal": "reimpl.baselines",
    "seq2seq": "reimpl.baselines",
}


def adapter_module(name: str) -> ModuleType:
    """The module with `build` and `load` for a recipe's adapter."""
    return importlib.import_module(MODULES[name])
